"""Record batches of magic 2, uncompressed or gzip: batch([(key, value, [(name, value)])...]) -> bytes; parse(bytes)."""

import gzip
import struct
import zlib

from crc32c import crc32c

from harness.wire import encode_uvarint

COMPRESSION_MASK, GZIP, CONTROL = 7, 1, 32


def varint(n):
    return encode_uvarint(((n << 1) ^ (n >> 63)) & (1 << 64) - 1)


def unvarint(raw, at):
    n = shift = 0
    while True:
        x = raw[at]
        at += 1
        n |= (x & 127) << shift
        shift += 7
        if x < 128:
            return (n >> 1) ^ -(n & 1), at


def _blob(data):
    return varint(-1) if data is None else varint(len(data)) + data


def batch(
    records,
    base_offset=0,
    ts=1700000000000,
    pid=-1,
    epoch=-1,
    seq=-1,
    attributes=0,
    leader_epoch=-1,
    magic=2,
):
    body = b""
    for i, record in enumerate(records):
        key, value, headers = record if len(record) == 3 else (*record, [])
        one = b"\0" + varint(i) + varint(i) + _blob(key) + _blob(value) + varint(len(headers))
        one += b"".join(_blob(name.encode()) + _blob(data) for name, data in headers)
        body += varint(len(one)) + one
    n = len(records)
    if attributes & COMPRESSION_MASK == GZIP:
        body = gzip.compress(body, mtime=0)
    rest = struct.pack(">hiqqqhii", attributes, n - 1, ts, ts + n - 1, pid, epoch, seq, n) + body
    return struct.pack(">qiibI", base_offset, 9 + len(rest), leader_epoch, magic, crc32c(rest)) + rest


def parse(raw):
    """The whole batches in raw as dictionaries, and {'cut': n} for n bytes of an unfinished one at the end."""
    out, at = [], 0
    while at + 12 <= len(raw):
        base, length = struct.unpack_from(">qi", raw, at)
        if at + 12 + length > len(raw):
            break
        out.append(_parse_batch(base, raw[at + 12 : at + 12 + length]))
        at += 12 + length
    if at < len(raw):
        out.append({"cut": len(raw) - at})
    return out


def _parse_batch(base, raw):
    epoch, magic, crc = struct.unpack_from(">ibI", raw)
    rest = raw[9:]
    out = {"BaseOffset": base, "Magic": magic, "CrcOk": crc32c(rest) == crc}
    if magic != 2:
        return out
    names = "Attributes LastOffsetDelta BaseTimestamp MaxTimestamp ProducerId ProducerEpoch BaseSequence Records"
    out["LeaderEpochOfBatch"] = epoch
    out.update(zip(names.split(), struct.unpack_from(">hiqqqhii", rest)))
    compression, body = out["Attributes"] & COMPRESSION_MASK, rest[40:]
    try:
        if compression == GZIP:
            body = zlib.decompress(body, 31)
        if compression in (0, GZIP):
            out["Content"] = parse_records(body, out["Records"])
        else:
            out["Body"] = body.hex()
    except Exception as problem:
        out["Content"] = f"unreadable: {type(problem).__name__}"
    return out


def parse_records(body, count):
    """[timestamp delta, offset delta, key, value, headers] of each record, bytes as hex; 'length' marks a wrong one."""

    def blob(at):
        size, at = unvarint(body, at)
        return (None if size < 0 else body[at : at + size].hex()), at + max(size, 0)

    out, at = [], 0
    for _ in range(count):
        size, at = unvarint(body, at)
        end = at + size
        timestamp_delta, at = unvarint(body, at + 1)
        offset_delta, at = unvarint(body, at)
        key, at = blob(at)
        value, at = blob(at)
        header_count, at = unvarint(body, at)
        headers = []
        for _ in range(header_count):
            name, at = blob(at)
            data, at = blob(at)
            headers.append([bytes.fromhex(name).decode(), data])
        out.append([timestamp_delta, offset_delta, key, value, headers] + ([] if at == end else ["length"]))
    return out
