// Topic configuration, case by case: the expected column is what Apache Kafka 4.3.1's own LogConfig answered.
#include "unit.h"

#include "base/error.h"
#include "config/describe.h"
#include "config/topic_config.h"

#include <stdio.h>

// "a=1||b=2"
static size_t split_entries(const char *text, struct config_entry *out)
{
    size_t n = 0;
    while (*text) {
        const char *end = strstr(text, "||"), *equals = strchr(text, '=');
        size_t size = end ? (size_t)(end - text) : strlen(text), name = (size_t)(equals - text);
        out[n].name = (struct str){text, name};
        out[n++].value = (struct str){text + name + 1, size - name - 1};
        text += size + (end ? 2 : 0);
    }
    return n;
}

static const struct {
    const char *entries, *message, *values;
} topic_cases[] = {
    {"nope=1", "Unknown topic config name: nope", NULL},
    {"retention.ms=x", "Invalid value x for configuration retention.ms: Not a number of type LONG", NULL},
    {"retention.ms= 5 ", NULL, "5"},
    {"retention.ms=-2", "Invalid value -2 for configuration retention.ms: Value must be at least -1", NULL},
    {"retention.ms=", "Invalid value  for configuration retention.ms: Not a number of type LONG", NULL},
    {"retention.ms=99999999999999999999",
     "Invalid value 99999999999999999999 for configuration retention.ms: Not a number of type LONG", NULL},
    {"retention.ms=+5", NULL, "5"},
    {"retention.ms=1_000", "Invalid value 1_000 for configuration retention.ms: Not a number of type LONG",
     NULL},
    {"retention.ms=0x10", "Invalid value 0x10 for configuration retention.ms: Not a number of type LONG",
     NULL},
    {"retention.ms=5.0", "Invalid value 5.0 for configuration retention.ms: Not a number of type LONG", NULL},
    {"segment.bytes=1", "Invalid value 1 for configuration segment.bytes: Value must be at least 1048576",
     NULL},
    {"segment.bytes=14", "Invalid value 14 for configuration segment.bytes: Value must be at least 1048576",
     NULL},
    {"segment.bytes=1048575",
     "Invalid value 1048575 for configuration segment.bytes: Value must be at least 1048576", NULL},
    {"segment.bytes=3000000000",
     "Invalid value 3000000000 for configuration segment.bytes: Not a number of type INT", NULL},
    {"segment.bytes=x", "Invalid value x for configuration segment.bytes: Not a number of type INT", NULL},
    {"max.message.bytes=-1", "Invalid value -1 for configuration max.message.bytes: Value must be at least 0",
     NULL},
    {"preallocate=yes",
     "Invalid value yes for configuration preallocate: Expected value to be either true or false", NULL},
    {"preallocate= TRUE ", NULL, "true"},
    {"preallocate=",
     "Invalid value  for configuration preallocate: Expected value to be either true or false", NULL},
    {"cleanup.policy=foo",
     "Invalid value foo for configuration cleanup.policy: String must be one of: compact, delete", NULL},
    {"cleanup.policy=compact,delete", NULL, "compact,delete"},
    {"cleanup.policy=compact, delete", NULL, "compact,delete"},
    {"cleanup.policy=compact,compact", NULL, "compact"},
    {"cleanup.policy=", NULL, ""},
    {"cleanup.policy= ", NULL, ""},
    {"cleanup.policy=,", "Configuration 'cleanup.policy' values must not be empty.", NULL},
    {"cleanup.policy=delete,", "Configuration 'cleanup.policy' values must not be empty.", NULL},
    {"cleanup.policy=,delete", "Configuration 'cleanup.policy' values must not be empty.", NULL},
    {"cleanup.policy=delete,,compact", "Configuration 'cleanup.policy' values must not be empty.", NULL},
    {"cleanup.policy=COMPACT",
     "Invalid value COMPACT for configuration cleanup.policy: String must be one of: compact, delete", NULL},
    {"cleanup.policy=none",
     "Invalid value none for configuration cleanup.policy: String must be one of: compact, delete", NULL},
    {"compression.type=foo",
     "Invalid value foo for configuration compression.type: String must be one of: uncompressed, zstd, lz4, "
     "snappy, gzip, producer",
     NULL},
    {"compression.type=GZIP",
     "Invalid value GZIP for configuration compression.type: String must be one of: uncompressed, zstd, lz4, "
     "snappy, gzip, producer",
     NULL},
    {"compression.type= gzip ", NULL, "gzip"},
    {"compression.type=none",
     "Invalid value none for configuration compression.type: String must be one of: uncompressed, zstd, lz4, "
     "snappy, gzip, producer",
     NULL},
    {"compression.type=",
     "Invalid value  for configuration compression.type: String must be one of: uncompressed, zstd, lz4, "
     "snappy, gzip, producer",
     NULL},
    {"compression.gzip.level=0",
     "Invalid value 0 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to -1",
     NULL},
    {"compression.gzip.level=10",
     "Invalid value 10 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to "
     "-1",
     NULL},
    {"compression.gzip.level=-1", NULL, "-1"},
    {"compression.gzip.level=-2",
     "Invalid value -2 for configuration compression.gzip.level: Value must be between 1 and 9 or equal to "
     "-1",
     NULL},
    {"compression.gzip.level=x",
     "Invalid value x for configuration compression.gzip.level: Not a number of type INT", NULL},
    {"compression.lz4.level=0",
     "Invalid value 0 for configuration compression.lz4.level: Value must be at least 1", NULL},
    {"compression.lz4.level=18",
     "Invalid value 18 for configuration compression.lz4.level: Value must be no more than 17", NULL},
    {"compression.zstd.level=23",
     "Invalid value 23 for configuration compression.zstd.level: Value must be no more than 22", NULL},
    {"compression.zstd.level=-131073",
     "Invalid value -131073 for configuration compression.zstd.level: Value must be at least -131072", NULL},
    {"min.cleanable.dirty.ratio=1.5",
     "Invalid value 1.5 for configuration min.cleanable.dirty.ratio: Value must be no more than 1", NULL},
    {"min.cleanable.dirty.ratio=-0.1",
     "Invalid value -0.1 for configuration min.cleanable.dirty.ratio: Value must be at least 0", NULL},
    {"min.cleanable.dirty.ratio=abc",
     "Invalid value abc for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE", NULL},
    {"min.cleanable.dirty.ratio=NaN", NULL, "NaN"},
    {"min.cleanable.dirty.ratio=1e-1", NULL, "0.1"},
    {"min.cleanable.dirty.ratio=0.10", NULL, "0.1"},
    {"min.cleanable.dirty.ratio=.5", NULL, "0.5"},
    {"min.cleanable.dirty.ratio=1", NULL, "1.0"},
    {"min.cleanable.dirty.ratio=0x1p-1", NULL, "0.5"},
    {"min.cleanable.dirty.ratio=0.5f", NULL, "0.5"},
    {"min.cleanable.dirty.ratio=0.00001", NULL, "1.0E-5"},
    {"min.cleanable.dirty.ratio=Infinity",
     "Invalid value Infinity for configuration min.cleanable.dirty.ratio: Value must be no more than 1",
     NULL},
    {"min.cleanable.dirty.ratio=",
     "Invalid value  for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE", NULL},
    {"message.timestamp.type=foo",
     "Invalid value foo for configuration message.timestamp.type: String must be one of: CreateTime, "
     "LogAppendTime",
     NULL},
    {"message.timestamp.type=createtime",
     "Invalid value createtime for configuration message.timestamp.type: String must be one of: CreateTime, "
     "LogAppendTime",
     NULL},
    {"message.timestamp.type=LogAppendTime", NULL, "LogAppendTime"},
    {"min.insync.replicas=0",
     "Invalid value 0 for configuration min.insync.replicas: Value must be at least 1", NULL},
    {"min.insync.replicas=2147483648",
     "Invalid value 2147483648 for configuration min.insync.replicas: Not a number of type INT", NULL},
    {"segment.ms=0", "Invalid value 0 for configuration segment.ms: Value must be at least 1", NULL},
    {"segment.jitter.ms=-1", "Invalid value -1 for configuration segment.jitter.ms: Value must be at least 0",
     NULL},
    {"segment.index.bytes=3",
     "Invalid value 3 for configuration segment.index.bytes: Value must be at least 4", NULL},
    {"flush.messages=0", "Invalid value 0 for configuration flush.messages: Value must be at least 1", NULL},
    {"flush.ms=-1", "Invalid value -1 for configuration flush.ms: Value must be at least 0", NULL},
    {"max.compaction.lag.ms=0",
     "Invalid value 0 for configuration max.compaction.lag.ms: Value must be at least 1", NULL},
    {"min.compaction.lag.ms=10||max.compaction.lag.ms=5",
     "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (5)", NULL},
    {"min.compaction.lag.ms=9223372036854775807", NULL, "9223372036854775807"},
    {"leader.replication.throttled.replicas=*", NULL, "*"},
    {"leader.replication.throttled.replicas=0:1,1:2", NULL, "0:1,1:2"},
    {"leader.replication.throttled.replicas=0:1, 1:2", NULL, "0:1,1:2"},
    {"leader.replication.throttled.replicas=foo",
     "Invalid value [foo] for configuration leader.replication.throttled.replicas: "
     "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
     "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
     NULL},
    {"leader.replication.throttled.replicas=", NULL, ""},
    {"leader.replication.throttled.replicas=none",
     "Invalid value [none] for configuration leader.replication.throttled.replicas: "
     "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
     "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
     NULL},
    {"leader.replication.throttled.replicas=0:1,0:1", NULL, "0:1,0:1"},
    {"leader.replication.throttled.replicas=*,*",
     "Invalid value [*, *] for configuration leader.replication.throttled.replicas: "
     "leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
     "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
     NULL},
    {"follower.replication.throttled.replicas=0:1:2",
     "Invalid value [0:1:2] for configuration follower.replication.throttled.replicas: "
     "follower.replication.throttled.replicas must be the literal '*' or a list of replicas in the following "
     "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
     NULL},
    {"remote.storage.enable=true",
     "Tiered Storage functionality is disabled in the broker. Topic cannot be configured with remote log "
     "storage.",
     NULL},
    {"remote.storage.enable=maybe",
     "Invalid value maybe for configuration remote.storage.enable: Expected value to be either true or false",
     NULL},
    {"remote.log.copy.disable=true", NULL, "true"},
    {"remote.log.delete.on.disable=true", NULL, "true"},
    {"local.retention.ms=-3",
     "Invalid value -3 for configuration local.retention.ms: Value must be at least -2", NULL},
    {"local.retention.ms=99999999999", NULL, "99999999999"},
    {"local.retention.ms=0", NULL, "0"},
    {"local.retention.bytes=-3",
     "Invalid value -3 for configuration local.retention.bytes: Value must be at least -2", NULL},
    {"local.retention.bytes=5||retention.bytes=3", NULL, "5 3"},
    {"message.format.version=2.0", "Unknown topic config name: message.format.version", NULL},
    {"message.downconversion.enable=true", "Unknown topic config name: message.downconversion.enable", NULL},
    {"message.timestamp.difference.max.ms=5",
     "Unknown topic config name: message.timestamp.difference.max.ms", NULL},
    {"retention.bytes=-5", NULL, "-5"},
    {"retention.ms=x||nope=1", "Unknown topic config name: nope", NULL},
    {"retention.ms=x||segment.bytes=y",
     "Invalid value y for configuration segment.bytes: Not a number of type INT", NULL},
    {"segment.bytes=y||retention.ms=x||cleanup.policy=z||compression.type=q",
     "Invalid value y for configuration segment.bytes: Not a number of type INT", NULL},
    {"internal.segment.bytes=100", NULL, "100"},
    {"delete.retention.ms=-1",
     "Invalid value -1 for configuration delete.retention.ms: Value must be at least 0", NULL},
    {"file.delete.delay.ms=-1",
     "Invalid value -1 for configuration file.delete.delay.ms: Value must be at least 0", NULL},
    {"index.interval.bytes=-1",
     "Invalid value -1 for configuration index.interval.bytes: Value must be at least 0", NULL},
    {"message.timestamp.before.max.ms=-1",
     "Invalid value -1 for configuration message.timestamp.before.max.ms: Value must be at least 0", NULL},
    {"message.timestamp.after.max.ms=-1",
     "Invalid value -1 for configuration message.timestamp.after.max.ms: Value must be at least 0", NULL},
    {"unclean.leader.election.enable=x",
     "Invalid value x for configuration unclean.leader.election.enable: Expected value to be either true or "
     "false",
     NULL},
    {"Retention.Ms=1", "Unknown topic config name: Retention.Ms", NULL},
    {"retention.ms= x y ", "Invalid value  x y  for configuration retention.ms: Not a number of type LONG",
     NULL},
    {"segment.bytes=-0", "Invalid value 0 for configuration segment.bytes: Value must be at least 1048576",
     NULL},
    {"segment.bytes=00001048576", NULL, "1048576"},
    {"compression.zstd.level= -5", NULL, "-5"},
    {"segment.bytes=", "Invalid value  for configuration segment.bytes: Not a number of type INT", NULL},
    {"flush.ms=0", NULL, "0"},
    {"max.message.bytes=2147483647", NULL, "2147483647"},
    {"min.cleanable.dirty.ratio=1e-3", NULL, "0.001"},
    {"min.cleanable.dirty.ratio=0.123456789", NULL, "0.123456789"},
    {"min.cleanable.dirty.ratio=0.333333333333333333", NULL, "0.3333333333333333"},
    {"min.cleanable.dirty.ratio=-0.0", NULL, "-0.0"},
    {"min.cleanable.dirty.ratio=0.5d", NULL, "0.5"},
    {"min.cleanable.dirty.ratio=0x10",
     "Invalid value 0x10 for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE", NULL},
    {"min.cleanable.dirty.ratio=inf",
     "Invalid value inf for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE", NULL},
    {"min.cleanable.dirty.ratio=nan",
     "Invalid value nan for configuration min.cleanable.dirty.ratio: Not a number of type DOUBLE", NULL},
    {"min.cleanable.dirty.ratio= 0.25 ", NULL, "0.25"},
    {"cleanup.policy= compact , delete ", NULL, "compact,delete"},
    {"retention.ms=-9223372036854775808",
     "Invalid value -9223372036854775808 for configuration retention.ms: Value must be at least -1", NULL},
    {"retention.ms=9223372036854775807", NULL, "9223372036854775807"},
    {"retention.ms=9223372036854775808",
     "Invalid value 9223372036854775808 for configuration retention.ms: Not a number of type LONG", NULL},
    {"retention.ms=-", "Invalid value - for configuration retention.ms: Not a number of type LONG", NULL},
    {"retention.ms=- 1", "Invalid value - 1 for configuration retention.ms: Not a number of type LONG", NULL},
};

