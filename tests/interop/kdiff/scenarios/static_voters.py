"""kraft.version of a quorum of static voters, which may go up once. For a pair of brokers of its own."""

from interop.kdiff.run import ASK_VERSIONS, give_time

UP, SAFE, UNSAFE = 1, 2, 3


def update(step, version, level, kind=UP, validate=False):
    """Of kraft.version alone: Kafka 4.3.1 may take it up in a request that it refuses for another feature. We do not."""
    wanted = [{"Feature": "kraft.version", "MaxVersionLevel": level, "UpgradeType": kind}]
    step("UpdateFeatures", version, {"timeoutMs": 10000, "FeatureUpdates": wanted, "ValidateOnly": validate})


def look(step):
    step("ApiVersions", 4, ASK_VERSIONS, ignore=("ApiKeys",))
    body = {"Topics": [{"TopicName": "__cluster_metadata", "Partitions": [{"PartitionIndex": 0}]}]}
    answers = step("DescribeQuorum", 2, body, ignore=("HighWatermark", "LogEndOffset"))
    # Which directory is each one's own; whether it is known is not.
    known = [a["Topics"][0]["Partitions"][0]["CurrentVoters"][0]["ReplicaDirectoryId"] != "00" * 16 for a in answers]
    assert known[0] == known[1], known


def is_up(side):
    answer = side.call("ApiVersions", 4, ASK_VERSIONS)
    return any(one["Name"] == "kraft.version" and one["MaxVersionLevel"] == 1 for one in answer.get("FinalizedFeatures", ()))


def static_voters(step, version, prefix):
    if version < 1:  # which cannot validate alone
        return
    look(step)
    for level, kind in ((0, UP), (0, SAFE), (2, UP), (-1, UP), (1, SAFE), (1, UNSAFE), (1, UP), (1, 0)):
        update(step, version, level, kind, validate=True)
    update(step, version, 0)
    if version < 2:
        return
    update(step, version, 1)
    for kind in (UP, SAFE, UNSAFE):
        update(step, version, 0, kind)
    update(step, version, 1, SAFE)
    for side in step.run.sides:
        give_time(lambda side=side: is_up(side))  # Kafka's broker follows its controller a moment later
    look(step)


STATIC_VOTERS = ("static voters", "UpdateFeatures", static_voters)
