"""Directories that leave log.dirs for good, come anew, or come back, at a restart: what Odradek and Apache Kafka make of them."""

import json
import shutil

import pytest

from harness import java
from harness.broker import CLUSTER_ID, odradek_binary
from harness.process import run, wait_until
from harness.requests import connect, create_topic, end_offset, error, fetch, produce, values

PARTITIONS = 4
SETTLE_S = 60


def meta(path):
    lines = (path / "meta.properties").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


class Node:
    """A broker with half of a topic's partitions in its first directory and half in the second."""

    def __init__(self, brokers, kind):
        self.broker = brokers.new(kind)
        self.paths = {"first": self.broker.data, **{name: self.broker.directory / name for name in ("second", "third")}}
        self.use("first", "second")
        self.broker.start()
        create_topic(self.broker, "t", partitions=PARTITIONS)
        self.stay = [i for i in range(PARTITIONS) if (self.paths["first"] / f"t-{i}").is_dir()]
        self.leave = [i for i in range(PARTITIONS) if i not in self.stay]
        assert len(self.stay) == len(self.leave) == PARTITIONS // 2
        assert self.write(b"before") == {"stay": [0], "leave": [0]}
        self.cluster = meta(self.paths["first"])["cluster.id"]
        told = {"stay": [["first"]], "leave": [["second"]]}
        wait_until(lambda: self.assigned() == told, SETTLE_S, "the controller to hear of the directories", every_s=0.3)

    def use(self, *names):
        self.broker.settings["log.dirs"] = ",".join(str(self.paths[name]) for name in names)

    def format(self, name):
        """With the tool of each: the new directory alone, the others are left as they are."""
        self.broker.properties_path.write_text("".join(f"{key}={value}\n" for key, value in self.broker.settings.items()))
        words = ["--cluster-id", self.cluster, "--ignore-formatted"]
        if self.broker.kind == "kafka":
            words += ["--standalone", "--config", self.broker.properties_path]
            run(java.command(java.TOOLS["kafka-storage"], "format", *words), 60)
        else:
            run([odradek_binary(), "format", *words, self.broker.properties_path])
        assert meta(self.paths[name])["cluster.id"] == self.cluster

    def both(self, ask):
        """What is said of the partitions that stay and of those whose directory leaves; those of one kind say the same."""
        return {"stay": self.same(ask, self.stay), "leave": self.same(ask, self.leave)}

    @staticmethod
    def same(ask, partitions):
        said = [ask(i) for i in partitions]
        return said[:1] if all(one == said[0] for one in said) else said

    def write(self, value):
        with connect(self.broker) as connection:
            return self.both(lambda i: error(produce(connection, "t", [(None, value)], partition=i)))

    def read(self):
        def ask(i):
            code, batches = fetch(connection, "t", 0, partition=i)
            return code, values(batches)

        with connect(self.broker) as connection:
            return self.both(ask)

    def metadata(self):
        names = ("ErrorCode", "LeaderId", "ReplicaNodes", "IsrNodes", "OfflineReplicas")
        with connect(self.broker) as connection:
            answer = connection.call("Metadata", 12, {"Topics": [{"Name": "t"}]})["Topics"][0]
        found = {one["PartitionIndex"]: [one[name] for name in names] for one in answer["Partitions"]}
        return self.both(found.get)

    def places(self, topic="t"):
        """In which directories the partitions lie on disk, under whatever name."""
        found = {}
        for i in range(PARTITIONS):
            found[i] = []
            for name, path in self.paths.items():
                for one in path.glob(f"{topic}-{i}*") if path.is_dir() else ():
                    found[i].append(name + one.name[len(f"{topic}-{i}"):][-6:])
        return self.both(found.get) if topic == "t" else found

    def described(self):
        with connect(self.broker) as connection:
            found = connection.call("DescribeLogDirs", 5, {"Topics": None})["Results"]
        return sorted(
            (one["ErrorCode"], one["LogDir"].rsplit("/", 1)[1], sorted(
                partition["PartitionIndex"] in self.stay for topic in one["Topics"] if topic["Name"] == "t"
                for partition in topic["Partitions"]
            )) for one in found
        )  # fmt: skip

    def settle(self):
        """Until what the broker says of itself does not change any more: it may make logs and report them."""
        last, enough = [], 10 if self.broker.kind == "odradek" else 20  # a JVM may stand still for longer

        def quiet():
            now = (self.metadata(), self.places(), self.described())
            last.append(now)
            return len(last) > enough and all(one == now for one in last[-enough:])

        wait_until(quiet, SETTLE_S, "the partitions to settle", every_s=0.3)

    def assigned(self):
        """Where the metadata has the partitions: the names of the directories whose ids they are."""
        ids = {meta(path).get("directory.id"): name for name, path in self.paths.items() if (path / "meta.properties").exists()}
        topic, where = None, {}
        text = run([odradek_binary(), "log", "dump", "--records", "--json", self.paths["first"] / "__cluster_metadata-0"])
        for record in metadata_records(text.decode()):
            data = record["data"]
            if record["type"] == "TopicRecord" and data["name"] == "t":
                topic = data["topicId"]
            if record["type"] in ("PartitionRecord", "PartitionChangeRecord") and data["topicId"] == topic:
                if data.get("directories"):
                    where[data["partitionId"]] = [ids.get(one, one) for one in data["directories"]]
        return self.both(where.get)

    def tell(self, again=b"after"):
        self.settle()
        said = [("metadata", self.metadata()), ("write", self.write(again)), ("read", self.read())]
        said += [("places", self.places()), ("DescribeLogDirs", self.described())]
        return said


