"""What a log sheds, when, and that nobody who reads it notices. Against Apache Kafka, too: --broker kafka."""

import re
import socket
import struct

import pytest

from harness.batch import batch, parse
from harness.compaction import COMPACTED, EAGER, bases, last_values, records, wait_compacted
from harness.process import wait_until
from harness.requests import BROKER, TOPIC, alter, connect, create_topic, delete_records, end_offset, error, fetch_body, now_ms, produce
from harness.wire import decode_response, encode_request

QUICK = {
    **EAGER,
    "log.retention.check.interval.ms": "200",
    "log.initial.task.delay.ms": "100",
    "log.segment.delete.delay.ms": "100",
}
SMALL = {"internal_segment_bytes": "10000"}
HOUR_MS = 3_600_000


def send(broker, topic, times_ms, size=6000):
    """A batch for each time; two do not fit into a small segment."""
    with connect(broker) as connection:
        for number, time_ms in enumerate(times_ms):
            raw = batch([(b"key %d" % number, b"v" * size)], ts=time_ms)
            assert error(produce(connection, topic, raw)) == 0


def start_offset(broker, topic):
    with connect(broker) as connection:
        return end_offset(connection, topic, timestamp=-2)["Offset"]


def wait_start(broker, topic, offset):
    wait_until(lambda: start_offset(broker, topic) == offset, 20, f"{topic} to start at {offset}", every_s=0.1)


def rounds(broker):
    """Until retention has had its turn twice: what is still there stays. A topic of its own shows the turns."""
    for number in range(2):
        topic = f"turn-{number}-{now_ms()}"
        create_topic(broker, topic, **SMALL, retention_ms="1")
        send(broker, topic, [now_ms() - HOUR_MS] * 2)
        wait_start(broker, topic, 2)


def test_by_time(brokers):
    """A segment goes by its largest timestamp; the active one is sealed and goes, too, once it is old."""
    broker, now = brokers.start(settings=QUICK), now_ms()
    create_topic(broker, "aging", **SMALL, retention_ms=str(HOUR_MS))
    old, young = now - 2 * HOUR_MS, now - HOUR_MS // 2
    send(broker, "aging", [old, old + 1, young, old, young])
    wait_start(broker, "aging", 2)  # what is old but lies behind what is young stays
    rounds(broker)
    assert bases(broker, "aging") == [2, 3, 4]
    create_topic(broker, "old", **SMALL, retention_ms=str(HOUR_MS))
    send(broker, "old", [old, old])
    wait_start(broker, "old", 2)
    send(broker, "old", [young])
    wait_until(lambda: bases(broker, "old") == [2], 20, "an empty active segment to be filled")
    assert [record[0] for record in records(broker, "old", start=2)] == [2]


def test_the_first_look(brokers):
    """Not an hour after the start."""
    broker = brokers.start(settings={**QUICK, "log.retention.check.interval.ms": "3600000"})
    create_topic(broker, "old", **SMALL, retention_ms=str(HOUR_MS))
    send(broker, "old", [now_ms() - 2 * HOUR_MS] * 3)
    broker.stop()
    broker.start()
    wait_start(broker, "old", 3)


def test_the_future_stays(brokers):
    """Records from the future hold back what lies behind them."""
    broker, now = brokers.start(settings=QUICK), now_ms()
    more = {"retention_ms": "1000", "message_timestamp_after_max_ms": str(10 * HOUR_MS)}
    create_topic(broker, "future", **SMALL, **more)
    send(broker, "future", [now - HOUR_MS, now + HOUR_MS, now - HOUR_MS])
    wait_start(broker, "future", 1)
    rounds(broker)
    assert start_offset(broker, "future") == 1


def test_by_size(brokers):
    """As many go as leave at least retention.bytes."""
    broker, now = brokers.start(settings=QUICK), now_ms()
    create_topic(broker, "large", **SMALL, retention_bytes="15000", retention_ms="-1")
    send(broker, "large", [now] * 8)
    wait_start(broker, "large", 5)  # three segments of a good 6000 bytes; without one of them it would be too few
    rounds(broker)
    assert bases(broker, "large") == [5, 6, 7]


