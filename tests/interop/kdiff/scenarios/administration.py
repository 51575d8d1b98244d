"""Administration of topics and of the cluster: what works, and above all what is refused."""

import itertools

from harness.batch import batch
from interop.kdiff.scenarios.parts import fetch, fetch_partition, new_topic, offsets, produce, topic, topic_id

RECORDS = batch([(b"k", b"v")] * 3)


def grown(name, count, assignments=None):
    wanted = assignments and [{"BrokerIds": brokers} for brokers in assignments]
    return {"Name": name, "Count": count, "Assignments": [] if assignments == [] else wanted}


def create_partitions(step, version, prefix):
    name, other = prefix + "p", prefix + "q"
    topic(step, name, 2)
    topic(step, other)

    def ask(*topics, **more):
        step("CreatePartitions", version, {"Topics": list(topics), "TimeoutMs": 10000, **more})

    ask()
    for one in (
        grown(name, 2),
        grown(name, 1),
        grown(name, 0),
        grown(name, -1),
        grown(name, 4, []),
        grown(name, 4, [[1]]),
        grown(name, 4, [[1], [1], [1]]),
        grown(name, 3, [[]]),
        grown(name, 3, [[1, 1]]),
        grown(name, 3, [[2]]),
        grown(name, 3, [[2, 1]]),
        grown(name, 3, [[-1]]),
        grown(name, 4, [[1], [1, 1]]),
        grown(prefix + "none", 3),
        grown(prefix + "none", 0),
        grown("", 3),
        grown("no good!", 3),
        grown("__cluster_metadata", 3),
    ):
        ask(one)
    ask(grown(name, 3), ValidateOnly=True)
    ask(grown(name, 2), grown(other, 0), ValidateOnly=True)
    step("Metadata", None, {"Topics": [{"Name": name}]})
    ask(grown(name, 3), grown(name, 4))
    ask(grown(name, 3), grown(other, 1), grown(prefix + "none", 1), grown(other, 2))
    # Not with a time of nothing or less: Kafka does it, or refuses to begin, as its controller is idle or busy.
    ask(grown(name, 4, [[1]]))
    ask(grown(name, 6), grown(other, 3, [[1], [1]]))
    step.settle(name, 6)
    step.settle(other, 3)
    id_of = topic_id(step, name)
    step("Produce", 9, produce(name, RECORDS, partition=5))
    step("Fetch", None, fetch(name, id_of, [fetch_partition(5, 0), fetch_partition(2, 0), fetch_partition(6, 0)]))
    step("ListOffsets", None, offsets(name, [{"PartitionIndex": i, "Timestamp": -1} for i in (4, 5, 6)]))
    step("Metadata", None, {"Topics": [{"Name": name}, {"Name": other}]})


def many_partitions(step, version, prefix):
    name = prefix + "m"
    topic(step, name)
    step("CreatePartitions", version, {"Topics": [grown(name, 10002)], "TimeoutMs": 10000, "ValidateOnly": True})
    step("CreatePartitions", version, {"Topics": [grown(name, 10001)], "TimeoutMs": 10000, "ValidateOnly": True})
    step("CreatePartitions", version, {"Topics": [grown(name, 100000)], "TimeoutMs": 10000, "ValidateOnly": True})


