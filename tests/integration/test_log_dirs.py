"""Several log.dirs: what happens when one of them breaks down, is missing, or is not what it should be."""

import resource
import subprocess

import pytest

from harness.broker import free_port, odradek_binary
from harness.http import Http, port_of
from harness.members import await_group
from harness.process import wait_until
from harness.requests import BROKER, alter, connect, create_topic, end_offset, error, fetch, produce, values

STORAGE_ERROR, LEADER_NOT_AVAILABLE, INVALID_REPLICATION_FACTOR = 56, 5, 38


@pytest.fixture(autouse=True)
def _only_ours(broker_kind):
    if broker_kind == "kafka":
        pytest.skip("says something of Odradek alone")


def try_produce(connection, partition, value=b"x"):
    return error(produce(connection, "t", [(None, value)], partition=partition))


def metadata_of(connection, topic="t"):
    answer = connection.call("Metadata", 12, {"Topics": [{"Name": topic}]})["Topics"][0]
    return {one["PartitionIndex"]: one for one in answer["Partitions"]}


def dirs_of(partitions, *paths):
    """{partition: the path that it lies under}."""
    found = {}
    for path in paths:
        for i in range(partitions):
            if (path / f"t-{i}").is_dir():
                assert i not in found, f"t-{i} lies in {found.get(i)} and {path}"
                found[i] = path
    return found


def java_hash(text):
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value


class Two:
    """A broker with its metadata and some partitions on a sound directory, and the others on a disk to break."""

    def __init__(self, brokers, disks, partitions=6, **settings):
        self.disk = disks.disk()
        self.broker = brokers.new(settings=settings)
        self.sound = self.broker.data
        self.broker.settings["log.dirs"] = f"{self.sound},{self.disk.path}"
        self.broker.start()
        create_topic(self.broker, "t", partitions=partitions)
        where = dirs_of(partitions, self.sound, self.disk.path)
        self.good = [i for i, path in where.items() if path == self.sound]
        self.bad = [i for i, path in where.items() if path == self.disk.path]
        assert len(self.good) == len(self.bad) == partitions // 2  # the fewest partitions first
        with connect(self.broker) as connection:
            for i in where:
                assert try_produce(connection, i, b"first %d" % i) == 0

    def is_off_line(self, connection):
        for i in self.bad:
            wait_until(lambda i=i: try_produce(connection, i) == STORAGE_ERROR, 20, f"partition {i} to be off line")
        for i in self.bad:
            assert fetch(connection, "t", 0, partition=i)[0] == STORAGE_ERROR
            assert error(end_offset(connection, "t", i)) == STORAGE_ERROR
        for i in self.good:
            assert try_produce(connection, i, b"after") == 0
            code, batches = fetch(connection, "t", 0, partition=i)
            assert code == 0 and values(batches)[0] == b"first %d" % i

    def id_on_sound(self, topic):
        """Of a group or a transaction, whose coordinator's partition of the internal topic lies on the sound directory."""
        names = (f"id-{number}" for number in range(1000))
        return next(name for name in names if (self.sound / f"{topic}-{abs(java_hash(name)) % 4}").is_dir())

    def told(self):
        """What the metadata says of the partitions once the controller knows."""
        with connect(self.broker) as connection:
            wait_until(lambda: all(metadata_of(connection)[i]["LeaderId"] == -1 for i in self.bad), 20, "the leaders to go")
            found = metadata_of(connection)
        for i in self.bad:
            assert (found[i]["ErrorCode"], found[i]["OfflineReplicas"]) == (LEADER_NOT_AVAILABLE, [1]), found[i]
        for i in self.good:
            assert (found[i]["ErrorCode"], found[i]["LeaderId"], found[i]["OfflineReplicas"]) == (0, 1, []), found[i]

    def serves_all(self):
        with connect(self.broker) as connection:
            for i in self.good + self.bad:
                wait_until(lambda i=i: try_produce(connection, i) == 0, 20, f"partition {i}")
                code, batches = fetch(connection, "t", 0, partition=i)
                assert code == 0 and values(batches)[0] == b"first %d" % i
            wait_until(lambda: all(one["LeaderId"] == 1 for one in metadata_of(connection).values()), 20, "leaders")


