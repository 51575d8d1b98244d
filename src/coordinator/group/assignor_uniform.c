// `uniform`: as even as the subscriptions allow, and each member keeps what it has where that costs no
// evenness. The partitions of all topics are numbered through; `owner` says whose each is.
//
// 1. Everybody keeps what it had and may still have.
// 2. With equal subscriptions members above their quota let go; the members that have most keep the odd ones.
// 3. What nobody has goes to the least loaded subscriber, topics with few subscribers first.
// 4. With different subscriptions, partitions move from member to member as long as one has two more than
//    another who subscribes. Each move lowers the sum of squares: it ends.
#include "coordinator/group/assignor_uniform.h"

#include "base/error.h"

#include <stdlib.h>

#define NOBODY UINT32_MAX

struct uniform {
    struct assignor_problem *problem;
    uint32_t *first;       // by topic: the number of its partition 0; one more at the end
    uint32_t *owner;       // by partition
    uint32_t *load;        // by member
    uint32_t *subscribers; // members, topic after topic
    uint32_t *at;          // by topic: where its subscribers begin; one more at the end
};

static bool prepare(struct uniform *u, struct arena *arena)
{
    const struct assignor_problem *p = u->problem;
    u->first = arena_zalloc(arena, (size_t)p->topics_count + 1, sizeof *u->first);
    u->at = arena_zalloc(arena, (size_t)p->topics_count + 1, sizeof *u->at);
    u->load = arena_zalloc(arena, p->members_count, sizeof *u->load);
    uint32_t *next = arena_zalloc(arena, p->topics_count, sizeof *next);
    if (!u->first || !u->at || !u->load || !next)
        return false;
    for (uint32_t i = 0; i < p->members_count; i++)
        for (uint32_t k = 0; k < p->members[i].topics_count; k++)
            u->at[p->members[i].topics[k] + 1]++;
    for (uint32_t i = 0; i < p->topics_count; i++) {
        u->first[i + 1] = u->first[i] + (uint32_t)p->topics[i].partitions;
        u->at[i + 1] += u->at[i];
        next[i] = u->at[i];
    }
    u->owner = arena_alloc(arena, u->first[p->topics_count] * sizeof *u->owner);
    u->subscribers = arena_alloc(arena, u->at[p->topics_count] * sizeof *u->subscribers);
    if (!u->owner || !u->subscribers)
        return false;
    for (uint32_t i = 0; i < u->first[p->topics_count]; i++)
        u->owner[i] = NOBODY;
    for (uint32_t i = 0; i < p->members_count; i++)
        for (uint32_t k = 0; k < p->members[i].topics_count; k++)
            u->subscribers[next[p->members[i].topics[k]]++] = i;
    return true;
}

// Both are sorted by topic and partition: one walk over each member's.
static void keep(struct uniform *u)
{
    const struct assignor_problem *p = u->problem;
    for (uint32_t i = 0; i < p->members_count; i++) {
        const struct assignor_member *m = &p->members[i];
        for (uint32_t h = 0, k = 0; h < m->has.count && k < m->topics_count;) {
            const struct assignor_topic *topic = &p->topics[m->topics[k]];
            const struct topic_partition *has = &m->has.items[h];
            int c = memcmp(&topic->id, &has->topic, sizeof topic->id);
            if (c < 0) {
                k++;
                continue;
            }
            h++;
            if (c > 0 || has->partition < 0 || has->partition >= topic->partitions)
                continue;
            uint32_t *owner = &u->owner[u->first[m->topics[k]] + (uint32_t)has->partition];
            if (*owner == NOBODY) {
                *owner = i;
                u->load[i]++;
            }
        }
    }
}

static bool subscriptions_are_equal(const struct assignor_problem *p)
{
    for (uint32_t i = 1; i < p->members_count; i++) {
        const struct assignor_member *a = &p->members[0], *b = &p->members[i];
        if (a->topics_count != b->topics_count ||
            (a->topics_count > 0 && memcmp(a->topics, b->topics, a->topics_count * sizeof *a->topics) != 0))
            return false;
    }
    return true;
}

