"""Groups, their offsets, and transactions over HTTP."""

import pytest

from harness.process import wait_until
from harness.requests import connect, create_topic
from harness.transactions import Producer as TransactionalProducer

pytestmark = pytest.mark.ours


def write(web, topic, count, partition=0, timestamp=None):
    for n in range(count):
        body = {"value": str(n), "partition": partition, **({} if timestamp is None else {"timestamp": timestamp + n * 1000})}
        web.json("POST", f"/api/v1/topics/{topic}/records", body, status=201)


def reset(web, group, status=200, dry=False, **body):
    path = f"/api/v1/groups/{group}/offsets" + ("?validateOnly=true" if dry else "")
    answer = web.json("POST", path, body, status=status)
    return {(p["topic"], p["partition"]): p["after"] for p in answer["partitions"]} if status == 200 else answer["error"]


def committed(web, group):
    return {(p["topic"], p["partition"]): p["committedOffset"] for p in web.get(f"/api/v1/groups/{group}")["partitions"]}


def test_offsets_are_reset_and_deleted(web, served):
    create_topic(served, "resets", partitions=2, retention_ms="-1")  # for the records' times are old
    create_topic(served, "others", partitions=1)
    write(web, "resets", 10, partition=0, timestamp=1_000_000)
    write(web, "resets", 4, partition=1, timestamp=1_000_000)
    write(web, "others", 3)
    assert reset(web, "g", 404, to="earliest")["code"] == "GROUP_ID_NOT_FOUND"
    assert reset(web, "g", to="latest", topic="resets") == {("resets", 0): 10, ("resets", 1): 4}
    assert reset(web, "g", to="offset", offset=1, topic="others", partitions=[0]) == {("others", 0): 1}
    assert committed(web, "g") == {("others", 0): 1, ("resets", 0): 10, ("resets", 1): 4}
    for body, expected in (({"to": "earliest"}, {("others", 0): 0, ("resets", 0): 0, ("resets", 1): 0}),
                           ({"to": "shift", "shift": -3, "topic": "resets"}, {("resets", 0): 7, ("resets", 1): 1}),
                           ({"to": "shift", "shift": 99, "topic": "others"}, {("others", 0): 3}),
                           ({"to": "timestamp", "timestamp": 1_006_000, "topic": "resets"}, {("resets", 0): 6, ("resets", 1): 4}),
                           ({"to": "offset", "offset": 5, "topic": "resets", "partitions": [1]}, {("resets", 1): 4})):
        assert reset(web, "g", dry=True, **body) == expected
        assert committed(web, "g") == {("others", 0): 1, ("resets", 0): 10, ("resets", 1): 4}
    assert reset(web, "g", to="shift", shift=-3, topic="resets") == {("resets", 0): 7, ("resets", 1): 1}
    group = web.get("/api/v1/groups/g")
    assert (group["state"], group["lag"]) == ("Empty", 2 + 3 + 3)
    assert web.json("DELETE", "/api/v1/groups/g/offsets?topic=resets&partition=1")["partitions"] == [1]
    assert committed(web, "g") == {("others", 0): 1, ("resets", 0): 7}
    assert web.json("DELETE", "/api/v1/groups/g/offsets?topic=resets")["partitions"] == [0]
    assert committed(web, "g") == {("others", 0): 1}
    assert "topic is missing" in web.error("DELETE", "/api/v1/groups/g/offsets")["message"]
    web.json("DELETE", "/api/v1/groups/g")
    web.error("GET", "/api/v1/groups/g", status=404)
    web.error("DELETE", "/api/v1/groups/g", status=404)


@pytest.mark.parametrize("body, word", [
    ({}, "to is missing"), ({"to": "x"}, "to must be"), ({"to": "offset"}, "offset is missing"), ({"to": "shift"}, "shift is missing"),
    ({"to": "earliest", "offset": 1}, "offset is not for"), ({"to": "offset", "offset": -1}, "offset must be"),
    ({"to": "latest", "partitions": [0]}, "partitions need"), ({"to": "latest", "topic": 5}, "topic must be"),
])
def test_a_reset_that_makes_no_sense(web, body, word):
    assert word in web.error("POST", "/api/v1/groups/g/offsets", body)["message"]


