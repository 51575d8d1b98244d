"""Groups: the classic protocol, committed offsets, what administrators ask."""

from interop.kdiff.run import give_time
from interop.kdiff.scenarios.parts import topic, topic_id

LOADING = (14, 15, 16)
REBALANCE_MS = 15000  # longer than a machine stands still, shorter than an answer is waited for
SUBSCRIPTION = b"\0\0\0\0\0\1\0\1t\xff\xff\xff\xff"


def ready(step, *groups):
    """Waits until both sides coordinate these groups."""
    for side in step.run.sides:

        def coordinates(side=side):
            found = side.call("FindCoordinator", 4, {"KeyType": 0, "CoordinatorKeys": list(groups)})
            described = side.call("DescribeGroups", 5, {"Groups": list(groups)})
            return all(c["ErrorCode"] == 0 for c in found["Coordinators"]) and not any(
                g["ErrorCode"] in LOADING for g in described["Groups"]
            )

        give_time(coordinates, every_s=0.1)
    step.restart_clock()


def protocols(*names, metadata=SUBSCRIPTION):
    return [{"Name": name, "Metadata": metadata} for name in names]


def join(group, member="", names=("range",), kind="consumer", metadata=SUBSCRIPTION, **more):
    """A JoinGroup request; member may be a function of what a side keeps."""
    base = {"GroupId": group, "SessionTimeoutMs": 60000, "RebalanceTimeoutMs": REBALANCE_MS, "ProtocolType": kind}
    made = {**base, "Protocols": protocols(*names, metadata=metadata), **more}
    return lambda context: {**made, "MemberId": member(context) if callable(member) else member}


def member_of(keep):
    return lambda context: context[keep]["MemberId"]


def sync(group, keep, assignments=None, generation=None, **more):
    def body(context):
        joined = context[keep]
        given = [{"MemberId": joined["MemberId"], "Assignment": b"mine"}] if assignments is None else assignments
        return {
            "GroupId": group,
            "GenerationId": joined["GenerationId"] if generation is None else generation,
            "MemberId": joined["MemberId"],
            "ProtocolType": "consumer",
            "ProtocolName": "range",
            "Assignments": given,
            **more,
        }

    return body


def heartbeat(group, keep, generation=None, **more):
    return lambda context: {
        "GroupId": group,
        "GenerationId": context[keep]["GenerationId"] if generation is None else generation,
        "MemberId": context[keep]["MemberId"],
        **more,
    }


def leave(version, group, keep, instance=None):
    def body(context):
        member = context[keep]["MemberId"] if keep else ""
        one = {"MemberId": member, "GroupInstanceId": instance, "Reason": "done"}
        return {"GroupId": group, "MemberId": member} if version < 3 else {"GroupId": group, "Members": [one]}

    return body


def member(step, group, keep, version=None, **more):
    """Joins, twice where the member id comes first; keeps the answer."""
    first = step("JoinGroup", version, join(group, **more), keep=keep)
    if first[0].get("ErrorCode") == 79:  # MEMBER_ID_REQUIRED
        step("JoinGroup", version, join(group, member_of(keep), **more), keep=keep)


def describe(step, *groups):
    step("DescribeGroups", None, {"Groups": list(groups), "IncludeAuthorizedOperations": True})


def life(step, version, prefix):
    """One member's life in every version of JoinGroup."""
    group = prefix + "g"
    ready(step, group)
    member(step, group, "me", version)
    describe(step, group)
    step("JoinGroup", version, join(group, member_of("me")), keep="me")
    step("SyncGroup", None, sync(group, "me"))
    step("SyncGroup", None, sync(group, "me"))
    describe(step, group)
    step("Heartbeat", None, heartbeat(group, "me"))
    step("JoinGroup", version, join(group, member_of("me")), keep="me")  # the leader of a stable group
    step("Heartbeat", None, heartbeat(group, "me"))
    step("SyncGroup", None, sync(group, "me", assignments=[]))
    step("JoinGroup", version, join(group, member_of("me"), names=("roundrobin", "range")), keep="me")
    describe(step, group)
    step("LeaveGroup", None, leave(5, group, "me"))
    describe(step, group)
    step("Heartbeat", None, heartbeat(group, "me"))
    step("JoinGroup", version, join(group, member_of("me")))


