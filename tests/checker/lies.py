"""What a broken broker would do, done by the proxy: each lie breaks one invariant, and the checks have to find it (test_lies.py)."""

import json

from checker.producers import TRANSACTIONAL_BIT
from harness.batch import COMPRESSION_MASK, batch, parse
from harness.wire import decode_response, encode_request, message, requests


def decode_request(frame):
    """(API, version, correlation id, client id, body)"""
    key, version = int.from_bytes(frame[:2], "big"), int.from_bytes(frame[2:4], "big")
    api, request = next((name, one) for name, one in requests().items() if one.key == key)
    header, at = message("RequestHeader").decode(2 if version in request.flexible else 1, frame)
    return api, version, header["CorrelationId"], header["ClientId"], request.decode(version, frame, at)[0]


def encode_response(api, version, correlation_id, answer):
    flexible = version in requests()[api].flexible and api != "ApiVersions"
    head = message("ResponseHeader").encode(1 if flexible else 0, {"CorrelationId": correlation_id})
    return head + message(api + "Response").encode(version, answer)


class Lie:
    """Tells the truth about everything but one API's requests of some clients, of which every `every`th is falsified."""

    api, clients, every = None, "", 4

    def __init__(self):
        self.lying, self.seen, self.told, self.about = True, 0, 0, {}
        self.key = requests()[self.api].key

    def request(self, frame):
        """What the broker is sent in place of the frame."""
        if not self.lying or int.from_bytes(frame[:2], "big") != self.key:
            return [frame]
        api, version, correlation_id, client, body = decode_request(frame)
        if not client.startswith(self.clients):
            return [frame]
        self.seen += 1
        if self.seen % self.every:
            return [frame]
        out = [encode_request(api, version, one, correlation_id, client) for one in self.falsify(body)]
        for index, one in enumerate(out):
            self.about[id(one)] = (api, version, index, one)
        self.told += 1
        return out

    def answer(self, request, frame):
        """What the client is told in place of the frame; None: nothing."""
        api, version, index, _ = self.about.pop(id(request), (None, None, 0, None))
        if api is None:
            return frame
        if index > 0:
            return None
        correlation_id, answer = decode_response(api, version, frame)
        return encode_response(api, version, correlation_id, self.falsify_answer(answer))

    def falsify(self, body):
        return [body]

    def falsify_answer(self, answer):
        return answer


def rebuild(raw, change_values=list, **changes):
    """A batch with other values or another head."""
    [one] = parse(raw)
    values = [bytes.fromhex(content[3]) for content in one["Content"]]
    head = {
        "ts": one["BaseTimestamp"],
        "pid": one["ProducerId"],
        "epoch": one["ProducerEpoch"],
        "seq": one["BaseSequence"],
        "attributes": one["Attributes"] & ~COMPRESSION_MASK,
        **changes,
    }
    return batch([(None, value) for value in change_values(values)], **head)


def with_records(body, change):
    """A Produce request with its batch changed."""
    [topic] = body["TopicData"]
    [part] = topic["PartitionData"]
    return {**body, "TopicData": [{**topic, "PartitionData": [{**part, "Records": change(part["Records"])}]}]}


class LosesWrites(Lie):
    """Acknowledges what it writes nowhere."""

    api, clients = "Produce", "plain"

    def falsify(self, body):
        if body["Acks"] == 0:
            return [body]
        [topic] = body["TopicData"]
        nowhere = [{**topic["PartitionData"][0], "Index": 999}]
        return [{**body, "TopicData": [{**topic, "PartitionData": nowhere}]}]

    def falsify_answer(self, answer):
        part = answer["Responses"][0]["PartitionResponses"][0]
        part["ErrorCode"] = 0
        return answer


class Duplicates(Lie):
    """Writes what an idempotent producer sent once more, without its sequence."""

    api, clients = "Produce", "idempotent"

    def falsify(self, body):
        return [body, with_records(body, lambda raw: rebuild(raw, pid=-1, epoch=-1, seq=-1))]


class Reorders(Lie):
    """Turns the order within a batch around."""

    api, clients = "Produce", "idempotent"

    def falsify(self, body):
        return [with_records(body, lambda raw: rebuild(raw, lambda values: values[::-1]))]


