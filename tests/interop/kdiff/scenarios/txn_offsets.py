"""Offsets that are committed within transactions, and what administrators ask about transactions."""

from interop.kdiff.scenarios import groups
from interop.kdiff.scenarios.groups import commit, member, member_of, sync
from interop.kdiff.scenarios.parts import topic, topic_id
from interop.kdiff.scenarios.transactions import add, describe, end, init, ready, settled, who

ADDS_VERSION = 5  # of TxnOffsetCommit: the broker adds the group's partition


def add_offsets(step, version, name, group, producer, bump=0):
    def body(context):
        producer_id, epoch = who(producer, bump)(context)
        return {"TransactionalId": name, "ProducerId": producer_id, "ProducerEpoch": epoch, "GroupId": group}

    return step("AddOffsetsToTxn", version, body)


def txn_commit(step, version, name, group, producer, topics, bump=0, generation=-1, member_id="", **more):
    """topics: [(name, [(partition, offset, metadata)])]."""

    def body(context):
        producer_id, epoch = who(producer, bump)(context)
        one = {"TransactionalId": name, "GroupId": group, "ProducerId": producer_id, "ProducerEpoch": epoch}
        if version >= 3:
            one["GenerationId"] = generation(context) if callable(generation) else generation
            one["MemberId"] = member_id(context) if callable(member_id) else member_id
        listed = [
            {"Name": at, "Partitions": [{"PartitionIndex": p, "CommittedOffset": o, "CommittedMetadata": m} for p, o, m in parts]}
            for at, parts in topics
        ]
        return {**one, "Topics": listed, **more}

    return step("TxnOffsetCommit", version, body)


def by_name(group, name, partitions, stable):
    wanted = [{"Name": name, "PartitionIndexes": list(partitions)}]
    return {"Groups": [{"GroupId": group, "Topics": wanted}], "RequireStable": stable}


def look(step, group, name, partitions=(0, 1)):
    for stable in (False, True):
        step("OffsetFetch", 9, by_name(group, name, partitions, stable))


def joins(step, version, name, group):
    """The partition joins the transaction as clients of this version have it done."""
    if version < ADDS_VERSION:
        add_offsets(step, None, name, group, "me")


def committed(step, version, prefix):
    name, group, at = prefix + "x", prefix + "g", prefix + "t"
    ready(step, name)
    groups.ready(step, group)
    topic(step, at, 2)
    ends_with = 5 if version >= ADDS_VERSION else 4
    init(step, None, name, keep="me")
    if version < ADDS_VERSION:
        txn_commit(step, version, name, group, "me", [(at, [(0, 1, "")])])
    for commits in (True, False, True):
        joins(step, version, name, group)
        txn_commit(step, version, name, group, "me", [(at, [(0, 5 + commits, "m"), (1, 6, None)])])
        describe(step, name)
        look(step, group, at)
        end(step, ends_with, name, "me", commit=commits, keep="me" if ends_with == 5 else None)
        look(step, group, at)
    txn_commit(step, version, name, group, "me", [(at, [(0, 9, "")])], bump=-1)
    joins(step, version, name, group)
    txn_commit(step, version, name, group, "me", [(at, [(0, 3, "")])])
    init(step, None, name)
    look(step, group, at)


def refused(step, version, prefix):
    name, group, at = prefix + "x", prefix + "g", prefix + "t"
    ready(step, name)
    groups.ready(step, group, "")
    topic(step, at, 2)
    init(step, None, name, keep="me")
    joins(step, version, name, group)
    one = [(at, [(0, 5, "m")])]
    txn_commit(step, version, "", group, "me", one)
    txn_commit(step, version, prefix + "nobody", group, "me", one)
    txn_commit(step, version, name, "", "me", one)
    txn_commit(step, version, name, group, (1 << 40, 0), one)
    txn_commit(step, version, name, group, "me", one, bump=1)
    txn_commit(step, version, name, group, "me", [])
    txn_commit(step, version, name, group, "me", [("missing", [(0, 1, "")])])
    txn_commit(step, version, name, group, "me", [(at, [(0, 5, ""), (7, 1, "")]), ("missing", [(0, 1, "")]), (at, [(1, 2, "")])])
    txn_commit(step, version, name, group, "me", [(at, [(0, 4, "x" * 4096), (1, 4, "y" * 4097)])])
    look(step, group, at)
    if version >= 3:
        txn_commit(step, version, name, group + "new", "me", one, generation=3, member_id="x")
        txn_commit(step, version, name, group, "me", one, generation=3, member_id="x")
        txn_commit(step, version, name, group, "me", one, member_id="x")
    end(step, 5 if version >= ADDS_VERSION else 4, name, "me")
    look(step, group, at)