def joins_refused(step, version, prefix):
    group = prefix + "g"
    ready(step, group, "")
    step("JoinGroup", version, join(""))
    step("JoinGroup", version, join(group, "nobody"))
    step("JoinGroup", version, join(group, SessionTimeoutMs=1))
    step("JoinGroup", version, join(group, SessionTimeoutMs=100000000))
    step("JoinGroup", version, join(group, kind=""))
    step("JoinGroup", version, join(group, names=()))
    describe(step, group)
    member(step, group, "me", version)
    step("JoinGroup", version, join(group, "nobody"))
    step("JoinGroup", version, join(group, kind="connect"))
    step("JoinGroup", version, join(group, names=("other",)))
    step("JoinGroup", version, join(group, member_of("me"), names=("other",)))
    step("JoinGroup", version, join(group, member_of("me"), kind="connect"))
    describe(step, group)


def static_members(step, version, prefix):
    if version < 5:
        return
    group = prefix + "g"
    ready(step, group)
    step("JoinGroup", version, join(group, GroupInstanceId="i1"), keep="old")
    step("SyncGroup", None, sync(group, "old", GroupInstanceId="i1"))
    describe(step, group)
    step("JoinGroup", version, join(group, GroupInstanceId="i1"), keep="new")
    describe(step, group)
    step("SyncGroup", None, sync(group, "new", GroupInstanceId="i1"))
    step("Heartbeat", None, heartbeat(group, "old", GroupInstanceId="i1"))
    step("Heartbeat", None, heartbeat(group, "old"))
    step("Heartbeat", None, heartbeat(group, "new", GroupInstanceId="i2"))
    step("Heartbeat", None, heartbeat(group, "new", GroupInstanceId="i1"))
    step("JoinGroup", version, join(group, member_of("old"), GroupInstanceId="i1"))
    step("SyncGroup", None, sync(group, "old", GroupInstanceId="i1"))
    changed = b"\0\0\0\0\0\1\0\1u\xff\xff\xff\xff"
    step("JoinGroup", version, join(group, GroupInstanceId="i1", metadata=changed), keep="new")
    step("JoinGroup", version, join(group, GroupInstanceId="i1", names=("roundrobin",)), keep="new")
    describe(step, group)
    step("LeaveGroup", None, leave(5, group, None, "i2"))
    step("LeaveGroup", None, leave(5, group, "old", "i1"))
    step("LeaveGroup", None, leave(5, group, None, "i1"))
    describe(step, group)


def syncs(step, version, prefix):
    group = prefix + "g"
    ready(step, group, "")
    nothing = {"GroupId": group, "GenerationId": 1, "MemberId": "x", "ProtocolType": "consumer", "ProtocolName": "range"}
    step("SyncGroup", version, {**nothing, "Assignments": []})
    step("SyncGroup", version, {**nothing, "GroupId": "", "Assignments": []})
    member(step, group, "me")
    step("SyncGroup", version, {**nothing, "Assignments": []})
    step("SyncGroup", version, sync(group, "me", generation=7))
    step("SyncGroup", version, sync(group, "me", ProtocolName="other"))
    step("SyncGroup", version, sync(group, "me", ProtocolType="connect"))
    if version >= 5:
        step("SyncGroup", version, sync(group, "me", ProtocolType=None))
    if version >= 3:
        step("SyncGroup", version, sync(group, "me", GroupInstanceId="i"))
    step("SyncGroup", version, sync(group, "me", assignments=[{"MemberId": "nobody", "Assignment": b"x"}]))
    step("SyncGroup", version, sync(group, "me"))


def never_synced(step, version, prefix):
    """Who joins and then says nothing is out after the rebalance timeout, and hears of it whatever it asks."""
    if version < 5:
        return
    group, at = prefix + "g", prefix + "t"
    topic(step, at)
    step.run.fence()
    ready(step, group)
    member(step, group, "me", RebalanceTimeoutMs=1500)
    describe(step, group)
    for side in step.run.sides:

        def empty(side=side):
            return side.call("DescribeGroups", 5, {"Groups": [group]})["Groups"][0]["GroupState"] == "Empty"

        give_time(empty, every_s=0.1)
    describe(step, group)
    step("SyncGroup", version, sync(group, "me"))
    step("Heartbeat", None, heartbeat(group, "me"))
    own = lambda c: {"MemberId": c["me"]["MemberId"], "GenerationIdOrMemberEpoch": c["me"]["GenerationId"]}  # noqa: E731
    partitions = [{"PartitionIndex": 0, "CommittedOffset": 1, "CommittedMetadata": ""}]
    step("OffsetCommit", 9, lambda c: {"GroupId": group, **own(c), "Topics": [{"Name": at, "Partitions": partitions}]})
    step("JoinGroup", None, join(group, member_of("me")))
    describe(step, group)


