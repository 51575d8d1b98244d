"""What groups may be asked too much of: members that never sync, a million commits to one group, commits of a foreign generation,
and a coordinator that is asked while it loads. Each gets the protocol's error, and nothing is stuck. Many groups, and many members
of one: test_groups.py; two producers of one id: test_transactions.py."""

import json
import subprocess

import pytest

from harness import loading
from harness.broker import memory_bytes, odradek_binary, sanitized
from harness.members import ClassicMember, ConsumerMember, await_group, commit, committed, rebalance
from harness.process import wait_until
from harness.requests import connect, create_topic
from harness.transactions import await_coordinators
from harness.wire import Connection

UNKNOWN_MEMBER, ILLEGAL_GENERATION, REBALANCING, STALE_EPOCH = 25, 22, 27, 113
COMMITS = 20_000 if sanitized() else 1_000_000
GROWTH_BYTES = 60_000_000  # buffers, whatever the number of commits
LOAD_S = 120
REBALANCE_MS = 20_000 if sanitized() else 10_000  # within which a member that is asked to joins
TOPIC = "__consumer_offsets"


def errors_of_commit(port, group, offset, member, generation, version=9):
    partition = {"PartitionIndex": 0, "CommittedOffset": offset, "CommittedMetadata": ""}
    body = {"GroupId": group, "MemberId": member, "GenerationIdOrMemberEpoch": generation, "GroupInstanceId": None}
    with Connection("127.0.0.1", port, 20) as connection:
        answer = connection.call("OffsetCommit", version, {**body, "Topics": [{"Name": "t", "Partitions": [partition]}]})
    return answer["Topics"][0]["Partitions"][0]["ErrorCode"]


def test_a_leader_that_never_syncs(brokers):
    """After the rebalance timeout it is out; who waited for its assignments joins again, leads, and goes on."""
    broker = brokers.start()
    create_topic(broker, "t", 2)
    await_group(broker.port, "g")
    members = leader, other = [ClassicMember(broker.port, "g", name, "t") for name in "ab"]
    for member in members:
        member.rebalance_ms = REBALANCE_MS
    rebalance([], [leader])
    other.begin_join()
    wait_until(lambda: leader.beat() == REBALANCING, 20, "the rebalance")
    leader.begin_join()
    assert sorted(leader.finish_join()) == sorted([leader.member, other.member])
    assert other.finish_join() is None
    body = {"GroupId": "g", "MemberId": other.member, "GenerationId": other.generation, "GroupInstanceId": None}
    other.connection.send("SyncGroup", 5, {**body, "ProtocolType": "consumer", "ProtocolName": "range", "Assignments": []})
    assert other.connection.receive("SyncGroup", 5)[1]["ErrorCode"] == REBALANCING
    assert leader.beat() == UNKNOWN_MEMBER
    other.begin_join()
    assert other.finish_join() == [other.member]
    other.sync([(other.member, [0, 1])])
    assert (other.owned, other.beat()) == ([0, 1], 0)
    for member in members:
        member.close()


def test_a_commit_of_a_foreign_generation(broker):
    """It changes nothing, whichever protocol the group is of, and whoever asks."""
    create_topic(broker, "t", 2)
    for group in ("classic", "consumer"):
        await_group(broker.port, group)
    one = ClassicMember(broker.port, "classic", "a", "t")
    rebalance([], [one])
    with connect(broker) as connection:
        commit(connection, "classic", "t", {0: 3}, one.member, one.generation)
    refused = (
        (one.member, one.generation + 1, ILLEGAL_GENERATION),
        (one.member, one.generation - 1, ILLEGAL_GENERATION),
        ("nobody", one.generation, UNKNOWN_MEMBER),
        ("", -1, UNKNOWN_MEMBER),
    )
    for member, generation, error in refused:
        assert errors_of_commit(broker.port, "classic", 9, member, generation) == error
    assert committed(broker.port, "classic") == {0: 3}
    two = ConsumerMember(broker.port, "consumer", "M" * 22, "t")
    two.beat()
    with connect(broker) as connection:
        commit(connection, "consumer", "t", {0: 4}, two.name, two.epoch)
    for member, epoch, error in ((two.name, two.epoch + 1, STALE_EPOCH), ("nobody", two.epoch, UNKNOWN_MEMBER), ("", -1, UNKNOWN_MEMBER)):
        assert errors_of_commit(broker.port, "consumer", 9, member, epoch) == error
    assert committed(broker.port, "consumer") == {0: 4}
    assert errors_of_commit(broker.port, "nobody's", 1, "m", 0) == 69  # there is no such group
    assert errors_of_commit(broker.port, "nobody's", 1, "m", 0, version=8) == ILLEGAL_GENERATION
    one.close()
    two.close()


