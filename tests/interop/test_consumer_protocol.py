"""Consumers with group.protocol=consumer (KIP-848): clients, what happens to their group, and both disks."""

import re

import confluent_kafka
import confluent_kafka.admin
import pytest

from harness.clients.console import run_console
from harness.members import ConsumerMember, await_group, settle
from harness.process import wait_until
from harness.topics import create_topics
from harness.wire import Connection
from interop import disk
from interop.test_groups import groups, produce, read_numbers

TIMEOUT_S = 60


def settings(bootstrap, group, **more):
    base = {"bootstrap.servers": bootstrap, "group.id": group, "group.protocol": "consumer"}
    return {**base, "auto.offset.reset": "earliest", "enable.auto.commit": False, **more}


def confluent(bootstrap, group, topic, count):
    return read_numbers(confluent_kafka.Consumer(settings(bootstrap, group)), topic, count, TIMEOUT_S)


def console(bootstrap, group, topic, count):
    out = run_console(
        "consumer", "--bootstrap-server", bootstrap, "--topic", topic, "--group", group,
        "--command-property", "group.protocol=consumer", "--from-beginning", "--max-messages", count, "--timeout-ms", 30000,
    )  # fmt: skip
    return [int(line) for line in out.split()]


CONSUMERS = {f.__name__: f for f in (confluent, console)}


def describe(broker, group):
    with Connection("127.0.0.1", broker.port, TIMEOUT_S) as connection:
        return connection.call("ConsumerGroupDescribe", 1, {"GroupIds": [group]})["Groups"][0]


@pytest.mark.parametrize("name", CONSUMERS)
def test_goes_on_after_stop_and_kill(brokers, name):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["t"])
    for turn, end in enumerate((broker.stop, broker.kill, None)):
        produce(broker.bootstrap, "t", 10 * turn, 10)
        assert CONSUMERS[name](broker.bootstrap, "g", "t", 10) == list(range(10 * turn, 10 * turn + 10))
        # It leaves as it closes; by its session alone it would be a member for longer than this.
        wait_until(lambda: describe(broker, "g")["GroupState"] == "Empty", 20, "the member to have left")
        if end:
            end()
            broker.start()


def spread(members):
    """Polls each; how many partitions it has."""
    for member in members:
        message = member.poll(0.05)
        assert message is None or message.error() is None, message.error()
    return [len(member.assignment()) for member in members]


def test_members_share_partitions(broker):
    """Three come one after the other, a topic grows, one leaves; the tools tell of it."""
    create_topics(broker.bootstrap, ["shared"], partitions=6)
    members = []
    for shares in ([6], [3, 3], [2, 2, 2]):
        members.append(confluent_kafka.Consumer(settings(broker.bootstrap, "sharers")))
        members[-1].subscribe(["shared"])
        wait_until(lambda: spread(members) == shares, TIMEOUT_S, f"a spread of {shares}")
    owned = [p.partition for member in members for p in member.assignment()]
    assert sorted(owned) == list(range(6))
    wait_until(lambda: spread(members) and describe(broker, "sharers")["GroupState"] == "Stable", TIMEOUT_S, "a stable group")
    state = groups(broker, "--describe", "--group", "sharers", "--state")
    assert re.search(r"sharers\s.*uniform\s+Stable\s+\d+\s+\d+\s+3|sharers\s.*uniform\s+Stable\s+3", state), state
    listed = groups(broker, "--describe", "--group", "sharers", "--members", "--verbose")
    assert len(re.findall(r"sharers\s+\S+\s+/127.0.0.1\s", listed)) == 3, listed
    grown = confluent_kafka.admin.NewPartitions("shared", 9)
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_partitions([grown])["shared"].result(20)
    wait_until(lambda: spread(members) == [3, 3, 3], TIMEOUT_S, "the new partitions to be shared")
    members.pop().close()
    wait_until(lambda: sorted(spread(members)) == [4, 5], TIMEOUT_S, "two to have what the third had")
    for member in members:
        member.close()
    groups(broker, "--delete", "--group", "sharers")


