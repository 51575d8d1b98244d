"""confluent-kafka: librdkafka for Python, from PyPI."""

import time

import confluent_kafka

from harness.records import Record


class Confluent:
    name = "confluent-kafka"
    binary = True

    def produce(self, bootstrap, writes):
        for write in writes:
            self._produce(bootstrap, write)

    def _produce(self, bootstrap, write):
        problems = []
        producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": write.compression,
                "enable.idempotence": write.idempotent,
                "linger.ms": 5,
                "message.timeout.ms": 30000,
            }
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
        return [list(self._consume(bootstrap, read)) for read in reads]

    def _consume(self, bootstrap, read, timeout_s=30):
        consumer = confluent_kafka.Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "unused",
                "enable.auto.commit": False,
                "check.crcs": True,
            }
        )
        consumer.assign([confluent_kafka.TopicPartition(read.topic, read.partition, read.offset)])
        deadline, got = time.monotonic() + timeout_s, 0
        try:
            while got < read.count:
                assert time.monotonic() < deadline, f"{got} of {read.count} records after {timeout_s} s"
                for message in consumer.consume(read.count - got, 0.5):
                    assert message.error() is None, message.error()
                    headers = tuple(message.headers() or ())
                    yield Record(message.key(), message.value(), headers, message.timestamp()[1])
                    got += 1
        finally:
            consumer.close()
