// CreateTopics: the checks, error codes and texts of Kafka 4.3.1, in its order.
#include "base/error.h"
#include "base/map.h"
#include "config/describe.h"
#include "controller/controller_internal.h"

#include <stdlib.h>

#define PARTITIONS_PER_REQUEST 10000
#define ACL_CREATE             5
#define ACL_DESCRIBE_CONFIGS   10
#define RESOURCE_TOPIC         2
#define RESOURCE_CLUSTER       4
#define CLUSTER_NAME           STR("kafka-cluster")
#define CLUSTER_METADATA       "__cluster_metadata"

struct creation {
    struct step *step;
    const struct create_topics_request_creatable_topic *topic;
    struct create_topics_response_creatable_topic_result *result;
    struct arena *arena;
    bool *overridden; // of each setting
    int32_t partitions_count;
    struct partition_record *partitions;
};

static int fail(struct creation *c, int16_t error, struct str message)
{
    c->result->error_code = error;
    c->result->error_message = message;
    return 1; // answered
}

#define FAIL(c, error, ...) fail(c, error, arena_printf((c)->arena, __VA_ARGS__))

static int check_name(struct creation *c)
{
    const struct image *image = c->step->c->image;
    struct str name = c->topic->name;
    if (image_topic(image, name))
        return FAIL(c, E_TOPIC_ALREADY_EXISTS, "Topic '%.*s' already exists.", STR_ARG(name));
    const struct image_topic *other = image_topic_alike(image, name);
    if (other)
        return FAIL(c, E_INVALID_TOPIC_EXCEPTION, "Topic '%.*s' collides with existing topic: %.*s",
                    STR_ARG(name), STR_ARG(other->name));
    struct str problem = topic_name_problem(name, c->arena);
    return problem.data ? fail(c, E_INVALID_TOPIC_EXCEPTION, problem) : 0;
}

// The last value of a name counts: notes which of the settings have a later one. A request may have very
// many.
static int find_overridden(struct creation *c)
{
    const struct create_topics_request_creatable_topic *t = c->topic;
    struct map seen = MAP_INIT;
    int rc = 0;
    c->overridden = arena_zalloc(c->arena, (size_t)t->configs_count + 1, sizeof *c->overridden);
    if (!c->overridden)
        return ERR_NOMEM;
    for (int32_t i = t->configs_count - 1; rc == 0 && i >= 0; i--) {
        c->overridden[i] = map_get(&seen, t->configs[i].name) != NULL;
        if (!c->overridden[i])
            rc = map_put(&seen, t->configs[i].name, &t->configs[i]);
    }
    map_free(&seen);
    return rc;
}

// The settings, each name once; *n of them.
static struct config_entry *entries_of(const struct creation *c, size_t *n)
{
    const struct create_topics_request_creatable_topic *t = c->topic;
    struct config_entry *entries = arena_alloc(c->arena, ((size_t)t->configs_count + 1) * sizeof *entries);
    *n = 0;
    for (int32_t i = 0; entries && i < t->configs_count; i++)
        if (!c->overridden[i])
            entries[(*n)++] = (struct config_entry){t->configs[i].name, t->configs[i].value};
    return entries;
}

static int check_configs(struct creation *c)
{
    const struct create_topics_request_creatable_topic *t = c->topic;
    struct buffer nulls = BUFFER_INIT;
    bool any = false;
    for (int32_t i = 0; i < t->configs_count; i++) {
        if (t->configs[i].value.data)
            continue;
        buffer_printf(&nulls, "%s%.*s", any ? "," : "", STR_ARG(t->configs[i].name));
        any = true;
    }
    if (any) {
        int rc = FAIL(c, E_INVALID_CONFIG, "Null value not supported for topic configs: %.*s",
                      (int)nulls.size, nulls.data ? (const char *)nulls.data : "");
        buffer_free(&nulls);
        return rc;
    }
    size_t n;
    struct config_entry *entries = entries_of(c, &n);
    struct config_layers layers = controller_layers(c->step->c);
    struct str message = STR_NULL;
    if (!entries)
        return ERR_NOMEM;
    if (!n)
        return 0;
    int rc = topic_config_validate(c->step->c->config.config, &layers, entries, n, c->arena, &message);
    return rc == ERR_INVALID ? fail(c, E_INVALID_CONFIG, message) : rc;
}