def test_a_disk_that_breaks_down_takes_its_partitions_off_line_alone(brokers, disks):
    two = Two(brokers, disks)
    two.disk.break_down()
    with connect(two.broker) as connection:
        two.is_off_line(connection)
    two.told()
    said = f"the log directory {two.disk.path} is off line"
    wait_until(lambda: said in two.broker.log_text(), 20, "the line that names the directory")
    assert two.broker.log_text().count(said) == 1, two.broker.log_text()
    two.broker.stop()
    two.disk.mend()
    two.broker.start()
    two.serves_all()


def test_http_takes_what_is_off_line_for_no_empty_partition(brokers, disks):
    two = Two(brokers, disks, **{"http.listeners": "http://127.0.0.1:0"})
    web, topic = Http(port_of(two.broker)), "/api/v1/topics/t"
    bad, good = min(two.bad), two.good[0]
    await_group(two.broker.port, "first")
    g = two.id_on_sound("__consumer_offsets")
    reset = f"/api/v1/groups/{g}/offsets"
    web.json("POST", reset, {"to": "earliest", "topic": "t", "partitions": [bad, good]})
    tail = web.stream(f"{topic}/tail?partition={bad}")
    two.disk.break_down()
    with connect(two.broker) as connection:
        two.is_off_line(connection)

    def is_told():
        for path in (f"{topic}/records?partition={bad},{good}", f"{topic}/records?partition={bad}", f"{topic}/records?partition={bad}&from=time:1",
                     f"{topic}/tail?partition={bad}", f"{topic}/partitions/{bad}/records/0"):
            assert f"t-{bad} is off line: " in web.error("GET", path, status=503)["message"], path
        group = web.get(f"/api/v1/groups/{g}")
        partitions = {one["partition"]: one for one in group["partitions"]}
        assert partitions[bad]["error"] and partitions[bad]["lag"] is None and partitions[bad]["endOffset"] is None, partitions
        assert (partitions[good]["error"], partitions[good]["lag"], group["lag"], group["partitionsOffline"]) == (None, 2, 2, 1)
        listed, = [one for one in web.get("/api/v1/groups")["groups"] if one["id"] == g]
        assert (listed["lag"], listed["partitionsOffline"]) == (2, 1)
        assert f"t-{bad} is off line" in web.error("POST", reset, {"to": "latest"}, status=503)["message"]
        shown = {one["partition"]: one for one in web.get(topic)["partitions"]}
        assert shown[bad]["endOffset"] is None and shown[good]["endOffset"] == 2

    is_told()  # by the log, and then by the metadata
    two.told()
    is_told()
    assert f"t-{bad} is off line" in tail.next("end")["message"]
    assert [r["offset"] for r in web.get(f"{topic}/records", partition=good, from_="earliest")["records"]] == [0, 1]
    assert "is off line" in web.error("GET", f"{topic}/records?partition={','.join(map(str, two.bad))}", status=503)["message"]
    web.json("POST", f"{reset}?validateOnly=true", {"to": "latest", "topic": "t", "partitions": [good]})


def places(answer):
    return sorted((r["partition"], r["offset"]) for r in answer["records"])


def lacking(partitions):
    for one in partitions:
        assert (one["error"], f"t-{one['partition']} is off line: " in one["message"]) in {(name, True) for name in ("KAFKA_STORAGE_ERROR", "LEADER_NOT_AVAILABLE")}, one
    return [one["partition"] for one in partitions]


