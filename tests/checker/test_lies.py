"""A broker that breaks an invariant is found out: the proxy falsifies what a real one says (lies.py)."""

import pytest

from checker.checks import violations
from checker.lies import LIES
from checker.world import SETTINGS, World

SECONDS = 3

@pytest.mark.parametrize("number,lie", LIES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_lie_is_found(brokers, number, lie):
    told = lie()
    world = World(brokers.start(settings=SETTINGS), 1, told, pace_s=0.01)
    world.faults.none()
    world.run(SECONDS)
    assert told.told > 0, "the lie was never told"
    found = violations(world.history.calls, world.logs)
    assert number in {one for one, _ in found}, (found[:3], world.problems)