def test_a_reset_of_partitions_that_are_not_there(web, served):
    create_topic(served, "two", partitions=2)
    for partitions in ([2], [-1], ["x"], [0, 9]):
        assert "partitions" in reset(web, "h", 404, to="latest", topic="two", partitions=partitions)["message"]
    assert reset(web, "h", 404, to="latest", topic="none")["code"] == "UNKNOWN_TOPIC_OR_PARTITION"


def consumer_of(served, topic, group, protocol):
    from confluent_kafka import Consumer

    settings = {"bootstrap.servers": served.bootstrap, "group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False,
                "client.id": f"client-{group}", "group.protocol": protocol}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    return consumer


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_members_their_assignment_and_lag(web, served, protocol):
    topic, group = f"read-{protocol}", f"group-{protocol}"
    create_topic(served, topic, partitions=2, retention_ms="-1")
    write(web, topic, 5, partition=0, timestamp=1_000_000)
    consumer = consumer_of(served, topic, group, protocol)
    try:
        record = wait_until(lambda: consumer.poll(0.2), 30, "a record")
        assert record.error() is None
        consumer.commit(record, asynchronous=False)
        described = web.get(f"/api/v1/groups/{group}")
        assert (described["type"], described["state"], described["lag"]) == (protocol, "Stable", 4)
        assert described["lagSeconds"] > 1e9  # records of 1970
        member, = described["members"]
        assert member["clientId"] == f"client-{group}" and member["assignment"] == [{"topic": topic, "partitions": [0, 1]}]
        assert (member["epoch"] is None) == (protocol == "classic")
        first, second = described["partitions"]
        assert (first["committedOffset"], first["lag"], first["endOffset"], first["member"]) == (1, 4, 5, member["id"])
        assert (second["committedOffset"], second["lag"], second["startOffset"], second["endOffset"]) == (None, None, 0, 0)
        listed = {g["id"]: g for g in web.get("/api/v1/groups")["groups"]}[group]
        assert (listed["members"], listed["lag"], listed["topics"]) == (1, 4, [topic])
        preview = web.json("POST", f"/api/v1/groups/{group}/offsets?validateOnly=true", {"to": "latest"})
        assert preview["applicable"] is False and preview["applied"] is False
        for method, path, body in (("POST", "/offsets", {"to": "latest"}), ("DELETE", "", None)):
            assert web.error(method, f"/api/v1/groups/{group}{path}", body, status=409)["code"] == "NON_EMPTY_GROUP"
        assert web.error("DELETE", f"/api/v1/groups/{group}/offsets?topic={topic}", status=409)["code"] == "GROUP_SUBSCRIBED_TO_TOPIC"
    finally:
        consumer.close()
    wait_until(lambda: web.get(f"/api/v1/groups/{group}")["state"] == "Empty", 20, "the group to be empty")
    assert reset(web, group, to="latest") == {(topic, 0): 5}
    assert web.get(f"/api/v1/groups/{group}")["lagSeconds"] == 0


def test_transactions_are_listed_described_and_aborted(web, served):
    create_topic(served, "written", partitions=2)
    producer = TransactionalProducer(served.port, "http-txn", version=1)
    producer.init()
    producer.add("written", [0, 1])
    producer.produce("written", 0, b"1")
    listed = {t["id"]: t for t in web.get("/api/v1/transactions", state="Ongoing")["transactions"]}
    assert listed["http-txn"]["state"] == "Ongoing"
    assert "http-txn" not in [t["id"] for t in web.get("/api/v1/transactions", minSeconds=1000)["transactions"]]
    one = web.get("/api/v1/transactions/http-txn")
    assert one["state"] == "Ongoing" and one["topics"] == [{"topic": "written", "partitions": [0, 1]}]
    assert 0 <= one["durationSeconds"] < 60 and one["producerId"] == listed["http-txn"]["producerId"]
    path = "/api/v1/topics/written/records?partition=0&from=earliest&isolation=read_committed"
    assert web.get(path)["records"] == []
    web.json("POST", "/api/v1/transactions/http-txn/abort")
    wait_until(lambda: web.get("/api/v1/transactions/http-txn")["state"] in ("CompleteAbort", "Empty"), 20, "the transaction's end")
    assert web.get(path)["records"] == [] and len(web.get(path.partition("&isolation")[0])["records"]) == 1
    assert web.error("POST", "/api/v1/transactions/http-txn/abort", status=409)["code"] == "INVALID_TXN_STATE"
    assert "state" in web.error("GET", "/api/v1/transactions?state=Sleeping")["message"]
    producer.close()


