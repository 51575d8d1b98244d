"""What people do to topics, and that it lasts."""

import pathlib
import shutil

import pytest

from harness.process import wait_until
from harness.requests import connect, create_topic, delete_records, end_offset, error, fetch, produce, values
from harness.wire import Connection

EARLIEST = -2


def grow(connection, topic, count):
    wanted = {"Name": topic, "Count": count, "Assignments": None}
    return connection.call("CreatePartitions", 3, {"Topics": [wanted], "TimeoutMs": 10000})["Results"][0]


def start_offset(connection, topic, partition=0):
    return end_offset(connection, topic, partition, EARLIEST)["Offset"]


def test_a_topic_made_anew_is_not_taken_for_the_one_before(brokers):
    """Its name is that of a topic whose records had been deleted; the broker dies before it writes its checkpoints again."""
    broker = brokers.start()
    with connect(broker) as connection:
        for records, start in ((10, 8), (3, 0)):
            create_topic(broker, "again")
            for number in range(records):
                assert error(produce(connection, "again", [(b"k", b"%d" % number)])) == 0
            if start:
                assert delete_records(connection, "again", (0, start)) == {0: (0, start)}
                answer = connection.call("DeleteTopics", 6, {"Topics": [{"Name": "again"}], "TimeoutMs": 20000})
                assert error(answer["Responses"][0]) == 0
    broker.kill()
    broker.start()
    with connect(broker) as connection:
        wait_until(lambda: error(end_offset(connection, "again")) == 0, 20, "a leader")
        assert start_offset(connection, "again") == 0
        code, batches = fetch(connection, "again")
        assert code == 0 and values(batches) == [b"0", b"1", b"2"]


def test_topics_that_must_not_be_deleted_stay(brokers):
    """delete.topic.enable=false, as Kafka answers it in each version of the request."""
    broker = brokers.start(settings={"delete.topic.enable": "false"})
    create_topic(broker, "kept")
    with connect(broker) as connection:
        produce(connection, "kept", [(b"k", b"v")])
        for version in range(1, 7):
            named = {"Topics": [{"Name": "kept"}]} if version >= 6 else {"TopicNames": ["kept"]}
            [answer] = connection.call("DeleteTopics", version, {**named, "TimeoutMs": 10000})["Responses"]
            assert (answer["Name"], answer["ErrorCode"]) == ("kept", 73 if version >= 3 else 42)  # TOPIC_DELETION_DISABLED, INVALID_REQUEST
        assert values(fetch(connection, "kept", 0)[1]) == [b"v"]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_deleted_records_stay_deleted(brokers, how):
    broker = brokers.start()
    create_topic(broker, "deleted", 3)
    with connect(broker) as connection:
        for partition in range(3):
            produce(connection, "deleted", [(b"k", b"%d" % i) for i in range(10)], partition)
        assert delete_records(connection, "deleted", (0, 4), (1, -1), (2, 11)) == {0: (0, 4), 1: (0, 10), 2: (1, -1)}
    broker.kill() if how == "kill" else broker.stop()
    saved = (broker.data / "log-start-offset-checkpoint").read_text().split("\n")
    assert sorted(saved[2:4]) == ["deleted 0 4", "deleted 1 10"], saved
    broker.start()
    with connect(broker) as connection:
        assert [start_offset(connection, "deleted", partition) for partition in range(3)] == [4, 10, 0]
        assert fetch(connection, "deleted", 3)[0] == 1  # OFFSET_OUT_OF_RANGE
        assert values(fetch(connection, "deleted", 4)[1])[-1] == b"9"
        assert error(produce(connection, "deleted", [(b"k", b"more")], 1)) == 0
        assert values(fetch(connection, "deleted", 10, partition=1)[1]) == [b"more"]


def test_segments_below_the_start_go(brokers):
    """With the next look of retention, whatever the topic's own limits say."""
    broker = brokers.start(settings={"log.retention.check.interval.ms": "200", "log.segment.delete.delay.ms": "100"})
    create_topic(broker, "shrinking", segment_bytes="1048576", retention_ms="-1")
    with connect(broker) as connection:
        for _ in range(8):
            produce(connection, "shrinking", [(b"k", b"v" * 600_000)])
        folder = broker.partition_directory("shrinking")
        assert len(list(folder.glob("*.log"))) == 8
        assert delete_records(connection, "shrinking", (0, 5)) == {0: (0, 5)}
        wait_until(lambda: len(list(folder.glob("*.log*"))) == 3, 20, "the segments to go")
        assert fetch(connection, "shrinking", 5, max_bytes=1 << 21)[0] == 0


