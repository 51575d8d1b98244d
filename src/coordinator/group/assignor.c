// `range`: each topic in ranges along the sorted members, so that topics of equal size are assigned alike.
// `uniform` has a file of its own.
#include "coordinator/group/assignor_uniform.h"

#include "base/error.h"

#include <stdlib.h>

// Static members first, by instance id: they stay where they are when dynamic ones come and go.
static int compare_members(const void *a, const void *b)
{
    const struct assignor_member *l = *(const struct assignor_member *const *)a;
    const struct assignor_member *r = *(const struct assignor_member *const *)b;
    if (l->instance_id.data && r->instance_id.data)
        return str_compare(l->instance_id, r->instance_id);
    if (l->instance_id.data || r->instance_id.data)
        return l->instance_id.data ? -1 : 1;
    return str_compare(l->id, r->id);
}

struct range_topic {
    int32_t members, next, extra;
};

static int32_t quota_of(const struct assignor_topic *topic, struct range_topic *range)
{
    int32_t quota = topic->partitions / range->members;
    if (range->extra > 0) {
        range->extra--;
        quota++;
    }
    return quota;
}

static int assign_range(struct assignor_problem *p, struct arena *arena)
{
    struct range_topic *ranges = arena_zalloc(arena, p->topics_count, sizeof *ranges);
    struct assignor_member **order = arena_zalloc(arena, p->members_count, sizeof(struct assignor_member *));
    if (!ranges || !order)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < p->members_count; i++) {
        order[i] = &p->members[i];
        for (uint32_t k = 0; k < order[i]->topics_count; k++)
            ranges[order[i]->topics[k]].members++;
    }
    for (uint32_t i = 0; i < p->topics_count; i++)
        ranges[i].extra = ranges[i].members > 0 ? p->topics[i].partitions % ranges[i].members : 0;
    if (p->members_count > 1)
        qsort(order, p->members_count, sizeof *order, compare_members);
    for (uint32_t i = 0; i < p->members_count; i++) {
        struct assignor_member *m = order[i];
        size_t most = 0;
        for (uint32_t k = 0; k < m->topics_count; k++)
            most += (size_t)(p->topics[m->topics[k]].partitions / ranges[m->topics[k]].members) + 1;
        struct topic_partition *items = arena_alloc(arena, most * sizeof *items);
        if (!items)
            return ERR_NOMEM;
        uint32_t count = 0;
        for (uint32_t k = 0; k < m->topics_count; k++) {
            const struct assignor_topic *topic = &p->topics[m->topics[k]];
            struct range_topic *range = &ranges[m->topics[k]];
            for (int32_t quota = quota_of(topic, range); quota > 0; quota--)
                items[count++] = (struct topic_partition){topic->id, range->next++, 0};
        }
        m->gets = (struct assignment){items, count};
    }
    return 0;
}

const struct assignor *assignor_of(enum consumer_assignor which)
{
    static const struct assignor assignors[] = {[CONSUMER_ASSIGNOR_UNIFORM] = {"uniform", assign_uniform},
                                                [CONSUMER_ASSIGNOR_RANGE] = {"range", assign_range}};
    return &assignors[which];
}

const struct assignor *assignor_find(const struct group_config *config, struct str name)
{
    for (uint32_t i = 0; i < config->consumer_assignors_count; i++) {
        const struct assignor *a = assignor_of(config->consumer_assignors[i]);
        if (str_is(name, a->name))
            return a;
    }
    return NULL;
}

const struct assignor *assignor_default(const struct group_config *config)
{
    return assignor_of(config->consumer_assignors[0]); // uniform where nothing is set
}
