"""odradek config and odradek topic alter against a running broker."""

import json
import subprocess

import pytest

from harness.broker import cli_binary
from harness.process import die_with_parent


@pytest.fixture
def at(broker):
    def command(text, *words, status=0):
        words = [cli_binary(), *text.split(), "-b", broker.bootstrap, *words]
        done = subprocess.run(words, capture_output=True, timeout=120, preexec_fn=die_with_parent)
        assert done.returncode == status, done
        return done.stderr.decode() if status else done.stdout.decode()

    return command


def settings(at, resource, *words):
    return {c["name"]: c for c in json.loads(at("config get", resource, "--json", *words))}


def test_settings_are_read_and_changed(at):
    assert at("topic create", "cli-c").startswith("created cli-c")
    assert settings(at, "topic/cli-c") == {}
    assert at("config get", "topic/cli-c") == "nothing was changed; --all shows the defaults\n"
    words = "retention.ms=60000", "cleanup.policy+=compact"
    assert at("config set", "topic/cli-c", *words, "--dry-run") == "could change topic/cli-c\n"
    assert settings(at, "topic/cli-c") == {}
    assert at("config set", "topic/cli-c", *words) == "changed topic/cli-c\n"
    own = {"source": "topic", "readOnly": False, "sensitive": False}
    assert settings(at, "topic/cli-c") == {
        "retention.ms": {"name": "retention.ms", "value": "60000", **own},
        "cleanup.policy": {"name": "cleanup.policy", "value": "delete,compact", **own},
    }
    assert [line.split()[:2] for line in at("config get", "topic/cli-c", "cleanup.policy").splitlines()] == [
        ["SETTING", "VALUE"],
        ["cleanup.policy", "delete,compact"],
    ]
    at("config set", "topic/cli-c", "cleanup.policy-=delete")
    assert settings(at, "topic/cli-c")["cleanup.policy"]["value"] == "compact"
    at("config unset", "topic/cli-c", "retention.ms", "cleanup.policy")
    assert settings(at, "topic/cli-c") == {}
    assert settings(at, "topic/cli-c", "--all")["retention.ms"]["source"] == "default"


def test_settings_of_brokers_groups_and_client_metrics(at):
    at("config set", "broker", "message.max.bytes=2000000", "log.roll.ms=700000")
    at("config set", "broker/1", "log.roll.ms=600000")
    assert settings(at, "broker")["log.roll.ms"]["value"] == "700000"
    of_one = settings(at, "broker/1")
    assert of_one["log.roll.ms"]["value"] == "600000" and of_one["log.roll.ms"]["source"] == "this broker"
    assert of_one["message.max.bytes"]["source"] == "all brokers"
    assert of_one["node.id"]["source"] == "server.properties" and of_one["node.id"]["readOnly"]
    at("config unset", "broker/1", "log.roll.ms")
    assert settings(at, "broker/1", "log.roll.ms")["log.roll.ms"]["value"] == "700000"
    at("config set", "group/g", "consumer.session.timeout.ms=50000")
    assert settings(at, "group/g")["consumer.session.timeout.ms"]["source"] == "group"
    at("config set", "client-metrics/m", "metrics=a,b", "interval.ms=1000")
    assert settings(at, "client-metrics/m")["metrics"]["value"] == "a,b"


def test_what_is_refused_is_one_line(at):
    at("topic create", "cli-d")
    for resource, change, line in (
        ("topic/cli-d", "retention.ms=x", "Invalid value x for configuration retention.ms: Not a number of type LONG (INVALID_CONFIG)"),
        ("topic/none", "retention.ms=1", "The topic 'none' does not exist. (UNKNOWN_TOPIC_OR_PARTITION); `odradek topic list` lists those that there are"),
        ("broker/1", "num.partitions=2", "Cannot update these configs dynamically: [num.partitions] (INVALID_REQUEST)"),
        ("group/g", "what=1", "Unknown group config name: what (INVALID_CONFIG)"),
    ):
        assert at("config set", resource, change, status=1) == f"odradek config set: {resource}: {line}\n"
    assert at("config set", "topic/cli-d", "what=1", "--json", status=1) == ""
    for resource in "topic/cli-d", "broker/1", "group/g", "client-metrics/m":
        line = f"odradek config get: {resource} has no setting what; --all shows those that there are\n"
        assert at("config get", resource, "what", status=1) == line
    assert at("config get", "broker", "what") == "nothing was changed; --all shows the defaults\n"


def test_topics_are_altered(at):
    at("topic create", "cli-e")
    at("topic create", "cli-f")
    words = "--partitions", "3", "-c", "retention.ms=60000", "-c", "cleanup.policy+=compact"
    assert at("topic alter", "cli-e", "cli-f", *words, "-n").splitlines() == [
        "could change topic/cli-e",
        "could change topic/cli-f",
        "cli-e could have 3 partitions",
        "cli-f could have 3 partitions",
    ]
    at("topic alter", "cli-e", "cli-f", *words)
    for name in "cli-e", "cli-f":
        [topic] = json.loads(at("topic describe", name, "--json"))
        assert len(topic["partitions"]) == 3
        assert topic["configs"] == {"retention.ms": "60000", "cleanup.policy": "delete,compact"}
    same = json.loads(at("topic alter", "cli-e", "cli-f", *words[2:4], "--partitions", "4", "--json"))
    assert same == [{"resource": f"topic/{name}", "error": None, "message": None} for name in ("cli-e", "cli-f") * 2], "one array for both requests"
    at("topic alter", "cli-e", "--unset", "retention.ms", "--unset", "cleanup.policy")
    assert settings(at, "topic/cli-e") == {}
    error = at("topic alter", "cli-e", "--partitions", "2", status=1)
    assert error.startswith("odradek topic alter: cli-e: ") and error.endswith("(INVALID_PARTITIONS)\n")
