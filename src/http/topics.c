// Topics: list, one with its partitions, create, delete, configurations.
#include "http/offsets.h"
#include "http/route.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define KEY_METADATA                  3
#define KEY_CREATE_TOPICS             19
#define KEY_DELETE_TOPICS             20
#define KEY_DESCRIBE_CONFIGS          32
#define KEY_INCREMENTAL_ALTER_CONFIGS 44

#define RESOURCE_TOPIC   2
#define OPERATION_SET    0
#define OPERATION_DELETE 1
#define TIMEOUT_MS       30000
#define MOST_PARTITIONS  1000000

static const char *const config_sources[] = {"unknown", "topic",  "broker",         "cluster", "static",
                                             "default", "logger", "client metrics", "group"};

// name null: all topics. The caller looks at each topic's own error.
static bool metadata(struct http_request *r, struct str name, struct metadata_response *response)
{
    struct metadata_request_metadata_request_topic topic = metadata_request_metadata_request_topic_default;
    struct metadata_request request = metadata_request_default;
    topic.name = name;
    request.topics = name.data ? &topic : NULL;
    request.topics_count = name.data ? 1 : -1;
    request.allow_auto_topic_creation = false;
    return http_call(r, KEY_METADATA, 12, &request, response) &&
           !http_fail_kafka(r, response->error_code, STR_NULL);
}

void http_topics(struct http_request *r)
{
    struct metadata_response response;
    if (!metadata(r, STR_NULL, &response))
        return;
    json_t *topics = json_array();
    for (int32_t i = 0; i < response.topics_count; i++) {
        const struct metadata_response_metadata_response_topic *t = &response.topics[i];
        int replicas = t->partitions_count > 0 ? t->partitions[0].replica_nodes_count : 0, offline = 0;
        for (int32_t p = 0; p < t->partitions_count; p++)
            offline += t->partitions[p].leader_id < 0;
        json_array_append_new(topics, json_pack("{s:o, s:o, s:b, s:i, s:i, s:i}", "name", http_text(t->name),
                                                "id", http_uuid(&t->topic_id), "internal", t->is_internal,
                                                "partitions", t->partitions_count, "replicationFactor",
                                                replicas, "partitionsWithoutLeader", offline));
    }
    http_answer(r, 200, json_pack("{s:o}", "topics", topics));
}

static json_t *nodes(const int32_t *ids, int32_t count)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < count; i++)
        json_array_append_new(all, json_integer(ids[i]));
    return all;
}

static json_t *offset_json(int64_t offset)
{
    return offset < 0 ? json_null() : json_integer(offset);
}

void http_topic(struct http_request *r)
{
    struct metadata_response response;
    if (!metadata(r, r->params[0], &response))
        return;
    const struct metadata_response_metadata_response_topic *t = &response.topics[0];
    if (http_fail_kafka(r, t->error_code, STR_NULL))
        return;
    int64_t *first = http_offsets(r, t->name, t->partitions_count, OFFSET_EARLIEST);
    int64_t *end = first ? http_offsets(r, t->name, t->partitions_count, OFFSET_LATEST) : NULL;
    if (!end)
        return;
    json_t *partitions = json_array();
    for (int32_t i = 0; i < t->partitions_count; i++) {
        const struct metadata_response_metadata_response_partition *p = &t->partitions[i];
        int32_t n = p->partition_index;
        bool known = n >= 0 && n < t->partitions_count;
        json_array_append_new(partitions,
                              json_pack("{s:i, s:i, s:i, s:o, s:o, s:o, s:o}", "partition", n, "leader",
                                        p->leader_id, "leaderEpoch", p->leader_epoch, "replicas",
                                        nodes(p->replica_nodes, p->replica_nodes_count), "isr",
                                        nodes(p->isr_nodes, p->isr_nodes_count), "startOffset",
                                        offset_json(known ? first[n] : -1), "endOffset",
                                        offset_json(known ? end[n] : -1)));
    }
    http_answer(r, 200,
                json_pack("{s:o, s:o, s:b, s:o}", "name", http_text(t->name), "id", http_uuid(&t->topic_id),
                          "internal", t->is_internal, "partitions", partitions));
}

// A configuration's value: a text; numbers and booleans are taken as their text. Null view: it is none of
// these.
static struct str config_value(struct arena *arena, const json_t *value)
{
    if (json_is_string(value))
        return (struct str){json_string_value(value), json_string_length(value)};
    if (json_is_integer(value))
        return arena_printf(arena, "%lld", (long long)json_integer_value(value));
    return json_is_boolean(value) ? str_from(json_is_true(value) ? "true" : "false") : STR_NULL;
}

