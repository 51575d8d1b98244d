// Groups and their members.
#include "http/groups.h"
#include "base/clock.h"
#include "http/configs.h"
#include "http/group_history.h"
#include "http/history.h"
#include "http/keys.h"
#include "http/route.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "protocol/sorted.h"

#include <stdlib.h>

#define AGE_MS         1000 // for finding out how old the first records are
#define AGE_PARTITIONS 200

typedef struct consumer_group_describe_response_described_group consumer_group;
typedef struct describe_groups_response_described_group classic_group;

static bool no_memory(struct http_request *r)
{
    http_fail(r, 500, "UNKNOWN_SERVER_ERROR", "out of memory");
    return false;
}

static bool of_consumer(struct http_request *r, const consumer_group *g, struct group *out)
{
    *out = (struct group){.id = g->group_id,
                          .state = g->group_state,
                          .type = STR("consumer"),
                          .protocol_type = STR("consumer"),
                          .assignor = g->assignor_name,
                          .epoch = g->group_epoch,
                          .members_count = g->members_count};
    out->members = arena_zalloc(&r->arena, (size_t)g->members_count, sizeof *out->members);
    for (int32_t i = 0; out->members && i < g->members_count; i++) {
        const struct consumer_group_describe_response_member *m = &g->members[i];
        struct group_member *to = &out->members[i];
        *to = (struct group_member){.id = m->member_id,
                                    .instance_id = m->instance_id,
                                    .client_id = m->client_id,
                                    .host = m->client_host,
                                    .rack = m->rack_id,
                                    .epoch = m->member_epoch,
                                    .assignment_count = m->assignment.topic_partitions_count};
        to->assignment = arena_zalloc(&r->arena, (size_t)to->assignment_count, sizeof *to->assignment);
        if (!to->assignment)
            return no_memory(r);
        for (int32_t k = 0; k < to->assignment_count; k++) {
            const struct consumer_group_describe_response_topic_partitions *t =
                &m->assignment.topic_partitions[k];
            // What it is to give up stands behind the others.
            sort_partitions(t->partitions, t->partitions_count);
            to->assignment[k] = (struct group_assignment){t->topic_name, t->partitions, t->partitions_count};
        }
    }
    return out->members || no_memory(r);
}

// Of a member of a classic group, where it is in the form that consumers use; none otherwise.
static bool read_assignment(struct http_request *r, struct bytes assignment, struct group_member *to)
{
    struct consumer_protocol_assignment a;
    size_t used;
    if (assignment.size < 2)
        return true;
    int16_t version = (int16_t)load_be16(assignment.data);
    if (version > consumer_protocol_assignment_type.max_version)
        version = consumer_protocol_assignment_type.max_version;
    struct bytes body = {assignment.data + 2, assignment.size - 2};
    if (version < 0 ||
        message_decode(&consumer_protocol_assignment_type, version, body, &r->arena, &a, &used))
        return true;
    to->assignment = arena_zalloc(&r->arena, (size_t)a.assigned_partitions_count, sizeof *to->assignment);
    if (!to->assignment)
        return no_memory(r);
    for (; to->assignment_count < a.assigned_partitions_count; to->assignment_count++) {
        const struct consumer_protocol_assignment_topic_partition *t =
            &a.assigned_partitions[to->assignment_count];
        to->assignment[to->assignment_count] =
            (struct group_assignment){t->topic, t->partitions, t->partitions_count};
    }
    return true;
}

static bool of_classic(struct http_request *r, const classic_group *g, struct group *out)
{
    bool consumers = str_is(g->protocol_type, "consumer");
    *out = (struct group){.id = g->group_id,
                          .state = g->group_state,
                          .type = STR("classic"),
                          .protocol_type = g->protocol_type,
                          .assignor = g->protocol_data,
                          .epoch = -1,
                          .members_count = g->members_count};
    out->members = arena_zalloc(&r->arena, (size_t)g->members_count, sizeof *out->members);
    for (int32_t i = 0; out->members && i < g->members_count; i++) {
        const struct describe_groups_response_described_group_member *m = &g->members[i];
        out->members[i] = (struct group_member){.id = m->member_id,
                                                .instance_id = m->group_instance_id,
                                                .client_id = m->client_id,
                                                .host = m->client_host,
                                                .epoch = -1};
        if (consumers && !read_assignment(r, m->member_assignment, &out->members[i]))
            return false;
    }
    return out->members || no_memory(r);
}

