"""A disk that fills: producing is refused before it is full, the rest goes on, and it lifts by itself."""

import os
import re
import threading
import time

import pytest

from harness.batch import batch
from harness.compaction import COMPACTED, EAGER, bases, last_values, records, wait_compacted
from harness.load import Load, read_partition
from harness.members import await_group, committed
from harness.process import preloadable, wait_until
from harness.requests import TOPIC, alter, connect, create_topic, delete_records, end_offset, error, fetch, now_ms, produce, values
from harness.transactions import Producer, Refused, is_settled, read

MB = 1 << 20
STORAGE_ERROR = 56


@pytest.fixture(autouse=True)
def _only_ours(broker_kind):
    if broker_kind == "kafka":
        pytest.skip("says something of Odradek alone")


def delete_topic(connection, name):
    answer = connection.call("DeleteTopics", 6, {"Topics": [{"Name": name}], "TimeoutMs": 20000})
    return error(answer["Responses"][0])


def try_produce(connection, topic, value=b"x"):
    return error(produce(connection, topic, [(None, value)]))


def test_producing_is_refused_below_the_limit_and_lifts(brokers, disks):
    disk = disks.small(64 * MB)
    broker = brokers.start(data=disk.path, settings={"storage.min.free.bytes": str(16 * MB), "log.retention.check.interval.ms": "200"})
    create_topic(broker, "kept", retention_ms="-1")
    create_topic(broker, "old", retention_ms="-1", file_delete_delay_ms="0")
    with connect(broker) as connection:
        assert try_produce(connection, "kept", b"first") == 0
        disk.fill(leave_bytes=15 * MB)
        wait_until(lambda: try_produce(connection, "kept", b"filler") == STORAGE_ERROR, 20, "produce to be refused")
        assert try_produce(connection, "old") == STORAGE_ERROR
        code, batches = fetch(connection, "kept")
        assert code == 0 and values(batches)[0] == b"first"
        create_topic(broker, "new")  # the metadata lives from what the limit keeps free
        assert delete_topic(connection, "new") == 0
        disk.room()
        wait_until(lambda: try_produce(connection, "kept", b"last") == 0, 20, "produce to go on")
        code, batches = fetch(connection, "kept")
        assert values(batches)[-1] == b"last"
    wait_until(lambda: "producing to its partitions goes on" in broker.log_text(), 20, "the line that it goes on")
    assert broker.log_text().count("storage.min.free.bytes=16777216") == 1, broker.log_text()


def test_what_makes_room_goes_on_below_the_limit(brokers, disks):
    """DeleteRecords, retention, compaction."""
    disk = disks.small(64 * MB)
    settings = {**EAGER, "storage.min.free.bytes": str(16 * MB), "log.retention.check.interval.ms": "200"}
    broker = brokers.start(data=disk.path, settings=settings)
    topics = ("cut", "old", "keyed")
    with connect(broker) as connection:
        for topic in topics:
            create_topic(broker, topic, **{**COMPACTED, "cleanup_policy": "delete"}, retention_ms="-1")
            for number in range(8):  # one is a segment
                raw = batch([(b"key", b"%d" % number * 9000)], ts=now_ms())
                assert error(produce(connection, topic, raw)) == 0
        disk.fill(leave_bytes=15 * MB)
        wait_until(lambda: try_produce(connection, "cut") == STORAGE_ERROR, 20, "produce to be refused")
        assert delete_records(connection, "cut", (0, 5)) == {0: (0, 5)}
        alter(broker, TOPIC, "old", retention_bytes="1")
        alter(broker, TOPIC, "keyed", cleanup_policy="compact")
        wait_until(lambda: bases(broker, "cut")[0] == 5, 20, "segments below the start to go")
        wait_until(lambda: end_offset(connection, "old", timestamp=-2)["Offset"] == 7, 20, "old segments to go")
        wait_compacted(broker, "keyed")
        assert [record[0] for record in records(broker, "keyed")] == [6, 7]
        assert try_produce(connection, "cut") == STORAGE_ERROR  # all that was below the limit


