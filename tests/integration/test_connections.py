"""Connections: answers in order, limits, and what ends them."""

import time

import pytest

from harness.requests import connect, create_topic, end_offset, fetch, fetch_body, produce_body


@pytest.fixture(scope="module")
def quiet(broker):
    """A broker with one topic."""
    create_topic(broker, "quiet")
    return broker


def closed_by_peer(connection, timeout_s=20):
    """Reads until the broker closes; what it sent before that."""
    connection.settimeout(timeout_s)
    got = b""
    try:
        while data := connection.recv(65536):
            got += data
    except ConnectionResetError:
        pass
    return got


def test_pipelined_requests_are_answered_in_order(quiet):
    with connect(quiet) as connection:
        sent = []
        for i in range(200):
            api, version, body = (
                ("Produce", 9, produce_body("quiet", [(b"k", b"%d" % i)])),
                ("Metadata", 12, {"Topics": None}),
                ("Fetch", 11, fetch_body("quiet", 0)),
            )[i % 3]
            sent.append((connection.send(api, version, body), api, version))
        for correlation_id, api, version in sent:
            assert connection.receive(api, version)[0] == correlation_id


def test_offsets_that_do_not_exist(quiet):
    with connect(quiet) as connection:
        end = end_offset(connection, "quiet")["Offset"]
        for offset in (end + 1, -1, 2**62):
            assert fetch(connection, "quiet", offset)[0] == 1  # OFFSET_OUT_OF_RANGE
        assert fetch(connection, "nowhere", 0)[0] == 3  # UNKNOWN_TOPIC_OR_PARTITION


def test_idle_connections_are_closed(brokers):
    broker = brokers.start(settings={"connections.max.idle.ms": "500"})
    started = time.monotonic()
    with broker.connect() as connection:
        assert closed_by_peer(connection, 20) == b""
        assert time.monotonic() - started > 0.4


def test_metadata_of_many_partitions(brokers):
    """A worker makes it: complete, in its place among the answers, and nobody minds a client that leaves meanwhile."""
    broker = brokers.start()
    create_topic(broker, "wide", partitions=1000)
    create_topic(broker, "narrow")
    with connect(broker) as connection:
        for topics, names in ((None, {"wide", "narrow"}), ([{"Name": "wide"}], {"wide"}), ([{"Name": "narrow"}], {"narrow"})):
            sent = [connection.send("Metadata", 12, {"Topics": topics}), connection.send("ApiVersions", 3, {})]
            correlation_id, answer = connection.receive("Metadata", 12)
            assert correlation_id == sent[0] and connection.receive("ApiVersions", 3)[0] == sent[1]
            assert {topic["Name"] for topic in answer["Topics"]} == names
            for topic in answer["Topics"]:
                found = [one["PartitionIndex"] for one in topic["Partitions"]]
                assert found == list(range(1000 if topic["Name"] == "wide" else 1))
        for _ in range(20):
            with connect(broker) as leaver:
                leaver.send("Metadata", 12, {"Topics": None})
        assert len(connection.call("Metadata", 12, {"Topics": None})["Topics"]) == 2
    if broker.kind == "odradek":
        assert any(name.startswith("worker-") for name in broker.thread_names())