def heartbeats(step, version, prefix):
    group = prefix + "g"
    ready(step, group, "")
    nothing = {"GroupId": group, "GenerationId": 1, "MemberId": "x"}
    step("Heartbeat", version, nothing)
    step("Heartbeat", version, {**nothing, "GroupId": ""})
    member(step, group, "me")
    step("Heartbeat", version, nothing)
    step("Heartbeat", version, heartbeat(group, "me", generation=9))
    step("Heartbeat", version, heartbeat(group, "me"))
    if version >= 3:
        step("Heartbeat", version, heartbeat(group, "me", GroupInstanceId="i"))


def leaves(step, version, prefix):
    group = prefix + "g"
    ready(step, group, "")

    def nobody(name):
        return {"GroupId": name, "MemberId": "x"} if version < 3 else {"GroupId": name, "Members": [{"MemberId": "x"}]}

    step("LeaveGroup", version, nobody(""))
    step("LeaveGroup", version, nobody(group))
    step("JoinGroup", 4, join(group), keep="pending")
    step("LeaveGroup", version, leave(version, group, "pending"))
    step("JoinGroup", 4, join(group, member_of("pending")))
    member(step, group, "me")
    step("LeaveGroup", version, nobody(group))
    if version >= 3:
        step("LeaveGroup", version, {"GroupId": group, "Members": []})
        step("LeaveGroup", version, leave(version, group, "me", "i"))
        several = lambda c: {"GroupId": group, "Members": [{"MemberId": "x"}, {"MemberId": c["me"]["MemberId"]}]}  # noqa: E731
        step("LeaveGroup", version, several)
    else:
        step("LeaveGroup", version, leave(version, group, "me"))
    step("LeaveGroup", version, leave(version, group, "me"))
    describe(step, group)


# Offsets


def commit(version, group, topics, generation=-1, member="", **more):
    """topics: {(name, function that gives its id): [(partition, offset, metadata)]}."""

    def body(context):
        listed = [
            {
                "Name": name,
                "TopicId": id_of(context),
                "Partitions": [
                    {"PartitionIndex": p, "CommittedOffset": o, "CommittedLeaderEpoch": 0, "CommittedMetadata": m}
                    for p, o, m in partitions
                ],
            }
            for (name, id_of), partitions in topics.items()
        ]
        who = member(context) if callable(member) else member
        made = {"GroupId": group, "MemberId": who, "Topics": listed, **more}
        number = generation(context) if callable(generation) else generation
        return {**made, "GenerationIdOrMemberEpoch": number}

    return body


def fetch_offsets(version, group, topics, stable=False, **more):
    """topics: {(name, function that gives its id): [partition]}, or None for all."""

    def body(context):
        listed = topics and [
            {"Name": name, "TopicId": id_of(context), "PartitionIndexes": partitions}
            for (name, id_of), partitions in topics.items()
        ]
        if version < 8:
            return {"GroupId": group, "Topics": listed, "RequireStable": stable}
        return {"Groups": [{"GroupId": group, "Topics": listed, **more}], "RequireStable": stable}

    return body


def nowhere(name):
    return name, lambda context: "33" * 16


def commits(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    ready(step, group, "")
    topic(step, name, 2)
    at = (name, topic_id(step, name))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 5, "m"), (1, 6, None)]}))
    step("OffsetFetch", None, fetch_offsets(10, group, {at: [0, 1, 2]}))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 5, ""), (7, 6, "m")], nowhere("none"): [(0, 1, "")]}))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 4, "x" * 4096), (1, 4, "y" * 4097)]}))
    step("OffsetCommit", version, commit(version, group, {nowhere("none"): [(0, 1, "")]}))
    step("OffsetCommit", version, commit(version, group, {}))
    step("OffsetCommit", version, commit(version, "", {at: [(0, 1, "")]}))
    step("OffsetCommit", version, commit(version, group + "new", {at: [(0, 1, "")]}, generation=3))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 1, "")]}, generation=3))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 1, "")]}, generation=3, member="x"))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 8, "")]}, member="x"))
    member(step, group, "me")
    mine = lambda context: context["me"]["GenerationId"]  # noqa: E731
    step("OffsetCommit", version, commit(version, group, {at: [(0, 9, "")]}, mine, member_of("me")))
    step("SyncGroup", None, sync(group, "me"))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 9, "")]}, mine, member_of("me")))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 9, "")]}, 77, member_of("me")))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 9, "")]}, mine, "x"))
    step("OffsetCommit", version, commit(version, group, {at: [(0, 9, "")]}))
    if version >= 7:
        other = commit(version, group, {at: [(0, 9, "")]}, mine, member_of("me"), GroupInstanceId="i")
        step("OffsetCommit", version, other)
    if 2 <= version <= 4:
        step("OffsetCommit", version, commit(version, prefix + "r", {at: [(0, 5, "m")]}, RetentionTimeMs=3600000))
    step("OffsetFetch", None, fetch_offsets(10, group, None))


