"""A transactional producer, request by request."""

import time

from harness.batch import CONTROL, batch, parse
from harness.process import wait_until
from harness.wire import Connection

TRANSACTIONAL = 16
ABORTED = "00000000"  # the key of such a marker
AGAIN = (14, 15, 16, 51)  # loading, not available, not coordinator, the end before is still carried through
PRODUCE_AGAIN = (3, 6, 19)  # and of a partition: not known yet, not led yet, its coordinator could not be asked (Kafka's word for it)
UNKNOWN_ID = 105
TIMEOUT_S = 60


class Refused(Exception):
    def __init__(self, api, error):
        super().__init__(f"{api}: error {error}")
        self.error = error


def again(api, ask, passing=AGAIN):
    """ask() until its error is none of those that pass."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        answer, error = ask()
        if error == 0:
            return answer
        if error not in passing or time.monotonic() > deadline:
            raise Refused(api, error)
        time.sleep(0.02)


def await_coordinators(port, names):
    """The coordinator of each id is there, and has loaded: the partitions of their topic are loaded one after the other."""
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        for name in names:

            def once(name=name):
                state = connection.call("DescribeTransactions", 0, {"TransactionalIds": [name]})["TransactionStates"][0]
                return state, 0 if state["ErrorCode"] == UNKNOWN_ID else state["ErrorCode"]

            again("DescribeTransactions", once)


def await_ends(port, names):
    """What was decided of each id has been carried through."""
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:

        def carried_through():
            states = connection.call("DescribeTransactions", 0, {"TransactionalIds": names})["TransactionStates"]
            return not any(one["ErrorCode"] or one["TransactionState"].startswith("Prepare") for one in states)

        wait_until(carried_through, TIMEOUT_S, "the ends to be carried through")


class Producer:
    """One transactional id's. Clients of transaction version 2 have nothing added by hand."""

    def __init__(self, port, name, version=2, timeout_ms=60000):
        self.connection = Connection("127.0.0.1", port, TIMEOUT_S)
        self.name, self.version, self.timeout_ms = name, version, timeout_ms
        self.producer_id, self.epoch, self.sequences = -1, -1, {}

    def close(self):
        self.connection.close()

    def reconnect(self, port):
        """Goes on with another broker, or with one that was started again."""
        self.connection.close()
        self.connection = Connection("127.0.0.1", port, TIMEOUT_S)

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

    def produce(self, topic, partition, *values, key=b"k", ts=None, codec=0):
        """One batch; the offset of its first record."""
        sequence = self.sequences.get((topic, partition), 0)
        records = batch(
            [(key, value) for value in values], ts=int(time.time() * 1000) if ts is None else ts,
            pid=self.producer_id, epoch=self.epoch, seq=sequence, attributes=TRANSACTIONAL | codec,
        )  # fmt: skip
        data = [{"Name": topic, "PartitionData": [{"Index": partition, "Records": records}]}]
        body = {"TransactionalId": self.name, "Acks": -1, "TimeoutMs": 10000, "TopicData": data}

        def ask():
            answer = self.connection.call("Produce", 12 if self.version >= 2 else 11, body)
            part = answer["Responses"][0]["PartitionResponses"][0]
            return part["BaseOffset"], part["ErrorCode"]

        offset = again("Produce", ask, AGAIN + PRODUCE_AGAIN)
        self.sequences[topic, partition] = sequence + len(values)
        return offset

    def add_offsets(self, group):
        """As a client of transaction version 0 or 1; for the others it comes with the offsets."""
        body = {"TransactionalId": self.name, "ProducerId": self.producer_id, "ProducerEpoch": self.epoch, "GroupId": group}
        again("AddOffsetsToTxn", lambda: self._result(self.connection.call("AddOffsetsToTxn", 4, body)))

    def commit_offsets(self, group, topic, offsets):
        """{partition: offset}, which count with the transaction's end."""
        listed = [{"PartitionIndex": p, "CommittedOffset": offset, "CommittedMetadata": ""} for p, offset in offsets.items()]
        body = {"TransactionalId": self.name, "GroupId": group, "ProducerId": self.producer_id, "ProducerEpoch": self.epoch}
        body["Topics"] = [{"Name": topic, "Partitions": listed}]

        def ask():
            answer = self.connection.call("TxnOffsetCommit", 5 if self.version >= 2 else 4, body)
            return answer, max(p["ErrorCode"] for one in answer["Topics"] for p in one["Partitions"])

        again("TxnOffsetCommit", ask)

    def end(self, commit):
        body = {"TransactionalId": self.name, "ProducerId": self.producer_id, "ProducerEpoch": self.epoch, "Committed": commit}
        answer = again("EndTxn", lambda: self._result(self.connection.call("EndTxn", 5 if self.version >= 2 else 4, body)))
        if self.version >= 2:
            self._became(answer)