// The broker says which of them are of the newer protocol; what is not, is asked for as a classic one.
bool groups_describe(struct http_request *r, struct str *ids, int32_t count, struct group *out)
{
    struct consumer_group_describe_request newer = consumer_group_describe_request_default;
    struct consumer_group_describe_response described;
    struct describe_groups_request classic = describe_groups_request_default;
    struct describe_groups_response others;
    int32_t *places = arena_alloc(&r->arena, (size_t)(count + 1) * sizeof *places);
    if (count == 0)
        return true;
    newer.group_ids = ids;
    newer.group_ids_count = count;
    classic.groups = arena_alloc(&r->arena, (size_t)count * sizeof *classic.groups);
    if (!places || !classic.groups)
        return no_memory(r);
    if (!http_call(r, KEY_CONSUMER_GROUP_DESCRIBE, 1, &newer, &described))
        return false;
    for (int32_t i = 0; i < described.groups_count && i < count; i++) {
        out[i] = (struct group){.epoch = -1};
        if (described.groups[i].error_code == E_NONE) {
            if (!of_consumer(r, &described.groups[i], &out[i]))
                return false;
            continue;
        }
        places[classic.groups_count] = i;
        classic.groups[classic.groups_count++] = ids[i];
    }
    if (classic.groups_count == 0)
        return true;
    if (!http_call(r, KEY_DESCRIBE_GROUPS, 6, &classic, &others))
        return false;
    for (int32_t i = 0; i < others.groups_count && i < classic.groups_count; i++)
        if (others.groups[i].error_code == E_NONE && !of_classic(r, &others.groups[i], &out[places[i]]))
            return false;
    return true;
}

bool group_describe(struct http_request *r, struct str id, struct group *out)
{
    if (!groups_describe(r, &id, 1, out))
        return false;
    if (out->id.data)
        return true;
    http_fail(r, 404, error_code_name(E_GROUP_ID_NOT_FOUND), "Group %.*s not found.", STR_ARG(id));
    return false;
}

bool groups_configured(struct http_request *r, struct map *names)
{
    int8_t groups = RESOURCE_GROUP;
    struct list_config_resources_request request = list_config_resources_request_default;
    struct list_config_resources_response response;
    *names = MAP_INIT;
    request.resource_types = &groups;
    request.resource_types_count = 1;
    if (!http_call(r, KEY_LIST_CONFIG_RESOURCES, 1, &request, &response) ||
        http_fail_kafka(r, response.error_code, STR_NULL))
        return false;
    for (int32_t i = 0; i < response.config_resources_count; i++) {
        struct list_config_resources_response_config_resource *one = &response.config_resources[i];
        if (map_put(names, one->resource_name, &one->resource_name))
            return no_memory(r);
    }
    return true;
}

// The same as group_describe, where one that has settings and nothing else is there, too.
static bool describe_or_configured(struct http_request *r, struct str id, struct group *out)
{
    struct map names;
    if (!groups_describe(r, &id, 1, out) || out->id.data)
        return out->id.data != NULL;
    if (groups_configured(r, &names) && map_get(&names, id))
        *out = (struct group){.id = id, .epoch = -1};
    else
        http_fail(r, 404, error_code_name(E_GROUP_ID_NOT_FOUND), "Group %.*s not found.", STR_ARG(id));
    map_free(&names);
    return out->id.data != NULL;
}

