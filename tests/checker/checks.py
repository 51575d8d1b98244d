"""The judge: what has to hold of a history and of the logs at its end. Each check is a function of the two and yields what breaks its
invariant; the numbers are those of README.md. It knows nothing of brokers and clients (test_checks.py plants each violation).

A log is {"topic-partition": [entry]}, an entry {"offset", "who", "n", "source", "pid", "txn", "control"}: control is None, "commit"
or "abort"; who is DAMAGED where the value is.
"""

import bisect
import operator
from collections import Counter, defaultdict

from checker.history import OK, REFUSED, place
from checker.reading import DAMAGED, READ_COMMITTED

FINAL = "final"  # who read everything at the end


class Evidence:
    """A history and the final logs, with what several checks look up."""

    def __init__(self, calls, logs):
        self.calls, self.logs = calls, logs
        self.data = {name: [entry for entry in log if not entry["control"]] for name, log in logs.items()}
        self.committed = {name: committed_view(log) for name, log in logs.items()}
        sent = defaultdict(list)
        for call in self.of("produce"):
            for n in range(call["first"], call["first"] + call["count"]):
                sent[place(call["topic"], call["partition"]), call["who"], n].append(call)
        self.sent = dict(sent)  # (place, who, n): the calls that sent it

    def of(self, *ops):
        return [call for call in self.calls if call["op"] in ops]

    def finished(self, *ops):
        return [call for call in self.of(*ops) if call["result"] == OK]


def committed_view(log):
    """What read_committed is to see of a log, from its records alone."""
    waiting, out = defaultdict(list), []
    for entry in log:
        if entry["control"]:
            done = waiting.pop(entry["pid"], [])
            out += done if entry["control"] == "commit" else []
        elif entry["txn"]:
            waiting[entry["pid"]].append(entry)
        else:
            out.append(entry)
    return sorted(out, key=lambda entry: entry["offset"])


def acknowledged_records_are_there(e):  # 1
    kept = {name: {entry["offset"]: (entry["who"], entry["n"]) for entry in log} for name, log in e.data.items()}
    anywhere = {name: set(one.values()) for name, one in kept.items()}
    for call in e.finished("produce") + e.of("placed"):
        name = place(call["topic"], call["partition"])
        for i in range(call["count"]):
            record = (call["who"], call["first"] + i)
            if record not in anywhere[name]:
                yield f"acknowledged and lost: record {record} of {name}"
            elif call.get("offset", -1) >= 0 and kept[name].get(call["offset"] + i) != record:
                yield f"record {record} of {name} was acknowledged at {call['offset'] + i}, where {kept[name].get(call['offset'] + i)} is"


def idempotent_records_are_there_once(e):  # 2
    for name, log in e.data.items():
        for (who, n), count in Counter((entry["who"], entry["n"]) for entry in log).items():
            calls = e.sent.get((name, who, n))
            if calls and count > (len(calls) if calls[0]["kind"] == "plain" else 1):
                yield f"record {(who, n)} is {count} times in {name}, sent {len(calls)} times as {calls[0]['kind']}"


def producers_keep_their_order(e):  # 3
    for name, log in e.data.items():
        last = {}
        for entry in log:
            who, n = entry["who"], entry["n"]
            calls = e.sent.get((name, who, n))
            if not calls or (calls[0]["kind"] == "plain" and (len(calls) > 1 or calls[0]["result"] != OK)):
                continue  # a plain record that was sent twice may come late
            if n < last.get(who, -1):
                yield f"{name}: record {(who, n)} at {entry['offset']} comes behind {(who, last[who])}"
            last[who] = max(n, last.get(who, -1))


def ends_of(e):
    """{transaction: (its calls to commit or abort)}"""
    out = defaultdict(list)
    for call in e.of("end"):
        out[call["txn"]].append(call)
    return out


def records_of_transactions(e):
    """{transaction: {(place, who, n)}} that were sent."""
    out = defaultdict(set)
    for (name, who, n), calls in e.sent.items():
        if calls[0].get("txn"):
            out[calls[0]["txn"]].add((name, who, n))
    return out


def seen_committed(e):
    """{(place, who, n)} that anybody read as committed, with a reader."""
    out = {}
    for call in e.of("read"):
        if call["isolation"] == READ_COMMITTED:
            for _, who, n in call["records"]:
                out[place(call["topic"], call["partition"]), who, n] = call["who"]
    return out


