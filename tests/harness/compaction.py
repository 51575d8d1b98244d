"""Topics to compact: what is written, what must be left, and how far a broker has come."""

import random

from harness.batch import GZIP, LZ4, SNAPPY, ZSTD, batch
from harness.process import wait_until
from harness.requests import connect, error, fetch, now_ms, produce
from harness.transactions import Producer, await_ends

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

    def _fillers(self):
        """Who sends them has sealed the last segment: one is larger than a segment's rest."""
        for _ in range(2):
            self.ts += 1
            self.end += 1
            yield batch([(b"filler", self.random.randbytes(8100))], ts=self.ts)

    def write(self, brokers, batches):
        """The same batches to each topic of each broker; the last segments are sealed afterwards."""
        raws = [*(self._batch() for _ in range(batches)), *self._fillers()]
        for broker in brokers:
            with connect(broker) as connection:
                for topic in self.topics:
                    for raw in raws:
                        answer = produce(connection, topic, raw)
                        assert error(answer) == 0, answer


class History(Writer):
    """Transactions, committed and aborted ones, among other records. One is open from the first record of a write to the last: until
    then nothing of it may be compacted, so that one round of cleaning sees it all, on every broker."""

    def _transaction(self):
        commit, batches = self.random.random() < 0.6, []
        for _ in range(self.random.randint(1, 3)):
            key, count = b"key-%d" % self.random.randrange(self.keys), self.random.randint(1, 4)
            values = [None if self.random.random() < 0.2 else self.random.randbytes(40).hex().encode() for _ in range(count)]
            self.ts += self.random.randint(1, 1000)
            batches.append({"values": values, "key": key, "ts": self.ts, "codec": self.random.choice((0, GZIP, SNAPPY, LZ4, ZSTD))})
            self.end += count
        self.end += 1
        return commit, batches

    def write(self, brokers, batches):
        self.end += 3
        first_ts = self.ts
        plan = [batch([(b"gone at %d" % self.end, None)], ts=first_ts)]  # a tombstone that no later one makes needless
        plan += [self._transaction() if self.random.random() < 0.2 else self._batch() for _ in range(batches)]
        plan += self._fillers()
        for broker in brokers:
            around, within = (Producer(broker.port, name).init() for name in ("around", "within"))
            with connect(broker) as connection:
                for topic in self.topics:
                    around.produce(topic, 0, b"first", key=b"around", ts=first_ts)
                for one in plan:
                    if isinstance(one, bytes):
                        for topic in self.topics:
                            answer = produce(connection, topic, one)
                            assert error(answer) == 0, answer
                        continue
                    commit, sent = one
                    for each in sent:
                        for topic in self.topics:
                            within.produce(topic, 0, *each["values"], key=each["key"], ts=each["ts"], codec=each["codec"])
                    within.end(commit)
                    await_ends(broker.port, ["within"])
            around.end(True)
            await_ends(broker.port, ["around"])
            around.close()
            within.close()


def bases(broker, topic, partition=0):
    return sorted(int(path.stem) for path in broker.partition_directory(topic, partition).glob("*.log"))


def checkpoint(broker, topic, partition=0):
    path = broker.data / "cleaner-offset-checkpoint"
    lines = path.read_text().split("\n")[2:] if path.exists() else []
    return next((int(line.split()[2]) for line in lines if line.split()[:2] == [topic, str(partition)]), 0)


def wait_compacted(broker, topic, partition=0, timeout_s=60, young=None):
    """Until everything in front of the active segment is compacted, or of that which holds the offset `young`."""
    wait_until(
        lambda: checkpoint(broker, topic, partition) == [at for at in bases(broker, topic, partition) if young is None or at <= young][-1],
        timeout_s,
        f"{broker.kind} to compact {topic}",
        every_s=0.1,
    )


def batches(broker, topic, partition=0, start=0):
    """All that there is from this offset on, as harness.batch.parse says."""
    with connect(broker) as connection:
        while True:
            code, found = fetch(connection, topic, start, partition=partition)
            assert code == 0
            if not found:
                return
            for one in found:
                assert one["CrcOk"] and isinstance(one["Content"], list), one
                start = one["BaseOffset"] + one["LastOffsetDelta"] + 1
                yield one


def records_of(one):
    """[(offset, timestamp, key, value, headers)] of a batch."""
    return [(one["BaseOffset"] + number, one["BaseTimestamp"] + delta, *rest) for delta, number, *rest in one["Content"]]


def records(broker, topic, partition=0, start=0):
    """All that a consumer sees: [(offset, timestamp, key, value, headers)]."""
    return [record for one in batches(broker, topic, partition, start) for record in records_of(one) if record[0] >= start]


def producers(found):
    """Names for the producers, in the order in which they come: not every broker gives the same ids."""
    ids = {}
    return [ids.setdefault(one["ProducerId"], len(ids)) for one in found]


def last_values(found):
    """What stays of the keys; a tombstone stands for nothing."""
    last = {key: value for _, _, key, value, _ in found}
    return {key: value for key, value in last.items() if value is not None}
