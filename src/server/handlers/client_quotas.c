// DescribeClientQuotas, answered from the image; AlterClientQuotas, decided by the controller.
#include "base/error.h"
#include "base/java_order.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/request.h"

#include <stdlib.h>

#define component_data describe_client_quotas_request_component_data
#define entry_data     describe_client_quotas_response_entry_data

enum match { MATCH_EXACT, MATCH_DEFAULT, MATCH_SPECIFIED };

enum entity_type { ENTITY_USER, ENTITY_CLIENT_ID, ENTITY_IP, ENTITY_TYPES };
static const char *const entity_types[] = {"user", "client-id", "ip"};

// What is asked of each type of entity; NULL: nothing.
struct filter {
    const struct component_data *of[ENTITY_TYPES];
    uint32_t count;
    bool strict;
};

struct refusal {
    int16_t error;
    struct str message;
};

#define REFUSE(r, out, code, ...) (*(out) = (struct refusal){code, arena_printf(&(r)->arena, __VA_ARGS__)})

static enum entity_type type_of(struct str name)
{
    enum entity_type type = 0;
    while (type < ENTITY_TYPES && !str_is(name, entity_types[type]))
        type++;
    return type;
}

static void check_match(struct request *r, const struct component_data *c, struct refusal *out)
{
    if (c->match_type == MATCH_EXACT && !c->match.data)
        REFUSE(r, out, E_INVALID_REQUEST,
               "Request specified MATCH_TYPE_EXACT, but set match string to null.");
    else if ((c->match_type == MATCH_DEFAULT || c->match_type == MATCH_SPECIFIED) && c->match.data)
        REFUSE(r, out, E_INVALID_REQUEST, "Request specified %s, but also specified a match string.",
               c->match_type == MATCH_DEFAULT ? "MATCH_TYPE_DEFAULT" : "MATCH_TYPE_SPECIFIED");
    else if (c->match_type < MATCH_EXACT || c->match_type > MATCH_SPECIFIED)
        REFUSE(r, out, E_INVALID_REQUEST, "Unknown match type %d", c->match_type);
}

// The components as a filter; the first that is wrong is told.
static void read_filter(struct request *r, struct filter *filter, struct refusal *out)
{
    const struct describe_client_quotas_request *q = r->message;
    *filter = (struct filter){.strict = q->strict};
    for (int32_t i = 0; i < q->components_count && out->error == E_NONE; i++) {
        const struct component_data *c = &q->components[i];
        enum entity_type type = type_of(c->entity_type);
        if (c->entity_type.size == 0) {
            REFUSE(r, out, E_INVALID_REQUEST, "Invalid empty entity type.");
        } else if (type == ENTITY_TYPES) {
            REFUSE(r, out, E_UNSUPPORTED_VERSION, "Unsupported entity type %.*s", STR_ARG(c->entity_type));
        } else if (filter->of[type]) {
            REFUSE(r, out, E_INVALID_REQUEST, "Entity type %.*s cannot appear more than once in the filter.",
                   STR_ARG(c->entity_type));
        } else {
            check_match(r, c, out);
            filter->of[type] = c;
            filter->count++;
        }
    }
    if (out->error == E_NONE && filter->of[ENTITY_IP] && filter->count > 1)
        REFUSE(r, out, E_INVALID_REQUEST,
               "Invalid entity filter component combination. IP filter component should not be used with "
               "user or clientId filter component.");
}

static bool matches(const struct filter *filter, const struct image_quota_entity *entity)
{
    uint32_t asked = 0;
    for (uint32_t i = 0; i < entity->count; i++) {
        const struct image_quota_part *part = &entity->parts[i];
        enum entity_type type = type_of(part->type);
        const struct component_data *c = type < ENTITY_TYPES ? filter->of[type] : NULL;
        if (!c)
            continue;
        asked++;
        if (c->match_type == MATCH_EXACT && (!part->name.data || !str_equal(part->name, c->match)))
            return false;
        if (c->match_type == MATCH_DEFAULT && part->name.data)
            return false;
    }
    return asked == filter->count && (!filter->strict || entity->count == filter->count);
}

static int fill_entry(struct request *r, const struct image_quota *quota, struct entry_data *out)
{
    out->entity = describe_client_quotas_response_entity_data_new(&r->arena, (int32_t)quota->entity.count);
    out->values = describe_client_quotas_response_value_data_new(&r->arena, (int32_t)quota->values_count);
    if (!out->entity || !out->values)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < quota->entity.count; i++) {
        const struct image_quota_part *part = &quota->entity.parts[i];
        out->entity[out->entity_count].entity_type = part->type;
        out->entity[out->entity_count++].entity_name = part->name;
    }
    for (uint32_t i = 0; i < quota->values_count; i++) {
        out->values[out->values_count].key = quota->values[i].key;
        out->values[out->values_count++].value = quota->values[i].value;
    }
    return 0;
}