def test_the_limit_lifts_when_a_topic_is_deleted(brokers, disks):
    disk = disks.small(64 * MB)
    broker = brokers.start(data=disk.path, settings={"storage.min.free.bytes": str(16 * MB)})
    create_topic(broker, "kept")
    create_topic(broker, "much", segment_bytes=str(4 * MB), file_delete_delay_ms="0")
    with connect(broker) as connection:
        wait_until(lambda: try_produce(connection, "much", b"x" * 500000) == STORAGE_ERROR, 60, "the disk to be full", 0)
        assert disk.free_bytes < 17 * MB
        assert try_produce(connection, "kept") == STORAGE_ERROR
        assert delete_topic(connection, "much") == 0
        wait_until(lambda: try_produce(connection, "kept") == 0, 20, "produce to go on")


@pytest.mark.parametrize("flush", [False, True])
def test_a_disk_without_any_room_loses_nothing(brokers, disks, flush):
    disk = disks.small(256 * MB)
    settings = {"storage.min.free.bytes": "0", "log.segment.bytes": str(MB)}
    if flush:
        settings["log.flush.interval.messages"] = "1"
    broker = brokers.start(data=disk.path, settings=settings)
    create_topic(broker, "t", partitions=2, retention_ms="-1")
    create_topic(broker, "spare")
    loads = [Load(broker.port, f"p{i}", "t", i, seed=i) for i in range(2)]
    for load in loads:
        load.start()
    wait_until(lambda: all(load.acknowledged > 100 for load in loads), 30, "records")
    for _ in range(3):
        disk.fill()
        with connect(broker) as connection:
            wait_until(lambda: try_produce(connection, "spare", b"x" * 100000) == STORAGE_ERROR, 20, "a disk without room")
        assert broker.process.returncode is None
        before = [load.acknowledged for load in loads]
        disk.room()
        wait_until(lambda: all(load.acknowledged > old for load, old in zip(loads, before)), 30, "producing to go on")
    acknowledged = [load.finish() for load in loads]
    broker.kill()
    broker.start()
    for i, count in enumerate(acknowledged):
        found = [int(value.split()[1]) for value in values(read_partition(broker.port, "t", i))]
        assert found == list(range(count))


class Work(threading.Thread):
    """do(number) again and again, for 1, 2, 3 ...; one that is refused is done again, or not, as `again` says."""

    def __init__(self, do, again=True):
        super().__init__(daemon=True)
        self.do, self.again = do, again
        self.done, self.maybe, self.refusals, self.problem = [], set(), 0, None
        self.ending = threading.Event()
        self.start()

    def run(self):
        number = 1
        while not self.ending.is_set():
            time.sleep(0.005)
            try:
                self.do(number)
                self.done.append(number)
                number += 1
            except (Refused, OSError, EOFError):
                self.refusals += 1
                if not self.again:
                    self.maybe.add(number)
                    number += 1
                time.sleep(0.01)
            except Exception as problem:
                self.problem = problem
                return

    def finish(self):
        self.ending.set()
        self.join(60)
        assert not self.is_alive() and self.problem is None, self.problem
        return self.done


def refused_unless_done(answer):
    if error(answer):
        raise Refused("", error(answer))


# A file of each kind, as a pattern of its path (after a '+': the making of it alone); whose work is refused for the want of it; what is said.
APPEND, MADE = r"cannot append to \S+", r"made-\d+-0"  # of lines with the same beginning some are left out
NO_ROOM = [
    ("*/keyed-0/*.log", "keyed", APPEND),
    ("+*/keyed-0/*.log", "keyed", APPEND),
    ("*/keyed-0/*.index*", "keyed", r"keyed-0: cannot write the indexes of segment \d+"),
    ("*/keyed-0/*.timeindex*", "keyed", r"keyed-0: cannot write the indexes of segment \d+"),
    ("+*/keyed-0/*.*index", "keyed", APPEND),
    ("*/both-?/*.txnindex*", None, APPEND),  # the marker waits for room
    ("*/keyed-0/*.snapshot*", "keyed", r"cannot write \S+/keyed-0/\d+.snapshot"),
    ("*/leader-epoch-checkpoint*", None, rf"cannot write \S+/{MADE}/leader-epoch-checkpoint"),
    ("*/recovery-point-offset-checkpoint*", None, r"cannot write \S+-offset-checkpoint"),
    ("*/log-start-offset-checkpoint*", "cut", r"cannot write \S+-offset-checkpoint"),
    ("*/replication-offset-checkpoint*", None, r"cannot write \S+-offset-checkpoint"),
    ("*/cleaner-offset-checkpoint*", None, r"cannot write \S+-offset-checkpoint"),
    ("*.cleaned", None, "keyed-0: compaction stopped"),
    ("+*/made-*-0*", "topic", rf"cannot make \S+/{MADE}"),
    ("*/partition.metadata*", "topic", rf"cannot load \S+/{MADE}"),
    ("*/__cluster_metadata-0/*.log", "topic", "cannot append to __cluster_metadata-0"),
    ("*/__cluster_metadata-0/*.checkpoint*", None, r"no snapshot at offset \d+"),
    ("*/__consumer_offsets-0/*.log", "offset", APPEND),
    ("*/__transaction_state-0/*.log", None, APPEND),  # the transaction waits for room
]


