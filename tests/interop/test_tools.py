"""Apache Kafka's own command-line tools, as people run them."""

import re

import confluent_kafka
import pytest

from harness import java
from harness.clients.kcat import run_kcat
from harness.process import wait_until


def topics(broker, *args, **more):
    return java.tool("kafka-topics", "--bootstrap-server", broker.bootstrap, *args, **more)


def test_topics_create_list_describe_delete(broker):
    created = topics(
        broker, "--create", "--topic", "orders", "--partitions", 3, "--replication-factor", 1,
        "--config", "retention.ms=86400000", "--config", "compression.type=zstd",
    )  # fmt: skip
    assert "Created topic orders." in created
    assert "orders" in topics(broker, "--list").split()
    described = topics(broker, "--describe", "--topic", "orders")
    assert re.search(r"Topic: orders\s+TopicId: \S{22}\s+PartitionCount: 3\s+ReplicationFactor: 1", described), described
    assert "retention.ms=86400000" in described and "compression.type=zstd" in described
    for partition in range(3):
        assert re.search(rf"Partition: {partition}\s+Leader: 1\s+Replicas: 1\s+Isr: 1", described), described
    topics(broker, "--delete", "--topic", "orders")
    assert "orders" not in topics(broker, "--list").split()


def test_topics_refuses(broker):
    topics(broker, "--create", "--topic", "twice")
    with pytest.raises(AssertionError, match="already exists"):
        topics(broker, "--create", "--topic", "twice")
    with pytest.raises(AssertionError, match="replication factor"):
        topics(broker, "--create", "--topic", "five-copies", "--replication-factor", 5)
    with pytest.raises(AssertionError, match="retention.ms"):
        topics(broker, "--create", "--topic", "wrong-setting", "--config", "retention.ms=soon")


def test_producer_perf_and_get_offsets(broker):
    topics(broker, "--create", "--topic", "perf", "--partitions", 2)
    out = java.tool(
        "kafka-producer-perf-test", "--topic", "perf", "--num-records", 50000, "--record-size", 100,
        "--throughput", -1, "--command-property", f"bootstrap.servers={broker.bootstrap}", "compression.type=lz4",
    )  # fmt: skip
    assert "50000 records sent" in out, out
    offsets = java.tool("kafka-get-offsets", "--bootstrap-server", broker.bootstrap, "--topic", "perf")
    counts = re.findall(r"^perf:(\d+):(\d+)$", offsets, re.M)
    assert len(counts) == 2 and sum(int(count) for _, count in counts) == 50000, offsets
    earliest = java.tool("kafka-get-offsets", "--bootstrap-server", broker.bootstrap, "--topic", "perf", "--time", "earliest")
    assert re.findall(r"^perf:\d+:(\d+)$", earliest, re.M) == ["0", "0"], earliest


def test_cluster_id(broker):
    out = java.tool("kafka-cluster", "cluster-id", "--bootstrap-server", broker.bootstrap)
    assert re.search(r"Cluster ID: \S{22}", out), out


def test_kcat_lists_metadata(broker):
    topics(broker, "--create", "--topic", "listed", "--partitions", 2)
    out = run_kcat("-L", "-b", broker.bootstrap, "-t", "listed").decode()
    assert "1 brokers:" in out and broker.bootstrap in out, out
    assert 'topic "listed" with 2 partitions:' in out, out


def test_producing_creates_a_topic(broker):
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 30000})
    producer.produce("made-by-producing", b"first")
    assert producer.flush(30) == 0
    out = run_kcat("-C", "-q", "-b", broker.bootstrap, "-t", "made-by-producing", "-o", "beginning", "-c", 1)
    assert out == b"first\n"


def test_offsets_by_time(broker):
    topics(broker, "--create", "--topic", "timed", "--config", "retention.ms=-1")
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
    for second in range(100):
        producer.produce("timed", b"%d" % second, timestamp=1_700_000_000_000 + second * 1000)
        producer.flush()
    command = ["-Q", "-b", broker.bootstrap, "-t", f"timed:0:{1_700_000_000_000 + 41_500}"]
    assert "timed [0] offset 42" in run_kcat(*command).decode()


def test_deleted_topic_frees_its_disk(brokers):
    broker = brokers.start(settings={"log.segment.delete.delay.ms": "200"})
    topics(broker, "--create", "--topic", "fleeting")
    folder = broker.partition_directory("fleeting")
    wait_until(folder.exists, 30, "the partition's folder")
    topics(broker, "--delete", "--topic", "fleeting")
    wait_until(lambda: not list(broker.data.glob("fleeting-0*")), 20, "the folder to go")
