"""Groups of the consumer protocol (KIP-848)."""

import time

from interop.kdiff.scenarios.groups import commit, ready
from interop.kdiff.scenarios.parts import topic, topic_id

IDS = ("M" * 22, "N" * 22, "O" * 22)


def beat(group, member, epoch, **more):
    """A heartbeat; the first of a member (epoch 0) says everything. member: an id, or the name of a kept answer."""
    if epoch == 0:
        first = {"RebalanceTimeoutMs": 5000, "SubscribedTopicNames": [], "TopicPartitions": []}
        more = {**first, **more}

    def body(context):
        kept = context.get(member, {})
        at = kept.get("MemberEpoch", 0) if epoch is None else epoch
        made = {"GroupId": group, "MemberId": kept.get("MemberId") or member, "MemberEpoch": at}
        return {**made, **{k: v(context) if callable(v) else v for k, v in more.items()}}

    return body


def own(id_of, *partitions):
    return lambda context: [{"TopicId": id_of(context), "Partitions": list(partitions)}] if partitions else []


def look(step, *groups):
    for version in (0, 1):
        step("ConsumerGroupDescribe", version, {"GroupIds": list(groups), "IncludeAuthorizedOperations": version == 1})
    step("DescribeGroups", None, {"Groups": list(groups)})
    step("DescribeGroups", 5, {"Groups": list(groups)})


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


def life(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 3)
    id_of = topic_id(step, name)
    ready(step, group)
    first = beat(group, "" if version == 0 else IDS[0], 0, SubscribedTopicNames=[name])
    step("ConsumerGroupHeartbeat", version, first, keep="a")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, TopicPartitions=own(id_of, 0, 1, 2)))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", 7))
    step("ConsumerGroupHeartbeat", version, beat(group, "nobody", 1))
    step("ConsumerGroupHeartbeat", version, beat(group, "nobody", -1))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, InstanceId="i"))
    full = {"RebalanceTimeoutMs": 5000, "SubscribedTopicNames": [name], "TopicPartitions": own(id_of, 0, 1, 2)}
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, **full))
    step("ListGroups", None, {"StatesFilter": ["Stable"], "TypesFilter": ["Consumer"]})
    step("ConsumerGroupHeartbeat", version, beat(group, "a", 0, SubscribedTopicNames=[name]), keep="a")  # again
    step("ConsumerGroupHeartbeat", version, beat(group, "a", -1))
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", 1))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", -1))
    step("DeleteGroups", None, {"GroupsNames": [group]})
    look(step, group)


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


SCENARIOS = [
    ("heartbeats that are refused", "ConsumerGroupHeartbeat", refused),
    ("life of a consumer", "ConsumerGroupHeartbeat", life),
    ("subscribed to nothing", "ConsumerGroupHeartbeat", empty_subscription),
]
