"""A process beside the brokers of a test, which keeps its name and its log over stop, kill and start."""

import contextlib
import os
import re
import signal

from harness.process import Process, wait_until


PATIENCE_S = 400  # a framework has a dozen timers of its own, and the machine may be busy


class Runner:
    clean_exit = (0,)

    def __init__(self, name, directory, command=None):
        """command: its command line, where a subclass does not make one."""
        self.name, self.log_path, self.process, self._command = name, directory / f"{name}.log", None, command

    def command(self):
        return self._command

    def ready(self):
        """True when it does what it is started for."""
        return True

    def environment(self):
        """What it writes into /tmp it writes into the test's folder; in whichever of its processes."""
        temporary = self.log_path.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        return {**os.environ, "TMPDIR": str(temporary), "JAVA_TOOL_OPTIONS": f"-Djava.io.tmpdir={temporary}"}

    def start(self):
        assert self.process is None, f"{self.name} runs already"
        self.process = Process(self.name, self.command(), self.log_path, env=self.environment(), cwd=self.log_path.parent)

        def started():
            self.check_runs()
            return self.ready()

        wait_until(started, PATIENCE_S, f"{self.name} to be ready", 0.1)
        return self

    def check_runs(self):
        status = self.process.returncode
        assert status is None, f"{self.name} ended with {status}:\n{self.log_text()[-3000:]}"

    def stop(self):
        """SIGTERM; one that does not end cleanly fails the test."""
        process, self.process = self.process, None
        process.terminate_and_wait(PATIENCE_S, self.clean_exit)

    def kill(self):
        """kill -9, of one that runs."""
        self.check_runs()
        process, self.process = self.process, None
        process.kill()

    def wait(self, timeout_s):
        """For one that ends by itself."""
        process, self.process = self.process, None
        try:
            status = process.wait(timeout_s)
        except TimeoutError:
            process.kill()
            raise
        assert status in self.clean_exit, f"{self.name} ended with {status}:\n{self.log_text()[-4000:]}"

    def logs(self):
        """The files that it writes what it complains of into."""
        return [self.log_path] if self.log_path.exists() else []

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def discard(self):
        """At the end of a test: nothing that it holds is needed any more."""
        if self.process is not None:
            self.process.kill()


class JavaRunner(Runner):
    clean_exit = (0, 143)  # the JVM's own way of ending on SIGTERM


class PythonRunner(Runner):
    """Python with a JVM of its own, whose process id it prints after "JVM"."""

    def start(self):
        self._said_before = len(self.log_text())
        return super().start()

    def kill(self):
        """kill -9 of both of its processes, the one that works first."""
        self.check_runs()
        self.discard()

    def discard(self):
        if self.process is None:
            return
        process, self.process = self.process, None
        for number in re.findall(r"JVM (\d+)", self.log_text()[self._said_before :]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(number), signal.SIGKILL)
        process.kill()
