"""A quorum of static voters becomes a dynamic one under one broker, and the other opens what it left."""

import pytest

from harness.process import wait_until
from harness.kraft import as_static_voter, kraft_version, upgrade, voter_directory


@pytest.mark.parametrize("first", ["under-test", "kafka"])
def test_the_other_opens_it(brokers, first):
    kinds = [brokers.kind, "kafka"] if first == "under-test" else ["kafka", brokers.kind]
    broker = as_static_voter(brokers.new(kinds[0])).start()
    assert kraft_version(broker) == 0
    upgrade(broker)
    directory = voter_directory(broker)
    for kind in (kinds[1], kinds[0]):
        broker.stop()
        broker = brokers.successor(broker, kind).start()
        if kind == "kafka":  # which may be up before it has read so far
            wait_until(lambda: kraft_version(broker) == 1, 60, "kraft.version 1")  # noqa: B023
        assert (kraft_version(broker), voter_directory(broker)) == (1, directory)