def test_http_reads_the_others_of_a_topic_and_says_what_is_missing(brokers, disks):
    port = free_port()  # also after the restart
    two = Two(brokers, disks, **{"http.listeners": f"http://127.0.0.1:{port}"})
    web, topic = Http(port), "/api/v1/topics/t"
    firsts, bad = [(i, 0) for i in sorted(two.good + two.bad)], sorted(two.bad)
    whole = web.get(f"{topic}/records", from_="earliest")
    assert (places(whole), whole["partitionsMissing"]) == (firsts, [])
    page = web.get(f"{topic}/records", from_="earliest", limit=2)
    tail = web.stream(f"{topic}/tail?from=earliest")
    assert sorted(tail.next("record")["partition"] for _ in firsts) == sorted(two.good + two.bad)
    two.disk.break_down()
    with connect(two.broker) as connection:
        two.is_off_line(connection)

    def is_told():
        for query in ({"from_": "earliest"}, {"from_": "end"}, {"from_": "time:1"}, {}):
            found = web.get(f"{topic}/records", limit=1000, **query)
            assert lacking(found["partitionsMissing"]) == bad and found["cursor"] is None, found
            assert places(found) == [(i, n) for i in sorted(two.good) for n in (0, 1)], query
        rest = web.get(f"{topic}/records", cursor=page["cursor"])
        assert lacking(rest["partitionsMissing"]) == bad and not set(places(rest)) & set(places(page))

    is_told()  # by the log, and then by the metadata
    two.told()
    is_told()
    first = web.get(f"{topic}/records", from_="earliest", limit=1)
    assert lacking(first["partitionsMissing"]) == bad and first["cursor"]
    lost = set()
    while lost != set(bad):
        lost = set(lacking(tail.next("missing")["partitions"]))
    late = web.stream(f"{topic}/tail")
    assert lacking(late.next("missing")["partitions"]) == bad
    with connect(two.broker) as connection:
        for stream in (tail, late):
            assert try_produce(connection, two.good[0], b"for all") == 0
            while stream.next("record")["value"]["text"] != "for all":
                pass
    positions = late.last_id
    two.broker.stop()
    two.disk.mend()
    two.broker.start()
    two.serves_all()

    # What was not read of them is read now: from a cursor all of it, from a tail what comes.
    web = Http(port)
    rest = web.get(f"{topic}/records", cursor=first["cursor"], limit=1000)
    assert rest["partitionsMissing"] == [] and {(i, 0) for i in bad} <= set(places(rest)) and not set(places(rest)) & set(places(first))
    again = web.stream(f"{topic}/tail", {"Last-Event-ID": positions})
    for i in bad:
        web.json("POST", f"{topic}/records", {"value": "back", "partition": i}, status=201)
    back = set()
    while back != set(bad):
        record = again.next("record")
        assert record["partition"] in two.good or record["value"]["text"] == "back", record
        back |= {record["partition"]} & set(bad)


def test_a_waiting_fetch_is_told(brokers, disks):
    two = Two(brokers, disks)
    with connect(two.broker) as waiting, connect(two.broker) as other:
        body = {"Partition": two.bad[0], "FetchOffset": 1, "PartitionMaxBytes": 1 << 20}
        request = {"MaxWaitMs": 20000, "MinBytes": 1, "MaxBytes": 1 << 20, "SessionEpoch": -1}
        waiting.send("Fetch", 11, {**request, "Topics": [{"Topic": "t", "Partitions": [body]}]})
        two.disk.break_down()
        assert try_produce(other, two.bad[1]) == STORAGE_ERROR
        answer = waiting.receive("Fetch", 11)[-1]
        assert error(answer["Responses"][0]["Partitions"][0]) == STORAGE_ERROR


def test_a_fetch_that_meets_a_broken_disk_takes_it_off_line(brokers, disks):
    """What is sent straight from the file, with nothing but fetches that could notice."""
    two = Two(brokers, disks)
    two.disk.break_down()
    with connect(two.broker) as connection, pytest.raises((OSError, EOFError)):
        fetch(connection, "t", 0, partition=two.bad[0])  # its length was promised when the file failed
    with connect(two.broker) as connection:
        assert fetch(connection, "t", 0, partition=two.bad[0])[0] == STORAGE_ERROR
        two.is_off_line(connection)
    said = f"{two.disk.path} is off line: cannot read from"
    wait_until(lambda: said in two.broker.log_text(), 20, "the line that says why")


