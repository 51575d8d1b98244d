// IncrementalAlterConfigs and AlterConfigs: the checks, error codes and texts of Kafka 4.3.1's controller.
// What a broker's own settings may be is checked before, by the broker that was asked (server/handlers).
#include "base/error.h"
#include "base/java_order.h"
#include "base/map.h"
#include "config/alter.h"
#include "config/topic_config.h"
#include "controller/controller_internal.h"

#include <stdlib.h>

// One setting of one resource, of either API.
struct operation {
    struct str name, value;
    int8_t operation;
};

// One resource: what is asked, what it has, and what it is to have.
struct alteration {
    struct step *step;
    struct arena *arena;
    int8_t type;
    struct str name;
    struct operation *operations; // in Kafka's order
    size_t count;
    bool replaces; // AlterConfigs: what is not named goes
    const struct image_config *before;
    struct config_entry *after;
    size_t after_count;
    struct map after_by_name; // a request may have very many
    int16_t error;
    struct str message;
};

static int fail(struct alteration *a, int16_t error, struct str message)
{
    a->error = error;
    a->message = message;
    return message.data ? 1 : ERR_NOMEM; // answered
}

#define FAIL(a, error, ...) fail(a, error, arena_printf((a)->arena, __VA_ARGS__))

// --- what the resource is to have ---

// The settings that have the type of a list, of the resources of which the controller knows types.
static const struct setting *list_setting(const struct alteration *a, struct str name)
{
    const struct setting *s = NULL;
    if (a->type == IMAGE_RESOURCE_TOPIC)
        s = setting_find(SETTING_TOPIC, name);
    else if (a->type == IMAGE_RESOURCE_BROKER)
        s = setting_find(SETTING_BROKER, name);
    return s && s->type == SETTING_LIST ? s : NULL;
}

// The value that an operation leaves; null: none.
static int operate(struct alteration *a, const struct operation *o, struct str *value)
{
    bool append = o->operation == CONFIG_APPEND;
    if (o->operation == CONFIG_SET || o->operation == CONFIG_DELETE) {
        *value = o->operation == CONFIG_SET ? o->value : STR_NULL;
        return 0;
    }
    const struct setting *s = list_setting(a, o->name);
    if (!s)
        return FAIL(a, E_INVALID_CONFIG, "Can't %s to key %.*s because its type is not LIST.",
                    append ? "APPEND" : "SUBTRACT", STR_ARG(o->name));
    struct str now = image_config_value(a->before, o->name);
    if (!now.data)
        now = str_from(s->default_text);
    *value =
        append ? config_list_append(now, o->value, a->arena) : config_list_subtract(now, o->value, a->arena);
    return value->data ? 0 : ERR_NOMEM;
}

static struct config_entry *entry_of(const struct alteration *a, struct str name)
{
    return map_get(&a->after_by_name, name);
}

static int put_in(struct alteration *a, struct str name, struct str value)
{
    struct config_entry *e = &a->after[a->after_count++];
    *e = (struct config_entry){name, value};
    return map_put(&a->after_by_name, e->name, e);
}

// The last one takes its place.
static int take_out(struct alteration *a, struct config_entry *e)
{
    (void)map_remove(&a->after_by_name, e->name);
    const struct config_entry *last = &a->after[--a->after_count];
    if (e == last)
        return 0;
    *e = *last;
    return map_put(&a->after_by_name, e->name, e);
}

static int work_out(struct alteration *a)
{
    size_t had = a->before ? a->before->entries_count : 0;
    a->after = arena_zalloc(a->arena, had + a->count + 1, sizeof *a->after);
    if (!a->after)
        return ERR_NOMEM;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < had && !a->replaces; i++)
        rc = put_in(a, a->before->entries[i].name, a->before->entries[i].value);
    for (size_t i = 0; rc == 0 && i < a->count; i++) {
        const struct operation *o = &a->operations[i];
        struct config_entry *e = entry_of(a, o->name);
        struct str value;
        rc = operate(a, o, &value);
        if (rc == 0 && value.data && e)
            e->value = value;
        else if (rc == 0 && value.data)
            rc = put_in(a, o->name, value);
        else if (rc == 0 && e)
            rc = take_out(a, e);
    }
    return rc;
}

// --- whether it may have that ---

static int invalid(struct alteration *a, int rc, int16_t error, struct str message)
{
    return rc == ERR_INVALID ? fail(a, error, message) : rc;
}

static int check_topic(struct alteration *a)
{
    const struct broker_config *config = a->step->c->config.config;
    struct config_layers layers = controller_layers(a->step->c);
    struct str problem = topic_name_problem(a->name, a->arena), message = STR_NULL;
    if (a->name.size == 0)
        return fail(a, E_INVALID_REQUEST, STR("Default topic resources are not allowed."));
    if (problem.data)
        return fail(a, E_INVALID_TOPIC_EXCEPTION, problem);
    int rc = topic_config_validate(config, &layers, a->after, a->after_count, a->arena, &message);
    if (rc)
        return invalid(a, rc, E_INVALID_CONFIG, message);
    if (!image_topic(a->step->c->image, a->name))
        return FAIL(a, E_UNKNOWN_TOPIC_OR_PARTITION, "The topic '%.*s' does not exist.", STR_ARG(a->name));
    return 0;
}

