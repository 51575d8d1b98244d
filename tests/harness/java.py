"""Apache Kafka 4.3.1 and its tools, as fetched from Maven (tests/interop/pom.xml)."""

import os
import pathlib

from harness.process import run_noting

LOG_CONFIG = pathlib.Path(__file__).with_name("log4j2.xml")
# A tool runs for a second: no time spent on optimizing, one small heap.
QUICK_FLAGS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m"]
BROKER_FLAGS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx512m", "-XX:MaxDirectMemorySize=256m"]

TOOLS = {
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-producer-perf-test": "org.apache.kafka.tools.ProducerPerformance",
    "kafka-consumer-perf-test": "org.apache.kafka.tools.ConsumerPerformance",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-dump-log": "org.apache.kafka.tools.DumpLogSegments",
    "kafka-metadata-shell": "org.apache.kafka.shell.MetadataShell",
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-transactions": "org.apache.kafka.tools.TransactionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-reassign-partitions": "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
    "kafka-leader-election": "org.apache.kafka.tools.LeaderElectionCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-verifiable-producer": "org.apache.kafka.tools.VerifiableProducer",
    "kafka-verifiable-consumer": "org.apache.kafka.tools.VerifiableConsumer",
    "kafka-transactional-message-copier": "org.apache.kafka.tools.TransactionalMessageCopier",
    "kafka-client-compatibility-test": "org.apache.kafka.tools.ClientCompatibilityTest",
}


def libs():
    """The folder of the jars."""
    folder = os.environ.get("ODRADEK_KAFKA_LIBS", "")
    if not folder or not list(pathlib.Path(folder).glob("kafka-clients-4.3.1.jar")):
        raise RuntimeError("ODRADEK_KAFKA_LIBS names no folder with Apache Kafka 4.3.1; ./dev test fetches it")
    return folder


def class_data():
    """Flags for a JVM that starts from the archive of parsed classes (class_data.py), where there is one that fits."""
    archive = os.environ.get("ODRADEK_KAFKA_CLASSES")
    return [f"-XX:SharedArchiveFile={archive}", "-Xlog:disable"] if archive else []


def command(main_class, *args, flags=QUICK_FLAGS, more_classes=None, jars=None):
    """The command line that runs a main class of Kafka's (or of jars, another folder), or one of more_classes (a folder)."""
    path = f"{jars or libs()}/*" + (f":{more_classes}" if more_classes else "")
    more = () if jars else class_data()
    return ["java", *flags, *more, f"-Dlog4j2.configurationFile={LOG_CONFIG}", "-cp", path, main_class, *map(str, args)]


def tool(name, *args, timeout_s=120, input_bytes=None):
    """Runs one of Kafka's command-line tools and returns its standard output as text."""
    return tool_noting(name, *args, timeout_s=timeout_s, input_bytes=input_bytes)[0]


def tool_noting(name, *args, timeout_s=120, input_bytes=None):
    """The same, with what it wrote to standard error."""
    out, said = run_noting(command(TOOLS[name], *args), timeout_s, input_bytes)
    return out.decode(errors="replace"), said
