"""docs/benchmarks.md from the figures of a run."""

import datetime
import os
import pathlib
import platform
import statistics
import subprocess

import groups
import measure
from brokers import KAFKA_JVM_FLAGS

MB = 1e6

# key, what, unit, factor, digits
ROWS = [
    ("produce_cpu_s_per_gb", "broker CPU per GB produced", "s", 1, 2),
    ("fetch_cpu_s_per_gb", "broker CPU per GB fetched", "s", 1, 3),
    ("stream_cpu_s_per_gb", "broker CPU per GB streamed through at {stream_mb} MB/s", "s", 1, 2),
    ("idle_rss", "memory, idle (resident)", "MB", 1 / MB, 1),
    ("idle_pss", "memory, idle (proportional)", "MB", 1 / MB, 1),
    ("loaded_rss", "memory after the load (resident)", "MB", 1 / MB, 1),
    ("start_empty_s", "start to first answer, empty directory", "ms", 1e3, 1),
    ("start_existing_s", "start to first answer, existing directory", "ms", 1e3, 1),
    ("stop_s", "stop", "ms", 1e3, 1),
    ("latency_p50_us", "end-to-end latency, p50", "ms", 1e-3, 3),
    ("latency_p99_us", "end-to-end latency, p99", "ms", 1e-3, 3),
    ("latency_p999_us", "end-to-end latency, p99.9", "ms", 1e-3, 3),
    ("java_latency_p50_us", "end-to-end latency through the Java clients, p50", "ms", 1e-3, 3),
    ("java_latency_p99_us", "end-to-end latency through the Java clients, p99", "ms", 1e-3, 3),
    ("java_latency_p999_us", "end-to-end latency through the Java clients, p99.9", "ms", 1e-3, 3),
    ("perf_produce_cpu_s_per_gb", "broker CPU per GB, kafka-producer-perf-test", "s", 1, 2),
    ("perf_consume_cpu_s_per_gb", "broker CPU per GB, kafka-consumer-perf-test", "s", 1, 2),
    ("keyed_cpu_s_per_gb", "broker CPU per GB, 50 keyed producers, 100 partitions, retention active", "s", 1, 2),
    ("compact_cpu_s_per_gb", "broker CPU per GB compacted", "s", 1, 2),
    ("commit_cpu_s_per_million", "broker CPU per million offset commits, one a request", "s", 1, 2),
    ("join_s", "join to stable, a group of {members:,} members", "s", 1, 2),
    ("join_cpu_s", "broker CPU of that", "s", 1, 2),
    ("assigned_fetch_cpu_s_per_gb", "broker CPU per GB fetched, partitions assigned by hand", "s", 1, 3),
    ("group_fetch_cpu_s_per_gb", "broker CPU per GB fetched by members of a group", "s", 1, 3),
    *(row for records, partitions in groups.TRANSACTIONS for row in (
        (f"txn_{records}_{partitions}_cpu_s_per_10000",
         f"broker CPU per 10,000 transactions, {records} record{'s' if records > 1 else ''}, {partitions} partition{'s' if partitions > 1 else ''}", "s", 1, 2),
        (f"txn_{records}_{partitions}_p99_us", "p99 of such a transaction", "ms", 1e-3, 2))),
    ("bytes_a_group", "memory a group with one offset", "bytes", 1, 0),
    ("bytes_an_offset", "memory a committed offset, in groups of {offsets:,}", "bytes", 1, 0),
    ("bytes_a_member", "memory a member of a group of {members:,}, its connection included", "bytes", 1, 0),
    ("bytes_an_open_transaction", "memory an open transaction", "bytes", 1, 0),
    ("unwatched_cpu_s_per_gb", "broker CPU per GB streamed through, HTTP off", "s", 1, 2),
    ("http_on_cpu_s_per_gb", "the same, HTTP on and nobody looks", "s", 1, 2),
    ("watched_cpu_s_per_gb", "the same, the dashboard open and /metrics scraped each second", "s", 1, 2),
    ("off_rests_ms_per_s", "CPU a second at rest, HTTP off", "ms", 1, 2),
    ("on_rests_ms_per_s", "the same, HTTP on and nobody looks", "ms", 1, 2),
    ("watching_ms_per_s", "what the open dashboard and a scrape each second add to that", "ms", 1, 2),
    ("watching_percent", "that, of the CPU that streaming 50 MB a second takes", "%", 1, 1),
    ("idle_threads", "threads, idle", "", 1, 0),
    ("idle_files", "open files, idle", "", 1, 0),
    ("many_start_clean_s", "start after a clean stop, {partitions:,} partitions", "s", 1, 2),
    ("many_start_killed_s", "start after kill -9, {partitions:,} partitions", "s", 1, 2),
    ("many_start_killed_dirty_s", "start after kill -9, {partitions:,} partitions, each written to just before", "s", 1, 2),
    ("many_stop_s", "stop, {partitions:,} partitions", "s", 1, 2),
    ("many_stop_dirty_s", "stop, {partitions:,} partitions, each written to just before", "s", 1, 2),
    ("many_rss", "memory, {partitions:,} partitions (resident)", "MB", 1 / MB, 1),
    ("many_threads", "threads, {partitions:,} partitions", "", 1, 0),
    ("many_files", "open files, {partitions:,} partitions", "", 1, 0),
]

