// What groups have committed, how far behind they are; resetting and deleting it.
#include "base/clock.h"
#include "base/error.h"
#include "http/fetch.h"
#include "http/groups.h"
#include "http/keys.h"
#include "http/offsets.h"
#include "http/route.h"
#include "os/thread.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdlib.h>

#define COORDINATOR_TRIES   100
#define COORDINATOR_WAIT_MS 100

typedef struct offset_fetch_response_offset_fetch_response_group fetched_group;
typedef struct offset_fetch_response_offset_fetch_response_topics fetched_topic;

// Of a topic's partitions 0 .. count-1.
struct topic_ends {
    int32_t count;
    const struct http_offset *end;
};

static bool no_memory(struct http_request *r)
{
    http_fail(r, 500, "UNKNOWN_SERVER_ERROR", "out of memory");
    return false;
}

// The end of each partition below `count`. NULL when it is answered.
static const struct http_offset *ends_of(struct ends *ends, struct str topic, int32_t count)
{
    struct topic_ends *t = map_get(&ends->topics, topic);
    if (t && t->count >= count)
        return t->end;
    const struct http_offset *end = http_offsets(ends->request, topic, count, OFFSET_LATEST);
    if (!end)
        return NULL;
    if (!t) {
        t = arena_zalloc(&ends->request->arena, 1, sizeof *t);
        if (!t || map_put(&ends->topics, topic, t)) {
            no_memory(ends->request);
            return NULL;
        }
    }
    *t = (struct topic_ends){count, end};
    return end;
}

void ends_free(struct ends *ends)
{
    map_free(&ends->topics);
}

static int by_place(const void *left, const void *right)
{
    const struct group_partition *a = left, *b = right;
    int order = str_compare(a->topic, b->topic);
    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

// A topic that is gone is not off line.
static bool is_off_line(const struct group_partition *p)
{
    return p->error != E_NONE && p->error != E_UNKNOWN_TOPIC_OR_PARTITION;
}

static void measure(struct group_partition *p, struct http_offset at)
{
    int64_t end = at.offset;
    p->end = end;
    p->error = at.error;
    p->lag = end < 0 || p->committed < 0 ? -1 : end > p->committed ? end - p->committed : 0;
    p->lag_seconds = p->lag == 0 ? 0 : -1;
}

static void sum_up(struct group_offsets *o)
{
    o->lag = -1;
    o->lag_seconds = -1;
    o->offline = 0;
    for (int32_t i = 0; i < o->count; i++) {
        o->offline += is_off_line(&o->partitions[i]);
        if (o->partitions[i].lag >= 0)
            o->lag = (o->lag > 0 ? o->lag : 0) + o->partitions[i].lag;
        if (o->partitions[i].lag_seconds > o->lag_seconds)
            o->lag_seconds = o->partitions[i].lag_seconds;
    }
}

static int32_t partitions_below(const fetched_topic *t)
{
    int32_t count = 0;
    for (int32_t p = 0; p < t->partitions_count; p++)
        if (t->partitions[p].partition_index >= count)
            count = t->partitions[p].partition_index + 1;
    return count;
}

static bool read_group(struct ends *ends, const fetched_group *g, struct group_offsets *out)
{
    size_t total = 0;
    for (int32_t t = 0; t < g->topics_count; t++)
        total += (size_t)g->topics[t].partitions_count;
    *out = (struct group_offsets){.partitions =
                                      arena_zalloc(&ends->request->arena, total, sizeof *out->partitions)};
    if (!out->partitions)
        return no_memory(ends->request);
    for (int32_t t = 0; t < g->topics_count; t++) {
        const fetched_topic *topic = &g->topics[t];
        const struct http_offset *end = ends_of(ends, topic->name, partitions_below(topic));
        if (!end)
            return false;
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            struct group_partition *one = &out->partitions[out->count++];
            *one = (struct group_partition){.topic = topic->name,
                                            .partition = topic->partitions[p].partition_index,
                                            .committed = topic->partitions[p].committed_offset,
                                            .metadata = topic->partitions[p].metadata,
                                            .start = -1};
            measure(one, end[one->partition]);
        }
    }
    qsort(out->partitions, (size_t)out->count, sizeof *out->partitions, by_place);
    sum_up(out);
    return true;
}

