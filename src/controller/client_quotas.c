// AlterClientQuotas: the checks, error codes and texts of Kafka 4.3.1.
//
// Where several things are wrong Kafka tells the first that it meets, in the order of its hash maps; so do
// we.
#include "base/error.h"
#include "base/java_order.h"
#include "base/map.h"
#include "controller/controller_internal.h"

#include <math.h>
#include <stdlib.h>

#define entry_data  alter_client_quotas_request_entry_data
#define op_data     alter_client_quotas_request_op_data
#define result_data alter_client_quotas_response_entry_data

struct alteration {
    struct step *step;
    const struct entry_data *entry;
    struct arena *arena;
    struct image_quota_entity entity; // each type once, in Kafka's order
    struct image_quota_entity sorted; // the same, in the image's
    struct result_data *result;
};

static void fail(struct alteration *a, struct str message)
{
    a->result->error_code = E_INVALID_REQUEST;
    a->result->error_message = message;
}

#define FAIL(a, ...) fail(a, arena_printf((a)->arena, __VA_ARGS__))

// Orders different names as a HashMap that was made for `planned` of them lists them.
static int java_order(struct alteration *a, const struct str *names, uint32_t count, uint32_t planned,
                      size_t **order)
{
    uint32_t *hashes = arena_zalloc(a->arena, count + 1, sizeof *hashes);
    for (uint32_t i = 0; hashes && i < count; i++)
        hashes[i] = java_string_hash(names[i]);
    return hashes ? java_hash_order(hashes, count, 0, planned, a->arena, order) : ERR_NOMEM;
}

// --- the entity ---

static int compare_parts(const void *a, const void *b)
{
    return str_compare(((const struct image_quota_part *)a)->type,
                       ((const struct image_quota_part *)b)->type);
}

static int take_entity(struct alteration *a)
{
    const struct entry_data *e = a->entry;
    uint32_t planned = (uint32_t)e->entity_count, count = 0;
    struct str *types = arena_zalloc(a->arena, planned + 1, sizeof *types);
    struct str *names = arena_zalloc(a->arena, planned + 1, sizeof *names);
    size_t *order;
    a->entity.parts = arena_zalloc(a->arena, planned + 1, sizeof *a->entity.parts);
    a->sorted.parts = arena_zalloc(a->arena, planned + 1, sizeof *a->sorted.parts);
    struct map seen = MAP_INIT;
    if (!types || !names || !a->entity.parts || !a->sorted.parts)
        return ERR_NOMEM;
    int rc = 0;
    for (uint32_t i = 0; i < planned && !rc; i++) {
        struct str *type = map_get(&seen, e->entity[i].entity_type);
        if (!type) {
            type = &types[count++];
            *type = e->entity[i].entity_type;
            rc = map_put(&seen, *type, type);
        }
        names[type - types] = e->entity[i].entity_name;
    }
    map_free(&seen);
    if (!rc)
        rc = java_order(a, types, count, planned, &order);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < count; i++)
        a->entity.parts[i] = (struct image_quota_part){types[order[i]], names[order[i]]};
    a->entity.count = a->sorted.count = count;
    if (count) {
        memcpy(a->sorted.parts, a->entity.parts, count * sizeof *a->sorted.parts);
        qsort(a->sorted.parts, count, sizeof *a->sorted.parts, compare_parts);
    }
    return rc;
}

static bool has(const struct alteration *a, const char *type, struct str *name)
{
    for (uint32_t i = 0; i < a->entity.count; i++) {
        if (!str_is(a->entity.parts[i].type, type))
            continue;
        if (name)
            *name = a->entity.parts[i].name;
        return true;
    }
    return false;
}

// As Java prints the entity.
static void write_entity(const struct alteration *a, struct buffer *out)
{
    for (uint32_t i = 0; i < a->entity.count; i++) {
        const struct image_quota_part *p = &a->entity.parts[i];
        struct str name = p->name.data ? p->name : STR("null");
        buffer_printf(out, "%s%.*s=%.*s", i ? ", " : "", STR_ARG(p->type), STR_ARG(name));
    }
}

