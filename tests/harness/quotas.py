"""Quotas as tests set them, and what a client that does not wait by itself comes to under them."""

import socket
import time

from harness.batch import batch
from harness.members import assignment, await_group, subscription
from harness.process import wait_until
from harness.requests import fetch_body, now_ms, produce_body
from harness.wire import Connection


def alter_quotas(admin, *wanted):
    """wanted: (entity, {quota: value}); entity: {"client-id": "a"}, None as the name of the default. A value of None removes."""
    entries = [
        {
            "Entity": [{"EntityType": kind, "EntityName": name} for kind, name in entity.items()],
            "Ops": [{"Key": key, "Value": float(value or 0), "Remove": value is None} for key, value in values.items()],
        }
        for entity, values in wanted
    ]
    answer = admin.call("AlterClientQuotas", 1, {"Entries": entries})
    assert all(entry["ErrorCode"] == 0 for entry in answer["Entries"]), answer


def set_quota(broker, entity, **values):
    """Returns once it is in force."""
    wanted = {key: float(value) for key, value in values.items() if value is not None}
    with Connection("127.0.0.1", broker.port, client_id="admin") as admin:
        alter_quotas(admin, (entity, values))
        wait_until(lambda: wanted.items() <= quotas_of(admin, entity).items(), 60, "the quota")


def quotas_of(admin, entity):
    parts = [
        {"EntityType": kind, "MatchType": 0 if name is not None else 1, "Match": name} for kind, name in entity.items()
    ]
    answer = admin.call("DescribeClientQuotas", 1, {"Components": parts, "Strict": True})
    return {value["Key"]: value["Value"] for entry in answer["Entries"] for value in entry["Values"]}


class Flow:
    """What one client did: (when, bytes, throttle time, how long the answer took) of each request."""

    def __init__(self):
        self.steps = []

    def rate(self, from_s, to_s):
        """Bytes a second of what was answered in this span after the start."""
        start = self.steps[0][0]
        return sum(size for at, size, _, _ in self.steps if from_s <= at - start < to_s) / (to_s - from_s)

    def throttles(self):
        return [throttle for _, _, throttle, _ in self.steps if throttle > 0]

    def silence_ms(self):
        """What it was told to wait in all, but for the last time, and how long it took: that is no less, however late the client is."""
        return sum(step[2] for step in self.steps[:-1]), (self.steps[-1][0] - self.steps[0][0] + self.steps[0][3]) * 1000


def run_flow(broker, client_id, seconds, request, size_of):
    """Sends request after request without any regard for throttle times. request() gives api, version, body."""
    flow = Flow()
    with Connection("127.0.0.1", broker.port, timeout_s=60, client_id=client_id) as connection:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            api, version, body = request()
            before = time.monotonic()
            answer = connection.call(api, version, body)
            now = time.monotonic()
            flow.steps.append((now, size_of(answer), answer["ThrottleTimeMs"], now - before))
    return flow


def produce_flow(broker, client_id, topic, seconds, record_bytes=20000, acks=-1):
    raw = batch([(None, b"x" * record_bytes)], ts=now_ms())
    return run_flow(
        broker, client_id, seconds, lambda: ("Produce", 9, produce_body(topic, raw, acks=acks)), lambda answer: len(raw) + 80
    )


def fetch_flow(broker, client_id, topic, seconds, max_bytes=20500):
    def size_of(answer):
        return sum(len(p["Records"] or b"") for t in answer["Responses"] for p in t["Partitions"])

    return run_flow(broker, client_id, seconds, lambda: ("Fetch", 11, fetch_body(topic, max_bytes=max_bytes)), size_of)


def membership(broker, connection, group, topic):
    """All that a member of a group does in its life, whatever it is told to wait; (API, error, throttle time, seconds from when it was
    asked to the next answer) of each. The coordinator's broker waits for no other members."""
    member, generation, steps = "", -1, []

    def step(api, version, **body):
        asked = time.monotonic()
        answer = connection.call(api, version, {"GroupId": group, **body})
        if steps:
            steps[-1][3] = time.monotonic() - steps[-1][3]
        code = answer["ErrorCode"] if "ErrorCode" in answer else answer["Topics"][0]["Partitions"][0]["ErrorCode"]
        steps.append([api, code, answer["ThrottleTimeMs"], asked])
        return answer

    await_group(broker.port, group)
    protocols = [{"Name": "range", "Metadata": subscription(topic)}]
    for _ in range(2):  # the first one is told its name
        joining = {"SessionTimeoutMs": 45000, "RebalanceTimeoutMs": 60000, "ProtocolType": "consumer", "Protocols": protocols}
        joined = step("JoinGroup", 9, MemberId=member, **joining)
        member, generation = joined["MemberId"], joined["GenerationId"]
    me = {"MemberId": member, "GenerationId": generation}
    mine = [{"MemberId": member, "Assignment": assignment(topic, [0])}]
    step("SyncGroup", 5, **me, ProtocolType="consumer", ProtocolName="range", Assignments=mine)
    step("Heartbeat", 4, **me)
    offsets = [{"Name": topic, "Partitions": [{"PartitionIndex": 0, "CommittedOffset": 1}]}]
    step("OffsetCommit", 8, MemberId=member, GenerationIdOrMemberEpoch=generation, Topics=offsets)
    step("OffsetFetch", 7, Topics=[{"Name": topic, "PartitionIndexes": [0]}])
    step("Heartbeat", 4, **me)
    step("LeaveGroup", 5, Members=[{"MemberId": member}])
    return steps[:-1]


def try_connections(broker, count, source="127.0.0.2", timeout_s=30):
    """Makes connections one after the other, asks on each, and returns (answered, seconds until answer or close) of each."""
    sockets, out = [], []
    try:
        for _ in range(count):
            before = time.monotonic()
            one = socket.create_connection(("127.0.0.1", broker.port), timeout_s, source_address=(source, 0))
            sockets.append((one, before))
            one.sendall(b"\0\0\0\x0a\0\x12\0\0\0\0\0\x01\xff\xff")  # ApiVersions 0
        for one, before in sockets:
            try:
                answered = bool(one.recv(4))
            except ConnectionResetError:
                answered = False
            out.append((answered, time.monotonic() - before))
    finally:
        for one, _ in sockets:
            one.close()
    return out
