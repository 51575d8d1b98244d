"""aiokafka: the protocol in Python for asyncio, from PyPI."""

import asyncio
import contextlib

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from harness.clients.client import Library, no_complaints, no_empty_records
from harness.records import Record

_TIMEOUT_S = 30


@contextlib.asynccontextmanager
async def _started(client, close="stop"):
    await client.start()
    try:
        yield client
    finally:
        await getattr(client, close)()


def _administered(does):
    def job(self, bootstrap, job):
        async def run():
            async with _started(AIOKafkaAdminClient(bootstrap_servers=bootstrap), "close") as admin:
                return await does(admin, job)

        return asyncio.run(run())

    return job


def _check(codes):
    for code, *what in codes:
        if code:
            raise for_code(code)(*what)


def _record(message):
    return Record(message.key, message.value, tuple(message.headers), message.timestamp)


class AioKafka(Library):
    name = "aiokafka"
    loggers = ("aiokafka",)
    groups = ("classic",)

    def carries(self, records):
        """It sends no record without key and value."""
        return no_empty_records(records)

    def produce(self, bootstrap, writes, may_complain=False):
        async def run():
            for write in writes:
                await self._produce(bootstrap, write)

        with no_complaints(self.name, () if may_complain else self.loggers):
            asyncio.run(run())

    async def _produce(self, bootstrap, write):
        compression = None if write.compression == "none" else write.compression
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=compression,
            enable_idempotence=write.idempotent,
            acks="all",
            linger_ms=5,
            **({"max_request_size": write.max_bytes} if write.max_bytes else {}),
        )
        async with _started(producer):
            sent = [
                await producer.send(
                    write.topic,
                    key=record.key,
                    value=record.value,
                    headers=list(record.headers),
                    partition=write.partition,
                    timestamp_ms=record.timestamp_ms,
                )
                for record in write.records
            ]
            await asyncio.wait_for(asyncio.gather(*sent), _TIMEOUT_S)

    def consume(self, bootstrap, reads):
        async def run():
            return [await self._consume(bootstrap, read) for read in reads]

        with no_complaints(self.name, self.loggers):
            return asyncio.run(run())

    async def _consume(self, bootstrap, read):
        consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None, check_crcs=True)
        async with _started(consumer):
            partition = aiokafka.TopicPartition(read.topic, read.partition)
            consumer.assign([partition])
            consumer.seek(partition, read.offset)
            return [_record(message) for message in await self._poll(consumer, read.count)]

    async def _poll(self, consumer, count):
        messages = []

        async def poll():
            while len(messages) < count:
                for some in (await consumer.getmany(timeout_ms=200, max_records=count - len(messages))).values():
                    messages.extend(some)

        await asyncio.wait_for(poll(), _TIMEOUT_S)
        return messages

    def consume_group(self, bootstrap, job):
        async def run():
            consumer = aiokafka.AIOKafkaConsumer(
                *job["topics"],
                bootstrap_servers=bootstrap,
                group_id=job["group"],
                enable_auto_commit=False,
                auto_offset_reset="earliest",
            )
            async with _started(consumer):
                messages = await self._poll(consumer, job["count"])
                await consumer.commit()
                return {"records": [(m.topic, m.partition, _record(m)) for m in messages]}

        return asyncio.run(run())

    # -- administration

    @_administered
    async def create_topics(admin, job):
        topics = [NewTopic(t["name"], t["partitions"], 1, topic_configs=t["configs"]) for t in job["topics"]]
        created = await admin.create_topics(topics)
        _check((code, message) for _, code, message in created.topic_errors)

    @_administered
    async def delete_topics(admin, job):
        _check((code,) for _, code in (await admin.delete_topics(job["topics"])).topic_error_codes)

    @_administered
    async def list_topics(admin, _):
        return {"topics": await admin.list_topics()}

    @_administered
    async def describe_topics(admin, job):
        topics = await admin.describe_topics(job["topics"])
        return {
            "topics": {
                t["topic"]: [[p["partition"], p["leader"], p["replicas"], p["isr"]] for p in t["partitions"]] for t in topics
            }
        }

    @_administered
    async def describe_cluster(admin, _):
        cluster = await admin.describe_cluster()
        brokers = [[b["node_id"], b["host"], b["port"]] for b in cluster["brokers"]]
        return {"cluster_id": cluster["cluster_id"], "controller": cluster["controller_id"], "brokers": brokers}

    @_administered
    async def describe_configs(admin, job):
        (response,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, job["topic"])])
        ((code, message, _, _, entries),) = response.resources
        _check([(code, message)])
        return {"configs": {name: value for name, value, *_ in entries}}

    @_administered
    async def alter_configs(admin, job):
        (response,) = await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, job["topic"], job["set"])])
        _check((code, message) for code, message, *_ in response.resources)

    @_administered
    async def create_partitions(admin, job):
        await admin.create_partitions({job["topic"]: NewPartitions(job["count"])})

    @_administered
    async def delete_records(admin, job):
        partition = aiokafka.TopicPartition(job["topic"], job["partition"])
        await admin.delete_records({partition: RecordsToDelete(job["before"])})

    @_administered
    async def list_groups(admin, _):
        return {"groups": [group for group, *_ in await admin.list_consumer_groups()]}

    @_administered
    async def describe_group(admin, job):
        (response,) = await admin.describe_consumer_groups([job["group"]])
        ((code, _, state, _, _, members, *_),) = response.groups
        _check([(code,)])
        return {"state": state, "members": len(members)}

    @_administered
    async def committed_offsets(admin, job):
        partitions = [aiokafka.TopicPartition(job["topic"], partition) for partition in job["partitions"]]
        found = await admin.list_consumer_group_offsets(job["group"], partitions=partitions)
        return {"offsets": [found[partition].offset for partition in partitions]}

    def list_offsets(self, bootstrap, job):
        """The consumer's, as the admin client has none."""

        async def run():
            async with _started(aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap)) as consumer:
                partition = aiokafka.TopicPartition(job["topic"], job["partition"])
                if job["time"] >= 0:
                    found = (await consumer.offsets_for_times({partition: job["time"]}))[partition]
                    return {"offset": found.offset if found else -1}
                look_up = consumer.end_offsets if job["time"] == -1 else consumer.beginning_offsets
                return {"offset": (await look_up([partition]))[partition]}

        return asyncio.run(run())

    admin = frozenset(
        "create_topics delete_topics list_topics describe_topics list_offsets describe_cluster describe_configs alter_configs"
        " create_partitions delete_records list_groups describe_group committed_offsets".split()
    )
