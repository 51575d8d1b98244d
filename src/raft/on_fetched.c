#include "raft/raft_internal.h"

// A voter asked for what follows `end`: it has flushed everything below (KIP-595: a follower fetches only
// from what it has made durable).
void raft_on_fetched(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u)
{
    (void)now_ms;
    int place = raft_place_of(r, &e->replica);
    if (r->role != RAFT_LEADER || e->epoch != r->persistent.epoch || place < 0 || e->end > r->log_end ||
        e->end <= r->durable_end[place])
        return;
    r->durable_end[place] = e->end;
    raft_advance_high_watermark(r, u);
}
