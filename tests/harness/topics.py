"""Topics that a test needs, made, filled and read with librdkafka."""

import time
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from harness.process import wait_until

ANSWER_S = 100  # on a busy machine
NOT_YET = (
    KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION, KafkaError._NOENT,  # the last: none of them is led yet
    KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.FENCED_LEADER_EPOCH,
)  # fmt: skip


def create_topics(bootstrap, names, partitions=1, configs=None):
    """Creates the topics and returns when the broker leads their partitions: Kafka answers before it does."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "socket.timeout.ms": ANSWER_S * 1000})
    wanted = [NewTopic(name, num_partitions=partitions, replication_factor=1, config=configs or {}) for name in names]
    for future in admin.create_topics(wanted, operation_timeout=ANSWER_S, request_timeout=ANSWER_S).values():
        future.result(ANSWER_S + 10)
    every = [TopicPartition(name, partition) for name in names for partition in range(partitions)]
    wait_until(lambda: _are_led(admin, every), ANSWER_S, f"the topics {', '.join(names)} to be led")


def _are_led(admin, partitions):
    try:
        for future in admin.list_offsets({one: OffsetSpec.latest() for one in partitions}, request_timeout=ANSWER_S).values():
            future.result(ANSWER_S + 10)
    except KafkaException as problem:
        if problem.args[0].code() not in NOT_YET:
            raise
        return False
    return True


def write_topic(bootstrap, topic, records, **settings):
    """Writes (key, value, timestamp in ms or None, partition or None) each, and returns when all are acknowledged."""
    problems = []
    producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": ANSWER_S * 1000, "linger.ms": 20, **settings})
    for key, value, timestamp_ms, partition in records:
        more = {} if partition is None else {"partition": partition}
        while True:
            try:
                producer.produce(
                    topic, value, key, timestamp=timestamp_ms or 0, on_delivery=lambda e, _: e and problems.append(e), **more
                )
                break
            except BufferError:
                producer.poll(0.1)
    left = producer.flush(ANSWER_S + 10)
    assert not left and not problems, f"{left} not delivered; {problems[:3]}"


def end_of(bootstrap, topic, partition=0):
    """The offset of the partition's next record."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "end"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, partition), ANSWER_S)[1]
    finally:
        consumer.close()


def read_topic(bootstrap, topic, isolation="read_uncommitted"):
    """What the topic holds at this moment, as librdkafka's messages; nothing where it does not exist yet."""
    settings = {"group.id": f"reader-{uuid.uuid4()}", "enable.auto.commit": False, "enable.partition.eof": True, "fetch.wait.max.ms": 10}
    consumer = Consumer({"bootstrap.servers": bootstrap, "isolation.level": isolation, **settings})
    try:
        partitions = consumer.list_topics(topic, ANSWER_S).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
        found, ended, deadline = [], set(), time.monotonic() + 120
        while len(ended) < len(partitions):
            assert time.monotonic() < deadline, f"{topic}: {len(partitions) - len(ended)} partitions did not come to their end"
            for message in consumer.consume(1000, 0.05):  # which waits until it has that many, or for that long
                if message.error() is None:
                    found.append(message)
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
                else:
                    raise AssertionError(message.error())
        return found
    finally:
        consumer.close()
