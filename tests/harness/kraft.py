"""The levels of features, and what a broker says of its quorum."""

from harness.process import wait_until
from harness.requests import connect

METADATA = {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]}
UNKNOWN = "00" * 16
UP, SAFE_DOWN = 1, 2


def as_static_voter(broker):
    """The broker, not started yet, as the only one of controller.quorum.voters."""
    address = broker.settings.pop("controller.quorum.bootstrap.servers")
    broker.settings["controller.quorum.voters"] = f"1@{address}"
    return broker


def feature_level(broker, feature):
    """Its finalized level."""
    with connect(broker) as connection:
        answer = connection.call("ApiVersions", 4, {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"})
    return {f["Name"]: f["MaxVersionLevel"] for f in answer["FinalizedFeatures"]}.get(feature, 0)


def set_feature_level(broker, feature, level):
    """Up or down; returns when the broker has followed, which Kafka's does a moment later."""
    update = {"Feature": feature, "MaxVersionLevel": level, "UpgradeType": UP if level >= feature_level(broker, feature) else SAFE_DOWN}
    with connect(broker) as connection:
        answer = connection.call("UpdateFeatures", 2, {"timeoutMs": 20000, "FeatureUpdates": [update]})
    assert answer["ErrorCode"] == 0, answer
    wait_until(lambda: feature_level(broker, feature) == level, 60, f"{feature} {level}")


def kraft_version(broker):
    return feature_level(broker, "kraft.version")


def voter_directory(broker):
    with connect(broker) as connection:
        (partition,) = connection.call("DescribeQuorum", 2, METADATA)["Topics"][0]["Partitions"]
    return partition["CurrentVoters"][0]["ReplicaDirectoryId"]


def upgrade(broker):
    set_feature_level(broker, "kraft.version", 1)
