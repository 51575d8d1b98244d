"""What goes wrong and when. Fault number i is the same for the same seed, and comes so many calls after the one before it."""

import random
import signal
import time

KINDS = {"kill": 22, "stop": 4, "pause": 22, "cut all": 10, "cut some": 22, "lose answers": 20}
LONGEST_GAP_S = 3  # where the calls that it waits for do not come


class Faults:
    def __init__(self, seed, world):
        self.seed, self.world, self.count = seed, world, 0
        self.by_kind = dict.fromkeys(KINDS, 0)

    def none(self):
        """Nothing goes wrong."""
        self.act = lambda kind, length_s, some: None

    def draw(self):
        rnd = random.Random(f"{self.seed} fault {self.count}")
        kind = rnd.choices(list(KINDS), list(KINDS.values()))[0]
        if self.world.broker.kind == "kafka" and kind in ("kill", "stop"):
            kind = "pause"  # README: it does not always carry an end through that such a fault falls into
        some = {name for name in sorted(self.world.names) if rnd.random() < 0.4}
        # mostly short; now and then longer than sessions and transactions last
        return kind, rnd.randint(20, 400), rnd.choice((0, 0.1, 0.5, 1)) if rnd.random() < 0.9 else rnd.uniform(3, 6), some

    def until(self, deadline):
        """Faults until the deadline (monotonic). The broker runs when it returns."""
        while True:
            kind, gap, length_s, some = self.draw()
            target, latest = len(self.world.history.calls) + gap, time.monotonic() + LONGEST_GAP_S
            while len(self.world.history.calls) < target and time.monotonic() < min(latest, deadline):
                time.sleep(0.005)
            if time.monotonic() >= deadline:
                return
            start = self.world.history.now()
            self.act(kind, length_s, some)
            self.world.history.add("fault", start, number=self.count, kind=kind, length_s=length_s)
            self.count += 1
            self.by_kind[kind] += 1

    def act(self, kind, length_s, some):
        broker, proxy = self.world.broker, self.world.proxy
        if kind in ("kill", "stop"):
            broker.kill() if kind == "kill" else broker.stop()
            time.sleep(min(length_s, 1))
            broker.start()
        elif kind == "pause":
            broker.process.signal(signal.SIGSTOP)
            time.sleep(length_s)
            broker.process.signal(signal.SIGCONT)
        elif kind == "cut all":
            proxy.cut(lambda name: True)
        elif kind == "cut some":
            proxy.cut(lambda name: name in some)
        else:
            proxy.lose_answers(lambda name: name in some)
