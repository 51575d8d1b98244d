"""Real clients push their own metrics (KIP-714), as a subscription that Kafka's tool has set up asks them to."""

import pytest
from confluent_kafka import Producer

from harness import java
from harness.http import Http, port_of
from harness.process import Process, wait_until
from harness.prometheus import scrape
from harness.requests import create_topic

pytestmark = pytest.mark.ours

TOPIC = "pushed"


@pytest.fixture(scope="module")
def served(module_brokers):
    broker = module_brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    create_topic(broker, TOPIC)
    java.tool("kafka-configs", "--bootstrap-server", broker.bootstrap, "--alter", "--entity-type", "client-metrics",
              "--entity-name", "all", "--add-config", "metrics=[*],interval.ms=500,match=[client_id=reporter-.*]")
    return broker


def pushed(web, client_id, poll=lambda: None):
    """The client with what it pushed, once it has."""

    def look():
        poll()
        for client in web.get("/api/v1/clients")["clients"]:
            if client["clientId"] == client_id and client["pushes"] > 1 and client["metricsCount"] > 3:
                return web.get(f"/api/v1/clients/{client['instanceId']}")
        return None

    return wait_until(look, 60, f"{client_id} to push")


def refused(web):
    """Errors in answers to what clients ask and push; one that comes too early is told so, and waits."""
    return {labels: value for (name, labels), value in scrape(web).samples.items()
            if name == "odradek_errors_total" and "Telemetry" in dict(labels)["api"] and dict(labels)["error"] != "THROTTLING_QUOTA_EXCEEDED"}


def test_librdkafka_pushes(served):
    web = Http(port_of(served))
    producer = Producer({"bootstrap.servers": served.bootstrap, "client.id": "reporter-rd", "enable.metrics.push": True})
    producer.produce(TOPIC, b"x")
    assert producer.flush(20) == 0
    client = pushed(web, "reporter-rd", lambda: producer.poll(0.1))
    assert "rdkafka" in client["softwareVersion"] and client["intervalMs"] == 500
    assert all(metric["name"].startswith("org.apache.kafka.") for metric in client["metrics"]), client["metrics"]
    assert not refused(web)


def test_the_java_client_pushes(served, brokers):
    web = Http(port_of(served))
    arguments = ["--bootstrap-server", served.bootstrap, "--topic", TOPIC, "--partition", "0", "--offset", "earliest"]
    command = java.command(java.TOOLS["kafka-console-consumer"], *arguments, "--command-property", "client.id=reporter-java")
    consumer = Process("console-consumer", command, brokers.directory / "consumer.log")
    try:
        client = pushed(web, "reporter-java")
    finally:
        consumer.kill()
    assert client["softwareName"] == "apache-kafka-java"
    assert "org.apache.kafka.consumer.connection.count" in {metric["name"] for metric in client["metrics"]}, client["metrics"]
    assert not refused(web)
    wait_until(lambda: all(c["instanceId"] != client["instanceId"] for c in web.get("/api/v1/clients")["clients"]), 60, "it to be forgotten")