def aborted_records_are_not_seen(e):  # 4
    ends, seen = ends_of(e), seen_committed(e)
    for txn, records in records_of_transactions(e).items():
        if any(call["commit"] and call["result"] != REFUSED for call in ends[txn]):
            continue
        for record in sorted(records & seen.keys()):
            yield f"{record} of the transaction {txn}, which was not committed, was read by {seen[record]}"


def transactions_are_atomic(e):  # 5
    ends = ends_of(e)
    visible = {(name, entry["who"], entry["n"]) for name, log in e.committed.items() for entry in log}
    for txn, records in records_of_transactions(e).items():
        shown = records & visible
        acknowledged = any(call["commit"] and call["result"] == OK for call in ends[txn])
        if acknowledged and shown != records:
            yield f"transaction {txn} was committed; not to be seen: {sorted(records - shown)}"
        elif shown and shown != records:
            yield f"transaction {txn} is half to be seen: {sorted(shown)}, but not {sorted(records - shown)}"


def outputs_agree_with_offsets(e):  # 5, of what is consumed, transformed and produced in transactions
    final = {call["group"]: call["offsets"] for call in e.of("offsets") if call["who"] == FINAL}
    for call in e.of("transforms"):
        group, offsets = call["group"], final.get(call["group"], {})
        made = Counter(entry["source"] for log in e.committed.values() for entry in log if entry["source"] != "-")
        for name in call["places"]:
            consumed = [entry["offset"] for entry in e.committed[name] if entry["offset"] < offsets.get(name, 0)]
            for source in (f"{name}@{offset}" for offset in consumed):
                count = made.pop(source, 0)
                if count != 1:
                    yield f"group {group} is past {source}, and there are {count} outputs of it"
        for source in made:
            yield f"there is an output of {source}, and group {group} is not past it or nothing committed is there"


def committed_offsets_do_not_go_back(e):  # 6
    """Whoever asks sees at least what was acknowledged, or seen, before it asked; and nothing that nobody sent."""
    known, stable, sent, ends = defaultdict(list), defaultdict(list), defaultdict(set), ends_of(e)
    for call in e.of("commit", "send_offsets"):
        if call["result"] != REFUSED:
            for name, offset in call["offsets"].items():
                sent[call["group"], name].add(offset)
    for call in e.finished("commit") + e.of("offsets"):
        for name, offset in call["offsets"].items():
            known[call["group"], name].append((call["end"], offset))
    for call in e.finished("send_offsets"):
        acknowledged = [end["end"] for end in ends[call["txn"]] if end["commit"] and end["result"] == OK]
        for name, offset in call["offsets"].items() if acknowledged else ():
            stable[call["group"], name].append((min(acknowledged), offset))
    known_before = {key: _highest_before(facts) for key, facts in known.items()}
    stable_before = {key: _highest_before(facts + known[key]) for key, facts in stable.items()}
    for call in e.of("offsets"):
        for name in call["asked"]:
            key, offset = (call["group"], name), call["offsets"].get(name, -1)
            if offset >= 0 and offset not in sent[key]:
                yield f"{call['who']} was told {offset} for {name} of group {call['group']}, which nobody committed"
            # A transaction's offsets may still be pending after its end was answered; who asks for stable ones waits for them.
            before = stable_before if call["stable"] and key in stable_before else known_before
            earlier = before[key](call["start"]) if key in before else -1
            if offset < earlier:
                yield f"{name} of group {call['group']} was at {earlier}; then {call['who']} was told {offset}"


def one_owner_a_generation(e):  # 7, or an epoch of the consumer protocol
    owners, assignments = {}, {}
    for call in e.of("own"):
        generation = (call["group"], call["generation"])
        if call["assignment"] and assignments.setdefault(generation, call["assignment"]) != call["assignment"]:
            yield f"generation {generation} was assigned twice: {assignments[generation]} and {call['assignment']}"
        for name in call["places"]:
            owner = call.get("owner", call["member"])  # a static member comes back under another id
            if owners.setdefault((*generation, name), owner) != owner:
                yield f"generation {generation}: {name} belongs to {owners[*generation, name]} and to {owner}"


def old_generations_do_not_commit(e):  # 7
    """Once somebody is in a later generation, the one before it commits nothing."""
    begun = defaultdict(list)
    for call in e.of("own"):
        if call.get("protocol") != "consumer":  # there, members lag behind: former_owners_do_not_commit
            begun[call["group"]].append((call["end"], call["generation"]))
    newest = {group: _highest_before(facts) for group, facts in begun.items()}
    for call in e.finished("commit", "send_offsets"):
        later = newest[call["group"]](call["start"]) if call["group"] in newest else -1
        if later > call["generation"]:
            yield f"{call['who']} committed in generation {call['generation']} of group {call['group']}, when {later} had begun"


