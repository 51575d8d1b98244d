// One client's request that shards of a coordinator answer: one of them, or several whose answers come
// together.
#ifndef SERVER_COORDINATOR_CALL_H
#define SERVER_COORDINATOR_CALL_H

#include "coordinator/coordinator.h"
#include "server/broker.h"

struct coordinator_call {
    struct request *request; // NULL once its client has left
    // Answers call->request with what the parts brought. On the request's reactor, or where the parts were
    // asked when all of them were answered at once.
    void (*finish)(struct coordinator_call *call);
    void *context;      // in the request's arena
    bool may_wait_long; // the request's buffer goes while it waits: finish does not look at its message
    int32_t count, left;
    int32_t at_once; // of the parts
    bool too_large;  // what was gathered: the client gets no answer, and its connection ends
    struct coordinator_request parts[];
};

// A call of `count` parts, whose kind and message the caller sets. NULL: out of memory.
struct coordinator_call *coordinator_call_new(struct request *request, int32_t count,
                                              void (*finish)(struct coordinator_call *call));

// Frees a call that was not run (may be NULL); the request is the caller's to answer.
void coordinator_call_discard(struct coordinator_call *call);

#define COORDINATOR_CALL_ANSWERED (-1) // as a shard: the part has its answer already

// Asks shards[i] for part i. The call answers the request now or later, and frees itself.
void coordinator_call_run(struct coordinator_call *call, struct coordinator *coordinator,
                          const int32_t *shards);

// The same for a call of one part that one key's shard answers.
void coordinator_call_run_key(struct coordinator_call *call, struct coordinator *coordinator, struct str key);

#endif
