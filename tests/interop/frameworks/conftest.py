"""Fetches what the chosen tests need before the first of them runs, as fetching has no test's time limit; looks for complaints in the
frameworks' logs when a test has passed; and says what each test took."""

import os
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.frameworks.complaints import complaints
from harness.frameworks.framework import framework
from harness.frameworks.runner import Runner


# Two workers take the tests in turn (./dev): those that take longest begin.
LONGEST = "storm spark flink smoke databases exactly_once_source cassandra files over_kills mirror".split()


@pytest.hookimpl(trylast=True)  # after the order of all interop tests
def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full"):
        chosen = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen
    items.sort(key=lambda item: next((rank for rank, word in enumerate(LONGEST) if word in item.nodeid), len(LONGEST)))


def pytest_collection_finish(session):
    if session.config.option.collectonly:
        return
    needed = dict.fromkeys(name for item in session.items for mark in item.iter_markers("needs") for name in mark.args)
    with ThreadPoolExecutor() as at_once:  # from several registries; ./dev asks each for one thing at a time
        list(at_once.map(framework, needed))


@pytest.fixture
def directory(brokers):
    """A folder for one test, which goes with its brokers'."""
    return brokers.directory


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Where a test passes, no log of its frameworks may complain of the broker."""
    result = yield
    everything = item.funcargs["brokers"].all if "brokers" in item.funcargs else []
    runners = [process for process in everything if isinstance(process, Runner)]
    away = [span for broker in everything if broker not in runners for span in broker.away]
    found = [line for runner in runners for line in complaints(runner, away)]
    assert not found, f"{len(found)} complaints:\n" + "\n".join(found)[:6000]
    return result


# -- what the tests took, by the clock and of the processors


def _cpu_s():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    item.cpu_before = _cpu_s()
    return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item, call):
    if call.when == "teardown":
        item.user_properties.append(("cpu_s", _cpu_s() - item.cpu_before))


def pytest_terminal_summary(terminalreporter):
    clock, cpu = {}, {}
    for report in (report for some in terminalreporter.stats.values() for report in some if hasattr(report, "when")):
        clock[report.nodeid] = clock.get(report.nodeid, 0) + report.duration
        cpu |= {report.nodeid: value for name, value in report.user_properties if name == "cpu_s"}
    for test in sorted((test for test in clock if clock[test] > 1), key=clock.get, reverse=True):
        name = test.removeprefix("interop/frameworks/")
        terminalreporter.write_line(f"{clock[test]:6.0f} s, of the processors {cpu.get(test, 0):6.1f} s  {name}")
    terminalreporter.write_line(f"{sum(clock.values()):6.0f} s, of the processors {sum(cpu.values()):6.1f} s")
