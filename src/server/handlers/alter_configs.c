// IncrementalAlterConfigs and AlterConfigs. The broker that is asked sees to what concerns itself (its
// logger, and whether its own settings may be so); the rest goes to the controller
// (controller/alter_configs.c).
#include "base/error.h"
#include "base/logger.h"
#include "base/map.h"
#include "config/alter.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/dynamic_config.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"
#include "server/live_config.h"

#define incremental_result     incremental_alter_configs_response_alter_configs_resource_response
#define incremental_result_new incremental_alter_configs_response_alter_configs_resource_response_new
#define legacy_result          alter_configs_response_alter_configs_resource_response
#define legacy_result_new      alter_configs_response_alter_configs_resource_response_new

#define ONCE_ONLY "Each resource must appear at most once."

struct change {
    struct str name, value;
    int8_t operation;
};

// One resource of the request, of either API.
struct part {
    int8_t type;
    struct str name;
    struct change *changes;
    int32_t count;
    bool done; // answered here; else the controller decides
    int16_t error;
    struct str message;
};

struct alteration {
    struct request *request;
    struct part *parts;
    int32_t count;
    bool validate_only, legacy;
};

static int fail(struct part *p, int16_t error, struct str message)
{
    p->done = true;
    p->error = error;
    p->message = message;
    return 1; // answered
}

#define FAIL(a, p, error, ...) fail(p, error, arena_printf(&(a)->request->arena, __VA_ARGS__))

// --- what every resource must obey ---

// Each resource at most once: all of one that comes twice are refused.
static int check_resources(struct alteration *a)
{
    struct map seen = MAP_INIT;
    int rc = 0;
    for (int32_t i = 0; i < a->count && rc == 0; i++) {
        struct part *p = &a->parts[i], *first;
        struct str key = arena_printf(&a->request->arena, "%d %.*s", p->type, STR_ARG(p->name));
        if (!key.data) {
            rc = ERR_NOMEM;
        } else if ((first = map_get(&seen, key))) {
            fail(first, E_INVALID_REQUEST, STR(ONCE_ONLY));
            fail(p, E_INVALID_REQUEST, STR(ONCE_ONLY));
        } else {
            rc = map_put(&seen, key, p);
        }
    }
    map_free(&seen);
    return rc;
}

static int check_names(struct part *p)
{
    struct map seen = MAP_INIT;
    int rc = 0;
    for (int32_t i = 0; i < p->count && rc == 0; i++)
        rc = map_get(&seen, p->changes[i].name)
                 ? fail(p, E_INVALID_REQUEST, STR("Error due to duplicate config keys"))
                 : map_put(&seen, p->changes[i].name, &p->changes[i]);
    map_free(&seen);
    return rc;
}

static int check_nulls(struct alteration *a, struct part *p)
{
    struct buffer names = BUFFER_INIT;
    bool any = false;
    for (int32_t i = 0; i < p->count; i++) {
        if (p->changes[i].operation == CONFIG_DELETE || p->changes[i].value.data)
            continue;
        buffer_printf(&names, "%s%.*s", any ? ", " : "", STR_ARG(p->changes[i].name));
        any = true;
    }
    int rc = any ? FAIL(a, p, E_INVALID_REQUEST, "Null value not supported for : %.*s", (int)names.size,
                        names.data ? (const char *)names.data : "")
                 : 0;
    buffer_free(&names);
    return rc;
}

static bool names_this_node(const struct alteration *a, struct part *p, const char *expected)
{
    int32_t node_id = broker_of(a->request)->config->node_id;
    int64_t id;
    if (!str_to_integer(p->name, INT32_MIN, INT32_MAX, &id))
        FAIL(a, p, E_INVALID_REQUEST, "Node id must be an integer, but it is: %.*s", STR_ARG(p->name));
    else if (id != node_id)
        FAIL(a, p, E_INVALID_REQUEST, "Unexpected %s %d, but received %.*s", expected, node_id,
             STR_ARG(p->name));
    else
        return true;
    return false;
}

// --- loggers: their levels last until the broker ends ---

static bool level_of(struct str name, enum log_level *level)
{
    for (*level = LOG_LEVEL_TRACE; *level < LOG_LEVEL_OFF; (*level)++)
        if (str_is(name, logger_level_name(*level)))
            return true;
    return false;
}