static int assign_manually(struct creation *c)
{
    const struct create_topics_request_creatable_topic *t = c->topic;
    if (t->replication_factor != -1)
        return FAIL(c, E_INVALID_REQUEST,
                    "A manual partition assignment was specified, but replication factor was not set to -1.");
    if (t->num_partitions != -1)
        return FAIL(c, E_INVALID_REQUEST,
                    "A manual partition assignment was specified, but numPartitions was not set to -1.");
    struct map seen = MAP_INIT;
    int32_t factor = -1;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < t->assignments_count; i++) {
        int32_t index = t->assignments[i].partition_index;
        uint64_t key = (uint64_t)(uint32_t)index;
        if (map_int_get(&seen, key)) {
            rc = FAIL(c, E_INVALID_REPLICA_ASSIGNMENT,
                      "Found multiple manual partition assignments for partition %d", index);
            break;
        }
        struct str problem;
        rc = check_manual_replicas(c->step->c->image, t->assignments[i].broker_ids,
                                   t->assignments[i].broker_ids_count, factor, c->arena, &problem);
        if (rc == ERR_INVALID)
            rc = fail(c, E_INVALID_REPLICA_ASSIGNMENT, problem);
        if (rc)
            break;
        factor = t->assignments[i].broker_ids_count;
        if (!new_partition(c->step, &c->result->topic_id, index, t->assignments[i].broker_ids, factor,
                           &c->partitions[i]))
            rc = FAIL(
                c, E_INVALID_REPLICA_ASSIGNMENT,
                "All brokers specified in the manual partition assignment for partition %d are fenced or in "
                "controlled shutdown.",
                index);
        else
            rc = map_int_put(&seen, key, &c->partitions[i]);
    }
    for (int32_t i = 0; rc == 0 && i < t->assignments_count; i++)
        if (!map_int_get(&seen, (uint64_t)i))
            rc = FAIL(c, E_INVALID_REPLICA_ASSIGNMENT,
                      "partitions should be a consecutive 0-based integer sequence");
    map_free(&seen);
    return rc;
}

static int assign_by_number(struct creation *c)
{
    const struct create_topics_request_creatable_topic *t = c->topic;
    const struct broker_config *config = c->step->c->config.config;
    if (t->replication_factor < -1 || t->replication_factor == 0)
        return FAIL(c, E_INVALID_REPLICATION_FACTOR,
                    "Replication factor must be larger than 0, or -1 to use the default value.");
    if (t->num_partitions < -1 || t->num_partitions == 0)
        return FAIL(c, E_INVALID_PARTITIONS,
                    "Number of partitions was set to an invalid non-positive value.");
    int16_t factor =
        t->replication_factor == -1 ? (int16_t)config->default_replication_factor : t->replication_factor;
    int32_t *replicas;
    struct str problem;
    int16_t error = place_replicas(c->step->c, 0, c->partitions_count, factor, c->arena, &replicas, &problem);
    if (error != E_NONE)
        return problem.data ? FAIL(c, error, "Unable to replicate the partition %d time(s): %.*s", factor,
                                   STR_ARG(problem))
                            : ERR_NOMEM;
    for (int32_t p = 0; p < c->partitions_count; p++)
        if (!new_partition(c->step, &c->result->topic_id, p, replicas + p * factor, factor,
                           &c->partitions[p]))
            return FAIL(
                c, E_INVALID_REPLICATION_FACTOR,
                "Unable to replicate the partition %d time(s): All brokers are currently fenced or in "
                "controlled shutdown.",
                factor);
    return 0;
}

