"""Share groups (KIP-932) and streams groups (KIP-1071) that Apache Kafka left in the directory: Odradek, which does not serve
them, knows them by their records, lets nobody take their ids, and gives them back as they were."""

import pytest

from harness.batch import batch
from harness.members import ask, await_group, committed, describe_classic
from harness.process import wait_until
from harness.requests import alter, connect, create_topic, now_ms
from harness.wire import Connection

TIMEOUT_S = 60
GROUP = 32  # a kind of resource
SHARE, STREAMS, PLAIN = "shared", "streamed", "plain"
MEMBERS = {SHARE: "S" * 22, STREAMS: "T" * 22}
PARTITIONS, RECORDS, ACKNOWLEDGED = 2, 6, 3
NOT_FOUND, INCONSISTENT_PROTOCOL, UNKNOWN_MEMBER = 69, 23, 25
VOLATILE = ("ClientHost", "ThrottleTimeMs")


class Share:
    """A member of the share group, which takes records and acknowledges some."""

    def __init__(self, port, topic_id):
        self.connection, self.topic_id = Connection("127.0.0.1", port, TIMEOUT_S), topic_id
        self.epoch, self.session = 0, 0

    def reconnect(self, port):
        self.connection.close()
        self.connection, self.session = Connection("127.0.0.1", port, TIMEOUT_S), 0

    def beat(self):
        body = {"GroupId": SHARE, "MemberId": MEMBERS[SHARE], "MemberEpoch": self.epoch}
        answer = ask(self.connection, "ShareGroupHeartbeat", 1, {**body, "SubscribedTopicNames": ["t"] if self.epoch == 0 else None})
        self.epoch = answer["MemberEpoch"]
        return answer

    def fetch(self, acknowledge=None):
        """(first, last) of what is acquired; acknowledge: the last offset of those from 0 on that are done with."""
        batches = [] if acknowledge is None else [{"FirstOffset": 0, "LastOffset": acknowledge, "AcknowledgeTypes": [1]}]
        topics = [{"TopicId": self.topic_id, "Partitions": [{"PartitionIndex": 0, "AcknowledgementBatches": batches}]}]
        body = {
            "GroupId": SHARE, "MemberId": MEMBERS[SHARE], "ShareSessionEpoch": self.session, "MaxWaitMs": 500, "MinBytes": 1,
            "MaxRecords": 100, "BatchSize": 100, "Topics": topics, "ForgottenTopicsData": [],
        }  # fmt: skip
        answer = ask(self.connection, "ShareFetch", 1, body)
        self.session += 1
        parts = [p for topic in answer["Responses"] for p in topic["Partitions"]]
        assert all(p["AcknowledgeErrorCode"] == 0 for p in parts), parts
        if any(p["ErrorCode"] != 0 for p in parts):  # the share coordinator has not loaded yet, or its topic comes to be
            assert acknowledge is None, parts
            return []
        return [(a["FirstOffset"], a["LastOffset"]) for p in parts for a in p["AcquiredRecords"]]


class Streams:
    """A member of the streams group, which has a task for each partition and commits as a member does."""

    def __init__(self, port):
        self.connection, self.epoch = Connection("127.0.0.1", port, TIMEOUT_S), 0

    def reconnect(self, port):
        self.connection.close()
        self.connection = Connection("127.0.0.1", port, TIMEOUT_S)

    def beat(self):
        body = {"GroupId": STREAMS, "MemberId": MEMBERS[STREAMS], "MemberEpoch": self.epoch, "ShutdownApplication": False}
        if self.epoch == 0:
            empty = {"SourceTopicRegex": [], "StateChangelogTopics": [], "RepartitionSinkTopics": []}
            topology = {"SubtopologyId": "0", "SourceTopics": ["t"], **empty, "RepartitionSourceTopics": [], "CopartitionGroups": []}
            body.update(RebalanceTimeoutMs=60000, Topology={"Epoch": 0, "Subtopologies": [topology]}, ProcessId="p", ClientTags=[])
            body.update(ActiveTasks=[], StandbyTasks=[], WarmupTasks=[])
        answer = ask(self.connection, "StreamsGroupHeartbeat", 0, body)
        self.epoch = answer["MemberEpoch"]
        return answer

    def commit(self, offsets):
        return offset_commit(self.connection, STREAMS, offsets, MEMBERS[STREAMS], self.epoch)


def offset_commit(connection, group, offsets, member="", epoch=-1):
    """The errors."""
    listed = [{"PartitionIndex": p, "CommittedOffset": offset, "CommittedMetadata": ""} for p, offset in offsets.items()]
    body = {"GroupId": group, "MemberId": member, "GenerationIdOrMemberEpoch": epoch, "GroupInstanceId": None}
    answer = connection.call("OffsetCommit", 9, {**body, "Topics": [{"Name": "t", "Partitions": listed}]})
    return {p["ErrorCode"] for one in answer["Topics"] for p in one["Partitions"]}


def described(port):
    """Both groups as their own APIs describe them."""

    def plain(obj):
        if isinstance(obj, dict):
            return {k: plain(v) for k, v in obj.items() if k not in VOLATILE}
        return [plain(x) for x in obj] if isinstance(obj, list) else obj

    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        one = ask(connection, "ShareGroupDescribe", 1, {"GroupIds": [SHARE]}, lambda a: a["Groups"][0])
        other = ask(connection, "StreamsGroupDescribe", 0, {"GroupIds": [STREAMS]}, lambda a: a["Groups"][0])
    return plain(one), plain(other)


