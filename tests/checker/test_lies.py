"""A broker that breaks an invariant is found out: the proxy falsifies what a real one says (lies.py)."""

import pytest

from checker.checks import violations
from checker.lies import LIES
from checker.world import SETTINGS, World

SECONDS = 3  # of the first try, and so much more with each
TRIES = 4  # a lie may happen to do no harm: to be about records that nobody compares


@pytest.mark.parametrize("number,lie", LIES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_lie_is_found(brokers, number, lie):
    tried = []
    for seed in range(1, TRIES + 1):
        told = lie()
        broker = brokers.start(settings=SETTINGS)
        world = World(broker, seed, told, pace_s=0.01)
        world.faults.none()
        world.run(SECONDS * seed)
        found = violations(world.history.calls, world.logs)
        if number in {one for one, _ in found}:
            return
        tried.append((f"told {told.told} times", found[:3], world.problems))
        broker.stop()
    raise AssertionError(tried)
