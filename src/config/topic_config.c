#include "config/topic_config.h"

#include "base/error.h"
#include "config/layers.h"
#include "config/setting_check.h"

struct str layer_text(const struct broker_config *broker, const struct config_layers *layers, int layer,
                      struct str name)
{
    const struct config_entry *e = NULL;
    if (layer == 2)
        return properties_get(&broker->properties, name);
    if (layers)
        e = layer == 0 ? config_entry_find(layers->broker, layers->broker_count, name)
                       : config_entry_find(layers->cluster, layers->cluster_count, name);
    return e ? e->value : STR_NULL;
}

// Several of Kafka's settings say the same in hours, minutes and milliseconds.
static int64_t unit_ms(const char *name)
{
    const char *unit = strrchr(name, '.');
    if (unit && strcmp(unit, ".hours") == 0)
        return 3600000;
    return unit && strcmp(unit, ".minutes") == 0 ? 60000 : 1;
}

// The broker's value behind a topic's setting: of the first name that is set anywhere, or else the last one's
// default.
static int broker_value(const struct broker_config *broker, const struct config_layers *layers,
                        const struct setting *s, struct arena *arena, struct setting_value *out)
{
    for (size_t i = 0; s->behind[i]; i++) {
        const struct setting *behind = setting_find(SETTING_BROKER, str_from(s->behind[i]));
        struct str text = STR_NULL;
        for (int layer = 0; layer < LAYER_COUNT && !text.data; layer++)
            text = layer_text(broker, layers, layer, str_from(s->behind[i]));
        if (!text.data && s->behind[i + 1])
            continue;
        int err = setting_parse(behind, text.data ? text : str_from(behind->default_text), arena, out, NULL);
        out->integer *= unit_ms(s->behind[i]);
        // Kafka: any negative retention time keeps for ever.
        if (strcmp(s->name, "retention.ms") == 0 && out->integer < 0)
            out->integer = -1;
        return err;
    }
    return ERR_NOT_FOUND;
}

int layered_value(const struct broker_config *broker, const struct config_layers *layers,
                  const struct setting *s, struct str own, struct arena *arena, struct setting_value *out)
{
    int err = own.data ? setting_parse(s, own, arena, out, NULL) : ERR_NOT_FOUND;
    if (err != 0 && err != ERR_NOMEM && s->behind)
        err = broker_value(broker, layers, s, arena, out);
    if (err != 0 && err != ERR_NOMEM)
        err = setting_parse(s, str_from(s->default_text), arena, out, NULL);
    return err;
}

static int refuse(struct str *message, struct str text)
{
    *message = text;
    return text.data ? ERR_INVALID : ERR_NOMEM;
}

static int check_nulls(const struct config_entry *entries, size_t n, struct arena *arena, struct str *message)
{
    struct str names = STR("");
    for (size_t i = 0; i < n && names.data; i++)
        if (!entries[i].value.data)
            names = arena_printf(arena, "%.*s%s%.*s", STR_ARG(names), names.size ? "," : "",
                                 STR_ARG(entries[i].name));
    if (names.data && names.size == 0)
        return 0;
    return refuse(
        message, names.data
                     ? arena_printf(arena, "Null value not supported for topic configs: %.*s", STR_ARG(names))
                     : STR_NULL);
}

static int topic_value(const struct broker_config *broker, const struct config_layers *layers,
                       const struct config_entry *entries, size_t n, const char *name, struct arena *arena,
                       struct setting_value *out)
{
    const struct config_entry *e = config_entry_find(entries, n, str_from(name));
    return layered_value(broker, layers, setting_find(SETTING_TOPIC, str_from(name)), e ? e->value : STR_NULL,
                         arena, out);
}

int topic_config_validate(const struct broker_config *broker, const struct config_layers *layers,
                          const struct config_entry *entries, size_t n, struct arena *arena,
                          struct str *message)
{
    *message = STR_NULL;
    int err = check_nulls(entries, n, arena, message);
    if (!err)
        err = config_check_names(SETTING_TOPIC, "Unknown topic config name", entries, n, arena, message);
    if (!err)
        err = config_check_values(SETTING_TOPIC, entries, n, arena, message);
    if (err)
        return err;

    struct setting_value least, most, remote;
    err = topic_value(broker, layers, entries, n, "min.compaction.lag.ms", arena, &least);
    if (!err)
        err = topic_value(broker, layers, entries, n, "max.compaction.lag.ms", arena, &most);
    if (!err)
        err = topic_value(broker, layers, entries, n, "remote.storage.enable", arena, &remote);
    if (err)
        return err;
    if (least.integer > most.integer)
        return refuse(message, arena_printf(arena,
                                            "conflict topic config setting min.compaction.lag.ms (%lld) > "
                                            "max.compaction.lag.ms (%lld)",
                                            (long long)least.integer, (long long)most.integer));
    // This broker has no tiered storage: it is what Kafka calls disabled.
    if (remote.boolean)
        return refuse(message, STR("Tiered Storage functionality is disabled in the broker. Topic cannot be "
                                   "configured with remote log storage."));
    return 0;
}

