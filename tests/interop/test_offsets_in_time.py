"""What time does to groups, with Odradek and Apache Kafka alike: offsets that grow too old (offsets.retention.minutes), and regular
expressions that are looked for again (group.consumer.regex.refresh.interval.ms)."""

import struct

import pytest
from crc32c import crc32c

from harness.batch import parse
from harness.members import (
    ClassicMember, ConsumerMember, await_groups, commit, describe_classic, describe_consumers, rebalance, settle,
)  # fmt: skip
from harness.process import wait_until
from harness.requests import connect, create_topic
from harness.transactions import records
from harness.wire import message

TOPIC = "__consumer_offsets"
TIMEOUT_S = 60
MINUTE_MS = 60_000
KEPT_MINUTES, OLD_MINUTES, YOUNG_MINUTES = 600, 601, 300
LONG_SESSION = {f"group.consumer.{which}session.timeout.ms": "3600000" for which in ("", "max.")} | {"group.max.session.timeout.ms": "3600000"}
AGING = {  # by a record's type: its key, its value, what in it grows older
    1: ("OffsetCommitKey", "OffsetCommitValue", "commitTimestamp"),
    2: ("GroupMetadataKey", "GroupMetadataValue", "currentStateTimestamp"),
}


def aged(raw, minutes):
    """A batch as if it had been written so much earlier: minutes(group)."""
    for _, _, key, value, _ in parse(raw)[0]["Content"]:
        key, value = bytes.fromhex(key), value and bytes.fromhex(value)
        kind = int.from_bytes(key[:2], "big")
        if kind not in AGING or not value:
            continue
        key_type, value_type, field = AGING[kind]
        version = int.from_bytes(value[:2], "big")
        said = message(value_type).decode(version, value, 2)[0]
        said[field] -= minutes(message(key_type).decode(0, key, 2)[0]["group"]) * MINUTE_MS
        raw = raw.replace(value, value[:2] + message(value_type).encode(version, said))
    return raw[:17] + struct.pack(">I", crc32c(raw[21:])) + raw[21:]


def age(broker, minutes):
    """Makes what the groups wrote older; the broker is stopped."""
    for log in broker.partition_directory(TOPIC).glob("*.log"):
        raw, out, at = log.read_bytes(), b"", 0
        while at < len(raw):
            end = at + 12 + int.from_bytes(raw[at + 8 : at + 12], "big")
            out, at = out + aged(raw[at:end], minutes), end
        assert len(out) == len(raw)
        log.write_bytes(out)


def listed(broker):
    with connect(broker) as connection:
        answer = connection.call("ListGroups", 5, {"StatesFilter": [], "TypesFilter": []})
    return {group["GroupId"] for group in answer["Groups"]}


def fetched(broker, *groups):
    """{group: {(topic, partition): offset}}"""
    with connect(broker) as connection:
        wanted = [{"GroupId": group, "Topics": None} for group in groups]
        answer = connection.call("OffsetFetch", 9, {"Groups": wanted})["Groups"]
    return {
        one["GroupId"]: {(t["Name"], p["PartitionIndex"]): p["CommittedOffset"] for t in one["Topics"] for p in t["Partitions"]}
        for one in answer
    }


GROUPS = ("simple", "young", "left", "leaving", "staying", "consumer", "quitting")


def prepare(broker):
    """Groups of every kind, with an offset of a topic that is subscribed to and of one that is not."""
    for name in "tu":
        create_topic(broker, name)
    await_groups(broker.port, GROUPS)
    members = [ClassicMember(broker.port, group, "a", "t") for group in ("left", "leaving", "staying")]
    for member in members:
        rebalance([], [member])
    members += [ConsumerMember(broker.port, group, group[0].upper() * 22, "t") for group in ("consumer", "quitting")]
    for member in members[3:]:
        settle(broker.port, member)
    with connect(broker) as connection:
        for group in ("simple", "young"):
            for topic in "tu":
                commit(connection, group, topic, {0: 5})
        for member in members:
            name, at = (member.member, member.generation) if isinstance(member, ClassicMember) else (member.name, member.epoch)
            for topic in "tu":
                commit(connection, member.group, topic, {0: 5}, name, at)
    members[0].leave()
    for member in members[1:]:
        member.close()
    return {member.group: member for member in members}


