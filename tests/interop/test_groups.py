"""Consumer groups: every client reads in one, goes on where it was after a stop and a kill; Kafka's tools; both disks."""

import re
import time

import confluent_kafka
import kafka
import pytest

from harness import java
from harness.clients.console import run_console
from harness.clients.kcat import run_kcat
from harness.process import wait_until
from harness.topics import create_topics
from interop import disk

TIMEOUT_S = 40


def produce(bootstrap, topic, first, count, partitions=1):
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 30000})
    for number in range(first, first + count):
        producer.produce(topic, b"%d" % number, partition=number % partitions)
    assert producer.flush(30) == 0


def read_numbers(consumer, topic, count, timeout_s=TIMEOUT_S):
    """The first `count` numbers that a consumer of librdkafka gets, committed; then it is closed."""
    consumer.subscribe([topic])
    got, deadline = [], time.monotonic() + timeout_s
    while len(got) < count:
        assert time.monotonic() < deadline, f"{len(got)} of {count} records"
        for message in consumer.consume(count - len(got), 0.5):
            assert message.error() is None, message.error()
            got.append(int(message.value()))
    consumer.commit(asynchronous=False)
    consumer.close()
    return got


def confluent(bootstrap, group, topic, count):
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    return read_numbers(consumer, topic, count)


def kafka_python(bootstrap, group, topic, count):
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest", enable_auto_commit=False
    )
    got, deadline = [], time.monotonic() + TIMEOUT_S
    while len(got) < count:
        assert time.monotonic() < deadline, f"{len(got)} of {count} records"
        for records in consumer.poll(500, max_records=count - len(got)).values():
            got += [int(record.value) for record in records]
    consumer.commit()
    consumer.close()
    return got


def kcat(bootstrap, group, topic, count):
    more = ["-X", "auto.offset.reset=earliest", "-c", count, "-q"]
    return [int(line) for line in run_kcat("-b", bootstrap, "-G", group, *more, topic, timeout_s=TIMEOUT_S).split()]


def console(bootstrap, group, topic, count):
    out = run_console(
        "consumer", "--bootstrap-server", bootstrap, "--topic", topic, "--group", group,
        "--from-beginning", "--max-messages", count, "--timeout-ms", 30000,
    )  # fmt: skip
    return [int(line) for line in out.split()]


CONSUMERS = {f.__name__.replace("_", "-"): f for f in (confluent, kafka_python, kcat, console)}


def groups(broker, *args):
    return java.tool("kafka-consumer-groups", "--bootstrap-server", broker.bootstrap, *args)


@pytest.mark.parametrize("name", CONSUMERS)
def test_goes_on_after_stop_and_kill(brokers, name):
    consume = CONSUMERS[name]
    broker = brokers.start()
    create_topics(broker.bootstrap, ["t"])
    for turn, end in enumerate((broker.stop, broker.kill, None)):
        produce(broker.bootstrap, "t", 10 * turn, 10)
        assert consume(broker.bootstrap, "g", "t", 10) == list(range(10 * turn, 10 * turn + 10))
        if end:
            end()
            broker.start()


def test_members_share_partitions(broker):
    create_topics(broker.bootstrap, ["shared"], partitions=6)
    produce(broker.bootstrap, "shared", 0, 600, partitions=6)
    settings = {"bootstrap.servers": broker.bootstrap, "group.id": "sharers", "auto.offset.reset": "earliest"}
    members = [confluent_kafka.Consumer(settings) for _ in range(3)]
    got = set()

    def poll():
        for member in members:
            got.update(int(m.value()) for m in member.consume(200, 0.05) if m.error() is None)
        return [len(member.assignment()) for member in members] == [2, 2, 2] and len(got) == 600

    for member in members:
        member.subscribe(["shared"])
    wait_until(poll, TIMEOUT_S, "three members to have two partitions each, and all records")
    owned = [p.partition for member in members for p in member.assignment()]
    assert sorted(owned) == list(range(6))
    members.pop().close()

    def two_own_all():
        for member in members:
            member.poll(0.05)
        return [len(member.assignment()) for member in members] == [3, 3]

    wait_until(two_own_all, TIMEOUT_S, "the two that are left to share what the third had")
    for member in members:
        member.close()


