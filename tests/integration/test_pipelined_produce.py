"""Produce requests that arrive together are appended together: nobody may tell, but by the speed."""

import contextlib
import signal
import socket
import struct
import threading

import pytest

from harness.requests import connect, create_topic, end_offset, error, fetch, fetch_body, produce_body, values
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


def wait_for_end(connection, wanted, partition=0):
    for _ in range(2000):
        if end_offset(connection, "several", partition)["Offset"] == wanted:
            return
    assert end_offset(connection, "several", partition)["Offset"] == wanted


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
        wait_for_end(witness, end + 10)


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