static struct broker_config standalone(const char *text)
{
    struct broker_config c;
    struct str message;
    int err = broker_config_from(&c, str_from(text), true, NULL, 0, &message);
    if (err)
        fail_msg("%.*s", STR_ARG(message));
    return c;
}

static void values_are_checked_as_kafka_checks_them(void **state)
{
    (void)state;
    struct broker_config c = standalone("");
    for (size_t i = 0; i < sizeof topic_cases / sizeof *topic_cases; i++) {
        struct arena arena;
        struct config_entry entries[8];
        struct str message;
        arena_init(&arena, 0);
        size_t n = split_entries(topic_cases[i].entries, entries);
        int err = topic_config_validate(&c, NULL, entries, n, &arena, &message);
        if (topic_cases[i].message) {
            assert_int_equal(err, ERR_INVALID);
            if (!str_is(message, topic_cases[i].message))
                fail_msg("%s: \"%.*s\" instead of \"%s\"", topic_cases[i].entries, STR_ARG(message),
                         topic_cases[i].message);
        } else if (err) {
            fail_msg("%s: refused: %.*s", topic_cases[i].entries, STR_ARG(message));
        }
        struct str values = STR("");
        for (size_t j = 0; topic_cases[i].values && j < n; j++) {
            const struct setting *s = setting_find(SETTING_TOPIC, entries[j].name);
            struct setting_value v;
            assert_int_equal(setting_parse(s, entries[j].value, &arena, &v, NULL), 0);
            values = arena_printf(&arena, "%.*s%s%.*s", STR_ARG(values), j ? " " : "",
                                  STR_ARG(setting_format(s, &v, &arena)));
        }
        if (topic_cases[i].values && !str_is(values, topic_cases[i].values))
            fail_msg("%s: \"%.*s\" instead of \"%s\"", topic_cases[i].entries, STR_ARG(values),
                     topic_cases[i].values);
        arena_free(&arena);
    }
    broker_config_free(&c);
}

