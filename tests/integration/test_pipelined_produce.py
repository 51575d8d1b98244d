"""Produce requests that arrive together are appended together: nobody may tell, but by the speed."""

import contextlib
import signal
import socket
import struct
import threading

import pytest

from harness.batch import GZIP, ZSTD, batch
from harness.process import wait_until
from harness.requests import connect, create_topic, end_offset, error, fetch, fetch_body, now_ms, produce_body, values
from harness.requests import produce as produce_answer
from harness.wire import decode_response, encode_request

LARGE = b"x" * 30_000


@pytest.fixture(scope="module")
def several(broker):
    create_topic(broker, "several", partitions=3)
    return broker


def send_together(connection, requests):
    """All of them with one call, as (api, version, body); what they are, for receive_all."""
    frames, sent = b"", []
    for api, version, body in requests:
        connection.correlation_id += 1
        raw = encode_request(api, version, body, connection.correlation_id)
        frames += struct.pack(">i", len(raw)) + raw
        sent.append((connection.correlation_id, api, version))
    connection.socket.sendall(frames)
    return sent


def receive_all(connection, sent):
    answers = []
    for correlation_id, api, version in sent:
        got, answer = decode_response(api, version, connection.receive_frame())
        assert got == correlation_id
        answers.append(answer)
    return answers


def produce(topic, value, partition=0, acks=-1):
    return "Produce", 9, produce_body(topic, [(None, value)], partition=partition, acks=acks)


def answer_of(response):
    return response["Responses"][0]["PartitionResponses"][0]


@pytest.mark.parametrize("filler", [b"", LARGE], ids=["small", "large"])
def test_offsets_and_answers_in_order(several, filler):
    with connect(several) as connection:
        ends = [end_offset(connection, "several", p)["Offset"] for p in range(3)]
        sent = send_together(connection, [produce("several", b"%d" % i + filler, i % 3) for i in range(60)])
        for i, response in enumerate(receive_all(connection, sent)):
            assert error(answer_of(response)) == 0
            assert answer_of(response)["BaseOffset"] == ends[i % 3] + i // 3
        for p in range(3):
            got, at = [], ends[p]
            while len(got) < 20:
                batches = fetch(connection, "several", at, partition=p)[1]
                got += values(batches)
                at = ends[p] + len(got)
            assert got == [b"%d" % i + filler for i in range(p, 60, 3)]


