"""Options and fixtures of the integration and interop tests."""

import pathlib
import shutil
import tempfile

import pytest

from harness.broker import KINDS
from harness.disks import Disks


def pytest_addoption(parser):
    parser.addoption("--broker", choices=sorted(KINDS), default="odradek", help="what the tests run against")
    parser.addoption("--seeds", default="1-2", help="kdiff: seeds of random requests, like 1-10")
    parser.addoption("--count", type=int, default=300, help="kdiff: random requests a seed")
    parser.addoption("--only", default="", help="kdiff: random requests of these APIs alone, separated by commas")
    parser.addoption("--kills", type=int, help="crash: how often the broker is killed (200, with a sanitizer 60)")
    parser.addoption("--seconds", type=int, default=300, help="checker: how long")
    parser.addoption("--seed", type=int, help="checker: what a failure printed")
    parser.addoption("--megabytes", type=int, default=200, help="events: how much the access log holds")
    parser.addoption("--full", action="store_true", help="frameworks: all that is tested, not a slice of each")
    parser.addoption("--keep", action="store_true", help="keep the directories of the brokers")


@pytest.fixture(scope="session")
def broker_kind(request):
    return request.config.getoption("--broker")


class Brokers:
    """The brokers of one test or module: started here, ended when it is done."""

    def __init__(self, kind, keep):
        self.kind, self.keep, self.all = kind, keep, []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="odradek-test-"))

    def new(self, kind=None, settings=None, data=None):
        """A broker that is not started yet; kind defaults to the one under test."""
        folder = self.directory / f"broker-{len(self.all)}"
        self.all.append(KINDS[kind or self.kind](folder, settings, data))
        return self.all[-1]

    def start(self, kind=None, settings=None, data=None):
        return self.new(kind, settings, data).start()

    def add(self, process):
        """What else a test runs beside its brokers: ended with them, before those that it was started after."""
        self.all.append(process)
        return process

    def successor(self, broker, kind):
        """Another broker for the same directory and addresses, to follow one that has ended."""
        after = self.new(kind, broker.settings, broker.data)
        after.port, after.controller_port = broker.port, broker.controller_port
        return after

    def close(self):
        problems, ending, self.all = [], self.all, []
        for broker in reversed(ending):
            try:
                broker.discard()
            except (AssertionError, TimeoutError) as problem:
                problems.append(str(problem))
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
        assert not problems, "\n".join(problems)


def _brokers(request):
    brokers = Brokers(request.config.getoption("--broker"), request.config.getoption("--keep"))
    request.node.brokers = brokers
    yield brokers
    brokers.close()


@pytest.fixture
def brokers(request):
    """Starts brokers for one test: brokers.start(settings={...})."""
    yield from _brokers(request)


@pytest.fixture
def disks(tmp_path_factory, brokers):
    """File systems for one test, which outlive its brokers' processes: disks.small(bytes), disks.disk()."""
    made = Disks(tmp_path_factory.mktemp("disks"))
    yield made
    brokers.close()
    made.close()


@pytest.fixture(scope="module")
def module_brokers(request):
    yield from _brokers(request)


@pytest.fixture(scope="module")
def broker(module_brokers):
    """A running broker that the tests of one file share."""
    return module_brokers.start()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Shows the end of each broker's log where a test failed."""
    report = (yield).get_result()
    if not report.failed:
        return
    for node in item.listchain():
        for broker in getattr(node, "brokers", None) and node.brokers.all or ():
            report.sections.append((f"{broker.log_path}", broker.log_text()[-4000:]))
