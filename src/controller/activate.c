// The first records of a new leader.
#include "base/error.h"
#include "controller/controller_internal.h"
#include "metadata/features.h"

static void emit_value(struct step *s, struct bytes value)
{
    struct metadata_frame frame;
    const struct message_type *type = NULL;
    if (metadata_frame_read(value, &frame) == 0)
        type = message_find_key(MESSAGE_METADATA_RECORD, frame.type);
    struct arena arena;
    arena_init(&arena, 0);
    void *message = type ? arena_alloc(&arena, type->size_bytes) : NULL;
    if (!message || message_decode(type, frame.version, frame.body, &arena, message, NULL))
        s->effects->error = ERR_CORRUPT;
    else
        step_emit(s, type, frame.version, message);
    arena_free(&arena);
}

// The bootstrap records' level of a feature; 0 when they do not have it.
static int16_t bootstrap_level(const struct bytes *bootstrap, size_t count, const char *feature)
{
    int16_t level = 0;
    for (size_t i = 0; i < count; i++) {
        struct metadata_frame frame;
        struct feature_level_record r;
        struct arena arena;
        arena_init(&arena, 0);
        if (metadata_frame_read(bootstrap[i], &frame) == 0 && frame.type == RECORD_FEATURE_LEVEL &&
            message_decode(&feature_level_record_type, frame.version, frame.body, &arena, &r, NULL) == 0 &&
            str_is(r.name, feature))
            level = r.feature_level;
        arena_free(&arena);
    }
    return level;
}

static void emit_bootstrap(struct step *s, const struct bytes *bootstrap, size_t count)
{
    bool transaction = bootstrap_level(bootstrap, count, "metadata.version") >= METADATA_VERSION_TRANSACTIONS;
    struct begin_transaction_record begin = {.name = STR("Bootstrap records")};
    if (transaction)
        step_emit(s, &begin_transaction_record_type, 0, &begin);
    for (size_t i = 0; i < count; i++)
        emit_value(s, bootstrap[i]);
    if (bootstrap_level(bootstrap, count, "eligible.leader.replicas.version") > 0)
        min_isr_becomes_clusters(s);
    if (transaction)
        step_emit(s, &end_transaction_record_type, 0, &end_transaction_record_default);
}

static int emit_registration(struct step *s)
{
    const struct controller_config *config = &s->c->config;
    struct register_controller_record r = register_controller_record_default;
    struct arena arena;
    arena_init(&arena, 0);
    r.controller_id = config->config->node_id;
    r.incarnation_id = config->incarnation_id;
    r.end_points =
        register_controller_record_controller_endpoint_new(&arena, (int32_t)config->endpoints_count);
    r.features = register_controller_record_controller_feature_new(&arena, (int32_t)features_supported_count);
    if (!r.end_points || !r.features) {
        arena_free(&arena);
        return ERR_NOMEM;
    }
    r.end_points_count = (int32_t)config->endpoints_count;
    r.features_count = (int32_t)features_supported_count;
    for (uint32_t i = 0; i < config->endpoints_count; i++)
        r.end_points[i] = (struct register_controller_record_controller_endpoint){
            config->endpoints[i].name, config->endpoints[i].host, config->endpoints[i].port,
            config->endpoints[i].security_protocol};
    for (size_t i = 0; i < features_supported_count; i++)
        r.features[i] = (struct register_controller_record_controller_feature){
            features_supported[i].name, features_supported[i].min, features_supported[i].max};
    step_emit(s, &register_controller_record_type, 0, &r);
    arena_free(&arena);
    return 0;
}

int controller_activate(struct controller *c, int32_t epoch, int64_t next_offset,
                        const struct bytes *bootstrap, size_t bootstrap_count, bool in_transaction,
                        int64_t now_ms, struct controller_effects *effects)
{
    struct step s = {c, NULL, effects, next_offset, now_ms};
    c->epoch = epoch;
    c->sessions_count = 0;
    // Brokers that were alive under the former leader get a session's time to show up. Not this node's own:
    // its former process is gone, or this one would not have its directories.
    for (uint32_t i = 0; i < c->image->brokers_count; i++) {
        const struct image_broker *b = c->image->brokers[i];
        if (b->id != c->config.config->node_id && !b->fenced && !session_touch(c, b->id, b->epoch, now_ms))
            return ERR_NOMEM;
    }
    if (in_transaction) {
        struct abort_transaction_record abort_record = {.reason = STR("Controller failover")};
        step_emit(&s, &abort_transaction_record_type, 0, &abort_record);
    }
    if (c->image->metadata_version == 0)
        emit_bootstrap(&s, bootstrap, bootstrap_count);
    int rc = 0;
    if (c->image->metadata_version >= METADATA_VERSION_CONTROLLER_REGISTRATION ||
        c->image->metadata_version == 0)
        rc = emit_registration(&s);
    return rc ? rc : effects->error;
}
