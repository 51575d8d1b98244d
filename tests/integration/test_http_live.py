"""Server-sent events: the overview each second, a topic's tail; who looks at them, and how they end."""

import os
import pathlib
import select
import socket
import threading
import time

import pytest

from harness.http import Http, port_of
from harness.process import threads_of, wait_until
from harness.requests import connect, create_topic, produce

pytestmark = pytest.mark.ours
STREAMS = 32


def put(web, topic, *values, **more):
    for value in values:
        web.json("POST", f"/api/v1/topics/{topic}/records", {"value": value, **more}, status=201)


def until(stream, name, condition):
    """The first event of this name that meets the condition."""
    for _ in range(60):
        data = stream.next(name)
        if condition(data):
            return data
    raise AssertionError(f"no event '{name}' as expected; the last: {data}")


def test_the_last_minutes_are_kept_while_nobody_looks(brokers):
    served = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(served))
    create_topic(served, "t")
    points = lambda: web.get("/api/v1/history")["points"]  # noqa: E731
    wait_until(points, 60, "the first point")
    with connect(served) as connection:
        produce(connection, "t", [(b"k", bytes(1000))] * 50)
        counted = lambda: sum(p["messagesInPerSecond"] * p["intervalSeconds"] for p in points())  # noqa: E731
        wait_until(lambda: round(counted()) == 50, 60, "what was produced")
        found = wait_until(lambda: (p := points()) and any(one["produceP99"] for one in p) and p, 60, "how long it took")
    assert [p["time"] for p in found] == sorted(p["time"] for p in found)
    assert all(p["intervalSeconds"] >= 4.9 for p in found)
    busy, = [p for p in found if p["messagesInPerSecond"]]
    assert busy["bytesInPerSecond"] * busy["intervalSeconds"] > 50_000 and busy["connections"] > 0
    assert sum(p["requestsPerSecond"] for p in found) > 0
    assert "sampler" not in threads_of(served.process.pid)


def test_the_lag_of_groups_is_kept_while_nobody_looks(brokers):
    served = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(served))
    create_topic(served, "t")
    web.json("POST", "/api/v1/groups/reader/offsets", {"to": "earliest", "topic": "t"})
    points = lambda group="reader": web.get(f"/api/v1/groups/{group}/history")["points"]  # noqa: E731
    wait_until(points, 60, "the first point")
    put(web, "t", *"abc")
    found = wait_until(lambda: (p := points()) and p[-1]["lag"] == 3 and p, 60, "what was produced")
    assert [p["lag"] for p in found][0] == 0 and [p["time"] for p in found] == sorted(p["time"] for p in found)
    assert all(b["time"] - a["time"] >= 9_900 for a, b in zip(found, found[1:]))
    assert points("nobody") == []
    web.json("DELETE", "/api/v1/groups/reader")
    wait_until(lambda: points() == [], 60, "it to be forgotten")
    assert "sampler" not in threads_of(served.process.pid)


def test_without_listeners_there_is_nothing_of_http(brokers):
    """Neither threads nor descriptors: it costs nothing."""
    without, with_http = (brokers.start(settings={"http.listeners": where}) for where in ("", "http://127.0.0.1:0"))
    web = Http(port_of(with_http))
    wait_until(lambda: web.get("/api/v1/history")["points"], 60, "what the one with HTTP keeps")
    threads, more = threads_of(without.process.pid), threads_of(with_http.process.pid)
    assert set(more) - set(threads) >= {"history", "MHD-listen"} and not [name for name in threads if name.startswith(("MHD", "history", "sampler"))]
    assert ports_of(without) == {without.port, without.controller_port} and ports_of(with_http) == {with_http.port, with_http.controller_port, web.port}
    assert "http" not in without.log_text().replace("http.listeners", "")


