"""Every client writes, every client reads: with each compression, headers, tombstones, large values, idempotence."""

import pytest

from harness.clients import CLIENTS
from harness.records import COMPRESSIONS, Read, Record, Write, assert_same, binary_records, text_records
from harness.topics import create_topics

TEXT, BINARY = text_records(), binary_records()
# kafka-python sends neither null headers nor a record without key and value
FOR_KAFKA_PYTHON = [
    Record(r.key, r.value, tuple((name, value or b"") for name, value in r.headers), r.timestamp_ms)
    for r in BINARY
    if r.key is not None or r.value is not None
]
KEEP = {"retention.ms": "-1"}  # the records' times are old


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
        writes = {(c, True, "text"): TEXT for c in COMPRESSIONS}
        writes[("none", False, "text")] = TEXT
        if client.binary:
            records = FOR_KAFKA_PYTHON if client.name == "kafka-python" else BINARY
            writes.update({(c, True, "binary"): records for c in COMPRESSIONS})
            writes[("lz4", False, "binary")] = records
        named = {
            key: Write(f"{client.name}-{'-'.join(map(str, key))}", records, key[0], key[1])
            for key, records in writes.items()
        }
        create_topics(self.broker.bootstrap, [write.topic for write in named.values()], configs=KEEP)
        client.produce(self.broker.bootstrap, list(named.values()))
        return named


@pytest.fixture(scope="module")
def written(broker):
    return Written(broker)


def assert_reads(broker, reader, writes):
    reads = [Read(write.topic, len(write.records)) for write in writes]
    for write, records in zip(writes, CLIENTS[reader].consume(broker.bootstrap, reads)):
        assert_same(records, write.records, f"{write.topic} read by {reader}")


LIBRARIES = [name for name, client in CLIENTS.items() if client.binary]


@pytest.mark.parametrize("writer", CLIENTS)
@pytest.mark.parametrize("reader", [name for name in CLIENTS if name != "console"])
def test_text(broker, written, writer, reader):
    assert_reads(broker, reader, [write for (_, _, kind), write in written.by(writer).items() if kind == "text"])


@pytest.mark.parametrize("writer", LIBRARIES)
@pytest.mark.parametrize("reader", LIBRARIES)
def test_binary(broker, written, writer, reader):
    assert_reads(broker, reader, [write for (_, _, kind), write in written.by(writer).items() if kind == "binary"])


@pytest.mark.parametrize("writer,compression", list(zip(CLIENTS, COMPRESSIONS)))
def test_console_consumer_reads(broker, written, writer, compression):
    assert_reads(broker, "console", [written.by(writer)[(compression, True, "text")]])
