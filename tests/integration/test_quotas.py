"""Quotas of clients: who is over one is told to wait, hears nothing for so long, and nobody else notices."""

import time

import pytest

from harness.quotas import set_quota, try_connections
from harness.requests import connect, create_topic, fetch_body, produce, produce_body
from harness.wire import Connection

TOPIC, KB20 = "limited", [(None, b"x" * 20000)]
CLIENT = {"client-id": "slow"}
SETTINGS = {"quota.window.num": "2", "quota.window.size.seconds": "1"}  # a second's worth may come at once


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


def limit(broker, connection, **values):
    set_quota(broker, {"client-id": connection.client_id}, **values)


def silence_s(connection):
    """How long the next answer takes."""
    before = time.monotonic()
    connection.call("ApiVersions", 3, {"ClientSoftwareName": "x", "ClientSoftwareVersion": "1"})
    return time.monotonic() - before


def throttled_produce(connection, acks=-1):
    return connection.call("Produce", 9, produce_body(TOPIC, KB20, acks=acks))["ThrottleTimeMs"]


def test_a_producer_is_told_first_and_muted_then(limited, slow):
    limit(limited, slow, producer_byte_rate=10000)
    before = time.monotonic()
    told_ms = throttled_produce(slow)
    assert 800 <= told_ms <= 1200 and time.monotonic() - before < 0.7
    assert silence_s(slow) >= told_ms / 1000 - 0.01
    with Connection("127.0.0.1", limited.port, client_id="other") as other:
        assert throttled_produce(other) == 0
        assert silence_s(other) < 0.7


def test_without_acks_the_silence_is_all_there_is(limited, slow):
    limit(limited, slow, producer_byte_rate=10000)
    slow.send("Produce", 9, produce_body(TOPIC, KB20, acks=0))
    assert silence_s(slow) >= 0.7


def test_requests_that_come_together_are_answered_one_at_a_time(limited, slow):
    limit(limited, slow, producer_byte_rate=10000)
    for _ in range(3):
        slow.send("Produce", 9, produce_body(TOPIC, KB20))
    told, when = [], []
    for _ in range(3):
        told.append(slow.receive("Produce", 9)[1]["ThrottleTimeMs"])
        when.append(time.monotonic())
    assert all(t > 500 for t in told)
    for i in (0, 1):
        assert when[i + 1] - when[i] >= told[i] / 1000 - 0.01


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
    def ask(session, epoch, topics):
        return slow.call("Fetch", 11, {**fetch_body(TOPIC), "SessionId": session, "SessionEpoch": epoch, "Topics": topics})

    limit(limited, slow, consumer_byte_rate=50000)
    topics = fetch_body(TOPIC, max_bytes=30000)["Topics"]
    first = ask(0, 0, topics)
    assert first["ThrottleTimeMs"] == 0 and first["SessionId"] and first["Responses"]
    session, epoch = first["SessionId"], 1
    answers = []
    while not any(a["ThrottleTimeMs"] for a in answers):
        answers.append(ask(session, epoch, []))
        epoch += 1
        assert len(answers) < 10 and answers[-1]["ErrorCode"] == 0 and answers[-1]["SessionId"] == session
    assert answers[-1]["Responses"] == []
    told_s, before = answers[-1]["ThrottleTimeMs"] / 1000, time.monotonic()
    after = ask(session, epoch, [])
    assert after["ErrorCode"] == 0 and time.monotonic() - before >= told_s - 0.01


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
    told = [slow.call("Metadata", 12, {"Topics": None})["ThrottleTimeMs"] for _ in range(2)]
    assert max(told) > 0 and max(told) <= 1000  # at most a sample's length
    limit(limited, slow, request_percentage=None)
    assert slow.call("Metadata", 12, {"Topics": None})["ThrottleTimeMs"] == 0


def test_mutations_are_refused_or_throttled(limited, slow):
    def create(version, name, partitions):
        wanted = [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1}]
        answer = slow.call("CreateTopics", version, {"Topics": wanted, "TimeoutMs": 20000})
        return answer["Topics"][0]["ErrorCode"], answer["ThrottleTimeMs"]

    limit(limited, slow, controller_mutation_rate=1)  # 11 at once
    name = slow.client_id
    assert create(7, name + ".a", 12) == (0, 0)
    code, told_ms = create(7, name + ".b", 1)
    assert code == 89 and 0 < told_ms <= 1000  # THROTTLING_QUOTA_EXCEEDED
    assert silence_s(slow) >= told_ms / 1000 - 0.01
    assert create(7, name + ".b", 3)[0] == 0  # the bucket is not below zero any more
    code, told_ms = create(5, name + ".c", 1)  # older clients do not know the error
    assert code == 0 and told_ms > 1000


def test_a_muted_client_that_leaves_is_forgotten(limited, slow):
    limit(limited, slow, producer_byte_rate=100)
    assert throttled_produce(slow) > 10000
    slow.close()
    with connect(limited) as connection:
        assert produce(connection, TOPIC, KB20)["ErrorCode"] == 0


IP = {"ip": "127.0.0.2"}


def test_an_address_makes_so_many_connections_a_second(limited):
    set_quota(limited, IP, connection_creation_rate=5)
    try:
        made = try_connections(limited, 8)
        assert [answered for answered, _ in made] == [True] * 5 + [False] * 3
        assert all(after > 0.1 for answered, after in made if not answered), made  # held, and closed then
        assert all(answered for answered, _ in try_connections(limited, 8, "127.0.0.3"))
        set_quota(limited, {"ip": None}, connection_creation_rate=3)
        assert [answered for answered, _ in try_connections(limited, 5, "127.0.0.4")] == [True] * 3 + [False] * 2
    finally:
        set_quota(limited, {"ip": None}, connection_creation_rate=None)
        set_quota(limited, IP, connection_creation_rate=None)
    assert all(answered for answered, _ in try_connections(limited, 8))


def test_a_broker_and_a_listener_accept_so_many_connections_a_second(brokers):
    for setting in ("max.connection.creation.rate", "listener.name.plaintext.max.connection.creation.rate"):
        broker = brokers.start(settings={**SETTINGS, setting: "20"})
        time_of = [after for answered, after in try_connections(broker, 26) if answered]
        assert len(time_of) == 26  # nobody is refused
        assert max(time_of) > 0.2 and min(time_of) < 0.2, time_of
        assert time_of == sorted(time_of) or max(time_of) - min(time_of) > 0.2


def test_the_brokers_rate_changes_at_run_time(limited):
    def change(value):
        config = {"Name": "max.connection.creation.rate", "ConfigOperation": 0 if value else 1, "Value": value}
        resource = {"ResourceType": 4, "ResourceName": "", "Configs": [config]}
        with connect(limited) as connection:
            answer = connection.call("IncrementalAlterConfigs", 1, {"Resources": [resource], "ValidateOnly": False})
            assert answer["Responses"][0]["ErrorCode"] == 0, answer

    assert max(after for _, after in try_connections(limited, 30)) < 1
    change("10")
    slow = [after for _, after in try_connections(limited, 14)]
    change(None)
    assert max(slow) > 0.3, slow
