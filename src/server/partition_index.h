// Finds the partitions of one request that are named more than once.
#ifndef SERVER_PARTITION_INDEX_H
#define SERVER_PARTITION_INDEX_H

#include "base/arena.h"
#include "base/map.h"

struct partition_index {
    struct map slots; // by topic and partition
    struct arena *arena;
};

static inline void partition_index_init(struct partition_index *x, struct arena *arena)
{
    *x = (struct partition_index){.arena = arena};
}

// The place of a partition of a topic (its name, or its id's bytes): NULL the first time, then what was
// stored there. Returns NULL when out of memory.
static inline void **partition_index_slot(struct partition_index *x, struct str topic, int32_t partition)
{
    struct slot {
        void *value;
    } * slot;
    char *key = arena_alloc(x->arena, topic.size + sizeof partition);
    if (!key)
        return NULL;
    if (topic.size)
        memcpy(key, topic.data, topic.size);
    memcpy(key + topic.size, &partition, sizeof partition);
    struct str k = {key, topic.size + sizeof partition};
    slot = map_get(&x->slots, k);
    if (slot)
        return &slot->value;
    slot = arena_zalloc(x->arena, 1, sizeof *slot);
    if (!slot || map_put(&x->slots, k, slot))
        return NULL;
    return &slot->value;
}

// Whether it was given a slot.
static inline bool partition_index_has(const struct partition_index *x, struct str topic, int32_t partition)
{
    char key[512];
    if (topic.size + sizeof partition > sizeof key) // longer than any topic's name
        return false;
    memcpy(key, topic.data, topic.size);
    memcpy(key + topic.size, &partition, sizeof partition);
    return map_get(&x->slots, (struct str){key, topic.size + sizeof partition}) != NULL;
}

static inline void partition_index_free(struct partition_index *x)
{
    map_free(&x->slots);
}

#endif