def expire(broker, members):
    """What is left, and that nothing more goes is seen by what was as old as that, and would have gone with the rest."""
    broker.settings.update({"offsets.retention.minutes": str(KEPT_MINUTES), "offsets.retention.check.interval.ms": "100"})
    broker.start()
    await_groups(broker.port, GROUPS)
    both, one = {("t", 0): 5, ("u", 0): 5}, {("t", 0): 5}
    first = {"simple": {}, "young": both, "left": {}, "leaving": one, "staying": one, "consumer": one, "quitting": one}
    wait_until(lambda: fetched(broker, *GROUPS) == first, TIMEOUT_S, "what is too old to go")
    assert listed(broker) == {group for group, offsets in first.items() if offsets}
    with connect(broker) as connection:
        commit(connection, "simple", "t", {0: 6})  # it begins anew
    for group in ("leaving", "quitting"):
        members[group].connection = connect(broker)
        members[group].leave()
    # What the last member of a classic group leaves is kept from then on, by the other protocol from its commit on.
    then = {**first, "simple": {("t", 0): 6}, "quitting": {}}
    wait_until(lambda: fetched(broker, *GROUPS) == then, TIMEOUT_S, "what nobody subscribes to any more to go")
    wait_until(lambda: "quitting" not in listed(broker), TIMEOUT_S, "the group to go with it")
    assert describe_classic(broker.port, "leaving")["GroupState"] == "Empty"
    broker.kill()
    del broker.settings["offsets.retention.check.interval.ms"]
    broker.start()
    await_groups(broker.port, GROUPS)
    assert fetched(broker, *GROUPS) == then


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["under-test", "kafka"])
def test_offsets_grow_too_old(brokers, kind):
    broker = brokers.start(settings={**LONG_SESSION, "offsets.topic.num.partitions": "1"})
    members = prepare(broker)
    broker.stop()
    age(broker, lambda group: YOUNG_MINUTES if group == "young" else OLD_MINUTES)
    expire(broker if kind == "under-test" else brokers.successor(broker, kind), members)


# Regular expressions

REFRESH_MS, NEW_TOPICS_MS = 15_000, 10_000  # the second is nobody's to set
EXPRESSION = b"\0\x10"  # the type of its record


class Matching(ConsumerMember):
    """It subscribes to what matches."""

    def first(self):
        return {**super().first(), "SubscribedTopicNames": None, "SubscribedTopicRegex": "t.*"}


def resolved(broker):
    """[(when, topics)]: what was found, each time that it was looked for."""
    value_type = message("ConsumerGroupRegularExpressionValue")
    said = [
        value_type.decode(0, value, 2)[0]
        for _, key, value in records(broker.port, TOPIC, 0, committed=False)
        if key[:2] == EXPRESSION and value
    ]
    return [(one["Timestamp"], one["Topics"]) for one in said]


@pytest.mark.timeout(300)
def test_expressions_are_looked_for_again(brokers):
    """Now and then, though nothing has changed; and when there are new topics, but not at once again. Both brokers side by side."""
    settings = {"group.consumer.regex.refresh.interval.ms": str(REFRESH_MS), "offsets.topic.num.partitions": "1"}
    pair = [brokers.start(kind, settings) for kind in (brokers.kind, "kafka")]
    members = []
    for broker in pair:
        create_topic(broker, "t1")
        await_groups(broker.port, ["g"])
        members.append(Matching(broker.port, "g", "M" * 22, "t"))

    def found(what):
        for member in members:
            member.beat()
        return all(what(resolved(broker)) for broker in pair)

    wait_until(lambda: found(len), TIMEOUT_S, "the topics to be found", every_s=0.2)
    for broker, member in zip(pair, members):
        settle(broker.port, member)
    epochs = [describe_consumers(broker.port, "g")["GroupEpoch"] for broker in pair]
    wait_until(lambda: found(lambda times: len(times) > 1), TIMEOUT_S, "them to be looked for again", every_s=0.2)
    for broker, epoch in zip(pair, epochs):
        (first, topics), (second, again) = resolved(broker)[:2]
        assert second - first > REFRESH_MS and topics == again == ["t1"]
        assert describe_consumers(broker.port, "g")["GroupEpoch"] == epoch
        create_topic(broker, "t2")
    new = ["t1", "t2"]
    wait_until(lambda: found(lambda times: times[-1][1] == new), TIMEOUT_S, "the new topic to be found", every_s=0.2)
    for broker, member in zip(pair, members):
        times = resolved(broker)
        at = [topics for _, topics in times].index(new)
        assert times[at][0] - times[at - 1][0] > NEW_TOPICS_MS
        settle(broker.port, member)
        assert len(member.owned) == 2
        member.close()
