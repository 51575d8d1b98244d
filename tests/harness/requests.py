"""Requests that integration tests make on a bare connection, and what they check of the answers."""

import time

from harness.batch import batch, parse
from harness.process import wait_until
from harness.wire import Connection

TOPIC, BROKER = 2, 4  # kinds of resources that have settings


def connect(broker, timeout_s=60):
    return Connection("127.0.0.1", broker.port, timeout_s)


def create_topic(broker, name, partitions=1, **configs):
    """Creates a topic and returns its id. Settings: retention_ms="-1" for retention.ms."""
    settings = [{"Name": key.replace("_", "."), "Value": value} for key, value in configs.items()]
    wanted = {"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1, "Configs": settings}
    with connect(broker, 60) as connection:
        answer = connection.call("CreateTopics", 7, {"Topics": [wanted], "TimeoutMs": 20000})["Topics"][0]
        assert answer["ErrorCode"] == 0, answer
        for i in range(partitions):
            wait_until(lambda i=i: error(end_offset(connection, name, i)) == 0, 60, f"a leader of {name}-{i}")
    return answer["TopicId"]


def error(answer):
    return answer["ErrorCode"]


def end_offset(connection, topic, partition=0, timestamp=-1):
    """The answer for one partition; its Offset is the end of the log."""
    wanted = [{"PartitionIndex": partition, "Timestamp": timestamp}]
    body = {"ReplicaId": -1, "Topics": [{"Name": topic, "Partitions": wanted}]}
    return connection.call("ListOffsets", 7, body)["Topics"][0]["Partitions"][0]


def produce_body(topic, records, partition=0, acks=-1):
    """records: bytes of batches, or what harness.batch.batch takes."""
    raw = records if isinstance(records, bytes) else batch(records, ts=now_ms())
    data = [{"Name": topic, "PartitionData": [{"Index": partition, "Records": raw}]}]
    return {"Acks": acks, "TimeoutMs": 10000, "TopicData": data}


def now_ms():
    return int(time.time() * 1000)


def produce(connection, topic, records, partition=0, acks=-1):
    """The answer for the partition."""
    answer = connection.call("Produce", 9, produce_body(topic, records, partition, acks))
    return answer["Responses"][0]["PartitionResponses"][0]


def fetch_body(topic, offset=0, partition=0, max_wait_ms=0, min_bytes=0, max_bytes=1 << 20):
    wanted = [{"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": max_bytes}]
    body = {"MaxWaitMs": max_wait_ms, "MinBytes": min_bytes, "MaxBytes": max_bytes, "SessionEpoch": -1}
    return {**body, "Topics": [{"Topic": topic, "Partitions": wanted}]}


def fetch(connection, topic, offset=0, **more):
    """(error code, whole batches) of one partition."""
    answer = connection.call("Fetch", 11, fetch_body(topic, offset, **more))["Responses"][0]["Partitions"][0]
    return answer["ErrorCode"], [one for one in parse(answer["Records"] or b"") if "cut" not in one]


def delete_records(connection, topic, *wanted):
    """wanted: (partition, offset). Returns {partition: (error code, low watermark)}."""
    partitions = [{"PartitionIndex": partition, "Offset": offset} for partition, offset in wanted]
    body = {"Topics": [{"Name": topic, "Partitions": partitions}], "TimeoutMs": 10000}
    answered = connection.call("DeleteRecords", 2, body)["Topics"][0]["Partitions"]
    return {one["PartitionIndex"]: (one["ErrorCode"], one["LowWatermark"]) for one in answered}


def alter(broker, kind, name, **settings):
    """Sets settings, or with None takes them back; underscores stand for dots."""
    changes = [
        {"Name": key.replace("_", "."), "ConfigOperation": 1 if value is None else 0, "Value": value}
        for key, value in settings.items()
    ]
    resource = {"ResourceType": kind, "ResourceName": name, "Configs": changes}
    with connect(broker) as connection:
        [answer] = connection.call("IncrementalAlterConfigs", 1, {"Resources": [resource]})["Responses"]
        assert error(answer) == 0, answer


def values(batches):
    return [bytes.fromhex(record[3]) for one in batches for record in one["Content"] if record[3] is not None]
