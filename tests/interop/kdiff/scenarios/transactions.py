"""Transactions: a producer's epochs, what its transaction covers, how it ends, and the markers."""

import time

from harness.batch import batch
from interop.kdiff.run import give_time
from interop.kdiff.scenarios import groups
from interop.kdiff.scenarios.parts import fetch, fetch_partition, produce, topic, topic_id

LOADING = (14, 15, 16)
UNSETTLED = ("PrepareCommit", "PrepareAbort")
DESCRIBE_TRANSACTIONS = 65
NOW = int(time.time() * 1000)
TIMEOUT_MS = 60000
TRANSACTIONAL = 16


def ready(step, *ids):
    """Waits until both sides coordinate these transactional ids."""
    for side in step.run.sides:
        for name in ids:

            def coordinates(side=side, name=name):
                found = side.call("FindCoordinator", 4, {"KeyType": 1, "CoordinatorKeys": [name]})
                ended = side.call("EndTxn", 4, {"TransactionalId": name, "ProducerId": 1 << 40, "ProducerEpoch": 0, "Committed": True})
                return found["Coordinators"][0]["ErrorCode"] == 0 and ended["ErrorCode"] not in LOADING

            give_time(coordinates)
        await_producer_ids(side)


def await_producer_ids(side):
    asked = {"TransactionalId": None, "TransactionTimeoutMs": 1}
    give_time(lambda: side.call("InitProducerId", 4, asked).get("ErrorCode") not in LOADING)


def deleted(step, name):
    """Waits until both sides have let go of a topic that was deleted."""
    for side in step.run.sides:
        give_time(lambda side=side: not side.has_partition(name))


def settled(step, name):
    """Waits until both sides have carried through what they decided of this id."""
    for side in step.run.sides:

        def carried_through(side=side):
            state = side.call("DescribeTransactions", 0, {"TransactionalIds": [name]})
            return "_" in state or state["TransactionStates"][0]["TransactionState"] not in UNSETTLED

        give_time(carried_through, every_s=0.02)


def describe(step, name):
    settled(step, name)
    if DESCRIBE_TRANSACTIONS in step.run.ranges["ours"]:
        step("DescribeTransactions", None, {"TransactionalIds": [name]})


def who(keep, bump=0):
    """The producer id and epoch of an answer that was kept."""
    if isinstance(keep, tuple):
        return lambda context: keep
    return lambda context: (context[keep]["ProducerId"], context[keep]["ProducerEpoch"] + bump)


NOBODY = (-1, -1)


def init(step, version, name, keep=None, producer=NOBODY, bump=0, timeout_ms=TIMEOUT_MS):
    def body(context):
        producer_id, epoch = who(producer, bump)(context)
        return {
            "TransactionalId": name,
            "TransactionTimeoutMs": timeout_ms,
            "ProducerId": producer_id,
            "ProducerEpoch": epoch,
        }

    answers = step("InitProducerId", version, body, keep=keep)
    settled(step, name)
    return answers


def add(step, version, name, producer, topics, bump=0, verify=False):
    """topics: [(name, [partition])]."""

    def body(context):
        producer_id, epoch = who(producer, bump)(context)
        listed = [{"Name": topic_name, "Partitions": partitions} for topic_name, partitions in topics]
        if version < 4:
            return {
                "V3AndBelowTransactionalId": name,
                "V3AndBelowProducerId": producer_id,
                "V3AndBelowProducerEpoch": epoch,
                "V3AndBelowTopics": listed,
            }
        one = {"TransactionalId": name, "ProducerId": producer_id, "ProducerEpoch": epoch, "VerifyOnly": verify}
        return {"Transactions": [{**one, "Topics": listed}]}

    return step("AddPartitionsToTxn", version, body)


def end(step, version, name, producer, commit=True, bump=0, keep=None):
    def body(context):
        producer_id, epoch = who(producer, bump)(context)
        return {"TransactionalId": name, "ProducerId": producer_id, "ProducerEpoch": epoch, "Committed": commit}

    answers = step("EndTxn", version, body, keep=keep)
    settled(step, name)
    return answers


