// Topics: list, one with its partitions, create, delete, configurations.
#include "http/configs.h"
#include "http/keys.h"
#include "http/load.h"
#include "http/offsets.h"
#include "http/route.h"
#include "http/sampler.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define MOST_PARTITIONS 1000000

bool http_metadata(struct http_request *r, struct str name, struct metadata_response *response)
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

bool http_fail_topic(struct http_request *r, const struct metadata_response_metadata_response_topic *topic)
{
    struct str message = topic->error_code == E_UNKNOWN_TOPIC_OR_PARTITION
                             ? arena_printf(&r->arena, "There is no topic %.*s.", STR_ARG(topic->name))
                             : STR_NULL;
    return topic->error_code != E_NONE && http_fail_kafka(r, topic->error_code, message);
}

// How busy a topic is (a null view: each), with rates where the sampler has some.
static void read_loads(struct http_request *r, struct str topic, struct loads *l)
{
    loads_read(l, r->broker, topic, &r->arena);
    sampler_rates(r->sampler, l);
}

static json_t *listed(const struct metadata_response_metadata_response_topic *t, const struct loads *l)
{
    int replicas = t->partitions_count > 0 ? t->partitions[0].replica_nodes_count : 0;
    int without_leader = 0, under_replicated = 0;
    const struct topic_load *load = loads_topic(l, t->name);
    for (int32_t p = 0; p < t->partitions_count; p++) {
        without_leader += t->partitions[p].leader_id < 0;
        under_replicated += t->partitions[p].isr_nodes_count < t->partitions[p].replica_nodes_count;
    }
    return json_pack("{s:o, s:o, s:b, s:i, s:i, s:i, s:i, s:I, s:o}", "name", http_text(t->name), "id",
                     http_uuid(&t->topic_id), "internal", t->is_internal, "partitions", t->partitions_count,
                     "replicationFactor", replicas, "partitionsWithoutLeader", without_leader,
                     "partitionsUnderReplicated", under_replicated, "sizeBytes",
                     load ? (json_int_t)load->all.size_bytes : 0, "rates",
                     load_json(load ? &load->all : NULL));
}

void http_topics(struct http_request *r)
{
    struct metadata_response response;
    struct loads loads;
    if (!http_metadata(r, STR_NULL, &response))
        return;
    read_loads(r, STR_NULL, &loads);
    json_t *topics = json_array();
    for (int32_t i = 0; i < response.topics_count; i++)
        json_array_append_new(topics, listed(&response.topics[i], &loads));
    loads_free(&loads);
    http_answer(r, 200, json_pack("{s:o}", "topics", topics));
}

static json_t *partition_json(const struct metadata_response_metadata_response_partition *p, int64_t first,
                              int64_t end, const struct load *load)
{
    return json_pack("{s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "partition", p->partition_index,
                     "leader", p->leader_id, "leaderEpoch", p->leader_epoch, "replicas",
                     http_ids(p->replica_nodes, p->replica_nodes_count), "isr",
                     http_ids(p->isr_nodes, p->isr_nodes_count), "offlineReplicas",
                     http_ids(p->offline_replicas, p->offline_replicas_count), "startOffset",
                     http_number(first), "endOffset", http_number(end), "sizeBytes",
                     load ? json_integer(load->size_bytes) : json_null(), "rates", load_json(load));
}

void http_topic(struct http_request *r)
{
    struct metadata_response response;
    struct loads loads;
    if (!http_metadata(r, r->params[0], &response))
        return;
    const struct metadata_response_metadata_response_topic *t = &response.topics[0];
    if (http_fail_topic(r, t))
        return;
    const struct http_offset *first = http_offsets(r, t->name, t->partitions_count, OFFSET_EARLIEST);
    const struct http_offset *end =
        first ? http_offsets(r, t->name, t->partitions_count, OFFSET_LATEST) : NULL;
    if (!end)
        return;
    read_loads(r, t->name, &loads);
    const struct topic_load *load = loads_topic(&loads, t->name);
    json_t *partitions = json_array();
    for (int32_t i = 0; i < t->partitions_count; i++) {
        int32_t n = t->partitions[i].partition_index;
        bool known = n >= 0 && n < t->partitions_count;
        json_array_append_new(partitions,
                              partition_json(&t->partitions[i], known ? first[n].offset : -1,
                                             known ? end[n].offset : -1, loads_partition(load, n)));
    }
    http_answer(r, 200,
                json_pack("{s:o, s:o, s:b, s:I, s:o, s:o}", "name", http_text(t->name), "id",
                          http_uuid(&t->topic_id), "internal", t->is_internal, "sizeBytes",
                          load ? (json_int_t)load->all.size_bytes : 0, "rates",
                          load_json(load ? &load->all : NULL), "partitions", partitions));
    loads_free(&loads);
}

