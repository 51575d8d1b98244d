"""Odradek answers as Apache Kafka 4.3.1 does: scenarios in every version, and random requests from seeds.

./dev test kdiff --seeds 1-10 --count 600 asks more than the usual run, and with --only Fetch,Produce -k random_requests of some APIs.
"""

import pytest

from interop.kdiff import members
from interop.kdiff.apis import APIS
from interop.kdiff.randoms import RandomRun
from interop.kdiff.run import Run, Side
from interop.kdiff.scenarios import SCENARIOS, bounds, consumer_protocol, levels
from interop.kdiff.scenarios.static_voters import STATIC_VOTERS

TIMEOUT_S = 20


class Pair:
    """A broker under test beside an Apache Kafka, both fresh."""

    def __init__(self, brokers, static_voters=False, settings=()):
        self.ours, self.kafka = brokers.new(), brokers.new(kind="kafka")
        for broker in (self.ours, self.kafka):  # or else every listener counts as advertised, and none may ever be closed
            broker.settings["advertised.listeners"] = f"PLAINTEXT://{broker.bootstrap}"
            broker.settings["http.listeners"] = ""  # both list what their files say
            # Retention has its first turn half a minute after each one's start, and takes what is old or below a log's start.
            broker.settings["log.retention.check.interval.ms"] = broker.settings["log.initial.task.delay.ms"] = "3600000"
            broker.settings["log.cleaner.backoff.ms"] = "3600000"  # nor is what may be compacted a matter of seconds
            broker.settings.update(settings)
            if static_voters:
                address = broker.settings.pop("controller.quorum.bootstrap.servers")
                broker.settings["controller.quorum.voters"] = f"1@{address}"
        self.ours.launch()
        self.kafka.launch()
        self.ours.wait_ready()
        self.kafka.wait_ready()

    def run(self):
        self.lines = []
        sides = Side("ours", self.ours.bootstrap, TIMEOUT_S), Side("kafka", self.kafka.bootstrap, TIMEOUT_S)
        run = Run(*sides, show=15, out=self.lines.append)
        run.compare_versions(only=APIS)
        return run

    def assert_same(self, run):
        assert run.steps and not run.bad, "\n".join([run.summary(), *self.lines])


@pytest.fixture(scope="module")
def pair(module_brokers):
    return Pair(module_brokers, settings=consumer_protocol.SETTINGS)


def test_versions_and_features(pair):
    run = pair.run()
    assert not run.bad, "\n".join(pair.lines)


def assert_same(pair, scenarios):
    run = pair.run()
    run.bad = 0  # what ApiVersions itself says is the test above
    for scenario in scenarios:
        run.scenario(scenario)
    pair.assert_same(run)


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s[1] in APIS], ids=lambda s: s[0].replace(" ", "-"))
def test_scenario(pair, scenario):
    assert_same(pair, [scenario])


def test_static_voters(brokers):
    assert_same(Pair(brokers, static_voters=True), [STATIC_VOTERS])


def test_bounds(brokers):
    assert_same(Pair(brokers, settings=bounds.SETTINGS), bounds.BOUNDS)


@pytest.mark.timeout(1200)
def test_levels(brokers):
    assert_same(Pair(brokers, settings=consumer_protocol.SETTINGS), levels.LEVELS)


def pytest_generate_tests(metafunc):
    if "seed" in metafunc.fixturenames:
        low, _, high = metafunc.config.getoption("--seeds").partition("-")
        metafunc.parametrize("seed", range(int(low), int(high or low) + 1))


@pytest.mark.timeout(900)
def test_random_requests(brokers, seed, pytestconfig):
    pair = Pair(brokers, settings={"group.consumer.assignment.interval.ms": "0"})  # what members hold depends on no time
    run = pair.run()
    run.bad = 0
    only = set(filter(None, pytestconfig.getoption("--only").split(",")))
    assert only <= set(APIS), f"not asked for: {only - set(APIS)}"
    RandomRun(run, seed, only or APIS).go(pytestconfig.getoption("--count"))
    pair.assert_same(run)


@pytest.mark.timeout(900)
def test_random_members(brokers, seed, pytestconfig):
    """Heartbeats of consumer groups (KIP-848), with members that come, go, and say what is not so."""
    pair = Pair(brokers, settings=members.SETTINGS)
    run = pair.run()
    run.bad = 0
    RandomRun(run, seed, members.APIS, members=True).go(pytestconfig.getoption("--count"))
    pair.assert_same(run)
