"""odradek demo: what it writes, what its group makes of it, and how it ends."""

import collections
import json
import signal
import struct
import subprocess
import time

import pytest

from harness.broker import cli_binary, odradek_binary, sanitized
from harness.members import committed, describe_classic
from harness.process import Process, cpu_s_of, die_with_parent, run, takes_less, wait_until
from harness.requests import connect, end_offset
from harness.topics import end_of, read_topic, write_topic

TOPICS = ("shop.views", "shop.orders", "shop.payments")
PARTITIONS = 3
GROUP = "shop-minutes"
MINUTE_MS = 60_000
SOON_S = 120  # to wait for what comes at once on a machine that has nothing else to do
END_S = 60
CPU_US_MOST = 500  # of an event: 1 % of a core at the usual rate


@pytest.fixture
def broker(brokers):
    return brokers.start()


class Demo(Process):
    def __init__(self, broker, *words):
        line = [odradek_binary(), "demo", "-b", broker.bootstrap, *words]
        super().__init__("demo", line, broker.directory / "demo.log")

    def discard(self):
        if self.returncode is None:
            self.kill()


def minutes(broker):
    """{(minute in ms, partition): figures}, the last of each key."""
    found = {}
    for record in read_topic(broker.bootstrap, "shop.minutes"):
        figures = json.loads(record.value())
        at = (record.timestamp()[1], record.partition())
        assert record.key().decode() == f"{figures['minute']}/{figures['partition']}" and figures["partition"] == record.partition()
        found[at] = figures
    return found


def counted(broker):
    """The same, straightforwardly, from all that was written; and how many events were there again."""
    seen, again = set(), 0
    views, orders, payments = TOPICS
    all_of = collections.defaultdict(lambda: collections.defaultdict(float))
    sessions = collections.defaultdict(set)
    for topic in TOPICS:
        for record in read_topic(broker.bootstrap, topic):
            event = json.loads(record.value())
            at_ms = record.timestamp()[1]
            at = (at_ms - at_ms % MINUTE_MS, record.partition())
            assert record.key().decode() == event["session"]
            if event["event"] in seen:
                again += 1
                continue
            seen.add(event["event"])
            figures = all_of[at]
            sessions[at].add(event["session"])
            figures["views"] += topic == views
            figures["orders"] += topic == orders
            if topic == payments:
                figures[event["status"]] += 1
                if event["status"] == "paid":
                    figures["revenue"] += event["amount"]
                    figures[event["customer"]["country"]] += event["amount"]
    for at, figures in all_of.items():
        figures["sessions"] = len(sessions[at])
    return all_of, again


def until_minutes(broker, count, after_ms=0):
    """Waits for figures of so many minutes (that begin then or later) of each partition."""

    def there():
        each = collections.Counter(partition for at_ms, partition in minutes(broker) if at_ms >= after_ms)
        return len(each) == PARTITIONS and min(each.values()) >= count

    wait_until(there, SOON_S, f"{count} minutes of each partition", every_s=0.2)


def agree(broker, until_ms=float("inf")):
    """What the group wrote of minutes that begin before then is what anybody else counts. Returns how many figures there were."""
    found = {at: figures for at, figures in minutes(broker).items() if at[0] < until_ms}
    expected, again = counted(broker)
    for at, figures in found.items():
        want = expected.get(at, collections.defaultdict(float))
        for name in ("views", "orders", "paid", "declined", "sessions"):
            assert figures[name] == want[name], (at, name, figures, dict(want))
        assert figures["revenue"] == pytest.approx(want["revenue"], abs=0.001)
        assert {name: value for name, value in figures["revenueByCountry"].items() if value} == pytest.approx(
            {name: want[name] for name in figures["revenueByCountry"] if want[name]}, abs=0.001
        )
        if figures["sessions"]:
            assert figures["conversion"] == pytest.approx(100 * figures["orders"] / figures["sessions"], abs=0.006)
    for partition in range(PARTITIONS):  # without a gap
        have = sorted(at for at, of in found if of == partition)
        assert have == list(range(have[0], have[-1] + MINUTE_MS, MINUTE_MS))
    assert again > 0 and sum(figures["late"] for figures in found.values()) > 0
    return len(found)


def state(broker):
    return describe_classic(broker.port, GROUP)["GroupState"]