bool groups_offsets(struct ends *ends, struct str *ids, int32_t count, struct group_offsets *out)
{
    struct http_request *r = ends->request;
    struct offset_fetch_request request = offset_fetch_request_default;
    struct offset_fetch_response response;
    if (count == 0)
        return true;
    request.groups = offset_fetch_request_offset_fetch_request_group_new(&r->arena, count);
    if (!request.groups)
        return no_memory(r);
    request.groups_count = count;
    for (int32_t i = 0; i < count; i++) {
        request.groups[i].group_id = ids[i];
        request.groups[i].topics_count = -1; // all
    }
    if (!http_call(r, KEY_OFFSET_FETCH, 9, &request, &response))
        return false;
    for (int32_t i = 0; i < response.groups_count && i < count; i++) {
        out[i] = (struct group_offsets){.lag = -1, .lag_seconds = -1};
        if (response.groups[i].error_code == E_NONE && !read_group(ends, &response.groups[i], &out[i]))
            return false;
    }
    return true;
}

static struct group_partition *find(struct group_offsets *o, int32_t count, struct str topic,
                                    int32_t partition)
{
    struct group_partition key = {.topic = topic, .partition = partition};
    return count ? bsearch(&key, o->partitions, (size_t)count, sizeof key, by_place) : NULL;
}

// Where each topic's partitions begin.
static bool find_starts(struct http_request *r, struct group_offsets *o)
{
    for (int32_t i = 0, n; i < o->count; i += n) {
        struct str topic = o->partitions[i].topic;
        for (n = 1; i + n < o->count && str_equal(o->partitions[i + n].topic, topic);)
            n++;
        const struct http_offset *start =
            http_offsets(r, topic, o->partitions[i + n - 1].partition + 1, OFFSET_EARLIEST);
        if (!start)
            return false;
        for (int32_t k = i; k < i + n; k++)
            o->partitions[k].start = start[o->partitions[k].partition].offset;
    }
    return true;
}

bool group_offsets_assigned(struct ends *ends, const struct group *g, struct group_offsets *o)
{
    struct http_request *r = ends->request;
    size_t total = (size_t)o->count;
    for (int32_t m = 0; m < g->members_count; m++)
        for (int32_t a = 0; a < g->members[m].assignment_count; a++)
            total += (size_t)g->members[m].assignment[a].partitions_count;
    struct group_partition *all = arena_zalloc(&r->arena, total, sizeof *all);
    if (!all)
        return no_memory(r);
    if (o->count)
        memcpy(all, o->partitions, (size_t)o->count * sizeof *all);
    o->partitions = all;
    int32_t known = o->count;
    for (int32_t m = 0; m < g->members_count; m++) {
        for (int32_t a = 0; a < g->members[m].assignment_count; a++) {
            const struct group_assignment *t = &g->members[m].assignment[a];
            int32_t below = 0;
            for (int32_t p = 0; p < t->partitions_count; p++)
                below = t->partitions[p] >= below ? t->partitions[p] + 1 : below;
            const struct http_offset *end = ends_of(ends, t->topic, below);
            if (!end)
                return false;
            for (int32_t p = 0; p < t->partitions_count; p++) {
                struct group_partition *one = find(o, known, t->topic, t->partitions[p]);
                if (!one && t->partitions[p] >= 0) {
                    one = &o->partitions[o->count++];
                    *one = (struct group_partition){
                        .topic = t->topic, .partition = t->partitions[p], .committed = -1, .start = -1};
                    measure(one, end[one->partition]);
                }
                if (one)
                    one->member = g->members[m].id;
            }
        }
    }
    qsort(o->partitions, (size_t)o->count, sizeof *o->partitions, by_place);
    return find_starts(r, o);
}

static bool take_time(void *context, const struct found_record *record)
{
    *(int64_t *)context = record->timestamp_ms;
    return false;
}

void group_offsets_age(struct http_request *r, struct group_offsets *o, int most, int64_t deadline_ms)
{
    int64_t now_ms = clock_wall_ms();
    for (int32_t i = 0; i < o->count && most > 0 && clock_monotonic_ms() < deadline_ms; i++) {
        struct group_partition *p = &o->partitions[i];
        int64_t time_ms = -1;
        if (p->lag <= 0)
            continue;
        most--;
        int64_t from = p->start > p->committed ? p->start : p->committed;
        http_first_record(r, p->topic, p->partition, from, take_time, &time_ms);
        if (time_ms < 0)
            continue;
        p->lag_seconds = now_ms > time_ms ? (double)(now_ms - time_ms) / 1000 : 0;
    }
    sum_up(o);
}

// ---------------------------------------------------------------- reset

enum reset_to { RESET_EARLIEST, RESET_LATEST, RESET_TIMESTAMP, RESET_OFFSET, RESET_SHIFT, RESET_WAYS };
static const char *const reset_words[] = {"earliest", "latest", "timestamp", "offset", "shift"};

struct reset {
    enum reset_to to;
    int64_t value;
    struct str topic; // null: all
    json_t *partitions;
    bool validate_only;
};

