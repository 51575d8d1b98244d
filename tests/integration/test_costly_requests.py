"""Requests that cost much: a worker handles them, and the reactor that serves everybody else hardly notices."""

import pathlib

import pytest

from harness.broker import memory_bytes, sanitized
from harness.members import await_groups
from harness.process import wait_until
from harness.requests import connect
from harness.wire import Connection

NAMES = 20_000
KEPT_BYTES_MAX = 16_000_000
PATIENCE_S = 240


def cpu_ms(broker):
    """CPU time so far of the reactors and of the workers."""
    out = {"reactor": 0, "worker": 0}
    for thread in pathlib.Path(f"/proc/{broker.process.pid}/task").iterdir():
        try:
            name = (thread / "comm").read_text().partition("-")[0]
        except OSError:
            continue  # one that has just ended, which reactors and workers do not
        if name in out:
            out[name] += int((thread / "schedstat").read_text().split()[0]) / 1e6
    return out


def names(key, **more):
    return [{key: f"n{number}", **more} for number in range(NAMES)]


def commits(topics):
    partition = {"PartitionIndex": 0, "CommittedOffset": 1}
    return {
        "GroupId": "g",
        "GenerationIdOrMemberEpoch": -1,
        "MemberId": "",
        "Topics": [{"Name": f"n{number}", "Partitions": [partition]} for number in range(topics)],
    }


def records_of(partitions):
    data = [{"Index": number, "Records": b""} for number in range(partitions)]
    return {"TransactionalId": None, "Acks": 1, "TimeoutMs": 60000, "TopicData": [{"Name": "t", "PartitionData": data}]}


COSTLY = {
    "one topic's settings, again and again": ("DescribeConfigs", 4, {
        "Resources": [{"ResourceType": 2, "ResourceName": "t", "ConfigurationKeys": None}] * NAMES,
        "IncludeDocumentation": True,
    }),
    "settings of groups": ("DescribeConfigs", 4, {
        "Resources": names("ResourceName", ResourceType=32, ConfigurationKeys=None),
    }),
    "offsets of groups": ("OffsetFetch", 8, {"Groups": names("GroupId", Topics=None)}),
    "offsets to commit": ("OffsetCommit", 8, commits(5 * NAMES)),
    "groups": ("DescribeGroups", 5, {"Groups": [f"n{number}" for number in range(5 * NAMES)]}),
    "users": ("DescribeUserScramCredentials", 0, {"Users": names("Name")}),
    "topics": ("Metadata", 12, {"Topics": names("Name"), "AllowAutoTopicCreation": False}),
    "topics to create": ("CreateTopics", 7, {
        "Topics": names("Name", NumPartitions=1, ReplicationFactor=1), "TimeoutMs": 60000, "ValidateOnly": True,
    }),
    "topics to delete": ("DeleteTopics", 5, {"TopicNames": [f"n{number}" for number in range(NAMES)], "TimeoutMs": 60000}),
    "partitions to add": ("CreatePartitions", 3, {"Topics": names("Name", Count=2, Assignments=None), "TimeoutMs": 60000}),
    "settings to change": ("IncrementalAlterConfigs", 1, {
        "Resources": names("ResourceName", ResourceType=2, Configs=[{"Name": "retention.ms", "ConfigOperation": 0, "Value": "1000"}]),
        "ValidateOnly": True,
    }),
    "settings to replace": ("AlterConfigs", 2, {
        "Resources": names("ResourceName", ResourceType=2, Configs=[{"Name": "retention.ms", "Value": "1000"}]),
        "ValidateOnly": True,
    }),
    "offsets of partitions": ("ListOffsets", 7, {
        "ReplicaId": -1,
        "IsolationLevel": 0,
        "Topics": names("Name", Partitions=[{"PartitionIndex": 0, "CurrentLeaderEpoch": -1, "Timestamp": -1}]),
    }),
    "quotas to change": ("AlterClientQuotas", 1, {
        "Entries": [
            {"Entity": [{"EntityType": "client-id", "EntityName": f"n{n}"}], "Ops": [{"Key": "request_percentage", "Value": 1.0, "Remove": False}]}
            for n in range(NAMES)
        ],
        "ValidateOnly": True,
    }),
    "users to change": ("AlterUserScramCredentials", 0, {"Deletions": names("Name", Mechanism=1), "Upsertions": []}),
    "leaders to elect": ("ElectLeaders", 2, {"ElectionType": 0, "TopicPartitions": names("Topic", Partitions=[0]), "TimeoutMs": 60000}),
    "logs to move": ("AlterReplicaLogDirs", 2, {"Dirs": [{"Path": "/nowhere", "Topics": names("Name", Partitions=[0])}]}),
    "partitions to produce to": ("Produce", 11, records_of(2 * NAMES)),
    "topics to produce nothing to": ("Produce", 11, {
        "TransactionalId": None, "Acks": 1, "TimeoutMs": 60000, "TopicData": names("Name", PartitionData=[]),
    }),
    "topics by pages": ("DescribeTopicPartitions", 0, {"Topics": names("Name"), "ResponsePartitionLimit": 2000}),
}  # fmt: skip


