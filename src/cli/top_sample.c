#include "cli/top.h"

#include "base/clock.h"
#include "protocol/errors.h"

#include <stdlib.h>

enum { API_OFFSET_FETCH = 9, API_LIST_GROUPS = 16, API_DESCRIBE_LOG_DIRS = 35 };

struct sampling {
    struct topic_call *call;
    struct top_sample *out;
    struct metadata_response cluster;
    struct offset_question *ends; // sorted as the sample's topics are, by partition
    size_t ends_count;
};

static int by_topic(const void *a, const void *b)
{
    const struct top_topic *x = a, *y = b;
    return str_compare(x->name, y->name);
}

static int by_place(const void *a, const void *b)
{
    const struct offset_question *x = a, *y = b;
    int order = str_compare(x->topic, y->topic);
    return order != 0 ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static struct top_topic *topic_of(struct top_sample *s, struct str name)
{
    struct top_topic key = {.name = name};
    return s->topics_count ? bsearch(&key, s->topics, s->topics_count, sizeof key, by_topic) : NULL;
}

static int out_of_memory(const struct sampling *s)
{
    return cli_fail(s->call->command, "out of memory");
}

static int read_topics(struct sampling *s)
{
    struct top_sample *out = s->out;
    int status = topic_metadata(s->call, &s->cluster);
    if (status != EXIT_OK)
        return status;
    out->cluster = s->cluster.cluster_id;
    out->brokers = s->cluster.brokers_count;
    for (int32_t i = 0; i < s->cluster.topics_count; i++)
        out->partitions += s->cluster.topics[i].partitions_count;
    out->topics = arena_zalloc(&s->call->arena, (size_t)s->cluster.topics_count + 1, sizeof *out->topics);
    s->ends = arena_zalloc(&s->call->arena, (size_t)out->partitions + 1, sizeof *s->ends);
    if (!out->topics || !s->ends)
        return out_of_memory(s);
    for (int32_t i = 0; i < s->cluster.topics_count; i++) {
        const struct metadata_response_metadata_response_topic *topic = &s->cluster.topics[i];
        out->topics[out->topics_count++] =
            (struct top_topic){.name = topic->name, .partitions = topic->partitions_count};
        for (int32_t p = 0; p < topic->partitions_count; p++)
            s->ends[s->ends_count++] =
                (struct offset_question){.topic = topic->name,
                                         .partition = topic->partitions[p].partition_index,
                                         .timestamp = OFFSET_LATEST};
    }
    if (out->topics_count > 0)
        qsort(out->topics, out->topics_count, sizeof *out->topics, by_topic);
    if (s->ends_count > 0)
        qsort(s->ends, s->ends_count, sizeof *s->ends, by_place);
    return EXIT_OK;
}

static int read_ends(struct sampling *s)
{
    int64_t started_us = clock_monotonic_us();
    int status = cluster_offsets(s->call, &s->cluster, s->ends, s->ends_count);
    s->out->latency_us = clock_monotonic_us() - started_us;
    for (size_t i = 0; status == EXIT_OK && i < s->ends_count; i++) {
        struct top_topic *topic = topic_of(s->out, s->ends[i].topic);
        if (topic && s->ends[i].offset != OFFSET_UNKNOWN)
            topic->written += s->ends[i].offset;
    }
    return status;
}

static int add_sizes(struct sampling *s, struct client *client)
{
    struct describe_log_dirs_request request;
    struct describe_log_dirs_response response;
    int16_t version = client_version(client, API_DESCRIBE_LOG_DIRS, 4);
    message_init(&describe_log_dirs_request_type, &request);
    request.topics_count = -1; // null: all of them
    if (version < 0 ||
        client_call(client, API_DESCRIBE_LOG_DIRS, version, &request, &s->call->arena, &response) != 0)
        return cli_fail(s->call->command, "%s", client->error);
    for (int32_t i = 0; i < response.results_count; i++)
        for (int32_t k = 0; k < response.results[i].topics_count; k++) {
            struct top_topic *topic = topic_of(s->out, response.results[i].topics[k].name);
            for (int32_t p = 0; topic && p < response.results[i].topics[k].partitions_count; p++)
                topic->bytes += response.results[i].topics[k].partitions[p].partition_size;
        }
    return EXIT_OK;
}

// The sums of what the groups have committed, and of what is behind it.
static void add_offsets(struct sampling *s, const struct offset_fetch_response *r, struct top_group *groups,
                        int32_t count)
{
    for (int32_t i = 0; i < r->groups_count; i++) {
        const struct offset_fetch_response_offset_fetch_response_group *g = &r->groups[i];
        struct top_group *to = NULL;
        for (int32_t k = 0; k < count && !to; k++) { // brokers answer in the order of the questions
            struct top_group *one = &groups[(i + k) % count];
            to = str_equal(one->id, g->group_id) ? one : NULL;
        }
        for (int32_t k = 0; to && k < g->topics_count; k++)
            for (int32_t p = 0; p < g->topics[k].partitions_count; p++) {
                struct offset_question key = {.topic = g->topics[k].name,
                                              .partition = g->topics[k].partitions[p].partition_index};
                const struct offset_question *end =
                    s->ends_count ? bsearch(&key, s->ends, s->ends_count, sizeof key, by_place) : NULL;
                int64_t committed = g->topics[k].partitions[p].committed_offset;
                if (committed < 0)
                    continue;
                to->committed += committed;
                if (end && end->offset > committed)
                    to->lag += end->offset - committed;
            }
    }
}

static int fetch_offsets(struct sampling *s, struct client *client, struct top_group *groups, int32_t count)
{
    struct offset_fetch_request request;
    struct offset_fetch_response response;
    int16_t version = client_version(client, API_OFFSET_FETCH, 9);
    if (version < 8)
        return cli_fail(s->call->command, "%s",
                        version < 0 ? client->error : "the broker is older than Kafka 3.0");
    message_init(&offset_fetch_request_type, &request);
    request.groups = offset_fetch_request_offset_fetch_request_group_new(&s->call->arena, count);
    if (!request.groups)
        return out_of_memory(s);
    request.groups_count = count;
    for (int32_t i = 0; i < count; i++) {
        request.groups[i].group_id = groups[i].id;
        request.groups[i].topics_count = -1;
    }
    if (client_call(client, API_OFFSET_FETCH, version, &request, &s->call->arena, &response) != 0)
        return cli_fail(s->call->command, "%s", client->error);
    add_offsets(s, &response, groups, count);
    return EXIT_OK;
}

static int add_groups(struct sampling *s, struct client *client)
{
    struct list_groups_request request;
    struct list_groups_response response;
    struct top_sample *out = s->out;
    int16_t version = client_version(client, API_LIST_GROUPS, 5);
    message_init(&list_groups_request_type, &request);
    if (version < 0 ||
        client_call(client, API_LIST_GROUPS, version, &request, &s->call->arena, &response) != 0)
        return cli_fail(s->call->command, "%s", client->error);
    if (response.error_code != E_NONE || response.groups_count == 0)
        return EXIT_OK; // loading: the next sample has them
    size_t before = out->groups_count, n = before + (size_t)response.groups_count;
    struct top_group *all = arena_zalloc(&s->call->arena, n + 1, sizeof *all);
    if (!all)
        return out_of_memory(s);
    if (before > 0)
        memcpy(all, out->groups, before * sizeof *all);
    for (int32_t i = 0; i < response.groups_count; i++)
        all[before + (size_t)i] = (struct top_group){
            .id = response.groups[i].group_id,
            .state = response.groups[i].group_state.size ? response.groups[i].group_state : STR("?")};
    out->groups = all;
    out->groups_count = n;
    return fetch_offsets(s, client, all + before, response.groups_count);
}

static int ask_broker(void *context, struct client *client, int32_t broker)
{
    (void)broker;
    struct sampling *s = context;
    int status = add_sizes(s, client);
    return status == EXIT_OK ? add_groups(s, client) : status;
}

static int by_id(const void *a, const void *b)
{
    const struct top_group *x = a, *y = b;
    return str_compare(x->id, y->id);
}

int top_sample(struct topic_call *t, struct top_sample *out)
{
    *out = (struct top_sample){.at_ms = clock_monotonic_ms()};
    struct sampling s = {.call = t, .out = out};
    int status = read_topics(&s);
    if (status == EXIT_OK)
        status = read_ends(&s);
    if (status == EXIT_OK)
        status = cluster_each(t, &s.cluster, ask_broker, &s);
    if (status == EXIT_OK && out->groups_count > 0)
        qsort(out->groups, out->groups_count, sizeof *out->groups, by_id);
    return status;
}
