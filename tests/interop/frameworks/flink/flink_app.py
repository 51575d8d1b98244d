"""What the tests run in Flink: flink_app.py BOOTSTRAP CHECKPOINTS JAR GUARANTEE LOG_CONFIG, until it is ended.

The values of "events" summed by key into "totals", and each record of it copied to "copies"; from the newest checkpoint, where there is
one.
"""

import os
import pathlib
import sys

from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, TableEnvironment

bootstrap, checkpoints, jar, guarantee, log_config = sys.argv[1:]
os.environ["_python_worker_execution_mode"] = "process"  # starts nothing, as no function is in Python
os.environ["LOG4J_PROPERTIES"] = log_config
os.environ["JVM_ARGS"] = "-Dkafka.log.level=INFO -Dkafka.log.target=SYSTEM_OUT -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx700m"
settings = {
    "pipeline.jars": pathlib.Path(jar).as_uri(),
    "parallelism.default": "2",
    "execution.checkpointing.interval": "500 ms",
    "execution.checkpointing.dir": pathlib.Path(checkpoints).as_uri(),
    "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    "taskmanager.memory.network.max": "32m",
    "taskmanager.memory.managed.size": "64m",
    "rest.bind-port": "32000-32767",
}
done = [path.parent for path in pathlib.Path(checkpoints).glob("*/chk-*/_metadata")]
if done:
    settings["execution.state-recovery.path"] = max(done, key=lambda path: path.stat().st_mtime).as_uri()
    print("FROM", settings["execution.state-recovery.path"], flush=True)

print("JVM", get_gateway().jvm.java.lang.ProcessHandle.current().pid(), flush=True)
flink = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
for name, value in settings.items():
    flink.get_config().set(name, value)

KAFKA = f"'properties.bootstrap.servers' = '{bootstrap}', 'properties.transaction.timeout.ms' = '60000'"
flink.execute_sql(
    "CREATE TABLE events (word STRING, amount BIGINT) WITH ('connector' = 'kafka', 'topic' = 'events', 'format' = 'json',"
    f" 'properties.group.id' = 'flink', 'scan.startup.mode' = 'earliest-offset', {KAFKA})"
)
flink.execute_sql(
    "CREATE TABLE totals (word STRING, total BIGINT, PRIMARY KEY (word) NOT ENFORCED) WITH ('connector' = 'upsert-kafka',"
    f" 'topic' = 'totals', 'key.format' = 'raw', 'value.format' = 'json', {KAFKA})"
)
flink.execute_sql(
    "CREATE TABLE copies (word STRING, amount BIGINT) WITH ('connector' = 'kafka', 'topic' = 'copies', 'format' = 'json',"
    f" 'sink.delivery-guarantee' = '{guarantee}', 'sink.transactional-id-prefix' = 'copies', {KAFKA})"
)
inserts = flink.create_statement_set()
inserts.add_insert_sql("INSERT INTO totals SELECT word, SUM(amount) FROM events GROUP BY word")
inserts.add_insert_sql("INSERT INTO copies SELECT word, amount FROM events")
inserts.execute().wait()
