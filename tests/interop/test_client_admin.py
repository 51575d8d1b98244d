"""Every client's administration, and its consuming in groups: what it offers of the APIs that Odradek serves."""

import re

import pytest

from harness.clients import CLIENTS
from harness.clients.program import checked
from harness.members import await_group
from harness.process import wait_until
from harness.records import Record, Write
from interop.kdiff.apis import APIS

# What a job needs of the broker; it is tested from the day that this is served.
NEEDS = {
    "create_topics": "CreateTopics",
    "delete_topics": "DeleteTopics",
    "list_topics": "Metadata",
    "describe_topics": "Metadata",
    "list_offsets": "ListOffsets",
    "describe_cluster": "DescribeCluster",
    "describe_configs": "DescribeConfigs",
    "alter_configs": "AlterConfigs",
    "incremental_alter_configs": "IncrementalAlterConfigs",
    "create_partitions": "CreatePartitions",
    "delete_records": "DeleteRecords",
    "list_groups": "ListGroups",
    "describe_group": "DescribeGroups",
    "committed_offsets": "OffsetFetch",
    "delete_group": "DeleteGroups",
}
PROTOCOLS = {"classic": "JoinGroup", "consumer": "ConsumerGroupHeartbeat"}
FIRST_MS = 1_700_000_000_000


def served(job):
    return NEEDS[job] in APIS


def administrators(job):
    return [name for name, client in CLIENTS.items() if job in client.admin and served(job)]


def one(broker, client, job, **fields):
    """Does one job with a client and returns its result."""
    return checked(CLIENTS[client].do(broker.bootstrap, [{"do": job, **fields}]))[0]


def fails(broker, client, job, **fields):
    """Does one job, which must fail, and returns the error."""
    return CLIENTS[client].do(broker.bootstrap, [{"do": job, **fields}], may_complain=True)[0]["error"]


def seen(broker, job, **fields):
    """What another client sees of it: one that needs no process of its own."""
    return one(broker, "confluent-kafka", job, **fields)


def comes_true(condition, what):
    """Kafka answers an administrative request before its broker has read the change, so that a look right after may be too early."""
    wait_until(condition, 30, what)


def has_settings(broker, topic, wanted):
    configs = seen(broker, "describe_configs", topic=topic)["configs"]
    return {name: configs[name] for name in wanted} == wanted


def create(broker, client, topic, partitions=1, **configs):
    configs = {name.replace("_", "."): value for name, value in {"retention_ms": "-1", **configs}.items()}
    one(broker, client, "create_topics", topics=[{"name": topic, "partitions": partitions, "configs": configs}])
    comes_true(lambda: topic in seen(broker, "list_topics")["topics"], f"the topic {topic}")


def fill(broker, topic, count, partition=0):
    """Records a second apart."""
    records = [Record(b"k", b"%d" % i, (), FIRST_MS + 1000 * i) for i in range(count)]
    CLIENTS["confluent-kafka"].produce(broker.bootstrap, [Write(topic, records, partition=partition)])


@pytest.mark.parametrize("client", administrators("create_topics"))
def test_topics(broker, client):
    topic = f"{client}-made"
    create(broker, client, topic, 3, max_message_bytes="200000")
    described = seen(broker, "describe_topics", topics=[topic])["topics"][topic]
    assert described == [[p, 1, [1], [1]] for p in range(3)]
    assert seen(broker, "describe_configs", topic=topic)["configs"]["max.message.bytes"] == "200000"
    assert one(broker, client, "describe_topics", topics=[topic])["topics"][topic] == described
    assert topic in one(broker, client, "list_topics")["topics"]
    topics = [{"name": topic, "partitions": 1, "configs": {}}]
    assert re.search("exist", fails(broker, client, "create_topics", topics=topics), re.I)
    one(broker, client, "delete_topics", topics=[topic])
    comes_true(lambda: topic not in seen(broker, "list_topics")["topics"], "the topic to go")


@pytest.mark.parametrize("client", administrators("describe_cluster"))
def test_cluster(broker, client):
    found, other = one(broker, client, "describe_cluster"), seen(broker, "describe_cluster")
    assert found["brokers"] == other["brokers"] == [[1, "127.0.0.1", broker.port]]
    assert found["cluster_id"] in (other["cluster_id"], None)  # sarama does not tell it
    assert found["controller"] in (other["controller"], None)  # rdkafka does not tell it


@pytest.mark.parametrize("client", administrators("list_offsets"))
def test_offsets(broker, client):
    topic = f"{client}-offsets"
    create(broker, "confluent-kafka", topic)
    fill(broker, topic, 20)
    times = {-2: 0, -1: 20, FIRST_MS + 7000: 7, FIRST_MS + 7001: 8, FIRST_MS - 1: 0}
    jobs = [{"do": "list_offsets", "topic": topic, "partition": 0, "time": time} for time in times]
    offsets = [result["offset"] for result in checked(CLIENTS[client].do(broker.bootstrap, jobs))]
    assert dict(zip(times, offsets)) == times


