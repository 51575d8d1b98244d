"""A Kafka whose disk takes its time while its coordinators load answers each request as the integration tests expect it of Odradek."""

import pytest
from harness import loading
from harness.members import await_group
from harness.requests import create_topic
from harness.transactions import await_coordinators


@pytest.mark.timeout(120)
def test_kafka_asked_while_it_loads(brokers, tmp_path):
    broker, disk = brokers.start("kafka", settings=loading.ONE_PARTITION), loading.SlowDisk(tmp_path)
    for topic in ("t", "other"):
        create_topic(broker, topic)
    await_group(broker.port, "g")
    producer, other = (loading.open_transaction(broker.port, name) for name in "xy")
    broker.stop()
    with disk.slow(broker, loading.TRANSACTIONS):
        await_group(broker.port, "g")
        loading.check(loading.transaction_answers(broker.port, producer), loading.TRANSACTION_ANSWERS)
    await_coordinators(broker.port, [producer.name])
    producer.reconnect(broker.port)
    loading.commit_in_group(broker, producer)
    broker.stop()
    with disk.slow(broker, loading.OFFSETS):
        await_coordinators(broker.port, [producer.name])
        loading.check(loading.group_answers(broker.port, producer, other), loading.GROUP_ANSWERS)
    producer.close()
    other.close()
