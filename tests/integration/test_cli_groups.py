"""odradek group, txn and cluster against a running broker (or, with --broker kafka, against Apache Kafka)."""

import contextlib
import json
import os
import re
import socket
import subprocess

import pytest

from harness.broker import cli_binary, odradek_binary
from harness.kraft import feature_level
from harness.process import die_with_parent, preloadable, threads_of, wait_until
from harness.terminal import Terminal
from harness.transactions import Producer, is_settled, read
from harness.topics import create_topics


class Cli:
    def __init__(self, broker):
        self.broker = broker

    def __call__(self, *words, status=0):
        line = [cli_binary(), *words[:2], "-b", self.broker.bootstrap, *words[2:]]
        done = subprocess.run(line, capture_output=True, timeout=120, preexec_fn=die_with_parent)
        assert done.returncode == status, done
        return done.stderr.decode() if status else done.stdout.decode()

    def json(self, *words):
        return json.loads(self(*words, "--json"))

    def rows(self, *words):
        return [line.split() for line in self(*words).splitlines()]


@pytest.fixture
def cli(brokers):
    cli = Cli(brokers.start(settings={"group.initial.rebalance.delay.ms": "0"}))
    cli("topic", "create", "orders", "-p", "3")
    for partition, count in enumerate((10, 20, 0)):
        values = b"".join(b"%d\n" % i for i in range(count))
        line = [cli_binary(), "produce", "orders", "-b", cli.broker.bootstrap, "-p", str(partition)]
        subprocess.run(line, input=values, timeout=120, check=True, capture_output=True, preexec_fn=die_with_parent)
    return cli


@contextlib.contextmanager
def members(broker, count, group="bench-join"):
    """Members of a group that stay for as long as the body runs."""
    line = [odradek_binary().parent / "bench/odradek-load", "members", "--address", broker.bootstrap, "--topic", "orders"]
    line += ["--count", str(count), "--partitions", "3", "--pause-us", "100000"]
    load = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent)
    try:
        assert json.loads(load.stdout.readline())["members"] == count
        yield group
    finally:
        load.stdin.close()
        assert load.wait(30) == 0


def offsets(cli, group="billing"):
    (found,) = cli.json("group", "describe", group)
    return [(one["committed"], one["end"], one["lag"]) for one in found["offsets"]]