static int assign(struct creation *c)
{
    const struct create_topics_request_creatable_topic *t = c->topic;
    if (t->assignments_count > 0)
        c->partitions_count = t->assignments_count;
    else if (t->num_partitions == -1)
        c->partitions_count = c->step->c->config.config->num_partitions;
    else
        c->partitions_count = t->num_partitions > 0 ? t->num_partitions : 0;
    c->partitions = partition_record_new(c->arena, c->partitions_count);
    if (!c->partitions)
        return ERR_NOMEM;
    return t->assignments_count > 0 ? assign_manually(c) : assign_by_number(c);
}

static int compare_names(const void *a, const void *b)
{
    return str_compare(((const struct config_description *)a)->name,
                       ((const struct config_description *)b)->name);
}

// What the topic's settings come to, for the response.
static int describe(struct creation *c)
{
    struct create_topics_response_creatable_topic_result *r = c->result;
    if (!step_allows(c->step, ACL_DESCRIBE_CONFIGS, RESOURCE_TOPIC, c->topic->name)) {
        r->topic_config_error_code = E_TOPIC_AUTHORIZATION_FAILED;
        return 0;
    }
    size_t n, count;
    struct config_entry *entries = entries_of(c, &n);
    struct config_layers layers = controller_layers(c->step->c);
    struct config_subject subject = {.scope = SETTING_TOPIC, .entries = entries, .count = n};
    struct config_description *all;
    if (!entries ||
        config_describe(c->step->c->config.config, &layers, &subject, NULL, 0, c->arena, &all, &count))
        return ERR_NOMEM;
    qsort(all, count, sizeof *all, compare_names);
    r->configs = create_topics_response_creatable_topic_configs_new(c->arena, (int32_t)count);
    if (!r->configs)
        return ERR_NOMEM;
    r->configs_count = (int32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct str value = arena_str(c->arena, all[i].value); // the answer outlives the image
        if (all[i].value.data && !value.data)
            return ERR_NOMEM;
        r->configs[i] = (struct create_topics_response_creatable_topic_configs){
            .name = all[i].name,
            .value = all[i].sensitive ? STR_NULL : value,
            .read_only = all[i].read_only,
            .config_source = (int8_t)all[i].source,
            .is_sensitive = all[i].sensitive};
    }
    r->num_partitions = c->partitions_count;
    r->replication_factor = (int16_t)c->partitions[0].replicas_count;
    return 0;
}

static void emit(struct creation *c)
{
    struct step *s = c->step;
    struct topic_record topic = {.name = c->topic->name, .topic_id = c->result->topic_id};
    int16_t version = metadata_partition_version(s->c->image->metadata_version);
    step_emit(s, &topic_record_type, 0, &topic);
    for (int32_t i = 0; i < c->topic->configs_count; i++) {
        struct config_record r = {.resource_type = IMAGE_RESOURCE_TOPIC,
                                  .resource_name = c->topic->name,
                                  .name = c->topic->configs[i].name,
                                  .value = c->topic->configs[i].value};
        if (!c->overridden[i])
            step_emit(s, &config_record_type, 0, &r);
    }
    for (int32_t i = 0; i < c->partitions_count; i++)
        step_emit(s, &partition_record_type, version, &c->partitions[i]);
}

static int create_topic(struct creation *c, bool validate_only)
{
    int rc = check_name(c);
    rc = rc ? rc : find_overridden(c);
    rc = rc ? rc : check_configs(c);
    if (rc)
        return rc < 0 ? rc : 0;
    c->result->topic_id = controller_new_id(c->step->c);
    rc = assign(c);
    if (rc == 0 && !step_charge(c->step, c->partitions_count))
        rc = fail(c, E_THROTTLING_QUOTA_EXCEEDED, STR_NULL);
    rc = rc ? rc : describe(c);
    if (rc == 0 && !validate_only)
        emit(c);
    if (rc)
        c->result->topic_id = (struct uuid){{0}};
    return rc < 0 ? rc : 0;
}

// --- the request as a whole ---

// What a request says of a name.
struct mention {
    int32_t first; // where
    bool again;
};

