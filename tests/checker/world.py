"""One round: a broker behind a proxy, actors, faults; then quiet, and the logs as they are at the end."""

import threading
import time
import traceback

from checker.checks import FINAL
from checker.client import AGAIN, Client, Lost, Refused, Stuck
from checker.consumer_group import ConsumerProtocol
from checker.consumers import Consumer, Member, Transformer
from checker.faults import Faults
from checker.history import History, place
from checker.producers import Idempotent, Plain
from checker.proxy import Proxy
from checker.reading import (
    READ_COMMITTED,
    READ_UNCOMMITTED,
    OffsetObserver,
    Reader,
    fetch_body,
    fetch_error,
    fetch_offsets,
    fetched,
    is_control,
    is_transactional,
    marker,
    read_on,
    records_of,
    whole_batches,
)
from checker.transactions import FENCED, Transactional
from harness.process import wait_until
from harness.wire import Connection, requests

SETTINGS = {
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": "3000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "400",
    "group.consumer.assignment.interval.ms": "0",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "offsets.topic.num.partitions": "2",
    "transaction.state.log.num.partitions": "2",
    "auto.create.topics.enable": "false",
}
TOPICS = ("in", "txn", "out")
READERS, CONSUMERS, TRANSFORMERS = "readers", "consumers", "transformers"  # the second of the consumer protocol
QUIET_S = 120
PATIENCE_S = 120


def serves(connection, api):
    offered = connection.call("ApiVersions", 3, {"ClientSoftwareName": "checker", "ClientSoftwareVersion": "1"})["ApiKeys"]
    return requests()[api].key in {one["ApiKey"] for one in offered}


