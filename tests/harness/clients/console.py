"""Kafka's console producer and consumer: lines of text."""

import re

from harness import java
from harness.clients.client import Client, assert_no_complaints
from harness.records import Record

_NULL = "~null~"


USUAL = re.compile(r"Processed a total of \d+ messages|The consumer rebalance protocol \(KIP-848\) is production-ready! Set group\.protocol=consumer .*")


def run_console(which, *words, may_complain=False, **more):
    """What the console producer or consumer writes to standard output; an AssertionError where it complains."""
    out, said = java.tool_noting(f"kafka-console-{which}", *words, **more)
    if not may_complain:
        assert_no_complaints(f"the console {which}", said, USUAL)
    return out


class Console(Client):
    name = "console"
    binary = False

    def produce(self, bootstrap, writes, may_complain=False):
        for write in writes:
            lines = (self._line(record) for record in write.records)
            properties = {"parse.key": "true", "parse.headers": "true", "null.marker": _NULL}
            command = ["--bootstrap-server", bootstrap, "--topic", write.topic]
            command += ["--compression-codec", write.compression]
            command += ["--command-property", f"enable.idempotence={'true' if write.idempotent else 'false'}"]
            command += ["--command-property", "delivery.timeout.ms=30000", "--request-timeout-ms", "20000"]
            if write.max_bytes:
                command += ["--command-property", f"max.request.size={write.max_bytes}"]
            for name, value in properties.items():
                command += ["--reader-property", f"{name}={value}"]
            run_console("producer", *command, input_bytes="".join(lines).encode(), may_complain=may_complain)

    def _line(self, record):
        headers = ",".join(f"{name}:{value.decode()}" for name, value in record.headers) or _NULL
        key, value = (_NULL if x is None else x.decode() for x in (record.key, record.value))
        return f"{headers}\t{key}\t{value}\n"

    def consume(self, bootstrap, reads):
        return [self._consume(bootstrap, read) for read in reads]

    def _consume(self, bootstrap, read):
        command = ["--bootstrap-server", bootstrap, "--topic", read.topic, "--partition", read.partition]
        command += ["--offset", read.offset, "--max-messages", read.count, "--timeout-ms", 30000]
        for name in ("print.headers", "print.key", "print.value"):
            command += ["--formatter-property", f"{name}=true"]
        command += ["--formatter-property", f"null.literal={_NULL}"]
        out = run_console("consumer", *command)
        return [self._record(line) for line in out.split("\n") if line]

    def _record(self, line):
        headers, key, value = line.split("\t")
        pairs = [] if headers == "NO_HEADERS" else [h.partition(":") for h in headers.split(",")]
        return Record(
            None if key == _NULL else key.encode(),
            None if value == _NULL else value.encode(),
            tuple((name, text.encode()) for name, _, text in pairs),
        )
