"""Producing, fetching, offsets."""

import time

from harness.batch import GZIP, LZ4, SNAPPY, ZSTD, batch
from interop.kdiff.scenarios.parts import MIB, fetch, fetch_partition, offsets, produce, topic, topic_id


def produce_fetch(step, version, prefix):
    name = prefix + "pf"
    topic(step, name)
    id_of = topic_id(step, name)

    def body(records, acks=-1, partition=0):
        data = {"PartitionData": [{"Index": partition, "Records": records}]}
        base = {"Acks": acks, "TimeoutMs": 5000}
        if version >= 13:
            return lambda context: {**base, "TopicData": [{**data, "TopicId": id_of(context)}]}
        return {**base, "TopicData": [{**data, "Name": name}]}

    good = batch([(b"k", b"v1"), (None, b"v2", [("h", b"x")]), (b"k", None)])
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    step("Produce", version, body(good))
    step("Produce", version, body(good, acks=1))
    step("Produce", version, body(good, partition=9))
    step("Produce", version, body(good, acks=7))
    for records in (
        damaged,
        good[:30],
        b"",
        batch([(b"k", b"v")], magic=1),
        good + good,
        batch([(b"k", b"x" * 1100000)]),
    ):
        step("Produce", version, body(records))
    for offset in (0, 1, 6, 99, -1):
        step("Fetch", None, fetch(name, id_of, [fetch_partition(0, offset)]))
    step("ListOffsets", None, offsets(name, [{"PartitionIndex": 0, "Timestamp": -1}]))


def fetch_limits(step, version, prefix):
    name = prefix + "f"
    topic(step, name, 2)
    id_of = topic_id(step, name)
    for i in range(3):
        step("Produce", 9, produce(name, batch([(b"k%d" % i, b"v" * 50)] * 5), acks=1))

    def ask(*wanted, **more):
        step("Fetch", version, fetch(name, id_of, list(wanted), **more))

    first = fetch_partition(0, 0)
    ask(first, fetch_partition(1, 0))
    for partition, offset in ((0, 15), (0, 16), (0, -2), (5, 0)):
        ask(fetch_partition(partition, offset))
    ask(fetch_partition(0, 0, CurrentLeaderEpoch=0))
    ask(fetch_partition(0, 0, CurrentLeaderEpoch=9))
    ask(fetch_partition(0, 0, PartitionMaxBytes=1))
    ask(fetch_partition(0, 3), fetch_partition(0, 7))
    ask(first, IsolationLevel=1)
    # Which lists of aborted transactions are empty, and which are missing.
    two = prefix + "f2"
    topic(step, two, 2)
    two_id = topic_id(step, two)
    for partition in (0, 1):
        step("Produce", 9, produce(two, batch([(b"k", b"v" * 50)] * 5), acks=1, partition=partition))
    for low, high in ((0, 0), (1, 1), (0, 1), (1, 0), (MIB, 0), (MIB, 1)):
        wanted = [fetch_partition(0, 0, PartitionMaxBytes=low), fetch_partition(1, 0, PartitionMaxBytes=high)]
        step("Fetch", version, fetch(two, two_id, wanted, IsolationLevel=1))
        step("Fetch", version, fetch(two, two_id, wanted, IsolationLevel=1, MaxBytes=low))
    for offset in (3, 15, 16, -2):
        ask(fetch_partition(0, offset), fetch_partition(5, 0), IsolationLevel=1)
    ask(fetch_partition(0, 0, CurrentLeaderEpoch=9), IsolationLevel=1)
    if version >= 12:
        ask(fetch_partition(0, 0, LastFetchedEpoch=0), IsolationLevel=1)
        ask(fetch_partition(0, 0, LastFetchedEpoch=5), IsolationLevel=1)
        # From where the reader's last epoch has not come to here: it is told where that ended (KIP-320).
        for offset in (5, 6, 99):
            ask(fetch_partition(0, offset, LastFetchedEpoch=0))
        ask(fetch_partition(0, 99, LastFetchedEpoch=0), fetch_partition(0, 99, LastFetchedEpoch=-1), fetch_partition(1, 0))
    ask(first, MaxBytes=1)
    ask(first, MinBytes=100000)
    if version >= 7:
        ask(first, SessionEpoch=0)
        ask(first, SessionId=77, SessionEpoch=1)
        ask(first, SessionEpoch=4)


