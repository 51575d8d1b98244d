#include "raft/raft_internal.h"

#include <assert.h>

// The leader's own log is durable up to e->end: its own voice in the majority.
void raft_on_flushed(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u)
{
    (void)now_ms;
    int own = raft_own_place(r);
    assert(e->end <= r->log_end);
    if (r->role != RAFT_LEADER || own < 0 || e->end <= r->durable_end[own])
        return;
    r->durable_end[own] = e->end;
    raft_advance_high_watermark(r, u);
}
