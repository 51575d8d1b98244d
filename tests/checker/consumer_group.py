"""Membership in a group of the consumer protocol (KIP-848): the coordinator assigns, a member gives up before others get."""

import time

from checker.client import AGAIN, Lost, Patience, Refused
from checker.group import HEARTBEAT_S, UNKNOWN_MEMBER, commit
from checker.history import LOST, OK, REFUSED, place

REBALANCE_MS = 5000
LEAVES, LEAVES_FOR_NOW = -1, -2
FENCED_INSTANCE, FENCED_EPOCH, UNRELEASED_INSTANCE, STALE_EPOCH = 82, 110, 111, 113
OUT = {UNKNOWN_MEMBER, FENCED_INSTANCE, FENCED_EPOCH}


class ConsumerProtocol:
    """A member; `generation` is its epoch, 0 while it is none. What it is told it carries out at once."""

    def __init__(self, actor, group, topics, partitions, instance=None):
        self.actor, self.group, self.topics, self.instance = actor, group, topics, instance
        self.names = {actor.world.topic_ids[topic]: topic for topic in topics}
        self.lives = 0
        self.forget()

    def forget(self):
        """As after a crash. It comes back under another id: a request of the one before may still be on its way."""
        self.lives += 1
        self.member, self.generation, self.owned, self.beaten = f"{self.actor.actor}-{self.lives}", 0, [], 0
        self.moved = self.lost = False

    def settle(self):
        """Joins until it is a member; True where it has other partitions than before."""
        patience = Patience(f"{self.actor.who} in group {self.group}")
        while self.generation == 0:
            try:
                self._beat_once()
            except Lost as lost:
                patience.wait(lost)
            except Refused as refused:
                if refused.error in OUT:
                    self.forget()
                elif refused.error != UNRELEASED_INSTANCE and refused.error not in AGAIN:
                    raise
                patience.wait(refused)
        moved, self.moved = self.moved, False
        return moved

    def beat(self):
        """A heartbeat when it is time; False: what it owns is another, or it is no member any more."""
        if self.generation == 0:
            return False
        if time.monotonic() - self.beaten < HEARTBEAT_S:
            return True
        try:
            self._beat_once()
        except Lost:
            return True
        except Refused as refused:
            return self.out(refused.error)
        return not self.moved

    def out(self, error):
        """What an error says about the membership: False, it has to join again."""
        if error in OUT:
            self.forget()
        elif error == STALE_EPOCH:
            self.beaten = 0  # the next heartbeat tells it its epoch
        elif error not in AGAIN:
            raise Refused(error, self.group)
        return self.generation > 0

    def leave(self):
        epoch = LEAVES_FOR_NOW if self.instance else LEAVES
        try:
            self._call("leave", {"MemberEpoch": epoch})
        except (Lost, Refused):
            pass
        self.forget()

    def commit(self, offsets):
        """offsets: {(topic, partition): offset}. Raises Lost or Refused."""
        commit(self, offsets, 9)

    def _call(self, op, fields):
        """One attempt, noted."""
        actor, start = self.actor, self.actor.history.now()
        body = {"GroupId": self.group, "MemberId": self.member, "InstanceId": self.instance, **fields}
        noted = {"who": actor.who, "group": self.group, "member": self.member, "generation": self.generation}
        try:
            answer = actor.client.call("ConsumerGroupHeartbeat", 1, body)
        except Lost:
            self.lost = True
            actor.history.add(op, start, result=LOST, **noted)
            raise
        error = answer["ErrorCode"]
        actor.history.add(op, start, result=REFUSED if error else OK, error=error, **noted)
        if error:
            raise Refused(error, "ConsumerGroupHeartbeat")
        return answer

    def _beat_once(self):
        """It says everything as it joins, and from the first answer on that was lost: requests may overtake each other then."""
        joins = self.generation == 0
        fields = {"MemberEpoch": self.generation, "TopicPartitions": self._owned_by_topic()}
        if joins or self.lost:
            fields |= {"RebalanceTimeoutMs": REBALANCE_MS, "SubscribedTopicNames": list(self.topics), "SubscribedTopicRegex": ""}
        answer = self._call("beat", fields)
        before = self.generation, self.owned
        self.generation, self.beaten = answer["MemberEpoch"], time.monotonic()
        if answer["Assignment"]:
            told = answer["Assignment"]["TopicPartitions"]
            self.owned = sorted((self.names[one["TopicId"]], i) for one in told for i in one["Partitions"])
        if (self.generation, self.owned) == before:
            return
        if self.owned != before[1] or joins:
            self.moved, self.beaten = True, 0  # and says so at once
        self.actor.history.add(
            "own", self.actor.history.now(), who=self.actor.who, group=self.group, generation=self.generation, member=self.member,
            owner=self.instance or self.member, protocol="consumer", assignment=0, places=[place(*where) for where in self.owned],
        )  # fmt: skip

    def _owned_by_topic(self):
        ids = {name: topic_id for topic_id, name in self.names.items()}
        topics = {}
        for name, i in self.owned:
            topics.setdefault(name, []).append(i)
        return [{"TopicId": ids[name], "Partitions": partitions} for name, partitions in topics.items()]
