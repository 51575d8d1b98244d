"""A broker that breaks an invariant is found out: the proxy falsifies what a real one says (lies.py)."""

import pytest

from checker.checks import violations
from checker.lies import LIES
from checker.world import SETTINGS, World

SECONDS, MOST_SECONDS = 3, 12  # of the first try, and so much more with each, up to
TRIES = 10  # a lie may happen to do no harm: to be about records that nobody compares; and a busy machine has told few by then


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number,lie", LIES, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_lie_is_found(brokers, number, lie):
    tried = []
    for seed in range(1, TRIES + 1):
        told = lie()
        broker = brokers.start(settings=SETTINGS)
        world = World(broker, seed, told, pace_s=0.01)
        world.faults.none()
        world.run(min(SECONDS * seed, MOST_SECONDS))
        found = violations(world.history.calls, world.logs)
        if number in {one for one, _ in found}:
            return
        tried.append((f"told {told.told} times", found[:3], world.problems))
        broker.stop()
    raise AssertionError(tried)
