"""kafka-python: the protocol in pure Python, from PyPI."""

import time

import kafka
from kafka.admin import AlterConfigOp, ConfigResource, ConfigResourceType, KafkaAdminClient

from harness.clients.client import Library, no_complaints, no_empty_records, no_null_headers
from harness.records import Record


def _administered(does):
    def job(self, bootstrap, job):
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            return does(admin, job)
        finally:
            admin.close()

    return job


def _alter(admin, topic, configs, incremental):
    result = admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs)], incremental=incremental)
    assert result["topic"][topic] == "OK", result


def _record(message):
    return Record(message.key, message.value, tuple(message.headers), message.timestamp)


def _poll(consumer, count, timeout_s=30):
    deadline, messages = time.monotonic() + timeout_s, []
    while len(messages) < count:
        assert time.monotonic() < deadline, f"{len(messages)} of {count} records after {timeout_s} s"
        for some in consumer.poll(timeout_ms=500, max_records=count - len(messages)).values():
            messages += some
    return messages


class KafkaPython(Library):
    name = "kafka-python"
    loggers = ("kafka",)
    groups = ("classic",)

    def carries(self, records):
        """It sends neither null headers nor a record without key and value."""
        return no_empty_records(no_null_headers(records))

    def produce(self, bootstrap, writes, may_complain=False):
        with no_complaints(self.name, () if may_complain else self.loggers):
            for write in writes:
                self._produce(bootstrap, write)

    def _produce(self, bootstrap, write):
        producer = kafka.KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if write.compression == "none" else write.compression,
            enable_idempotence=write.idempotent,
            acks="all",
            linger_ms=5,
            **({"max_request_size": write.max_bytes} if write.max_bytes else {}),
        )
        try:
            futures = [
                producer.send(
                    write.topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    partition=write.partition,
                    timestamp_ms=record.timestamp_ms,
                )
                for record in write.records
            ]
            producer.flush(timeout=40)
            for future in futures:
                future.get(timeout=1)
        finally:
            producer.close(timeout=5)

    def consume(self, bootstrap, reads):
        with no_complaints(self.name, self.loggers):
            return [self._consume(bootstrap, read) for read in reads]

    def _consume(self, bootstrap, read):
        consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, enable_auto_commit=False, check_crcs=True)
        try:
            partition = kafka.TopicPartition(read.topic, read.partition)
            consumer.assign([partition])
            consumer.seek(partition, read.offset)
            return [_record(message) for message in _poll(consumer, read.count)]
        finally:
            consumer.close()

    def consume_group(self, bootstrap, job):
        consumer = kafka.KafkaConsumer(
            *job["topics"],
            bootstrap_servers=bootstrap,
            group_id=job["group"],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        try:
            messages = _poll(consumer, job["count"])
            consumer.commit()
            return {"records": [(m.topic, m.partition, _record(m)) for m in messages]}
        finally:
            consumer.close()

    # -- administration

    @_administered
    def create_topics(admin, job):
        topics = {
            t["name"]: {"num_partitions": t["partitions"], "replication_factor": 1, "configs": t["configs"]} for t in job["topics"]
        }
        admin.create_topics(topics)

    @_administered
    def delete_topics(admin, job):
        admin.delete_topics(job["topics"])

    @_administered
    def list_topics(admin, _):
        return {"topics": admin.list_topics()}

    @_administered
    def describe_topics(admin, job):
        def partitions(topic):
            return sorted([p["partition_index"], p["leader_id"], p["replica_nodes"], p["isr_nodes"]] for p in topic["partitions"])

        return {"topics": {topic["name"]: partitions(topic) for topic in admin.describe_topics(job["topics"])}}

    @_administered
    def list_offsets(admin, job):
        partition = kafka.TopicPartition(job["topic"], job["partition"])
        return {"offset": admin.list_partition_offsets({partition: job["time"]})[partition].offset}

    @_administered
    def describe_cluster(admin, _):
        cluster = admin.describe_cluster()
        brokers = [[b["broker_id"], b["host"], b["port"]] for b in cluster["brokers"]]
        return {"cluster_id": cluster["cluster_id"], "controller": cluster["controller_id"], "brokers": brokers}

    @_administered
    def describe_configs(admin, job):
        resource = ConfigResource(ConfigResourceType.TOPIC, job["topic"])
        found = admin.describe_configs([resource], config_filter="all")["topic"][job["topic"]]
        return {"configs": {name: config["value"] for name, config in found.items()}}

    @_administered
    def alter_configs(admin, job):
        _alter(admin, job["topic"], job["set"], incremental=False)

    @_administered
    def incremental_alter_configs(admin, job):
        configs = {name: (AlterConfigOp.SET, value) for name, value in job["set"].items()}
        configs.update({name: (AlterConfigOp.DELETE, None) for name in job["delete"]})
        _alter(admin, job["topic"], configs, incremental=True)

    @_administered
    def create_partitions(admin, job):
        admin.create_partitions({job["topic"]: job["count"]})

    @_administered
    def delete_records(admin, job):
        admin.delete_records({kafka.TopicPartition(job["topic"], job["partition"]): job["before"]})

    @_administered
    def list_groups(admin, _):
        return {"groups": [group["group_id"] for group in admin.list_groups()]}

    @_administered
    def describe_group(admin, job):
        group = admin.describe_groups([job["group"]])[job["group"]]
        return {"state": group["group_state"], "members": len(group["members"])}

    @_administered
    def committed_offsets(admin, job):
        found = admin.list_group_offsets(job["group"])[job["group"]]
        partitions = [kafka.TopicPartition(job["topic"], partition) for partition in job["partitions"]]
        return {"offsets": [found[p].offset if p in found else -1 for p in partitions]}

    @_administered
    def delete_group(admin, job):
        assert admin.delete_groups([job["group"]]) == {job["group"]: "OK"}

    admin = frozenset(
        "create_topics delete_topics list_topics describe_topics list_offsets describe_cluster describe_configs alter_configs"
        " incremental_alter_configs create_partitions delete_records list_groups describe_group committed_offsets"
        " delete_group".split()
    )
