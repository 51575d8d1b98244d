"""Flink's tables over topics: sums by key and a copy of each record, from a checkpoint on after a kill."""

import json
import pathlib
import random
from collections import Counter

import pytest

from harness import java
from harness.frameworks.framework import framework
from harness.frameworks.runner import PATIENCE_S, PythonRunner
from harness.process import wait_until
from harness.topics import create_topics, read_topic, write_topic

pytestmark = [pytest.mark.needs("flink"), pytest.mark.timeout(1800)]

PARTITIONS = 3
WORDS = ["spool", "thread", "Łódź", "Odradek", "stairs", "星", "laughter"]


class Flink(PythonRunner):
    def __init__(self, directory, broker, guarantee):
        (jar,) = pathlib.Path(framework("flink").libs).glob("flink-sql-connector-kafka-*.jar")
        command = framework("flink").script("flink_app.py", broker.bootstrap, directory / "checkpoints", jar, guarantee, java.LOG_CONFIG)
        super().__init__("flink", directory, command)

    def checkpoints(self):
        """The number of the newest one."""
        folders = (self.log_path.parent / "checkpoints").glob("*/chk-*/_metadata")
        return max((int(path.parent.name.removeprefix("chk-")) for path in folders), default=0)


@pytest.mark.parametrize("guarantee", [pytest.param("at-least-once", marks=pytest.mark.full), "exactly-once"])
def test_sums_over_a_kill(brokers, directory, guarantee):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["events", "totals", "copies"], PARTITIONS)
    flink = brokers.add(Flink(directory, broker, guarantee))
    rnd, written = random.Random(31), Counter()

    def write(count):
        new = [(rnd.choice(WORDS), rnd.randrange(1000)) for _ in range(count)]
        written.update(new)
        values = [json.dumps({"word": word, "amount": amount}).encode() for word, amount in new]
        write_topic(broker.bootstrap, "events", [(None, value, None, number % PARTITIONS) for number, value in enumerate(values)])

    def totals():
        found = {m.key().decode(): json.loads(m.value())["total"] for m in read_topic(broker.bootstrap, "totals") if m.value()}
        want = Counter()
        for (word, amount), count in written.items():
            want[word] += amount * count
        return found == want

    def copied():
        flink.check_runs()
        values = [json.loads(m.value()) for m in read_topic(broker.bootstrap, "copies", "read_committed")]
        found = Counter((value["word"], value["amount"]) for value in values)
        if guarantee == "exactly-once":
            assert not found - written, f"copied more than once: {(found - written).most_common(3)}"
            return found == written
        return not written - found and not found.keys() - written.keys()

    write(2000)
    flink.start()
    wait_until(lambda: flink.check_runs() or flink.checkpoints() > 1, PATIENCE_S, "a checkpoint", 0.1)
    write(2000)
    flink.kill()
    write(1000)
    flink.start()
    wait_until(copied, PATIENCE_S, "all records", 0.5)
    wait_until(totals, PATIENCE_S, "all sums", 0.5)
    assert "FROM file:" in flink.log_text()