def test_offsets_are_reset_and_seen(cli):
    assert cli("group", "list") == "" and cli.json("group", "list") == []
    changes = [{"topic": "orders", "partition": 0, "before": None, "after": 4}]
    assert cli.json("group", "reset", "billing", "--topic", "orders:0", "--to", "4", "--dry-run") == changes
    assert cli("group", "list") == ""  # nothing was changed
    assert cli.json("group", "reset", "billing", "--topic", "orders:0", "--to", "4") == changes
    assert offsets(cli) == [(4, 10, 6)]
    assert cli.json("group", "list") == [{"groupId": "billing", "type": "classic", "state": "Empty", "protocolType": ""}]
    assert cli.rows("group", "list") == [["GROUP", "TYPE", "STATE", "PROTOCOL"], ["billing", "classic", "Empty", "-"]]
    assert cli.rows("group", "describe", "billing")[1:] == [
        ["TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "CLIENT", "HOST"],
        ["orders", "0", "4", "10", "6", "-", "-"],
    ]
    assert cli("group", "describe", "billing").startswith("billing  classic, Empty, 0 members, lag 6\n")
    assert cli.json("group", "list", "--state", "stable") == []


@pytest.mark.parametrize(
    "where, after",
    [
        (["--to", "beginning"], [0, 0, 0]),
        (["--to", "end"], [10, 20, 0]),
        (["--to", "15"], [10, 15, 0]),  # never beyond what is there
        (["--to", "-3"], [7, 17, 0]),
        (["--to", "-1h"], [0, 0, 0]),
        (["--to", "@99999999999999"], [10, 20, 0]),  # no record is that new
        (["--shift", "4"], [9, 9, 0]),
        (["--shift", "-2"], [3, 3, 0]),
        (["--shift", "-100"], [0, 0, 0]),
        (["--shift", "9223372036854775807"], [10, 20, 0]),
    ],
)
def test_where_a_group_goes_on(cli, where, after):
    cli("group", "reset", "billing", "--topic", "orders", "--to", "5")
    assert [one["before"] for one in cli.json("group", "reset", "billing", "--all-topics", *where)] == [5, 5, 0]
    assert [committed for committed, _, _ in offsets(cli)] == after


def test_members_are_described_and_keep_their_group(cli):
    with members(cli.broker, 4) as group:
        (found,) = cli.json("group", "describe", group)
        assert (found["state"], found["type"], found["protocol"]) == ("Stable", "classic", "range")
        assigned = [part["partitions"] for m in found["members"] for part in m["assignment"]]
        assert len(found["members"]) == 4 and sorted(sum(assigned, [])) == [0, 1, 2]
        assert all(m["host"] == "/127.0.0.1" and m["clientId"] for m in found["members"])
        assert [(o["partition"], o["committed"], o["end"]) for o in found["offsets"]] == [(0, None, 10), (1, None, 20), (2, None, 0)]
        people = cli("group", "describe", group)
        assert "4 members" in people and people.count("has no partition") == 1
        assert "it has members; stop them first" in cli("group", "delete", group, status=1)
        assert "it has members; stop them first" in cli("group", "reset", group, "-T", "orders", "--to", "end", status=1)
    wait_until(lambda: cli.json("group", "describe", group)[0]["state"] == "Empty", 20, "the members to leave")
    assert cli("group", "delete", group) == f"deleted {group}\n"
    assert cli("group", "list") == ""


def test_transactions(cli):
    create_topics(cli.broker.bootstrap, ["t"], partitions=3)
    assert cli.json("txn", "list") == []
    producer = Producer(cli.broker.port, "pay-1").init()
    for partition in range(3):
        producer.produce("t", partition, b"half")
    assert cli.json("txn", "list") == [{"transactionalId": "pay-1", "producerId": producer.producer_id, "state": "Ongoing"}]
    assert cli.json("txn", "list", "--open-for", "3600") == []
    (found,) = cli.json("txn", "describe", "pay-1")
    assert found["partitions"] == [{"topic": "t", "partition": p} for p in range(3)] and found["state"] == "Ongoing" and found["startTime"] > 0
    assert cli("txn", "describe", "pay-1").splitlines()[1:] == ["  t-0", "  t-1", "  t-2"]
    assert not is_settled(cli.broker.port, "t", range(3))
    assert cli("txn", "abort", "pay-1") == "aborted pay-1\n"
    wait_until(lambda: is_settled(cli.broker.port, "t", range(3)), 20, "the markers")
    assert read(cli.broker.port, "t", 0) == []
    producer.close()


@pytest.mark.parametrize("level", [2, 1, 0])
def test_what_hangs_is_found_and_aborted(brokers, level):
    """Open in a partition, and the coordinator does not know: nothing else is taken for it, whichever transaction.version there is."""
    broker = brokers.new(settings={"transaction.partition.verification.enable": "false"})
    broker.levels = {"transaction.version": level}
    cli = Cli(broker.start())
    assert feature_level(broker, "transaction.version") == level
    create_topics(cli.broker.bootstrap, ["t", "other"], partitions=2)
    lost, joined = (Producer(cli.broker.port, name, 0).init() for name in ("lost", "joined"))
    joined.add("t", [0])
    for producer, topic, partition in ((joined, "t", 0), (lost, "t", 1), (lost, "other", 0)):
        producer.produce(topic, partition, b"half")  # lost never joined any transaction
    assert cli("txn", "hanging") == "" and cli.json("txn", "hanging") == []  # for no longer than one may be open
    now = ["--open-for", "0"]
    found = cli.json("txn", "hanging", *now)
    assert [(one["topic"], one["partition"], one["producerId"], one["startOffset"]) for one in found] == [
        ("other", 0, lost.producer_id, 0), ("t", 1, lost.producer_id, 0)]
    assert [row[:2] for row in cli.rows("txn", "hanging", "t", *now)] == [["TOPIC", "PARTITION"], ["t", "1"]]
    assert cli("txn", "abort", "--hanging", "t") == "nothing hangs there\n"
    assert not is_settled(cli.broker.port, "t", [1])
    aborted = f"aborted the transaction of producer {lost.producer_id} in t-1 from offset 0\n"
    assert cli("txn", "abort", "--hanging", "t", *now) == aborted
    wait_until(lambda: is_settled(cli.broker.port, "t", [1]), 20, "the marker")
    assert read(cli.broker.port, "t", 1) == []
    assert [one["topic"] for one in cli.json("txn", "hanging", *now)] == ["other"]
    joined.end(True)  # and what was no hanging one is as it was
    wait_until(lambda: read(cli.broker.port, "t", 0) == [b"half"], 20, "the commit")
    assert "none: " in cli("txn", "hanging", "none", status=1)
    for producer in (lost, joined):
        producer.close()


def test_a_cluster_is_described(cli):
    cluster = cli.json("cluster", "describe")
    assert [(b["id"], b["host"], b["port"], b["fenced"]) for b in cluster["brokers"]] == [(1, "127.0.0.1", cli.broker.port, False)]
    assert cluster["quorum"]["leader"] == 1 and [v["lag"] for v in cluster["quorum"]["voters"]] == [0]
    assert cluster["features"]["transaction.version"] == 2
    assert cluster["clusterId"] in cli("cluster", "describe")


@pytest.mark.parametrize(
    "words, status, line",
    [
        (["group", "describe"], 2, "group describe: no group is named"),
        (["group", "describe", "nobody"], 1, "group describe: nobody: Group nobody not found. (GROUP_ID_NOT_FOUND); `odradek group list` lists those that there are"),
        (["group", "delete", "nobody"], 1, "group delete: nobody: The group id does not exist. (GROUP_ID_NOT_FOUND)"),
        (["group", "reset", "--to", "end", "-a"], 2, "group reset: no group is named"),
        (["group", "reset", "g", "--to", "end"], 2, "group reset: whose offsets?"),
        (["group", "reset", "g", "-a"], 2, "group reset: where to?"),
        (["group", "reset", "g", "-a", "--to", "x"], 2, "group reset: x is no place to read from"),
        (["group", "reset", "g", "-a", "--shift", "x"], 2, "group reset: --shift x is no whole number"),
        (["group", "reset", "g", "-T", "orders:x", "--to", "1"], 2, "group reset: orders:x is not TOPIC:PARTITION,..."),
        (["group", "reset", "g", "-T", "orders:7", "--to", "1"], 1, "group reset: orders has no partition 7; `odradek topic describe`"),
        (["group", "reset", "g", "-T", "nothing", "--to", "1"], 1, "group reset: nothing: "),
        (["group", "reset", "g", "-a", "--to", "1"], 1, "group reset: the group has committed nothing; --topic says of what it is to begin where, `odradek group list` lists the groups"),
        (["txn", "describe"], 2, "txn describe: no transactional id is named"),
        (["txn", "describe", "x"], 1, "txn describe: x: "),
        (["txn", "abort", "x"], 1, "txn abort: x: "),
        (["txn", "abort", "--hanging"], 2, "txn abort: no topic is named; "),
        (["txn", "abort", "--open-for", "1", "x"], 2, "txn abort: --open-for goes with --hanging"),
        (["cluster", "describe", "x"], 2, "cluster describe: x is too much"),
    ],
)
def test_what_is_wrong_is_told(cli, words, status, line):
    assert cli(*words, status=status).startswith(f"odradek {line}")


def top(cli, *words, env=None):
    """odradek top in a terminal: what it wrote until it ended, and its exit status."""
    terminal = Terminal([cli_binary(), "top", "-b", cli.broker.bootstrap, *words], env)
    terminal.until("orders")
    if "--count" not in words:
        terminal.type("q")
    return terminal.end()


def test_top(cli):
    cli("group", "reset", "billing", "--topic", "orders", "--to", "beginning")
    line = [cli_binary(), "top", "-b", cli.broker.bootstrap, "--count", "1"]
    plain = subprocess.run(line, capture_output=True, text=True, timeout=120, check=True, preexec_fn=die_with_parent).stdout
    rows = [row.split() for row in plain.splitlines()]
    assert rows[0][:2] == ["odradek", "top"] and "\033" not in plain
    assert next(row for row in rows if row[:1] == ["orders"]) == ["orders", "0", "30", next(r[3] for r in rows if r[:1] == ["orders"]), "3"]
    assert ["billing", "0", "30", "Empty"] in rows
    shown, status = top(cli)
    assert status == 0 and shown.startswith("\033[?1049h") and shown.endswith("\033[?1049l")  # leaves the terminal as it was
    assert "\033[1m" in shown and "billing" in shown
    shown, status = top(cli, "--count", "2", env={"NO_COLOR": "1"})
    assert status == 0 and "\033[1m" not in shown and shown.count("odradek top - 1 broker, ") == 2


def test_top_waits_for_a_broker_that_is_away(brokers):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["orders"], partitions=3)
    terminal = Terminal([cli_binary(), "top", "-b", broker.bootstrap])
    place = terminal.until("3 partitions")
    broker.stop()
    place = terminal.until("odradek top - no answer, trying again: ", place)
    broker.start()
    place = terminal.until("1 topic, 3 partitions, 0 groups", place)
    terminal.until("answers in", place)
    terminal.type("q")
    shown, status = terminal.end()
    assert status == 0 and shown.endswith("\033[?1049l")
    broker.stop()
    line = [cli_binary(), "top", "-b", broker.bootstrap, "--timeout", "1"]
    gone = subprocess.run(line, capture_output=True, text=True, timeout=120, preexec_fn=die_with_parent)
    assert (gone.returncode, gone.stdout) == (1, "") and gone.stderr.startswith("odradek top: ")


