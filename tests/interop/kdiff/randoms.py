"""Random plausible requests from a seed, the same sequence to both brokers."""

import random
import time

from harness.batch import CONTROL, GZIP, batch
from harness.process import wait_until
from harness.telemetry import metrics_data
from harness.wire import NUMBERS, requests
from interop.kdiff.members import HEARTBEAT, Members, member_value
from interop.kdiff.normal import Normal

# Not among them: ApiVersions, which each connection begins with.
SAFE = """Metadata ListOffsets CreateTopics DeleteTopics CreatePartitions DeleteRecords DescribeConfigs
    IncrementalAlterConfigs AlterConfigs OffsetForLeaderEpoch FindCoordinator OffsetCommit OffsetFetch DescribeGroups
    ListGroups DeleteGroups OffsetDelete JoinGroup Heartbeat LeaveGroup SyncGroup InitProducerId AddPartitionsToTxn
    AddOffsetsToTxn EndTxn TxnOffsetCommit DescribeLogDirs AlterReplicaLogDirs DescribeProducers DescribeTransactions ListTransactions
    DescribeTopicPartitions DescribeCluster ElectLeaders AlterPartitionReassignments ListPartitionReassignments DescribeClientQuotas
    AlterClientQuotas DescribeUserScramCredentials AlterUserScramCredentials DescribeAcls ListConfigResources ConsumerGroupDescribe
    ConsumerGroupHeartbeat ConsumerGroupHeartbeat
    UpdateFeatures UnregisterBroker DescribeQuorum WriteTxnMarkers GetTelemetrySubscriptions PushTelemetry
    Fetch Fetch Produce Produce""".split()
