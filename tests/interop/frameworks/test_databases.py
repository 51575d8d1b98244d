"""Changes in PostgreSQL go through topics to MariaDB and from there back to PostgreSQL: Debezium's connectors both ways."""

import pathlib
import random
import re

import pytest

from harness.frameworks.connect import Worker
from harness.frameworks.databases import PASSWORD, MariaDB, PostgreSQL
from harness.frameworks.framework import framework
from harness.frameworks.runner import PATIENCE_S
from harness.process import wait_until
from harness.topics import read_topic

pytestmark = [pytest.mark.needs("connect", "debezium", "postgresql", "mariadb"), pytest.mark.timeout(1800)]

JSON = "org.apache.kafka.connect.json.JsonConverter"
COLUMNS = "id INTEGER PRIMARY KEY, customer VARCHAR(100) NOT NULL, amount INTEGER NOT NULL, note VARCHAR(200)"
ROWS = "SELECT id, customer, amount, COALESCE(note, 'nothing') FROM {} ORDER BY id;"
NAMES = ("Odradek", "Łódź", "Gregor", "星", "O''Hara")


class Shop:
    """Random changes to a table; what it holds then, PostgreSQL itself says."""

    def __init__(self, database, seed):
        self.database, self.rnd, self.next_id, self.ids, self.changes = database, random.Random(seed), 1, [], 0

    def change(self, count):
        statements = []
        for _ in range(count):
            kind = self.rnd.choice(("insert", "insert", "insert", "update", "delete"))
            if kind == "insert" or not self.ids:
                note = "NULL" if self.rnd.random() < 0.2 else f"'note {self.rnd.getrandbits(40):x}'"
                name = self.rnd.choice(NAMES)
                statements.append(f"INSERT INTO orders VALUES ({self.next_id}, '{name}', {self.rnd.randint(1, 999)}, {note});")
                self.ids.append(self.next_id)
                self.next_id += 1
            elif kind == "update":
                statements.append(f"UPDATE orders SET amount = amount + 1000 WHERE id = {self.rnd.choice(self.ids)};")
            else:
                statements.append(f"DELETE FROM orders WHERE id = {self.ids.pop(self.rnd.randrange(len(self.ids)))};")
        self.database.ask("\n".join(statements))
        self.changes += count


def source(database, name, **more):
    kind = "postgresql.PostgresConnector" if database.kind == "postgresql" else "mariadb.MariaDbConnector"
    return {
        "connector_class": f"io.debezium.connector.{kind}",
        "database_hostname": "127.0.0.1",
        "database_port": database.port,
        "database_user": database.user,
        "database_password": PASSWORD,
        "topic_prefix": name,
        **more,
    }


def sink(topic, url, user, table):
    return {
        "connector_class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": topic,
        "connection_url": url,
        "connection_username": user,
        "connection_password": PASSWORD,
        "insert_mode": "upsert",
        "delete_enabled": "true",
        "primary_key_mode": "record_key",
        "collection_name_format": table,
        "schema_evolution": "none",
    }


def plugins(directory):
    """A folder for plugin.path: the connectors, with what a worker does not have itself, as their own packages come."""

    def jars(name):
        return {re.sub(r"-\d[^/]*$", "", path.name): path for path in pathlib.Path(framework(name).libs).iterdir()}

    there, folder = jars("connect"), directory / "plugins" / "debezium"
    folder.mkdir(parents=True)
    for name, path in jars("debezium").items():
        if name not in there:
            (folder / path.name).symlink_to(path)
    return str(folder.parent)


def test_from_postgresql_to_mariadb_and_back(brokers, directory):
    broker = brokers.start()
    postgres, maria = brokers.add(PostgreSQL()).start(), brokers.add(MariaDB()).start()
    postgres.ask(f"CREATE TABLE orders ({COLUMNS}); CREATE TABLE orders_back ({COLUMNS}); ALTER TABLE orders REPLICA IDENTITY FULL;")
    maria.ask(f"USE shop; CREATE TABLE orders ({COLUMNS});")
    shop = Shop(postgres, 7)
    shop.change(100)  # a snapshot's

    settings = {"key.converter": JSON, "value.converter": JSON}
    worker = brokers.add(Worker(directory, broker, "worker", settings, [plugins(directory)], heap="512m")).start()
    worker.create("from-postgres", **source(postgres, "pg", database_dbname="postgres", plugin_name="pgoutput",
                                            table_include_list="public.orders"))  # fmt: skip
    history = {"schema_history_internal_kafka_topic": "history", "schema_history_internal_kafka_bootstrap_servers": broker.bootstrap}
    worker.create("to-maria", **sink("pg.public.orders", f"jdbc:mariadb://127.0.0.1:{maria.port}/shop", maria.user, "orders"))
    worker.create("from-maria", **source(maria, "maria", database_server_id=77, database_include_list="shop", **history))
    worker.create("to-postgres", **sink("maria.shop.orders", f"jdbc:postgresql://127.0.0.1:{postgres.port}/postgres",
                                        postgres.user, "orders_back"))  # fmt: skip

    def compare():
        """Both at once, as what is sent again takes them back for a moment."""
        want = postgres.ask(ROWS.format("orders"))
        assert len(want) == len(shop.ids)

        def come_round():
            worker.check_runs()
            return postgres.ask(ROWS.format("orders_back")) == want and maria.ask("USE shop; " + ROWS.format("orders")) == want

        wait_until(come_round, PATIENCE_S, "every change to have come round", 0.3)

    compare()
    shop.change(200)
    compare()
    worker.stop()
    shop.change(200)
    worker.start()
    compare()
    broker.kill()
    shop.change(200)
    broker.start()
    compare()
    assert len(read_topic(broker.bootstrap, "pg.public.orders")) >= shop.changes
