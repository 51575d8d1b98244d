"""What counts as a complaint in a framework's log: this is where an entry of the list of what is usual is proved narrow enough."""

import time

import pytest

from harness.frameworks.complaints import GRACE_S, of_log

LOST = [
    "CLOCK.123 INFO  [Producer clientId=p] Node 1 disconnected. (NetworkClient)",
    "CLOCK.123 INFO  [Consumer clientId=c, groupId=g] Node 2147483646 disconnected. (NetworkClient)",
    "CLOCK.123 INFO  [Consumer clientId=c, groupId=g] Cancelled in-flight FETCH request with correlation id 12 due to node 1 being "
    "disconnected (elapsed time since creation: 657ms) (NetworkClient)",
]  # fmt: skip

ALWAYS = [
    "CLOCK.123 ERROR [Consumer clientId=c, groupId=g] Unexpected error code 42 while fetching (FetchCollector)",
    "CLOCK.123 WARN  [Producer clientId=p] Got error produce response with correlation id 7 (Sender)",
    "26/11/28 CLOCK WARN NetworkClient: [AdminClient clientId=a] Error while fetching metadata",
    "2026-11-28 CLOCK,123 ERROR org.apache.kafka.clients.consumer.internals.ConsumerCoordinator [] - Offset commit failed",
    "CLOCK.123 [Thread-1] ERROR o.a.k.c.c.i.AbstractCoordinator - the group is not known",
    "Caused by: org.apache.kafka.common.errors.UnsupportedVersionException: The broker does not support DESCRIBE_ACLS",
    "org.apache.kafka.common.errors.CorruptRecordException: Record is corrupt",
    "%4|EPOCH.159|PARTCNT|rdkafka#consumer-1| [thrd:main]: something of a topic",
]
NEVER = [
    "CLOCK.123 INFO  [Consumer clientId=c, groupId=g] Successfully joined group (ConsumerCoordinator)",
    "CLOCK.123 INFO  [Consumer clientId=c, groupId=g] Cancelled in-flight SYNC_GROUP request with correlation id 12 due to node 2147483646 "
    "being disconnected (elapsed time since creation: 657ms) (NetworkClient)",
    "CLOCK.123 WARN  [Producer clientId=p, transactionalId=t] Got error produce response with correlation id 33 on topic-partition echo-1, "
    "retrying (2147483646 attempts left). Error: OUT_OF_ORDER_SEQUENCE_NUMBER (Sender)",
    "CLOCK.123 WARN  a region is in transition (AssignmentManager)",
    "CLOCK.123 WARN  [Consumer clientId=c] The metadata response from the cluster reported a recoverable issue with correlation id 2 : "
    "{app-words-repartition=UNKNOWN_TOPIC_OR_PARTITION} (NetworkClient)",
    "",
]  # fmt: skip


def said(line, away=()):
    """What is a complaint of that line, said now; away: seconds from now."""
    now = time.time()
    line = line.replace("CLOCK", time.strftime("%H:%M:%S", time.localtime(now))).replace("EPOCH", str(int(now)))
    return of_log(line, [[now + start, now + end] for start, end in away])


@pytest.mark.parametrize("line", ALWAYS)
def test_what_is_a_complaint_at_any_time(line):
    assert said(line) and said(line, [(-1, 1)])


@pytest.mark.parametrize("line", NEVER)
def test_what_is_none(line):
    assert not said(line)


@pytest.mark.parametrize(
    "away, usual",
    [
        ([], False),
        ([(-2, 5)], True),
        ([(-2, float("inf"))], True),
        ([(-GRACE_S, -GRACE_S / 2)], True),
        ([(-9000, -8000)], False),
        ([(60, 70)], False),
    ],
)
def test_a_lost_connection(away, usual):
    for line in LOST:
        assert bool(said(line, away)) != usual
