"""Regular expressions in the subscriptions of the consumer protocol."""

from harness.process import wait_until
from interop.kdiff.scenarios.consumer_protocol import IDS, beat, look
from interop.kdiff.scenarios.groups import ready
from interop.kdiff.scenarios.parts import topic


def shows(step, group, what):
    """Waits until both brokers' description of the group does."""
    for side in step.run.sides:
        ask = {"GroupIds": [group]}
        wait_until(lambda: what(side.call("ConsumerGroupDescribe", 1, ask)["Groups"][0]), 60, f"{group} on {side.name}")


def epoch(at_least):
    return lambda group: group["GroupEpoch"] >= at_least


def refused(step, version, prefix):
    group = prefix + "g"
    ready(step, group)
    patterns = """( ) * a** [ [b-a] a{2,1} a{1001} a\\ (a)\\1 \\Z \\C (?=a) (?<=a)b (?P<>a) (?<n a|{1} [[:foo:]]
        \\p{Foo} [^] x{2}{3}""".split()
    for pattern in (*patterns, "((" * 600):
        body = beat(group, IDS[0], 0, SubscribedTopicRegex=pattern, SubscribedTopicNames=None)
        step("ConsumerGroupHeartbeat", version, body)
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0, SubscribedTopicRegex=prefix + "[", MemberEpoch=3))
    look(step, group)
    # With a member that lives.
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0), keep="a")
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, SubscribedTopicRegex="("))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None))
    look(step, group)


def life(step, version, prefix):
    version = max(version, 1)  # the first has no expressions
    group, pattern = prefix + "g", prefix.replace(".", "[.]") + "[ab].*"
    for name, partitions in (("a1", 3), ("b1", 1), ("c1", 1), ("Xa1", 1)):
        topic(step, prefix + name, partitions)
    ready(step, group)
    first = beat(group, IDS[0], 0, SubscribedTopicRegex=pattern, SubscribedTopicNames=None)
    step("ConsumerGroupHeartbeat", version, first, keep="a")
    shows(step, group, epoch(2))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None), keep="a")
    look(step, group)
    # One that has it too, and a name.
    second = beat(group, IDS[1], 0, SubscribedTopicRegex=pattern, SubscribedTopicNames=[prefix + "c1"])
    step("ConsumerGroupHeartbeat", version, second, keep="b")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "b", None, SubscribedTopicRegex=""), keep="b")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "b", -1))
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None), keep="a")
    look(step, group)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", -1))
    look(step, group)
    step("DeleteGroups", None, {"GroupsNames": [group]})


SCENARIOS = [
    ("regular expressions refused", "ConsumerGroupHeartbeat", refused),
    ("subscribed by expression", "ConsumerGroupHeartbeat", life),
]