def list_offsets(step, version, prefix):
    name = prefix + "lo"
    topic(step, name, 2)
    step("Produce", 9, produce(name, batch([(b"a", b"b")] * 4, ts=1700000000000), acks=1))
    for timestamp in (-1, -2, -3, -4, -5, 0, 1700000000002, 1800000000000):
        wanted = [{"PartitionIndex": i, "CurrentLeaderEpoch": -1, "Timestamp": timestamp} for i in (0, 1)]
        step("ListOffsets", version, offsets(name, wanted, TimeoutMs=3000))
    step("ListOffsets", version, offsets(prefix + "no", [{"PartitionIndex": 0, "Timestamp": -1}]))
    wrong_epoch = {"PartitionIndex": 0, "CurrentLeaderEpoch": 5, "Timestamp": -1}
    step("ListOffsets", version, offsets(name, [wrong_epoch, {"PartitionIndex": 8, "Timestamp": -1}]))


def leader_epoch(step, version, prefix):
    name = prefix + "le"
    topic(step, name)
    for current, epoch in ((-1, 0), (0, 0), (0, 5), (3, 0), (-1, -1)):
        wanted = [{"Partition": 0, "CurrentLeaderEpoch": current, "LeaderEpoch": epoch}]
        body = {"ReplicaId": -2, "Topics": [{"Topic": name, "Partitions": wanted}]}
        step("OffsetForLeaderEpoch", version, body)


def delete_records(step, version, prefix):
    name = prefix + "dr"
    topic(step, name)
    step("Produce", 9, produce(name, batch([(b"a", b"b")] * 10), acks=1))
    for partition, offset in ((0, 4), (0, 2), (0, -1), (0, 99), (0, -5), (3, 0)):
        wanted = [{"PartitionIndex": partition, "Offset": offset}]
        body = {"Topics": [{"Name": name, "Partitions": wanted}], "TimeoutMs": 5000}
        step("DeleteRecords", version, body)


def idempotence(step, version, prefix):
    name = prefix + "id"
    topic(step, name)
    step("InitProducerId", version, {"TransactionalId": None, "TransactionTimeoutMs": 60000}, keep="producer")

    def send(sequence, count=3, epoch=0):
        def body(context):
            producer_id = context["producer"]["ProducerId"]
            return produce(name, batch([(b"k", b"v")] * count, pid=producer_id, epoch=epoch, seq=sequence))

        step("Produce", 9, body)

    for sequence in (0, 3, 3, 0, 9, 6, 5, 9):
        send(sequence)
    send(0, epoch=1)
    send(12, epoch=0)
    send(3, epoch=1)
    send(50, epoch=2)
    step("DescribeProducers", None, {"Topics": [{"Name": name, "PartitionIndexes": [0, 4]}]})


def fetch_sessions(step, version, prefix):
    """KIP-227: a session that is made, asked for news, changed, mistaken about its epoch, and closed."""
    if version < 7:
        return
    name = prefix + "fs"
    topic(step, name, 3)
    id_of = topic_id(step, name)
    gone = [{"Topic": name, "Partitions": [1]}]

    def write(partition):
        step("Produce", 9, produce(name, batch([(b"k", b"%d" % partition)] * 2), partition=partition))

    def ask(epoch, *wanted, forgotten=(), keep=None):
        def body(context):
            session = context["session"]["SessionId"] if epoch else 0
            topics = [{"Topic": name, "TopicId": id_of(context), "Partitions": list(wanted)}] if wanted else []
            return {
                **{"MaxWaitMs": 10, "MinBytes": 1, "MaxBytes": MIB, "SessionId": session, "SessionEpoch": epoch},
                "Topics": topics,
                "ForgottenTopicsData": [{**one, "TopicId": id_of(context)} for one in forgotten],
            }

        step("Fetch", version, body, keep=keep)

    write(0)
    ask(0, *(fetch_partition(i, 0) for i in range(3)), keep="session")
    ask(1)  # the same again: partition 0 has not moved on
    ask(2, fetch_partition(0, 2))
    ask(3)  # nothing is new
    write(1)
    ask(4)
    ask(5, fetch_partition(1, 2), fetch_partition(9, 0))  # an error is told with each answer
    ask(6, forgotten=gone)
    write(1)
    write(2)
    ask(7)
    ask(7)  # an epoch twice
    ask(9)  # and one left out
    ask(-1, fetch_partition(0, 0))  # closes it
    ask(8)