def former_owners_do_not_commit(e):  # 7, the consumer protocol
    """Once somebody was given a partition in a later epoch, nobody else commits it; and a member's epoch only grows."""
    given, epochs = defaultdict(list), {}
    for call in e.of("own"):
        if call.get("protocol") != "consumer":
            continue
        member = call["group"], call["member"]
        if epochs.setdefault(member, call["generation"]) > call["generation"]:
            yield f"the epoch of {call['member']} went from {epochs[member]} to {call['generation']}"
        epochs[member] = call["generation"]
        for name in call["places"]:
            given[call["group"], name].append((call["end"], call["generation"], call["owner"]))
    for call in e.finished("commit"):
        for name in call["offsets"]:
            earlier = [(epoch, owner) for at, epoch, owner in given.get((call["group"], name), ()) if at < call["start"]]
            epoch, owner = max(earlier, default=(-1, None))
            if earlier and owner != call["owner"] and epoch > call["generation"]:
                yield f"{call['owner']} committed {name} in epoch {call['generation']}, which {owner} had since epoch {epoch}"


def _highest_before(facts):
    """Of (time, number) a function: the highest number strictly before a time, or -1."""
    facts, top = sorted(facts), -1
    times, highest = [at for at, _ in facts], []
    for _, number in facts:
        top = max(top, number)
        highest.append(top)

    def before(at):
        i = bisect.bisect_left(times, at)
        return highest[i - 1] if i else -1

    return before


def fenced_producers_do_not_commit(e):  # 8
    """Once a later producer of its id has been told its epoch, an earlier one ends no transaction."""
    inits = [call for call in e.finished("init") if call.get("tid")]
    begun = {call["who"]: call for call in inits}
    ends = defaultdict(list)  # (end, start) of those that came to be
    for call in inits:
        ends[call["tid"]].append((call["end"], call["start"], call["who"]))
    for told in ends.values():
        told.sort()
    for call in e.finished("end"):
        own, told = begun.get(call["who"]), ends[call["tid"]]
        for at, start, who in told[: bisect.bisect_left(told, (call["start"],))][::-1] if own else ():
            if at <= own["end"]:
                break
            if who != call["who"] and start > own["end"]:
                how = "committed" if call["commit"] else "aborted"
                yield f"{call['who']} was told that {call['txn']} is {how} after {who} had fenced it"
                break


def nothing_is_made_up(e):  # 9
    for name, log in e.logs.items():
        expected = 0
        for entry in log:
            if entry["offset"] != expected:
                yield f"{name}: offset {entry['offset']} where {expected} was expected"
            expected = entry["offset"] + 1
            if entry["control"]:
                continue
            if entry["who"] == DAMAGED:
                yield f"{name}: the record at {entry['offset']} is damaged"
            elif not e.sent.get((name, entry["who"], entry["n"])):
                yield f"{name}: record {(entry['who'], entry['n'])} at {entry['offset']}, which nobody sent there"


def reads_agree_with_the_log(e):  # 10
    for call in e.of("read"):
        name = place(call["topic"], call["partition"])
        log = (e.committed if call["isolation"] == READ_COMMITTED else e.data)[name]
        wanted = [(entry["offset"], entry["who"], entry["n"]) for entry in between(log, call["from"], call["to"])]
        got = [tuple(record) for record in call["records"]]
        if got != wanted:
            missing, more = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted), key=str)
            yield f"{call['who']} read {name} [{call['from']}, {call['to']}) at isolation {call['isolation']}: without {missing}, but with {more}"


def between(log, start, end):
    offset_of = operator.itemgetter("offset")
    return log[bisect.bisect_left(log, start, key=offset_of) : bisect.bisect_left(log, end, key=offset_of)]


CHECKS = [
    (1, acknowledged_records_are_there),
    (2, idempotent_records_are_there_once),
    (3, producers_keep_their_order),
    (4, aborted_records_are_not_seen),
    (5, transactions_are_atomic),
    (5, outputs_agree_with_offsets),
    (6, committed_offsets_do_not_go_back),
    (7, one_owner_a_generation),
    (7, old_generations_do_not_commit),
    (7, former_owners_do_not_commit),
    (8, fenced_producers_do_not_commit),
    (9, nothing_is_made_up),
    (10, reads_agree_with_the_log),
]


def violations(calls, logs):
    """[(invariant, what breaks it)]"""
    evidence = Evidence(calls, logs)
    return [(number, what) for number, check in CHECKS for what in check(evidence)]
