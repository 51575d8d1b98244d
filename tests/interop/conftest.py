"""Builds the client programs that the chosen tests need before the first of them runs, as building has no test's time limit; and has the
files that take longest begin, as each is one worker's (./dev)."""

from collections import Counter

import pytest

from harness.clients import CLIENTS, toolchains


LONGEST = (
    "kdiff removed_dirs clients unfinished_by_turns disk tools_admin quota_tools transactions compaction config_tools group_migration"
    " offline_dirs cordoned_dirs processors unclean_election events"
).split()


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
    counts = Counter(item.path for item in items)

    def turn(item):
        name = item.path.stem.removeprefix("test_")
        return (LONGEST.index(name), 0) if name in LONGEST else (len(LONGEST), -counts[item.path])

    items.sort(key=turn)
