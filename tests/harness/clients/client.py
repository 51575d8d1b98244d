"""What the clients have in common."""

import contextlib
import logging
import re
from dataclasses import replace

from harness.records import COMPRESSIONS

# What clients say of a broker that is as it should be: the first that asks a broker for a producer id after its start, Kafka or
# ours, is told to ask again, while a block of ids is on its way. And kafka-python complains of its own slowness, and that it assigns
# partitions before it has asked for the topics' metadata.
USUAL = re.compile(
    "coordinator load in progress|coordinator is (still )?loading|blocking the event loop|no partition metadata for topic", re.I
)


def no_null_headers(records):
    return [replace(r, headers=tuple((name, value or b"") for name, value in r.headers)) for r in records]


def no_empty_records(records):
    return [r for r in records if r.key is not None or r.value is not None]


class Client:
    name = None
    binary = True  # carries any byte, empty values, null and repeated headers, and times
    compressions = COMPRESSIONS
    assigns = True  # consumes from partitions that it is told
    groups = ()  # the group protocols that it speaks
    admin = frozenset()  # the administrative jobs that it does (see program.py)
    language = None  # of the program that drives it, where that is built first

    def carries(self, records):
        """What of these records the client can write, and how it writes them."""
        return records

    def sees(self, records):
        """What the client makes of these records when it reads them."""
        return records


class Library(Client):
    """A client library for Python, used in this process. A job is a method of the job's name: job(bootstrap, job)."""

    loggers = ()  # what the library logs to

    def do(self, bootstrap, jobs, may_complain=False):
        """Does the jobs and returns their results; an AssertionError where the client complained of anything."""
        results = []
        with no_complaints(self.name, () if may_complain else self.loggers):
            for job in jobs:
                try:
                    results.append(getattr(self, job["do"])(bootstrap, job) or {})
                except Exception as problem:  # whatever the library raises is the job's result
                    results.append({"error": f"{job['do']}: {problem!r}"})
        return results


def assert_no_complaints(who, said, usual=None):
    """Of what a program wrote to standard error; usual: what whole lines of it may be."""
    complaints = [line for line in said.splitlines() if line.strip() and not (USUAL.search(line) or usual and usual.fullmatch(line))]
    assert not complaints, f"{who} complains: " + "\n".join(complaints)[:3000]


@contextlib.contextmanager
def no_complaints(who, loggers):
    """Fails where the loggers say a warning or an error meanwhile."""
    said = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda entry: said.append(f"{entry.levelname} {entry.name}: {entry.getMessage()}")
    for name in loggers:
        logging.getLogger(name).addHandler(handler)
    try:
        yield
    finally:
        for name in loggers:
            logging.getLogger(name).removeHandler(handler)
    assert_no_complaints(who, "\n".join(said))
