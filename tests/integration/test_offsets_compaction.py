"""__consumer_offsets is compacted as groups write to it, and what is left of it says all that they had."""

from harness.compaction import EAGER, bases, wait_compacted
from harness.members import ClassicMember, ConsumerMember, await_groups, commit, committed, rebalance, settle
from harness.process import wait_until
from harness.requests import TOPIC as TOPICS
from harness.requests import alter, connect, create_topic
from harness.transactions import Producer

TOPIC = "__consumer_offsets"
SEGMENT_BYTES = 16384
COMMITS = 1500  # more than a hundred bytes each
SETTINGS = {
    **EAGER,
    "log.cleaner.min.cleanable.ratio": "0.001",
    "offsets.topic.num.partitions": "1",
}
CHECK = "offsets.retention.check.interval.ms"


def commit_for(connection, group, kept_ms):
    """As clients did who could say how long."""
    partition = {"PartitionIndex": 0, "CommittedOffset": 9, "CommittedMetadata": ""}
    body = {"GroupId": group, "MemberId": "", "GenerationIdOrMemberEpoch": -1, "RetentionTimeMs": kept_ms}
    answer = connection.call("OffsetCommit", 2, {**body, "Topics": [{"Name": "t", "Partitions": [partition]}]})
    assert answer["Topics"][0]["Partitions"][0]["ErrorCode"] == 0, answer


def listed(broker):
    with connect(broker) as connection:
        answer = connection.call("ListGroups", 5, {"StatesFilter": [], "TypesFilter": []})
    assert answer["ErrorCode"] == 0
    return sorted(group["GroupId"] for group in answer["Groups"])


def sealed_bytes(broker):
    return sum((broker.partition_directory(TOPIC) / f"{base:020}.log").stat().st_size for base in bases(broker, TOPIC)[:-1])


def test_what_compaction_leaves(brokers):
    """Offsets, members and their shares, and that others are gone: the same after kill -9."""
    broker = brokers.start(settings={**SETTINGS, CHECK: "100"})
    create_topic(broker, "t", 2)
    groups = ["classic", "consumer", "deleted", "expired", "simple", "transactional"]
    await_groups(broker.port, groups)
    alter(broker, TOPICS, TOPIC, internal_segment_bytes=str(SEGMENT_BYTES))
    with connect(broker) as connection:
        commit_for(connection, "expired", 1)
    wait_until(lambda: listed(broker) == [], 20, "what was to be kept for a moment to go")
    broker.stop()
    del broker.settings[CHECK]  # it would take groups whose first member is about to join
    broker.start()
    await_groups(broker.port, groups)
    one, two = ClassicMember(broker.port, "classic", "a", "t"), ConsumerMember(broker.port, "consumer", "M" * 22, "t")
    rebalance([], [one])
    two.beat()
    settle(broker.port, two)
    producer = Producer(broker.port, "x").init()
    for offset, counts in ((1, True), (2, True), (3, False)):
        producer.commit_offsets("transactional", "t", {0: offset})
        producer.end(counts)
    with connect(broker) as connection:
        commit(connection, "classic", "t", {0: 5}, one.member, one.generation)
        commit(connection, "deleted", "t", {0: 6})
        assert connection.call("DeleteGroups", 2, {"GroupsNames": ["deleted"]})["Results"][0]["ErrorCode"] == 0
        for number in range(COMMITS):
            commit(connection, "simple", "t", {number % 2: number})

    wait_until(lambda: committed(broker.port, "transactional", stable=True) == {0: 2}, 20, "the last transaction's end")

    def had():
        offsets = {group: committed(broker.port, group, stable=True) for group in groups}
        return {"offsets": offsets, "groups": listed(broker), "members": (one.beat(), two.beat(), two.owned)}

    before = had()
    assert before["offsets"] == {
        "classic": {0: 5}, "consumer": {}, "deleted": {}, "expired": {}, "simple": {0: COMMITS - 2, 1: COMMITS - 1}, "transactional": {0: 2},
    }  # fmt: skip
    wait_compacted(broker, TOPIC)
    assert sealed_bytes(broker) < SEGMENT_BYTES < COMMITS * 100
    broker.kill()
    broker.start()
    await_groups(broker.port, groups)
    for member in (one, two):
        member.close()
        member.connection = connect(broker)
    assert had() == before
    one.close()
    two.close()
    producer.close()
