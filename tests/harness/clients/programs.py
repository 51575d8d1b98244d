"""The client libraries that a program of ours drives."""

import pathlib
from dataclasses import replace

from harness import java
from harness.clients.client import no_null_headers
from harness.clients.program import Program

_TOPICS = ("create_topics", "delete_topics", "list_topics", "describe_topics", "list_offsets", "describe_cluster")
_SETTINGS = ("describe_configs", "alter_configs", "incremental_alter_configs")
_MORE = ("create_partitions", "delete_records")
_GROUPS = ("list_groups", "describe_group", "committed_offsets", "delete_group")
_ALL = (*_TOPICS, *_SETTINGS, *_MORE, *_GROUPS)
_WITHOUT_ALTER_CONFIGS = tuple(name for name in _ALL if name != "alter_configs")
_CONFLUENT_JS = (*_TOPICS[:-1], "delete_records", *_GROUPS)
_RDKAFKA = (*_TOPICS, "describe_configs", "alter_configs", *_MORE, "list_groups", "describe_group", "committed_offsets", "delete_group")
_BOTH = ("classic", "consumer")
_NODE = pathlib.Path(__file__).with_name("node")


def _node(library):
    return lambda folder: ["env", f"NODE_PATH={folder}/node_modules", "node", _NODE / "client.js", library]


def _empty_is_null(records):
    return [
        replace(r, key=r.key or None, value=r.value or None, headers=tuple((name, value or None) for name, value in r.headers))
        for r in records
    ]


PROGRAMS = (
    Program("java", "java", lambda folder: java.command("JavaClient", more_classes=folder), _WITHOUT_ALTER_CONFIGS, groups=_BOTH),
    Program("franz-go", "go", lambda folder: [folder / "go-clients", "franz-go"], _ALL, groups=_BOTH),
    Program("sarama", "go", lambda folder: [folder / "go-clients", "sarama"], _ALL, groups=("classic",)),
    Program(
        "kafkajs",
        "node",
        _node("kafkajs"),
        tuple(name for name in _ALL if name != "incremental_alter_configs"),
        compressions=("none", "gzip", "snappy"),
        assigns=False,
        groups=("classic",),
        carries=no_null_headers,
    ),
    Program(
        "confluent-kafka-javascript",
        "node",
        _node("confluent"),
        _CONFLUENT_JS,
        groups=_BOTH,
        carries=_empty_is_null,
        sees=no_null_headers,
    ),
    Program("rdkafka", "rust", lambda folder: [folder / "rust-client"], _RDKAFKA, groups=_BOTH),
)