def coordinators(step, version, prefix):
    ready(step, prefix + "x", "")
    groups.ready(step, prefix + "x")  # of which version 0 asks: it knows no kinds
    for names in ([prefix + "x"], [prefix + "x", ""], []):
        body = {"Key": prefix + "x", "KeyType": 1}
        step("FindCoordinator", version, body if version < 4 else {"CoordinatorKeys": names, "KeyType": 1})


def producers(step, version, prefix):
    """InitProducerId: epochs, who is expected, timeouts."""
    name = prefix + "x"
    ready(step, name, prefix + "y")
    for timeout_ms in (0, -1, 900001, 1 << 30):
        init(step, version, prefix + "y", timeout_ms=timeout_ms)
    init(step, version, "")
    init(step, version, prefix + "y", timeout_ms=900000)
    init(step, version, name, keep="first")
    init(step, version, name, keep="second")
    if version < 3:
        return
    init(step, version, name, producer=(-1, 0))
    init(step, version, name, producer=(0, -1))
    init(step, version, name, producer="first")
    init(step, version, name, producer="second", bump=1)
    init(step, version, name, producer="second", keep="third")
    init(step, version, name, producer="second")
    init(step, version, name, producer="second")
    init(step, version, name, producer="first")
    init(step, version, name, producer=(1 << 40, 0))
    init(step, version, name, producer="third")
    init(step, version, prefix + "new", producer=(1 << 40, 3))
    describe(step, name)
    describe(step, prefix + "y")


def fenced(step, version, prefix):
    """A new producer, or the same one after an error, aborts what is open."""
    name, at = prefix + "x", prefix + "t"
    ready(step, name)
    topic(step, at, 2)
    init(step, None, name, keep="old")
    add(step, 3, name, "old", [(at, [0, 1])])
    init(step, version, name)
    init(step, version, name, keep="new")
    describe(step, name)
    end(step, 1, name, "old")
    end(step, 4, name, "old")
    end(step, 5, name, "old")
    for number in (0, 2, 3, 4, 5):
        add(step, number, name, "old", [(at, [0])])
    if version < 3:
        return
    init(step, version, name, producer="old")
    add(step, 3, name, "new", [(at, [0])])
    init(step, version, name, producer="new")
    init(step, version, name, producer="new", keep="newer")
    describe(step, name)
    add(step, 4, name, "newer", [(at, [0])])
    init(step, version, name, producer="newer", bump=-1)
    init(step, version, name, producer=(1 << 40, 0))
    init(step, version, name, producer="newer")
    init(step, version, name, producer="newer")
    describe(step, name)


def additions(step, version, prefix):
    name, at, other = prefix + "x", prefix + "t", prefix + "u"
    ready(step, name)
    topic(step, at, 3)
    topic(step, other, 1)
    init(step, None, name, keep="me")
    add(step, version, name, "me", [(at, [0]), ("missing", [0])])
    add(step, version, name, "me", [(at, [0, 7, -1]), (other, [0])])
    add(step, version, name, "me", [("__consumer_offsets", [0])])
    add(step, version, name, "me", [("", [0]), ("bad name!", [0])])
    add(step, version, "", "me", [(at, [0])])
    add(step, version, "", "me", [(at, [0, 9])])
    add(step, version, prefix + "nobody", "me", [(at, [0])])
    add(step, version, name, (1 << 40, 0), [(at, [0])])
    add(step, version, name, "me", [(at, [0])], bump=1)
    add(step, version, name, "me", [(at, [0])], bump=-1)
    describe(step, name)
    if version >= 4:
        add(step, version, name, "me", [(at, [0])], verify=True)
    add(step, version, name, "me", [(at, [0, 0, 2]), (other, []), (at, [2])])
    add(step, version, name, "me", [(at, [0])])
    describe(step, name)
    add(step, version, name, "me", [(other, [0])])
    add(step, version, name, "me", [])
    describe(step, name)
    if version >= 4:
        several(step, version, name, prefix + "nobody", at, other)
    end(step, 5 if version >= 4 else 4, name, "me", keep="next")
    add(step, version, name, "me", [(at, [0])])
    describe(step, name)


