"""Members of consumer groups for random heartbeats: mostly what a client would say next, now and then nonsense.

What hangs on chance in Kafka itself is not asked: regular expressions are matched some time later, a group learns some time
later that a topic has come to be, and who gets what of several topics that all members share hangs on the topics' ids.
"""

HEARTBEAT = "ConsumerGroupHeartbeat"
APIS = """ConsumerGroupHeartbeat ConsumerGroupDescribe OffsetCommit OffsetFetch OffsetDelete DescribeGroups ListGroups
    DeleteGroups""".split()
GROUPS = ["c1", "c1", "c1", "c2", "c2", "", "none"]
IDS = [letter * 22 for letter in "MNOP"]
INSTANCES = {IDS[2]: "i1", IDS[3]: "i2"}  # each its own: Kafka keeps an instance id that its member has given up for another
SUBSCRIPTIONS = [["t-a"], ["t-b"], ["t-b"], ["t-b", "t-b"], ["t-b", "missing"], ["missing"], []]
REBALANCE_TIMEOUT_MS = 600000  # none that ends while the run goes on
# Of both brokers.
SETTINGS = {
    "group.consumer.assignment.interval.ms": "0",
    "group.consumer.session.timeout.ms": "600000",
    "group.consumer.max.session.timeout.ms": "600000",
}


def member_value(field, rnd):
    """For a field of any request; None: as ever."""
    if field.entity == "groupId":
        return rnd.choice(GROUPS)
    if field.name == "MemberId":
        return rnd.choice([*IDS[:2], "", "nobody"])
    return None


class Members:
    def __init__(self, rnd):
        self.rnd = rnd
        self.epochs, self.told = {}, {}  # by group and member: as it was told last

    def aim(self, body):
        """Makes a random body one that a member may send."""
        choice, chance = self.rnd.choice, self.rnd.random
        group, member = body["GroupId"], body["MemberId"] = choice(GROUPS), choice(IDS)
        known = self.epochs.get((group, member))
        joins = known is None and chance() < 0.9
        at = known or 2
        epoch = 0 if joins else choice([at] * 12 + [at + 1, at - 1, at - 1, 0, -1, -1, -2, -2, -3])
        body["MemberEpoch"] = epoch
        body["InstanceId"] = INSTANCES.get(member) if chance() < 0.93 else choice([None, ""])
        body["RackId"] = choice([None] * 9 + ["r1", ""])
        body["ServerAssignor"] = choice([None] * 8 + ["uniform", "range", "nonsense"])
        body["SubscribedTopicRegex"] = choice([None] * 12 + ["", "(", "[b-a]"])
        full = epoch == 0 and chance() < 0.95
        body["RebalanceTimeoutMs"] = REBALANCE_TIMEOUT_MS if full or chance() < 0.2 else -1
        body["SubscribedTopicNames"] = choice(SUBSCRIPTIONS) if full or chance() < 0.2 else None
        has = self.told.get((group, member), [])
        body["TopicPartitions"] = [] if full else choice([None, None, None, has, has, has, [], has[:1]])

    def learn(self, body, answer, names):
        """names: a topic's name by its id, on the side that gave the answer."""
        key = body["GroupId"], body["MemberId"]
        if answer.get("ErrorCode") in (25, 110):  # unknown, fenced
            self.epochs.pop(key, None)
        if answer.get("ErrorCode") != 0:
            return
        if body["MemberEpoch"] < 0:
            self.epochs.pop(key, None)
            self.told.pop(key, None)
            return
        self.epochs[key] = answer["MemberEpoch"]
        if answer["Assignment"] is not None:
            topics = answer["Assignment"]["TopicPartitions"]
            self.told[key] = [
                {"TopicId": "@" + names.get(topic["TopicId"], "gone"), "Partitions": topic["Partitions"]} for topic in topics
            ]