def compressions(step, version, prefix):
    """What comes in compressed, and what a topic's compression.type makes of it."""
    name = prefix + "co"
    topic(step, name)
    id_of = topic_id(step, name)
    topic(step, name + "z", configs=[("compression.type", "zstd")])
    recompressed_id_of = topic_id(step, name + "z")
    topic(step, name + "u", configs=[("compression.type", "uncompressed")])
    plain_id_of = topic_id(step, name + "u")
    records = [(b"key-%d" % i, b"value " * 50, [("h", b"%d" % i)]) for i in range(10)]
    produce_version = min(version, 12)
    for codec in (0, GZIP, SNAPPY, LZ4, ZSTD, 5, 7):
        raw = batch(records, attributes=codec)
        step("Produce", produce_version, produce(name, raw))
        if codec <= ZSTD:
            step("Produce", produce_version, produce(name + "z", raw))
            step("Produce", produce_version, produce(name + "u", raw))
    damaged = bytearray(batch(records, attributes=LZ4))
    step("Produce", produce_version, produce(name, bytes(damaged[:-4]) + b"\0\0\0\0"))
    for topic_name, of in ((name, id_of), (name + "z", recompressed_id_of), (name + "u", plain_id_of)):
        step("Fetch", None, fetch(topic_name, of, [fetch_partition(0, 0)]))


BOUNDED = [("message.timestamp.before.max.ms", "3600000"), ("message.timestamp.after.max.ms", "60000")]
APPENDED = [("message.timestamp.type", "LogAppendTime")]


def ruled(step, version, prefix):
    """rule(suffix, settings, *batches): a topic with such settings, what becomes of the batches, and what is there then."""

    def rule(suffix, settings, *batches):
        topic(step, prefix + suffix, configs=settings)
        id_of = topic_id(step, prefix + suffix)
        for raw in batches:
            step("Produce", min(version, 12), produce(prefix + suffix, raw))
        times = ("BaseTimestamp", "MaxTimestamp") if suffix.startswith("append") else ()
        step("Fetch", None, fetch(prefix + suffix, id_of, [fetch_partition(0, 0)]), ignore=times)

    return rule


def topic_rules(step, version, prefix):
    """What a topic's settings refuse or rewrite: times, keys, sizes."""
    now = int(time.time() * 1000)
    one = [(b"k", b"v")]
    rule = ruled(step, version, prefix)
    rule("times", BOUNDED, *(batch(one, ts=now + by) for by in (0, -7_200_000, -1_800_000, 120_000, 30_000)))
    rule("append", APPENDED, batch(one, ts=5), batch(one * 3, ts=5, attributes=GZIP))
    compacted = [("cleanup.policy", "compact")]
    rule("compact", compacted, batch(one), batch([(None, b"v")]), batch([(b"k", None), (None, b"v"), (None, None)]), batch(one))
    rule("small", [("max.message.bytes", "300")], batch([(b"k", b"x" * 200)]), batch([(b"k", b"x" * 400)]), batch(one * 3))


