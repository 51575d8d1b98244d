"""The judge judged: a history in which all is well, and one for every way to break an invariant, each found by its number."""

import copy

import pytest

from checker.checks import FINAL, violations
from checker.history import LOST, OK, REFUSED, read_value, value
from checker.reading import DAMAGED, READ_COMMITTED, READ_UNCOMMITTED


def entry(offset, who, n, source="-", pid=-1, txn=False, control=None):
    return {"offset": offset, "who": who, "n": n, "source": source, "pid": pid, "txn": txn, "control": control}


def produce(who, kind, topic, first, count, result=OK, offset=-1, txn=None, at=0):
    where = {"topic": topic, "partition": 0, "first": first, "count": count, "kind": kind, "txn": txn}
    return {"op": "produce", "start": at, "end": at + 0.5, "who": who, "result": result, "offset": offset, **where}


def end(who, txn, commit, at, result=OK, tid="t"):
    return {"op": "end", "start": at, "end": at + 0.5, "who": who, "tid": tid, "txn": txn, "commit": commit, "result": result}


def init(who, at, tid="t"):
    return {"op": "init", "start": at, "end": at + 0.5, "who": who, "tid": tid, "result": OK}


def read(who, topic, isolation, start, to, *records, at=50):
    where = {"topic": topic, "partition": 0, "isolation": isolation, "from": start, "to": to}
    return {"op": "read", "start": at, "end": at + 0.5, "who": who, "records": [list(one) for one in records], **where}


def commit(who, generation, offset, at, result=OK, op="commit", txn=None):
    fields = {"group": "g", "generation": generation, "offsets": {"in-0": offset}, "txn": txn}
    return {"op": op, "start": at, "end": at + 0.5, "who": who, "result": result, **fields}


def own(member, generation, at, *places, assignment=1):
    fields = {"group": "g", "generation": generation, "member": member, "assignment": assignment, "places": list(places)}
    return {"op": "own", "start": at, "end": at, "who": member, **fields}


def own_at_epoch(owner, epoch, at, *places, member=None):
    fields = {"group": "k", "generation": epoch, "member": member or owner, "owner": owner, "assignment": 0, "protocol": "consumer"}
    return {"op": "own", "start": at, "end": at, "who": owner, "places": list(places), **fields}


def commit_at_epoch(owner, epoch, at, place, result=OK):
    fields = {"group": "k", "generation": epoch, "owner": owner, "offsets": {place: 1}, "txn": None}
    return {"op": "commit", "start": at, "end": at + 0.5, "who": owner, "result": result, **fields}


def offsets(who, at, offset, stable=True):
    fields = {"group": "g", "asked": ["in-0"], "stable": stable, "offsets": {"in-0": offset}}
    return {"op": "offsets", "start": at, "end": at + 0.5, "who": who, **fields}