class NoRoom:
    """For files of one kind (full_at.c)."""

    def __init__(self, broker, directory):
        self.obstacle, self.log = directory / "no room for", directory / "refused"
        broker.environment = {**os.environ, "LD_PRELOAD": str(preloadable("full_at.c", directory)),
                              "FULL_WHILE": str(self.obstacle), "FULL_LOG": str(self.log)}  # fmt: skip

    def begin(self, pattern):
        self.log.write_text("")
        self.obstacle.with_suffix(".new").write_text(pattern)
        self.obstacle.with_suffix(".new").rename(self.obstacle)

    def end(self):
        self.obstacle.unlink()

    @property
    def met(self):
        return self.log.stat().st_size > 0


def test_everything_goes_on_after_a_disk_without_any_room(brokers, disks, tmp_path):
    """Producers, offsets, transactions, new topics, settings and compaction, while somebody else fills the disk and makes room; and while
    there is none for files of one kind."""
    disk = disks.small(192 * MB)
    settings = {**EAGER, "storage.min.free.bytes": "0", "log.segment.bytes": str(MB), "transaction.state.log.num.partitions": "1",
                "offsets.topic.num.partitions": "1", "log.flush.offset.checkpoint.interval.ms": "100",
                "log.flush.start.offset.checkpoint.interval.ms": "100", "replica.high.watermark.checkpoint.interval.ms": "100",
                "metadata.log.max.record.bytes.between.snapshots": "2000"}  # fmt: skip
    broker = brokers.new(data=disk.path, settings=settings)
    no_room = NoRoom(broker, tmp_path)
    broker.start()
    create_topic(broker, "t", retention_ms="-1")
    create_topic(broker, "cut", retention_ms="-1")
    create_topic(broker, "both", partitions=2, retention_ms="-1")
    create_topic(broker, "keyed", **COMPACTED, retention_ms="-1")
    await_group(broker.port, "g")
    transacting, anew = Producer(broker.port, "x").init(), []

    def offset(number):
        with connect(broker) as connection:
            body = {"GroupId": "g", "MemberId": "", "GenerationIdOrMemberEpoch": -1}
            listed = [{"PartitionIndex": 0, "CommittedOffset": number, "CommittedMetadata": "m" * 1000}]
            answer = connection.call("OffsetCommit", 9, {**body, "Topics": [{"Name": "t", "Partitions": listed}]})
            refused_unless_done(answer["Topics"][0]["Partitions"][0])

    def transaction(number):
        while anew:
            transacting.init()
            anew.pop()
        anew.append("unless it succeeds")
        for partition in range(2):
            transacting.produce("both", partition, b"%d" % number, b"x" * 2000)
        transacting.end(number % 2 == 1)
        anew.pop()

    def topic(number):
        with connect(broker) as connection:
            wanted = {"Name": f"made-{number}", "NumPartitions": 1, "ReplicationFactor": 1, "Configs": [{"Name": "flush.messages", "Value": "1"}]}
            answer = connection.call("CreateTopics", 7, {"Topics": [wanted], "TimeoutMs": 5000})["Topics"][0]
            if error(answer) != 36:  # it was made, and that not answered
                refused_unless_done(answer)
            refused_unless_done(produce(connection, f"made-{number}", [(None, b"x")]))
        time.sleep(0.05)

    def keyed(number):
        with connect(broker) as connection:
            refused_unless_done(produce(connection, "keyed", [(b"key %d" % (number % 7), b"%d " % number * 2000)]))
        time.sleep(0.01)

    def cut(number):
        with connect(broker) as connection:
            refused_unless_done(produce(connection, "cut", [(None, b"%d" % number)]))
            end = end_offset(connection, "cut")["Offset"]
            code, low = delete_records(connection, "cut", (0, end))[0]
            refused_unless_done({"ErrorCode": code})
            assert low == end
        time.sleep(0.02)

    load = Load(broker.port, "p", "t", 0, seed=1)
    load.start()
    works = {"offset": Work(offset), "transaction": Work(transaction, again=False), "topic": Work(topic), "keyed": Work(keyed), "cut": Work(cut)}

    def all_go_on():
        before = {name: len(work.done) for name, work in works.items()}
        wait_until(lambda: all(len(work.done) > before[name] + 1 or work.problem for name, work in works.items()), 60, "all to go on")
        assert not any(work.problem for work in works.values()), [work.problem for work in works.values()]

    for turn in range(30):
        if turn >= 2 and works["transaction"].refusals:
            break  # it takes its turns: a transaction that has written its records waits for room, and is not refused
        all_go_on()
        refusals = {name: work.refusals for name, work in works.items()}
        wait_until(
            lambda: disk.fill() or all(works[name].refusals > refusals[name] for name in ("offset", "keyed")),  # noqa: B023
            60,
            "what writes records to be refused",
        )
        disk.room()
    acknowledged = load.finish()
    for pattern, refused, _ in NO_ROOM:
        all_go_on()
        before = refused and works[refused].refusals
        no_room.begin(pattern)
        wait_until(lambda: no_room.met and not (refused and works[refused].refusals == before), 20, "no room for " + pattern)  # noqa: B023
        no_room.end()
    all_go_on()
    done = {name: work.finish() for name, work in works.items()}
    print({name: (len(work.done), work.refusals) for name, work in works.items()})
    for name, work in works.items():
        assert work.refusals or name == "topic", "never refused: " + name
    log = broker.log_text()
    assert broker.process.returncode is None and "compacted keyed-0 from" in log
    for _, _, words in NO_ROOM:
        assert re.search(words + ": no space left", log), words
    kept = [number for number in done["transaction"] if number % 2]
    for after in ("living", "killed"):
        if after == "killed":
            broker.kill()
            broker.start()
            await_group(broker.port, "g")
            transacting.reconnect(broker.port)
            transacting.init()
            wait_until(lambda: is_settled(broker.port, "both", range(2)), 60, "transactions to end")
        found = [int(value.split()[1]) for value in values(read_partition(broker.port, "t", 0))]
        assert found == list(range(acknowledged)), after
        assert committed(broker.port, "g") in ({0: done["offset"][-1]}, {0: done["offset"][-1] + 1}), after
        both = [[int(value) for value in read(broker.port, "both", i) if not value.startswith(b"x")] for i in range(2)]
        assert both[0] == both[1] and set(kept) <= set(both[0]), after
        assert set(both[0]) - set(kept) <= works["transaction"].maybe and len(set(both[0])) == len(both[0]), after
        with connect(broker) as connection:
            there = {one["Name"] for one in connection.call("Metadata", 12, {"Topics": None})["Topics"]}
        assert there >= {f"made-{number}" for number in done["topic"]}, after
        assert all(read(broker.port, f"made-{number}", 0) for number in done["topic"]), after
        last = {bytes.fromhex(key): int(bytes.fromhex(value).split()[0]) for key, value in last_values(records(broker, "keyed")).items()}
        for number in done["keyed"][-7:]:
            assert last[b"key %d" % (number % 7)] in (number, number + 7), after  # the second one was not answered


