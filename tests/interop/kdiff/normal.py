"""What makes two brokers' answers comparable, and the comparison."""

import json
import re

from harness.batch import parse

# Fields that differ by nature.
IGNORED = set(
    """ThrottleTimeMs Host Port ClusterId Rack RackId LogDir BrokerEpoch ClientHost Documentation ReplicaDirectoryId
    LogAppendTimeMs LastTimestamp TotalBytes UsableBytes StartTimeMs TransactionStartTimeMs FeaturesEpoch
    FinalizedFeaturesEpoch LastFetchTimestamp LastCaughtUpTimestamp DirectoryId Size ControllerId SessionId""".split()
)
# Ids that a broker makes up: compared by the order in which they were first seen ('Leader' is a member's id).
ORDINAL = {
    "TopicId": "topic",
    "MemberId": "member",
    "Leader": "member",
    "ProducerId": "producer",
    "Hmac": "hmac",
    "TokenId": "token",
    "ClientInstanceId": "client",
}
MADE_UP = re.compile(r"-?\d{13,}|(?<=ember )[\w-]{22}\b|(?<=127\.0\.0\.1:)\d+")  # times, ids and ports within a message
NO_ID = (None, "", "00" * 16, -1)
# What a list is sorted by before it is compared.
LIST_KEYS = """Name TopicName Topic TopicId PartitionIndex Index Partition GroupId TransactionalId ApiKey ConfigName
    ResourceName NodeId BrokerId User Key MemberId Mechanism""".split()
# Settings whose value is this broker's own.
OWN_CONFIGS = set(
    """advertised.listeners listeners log.dirs log.dir node.id broker.id controller.quorum.voters metadata.log.dir
    num.network.threads num.io.threads controller.quorum.bootstrap.servers http.listeners""".split()
)
# What their coordinators write is appended in as few batches as milliseconds allow, and each has a header.
BATCHED_BY_TIME = ("__consumer_offsets", "__transaction_state")
LOG_APPEND_TIME, CONTROL = 0x08, 0x20  # of a batch's attributes
BROKER_LOGGER = 8  # a resource whose other settings are the names of a broker's own classes, and levels
REQUEST_LOGGER = "kafka.request.logger"


def without_brokers_time(batch):
    """A batch that bears the time of its append, or a coordinator's marker, says when each broker did it."""
    its_own = batch["Attributes"] & (LOG_APPEND_TIME | CONTROL)
    return {k: v for k, v in batch.items() if not its_own or not k.endswith("Timestamp")}


def without_size(partition):
    return {k: v for k, v in partition.items() if k != "PartitionSize"} if isinstance(partition, dict) else partition


class Normal:
    """Replaces ids by the order in which they were first seen, drops what differs by nature, sorts lists. own: of all groups and
    transactions that are listed, only those of the prefix count; what becomes of others' members, which transaction of another
    scenario has timed out, and when, is not asked."""

    def __init__(self, prefix, own=False):
        self.seen, self.prefix, self.own = {}, prefix, own

    def __call__(self, obj, key=None):
        if isinstance(obj, dict):
            if obj.get("Name") in OWN_CONFIGS:
                return {"Name": obj["Name"]}
            if "BaseTimestamp" in obj:
                obj = without_brokers_time(obj)
            if obj.get("Name") in BATCHED_BY_TIME and isinstance(obj.get("Partitions"), list):
                obj = {**obj, "Partitions": [without_size(partition) for partition in obj["Partitions"]]}
            if obj.get("ResourceType") == BROKER_LOGGER and obj.get("Configs"):
                level = {"root": {"Name": "root"}}  # at first each broker's own
                obj = {**obj, "Configs": [level.get(c["Name"], c) for c in obj["Configs"] if c["Name"] in ("root", REQUEST_LOGGER)]}
            return {k: self(v, k) for k, v in obj.items() if k not in IGNORED}
        if key == "Markers":  # of WriteTxnMarkers: Kafka has the answers of producers in a hash map, which threads fill
            return sorted((self(x, key + "[]") for x in sorted(obj, key=lambda x: x["ProducerId"])), key=lambda x: json.dumps(x["ProducerId"]))
        if key == "ActiveProducers":  # in the order of a hash map
            return [self(x, key) for x in sorted(obj, key=lambda x: x["ProducerId"])]
        if isinstance(obj, list):
            if self.own and key == "TransactionStates":  # of those that are listed; where they are described, each has an error
                obj = [x for x in obj if "ErrorCode" in x or x["TransactionalId"].startswith(self.prefix)]
            if self.own and key == "Groups":
                obj = [x for x in obj if "ProtocolType" not in x or "Members" in x or x["GroupId"].startswith(self.prefix)]
            return self._sorted([self(x, key) for x in sorted(obj, key=self._order)])
        if isinstance(obj, bytes):
            return self(parse(obj)) if key == "Records" else obj.hex()
        if key in ORDINAL and obj not in NO_ID:
            kind = ORDINAL[key]
            return f"{kind}#{self.seen.setdefault((kind, obj), len(self.seen))}"
        if isinstance(obj, str):
            text = obj.replace(self.prefix, "~")
            return MADE_UP.sub("#", text) if key and key.endswith("ErrorMessage") else text
        return obj

    def _order(self, item):
        """The order in which ids are first seen: Kafka shuffles some answers (those to DeleteTopics)."""
        if isinstance(item, dict) and "TransactionalId" in item:
            return (item["TransactionalId"],)
        if not isinstance(item, dict) or ("Name" not in item and "TopicId" not in item):
            return ()
        seen = self.seen.get(("topic", item.get("TopicId")), len(self.seen))
        return json.dumps(item.get("Name")), seen, item.get("ErrorCode", 0)

    @staticmethod
    def _sorted(items):
        batches = items and isinstance(items[0], dict) and ("Magic" in items[0] or "cut" in items[0])
        if items and isinstance(items[0], dict) and not batches:
            by = [k for k in LIST_KEYS if k in items[0]]
            if "Values" in items[0]:  # quotas: where several went at once, Kafka's table is larger than it need be (orders.py)
                by = ["Entity"]
            items.sort(key=lambda item: tuple(json.dumps(item.get(k), sort_keys=True) for k in by))
        return items


def without(obj, names):
    """obj without the fields of these names, at any depth."""
    if isinstance(obj, dict):
        return {k: without(x, names) for k, x in obj.items() if k not in names}
    return [without(x, names) for x in obj] if isinstance(obj, list) else obj


def differences(a, b, at=""):
    """Yields (path, ours, kafka) for each place where two normalised answers differ."""
    if type(a) is not type(b):
        yield at, a, b
    elif isinstance(a, dict):
        for k in sorted(set(a) | set(b)):
            if k not in a or k not in b:
                yield f"{at}.{k}", a.get(k, "(absent)"), b.get(k, "(absent)")
            else:
                yield from differences(a[k], b[k], f"{at}.{k}")
    elif isinstance(a, list):
        if len(a) != len(b):
            yield f"{at}[]", f"{len(a)} items: {short(a)}", f"{len(b)} items: {short(b)}"
        else:
            for i, (x, y) in enumerate(zip(a, b)):
                yield from differences(x, y, f"{at}[{i}]")
    elif a != b:
        yield at, a, b


def short(x, limit=160):
    text = json.dumps(x, ensure_ascii=False, default=lambda b: b.hex() if isinstance(b, bytes) else str(b))
    return text if len(text) <= limit else text[:limit] + "…"
