"""Groups by the thousand, and what their coordinator says while it loads."""

import collections
import os
import time

import pytest

from harness.broker import memory_bytes, sanitized
from harness.members import await_group, await_groups
from harness.process import takes_less, wait_until
from harness.requests import connect, create_topic

LOADING = 14
GROUPS = 2_000 if sanitized() else 10_000
MEMBERS = 200 if sanitized() else 1_000
AT_ONCE = 500
BYTES_PER_GROUP = 2_000
BYTES_PER_MEMBER = 8_500


def commit_body(group, offset):
    partition = {"PartitionIndex": 0, "CommittedOffset": offset, "CommittedLeaderEpoch": 0, "CommittedMetadata": "m"}
    topics = [{"Name": "t", "Partitions": [partition]}]
    return {"GroupId": group, "GenerationIdOrMemberEpoch": -1, "MemberId": "", "Topics": topics}


def receive(connection, api, version):
    return connection.receive(api, version)[1]


def ask_all(connection, api, version, bodies):
    """The answers, in order; so many requests at a time are under way."""
    answers = []
    for first in range(0, len(bodies), AT_ONCE):
        chunk = bodies[first : first + AT_ONCE]
        for body in chunk:
            connection.send(api, version, body)
        answers += [receive(connection, api, version) for _ in chunk]
    return answers


def test_nobody_without_groups_pays_for_them(brokers):
    broker = brokers.start()
    create_topic(broker, "t")
    assert not list(broker.data.glob("__consumer_offsets-*"))
    with connect(broker) as connection:
        refused = connection.call("OffsetCommit", 9, commit_body("g", 1))
        assert refused["Topics"][0]["Partitions"][0]["ErrorCode"] == 16  # NOT_COORDINATOR
        assert connection.call("ListGroups", 4, {"StatesFilter": []})["Groups"] == []
    assert not list(broker.data.glob("__consumer_offsets-*"))


def test_ten_thousand_groups(brokers):
    """They fit into little memory, and after kill -9 each is found again; until then it says that it loads."""
    broker = brokers.start()
    create_topic(broker, "t")
    names = [f"group-{number}" for number in range(GROUPS)]
    await_groups(broker.port, names[:100])
    with connect(broker) as connection:
        ask_all(connection, "OffsetCommit", 8, [commit_body(names[0], 0)])
        before = memory_bytes(broker)
        answers = ask_all(connection, "OffsetCommit", 8, [commit_body(name, number) for number, name in enumerate(names)])
        assert all(a["Topics"][0]["Partitions"][0]["ErrorCode"] == 0 for a in answers)
        per_group = (memory_bytes(broker) - before) / GROUPS
        print(f"{per_group:.0f} bytes of resident memory per group with one offset")
        assert per_group < BYTES_PER_GROUP or sanitized()
        assert len(connection.call("ListGroups", 4, {"StatesFilter": []})["Groups"]) == GROUPS
    broker.kill()
    broker.start()
    fetches = [{"GroupId": name, "Topics": [{"Name": "t", "PartitionIndexes": [0]}]} for name in names]
    deadline, loading = time.monotonic() + 120, 0
    with connect(broker) as connection:
        while fetches:
            assert time.monotonic() < deadline, f"{len(fetches)} groups are still not there"
            left = []
            for body, answer in zip(fetches, ask_all(connection, "OffsetFetch", 7, fetches)):
                if answer["ErrorCode"] == LOADING:
                    left.append(body)
                    continue
                assert answer["ErrorCode"] == 0, answer
                expected = int(body["GroupId"].split("-")[1])
                assert answer["Topics"][0]["Partitions"][0]["CommittedOffset"] == expected
            loading += len(left)
            fetches = left
    print(f"{loading} answers said that the coordinator loads")