def delete_records(step, version, prefix):
    """Of topics with every cleanup policy, of segments and within them, and what is then left to read."""
    for policy in ("delete", "compact", "compact,delete", ""):
        topic(step, prefix + "p" + policy.replace(",", "-"), configs=[("cleanup.policy", policy)])
    name = prefix + "d"
    topic(step, name, 3, configs=[("segment.bytes", "1048576")])
    id_of = topic_id(step, name)
    for partition in (0, 1):
        for _ in range(3):
            step("Produce", 9, produce(name, batch([(b"k", b"v" * 400_000)] * 2), partition=partition))

    def ask(*topics, timeout=5000):
        body = {
            "Topics": [
                {"Name": topic_name, "Partitions": [{"PartitionIndex": i, "Offset": offset} for i, offset in wanted]}
                for topic_name, wanted in topics
            ],
            "TimeoutMs": timeout,
        }
        step("DeleteRecords", version, body)

    def look():
        step("Fetch", None, fetch(name, id_of, [fetch_partition(0, offset) for offset in (0, 1, 3, 5)]))
        step("Fetch", None, fetch(name, id_of, [fetch_partition(1, offset) for offset in (5, 6, 7)]))
        for timestamp in (-1, -2, -3, -4, 0):
            wanted = [{"PartitionIndex": i, "CurrentLeaderEpoch": -1, "Timestamp": timestamp} for i in range(3)]
            step("ListOffsets", None, offsets(name, wanted, TimeoutMs=3000))
        step("OffsetForLeaderEpoch", None, {"ReplicaId": -2, "Topics": [{"Topic": name, "Partitions": [
            {"Partition": i, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0} for i in range(3)]}]})  # fmt: skip

    for suffix in ("delete", "compact", "compact-delete", ""):
        step("Produce", 9, produce(prefix + "p" + suffix, batch([(b"k", b"v")] * 3)))
        ask((prefix + "p" + suffix, [(0, 2)]))
    ask()
    ask((name, []))
    ask((name, [(0, 1)]))
    look()
    ask((name, [(0, 3), (1, -1), (2, 0), (3, 0), (-1, 0)]))
    look()
    ask((name, [(2, -1)]), (prefix + "none", [(0, 0), (1, -1)]), ("", [(0, 0)]), ("no good!", [(0, 0)]))
    ask((name, [(0, 4), (0, 5)]), (name, [(0, 2), (2, 1)]))
    ask((name, [(0, -2), (1, 7), (2, 99)]), timeout=0)
    ask((name, [(0, 6)]), timeout=-1)
    ask(("__cluster_metadata", [(0, 1)]), ("__consumer_offsets", [(0, 1)]))
    look()
    step("Produce", 9, produce(name, RECORDS))
    look()


def pages_of_partitions(step, version, prefix):
    """DescribeTopicPartitions: limits, cursors into the list and beside it, names that are no topics."""
    for name, count in (("a", 3), ("b", 1), ("c", 4)):
        topic(step, prefix + name, count)

    def ask(names, limit=2000, cursor=None):
        body = {"Topics": [{"Name": name if name in ("", "no good!", "..") else prefix + name} for name in names]}
        if cursor:
            cursor = {"TopicName": prefix + cursor[0], "PartitionIndex": cursor[1]}
        step("DescribeTopicPartitions", version, {**body, "ResponsePartitionLimit": limit, "Cursor": cursor})

    for limit in (-1, 0, 1, 2, 3, 4, 5, 7, 8, 9, 2001):
        ask("abc", limit)
        ask("cba", limit)
    ask("abca")
    ask(["a", "x", "c", "no good!", ".."])
    ask(["a", ""])
    ask(["a", "b", ""], 1, ("a", 1))
    ask("xyz", 1)
    body = {"Topics": [{"Name": ""}, {"Name": prefix + "a"}], "Cursor": {"TopicName": "", "PartitionIndex": 0}}
    for limit in (1, 2):
        step("DescribeTopicPartitions", version, {**body, "ResponsePartitionLimit": limit})
    ask("axbyc", 3)
    ask("axbyc", 4)
    for cursor in (("a", 0), ("a", 2), ("a", 3), ("a", 99), ("b", 0), ("b", 1), ("c", 3), ("x", 0), ("a", -1), ("c", -5)):
        ask("abc", 2, cursor)
        ask("cb", 2000, cursor)
    ask("abcx", 2, ("x", 1))
    ask("c", 10, ("c", 2147483647))
    ask("c", 10, ("c", 2147483640))
    ask([], 3, (" before", 0))
    ask([], 3, ("a", 1))
    ask([], 3, ("a", -1))
    ask([], 4, ("bb", 7))


def log_dirs(step, version, prefix):
    name = prefix + "l"
    topic(step, name, 3)
    topic(step, name + "2")
    step("Produce", 9, produce(name, RECORDS))
    step("Produce", 9, produce(name, RECORDS + RECORDS, partition=2))

    def ask(*topics):
        step("DescribeLogDirs", version, {"Topics": [{"Topic": name, "Partitions": partitions} for name, partitions in topics]})

    ask()
    ask((name, [0, 1, 2, 0, 5, -1]), (name + "2", [0]), (prefix + "none", [0]), ("", [0]))
    ask((name, []))
    ask((name, [2]), (name, [1]))
    ask(("__cluster_metadata", [0]))