# Here more is better.
RATES = [
    ("produce_mb_per_s", "produced", "MB/s", 1, 0),
    ("fetch_mb_per_s", "fetched", "MB/s", 1, 0),
    ("keyed_mb_per_s", "produced by 50 keyed producers over 100 partitions, retention active", "MB/s", 1, 0),
    ("commits_per_s", "offsets committed", "/s", 1, 0),
    *((f"txn_{records}_{partitions}_per_s", f"transactions of {records} records, {partitions} partitions", "/s", 1, 0)
      for records, partitions in groups.TRANSACTIONS),
    ("perf_produce_records_per_s", "kafka-producer-perf-test", "records/s", 1, 0),
    ("perf_consume_records_per_s", "kafka-consumer-perf-test", "records/s", 1, 0),
]

LIMITS = [
    ("produce_cpu_s_per_gb", "CPU per GB: receive, checksum, write into reserved room", "s", 1, 2),
    ("fetch_cpu_s_per_gb", "CPU per GB: sendfile", "s", 1, 3),
    ("latency_p50_us", "loopback echo, p50", "ms", 1e-3, 3),
    ("latency_p99_us", "loopback echo, p99", "ms", 1e-3, 3),
    ("latency_p999_us", "loopback echo, p99.9", "ms", 1e-3, 3),
]


def values(rounds, side, key):
    return [r[key] for r in rounds.get(side, []) if key in r]


def number(value, digits):
    return f"{value:,.{digits}f}"


def cell(rounds, side, row):
    """The median, and the spread over the rounds."""
    key, _, unit, factor, digits = row
    found = [v * factor for v in values(rounds, side, key)]
    if not found:
        return "–"
    text = number(statistics.median(found), digits)
    if len(found) > 1 and number(min(found), digits) != number(max(found), digits):
        text += f" ({number(min(found), digits)}–{number(max(found), digits)})"
    return f"{text} {unit}".strip()


def ratio(rounds, row, upper="kafka", lower="odradek"):
    a, b = values(rounds, upper, row[0]), values(rounds, lower, row[0])
    if not a or not b or statistics.median(b) == 0:
        return "–"
    r = statistics.median(a) / statistics.median(b)
    return f"{r:.1f}×" if r < 100 else f"{r:.0f}×"


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|"] +
                     ["| " + " | ".join(line) + " |" for line in lines])