@pytest.mark.parametrize("policy", ["compact", "compact,delete", ""])
def test_by_policy(brokers, policy):
    """Only `delete` looks at time and size. Without a policy nothing goes by itself."""
    broker, old = brokers.start(settings=QUICK), now_ms() - HOUR_MS
    create_topic(broker, "kept", **{**COMPACTED, **SMALL, "cleanup_policy": policy}, retention_ms="1000", retention_bytes="1")
    send(broker, "kept", [old] * 6)
    if "delete" in policy:
        wait_start(broker, "kept", 6)
        return
    rounds(broker)
    assert start_offset(broker, "kept") == 0
    if policy:
        wait_compacted(broker, "kept")
        assert len(last_values(records(broker, "kept"))) == 6
        return
    before = bases(broker, "kept")
    with connect(broker) as connection:
        assert delete_records(connection, "kept", (0, 5)) == {0: (0, 5)}
    wait_until(lambda: bases(broker, "kept")[0] == 5, 20, f"segments below the start to go: {before}")


@pytest.fixture
def ours_alone(broker_kind):
    if broker_kind == "kafka":
        pytest.skip("says something of Odradek alone: Apache Kafka closes such a connection, and has no thread names to look at")


def cleaner_threads(broker):
    return [name for name in broker.thread_names() if name.startswith("log-compact")]


def test_compaction_follows_its_settings(ours_alone, brokers):
    """A topic that becomes compacted, and the pace, the threads and the memory of all: without a restart."""
    broker = brokers.start(settings={"log.cleaner.backoff.ms": "3600000", "log.cleaner.io.max.bytes.per.second": "1"})
    create_topic(broker, "changing", **{**COMPACTED, "cleanup_policy": "delete"}, retention_ms="-1")
    with connect(broker) as connection:
        for number in range(8):
            raw = batch([(b"key", b"%d" % number * 9000)], ts=now_ms())
            assert error(produce(connection, "changing", raw)) == 0
    wait_until(lambda: cleaner_threads(broker) == ["log-compact-0"], 20, "the cleaner to start")
    alter(broker, TOPIC, "changing", cleanup_policy="compact")
    alter(broker, BROKER, "", log_cleaner_backoff_ms="100")  # the round begins, and waits: a byte a second
    alter(broker, BROKER, "", log_cleaner_threads="2")
    wait_until(lambda: cleaner_threads(broker) == ["log-compact-0", "log-compact-1"], 20, "a second thread")
    alter(broker, BROKER, "", log_cleaner_io_max_bytes_per_second="1e9")
    alter(broker, BROKER, "", log_cleaner_threads="1")
    wait_until(lambda: cleaner_threads(broker) == ["log-compact-0"], 20, "the second thread to end")
    wait_compacted(broker, "changing")
    assert [record[0] for record in records(broker, "changing")] == [6, 7]
    alter(broker, TOPIC, "changing", cleanup_policy="delete")
    alter(broker, BROKER, "", log_cleaner_dedupe_buffer_size="1100000", log_cleaner_io_buffer_load_factor="0.0001")  # for four keys
    send(broker, "changing", [now_ms()] * 12, size=9000)
    alter(broker, TOPIC, "changing", cleanup_policy="compact")
    wait_compacted(broker, "changing")
    keys = [int(count) for count in re.findall(r"compacted changing-0 .* for (\d+) keys", broker.log_text())]
    assert max(keys) == 4 and sum(keys) >= 12, keys


class SlowReader:
    """Asks for a lot and takes nothing until it is told to."""

    def __init__(self, broker, topic, max_bytes):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", broker.port))
        body = fetch_body(topic, 0, max_bytes=max_bytes)
        request = encode_request("Fetch", 11, {**body, "MaxBytes": max_bytes})
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        self.head = self._take(4)

    def _take(self, size):
        out = b""
        while len(out) < size:
            more = self.socket.recv(min(size - len(out), 1 << 20))
            assert more, "the connection was closed"
            out += more
        return out

    def rest(self):
        with self.socket:
            answer = decode_response("Fetch", 11, self._take(struct.unpack(">i", self.head)[0]))
        return parse(answer[1]["Responses"][0]["Partitions"][0]["Records"])