def test_new_partitions_serve_at_once_and_stay(brokers):
    broker = brokers.start()
    create_topic(broker, "growing", 1)
    with connect(broker) as connection:
        produce(connection, "growing", [(b"k", b"old")])
        for count in (2, 5, 40):
            assert error(grow(connection, "growing", count)) == 0
            for partition in range(count):
                if partition >= count // 2:
                    assert error(produce(connection, "growing", [(b"k", b"v")], partition)) == 0
    broker.kill()
    broker.start()
    with connect(broker) as connection:
        assert values(fetch(connection, "growing", 0)[1]) == [b"old"]
        topic = connection.call("Metadata", 12, {"Topics": [{"Name": "growing"}]})["Topics"][0]
        assert [p["PartitionIndex"] for p in sorted(topic["Partitions"], key=lambda p: p["PartitionIndex"])] == list(range(40))
        assert all(values(fetch(connection, "growing", 0, partition=i)[1]) for i in range(20, 40))


def test_many_partitions_at_once(brokers, tmp_path):
    """Of one topic and of many: each has its log when the answer comes, the log.dirs share them, and a crash takes none."""
    two = [tmp_path / "a", tmp_path / "b"]
    broker = brokers.start(settings={"log.dirs": ",".join(map(str, two))})
    wanted = [{"Name": "wide", "NumPartitions": 300, "ReplicationFactor": 1}]
    wanted += [{"Name": f"narrow-{i}", "NumPartitions": 1, "ReplicationFactor": 1} for i in range(100)]

    def serves_all(connection):
        for topic, partition in [("wide", i) for i in range(0, 300, 7)] + [(f"narrow-{i}", 0) for i in range(0, 100, 7)]:
            assert error(produce(connection, topic, [(b"k", b"v")], partition)) == 0

    with connect(broker) as connection:
        answer = connection.call("CreateTopics", 7, {"Topics": wanted, "TimeoutMs": 20000})
        assert {error(topic) for topic in answer["Topics"]} == {0}
        made = [len(list(path.glob("*-[0-9]*/*.log"))) for path in two]
        assert sum(made) == 401 and abs(made[0] - made[1]) <= 16, made  # one is the metadata's
        serves_all(connection)
        assert error(grow(connection, "wide", 500)) == 0
        assert error(produce(connection, "wide", [(b"k", b"v")], 499)) == 0
    broker.kill()
    broker.start()
    with connect(broker) as connection:
        serves_all(connection)
        gone = [{"Name": topic["Name"]} for topic in wanted]
        answer = connection.call("DeleteTopics", 6, {"Topics": gone, "TimeoutMs": 20000})
        assert {error(topic) for topic in answer["Responses"]} == {0}
    for path in two:
        assert not [one for one in path.glob("*-[0-9]*") if one.name.startswith(("wide-", "narrow-")) and not one.name.endswith("-delete")]


def test_the_controller_listener_decides_too(brokers):
    """kafka-topics --bootstrap-controller and its like speak to the controller's own listener."""
    broker = brokers.start()
    create_topic(broker, "asked", 1)
    with Connection("127.0.0.1", broker.controller_port) as connection:
        assert error(grow(connection, "asked", 2)) == 0
    with connect(broker) as connection:
        assert error(produce(connection, "asked", [(b"k", b"v")], 1)) == 0


def described(connection, version=5, topics=None):
    answer = connection.call("DescribeLogDirs", version, {"Topics": topics})
    return {one["LogDir"]: one for one in answer["Results"]}


def test_log_directories_are_described(brokers, tmp_path):
    """Two directories, one of which goes away while the broker is down."""
    broker = brokers.start(settings={"log.dirs": f"{tmp_path}/a,{tmp_path}/b"})
    create_topic(broker, "spread", 4)
    with connect(broker) as connection:
        for partition in range(4):
            produce(connection, "spread", [(b"k", b"v" * 1000)], partition)
        dirs = described(connection)
        assert set(dirs) == {f"{tmp_path}/a", f"{tmp_path}/b"}
        seen = []
        for path, one in dirs.items():
            assert one["ErrorCode"] == 0 and not one["IsCordoned"]
            assert 0 < one["UsableBytes"] < one["TotalBytes"]
            for partition in one["Topics"][0]["Partitions"]:
                folder = pathlib.Path(path, f"spread-{partition['PartitionIndex']}")
                sizes = [file.stat().st_size for file in folder.glob("*.log")]
                assert partition["PartitionSize"] == sum(sizes) > 1000
                seen.append(partition["PartitionIndex"])
        assert sorted(seen) == [0, 1, 2, 3]
        assert all(not one["Topics"] for one in described(connection, topics=[]).values())
    broker.stop()
    shutil.rmtree(f"{tmp_path}/b")
    pathlib.Path(tmp_path, "b").write_text("no directory")
    broker.start()
    with connect(broker) as connection:
        dirs = described(connection)
        lost = dirs[f"{tmp_path}/b"]
        assert (lost["ErrorCode"], lost["Topics"], lost["TotalBytes"]) == (56, [], -1)  # KAFKA_STORAGE_ERROR
        assert dirs[f"{tmp_path}/a"]["ErrorCode"] == 0 and len(dirs[f"{tmp_path}/a"]["Topics"][0]["Partitions"]) == 2
