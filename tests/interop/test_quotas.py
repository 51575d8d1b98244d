"""The same quota on Odradek and on Apache Kafka: as much gets through, and clients are told to wait as long.

The client here sends one request after the other and never waits by itself, so what slows it down is the broker alone. The
window is three samples of a second (as against eleven): what a client may do at once in the beginning, two samples' worth,
is over soon. Requests of 20 KB under 200 KB/s are a tenth of a second's worth: two runs differ by about one request in each
sample, and by as much as the machine is late; 15 % is allowed between the brokers. The quota itself is exceeded by
both: a throttle time is reckoned over the window as it is, which a moment later is shorter by its oldest sample; with three
samples that makes about a third.
"""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.process import wait_until
from harness.quotas import alter_quotas, fetch_flow, membership, produce_flow, set_quota, try_connections
from harness.requests import connect, create_topic, fetch_body, produce, produce_body
from harness.wire import Connection

pytestmark = pytest.mark.alone

QUOTA = 200_000
SETTLED = 3  # by then the beginning is out of the window
SECONDS = 9  # and six are left: twice the window, in whose rhythm rate and silences swing
TOLERANCE = 0.15
SETTINGS = {"quota.window.num": "3", "quota.window.size.seconds": "1", "group.initial.rebalance.delay.ms": "0"}
SLOW = {"client-id": "slow"}
THROTTLED = 89  # THROTTLING_QUOTA_EXCEEDED


@pytest.fixture(scope="module")
def pair(module_brokers):
    brokers = {kind: module_brokers.start(kind, SETTINGS) for kind in ("odradek", "kafka")}
    for broker in brokers.values():
        create_topic(broker, "limited")
        create_topic(broker, "read")
        with connect(broker) as connection:
            for _ in range(5):
                assert produce(connection, "read", [(None, b"x" * 20000)])["ErrorCode"] == 0
    return brokers


def near(value, wanted, tolerance=TOLERANCE):
    return abs(value - wanted) <= wanted * tolerance


def agree(check, times=5):
    """What is measured here hangs on the machine's other work, too: it holds in one of some tries. What is wrong holds in none."""
    for left in reversed(range(times)):
        try:
            return check()
        except AssertionError as problem:
            if not left:
                raise
            print(f"once more: {problem}")


def both(pair, flow):
    """What flow(broker) finds on Odradek and on Kafka, asked at the same time; the machine is shared anyway."""
    with ThreadPoolExecutor() as at_once:
        return tuple(at_once.map(flow, (pair["odradek"], pair["kafka"])))


def mean(values):
    return sum(values) / len(values)


def describe(flow):
    throttles = flow.throttles()
    return f"{flow.rate(SETTLED, SECONDS):.0f} B/s, {len(throttles)} throttled, mean {mean(throttles or [0]):.0f} ms, most {max(throttles or [0])} ms"


def assert_agree(ours, kafka):
    print("ours: ", describe(ours))
    print("kafka:", describe(kafka))
    assert 0.9 * QUOTA <= ours.rate(SETTLED, SECONDS) <= 1.4 * QUOTA, describe(ours)
    assert near(ours.rate(SETTLED, SECONDS), kafka.rate(SETTLED, SECONDS)), (describe(ours), describe(kafka))
    assert near(ours.rate(0, 1), kafka.rate(0, 1), 0.25), "what is let through in the beginning"
    # A silence lasts as long as the client was told, from when the broker decided on it.
    told_ms, lasted_ms = ours.silence_ms()
    assert lasted_ms >= told_ms, ours.steps
    # The time that a client is silent, in all, is the same; a run may end before or after one of the long ones.
    assert near(sum(ours.throttles()), sum(kafka.throttles()), 0.3), (describe(ours), describe(kafka))


def test_producers_are_throttled_as_by_kafka(pair):
    for broker in pair.values():
        set_quota(broker, SLOW, producer_byte_rate=QUOTA)
    agree(lambda: assert_agree(*both(pair, lambda broker: produce_flow(broker, "slow", "limited", SECONDS))))


