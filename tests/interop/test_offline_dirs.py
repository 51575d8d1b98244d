"""One of two log directories cannot be used when the broker starts: what Odradek and Apache Kafka say of its partitions."""

import json
import re

import pytest

from harness import java
from harness.process import wait_until
from harness.requests import connect, create_topic, end_offset, error, fetch, produce

PARTITIONS = 4
NOT_LEADER_OR_FOLLOWER, STORAGE_ERROR = 6, 56


def a_file(path):
    path.write_text("")


def damaged(path):
    path.mkdir()
    (path / "meta.properties").write_text("version=junk\n")


def moved_away(path):
    path.rename(path.with_name(path.name + ".away"))


def metadata_of(connection):
    answer = connection.call("Metadata", 12, {"Topics": [{"Name": "t"}]})["Topics"][0]
    names = ("ErrorCode", "LeaderId", "LeaderEpoch", "ReplicaNodes", "IsrNodes", "OfflineReplicas")
    return {one["PartitionIndex"]: [one[name] for name in names] for one in answer["Partitions"]}


def dirs_described(broker, topics):
    """As answered, without sizes and with the directories' places for their paths."""
    with connect(broker) as connection:
        answer = connection.call("DescribeLogDirs", 5, {"Topics": topics})
    found = []
    for one in answer["Results"]:
        lies = sorted(t["Name"] for t in one["Topics"] if t["Name"] == "t")
        room = one["TotalBytes"] > 0, one["UsableBytes"] > 0
        found.append((one["ErrorCode"], one["LogDir"].rsplit("/", 1)[1], lies, room, one["IsCordoned"]))
    return error(answer), sorted(found)


def tool_says(broker):
    """kafka-log-dirs, as far as it says no sizes."""
    out = java.tool("kafka-log-dirs", "--bootstrap-server", broker.bootstrap, "--describe", "--topic-list", "t")
    told = json.loads(re.search(r"^\{.*\}$", out, re.M).group(0))
    [one] = told["brokers"]
    found = [(d["logDir"].rsplit("/", 1)[1], d["error"], len(d["partitions"])) for d in one["logDirs"]]
    return one["broker"], sorted(found, key=str)


def ask(brokers, kind, what):
    broker = brokers.new(kind)
    second = broker.directory / "second"
    broker.settings["log.dirs"] = f"{broker.data},{second}"
    broker.start()
    create_topic(broker, "t", partitions=PARTITIONS)
    bad = [i for i in range(PARTITIONS) if (second / f"t-{i}").is_dir()]
    good = [i for i in range(PARTITIONS) if i not in bad]
    assert len(bad) == PARTITIONS // 2
    with connect(broker) as connection:
        for i in range(PARTITIONS):
            assert error(produce(connection, "t", [(None, b"first")], partition=i)) == 0
    broker.stop()
    moved_away(second)
    what(second)
    broker.start()
    said = []
    with connect(broker) as connection:
        def settled():
            found = metadata_of(connection)
            return all(found[i][1] == 1 for i in good) and all(found[i][1] == -1 for i in bad)

        wait_until(settled, 60, "the leaders of the broken directory's partitions to go")
        for i in range(PARTITIONS):
            wait_until(lambda i=i: (error(end_offset(connection, "t", i)) == 0) == (i in good), 60, f"partition {i}")
        found = metadata_of(connection)
        for name, some in (("good", good), ("bad", bad)):
            for i in some:
                said.append((name, "Metadata", found[i]))
                said.append((name, "Produce", error(produce(connection, "t", [(None, b"x")], partition=i))))
                said.append((name, "Fetch", fetch(connection, "t", 0, partition=i)[0]))
                said.append((name, "ListOffsets", error(end_offset(connection, "t", i))))
    said.append(("DescribeLogDirs", dirs_described(broker, None)))
    wanted = [{"Topic": "t", "Partitions": list(range(PARTITIONS))}]
    said.append(("DescribeLogDirs of the topic", dirs_described(broker, wanted)))
    said.append(("kafka-log-dirs", tool_says(broker)))
    create_topic(broker, "u", partitions=3)
    said.append(("a new topic", sum((broker.data / f"u-{i}").is_dir() for i in range(3))))
    broker.stop()
    return said


@pytest.mark.parametrize("what", [a_file, damaged])
def test_both_say_the_same(brokers, what):
    ours, kafkas = ask(brokers, "odradek", what), ask(brokers, "kafka", what)
    # docs/compatibility.md: Kafka has forgotten why it does not lead them, or, where it is slow to start, forgets it as it is asked;
    # both errors make a client ask for the leader anew.
    off_line = [("bad", api, STORAGE_ERROR) for api in ("Produce", "Fetch", "ListOffsets")]
    assert [one for one in ours if one[:2] in [two[:2] for two in off_line]] == off_line * (PARTITIONS // 2)
    assert len(ours) == len(kafkas)
    for one, other in zip(ours, kafkas):
        assert one == other or (one in off_line and other == (*one[:2], NOT_LEADER_OR_FOLLOWER)), (one, other)