def members(broker):
    """The partitions of each member, once the group is stable; else None. All topics are given out in the same way."""
    group = describe_classic(broker.port, GROUP)
    return sorted(given(one["MemberAssignment"]) for one in group["Members"]) if group["GroupState"] == "Stable" else None


def given(assignment):
    """The partitions that an assignment gives of each of the demo's topics: Kafka's own form, version 1 of it."""
    (count,), at, found = struct.unpack_from(">i", assignment, 2), 6, {}
    for _ in range(count):
        (size,) = struct.unpack_from(">h", assignment, at)
        topic = assignment[at + 2 : at + 2 + size].decode()
        (partitions,) = struct.unpack_from(">i", assignment, at + 2 + size)
        found[topic] = list(struct.unpack_from(f">{partitions}i", assignment, at + 6 + size))
        at += 6 + size + 4 * partitions
    assert set(found) == set(TOPICS) and len({tuple(one) for one in found.values()}) == 1, found
    return found[TOPICS[0]]


def test_the_history_is_counted(brokers, broker):
    demo = brokers.add(Demo(broker, "--history", "30", "--speed", "600"))
    until_minutes(broker, 25)
    assert state(broker) == "Stable"
    demo.terminate_and_wait(END_S)
    assert agree(broker) >= 25 * PARTITIONS
    wait_until(lambda: state(broker) == "Empty", SOON_S, "the group to be left")
    assert sorted(committed(broker.port, GROUP)) == list(range(PARTITIONS))
    boards = [(record.key(), json.loads(record.value())) for record in read_topic(broker.bootstrap, "__odradek_boards")]
    assert [key for key, _ in boards] == [b"shop"]
    fields = next(iter(minutes(broker).values()))
    for chart in boards[0][1]["charts"]:
        assert chart["topic"] in (*TOPICS, "shop.minutes") and chart["windowSeconds"] > 0 and isinstance(chart["id"], str)
        assert chart["measure"] == "count" or (chart["measure"] in ("sum", "average", "top") and chart["field"])
        if chart["topic"] == "shop.minutes":
            name, _, inner = chart["field"].partition(".")
            kind = dict if chart["measure"] == "top" else (int, float)  # a sum for each name: the top ones of them
            assert inner in fields[name] if inner else isinstance(fields[name], kind)
        if "weight" in chart:
            assert chart["measure"] == "top" and isinstance(next(iter(read_topic(broker.bootstrap, chart["topic"]))).value(), bytes)
    text = demo.log_text()
    assert text.startswith("odradek demo: writes shop.views") and text.count("\n") == 1


def test_a_second_run_goes_on_where_the_first_one_ended(brokers, broker):
    for run in range(2):
        demo = brokers.add(Demo(broker, "--history", "10", "--rate", "50", "--seed", str(run)))
        until_minutes(broker, 8)
        views = sum(end_of(broker.bootstrap, TOPICS[0], partition) for partition in range(PARTITIONS))
        wait_until(lambda: sum(end_of(broker.bootstrap, TOPICS[0], p) for p in range(PARTITIONS)) > views, SOON_S, "more of it")  # noqa: B023
        if run == 0:
            demo.kill()
        else:  # the killed one is a member until its session is over
            wait_until(lambda: members(broker) == [[0, 1, 2]], SOON_S, "the second one to be the only member")
            demo.terminate_and_wait(END_S)
    agree(broker)
    assert len(read_topic(broker.bootstrap, "__odradek_boards")) == 1  # kept once


def test_it_survives_the_brokers_restart(brokers, broker):
    demo = brokers.add(Demo(broker, "--history", "20", "--speed", "120", "--rate", "30"))
    until_minutes(broker, 2)
    broker.kill()
    wait_until(lambda: broker.bootstrap in demo.log_text(), SOON_S, "the demo to say that the broker is away")
    broker.start()
    wait_until(lambda: "goes on\n" in demo.log_text(), SOON_S, "the demo to go on")
    until_minutes(broker, 17)
    demo.terminate_and_wait(END_S)
    agree(broker)


def write_events(broker, at_ms, first):
    """Somebody else's, in the demo's form: one in each partition of each topic; their ids are first, first + 1, ..."""
    for topic in TOPICS:
        records = []
        for partition in range(PARTITIONS):
            name = f"{first:016x}"
            event = {"event": name, "session": name, "customer": {"country": "DE"}, "status": "paid", "amount": 1}
            records.append((name.encode(), json.dumps(event).encode(), at_ms, partition))
            first += 1
        write_topic(broker.bootstrap, topic, records)


