"""A static voter becomes a dynamic one while it runs, and stays so."""

from harness.kraft import UNKNOWN, as_static_voter, kraft_version, upgrade, voter_directory
from harness.requests import create_topic


def test_static_voters_become_dynamic(brokers):
    broker = as_static_voter(brokers.new()).start()
    create_topic(broker, "before")
    assert (kraft_version(broker), voter_directory(broker)) == (0, UNKNOWN)
    upgrade(broker)
    directory = voter_directory(broker)
    assert directory != UNKNOWN
    upgrade(broker)  # which it is already
    create_topic(broker, "after")
    for end in (broker.kill, broker.stop):
        end()
        broker.start()
        assert (kraft_version(broker), voter_directory(broker)) == (1, directory)
    # Its voters stand in the log now: the setting may go.
    broker.stop()
    address = broker.settings.pop("controller.quorum.voters").partition("@")[2]
    broker.settings["controller.quorum.bootstrap.servers"] = address
    broker.start()
    assert (kraft_version(broker), voter_directory(broker)) == (1, directory)
    create_topic(broker, "last")
