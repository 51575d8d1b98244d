#include "raft/raft_internal.h"

// A leader steps down within its epoch (it stops, or its disk failed). quorum-state keeps it as the epoch's
// leader.
void raft_on_resign(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u)
{
    (void)e;
    if (r->role != RAFT_LEADER)
        return;
    r->role = RAFT_RESIGNED;
    r->deadline_ms = now_ms + r->election_timeout_ms;
    u->resigned = true;
}
