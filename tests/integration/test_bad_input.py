"""Clients that send nonsense, too much or nothing, and clients that do not read: each gets the protocol's error or a
closed connection with one line in the log that says why, and a well-behaved client beside them sees nothing of it."""

import resource
import socket
import struct
import time

import pytest

from harness.batch import batch
from harness.broker import answers, memory_bytes, sanitized
from harness.process import takes_less, wait_until
from harness.wire import Connection, encode_request, message

SETTINGS = {"socket.request.max.bytes": "20000000", "max.connections.per.ip": "20000"}
IDLE_CONNECTIONS = 10_000
SOON_S = 2
IDLE_BYTES_MAX = 1536  # of the broker's memory, per idle connection


@pytest.fixture(scope="module")
def broker(module_brokers):
    return module_brokers.start(settings=SETTINGS)


@pytest.fixture
def witness(broker):
    """A client that is served before, during and after whatever the test does."""
    with Connection("127.0.0.1", broker.port) as connection:
        check(connection)
        yield connection
        check(connection)


def check(connection):
    """It is served, within the connection's patience of 20 s; and soon, unless the machine itself is busy each time."""
    takes_less(SOON_S, lambda: ask(connection))


def ask(connection):
    assert connection.call("Metadata", 12, {"Topics": []})["Brokers"]


def header(key, version, correlation_id=1, client_id=b"bad"):
    return struct.pack(">hhih", key, version, correlation_id, len(client_id)) + client_id


def frame(raw):
    return struct.pack(">i", len(raw)) + raw


# What is sent, and a word of the line that Odradek logs about it (None: not asked, as ten lines in ten seconds are all
# that it writes).
NONSENSE = {
    "a request of 2 GB": (b"\x7f\xff\xff\xff", "2147483647"),
    "a negative size": (b"\xff\xff\xff\xff", "-1 bytes"),
    "more than socket.request.max.bytes": (struct.pack(">i", 20000001), "socket.request.max.bytes"),
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
    "a TLS handshake": (bytes.fromhex("16030100c8010000c40303") + bytes(200), None),
    "an empty request": (frame(b""), "too short"),
    "half a header": (frame(header(3, 9)[:7]), "header"),
    "an unknown API": (frame(header(999, 0)), "999"),
    "a negative API key": (frame(header(-2, 0)), None),
    "an unknown version": (frame(header(3, 99)), "version 99"),
    "a negative version": (frame(header(3, -1)), None),
    "Produce in a version that Kafka 4 no longer has": (frame(header(0, 2) + bytes(20)), None),
    "a body that ends early": (frame(header(3, 1) + b"\0\0"), "Metadata"),
    "a count of 2 billion": (frame(header(3, 1) + b"\x7f\xff\xff\xff"), None),
    "a compact count of 4 billion": (frame(header(3, 12) + b"\0\xff\xff\xff\xff\x0f"), None),
    "an overlong varint": (frame(header(3, 12) + b"\0" + b"\xff" * 12), None),
    "a string length below -1": (frame(header(3, 1) + struct.pack(">ih", 1, -2)), None),
}


@pytest.mark.parametrize("what", sorted(NONSENSE, key=lambda what: NONSENSE[what][1] is None))
def test_nonsense_closes_the_connection(broker, witness, what):
    raw, word = NONSENSE[what]
    peers, before = [], len(broker.log_text())

    def lines():
        """About what was sent, now or before. There are ten lines in ten seconds, whoever sent what."""
        with broker.connect() as client:
            peers.append("%s:%d " % client.getsockname())
            client.sendall(raw)
            assert receive_all(client) == b""
        return [line for line in broker.log_text()[before:].splitlines() if any(peer in line for peer in peers)]

    found = lines()
    check(witness)
    if word and broker.kind == "odradek":
        found = found or wait_until(lines, 40, "a line about it", every_s=0.2)
        assert all(word in line for line in found) and len(found) <= len(peers), found


def receive_all(client):
    out = bytearray()
    try:
        while data := client.recv(65536):
            out += data
    except ConnectionResetError:
        pass  # closed while bytes of ours were unread
    return bytes(out)


def produce_to(count):
    """The partitions of one topic, without records."""
    partitions = b"".join(struct.pack(">ii", index, -1) for index in range(count))
    return frame(header(0, 8) + struct.pack(">hhiih", -1, -1, 1000, 1, 4) + b"none" + struct.pack(">i", count) + partitions)


def produce_to_topics(count):
    """Topics without partitions."""
    return frame(header(0, 8) + struct.pack(">hhii", -1, -1, 1000, count) + struct.pack(">h4si", 4, b"none", 0) * count)


