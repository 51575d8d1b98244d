"""The HTTP server: health, metrics, the admin API; who is refused."""

import contextlib
import re
import socket

import pytest

from harness.batch import parse
from harness.broker import free_port
from harness.http import CHANGES, Http, port_of
from harness.requests import BROKER, alter, connect, create_topic, fetch_body, produce, values
from harness.process import wait_until

pytestmark = pytest.mark.ours


def test_health(web):
    assert web.ask("GET", "/healthz")[:2] == (200, b"ok\n")
    assert web.ask("GET", "/readyz")[:2] == (200, b"ready\n")
    assert web.ask("HEAD", "/healthz")[:2] == (200, b"")


def test_a_broker_that_nobody_is_sent_to_is_alive_and_not_ready(brokers):
    """It is fenced, as the controller hears nothing of it in time."""
    late = {"broker.heartbeat.interval.ms": "3600000", "broker.session.timeout.ms": "1000"}
    web = Http(port_of(brokers.start(settings={"http.listeners": "http://127.0.0.1:0", **late})))
    wait_until(lambda: web.ask("GET", "/readyz")[0] == 503, 60, "the broker to be fenced")
    assert b"no broker is registered" in web.ask("GET", "/readyz")[1]
    assert web.ask("GET", "/healthz")[0] == 200


def test_the_cluster(web, served):
    cluster = web.json("GET", "/api/v1/cluster")
    assert cluster["brokers"] == [{"id": 1, "host": "127.0.0.1", "port": served.port, "rack": None, "controller": True, "fenced": False}]
    assert cluster["controllerId"] == 1 and len(cluster["clusterId"]) == 22


def test_a_topic_from_its_creation_to_its_end(web):
    made = web.json("POST", "/api/v1/topics", {"name": "http-one", "partitions": 3, "configs": {"retention.ms": 1000}}, status=201)
    assert made["partitions"] == 3 and made["replicationFactor"] == 1
    again = web.error("POST", "/api/v1/topics", {"name": "http-one"}, status=409)
    assert again["code"] == "TOPIC_ALREADY_EXISTS" and "http-one" in again["message"]
    listed = {topic["name"]: topic for topic in web.json("GET", "/api/v1/topics")["topics"]}
    assert listed["http-one"]["id"] == made["id"] and listed["http-one"]["partitions"] == 3
    one = web.json("GET", "/api/v1/topics/http-one")
    assert [p["partition"] for p in one["partitions"]] == [0, 1, 2]
    assert all(p["leader"] == 1 and p["startOffset"] == p["endOffset"] == 0 for p in one["partitions"])

    def setting(name):
        return {c["name"]: c for c in web.json("GET", "/api/v1/topics/http-one/configs")["configs"]}[name]

    assert (setting("retention.ms")["value"], setting("retention.ms")["source"]) == ("1000", "topic")
    web.json("PATCH", "/api/v1/topics/http-one/configs", {"retention.ms": None, "cleanup.policy": "compact"})
    assert setting("retention.ms")["value"] == "604800000" and setting("cleanup.policy")["value"] == "compact"
    wrong = web.error("PATCH", "/api/v1/topics/http-one/configs", {"retention.ms": "soon"})
    assert wrong["code"] == "INVALID_CONFIG" and "retention.ms" in wrong["message"]
    web.json("DELETE", "/api/v1/topics/http-one")
    assert web.error("GET", "/api/v1/topics/http-one", status=404) == {"code": "UNKNOWN_TOPIC_OR_PARTITION", "message": "There is no topic http-one."}
    assert web.error("DELETE", "/api/v1/topics/http-one", status=404)["code"] == "UNKNOWN_TOPIC_OR_PARTITION"


def test_a_name_is_decoded(web, served):
    create_topic(served, "http.dots_and-more", partitions=1)
    assert web.json("GET", "/api/v1/topics/http%2edots%5Fand-more")["name"] == "http.dots_and-more"
    for path in ("/api/v1/topics/%", "/api/v1/topics/%2", "/api/v1/topics/%zz", "/api/v1/topics/a%00b", "/api/v1/topics/"):
        assert web.error("GET", path, status=404)["code"] == "NOT_FOUND"
    assert web.error("GET", "/api/v1/topics/a%2fb", status=400)["code"] == "INVALID_TOPIC_EXCEPTION"


