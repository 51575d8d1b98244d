"""The server as a process: its command line, its settings, starting, stopping, and what it promises of its data."""

import re
import signal
import subprocess
import threading
import time

import pytest

from harness.batch import batch
from harness.broker import answers, free_port, odradek_binary
from harness.process import Process, run, takes_less, wait_until
from harness.requests import BROKER, alter, connect, create_topic, end_offset, error, fetch, fetch_body, now_ms, produce, produce_body, values
from harness.wire import Connection


@pytest.fixture(autouse=True)
def _only_ours(request, broker_kind):
    if broker_kind == "kafka" and "ours" in request.keywords:
        pytest.skip("says something of Odradek alone")


ours = pytest.mark.ours


def refused(*args):
    """Runs a server that must not start; returns its exit status and its lines."""
    done = subprocess.run([odradek_binary(), "server", *args], capture_output=True, text=True, timeout=60)
    return done.returncode, [line for line in (done.stdout + done.stderr).split("\n") if line]


@ours
def test_version_and_help():
    assert re.fullmatch(r"odradek \d+\.\d+\.\d+\n", run([odradek_binary(), "--version"]).decode())
    for words in (["--help"], ["server", "--help"]):
        text = run([odradek_binary(), *words]).decode()
        assert "odradek server server.properties" in text, text  # an example comes first


