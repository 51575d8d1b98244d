"""Quotas and SCRAM credentials as Kafka's own tools and librdkafka's admin client set them."""

import hashlib
import re

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from harness import java
from harness.quotas import produce_flow
from harness.requests import create_topic


def configs(broker, *args):
    return java.tool("kafka-configs", "--bootstrap-server", broker.bootstrap, *args)


@pytest.mark.parametrize(
    "entity, setting, value",
    [
        (["clients", "--entity-name", "tool"], "producer_byte_rate", "100000.0"),
        (["clients", "--entity-default"], "request_percentage", "900.5"),
        (["users", "--entity-name", "ann"], "controller_mutation_rate", "10.0"),
        (["users", "--entity-name", "ann", "--entity-type", "clients", "--entity-name", "tool"], "consumer_byte_rate", "200000.0"),
        (["users", "--entity-default"], "consumer_byte_rate", "9.0E9"),
        (["ips", "--entity-name", "127.0.0.9"], "connection_creation_rate", "10.0"),
        (["ips", "--entity-default"], "connection_creation_rate", "100000.0"),
    ],
)
def test_kafka_configs_sets_describes_and_removes(broker, entity, setting, value):
    who = ["--entity-type", *entity]
    assert "Completed updating" in configs(broker, "--alter", *who, "--add-config", f"{setting}={float(value)}")
    described = configs(broker, "--describe", *who)
    assert f"{setting}={value}" in described, described
    configs(broker, "--alter", *who, "--delete-config", setting)
    assert setting not in configs(broker, "--describe", *who)


def test_a_quota_that_a_tool_set_counts(broker):
    create_topic(broker, "tool-limited")
    who = ["--entity-type", "clients", "--entity-name", "tool-client"]
    configs(broker, "--alter", *who, "--add-config", "producer_byte_rate=10000")
    assert produce_flow(broker, "tool-client", "tool-limited", 1, record_bytes=60000).throttles()
    assert not produce_flow(broker, "another", "tool-limited", 1, record_bytes=60000).throttles()
    configs(broker, "--alter", *who, "--delete-config", "producer_byte_rate")


def test_kafka_configs_refuses(broker):
    with pytest.raises(AssertionError, match="must be greater than 0"):
        configs(broker, "--alter", "--entity-type", "clients", "--entity-name", "x", "--add-config", "producer_byte_rate=-1")


def test_kafka_configs_keeps_scram_credentials(broker):
    who = ["--entity-type", "users", "--entity-name", "bob"]
    for mechanism, iterations in (("SCRAM-SHA-256", 8192), ("SCRAM-SHA-512", 4096)):
        configs(broker, "--alter", *who, "--add-config", f"{mechanism}=[iterations={iterations},password=secret]")
    described = configs(broker, "--describe", *who)
    assert "SCRAM-SHA-256=iterations=8192" in described and "SCRAM-SHA-512=iterations=4096" in described, described
    configs(broker, "--alter", *who, "--delete-config", "SCRAM-SHA-256")
    described = configs(broker, "--describe", *who)
    assert "SCRAM-SHA-256" not in described and "SCRAM-SHA-512" in described
    with pytest.raises(AssertionError, match=re.compile("iterations|Iterations")):
        configs(broker, "--alter", *who, "--add-config", "SCRAM-SHA-256=[iterations=100,password=secret]")


def test_librdkafka_alters_and_describes_scram_credentials(broker):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    weak, strong = (ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, n) for n in (100, 10000))
    sha512 = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 5000)

    def alter(*alterations):
        return {user: future.exception(20) for user, future in admin.alter_user_scram_credentials(list(alterations)).items()}

    salt, password = b"salt", hashlib.sha256(b"x").digest()
    assert alter(
        UserScramCredentialUpsertion("eve", strong, password, salt), UserScramCredentialUpsertion("dan", sha512, password, salt)
    ) == {"eve": None, "dan": None}
    assert isinstance(alter(UserScramCredentialUpsertion("eve", weak, password, salt))["eve"], KafkaException)
    described = admin.describe_user_scram_credentials(["eve", "dan", "nobody"])
    eve = described["eve"].result(20).scram_credential_infos
    assert [(c.mechanism, c.iterations) for c in eve] == [(ScramMechanism.SCRAM_SHA_256, 10000)]
    assert described["dan"].result(20).scram_credential_infos[0].iterations == 5000
    assert isinstance(described["nobody"].exception(20), KafkaException)
    assert alter(UserScramCredentialDeletion("eve", ScramMechanism.SCRAM_SHA_256))["eve"] is None
    assert set(admin.describe_user_scram_credentials().result(20)) >= {"dan"}
    assert "eve" not in admin.describe_user_scram_credentials().result(20)
