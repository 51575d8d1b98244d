"""Record batches of magic 2: batch([(key, value, [(name, value)])...]) -> bytes; parse(bytes) -> what they hold."""

import gzip
import struct
import zlib

import cramjam
import lz4.frame
import zstandard
from crc32c import crc32c

from harness.wire import encode_uvarint

COMPRESSION_MASK, CONTROL = 7, 32
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
JAVA_SNAPPY = b"\x82SNAPPY\0" + struct.pack(">ii", 1, 1)


def compress(codec, data):
    """Snappy as librdkafka writes it: one raw block."""
    if codec == GZIP:
        return gzip.compress(data, mtime=0)
    if codec == SNAPPY:
        return bytes(cramjam.snappy.compress_raw(data))
    if codec == LZ4:
        return lz4.frame.compress(data, block_linked=False)  # Kafka reads no blocks that depend on each other
    return zstandard.compress(data) if codec == ZSTD else data


def decompress(codec, data):
    if codec == GZIP:
        return zlib.decompress(data, 31)
    if codec == SNAPPY:
        return _decompress_snappy(data)
    if codec == LZ4:
        return lz4.frame.decompress(data)
    if codec == ZSTD:
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    if codec:
        raise ValueError(f"no such compression: {codec}")
    return data


def _decompress_snappy(data):
    if not data.startswith(JAVA_SNAPPY[:8]):
        return bytes(cramjam.snappy.decompress_raw(data))
    out, at = b"", len(JAVA_SNAPPY)
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        out += bytes(cramjam.snappy.decompress_raw(data[at + 4 : at + 4 + size]))
        at += 4 + size
    return out


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
    step_ms=1,
):
    """ts: the first record's time; each later one's is step_ms after the one before."""
    body = b""
    for i, record in enumerate(records):
        key, value, headers = record if len(record) == 3 else (*record, [])
        one = b"\0" + varint(i * step_ms) + varint(i) + _blob(key) + _blob(value) + varint(len(headers))
        one += b"".join(_blob(name.encode()) + _blob(data) for name, data in headers)
        body += varint(len(one)) + one
    n = len(records)
    body = compress(attributes & COMPRESSION_MASK, body)
    rest = struct.pack(">hiqqqhii", attributes, n - 1, ts, max(ts, ts + (n - 1) * step_ms), pid, epoch, seq, n) + body
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
    try:
        body = decompress(out["Attributes"] & COMPRESSION_MASK, rest[40:])
        out["Content"] = parse_records(body, out["Records"])
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
