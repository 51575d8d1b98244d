"""AlterReplicaLogDirs (KIP-113): the same requests to Odradek and to Apache Kafka, the same answers, and logs that lie in the same places."""

import json

import pytest

from harness import java
from harness.process import wait_until
from harness.requests import BROKER, alter, connect, create_topic, end_offset, error, fetch, produce, values

RATE = "replica.alter.log.dirs.io.max.bytes.per.second"
SLOW = "20000"  # bytes a second: what is moved takes minutes


class Asked:
    """One broker with two directories, and what it said."""

    def __init__(self, brokers, kind, **settings):
        self.broker = brokers.new(kind, settings)
        self.paths = {"FIRST": str(self.broker.data), "SECOND": str(self.broker.directory / "second")}
        self.broker.settings["log.dirs"] = ",".join(self.paths.values())
        self.broker.start()
        self.said = []

    def note(self, what, answer):
        self.said.append((what, answer))

    def move(self, connection, version, *wanted):
        """wanted: (directory, topic, partitions). Returns the errors."""
        dirs = [{"Path": self.paths.get(to, to), "Topics": [{"Name": name, "Partitions": list(ps)}]} for to, name, ps in wanted]
        answer = connection.call("AlterReplicaLogDirs", version, {"Dirs": dirs})
        return sorted((t["TopicName"], p["PartitionIndex"], error(p)) for t in answer["Results"] for p in t["Partitions"])

    def lies(self, connection, topic):
        """{(directory, partition): (future, lag)}"""
        found = connection.call("DescribeLogDirs", 5, {"Topics": None})["Results"]
        names = {path: name for name, path in self.paths.items()}
        return {
            (names[one["LogDir"]], p["PartitionIndex"]): (p["IsFutureKey"], p["OffsetLag"])
            for one in found for t in one["Topics"] if t["Name"] == topic for p in t["Partitions"]
        }  # fmt: skip

    def cordoned(self, connection):
        found = connection.call("DescribeLogDirs", 5, {"Topics": None})["Results"]
        return [name for name, path in self.paths.items() if any(one["LogDir"] == path and one["IsCordoned"] for one in found)]

    def settled(self, connection, topic, *where):
        wanted = {(name, i): (False, 0) for i, name in enumerate(where)}
        wait_until(lambda: self.lies(connection, topic) == wanted, 60, f"{topic} to lie in {where}")


def place(asked, connection, topic, *where):
    """Whatever the broker would choose: the directory was told before the topic is made."""
    for i, name in enumerate(where):
        asked.note(f"wanted: {topic}-{i}", asked.move(connection, 2, (name, topic, [i])))
    create_topic(asked.broker, topic, partitions=len(where))
    asked.settled(connection, topic, *where)


def fill(asked, connection, topic, partition, count, size=1000):
    for i in range(count):
        assert error(produce(connection, topic, [(None, b"%d." % i + b"x" * size)], partition=partition)) == 0


def errors(asked, connection):
    place(asked, connection, "t", "FIRST", "FIRST", "SECOND")
    for version in (1, 2):
        for wanted in (
            [("/nowhere", "t", [0])],
            [("FIRST", "none", [0])],
            [("FIRST", "t", [7, -1])],
            [("FIRST", "x" * 214, [0]), ("FIRST", "x" * 213, [0])],
            [("FIRST", "x" * 250, [0])],
            [("FIRST", "", [0])],
            [("FIRST", "__cluster_metadata", [0])],
            [("FIRST", "t", [0, 1, 0])],
            [("SECOND", "t", [])],
            [("/nowhere", "t", [0]), ("FIRST", "t", [0])],
            [("SECOND/", "t", [0])],
            [],
        ):
            asked.note((version, wanted), asked.move(connection, version, *wanted))
    asked.settled(connection, "t", "FIRST", "FIRST", "SECOND")


def moves(asked, connection):
    fill(asked, connection, "t", 0, 20)
    asked.note("move", asked.move(connection, 2, ("SECOND", "t", [0, 1]), ("FIRST", "t", [2])))
    asked.settled(connection, "t", "SECOND", "SECOND", "FIRST")
    code, batches = fetch(connection, "t", 0, partition=0)
    asked.note("read", (code, [one[:3] for one in values(batches)]))
    alter(asked.broker, BROKER, "1", cordoned_log_dirs=asked.paths["FIRST"])
    wait_until(lambda: asked.cordoned(connection) == ["FIRST"], 60, "it to be cordoned")
    asked.note("move to a cordoned one", asked.move(connection, 2, ("FIRST", "t", [1])))
    asked.note("stay in a cordoned one", asked.move(connection, 2, ("FIRST", "t", [2])))
    alter(asked.broker, BROKER, "1", cordoned_log_dirs=None)
    wait_until(lambda: not asked.cordoned(connection), 60, "it to be free")


