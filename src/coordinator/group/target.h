// What the targets of a consumer group are computed from. Shared by consumer_target.c and consumer_assign.c.
#ifndef COORDINATOR_GROUP_TARGET_H
#define COORDINATOR_GROUP_TARGET_H

#include "coordinator/group/consumer.h"

struct target_member {
    struct str id, instance_id, assignor; // null: none
    const struct str *topics, *matched;   // that it subscribes to by name, and by its regular expression
    int32_t topics_count, matched_count;
    struct assignment has; // its target until now
};

struct target_topic {
    struct str name;
    struct group_topic topic;
    uint32_t place; // among the topics that exist, by id
};

// The members, and the existing topics that they subscribe to. All zeros before target_see.
struct target_view {
    struct target_member *members;
    uint32_t members_count;
    struct target_topic **topics; // by id
    uint32_t topics_count, topics_capacity;
    int64_t partitions; // of all these topics
    struct map by_name;
};

// The members as the change leaves them: views of the group's memory. False: out of memory.
bool target_see(const struct consumer_change *change, struct arena *arena, struct target_view *v);
// In the order in which Kafka's assignors come upon them: it decides who gets the odd partition. newcomer: an
// id that the group does not have yet, or null.
bool target_order(struct target_view *v, struct str newcomer, struct arena *arena);
// The topics. On any thread that may ask for metadata.
bool target_learn(const struct group_metadata *metadata, struct target_view *v, struct arena *arena);
void target_free(struct target_view *v); // the arena's memory stays

// Two members that subscribe to the same, in the same order.
bool target_same_topics(const struct target_member *a, const struct target_member *b);
// The same, however they are split into names and an expression.
bool target_same_names(const struct target_member *a, const struct target_member *b);
struct str target_name_at(const struct target_member *m, int32_t i);

#endif
