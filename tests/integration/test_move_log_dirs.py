"""AlterReplicaLogDirs (KIP-113): a partition's log moves from one of a broker's directories to another one."""

import pytest

from harness.compaction import COMPACTED, EAGER, Writer, last_values, records
from harness.crash import arm, await_death, build, disarm
from harness.http import Http, port_of
from harness.load import Load, read_partition
from harness.process import wait_until
from harness.requests import BROKER, alter, connect, create_topic, delete_records, end_offset, error, fetch, produce
from harness.transactions import Producer

REPLICA_NOT_AVAILABLE, UNKNOWN_TOPIC, INVALID_TOPIC, STORAGE_ERROR, LOG_DIR_NOT_FOUND = 9, 3, 17, 56, 57
RATE = "replica.alter.log.dirs.io.max.bytes.per.second"
SLOW = 20000  # bytes a second: a megabyte takes longer than any test


@pytest.fixture(autouse=True)
def _only_ours(broker_kind):
    if broker_kind == "kafka":
        pytest.skip("says something of Odradek alone; what both say: tests/interop/test_move_dirs.py")


class Two:
    """A broker with two directories, and where a topic's partition lies."""

    def __init__(self, brokers, second=None, **settings):
        self.broker = brokers.new(settings=settings)
        self.dirs = [self.broker.data, second or self.broker.directory / "second"]
        self.broker.settings["log.dirs"] = ",".join(map(str, self.dirs))
        self.broker.start()

    def create(self, topic="t", partitions=1, **configs):
        create_topic(self.broker, topic, partitions=partitions, **configs)
        return self.place(topic)

    def place(self, topic="t", partition=0):
        [at] = [i for i, path in enumerate(self.dirs) if (path / f"{topic}-{partition}").is_dir()]
        return at

    def move(self, to, topic="t", partition=0):
        path = str(self.dirs[to]) if isinstance(to, int) else to
        body = {"Dirs": [{"Path": path, "Topics": [{"Name": topic, "Partitions": [partition]}]}]}
        with connect(self.broker) as connection:
            [one] = connection.call("AlterReplicaLogDirs", 2, body)["Results"]
        assert one["TopicName"] == topic
        [answer] = one["Partitions"]
        assert answer["PartitionIndex"] == partition
        return error(answer)

    def described(self, topic="t", partition=0):
        """{directory: (future, lag, size)} of the partition."""
        found = {}
        with connect(self.broker) as connection:
            results = connection.call("DescribeLogDirs", 5, {"Topics": [{"Topic": topic, "Partitions": [partition]}]})["Results"]
        for one in results:
            for t in one["Topics"]:
                for p in t["Partitions"]:
                    at = [str(path) for path in self.dirs].index(one["LogDir"])
                    assert at not in found
                    found[at] = p["IsFutureKey"], p["OffsetLag"], p["PartitionSize"]
        return found

    def futures(self):
        return [path for one in self.dirs for path in one.glob("*-future")]

    def await_moved(self, to, topic="t", partition=0):
        wait_until(lambda: [*self.described(topic, partition)] == [to], 60, f"{topic}-{partition} to lie in {to} alone")
        assert self.place(topic, partition) == to
        wait_until(lambda: not self.futures(), 20, "the copy to have the log's name")

    def fill(self, topic="t", count=60, value=b"x" * 50000):
        with connect(self.broker) as connection:
            for _ in range(count):
                assert error(produce(connection, topic, [(None, value)])) == 0

    def slow_down(self, rate=SLOW):
        alter(self.broker, BROKER, "", replica_alter_log_dirs_io_max_bytes_per_second=rate and str(rate))


def check(broker, partition, count, topic="t"):
    """Exactly the records 0 to count-1 of p<partition>, once each, in order."""
    expected = 0
    for one in read_partition(broker.port, topic, partition):
        for _, _, _, value, _ in one["Content"]:
            label, number, _ = bytes.fromhex(value).decode().split(" ")
            assert (label, int(number)) == (f"p{partition}", expected), (label, number, expected)
            expected += 1
    assert expected == count


