// What the files of the state machine share. Private to the room.
#ifndef RAFT_RAFT_INTERNAL_H
#define RAFT_RAFT_INTERNAL_H

#include "raft/raft.h"

// Events, one file each.
void raft_on_start(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u);
void raft_on_timeout(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u);
void raft_on_vote_response(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u);
void raft_on_appended(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u);
void raft_on_flushed(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u);
void raft_on_fetched(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u);
void raft_on_resign(struct raft *r, const struct raft_event *e, int64_t now_ms, struct raft_update *u);

// Transitions and rules that several events share (raft.c).
void raft_become_candidate(struct raft *r, int64_t now_ms, struct raft_update *u);
void raft_become_leader_if_elected(struct raft *r, struct raft_update *u);
void raft_become_unattached(struct raft *r, int32_t epoch, int64_t now_ms, struct raft_update *u);
void raft_advance_high_watermark(struct raft *r, struct raft_update *u);
int raft_place_of(const struct raft *r, const struct raft_replica *replica);

#endif
