"""kill -9 under idempotent load, again and again: every acknowledged record is there once, in order, and no other.

./dev test crash --kills 300 does more of it.
"""

import random
import time

import pytest

from harness.broker import sanitized
from harness.load import Load, new_producer_id, read_partition
from harness.process import wait_until
from harness.wire import Connection

PRODUCERS = 3
TOPIC = "crash"


def create_topic(port, name, partitions=1, **configs):
    settings = [{"Name": key, "Value": value} for key, value in configs.items()]
    wanted = {"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, "Configs": settings}
    with Connection("127.0.0.1", port) as connection:
        answer = connection.call("CreateTopics", 7, {"Topics": [wanted], "TimeoutMs": 20000})["Topics"][0]
    assert answer["ErrorCode"] == 0, answer
    return answer["TopicId"]


def topic_ids(port):
    with Connection("127.0.0.1", port) as connection:
        return {t["Name"]: t["TopicId"] for t in connection.call("Metadata", 12, {"Topics": None})["Topics"]}


def tear(rnd, folder):
    """What a crash in the middle of an append leaves: part of a batch, or nonsense, at the end of the newest segment."""
    segment = sorted(folder.glob("*.log"))[-1]
    raw = segment.read_bytes()[: 1 << 16]
    whole = 12 + int.from_bytes(raw[8:12], "big") if raw else 0  # bytes of the first batch
    torn = rnd.choice([b"\0", rnd.randbytes(rnd.randint(1, 200)), raw[: rnd.randint(0, max(whole - 1, 0))]])
    with open(segment, "ab") as file:
        file.write(torn)


@pytest.mark.timeout(3600)
def test_every_acknowledged_record_comes_back(brokers, pytestconfig):
    kills = pytestconfig.getoption("--kills") or (60 if sanitized() else 200)
    rnd = random.Random(kills)
    broker = brokers.start()
    ids = {TOPIC: create_topic(broker.port, TOPIC, PRODUCERS, **{"segment.bytes": "1048576"})}
    producers = [Load(broker.port, f"p{i}", TOPIC, i, seed=i, most=3) for i in range(PRODUCERS)]  # each record is looked at in the end
    for producer in producers:
        producer.start()
    seen_producer_ids = set()
    for number in range(kills):
        time.sleep(rnd.choice((0.02, 0.1, 0.3)) * rnd.random())  # a moment of load, of any length
        if number % 5 == 0:
            name = f"made-{number}"
            ids[name] = create_topic(broker.port, name)
            with Connection("127.0.0.1", broker.port) as connection:
                producer_id = wait_until(lambda: new_producer_id(connection), 20, "a producer id")
            assert producer_id not in seen_producer_ids, f"producer id {producer_id} was given out twice"
            seen_producer_ids.add(producer_id)
        broker.kill()
        if number % 3 == 2:
            for partition in range(PRODUCERS):
                tear(rnd, broker.partition_directory(TOPIC, partition))
        broker.start()
        assert all(producer.problem is None for producer in producers), [p.problem for p in producers]
    acknowledged = [producer.finish() for producer in producers]
    assert all(acknowledged), acknowledged
    broker.kill()
    broker.start()
    assert topic_ids(broker.port) == ids
    for partition, count in enumerate(acknowledged):
        check_partition(broker.port, partition, count)
    print(f"{kills} kills, {sum(acknowledged)} acknowledged records")


def check_partition(port, partition, count):
    """Exactly the records 0 to count-1, once each, in order."""
    expected = 0
    for one in read_partition(port, TOPIC, partition):
        for _, _, _, value, _ in one["Content"]:
            label, number, _ = bytes.fromhex(value).decode().split(" ")
            where = f"partition {partition}, batch at {one['BaseOffset']}"
            assert (label, int(number)) == (f"p{partition}", expected), f"{where}: {label} {number}, expected {expected}"
            expected += 1
    assert expected == count, f"partition {partition}: {expected} records of {count} acknowledged"