def test_topics_can_be_deleted_on_a_disk_without_any_room(brokers, disks):
    disk = disks.small(32 * MB)
    broker = brokers.start(data=disk.path, settings={"storage.min.free.bytes": "0"})
    names = [f"t{i}" for i in range(40)]
    for name in names:
        create_topic(broker, name, file_delete_delay_ms="0")
    with connect(broker) as connection:
        wait_until(lambda: try_produce(connection, "t0", b"x" * 500000) == STORAGE_ERROR, 60, "the disk to be full", 0)
        wait_until(lambda: disk.fill() or disk.free_bytes == 0, 20, "no room at all")
        for name in names[1:] + names[:1]:
            assert delete_topic(connection, name) == 0
        wait_until(lambda: disk.free_bytes > MB, 20, "room")
    create_topic(broker, "fresh")
    with connect(broker) as connection:
        assert try_produce(connection, "fresh") == 0


def test_a_topic_made_without_room_for_its_log_gets_it_later(brokers, disks):
    disk, other = disks.small(16 * MB), disks.small(16 * MB)
    settings = {"storage.min.free.bytes": "0", "log.dirs": str(other.path), "metadata.log.dir": str(disk.path)}
    broker = brokers.start(data=disk.path, settings=settings)
    create_topic(broker, "before")
    other.fill()
    with connect(broker) as connection:
        wanted = {"Name": "late", "NumPartitions": 200, "ReplicationFactor": 1}
        answer = connection.call("CreateTopics", 7, {"Topics": [wanted], "TimeoutMs": 20000})["Topics"][0]
        assert error(answer) == 0
        assert error(produce(connection, "late", [(None, b"x")], partition=199)) == STORAGE_ERROR
        other.room()
        wait_until(lambda: error(produce(connection, "late", [(None, b"x")], partition=199)) == 0, 20, "the partition")


