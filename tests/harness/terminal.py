"""A program in a terminal of 80 columns and 24 lines."""

import fcntl
import os
import pty
import select
import struct
import termios
import time

from harness.process import die_with_parent


class Terminal:
    """What it writes is read with until() and rest()."""

    def __init__(self, command, env=None):
        command = [str(word) for word in command]
        self.written, self.pid, self.status = "", None, None
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            die_with_parent()
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm", **(env or {})})

    def _read(self):
        """False: the program has ended, and all that it wrote is read."""
        if select.select([self._terminal], [], [], 0.1)[0]:
            try:
                self.written += os.read(self._terminal, 65536).decode(errors="replace")
            except OSError:  # the other side is closed
                return False
        return True

    def until(self, words, after=0, timeout_s=60):
        """Until it has written the words behind that place; where they end."""
        deadline = time.monotonic() + timeout_s
        while words not in self.written[after:]:
            assert self._read(), f"it ended without {words!r}: {self.written[-2000:]}"
            assert time.monotonic() < deadline, f"no {words!r} in {self.written[after:][-2000:]}"
        return self.written.index(words, after) + len(words)

    def type(self, keys):
        os.write(self._terminal, keys.encode())

    def end(self, timeout_s=60):
        """Waits until it ends by itself; what it wrote, and its exit status."""
        deadline = time.monotonic() + timeout_s
        while self._read():
            assert time.monotonic() < deadline, f"it does not end: {self.written[-2000:]}"
        os.close(self._terminal)
        self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.written, self.status
