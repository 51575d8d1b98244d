"""Quotas of clients: who is over one is told to wait, hears nothing for so long, and nobody else notices."""

import contextlib
import os
import pathlib
import select
import struct
import threading
import time

import pytest

from harness.broker import memory_bytes, sanitized
from harness.process import takes_less, wait_until
from harness.quotas import membership, set_quota, try_connections
from harness.requests import connect, create_topic, fetch_body, produce, produce_body
from harness.wire import Connection, encode_request

TOPIC, KB20 = "limited", [(None, b"x" * 20000)]
CLIENT = {"client-id": "slow"}
SETTINGS = {  # a second's worth may come at once
    "quota.window.num": "2",
    "quota.window.size.seconds": "1",
    "group.initial.rebalance.delay.ms": "0",
}


@pytest.fixture(scope="module")
def limited(module_brokers):
    broker = module_brokers.start(settings=SETTINGS)
    create_topic(broker, TOPIC)
    with connect(broker) as connection:
        assert produce(connection, TOPIC, KB20)["ErrorCode"] == 0
    return broker


@pytest.fixture
def slow(limited):
    """A connection whose client id no other test has."""
    slow.number += 1
    with Connection("127.0.0.1", limited.port, client_id=f"slow{slow.number}") as connection:
        yield connection
        set_quota(
            limited,
            {"client-id": connection.client_id},
            **dict.fromkeys(("producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate")),
        )


slow.number = 0


def lasted(since_s, told_ms, until_s=None):
    """Whether the time that was told is over. The broker's clock counts whole milliseconds."""
    return ((until_s or time.monotonic()) - since_s) * 1000 > told_ms - 1


def limit(broker, connection, **values):
    set_quota(broker, {"client-id": connection.client_id}, **values)


def ask(connection):
    connection.call("ApiVersions", 3, {"ClientSoftwareName": "x", "ClientSoftwareVersion": "1"})


def is_silent(connection):
    """Whether no answer has come to what was asked."""
    return not select.select([connection.socket], [], [], 0)[0]


def throttled_produce(connection, acks=-1):
    return connection.call("Produce", 9, produce_body(TOPIC, KB20, acks=acks))["ThrottleTimeMs"]


def test_a_producer_is_told_first_and_muted_then(limited, slow):
    limit(limited, slow, producer_byte_rate=10000)
    before = time.monotonic()
    told_ms = throttled_produce(slow)
    assert 800 <= told_ms <= 1200
    ask(slow)
    assert lasted(before, told_ms)


def test_a_producer_to_many_partitions_is_told(limited, slow):
    """Its answer is a worker's."""
    limit(limited, slow, producer_byte_rate=10000)
    body = produce_body(TOPIC, KB20)
    body["TopicData"][0]["PartitionData"] += [{"Index": 1000 + n, "Records": b""} for n in range(600)]
    assert slow.call("Produce", 9, body)["ThrottleTimeMs"] >= 800


def test_nobody_else_is_muted(limited, slow):
    limit(limited, slow, producer_byte_rate=500)
    before = time.monotonic()
    told_ms = throttled_produce(slow)
    assert told_ms > 10000 and time.monotonic() - before < told_ms / 1000  # told first
    slow.send("ApiVersions", 3, {"ClientSoftwareName": "x", "ClientSoftwareVersion": "1"})
    with Connection("127.0.0.1", limited.port, client_id="other") as other:
        assert throttled_produce(other) == 0
        ask(other)
    assert is_silent(slow)


def test_without_acks_the_silence_is_all_there_is(limited, slow):
    limit(limited, slow, producer_byte_rate=10000)
    before = time.monotonic()
    slow.send("Produce", 9, produce_body(TOPIC, KB20, acks=0))
    ask(slow)
    assert time.monotonic() - before >= 0.7


def test_requests_that_come_together_are_answered_one_at_a_time(limited, slow):
    limit(limited, slow, producer_byte_rate=10000)
    told, when, began = [], [], time.monotonic()
    for _ in range(3):
        slow.send("Produce", 9, produce_body(TOPIC, KB20))
    for _ in range(3):
        told.append(slow.receive("Produce", 9)[1]["ThrottleTimeMs"])
        when.append(time.monotonic())
    assert all(t > 500 for t in told)
    for i in (1, 2):
        assert lasted(began, sum(told[:i]) - i, when[i]), (told, when, began)


def test_a_changed_quota_counts_at_once(limited, slow):
    assert throttled_produce(slow) == 0
    limit(limited, slow, producer_byte_rate=10000)
    assert throttled_produce(slow) > 500
    limit(limited, slow, producer_byte_rate=10**9)
    assert throttled_produce(slow) == 0
    limit(limited, slow, producer_byte_rate=None)
    assert throttled_produce(slow) == 0


def test_the_users_default_counts_before_the_client_id(limited, slow):
    set_quota(limited, {"user": "ANONYMOUS", "client-id": slow.client_id}, producer_byte_rate=10000)
    limit(limited, slow, producer_byte_rate=10**9)
    assert throttled_produce(slow) > 500
    set_quota(limited, {"user": "ANONYMOUS", "client-id": slow.client_id}, producer_byte_rate=None)
    assert throttled_produce(slow) == 0


