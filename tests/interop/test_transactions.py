"""Transactions: clients' producers and read-committed consumers; each broker goes on with what the other has written."""

import asyncio

import aiokafka
import confluent_kafka
import kafka
import pytest

from harness import java
from harness.batch import parse
from harness.clients.console import run_console
from harness.kraft import feature_level, set_feature_level
from harness.members import await_group, commit
from harness.process import Process, run, wait_until
from harness.topics import create_topics
from harness.transactions import Producer, await_ends, is_settled, read
from harness.wire import Connection, message
from interop import disk

STATE = "__transaction_state"
PARTITIONS = 4  # of it
TIMEOUT_S = 40
VERSIONS = (0, 2)  # of transactions, by their clients
FEATURE, LOWER_LEVELS = "transaction.version", (1, 0)  # of the cluster
CONTROL = 32
PREPARED = (2, 3)
WORK = 4000  # records


def log_batches(broker, topic, partition):
    return [b for path in sorted(broker.partition_directory(topic, partition).glob("*.log")) for b in parse(path.read_bytes())]


def state_records(broker):
    """(partition, transactional id, what its record says) of __transaction_state; None: a tombstone."""
    key_type, value_type = message("TransactionLogKey"), message("TransactionLogValue")
    for partition in range(PARTITIONS):
        for one in log_batches(broker, STATE, partition):
            for record in one.get("Content", []):
                key = key_type.decode(0, bytes.fromhex(record[2]), 2)[0]
                value = bytes.fromhex(record[3]) if record[3] else None
                version = int.from_bytes(value[:2], "big") if value else None
                said = value and {"version": version, **value_type.decode(version, value, 2)[0]}
                yield partition, key["TransactionalId"], said


def records_of(broker, name):
    return [said for _, one, said in state_records(broker) if one == name]


def partition_of(broker, name):
    return next(partition for partition, one, _ in state_records(broker) if one == name)


def comparable(records):
    """Without times, and with producer ids by the order in which they appear."""
    ids = {-1: -1}
    out = []
    for record in records:
        one = dict(record)
        for field in ("TransactionLastUpdateTimestampMs", "TransactionStartTimestampMs"):
            one[field] = one[field] > 0
        for field in ("ProducerId", "PreviousProducerId", "NextProducerId"):
            if field in one:
                one[field] = ids.setdefault(one[field], len(ids))
        if one["TransactionPartitions"]:
            one["TransactionPartitions"] = sorted((t["Topic"], sorted(t["PartitionIds"])) for t in one["TransactionPartitions"])
        out.append(one)
    return out


def lives(port, suffix="", level=2):
    """Every way of a transaction, by clients of both transaction versions. level: of the cluster; below 2 who begins anew while its
    transaction is open is fenced, and with 0 Kafka cannot write down what a client of version 2 does."""
    names = [name + suffix for name in ("old", "new")[: 2 if level else 1]]
    for name, version in zip(names, VERSIONS):
        producer = Producer(port, name, version).init()
        for commit in (True, False):
            producer.add("t", [0, 1])
            producer.add("t", [0])
            producer.end(commit)
        producer.add("t", [1])
        producer.init()  # fences itself
        producer.init(keep=True)
        producer.add("t", [1])
        producer.init(keep=level == 2)
        if version >= 2:
            producer.end(False)
        producer.close()
    await_ends(port, names)  # what ends the last one is written after its answer
    return names


def commit_offsets(port):
    """In a transaction and without one."""
    await_group(port, "g")
    with Connection("127.0.0.1", port, 20) as connection:
        commit(connection, "g", "t", {1: 4})
    producer = Producer(port, "reader").init()
    producer.commit_offsets("g", "t", {0: 5})
    producer.end(True)
    producer.close()


def offset_records(broker):
    """What the records of the group's offsets say, with whether they say which topic by its id and when."""
    value_type = message("OffsetCommitValue")
    for partition in range(PARTITIONS):
        for one in log_batches(broker, "__consumer_offsets", partition):
            for record in [] if one["Attributes"] & CONTROL else one["Content"]:
                value = bytes.fromhex(record[3])
                version = int.from_bytes(value[:2], "big")
                said = value_type.decode(version, value, 2)[0]
                yield version, {**said, "topicId": "topicId" in said, "commitTimestamp": said["commitTimestamp"] > 0}


