"""Storm counts words from a topic, into HBase: a topology that is killed and started again, and a broker that is, too."""

import random
import re
import urllib.request
from collections import Counter

import confluent_kafka
import pytest

from harness.frameworks.framework import OPENS, framework
from harness.frameworks.runner import PATIENCE_S, JavaRunner
from harness.process import wait_until
from harness.topics import ANSWER_S, create_topics, write_topic

pytestmark = [pytest.mark.needs("storm", "hbase"), pytest.mark.timeout(1800)]

PARTITIONS = 3
WORDS = ["spool", "thread", "Łódź", "Odradek", "stairs", "星", "laughter"]


class HBase(JavaRunner):
    def __init__(self, directory):
        command = framework("hbase").java("HBaseServer", heap="700m", flags=OPENS)
        super().__init__("hbase", directory, command)

    def ports(self):
        """Of HTTP and of its ZooKeeper."""
        return self.ready().groups()

    def ready(self):
        return re.search(r"^SERVES (\d+) (\d+)\n", self.log_text(), re.M)

    def rows(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports()[0]}/", timeout=PATIENCE_S) as answer:
            return dict(line.split("\t") for line in answer.read().decode().splitlines())


def caught_up(broker):
    """The spout's group has committed all that there is."""
    asked = confluent_kafka.Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "storm"})
    try:
        partitions = [confluent_kafka.TopicPartition("lines", number) for number in range(PARTITIONS)]
        ends = [asked.get_watermark_offsets(partition, ANSWER_S)[1] for partition in partitions]
        return [partition.offset for partition in asked.committed(partitions, ANSWER_S)] == ends
    finally:
        asked.close()


def test_counts_go_to_hbase(brokers, directory):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["lines"], PARTITIONS)
    hbase = brokers.add(HBase(directory)).start()
    storm = framework("storm").java("CountTopology", broker.bootstrap, hbase.ports()[1], heap="400m", flags=OPENS)
    topology = brokers.add(JavaRunner("storm", directory, storm))
    rnd, want = random.Random(23), Counter()

    def write(count):
        lines = [rnd.choices(WORDS, k=rnd.randint(1, 9)) for _ in range(count)]
        for line in lines:
            want.update(line)
        records = [(None, " ".join(line).encode(), None, number % PARTITIONS) for number, line in enumerate(lines)]
        write_topic(broker.bootstrap, "lines", records, **{"compression.type": "snappy"})

    def compare():
        wait_until(lambda: topology.check_runs() or caught_up(broker), PATIENCE_S, "the spout to commit all", 0.3)
        assert hbase.rows() == {word: str(count) for word, count in want.items()}

    write(1000)
    topology.start()
    compare()
    topology.kill()
    write(1000)
    topology.start()
    compare()
    broker.kill()
    broker.start()
    write(1000)
    compare()
