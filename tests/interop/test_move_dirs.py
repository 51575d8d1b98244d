"""AlterReplicaLogDirs (KIP-113): the same requests to Odradek and to Apache Kafka, the same answers, and logs that lie in the same places."""

import json

from harness import java
from harness.process import wait_until
from harness.requests import BROKER, alter, connect, create_topic, end_offset, error, fetch, produce, values



class Asked:
    """One broker with two directories, and what it said."""

    def __init__(self, brokers, kind):
        self.broker = brokers.new(kind)
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

    def settled(self, connection, topic, *where):
        wanted = {(name, i): (False, 0) for i, name in enumerate(where)}
        wait_until(lambda: self.lies(connection, topic) == wanted, 60, f"{topic} to lie in {where}")


def place(asked, connection, topic, *where):
    """Whatever the broker would choose: the directory was told before the topic is made."""
    for i, name in enumerate(where):
        asked.note(f"wanted: {topic}-{i}", asked.move(connection, 2, (name, topic, [i])))
    create_topic(asked.broker, topic, partitions=len(where))
    asked.settled(connection, topic, *where)


def fill(asked, connection, topic, partition, count):
    for i in range(count):
        assert error(produce(connection, topic, [(None, b"%d." % i + b"x" * 1000)], partition=partition)) == 0


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
    asked.note("move to a cordoned one", asked.move(connection, 2, ("FIRST", "t", [1])))
    asked.note("stay in a cordoned one", asked.move(connection, 2, ("FIRST", "t", [2])))
    alter(asked.broker, BROKER, "1", cordoned_log_dirs=None)


def by_tool(asked, connection, tmp_path):
    plan = [{"topic": "t", "partition": i, "replicas": [1], "log_dirs": [asked.paths["FIRST"]]} for i in range(3)]
    file = tmp_path / f"{asked.broker.kind}.json"
    file.write_text(json.dumps({"version": 1, "partitions": plan}))
    words = ["--bootstrap-server", asked.broker.bootstrap, "--reassignment-json-file", str(file)]
    java.tool("kafka-reassign-partitions", *words, "--execute", "--replica-alter-log-dirs-throttle", "1000000000")
    asked.settled(connection, "t", "FIRST", "FIRST", "FIRST")
    verified = java.tool("kafka-reassign-partitions", *words, "--verify")
    asked.note("verify", sorted(line for line in verified.splitlines() if "Reassignment of" in line))


def ask(brokers, kind, tmp_path):
    asked = Asked(brokers, kind)
    with connect(asked.broker) as connection:
        errors(asked, connection)
        moves(asked, connection)
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


def test_both_move_the_same(brokers, tmp_path):
    ours, kafkas = (ask(brokers, kind, tmp_path) for kind in ("odradek", "kafka"))
    for one, other in zip(ours, kafkas):
        if one != other:
            print("ours ", one, "\nkafka", other)
    assert ours == kafkas
