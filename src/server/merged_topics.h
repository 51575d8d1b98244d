// The topics of a request with their partitions, each topic and each partition of it once, in the order of
// their first appearance; topics without partitions are left out. As Kafka's answers name them.
//
//     merged_topics_init; merged_topics_count for each topic; merged_topics_room; merged_topics_take for each
//     topic again, in the same order; merged_topics_free, after which `topics` stays in the arena.
#ifndef SERVER_MERGED_TOPICS_H
#define SERVER_MERGED_TOPICS_H

#include "server/partition_index.h"
#include "server/topic_groups.h"

struct merged_topic {
    struct str name; // the request's
    int32_t *partitions;
    int32_t count;
};

struct merged_topics {
    struct merged_topic *topics;
    int32_t count, partitions_count;
    struct topic_groups groups;
    struct partition_index seen;
    struct arena *arena;
    int32_t taken;
};

// 0 or ERR_NOMEM.
static inline int merged_topics_init(struct merged_topics *m, struct arena *arena, int32_t topics_count)
{
    *m = (struct merged_topics){.arena = arena};
    partition_index_init(&m->seen, arena);
    return topic_groups_init(&m->groups, arena, topics_count);
}

static inline int merged_topics_count(struct merged_topics *m, struct str name, int32_t partitions_count)
{
    return topic_groups_add(&m->groups, name, partitions_count);
}

static inline int merged_topics_room(struct merged_topics *m)
{
    m->count = m->groups.count;
    m->topics = arena_zalloc(m->arena, (size_t)m->count + 1, sizeof *m->topics);
    for (int32_t i = 0; m->topics && i < m->count; i++) {
        size_t room = (size_t)m->groups.groups[i].partitions_count;
        m->topics[i].name = m->groups.groups[i].name;
        m->topics[i].partitions = arena_alloc(m->arena, room * sizeof(int32_t));
        if (!m->topics[i].partitions)
            return ERR_NOMEM;
    }
    return m->topics ? 0 : ERR_NOMEM;
}

static inline int merged_topics_take(struct merged_topics *m, const int32_t *partitions, int32_t count)
{
    int32_t at = m->groups.of[m->taken++];
    for (int32_t i = 0; i < count; i++) {
        struct merged_topic *to = &m->topics[at];
        void **slot = partition_index_slot(&m->seen, to->name, partitions[i]);
        if (!slot)
            return ERR_NOMEM;
        if (*slot)
            continue;
        *slot = to;
        to->partitions[to->count++] = partitions[i];
        m->partitions_count++;
    }
    return 0;
}

static inline void merged_topics_free(struct merged_topics *m)
{
    topic_groups_free(&m->groups);
    partition_index_free(&m->seen);
}

#endif
