"""Settings that are changed while the broker runs count at once, for logs and connections that are there already:
a topic's own, the cluster's default behind it, and the broker's. docs/storage.md names these tests."""

import itertools
import socket

import pytest

from harness.batch import batch
from harness.compaction import COMPACTED, bases, checkpoint, records, wait_compacted
from harness.process import wait_until
from harness.requests import BROKER, TOPIC, alter, connect, create_topic, end_offset, error, fetch, now_ms, produce

BEHIND = {
    "cleanup.policy": "log.cleanup.policy",
    "compression.type": "compression.type",
    "compression.gzip.level": "compression.gzip.level",
    "delete.retention.ms": "log.cleaner.delete.retention.ms",
    "file.delete.delay.ms": "log.segment.delete.delay.ms",
    "flush.messages": "log.flush.interval.messages",
    "flush.ms": "log.flush.interval.ms",
    "index.interval.bytes": "log.index.interval.bytes",
    "max.message.bytes": "message.max.bytes",
    "message.timestamp.after.max.ms": "log.message.timestamp.after.max.ms",
    "message.timestamp.before.max.ms": "log.message.timestamp.before.max.ms",
    "message.timestamp.type": "log.message.timestamp.type",
    "min.cleanable.dirty.ratio": "log.cleaner.min.cleanable.ratio",
    "min.compaction.lag.ms": "log.cleaner.min.compaction.lag.ms",
    "preallocate": "log.preallocate",
    "retention.bytes": "log.retention.bytes",
    "retention.ms": "log.retention.ms",
    "segment.bytes": "log.segment.bytes",
    "segment.index.bytes": "log.index.size.max.bytes",
    "segment.jitter.ms": "log.roll.jitter.ms",
    "segment.ms": "log.roll.ms",
}
QUICK = {
    "log.retention.check.interval.ms": "100",
    "log.initial.task.delay.ms": "100",
    "log.segment.delete.delay.ms": "100",
    "log.flush.offset.checkpoint.interval.ms": "100",
    "log.flush.scheduler.interval.ms": "100",
    "log.cleaner.backoff.ms": "100",
}
HOUR_MS = 3_600_000
MIB = 1 << 20


class Log:
    """A topic of one partition whose settings change, by its own settings or by those behind them."""

    def __init__(self, broker, by):
        self.broker, self.by, self.name = broker, by, f"t-{by}"
        self.folder = broker.partition_directory(self.name)

    def create(self, **settings):
        create_topic(self.broker, self.name, **settings)

    def change(self, setting, value):
        if self.by == "topic":
            alter(self.broker, TOPIC, self.name, **{setting: value})
        else:
            alter(self.broker, BROKER, "", **{BEHIND[setting]: value})

    def send(self, size=6000, ts=None, key=b"k", value=None):
        with connect(self.broker) as connection:
            records = [(key, value if value is not None else b"v" * size)]
            return error(produce(connection, self.name, batch(records, ts=now_ms() if ts is None else ts)))

    def bases(self):
        return bases(self.broker, self.name)

    def newest(self, suffix):
        return sorted(self.folder.glob("*" + suffix))[-1]

    def last_batch(self):
        with connect(self.broker) as connection:
            end = end_offset(connection, self.name)["Offset"]
            code, batches = fetch(connection, self.name, end - 1)
            assert code == 0
            return batches[-1]


@pytest.fixture(params=["topic", "cluster"])
def log(request, brokers):
    return Log(brokers.start(settings=QUICK), request.param)


def test_segment_bytes(log):
    log.create()
    assert [log.send(400_000) for _ in range(3)] == [0] * 3 and log.bases() == [0]
    log.change("segment.bytes", str(MIB))
    assert log.send(400_000) == 0 and log.bases() == [0, 3]


def test_segment_ms(log):
    log.create()
    assert log.send(ts=now_ms() - HOUR_MS) == 0 and log.send() == 0 and log.bases() == [0]
    log.change("segment.ms", "60000")
    assert log.send() == 0 and log.bases() == [0, 2]