static void nulls_are_refused(void **state)
{
    (void)state;
    struct broker_config c = standalone("");
    struct arena arena;
    struct str message;
    const struct config_entry entries[] = {{STR("retention.ms"), STR_NULL}, {STR("nope"), STR_NULL}};
    arena_init(&arena, 0);
    assert_int_equal(topic_config_validate(&c, NULL, entries, 1, &arena, &message), ERR_INVALID);
    assert_true(str_is(message, "Null value not supported for topic configs: retention.ms"));
    assert_int_equal(topic_config_validate(&c, NULL, entries, 2, &arena, &message), ERR_INVALID);
    assert_true(str_is(message, "Null value not supported for topic configs: retention.ms,nope"));
    arena_free(&arena);
    broker_config_free(&c);
}

static void every_default_passes_its_own_check(void **state)
{
    (void)state;
    for (enum setting_scope scope = 0; scope < SETTING_SCOPES; scope++) {
        size_t n;
        const struct setting *table = setting_table(scope, &n);
        struct arena arena;
        arena_init(&arena, 0);
        for (size_t i = 0; i < n; i++) {
            struct setting_value v;
            struct str message;
            assert_ptr_equal(setting_find(scope, str_from(table[i].name)), &table[i]);
            assert_true(strlen(table[i].documentation) > 10);
            if (table[i].required || (table[i].unique && !table[i].default_text))
                continue;
            if (setting_parse(&table[i], str_from(table[i].default_text), &arena, &v, &message))
                fail_msg("%s: %.*s", table[i].name, STR_ARG(message));
            // The default is written as Kafka would write it.
            if (table[i].default_text)
                assert_true(str_is(setting_format(&table[i], &v, &arena), table[i].default_text));
        }
        arena_free(&arena);
    }
}

