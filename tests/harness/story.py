"""Transactions of several producers beside each other in one partition, from a seed, and what a reader of committed records
is to see of them."""

import random

from harness.batch import batch
from harness.process import wait_until
from harness.requests import connect, error, now_ms, produce
from harness.transactions import TIMEOUT_S, Producer, ends, records

VALUE_BYTES = 700  # a few batches fill a segment of SMALL
SMALL = {"internal_segment_bytes": "8192", "index_interval_bytes": "512"}


class Part:
    """What one batch added: its offsets, and whose it is."""

    def __init__(self, first, found, transaction):
        self.first, self.records, self.transaction = first, found, transaction

    @property
    def visible(self):
        return self.transaction is None or self.transaction.committed


class Transaction:
    def __init__(self, first):
        self.first, self.committed, self.open = first, False, True


class Story:
    def __init__(self, broker, topic, seed, segment_bytes=8192, versions=(0, 2, 2), keys=40):
        self.topic, self.keys, self.random, self.segment_bytes = topic, keys, random.Random(seed), segment_bytes
        self.parts, self.number = [], 0
        self.producers = [Producer(broker.port, f"{topic}-{i}", version).init() for i, version in enumerate(versions)]
        self.open = {}

    def close(self):
        for producer in self.producers:
            producer.close()

    def _records(self):
        rnd, found = self.random, []
        for _ in range(rnd.randint(1, 3)):
            self.number += 1
            found.append((b"key-%d" % rnd.randrange(self.keys), b"%d " % self.number + b"x" * rnd.randrange(VALUE_BYTES)))
        return found

    def tell(self, broker, steps):
        """So many steps of producers; some transactions are left open."""
        for _ in range(steps):
            producer, chance = self.random.choice(self.producers), self.random.random()
            if chance < 0.1:
                self.plainly(broker)
            elif producer in self.open and chance < 0.45:
                self.end(producer, commit=self.random.random() < 0.5)
            else:
                self.write(producer)

    def plainly(self, broker):
        found = self._records()
        with connect(broker) as connection:
            answer = produce(connection, self.topic, batch(found, ts=now_ms()))
            assert error(answer) == 0, answer
        self.parts.append(Part(answer["BaseOffset"], found, None))

    def write(self, producer):
        found = self._records()
        if producer not in self.open and producer.version < 2:
            producer.add(self.topic, [0])
        first = producer.produce(self.topic, 0, *(value for _, value in found), key=found[0][0])
        found = [(found[0][0], value) for _, value in found]
        transaction = self.open.setdefault(producer, Transaction(first))
        self.parts.append(Part(first, found, transaction))

    def end(self, producer, commit):
        transaction = self.open.pop(producer)
        producer.end(commit)
        transaction.committed, transaction.open = commit, False

    def end_all(self, commit=True):
        for producer in list(self.open):
            self.end(producer, commit)

    def resume(self, broker):
        """The same producers, by another broker or one that was started again."""
        for producer in self.producers:
            producer.reconnect(broker.port)

    def seal(self, broker):
        """Two records of a segment's size: whatever was written before lies in sealed ones."""
        for _ in range(2):
            value = self.random.randbytes((self.segment_bytes - 1000) // 2).hex().encode()
            with connect(broker) as connection:
                answer = produce(connection, self.topic, batch([(b"seal", value)], ts=now_ms()))
                assert error(answer) == 0, answer
            self.parts.append(Part(answer["BaseOffset"], [(b"seal", value)], None))

    # -- what is to be seen

    def stable(self, end):
        return min((t.first for t in self.open.values()), default=end)

    def expected(self, committed, start, end):
        stable = self.stable(end)
        return [
            (part.first + i, *record)
            for part in self.parts
            for i, record in enumerate(part.records)
            if start <= part.first + i and (not committed or (part.visible and part.first + i < stable))
        ]

    def settled(self, broker):
        """The markers of all that has ended are there."""

        def reached():
            _, stable, end = ends(broker.port, self.topic)
            return stable == self.stable(end)

        wait_until(reached, TIMEOUT_S, "the markers")

    def check(self, broker):
        """From several offsets on, at either isolation level."""
        self.settled(broker)
        start, _, end = ends(broker.port, self.topic)
        for at in sorted({start, end - 1, *(self.random.randint(start, end) for _ in range(6))}):
            for committed in (True, False):
                got = records(broker.port, self.topic, 0, committed, at)
                assert got == self.expected(committed, at, end), (self.topic, at, committed, start, end)

    def check_compacted(self, broker):
        """What is left of each key is its last committed record, in its place; of what was aborted nothing is left in front
        of what is not compacted yet."""
        self.settled(broker)
        start, _, end = ends(broker.port, self.topic)
        got, before = records(broker.port, self.topic, 0), self.expected(True, start, end)
        assert set(got) <= set(before) and got == sorted(got)
        assert {key: value for _, key, value in got} == {key: value for _, key, value in before}
        return got