def several(step, version, name, nobody, at, other):
    """Transactions that are verified together; several of one id take the last one's partitions."""

    def one(context, transactional_id, topics, verify):
        producer_id, epoch = who("me")(context)
        listed = [{"Name": topic_name, "Partitions": partitions} for topic_name, partitions in topics]
        one = {"TransactionalId": transactional_id, "ProducerId": producer_id, "ProducerEpoch": epoch}
        return {**one, "VerifyOnly": verify, "Topics": listed}

    for verify in (True, False):
        step("AddPartitionsToTxn", version, lambda c: {"Transactions": [one(c, name, [(at, [0, 1])], True), one(c, nobody, [(at, [0])], verify)]})  # noqa: B023
    step("AddPartitionsToTxn", version, lambda c: {"Transactions": [one(c, name, [(at, [0])], True), one(c, name, [(other, [0])], True)]})
    step("AddPartitionsToTxn", version, lambda c: {"Transactions": [one(c, name, [("missing", [0]), (at, [1])], True)]})
    step("AddPartitionsToTxn", version, lambda c: {"Transactions": [one(c, "", [(at, [1])], True)]})
    step("AddPartitionsToTxn", version, lambda c: {"Transactions": [one(c, name, [], True)]})


def ends(step, version, prefix):
    name, at = prefix + "x", prefix + "t"
    raises = version >= 5
    adds = 4 if raises else 3
    ready(step, name)
    topic(step, at, 2)
    init(step, None, name, keep="me")
    end(step, version, "", "me")
    end(step, version, prefix + "nobody", "me")
    end(step, version, name, (1 << 40, 0))
    end(step, version, name, "me", bump=1)
    end(step, version, name, "me", bump=-1)
    end(step, version, name, "me")
    end(step, version, name, "me", commit=False, keep="after" if raises else None)
    describe(step, name)
    me = "after" if raises else "me"
    for commit in (True, False, False, True):
        add(step, adds, name, me, [(at, [0, 1])])
        describe(step, name)
        end(step, version, name, me, commit=commit, keep="next" if raises else None)
        describe(step, name)
        end(step, version, name, me, commit=commit)  # again, as if the answer had got lost
        end(step, version, name, me, commit=not commit)
        if raises:
            end(step, version, name, "next", commit=True)
            end(step, version, name, "next", commit=False, keep="me")
            end(step, version, name, "me", commit=False, keep="after")
        describe(step, name)
    init(step, None, name)
    end(step, version, name, me)


def mixed(step, version, prefix):
    """Clients of either transaction version, one after the other."""
    name, at = prefix + "x", prefix + "t"
    ready(step, name)
    topic(step, at)
    init(step, None, name, keep="me")
    for adds, ends_with in ((4, version), (3, 5), (3, version)):
        add(step, adds, name, "me", [(at, [0])])
        end(step, ends_with, name, "me", commit=adds == 4)
        describe(step, name)
        settled(step, name)
        init(step, None, name, keep="me")


def gone(step, version, prefix):
    """A partition that is deleted does not hold up the end."""
    name, at, other = prefix + "x", prefix + "t", prefix + "u"
    ready(step, name)
    topic(step, at)
    topic(step, other)
    init(step, None, name, keep="me")
    add(step, 4 if version >= 5 else 3, name, "me", [(at, [0]), (other, [0])])
    step("DeleteTopics", None, {"Topics": [{"Name": at}], "TimeoutMs": 10000})
    deleted(step, at)
    end(step, version, name, "me")
    describe(step, name)


def recreated(step, version, prefix):
    """A topic that is deleted and made again while a transaction covers it: the new one gets the marker."""
    name, at = prefix + "x", prefix + "t"
    raises = version >= 5
    ready(step, name)
    topic(step, at)
    init(step, None, name, keep="me")
    if not raises:
        add(step, 3, name, "me", [(at, [0])])
    step("Produce", 12 if raises else 11, transactional("me", at, RECORD, 0, name))
    step("DeleteTopics", None, {"Topics": [{"Name": at}], "TimeoutMs": 10000})
    deleted(step, at)
    topic(step, at)
    id_of = topic_id(step, at)
    step("DescribeProducers", None, {"Topics": [{"Name": at, "PartitionIndexes": [0]}]})
    end(step, version, name, "me", keep="next" if raises else None)
    describe(step, name)
    ignore = ("ProducerId", "BaseTimestamp", "MaxTimestamp", "CrcOk")
    step("Fetch", 12, fetch(at, id_of, [fetch_partition(0, 0)], IsolationLevel=1), ignore=ignore)
    step("DescribeProducers", None, {"Topics": [{"Name": at, "PartitionIndexes": [0]}]}, ignore=("LastTimestamp",))


