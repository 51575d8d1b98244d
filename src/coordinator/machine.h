// What a coordinator's state machine offers to the runtime, and what it gives back. A machine is a function
// of (state, event, now): it opens nothing, sends nothing, reads no clock. Everything here is called with the
// shard's lock held, by one thread at a time.
#ifndef COORDINATOR_MACHINE_H
#define COORDINATOR_MACHINE_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/list.h"
#include "os/mailbox.h"

struct loop;

struct coordinator_now {
    int64_t monotonic_ms; // of timers
    int64_t wall_ms;      // of records
    int32_t leader_epoch; // of the shard's partition: what its markers bear
};

// One request to a shard, embedded in (or owned by) whoever asks. It is answered exactly once and cannot be
// taken back: it outlives the client that sent it.
struct coordinator_request {
    int kind;                          // the machine's own, e.g. enum group_request
    const void *message;               // what is asked, by kind; needed during the call that hands it in only
    int16_t version;                   // of the API, where the answer depends on it
    struct str client_id, client_host; // the same
    const void *known; // what the asker has found out about it already, by kind; NULL: nothing

    // The answer: a response message in `arena` by kind, or NULL and a protocol error for the request as a
    // whole. E_NONE and no response: it was replaced by a later request and gets no answer.
    struct arena arena;
    void *response;
    int16_t error;
    atomic_size_t answer_bytes; // of the arena, once there is a response; whoever asks may look at once

    // Called once on reply_to's thread, unless the answer was there at once (coordinator_ask says so).
    void (*complete)(struct coordinator_request *request);
    struct loop *reply_to;
    void *context; // the asker's

    // The runtime's own from here on.
    struct list node;
    int64_t offset; // the high watermark must exceed it
    struct task task;
};

// A record as it lies in the internal topic. value NULL: a tombstone.
struct coordinator_record {
    struct bytes key, value;
};

// Whose transaction records are part of: one batch, which comes into the log only with the guard of
// partition_verify.
struct coordinator_producer {
    int64_t producer_id, guard;
    int16_t epoch;
};

struct coordinator_effects {
    struct arena arena; // holds the records
    struct coordinator_record *records;
    size_t records_count, records_capacity;
    bool replay;                          // they are replayed into the state once they are appended
    bool divisible;                       // they need not be one batch: each stands for itself
    struct coordinator_producer producer; // whose transaction they belong to; producer_id -1: to none
    bool again; // set by settle: the same request is to be served once more, in the state as it is now
    struct list answered; // coordinator_requests with their answers
};

struct coordinator_machine {
    const char *topic; // the internal topic
    void *(*create)(const void *config);
    void (*destroy)(void *state); // every request in it was answered (unload)

    // A record of the log. producer_id is -1 outside of transactions. What it does not know it passes over.
    void (*replay)(void *state, const struct coordinator_record *record, int64_t offset, int64_t producer_id);
    // The end of a transaction that wrote into this partition.
    void (*replay_end)(void *state, int64_t producer_id, bool committed);
    // The log was read: arms timers.
    void (*loaded)(void *state, struct coordinator_now now);
    // Answers every request that waits inside with this error.
    void (*unload)(void *state, int16_t error, struct coordinator_effects *effects);

    // Serves a request: it is answered (effects->answered), or waits in the state.
    void (*step)(void *state, struct coordinator_request *request, struct coordinator_now now,
                 struct coordinator_effects *effects);
    // Follows each step or tick that gave records: they were appended (E_NONE) or not (a protocol error; then
    // nothing was replayed). May answer, but gives no more records.
    void (*settle)(void *state, int16_t error, struct coordinator_now now,
                   struct coordinator_effects *effects);
    // Fires one timer that is due; false: none is.
    bool (*tick)(void *state, struct coordinator_now now, struct coordinator_effects *effects);
    // When the next timer is due (monotonic; INT64_MAX: never).
    int64_t (*next_due)(const void *state);
};

void coordinator_effects_init(struct coordinator_effects *effects);
void coordinator_effects_reset(struct coordinator_effects *effects); // keeps `answered`
void coordinator_effects_free(struct coordinator_effects *effects);

// Adds a record, copied views: key and value live in effects->arena. 0 or ERR_NOMEM.
int coordinator_effects_add(struct coordinator_effects *effects, struct bytes key, struct bytes value);

// The request's answer: a message in its arena, where NULL says that there was no memory for it; or an error.
void coordinator_answer(struct coordinator_effects *effects, struct coordinator_request *r, void *response);
void coordinator_refuse(struct coordinator_effects *effects, struct coordinator_request *r, int16_t error);

// Memory of a state. Never NULL: without memory the process ends with a line (README, invariant 8).
void *state_alloc(size_t size); // zeroed
struct str state_str(struct str s);
struct bytes state_bytes(struct bytes b); // never null
void *state_array(void *old, size_t count, size_t size);

#endif
