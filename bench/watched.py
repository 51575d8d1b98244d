"""What it costs to be watched: a steady stream through Odradek with HTTP off, on, and with the dashboard open and /metrics
scraped each second. By turns within a round, each in a fresh directory; of Kafka there is nothing to compare with."""

import contextlib
import http.client
import threading

import measure
from brokers import BenchError, free_port

SCRAPE_EVERY_S = 1.0


def read_live(connection, stopping):
    """The dashboard's event stream, as a browser reads it."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/api/v1/live")
        for _ in connection.getresponse():
            if stopping.is_set():
                return


@contextlib.contextmanager
def watching(port):
    """The dashboard's stream is open and /metrics is scraped, until the block ends; yields how often it was."""
    stopping, scrapes = threading.Event(), []

    def scrape():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        while not stopping.wait(SCRAPE_EVERY_S):
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            scrapes.append((answer.status, len(answer.read())))

    live = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    threads = [threading.Thread(target=read_live, args=(live, stopping), daemon=True), threading.Thread(target=scrape, daemon=True)]
    for thread in threads:
        thread.start()
    try:
        yield scrapes
    finally:
        stopping.set()
        for thread in threads:
            thread.join(20)
        live.close()
    if not scrapes or any(status != 200 for status, _ in scrapes):
        raise BenchError(f"/metrics was not served: {scrapes[:3]}")


def watched(broker, plan):
    """CPU per GB of the three, and what being watched adds."""
    figures, port = {}, free_port()
    for name, listeners in (("unwatched", ""), ("http_on", f"http://127.0.0.1:{port}"), ("watched", f"http://127.0.0.1:{port}")):
        broker.make_directory({"http.listeners": listeners})
        broker.start()
        with watching(port) if name == "watched" else contextlib.nullcontext():
            spent = measure.stream(broker, plan)
        broker.stop()
        figures[f"{name}_cpu_s_per_gb"] = spent["stream_cpu_s_per_gb"]
    figures["watched_percent"] = 100 * (figures["watched_cpu_s_per_gb"] / figures["unwatched_cpu_s_per_gb"] - 1)
    return figures
