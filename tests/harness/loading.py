"""Coordinators that are asked while they load: a disk that takes its time, and what each request answers meanwhile."""

import contextlib
import os

from harness.batch import batch
from harness.members import await_group, commit
from harness.process import preloadable, wait_until
from harness.requests import connect
from harness.transactions import TRANSACTIONAL, Producer
from harness.wire import Connection

NOT_LEADER, LOADING, NOT_AVAILABLE, NOT_ENOUGH_REPLICAS = 6, 14, 15, 19
FENCED, WRONG_STATE, WRONG_ID = 47, 48, 49
OFFSETS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"
LEAST_BYTES = {"kafka": 1 << 20}  # its start looks at the end of each log; its coordinators read by more than that
ONE_PARTITION = {"offsets.topic.num.partitions": "1", "transaction.state.log.num.partitions": "1"}


class SlowDisk:
    """Lets a broker wait for what it reads."""

    def __init__(self, directory):
        self.library, self.obstacle = preloadable("slow_read.c", directory), directory / "obstacle"

    @contextlib.contextmanager
    def slow(self, broker, topic, directory=""):
        """The broker is started, and within this it does not get ahead with the topic's logs; with those in one directory."""
        self.obstacle.touch()
        slow = {"SLOW_IN": f"{directory}/{topic}-", "SLOW_WHILE": str(self.obstacle), "SLOW_BYTES": str(LEAST_BYTES.get(broker.kind, 0))}
        broker.environment = {**os.environ, **slow, "LD_PRELOAD": str(self.library)}
        broker.start()
        try:
            yield
        finally:
            self.obstacle.unlink()

    def await_reader(self, topic):
        """Somebody waits for what a log of the topic has."""
        waits = self.obstacle.with_name(f"{self.obstacle.name}.waits")
        wait_until(lambda: waits.exists() and f"/{topic}-" in waits.read_text(), 20, f"a reader of {topic}")


def open_transaction(port, name="x"):
    """With a record in t."""
    producer = Producer(port, name).init()
    producer.produce("t", 0, b"v")
    return producer


def commit_in_group(broker, producer):
    """In t the group g is at 5, and with the end of the producer's transaction at 7."""
    await_group(broker.port, "g")
    with connect(broker) as connection:
        commit(connection, "g", "t", {0: 5})
    producer.commit_offsets("g", "t", {0: 7})


def error_at(answer, path):
    """The error at the end of a path of lists, of each the first."""
    for name in path:
        answer = answer[name][0]
    return next(answer[name] for name in ("ErrorCode", "PartitionErrorCode") if name in answer)


def _partition(offset=9):
    return {"PartitionIndex": 0, "CommittedOffset": offset, "CommittedMetadata": ""}


def marker(producer, topic):
    """An abort, as an administrator sends it."""
    one = {"ProducerId": producer.producer_id, "ProducerEpoch": producer.epoch, "CoordinatorEpoch": 0, "TransactionResult": False}
    return {"Markers": [{**one, "Topics": [{"Name": topic, "PartitionIndexes": [0]}]}]}


def _commit_within(producer, topics):
    own = {"TransactionalId": producer.name, "ProducerId": producer.producer_id, "ProducerEpoch": producer.epoch}
    return {**own, "GroupId": "g", "Topics": topics}


def group_answers(port, producer, other):
    """What each request to the coordinator of the group g answers, by its name and version. The other's transaction has no offsets of
    the group's."""
    me = {"GroupId": "g", "MemberId": "", "GroupInstanceId": None, "GenerationId": 1}
    join = {"SessionTimeoutMs": 10000, "RebalanceTimeoutMs": 10000, "ProtocolType": "consumer"}
    commit = {"GroupId": "g", "MemberId": "", "GenerationIdOrMemberEpoch": -1, "Topics": [{"Name": "t", "Partitions": [_partition()]}]}
    beat = {"GroupId": "g", "MemberId": "m", "MemberEpoch": 0, "RebalanceTimeoutMs": 9000, "SubscribedTopicNames": ["t"]}
    within = _commit_within(producer, commit["Topics"])
    requests = [
        ("FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": ["g"]}, "Coordinators"),
        ("JoinGroup", 5, {**me, **join, "Protocols": [{"Name": "range", "Metadata": b""}]}),
        ("SyncGroup", 4, {**me, "MemberId": "m", "Assignments": []}),
        ("Heartbeat", 4, {**me, "MemberId": "m"}),
        ("LeaveGroup", 2, {"GroupId": "g", "MemberId": "m"}),
        ("LeaveGroup", 5, {"GroupId": "g", "Members": [{"MemberId": "m", "GroupInstanceId": None}]}),
        ("OffsetCommit", 9, commit, "Topics", "Partitions"),
        ("OffsetFetch", 7, {"GroupId": "g", "Topics": None, "RequireStable": True}),
        ("OffsetFetch", 9, {"Groups": [{"GroupId": "g", "Topics": None}]}, "Groups"),
        ("OffsetDelete", 0, {"GroupId": "g", "Topics": [{"Name": "t", "Partitions": [{"PartitionIndex": 0}]}]}),
        ("TxnOffsetCommit", 0, _commit_within(other, commit["Topics"]), "Topics", "Partitions"),
        ("TxnOffsetCommit", 1, within, "Topics", "Partitions"),
        ("TxnOffsetCommit", 2, within, "Topics", "Partitions"),
        ("TxnOffsetCommit", 3, {**within, "ProducerEpoch": producer.epoch + 1}, "Topics", "Partitions"),
        ("TxnOffsetCommit", 4, {**within, "ProducerId": other.producer_id}, "Topics", "Partitions"),
        ("TxnOffsetCommit", 5, within, "Topics", "Partitions"),
        ("ListGroups", 5, {"StatesFilter": [], "TypesFilter": []}),
        ("DescribeGroups", 5, {"Groups": ["g"]}, "Groups"),
        ("DeleteGroups", 2, {"GroupsNames": ["g"]}, "Results"),
        ("ConsumerGroupHeartbeat", 1, {**beat, "TopicPartitions": []}),
        ("ConsumerGroupDescribe", 1, {"GroupIds": ["g"]}, "Groups"),
        ("WriteTxnMarkers", 1, marker(producer, OFFSETS), "Markers", "Topics", "Partitions"),
    ]  # fmt: skip
    return _ask(port, requests)


