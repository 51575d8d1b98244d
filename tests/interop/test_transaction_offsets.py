"""Offsets within transactions: records that are read, changed and written exactly once; and kafka-transactions, which finds
a transaction that hangs and ends it."""

import random
import time

import confluent_kafka
import pytest
from confluent_kafka import TopicPartition

from harness import java
from harness.process import wait_until
from harness.topics import create_topics
from harness.transactions import Producer, Refused, is_settled, read

RECORDS = 200
PARTITIONS = 2
TIMEOUT_S = 60


def fill(bootstrap):
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    for number in range(RECORDS):
        producer.produce("in", b"%d" % number, partition=number % PARTITIONS)
    assert producer.flush(TIMEOUT_S) == 0


def consumer(bootstrap, group):
    settings = {
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "isolation.level": "read_committed",
    }  # fmt: skip
    made = confluent_kafka.Consumer(settings)
    made.subscribe(["in"])
    return made


class Lost(Exception):
    """What happens to a process between any two of its steps."""


class Processor:
    """Reads "in", writes to "out", in transactions; some are aborted, and some are left open, as by a process that dies."""

    def __init__(self, bootstrap, rnd):
        self.rnd = rnd
        self.producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "transactional.id": "processor"})
        self.producer.init_transactions(TIMEOUT_S)
        self.consumer = consumer(bootstrap, "processors")

    def step(self):
        got = [one for one in self.consumer.consume(self.rnd.randint(1, 15), 0.5) if not one.error()]
        if not got:
            return
        self.producer.begin_transaction()
        for one in got:
            self.producer.produce("out", one.value(), partition=one.partition())
        at = self.consumer.position(self.consumer.assignment())
        self.producer.send_offsets_to_transaction([p for p in at if p.offset >= 0], self.consumer.consumer_group_metadata(), TIMEOUT_S)
        chance = self.rnd.random()
        if chance < 0.2:
            self.producer.flush(TIMEOUT_S)
            raise Lost
        if chance < 0.4:
            self.producer.abort_transaction(TIMEOUT_S)
            self.rewind()
        else:
            self.producer.commit_transaction(TIMEOUT_S)

    def rewind(self):
        for one in self.consumer.committed(self.consumer.assignment(), TIMEOUT_S):
            self.consumer.seek(TopicPartition(one.topic, one.partition, max(one.offset, 0)))


def committed_offsets(bootstrap):
    settings = {"bootstrap.servers": bootstrap, "group.id": "processors", "isolation.level": "read_uncommitted"}  # however unstable
    one = confluent_kafka.Consumer(settings)
    try:
        return [p.offset for p in one.committed([TopicPartition("in", p) for p in range(PARTITIONS)], TIMEOUT_S)]
    finally:
        one.close()


@pytest.mark.timeout(240)
def test_exactly_once(brokers):
    """Processes that die between their steps, and a broker that is killed: each record comes out once."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["in", "out"], partitions=PARTITIONS)
    fill(broker.bootstrap)
    rnd = random.Random(11)
    killed, processor, deadline = False, None, time.monotonic() + 180
    while committed_offsets(broker.bootstrap) != [RECORDS // PARTITIONS] * PARTITIONS:
        assert time.monotonic() < deadline
        processor = processor or Processor(broker.bootstrap, rnd)
        try:
            for _ in range(5):
                processor.step()
        except Lost:
            processor.consumer.close()
            processor = None  # a new one fences it
            if not killed:
                killed = True
                broker.kill()
                broker = brokers.successor(broker, brokers.kind).start()
    processor.consumer.close() if processor else None
    values = sorted(int(value) for partition in range(PARTITIONS) for value in read(broker.port, "out", partition))
    assert values == list(range(RECORDS))


def transactions(broker, *args):
    return java.tool("kafka-transactions", "--bootstrap-server", broker.bootstrap, *args)


@pytest.mark.timeout(240)
def test_tool(brokers):
    """A transaction that nobody ends is listed, described, found and aborted."""
    broker = brokers.start(settings={"transaction.max.timeout.ms": 3600000})
    create_topics(broker.bootstrap, ["t"], partitions=2)
    producer = Producer(broker.port, "hangs", 0, timeout_ms=3000000).init()
    producer.add("t", [0])
    producer.produce("t", 0, b"lost")
    listed = transactions(broker, "list")
    assert "hangs" in listed and "Ongoing" in listed
    assert "hangs" in transactions(broker, "list", "--transactional-id-pattern", "h.*s")
    assert "hangs" not in transactions(broker, "list", "--transactional-id-pattern", "x.*")
    described = transactions(broker, "describe", "--transactional-id", "hangs")
    assert "t-0" in described and "Ongoing" in described and "3000000" in described
    producers = transactions(broker, "describe-producers", "--topic", "t", "--partition", "0")
    assert str(producer.producer_id) in producers
    assert read(broker.port, "t", 0) == []
    transactions(broker, "abort", "--topic", "t", "--partition", "0", "--start-offset", "0")
    wait_until(lambda: is_settled(broker.port, "t", [0]), TIMEOUT_S, "the marker")
    assert read(broker.port, "t", 0) == []
    producer.close()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("level", [2, 0])
def test_tool_finds_what_hangs(brokers, level):
    """What the coordinator knows nothing of, and has been open for longer than any transaction may be."""
    broker = brokers.new(settings={"transaction.max.timeout.ms": 1000, "transaction.partition.verification.enable": "false"})
    broker.levels = {"transaction.version": level}
    broker.start()
    create_topics(broker.bootstrap, ["t"], partitions=1)
    producer = Producer(broker.port, "hangs", 0, timeout_ms=1000).init()
    producer.produce("t", 0, b"lost")  # it never joined the transaction
    found = transactions(broker, "find-hanging", "--topic", "t", "--max-transaction-timeout", "0")
    assert str(producer.producer_id) in found
    transactions(broker, "abort", "--topic", "t", "--partition", "0", "--start-offset", "0")
    wait_until(lambda: is_settled(broker.port, "t", [0]), TIMEOUT_S, "the marker")
    assert read(broker.port, "t", 0) == []
    producer.close()


@pytest.mark.timeout(240)
def test_tool_ends_by_force(brokers):
    """An open transaction of an id is aborted and its producer fenced; the id goes on with another."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["t"], partitions=2)
    producer = Producer(broker.port, "held").init()
    for partition in (0, 1):
        producer.produce("t", partition, b"lost")
    transactions(broker, "forceTerminateTransaction", "--transactionalId", "held")
    wait_until(lambda: is_settled(broker.port, "t", [0, 1]), TIMEOUT_S, "the markers")
    assert [read(broker.port, "t", partition) for partition in (0, 1)] == [[], []]
    with pytest.raises(Refused):
        producer.produce("t", 0, b"late")
    producer.close()
    successor = Producer(broker.port, "held").init()
    successor.produce("t", 0, b"kept")
    successor.end(True)
    wait_until(lambda: read(broker.port, "t", 0) == [b"kept"], TIMEOUT_S, "what came after")
    successor.close()
