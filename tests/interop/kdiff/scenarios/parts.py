"""Parts of requests that scenarios share."""

KEEP_FOREVER = ("retention.ms", "-1")  # the records' times are old
MIB = 1 << 20


def new_topic(name, partitions=1, replication=1, **more):
    return {"Name": name, "NumPartitions": partitions, "ReplicationFactor": replication, **more}


def config(name, value):
    return {"Name": name, "Value": value}


def topic(step, name, partitions=1, configs=()):
    """Creates a topic on both sides and waits until both lead it."""
    settings = [config(*pair) for pair in (KEEP_FOREVER, *configs)]
    body = {"Topics": [new_topic(name, partitions, Configs=settings)], "TimeoutMs": 10000}
    step("CreateTopics", None, body)
    step.settle(name, partitions)


def topic_id(step, name):
    """A function that gives the topic's id on the side it is asked for."""
    step("Metadata", 12, {"Topics": [{"Name": name}]}, keep=f"metadata of {name}")
    return lambda context: context[f"metadata of {name}"]["Topics"][0]["TopicId"]


def produce(name, records, acks=-1, partition=0):
    """A Produce request by name (up to version 12)."""
    data = [{"Name": name, "PartitionData": [{"Index": partition, "Records": records}]}]
    return {"Acks": acks, "TimeoutMs": 5000, "TopicData": data}


def fetch_partition(partition, offset, **more):
    return {"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": MIB, **more}


def fetch(name, id_of, partitions, **more):
    """A Fetch request that carries both the topic's name and its id, for any version."""
    base = {"MaxWaitMs": 10, "MinBytes": 1, "MaxBytes": MIB, "SessionEpoch": -1}
    return lambda context: {
        **base,
        "Topics": [{"Topic": name, "Partitions": partitions, "TopicId": id_of(context)}],
        **more,
    }


def offsets(name, partitions, **more):
    return {"ReplicaId": -1, "Topics": [{"Name": name, "Partitions": partitions}], **more}
