// Members of a classic consumer group. One thread drives them all until the group is stable; then each member
// may have a thread of its own.
#ifndef BENCH_GROUP_H
#define BENCH_GROUP_H

#include "call.h"

struct member {
    struct call call;                 // its connection to the coordinator
    const struct message_type *asked; // of the request in flight; NULL: none
    struct str id;                    // owned
    int32_t generation;
    bool stable; // SyncGroup was answered, and no rebalance was heard of since
    int first;   // it reads the partitions first, first + members, ...; -1: none
    int64_t next_heartbeat_ns;
};

struct group {
    const struct options *o; // count: members; partitions: of o->topic; pause_us: between two heartbeats
    struct str name;         // owned
    struct member *members;
    int64_t requests; // sent so far
    int64_t stable;   // members
    int64_t next_heartbeat_ns;
    int32_t full_generation; // the one that all members joined; -1: none yet
};

// Connects o->count members and waits for the coordinator.
void group_open(struct group *g, const struct options *o, const char *name);

// Lets them join all at once; returns when all are in one generation and have their assignment.
void group_join(struct group *g);

// Sends a heartbeat, or commits an offset for each of the member's partitions, and waits for the answer.
void group_heartbeat(struct group *g, struct member *m);
void group_commit(struct group *g, struct member *m, const int64_t *offsets, int count);

// The members that joined leave, and all connections are closed.
void group_close(struct group *g);

#endif