@pytest.mark.timeout(300)
def test_records_are_kafkas(brokers):
    """The same transactions leave the same records, whichever transaction.version the cluster has."""
    found = {}
    for kind in (brokers.kind, "kafka"):
        broker = brokers.start(kind)
        create_topics(broker.bootstrap, ["t"], partitions=2)
        names = lives(broker.port)
        commit_offsets(broker.port)
        for level in LOWER_LEVELS:
            set_feature_level(broker, FEATURE, level)
            names += lives(broker.port, f"-{level}", level)
        broker.stop()
        found[kind] = {name: comparable(records_of(broker, name)) for name in names}, list(offset_records(broker))
    assert found[brokers.kind] == found["kafka"]
    states, offsets = found["kafka"]
    assert all(len(records) > 10 for records in states.values()) and len(offsets) == 2


def transact(producer, partitions, value, commit=True):
    if producer.version < 2:
        producer.add("t", partitions)
    for partition in partitions:
        producer.produce("t", partition, value)
    if commit is not None:
        producer.end(commit)


def committed(port, partition):
    return [value.decode() for value in read(port, "t", partition)]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("first", ["under-test", "kafka"])
def test_transactions_by_turns(brokers, first, how):
    """What one leaves open the other goes on with, commits, or aborts for a new producer; epochs go on, too."""
    turns = [brokers.kind, "kafka", brokers.kind] if first == "under-test" else ["kafka", brokers.kind, "kafka"]
    broker, producers, expected = None, {}, {0: [], 1: []}
    for turn, kind in enumerate(turns):
        broker = brokers.start(kind) if broker is None else brokers.successor(broker, kind).start()
        if turn == 0:
            create_topics(broker.bootstrap, ["t"], partitions=2)
        for version in VERSIONS:
            for name in ("commits", "aborts", "fenced"):
                key = f"{name}-{version}"
                producer = producers.get(key)
                if producer is None:
                    producer = Producer(broker.port, key, version).init()
                else:
                    before = producer.producer_id, producer.epoch
                    producer.reconnect(broker.port)
                    if name == "fenced":
                        producer.init()
                        assert producer.producer_id == before[0] and producer.epoch > before[1], (key, before)
                    else:
                        producer.end(name == "commits")
                        if name == "commits":
                            expected[0].append(f"{key} {turn - 1} open")
                            expected[1].append(f"{key} {turn - 1} open")
                    producer.init(keep=True)
                transact(producer, [0], f"{key} {turn} done".encode())
                expected[0].append(f"{key} {turn} done")
                transact(producer, [0, 1], f"{key} {turn} lost".encode(), commit=False)
                producer.init(keep=True)
                transact(producer, [0, 1], f"{key} {turn} open".encode(), commit=None)
                producers[key] = producer
        broker.kill() if how == "kill" else broker.stop()
    broker = brokers.successor(broker, brokers.kind).start()
    for key, producer in producers.items():
        Producer(broker.port, key).init().close()
        producer.close()
    for partition in (0, 1):
        got = wait_until(lambda: committed(broker.port, partition), TIMEOUT_S, "the records")
        assert sorted(got) == sorted(expected[partition])


def cut_last_batch(broker, topic, partition):
    """As if the broker had been killed before it wrote that."""
    log = sorted(broker.partition_directory(topic, partition).glob("*.log"))[-1]
    raw, at, last = log.read_bytes(), 0, 0
    while at < len(raw):
        last, at = at, at + 12 + int.from_bytes(raw[at + 8 : at + 12], "big")
    log.write_bytes(raw[:last])
    return parse(raw[last:])[0]


def has_skipped(broker):
    """Kafka 4.3.1 may lose markers as it starts after a kill. Its coordinators begin at once, for in the metadata the partitions
    still have the leader from before; the broker itself takes no requests yet, and is fenced meanwhile. Where the markers' sender
    looks at the partitions just then, they have no leader: it takes them for deleted, and completes the transaction without."""
    return broker.kind == "kafka" and "Couldn't find leader endpoint for partitions" in broker.log_text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
