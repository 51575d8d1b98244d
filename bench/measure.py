"""What is measured on a broker, each a function of (broker, plan) that returns named figures.

CPU is the broker's own, user and system, per 10^9 bytes of record batches; the load generator's is apart."""

import json
import os
import pathlib
import re
import subprocess
import time

from brokers import BenchError

GB = 1e9
RECORD_BYTES = 100
BATCH_BYTES = 65536
PARTITIONS = 4
CONNECTIONS = 2
STREAM_BYTES_PER_S = 50_000_000
SETTLE_S = 5  # idle memory is read this long after the start
KEY_JOIN_GROUP = 11
KEYED_SEGMENT_BYTES = 4 << 20

# As a Java producer and consumer are by default: idempotent, acks=all, five requests in flight; their socket buffers.
PRODUCE = {"partitions": PARTITIONS, "connections": CONNECTIONS, "batch_bytes": BATCH_BYTES,
           "record_bytes": RECORD_BYTES, "acks": "all", "idempotent": True, "depth": 5, "send_buffer": 131072}
KEYED = {**PRODUCE, "partitions": 100, "connections": 50, "batch_bytes": 16384, "key_bytes": 16}
FETCH = {"partitions": PARTITIONS, "connections": CONNECTIONS, "fetch_bytes": 1 << 20, "receive_buffer": 65536}


def machine_busy_seconds():
    """CPU time of everything on the machine, stolen time included."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / 100


def with_cpu(server, work):
    """Runs work() and adds what the server, and everything else on the machine, spent meanwhile."""
    busy, cpu, started = machine_busy_seconds(), server.cpu_seconds(), time.monotonic()
    result = work()
    spent, took = server.cpu_seconds() - cpu, time.monotonic() - started
    server.check_alive()
    others = machine_busy_seconds() - busy - spent - result.get("load_cpu_seconds", 0)
    return result, spent, max(others, 0) / took


def per_gb(prefix, result, spent, others):
    gb = result["bytes"] / GB
    return {f"{prefix}_cpu_s_per_gb": spent / gb,
            f"{prefix}_mb_per_s": result["bytes"] / 1e6 / result["seconds"],
            f"{prefix}_load_cpu_s_per_gb": result["load_cpu_seconds"] / gb,
            f"{prefix}_other_cpus": others}


def produce(broker, plan):
    broker.load.run("create", broker.port, topic="produce-warmup", partitions=PARTITIONS)
    broker.load.run("produce", broker.port, topic="produce-warmup", bytes=plan.warmup_bytes, **PRODUCE)
    broker.load.run("create", broker.port, topic="produce", partitions=PARTITIONS)
    return per_gb("produce", *with_cpu(broker, lambda: broker.load.run(
        "produce", broker.port, topic="produce", bytes=plan.bytes, **PRODUCE)))


def fetch(broker, plan):
    """Reads what produce wrote (from the page cache), again and again; the first times are warm-up."""
    broker.load.run("create", broker.port, topic="produce", partitions=PARTITIONS)
    if "produce" not in plan.only:
        broker.load.run("produce", broker.port, topic="produce", bytes=plan.bytes, **PRODUCE)

    def read(times):
        total = {"bytes": 0, "seconds": 0, "load_cpu_seconds": 0}
        for _ in range(times):
            once = broker.load.run("fetch", broker.port, topic="produce", **FETCH)
            for name in total:
                total[name] += once[name]
        return total

    read(plan.fetch_warmups)
    return per_gb("fetch", *with_cpu(broker, lambda: read(plan.fetches)))


def stream(broker, plan, topic="stream"):
    """Both at once: consumers stand at the end while producers send at a steady rate."""
    options = {**PRODUCE, "receive_buffer": FETCH["receive_buffer"], "rate": STREAM_BYTES_PER_S}
    broker.load.run("stream", broker.port, topic=f"{topic}-warmup", bytes=plan.stream_bytes, **options)
    broker.load.run("create", broker.port, topic=topic, partitions=PARTITIONS)
    return per_gb("stream", *with_cpu(broker, lambda: broker.load.run(
        "stream", broker.port, topic=topic, bytes=plan.stream_bytes, **options)))


def keyed_settings():
    """Small segments, of which little is kept: many rolls and deletions during the run."""
    return {"log.segment.bytes": str(KEYED_SEGMENT_BYTES), "log.retention.bytes": str(2 * KEYED_SEGMENT_BYTES),
            "log.retention.check.interval.ms": "1000", "log.segment.delete.delay.ms": "1000", "log.initial.task.delay.ms": "1000"}


def keyed(broker, plan):
    """Fifty producers of keyed records, each with batches for every one of a hundred partitions, while retention deletes
    segments. On a broker that was started with keyed_settings()."""
    broker.load.run("create", broker.port, topic="keyed", partitions=KEYED["partitions"])
    broker.load.run("produce", broker.port, topic="keyed", bytes=plan.keyed_warmup_bytes, **KEYED)
    figures = per_gb("keyed", *with_cpu(broker, lambda: broker.load.run(
        "produce", broker.port, topic="keyed", bytes=plan.keyed_bytes, **KEYED)))
    figures["keyed_partitions_trimmed"] = wait_until_trimmed(broker)
    return figures


def wait_until_trimmed(broker):
    """Of how many partitions the beginning is gone; a run in which retention did nothing is none."""
    deadline = time.monotonic() + 30
    while True:
        firsts = [min(path.name for path in folder.glob("*.log")) for folder in broker.data.glob("keyed-*")]
        trimmed = sum(int(name.split(".")[0]) > 0 for name in firsts)
        if trimmed == KEYED["partitions"] or (trimmed and time.monotonic() > deadline):
            return trimmed
        if time.monotonic() > deadline:
            raise BenchError("retention deleted nothing")
        time.sleep(0.2)


def latency(broker, plan):
    os.sync()  # what was produced before goes to the disk, and not beside this
    result = broker.load.run("latency", broker.port, topic="latency", warmup=plan.latency_warmup,
                             count=plan.latency_count, record_bytes=RECORD_BYTES, idempotent=True)
    figures = {f"latency_{name}": value for name, value in result["end_to_end"].items()}
    figures.update({f"acknowledged_{name}": value for name, value in result["acknowledged"].items()})
    return figures


def memory(broker, plan):
    """Of the idle broker, some seconds after its start."""
    time.sleep(SETTLE_S)
    figures = broker.memory()
    return {"idle_" + name: value for name, value in figures.items()}


def memory_after_load(broker):
    return {"loaded_" + name: value for name, value in broker.memory().items()}


def run_java(command, timeout):
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise BenchError(f"{command[-6]}: {done.stderr.strip()[-500:] or done.stdout.strip()[-500:]}")
    return done.stdout


def java_latency(broker, plan):
    """The clients' own share is large, and the same on both sides."""
    broker.load.run("create", broker.port, topic="latency-java", partitions=1)
    source = pathlib.Path(__file__).with_name("EndToEnd.java")
    out = run_java(["java", "-Xmx256m", "-cp", f"{plan.libs}/*", str(source), f"127.0.0.1:{broker.port}",
                    "latency-java", str(plan.java_warmup), str(plan.java_count), str(RECORD_BYTES)], 300)
    return {f"java_latency_{name}": value for name, value in json.loads(out.splitlines()[-1]).items()}