def delete(connection, topic):
    return error(connection.call("DeleteTopics", 6, {"Topics": [{"Name": topic}], "TimeoutMs": 20000})["Responses"][0])


def test_topics_come_and_go_while_a_directory_is_off_line(brokers, disks):
    two = Two(brokers, disks)
    two.disk.break_down()
    with connect(two.broker) as connection:
        two.is_off_line(connection)
        assert delete(connection, "t") == 0
        create_topic(two.broker, "t2", partitions=4)
    assert all((two.sound / f"t2-{i}").is_dir() for i in range(4))
    two.broker.stop()
    two.disk.mend()
    two.broker.start()
    strays = [path for path in two.disk.path.iterdir() if path.name.endswith("-stray")]
    assert len(strays) == len(two.bad)


def grow(connection, topic, count):
    body = {"Topics": [{"Name": topic, "Count": count, "Assignments": None}], "TimeoutMs": 20000}
    return error(connection.call("CreatePartitions", 3, body)["Results"][0])


def test_partitions_are_added_while_a_directory_is_off_line(brokers, disks):
    two = Two(brokers, disks)
    two.disk.break_down()
    with connect(two.broker) as connection:
        two.is_off_line(connection)
        assert grow(connection, "t", 9) == 0
        for i in range(6, 9):
            wait_until(lambda i=i: try_produce(connection, i, b"first %d" % i) == 0, 20, f"partition {i}")
            assert (two.sound / f"t-{i}").is_dir()
        two.is_off_line(connection)
    two.broker.stop()
    two.disk.mend()
    two.broker.start()
    two.good += range(6, 9)
    two.serves_all()


def test_a_topic_made_anew_while_a_directory_is_off_line_is_another_one(brokers, disks):
    """Its old partitions come back with the directory, under the same names: they are set aside, and hide nothing."""
    two = Two(brokers, disks)
    two.disk.break_down()
    with connect(two.broker) as connection:
        two.is_off_line(connection)
        assert delete(connection, "t") == 0
        create_topic(two.broker, "t", partitions=6)
        for i in range(6):
            assert try_produce(connection, i, b"second %d" % i) == 0
    for _ in range(2):
        two.broker.stop()
        two.disk.mend()
        two.broker.start()
        with connect(two.broker) as connection:
            for i in range(6):
                wait_until(lambda i=i: error(end_offset(connection, "t", i)) == 0, 20, f"partition {i}")
                code, batches = fetch(connection, "t", 0, partition=i)
                assert (code, values(batches)) == (0, [b"second %d" % i])
        strays = [path for path in two.disk.path.iterdir() if path.name.endswith("-stray")]
        assert len(strays) == len(two.bad)


def made(connection, two):
    create_topic(two.broker, "u", partitions=8)
    assert all((two.sound / f"u-{i}").is_dir() for i in range(8))


def grown(connection, two):
    assert grow(connection, "t", 14) == 0
    for i in range(6, 14):
        wait_until(lambda i=i: try_produce(connection, i) == 0, 20, f"partition {i}")
        assert (two.sound / f"t-{i}").is_dir()


def deleted(connection, two):
    assert delete(connection, "t") == 0
    create_topic(two.broker, "t", partitions=8)
    assert all((two.sound / f"t-{i}").is_dir() for i in range(8))


@pytest.mark.parametrize("what", [made, grown, deleted])
def test_who_meets_a_broken_disk_first_goes_on_with_the_other(what, brokers, disks):
    """Nobody has noticed yet: half of the new partitions belong on it."""
    two = Two(brokers, disks)
    two.disk.break_down()
    with connect(two.broker) as connection:
        what(connection, two)
        if what is not deleted:
            two.is_off_line(connection)


