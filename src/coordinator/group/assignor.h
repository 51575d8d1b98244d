// The server-side assignors of consumer groups (KIP-848): who of the members is to own which partitions.
// Pure: (topics, members with what they have) -> what they get. May cost more than a reactor can give: the
// caller chooses the thread.
//
// Racks have no say, as in Kafka 4.3: there they only belong to what makes a group assign anew.
#ifndef COORDINATOR_GROUP_ASSIGNOR_H
#define COORDINATOR_GROUP_ASSIGNOR_H

#include "coordinator/group/assignment.h"
#include "coordinator/group/group.h"

struct assignor_topic {
    struct uuid id;
    int32_t partitions;
};

struct assignor_member {
    struct str id, instance_id; // instance_id null: a dynamic member
    const uint32_t *topics;     // that it subscribes to: places in assignor_problem.topics, ascending
    uint32_t topics_count;
    struct assignment has;  // its target until now; may name what no longer exists
    struct assignment gets; // the result
};

struct assignor_problem {
    const struct assignor_topic *topics; // that exist, sorted by id
    uint32_t topics_count;
    struct assignor_member *members;
    uint32_t members_count;
    // All subscribe to the same names, also of topics that do not exist: Kafka assigns such groups in another
    // way.
    bool equal_names;
};

struct assignor {
    const char *name;
    // Sets `gets` of each member, in the arena. 0 or ERR_NOMEM.
    int (*assign)(struct assignor_problem *problem, struct arena *arena);
};

const struct assignor *assignor_of(enum consumer_assignor which);

// By name, among those that are offered; NULL: it is none of them.
const struct assignor *assignor_find(const struct group_config *config, struct str name);

// For who asks for none.
const struct assignor *assignor_default(const struct group_config *config);

#endif
