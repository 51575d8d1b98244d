"""Group consumers, and those that consume, transform and produce in one transaction."""

import random

from checker.actors import Actor
from checker.client import AGAIN, Lost, Refused
from checker.group import Classic
from checker.history import place
from checker.reading import READ_COMMITTED, fetch_offsets, read_on
from checker.transactions import Session

NAP_S = (0.5, 6)  # around the session's timeout
CATCH_UP = 500  # records of a transaction, when what was left behind is all there is to do


class Member(Actor):
    """A consumer of a group. Where the answer to a commit is lost it comes back as another member: the request may still be on its way, and is fenced so."""

    def __init__(self, world, name, group, protocol=Classic, static=False):
        super().__init__(world, name)
        self.group = group
        self.membership = protocol(self, group, world.groups[group], world.partitions, name if static else None)
        self.positions = {}
        self.begin_session()

    def operation(self, rnd):
        fate = rnd.choices(("", "crash", "leave", "nap"), (300, 4, 4, 3))[0]
        if fate == "crash":
            self.crash()
        elif fate == "leave":
            self.membership.leave()
            self.crash()
        elif fate == "nap":
            self.world.draining.wait(rnd.uniform(*NAP_S))
        self.turn(rnd)
        self.pace(rnd)

    def drain(self):
        rnd = random.Random(f"{self.world.seed} {self.actor} drain")
        while not self.world.finished.is_set():
            self.turn(rnd, steady=True)
            self.world.finished.wait(rnd.uniform(0, self.world.pace_s))
        self.membership.leave()

    def crash(self):
        self.membership.forget()
        self.begin_session()
        self.positions = {}

    def turn(self, rnd, steady=False):
        try:
            if self.membership.settle():
                self.positions = {}
            if self.membership.beat() and self.membership.owned:
                self.refresh_positions()
                self.work(rnd, steady)
        except Lost:
            pass
        except Refused as refused:
            if refused.error not in AGAIN:
                self.membership.out(refused.error)

    def refresh_positions(self):
        if not self.positions:
            got = fetch_offsets(self, self.group, self.membership.owned)
            self.positions = {where: max(offset, 0) for where, offset in got.items()}

    def work(self, rnd, steady):
        raise NotImplementedError


class Consumer(Member):
    """Reads, and commits where it is."""

    def work(self, rnd, steady):
        where = rnd.choice(sorted(self.positions))
        _, self.positions[where], _ = read_on(self, *where, self.positions[where], READ_COMMITTED, wait_ms=10)
        if steady or rnd.random() < 0.3:
            try:
                self.membership.commit(dict(self.positions))
            except Lost:
                self.membership.leave()
                self.crash()


class Transformer(Member):
    """For each record of `in` one in `out`, with the offsets in the same transaction."""

    def __init__(self, world, name, group):
        super().__init__(world, name, group)
        self.session = None

    def crash(self):
        super().crash()
        self.session = None

    def need_session(self):
        if not self.session or (self.session.tainted and self.session.version == 1):
            self.session = Session(self, self.actor, 1 + self.sessions % 2)
        return self.session

    def refresh_positions(self):
        if not self.positions:
            self.need_session()  # ends what the life before left open, which would hold the offsets up
        super().refresh_positions()

    def work(self, rnd, steady):
        where = rnd.choice(sorted(self.positions))
        limit = CATCH_UP if steady else rnd.randint(1, 10)
        records, to, _ = read_on(self, *where, self.positions[where], READ_COMMITTED, limit, wait_ms=10)
        if to == self.positions[where]:
            return
        fate = "commit" if steady else rnd.choices(("commit", "abort", "crash", "nap"), (80, 12, 6, 1))[0]
        try:
            self._transaction(rnd, where, records, to, fate)
        except (Refused, Lost) as problem:
            self.session, self.positions = None, {}
            if isinstance(problem, Lost):
                return
            if problem.error not in self.world.fenced:
                raise
            self.membership.beaten = 0  # looks at once whether it is still a member
            return
        if fate == "commit" or fate == "nap":
            self.positions[where] = to

    def _transaction(self, rnd, where, records, to, fate):
        session, membership = self.need_session(), self.membership
        session.begin()
        sources = [f"{place(*where)}@{record[0]}" for record in records]
        cut = rnd.randint(0, len(sources))
        for part in (sources[:cut], sources[cut:]):
            if part:
                session.send(rnd, "out", rnd.randrange(self.world.partitions), part)
        if fate == "nap":
            self.world.draining.wait(rnd.uniform(*NAP_S))
        session.send_offsets(self.group, membership.member, membership.generation, {where: to})
        if fate == "crash":
            self.crash()
        else:
            session.end(fate != "abort")
            if fate == "abort":
                self.positions = {}