def metadata_records(text):
    for line in text.splitlines():
        if line.startswith("{"):
            yield from found(json.loads(line))


def found(value):
    """The records in a line of the dump, however deep."""
    if isinstance(value, dict) and "type" in value and "data" in value:
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from found(one)
    elif isinstance(value, list):
        for one in value:
            yield from found(one)


def restart(node, end, *names, formatted=None):
    node.broker.stop() if end == "stop" else node.broker.kill()
    node.use(*names)
    if formatted:
        node.format(formatted)
    node.broker.start()


def without_second(node, end, *names, formatted=None):
    """
    The partitions of a directory that is gone are made anew, empty, and have a leader. Whether at once, Kafka leaves to
    chance: to whether the controller hears of their new place before or after it takes the broker back. Another start
    gives them one.
    """
    restart(node, end, *names, formatted=formatted)
    node.settle()
    said = [("places", node.places()), ("DescribeLogDirs", node.described()), ("metadata", node.metadata()["stay"])]
    if node.broker.kind == "odradek":
        assert [one[1] for one in node.metadata()["leave"]] == [1]
        assert node.broker.log_text().count(" begins anew, empty, in ") == len(node.leave)
    restart(node, end, *names)
    said += node.tell()
    create_topic(node.broker, "u", partitions=PARTITIONS)
    said.append(("a new topic", sorted(node.places("u").values())))
    node.broker.stop()
    return said + [("assigned", node.assigned())]


def removed(node, end):
    return without_second(node, end, "first")


def swapped(node, end):
    return without_second(node, end, "first", "third", formatted="third")


def added(node, end):
    restart(node, end, "first", "second", "third", formatted="third")
    said = node.tell()
    create_topic(node.broker, "u", partitions=PARTITIONS)
    said.append(("a new topic", sorted(node.places("u").values())))
    node.broker.stop()
    return said + [("assigned", node.assigned())]


def back(node, end):
    """What was made anew meanwhile lies in two directories now: neither of the two starts before one of them is taken away."""
    restart(node, end, "first")
    node.settle()
    try:
        restart(node, end, "first", "second")
    except AssertionError as problem:
        assert "ended with 1" in str(problem)
        node.broker.process = None
        said = [("refused", node.places())]
    else:
        return [("started", node.tell())]
    for i in node.leave:
        shutil.rmtree(node.paths["first"] / f"t-{i}")
    node.broker.start()
    said += node.tell()
    node.broker.stop()
    return said + [("assigned", node.assigned())]


@pytest.mark.timeout(900)  # Kafka starts three times
@pytest.mark.parametrize("what, end", [(removed, "kill"), (swapped, "stop"), (added, "stop"), (back, "stop")])
def test_both_do_the_same(brokers, what, end):
    ours, kafkas = (what(Node(brokers, kind), end) for kind in ("odradek", "kafka"))
    for one in ours:
        print("ours ", one)
    for one in kafkas:
        print("kafka", one)
    assert ours == kafkas
