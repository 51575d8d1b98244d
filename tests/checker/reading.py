"""Reading: Fetch as clients of both isolation levels understand it, readers that go through the logs, observers of offsets."""

from checker.actors import Actor, first_error
from checker.client import AGAIN, PATIENCE_S, Lost, Patience, Refused
from checker.history import place, read_value
from harness.batch import CONTROL, parse

READ_UNCOMMITTED, READ_COMMITTED = 0, 1
VERSION = 11
TRANSACTIONAL_BIT = 16
ABORT = 0
DAMAGED = "?"


def fetch_body(topic, partition, offset, isolation, wait_ms=50, max_bytes=1 << 16):
    wanted = [{"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": max_bytes}]
    body = {"MaxWaitMs": wait_ms, "MinBytes": 1, "MaxBytes": max_bytes, "SessionEpoch": -1, "IsolationLevel": isolation}
    return {**body, "Topics": [{"Topic": topic, "Partitions": wanted}]}


def fetched(answer):
    return answer["Responses"][0]["Partitions"][0]


def fetch_error(answer):
    return answer["ErrorCode"] or fetched(answer)["ErrorCode"]


def is_control(one):
    return bool(one["Attributes"] & CONTROL)


def is_transactional(one):
    return bool(one["Attributes"] & TRANSACTIONAL_BIT)


def marker(one):
    """"commit" or "abort", of a control batch."""
    return "abort" if int(one["Content"][0][2][4:8], 16) == ABORT else "commit"


def without_aborted(batches, aborted):
    """The batches that a read_committed consumer hands out, by the transactions that the broker says are aborted."""
    coming = sorted(aborted or (), key=lambda one: one["FirstOffset"])
    open_aborted, out = set(), []
    for one in batches:
        while coming and coming[0]["FirstOffset"] <= one["BaseOffset"] + one["LastOffsetDelta"]:
            open_aborted.add(coming.pop(0)["ProducerId"])
        if is_control(one):
            if marker(one) == "abort":
                open_aborted.discard(one["ProducerId"])
        elif not (is_transactional(one) and one["ProducerId"] in open_aborted):
            out.append(one)
    return out


def records_of(batches, offset):
    """[(offset, who, n, source)] from an offset on; who is DAMAGED where a value is."""
    out = []
    for one in batches:
        for content in one["Content"] if isinstance(one["Content"], list) else ():
            at = one["BaseOffset"] + content[1]
            if at >= offset and not is_control(one):
                read = read_value(bytes.fromhex(content[3] or ""))
                out.append((at, *(read or (DAMAGED, -1, "-"))))
    return out


def whole_batches(part):
    batches = [one for one in parse(part["Records"] or b"") if "cut" not in one]
    for one in batches:
        if not one["CrcOk"] or not isinstance(one["Content"], list):
            raise ValueError(f"damaged batch at {one['BaseOffset']}")
    return batches


def read_on(actor, topic, partition, offset, isolation, limit=None, wait_ms=50):
    """Fetches once: (records from offset on, the next offset to read, the answer's part), and notes what was seen."""
    start = actor.history.now()
    answer = actor.client.call("Fetch", VERSION, fetch_body(topic, partition, offset, isolation, wait_ms))
    error = fetch_error(answer)
    if error:
        raise Refused(error, f"Fetch of {topic}-{partition} at {offset}")
    part = fetched(answer)
    batches = whole_batches(part)
    chosen = without_aborted(batches, part["AbortedTransactions"]) if isolation == READ_COMMITTED else batches
    records = records_of(chosen, offset)
    to = batches[-1]["BaseOffset"] + batches[-1]["LastOffsetDelta"] + 1 if batches else offset
    if limit is not None and len(records) > limit:
        records = records[:limit]
        to = records[-1][0] + 1
    if to > offset:
        seen = [record[:3] for record in records]
        noted = {"topic": topic, "partition": partition, "isolation": isolation, "from": offset, "to": to, "records": seen}
        actor.history.add("read", start, who=actor.who, **noted)
    return records, to, part


class Reader(Actor):
    """Goes through all logs at one isolation level, and now and then back."""

    def __init__(self, world, name, isolation):
        super().__init__(world, name)
        self.isolation, self.positions = isolation, {where: 0 for where in world.places()}

    def operation(self, rnd):
        where = rnd.choice(sorted(self.positions))
        if rnd.random() < 0.03:
            self.positions[where] = rnd.randint(0, self.positions[where])
        try:
            _, self.positions[where], _ = read_on(self, *where, self.positions[where], self.isolation)
        except Refused as refused:
            if refused.error not in AGAIN:
                raise
        except Lost:
            pass
        self.pace(rnd)


def fetch_offsets(actor, group, places, stable=True, patience_s=PATIENCE_S):
    """{(topic, partition): committed offset, -1 where there is none}, and notes it."""
    topics = {}
    for topic, partition in sorted(places):
        topics.setdefault(topic, []).append(partition)
    wanted = [{"Name": topic, "PartitionIndexes": partitions} for topic, partitions in topics.items()]
    body = {"Groups": [{"GroupId": group, "Topics": wanted}], "RequireStable": stable}

    def error_of(answer):
        found = answer["Groups"][0]
        return found["ErrorCode"] or first_error(
            one["ErrorCode"] for topic in found["Topics"] for one in topic["Partitions"]
        )

    patience = Patience(f"{actor.who} OffsetFetch of {group}", patience_s)
    while True:
        start = actor.history.now()
        try:
            answer = actor.client.call("OffsetFetch", 8, body)
        except Lost as lost:
            patience.wait(lost)
            continue
        error = error_of(answer)
        if not error:
            break
        if error not in AGAIN:
            raise Refused(error, "OffsetFetch")
        patience.wait(f"error {error}")
    got = {
        (topic["Name"], one["PartitionIndex"]): one["CommittedOffset"]
        for topic in answer["Groups"][0]["Topics"]
        for one in topic["Partitions"]
    }
    offsets = {place(*where): offset for where, offset in got.items() if offset >= 0}
    asked = [place(*where) for where in got]
    actor.history.add("offsets", start, who=actor.who, group=group, asked=asked, stable=stable, offsets=offsets)
    return got


class OffsetObserver(Actor):
    """Looks again and again at what the groups have committed."""

    def operation(self, rnd):
        group = rnd.choice(sorted(self.world.groups))
        wanted = [(topic, i) for topic in self.world.groups[group] for i in range(self.world.partitions)]
        fetch_offsets(self, group, wanted, rnd.random() < 0.5)
        self.pace(rnd)
