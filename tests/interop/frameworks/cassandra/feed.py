"""Puts what comes in the topic "orders" into Cassandra: feed.py BOOTSTRAP PORT, until it is ended; feed.py rows PORT prints the table.

A row is written before its offset is committed, and written again it is the same row: whatever ends the feeder, the table comes
out whole.
"""

import json
import sys

import confluent_kafka
from confluent_kafka import KafkaError
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.concurrent import execute_concurrent_with_args

TABLE = "shop.orders"
PATIENCE_S = 120
# Whoever was missed for longer than its session reads again from what was committed.
MISSED = (KafkaError.UNKNOWN_MEMBER_ID, KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS, KafkaError._NO_OFFSET)


def session(port):
    profiles = {EXEC_PROFILE_DEFAULT: ExecutionProfile(request_timeout=PATIENCE_S)}
    return Cluster(
        ["127.0.0.1"], port=port, execution_profiles=profiles, connect_timeout=PATIENCE_S, control_connection_timeout=PATIENCE_S
    ).connect()


def commit(consumer):
    try:
        consumer.commit(asynchronous=False)
    except confluent_kafka.KafkaException as problem:
        if problem.args[0].code() not in MISSED:
            raise


def feed(bootstrap, port):
    cassandra = session(port)
    cassandra.execute(
        "CREATE KEYSPACE IF NOT EXISTS shop WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    cassandra.execute(
        f"CREATE TABLE IF NOT EXISTS {TABLE} (customer text, part int, number bigint, at bigint, amount int,"
        " PRIMARY KEY (customer, part, number))"
    )
    insert = cassandra.prepare(f"INSERT INTO {TABLE} (customer, part, number, at, amount) VALUES (?, ?, ?, ?, ?)")
    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "cassandra",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": 6000,
        }
    )
    consumer.subscribe(["orders"])
    print("FEEDS", flush=True)
    while True:
        messages = consumer.consume(100, 0.3)
        rows = [
            (m.key().decode(), m.partition(), m.offset(), m.timestamp()[1], int(m.value())) for m in messages if m.error() is None
        ]
        if rows:
            execute_concurrent_with_args(cassandra, insert, rows)
            commit(consumer)
            print("ROWS", len(rows), flush=True)


def rows(port):
    for row in session(port).execute(f"SELECT customer, part, number, at, amount FROM {TABLE}"):
        print(json.dumps(list(row)))


if sys.argv[1] == "rows":
    rows(int(sys.argv[2]))
else:
    feed(sys.argv[1], int(sys.argv[2]))
