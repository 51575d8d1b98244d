// DescribeConfigs, for topics, brokers, groups, client metrics and the logger.
#include "base/error.h"
#include "base/logger.h"
#include "base/map.h"
#include "config/describe.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/dynamic_config.h"
#include "server/handlers/handlers.h"

// The generated names are long.
#define resource_query                 describe_configs_request_describe_configs_resource
#define resource_result                describe_configs_response_describe_configs_result
#define resource_entry                 describe_configs_response_describe_configs_resource_result
#define resource_synonym               describe_configs_response_describe_configs_synonym
#define resource_entry_new(arena, n)   describe_configs_response_describe_configs_resource_result_new(arena, n)
#define resource_synonym_new(arena, n) describe_configs_response_describe_configs_synonym_new(arena, n)

// One resource on its way: what is asked, by whom, and the answer.
struct describing {
    struct map *described; // answers about resources whose every setting is wanted, by type and name
    struct request *request;
    const struct resource_query *query;
    struct resource_result *out;
    bool synonyms, documentation;
};

static int answer_error(struct describing *d, int16_t code, struct str message)
{
    d->out->error_code = code;
    d->out->error_message = message;
    return message.data ? 0 : ERR_NOMEM;
}

static int fill_synonyms(struct describing *d, const struct config_description *from,
                         struct resource_entry *to)
{
    if (!d->synonyms || from->synonym_count == 0)
        return 0;
    to->synonyms = resource_synonym_new(&d->request->arena, (int32_t)from->synonym_count);
    if (!to->synonyms)
        return ERR_NOMEM;
    to->synonyms_count = (int32_t)from->synonym_count;
    for (size_t i = 0; i < from->synonym_count; i++) {
        to->synonyms[i].name = from->synonyms[i].name;
        to->synonyms[i].value = from->synonyms[i].value;
        to->synonyms[i].source = (int8_t)from->synonyms[i].source;
    }
    return 0;
}

static int fill(struct describing *d, const struct config_description *list, size_t n)
{
    d->out->configs = resource_entry_new(&d->request->arena, (int32_t)n);
    if (!d->out->configs)
        return ERR_NOMEM;
    d->out->configs_count = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct resource_entry *to = &d->out->configs[i];
        to->name = list[i].name;
        to->value = list[i].value;
        to->read_only = list[i].read_only;
        to->config_source = (int8_t)list[i].source;
        to->is_sensitive = list[i].sensitive;
        to->config_type = list[i].type;
        to->documentation = d->documentation ? list[i].documentation : STR_NULL;
        int err = fill_synonyms(d, &list[i], to);
        if (err)
            return err;
    }
    return 0;
}

static int describe(struct describing *d, enum setting_scope scope, bool defaults)
{
    struct arena *arena = &d->request->arena;
    const struct broker_config *config = broker_of(d->request)->config;
    const struct image *image = image_current();
    struct config_subject subject = {.scope = scope, .defaults = defaults};
    struct config_layers layers;
    struct config_description *list;
    size_t n;
    int err = dynamic_config_layers(image, config->node_id, arena, &layers);
    if (!err && scope != SETTING_BROKER)
        err = dynamic_config_entries(image, d->query->resource_type, d->query->resource_name, arena,
                                     &subject.entries, &subject.count);
    // Null keys (a count of -1) and no keys both ask for everything.
    size_t keys = d->query->configuration_keys_count > 0 ? (size_t)d->query->configuration_keys_count : 0;
    if (!err)
        err =
            config_describe(config, &layers, &subject, d->query->configuration_keys, keys, arena, &list, &n);
    return err ? err : fill(d, list, n);
}

static int describe_topic(struct describing *d)
{
    struct str problem = topic_name_problem(d->query->resource_name, &d->request->arena);
    if (problem.data)
        return answer_error(d, E_INVALID_TOPIC_EXCEPTION, problem);
    if (!image_topic(image_current(), d->query->resource_name))
        return answer_error(d, E_UNKNOWN_TOPIC_OR_PARTITION, STR(""));
    return describe(d, SETTING_TOPIC, false);
}

// Whether the resource's name is this broker's id; else the answer says why not, and *err is its result.
static bool is_this_broker(struct describing *d, const char *or_empty, int *err)
{
    struct arena *arena = &d->request->arena;
    struct str name = d->query->resource_name;
    int32_t node_id = broker_of(d->request)->config->node_id;
    int64_t id;
    if (!str_to_integer(name, INT32_MIN, INT32_MAX, &id))
        *err =
            answer_error(d, E_INVALID_REQUEST,
                         arena_printf(arena, "Broker id must be an integer, but it is: %.*s", STR_ARG(name)));
    else if (id != node_id)
        *err = answer_error(d, E_INVALID_REQUEST,
                            arena_printf(arena, "Unexpected broker id, expected %d%s but received %.*s",
                                         node_id, or_empty, STR_ARG(name)));
    else
        return true;
    return false;
}

static int describe_broker(struct describing *d)
{
    int err;
    if (d->query->resource_name.size == 0)
        return describe(d, SETTING_BROKER, true);
    return is_this_broker(d, " or empty string,", &err) ? describe(d, SETTING_BROKER, false) : err;
}