static bool trim_to_quota(struct uniform *u, struct arena *arena)
{
    const struct assignor_problem *p = u->problem;
    uint32_t total = 0;
    for (uint32_t k = 0; k < p->members[0].topics_count; k++)
        total += (uint32_t)p->topics[p->members[0].topics[k]].partitions;
    uint32_t quota = total / p->members_count, extra = total % p->members_count;
    uint32_t *left = arena_alloc(arena, p->members_count * sizeof *left);
    if (!left)
        return false;
    for (uint32_t i = 0; i < p->members_count; i++) {
        bool one_more = u->load[i] > quota && extra > 0;
        extra -= one_more;
        left[i] = quota + one_more;
    }
    for (uint32_t n = 0; n < u->first[p->topics_count]; n++) {
        uint32_t m = u->owner[n];
        if (m == NOBODY)
            continue;
        if (left[m] > 0) {
            left[m]--;
            continue;
        }
        u->owner[n] = NOBODY;
        u->load[m]--;
    }
    return true;
}

static uint32_t least_loaded(const struct uniform *u, uint32_t topic)
{
    uint32_t best = NOBODY;
    for (uint32_t i = u->at[topic]; i < u->at[topic + 1]; i++)
        if (best == NOBODY || u->load[u->subscribers[i]] < u->load[best])
            best = u->subscribers[i];
    return best;
}

struct by_subscribers {
    uint32_t topic, subscribers;
};

static int compare_subscribers(const void *a, const void *b)
{
    const struct by_subscribers *l = a, *r = b;
    if (l->subscribers != r->subscribers)
        return l->subscribers < r->subscribers ? -1 : 1;
    return (l->topic > r->topic) - (l->topic < r->topic);
}

static bool give_out(struct uniform *u, struct arena *arena)
{
    const struct assignor_problem *p = u->problem;
    struct by_subscribers *order = arena_alloc(arena, p->topics_count * sizeof *order);
    if (!order)
        return false;
    for (uint32_t i = 0; i < p->topics_count; i++)
        order[i] = (struct by_subscribers){i, u->at[i + 1] - u->at[i]};
    if (p->topics_count > 1)
        qsort(order, p->topics_count, sizeof *order, compare_subscribers);
    for (uint32_t i = 0; i < p->topics_count; i++) {
        uint32_t topic = order[i].topic;
        if (order[i].subscribers == 0)
            continue;
        for (uint32_t n = u->first[topic]; n < u->first[topic + 1]; n++) {
            if (u->owner[n] != NOBODY)
                continue;
            u->owner[n] = least_loaded(u, topic);
            u->load[u->owner[n]]++;
        }
    }
    return true;
}

static bool balance_once(struct uniform *u)
{
    bool moved = false;
    for (uint32_t topic = 0; topic < u->problem->topics_count; topic++) {
        uint32_t to = least_loaded(u, topic);
        for (uint32_t n = u->first[topic]; to != NOBODY && n < u->first[topic + 1]; n++) {
            uint32_t from = u->owner[n];
            if (u->load[from] < u->load[to] + 2)
                continue;
            u->owner[n] = to;
            u->load[from]--;
            u->load[to]++;
            moved = true;
            to = least_loaded(u, topic);
        }
    }
    return moved;
}

static bool hand_over(struct uniform *u, struct arena *arena)
{
    const struct assignor_problem *p = u->problem;
    for (uint32_t i = 0; i < p->members_count; i++) {
        struct topic_partition *items = arena_alloc(arena, u->load[i] * sizeof *items);
        if (!items)
            return false;
        p->members[i].gets = (struct assignment){items, 0};
    }
    for (uint32_t topic = 0; topic < p->topics_count; topic++) {
        for (uint32_t n = u->first[topic]; n < u->first[topic + 1]; n++) {
            if (u->owner[n] == NOBODY)
                continue;
            struct assignment *gets = &p->members[u->owner[n]].gets;
            gets->items[gets->count++] =
                (struct topic_partition){p->topics[topic].id, (int32_t)(n - u->first[topic]), 0};
        }
    }
    return true;
}

int assign_uniform(struct assignor_problem *problem, struct arena *arena)
{
    if (problem->members_count == 0)
        return 0;
    struct uniform u = {.problem = problem};
    if (!prepare(&u, arena))
        return ERR_NOMEM;
    keep(&u);
    bool equal = subscriptions_are_equal(problem);
    if ((equal && !trim_to_quota(&u, arena)) || !give_out(&u, arena))
        return ERR_NOMEM;
    while (!equal && balance_once(&u))
        ;
    return hand_over(&u, arena) ? 0 : ERR_NOMEM;
}