@pytest.mark.parametrize("body, word", [
    (None, "JSON object is needed"), ("{", "no JSON"), ("[]", "must be a JSON object"), ({}, "name is missing"),
    ({"name": 5}, "name must be a text"), ({"name": "a", "partitions": 0}, "partitions must be"),
    ({"name": "a", "partition": 1}, "partition is no field"), ({"name": "a", "configs": {"x": []}}, "configs.x"),
    ('{"name": "a", "name": "b"}', "no JSON"), ({"name": "a b"}, "a b"), ("x" * ((1 << 20) + 1), "at most 1048576"),
])
def test_a_wrong_body_is_told(web, body, word):
    status = 413 if word.startswith("at most") else 400
    assert word in web.error("POST", "/api/v1/topics", body, status=status)["message"]
    assert web.ask("GET", "/healthz")[0] == 200


def test_what_changes_needs_the_header(web):
    for method, path in (("POST", "/api/v1/topics"), ("DELETE", "/api/v1/topics/x"), ("PATCH", "/api/v1/topics/x/configs")):
        assert "X-Odradek" in web.error(method, path, {"name": "x"}, headers={}, status=403)["message"]
    assert "x" not in [topic["name"] for topic in web.json("GET", "/api/v1/topics")["topics"]]
    own = f"http://127.0.0.1:{web.port}"
    for origin, status in (("http://elsewhere.example", 403), ("null", 403), ("http://127.0.0.1:1", 403), (own, 204)):
        asked = web.ask("OPTIONS", "/api/v1/topics", headers={"Origin": origin, "Access-Control-Request-Method": "POST"})
        assert asked[0] == status and not [name for name in asked[2] if name.lower().startswith("access-control")]
        assert web.ask("GET", "/api/v1/topics", headers={"Origin": origin})[0] == (200 if origin == own else 403)


@pytest.mark.parametrize("host, status", [
    ("127.0.0.1", 200), ("localhost:8080", 200), ("[::1]:80", 200), ("10.1.2.3", 200), ("LOCALHOST", 200),
    ("127.0.0.1:", 200), ("elsewhere.example", 421), ("localhost.elsewhere.example", 421), ("127.0.0.1.elsewhere.example:80", 421), ("", 421), (":8080", 421),
    ("[::1]elsewhere.example", 421), ("[::1", 421), ("[localhost]", 421), ("localhost:80.elsewhere.example", 421), ("127.0.0.1:80:80", 421), ("127.0.0.1.", 421), ("127.1", 421),
])
def test_a_host_that_is_not_ours_gets_nothing(web, host, status):
    assert web.ask("GET", "/healthz", headers={"Host": host})[0] == status


def test_a_name_that_the_broker_was_given_is_its_own(brokers):
    """As Prometheus asks for it, and a person on another machine."""
    broker = brokers.new(settings={"http.listeners": "http://127.0.0.1:0"})
    broker.settings["advertised.listeners"] = f"PLAINTEXT://broker-1.example.com:{broker.port}"
    web = Http(port_of(broker.start()))
    for host, status in (("broker-1.example.com", 200), ("Broker-1.Example.com:8080", 200), ("broker-2.example.com", 421), ("example.com", 421), ("[broker-1.example.com]", 421)):
        status_now, body, _ = web.ask("GET", "/metrics", headers={"Host": host})
        assert status_now == status, host
        assert status == 200 or b"advertised.listeners" in body
    own = {"Host": "broker-1.example.com", "Origin": "http://broker-1.example.com"}
    assert web.ask("GET", "/api/v1/cluster", headers=own)[0] == 200
    assert web.ask("GET", "/api/v1/cluster", headers={**own, "Origin": "http://elsewhere.example"})[0] == 403


def test_the_names_are_those_that_the_listeners_have_now(brokers):
    """The machine's own name, which clients are told where a listener leaves it open, is none of them."""
    broker = brokers.new(settings={"http.listeners": "http://127.0.0.1:0"})
    broker.settings["listeners"] = f"PLAINTEXT://:{broker.port},CONTROLLER://127.0.0.1:{broker.controller_port}"
    broker.start()
    web, own = Http(port_of(broker)), socket.gethostname()
    assert web.get("/api/v1/cluster")["brokers"][0]["host"] == own
    assert web.ask("GET", "/healthz", headers={"Host": own})[0] == 421
    extra = f"{broker.settings['listeners']},EXTRA://{own}:{free_port()}"
    alter(broker, BROKER, "1", listeners=extra, listener_security_protocol_map="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,EXTRA:PLAINTEXT")
    assert web.ask("GET", "/healthz", headers={"Host": f"{own.upper()}:8080"})[0] == 200


