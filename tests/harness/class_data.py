"""python -m harness.class_data FILE: makes an archive of the classes of Apache Kafka and its tools, parsed and checked, for the JVMs
that the tests start (java.class_data): each maps it, and starts in less than half of the time."""

import pathlib
import sys
import tempfile

from harness import java
from harness.broker import Kafka
from harness.process import run


def _lists_of_classes(folder):
    """What a broker and the tools that are asked most load, a file for each process."""
    made = []

    def listing():
        made.append(folder / f"{len(made)}.classes")
        return ["-Xshare:off", f"-XX:DumpLoadedClassList={made[-1]}"]

    java.class_data = listing
    broker = Kafka(folder / "broker").start()
    to = "--bootstrap-server", broker.bootstrap
    java.tool("kafka-topics", *to, "--create", "--topic", "t", "--partitions", 1)
    for codec in ("gzip", "zstd", "snappy", "lz4"):
        java.tool("kafka-console-producer", *to, "--topic", "t", "--compression-codec", codec, input_bytes=b"line\n")
    java.tool("kafka-console-consumer", *to, "--topic", "t", "--group", "g", "--from-beginning", "--max-messages", 4)
    java.tool("kafka-configs", *to, "--describe", "--all", "--topic", "t")
    java.tool("kafka-consumer-groups", *to, "--describe", "--group", "g")
    broker.stop()
    java.tool("kafka-dump-log", "--files", broker.partition_directory("t") / "00000000000000000000.log", "--deep-iteration")
    return made


def main(archive):
    with tempfile.TemporaryDirectory(prefix="odradek-classes-") as name:
        folder = pathlib.Path(name)
        lines = {line: None for made in _lists_of_classes(folder) for line in made.read_text().splitlines()}
        every = folder / "every.classes"
        every.write_text("\n".join(lines) + "\n")
        dump = ["-Xshare:dump", f"-XX:SharedClassListFile={every}", f"-XX:SharedArchiveFile={archive}", "-Xlog:disable"]
        run(["java", *dump, "-cp", f"{java.libs()}/*"], 120)


if __name__ == "__main__":
    main(sys.argv[1])