static json_t *assignment_json(const struct group_member *m)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < m->assignment_count; i++)
        json_array_append_new(
            all, json_pack("{s:o, s:o}", "topic", http_text(m->assignment[i].topic), "partitions",
                           http_ids(m->assignment[i].partitions, m->assignment[i].partitions_count)));
    return all;
}

static json_t *members_json(const struct group *g)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < g->members_count; i++) {
        const struct group_member *m = &g->members[i];
        json_array_append_new(all, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", http_text(m->id),
                                             "instanceId", http_text(m->instance_id), "clientId",
                                             http_text(m->client_id), "host", http_text(m->host), "rack",
                                             http_text(m->rack), "epoch", http_number(m->epoch), "assignment",
                                             assignment_json(m)));
    }
    return all;
}

static json_t *seconds_json(double seconds)
{
    return seconds < 0 ? json_null() : json_real(seconds);
}

static json_t *partitions_json(const struct group_offsets *o)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < o->count; i++) {
        const struct group_partition *p = &o->partitions[i];
        json_array_append_new(
            all, json_pack("{s:o, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "topic", http_text(p->topic),
                           "partition", p->partition, "committedOffset", http_number(p->committed),
                           "metadata", http_text(p->metadata), "startOffset", http_number(p->start),
                           "endOffset", http_number(p->end), "lag", http_number(p->lag), "lagSeconds",
                           seconds_json(p->lag_seconds), "error",
                           p->error == E_NONE ? json_null() : json_string(error_code_name(p->error)),
                           "member", http_text(p->member)));
    }
    return all;
}

void http_group(struct http_request *r)
{
    struct group g;
    struct group_offsets o = {0};
    struct ends ends = {.request = r};
    if (describe_or_configured(r, r->params[0], &g) && groups_offsets(&ends, &g.id, 1, &o) &&
        group_offsets_assigned(&ends, &g, &o)) {
        group_offsets_age(r, &o, AGE_PARTITIONS, clock_monotonic_ms() + AGE_MS);
        if (g.state.data)
            group_history_ask(history_groups(r->history), g.id);
        http_answer(r, 200,
                    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o}", "id",
                              http_text(g.id), "state", http_text(g.state), "type", http_text(g.type),
                              "protocolType", http_text(g.protocol_type), "assignor", http_text(g.assignor),
                              "epoch", http_number(g.epoch), "members", members_json(&g), "lag",
                              http_number(o.lag < 0 && o.offline == 0 ? 0 : o.lag), "lagSeconds",
                              seconds_json(o.lag_seconds), "partitionsOffline", o.offline, "partitions",
                              partitions_json(&o)));
    }
    ends_free(&ends);
}

// Every group, described, with what it has committed.
struct all_groups {
    const struct list_groups_response_listed_group *listed;
    struct group *groups;
    struct group_offsets *offsets;
    int32_t count;
};

static bool read_all(struct http_request *r, struct ends *ends, struct all_groups *all)
{
    struct list_groups_request request = list_groups_request_default;
    struct list_groups_response response;
    if (!http_call(r, KEY_LIST_GROUPS, 5, &request, &response) ||
        http_fail_kafka(r, response.error_code, STR_NULL))
        return false;
    size_t count = (size_t)response.groups_count;
    struct str *ids = arena_alloc(&r->arena, (count + 1) * sizeof *ids);
    *all =
        (struct all_groups){response.groups, arena_zalloc(&r->arena, count + 1, sizeof *all->groups),
                            arena_zalloc(&r->arena, count + 1, sizeof *all->offsets), response.groups_count};
    if (!ids || !all->groups || !all->offsets)
        return no_memory(r);
    for (size_t i = 0; i < count; i++)
        ids[i] = response.groups[i].group_id;
    return groups_describe(r, ids, all->count, all->groups) &&
           groups_offsets(ends, ids, all->count, all->offsets);
}

static json_t *topics_json(const struct group_offsets *o)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < o->count; i++)
        if (i == 0 || !str_equal(o->partitions[i].topic, o->partitions[i - 1].topic))
            json_array_append_new(all, http_text(o->partitions[i].topic));
    return all;
}

