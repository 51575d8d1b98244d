// The partitions that a transaction covers.
#include "coordinator/transaction/state.h"

#include <stdlib.h>

// Where the name is, or belongs.
static uint32_t topic_place(const struct txn_topics *topics, struct str name, bool *found)
{
    uint32_t low = 0, high = topics->count;
    *found = false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = str_compare(topics->items[middle].name, name);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t partition_place(const struct transaction_topic *topic, int32_t partition)
{
    uint32_t low = 0, high = topic->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (topic->partitions[middle] < partition)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool topics_have(const struct txn_topics *topics, struct str name, int32_t partition)
{
    bool found;
    uint32_t at = topic_place(topics, name, &found);
    if (!found)
        return false;
    const struct transaction_topic *topic = &topics->items[at];
    uint32_t place = partition_place(topic, partition);
    return place < topic->count && topic->partitions[place] == partition;
}

void topics_add(struct txn_topics *topics, struct str name, int32_t partition)
{
    bool found;
    uint32_t at = topic_place(topics, name, &found);
    if (!found) {
        if (topics->count == topics->capacity) {
            topics->capacity = topics->capacity ? topics->capacity * 2 : 2;
            topics->items = state_array(topics->items, topics->capacity, sizeof *topics->items);
        }
        memmove(topics->items + at + 1, topics->items + at, (topics->count - at) * sizeof *topics->items);
        topics->items[at] = (struct transaction_topic){.name = state_str(name)};
        topics->count++;
    }
    struct transaction_topic *topic = &topics->items[at];
    uint32_t place = partition_place(topic, partition);
    if (place < topic->count && topic->partitions[place] == partition)
        return;
    if (topic->count == topic->capacity) {
        topic->capacity = topic->capacity ? topic->capacity * 2 : 4;
        topic->partitions = state_array(topic->partitions, topic->capacity, sizeof *topic->partitions);
    }
    memmove(topic->partitions + place + 1, topic->partitions + place,
            (topic->count - place) * sizeof *topic->partitions);
    topic->partitions[place] = partition;
    topic->count++;
}

void topics_copy(struct txn_topics *to, const struct txn_topics *from)
{
    for (uint32_t i = 0; i < from->count; i++)
        for (uint32_t k = 0; k < from->items[i].count; k++)
            topics_add(to, from->items[i].name, from->items[i].partitions[k]);
}

void topics_free(struct txn_topics *topics)
{
    for (uint32_t i = 0; i < topics->count; i++) {
        free((void *)(uintptr_t)topics->items[i].name.data);
        free(topics->items[i].partitions);
    }
    free(topics->items);
    *topics = (struct txn_topics){0};
}
