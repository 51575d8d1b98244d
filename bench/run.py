#!/usr/bin/env python3
"""Odradek and Apache Kafka 4.3.1 side by side. `./dev bench` builds, fetches Kafka and calls this.

Writes build/bench/results.json and, for a full run, docs/benchmarks.md."""

import argparse
import json
import mmap
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import brokers
import compaction
import groups
import many
import measure
import report
import watched
from brokers import BenchError

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ["start", "memory", "produce", "fetch", "stream", "latency", "java-latency", "java-perf", "keyed", "compact", "groups", "watched"]
SIDES = ["kafka", "odradek", "limit"]
TOUCH_BYTES = 12 << 30
KEEP_FREE_BYTES = 3 << 30


def arguments():
    p = argparse.ArgumentParser(prog="./dev bench", description=__doc__.splitlines()[0])
    p.add_argument("--quick", action="store_true", help="less of everything; prints, does not write docs/benchmarks.md")
    p.add_argument("--rounds", type=int, help="rounds, sides by turns in each (default 3; quick: 1)")
    p.add_argument("--only", default=",".join(PARTS), help="some of: " + ",".join(PARTS))
    p.add_argument("--side", default=",".join(SIDES), help="some of: " + ",".join(SIDES))
    p.add_argument("--partitions", type=int, default=0, help="add the rows with this many partitions (say 10000)")
    p.add_argument("--kafka-libs", default=os.environ.get("ODRADEK_KAFKA_LIBS"),
                   help="folder of Apache Kafka's jars (default: $ODRADEK_KAFKA_LIBS)")
    p.add_argument("--build", default=str(ROOT / "build"), help="build directory (default: build)")
    p.add_argument("--odradek", help="the binary to measure (default: odradek of the build directory)")
    p.add_argument("--page", action="store_true", help="measure nothing: write the page from the last full run's results")
    p.add_argument("--add", action="store_true",
                   help="put the figures of this run into the last results (rows that a full run lacks), and write the page")
    p.add_argument("--write", action="store_true", help="write docs/benchmarks.md also from a partial run")
    a = p.parse_args()
    a.only, a.side = a.only.split(","), a.side.split(",")
    for given, known in ((a.only, PARTS), (a.side, SIDES)):
        for word in given:
            if word not in known:
                p.error(f"'{word}' is none of: {', '.join(known)}")
    return a


def make_plan(a):
    """How much of each; the same for both brokers."""
    plan = argparse.Namespace(
        only=a.only, partitions=a.partitions, libs=a.kafka_libs, rounds=a.rounds or (1 if a.quick else 3),
        warmup_bytes=3_000_000_000, bytes=2_000_000_000, fetch_warmups=2, fetches=3, stream_bytes=500_000_000, keyed_warmup_bytes=2_000_000_000, keyed_bytes=4_000_000_000, compact_bytes=2_000_000_000,
        commits=200_000, transactions=10_000, latency_warmup=20_000,
        latency_count=20_000, java_warmup=20_000, java_count=20_000, java_records=5_000_000)
    if a.quick:
        plan.warmup_bytes, plan.bytes, plan.fetches = 1_000_000_000, 500_000_000, 2
        plan.stream_bytes = 200_000_000
        plan.keyed_warmup_bytes, plan.keyed_bytes = 1_500_000_000, 1_500_000_000
        plan.compact_bytes = 700_000_000
        plan.commits, plan.transactions = 50_000, 2_000
        plan.latency_warmup = plan.latency_count = plan.java_warmup = plan.java_count = 5_000
        plan.java_records = 1_000_000
    return plan


def say(text):
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)


def touch_memory():
    """On a virtual machine the first use of a page of memory can cost ten times the second; the page cache that the
    brokers fill must not pay for that. So the free memory is used once before."""
    available = int(report.first_line("/proc/meminfo", "MemAvailable").split()[0]) * 1024
    size = min(TOUCH_BYTES, available - KEEP_FREE_BYTES)
    if size <= 0:
        return
    with mmap.mmap(-1, size) as memory:
        for at in range(0, size, 4096):
            memory[at] = 1


