"""The rows with many partitions."""

import time

from measure import SETTLE_S

TOPIC_PARTITIONS = 1000  # a topic has at most this many, so that no request is out of the ordinary


def topics(plan):
    """(name, partitions) of each; all have as many, so that the sum may be a little less than what was asked for."""
    count = -(-plan.partitions // TOPIC_PARTITIONS)
    return [(f"many-{number}", plan.partitions // count) for number in range(count)]


def write_to_all(broker, plan):
    """A batch for each partition."""
    for topic, n in topics(plan):
        broker.load.run("produce", broker.port, topic=topic, partitions=n, connections=1, batch_bytes=1000,
                        bytes=n * 1000, acks="all")


def many_partitions(broker, plan):
    """Dirty: each log has a record that nothing has flushed yet when the broker stops or is killed."""
    for topic, n in topics(plan):
        broker.load.run("create", broker.port, topic=topic, partitions=n, timeout=600)
    write_to_all(broker, plan)
    time.sleep(SETTLE_S)
    figures = {"many_" + name: value for name, value in broker.memory().items()}
    figures["many_stop_dirty_s"] = broker.stop()
    figures["many_start_clean_s"] = start_until_all_lead(broker, plan)
    figures["many_stop_s"] = broker.stop()
    broker.start()
    broker.kill()
    figures["many_start_killed_s"] = start_until_all_lead(broker, plan)
    write_to_all(broker, plan)
    broker.kill()
    figures["many_start_killed_dirty_s"] = start_until_all_lead(broker, plan)
    return figures


def start_until_all_lead(broker, plan):
    """Seconds from the start of the process until every partition of every topic is served."""
    sizes = [n for _, n in topics(plan)]
    return broker.start("serve", topic="many", count=len(sizes), partitions=sizes[0], timeout=600)