def rules_and_recompression(step, version, prefix):
    """The same where the broker compresses anew: each record's time counts, and the size of what comes out."""
    now = int(time.time() * 1000)
    rule = ruled(step, version, prefix)
    records = [(b"k%d" % i, b"value " * 20) for i in range(4)]

    def some(codec):
        spans = ((now, 1), (now, -1_500_000), (now, 50_000), (now - 7_200_000, 1_000_000), (-1, 0), (5, 7))
        return [batch(records, ts=ts, step_ms=step_ms, attributes=codec) for ts, step_ms in spans]

    for number, target in enumerate(("zstd", "uncompressed")):
        to = ("compression.type", target)
        batches = [*some(0), *some(GZIP if number else LZ4)]
        rule("times-" + target, [*BOUNDED, to], *batches)
        rule("append-" + target, [*BOUNDED, *APPENDED, to], *batches)
        rule("small-" + target, [*BOUNDED, to, ("max.message.bytes", "300")], *batches)
    rule("append-small", [*APPENDED, ("compression.type", "uncompressed"), ("max.message.bytes", "300")], *some(SNAPPY))


def unknown_topics(step, version, prefix):
    """A topic that does not exist, by name and by id, in every API that takes one."""
    name, nobody = prefix + "none", "77" * 16
    records = batch([(b"k", b"v")])
    data = {"PartitionData": [{"Index": 0, "Records": records}]}
    by = {"TopicId": nobody} if version >= 13 else {"Name": name}
    for acks in (-1, 1):
        step("Produce", version, {"Acks": acks, "TimeoutMs": 1000, "TopicData": [{**data, **by}]})
    for fetch_version in (4, 12, 13, None):
        step("Fetch", fetch_version, fetch(name, lambda _: nobody, [fetch_partition(0, 0)]))
    step("ListOffsets", None, offsets(name, [{"PartitionIndex": 0, "Timestamp": -1}]))
    wanted = [{"Partition": 0, "CurrentLeaderEpoch": -1, "LeaderEpoch": 0}]
    step("OffsetForLeaderEpoch", None, {"ReplicaId": -2, "Topics": [{"Topic": name, "Partitions": wanted}]})
    step("DescribeProducers", None, {"Topics": [{"Name": name, "PartitionIndexes": [0]}]})
    step("DeleteTopics", 5, {"TopicNames": [name], "TimeoutMs": 1000})
    step("DeleteTopics", 6, {"Topics": [{"Name": None, "TopicId": nobody}], "TimeoutMs": 1000})


def no_such_compression(step, version, prefix):
    """One batch that names none: what becomes of the others, of partitions and topics that are there and that are not."""
    name = prefix + "n"
    topic(step, name, 3)
    id_of = topic_id(step, name)
    good, odd = batch([(b"a", b"1")]), batch([(b"a", b"1")], attributes=5)

    def ask(topics):
        def body(context):
            by = lambda one: {"TopicId": id_of(context) if one == name else "11" * 16} if version >= 13 else {"Name": one}  # noqa: E731
            data = [
                {**by(one), "PartitionData": [{"Index": index, "Records": records} for index, records in partitions]}
                for one, partitions in topics
            ]
            return {"Acks": -1, "TimeoutMs": 5000, "TopicData": data}

        step("Produce", version, body)
        step("Fetch", None, fetch(name, id_of, [fetch_partition(index, 0) for index in range(3)]))

    ask([(name, [(0, odd)])])
    ask([(name, [(0, odd), (1, good)])])
    ask([(name, [(1, good), (0, odd), (7, good)]), (prefix + "none", [(0, good)])])
    ask([(name, [(1, good), (7, odd)]), (prefix + "none", [(0, odd)])])
    ask([(prefix + "none", [(0, good)]), (name, [(0, good), (2, good), (0, odd)])])


SCENARIOS = [
    ("produce", "Produce", produce_fetch),
    ("fetch", "Fetch", fetch_limits),
    ("sessions", "Fetch", fetch_sessions),
    ("compressions", "Produce", compressions),
    ("no such compression", "Produce", no_such_compression),
    ("rules", "Produce", topic_rules),
    ("rules and recompression", "Produce", rules_and_recompression),
    ("unknown", "Produce", unknown_topics),
    ("offsets", "ListOffsets", list_offsets),
    ("idempotence", "InitProducerId", idempotence),
    ("delete records", "DeleteRecords", delete_records),
    ("leader epoch", "OffsetForLeaderEpoch", leader_epoch),
]
