"""Settings of consumer groups: what changes while the broker runs, what bounds them, and which assignors there are."""

import pytest

from harness.members import ConsumerMember, await_group, describe_consumers
from harness.process import wait_until
from harness.requests import BROKER, alter, connect, create_topic
from harness.transactions import Refused

GROUP = 32  # a kind of resource
INTERVAL = "group.consumer.assignment.interval.ms"
LARGEST = {"group.consumer.max.assignment.interval.ms": "3600000"}
LONG = "3600000"  # no test lasts so long
UNSUPPORTED_ASSIGNOR, INVALID_REQUEST = 112, 42


def state(broker):
    described = describe_consumers(broker.port, "g")
    return described["GroupState"], described["GroupEpoch"] - described["AssignmentEpoch"]


def test_the_assignment_interval_counts_at_once(brokers):
    """Of the whole cluster, and of a group: while it has not passed, a newcomer waits for its partitions."""
    broker = brokers.start(settings={**LARGEST, INTERVAL: LONG})
    create_topic(broker, "t", 2)
    await_group(broker.port, "g")
    members = [ConsumerMember(broker.port, "g", name * 22, "t") for name in "MNO"]
    members[0].beat()
    members[1].beat()
    assert state(broker) == ("Assigning", 1)
    alter(broker, BROKER, "", **{INTERVAL: "0"})
    members[1].beat()
    assert state(broker) == ("Reconciling", 0)
    alter(broker, BROKER, "", **{INTERVAL: LONG})
    members[2].beat()
    assert state(broker) == ("Assigning", 1)
    alter(broker, GROUP, "g", consumer_assignment_interval_ms="0")
    members[2].beat()
    assert state(broker) == ("Reconciling", 0)
    for member in members:
        member.close()


def test_bounds_of_another_start(brokers):
    """What was set within the bounds of then counts as the bound that it passes now, also of what the members are told."""
    broker = brokers.start()
    create_topic(broker, "t", 2)
    await_group(broker.port, "g")
    alter(broker, BROKER, "", **{INTERVAL: "100"})
    alter(broker, GROUP, "g", consumer_heartbeat_interval_ms="6000")
    member = ConsumerMember(broker.port, "g", "M" * 22, "t")

    def told_ms():
        with connect(broker) as connection:
            body = {"GroupId": "g", "MemberId": member.name, "MemberEpoch": member.epoch, "TopicPartitions": None}
            return connection.call("ConsumerGroupHeartbeat", 1, body)["HeartbeatIntervalMs"]

    member.beat()
    assert told_ms() == 6000
    broker.stop()
    bounds = {
        "group.consumer.max.heartbeat.interval.ms": "5500",
        **LARGEST,
        "group.consumer.min.assignment.interval.ms": LONG,
        INTERVAL: LONG,
    }
    broker.settings.update(bounds)
    broker.start()
    await_group(broker.port, "g")
    assert told_ms() == 5500
    other = ConsumerMember(broker.port, "g", "N" * 22, "t")
    other.beat()
    assert state(broker) == ("Assigning", 1)  # not 100 ms after the last assignment
    member.close()
    other.close()


@pytest.mark.parametrize(
    "value, message",
    [
        ("15001", f"{INTERVAL} must be less than or equal to group.consumer.max.assignment.interval.ms"),
        ("-1", f"Invalid value -1 for configuration {INTERVAL}: Value must be at least 0"),
    ],
)
def test_beyond_the_bounds(broker, value, message):
    change = {"Name": INTERVAL, "ConfigOperation": 0, "Value": value}
    with connect(broker) as connection:
        resource = {"ResourceType": BROKER, "ResourceName": "", "Configs": [change]}
        [answer] = connection.call("IncrementalAlterConfigs", 1, {"Resources": [resource]})["Responses"]
    assert (answer["ErrorCode"], answer["ErrorMessage"]) == (INVALID_REQUEST, message)


class Asking(ConsumerMember):
    """It asks for an assignor."""

    assignor = None

    def first(self):
        return {**super().first(), "ServerAssignor": self.assignor}


def test_assignors(brokers):
    """Only those that are configured are offered; the first is for who asks for none."""
    broker = brokers.start(settings={"group.consumer.assignors": "range"})
    create_topic(broker, "t", 2)
    await_group(broker.port, "g")
    member = Asking(broker.port, "g", "M" * 22, "t")
    member.assignor = "uniform"
    with pytest.raises(Refused) as refused:
        member.beat()
    assert refused.value.error == UNSUPPORTED_ASSIGNOR
    member.assignor = None
    member.beat()
    assert describe_consumers(broker.port, "g")["AssignorName"] == "range"
    member.assignor = "range"
    member.epoch = 0
    member.beat()
    broker.stop()
    broker.settings["group.consumer.assignors"] = "uniform"  # what the member asks for is offered no more
    broker.start()
    await_group(broker.port, "g")
    other = Asking(broker.port, "g", "N" * 22, "t")

    def shared():
        member.beat()
        other.beat()
        return [sum(len(t["Partitions"]) for t in m.owned) for m in (member, other)] == [1, 1]

    member.connection.close()
    member.connection = connect(broker)
    wait_until(shared, 20, "each to have its half")