def test_records_can_be_deleted_on_a_disk_without_any_room(brokers, disks):
    disk = disks.small(32 * MB)
    settings = {"storage.min.free.bytes": "0", "log.retention.check.interval.ms": "200"}
    broker = brokers.start(data=disk.path, settings=settings)
    create_topic(broker, "t", segment_bytes=str(MB), file_delete_delay_ms="0", retention_ms="-1")
    with connect(broker) as connection:
        wait_until(lambda: try_produce(connection, "t", b"x" * 500000) == STORAGE_ERROR, 60, "the disk to be full", 0)
        disk.fill()
        last = bases(broker, "t")[-1]
        assert last > 10
        # Where the new start finds no room it is not promised; the segments below it go all the same.
        wait_until(lambda: delete_records(connection, "t", (0, last)) == {0: (0, last)}, 20, "the start to be saved")
        wait_until(lambda: disk.free_bytes > 10 * MB, 20, "room")
        assert try_produce(connection, "t", b"x" * 500000) == 0


@pytest.mark.parametrize("left_bytes", [0, 300_000])
def test_compaction_without_room_loses_nothing_and_goes_on_later(brokers, disks, tmp_path, left_bytes):
    """The same topic on a disk that is full and on one that is not, which does not wait for the other."""
    full, other = disks.small(32 * MB), disks.small(32 * MB)
    settings = {**EAGER, "storage.min.free.bytes": "0", "log.dirs": f"{full.path},{other.path}"}
    broker = brokers.start(data=full.path, settings={**settings, "metadata.log.dir": str(tmp_path)})
    create_topic(broker, "keyed", partitions=2, segment_bytes=str(MB), retention_ms="-1", min_cleanable_dirty_ratio="0.01")
    [on_full] = [i for i in range(2) if (full.path / f"keyed-{i}").is_dir()]
    sent = [(b"key %d" % (number % 30), b"%d " % number * 40000) for number in range(40)]
    with connect(broker) as connection:
        for partition in range(2):
            for record in sent:
                assert error(produce(connection, "keyed", [record], partition=partition)) == 0
    before = records(broker, "keyed", on_full)
    full.fill(leave_bytes=left_bytes)
    alter(broker, TOPIC, "keyed", cleanup_policy="compact")
    wait_until(lambda: f"keyed-{on_full}: compaction stopped: " in broker.log_text(), 20, "the cleaner to find no room")
    wait_until(lambda: f"compacted keyed-{1 - on_full} from" in broker.log_text(), 20, "the other disk's turn")
    assert records(broker, "keyed", on_full) == before
    full.room()
    wait_until(lambda: f"compacted keyed-{on_full} from" in broker.log_text(), 30, "the cleaner to go on")
    left = [records(broker, "keyed", i) for i in range(2)]
    assert [record[0] for record in left[0]] == [record[0] for record in left[1]]
    assert len(left[on_full]) < len(sent) and last_values(left[on_full]) == last_values(before)
    assert not list(full.path.glob("*/*.cleaned")) and "cannot be compacted" not in broker.log_text()
