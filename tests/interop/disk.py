"""What Apache Kafka's tools say of a log directory."""

import re

from harness import java
from harness.process import wait_until

COMPLAINTS = re.compile(r"mismatch|isvalid: false|out of order|missing|corrupt|exception|could not|invalid", re.IGNORECASE)
GAP = re.compile(r"\b(?<!-)\d+ is followed by")  # of any log file that begins behind offset 0 the tool says that -1 is
METADATA = "__cluster_metadata-0"


def files(data, *suffixes):
    """The files of all topic partitions."""
    found = [path for path in sorted(data.glob("*-*/*")) if path.suffix in suffixes and path.parent.name != METADATA]
    return [str(path) for path in found]


def check_dump(out, what, compacted=False):
    bad = [line for line in out.split("\n") if COMPLAINTS.search(line) and "isvalid: true" not in line]
    bad += [] if compacted else GAP.findall(out)
    assert not bad, f"kafka-dump-log of {what}:\n" + "\n".join(bad[:20])


def dump(names, *options):
    """What it writes, and behind that what it complains of, which goes to standard error."""
    return "".join(java.tool_noting("kafka-dump-log", "--files", ",".join(names), *options, timeout_s=120))


def check_directory(data, compacted=False):
    """kafka-dump-log reads every file of a broker that stopped; returns the number of records it met. Where logs are compacted, there are gaps."""
    logs = files(data, ".log")
    out = dump(logs, "--deep-iteration")
    check_dump(out, "the logs", compacted)
    indexes = files(data, ".index", ".timeindex", ".txnindex")
    if indexes:
        checked = dump(indexes, "--index-sanity-check")
        check_dump(checked, "the indexes")
        check_dump(dump(indexes), "the indexes against their logs")
    snapshots = files(data, ".snapshot")
    if snapshots:
        check_dump(dump(snapshots), "the producer snapshots")
    return len(re.findall(r"^\| offset: ", out, re.M))


def check_metadata(data):
    """kafka-dump-log and kafka-metadata-shell read the cluster's metadata; returns what the log's dump says."""
    logs = [str(path) for path in sorted((data / METADATA).glob("*.log"))]
    out = dump(logs, "--cluster-metadata-decoder")
    check_dump(out, "the metadata log")
    checkpoints = [str(path) for path in sorted((data / METADATA).glob("*.checkpoint"))]
    if checkpoints:
        check_dump(dump(checkpoints, "--cluster-metadata-decoder"), "the metadata snapshots")
    return out


def metadata_shell_shows(data, words, *command, file=None):
    """The tool waits until it has read the log, but not until it has made a picture of it: on a busy machine it may print less, or nothing."""
    log = file or data / METADATA / "00000000000000000000.log"
    printed = []

    def shows():
        printed.append(java.tool("kafka-metadata-shell", "--snapshot", log, *command))
        return words in printed[-1]

    try:
        wait_until(shows, 120, words)
    except TimeoutError:
        raise AssertionError(f"kafka-metadata-shell {command} never shows {words}:\n" + "\n".join(printed)) from None
