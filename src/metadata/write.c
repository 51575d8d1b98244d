// image_write: the image as records, in the order of Kafka's snapshots.
#include "metadata/image.h"
#include "metadata/record.h"
#include "protocol/messages.h"

struct writer {
    int (*emit)(void *context, struct bytes value);
    void *context;
    struct buffer value;
    struct arena arena; // of one record
    int32_t metadata_version;
};

static int write_record(struct writer *w, const struct message_type *type, int16_t version,
                        const void *message)
{
    buffer_clear(&w->value);
    int rc = metadata_record_append(&w->value, type, version, message);
    arena_reset(&w->arena);
    return rc ? rc : w->emit(w->context, (struct bytes){w->value.data, w->value.size});
}

static int write_features(struct writer *w, const struct image *image)
{
    // metadata.version first: it says how to read what follows.
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < image->features_count; i++) {
            const struct image_feature *f = &image->features[i];
            if (str_is(f->name, "metadata.version") != (pass == 0))
                continue;
            struct feature_level_record r = {.name = f->name, .feature_level = f->level};
            int rc = write_record(w, &feature_level_record_type, 0, &r);
            if (rc)
                return rc;
        }
    }
    if (!image->has_zk_migration_state)
        return 0;
    struct zk_migration_state_record r = {.zk_migration_state = image->zk_migration_state};
    return write_record(w, &zk_migration_state_record_type, 0, &r);
}

static int write_broker(struct writer *w, const struct image_broker *b)
{
    struct register_broker_record r = register_broker_record_default;
    r.broker_id = b->id;
    r.broker_epoch = b->epoch;
    r.incarnation_id = b->incarnation_id;
    r.fenced = b->fenced;
    r.in_controlled_shutdown = b->in_controlled_shutdown;
    r.is_migrating_zk_broker = b->is_migrating_zk_broker;
    r.rack = b->rack;
    r.end_points_count = (int32_t)b->endpoints_count;
    r.features_count = (int32_t)b->features_count;
    r.end_points = register_broker_record_broker_endpoint_new(&w->arena, r.end_points_count);
    r.features = register_broker_record_broker_feature_new(&w->arena, r.features_count);
    if (!r.end_points || !r.features)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < b->endpoints_count; i++)
        r.end_points[i] = (struct register_broker_record_broker_endpoint){
            b->endpoints[i].name, b->endpoints[i].host, b->endpoints[i].port,
            b->endpoints[i].security_protocol};
    for (uint32_t i = 0; i < b->features_count; i++)
        r.features[i] = (struct register_broker_record_broker_feature){
            b->features[i].name, b->features[i].min, b->features[i].max};
    if (w->metadata_version >= METADATA_VERSION_DIRECTORIES) {
        r.log_dirs = b->log_dirs;
        r.log_dirs_count = (int32_t)b->log_dirs_count;
    }
    if (w->metadata_version >= METADATA_VERSION_CORDONED && b->has_cordoned_log_dirs) {
        r.cordoned_log_dirs = b->cordoned_log_dirs;
        r.cordoned_log_dirs_count = (int32_t)b->cordoned_log_dirs_count;
    }
    return write_record(w, &register_broker_record_type,
                        metadata_register_broker_version(w->metadata_version), &r);
}

static int write_controller(struct writer *w, const struct image_controller *c)
{
    struct register_controller_record r = register_controller_record_default;
    r.controller_id = c->id;
    r.incarnation_id = c->incarnation_id;
    r.zk_migration_ready = c->zk_migration_ready;
    r.end_points_count = (int32_t)c->endpoints_count;
    r.features_count = (int32_t)c->features_count;
    r.end_points = register_controller_record_controller_endpoint_new(&w->arena, r.end_points_count);
    r.features = register_controller_record_controller_feature_new(&w->arena, r.features_count);
    if (!r.end_points || !r.features)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < c->endpoints_count; i++)
        r.end_points[i] = (struct register_controller_record_controller_endpoint){
            c->endpoints[i].name, c->endpoints[i].host, c->endpoints[i].port,
            c->endpoints[i].security_protocol};
    for (uint32_t i = 0; i < c->features_count; i++)
        r.features[i] = (struct register_controller_record_controller_feature){
            c->features[i].name, c->features[i].min, c->features[i].max};
    return write_record(w, &register_controller_record_type, 0, &r);
}

static int write_cluster(struct writer *w, const struct image *image)
{
    for (uint32_t i = 0; i < image->brokers_count; i++) {
        int rc = write_broker(w, image->brokers[i]);
        if (rc)
            return rc;
    }
    for (uint32_t i = 0; i < image->controllers_count; i++) {
        int rc = write_controller(w, image->controllers[i]);
        if (rc)
            return rc;
    }
    return 0;
}

void metadata_partition_record(const struct image_partition *p, const struct uuid *topic_id,
                               int32_t metadata_version, struct partition_record *r)
{
    *r = partition_record_default;
    r->partition_id = p->id;
    r->topic_id = *topic_id;
    r->leader = p->leader;
    r->leader_epoch = p->leader_epoch;
    r->partition_epoch = p->partition_epoch;
    r->leader_recovery_state = p->leader_recovery_state;
    r->replicas = p->replicas;
    r->replicas_count = (int32_t)p->replicas_count;
    r->isr = p->isr;
    r->isr_count = (int32_t)p->isr_count;
    r->removing_replicas = p->removing;
    r->removing_replicas_count = (int32_t)p->removing_count;
    r->adding_replicas = p->adding;
    r->adding_replicas_count = (int32_t)p->adding_count;
    if (metadata_version >= METADATA_VERSION_DIRECTORIES) {
        r->directories = p->directories;
        r->directories_count = (int32_t)p->replicas_count;
    }
    if (metadata_version < METADATA_VERSION_ELR)
        return;
    if (p->elr_count) { // tagged: left out when empty
        r->eligible_leader_replicas = p->elr;
        r->eligible_leader_replicas_count = (int32_t)p->elr_count;
    }
    if (p->last_known_elr_count) {
        r->last_known_elr = p->last_known_elr;
        r->last_known_elr_count = (int32_t)p->last_known_elr_count;
    }
}

