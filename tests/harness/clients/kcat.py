"""kcat (librdkafka's own command line), from Debian."""

import itertools
import re

from harness.clients.client import Client, assert_no_complaints
from harness.process import run_noting
from harness.records import Record

_HEAD = re.compile(rb"@(-?\d+),(-?\d+),(-?\d+),(.*)\n")


def run_kcat(*words, timeout_s=60, input_bytes=None, may_complain=False):
    """What it writes to standard output, as bytes; an AssertionError where it complains."""
    out, said = run_noting(["kcat", *words], timeout_s, input_bytes)
    if not may_complain:
        assert_no_complaints("kcat", said)
    return out


class Kcat(Client):
    name = "kcat"
    binary = False  # reads headers as text; an empty value is a null to it

    def produce(self, bootstrap, writes, may_complain=False):
        for write in writes:
            # -H holds for a whole run of kcat, so records with the same headers go together
            for headers, group in itertools.groupby(write.records, key=lambda record: record.headers):
                self._produce(bootstrap, write, headers, list(group), may_complain)

    def _produce(self, bootstrap, write, headers, records, may_complain):
        keyed = [(record, record.key is not None) for record in records]
        for has_key, group in itertools.groupby(keyed, key=lambda pair: pair[1]):
            command = ["-P", "-b", bootstrap, "-t", write.topic, "-p", write.partition, "-Z"]
            command += ["-X", f"compression.codec={write.compression}", "-X", "linger.ms=5"]
            command += ["-X", f"enable.idempotence={'true' if write.idempotent else 'false'}"]
            if write.max_bytes:
                command += ["-X", f"message.max.bytes={write.max_bytes}"]
            for name, value in headers:
                command += ["-H", f"{name}={value.decode()}"]
            lines = []
            for record, _ in group:
                assert record.value != b"", "kcat writes an empty value as a null"
                lines.append((record.key + b"\t" if has_key else b"") + (record.value or b""))
            if has_key:
                command += ["-K", "\t"]
            run_kcat(*command, input_bytes=b"\n".join(lines) + b"\n", may_complain=may_complain)

    def consume(self, bootstrap, reads):
        return [self._consume(bootstrap, read) for read in reads]

    def _consume(self, bootstrap, read):
        command = ["-C", "-q", "-b", bootstrap, "-t", read.topic, "-p", read.partition, "-o", read.offset]
        command += ["-c", read.count, "-X", "check.crcs=true", "-f", "@%K,%S,%T,%h\n%k%s"]
        return list(self._parse(run_kcat(*command)))

    def _parse(self, out):
        at = 0
        while at < len(out):
            head = _HEAD.match(out, at)
            assert head, f"kcat's output at {at}: {out[at:at + 100]!r}"
            key_size, value_size, timestamp = (int(head.group(i)) for i in (1, 2, 3))
            at = head.end()
            key = None if key_size < 0 else out[at : at + key_size]
            at += max(key_size, 0)
            value = None if value_size < 0 else out[at : at + value_size]
            at += max(value_size, 0)
            headers = tuple(
                (name.decode(), value_) for name, _, value_ in (h.partition(b"=") for h in head.group(4).split(b",") if h)
            )
            yield Record(key, value, headers, timestamp)
