"""Every client's administration: what it offers of the APIs that Odradek serves."""

import re

import pytest

from harness.clients import CLIENTS
from harness.clients.program import checked
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


def create(broker, client, topic, partitions=1, **configs):
    configs = {name.replace("_", "."): value for name, value in {"retention_ms": "-1", **configs}.items()}
    one(broker, client, "create_topics", topics=[{"name": topic, "partitions": partitions, "configs": configs}])


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
    assert topic not in seen(broker, "list_topics")["topics"]


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


@pytest.mark.parametrize("client", administrators("create_partitions"))
def test_create_partitions(broker, client):
    topic = f"{client}-grown"
    create(broker, "confluent-kafka", topic, 2)
    one(broker, client, "create_partitions", topic=topic, count=5)
    assert len(seen(broker, "describe_topics", topics=[topic])["topics"][topic]) == 5
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
