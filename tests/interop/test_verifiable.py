"""The programs that Apache Kafka's own system tests work with: each checks what it reads, and says so."""

import json

from harness import java
from harness.clients.console import run_console

MESSAGES = 1000


def program(name, broker, *args):
    return java.tool(name, "--bootstrap-server", broker.bootstrap, *args)


def events(text, name):
    """Of the lines of JSON that a program prints, those of that name."""
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [line for line in lines if line.get("name") == name]


def produce(broker, topic):
    java.tool("kafka-topics", "--bootstrap-server", broker.bootstrap, "--create", "--topic", topic, "--partitions", 1)
    out = program("kafka-verifiable-producer", broker, "--topic", topic, "--max-messages", MESSAGES, "--acks", -1)
    (total,) = events(out, "tool_data")
    assert (total["sent"], total["acked"]) == (MESSAGES, MESSAGES), out


def test_consumers_of_both_protocols(broker):
    produce(broker, "verified")
    for protocol in ("classic", "consumer"):
        out = program(
            "kafka-verifiable-consumer", broker, "--topic", "verified", "--group-id", f"verified-{protocol}",
            "--group-protocol", protocol, "--max-messages", MESSAGES, "--reset-policy", "earliest",
        )  # fmt: skip
        consumed = events(out, "records_consumed")
        assert sum(one["count"] for one in consumed) == MESSAGES, out
        committed = events(out, "offsets_committed")
        assert committed and all(one["success"] for one in committed), out


def test_copied_in_transactions(broker):
    """Some of them aborted on purpose: what a reader of committed records sees is the input, once."""
    produce(broker, "input")
    out = java.tool(
        "kafka-transactional-message-copier", "--broker-list", broker.bootstrap, "--input-topic", "input", "--input-partition", 0,
        "--output-topic", "output", "--transactional-id", "copier", "--consumer-group", "copiers", "--use-group-metadata",
        "--group-mode", "--max-messages", MESSAGES, "--transaction-size", 100, "--enable-random-aborts",
    )  # fmt: skip
    end = [json.loads(line) for line in out.splitlines() if '"ShutdownComplete"' in line]
    assert [(one["consumed"], one["remaining"]) for one in end] == [(MESSAGES, 0)], out

    def read(topic):
        return run_console(
            "consumer", "--bootstrap-server", broker.bootstrap, "--topic", topic, "--partition", 0, "--offset", "earliest",
            "--isolation-level", "read_committed", "--max-messages", MESSAGES, "--timeout-ms", 60000,
        ).split()  # fmt: skip

    assert read("output") == read("input") == [str(number) for number in range(MESSAGES)]


def test_what_clients_find_supported(broker):
    out = program(
        "kafka-client-compatibility-test", broker, "--topic", "compatible", "--offsets-for-times-supported", "True",
        "--cluster-id-supported", "True", "--expect-record-too-large-exception", "False", "--num-cluster-nodes", 1,
        "--create-topics-supported", "True", "--describe-acls-supported", "True", "--describe-configs-supported", "True",
        "--idempotent-producer-supported", "True",
    )  # fmt: skip
    assert "SUCCESS." in out, out