static bool check_entity(struct alteration *a)
{
    for (uint32_t i = 0; i < a->entity.count; i++) {
        const struct image_quota_part *p = &a->entity.parts[i];
        if (!str_is(p->type, "user") && !str_is(p->type, "client-id") && !str_is(p->type, "ip"))
            FAIL(a, "Unhandled client quota entity type: %.*s", STR_ARG(p->type));
        else if (p->name.data && p->name.size == 0)
            FAIL(a, "Empty %.*s not supported", STR_ARG(p->type));
        else
            continue;
        return false;
    }
    struct str ip;
    if (a->entity.count == 0)
        fail(a, STR("Invalid empty client quota entity"));
    else if (!has(a, "ip", &ip))
        return true;
    else if (a->entity.count > 1)
        fail(a, STR("Invalid quota entity combination, IP entity should"
                    "not be combined with User or ClientId"));
    else if (ip.data && a->step->c->config.is_host && !a->step->c->config.is_host(ip))
        FAIL(a, "%.*s is not a valid IP or resolvable host.", STR_ARG(ip));
    else
        return true;
    return false;
}

// --- its values ---

enum value_type { VALUE_DOUBLE, VALUE_INT, VALUE_LONG };

static const struct {
    enum image_quota_kind kind;
    enum value_type type;
    bool of_ip;
} keys[] = {
    {QUOTA_PRODUCER_BYTE_RATE, VALUE_LONG, false},     {QUOTA_CONSUMER_BYTE_RATE, VALUE_LONG, false},
    {QUOTA_REQUEST_PERCENTAGE, VALUE_DOUBLE, false},   {QUOTA_CONTROLLER_MUTATION_RATE, VALUE_DOUBLE, false},
    {QUOTA_CONNECTION_CREATION_RATE, VALUE_INT, true},
};

static bool check_value(struct alteration *a, const struct op_data *op)
{
    bool of_ip = has(a, "ip", NULL);
    size_t i = 0, count = sizeof keys / sizeof *keys;
    while (i < count && (keys[i].of_ip != of_ip || !str_equal(image_quota_keys[keys[i].kind], op->key)))
        i++;
    if (i == count)
        FAIL(a, "Invalid configuration key %.*s", STR_ARG(op->key));
    else if (op->value <= 0.0)
        FAIL(a, "Quota %.*s must be greater than 0", STR_ARG(op->key));
    else if (keys[i].type == VALUE_INT && op->value > (double)INT32_MAX)
        FAIL(a, "Proposed value for %.*s is too large for an INT.", STR_ARG(op->key));
    else if (keys[i].type == VALUE_LONG && op->value > (double)INT64_MAX)
        FAIL(a, "Proposed value for %.*s is too large for a LONG.", STR_ARG(op->key));
    else if (keys[i].type != VALUE_DOUBLE && fabs(fmod(op->value, 1.0)) > 1e-6)
        FAIL(a, "%.*s cannot be a fractional value.", STR_ARG(op->key));
    else
        return true;
    return false;
}

static const struct image_quota_value *value_of(const struct image_quota *q, struct str key)
{
    for (uint32_t i = 0; q && i < q->values_count; i++)
        if (str_equal(q->values[i].key, key))
            return &q->values[i];
    return NULL;
}

// As Double.equals sees it: not a number is itself.
static bool same_value(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static int emit(struct alteration *a, const struct op_data *op)
{
    struct client_quota_record r = {
        .key = op->key, .remove = op->remove, .value = op->remove ? 0 : op->value};
    r.entity_count = (int32_t)a->entity.count;
    r.entity = client_quota_record_entity_data_new(a->arena, r.entity_count);
    if (!r.entity)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < a->entity.count; i++)
        r.entity[i] =
            (struct client_quota_record_entity_data){a->entity.parts[i].type, a->entity.parts[i].name};
    step_emit(a->step, &client_quota_record_type, 0, &r);
    return 0;
}

static int find_duplicate_key(const struct entry_data *e, bool *found)
{
    struct map seen = MAP_INIT;
    int rc = 0;
    *found = false;
    for (int32_t i = 0; i < e->ops_count && !*found && !rc; i++) {
        *found = map_get(&seen, e->ops[i].key) != NULL;
        rc = map_put(&seen, e->ops[i].key, &e->ops[i]);
    }
    map_free(&seen);
    return rc;
}

// The first value that is wrong refuses all of the entity's.
static int alter_values(struct alteration *a, bool validate_only)
{
    const struct image_quota *now = image_quota(a->step->c->image, &a->sorted);
    uint32_t count = (uint32_t)a->entry->ops_count;
    struct str *names = arena_zalloc(a->arena, count + 1, sizeof *names);
    size_t *order;
    if (!names)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        names[i] = a->entry->ops[i].key;
    int rc = java_order(a, names, count, count, &order);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < count; i++) {
        const struct op_data *op = &a->entry->ops[order[i]];
        if (!op->remove && !check_value(a, op))
            return 0;
    }
    for (uint32_t i = 0; i < count && !rc && !validate_only; i++) {
        const struct op_data *op = &a->entry->ops[order[i]];
        const struct image_quota_value *value = value_of(now, op->key);
        if (op->remove ? value != NULL : !value || !same_value(value->value, op->value))
            rc = emit(a, op);
    }
    return rc;
}