@pytest.mark.parametrize("configs", [{}, {"flush_messages": "1"}], ids=["", "each-flushed"])
def test_nothing_is_lost_or_written_twice_while_a_log_moves(configs, brokers):
    two = Two(brokers)
    at = two.create(segment_bytes="1048576", **configs)
    load = Load(two.broker.port, "p0", "t", 0, seed=1)
    load.start()
    for _ in range(4):
        seen = load.acknowledged
        at = 1 - at
        assert two.move(at) == 0
        two.await_moved(at)
        wait_until(lambda seen=seen: load.acknowledged > seen or load.problem, 60, "more to be acknowledged")
    count = load.finish()
    check(two.broker, 0, count)
    wait_until(lambda: two.broker.log_text().count("storage: moved t-0 from ") == 4, 60, "a line for each move")
    for end in (two.broker.kill, two.broker.stop):
        end()
        two.broker.start()
        check(two.broker, 0, count)
        assert [*two.described()] == [at]


def test_a_move_can_be_watched_and_taken_back(brokers):
    two = Two(brokers, **{RATE: str(SLOW)})
    at = two.create()
    two.fill()
    assert two.move(1 - at) == 0
    wait_until(lambda: two.described().get(1 - at, (0, 0, 0))[2] > 0, 20, "a first piece to be copied")
    found = two.described()
    assert found[at][:2] == (False, 0) and found[1 - at][0] and 0 < found[1 - at][1] < 60
    assert len(two.futures()) == 1 and two.futures()[0].parent == two.dirs[1 - at]
    assert two.move(1 - at) == 0  # once more changes nothing
    assert len(two.futures()) == 1
    assert two.move(at) == 0
    assert [*two.described()] == [at]
    wait_until(lambda: not two.futures(), 20, "the copy to go")
    assert two.move(1 - at) == 0
    wait_until(lambda: two.described()[1 - at][2] > 0, 20, "a first piece to be copied")
    two.slow_down(None)
    two.slow_down(1 << 40)
    two.await_moved(1 - at)
    two.fill(count=1)


def test_a_move_goes_on_after_a_start(brokers):
    two = Two(brokers, **{RATE: str(SLOW)})
    at = two.create()
    two.fill()
    for end in (two.broker.stop, two.broker.kill):
        assert two.move(1 - at) == 0
        wait_until(lambda: two.described()[1 - at][2] > 0, 20, "a first piece to be copied")
        end()
        assert two.futures()
        two.broker.start()
        wait_until(lambda: two.described().get(1 - at, (0, 0, 0))[2] > 0, 20, "the move to go on")
    two.broker.stop()
    two.broker.settings.pop(RATE)
    two.broker.start()
    two.await_moved(1 - at)
    with connect(two.broker) as connection:
        assert end_offset(connection, "t")["Offset"] == 60


def test_moves_that_have_not_begun_outlast_the_broker(brokers):
    two = Two(brokers, **{RATE: "1", "num.replica.alter.log.dirs.threads": "1"})
    names = ["a", "b", "c"]
    places = {name: two.create(name) for name in names}
    for name in names:
        two.fill(name, count=3)
        assert two.move(1 - places[name], topic=name) == 0
    for end in (two.broker.kill, two.broker.stop):
        end()
        two.broker.start()
        assert {name: sorted(two.described(name)) for name in names} == {name: [0, 1] for name in names}
    two.slow_down(1 << 40)
    for name in names:
        two.await_moved(1 - places[name], topic=name)


