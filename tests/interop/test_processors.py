"""Clients that read, write and commit what they have read in one transaction: each record comes out once, though one transaction
is aborted, the program dies in another, and the broker is killed before it comes back."""

import pytest

from harness.clients import CLIENTS
from harness.clients.program import checked
from harness.members import await_group
from harness.topics import create_topics
from harness.transactions import Producer, read
from interop.test_groups import produce
from interop.test_unfinished_by_turns import stable

RECORDS, PARTITIONS = 40, 2
PROCESSORS = ("java", "franz-go", "sarama", "kafkajs", "confluent-kafka-javascript")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("client", PROCESSORS)
def test_exactly_once(brokers, client):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["in", "out"], partitions=PARTITIONS)
    produce(broker.bootstrap, "in", 0, RECORDS, PARTITIONS)
    job = {"do": "process", "group": "g", "from": "in", "topic": "out", "partitions": [0, 1], "transactional_id": "x"}
    CLIENTS[client].die(broker.bootstrap, {**job, "count": RECORDS, "die": True})
    broker.kill()
    broker.start()
    await_group(broker.port, "g")
    Producer(broker.port, "x").init().close()  # what it left open is aborted, and what it had committed is carried through
    done = sum(stable(broker.port, "g").values())
    assert 0 < done < RECORDS
    checked(CLIENTS[client].do(broker.bootstrap, [{**job, "count": RECORDS - done, "die": False}], may_complain=True))
    for partition in range(PARTITIONS):
        values = [int(value) for value in read(broker.port, "out", partition)]
        assert values == list(range(partition, RECORDS, PARTITIONS))
        assert len(read(broker.port, "out", partition, committed=False)) >= len(values)
    assert stable(broker.port, "g") == {0: RECORDS // PARTITIONS, 1: RECORDS // PARTITIONS}