def good():
    """A plain and an idempotent producer write to in; one transaction makes out of it and commits, one aborts."""
    calls = [
        produce("plain", "plain", "in", 0, 1, LOST),
        produce("plain", "plain", "in", 0, 1, OK, 1),
        produce("idem", "idempotent", "in", 0, 2, LOST),
        produce("idem", "idempotent", "in", 0, 2, OK, 2),
        init("tx.1", 1),
        produce("tx.1", "transactional", "out", 0, 2, OK, 0, "tx.1/1", 2),
        produce("tx.1", "transactional", "txn", 2, 1, OK, 0, "tx.1/1", 3),
        own("m", 1, 3, "in-0"),
        own("n", 1, 3, "in-1"),
        commit("tx.1", 1, 2, 4, op="send_offsets", txn="tx.1/1"),
        offsets("watch", 4.5, 0, stable=False),
        end("tx.1", "tx.1/1", True, 5),
        offsets("watch", 5.6, 2),
        produce("tx.1", "transactional", "out", 3, 2, OK, 3, "tx.1/2", 6),
        commit("tx.1", 1, 4, 6, op="send_offsets", txn="tx.1/2"),
        end("tx.1", "tx.1/2", False, 7),
        init("tx.2", 8),
        end("tx.1", "tx.1/2", False, 9, REFUSED),
        own("n", 2, 10, "in-0", "in-1", assignment=2),
        commit("m", 1, 3, 11, REFUSED),
        commit("n", 2, 2, 11),
        read("r", "in", READ_UNCOMMITTED, 0, 3, (0, "plain", 0), (1, "plain", 0), (2, "idem", 0)),
        read("r", "out", READ_COMMITTED, 0, 6, (0, "tx.1", 0), (1, "tx.1", 1)),
        read("r", "out", READ_UNCOMMITTED, 1, 5, (1, "tx.1", 1), (3, "tx.1", 3), (4, "tx.1", 4)),
        own_at_epoch("x", 2, 20, "in-0", "in-1"),
        commit_at_epoch("x", 2, 21, "in-0"),
        own_at_epoch("y", 3, 22),
        own_at_epoch("x", 2, 23, "in-0"),
        own_at_epoch("x", 3, 24, "in-0"),
        commit_at_epoch("x", 2, 24.5, "in-0"),  # it has had it since then
        own_at_epoch("y", 3, 25, "in-1"),
        commit_at_epoch("x", 2, 26, "in-1", REFUSED),
        commit_at_epoch("y", 3, 26, "in-1"),
        own_at_epoch("y", 3, 27, "in-1", member="y-again"),  # a static member, come back
        offsets(FINAL, 60, 2),
        {"op": "transforms", "start": 0, "end": 0, "group": "g", "places": ["in-0"]},
    ]
    logs = {
        "in-0": [entry(0, "plain", 0), entry(1, "plain", 0), entry(2, "idem", 0), entry(3, "idem", 1)],
        "out-0": [
            entry(0, "tx.1", 0, "in-0@0", 7, True),
            entry(1, "tx.1", 1, "in-0@1", 7, True),
            entry(2, "", -1, "-", 7, True, "commit"),
            entry(3, "tx.1", 3, "in-0@2", 7, True),
            entry(4, "tx.1", 4, "in-0@3", 7, True),
            entry(5, "", -1, "-", 7, True, "abort"),
        ],
        "txn-0": [entry(0, "tx.1", 2, "-", 7, True), entry(1, "", -1, "-", 7, True, "commit")],
    }
    calls[10]["offsets"] = {}
    return calls, logs


def swap(log, i, k):
    log[i], log[k] = {**log[k], "offset": i}, {**log[i], "offset": k}


def renumber(log):
    for offset, one in enumerate(log):
        one["offset"] = offset


def lose(calls, logs):
    logs["in-0"].pop()


def move(calls, logs):
    logs["in-0"].insert(0, entry(0, "plain", 0))
    renumber(logs["in-0"])


def duplicate(calls, logs):
    logs["in-0"].append(entry(4, "idem", 1))


def duplicate_plain(calls, logs):
    logs["in-0"] += [entry(4, "plain", 0)]


def reorder(calls, logs):
    swap(logs["in-0"], 2, 3)


def aborted_seen(calls, logs):
    calls.append(read("r", "out", READ_COMMITTED, 3, 5, (3, "tx.1", 3), (4, "tx.1", 4)))


def abort_commits(calls, logs):
    logs["out-0"][5]["control"] = "commit"


def half_committed(calls, logs):
    logs["txn-0"][1]["control"] = "abort"


def half_of_unknown(calls, logs):
    half_committed(calls, logs)
    next(call for call in calls if call["op"] == "end" and call["commit"])["result"] = LOST


def committed_aborts(calls, logs):
    half_committed(calls, logs)
    logs["out-0"][2]["control"] = "abort"


def output_twice(calls, logs):
    logs["txn-0"][0]["source"] = "in-0@1"


def output_missing(calls, logs):
    logs["out-0"][1]["source"] = "-"


