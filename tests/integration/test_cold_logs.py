"""Logs that nobody has used since the start. Reading one may take long: meanwhile the reactor serves everybody else."""

import select
import signal
import socket
import struct

import pytest
from harness import loading
from harness.batch import batch
from harness.process import wait_until
from harness.requests import connect, create_topic, fetch_body, now_ms, produce, produce_body
from harness.transactions import Producer, await_coordinators, is_settled, read

WARM, COLD = "warm", "cold"
WORDS = ("fetch", "produce", "many", "time", "epoch", "delete", "producers", "marker", "end")  # a topic each, for one request to its log
GONE = (3, 6, 56)  # a topic that is not known, or not led, or of whose files there are none
ONE_REACTOR = {"num.network.threads": "1", **loading.ONE_PARTITION}


def topic(word):
    return f"{COLD}-{word}"


def partitions(word, **fields):
    return [{"Partitions": [fields], "Topic": topic(word), "Name": topic(word)}]


def to_many(body):
    """The Produce names more partitions than a reactor looks at: there is none but the first."""
    body["TopicData"][0]["PartitionData"] += [{"Index": i, "Records": None} for i in range(1, 501)]
    return body


def requests(hanging):
    """By the word: an API, its version, a body, and the way to the error of its answer."""
    times = {"ReplicaId": -1, "Topics": partitions("time", PartitionIndex=0, Timestamp=1)}
    epochs = {"ReplicaId": -2, "Topics": partitions("epoch", Partition=0, CurrentLeaderEpoch=-1, LeaderEpoch=0)}
    deletion = {"Topics": partitions("delete", PartitionIndex=0, Offset=1), "TimeoutMs": 20000}
    return {
        "fetch": ("Fetch", 11, fetch_body(topic("fetch"), min_bytes=1), "Responses", "Partitions"),
        "produce": ("Produce", 9, produce_body(topic("produce"), [(b"k", b"v")]), "Responses", "PartitionResponses"),
        "many": ("Produce", 9, to_many(produce_body(topic("many"), [(b"k", b"v")])), "Responses", "PartitionResponses"),
        "time": ("ListOffsets", 7, times, "Topics", "Partitions"),
        "epoch": ("OffsetForLeaderEpoch", 4, epochs, "Topics", "Partitions"),
        "delete": ("DeleteRecords", 2, deletion, "Topics", "Partitions"),
        "producers": ("DescribeProducers", 0, {"Topics": [{"Name": topic("producers"), "PartitionIndexes": [0]}]}, "Topics", "Partitions"),
        "marker": ("WriteTxnMarkers", 1, loading.marker(hanging, topic("marker")), "Markers", "Topics", "Partitions"),
    }


def test_nobody_waits_for_a_log_of_others(brokers, tmp_path):
    """One request of each API, and a transaction's end, wait for a disk that takes its time; the only reactor serves on."""
    broker, disk = brokers.start(settings=ONE_REACTOR), loading.SlowDisk(tmp_path)
    for name in (WARM, *map(topic, WORDS)):
        create_topic(broker, name)
    hanging, ending = (Producer(broker.port, word).init() for word in ("hanging", "ending"))
    hanging.produce(topic("marker"), 0, b"v")
    ending.produce(topic("end"), 0, b"v")
    with connect(broker) as connection:
        for word in WORDS[:7]:
            assert produce(connection, topic(word), [(b"k", b"v")])["ErrorCode"] == 0
    broker.stop()
    asked = {}
    with disk.slow(broker, COLD):
        await_coordinators(broker.port, ["ending"])
        with connect(broker) as connection:
            assert produce(connection, WARM, [(b"k", b"v")])["ErrorCode"] == 0
        for word, (api, version, body, *_) in requests(hanging).items():
            asked[word] = connect(broker)
            asked[word].send(api, version, body)
        ending.reconnect(broker.port)
        ending.end(True)
        with connect(broker, 20) as connection:
            assert produce(connection, WARM, [(b"k", b"v")])["ErrorCode"] == 0
            described = connection.call("DescribeProducers", 0, {"Topics": [{"Name": WARM, "PartitionIndexes": [0]}]})  # by a worker
        assert loading.error_at(described, ("Topics", "Partitions")) == 0
        assert read(broker.port, WARM, 0) == [b"v"] * 2
        assert select.select([connection.socket for connection in asked.values()], [], [], 0)[0] == []
    for word, (api, version, _, *path) in requests(hanging).items():
        answer = asked[word].receive(api, version)[1]
        assert loading.error_at(answer, path) == 0, word
        asked[word].close()
    wait_until(lambda: is_settled(broker.port, topic("end"), [0]), 20, "the marker of the transaction that ended")
    assert read(broker.port, topic("end"), 0) == [b"v"]
    assert is_settled(broker.port, topic("marker"), [0])
    assert read(broker.port, topic("marker"), 0) == []
    hanging.close()
    ending.close()


