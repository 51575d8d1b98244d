"""Groups and transactions, on brokers that join members at once (an initial rebalance delay of 0)."""

import measure
from brokers import BenchError

SETTINGS = {"group.initial.rebalance.delay.ms": "0", "group.max.session.timeout.ms": "1800000"}
MEMBERS = 1000
HEARTBEAT_US = 500_000  # between two heartbeats of a member that joins, on both sides
COMMIT = {"connections": 10, "depth": 5, "partitions": 1}
TRANSACTIONS = [(1, 1), (10, 1), (100, 1), (10, 10), (100, 10)]  # records in all, partitions
TRANSACTION_CONNECTIONS = 10
KEY_ADD_PARTITIONS_TO_TXN = 24
GROUPS, FULL_GROUPS, OFFSETS_A_GROUP, OPEN_TRANSACTIONS = 10_000, 100, 1000, 2000
RECORD_ON_WIRE_BYTES = 109  # of 100 bytes, with its head


def commits(broker, plan):
    def work(count):
        return broker.load.run("commit", broker.port, topic="commits", count=count, **COMMIT)
    work(plan.commits)
    result, spent, others = measure.with_cpu(broker, lambda: work(plan.commits))
    return {"commits_per_s": result["commits"] / result["seconds"],
            "commit_cpu_s_per_million": spent / result["commits"] * 1e6, "commit_other_cpus": others}


def join(broker, plan):
    """The first time is warm-up; its members leave at the end, so that the group is empty again."""
    def work():
        return broker.load.run("join", broker.port, topic="join", count=MEMBERS, partitions=MEMBERS, pause_us=HEARTBEAT_US)
    work()
    result, spent, others = measure.with_cpu(broker, work)
    return {"join_s": result["seconds"], "join_cpu_s": spent, "join_requests": result["requests"], "join_other_cpus": others}


def transactions(broker, plan):
    figures = {}
    for records, partitions in TRANSACTIONS:
        each = records // partitions
        options = {"connections": TRANSACTION_CONNECTIONS, "partitions": partitions, "record_bytes": measure.RECORD_BYTES,
                   "batch_bytes": max(61 + each * (RECORD_ON_WIRE_BYTES + 1), 100), "topic": f"transactions-{partitions}"}

        def work(count, options=options):
            return broker.load.run("transactions", broker.port, count=count, **options)
        work(plan.transactions)
        result, spent, others = measure.with_cpu(broker, lambda work=work: work(plan.transactions))
        if result["records_a_partition"] != each:
            raise BenchError(f"{result['records_a_partition']} records a partition where {each} were wanted")
        name = f"txn_{records}_{partitions}"
        figures |= {f"{name}_per_s": result["transactions"] / result["seconds"],
                    f"{name}_cpu_s_per_10000": spent / result["transactions"] * 1e4,
                    f"{name}_p50_us": result["transaction"]["p50_us"], f"{name}_p99_us": result["transaction"]["p99_us"],
                    f"{name}_other_cpus": others}
    return figures


def group_fetch(broker, plan):
    """As measure.fetch: of the same topic, and of the same size."""
    broker.load.run("create", broker.port, topic="group-fetch", partitions=measure.PARTITIONS)
    broker.load.run("produce", broker.port, topic="group-fetch", bytes=plan.bytes, **measure.PRODUCE)

    def work(mode, times):
        total = {"bytes": 0, "seconds": 0, "load_cpu_seconds": 0}
        for _ in range(times):
            once = broker.load.run(mode, broker.port, topic="group-fetch", **measure.FETCH)
            for name in total:
                total[name] += once[name]
        return total
    figures = {}
    for name, mode in (("assigned_fetch", "fetch"), ("group_fetch", "group-fetch")):
        work(mode, plan.fetch_warmups)
        figures |= measure.per_gb(name, *measure.with_cpu(broker, lambda mode=mode: work(mode, plan.fetches)))
    return figures


def bytes_each(broker, count, fill):
    """What fill() adds to the memory that the broker holds, for each of count."""
    before = broker.held_bytes()
    fill()
    return (broker.held_bytes() - before) / count


def memory(broker, plan):
    """Kafka's is its heap's live part, after a full collection; ours is what the process has."""
    def fill(count, partitions):
        return broker.load.run("fill", broker.port, topic=f"fill-{partitions}", count=count, partitions=partitions)

    def open_transactions():
        broker.load.run("open-transactions", broker.port, topic="open", partitions=1, count=OPEN_TRANSACTIONS, batch_bytes=100)

    def members(count):
        return broker.load.started("members", broker.port, topic="members", count=count, partitions=MEMBERS,
                                   pause_us=HEARTBEAT_US)

    with members(1) as first:
        first.ends()
    before = broker.held_bytes()
    with members(MEMBERS) as joined:
        figures = {"bytes_a_member": (broker.held_bytes() - before) / MEMBERS}
        joined.ends()
    for partitions in (1, OFFSETS_A_GROUP):
        fill(1, partitions)
    figures |= {"bytes_a_group": bytes_each(broker, GROUPS, lambda: fill(GROUPS, 1)),
                "bytes_an_offset": bytes_each(broker, FULL_GROUPS * OFFSETS_A_GROUP, lambda: fill(FULL_GROUPS, OFFSETS_A_GROUP))}
    if broker.advertises(KEY_ADD_PARTITIONS_TO_TXN):
        figures["bytes_an_open_transaction"] = bytes_each(broker, OPEN_TRANSACTIONS, open_transactions)
    return figures


def all_of_it(broker, plan):
    broker.make_directory(SETTINGS)
    broker.start()
    figures = commits(broker, plan) | join(broker, plan) | group_fetch(broker, plan)
    if broker.advertises(KEY_ADD_PARTITIONS_TO_TXN):
        figures |= transactions(broker, plan)
    broker.stop()
    broker.make_directory(SETTINGS)
    broker.start()
    figures |= memory(broker, plan)
    broker.stop()
    return figures