def missing(two):
    two.disk.detach()
    two.disk.path.rmdir()


def no_directory(two):
    missing(two)
    two.disk.path.write_text("")


def broken(two):
    two.disk.break_down()


def damaged_meta(two):
    (two.disk.path / "meta.properties").write_text("version=junk\n")


@pytest.mark.parametrize("what", [missing, no_directory, broken, damaged_meta])
@pytest.mark.parametrize("clean", [True, False])
def test_a_directory_that_is_off_line_from_the_start(what, clean, brokers, disks):
    two = Two(brokers, disks)
    meta = (two.disk.path / "meta.properties").read_text()
    two.broker.stop() if clean else two.broker.kill()
    what(two)
    two.broker.start()
    with connect(two.broker) as connection:
        two.is_off_line(connection)
    two.told()
    assert set(dirs_of(6, two.sound)) == set(two.good)  # nothing was made anew elsewhere
    wait_until(lambda: str(two.disk.path) in two.broker.log_text(), 20, "the line that names the directory")
    two.broker.stop()
    if two.disk.path.is_file():
        two.disk.path.unlink()
    two.disk.path.mkdir(exist_ok=True)
    two.disk.mend()
    (two.disk.path / "meta.properties").write_text(meta)
    two.broker.start()
    two.serves_all()


def cordoned(connection):
    found = connection.call("DescribeLogDirs", 5, {"Topics": None})["Results"]
    return {one["LogDir"] for one in found if one["IsCordoned"]}


def would_create(connection):
    """The error that a new topic would meet. None is made: what the broker says may come to the controller a moment later."""
    wanted = {"Name": "probe", "NumPartitions": 1, "ReplicationFactor": 1}
    body = {"Topics": [wanted], "TimeoutMs": 20000, "validateOnly": True}
    return error(connection.call("CreateTopics", 7, body)["Topics"][0])


def test_nothing_new_comes_into_a_cordoned_directory(brokers, disks):
    two = Two(brokers, disks)
    alter(two.broker, BROKER, "1", cordoned_log_dirs=str(two.disk.path))
    with connect(two.broker) as connection:
        assert cordoned(connection) == {str(two.disk.path)}  # at once
    create_topic(two.broker, "u", partitions=5)
    assert all((two.sound / f"u-{i}").is_dir() for i in range(5))
    two.serves_all()
    two.broker.stop()
    two.broker.start()
    create_topic(two.broker, "v", partitions=5)
    assert all((two.sound / f"v-{i}").is_dir() for i in range(5))
    two.serves_all()
    alter(two.broker, BROKER, "1", cordoned_log_dirs=None)
    create_topic(two.broker, "w", partitions=5)
    assert all((two.disk.path / f"w-{i}").is_dir() for i in range(5))