static int write_topics(struct writer *w, const struct image *image)
{
    struct hamt_walk walk = hamt_walk(&image->topics_by_id);
    for (const struct image_topic *t; (t = hamt_next(&walk));) {
        struct topic_record r = {.name = t->name, .topic_id = t->id};
        int rc = write_record(w, &topic_record_type, 0, &r);
        for (uint32_t i = 0; i < t->partitions_count && rc == 0; i++) {
            struct partition_record p;
            metadata_partition_record(t->partitions[i], &t->id, w->metadata_version, &p);
            rc = write_record(w, &partition_record_type, metadata_partition_version(w->metadata_version), &p);
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int write_configs(struct writer *w, const struct image *image)
{
    struct hamt_walk walk = hamt_walk(&image->configs);
    for (const struct image_config *c; (c = hamt_next(&walk));) {
        for (uint32_t i = 0; i < c->entries_count; i++) {
            struct config_record r = {.resource_type = c->key.type,
                                      .resource_name = c->key.name,
                                      .name = c->entries[i].name,
                                      .value = c->entries[i].value};
            int rc = write_record(w, &config_record_type, 0, &r);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int write_producer_ids(struct writer *w, const struct image *image)
{
    if (image->next_producer_id < 0)
        return 0;
    struct producer_ids_record r = {
        .broker_id = -1, .broker_epoch = -1, .next_producer_id = image->next_producer_id};
    return write_record(w, &producer_ids_record_type, 0, &r);
}

static int write_quota(struct writer *w, const struct image_quota *q)
{
    for (uint32_t i = 0; i < q->values_count; i++) {
        struct client_quota_record r = {
            .entity_count = (int32_t)q->entity.count, .key = q->values[i].key, .value = q->values[i].value};
        r.entity = client_quota_record_entity_data_new(&w->arena, r.entity_count);
        if (!r.entity)
            return ERR_NOMEM;
        // User before client id, as Kafka has them.
        for (uint32_t p = 0; p < q->entity.count; p++) {
            const struct image_quota_part *part = &q->entity.parts[q->entity.count - 1 - p];
            r.entity[p] = (struct client_quota_record_entity_data){part->type, part->name};
        }
        int rc = write_record(w, &client_quota_record_type, 0, &r);
        if (rc)
            return rc;
    }
    return 0;
}

static int write_quotas(struct writer *w, const struct image *image)
{
    struct arena arena;
    arena_init(&arena, 0);
    const struct image_quota **quotas = image_quotas_in_turn(image, &arena);
    int rc = quotas ? 0 : ERR_NOMEM;
    for (size_t i = 0; i < image->quotas.count && rc == 0; i++)
        rc = write_quota(w, quotas[i]);
    arena_free(&arena);
    return rc;
}

// By mechanism. What this metadata.version cannot say (it was downgraded) is lost, as in Kafka.
static int write_scram(struct writer *w, const struct image *image)
{
    if (w->metadata_version < METADATA_VERSION_SCRAM)
        return 0;
    for (int8_t mechanism = SCRAM_SHA_256; mechanism <= SCRAM_SHA_512; mechanism++) {
        struct hamt_walk walk = hamt_walk(&image->scram);
        for (const struct image_scram *s; (s = hamt_next(&walk));) {
            struct user_scram_credential_record r = {.name = s->key.user,
                                                     .mechanism = s->key.mechanism,
                                                     .salt = s->salt,
                                                     .stored_key = s->stored_key,
                                                     .server_key = s->server_key,
                                                     .iterations = s->iterations};
            int rc = s->key.mechanism == mechanism
                         ? write_record(w, &user_scram_credential_record_type, 0, &r)
                         : 0;
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int write_kept(struct writer *w, const struct image *image, int16_t type)
{
    struct hamt_walk walk = hamt_walk(&image->kept);
    for (const struct image_kept *k; (k = hamt_next(&walk));) {
        int rc = k->type == type ? w->emit(w->context, k->value) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int image_write(const struct image *image, int (*emit)(void *context, struct bytes value), void *context)
{
    struct writer w = {.emit = emit, .context = context, .metadata_version = image->metadata_version};
    arena_init(&w.arena, 0);
    int rc = write_features(&w, image);
    if (rc == 0)
        rc = write_cluster(&w, image);
    if (rc == 0)
        rc = write_topics(&w, image);
    if (rc == 0)
        rc = write_configs(&w, image);
    if (rc == 0)
        rc = write_quotas(&w, image);
    if (rc == 0)
        rc = write_producer_ids(&w, image);
    if (rc == 0)
        rc = write_kept(&w, image, RECORD_ACCESS_CONTROL_ENTRY);
    if (rc == 0)
        rc = write_scram(&w, image);
    if (rc == 0)
        rc = write_kept(&w, image, RECORD_DELEGATION_TOKEN);
    buffer_free(&w.value);
    arena_free(&w.arena);
    return rc;
}