def test_consumers_are_throttled_as_by_kafka(pair):
    for broker in pair.values():
        set_quota(broker, SLOW, consumer_byte_rate=QUOTA)

    def compare():
        ours, kafka = both(pair, lambda broker: fetch_flow(broker, "slow", "read", SECONDS))
        assert_agree(ours, kafka)
        for flow in (ours, kafka):  # who is throttled gets nothing
            assert {size for _, size, throttle, _ in flow.steps if throttle} == {0}

    agree(compare)


# From the one that counts first: which of each step's own client names has it, and its bytes a second, in no order.
USER = "ANONYMOUS"  # everybody's, without authentication
LEVELS = [
    (lambda name: {"user": USER, "client-id": name}, (0,), 4096),
    (lambda _: {"user": USER, "client-id": None}, (), 32768),
    (lambda _: {"user": USER}, (), 1024),
    (lambda name: {"user": None, "client-id": name}, (0, 3), 64096),
    (lambda _: {"user": None, "client-id": None}, (), 512),
    (lambda _: {"user": None}, (), 8192),
    (lambda name: {"client-id": name}, (0, 3, 6), 2048),
    (lambda _: {"client-id": None}, (), 16384),
]


def test_the_quota_that_counts_is_the_one_that_counts_with_kafka(pair):
    """All eight at once, and each of them taken away when it was seen to count. A client's first request is told to wait for a time that
    its size and the quota alone make up."""

    def step(number):
        return f"step.{number}"

    def quotas(number, remove=False):
        entity, names, rate = LEVELS[number]
        share = 0.00001 if number % 2 == 0 else 1e9  # every other one throttles whatever is asked
        values = {"producer_byte_rate": rate, "consumer_byte_rate": rate / 16, "request_percentage": share}
        return [(entity(step(name)), dict.fromkeys(values) if remove else values) for name in names or (0,)]

    def alter(broker, *wanted):
        with Connection("127.0.0.1", broker.port, client_id="admin") as admin:
            alter_quotas(admin, *wanted)

    def told_ms(broker, number, *request):
        with Connection("127.0.0.1", broker.port, client_id=step(number)) as connection:
            return connection.call(*request)["ThrottleTimeMs"]

    def found(broker, number):
        wait_until(
            lambda: (told_ms(broker, number, "Metadata", 12, {"Topics": []}) > 0) == (number % 2 == 0),
            20,
            f"the share of time of level {number} to count on {broker.kind}",
        )
        written = told_ms(broker, number, "Produce", 9, produce_body("limited", [(None, b"x" * 400000)])) if number != 5 else 0
        read = told_ms(broker, number, "Fetch", 11, fetch_body("read")) if number != 2 else 0  # those two share what they count
        alter(broker, *quotas(number, remove=True))
        return written, read

    for broker in pair.values():
        alter(broker, *(one for number in range(len(LEVELS)) for one in quotas(number)))
    for number, (_, _, rate) in enumerate(LEVELS):
        ours, kafka = both(pair, lambda broker: found(broker, number))  # noqa: B023
        print(number, rate, ours, kafka)
        assert all(near(one, other, 0.02) for one, other in zip(ours, kafka)), (number, rate, ours, kafka)
        # Two samples of a second are what it is reckoned over, and so long it takes until they are no more than the quota.
        assert all(near(told, (size / 2 - bound) / bound * 2000, 0.05) for told, size, bound in
                   zip(kafka, (400080, 20080), (rate, rate / 16)) if told), (number, rate, kafka)  # fmt: skip


def test_others_are_not_slowed(pair):
    for broker in pair.values():
        set_quota(broker, SLOW, producer_byte_rate=QUOTA)

    def is_not_slowed(kind):
        limited = threading.Thread(target=produce_flow, args=(pair[kind], "slow", "limited", 3))
        limited.start()
        free = produce_flow(pair[kind], "free", "limited", 2)
        limited.join()
        assert free.throttles() == [], kind
        assert free.rate(0, 2) > 10 * QUOTA, (kind, describe(free))

    for kind in pair:
        agree(lambda: is_not_slowed(kind))  # noqa: B023


