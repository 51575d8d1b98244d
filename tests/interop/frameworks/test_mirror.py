"""MirrorMaker 2: topics, their settings and groups' offsets go from Apache Kafka to the broker under test, and the other way."""

import confluent_kafka
import confluent_kafka.admin
import pytest

from harness.frameworks.connect import UNHURRIED
from harness.frameworks.framework import framework
from harness.frameworks.runner import PATIENCE_S, JavaRunner
from harness.process import wait_until
from harness.records import binary_records
from harness.topics import ANSWER_S, create_topics, read_topic

pytestmark = [pytest.mark.needs("connect"), pytest.mark.timeout(1800)]

PARTITIONS = 2
CONFIGS = {"retention.ms": "-1", "max.message.bytes": "2000000"}
SETTINGS = {
    "tasks.max": 1,
    "topics": "orders",
    "groups": "readers",
    "replication.factor": 1,
    "checkpoints.topic.replication.factor": 1,
    "heartbeats.topic.replication.factor": 1,
    "offset-syncs.topic.replication.factor": 1,
    "config.storage.replication.factor": 1,
    "offset.storage.replication.factor": 1,
    "status.storage.replication.factor": 1,
    "offset.storage.partitions": 1,
    "status.storage.partitions": 1,
    "offset.lag.max": 0,
    "refresh.topics.interval.seconds": 1,
    "refresh.groups.interval.seconds": 1,
    "sync.topic.configs.interval.seconds": 1,
    "emit.heartbeats.interval.seconds": 1,
    "emit.checkpoints.interval.seconds": 1,
    "sync.group.offsets.enabled": "true",
    "sync.group.offsets.interval.seconds": 1,
    "plugin.discovery": "service_load",
}
# Of the worker that writes into a cluster: whom a restart has cost its tasks gets them back at once.
WORKER = {
    "offset.flush.interval.ms": 500,
    "scheduled.rebalance.max.delay.ms": 0,
    "session.timeout.ms": 6000,
    "heartbeat.interval.ms": 1000,
    **UNHURRIED,
    "plugin.discovery": "service_load",
}


def mirror_maker(directory, clusters):
    """clusters: brokers by the names that they have in the names of topics mirrored from them."""
    one, other = clusters
    settings = {"clusters": f"{one},{other}", f"{one}->{other}.enabled": "true", f"{other}->{one}.enabled": "true", **SETTINGS}
    for name, broker in clusters.items():
        settings |= {f"{name}.bootstrap.servers": broker.bootstrap}
        settings |= {f"{name}.{setting}": value for setting, value in WORKER.items()}
    path = directory / "mirror.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    main = "org.apache.kafka.connect.mirror.MirrorMaker"
    return JavaRunner("mirror", directory, framework("connect").java(main, path, flags=["-Dkafka.log.level=INFO"]))


class Orders:
    """The topic of one cluster, and its copy on the other."""

    def __init__(self, name, broker, other):
        self.broker, self.other, self.topic, self.seed = broker, other, f"{name}.orders", sum(name.encode())
        create_topics(broker.bootstrap, ["orders"], PARTITIONS, CONFIGS)

    def write(self):
        """Any byte, null keys and values, repeated headers, timestamps of years ago."""
        producer = confluent_kafka.Producer({"bootstrap.servers": self.broker.bootstrap, "compression.type": "zstd"})
        records = binary_records(self.seed)
        for number, record in enumerate(records):
            producer.produce("orders", record.value, record.key, number % PARTITIONS, timestamp=record.timestamp_ms,
                             headers=list(record.headers))  # fmt: skip
            producer.poll(0)
        assert producer.flush(ANSWER_S) == 0
        self.seed += 1
        return len(records)

    def wait_mirrored(self):
        want = contents(self.broker, "orders")
        wait_until(lambda: len(contents(self.other, self.topic)) >= len(want), PATIENCE_S, f"{self.topic} to be whole", 0.3)
        assert contents(self.other, self.topic) == want