void http_topic_create(struct http_request *r)
{
    struct create_topics_request_creatable_topic topic = create_topics_request_creatable_topic_default;
    int64_t partitions = -1, factor = -1;
    json_t *configs = NULL, *value;
    const char *name;
    const struct http_field fields[] = {{"name", HTTP_STRING, true, &topic.name, 0, 0},
                                        {"partitions", HTTP_INTEGER, false, &partitions, 1, MOST_PARTITIONS},
                                        {"replicationFactor", HTTP_INTEGER, false, &factor, 1, INT16_MAX},
                                        {"configs", HTTP_OBJECT, false, &configs, 0, 0}};
    if (!http_read_body(r, fields, sizeof fields / sizeof fields[0]))
        return;
    topic.num_partitions = (int32_t)partitions;
    topic.replication_factor = (int16_t)factor;
    topic.configs =
        create_topics_request_creatable_topic_config_new(&r->arena, (int32_t)json_object_size(configs));
    json_object_foreach(configs, name, value)
    {
        struct create_topics_request_creatable_topic_config *c = &topic.configs[topic.configs_count++];
        c->name = str_from(name);
        c->value = config_value(&r->arena, value);
        if (!c->value.data) {
            http_fail(r, 400, "INVALID_CONFIG", "configs.%.100s must be a text, a number or a boolean", name);
            return;
        }
    }
    struct create_topics_request request = create_topics_request_default;
    struct create_topics_response response;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = TIMEOUT_MS;
    if (!http_call(r, KEY_CREATE_TOPICS, 7, &request, &response))
        return;
    const struct create_topics_response_creatable_topic_result *t = &response.topics[0];
    if (!http_fail_kafka(r, t->error_code, t->error_message))
        http_answer(r, 201,
                    json_pack("{s:o, s:o, s:i, s:i}", "name", http_text(t->name), "id",
                              http_uuid(&t->topic_id), "partitions", t->num_partitions, "replicationFactor",
                              t->replication_factor));
}

void http_topic_delete(struct http_request *r)
{
    struct delete_topics_request_delete_topic_state topic = delete_topics_request_delete_topic_state_default;
    struct delete_topics_request request = delete_topics_request_default;
    struct delete_topics_response response;
    topic.name = r->params[0];
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = TIMEOUT_MS;
    if (!http_call(r, KEY_DELETE_TOPICS, 6, &request, &response))
        return;
    const struct delete_topics_response_deletable_topic_result *t = &response.responses[0];
    if (!http_fail_kafka(r, t->error_code, t->error_message))
        http_answer(r, 200,
                    json_pack("{s:o, s:o}", "name", http_text(t->name), "id", http_uuid(&t->topic_id)));
}

void http_topic_configs(struct http_request *r)
{
    struct describe_configs_request_describe_configs_resource resource =
        describe_configs_request_describe_configs_resource_default;
    struct describe_configs_request request = describe_configs_request_default;
    struct describe_configs_response response;
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = r->params[0];
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
        size_t source = (size_t)(c->config_source > 0 ? c->config_source : 0);
        source = source < sizeof config_sources / sizeof config_sources[0] ? source : 0;
        json_array_append_new(configs,
                              json_pack("{s:o, s:o, s:s, s:b, s:b, s:o}", "name", http_text(c->name), "value",
                                        http_text(c->value), "source", config_sources[source], "readOnly",
                                        c->read_only, "sensitive", c->is_sensitive, "documentation",
                                        http_text(c->documentation)));
    }
    http_answer(r, 200, json_pack("{s:o}", "configs", configs));
}

// {"retention.ms": 1000, "cleanup.policy": null}: null goes back to the default.
void http_topic_alter(struct http_request *r)
{
    struct incremental_alter_configs_request_alter_configs_resource resource =
        incremental_alter_configs_request_alter_configs_resource_default;
    struct incremental_alter_configs_request request = incremental_alter_configs_request_default;
    struct incremental_alter_configs_response response;
    const char *name;
    json_t *value;
    if (!r->body || json_object_size(r->body) == 0) {
        http_fail(r, 400, "INVALID_REQUEST", "a JSON object of settings is needed as the body");
        return;
    }
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = r->params[0];
    resource.configs =
        incremental_alter_configs_request_alterable_config_new(&r->arena, (int32_t)json_object_size(r->body));
    json_object_foreach(r->body, name, value)
    {
        struct incremental_alter_configs_request_alterable_config *c =
            &resource.configs[resource.configs_count++];
        c->name = str_from(name);
        c->config_operation = json_is_null(value) ? OPERATION_DELETE : OPERATION_SET;
        c->value = config_value(&r->arena, value);
        if (!c->value.data && !json_is_null(value)) {
            http_fail(r, 400, "INVALID_CONFIG", "%.100s must be a text, a number, a boolean or null", name);
            return;
        }
    }
    request.resources = &resource;
    request.resources_count = 1;
    if (!http_call(r, KEY_INCREMENTAL_ALTER_CONFIGS, 1, &request, &response))
        return;
    if (!http_fail_kafka(r, response.responses[0].error_code, response.responses[0].error_message))
        http_topic_configs(r);
}