def plan(asked, tmp_path, to, *partitions):
    moves = [{"topic": "t", "partition": i, "replicas": [1], "log_dirs": [asked.paths[to]]} for i in partitions]
    file = tmp_path / f"{asked.broker.kind}-{to}.json"
    file.write_text(json.dumps({"version": 1, "partitions": moves}))
    return ["--bootstrap-server", asked.broker.bootstrap, "--reassignment-json-file", str(file)]


def watched(asked, connection, tmp_path):
    """What tools say of a move that is under way."""
    fill(asked, connection, "t", 1, 300, 50000)  # Kafka moves at least a megabyte in ten seconds
    words = plan(asked, tmp_path, "FIRST", 1)
    java.tool("kafka-reassign-partitions", *words, "--execute", "--replica-alter-log-dirs-throttle", SLOW)
    wait_until(lambda: ("FIRST", 1) in asked.lies(connection, "t"), 60, "the copy")
    verified = java.tool("kafka-reassign-partitions", *words, "--verify")
    asked.note("verify", sorted(line for line in verified.splitlines() if "Reassignment of" in line))
    said = java.tool("kafka-log-dirs", "--bootstrap-server", asked.broker.bootstrap, "--describe", "--topic-list", "t")
    [found] = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    [broker] = found["brokers"]
    names = {path: name for name, path in asked.paths.items()}
    lies = [(p["partition"], names[one["logDir"]], p["isFuture"], p["offsetLag"] > 0) for one in broker["logDirs"] for p in one["partitions"]]
    asked.note("log dirs", sorted(lies))
    asked.note("called off", asked.move(connection, 2, ("SECOND", "t", [1])))
    asked.settled(connection, "t", "SECOND", "SECOND", "FIRST")


def by_tool(asked, connection, tmp_path):
    words = plan(asked, tmp_path, "FIRST", 0, 1, 2)
    java.tool("kafka-reassign-partitions", *words, "--execute", "--replica-alter-log-dirs-throttle", "1000000000")
    asked.settled(connection, "t", "FIRST", "FIRST", "FIRST")
    verified = java.tool("kafka-reassign-partitions", *words, "--verify")
    asked.note("verify", sorted(line for line in verified.splitlines() if "Reassignment of" in line))


def ask(brokers, kind, tmp_path):
    asked = Asked(brokers, kind)
    with connect(asked.broker) as connection:
        errors(asked, connection)
        moves(asked, connection)
        watched(asked, connection, tmp_path)
        by_tool(asked, connection, tmp_path)
    asked.broker.stop()
    asked.broker.start()
    with connect(asked.broker) as connection:
        asked.settled(connection, "t", "FIRST", "FIRST", "FIRST")
        for i in range(3):
            wait_until(lambda i=i: error(end_offset(connection, "t", i)) == 0, 60, f"t-{i} to be served")
        asked.note("ends", [end_offset(connection, "t", i)["Offset"] for i in range(3)])
    asked.broker.stop()
    return asked.said


@pytest.mark.timeout(600)
def test_both_move_the_same(brokers, tmp_path):
    ours, kafkas = (ask(brokers, kind, tmp_path) for kind in ("odradek", "kafka"))
    for one, other in zip(ours, kafkas):
        if one != other:
            print("ours ", one, "\nkafka", other)
    assert ours == kafkas


@pytest.mark.parametrize("first, then", [("odradek", "kafka"), ("kafka", "odradek")])
def test_a_move_goes_on_in_the_other_broker(first, then, brokers):
    asked = Asked(brokers, first, **{RATE: SLOW})
    with connect(asked.broker) as connection:
        place(asked, connection, "t", "FIRST")
        fill(asked, connection, "t", 0, 60, 50000)
        asked.move(connection, 2, ("SECOND", "t", [0]))
        wait_until(lambda: ("SECOND", 0) in asked.lies(connection, "t"), 60, "the copy")
    asked.broker.stop()
    asked.broker = brokers.successor(asked.broker, then)
    del asked.broker.settings[RATE]
    asked.broker.start()
    with connect(asked.broker) as connection:
        asked.settled(connection, "t", "SECOND")
        wait_until(lambda: error(end_offset(connection, "t")) == 0, 60, "t-0 to be served")
        assert end_offset(connection, "t")["Offset"] == 60
        at = 0
        while at < 60:
            code, batches = fetch(connection, "t", at)
            assert code == 0
            for value in values(batches):
                assert value.startswith(b"%d.x" % at)
                at += 1
    asked.broker.stop()
