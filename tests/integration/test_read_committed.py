"""What a reader of committed records sees, whatever becomes of the log: rolls, retention, deletion, compaction, restarts, and a
crash that loses the index of aborted transactions. Against Apache Kafka, too: --broker kafka."""

import pytest

from harness import crash
from harness.batch import CONTROL, parse
from harness.compaction import COMPACTED, EAGER, bases, wait_compacted
from harness.process import wait_until
from harness.requests import TOPIC, alter, connect, create_topic, delete_records
from harness.story import SMALL, Story
from harness.transactions import ABORTED, Producer, ends, is_settled, read

QUICK = {
    **EAGER,
    "log.retention.check.interval.ms": "200",
    "log.initial.task.delay.ms": "100",
    "log.segment.delete.delay.ms": "100",
}


def told(broker, topic="t", seed=1, steps=80, **configs):
    configs = {**SMALL, **configs}
    create_topic(broker, topic, **configs)
    story = Story(broker, topic, seed, int(configs["internal_segment_bytes"]))
    story.tell(broker, steps)
    return story


def test_over_rolls_and_restarts(brokers):
    """A transaction may span segments, and be open while the broker stops or dies."""
    broker = brokers.start()
    story = told(broker)
    assert len(bases(broker, "t")) > 5
    story.check(broker)
    for end in (broker.stop, broker.kill):
        assert story.open
        end()
        broker.start()
        story.check(broker)
        story.resume(broker)
        story.tell(broker, 30)
        story.check(broker)
    story.end_all()
    story.check(broker)
    story.close()


