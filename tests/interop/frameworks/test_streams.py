"""Kafka Streams: state in RocksDB and in changelogs, windowed joins, exactly once over kill -9, and the smoke test of its own."""

import random
import re
import shutil
import time
from collections import Counter

import pytest

from harness.frameworks.framework import framework
from harness.frameworks.runner import PATIENCE_S, JavaRunner
from harness.process import run, wait_until
from harness.topics import create_topics, read_topic, write_topic

pytestmark = [pytest.mark.needs("streams"), pytest.mark.timeout(1800)]

PARTITIONS = 4
WORDS = ["spool", "thread", "Łódź", "Odradek", "stairs", "星", "laughter", "leaves", "star", "wood"]
GUARANTEES = ["exactly_once_v2", pytest.param("at_least_once", marks=pytest.mark.full)]


class App(JavaRunner):
    """A process of a Streams application. It keeps its state's folder over stop, kill and start, unless it is told to forget."""

    def __init__(self, directory, broker, main_class, word, name="app", **settings):
        self.state = directory / f"{name}-state"
        settings = {
            "application.id": "app",
            "bootstrap.servers": broker.bootstrap,
            "state.dir": self.state,
            "commit.interval.ms": 200,
            "session.timeout.ms": 6000,
            "heartbeat.interval.ms": 1000,
            "producer.transaction.timeout.ms": 10000,
            "auto.offset.reset": "earliest",
            "num.stream.threads": 2,
            "replication.factor": 1,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
        words = [word, *(f"{name}={value}" for name, value in settings.items())]
        super().__init__(name, directory, framework("streams").java(main_class, *words, flags=["-Dkafka.log.level=INFO"]))

    def forget(self):
        """Removes its state, which it then has to read from the changelog again."""
        shutil.rmtree(self.state)


class Lines:
    """Lines of random words in "lines", and how often each word is in them."""

    def __init__(self, broker, seed):
        self.broker, self.rnd, self.counts = broker, random.Random(seed), Counter()

    def write(self, count):
        lines = [self.rnd.choices(WORDS, k=self.rnd.randint(1, 12)) for _ in range(count)]
        write_topic(self.broker.bootstrap, "lines", [(None, " ".join(line).encode(), None, i % PARTITIONS) for i, line in enumerate(lines)])
        for line in lines:
            self.counts.update(line)

    def counted(self, isolation):
        """The last count of each word."""
        messages = read_topic(self.broker.bootstrap, "counts", isolation)
        return Counter({message.key().decode(): int(message.value()) for message in messages})

    def wait_counted(self, guarantee="exactly_once_v2"):
        """The counts come to what was written, and never to more (or, at least once, to no less)."""

        def reached():
            if guarantee == "at_least_once":
                return self.counted("read_uncommitted") >= self.counts
            counted = self.counted("read_committed")
            more = {word: (count, self.counts[word]) for word, count in counted.items() if count > self.counts[word]}
            assert not more, f"counted more than once: {more}"
            return counted == self.counts

        wait_until(reached, PATIENCE_S, "the words to be counted", 0.3)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_word_count_with_state(brokers, directory, guarantee):
    """Over stops of the application, with its state and without, and a restart of the broker."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["lines", "counts"], PARTITIONS)
    lines = Lines(broker, 3)
    lines.write(400)
    app = brokers.add(App(directory, broker, "StreamsApp", "count", processing_guarantee=guarantee)).start()
    lines.wait_counted(guarantee)
    app.stop()
    assert list(app.state.glob("app/*/rocksdb/counts/CURRENT")), "no state in RocksDB"
    lines.write(400)
    app.start()
    lines.wait_counted(guarantee)
    app.stop()
    app.forget()
    lines.write(400)
    app.start()
    lines.wait_counted(guarantee)
    broker.stop()
    broker.start()
    lines.write(400)
    lines.wait_counted(guarantee)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_windowed_join(brokers, directory, guarantee):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["left", "right", "pairs"], PARTITIONS)
    app = brokers.add(App(directory, broker, "StreamsApp", "join", processing_guarantee=guarantee)).start()
    rnd, sides, start = random.Random(11), {"left": [], "right": []}, int(time.time() - 600) * 1000
    for turn in range(2):
        for side, records in sides.items():
            new = [(f"key-{rnd.randrange(40)}", f"{side}-{turn}-{i}", start + rnd.randrange(60_000)) for i in range(400)]
            write_topic(broker.bootstrap, side, [(k.encode(), v.encode(), t, None) for k, v, t in new])
            records += new
        want = Counter(
            (key, f"{one}+{other}")
            for key, one, when in sides["left"]
            for also, other, then in sides["right"]
            if key == also and abs(when - then) <= 5000
        )

        def joined():
            found = Counter((m.key().decode(), m.value().decode()) for m in read_topic(broker.bootstrap, "pairs", "read_committed"))
            if guarantee == "at_least_once":
                found = Counter(set(found))
            assert not found - want, f"not pairs, or more than once: {(found - want).most_common(3)}"
            return found == want

        wait_until(joined, PATIENCE_S, "all pairs", 0.3)
        if turn == 0:
            app.stop()
            app.start()


@pytest.mark.parametrize("kills", [2, pytest.param(12, marks=pytest.mark.full)])
def test_exactly_once_over_kills(brokers, directory, kills):
    """Two instances, killed by turns while they count, and the broker between: no word is counted twice, none is lost."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["lines", "counts"], PARTITIONS)
    lines, rnd = Lines(broker, 5), random.Random(5)
    apps = [
        brokers.add(App(directory, broker, "StreamsApp", "count", name, processing_guarantee="exactly_once_v2")).start()
        for name in ("one", "other")
    ]
    lines.write(500)
    wait_until(lambda: lines.counted("read_committed"), PATIENCE_S, "the first count", 0.2)
    for turn in range(kills):
        app, before = apps[turn % 2], lines.counted("read_committed").total()
        lines.write(1000)
        wait_until(lambda: lines.counted("read_committed").total() > before, PATIENCE_S, "more to be counted", 0.02)
        app.kill()
        if rnd.random() < 0.5:
            app.forget()
        app.start()
        if turn % 3 == 1:
            lines.write(200)
            broker.kill()
            broker.start()
    lines.wait_counted()


@pytest.mark.parametrize(
    "guarantee, keys, seconds, kills",
    [
        pytest.param("at_least_once", 10, 10, False, marks=pytest.mark.full),
        ("exactly_once_v2", 10, 15, True),
        pytest.param("at_least_once", 20, 90, False, marks=pytest.mark.full),
        pytest.param("exactly_once_v2", 20, 90, True, marks=pytest.mark.full),
    ],
)
def test_smoke(brokers, directory, guarantee, keys, seconds, kills):
    """Kafka Streams' own: a dozen operators and stores, over records that its driver writes and whose results it verifies."""
    broker = brokers.start()
    streams = framework("streams")
    run(streams.java("Smoke", "topics", broker.bootstrap, PARTITIONS), PATIENCE_S)
    apps = [
        brokers.add(App(directory, broker, "Smoke", "process", name, processing_guarantee=guarantee, application_id="SmokeTest"))
        for name in ("one", "other")
    ]
    drive = streams.java("Smoke", "drive", broker.bootstrap, keys, 1000, seconds, str(guarantee == "exactly_once_v2").lower())
    driver = brokers.add(JavaRunner("driver", directory, drive)).start()
    for app in apps:
        app.start()

    def written():
        assert driver.process.returncode in (None, 0), driver.log_text()[-3000:]
        numbers = re.findall(r"(\d+) records produced", driver.log_text())
        return int(numbers[-1]) if numbers else 0

    for share in (0.3, 0.6) if kills else ():
        goal = keys * 1000 * share
        wait_until(lambda: written() >= goal, seconds * 2 + PATIENCE_S, f"{goal} records to be written", 0.05)
        app = apps[0 if share < 0.5 else 1]
        app.kill()
        app.start()

    def driven():
        return driver.process.returncode is not None or any(map(App.check_runs, apps))

    wait_until(driven, seconds + 2 * PATIENCE_S, "the driver to verify", 0.2)
    driver.wait(PATIENCE_S)
    assert "SUCCESS" in driver.log_text()