class ShowsAborted(Lie):
    """Serves read_committed as if it were read_uncommitted."""

    api, clients, every = "Fetch", "through-committed", 1

    def falsify(self, body):
        return [{**body, "IsolationLevel": 0}]

    def falsify_answer(self, answer):
        for topic in answer["Responses"]:
            for part in topic["Partitions"]:
                part["AbortedTransactions"] = None
        return answer


class CommitsHalf(Lie):
    """Writes some of a transaction's records outside of it."""

    api, clients = "Produce", "txn"

    def falsify(self, body):
        def outside(raw):
            attributes = parse(raw)[0]["Attributes"] & ~COMPRESSION_MASK & ~TRANSACTIONAL_BIT
            return rebuild(raw, pid=-1, epoch=-1, seq=-1, attributes=attributes)

        return [with_records({**body, "TransactionalId": None}, outside)]


class AbortsCommits(Lie):
    """Aborts, and says that it has committed."""

    api, clients = "EndTxn", "txn"

    def falsify(self, body):
        return [{**body, "Committed": False}]


class OffsetsApart(Lie):
    """Commits a transaction's records without its offsets."""

    api, clients = "TxnOffsetCommit", "transform"

    def falsify(self, body):
        group = {**body, "GroupId": "elsewhere", "GenerationId": -1, "MemberId": ""}
        return [group]


class OffsetsBack(Lie):
    """Commits the offset before the one it is asked to commit."""

    api, clients = "OffsetCommit", "reader"

    def falsify(self, body):
        for topic in body["Topics"]:
            for part in topic["Partitions"]:
                part["CommittedOffset"] = max(part["CommittedOffset"] - 1, 0)
        return [body]


class TwoOwners(Lie):
    """Gives every member everything."""

    api, clients, every = "SyncGroup", "reader", 1

    def falsify(self, body):
        parts = [json.loads(one["Assignment"]) for one in body["Assignments"]]
        everything = [where for part in parts for where in part["owned"]]
        for one, part in zip(body["Assignments"], parts):
            one["Assignment"] = json.dumps({**part, "owned": everything}).encode()
        return [body]


class SharesPartitions(Lie):
    """Gives every member of a group of the consumer protocol all partitions of all topics that it has heard of."""

    api, clients, every = "ConsumerGroupHeartbeat", "consumer", 1

    def __init__(self):
        super().__init__()
        self.topics = set()

    def falsify_answer(self, answer):
        if answer["Assignment"]:
            self.topics |= {one["TopicId"] for one in answer["Assignment"]["TopicPartitions"]}
            answer["Assignment"]["TopicPartitions"] = [{"TopicId": one, "Partitions": [0, 1, 2]} for one in sorted(self.topics)]
        return answer


class ForgivesFenced(Lie):
    """Tells a producer that was fenced that its transaction is committed."""

    api, clients, every = "EndTxn", "t", 1  # txn, twin and transform

    def falsify_answer(self, answer):
        if answer["ErrorCode"] in (47, 49, 90):
            answer["ErrorCode"] = 0
        return answer


class Damages(Lie):
    """Flips a bit of a value."""

    api, clients = "Produce", "plain"

    def falsify(self, body):
        return [with_records(body, lambda raw: rebuild(raw, lambda values: [bytes([values[0][0] ^ 1]) + values[0][1:], *values[1:]]))]


class ReadsWithGaps(Lie):
    """Leaves a batch out of a Fetch."""

    api, clients, every = "Fetch", "through-all", 3

    def falsify_answer(self, answer):
        for topic in answer["Responses"]:
            for part in topic["Partitions"]:
                records = part["Records"] or b""
                size = 12 + int.from_bytes(records[8:12], "big") if len(records) > 12 else 0
                if 0 < size < len(records):
                    part["Records"] = records[size:]
        return answer


LIES = [
    (1, LosesWrites),
    (2, Duplicates),
    (3, Reorders),
    (4, ShowsAborted),
    (5, CommitsHalf),
    (5, AbortsCommits),
    (5, OffsetsApart),
    (6, OffsetsBack),
    (7, TwoOwners),
    (7, SharesPartitions),
    (8, ForgivesFenced),
    (9, Damages),
    (10, ReadsWithGaps),
]
