"""Processes that a test starts: each with its own log file, each ended by the test, none outlives it."""

import ctypes
import os
import pathlib
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_SLOWER = 3 if "ODRADEK_SANITIZED" in os.environ else 1
_libc = ctypes.CDLL(None)


def wait_until(condition, timeout_s, what, every_s=0.02):
    """Polls condition() until it is true and returns its value; fails with what was waited for, with a sanitizer three times as late."""
    timeout_s *= _SLOWER
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {timeout_s} s still waiting for {what}")
        time.sleep(every_s)


def takes_less(limit_s, what, patience_s=60):
    """Does it again and again until it takes less time than that: on a busy machine any one time may be long. `what` may return
    its own."""
    found, deadline = [], time.monotonic() + patience_s
    while not found or min(found) >= limit_s:
        assert time.monotonic() < deadline, f"it takes {found} s, and never less than {limit_s} s"
        began = time.monotonic()
        own = what()
        found.append(time.monotonic() - began if own is None else own)


def die_with_parent():
    """For preexec_fn: the kernel ends the child when the test process ends, however that happens."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A background process. Its output is in log_path, appended over restarts."""

    def __init__(self, name, command, log_path, env=None, cwd=None):
        self.name, self.command, self.log_path = name, [str(word) for word in command], log_path
        self._log = open(log_path, "ab")
        self._popen = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            preexec_fn=die_with_parent,
        )

    @property
    def pid(self):
        return self._popen.pid

    @property
    def returncode(self):
        return self._popen.poll()

    def signal(self, number):
        self._popen.send_signal(number)

    def wait(self, timeout_s):
        """The exit status (negative: the signal that ended it)."""
        try:
            status = self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} (pid {self.pid}) still runs after {timeout_s} s") from None
        self._log.close()
        return status

    def terminate_and_wait(self, timeout_s, ok=(0,)):
        """SIGTERM; one that does not end, or with another status than one of ok, fails the test."""
        self.signal(signal.SIGTERM)
        try:
            status = self.wait(timeout_s)
        except TimeoutError:
            self.kill()
            raise
        assert status in ok, f"{self.name} ended with {status}:\n{self.log_text()[-3000:]}"

    def kill(self):
        """kill -9, and reap it."""
        if self._popen.poll() is None:
            self._popen.kill()
        return self.wait(60)

    def log_text(self):
        return self.log_path.read_text(errors="replace")


def threads_of(pid):
    """The names of its threads."""
    names = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:
            pass  # it has ended just now
    return names


def cpu_s_of(pid):
    """Processor time that it has taken, to the nanosecond: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def preloadable(source, directory):
    """Makes a library of a C file of this folder, for LD_PRELOAD; its path."""
    library = directory / f"{source.removesuffix('.c')}.so"
    run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, pathlib.Path(__file__).with_name(source), "-ldl"])
    return library


def run(command, timeout_s=60, input_bytes=None, env=None, ok=(0,)):
    """Runs a command to its end and returns what it wrote to standard output, as bytes."""
    return run_noting(command, timeout_s, input_bytes, env, ok)[0]


def run_noting(command, timeout_s=60, input_bytes=None, env=None, ok=(0,)):
    """The same, with what it wrote to standard error as text: (bytes, text)."""
    command = [str(word) for word in command]
    done = subprocess.run(
        command,
        input=input_bytes,
        stdin=subprocess.DEVNULL if input_bytes is None else None,
        capture_output=True,
        timeout=timeout_s,
        env=env,
        preexec_fn=die_with_parent,
    )
    if done.returncode not in ok:
        words = " ".join(word if len(word) < 100 else word[:100] + "..." for word in command)
        raise AssertionError(
            f"exit status {done.returncode} of: {words}\n"
            f"-- standard output\n{done.stdout.decode(errors='replace')[-3000:]}\n"
            f"-- standard error\n{done.stderr.decode(errors='replace')[-3000:]}"
        )
    return done.stdout, done.stderr.decode(errors="replace")