GROUPS = set(
    """FindCoordinator OffsetCommit OffsetFetch DescribeGroups ListGroups DeleteGroups OffsetDelete JoinGroup Heartbeat
    LeaveGroup SyncGroup ConsumerGroupDescribe ConsumerGroupHeartbeat TxnOffsetCommit""".split()
)
TRANSACTIONS = set(
    "AddPartitionsToTxn AddOffsetsToTxn EndTxn TxnOffsetCommit DescribeTransactions ListTransactions".split()
)
# Values by what a field names, then by the field's own name; anything else by its type.
BY_ENTITY = {
    "topicName": ["t-a", "t-b", "t-c", "missing", "", ".", "bad name!", "x" * 250],
    "groupId": ["g1", "g2", "", "none"],
    "transactionalId": ["x1", "x2", ""],
    "brokerId": [1, 1, 1, 0, -1, 99],
    "producerId": [-1, 0, 1, 12345],
}
BY_NAME = {
    "PartitionIndex": [0, 0, 1, 2, 7, -1],
    "Partition": [0, 0, 1, 2, 7, -1],
    "NumPartitions": [1, 3, -1, 0],
    "ReplicationFactor": [1, 1, -1, 0, 2],
    "Count": [1, 2, 5, 0],
    "Timestamp": [-1, -2, -3, -4, 0, 5],
    "MaxWaitMs": [0, 10],
    "MinBytes": [0, 1],
    "MaxBytes": [0, 1000, 1 << 20],
    "PartitionMaxBytes": [0, 100, 1 << 20],
    "TimeoutMs": [5000],
    "timeoutMs": [5000],
    "ResourceType": [2, 2, 4, 8, 32, 16, 0],
    "ConfigOperation": [0, 1, 2, 3, 9],
    "Acks": [1, -1],
    "IsolationLevel": [0, 1],
    "SessionId": [0],
    "SessionEpoch": [-1],
    "ReplicaId": [-1],
    "KeyType": [0, 1, 2, 7],
    "ResourceName": ["t-a", "t-b", "1", "", "missing", "g1"],
    "FetchOffset": [0, 1, 5, 1000, -1],
    "Offset": [0, 1, 5, -1, 100],
    "CurrentLeaderEpoch": [-1, 0, 5],
    "LeaderEpoch": [-1, 0, 3],
    "ElectionType": [0, 1, 3],
    "CommittedOffset": [0, 7, -1],
    "ProducerEpoch": [-1, 0, 1],
    "TransactionTimeoutMs": [900000, 0, -1, 1 << 30],  # none that ends while the run goes on
    "GenerationId": [-1, 0, 1, 2, 3],
    "GenerationIdOrMemberEpoch": [-1, 0, 1, 2, 3],
    "MemberId": ["", "nobody", "@member", "@member", "@earlier member"],
    "GroupInstanceId": [None, None, None, "i1", "i2"],
    "SessionTimeoutMs": [300000, 300000, 300000, 5, 1 << 30],  # none that ends while the run goes on
    "RebalanceTimeoutMs": [3000],
    "ProtocolType": ["consumer", "consumer", "consumer", "x", ""],
    "Metadata": [b"\0\0\0\0\0\1\0\3t-a\xff\xff\xff\xff", b"\0\1\0\0\0\0\xff\xff\xff\xff\0\0\0\0", b""],
    "Feature": """metadata.version group.version transaction.version kraft.version share.version streams.version
        eligible.leader.replicas.version nonsense""".split(),
    "MaxVersionLevel": [0, 1, 2, 20, 25, 99],
    "UpgradeType": [1, 2, 3, 0],
    "ReplicaEpoch": [-1],
    "LastFetchedEpoch": [-1],
    "CommittedLeaderEpoch": [-1, 0],
    "RetentionTimeMs": [-1],
    "EntityType": ["user", "client-id", "ip", "user", "client-id", "ip", "group", ""],
    "EntityName": ["a", "b", "10.0.0.1", "no such host", ""],
    "MatchType": [0, 1, 2, 0, 1, 2, 3],
    "Match": ["a", "b", "10.0.0.1", ""],
    "Key": """producer_byte_rate consumer_byte_rate request_percentage controller_mutation_rate
        connection_creation_rate connection_creation_rate nonsense""".split(),
    "Mechanism": [1, 2, 1, 2, 0],
    "Iterations": [4096, 16384, 4095, 16385],
    "Salt": [b"salt", b""],
    "SaltedPassword": [b"p" * 32, b"p" * 64, b""],
}
TELEMETRY_IDS = ["a1" * 16, "a1" * 16, "b2" * 16, "c3" * 16, "00" * 16]
# What would change more than the next answer: the broker itself leaves, or features come and go.
BY_API = {
    ("ConsumerGroupHeartbeat", "GroupId"): ["c1", "c1", "c1", "c2", "g1", ""],
    ("ConsumerGroupHeartbeat", "MemberId"): ["m1", "m1", "m2", "m3", "", "@member"],
    ("ConsumerGroupHeartbeat", "MemberEpoch"): [0, 0, 0, 1, 2, 3, 5, -1, -2, -3],
    ("ConsumerGroupHeartbeat", "InstanceId"): [None, None, None, "i1", "i2", ""],
    ("ConsumerGroupHeartbeat", "RackId"): [None, None, "r1", ""],
    ("ConsumerGroupHeartbeat", "RebalanceTimeoutMs"): [300000, 300000, -1, 0],
    ("ConsumerGroupHeartbeat", "SubscribedTopicRegex"): [None, None, "t-.*", "t-[ab]", "nothing", "[", ""],
    ("ConsumerGroupHeartbeat", "ServerAssignor"): [None, None, "uniform", "range", "nonsense"],
    ("ConsumerGroupHeartbeat", "Partitions"): [0, 1, 2, 7],
    ("ConsumerGroupDescribe", "GroupIds"): ["c1", "c1", "c2", "g1", "none", ""],
    ("DescribeGroups", "Groups"): ["g1", "g2", "c1", "", "none"],
    ("DeleteGroups", "GroupsNames"): ["g1", "g2", "c1", "c2", "", "none"],
    ("AlterReplicaLogDirs", "Path"): ["/nowhere", "/nowhere/else", "nowhere", ""],  # each broker's own: test_move_dirs.py
    ("AlterReplicaLogDirs", "Partitions"): [0, 0, 1, 2, 7, -1],
    ("UnregisterBroker", "BrokerId"): [0, -1, 99],
    ("UpdateFeatures", "ValidateOnly"): [True],
    ("WriteTxnMarkers", "ProducerId"): [4000, 4000, 12345, (1 << 33) + 5, 21, -1],  # of no transaction that is open
    ("WriteTxnMarkers", "ProducerEpoch"): [0, 0, 0, 1, 2, -1],
    ("WriteTxnMarkers", "CoordinatorEpoch"): [0, 0, 0, 1, -1],
    ("WriteTxnMarkers", "TransactionVersion"): [0, 0, 1, 2],
    ("WriteTxnMarkers", "Name"): ["t-m", "t-m", "t-m", "missing", "", "__consumer_offsets"],
    ("WriteTxnMarkers", "PartitionIndexes"): [0, 0, 1, 2, 7],
    ("GetTelemetrySubscriptions", "ClientInstanceId"): TELEMETRY_IDS[:3],  # none that each makes up: its subscription's id hangs on it
    ("PushTelemetry", "ClientInstanceId"): TELEMETRY_IDS,
    ("PushTelemetry", "SubscriptionId"): ["@subscription", "@subscription", 0, 1],
    ("PushTelemetry", "Terminating"): [False, False, False, True],
    ("PushTelemetry", "CompressionType"): [0, 0, 0, 1, 4, 9, -1],
    ("PushTelemetry", "Metrics"): [b"", metrics_data({"a": 1.0}), metrics_data({"a": 1.0})],
    ("DescribeQuorum", "TopicName"): ["__cluster_metadata", "__cluster_metadata", "t-a", ""],
}
FIRST_VERSIONS = {"UpdateFeatures": 1, "JoinGroup": 1}  # before: no ValidateOnly; no RebalanceTimeoutMs
MOVING = {"DescribeQuorum": ("HighWatermark", "LogEndOffset", "LeaderEpoch")}
CLIENT_IDS = ["kdiff", "kdiff", "other", "", None]
RATES = [1e9, 2.0**31 - 1, 1e12, -1.0, 0.0, 1e9 + 0.5, 1e300]  # none that would slow down who asks
CONFIGS = [
    ("max.message.bytes", "2000000"),
    ("retention.ms", "-1"),
    ("log.cleaner.threads", "2"),
    ("log.cleaner.threads", "many"),
    ("message.max.bytes", "1048588"),
    ("num.partitions", "3"),
    ("log.retention.ms", "700000000"),
    ("log.cleanup.policy", "delete,compact"),
    ("consumer.session.timeout.ms", "50000"),
    ("consumer.session.timeout.ms", "5"),
    ("share.isolation.level", "read_committed"),
    ("interval.ms", "3600000"),  # within which no client may ask again, however long the run takes
    ("interval.ms", "50"),
    ("match", "client_id=a.*"),
    ("metrics", "a,b"),
    ("root", "INFO"),
    ("message.timestamp.type", "LogAppendTime"),
    ("retention.ms", "60000"),
    ("retention.ms", "abc"),
    ("cleanup.policy", "compact"),
    ("cleanup.policy", "nonsense"),
    ("max.message.bytes", "-5"),
    ("no.such.setting", "1"),
    ("compression.type", "zstd"),
    ("segment.bytes", "1048576"),
    ("min.insync.replicas", "0"),
]
NOW = int(time.time() * 1000) // 60000 * 60000
GOOD = batch([(b"a", b"1"), (None, b"2"), (b"c", None, [("x", b"y"), ("z", None)])], ts=NOW)
ONE = [(b"a", b"1")]
RECORDS = [
    GOOD,
    GOOD,
    batch([(b"gz", b"z" * 200)] * 4, ts=NOW, attributes=GZIP),
    GOOD + GOOD,
    b"",
    None,
    GOOD[:-1],
    GOOD[:-1] + b"\0",
    batch(ONE, ts=NOW, magic=1),
    batch(ONE, ts=NOW, pid=4000, epoch=0, seq=0),
    batch(ONE, ts=NOW, attributes=CONTROL),
    batch(ONE, ts=NOW, attributes=5),  # no such compression
    batch(ONE, ts=0),
    batch(ONE, ts=NOW + 10**10),
    batch([(b"k", b"x" * 1100000)], ts=NOW),
]
TOPICS = (("t-a", 1), ("t-b", 3), ("t-m", 3))  # the last for markers alone, as they bear the time
METADATA_LAG_S = 10.0
LOADING = 14


