"""A broker that is killed at a chosen append to its logs (crash_at.c)."""

import os
import pathlib
import signal

from harness.process import preloadable, wait_until

HOWS = ("before", "torn", "after")  # what becomes of the append itself


def build(folder):
    """The library to load, made in this folder."""
    return preloadable("crash_at.c", folder)


def appends(broker):
    """The logs' folders in the order in which the broker has appended to them."""
    log = broker.directory / "appends"
    return [pathlib.Path(line).parent.name for line in log.read_text().split()] if log.exists() else []


def arm(broker, library, topics, at=None, how="before", suffix=".log"):
    """The broker's next start counts its appends to these topics' files of this kind, and ends at the at-th."""
    broker.environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "CRASH_IN": ",".join(f"/{topic}-" for topic in topics),
        "CRASH_LOG": str(broker.directory / "appends"),
        "CRASH_HOW": how,
        **({"CRASH_SUFFIX": suffix} if suffix else {}),
        **({"CRASH_AT": str(at)} if at else {}),
    }


def disarm(broker):
    broker.environment = None


def await_death(broker):
    """It has ended, by the signal that it gave itself."""
    process, broker.process = broker.process, None
    wait_until(lambda: process.returncode is not None, 20, "the broker's end")
    assert process.wait(1) == -signal.SIGKILL, broker.log_text()[-3000:]