@pytest.fixture(params=[None, 0], ids=["", "no-room-for-signals"])
def room_for_signals(request):
    """Of processes that are started meanwhile: how many signals may be queued for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_SIGPENDING)
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (soft if request.param is None else request.param, hard))
    yield
    resource.setrlimit(resource.RLIMIT_SIGPENDING, (soft, hard))


def test_the_controller_hears_when_no_directory_is_left_for_new_partitions(brokers, disks, room_for_signals):
    """One is cordoned and the other one breaks down: nobody waits for the next heartbeat."""
    two = Two(brokers, disks, **{"broker.heartbeat.interval.ms": "3600000", "broker.session.timeout.ms": "7200000"})

    def hears(code):
        wait_until(lambda: would_create(connection) == code, 20, f"a new topic to meet error {code}")

    with connect(two.broker) as connection:
        hears(0)
        alter(two.broker, BROKER, "1", cordoned_log_dirs="*")
        hears(INVALID_REPLICATION_FACTOR)
        alter(two.broker, BROKER, "1", cordoned_log_dirs=str(two.sound))
        hears(0)
        create_topic(two.broker, "u")
        assert (two.disk.path / "u-0").is_dir()
        two.disk.break_down()
        two.is_off_line(connection)
        hears(INVALID_REPLICATION_FACTOR)


def ends_by_itself(broker):
    assert broker.process.wait(20) == 1
    broker.process = None
    return broker.log_text()


def test_the_broker_ends_when_its_only_directory_breaks_down(brokers, disks):
    disk = disks.disk()
    broker = brokers.start(data=disk.path)
    create_topic(broker, "t")
    disk.break_down()
    with connect(broker) as connection:
        try:
            try_produce(connection, 0)
        except (OSError, EOFError):
            pass
    text = ends_by_itself(broker)
    assert text.count("cannot go on: the directory of the metadata log has failed") == 1, text


def test_the_broker_ends_when_the_metadata_cannot_be_written(brokers, disks):
    disk = disks.disk()
    broker = brokers.start(settings={"metadata.log.dir": str(disk.path)})
    create_topic(broker, "t")
    disk.break_down()
    with connect(broker) as connection:
        wanted = {"Name": "u", "NumPartitions": 1, "ReplicationFactor": 1}
        try:
            connection.call("CreateTopics", 7, {"Topics": [wanted], "TimeoutMs": 20000})
        except (OSError, EOFError):
            pass
    text = ends_by_itself(broker)
    assert text.count("cannot go on") == 1 and str(disk.path) in text, text


def test_the_broker_ends_when_all_log_dirs_fail(brokers, disks):
    first, second = disks.disk(), disks.disk()
    broker = brokers.new(settings={"log.dirs": f"{first.path},{second.path}"})
    broker.settings["metadata.log.dir"] = str(broker.data)
    broker.start()
    create_topic(broker, "t", partitions=2)
    with connect(broker) as connection:
        for disk in (first, second):
            assert broker.process.returncode is None
            disk.break_down()
            for i in range(2):
                try:
                    try_produce(connection, i)
                except (OSError, EOFError):
                    pass
    assert ends_by_itself(broker).count("cannot go on: all of log.dirs have failed") == 1


def refuses_to_start(broker):
    done = subprocess.run([odradek_binary(), "server", broker.properties_path], capture_output=True, text=True, timeout=60)
    said = [line for line in (done.stdout + done.stderr).split("\n") if "cannot start" in line]
    assert done.returncode == 1 and len(said) == 1, (done.returncode, done.stdout, done.stderr)
    return said[0]


def replaced(path, key, value):
    lines = [f"{key}={value}" if line.startswith(key + "=") else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines) + "\n")


def other_cluster(first, second):
    replaced(second / "meta.properties", "cluster.id", "another")


def other_node(first, second):
    replaced(second / "meta.properties", "node.id", "7")


def copied(first, second):
    (second / "meta.properties").write_bytes((first / "meta.properties").read_bytes())


def wiped(first, second):
    for path in second.rglob("*"):
        path.unlink() if path.is_file() else None
    for path in second.iterdir():
        path.rmdir()


def twice(first, second):
    one = next(path for path in second.iterdir() if path.name.startswith("t-"))
    (first / one.name).mkdir()
    for path in one.iterdir():
        (first / one.name / path.name).write_bytes(path.read_bytes())


REFUSED = {other_cluster: "cluster", other_node: "node", copied: "directory.id", wiped: "meta.properties", twice: "t-"}


@pytest.mark.parametrize("what", REFUSED)
def test_directories_that_do_not_belong_together_are_refused(what, brokers, tmp_path):
    broker = brokers.new()
    second = tmp_path / "second"
    broker.settings["log.dirs"] = f"{broker.data},{second}"
    broker.start()
    create_topic(broker, "t", partitions=2)
    broker.stop()
    what(broker.data, second)
    said = refuses_to_start(broker)
    assert REFUSED[what] in said and str(second) in said, said
