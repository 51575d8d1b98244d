"""Topics to compact: what is written, what must be left, and how far a broker has come."""

import random

from harness.batch import GZIP, LZ4, SNAPPY, ZSTD, batch
from harness.process import wait_until
from harness.requests import connect, error, fetch, now_ms, produce

EAGER = {"log.cleaner.backoff.ms": "100"}
COMPACTED = {
    "cleanup_policy": "compact",
    "internal_segment_bytes": "16384",
    "min_cleanable_dirty_ratio": "0.001",
    "file_delete_delay_ms": "100",
}
PRODUCERS = (1001, 1002, 1003)


class Writer:
    """Keyed records from a seed: every compression, tombstones, records without producer and of idempotent ones."""

    def __init__(self, seed, topics, keys=60):
        self.random, self.topics, self.keys = random.Random(seed), topics, keys
        self.sequences, self.ts, self.end = dict.fromkeys(PRODUCERS, 0), now_ms() - 10_000_000, 0

    def _batch(self):
        rnd = self.random
        records = []
        for _ in range(rnd.randint(1, 12)):
            key = b"key-%d" % rnd.randrange(self.keys)
            value = None if rnd.random() < 0.15 else rnd.randbytes(rnd.randint(0, 200)).hex().encode()
            headers = [("number", b"%d" % rnd.randrange(1000))] if rnd.random() < 0.3 else []
            records.append((key, value, headers))
        pid, more = rnd.choice((None,) + PRODUCERS), {}
        if pid:
            more = {"pid": pid, "epoch": 0, "seq": self.sequences[pid]}
            self.sequences[pid] += len(records)
        self.ts += rnd.randint(-50, 1000)
        self.end += len(records)
        return batch(records, ts=self.ts, attributes=rnd.choice((0, 0, GZIP, SNAPPY, LZ4, ZSTD)), **more)

    def write(self, brokers, batches):
        """The same batches to each topic of each broker; the last segments are sealed afterwards."""
        raws = [self._batch() for _ in range(batches)]
        for _ in range(2):  # one is larger than a segment's rest
            self.ts += 1
            raws.append(batch([(b"filler", self.random.randbytes(8100))], ts=self.ts))
            self.end += 1
        for broker in brokers:
            with connect(broker) as connection:
                for topic in self.topics:
                    for raw in raws:
                        answer = produce(connection, topic, raw)
                        assert error(answer) == 0, answer


def bases(broker, topic, partition=0):
    return sorted(int(path.stem) for path in broker.partition_directory(topic, partition).glob("*.log"))


def checkpoint(broker, topic, partition=0):
    path = broker.data / "cleaner-offset-checkpoint"
    lines = path.read_text().split("\n")[2:] if path.exists() else []
    return next((int(line.split()[2]) for line in lines if line.split()[:2] == [topic, str(partition)]), 0)


def wait_compacted(broker, topic, partition=0, timeout_s=60):
    """Until everything in front of the active segment is compacted."""
    wait_until(
        lambda: checkpoint(broker, topic, partition) == bases(broker, topic, partition)[-1],
        timeout_s,
        f"{broker.kind} to compact {topic}",
        every_s=0.1,
    )


def records(broker, topic, partition=0, start=0):
    """All that a consumer sees: [(offset, timestamp, key, value, headers)]."""
    found, offset = [], start
    with connect(broker) as connection:
        while True:
            code, batches = fetch(connection, topic, offset, partition=partition)
            assert code == 0
            if not batches:
                return found
            for one in batches:
                assert one["CrcOk"] and isinstance(one["Content"], list), one
                for delta, number, key, value, headers in one["Content"]:
                    at = one["BaseOffset"] + number
                    if at >= start:
                        found.append((at, one["BaseTimestamp"] + delta, key, value, headers))
                offset = one["BaseOffset"] + one["LastOffsetDelta"] + 1


def last_values(found):
    """What stays of the keys; a tombstone stands for nothing."""
    last = {key: value for _, _, key, value, _ in found}
    return {key: value for key, value in last.items() if value is not None}