static int describe_logger(struct describing *d)
{
    int err;
    if (d->query->resource_name.size == 0)
        return answer_error(d, E_INVALID_REQUEST, STR("Broker id must not be empty"));
    if (!is_this_broker(d, "", &err))
        return err;
    int32_t all = 0;
    while (logger_at((size_t)all))
        all++;
    d->out->configs = resource_entry_new(&d->request->arena, all);
    if (!d->out->configs)
        return ERR_NOMEM;
    for (int32_t i = 0; i < all; i++) {
        const struct logger *logger = logger_at((size_t)i);
        struct resource_entry *entry = &d->out->configs[d->out->configs_count];
        bool wanted = d->query->configuration_keys_count <= 0;
        for (int32_t k = 0; k < d->query->configuration_keys_count; k++)
            wanted |= str_is(d->query->configuration_keys[k], logger->name);
        if (!wanted)
            continue;
        entry->name = str_from(logger->name);
        entry->value = str_from(logger_level_name(logger_level(logger)));
        entry->config_source = CONFIG_SOURCE_LOGGER;
        d->out->configs_count++;
    }
    return 0;
}

static int describe_group(struct describing *d)
{
    if (d->query->resource_name.size == 0)
        return answer_error(d, E_INVALID_REQUEST, STR("Group name must not be empty"));
    return describe(d, SETTING_GROUP, false);
}

static int describe_client_metrics(struct describing *d)
{
    if (d->query->resource_name.size == 0)
        return answer_error(d, E_INVALID_REQUEST, STR("Client metrics subscription name must not be empty"));
    return describe(d, SETTING_CLIENT_METRICS, false);
}

// What each type of resource is asked, and whose permission it takes.
static const struct resource_kind {
    int8_t type;
    enum resource_type guarded_by; // RESOURCE_CLUSTER: the cluster; else the resource itself
    int16_t refused;
    int (*describe)(struct describing *d);
} kinds[] = {
    {IMAGE_RESOURCE_TOPIC, RESOURCE_TOPIC, E_TOPIC_AUTHORIZATION_FAILED, describe_topic},
    {IMAGE_RESOURCE_BROKER, RESOURCE_CLUSTER, E_CLUSTER_AUTHORIZATION_FAILED, describe_broker},
    {IMAGE_RESOURCE_BROKER_LOGGER, RESOURCE_CLUSTER, E_CLUSTER_AUTHORIZATION_FAILED, describe_logger},
    {IMAGE_RESOURCE_CLIENT_METRICS, RESOURCE_CLUSTER, E_CLUSTER_AUTHORIZATION_FAILED,
     describe_client_metrics},
    {IMAGE_RESOURCE_GROUP, RESOURCE_GROUP, E_GROUP_AUTHORIZATION_FAILED, describe_group},
};

static const struct resource_kind *kind_of(int8_t type)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].type == type)
            return &kinds[i];
    return NULL;
}

static int describe_one(struct describing *d, bool malformed)
{
    const struct resource_kind *kind = kind_of(d->query->resource_type);
    d->out->resource_type = d->query->resource_type;
    d->out->resource_name = d->query->resource_name;
    // One resource of a type that does not exist spoils the whole request.
    if (malformed || !kind)
        return answer_error(d, E_INVALID_REQUEST, str_from(error_code_message(E_INVALID_REQUEST)));
    bool of_cluster = kind->guarded_by == RESOURCE_CLUSTER;
    if (!request_authorize(d->request, ACL_DESCRIBE_CONFIGS, kind->guarded_by,
                           of_cluster ? CLUSTER_RESOURCE_NAME : d->query->resource_name))
        return answer_error(d, kind->refused, str_from(error_code_message(kind->refused)));
    return kind->describe(d);
}

// A resource that is named again is answered again, and described once.
static int describe_once(struct describing *d, bool malformed)
{
    if (d->query->configuration_keys_count > 0)
        return describe_one(d, malformed);
    struct str key = arena_printf(&d->request->arena, "%d %.*s", d->query->resource_type,
                                  STR_ARG(d->query->resource_name));
    if (!key.data)
        return ERR_NOMEM;
    const struct resource_result *known = map_get(d->described, key);
    if (known) {
        *d->out = *known;
        return 0;
    }
    int rc = describe_one(d, malformed);
    return rc ? rc : map_put(d->described, key, d->out);
}

static void handle_describe_configs(struct request *r)
{
    const struct describe_configs_request *q = r->message;
    struct describe_configs_response out;
    message_init(&describe_configs_response_type, &out);
    out.results = describe_configs_response_describe_configs_result_new(&r->arena, q->resources_count);
    int rc = out.results ? 0 : ERR_NOMEM;
    bool malformed = false;
    for (int32_t i = 0; i < q->resources_count; i++)
        malformed |= kind_of(q->resources[i].resource_type) == NULL;
    struct map described = MAP_INIT;
    for (int32_t i = 0; i < q->resources_count && rc == 0; i++) {
        struct describing d = {
            &described, r, &q->resources[i], &out.results[i], q->include_synonyms, q->include_documentation};
        rc = describe_once(&d, malformed);
        out.results_count++;
    }
    map_free(&described);
    if (rc)
        request_close(r, "out of memory for the response to DescribeConfigs");
    else
        request_respond(r, &out);
}

// A broker's settings take a millisecond to list.
const struct api_handler describe_configs_handler = {.api_key = 32,
                                                     .min_version = 1,
                                                     .max_version = 4,
                                                     .advertised_min_version = -1,
                                                     .listeners = LISTENER_BROKER,
                                                     .worker_bytes = 1,
                                                     .handle = handle_describe_configs};
