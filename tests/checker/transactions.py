"""Transactional producers, in the manner of transaction version 1 (partitions added first, one epoch) and 2 (KIP-890)."""

from checker.actors import Actor, first_error
from checker.client import AGAIN, Lost, Refused
from checker.history import place
from checker.producers import TRANSACTIONAL, TRANSACTIONAL_BIT, draw_batch, produce_body, produced

TIMEOUT_MS = 4000
FENCED = {22, 25, 27, 47, 48, 49, 90, 120}


class Session:
    """One life of a producer with a transactional id: from InitProducerId to the first error that it cannot go on from.

    Whatever an answer got lost of may still be on its way to the broker. Version 1 has one epoch for many transactions, so that such
    a request could fall into the next one; like every careful client the session then asks for a new epoch (tainted).
    """

    def __init__(self, actor, tid, version):
        self.actor, self.tid, self.version = actor, tid, version
        actor.begin_session()
        self.who, self.tainted = actor.who, False
        self.pid = self.epoch = -1
        self.transactions, self.txn, self.n = 0, None, 0
        body = {"TransactionalId": tid, "TransactionTimeoutMs": TIMEOUT_MS}
        answer = actor.ask("init", "InitProducerId", 4, body, lambda a: a["ErrorCode"], kind=TRANSACTIONAL, tid=tid)
        self._take(answer)

    def _take(self, answer):
        was, self.pid, self.epoch = (self.pid, self.epoch), answer["ProducerId"], answer["ProducerEpoch"]
        if was != (self.pid, self.epoch):
            self.sequences = {}

    def begin(self):
        self.transactions += 1
        self.txn = f"{self.who}/{self.transactions}"
        self.added, self.written = set(), 0

    def _ask(self, op, api, version, body, error_of, lost_again=True, **noted):
        self.actor.who = self.who  # another session of the actor's may have spoken in between
        noted = {"tid": self.tid, "txn": self.txn, "pid": self.pid, "epoch": self.epoch, **noted}
        losses = self.actor.losses
        try:
            return self.actor.ask(op, api, version, body, error_of, lost_again=lost_again, **noted)
        finally:
            self.tainted |= self.actor.losses > losses

    def send(self, rnd, topic, partition, sources=()):
        where = (topic, partition)
        if self.version == 1 and where not in self.added:
            self._add(topic, partition)
            self.added.add(where)
        sequence = self.sequences.get(where, 0)
        one = draw_batch(
            rnd, self.who, topic, partition, self.n, sources, self.pid, self.epoch, sequence, TRANSACTIONAL_BIT
        )
        self.n += one.count
        self.sequences[where] = sequence + one.count
        body, version = produce_body(one, -1, self.tid), 11 if self.version == 1 else 12
        noted = {"kind": TRANSACTIONAL, **one.noted()}
        try:
            answer = self._ask("produce", "Produce", version, body, lambda a: produced(a)["ErrorCode"], **noted)
        except Refused as refused:
            if refused.error != 46:  # a duplicate of what is in the log
                raise
        else:
            self.actor.history.add(
                "placed", who=self.who, topic=topic, partition=partition, first=one.first, count=one.count,
                offset=produced(answer)["BaseOffset"],
            )
        self.written += 1

    def _add(self, topic, partition):
        body = {
            "V3AndBelowTransactionalId": self.tid,
            "V3AndBelowProducerId": self.pid,
            "V3AndBelowProducerEpoch": self.epoch,
            "V3AndBelowTopics": [{"Name": topic, "Partitions": [partition]}],
        }

        def error_of(answer):
            return answer["ResultsByTopicV3AndBelow"][0]["ResultsByPartition"][0]["PartitionErrorCode"]

        self._ask("add", "AddPartitionsToTxn", 3, body, error_of, topic=topic, partition=partition)

    def send_offsets(self, group, member, generation, offsets):
        """offsets: {(topic, partition): offset}. A lost answer is not asked for again: the transaction is given up."""
        head = {"TransactionalId": self.tid, "ProducerId": self.pid, "ProducerEpoch": self.epoch, "GroupId": group}
        if self.version == 1:
            self._ask("add_group", "AddOffsetsToTxn", 3, head, lambda a: a["ErrorCode"], group=group)
        topics = {}
        for (topic, partition), offset in sorted(offsets.items()):
            topics.setdefault(topic, []).append(
                {"PartitionIndex": partition, "CommittedOffset": offset, "CommittedMetadata": ""}
            )
        body = {
            **head,
            "MemberId": member,
            "GenerationId": generation,
            "Topics": [{"Name": topic, "Partitions": partitions} for topic, partitions in topics.items()],
        }

        def error_of(answer):
            return first_error(one["ErrorCode"] for topic in answer["Topics"] for one in topic["Partitions"])

        noted = {"group": group, "member": member, "generation": generation}
        noted["offsets"] = {place(*where): offset for where, offset in offsets.items()}
        version = 3 if self.version == 1 else 5
        self._ask("send_offsets", "TxnOffsetCommit", version, body, error_of, lost_again=False, **noted)
        self.written += 1

    def end(self, commit):
        body = {"TransactionalId": self.tid, "ProducerId": self.pid, "ProducerEpoch": self.epoch, "Committed": commit}
        version = 4 if self.version == 1 else 5
        answer = self._ask("end", "EndTxn", version, body, lambda a: a["ErrorCode"], commit=commit)
        if self.version == 2:
            self._take(answer)
        self.txn = None


class Transactional(Actor):
    """Transactions over several partitions that commit, abort, are abandoned, run into their timeout, or are those of a zombie."""

    def __init__(self, world, name, tid=None):
        super().__init__(world, name)
        self.tid, self.session = tid or name, None

    def operation(self, rnd):
        version = rnd.choice((1, 2))
        fate = rnd.choices(("commit", "abort", "crash", "zombie", "timeout"), (60, 20, 6, 6, 1))[0]
        sends = [rnd.randrange(self.world.partitions) for _ in range(rnd.randint(1, 4))]
        try:
            if not self.session or (self.session.tainted and self.session.version == 1):
                self.session = Session(self, self.tid, version)
            self._transaction(rnd, fate, sends, version)
        except (Refused, Lost) as problem:
            if isinstance(problem, Refused) and problem.error not in self.world.fenced:
                raise
            self.session = None
        self.pace(rnd)

    def _transaction(self, rnd, fate, sends, version):
        session = self.session
        session.begin()
        for partition in sends:
            session.send(rnd, rnd.choice(("txn", "txn", "in")), partition)
        if fate in ("commit", "abort"):
            session.end(fate == "commit")
        elif fate == "crash":
            self.session = None
        elif fate == "zombie":
            self.session = Session(self, self.tid, version)
            if rnd.random() < 0.5:
                session.send(rnd, "txn", sends[0])
            session.end(True)
        else:
            self.world.draining.wait(TIMEOUT_MS / 1000 * rnd.uniform(0.9, 2))
            session.end(True)