static int check_logger(struct alteration *a, struct part *p, const struct change *c)
{
    enum log_level level;
    bool append = c->operation == CONFIG_APPEND;
    if (append || c->operation == CONFIG_SUBTRACT)
        return FAIL(a, p, E_INVALID_REQUEST, "%s operation is not allowed for the BROKER_LOGGER resource",
                    append ? "APPEND" : "SUBTRACT");
    if (c->operation != CONFIG_SET && c->operation != CONFIG_DELETE)
        return fail(p, E_UNKNOWN_SERVER_ERROR, STR_NULL);
    const struct logger *logger = logger_find(c->name);
    if (!logger)
        return FAIL(a, p, E_INVALID_CONFIG, "Logger %.*s does not exist!", STR_ARG(c->name));
    if (c->operation == CONFIG_DELETE)
        return logger == logger_at(0) ? fail(p, E_INVALID_REQUEST,
                                             STR("Removing the log level of the root logger is not allowed"))
                                      : 0;
    if (!level_of(c->value, &level))
        return FAIL(a, p, E_INVALID_CONFIG,
                    "Cannot set the log level of %.*s to %.*s as it is not a supported log level. Valid log "
                    "levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN",
                    STR_ARG(c->name), STR_ARG(c->value));
    return 0;
}

static int alter_loggers(struct alteration *a, struct part *p)
{
    if (!request_authorize(a->request, ACL_ALTER_CONFIGS, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME))
        return fail(p, E_CLUSTER_AUTHORIZATION_FAILED,
                    str_from(error_code_message(E_CLUSTER_AUTHORIZATION_FAILED)));
    if (!names_this_node(a, p, "node id. Expected"))
        return 1;
    for (int32_t i = 0; i < p->count; i++)
        if (check_logger(a, p, &p->changes[i]))
            return 1;
    for (int32_t i = 0; i < p->count && !a->validate_only; i++) {
        const struct change *c = &p->changes[i];
        struct logger *logger = logger_find(c->name);
        enum log_level level;
        bool set = c->operation == CONFIG_SET && level_of(c->value, &level);
        logger_set(logger, set ? (int)level : LOGGER_INHERITS);
        log_info("config", "the log level of %s is %s now", logger->name,
                 logger_level_name(logger_level(logger)));
    }
    return fail(p, E_NONE, STR_NULL);
}

// --- this broker's settings ---

// What the layer has now, as far as it counts.
static int present(struct alteration *a, struct part *p, struct config_entry **entries, size_t *n)
{
    const struct config_entry *own;
    size_t count;
    int rc = dynamic_config_entries(image_current(), IMAGE_RESOURCE_BROKER, p->name, &a->request->arena, &own,
                                    &count);
    if (rc)
        return rc;
    *entries = arena_zalloc(&a->request->arena, count + (size_t)p->count + 1, sizeof **entries);
    *n = 0;
    for (size_t i = 0; *entries && !a->legacy && i < count; i++) {
        const struct setting *s = setting_find(SETTING_BROKER, own[i].name);
        if (!s || s->update != SETTING_READ_ONLY)
            (*entries)[(*n)++] = own[i];
    }
    return *entries ? 0 : ERR_NOMEM;
}

static int change_entry(struct alteration *a, struct part *p, const struct change *c,
                        struct config_entry *entries, size_t *n)
{
    size_t at = 0;
    bool append = c->operation == CONFIG_APPEND, set = c->operation == CONFIG_SET;
    while (at < *n && !str_equal(entries[at].name, c->name))
        at++;
    if (c->operation == CONFIG_DELETE) {
        if (at < *n)
            entries[at] = entries[--*n];
        return 0;
    }
    const struct setting *s = setting_find(SETTING_BROKER, c->name);
    if (!set && !s)
        return FAIL(a, p, E_INVALID_CONFIG, "Unknown config name: %.*s", STR_ARG(c->name));
    if (!set && s->type != SETTING_LIST)
        return FAIL(a, p, E_INVALID_CONFIG, "Config value %s is not allowed for config key: %.*s",
                    append ? "append" : "subtract", STR_ARG(c->name));
    struct str now = at < *n ? entries[at].value : s ? str_from(s->default_text) : STR_NULL;
    struct str value = set      ? c->value
                       : append ? config_list_append(now, c->value, &a->request->arena)
                                : config_list_subtract(now, c->value, &a->request->arena);
    entries[at] = (struct config_entry){c->name, value};
    *n += at == *n;
    return value.data ? 0 : ERR_NOMEM;
}

static int check_broker_change(struct alteration *a, struct part *p, const struct config_entry *entries,
                               size_t n)
{
    struct broker *b = broker_of(a->request);
    struct settings_change change = {
        .started = b->config, .now = broker_config_now(b), .per_broker = p->name.size > 0};
    struct str message;
    int rc = dynamic_config_layers(image_current(), b->config->node_id, &a->request->arena, &change.layers);
    if (rc)
        return rc;
    if (change.per_broker) {
        change.layers.broker = entries;
        change.layers.broker_count = n;
    } else {
        change.layers.cluster = entries;
        change.layers.cluster_count = n;
    }
    rc = broker_change_validate(&change, entries, n, &a->request->arena, &message);
    return rc == ERR_INVALID ? fail(p, E_INVALID_REQUEST, message) : rc;
}