def test_a_produce_to_more_partitions_than_anybody_has(broker, witness):
    """As many as there may be are answered, each; more would ask for memory without any end."""
    with broker.connect() as client:
        client.sendall(produce_to(100_000))
        assert len(receive_exactly(client, struct.unpack(">i", receive_exactly(client, 4))[0])) > 100_000 * 8
        check(witness)
        client.sendall(produce_to(100_001))
        assert receive_all(client) == b""
    with broker.connect() as client:
        client.sendall(produce_to_topics(100_001))
        assert receive_all(client) == b""
    check(witness)


def receive_exactly(client, size):
    out = bytearray()
    while len(out) < size:
        data = client.recv(size - len(out))
        assert data, f"closed after {len(out)} of {size} bytes"
        out += data
    return bytes(out)


def test_a_flood_of_nonsense_does_not_flood_the_log(broker, witness):
    before = len(broker.log_text())
    for _ in range(500):
        with broker.connect() as client:
            client.sendall(b"\xff\xff\xff\xff")
            assert receive_all(client) == b""
    check(witness)
    if broker.kind == "odradek":
        assert len(broker.log_text()) - before < 10_000


def test_answers_that_were_due_come_before_the_end(broker, witness):
    with broker.connect() as client:
        client.sendall(frame(header(18, 0, 1)) + frame(header(18, 0, 2)))
        first = receive_exactly(client, 4)
        receive_exactly(client, struct.unpack(">i", first)[0])
        second = receive_exactly(client, 4)
        receive_exactly(client, struct.unpack(">i", second)[0])
        client.sendall(b"\xff\xff\xff\xff")
        assert receive_all(client) == b""


def test_api_versions_from_the_future(broker, witness):
    with broker.connect() as client:
        client.sendall(frame(header(18, 99, 7) + b"\0" + b"\xff\xfe"))
        (size,) = struct.unpack(">i", receive_exactly(client, 4))
        raw = receive_exactly(client, size)
        assert struct.unpack_from(">i", raw) == (7,)
        response, end = message("ApiVersionsResponse").decode(0, raw, 4)
        assert end == len(raw)
        assert response["ErrorCode"] == 35
        assert response["ApiKeys"] == [{"ApiKey": 18, "MinVersion": 0, "MaxVersion": 4}]
        client.sendall(frame(header(18, 0, 8)))  # and the connection goes on
        (size,) = struct.unpack(">i", receive_exactly(client, 4))
        assert struct.unpack_from(">i", receive_exactly(client, size)) == (8,)


@pytest.mark.parametrize("name", [b"", b"-x", b"x-", b"a b", b"name\n"])
def test_api_versions_with_a_bad_software_name(broker, witness, name):
    with Connection("127.0.0.1", broker.port) as client:
        request = {"ClientSoftwareName": name.decode(), "ClientSoftwareVersion": "1.0"}
        response = client.call("ApiVersions", 3, request)
        assert response["ErrorCode"] == 42 and response["ApiKeys"] == []


def test_half_a_request_is_closed_when_idle(brokers):
    broker = brokers.start(settings={"connections.max.idle.ms": "1000"})
    began = time.monotonic()
    with broker.connect() as client, broker.connect() as silent:
        client.sendall(struct.pack(">i", 5_000_000) + bytes(100_000))
        assert receive_all(client) == b""
        assert time.monotonic() - began > 0.9
        assert receive_all(silent) == b""
    with broker.connect() as client:  # and who leaves in the middle
        client.sendall(struct.pack(">i", 5_000_000) + bytes(100_000))
    wait_until(lambda: answers(broker.port), 20, "another client to be served")


def test_a_client_that_sends_and_never_reads(broker, witness):
    request = frame(encode_request("Metadata", 12, {"Topics": None})) * 1000
    before = memory_bytes(broker)
    with broker.connect() as client:
        client.settimeout(1)
        sent = 0
        with pytest.raises(TimeoutError):  # sooner or later nothing more is taken
            while sent < 2_000_000_000:
                sent += client.send(request[sent % len(request) :])
        check(witness)
        if broker.kind == "odradek":
            assert memory_bytes(broker) - before < 32_000_000
    check(witness)


def raise_open_files(wanted):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard) if hard != resource.RLIM_INFINITY else wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= wanted


