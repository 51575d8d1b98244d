"""Compaction: what the cleaner costs on a log that was written while it was off."""

import time

from brokers import BenchError

PARTITIONS, SEGMENT_BYTES = 4, 64 << 20
PRODUCE = {"partitions": PARTITIONS, "connections": 1, "batch_bytes": 16384, "record_bytes": 100, "key_bytes": 16,
           "acks": "all", "depth": 5}
WAIT_S = 600


def settings(enabled):
    return {"log.cleanup.policy": "compact", "log.segment.bytes": str(SEGMENT_BYTES), "log.cleaner.backoff.ms": "200",
            "log.cleaner.min.cleanable.ratio": "0.01", "log.segment.delete.delay.ms": "1000",
            "log.cleaner.enable": "true" if enabled else "false"}


def compacted(broker):
    """Whether each log is compacted up to its active segment."""
    path = broker.data / "cleaner-offset-checkpoint"
    lines = path.read_text().split("\n")[2:] if path.exists() else []
    done = {tuple(line.split()[:2]): int(line.split()[2]) for line in lines if line}
    logs = {("compact", str(p)): max(int(f.stem) for f in (broker.data / f"compact-{p}").glob("*.log"))
            for p in range(PARTITIONS)}
    return all(done.get(log) == base for log, base in logs.items())


def dirty_bytes(broker):
    folders = [sorted((broker.data / f"compact-{p}").glob("*.log")) for p in range(PARTITIONS)]
    return sum(file.stat().st_size for files in folders for file in files[:-1])


def start_cpu(broker):
    """CPU of a start where everything is compacted, the first looks of the cleaner included."""
    broker.start()
    time.sleep(3)
    return broker.cpu_seconds()


def compact(broker, plan):
    """In a fresh directory. CPU from the start on, less that of a start with nothing to do."""
    broker.make_directory(settings(False))
    broker.start()
    broker.load.run("create", broker.port, topic="compact", partitions=PARTITIONS)
    broker.load.run("produce", broker.port, topic="compact", bytes=plan.compact_bytes, **PRODUCE)
    broker.stop()
    size = dirty_bytes(broker)
    broker.write_settings(settings(True))
    started = time.monotonic()
    broker.start()
    while not compacted(broker):
        if time.monotonic() - started > WAIT_S:
            raise BenchError("compaction does not come to its end")
        time.sleep(0.05)
    spent, took = broker.cpu_seconds(), time.monotonic() - started
    left = dirty_bytes(broker)
    broker.stop()
    spent = max(spent - start_cpu(broker), 0.001)
    broker.stop()
    return {"compact_cpu_s_per_gb": spent / (size / 1e9), "compact_s_per_gb": took / (size / 1e9),
            "compact_left_mb": left / 1e6}
