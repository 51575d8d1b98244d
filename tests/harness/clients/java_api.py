"""The Java client library, through a small program of ours (JavaClient.java) that does many jobs in one JVM."""

import base64
import json
import os
import pathlib
import tempfile

from harness import java
from harness.process import run
from harness.records import Record

_SOURCE = pathlib.Path(__file__).with_name("JavaClient.java")
_classes = None


def classes():
    """The folder with the compiled program; compiled once a run."""
    global _classes
    if _classes is None:
        _classes = tempfile.TemporaryDirectory(prefix="odradek-java-")
        run(["javac", "-cp", f"{java.libs()}/*", "-d", _classes.name, "-Xlint:all,-processing", "-proc:none", _SOURCE])
    return _classes.name


def jobs(bootstrap, wanted, timeout_s=120):
    """Runs a list of jobs (dictionaries; see JavaClient.java) and returns their results."""
    command = java.command("JavaClient", bootstrap, more_classes=classes())
    return json.loads(run(command, timeout_s, json.dumps(wanted).encode()))


def _encode(data):
    return None if data is None else base64.b64encode(data).decode()


def _decode(text):
    return None if text is None else base64.b64decode(text)


class JavaApi:
    name = "java"
    binary = True

    def produce(self, bootstrap, writes):
        jobs(
            bootstrap,
            [
                {
                    "do": "produce",
                    "topic": write.topic,
                    "partition": write.partition,
                    "settings": {
                        "compression.type": write.compression,
                        "enable.idempotence": str(write.idempotent).lower(),
                    },
                    "records": [
                        [
                            _encode(record.key),
                            _encode(record.value),
                            record.timestamp_ms,
                            [[name, _encode(value)] for name, value in record.headers],
                        ]
                        for record in write.records
                    ],
                }
                for write in writes
            ],
        )

    def consume(self, bootstrap, reads):
        results = jobs(
            bootstrap,
            [
                {
                    "do": "consume",
                    "topic": read.topic,
                    "partition": read.partition,
                    "offset": read.offset,
                    "count": read.count,
                    "settings": {},
                }
                for read in reads
            ],
        )
        return [
            [
                Record(_decode(key), _decode(value), tuple((name, _decode(data)) for name, data in headers), timestamp_ms)
                for key, value, timestamp_ms, headers in result["records"]
            ]
            for result in results
        ]
