"""A broker with a small shop in it, and a browser."""

import base64
import contextlib
import http.client
import json
import os

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from harness.broker import free_port
from harness.members import await_group
from harness.process import wait_until
from harness.requests import connect, create_topic
from harness.telemetry import push, subscription
from web.browser import Browser

ORDERS = 240
READ = 100  # by the group `billing`, of partition 0 of `orders`
COUNTRIES = ["DE", "DE", "DE", "US", "US", "FR"]


class Shop:
    """What the tests know of what is in the broker."""

    def __init__(self, broker, port):
        self.broker, self.port = broker, port

    def api(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, f"/api/v1{path}", body=json.dumps(body) if body is not None else None, headers={"X-Odradek": "1"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        assert response.status < 300, (method, path, answer)
        return answer

    def produce(self, topic, values, partition=0, headers=()):
        producer = Producer({"bootstrap.servers": self.broker.bootstrap})
        for n, value in enumerate(values):
            producer.produce(topic, value if isinstance(value, bytes) else json.dumps(value).encode(), key=f"user-{n}".encode(), partition=partition, headers=list(headers))
        assert producer.flush(60) == 0


def order(n):
    return {"order": f"o-{n}", "customer": {"id": n % 40, "country": COUNTRIES[n % len(COUNTRIES)]}, "amount": n % 50, "paid": n % 3 > 0}


class Reporter:
    """A client that has pushed a metric of its own. One that is silent is forgotten: push() makes it heard of again."""

    def __init__(self, connection, answer, metric):
        self.id = base64.urlsafe_b64encode(bytes.fromhex(answer["ClientInstanceId"])).decode().rstrip("=")
        self._connection, self._answer, self._metric = connection, answer, metric

    def push(self):
        """Again, where the last one is long enough ago."""
        metrics = push(self._answer, {self._metric: 42.5})
        wait_until(lambda: self._connection.call("PushTelemetry", 0, metrics)["ErrorCode"] == 0, 30, "a push")


@contextlib.contextmanager
def reports(broker, client_id, metric):
    with connect(broker) as connection:
        connection.client_id = client_id
        set_up = connection.call("IncrementalAlterConfigs", 1, subscription("all", metrics="*", interval_ms="100"))
        assert set_up["Responses"][0]["ErrorCode"] == 0
        answer = wait_until(lambda: (got := connection.call("GetTelemetrySubscriptions", 0, {"ClientInstanceId": "00" * 16}))["RequestedMetrics"] == ["*"] and got, 30, "the subscription")
        reporter = Reporter(connection, answer, metric)
        reporter.push()
        yield reporter


@pytest.fixture(scope="module")
def shop(module_brokers):
    port = free_port()
    broker = module_brokers.start(settings={"http.listeners": f"http://127.0.0.1:{port}"})
    made = Shop(broker, port)
    for topic, partitions in (("orders", 3), ("page-views", 6), ("idle", 1)):
        create_topic(broker, topic, partitions=partitions)
    for partition in range(3):
        made.produce("orders", [order(n) for n in range(partition, ORDERS, 3)], partition, [("source", b"web"), ("trace", b"\x00\xff")])
    await_group(broker.port, "billing")
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "billing"})
    committed = wait_until(lambda: consumer.commit(offsets=[TopicPartition("orders", 0, 30)], asynchronous=False), 30, "a commit")
    assert committed[0].error is None
    consumer.close()
    return made


@pytest.fixture(scope="session")
def window(tmp_path_factory):
    """The browser, for all tests."""
    browser = Browser(os.environ["ODRADEK_CHROMIUM"], os.environ["ODRADEK_WEB_PACKAGES"], tmp_path_factory.mktemp("browser") / "browser.log")
    yield browser
    browser.close()


@pytest.fixture
def browser(window):
    """The browser; at a test's end its page must have had no error."""
    yield window
    assert window.problems() == []
