// Committed offsets of a group: sorted arrays, as a group commits few topics and reads them more often than
// it adds to them.
#include "coordinator/group/state.h"

#include <stdlib.h>

static uint32_t topic_place(const struct offsets *o, struct str topic, bool *found)
{
    uint32_t low = 0, high = o->count;
    *found = false;
    while (low < high && !*found) {
        uint32_t middle = low + (high - low) / 2;
        int c = str_compare(o->topics[middle].topic, topic);
        *found = c == 0;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return *found ? high : low;
}

static uint32_t partition_place(const struct topic_offsets *t, int32_t partition, bool *found)
{
    uint32_t low = 0, high = t->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->offsets[middle].partition < partition)
            low = middle + 1;
        else
            high = middle;
    }
    *found = low < t->count && t->offsets[low].partition == partition;
    return low;
}

const struct topic_offsets *offsets_topic(const struct offsets *o, struct str topic)
{
    bool found;
    uint32_t at = topic_place(o, topic, &found);
    return found ? &o->topics[at] : NULL;
}

struct offset *offsets_find(const struct offsets *o, struct str topic, int32_t partition)
{
    const struct topic_offsets *t = offsets_topic(o, topic);
    bool found = false;
    uint32_t at = t ? partition_place(t, partition, &found) : 0;
    return found ? &t->offsets[at] : NULL;
}

static struct topic_offsets *need_topic(struct offsets *o, struct str topic)
{
    bool found;
    uint32_t at = topic_place(o, topic, &found);
    if (found)
        return &o->topics[at];
    if (o->count == o->capacity) {
        o->capacity = o->capacity ? o->capacity * 2 : 1;
        o->topics = state_array(o->topics, o->capacity, sizeof *o->topics);
    }
    memmove(&o->topics[at + 1], &o->topics[at], (o->count++ - at) * sizeof *o->topics);
    o->topics[at] = (struct topic_offsets){.topic = state_str(topic)};
    return &o->topics[at];
}

struct offset *offsets_put(struct offsets *o, struct str topic, int32_t partition)
{
    struct topic_offsets *t = need_topic(o, topic);
    bool found;
    uint32_t at = partition_place(t, partition, &found);
    if (found)
        return &t->offsets[at];
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 1;
        t->offsets = state_array(t->offsets, t->capacity, sizeof *t->offsets);
    }
    memmove(&t->offsets[at + 1], &t->offsets[at], (t->count++ - at) * sizeof *t->offsets);
    t->offsets[at] = (struct offset){.partition = partition};
    return &t->offsets[at];
}

static void drop_topic(struct offsets *o, uint32_t at)
{
    free((void *)(uintptr_t)o->topics[at].topic.data);
    free(o->topics[at].offsets);
    memmove(&o->topics[at], &o->topics[at + 1], (--o->count - at) * sizeof *o->topics);
}

bool offsets_remove(struct offsets *o, struct str topic, int32_t partition)
{
    bool found;
    uint32_t topic_at = topic_place(o, topic, &found);
    if (!found)
        return false;
    struct topic_offsets *t = &o->topics[topic_at];
    uint32_t at = partition_place(t, partition, &found);
    if (!found)
        return false;
    free(t->offsets[at].metadata);
    memmove(&t->offsets[at], &t->offsets[at + 1], (--t->count - at) * sizeof *t->offsets);
    if (t->count == 0)
        drop_topic(o, topic_at);
    return true;
}

void offsets_free(struct offsets *o)
{
    for (uint32_t i = 0; i < o->count; i++) {
        for (uint32_t k = 0; k < o->topics[i].count; k++)
            free(o->topics[i].offsets[k].metadata);
        free((void *)(uintptr_t)o->topics[i].topic.data);
        free(o->topics[i].offsets);
    }
    free(o->topics);
    *o = (struct offsets){0};
}
