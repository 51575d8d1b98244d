"""Builds the client programs that the chosen tests need before the first of them runs, as building has no test's time limit."""

import pytest

from harness.clients import CLIENTS, toolchains


def _languages(item):
    params = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return {CLIENTS[name].language for name in params if isinstance(name, str) and name in CLIENTS} - {None}


def pytest_collection_finish(session):
    if session.config.option.collectonly:
        return
    for item in session.items:
        for language in sorted(_languages(item)):
            try:
                toolchains.prepare(language)
            except toolchains.Missing as missing:
                item.add_marker(pytest.mark.skip(reason=str(missing)))


def pytest_collection_modifyitems(items):
    """A test of what no client can be asked yet, as the API is not served, is no test rather than a skipped one."""
    items[:] = [item for item in items if "[NOTSET" not in item.nodeid]