def marker(step, version, producer, topics, commit=True, coordinator_epoch=0, transaction_version=0, bump=0):
    def body(context):
        producer_id, epoch = who(producer, bump)(context)
        one = {
            "ProducerId": producer_id,
            "ProducerEpoch": epoch,
            "TransactionResult": commit,
            "Topics": [{"Name": name, "PartitionIndexes": partitions} for name, partitions in topics],
            "CoordinatorEpoch": coordinator_epoch,
            "TransactionVersion": transaction_version,
        }
        return {"Markers": [one]}

    step("WriteTxnMarkers", version, body, ignore=("ProducerId",))


def markers(step, version, prefix):
    at, other = prefix + "t", prefix + "u"
    for side in step.run.sides:
        await_producer_ids(side)
    topic(step, at, 2)
    topic(step, other)
    id_of = topic_id(step, at)
    step("InitProducerId", None, {"TransactionalId": None, "TransactionTimeoutMs": 0}, keep="me")
    step("WriteTxnMarkers", version, {"Markers": []})
    marker(step, version, "me", [])
    marker(step, version, "me", [(at, [])])
    marker(step, version, "me", [(at, [0, 5]), ("missing", [0])])
    marker(step, version, "me", [("missing", [0])])
    marker(step, version, "me", [(at, [0, 1]), (other, [0])], commit=False, coordinator_epoch=3)
    marker(step, version, "me", [(at, [0])], coordinator_epoch=2)
    marker(step, version, "me", [(at, [0])], coordinator_epoch=-1)
    marker(step, version, "me", [(at, [0])], coordinator_epoch=4, bump=2)
    marker(step, version, "me", [(at, [0])], coordinator_epoch=4, bump=1)
    marker(step, version, (1 << 40, 0), [(at, [1])], coordinator_epoch=4)
    for producers_version in (0, 1, 2, 3):
        for bump in (1, 2, 3):
            marker(step, version, "me", [(at, [0])], coordinator_epoch=4, bump=bump, transaction_version=producers_version)
    step("Fetch", 12, fetch(at, id_of, [fetch_partition(0, 0), fetch_partition(1, 0)]), ignore=("ProducerId", "BaseTimestamp", "MaxTimestamp", "CrcOk"))


def markers_together(step, version, prefix):
    """Several markers in one request: of each producer one result, in the order of a hash map; what spoils the others."""
    at, other = prefix + "t", prefix + "u"
    topic(step, at, 3)
    topic(step, other, 3)
    groups.ready(step, prefix + "g")

    def one(producer_id, *topics, epoch=0, commit=True):
        topics = [{"Name": name, "PartitionIndexes": list(partitions)} for name, *partitions in topics]
        more = {"TransactionResult": commit, "CoordinatorEpoch": 0, "TransactionVersion": 0}
        return {"ProducerId": producer_id, "ProducerEpoch": epoch, "Topics": topics, **more}

    ask = lambda *all: step("WriteTxnMarkers", version, {"Markers": list(all)})  # noqa: E731
    ids = (1 << 20) + 17, 1 << 20, (1 << 33) + 3, (1 << 20) + 1, (1 << 20) + 30
    ask(*(one(producer, (at, i % 3), (other, 0)) for i, producer in enumerate(ids)))
    ask(*(one((1 << 20) + 7 * i, (at, i % 3)) for i in range(14)))  # a table of 32
    ask(one(ids[0], (at, 0)), one(ids[1], ("missing", 0)), one(ids[0], (at, 1), (other, 2)), one(ids[0], (at, 0), commit=False))
    ask(one(ids[0]), one(ids[1], (at,)), one(ids[2], ("missing", 1)))
    # No producer has such an id or epoch: it matters where something exists.
    for bad in ((-1, 0), (ids[0], -1)):
        ask(one(bad[0], ("missing", 0), (at, 9), epoch=bad[1]))
        ask(one(bad[0], epoch=bad[1]))
        ask(one(bad[0], ("__consumer_offsets", 0), ("missing", 0), epoch=bad[1]), one(ids[1], (at, 2)))
        ask(one(ids[1], (at, 2)), one(bad[0], ("missing", 0), (at, 0), epoch=bad[1]), one(ids[3], (at, 1)), one(ids[4]))
        ask(one(bad[0], ("missing", 0), (at, 1), epoch=bad[1]), one(ids[1], (at, 2)), one(bad[0], (at, 0), (other, 1), epoch=bad[1]))
    ends = [{"PartitionIndex": partition, "CurrentLeaderEpoch": -1, "Timestamp": -1} for partition in range(3)]
    step("ListOffsets", 5, {"ReplicaId": -1, "IsolationLevel": 0, "Topics": [{"Name": at, "Partitions": ends}]})