def test_what_follows_on_the_connection_sees_it(several):
    with connect(several) as connection:
        end = end_offset(connection, "several")["Offset"]
        ask = {"ReplicaId": -1, "Topics": [{"Name": "several", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]}
        sent = send_together(
            connection,
            [
                produce("several", b"one"),
                produce("several", b"two"),
                ("ListOffsets", 7, ask),
                produce("several", b"three"),
                ("Fetch", 11, fetch_body("several", end)),
                ("ListOffsets", 7, ask),
            ],
        )
        answers = receive_all(connection, sent)
        assert answers[2]["Topics"][0]["Partitions"][0]["Offset"] == end + 2
        assert answers[5]["Topics"][0]["Partitions"][0]["Offset"] == end + 3
        assert b"three" in answers[4]["Responses"][0]["Partitions"][0]["Records"]


def test_a_refused_one_among_others(several):
    with connect(several) as connection:
        end = end_offset(connection, "several")["Offset"]
        broken = bytearray(produce_body("several", [(None, b"broken")])["TopicData"][0]["PartitionData"][0]["Records"])
        broken[-1] ^= 1
        requests = [produce("several", b"a"), ("Produce", 9, produce_body("several", bytes(broken)))]
        requests += [produce("several", b"b", partition=99), produce("several", b"c")]
        answers = [answer_of(a) for a in receive_all(connection, send_together(connection, requests))]
        assert [error(a) for a in answers] == [0, 2, 3, 0]  # CORRUPT_MESSAGE, UNKNOWN_TOPIC_OR_PARTITION
        assert [a["BaseOffset"] for a in answers] == [end, -1, -1, end + 1]


@contextlib.contextmanager
def held_up(broker):
    """What is sent meanwhile comes to the broker at once, the end of the connection with it."""
    broker.process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.process.signal(signal.SIGCONT)


@pytest.mark.parametrize("behind", [b"", b"\xff\xff\xff\xff"], ids=["nothing", "nonsense"])
@pytest.mark.parametrize("acks", [0, -1])
def test_a_client_that_leaves_at_once(several, behind, acks):
    with connect(several) as witness:
        end = end_offset(witness, "several")["Offset"]
        connection = connect(several)
        with held_up(several):
            send_together(connection, [produce("several", b"%d" % i, acks=acks) for i in range(10)])
            connection.socket.sendall(behind)
            connection.close()
        wait_until(lambda: end_offset(witness, "several")["Offset"] == end + 10, 20, "all that was sent")


def test_a_client_that_says_no_more_and_reads(several):
    with connect(several) as connection:
        end = end_offset(connection, "several")["Offset"]
        with held_up(several):
            sent = send_together(connection, [produce("several", b"last words %d" % i) for i in range(5)])
            connection.socket.shutdown(socket.SHUT_WR)
        answers = receive_all(connection, sent)
        assert [answer_of(a)["BaseOffset"] for a in answers] == list(range(end, end + 5))


def test_many_connections_on_one_partition(several):
    offsets, failures = [], []

    def run(number):
        try:
            with connect(several) as connection:
                for i in range(10):
                    requests = [produce("several", b"%d %d %d" % (number, i, k), partition=2) for k in range(10)]
                    answers = receive_all(connection, send_together(connection, requests))
                    mine = [answer_of(a)["BaseOffset"] for a in answers]
                    assert mine == sorted(mine)
                    offsets.extend(mine)
        except Exception as failure:  # told by the test's own thread
            failures.append(failure)

    with connect(several) as connection:
        end = end_offset(connection, "several", 2)["Offset"]
        threads = [threading.Thread(target=run, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert sorted(offsets) == list(range(end, end + 800))


# What costs a reactor too much is validated by a worker; its connection waits, so that order is kept.


def big(number):
    """A batch of 200 KB that a topic with another compression.type has to be packed for."""
    return [(b"%d" % number, b"%d %d " % (number, i) + b"abcdefghij" * 20) for i in range(1000)]


def numbers(connection, topic, offset, count):
    """Of the produced batches, in the order of the log: keys without repetitions next to each other."""
    keys = []
    while count > 0:
        code, batches = fetch(connection, topic, offset)
        assert code == 0 and batches
        for one in batches:
            assert one["CrcOk"] and one["Attributes"] & 7 == GZIP
            keys += [int(bytes.fromhex(record[2])) for record in one["Content"]]
            offset = one["BaseOffset"] + one["Records"]
            count -= one["Records"]
    return [key for i, key in enumerate(keys) if i == 0 or keys[i - 1] != key]


@pytest.fixture(scope="module")
def repacked(broker):
    create_topic(broker, "repacked", compression_type="gzip")
    return broker


def test_recompression_keeps_the_order(repacked):
    with connect(repacked) as connection:
        end = end_offset(connection, "repacked")["Offset"]
        records = [big(0), [(b"1", b"small")], big(2), [(b"3", b"small")], [(b"4", b"small")], big(5)]
        sent = send_together(connection, [("Produce", 9, produce_body("repacked", one)) for one in records])
        for one, response in zip(records, receive_all(connection, sent)):
            assert (error(answer_of(response)), answer_of(response)["BaseOffset"]) == (0, end)
            end += len(one)
        start = end - sum(map(len, records))
        assert numbers(connection, "repacked", start, end - start) == [0, 1, 2, 3, 4, 5]
    assert any(name.startswith("worker-") for name in repacked.thread_names())


def test_what_follows_a_recompression_sees_it(repacked):
    with connect(repacked) as connection:
        end = end_offset(connection, "repacked")["Offset"]
        ask = {"ReplicaId": -1, "Topics": [{"Name": "repacked", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]}
        sent = send_together(connection, [("Produce", 9, produce_body("repacked", big(0))), ("ListOffsets", 7, ask)])
        answers = receive_all(connection, sent)
        assert answers[1]["Topics"][0]["Partitions"][0]["Offset"] == end + 1000


def test_a_client_that_leaves_during_recompression(repacked):
    with connect(repacked) as witness:
        end = end_offset(witness, "repacked")["Offset"]
        connection = connect(repacked)
        with held_up(repacked):
            send_together(connection, [("Produce", 9, produce_body("repacked", big(i), acks=0)) for i in range(5)])
            connection.close()
        wait_until(lambda: end_offset(witness, "repacked")["Offset"] == end + 5000, 30, "all that was sent")
        assert numbers(witness, "repacked", end, 5000) == list(range(5))


def test_a_damaged_batch_is_told_by_the_worker(repacked):
    with connect(repacked) as connection:
        body = bytearray(batch(big(0), ts=now_ms(), attributes=ZSTD))
        body[-1] ^= 1
        assert error(produce_answer(connection, "repacked", bytes(body))) == 2  # CORRUPT_MESSAGE
        assert error(produce_answer(connection, "repacked", big(1), acks=1)) == 0


def test_a_stop_during_recompression(brokers):
    """What was answered is there afterwards, and what is there was sent."""
    broker = brokers.start()
    create_topic(broker, "repacked", compression_type="gzip")
    with connect(broker) as connection:
        sent = send_together(connection, [("Produce", 9, produce_body("repacked", big(i))) for i in range(8)])
        wait_until(lambda: end_offset_of(broker) > 0, 30, "the first of them")
        broker.stop()
        answered = 0
        with contextlib.suppress(OSError, EOFError):
            for one in sent:
                receive_all(connection, [one])
                answered += 1
    broker.start()
    with connect(broker) as connection:
        end = end_offset(connection, "repacked")["Offset"]
        assert end >= answered * 1000 and end % 1000 == 0
        assert numbers(connection, "repacked", 0, end) == list(range(end // 1000))


def end_offset_of(broker):
    with connect(broker) as connection:
        return end_offset(connection, "repacked")["Offset"]


def test_many_connections_wake_many_fetches(brokers):
    """Each record comes alone and wakes Fetches of all the partitions, which wait for the last one: several reactors wake several."""
    broker, partitions, rounds = brokers.start(settings={"num.network.threads": "4"}), 64, 30
    create_topic(broker, "woken", partitions=partitions)
    size = len(batch([(None, b"v")], ts=now_ms()))
    wanted = [{"Partition": p, "FetchOffset": 0, "PartitionMaxBytes": 1 << 20} for p in range(partitions)]
    least = {"MaxWaitMs": 60000, "MinBytes": partitions * rounds * size}
    body = fetch_body("woken") | least | {"Topics": [{"Topic": "woken", "Partitions": wanted}]}
    with contextlib.ExitStack() as stack:
        readers, writers = ([stack.enter_context(connect(broker)) for _ in range(4)] for _ in range(2))
        waiting = [send_together(reader, [("Fetch", 11, body)]) for reader in readers]
        for p in range(partitions * rounds):
            send_together(writers[p % 4], [produce("woken", b"v", p % partitions, acks=0)])
        for reader, sent in zip(readers, waiting, strict=True):
            (answer,) = receive_all(reader, sent)
            got = {p["PartitionIndex"]: len(p["Records"]) for p in answer["Responses"][0]["Partitions"]}
            assert got == dict.fromkeys(range(partitions), rounds * size)