@pytest.fixture(scope="module")
def coordinating(broker):
    with connect(broker) as connection:
        topics = [{"Name": "t", "NumPartitions": 1, "ReplicationFactor": 1}]
        connection.call("CreateTopics", 7, {"Topics": topics, "TimeoutMs": 30000})
    await_groups(broker.port, ["g", *(f"n{number}" for number in range(100))])
    return broker


@pytest.mark.parametrize("what", COSTLY, ids=lambda what: what.replace(" ", "-"))
def test_reactors_go_on(coordinating, what):
    api, version, body = COSTLY[what]
    runs = []
    with Connection("127.0.0.1", coordinating.port, PATIENCE_S) as connection:
        while len(runs) < 3 or (len(runs) < 20 and not mostly_the_workers(runs)):
            before = cpu_ms(coordinating)
            connection.send(api, version, body)
            answer = connection.receive_frame()
            runs.append({name: ms - before[name] for name, ms in cpu_ms(coordinating).items()})
            assert len(answer) > NAMES or "nothing" in what  # each was answered
    assert mostly_the_workers(runs), runs


def mostly_the_workers(runs):
    """Receiving and sending are the reactor's in any case; where it decoded the request, too, encoded the answer, or did the rest, its
    share would be larger. The least of each counts: the first answer's memory costs the reactor more than the next one's, and what else
    the machine does costs both. Sanitizers make the large memory that the reactor receives into, and sends from, several times dearer."""
    share = 0.5 if sanitized() else 6
    return min(run["worker"] for run in runs) > share * min(run["reactor"] for run in runs)


def test_who_leaves_meanwhile_is_nobodys_loss(coordinating):
    """Workers go on with what a client asked that has gone, and its request goes with its answer."""
    for _ in range(2):
        for what in ("offsets of groups", "offsets to commit", "groups", "users"):
            api, version, body = COSTLY[what]
            with Connection("127.0.0.1", coordinating.port, PATIENCE_S) as connection:
                connection.send(api, version, body)
    with Connection("127.0.0.1", coordinating.port, PATIENCE_S) as connection:  # behind all of theirs
        assert connection.call(*COSTLY["users"])["ErrorCode"] == 0


def test_memory_goes_back_to_the_system(brokers):
    """Of what large answers took, next to nothing is kept, by the reactors or by the workers."""
    broker, at_once = brokers.start(), ("one topic's settings, again and again", "settings of groups", "topics")
    with connect(broker) as connection:
        connection.call("Metadata", 12, {"Topics": None})
        before = memory_bytes(broker)
    for _ in range(2):
        asking = [Connection("127.0.0.1", broker.port, PATIENCE_S) for _ in at_once]
        for what, connection in zip(at_once, asking):
            connection.send(*COSTLY[what])
        for connection in asking:
            with connection:
                assert len(connection.receive_frame()) > NAMES
    most = memory_bytes(broker, "VmHWM")
    assert most > before + 4 * KEPT_BYTES_MAX, (before, most)  # else this says nothing
    if not sanitized():  # a sanitizer keeps what is freed
        wait_until(lambda: memory_bytes(broker) < before + KEPT_BYTES_MAX, 30, f"{most} bytes to come down to {before}", every_s=0.1)
