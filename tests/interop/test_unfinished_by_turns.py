"""What one broker leaves unfinished, the other goes on with from the same directory: offsets of open transactions, groups on
their way between the protocols, expressions, timeouts, expiry, the last epoch of a producer id."""

import pytest

from harness.members import (
    CLASSIC, ClassicMember, ConsumerMember, ask, await_group, commit, committed, describe_classic, describe_consumers, rebalance, settle,
)  # fmt: skip
from harness.process import wait_until
from harness.requests import create_topic
from harness.story import SMALL, Story
from harness.transactions import Producer, Refused, is_settled, read
from harness.wire import Connection
from interop.test_transactions import has_skipped

TIMEOUT_S = 60
QUICK = {
    "group.consumer.assignment.interval.ms": "0",
    "group.coordinator.rebalance.protocols": "classic,consumer",
}
AT_ONCE = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "100"}
INVALID_MAPPING, FENCED, INVALID_EPOCH, UNKNOWN_MEMBER = 49, 90, 47, 25
LAST_USED = 32766  # the last epoch that a producer is given


@pytest.fixture(params=["under-test-kill", "kafka-stop"])
def by_turns(request, brokers):
    """Three brokers that follow each other: ours, Kafka, ours, each killed; or Kafka, ours, Kafka, each stopped."""
    first, _, how = request.param.rpartition("-")
    kinds = [brokers.kind, "kafka"] if first == "under-test" else ["kafka", brokers.kind]
    return Turns(brokers, [*kinds, kinds[0]], how)


class Turns:
    """The brokers of one directory by turns."""

    def __init__(self, brokers, kinds, how):
        self.brokers, self.kinds, self.how, self.at = brokers, kinds, how, 0
        self.broker = brokers.start(kinds[0], settings=QUICK)

    @property
    def port(self):
        return self.broker.port

    def next(self, **settings):
        self.broker.kill() if self.how == "kill" else self.broker.stop()
        self.at += 1
        self.broker = self.brokers.successor(self.broker, self.kinds[self.at])
        self.broker.settings.update(settings)
        self.broker.start()


def stable(port, group):
    return wait_until(lambda: [o for o in [committed(port, group, stable=True)] if o is not None], TIMEOUT_S, "offsets")[0]


@pytest.mark.timeout(600)
def test_offsets_of_open_transactions(by_turns):
    """They count when the other broker commits them, and never when it aborts; until then they hold up who wants stable ones."""
    create_topic(by_turns.broker, "t", 2)
    producers = {}
    for version in (0, 2):
        for word in ("commit", "abort"):
            producers[f"{word}-{version}"] = Producer(by_turns.port, f"{word}-{version}", version).init()
    counted = {}
    for group in producers:
        await_group(by_turns.port, group)
        with Connection("127.0.0.1", by_turns.port) as connection:
            commit(connection, group, "t", {0: 1, 1: 1})
        counted[group] = {0: 1, 1: 1}
    for turn in range(3):
        for group, producer in producers.items():
            if producer.version < 2:
                producer.add_offsets(group)
            producer.commit_offsets(group, "t", {0: 10 * turn + 10})
            assert committed(by_turns.port, group) == counted[group]
            assert committed(by_turns.port, group, stable=True) is None
        if turn == 2:
            break
        by_turns.next()
        for group, producer in producers.items():
            await_group(by_turns.port, group)
            assert committed(by_turns.port, group) == counted[group], group
            assert committed(by_turns.port, group, stable=True) is None, group
            producer.reconnect(by_turns.port)
            commits = group.startswith("commit")
            producer.end(commits)
            if commits:
                counted[group][0] = 10 * turn + 10
            assert stable(by_turns.port, group) == counted[group], group
            producer.init(keep=True)
    for producer in producers.values():
        producer.close()


# Groups