def records(port, topic, partition, committed=True, offset=0):
    """[(offset, key, value)] from there on, as a consumer sees them who reads committed ones only; or all."""
    out = []
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        while True:
            wanted = [{"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]
            body = {"MaxWaitMs": 10, "MinBytes": 0, "MaxBytes": 1 << 20, "SessionEpoch": -1, "IsolationLevel": int(committed)}
            answer = connection.call("Fetch", 12, {**body, "Topics": [{"Topic": topic, "Partitions": wanted}]})
            part = answer["Responses"][0]["Partitions"][0]
            assert part["ErrorCode"] == 0, part
            batches = [one for one in parse(part["Records"] or b"") if "cut" not in one]
            if not batches:
                return out
            aborted = sorted((a["FirstOffset"], a["ProducerId"]) for a in part.get("AbortedTransactions") or [])
            out += [record for record in _visible(batches, aborted) if record[0] >= offset]
            offset = batches[-1]["BaseOffset"] + batches[-1]["LastOffsetDelta"] + 1


def read(port, topic, partition, committed=True, offset=0):
    """Their values."""
    return [value for _, _, value in records(port, topic, partition, committed, offset)]


def _visible(batches, aborted):
    out, skipped = [], set()
    for one in batches:
        while aborted and aborted[0][0] <= one["BaseOffset"] + one["LastOffsetDelta"]:
            skipped.add(aborted.pop(0)[1])
        if one["Attributes"] & CONTROL:
            if one["Content"] and one["Content"][0][2] == ABORTED:
                skipped.discard(one["ProducerId"])
        elif not (one["Attributes"] & TRANSACTIONAL and one["ProducerId"] in skipped):
            for _, delta, key, value, _ in one["Content"]:
                out.append((one["BaseOffset"] + delta, _bytes(key), _bytes(value)))
    return out


def _bytes(text):
    return None if text is None else bytes.fromhex(text)


def ends(port, topic, partition=0):
    """(start, last stable offset, end) of the log."""
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:

        def at(timestamp, level):
            wanted = [{"Name": topic, "Partitions": [{"PartitionIndex": partition, "Timestamp": timestamp}]}]
            answer = connection.call("ListOffsets", 7, {"ReplicaId": -1, "IsolationLevel": level, "Topics": wanted})
            part = answer["Topics"][0]["Partitions"][0]
            assert part["ErrorCode"] == 0, part
            return part["Offset"]

        return at(-2, 0), at(-1, 1), at(-1, 0)


def is_settled(port, topic, partitions):
    """Whether no transaction is open in any of the partitions, and the broker leads them."""
    with Connection("127.0.0.1", port, TIMEOUT_S) as connection:
        found = []
        for level in (0, 1):
            wanted = [{"Name": topic, "Partitions": [{"PartitionIndex": p, "Timestamp": -1} for p in partitions]}]
            answer = connection.call("ListOffsets", 7, {"ReplicaId": -1, "IsolationLevel": level, "Topics": wanted})
            found.append({p["PartitionIndex"]: (p["ErrorCode"], p["Offset"]) for p in answer["Topics"][0]["Partitions"]})
    return found[0] == found[1] and all(error == 0 for error, _ in found[0].values())
