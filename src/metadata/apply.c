// image_apply: a table from record types to what they do.
#include "metadata/builder.h"
#include "metadata/record.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// A record's message may need so many times its own bytes (MESSAGE_MEMORY_FACTOR); beyond it, it is refused.
#define DECODED_LIMIT_BYTES ((size_t)256 << 20)

int builder_fail(struct image_builder *b, int code, const char *format, ...)
{
    if (!b->why)
        return code;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buffer_printf(b->why, "metadata record of type %d, version %d, at offset %lld: %s", b->type, b->version,
                  (long long)b->record->offset, text);
    return code;
}

static int apply_nothing(struct image_builder *b, const void *message)
{
    (void)b;
    (void)message;
    return 0;
}

static int apply_feature(struct image_builder *b, const void *message)
{
    const struct feature_level_record *r = message;
    struct image *image = b->image;
    uint32_t at = 0;
    while (at < image->features_count && str_compare(image->features[at].name, r->name) < 0)
        at++;
    bool there = at < image->features_count && str_equal(image->features[at].name, r->name);
    b->features = true;
    if (str_is(r->name, "metadata.version")) {
        if (r->feature_level < METADATA_VERSION_MINIMUM || r->feature_level > METADATA_VERSION_LATEST)
            return builder_fail(b, ERR_UNSUPPORTED, "metadata.version %d, but %d to %d are supported",
                                r->feature_level, METADATA_VERSION_MINIMUM, METADATA_VERSION_LATEST);
        image->metadata_version = r->feature_level;
    }
    if (there && r->feature_level > 0) {
        image->features[at].level = r->feature_level;
        return 0;
    }
    size_t behind = (image->features_count - at) * sizeof *image->features;
    if (there) { // level 0 is not finalized
        free((void *)(uintptr_t)image->features[at].name.data);
        memmove(&image->features[at], &image->features[at + 1], behind - sizeof *image->features);
        image->features_count--;
        return 0;
    }
    if (r->feature_level <= 0)
        return 0;
    struct image_feature *grown = realloc(image->features, (image->features_count + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    image->features = grown;
    char *name = malloc(r->name.size + 1);
    if (!name)
        return ERR_NOMEM;
    memcpy(name, r->name.data, r->name.size);
    memmove(&grown[at + 1], &grown[at], behind);
    grown[at] = (struct image_feature){{name, r->name.size}, r->feature_level};
    image->features_count++;
    return 0;
}

static int apply_producer_ids(struct image_builder *b, const void *message)
{
    const struct producer_ids_record *r = message;
    b->image->next_producer_id = r->next_producer_id;
    b->producer_ids = true;
    return 0;
}

static int apply_zk_migration(struct image_builder *b, const void *message)
{
    const struct zk_migration_state_record *r = message;
    b->image->zk_migration_state = r->zk_migration_state;
    b->image->has_zk_migration_state = true;
    return 0;
}

static const struct {
    const struct message_type *type;
    int (*apply)(struct image_builder *b, const void *message);
} record_types[RECORD_TYPES_END] = {
    [RECORD_REGISTER_BROKER] = {&register_broker_record_type, apply_register_broker},
    [RECORD_UNREGISTER_BROKER] = {&unregister_broker_record_type, apply_unregister_broker},
    [RECORD_TOPIC] = {&topic_record_type, apply_topic},
    [RECORD_PARTITION] = {&partition_record_type, apply_partition},
    [RECORD_CONFIG] = {&config_record_type, apply_config},
    [RECORD_PARTITION_CHANGE] = {&partition_change_record_type, apply_partition_change},
    [RECORD_FENCE_BROKER] = {&fence_broker_record_type, apply_fence_broker},
    [RECORD_UNFENCE_BROKER] = {&unfence_broker_record_type, apply_unfence_broker},
    [RECORD_REMOVE_TOPIC] = {&remove_topic_record_type, apply_remove_topic},
    [RECORD_DELEGATION_TOKEN] = {&delegation_token_record_type, apply_token},
    [RECORD_USER_SCRAM_CREDENTIAL] = {&user_scram_credential_record_type, apply_scram},
    [RECORD_FEATURE_LEVEL] = {&feature_level_record_type, apply_feature},
    [RECORD_CLIENT_QUOTA] = {&client_quota_record_type, apply_quota},
    [RECORD_PRODUCER_IDS] = {&producer_ids_record_type, apply_producer_ids},
    [RECORD_BROKER_REGISTRATION_CHANGE] = {&broker_registration_change_record_type, apply_broker_change},
    [RECORD_ACCESS_CONTROL_ENTRY] = {&access_control_entry_record_type, apply_acl},
    [RECORD_REMOVE_ACCESS_CONTROL_ENTRY] = {&remove_access_control_entry_record_type, apply_remove_acl},
    [RECORD_NO_OP] = {&no_op_record_type, apply_nothing},
    [RECORD_ZK_MIGRATION_STATE] = {&zk_migration_state_record_type, apply_zk_migration},
    [RECORD_REMOVE_USER_SCRAM_CREDENTIAL] = {&remove_user_scram_credential_record_type, apply_remove_scram},
    [RECORD_BEGIN_TRANSACTION] = {&begin_transaction_record_type, apply_nothing},
    [RECORD_END_TRANSACTION] = {&end_transaction_record_type, apply_nothing},
    [RECORD_ABORT_TRANSACTION] = {&abort_transaction_record_type, apply_nothing},
    [RECORD_REMOVE_DELEGATION_TOKEN] = {&remove_delegation_token_record_type, apply_remove_token},
    [RECORD_REGISTER_CONTROLLER] = {&register_controller_record_type, apply_register_controller},
    [RECORD_CLEAR_ELR] = {&clear_elr_record_type, apply_clear_elr},
};

static int apply_record(struct image_builder *b, const struct image_record *record)
{
    struct metadata_frame frame = {0};
    b->record = record;
    b->value = record->value;
    b->type = b->version = -1;
    if (metadata_frame_read(record->value, &frame))
        return builder_fail(b, ERR_CORRUPT, "no frame of version 1");
    b->type = frame.type;
    b->version = frame.version;
    if (frame.type >= RECORD_TYPES_END || !record_types[frame.type].type)
        return builder_fail(b, ERR_UNSUPPORTED, "unknown type");
    const struct message_type *type = record_types[frame.type].type;
    if (!message_has_version(type, frame.version))
        return builder_fail(b, ERR_UNSUPPORTED, "%s has no such version", type->name);

    arena_reset(&b->decoded);
    void *message = arena_alloc(&b->decoded, type->size_bytes);
    if (!message)
        return ERR_NOMEM;
    struct message_error error = {0};
    int rc = message_decode_explain(type, frame.version, frame.body, &b->decoded, message, NULL, &error);
    if (rc == ERR_NOMEM)
        return rc;
    if (rc)
        return builder_fail(b, ERR_CORRUPT, "%s: %s.%s: %s", type->name,
                            error.structure ? error.structure : "", error.field ? error.field : "",
                            error.reason ? error.reason : err_text(rc));
    return record_types[frame.type].apply(b, message);
}

// The deltas of what was touched. The pointers stay good with the two images.
static int collect_changes(struct image_builder *b, struct image_changes *changes)
{
    *changes = (struct image_changes){.before = b->before,
                                      .after = b->image,
                                      .brokers = b->brokers,
                                      .controllers = b->controllers,
                                      .features = b->features,
                                      .producer_ids = b->producer_ids,
                                      .quotas = b->quotas,
                                      .scram = b->scram,
                                      .kept = b->kept};
    changes->topics = calloc(b->topics.count + 1, sizeof *changes->topics);
    changes->configs = calloc(b->configs.count + 1, sizeof *changes->configs);
    if (!changes->topics || !changes->configs) {
        image_changes_free(changes);
        return ERR_NOMEM;
    }
    size_t i = 0;
    for (struct map_entry *e; (e = map_next(&b->topics, &i));) {
        const struct topic_edit *edit = e->value;
        enum image_topic_change what = !edit->before  ? IMAGE_TOPIC_CREATED
                                       : !edit->after ? IMAGE_TOPIC_DELETED
                                                      : IMAGE_TOPIC_CHANGED;
        if (edit->before || edit->after) // created and deleted within the same records: nothing to tell
            changes->topics[changes->topics_count++] =
                (struct image_topic_delta){what, edit->before, edit->after};
    }
    i = 0;
    for (struct map_entry *e; (e = map_next(&b->configs, &i));) {
        const struct config_edit *edit = e->value;
        const struct image_config *after = hamt_get(&b->image->configs, &edit->key);
        if (edit->before != after)
            changes->configs[changes->configs_count++] = (struct image_config_delta){edit->before, after};
    }
    return 0;
}

static void builder_free(struct image_builder *b)
{
    size_t i = 0;
    for (struct map_entry *e; (e = map_next(&b->topics, &i));) {
        struct topic_edit *edit = e->value;
        image_topic_unref(edit->before);
        image_topic_unref(edit->after);
    }
    i = 0;
    for (struct map_entry *e; (e = map_next(&b->configs, &i));)
        image_config_unref(((struct config_edit *)e->value)->before);
    map_free(&b->topics);
    map_free(&b->configs);
    arena_free(&b->decoded);
    arena_free(&b->memory);
    image_unref(b->image);
}

int image_apply(const struct image *before, const struct image_record *records, size_t count,
                struct image **after, struct image_changes *changes, struct buffer *why)
{
    struct image_builder b = {.before = before, .image = image_copy(before), .why = why};
    if (!b.image)
        return ERR_NOMEM;
    arena_init(&b.decoded, DECODED_LIMIT_BYTES);
    arena_init(&b.memory, 0);
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        rc = apply_record(&b, &records[i]);
        b.image->offset = records[i].offset;
        b.image->epoch = records[i].epoch;
        b.image->timestamp_ms = records[i].timestamp_ms;
    }
    if (rc == 0)
        rc = apply_check_topics(&b);
    if (rc == 0 && changes)
        rc = collect_changes(&b, changes);
    if (rc == 0)
        *after = image_ref(b.image);
    builder_free(&b);
    return rc;
}
