"""The command line against a running broker, and by itself."""

import json
import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest

from harness.broker import cli_binary, free_port
from harness.process import die_with_parent, wait_until

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def odradek(*words, stdin=b"", status=0):
    """Runs the binary; returns what it wrote to standard output and to standard error, as text."""
    words = [str(cli_binary()), *map(str, words)]
    done = subprocess.run(words, input=stdin, capture_output=True, timeout=120)
    error = done.stderr.decode()
    assert done.returncode == status, f"{' '.join(words)}: {done.returncode}\n{error}{done.stdout.decode(errors='replace')}"
    return done.stdout.decode(errors="surrogateescape"), error


class At:
    """The commands of one broker."""

    def __init__(self, broker):
        self.broker = broker

    def __call__(self, command, *words, **options):
        return odradek(*command.split(), "-b", self.broker.bootstrap, *words, **options)


@pytest.fixture
def at(broker):
    return At(broker)


# -- by itself


def test_version_and_help_are_told():
    assert odradek("--version")[0].startswith("odradek ")
    assert odradek("--help")[0].startswith("  odradek server")
    for command in ("server", "format", "topic", "topic create", "topic list", "topic describe", "topic alter", "topic delete", "config", "config get", "config set", "config unset", "quota", "quota list", "quota set", "quota unset", "produce", "consume", "log", "log dump", "log verify"):
        text = odradek(*command.split(), "--help")[0]
        assert text.startswith("  "), f"{command} --help begins with an example"
        assert f"odradek {command}" in text


DEV = Path(__file__).parents[2] / "dev"


