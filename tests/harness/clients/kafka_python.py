"""kafka-python: the protocol in pure Python, from PyPI."""

import time

import kafka

from harness.records import Record


class KafkaPython:
    name = "kafka-python"
    binary = True

    def produce(self, bootstrap, writes):
        for write in writes:
            self._produce(bootstrap, write)

    def _produce(self, bootstrap, write):
        producer = kafka.KafkaProducer(
            bootstrap_servers=bootstrap,
            compression_type=None if write.compression == "none" else write.compression,
            enable_idempotence=write.idempotent,
            acks="all",
            linger_ms=5,
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
        return [list(self._consume(bootstrap, read)) for read in reads]

    def _consume(self, bootstrap, read, timeout_s=30):
        consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, check_crcs=True)
        deadline, got = time.monotonic() + timeout_s, 0
        try:
            partition = kafka.TopicPartition(read.topic, read.partition)
            consumer.assign([partition])
            consumer.seek(partition, read.offset)
            while got < read.count:
                assert time.monotonic() < deadline, f"{got} of {read.count} records after {timeout_s} s"
                for messages in consumer.poll(timeout_ms=500, max_records=read.count - got).values():
                    for message in messages:
                        yield Record(message.key, message.value, tuple(message.headers), message.timestamp)
                        got += 1
        finally:
            consumer.close()