class Body:
    """Makes random bodies of one request in one version. '@t-a' stands for a topic's id on either side."""

    def __init__(self, request, version, rnd, transactions, members=False):
        """transactions: whether transactional ids and their coordinators may be asked for; members: those of consumer groups."""
        self.request, self.version, self.rnd, self.transactions = request, version, rnd, transactions
        self.members = members
        self.api = request.name.removesuffix("Request")

    def make(self):
        return self._struct(self.request.fields)

    def _struct(self, fields):
        out = {}
        for field in fields:
            if self.version in field.versions:
                out[field.name] = self._value(field)
        if "Name" in out and isinstance(out.get("Value"), str):
            out["Name"], out["Value"] = self.rnd.choice(CONFIGS)
        if "TransactionalId" in out:
            produce = self.request.name == "ProduceRequest"
            if produce or self.request.name == "InitProducerIdRequest" and not self.transactions:
                out["TransactionalId"] = None
        if out.get("Deletions") and out.get("Upsertions"):
            apart(out)
        if self.api == "WriteTxnMarkers" and "Topics" in out:  # Kafka never answers a marker that names a partition twice
            once = {topic["Name"]: sorted(set(topic["PartitionIndexes"])) for topic in out["Topics"]}
            out["Topics"] = [{"Name": name, "PartitionIndexes": partitions} for name, partitions in once.items()]
        if out.get("Assignments") and self.rnd.random() < 0.8:
            out["Assignments"] = []
        return out

    def _value(self, field):
        if self.version in field.nullable and self.rnd.random() < 0.15:
            return None
        if field.array:
            return [self._one(field) for _ in range(self.rnd.choice([0, 1, 1, 2, 3]))]
        return self._one(field)

    def _one(self, field):
        choice, kind = self.rnd.choice, field.type
        if field.name == "KeyType" and not self.transactions:
            return choice([0, 0, 7])
        if self.members and (mine := member_value(field, self.rnd)) is not None:
            return mine
        if (self.api, field.name) in BY_API:
            return choice(BY_API[self.api, field.name])
        if field.name in BY_NAME:
            return choice(BY_NAME[field.name])
        if field.entity in BY_ENTITY:
            return choice(BY_ENTITY[field.entity])
        if kind == "uuid":
            return choice(["@t-a", "@t-b", "00" * 16, "11" * 16]) if field.name == "TopicId" else "00" * 16
        if kind == "bool":
            return self.rnd.random() < 0.5
        if kind == "string":
            return choice(["", "x", "t-a", "g1"])
        if kind == "float64":
            return choice(RATES)
        if kind in NUMBERS:
            return choice([0, 1] if kind.startswith("u") else [0, 1, 1, 2, -1])
        if kind == "bytes":
            return b""
        if kind == "records":
            return choice(RECORDS)
        return self._struct(field.struct.fields)


