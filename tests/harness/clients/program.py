"""A client library behind a small program of ours, one a library, all with the same command form:

    PROGRAM BOOTSTRAP <jobs.json >results.json

It does a JSON list of jobs in order and answers with the list of their results; a job that fails answers {"error": text}.
What the client library has to complain about (a warning, a retry, a connection lost) goes to standard error.
A record is [key, value, timestamp or null, [[header, value]...]], bytes in base64, null where there is none.

    {"do": "produce", "topic": t, "partition": p, "compression": c, "idempotent": bool, "max_bytes": n or null, "records": [...]}
                  max_bytes: the largest request, where that is more than the library would send                        -> {}
    {"do": "consume", "topic": t, "partition": p, "offset": o, "count": n}               -> {"records": [...]}
    {"do": "consume_group", "group": g, "topics": [t...], "count": n, "protocol": "classic" or "consumer"}
                  until n records came, commits, leaves                    -> {"records": [[topic, partition, record]...]}
    {"do": "process", "group": g, "from": t, "topic": u, "partitions": [p...], "transactional_id": x, "count": n, "die": bool}
                  reads n records of t in its group and writes each into the same partition of u, in transactions with their
                  offsets; the second one is aborted, and its records are read again; with "die", the program ends at once in
                  the third, with the status 9                                                                          -> {}

and administration, what the library offers of it:

    {"do": "create_topics", "topics": [{"name": t, "partitions": n, "configs": {name: value}}...]}          -> {}
    {"do": "delete_topics", "topics": [t...]}                                                               -> {}
    {"do": "list_topics"}                                                                    -> {"topics": [t...]}
    {"do": "describe_topics", "topics": [t...]}     -> {"topics": {t: [[partition, leader, [replica...], [isr...]]...]}}
    {"do": "list_offsets", "topic": t, "partition": p, "time": -2, -1 or milliseconds}                 -> {"offset": o}
    {"do": "describe_cluster"}                -> {"cluster_id": text or null, "controller": id, "brokers": [[id, host, port]...]}
    {"do": "describe_configs", "topic": t}                                                -> {"configs": {name: value}}
    {"do": "alter_configs", "topic": t, "set": {name: value}}          what is not named becomes the default       -> {}
    {"do": "incremental_alter_configs", "topic": t, "set": {name: value}, "delete": [name...]}                  -> {}
    {"do": "create_partitions", "topic": t, "count": n}                                                         -> {}
    {"do": "delete_records", "topic": t, "partition": p, "before": o}                                           -> {}
    {"do": "list_groups"}                                                                    -> {"groups": [g...]}
    {"do": "describe_group", "group": g}                                          -> {"state": text, "members": n}
    {"do": "committed_offsets", "group": g, "topic": t, "partitions": [p...]}              -> {"offsets": [o...]}
    {"do": "delete_group", "group": g}                                                                          -> {}
"""

import base64
import json
import os

from harness.clients import toolchains
from harness.clients.client import Client, assert_no_complaints
from harness.process import run_noting
from harness.records import Record


def _encode(data):
    return None if data is None else base64.b64encode(data).decode()


def _decode(text):
    return None if text is None else base64.b64decode(text)


def record_to_json(record):
    return [
        _encode(record.key),
        _encode(record.value),
        record.timestamp_ms,
        [[name, _encode(value)] for name, value in record.headers],
    ]


def record_from_json(fields):
    key, value, timestamp_ms, headers = fields
    return Record(_decode(key), _decode(value), tuple((name, _decode(data)) for name, data in headers), timestamp_ms)


def _with_records(result):
    """A result with its records as Records: of a partition, or (topic, partition, Record)."""
    if "records" in result:
        result["records"] = [
            (one[0], one[1], record_from_json(one[2])) if len(one) == 3 else record_from_json(one) for one in result["records"]
        ]
    return result


class Program(Client):
    def __init__(self, name, language, command, admin, **more):
        """command(folder) is the command line; more are Client's attributes."""
        self.name, self.language, self._command, self.admin = name, language, command, frozenset(admin)
        for attribute, value in more.items():
            setattr(self, attribute, value)

    def _words(self, bootstrap):
        return [*self._command(toolchains.prepare(self.language)), bootstrap]

    def die(self, bootstrap, job):
        """Does a job in which the program is to end on its own."""
        run_noting(self._words(bootstrap), 170, json.dumps([job]).encode(), ok=(9,))

    def do(self, bootstrap, jobs, may_complain=False):
        """Does the jobs and returns their results; an AssertionError where the client complained of anything."""
        command = self._words(bootstrap)
        out, said = run_noting(command, 170, json.dumps(jobs).encode())
        if "CLIENT_LOG" in os.environ:  # the program writes all that its library logs
            print(f"-- {self.name}: {', '.join(job['do'] for job in jobs)}\n{said}")
            return [_with_records(result) for result in json.loads(out)]
        if not may_complain:
            assert_no_complaints(self.name, said)
        return [_with_records(result) for result in json.loads(out)]

    def produce(self, bootstrap, writes, may_complain=False):
        jobs = [
            {
                "do": "produce",
                "topic": write.topic,
                "partition": write.partition,
                "compression": write.compression,
                "idempotent": write.idempotent,
                "max_bytes": write.max_bytes,
                "records": [record_to_json(record) for record in write.records],
            }
            for write in writes
        ]
        checked(self.do(bootstrap, jobs, may_complain))

    def consume(self, bootstrap, reads):
        jobs = [
            {"do": "consume", "topic": r.topic, "partition": r.partition, "offset": r.offset, "count": r.count} for r in reads
        ]
        return [result["records"] for result in checked(self.do(bootstrap, jobs))]


def checked(results):
    """The results, where none is an error."""
    for result in results:
        assert "error" not in result, result["error"]
    return results
