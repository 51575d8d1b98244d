"""max.connections in total, and what ends a producer that wants no answers."""

import socket
import struct

import pytest

from harness.batch import batch
from harness.broker import free_port
from harness.process import wait_until
from harness.requests import connect, create_topic, end_offset, error, now_ms, produce, produce_body

ASK = struct.pack(">ihhih", 10, 18, 0, 7, -1)  # ApiVersions


@pytest.fixture
def small(brokers):
    """Lets in three connections; clients come by a listener that the broker does not need for itself."""
    broker = brokers.new(settings={"max.connections": "3", "inter.broker.listener.name": "INTERNAL"})
    broker.settings["listeners"] += f",INTERNAL://127.0.0.1:{free_port()}"
    broker.settings["listener.security.protocol.map"] = ",".join(f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", "INTERNAL"))
    return broker.start()


def served(connection):
    """Asks, and waits for the answer."""
    connection.sendall(ASK)
    size = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))[0]
    return len(connection.recv(size, socket.MSG_WAITALL)) == size


def test_max_connections_in_total(small):
    """Who comes when all places are taken waits, and is served when one becomes free; nobody is cut off."""
    waiting = small.connect()
    inside = [waiting]
    while len(inside) < 3:
        inside.append(small.connect())
    assert all(served(connection) for connection in inside)
    late = [small.connect(), small.connect()]
    for connection in late:
        connection.sendall(ASK)
    assert all(served(connection) for connection in inside)
    for connection in late:
        connection.settimeout(0.3)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    for _ in late:
        inside.pop().close()
    for connection in late:
        connection.settimeout(20)
        assert connection.recv(1)
    assert served(waiting)
    for connection in (*late, waiting):
        connection.close()


def corrupt(topic):
    raw = bytearray(batch([(None, b"x")], ts=now_ms()))
    raw[-1] ^= 1
    return produce_body(topic, bytes(raw), acks=0)


WRONG = {
    "corrupt": lambda: corrupt("wanted"),
    "unknown partition": lambda: produce_body("wanted", [(None, b"x")], partition=9, acks=0),
    "no key on a compacted topic": lambda: produce_body("compacted", [(None, b"x")], acks=0),
    "too large": lambda: produce_body("wanted", [(None, b"x" * 5000)], acks=0),
}


@pytest.fixture(scope="module")
def topics(broker):
    create_topic(broker, "wanted", max_message_bytes="4000")
    create_topic(broker, "compacted", cleanup_policy="compact")
    return broker


@pytest.mark.parametrize("what", WRONG)
def test_an_error_without_acks_closes(topics, what):
    """Closing is the only way to tell; what was good before it stays, and nobody else notices."""
    with connect(topics) as other, connect(topics) as connection:
        end = end_offset(other, "wanted")["Offset"]
        connection.send("Produce", 9, produce_body("wanted", [(None, b"before")], acks=0))
        connection.send("Produce", 9, WRONG[what]())
        connection.send("Produce", 9, produce_body("wanted", [(None, b"behind")], acks=0))
        with pytest.raises((EOFError, OSError)):
            connection.receive_frame()
        wait_until(lambda: end_offset(other, "wanted")["Offset"] > end, 20, "what came before")
        assert end_offset(other, "wanted")["Offset"] <= end + 2  # what came behind may be in, as in Kafka
        assert error(produce(other, "wanted", [(None, b"after")])) == 0
    wait_until(lambda: "Produce with acks=0 to" in topics.log_text() or topics.kind == "kafka", 20, "the line that says why")