// The word `to`, and exactly the field that goes with it.
static bool read_reset(struct http_request *r, struct reset *out)
{
    struct str to = STR_NULL;
    int64_t values[RESET_WAYS] = {0};
    const struct http_field fields[] = {
        {"to", HTTP_STRING, true, &to, 0, 0},
        {"timestamp", HTTP_INTEGER, false, &values[RESET_TIMESTAMP], 0, INT64_MAX},
        {"offset", HTTP_INTEGER, false, &values[RESET_OFFSET], 0, INT64_MAX},
        {"shift", HTTP_INTEGER, false, &values[RESET_SHIFT], -INT32_MAX, INT32_MAX},
        {"topic", HTTP_STRING, false, &out->topic, 0, 0},
        {"partitions", HTTP_ARRAY, false, &out->partitions, 0, 0}};
    if (!http_query_bool(r, "validateOnly", &out->validate_only) ||
        !http_read_body(r, fields, sizeof fields / sizeof fields[0]))
        return false;
    out->to = RESET_EARLIEST;
    while (out->to < RESET_WAYS && !str_is(to, reset_words[out->to]))
        out->to++;
    if (out->to == RESET_WAYS) {
        http_fail(r, 400, "INVALID_REQUEST", "to must be earliest, latest, timestamp, offset or shift");
        return false;
    }
    for (enum reset_to way = RESET_TIMESTAMP; way < RESET_WAYS; way++) {
        bool given = json_object_get(r->body, reset_words[way]) != NULL;
        if (given == (way == out->to))
            continue;
        http_fail(r, 400, "INVALID_REQUEST", given ? "%s is not for to=%s" : "%s is missing for to=%s",
                  reset_words[way], reset_words[out->to]);
        return false;
    }
    out->value = values[out->to];
    if (!out->partitions || out->topic.data)
        return true;
    http_fail(r, 400, "INVALID_REQUEST", "partitions need their topic");
    return false;
}

static bool names_partition(const struct reset *reset, int32_t partition)
{
    size_t i;
    json_t *one;
    if (!reset->partitions)
        return true;
    json_array_foreach(reset->partitions, i,
                       one) if (json_is_integer(one) && json_integer_value(one) == partition) return true;
    return false;
}

// Of the topic that is named, also what has nothing committed yet. False when it is answered.
static bool add_topic(struct ends *ends, const struct reset *reset, struct group_offsets *o)
{
    struct http_request *r = ends->request;
    struct metadata_response metadata;
    size_t i;
    json_t *one;
    if (!reset->topic.data)
        return true;
    if (!http_metadata(r, reset->topic, &metadata) || http_fail_topic(r, &metadata.topics[0]))
        return false;
    struct group_assignment all = {.topic = metadata.topics[0].name};
    int32_t count = metadata.topics[0].partitions_count,
            *ids = arena_alloc(&r->arena, ((size_t)count + 1) * 4);
    json_array_foreach(reset->partitions, i, one)
    {
        if (json_is_integer(one) && json_integer_value(one) >= 0 && json_integer_value(one) < count)
            continue;
        http_fail(r, 404, error_code_name(E_UNKNOWN_TOPIC_OR_PARTITION),
                  "partitions: %.*s has the partitions 0 to %d", STR_ARG(all.topic), count - 1);
        return false;
    }
    for (; ids && all.partitions_count < count; all.partitions_count++)
        ids[all.partitions_count] = all.partitions_count;
    all.partitions = ids;
    struct group_member nobody = {.assignment = &all, .assignment_count = 1};
    struct group as_if = {.members = &nobody, .members_count = 1};
    return ids ? group_offsets_assigned(ends, &as_if, o) : no_memory(r);
}

// The wanted offset of each partition of one topic, before it is moved into the partition.
static bool find_targets(struct http_request *r, const struct reset *reset, const struct group_partition *p,
                         int32_t count, int64_t *targets)
{
    const struct http_offset *times = NULL;
    if (reset->to == RESET_TIMESTAMP &&
        !(times = http_offsets(r, p[0].topic, p[count - 1].partition + 1, reset->value)))
        return false;
    for (int32_t i = 0; i < count; i++) {
        int64_t from = p[i].committed >= 0 ? p[i].committed : p[i].start;
        int64_t timed = times ? times[p[i].partition].offset : -1;
        targets[i] = reset->to == RESET_EARLIEST ? p[i].start
                     : reset->to == RESET_OFFSET ? reset->value
                     : reset->to == RESET_SHIFT  ? from + reset->value
                     : timed >= 0                ? timed
                                                 : p[i].end;
        if (targets[i] < p[i].start)
            targets[i] = p[i].start;
        if (targets[i] > p[i].end)
            targets[i] = p[i].end;
    }
    return true;
}

