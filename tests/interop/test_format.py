"""odradek format as kafka-storage: the levels that a cluster begins with, and the words for what cannot be."""

import json
import re

import pytest

from harness import java
from harness.broker import CLUSTER_ID, odradek_binary
from harness.process import run, run_noting

FORMATTED = {
    "a release": ["--release-version", "4.0"],
    "features": ["--feature", "transaction.version=1", "--feature", "group.version=0", "--feature", "metadata.version=26"],
}
REFUSED = {
    "an unknown one": ["--feature", "zzz.version=1", "--feature", "aaa.version=1"],
    "an unknown release": ["--release-version", "4.4"],
    "an unknown level": ["--feature", "transaction.version=3"],
    "what depends": ["--feature", "metadata.version=22", "--feature", "eligible.leader.replicas.version=1"],
}


@pytest.fixture
def formatted(brokers):
    """Formats as the one or the other does: the directory, and what it said."""

    def form(kind, words, status):
        broker = brokers.new(kind)
        broker.data.mkdir(parents=True)
        broker.properties_path.write_text("".join(f"{name}={value}\n" for name, value in broker.settings.items()))
        command = {
            "odradek": [odradek_binary(), "format", "-i", CLUSTER_ID, broker.properties_path],
            "kafka": java.command(java.TOOLS["kafka-storage"], "format", "-t", CLUSTER_ID, "-c", broker.properties_path),
        }[kind]
        out, error = run_noting([*command, "--standalone", *words], ok=(status,))
        return broker.data, out.decode() + error

    return form


def levels(directory):
    """What bootstrap.checkpoint says, record by record."""
    dumped = run([odradek_binary(), "log", "dump", "--records", "--json", directory / "bootstrap.checkpoint"])
    rows = [json.loads(line) for line in dumped.splitlines()]
    return [(row["type"], row["version"], row["data"]) for row in rows if row["kind"] == "record"]


@pytest.mark.parametrize("what", FORMATTED)
def test_levels(formatted, what):
    ours, theirs = (levels(formatted(kind, FORMATTED[what], 0)[0]) for kind in ("odradek", "kafka"))
    assert ours == theirs and len(ours) > 3


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be(formatted, what):
    ours, theirs = (formatted(kind, REFUSED[what], 1)[1] for kind in ("odradek", "kafka"))
    said = re.sub(r'^Exception in thread "main" [\w.]+: ', "", theirs).splitlines()[0]
    assert ours == f"odradek format: {said}\n"
