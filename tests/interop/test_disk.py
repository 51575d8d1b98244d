"""One log directory, two brokers by turns: each reads what the other wrote, and Kafka's tools read it all."""

import random

import pytest

from harness.batch import batch, parse
from harness.clients import CLIENTS
from harness.process import wait_until
from harness.records import COMPRESSIONS, Read, Record, Write, assert_same, text_records
from harness.requests import connect, create_topic, delete_records, end_offset, error, now_ms, produce
from harness.topics import create_topics
from interop import disk

SEGMENTED = {"segment.bytes": "1048576", "index.interval.bytes": "4096", "retention.ms": "-1"}
COMPACTED = {"cleanup.policy": "compact", "retention.ms": "-1"}


class Written:
    """What was written so far, by topic; more is added with each turn."""

    def __init__(self):
        self.records = {"segments": [], "compacted": [], "small": []}

    def create(self, bootstrap):
        create_topics(bootstrap, ["segments"], configs=SEGMENTED)
        create_topics(bootstrap, ["compacted"], configs=COMPACTED)
        create_topics(bootstrap, ["small"])

    def write(self, bootstrap, turn):
        """Several segments with every compression, by idempotent producers of two libraries."""
        rnd = random.Random(turn)
        for client, sizes in (("java", 12_000), ("confluent-kafka", 4_000)):
            writes = []
            for compression in COMPRESSIONS:
                values = [rnd.randbytes(rnd.randint(0, sizes)).hex().encode() for _ in range(60)]
                records = [Record(b"%d-%d" % (turn, i), value, (("turn", b"%d" % turn),)) for i, value in enumerate(values)]
                writes.append(Write("segments", records, compression))
            writes.append(Write("compacted", [Record(b"k%d" % i, None if i % 9 == 4 else b"%d" % turn) for i in range(50)]))
            writes.append(Write("small", text_records(turn, large=False)))
            CLIENTS[client].produce(bootstrap, writes)
            for write in writes:
                self.records[write.topic] += write.records

    def check(self, bootstrap, reader):
        reads = [Read(topic, len(records)) for topic, records in self.records.items()]
        for read, got in zip(reads, CLIENTS[reader].consume(bootstrap, reads)):
            assert_same(got, self.records[read.topic], f"{read.topic} read by {reader}")