// What the reset leaves of the group's partitions, in place. False when it is answered: one does not answer,
// and where it would go is not known. One that is gone is left out.
static bool choose(struct http_request *r, const struct reset *reset, struct group_offsets *o)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < o->count; i++) {
        const struct group_partition *p = &o->partitions[i];
        bool named =
            !reset->topic.data || (str_equal(p->topic, reset->topic) && names_partition(reset, p->partition));
        if (named && is_off_line(p))
            return !http_fail_partition(r, p->topic, p->partition, p->error);
        if (named && p->start >= 0 && p->end >= 0)
            o->partitions[kept++] = *p;
    }
    o->count = kept;
    return true;
}

static int16_t worst_of(const struct offset_commit_response *response)
{
    int16_t error = E_NONE;
    for (int32_t t = 0; t < response->topics_count; t++)
        for (int32_t p = 0; p < response->topics[t].partitions_count; p++)
            if (response->topics[t].partitions[p].error_code != E_NONE)
                error = response->topics[t].partitions[p].error_code;
    return error;
}

static bool find_coordinator(struct http_request *r, struct str group)
{
    struct find_coordinator_request request = find_coordinator_request_default;
    struct find_coordinator_response response;
    request.coordinator_keys = &group;
    request.coordinator_keys_count = 1;
    return http_call(r, KEY_FIND_COORDINATOR, 4, &request, &response);
}

static bool commit(struct http_request *r, struct str group, const struct group_offsets *o,
                   const int64_t *targets)
{
    struct offset_commit_request request = offset_commit_request_default;
    struct offset_commit_response response;
    request.group_id = group;
    request.member_id = STR("");
    request.topics = offset_commit_request_offset_commit_request_topic_new(&r->arena, o->count);
    if (!request.topics)
        return no_memory(r);
    for (int32_t i = 0, n; i < o->count; i += n) {
        struct offset_commit_request_offset_commit_request_topic *t = &request.topics[request.topics_count++];
        for (n = 1; i + n < o->count && str_equal(o->partitions[i + n].topic, o->partitions[i].topic);)
            n++;
        t->name = o->partitions[i].topic;
        t->partitions = offset_commit_request_offset_commit_request_partition_new(&r->arena, n);
        t->partitions_count = n;
        for (int32_t k = 0; t->partitions && k < n; k++) {
            t->partitions[k].partition_index = o->partitions[i + k].partition;
            t->partitions[k].committed_offset = targets[i + k];
            t->partitions[k].committed_metadata = STR("");
        }
        if (!t->partitions)
            return no_memory(r);
    }
    // The first group of a cluster has no coordinator until one is looked for, and that takes it a moment.
    int16_t error = E_NONE;
    for (int i = 0; i < COORDINATOR_TRIES; i++) {
        if (!http_call(r, KEY_OFFSET_COMMIT, 9, &request, &response))
            return false;
        error = worst_of(&response);
        bool starts = error == E_NOT_COORDINATOR || error == E_COORDINATOR_NOT_AVAILABLE ||
                      error == E_COORDINATOR_LOAD_IN_PROGRESS;
        if (!starts)
            break;
        if (!find_coordinator(r, group))
            return false;
        thread_sleep_ms(COORDINATOR_WAIT_MS);
    }
    // Whoever commits without being a member of a group that has some.
    bool not_empty = error == E_UNKNOWN_MEMBER_ID || error == E_STALE_MEMBER_EPOCH;
    return !http_fail_kafka(r, not_empty ? E_NON_EMPTY_GROUP : error, STR_NULL);
}

static json_t *changes_json(const struct group_offsets *o, const int64_t *targets)
{
    json_t *all = json_array();
    for (int32_t i = 0; i < o->count; i++) {
        const struct group_partition *p = &o->partitions[i];
        json_array_append_new(
            all, json_pack("{s:o, s:i, s:o, s:I, s:I, s:I, s:I}", "topic", http_text(p->topic), "partition",
                           p->partition, "before", http_number(p->committed), "after", (json_int_t)targets[i],
                           "startOffset", (json_int_t)p->start, "endOffset", (json_int_t)p->end, "lagAfter",
                           (json_int_t)(p->end - targets[i])));
    }
    return all;
}

