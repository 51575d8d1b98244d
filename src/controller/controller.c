#include "controller/controller.h"

#include "base/error.h"
#include "controller/controller_internal.h"
#include "protocol/api.h"

#include <stdio.h>
#include <stdlib.h>

// KIP-631: what one request may append.
#define RECORDS_LIMIT 1000000

struct controller *controller_new(const struct controller_config *config, const struct image *image)
{
    struct controller *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->config = *config;
    c->image = image_ref(image);
    c->random = config->seed | 1;
    return c;
}

void controller_free(struct controller *c)
{
    if (!c)
        return;
    image_unref(c->image);
    free(c->sessions);
    free(c);
}

void controller_replay(struct controller *c, const struct image *image)
{
    struct image *old = c->image;
    c->image = image_ref(image);
    image_unref(old);
}

struct uuid controller_new_id(struct controller *c)
{
    return c->config.new_id ? c->config.new_id(c->config.new_id_context) : uuid_random();
}

uint64_t controller_random(struct controller *c)
{
    c->random ^= c->random << 13;
    c->random ^= c->random >> 7;
    c->random ^= c->random << 17;
    return c->random;
}

struct config_layers controller_layers(const struct controller *c)
{
    struct config_layers layers = CONFIG_LAYERS_NONE;
    char id[16];
    snprintf(id, sizeof id, "%d", c->config.config->node_id);
    const struct image_config *cluster = image_config(c->image, IMAGE_RESOURCE_BROKER, STR(""));
    const struct image_config *broker = image_config(c->image, IMAGE_RESOURCE_BROKER, str_from(id));
    if (cluster) {
        layers.cluster = cluster->entries;
        layers.cluster_count = cluster->entries_count;
    }
    if (broker) {
        layers.broker = broker->entries;
        layers.broker_count = broker->entries_count;
    }
    return layers;
}

// --- effects ---

void controller_effects_init(struct controller_effects *e)
{
    *e = (struct controller_effects){0};
    arena_init(&e->arena, 0);
}

void controller_set_kraft_version(struct controller *c, int16_t kraft_version)
{
    c->config.kraft_version = kraft_version;
}

void controller_effects_reset(struct controller_effects *e)
{
    arena_reset(&e->arena);
    e->records_count = 0;
    e->kraft_version = -1;
    e->error = 0;
}

void controller_effects_free(struct controller_effects *e)
{
    arena_free(&e->arena);
    free(e->records);
    *e = (struct controller_effects){0};
}

static int add_record(struct controller_effects *e, const struct message_type *type, int16_t version,
                      const void *message)
{
    if (e->records_count == RECORDS_LIMIT)
        return ERR_LIMIT;
    if (e->records_count == e->records_capacity) {
        size_t capacity = e->records_capacity ? e->records_capacity * 2 : 16;
        struct bytes *grown = realloc(e->records, capacity * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        e->records = grown;
        e->records_capacity = capacity;
    }
    struct buffer value = BUFFER_INIT;
    int rc = metadata_record_append(&value, type, version, message);
    struct bytes copy = BYTES_NULL;
    if (rc == 0) {
        copy = arena_bytes(&e->arena, (struct bytes){value.data, value.size});
        rc = copy.data ? 0 : ERR_NOMEM;
    }
    buffer_free(&value);
    if (rc == 0)
        e->records[e->records_count++] = copy;
    return rc;
}

void step_emit(struct step *s, const struct message_type *type, int16_t version, const void *message)
{
    if (s->effects->error == 0)
        s->effects->error = add_record(s->effects, type, version, message);
}

void *step_respond(struct step *s, const struct message_type *type)
{
    void *response = arena_alloc(&s->event->arena, type->size_bytes);
    if (response)
        message_init(type, response);
    s->event->response = response;
    return response;
}

bool step_allows(const struct step *s, int8_t operation, int8_t resource_type, struct str name)
{
    const struct controller_event *e = s->event;
    return !e->allows || e->allows(e->allows_context, operation, resource_type, name);
}

bool step_charge(const struct step *s, int32_t partitions)
{
    const struct controller_event *e = s->event;
    return !e->charge || e->charge(e->charge_context, partitions, s->now_ms);
}

// --- events ---

static const struct {
    int16_t api_key;
    int (*serve)(struct step *s);
} handlers[] = {
    // clang-format off
    {19, on_create_topics},
    {20, on_delete_topics},
    {33, on_alter_configs},
    {37, on_create_partitions},
    {43, on_elect_leaders},
    {44, on_incremental_alter_configs},
    {45, on_alter_reassignments},
    {49, on_alter_client_quotas},
    {51, on_alter_user_scram_credentials},
    {57, on_update_features},
    {62, on_broker_registration},
    {63, on_broker_heartbeat},
    {64, on_unregister_broker},
    {67, on_allocate_producer_ids},
    {73, on_assign_replicas_to_dirs},
    // clang-format on
};

int controller_step(struct controller *c, struct controller_event *event, int64_t next_offset, int64_t now_ms,
                    struct controller_effects *effects)
{
    struct step s = {c, event, effects, next_offset, now_ms};
    event->error = E_NONE;
    event->response = NULL;
    event->offset = -1;
    int rc = ERR_UNSUPPORTED;
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (handlers[i].api_key == event->api_key)
            rc = handlers[i].serve(&s);
    if (rc == 0)
        rc = effects->error;
    if (rc || event->error != E_NONE) {
        effects->records_count = 0;
        event->response = NULL;
        if (event->error == E_NONE)
            event->error = rc == ERR_UNSUPPORTED ? E_UNSUPPORTED_VERSION : E_UNKNOWN_SERVER_ERROR;
        return rc;
    }
    if (effects->records_count)
        event->offset = step_offset(&s) - 1;
    return 0;
}