STRICT = {"CreateTopics": 6, "DeleteTopics": 5, "CreatePartitions": 3}
VERSIONS = {"CreateTopics": (2, 5, 6, 7), "DeleteTopics": (1, 4, 5, 6), "CreatePartitions": (0, 2, 3)}


def mutation(api, name, version):
    if api == "CreateTopics":
        return {"Topics": [{"Name": name, "NumPartitions": 1, "ReplicationFactor": 1}], "TimeoutMs": 20000}
    if api == "CreatePartitions":
        return {"Topics": [{"Name": name, "Count": 2, "Assignments": None}], "TimeoutMs": 20000, "ValidateOnly": False}
    by_name = {"Topics": [{"Name": name, "TopicId": "00" * 16}]} if version >= 6 else {"TopicNames": [name]}
    return {**by_name, "TimeoutMs": 20000}


def results(answer):
    return [(r["ErrorCode"], r.get("ErrorMessage")) for r in answer.get("Topics") or answer.get("Results") or answer.get("Responses")]


@pytest.mark.parametrize("api", STRICT)
def test_controller_mutations_are_limited_as_by_kafka(pair, api):
    """2 partitions a second, of which 22 may come at once: 26 exhaust it for two seconds."""
    for version in VERSIONS[api]:
        tries = itertools.count()

        def compare():
            name = f"{api}.{version}.{next(tries)}"  # noqa: B023
            ours, kafka = both(pair, lambda broker: over_the_limit(broker, api, version, name))  # noqa: B023
            assert ours == kafka, (version, ours, kafka)  # noqa: B023
            assert ours[1], (version, ours)  # noqa: B023
            assert ours[0][0][0] == (THROTTLED if version >= STRICT[api] else 0), (version, ours)  # noqa: B023

        agree(compare)


def over_the_limit(broker, api, version, name):
    """What a client of this name hears when it asks for more, and whether it is told to wait for as long as it should be."""
    create_topic(broker, f"{name}.there")
    set_quota(broker, {"client-id": name}, controller_mutation_rate=2)
    with Connection("127.0.0.1", broker.port, client_id=name) as connection:
        many = {"Name": f"{name}.many", "NumPartitions": 26, "ReplicationFactor": 1}
        first = connection.call("CreateTopics", 7, {"Topics": [many], "TimeoutMs": 20000})
        assert first["ThrottleTimeMs"] == 0 and results(first)[0][0] == 0
        before = time.monotonic()
        second = connection.call(api, version, mutation(api, name if api == "CreateTopics" else f"{name}.there", version))
        told_s = second.get("ThrottleTimeMs", 0) / 1000
        connection.call("ApiVersions", 3, {"ClientSoftwareName": "x", "ClientSoftwareVersion": "1"})
        assert time.monotonic() - before > told_s - 0.01, "not muted"
        return results(second), 1 < told_s < 3 if version < STRICT[api] else 0.5 < told_s <= 2


