// CreatePartitions: more partitions for topics that exist.
#include "base/error.h"
#include "base/map.h"
#include "controller/controller_internal.h"

#define ACL_ALTER      7
#define RESOURCE_TOPIC 2

// What Kafka lets one request append.
#define RECORDS_PER_REQUEST 10000

struct growth {
    struct step *step;
    struct arena *arena;
    const struct create_partitions_request_create_partitions_topic *topic;
    struct create_partitions_response_create_partitions_topic_result *result;
    struct partition_record *partitions; // that are added
    int32_t count;
};

static int fail(struct growth *g, int16_t error, struct str message)
{
    g->result->error_code = error;
    g->result->error_message = message;
    return 1; // answered
}

#define FAIL(g, error, ...) fail(g, error, arena_printf((g)->arena, __VA_ARGS__))

static int check_count(struct growth *g, const struct image_topic *t)
{
    int32_t wanted = g->topic->count, have = (int32_t)t->partitions_count;
    if (wanted == have)
        return FAIL(g, E_INVALID_PARTITIONS, "Topic already has %d partition(s).", have);
    if (wanted < have)
        return FAIL(g, E_INVALID_PARTITIONS,
                    "The topic %.*s currently has %d partition(s); %d would not be an increase.",
                    STR_ARG(t->name), have, wanted);
    g->count = wanted - have;
    if (g->topic->assignments_count >= 0 && g->topic->assignments_count != g->count)
        return FAIL(g, E_INVALID_REPLICA_ASSIGNMENT,
                    "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.",
                    g->count, g->topic->assignments_count);
    return 0;
}

static int assign_manually(struct growth *g, const struct image_topic *t)
{
    int32_t factor = (int32_t)t->partitions[0]->replicas_count, first = (int32_t)t->partitions_count;
    for (int32_t i = 0; i < g->count; i++) {
        const struct create_partitions_request_create_partitions_assignment *a = &g->topic->assignments[i];
        struct str problem;
        int rc = check_manual_replicas(g->step->c->image, a->broker_ids, a->broker_ids_count, factor,
                                       g->arena, &problem);
        if (rc)
            return rc == ERR_INVALID ? fail(g, E_INVALID_REPLICA_ASSIGNMENT, problem) : rc;
        if (!new_partition(g->step, &t->id, first + i, a->broker_ids, factor, &g->partitions[i]))
            return FAIL(
                g, E_INVALID_REPLICA_ASSIGNMENT,
                "All brokers specified in the manual partition assignment for partition %d are fenced or "
                "in controlled shutdown.",
                first + i);
    }
    return 0;
}

static int assign_by_number(struct growth *g, const struct image_topic *t)
{
    int16_t factor = (int16_t)t->partitions[0]->replicas_count;
    int32_t first = (int32_t)t->partitions_count, *replicas;
    struct str problem;
    int16_t error = place_replicas(g->step->c, first, g->count, factor, g->arena, &replicas, &problem);
    if (error != E_NONE)
        return problem.data ? fail(g, error, problem) : ERR_NOMEM;
    for (int32_t i = 0; i < g->count; i++)
        if (!new_partition(g->step, &t->id, first + i, replicas + i * factor, factor, &g->partitions[i]))
            return FAIL(
                g, E_INVALID_REPLICATION_FACTOR,
                "Unable to replicate the partition %d time(s): All brokers are currently fenced or in "
                "controlled shutdown.",
                factor);
    return 0;
}

static int grow(struct growth *g, bool validate_only)
{
    struct step *s = g->step;
    const struct image_topic *t = image_topic(s->c->image, g->topic->name);
    if (!t)
        return fail(g, E_UNKNOWN_TOPIC_OR_PARTITION, STR_NULL);
    int rc = check_count(g, t);
    if (rc)
        return rc;
    if (!step_charge(s, g->count))
        return fail(g, E_THROTTLING_QUOTA_EXCEEDED, STR_NULL);
    if (s->effects->records_count + (size_t)g->count > RECORDS_PER_REQUEST)
        return fail(g, E_UNKNOWN_SERVER_ERROR, STR_NULL);
    g->partitions = partition_record_new(g->arena, g->count);
    if (!g->partitions)
        return ERR_NOMEM;
    rc = g->topic->assignments_count >= 0 ? assign_manually(g, t) : assign_by_number(g, t);
    int16_t version = metadata_partition_version(s->c->image->metadata_version);
    for (int32_t i = 0; rc == 0 && !validate_only && i < g->count; i++)
        step_emit(s, &partition_record_type, version, &g->partitions[i]);
    return rc;
}

// The place of each name's first appearance in the request, and whether there are more.
struct appearance {
    int32_t first;
    bool again;
};

static int find_appearances(const struct create_partitions_request *q, struct arena *arena, struct map *out)
{
    struct appearance *all = arena_zalloc(arena, (size_t)q->topics_count + 1, sizeof *all);
    if (!all)
        return ERR_NOMEM;
    for (int32_t i = 0; i < q->topics_count; i++) {
        struct appearance *known = map_get(out, q->topics[i].name);
        if (known) {
            known->again = true;
            continue;
        }
        all[i].first = i;
        if (map_put(out, q->topics[i].name, &all[i]))
            return ERR_NOMEM;
    }
    return 0;
}

static int answer(struct growth *g, bool again, bool validate_only)
{
    g->result->name = g->topic->name;
    if (again)
        return fail(g, E_INVALID_REQUEST, STR("Duplicate topic name."));
    if (!step_allows(g->step, ACL_ALTER, RESOURCE_TOPIC, g->topic->name))
        return fail(g, E_TOPIC_AUTHORIZATION_FAILED, STR_NULL);
    return grow(g, validate_only);
}

int on_create_partitions(struct step *s)
{
    const struct create_partitions_request *q = s->event->request;
    struct create_partitions_response *response = step_respond(s, &create_partitions_response_type);
    struct arena *arena = &s->event->arena;
    if (!response)
        return ERR_NOMEM;
    response->results = create_partitions_response_create_partitions_topic_result_new(arena, q->topics_count);
    struct map names = MAP_INIT;
    int rc = response->results ? find_appearances(q, arena, &names) : ERR_NOMEM;
    for (int32_t i = 0; rc >= 0 && i < q->topics_count; i++) {
        const struct appearance *name = map_get(&names, q->topics[i].name);
        if (name->first != i)
            continue;
        struct growth g = {.step = s,
                           .arena = arena,
                           .topic = &q->topics[i],
                           .result = &response->results[response->results_count++]};
        rc = answer(&g, name->again, q->validate_only);
    }
    map_free(&names);
    return rc < 0 ? rc : 0;
}