def test_settings_of_a_group(web, served):
    path, name, limit = "/api/v1/groups/set/configs", "consumer.session.timeout.ms", "group.consumer.max.session.timeout.ms"

    def setting():
        return {one["name"]: one for one in web.get(path)["configs"]}[name]

    assert (setting()["value"], setting()["type"], setting()["source"], setting()["readOnly"]) == ("45000", "int", "default", False)
    web.json("PATCH", f"{path}?validateOnly=true", {name: 50000})
    assert setting()["source"] == "default"
    assert web.json("PATCH", path, {name: 50000, "share.auto.offset.reset": "earliest"})["validateOnly"] is False
    assert (setting()["value"], setting()["source"]) == ("50000", "group")
    with connect(served) as connection:  # it is Kafka's resource of this name
        listed = connection.call("ListConfigResources", 1, {"ResourceTypes": [32]})["ConfigResources"]
    assert "set" in [one["ResourceName"] for one in listed]
    most = {one["name"]: one["value"] for one in web.get("/api/v1/brokers/1/configs")["configs"]}[limit]
    wrong = web.error("PATCH", path, {name: int(most) + 1, "consumer.heartbeat.interval.ms": "soon", "share.auto.offset.reset": "latest"})
    assert wrong["code"] == "INVALID_CONFIG" and {one["name"] for one in wrong["settings"]} == {name, "consumer.heartbeat.interval.ms"}
    assert "no.such" in web.error("PATCH", path, {"no.such": 1})["message"]
    assert setting()["value"] == "50000"
    web.json("PATCH", path, {name: None})
    assert (setting()["value"], setting()["source"]) == ("45000", "default")


def test_a_group_that_has_settings_and_nothing_else_is_there(web, served):
    name, path = "consumer.heartbeat.interval.ms", "/api/v1/groups/planned"
    create_topic(served, "planned-for", partitions=1)
    listed = lambda: {g["id"]: g for g in web.get("/api/v1/groups")["groups"]}.get("planned")  # noqa: E731
    assert listed() is None and web.error("GET", path, status=404)["code"] == "GROUP_ID_NOT_FOUND"
    web.json("PATCH", f"{path}/configs", {name: 6000})
    assert listed() == {"id": "planned", "state": None, "type": None, "protocolType": None, "members": 0, "lag": None, "partitionsOffline": 0, "topics": [], "hasSettings": True}
    one = web.get(path)
    assert (one["state"], one["type"], one["members"], one["partitions"], one["lagSeconds"]) == (None, None, [], [], None)
    assert web.get(f"{path}/history")["points"] == []
    reset(web, "planned", to="latest", topic="planned-for")
    assert (listed()["state"], listed()["topics"], listed()["hasSettings"]) == ("Empty", ["planned-for"], True)
    web.json("PATCH", f"{path}/configs", {name: None})
    assert (listed()["state"], listed()["hasSettings"]) == ("Empty", False)
    web.json("DELETE", path)
    assert listed() is None


def test_settings_of_the_broker(web):
    named = {c["name"]: c for c in web.get("/api/v1/brokers/1/configs")["configs"]}
    assert named["node.id"]["value"] == "1" and named["node.id"]["readOnly"] and named["log.retention.ms"]["type"] == "long"
    web.json("PATCH", "/api/v1/brokers/default/configs", {"log.retention.ms": 123456})
    assert {c["name"]: c["value"] for c in web.get("/api/v1/brokers/default/configs")["configs"]}["log.retention.ms"] == "123456"
    web.json("PATCH", "/api/v1/brokers/default/configs", {"log.retention.ms": None})
    wrong = web.error("PATCH", "/api/v1/brokers/default/configs", {"log.retention.ms": "soon", "log.segment.bytes": 1, "log.retention.bytes": 5})
    assert {s["name"] for s in wrong["settings"]} == {"log.retention.ms", "log.segment.bytes"} and all(s["message"] for s in wrong["settings"])
    assert web.error("GET", "/api/v1/brokers/nine/configs")["code"] and web.error("GET", "/api/v1/brokers/9/configs")["code"]


def test_log_directories(web, served):
    directory, = web.get("/api/v1/logdirs")["logDirs"]
    assert directory["path"] == str(served.data) and directory["error"] is None and not directory["cordoned"]
    assert directory["totalBytes"] > directory["usableBytes"] > 0 and directory["partitions"] > 0 and directory["logBytes"] > 0