static int check_broker(struct alteration *a, struct part *p)
{
    struct config_entry *entries;
    size_t n;
    if (p->name.size > 0 && !names_this_node(a, p, "broker id, expected"))
        return 1;
    for (int32_t i = 0; i < p->count; i++)
        if (p->changes[i].operation < CONFIG_SET || p->changes[i].operation > CONFIG_SUBTRACT)
            return FAIL(a, p, E_INVALID_REQUEST, "Unknown operations type %d", p->changes[i].operation);
    int rc = present(a, p, &entries, &n);
    for (int32_t i = 0; i < p->count && rc == 0; i++)
        rc = change_entry(a, p, &p->changes[i], entries, &n);
    return rc ? rc : check_broker_change(a, p, entries, n);
}

// --- all of a request ---

// Whose permission it takes, and what its lack is called.
static int authorize(struct alteration *a, struct part *p)
{
    enum resource_type type = p->type == IMAGE_RESOURCE_TOPIC   ? RESOURCE_TOPIC
                              : p->type == IMAGE_RESOURCE_GROUP ? RESOURCE_GROUP
                                                                : RESOURCE_CLUSTER;
    int16_t refused = type == RESOURCE_TOPIC   ? E_TOPIC_AUTHORIZATION_FAILED
                      : type == RESOURCE_GROUP ? E_GROUP_AUTHORIZATION_FAILED
                                               : E_CLUSTER_AUTHORIZATION_FAILED;
    if (request_authorize(a->request, ACL_ALTER_CONFIGS, type,
                          type == RESOURCE_CLUSTER ? CLUSTER_RESOURCE_NAME : p->name))
        return 0;
    return fail(p, refused, STR_NULL);
}

static int look_at(struct alteration *a, struct part *p)
{
    int rc = check_names(p);
    rc = rc ? rc : check_nulls(a, p);
    if (rc)
        return rc;
    switch (p->type) {
    case IMAGE_RESOURCE_BROKER_LOGGER:
        if (!a->legacy)
            return alter_loggers(a, p);
        break;
    case IMAGE_RESOURCE_BROKER:
        rc = check_broker(a, p);
        return rc ? rc : authorize(a, p);
    case IMAGE_RESOURCE_TOPIC:
    case IMAGE_RESOURCE_CLIENT_METRICS:
    case IMAGE_RESOURCE_GROUP:
        return authorize(a, p);
    default:
        break;
    }
    return FAIL(a, p, E_INVALID_REQUEST, "Unknown resource type %d", p->type);
}

// How many parts the controller decides, or ERR_NOMEM.
static int look_at_all(struct alteration *a)
{
    int left = 0;
    if (check_resources(a))
        return ERR_NOMEM;
    for (int32_t i = 0; i < a->count; i++) {
        if (!a->parts[i].done && look_at(a, &a->parts[i]) < 0)
            return ERR_NOMEM;
        left += !a->parts[i].done;
    }
    return left;
}

// The controller's error for the whole request is that of every part that it was to decide.
static void refuse_rest(struct alteration *a, int16_t error)
{
    for (int32_t i = 0; i < a->count; i++)
        if (!a->parts[i].done)
            fail(&a->parts[i], error,
                 error == E_UNKNOWN_SERVER_ERROR ? STR_NULL : str_from(error_code_message(error)));
}

static struct alteration *start(struct request *r, int32_t count, bool validate_only, bool legacy)
{
    struct alteration *a = arena_zalloc(&r->arena, 1, sizeof *a);
    if (!a)
        return NULL;
    *a = (struct alteration){r, arena_zalloc(&r->arena, (size_t)count + 1, sizeof *a->parts), count,
                             validate_only, legacy};
    return a->parts ? a : NULL;
}

static int start_part(struct alteration *a, int32_t i, int8_t type, struct str name, int32_t changes)
{
    struct part *p = &a->parts[i];
    p->type = type;
    p->name = name;
    p->count = changes;
    p->changes = arena_zalloc(&a->request->arena, (size_t)changes + 1, sizeof *p->changes);
    return p->changes ? 0 : ERR_NOMEM;
}

// --- IncrementalAlterConfigs ---

static void answer_incremental(struct alteration *a)
{
    struct incremental_alter_configs_response out;
    message_init(&incremental_alter_configs_response_type, &out);
    out.responses = incremental_result_new(&a->request->arena, a->count);
    out.responses_count = a->count;
    if (!out.responses) {
        request_close(a->request, "out of memory for the response to IncrementalAlterConfigs");
        return;
    }
    for (int32_t i = 0; i < a->count; i++)
        out.responses[i] = (struct incremental_result){a->parts[i].error, a->parts[i].message,
                                                       a->parts[i].type, a->parts[i].name};
    request_respond(a->request, &out);
}

