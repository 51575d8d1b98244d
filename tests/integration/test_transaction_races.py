"""What happens to a transaction while something else happens: restarts between a request and its repetition, partitions that
cannot take a marker, topics that come and go, a coordinator that takes its time to load."""

import time

import pytest

from harness import loading
from harness.members import await_group, committed
from harness.process import wait_until
from harness.requests import connect, create_topic, error
from harness.transactions import Producer, Refused, is_settled, read
from integration.test_log_dirs import Two, try_produce

INVALID_TXN_STATE, CONCURRENT, FENCED, STORAGE_ERROR = 48, 51, 90, 56
STATE = "__transaction_state"


def end(broker, producer, commit=True):
    """One EndTxn: its error, and what it says of the producer."""
    body = {"TransactionalId": producer.name, "ProducerId": producer.producer_id, "ProducerEpoch": producer.epoch, "Committed": commit}
    with connect(broker) as connection:
        answer = connection.call("EndTxn", 5 if producer.version >= 2 else 4, body)
    return answer["ErrorCode"], answer.get("ProducerId"), answer.get("ProducerEpoch")


def init(broker, name):
    """One InitProducerId: its error."""
    with connect(broker) as connection:
        return error(connection.call("InitProducerId", 4, {"TransactionalId": name, "TransactionTimeoutMs": 60000}))


def state_of(broker, name):
    with connect(broker) as connection:
        return connection.call("DescribeTransactions", 0, {"TransactionalIds": [name]})["TransactionStates"][0]["TransactionState"]


@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
@pytest.mark.parametrize("version", [0, 2])
def test_an_end_repeated_after_a_crash(brokers, version, commit):
    """The answer got lost with the broker: the same again is answered the same, the contrary is refused, and nothing is done twice."""
    broker = brokers.start()
    create_topic(broker, "t")
    producer = Producer(broker.port, "x", version).init()
    if version < 2:
        producer.add("t", [0])
    producer.produce("t", 0, b"v")
    wait_until(lambda: (first := end(broker, producer, commit))[0] == 0 and first, 20, "the end")
    broker.kill()
    broker.start()
    wait_until(lambda: is_settled(broker.port, "t", [0]), 20, "the marker")
    wait_until(lambda: state_of(broker, "x").startswith("Complete"), 20, "the end to be carried through")
    again = end(broker, producer, commit)
    assert again[0] == 0
    if version >= 2:
        assert again[1:] == (producer.producer_id, producer.epoch + 1)
    assert end(broker, producer, not commit)[0] == INVALID_TXN_STATE
    assert read(broker.port, "t", 0) == ([b"v"] if commit else [])
    producer.reconnect(broker.port)
    if version >= 2:
        old, producer.epoch, producer.sequences = producer.epoch, producer.epoch + 1, {}
    else:
        producer.add("t", [0])
    producer.produce("t", 0, b"next")
    if version >= 2:  # the next transaction is open: what is repeated now is of a zombie
        producer.epoch = old
        assert end(broker, producer, commit)[0] == FENCED
        producer.epoch = old + 1
    assert end(broker, producer)[0] == 0
    wait_until(lambda: read(broker.port, "t", 0)[-1:] == [b"next"], 20, "the next transaction")
    producer.close()


def id_on(two):
    """A transactional id whose coordinator's partition lies on the sound disk."""
    Producer(two.broker.port, "first").init().close()
    return two.id_on_sound(STATE)


def decided_while_broken(brokers, disks):
    """A transaction over two partitions that was committed while one of them is off line."""
    two = Two(brokers, disks)
    producer = Producer(two.broker.port, id_on(two)).init()
    for partition in (two.good[0], two.bad[0]):
        producer.produce("t", partition, b"whole")
    two.disk.break_down()
    with connect(two.broker) as connection:
        wait_until(lambda: try_produce(connection, two.bad[0]) == STORAGE_ERROR, 20, "the partition to be off line")
    assert end(two.broker, producer)[0] == 0
    wait_until(lambda: is_settled(two.broker.port, "t", [two.good[0]]), 20, "the marker of the sound partition")
    assert state_of(two.broker, producer.name) == "PrepareCommit"
    assert init(two.broker, producer.name) == CONCURRENT
    assert end(two.broker, producer)[0] == CONCURRENT
    return two, producer


