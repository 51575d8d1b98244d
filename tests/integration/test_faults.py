"""Damaged files: the broker says in one line what is wrong and does not start, or mends it and serves every record."""

import os
import shutil
import subprocess

import pytest

from harness.broker import free_port, odradek_binary
from harness.requests import connect, create_topic, end_offset, error, fetch, produce, values

RECORDS = 400


@pytest.fixture(autouse=True)
def _only_ours(broker_kind):
    if broker_kind == "kafka":
        pytest.skip("says something of Odradek alone")


def settings(data):
    ports = free_port(), free_port()
    return {
        "listeners": f"PLAINTEXT://127.0.0.1:{ports[0]},CONTROLLER://127.0.0.1:{ports[1]}",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": data,
    }


def fails_to_start(data):
    """The line with which the broker refuses to start on this directory."""
    words = [word for name, value in settings(data).items() for word in ("--override", f"{name}={value}")]
    done = subprocess.run([odradek_binary(), "server", *words], capture_output=True, text=True, timeout=60)
    said = [line for line in (done.stdout + done.stderr).split("\n") if "cannot start" in line]
    assert done.returncode == 1 and len(said) == 1, (done.returncode, done.stdout, done.stderr)
    return said[0]


@pytest.fixture(scope="module")
def seed(module_brokers):
    """A directory after a clean stop: topic a with RECORDS records of one batch each, in several segments; b with one."""
    broker = module_brokers.start()
    create_topic(broker, "b")
    create_topic(broker, "a", segment_bytes="1048576", index_interval_bytes="1000")
    with connect(broker) as connection:
        for i in range(RECORDS):
            assert error(produce(connection, "a", [(b"key", b"%08d" % i + b"x" * 8000)])) == 0
        assert error(produce(connection, "b", [(None, b"v")])) == 0
    broker.stop()
    return broker


@pytest.fixture
def damaged(seed, tmp_path):
    """A copy of the seed for one test to damage."""
    shutil.copytree(seed.data, tmp_path / "data")
    return tmp_path / "data"


def overwrite(path, at, data):
    with open(path, "r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        file.write(data)


def cut(path, size):
    os.truncate(path, size if size >= 0 else path.stat().st_size + size)


def metadata(data, name="00000000000000000000.log"):
    return data / "__cluster_metadata-0" / name


def checkpoint_is_a_directory(data):
    (data / "recovery-point-offset-checkpoint").unlink()
    (data / "recovery-point-offset-checkpoint").mkdir()


REFUSED = {  # what is done, and what the line names
    "meta.properties is empty": (lambda d: cut(d / "meta.properties", 0), "meta.properties"),
    "meta.properties is gone": (lambda d: (d / "meta.properties").unlink(), "meta.properties"),
    "quorum-state is cut": (lambda d: cut(metadata(d, "quorum-state"), 10), "quorum-state"),
    "quorum-state is empty": (lambda d: cut(metadata(d, "quorum-state"), 0), "quorum-state"),
    "bootstrap.checkpoint is cut": (lambda d: cut(d / "bootstrap.checkpoint", 40), "bootstrap.checkpoint"),
    "the metadata is damaged": (lambda d: overwrite(metadata(d), 700, b"\xff\xfe\xfd"), "00000000000000000000.log"),
    "a checkpoint cannot be read": (checkpoint_is_a_directory, "data"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_damage_that_stops_the_start_is_named_in_one_line(what, damaged):
    damage, named = REFUSED[what]
    before = metadata(damaged).stat().st_size
    damage(damaged)
    assert named in fails_to_start(damaged)
    assert metadata(damaged).stat().st_size >= before  # nothing was cut off


def test_a_log_directory_that_is_none_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    assert "Not a directory" in fails_to_start(tmp_path / "file")
    assert str(tmp_path / "file" / "below") in fails_to_start(tmp_path / "file" / "below")


def each(data, pattern, change):
    paths = sorted((data / "a-0").glob(pattern))
    assert paths, pattern
    for path in paths:
        change(path)


MENDED = {
    "indexes are gone": lambda d: each(d, "*index", lambda path: path.unlink()),
    "indexes are cut": lambda d: each(d, "*index", lambda path: cut(path, 13)),
    "indexes are garbage": lambda d: each(d, "*index", lambda path: path.write_bytes(bytes(range(240)))),
    "snapshots are garbage": lambda d: each(d, "*.snapshot", lambda path: path.write_bytes(bytes(range(100)))),
    "partition.metadata is empty": lambda d: cut(d / "a-0" / "partition.metadata", 0),
    "partition.metadata is gone": lambda d: [(d / log / "partition.metadata").unlink() for log in ("a-0", "b-0")],
    "epochs are garbage": lambda d: (d / "a-0" / "leader-epoch-checkpoint").write_text("junk"),
    "recovery points are cut": lambda d: cut(d / "recovery-point-offset-checkpoint", 5),
    "recovery points are gone": lambda d: (d / "recovery-point-offset-checkpoint").unlink(),
    "the watermarks are cut": lambda d: cut(d / "replication-offset-checkpoint", 5),
    "the log starts are cut": lambda d: (d / "log-start-offset-checkpoint").write_text("0\n3\nx"),
    "the clean stop's marker is garbage": lambda d: (d / ".kafka_cleanshutdown").write_bytes(bytes(40)),
    "a crash": lambda d: (d / ".kafka_cleanshutdown").unlink(),
}


def served(broker):
    """Every record of the topic, in order."""
    out = []
    with connect(broker) as connection:
        end = end_offset(connection, "a")["Offset"]
        while len(out) < end:
            code, batches = fetch(connection, "a", len(out))
            assert code == 0 and batches, (code, len(out))
            out += values(batches)
    return out


def test_a_log_that_nobody_names_is_set_aside(damaged, brokers):
    """It has no partition.metadata, and the metadata no topic of its name: a later topic of that name begins empty."""
    shutil.copytree(damaged / "b-0", damaged / "c-0")
    (damaged / "c-0" / "partition.metadata").unlink()
    broker = brokers.start(data=damaged)
    (stray,) = damaged.glob("c-0.*-stray")
    assert list(stray.glob("*.log")) and not (damaged / "c-0").exists()
    create_topic(broker, "c")
    with connect(broker) as connection:
        assert end_offset(connection, "c")["Offset"] == 0
    broker.stop()
    assert (damaged / ".kafka_cleanshutdown").exists()


@pytest.mark.parametrize("what", MENDED)
def test_damage_that_can_be_mended_costs_no_record(what, damaged, brokers):
    MENDED[what](damaged)
    broker = brokers.start(data=damaged)
    for _ in range(2):
        assert [int(value[:8]) for value in served(broker)] == list(range(RECORDS))
        with connect(broker) as connection:
            assert end_offset(connection, "b")["Offset"] == 1
        broker.stop()
        broker.start()