BOTH = {  # what names two partitions: its version, and the way to the error of its answer
    "Produce": (9, "Responses", "PartitionResponses"),
    "Fetch": (11, "Responses", "Partitions"),
    "ListOffsets": (7, "Topics", "Partitions"),
    "DeleteRecords": (2, "Topics", "Partitions"),
}


def of_both(api, *partitions):
    if api == "Produce":
        data = [one for i in partitions for one in produce_body(COLD, [(b"k", b"v")], i)["TopicData"]]
        return produce_body(COLD, []) | {"TopicData": data}
    named = [{"Partition": i, "PartitionIndex": i, "FetchOffset": 0, "PartitionMaxBytes": 1000, "Timestamp": 1, "Offset": 1} for i in partitions]
    topics = {"Topics": [{"Name": COLD, "Topic": COLD, "Partitions": named}]}
    return fetch_body(COLD) | topics if api == "Fetch" else {"ReplicaId": -1, "TimeoutMs": 20000} | topics


def test_a_disk_that_hangs_holds_up_its_own_logs_alone(brokers, tmp_path):
    """However many requests wait for it, also such that name logs of both directories; a transaction ends in the one that does not hang."""
    broker, disk = brokers.new(settings=ONE_REACTOR), loading.SlowDisk(tmp_path)
    second = broker.directory / "second"
    broker.settings["log.dirs"] = f"{broker.data},{second}"
    broker.start()
    create_topic(broker, COLD, partitions=16)
    hanging, sound = ([i for i in range(16) if (path / f"{COLD}-{i}").is_dir()] for path in (broker.data, second))
    producer = Producer(broker.port, "x").init()
    for i in (hanging[0], sound[0]):
        producer.produce(COLD, i, b"v")
    with connect(broker) as connection:
        for i in hanging[1:] + sound[1:]:
            assert produce(connection, COLD, [(b"k", b"v")], i)["ErrorCode"] == 0
    broker.stop()
    asked = []
    with disk.slow(broker, COLD, broker.data):
        await_coordinators(broker.port, [producer.name])
        for i, (api, (version, *_)) in enumerate(BOTH.items(), 1):
            for pair in ((sound[i], hanging[i]), (hanging[i], hanging[-i])):
                asked.append((connect(broker), api))
                asked[-1][0].send(api, version, of_both(api, *pair))
        producer.reconnect(broker.port)
        producer.end(True)
        wait_until(lambda: is_settled(broker.port, COLD, [sound[0]]), 20, "the marker where no disk hangs")
        with connect(broker, 20) as connection:
            assert produce(connection, COLD, [(b"k", b"v")], sound[-1])["ErrorCode"] == 0
        assert select.select([connection.socket for connection, _ in asked], [], [], 0)[0] == []
    for connection, api in asked:
        version, *path = BOTH[api]
        assert loading.error_at(connection.receive(api, version)[1], path) == 0, api
        connection.close()
    wait_until(lambda: is_settled(broker.port, COLD, [hanging[0]]), 20, "the other marker")
    producer.close()