def side_by_side(rounds, rows, inverse=False, **names):
    lines = []
    for row in rows:
        if values(rounds, "kafka", row[0]) or values(rounds, "odradek", row[0]):
            sides = ("odradek", "kafka") if inverse else ("kafka", "odradek")
            lines.append([row[1].format(stream_mb=measure.STREAM_BYTES_PER_S // 1000000, members=groups.MEMBERS, offsets=groups.OFFSETS_A_GROUP, **names), cell(rounds, "kafka", row), cell(rounds, "odradek", row),
                          ratio(rounds, row, *sides)])
    return lines


def limit_lines(rounds):
    return [[row[1], cell(rounds, "limit", row), cell(rounds, "odradek", row), ratio(rounds, row, "odradek", "limit"),
             ratio(rounds, row, "kafka", "limit")] for row in LIMITS if values(rounds, "limit", row[0])]


def first_line(path, prefix):
    for line in pathlib.Path(path).read_text().splitlines():
        if line.startswith(prefix):
            return line.split(":", 1)[1].strip()
    return "unknown"


def machine(directory):
    memory_gb = int(first_line("/proc/meminfo", "MemTotal").split()[0]) / 1e6
    java = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr.splitlines()
    filesystem = subprocess.run(["findmnt", "-n", "-o", "FSTYPE", "-T", str(directory)], capture_output=True,
                                text=True).stdout.strip()
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{first_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "memory": f"{memory_gb:.0f} GB",
        "kernel": platform.release().split("-")[0],
        "filesystem": filesystem,
        "java": java[0] if java else "none",
    }


TEXT = """# Benchmarks

Odradek and Apache Kafka {kafka_version} on the same machine, by turns, with the same settings, the same clients and the same
work. `./dev bench` made this page; nothing on it was typed by hand.

Up to {rounds} rounds on {date}: {cpu}, {memory} of memory, Linux {kernel}, {filesystem}; {java}.
Each figure is the median over its rounds with the spread (least–most) behind it, if there were several; the ratio is that of the medians.
{note}
## Side by side

{main}

GB is 10⁹ bytes of record batches. Records of {record_bytes} bytes without key in batches of 64 KB, {partitions} partitions,
{connections} connections, no compression; produced as a Java producer does by default (idempotent, acks=all, five requests in flight);
fetched as a Java consumer does by default (in sessions, up to 1 MB a partition), from the page cache. Streamed through:
producers send {stream_mb} MB a second, consumers stand at the end and take each batch as it comes.

{rates}

Both brokers and the load generator share the machine, so these rates say less than the CPU above.

## Against the machine's limit

Bare servers that do only what no broker can leave out, driven by the same load generator in the same run.

{limits}

## How it is measured

- One node, broker and controller in one process. Kafka runs with the JVM settings of its `kafka-server-start.sh` ({flags}).
  It writes no log (its Maven dependencies bring no logging back end).
- Each round starts each side on a fresh directory of the same disk. Before produce, fetch and latency are measured, the
  broker gets {warmup_gb:.1f} GB to produce, {fetch_warmups} times {bytes_gb:.1f} GB to fetch and {latency_warmup:,} single records, so
  that the JVM has compiled what it runs. Then {bytes_gb:.1f} GB are produced, {fetched_gb:.1f} GB fetched and {latency_count:,} records sent
  one by one.
- CPU is user and system time of the broker's process over the load. What the kernel's own threads spend on writing pages to the
  disk is in neither side's figure.
- Memory is Rss and Pss of /proc/PID/smaps_rollup, idle {settle} s after the start. The page cache is not part of it.
  Memory a group, offset, member or transaction: what so many of them add, divided by their number; of Kafka the used heap after a
  full collection (jcmd), of Odradek the process's anonymous memory.
- Start: from the start of the process until ApiVersions and Metadata (that names the node) are answered. Kafka's directory is
  formatted before; that takes another JVM start and is not counted. Odradek formats itself within the time measured.
- Keyed producers: {keyed_connections} connections, each with batches of {keyed_batch_kb} KB (the Java producer's default) for each of
  {keyed_partitions} partitions in turn, five requests in flight, idempotent; segments of {keyed_segment_mb} MB, two of which are kept a
  partition, looked at every second: the run rolls and deletes segments all the time.
- Groups: offsets are committed over {commit_connections} connections, five requests in flight, by consumers that were assigned
  their partitions by hand. {members:,} members join one group at once, each over a connection of its own, with a heartbeat every
  {heartbeat_ms} ms and an initial rebalance delay of 0; stable is when all are in one generation and have their assignment.
  Transactions run one after another over each of {transaction_connections} connections: one Produce request for all partitions,
  then EndTxn (transaction.version 2); the same number is run before as warm-up.
- Latency, raw: one connection holds a Fetch, another produces one record; from the send of the produce until the fetch's answer
  is read; the next record follows when both are answered. Before it, what was produced is written to the disk (sync). Through the Java clients: `bench/EndToEnd.java`, from `send` to the
  return of `poll`.

To repeat it:

    ./dev bench                     # all of it; writes this page and build/bench/results.json
    ./dev bench --page              # writes this page again from build/bench/results.json
    ./dev bench --quick             # a few minutes; prints, and leaves this page alone
    ./dev bench --partitions 10000  # adds the rows with many partitions
"""


def page(result):
    rounds, plan = result["rounds"], result["plan"]
    head = ["", "Apache Kafka", "Odradek", "ratio"]
    others = [v for side in rounds.values() for r in side for k, v in r.items() if k.endswith("_other_cpus")]
    note = ""
    if others and statistics.median(others) > 0.15:
        note = (f"\nOther processes used {statistics.median(others):.1f} of the cores while this was measured.\n")
    return TEXT.format(
        kafka_version="4.3.1", rounds=max((len(r) for r in rounds.values()), default=0), note=note,
        main=table(head, side_by_side(rounds, ROWS, partitions=plan["partitions"])),
        rates=table(head, side_by_side(rounds, RATES, inverse=True)),
        limits=table(["", "limit", "Odradek", "Odradek / limit", "Kafka / limit"], limit_lines(rounds)),
        stream_mb=measure.STREAM_BYTES_PER_S // 1000000, record_bytes=measure.RECORD_BYTES, partitions=measure.PARTITIONS, connections=measure.CONNECTIONS,
        flags="`" + " ".join(KAFKA_JVM_FLAGS[:5]) + " ...`", settle=measure.SETTLE_S,
        warmup_gb=plan["warmup_bytes"] / 1e9, bytes_gb=plan["bytes"] / 1e9, fetch_warmups=plan["fetch_warmups"],
        fetched_gb=plan["fetches"] * plan["bytes"] / 1e9, latency_warmup=plan["latency_warmup"],
        latency_count=plan["latency_count"], keyed_connections=measure.KEYED["connections"],
        keyed_partitions=measure.KEYED["partitions"], keyed_batch_kb=measure.KEYED["batch_bytes"] // 1024,
        commit_connections=groups.COMMIT["connections"], members=groups.MEMBERS,
        heartbeat_ms=groups.HEARTBEAT_US // 1000, transaction_connections=groups.TRANSACTION_CONNECTIONS,
        keyed_segment_mb=measure.KEYED_SEGMENT_BYTES >> 20, **result["machine"])


def summary(result):
    """The same tables for the terminal."""
    rounds = result["rounds"]
    lines = side_by_side(rounds, ROWS, partitions=result["plan"]["partitions"])
    lines += side_by_side(rounds, RATES, inverse=True)
    out = [f"{'':52} {'Kafka':>26} {'Odradek':>26} {'ratio':>8}"]
    out += [f"{a:52} {b:>26} {c:>26} {d:>8}" for a, b, c, d in lines]
    out += ["", f"{'':52} {'limit':>26} {'Odradek':>26} {'O/limit':>8} {'K/limit':>8}"]
    out += [f"{a:52} {b:>26} {c:>26} {d:>8} {e:>8}" for a, b, c, d, e in limit_lines(rounds)]
    return "\n".join(out)
