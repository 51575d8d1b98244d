"""A table in Cassandra fed from a topic by a group's consumer, over kills of the feeder and of the broker."""

import json
import pathlib
import random
import re

import pytest

from harness.broker import free_port
from harness.frameworks.framework import OPENS, framework
from harness.frameworks.runner import PATIENCE_S, JavaRunner, Runner
from harness.process import run, wait_until
from harness.topics import create_topics, read_topic, write_topic

pytestmark = [pytest.mark.needs("cassandra"), pytest.mark.timeout(1800)]

PARTITIONS = 3
EXPORTS = [
    f"--add-exports={package}=ALL-UNNAMED"
    for package in ("java.base/jdk.internal.misc", "java.base/jdk.internal.ref", "java.base/sun.nio.ch", "java.base/java.lang.ref",
                    "java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server",
                    "java.rmi/sun.rmi.transport", "java.rmi/sun.rmi.transport.tcp", "java.sql/java.sql",
                    "jdk.unsupported/sun.misc", "java.base/jdk.internal.util.random")
]  # fmt: skip
MORE_OPENS = [
    f"--add-opens={package}=ALL-UNNAMED"
    for package in ("java.base/java.lang.module", "java.base/jdk.internal.loader", "java.base/jdk.internal.reflect",
                    "java.base/jdk.internal.math", "java.base/jdk.internal.module", "java.base/jdk.internal.util.jar",
                    "java.base/java.util.concurrent.locks", "jdk.management/com.sun.management.internal")
]  # fmt: skip


class Cassandra(JavaRunner):
    """One node on the loopback address, its data in the test's folder."""

    def __init__(self, directory):
        self.port, storage, parts = free_port(), free_port(), framework("cassandra")
        data = directory / "cassandra"
        settings = {
            "cluster_name": "test",
            "num_tokens": 1,
            "partitioner": "org.apache.cassandra.dht.Murmur3Partitioner",
            "endpoint_snitch": "SimpleSnitch",
            "listen_address": "127.0.0.1",
            "storage_port": storage,
            "rpc_address": "127.0.0.1",
            "native_transport_port": self.port,
            **{f"{kind}request_timeout": "120s" for kind in ("", "read_", "write_", "range_", "truncate_")},
            "native_transport_timeout": "120s",
            "commitlog_sync": "periodic",
            "commitlog_sync_period": "10000ms",
            "data_file_directories": [str(data / "data")],
            "seed_provider": [
                {
                    "class_name": "org.apache.cassandra.locator.SimpleSeedProvider",
                    "parameters": [{"seeds": f"127.0.0.1:{storage}"}],
                }
            ],
            **{name: str(data / name) for name in ("commitlog_directory", "hints_directory", "saved_caches_directory", "cdc_raw_directory")},
        }
        path = directory / "cassandra.yaml"
        path.write_text(json.dumps(settings))  # which YAML is, too
        (jamm,) = pathlib.Path(parts.libs).glob("jamm-*.jar")
        flags = [f"-javaagent:{jamm}", *OPENS, *EXPORTS, *MORE_OPENS, "-Djdk.attach.allowAttachSelf=true", "-Xss512k"]
        flags += [f"-Dcassandra.config={path.as_uri()}", f"-Dcassandra.storagedir={data}", "-Dcassandra-foreground=yes"]
        flags += ["-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=100"]
        flags += [f"-Dlogback.configurationFile={parts.source / 'logback.xml'}"]
        super().__init__("cassandra", directory, parts.java("org.apache.cassandra.service.CassandraDaemon", heap="700m", flags=flags))

    def ready(self):
        return "Starting listening for CQL clients" in self.log_text()

    def rows(self):
        lines = run(framework("cassandra").script("feed.py", "rows", self.port), PATIENCE_S).splitlines()
        return [tuple(json.loads(line)) for line in lines]


def test_a_table_from_a_topic(brokers, directory):
    broker = brokers.start()
    create_topics(broker.bootstrap, ["orders"], PARTITIONS)
    cassandra = brokers.add(Cassandra(directory)).start()
    feeder = brokers.add(Runner("feeder", directory, framework("cassandra").script("feed.py", broker.bootstrap, cassandra.port)))
    rnd, written = random.Random(29), 0

    def write(count):
        records = [(f"customer {rnd.randrange(50)}".encode(), b"%d" % rnd.randrange(1000), None, None) for _ in range(count)]
        write_topic(broker.bootstrap, "orders", records, **{"compression.type": "gzip"})
        return count

    def fed():
        feeder.check_runs()
        return sum(map(int, re.findall(r"ROWS (\d+)", feeder.log_text())))

    written += write(2000)
    feeder.start()
    before = 0
    for end in (feeder, feeder, broker):
        wait_until(lambda: fed() > before, PATIENCE_S, "rows to be fed")
        end.kill()
        end.start()
        before = fed()
        written += write(1000)

    def want():
        return sorted((m.key().decode(), m.partition(), m.offset(), m.timestamp()[1], int(m.value()))
                      for m in read_topic(broker.bootstrap, "orders"))  # fmt: skip

    assert len(want()) == written
    wait_until(lambda: len(cassandra.rows()) >= written, PATIENCE_S, "all rows", 0.5)
    assert sorted(cassandra.rows()) == want()