@ours
def test_unknown_command():
    done = subprocess.run([odradek_binary(), "sever"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "sever" in done.stderr


WRONG = {
    "log.retention.ms": ("soon", "soon"),
    "num.network.threads": ("0", "0"),
    "compression.type": ("zip", "zip"),
    "listeners": ("PLAINTEXT:/127.0.0.1", "listeners"),
    "process.roles": ("brooker", "brooker"),
    "message.max.bytes": ("-1", "-1"),
    "log.segment.bytes": ("10", "10"),
    "log.cleanup.policy": ("shred", "shred"),
    "max.connections.per.ip.overrides": ("nowhere.example:3", "nowhere.example is no IP address"),
}


@ours
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_stops_the_start_with_one_line(name, tmp_path):
    value, shown = WRONG[name]
    status, lines = refused("--override", f"log.dirs={tmp_path}/data", "--override", f"{name}={value}")
    assert status == 1
    said = [line for line in lines if name in line and shown in line]
    assert len(said) == 1, lines


NOT_HERE = "192.0.2.1"  # an address for documentation (RFC 5737): no machine has it


@ours
@pytest.mark.parametrize(
    "setting",
    [
        f"listeners=PLAINTEXT://{NOT_HERE}:0,CONTROLLER://127.0.0.1:0",
        f"http.listeners=http://{NOT_HERE}:80",
        f"controller.quorum.bootstrap.servers={NOT_HERE}:9093",
    ],
)
def test_what_is_not_of_this_machine_stops_the_start_with_one_line(setting, tmp_path):
    settings = [f"log.dirs={tmp_path}/data", "listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0", setting]
    status, lines = refused(*(word for one in settings for word in ("--override", one)))
    said = [line for line in lines if "cannot start" in line]
    assert status == 1 and len(said) == 1 and setting.split("=")[0] in said[0], lines


@ours
def test_a_missing_file_and_a_malformed_override(tmp_path):
    status, lines = refused(tmp_path / "nowhere.properties")
    assert status == 1 and any("nowhere.properties" in line for line in lines), lines
    status, lines = refused("--override", "log.dirs")
    assert status != 0 and any("log.dirs" in line for line in lines), lines


@ours
def test_an_unknown_setting_is_a_warning_that_offers_the_closest(brokers):
    broker = brokers.start(settings={"log.retention.hour": "12"})
    said = wait_until(lambda: re.search(r".*log\.retention\.hour\b.*", broker.log_text()), 20, "the warning")
    assert "log.retention.hours" in said.group(0), broker.log_text()


# What stands in the server.properties of Kafka's archive, beside the addresses and log.dirs.
SHIPPED = """
    inter.broker.listener.name=PLAINTEXT
    listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
    num.network.threads=3 num.io.threads=8 num.partitions=1 num.recovery.threads.per.data.dir=2
    socket.send.buffer.bytes=102400 socket.receive.buffer.bytes=102400 socket.request.max.bytes=104857600
    log.retention.hours=168 log.segment.bytes=1073741824 log.retention.check.interval.ms=300000
"""


def test_the_settings_that_kafka_ships(brokers):
    """They go in as they are; what has no effect is remarked on, and nothing else."""
    broker = brokers.new(settings=dict(word.split("=") for word in SHIPPED.split()))
    client, controller = f":{broker.port}", f":{broker.controller_port}"
    broker.settings["listeners"] = f"PLAINTEXT://{client},CONTROLLER://{controller}"
    broker.settings["advertised.listeners"] = f"PLAINTEXT://localhost{client},CONTROLLER://localhost{controller}"
    broker.settings["controller.quorum.bootstrap.servers"] = f"localhost{controller}"
    broker.start()
    with connect(broker) as connection:
        wait_until(lambda: connection.call("Metadata", 12, {"Topics": []})["Brokers"], 20, "the broker")
        [node] = connection.call("Metadata", 12, {"Topics": []})["Brokers"]
    assert (node["Host"], node["Port"]) == ("localhost", broker.port)
    if broker.kind == "odradek":
        remarked = re.findall(r"config: ([\w.]+)=\S+ has no effect", broker.log_text())
        share = "share.coordinator.state.topic."
        assert sorted(remarked) == ["num.io.threads", share + "min.isr", share + "replication.factor"], broker.log_text()
        assert broker.log_text().count("WARN") == len(remarked), broker.log_text()


@ours
def test_port_0_picks_a_free_port_and_says_which(tmp_path):
    settings = {"listeners": "PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0", "log.dirs": tmp_path / "data"}
    settings |= {"num.io.threads": "8", "no.such.setting": "1"}  # warnings come after the first line
    overrides = [word for name, value in settings.items() for word in ("--override", f"{name}={value}")]
    server = Process("odradek", [odradek_binary(), "server", *overrides], tmp_path / "log")
    try:
        found = wait_until(lambda: re.search(r":(\d+) \(PLAINTEXT\)", server.log_text()), 20, "the line with the port")
        first = server.log_text().split("\n")[0]
        assert "listening on" in first and len(re.findall(r":[1-9]\d* \(", first)) == 2, server.log_text()
        for name in ("num.io.threads", "no.such.setting"):
            wait_until(lambda: name in server.log_text(), 20, f"the warning of {name}")
        port = int(found.group(1))
        wait_until(lambda: answers(port), 20, f"an answer on {port}")
        with Connection("127.0.0.1", port) as connection:
            metadata = connection.call("Metadata", 12, {"Topics": []})
        assert [(b["Host"], b["Port"]) for b in metadata["Brokers"]] == [("127.0.0.1", port)]
    finally:
        server.kill()


@ours
def test_two_servers_cannot_share_a_directory_or_a_port(brokers):
    broker = brokers.start()
    other = brokers.new(data=broker.data)
    other.properties_path.write_text("".join(f"{name}={value}\n" for name, value in other.settings.items()))
    status, lines = refused(other.properties_path)
    assert status == 1 and any(str(broker.data) in line for line in lines), lines
    third = brokers.new()
    third.settings["listeners"] = broker.settings["listeners"]
    third.properties_path.write_text("".join(f"{name}={value}\n" for name, value in third.settings.items()))
    third.data.mkdir()
    status, lines = refused(third.properties_path)
    assert status == 1 and any(str(broker.port) in line for line in lines), lines
    with connect(broker) as connection:
        assert connection.call("Metadata", 12, {"Topics": []})["Brokers"]


@ours
def test_it_does_not_format_what_holds_data(brokers):
    broker = brokers.start()
    create_topic(broker, "kept")
    broker.stop()
    (broker.data / "meta.properties").unlink()
    status, lines = refused(broker.properties_path)
    assert status == 1 and any("format" in line for line in lines), lines


@ours
def test_starts_and_stops_fast(brokers):
    broker = brokers.start()
    create_topic(broker, "some", partitions=50)
    broker.stop()

    def start_and_stop():
        broker.start()
        broker.stop()

    takes_less(4, start_and_stop)  # generous: sanitizers; ./dev bench has the figures
    wait_until(lambda: broker.log_text().count("stopp") >= 2, 20, "the lines that say that it stops")


def identity(broker):
    with connect(broker) as connection:
        metadata = connection.call("Metadata", 12, {"Topics": None})
        return metadata["ClusterId"], {topic["Name"]: topic["TopicId"] for topic in metadata["Topics"]}


@ours
def test_old_metadata_is_cleaned_away(brokers):
    """Snapshots that a later one replaces go, and the segments below it; nothing of what they say does."""
    wanted = {"metadata.log.max.record.bytes.between.snapshots": "2000", "metadata.max.retention.bytes": "0", "internal.metadata.log.segment.bytes": "4096"}
    broker = brokers.start(settings=wanted)
    log, topics = broker.data / "__cluster_metadata-0", []
    first = [log / f"{0:020}.log", log / f"{0:020}-{0:010}.checkpoint"]
    assert all(path.exists() for path in first)

    def cleaned():
        """Snapshots come with what is written: one more topic for each look."""
        topics.append(f"kept-{len(topics)}")
        create_topic(broker, topics[-1])
        return not any(path.exists() for path in first)

    wait_until(cleaned, 60, "the first segment and the first snapshot to go")
    before = identity(broker)
    assert set(before[1]) == set(topics)
    for end in broker.stop, broker.kill:
        end()
        broker.start()
        assert identity(broker) == before


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_everything_is_there_after_a_restart(brokers, how):
    broker = brokers.start()
    for name in ("one", "two", "three"):
        create_topic(broker, name, partitions=3)
    with connect(broker) as connection:
        for i in range(100):
            assert error(produce(connection, "two", [(b"k", b"%d" % i)], partition=i % 3)) == 0
        deleted = connection.call("DeleteTopics", 6, {"Topics": [{"Name": "three"}], "TimeoutMs": 10000})
        assert error(deleted["Responses"][0]) == 0
    before = identity(broker)
    assert set(before[1]) == {"one", "two"}
    for _ in range(3):
        broker.stop() if how == "stop" else broker.kill()
        broker.start()
        assert identity(broker) == before
    with connect(broker) as connection:
        for partition in range(3):
            want = [b"%d" % i for i in range(100) if i % 3 == partition]
            assert values(fetch(connection, "two", partition=partition)[1]) == want
            settled = lambda: end_offset(connection, "two", partition)["Offset"] == len(want)  # noqa: E731,B023
            wait_until(settled, 20, f"the end of partition {partition} at {len(want)}")


def test_sigterm_lets_waiting_requests_go(brokers):
    """A long poll is no reason for a stop to take its time."""
    broker = brokers.start()
    create_topic(broker, "waited")
    broker.stop()

    def stop_under_a_poll():
        broker.start()
        with connect(broker, timeout_s=60) as connection:
            connection.send("Fetch", 11, fetch_body("waited", max_wait_ms=60_000, min_bytes=1))
            began = time.monotonic()
            broker.stop()
            return time.monotonic() - began

    takes_less(4, stop_under_a_poll)


def test_a_long_poll_ends_with_the_next_record(brokers):
    broker = brokers.start()
    create_topic(broker, "polled")
    got = []

    def poll():
        with connect(broker, timeout_s=60) as connection:
            got.extend(fetch(connection, "polled", max_wait_ms=30_000, min_bytes=1)[1])

    poller = threading.Thread(target=poll)
    poller.start()
    with connect(broker) as connection:
        # an empty long poll on the same topic comes back when its time is over, not before
        started = time.monotonic()
        assert fetch(connection, "polled", max_wait_ms=300, min_bytes=1) == (0, [])
        assert time.monotonic() - started > 0.25
        produce(connection, "polled", [(None, b"the record")])
    poller.join(20)
    assert not poller.is_alive() and values(got) == [b"the record"]


def test_acks_0_1_and_all(brokers):
    broker = brokers.start()
    create_topic(broker, "acks")
    with connect(broker) as connection:
        for i in range(5):
            connection.send("Produce", 9, _with_acks("acks", i, 0))
        for i, acks in ((5, 1), (6, -1)):
            assert error(produce(connection, "acks", [(None, b"%d" % i)], acks=acks)) == 0
        assert values(fetch(connection, "acks")[1]) == [b"%d" % i for i in range(7)]
    with connect(broker) as connection:  # with acks=0 an error can only be told by closing
        connection.send("Produce", 9, _with_acks("nowhere-at-all", 0, 0, partition=77))
        with pytest.raises((EOFError, ConnectionError)):
            connection.receive_frame()


def _with_acks(topic, number, acks, partition=0):
    return produce_body(topic, [(None, b"%d" % number)], partition=partition, acks=acks)


def test_flush_messages_is_acknowledged(brokers):
    broker = brokers.start()
    create_topic(broker, "flushed", **{"flush_messages": "1"})
    with connect(broker) as connection:
        for i in range(50):
            assert error(produce(connection, "flushed", [(None, b"%d" % i)])) == 0
    broker.kill()
    broker.start()
    with connect(broker) as connection:
        assert values(fetch(connection, "flushed")[1]) == [b"%d" % i for i in range(50)]


def test_segments_roll_and_old_ones_are_deleted(brokers):
    broker = brokers.start(settings={"log.retention.check.interval.ms": "500", "log.segment.delete.delay.ms": "100"})
    create_topic(broker, "rolled", **{"segment_bytes": "1048576", "retention_bytes": "2097152"})
    with connect(broker) as connection:
        for i in range(60):
            assert error(produce(connection, "rolled", [(None, b"%08d" % i + b"x" * 100_000)])) == 0
        folder = broker.partition_directory("rolled")
        start = 30  # of six segments the last three hold as much as is to be kept
        wait_until(lambda: end_offset(connection, "rolled", timestamp=-2)["Offset"] == start, 30, "old segments to be given up")
        kept = [f"{base:020}.log" for base in (30, 40, 50)]
        wait_until(lambda: sorted(path.name for path in folder.glob("*.log*")) == kept, 30, "their files to go")
        assert fetch(connection, "rolled", 0)[0] == 1  # OFFSET_OUT_OF_RANGE
        batches = fetch(connection, "rolled", start, max_bytes=1)[1]
        assert values(batches)[0].startswith(b"%08d" % start)


@ours
@pytest.mark.parametrize("how", ["file", "cluster"])
def test_producers_that_left_are_forgotten(brokers, how):
    names = ("producer.id.expiration.check.interval.ms", "producer.id.expiration.ms")
    broker = brokers.start(settings=dict.fromkeys(names if how == "file" else names[:1], "300"))
    create_topic(broker, "left")
    with connect(broker) as connection:
        assert error(produce(connection, "left", batch([(b"k", b"v")], ts=now_ms(), pid=7, epoch=0, seq=0))) == 0

        def active():
            wanted = {"Topics": [{"Name": "left", "PartitionIndexes": [0]}]}
            return connection.call("DescribeProducers", 0, wanted)["Topics"][0]["Partitions"][0]["ActiveProducers"]

        if how == "cluster":  # after a day, but for this
            assert len(active()) == 1
            alter(broker, BROKER, "", producer_id_expiration_ms="300")
        wait_until(lambda: not active(), 20, "the producer's end")


@ours
def test_a_controller_is_no_broker(tmp_path):
    port, data = free_port(), tmp_path / "data"
    settings = {"process.roles": "controller", "listeners": f"CONTROLLER://127.0.0.1:{port}", "log.dirs": data}
    overrides = [word for name, value in settings.items() for word in ("--override", f"{name}={value}")]
    server = Process("odradek", [odradek_binary(), "server", *overrides], tmp_path / "log")
    try:
        wait_until(lambda: "started" in server.log_text(), 20, "the start")
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0, server.log_text()
    finally:
        server.kill()
    dump = run([odradek_binary(), "log", "dump", "--records", data / "__cluster_metadata-0"]).decode()
    assert "RegisterControllerRecord" in dump and "RegisterBrokerRecord" not in dump, dump


@ours
def test_a_process_that_is_stopped_again_and_again_is_still_heard_of(brokers):
    """Each time it goes on its wait is cut short: the controller hears of it all the same, and clients are sent to it."""
    broker = brokers.start(settings={"broker.heartbeat.interval.ms": "200", "broker.session.timeout.ms": "500"})
    began = time.monotonic()
    with connect(broker) as connection:

        def is_known():
            for number in (signal.SIGSTOP, signal.SIGCONT):
                broker.process.signal(number)
            return connection.call("Metadata", 12, {"Topics": []})["Brokers"] and time.monotonic() - began > 1.5

        wait_until(is_known, 20, "the broker to be known when its session would be over")


@ours
def test_sigint_stops_it_too(brokers):
    broker = brokers.start()
    broker.process.signal(signal.SIGINT)
    assert broker.process.wait(20) == 0
    broker.process = None
    assert (broker.data / ".kafka_cleanshutdown").exists()