void http_topic_create(struct http_request *r)
{
    struct create_topics_request_creatable_topic topic = create_topics_request_creatable_topic_default;
    int64_t partitions = -1, factor = -1;
    bool validate_only = false;
    json_t *configs = NULL, *value;
    const char *name;
    const struct http_field fields[] = {{"name", HTTP_STRING, true, &topic.name, 0, 0},
                                        {"partitions", HTTP_INTEGER, false, &partitions, 1, MOST_PARTITIONS},
                                        {"replicationFactor", HTTP_INTEGER, false, &factor, 1, INT16_MAX},
                                        {"configs", HTTP_OBJECT, false, &configs, 0, 0}};
    if (!http_query_bool(r, "validateOnly", &validate_only) ||
        !http_read_body(r, fields, sizeof fields / sizeof fields[0]))
        return;
    topic.num_partitions = (int32_t)partitions;
    topic.replication_factor = (int16_t)factor;
    topic.configs =
        create_topics_request_creatable_topic_config_new(&r->arena, (int32_t)json_object_size(configs));
    json_object_foreach(configs, name, value)
    {
        struct create_topics_request_creatable_topic_config *c = &topic.configs[topic.configs_count++];
        c->name = str_from(name);
        c->value = http_config_value(&r->arena, value);
        if (!c->value.data) {
            http_fail(r, 400, "INVALID_CONFIG", "configs.%.100s must be a text, a number or a boolean", name);
            return;
        }
    }
    struct create_topics_request request = create_topics_request_default;
    struct create_topics_response response;
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = CHANGE_TIMEOUT_MS;
    request.validate_only = validate_only;
    if (!http_call(r, KEY_CREATE_TOPICS, 7, &request, &response))
        return;
    const struct create_topics_response_creatable_topic_result *t = &response.topics[0];
    if (!http_fail_kafka(r, t->error_code, t->error_message))
        http_answer(r, validate_only ? 200 : 201,
                    json_pack("{s:o, s:o, s:i, s:i, s:b}", "name", http_text(t->name), "id",
                              http_uuid(&t->topic_id), "partitions", t->num_partitions, "replicationFactor",
                              t->replication_factor, "validateOnly", validate_only));
}

// {"partitions": 8}: so many in all.
void http_topic_grow(struct http_request *r)
{
    struct create_partitions_request_create_partitions_topic topic =
        create_partitions_request_create_partitions_topic_default;
    struct create_partitions_request request = create_partitions_request_default;
    struct create_partitions_response response;
    bool validate_only = false;
    int64_t count = 0;
    const struct http_field field = {"partitions", HTTP_INTEGER, true, &count, 1, MOST_PARTITIONS};
    if (!http_query_bool(r, "validateOnly", &validate_only) || !http_read_body(r, &field, 1))
        return;
    topic.name = r->params[0];
    topic.count = (int32_t)count;
    topic.assignments_count = -1; // the controller chooses
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = CHANGE_TIMEOUT_MS;
    request.validate_only = validate_only;
    if (!http_call(r, KEY_CREATE_PARTITIONS, 3, &request, &response))
        return;
    const struct create_partitions_response_create_partitions_topic_result *t = &response.results[0];
    if (!http_fail_kafka(r, t->error_code, t->error_message))
        http_answer(r, 200,
                    json_pack("{s:o, s:I, s:b}", "name", http_text(t->name), "partitions", (json_int_t)count,
                              "validateOnly", validate_only));
}

void http_topic_delete(struct http_request *r)
{
    struct delete_topics_request_delete_topic_state topic = delete_topics_request_delete_topic_state_default;
    struct delete_topics_request request = delete_topics_request_default;
    struct delete_topics_response response;
    topic.name = r->params[0];
    request.topics = &topic;
    request.topics_count = 1;
    request.timeout_ms = CHANGE_TIMEOUT_MS;
    if (!http_call(r, KEY_DELETE_TOPICS, 6, &request, &response))
        return;
    const struct delete_topics_response_deletable_topic_result *t = &response.responses[0];
    if (!http_fail_kafka(r, t->error_code, t->error_message))
        http_answer(r, 200,
                    json_pack("{s:o, s:o}", "name", http_text(t->name), "id", http_uuid(&t->topic_id)));
}