def apart(scram):
    """One change that deletes the last credential of a mechanism and adds another loses the other in Kafka 4.3.1, until it
    starts again. We do not; so that is not asked."""
    for items, mechanism in ((scram["Deletions"], 1), (scram["Upsertions"], 2)):
        for item in items:
            item["Mechanism"] = mechanism if item["Mechanism"] in (1, 2) else item["Mechanism"]


class RandomRun:
    def __init__(self, run, seed, only=(), members=False):
        """members: of consumer groups are asked for as clients would ask (members.py)."""
        self.run, self.rnd, self.only = run, random.Random(seed), set(only)
        self.norms = {side.name: Normal("\0") for side in run.sides}
        self.ids = {side.name: {"subscription": 0} for side in run.sides}  # and what else either side made up
        self.members = Members(self.rnd) if members else None
        self.unanswered = 0  # by Kafka, which goes on with what it knows of a connection that waits there: others' ids come next
        self.transactions = not self.only or bool(self.only & TRANSACTIONS)
        self.kinds = [0] if not self.only or self.only & GROUPS else []
        self.kinds += [1] if self.transactions else []

    def go(self, count):
        self._set_up()
        for side in self.run.sides:
            self._await_coordinators(side)
        self._refresh()
        apis = self.apis = [api for api in SAFE if (not self.only or api in self.only) and len(self.run.common(api))]
        apis += [HEARTBEAT] * 6 if self.members else []
        for number in range(count):
            api = self.rnd.choice(apis)
            version = self.rnd.choice([v for v in self.run.common(api) if v >= FIRST_VERSIONS.get(api, 0)])
            body = Body(requests()[api], version, self.rnd, self.transactions, bool(self.members)).make()
            if self.members and api == HEARTBEAT:
                self.members.aim(body)
            if body.get("ClientInstanceId") in TELEMETRY_IDS[:-1]:
                body["ClientInstanceId"] = body["ClientInstanceId"][:-2] + f"{self.unanswered:02x}"
            client_id = self.rnd.choice(CLIENT_IDS)
            if api == "JoinGroup" and client_id is None:  # Kafka cannot write such a member, and never answers
                client_id = ""
            for side in self.run.sides:
                side.client_id = client_id
            ignored = MOVING.get(api, ())
            answers = self.run.step(api, version, body, self.norms, f"#{number}", ignored, self._rebind)
            self.unanswered += answers[1].get("_") == "timeout"
            self._await_topics(api, body, answers)
            self.run.await_image(api, body, answers)
            if api in ("EndTxn", "InitProducerId") and body.get("TransactionalId"):
                self._await_end(body["TransactionalId"])
            if self.members and api == HEARTBEAT:
                kafka = self.ids[self.run.kafka.name]
                self.members.learn(body, answers[1], {topic_id: name for name, topic_id in kafka.items()})
            if api == "JoinGroup":
                self._after_join(number, body["GroupId"], answers)
            if api == "GetTelemetrySubscriptions":
                for side, answer in zip(self.run.sides, answers):
                    self.ids[side.name]["subscription"] = answer.get("SubscriptionId", 0)

    def _set_up(self):
        wanted = [{"Name": name, "NumPartitions": count, "ReplicationFactor": 1} for name, count in TOPICS]
        version = max(self.run.common("CreateTopics"))
        self.run.step("CreateTopics", version, {"Topics": wanted, "TimeoutMs": 30000}, self.norms, "setup")
        for name, count in TOPICS:
            self.run.settle(name, count)
        load = batch([(b"k%d" % i, b"v" * i, [("h", b"1")]) for i in range(8)], ts=NOW)
        for name, count in TOPICS:
            for partition in range(count):
                data = [{"Name": name, "PartitionData": [{"Index": partition, "Records": load}]}]
                body = {"Acks": -1, "TimeoutMs": 5000, "TopicData": data}
                self.run.step("Produce", 9, body, self.norms, "setup")
        if len(self.run.common("InitProducerId")):
            for side in self.run.sides:
                self._await_producer_ids(side)

    @staticmethod
    def _await_producer_ids(side):
        """A broker's first block of producer ids is on its way for some milliseconds: how many is chance."""
        body = {"TransactionalId": None, "TransactionTimeoutMs": 60000}
        wait_until(lambda: side.call("InitProducerId", 4, body).get("ErrorCode") != LOADING, 30, "producer ids")

    def _await_end(self, name):
        """An end that was decided is carried through after its answer."""
        for side in self.run.sides:

            def ended():
                answer = side.call("DescribeTransactions", 0, {"TransactionalIds": [name]})
                return "_" in answer or not answer["TransactionStates"][0]["TransactionState"].startswith("Prepare")

            wait_until(ended, 30, "the transaction's end")

    def _await_coordinators(self, side):
        """Coordinators exist and have loaded before the first comparison."""
        groups, transactions = (list(filter(None, BY_ENTITY[kind])) for kind in ("groupId", "transactionalId"))
        groups += ["c1", "c2"]

        def wait(api, version, body, ready):
            def asked():
                answer = side.call(api, version, body)
                return "_" in answer or ready(answer)

            try:
                wait_until(asked, 60, f"{side.name}'s coordinators", every_s=0.1)
            except TimeoutError:
                pass  # the comparison will say what is wrong

        for kind in self.kinds:
            body = {"KeyType": kind, "CoordinatorKeys": (groups, transactions)[kind]}
            wait("FindCoordinator", 4, body, lambda r: all(c["ErrorCode"] == 0 for c in r["Coordinators"]))
        loading = (14, 15, 16)
        for name in transactions if 1 in self.kinds else ():
            ready = lambda r: r["TransactionStates"][0]["ErrorCode"] not in loading  # noqa: E731
            wait("DescribeTransactions", 0, {"TransactionalIds": [name]}, ready)
        for name in groups if 0 in self.kinds else ():
            wait("DescribeGroups", 5, {"Groups": [name]}, lambda r: r["Groups"][0]["ErrorCode"] not in loading)

    def _topics(self, side):
        """{name: (id, partitions with a leader)}."""
        answer = side.call("Metadata", 12, {"Topics": None})
        return {
            topic["Name"]: (topic["TopicId"], sum(p["LeaderId"] >= 0 for p in topic["Partitions"]))
            for topic in answer.get("Topics", [])
        }

    def _refresh(self):
        topics = {side.name: {name: topic_id for name, (topic_id, _) in self._topics(side).items()} for side in self.run.sides}
        for side in self.run.sides:  # no topic's, and a deleted one's
            self.norms[side.name](["11" * 16, "22" * 16], "TopicId")
        for name in sorted(set.intersection(*map(set, topics.values()))):  # seen in this order, whatever answers tell of them
            for side in self.run.sides:
                self.norms[side.name](topics[side.name][name], "TopicId")
        for side in self.run.sides:
            others = {name: one for name, one in self.ids[side.name].items() if "member" in name or name == "subscription"}
            self.ids[side.name] = topics[side.name] | others

    def _after_join(self, number, group, answers):
        """Both know the member from now on. A group does not stay between two states, where a timer would decide
        what is answered next: the member takes what it is assigned, or is gone."""
        for side, answer in zip(self.run.sides, answers):
            if all(answer.get("MemberId") for answer in answers):
                ids = self.ids[side.name]
                ids["earlier member"], ids["member"] = ids.get("member", ""), answer["MemberId"]
                side.context = answer
        if not all(answer.get("ErrorCode") == 0 for answer in answers):
            return
        if self.rnd.random() < 0.7:
            self.run.step("SyncGroup", 3, lambda joined: {
                "GroupId": group, "GenerationId": joined["GenerationId"], "MemberId": joined["MemberId"],
                "Assignments": [{"MemberId": joined["MemberId"], "Assignment": b"\0\0\0\0\0\0\xff\xff\xff\xff"}],
            }, self.norms, f"#{number} sync")  # fmt: skip
        for side in self.run.sides:
            def at_rest():
                (described,) = side.call("DescribeGroups", 5, {"Groups": [group]})["Groups"]
                return not described["GroupState"].endswith("Rebalance")

            wait_until(at_rest, 30, f"{side.name}'s group {group} to come to rest")

    def _rebind(self, obj, side):
        if isinstance(obj, dict):
            return {k: self._rebind(x, side) for k, x in obj.items()}
        if isinstance(obj, list):
            return [self._rebind(x, side) for x in obj]
        if isinstance(obj, str) and obj.startswith("@"):
            return self.ids[side.name].get(obj[1:], "gone" if "member" in obj else "22" * 16)
        return obj

    def _await_topics(self, api, body, answers):
        """A broker's own picture of its topics follows a change a moment later; the next request waits for that."""
        for side, answer in zip(self.run.sides, answers):
            present, absent = changed_topics(api, body, answer)
            if not present and not absent:
                continue

            def arrived():
                topics = self._topics(side)
                return all(
                    name in topics and topics[name][1] >= count and side.settled(name, topics[name][1])
                    for name, count in present.items()
                ) and not any(name in topics or side.has_partition(name) for name in absent)

            try:
                wait_until(arrived, METADATA_LAG_S, "the topics")
            except TimeoutError:
                pass  # it will not come, then; the following comparisons say whether that is a difference
        if HEARTBEAT in self.apis and any(any(changed_topics(api, body, answer)) for answer in answers):
            self.run.fence()  # groups follow later still
        if api in ("CreateTopics", "DeleteTopics", "CreatePartitions", "Metadata"):
            self._refresh()


def changed_topics(api, body, answer):
    """What an answer says of topics: ({name: at least so many partitions} soon present, names soon absent)."""
    if "_" in answer or body.get("validateOnly") or body.get("ValidateOnly"):
        return {}, []
    if api == "CreateTopics":
        return {t["Name"]: 1 for t in answer["Topics"] if t["ErrorCode"] == 0}, []
    if api == "DeleteTopics":
        return {}, [t["Name"] for t in answer["Responses"] if t["ErrorCode"] == 0 and t["Name"]]
    if api == "CreatePartitions":
        counts = {t["Name"]: t["Count"] for t in body["Topics"]}
        return {t["Name"]: counts[t["Name"]] for t in answer["Results"] if t["ErrorCode"] == 0}, []
    if api == "Metadata" and body.get("AllowAutoTopicCreation", True):
        return {t["Name"]: 1 for t in answer["Topics"] if t["ErrorCode"] in (3, 5) and t["Name"]}, []
    return {}, []