def describe_error(broker, group):
    with connect(broker) as connection:
        return connection.call("DescribeGroups", 5, {"Groups": [group]})["Groups"][0]["ErrorCode"]


@pytest.mark.timeout(900)
def test_a_million_commits_to_one_group(brokers):
    """They cost no memory, and after kill -9 the last one is found within bounded time."""
    broker = brokers.start()
    create_topic(broker, "t")
    group = "bench-commit-0"
    await_group(broker.port, group)
    before = memory_bytes(broker)
    load = [odradek_binary().parent / "bench/odradek-load", "commit", "--address", broker.bootstrap, "--topic", "t", "--partitions", "1"]
    load += ["--connections", "1", "--depth", "500", "--count", str(COMMITS)]
    ended = subprocess.run(load, capture_output=True, text=True, timeout=600, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["commits"] == COMMITS
    assert memory_bytes(broker) - before < GROWTH_BYTES or sanitized()
    with connect(broker) as connection:
        commit(connection, group, "t", {0: 7})
    broker.kill()
    broker.start()
    wait_until(lambda: describe_error(broker, group) == 0, LOAD_S, "the coordinator to have loaded")
    assert committed(broker.port, group) == {0: 7}


@pytest.mark.timeout(120)
def test_asked_while_it_loads(brokers, tmp_path):
    """A disk that takes its time: meanwhile every request says that the coordinator loads, and then all are served. As from Kafka,
    members hear of nothing: their heartbeats are well."""
    broker, disk = brokers.start(settings=loading.ONE_PARTITION), loading.SlowDisk(tmp_path)
    create_topic(broker, "t")
    producer, other = (loading.open_transaction(broker.port, name) for name in "xy")
    loading.commit_in_group(broker, producer)
    broker.stop()
    with disk.slow(broker, TOPIC):
        await_coordinators(broker.port, [producer.name])
        loading.check(loading.group_answers(broker.port, producer, other), loading.GROUP_ANSWERS)
    wait_until(lambda: committed(broker.port, "g") == {0: 5}, 20, "the group, with nothing of what was refused")
    producer.reconnect(broker.port)
    producer.end(True)
    wait_until(lambda: committed(broker.port, "g") == {0: 7}, 20, "the transaction, that nothing has come in between of")
    producer.close()
    other.close()


def batches_in(log):
    """How many a segment holds; behind them it may have zeros."""
    count = at = 0
    while (length := int.from_bytes(log[at + 8 : at + 12], "big")) > 0:
        count, at = count + 1, at + 12 + length
    return count


@pytest.mark.parametrize("linger_ms, together", [("-1", False), ("0", False), ("2000", True)])
def test_commits_that_linger(brokers, linger_ms, together):
    """The commits of many come into the log together, and what was acknowledged is there after kill -9."""
    broker = brokers.start(settings={"offsets.topic.num.partitions": "1", "group.coordinator.append.linger.ms": linger_ms})
    count = 50
    create_topic(broker, "t", count)
    await_group(broker.port, "g")
    connections = [connect(broker) for _ in range(count)]
    for number, connection in enumerate(connections):
        partition = {"PartitionIndex": number, "CommittedOffset": 7 * number, "CommittedMetadata": ""}
        body = {"GroupId": "g", "MemberId": "", "GenerationIdOrMemberEpoch": -1, "Topics": [{"Name": "t", "Partitions": [partition]}]}
        connection.send("OffsetCommit", 9, body)
    answers = [connection.receive("OffsetCommit", 9)[1] for connection in connections]
    assert all(answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0 for answer in answers)
    for connection in connections:
        connection.close()
    broker.kill()
    log = (broker.partition_directory(TOPIC) / "00000000000000000000.log").read_bytes()
    assert 0 < batches_in(log) < count / 2 if together else batches_in(log) == count
    broker.start()
    await_group(broker.port, "g")
    assert committed(broker.port, "g") == {number: 7 * number for number in range(count)}


def test_who_leaves_with_many_words_while_answers_linger(brokers):
    """A LeaveGroup large enough for a worker, whose answer comes later."""
    broker = brokers.start(settings={"group.coordinator.append.linger.ms": "100"})
    await_group(broker.port, "g")
    join = {"GroupId": "g", "SessionTimeoutMs": 60000, "RebalanceTimeoutMs": 60000, "ProtocolType": "consumer"}
    with connect(broker) as connection:
        joined = connection.call("JoinGroup", 3, {**join, "Protocols": [{"Name": "range", "Metadata": b""}]})
        me = {"GroupId": "g", "MemberId": joined["MemberId"], "GenerationId": joined["GenerationId"]}
        assert connection.call("SyncGroup", 2, {**me, "Assignments": []})["ErrorCode"] == 0
        leaving = {"MemberId": joined["MemberId"], "GroupInstanceId": None, "Reason": "because " * 1000}
        left = connection.call("LeaveGroup", 5, {"GroupId": "g", "Members": [leaving]})
        assert [left["ErrorCode"], left["Members"][0]["ErrorCode"]] == [0, 0]


MEMBER_BYTES, NAMED = 500_000, 2_000  # together more than is gathered for an answer
GATHERED_BYTES = 700_000_000


@pytest.mark.parametrize("linger_ms", ["-1", "500"])
def test_one_large_group_named_again_and_again(brokers, linger_ms):
    """The answer would be as large as the client likes: its connection ends before the memory does, and nobody else notices. So where
    the answers are held back until a commit is in the log."""
    broker = brokers.start(settings={"group.coordinator.append.linger.ms": linger_ms})
    create_topic(broker, "t")
    await_group(broker.port, "g")
    # However long the broker gathers, the member's session is not over by then.
    join = {"GroupId": "g", "SessionTimeoutMs": 1_800_000, "RebalanceTimeoutMs": 60000, "ProtocolType": "consumer"}
    with connect(broker, 240) as connection, connect(broker, 240) as witness:
        joined = connection.call("JoinGroup", 3, {**join, "Protocols": [{"Name": "range", "Metadata": bytes(MEMBER_BYTES)}]})
        me = {"GroupId": "g", "MemberId": joined["MemberId"], "GenerationId": joined["GenerationId"]}
        assert connection.call("SyncGroup", 2, {**me, "Assignments": []})["ErrorCode"] == 0
        before = memory_bytes(broker)
        partition = {"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}
        body = {"GroupId": "g", "MemberId": me["MemberId"], "GenerationIdOrMemberEpoch": me["GenerationId"]}
        witness.send("OffsetCommit", 8, {**body, "Topics": [{"Name": "t", "Partitions": [partition]}]})
        connection.send("DescribeGroups", 5, {"Groups": ["g"] * NAMED})
        with pytest.raises((EOFError, ConnectionError)):
            connection.receive_frame()
        assert memory_bytes(broker, "VmHWM") - before < GATHERED_BYTES or sanitized()
        assert witness.receive("OffsetCommit", 8)[1]["Topics"][0]["Partitions"][0]["ErrorCode"] == 0
        described = witness.call("DescribeGroups", 5, {"Groups": ["g"]})["Groups"][0]
        assert len(described["Members"][0]["MemberMetadata"]) == MEMBER_BYTES
        assert witness.call("Heartbeat", 3, me)["ErrorCode"] == 0
