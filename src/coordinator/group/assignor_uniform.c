// `uniform`: as even as the subscriptions allow, and each member keeps what it has where that costs no
// evenness. Where several ways are equally even, it is Kafka's way, which goes by the order of members that
// it is handed: clients see who gets the odd partition. The partitions of all topics are numbered through;
// `owner` says whose each is.
//
// With equal subscriptions each member has a quota. One more have the first ones that had more anyway, then
// the last ones. Each keeps what fits, and what is over goes, after what nobody had, to those who have room,
// one after the other.
//
// With different subscriptions:
// 1. Everybody keeps what it had and may still have.
// 2. What nobody has goes to the least loaded subscribers, topics with most partitions a subscriber first.
// 3. Topic by topic, the most loaded subscribers give to the least loaded ones until these are one apart; and
// again,
//    until a whole round moves nothing.
#include "coordinator/group/assignor_uniform.h"

#include "base/error.h"

#include <stdlib.h>

#define NOBODY UINT32_MAX

#define ROUNDS_MOST 16 // of balancing; overlapping subscriptions may take long to settle

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

static void give(struct uniform *u, uint32_t n, uint32_t member)
{
    if (u->owner[n] != NOBODY)
        u->load[u->owner[n]]--;
    u->owner[n] = member;
    u->load[member]++;
}

// Everybody keeps what it had and may still have. Both are sorted by topic and partition: one walk over each
// member's.
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
            uint32_t n = u->first[m->topics[k]] + (uint32_t)has->partition;
            if (u->owner[n] == NOBODY)
                give(u, n, i);
        }
    }
}

// Equal subscriptions

// Partitions that are to be had: of each topic that the members subscribe to.
static uint32_t free_partitions(const struct uniform *u, uint32_t *out)
{
    const struct assignor_member *any = &u->problem->members[0];
    uint32_t count = 0;
    for (uint32_t k = 0; k < any->topics_count; k++)
        for (uint32_t n = u->first[any->topics[k]]; n < u->first[any->topics[k] + 1]; n++)
            if (u->owner[n] == NOBODY)
                out[count++] = n;
    return count;
}

// What of each member is above its quota is free as well, after the rest. Returns how many are free in all.
static uint32_t let_go(struct uniform *u, const uint32_t *quota, uint32_t *left, uint32_t *out,
                       uint32_t count)
{
    const struct assignor_problem *p = u->problem;
    uint32_t *begin = out + count, over = 0;
    for (uint32_t i = 0; i < p->members_count; i++) {
        over += u->load[i] > quota[i] ? u->load[i] - quota[i] : 0;
        left[i] = over; // where its part of the list ends
    }
    for (uint32_t n = u->first[p->topics_count]; n-- > 0;) { // the last ones go
        uint32_t m = u->owner[n];
        if (m == NOBODY || u->load[m] <= quota[m])
            continue;
        begin[--left[m]] = n;
        u->owner[n] = NOBODY;
        u->load[m]--;
    }
    return count + over;
}

static void set_quotas(const struct uniform *u, uint32_t total, uint32_t *quota)
{
    uint32_t count = u->problem->members_count, least = total / count, extra = total % count;
    for (uint32_t i = 0; i < count; i++) {
        bool one_more = u->load[i] > least && extra > 0;
        extra -= one_more;
        quota[i] = least + one_more;
    }
    for (uint32_t i = count; i-- > 0 && extra > 0;) {
        bool one_more = u->load[i] <= least;
        extra -= one_more;
        quota[i] += one_more;
    }
}

static bool assign_by_quota(struct uniform *u, struct arena *arena)
{
    const struct assignor_problem *p = u->problem;
    uint32_t total = 0;
    for (uint32_t k = 0; k < p->members[0].topics_count; k++)
        total += (uint32_t)p->topics[p->members[0].topics[k]].partitions;
    uint32_t *quota = arena_alloc(arena, p->members_count * sizeof *quota);
    uint32_t *left = arena_alloc(arena, p->members_count * sizeof *left);
    uint32_t *free_ones = arena_alloc(arena, total * sizeof *free_ones);
    if (!quota || !left || !free_ones)
        return false;
    set_quotas(u, total, quota);
    uint32_t count = free_partitions(u, free_ones), at = 0;
    count = let_go(u, quota, left, free_ones, count);
    for (uint32_t i = 0; i < p->members_count; i++)
        while (u->load[i] < quota[i] && at < count)
            give(u, free_ones[at++], i);
    return true;
}

