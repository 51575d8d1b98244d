"""Members of groups, request by request: of the classic protocol and of the consumer protocol (KIP-848)."""

import struct

from harness.process import wait_until
from harness.transactions import again
from harness.wire import Connection

GROUP_ID_NOT_FOUND, REBALANCING, MEMBER_ID_REQUIRED, UNSTABLE = 69, 27, 79, 88
CLASSIC = 0  # of ConsumerGroupDescribe's member types
TIMEOUT_S = 60


def ask(connection, api, version, body, of=lambda answer: answer):
    """The part of the answer that bears the error; raises Refused."""

    def once():
        part = of(connection.call(api, version, body))
        return part, part["ErrorCode"]

    return again(api, once)


def await_groups(port, groups):
    """The coordinator of each is there, and has loaded: the partitions of their topic are loaded one after the other."""
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        for group in groups:
            ask(connection, "FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": [group]}, lambda a: a["Coordinators"][0])
            ask(connection, "DescribeGroups", 5, {"Groups": [group]}, lambda a: a["Groups"][0])


def await_group(port, group):
    await_groups(port, [group])


# What consumers of the classic protocol tell each other through the coordinator, version 1


def _text(text):
    return struct.pack(">h", len(text)) + text.encode()


def _partitions(topic, numbers):
    if not numbers:
        return struct.pack(">i", 0)
    return struct.pack(">i", 1) + _text(topic) + struct.pack(f">i{len(numbers)}i", len(numbers), *numbers)


def subscription(topic, owned=()):
    return struct.pack(">hi", 1, 1) + _text(topic) + struct.pack(">i", -1) + _partitions(topic, owned)


def assignment(topic, numbers):
    return struct.pack(">h", 1) + _partitions(topic, numbers) + struct.pack(">i", -1)


def assigned(raw):
    """The partitions of an assignment to one topic."""
    if len(raw) < 6 or struct.unpack_from(">i", raw, 2) == (0,):
        return []
    at = 8 + struct.unpack_from(">h", raw, 6)[0]
    (count,) = struct.unpack_from(">i", raw, at)
    return list(struct.unpack_from(f">{count}i", raw, at + 4))


class ClassicMember:
    """Its name is its client id. A static one has an instance, and may be made anew in its place."""

    def __init__(self, port, group, name, topic, instance=None):
        self.connection = Connection("127.0.0.1", port, TIMEOUT_S, client_id=name)
        self.group, self.name, self.topic, self.instance = group, name, topic, instance
        self.member, self.generation, self.owned = "", -1, []
        self.rebalance_ms = 60000

    def close(self):
        self.connection.close()

    def _me(self):
        return {"GroupId": self.group, "MemberId": self.member, "GroupInstanceId": self.instance, "GenerationId": self.generation}

    def begin_join(self):
        body = {
            **self._me(), "SessionTimeoutMs": 45000, "RebalanceTimeoutMs": self.rebalance_ms, "ProtocolType": "consumer",
            "Protocols": [{"Name": "range", "Metadata": subscription(self.topic, self.owned)}],
        }  # fmt: skip
        if not self.member and not self.instance:
            answer = self.connection.call("JoinGroup", 9, body)
            assert answer["ErrorCode"] == MEMBER_ID_REQUIRED, answer
            self.member = body["MemberId"] = answer["MemberId"]
        self.connection.send("JoinGroup", 9, body)

    def finish_join(self):
        """The members that this one has to give their shares; None where it does not lead."""
        answer = self.connection.receive("JoinGroup", 9)[1]
        assert answer["ErrorCode"] == 0, answer
        self.member, self.generation = answer["MemberId"], answer["GenerationId"]
        leads = answer["Leader"] == self.member and not answer["SkipAssignment"]
        return [one["MemberId"] for one in answer["Members"]] if leads else None

    def sync(self, shares=()):
        """shares: (member id, partitions)."""
        body = {
            **self._me(), "ProtocolType": "consumer", "ProtocolName": "range",
            "Assignments": [{"MemberId": member, "Assignment": assignment(self.topic, part)} for member, part in shares],
        }  # fmt: skip
        self.owned = assigned(ask(self.connection, "SyncGroup", 5, body)["Assignment"])

    def beat(self):
        """The error."""
        return self.connection.call("Heartbeat", 4, self._me())["ErrorCode"]

    def leave(self):
        leave(self.connection, self.group, self.member, self.instance)
        self.close()