// KIP-966: with eligible leader replicas the minimum ISR is the cluster's, and it is always set.
static int check_min_isr(struct alteration *a)
{
    if (image_feature_level(a->step->c->image, STR("eligible.leader.replicas.version")) < 1)
        return 0;
    bool of_cluster = a->name.size == 0, named = false;
    for (size_t i = 0; i < a->count; i++)
        named |= str_is(a->operations[i].name, MIN_ISR);
    bool removed = image_config_value(a->before, STR(MIN_ISR)).data && !entry_of(a, STR(MIN_ISR));
    if (!of_cluster && (named || removed))
        return fail(a, E_INVALID_CONFIG,
                    STR("Broker-level " MIN_ISR " cannot be altered while ELR is enabled."));
    if (of_cluster && (removed || (named && !entry_of(a, STR(MIN_ISR)))))
        return fail(a, E_INVALID_CONFIG,
                    STR("Cluster-level " MIN_ISR " cannot be removed while ELR is enabled."));
    return 0;
}

// KIP-1066: the metadata has to have a word for it; Kafka does not even take it back before.
static int check_cordoned(struct alteration *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (str_is(a->operations[i].name, "cordoned.log.dirs") &&
            a->step->c->image->metadata_version < METADATA_VERSION_CORDONED)
            return fail(a, E_INVALID_CONFIG,
                        STR("The cordoned.log.dirs configuration value cannot be set because it requires "
                            "metadata.version >= 4.3-IV0"));
    return 0;
}

static int check_broker(struct alteration *a)
{
    int64_t id;
    if (a->name.size == 0)
        return check_min_isr(a);
    if (!str_to_integer(a->name, INT32_MIN, INT32_MAX, &id))
        return fail(a, E_INVALID_REQUEST, STR("Unable to parse broker name as a base 10 number."));
    if (id < 0)
        return fail(a, E_INVALID_REQUEST, STR("Invalid negative broker ID."));
    int rc = check_min_isr(a);
    rc = rc ? rc : check_cordoned(a);
    if (rc)
        return rc;
    if (!image_broker(a->step->c->image, (int32_t)id))
        return FAIL(a, E_BROKER_ID_NOT_REGISTERED, "No broker with id %d found.", (int)id);
    return 0;
}

static int check_group(struct alteration *a)
{
    struct config_layers layers = controller_layers(a->step->c);
    struct str message;
    if (a->name.size == 0)
        return fail(a, E_INVALID_REQUEST, STR("Default group resources are not allowed."));
    int rc = group_config_validate(a->step->c->config.config, &layers, a->after, a->after_count, a->arena,
                                   &message);
    return invalid(a, rc, E_INVALID_CONFIG, message);
}

static int check_client_metrics(struct alteration *a)
{
    struct str message;
    bool bad_request;
    if (a->name.size == 0)
        return fail(a, E_INVALID_REQUEST, STR("Subscription name can't be empty"));
    int rc = client_metrics_validate(a->after, a->after_count, a->arena, &message, &bad_request);
    return invalid(a, rc, bad_request ? E_INVALID_REQUEST : E_INVALID_CONFIG, message);
}

static int check(struct alteration *a)
{
    static const struct {
        int8_t type;
        int (*check)(struct alteration *a);
    } checks[] = {{IMAGE_RESOURCE_TOPIC, check_topic},
                  {IMAGE_RESOURCE_BROKER, check_broker},
                  {IMAGE_RESOURCE_GROUP, check_group},
                  {IMAGE_RESOURCE_CLIENT_METRICS, check_client_metrics}};
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (checks[i].type == a->type)
            return checks[i].check(a);
    return FAIL(a, E_INVALID_REQUEST, "Unknown resource type %d", a->type);
}

// --- records ---

static void emit(struct alteration *a, struct str name, struct str value)
{
    struct config_record r = {
        .resource_type = a->type, .resource_name = a->name, .name = name, .value = value};
    step_emit(a->step, &config_record_type, 0, &r);
}

// A broker's settings are written although they are the same: it reads anew what they stand for
// (KAFKA-14136).
static void emit_changes(struct alteration *a)
{
    for (size_t i = 0; i < a->count; i++) {
        struct str name = a->operations[i].name;
        const struct config_entry *e = entry_of(a, name);
        struct str now = image_config_value(a->before, name), then = e ? e->value : STR_NULL;
        bool same = now.data ? then.data && str_equal(now, then) : !then.data;
        if (!same || a->type == IMAGE_RESOURCE_BROKER)
            emit(a, name, then);
    }
    size_t had = a->replaces && a->before ? a->before->entries_count : 0;
    for (size_t i = 0; i < had; i++)
        if (!entry_of(a, a->before->entries[i].name))
            emit(a, a->before->entries[i].name, STR_NULL);
}

// --- the request ---

