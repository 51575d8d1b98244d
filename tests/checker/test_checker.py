"""Rounds of a minute, each with a seed of its own. What breaks an invariant is printed with its seed; the same seed repeats the round's
operations and faults: ./dev test checker --seconds 60 --seed N
"""

import time

import pytest

from checker.checks import violations
from checker.world import SETTINGS, World

ROUND_S = 60
SHOWN = 20


def report(world, seed, broken, saved):
    lines = [f"seed {seed}: {len(broken)} violations; history in {saved}"]
    lines += [f"  invariant {number}: {what}" for number, what in broken[:SHOWN]]
    return "\n".join(lines)


@pytest.mark.timeout(24 * 3600)
def test_history_holds(brokers, pytestconfig, capsys, tmp_path_factory):
    seconds, seed = pytestconfig.getoption("--seconds"), pytestconfig.getoption("--seed")
    seed = int(time.time()) if seed is None else seed
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        world = World(brokers.start(settings=SETTINGS), seed)
        world.run(min(ROUND_S, max(end - time.monotonic(), 1)))
        broken = [(11, problem) for problem in world.problems] + violations(world.history.calls, world.logs)
        with capsys.disabled():
            print(f"\nchecker: seed {seed}: {summary(world)}", flush=True)
        if broken:
            saved = tmp_path_factory.mktemp("history") / f"{seed}.jsonl"
            world.history.save(saved)
            pytest.fail(report(world, seed, broken, saved), pytrace=False)
        world.broker.discard()
        seed += 1


def summary(world):
    calls = world.history.calls
    minutes = max(calls[-1]["end"], 1) / 60
    records = sum(len(log) for log in world.logs.values())
    faults = ", ".join(f"{count} {kind}" for kind, count in world.faults.by_kind.items())
    operations = sum(actor.operations for actor in world.actors)
    return (
        f"{operations} operations, {len(calls)} calls ({len(calls) / minutes:.0f} a minute), {records} records; "
        f"{world.faults.count} faults ({world.faults.count / minutes:.0f} a minute): {faults}"
    )
