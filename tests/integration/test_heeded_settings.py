"""Settings of the broker that are read at its start, each by what would not happen without it."""

import time

import pytest

from harness import crash
from harness.batch import batch
from harness.process import wait_until
from harness.quotas import set_quota
from harness.requests import connect, create_topic, delete_records, error, now_ms, produce
from harness.wire import Connection

SETTINGS = {
    "max.request.partition.size.limit": "3",
    "log.flush.offset.checkpoint.interval.ms": "100",
    "log.flush.scheduler.interval.ms": "100",
    "controller.quota.window.num": "2",
    "controller.quota.window.size.seconds": "1000",
}


@pytest.fixture(scope="module")
def broker(module_brokers):
    return module_brokers.start(settings=SETTINGS)


def test_max_request_partition_size_limit(broker):
    create_topic(broker, "wide", partitions=5)
    body = {"Topics": [{"Name": "wide"}], "ResponsePartitionLimit": 2000}
    with connect(broker) as connection:
        answer = connection.call("DescribeTopicPartitions", 0, body)
    (topic,) = answer["Topics"]
    assert [p["PartitionIndex"] for p in topic["Partitions"]] == [0, 1, 2]
    assert (answer["NextCursor"]["TopicName"], answer["NextCursor"]["PartitionIndex"]) == ("wide", 3)


def test_log_flush_offset_checkpoint_interval_ms(broker):
    """A recovery point that is written follows each batch; by default it is after up to five seconds, twenty times."""
    create_topic(broker, "flushed", flush_messages="1")
    checkpoint, end = broker.data / "recovery-point-offset-checkpoint", 0

    def follows():
        return checkpoint.exists() and f"flushed 0 {end}" in checkpoint.read_text().splitlines()

    deadline = time.monotonic() + 80
    with connect(broker) as connection:
        for end in range(1, 21):
            assert error(produce(connection, "flushed", batch([(None, b"v")], ts=now_ms()))) == 0
            wait_until(follows, deadline - time.monotonic(), f"the recovery point {end} to be written")


def test_log_start_offsets_are_written_before_they_are_told(broker):
    """So log.flush.start.offset.checkpoint.interval.ms has no effect."""
    create_topic(broker, "begun")
    with connect(broker) as connection:
        assert error(produce(connection, "begun", batch([(None, b"v")] * 5, ts=now_ms()))) == 0
        assert delete_records(connection, "begun", (0, 3)) == {0: (0, 3)}
    assert "begun 0 3" in (broker.data / "log-start-offset-checkpoint").read_text().splitlines()


def test_controller_quota_window(broker):
    """A hundredth of a partition a second, over two samples of a thousand seconds: twenty at once, where the eleven samples of one
    second that are the default would be none, and two of one second, too."""
    set_quota(broker, {"client-id": "limited"}, controller_mutation_rate=0.01)
    with Connection("127.0.0.1", broker.port, client_id="limited") as connection:

        def create(name, partitions):
            wanted = [{"Name": name, "NumPartitions": partitions, "ReplicationFactor": 1}]
            answer = connection.call("CreateTopics", 7, {"Topics": wanted, "TimeoutMs": 20000})
            return answer["Topics"][0]["ErrorCode"]

        assert [create("a", 15), create("b", 10), create("c", 1)] == [0, 0, 89]  # THROTTLING_QUOTA_EXCEEDED


def appends(broker, topic):
    return sum(name.startswith(topic) for name in crash.appends(broker))


def test_log_cleaner_io_buffer_size(brokers, tmp_path):
    """Half of it holds what is written. By default that is a quarter of a megabyte."""
    broker = brokers.new(settings={"log.cleaner.io.buffer.size": "65536", "log.cleaner.threads": "1", "log.cleaner.backoff.ms": "100"})
    crash.arm(broker, crash.build(tmp_path), ["kept"], suffix=".cleaned")
    broker.start()
    create_topic(broker, "kept", cleanup_policy="compact", segment_bytes=str(1 << 20), min_cleanable_dirty_ratio="0.001")
    with connect(broker) as connection:
        for i in range(150):  # every key once: all of it stays
            assert error(produce(connection, "kept", batch([(b"%d" % i, b"v" * 10_000)], ts=now_ms()))) == 0
    cleaned = broker.data / "cleaner-offset-checkpoint"
    wait_until(lambda: cleaned.exists() and "kept 0" in cleaned.read_text(), 60, "the first segment to be cleaned")
    assert appends(broker, "kept") >= 15, crash.appends(broker)


def test_settings_of_the_metadata_log(brokers):
    """A segment for each moment, snapshots by time, and none that is older than a moment: by default it would be weeks and an hour."""
    broker = brokers.start(
        settings={
            "metadata.log.segment.ms": "100",
            "metadata.log.max.snapshot.interval.ms": "200",
            "metadata.max.retention.ms": "100",
        }
    )
    log, made = broker.data / "__cluster_metadata-0", []

    def write():
        made.append(f"t-{len(made)}")
        create_topic(broker, made[-1])
        return log

    wait_until(lambda: len(list(write().glob("*.log"))) > 1, 60, "metadata.log.segment.ms: a second segment")
    wait_until(lambda: list(write().glob("*[1-9]-*.checkpoint")), 60, "metadata.log.max.snapshot.interval.ms: a snapshot")
    wait_until(lambda: not (write() / f"{0:020}.log").exists(), 60, "metadata.max.retention.ms: the first segment to go")