class World:
    def __init__(self, broker, seed, lie=None, pace_s=0.03, partitions=3):
        self.broker, self.seed, self.pace_s, self.partitions = broker, seed, pace_s, partitions
        self.history, self.problems = History(), []
        self.draining, self.finished = threading.Event(), threading.Event()
        self.groups = {READERS: ("in", "txn"), CONSUMERS: ("in", "txn")}
        self.topic_ids = {}
        self.proxy = Proxy(broker.port, lie)
        self.port, self.who, self.logs = self.proxy.port, FINAL, {}
        self.client = None
        self.faults = Faults(seed, self)
        # What a fenced producer asks has Kafka refuse the next batch of the one that fenced it (OUT_OF_ORDER_SEQUENCE_NUMBER).
        self.fenced = FENCED | ({45} if broker.kind == "kafka" else set())
        self.actors = []

    @property
    def names(self):
        return [actor.actor for actor in self.actors]

    def places(self):
        return [(topic, i) for topic in TOPICS for i in range(self.partitions)]

    def problem(self, who, what):
        self.problems.append(f"{who}: {what}")

    def populate(self):
        """Makes the topics and the actors."""
        with Connection("127.0.0.1", self.broker.port) as connection:
            self.transactions = serves(connection, "EndTxn")
            self.transforms = serves(connection, "TxnOffsetCommit")
            wanted = [{"Name": name, "NumPartitions": self.partitions, "ReplicationFactor": 1} for name in TOPICS]
            answer = connection.call("CreateTopics", 7, {"Topics": wanted, "TimeoutMs": 20000})
            assert all(topic["ErrorCode"] == 0 for topic in answer["Topics"]), answer
            self.topic_ids = {topic["Name"]: topic["TopicId"] for topic in answer["Topics"]}
            kinds = ((0, READERS), (0, CONSUMERS), (1, "txn-0")) if self.transactions else ((0, READERS), (0, CONSUMERS))
            for kind, key in kinds:
                body = {"KeyType": kind, "CoordinatorKeys": [key]}
                wait_until(
                    lambda: connection.call("FindCoordinator", 4, body)["Coordinators"][0]["ErrorCode"] == 0,
                    60, f"the coordinator of kind {kind}", every_s=0.1,
                )
        self.actors = [
            *(Plain(self, f"plain-{i}") for i in range(2)),
            *(Idempotent(self, f"idempotent-{i}") for i in range(2)),
            *(Consumer(self, f"reader-{i}", READERS, static=i == 0) for i in range(3)),
            *(Consumer(self, f"consumer-{i}", CONSUMERS, ConsumerProtocol, static=i == 0) for i in range(3)),
            Reader(self, "through-all", READ_UNCOMMITTED),
            Reader(self, "through-committed", READ_COMMITTED),
            OffsetObserver(self, "offsets"),
        ]
        if self.transactions:
            self.actors += [Transactional(self, f"txn-{i}") for i in range(3)]
            self.actors += [Transactional(self, f"twin-{i}", "twins") for i in range(2)]
        if self.transforms:
            self.groups[TRANSFORMERS] = ("in",)
            self.actors += [Transformer(self, f"transform-{i}", TRANSFORMERS) for i in range(3)]

    def run(self, seconds):
        """Returns when everything is quiet and self.logs holds what is left."""
        try:
            self.populate()
            deadline = time.monotonic() + seconds
            for actor in self.actors:
                actor.start()
            self.faults.until(deadline)
            self.settle()
            self.read_all()
        except (AssertionError, TimeoutError, ValueError, Lost, Refused, Stuck) as problem:
            self.problem("the round", f"{problem!r}\n{traceback.format_exc(limit=-4)}")
        finally:
            self.draining.set()
            self.finished.set()
            self.proxy.close()

    # -- the end

    def settle(self):
        """Everybody comes to an end, without help: transactions that were left open are aborted by their timeout."""
        self.draining.set()
        self.proxy.be_honest()
        deadline = time.monotonic() + QUIET_S
        for actor in self.actors:
            if not isinstance(actor, Member):
                actor.join(max(deadline - time.monotonic(), 0.1))
                if actor.is_alive():
                    self.problem(actor.actor, f"does not come to an end in {QUIET_S} s")
        self.client = Client(self.broker.port, FINAL)
        self._wait("no transaction to be open", self.open_transactions)
        self._wait("the groups to reach the end", self.behind)
        self.finished.set()
        for actor in self.actors:
            actor.join(30)

    def _wait(self, what, left):
        deadline, now = time.monotonic() + PATIENCE_S, None
        while time.monotonic() < deadline:
            try:
                now = left()
            except (Lost, Refused, Stuck) as problem:
                now = problem
            if not now:
                return
            time.sleep(0.1)
        self.problem("the end", f"after {PATIENCE_S} s still waiting for {what}: {now}")

    def _tail(self, topic, partition):
        answer = self.client.call("Fetch", 11, fetch_body(topic, partition, 0, READ_COMMITTED, 0, 1))
        if fetch_error(answer):
            raise Refused(fetch_error(answer), "Fetch")
        return fetched(answer)

    def open_transactions(self):
        tails = {place(*where): self._tail(*where) for where in self.places()}
        return {
            name: (tail["LastStableOffset"], tail["HighWatermark"])
            for name, tail in tails.items()
            if tail["LastStableOffset"] != tail["HighWatermark"]
        }

    def behind(self):
        out = {}
        for group, topics in self.groups.items():
            wanted = [(topic, i) for topic in topics for i in range(self.partitions)]
            got = fetch_offsets(self, group, wanted, patience_s=1)
            for where, offset in got.items():
                end = self._tail(*where)["HighWatermark"]
                if max(offset, 0) != end:
                    out[group, place(*where)] = (offset, end)
        return out

    def read_all(self):
        """The logs and the groups' offsets after one more crash."""
        self.broker.kill()
        self.broker.start()
        self.client.close()
        self._wait("the log after the last start", self.open_transactions)
        for where in self.places():
            self.logs[place(*where)] = self._log(*where)
            offset = 0
            while offset < len(self.logs[place(*where)]):
                _, to, _ = read_on(self, *where, offset, READ_COMMITTED)
                if to == offset:
                    break
                offset = to
        for group, topics in self.groups.items():
            fetch_offsets(self, group, [(topic, i) for topic in topics for i in range(self.partitions)])
        places = [place("in", i) for i in range(self.partitions)] if self.transforms else []
        self.history.add("transforms", group=TRANSFORMERS, places=places)

    def _log(self, topic, partition):
        offset, out = 0, []
        while True:
            part = fetched(self.client.call("Fetch", 11, fetch_body(topic, partition, offset, READ_UNCOMMITTED, 0, 1 << 20)))
            batches = whole_batches(part) if not part["ErrorCode"] else []
            for one in batches:
                out += entries(one, offset)
                offset = one["BaseOffset"] + one["LastOffsetDelta"] + 1
            if not batches and (part["ErrorCode"] == 0 or part["ErrorCode"] not in AGAIN):
                return out


def entries(one, offset):
    head = {"pid": one["ProducerId"], "txn": is_transactional(one), "control": None}
    if is_control(one):
        return [{**head, "offset": one["BaseOffset"], "who": "", "n": -1, "source": "-", "control": marker(one)}]
    return [{**head, "offset": at, "who": who, "n": n, "source": source} for at, who, n, source in records_of([one], offset)]
