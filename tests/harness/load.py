"""An idempotent producer on a bare socket, made to be interrupted: what is not acknowledged is sent again, as it was."""

import collections
import random
import threading
import time

from harness.batch import GZIP, batch, parse
from harness.process import wait_until
from harness.wire import Connection

IN_FLIGHT = 5
DUPLICATE = 46
# A broker that just started may not lead its partitions yet; a disk may be full.
TRY_AGAIN = {3, 5, 6, 7, 14, 15, 19, 56}

Sent = collections.namedtuple("Sent", "sequence first count raw")


class Load(threading.Thread):
    """Writes b'<name> <counter> <padding>' to one partition, counting up, in batches of up to `most` records; finish() returns how many
    are acknowledged."""

    def __init__(self, port, name, topic, partition, seed, most=20):
        super().__init__(name=f"load-{name}", daemon=True)
        self.port, self.label, self.topic, self.partition, self.most = port, name, topic, partition, most
        self.random = random.Random(seed)
        self.producer_id = None
        self.counter = self.sequence = self.acknowledged = 0
        self.window = collections.deque()  # sent and not acknowledged, oldest first
        self.pausing = threading.Event()
        self.problem = None

    def finish(self, timeout_s=120):
        """Stops making records, and returns when all that were made are acknowledged."""
        self.pausing.set()
        self.join(timeout_s)
        if self.problem:
            raise AssertionError(f"producer {self.label}: {self.problem}")
        assert not self.is_alive(), f"producer {self.label}: {len(self.window)} batches not acknowledged after {timeout_s} s"
        return self.acknowledged

    def run(self):
        try:
            while not (self.pausing.is_set() and not self.window):
                try:
                    with Connection("127.0.0.1", self.port) as connection:
                        self._session(connection)
                except (OSError, EOFError):
                    time.sleep(0.005)  # it is down; it will be back
        except Exception as problem:
            self.problem = repr(problem)

    def _session(self, connection):
        if self.producer_id is None:
            self.producer_id = wait_until(lambda: new_producer_id(connection), 20, "a producer id")
        unsent, limit = collections.deque(self.window), 1  # one at first: it may be too early for this broker
        on_the_way = 0
        while not self.pausing.is_set() or self.window:
            while on_the_way < limit and (unsent or not self.pausing.is_set()):
                if not unsent:
                    self.window.append(self._make())
                    unsent.append(self.window[-1])
                self._send(connection, unsent.popleft())
                on_the_way += 1
            if on_the_way and not self._receive(connection):
                return
            on_the_way, limit = max(on_the_way - 1, 0), IN_FLIGHT

    def _make(self):
        count = self.random.randint(1, self.most)
        padding = "x" * self.random.choice((0, 10, 1000))
        records = [(b"k", f"{self.label} {self.counter + i} {padding}".encode()) for i in range(count)]
        raw = batch(
            records,
            ts=int(time.time() * 1000),
            pid=self.producer_id,
            epoch=0,
            seq=self.sequence,
            attributes=self.random.choice((0, 0, GZIP)),
        )
        sent = Sent(self.sequence, self.counter, count, raw)
        self.counter += count
        self.sequence += count
        return sent

    def _send(self, connection, sent):
        data = [{"Name": self.topic, "PartitionData": [{"Index": self.partition, "Records": sent.raw}]}]
        connection.send("Produce", 9, {"Acks": -1, "TimeoutMs": 30000, "TopicData": data})

    def _receive(self, connection):
        """Takes one answer, which is for the oldest in the window; False where the connection should be left."""
        response = connection.receive("Produce", 9)[1]["Responses"][0]["PartitionResponses"][0]
        error = response["ErrorCode"]
        if error in TRY_AGAIN:
            return False
        if error not in (0, DUPLICATE):
            raise AssertionError(f"error {error} for sequence {self.window[0].sequence}: {response}")
        self.acknowledged += self.window.popleft().count
        return True


class ProducerId(int):
    """True even where it is 0, so that it can be waited for."""

    def __bool__(self):
        return True


def new_producer_id(connection):
    """A producer id, or None where it is too early to ask."""
    answer = connection.call("InitProducerId", 4, {"TransactionalId": None, "TransactionTimeoutMs": 60000})
    assert answer["ErrorCode"] in {0, *TRY_AGAIN}, answer
    return None if answer["ErrorCode"] else ProducerId(answer["ProducerId"])


def read_partition(port, topic, partition):
    """Every batch of a partition from its start, in order; checks checksums and that offsets have no gap."""
    offset, out = 0, []
    with Connection("127.0.0.1", port) as connection:
        while True:
            wanted = [{"Partition": partition, "FetchOffset": offset, "PartitionMaxBytes": 1 << 20}]
            body = {"MaxWaitMs": 0, "MinBytes": 0, "MaxBytes": 1 << 24, "SessionEpoch": -1}
            answer = connection.call("Fetch", 11, {**body, "Topics": [{"Topic": topic, "Partitions": wanted}]})
            got = answer["Responses"][0]["Partitions"][0]
            assert got["ErrorCode"] == 0, got["ErrorCode"]
            batches = [one for one in parse(got["Records"] or b"") if "cut" not in one]
            if not batches:
                assert offset == got["HighWatermark"], f"reading ends at {offset}, high watermark {got['HighWatermark']}"
                return out
            for one in batches:
                assert one["CrcOk"], f"{topic}-{partition}: checksum of the batch at {one['BaseOffset']}"
                assert one["BaseOffset"] == offset, f"{topic}-{partition}: batch at {one['BaseOffset']}, expected {offset}"
                offset += one["LastOffsetDelta"] + 1
            out += batches