static void reset_offsets(struct ends *ends, const struct reset *reset)
{
    struct http_request *r = ends->request;
    struct group g = {0}, nobody = {0};
    struct group_offsets o = {0};
    // A group that is not there yet may be given offsets.
    if (!groups_describe(r, &r->params[0], 1, &g) || !groups_offsets(ends, &r->params[0], 1, &o) ||
        !group_offsets_assigned(ends, &nobody, &o) || !add_topic(ends, reset, &o))
        return;
    if (!choose(r, reset, &o))
        return;
    int64_t *targets = arena_alloc(&r->arena, ((size_t)o.count + 1) * sizeof *targets);
    if (o.count == 0 || !targets) {
        http_fail(r, 404, error_code_name(E_GROUP_ID_NOT_FOUND),
                  "group %.*s has no committed offsets there: name a topic to give it some",
                  STR_ARG(r->params[0]));
        return;
    }
    for (int32_t i = 0, n; i < o.count; i += n) {
        for (n = 1; i + n < o.count && str_equal(o.partitions[i + n].topic, o.partitions[i].topic);)
            n++;
        if (!find_targets(r, reset, &o.partitions[i], n, &targets[i]))
            return;
    }
    bool applicable = g.members_count == 0;
    if (!applicable && !reset->validate_only) {
        http_fail(r, 409, error_code_name(E_NON_EMPTY_GROUP), "group %.*s has %d members: stop them first",
                  STR_ARG(g.id), g.members_count);
        return;
    }
    if (!reset->validate_only && !commit(r, r->params[0], &o, targets))
        return;
    http_answer(r, 200,
                json_pack("{s:o, s:o, s:b, s:b, s:o}", "group", http_text(r->params[0]), "state",
                          http_text(g.id.data ? g.state : STR("Dead")), "applicable", applicable, "applied",
                          !reset->validate_only, "partitions", changes_json(&o, targets)));
}

void http_offsets_reset(struct http_request *r)
{
    struct reset reset = {0};
    struct ends ends = {.request = r};
    if (read_reset(r, &reset))
        reset_offsets(&ends, &reset);
    ends_free(&ends);
}

// ---------------------------------------------------------------- delete

static bool delete_offsets(struct http_request *r, struct str topic, const int32_t *partitions, int32_t count)
{
    struct offset_delete_request_offset_delete_request_topic t =
        offset_delete_request_offset_delete_request_topic_default;
    struct offset_delete_request request = offset_delete_request_default;
    struct offset_delete_response response;
    t.name = topic;
    t.partitions = offset_delete_request_offset_delete_request_partition_new(&r->arena, count);
    t.partitions_count = count;
    if (!t.partitions)
        return no_memory(r);
    for (int32_t i = 0; i < count; i++)
        t.partitions[i].partition_index = partitions[i];
    request.group_id = r->params[0];
    request.topics = &t;
    request.topics_count = 1;
    if (!http_call(r, KEY_OFFSET_DELETE, 0, &request, &response) ||
        http_fail_kafka(r, response.error_code, STR_NULL))
        return false;
    for (int32_t i = 0; response.topics_count == 1 && i < response.topics[0].partitions_count; i++)
        if (http_fail_kafka(r, response.topics[0].partitions[i].error_code, STR_NULL))
            return false;
    return true;
}

static bool committed_of(struct http_request *r, struct str topic, int32_t **partitions, int32_t *count)
{
    struct ends ends = {.request = r};
    struct group_offsets o = {0};
    bool found = groups_offsets(&ends, &r->params[0], 1, &o);
    ends_free(&ends);
    *partitions = found ? arena_alloc(&r->arena, ((size_t)o.count + 1) * sizeof **partitions) : NULL;
    for (int32_t i = 0; *partitions && i < o.count; i++)
        if (str_equal(o.partitions[i].topic, topic))
            (*partitions)[(*count)++] = o.partitions[i].partition;
    return *partitions != NULL;
}

void http_offsets_delete(struct http_request *r)
{
    struct str topic = http_query(r, "topic");
    struct group g;
    int32_t *partitions, count;
    if (!topic.data) {
        http_fail(r, 400, "INVALID_REQUEST", "topic is missing: whose offsets?");
        return;
    }
    if (!http_query_partitions(r, "partition", &partitions, &count) || !group_describe(r, r->params[0], &g) ||
        (count == 0 && !committed_of(r, topic, &partitions, &count)))
        return;
    if (count == 0)
        http_fail(r, 404, "NOT_FOUND", "group %.*s has no committed offsets of %.*s", STR_ARG(g.id),
                  STR_ARG(topic));
    else if (delete_offsets(r, topic, partitions, count))
        http_answer(r, 200,
                    json_pack("{s:o, s:o, s:o}", "group", http_text(g.id), "topic", http_text(topic),
                              "partitions", http_ids(partitions, count)));
}