def other_log_dirs(step, version, prefix):
    """In none of them a broker has anything; what moves in earnest: test_move_dirs.py."""
    name = prefix + "d"
    topic(step, name, 3)
    topic(step, name + "2")

    def ask(*dirs):
        named = [{"Path": path, "Topics": [{"Name": topic, "Partitions": partitions} for topic, partitions in topics]} for path, topics in dirs]
        step("AlterReplicaLogDirs", version, {"Dirs": named})

    ask()
    ask(("/nowhere", []))
    ask(("/nowhere", [(name, [])]))
    for path in ("/nowhere", "nowhere", "", "/", "/tmp/"):
        ask((path, [(name, [0])]))
    ask(("/nowhere", [(name, [2, 0, 1, 0, 7, -1]), (name + "2", [0]), (prefix + "none", [0, 1]), ("", [0]), ("__cluster_metadata", [0])]))
    ask(("/nowhere", [(name, [0]), (name + "2", [0])]), ("/elsewhere", [(name, [0, 1]), (name, [2])]), ("/nowhere", [(name + "2", [0])]))
    for length in (212, 213, 214, 249, 250):
        ask(("/nowhere", [("x" * length, [0, 10])]))


def elections(step, version, prefix):
    name = prefix + "e"
    topic(step, name, 2)

    def ask(kind, *topics, **more):
        wanted = [{"Topic": name, "Partitions": partitions} for name, partitions in topics]
        step("ElectLeaders", version, {"ElectionType": kind, "TopicPartitions": wanted, "TimeoutMs": 5000, **more})

    for kind in (0, 1, 2, -1):
        ask(kind)
        ask(kind, (name, [0, 1, 5, -1, 0]), (prefix + "none", [0]), ("", [0]), ("no good!", [0]))
        ask(kind, (name, []))
        ask(kind, (name, [0]), (name, [1]))
        ask(kind, TopicPartitions=None)
    for timeout in (0, -1):
        ask(0, (name, [0, 9]), TimeoutMs=timeout)
        ask(7, TimeoutMs=timeout)
        ask(0, TopicPartitions=None, TimeoutMs=timeout)


def reassignments(step, version, prefix):
    name = prefix + "r"
    topic(step, name, 2)

    def ask(*topics, **more):
        wanted = [
            {"Name": name, "Partitions": [{"PartitionIndex": i, "Replicas": replicas} for i, replicas in partitions]}
            for name, partitions in topics
        ]
        step("AlterPartitionReassignments", version, {"TimeoutMs": 5000, "Topics": wanted, **more})

    for replicas in (None, [], [1], [1, 1], [2], [1, 2], [2, 1], [-1]):
        ask((name, [(0, replicas)]))
        ask((name, [(0, replicas), (1, replicas)]), AllowReplicationFactorChange=False)
    ask()
    ask(AllowReplicationFactorChange=False)
    ask((name, [(9, [1]), (-1, None), (0, [1]), (0, [1])]), (prefix + "none", [(0, [1])]), (name, []), ("", [(0, [1])]))
    for timeout in (0, -1):
        ask((name, [(0, [1])]), TimeoutMs=timeout)
        ask(TimeoutMs=timeout)
    for wanted in (None, [], [(name, [0, 1, 7])], [(prefix + "none", [0])], [("", [0])]):
        topics = wanted and [{"Name": name, "PartitionIndexes": indexes} for name, indexes in wanted]
        step("ListPartitionReassignments", None, {"TimeoutMs": 5000, "Topics": topics})
        step("ListPartitionReassignments", None, {"TimeoutMs": 0, "Topics": topics})
    step("Metadata", None, {"Topics": [{"Name": name}]})


