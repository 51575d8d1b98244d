// Sets of topic partitions: what members of a consumer group (KIP-848) own, are to own and are to give up.
// Sorted by topic and partition, without duplicates, so that every operation is one walk. Pure; results live
// in the arena that is handed in.
#ifndef COORDINATOR_GROUP_ASSIGNMENT_H
#define COORDINATOR_GROUP_ASSIGNMENT_H

#include "base/arena.h"
#include "base/uuid.h"

struct topic_partition {
    struct uuid topic;
    int32_t partition;
    int32_t
        epoch; // of the member that has it, when it got it (KIP-1251); 0 where nobody has it. Not compared
};

// All zeros is the empty one.
struct assignment {
    struct topic_partition *items;
    uint32_t count;
};

int topic_partition_compare(const struct topic_partition *a, const struct topic_partition *b);

// Sorts in place and drops duplicates.
struct assignment assignment_make(struct topic_partition *items, uint32_t count);

enum assignment_operation {
    ASSIGNMENT_BOTH,  // what is in both
    ASSIGNMENT_MINUS, // what is in the first and not in the second
    ASSIGNMENT_EITHER // what is in one or the other
};

// False: out of memory.
bool assignment_combine(struct arena *arena, const struct assignment *a, const struct assignment *b,
                        enum assignment_operation operation, struct assignment *out);

const struct topic_partition *assignment_find(const struct assignment *a, const struct topic_partition *p);
bool assignment_has(const struct assignment *a, const struct topic_partition *p);
bool assignment_equal(const struct assignment *a, const struct assignment *b);
bool assignment_within(const struct assignment *part, const struct assignment *whole);
bool assignment_meets(const struct assignment *a, const struct assignment *b); // has something in common

// Where the topic that begins at `at` ends. Walk: for (at = 0; at < a->count; at = end).
uint32_t assignment_topic_end(const struct assignment *a, uint32_t at);
uint32_t assignment_topics(const struct assignment *a); // how many

#endif
