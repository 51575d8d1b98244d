"""Every client writes, every client reads: with each compression, headers, tombstones, large values, idempotence; a record of 10 MB, where
client and topic are told that there will be such, and what a client says of one that the topic does not take."""

import pytest

from harness.clients import CLIENTS
from harness.clients.program import checked
from harness.process import wait_until
from harness.records import (
    COMPRESSIONS, HUGE_MAX_BYTES, LARGE_BYTES, Read, Record, Write, assert_same, binary_records, huge_record, text_records,
)  # fmt: skip
from harness.requests import connect, end_offset
from harness.topics import create_topics

TEXT, BINARY, HUGE = text_records(), binary_records(), [huge_record()]
KEEP = {"retention.ms": "-1"}  # the records' times are old
NAMES = list(CLIENTS)
TOO_LARGE = r"(?i)too.?large|larger than the max message size"


def huge_of(reader):
    """Whose huge record a client reads: one other's, so that a run takes seconds."""
    return NAMES[NAMES.index(reader) - 1]


def huge_compression(writer):
    compressions = CLIENTS[writer].compressions
    return compressions[NAMES.index(writer) % len(compressions)]


class Written:
    """What a client wrote, once a run: a topic for each kind of write."""

    def __init__(self, broker):
        self.broker, self._done = broker, {}

    def by(self, writer):
        """{(compression, idempotent, kind): Write} of this client; an AssertionError where it could not write."""
        if writer not in self._done:
            try:
                self._done[writer] = self._write(CLIENTS[writer])
            except Exception as problem:
                self._done[writer] = problem
        if isinstance(self._done[writer], Exception):
            raise AssertionError(f"{writer} could not write: {self._done[writer]}")
        return self._done[writer]

    def _write(self, client):
        writes = {(c, True, "text"): TEXT for c in client.compressions}
        writes[("none", False, "text")] = TEXT
        if client.binary:
            records = client.carries(BINARY)
            writes.update({(c, True, "binary"): records for c in client.compressions})
            writes[(client.compressions[-1], False, "binary")] = records
        named = {
            key: Write(f"{client.name}-{'-'.join(map(str, key))}", records, key[0], key[1])
            for key, records in writes.items()
        }
        create_topics(self.broker.bootstrap, [write.topic for write in named.values()], configs=KEEP)
        compression, topic = huge_compression(client.name), f"{client.name}-huge"
        named[(compression, True, "huge")] = Write(topic, HUGE, compression, max_bytes=HUGE_MAX_BYTES)
        create_topics(self.broker.bootstrap, [topic], configs={**KEEP, "max.message.bytes": str(HUGE_MAX_BYTES)})
        # Kafka answers before its broker leads the partitions: a client that writes at once has to try again, and says so
        wait_until(lambda: self._are_led(write.topic for write in named.values()), 20, f"the topics of {client.name}")
        client.produce(self.broker.bootstrap, list(named.values()))
        return named

    def _are_led(self, topics):
        jobs = [{"do": "list_offsets", "topic": topic, "partition": 0, "time": -1} for topic in topics]
        return not any("error" in result for result in CLIENTS["confluent-kafka"].do(self.broker.bootstrap, jobs, may_complain=True))


@pytest.fixture(scope="module")
def written(broker):
    return Written(broker)


class Readings:
    """What a client reads of everything that the others wrote, in one go: for each reader once a run."""

    def __init__(self, written):
        self.written, self._read = written, {}

    def check(self, reader, writer, writers):
        """This reader has read what this writer wrote; writers are all that it is asked for in this run."""
        wanted = {write.topic: write for write in self._writes(reader, writer)}
        if reader not in self._read:
            self._read[reader] = self._read_all(reader, writers)
        if isinstance(self._read[reader], Exception):
            raise AssertionError(f"{reader} could not read: {self._read[reader]}")
        for topic, write in wanted.items():
            assert_same(self._read[reader][topic], CLIENTS[reader].sees(write.records), f"{topic} read by {reader}")

    def _writes(self, reader, writer):
        kinds = {"text": True, "binary": CLIENTS[reader].binary, "huge": writer == huge_of(reader)}
        return [write for (_, _, kind), write in self.written.by(writer).items() if kinds[kind]]

    def _read_all(self, reader, writers):
        writes = []
        for writer in writers:
            try:
                writes += self._writes(reader, writer)
            except AssertionError:
                continue  # that writer's own test says so
        try:
            reads = [Read(write.topic, len(write.records)) for write in writes]
            records = CLIENTS[reader].consume(self.written.broker.bootstrap, reads)
            return {read.topic: some for read, some in zip(reads, records)}
        except Exception as problem:
            return problem


@pytest.fixture(scope="module")
def readings(written):
    return Readings(written)


def pairs_of(request, reader):
    """The writers that this run asks a reader for."""
    params = [item.callspec.params for item in request.session.items if item.originalname == request.node.originalname]
    return [param["writer"] for param in params if param["reader"] == reader]


READERS = [name for name, client in CLIENTS.items() if client.assigns and name != "console"]


@pytest.mark.parametrize("writer", CLIENTS)
@pytest.mark.parametrize("reader", READERS)
def test_reads(request, readings, reader, writer):
    readings.check(reader, writer, pairs_of(request, reader))


@pytest.mark.parametrize("writer,compression", list(zip(["kcat", "java", "console", "confluent-kafka", "kafka-python"], COMPRESSIONS)))
def test_console_consumer_reads(broker, written, writer, compression):
    write = written.by(writer)[(compression, True, "text")]
    (records,) = CLIENTS["console"].consume(broker.bootstrap, [Read(write.topic, len(write.records))])
    assert_same(records, write.records, f"{write.topic} read by the console consumer")


def test_console_consumer_reads_a_huge_record(broker, written):
    writer = huge_of("console")
    write = written.by(writer)[(huge_compression(writer), True, "huge")]
    (records,) = CLIENTS["console"].consume(broker.bootstrap, [Read(write.topic, 1)])
    assert_same(records, HUGE, f"{write.topic} read by the console consumer")


@pytest.mark.parametrize("reader", [name for name, client in CLIENTS.items() if not client.assigns])
def test_reads_a_huge_record_in_a_group(broker, written, reader):
    writer = huge_of(reader)
    write = written.by(writer)[(huge_compression(writer), True, "huge")]
    job = {"do": "consume_group", "group": "huge", "topics": [write.topic], "count": 1, "protocol": "classic"}
    (result,) = checked(CLIENTS[reader].do(broker.bootstrap, [job]))
    assert_same([record for _, _, record in result["records"]], HUGE, f"{write.topic} read by {reader}")


@pytest.fixture(scope="module")
def plain_topic(broker):
    create_topics(broker.bootstrap, ["takes-a-megabyte"])
    return "takes-a-megabyte"


# The console producer ends well whatever becomes of its records.
@pytest.mark.parametrize("writer", [name for name in CLIENTS if name != "console"])
def test_is_told_that_a_record_is_too_large(broker, plain_topic, writer):
    write = Write(plain_topic, [Record(b"k", b"v" * 2 * LARGE_BYTES)], max_bytes=HUGE_MAX_BYTES)
    with pytest.raises(Exception, match=TOO_LARGE):
        CLIENTS[writer].produce(broker.bootstrap, [write], may_complain=True)
    with connect(broker) as connection:
        assert end_offset(connection, plain_topic)["Offset"] == 0
