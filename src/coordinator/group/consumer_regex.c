// Regular expressions in subscriptions: which topics match them is found elsewhere (config->resolve), written
// as a record, and looked for anew when topics come to be and from time to time.
#include "coordinator/group/consumer.h"

#include "base/regex.h"

#include <stdlib.h>

#define REFRESH_MIN_INTERVAL_MS 10000

size_t consumer_regex_subscribers(const struct group *g, struct str pattern)
{
    size_t count = 0;
    struct map_entry *e;
    for (size_t i = 0; g && (e = map_next(&consumer_of(g)->members, &i));)
        count += str_equal(((const struct consumer_member *)e->value)->subscription.regex, pattern);
    return count;
}

bool consumer_regex_change(struct turn *t, struct str group, const struct group *g, struct str before,
                           struct str after, bool *resolved)
{
    *resolved = false;
    if ((before.size == 0 && after.size == 0) || str_equal(before, after))
        return false;
    if (before.size > 0 && consumer_regex_subscribers(g, before) == 1 &&
        map_get(&g->consumer->regexes, before))
        write_consumer_regex_tombstone(t, group, before);
    if (after.size == 0)
        return false;
    if (consumer_regex_subscribers(g, after) > 0) {
        *resolved = map_get(&g->consumer->regexes, after) != NULL;
        return false;
    }
    return true;
}

struct group_regex_verdict group_regex_judge(struct str pattern)
{
    struct regex *regex;
    struct group_regex_verdict verdict = {NULL};
    if (regex_compile(pattern, &regex, &verdict.wrong) == 0)
        regex_free(regex);
    return verdict;
}

static bool stays_subscribed(const struct group *g, const struct map *gone, struct str pattern)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&consumer_of(g)->members, &i));) {
        const struct consumer_member *m = e->value;
        if (str_equal(m->subscription.regex, pattern) && !map_get(gone, m->id))
            return true;
    }
    return false;
}

void consumer_regex_leave(struct turn *t, const struct group *g, const struct map *gone)
{
    struct map told = MAP_INIT;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(gone, &i));) {
        struct str pattern = ((const struct consumer_member *)e->value)->subscription.regex;
        if (pattern.size == 0 || !map_get(&consumer_of(g)->regexes, pattern) || map_get(&told, pattern))
            continue;
        if (!stays_subscribed(g, gone, pattern))
            write_consumer_regex_tombstone(t, g->id, pattern);
        if (map_put(&told, pattern, e->value))
            state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    }
    map_free(&told);
}

// To be matched

static int compare_regexes(const void *a, const void *b)
{
    return str_compare(((const struct group_regex *)a)->pattern, ((const struct group_regex *)b)->pattern);
}

static struct group_regexes *subscribed(const struct group *g, struct arena *arena)
{
    const struct consumer_group *c = consumer_of(g);
    struct group_regexes *out = arena_zalloc(arena, 1, sizeof *out);
    if (!out || !(out->regexes = arena_zalloc(arena, c->members.count, sizeof *out->regexes)))
        return NULL;
    out->group_id = arena_str(arena, g->id);
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&c->members, &i));) {
        struct str pattern = ((const struct consumer_member *)e->value)->subscription.regex;
        if (pattern.size > 0)
            out->regexes[out->count++].pattern = pattern;
    }
    if (out->count > 1)
        qsort(out->regexes, (size_t)out->count, sizeof *out->regexes, compare_regexes);
    int32_t kept = 0;
    for (int32_t i = 0; i < out->count; i++) {
        if (kept > 0 && str_equal(out->regexes[kept - 1].pattern, out->regexes[i].pattern))
            continue;
        struct str pattern = arena_str(arena, out->regexes[i].pattern);
        if (!pattern.data)
            return NULL;
        out->regexes[kept++].pattern = pattern;
    }
    out->count = kept;
    return out;
}

void consumer_regex_refresh(struct turn *t, struct group *g, const struct consumer_member *m)
{
    const struct group_config *config = t->groups->config;
    struct consumer_group *c = consumer_of(g);
    struct str pattern = m->subscription.regex;
    if (pattern.size == 0 || c->resolving)
        return;
    const struct consumer_regex *own = map_get(&c->regexes, pattern);
    int64_t last = own ? own->timestamp_ms : INT64_MIN;
    struct map_entry *e;
    for (size_t i = 0; !own && (e = map_next(&c->regexes, &i));) {
        int64_t at = ((const struct consumer_regex *)e->value)->timestamp_ms;
        last = at > last ? at : last;
    }
    int64_t age = last == INT64_MIN ? INT64_MAX : t->now.wall_ms - last;
    if (age <= REFRESH_MIN_INTERVAL_MS ||
        (own && own->version >= config->metadata.topics_version(config->metadata.context) &&
         age <= config->regex_refresh_interval_ms))
        return;
    struct coordinator_request *r = state_alloc(sizeof *r);
    r->kind = GROUP_REGEXES;
    r->complete = config->resolve;
    r->reply_to = config->resolve_to;
    r->context = config->resolve_context;
    arena_init(&r->arena, 0);
    c->resolving = true;
    struct group_regexes *regexes = subscribed(g, &r->arena);
    if (!regexes)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    answer(t, r, regexes);
}

void group_work_free(struct coordinator_request *r)
{
    arena_free(&r->arena);
    free(r);
}

// Matched

static bool same_topics(const struct consumer_regex *old, const struct group_regex *now)
{
    bool same = (old ? old->topics_count : 0) == now->topics_count;
    for (int32_t i = 0; same && i < now->topics_count; i++)
        same = str_equal(old->topics[i], now->topics[i]);
    return same;
}

void on_regexes_resolved(struct turn *t, struct coordinator_request *r)
{
    const struct group_regexes *q = r->message;
    struct group *g = group_find(t->groups, q->group_id);
    struct consumer_group *c = g ? consumer_of(g) : NULL;
    bool changed = false, any = false;
    if (c)
        c->resolving = false;
    for (int32_t i = 0; c && !q->failed && i < q->count; i++) {
        const struct group_regex *regex = &q->regexes[i];
        if (consumer_regex_subscribers(g, regex->pattern) == 0)
            continue;
        any = true;
        changed |= !same_topics(map_get(&c->regexes, regex->pattern), regex);
        write_consumer_regex(t, g->id, q, regex);
    }
    if (!any) {
        refuse(t, r, E_NONE);
        return;
    }
    if (changed) {
        const struct consumer_change change = {.group = g, .resolved = q};
        write_consumer_group(t, g->id, c->epoch + 1, consumer_see_topics(t, &change).hash);
    }
    c->metadata_version = -1; // the next heartbeat looks at the topics again
    r->response = r;          // there is none but the error
    t->groups->then = THEN_ANSWER;
    t->groups->then_request = r;
}
