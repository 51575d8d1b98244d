"""Features at other levels than those of a new cluster, and what becomes of what is under way as they change. For a pair of brokers
of its own."""

from harness.batch import batch
from interop.kdiff.run import ASK_VERSIONS, give_time
from interop.kdiff.scenarios import consumer_protocol, groups, transactions, txn_offsets
from interop.kdiff.scenarios.consumer_protocol import IDS, beat, own
from interop.kdiff.scenarios.groups import commit, fetch_offsets, join, member_of, sync
from interop.kdiff.scenarios.parts import config, fetch, fetch_partition, new_topic, produce, topic, topic_id
from interop.kdiff.scenarios.transactions import NOW, RECORD, add, describe, end, init, ready, transactional

TRANSACTIONS, GROUPS, ELR = "transaction.version", "group.version", "eligible.leader.replicas.version"
NEWEST = {TRANSACTIONS: 2, GROUPS: 1, ELR: 1}
UP, SAFE = 1, 2
CLUSTER, TOPIC = 4, 2  # kinds of resources; a broker is of the first, too
SET, DELETE = 0, 1


def level_of(side, feature):
    answer = side.call("ApiVersions", 4, ASK_VERSIONS)
    return next((one["MaxVersionLevel"] for one in answer.get("FinalizedFeatures", ()) if one["Name"] == feature), 0)


def change(step, feature, level):
    """Up or down, and both brokers know."""
    down = any(level < level_of(side, feature) for side in step.run.sides)
    update = {"Feature": feature, "MaxVersionLevel": level, "UpgradeType": SAFE if down else UP}
    step("UpdateFeatures", None, {"timeoutMs": 10000, "FeatureUpdates": [update], "ValidateOnly": False})
    for side in step.run.sides:
        give_time(lambda side=side: level_of(side, feature) == level)
    step("ApiVersions", 4, ASK_VERSIONS, ignore=("ApiKeys",))


def at(feature, level, function, versions=None):
    """The scenario at that level, in these versions of its API."""

    def scenario(step, version, prefix):
        if versions and version not in versions:
            return
        if level != level_of(step.run.ours, feature):
            change(step, feature, level)
        function(step, version, prefix)

    return scenario


def alter(step, kind, name, *changes):
    """(setting, operation, value)."""
    listed = [{"Name": setting, "ConfigOperation": how, "Value": value} for setting, how, value in changes]
    step("IncrementalAlterConfigs", None, {"Resources": [{"ResourceType": kind, "ResourceName": name, "Configs": listed}]})


def verify(step, on):
    alter(step, CLUSTER, "", ("transaction.partition.verification.enable", SET, "true" if on else "false"))


# What is open as transaction.version changes


def look(step, name, where, id_of, partitions=2):
    describe(step, name)
    step("DescribeProducers", None, {"Topics": [{"Name": where, "PartitionIndexes": list(range(partitions))}]})
    for level in (0, 1):
        wanted = [{"PartitionIndex": number, "Timestamp": -1} for number in range(partitions)]
        step("ListOffsets", None, {"ReplicaId": -1, "IsolationLevel": level, "Topics": [{"Name": where, "Partitions": wanted}]})
    parts = [fetch_partition(number, 0) for number in range(partitions)]
    step("Fetch", 12, fetch(where, id_of, parts, IsolationLevel=1), ignore=("ProducerId", "BaseTimestamp", "MaxTimestamp", "CrcOk"))


def begin(step, name, where, client):
    """A transaction over a partition, as a client of that version opens it."""
    init(step, None, name, keep=name)
    if client < 2:
        add(step, 3, name, name, [(where, [0])])
    step("Produce", 12 if client == 2 else 11, transactional(name, where, RECORD, 0, name))


# In a cluster of level 0 Kafka 4.3.1 cannot write down what a client of version 2 does, and nobody gets on with that id until its
# coordinator loads again. We serve it; so that is not asked.
CROSSINGS = [(2, 0, 0), (0, 2, 0), (1, 0, 0), (2, 1, 0), (2, 1, 2), (1, 2, 0), (1, 2, 2)]  # levels before and after, the client's version


def crossing(step, version, prefix):
    """A transaction is begun at one level and goes on at another: it grows, and ends, by clients of either version."""
    for before, after, client in CROSSINGS:
        name, where = f"{prefix}{before}{after}{client}", f"{prefix}t{before}{after}{client}"
        raises = version >= 5 and after > 0
        change(step, TRANSACTIONS, before)
        ready(step, name)
        topic(step, where, 2)
        id_of = topic_id(step, where)
        begin(step, name, where, client)
        change(step, TRANSACTIONS, after)
        look(step, name, where, id_of)
        step("Produce", 11, transactional(name, where, RECORD, 1, name))
        step("Produce", 11, transactional(name, where, RECORD, 0, name, partition=1))
        if after > 0:
            step("Produce", 12, transactional(name, where, RECORD, 0, name, partition=1))
        end(step, 5 if raises else 4, name, name, keep=name if raises else None)
        look(step, name, where, id_of)
        end(step, 5 if raises else 4, name, name, commit=False)
        add(step, 3, name, name, [(where, [1])])
        step("Produce", 11, transactional(name, where, RECORD, 0 if raises else 1, name, partition=1))
        end(step, 4, name, name, commit=False)
        init(step, None, name, producer=name, keep=name)
        look(step, name, where, id_of)
    change(step, TRANSACTIONS, 2)


