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

// What a step goes by.
struct reconcile_view {
    int32_t epoch; // the target's
    struct assignment target;
    const struct assignment *owned; // what the member says that it owns; NULL: it did not say
    bool subscribes_anew;           // since the last step
    // Whether any member of the group still holds the partition, assigned or revoking.
    bool (*is_held)(const void *context, const struct topic_partition *p);
    // Whether the member subscribes to the topic, and the topic exists.
    bool (*is_subscribed)(const void *context, const struct uuid *topic);
    const void *context;
};

enum reconcile_result {
    RECONCILE_SAME,  // the member stays as it is
    RECONCILE_MOVED, // *out is where it stands now
    RECONCILE_FENCED,
    RECONCILE_NOMEM
};

enum reconcile_result reconcile(const struct consumer_position *now, const struct reconcile_view *view,
                                struct arena *arena, struct consumer_position *out);

#endif