def test_dev_up_builds_the_broker_alone(tmp_path):
    """Who wants to try it waits for no tests to be compiled."""
    for name, does in {"ninja": f'echo "$@" >{tmp_path}/asked; exit 1', "meson": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run([DEV, "up"], capture_output=True, timeout=120, env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 1 and b"does not build" in done.stderr
    assert (tmp_path / "asked").read_text() == "-C build odradek\n"


@pytest.mark.parametrize("words", [[], ["help"], ["--help"]])
def test_dev_lists_what_it_does(words):
    done = subprocess.run([DEV, *words], capture_output=True, timeout=120, check=True)
    assert done.stdout.startswith(b"./dev up") and b"./dev test " in done.stdout


@pytest.mark.parametrize(
    "words, line",
    [
        (["nonsense"], "odradek: unknown command nonsense; try `odradek --help`"),
        (["a.properties"], "odradek: unknown command a.properties; try `odradek server a.properties`"),
        (["topic", "nonsense"], "odradek topic: unknown command nonsense; try `odradek topic --help`"),
        (["topic", "list", "--nonsense"], "odradek topic list: unknown option --nonsense; try `odradek topic list --help`"),
        (["topic", "create"], "odradek topic create: no topic is named; try `odradek topic create --help`"),
        (["topic", "alter", "t"], "odradek topic alter: nothing is to be changed; try `odradek topic alter --help`"),
        (["topic", "alter", "t", "-c", "=1"], "odradek topic alter: =1: expected NAME=VALUE, NAME+=VALUE or NAME-=VALUE; try `odradek topic alter --help`"),
        (["config", "set", "topic/t"], "odradek config set: no setting is named; try `odradek config set --help`"),
        (["config", "get", "topic"], "odradek config get: topic: expected topic/NAME; try `odradek config get --help`"),
        (["config", "get", "user/x"], "odradek config get: user/x: expected topic/NAME, broker, broker/ID, group/NAME or client-metrics/NAME; try `odradek config get --help`"),
        (["produce", "t", "--partition", "x"], "odradek produce: --partition x is no whole number from 0 to 2147483647; try `odradek produce --help`"),
        (["consume", "t", "--from", "whenever"], "odradek consume: --from whenever is no place to start from; try `odradek consume --help`"),
        (["consume", "t", "--format", "%q"], "odradek consume: --format: %q is not known; try `odradek consume --help`"),
        (["format"], "odradek format: --cluster-id is missing; try `odradek format --help`"),
    ],
)
def test_what_is_not_understood_is_said_in_one_line(words, line):
    assert odradek(*words, status=2) == ("", line + "\n")


@pytest.mark.parametrize(
    "setting, line",
    [
        ("num.partitions=0", "Invalid value 0 for configuration num.partitions: Value must be at least 1"),
        ("listeners=PLAINTEXT", "listeners=PLAINTEXT: expected NAME://host:port"),
        ("log.dirs=", "Configuration 'log.dirs' must not be empty. Valid values include: any non-empty value"),
        ("=1", "--override =1: expected name=value"),
    ],
)
def test_a_configuration_error_is_one_line(setting, line):
    assert odradek("server", "--override", setting, status=1) == ("", f"odradek server: {line}\n")


def test_a_file_is_checked_without_starting(tmp_path):
    path = tmp_path / "server.properties"
    assert odradek("server", path, status=1) == ("", f"odradek server: {path}: No such file or directory\n")
    path.write_text("process.roles=broker,controller\nnode.id=1\n")
    assert "controller.listener.names is not set: it is required" in odradek("server", "--check", path, status=1)[1]
    path.write_text(
        "process.roles = broker,controller\nnode.id: 1\nlisteners=PLAINTEXT://127.0.0.1:0,\\\n  CONTROLLER://127.0.0.1:0\n"
        "controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@127.0.0.1:9093\nnum.partition=3\nnum.io.threads=8\nrequest.timeout.ms=30000\n"
    )
    _, error = odradek("server", "--check", path)
    assert "unknown setting num.partition; did you mean num.partitions?" in error
    assert "num.io.threads=8 has no effect here" in error
    assert "request.timeout.ms=30000 has no effect yet" in error


def test_a_directory_that_cannot_be_used_names_its_setting(tmp_path):
    (tmp_path / "d" / ".lock").mkdir(parents=True)
    _, error = odradek("server", "-o", f"log.dirs={tmp_path}/d", "-o", "listeners=PLAINTEXT://127.0.0.1:0", status=1)
    assert f"log.dirs: cannot open {tmp_path}/d/.lock: Is a directory" in error


def test_nobody_answers():
    for words in (["topic", "list", "-b"], ["topic", "list", "--bootstrap-server"], ["produce", "t", "-t", "5", "--bootstrap"], ["consume", "t", "-t", "5", "-b"]):
        out, error = odradek(*words, "127.0.0.1:1", stdin=b"x\n", status=1)
        assert out == "" and error.count("\n") == 1 and "Connection refused" in error
        assert error.endswith("; `odradek server` starts a broker, --bootstrap names another\n")


def test_formatting(tmp_path):
    settings = tmp_path / "server.properties"
    settings.write_text(
        "process.roles=broker,controller\nnode.id=7\ncontroller.listener.names=C\nlisteners=PLAINTEXT://127.0.0.1:0,C://127.0.0.1:9093\n"
        f"controller.quorum.bootstrap.servers=127.0.0.1:9093,elsewhere:9093\nlog.dirs={tmp_path}/a,{tmp_path}/b\n"
    )
    _, error = odradek("format", "-i", "non sense", settings, status=2)
    assert "`random` makes one" in error
    _, error = odradek("format", "-i", "random", settings, status=2)
    assert "--standalone" in error, "who votes first is not to be guessed"
    for words, status, line in (
        (["-f", "transaction.version"], 2, "--feature transaction.version: expected NAME=LEVEL"),
        (["-f", "transaction.version=x"], 2, "--feature transaction.version=x: expected NAME=LEVEL"),
        (["-f", "transaction.version=3"], 1, "No feature:transaction.version with feature level 3"),
        (["-r", "4.4"], 1, "Unknown metadata.version '4.4'."),
    ):
        _, error = odradek("format", "-i", "random", "--standalone", *words, settings, status=status)
        assert error.startswith(f"odradek format: {line}") and not (tmp_path / "a" / "meta.properties").exists()
    out, _ = odradek("format", "-i", "4L6g3nShT-eMCtK--X86sw", "--standalone", settings)
    assert out.count("formatted") == 2
    meta = (tmp_path / "a" / "meta.properties").read_text()
    assert "cluster.id=4L6g3nShT-eMCtK--X86sw" in meta and "node.id=7" in meta
    _, error = odradek("format", "-i", "4L6g3nShT-eMCtK--X86sw", "--standalone", settings, status=1)
    assert error == f"odradek format: {tmp_path}/a is formatted already, for cluster 4L6g3nShT-eMCtK--X86sw; --ignore-formatted leaves it as it is\n"
    out, _ = odradek("format", "-i", "random", "--standalone", "--ignore-formatted", settings)
    assert out.count("is formatted already") == 2
    odradek("format", "-i", "MkU3OEVBNTcwNTJENDM2Qk", "--standalone", settings, "-o", f"log.dirs={tmp_path}/d")
    assert "cluster.id=MkU3OEVBNTcwNTJENDM2Qk" in (tmp_path / "d" / "meta.properties").read_text(), "no UUID, but common"
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "something").write_text("x")
    _, error = odradek("format", "-i", "random", "--standalone", settings, "-o", f"log.dirs={tmp_path}/c", status=1)
    assert error == f"odradek format: {tmp_path}/c: the directory is not empty; take away what is in it, or name another in log.dirs\n"


# -- topics


def test_topics_from_create_to_delete(at):
    out, _ = at("topic create", "cli-a", "--partitions", 3, "--config", "retention.ms=60000")
    assert out == "created cli-a, 3 partitions, 1 replica\n"
    assert "(TOPIC_ALREADY_EXISTS); --if-not-exists leaves it as it is\n" in at("topic create", "cli-a", status=1)[1]
    assert at("topic create", "cli-a", "--if-not-exists")[0] == "cli-a is there already\n"
    out, error = at("topic create", "cli-a", "cli-new", "--json", status=1)
    refused, created = json.loads(out)
    assert refused == {"name": "cli-a", "topicId": None, "partitions": None, "replicas": None, "error": "TOPIC_ALREADY_EXISTS"}
    assert (created["partitions"], created["error"]) == (1, None) and error.startswith("odradek topic create: cli-a: ")
    [there] = json.loads(at("topic create", "cli-a", "--if-not-exists", "--json")[0])
    assert there == {**refused, "error": None}
    assert at("topic create", "cli-dry", "--dry-run")[0].startswith("could create cli-dry")
    _, error = at("topic create", "cli-bad", "--config", "nope=1", status=1)
    assert error == "odradek topic create: cli-bad: Unknown topic config name: nope (INVALID_CONFIG)\n"

    names = {one["name"]: one for one in json.loads(at("topic list", "--json")[0])}
    assert names["cli-a"]["partitions"] == 3 and "cli-dry" not in names
    assert "cli-a" in at("topic list")[0]

    [topic] = json.loads(at("topic describe", "cli-a", "--json")[0])
    assert topic["configs"] == {"retention.ms": "60000"}
    assert [(p["partition"], p["leader"], p["startOffset"], p["endOffset"]) for p in topic["partitions"]] == [(0, 1, 0, 0), (1, 1, 0, 0), (2, 1, 0, 0)]
    assert "retention.ms=60000" in at("topic describe", "cli-a")[0]
    [topic] = json.loads(at("topic describe", "cli-a", "--all", "--json")[0])
    assert topic["configs"]["cleanup.policy"] == "delete"

    assert at("topic delete", "cli-a")[0] == "deleted cli-a\n"
    assert "(UNKNOWN_TOPIC_OR_PARTITION)" in at("topic delete", "cli-a", status=1)[1]
    assert at("topic delete", "cli-a", "--if-exists")[0] == "cli-a is not there\n"
    assert "(UNKNOWN_TOPIC_OR_PARTITION); `odradek topic list` lists those that there are\n" in at("topic describe", "cli-a", status=1)[1]
    assert "; `odradek topic list` lists those that there are\n" in at("consume", "cli-a", status=1)[1]
    out, error = at("topic delete", "cli-a", "cli-new", "--json", status=1)
    gone = {"name": "cli-a", "deleted": False, "error": "UNKNOWN_TOPIC_OR_PARTITION"}
    assert json.loads(out) == [gone, {"name": "cli-new", "deleted": True, "error": None}] and "cli-a: " in error
    assert json.loads(at("topic delete", "cli-a", "--if-exists", "--json")[0]) == [{**gone, "error": None}]


# -- records


@pytest.mark.parametrize("codec", CODECS)
def test_what_goes_in_comes_out(at, codec):
    topic = f"cli-{codec}"
    at("topic create", topic)
    lines = [f"k{i}:value {i} äöü" for i in range(1000)]
    at("produce", topic, "-K", ":", "-z", codec, "-H", "source=test", "-i", stdin="\n".join(lines).encode())
    assert at("consume", topic, "-K", ":")[0].splitlines() == lines
    records = [json.loads(line) for line in at("consume", topic, "--json")[0].splitlines()]
    assert [r["offset"] for r in records] == list(range(1000))
    assert records[7]["key"] == "k7" and records[7]["value"] == "value 7 äöü"
    assert records[7]["headers"] == [{"name": "source", "value": "test"}]
    assert at("consume", topic, "--from", -3)[0].splitlines() == [line.split(":")[1] for line in lines[-3:]]
    assert at("consume", topic, "--from", 500, "--count", 1, "-F", "%t/%p/%o/%k/%s")[0] == f"{topic}/0/500/k500/{len('value 500 äöü'.encode())}"
    assert at("consume", topic, "--from", "end")[0] == ""


def test_nulls_bytes_and_files(at, tmp_path):
    at("topic create", "cli-bytes", "-p", 2)
    at("produce", "cli-bytes", "-K", ":", "-N", "-p", 0, stdin=b"gone:\n:b\n")
    first, second = [json.loads(line) for line in at("consume", "cli-bytes", "-p", 0, "-j")[0].splitlines()]
    assert (first["key"], first["value"]) == ("gone", None)
    assert (second["key"], second["value"]) == ("", "b")
    assert at("consume", "cli-bytes", "-p", 0, "-F", "%k=%v;")[0] == "gone=(null);=b;"

    noise = os.urandom(100_000)
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(noise)
    at("produce", "cli-bytes", "--whole", "-p", 1, tmp_path / "one", tmp_path / "two")
    out, _ = at("consume", "cli-bytes", "-p", 1, "-F", "%v")
    assert out.encode(errors="surrogateescape") == noise * 2
    assert "valueBase64" in json.loads(at("consume", "cli-bytes", "-p", 1, "-j", "-c", 1)[0])
    assert "has no partition 5; `odradek topic describe`" in at("consume", "cli-bytes", "-p", 5, status=1)[1]
    assert "No such file" in at("produce", "cli-bytes", tmp_path / "none", status=1)[1]
    assert 'record 1: no ":" in the line, so no key;' in at("produce", "cli-bytes", "-K", ":", stdin=b"x\n", status=1)[1]


def test_from_a_time(at):
    at("topic create", "cli-time")
    at("produce", "cli-time", stdin=b"old\n")
    between = json.loads(at("consume", "cli-time", "--json")[0])["timestamp"] + 1
    wait_until(lambda: time.time() * 1000 > between, 20, "the clock to tell the two apart")
    at("produce", "cli-time", stdin=b"new\n")
    assert at("consume", "cli-time", "--from", f"@{between}")[0] == "new\n"
    assert at("consume", "cli-time", "--from", "-1h")[0] == "old\nnew\n"
    assert at("consume", "cli-time", "--from", "2100-01-01")[0] == ""


def test_following(at):
    at("topic create", "cli-follow")
    words = [str(cli_binary()), "consume", "-b", at.broker.bootstrap, "cli-follow", "--follow", "--count", "3"]
    follower = subprocess.Popen(words, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        for i in range(3):
            at("produce", "cli-follow", stdin=f"{i}\n".encode())
        wait_until(lambda: follower.poll() is not None, 60, "three records to be followed")
        assert follower.returncode == 0 and follower.stdout.read() == b"0\n1\n2\n"
    finally:
        follower.kill()
        follower.wait()


def shown(terminal):
    """What was written to a terminal since the last look."""
    text = b""
    while select.select([terminal], [], [], 0)[0]:
        text += os.read(terminal, 4096)
    return text


def test_progress_is_shown_on_a_terminal_alone(at):
    at("topic create", "cli-progress")
    terminal, theirs = pty.openpty()
    produce = [str(cli_binary()), "produce", "cli-progress", "-b", at.broker.bootstrap]
    follow = [str(cli_binary()), "consume", "cli-progress", "--follow", "-b", at.broker.bootstrap]
    quiet = subprocess.Popen(follow, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=die_with_parent)
    loud = subprocess.Popen(follow, stdout=subprocess.DEVNULL, stderr=theirs, preexec_fn=die_with_parent)
    try:
        wait_until(lambda: b"0 records, 0.0 MB, 0 records/s" in shown(terminal), 60, "the consumer's progress")
        loud.terminate()
        loud.wait()
        shown(terminal)
        producer = subprocess.Popen(produce, stdin=subprocess.PIPE, stderr=theirs, bufsize=0, preexec_fn=die_with_parent)

        def goes_on():
            producer.stdin.write(b"line\n")
            return b" records/s" in shown(terminal)

        wait_until(goes_on, 60, "the producer's progress")
        producer.stdin.close()
        assert producer.wait() == 0
        assert shown(terminal).endswith(b" records, 0.0 MB\r\n"), "in the end, how many they were"
        quiet.terminate()
        assert quiet.stderr.read() == b"", "no terminal, no progress"
    finally:
        quiet.kill()
        loud.kill()
        quiet.wait()
        loud.wait()
        os.close(terminal)
        os.close(theirs)


def test_refused_records_are_told(at):
    at("topic create", "cli-compact", "-c", "cleanup.policy=compact")
    out, error = at("produce", "cli-compact", "--json", stdin=b"no key\n", status=1)
    told = json.loads(out)
    assert (told["records"], told["failed"]) == (0, 1) and "Broker failed to validate record" in told["error"]
    assert "1 of 1 records were not acknowledged" in error
    assert json.loads(at("produce", "cli-compact", "--json", "-k", "key", stdin=b"v\n")[0]) == {"records": 1, "bytes": 4, "failed": 0}
    assert "Unknown topic" in at("consume", "cli-nowhere", status=1)[1]


def test_nobody_there_is_told_without_waiting_for_the_timeout():
    """Ten minutes, where it is not noticed that no broker was there at all."""
    where = ("-b", f"127.0.0.1:{free_port()}", "-t", "600")
    out, error = odradek("produce", "cli", *where, "--json", stdin=b"v\n", status=1)
    told = json.loads(out)
    assert told["records"] == 0 and "no broker can be reached" in told["error"] and "Connection refused" in told["error"]
    assert "no broker can be reached" in error
    assert "no broker can be reached" in odradek("consume", "cli", *where, status=1)[1]


# -- files


def test_the_log_is_dumped(brokers):
    broker = brokers.start()
    at = At(broker)
    at("topic create", "dumped")
    at("produce", "dumped", "-K", ":", "-z", "gzip", "-H", "h=1", stdin=b"a:%s\nb:2\n" % (b"1" * 100))
    broker.stop()
    directory = broker.partition_directory("dumped")
    rows = [json.loads(line) for line in odradek("log", "dump", "--records", "--json", directory)[0].splitlines()]
    # One batch, or two where the machine is slow; the short record alone is sent as it is, as packing makes it longer.
    batches = [row for row in rows if row["kind"] == "batch"]
    assert all(batch["crcOk"] for batch in batches) and batches[0]["compression"] == "gzip"
    assert sum(batch["records"] for batch in batches) == 2 and batches[0]["baseOffset"] == 0
    records = [row for row in rows if row["kind"] == "record"]
    assert [(r["key"], r["value"], r["headers"][0]["name"]) for r in records] == [("a", "1" * 100, "h"), ("b", "2", "h")]
    text, _ = odradek("log", "dump", "--records", directory)
    assert f"key a  value {'1' * 100}  h=1" in text and "topic_id:" in text

    rows = [json.loads(line) for line in odradek("log", "dump", "-r", "-j", broker.data)[0].splitlines()]
    types = {row.get("type") for row in rows}
    assert {"TopicRecord", "PartitionRecord", "RegisterBrokerRecord", "LeaderChangeMessage"} <= types
    kinds = [row["kind"] for row in rows if "dumped" in row["file"]]
    assert kinds.count("batch") == len(batches)
    assert "offsetIndex" not in kinds, "there is too little for an entry"
    assert kinds.count("timeIndex") == 1, "where the log ends in time"

    segment = next(directory.glob("*.log"))
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    assert "the CRC of this batch is wrong" in odradek("log", "dump", segment, status=1)[1]
    segment.write_bytes(content[:-1])
    assert "the file ends within a batch" in odradek("log", "dump", segment, status=1)[1]
    assert "No such file" in odradek("log", "dump", directory / "nothing.log", status=1)[1]
