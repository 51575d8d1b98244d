"""Kafka Connect, distributed: files go in and come out line by line, over restarts of the worker and of the broker."""

import confluent_kafka
import pytest

from harness.frameworks.connect import Worker
from harness.frameworks.runner import PATIENCE_S
from harness.process import wait_until
from harness.topics import ANSWER_S, create_topics, end_of, read_topic

pytestmark = [pytest.mark.needs("connect"), pytest.mark.timeout(1800)]

FILE = "org.apache.kafka.connect.file.FileStream"


class Files:
    """A file that a source connector reads, and one that a sink connector writes: both of the same lines, in order."""

    def __init__(self, directory, worker):
        self.source, self.sink, self.worker, self.count = directory / "in.txt", directory / "out.txt", worker, 0
        self.append(300)
        worker.create("source", connector_class=f"{FILE}SourceConnector", file=self.source, topic="lines")
        worker.create("sink", connector_class=f"{FILE}SinkConnector", file=self.sink, topics="lines")
        self.wait_copied()

    def lines(self):
        return [f"{number} threads on a spool" for number in range(self.count)]

    def append(self, count):
        with open(self.source, "a") as file:
            file.writelines(f"{number} threads on a spool\n" for number in range(self.count, self.count + count))
        self.count += count

    def wait_copied(self):
        """The sink has every line, once; and the offsets of both connectors are kept."""
        wait_until(lambda: self.sink.exists() and self.sink.read_text().count("\n") >= self.count, PATIENCE_S, "the sink's lines", 0.1)
        assert self.sink.read_text().splitlines() == self.lines()
        size = self.source.stat().st_size
        wait_until(lambda: self._kept("source") == size, PATIENCE_S, "the source's offset", 0.2)
        wait_until(lambda: self._kept("sink") == self.count, PATIENCE_S, "the sink's offset", 0.2)

    def _kept(self, name):
        return sum(next(iter(one["offset"].values())) for one in self.worker.offsets(name) if one["offset"])


def test_files_over_restarts(brokers, directory):
    broker = brokers.start()
    worker = brokers.add(Worker(directory, broker)).start()
    files = Files(directory, worker)
    for stopped, how in ((worker, worker.stop), (broker, broker.stop), (worker, worker.kill), (broker, broker.kill)):
        how()
        files.append(200)
        stopped.start()
        files.wait_copied()
    assert [message.value().decode() for message in read_topic(broker.bootstrap, "lines")] == files.lines()
    rest(worker, files)


def rest(worker, files):
    """What else the worker's REST interface does: plugins, pause, resume, stop, offsets that are reset and set, deletion."""
    plugins = {plugin["class"] for plugin in worker.ask("GET", "/connector-plugins")}
    assert {f"{FILE}SourceConnector", f"{FILE}SinkConnector"} <= plugins
    worker.patiently("PUT", "/connectors/source/pause")
    worker.wait_state("source", "PAUSED")
    files.append(50)
    worker.patiently("PUT", "/connectors/source/resume")
    files.wait_copied()

    worker.patiently("PUT", "/connectors/sink/stop")
    worker.wait_state("sink", "STOPPED")
    wait_until(lambda: not worker.states("sink")[1], PATIENCE_S, "the sink's task to end")
    worker.patiently("DELETE", "/connectors/sink/offsets")
    assert worker.offsets("sink") == []
    files.sink.unlink()
    worker.patiently("PUT", "/connectors/sink/resume")
    files.wait_copied()

    worker.patiently("PUT", "/connectors/sink/stop")
    wait_until(lambda: not worker.states("sink")[1], PATIENCE_S, "the sink's task to end")
    partition = {"kafka_topic": "lines", "kafka_partition": 0}
    offsets = [{"partition": partition, "offset": {"kafka_offset": files.count - 10}}]
    worker.patiently("PATCH", "/connectors/sink/offsets", {"offsets": offsets})
    files.sink.unlink()
    worker.patiently("PUT", "/connectors/sink/resume")
    wait_until(lambda: files.sink.exists() and files.sink.read_text().count("\n") == 10, PATIENCE_S, "the last ten lines", 0.1)
    assert files.sink.read_text().splitlines() == files.lines()[-10:]

    for name in ("source", "sink"):
        worker.patiently("DELETE", f"/connectors/{name}")
    wait_until(lambda: worker.ask("GET", "/connectors") == [], PATIENCE_S, "the connectors to be gone")