static void finish_incremental(struct request *r, void *context, const void *response, int16_t error)
{
    struct alteration *a = context;
    const struct incremental_alter_configs_response *decided = response;
    (void)r;
    for (int32_t i = 0, k = 0; decided && i < a->count; i++)
        if (!a->parts[i].done) {
            fail(&a->parts[i], decided->responses[k].error_code, decided->responses[k].error_message);
            k++;
        }
    refuse_rest(a, error);
    answer_incremental(a);
}

static void handle_incremental_alter_configs(struct request *r)
{
    const struct incremental_alter_configs_request *q = r->message;
    struct alteration *a = start(r, q->resources_count, q->validate_only, false);
    struct incremental_alter_configs_request rest = *q;
    int left = a ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < q->resources_count && left == 0; i++) {
        left = start_part(a, i, q->resources[i].resource_type, q->resources[i].resource_name,
                          q->resources[i].configs_count);
        for (int32_t k = 0; k < q->resources[i].configs_count && left == 0; k++)
            a->parts[i].changes[k] =
                (struct change){q->resources[i].configs[k].name, q->resources[i].configs[k].value,
                                q->resources[i].configs[k].config_operation};
    }
    left = left ? left : look_at_all(a);
    if (left < 0) {
        request_close(r, "out of memory for IncrementalAlterConfigs");
        return;
    }
    if (left == 0) {
        answer_incremental(a);
        return;
    }
    rest.resources = incremental_alter_configs_request_alter_configs_resource_new(&r->arena, left);
    if (!rest.resources) {
        request_close(r, "out of memory for IncrementalAlterConfigs");
        return;
    }
    rest.resources_count = 0;
    for (int32_t i = 0; i < a->count; i++)
        if (!a->parts[i].done)
            rest.resources[rest.resources_count++] = q->resources[i];
    forward_rest(r, &rest, a, finish_incremental);
}

const struct api_handler incremental_alter_configs_handler = {.api_key = 44,
                                                              .min_version = 0,
                                                              .max_version = 1,
                                                              .advertised_min_version = -1,
                                                              .listeners = LISTENER_BROKER,
                                                              .worker_bytes = HEAVY_REQUEST_BYTES,
                                                              .handle = handle_incremental_alter_configs};

// --- AlterConfigs ---

static void answer_legacy(struct alteration *a)
{
    struct alter_configs_response out;
    message_init(&alter_configs_response_type, &out);
    out.responses = legacy_result_new(&a->request->arena, a->count);
    out.responses_count = a->count;
    if (!out.responses) {
        request_close(a->request, "out of memory for the response to AlterConfigs");
        return;
    }
    for (int32_t i = 0; i < a->count; i++)
        out.responses[i] = (struct legacy_result){a->parts[i].error, a->parts[i].message, a->parts[i].type,
                                                  a->parts[i].name};
    request_respond(a->request, &out);
}

static void finish_legacy(struct request *r, void *context, const void *response, int16_t error)
{
    struct alteration *a = context;
    const struct alter_configs_response *decided = response;
    (void)r;
    for (int32_t i = 0, k = 0; decided && i < a->count; i++)
        if (!a->parts[i].done) {
            fail(&a->parts[i], decided->responses[k].error_code, decided->responses[k].error_message);
            k++;
        }
    refuse_rest(a, error);
    answer_legacy(a);
}

static void handle_alter_configs(struct request *r)
{
    const struct alter_configs_request *q = r->message;
    struct alteration *a = start(r, q->resources_count, q->validate_only, true);
    struct alter_configs_request rest = *q;
    int left = a ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < q->resources_count && left == 0; i++) {
        left = start_part(a, i, q->resources[i].resource_type, q->resources[i].resource_name,
                          q->resources[i].configs_count);
        for (int32_t k = 0; k < q->resources[i].configs_count && left == 0; k++)
            a->parts[i].changes[k] = (struct change){q->resources[i].configs[k].name,
                                                     q->resources[i].configs[k].value, CONFIG_SET};
    }
    left = left ? left : look_at_all(a);
    if (left < 0) {
        request_close(r, "out of memory for AlterConfigs");
        return;
    }
    if (left == 0) {
        answer_legacy(a);
        return;
    }
    rest.resources = alter_configs_request_alter_configs_resource_new(&r->arena, left);
    if (!rest.resources) {
        request_close(r, "out of memory for AlterConfigs");
        return;
    }
    rest.resources_count = 0;
    for (int32_t i = 0; i < a->count; i++)
        if (!a->parts[i].done)
            rest.resources[rest.resources_count++] = q->resources[i];
    forward_rest(r, &rest, a, finish_legacy);
}

const struct api_handler alter_configs_handler = {.api_key = 33,
                                                  .min_version = 0,
                                                  .max_version = 2,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER,
                                                  .worker_bytes = HEAVY_REQUEST_BYTES,
                                                  .handle = handle_alter_configs};