// --- the request as a whole ---

// Makes the entity's entry in the response, and remembers that it was seen.
static int add_result(struct alteration *a, struct alter_client_quotas_response *response, struct map *seen,
                      struct str key)
{
    a->result = &response->entries[response->entries_count++];
    a->result->error_message = STR_NULL;
    a->result->entity = alter_client_quotas_response_entity_data_new(a->arena, (int32_t)a->entity.count);
    if (!a->result->entity)
        return ERR_NOMEM;
    a->result->entity_count = (int32_t)a->entity.count;
    for (uint32_t i = 0; i < a->entity.count; i++) {
        a->result->entity[i].entity_type = a->entity.parts[i].type;
        a->result->entity[i].entity_name = a->entity.parts[i].name;
    }
    return map_put(seen, key, a->result);
}

// What tells entities apart.
static void write_key(const struct alteration *a, struct buffer *out)
{
    for (uint32_t i = 0; i < a->sorted.count; i++) {
        const struct image_quota_part *p = &a->sorted.parts[i];
        buffer_printf(out, "%zu:%.*s%s%zu:%.*s", p->type.size, STR_ARG(p->type), p->name.data ? "=" : "-",
                      p->name.size, STR_ARG(p->name));
    }
}

// What `write` makes of the entity, in the arena; a null view when out of memory.
static struct str entity_text(const struct alteration *a,
                              void (*write)(const struct alteration *, struct buffer *))
{
    struct buffer text = BUFFER_INIT;
    buffer_append(&text, "", 0);
    write(a, &text);
    struct str out = STR_NULL;
    if (!text.failed)
        out = arena_str(a->arena, (struct str){text.size ? (const char *)text.data : "", text.size});
    buffer_free(&text);
    return out;
}

static int alter(struct alteration *a, struct alter_client_quotas_response *response, struct map *seen,
                 bool validate_only)
{
    int rc = take_entity(a);
    if (rc)
        return rc;
    bool again;
    struct str key = entity_text(a, write_key);
    rc = key.data ? find_duplicate_key(a->entry, &again) : ERR_NOMEM;
    if (rc)
        return rc;
    a->result = map_get(seen, key);
    again |= a->result != NULL;
    if (!a->result)
        rc = add_result(a, response, seen, key);
    if (rc)
        return rc;
    if (again) {
        struct str text = entity_text(a, write_entity);
        FAIL(a, "Ignoring duplicate entity ClientQuotaEntity(entries={%.*s})", STR_ARG(text));
        return 0;
    }
    return check_entity(a) ? alter_values(a, validate_only) : 0;
}

// Puts the entries in Kafka's order, which has them in a HashMap by their entities.
static int order_results(struct alter_client_quotas_response *response, struct arena *arena)
{
    int32_t count = response->entries_count;
    size_t *order;
    uint32_t *hashes = arena_zalloc(arena, (size_t)count + 1, sizeof *hashes);
    struct alter_client_quotas_response_entry_data *came = response->entries,
                                                   *sorted = alter_client_quotas_response_entry_data_new(
                                                       arena, count);
    if (!hashes || !sorted)
        return ERR_NOMEM;
    for (int32_t i = 0; i < count; i++) {
        hashes[i] = 31; // a list of one thing
        for (int32_t k = 0; k < came[i].entity_count; k++)
            hashes[i] += java_entry_hash(came[i].entity[k].entity_type, came[i].entity[k].entity_name);
    }
    int rc = java_hash_order(hashes, (size_t)count, 0, JAVA_MAP_SIZE, arena, &order);
    for (int32_t i = 0; i < count && rc == 0; i++)
        sorted[i] = came[order[i]];
    response->entries = sorted;
    return rc;
}

int on_alter_client_quotas(struct step *s)
{
    const struct alter_client_quotas_request *q = s->event->request;
    struct alter_client_quotas_response *response = step_respond(s, &alter_client_quotas_response_type);
    if (!response)
        return ERR_NOMEM;
    response->entries = alter_client_quotas_response_entry_data_new(&s->event->arena, q->entries_count);
    if (!response->entries)
        return ERR_NOMEM;
    struct map seen = MAP_INIT;
    int rc = 0;
    for (int32_t i = 0; i < q->entries_count && !rc; i++) {
        struct alteration a = {.step = s, .entry = &q->entries[i], .arena = &s->event->arena};
        rc = alter(&a, response, &seen, q->validate_only);
    }
    map_free(&seen);
    return rc ? rc : order_results(response, &s->event->arena);
}
