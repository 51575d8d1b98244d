// The topics of a request in which a name may come several times: each name once, in the order of its first
// appearance, with the number of partitions asked for under it. A topic without partitions is left out:
// Kafka's answers do not name it.
#ifndef SERVER_TOPIC_GROUPS_H
#define SERVER_TOPIC_GROUPS_H

#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"

struct topic_group {
    struct str name;
    int32_t partitions_count; // of all its appearances
};

struct topic_groups {
    struct topic_group *groups;
    int32_t *of; // the group of the i-th topic that was added; -1: it has no partitions
    int32_t count, added, partitions_count;
    struct map by_name;
};

// Room for topics_count topics, in the arena. 0 or ERR_NOMEM.
static inline int topic_groups_init(struct topic_groups *g, struct arena *arena, int32_t topics_count)
{
    *g = (struct topic_groups){.by_name = MAP_INIT};
    g->groups = arena_zalloc(arena, (size_t)topics_count + 1, sizeof *g->groups);
    g->of = arena_zalloc(arena, (size_t)topics_count + 1, sizeof *g->of);
    return g->groups && g->of ? 0 : ERR_NOMEM;
}

// 0 or ERR_NOMEM.
static inline int topic_groups_add(struct topic_groups *g, struct str name, int32_t partitions_count)
{
    g->of[g->added] = -1;
    if (partitions_count > 0) {
        struct topic_group *group = map_get(&g->by_name, name);
        if (!group) {
            group = &g->groups[g->count];
            if (map_put(&g->by_name, name, group))
                return ERR_NOMEM;
            group->name = name;
            g->count++;
        }
        group->partitions_count += partitions_count;
        g->partitions_count += partitions_count;
        g->of[g->added] = (int32_t)(group - g->groups);
    }
    g->added++;
    return 0;
}

static inline void topic_groups_free(struct topic_groups *g)
{
    map_free(&g->by_name);
}

#endif
