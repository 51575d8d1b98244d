"""The rows with many partitions."""

import time

from measure import SETTLE_S

TOPIC_PARTITIONS = 1000  # a topic has at most this many, so that no request is out of the ordinary


def many_partitions(broker, plan):
    left, topic = plan.partitions, 0
    while left > 0:
        n = min(left, TOPIC_PARTITIONS)
        broker.load.run("create", broker.port, topic=f"many-{topic}", partitions=n, timeout=600)
        broker.load.run("produce", broker.port, topic=f"many-{topic}", partitions=n, connections=1, batch_bytes=1000,
                        bytes=n * 1000, acks="all")
        left, topic = left - n, topic + 1
    time.sleep(SETTLE_S)
    figures = {"many_" + name: value for name, value in broker.memory().items()}
    figures["many_stop_s"] = broker.stop()
    figures["many_start_clean_s"] = start_until_all_lead(broker, topic, plan)
    broker.kill()
    figures["many_start_killed_s"] = start_until_all_lead(broker, topic, plan)
    return figures


def start_until_all_lead(broker, topics, plan):
    """Seconds from the start until every partition of every topic has a leader."""
    started = time.monotonic()
    broker.start()
    left = plan.partitions
    for topic in range(topics):
        n = min(left, TOPIC_PARTITIONS)
        broker.load.run("create", broker.port, topic=f"many-{topic}", partitions=n, timeout=600)
        left -= n
    return time.monotonic() - started