def test_paths_and_methods_that_are_not_there(web):
    assert web.error("GET", "/nothing", status=404)["code"] == "NOT_FOUND"
    assert web.ask("DELETE", "/api/v1/cluster", headers=CHANGES)[0] == 405
    assert web.ask("BREW", "/healthz")[0] == 405


def metric(web, name):
    status, text, headers = web.ask("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return int(re.search(rf"^{name} (\d+)$", text.decode(), re.M)[1])


def test_metrics_count_what_clients_do(web, served):
    before = metric(web, "odradek_requests_total")
    create_topic(served, "http-counted", partitions=1)
    assert metric(web, "odradek_requests_total") > before
    assert metric(web, "odradek_connections_accepted_total") > 0 and metric(web, "odradek_network_receive_bytes_total") > 0


def test_a_consumer_goes_where_its_producer_is(web, served):
    """Whoever waits for records of one connection is soon served by the same thread, and misses nothing."""
    create_topic(served, "http-together")
    with contextlib.ExitStack() as stack:
        producer, *waiting = [stack.enter_context(connect(served)) for _ in range(10)]
        before, end = metric(web, "odradek_connections_moved_total"), 0

        def next_one():
            nonlocal end
            body = fetch_body("http-together", end, max_wait_ms=20000, min_bytes=1)
            for consumer in waiting:
                consumer.send("Fetch", 11, body)
            assert produce(producer, "http-together", [(None, b"%d" % end)])["ErrorCode"] == 0
            for consumer in waiting:
                answer = consumer.receive("Fetch", 11)[1]["Responses"][0]["Partitions"][0]
                assert values(parse(answer["Records"])) == [b"%d" % end]
            end += 1
            return metric(web, "odradek_connections_moved_total") > before

        # Of so many connections two at least are on different threads.
        wait_until(next_one, 30, "somebody who moved")


def test_groups_and_their_lag(web, served):
    from kafka import KafkaConsumer, KafkaProducer

    create_topic(served, "http-lag", partitions=1)
    producer = KafkaProducer(bootstrap_servers=served.bootstrap)
    for _ in range(5):
        producer.send("http-lag", b"x").get(20)
    consumer = KafkaConsumer("http-lag", bootstrap_servers=served.bootstrap, group_id="http-group", auto_offset_reset="earliest",
                             enable_auto_commit=False, max_poll_records=2)
    polled = wait_until(lambda: consumer.poll(500), 30, "records")
    consumer.commit()
    read = sum(len(records) for records in polled.values())
    assert {"id": "http-group", "state": "Stable", "type": "classic", "protocolType": "consumer", "members": 1, "lag": 5 - read,
            "partitionsOffline": 0, "topics": ["http-lag"], "hasSettings": False} in [{**group, "type": group["type"].lower()} for group in web.json("GET", "/api/v1/groups")["groups"]]
    group = web.json("GET", "/api/v1/groups/http-group")
    assert group["lag"] == 5 - read and group["partitions"][0]["committedOffset"] == read
    assert len(group["members"]) == 1
    consumer.close()
    producer.close()
    assert web.error("GET", "/api/v1/groups/no-such", status=404)["code"] == "GROUP_ID_NOT_FOUND"


def test_the_broker_stops_while_http_clients_hold_connections(brokers):
    broker = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    port = port_of(broker)
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
    held[0].sendall(b"GET /healthz HTT")
    assert Http(port).ask("GET", "/healthz")[0] == 200
    broker.stop()
    for one in held:
        one.close()


def test_an_address_that_is_taken(brokers, served):
    taken = port_of(served)
    broker = brokers.new(settings={"http.listeners": f"http://127.0.0.1:{taken}"})
    broker.launch()
    assert broker.process.wait(20) == 1
    assert str(taken) in broker.log_text()
    broker.process = None