// Different subscriptions

// The subscribers of a topic by their load: those at the lower end get partitions, level by level, and those
// at the upper end give some. low_end and high_start are the places up to which, and from which, members are
// at these levels; who has nothing of this topic to give is put behind high_end.
struct levels {
    const uint32_t *load;
    uint32_t *members;
    int64_t count, low_end, low_next, high_start, high_next, high_end;
    int64_t low, high; // the levels
};

static int compare_loads(const void *a, const void *b, void *context)
{
    const uint32_t *load = context, l = *(const uint32_t *)a, r = *(const uint32_t *)b;
    if (load[l] != load[r])
        return load[l] < load[r] ? -1 : 1;
    return (l > r) - (l < r);
}

// `members` has room for all. Returns how far apart the least and the most loaded are.
static uint32_t levels_begin(struct levels *l, struct uniform *u, uint32_t topic, uint32_t *members)
{
    uint32_t count = u->at[topic + 1] - u->at[topic];
    memcpy(members, &u->subscribers[u->at[topic]], count * sizeof *members);
    qsort_r(members, count, sizeof *members, compare_loads, u->load);
    uint32_t least = u->load[members[0]], most = u->load[members[count - 1]];
    *l = (struct levels){.load = u->load,
                         .members = members,
                         .count = count,
                         .high_start = count,
                         .high_next = count - 1,
                         .high_end = count,
                         .low = (int64_t)least - 1,
                         .high = (int64_t)most + 1};
    return most - least;
}

static uint32_t next_to_get(struct levels *l)
{
    if (l->low_next >= l->low_end) {
        l->low++;
        while (l->low_end < l->count && l->load[l->members[l->low_end]] == l->low)
            l->low_end++;
        l->low_next = 0;
    }
    return l->members[l->low_next++];
}

// NOBODY: there is none any more.
static uint32_t next_to_give(struct levels *l)
{
    if (l->high_next < l->high_start) {
        if (l->high_end <= l->high_start && l->high_start > 0) // nobody at this level had any
            l->high = l->load[l->members[l->high_start - 1]];
        else
            l->high--;
        while (l->high_start > 0 && l->load[l->members[l->high_start - 1]] == l->high)
            l->high_start--;
        l->high_next = l->high_end - 1;
    }
    return l->high_next < 0 ? NOBODY : l->members[l->high_next--];
}

static void has_none_to_give(struct levels *l)
{
    uint32_t member = l->members[l->high_next + 1];
    l->high_end--;
    l->members[l->high_next + 1] = l->members[l->high_end];
    l->members[l->high_end] = member;
}

struct by_need {
    uint32_t topic, partitions, subscribers;
};

static int compare_needs(const void *a, const void *b)
{
    const struct by_need *l = a, *r = b;
    uint64_t left = (uint64_t)l->partitions * r->subscribers,
             right = (uint64_t)r->partitions * l->subscribers;
    if (left != right)
        return left > right ? -1 : 1;
    if (l->subscribers != r->subscribers)
        return l->subscribers < r->subscribers ? -1 : 1;
    return (l->topic > r->topic) - (l->topic < r->topic);
}

// Topics that anybody subscribes to, those with most partitions a subscriber first.
static struct by_need *order_topics(const struct uniform *u, struct arena *arena, uint32_t *count)
{
    const struct assignor_problem *p = u->problem;
    struct by_need *order = arena_alloc(arena, p->topics_count * sizeof *order);
    *count = 0;
    for (uint32_t i = 0; order && i < p->topics_count; i++)
        if (u->at[i + 1] > u->at[i])
            order[(*count)++] =
                (struct by_need){i, (uint32_t)p->topics[i].partitions, u->at[i + 1] - u->at[i]};
    if (*count > 1)
        qsort(order, *count, sizeof *order, compare_needs);
    return order;
}