def test_a_throttled_fetch_is_empty_and_its_session_goes_on(limited, slow):
    def fetch_on(session, epoch, topics):
        return slow.call("Fetch", 11, {**fetch_body(TOPIC), "SessionId": session, "SessionEpoch": epoch, "Topics": topics})

    limit(limited, slow, consumer_byte_rate=50000)
    topics = fetch_body(TOPIC, max_bytes=30000)["Topics"]
    first = fetch_on(0, 0, topics)
    assert first["ThrottleTimeMs"] == 0 and first["SessionId"] and first["Responses"]
    session, epoch = first["SessionId"], 1
    answers = []
    while not any(a["ThrottleTimeMs"] for a in answers):
        before = time.monotonic()
        answers.append(fetch_on(session, epoch, []))
        epoch += 1
        assert len(answers) < 100 and answers[-1]["ErrorCode"] == 0 and answers[-1]["SessionId"] == session
    assert answers[-1]["Responses"] == []
    after = fetch_on(session, epoch, [])
    assert after["ErrorCode"] == 0 and lasted(before, answers[-1]["ThrottleTimeMs"])


def test_a_fetch_is_not_larger_than_its_quota_can_ever_allow(limited, slow):
    with connect(limited) as connection:
        for _ in range(4):
            produce(connection, TOPIC, KB20)
    limit(limited, slow, consumer_byte_rate=30000)  # of a window of two samples one is assumed full
    answer = slow.call("Fetch", 11, fetch_body(TOPIC, max_bytes=1 << 20))
    if answer["ThrottleTimeMs"]:  # the response's own fields are above it, for a moment
        assert answer["ThrottleTimeMs"] < 50
        answer = slow.call("Fetch", 11, fetch_body(TOPIC, max_bytes=1 << 20))
    assert 20000 < len(answer["Responses"][0]["Partitions"][0]["Records"]) <= 30000


def test_time_is_limited_too(limited, slow):
    limit(limited, slow, request_percentage=0.001)
    told = [0]
    while not told[-1]:  # ten microseconds a second are allowed: a quick machine answers several in them
        told.append(slow.call("Metadata", 12, {"Topics": None})["ThrottleTimeMs"])
        assert len(told) < 100
    assert told[-1] <= 1000  # at most a sample's length
    limit(limited, slow, request_percentage=None)
    assert slow.call("Metadata", 12, {"Topics": None})["ThrottleTimeMs"] == 0


def test_mutations_are_refused_or_throttled(limited, slow):
    def create(version, name, partitions):
        wanted = [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1}]
        answer = slow.call("CreateTopics", version, {"Topics": wanted, "TimeoutMs": 20000})
        return answer["Topics"][0]["ErrorCode"], answer["ThrottleTimeMs"]

    limit(limited, slow, controller_mutation_rate=1)  # 11 at once
    name, before, code = slow.client_id, time.monotonic(), 0
    assert create(7, name + ".a", 15) == (0, 0)
    for number in range(20):  # the next one is refused, where it comes within four seconds
        refused_at = time.monotonic()
        code, told_ms = create(7, f"{name}.{number}", 15)
        if code:
            break
    assert code == 89 and 0 < told_ms <= 15000  # THROTTLING_QUOTA_EXCEEDED
    ask(slow)
    assert lasted(refused_at, told_ms)
    assert time.monotonic() - before >= 3.9
    assert create(7, name + ".b", 15)[0] == 0  # the bucket is not below zero any more
    code, told_ms = create(5, name + ".c", 1)  # older clients do not know the error
    assert code == 0 and told_ms > 1000


def test_a_muted_client_that_leaves_is_forgotten(limited, slow):
    limit(limited, slow, producer_byte_rate=100)
    assert throttled_produce(slow) > 10000
    slow.close()
    with connect(limited) as connection:
        assert produce(connection, TOPIC, KB20)["ErrorCode"] == 0


def test_connections_of_one_client_id_share_its_quota(limited, slow):
    """Each alone would be within it. Who is told to wait does so even when the quota is taken away meanwhile; who comes then is not."""
    limit(limited, slow, producer_byte_rate=40_000)
    told = []
    with contextlib.ExitStack() as open_until:
        while not told or (told[-1] < 500 and len(told) < 200):
            muted = open_until.enter_context(Connection("127.0.0.1", limited.port, client_id=slow.client_id))
            before = time.monotonic()
            told.append(throttled_produce(muted))
        assert told[0] == 0 and told[-1] >= 500, told
        limit(limited, slow, producer_byte_rate=None)
        assert throttled_produce(slow) == 0
        ask(muted)
        assert lasted(before, told[-1])


