"""Administration of topics and of the cluster: what works, and above all what is refused."""

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
    ask(grown(name, 4, [[1]]), TimeoutMs=0)
    ask(grown(name, 6), grown(other, 3, [[1], [1]]), TimeoutMs=-1)
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
    ("no time", "CreateTopics", no_time),
    ("more partitions", "CreatePartitions", create_partitions),
    ("too many partitions", "CreatePartitions", many_partitions),
]
