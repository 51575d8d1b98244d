"""Clients' own metrics (KIP-714) on the wire: who is asked for what, what is refused, what is shown."""

import gzip

import pytest

from harness.process import wait_until
from harness.prometheus import scrape
from harness.requests import connect
from harness.telemetry import metrics_data, push, subscription

pytestmark = pytest.mark.ours

THROTTLED, INVALID_RECORD, TOO_LARGE, UNKNOWN_SUBSCRIPTION = 89, 87, 118, 117
NO_ID = "00" * 16


@pytest.fixture(scope="module")
def served(module_brokers):
    return module_brokers.start(settings={"http.listeners": "http://127.0.0.1:0", "telemetry.max.bytes": "10000"})


def subscribe(served, name, **settings):
    with connect(served) as connection:
        answer = connection.call("IncrementalAlterConfigs", 1, subscription(name, **settings))
        assert answer["Responses"][0]["ErrorCode"] == 0, answer


def ask(connection, instance=NO_ID):
    return connection.call("GetTelemetrySubscriptions", 0, {"ClientInstanceId": instance})


def clients_of(web, client_id):
    return [c for c in web.get("/api/v1/clients")["clients"] if c["clientId"] == client_id]


def test_what_a_client_pushes_is_shown(served, web):
    subscribe(served, "shown", metrics="org.apache.kafka.,other.", interval_ms="100", match="client_id=shown-.*")
    with connect(served) as connection:
        connection.client_id = "shown-1"
        answer = ask(connection)
        assert answer["ErrorCode"] == 0 and answer["PushIntervalMs"] == 100 and answer["TelemetryMaxBytes"] == 10000
        assert sorted(answer["RequestedMetrics"]) == ["org.apache.kafka.", "other."] and answer["AcceptedCompressionTypes"] == [4, 3, 1, 2]
        values = {"org.apache.kafka.latency": 2.5, "org.apache.kafka.count": -3.0}
        packed = gzip.compress(metrics_data(values))
        assert connection.call("PushTelemetry", 0, push(answer, CompressionType=1, Metrics=packed))["ErrorCode"] == 0
        (client,) = clients_of(web, "shown-1")
        assert client["pushes"] == 1 and client["metricsCount"] == 2 and client["address"] == "127.0.0.1" and client["intervalMs"] == 100
        found = web.get(f"/api/v1/clients/{client['instanceId']}")["metrics"]
        assert {m["name"]: m["value"] for m in found} == values
        assert all(m["attributes"] == "topic=orders" and m["type"] == "gauge" for m in found)
        now = scrape(web)
        assert now.value("odradek_client_instances") >= 1 and now.value("odradek_client_pushes_total") >= 1
        assert now.value("odradek_client_push_bytes_total") >= len(packed)
    wait_until(lambda: not clients_of(web, "shown-1"), 20, "the client to be forgotten with its connection")


def test_what_is_malformed_or_too_large_is_refused(served):
    subscribe(served, "refused", metrics="*", interval_ms="100", match="client_id=refused-.*")
    with connect(served) as connection:
        connection.client_id = "refused-1"
        answer = ask(connection)

        def pushed(**more):
            """The answer, once the interval is over."""
            return wait_until(lambda: (got := connection.call("PushTelemetry", 0, push(answer, **more))["ErrorCode"]) != THROTTLED and (got,), 20, "an answer")[0]

        assert pushed(Metrics=b"\xff" * 10) == INVALID_RECORD
        assert pushed(Metrics=b"not gzip", CompressionType=1) == INVALID_RECORD
        assert pushed(Metrics=bytes(10001)) == TOO_LARGE
        assert pushed(SubscriptionId=answer["SubscriptionId"] + 1) == UNKNOWN_SUBSCRIPTION
        assert pushed(Metrics=metrics_data({"x": 1.0})) == 0


def test_a_change_of_subscriptions_reaches_clients_at_once(served):
    with connect(served) as connection:
        connection.client_id = "told-1"
        before = ask(connection)
        assert before["RequestedMetrics"] == []
        assert ask(connection, before["ClientInstanceId"])["ErrorCode"] == THROTTLED
        subscribe(served, "told", metrics="a.", interval_ms="1000", match="client_id=told-.*")
        after = wait_until(lambda: (got := ask(connection, before["ClientInstanceId"]))["ErrorCode"] == 0 and got, 20, "the change")
        assert after["RequestedMetrics"] == ["a."] and after["SubscriptionId"] != before["SubscriptionId"]
        subscribe(served, "told", metrics=None, interval_ms=None, match=None)
        last = wait_until(lambda: (got := ask(connection, before["ClientInstanceId"]))["ErrorCode"] == 0 and got, 20, "its end")
        assert last["SubscriptionId"] == before["SubscriptionId"] and last["PushIntervalMs"] == before["PushIntervalMs"]


def test_clients_that_are_not_there(web):
    web.error("GET", "/api/v1/clients/AAAAAAAAAAAAAAAAAAAAAA", status=404)
    web.error("GET", "/api/v1/clients/nonsense", status=404)
