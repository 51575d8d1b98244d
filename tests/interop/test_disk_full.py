"""Clients keep trying while a disk is full, and succeed when there is room again."""

import threading

import pytest

from harness.clients import CLIENTS
from harness.process import wait_until
from harness.records import Read, Record, Write, assert_same
from harness.requests import connect, error, produce
from harness.topics import create_topics

MB = 1 << 20
RECORDS = [Record(b"k%d" % i, b"v%d" % i, (), 1700000000000 + i) for i in range(20)]
PATIENCE_S = 4  # longer than any client needs to start and be refused


@pytest.fixture(autouse=True)
def _only_ours(broker_kind):
    if broker_kind == "kafka":
        pytest.skip("says something of Odradek alone")


# sarama gives up by itself after three tries within a second; kafkajs reads in groups only.
PATIENT = [name for name, client in CLIENTS.items() if client.binary and client.assigns and name != "sarama"]


@pytest.mark.parametrize("name", PATIENT)
def test_a_client_waits_for_room(name, brokers, disks):
    disk, client, failed = disks.small(64 * MB), CLIENTS[name], []
    broker = brokers.start(data=disk.path, settings={"storage.min.free.bytes": str(16 * MB)})
    create_topics(broker.bootstrap, ["t", "probe"], configs={"retention.ms": "-1"})
    disk.fill(leave_bytes=15 * MB)
    with connect(broker) as connection:
        wait_until(lambda: error(produce(connection, "probe", [(None, b"x")])) == 56, 30, "produce to be refused")

    def write():
        try:
            client.produce(broker.bootstrap, [Write("t", RECORDS, "none", True)], may_complain=True)
        except Exception as problem:
            failed.append(problem)

    writing = threading.Thread(target=write, daemon=True)
    writing.start()
    writing.join(PATIENCE_S)
    assert writing.is_alive() and not failed, failed
    disk.room()
    writing.join(60)
    assert not writing.is_alive() and not failed, failed
    (records,) = client.consume(broker.bootstrap, [Read("t", len(RECORDS))])
    assert_same(records, RECORDS, name)
