#include "raft/raft_internal.h"

void raft_on_vote_response(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u)
{
    if (e->epoch > r->persistent.epoch) { // somebody is ahead: this election is over
        raft_become_unattached(r, e->epoch, now_ms, u);
        return;
    }
    int place = raft_place_of(r, &e->replica);
    if (e->epoch < r->persistent.epoch || r->role != RAFT_CANDIDATE || place < 0 || !e->granted)
        return;
    r->granted[place] = true;
    raft_become_leader_if_elected(r, u);
}