// Those that storage's own tests set by hand: here they come from the topic, and from the cluster's defaults.
static void what_a_topic_sets_reaches_storage(void **state)
{
    (void)state;
    struct broker_config c = standalone("");
    struct log_config l;
    static const struct config_entry topic[] = {
        {STR("cleanup.policy"), STR("compact")},
        {STR("compression.gzip.level"), STR("3")},
        {STR("compression.lz4.level"), STR("4")},
        {STR("compression.zstd.level"), STR("5")},
        {STR("delete.retention.ms"), STR("6")},
        {STR("flush.messages"), STR("7")},
        {STR("flush.ms"), STR("8")},
        {STR("max.compaction.lag.ms"), STR("1010")},
        {STR("min.cleanable.dirty.ratio"), STR("0.3")},
        {STR("min.compaction.lag.ms"), STR("9")},
        {STR("min.insync.replicas"), STR("2")},
        {STR("unclean.leader.election.enable"), STR("true")},
    };
    static const struct config_entry cluster[] = {
        {STR("log.cleanup.policy"), STR("compact")},
        {STR("compression.gzip.level"), STR("3")},
        {STR("compression.lz4.level"), STR("4")},
        {STR("compression.zstd.level"), STR("5")},
        {STR("log.cleaner.delete.retention.ms"), STR("6")},
        {STR("log.flush.interval.messages"), STR("7")},
        {STR("log.flush.interval.ms"), STR("8")},
        {STR("log.cleaner.max.compaction.lag.ms"), STR("1010")},
        {STR("log.cleaner.min.cleanable.ratio"), STR("0.3")},
        {STR("log.cleaner.min.compaction.lag.ms"), STR("9")},
        {STR("min.insync.replicas"), STR("2")},
        {STR("unclean.leader.election.enable"), STR("true")},
    };
    struct config_layers layers = {.cluster = cluster, .cluster_count = sizeof cluster / sizeof *cluster};
    for (int by_cluster = 0; by_cluster < 2; by_cluster++) {
        size_t count = by_cluster ? 0 : sizeof topic / sizeof *topic;
        topic_config_resolve(&c, by_cluster ? &layers : NULL, topic, count, &l);
        assert_true(l.cleanup_compact && !l.cleanup_delete && l.unclean_leader_election_enable);
        assert_int_equal(l.gzip_level, 3);
        assert_int_equal(l.lz4_level, 4);
        assert_int_equal(l.zstd_level, 5);
        assert_int_equal(l.delete_retention_ms, 6);
        assert_int_equal(l.flush_messages, 7);
        assert_int_equal(l.flush_ms, 8);
        assert_int_equal(l.min_compaction_lag_ms, 9);
        assert_int_equal(l.max_compaction_lag_ms, 1010);
        assert_true(l.min_cleanable_dirty_ratio == 0.3);
        assert_int_equal(l.min_insync_replicas, 2);
    }
    broker_config_free(&c);
}

