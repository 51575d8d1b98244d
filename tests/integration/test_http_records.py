"""Records over HTTP: browsing, filters, forms, cursors, producing."""

import base64
import json

import pytest

from harness.process import wait_until
from harness.quotas import set_quota
from harness.requests import connect, create_topic, delete_records
from harness.transactions import is_settled

pytestmark = pytest.mark.ours
TIME = 1_700_000_000_000


def fill(served, topic, count, partitions=3, compression=None, value=lambda n: b"%d" % n, step_ms=1000):
    """Record n has the key k<n % 10> and the time TIME + n * step_ms, and lies in partition n % partitions."""
    from kafka import KafkaProducer

    create_topic(served, topic, partitions=partitions, retention_ms="-1")  # for their times are old
    producer = KafkaProducer(bootstrap_servers=served.bootstrap, compression_type=compression, linger_ms=20)
    sent = [
        producer.send(topic, value(n), key=b"k%d" % (n % 10), partition=n % partitions, timestamp_ms=TIME + n * step_ms, headers=[("n", b"%d" % n)])
        for n in range(count)
    ]
    assert [future.get(120).offset for future in sent] == [n // partitions for n in range(count)]
    producer.close()


@pytest.fixture(scope="module")
def hundred(served):
    fill(served, "hundred", 100)
    return "/api/v1/topics/hundred/records"


def numbers(answer):
    return [int(record["value"]["text"]) for record in answer["records"]]


def pages(web, path, **query):
    """All answers, to the end."""
    answer = web.get(path, **query)
    yield answer
    while answer["cursor"]:
        query = {name: value for name, value in query.items() if name not in ("from_", "direction", "cursor")}
        answer = web.get(path, **query, cursor=answer["cursor"])
        yield answer


def found(web, path, limit=50, **query):
    """The numbers of the first records, in as many answers as it takes: what one may cost is limited."""
    seen = []
    for answer in pages(web, path, limit=limit, **query):
        seen += numbers(answer)
        if len(seen) >= limit:
            break
    return seen


def test_from_the_ends(web, hundred):
    assert found(web, hundred, limit=5) == [99, 98, 97, 96, 95]
    assert found(web, hundred, from_="end", limit=5) == [99, 98, 97, 96, 95]
    assert found(web, hundred, from_="earliest", limit=5) == [0, 1, 2, 3, 4]
    assert found(web, hundred, from_="earliest", direction="backward") == []
    assert found(web, hundred, from_="end", direction="forward") == []


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("start", ["earliest", "end"])
def test_pages_have_every_record_once_and_in_order(web, hundred, limit, start):
    all_pages = list(pages(web, hundred, from_=start, limit=limit))
    assert [n for answer in all_pages for n in numbers(answer)] == (list(range(100)) if start == "earliest" else list(range(99, -1, -1)))
    assert all(len(answer["records"]) <= limit for answer in all_pages)
    assert all_pages[-1]["cursor"] is None


def test_quotas_are_for_clients(web, served, hundred):
    """An answer that a quota held back would look like the partition's end."""
    set_quota(served, {"client-id": None}, consumer_byte_rate=1, request_percentage=0.001)
    try:
        for _ in range(3):
            assert found(web, hundred, limit=100, from_="earliest") == list(range(100))
    finally:
        set_quota(served, {"client-id": None}, consumer_byte_rate=None, request_percentage=None)


def test_from_an_offset_and_a_time(web, hundred):
    assert found(web, hundred, from_="offset:10", partition=1, limit=2) == [31, 34]
    assert found(web, hundred, from_="offset:10", partition=1, limit=2, direction="backward") == [28, 25]
    assert found(web, hundred, from_="offset:999999", partition=1, limit=2, direction="backward") == [97, 94]
    assert found(web, hundred, from_=f"time:{TIME + 50_000}", limit=3) == [50, 51, 52]
    assert found(web, hundred, from_=f"time:{TIME + 50_000}", limit=3, direction="backward") == [49, 48, 47]
    assert found(web, hundred, from_=f"time:{TIME + 10**9}", limit=3) == []
    assert found(web, hundred, partition="0,2", limit=4) == [99, 98, 96, 95]


def test_key_and_text(web, hundred):
    assert found(web, hundred, from_="earliest", key="k7") == list(range(7, 100, 10))
    assert found(web, hundred, key="k7", limit=2) == [97, 87]
    assert found(web, hundred, from_="earliest", contains="9", limit=1000) == [n for n in range(100) if "9" in f"k{n % 10}{n}"]
    assert found(web, hundred, contains="no such") == []


def test_a_field_of_json(web, served):
    shops = [{"shop": {"country": c, "open": o, "rank": r}, "a.b": r, "list": [r, {"x": None}]}
             for r, (c, o) in enumerate([("de", True), ("fr", False), ("ä&=?", True)])]
    texts = [json.dumps(shop).encode() for shop in shops] + [b"{broken", b"", b"\xff\xfe"]
    fill(served, "shops", len(texts), partitions=1, value=lambda n: texts[n])
    path = "/api/v1/topics/shops/records"

    def found(field, equals):
        return [r["offset"] for answer in pages(web, path, from_="earliest", field=field, equals=equals) for r in answer["records"]]

    assert found("shop.country", "de") == [0] and found("shop.country", "ä&=?") == [2]
    assert found("shop.open", "true") == [0, 2] and found("shop.open", "false") == [1]
    assert found("shop.rank", "1") == [1] and found("shop.rank", "1.0") == [1] and found("shop.rank", "1x") == []
    assert found("a.b", "2") == [2] and found("list.0", "1") == [1] and found("list.1.x", "null") == [0, 1, 2]
    for field, equals in (("shop", ""), ("shop.none", ""), ("", ""), (".", "x"), ("list.9", "1"), ("shop..rank", "1")):
        assert found(field, equals) == []
    for query in ("field=x", "equals=x"):
        assert "go together" in web.error("GET", f"{path}?{query}")["message"]


def test_forms(web, served):
    payloads = [b'{"a": 1}', b" [1]", b"text \xc3\xa4\n", b"\x00\x01\xff", b"", b'{"a": 1', b"12", b"a" * 100_000, ("ä" * 40_000).encode(), b"\xff" * 40_000]
    fill(served, "forms", len(payloads), partitions=1, value=lambda n: payloads[n])
    path = "/api/v1/topics/forms/records"
    shown = [record["value"] for answer in pages(web, path, from_="earliest") for record in answer["records"]]
    assert [value["format"] for value in shown] == ["json", "json", "text", "hex", "text", "text", "text", "text", "text", "hex"]
    assert [value["text"] for value in shown[:7]] == ['{"a": 1}', " [1]", "text ä\n", "0001ff", "", '{"a": 1', "12"]
    assert [value["sizeBytes"] for value in shown] == [len(payload) for payload in payloads]
    assert [value["truncated"] for value in shown] == [False] * 7 + [True, True, False]
    assert shown[7]["text"] == "a" * 65536 and shown[8]["text"] == "ä" * 32768
    for offset in (7, 8, 9):
        whole = web.get(f"/api/v1/topics/forms/partitions/0/records/{offset}")["value"]
        assert not whole["truncated"] and (whole["text"] == payloads[offset].hex() if offset == 9 else whole["text"].encode() == payloads[offset])
    few = web.get(path, from_="offset:8", limit=1, maxBytes=3)["records"][0]
    assert few["value"]["text"] == "ä" and few["value"]["truncated"] and few["key"] == {"format": "text", "text": "k8", "sizeBytes": 2, "truncated": False}
    assert web.get(path, from_="offset:3", limit=1, format="text")["records"][0]["value"]["text"] == "\0\x01\ufffd"
    assert web.get(path, from_="offset:0", limit=1, format="hex")["records"][0]["value"]["text"] == payloads[0].hex()
    first = web.get(f"/api/v1/topics/forms/partitions/0/records/0")
    assert first["headers"] == [{"key": "n", "value": {"format": "text", "text": "0", "sizeBytes": 1, "truncated": False}}]
    assert (first["timestamp"], first["timestampType"], first["sizeBytes"]) == (TIME, "CreateTime", 2 + 8 + 4)
    for at in ("0/records/99", "9/records/0"):
        web.error("GET", f"/api/v1/topics/forms/partitions/{at}", status=404)


@pytest.mark.parametrize("compression", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_batches(web, served, compression):
    fill(served, f"packed-{compression}", 300, partitions=2, compression=compression)
    path = f"/api/v1/topics/packed-{compression}/records"
    assert [n for answer in pages(web, path, limit=64) for n in numbers(answer)] == list(range(299, -1, -1))
    assert found(web, path, from_="offset:149", partition=1) == [299]


def test_one_request_scans_so_much_and_no_more(web, served):
    """Seldom matches in much: each answer says where to go on, and all of them together find what is there."""
    fill(served, "much", 60, partitions=2, value=lambda n: (b"needle%d " % n if n % 20 == 0 else b"hay ") + bytes(700_000))
    for direction, start in (("forward", "earliest"), ("backward", "end")):
        answers = list(pages(web, "/api/v1/topics/much/records", from_=start, contains="needle", maxBytes=9))
        assert len(answers) > 1 and {answer["stoppedBy"] for answer in answers[:-1]} <= {"bytes", "time"} and answers[-1]["stoppedBy"] == "end"
        assert all(answer["scannedBytes"] < 32 << 20 for answer in answers)
        found = [bytes.fromhex(record["value"]["text"]).decode() for answer in answers for record in answer["records"]]
        assert sorted(found) == ["needle0 "[:9].ljust(9, "\0")[:9], "needle20 ", "needle40 "]


def test_aborted_transactions_are_left_out_when_asked(web, served):
    from confluent_kafka import Producer

    create_topic(served, "txns", partitions=1)
    producer = Producer({"bootstrap.servers": served.bootstrap, "transactional.id": "http-txns"})
    producer.init_transactions(20)
    for n, commit in enumerate([True, False, True, False, False, True]):
        producer.begin_transaction()
        for _ in range(3):
            producer.produce("txns", str(n), partition=0)
        producer.flush(20)
        producer.commit_transaction(20) if commit else producer.abort_transaction(20)
    wait_until(lambda: is_settled(served.port, "txns", [0]), 20, "the last marker")
    path = "/api/v1/topics/txns/records"
    for direction, start in (("forward", "earliest"), ("backward", "end")):
        for limit in (1, 4, 100):
            seen = [n for answer in pages(web, path, from_=start, direction=direction, limit=limit, isolation="read_committed") for n in numbers(answer)]
            assert sorted(seen) == [0] * 3 + [2] * 3 + [5] * 3
    assert sum(len(answer["records"]) for answer in pages(web, path, from_="earliest", limit=100)) == 18


def test_deleted_and_compacted_records_are_no_obstacle(web, served):
    fill(served, "cut", 50, partitions=1)
    with connect(served) as connection:
        delete_records(connection, "cut", (0, 30))
    path = "/api/v1/topics/cut/records"
    assert found(web, path, from_="earliest", limit=2) == [30, 31]
    assert found(web, path, from_="offset:5", limit=2) == [30, 31]
    assert found(web, path, cursor="f0-5", limit=2) == [30, 31]
    assert [n for answer in pages(web, path, limit=7) for n in numbers(answer)] == list(range(49, 29, -1))


@pytest.mark.parametrize("query, word", [
    ("from=somewhere", "from must be"), ("from=offset:-1", "from must be"), ("from=offset:x", "from must be"), ("from=time:", "from must be"),
    ("limit=0", "limit must be"), ("limit=1001", "limit must be"), ("limit=x", "limit must be"), ("direction=up", "direction must be"),
    ("partition=x", "partition must be"), ("partition=", "partition must be"), ("partition=0,", "partition must be"), ("isolation=all", "isolation must be"),
    ("format=avro", "format must be"), ("maxBytes=-1", "maxBytes must be"), ("cursor=x", "the cursor"), ("cursor=", "the cursor"), ("cursor=f", "the cursor"),
    ("cursor=f0-1", "the cursor"), ("cursor=f0-1.1-2.2-y", "the cursor"), ("cursor=f0-1.1-2.2-3.", "the cursor"), ("cursor=g0-1.1-2.2-3", "the cursor"),
    ("cursor=f0-1.1-2.2-3&from=end", "the cursor says"), ("key=%ff", "UTF-8"), ("key=%0", "UTF-8"), ("key=%00", "UTF-8"), ("%ff=1", "UTF-8"),
])
def test_what_is_wrong_is_told(web, hundred, query, word):
    assert word in web.error("GET", f"{hundred}?{query}")["message"]


def test_a_partition_that_is_not_there(web, hundred):
    assert "has no partition 3" in web.error("GET", f"{hundred}?partition=3", status=404)["message"]
    web.error("GET", "/api/v1/topics/none/records", status=404)


def test_producing(web, served):
    create_topic(served, "made", partitions=4, retention_ms="-1")  # for one's time is old
    path = "/api/v1/topics/made/records"
    blob = bytes(range(256))
    bodies = [({"value": "plain ä"}, None, "plain ä".encode(), []),
              ({"key": "k", "value": None, "partition": 2, "timestamp": 5}, b"k", None, []),
              ({"key": base64.b64encode(blob).decode(), "value": base64.b64encode(blob).decode(), "encoding": "base64"}, blob, blob, []),
              ({"value": base64.urlsafe_b64encode(blob).decode().rstrip("="), "encoding": "base64"}, None, blob, []),
              ({"value": blob.hex().upper(), "encoding": "hex", "headers": [{"key": "a", "value": "ff"}, {"key": "b"}, {"key": "a", "value": None}]}, None, blob,
               [("a", b"\xff"), ("b", None), ("a", None)]),
              ({}, None, None, [])]
    from kafka import KafkaConsumer, TopicPartition
    consumer = KafkaConsumer(bootstrap_servers=served.bootstrap)
    for body, key, value, headers in bodies:
        at = web.json("POST", path, body, status=201)
        partition = TopicPartition("made", at["partition"])
        consumer.assign([partition])
        consumer.seek(partition, at["offset"])
        record = next(consumer)
        assert (record.offset, record.key, record.value, [tuple(h) for h in record.headers]) == (at["offset"], key, value, headers)
        assert record.timestamp == at["timestamp"] and ("timestamp" not in body or record.timestamp == 5)
    consumer.close()


def test_a_key_goes_where_kafkas_clients_put_it(web, served):
    from kafka.partitioner.default import murmur2

    create_topic(served, "keyed", partitions=7)
    for key in ["", "a", "ab", "abc", "abcd", "abcde", "key-17", "ä€", "x" * 1000]:
        at = web.json("POST", "/api/v1/topics/keyed/records", {"key": key, "value": "v"}, status=201)
        assert at["partition"] == (murmur2(key.encode()) & 0x7FFFFFFF) % 7, key


@pytest.mark.parametrize("body, word", [
    ({"value": 5}, "value must be"), ({"headers": [5]}, "headers must be"), ({"headers": [{"key": 5}]}, "headers must be"),
    ({"headers": [{"key": "a", "x": 1}]}, "headers must be"), ({"headers": [{"key": "a"}] * 1001}, "at most 1000"), ({"encoding": "rot13"}, "encoding must be"),
    ({"value": "g0", "encoding": "hex"}, "value is no hex"), ({"value": "abc", "encoding": "hex"}, "value is no hex"),
    ({"value": "a", "encoding": "base64"}, "value is no base64"), ({"value": "$$$$", "encoding": "base64"}, "value is no base64"),
    ({"key": "=", "encoding": "base64"}, "key is no base64"), ({"partition": -1}, "partition must be"), ({"timestamp": -1}, "timestamp must be"),
])
def test_a_record_that_is_none(web, hundred, body, word):
    assert word in web.error("POST", hundred, body)["message"]


def test_what_the_broker_refuses(web, served, hundred):
    assert web.error("POST", hundred, {"value": "v", "partition": 9}, status=404)["code"] == "UNKNOWN_TOPIC_OR_PARTITION"
    assert web.error("POST", "/api/v1/topics/none/records", {"value": "v"}, status=404)["code"] == "UNKNOWN_TOPIC_OR_PARTITION"
    web.json("POST", "/api/v1/topics", {"name": "small", "configs": {"max.message.bytes": 100}}, status=201)
    assert web.error("POST", "/api/v1/topics/small/records", {"value": "v" * 200})["code"] == "MESSAGE_TOO_LARGE"
    web.json("POST", "/api/v1/topics", {"name": "keys", "configs": {"cleanup.policy": "compact"}}, status=201)
    assert "key" in web.error("POST", "/api/v1/topics/keys/records", {"value": "v"})["message"].lower()