def test_consumer_groups_tool(broker):
    create_topics(broker.bootstrap, ["tool"], partitions=2)
    produce(broker.bootstrap, "tool", 0, 20, partitions=2)
    assert len(confluent(broker.bootstrap, "tool-group", "tool", 20)) == 20
    assert "tool-group" in groups(broker, "--list").split()
    described = groups(broker, "--describe", "--group", "tool-group")
    for partition in (0, 1):
        assert re.search(rf"tool-group\s+tool\s+{partition}\s+10\s+10\s+0", described), described
    state = groups(broker, "--describe", "--group", "tool-group", "--state")
    assert re.search(r"tool-group\s.*Empty\s", state), state
    groups(broker, "--reset-offsets", "--group", "tool-group", "--topic", "tool", "--to-offset", 3, "--execute")
    described = groups(broker, "--describe", "--group", "tool-group")
    assert re.search(r"tool-group\s+tool\s+1\s+3\s+10\s+7", described), described
    assert len(confluent(broker.bootstrap, "tool-group", "tool", 14)) == 14
    groups(broker, "--delete-offsets", "--group", "tool-group", "--topic", "tool:0")
    described = groups(broker, "--describe", "--group", "tool-group")
    assert not re.search(r"tool-group\s+tool\s+0\s+\d+", described), described
    groups(broker, "--delete", "--group", "tool-group")
    assert "tool-group" not in groups(broker, "--list").split()


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("first", ["under-test", "kafka"])
def test_groups_by_turns(brokers, first, how):
    """Each broker finds the groups and offsets that the other has written."""
    under_test, other = brokers.kind, "kafka"
    turns = [under_test, other, under_test] if first == "under-test" else [other, under_test, other]
    broker = None
    for turn, kind in enumerate(turns):
        broker = brokers.start(kind) if broker is None else brokers.successor(broker, kind).start()
        if turn == 0:
            create_topics(broker.bootstrap, ["t"], partitions=2)
        else:
            described = groups(broker, "--describe", "--group", "g")
            for partition in (0, 1):
                assert re.search(rf"g\s+t\s+{partition}\s+{10 * turn}\s+{10 * turn}\s+0", described), described
        produce(broker.bootstrap, "t", 20 * turn, 20, partitions=2)
        assert sorted(confluent(broker.bootstrap, "g", "t", 20)) == list(range(20 * turn, 20 * turn + 20))
        broker.kill() if how == "kill" else broker.stop()


def test_dump_log_decodes_it(brokers):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["t"])
    produce(broker.bootstrap, "t", 0, 10)
    confluent(broker.bootstrap, "g", "t", 10)
    broker.stop()
    logs = [str(path) for path in sorted(broker.data.glob("__consumer_offsets-*/*.log")) if path.stat().st_size]
    out = disk.dump(logs, "--offsets-decoder")
    disk.check_dump(out, "the groups")
    assert '"group":"g"' in out and '"topic":"t"' in out and '"offset":10' in out, out
    assert '"protocolType":"consumer"' in out, out


def test_internal_topic(broker):
    """It comes to be with the first group, with Kafka's settings, and nobody writes to it by hand."""
    create_topics(broker.bootstrap, ["plain"])
    run_kcat("-b", broker.bootstrap, "-G", "made", "-e", "-q", "-X", "auto.offset.reset=earliest", "plain", timeout_s=TIMEOUT_S)
    described = java.tool("kafka-topics", "--bootstrap-server", broker.bootstrap, "--describe", "--topic", "__consumer_offsets")
    assert re.search(r"PartitionCount: 4\s+ReplicationFactor: 1", described), described
    for setting in ("cleanup.policy=compact", "compression.type=producer", "segment.bytes=104857600"):
        assert setting in described, described
    producer = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap})
    errors = []
    producer.produce("__consumer_offsets", b"x", partition=0, on_delivery=lambda error, _: errors.append(error))
    producer.flush(20)
    assert errors and errors[0] is not None
