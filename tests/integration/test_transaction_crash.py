"""kill -9 at every record that a transaction's life appends: afterwards it is wholly visible or wholly not, nothing of
it hangs, and what was acknowledged holds."""

import pytest

from harness import crash
from harness.process import wait_until
from harness.topics import create_topics
from harness.transactions import Producer, Refused, is_settled, read

TOPIC, PARTITIONS = "crashed", 2
STATE = "__transaction_state"
VALUES = {0: [b"a", b"b"], 1: [b"c"]}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return crash.build(tmp_path_factory.mktemp("crash"))


def live(port, version, commit, done):
    """One transaction; notes in `done` what was acknowledged."""
    producer = Producer(port, "x", version).init()
    done.append("init")
    if version < 2:
        producer.add(TOPIC, VALUES)
    for partition, values in VALUES.items():
        producer.produce(TOPIC, partition, *values)
        done.append(f"produced {partition}")
    producer.end(commit)
    done.append("ended")
    producer.init()  # waits until it is carried through
    producer.close()


def check(port, version, commit, done):
    """The same producer comes back; then the transaction is wholly there, or wholly not."""
    producer = Producer(port, "x", version).init()
    wait_until(lambda: is_settled(port, TOPIC, range(PARTITIONS)), 20, "the transaction to end")
    seen = {partition: read(port, TOPIC, partition) for partition in range(PARTITIONS)}
    nothing = {partition: [] for partition in VALUES}
    assert seen in (VALUES, nothing), (seen, done)
    if "ended" in done:
        assert seen == (VALUES if commit else nothing), done
    if "produced 1" not in done or not commit:
        assert seen == nothing, done
    if version < 2:
        producer.add(TOPIC, [0])
    producer.produce(TOPIC, 0, b"later")
    producer.end(True)
    wait_until(lambda: is_settled(port, TOPIC, range(PARTITIONS)), 20, "the next transaction to end")
    assert read(port, TOPIC, 0) == seen[0] + [b"later"]
    producer.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("commit", [True, False], ids=["commit", "abort"])
@pytest.mark.parametrize("version", [0, 2])
def test_crash_at_every_append(brokers, library, version, commit):
    broker = start(brokers, library)
    live(broker.port, version, commit, [])
    broker.stop()
    crash.disarm(broker)
    appends = crash.appends(broker)
    assert {name.rpartition("-")[0] for name in appends} == {STATE, TOPIC}, appends
    for at in range(1, len(appends) + 1):
        for how in crash.HOWS:
            broker = start(brokers, library, at, how)
            done = []
            with pytest.raises((OSError, EOFError, ConnectionError, Refused)):
                live(broker.port, version, commit, done)
                raise EOFError  # the last append may come after the last answer
            crash.await_death(broker)
            crash.disarm(broker)
            broker.start()
            check(broker.port, version, commit, done)
            broker.stop()


def start(brokers, library, at=None, how="before"):
    broker = brokers.new()
    crash.arm(broker, library, [TOPIC, STATE], at, how)
    broker.start()
    create_topics(broker.bootstrap, [TOPIC], partitions=PARTITIONS)
    return broker