def look(port, group):
    """The group as its members see it."""
    await_group(port, group)
    consumers, classic = describe_consumers(port, group), describe_classic(port, group)
    part = lambda a: sorted((t["TopicName"], sorted(t["Partitions"])) for t in a["TopicPartitions"])  # noqa: E731
    if not consumers:
        members = [(m["MemberId"], m["ClientId"], m["MemberMetadata"], m["MemberAssignment"]) for m in classic["Members"]]
        return classic["GroupState"], classic["ProtocolType"], classic["ProtocolData"], sorted(members)
    members = [
        (
            m["MemberId"], m["MemberEpoch"], m["InstanceId"] or "", m["SubscribedTopicNames"], m["SubscribedTopicRegex"] or "",
            m["MemberType"], part(m["Assignment"]), part(m["TargetAssignment"]),
        )
        for m in consumers["Members"]
    ]  # fmt: skip
    names = ("GroupState", "GroupEpoch", "AssignmentEpoch", "AssignorName")
    return *(consumers[name] for name in names), sorted(members)


def reconnect(member, port):
    member.connection.close()
    member.connection = Connection("127.0.0.1", port, 20, client_id=member.name)


def come_to_rest(one, two):
    """A classic member and one of the consumer protocol share two partitions."""

    def shared():
        if one.beat():
            one.begin_join()
            one.finish_join()
            one.sync()
        two.beat()
        return len(one.owned) == 1 and sum(len(t["Partitions"]) for t in two.owned) == 1

    wait_until(shared, TIMEOUT_S, "two members to share")


def replaced(port, group):
    """A member of the classic protocol, alone in a group that was one of the consumer protocol until its last member left. Of its end
    Kafka writes nothing, where an unknown member asked to join before."""
    await_group(port, group)
    gone = ConsumerMember(port, group, "c", "t")
    gone.beat()
    gone.leave()
    nobody, late = (ClassicMember(port, group, name, "t") for name in ("nobody", "d"))
    nobody.member = "unknown"
    nobody.begin_join()
    assert nobody.connection.receive("JoinGroup", 9)[1]["ErrorCode"] == UNKNOWN_MEMBER
    nobody.close()
    rebalance([], [late])
    return late


def delete_group(port, group):
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        ask(connection, "DeleteGroups", 2, {"GroupsNames": [group]}, lambda answer: answer["Results"][0])


@pytest.mark.timeout(600)
def test_converted_groups(by_turns):
    """A group of members of both protocols is found as it was; its members go on in it, and it goes back."""
    create_topic(by_turns.broker, "t", 2)
    await_group(by_turns.port, "g")
    one, two = ClassicMember(by_turns.port, "g", "a", "t"), ConsumerMember(by_turns.port, "g", "b", "t")
    rebalance([], [one])
    two.beat()
    come_to_rest(one, two)
    before = look(by_turns.port, "g")
    assert CLASSIC in [member[5] for member in before[-1]]
    late = replaced(by_turns.port, "h")
    alone = look(by_turns.port, "h")
    by_turns.next()
    assert look(by_turns.port, "g") == before
    assert look(by_turns.port, "h") == alone
    reconnect(late, by_turns.port)
    assert late.beat() == 0
    late.leave()
    delete_group(by_turns.port, "h")
    for member in (one, two):
        reconnect(member, by_turns.port)
    assert one.beat() == 0
    come_to_rest(one, two)
    two.leave()  # the group is a classic one again
    rebalance([one])
    before = look(by_turns.port, "g")
    assert describe_consumers(by_turns.port, "g") is None and before[0] == "Stable"
    by_turns.next()
    assert look(by_turns.port, "g") == before
    assert look(by_turns.port, "h")[0] == "Dead"
    reconnect(one, by_turns.port)
    assert one.beat() == 0
    one.leave()


class Matching(ConsumerMember):
    """It subscribes to an expression."""

    def first(self):
        return {"RebalanceTimeoutMs": 60000, "SubscribedTopicRegex": self.topic, "SubscribedTopicNames": [], "TopicPartitions": []}