def test_segment_jitter_ms(log):
    """Segments are sealed every 10 s; with as much jitter, every 5 to 6 s in the mean."""
    log.create(segment_ms="10000")
    second, counts = itertools.count((now_ms() - HOUR_MS) // 1000), []
    for seconds in (150, 300):
        before = len(log.bases())
        for _ in range(seconds):
            assert log.send(100, ts=next(second) * 1000) == 0
        counts.append(len(log.bases()) - before)
        log.change("segment.jitter.ms", "10000")
    assert counts[0] <= 15 and counts[1] > 34, counts  # fewer than that: one in a million times


def test_segment_index_bytes(log):
    log.create()
    log.change("segment.index.bytes", "16")  # two entries
    for _ in range(8):
        assert log.send() == 0
    assert len(log.bases()) >= 3


def test_index_interval_bytes(log):
    log.create(internal_segment_bytes="40000")
    for _ in range(8):
        assert log.send() == 0
    assert (log.folder / f"{0:020}.index").stat().st_size > 0
    log.change("index.interval.bytes", str(1 << 30))
    for _ in range(14):
        assert log.send() == 0
    sealed = sorted(log.folder.glob("*.index"))[-2]
    assert sealed.stat().st_size == 0


def test_max_message_bytes(log):
    log.create()
    assert log.send() == 0
    log.change("max.message.bytes", "1000")
    assert log.send() == 10  # MESSAGE_TOO_LARGE
    log.change("max.message.bytes", None)
    assert log.send() == 0


def test_compression_type(log):
    log.create()
    assert log.send() == 0 and log.last_batch()["Attributes"] & 7 == 0
    log.change("compression.type", "zstd")
    assert log.send() == 0 and log.last_batch()["Attributes"] & 7 == 4


def test_compression_level(log):
    log.create()
    log.change("compression.type", "gzip")
    words = b" ".join(b"%d" % (number * number % 977) for number in range(20_000))
    sizes = []
    for level in ("1", "9"):
        log.change("compression.gzip.level", level)
        before = log.newest(".log").stat().st_size
        assert log.send(value=words) == 0
        sizes.append(log.newest(".log").stat().st_size - before)
    assert sizes[1] < sizes[0]


def test_message_timestamp(log):
    log.create()
    old, future = now_ms() - HOUR_MS, now_ms() + HOUR_MS // 2
    assert log.send(ts=old) == 0 and log.send(ts=future) == 0
    log.change("message.timestamp.before.max.ms", "60000")
    assert log.send(ts=old) == 32  # INVALID_TIMESTAMP
    log.change("message.timestamp.after.max.ms", "60000")
    assert log.send(ts=future) == 32
    log.change("message.timestamp.type", "LogAppendTime")
    assert log.send(ts=old) == 0
    last = log.last_batch()
    assert last["Attributes"] & 8 and last["MaxTimestamp"] > old


def test_cleanup_policy(log):
    log.create()
    assert log.send(key=None) == 0
    log.change("cleanup.policy", "compact")
    assert log.send(key=None) == 87  # INVALID_RECORD
    assert log.send() == 0
    log.change("cleanup.policy", None)
    assert log.send(key=None) == 0


def test_when_a_log_is_compacted(log):
    """Not while its records are young, not while too little of it is dirty. How long a tombstone stays is settled by its first round."""
    log.create(cleanup_policy="compact", internal_segment_bytes="16384")
    create_topic(log.broker, "turn", **COMPACTED, min_compaction_lag_ms="0")

    def write(topic, tombstone=None):
        with connect(log.broker) as connection:
            for raw in [batch([(tombstone, None)], ts=now_ms())] * bool(tombstone) + [batch([(b"k", b"v" * 9000)], ts=now_ms())] * 3:
                assert error(produce(connection, topic, raw)) == 0

    def look():  # the cleaner has looked at all
        write("turn")
        wait_compacted(log.broker, "turn")

    def tombstones():
        return {record[2] for record in records(log.broker, log.name) if record[3] is None}

    log.change("min.compaction.lag.ms", str(HOUR_MS))
    log.change("min.cleanable.dirty.ratio", "0.01")
    write(log.name, b"a day")
    look()
    assert checkpoint(log.broker, log.name) == 0
    log.change("min.cleanable.dirty.ratio", "1")
    log.change("min.compaction.lag.ms", "0")
    look()
    assert checkpoint(log.broker, log.name) == 0
    log.change("min.cleanable.dirty.ratio", "0.01")
    wait_compacted(log.broker, log.name)
    log.change("delete.retention.ms", "0")
    write(log.name, b"no time")
    wait_compacted(log.broker, log.name)
    write(log.name)
    wait_until(lambda: tombstones() == {b"a day".hex()}, 20, "the second tombstone to go, and no other")


def test_retention_ms(log):
    log.create(internal_segment_bytes="10000")
    for _ in range(3):
        assert log.send(ts=now_ms() - HOUR_MS) == 0
    log.change("retention.ms", "60000")
    wait_until(lambda: not set(log.bases()) & {0, 1, 2}, 20, "the segments to go", every_s=0.05)


def test_retention_bytes(log):
    log.create(internal_segment_bytes="10000")
    for _ in range(4):
        assert log.send() == 0
    log.change("retention.bytes", "6100")
    wait_until(lambda: log.bases() == [2, 3], 20, "the segments to go", every_s=0.05)


def test_file_delete_delay_ms(log):
    log.create(internal_segment_bytes="10000")
    for _ in range(2):
        assert log.send(ts=now_ms() - HOUR_MS) == 0
    log.change("file.delete.delay.ms", str(1 << 40))
    log.change("retention.ms", "60000")
    wait_until(lambda: list(log.folder.glob("*.log.deleted")), 20, "the segments to go", every_s=0.05)
    kept = set(log.folder.glob("*.deleted"))
    log.change("file.delete.delay.ms", "0")
    assert log.send(ts=now_ms() - HOUR_MS) == 0
    last = f"{2:020}.log"
    wait_until(lambda: not list(log.folder.glob(last + "*")), 20, "the next one to go at once", every_s=0.05)
    assert {path for path in kept if path.exists()} == kept  # these were marked with the delay of then


@pytest.mark.parametrize("setting, value", [("flush.messages", "1"), ("flush.ms", "50")])
def test_flush(log, setting, value):
    log.create()

    def flushed():
        path = log.broker.data / "recovery-point-offset-checkpoint"
        lines = path.read_text().splitlines() if path.exists() else []
        return {words[0]: int(words[2]) for words in map(str.split, lines[2:])}.get(log.name, 0)

    assert log.send() == 0
    log.change(setting, value)
    assert log.send() == 0
    wait_until(lambda: flushed() == 2, 20, "the log to be flushed", every_s=0.05)


def test_preallocate(log):
    log.create(segment_bytes=str(8 * MIB), segment_ms="60000")
    assert log.send(ts=now_ms() - HOUR_MS) == 0
    assert log.newest(".log").stat().st_blocks * 512 < MIB
    log.change("preallocate", "true")
    assert log.send() == 0 and log.bases() == [0, 1]
    state = log.newest(".log").stat()
    assert state.st_size < MIB and state.st_blocks * 512 >= 8 * MIB
    log.change("preallocate", "false")
    assert log.send(ts=now_ms() + HOUR_MS // 2) == 0 and log.send() == 0 and log.bases() == [0, 1, 2]
    assert (log.folder / f"{1:020}.log").stat().st_blocks * 512 < MIB  # what was not used was given back
    assert log.newest(".log").stat().st_blocks * 512 < MIB


def test_changes_last(brokers):
    broker = brokers.start()
    create_topic(broker, "kept")
    alter(broker, TOPIC, "kept", max_message_bytes="1000")
    alter(broker, BROKER, "1", compression_type="gzip")
    alter(broker, BROKER, "", message_timestamp_type=None, log_message_timestamp_type="LogAppendTime")
    for stop in (broker.stop, broker.kill):
        stop()
        broker.start()
        log = Log(broker, "topic")
        log.name = "kept"
        assert log.send() == 10
        assert log.send(100) == 0
        assert log.last_batch()["Attributes"] == 8 + 1  # LogAppendTime, gzip


def test_a_topic_goes_before_the_broker_before_the_cluster(brokers):
    broker = brokers.start(settings={"message.max.bytes": "5000"})
    create_topic(broker, "t-topic")
    log = Log(broker, "topic")
    most = [
        (lambda: None, 5000),
        (lambda: alter(broker, BROKER, "", message_max_bytes="4000"), 4000),
        (lambda: alter(broker, BROKER, "1", message_max_bytes="3000"), 3000),
        (lambda: alter(broker, TOPIC, "t-topic", max_message_bytes="2000"), 2000),
        (lambda: alter(broker, BROKER, "1", message_max_bytes=None), 2000),
        (lambda: alter(broker, TOPIC, "t-topic", max_message_bytes=None), 4000),
        (lambda: alter(broker, BROKER, "", message_max_bytes=None), 5000),
    ]
    for change, limit in most:
        change()
        assert log.send(limit - 200) == 0 and log.send(limit) == 10, limit


def test_connections(brokers):
    broker = brokers.start()

    def closed_at_once(count):
        """How many of so many connections the broker takes and closes."""
        opened = [broker.connect() for _ in range(count)]
        try:
            gone = 0
            for one in opened:
                one.settimeout(0.3)
                try:
                    gone += one.recv(1) == b""
                except socket.timeout:
                    pass
                except ConnectionResetError:
                    gone += 1
            return gone
        finally:
            for one in opened:
                one.close()

    def change(name, **settings):
        """Its own connection may come before the broker has noticed that others have gone."""

        def let_in():
            try:
                alter(broker, BROKER, name, **settings)
                return True
            except (OSError, EOFError):
                return False

        wait_until(let_in, 20, "a place for a connection")

    assert closed_at_once(4) == 0
    change("", max_connections_per_ip="2")
    wait_until(lambda: closed_at_once(4) == 2, 30, "the limit of connections")
    change("1", max_connections_per_ip_overrides="127.0.0.1:3")
    wait_until(lambda: closed_at_once(4) == 1, 30, "the limit of this address")
    change("1", max_connections_per_ip_overrides=None)
    change("", max_connections_per_ip=None)
    wait_until(lambda: closed_at_once(4) == 0, 30, "no limit any more")
