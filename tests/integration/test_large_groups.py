"""Groups of the consumer protocol that are too large to be assigned within a heartbeat: a worker does it. And one of many members."""

from harness.broker import sanitized
from harness.members import await_group
from harness.process import wait_until
from harness.requests import connect, create_topic

PARTITIONS = 10
NAMES = ["large"] + [f"none-{number}" for number in range(2000)]  # subscriptions count, too, also to what does not exist
GROUP = "large"
SOON_MS = 100  # what members are told while a worker assigns


def beat(connection, member, epoch, **more):
    first = {"RebalanceTimeoutMs": 60000, "SubscribedTopicNames": NAMES, "TopicPartitions": []} if epoch == 0 else {}
    body = {"GroupId": GROUP, "MemberId": member, "MemberEpoch": epoch, **first, **more}
    return connection.call("ConsumerGroupHeartbeat", 1, body)


def partitions(assignment):
    return {p for topic in assignment["TopicPartitions"] for p in topic["Partitions"]}


class Member:
    """As a client: what it is told to have it has, and says so."""

    def __init__(self, connection, name):
        self.connection, self.name, self.has = connection, name, set()
        self.topic_id = None
        self.epoch = 0
        self.intervals = []

    def beat(self):
        own = [{"TopicId": self.topic_id, "Partitions": sorted(self.has)}] if self.has else []
        answer = beat(self.connection, self.name, self.epoch, TopicPartitions=own)
        assert answer["ErrorCode"] == 0, answer
        self.epoch = answer["MemberEpoch"]
        self.intervals.append(answer["HeartbeatIntervalMs"])
        if answer["Assignment"] is not None:
            self.has = partitions(answer["Assignment"])
        return len(self.has)


def test_a_worker_assigns(brokers):
    broker = brokers.start(settings={"group.consumer.assignment.interval.ms": 0})
    topic_id = create_topic(broker, "large", PARTITIONS)
    with connect(broker) as connection:
        asked = {"KeyType": 0, "CoordinatorKeys": [GROUP]}

        def coordinated():
            found = connection.call("FindCoordinator", 4, asked)["Coordinators"][0]
            return found["ErrorCode"] == 0 and connection.call("DescribeGroups", 5, {"Groups": [GROUP]})["Groups"][0]["ErrorCode"] == 0

        wait_until(coordinated, 20, "the group's coordinator")
        members = [Member(connection, name * 22) for name in "MN"]
        for member in members:
            member.topic_id = topic_id
            assert member.beat() == 0  # not yet
            assert member.intervals[-1] == SOON_MS
        shares = lambda: [member.beat() for member in members] == [PARTITIONS // 2] * 2  # noqa: E731
        wait_until(shares, 20, "each to have its half")
        assert not members[0].has & members[1].has
        wait_until(lambda: [member.beat() and member.intervals[-1] for member in members] == [5000] * 2, 20, "the usual interval")
        described = connection.call("ConsumerGroupDescribe", 1, {"GroupIds": [GROUP]})["Groups"][0]
        assert described["GroupState"] == "Stable", described["GroupState"]
        for member in described["Members"]:
            assert len(partitions(member["Assignment"])) == PARTITIONS // 2
    broker.kill()
    broker.start()
    with connect(broker) as connection:
        wait_until(lambda: beat(connection, members[0].name, members[0].epoch)["ErrorCode"] == 0, 20, "the group after a crash")
        described = connection.call("ConsumerGroupDescribe", 1, {"GroupIds": [GROUP]})["Groups"][0]
        assert [len(partitions(member["TargetAssignment"])) for member in described["Members"]] == [PARTITIONS // 2] * 2


MEMBERS = 200 if sanitized() else 1_000
AT_ONCE = 200  # heartbeats under way


def test_a_thousand_members(brokers):
    """Each joins, and in the end has a partition of its own, all in one epoch."""
    broker = brokers.start()
    topic_id = create_topic(broker, "many", MEMBERS)
    await_group(broker.port, "many")
    members = [{"epoch": 0, "has": set()} for _ in range(MEMBERS)]

    def send(connection, number):
        epoch, has = members[number]["epoch"], sorted(members[number]["has"])
        own = [{"TopicId": topic_id, "Partitions": has}] if has else []
        first = {"RebalanceTimeoutMs": 60000, "SubscribedTopicNames": ["many"]} if epoch == 0 else {}
        body = {"GroupId": "many", "MemberId": f"member-{number:04}", "MemberEpoch": epoch, **first, "TopicPartitions": own}
        connection.send("ConsumerGroupHeartbeat", 1, body)

    def take(connection, number):
        answer = connection.receive("ConsumerGroupHeartbeat", 1)[1]
        assert answer["ErrorCode"] == 0, answer
        members[number]["epoch"] = answer["MemberEpoch"]
        if answer["Assignment"] is not None:
            members[number]["has"] = partitions(answer["Assignment"])

    def settled(connection):
        for first in range(0, MEMBERS, AT_ONCE):
            for number in range(first, first + AT_ONCE):
                send(connection, number)
            for number in range(first, first + AT_ONCE):
                take(connection, number)
        return {len(member["has"]) for member in members} == {1} and len({member["epoch"] for member in members}) == 1

    with connect(broker, 60) as connection:
        wait_until(lambda: settled(connection), 60, "each to have a partition", every_s=0.2)
        assert set().union(*(member["has"] for member in members)) == set(range(MEMBERS))
        described = connection.call("ConsumerGroupDescribe", 1, {"GroupIds": ["many"]})["Groups"][0]
        assert (described["GroupState"], len(described["Members"])) == ("Stable", MEMBERS)