def test_a_thousand_members(brokers):
    """One rebalance, one generation, and each member gets its own assignment."""
    broker = brokers.start(settings={"group.initial.rebalance.delay.ms": "6000", "num.network.threads": "3"})
    await_group(broker.port, "g")
    before = memory_bytes(broker, "RssAnon")
    connections = [connect(broker, 40) for _ in range(MEMBERS)]
    join = {
        "GroupId": "g", "SessionTimeoutMs": 60000, "RebalanceTimeoutMs": 60000, "MemberId": "",
        "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"}],
    }  # fmt: skip
    try:
        for connection in connections:
            connection.send("JoinGroup", 3, join)
        joined = [receive(connection, "JoinGroup", 3) for connection in connections]
        assert {(j["ErrorCode"], j["GenerationId"], j["Leader"]) for j in joined} == {(0, 1, joined[0]["Leader"])}
        assert len({j["MemberId"] for j in joined}) == MEMBERS
        (leader,) = [j for j in joined if j["Members"]]
        assert leader["MemberId"] == leader["Leader"] and len(leader["Members"]) == MEMBERS
        given = [{"MemberId": m["MemberId"], "Assignment": m["MemberId"].encode()} for m in leader["Members"]]
        for connection, j in zip(connections, joined):
            body = {"GroupId": "g", "GenerationId": 1, "MemberId": j["MemberId"], "Assignments": given if j is leader else []}
            connection.send("SyncGroup", 2, body)
        for connection, j in zip(connections, joined):
            synced = receive(connection, "SyncGroup", 2)
            assert (synced["ErrorCode"], synced["Assignment"]) == (0, j["MemberId"].encode())
        for connection, j in zip(connections, joined):
            connection.send("Heartbeat", 3, {"GroupId": "g", "GenerationId": 1, "MemberId": j["MemberId"]})
        errors = collections.Counter(receive(connection, "Heartbeat", 3)["ErrorCode"] for connection in connections)
        assert errors == {0: MEMBERS}
        per_member = (memory_bytes(broker, "RssAnon") - before) / MEMBERS
        print(f"{per_member:.0f} bytes of memory per member, with its connection and what the join took")
        assert per_member < BYTES_PER_MEMBER or sanitized()
    finally:
        for connection in connections:
            connection.close()


def test_stop_answers_who_waits(brokers):
    """A join that waits for others is answered when the broker stops, and does not hold it up."""
    broker = brokers.start(settings={"group.initial.rebalance.delay.ms": "60000"})
    await_group(broker.port, "g")
    join = {
        "GroupId": "g", "SessionTimeoutMs": 60000, "RebalanceTimeoutMs": 60000, "MemberId": "",
        "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b""}],
    }  # fmt: skip

    def stop_under_a_join():
        with connect(broker) as connection:
            connection.send("JoinGroup", 3, join)
            with connect(broker) as other:

                def waits():
                    listed = other.call("ListGroups", 4, {"StatesFilter": ["PreparingRebalance"]})
                    return len(listed["Groups"]) == 1

                wait_until(waits, 20, "the member to wait")
            started = time.monotonic()
            broker.stop()
            took_s = time.monotonic() - started
            assert receive(connection, "JoinGroup", 3)["ErrorCode"] == 15  # COORDINATOR_NOT_AVAILABLE
        broker.start()
        await_group(broker.port, "g")
        return took_s

    takes_less(3, stop_under_a_join)