static void numbers_for_storage_are_kafkas_defaults(void **state)
{
    (void)state;
    struct broker_config c = standalone("");
    struct log_config l, expected = log_config_default();
    topic_config_resolve(&c, NULL, NULL, 0, &l);
    assert_true(l.segment_bytes == expected.segment_bytes && l.segment_ms == expected.segment_ms);
    assert_true(l.retention_ms == expected.retention_ms && l.retention_bytes == expected.retention_bytes);
    assert_true(l.flush_ms == expected.flush_ms && l.flush_messages == expected.flush_messages);
    assert_true(l.compression == expected.compression && l.cleanup_delete && !l.cleanup_compact);
    assert_true(l.min_cleanable_dirty_ratio == expected.min_cleanable_dirty_ratio);
    assert_true(l.max_message_bytes == expected.max_message_bytes);
    assert_true(l.zstd_level == expected.zstd_level && l.segment_jitter_ms == 0);
    assert_true(l.timestamp_after_max_ms == expected.timestamp_after_max_ms);
    assert_true(l.timestamp_before_max_ms == expected.timestamp_before_max_ms);
    assert_true(l.producer_id_expiration_ms == expected.producer_id_expiration_ms);
    broker_config_free(&c);
}

static void a_topic_comes_before_the_cluster_before_the_file(void **state)
{
    (void)state;
    struct broker_config c = standalone(
        "log.retention.hours=2\nlog.retention.minutes=3\nlog.roll.hours=5\n"
        "log.flush.scheduler.interval.ms=77\nmin.insync.replicas=2\n"
        "compression.type=lz4\nlog.cleanup.policy=compact,delete\n");
    struct log_config l;
    topic_config_resolve(&c, NULL, NULL, 0, &l);
    assert_true(l.retention_ms == 3 * 60000 && l.segment_ms == 5 * 3600000 && l.flush_ms == 77);
    assert_true(l.min_insync_replicas == 2 && l.compression == LOG_COMPRESSION_LZ4);
    assert_true(l.cleanup_compact && l.cleanup_delete);

    const struct config_entry cluster[] = {{STR("log.retention.ms"), STR("9")},
                                           {STR("min.insync.replicas"), STR("3")}};
    const struct config_entry own[] = {{STR("log.retention.ms"), STR("-7")}};
    struct config_layers layers = {.cluster = cluster, .cluster_count = 2};
    topic_config_resolve(&c, &layers, NULL, 0, &l);
    assert_true(l.retention_ms == 9 && l.min_insync_replicas == 3);
    layers.broker = own;
    layers.broker_count = 1;
    topic_config_resolve(&c, &layers, NULL, 0, &l);
    assert_true(l.retention_ms == -1);

    const struct config_entry topic[] = {{STR("retention.ms"), STR(" 4 ")},
                                         {STR("min.insync.replicas"), STR("not a number")},
                                         {STR("message.timestamp.type"), STR("LogAppendTime")},
                                         {STR("internal.segment.bytes"), STR("1000")},
                                         {STR("cleanup.policy"), STR("")}};
    topic_config_resolve(&c, &layers, topic, 5, &l);
    assert_true(l.retention_ms == 4 && l.min_insync_replicas == 3 && l.timestamp_log_append);
    assert_true(l.segment_bytes == 1000 && !l.cleanup_delete && !l.cleanup_compact);
    broker_config_free(&c);
}

