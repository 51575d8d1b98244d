"""Groups that go over from the classic protocol to the consumer protocol, and back, while their members stay."""

import struct

from interop.kdiff.run import within
from interop.kdiff.scenarios.consumer_protocol import IDS, IN_TIME_S, INTERVAL_S, beat, look
from interop.kdiff.scenarios.consumer_protocol import own as owned_ids
from interop.kdiff.scenarios.groups import describe, heartbeat, join, leave, member, member_of, ready, sync
from interop.kdiff.scenarios.parts import topic, topic_id


def text(s):
    return struct.pack(">h", len(s)) + s.encode()


def partitions(name, numbers):
    if not numbers:
        return struct.pack(">i", 0)
    return struct.pack(">i", 1) + text(name) + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers)


def subscription(name, *owned):
    """As Kafka's consumers put it into their protocol's metadata, version 1."""
    return struct.pack(">hi", 1, 1) + text(name) + struct.pack(">i", -1) + partitions(name, owned)


def assignment(name, *numbers):
    return struct.pack(">h", 1) + partitions(name, numbers) + struct.pack(">i", -1)


def assigned(name, *numbers):
    return lambda context: [{"MemberId": context["me"]["MemberId"], "Assignment": assignment(name, *numbers)}]


def classic(step, group, name, *numbers):
    """A stable classic group of one member, which has these partitions."""
    metadata = subscription(name)
    member(step, group, "me", 5, metadata=metadata)
    lead = lambda context: sync(group, "me", assignments=assigned(name, *numbers)(context))(context)
    step("SyncGroup", 5, lead)


def rejoin(step, group, name, *owned):
    step("Heartbeat", 4, heartbeat(group, "me"))
    step("JoinGroup", 5, join(group, member_of("me"), metadata=subscription(name, *owned)), keep="me")
    step("SyncGroup", 5, sync(group, "me", assignments=[]))
    step("Heartbeat", 4, heartbeat(group, "me"))


@within(IN_TIME_S)
def both_ways(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 2)
    id_of = topic_id(step, name)
    ready(step, group)
    classic(step, group, name, 0, 1)
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0, SubscribedTopicNames=[name]), keep="z")
    look(step, group)
    describe(step, group)
    step("Heartbeat", 4, heartbeat(group, "me", generation=7))
    step("SyncGroup", 5, sync(group, "me", assignments=[], generation=7))
    step("SyncGroup", 5, sync(group, "me", assignments=[]))
    rejoin(step, group, name, 0, 1)
    look(step, group)
    step("SyncGroup", 5, sync(group, "me", assignments=[], ProtocolName="other"))
    rejoin(step, group, name, 0)
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "z", None, TopicPartitions=owned_ids(id_of)), keep="z")
    step("ConsumerGroupHeartbeat", version, beat(group, "z", None), keep="z")
    look(step, group)
    step("ListGroups", None, {"StatesFilter": [], "TypesFilter": ["Consumer"]})
    # A member that cannot be: another type, other protocols.
    step("JoinGroup", 5, join(group, "", kind="connect"))
    step("JoinGroup", 5, join(group, "", names=("other",)))
    step("JoinGroup", 5, join(group, "", metadata=subscription(name)), keep="new")
    step("Heartbeat", 4, heartbeat(group, "me"))
    # The last one of the consumer protocol leaves.
    step("ConsumerGroupHeartbeat", version, beat(group, "z", -1))
    look(step, group)
    describe(step, group)
    rejoin(step, group, name, 0)
    describe(step, group)
    step("LeaveGroup", None, leave(5, group, "me"))
    describe(step, group)


@within(IN_TIME_S)
def leaves(step, version, prefix):
    """The classic member goes first."""
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 2)
    ready(step, group)
    classic(step, group, name, 0, 1)
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0, SubscribedTopicNames=[name]), keep="z")
    step("LeaveGroup", None, leave(5, group, "me"))
    step("LeaveGroup", None, leave(5, group, "me"))
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "z", None), keep="z")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "z", -1))
    # An empty group of either protocol makes way for the other, but not for a stranger.
    step("JoinGroup", 5, join(group, "nobody"))
    look(step, group)
    member(step, group, "me", 5, metadata=subscription(name))
    describe(step, group)
    look(step, group)


@within(IN_TIME_S)
def removed(step, version, prefix):
    """Members are removed by name, whatever their protocol: by their id, by their instance, several at once, strangers."""
    group, name = prefix + "g", prefix + "t"
    topic(step, name, 2)
    ready(step, group)
    classic(step, group, name, 0, 1)
    for at, instance in enumerate(("i0", "i1", "i2")):
        step.pause(INTERVAL_S)
        step("ConsumerGroupHeartbeat", version, beat(group, IDS[at], 0, SubscribedTopicNames=[name], InstanceId=instance), keep=instance)
    leaver = lambda member, instance=None: {"MemberId": member, "GroupInstanceId": instance, "Reason": None}  # noqa: E731
    ask = lambda *members: {"GroupId": group, "Members": list(members)}  # noqa: E731
    step("LeaveGroup", None, ask(leaver("", "none"), leaver("none"), leaver(IDS[0], "i1"), leaver(IDS[1], "none")))
    look(step, group)
    step("LeaveGroup", None, ask(leaver("", "i0"), leaver(IDS[1], "i1"), leaver(IDS[1])))
    look(step, group)
    step("LeaveGroup", None, ask(leaver("", "i2")))
    # Who has not yet given up what it is to give up has it still; with Kafka it has what it was to have.
    look(step, group, ignore=("MemberAssignment",))


SCENARIOS = [
    ("a group goes over and back", "ConsumerGroupHeartbeat", both_ways),
    ("a group goes over for good", "ConsumerGroupHeartbeat", leaves),
    ("members are removed", "ConsumerGroupHeartbeat", removed),
]
