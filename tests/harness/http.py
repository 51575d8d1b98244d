"""The broker's HTTP server as a client sees it; every answer is held against docs/openapi.json."""

import functools
import http.client
import json
import pathlib
import re
import socket
import urllib.parse

import jsonschema

from harness.process import wait_until

CHANGES = {"X-Odradek": "1"}
OPENAPI = pathlib.Path(__file__).resolve().parents[2] / "docs" / "openapi.json"


def port_of(broker):
    return int(wait_until(lambda: re.search(r"http: http://127\.0\.0\.1:(\d+)", broker.log_text()), 20, "the HTTP address")[1])


@functools.cache
def openapi():
    return json.loads(OPENAPI.read_text())


@functools.cache
def validator(schema):
    """Of a schema, as JSON text; its references lead into the file."""
    return jsonschema.Draft202012Validator({**json.loads(schema), "components": openapi()["components"]})


def check(value, schema):
    validator(json.dumps(schema)).validate(value)


def resolve(thing):
    while "$ref" in thing:
        where = openapi()
        for part in thing["$ref"].removeprefix("#/").split("/"):
            where = where[part]
        thing = where
    return thing


def operation_of(method, path):
    """(path of the file, operation), or (None, None)."""
    path = path.split("?")[0]
    for pattern, operations in openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(pattern)), path) and method.lower() in operations:
            return pattern, operations[method.lower()]
    return None, None


def check_answer(method, path, status, content, kind):
    """The answer is one that the file promises for the operation."""
    _, operation = operation_of(method, path)
    if operation is None:
        check(json.loads(content), {"$ref": "#/components/schemas/Error"})
        return
    response = resolve(operation["responses"].get(str(status)) or operation["responses"]["default"])
    assert str(status) in operation["responses"] or status >= 400, (method, path, status)
    kind = kind.split(";")[0]
    assert kind in response["content"], (method, path, status, kind)
    if kind == "application/json":
        check(json.loads(content), response["content"][kind]["schema"])


def quoted(name):
    return urllib.parse.quote(name, safe="")


class Http:
    """One keep-alive connection to the HTTP server."""

    def __init__(self, port):
        self.port = port
        self.called = set()  # (method, path of the file)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, path, body=None, headers=()):
        data = json.dumps(body) if isinstance(body, dict) else body
        self.connection.request(method, path, body=data, headers=dict(headers))
        response = self.connection.getresponse()
        return response.status, response.read(), response.headers

    def json(self, method, path, body=None, headers=CHANGES, status=200):
        got, content, kinds = self.ask(method, path, body, headers)
        assert got == status, (method, path, got, content)
        assert kinds["Content-Type"] == "application/json"
        check_answer(method, path, got, content, kinds["Content-Type"])
        self.called.add((method, operation_of(method, path)[0]))
        return json.loads(content)

    def get(self, path, **query):
        """A GET with parameters; `from_` stands for from."""
        words = urllib.parse.urlencode({name.rstrip("_"): value for name, value in query.items()}, quote_via=urllib.parse.quote)
        return self.json("GET", path + ("?" + words if words else ""))

    def error(self, method, path, body=None, headers=CHANGES, status=400):
        return self.json(method, path, body, headers, status)["error"]

    def stream(self, path, headers=(), buffer_bytes=None):
        return Stream(self.port, path, headers, buffer_bytes)


class Stream:
    """Server-sent events, one after the other; their data is held against the file."""

    def __init__(self, port, path, headers=(), buffer_bytes=None):
        self.path, self.last_id = path, None
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        if buffer_bytes:
            self.connection.sock = socket.socket()
            self.connection.sock.settimeout(60)
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
            self.connection.sock.connect(("127.0.0.1", port))
        self.connection.request("GET", path, headers=dict(headers))
        self.response = self.connection.getresponse()
        self.status = self.response.status
        if self.status == 200:
            assert self.response.headers["Content-Type"] == "text/event-stream"
            content = operation_of("GET", path)[1]["responses"]["200"]["content"]["text/event-stream"]
            self.schemas = content["x-events"]

    def __iter__(self):
        """(name, data) of each event."""
        name = data = None
        for line in self.response:
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                data = json.loads(value)
            elif field == "id":
                self.last_id = value
            elif field == "" and name is not None:
                check(data, self.schemas[name])
                yield name, data
                name = data = None

    def next(self, wanted):
        """The data of the next event of this name; others on the way are passed over."""
        for name, data in self:
            if name == wanted:
                return data
        raise AssertionError(f"{self.path} ended before an event '{wanted}'")

    def close(self):
        self.response.close()
        self.connection.close()