def test_two_share_the_counting_and_one_takes_over(brokers, broker):
    first = brokers.add(Demo(broker, "--history", "10", "--rate", "30"))
    until_minutes(broker, 8)
    second_ms = int(time.time() * 1000)
    second = brokers.add(Demo(broker, "--seed", "2"))
    wait_until(lambda: members(broker) == [[0, 1], [2]], SOON_S, "both to be members")
    # Something much later is read: who has the partition counts what was before.
    minute_ms = second_ms - second_ms % MINUTE_MS
    write_events(broker, minute_ms + 10 * MINUTE_MS, 1000)
    until_minutes(broker, 1, minute_ms)
    agree(broker, minute_ms - MINUTE_MS)  # the first demo still sends late events of the minute before
    first.terminate_and_wait(END_S)
    wait_until(lambda: members(broker) == [[0, 1, 2]], SOON_S, "the other one to have all of it")
    write_events(broker, minute_ms + 20 * MINUTE_MS, 2000)
    until_minutes(broker, 1, minute_ms + 10 * MINUTE_MS)
    figures = minutes(broker)
    assert [figures[minute_ms + 10 * MINUTE_MS, partition]["revenue"] for partition in range(PARTITIONS)] == [1] * PARTITIONS
    second.terminate_and_wait(END_S)


def test_it_waits_for_a_broker_and_says_so_once(brokers):
    broker = brokers.new()
    demo = brokers.add(DemoWithInput(broker))
    wait_until(lambda: "refused" in demo.log_text(), SOON_S, "the demo to say that there is no broker")
    broker.start()
    until_minutes(broker, 1)
    assert demo.log_text().count("refused") == 1
    demo.stdin.close()
    assert demo.wait(END_S) == 0


class DemoWithInput:
    """Ends with its standard input."""

    def __init__(self, broker):
        self.log_path = broker.directory / "demo.log"
        line = [odradek_binary(), "demo", "-b", broker.bootstrap, "--with-input", "--history", "5"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.stdin = self.process.stdin

    def log_text(self):
        return self.log_path.read_text()

    def wait(self, timeout_s):
        return self.process.wait(timeout_s)

    def discard(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(20)


def test_it_does_not_wait_for_a_broker_that_does_not_answer(brokers, broker):
    demo = brokers.add(Demo(broker, "--history", "0"))
    wait_until(lambda: state(broker) == "Stable", SOON_S, "the group")
    broker.process.signal(signal.SIGSTOP)
    try:
        demo.terminate_and_wait(20)  # committing alone would take longer
    finally:
        broker.process.signal(signal.SIGCONT)


def test_topics_that_were_deleted_are_made_anew(brokers, broker):
    for _ in range(2):
        demo = brokers.add(Demo(broker, "--history", "5"))
        until_minutes(broker, 3)
        demo.terminate_and_wait(END_S)
        wait_until(lambda: state(broker) == "Empty", SOON_S, "the group to be left")
        agree(broker)
        run([cli_binary(), "topic", "delete", "-b", broker.bootstrap, *TOPICS, "shop.minutes"])


def test_it_costs_next_to_nothing(brokers, broker):
    demo = brokers.add(Demo(broker, "--history", "0"))
    wait_until(lambda: state(broker) == "Stable", SOON_S, "the group")

    def written():
        with connect(broker) as connection:
            return sum(end_offset(connection, topic, partition)["Offset"] for topic in TOPICS for partition in range(PARTITIONS))

    def cpu_of_an_event_s():
        before, began_s = written(), cpu_s_of(demo.pid)
        wait_until(lambda: written() >= before + 50, SOON_S, "fifty events", every_s=0.5)
        return (cpu_s_of(demo.pid) - began_s) / (written() - before)

    takes_less(CPU_US_MOST * (20 if sanitized() else 1) / 1e6, cpu_of_an_event_s, patience_s=SOON_S)


@pytest.mark.parametrize("words", [("--rate", "0"), ("--speed", "1"), ("--history", "x"), ("--nothing",), ("something",)])
def test_what_is_not_understood(words):
    done = subprocess.run([odradek_binary(), "demo", *words], capture_output=True, timeout=60, preexec_fn=die_with_parent)
    assert done.returncode == 2 and done.stderr.startswith(b"odradek demo: ") and b"--help" in done.stderr
