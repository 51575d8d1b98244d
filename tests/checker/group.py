"""Membership in a group of the classic protocol: joining, assigning where it is the leader, heartbeats."""

import itertools
import json
import struct
import time

from checker.client import AGAIN, Lost, Patience, Refused
from checker.history import LOST, OK, REFUSED, place

SESSION_MS, REBALANCE_MS, HEARTBEAT_S = 3000, 5000, 0.4
ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING, MEMBER_ID_REQUIRED, FENCED_INSTANCE = 22, 25, 27, 79, 82
REJOIN = {ILLEGAL_GENERATION, UNKNOWN_MEMBER, REBALANCING}
_assignments = itertools.count(1)


def subscription(topics):
    names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in topics)
    return struct.pack(">hi", 0, len(topics)) + names + struct.pack(">i", -1)


class Classic:
    """A member; `generation` is -1 while it is in none. One with an instance is static."""

    def __init__(self, actor, group, topics, partitions, instance=None):
        self.actor, self.group, self.topics, self.partitions, self.instance = actor, group, topics, partitions, instance
        self.forget()

    def forget(self):
        """As after a crash: what it was is known to the broker alone."""
        self.member, self.generation, self.owned, self.beaten = "", -1, [], 0

    def settle(self):
        """Joins until it is in a generation; True where that is a new one."""
        if self.generation >= 0:
            return False
        patience = Patience(f"{self.actor.who} in group {self.group}")
        while self.generation < 0:
            try:
                self._join_once()
            except Lost as lost:
                patience.wait(lost)
            except Refused as refused:
                if refused.error in (UNKNOWN_MEMBER, FENCED_INSTANCE):
                    self.forget()
                elif refused.error not in REJOIN and refused.error not in AGAIN:
                    raise
                patience.wait(refused)
        return True

    def _call(self, op, api, version, body, **noted):
        """One attempt, noted."""
        actor, start = self.actor, self.actor.history.now()
        noted = {"who": actor.who, "group": self.group, "member": self.member, "generation": self.generation, **noted}
        try:
            answer = actor.client.call(api, version, body)
        except Lost:
            actor.history.add(op, start, result=LOST, **noted)
            raise
        error = answer["ErrorCode"]
        actor.history.add(op, start, result=REFUSED if error else OK, error=error, **noted)
        if error:
            if error == MEMBER_ID_REQUIRED:
                self.member = answer["MemberId"]
            raise Refused(error, api)
        return answer

    def _join_once(self):
        body = {
            "GroupId": self.group,
            "MemberId": self.member,
            "GroupInstanceId": self.instance,
            "SessionTimeoutMs": SESSION_MS,
            "RebalanceTimeoutMs": REBALANCE_MS,
            "ProtocolType": "consumer",
            "Protocols": [{"Name": "range", "Metadata": subscription(self.topics)}],
        }
        try:
            joined = self._call("join", "JoinGroup", 9, body)
        except Refused as refused:
            if refused.error != MEMBER_ID_REQUIRED:
                raise
            joined = self._call("join", "JoinGroup", 9, {**body, "MemberId": self.member})
        self.member, generation = joined["MemberId"], joined["GenerationId"]
        leads = joined["Leader"] == self.member and not joined["SkipAssignment"]
        body = {
            "GroupId": self.group,
            "MemberId": self.member,
            "GenerationId": generation,
            "GroupInstanceId": self.instance,
            "ProtocolType": "consumer",
            "ProtocolName": "range",
            "Assignments": self._assign(joined["Members"]) if leads else [],
        }
        synced = json.loads(self._call("sync", "SyncGroup", 5, body)["Assignment"] or b'{"id": 0, "owned": []}')
        self.generation, self.beaten = generation, time.monotonic()
        self.owned = [tuple(where) for where in synced["owned"]]
        self.actor.history.add(
            "own", who=self.actor.who, group=self.group, generation=generation, member=self.member,
            owner=self.instance or self.member, assignment=synced["id"], places=[place(*where) for where in self.owned],
        )

    def _assign(self, members):
        """By turns; the number of the assignment says whose it is."""
        places = [[topic, i] for topic in self.topics for i in range(self.partitions)]
        names, number = sorted(one["MemberId"] for one in members), next(_assignments)
        parts = {name: {"id": number, "owned": places[i :: len(names)]} for i, name in enumerate(names)}
        return [{"MemberId": name, "Assignment": json.dumps(part).encode()} for name, part in parts.items()]

    def beat(self):
        """A heartbeat when it is time; False: it is no member of a settled generation any more."""
        if self.generation < 0:
            return False
        if time.monotonic() - self.beaten < HEARTBEAT_S:
            return True
        body = {"GroupId": self.group, "MemberId": self.member, "GroupInstanceId": self.instance, "GenerationId": self.generation}
        try:
            self._call("beat", "Heartbeat", 4, body)
        except Lost:
            return True
        except Refused as refused:
            return self.out(refused.error)
        self.beaten = time.monotonic()
        return True

    def out(self, error):
        """What an error says about the membership: False, it has to join again."""
        if error in (ILLEGAL_GENERATION, UNKNOWN_MEMBER, FENCED_INSTANCE):
            self.forget()
        elif error == REBALANCING:
            self.generation, self.owned = -1, []
        elif error not in AGAIN:
            raise Refused(error, self.group)
        return self.generation >= 0

    def leave(self):
        if self.instance:  # it will be back, and says nothing
            self.forget()
            return
        body = {"GroupId": self.group, "Members": [{"MemberId": self.member}]}
        try:
            self._call("leave", "LeaveGroup", 5, body)
        except (Lost, Refused):
            pass
        self.forget()

    def commit(self, offsets):
        """offsets: {(topic, partition): offset}. Raises Lost or Refused."""
        commit(self, offsets, 8)


def commit(membership, offsets, version):
    """By a member of either protocol, in its generation or epoch."""
    topics = {}
    for (topic, partition), offset in sorted(offsets.items()):
        topics.setdefault(topic, []).append({"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": ""})
    body = {
        "GroupId": membership.group,
        "GenerationIdOrMemberEpoch": membership.generation,
        "MemberId": membership.member,
        "GroupInstanceId": membership.instance,
        "Topics": [{"Name": topic, "Partitions": partitions} for topic, partitions in topics.items()],
    }
    actor, start = membership.actor, membership.actor.history.now()
    noted = {"who": actor.who, "group": membership.group, "member": membership.member, "generation": membership.generation}
    noted["owner"] = membership.instance or membership.member
    noted["offsets"] = {place(*where): offset for where, offset in offsets.items()}
    try:
        answer = actor.client.call("OffsetCommit", version, body)
    except Lost:
        actor.history.add("commit", start, result=LOST, **noted)
        raise
    error = next((one["ErrorCode"] for t in answer["Topics"] for one in t["Partitions"] if one["ErrorCode"]), 0)
    actor.history.add("commit", start, result=REFUSED if error else OK, error=error, **noted)
    if error:
        raise Refused(error, "OffsetCommit")
