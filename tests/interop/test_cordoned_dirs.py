"""cordoned.log.dirs (KIP-1066): the same requests to Odradek and to Apache Kafka, and the same answers."""

import pytest

from harness import java
from harness.broker import CLUSTER_ID
from harness.process import run, wait_until
from harness.requests import BROKER, connect, create_topic, error, fetch, produce


def said(answer):
    return answer["ErrorCode"], answer["ErrorMessage"]


def try_create(connection, name, partitions=2, validate=False, **more):
    wanted = {"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, **more}
    body = {"Topics": [wanted], "TimeoutMs": 20000, "validateOnly": validate}
    return said(connection.call("CreateTopics", 7, body)["Topics"][0])


def try_grow(connection, name, count, assignments=None):
    wanted = {"Name": name, "Count": count, "Assignments": assignments}
    return said(connection.call("CreatePartitions", 3, {"Topics": [wanted], "TimeoutMs": 20000})["Results"][0])


def cordoned(connection):
    answer = connection.call("DescribeLogDirs", 5, {"Topics": None})
    return [one["LogDir"] for one in answer["Results"] if one["IsCordoned"]]


class Asked:
    """One broker with two directories, and what it said."""

    def __init__(self, brokers, kind):
        self.broker = brokers.new(kind)
        self.paths = {"FIRST": str(self.broker.data), "SECOND": str(self.broker.directory / "second")}
        self.broker.settings["log.dirs"] = ",".join(self.paths.values())
        self.said = []

    def note(self, what, answer):
        self.said.append((what, answer))

    def where(self, connection, topic):
        """How many of a topic's partitions lie in each directory."""
        found = connection.call("DescribeLogDirs", 5, {"Topics": None})["Results"]
        counts = {one["LogDir"]: sum(len(t["Partitions"]) for t in one["Topics"] if t["Name"] == topic) for one in found}
        return [counts[path] for path in self.paths.values()]

    def placed(self, connection, topic, count):
        wait_until(lambda: sum(self.where(connection, topic)) == count, 60, f"{count} logs of {topic}")
        self.note(f"where {topic} lies", self.where(connection, topic))

    def alter(self, connection, value, name="1"):
        paths = value and ",".join(self.paths.get(one, one) for one in value.split(","))
        change = {"Name": "cordoned.log.dirs", "ConfigOperation": 1 if value is None else 0, "Value": paths}
        resource = {"ResourceType": BROKER, "ResourceName": name, "Configs": [change]}
        answer = connection.call("IncrementalAlterConfigs", 1, {"Resources": [resource]})["Responses"][0]
        self.note(f"set {value} of {name!r}", said(answer))

    def cordon(self, connection, value, *seen, creates):
        """Sets it, and waits for the broker and the controller to know."""
        self.alter(connection, value)
        self.sees(connection, *seen, creates=creates)

    def sees(self, connection, *seen, creates=True):
        paths = [self.paths[one] for one in seen]
        wait_until(lambda: cordoned(connection) == paths, 60, f"{seen} to be cordoned")
        able = lambda: (try_create(connection, "probe", validate=True)[0] == 0) == creates  # noqa: E731
        wait_until(able, 60, f"topics to be {'created' if creates else 'refused'}")

    def serves(self, connection, topic, partitions):
        for i in range(partitions):
            self.note(f"produce {i}", error(produce(connection, topic, [(None, b"x")], partition=i)))
            self.note(f"fetch {i}", fetch(connection, topic, 0, partition=i)[0])


def while_it_runs(asked):
    with connect(asked.broker) as c:
        asked.cordon(c, "SECOND", "SECOND", creates=True)
        asked.note("create", try_create(c, "u", 3))
        asked.placed(c, "u", 3)
        asked.note("grow", try_grow(c, "u", 5))
        asked.placed(c, "u", 5)
        asked.serves(c, "t", 4)
        asked.cordon(c, "FIRST,SECOND", "FIRST", "SECOND", creates=False)
        asked.note("validate", try_create(c, "v", validate=True))
        asked.note("create", try_create(c, "v"))
        asked.note("more replicas than brokers", try_create(c, "v", ReplicationFactor=2))
        asked.note("defaults", try_create(c, "v", -1, ReplicationFactor=-1))
        asked.note("grow", try_grow(c, "u", 6))
        by_hand = [{"PartitionIndex": 0, "BrokerIds": [1]}]
        asked.note("create by hand", try_create(c, "w", -1, ReplicationFactor=-1, Assignments=by_hand))
        asked.note("grow by hand", try_grow(c, "u", 6, [{"BrokerIds": [1]}]))
        auto = c.call("Metadata", 12, {"Topics": [{"Name": "auto"}], "AllowAutoTopicCreation": True})["Topics"]
        asked.note("a topic made by itself", [(error(one), one["Name"]) for one in auto])
        asked.serves(c, "t", 4)


def after_a_start(asked):
    with connect(asked.broker) as c:
        asked.sees(c, "FIRST", "SECOND", creates=False)
        asked.note("create", try_create(c, "v"))
        asked.cordon(c, "", creates=True)
        asked.cordon(c, "*", "FIRST", "SECOND", creates=False)
        asked.cordon(c, None, creates=True)
        for value, name in (("*", ""), ("/x", "1"), ("*,/x", "1"), ("FIRST,*", "1")):
            asked.alter(c, value, name)
        asked.note("create", try_create(c, "v"))
        asked.placed(c, "v", 2)


def as_started_with(asked):
    """server.properties cordons; a dynamic value is over it."""
    with connect(asked.broker) as c:
        asked.sees(c, "SECOND", creates=True)
        asked.note("create", try_create(c, "x", 3))
        asked.placed(c, "x", 3)
        asked.cordon(c, "*", "FIRST", "SECOND", creates=False)
        asked.cordon(c, None, "SECOND", creates=True)


def ask(brokers, kind):
    asked = Asked(brokers, kind)
    asked.broker.start()
    create_topic(asked.broker, "t", partitions=4)
    while_it_runs(asked)
    asked.broker.stop()
    asked.broker.start()
    after_a_start(asked)
    asked.broker.stop()
    asked.broker.settings["cordoned.log.dirs"] = asked.paths["SECOND"]
    asked.broker.start()
    as_started_with(asked)
    asked.broker.stop()
    return asked.said


def test_both_say_the_same(brokers):
    ours, kafkas = ask(brokers, "odradek"), ask(brokers, "kafka")
    assert ours == kafkas
    assert ("where u lies", [5, 0]) in ours


def ask_older(brokers, kind):
    """The cluster was formatted for 4.2, whose metadata has no word for cordoned directories."""
    asked = Asked(brokers, kind)
    broker = asked.broker
    broker.data.mkdir(parents=True)
    broker.properties_path.write_text("".join(f"{name}={value}\n" for name, value in broker.settings.items()))
    words = ["format", "-t", CLUSTER_ID, "-c", broker.properties_path, "--standalone", "--release-version", "4.2"]
    run(java.command(java.TOOLS["kafka-storage"], *words), 60)
    broker.start()
    with connect(broker) as c:
        for value in ("SECOND", "*", "", "/x", None):
            asked.alter(c, value)
        asked.note("cordoned", cordoned(c))
        asked.note("create", try_create(c, "u", 3))
        asked.placed(c, "u", 3)
    broker.stop()
    broker.settings["cordoned.log.dirs"] = asked.paths["SECOND"]
    broker.start()
    with connect(broker) as c:
        asked.note("cordoned as started with", len(cordoned(c)))
        asked.note("create", try_create(c, "v", 3))
        asked.placed(c, "v", 3)
        asked.alter(c, None)
    broker.stop()
    return asked.said


def test_an_older_metadata_version(brokers):
    """server.properties alone cordons there, and nobody says so."""
    ours, kafkas = ask_older(brokers, "odradek"), ask_older(brokers, "kafka")
    assert ours == kafkas