def leave(connection, group, member, instance=None):
    one = {"MemberId": member, "GroupInstanceId": instance}
    ask(connection, "LeaveGroup", 5, {"GroupId": group, "Members": [one]})


def rebalance(staying, joining=(), partitions=2):
    """A generation of the members that stay and those that join; its leader gives out the partitions by turns."""
    for member in joining:
        member.begin_join()
    for member in staying:
        wait_until(lambda: member.beat() == REBALANCING, TIMEOUT_S, "the rebalance")  # noqa: B023
        member.begin_join()
    everybody = sorted([*staying, *joining], key=lambda member: member.name)
    leads = {member: member.finish_join() for member in everybody}
    leader = next(member for member in everybody if leads[member] is not None)
    shares = [(member.member, list(range(partitions))[i :: len(everybody)]) for i, member in enumerate(everybody)]
    assert sorted(leads[leader]) == sorted(name for name, _ in shares)
    leader.sync(shares)
    for member in everybody:
        if member is not leader:
            member.sync()


class ConsumerMember:
    """Its name is its member id. What the group gives it is its own at once."""

    def __init__(self, port, group, name, topic, instance=None):
        self.connection = Connection("127.0.0.1", port, TIMEOUT_S, client_id=name)
        self.group, self.name, self.topic, self.instance = group, name, topic, instance
        self.epoch, self.owned = 0, []

    def close(self):
        self.connection.close()

    def beat(self, epoch=None):
        epoch = self.epoch if epoch is None else epoch
        body = {"GroupId": self.group, "MemberId": self.name, "MemberEpoch": epoch, "InstanceId": self.instance}
        if epoch >= 0:
            body["TopicPartitions"] = self.owned
        if epoch == 0:
            body.update(self.first())
        answer = ask(self.connection, "ConsumerGroupHeartbeat", 1, body)
        self.epoch = answer["MemberEpoch"]
        if answer["Assignment"] is not None:
            self.owned = answer["Assignment"]["TopicPartitions"]
        return self.epoch

    def first(self):
        """What it says of itself as it joins."""
        return {"RebalanceTimeoutMs": 60000, "SubscribedTopicNames": [self.topic], "TopicPartitions": []}

    def leave(self, for_good=True):
        self.beat(-1 if for_good else -2)
        self.close()


def settle(port, *members, each=lambda: None):
    """Heartbeats until each has what it is to have; `each` follows every one."""

    def stable():
        for member in members:
            member.beat()
            each()
        group = describe_consumers(port, members[0].group)
        return group["GroupState"] == "Stable" and all(member.epoch == group["GroupEpoch"] for member in members)

    wait_until(stable, TIMEOUT_S, "the members to be settled")


def describe_consumers(port, group):
    """What ConsumerGroupDescribe says; None where the group is none of its own."""
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:

        def once():
            answer = connection.call("ConsumerGroupDescribe", 1, {"GroupIds": [group]})["Groups"][0]
            unknown = answer["ErrorCode"] == GROUP_ID_NOT_FOUND
            return (None, 0) if unknown else (answer, answer["ErrorCode"])

        return again("ConsumerGroupDescribe", once)


def describe_classic(port, group):
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        return ask(connection, "DescribeGroups", 5, {"Groups": [group]}, lambda a: a["Groups"][0])


def committed(port, group, stable=False):
    """{partition: offset}; with `stable`, None while a transaction may change one."""
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        body = {"Groups": [{"GroupId": group, "Topics": None}], "RequireStable": stable}
        answer = ask(connection, "OffsetFetch", 9, body, lambda a: a["Groups"][0])
    partitions = [p for topic in answer["Topics"] for p in topic["Partitions"]]
    if any(p["ErrorCode"] == UNSTABLE for p in partitions):
        return None
    assert all(p["ErrorCode"] == 0 for p in partitions), answer
    return {p["PartitionIndex"]: p["CommittedOffset"] for p in partitions if p["CommittedOffset"] >= 0}


def commit(connection, group, topic, offsets, member="", generation=-1, instance=None):
    listed = [{"PartitionIndex": p, "CommittedOffset": offset, "CommittedMetadata": ""} for p, offset in offsets.items()]
    body = {"GroupId": group, "MemberId": member, "GenerationIdOrMemberEpoch": generation, "GroupInstanceId": instance}
    answer = connection.call("OffsetCommit", 9, {**body, "Topics": [{"Name": topic, "Partitions": listed}]})
    errors = {p["ErrorCode"] for one in answer["Topics"] for p in one["Partitions"]}
    assert errors == {0}, answer
