"""confluent-kafka: librdkafka for Python, from PyPI."""

import logging
import time

import confluent_kafka
from confluent_kafka import TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
)

from harness.clients.client import Library, no_complaints
from harness.records import Record

_LOG = logging.getLogger("librdkafka")
_TIMEOUT_S = 30


def _config(bootstrap, **more):
    """A client's settings; what it complains of goes to _LOG."""
    config = {"bootstrap.servers": bootstrap, "logger": _LOG, "error_cb": lambda error: _LOG.error(str(error))}
    return {**config, **more}


def _administered(does):
    def job(self, bootstrap, job):
        return does(AdminClient(_config(bootstrap)), job)

    return job


def _done(futures):
    """What the futures of an admin client's call bring."""
    return {key: future.result(_TIMEOUT_S) for key, future in futures.items()}


def _topic(name, entries=None):
    return ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)


def _partitions(job):
    return [TopicPartition(job["topic"], partition) for partition in job["partitions"]]


class Confluent(Library):
    name = "confluent-kafka"
    loggers = ("librdkafka",)
    groups = ("classic", "consumer")

    def produce(self, bootstrap, writes, may_complain=False):
        with no_complaints(self.name, () if may_complain else self.loggers):
            for write in writes:
                self._produce(bootstrap, write)

    def _produce(self, bootstrap, write):
        problems = []
        producer = confluent_kafka.Producer(
            _config(
                bootstrap,
                **{
                    "compression.type": write.compression,
                    "enable.idempotence": write.idempotent,
                    "linger.ms": 5,
                    "message.timeout.ms": _TIMEOUT_S * 1000,
                    **({"message.max.bytes": write.max_bytes} if write.max_bytes else {}),
                },
            )
        )

        def delivered(error, _message):
            if error:
                problems.append(str(error))

        for record in write.records:
            more = {"timestamp": record.timestamp_ms} if record.timestamp_ms is not None else {}
            producer.produce(
                write.topic,
                key=record.key,
                value=record.value,
                headers=list(record.headers),
                partition=write.partition,
                on_delivery=delivered,
                **more,
            )
            producer.poll(0)
        left = producer.flush(40)
        assert not problems and not left, f"{left} not delivered; {problems[:3]}"

    def consume(self, bootstrap, reads):
        with no_complaints(self.name, self.loggers):
            return [self._consume(bootstrap, read) for read in reads]

    def _consume(self, bootstrap, read):
        config = {"group.id": "unused", "enable.auto.commit": False, "check.crcs": True}
        consumer = confluent_kafka.Consumer(_config(bootstrap, **config))
        try:
            consumer.assign([TopicPartition(read.topic, read.partition, read.offset)])
            return [self._record(message) for message in self._poll(consumer, read.count)]
        finally:
            consumer.close()

    def _record(self, message):
        return Record(message.key(), message.value(), tuple(message.headers() or ()), message.timestamp()[1])

    def _poll(self, consumer, count):
        deadline, messages = time.monotonic() + _TIMEOUT_S, []
        while len(messages) < count:
            assert time.monotonic() < deadline, f"{len(messages)} of {count} records after {_TIMEOUT_S} s"
            for message in consumer.consume(count - len(messages), 0.5):
                assert message.error() is None, message.error()
                messages.append(message)
        return messages

    def consume_group(self, bootstrap, job):
        config = {"group.id": job["group"], "group.protocol": job["protocol"], "enable.auto.commit": False}
        consumer = confluent_kafka.Consumer(_config(bootstrap, **config, **{"auto.offset.reset": "earliest"}))
        try:
            consumer.subscribe(job["topics"])
            messages = self._poll(consumer, job["count"])
            if messages:
                consumer.commit(asynchronous=False)
            return {"records": [(m.topic(), m.partition(), self._record(m)) for m in messages]}
        finally:
            consumer.close()

    # -- administration

    @_administered
    def create_topics(admin, job):
        _done(admin.create_topics([NewTopic(t["name"], t["partitions"], 1, config=t["configs"]) for t in job["topics"]]))

    @_administered
    def delete_topics(admin, job):
        _done(admin.delete_topics(job["topics"], operation_timeout=_TIMEOUT_S))

    @_administered
    def list_topics(admin, _):
        return {"topics": list(admin.list_topics(timeout=_TIMEOUT_S).topics)}

    @_administered
    def describe_topics(admin, job):
        found = _done(admin.describe_topics(confluent_kafka.TopicCollection(job["topics"])))

        def ids(nodes):
            return [node.id for node in nodes]

        return {"topics": {t: [[p.id, p.leader.id, ids(p.replicas), ids(p.isr)] for p in d.partitions] for t, d in found.items()}}

    @_administered
    def list_offsets(admin, job):
        special = {-2: OffsetSpec.earliest, -1: OffsetSpec.latest}
        spec = special[job["time"]]() if job["time"] in special else OffsetSpec.for_timestamp(job["time"])
        (found,) = _done(admin.list_offsets({TopicPartition(job["topic"], job["partition"]): spec})).values()
        return {"offset": found.offset}

    @_administered
    def describe_cluster(admin, _):
        cluster = admin.describe_cluster().result(_TIMEOUT_S)
        brokers = [[node.id, node.host, node.port] for node in cluster.nodes]
        return {"cluster_id": cluster.cluster_id, "controller": cluster.controller.id, "brokers": brokers}

    @_administered
    def describe_configs(admin, job):
        (configs,) = _done(admin.describe_configs([_topic(job["topic"])])).values()
        return {"configs": {name: entry.value for name, entry in configs.items()}}

    @_administered
    def alter_configs(admin, job):
        _done(admin.alter_configs([ConfigResource(ConfigResource.Type.TOPIC, job["topic"], set_config=job["set"])]))

    @_administered
    def incremental_alter_configs(admin, job):
        def entry(name, value, operation):
            return ConfigEntry(name, value, source=ConfigSource.UNKNOWN_CONFIG, incremental_operation=operation)

        entries = [entry(name, value, AlterConfigOpType.SET) for name, value in job["set"].items()]
        entries += [entry(name, None, AlterConfigOpType.DELETE) for name in job["delete"]]
        _done(admin.incremental_alter_configs([_topic(job["topic"], entries)]))

    @_administered
    def create_partitions(admin, job):
        _done(admin.create_partitions([NewPartitions(job["topic"], job["count"])]))

    @_administered
    def delete_records(admin, job):
        _done(admin.delete_records([TopicPartition(job["topic"], job["partition"], job["before"])]))

    @_administered
    def list_groups(admin, _):
        return {"groups": [group.group_id for group in admin.list_consumer_groups().result(_TIMEOUT_S).valid]}

    @_administered
    def describe_group(admin, job):
        group = _done(admin.describe_consumer_groups([job["group"]]))[job["group"]]
        return {"state": group.state.name, "members": len(group.members)}

    @_administered
    def committed_offsets(admin, job):
        wanted = confluent_kafka.ConsumerGroupTopicPartitions(job["group"], _partitions(job))
        found = _done(admin.list_consumer_group_offsets([wanted]))[job["group"]]
        return {"offsets": [partition.offset for partition in found.topic_partitions]}

    @_administered
    def delete_group(admin, job):
        _done(admin.delete_consumer_groups([job["group"]]))

    admin = frozenset(
        "create_topics delete_topics list_topics describe_topics list_offsets describe_cluster describe_configs alter_configs"
        " incremental_alter_configs create_partitions delete_records list_groups describe_group committed_offsets"
        " delete_group".split()
    )
