"""Listeners, threads and limits of connections that change while the broker runs."""

import socket

import pytest

from harness.broker import free_port, listens
from harness.process import wait_until
from harness.requests import BROKER, alter
from harness.wire import Connection

DEADLINE_S = 20
MAP = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTRA:PLAINTEXT"


def serves(connection):
    return connection.call("ApiVersions", 0, {})["ErrorCode"] == 0


def still_serves(connection):
    try:
        return serves(connection)
    except (OSError, EOFError):
        return False


def is_closed(connection):
    """Whether the broker has closed it."""
    connection.socket.setblocking(False)
    try:
        return connection.socket.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    finally:
        connection.socket.settimeout(DEADLINE_S)


def connect(port):
    return Connection("127.0.0.1", port, DEADLINE_S)


def is_answered(connection):
    """Whether the question that waits() sent is answered after all."""
    return connection.receive("ApiVersions", 0)[1]["ErrorCode"] == 0


def open_extra(broker):
    port = free_port()
    listeners = f"{broker.settings['listeners']},EXTRA://127.0.0.1:{port}"
    alter(broker, BROKER, "1", listeners=listeners, listener_security_protocol_map=MAP)
    return port


def test_a_listener_comes_and_goes(brokers):
    broker = brokers.new()
    broker.settings["advertised.listeners"] = f"PLAINTEXT://{broker.bootstrap}"  # one that is told of may not be closed
    broker.start()
    before = connect(broker.port)
    port = open_extra(broker)
    extra = connect(port)
    assert serves(extra) and serves(before)
    for stop in (broker.stop, broker.kill):
        stop()
        broker.start()
        wait_until(lambda: listens(port), DEADLINE_S, "the listener to be opened by the start")
    before, extra = connect(broker.port), connect(port)
    assert serves(extra)
    alter(broker, BROKER, "1", listeners=None, listener_security_protocol_map=None)
    assert not listens(port)  # before the change was answered
    wait_until(lambda: is_closed(extra), DEADLINE_S, "its connection to be closed")
    assert serves(before)
    port = open_extra(broker)
    assert serves(connect(port))


def test_a_port_that_is_taken_is_logged(brokers):
    broker, port = brokers.start(), free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        listeners = f"{broker.settings['listeners']},EXTRA://127.0.0.1:{port}"
        alter(broker, BROKER, "1", listeners=listeners, listener_security_protocol_map=MAP)
        wait_until(lambda: "listener EXTRA is not opened" in broker.log_text(), DEADLINE_S, "the line that says so")
    alter(broker, BROKER, "1", message_max_bytes="2000000")  # the next change tries again
    assert serves(connect(port))


def await_reactors(broker, count):
    """A thread gives itself its name a moment after it has started."""

    def named():
        return sum(name.startswith("reactor-") for name in broker.thread_names())

    wait_until(lambda: named() == count, DEADLINE_S, f"{count} reactors")


def test_num_network_threads(brokers):
    broker = brokers.start(settings={"num.network.threads": "2"})
    await_reactors(broker, 2)
    alter(broker, BROKER, "", num_network_threads="4")
    await_reactors(broker, 4)
    open_ones = [connect(broker.port) for _ in range(8)]
    assert all(map(serves, open_ones))
    alter(broker, BROKER, "", num_network_threads=None)
    wait_until(lambda: any(map(is_closed, open_ones)), DEADLINE_S, "those of two reactors to be closed")
    # Which reactors have gone and which are about to, nobody is told: who is answered may be closed after it.
    assert any(map(still_serves, open_ones))
    wait_until(lambda: sum(map(is_closed, open_ones)) >= 2, DEADLINE_S, "one of each reactor to be closed")
    assert all(serves(connect(broker.port)) for _ in range(4))
    broker.stop()
    broker.start()
    await_reactors(broker, 2)


def waits(connection):
    """Whether the broker does not accept it now; its question is on its way."""
    connection.send("ApiVersions", 0, {})
    connection.socket.settimeout(0.2)
    try:
        return not connection.socket.recv(1, socket.MSG_PEEK)
    except socket.timeout:
        return True
    finally:
        connection.socket.settimeout(DEADLINE_S)


@pytest.mark.parametrize("name", ["1", ""])
def test_max_connections_of_a_listener(brokers, name):
    broker = brokers.start()
    port = open_extra(broker)
    alter(broker, BROKER, name, **{"listener_name_extra_max_connections": "1"})
    first, second = connect(port), connect(port)
    assert serves(first) and waits(second)
    assert all(serves(connect(broker.port)) for _ in range(3))  # others have none
    alter(broker, BROKER, name, **{"listener_name_extra_max_connections": "2"})
    assert is_answered(second)
    third = connect(port)
    assert waits(third)
    first.close()
    assert is_answered(third)


def test_max_connections_is_lowered(brokers):
    broker = brokers.start()
    open_ones = [connect(broker.port) for _ in range(6)]
    assert all(map(serves, open_ones))
    alter(broker, BROKER, "", max_connections="4")
    wait_until(lambda: sum(map(is_closed, open_ones)) >= 2, DEADLINE_S, "the longest idle to be closed")


def test_max_connection_creation_rate_of_a_listener(brokers):
    """In windows of 11 s two connections a second are let in: of forty the last has to wait."""
    broker = brokers.start()
    port = open_extra(broker)
    alter(broker, BROKER, "1", **{"listener_name_extra_max_connection_creation_rate": "2"})
    opened = [connect(port) for _ in range(40)]
    assert waits(opened[-1])
    assert all(serves(connect(broker.port)) for _ in range(30))
    alter(broker, BROKER, "1", **{"listener_name_extra_max_connection_creation_rate": "100000"})
    assert is_answered(opened[-1])
