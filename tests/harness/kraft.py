"""kraft.version: what a broker says of its quorum, and how the version goes up."""

from harness.process import wait_until
from harness.requests import connect

METADATA = {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]}
UNKNOWN = "00" * 16


def as_static_voter(broker):
    """The broker, not started yet, as the only one of controller.quorum.voters."""
    address = broker.settings.pop("controller.quorum.bootstrap.servers")
    broker.settings["controller.quorum.voters"] = f"1@{address}"
    return broker


def kraft_version(broker):
    with connect(broker) as connection:
        answer = connection.call("ApiVersions", 4, {"ClientSoftwareName": "test", "ClientSoftwareVersion": "1"})
    return {f["Name"]: f["MaxVersionLevel"] for f in answer["FinalizedFeatures"]}.get("kraft.version", 0)


def voter_directory(broker):
    with connect(broker) as connection:
        (partition,) = connection.call("DescribeQuorum", 2, METADATA)["Topics"][0]["Partitions"]
    return partition["CurrentVoters"][0]["ReplicaDirectoryId"]


def upgrade(broker):
    feature = {"Feature": "kraft.version", "MaxVersionLevel": 1, "UpgradeType": 1}
    with connect(broker) as connection:
        answer = connection.call("UpdateFeatures", 2, {"timeoutMs": 20000, "FeatureUpdates": [feature]})
    assert answer["ErrorCode"] == 0, answer
    wait_until(lambda: kraft_version(broker) == 1, 60, "kraft.version 1")  # Kafka's broker follows a moment later