@pytest.mark.timeout(600)
def test_groups_with_expressions(by_turns):
    """The other broker knows what they matched, and gives out a topic that comes to be on its side."""
    create_topic(by_turns.broker, "some-1", 2)
    create_topic(by_turns.broker, "other", 1)
    await_group(by_turns.port, "g")
    member = Matching(by_turns.port, "g", "m", "some-.*")
    partitions = lambda: sum(len(topic["Partitions"]) for topic in member.owned)  # noqa: E731

    def owns(count):
        member.beat()
        return partitions() == count and look(by_turns.port, "g")[0] == "Stable"

    wait_until(lambda: owns(2), TIMEOUT_S, "the topic that matches", every_s=0.1)
    for turn in (1, 2):
        before = look(by_turns.port, "g")
        by_turns.next()
        assert look(by_turns.port, "g") == before
        reconnect(member, by_turns.port)
        assert member.beat() == before[1]
        create_topic(by_turns.broker, f"some-{turn + 1}", 2)
        wait_until(lambda: owns(2 * turn + 2), TIMEOUT_S, "the new topic that matches", every_s=0.1)  # noqa: B023
    member.leave()


# Transactions


LOOKS_LATE = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "20000"}  # Kafka: once it is up (has_skipped)


@pytest.mark.timeout(600)
def test_timed_out_on_the_other_side(by_turns):
    create_topic(by_turns.broker, "t", 2)
    for turn in (0, 1):
        producers = [Producer(by_turns.port, f"late-{version}-{turn}", version, timeout_ms=10000).init() for version in (0, 2)]
        for producer in producers:
            if producer.version < 2:
                producer.add("t", [0, 1])
                producer.add_offsets("g")
            for partition in (0, 1):
                producer.produce("t", partition, b"late")
            await_group(by_turns.port, "g")
            producer.commit_offsets("g", "t", {0: 7})
        by_turns.next(**(LOOKS_LATE if by_turns.kinds[turn + 1] == "kafka" else AT_ONCE))
        wait_until(lambda: is_settled(by_turns.port, "t", [0, 1]) or has_skipped(by_turns.broker), 60, "the timeout")
        if has_skipped(by_turns.broker):
            return  # it will never be settled
        await_group(by_turns.port, "g")
        assert stable(by_turns.port, "g") == {}
        for producer in producers:
            producer.reconnect(by_turns.port)
            with pytest.raises(Refused):
                producer.end(True)
            producer.init(keep=True)
            if producer.version < 2:
                producer.add("t", [0])
            value = b"%s" % producer.name.encode()
            producer.produce("t", 0, value)
            producer.end(True)
            wait_until(lambda: value in read(by_turns.port, "t", 0), TIMEOUT_S, "what came later")  # noqa: B023
            producer.close()
    assert len(read(by_turns.port, "t", 0)) == 4 and read(by_turns.port, "t", 1) == []


@pytest.mark.timeout(600)
def test_expired_ids(by_turns):
    """Who expires them is known by the tombstone that it leaves; nothing of them comes back."""
    expires = {
        "transactional.id.expiration.ms": "500",
        "transaction.remove.expired.transaction.cleanup.interval.ms": "100",
    }
    kept = {"transactional.id.expiration.ms": "604800000"}
    producers = [Producer(by_turns.port, f"old-{i}", 2 * (i % 2)).init() for i in range(4)]
    held = Producer(by_turns.port, "held").init()
    create_topic(by_turns.broker, "t")
    held.produce("t", 0, b"open")  # does not expire while its transaction is open
    by_turns.next(**expires)

    def known():
        with Connection("127.0.0.1", by_turns.port) as connection:
            return {one["TransactionalId"] for one in connection.call("ListTransactions", 1, {})["TransactionStates"]}

    wait_until(lambda: known() == {"held"}, TIMEOUT_S, "the ids to be forgotten")
    by_turns.next(**kept)
    wait_until(lambda: known() == {"held"}, TIMEOUT_S, "the one that is left")
    for producer in producers:
        producer.reconnect(by_turns.port)
        with pytest.raises(Refused) as refused:
            producer.end(True)
        assert refused.value.error == INVALID_MAPPING
        before = producer.producer_id
        producer.init()
        assert (producer.epoch, producer.producer_id != before) == (0, True)
        producer.close()
    held.reconnect(by_turns.port)
    held.end(True)
    wait_until(lambda: read(by_turns.port, "t", 0) == [b"open"], TIMEOUT_S, "its record")
    held.close()