def ports_of(broker):
    """On which the process listens."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{broker.process.pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(fd))
        except OSError:
            pass  # it is closed just now
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                found.add(int(words[1].rpartition(":")[2], 16))
    return found


def test_the_overview_tells_what_clients_do(brokers):
    served = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})  # for which nobody else asks anything
    web = Http(port_of(served))
    create_topic(served, "busy", partitions=2)
    stream = web.stream("/api/v1/live")
    first = stream.next("overview")
    assert (first["intervalSeconds"], first["messagesInPerSecond"], first["produceLatency"]["p50"]) == (None, None, None)
    assert first["partitions"]["total"] >= 2 and first["disks"][0]["path"] == str(served.data)
    stop = threading.Event()

    def load():
        with connect(served) as connection:
            while not stop.is_set():
                produce(connection, "busy", [(b"k", bytes(1000))] * 10)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        # With the load alone: our own questions are not counted, and those from before the stream not for long.
        seen = until(stream, "overview", lambda o: o["messagesInPerSecond"] and o["busiestTopics"] and [one["api"] for one in o["requests"]] == ["Produce"])
        topic = next(t for t in seen["busiestTopics"] if t["name"] == "busy")
        assert topic["bytesInPerSecond"] > 500 * topic["messagesInPerSecond"]
        asked = {one["api"]: one for one in seen["requests"]}
        assert asked["Produce"]["requestsPerSecond"] > 0 and 0 < asked["Produce"]["latency"]["p50"] <= asked["Produce"]["latency"]["max"]
        assert seen["produceLatency"] == asked["Produce"]["latency"]
        assert seen["networkInPerSecond"] > 0 and 0.2 < seen["intervalSeconds"] < 20
        detail = wait_until(lambda: (d := web.get("/api/v1/topics/busy"))["rates"]["messagesInPerSecond"] and d, 60, "the topic's rates")
        assert detail["rates"]["bytesInTotal"] > 10_000 and detail["sizeBytes"] > 10_000
        assert sum(p["rates"]["messagesInTotal"] for p in detail["partitions"]) == detail["rates"]["messagesInTotal"]
        busy = lambda: next(t for t in web.get("/api/v1/topics")["topics"] if t["name"] == "busy")  # noqa: E731
        wait_until(lambda: busy()["rates"]["messagesInPerSecond"], 60, "its rate among the topics")
        assert web.get("/api/v1/overview")["topics"] >= 1
    finally:
        stop.set()
        thread.join()
    until(stream, "overview", lambda o: o["messagesInPerSecond"] == 0 and o["produceLatency"]["p99"] is None)
    stream.close()


def test_what_goes_out_and_how_long_it_takes(web, served):
    from confluent_kafka import Consumer

    create_topic(served, "read", partitions=1)
    stream = web.stream("/api/v1/live")
    consumer = Consumer({"bootstrap.servers": served.bootstrap, "group.id": "reader", "auto.offset.reset": "earliest"})
    consumer.subscribe(["read"])
    stop = threading.Event()

    def read():
        while not stop.is_set():
            consumer.poll(0.1)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        for _ in range(60):
            put(web, "read", *["x" * 100] * 5)
            seen = stream.next("overview")
            if seen["bytesOutPerSecond"] and seen["deliveryLatency"]["p50"] is not None:
                break
        assert seen["messagesOutPerSecond"] > 0 and 0 < seen["deliveryLatency"]["p50"] < 60_000
    finally:
        stop.set()
        thread.join()
        consumer.close()
        stream.close()


def test_a_group_that_falls_behind_is_told_of(web, served):
    create_topic(served, "behind", partitions=1, retention_ms="-1")
    put(web, "behind", "1", "2", timestamp=1_000_000)
    web.json("POST", "/api/v1/groups/sleeper/offsets", {"to": "earliest", "topic": "behind"})
    stream = web.stream("/api/v1/live")
    seen = until(stream, "overview", lambda o: "sleeper" in [g["id"] for g in o["groupsBehind"]] and o["attention"])
    group = next(g for g in seen["groupsBehind"] if g["id"] == "sleeper")
    assert (group["lag"], group["members"]) == (2, 0) and group["lagSeconds"] > 1e9
    note = next(a for a in seen["attention"] if a["group"] == "sleeper")
    assert note["code"] == "GROUP_NOT_CONSUMING" and "sleeper" in note["message"] and "2 records" in note["message"]
    stream.close()


def test_one_sampling_for_all_and_none_when_nobody_looks(brokers):
    broker = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(broker))
    web.ask("GET", "/healthz")
    assert "sampler" not in threads_of(broker.process.pid)
    streams = [web.stream("/api/v1/live") for _ in range(5)]
    for stream in streams:
        stream.next("overview")
    assert threads_of(broker.process.pid).count("sampler") == 1
    last = [stream.next("overview")["time"] for stream in streams]
    assert max(last) - min(last) < 20_000
    for stream in streams:
        stream.close()
    wait_until(lambda: "sampler" not in threads_of(broker.process.pid), 60, "the sampler to end")
    assert web.get("/api/v1/overview")["intervalSeconds"] is None
    assert threads_of(broker.process.pid).count("sampler") == 1


def test_the_tail_shows_what_comes(web, served):
    create_topic(served, "tailed", partitions=2)
    put(web, "tailed", "before")
    stream = web.stream("/api/v1/topics/tailed/tail")
    wait_until(lambda: next_id(stream), 20, "the first position")
    put(web, "tailed", *map(str, range(5)), partition=0)
    assert [stream.next("record")["value"]["text"] for _ in range(5)] == ["0", "1", "2", "3", "4"]
    put(web, "tailed", "six", partition=1, key="k", headers=[{"key": "h", "value": "x"}])
    six = stream.next("record")
    assert (six["value"]["text"], six["key"]["text"], six["headers"][0]["value"]["text"]) == ("six", "k", "x")
    stream.close()


def next_id(stream):
    """Reads up to a position."""
    for line in stream.response:
        if line.startswith(b"id: "):
            stream.last_id = line[4:].strip().decode()
            return stream.last_id
    raise AssertionError("no id came")


def test_the_tail_through_a_filter_and_from_elsewhere(web, served):
    create_topic(served, "filtered", partitions=1)
    put(web, "filtered", *[f'{{"n": {n}}}' for n in range(20)])
    for query, expected in (("from=earliest&contains=1", ["1", "10", "11"]), ("from=offset:18", ["18", "19"]), ("from=earliest&field=n&equals=7", ["7"])):
        stream = web.stream(f"/api/v1/topics/filtered/tail?{query}")
        assert [stream.next("record")["value"]["text"] for _ in expected] == [f'{{"n": {n}}}' for n in expected]
        stream.close()


def test_a_tail_goes_on_where_it_was_broken_off(web, served):
    create_topic(served, "resumed", partitions=2)
    stream = web.stream("/api/v1/topics/resumed/tail")
    position = next_id(stream)
    stream.close()
    put(web, "resumed", "a", "b", partition=1)
    for _ in range(2):
        stream = web.stream("/api/v1/topics/resumed/tail", {"Last-Event-ID": position})
        assert [stream.next("record")["value"]["text"] for _ in range(2)] == ["a", "b"]
        while position_of(next_id(stream)) != [0, 2]:
            pass
        after = stream.last_id
        stream.close()
    put(web, "resumed", "c", partition=0)
    stream = web.stream("/api/v1/topics/resumed/tail", {"Last-Event-ID": after})
    assert stream.next("record")["value"]["text"] == "c"
    stream.close()
    stream = web.stream("/api/v1/topics/resumed/tail", {"Last-Event-ID": "nonsense"})
    next_id(stream)
    put(web, "resumed", "d", partition=0)
    assert stream.next("record")["value"]["text"] == "d"
    stream.close()


def position_of(text):
    return [int(part.split("-")[1]) for part in text.split(".")]


def test_more_than_a_person_can_read_is_passed_over(web, served):
    from kafka import KafkaProducer

    create_topic(served, "flood", partitions=1)
    producer = KafkaProducer(bootstrap_servers=served.bootstrap, linger_ms=50)
    for n in range(3000):
        producer.send("flood", b"%d" % n)
    producer.flush()
    producer.close()
    stream = web.stream("/api/v1/topics/flood/tail?from=earliest")
    shown, skipped = [], 0
    for name, data in stream:
        if name == "record":
            shown.append(int(data["value"]["text"]))
        if name == "skipped":
            skipped += data["records"]
        if len(shown) + skipped >= 3000:
            break
    assert shown[:200] == list(range(200)) and skipped >= 2000 and len(shown) + skipped == 3000
    stream.close()


def test_a_topic_that_goes_ends_its_tail(web, served):
    create_topic(served, "going", partitions=1)
    stream = web.stream("/api/v1/topics/going/tail")
    next_id(stream)
    web.json("DELETE", "/api/v1/topics/going")
    assert stream.next("end")["reason"] == "error"
    assert list(stream) == []
    stream.close()


def test_there_are_so_many_streams_and_no_more(brokers):
    broker = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(broker))
    streams = [web.stream("/api/v1/live") for _ in range(STREAMS)]
    assert [stream.status for stream in streams] == [200] * STREAMS
    assert web.error("GET", "/api/v1/live", status=429)["code"] == "TOO_MANY_STREAMS"
    assert web.ask("GET", "/healthz")[0] == 200
    for stream in streams:
        stream.close()
    wait_until(lambda: Http(web.port).ask("HEAD", "/api/v1/live")[0] == 200, 60, "a place for a stream")


def test_streams_end_when_the_broker_stops(brokers):
    broker = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    web = Http(port_of(broker))
    create_topic(broker, "t", partitions=1)
    streams = [web.stream("/api/v1/live"), web.stream("/api/v1/topics/t/tail")]
    streams[0].next("overview")
    next_id(streams[1])
    ends = []
    threads = [threading.Thread(target=lambda stream=stream: ends.append(stream.next("end")["reason"])) for stream in streams]
    for thread in threads:
        thread.start()
    broker.stop()
    for thread in threads:
        thread.join(20)
    assert ends == ["stopping"] * 2


def readers_of(broker):
    """The threads of HTTP connections."""
    return threads_of(broker.process.pid).count("MHD-connection")


def begin_body(port):
    one = socket.create_connection(("127.0.0.1", port), 5)
    one.sendall(b"POST /api/v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Odradek: 1\r\nContent-Length: 100000\r\n\r\n{")
    return one


def add_to_body(one):
    """False where nobody takes it any more."""
    try:
        one.sendall(b" ")
        return not select.select([one], [], [], 0)[0]
    except OSError:
        return False


def test_a_client_that_holds_its_connection_up_loses_it(brokers):
    """Who does not read gets no more memory than its socket has. One that comes back is told; one that does not gives its place up. Who does
    not write what it said it would has less time: ten seconds of silence, thirty for all of it."""
    broker = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    port = port_of(broker)
    create_topic(broker, "big", partitions=1)
    with connect(broker) as connection:
        for _ in range(40):
            produce(connection, "big", [(None, b"x" * 900_000)])
    path = "/api/v1/topics/big/tail?from=earliest&maxBytes=900000"
    late, never = (Http(port).stream(path, buffer_bytes=4096) for _ in range(2))
    assert late.status == never.status == 200 and readers_of(broker) == 2
    silent, slow = begin_body(port), begin_body(port)
    for _ in range(20):  # the time is what counts: ten seconds are slow, from when the socket is full
        assert add_to_body(slow)
        time.sleep(1)
    assert silent.recv(1) == b""
    assert late.next("end")["reason"] == "slow" and list(late) == []
    late.close()
    wait_until(lambda: not add_to_body(slow), 30, "a body in small pieces to be refused")
    wait_until(lambda: readers_of(broker) == 0, 120, "both readers' threads to end")
    silent.close()
    slow.close()
    never.close()
