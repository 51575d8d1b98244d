#include "raft/raft_internal.h"

// A node comes back with what it had persisted.
void raft_on_start(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u)
{
    r->persistent = e->persistent;
    r->log_end = e->end;
    r->log_last_epoch = e->last_epoch;
    // The log may know a later epoch than quorum-state (a restored disk): never act in an older one.
    if (r->log_last_epoch > r->persistent.epoch)
        raft_become_unattached(r, r->log_last_epoch, now_ms, u);

    int own = raft_own_place(r);
    if (own >= 0 && r->voters->count == 1) {
        raft_become_candidate(r, now_ms, u); // nobody to wait for
        return;
    }
    // Who led this epoch does not go on leading it after a restart: it may have forgotten what it
    // acknowledged to observers. Another epoch decides.
    bool led = r->persistent.leader_id == r->node_id;
    if (r->persistent.leader_id != RAFT_NOBODY && !led)
        r->role = RAFT_FOLLOWER;
    else
        r->role = led ? RAFT_RESIGNED : RAFT_UNATTACHED;
    r->deadline_ms = own < 0 ? INT64_MAX : now_ms + r->election_timeout_ms;
}
