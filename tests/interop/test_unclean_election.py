"""
unclean.leader.election.enable, as far as one node can show it: a replica that nobody vouches for any more, because its
directory was off line when the eligible leaders (KIP-966) were forgotten, leads again only where that is allowed.
Odradek and Apache Kafka are asked the same.
"""

from harness.kraft import feature_level, set_feature_level
from harness.process import wait_until
from harness.requests import TOPIC, alter, connect, create_topic, error, fetch, produce, values

NO_LEADER = -1
PREFERRED, UNCLEAN = 0, 1
ELR = "eligible.leader.replicas.version"
TOPICS = {"refused": "false", "allowed": "true", "later": "false"}


def leaders(connection):
    answer = connection.call("Metadata", 12, {"Topics": [{"Name": name} for name in TOPICS]})
    return {(t["Name"], p["PartitionIndex"]): p["LeaderId"] for t in answer["Topics"] for p in t["Partitions"]}


def elect(connection, how, partitions):
    """{topic: error}"""
    wanted = [{"Topic": name, "Partitions": [i]} for name, i in partitions]
    answer = connection.call("ElectLeaders", 2, {"ElectionType": how, "TopicPartitions": wanted, "TimeoutMs": 20000})
    found = answer["ReplicaElectionResults"]
    return error(answer), {one["Topic"]: error(one["PartitionResult"][0]) for one in found}


def ask(brokers, kind):
    broker = brokers.new(kind)
    second = broker.directory / "second"
    broker.settings["log.dirs"] = f"{broker.data},{second}"
    broker.start()
    for name, allowed in TOPICS.items():
        create_topic(broker, name, partitions=2, unclean_leader_election_enable=allowed)
    lost = [(name, i) for name in TOPICS for i in range(2) if (second / f"{name}-{i}").is_dir()]
    assert [name for name, _ in lost] == list(TOPICS)  # one of each: the fewest partitions first
    with connect(broker) as connection:
        for name, i in lost:
            assert error(produce(connection, name, [(None, b"first")], partition=i)) == 0
    broker.stop()
    second.rename(broker.directory / "away")
    second.write_text("")  # no directory, so that it is off line
    broker.start()

    def lead(connection, wanted):
        found = leaders(connection)
        return all(found[one] == (1 if one in wanted else NO_LEADER) for one in lost)

    with connect(broker) as connection:
        wait_until(lambda: lead(connection, []), 60, "the leaders of the broken directory's partitions to go")
        said = [("off line", how, elect(connection, how, lost)) for how in (PREFERRED, UNCLEAN)]
        wait_until(lambda: feature_level(broker, ELR) == 1, 60, "the broker to know that eligible leaders are kept")
        set_feature_level(broker, ELR, 0)  # they are forgotten
        said += [("off line and forgotten", elect(connection, UNCLEAN, lost))]
    alter(broker, TOPIC, "later", unclean_leader_election_enable="true")
    broker.stop()
    second.unlink()
    (broker.directory / "away").rename(second)
    broker.start()
    with connect(broker) as connection:
        wait_until(lambda: lead(connection, lost[1:]), 60, "the replicas that may lead uncleanly to lead, and no others")
        said += [("back", how, elect(connection, how, lost)) for how in (PREFERRED, UNCLEAN)]
        wait_until(lambda: lead(connection, lost), 60, "the replica that was told to lead to lead")
        for name, i in lost:
            read = lambda name=name, i=i: fetch(connection, name, 0, partition=i)  # noqa: E731
            wait_until(lambda: read()[0] == 0, 60, f"{name}-{i} to be served")
            said.append((name, values(read()[1])))
    broker.stop()
    return said


def test_both_let_the_same_replicas_lead(brokers):
    ours, kafkas = (ask(brokers, kind) for kind in ("odradek", "kafka"))
    assert ours == kafkas
    assert ours[-5:-3] == [
        ("back", PREFERRED, (0, {"refused": 80, "allowed": 84, "later": 84})),
        ("back", UNCLEAN, (0, {"refused": 0, "allowed": 84, "later": 84})),
    ]
    assert ours[-3:] == [(name, [b"first"]) for name in TOPICS]
