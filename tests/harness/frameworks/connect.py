"""A worker of Kafka Connect in distributed mode, and its REST interface."""

import contextlib
import json
import re
import urllib.error
import urllib.request

from harness.broker import free_port
from harness.frameworks.framework import framework
from harness.frameworks.runner import PATIENCE_S, JavaRunner
from harness.process import wait_until


REQUEST_S = 90  # that one may take, for Connect itself

# A killed worker is missed this soon. A consumer of a sink, which is started after it, need not be: and what one that a busy machine
# keeps waiting has written it would write again.
QUICK = {"session.timeout.ms": "10000", "heartbeat.interval.ms": "1000"}
PATIENT = {"session.timeout.ms": "30000", "heartbeat.interval.ms": "1000"}
# A stop takes the time that it takes: what a worker gives up it does again when it is back.
UNHURRIED = {"offset.flush.timeout.ms": "120000", "task.shutdown.graceful.timeout.ms": "120000"}


class Refused(Exception):
    """The worker answered with an error: status, text."""

    @property
    def for_now(self):
        """It rebalances, or says itself that one should ask again."""
        status, text = self.args
        return status == 409 or bool(re.search("request timed out|can be safely retried", text, re.I))


class Worker(JavaRunner):
    def __init__(self, directory, broker, name="worker", settings=None, plugins=(), heap="256m"):
        super().__init__(name, directory)
        self._heap, self._port, self._properties = heap, free_port(), directory / f"{name}.properties"
        settings = {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "connect",
            "listeners": f"http://127.0.0.1:{self._port}",
            "config.storage.topic": "connect-configs",
            "offset.storage.topic": "connect-offsets",
            "status.storage.topic": "connect-status",
            "config.storage.replication.factor": "1",
            "offset.storage.replication.factor": "1",
            "status.storage.replication.factor": "1",
            "offset.storage.partitions": "5",
            "offset.flush.interval.ms": "500",
            **QUICK,
            **{f"consumer.{name}": value for name, value in PATIENT.items()},
            **UNHURRIED,
            "scheduled.rebalance.max.delay.ms": "0",
            "key.converter": "org.apache.kafka.connect.storage.StringConverter",
            "value.converter": "org.apache.kafka.connect.storage.StringConverter",
            **({"plugin.path": ",".join(plugins)} if plugins else {}),
            "plugin.discovery": "service_load",
            **(settings or {}),
        }
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def command(self):
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        return framework("connect").java(main, self._properties, heap=self._heap, flags=["-Dkafka.log.level=INFO"])

    def ready(self):
        try:
            self.ask("GET", "/connectors")
            return True
        except (OSError, Refused):
            return False

    # -- REST

    def ask(self, method, path, body=None):
        """The answer's JSON, or None where it has no body; Refused for an error."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._port}{path}", data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=200) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as problem:
            raise Refused(problem.code, problem.read().decode(errors="replace")[:1000]) from None

    def patiently(self, method, path, body=None):
        """The same, asked again while it is refused for now."""

        def answered():
            self.check_runs()
            try:
                return [self.ask(method, path, body)]
            except Refused as refused:
                if not refused.for_now:
                    raise
                return None

        return wait_until(answered, PATIENCE_S, f"{method} {path}", 0.2)[0]

    def create(self, name, **config):
        """Creates or alters a connector and waits until it and a task of it run."""
        config = {key.replace("_", "."): str(value) for key, value in config.items()}
        self.patiently("PUT", f"/connectors/{name}/config", config)
        self.wait_running(name)

    def restart_ended_by(self, name, exceptions):
        """Starts the connector's tasks again that one of these exceptions has ended; of another, the test fails.

        A task counts as failed until it runs again, and before it runs it has the worker fence the one before. Whoever asks meanwhile for
        another restart has the worker wait for the task, which waits for the worker: for as long as a request may take, again and again.
        So each is asked for once, and its effect is waited for; unless that does not come for longer than a request may take."""
        for task in self.status(name)["tasks"]:
            if task["state"] == "FAILED":
                assert any(word in task["trace"] for word in exceptions), f"{name} failed: {task['trace'][:3000]}"
                try:
                    self.ask("POST", f"/connectors/{name}/tasks/{task['id']}/restart")
                except Refused as refused:
                    if not refused.for_now:
                        raise
                with contextlib.suppress(TimeoutError):
                    wait_until(lambda: task not in self.status(name)["tasks"], REQUEST_S + 10, "the task to be another")  # noqa: B023

    def status(self, name):
        """Of the connector and its tasks; of none, where the worker knows none yet (404)."""
        try:
            return self.patiently("GET", f"/connectors/{name}/status")
        except Refused as refused:
            if refused.args[0] != 404:
                raise
            return {"connector": {"state": "UNASSIGNED"}, "tasks": []}

    def states(self, name):
        """The connector's state and its tasks'."""
        status = self.status(name)
        failed = [part["trace"] for part in (status["connector"], *status["tasks"]) if part["state"] == "FAILED"]
        assert not failed, f"{name} failed: {failed[0][:3000]}"
        return status["connector"]["state"], [task["state"] for task in status["tasks"]]

    def wait_running(self, name):
        def running():
            connector, tasks = self.states(name)
            return connector == "RUNNING" and tasks and set(tasks) == {"RUNNING"}

        wait_until(running, PATIENCE_S, f"connector {name} to run", 0.1)

    def wait_state(self, name, state):
        wait_until(lambda: self.states(name)[0] == state, PATIENCE_S, f"connector {name} to be {state}", 0.1)

    def offsets(self, name):
        return self.patiently("GET", f"/connectors/{name}/offsets")["offsets"]
