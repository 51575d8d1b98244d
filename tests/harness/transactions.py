"""A transactional producer, request by request."""

import time

from harness.batch import batch, parse
from harness.wire import Connection

TRANSACTIONAL = 16
AGAIN = (14, 15, 16, 51)  # loading, not available, not coordinator, the end before is still carried through
TIMEOUT_S = 20


class Refused(Exception):
    def __init__(self, api, error):
        super().__init__(f"{api}: error {error}")
        self.error = error


def again(api, ask):
    """ask() until its error is none of those that pass."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        answer, error = ask()
        if error == 0:
            return answer
        if error not in AGAIN or time.monotonic() > deadline:
            raise Refused(api, error)
        time.sleep(0.02)


class Producer:
    """One transactional id's. Clients of transaction version 2 have nothing added by hand."""

    def __init__(self, port, name, version=2, timeout_ms=60000):
        self.connection = Connection("127.0.0.1", port, 20)
        self.name, self.version, self.timeout_ms = name, version, timeout_ms
        self.producer_id, self.epoch, self.sequences = -1, -1, {}

    def close(self):
        self.connection.close()

    def init(self, keep=False):
        """Waits for the coordinator, too: the topic is made when it is first asked for."""
        mine = (self.producer_id, self.epoch) if keep else (-1, -1)
        wanted = {"KeyType": 1, "CoordinatorKeys": [self.name]}
        again("FindCoordinator", lambda: self._result(self.connection.call("FindCoordinator", 4, wanted)["Coordinators"][0]))
        body = {"TransactionalId": self.name, "TransactionTimeoutMs": self.timeout_ms, "ProducerId": mine[0], "ProducerEpoch": mine[1]}
        answer = again("InitProducerId", lambda: self._result(self.connection.call("InitProducerId", 4, body)))
        self._became(answer)
        return self

    @staticmethod
    def _result(answer):
        return answer, answer["ErrorCode"]

    def _became(self, answer):
        now = (answer["ProducerId"], answer["ProducerEpoch"])
        if now != (self.producer_id, self.epoch):
            self.sequences = {}
        self.producer_id, self.epoch = now

    def add(self, topic, partitions):
        """As a client of transaction version 0 or 1, or as a broker for one of version 2."""
        topics = [{"Name": topic, "Partitions": list(partitions)}]
        if self.version >= 2:
            one = {"TransactionalId": self.name, "ProducerId": self.producer_id, "ProducerEpoch": self.epoch}
            body = {"Transactions": [{**one, "VerifyOnly": False, "Topics": topics}]}
        else:
            body = {"V3AndBelowTransactionalId": self.name, "V3AndBelowProducerId": self.producer_id}
            body.update(V3AndBelowProducerEpoch=self.epoch, V3AndBelowTopics=topics)

        def ask():
            answer = self.connection.call("AddPartitionsToTxn", 4 if self.version >= 2 else 3, body)
            results = answer["ResultsByTransaction"][0]["TopicResults"] if self.version >= 2 else answer["ResultsByTopicV3AndBelow"]
            return answer, max(p["PartitionErrorCode"] for t in results for p in t["ResultsByPartition"])

        again("AddPartitionsToTxn", ask)

    def produce(self, topic, partition, *values):
        sequence = self.sequences.get((topic, partition), 0)
        records = batch(
            [(b"k", value) for value in values],
            ts=int(time.time() * 1000), pid=self.producer_id, epoch=self.epoch, seq=sequence, attributes=TRANSACTIONAL,
        )  # fmt: skip
        data = [{"Name": topic, "PartitionData": [{"Index": partition, "Records": records}]}]
        body = {"TransactionalId": self.name, "Acks": -1, "TimeoutMs": 10000, "TopicData": data}

        def ask():
            answer = self.connection.call("Produce", 12 if self.version >= 2 else 11, body)
            return answer, answer["Responses"][0]["PartitionResponses"][0]["ErrorCode"]

        again("Produce", ask)
        self.sequences[topic, partition] = sequence + len(values)

    def end(self, commit):
        body = {"TransactionalId": self.name, "ProducerId": self.producer_id, "ProducerEpoch": self.epoch, "Committed": commit}
        answer = again("EndTxn", lambda: self._result(self.connection.call("EndTxn", 5 if self.version >= 2 else 4, body)))
        if self.version >= 2:
            self._became(answer)


def read(port, topic, partition, committed=True, offset=0):
    """The values of a partition's records, as a consumer sees them who reads committed ones only; or all."""
    with Connection("127.0.0.1", port, 20) as connection:
        wanted = [{"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]
        body = {"MaxWaitMs": 10, "MinBytes": 0, "MaxBytes": 1 << 20, "SessionEpoch": -1, "IsolationLevel": int(committed)}
        answer = connection.call("Fetch", 12, {**body, "Topics": [{"Topic": topic, "Partitions": wanted}]})
    part = answer["Responses"][0]["Partitions"][0]
    assert part["ErrorCode"] == 0, part
    aborted = sorted((a["FirstOffset"], a["ProducerId"]) for a in part.get("AbortedTransactions") or [])
    return _visible(parse(part["Records"] or b""), aborted)


def _visible(batches, aborted):
    out, skipped = [], set()
    for one in batches:
        while aborted and aborted[0][0] <= one["BaseOffset"]:
            skipped.add(aborted.pop(0)[1])
        if one["Attributes"] & 32:
            skipped.discard(one["ProducerId"])
        elif not (one["Attributes"] & TRANSACTIONAL and one["ProducerId"] in skipped):
            out += [bytes.fromhex(record[3]) for record in one["Content"]]
    return out


def is_settled(port, topic, partitions):
    """Whether no transaction is open in any of the partitions, and the broker leads them."""
    with Connection("127.0.0.1", port, 20) as connection:
        found = []
        for level in (0, 1):
            wanted = [{"Name": topic, "Partitions": [{"PartitionIndex": p, "Timestamp": -1} for p in partitions]}]
            answer = connection.call("ListOffsets", 7, {"ReplicaId": -1, "IsolationLevel": level, "Topics": wanted})
            found.append({p["PartitionIndex"]: (p["ErrorCode"], p["Offset"]) for p in answer["Topics"][0]["Partitions"]})
    return found[0] == found[1] and all(error == 0 for error, _ in found[0].values())
