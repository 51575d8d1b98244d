"""Records that tests write with one client and read with another."""

import random
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Record:
    key: bytes | None
    value: bytes | None
    headers: tuple = ()  # of (name, bytes or None)
    timestamp_ms: int | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Write:
    """What a client is asked to produce, to one partition."""

    topic: str
    records: list
    compression: str = "none"
    idempotent: bool = True
    partition: int = 0
    max_bytes: int | None = None  # the largest that the client is to send, where that is more than it would


@dataclass(frozen=True)
class Read:
    """What a client is asked to consume: count records of one partition, from an offset on."""

    topic: str
    count: int
    partition: int = 0
    offset: int = 0


COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
LARGE_BYTES = 900_000
HUGE_BYTES, HUGE_MAX_BYTES = 10_000_000, 12_000_000


def text_records(seed=1, large=True):
    """Records that even a line-based client can carry: keys or none, headers, tombstones, one large value."""
    rnd = random.Random(seed)
    words = ["spool", "thread", "Łódź", "Odradek", "stairs", "星", "laughter"]

    def text(n):
        return " ".join(rnd.choice(words) for _ in range(n)).encode()

    out = []
    for i in range(40):
        headers = (("trace", b"%08x" % rnd.getrandbits(32)), ("kind", b"test")) if i % 10 in (3, 4) else ()
        key = None if i % 7 == 5 else b"key-%d" % (i % 9)
        out.append(Record(key, text(rnd.randint(1, 40)), headers))
    out.append(Record(b"key-1", None))  # a tombstone
    out.append(Record(b"key-2", None))
    if large:
        out.append(Record(b"large", rnd.randbytes(LARGE_BYTES // 2).hex().encode()))
    out.append(Record(b"last", b"the end"))
    return out


def huge_record(seed=1):
    """One that is larger than brokers and clients take unless they are told to; any client can carry it."""
    return Record(b"huge", random.Random(seed).randbytes(HUGE_BYTES // 2).hex().encode())


def binary_records(seed=1):
    """Records that only a client library can carry: any byte, empty values, null and repeated headers, times."""
    rnd = random.Random(seed)
    every_byte = bytes(range(256))
    out = [
        Record(every_byte, every_byte, (("h", every_byte), ("h", None), ("h", b""), ("ünï", b"\0")), 1_600_000_000_000),
        Record(b"", b"", (), 1_600_000_000_001),
        Record(None, None, (), 1_600_000_000_005),
        Record(None, b"", (("only", b"header"),), 1_600_000_000_003),
    ]
    for i in range(200):
        out.append(Record(rnd.randbytes(rnd.randint(0, 30)), rnd.randbytes(rnd.randint(0, 2000)), (), 1_600_000_001_000 + i))
    out.append(Record(b"large", rnd.randbytes(LARGE_BYTES), (), 1_600_000_002_000))
    return out


def assert_same(read, written, what):
    """Compares record by record and names the first that differs."""
    for index, (got, want) in enumerate(zip(read, written)):
        assert got == want, f"{what}: record {index} differs\n  read    {_short(got)}\n  written {_short(want)}"
        if want.timestamp_ms is not None and got.timestamp_ms is not None:
            assert got.timestamp_ms == want.timestamp_ms, f"{what}: timestamp of record {index}"
    assert len(read) == len(written), f"{what}: {len(read)} records read, {len(written)} written"


def _short(record):
    text = repr(record)
    return text if len(text) < 400 else text[:400] + f"... ({len(text)} characters)"
