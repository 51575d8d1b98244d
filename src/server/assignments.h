// Tells the controller in which log directory each replica of this broker lies (AssignReplicasToDirs,
// KIP-858).
#ifndef SERVER_ASSIGNMENTS_H
#define SERVER_ASSIGNMENTS_H

#include "server/broker.h"

// Replicas whose directories the controller does not know yet, or wrongly.
struct assignments {
    struct replica_place *places;
    size_t count, capacity;
    bool failed; // out of memory: some are missing
};

// For replica_manager_misplaced; arg is the assignments.
void assignments_add(void *arg, const struct replica_place *place);

// Sends them. Blocks; the main thread. False when the controller did not take them all.
bool assignments_send(struct assignments *a, struct broker *b, int64_t broker_epoch);
void assignments_free(struct assignments *a);

#endif