@pytest.mark.parametrize("kills", [2, pytest.param(8, marks=pytest.mark.full)])
def test_exactly_once_source(brokers, directory, kills):
    """The worker is killed while its source reads: every line is in the topic once, and in order."""
    broker = brokers.start(settings={"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"})
    settings = {"exactly.once.source.support": "enabled", "producer.transaction.timeout.ms": "10000"}
    worker = brokers.add(Worker(directory, broker, settings=settings)).start()
    lines, source = [], directory / "in.txt"
    config = {"file": source, "topic": "lines", "batch_size": 20, "exactly_once_support": "required"}
    source.touch()
    create_topics(broker.bootstrap, ["lines"])
    worker.create("source", connector_class=f"{FILE}SourceConnector", **config)

    def append(count):
        new = [f"{number} leaves" for number in range(len(lines), len(lines) + count)]
        with open(source, "a") as file:
            file.writelines(f"{line}\n" for line in new)
        lines.extend(new)

    def committed():
        return [message.value().decode() for message in read_topic(broker.bootstrap, "lines", "read_committed")]

    def comes(condition):
        """On a busy machine Kafka's producer may send EndTxn ahead of the batches to be committed (it looks whether there are any
        before it looks what to send): of nothing, which any broker refuses. Or its transaction outlives its time. Connect
        leaves it to its operator to start the task again."""
        worker.restart_ended_by("source", ("InvalidTxnState", "ProducerFenced", "InvalidProducerEpoch"))
        return condition()

    for turn in range(kills):
        some = end_of(broker.bootstrap, "lines") + 1000
        append(20_000)
        wait_until(lambda: comes(lambda: end_of(broker.bootstrap, "lines") > some), PATIENCE_S, "lines to be read", 0.1)
        worker.kill()
        if turn % 2:
            broker.kill()
            broker.start()
        worker.start()
    count = len(lines)
    append(1000)  # as the last lines of a file stay in this source's buffer until more come
    wait_until(lambda: comes(lambda: len(committed()) >= count), PATIENCE_S, "all lines", 0.3)
    take_over(broker, "connect-source-0")
    append(1000)
    wait_until(lambda: comes(lambda: len(committed()) >= count + 1000), PATIENCE_S, "the lines after its producer was fenced", 0.3)
    worker.stop()
    found = committed()
    assert found == lines[: len(found)]


def take_over(broker, transactional_id):
    """Whoever used this id is fenced."""
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "transactional.id": transactional_id})
    producer.init_transactions(ANSWER_S)


@pytest.mark.full
def test_a_worker_takes_over(brokers, directory):
    """Two workers share the connectors; when one is killed the other does the work of both."""
    broker = brokers.start()
    first, second = (brokers.add(Worker(directory, broker, name)) for name in ("first", "second"))
    files = Files(directory, first.start())
    second.start()

    def owners():
        statuses = [first.status(name) for name in ("source", "sink")]
        return {task["worker_id"] for status in statuses for task in status["tasks"] if task["state"] == "RUNNING"}

    wait_until(lambda: len(owners()) == 2, PATIENCE_S, "both workers to have a task", 0.2)
    files.append(200)
    files.wait_copied()
    first.kill()
    files.worker = second
    files.append(200)
    files.wait_copied()
    first.start()
    wait_until(lambda: len(owners()) == 2, PATIENCE_S, "the first worker to have a task again", 0.2)
    files.append(200)
    files.wait_copied()
    assert [message.value().decode() for message in read_topic(broker.bootstrap, "lines")] == files.lines()