@pytest.mark.parametrize("client", administrators("describe_configs"))
def test_describe_configs(broker, client):
    topic = f"{client}-described"
    create(broker, "confluent-kafka", topic, segment_bytes="2000000")
    configs = one(broker, client, "describe_configs", topic=topic)["configs"]
    assert configs["segment.bytes"] == "2000000" and configs["cleanup.policy"] == "delete"
    assert configs == seen(broker, "describe_configs", topic=topic)["configs"]


@pytest.mark.parametrize("client", administrators("incremental_alter_configs"))
def test_incremental_alter_configs(broker, client):
    topic = f"{client}-altered"
    create(broker, "confluent-kafka", topic, segment_bytes="2000000", max_message_bytes="200000")
    one(broker, client, "incremental_alter_configs", topic=topic, set={"segment.bytes": "3000000"}, delete=["retention.ms"])
    wanted = {"segment.bytes": "3000000", "max.message.bytes": "200000", "retention.ms": "604800000"}
    comes_true(lambda: has_settings(broker, topic, wanted), wanted)
    error = fails(broker, client, "incremental_alter_configs", topic=topic, set={"segment.bytes": "soon"}, delete=[])
    assert re.search("segment.bytes|invalid.?config", error, re.I), error


@pytest.mark.parametrize("client", administrators("alter_configs"))
def test_alter_configs(broker, client):
    topic = f"{client}-replaced"
    create(broker, "confluent-kafka", topic, segment_bytes="2000000")
    one(broker, client, "alter_configs", topic=topic, set={"max.message.bytes": "300000"})
    kept = client == "kafka-python"  # adds what was set before
    wanted = {"max.message.bytes": "300000", "segment.bytes": "2000000" if kept else "1073741824"}
    comes_true(lambda: has_settings(broker, topic, wanted), wanted)


@pytest.mark.parametrize("client", administrators("create_partitions"))
def test_create_partitions(broker, client):
    topic = f"{client}-grown"
    create(broker, "confluent-kafka", topic, 2)
    one(broker, client, "create_partitions", topic=topic, count=5)
    comes_true(lambda: len(seen(broker, "describe_topics", topics=[topic])["topics"][topic]) == 5, "five partitions")
    fill(broker, topic, 3, partition=4)
    error = fails(broker, client, "create_partitions", topic=topic, count=4)
    assert re.search("partition", error, re.I), error


@pytest.mark.parametrize("client", administrators("delete_records"))
def test_delete_records(broker, client):
    topic = f"{client}-shortened"
    create(broker, "confluent-kafka", topic)
    fill(broker, topic, 10)
    one(broker, client, "delete_records", topic=topic, partition=0, before=4)
    assert seen(broker, "list_offsets", topic=topic, partition=0, time=-2)["offset"] == 4


GROUPED = [(name, p) for name, client in CLIENTS.items() for p in client.groups if PROTOCOLS[p] in APIS and "OffsetCommit" in APIS]


@pytest.mark.parametrize("client,protocol", GROUPED)
def test_group(broker, client, protocol):
    """Reads two topics in a group and commits; a second member goes on where the first ended."""
    topics, group = [f"{client}-{protocol}-{n}" for n in (1, 2)], f"{client}-{protocol}"
    await_group(broker.port, group)  # else who comes first may complain that its coordinator is not there yet
    for topic in topics:
        create(broker, "confluent-kafka", topic, 2)
        for partition in range(2):
            fill(broker, topic, 10, partition)
    wanted = sorted((topic, partition, b"%d" % i) for topic in topics for partition in range(2) for i in range(10))
    join = {"group": group, "topics": topics, "protocol": protocol}
    assert values(one(broker, client, "consume_group", count=40, **join)) == wanted
    fill(broker, topics[1], 5, 1)
    again = sorted((topics[1], 1, b"%d" % i) for i in range(5))
    assert values(one(broker, client, "consume_group", count=5, **join)) == again
    admin = CLIENTS[client].admin
    if "committed_offsets" in admin:
        found = one(broker, client, "committed_offsets", group=group, topic=topics[1], partitions=[0, 1])
        assert found["offsets"] == [10, 15]
    if protocol == "classic":
        administer_group(broker, client, admin, group)


def administer_group(broker, client, admin, group):
    comes_true(lambda: seen(broker, "describe_group", group=group)["state"].lower() == "empty", "the last member to have left")
    if "list_groups" in admin and served("list_groups"):
        assert group in one(broker, client, "list_groups")["groups"]
    if "describe_group" in admin and served("describe_group"):
        described = one(broker, client, "describe_group", group=group)
        assert (described["state"].lower(), described["members"]) == ("empty", 0)
    if "delete_group" in admin and served("delete_group"):
        one(broker, client, "delete_group", group=group)
        assert group not in seen(broker, "list_groups")["groups"]


def values(result):
    return sorted((topic, partition, record.value) for topic, partition, record in result["records"])
