// Configurations of topics, groups and brokers: all of them, and changes.
#include "http/configs.h"
#include "http/keys.h"
#include "http/route.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define RESOURCE_TOPIC   2
#define RESOURCE_BROKER  4
#define OPERATION_SET    0
#define OPERATION_DELETE 1

#define COMPLAINTS 100 // settings that are looked at one by one, to say which are wrong

typedef struct incremental_alter_configs_request_alterable_config change;

static const char *const sources[] = {"unknown", "topic",  "broker",         "cluster", "static",
                                      "default", "logger", "client metrics", "group"};
static const char *const types[] = {"unknown", "boolean", "string", "int",   "short",
                                    "long",    "double",  "list",   "class", "password"};

#define NAME_OF(names, i) ((size_t)(i) < sizeof names / sizeof names[0] ? names[i] : names[0])

struct resource {
    int8_t type;
    struct str name;
};

struct str http_config_value(struct arena *arena, const json_t *value)
{
    if (json_is_string(value))
        return (struct str){json_string_value(value), json_string_length(value)};
    if (json_is_integer(value))
        return arena_printf(arena, "%lld", (long long)json_integer_value(value));
    return json_is_boolean(value) ? str_from(json_is_true(value) ? "true" : "false") : STR_NULL;
}

static void describe(struct http_request *r, const struct resource *of, bool validate_only)
{
    struct describe_configs_request_describe_configs_resource resource =
        describe_configs_request_describe_configs_resource_default;
    struct describe_configs_request request = describe_configs_request_default;
    struct describe_configs_response response;
    resource.resource_type = of->type;
    resource.resource_name = of->name;
    resource.configuration_keys_count = -1; // all
    request.resources = &resource;
    request.resources_count = 1;
    request.include_documentation = true;
    if (!http_call(r, KEY_DESCRIBE_CONFIGS, 4, &request, &response))
        return;
    const struct describe_configs_response_describe_configs_result *found = &response.results[0];
    if (http_fail_kafka(r, found->error_code, found->error_message))
        return;
    json_t *configs = json_array();
    for (int32_t i = 0; i < found->configs_count; i++) {
        const struct describe_configs_response_describe_configs_resource_result *c = &found->configs[i];
        json_array_append_new(
            configs, json_pack("{s:o, s:o, s:s, s:s, s:b, s:b, s:o}", "name", http_text(c->name), "value",
                               http_text(c->value), "type", NAME_OF(types, c->config_type), "source",
                               NAME_OF(sources, c->config_source), "readOnly", c->read_only, "sensitive",
                               c->is_sensitive, "documentation", http_text(c->documentation)));
    }
    http_answer(r, 200, json_pack("{s:o, s:b}", "configs", configs, "validateOnly", validate_only));
}

// 0 changes: it is answered.
static change *read_changes(struct http_request *r, int32_t *count)
{
    const char *name;
    json_t *value;
    *count = 0;
    if (!r->body || json_object_size(r->body) == 0) {
        http_fail(r, 400, "INVALID_REQUEST", "a JSON object of settings is needed as the body");
        return NULL;
    }
    change *all =
        incremental_alter_configs_request_alterable_config_new(&r->arena, (int32_t)json_object_size(r->body));
    json_object_foreach(r->body, name, value)
    {
        change *c = &all[*count];
        c->name = str_from(name);
        c->config_operation = json_is_null(value) ? OPERATION_DELETE : OPERATION_SET;
        c->value = http_config_value(&r->arena, value);
        if (!c->value.data && !json_is_null(value)) {
            http_fail(r, 400, "INVALID_CONFIG", "%.100s must be a text, a number, a boolean or null", name);
            *count = 0;
            return NULL;
        }
        ++*count;
    }
    return all;
}

// False: the broker could not be asked, and it is answered.
static bool ask(struct http_request *r, const struct resource *of, change *changes, int32_t count,
                bool validate_only, int16_t *error, struct str *message)
{
    struct incremental_alter_configs_request_alter_configs_resource resource =
        incremental_alter_configs_request_alter_configs_resource_default;
    struct incremental_alter_configs_request request = incremental_alter_configs_request_default;
    struct incremental_alter_configs_response response;
    resource.resource_type = of->type;
    resource.resource_name = of->name;
    resource.configs = changes;
    resource.configs_count = count;
    request.resources = &resource;
    request.resources_count = 1;
    request.validate_only = validate_only;
    if (!http_call(r, KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response))
        return false;
    *error = response.responses[0].error_code;
    *message = response.responses[0].error_message;
    return true;
}

// The broker names the first setting that is wrong, in words. Which ones are, comes out one by one.
static void complain(struct http_request *r, const struct resource *of, change *changes, int32_t count,
                     int16_t error, struct str message)
{
    json_t *settings = json_array();
    for (int32_t i = 0; i < count && i < COMPLAINTS; i++) {
        int16_t one = E_NONE;
        struct str why = STR_NULL;
        if (!ask(r, of, &changes[i], 1, true, &one, &why)) {
            json_decref(settings);
            return;
        }
        if (one != E_NONE)
            json_array_append_new(settings,
                                  json_pack("{s:o, s:o}", "name", http_text(changes[i].name), "message",
                                            http_text(why.data ? why : str_from(error_code_message(one)))));
    }
    http_fail_with(r, error, message, "settings", settings);
}

static void alter(struct http_request *r, const struct resource *of)
{
    int32_t count;
    bool validate_only = false;
    int16_t error;
    struct str message;
    change *changes = read_changes(r, &count);
    if (!changes || !http_query_bool(r, "validateOnly", &validate_only) ||
        !ask(r, of, changes, count, validate_only, &error, &message))
        return;
    if (error == E_INVALID_CONFIG || error == E_INVALID_REQUEST)
        complain(r, of, changes, count, error, message);
    else if (!http_fail_kafka(r, error, message))
        describe(r, of, validate_only);
}

static struct resource topic_of(const struct http_request *r)
{
    return (struct resource){RESOURCE_TOPIC, r->params[0]};
}

// One that is not there yet may have settings.
static struct resource group_of(const struct http_request *r)
{
    return (struct resource){RESOURCE_GROUP, r->params[0]};
}

static struct resource broker_of_path(const struct http_request *r)
{
    bool all = str_is(r->params[0], "default");
    return (struct resource){RESOURCE_BROKER, all ? STR("") : r->params[0]};
}

void http_topic_configs(struct http_request *r)
{
    struct resource of = topic_of(r);
    describe(r, &of, false);
}

// {"retention.ms": 1000, "cleanup.policy": null}: null goes back to the default.
void http_topic_alter(struct http_request *r)
{
    struct resource of = topic_of(r);
    alter(r, &of);
}

void http_group_configs(struct http_request *r)
{
    struct resource of = group_of(r);
    describe(r, &of, false);
}

void http_group_alter(struct http_request *r)
{
    struct resource of = group_of(r);
    alter(r, &of);
}

void http_broker_configs(struct http_request *r)
{
    struct resource of = broker_of_path(r);
    describe(r, &of, false);
}

void http_broker_alter(struct http_request *r)
{
    struct resource of = broker_of_path(r);
    alter(r, &of);
}