static struct str print(const struct config_description *d, struct arena *arena)
{
    struct str out =
        arena_printf(arena, "%.*s=%.*s %d %d", STR_ARG(d->name), STR_ARG(d->value), (int)d->source, d->type);
    if (d->read_only)
        out = arena_printf(arena, "%.*s read-only", STR_ARG(out));
    if (d->sensitive)
        out = arena_printf(arena, "%.*s sensitive", STR_ARG(out));
    for (size_t i = 0; i < d->synonym_count; i++)
        out = arena_printf(arena, "%.*s, %.*s=%.*s %d", STR_ARG(out), STR_ARG(d->synonyms[i].name),
                           STR_ARG(d->synonyms[i].value), (int)d->synonyms[i].source);
    return out;
}

static void expect_described(const struct broker_config *c, const struct config_layers *layers,
                             const struct config_subject *subject, const char *key, const char *expected)
{
    struct arena arena;
    struct config_description *list;
    size_t n;
    struct str name = str_from(key);
    arena_init(&arena, 0);
    assert_int_equal(config_describe(c, layers, subject, &name, 1, &arena, &list, &n), 0);
    assert_int_equal(n, expected != NULL);
    if (expected)
        assert_string_equal(print(&list[0], &arena).data, expected);
    arena_free(&arena);
}

