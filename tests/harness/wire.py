"""A Kafka wire codec for tests, driven by the project's own schemas (protocol/*.msg): messages as plain dictionaries.

    message("FetchRequest").encode(12, {...})        # fields left out take their default
    obj, end = message("FetchResponse").decode(12, raw)
    with Connection("127.0.0.1", 9092) as c: c.call("Metadata", 12, {"Topics": None})

Names are Kafka's own ("ReplicaId"). bytes and records are bytes, a uuid is 16 bytes as hex, null is None.
It shares no code with the codec under test except the reading of the schemas.
"""

import functools
import importlib.util
import pathlib
import socket
import struct

NUMBERS = {
    "int8": ">b",
    "int16": ">h",
    "int32": ">i",
    "int64": ">q",
    "uint16": ">H",
    "uint32": ">I",
    "float64": ">d",
}
PLAIN = {*NUMBERS, "bool", "string", "bytes", "records", "uuid"}
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "protocol"


def encode_uvarint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def decode_uvarint(raw, at):
    n = shift = 0
    while True:
        x = raw[at]
        at += 1
        n |= (x & 127) << shift
        shift += 7
        if x < 128:
            return n, at


class Message:
    """Encodes and decodes one message, as its schema (of gen.py) says."""

    def __init__(self, schema):
        self.schema = schema
        self.name, self.key, self.versions = schema.name, schema.key, schema.versions
        self.flexible = schema.flexible

    @property
    def fields(self):
        return self.schema.root.fields

    @staticmethod
    def default(field):
        if field.default == "null":
            return None
        if field.array:
            return []
        if field.type in NUMBERS:
            text = field.default or "0"
            return float(text) if field.type == "float64" else int(text, 0)
        plain = {"bool": field.default == "true", "string": "", "bytes": b"", "records": None, "uuid": "00" * 16}
        if field.type == "string" and field.default not in (None, '""'):
            return field.default
        return plain.get(field.type, {})

    # -- encoding

    def encode(self, version, obj):
        return self._encode_struct(self.fields, version, obj or {})

    def _encode_struct(self, fields, version, obj):
        out, tags = [], []
        for field in fields:
            if version not in field.versions:
                continue
            value = obj.get(field.name, self.default(field))
            if field.tag is not None and version in field.tagged:
                if value != self.default(field):
                    tags.append((field.tag, self._encode_value(field, version, value, tagged=True)))
            else:
                out.append(self._encode_value(field, version, value))
        if version in self.flexible:
            out.append(encode_uvarint(len(tags)))
            for tag, data in sorted(tags):
                out.append(encode_uvarint(tag) + encode_uvarint(len(data)) + data)
        return b"".join(out)

    def _compact(self, field, version):
        return version in self.flexible and not field.not_compact

    def _encode_value(self, field, version, value, tagged=False):
        compact = self._compact(field, version)
        if tagged and value is None and field.struct and not field.array:
            return encode_uvarint(0)  # a null struct is 0 in a tagged field, -1 elsewhere
        if not field.array:
            return self._encode_one(field, version, value, compact)
        head = self._encode_length(None if value is None else len(value), compact, ">i")
        return head + b"".join(self._encode_one(field, version, one, compact) for one in value or ())

    @staticmethod
    def _encode_length(n, compact, plain):
        if compact:
            return encode_uvarint(0 if n is None else n + 1)
        return struct.pack(plain, -1 if n is None else n)

    def _encode_one(self, field, version, value, compact):
        kind = field.type
        if kind in NUMBERS:
            return struct.pack(NUMBERS[kind], value)
        if kind == "bool":
            return b"\1" if value else b"\0"
        if kind == "uuid":
            return bytes.fromhex(value)
        if kind in ("string", "bytes", "records"):
            data = value.encode() if kind == "string" and value is not None else value
            plain = ">h" if kind == "string" else ">i"
            return self._encode_length(None if data is None else len(data), compact, plain) + (data or b"")
        if version in field.nullable and not field.array:
            return b"\xff" if value is None else b"\1" + self._encode_struct(field.struct.fields, version, value)
        return self._encode_struct(field.struct.fields, version, value)

    # -- decoding

    def decode(self, version, raw, at=0):
        """(the message, the position behind it)."""
        return self._decode_struct(self.fields, version, raw, at)

    def _decode_struct(self, fields, version, raw, at):
        obj, tagged = {}, {}
        for field in fields:
            if version not in field.versions:
                continue
            if field.tag is not None and version in field.tagged:
                tagged[field.tag] = field
                continue
            obj[field.name], at = self._decode_value(field, version, raw, at)
        if version in self.flexible:
            count, at = decode_uvarint(raw, at)
            for _ in range(count):
                tag, at = decode_uvarint(raw, at)
                size, at = decode_uvarint(raw, at)
                if tag in tagged:
                    name = tagged[tag].name
                    obj[name], end = self._decode_value(tagged[tag], version, raw, at)
                    if end != at + size:
                        raise ValueError(f"{self.name}.{name}: {size} bytes announced, {end - at} read")
                else:
                    obj.setdefault("_unknown", []).append((tag, raw[at : at + size].hex()))
                at += size
        return obj, at

    def _decode_value(self, field, version, raw, at):
        compact = self._compact(field, version)
        if not field.array:
            return self._decode_one(field, version, raw, at, compact)
        count, at = self._decode_length(raw, at, compact, ">i")
        if count is None:
            return None, at
        out = []
        for _ in range(count):
            value, at = self._decode_one(field, version, raw, at, compact)
            out.append(value)
        return out, at

    @staticmethod
    def _decode_length(raw, at, compact, plain):
        if compact:
            n, at = decode_uvarint(raw, at)
            n -= 1
        else:
            (n,) = struct.unpack_from(plain, raw, at)
            at += struct.calcsize(plain)
        return (None if n < 0 else n), at

    def _decode_one(self, field, version, raw, at, compact):
        kind = field.type
        if kind in NUMBERS:
            return struct.unpack_from(NUMBERS[kind], raw, at)[0], at + struct.calcsize(NUMBERS[kind])
        if kind == "bool":
            return raw[at] != 0, at + 1
        if kind == "uuid":
            return raw[at : at + 16].hex(), at + 16
        if kind in ("string", "bytes", "records"):
            size, at = self._decode_length(raw, at, compact, ">h" if kind == "string" else ">i")
            if size is None:
                return None, at
            data = bytes(raw[at : at + size])
            if len(data) != size:
                raise EOFError(f"{self.name}.{field.name}: {size} bytes wanted, {len(data)} left")
            return (data.decode() if kind == "string" else data), at + size
        if version in field.nullable and not field.array:
            if raw[at] in (0xFF, 0):
                return None, at + 1
            at += 1
        return self._decode_struct(field.struct.fields, version, raw, at)