static enum log_compression compression_of(struct str name)
{
    static const struct {
        const char *name;
        enum log_compression codec;
    } codecs[] = {{"uncompressed", LOG_COMPRESSION_NONE},
                  {"gzip", LOG_COMPRESSION_GZIP},
                  {"snappy", LOG_COMPRESSION_SNAPPY},
                  {"lz4", LOG_COMPRESSION_LZ4},
                  {"zstd", LOG_COMPRESSION_ZSTD}};
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++)
        if (str_is(name, codecs[i].name))
            return codecs[i].codec;
    return LOG_COMPRESSION_PRODUCER;
}

static bool has_entry(const struct setting_value *list, const char *entry)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_is(list->entries[i], entry))
            return true;
    return false;
}

// Where each number goes: by its type's size in struct log_config.
static const struct {
    const char *name;
    size_t offset;
    bool wide;
} numbers[] = {
    {"segment.bytes", offsetof(struct log_config, segment_bytes), false},
    {"segment.ms", offsetof(struct log_config, segment_ms), true},
    {"segment.jitter.ms", offsetof(struct log_config, segment_jitter_ms), true},
    {"segment.index.bytes", offsetof(struct log_config, segment_index_bytes), false},
    {"index.interval.bytes", offsetof(struct log_config, index_interval_bytes), false},
    {"file.delete.delay.ms", offsetof(struct log_config, file_delete_delay_ms), true},
    {"max.message.bytes", offsetof(struct log_config, max_message_bytes), false},
    {"compression.gzip.level", offsetof(struct log_config, gzip_level), false},
    {"compression.lz4.level", offsetof(struct log_config, lz4_level), false},
    {"compression.zstd.level", offsetof(struct log_config, zstd_level), false},
    {"message.timestamp.before.max.ms", offsetof(struct log_config, timestamp_before_max_ms), true},
    {"message.timestamp.after.max.ms", offsetof(struct log_config, timestamp_after_max_ms), true},
    {"min.insync.replicas", offsetof(struct log_config, min_insync_replicas), false},
    {"retention.ms", offsetof(struct log_config, retention_ms), true},
    {"retention.bytes", offsetof(struct log_config, retention_bytes), true},
    {"delete.retention.ms", offsetof(struct log_config, delete_retention_ms), true},
    {"min.compaction.lag.ms", offsetof(struct log_config, min_compaction_lag_ms), true},
    {"max.compaction.lag.ms", offsetof(struct log_config, max_compaction_lag_ms), true},
    {"flush.messages", offsetof(struct log_config, flush_messages), true},
    {"flush.ms", offsetof(struct log_config, flush_ms), true},
};

static void set_number(struct log_config *out, size_t offset, bool wide, int64_t value)
{
    int32_t narrow = (int32_t)value; // setting_parse has checked the range
    if (wide)
        memcpy((char *)out + offset, &value, sizeof value);
    else
        memcpy((char *)out + offset, &narrow, sizeof narrow);
}

void topic_config_resolve(const struct broker_config *broker, const struct config_layers *layers,
                          const struct config_entry *entries, size_t n, struct log_config *out)
{
    struct arena arena;
    struct setting_value v;
    arena_init(&arena, 0);
    *out = log_config_default();
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (topic_value(broker, layers, entries, n, numbers[i].name, &arena, &v) == 0)
            set_number(out, numbers[i].offset, numbers[i].wide, v.integer);
    const struct config_entry *tiny = config_entry_find(entries, n, STR("internal.segment.bytes"));
    if (tiny && topic_value(broker, layers, entries, n, "internal.segment.bytes", &arena, &v) == 0 && !v.null)
        out->segment_bytes = (int32_t)v.integer;
    if (topic_value(broker, layers, entries, n, "compression.type", &arena, &v) == 0)
        out->compression = compression_of(v.text);
    if (topic_value(broker, layers, entries, n, "message.timestamp.type", &arena, &v) == 0)
        out->timestamp_log_append = str_is(v.text, "LogAppendTime");
    if (topic_value(broker, layers, entries, n, "unclean.leader.election.enable", &arena, &v) == 0)
        out->unclean_leader_election_enable = v.boolean;
    if (topic_value(broker, layers, entries, n, "preallocate", &arena, &v) == 0)
        out->preallocate = v.boolean;
    if (topic_value(broker, layers, entries, n, "min.cleanable.dirty.ratio", &arena, &v) == 0)
        out->min_cleanable_dirty_ratio = v.real;
    if (topic_value(broker, layers, entries, n, "cleanup.policy", &arena, &v) == 0) {
        out->cleanup_delete = has_entry(&v, "delete");
        out->cleanup_compact = has_entry(&v, "compact");
    }
    out->producer_id_expiration_ms = broker->producer_id_expiration_ms;
    out->verify_transactions = broker->verify_transactions;
    arena_free(&arena);
}