def broker_round(broker, plan):
    """One side's round; the directory is fresh, and gone afterwards."""
    figures = {}
    try:
        broker.make_directory()
        figures["start_empty_s"] = broker.start()
        if "memory" in plan.only:
            figures.update(measure.memory(broker, plan))
        if "start" in plan.only:
            broker.load.run("create", broker.port, topic="small", partitions=measure.PARTITIONS)
            figures["stop_s"] = broker.stop()
            figures["start_existing_s"] = broker.start()
        for part, work in (("produce", measure.produce), ("fetch", measure.fetch), ("stream", measure.stream),
                           ("latency", measure.latency),
                           ("java-latency", measure.java_latency), ("java-perf", measure.java_perf)):
            if part in plan.only:
                figures.update(work(broker, plan))
        if "produce" in plan.only:
            figures.update(measure.memory_after_load(broker))
        broker.stop()
        if "keyed" in plan.only:
            broker.make_directory(measure.keyed_settings())
            broker.start()
            figures.update(measure.keyed(broker, plan))
            broker.stop()
        if "compact" in plan.only:
            figures.update(compaction.compact(broker, plan))
        if "groups" in plan.only:
            figures.update(groups.all_of_it(broker, plan))
        if "watched" in plan.only and broker.name == "odradek":
            figures.update(watched.watched(broker, plan))
        if plan.partitions:
            broker.make_directory()
            broker.start()
            figures.update(many.many_partitions(broker, plan))
    finally:
        broker.kill()
    return figures


def one_round(side, a, plan, load, directory):
    if side == "limit":
        return measure.limits(brokers.Limit(directory, load), plan)
    if side == "kafka":
        return broker_round(brokers.Kafka(directory, load, a.kafka_libs), plan)
    return broker_round(brokers.Odradek(directory, load, a.odradek or pathlib.Path(a.build) / "odradek"), plan)


def run_rounds(a, plan, load, work):
    """Sides by turns. A side that fails is said to fail and left out of the rest; the others go on."""
    rounds, failures = {side: [] for side in a.side}, {}
    for number in range(plan.rounds):
        for side in a.side:
            if side in failures:
                continue
            say(f"round {number + 1} of {plan.rounds}: {side}")
            directory = work / f"{side}-{number + 1}"
            try:
                figures = one_round(side, a, plan, load, directory)
                rounds[side].append(figures)
                say("  " + ", ".join(f"{k} {v:.4g}" for k, v in figures.items()))
            except (BenchError, OSError, subprocess.SubprocessError) as error:
                failures[side] = str(error)
                say(f"{side} failed: {error}")
            finally:
                shutil.rmtree(directory, ignore_errors=True)
    return rounds, failures


def add_to(last, result, parts):
    """What a partial run measured, put in place of what the last run, on the same machine, has of it. Of a start, which each
    round begins with, only where it is asked for."""
    for side, rounds in result["rounds"].items():
        old = last["rounds"].setdefault(side, [])
        old.extend({} for _ in rounds[len(old):])
        measured = {name for figures in rounds for name in figures if name != "start_empty_s" or "start" in parts}
        for i, figures in enumerate(old):
            for name in measured:
                figures.pop(name, None)
            if i < len(rounds):
                figures.update({name: rounds[i][name] for name in measured & rounds[i].keys()})
    last["plan"]["partitions"] = last["plan"]["partitions"] or result["plan"]["partitions"]
    return last


def write_page(result):
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "benchmarks.md").write_text(report.page(result))
    print("\nwritten: docs/benchmarks.md")


def interrupted(*_):
    raise KeyboardInterrupt


def main():
    a = arguments()
    plan = make_plan(a)
    if a.page:
        write_page(json.loads((pathlib.Path(a.build) / "bench" / "results.json").read_text()))
        return 0
    if "kafka" in a.side and not list(pathlib.Path(a.kafka_libs or "/nowhere").glob("kafka-server-4.3.1.jar")):
        sys.exit("bench: no Apache Kafka 4.3.1 in --kafka-libs; ./dev bench fetches it")
    signal.signal(signal.SIGTERM, interrupted)
    brokers.raise_file_limit()
    load = brokers.Load(pathlib.Path(a.build) / "bench" / "odradek-load")
    results = pathlib.Path(a.build).resolve() / "bench"
    work = results / f"work-{os.getpid()}"
    work.mkdir(parents=True)
    try:
        say("touching the machine's memory")
        touch_memory()
        rounds, failures = run_rounds(a, plan, load, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    result = {"machine": report.machine(results), "plan": vars(plan), "rounds": rounds, "failures": failures}
    if a.add:
        result = add_to(json.loads((results / "results.json").read_text()), result, a.only)
    (results / "results.json").write_text(json.dumps(result, indent=1) + "\n")
    print(report.summary(result))
    complete = not failures and not a.quick and set(a.side) == set(SIDES) and set(a.only) == set(PARTS)
    if a.write or a.add or complete:
        write_page(result)
    for side, reason in failures.items():
        print(f"\n{side} could not be measured: {reason}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