def features(step, version, prefix):
    """Every feature at every level in every way, as far as the version can ask without doing it; and there and back."""
    names = ["metadata.version", "kraft.version", "transaction.version", "group.version", "share.version",
             "eligible.leader.replicas.version", "streams.version", "no.such", ""]  # fmt: skip

    def ask(*updates, validate=True, **more):
        wanted = [{"Feature": name, "MaxVersionLevel": level, "UpgradeType": how} for name, level, how in updates]
        step("UpdateFeatures", version, {"timeoutMs": 5000, "FeatureUpdates": wanted, "ValidateOnly": validate, **more})

    ask()
    ask(("a", 1, 1))
    ask(("transaction.version", 2, 1), ("group.version", 1, 1))
    ask(("transaction.version", 2, 1), ("transaction.version", 2, 1), timeoutMs=0)
    ask(("transaction.version", 7, 1), ("transaction.version", 2, 1))
    for one, other in itertools.permutations(names, 2):  # which of several does it complain of?
        ask((one, 99, 1), (other, 99, 1))
    for level in (0, 6, 7, 22):  # what others build on
        for name in names:
            ask(("metadata.version", level, 2), (name, 1, 1))
    ask(*((name, 99, 1) for name in names))
    ask(*((f"f{number}", 1, 1) for number in range(20)))
    if version == 0:
        update = {"Feature": "transaction.version", "MaxVersionLevel": 1, "AllowDowngrade": True}
        step("UpdateFeatures", 0, {"timeoutMs": 5000, "FeatureUpdates": [update]})
        return
    for name in names:
        for level in range(-1, 33 if name == "metadata.version" else 4):
            for how in (0, 1, 2, 3, 4) if level in (-1, 0, 1, 29, 30, 31) else (1, 2, 3):
                ask((name, level, how))
    for name, levels in (("transaction.version", (1, 0, 2)), ("share.version", (0, 1)), ("group.version", (0, 1)),
                         ("eligible.leader.replicas.version", (0, 1)), ("streams.version", (0, 1))):  # fmt: skip
        for level in levels:
            for how in (2, 1):
                ask((name, level, how), validate=False)
            topic(step, f"{prefix}{name}.{level}")  # where it is led, what was changed before is known, too
            step("ApiVersions", None, {"ClientSoftwareName": "kdiff", "ClientSoftwareVersion": "1"}, ignore=("ApiKeys",))


def quorum(step, version, prefix):
    metadata = "__cluster_metadata"
    topic(step, prefix + "t")
    for wanted in (
        [],
        [(metadata, [0])],
        [(metadata, [1])],
        [(metadata, [0, 0])],
        [(metadata, [])],
        [(prefix + "t", [0])],
        [(prefix + "t", [0]), (metadata, [0])],
        [("", [-1])],
    ):
        topics = [{"TopicName": name, "Partitions": [{"PartitionIndex": i} for i in indexes]} for name, indexes in wanted]
        moving = ("HighWatermark", "LogEndOffset", "LeaderEpoch")
        step("DescribeQuorum", version, {"Topics": topics}, ignore=moving)


def unregister(step, version, prefix):
    for broker in (99, 0, -1, 2147483647):
        step("UnregisterBroker", version, {"BrokerId": broker})


def no_time(step, version, prefix):
    """A request that may take no time is not carried out."""
    name = prefix + "t"
    topic(step, name)
    for timeout in (0, -1):
        step("CreateTopics", version, {"Topics": [new_topic(prefix + "u")], "TimeoutMs": timeout})
        step("CreatePartitions", None, {"Topics": [grown(name, 3)], "TimeoutMs": timeout})
        step("DeleteTopics", 5, {"TopicNames": [name], "TimeoutMs": timeout})
        step("DeleteTopics", 6, {"Topics": [{"Name": name}], "TimeoutMs": timeout})
    step("Metadata", None, {"Topics": [{"Name": prefix + "u"}, {"Name": name}], "AllowAutoTopicCreation": False})


SCENARIOS = [
    ("records deleted", "DeleteRecords", delete_records),
    ("pages of partitions", "DescribeTopicPartitions", pages_of_partitions),
    ("log dirs", "DescribeLogDirs", log_dirs),
    ("other log dirs", "AlterReplicaLogDirs", other_log_dirs),
    ("elections", "ElectLeaders", elections),
    ("reassignments", "AlterPartitionReassignments", reassignments),
    ("levels", "UpdateFeatures", features),
    ("quorum", "DescribeQuorum", quorum),
    ("unregister", "UnregisterBroker", unregister),
    ("no time", "CreateTopics", no_time),
    ("more partitions", "CreatePartitions", create_partitions),
    ("too many partitions", "CreatePartitions", many_partitions),
]
