"""What Odradek promises to answer as Kafka does. An API joins this list when it is advertised."""

APIS = [
    "ApiVersions",
    "Metadata",
    "DescribeCluster",
    "Produce",
    "Fetch",
    "ListOffsets",
    "OffsetForLeaderEpoch",
    "InitProducerId",
    "CreateTopics",
    "CreatePartitions",
    "DeleteRecords",
    "DescribeTopicPartitions",
    "DeleteTopics",
    "DescribeConfigs",
    "DescribeProducers",
    "DescribeClientQuotas",
    "AlterClientQuotas",
    "DescribeUserScramCredentials",
    "AlterUserScramCredentials",
]