def idempotent(step, version, prefix):
    """Markers beside what a producer wrote outside of transactions."""
    at = prefix + "t"
    for side in step.run.sides:
        await_producer_ids(side)
    topic(step, at)
    step("InitProducerId", None, {"TransactionalId": None, "TransactionTimeoutMs": 0}, keep="me")

    def records(epoch, sequence):
        def body(context):
            producer_id = context["me"]["ProducerId"]
            return produce(at, batch([(b"k", b"v")], ts=NOW, pid=producer_id, epoch=epoch, seq=sequence))

        return body

    step("Produce", 9, records(3, 0))
    marker(step, version, "me", [(at, [0])], bump=2)
    marker(step, version, "me", [(at, [0])], bump=3)
    step("Produce", 9, records(3, 1))
    marker(step, version, "me", [(at, [0])], bump=4, transaction_version=2)
    step("Produce", 9, records(3, 2))
    step("Produce", 9, records(4, 7))
    step("Produce", 9, records(4, 0))


def transactional(keep, at, records, sequence, name=None, bump=0, partition=0):
    """A Produce request of a transaction's batch."""

    def body(context):
        producer_id, epoch = who(keep, bump)(context)
        made = batch(records, ts=NOW, pid=producer_id, epoch=epoch, seq=sequence, attributes=TRANSACTIONAL)
        return {**produce(at, made, partition=partition), "TransactionalId": name}

    return body


RECORD = [(b"k", b"v")]


def produced(step, version, prefix):
    """What a partition takes of a transaction, in each version of Produce."""
    name, at = prefix + "x", prefix + "t"
    version = min(version, 12)
    adds = version >= 12
    ready(step, name)
    topic(step, at, 2)
    id_of = topic_id(step, at)
    init(step, None, name, keep="me")
    step("Produce", version, transactional("me", at, RECORD, 0, None))
    step("Produce", version, transactional("me", at, RECORD, 0, ""))
    step("Produce", version, transactional("me", at, RECORD, 0, prefix + "nobody"))
    step("Produce", version, transactional((1 << 40, 0), at, RECORD, 0, name))
    step("Produce", version, transactional("me", at, RECORD, 0, name, bump=1))
    if not adds:
        step("Produce", version, transactional("me", at, RECORD, 0, name))
        add(step, 3, name, "me", [(at, [0])])
    step("Produce", version, transactional("me", at, RECORD, 5, name))
    step("Produce", version, transactional("me", at, RECORD, 0, name))
    step("Produce", version, transactional("me", at, RECORD, 0, name))
    step("Produce", version, transactional("me", at, RECORD, 1, name))
    step("Produce", version, transactional("me", at, RECORD, 7, name))
    step("Produce", version, transactional("me", at, RECORD, 0, name, partition=1))
    describe(step, name)
    step("DescribeProducers", None, {"Topics": [{"Name": at, "PartitionIndexes": [0]}]})
    end(step, 5 if adds else 4, name, "me", keep="after")
    step("Produce", version, transactional("me", at, RECORD, 2, name))
    if adds:
        step("Produce", version, transactional("after", at, RECORD, 0, name))
        end(step, 5, name, "after", commit=False, keep="next")
    partitions = [fetch_partition(0, 0), fetch_partition(1, 0)]
    step("Fetch", 12, fetch(at, id_of, partitions, IsolationLevel=1), ignore=("BaseTimestamp", "MaxTimestamp", "CrcOk"))
    for level in (0, 1):
        wanted = [{"PartitionIndex": 0, "Timestamp": -1}]
        step("ListOffsets", None, {"ReplicaId": -1, "IsolationLevel": level, "Topics": [{"Name": at, "Partitions": wanted}]})