def epoch_ends(broker):
    """Where each leader epoch of a partition ended, up to the one that writes now: OffsetForLeaderEpoch."""
    with connect(broker) as connection:
        found = []
        while not found or found[-1][1] >= 0:
            wanted = [{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": len(found)}]
            answer = connection.call("OffsetForLeaderEpoch", 4, {"ReplicaId": -2, "Topics": [{"Topic": "segments", "Partitions": wanted}]})
            partition = answer["Topics"][0]["Partitions"][0]
            assert error(partition) == 0, partition
            found.append((partition["LeaderEpoch"], partition["EndOffset"]))
    return found[:-1]


def end(broker, how):
    broker.kill() if how == "kill" else broker.stop()


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("first", ["under-test", "kafka"])
def test_by_turns(brokers, first, how):
    under_test, kafka = brokers.kind, "kafka"
    turns = [under_test, kafka] if first == "under-test" else [kafka, under_test]
    written, broker, ends = Written(), None, []
    for turn, kind in enumerate(turns + turns[:1]):
        broker = brokers.start(kind) if broker is None else brokers.successor(broker, kind).start()
        if turn == 0:
            written.create(broker.bootstrap)
        else:
            written.check(broker.bootstrap, "confluent-kafka")
        if turn < 2:
            written.write(broker.bootstrap, turn)
        written.check(broker.bootstrap, "confluent-kafka")
        assert epoch_ends(broker)[: len(ends)] == ends  # what the one assigned the other knows, whether there was time to write it down
        ends = epoch_ends(broker)
        end(broker, how)
    assert len(ends) >= 2
    assert len(list((broker.data / "segments-0").glob("*.log"))) >= 4


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_deleted_records_by_turns(brokers, how):
    """Each knows where the other let the log start, and which record is the last in time."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["trimmed"], configs={"retention.ms": "-1"})
    confluent = CLIENTS["confluent-kafka"]
    records = text_records(1, large=False)
    confluent.produce(broker.bootstrap, [Write("trimmed", records)])
    with connect(broker) as connection:
        newest = end_offset(connection, "trimmed", timestamp=-3)
    assert 0 <= newest["Offset"] < len(records) and newest["Timestamp"] > 0
    for turn, kind in enumerate(("kafka", brokers.kind, "kafka")):
        with connect(broker) as connection:
            assert delete_records(connection, "trimmed", (0, 2 * turn + 1)) == {0: (0, 2 * turn + 1)}
        if broker.kind == "kafka":  # it writes the checkpoint when it stops, and each minute
            broker.stop()
        else:
            end(broker, how)
        broker = brokers.successor(broker, kind).start()
        with connect(broker) as connection:
            assert end_offset(connection, "trimmed", timestamp=-2)["Offset"] == 2 * turn + 1
            assert end_offset(connection, "trimmed")["Offset"] == len(records)
            assert end_offset(connection, "trimmed", timestamp=-3) == newest
            found = end_offset(connection, "trimmed", timestamp=newest["Timestamp"])
            assert (found["Timestamp"], found["Offset"] >= 0) == (newest["Timestamp"], True)


def topic_configs(connection, names):
    """What the metadata says of topics: id, partitions and the one setting that they have."""
    topics = connection.call("Metadata", 12, {"Topics": None, "AllowAutoTopicCreation": False})["Topics"]
    told = {one["Name"]: (one["TopicId"], len(one["Partitions"])) for one in topics}
    wanted = [{"ResourceType": 2, "ResourceName": name, "ConfigurationKeys": ["retention.ms"]} for name in names]
    configs = connection.call("DescribeConfigs", 4, {"Resources": wanted})["Results"]
    return [(*told[one["ResourceName"]], one["Configs"][0]["Value"]) for one in configs]


def test_metadata_of_which_the_beginning_is_a_snapshot(brokers):
    """The first segment and the snapshot of the format are gone: each starts from the snapshot that there is."""
    wanted = {"metadata.log.max.record.bytes.between.snapshots": "8000", "metadata.max.retention.bytes": "0", "internal.metadata.log.segment.bytes": "16384"}
    broker, names = brokers.start(settings=wanted), []
    log = broker.data / disk.METADATA
    oldest = min(log.glob("*.log"))

    def one_more():
        names.append(f"kept-{len(names)}")
        create_topics(broker.bootstrap, names[-1:], partitions=10, configs={"retention.ms": str(1_000_000 + len(names))})

    def cleaned():
        """Snapshots come with what is written: one more topic for each look."""
        one_more()
        return not oldest.exists()

    wait_until(cleaned, 60, f"{oldest} to go")
    for kind in ("kafka", brokers.kind):
        with connect(broker) as connection:
            before = topic_configs(connection, names)
        broker.stop()
        disk.check_metadata(broker.data)
        disk.metadata_shell_shows(broker.data, "kept-0", "ls", "/image/topics/byName", file=max(log.glob("*.checkpoint")))
        broker = brokers.successor(broker, kind).start()
        with connect(broker) as connection:
            assert topic_configs(connection, names) == before
        one_more()


def test_kafka_tools_read_it_all(brokers):
    """Also what was written before a crash, and after it: indexes are made anew, a torn tail is gone."""
    broker = brokers.start()
    written = Written()
    written.create(broker.bootstrap)
    written.write(broker.bootstrap, 1)
    broker.kill()
    with open(sorted(broker.partition_directory("segments").glob("*.log"))[-1], "ab") as newest:
        newest.write(bytes(range(200)))
    broker.start()
    with connect(broker) as connection:
        assert error(produce(connection, "segments", [(b"k", b"after the crash")])) == 0
    broker.stop()
    assert disk.check_directory(broker.data) == sum(len(records) for records in written.records.values()) + 1
    metadata = disk.check_metadata(broker.data)
    for word in ("TOPIC_RECORD", "PARTITION_RECORD", "REGISTER_BROKER_RECORD", "FEATURE_LEVEL_RECORD", "segments"):
        assert word in metadata, f"no {word} in the metadata log"
    disk.metadata_shell_shows(broker.data, "segments", "ls", "/image/topics/byName")
    disk.metadata_shell_shows(broker.data, "PartitionRegistration(replicas=[1]", "cat", "/image/topics/byName/segments/0")
    assert (broker.data / ".kafka_cleanshutdown").exists()


def send_batches(broker, topic, times_ms):
    """A batch of one record for each time; the same bytes to any broker."""
    with connect(broker) as connection:
        for number, time_ms in enumerate(times_ms):
            raw = batch([(b"%d" % number, b"value %d" % number)], ts=time_ms)
            assert error(produce(connection, topic, raw)) == 0


def segments(broker, topic):
    return sorted(int(path.stem) for path in broker.partition_directory(topic).glob("*.log"))


def base_times(broker, topic):
    """For each segment, the times of its first and its last batch."""
    spans = []
    for path in sorted(broker.partition_directory(topic).glob("*.log")):
        batches = [one for one in parse(path.read_bytes()) if "Records" in one]
        if batches:
            spans.append((batches[0]["BaseTimestamp"], batches[-1]["MaxTimestamp"]))
    return spans


def test_a_full_index_rolls_where_kafka_rolls(brokers):
    """An index entry a batch and room for few of them: the same segments as Kafka's, and its tools read them."""
    settings = {"index_interval_bytes": "0", "segment_index_bytes": "120", "retention_ms": "-1"}
    start, found = now_ms() - 1_000_000, {}
    for kind in dict.fromkeys((brokers.kind, "kafka")):
        broker = brokers.start(kind)
        create_topic(broker, "full", **settings)
        send_batches(broker, "full", [start + i for i in range(100)])
        broker.stop()
        found[kind] = segments(broker, "full")
        if kind == brokers.kind:
            assert disk.check_directory(broker.data) == 100
    assert len(found["kafka"]) >= 7
    assert found[brokers.kind] == found["kafka"]


@pytest.mark.parametrize("jitter_ms", [0, 99_000])
def test_rolls_by_jitter(brokers, jitter_ms):
    """segment.ms counts in the records' time. Without jitter each segment spans all of it; with it, a random part."""
    span_ms, step_ms = 100_000, 5_000
    broker = brokers.start()
    create_topic(broker, "jitter", segment_ms=str(span_ms), segment_jitter_ms=str(jitter_ms), retention_ms="-1")
    start = now_ms() - 3_000_000
    send_batches(broker, "jitter", [start + i * step_ms for i in range(400)])
    broker.stop()
    assert disk.check_directory(broker.data) == 400
    spans = [last - first for first, last in base_times(broker, "jitter")][:-1]  # the last one is still open
    assert max(spans) <= span_ms
    if jitter_ms:
        assert len(spans) > 400 * step_ms / span_ms and len(set(spans)) > 1  # all in full length: one in 10^19 times
    else:
        assert set(spans) == {span_ms}