def sockets(broker):
    """How many the broker has open."""
    count = 0
    for entry in pathlib.Path(f"/proc/{broker.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            count += os.readlink(entry).startswith("socket:")
    return count


def test_muted_clients_that_leave_are_not_waited_for(limited, slow):
    """Their connections are closed when they leave, not when their silence is over: that would take minutes."""
    limit(limited, slow, producer_byte_rate=100)
    before = sockets(limited)
    for _ in range(30):
        with Connection("127.0.0.1", limited.port, client_id=slow.client_id) as connection:
            assert throttled_produce(connection) > 100_000
    wait_until(lambda: sockets(limited) <= before, 60, "the connections of those who left to be closed")


def send_while_it_is_taken(connection, frame, most):
    """Sends this frame again and again, at most so many times, until nothing is taken any more; (bytes that were, how many times)."""
    data, sent = struct.pack(">i", len(frame)) + frame, 0
    connection.socket.setblocking(False)
    while sent < most * len(data) and select.select([], [connection.socket], [], 2)[1]:
        sent += connection.socket.send(data[sent % len(data) :])
    connection.socket.settimeout(60)
    if sent % len(data):
        return sent, sent // len(data) + 1, data[sent % len(data) :]
    return sent, sent // len(data), b""


def cpu_s(broker):
    fields = pathlib.Path(f"/proc/{broker.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_muted_client_that_goes_on_sending_is_not_read(limited, slow):
    """What it sends stays in its socket: it costs no memory and no time, and others are served. Then all of it is answered."""
    limit(limited, slow, producer_byte_rate=2500)
    assert throttled_produce(slow) > 5000
    memory = memory_bytes(limited)
    frame = encode_request("Produce", 9, produce_body(TOPIC, KB20), 7, slow.client_id)
    sent, count, rest = send_while_it_is_taken(slow, frame, 5000)
    assert sent < 64 << 20
    with Connection("127.0.0.1", limited.port, client_id="other") as other:
        assert throttled_produce(other) == 0
    if not sanitized():
        assert memory_bytes(limited) - memory < 8 << 20
    limit(limited, slow, producer_byte_rate=None)
    began, cpu = time.monotonic(), cpu_s(limited)
    select.select([slow.socket], [], [], 60)
    assert cpu_s(limited) - cpu < 0.3 + (time.monotonic() - began) / 2
    threading.Thread(target=slow.socket.sendall, args=(rest,), daemon=True).start()
    for _ in range(count):
        assert slow.receive("Produce", 9)[0] == 7


def test_a_member_of_a_group_is_limited_like_anybody(limited, slow):
    """Each answer says how long, whatever it is about; nothing happens to the member meanwhile."""
    limit(limited, slow, request_percentage=0.00001)
    steps = membership(limited, slow, slow.client_id, TOPIC)
    assert [code for _, code, _, _ in steps] == [79, 0, 0, 0, 0, 0, 0]  # MEMBER_ID_REQUIRED
    for api, _, told_ms, until_next_s in steps:
        assert 0 < told_ms <= 1000 and until_next_s * 1000 > told_ms - 1, (api, steps)


IP = {"ip": "127.0.0.2"}


def let_in(broker, rate, source):
    """So many, and what the time that it took has added; the others are held, and closed then."""
    before = time.monotonic()
    made = try_connections(broker, 40, source)
    let = [answered for answered, _ in made]
    assert let[:rate] == [True] * rate and rate <= sum(let) <= rate * (2 + time.monotonic() - before), made
    assert max(after for answered, after in made if not answered) > 0.1, made


def test_an_address_makes_so_many_connections_a_second(limited):
    set_quota(limited, IP, connection_creation_rate=5)
    try:
        let_in(limited, 5, "127.0.0.2")
        assert all(answered for answered, _ in try_connections(limited, 20, "127.0.0.3"))
        set_quota(limited, {"ip": None}, connection_creation_rate=3)
        let_in(limited, 3, "127.0.0.4")
    finally:
        set_quota(limited, {"ip": None}, connection_creation_rate=None)
        set_quota(limited, IP, connection_creation_rate=None)
    assert all(answered for answered, _ in try_connections(limited, 8))


def test_a_broker_and_a_listener_accept_so_many_connections_a_second(brokers):
    for setting in ("max.connection.creation.rate", "listener.name.plaintext.max.connection.creation.rate"):
        broker = brokers.start(settings={**SETTINGS, setting: "20"})
        assert all_come_in_s(broker, 60) > 1  # the first 20 to 40 at once


def all_come_in_s(broker, count):
    """How long it takes until all have been answered; nobody is refused."""
    before = time.monotonic()
    assert all(answered for answered, _ in try_connections(broker, count))
    return time.monotonic() - before


def test_the_brokers_rate_changes_at_run_time(limited):
    def change(value):
        config = {"Name": "max.connection.creation.rate", "ConfigOperation": 0 if value else 1, "Value": value}
        resource = {"ResourceType": 4, "ResourceName": "", "Configs": [config]}
        with connect(limited) as connection:
            answer = connection.call("IncrementalAlterConfigs", 1, {"Resources": [resource], "ValidateOnly": False})
            assert answer["Responses"][0]["ErrorCode"] == 0, answer

    takes_less(18, lambda: all_come_in_s(limited, 200))  # at ten a second they would take longer
    change("10")
    slow_s = all_come_in_s(limited, 30)
    change(None)
    assert slow_s > 0.8