def waits_for(pid, port):
    """True while the process has a connection to that port that is being made, or is made."""
    own = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            own.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    with open("/proc/net/tcp", encoding="ascii") as table:
        rows = [line.split() for line in list(table)[1:]]
    return any(row[2].endswith(f":{port:04X}") and row[3] in ("01", "02") and f"socket:[{row[9]}]" in own for row in rows)


def test_q_ends_top_while_it_waits_for_a_broker(brokers):
    """Which takes its connections no more: as long as its time limit lasts."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["orders"], partitions=3)
    terminal = Terminal([cli_binary(), "top", "-b", broker.bootstrap, "--timeout", "3600"])
    place = terminal.until("3 partitions")
    broker.stop()
    terminal.until("odradek top - no answer, trying again: ", place)
    with contextlib.ExitStack() as held:
        silent = held.enter_context(socket.socket())
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        silent.bind(("127.0.0.1", broker.port))
        silent.listen(0)
        for _ in range(4):  # more than it holds: who comes now is not answered
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", broker.port))
        wait_until(lambda: waits_for(terminal.pid, broker.port), 60, "top to try again")
        terminal.type("q")
        shown, status = terminal.end()
    assert status == 0 and shown.endswith("\033[?1049l")


def test_q_ends_top_while_a_name_is_looked_up(brokers, tmp_path):
    """And the time limit holds for that, too."""
    broker, obstacle = brokers.start(), tmp_path / "obstacle"
    slow = {"LD_PRELOAD": str(preloadable("slow_lookup.c", tmp_path)), "SLOW_WHILE": str(obstacle)}
    line = [cli_binary(), "top", "-b", f"localhost:{broker.port}"]
    terminal = Terminal(line, slow)
    place = terminal.until("0 partitions")
    obstacle.touch()
    broker.stop()
    wait_until(lambda: "lookup" in threads_of(terminal.pid), 60, "the name to be looked up again")
    terminal.type("q")
    shown, status = terminal.end()
    assert status == 0 and shown.endswith("\033[?1049l")
    late = subprocess.run([*line, "--timeout", "1"], env={**os.environ, **slow}, capture_output=True, text=True, timeout=60, preexec_fn=die_with_parent)
    assert late.returncode == 1 and "no answer within 1000 ms" in late.stderr


def test_a_long_wait_is_told(brokers):
    """What is waited for, and until when; then what to do. Results are not touched by it."""
    broker = brokers.start(settings={"transaction.state.log.replication.factor": "3", "offsets.topic.replication.factor": "3"})
    with socket.create_server(("127.0.0.1", 0)) as silent:
        nobody = f"127.0.0.1:{silent.getsockname()[1]}"
        coordinator, log = "the coordinator (COORDINATOR_NOT_AVAILABLE)", "its log says why\n"
        cases = [(["txn", "describe", "x"], broker.bootstrap, coordinator, log), (["txn", "abort", "x"], broker.bootstrap, coordinator, log), (["group", "delete", "x"], broker.bootstrap, coordinator, log),
                 (["topic", "list"], nobody, nobody, "names another\n"), (["consume", "x"], nobody, nobody, "names another\n"), (["produce", "x"], nobody, nobody, "names another\n")]
        lines = [[cli_binary(), *words, "-b", at, "--timeout", "4"] for words, at, _, _ in cases]
        running = [subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent) for line in lines]
        for one, (words, _, awaited, advice) in zip(running, cases):
            name = " ".join(words).removesuffix(" x")
            out, said = one.communicate(timeout=60)
            told, failed = said.splitlines(keepends=True)
            assert re.fullmatch(rf"odradek {name}: waiting for {re.escape(awaited)}, for [12] s more at most \(--timeout\)\n", told), said
            assert one.returncode == 1 and failed.endswith(advice) and not out, said
