#include "raft/raft_internal.h"

// Nothing was heard of a leader for an election timeout, or the election brought none.
void raft_on_timeout(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u)
{
    (void)e;
    if (now_ms < r->deadline_ms || r->role == RAFT_LEADER || raft_own_place(r) < 0)
        return;
    raft_become_candidate(r, now_ms, u);
}