def transaction_answers(port, producer):
    """What each request to the coordinator of the id x answers, by its name and version."""
    own = {"TransactionalId": producer.name, "ProducerId": producer.producer_id, "ProducerEpoch": producer.epoch}
    topics = [{"Name": "t", "Partitions": [0]}]
    below = {"V3AndBelowTransactionalId": producer.name, "V3AndBelowProducerId": producer.producer_id}
    below |= {"V3AndBelowProducerEpoch": producer.epoch, "V3AndBelowTopics": topics}
    within = _commit_within(producer, [{"Name": "t", "Partitions": [_partition()]}])
    records = batch([(b"k", b"w")], pid=producer.producer_id, epoch=producer.epoch, seq=1, attributes=TRANSACTIONAL)
    produce = {"TransactionalId": producer.name, "Acks": -1, "TimeoutMs": 10000}
    produce["TopicData"] = [{"Name": "other", "PartitionData": [{"Index": 0, "Records": records}]}]
    added = ("ResultsByTransaction", "TopicResults", "ResultsByPartition")
    requests = [
        ("FindCoordinator", 4, {"KeyType": 1, "CoordinatorKeys": ["x"]}, "Coordinators"),
        ("InitProducerId", 4, {"TransactionalId": "x", "TransactionTimeoutMs": 60000}),
        ("AddPartitionsToTxn", 3, below, "ResultsByTopicV3AndBelow", "ResultsByPartition"),
        ("AddPartitionsToTxn", 4, {"Transactions": [{**own, "VerifyOnly": False, "Topics": topics}]}, *added),
        ("AddOffsetsToTxn", 4, {**own, "GroupId": "g"}),
        ("TxnOffsetCommit", 4, within, "Topics", "Partitions"),
        ("TxnOffsetCommit", 5, within, "Topics", "Partitions"),
        ("Produce", 11, produce, "Responses", "PartitionResponses"),
        ("Produce", 12, produce, "Responses", "PartitionResponses"),
        ("EndTxn", 4, {**own, "Committed": True}),
        ("EndTxn", 5, {**own, "Committed": True}),
        ("DescribeTransactions", 0, {"TransactionalIds": ["x"]}, "TransactionStates"),
        ("ListTransactions", 1, {}),
    ]  # fmt: skip
    return _ask(port, requests)


def _ask(port, requests):
    with Connection("127.0.0.1", port, 60) as connection:
        return {f"{api} {version}": error_at(connection.call(api, version, body), path) for api, version, body, *path in requests}


# Of group_answers: members hear of nothing, as far as that goes; the coordinator of a transaction is asked before the group's.
GROUP_ANSWERS = {"FindCoordinator 4": 0, "Heartbeat 4": 0, "TxnOffsetCommit 1": NOT_AVAILABLE, "WriteTxnMarkers 1": NOT_LEADER}
GROUP_ANSWERS |= {"TxnOffsetCommit 0": WRONG_STATE, "TxnOffsetCommit 3": FENCED, "TxnOffsetCommit 4": WRONG_ID}
TRANSACTION_ANSWERS = {"FindCoordinator 4": 0, "Produce 11": NOT_ENOUGH_REPLICAS, "Produce 12": NOT_ENOUGH_REPLICAS}


def check(answers, others):
    """All say that the coordinator loads, but for those."""
    assert answers == {**dict.fromkeys(answers, LOADING), **others}
