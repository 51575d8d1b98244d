"""Real-looking input: a web server's access log goes in through one client, the broker is killed in the middle and
once more at the end, and the log comes out through another client, compared record by record.

./dev test events --megabytes 500 moves more of it.
"""

import subprocess
import zlib

import confluent_kafka
import pytest

from harness.access_log import events
from harness.process import die_with_parent
from harness.topics import create_topics

TOPIC, PARTITIONS, SEED = "access-log", 4, 20
# kcat prints a record as key, tab, value, newline; neither holds tabs or newlines
FORMAT = "%k\t%s\n"


def produce(broker, megabytes, folder):
    """Writes the events, kills the broker in the middle, and keeps each partition's lines in a file to compare with."""
    expected = [open(folder / f"expected-{i}", "wb") for i in range(PARTITIONS)]
    problems, total = [], 0
    producer = confluent_kafka.Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            "batch.size": 200_000,
            "queue.buffering.max.kbytes": 65536,
            "reconnect.backoff.max.ms": 200,
            "message.timeout.ms": 120_000,
            "log_level": 2,
        }
    )

    def delivered(error, _message):
        if error:
            problems.append(str(error))

    middle = megabytes * 500_000
    for key, value in events(SEED, megabytes):
        partition = zlib.crc32(key) % PARTITIONS
        while True:
            try:
                producer.produce(TOPIC, key=key, value=value, partition=partition, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        expected[partition].write(key + b"\t" + value + b"\n")
        total += len(value)
        if middle and total > middle:
            middle = 0
            broker.kill()
            broker.start()
        if total % 64 == 0:
            producer.poll(0)
    left = producer.flush(120)
    assert not problems and not left, f"{left} not delivered; {problems[:3]}"
    for file in expected:
        file.close()


def compare(broker, partition, path):
    """Reads a partition with kcat and compares it line by line with what was written."""
    command = ["kcat", "-C", "-q", "-e", "-b", broker.bootstrap, "-t", TOPIC, "-p", str(partition), "-o", "beginning"]
    command += ["-X", "check.crcs=true", "-f", FORMAT]
    with open(path, "rb") as expected, subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=die_with_parent) as kcat:
        count = 0
        for got in kcat.stdout:
            want = expected.readline()
            assert got == want, f"partition {partition}, record {count}:\n  read    {got[:300]}\n  written {want[:300]}"
            count += 1
        assert not expected.readline(), f"partition {partition} ends after {count} records"
    assert kcat.returncode == 0
    return count


@pytest.mark.timeout(1200)
def test_access_log_survives(brokers, pytestconfig):
    megabytes = pytestconfig.getoption("--megabytes")
    broker = brokers.start()
    create_topics(broker.bootstrap, [TOPIC], PARTITIONS, {"segment.bytes": "16777216"})
    produce(broker, megabytes, brokers.directory)
    broker.kill()
    broker.start()
    counts = [compare(broker, partition, brokers.directory / f"expected-{partition}") for partition in range(PARTITIONS)]
    assert min(counts) > 0
    print(f"{sum(counts)} records of {megabytes} MB compared")