// Puts the operations into the order of the hash table that Kafka keeps them in.
static int in_order(struct alteration *a)
{
    struct str *names = arena_zalloc(a->arena, a->count + 1, sizeof *names);
    struct operation *sorted = arena_zalloc(a->arena, a->count + 1, sizeof *sorted);
    size_t *order;
    for (size_t i = 0; names && i < a->count; i++)
        names[i] = a->operations[i].name;
    if (!names || !sorted || java_map_order(names, a->count, 0, a->arena, &order) != 0)
        return ERR_NOMEM;
    for (size_t i = 0; i < a->count; i++)
        sorted[i] = a->operations[order[i]];
    a->operations = sorted;
    return 0;
}

// An operation without a meaning ends the whole request, unless something before it is refused: Kafka trips
// over it.
static int16_t find_unknown(const struct alteration *a)
{
    for (size_t i = 0; i < a->count; i++) {
        int8_t operation = a->operations[i].operation;
        if (operation < CONFIG_SET || operation > CONFIG_SUBTRACT)
            return E_UNKNOWN_SERVER_ERROR;
        if (operation >= CONFIG_APPEND && !list_setting(a, a->operations[i].name))
            return E_NONE;
    }
    return E_NONE;
}

static int alter(struct alteration *a, bool validate_only)
{
    int rc = work_out(a);
    rc = rc ? rc : check(a);
    if (rc == 0 && !validate_only)
        emit_changes(a);
    map_free(&a->after_by_name);
    return rc < 0 ? rc : 0;
}

static int alter_all(struct step *s, struct alteration *alterations, size_t count, bool validate_only)
{
    for (size_t i = 0; i < count; i++) {
        struct alteration *a = &alterations[i];
        a->step = s;
        a->arena = &s->event->arena;
        a->before = image_config(s->c->image, a->type, a->name);
        int rc = in_order(a);
        if (rc)
            return rc;
        s->event->error = find_unknown(a);
        if (s->event->error != E_NONE)
            return 0;
    }
    for (size_t i = 0; i < count; i++) {
        int rc = alter(&alterations[i], validate_only);
        if (rc)
            return rc;
    }
    return 0;
}

int on_incremental_alter_configs(struct step *s)
{
    const struct incremental_alter_configs_request *q = s->event->request;
    struct incremental_alter_configs_response *response =
        step_respond(s, &incremental_alter_configs_response_type);
    struct arena *arena = &s->event->arena;
    size_t count = (size_t)q->resources_count;
    struct alteration *alterations = arena_zalloc(arena, count + 1, sizeof *alterations);
    if (!response || !alterations)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        struct alteration *a = &alterations[i];
        a->type = q->resources[i].resource_type;
        a->name = q->resources[i].resource_name;
        a->count = (size_t)q->resources[i].configs_count;
        a->operations = arena_zalloc(arena, a->count + 1, sizeof *a->operations);
        for (size_t k = 0; a->operations && k < a->count; k++)
            a->operations[k] =
                (struct operation){q->resources[i].configs[k].name, q->resources[i].configs[k].value,
                                   q->resources[i].configs[k].config_operation};
        if (!a->operations)
            return ERR_NOMEM;
    }
    int rc = alter_all(s, alterations, count, q->validate_only);
    response->responses =
        incremental_alter_configs_response_alter_configs_resource_response_new(arena, (int32_t)count);
    if (!response->responses)
        return ERR_NOMEM;
    response->responses_count = (int32_t)count;
    for (size_t i = 0; i < count; i++)
        response->responses[i] = (struct incremental_alter_configs_response_alter_configs_resource_response){
            .error_code = alterations[i].error,
            .error_message = alterations[i].message,
            .resource_type = alterations[i].type,
            .resource_name = alterations[i].name};
    return rc;
}

int on_alter_configs(struct step *s)
{
    const struct alter_configs_request *q = s->event->request;
    struct alter_configs_response *response = step_respond(s, &alter_configs_response_type);
    struct arena *arena = &s->event->arena;
    size_t count = (size_t)q->resources_count;
    struct alteration *alterations = arena_zalloc(arena, count + 1, sizeof *alterations);
    if (!response || !alterations)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++) {
        struct alteration *a = &alterations[i];
        a->type = q->resources[i].resource_type;
        a->name = q->resources[i].resource_name;
        a->count = (size_t)q->resources[i].configs_count;
        a->replaces = true;
        a->operations = arena_zalloc(arena, a->count + 1, sizeof *a->operations);
        for (size_t k = 0; a->operations && k < a->count; k++)
            a->operations[k] = (struct operation){q->resources[i].configs[k].name,
                                                  q->resources[i].configs[k].value, CONFIG_SET};
        if (!a->operations)
            return ERR_NOMEM;
    }
    int rc = alter_all(s, alterations, count, q->validate_only);
    response->responses = alter_configs_response_alter_configs_resource_response_new(arena, (int32_t)count);
    if (!response->responses)
        return ERR_NOMEM;
    response->responses_count = (int32_t)count;
    for (size_t i = 0; i < count; i++)
        response->responses[i] = (struct alter_configs_response_alter_configs_resource_response){
            .error_code = alterations[i].error,
            .error_message = alterations[i].message,
            .resource_type = alterations[i].type,
            .resource_name = alterations[i].name};
    return rc;
}
