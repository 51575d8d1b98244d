// Incremental fetch sessions (KIP-227): what a consumer fetches is remembered, so that a request names only
// what changed and a response carries only what moved.
//
// A session belongs to the server, not to a connection: a client may come back on another reactor. The cache
// has one lock, each session its own; the order is cache, then session. Any thread.
#ifndef SERVER_FETCH_SESSION_H
#define SERVER_FETCH_SESSION_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/uuid.h"

#define FETCH_SESSION_INITIAL_EPOCH 0  // a full request that asks for a session
#define FETCH_SESSION_FINAL_EPOCH   -1 // a full request without one; ends the session that it names

// What a fetch asks of one partition. In versions below 13 topic_id is zero and the name is the identity;
// from 13 on the id is, and topic is null until the id is resolved.
struct fetch_target {
    struct uuid topic_id;
    struct str topic;
    int32_t partition;
    int32_t max_bytes;
    int64_t fetch_offset;
    int64_t log_start_offset;     // the follower's; -1 from consumers
    int32_t current_leader_epoch; // -1: unknown
    int32_t last_fetched_epoch;   // -1: none
};

// What the answer says of one partition, as far as sessions look at it.
struct fetch_outcome {
    int64_t high_watermark, log_start_offset;
    uint64_t records_bytes;
    int16_t error;
    bool always; // diverging epoch or preferred replica: must be in the response
};

struct fetch_session_cache;

// At most `slots` sessions (max.incremental.fetch.session.cache.slots); one unused for evict_ms gives way to
// a new one. NULL when out of memory.
struct fetch_session_cache *fetch_session_cache_new(size_t slots, int64_t evict_ms);
void fetch_session_cache_free(struct fetch_session_cache *cache);
size_t fetch_session_cache_count(struct fetch_session_cache *cache);

enum fetch_context_kind {
    FETCH_CONTEXT_SESSIONLESS,
    FETCH_CONTEXT_FULL,        // answers in full; a session is made with the answer when there is room
    FETCH_CONTEXT_INCREMENTAL, // answers what changed
    FETCH_CONTEXT_ERROR,       // the answer is `error` and nothing else
};

// One request's view. Its targets lie in the arena it was opened with.
struct fetch_context {
    enum fetch_context_kind kind;
    int16_t error;
    int32_t epoch; // of the session after this request
    bool uses_topic_ids, from_follower;
    struct fetch_session_cache *cache;
    struct fetch_session *session; // referenced while kind is INCREMENTAL
    struct fetch_target *targets;
    size_t targets_count;
};

struct fetch_context_request {
    int32_t session_id, session_epoch;
    bool uses_topic_ids, from_follower;
    const struct fetch_target *targets; // as the request lists them, repeated ones included
    size_t targets_count;
    const struct fetch_target *forgotten; // only the identity counts
    size_t forgotten_count;
    int64_t now_ms;
};

// Opens the context of a request. Of a repeated partition the last mention counts, in the place of the first.
// 0 or ERR_NOMEM. Close it in any case.
int fetch_context_open(struct fetch_context *context, struct fetch_session_cache *cache,
                       const struct fetch_context_request *request, struct arena *arena);

// Decides what the response carries: outcomes[i] belongs to targets[i]. include[i] becomes whether target i
// is part of the response. Returns the response's session id (0: none) and sets *error for its top level. A
// session is updated here, so call it once, when the answer goes out.
int32_t fetch_context_finish(struct fetch_context *context, const struct fetch_outcome *outcomes,
                             bool *include, int64_t now_ms, int16_t *error);

// What fetch_context_finish would include, for who wants to know the response's size first; nothing is
// updated.
void fetch_context_preview(const struct fetch_context *context, const struct fetch_outcome *outcomes,
                           bool *include);

// Instead of fetch_context_finish for an empty response, which tells the client to wait: the session stays as
// it is, and none is made.
int32_t fetch_context_throttle(struct fetch_context *context, int16_t *error);

void fetch_context_close(struct fetch_context *context);

#endif