REPEATED = 20_000
ABSENT = 1_000 if sanitized() else REPEATED
CPU_MS_MAX = 1500  # with the square of it in the cost, it would be many times as much
OFFSETS = {"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}
ONE_TOPIC = ["missing"] * REPEATED
MANY_TOPICS = [f"missing-{number}" for number in range(REPEATED)]


def commit_of(topics):
    wanted = [{"Name": name, "Partitions": [OFFSETS]} for name in topics]
    return "OffsetCommit", 8, {"GroupId": "g", "GenerationIdOrMemberEpoch": -1, "Topics": wanted}


def deletion_of(topics):
    wanted = [{"Name": name, "Partitions": [{"PartitionIndex": 0}]} for name in topics]
    return "OffsetDelete", 0, {"GroupId": "g", "Topics": wanted}


def join_with(names):
    protocols = [{"Name": name, "Metadata": b""} for name in names]
    body = {"GroupId": "j", "SessionTimeoutMs": 10000, "RebalanceTimeoutMs": 10000, "ProtocolType": "consumer"}
    return "JoinGroup", 3, {**body, "Protocols": protocols}


GREAT_REQUESTS = {
    "a commit that names one topic again and again": commit_of(ONE_TOPIC),
    "a commit of many topics": commit_of(MANY_TOPICS),
    "a deletion that names one topic again and again": deletion_of(ONE_TOPIC),
    "a deletion of many topics": deletion_of(MANY_TOPICS),
    "a member with many protocols": join_with(MANY_TOPICS),
}


@pytest.mark.parametrize("what", GREAT_REQUESTS)
def test_a_great_request_costs_what_it_is_long(brokers, what):
    """Neither memory nor time grow with the square of what a client names."""
    api, version, body = GREAT_REQUESTS[what]
    broker = brokers.start(settings={"num.network.threads": "1"})
    create_topic(broker, "t")
    await_group(broker.port, "g")
    await_group(broker.port, "j")
    with connect(broker) as client, connect(broker) as witness:
        ask_all(client, "OffsetCommit", 8, [commit_body("g", 0)])
        before, cpu_before = memory_bytes(broker), cpu_ms(broker)
        client.send(api, version, body)
        witness.call("Metadata", 12, {"Topics": []})
        answer = receive(client, api, version)
        assert memory_bytes(broker) - before < 100_000_000 or sanitized()
        assert cpu_ms(broker) - cpu_before < CPU_MS_MAX or sanitized()
    assert answered(answer) == REPEATED


def test_many_that_left_before_they_came(brokers):
    """Member ids that were given out and that nobody came back with: what a request that names as many costs is what it is long."""
    broker = brokers.start()
    await_group(broker.port, "g")
    api, _, join = join_with(["range"])
    leave = {"GroupId": "g", "Members": [{"MemberId": f"nobody-{number}", "GroupInstanceId": None} for number in range(ABSENT)]}
    with connect(broker) as connection:
        given = ask_all(connection, api, 5, [{**join, "GroupId": "g", "SessionTimeoutMs": 300000}] * ABSENT)
        assert {answer["ErrorCode"] for answer in given} == {79}  # MEMBER_ID_REQUIRED
        leave["Members"] += [{"MemberId": answer["MemberId"], "GroupInstanceId": None} for answer in given]
        before = cpu_ms(broker)
        left = connection.call("LeaveGroup", 5, leave)["Members"]
        assert cpu_ms(broker) - before < CPU_MS_MAX or sanitized()
        assert [one["ErrorCode"] for one in left] == [25] * ABSENT + [0] * ABSENT


def cpu_ms(broker):
    """What the process has used so far, on all its threads."""
    words = open(f"/proc/{broker.process.pid}/stat").read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def answered(answer):
    """How many of the things named an answer speaks of; that of a member names none."""
    if "Topics" not in answer:
        assert answer["ErrorCode"] == 0, answer
        return REPEATED
    return sum(len(topic["Partitions"]) for topic in answer["Topics"])


def test_an_offset_that_is_to_be_kept_for_ever(brokers):
    """Older clients say how long; the longest time there is does not end at once."""
    broker = brokers.start(settings={"offsets.retention.check.interval.ms": "100"})
    create_topic(broker, "t")
    await_group(broker.port, "g")
    body = {**commit_body("g", 7), "RetentionTimeMs": 2**63 - 1}
    wanted = {"GroupId": "g", "Topics": [{"Name": "t", "PartitionIndexes": [0]}]}
    with connect(broker) as connection:
        answer = connection.call("OffsetCommit", 2, body)
        assert answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0
        began = time.monotonic()
        while time.monotonic() - began < 0.5:
            kept = connection.call("OffsetFetch", 7, wanted)["Topics"][0]["Partitions"][0]
            assert kept["CommittedOffset"] == 7
