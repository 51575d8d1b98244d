"""Settings by Apache Kafka's kafka-configs and by librdkafka's admin client."""

import json
import re

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from harness import java
from harness.process import wait_until
from harness.topics import create_topics


def configs(broker, *args):
    return java.tool("kafka-configs", "--bootstrap-server", broker.bootstrap, *args)


def shown(text):
    """{setting: value} of what kafka-configs --describe prints."""
    return dict(re.findall(r"^  ([\w.-]+)=(.*?) sensitive=", text, re.M))


def wait_shown(broker, *words, wanted):
    """Kafka shows a change a moment after it has answered it."""
    wait_until(lambda: shown(configs(broker, "--describe", *words)) == wanted, 20, f"{wanted} to be shown", every_s=0.1)


OF_TOPIC = 1  # the source of a topic's own settings
# What is set at first, what is added, what is taken back, and what is refused with which words.
ENTITIES = {
    "topics": ("--entity-type", "topics", "--entity-name", "orders"),
    "broker": ("--entity-type", "brokers", "--entity-name", "1"),
    "groups": ("--entity-type", "groups", "--entity-name", "g"),
    "client-metrics": ("--entity-type", "client-metrics", "--entity-name", "m"),
}


@pytest.mark.parametrize(
    "entity, changes, refused, words",
    [
        ("topics", {"retention.ms": "86400000", "cleanup.policy": "[compact,delete]"}, "retention.ms=soon", "Not a number of type LONG"),
        ("groups", {"consumer.session.timeout.ms": "50000", "share.isolation.level": "read_committed"}, "consumer.session.timeout.ms=5", "must be greater than or equal to"),
        ("client-metrics", {"interval.ms": "5000", "metrics": "[a,b]"}, "interval.ms=5", "interval must be between 100 and 3600000"),
    ],
)  # fmt: skip
def test_configs(broker, entity, changes, refused, words):
    who = ENTITIES[entity]
    if entity == "topics":
        create_topics(broker.bootstrap, ["orders"])
    configs(broker, "--alter", *who, "--add-config", ",".join(f"{name}={value}" for name, value in changes.items()))
    plain = {name: value.strip("[]") for name, value in changes.items()}
    wait_shown(broker, *who, wanted=plain)
    with pytest.raises(AssertionError, match=words):
        configs(broker, "--alter", *who, "--add-config", refused)
    first = next(iter(changes))
    configs(broker, "--alter", *who, "--delete-config", first)
    del plain[first]
    wait_shown(broker, *who, wanted=plain)


def test_configs_of_brokers(broker):
    who, everybody = ENTITIES["broker"], ("--entity-type", "brokers", "--entity-default")
    default = {"min.insync.replicas": "1"}  # the cluster has it from its first moment
    assert shown(configs(broker, "--describe", *everybody)) == default
    configs(broker, "--alter", *everybody, "--add-config", "message.max.bytes=2000000,log.retention.ms=900000000")
    wait_shown(broker, *everybody, wanted={**default, "message.max.bytes": "2000000", "log.retention.ms": "900000000"})
    configs(broker, "--alter", *who, "--add-config", "message.max.bytes=3000000")
    described = configs(broker, "--describe", *who)
    found = re.search(r"message.max.bytes=3000000 sensitive=false synonyms=\{(.*?)\}", described)
    assert found, described
    assert found[1].split(", ") == [
        "DYNAMIC_BROKER_CONFIG:message.max.bytes=3000000",
        "DYNAMIC_DEFAULT_BROKER_CONFIG:message.max.bytes=2000000",
        "DEFAULT_CONFIG:message.max.bytes=1048588",
    ]
    everything = shown(configs(broker, "--describe", "--all", *who))
    assert len(everything) > 200 and everything["message.max.bytes"] == "3000000"
    with pytest.raises(AssertionError, match="Cannot update these configs dynamically"):
        configs(broker, "--alter", *who, "--add-config", "num.partitions=3")
    configs(broker, "--alter", *who, "--delete-config", "message.max.bytes")
    configs(broker, "--alter", *everybody, "--delete-config", "message.max.bytes,log.retention.ms")
    wait_shown(broker, *everybody, wanted=default)


def test_loggers(broker):
    who = ("--entity-type", "broker-loggers", "--entity-name", "1")
    assert "root=INFO" in configs(broker, "--describe", *who)
    configs(broker, "--alter", *who, "--add-config", "root=WARN")
    configs(broker, "--alter", *who, "--add-config", "kafka.request.logger=DEBUG")
    levels = shown(configs(broker, "--describe", *who))
    assert (levels["root"], levels["kafka.request.logger"]) == ("WARN", "DEBUG")
    configs(broker, "--alter", *who, "--delete-config", "kafka.request.logger")
    assert shown(configs(broker, "--describe", *who))["kafka.request.logger"] == "WARN"
    line = next(line for line in broker.log_text().splitlines() if '"requestApiKeyName":"DESCRIBE_CONFIGS"' in line)
    logged, _ = json.JSONDecoder().raw_decode(line.partition("Completed request:")[2])
    assert logged["request"]["resources"][0]["resourceType"] == 8 and logged["clientInformation"]["softwareName"] == "apache-kafka-java"
    with pytest.raises(AssertionError, match="Invalid broker logger"):
        configs(broker, "--alter", *who, "--add-config", "no.such.logger=WARN")


def test_incremental_alter_configs_by_librdkafka(broker):
    create_topics(broker.bootstrap, ["rd"])
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def alter(*operations, validate_only=False):
        entries = [ConfigEntry(name, value, incremental_operation=op) for name, op, value in operations]
        wanted = ConfigResource(ResourceType.TOPIC, "rd", incremental_configs=entries)
        [future] = admin.incremental_alter_configs([wanted], validate_only=validate_only).values()
        return future.result(20)

    def described():
        [future] = admin.describe_configs([ConfigResource(ResourceType.TOPIC, "rd")]).values()
        return {name: entry.value for name, entry in future.result(20).items() if entry.source == OF_TOPIC}

    change = ("retention.ms", AlterConfigOpType.SET, "60000"), ("cleanup.policy", AlterConfigOpType.APPEND, "compact")
    alter(*change, validate_only=True)
    assert described() == {}
    alter(*change)
    wait_until(lambda: described() == {"retention.ms": "60000", "cleanup.policy": "delete,compact"}, 30, "the change")
    alter(("retention.ms", AlterConfigOpType.DELETE, None), ("cleanup.policy", AlterConfigOpType.SUBTRACT, "delete"))
    wait_until(lambda: described() == {"cleanup.policy": "compact"}, 30, "the change")
    with pytest.raises(Exception, match="Invalid value soon"):
        alter(("retention.ms", AlterConfigOpType.SET, "soon"))