def fencing(step, version, prefix):
    """Who takes an id over while the transaction of its producer before is open, and the levels change."""
    for before, after, client in [(2, 0, 2), *CROSSINGS]:
        name, where = f"{prefix}{before}{after}{client}", f"{prefix}t{before}{after}{client}"
        change(step, TRANSACTIONS, before)
        ready(step, name)
        topic(step, where, 2)
        id_of = topic_id(step, where)
        begin(step, name, where, client)
        change(step, TRANSACTIONS, after)
        init(step, version, name)
        init(step, version, name, keep="new")
        look(step, name, where, id_of)
        for number in (4, 5):
            end(step, number, name, name)
        step("Produce", 12, transactional(name, where, RECORD, 1, name))
        if version >= 3:
            init(step, version, name, producer=name)
            init(step, version, name, producer="new", keep="new")
            init(step, version, name, producer="new", bump=-1)
        look(step, name, where, id_of)
    change(step, TRANSACTIONS, 2)


def with_offsets(step, version, prefix):
    """Offsets of a transaction that is begun at one level and ended at another."""
    adds = version >= txn_offsets.ADDS_VERSION
    for before, after in ((2, 1), (1, 2)) if adds else ((2, 0), (0, 2)):
        name, group, where = (f"{prefix}{before}{after}{kind}" for kind in "xgt")
        change(step, TRANSACTIONS, before)
        ready(step, name)
        groups.ready(step, group)
        topic(step, where, 2)
        init(step, None, name, keep="me")
        txn_offsets.joins(step, version, name, group)
        txn_offsets.txn_commit(step, version, name, group, "me", [(where, [(0, 5, "m")])])
        change(step, TRANSACTIONS, after)
        txn_offsets.txn_commit(step, version, name, group, "me", [(where, [(1, 6, "m")])])
        txn_offsets.look(step, group, where)
        end(step, 5 if adds else 4, name, "me")
        describe(step, name)
        txn_offsets.look(step, group, where)
    change(step, TRANSACTIONS, 2)


# transaction.partition.verification.enable


def unverified(step, version, prefix):
    """Partitions that ask no coordinator whether what they get belongs to a transaction."""
    if version < 11:
        return
    name, where = prefix + "x", prefix + "t"
    verify(step, on=False)
    ready(step, name)
    topic(step, where, 2)
    id_of = topic_id(step, where)
    init(step, None, name, keep="me")
    step("Produce", version, transactional("me", where, RECORD, 0, name))
    look(step, name, where, id_of)
    step("Produce", version, transactional("me", where, RECORD, 0, name, bump=1))
    step("Produce", version, transactional("me", where, RECORD, 0, prefix + "nobody", partition=1))
    step("Produce", version, transactional((1 << 40, 0), where, RECORD, 0, name, partition=1))
    step("Produce", version, transactional((1 << 41, 0), where, RECORD, 7, name, partition=1))
    verify(step, on=True)
    step("Produce", version, transactional("me", where, RECORD, 1, name))
    step("Produce", version, transactional("me", where, RECORD, 1, name, partition=1))
    look(step, name, where, id_of)
    end(step, 5 if version >= 12 else 4, name, "me")
    look(step, name, where, id_of)


# group.version


def groups_of_version_0(step, version, prefix):
    """Nobody is served by the consumer protocol; what members there were stays as it is, and goes on later."""
    group, other, where = prefix + "g", prefix + "h", prefix + "t"
    change(step, GROUPS, 1)
    consumer_protocol.topic(step, where, 2)
    id_of = topic_id(step, where)
    groups.ready(step, group, other)
    step("ConsumerGroupHeartbeat", version, beat(group, IDS[0], 0, SubscribedTopicNames=[where]), keep="a")
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None, TopicPartitions=own(id_of, 0, 1)), keep="a")

    def commit_as(context):
        me = context["a"]
        return commit(9, group, {(where, id_of): [(0, 5, "m")]}, me["MemberEpoch"], me["MemberId"])(context)

    step("OffsetCommit", 9, commit_as)
    change(step, GROUPS, 0)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None))
    step("ConsumerGroupHeartbeat", version, beat(other, IDS[1], 0, SubscribedTopicNames=[where]))
    consumer_protocol.look(step, group, other)
    step("ListGroups", None, {"StatesFilter": [], "TypesFilter": ["consumer"]})
    step("ListGroups", None, {"StatesFilter": [], "TypesFilter": []})
    step("OffsetCommit", 9, commit_as)
    step("OffsetFetch", 7, fetch_offsets(7, group, None))
    step("JoinGroup", 5, join(group))
    step("JoinGroup", 3, join(other), keep="me")
    step("SyncGroup", None, sync(other, "me"))
    step("JoinGroup", 3, join(other, member_of("me")), keep="me")
    step("DeleteGroups", None, {"GroupsNames": [group]})
    change(step, GROUPS, 1)
    step("ConsumerGroupHeartbeat", version, beat(group, "a", None), keep="a")
    step("ConsumerGroupHeartbeat", version, beat(group, "a", -1))
    consumer_protocol.look(step, group, other)


