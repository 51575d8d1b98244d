"""odradek log verify: each kind of damage is found, named, and nothing is changed."""

import json
import os
import shutil
import struct
import subprocess

import pytest

from harness.broker import odradek_binary
from harness.load import new_producer_id
from harness.process import wait_until
from harness.requests import connect, create_topic, error, produce

RECORDS = 300


def verify(path, *words):
    done = subprocess.run([odradek_binary(), "log", "verify", "--json", *words, path], capture_output=True, text=True, timeout=120)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, lines[:-1], lines[-1] if lines else None


@pytest.fixture(scope="module")
def seed(module_brokers):
    """A directory after a clean stop, of whichever broker is under test: one topic in several segments."""
    broker = module_brokers.start()
    create_topic(broker, "a", segment_bytes="1048576", index_interval_bytes="1000")
    with connect(broker) as connection:
        for i in range(RECORDS):
            assert error(produce(connection, "a", [(b"key", b"%08d" % i + b"x" * 8000)])) == 0
        wait_until(lambda: new_producer_id(connection) is not None, 20, "a producer id")
    broker.stop()
    return broker


@pytest.fixture
def data(seed, tmp_path):
    shutil.copytree(seed.data, tmp_path / "data")
    return tmp_path / "data"


def overwrite(path, at, raw):
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        file.write(raw)


def cut(path, size):
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)


def first(data, pattern, place=0):
    found = sorted((data / "a-0").glob(pattern))
    assert found, pattern
    return found[place]


def flip(path, at):
    overwrite(path, at, bytes([path.read_bytes()[at] ^ 1]))


def metadata(data, name="00000000000000000000.log"):
    return data / "__cluster_metadata-0" / name


DAMAGE = {  # what is done; the kind that is found, and the file that is named
    "a byte of a record": (lambda d: overwrite(first(d, "*.log"), 5000, b"?"), "batch-crc", ".log"),
    "a batch's length": (lambda d: overwrite(first(d, "*.log"), 8, b"\x7f"), "batch", ".log"),
    "a torn tail": (lambda d: cut(first(d, "*.log", -1), -7), "batch", ".log"),
    "zeros at the end": (lambda d: cut(first(d, "*.log", -1), first(d, "*.log", -1).stat().st_size + 100), "batch", ".log"),
    "offsets that go back": (lambda d: overwrite(first(d, "*.log", -1), 0, bytes(8)), "offset", ".log"),
    "a segment that is gone": (lambda d: first(d, "*.log").unlink(), "segment", ".index"),
    "the only segment is gone": (lambda d: [path.unlink() for path in (d / "a-0").glob("*.log")], "segment", ".timeindex"),
    "an index that is gone": (lambda d: first(d, "*.index").unlink(), "index", ".index"),
    "an index of garbage": (lambda d: first(d, "*.index").write_bytes(bytes(range(1, 241))), "index", ".index"),
    "an index that points elsewhere": (lambda d: overwrite(first(d, "*.index"), 4, b"\0\0\0\7"), "index", ".index"),
    "a cut index": (lambda d: cut(first(d, "*.index"), 13), "index", ".index"),
    "a time index that is gone": (lambda d: first(d, "*.timeindex").unlink(), "time-index", ".timeindex"),
    "a time index of garbage": (lambda d: first(d, "*.timeindex").write_bytes(bytes(range(1, 241))), "time-index", ".timeindex"),
    "another time in a time index": (lambda d: flip(first(d, "*.timeindex"), 7), "time-index", ".timeindex"),
    "a transaction index with another last stable offset": (lambda d: (d / "a-0" / "00000000000000000000.txnindex").write_bytes(struct.pack(">hqqqq", 0, 1, 2, 5, 7)), "transaction-index", ".txnindex"),
    "a transaction index of garbage": (lambda d: (d / "a-0" / "00000000000000000000.txnindex").write_bytes(b"\1" * 40), "transaction-index", ".txnindex"),
    "a snapshot of producers": (lambda d: overwrite(first(d, "*.snapshot"), 3, b"?"), "producer-snapshot", ".snapshot"),
    "epochs of garbage": (lambda d: (d / "a-0" / "leader-epoch-checkpoint").write_text("junk"), "epochs", "leader-epoch-checkpoint"),
    "an epoch that no batch has": (lambda d: (d / "a-0" / "leader-epoch-checkpoint").write_text("0\n2\n0 0\n1 100\n"), "epochs", "leader-epoch-checkpoint"),
    "epochs that are gone": (lambda d: (d / "a-0" / "leader-epoch-checkpoint").unlink(), "epochs", "leader-epoch-checkpoint"),
    "partition.metadata is empty": (lambda d: cut(d / "a-0" / "partition.metadata", 0), "partition-metadata", "partition.metadata"),
    "partition.metadata is gone": (lambda d: (d / "a-0" / "partition.metadata").unlink(), "partition-metadata", "partition.metadata"),
    "recovery points": (lambda d: cut(d / "recovery-point-offset-checkpoint", 5), "checkpoint", "recovery-point"),
    "log starts": (lambda d: (d / "log-start-offset-checkpoint").write_text("0\n3\nx"), "checkpoint", "log-start"),
    "watermarks": (lambda d: cut(d / "replication-offset-checkpoint", 5), "checkpoint", "replication-offset"),
    "a recovery point behind the end": (lambda d: (d / "recovery-point-offset-checkpoint").write_text("0\n1\na 0 999\n"), "checkpoint", "a-0"),
    "meta.properties is empty": (lambda d: cut(d / "meta.properties", 0), "meta.properties", "meta.properties"),
    "meta.properties is gone": (lambda d: (d / "meta.properties").unlink(), "meta.properties", "meta.properties"),
    "the metadata log": (lambda d: overwrite(metadata(d), 700, b"\xff\xfe\xfd"), "batch-crc", "__cluster_metadata-0"),
    "quorum-state": (lambda d: cut(metadata(d, "quorum-state"), 10), "quorum-state", "quorum-state"),
    "bootstrap.checkpoint": (lambda d: cut(d / "bootstrap.checkpoint", 40), "metadata-snapshot", "bootstrap.checkpoint"),
}


