"""Groups of the consumer protocol (KIP-848)."""

from interop.kdiff.run import within
from interop.kdiff.scenarios.groups import REBALANCE_MS, commit, ready
from interop.kdiff.scenarios import parts
from interop.kdiff.scenarios.parts import topic_id

# Between two assignments of a group. Longer than the second that is the default, so that what the scenarios ask within one comes
# within one, on a machine that is busy, too.
SETTINGS = {"group.consumer.assignment.interval.ms": "3000"}
INTERVAL_S = 3.1
IN_TIME_S = 2.5
IDS = ("M" * 22, "N" * 22, "O" * 22)


def topic(step, name, partitions):
    """Creates a topic that both coordinators know of."""
    parts.topic(step, name, partitions)
    step.run.fence()


def beat(group, member, epoch, **more):
    """A heartbeat; the first of a member (epoch 0) says everything. member: an id, or the name of a kept answer."""
    if epoch == 0:
        first = {"RebalanceTimeoutMs": REBALANCE_MS, "SubscribedTopicNames": [], "TopicPartitions": []}
        more = {**first, **more}

    def body(context):
        kept = context.get(member, {})
        at = kept.get("MemberEpoch", 0) if epoch is None else epoch
        made = {"GroupId": group, "MemberId": kept.get("MemberId") or member, "MemberEpoch": at}
        return {**made, **{k: v(context) if callable(v) else v for k, v in more.items()}}

    return body


def own(id_of, *partitions):
    return lambda context: [{"TopicId": id_of(context), "Partitions": list(partitions)}] if partitions else []


def look(step, *groups, ignore=()):
    for version in (0, 1):
        step("ConsumerGroupDescribe", version, {"GroupIds": list(groups), "IncludeAuthorizedOperations": version == 1}, ignore=ignore)
    for version in (None, 5):
        step("DescribeGroups", version, {"Groups": list(groups)}, ignore=ignore)


def refused(step, version, prefix):
    group = prefix + "g"
    ready(step, group, "")
    for body in (
        beat("", "m", 0),
        beat(" ", "m", 0),
        beat(group, "", 0, GroupId=""),
        beat(group, "", 1),
        beat(group, " ", 0),
        beat(group, "", -1),
        beat(group, "", -2),
        beat(group, "m", -2),
        beat(group, "", -2, InstanceId="i"),
        beat(group, "m", -3),
        beat(group, "", -3),
        beat(group, "m", 0, InstanceId=""),
        beat(group, "m", 0, RackId=""),
        beat(group, "m", 0, RackId=" "),
        beat(group, "m", 0, RebalanceTimeoutMs=-1),
        beat(group, "m", 0, TopicPartitions=None),
        beat(group, "m", 0, TopicPartitions=[{"TopicId": b"\1" * 16, "Partitions": [0]}]),
        beat(group, "m", 0, SubscribedTopicNames=None),
        beat(group, "m", 0, ServerAssignor="nonsense"),
        beat(group, "m", 0, ServerAssignor=""),
        beat(group, "m", 0, ServerAssignor="UNIFORM"),
        beat(group, "m", 1),
        beat(group, "m", -1),
        beat(group, "m", -2, InstanceId="i"),
        beat(group, "m", -1, ServerAssignor="nonsense"),
    ):
        step("ConsumerGroupHeartbeat", version, body)
    look(step, group, "")


@within(IN_TIME_S)
def life(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 3)
    id_of = topic_id(step, name)
    ready(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0, SubscribedTopicNames=[name]), keep="a")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, TopicPartitions=own(id_of, 0, 1, 2)))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", 7))
    step("ConsumerGroupHeartbeat", version, beat(group, "nobody", 1))
    step("ConsumerGroupHeartbeat", version, beat(group, "nobody", -1))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, InstanceId="i"))
    full = {"RebalanceTimeoutMs": REBALANCE_MS, "SubscribedTopicNames": [name], "TopicPartitions": own(id_of, 0, 1, 2)}
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, **full))
    step("ListGroups", None, {"StatesFilter": ["Stable"], "TypesFilter": ["Consumer"]})
    step("ConsumerGroupHeartbeat", version, beat(group, "a", 0, SubscribedTopicNames=[name]), keep="a")  # again
    step("ConsumerGroupHeartbeat", version, beat(group, "a", -1))
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", 1))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", -1))
    step("DeleteGroups", None, {"GroupsNames": [group]})
    look(step, group)


@within(IN_TIME_S)
def empty_subscription(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    ready(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0), keep="a")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, SubscribedTopicNames=[name]), keep="a")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, SubscribedTopicNames=[]), keep="a")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[1], 0, SubscribedTopicNames=[name, name, "zz"]), keep="b")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "b", -1))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", -1))
    look(step, group)
    step("DeleteGroups", None, {"GroupsNames": [group]})


