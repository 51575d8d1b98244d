"""Transactions: what time ends, what is forgotten, two producers of one id at once, and a coordinator that loads."""

import json
import subprocess
import threading

import pytest

from harness.broker import odradek_binary
from harness.members import await_group, committed
from harness.process import wait_until
from harness.requests import BROKER, alter
from harness.topics import create_topics
from harness.transactions import Producer, Refused, await_coordinators, is_settled, read
from harness.wire import Connection

INVALID_EPOCH, PRODUCER_FENCED, INVALID_TXN_STATE, INVALID_MAPPING, LOADING = 47, 90, 48, 49, 14
TURNS = 40
IDS, AT_ONCE = 800, 200  # fewer than a block of producer ids


@pytest.mark.parametrize("version", [0, 2])
def test_timeout_aborts(brokers, version):
    """An open transaction holds up readers until its timeout, no longer; its producer is fenced, and may go on."""
    broker = brokers.start(settings={"transaction.abort.timed.out.transaction.cleanup.interval.ms": "50"})
    create_topics(broker.bootstrap, ["t"])
    producer = Producer(broker.port, "x", version, timeout_ms=6000).init()
    if version < 2:
        producer.add("t", [0])
    producer.produce("t", 0, b"late")
    assert not is_settled(broker.port, "t", [0])
    wait_until(lambda: is_settled(broker.port, "t", [0]), 20, "the timeout")
    assert read(broker.port, "t", 0) == []
    with pytest.raises(Refused) as refused:
        producer.end(True)
    assert refused.value.error == (PRODUCER_FENCED if version < 2 else INVALID_TXN_STATE)
    epoch = producer.epoch
    producer.init(keep=True)
    assert producer.epoch > epoch
    if version < 2:
        producer.add("t", [0])
    producer.produce("t", 0, b"next")
    producer.end(True)
    wait_until(lambda: read(broker.port, "t", 0) == [b"next"], 20, "the next transaction")
    producer.close()


def test_ids_expire(brokers):
    settings = {
        "transactional.id.expiration.ms": "300",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "50",
    }
    broker = brokers.start(settings=settings)
    producer = Producer(broker.port, "x").init()

    def forgotten():
        try:
            producer.end(True)
        except Refused as refused:
            return refused.error == INVALID_MAPPING

    wait_until(forgotten, 20, "the id to be forgotten")
    broker.kill()
    broker.start()
    again = Producer(broker.port, "x").init()
    assert again.producer_id != producer.producer_id and again.epoch == 0
    again.close()
    producer.close()


def test_two_producers_of_one_id(broker):
    """Each fences the other, again and again: what was acknowledged is there once, and nothing hangs."""
    create_topics(broker.bootstrap, ["rivals"])
    acknowledged, tried, problems = set(), set(), []

    def work(name):
        producer = Producer(broker.port, "one")
        try:
            for number in range(30):
                value = b"%s %d" % (name, number)
                tried.add(value)
                try:
                    producer.init()
                    producer.produce("rivals", 0, value)
                    producer.end(True)
                    acknowledged.add(value)
                except Refused:
                    pass  # fenced by the other
        except Exception as problem:
            problems.append(problem)
        producer.close()

    rivals = [threading.Thread(target=work, args=(name,)) for name in (b"a", b"b")]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join(120)
    assert not any(rival.is_alive() for rival in rivals), "a rival hangs"
    assert not problems, problems
    Producer(broker.port, "one").init().close()
    wait_until(lambda: is_settled(broker.port, "rivals", [0]), 20, "every transaction to end")
    seen = read(broker.port, "rivals", 0)
    assert len(seen) == len(set(seen)) and acknowledged <= set(seen) <= tried, (acknowledged, seen)


@pytest.mark.parametrize("version", [0, 2])
def test_by_turns(broker, version):
    """Each takes the id over while the other's transaction is open: that one is aborted with its offsets, and whatever its producer
    says then is refused. Nothing is in between but the answers."""
    topic, group, name = f"turns-{version}", f"turns-{version}", f"turns-{version}"
    create_topics(broker.bootstrap, [topic])
    await_group(broker.port, group)
    old, new = (Producer(broker.port, name, version) for _ in range(2))

    def begin(producer, value, offset):
        if version < 2:
            producer.add(topic, [0])
            producer.add_offsets(group)
        producer.produce(topic, 0, value)
        producer.commit_offsets(group, topic, {0: offset})

    old.init()
    begin(old, b"lost", 1000)
    for number in range(TURNS):
        new.init()
        fenced = [lambda: old.add(topic, [0]), lambda: old.end(True), lambda: old.end(False)]
        if version < 2:
            fenced.append(lambda: old.add_offsets(group))
        too_old = [lambda: old.produce(topic, 0, b"late"), lambda: old.commit_offsets(group, topic, {0: 2000})]
        for says, error in (fenced, PRODUCER_FENCED), (too_old, INVALID_EPOCH):
            for say in says:
                with pytest.raises(Refused) as refused:
                    say()
                assert refused.value.error == error
        begin(new, b"%d" % number, number)
        new.end(True)
        begin(new, b"lost", 1000)
        old, new = new, old
    new.init()
    wait_until(lambda: is_settled(broker.port, topic, [0]), 20, "every transaction to end")
    assert read(broker.port, topic, 0) == [b"%d" % number for number in range(TURNS)]
    wait_until(lambda: committed(broker.port, group, stable=True) == {0: TURNS - 1}, 20, "the last offset that was committed")
    old.close()
    new.close()