def output_without_offset(calls, logs):
    calls[-2]["offsets"] = {"in-0": 1}


def offset_back(calls, logs):
    calls += [commit("n", 2, 4, 61), offsets("watch", 62, 2)]


def offset_forgotten(calls, logs):
    calls.append({**offsets("watch", 62, 2), "offsets": {}})


def transaction_offset_back(calls, logs):
    calls.append({**offsets("watch", 5.7, 0), "offsets": {}})


def offset_made_up(calls, logs):
    calls.append(offsets("watch", 62, 3))


def aborted_offset(calls, logs):
    calls += [offsets("watch", 62, 4), offsets("watch", 63, 2)]


def two_owners(calls, logs):
    calls.append(own("n", 1, 3, "in-0"))


def two_assignments(calls, logs):
    calls.append(own("o", 1, 3, "in-2", assignment=9))


def old_generation(calls, logs):
    calls.append(commit("m", 1, 4, 12))


def two_owners_at_epoch(calls, logs):
    calls.append(own_at_epoch("x", 3, 28, "in-0", "in-1"))


def former_owner(calls, logs):
    calls.append(commit_at_epoch("x", 2, 28, "in-1"))


def epoch_back(calls, logs):
    calls.append(own_at_epoch("x", 2, 28, "in-0"))


def fenced_commits(calls, logs):
    calls += [end("tx.1", "tx.1/1", True, 9)]


def made_up(calls, logs):
    logs["in-0"].append(entry(4, "plain", 77))


def damaged(calls, logs):
    logs["in-0"].append(entry(4, DAMAGED, -1))


def elsewhere(calls, logs):
    logs["txn-0"].append(entry(2, "idem", 0))


def gap(calls, logs):
    logs["txn-0"].append(entry(9, "", -1, "-", 7, True, "abort"))


def read_too_little(calls, logs):
    calls.append(read("r", "in", READ_COMMITTED, 0, 3, (0, "plain", 0), (2, "idem", 0)))


def read_what_vanished(calls, logs):
    calls.append(read("r", "in", READ_UNCOMMITTED, 3, 5, (3, "idem", 1), (4, "plain", 5)))


PLANTED = [
    (1, lose),
    (1, move),
    (2, duplicate),
    (2, duplicate_plain),
    (3, reorder),
    (4, aborted_seen),
    (5, half_committed),
    (5, half_of_unknown),
    (5, committed_aborts),
    (5, output_twice),
    (5, output_missing),
    (5, output_without_offset),
    (6, offset_back),
    (6, offset_forgotten),
    (6, transaction_offset_back),
    (6, offset_made_up),
    (6, aborted_offset),
    (7, two_owners),
    (7, two_assignments),
    (7, old_generation),
    (7, two_owners_at_epoch),
    (7, former_owner),
    (7, epoch_back),
    (8, fenced_commits),
    (9, made_up),
    (9, damaged),
    (9, elsewhere),
    (9, gap),
    (10, read_too_little),
    (10, read_what_vanished),
]


def test_a_good_history_is_good():
    assert violations(*good()) == []


@pytest.mark.parametrize("number,plant", PLANTED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_violation_is_found(number, plant):
    calls, logs = copy.deepcopy(good())
    plant(calls, logs)
    found = violations(calls, logs)
    assert number in {one for one, _ in found}, found


def test_an_abort_that_commits_is_found():
    calls, logs = good()
    abort_commits(calls, logs)
    calls.append(read("r", "out", READ_COMMITTED, 3, 6, (3, "tx.1", 3), (4, "tx.1", 4)))
    assert {4, 5} <= {number for number, _ in violations(calls, logs)}


def test_values_are_read_back_and_damage_is_seen():
    raw = value("who.1", 12, "in-0@3", b"x" * 10)
    assert read_value(raw) == ("who.1", 12, "in-0@3")
    assert read_value(raw.replace(b"12", b"13")) is None
    assert read_value(b"") is None
    assert read_value(raw[:-1]) is None
