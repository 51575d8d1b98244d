"""Fetches what the chosen tests need before the first of them runs, as fetching has no test's time limit."""

import pytest

from harness.frameworks.framework import framework


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--full"):
        chosen = [item for item in items if not item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
        items[:] = chosen


def pytest_collection_finish(session):
    if session.config.option.collectonly:
        return
    needed = [name for item in session.items for mark in item.iter_markers("needs") for name in mark.args]
    for name in dict.fromkeys(needed):
        framework(name)


@pytest.fixture
def directory(brokers):
    """A folder for one test, which goes with its brokers'."""
    return brokers.directory
