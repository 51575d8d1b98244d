"""What HTTP clients do that mean harm, or are broken."""

import concurrent.futures
import socket

import pytest

from harness.http import CHANGES, Http, port_of
from harness.process import wait_until
from harness.requests import create_topic

pytestmark = pytest.mark.ours
CONNECTIONS = 64  # that are open at once


@pytest.fixture(scope="module")
def served(module_brokers):
    broker = module_brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    create_topic(broker, "t", partitions=1)
    return broker


def raw(port, data, timeout_s=20):
    """What comes back for these bytes, up to the end of the stream or of the first answer."""
    with socket.create_connection(("127.0.0.1", port), timeout_s) as connection:
        got = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                got += piece
        except OSError:
            pass  # it was closed before all was sent or read
        return got


def is_well(web):
    assert Http(web.port).ask("GET", "/healthz")[0] == 200


def test_many_that_say_nothing_keep_nobody_out(web):
    """Slow loris: connections that send nothing, or a header a byte at a time."""
    held = []
    try:
        for n in range(3 * CONNECTIONS):
            one = socket.create_connection(("127.0.0.1", web.port), 20)
            one.sendall([b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ", b"POST /api/v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Odradek: 1\r\nContent-Length: 1000\r\n\r\n{"][n % 3])
            held.append(one)
            if n % 16 == 0:
                is_well(web)
        is_well(web)
    finally:
        for one in held:
            one.close()
    is_well(web)


def test_many_at_once_are_all_answered(web):
    def ask(_):
        return [Http(web.port).ask("GET", "/api/v1/topics")[0] for _ in range(5)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(status == [200] * 5 for status in pool.map(ask, range(40)))


@pytest.mark.parametrize("data", [
    b"", b"\r\n", b"GET", b"GET /healthz", b"GET /healthz HTTP/1.1", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1", b"\x00" * 1000, b"\xff" * 1000, b"GET / HTTP/9.9\r\n\r\n",
    b"POST /api/v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Odradek: 1\r\nContent-Length: 10\r\n\r\n{", b"POST /api/v1/topics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /api/v1/topics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n", b"GET /healthz HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
])
def test_what_is_no_request_harms_nobody(web, data):
    answer = raw(web.port, data)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4") or answer.startswith(b"HTTP/1.0 4") or answer.startswith(b"HTTP/1.1 5"), answer[:100]
    is_well(web)


@pytest.mark.parametrize("headers", [
    ["Host: 127.0.0.1", "Content-Length: 5", "Transfer-Encoding: chunked"], ["Host: 127.0.0.1", "Content-Length: 5", "Content-Length: 90"], ["Host: 127.0.0.1", "Content-Length: 5", "Content-Length: 5"],
    ["Host: 127.0.0.1", "Transfer-Encoding: xchunked"], ["Host: 127.0.0.1", "Transfer-Encoding: chunked", "Transfer-Encoding: identity"], ["Host: 127.0.0.1", "host: elsewhere.example"],
    ["Host: elsewhere.example", "Host: 127.0.0.1"], [],
])
def test_what_can_be_read_in_two_ways_is_not_read(web, headers):
    """Else a proxy sees one request and we another, or two: what follows is not taken for one."""
    lines = ["POST /api/v1/topics HTTP/1.1", "X-Odradek: 1", *headers, "", "0", "", "DELETE /api/v1/topics/t HTTP/1.1", "Host: 127.0.0.1", "X-Odradek: 1", "", ""]
    answer = raw(web.port, "\r\n".join(lines).encode())
    assert answer.startswith(b"HTTP/1.1 400") and answer.count(b"HTTP/1.1") == 1 and b"Connection: close" in answer, answer
    assert web.get("/api/v1/topics/t")["name"] == "t"


def test_headers_that_are_large_but_fit(web):
    assert web.ask("GET", "/healthz", headers={"X-Large": "y" * 8000})[0] == 200


@pytest.mark.parametrize("path", [b"/api/v1/topics/\xff\xfe", b"/\xc3\x28", b"/api/v1/topics/%ff", b"/api/v1/topics/t/records?key=%c3%28", b"/api/v1/topics/t/records?\xff=1",
                                  b"/api/v1/topics/%ed%a0%80", b"/nothing\xff"])
def test_bad_utf_8_is_told_in_good_json(web, path):
    answer = raw(web.port, b"GET " + path + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")) and body.decode().startswith('{"error":'), answer
    is_well(web)


@pytest.mark.parametrize("path", ["/../etc/passwd", "/..%2f..%2fetc%2fpasswd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/index.html/../../etc/passwd", "/.", "/..", "/%00", "/js/../index.html%00"])
def test_no_path_leads_elsewhere(web, path):
    status, content, _ = web.ask("GET", path)
    assert status == 404 and b"root:" not in content


@pytest.mark.parametrize("host", ["elsewhere.example", "127.0.0.1.elsewhere.example", "[::1", "127.0.0.1@elsewhere.example", "localhost.", "\u00ff", "x" * 300, "elsewhere.example\x00", "elsewhere.example\x00127.0.0.1"])
def test_a_foreign_host_gets_nothing(web, host):
    for path in ("/", "/healthz", "/api/v1/topics", "/api/v1/live"):
        answer = raw(web.port, f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 421"), (path, answer[:200])


def test_a_foreign_origin_gets_nothing(web):
    for method, path in (("GET", "/api/v1/topics"), ("GET", "/api/v1/live"), ("POST", "/api/v1/topics"), ("DELETE", "/api/v1/topics/t")):
        for origin in ("http://elsewhere.example", "null", "http://127.0.0.1:1", f"http://127.0.0.1:{web.port}.elsewhere.example", "127.0.0.1"):
            status, content, headers = web.ask(method, path, headers={**CHANGES, "Origin": origin})
            assert status == 403 and b"INVALID_ORIGIN" in content and "Access-Control-Allow-Origin" not in headers
    assert web.ask("GET", "/api/v1/topics/t", headers={"Origin": f"http://127.0.0.1:{web.port}"})[0] == 200


def test_nothing_changes_without_the_header(web):
    from harness.http import openapi

    changing = [(method, path) for path, operations in openapi()["paths"].items() for method in operations if method != "get"]
    assert len(changing) >= 9
    for method, path in changing:
        at = path.replace("{topic}", "t").replace("{", "").replace("}", "")
        status, content, _ = web.ask(method.upper(), at, {"name": "x"})
        assert status == 403 and b"X-Odradek" in content, (method, path)
    assert [topic["name"] for topic in web.get("/api/v1/topics")["topics"]] == ["t"]


def test_every_answer_says_what_a_browser_may_do_with_it(web):
    for path in ("/healthz", "/api/v1/topics", "/api/v1/nothing"):
        headers = web.ask("GET", path)[2]
        assert headers["X-Content-Type-Options"] == "nosniff" and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("body", ["[" * 100_000, '{"a":' * 3000, '{"name": "\\ud800"}', '{"name": "a\\u0000b"}', b'{"name": "\xff"}', '{"name": 1e999}', '{"partitions": 99999999999999999999, "name": "x"}'])
def test_bodies_that_are_made_to_hurt(web, body):
    status = web.ask("POST", "/api/v1/topics", body, CHANGES)[0]
    assert status == 400
    is_well(web)


def test_json_that_is_nested_deep_in_records(web):
    for depth in (1000, 2000, 100_000):
        text = "[" * depth + "]" * depth
        web.json("POST", "/api/v1/topics/t/records", {"value": text}, status=201)
    found = web.get("/api/v1/topics/t/records", field="0." * 1500 + "0", equals="x")
    assert found["records"] == [] and found["scannedRecords"] == 3
    assert [record["value"]["format"] for record in web.get("/api/v1/topics/t/records")["records"]] == ["text", "json", "json"]


def test_clients_that_leave_in_the_middle_leave_nothing(brokers):
    broker = brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    port = port_of(broker)
    create_topic(broker, "t", partitions=1)
    for n in range(100):
        one = socket.create_connection(("127.0.0.1", port), 20)
        one.sendall([b"GET /api/v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                     b"GET /api/v1/topics/t/tail HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"POST /api/v1/topics HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\n{"][n % 4])
        one.close()

    def open_connections():
        text = Http(port).ask("GET", "/metrics")[1].decode()
        return int(text.partition("\nodradek_connections ")[2].split()[0])

    wait_until(lambda: open_connections() <= 2, 60, "the connections to the broker to end")  # the sampler may have one