@within(IN_TIME_S)
def two_members(step, version, prefix):
    """A second one comes, the first gives up its half, the second leaves."""
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 4)
    id_of = topic_id(step, name)
    ready(step, group)
    heart = lambda *args, keep=None, **more: step("ConsumerGroupHeartbeat", version, beat(group, *args, **more), keep=keep)  # noqa: E731
    subscribed = {"SubscribedTopicNames": [name]}
    heart(IDS[0], 0, keep="a", **subscribed)
    heart(IDS[1], 0, keep="b", **subscribed)
    look(step, group)
    step.pause(INTERVAL_S)
    heart("b", None, keep="b")
    look(step, group)
    heart("a", None, TopicPartitions=own(id_of, 0, 1, 2, 3), keep="a")
    look(step, group)
    heart("a", None, keep="a")
    heart("a", None, TopicPartitions=own(id_of, 0, 1, 2), keep="a")
    heart("b", None, keep="b")
    mine = lambda context: context["a"]["Assignment"]["TopicPartitions"] if context["a"]["Assignment"] else []  # noqa: E731
    heart("a", None, TopicPartitions=mine, keep="a2")
    heart("a", None, TopicPartitions=own(id_of), keep="a")
    look(step, group)
    heart("b", None, keep="b")
    look(step, group)
    heart("b", -1)
    look(step, group)
    step.pause(INTERVAL_S)
    heart("a", None, keep="a")
    look(step, group)
    heart("a", 1, TopicPartitions=own(id_of))
    heart("a", 2, TopicPartitions=own(id_of, 0))
    heart("a", None, SubscribedTopicNames=["none"], keep="a")
    look(step, group)
    heart("a", None, TopicPartitions=own(id_of), keep="a")
    step.pause(INTERVAL_S)
    heart("a", None, TopicPartitions=own(id_of), keep="a")
    look(step, group)


@within(IN_TIME_S)
def static_members(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 2)
    id_of = topic_id(step, name)
    ready(step, group)
    heart = lambda *args, keep=None, **more: step("ConsumerGroupHeartbeat", version, beat(group, *args, **more), keep=keep)  # noqa: E731
    subscribed = {"SubscribedTopicNames": [name], "InstanceId": "i"}
    heart(IDS[0], -2, InstanceId="i")
    heart(IDS[0], 0, keep="a", **subscribed)
    look(step, group)
    heart(IDS[1], 0, **subscribed)
    heart(IDS[0], 0, **subscribed)
    heart("a", None, InstanceId="k")
    heart(IDS[1], 2, InstanceId="i")
    heart(IDS[0], 1, InstanceId="i")
    heart(IDS[0], 9, InstanceId="i")
    heart("a", None)
    heart(IDS[1], -2, InstanceId="i")
    heart(IDS[1], -1, InstanceId="i")
    heart("a", -2, InstanceId="k")
    heart("a", -2, InstanceId="i", keep="left")
    look(step, group)
    heart("a", None, InstanceId="i")
    heart(IDS[1], 0, keep="b", **subscribed)
    look(step, group)
    heart("a", None, InstanceId="i")
    heart("b", None, InstanceId="i", TopicPartitions=own(id_of, 0, 1))
    heart("b", -2, InstanceId="i")
    heart(IDS[1], 0, keep="b", **{**subscribed, "SubscribedTopicNames": []})
    look(step, group)
    heart("b", -1, InstanceId="i")
    look(step, group)