@pytest.fixture
def after_a_start(brokers):
    """A broker that has ended, with a record in each topic."""
    broker = brokers.start(settings=ONE_REACTOR)
    with connect(broker) as connection:
        for name in (WARM, *map(topic, ("order", "left", "left-too", "deleted", "end"))):
            create_topic(broker, name)
            assert produce(connection, name, [(b"k", b"first")])["ErrorCode"] == 0
    broker.stop()
    return broker


def numbered(connection, producer_id, sequence, name):
    """Sends a batch of an idempotent producer's."""
    records = batch([(b"k", b"%d" % sequence)], ts=now_ms(), pid=producer_id, epoch=0, seq=sequence)
    body = produce_body(name, records)
    connection.send("Produce", 9, to_many(body) if sequence == 1 else body)


def test_what_waits_for_its_log(after_a_start, tmp_path):
    """In order on its connection; done though the client has left; refused where the topic is deleted meanwhile."""
    broker, disk = after_a_start, loading.SlowDisk(tmp_path)
    with disk.slow(broker, COLD), connect(broker) as other:
        [order, left, left_too, deleted, large] = (connect(broker) for _ in range(5))
        producer_id = order.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 60000})["ProducerId"]
        for sequence in range(3):
            numbered(order, producer_id, sequence, topic("order"))
        numbered(order, producer_id, 0, WARM)
        left.send("Produce", 9, produce_body(topic("left"), [(b"k", b"last")], acks=0))
        left_too.send("Produce", 9, to_many(produce_body(topic("left-too"), [(b"k", b"last")], acks=0)))
        deleted.send("Fetch", 11, fetch_body(topic("deleted"), min_bytes=1))
        for name in ("left", "left-too", "deleted"):
            disk.await_reader(topic(name))
        times = [{"PartitionIndex": i, "Timestamp": 1} for i in range(5000)]  # a worker decodes so many
        large.send("ListOffsets", 7, {"ReplicaId": -1, "Topics": [{"Name": topic("order"), "Partitions": times}]})
        asked = {"Topics": [{"Name": topic("deleted")}], "TimeoutMs": 20000}
        assert loading.error_at(other.call("DeleteTopics", 6, asked), ("Responses",)) == 0
        for connection in (left, left_too):
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        assert loading.error_at(other.call("DeleteTopics", 6, asked), ("Responses",)) != 0  # the end of the connection has been seen
        assert select.select([order.socket, deleted.socket, large.socket], [], [], 0)[0] == []
    for _ in range(4):
        answer = order.receive("Produce", 9)[1]
        assert loading.error_at(answer, ("Responses", "PartitionResponses")) == 0
    assert loading.error_at(deleted.receive("Fetch", 11)[1], ("Responses", "Partitions")) in GONE
    assert read(broker.port, topic("order"), 0) == [b"first", b"0", b"1", b"2"]
    for name in map(topic, ("left", "left-too")):
        wait_until(lambda name=name: read(broker.port, name, 0) == [b"first", b"last"], 20, "the record of the client that left")
    assert loading.error_at(large.receive("ListOffsets", 7)[1], ("Topics", "Partitions")) == 0
    for connection in (order, deleted, large):
        connection.close()


def test_a_stop_waits_for_who_reads_a_log(after_a_start, tmp_path):
    """For the marker of a transaction that ended, of which no client waits to hear."""
    broker, disk = after_a_start, loading.SlowDisk(tmp_path)
    producer = Producer(broker.start().port, "x").init()
    producer.produce(topic("end"), 0, b"v")
    broker.stop()
    with disk.slow(broker, COLD):
        await_coordinators(broker.port, ["x"])
        producer.reconnect(broker.port)
        producer.end(True)
        broker.process.signal(signal.SIGTERM)
        wait_until(lambda: not any("reactor" in name for name in broker.thread_names()), 20, "nobody to serve any more")
    broker.stop()
    producer.close()
    broker.start()
    wait_until(lambda: is_settled(broker.port, topic("end"), [0]), 20, "the marker of the transaction that ended")
    assert read(broker.port, topic("end"), 0) == [b"first", b"v"]
