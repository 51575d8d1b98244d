// One step of a member of a consumer group towards its target (KIP-848, "Reconciliation Process"): it gives
// up what it is not to have, then moves to the target's epoch and gets what nobody holds any more. Pure.
#ifndef COORDINATOR_GROUP_RECONCILE_H
#define COORDINATOR_GROUP_RECONCILE_H

#include "coordinator/group/assignment.h"

// As the records say it.
enum consumer_state {
    CONSUMER_STABLE = 0,
    CONSUMER_UNREVOKED = 1,  // has been told to give up partitions, and has not confirmed it
    CONSUMER_UNRELEASED = 2, // at the target's epoch; waits for partitions that others still hold
    CONSUMER_UNKNOWN = 127,  // of a newer coordinator
};

// Where a member stands.
struct consumer_position {
    enum consumer_state state;
    int32_t epoch, previous_epoch;
    struct assignment assigned, revoking;
};

struct reconcile_target {
    int32_t epoch;
    struct assignment assignment;
    // Whether any member of the group still holds the partition, assigned or revoking.
    bool (*is_held)(const void *context, const struct topic_partition *p);
    const void *context;
};

enum reconcile_result {
    RECONCILE_SAME,  // the member stays as it is
    RECONCILE_MOVED, // *out is where it stands now
    RECONCILE_FENCED,
    RECONCILE_NOMEM
};

// owned: what the member says that it owns; NULL: it did not say.
enum reconcile_result reconcile(const struct consumer_position *now, const struct reconcile_target *target,
                                const struct assignment *owned, struct arena *arena,
                                struct consumer_position *out);

#endif
