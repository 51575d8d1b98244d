"""The dashboard's files in the binary: whole, compressed, asked for once."""

import gzip
import http.client
import pathlib

import pytest

from harness.process import wait_until

pytestmark = pytest.mark.ours
WEB = pathlib.Path(__file__).resolve().parents[2] / "web"
FILES = {f"/{path.relative_to(WEB)}": path for path in WEB.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg")}
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
EVERYTHING_MOST_BYTES = 300_000  # compressed: with all of its pages, so the first load is less


@pytest.fixture(scope="module")
def port(module_brokers):
    broker = module_brokers.start(settings={"http.listeners": "http://127.0.0.1:0"})
    return int(wait_until(lambda: broker.log_text().partition("http: http://127.0.0.1:")[2], 20, "the HTTP address").split()[0])


@pytest.fixture
def get(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(path, headers=(), method="GET"):
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.read(), response.headers

    yield ask
    connection.close()


def test_each_file_is_served_whole(get):
    assert "/index.html" in FILES and "/js/main.js" in FILES
    for path, file in FILES.items():
        for coding in ("gzip, deflate, br", "identity", "gzip;q=0, *;q=0"):
            status, content, headers = get(path, {"Accept-Encoding": coding})
            packed = headers["Content-Encoding"] == "gzip"
            assert (status, packed) == (200, coding.startswith("gzip,")), (path, coding)
            assert (gzip.decompress(content) if packed else content) == file.read_bytes(), path
            assert headers["Content-Type"].startswith(TYPES[file.suffix])
    assert get("/")[1] == FILES["/index.html"].read_bytes()
    assert b"Chart.js v" in get("/vendor/chart.js")[1][:200]


def test_all_of_it_is_small(get):
    sizes = {path: len(get(path, {"Accept-Encoding": "gzip"})[1]) for path in (*FILES, "/vendor/chart.js")}
    assert sum(sizes.values()) < EVERYTHING_MOST_BYTES, sizes


def test_what_the_browser_has_is_not_sent_again(get):
    tag = get("/js/main.js")[2]["ETag"]
    for has in (tag, f'"x", W/{tag}', "*"):
        status, content, headers = get("/js/main.js", {"If-None-Match": has})
        assert (status, content, headers["ETag"]) == (304, b"", tag), has
    assert get("/js/main.js", {"If-None-Match": '"other"'})[0] == 200
    assert get("/index.html")[2]["ETag"] != tag


def test_what_a_browser_is_told(get):
    headers = get("/")[2]
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-cache" and headers["Vary"] == "Accept-Encoding"
    assert get("/", method="HEAD")[:2] == (200, b"")


def test_nothing_else_is_served(get):
    for path in ("/index", "/js", "/js/", "/js/../index.html", "/embed.py", "/meson.build", "/%2e%2e/README.md", "//index.html"):
        assert get(path)[0] == 404, path
    assert get("/", {"Host": "elsewhere.example"})[0] == 421
    assert get("/", {"X-Odradek": "1"}, method="POST")[0] in (404, 405)
