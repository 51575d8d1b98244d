"""kill -9 at every record that is appended to __consumer_offsets: offsets within transactions count wholly or not at all, and
a group is wholly as it was before the record, or as after it."""

import pytest

from harness import crash
from harness.members import (
    CLASSIC, ClassicMember, ConsumerMember, await_group, commit, committed, describe_classic, describe_consumers, leave,
    rebalance, settle,
)  # fmt: skip
from harness.process import wait_until
from harness.requests import create_topic
from harness.transactions import Producer, Refused, is_settled, read
from harness.wire import Connection

TOPIC, PARTITIONS, GROUP = "crashed", 2, "g"
OFFSETS, STATE = "__consumer_offsets", "__transaction_state"
SETTINGS = {"group.consumer.assignment.interval.ms": "0"}  # each change is assigned at once
DEATHS = (OSError, EOFError, Refused)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return crash.build(tmp_path_factory.mktemp("crash"))


def start(brokers, library, topics, at=None, how="before"):
    broker = brokers.new(settings=SETTINGS)
    crash.arm(broker, library, topics, at, how)
    broker.start()
    create_topic(broker, TOPIC, PARTITIONS)
    return broker


def crashed(brokers, library, topics, live, at, how):
    """A broker that died at this append while `live` went on, and is back; and what had been acknowledged."""
    broker, done = start(brokers, library, topics, at, how), []
    with pytest.raises(DEATHS):
        live(broker.port, done.append)
        raise EOFError  # the last append may come after the last answer
    crash.await_death(broker)
    crash.disarm(broker)
    return broker.start(), done


# Offsets within transactions


def transact(port, version, commits, note):
    """Records and offsets in one; notes what was acknowledged."""
    producer = Producer(port, "x", version).init()
    await_group(port, GROUP)
    if version < 2:
        producer.add(TOPIC, [0])
    producer.produce(TOPIC, 0, b"a", b"b")
    if version < 2:
        producer.add_offsets(GROUP)
    producer.commit_offsets(GROUP, TOPIC, {0: 5, 1: 6})
    note("offsets")
    producer.end(commits)
    note("ended")
    producer.init()  # waits until it is carried through
    producer.close()


def check_transaction(port, version, commits, done):
    """The same producer comes back; records and offsets are there together, or neither."""
    producer = Producer(port, "x", version).init()
    wait_until(lambda: is_settled(port, TOPIC, range(PARTITIONS)), 20, "the transaction to end")
    await_group(port, GROUP)
    offsets = wait_until(lambda: [o for o in [committed(port, GROUP, stable=True)] if o is not None], 20, "its offsets")[0]
    seen = read(port, TOPIC, 0), offsets
    everything, nothing = ([b"a", b"b"], {0: 5, 1: 6}), ([], {})
    assert seen in (everything, nothing), (seen, done)
    if "ended" in done:
        assert seen == (everything if commits else nothing), done
    if "offsets" not in done or not commits:
        assert seen == nothing, done
    if version < 2:
        producer.add_offsets(GROUP)
    producer.commit_offsets(GROUP, TOPIC, {1: 9})
    producer.end(True)
    wanted = {**seen[1], 1: 9}
    wait_until(lambda: committed(port, GROUP, stable=True) == wanted, 20, "the next transaction's offsets")
    producer.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("commits", [True, False], ids=["commit", "abort"])
@pytest.mark.parametrize("version", [0, 2])
def test_offsets_of_a_transaction(brokers, library, version, commits):
    topics = [OFFSETS, STATE, TOPIC]
    broker = start(brokers, library, topics)
    transact(broker.port, version, commits, [].append)
    broker.stop()
    appends = crash.appends(broker)
    assert [name.rpartition("-")[0] for name in appends].count(OFFSETS) == 2, appends  # the offsets, their marker
    # Those to the topic are test_transaction_crash.py's.
    for at in [at for at, name in enumerate(appends, 1) if at > 1 and name.rpartition("-")[0] != TOPIC]:
        for how in crash.HOWS:
            live = lambda port, note: transact(port, version, commits, note)  # noqa: E731
            broker, done = crashed(brokers, library, topics, live, at, how)
            check_transaction(broker.port, version, commits, done)
            broker.stop()


# Groups


def by_classic_members(port, note):
    """Two members, one of them static and replaced; offsets; both leave; the group is deleted."""
    await_group(port, GROUP)
    one, two = ClassicMember(port, GROUP, "a", TOPIC), ClassicMember(port, GROUP, "b", TOPIC, "static")
    rebalance([], [one])
    note("a")
    rebalance([one], [two])
    note("ab")
    commit(one.connection, GROUP, TOPIC, {0: 3, 1: 4}, one.member, one.generation)
    note("ab")
    two.close()
    two = ClassicMember(port, GROUP, "b", TOPIC, "static")  # takes its place
    two.begin_join()
    two.finish_join()
    two.sync()
    note("ab")
    two.leave()
    rebalance([one])
    note("a")
    one.leave()
    note("")
    delete(port)
    note("")


def by_consumers(port, note):
    """The same by members of the consumer protocol; the static one is away for a while."""
    await_group(port, GROUP)
    one, two = ConsumerMember(port, GROUP, "a", TOPIC), ConsumerMember(port, GROUP, "b", TOPIC, "static")
    settle(port, one, each=lambda: note("a"))
    two.beat()
    note("ab")
    settle(port, one, two, each=lambda: note("ab"))
    commit(one.connection, GROUP, TOPIC, {0: 3, 1: 4}, one.name, one.epoch)
    note("ab")
    two.leave(for_good=False)
    note("ab")
    two = ConsumerMember(port, GROUP, "c", TOPIC, "static")
    two.beat()
    note("ac")
    settle(port, one, two, each=lambda: note("ac"))
    two.leave()
    note("a")
    settle(port, one, each=lambda: note("a"))
    one.leave()
    note("")
    delete(port)
    note("")