def test_ten_thousand_idle_connections(broker, witness):
    assert raise_open_files(IDLE_CONNECTIONS + 400), "the limit of open files (ulimit -Hn) is too low for this test"
    clients = []
    request = frame(header(18, 0))
    try:
        open_some(broker, clients, request, 100)
        before = memory_bytes(broker)
        open_some(broker, clients, request, IDLE_CONNECTIONS)
        check(witness)
        per_connection = (memory_bytes(broker) - before) / IDLE_CONNECTIONS
        print(f"{per_connection:.0f} bytes of resident memory per idle connection")
        if broker.kind == "odradek":
            assert per_connection < IDLE_BYTES_MAX * (4 if sanitized() else 1)
        for client in clients[:: IDLE_CONNECTIONS // 20]:  # they are served still
            client.sendall(request)
            receive_exactly(client, struct.unpack(">i", receive_exactly(client, 4))[0])
    finally:
        for client in clients:
            client.close()


def open_some(broker, clients, request, count):
    for _ in range(count):
        clients.append(broker.connect())
        clients[-1].sendall(request)
        receive_exactly(clients[-1], struct.unpack(">i", receive_exactly(clients[-1], 4))[0])


def create_topic(broker, name):
    with Connection("127.0.0.1", broker.port) as client:
        topic = {"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}
        response = client.call("CreateTopics", 5, {"Topics": [topic], "TimeoutMs": 10000})
        assert response["Topics"][0]["ErrorCode"] in (0, 36)

        def has_leader():
            found = client.call("Metadata", 9, {"Topics": [{"Name": name}]})["Topics"][0]["Partitions"]
            return found and found[0]["ErrorCode"] == 0

        wait_until(has_leader, 20, f"a leader of {name}")


FETCH_BYTES = 40_000_000


def fetch_request(topic):
    partition = {"Partition": 0, "FetchOffset": 0, "PartitionMaxBytes": FETCH_BYTES}
    return {
        "ReplicaId": -1,
        "MaxWaitMs": 100,
        "MinBytes": 1,
        "MaxBytes": FETCH_BYTES,
        "SessionEpoch": -1,
        "Topics": [{"Topic": topic, "Partitions": [partition]}],
    }


def test_slow_readers_of_large_fetches(broker, witness):
    create_topic(broker, "slow")
    records = batch([(None, bytes(900_000))], ts=int(time.time() * 1000))  # so that retention leaves it
    topic = {"Name": "slow", "PartitionData": [{"Index": 0, "Records": records}]}
    with Connection("127.0.0.1", broker.port) as client:
        for _ in range(FETCH_BYTES // len(records) + 1):
            response = client.call("Produce", 9, {"Acks": 1, "TimeoutMs": 10000, "TopicData": [topic]})
            assert response["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0
    before = memory_bytes(broker)
    slow = [Connection("127.0.0.1", broker.port) for _ in range(30)]
    try:
        for connection in slow:
            connection.send("Fetch", 11, fetch_request("slow"))
        for connection in slow:
            connection._receive(100)  # all are being answered
        check(witness)
        if broker.kind == "odradek":
            assert memory_bytes(broker) - before < 16_000_000
        # Some read to the end after all, and get what was promised.
        for connection in slow[:2]:
            left = FETCH_BYTES // 2
            while left > 0:
                left -= len(connection._receive(min(left, 1_000_000)))
    finally:
        for connection in slow:
            connection.close()


def test_a_client_that_leaves_its_long_poll(broker, witness):
    create_topic(broker, "empty")
    for _ in range(50):
        with Connection("127.0.0.1", broker.port) as client:
            client.send("Fetch", 11, {**fetch_request("empty"), "MaxWaitMs": 60000})
    check(witness)


def test_too_many_connections_of_one_address(brokers):
    broker = brokers.start(settings={"max.connections.per.ip": "5"})
    with Connection("127.0.0.1", broker.port) as witness:
        check(witness)
        wait_until(lambda: open_connections(broker) >= 4, 20, "places for connections")
        check(witness)


def test_an_address_with_its_own_limit(brokers):
    broker = brokers.start(settings={"max.connections.per.ip.overrides": "127.0.0.2:3,127.0.0.9:0"})
    wait_until(lambda: open_connections(broker, "127.0.0.2") == 3, 20, "three places for 127.0.0.2")
    assert open_connections(broker, "127.0.0.9") == 0
    assert open_connections(broker) == 9, "127.0.0.1 has no limit"
    broker.stop()


def open_connections(broker, source="127.0.0.1"):
    """How many further connections are let in; they are closed again."""
    clients = []
    try:
        for _ in range(10):
            clients.append(socket.create_connection(("127.0.0.1", broker.port), 20, (source, 0)))
            try:
                clients[-1].sendall(frame(header(18, 0)))
                if not clients[-1].recv(4):
                    break
            except OSError:
                break
        return len(clients) - 1
    finally:
        for client in clients:
            client.close()