static void give_out(struct uniform *u, uint32_t topic, uint32_t *members)
{
    struct levels l = {0};
    for (uint32_t n = u->first[topic]; n < u->first[topic + 1]; n++) {
        if (u->owner[n] != NOBODY)
            continue;
        if (!l.members)
            levels_begin(&l, u, topic, members);
        give(u, n, next_to_get(&l));
    }
}

// Memory of balance_topic, for every member and for the partitions of the largest topic.
struct balancing {
    uint32_t *members, *partitions; // the latter of one topic, by owner
    uint32_t *start, *end;          // by member: its part of them
};

static void group_by_owner(const struct uniform *u, uint32_t topic, struct balancing *b)
{
    uint32_t at = 0;
    for (uint32_t i = u->at[topic]; i < u->at[topic + 1]; i++)
        b->end[u->subscribers[i]] = 0;
    for (uint32_t n = u->first[topic]; n < u->first[topic + 1]; n++)
        b->end[u->owner[n]]++;
    for (uint32_t i = u->at[topic]; i < u->at[topic + 1]; i++) {
        uint32_t member = u->subscribers[i], count = b->end[member];
        b->start[member] = b->end[member] = at;
        at += count;
    }
    for (uint32_t n = u->first[topic]; n < u->first[topic + 1]; n++)
        b->partitions[b->end[u->owner[n]]++] = n;
}

// Returns whether anything moved.
static bool balance_topic(struct uniform *u, uint32_t topic, struct balancing *b)
{
    struct levels l;
    bool moved = false;
    if (levels_begin(&l, u, topic, b->members) <= 1)
        return false;
    group_by_owner(u, topic, b);
    while (l.high - l.low > 1) {
        uint32_t from = next_to_give(&l);
        while (from != NOBODY && b->end[from] == b->start[from]) {
            has_none_to_give(&l);
            from = next_to_give(&l);
        }
        if (from == NOBODY)
            break;
        uint32_t to = next_to_get(&l);
        if (l.high - l.low <= 1)
            break;
        give(u, b->partitions[--b->end[from]], to);
        moved = true;
    }
    return moved;
}

static bool balance(struct uniform *u, const struct by_need *order, uint32_t count, struct balancing *b,
                    struct arena *arena)
{
    const struct assignor_problem *p = u->problem;
    uint32_t largest = 0, last = NOBODY;
    for (uint32_t i = 0; i < count; i++)
        largest = order[i].partitions > largest ? order[i].partitions : largest;
    b->partitions = arena_alloc(arena, largest * sizeof *b->partitions);
    b->start = arena_zalloc(arena, p->members_count, sizeof *b->start);
    b->end = arena_zalloc(arena, p->members_count, sizeof *b->end);
    if (!b->partitions || !b->start || !b->end)
        return false;
    for (int round = 0; round < ROUNDS_MOST; round++)
        for (uint32_t i = 0; i < count; i++) {
            if (i == last)
                return true; // nothing has moved since
            if (order[i].subscribers < 2)
                continue;
            if (balance_topic(u, order[i].topic, b) || last == NOBODY)
                last = i;
        }
    return true;
}

static bool assign_by_load(struct uniform *u, struct arena *arena)
{
    struct balancing b = {.members = arena_alloc(arena, u->problem->members_count * sizeof *b.members)};
    uint32_t count;
    struct by_need *order = order_topics(u, arena, &count);
    if (!b.members || !order)
        return false;
    for (uint32_t i = 0; i < count; i++)
        give_out(u, order[i].topic, b.members);
    return balance(u, order, count, &b, arena);
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
    bool done = problem->equal_names ? assign_by_quota(&u, arena) : assign_by_load(&u, arena);
    return done && hand_over(&u, arena) ? 0 : ERR_NOMEM;
}