// For each topic of the request what is said of its name. NULL: out of memory.
static struct mention **find_mentions(struct step *s, const struct create_topics_request *q)
{
    struct arena *arena = &s->event->arena;
    struct mention **of = arena_zalloc(arena, (size_t)q->topics_count + 1, sizeof *of);
    struct mention *mentions = arena_zalloc(arena, (size_t)q->topics_count + 1, sizeof *mentions);
    struct map by_name = MAP_INIT;
    int rc = of && mentions ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++) {
        of[i] = map_get(&by_name, q->topics[i].name);
        if (of[i]) {
            of[i]->again = true;
            continue;
        }
        of[i] = &mentions[i];
        of[i]->first = i;
        rc = map_put(&by_name, q->topics[i].name, of[i]);
    }
    map_free(&by_name);
    return rc ? NULL : of;
}

// Why a topic does not come before the controller at all; E_NONE: it does.
static int16_t refusal(struct step *s, struct str name, const struct mention *mention, struct str *message)
{
    if (mention->again) {
        *message = STR("Duplicate topic name.");
        return E_INVALID_REQUEST;
    }
    if (str_is(name, CLUSTER_METADATA)) {
        *message = STR("Creation of internal topic " CLUSTER_METADATA " is prohibited.");
        return E_INVALID_REQUEST;
    }
    if (step_allows(s, ACL_CREATE, RESOURCE_CLUSTER, CLUSTER_NAME) ||
        step_allows(s, ACL_CREATE, RESOURCE_TOPIC, name))
        return E_NONE;
    *message = STR("Authorization failed.");
    return E_TOPIC_AUTHORIZATION_FAILED;
}

static int64_t partitions_wanted(const struct step *s, const struct create_topics_request *q,
                                 struct mention *const *mentions)
{
    int64_t total = 0;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct create_topics_request_creatable_topic *t = &q->topics[i];
        if (mentions[i]->again)
            continue;
        if (t->assignments_count > 0)
            total += t->assignments_count;
        else if (t->num_partitions == -1)
            total += s->c->config.config->num_partitions;
        else if (t->num_partitions > 0)
            total += t->num_partitions;
    }
    return total;
}

// Every topic of the request is answered with the same error.
static int refuse_all(const struct create_topics_request *q, struct create_topics_response *response,
                      int16_t error, struct str message)
{
    for (int32_t i = 0; i < q->topics_count; i++) {
        struct create_topics_response_creatable_topic_result *r = &response->topics[response->topics_count++];
        r->name = q->topics[i].name;
        r->error_code = error;
        r->error_message = message;
    }
    return 0;
}

int on_create_topics(struct step *s)
{
    const struct create_topics_request *q = s->event->request;
    struct create_topics_response *response = step_respond(s, &create_topics_response_type);
    if (!response)
        return ERR_NOMEM;
    response->topics = create_topics_response_creatable_topic_result_new(&s->event->arena, q->topics_count);
    struct mention **mentions = find_mentions(s, q);
    if (!response->topics || !mentions)
        return ERR_NOMEM;
    if (partitions_wanted(s, q, mentions) > PARTITIONS_PER_REQUEST)
        return refuse_all(q, response, E_POLICY_VIOLATION,
                          STR("Excessively large number of partitions per request."));
    // First those that the controller looks at, then the refused ones, as Kafka answers them.
    for (int pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < q->topics_count; i++) {
            struct str message = STR_NULL;
            int16_t refused = refusal(s, q->topics[i].name, mentions[i], &message);
            if ((refused != E_NONE) != (pass == 1) || mentions[i]->first != i)
                continue;
            struct creation c = {.step = s,
                                 .topic = &q->topics[i],
                                 .result = &response->topics[response->topics_count++],
                                 .arena = &s->event->arena};
            c.result->name = c.topic->name;
            c.result->error_message = STR_NULL;
            int rc = refused != E_NONE ? fail(&c, refused, message) : create_topic(&c, q->validate_only);
            if (rc < 0)
                return rc;
        }
    }
    return 0;
}
