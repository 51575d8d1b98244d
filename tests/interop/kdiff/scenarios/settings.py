"""Settings of topics, brokers, groups, client metrics and loggers: changing, describing, listing."""

from harness.batch import batch
from interop.kdiff.scenarios.parts import config, produce, topic

SET, DELETE, APPEND, SUBTRACT, UNKNOWN = 0, 1, 2, 3, 9
REQUESTS = "kafka.request.logger"
TOPIC, BROKER, LOGGER, METRICS, GROUP = 2, 4, 8, 16, 32


def change(kind, name, *operations):
    """A resource of IncrementalAlterConfigs; an operation is (setting, operation, value)."""
    configs = [{"Name": s, "ConfigOperation": o, "Value": v} for s, o, v in operations]
    return {"ResourceType": kind, "ResourceName": name, "Configs": configs}


def whole(kind, name, **settings):
    """A resource of AlterConfigs; underscores stand for dots."""
    configs = [config(s.replace("_", "."), v) for s, v in settings.items()]
    return {"ResourceType": kind, "ResourceName": name, "Configs": configs}


def alter(step, version, *resources, validate=False):
    step("IncrementalAlterConfigs", version, {"Resources": list(resources), "ValidateOnly": validate})


def describe(step, kind, name, keys=None, versions=(1, 2, 3, 4)):
    for version in versions:
        wanted = {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": keys}
        step("DescribeConfigs", version, {"Resources": [wanted], "IncludeSynonyms": True})


def alter_configs(step, version, prefix):
    name = prefix + "cf"
    topic(step, name)
    for one in (
        ("retention.ms", SET, "1000"),
        ("retention.ms", SET, "-2"),
        ("cleanup.policy", APPEND, "compact"),
        ("cleanup.policy", SUBTRACT, "delete"),
        ("retention.ms", DELETE, None),
        ("what", SET, "1"),
        ("retention.ms", APPEND, "5"),
        ("compression.type", SET, "lz4"),
    ):
        alter(step, version, change(TOPIC, name, one))
    for kind, resource in ((TOPIC, prefix + "none"), (77, "x"), (0, "x"), (-1, "x"), (1, "x")):
        alter(step, version, change(kind, resource))
    describe(step, TOPIC, name, ["retention.ms", "cleanup.policy", "compression.type", "zzz"])


def alter_lists(step, version, prefix):
    name = prefix + "li"
    topic(step, name)
    throttled = "leader.replication.throttled.replicas"
    for one in (
        ("cleanup.policy", APPEND, "compact"),
        ("cleanup.policy", APPEND, "compact,compact, delete"),
        ("cleanup.policy", SUBTRACT, "compact"),
        ("cleanup.policy", SUBTRACT, "compact,delete, delete"),
        ("cleanup.policy", SUBTRACT, "delete"),
        ("cleanup.policy", APPEND, ""),
        ("cleanup.policy", SUBTRACT, ""),
        ("cleanup.policy", APPEND, ","),
        ("cleanup.policy", APPEND, "nonsense"),
        ("cleanup.policy", SET, " compact , delete "),
        ("cleanup.policy", SET, "delete,delete"),
        ("cleanup.policy", SUBTRACT, "delete,x"),
        ("cleanup.policy", SET, ""),
        ("cleanup.policy", DELETE, "x"),
        ("cleanup.policy", DELETE, None),
        (throttled, APPEND, "0:1"),
        (throttled, APPEND, "0:2,0:1"),
        (throttled, APPEND, "x"),
        (throttled, SUBTRACT, "0:1"),
        (throttled, SET, "0:1,,1:1"),
        (throttled, SET, ","),
        ("cleanup.policy", SET, "x,,delete"),
        ("cleanup.policy", SET, "delete,,x"),
        ("what", APPEND, "1"),
        ("what", SUBTRACT, "1"),
        ("what", DELETE, "1"),
    ):
        alter(step, version, change(TOPIC, name, one))
        describe(step, TOPIC, name, ["cleanup.policy", throttled], versions=(4,))


def alter_refused(step, version, prefix):
    """What is refused, and that one refusal leaves everything else alone."""
    name, other = prefix + "re", prefix + "ro"
    topic(step, name)
    topic(step, other)
    for resource in (
        change(TOPIC, name, ("retention.ms", SET, None)),
        change(TOPIC, name, ("retention.ms", APPEND, None), ("x", SUBTRACT, None)),
        change(TOPIC, name, ("retention.ms", SET, "1"), ("retention.ms", DELETE, None)),
        change(TOPIC, name, ("retention.ms", UNKNOWN, "1")),
        change(TOPIC, name, ("retention.ms", -1, None)),
        change(TOPIC, name, ("x", APPEND, "1"), ("retention.ms", UNKNOWN, "1")),
        change(TOPIC, name, ("a", SET, "1"), ("hello", SET, "1"), ("world", SET, "2"), ("zz", SET, "2")),
        change(TOPIC, name, ("segment.bytes", SET, "5"), ("what", SET, "x")),
        change(TOPIC, name, ("retention.ms", SET, "x"), ("segment.bytes", SET, "5")),
        change(TOPIC, name, ("retention.ms", SET, "")),
        change(TOPIC, name, ("min.compaction.lag.ms", SET, "10"), ("max.compaction.lag.ms", SET, "5")),
        change(TOPIC, name, ("remote.storage.enable", SET, "true")),
        change(TOPIC, name, ("compression.gzip.level", SET, "0")),
        change(TOPIC, name, ("min.cleanable.dirty.ratio", SET, "1.5")),
        change(TOPIC, name, ("preallocate", SET, "maybe")),
        change(TOPIC, name, ("message.timestamp.type", SET, "Now")),
        change(TOPIC, ""),
        change(TOPIC, "", ("retention.ms", SET, "1")),
        change(TOPIC, "no good!"),
        change(TOPIC, ".."),
        change(TOPIC, "x" * 250),
        change(TOPIC, prefix + "none", ("retention.ms", SET, "5")),
        change(TOPIC, prefix + "none", ("what", SET, "5")),
        change(TOPIC, "__cluster_metadata", ("retention.ms", SET, "5")),
    ):
        alter(step, version, resource)
        alter(step, version, resource, change(TOPIC, other, ("retention.ms", SET, "77")), validate=True)
    twice = change(TOPIC, name, ("retention.ms", SET, "7"))
    alter(step, version, twice, change(TOPIC, other, ("segment.ms", SET, "70000")), twice)
    alter(step, version, change(TOPIC, name, ("retention.ms", UNKNOWN, "1")), change(TOPIC, other, ("what", SET, "8")))
    alter(step, version)
    describe(step, TOPIC, name, None)
    describe(step, TOPIC, other, None)


def alter_whole(step, version, prefix):
    name = prefix + "wh"
    topic(step, name)

    def ask(*resources, validate=False):
        step("AlterConfigs", version, {"Resources": list(resources), "ValidateOnly": validate})

    keys = ["cleanup.policy", "retention.ms", "segment.ms"]
    ask(whole(TOPIC, name, retention_ms="5", cleanup_policy="compact"))
    describe(step, TOPIC, name, keys)
    ask(whole(TOPIC, name, segment_ms="70000"), validate=True)
    describe(step, TOPIC, name, keys)
    ask(whole(TOPIC, name, segment_ms="70000"))
    describe(step, TOPIC, name, keys)
    ask(whole(TOPIC, name, retention_ms=None))
    ask(whole(TOPIC, name, retention_ms="x"), whole(TOPIC, prefix + "none"), whole(TOPIC, ""))
    ask(whole(LOGGER, "1", root="INFO"), whole(0, "1"), whole(77, "x"))
    ask(whole(BROKER, "1", num_partitions="2"), whole(BROKER, "2"), whole(BROKER, "x"))
    ask(whole(BROKER, "", log_cleaner_threads="2"), validate=True)
    ask(whole(BROKER, "1", min_insync_replicas="1"))
    ask(whole(GROUP, prefix + "g", consumer_session_timeout_ms="46000"), whole(METRICS, prefix + "m", metrics="x"))
    ask(whole(TOPIC, name))
    describe(step, TOPIC, name, keys)
    ask()


def broker_configs(step, version, prefix):
    keys = """log.retention.hours num.partitions message.max.bytes log.cleaner.threads compression.type
        min.insync.replicas auto.create.topics.enable log.roll.ms log.flush.interval.ms""".split()
    wanted = {"ResourceType": BROKER, "ResourceName": "1", "ConfigurationKeys": keys}
    step("DescribeConfigs", version, {"Resources": [wanted], "IncludeSynonyms": True})
    for kind, name in ((BROKER, "99"), (TOPIC, prefix + "none")):
        wanted = {"ResourceType": kind, "ResourceName": name, "ConfigurationKeys": None}
        step("DescribeConfigs", version, {"Resources": [wanted]})


# A broker's settings, one change each; all of them only validated.
BROKER_CHANGES = [
    [(setting, SET, value)]
    for setting, values in (
        ("log.cleaner.threads", "2 9 0 x -1"),
        ("message.max.bytes", "2000000 -1"),
        ("num.partitions", "2"),
        ("num.network.threads", "4 7 1"),
        ("num.io.threads", "100 2 9 0"),
        ("num.replica.fetchers", "2 5"),
        ("num.recovery.threads.per.data.dir", "3 5"),
        ("background.threads", "15 -15"),
        ("remote.log.reader.threads", "4 5 20 21"),
        ("remote.log.manager.copier.thread.pool.size", "4 21"),
        ("remote.log.manager.expiration.thread.pool.size", "4 21"),
        ("remote.log.manager.follower.thread.pool.size", "1 4 5"),
        ("no.such", "1"),
        ("retention.ms", "x"),
        ("ssl.keystore.location", "/x"),
        ("listener.name.plaintext.ssl.keystore.location", "/x"),
        ("listener.name.plaintext.max.connections", "5 x"),
        ("listener.name.plaintext.num.network.threads", "99"),
        ("listener.name.b.num.network.threads", "99"),
        ("listener.name.b.log.cleaner.threads", "99"),
        ("max.connections", "100000 0"),
        ("max.connections.per.ip", "0 5"),
        ("max.connections.per.ip.overrides", "127.0.0.1:1000 bad a:b no.such.host.invalid:5"),
        ("leader.replication.throttled.rate", "100 x -1"),
        ("cordoned.log.dirs", "/nonexist *,/nonexist *"),
        ("min.insync.replicas", "1 0"),
        ("log.retention.ms", "1000000 0 -5"),
        ("log.retention.hours", "1"),
        ("log.roll.ms", "0 100"),
        ("log.roll.jitter.ms", "-1 5"),
        ("log.flush.interval.ms", "5 -1"),
        ("log.segment.bytes", "5 2000000"),
        ("log.cleaner.dedupe.buffer.size", "5 1048576 3048576"),
        ("log.cleaner.min.cleanable.ratio", "2 0.3"),
        ("log.cleanup.policy", "x compact"),
        ("log.local.retention.ms", "999999999999 5"),
        ("log.local.retention.bytes", "999999999999"),
        ("producer.id.expiration.ms", "0 5000"),
        ("unclean.leader.election.enable", "true maybe"),
        ("compression.type", "zip gzip"),
        ("compression.gzip.level", "0 9"),
        ("group.coordinator.cached.buffer.max.bytes", "5 600000"),
        ("group.consumer.assignment.interval.ms", "15001 15000 0 -1"),
        ("group.share.assignment.interval.ms", "15001"),
        ("group.streams.assignment.interval.ms", "15001"),
        ("principal.builder.class", "x"),
        ("sasl.enabled.mechanisms", "PLAIN"),
        ("advertised.listeners", "x"),
        ("log.cleaner.enable", "true"),
    )
    for value in values.split(" ")
] + [
    [("num.partitions", DELETE, None)],
    [("no.such", DELETE, None)],
    [("no.such", APPEND, "1")],
    [("log.cleanup.policy", APPEND, "compact")],
    [("log.cleanup.policy", SUBTRACT, "delete")],
    [("log.cleanup.policy", DELETE, None)],
    [("message.max.bytes", APPEND, "1")],
    [("message.max.bytes", SUBTRACT, "1")],
    [("message.max.bytes", UNKNOWN, "1")],
    [("message.max.bytes", SET, None)],
    [("min.insync.replicas", DELETE, None)],
    [("max.connections.per.ip", SET, "0"), ("max.connections.per.ip.overrides", SET, "127.0.0.1:10")],
    [("num.partitions", SET, "1"), ("log.dirs", SET, "1"), ("zzz", SET, "5"), ("broker.rack", SET, "x")],
    [("log.retention.ms", SET, "1"), ("num.partitions", DELETE, None)],
]


def alter_broker_refused(step, version, prefix):
    for name in ("1", ""):
        for operations in BROKER_CHANGES:
            alter(step, version, change(BROKER, name, *operations), validate=True)
    alter(step, version, *(change(BROKER, name) for name in ("5", "x", "-1", "01", "+1", "99999999999")), validate=True)


def alter_broker(step, version, prefix):
    name = prefix + "ab"
    topic(step, name)
    topic_keys = ["retention.ms", "max.message.bytes", "compression.type", "segment.ms"]
    keys = [
        *"log.retention.ms log.retention.minutes log.retention.hours message.max.bytes log.cleaner.threads".split(),
        *"compression.type log.roll.ms log.roll.hours no.such leader.replication.throttled.rate".split(),
        *"listener.name.plaintext.max.connections listener.name.plaintext.ssl.keystore.password".split(),
        "listener.name.plaintext.ssl.keystore.location",
    ]

    def look():
        for broker in ("1", ""):
            describe(step, BROKER, broker, keys if broker else None)
        describe(step, TOPIC, name, topic_keys, versions=(4,))

    alter(
        step,
        version,
        change(
            BROKER,
            "1",
            ("no.such", SET, "1"),
            ("listener.name.plaintext.max.connections", SET, "500"),
            ("listener.name.plaintext.ssl.keystore.password", SET, "secret"),
            ("log.retention.ms", SET, "700000000"),
            ("leader.replication.throttled.rate", SET, "1000000"),
        ),
        change(BROKER, "", ("compression.type", SET, "gzip"), ("log.roll.ms", SET, "700000"), ("no.such.2", SET, "x")),
    )
    look()
    alter(step, version, change(BROKER, "", ("log.retention.ms", SET, "800000000"), ("message.max.bytes", SET, "2000000")))
    both = [listener + key for key in ("max.connections", "max.connection.creation.rate") for listener in ("listener.name.plaintext.", "")]
    alter(step, version, change(BROKER, "", *((key, SET, "4000") for key in both)))
    look()
    alter(step, version, change(BROKER, "", *((key, DELETE, None) for key in both)))
    alter(
        step,
        version,
        change(BROKER, "1", *((key, DELETE, None) for key in keys if "hours" not in key and "minutes" not in key)),
        change(
            BROKER,
            "",
            *((key, DELETE, None) for key in ("compression.type", "log.roll.ms", "no.such.2", "log.retention.ms")),
            ("message.max.bytes", DELETE, None),
        ),
    )
    look()


def alter_effect(step, version, prefix):
    """A change counts for the next record: the topic's own, and the cluster's default of it."""
    name = prefix + "ef"
    topic(step, name)
    large = batch([(b"k", b"x" * 3000)])

    def ask(kind, resource, operation, setting, value=None):
        alter(step, version, change(kind, resource, (setting, operation, value)))
        step("Produce", 9, produce(name, large), ignore=("LogAppendTimeMs",))

    ask(TOPIC, name, SET, "max.message.bytes", "1000")
    ask(TOPIC, name, DELETE, "max.message.bytes")
    ask(BROKER, "", SET, "message.max.bytes", "1000")
    ask(TOPIC, name, SET, "max.message.bytes", "100000")
    ask(BROKER, "", DELETE, "message.max.bytes")
    ask(TOPIC, name, SET, "message.timestamp.before.max.ms", "1000")
    ask(TOPIC, name, SET, "message.timestamp.type", "LogAppendTime")
    ask(TOPIC, name, SET, "min.insync.replicas", "2")
    ask(TOPIC, name, SET, "min.insync.replicas", "1")
    ask(TOPIC, name, SET, "cleanup.policy", "compact")
    step("Produce", 9, produce(name, batch([(None, b"no key")])))


def alter_groups(step, version, prefix):
    name = prefix + "g"
    for setting, values in (
        ("consumer.session.timeout.ms", "50000 5 500000 x"),
        ("consumer.heartbeat.interval.ms", "6000 1 100000 0"),
        ("consumer.assignment.interval.ms", "-1 99999 100"),
        ("share.session.timeout.ms", "46000 5 500000"),
        ("share.heartbeat.interval.ms", "6000 1 100000"),
        ("share.record.lock.duration.ms", "20000 1 5000 9999999"),
        ("share.isolation.level", "read_committed x"),
        ("share.auto.offset.reset", "earliest x by_duration:PT1H by_duration:zz"),
        ("share.delivery.count.limit", "1 50 3"),
        ("share.partition.max.record.locks", "50 150 1000000"),
        ("share.assignment.interval.ms", "99999 5"),
        ("share.renew.acknowledge.enable", "x false"),
        ("streams.session.timeout.ms", "5 500000 46000"),
        ("streams.heartbeat.interval.ms", "1 100000 6000"),
        ("streams.num.standby.replicas", "-1 1 5"),
        ("streams.initial.rebalance.delay.ms", "-5 100"),
        ("streams.assignment.interval.ms", "99999 5"),
        ("what", "1"),
    ):
        for value in values.split(" "):
            alter(step, version, change(GROUP, name, (setting, SET, value)))
    for resource in (
        change(GROUP, name, ("consumer.session.timeout.ms", APPEND, "5")),
        change(GROUP, name, ("consumer.session.timeout.ms", SET, None)),
        change(GROUP, name, ("consumer.session.timeout.ms", UNKNOWN, "5")),
        change(GROUP, ""),
        change(GROUP, "", ("what", APPEND, "1")),
        change(GROUP, prefix + "other"),
    ):
        alter(step, version, resource)
    describe(step, GROUP, name)
    alter(step, version, change(GROUP, name, ("share.isolation.level", DELETE, None)))
    describe(step, GROUP, name)
    describe(step, GROUP, prefix + "other")


def alter_client_metrics(step, version, prefix):
    name = prefix + "m"
    for setting, values in (
        ("interval.ms", ("100", "50", "5000000", "x", "3600000", "0", "-1")),
        ("metrics", ("a,b", "", "*", ",", "a,,b", "a,a")),
        (
            "match",
            (
                "client_id=a",
                "x",
                "client_id=[",
                "client_id=(",
                "client_id=a)",
                "client_id=*a",
                "client_id=a\\",
                "client_id=[]a]+(b|c)?",
                "client_id=a=b",
                "client_id=a=",
                "foo=a",
                "client_id=",
                "client_id=a, client_software_name = b.*",
                " client_id = a ,",
                "client_id=a,client_id=b",
                "",
            ),
        ),
        ("what", ("1",)),
    ):
        for value in values:
            alter(step, version, change(METRICS, name, (setting, SET, value)))
    for resource in (
        change(METRICS, name, ("metrics", APPEND, "c")),
        change(METRICS, name, ("match", SUBTRACT, "c")),
        change(METRICS, name, ("interval.ms", SET, None)),
        change(METRICS, name, ("interval.ms", DELETE, None), ("metrics", SET, "org.apache")),
        change(METRICS, name, ("interval.ms", UNKNOWN, "1")),
        change(METRICS, ""),
        change(METRICS, prefix + "other"),
    ):
        alter(step, version, resource)
    describe(step, METRICS, name)
    describe(step, METRICS, prefix + "other")


def alter_loggers(step, version, prefix):
    for name, operation, value in (
        ("root", SET, "INFO"),
        ("root", SET, "info"),
        ("root", SET, "what"),
        ("root", SET, None),
        ("root", DELETE, None),
        ("root", APPEND, "x"),
        ("root", SUBTRACT, "x"),
        ("root", UNKNOWN, "x"),
        ("no.such.logger", SET, "INFO"),
        ("no.such.logger", DELETE, None),
    ):
        alter(step, version, change(LOGGER, "1", (name, operation, value)))
    for name in ("", "7", "x"):
        alter(step, version, change(LOGGER, name, ("root", SET, "INFO")))
    alter(step, version, change(LOGGER, "1", ("root", SET, "WARN")), validate=True)
    describe(step, LOGGER, "1", ["root"])
    for operation, value in ((SET, "ERROR"), (SET, "loud"), (SET, None), (APPEND, "INFO"), (UNKNOWN, "INFO"), (DELETE, None), (DELETE, "x"), (SET, "WARN")):
        alter(step, version, change(LOGGER, "1", (REQUESTS, operation, value)))
        describe(step, LOGGER, "1", [REQUESTS], versions=(4,))
    alter(step, version, change(LOGGER, "1", (REQUESTS, SET, "FATAL")), validate=True)
    alter(step, version, change(LOGGER, "1", (REQUESTS, SET, "ERROR"), ("no.such.logger", SET, "INFO")))
    alter(step, version, change(LOGGER, "1", (REQUESTS, SET, "ERROR"), (REQUESTS, SET, "INFO")))
    describe(step, LOGGER, "1", ["root", REQUESTS, "no.such.logger"])
    describe(step, LOGGER, "1")
    alter(step, version, change(LOGGER, "1", (REQUESTS, SET, "WARN"), ("root", SET, "INFO")))


def list_resources(step, version, prefix):
    topic(step, prefix + "lt")
    alter(
        step,
        None,
        change(GROUP, prefix + "lg", ("consumer.session.timeout.ms", SET, "50000")),
        change(METRICS, prefix + "lm", ("interval.ms", SET, "5000")),
    )
    for types in ([16], [2], [4], [8], [32], [], [77], [0], [16, 16], [16, 77], [-1]):
        step("ListConfigResources", version, {"ResourceTypes": types})


SCENARIOS = [
    ("configs", "IncrementalAlterConfigs", alter_configs),
    ("configs lists", "IncrementalAlterConfigs", alter_lists),
    ("configs refused", "IncrementalAlterConfigs", alter_refused),
    ("configs broker", "IncrementalAlterConfigs", alter_broker),
    ("configs broker refused", "IncrementalAlterConfigs", alter_broker_refused),
    ("configs effect", "IncrementalAlterConfigs", alter_effect),
    ("configs groups", "IncrementalAlterConfigs", alter_groups),
    ("configs client metrics", "IncrementalAlterConfigs", alter_client_metrics),
    ("configs loggers", "IncrementalAlterConfigs", alter_loggers),
    ("configs whole", "AlterConfigs", alter_whole),
    ("broker configs", "DescribeConfigs", broker_configs),
    ("list configs", "ListConfigResources", list_resources),
]