def test_a_low_rate_is_no_matter_of_few_large_pieces(brokers):
    two = Two(brokers, **{RATE: str(SLOW // 4)})
    at = two.create()
    two.fill(count=300, value=b"x" * 10000)
    assert two.move(1 - at) == 0

    def size():
        return two.described()[1 - at][2]

    first = wait_until(size, 20, "something to be copied")
    assert first < 500000
    wait_until(lambda: size() > first, 20, "more to be copied")
    assert size() < 1000000  # of three millions


def test_a_compacted_log_moves_as_it_is(brokers):
    two = Two(brokers, **EAGER)
    at = two.create(**COMPACTED)
    writer = Writer(seed=3, topics=["t"])
    for _ in range(3):
        writer.write([two.broker], 150)
        wait_until(lambda: "storage: compacted t-0" in two.broker.log_text(), 60, "a first round")
        before = last_values(records(two.broker, "t"))
        assert two.move(1 - at) == 0
        two.await_moved(1 - at)
        at = 1 - at
        assert last_values(records(two.broker, "t")) == before
        said = two.broker.log_text().count("storage: compacted t-0")
        writer.write([two.broker], 50)
        wait_until(lambda said=said: two.broker.log_text().count("storage: compacted t-0") > said, 60, "a round after the move")
    last = last_values(records(two.broker, "t"))
    for end in (two.broker.kill, two.broker.stop):
        end()
        two.broker.start()
        assert [*two.described()] == [at]
        assert last_values(records(two.broker, "t")) == last
        with connect(two.broker) as connection:
            assert end_offset(connection, "t")["Offset"] == writer.end


def test_moves_over_http(brokers):
    two = Two(brokers, **{RATE: str(SLOW), "http.listeners": "http://127.0.0.1:0"})
    at = two.create()
    two.fill()
    http = Http(port_of(two.broker))

    def metrics():
        lines = http.ask("GET", "/metrics")[1].decode().splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("odradek_log_move")}

    def dirs():
        return {one["path"]: one for one in http.get("/api/v1/logdirs")["logDirs"]}

    assert metrics() == {"odradek_log_moves": 0, "odradek_log_moves_total": 0, "odradek_log_move_bytes_total": 0}
    assert two.move(1 - at) == 0
    assert metrics()["odradek_log_moves"] == 1
    to, start = str(two.dirs[1 - at]), str(two.dirs[at])
    [one] = dirs()[to]["moves"]
    assert (one["topic"], one["partition"]) == ("t", 0) and 0 < one["offsetLag"] <= 60
    partitions = dirs()[to]["partitions"]
    assert dirs()[start]["moves"] == []
    two.slow_down(1 << 40)
    two.await_moved(1 - at)
    assert dirs()[to]["moves"] == [] and dirs()[to]["partitions"] == partitions + 1
    wait_until(lambda: metrics()["odradek_log_moves"] == 0, 60, "no move to be left")
    found = metrics()
    assert found["odradek_log_moves_total"] == 1 and found["odradek_log_move_bytes_total"] > 60 * 50000


def test_a_topic_that_goes_while_it_moves_leaves_nothing(brokers):
    two = Two(brokers, **{RATE: str(SLOW), "log.segment.delete.delay.ms": "0"})
    at = two.create()
    two.fill()
    assert two.move(1 - at) == 0
    wait_until(lambda: two.described()[1 - at][2] > 0, 20, "a first piece to be copied")
    with connect(two.broker) as connection:
        assert error(connection.call("DeleteTopics", 6, {"Topics": [{"Name": "t"}], "TimeoutMs": 20000})["Responses"][0]) == 0
    wait_until(lambda: not [one for path in two.dirs for one in path.glob("t-*")], 20, "both directories to go")
    assert two.described() == {}


def test_what_is_deleted_in_front_of_a_copy_is_not_missed(brokers):
    two = Two(brokers, **{RATE: str(SLOW)})
    at = two.create(segment_bytes="1048576")
    two.fill()
    assert two.move(1 - at) == 0
    wait_until(lambda: two.described()[1 - at][2] > 0, 20, "a first piece to be copied")
    with connect(two.broker) as connection:
        assert delete_records(connection, "t", (0, 59)) == {0: (0, 59)}
    two.slow_down(1 << 40)
    two.await_moved(1 - at)
    with connect(two.broker) as connection:
        assert end_offset(connection, "t", timestamp=-2)["Offset"] == 59
        code, batches = fetch(connection, "t", 59)
        assert code == 0 and [one["BaseOffset"] for one in batches] == [59]


def committed(connection, topic):
    body = {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20}
    request = {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 20, "SessionEpoch": -1, "IsolationLevel": 1}
    answer = connection.call("Fetch", 11, {**request, "Topics": [{"Topic": topic, "Partitions": [body]}]})
    [one] = answer["Responses"][0]["Partitions"]
    return error(one), one["LastStableOffset"], one["AbortedTransactions"], one["Records"]


def test_transactions_and_producers_come_along(brokers):
    two = Two(brokers)
    at = two.create()
    producer = Producer(two.broker.port, "x", timeout_ms=900000)
    producer.init()
    for commit in (True, False, True, False):
        producer.produce("t", 0, b"%d" % commit)
        producer.end(commit)
    producer.produce("t", 0, b"open")
    with connect(two.broker) as connection:
        before = committed(connection, "t")
        states = connection.call("DescribeProducers", 0, {"Topics": [{"Name": "t", "PartitionIndexes": [0]}]})["Topics"]
    assert len(before[2]) == 2
    assert two.move(1 - at) == 0
    two.await_moved(1 - at)
    for _ in range(2):
        with connect(two.broker) as connection:
            assert committed(connection, "t") == before
            after = connection.call("DescribeProducers", 0, {"Topics": [{"Name": "t", "PartitionIndexes": [0]}]})["Topics"]
            assert after == states
        two.broker.kill()
        two.broker.start()
    producer.close()


def test_errors(brokers):
    two = Two(brokers)
    at = two.create()
    assert two.move(str(two.dirs[0]) + "/nowhere") == LOG_DIR_NOT_FOUND
    assert two.move(0, topic="x" * 220) == INVALID_TOPIC
    assert two.move(0, topic="none") == UNKNOWN_TOPIC
    assert two.move(0, partition=7) == UNKNOWN_TOPIC
    assert two.move(at) == 0 and two.described().keys() == {at}


def test_a_log_that_is_not_made_yet_will_be_where_it_was_wanted(brokers):
    two = Two(brokers)
    for i, to in enumerate((0, 0, 0, 1, 1)):
        name = f"n{i}"
        assert two.move(to, topic=name) == UNKNOWN_TOPIC
        assert two.create(name) == to


def test_without_a_directory_nothing_moves(brokers, disks):
    disk = disks.disk()
    two = Two(brokers, second=disk.path, **{RATE: str(SLOW)})
    for name in "ab":
        two.create(name)
    [good] = [name for name in "ab" if two.place(name) == 0]
    two.fill(good)
    assert two.move(1, topic=good) == 0
    wait_until(lambda: two.described(good)[1][2] > 0, 20, "a first piece to be copied")
    disk.break_down()
    two.slow_down(1 << 40)
    wait_until(lambda: f"storage: {good}-0 is not moved to {disk.path}" in two.broker.log_text(), 60, "the move to be over")
    assert two.move(1, topic=good) == STORAGE_ERROR
    two.fill(good, count=1)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("crash"))


def die_moving(two, to):
    """The broker, which is armed, starts, dies of the move, and makes it when it starts again."""
    two.broker.start()
    try:
        two.move(to)
    except (OSError, EOFError):
        pass
    await_death(two.broker)
    disarm(two.broker)
    two.broker.start()
    two.await_moved(to)


# The copy's first writes; what is renamed then: the mark that it is whole, the log's directory out of the way, the copy's.
@pytest.mark.parametrize("calls, at, suffix", [("write", 1, ".log"), ("write", 3, ".log"), ("rename", 1, "-moved.tmp"), ("rename", 1, "/t-0"), ("rename", 1, "-future")])
@pytest.mark.parametrize("how", ["before", "after"])
def test_a_crash_at_any_point_loses_nothing(calls, at, suffix, how, brokers, library):
    two = Two(brokers)
    place = two.create(segment_bytes="1048576")
    load = Load(two.broker.port, "p0", "t", 0, seed=2)
    load.start()
    wait_until(lambda: load.acknowledged > 300, 20, "some records")
    two.broker.stop()
    words = {"write": f"{two.dirs[1 - place]}/t-", "rename": "/t-"}
    arm(two.broker, library, ["t"], at=at, how=how, suffix=suffix)
    two.broker.environment.update({"CRASH_IN": words[calls], "CRASH_CALLS": calls})
    die_moving(two, 1 - place)
    count = load.finish()
    check(two.broker, 0, count)
    two.broker.kill()
    two.broker.start()
    check(two.broker, 0, count)
    assert two.place() == 1 - place


def test_deleted_records_stay_deleted_when_the_broker_dies_as_a_log_has_moved(brokers, library):
    two = Two(brokers)
    at = two.create()
    with connect(two.broker) as connection:
        assert error(produce(connection, "t", [(None, b"%d" % i) for i in range(10)])) == 0
        assert delete_records(connection, "t", (0, 5)) == {0: (0, 5)}
    two.broker.stop()
    arm(two.broker, library, ["t"], at=1, how="after", suffix="-future")
    two.broker.environment["CRASH_CALLS"] = "rename"
    die_moving(two, 1 - at)
    with connect(two.broker) as connection:
        assert end_offset(connection, "t", timestamp=-2)["Offset"] == 5
        assert end_offset(connection, "t")["Offset"] == 10