static void a_topic_is_described_as_kafka_does(void **state)
{
    (void)state;
    struct broker_config c = standalone("log.retention.hours=24\nlog.roll.ms= 7 \nlog.roll.hours=3\n");
    const struct config_entry cluster[] = {{STR("min.insync.replicas"), STR("1")}};
    const struct config_layers layers = {.cluster = cluster, .cluster_count = 1};
    const struct config_entry own[] = {{STR("cleanup.policy"), STR("compact, compact")},
                                       {STR("retention.ms"), STR(" 12 ")},
                                       {STR("internal.segment.bytes"), STR("1000")}};
    const struct config_subject set = {SETTING_TOPIC, false, own, 3}, plain = {SETTING_TOPIC, false, NULL, 0};
    expect_described(&c, &layers, &set, "cleanup.policy",
                     "cleanup.policy=compact 1 7, cleanup.policy=compact 1, "
                     "log.cleanup.policy=delete 5");
    expect_described(&c, &layers, &set, "retention.ms", "retention.ms=12 1 5, retention.ms=12 1");
    expect_described(&c, &layers, &set, "internal.segment.bytes",
                     "internal.segment.bytes=1000 1 3, internal.segment.bytes=1000 1");
    expect_described(&c, &layers, &plain, "internal.segment.bytes", NULL);
    expect_described(&c, &layers, &plain, "nope", NULL);
    expect_described(&c, &layers, &plain, "retention.ms", "retention.ms=86400000 5 5");
    expect_described(&c, &layers, &plain, "flush.ms", "flush.ms=9223372036854775807 5 5");
    expect_described(&c, &layers, &plain, "segment.ms",
                     "segment.ms=7 4 5, log.roll.ms=7  4, log.roll.hours=3 4, log.roll.hours=168 5");
    expect_described(&c, &layers, &plain, "min.insync.replicas",
                     "min.insync.replicas=1 3 3, min.insync.replicas=1 3, min.insync.replicas=1 5");
    expect_described(&c, &layers, &plain, "remote.storage.enable", "remote.storage.enable=false 5 1");
    expect_described(&c, &layers, &plain, "leader.replication.throttled.replicas",
                     "leader.replication.throttled.replicas= 5 7");
    broker_config_free(&c);
}

