// KRaft without I/O: (state, event, now) -> what to do. One file per event; the KIP's rule stands at the
// branch that implements it (KIP-595 is the protocol, KIP-853 the dynamic voters).
//
// The state machine opens no file, sends nothing and reads no clock. Its caller executes the update of each
// step, in this order: persist quorum-state (durably), append, flush, send; and reports back with further
// events. One thread at a time.
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include "base/bytes.h"
#include "base/uuid.h"
#include "raft/voters.h"

enum raft_role {
    RAFT_UNATTACHED,  // knows no leader of its epoch; may have voted in it
    RAFT_FOLLOWER,    // knows the leader of its epoch
    RAFT_PROSPECTIVE, // asks whether it would win, without a new epoch (KIP-996)
    RAFT_CANDIDATE,   // voted for itself and asks for votes
    RAFT_LEADER,
    RAFT_RESIGNED, // was the leader, and lets others take over
};

#define RAFT_NOBODY (-1)

// What survives a restart: the content of quorum-state.
struct raft_persistent {
    int32_t epoch;               // 0 before the first election
    int32_t leader_id;           // RAFT_NOBODY: not known
    int32_t voted_id;            // RAFT_NOBODY: has not voted in this epoch
    struct uuid voted_directory; // zero: not known
};

struct raft {
    int32_t node_id;
    struct uuid directory_id;
    int64_t election_timeout_ms;
    uint64_t random; // state of the generator behind the election timeouts

    enum raft_role role;
    struct raft_persistent persistent;
    const struct raft_voters *voters; // the caller's; the latest in the log, committed or not
    int64_t log_end;                  // of the next record
    int32_t log_last_epoch;           // of the last record; 0: none
    int64_t high_watermark;           // -1: not known yet in this epoch
    int64_t deadline_ms;              // of the election timeout; INT64_MAX: none

    // Candidate and leader: by place in voters.
    bool granted[RAFT_VOTERS_MAX];
    // Leader: up to where each voter's log is durable, -1 when it has not said so; and where its epoch
    // starts.
    int64_t durable_end[RAFT_VOTERS_MAX];
    int64_t epoch_start;
};

enum raft_event_type {
    RAFT_EVENT_START,         // persistent, log_end, log_last_epoch
    RAFT_EVENT_TIMEOUT,       // the deadline has passed
    RAFT_EVENT_VOTE_RESPONSE, // replica, epoch, granted
    RAFT_EVENT_APPENDED,      // end: the leader's own log was appended to
    RAFT_EVENT_FLUSHED,       // end: the leader's own log is durable up to there
    RAFT_EVENT_FETCHED,       // replica, epoch, end: a voter has everything below `end`
    RAFT_EVENT_RESIGN,        // a leader stops being one
};

struct raft_event {
    enum raft_event_type type;
    struct raft_persistent persistent;
    struct raft_replica replica;
    int32_t epoch;
    bool granted;
    int64_t end;
    int32_t last_epoch;
};

struct raft_update {
    bool persist;       // quorum-state, before everything else
    bool became_leader; // append the records of a new epoch (raft/control.h), then APPENDED and FLUSHED
    bool request_votes; // send Vote to all other voters
    bool high_watermark_moved; // to raft->high_watermark
    bool resigned;             // no longer the leader
};

// Before the first step, which is START.
void raft_init(struct raft *r, int32_t node_id, const struct uuid *directory_id,
               const struct raft_voters *voters, int64_t election_timeout_ms, uint64_t seed);

// One event. The update is overwritten. now_ms is monotonic.
void raft_step(struct raft *r, const struct raft_event *event, int64_t now_ms, struct raft_update *update);

// The place of this node among the voters, or -1.
int raft_own_place(const struct raft *r);

#endif
