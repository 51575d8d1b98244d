"""A client of the broker that makes one call after the other, each known to the history by the actor that makes it."""

import struct
import time

from harness.wire import Connection

# It is not ready, leads nothing yet, is full, or something else is under way: the same again, later.
AGAIN = {3, 5, 6, 7, 13, 14, 15, 16, 19, 20, 51, 56, 88}
TIMEOUT_S = 20
PATIENCE_S = 60


class Lost(Exception):
    """No answer came."""


class Refused(Exception):
    """The protocol's error, which it does not help to ask again for."""

    def __init__(self, error, what):
        super().__init__(f"{what}: error {error}")
        self.error = error


class Stuck(Exception):
    """For a minute nothing but requests to try again."""


class Client:
    def __init__(self, port, name):
        self.port, self.name, self.connection = port, name, None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def _connected(self):
        if not self.connection:
            self.connection = Connection("127.0.0.1", self.port, TIMEOUT_S, self.name)
        return self.connection

    def _do(self, act):
        try:
            return act(self._connected())
        except (OSError, EOFError, struct.error) as problem:
            self.close()
            raise Lost(repr(problem)) from None

    def call(self, api, version, body):
        return self._do(lambda connection: connection.call(api, version, body))

    def send(self, api, version, body):
        return self._do(lambda connection: connection.send(api, version, body))

    def receive(self, api, version):
        return self._do(lambda connection: connection.receive(api, version)[1])


class Patience:
    """How long something is asked again: if patience: patience.wait()."""

    def __init__(self, what, seconds=PATIENCE_S):
        self.what, self.deadline, self.pause = what, time.monotonic() + seconds, 0.01

    def wait(self, last):
        if time.monotonic() > self.deadline:
            raise Stuck(f"{self.what}: {last}")
        time.sleep(self.pause)  # between two questions, not for something to happen
        self.pause = min(self.pause * 1.5, 0.2)
