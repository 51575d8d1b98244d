"""Apache Kafka's own consumers whose processes are killed (kill -9): their session ends, others take over what they had, and
static members come back, each as with Kafka."""

import pytest

from harness.members import assigned, describe_classic, describe_consumers
from harness.process import wait_until
from harness.requests import alter
from harness.topics import create_topics
from harness.transactions import records
from harness.wire import message
from interop.test_group_migration import PARTITIONS, Flow, Members

TIMEOUT_S = 60
GROUP = 32  # a kind of resource
OFFSETS_PARTITIONS, GROUP_METADATA = 4, b"\0\2"  # of __consumer_offsets
SESSION_MS, LONG_SESSION_MS = 6000, 120000
SETTINGS = {
    "group.consumer.min.session.timeout.ms": str(SESSION_MS),
    "group.consumer.max.session.timeout.ms": str(LONG_SESSION_MS),
    "group.consumer.session.timeout.ms": str(SESSION_MS),
    "group.consumer.heartbeat.interval.ms": "1000",
    "group.consumer.min.heartbeat.interval.ms": "1000",
}


def classic_shares(port, group):
    described = describe_classic(port, group)
    shares = {one["ClientId"]: sorted(assigned(one["MemberAssignment"])) for one in described["Members"]}
    return shares if described["GroupState"] == "Stable" else None


def consumer_shares(port, group):
    described = describe_consumers(port, group)
    shares = {
        one["ClientId"]: sorted(p for topic in one["Assignment"]["TopicPartitions"] for p in topic["Partitions"])
        for one in described["Members"]
    }
    return shares if described["GroupState"] == "Stable" else None


SHARES = {"classic": classic_shares, "consumer": consumer_shares}


class Killed(Members):
    """What they read they do not commit: who takes over reads it again, and none of it hangs on what a member could still print."""

    def __init__(self, broker, folder, group, protocol, session_ms=SESSION_MS):
        super().__init__(broker, "t", folder / group, group)
        self.folder.mkdir()
        self.protocol = protocol
        self.settings = ["enable.auto.commit=false"]
        if protocol == "classic":
            self.settings += [f"session.timeout.ms={session_ms}", "heartbeat.interval.ms=1000"]

    def begin(self, name, *more):
        return self.start(name, self.protocol, *self.settings, *more)

    def kill(self, name):
        self.live.pop(name).kill()

    def await_shares(self, *counts):
        """Waits until the members that live, and nobody else, have so many partitions each, and every partition is somebody's."""

        def shared():
            found = SHARES[self.protocol](self.broker.port, self.group)
            return (
                found is not None
                and sorted(found) == sorted(self.live)
                and sorted(map(len, found.values())) == sorted(counts)
                and sorted(sum(found.values(), [])) == list(range(PARTITIONS))
                and found
            )

        return wait_until(shared, TIMEOUT_S, f"shares of {counts}", every_s=0.2)

    def await_all(self, flow):
        everything = set(range(flow.sent))
        wait_until(lambda: everything <= self.seen(), TIMEOUT_S, "every record to be read", every_s=0.2)


@pytest.fixture(scope="module")
def flowing(module_brokers):
    broker = module_brokers.start(settings=SETTINGS)
    create_topics(broker.bootstrap, ["t"], partitions=PARTITIONS)
    flow = Flow(broker.bootstrap, "t")
    yield broker, flow
    flow.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("protocol", SHARES)
def test_others_take_over(flowing, tmp_path, protocol):
    broker, flow = flowing
    members = Killed(broker, tmp_path, f"{protocol}-killed", protocol)
    members.begin("a")
    members.begin("b")
    members.await_shares(2, 2)
    members.kill("a")
    members.await_shares(4)
    members.await_all(flow)
    members.begin("c")
    members.await_shares(2, 2)
    for name in list(members.live):
        members.kill(name)
    # Nobody is left: the group is empty once their sessions are over, and begins anew.
    describe = {"classic": describe_classic, "consumer": describe_consumers}[protocol]
    wait_until(lambda: describe(broker.port, members.group)["GroupState"] == "Empty", TIMEOUT_S, "the sessions' ends", every_s=0.2)
    members.begin("d")
    members.await_shares(4)
    members.await_all(flow)
    members.stop("d")


def generation(broker, group):
    """As the group's last record says."""
    key_type, value_type = message("GroupMetadataKey"), message("GroupMetadataValue")
    found = None
    for partition in range(OFFSETS_PARTITIONS):
        for _, key, value in records(broker.port, "__consumer_offsets", partition, committed=False):
            if key[:2] == GROUP_METADATA and value and key_type.decode(0, key, 2)[0]["group"] == group:
                found = value_type.decode(int.from_bytes(value[:2], "big"), value, 2)[0]["generation"]
    return found


@pytest.mark.timeout(600)
def test_a_static_member_is_back_at_once(flowing, tmp_path):
    """In the classic protocol who bears its name takes its place, and nobody rebalances."""
    broker, flow = flowing
    members = Killed(broker, tmp_path, "classic-static", "classic", LONG_SESSION_MS)
    members.begin("a", "group.instance.id=i1")
    members.begin("b", "group.instance.id=i2")
    before = members.await_shares(2, 2), generation(broker, members.group)
    members.kill("a")
    members.begin("a", "group.instance.id=i1")  # it reads again
    assert (members.await_shares(2, 2), generation(broker, members.group)) == before
    members.await_all(flow)
    for name in list(members.live):
        members.kill(name)


@pytest.mark.timeout(600)
def test_a_static_member_is_back_when_its_session_is_over(flowing, tmp_path):
    """In the consumer protocol it is refused for as long as the group takes the one before for alive."""
    broker, flow = flowing
    members = Killed(broker, tmp_path, "consumer-early", "consumer")
    alter(broker, GROUP, members.group, consumer_session_timeout_ms=str(LONG_SESSION_MS))
    members.begin("a", "group.instance.id=i1")
    members.await_shares(4)
    members.kill("a")
    early = members.launch("early", "consumer", *members.settings, "group.instance.id=i1")
    wait_until(lambda: early.returncode is not None, TIMEOUT_S, "the early one to give up")
    assert "UnreleasedInstanceIdException" in early.log_text()
    wait_until(lambda: list(consumer_shares(broker.port, members.group) or ()) == ["a"], TIMEOUT_S, "the one before to be alone")

    members = Killed(broker, tmp_path, "consumer-static", "consumer")
    members.begin("a", "group.instance.id=i1")
    members.begin("b", "group.instance.id=i2")
    members.await_shares(2, 2)
    members.kill("a")
    members.await_shares(4)
    members.begin("a", "group.instance.id=i1")
    members.await_shares(2, 2)
    members.await_all(flow)
    for name in list(members.live):
        members.kill(name)