def test_a_marker_waits_for_a_broken_disk(brokers, disks):
    """Nobody gets past the end that was decided; when the disk is back, the marker is written, and all goes on."""
    two, producer = decided_while_broken(brokers, disks)
    two.broker.stop()
    two.disk.mend()
    two.broker.start()
    wait_until(lambda: state_of(two.broker, producer.name) == "CompleteCommit", 20, "the end to be carried through")
    for partition in (two.good[0], two.bad[0]):
        assert read(two.broker.port, "t", partition)[-1:] == [b"whole"]
    producer.reconnect(two.broker.port)
    producer.init()
    producer.close()


def test_a_marker_waits_for_a_topic_that_is_deleted(brokers, disks):
    """What is gone needs no marker: the end is carried through without a restart."""
    two, producer = decided_while_broken(brokers, disks)
    with connect(two.broker) as connection:
        connection.call("DeleteTopics", 6, {"Topics": [{"Name": "t"}], "TimeoutMs": 20000})
    wait_until(lambda: state_of(two.broker, producer.name) == "CompleteCommit", 20, "the end to be carried through")
    producer.init()
    producer.close()


def test_asked_while_it_loads(brokers, tmp_path):
    """A disk that takes its time: meanwhile every request says that the coordinator loads, and the log of the broker tells how far
    it is."""
    broker, disk = brokers.start(settings=loading.ONE_PARTITION), loading.SlowDisk(tmp_path)
    for topic in ("t", "other"):
        create_topic(broker, topic)
    await_group(broker.port, "g")
    producer = loading.open_transaction(broker.port)
    broker.stop()
    with disk.slow(broker, STATE):
        began = time.monotonic()
        await_group(broker.port, "g")
        loading.check(loading.transaction_answers(broker.port, producer), loading.TRANSACTION_ANSWERS)
        wait_until(lambda: time.monotonic() - began > 1.2, 20, "more than a second to pass")  # which is worth a line
    wait_until(lambda: f"loaded {STATE}-0" in broker.log_text(), 20, "the coordinator to have loaded")
    assert f"loading {STATE}-0: " in broker.log_text()
    assert end(broker, producer)[0] == 0
    wait_until(lambda: read(broker.port, "t", 0) == [b"v"], 20, "the record")
    assert read(broker.port, "other", 0) == []
    assert committed(broker.port, "g") == {}
    producer.close()


def test_two_inits_at_once(broker):
    """Of many that ask for an id's producer at the same time each gets an epoch of its own, and the last one alone may write."""
    create_topic(broker, "once")
    Producer(broker.port, "rival").init().close()
    body = {"TransactionalId": "rival", "TransactionTimeoutMs": 60000}
    connections = [connect(broker) for _ in range(8)]
    for connection in connections:
        connection.send("InitProducerId", 4, body)
    answers = [connection.receive("InitProducerId", 4)[1] for connection in connections]
    for connection in connections:
        connection.close()
    assert [error(answer) for answer in answers] == [0] * 8
    epochs = sorted(answer["ProducerEpoch"] for answer in answers)
    assert len({answer["ProducerId"] for answer in answers}) == 1 and epochs == list(range(1, 9))
    producers = []
    for answer in sorted(answers, key=lambda answer: answer["ProducerEpoch"]):
        producers.append(Producer(broker.port, "rival"))
        producers[-1].producer_id, producers[-1].epoch = answer["ProducerId"], answer["ProducerEpoch"]
    for producer in producers[:-1]:
        with pytest.raises(Refused):
            producer.produce("once", 0, b"zombie")
    producers[-1].produce("once", 0, b"last")
    producers[-1].end(True)
    wait_until(lambda: read(broker.port, "once", 0) == [b"last"], 20, "the record")
    for producer in producers:
        producer.close()
