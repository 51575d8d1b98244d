"""Producers without transactions: plain ones, and idempotent ones with several batches on the way."""

import time
from dataclasses import dataclass

from checker.actors import Actor
from checker.client import AGAIN, Lost, Patience, Refused
from checker.history import LOST, OK, REFUSED, value
from harness.batch import GZIP, LZ4, ZSTD, batch

VERSION = 9
OUT_OF_ORDER, DUPLICATE = 45, 46
IDEMPOTENT, TRANSACTIONAL = "idempotent", "transactional"
TRANSACTIONAL_BIT = 16


@dataclass
class Batch:
    topic: str
    partition: int
    first: int
    count: int
    raw: bytes

    def noted(self):
        return {"topic": self.topic, "partition": self.partition, "first": self.first, "count": self.count}


def now_ms():
    return int(time.time() * 1000)


def draw_batch(rnd, who, topic, partition, first, sources=(), pid=-1, epoch=-1, seq=-1, attributes=0):
    """A batch of a few records, of any size and compression."""
    count = len(sources) or rnd.randint(1, 5)
    pad = b"x" * rnd.choice((0, 10, 400))
    records = [(None, value(who, first + i, sources[i] if sources else "-", pad)) for i in range(count)]
    codec = rnd.choice((0, 0, 0, GZIP, LZ4, ZSTD))
    return Batch(topic, partition, first, count, batch(records, 0, now_ms(), pid, epoch, seq, attributes | codec))


def produce_body(one, acks=-1, transactional_id=None):
    data = [{"Name": one.topic, "PartitionData": [{"Index": one.partition, "Records": one.raw}]}]
    return {"TransactionalId": transactional_id, "Acks": acks, "TimeoutMs": 10000, "TopicData": data}


def produced(answer):
    return answer["Responses"][0]["PartitionResponses"][0]


class Plain(Actor):
    """One batch at a time; where the answer is lost it asks again, or does not."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self.n = 0

    def operation(self, rnd):
        one = draw_batch(rnd, self.who, "in", rnd.randrange(self.world.partitions), self.n)
        acks, attempts = rnd.choice((-1, -1, 1, 0)), rnd.randint(1, 3)
        self.n += one.count
        for _ in range(attempts):
            if self._attempt(one, acks):
                break
        self.pace(rnd)

    def _attempt(self, one, acks):
        noted = {"who": self.who, "kind": "plain", **one.noted()}
        start = self.history.now()
        try:
            if acks == 0:
                self.client.send("Produce", VERSION, produce_body(one, 0))
                self.history.add("produce", start, result=LOST, **noted)
                return True
            got = produced(self.client.call("Produce", VERSION, produce_body(one, acks)))
        except Lost as lost:
            self.history.add("produce", start, result=LOST, **noted)
            Patience(self.who).wait(lost)
            return False
        error = got["ErrorCode"]
        self.history.add("produce", start, result=REFUSED if error else OK, error=error, offset=got["BaseOffset"], **noted)
        return not error


class Idempotent(Actor):
    """Bursts of up to five batches over the partitions. What is not acknowledged is sent again as it was, in order."""

    def __init__(self, world, name):
        super().__init__(world, name)
        self.n, self.pid = 0, None

    def operation(self, rnd):
        if self.pid is None:
            self._begin()
        burst = [self._draw(rnd) for _ in range(rnd.randint(1, 5))]
        crash_after = rnd.choice((None,) * 20 + (0, 1, 2))  # lost answers until it gives up
        if not self._deliver(burst, crash_after):
            self.pid = None
        self.pace(rnd)

    def _begin(self):
        self.begin_session()
        body = {"TransactionalId": None, "TransactionTimeoutMs": 60000}
        answer = self.ask("init", "InitProducerId", 4, body, lambda a: a["ErrorCode"], kind=IDEMPOTENT)
        self.pid, self.epoch = answer["ProducerId"], answer["ProducerEpoch"]
        self.sequences = [0] * self.world.partitions

    def _draw(self, rnd):
        partition = rnd.randrange(self.world.partitions)
        one = draw_batch(rnd, self.who, "in", partition, self.n, (), self.pid, self.epoch, self.sequences[partition])
        self.n += one.count
        self.sequences[partition] += one.count
        return one

    def _deliver(self, burst, crash_after):
        patience = Patience(f"{self.who} Produce")
        losses = 0
        while burst:
            answers = self._exchange(burst)
            if None in answers:
                losses += 1
            if crash_after is not None and losses > crash_after:
                return False
            burst = self._not_done(burst, answers)
            if burst:
                patience.wait(answers)
        return True

    def _exchange(self, burst):
        """The error of each, None where no answer came."""
        starts, answers = [], []
        try:
            for one in burst:
                starts.append(self.history.now())
                self.client.send("Produce", VERSION, produce_body(one))
            for one, start in zip(burst, starts):
                got = produced(self.client.receive("Produce", VERSION))
                self._note(one, start, got["ErrorCode"], got["BaseOffset"])
                answers.append(got["ErrorCode"])
        except Lost:
            for one, start in list(zip(burst, starts))[len(answers) :]:
                self._note(one, start, None, -1)
        return answers + [None] * (len(burst) - len(answers))

    def _note(self, one, start, error, offset):
        result = LOST if error is None else OK if error in (0, DUPLICATE) else REFUSED
        noted = {"who": self.who, "kind": IDEMPOTENT, "pid": self.pid, "epoch": self.epoch, **one.noted()}
        self.history.add("produce", start, result=result, error=error, offset=-1 if error else offset, **noted)

    @staticmethod
    def _not_done(burst, answers):
        left, waiting = [], set()
        for one, error in zip(burst, answers):
            if error in (0, DUPLICATE):
                continue
            # A batch behind one that was not taken cannot be taken either.
            if error not in AGAIN and error is not None and not (error == OUT_OF_ORDER and one.partition in waiting):
                raise Refused(error, f"Produce of {one.noted()}")
            waiting.add(one.partition)
            left.append(one)
        return left