def raised(port, producer, until):
    """Raises the producer's epoch, many requests at a time under way."""
    body = {"TransactionalId": producer.name, "TransactionTimeoutMs": producer.timeout_ms, "ProducerId": -1, "ProducerEpoch": -1}
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        left = until - producer.epoch
        while left:
            chunk = min(left, 200)
            for _ in range(chunk):
                connection.send("InitProducerId", 4, body)
            answers = [connection.receive("InitProducerId", 4)[1] for _ in range(chunk)]
            assert all(answer["ErrorCode"] == 0 for answer in answers)
            left -= chunk
    producer.producer_id, producer.epoch = answers[-1]["ProducerId"], answers[-1]["ProducerEpoch"]
    assert producer.epoch == until


@pytest.mark.timeout(600)
@pytest.mark.parametrize("by_turns", ["under-test-kill"], indirect=True)  # Kafka takes minutes for so many epochs
def test_the_last_epoch(by_turns):
    """One broker leaves a transaction open with the last epoch that is given out; the other ends it, and goes on with another id."""
    create_topic(by_turns.broker, "t", 4)
    by_ours = [Producer(by_turns.port, f"worn-{version}", version).init() for version in (0, 2)]
    by_kafka = [Producer(by_turns.port, f"other-{version}", version).init() for version in (0, 2)]
    producers = by_ours + by_kafka
    for producer in producers:
        raised(by_turns.port, producer, LAST_USED)
    worn = [producer.producer_id for producer in producers]

    def write(producer, value):
        partition = producers.index(producer)
        if producer.version < 2:
            producer.add("t", [partition])
        producer.produce("t", partition, value)

    def commit_and_go_on(producer):
        partition = producers.index(producer)
        producer.reconnect(by_turns.port)
        producer.end(True)
        wait_until(lambda: read(by_turns.port, "t", partition) == [b"last"], TIMEOUT_S, "the marker")
        if producer.version < 2:
            assert (producer.producer_id, producer.epoch) == (worn[partition], LAST_USED)
            producer.init()
        assert producer.producer_id != worn[partition] and producer.epoch == 0
        write(producer, b"first")
        producer.end(True)
        wait_until(lambda: read(by_turns.port, "t", partition) == [b"last", b"first"], TIMEOUT_S, "the next transaction")

    for producer in by_ours:
        write(producer, b"last")
    by_turns.next()
    for producer in by_ours:
        commit_and_go_on(producer)
    for producer in by_kafka:
        producer.reconnect(by_turns.port)
        write(producer, b"last")
    by_turns.next()
    for producer in by_kafka:
        commit_and_go_on(producer)
    for producer in producers:
        producer.close()


# What a reader sees


@pytest.mark.timeout(600)
def test_the_same_is_committed(by_turns):
    """Over segments, with transactions open as the broker ends: every reader finds the same records, from any offset on."""
    create_topic(by_turns.broker, "t", **SMALL)
    story = Story(by_turns.broker, "t", seed=9)
    for turn in range(3):
        story.tell(by_turns.broker, 60)
        story.check(by_turns.broker)
        if turn < 2:
            by_turns.next()
            story.check(by_turns.broker)
            story.resume(by_turns.broker)
    story.end_all()
    story.check(by_turns.broker)
    story.close()