@pytest.mark.parametrize("how", ["retention", "compaction", "topic"])
def test_what_is_sent_stays_as_it_was(ours_alone, brokers, how):
    """A segment is compacted or deleted, and its file gone, while somebody is reading it slowly."""
    broker = brokers.start(settings={**QUICK, "log.cleaner.enable": "true" if how == "compaction" else "false"})
    policy = "compact" if how == "compaction" else "delete"
    more = {"cleanup_policy": policy, "min_cleanable_dirty_ratio": "0.01", "max_message_bytes": "2000000"}
    create_topic(broker, "slow", segment_bytes=str(32 << 20), retention_ms="-1", min_compaction_lag_ms="3000", **more)
    sent = [(b"key %d" % (number % 4), b"%d" % number * 400_000) for number in range(16)]
    with connect(broker) as connection:
        for record in sent:
            assert error(produce(connection, "slow", batch([record], ts=now_ms()))) == 0
        reader = SlowReader(broker, "slow", 32 << 20)
        folder = broker.partition_directory("slow")
        inode = (folder / f"{0:020d}.log").stat().st_ino
        if how == "topic":
            names = {"TopicNames": ["slow"], "TimeoutMs": 10000}
            assert connection.call("DeleteTopics", 5, names)["Responses"][0]["ErrorCode"] == 0
        else:
            for _ in range(20):  # more than fits: the first segment is sealed
                assert error(produce(connection, "slow", batch([(b"key 0", b"x" * 1_900_000)], ts=now_ms()))) == 0
        if how == "retention":
            assert error(end_offset(connection, "slow")) == 0
            behind = bases(broker, "slow")[-1]
            assert delete_records(connection, "slow", (0, behind)) == {0: (0, behind)}

    def gone():
        try:
            return inode not in [path.stat().st_ino for path in broker.data.glob("slow-0*/*.log*")]
        except FileNotFoundError:
            return False  # one went while we looked

    wait_until(gone, 40, "the file to go", every_s=0.2)
    got = [record for one in reader.rest() if "cut" not in one for record in one["Content"]]
    assert [(bytes.fromhex(key), bytes.fromhex(value)) for _, _, key, value, _ in got[: len(sent)]] == sent


def test_a_segment_is_sealed_when_its_time_has_come(brokers):
    """By the records' times, with the next append; a compacted topic in time for its largest lag."""
    broker, start = brokers.start(settings=QUICK), now_ms() - HOUR_MS
    create_topic(broker, "timed", segment_ms="10000", retention_ms="-1")
    create_topic(broker, "lagging", cleanup_policy="compact", segment_ms="1000000", max_compaction_lag_ms="10000")
    for topic in ("timed", "lagging"):
        send(broker, topic, [start, start + 10_000, start + 10_001, start + 15_000])
    for topic in ("timed", "lagging"):  # one is being compacted meanwhile: its file is replaced
        wait_until(lambda topic=topic: bases(broker, topic) == [0, 2], 20, f"a segment of {topic} to be sealed")
    wait_compacted(broker, "lagging")  # overdue: the dirty ratio does not matter


def test_a_young_record_is_not_compacted(brokers):
    broker, now = brokers.start(settings=QUICK), now_ms()
    create_topic(broker, "lag", **COMPACTED, min_compaction_lag_ms=str(HOUR_MS))
    old, young = now - 2 * HOUR_MS, now - HOUR_MS // 2
    with connect(broker) as connection:
        for number, time_ms in enumerate([old, old, old, young, old, now]):
            raw = batch([(b"key", b"%d" % number * 9000)], ts=time_ms)
            assert error(produce(connection, "lag", raw)) == 0

    def left():
        return [record[0] for record in records(broker, "lag")]

    wait_until(lambda: left() == [2, 3, 4, 5], 20, "old records to be compacted", every_s=0.1)
    rounds(broker)
    assert left() == [2, 3, 4, 5]