static json_t *listed_json(const struct list_groups_response_listed_group *g, const struct group *d,
                           const struct group_offsets *o, bool has_settings)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:b}", "id", http_text(g->group_id), "state",
                     http_text(g->group_state), "type", http_text(g->group_type), "protocolType",
                     http_text(g->protocol_type), "members",
                     d->id.data ? json_integer(d->members_count) : json_null(), "lag", http_number(o->lag),
                     "partitionsOffline", o->offline, "topics", topics_json(o), "hasSettings", has_settings);
}

// Those that have settings and nothing else come last.
void http_groups(struct http_request *r)
{
    struct all_groups all;
    struct ends ends = {.request = r};
    struct map configured = MAP_INIT;
    struct map_entry *e;
    if (read_all(r, &ends, &all) && groups_configured(r, &configured)) {
        json_t *groups = json_array();
        for (int32_t i = 0; i < all.count; i++)
            json_array_append_new(groups, listed_json(&all.listed[i], &all.groups[i], &all.offsets[i],
                                                      map_remove(&configured, all.listed[i].group_id)));
        for (size_t i = 0; (e = map_next(&configured, &i));) {
            struct list_groups_response_listed_group none = {.group_id = e->key};
            struct group nobody = {.id = e->key};
            json_array_append_new(groups,
                                  listed_json(&none, &nobody, &(struct group_offsets){.lag = -1}, true));
        }
        http_answer(r, 200, json_pack("{s:o}", "groups", groups));
    }
    map_free(&configured);
    ends_free(&ends);
}

struct place {
    int64_t lag;
    int32_t at;
};

static int by_lag(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    return a->lag != b->lag ? (a->lag < b->lag) - (a->lag > b->lag) : (a->at > b->at) - (a->at < b->at);
}

json_t *groups_load(struct http_request *r, int32_t most, int32_t *total, int64_t *others_lag)
{
    struct all_groups all = {0};
    struct ends ends = {.request = r};
    json_t *loads = NULL;
    *total = 0;
    *others_lag = 0;
    struct place *places = NULL;
    if (!read_all(r, &ends, &all) ||
        !(places = arena_alloc(&r->arena, ((size_t)all.count + 1) * sizeof *places)))
        goto out;
    for (int32_t i = 0; i < all.count; i++)
        places[i] = (struct place){all.offsets[i].lag, i};
    qsort(places, (size_t)all.count, sizeof *places, by_lag);
    loads = json_array();
    *total = all.count;
    int64_t deadline_ms = clock_monotonic_ms() + AGE_MS;
    for (int32_t i = 0; i < all.count && i < most; i++) {
        const struct list_groups_response_listed_group *g = &all.listed[places[i].at];
        const struct group *d = &all.groups[places[i].at];
        struct group_offsets *o = &all.offsets[places[i].at];
        group_offsets_age(r, o, AGE_PARTITIONS / 4, deadline_ms);
        json_array_append_new(loads,
                              json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", http_text(g->group_id), "state",
                                        http_text(g->group_state), "members",
                                        d->id.data ? json_integer(d->members_count) : json_null(), "lag",
                                        http_number(o->lag), "lagSeconds", seconds_json(o->lag_seconds)));
    }
    for (int32_t i = most; i < all.count; i++)
        *others_lag += places[i].lag > 0 ? places[i].lag : 0;
out:
    ends_free(&ends);
    return loads;
}

void http_group_delete(struct http_request *r)
{
    struct delete_groups_request request = delete_groups_request_default;
    struct delete_groups_response response;
    request.groups_names = &r->params[0];
    request.groups_names_count = 1;
    if (http_call(r, KEY_DELETE_GROUPS, 2, &request, &response) &&
        !http_fail_kafka(r, response.results[0].error_code, STR_NULL))
        http_answer(r, 200, json_pack("{s:o}", "id", http_text(response.results[0].group_id)));
}