@pytest.mark.parametrize("first", ["under-test", "kafka"])
def test_prepared_ends_are_carried_through(brokers, first, commit):
    """One broker has decided the end and was killed before it wrote a marker: the other writes it as it starts."""
    kinds = [brokers.kind, "kafka"] if first == "under-test" else ["kafka", brokers.kind]
    broker = brokers.start(kinds[0])
    create_topics(broker.bootstrap, ["t"], partitions=2)
    for version in VERSIONS:
        producer = Producer(broker.port, f"prepared-{version}", version).init()
        transact(producer, [version // 2], b"decided", commit)
        producer.init(keep=True)
        producer.close()
    broker.kill()
    for version in VERSIONS:
        assert cut_last_batch(broker, "t", version // 2)["Attributes"] & CONTROL
        name = f"prepared-{version}"
        partition = partition_of(broker, name)
        while records_of(broker, name)[-1]["TransactionStatus"] not in PREPARED:
            cut_last_batch(broker, STATE, partition)
    broker = brokers.successor(broker, kinds[1]).start()
    for partition in (version // 2 for version in VERSIONS):
        wait_until(lambda: is_settled(broker.port, "t", [partition]) or has_skipped(broker), TIMEOUT_S, "the marker")  # noqa: B023
        if not has_skipped(broker):
            assert committed(broker.port, partition) == (["decided"] if commit else [])


# Clients


def confluent_producer(bootstrap, name):
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(TIMEOUT_S)
    return producer


def by_confluent(bootstrap, topic, rounds):
    producer = confluent_producer(bootstrap, "confluent")
    for number in range(rounds):
        producer.begin_transaction()
        for partition in range(3):
            producer.produce(topic, b"%d" % number, partition=partition)
        producer.commit_transaction(TIMEOUT_S) if number % 2 == 0 else producer.abort_transaction(TIMEOUT_S)


def by_kafka_python(bootstrap, topic, rounds):
    producer = kafka.KafkaProducer(bootstrap_servers=bootstrap, transactional_id="kafka-python")
    producer.init_transactions()
    for number in range(rounds):
        producer.begin_transaction()
        sent = [producer.send(topic, b"%d" % number, partition=partition) for partition in range(3)]
        for future in sent:
            future.get(TIMEOUT_S)
        producer.commit_transaction() if number % 2 == 0 else producer.abort_transaction()
    producer.close()


def by_aiokafka(bootstrap, topic, rounds):
    async def produce():
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id="aiokafka")
        await producer.start()
        try:
            for number in range(rounds):
                await producer.begin_transaction()
                for partition in range(3):
                    await producer.send_and_wait(topic, b"%d" % number, partition=partition)
                await (producer.commit_transaction() if number % 2 == 0 else producer.abort_transaction())
        finally:
            await producer.stop()

    asyncio.run(asyncio.wait_for(produce(), TIMEOUT_S))


def read_committed(bootstrap, topic, count):
    settings = {
        "bootstrap.servers": bootstrap, "group.id": "readers", "auto.offset.reset": "earliest",
        "isolation.level": "read_committed", "enable.partition.eof": True, "enable.auto.commit": False,
    }  # fmt: skip
    consumer = confluent_kafka.Consumer(settings)
    consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0) for partition in range(3)])
    got, ends = [], set()

    def poll():
        one = consumer.poll(0.2)
        if one and one.error():
            assert one.error().code() == confluent_kafka.KafkaError._PARTITION_EOF, one.error()
            ends.add(one.partition())
        elif one:
            got.append(int(one.value()))
        return len(ends) == 3 and len(got) >= count

    wait_until(poll, TIMEOUT_S, "the committed records")
    consumer.close()
    return got


PRODUCERS = {f.__name__[3:].replace("_", "-"): f for f in (by_confluent, by_kafka_python, by_aiokafka)}


@pytest.mark.parametrize("client", PRODUCERS)
def test_clients_commit_and_abort(broker, client):
    topic = f"of-{client}"
    create_topics(broker.bootstrap, [topic], partitions=3)
    PRODUCERS[client](broker.bootstrap, topic, 10)
    assert sorted(read_committed(broker.bootstrap, topic, 15)) == sorted(3 * [0, 2, 4, 6, 8])


def test_a_second_producer_fences_the_first(broker):
    create_topics(broker.bootstrap, ["fencing"], partitions=3)
    first = confluent_producer(broker.bootstrap, "one-id")
    first.begin_transaction()
    first.produce("fencing", b"1", partition=0)
    first.flush(TIMEOUT_S)
    second = confluent_producer(broker.bootstrap, "one-id")
    with pytest.raises(confluent_kafka.KafkaException) as refused:
        first.commit_transaction(TIMEOUT_S)
    assert refused.value.args[0].code() in (
        confluent_kafka.KafkaError._FENCED,
        confluent_kafka.KafkaError.PRODUCER_FENCED,
        confluent_kafka.KafkaError.INVALID_PRODUCER_EPOCH,
    )
    second.begin_transaction()
    second.produce("fencing", b"2", partition=0)
    second.commit_transaction(TIMEOUT_S)
    assert read_committed(broker.bootstrap, "fencing", 1) == [2]