def fetches(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    ready(step, group, "")
    topic(step, name, 3)
    at = (name, topic_id(step, name))
    step("OffsetCommit", None, commit(10, group, {at: [(0, 5, "m"), (2, 0, "")]}))
    for stable in (False, True) if version >= 7 else (False,):
        step("OffsetFetch", version, fetch_offsets(version, group, {at: [0, 1, 2, 3]}, stable))
        step("OffsetFetch", version, fetch_offsets(version, group, {nowhere("none"): [0, 1], at: [2]}, stable))
        step("OffsetFetch", version, fetch_offsets(version, group, {}, stable))
        step("OffsetFetch", version, fetch_offsets(version, group + "none", {at: [0]}, stable))
        step("OffsetFetch", version, fetch_offsets(version, "", {at: [0]}, stable))
        if version >= 2:
            step("OffsetFetch", version, fetch_offsets(version, group, None, stable))
            step("OffsetFetch", version, fetch_offsets(version, group + "none", None, stable))
    if version >= 8:
        several = [{"GroupId": g, "Topics": None} for g in (group, group + "none", group)]
        step("OffsetFetch", version, {"Groups": several})
        step("OffsetFetch", version, {"Groups": []})
    if version >= 9:
        step("OffsetFetch", version, fetch_offsets(version, group, {at: [0]}, MemberId="x", MemberEpoch=4))


def offsets_deleted(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    ready(step, group, "")
    topic(step, name, 2)
    at = (name, topic_id(step, name))

    def body(names, partitions=(0, 1), of=group):
        parts = [{"PartitionIndex": p} for p in partitions]
        return {"GroupId": of, "Topics": [{"Name": n, "Partitions": parts} for n in names]}

    step("OffsetDelete", version, body([name]))
    step("OffsetDelete", version, body([name], of=""))
    step("OffsetCommit", None, commit(10, group, {at: [(0, 5, "m"), (1, 0, "")]}))
    step("OffsetDelete", version, body(["none"]))
    step("OffsetDelete", version, body([name, name]))
    step("OffsetDelete", version, body([name, name], (0, 9)))
    step("OffsetDelete", version, body([name, "none"], (0, 9)))
    step("OffsetFetch", None, fetch_offsets(10, group, None))
    step("OffsetDelete", version, body([]))
    subscribed = b"\0\0\0\0\0\1" + len(name).to_bytes(2, "big") + name.encode() + b"\xff\xff\xff\xff"
    member(step, group, "me", metadata=subscribed)
    step("SyncGroup", None, sync(group, "me"))
    step("OffsetDelete", version, body([name, "none"]))
    step("LeaveGroup", None, leave(5, group, "me"))
    member(step, group, "me", kind="connect")
    step("OffsetDelete", version, body([name]))
    step("LeaveGroup", None, leave(5, group, "me"))
    step("OffsetDelete", version, body([name]))
    step("OffsetFetch", None, fetch_offsets(10, group, None))


# Administrators


def described(step, version, prefix):
    group = prefix + "g"
    ready(step, group, "")
    body = {"Groups": [group, group + "none", ""], "IncludeAuthorizedOperations": True}
    step("DescribeGroups", version, body)
    step("DescribeGroups", version, {"Groups": []})
    member(step, group, "me", names=("range", "other"))
    step("DescribeGroups", version, body)
    step("SyncGroup", None, sync(group, "me"))
    step("DescribeGroups", version, {**body, "IncludeAuthorizedOperations": False})
    step("LeaveGroup", None, leave(5, group, "me"))
    step("DescribeGroups", version, body)


def listed(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    ready(step, group)
    topic(step, name)
    at = (name, topic_id(step, name))
    step("OffsetCommit", None, commit(10, prefix + "simple", {at: [(0, 5, "m")]}))
    member(step, group, "me")
    step("ListGroups", version, {})
    filters = (([], []), (["Empty"], []), ([" empty "], []), (["CompletingRebalance", "Stable"], []), (["nonsense"], []))
    for states, types in filters if version >= 4 else ():
        step("ListGroups", version, {"StatesFilter": states, "TypesFilter": types})
    for types in (["classic"], ["Classic", "consumer"], ["consumer"], ["nonsense"]) if version >= 5 else ():
        step("ListGroups", version, {"StatesFilter": [], "TypesFilter": types})


def deleted(step, version, prefix):
    group, name = prefix + "g", prefix + "t"
    ready(step, group, "")
    topic(step, name)
    at = (name, topic_id(step, name))
    step("OffsetCommit", None, commit(10, group, {at: [(0, 5, "m")]}))
    member(step, prefix + "h", "me")
    for names in ([group + "none", ""], [prefix + "h"], [group, group, prefix + "h"], [group]):
        step("DeleteGroups", version, {"GroupsNames": names})
    step("OffsetFetch", None, fetch_offsets(10, group, {at: [0]}))
    step("LeaveGroup", None, leave(5, prefix + "h", "me"))
    step("DeleteGroups", version, {"GroupsNames": [prefix + "h"]})
    describe(step, group, prefix + "h")


def topic_gone(step, version, prefix):
    """Offsets go with their topic."""
    group, name = prefix + "g", prefix + "t"
    ready(step, group)
    topic(step, name)
    at = (name, topic_id(step, name))
    step("OffsetCommit", None, commit(10, group, {at: [(0, 5, "m")]}))
    step("DeleteTopics", None, {"Topics": [{"Name": name}], "TimeoutMs": 10000})
    wanted = {"Groups": [{"GroupId": group, "Topics": None}]}
    for side in step.run.sides:
        give_time(lambda side=side: not side.call("OffsetFetch", 9, wanted)["Groups"][0]["Topics"])
    step("OffsetFetch", version, fetch_offsets(version, group, {at: [0]}))


def found(step, version, prefix):
    ready(step, prefix + "g")
    for kind in (0, 3, -1):
        body = {"Key": prefix + "g", "KeyType": kind}
        step("FindCoordinator", version, body if version < 4 else {"CoordinatorKeys": [prefix + "g", ""], "KeyType": kind})


def shares(step, version, prefix):
    """Keys of share partitions, most of them none."""
    if version < 4:
        return
    some = "AAAAAAAAAAAAAAAAAAAAAQ"
    keys = ["", "g", ":", "::", f"g:{some}", f":{some}:0", f" :{some}:0", f"g:{some}:", f"g:{some}:x", "g:no:0", f"g:{some}:0:1"]
    for key in keys:
        step("FindCoordinator", version, {"CoordinatorKeys": [key], "KeyType": 2})
    step("FindCoordinator", version, {"CoordinatorKeys": keys, "KeyType": 2})


def nameless(step, version, prefix):
    """A protocol without a name is one; and whom a consumer group's refusal of a classic member names."""
    group, name = prefix + "g", prefix + "t"
    topic(step, name)
    step.run.fence()
    ready(step, group, group + "2")
    step("JoinGroup", min(version, 3), join(group, names=("",)), keep="first")
    step("JoinGroup", version, join(group, member_of("first"), names=("",)))
    beat = {"GroupId": group + "2", "MemberId": "m", "MemberEpoch": 0, "RebalanceTimeoutMs": 60000}
    step("ConsumerGroupHeartbeat", 1, {**beat, "SubscribedTopicNames": [name], "TopicPartitions": []})
    for names in ((), ("nonsense",)):
        step("JoinGroup", version, join(group + "2", "m", names))
        step("JoinGroup", version, join(group + "2", "other", names))


SCENARIOS = [
    ("protocols without a name", "JoinGroup", nameless),
    ("group life", "JoinGroup", life),
    ("joins refused", "JoinGroup", joins_refused),
    ("static members", "JoinGroup", static_members),
    ("syncs", "SyncGroup", syncs),
    ("never synced", "SyncGroup", never_synced),
    ("heartbeats", "Heartbeat", heartbeats),
    ("leaves", "LeaveGroup", leaves),
    ("commits", "OffsetCommit", commits),
    ("offset fetches", "OffsetFetch", fetches),
    ("offsets deleted", "OffsetDelete", offsets_deleted),
    ("groups described", "DescribeGroups", described),
    ("groups listed", "ListGroups", listed),
    ("groups deleted", "DeleteGroups", deleted),
    ("topic gone", "OffsetFetch", topic_gone),
    ("coordinators of shares", "FindCoordinator", shares),
    ("coordinator", "FindCoordinator", found),
]