def members(step, version, prefix):
    name, group, at = prefix + "x", prefix + "g", prefix + "t"
    ready(step, name)
    groups.ready(step, group)
    topic(step, at, 2)
    init(step, None, name, keep="me")
    joins(step, version, name, group)
    member(step, group, "one")
    one = [(at, [(0, 5, "m")])]
    generation = lambda context: context["one"]["GenerationId"]  # noqa: E731
    txn_commit(step, version, name, group, "me", one)
    if version >= 3:
        for number, member_id in ((generation, member_of("one")), (77, member_of("one")), (generation, "x"), (-1, "x"), (-1, member_of("one"))):
            txn_commit(step, version, name, group, "me", one, generation=number, member_id=member_id)
        txn_commit(step, version, name, group, "me", one, generation=generation, member_id=member_of("one"), GroupInstanceId="i")
    step("SyncGroup", None, sync(group, "one"))
    txn_commit(step, version, name, group, "me", one, generation=generation, member_id=member_of("one"))
    end(step, 5 if version >= ADDS_VERSION else 4, name, "me")
    look(step, group, at)


def deleted(step, version, prefix):
    """What is deleted while its transaction is open does not come back."""
    name, group, at = prefix + "x", prefix + "g", prefix + "t"
    ready(step, name)
    groups.ready(step, group)
    topic(step, at, 2)
    known = (at, topic_id(step, at))
    init(step, None, name, keep="me")
    step("OffsetCommit", None, commit(10, group, {known: [(0, 1, "")]}))
    joins(step, version, name, group)
    txn_commit(step, version, name, group, "me", [(at, [(0, 5, ""), (1, 6, "")])])
    step("OffsetDelete", None, {"GroupId": group, "Topics": [{"Name": at, "Partitions": [{"PartitionIndex": 1}]}]})
    look(step, group, at)
    step("DeleteGroups", None, {"GroupsNames": [group]})
    look(step, group, at)
    end(step, 5 if version >= ADDS_VERSION else 4, name, "me")
    look(step, group, at)


def additions(step, version, prefix):
    name, group = prefix + "x", prefix + "g"
    ready(step, name)
    groups.ready(step, group)
    init(step, None, name, keep="me")
    add_offsets(step, version, "", group, "me")
    add_offsets(step, version, prefix + "nobody", group, "me")
    add_offsets(step, version, name, group, (1 << 40, 0))
    add_offsets(step, version, name, group, "me", bump=1)
    add_offsets(step, version, name, group, "me", bump=-1)
    add_offsets(step, version, name, group, "me")
    add_offsets(step, version, name, group, "me")
    add_offsets(step, version, name, "", "me")
    describe(step, name)
    end(step, 4, name, "me")
    add_offsets(step, version, name, group, "me")
    end(step, 4, name, "me", commit=False)


def administered(step, version, prefix):
    name, other, at = prefix + "x", prefix + "y", prefix + "t"
    ready(step, name, other)
    topic(step, at)
    init(step, None, name, keep="me")
    init(step, None, other, keep="you")
    add(step, 3, name, "me", [(at, [0])])
    step("DescribeTransactions", None, {"TransactionalIds": [name, other, prefix + "none", "", name]})
    step("DescribeTransactions", None, {"TransactionalIds": []})
    for states in ([], ["Ongoing"], ["Empty", "Ongoing"], ["Bogus"], ["Bogus", "Empty", "Other"], ["ongoing"], ["Dead"], ["PrepareEpochFence"]):
        step("ListTransactions", version, {"StateFilters": states, "ProducerIdFilters": []})
    for producers in ([1 << 40], [-1]):
        step("ListTransactions", version, {"StateFilters": [], "ProducerIdFilters": producers})
    step("ListTransactions", version, lambda c: {"StateFilters": [], "ProducerIdFilters": [c["me"]["ProducerId"]]})
    step("ListTransactions", version, lambda c: {"StateFilters": ["Empty"], "ProducerIdFilters": [c["me"]["ProducerId"]]})
    for duration in (-1, 0, 1 << 40, -2) if version >= 1 else ():
        for state in ("Ongoing", "Empty"):
            step("ListTransactions", version, {"StateFilters": [state], "ProducerIdFilters": [], "DurationFilter": duration})
    patterns = (None, "", prefix + "x", prefix, prefix + ".*", ".*y", "(", "[", "\\p{Nope}", "(?!x)y")
    for pattern in patterns if version >= 2 else ():
        step("ListTransactions", version, {"StateFilters": [], "ProducerIdFilters": [], "TransactionalIdPattern": pattern})
    end(step, 4, name, "me")
    settled(step, name)


SCENARIOS = [
    ("offsets of transactions", "TxnOffsetCommit", committed),
    ("offsets of transactions refused", "TxnOffsetCommit", refused),
    ("members and transactions", "TxnOffsetCommit", members),
    ("offsets of transactions deleted", "TxnOffsetCommit", deleted),
    ("offsets join", "AddOffsetsToTxn", additions),
    ("transactions listed", "ListTransactions", administered),
]