// As Java's tables do it: a list of one thing, which is a table of names by types.
static uint32_t entity_hash(const struct image_quota_entity *entity)
{
    uint32_t hash = 31;
    for (uint32_t i = 0; i < entity->count; i++)
        hash += java_entry_hash(entity->parts[i].type, entity->parts[i].name);
    return hash;
}

// In Kafka's order, which has all entities in a HashMap; those of one slot, as they came.
static int fill(struct request *r, const struct filter *filter, struct describe_client_quotas_response *out)
{
    const struct image *image = image_current();
    size_t count = 0, all = image->quotas.count, *order;
    const struct image_quota **found = image_quotas_in_turn(image, &r->arena);
    uint32_t *hashes = arena_zalloc(&r->arena, all + 1, sizeof *hashes);
    if (!found || !hashes)
        return ERR_NOMEM;
    for (size_t i = 0; i < all; i++) {
        if (!matches(filter, &found[i]->entity))
            continue;
        found[count] = found[i];
        hashes[count++] = entity_hash(&found[i]->entity);
    }
    out->entries = describe_client_quotas_response_entry_data_new(&r->arena, (int32_t)count);
    if (!out->entries || java_hash_order(hashes, count, all - count, 0, &r->arena, &order))
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        if (fill_entry(r, found[order[i]], &out->entries[out->entries_count++]))
            return ERR_NOMEM;
    return 0;
}

static void handle_describe(struct request *r)
{
    struct describe_client_quotas_response out;
    struct filter filter;
    struct refusal refusal = {E_NONE, STR_NULL};
    message_init(&describe_client_quotas_response_type, &out);
    if (!request_authorize(r, ACL_DESCRIBE_CONFIGS, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME))
        REFUSE(r, &refusal, E_CLUSTER_AUTHORIZATION_FAILED, "%s",
               error_code_message(E_CLUSTER_AUTHORIZATION_FAILED));
    else
        read_filter(r, &filter, &refusal);
    if (refusal.error != E_NONE) {
        out.error_code = refusal.error;
        out.error_message = refusal.message;
        out.entries = NULL;
        out.entries_count = -1;
    } else if (fill(r, &filter, &out)) {
        request_close(r, "out of memory for the response to DescribeClientQuotas");
        return;
    }
    request_respond(r, &out);
}

// There may be any number of entities.
const struct api_handler describe_client_quotas_handler = {.api_key = 48,
                                                           .min_version = 0,
                                                           .max_version = 1,
                                                           .advertised_min_version = -1,
                                                           .listeners = LISTENER_BROKER,
                                                           .worker_bytes = 1,
                                                           .handle = handle_describe};

static int copy_entity(struct request *r, const struct alter_client_quotas_request_entry_data *from,
                       struct alter_client_quotas_response_entry_data *to)
{
    to->entity = alter_client_quotas_response_entity_data_new(&r->arena, from->entity_count);
    if (!to->entity)
        return ERR_NOMEM;
    for (int32_t i = 0; i < from->entity_count; i++) {
        to->entity[to->entity_count].entity_type = from->entity[i].entity_type;
        to->entity[to->entity_count++].entity_name = from->entity[i].entity_name;
    }
    return 0;
}

static void refuse_alter(struct request *r, int16_t error)
{
    const struct alter_client_quotas_request *q = r->message;
    struct alter_client_quotas_response out;
    message_init(&alter_client_quotas_response_type, &out);
    out.entries = alter_client_quotas_response_entry_data_new(&r->arena, q->entries_count);
    for (int32_t i = 0; i < q->entries_count; i++) {
        if (!out.entries || copy_entity(r, &q->entries[i], &out.entries[i])) {
            request_close(r, "out of memory for the response to AlterClientQuotas");
            return;
        }
        out.entries_count++;
        out.entries[i].error_code = error;
        out.entries[i].error_message = str_from(error_code_message(error));
    }
    request_respond(r, &out);
}

static void handle_alter(struct request *r)
{
    if (request_authorize(r, ACL_ALTER_CONFIGS, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME))
        forward_to_controller(r, refuse_alter);
    else
        refuse_alter(r, E_CLUSTER_AUTHORIZATION_FAILED);
}

const struct api_handler alter_client_quotas_handler = {.api_key = 49,
                                                        .min_version = 0,
                                                        .max_version = 1,
                                                        .advertised_min_version = -1,
                                                        .listeners = LISTENER_BROKER,
                                                        .worker_bytes = HEAVY_REQUEST_BYTES,
                                                        .handle = handle_alter};