static void many_keys_are_looked_up(void **state)
{
    (void)state;
    struct broker_config c = standalone("");
    const struct config_subject topic = {.scope = SETTING_TOPIC};
    struct config_description *list;
    struct str keys[40];
    struct arena arena;
    size_t n;
    arena_init(&arena, 0);
    for (int i = 0; i < 40; i++)
        keys[i] = i % 8 ? arena_printf(&arena, "nope.%d", i) : STR("retention.ms");
    keys[39] = STR("flush.ms");
    assert_int_equal(config_describe(&c, NULL, &topic, keys, 40, &arena, &list, &n), 0);
    assert_int_equal(n, 2);
    arena_free(&arena);
    broker_config_free(&c);
}

static void a_broker_and_a_group_are_described_as_kafka_does(void **state)
{
    (void)state;
    struct broker_config c = standalone("ssl.key.password=secret\nunheard.of=1\n");
    const struct config_entry cluster[] = {{STR("min.insync.replicas"), STR("1")}};
    const struct config_layers layers = {.cluster = cluster, .cluster_count = 1};
    const struct config_subject broker = {.scope = SETTING_BROKER}, group = {.scope = SETTING_GROUP},
                                defaults = {.scope = SETTING_BROKER, .defaults = true};
    expect_described(&c, &layers, &broker, "broker.id",
                     "broker.id=1 4 3 read-only, broker.id=1 4, broker.id=-1 5");
    expect_described(&c, &layers, &broker, "advertised.listeners", "advertised.listeners= 5 7 read-only");
    expect_described(&c, &layers, &broker, "ssl.key.password",
                     "ssl.key.password= 4 9 sensitive, ssl.key.password= 4");
    expect_described(&c, &layers, &broker, "unheard.of",
                     "unheard.of= 4 0 read-only sensitive, unheard.of= 4");
    expect_described(&c, &layers, &broker, "log.retention.hours",
                     "log.retention.hours=168 5 3 read-only, log.retention.hours=168 5");
    expect_described(&c, &layers, &broker, "min.insync.replicas",
                     "min.insync.replicas=1 3 3, min.insync.replicas=1 3, min.insync.replicas=1 5");
    expect_described(&c, &layers, &defaults, "min.insync.replicas",
                     "min.insync.replicas=1 3 3, min.insync.replicas=1 3");
    expect_described(&c, &layers, &defaults, "num.partitions", NULL);
    expect_described(&c, &layers, &group, "consumer.session.timeout.ms",
                     "consumer.session.timeout.ms=45000 5 3, group.consumer.session.timeout.ms=45000 5");
    expect_described(&c, &layers, &group, "share.auto.offset.reset",
                     "share.auto.offset.reset=latest 5 2, share.auto.offset.reset=latest 5");
    const struct config_entry own[] = {{STR("metrics"), STR("a, b")}};
    const struct config_subject subscription = {SETTING_CLIENT_METRICS, false, own, 1};
    expect_described(&c, &layers, &subscription, "metrics", "metrics=a,b 7 7, metrics=a,b 7");
    expect_described(&c, &layers, &subscription, "interval.ms", "interval.ms=300000 5 3");
    broker_config_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_checked_as_kafka_checks_them),
        cmocka_unit_test(nulls_are_refused),
        cmocka_unit_test(every_default_passes_its_own_check),
        cmocka_unit_test(numbers_for_storage_are_kafkas_defaults),
        cmocka_unit_test(a_topic_comes_before_the_cluster_before_the_file),
        cmocka_unit_test(what_a_topic_sets_reaches_storage),
        cmocka_unit_test(a_topic_is_described_as_kafka_does),
        cmocka_unit_test(a_broker_and_a_group_are_described_as_kafka_does),
        cmocka_unit_test(many_keys_are_looked_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