def contents(data):
    return {path: path.read_bytes() for path in sorted(data.rglob("*")) if path.is_file()}


def test_nothing_is_found_where_nothing_is_damaged(data):
    before = contents(data)
    status, found, summary = verify(data)
    assert (status, found) == (0, [])
    assert summary["problems"] == 0 and summary["records"] >= RECORDS and summary["partitions"] >= 2
    assert verify(data / "a-0")[0] == 0 and verify(data / "__cluster_metadata-0")[0] == 0
    assert contents(data) == before


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found_and_named(what, data):
    damage, kind, named = DAMAGE[what]
    damage(data)
    before = contents(data)
    status, found, summary = verify(data)
    assert status == 1 and summary["problems"] == len(found) > 0
    assert any(one["kind"] == kind and named in one["file"] and one["problem"] and one["start"] for one in found), found
    assert contents(data) == before


def test_what_a_start_would_do_follows_from_the_last_stop(data):
    overwrite(first(data, "*.log", -1), 5000, b"?")
    (one,) = verify(data)[1]
    assert "the last stop was clean" in one["start"] and one["position"] == 0
    (data / ".kafka_cleanshutdown").unlink()
    (one,) = verify(data)[1]
    assert "below the recovery point" in one["start"]
    (data / "recovery-point-offset-checkpoint").unlink()
    (one,) = verify(data)[1]
    assert one["start"] == "a start cuts the log off here"
    overwrite(first(data, "*.log"), 5000, b"?")
    if (data / "odradek-boot-id").exists():  # the same boot: the last megabyte of the last segment is looked at, and no other
        starts = [one["start"] for one in verify(data)[1]]
        assert len(starts) == 2 and starts[0].startswith("nothing, unless the machine is restarted") and "cuts" in starts[1]
        (data / "odradek-boot-id").unlink()
    assert [one["start"] for one in verify(data)[1]] == ["a start cuts the log off here"] * 2
    overwrite(first(data, "*.log"), 5000, b"x")
    text = subprocess.run([odradek_binary(), "log", "verify", data], capture_output=True, text=True)
    assert text.returncode == 1 and "the CRC of this batch is wrong" in text.stdout and "1 problems" in text.stdout


def test_a_directory_that_is_not_there(tmp_path):
    done = subprocess.run([odradek_binary(), "log", "verify", tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 1 and "none" in done.stderr


def gone(what):
    return lambda data: first(data, what, -1).unlink()


def not_used_yet(data):
    """Room of a segment, which Kafka has at a file's end where a topic has preallocate."""
    cut(first(data, "*.log", -1), 1 << 20)


@pytest.mark.parametrize("unwritten", [gone("leader-epoch-checkpoint"), gone("*.index"), gone("*.timeindex"), not_used_yet])
def test_what_a_killed_broker_leaves_unwritten_is_a_remark(unwritten, data):
    """After a clean stop the same would be damage (DAMAGE): nothing but a hand takes it away."""
    (data / ".kafka_cleanshutdown").unlink()
    unwritten(data)
    status, found, summary = verify(data)
    assert (status, summary["problems"], summary["remarks"]) == (0, 0, 1)
    assert [one["remark"] for one in found] == [True] and found[0]["start"]
    text = subprocess.run([odradek_binary(), "log", "verify", data], capture_output=True, text=True)
    assert text.returncode == 0 and "remark: " in text.stdout and "0 problems, 1 remarks" in text.stdout


def test_a_killed_broker_leaves_nothing_damaged(brokers):
    broker = brokers.start()
    create_topic(broker, "k", segment_bytes="1048576")
    with connect(broker) as connection:
        for i in range(RECORDS // 2):
            assert error(produce(connection, "k", [(b"key", b"%08d" % i + b"x" * 8000)])) == 0
    broker.kill()
    status, found, summary = verify(broker.data)
    assert (status, summary["problems"]) == (0, 0), found
    assert all(one["remark"] for one in found)