def test_deleted_up_to_anywhere(brokers):
    """The log may start within a transaction, aborted, committed or open."""
    broker = brokers.start()
    story = told(broker, seed=2)
    _, _, end = ends(broker.port, "t")
    for turn, before in enumerate(range(end // 8, end, end // 8)):
        with connect(broker) as connection:
            assert delete_records(connection, "t", (0, before)) == {0: (0, before)}
        assert ends(broker.port, "t")[0] == before
        check_from_start(story, broker)
        if turn % 2:
            broker.kill() if turn % 4 == 1 else broker.stop()
            broker.start()
            check_from_start(story, broker)
    story.resume(broker)
    story.end_all()
    check_from_start(story, broker)
    story.tell(broker, 20)
    check_from_start(story, broker)
    story.close()


def check_from_start(story, broker):
    """What began in front of the log's start holds readers up no more than from there on."""
    start = ends(broker.port, story.topic)[0]
    for transaction in story.open.values():
        transaction.first = max(transaction.first, start)
    story.check(broker)


def test_retention(brokers):
    """Segments go while a transaction that began in them is open, and an aborted one's index with its segment."""
    broker = brokers.start(settings=QUICK)
    story = told(broker, seed=3, steps=120, retention_ms="-1")
    story.seal(broker)
    story.check(broker)
    alter(broker, TOPIC, "t", retention_bytes="40000")
    wait_until(lambda: ends(broker.port, "t")[0] > 0, 20, "the first segment to go")
    alter(broker, TOPIC, "t", retention_bytes=None)
    check_from_start(story, broker)
    story.end_all(commit=False)
    story.tell(broker, 30)
    check_from_start(story, broker)
    broker.kill()
    broker.start()
    check_from_start(story, broker)
    story.close()


def control_batches(broker, topic):
    return [
        one
        for path in sorted(broker.partition_directory(topic).glob("*.log"))
        for one in parse(path.read_bytes())
        if one.get("Attributes", 0) & CONTROL
    ]


def data_of(broker, topic):
    return {
        (one["BaseOffset"] + delta)
        for path in sorted(broker.partition_directory(topic).glob("*.log"))
        for one in parse(path.read_bytes())
        if not one.get("Attributes", 0) & CONTROL
        for _, delta, *_ in one["Content"]
    }


def aborted_offsets(story):
    return {
        part.first + i
        for part in story.parts
        if part.transaction and not part.transaction.open and not part.transaction.committed
        for i in range(len(part.records))
    }


@pytest.mark.parametrize("keep_ms", ["86400000", "0"], ids=["markers stay", "markers go"])
def test_compaction(brokers, keep_ms):
    """What was aborted goes with the first round, markers stay as long as tombstones; an open transaction stops it."""
    broker = brokers.start(settings=EAGER)
    story = told(broker, seed=4, steps=100, **COMPACTED, delete_retention_ms=keep_ms)
    story.end_all()
    story.settled(broker)
    markers = len(control_batches(broker, "t"))
    aborted = aborted_offsets(story)
    assert markers > 10 and aborted
    for _ in range(3):  # the horizon is set in one round and passed in a later one
        story.seal(broker)
        wait_compacted(broker, "t")
    story.check_compacted(broker)
    assert not aborted & data_of(broker, "t")
    left = [one for one in control_batches(broker, "t") if one["Content"]]
    if keep_ms == "0":
        assert len(left) < markers / 2
    else:
        kinds = [one["Content"][0][2] == ABORTED for one in left]
        assert True in kinds and False in kinds
    for end in (broker.stop, broker.kill):
        end()
        broker.start()
        story.check_compacted(broker)
    story.resume(broker)
    story.tell(broker, 40)
    story.seal(broker)
    story.check_compacted(broker)
    story.end_all(commit=False)
    story.check_compacted(broker)
    story.close()


def test_compaction_stops_at_an_open_transaction(brokers):
    """Nothing behind its first record is touched, sealed or not; when it has ended, the rest follows."""
    broker = brokers.start(settings=EAGER)
    story = told(broker, seed=5, steps=40, **COMPACTED)
    story.end_all()
    story.seal(broker)
    wait_compacted(broker, "t")
    holder = story.producers[2]
    story.write(holder)
    story.producers.remove(holder)
    story.tell(broker, 60)
    story.seal(broker)
    held = {part.first for part in story.parts if part.first >= story.open[holder].first}
    other = told(broker, "turn", seed=5, steps=40, **COMPACTED)  # shows that the cleaner has had its turn
    other.end_all()
    other.seal(broker)
    wait_compacted(broker, "turn")
    other.close()
    story.check_compacted(broker)
    assert held <= data_of(broker, "t")
    story.end(holder, commit=True)
    story.producers.append(holder)
    story.end_all(commit=False)
    story.seal(broker)
    wait_compacted(broker, "t")
    story.check_compacted(broker)
    assert not aborted_offsets(story) & data_of(broker, "t")
    story.close()


def forget_what_was_not_flushed(broker, topic):
    """As after a power failure: of what lies behind the recovery point (here: of everything) only the log itself survived."""
    directory = broker.partition_directory(topic)
    lost = [*directory.glob("*.txnindex"), *directory.glob("*.snapshot")]
    for path in lost:
        path.unlink()
    (broker.data / "recovery-point-offset-checkpoint").unlink(missing_ok=True)
    (broker.data / "odradek-boot-id").write_text("of another boot\n")
    return [path.name for path in lost]


def test_the_index_is_rebuilt(brokers):
    broker = brokers.start()
    story = told(broker, seed=6)
    story.check(broker)
    broker.kill()
    lost = forget_what_was_not_flushed(broker, "t")
    assert sum(name.endswith(".txnindex") for name in lost) > 3, lost
    broker.start()
    story.check(broker)
    broker.stop()
    indexes = list(broker.partition_directory("t").glob("*.txnindex"))
    assert sum(path.stat().st_size > 0 for path in indexes) > 3
    broker.start()
    story.check(broker)
    story.close()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return crash.build(tmp_path_factory.mktemp("crash"))


@pytest.mark.parametrize("how", crash.HOWS)
@pytest.mark.parametrize("at", [1, 3])
def test_killed_as_the_index_grows(brokers, library, at, how):
    """Before, within and after an entry: the marker is in the log already, or will be."""
    broker = brokers.new()
    crash.arm(broker, library, ["t"], at, how, suffix=".txnindex")
    broker.start()
    create_topic(broker, "t", **SMALL)
    producer, values = Producer(broker.port, "x").init(), []
    with pytest.raises((OSError, EOFError)):
        for number in range(8):
            value = b"%d" % number
            producer.produce("t", 0, value, b"x" * 3000)
            commit = number % 2 == 0
            values += [value, b"x" * 3000] if commit else []
            producer.end(commit)
            producer.init(keep=True)
    crash.await_death(broker)
    crash.disarm(broker)
    broker.start()
    Producer(broker.port, "x").init().close()
    wait_until(lambda: is_settled(broker.port, "t", [0]), 20, "the transaction to end")
    assert read(broker.port, "t", 0) == values
    assert len(read(broker.port, "t", 0, committed=False)) > len(values)
    producer.close()
