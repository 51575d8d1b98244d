#include "raft/raft_internal.h"

#include <assert.h>

// The leader's own log has grown; it is not durable yet.
void raft_on_appended(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u)
{
    (void)now_ms;
    (void)u;
    assert(r->role == RAFT_LEADER && e->end >= r->log_end);
    r->log_end = e->end;
    r->log_last_epoch = r->persistent.epoch;
}