def java_perf(broker, plan):
    """kafka-producer-perf-test, and kafka-consumer-perf-test where the broker has groups."""
    broker.load.run("create", broker.port, topic="perf", partitions=PARTITIONS)
    bootstrap = f"127.0.0.1:{broker.port}"
    java = ["java", "-Xmx512m", "-cp", f"{plan.libs}/*"]
    size = plan.java_records * RECORD_BYTES
    result = {}

    def produce_perf():
        result["out"] = run_java(java + [
            "org.apache.kafka.tools.ProducerPerformance", "--topic", "perf", "--num-records", str(plan.java_records),
            "--record-size", str(RECORD_BYTES), "--throughput", "-1", "--command-property",
            f"bootstrap.servers={bootstrap}", f"batch.size={BATCH_BYTES}", "linger.ms=5"], 300)
        return {}

    _, spent, _ = with_cpu(broker, produce_perf)
    last = result["out"].strip().splitlines()[-1]
    match = re.search(r"([\d.]+) records/sec.* ([\d.]+) ms avg latency", last)
    if not match:
        raise BenchError(f"kafka-producer-perf-test said: {last}")
    figures = {"perf_produce_records_per_s": float(match[1]), "perf_produce_cpu_s_per_gb": spent / (size / GB)}
    if broker.advertises(KEY_JOIN_GROUP):
        def consume_perf():
            result["out"] = run_java(java + [
                "org.apache.kafka.tools.ConsumerPerformance", "--bootstrap-server", bootstrap, "--topic", "perf",
                "--num-records", str(plan.java_records), "--hide-header"], 300)
            return {}
        _, spent, _ = with_cpu(broker, consume_perf)
        fields = result["out"].strip().splitlines()[-1].split(",")
        figures["perf_consume_records_per_s"] = float(fields[5])
        figures["perf_consume_cpu_s_per_gb"] = spent / (size / GB)
    return figures


def limits(server, plan):
    """The bare servers, one after the other."""
    figures = {}
    file = server.directory / "batches"
    try:
        if "produce" in plan.only or "fetch" in plan.only:
            server.start("limit-write", file)
            figures.update(per_gb("produce", *with_cpu(server, lambda: server.load.run(
                "produce", server.port, bare=True, bytes=plan.bytes, **PRODUCE))))
            server.kill()
        if "fetch" in plan.only:
            server.start("limit-send", f"{file}.0")
            figures.update(per_gb("fetch", *with_cpu(server, lambda: server.load.run(
                "fetch", server.port, bare=True, **{**FETCH, "partitions": CONNECTIONS}))))
            server.kill()
        if "latency" in plan.only:
            os.sync()
            server.start("limit-echo")
            result = server.load.run("echo", server.port, warmup=plan.latency_warmup, count=plan.latency_count)
            figures.update({f"latency_{name}": value for name, value in result["end_to_end"].items()})
    finally:
        server.kill()
    return figures
