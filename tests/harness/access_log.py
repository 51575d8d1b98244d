"""A web server's access log, made up from a seed: sessions that walk through a site, a few busy visitors and pages.

    for key, value in events(seed=1, megabytes=100): ...    # key: the session; value: one line of JSON

The same seed gives the same events.
"""

import itertools
import json
import random

AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5",
    "curl/8.5.0",
    "Mozilla/5.0 (compatible; ExampleBot/2.1)",
)
SECTIONS = ("", "search", "products", "products/item", "cart", "checkout", "account", "help", "blog", "static/app.js")
REFERERS = ("-", "https://search.example/", "https://news.example/today", "https://shop.example/")
START_MS = 1_700_000_000_000
SESSIONS_OPEN = 2000


class Session:
    """One visitor's walk through the site."""

    def __init__(self, rnd, number):
        self.id = f"s{number:08d}-{rnd.getrandbits(32):08x}"
        self.address = f"{rnd.randint(1, 223)}.{rnd.randint(0, 255)}.{rnd.randint(0, 255)}.{rnd.randint(1, 254)}"
        self.agent, self.referer = rnd.choice(AGENTS), rnd.choice(REFERERS)
        self.user = f"user{int(rnd.paretovariate(1.1))}" if rnd.random() < 0.3 else None
        self.left = min(int(rnd.paretovariate(0.9)) + 1, 5000)  # most visits are short, a few never end


def event(rnd, session, now_ms):
    section = SECTIONS[min(int(rnd.expovariate(0.5)), len(SECTIONS) - 1)]
    item = f"/{int(rnd.paretovariate(1.0)) % 100000}" if section.endswith("item") else ""
    draw = rnd.random()
    status = 200 if draw < 0.93 else 304 if draw < 0.96 else 404 if draw < 0.99 else 500
    path = f"/{section}{item}"
    out = {
        "time": now_ms,
        "session": session.id,
        "client": session.address,
        "user": session.user,
        "method": "POST" if section in ("cart", "checkout") and draw < 0.5 else "GET",
        "path": path,
        "status": status,
        "bytes": 0 if status == 304 else int(rnd.lognormvariate(8, 1.5)),
        "duration_us": int(rnd.lognormvariate(9, 1)),
        "referer": session.referer,
        "agent": session.agent,
    }
    session.referer = "https://shop.example" + path
    return json.dumps(out, separators=(",", ":")).encode()


def events(seed, megabytes):
    """Yields (key, value) until the values hold so many megabytes."""
    rnd = random.Random(seed)
    numbers = itertools.count()
    sessions = [Session(rnd, next(numbers)) for _ in range(SESSIONS_OPEN)]
    left, now_ms = megabytes * 1_000_000, START_MS
    while left > 0:
        # the front of the list is visited far more often than its end
        place = int(SESSIONS_OPEN * rnd.random() ** 3)
        session = sessions[place]
        now_ms += rnd.random() < 0.3
        value = event(rnd, session, now_ms)
        session.left -= 1
        if session.left == 0:
            sessions[place] = Session(rnd, next(numbers))
        left -= len(value)
        yield session.id.encode(), value