def contents(broker, topic):
    """[(partition, offset, timestamp, key, value, headers)], nothing where the topic does not exist yet."""
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    if topic not in admin.list_topics(timeout=ANSWER_S).topics:
        return []
    messages = read_topic(broker.bootstrap, topic)
    return sorted((m.partition(), m.offset(), m.timestamp(), m.key(), m.value(), m.headers()) for m in messages)


def settings_of(broker, topic):
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    resource = confluent_kafka.admin.ConfigResource("topic", topic)
    (asked,) = admin.describe_configs([resource], request_timeout=ANSWER_S).values()
    return {name: entry.value for name, entry in asked.result(ANSWER_S + 10).items()}


def consume(broker, topic, count):
    """Reads as the group "readers" and commits."""
    consumer = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "readers",
                                         "auto.offset.reset": "error", "enable.auto.commit": False})  # fmt: skip
    consumer.subscribe([topic])
    found = []

    def enough():
        found.extend(consumer.consume(1000, 0.5))
        assert all(message.error() is None for message in found), [m.error() for m in found if m.error()]
        return len(found) >= count

    wait_until(enough, PATIENCE_S, f"{count} records of {topic}")
    consumer.commit(asynchronous=False)
    consumer.close()
    return sorted((m.partition(), m.offset(), m.timestamp(), m.key(), m.value(), m.headers()) for m in found)


def offsets_of(broker, topic):
    """The group's committed offsets, by partition."""
    asked = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "readers"})
    try:
        found = asked.committed([confluent_kafka.TopicPartition(topic, number) for number in range(PARTITIONS)], ANSWER_S)
        return {partition.partition: partition.offset for partition in found if partition.offset >= 0}
    finally:
        asked.close()


def test_both_ways(brokers, directory):
    clusters = {"ours": brokers.start(), "kafka": brokers.start("kafka")}
    ours, kafka = clusters["ours"], clusters["kafka"]
    orders = [Orders("ours", ours, kafka), Orders("kafka", kafka, ours)]
    for one in orders:
        one.write()
    mirror = brokers.add(mirror_maker(directory, clusters)).start()
    for one in orders:
        one.wait_mirrored()

    mirror.stop()
    for one in orders:
        one.write()
    mirror.start()
    for one in orders:
        one.wait_mirrored()
    ours.stop()
    orders[1].write()
    ours.start()
    orders[0].write()
    for one in orders:
        one.wait_mirrored()

    for one in orders:
        assert settings_of(one.other, one.topic).items() >= CONFIGS.items()


@pytest.mark.full
def test_a_group_moves(brokers, directory):
    """A group that read on one cluster goes on where it was on the other, each way."""
    clusters = {"ours": brokers.start(), "kafka": brokers.start("kafka")}
    mirror = brokers.add(mirror_maker(directory, clusters))
    orders = [Orders("ours", clusters["ours"], clusters["kafka"]), Orders("kafka", clusters["kafka"], clusters["ours"])]
    for one in orders:
        one.write()
        start_group(one)
    mirror.start()
    for one in orders:
        one.wait_mirrored()
        want = offsets_of(one.broker, "orders")
        wait_until(lambda: offsets_of(one.other, one.topic) == want, PATIENCE_S, f"the group's offsets in {one.topic}", 0.3)
        before = contents(one.other, one.topic)
        count = one.write()
        one.wait_mirrored()
        assert consume(one.other, one.topic, count) == [record for record in contents(one.other, one.topic) if record not in before]


def start_group(one):
    """The group has read all that is in the topic."""
    ends = {number: 0 for number in range(PARTITIONS)}
    for message in read_topic(one.broker.bootstrap, "orders"):
        ends[message.partition()] = max(ends[message.partition()], message.offset() + 1)
    group = confluent_kafka.Consumer({"bootstrap.servers": one.broker.bootstrap, "group.id": "readers"})
    group.commit(
        offsets=[confluent_kafka.TopicPartition("orders", number, end) for number, end in ends.items()], asynchronous=False
    )
    group.close()
