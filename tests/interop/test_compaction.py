"""Compaction beside Apache Kafka's own cleaner: what both leave is the same, and each goes on where the other stopped."""

import os
import shutil

import pytest

from harness import transactions
from harness.batch import CONTROL
from harness.compaction import (
    COMPACTED, EAGER, History, Writer, bases, batches, checkpoint, last_values, producers, records, records_of, wait_compacted,
)  # fmt: skip
from harness.requests import create_topic, now_ms
from interop import disk

DAY, HOUR = "86400000", "3600000"
TOPICS = {
    "kept": {"delete_retention_ms": DAY},  # tombstones and markers stay
    "gone": {"delete_retention_ms": "0"},  # until the next round
    "small": {"delete_retention_ms": DAY, "max_compaction_lag_ms": HOUR, "min_cleanable_dirty_ratio": "1"},
}
YOUNG = {"delete_retention_ms": DAY, "min_compaction_lag_ms": HOUR}  # without transactions, whose markers are of now


def timeless(records):
    return [(at, *rest) for at, _, *rest in records]


def compacted(broker, young=None):
    """What there is of each topic, batch for batch, and what a consumer of committed records sees. Times of the brokers' own
    differ: those of markers, and the horizons, which say when the cleaner ran, in the place of a batch's first time."""
    found = {}
    for topic in TOPICS:
        wait_compacted(broker, topic)
        whole = list(batches(broker, topic))
        fields = ("BaseOffset", "LastOffsetDelta", "Attributes", "LeaderEpochOfBatch", "ProducerEpoch", "BaseSequence")
        found[topic] = [
            (*(one[field] for field in fields), producer, timeless(records_of(one)) if one["Attributes"] & CONTROL else records_of(one))
            for one, producer in zip(whole, producers(whole))
        ]
        found[topic, "committed"] = transactions.records(broker.port, topic, 0)
    wait_compacted(broker, "young", young=young)
    found["young"] = records(broker, "young")
    return found


def assert_same(ours, theirs):
    for topic in theirs:
        for one, other in zip(ours[topic], theirs[topic]):
            assert one == other, f"{topic}: {one}, but Kafka has {other}"
        assert len(ours[topic]) == len(theirs[topic]), topic


def count(found, topic, what):
    return sum(what(batch, record) for batch in found[topic] for record in batch[-1])


def is_marker(batch, _):
    return batch[2] & CONTROL != 0


def is_tombstone(batch, record):
    return not batch[2] & CONTROL and record[3] is None


def test_same_records_as_kafka(brokers):
    seed = int(os.environ.get("SEED") or os.urandom(2).hex(), 16)
    print(f"SEED={seed:x}")
    settings = {**EAGER, "transaction.state.log.num.partitions": "1"}
    pair = [brokers.start(kind, settings=settings) for kind in (brokers.kind, "kafka")]
    for broker in pair:
        for topic, more in {**TOPICS, "young": YOUNG}.items():
            create_topic(broker, topic, **{**COMPACTED, **more})
    writer, plain = History(seed, TOPICS), Writer(seed, ["young"])
    for _ in range(3):
        writer.write(pair, 60)
        plain.write(pair, 20)
        ours, theirs = map(compacted, pair)
        assert_same(ours, theirs)
        kept = records(pair[0], "kept")
        assert len(kept) < writer.end / 2, "little was compacted"
        for start in (1, writer.end // 3, writer.end - 2):  # a read begins anywhere
            assert records(pair[0], "kept", start=start) == [record for record in kept if record[0] >= start]
    for what in (is_marker, is_tombstone):  # what was passed by its horizon has gone
        assert 0 < count(ours, "gone", what) < count(ours, "kept", what), what
    for broker in pair:
        broker.stop()
    assert disk.check_directory(pair[0].data, compacted=True) > 0
    # Each takes the other's directory over, and compacts what comes.
    pair = [brokers.successor(broker, kind).start() for broker, kind in zip(pair, ("kafka", brokers.kind))]
    theirs, ours = map(compacted, pair)
    assert_same(ours, theirs)
    writer.write(pair, 60)
    plain.ts, young = now_ms(), plain.end
    plain.write(pair, 60)
    theirs, ours = (compacted(broker, young) for broker in pair)
    assert len([record for record in ours["young"] if record[0] >= young]) == plain.end - young, "younger than the lag"
    assert_same(ours, theirs)
    for broker in pair:
        broker.stop()
    assert disk.check_directory(pair[1].data, compacted=True) > 0


# The files of the swap at each point at which a process can end: what is done of `steps` so far.
def swap_steps(old, new):
    """Renames as [(from, to)], in the order in which both brokers make them. old: bases of segments; new: the one."""
    suffixes = (".log", ".index", ".timeindex")
    name = "{:020d}{}{}".format
    steps = [(name(new, suffix, ".cleaned"), name(new, suffix, ".swap")) for suffix in suffixes]
    steps += [(name(base, suffix, ""), name(base, suffix, ".deleted")) for base in old for suffix in suffixes]
    return steps + [(name(new, suffix, ".swap"), name(new, suffix, "")) for suffix in suffixes]


def restart(broker, settings):
    broker.stop()
    broker.settings.update(settings)
    broker.start()


@pytest.mark.parametrize("opener", ["kafka", "under-test"])
def test_a_swap_that_ended_anywhere(brokers, opener):
    """A partition for each step of a swap; who opens them finds every key's last record, and compacts on."""
    opener = brokers.kind if opener == "under-test" else opener
    off, on = ({**EAGER, "log.cleaner.enable": word} for word in ("false", "true"))
    broker = brokers.start(settings=on)
    create_topic(broker, "swapped", **COMPACTED, delete_retention_ms="86400000")
    writer = Writer(5, ["swapped"])
    writer.write([broker], 100)
    wait_compacted(broker, "swapped")  # leaves small segments, which the next round puts together
    restart(broker, off)
    writer.write([broker], 20)
    before = last_values(records(broker, "swapped"))
    broker.stop()
    directory, original, done = broker.partition_directory("swapped"), broker.directory / "original", broker.directory / "done"
    old = bases(broker, "swapped")
    shutil.copytree(directory, original)
    restart(broker, on)
    wait_compacted(broker, "swapped")
    broker.stop()
    new = bases(broker, "swapped")
    shutil.copytree(directory, done)
    group = [base for base in old if base < new[1]]  # what became the first one
    assert len(group) > 1, (old, new)

    steps = swap_steps(group, new[0])
    for count in range(len(steps) + 1):
        shutil.rmtree(directory)
        shutil.copytree(original, directory)
        for suffix in (".log", ".index", ".timeindex"):
            shutil.copy(done / f"{new[0]:020d}{suffix}", directory / f"{new[0]:020d}{suffix}.cleaned")
        for source, to in steps[:count]:
            (directory / source).rename(directory / to)
        (broker.data / "cleaner-offset-checkpoint").unlink(missing_ok=True)
        if opener == "kafka" and count not in (1, 4, 8, len(steps) - 2):
            continue  # a JVM takes its time: one point of each kind
        after = brokers.successor(broker, opener).start()
        assert last_values(records(after, "swapped")) == before, f"after step {count}"
        wait_compacted(after, "swapped")
        assert last_values(records(after, "swapped")) == before, f"after step {count}, compacted"
        assert checkpoint(after, "swapped") == old[-1]
        after.stop()
        broker.settings = after.settings
        assert not list(directory.glob("*.swap")) + list(directory.glob("*.cleaned"))
