"""Apache Kafka's tools for the administration of logs, partitions and the cluster, as people run them; and the admin
clients of Python."""

import json
import re

import confluent_kafka
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions, OffsetSpec
from kafka.admin import KafkaAdminClient
from kafka.structs import TopicPartition as KafkaPythonPartition

from harness import java
from harness.requests import connect, create_topic, end_offset, fetch, produce, values


def tool(name, broker, *args, **more):
    return java.tool(name, "--bootstrap-server", broker.bootstrap, *args, **more)


def written(path, content):
    path.write_text(json.dumps(content))
    return path


def fill(broker, topic, partitions=1, records=10):
    create_topic(broker, topic, partitions)
    with connect(broker) as connection:
        for partition in range(partitions):
            produce(connection, topic, [(b"k", b"%d" % i) for i in range(records)], partition)


def test_partitions_are_added(broker):
    fill(broker, "growing")
    tool("kafka-topics", broker, "--alter", "--topic", "growing", "--partitions", 3)
    described = tool("kafka-topics", broker, "--describe", "--topic", "growing")
    assert "PartitionCount: 3" in described and len(re.findall(r"Leader: 1\s", described)) == 3, described
    with pytest.raises(AssertionError, match="would not be an increase"):
        tool("kafka-topics", broker, "--alter", "--topic", "growing", "--partitions", 2)
    tool("kafka-topics", broker, "--alter", "--topic", "growing", "--partitions", 5, "--replica-assignment", "1,1,1,1,1")
    with connect(broker) as connection:
        assert produce(connection, "growing", [(b"k", b"v")], 4)["ErrorCode"] == 0


def test_records_are_deleted(broker, tmp_path):
    fill(broker, "trimmed", 2)
    wanted = [{"topic": "trimmed", "partition": 0, "offset": 4}, {"topic": "trimmed", "partition": 1, "offset": -1}]
    file = written(tmp_path / "offsets.json", {"partitions": wanted, "version": 1})
    out = tool("kafka-delete-records", broker, "--offset-json-file", file)
    assert re.search(r"partition: trimmed-0\s+low_watermark: 4", out) and re.search(r"trimmed-1\s+low_watermark: 10", out), out
    earliest = tool("kafka-get-offsets", broker, "--topic", "trimmed", "--time", "earliest")
    latest = tool("kafka-get-offsets", broker, "--topic", "trimmed", "--time", "latest")
    assert sorted(earliest.split()) == ["trimmed:0:4", "trimmed:1:10"], earliest
    assert sorted(latest.split()) == ["trimmed:0:10", "trimmed:1:10"], latest
    file = written(tmp_path / "beyond.json", {"partitions": [{"topic": "trimmed", "partition": 0, "offset": 11}], "version": 1})
    assert "OffsetOutOfRange" in tool("kafka-delete-records", broker, "--offset-json-file", file)


def test_log_dirs_are_described(broker):
    fill(broker, "sized", 2)
    out = tool("kafka-log-dirs", broker, "--describe", "--topic-list", "sized")
    described = json.loads(next(line for line in out.split("\n") if line.startswith("{")))
    (directory,) = described["brokers"][0]["logDirs"]
    assert directory["logDir"] == str(broker.data) and directory["error"] is None, directory
    assert sorted(one["partition"] for one in directory["partitions"]) == ["sized-0", "sized-1"], directory
    assert all(one["size"] > 100 and one["offsetLag"] == 0 and not one["isFuture"] for one in directory["partitions"])


def test_features_are_described_and_changed(broker):
    def levels():
        out = tool("kafka-features", broker, "describe")
        return dict(re.findall(r"Feature: (\S+)\s.*FinalizedVersionLevel: (\S+)\s", out))

    assert levels()["metadata.version"] == "4.3-IV0" and levels()["group.version"] == "1"
    tool("kafka-features", broker, "downgrade", "--feature", "transaction.version=1")
    assert levels()["transaction.version"] == "1"
    tool("kafka-features", broker, "upgrade", "--feature", "transaction.version=2")
    assert levels()["transaction.version"] == "2"
    with pytest.raises(AssertionError, match="might delete metadata information"):
        tool("kafka-features", broker, "downgrade", "--metadata", "4.2-IV1")
    with pytest.raises(AssertionError, match="only supports versions 0-1"):
        tool("kafka-features", broker, "upgrade", "--feature", "share.version=2")
    out = tool("kafka-features", broker, "downgrade", "--dry-run", "--feature", "group.version=0")
    assert "can be downgraded" in out and levels()["group.version"] == "1", out