def test_static_member_returns(broker):
    """It leaves for a while, nobody gets its partitions, and it finds them again."""
    create_topics(broker.bootstrap, ["static"], partitions=4)
    members = [
        confluent_kafka.Consumer(settings(broker.bootstrap, "statics", **{"group.instance.id": f"i{n}"})) for n in range(2)
    ]
    for member in members:
        member.subscribe(["static"])
    wait_until(lambda: spread(members) == [2, 2], TIMEOUT_S, "two partitions each")
    wait_until(lambda: spread(members) and describe(broker, "statics")["GroupState"] == "Stable", TIMEOUT_S, "a stable group")
    before, mine = describe(broker, "statics")["GroupEpoch"], sorted(p.partition for p in members[1].assignment())
    members.pop().close()
    epochs = lambda: {m["InstanceId"]: m["MemberEpoch"] for m in describe(broker, "statics")["Members"]}  # noqa: E731
    wait_until(lambda: epochs()["i1"] == -2, TIMEOUT_S, "the group to know that it will be back")
    members.append(confluent_kafka.Consumer(settings(broker.bootstrap, "statics", **{"group.instance.id": "i1"})))
    members[1].subscribe(["static"])
    wait_until(lambda: spread(members) == [2, 2], TIMEOUT_S, "its partitions to be its own again")
    assert sorted(p.partition for p in members[1].assignment()) == mine
    assert describe(broker, "statics")["GroupEpoch"] == before
    for member in members:
        member.close()


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("first", ["under-test", "kafka"])
def test_members_live_through_turns(brokers, first, how):
    """Two consumers stay while the brokers take turns on one directory: each finds the group, nobody rebalances."""
    under_test, other = brokers.kind, "kafka"
    turns = [under_test, other, under_test] if first == "under-test" else [other, under_test, other]
    broker, members, told = None, [], None
    for kind in turns:
        broker = brokers.start(kind) if broker is None else brokers.successor(broker, kind).start()
        if not members:
            create_topics(broker.bootstrap, ["t"], partitions=4)
            for _ in range(2):
                members.append(confluent_kafka.Consumer(settings(broker.bootstrap, "g")))
                members[-1].subscribe(["t"])
        wait_until(lambda: spread_through_errors(members) == [2, 2], TIMEOUT_S, "two partitions each")
        wait_until(lambda: spread_through_errors(members) and look(broker)[0] == "Stable", TIMEOUT_S, "a stable group")
        assert told is None or look(broker) == told
        told = look(broker)
        broker.kill() if how == "kill" else broker.stop()
    for member in members:
        member.close()


def spread_through_errors(members):
    for member in members:
        member.poll(0.05)
    return [len(member.assignment()) for member in members]


def look(broker):
    """The group as a whole and where each member stands."""
    g = describe(broker, "g")
    parts = lambda a: sorted((t["TopicName"], sorted(t["Partitions"])) for t in a["TopicPartitions"])  # noqa: E731
    rows = [(m["MemberId"], m["MemberEpoch"], parts(m["Assignment"]), parts(m["TargetAssignment"])) for m in g["Members"]]
    return g["GroupState"], g["GroupEpoch"], g["AssignmentEpoch"], sorted(rows)


class Matching(ConsumerMember):
    """It subscribes to what matches."""

    def first(self):
        return {**super().first(), "SubscribedTopicNames": None, "SubscribedTopicRegex": "[t].*"}


def test_dump_log_decodes_it(brokers):
    """Every kind of record that a group of the consumer protocol has, of members that stay and of one that left."""
    broker = brokers.start()
    create_topics(broker.bootstrap, ["t"], partitions=4)
    await_group(broker.port, "g")
    static = ConsumerMember(broker.port, "g", "S" * 22, "t", instance="i")
    matching = Matching(broker.port, "g", "M" * 22, "t")
    settle(broker.port, static)
    settle(broker.port, static, matching)
    gone = ConsumerMember(broker.port, "g", "G" * 22, "t")
    gone.beat()
    gone.leave()
    settle(broker.port, static, matching)
    for member in (static, matching):
        member.close()
    broker.stop()
    logs = [str(path) for path in sorted(broker.data.glob("__consumer_offsets-*/*.log")) if path.stat().st_size]
    out = disk.dump(logs, "--offsets-decoder")
    disk.check_dump(out, "the groups")
    assert set(re.findall(r'"type":"?(\d+)', out)) >= {"3", "5", "6", "7", "8", "16"}, out
    for member in (static, matching, gone):
        assert f'"memberId":"{member.name}"' in out, out
    assert '"instanceId":"i"' in out and '"subscribedTopicRegex":"[t].*"' in out, out