@within(IN_TIME_S)
def offsets(step, version, prefix):
    """version: of OffsetCommit."""
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 2)
    id_of = topic_id(step, name)
    ready(step, group)
    names = {(name, id_of): [(0, 7, "x")]}
    heart = lambda *args, keep=None, **more: step("ConsumerGroupHeartbeat", 1, beat(group, *args, **more), keep=keep)  # noqa: E731
    heart(IDS[0], 0, keep="a", SubscribedTopicNames=[name])
    for member, epoch in ((IDS[0], 2), (IDS[0], 1), (IDS[0], 3), (IDS[0], -1), ("nobody", 2), ("", -1), ("", 2)):
        step("OffsetCommit", version, commit(version, group, names, epoch, member))
    step("ConsumerGroupHeartbeat", 1, beat(group, IDS[1], 0, SubscribedTopicNames=[name]), keep="b")
    step.pause(INTERVAL_S)
    heart("b", None, keep="b")
    heart("a", None, keep="a")
    for epoch in (2, 3):
        step("OffsetCommit", version, commit(version, group, names, epoch, IDS[0]))
        step("OffsetCommit", version, commit(version, group, {(name, id_of): [(1, 5, "y")]}, epoch, IDS[0]))
    heart("a", None, TopicPartitions=own(id_of), keep="a")
    for partition in (0, 1):
        for epoch in (1, 2, 3):
            step("OffsetCommit", version, commit(version, group, {(name, id_of): [(partition, 5, "y")]}, epoch, IDS[0]))
    for member, epoch in ((IDS[0], 3), (IDS[0], 2), (IDS[0], 9), (None, -1), ("nobody", 3), (IDS[0], -1), (None, 3)):
        asked = {"GroupId": group, "MemberId": member, "MemberEpoch": epoch, "Topics": None}
        step("OffsetFetch", 9, {"Groups": [asked]})
    deleted = {"Topics": [{"Name": name, "Partitions": [{"PartitionIndex": 0}]}]}
    step("OffsetDelete", None, {"GroupId": group, **deleted})
    step("DeleteGroups", None, {"GroupsNames": [group]})
    heart("b", -1)
    heart("a", -1)
    step("OffsetCommit", version, commit(version, group, names, 3, IDS[0]))
    step("OffsetCommit", version, commit(version, group, names, -1, ""))
    step("OffsetFetch", 9, {"Groups": [{"GroupId": group, "MemberId": None, "MemberEpoch": -1, "Topics": None}]})
    step("OffsetDelete", None, {"GroupId": group, **deleted})
    step("DeleteGroups", None, {"GroupsNames": [group]})
    look(step, group)


@within(IN_TIME_S)
def assignors(step, version, prefix):
    group, one, two = prefix + "g", prefix + "t", prefix + "u"
    topic(step, one, 3)
    topic(step, two, 2)
    topic_id(step, one)
    topic_id(step, two)
    ready(step, group)
    shares = ("Assignment", "TargetAssignment", "MemberEpoch", "GroupState")  # who gets what of several topics hangs on the topics' ids
    heart = lambda *args, keep=None, **more: step("ConsumerGroupHeartbeat", version, beat(group, *args, **more), ignore=shares, keep=keep)  # noqa: E731
    heart(IDS[0], 0, keep="a", SubscribedTopicNames=[one, two], ServerAssignor="range")
    look(step, group, ignore=shares)
    heart(IDS[1], 0, keep="b", SubscribedTopicNames=[one, two], ServerAssignor="uniform")
    look(step, group, ignore=shares)
    heart(IDS[2], 0, keep="c", SubscribedTopicNames=[two], ServerAssignor="uniform")
    step.pause(INTERVAL_S)
    heart("c", None, keep="c")
    look(step, group, ignore=shares)
    heart("b", None, ServerAssignor="range", SubscribedTopicNames=[two], RackId="r", keep="b")
    step.pause(INTERVAL_S)
    heart("b", None, keep="b")
    look(step, group, ignore=shares)


@within(IN_TIME_S)
def another_instance(step, version, prefix):
    """It is found under the id that it gave up, too."""
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 2)
    topic_id(step, name)
    ready(step, group)
    heart = lambda *args, ignore=(), **more: step(  # noqa: E731
        "ConsumerGroupHeartbeat", version, beat(group, *args, SubscribedTopicNames=[name], **more), ignore=ignore
    )
    heart(IDS[0], 0, InstanceId="i")
    heart(IDS[0], 0, InstanceId="j")
    heart(IDS[1], 0, InstanceId="i")
    heart(IDS[0], 2, InstanceId="j")
    look(step, group)
    heart(IDS[0], 2, InstanceId="i")
    look(step, group)
    heart(IDS[0], -2, InstanceId="j")
    heart(IDS[1], 0, InstanceId="i")
    look(step, group)
    for member, epoch in ((IDS[0], 2), (IDS[1], 2), (IDS[1], -1)):  # Kafka's words tell that it still knows whose it was
        heart(member, epoch, InstanceId="j", ignore=("ErrorMessage",))
    look(step, group)


SCENARIOS = [
    ("heartbeats that are refused", "ConsumerGroupHeartbeat", refused),
    ("life of a consumer", "ConsumerGroupHeartbeat", life),
    ("subscribed to nothing", "ConsumerGroupHeartbeat", empty_subscription),
    ("two of a consumer group", "ConsumerGroupHeartbeat", two_members),
    ("static consumers", "ConsumerGroupHeartbeat", static_members),
    ("a static consumer takes another instance id", "ConsumerGroupHeartbeat", another_instance),
    ("offsets of members", "OffsetCommit", offsets),
    ("assignors of a group", "ConsumerGroupHeartbeat", assignors),
]