# One of each family, with what it says of the topic `read`.
ASKED = {
    ("Produce", 9): produce_body("read", [(None, b"x")]),
    ("Fetch", 11): fetch_body("read"),
    ("ListOffsets", 7): {"ReplicaId": -1, "Topics": [{"Name": "read", "Partitions": [{"PartitionIndex": 0, "Timestamp": -1}]}]},
    ("Metadata", 12): {"Topics": None},
    ("ApiVersions", 3): {"ClientSoftwareName": "x", "ClientSoftwareVersion": "1"},
    ("DeleteRecords", 2): {"Topics": [{"Name": "read", "Partitions": [{"PartitionIndex": 0, "Offset": 0}]}], "TimeoutMs": 10000},
    ("OffsetForLeaderEpoch", 4): {"Topics": [{"Topic": "read", "Partitions": [{"Partition": 0, "LeaderEpoch": 0}]}]},
    ("FindCoordinator", 4): {"KeyType": 0, "CoordinatorKeys": ["g"]},
    ("ListGroups", 5): {},
    ("ListTransactions", 1): {},
    ("InitProducerId", 4): {"TransactionalId": None, "TransactionTimeoutMs": 1000},
    ("DescribeConfigs", 4): {"Resources": [{"ResourceType": 2, "ResourceName": "read", "ConfigurationKeys": None}]},
    ("DescribeCluster", 1): {},
    ("DescribeLogDirs", 4): {"Topics": None},
    ("DescribeTopicPartitions", 0): {"Topics": [{"Name": "read"}]},
    ("DescribeClientQuotas", 1): {"Components": []},
    ("DescribeUserScramCredentials", 0): {"Users": None},
    ("ListConfigResources", 1): {},
    ("ListPartitionReassignments", 0): {},
    ("ElectLeaders", 2): {"TopicPartitions": [{"Topic": "read", "Partitions": [0]}]},
    ("CreateTopics", 7): {"Topics": [{"Name": "read", "NumPartitions": 1, "ReplicationFactor": 1}], "TimeoutMs": 10000},
}


def test_time_is_limited_as_by_kafka_whatever_is_asked(pair):
    """Far above its share of time: each answer tells a silence of up to a sample's length, and it is kept."""
    tries = itertools.count()

    def compare():
        name = f"asks.{next(tries)}"

        def ask(broker, api, version):
            with Connection("127.0.0.1", broker.port, client_id=name) as connection:
                before = time.monotonic()
                told_ms = connection.call(api, version, ASKED[api, version])["ThrottleTimeMs"]
                connection.call("ApiVersions", 3, ASKED["ApiVersions", 3])
                return api, 0 < told_ms <= 1000, (time.monotonic() - before) * 1000 > told_ms - 1

        def found(broker):
            set_quota(broker, {"client-id": name}, request_percentage=0.00001)
            with ThreadPoolExecutor(len(ASKED)) as at_once:
                return list(at_once.map(lambda kind: ask(broker, *kind), ASKED))

        ours, kafka = both(pair, found)
        assert ours == kafka
        assert all(kept for _, _, kept in ours), ours
        assert sum(throttled for _, throttled, _ in ours) == len(ours), ours

    agree(compare)


def test_members_of_groups_are_throttled_as_by_kafka(pair):
    """Far above its share of time: each answer tells a silence of up to a sample's length, and it is kept."""
    tries = itertools.count()

    def compare():
        name = f"member.{next(tries)}"

        def found(broker):
            set_quota(broker, {"client-id": name}, request_percentage=0.00001)  # Kafka shows it a moment before it is in force
            with Connection("127.0.0.1", broker.port, client_id=name) as connection:
                steps = membership(broker, connection, name, "limited")
            return [(api, code, 0 < told_ms <= 1000, until_next_s * 1000 > told_ms - 1) for api, code, told_ms, until_next_s in steps]

        ours, kafka = both(pair, found)
        assert ours == kafka
        assert all(throttled and kept for _, _, throttled, kept in ours), ours

    agree(compare)


def test_addresses_make_as_many_connections_as_with_kafka(pair):
    """2 a second, of which two samples' worth may come at once."""
    sources = itertools.count(10)

    def compare():
        made, source = {}, f"127.0.0.{next(sources)}"
        for kind, broker in pair.items():
            set_quota(broker, {"ip": source}, connection_creation_rate=2)
            made[kind] = try_connections(broker, 8, source)
            assert all(answered for answered, _ in try_connections(broker, 8, "127.0.0.3")), kind
        answered = {kind: [a for a, _ in them] for kind, them in made.items()}
        assert answered["odradek"] == answered["kafka"] == [True] * 4 + [False] * 4, made
        for kind, them in made.items():  # closed after the throttle time, at most a second
            assert all(0.2 < after < 2.5 for a, after in them if not a), (kind, them)

    agree(compare)