def by_both(port, note):
    """A classic member stays while the group goes over to the consumer protocol and back."""
    await_group(port, GROUP)
    one, two = ClassicMember(port, GROUP, "a", TOPIC), ConsumerMember(port, GROUP, "b", TOPIC)
    one.begin_join()
    shares = one.finish_join()
    note("")
    one.sync([(name, [0, 1]) for name in shares])
    note("a")
    commit(one.connection, GROUP, TOPIC, {0: 3, 1: 4}, one.member, one.generation)
    note("a")
    two.beat()
    note("ab")
    while len(one.owned) > 1 or not two.owned:  # the classic one gives up its half
        if one.beat():
            one.begin_join()
            one.finish_join()
            note("ab")
            one.sync()
            note("ab")
        two.beat()
        note("ab")
    two.leave()
    note("a")
    rebalance([one])
    note("a")
    one.leave()
    note("")
    delete(port)
    note("")


def delete(port):
    with Connection("127.0.0.1", port) as connection:
        answer = connection.call("DeleteGroups", 2, {"GroupsNames": [GROUP]})["Results"][0]
        assert answer["ErrorCode"] == 0, answer


def listed(port):
    with Connection("127.0.0.1", port) as connection:
        groups = connection.call("ListGroups", 5, {"StatesFilter": [], "TypesFilter": []})["Groups"]
    return [(one["GroupId"], one["ProtocolType"], one["GroupState"], one["GroupType"]) for one in groups]


def name_of(member):
    """Without what differs from run to run: the coordinator makes a classic member's id of its name and a random part."""
    return (member.get("GroupInstanceId") or member["ClientId"]) if len(member["MemberId"]) > 36 else member["MemberId"]


def look(port):
    """All that a group's records say, as far as its clients see it."""
    await_group(port, GROUP)
    classic, consumers = describe_classic(port, GROUP), describe_consumers(port, GROUP)
    said = {"listed": listed(port), "offsets": committed(port, GROUP)}
    said["classic"] = classic["GroupState"], classic["ProtocolType"], classic["ProtocolData"]
    said["classic members"] = sorted(
        (name_of(m), m["ClientId"], m["MemberMetadata"], m["MemberAssignment"]) for m in classic["Members"]
    )
    if consumers:
        said["consumers"] = consumers["GroupState"], consumers["GroupEpoch"], consumers["AssignmentEpoch"], consumers["AssignorName"]
        part = lambda a: sorted((t["TopicName"], sorted(t["Partitions"])) for t in a["TopicPartitions"])  # noqa: E731
        said["consumer members"] = sorted(
            (
                name_of(m), m["InstanceId"] or "", m["MemberEpoch"], m["SubscribedTopicNames"], m["MemberType"],
                part(m["Assignment"]), part(m["TargetAssignment"]),
            )
            for m in consumers["Members"]
        )  # fmt: skip
    return said


def members_of(said):
    """By client id, or by member id where that is the member's own choice."""
    if "consumers" in said:
        return {name for name, *_ in said["consumer members"]}
    return {client for _, client, *_ in said["classic members"]}


def take_apart(port):
    """Nothing in it is stuck: its members can leave, and it goes."""
    consumers = describe_consumers(port, GROUP)
    with Connection("127.0.0.1", port) as connection:
        for one in consumers["Members"] if consumers else ():
            if one["MemberType"] != CLASSIC:
                body = {"GroupId": GROUP, "MemberId": one["MemberId"], "MemberEpoch": -1, "InstanceId": one["InstanceId"]}
                assert connection.call("ConsumerGroupHeartbeat", 1, body)["ErrorCode"] == 0
        for one in describe_classic(port, GROUP)["Members"] or classic_members(port):
            leave(connection, GROUP, one["MemberId"])
    if listed(port):
        delete(port)
    assert listed(port) == [] and committed(port, GROUP) == {}


def classic_members(port):
    consumers = describe_consumers(port, GROUP)
    return [one for one in consumers["Members"] if one["MemberType"] == CLASSIC] if consumers else []


def is_new(said):
    """There is no group yet; or a classic one, whose members are not known before their leader has given them their shares."""
    return not said["offsets"] and "consumers" not in said and said["listed"] in ([], [(GROUP, "", "Empty", "classic")])


def is_one_of(said, states):
    """A group of the classic protocol may have been in a rebalance, of which nothing is written."""
    soft = lambda one: (members_of(one), one["offsets"], [kind for *_, kind in one["listed"]])  # noqa: E731
    return said in states if "consumers" in said else soft(said) in map(soft, states)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("live", [by_classic_members, by_consumers, by_both])
def test_groups(brokers, library, live):
    """What a start finds depends on nothing but which records are whole, and is a state that the group had between two requests."""
    broker, states = start(brokers, library, [OFFSETS]), []
    live(broker.port, lambda members: states.append(look(broker.port)))
    broker.stop()
    count = len(crash.appends(broker))
    assert count >= 8 and len(states) >= 7
    found = {}
    for at in range(1, count + 1):
        for how in crash.HOWS:
            broker, done = crashed(brokers, library, [OFFSETS], live, at, how)
            said, where = look(broker.port), (live.__name__, at, how, done)
            assert said == found.setdefault(at if how == "after" else at - 1, said), where
            assert is_one_of(said, states) or is_new(said), (where, said)
            if done and how != "after":  # the last that was acknowledged, whatever came after it
                assert members_of(said) == set(done[-1]), (where, said)
            take_apart(broker.port)
            broker.stop()
