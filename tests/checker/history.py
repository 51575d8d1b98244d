"""What was asked and what came of it: one dictionary a call, in the order in which the calls ended."""

import json
import threading
import time
import zlib

OK, REFUSED, LOST = "ok", "refused", "lost"  # lost: no answer came, so it may have happened or not, or happen yet


class History:
    """Calls of all actors. Times are seconds since the start, by one monotonic clock."""

    def __init__(self):
        self.calls, self._lock, self._zero = [], threading.Lock(), time.monotonic()

    def now(self):
        return round(time.monotonic() - self._zero, 6)

    def add(self, op, start=None, end=None, **fields):
        now = self.now()
        call = {"op": op, "start": now if start is None else start, "end": now if end is None else end, **fields}
        with self._lock:
            self.calls.append(call)
        return call

    def of(self, *ops):
        return [call for call in self.calls if call["op"] in ops]

    def save(self, path):
        with open(path, "w") as file:
            for call in self.calls:
                file.write(json.dumps(call) + "\n")


def value(who, n, source="-", pad=b""):
    """A record's value: who wrote it, its number among the writer's records, what it was made from, padding, a checksum."""
    body = f"{who} {n} {source} ".encode() + pad
    return body + b" %08x" % zlib.crc32(body)


def read_value(raw):
    """(who, n, source), or None where it is not what anybody wrote."""
    try:
        body, check = raw[:-9], int(raw[-8:], 16)
        who, n, source, _ = body.split(b" ", 3)
        return (who.decode(), int(n), source.decode()) if zlib.crc32(body) == check else None
    except (ValueError, TypeError):
        return None


def place(topic, partition):
    return f"{topic}-{partition}"
