"""Topics, partitions and the cluster."""

from interop.kdiff.scenarios.parts import config, new_topic, topic


def create_and_describe(step, version, prefix):
    assigned = [{"PartitionIndex": 0, "BrokerIds": [1]}, {"PartitionIndex": 1, "BrokerIds": [1]}]
    elsewhere = [{"PartitionIndex": 0, "BrokerIds": [9]}]
    for one in (
        new_topic(prefix + "a", 3),
        new_topic(prefix + "a", 3),
        new_topic(prefix + "b", 0),
        new_topic(prefix + "c", 1, 5),
        new_topic("no good!"),
        new_topic(""),
        new_topic(".."),
        new_topic(prefix + "d", -1, -1, Assignments=assigned),
        new_topic(prefix + "e", -1, -1, Assignments=elsewhere),
        new_topic(prefix + "f", Configs=[config("retention.ms", "x")]),
        new_topic(prefix + "g", Configs=[config("nope", "x")]),
    ):
        step("CreateTopics", version, {"Topics": [one], "TimeoutMs": 10000})
    only_asked = {"Topics": [new_topic(prefix + "v", 2)], "TimeoutMs": 10000, "validateOnly": True}
    step("CreateTopics", version, only_asked)
    twice = [new_topic(prefix + "w", 2), new_topic(prefix + "w", 1)]
    step("CreateTopics", version, {"Topics": twice, "TimeoutMs": 10000})
    for name, count in (("a", 3), ("d", 2)):
        step.settle(prefix + name, count)
    step("Metadata", None, {"Topics": [{"Name": prefix + x} for x in "abcdvw"]})
    resource = {"ResourceType": 2, "ResourceName": prefix + "a", "ConfigurationKeys": None}
    step("DescribeConfigs", None, {"Resources": [resource], "IncludeSynonyms": True})


def delete(step, version, prefix):
    def body(name):
        topics = {"Topics": [{"Name": name}]} if version >= 6 else {"TopicNames": [name]}
        return {**topics, "TimeoutMs": 10000}

    name = prefix + "dl"
    topic(step, name)
    step("DeleteTopics", version, body(name))
    step("DeleteTopics", version, body(name))
    step("DeleteTopics", version, body(""))


def metadata(step, version, prefix):
    name = prefix + "m"
    topic(step, name, 2)
    step("Metadata", version, {"Topics": [{"Name": name}]})
    step("Metadata", version, {"Topics": []})
    if version >= 4:  # earlier versions create it
        step("Metadata", version, {"Topics": [{"Name": prefix + "none"}], "AllowAutoTopicCreation": False})
    if version >= 10:
        step("Metadata", version, {"Topics": [{"Name": None, "TopicId": "33" * 16}]})
        step("Metadata", version, {"Topics": [{"Name": None}, {"Name": name}]})
        step("Metadata", version, {"Topics": [{"Name": None}, {"Name": None, "TopicId": "33" * 16}]})


def partitions(step, version, prefix):
    name = prefix + "pt"
    topic(step, name, 2)
    for count, brokers in ((4, None), (4, None), (3, None), (0, None), (6, [1, 1]), (7, [5]), (8, [1, 1])):
        assignments = brokers and [{"BrokerIds": [broker]} for broker in brokers]
        wanted = {"Name": name, "Count": count, "Assignments": assignments}
        step("CreatePartitions", version, {"Topics": [wanted], "TimeoutMs": 10000})
    unknown = {"Name": prefix + "none", "Count": 2, "Assignments": None}
    step("CreatePartitions", version, {"Topics": [unknown], "TimeoutMs": 10000})
    step.settle(name, 8)
    step("Metadata", None, {"Topics": [{"Name": name}]})


def describe_topic_partitions(step, version, prefix):
    for n in "abc":
        topic(step, prefix + n, 2)
    for names, limit in (("bacx", 100), ("abc", 3)):
        body = {"Topics": [{"Name": prefix + n} for n in names], "ResponsePartitionLimit": limit}
        step("DescribeTopicPartitions", version, body)


def cluster(step, version, prefix):
    step("DescribeCluster", version, {"IncludeClusterAuthorizedOperations": False})
    step("DescribeCluster", version, {"IncludeClusterAuthorizedOperations": True, "EndpointType": 1})


SCENARIOS = [
    ("create", "CreateTopics", create_and_describe),
    ("metadata", "Metadata", metadata),
    ("delete", "DeleteTopics", delete),
    ("partitions", "CreatePartitions", partitions),
    ("describe partitions", "DescribeTopicPartitions", describe_topic_partitions),
    ("cluster", "DescribeCluster", cluster),
]
