#include "raft/raft.h"

#include "base/error.h"
#include "raft/raft_internal.h"

#include <assert.h>
#include <stdlib.h>

void raft_init(struct raft *r, int32_t node_id, const struct uuid *directory_id,
               const struct raft_voters *voters, int64_t election_timeout_ms, uint64_t seed)
{
    *r = (struct raft){.node_id = node_id,
                       .directory_id = *directory_id,
                       .election_timeout_ms = election_timeout_ms,
                       .random = seed | 1,
                       .role = RAFT_UNATTACHED,
                       .persistent = {0, RAFT_NOBODY, RAFT_NOBODY, {{0}}},
                       .voters = voters,
                       .high_watermark = -1,
                       .deadline_ms = INT64_MAX};
}

void raft_step(struct raft *r, const struct raft_event *event, int64_t now_ms, struct raft_update *update)
{
    static void (*const on[])(struct raft *, const struct raft_event *, int64_t, struct raft_update *) = {
        [RAFT_EVENT_START] = raft_on_start,
        [RAFT_EVENT_TIMEOUT] = raft_on_timeout,
        [RAFT_EVENT_VOTE_RESPONSE] = raft_on_vote_response,
        [RAFT_EVENT_APPENDED] = raft_on_appended,
        [RAFT_EVENT_FLUSHED] = raft_on_flushed,
        [RAFT_EVENT_FETCHED] = raft_on_fetched,
        [RAFT_EVENT_RESIGN] = raft_on_resign,
    };
    assert((size_t)event->type < sizeof on / sizeof *on);
    *update = (struct raft_update){0};
    on[event->type](r, event, now_ms, update);
}

// A voter is another one when its directory is: a disk that was replaced has forgotten its votes (KIP-853).
// An unknown directory (static voters) matches any.
int raft_place_of(const struct raft *r, const struct raft_replica *replica)
{
    for (uint32_t i = 0; i < r->voters->count; i++) {
        const struct raft_replica *v = &r->voters->items[i].replica;
        bool same_directory = uuid_is_zero(&v->directory) || uuid_is_zero(&replica->directory) ||
                              uuid_equal(&v->directory, &replica->directory);
        if (v->id == replica->id && same_directory)
            return (int)i;
    }
    return -1;
}

int raft_own_place(const struct raft *r)
{
    return raft_place_of(r, &(struct raft_replica){r->node_id, r->directory_id});
}

// Between one and two election timeouts, so that candidates seldom meet.
static int64_t random_timeout_ms(struct raft *r)
{
    r->random ^= r->random << 13;
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->election_timeout_ms + (int64_t)(r->random % (uint64_t)(r->election_timeout_ms + 1));
}

void raft_become_unattached(struct raft *r, int32_t epoch, int64_t now_ms, struct raft_update *u)
{
    u->resigned = r->role == RAFT_LEADER;
    r->role = RAFT_UNATTACHED;
    r->persistent = (struct raft_persistent){epoch, RAFT_NOBODY, RAFT_NOBODY, {{0}}};
    r->high_watermark = -1;
    r->deadline_ms = raft_own_place(r) < 0 ? INT64_MAX : now_ms + random_timeout_ms(r);
    u->persist = true;
}

// KIP-595: a candidate raises its epoch and votes for itself; the vote is durable before anybody hears of it.
void raft_become_candidate(struct raft *r, int64_t now_ms, struct raft_update *u)
{
    int own = raft_own_place(r);
    assert(own >= 0 && r->role != RAFT_LEADER);
    r->role = RAFT_CANDIDATE;
    r->persistent =
        (struct raft_persistent){r->persistent.epoch + 1, RAFT_NOBODY, r->node_id, r->directory_id};
    r->deadline_ms = now_ms + random_timeout_ms(r);
    memset(r->granted, 0, sizeof r->granted);
    r->granted[own] = true;
    u->persist = true;
    u->request_votes = r->voters->count > 1;
    raft_become_leader_if_elected(r, u);
}

void raft_become_leader_if_elected(struct raft *r, struct raft_update *u)
{
    uint32_t votes = 0;
    for (uint32_t i = 0; i < r->voters->count; i++)
        votes += r->granted[i];
    if (votes * 2 <= r->voters->count)
        return;
    r->role = RAFT_LEADER;
    // The epoch has its leader now: that is what Kafka writes, and the vote is implied. A candidate that is
    // alone needs to write only this.
    r->persistent.leader_id = r->node_id;
    r->persistent.voted_id = RAFT_NOBODY;
    r->persistent.voted_directory = (struct uuid){{0}};
    r->epoch_start = r->log_end;
    r->high_watermark = -1;
    r->deadline_ms = INT64_MAX;
    for (size_t i = 0; i < RAFT_VOTERS_MAX; i++)
        r->durable_end[i] = -1;
    u->persist = true;
    u->became_leader = true;
    u->request_votes = false;
}

static int descending(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

// KIP-595: what a majority has is committed, but only once the majority covers a record of the leader's own
// epoch (its LeaderChange); an older record could still be replaced (Raft, section 5.4.2).
void raft_advance_high_watermark(struct raft *r, struct raft_update *u)
{
    int64_t ends[RAFT_VOTERS_MAX];
    uint32_t count = r->voters->count;
    memcpy(ends, r->durable_end, count * sizeof *ends);
    qsort(ends, count, sizeof *ends, descending);
    int64_t majority = ends[count / 2];
    if (majority <= r->epoch_start || majority <= r->high_watermark)
        return;
    r->high_watermark = majority;
    u->high_watermark_moved = true;
}
