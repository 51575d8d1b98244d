"""Spark Structured Streaming: a batch read, and sums in windows from topic to topic that go on after a kill."""

import json
import pathlib
import random
import re
import time
from collections import Counter, defaultdict

import pytest

from harness.frameworks.framework import framework
from harness.frameworks.runner import PATIENCE_S, PythonRunner
from harness.process import wait_until
from harness.topics import create_topics, read_topic, write_topic

pytestmark = [pytest.mark.needs("spark"), pytest.mark.timeout(1800)]

PARTITIONS = 3
# The rest of what they depend on comes with pyspark.
JARS = ("spark-sql-kafka", "spark-token-provider", "kafka-clients", "commons-pool2")


class Spark(PythonRunner):
    def __init__(self, directory, broker, mode):
        jars = [path for path in sorted(pathlib.Path(framework("spark").libs).iterdir()) if path.name.startswith(JARS)]
        command = framework("spark").script(
            "spark_app.py", mode, broker.bootstrap, directory / "checkpoint", ",".join(map(str, jars))
        )
        super().__init__(f"spark-{mode}", directory, command)


class Events:
    """Amounts by key, over a minute or two of event time in each write."""

    def __init__(self, broker):
        self.broker, self.rnd, self.now_ms, self.all = broker, random.Random(17), int(time.time() - 1200) * 1000, []
        create_topics(broker.bootstrap, ["events"], PARTITIONS)
        create_topics(broker.bootstrap, ["totals", "sums"])

    def write(self, count):
        new = []
        for _ in range(count):
            self.now_ms += self.rnd.randrange(100)
            new.append((f"key-{self.rnd.randrange(9)}", self.rnd.randrange(1000), self.now_ms, self.rnd.randrange(PARTITIONS)))
        write_topic(self.broker.bootstrap, "events", [(k.encode(), b"%d" % v, t, p) for k, v, t, p in new], **{"compression.type": "lz4"})
        self.all += new

    def totals(self):
        totals = Counter()
        for key, amount, when, _ in self.all:
            totals[f"{key}@{when // 10000 * 10000}"] += amount
        return totals


def last_values(broker, topic):
    return Counter({message.key().decode(): int(message.value()) for message in read_topic(broker.bootstrap, topic)})


@pytest.mark.full
def test_batch_read(brokers, directory):
    broker = brokers.start()
    events = Events(broker)
    events.write(3000)
    spark = brokers.add(Spark(directory, broker, "batch")).start()
    spark.wait(PATIENCE_S)
    counts, sums, by_key = Counter(), Counter(), defaultdict(int)
    for key, amount, _, partition in events.all:
        counts[partition] += 1
        sums[partition] += amount
        by_key[key] += amount
    found = json.loads(re.search(r"BATCH (.*)", spark.log_text()).group(1))
    assert found == {str(p): [counts[p], 0, counts[p] - 1, sums[p]] for p in range(PARTITIONS)}
    assert last_values(broker, "sums") == by_key


@pytest.mark.parametrize("kills", [1, pytest.param(6, marks=pytest.mark.full)])
def test_windows_resume_after_a_kill(brokers, directory, kills):
    broker = brokers.start()
    events = Events(broker)
    events.write(2000)
    spark = brokers.add(Spark(directory, broker, "stream")).start()

    def counted():
        spark.check_runs()
        found, want = last_values(broker, "totals"), events.totals()
        more = {window: total for window, total in found.items() if total > want[window]}
        assert not more, f"more than was written: {more}"
        return found == want

    for turn in range(kills):
        before = last_values(broker, "totals").total()
        wait_until(lambda: last_values(broker, "totals").total() > before, PATIENCE_S, "the first windows", 0.1)
        spark.kill()
        events.write(2000)
        if turn % 2:
            broker.kill()
            broker.start()
        spark.start()
    wait_until(counted, PATIENCE_S, "all windows", 0.5)
    broker.stop()
    broker.start()
    events.write(500)
    wait_until(counted, PATIENCE_S, "all windows after the broker's restart", 0.5)