def damaged(raw):
    """With a checksum that is wrong."""
    return raw[:17] + bytes(byte ^ 255 for byte in raw[17:21]) + raw[21:]


def refused_batches(step, version, prefix):
    """Whether the coordinator is asked before a batch is looked at: who is fenced hears of that first, and a partition joins
    the transaction of a client of version 2 all the same."""
    version = min(version, 12)
    name, other, at = prefix + "x", prefix + "y", prefix + "t"
    ready(step, name, other)
    groups.ready(step, name)
    step.settle("__consumer_offsets", 4)
    topic(step, at, 4, configs=[("cleanup.policy", "compact"), ("max.message.bytes", "1000")])
    init(step, None, name, keep="me")

    def made(keep, partition, records, spoil=lambda raw: raw, bump=0, where=at):
        def body(context):
            producer_id, epoch = who(keep, bump)(context)
            raw = batch(records, ts=NOW, pid=producer_id, epoch=epoch, seq=0, attributes=TRANSACTIONAL)
            return {**produce(where, spoil(raw), partition=partition), "TransactionalId": name}

        return body

    bad = ((None, b"v"),), ((b"k", b"v" * 2000),)
    for partition, records in enumerate(bad):
        step("Produce", version, made("me", partition, records, bump=1))
        step("Produce", version, made("me", partition, records))
        describe(step, name)
    step("Produce", version, made("me", 2, RECORD, damaged))
    step("Produce", version, made("me", 2, RECORD, damaged, bump=1))
    step("Produce", version, made("me", 0, RECORD, where="__consumer_offsets"))
    step("Produce", version, produce("__consumer_offsets", batch(RECORD, ts=NOW), partition=0))
    describe(step, name)
    step("Produce", version, made("me", 3, RECORD))
    describe(step, name)
    end(step, 5 if version >= 12 else 4, name, "me", commit=False)
    describe(step, name)


def markers_of_open(step, version, prefix):
    """Markers for transactions that are open, by clients of either transaction version."""
    at = prefix + "t"
    topic(step, at, 4)
    for number, (transaction_version, bump) in enumerate(((0, 0), (2, 0), (2, 1), (1, 1))):
        name = f"{prefix}x{number}"
        ready(step, name)
        init(step, None, name, keep="me")
        step("Produce", 12, transactional("me", at, RECORD, 0, name, partition=number))
        for lower in (-1, bump):
            marker(step, version, "me", [(at, [number])], bump=lower, transaction_version=transaction_version)
        marker(step, version, "me", [(at, [number])], bump=bump, transaction_version=transaction_version)
        end(step, 5, name, "me", commit=False)
        wanted = [{"PartitionIndex": number, "Timestamp": -1}]
        for level in (0, 1):
            step("ListOffsets", None, {"ReplicaId": -1, "IsolationLevel": level, "Topics": [{"Name": at, "Partitions": wanted}]})


def states_again(step, version, prefix):
    """A state that is asked for twice is told of once, where no transaction can have it."""
    for states in (["none", "", "none"], ["Ongoing", "none", "Ongoing", "none"], ["", ""]):
        step("ListTransactions", version, {"StateFilters": states, "ProducerIdFilters": [-2]})


SCENARIOS = [
    ("states again", "ListTransactions", states_again),
    ("transactional records", "Produce", produced),
    ("refused transactional batches", "Produce", refused_batches),
    ("markers of open transactions", "WriteTxnMarkers", markers_of_open),
    ("coordinator of transactions", "FindCoordinator", coordinators),
    ("producers", "InitProducerId", producers),
    ("fenced", "InitProducerId", fenced),
    ("additions", "AddPartitionsToTxn", additions),
    ("ends", "EndTxn", ends),
    ("mixed transactions", "EndTxn", mixed),
    ("partition gone", "EndTxn", gone),
    ("topic made again", "EndTxn", recreated),
    ("markers", "WriteTxnMarkers", markers),
    ("markers together", "WriteTxnMarkers", markers_together),
    ("markers beside records", "WriteTxnMarkers", idempotent),
]
