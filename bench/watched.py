"""What it costs to be watched: a steady stream through Odradek with HTTP off; and with HTTP on, by turns while nobody looks and with
the dashboard open and /metrics scraped each second. Of Kafka there is nothing to compare with."""

import contextlib
import http.client
import threading
import time

import measure
from brokers import BenchError, free_port

SCRAPE_EVERY_S = 1.0
TURNS = 4  # of each
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


def watched(broker, plan):
    """CPU per GB of the three. As what watching adds is less than two runs of the same differ by, also what it takes by itself, of a
    broker at rest, and what share that is of what the stream takes."""
    port = free_port()

    def start(listeners):
        broker.make_directory({"http.listeners": listeners})
        broker.start()

    def stream(topic):
        return measure.stream(broker, plan, topic)["stream_cpu_s_per_gb"]

    start("")
    off_rests = resting(broker)
    off = [stream(f"off-{turn}") for turn in range(TURNS)]
    broker.stop()
    start(f"http://127.0.0.1:{port}")
    on_rests = resting(broker)
    alone, looked_at = [], []
    for turn in range(TURNS):
        alone.append(stream(f"alone-{turn}"))
        with watching(port):
            looked_at.append(stream(f"watched-{turn}"))
    before = resting(broker)
    with watching(port):
        added = resting(broker) - before
    broker.stop()
    figures = {"unwatched_cpu_s_per_gb": sum(off) / TURNS, "http_on_cpu_s_per_gb": sum(alone) / TURNS, "watched_cpu_s_per_gb": sum(looked_at) / TURNS}
    a_second = 1000 * figures["http_on_cpu_s_per_gb"] * measure.STREAM_BYTES_PER_S / measure.GB
    return {**figures, "off_rests_ms_per_s": off_rests, "on_rests_ms_per_s": on_rests, "watching_ms_per_s": added,
            "watching_percent": 100 * added / a_second}
