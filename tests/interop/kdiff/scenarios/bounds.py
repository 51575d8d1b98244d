"""What the settings of coordinators bound: sizes of groups, sessions, transactions' time, and what grows too old. For a pair of
brokers of its own."""

from interop.kdiff.run import give_time
from interop.kdiff.scenarios import groups, transactions, txn_offsets
from interop.kdiff.scenarios.consumer_protocol import IDS, beat
from interop.kdiff.scenarios.consumer_protocol import look as look_at_members
from interop.kdiff.scenarios.groups import commit, describe, fetch_offsets, heartbeat, join, member_of, sync
from interop.kdiff.scenarios.parts import topic, topic_id
from interop.kdiff.scenarios.transactions import add, end, init

# Of both brokers.
SETTINGS = {
    "group.max.size": "1",
    "group.consumer.max.size": "1",
    "group.min.session.timeout.ms": "1000",
    "group.max.session.timeout.ms": "20000",
    "group.consumer.migration.policy": "disabled",
    "offset.metadata.max.bytes": "8",
    "offsets.retention.check.interval.ms": "100",
    "transaction.max.timeout.ms": "10000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "100",
}


def enter(step, group):
    """Joins at once: a group that is empty but for a member id that was given out may be removed before it is used."""
    step("JoinGroup", 3, join(group), keep="me")


def two_groups(step, prefix):
    """A group with a member, another without, and a topic: their names."""
    group, other, name = prefix + "g", prefix + "h", prefix + "t"
    topic(step, name)
    step.run.fence()
    groups.ready(step, group, other)
    enter(step, group)
    return group, other, name


def gone(step, group):
    """Waits until both sides have forgotten a group that had nobody left, and no offsets."""
    for side in step.run.sides:
        give_time(lambda side=side: group not in [g["GroupId"] for g in side.call("ListGroups", 4, {})["Groups"]])


def sizes(step, version, prefix):
    """A group that has as many members as it may."""
    group, other, name = two_groups(step, prefix)
    step("JoinGroup", version, join(group))
    step("JoinGroup", version, join(group, GroupInstanceId="i"))
    step("SyncGroup", None, sync(group, "me"))
    step("JoinGroup", version, join(group))
    step("JoinGroup", version, join(group, member_of("me")), keep="me")
    describe(step, group)
    for number in (0, 1, 0):
        step("ConsumerGroupHeartbeat", None, beat(other, IDS[number], 0, SubscribedTopicNames=[name]))
    step("ConsumerGroupHeartbeat", None, beat(other, IDS[2], 0, SubscribedTopicNames=[name], InstanceId="i"))
    look_at_members(step, other)


def sessions(step, version, prefix):
    """Who asks for a session that is too short or too long; whose session ends is a member no more."""
    if version not in (0, 9):  # it takes a second
        return
    group = prefix + "g"
    groups.ready(step, group)
    for session_ms in (999, 20001, 1000, 20000):
        step("JoinGroup", version, join(group + str(session_ms), SessionTimeoutMs=session_ms))
    step("JoinGroup", version, join(group, SessionTimeoutMs=1000, GroupInstanceId="i"), keep="me")
    gone(step, group)
    describe(step, group)
    step("Heartbeat", None, heartbeat(group, "me"))
    step("JoinGroup", version, join(group, member_of("me")))


def going_over(step, version, prefix):
    """No group goes over to the other protocol while it has members."""
    group, other, name = two_groups(step, prefix)
    step("SyncGroup", None, sync(group, "me"))
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0, SubscribedTopicNames=[name]))
    describe(step, group)
    step("ConsumerGroupHeartbeat", version, beat(other, IDS[0], 0, SubscribedTopicNames=[name]))
    step("JoinGroup", 5, join(other))
    step("ConsumerGroupHeartbeat", version, beat(other, IDS[0], -1))
    gone(step, other)
    enter(step, other)
    look_at_members(step, other)


def metadata(step, version, prefix):
    """What may be said beside an offset."""
    group, name, at = prefix + "g", prefix + "x", prefix + "t"
    groups.ready(step, group)
    transactions.ready(step, name)
    topic(step, at, 3)
    offsets = [(0, 1, "12345678"), (1, 2, "123456789"), (2, 3, "äöüäöüäö")]
    step("OffsetCommit", version, commit(version, group, {(at, topic_id(step, at)): offsets}))
    step("OffsetFetch", 7, fetch_offsets(7, group, None))
    init(step, None, name, keep="me", timeout_ms=10000)
    txn_offsets.txn_commit(step, 5, name, group, "me", [(at, offsets)])
    end(step, 5, name, "me")
    step("OffsetFetch", 7, fetch_offsets(7, group, None))


def too_old(step, version, prefix):
    """Offsets that were to be kept for a moment only, and the group with the last of them."""
    if version > 4:  # later ones cannot say how long
        return
    group, name = prefix + "g", prefix + "t"
    groups.ready(step, group)
    topic(step, name, 2)
    at = name, topic_id(step, name)
    step("OffsetCommit", version, commit(version, group, {at: [(0, 5, "m")]}, RetentionTimeMs=3600000))
    step("OffsetCommit", version, commit(version, group, {at: [(1, 6, "")]}, RetentionTimeMs=1))
    step("OffsetCommit", version, commit(version, group + "h", {at: [(0, 7, "")]}, RetentionTimeMs=1))
    for side in step.run.sides:

        def removed(side=side):
            asked = [{"GroupId": one, "Topics": None} for one in (group, group + "h")]
            one, other = side.call("OffsetFetch", 8, {"Groups": asked})["Groups"]
            return not other["Topics"] and sum(len(t["Partitions"]) for t in one["Topics"]) == 1

        give_time(removed)
    step("OffsetFetch", 7, fetch_offsets(7, group, None))
    describe(step, group, group + "h")
    step("DeleteGroups", None, {"GroupsNames": [group + "h"]})


def too_late(step, version, prefix):
    """A transaction that took longer than it may is aborted, and its producer fenced."""
    name, group, at = prefix + "x", prefix + "g", prefix + "t"
    transactions.ready(step, name)
    groups.ready(step, group)
    topic(step, at)
    for timeout_ms in (10001, 10000, 0):
        init(step, None, prefix + "y", timeout_ms=timeout_ms)
    init(step, None, name, keep="me", timeout_ms=500)
    add(step, 4 if version >= 5 else 3, name, "me", [(at, [0])])
    wanted = {"TransactionalIds": [name]}
    for side in step.run.sides:

        def aborted(side=side):
            state = side.call("DescribeTransactions", 0, wanted)["TransactionStates"][0]
            return state["TransactionState"] == "CompleteAbort"

        give_time(aborted)
    transactions.describe(step, name)
    end(step, version, name, "me")
    add(step, 4 if version >= 5 else 3, name, "me", [(at, [0])])
    txn_offsets.txn_commit(step, 5 if version >= 5 else 4, name, group, "me", [(at, [(0, 1, "")])])
    init(step, None, name, producer="me", keep="next", timeout_ms=10000)
    transactions.describe(step, name)
    add(step, 4 if version >= 5 else 3, name, "next", [(at, [0])])
    end(step, version, name, "next")
    transactions.describe(step, name)


BOUNDS = [
    ("as many as may be", "JoinGroup", sizes),
    ("sessions", "JoinGroup", sessions),
    ("no group goes over", "ConsumerGroupHeartbeat", going_over),
    ("metadata too long", "OffsetCommit", metadata),
    ("offsets too old", "OffsetCommit", too_old),
    ("transactions too late", "EndTxn", too_late),
]
