"""Transactions: clients' producers and read-committed consumers; each broker goes on with what the other has written."""

import pytest

from harness.batch import parse
from harness.topics import create_topics
from harness.transactions import Producer
from harness.wire import message

STATE = "__transaction_state"
PARTITIONS = 4  # of it


def log_batches(broker, topic, partition):
    return [b for path in sorted(broker.partition_directory(topic, partition).glob("*.log")) for b in parse(path.read_bytes())]


def records_of(broker, name):
    """What __transaction_state says of a transactional id, record by record; None: a tombstone."""
    key_type, value_type = message("TransactionLogKey"), message("TransactionLogValue")
    out = []
    for partition in range(PARTITIONS):
        for one in log_batches(broker, STATE, partition):
            for record in one.get("Content", []):
                key = key_type.decode(0, bytes.fromhex(record[2]), 2)[0]
                if key["TransactionalId"] != name:
                    continue
                value = bytes.fromhex(record[3]) if record[3] else None
                version = int.from_bytes(value[:2], "big") if value else None
                out.append(value and {"version": version, **value_type.decode(version, value, 2)[0]})
    return out


def comparable(records):
    """Without times, and with producer ids by the order in which they appear."""
    ids = {-1: -1}
    out = []
    for record in records:
        one = dict(record)
        for field in ("TransactionLastUpdateTimestampMs", "TransactionStartTimestampMs"):
            one[field] = one[field] > 0
        for field in ("ProducerId", "PreviousProducerId", "NextProducerId"):
            if field in one:
                one[field] = ids.setdefault(one[field], len(ids))
        if one["TransactionPartitions"]:
            one["TransactionPartitions"] = sorted((t["Topic"], sorted(t["PartitionIds"])) for t in one["TransactionPartitions"])
        out.append(one)
    return out


def lives(port):
    """Every way of a transaction, by clients of both transaction versions."""
    for name, version in (("old", 0), ("new", 2)):
        producer = Producer(port, name, version).init()
        for commit in (True, False):
            producer.add("t", [0, 1])
            producer.add("t", [0])
            producer.end(commit)
        producer.add("t", [1])
        producer.init()  # fences itself
        producer.init(keep=True)
        producer.add("t", [1])
        producer.init(keep=True)
        if version >= 2:
            producer.end(False)
        producer.close()


@pytest.mark.timeout(300)
def test_records_are_kafkas(brokers):
    """The same transactions leave the same records."""
    found = {}
    for kind in (brokers.kind, "kafka"):
        broker = brokers.start(kind)
        create_topics(broker.bootstrap, ["t"], partitions=2)
        lives(broker.port)
        broker.stop()
        found[kind] = {name: comparable(records_of(broker, name)) for name in ("old", "new")}
    assert found[brokers.kind] == found["kafka"]
    assert all(len(records) > 10 for records in found["kafka"].values())
