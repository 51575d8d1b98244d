"""The admin API: everything that docs/openapi.json has, each answer held against it."""

import json
import time

import pytest

from harness.http import CHANGES, OPENAPI, openapi, operation_of
from harness.process import wait_until
from harness.requests import connect, create_topic

pytestmark = pytest.mark.ours


def produce(web, topic, count=1, partition=None, key=None, value=lambda n: f"v{n}", **more):
    for n in range(count):
        body = {"value": value(n), **({} if partition is None else {"partition": partition}), **({} if key is None else {"key": key}), **more}
        web.json("POST", f"/api/v1/topics/{topic}/records", body, status=201)


def values(answer):
    return [record["value"]["text"] for record in answer["records"]]


def test_every_operation_is_there_and_answers_as_the_file_says(web, served):
    """Each method and path of the file is called, and none is answered that the file does not have."""
    from kafka import KafkaConsumer

    web.json("POST", "/api/v1/topics?validateOnly=true", {"name": "all"}, status=200)
    web.json("POST", "/api/v1/topics", {"name": "all", "partitions": 1}, status=201)
    web.json("PATCH", "/api/v1/topics/all?validateOnly=true", {"partitions": 2})
    assert len(web.get("/api/v1/topics/all")["partitions"]) == 1
    web.json("PATCH", "/api/v1/topics/all", {"partitions": 2})
    assert len(web.get("/api/v1/topics/all")["partitions"]) == 2
    produce(web, "all", 3, partition=0)
    consumer = KafkaConsumer("all", bootstrap_servers=served.bootstrap, group_id="all-group", auto_offset_reset="earliest", enable_auto_commit=False)
    wait_until(lambda: consumer.poll(200), 20, "records")
    consumer.commit()
    with connect(served) as connection:
        client = connection.call("GetTelemetrySubscriptions", 0, {"ClientInstanceId": "01" * 16})
        assert client["ErrorCode"] == 0
        web.get("/api/v1/clients/AQEBAQEBAQEBAQEBAQEBAQ")
    for path in ("clients", "cluster", "overview", "history", "brokers", "brokers/1/configs", "brokers/default/configs", "logdirs", "topics", "topics/all", "topics/all/configs",
                 "topics/all/records", "topics/all/partitions/0/records/0", "groups", "groups/all-group", "groups/all-group/configs", "groups/all-group/history", "transactions", "openapi.json"):
        web.get("/api/v1/" + path)
    web.json("PATCH", "/api/v1/brokers/default/configs?validateOnly=true", {"log.retention.ms": 1000})
    web.json("PATCH", "/api/v1/topics/all/configs", {"retention.ms": 100000})
    web.json("PATCH", "/api/v1/groups/all-group/configs?validateOnly=true", {"consumer.session.timeout.ms": 50000})
    web.json("POST", "/api/v1/groups/all-group/offsets?validateOnly=true", {"to": "earliest"})
    consumer.close()
    wait_until(lambda: web.get("/api/v1/groups/all-group")["state"] == "Empty", 20, "the member to leave")
    web.json("POST", "/api/v1/groups/all-group/offsets", {"to": "earliest"})
    web.json("DELETE", "/api/v1/groups/all-group/offsets?topic=all")
    web.error("DELETE", "/api/v1/groups/all-group/offsets?topic=all", status=404)
    web.error("GET", "/api/v1/transactions/none", status=404)
    web.error("POST", "/api/v1/transactions/none/abort", status=404)
    web.json("POST", "/api/v1/groups/all-group/offsets", {"to": "earliest", "topic": "all"})
    web.json("DELETE", "/api/v1/groups/all-group")
    web.json("DELETE", "/api/v1/topics/all")
    for path in ("/healthz", "/readyz", "/metrics"):
        assert web.ask("GET", path)[0] == 200
        web.called.add(("GET", path))
    for path in ("/api/v1/live", "/api/v1/topics/__consumer_offsets/tail"):
        stream = web.stream(path)
        assert stream.status == 200
        stream.close()
        web.called.add(("GET", operation_of("GET", path)[0]))
    promised = {(method.upper(), path) for path, operations in openapi()["paths"].items() for method in operations}
    assert web.called == promised
    methods = {}
    for method, path in promised:
        methods.setdefault(path, set()).add(method)
    for path, known in methods.items():
        allowed = web.ask("OPTIONS", path.replace("{", "").replace("}", ""))
        assert allowed[0] == 204
        assert set(allowed[2]["Allow"].split(", ")) == known | {"OPTIONS"} | ({"HEAD"} if "GET" in known else set())


def test_the_file_is_served_as_it_is(web):
    assert web.get("/api/v1/openapi.json") == json.loads(OPENAPI.read_text())


def test_the_files_parameters_are_the_ones_that_are_known(web):
    """A parameter that the file has is taken, one that it has not is refused."""
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            names = {p["name"] for p in operation.get("parameters", []) if p.get("in") == "query"}
            if "validateOnly" in str(operation.get("parameters")):
                names.add("validateOnly")
            at = path.replace("{partition}", "0").replace("{offset}", "0").replace("{", "").replace("}", "")
            for name in names | {"no-such"}:
                status, content, _ = web.ask(method.upper(), f"{at}?{name}=%20", headers=CHANGES)
                refused = status == 400 and f"{name} is no parameter" in content.decode()
                assert refused == (name == "no-such"), (method, path, name, content)


def test_groups_of_the_file_and_unknown_paths(web):
    assert web.error("GET", "/api/v1/nothing", status=404)["code"] == "NOT_FOUND"
    assert web.error("GET", "/api/v1/topics?x=1")["message"].startswith("x is no parameter")
    assert "twice" in web.error("GET", "/api/v1/topics/t/records?limit=1&limit=2")["message"]