def test_javas_producer_and_consumer(broker):
    create_topics(broker.bootstrap, ["java"], partitions=3)
    java.tool(
        "kafka-producer-perf-test", "--bootstrap-server", broker.bootstrap, "--topic", "java", "--num-records", 3000,
        "--record-size", 100, "--throughput", 3000, "--transactional-id", "java", "--transaction-duration-ms", 100,
    )  # fmt: skip
    out = run_console(
        "consumer", "--bootstrap-server", broker.bootstrap, "--topic", "java", "--from-beginning",
        "--isolation-level", "read_committed", "--max-messages", 3000, "--timeout-ms", 30000,
    )  # fmt: skip
    assert len(out.split()) == 3000


def perf_producer(bootstrap, topic, count, rate):
    """The command line of Java's producer, whose transactions last for moments."""
    return java.command(
        java.TOOLS["kafka-producer-perf-test"], "--bootstrap-server", bootstrap, "--topic", topic, "--num-records", count,
        "--record-size", 100, "--throughput", rate, "--transactional-id", topic, "--transaction-duration-ms", 50,
    )  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize("level", LOWER_LEVELS)
def test_a_directory_of_a_lower_level(brokers, level):
    """Kafka's tool has formatted it so. Java's producer and the tools use it, and Kafka goes on with what is left open."""
    formatted = brokers.new("kafka")
    formatted.levels = {FEATURE: level}
    formatted.prepare()
    broker = brokers.successor(formatted, brokers.kind).start()
    assert feature_level(broker, FEATURE) == level
    create_topics(broker.bootstrap, ["java", "t"])
    run(perf_producer(broker.bootstrap, "java", 1000, 2000), TIMEOUT_S)
    wait_until(lambda: len(read(broker.port, "java", 0)) == 1000, TIMEOUT_S, "what was committed")
    await_ends(broker.port, ["java"])
    out = java.tool("kafka-transactions", "--bootstrap-server", broker.bootstrap, "describe", "--transactional-id", "java")
    assert "CompleteCommit" in out, out
    producer = Producer(broker.port, "open", 0, timeout_ms=900000).init()
    transact(producer, [0], b"kept", commit=None)
    broker.stop()
    ends = records_of(broker, "java")
    assert {(one["version"], one.get("ClientTransactionVersion", 0), one["ProducerEpoch"]) for one in ends} == {(level, 0, 0)}
    assert len(ends) > 6  # more than one transaction
    broker = brokers.successor(broker, "kafka").start()
    wait_until(lambda: feature_level(broker, FEATURE) == level, TIMEOUT_S, "Kafka's broker to know of it")
    producer.reconnect(broker.port)
    producer.end(True)
    wait_until(lambda: read(broker.port, "t", 0) == [b"kept"], TIMEOUT_S, "the open one's record")
    assert len(read(broker.port, "java", 0)) == 1000
    producer.close()


def work(broker, running):
    """Each producer that is not done yet commits some more."""
    before = {topic: len(read(broker.port, topic, 0)) for topic in running}

    def worked():
        return all(len(read(broker.port, topic, 0)) > count + 100 or running[topic].returncode == 0 for topic, count in before.items())

    wait_until(worked, TIMEOUT_S, "the producers to go on", every_s=0.1)


@pytest.mark.timeout(300)
def test_levels_change_under_producers(brokers, tmp_path):
    """Java's producers began at the highest level and at the lowest, and both go on; each record is there once."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["down", "up"])
    running = {}

    def begin(topic):
        running[topic] = Process(topic, perf_producer(broker.bootstrap, topic, WORK, 500), tmp_path / topic)
        work(broker, running)

    try:
        begin("down")
        set_feature_level(broker, FEATURE, 0)
        begin("up")
        for level in (1, 2, 0, 2):
            set_feature_level(broker, FEATURE, level)
            work(broker, running)
        for topic, process in running.items():
            assert process.wait(TIMEOUT_S) == 0, process.log_text()
            wait_until(lambda: len(read(broker.port, topic, 0)) == WORK, TIMEOUT_S, f"the records of {topic}")  # noqa: B023
            assert len(read(broker.port, topic, 0, committed=False)) == WORK
    finally:
        for process in running.values():
            process.kill()


def test_dump_log_decodes_it(brokers):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["t"], partitions=2)
    lives(broker.port)
    broker.stop()
    logs = [str(path) for path in sorted(broker.data.glob(f"{STATE}-*/*.log")) if path.stat().st_size]
    out = disk.dump(logs, "--transaction-log-decoder")
    disk.check_dump(out, "the transactions")
    assert '"transactionalId":"old"' in out and '"transactionStatus":4' in out and '"transactionStatus":5' in out
    disk.check_directory(broker.data)