def test_partitions_are_reassigned_on_one_node(broker, tmp_path):
    fill(broker, "moved", 2)
    topics = written(tmp_path / "topics.json", {"topics": [{"topic": "moved"}], "version": 1})
    out = tool("kafka-reassign-partitions", broker, "--generate", "--topics-to-move-json-file", topics, "--broker-list", "1")
    proposed = json.loads(out.split("Proposed partition reassignment configuration")[1])
    assert [one["replicas"] for one in proposed["partitions"]] == [[1], [1]], out
    plan = written(tmp_path / "plan.json", proposed)
    executed = tool("kafka-reassign-partitions", broker, "--execute", "--reassignment-json-file", plan)
    assert "Successfully started partition reassignment" in executed, executed
    verified = tool("kafka-reassign-partitions", broker, "--verify", "--reassignment-json-file", plan)
    assert verified.count("is completed.") == 2, verified
    assert "No partition reassignments found" in tool("kafka-reassign-partitions", broker, "--list")
    cancelled = tool("kafka-reassign-partitions", broker, "--cancel", "--reassignment-json-file", plan)
    assert "None of the specified partition reassignments are active" in cancelled, cancelled
    for one in proposed["partitions"]:
        one["replicas"], one["log_dirs"] = [7], ["any"]
    elsewhere = written(tmp_path / "elsewhere.json", proposed)
    with pytest.raises(AssertionError, match="Unknown broker id 7"):
        tool("kafka-reassign-partitions", broker, "--execute", "--reassignment-json-file", elsewhere)


def test_leaders_are_elected(broker, tmp_path):
    fill(broker, "led", 2)
    out = tool("kafka-leader-election", broker, "--election-type", "preferred", "--topic", "led", "--partition", 1)
    assert "Valid replica already elected for partitions led-1" in out, out
    assert tool("kafka-leader-election", broker, "--election-type", "unclean", "--all-topic-partitions") == ""
    file = written(tmp_path / "led.json", {"partitions": [{"topic": "led", "partition": 9}]})
    with pytest.raises(AssertionError, match="No such partition as led-9"):
        tool("kafka-leader-election", broker, "--election-type", "preferred", "--path-to-json-file", file)


def test_the_quorum_is_described(broker):
    status = tool("kafka-metadata-quorum", broker, "describe", "--status")
    assert re.search(r"LeaderId:\s+1\s", status) and re.search(r'CurrentVoters:\s+\[\{"id": 1', status), status
    assert f"127.0.0.1:{broker.controller_port}" in status, status
    replication = tool("kafka-metadata-quorum", broker, "describe", "--replication")
    assert re.search(r"^1\s+\S{22}\s+\d+\s+0\s+\d+\s+\d+\s+Leader", replication, re.M), replication
    # And as the controller's own listener answers it.
    out = java.tool("kafka-metadata-quorum", "--bootstrap-controller", f"127.0.0.1:{broker.controller_port}", "describe", "--status")
    assert re.search(r"LeaderId:\s+1\s", out), out


def test_a_broker_that_is_not_there_is_not_unregistered(broker):
    with pytest.raises(AssertionError, match="Broker ID 7 is not currently registered"):
        java.tool("kafka-cluster", "unregister", "--bootstrap-server", broker.bootstrap, "--id", 7)


def test_admin_client_of_confluent_kafka(broker):
    fill(broker, "by-confluent")
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_partitions([NewPartitions("by-confluent", 3)])["by-confluent"].result(30)
    partition = confluent_kafka.TopicPartition("by-confluent", 0, 6)
    deleted = admin.delete_records([partition])[partition].result(30)
    assert deleted.low_watermark == 6
    for spec, offset in ((OffsetSpec.earliest(), 6), (OffsetSpec.latest(), 10)):
        asked = admin.list_offsets({confluent_kafka.TopicPartition("by-confluent", 0): spec})
        assert [future.result(30).offset for future in asked.values()] == [offset]
    described = admin.describe_topics(confluent_kafka.TopicCollection(["by-confluent"]))["by-confluent"].result(30)
    assert [one.id for one in described.partitions] == [0, 1, 2] and described.partitions[2].leader.id == 1
    elected = admin.elect_leaders(confluent_kafka.ElectionType.PREFERRED, [confluent_kafka.TopicPartition("by-confluent", 0)]).result(30)
    assert [error.code() for error in elected.values()] == [84]  # ELECTION_NOT_NEEDED
    with connect(broker) as connection:
        assert values(fetch(connection, "by-confluent", 6)[1])[-1] == b"9"
        assert end_offset(connection, "by-confluent", timestamp=-2)["Offset"] == 6


def test_admin_client_of_kafka_python(broker):
    fill(broker, "by-python")
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        admin.create_partitions({"by-python": 2})
        deleted = admin.delete_records({KafkaPythonPartition("by-python", 0): 3}, timeout_ms=10000)
        assert "low_watermark=3" in repr(deleted).replace("'low_watermark': ", "low_watermark="), deleted
        dirs = admin.describe_log_dirs()
        assert str(broker.data) in repr(dirs), dirs
        with connect(broker) as connection:
            assert end_offset(connection, "by-python", timestamp=-2)["Offset"] == 3
            assert produce(connection, "by-python", [(b"k", b"v")], 1)["ErrorCode"] == 0
    finally:
        admin.close()