@functools.cache
def messages():
    """Every message of the project's schemas by its name."""
    spec = importlib.util.spec_from_file_location("odradek_gen", FOLDER / "gen.py")
    gen = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(gen)
    return {schema.name: Message(schema) for schema in gen.schemas(str(FOLDER)).messages}


def message(name):
    return messages()[name]


@functools.cache
def requests():
    """Each API's request by the API's name."""
    return {name.removesuffix("Request"): m for name, m in messages().items() if m.schema.kind == "request"}


class Connection:
    """One connection to a broker. call() sends a request and decodes its response."""

    def __init__(self, host, port, timeout_s=60, client_id="test"):
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation_id, self.client_id = 0, client_id

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_frame(self, raw):
        self.socket.sendall(struct.pack(">i", len(raw)) + raw)

    def receive_frame(self):
        (size,) = struct.unpack(">i", self._receive(4))
        return self._receive(size)

    def _receive(self, size):
        out = bytearray()
        while len(out) < size:
            data = self.socket.recv(size - len(out))
            if not data:
                raise EOFError("connection closed")
            out += data
        return bytes(out)

    def send(self, api, version, obj):
        """Sends a request without waiting; returns its correlation id."""
        self.correlation_id += 1
        self.send_frame(encode_request(api, version, obj, self.correlation_id, self.client_id))
        return self.correlation_id

    def receive(self, api, version):
        """(correlation id, response) of the next response, which answers this API and version."""
        return decode_response(api, version, self.receive_frame())

    def call(self, api, version, obj):
        wanted = self.send(api, version, obj)
        got, response = self.receive(api, version)
        if got != wanted:
            raise ValueError(f"{api} v{version}: correlation id {got}, wanted {wanted}")
        return response


def encode_request(api, version, obj, correlation_id=1, client_id="test"):
    request = requests()[api]
    header = {
        "RequestApiKey": request.key,
        "RequestApiVersion": version,
        "CorrelationId": correlation_id,
        "ClientId": client_id,
    }
    head = message("RequestHeader").encode(2 if version in request.flexible else 1, header)
    return head + request.encode(version, obj)


def decode_response(api, version, raw):
    """(correlation id, response)."""
    flexible = version in requests()[api].flexible and api != "ApiVersions"
    header, at = message("ResponseHeader").decode(1 if flexible else 0, raw)
    response, end = message(api + "Response").decode(version, raw, at)
    if end != len(raw):
        raise ValueError(f"{api} v{version}: {len(raw) - end} bytes left over")
    return header["CorrelationId"], response