def init_all(connection, names):
    """Many are under way at a time."""
    answers = []
    for first in range(0, len(names), AT_ONCE):
        chunk = names[first : first + AT_ONCE]
        for name in chunk:
            connection.send("InitProducerId", 4, {"TransactionalId": name, "TransactionTimeoutMs": 60000})
        answers += [connection.receive("InitProducerId", 4)[1] for _ in chunk]
    return answers


def test_while_it_loads(brokers):
    """After kill -9 each id is found again; until then its coordinator says that it loads."""
    broker = brokers.start()
    Producer(broker.port, "x").init().close()
    names = [f"id-{number}" for number in range(IDS)]
    await_coordinators(broker.port, names[:100])
    with Connection("127.0.0.1", broker.port, 20) as connection:
        known = {name: answer for name, answer in zip(names, init_all(connection, names))}
    assert all(answer["ErrorCode"] == 0 for answer in known.values())
    broker.kill()
    broker.start()
    left, loading = names, 0
    with Connection("127.0.0.1", broker.port, 20) as connection:
        while left:
            answers = dict(zip(left, init_all(connection, left)))
            left = [name for name in left if answers[name]["ErrorCode"] == LOADING]
            loading += len(left)
            for name in set(answers) - set(left):
                answer = answers[name]
                assert (answer["ErrorCode"], answer["ProducerId"], answer["ProducerEpoch"]) == (0, known[name]["ProducerId"], 1)
    print(f"{loading} answers said that the coordinator loads")


def test_one_transaction_right_after_another(broker):
    """A batch may come before the markers of the transaction before: it is taken once they are there, whenever they came."""
    create_topics(broker.bootstrap, ["quick"], 2)
    producer = Producer(broker.port, "hasty").init()
    values = [b"%d" % number for number in range(400)]
    for value in values:
        producer.produce("quick", 0, value)
        producer.produce("quick", 1, value)
        producer.end(True)
    wait_until(lambda: is_settled(broker.port, "quick", [0, 1]), 20, "the last markers")
    assert read(broker.port, "quick", 0) == read(broker.port, "quick", 1) == values
    producer.close()


@pytest.mark.timeout(1200)
def test_one_right_after_the_other(brokers):
    """The next transaction's batches come while the markers of the one before are still written: they wait for them, whenever
    between the partition's guard and the coordinator's answer a marker comes into the log."""
    broker = brokers.start()
    load = [odradek_binary().parent / "bench/odradek-load", "transactions", "--address", broker.bootstrap, "--topic", "t"]
    load += ["--partitions", "10", "--connections", "10", "--record-bytes", "100", "--batch-bytes", "1161", "--count", "2000"]
    for _ in range(8):
        ended = subprocess.run(load, capture_output=True, text=True, timeout=200, check=False)
        assert ended.returncode == 0, ended.stderr
        assert json.loads(ended.stdout)["transactions"] == 2000


def test_many_ids_end_at_once(brokers):
    """Their markers are written by every reactor, while there come to be more of them."""
    broker = brokers.start(settings={"num.network.threads": "2"})
    ids, rounds = 12, 40
    create_topics(broker.bootstrap, ["many"], ids)
    producers = [Producer(broker.port, f"many-{number}", 2 * (number % 2)).init() for number in range(ids)]
    values = [b"%d" % number for number in range(rounds)]
    problems = []

    def run(number, producer):
        try:
            for value in values:
                for partition in (number, (number + 1) % ids):  # each is two producers'
                    if producer.version < 2:
                        producer.add("many", [partition])
                    producer.produce("many", partition, value)
                producer.end(True)
        except Exception as problem:
            problems.append((number, problem))

    threads = [threading.Thread(target=run, args=one) for one in enumerate(producers)]
    for thread in threads:
        thread.start()
    for count in ("3", "4"):
        alter(broker, BROKER, "", num_network_threads=count)
    for thread in threads:
        thread.join()
    assert not problems
    wait_until(lambda: is_settled(broker.port, "many", list(range(ids))), 20, "the last markers")
    for partition in range(ids):
        assert sorted(read(broker.port, "many", partition)) == sorted(values * 2)
    for producer in producers:
        producer.close()