# eligible.leader.replicas.version


def eligible_leaders(step, version, prefix):
    """min.insync.replicas is the cluster's while eligible leaders are kept, and anybody's else."""
    where = prefix + "t"
    name = "min.insync.replicas"

    def known():
        for kind, resource in ((CLUSTER, ""), (CLUSTER, "1"), (TOPIC, where)):
            asked = {"ResourceType": kind, "ResourceName": resource, "ConfigurationKeys": [name]}
            step("DescribeConfigs", None, {"Resources": [asked], "IncludeSynonyms": True})
        step("DescribeTopicPartitions", None, {"Topics": [{"Name": where}], "ResponsePartitionLimit": 10})

    def tried():
        for resource in ("1", ""):
            alter(step, CLUSTER, resource, (name, SET, "1"))
            known()
            alter(step, CLUSTER, resource, (name, DELETE, None))
            known()

    topic(step, where, 1)
    known()
    tried()
    for level in (0, 1):
        change(step, ELR, level)
        step.run.fence()
        known()
        tried()
    change(step, ELR, 0)
    alter(step, CLUSTER, "1", (name, SET, "2"))
    alter(step, CLUSTER, "", (name, SET, "3"))
    step("CreateTopics", None, {"Topics": [new_topic(prefix + "u", Configs=[config(name, "2")])], "TimeoutMs": 10000})
    step("Produce", 9, produce(where, batch(RECORD, ts=NOW)))
    change(step, ELR, 1)
    step.run.fence()
    known()
    tried()
    change(step, ELR, 0)
    for resource in ("1", ""):
        alter(step, CLUSTER, resource, (name, DELETE, None))
    known()
    change(step, ELR, 1)
    step.run.fence()
    known()


# Of the old clients and of the new ones, one each.
VERSIONS = {"InitProducerId": (2, 4, 5), "AddPartitionsToTxn": (3, 4, 5), "EndTxn": (4, 5), "Produce": (11, 12), "TxnOffsetCommit": (4, 5)}
OLD_CLIENTS = {"InitProducerId": (2, 4, 5), "AddPartitionsToTxn": (3,), "EndTxn": (4,), "Produce": (11,), "TxnOffsetCommit": (4,)}
BY_OLD_CLIENTS = [
    ("InitProducerId", transactions.producers),
    ("AddPartitionsToTxn", transactions.additions),
    ("EndTxn", transactions.ends),
    ("EndTxn", transactions.recreated),
    ("Produce", transactions.produced),
    ("Produce", transactions.refused_batches),
    ("TxnOffsetCommit", txn_offsets.committed),
    ("TxnOffsetCommit", txn_offsets.refused),
    ("TxnOffsetCommit", txn_offsets.members),
    ("AddOffsetsToTxn", txn_offsets.additions),
]
BY_ALL_CLIENTS = [
    *BY_OLD_CLIENTS,
    ("InitProducerId", transactions.fenced),
    ("EndTxn", transactions.mixed),
    ("WriteTxnMarkers", transactions.markers_of_open),
]


def of_transactions(level, scenarios, versions):
    return [
        (f"level {level} {function.__name__}", api, at(TRANSACTIONS, level, function, versions.get(api)))
        for api, function in scenarios
    ]


LEVELS = [
    *of_transactions(1, BY_ALL_CLIENTS, VERSIONS),
    *of_transactions(0, BY_OLD_CLIENTS, OLD_CLIENTS),
    ("levels change", "EndTxn", at(TRANSACTIONS, 2, crossing, VERSIONS["EndTxn"])),
    ("levels change as it is fenced", "InitProducerId", at(TRANSACTIONS, 2, fencing, VERSIONS["InitProducerId"])),
    ("levels change over offsets", "TxnOffsetCommit", at(TRANSACTIONS, 2, with_offsets, VERSIONS["TxnOffsetCommit"])),
    *((f"not verified at {level}", "Produce", at(TRANSACTIONS, level, unverified, versions)) for level, versions in ((0, (11,)), (2, (11, 12)))),
    ("groups of version 0", "ConsumerGroupHeartbeat", groups_of_version_0),
    ("eligible leaders", "IncrementalAlterConfigs", at(ELR, 1, eligible_leaders, (1,))),
]
