"""What it costs to be watched: a steady stream through Odradek, by turns with HTTP off, with HTTP on while nobody looks, and with
the dashboard open and /metrics scraped each second. Of Kafka there is nothing to compare with."""

import contextlib
import http.client
import shutil
import statistics
import threading
import time

import measure
from brokers import BenchError, free_port

SCRAPE_EVERY_S = 1.0
TURNS = 6  # of each
REST_S = 20


def read_live(connection, stopping):
    """The dashboard's event stream, as a browser reads it."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/api/v1/live")
        for _ in connection.getresponse():
            if stopping.is_set():
                return


@contextlib.contextmanager
def watching(port):
    """The dashboard's stream is open and /metrics is scraped, until the block ends."""
    stopping, scrapes = threading.Event(), []

    def scrape():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while not stopping.wait(SCRAPE_EVERY_S):
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            scrapes.append((answer.status, len(answer.read())))
        connection.close()

    live = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    threads = [threading.Thread(target=read_live, args=(live, stopping), daemon=True), threading.Thread(target=scrape, daemon=True)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(20)
        live.close()
    if not scrapes or any(status != 200 for status, _ in scrapes):
        raise BenchError(f"/metrics was not served: {scrapes[:3]}")


def resting(broker):
    """Milliseconds of CPU a second, while no client asks for anything."""
    cpu, started = broker.cpu_seconds(), time.monotonic()
    time.sleep(REST_S)
    return 1000 * (broker.cpu_seconds() - cpu) / (time.monotonic() - started)


def other(broker):
    """Another one of the same binary, beside it."""
    return type(broker)(broker.directory.with_name(broker.directory.name + "-watched"), broker.load, broker.binary)


def in_turn(things, turn):
    """Each turn begins with another one, so that none has the first place, or the last, more often."""
    at = turn % len(things)
    return things[at:] + things[:at]


def watched(broker, plan):
    """CPU per GB of the three, on two brokers by turns. As what watching adds is less than two runs of the same differ by, also what it
    takes by itself, of a broker at rest, and what share that is of what the stream takes."""
    port = free_port()
    with_http = other(broker)

    def stream(of, topic):
        return measure.stream(of, plan, topic)["stream_cpu_s_per_gb"]

    def looked_at(turn):
        with watching(port):
            return stream(with_http, f"watched-{turn}")

    ways = [("unwatched", lambda turn: stream(broker, f"off-{turn}")), ("http_on", lambda turn: stream(with_http, f"alone-{turn}")),
            ("watched", looked_at)]
    spent = {name: [] for name, _ in ways}
    try:
        for one, listeners in ((broker, ""), (with_http, f"http://127.0.0.1:{port}")):
            one.make_directory({"http.listeners": listeners})
            one.start()
        figures = {"off_rests_ms_per_s": resting(broker), "on_rests_ms_per_s": resting(with_http)}
        for turn in range(TURNS):
            for name, way in in_turn(ways, turn):
                spent[name].append(way(turn))
        before = resting(with_http)
        with watching(port):
            figures["watching_ms_per_s"] = resting(with_http) - before
        broker.stop()
        with_http.stop()
    finally:
        with_http.kill()
        shutil.rmtree(with_http.directory, ignore_errors=True)
    figures |= {f"{name}_cpu_s_per_gb": statistics.median(values) for name, values in spent.items()}
    a_second = 1000 * figures["http_on_cpu_s_per_gb"] * measure.STREAM_BYTES_PER_S / measure.GB
    return figures | {"watching_percent": 100 * figures["watching_ms_per_s"] / a_second}
