#include "http/group_history.h"

#include "base/clock.h"
#include "http/groups.h"
#include "http/keys.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdlib.h>

void group_history_init(struct group_history *g, const struct http_params *broker)
{
    *g = (struct group_history){.broker = broker};
    pthread_mutex_init(&g->lock, NULL);
}

void group_history_free(struct group_history *g)
{
    lag_book_free(&g->book);
    pthread_mutex_destroy(&g->lock);
}

// Which groups to ask for, in the request's arena. False: the broker does not say which there are.
static bool choose(struct group_history *g, struct http_request *r, struct str **ids, int32_t *count)
{
    struct list_groups_request request = list_groups_request_default;
    struct list_groups_response response;
    if (!http_call(r, KEY_LIST_GROUPS, 5, &request, &response) || response.error_code != E_NONE)
        return false;
    struct str *names = arena_alloc(&r->arena, ((size_t)response.groups_count + 1) * sizeof *names);
    *ids = arena_alloc(&r->arena, LAG_GROUPS * sizeof **ids);
    *count = 0;
    if (!names || !*ids)
        return false;
    for (int32_t i = 0; i < response.groups_count; i++)
        names[i] = response.groups[i].group_id;
    pthread_mutex_lock(&g->lock);
    lag_book_groups(&g->book, names, (size_t)response.groups_count);
    for (size_t i = 0; i < g->book.count; i++)
        (*ids)[(*count)++] = arena_str(&r->arena, g->book.rings[i]->name);
    pthread_mutex_unlock(&g->lock);
    return *count > 0;
}

// As the page of a group says it: where nothing is committed, it is behind by nothing.
static int64_t lag_of(const struct group_offsets *o)
{
    return o->lag < 0 && o->offline == 0 ? 0 : o->lag;
}

void group_history_take(struct group_history *g)
{
    struct http_request r = {.broker = g->broker, .client.fd = -1};
    struct ends ends = {.request = &r};
    struct str *ids;
    int32_t count;
    arena_init(&r.arena, 0);
    if (choose(g, &r, &ids, &count)) {
        struct group_offsets *offsets = arena_zalloc(&r.arena, (size_t)count, sizeof *offsets);
        bool found = offsets && groups_offsets(&ends, ids, count, offsets);
        pthread_mutex_lock(&g->lock);
        lag_book_begin(&g->book, clock_wall_ms());
        for (int32_t i = 0; found && i < count; i++)
            lag_book_set(&g->book, ids[i], lag_of(&offsets[i]));
        pthread_mutex_unlock(&g->lock);
    }
    ends_free(&ends);
    client_close(&r.client);
    arena_free(&r.arena);
    free(r.content);
}

void group_history_ask(struct group_history *g, struct str group)
{
    pthread_mutex_lock(&g->lock);
    lag_book_ask(&g->book, group, clock_monotonic_ms());
    pthread_mutex_unlock(&g->lock);
}

json_t *group_history_json(struct group_history *g, struct str group)
{
    struct lag_point points[LAG_POINTS];
    json_t *all = json_array();
    pthread_mutex_lock(&g->lock);
    size_t count = lag_book_read(&g->book, group, points);
    pthread_mutex_unlock(&g->lock);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(all, json_pack("{s:I, s:o}", "time", (json_int_t)points[i].time_ms, "lag",
                                             http_number(points[i].lag)));
    return json_pack("{s:o}", "points", all);
}
