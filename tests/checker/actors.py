"""What all actors have in common: a thread that does one operation after the other, each drawn from the seed by its number."""

import random
import threading
import traceback

from checker.client import AGAIN, Client, Lost, Patience, Refused
from checker.history import LOST, OK, REFUSED


class Actor(threading.Thread):
    """Operation number i of an actor is the same for the same seed, whatever came of those before it."""

    def __init__(self, world, name):
        super().__init__(name=name, daemon=True)
        self.world, self.history, self.actor = world, world.history, name
        self.client = Client(world.port, name)
        self.operations = self.sessions = self.losses = 0
        self.who = name

    def operation(self, rnd):
        raise NotImplementedError

    def drain(self):
        """What is to be done once the faults are over."""

    def run(self):
        try:
            while not self.world.draining.is_set():
                self.operation(random.Random(f"{self.world.seed} {self.actor} {self.operations}"))
                self.operations += 1
            self.drain()
        except Exception as problem:
            self.world.problem(self.actor, f"{problem!r}\n{traceback.format_exc(limit=-4)}")
        finally:
            self.client.close()

    def begin_session(self):
        """A new life of the actor, with a name of its own in the history."""
        self.sessions += 1
        self.who = f"{self.actor}.{self.sessions}"

    def pace(self, rnd):
        """A moment between two operations, so that none of the actors drowns the rest."""
        self.world.draining.wait(rnd.uniform(0, self.world.pace_s))

    def ask(self, op, api, version, body, error_of, again=AGAIN, lost_again=True, **noted):
        """One call into the history, again where that helps. Returns the answer; raises Lost, Refused or Stuck."""
        patience = Patience(f"{self.who} {api}")
        while True:
            start = self.history.now()
            try:
                answer = self.client.call(api, version, body)
            except Lost as lost:
                self.losses += 1
                self.history.add(op, start, who=self.who, result=LOST, **noted)
                if not lost_again:
                    raise
                patience.wait(lost)
                continue
            error = error_of(answer)
            if not error:
                noted.update(self.noticed(op, answer))
                self.history.add(op, start, who=self.who, result=OK, **noted)
                return answer
            self.history.add(op, start, who=self.who, result=REFUSED, error=error, **noted)
            if error not in again:
                raise Refused(error, api)
            patience.wait(f"error {error}")

    @staticmethod
    def noticed(op, answer):
        """What of an answer belongs into the history."""
        if op in ("init", "end") and "ProducerId" in answer:
            return {"pid": answer["ProducerId"], "epoch": answer["ProducerEpoch"]}
        return {}


def first_error(codes):
    return next((code for code in codes if code), 0)