def listed(connection):
    groups = connection.call("ListGroups", 5, {"StatesFilter": [], "TypesFilter": []})["Groups"]
    return {group["GroupId"]: group["GroupType"] for group in groups}


def setting_of(broker, group, name):
    """As the broker knows it, which follows the controller a moment later."""
    wanted = {"ResourceType": GROUP, "ResourceName": group, "ConfigurationKeys": [name]}
    with connect(broker) as connection:
        answer = connection.call("DescribeConfigs", 4, {"Resources": [wanted]})["Results"][0]
    return next((one["Value"] for one in answer["Configs"] if one["Name"] == name), None)


def produce_some(port):
    records = batch([(b"k", b"%d" % number) for number in range(RECORDS)], ts=now_ms())
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        data = [{"Name": "t", "PartitionData": [{"Index": 0, "Records": records}]}]
        answer = connection.call("Produce", 9, {"Acks": -1, "TimeoutMs": 5000, "TopicData": data})
        assert answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"] == 0


def refuses_all(broker):
    """Nobody takes the ids, and nothing of the groups changes, but what an administrator may."""
    with connect(broker) as connection:
        wait_until(lambda: set(listed(connection)) == {SHARE, STREAMS, PLAIN}, TIMEOUT_S, "the groups")
        assert listed(connection) == {SHARE: "share", STREAMS: "streams", PLAIN: "classic"}
        for group in (SHARE, STREAMS):
            join = {
                "GroupId": group, "SessionTimeoutMs": 10000, "RebalanceTimeoutMs": 10000, "MemberId": "",
                "ProtocolType": "consumer", "Protocols": [{"Name": "range", "Metadata": b""}],
            }  # fmt: skip
            assert connection.call("JoinGroup", 3, join)["ErrorCode"] == INCONSISTENT_PROTOCOL
            beat = {"GroupId": group, "MemberId": "m", "MemberEpoch": 0, "RebalanceTimeoutMs": 9000, "SubscribedTopicNames": ["t"]}
            assert connection.call("ConsumerGroupHeartbeat", 1, {**beat, "TopicPartitions": []})["ErrorCode"] == NOT_FOUND
            assert connection.call("DeleteGroups", 2, {"GroupsNames": [group]})["Results"][0]["ErrorCode"] == NOT_FOUND
        assert offset_commit(connection, SHARE, {0: 1}) == {NOT_FOUND}
        assert offset_commit(connection, STREAMS, {0: 1}, MEMBERS[STREAMS], 1) == {UNKNOWN_MEMBER}
        assert offset_commit(connection, STREAMS, {1: 44}) == {0}
        assert offset_commit(connection, PLAIN, {0: 2}) == {0}
    assert committed(broker.port, STREAMS) == {0: 5, 1: 44}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", ["stop", "kill"])
def test_kept_and_given_back(brokers, how):
    """Nothing is lost of them, also when Kafka and then Odradek are killed."""
    broker = brokers.start("kafka", settings={"group.coordinator.rebalance.protocols": "classic,consumer,streams,share"})
    topic_id = create_topic(broker, "t", PARTITIONS)
    produce_some(broker.port)
    for group in (SHARE, STREAMS, PLAIN):
        await_group(broker.port, group)
    alter(broker, GROUP, SHARE, share_auto_offset_reset="earliest")
    wait_until(lambda: setting_of(broker, SHARE, "share.auto.offset.reset") == "earliest", TIMEOUT_S, "the setting to be known")
    share, streams = Share(broker.port, topic_id), Streams(broker.port)
    wait_until(lambda: share.beat()["Assignment"] is not None, TIMEOUT_S, "the share group's assignment", every_s=0.2)
    wait_until(lambda: share.fetch() == [(0, RECORDS - 1)], TIMEOUT_S, "its records")
    share.fetch(acknowledge=ACKNOWLEDGED - 1)
    wait_until(lambda: streams.beat()["ActiveTasks"], TIMEOUT_S, "the streams group's tasks", every_s=0.2)
    assert streams.commit({0: 5, 1: 4}) == {0}
    with connect(broker) as connection:
        assert offset_commit(connection, PLAIN, {0: 1}) == {0}
    before = described(broker.port)
    broker.kill() if how == "kill" else broker.stop()

    ours = brokers.successor(broker, brokers.kind)
    ours.start()
    refuses_all(ours)
    produce_some(ours.port)
    if how == "kill":
        ours.kill()
        ours.start()
        with connect(ours) as connection:
            wait_until(lambda: set(listed(connection)) == {SHARE, STREAMS, PLAIN}, TIMEOUT_S, "the groups after a crash")
        assert committed(ours.port, STREAMS) == {0: 5, 1: 44}
    ours.stop()

    broker = brokers.successor(ours, "kafka")
    broker.start()
    for group in (SHARE, STREAMS, PLAIN):
        await_group(broker.port, group)
    assert described(broker.port) == before
    for member in (share, streams):
        member.reconnect(broker.port)
        member.beat()  # it is known
    assert committed(broker.port, STREAMS) == {0: 5, 1: 44}
    assert streams.commit({0: 6}) == {0}
    taken = []

    def all_taken():
        taken.extend(share.fetch())
        return taken and taken[-1][1] == 2 * RECORDS - 1

    wait_until(all_taken, TIMEOUT_S, "what came while Odradek ran")
    assert taken[0][0] == ACKNOWLEDGED  # what was done with does not come again
    assert describe_classic(broker.port, PLAIN)["GroupState"] == "Empty"
