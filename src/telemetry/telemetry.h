// Clients' own metrics (KIP-714): which client is asked for what, who may push when, and what came last.
// Decisions are pure in (state, request, now). Any thread; one lock, which is held for short.
#ifndef TELEMETRY_TELEMETRY_H
#define TELEMETRY_TELEMETRY_H

#include "base/uuid.h"
#include "telemetry/otlp.h"

#define TELEMETRY_CLIENTS 16384
// Of all clients' last values; beyond, those longest silent lose theirs. And as much of the clients
// themselves, whose names may be long; beyond, those longest silent are forgotten.
#define TELEMETRY_MEMORY_BYTES   (16 << 20)
#define TELEMETRY_DECODED_FACTOR 16 // a push unpacks to so many times telemetry.max.bytes at most

struct image;
struct telemetry;

// NULL: out of memory.
struct telemetry *telemetry_new(int32_t max_bytes);
void telemetry_free(struct telemetry *t);

// The subscriptions are other ones from now on.
int telemetry_follow(struct telemetry *t, const struct image *image);

// Whose request it is. A null view: unknown.
struct telemetry_caller {
    struct str client_id, software_name, software_version, address;
    int32_t port;
    int64_t now_ms;  // monotonic
    int64_t wall_ms; // for people
};

// GetTelemetrySubscriptions.
struct telemetry_answer {
    int16_t error;
    struct uuid id; // the client's; made up where it had none
    int32_t subscription_id, interval_ms, max_bytes;
    const struct str *metrics; // in the arena
    size_t metrics_count;
    bool is_new; // the instance was made, or made anew: it goes with the caller's connection (telemetry_gone)
};
int telemetry_get(struct telemetry *t, const struct uuid *id, const struct telemetry_caller *caller,
                  struct arena *arena, struct telemetry_answer *out);

// PushTelemetry: whether it is welcome. The error to answer, E_NONE: telemetry_take is next.
struct telemetry_push {
    struct uuid id;
    int32_t subscription_id;
    bool terminating;
    int8_t compression;
    struct bytes payload;
};
int16_t telemetry_check(struct telemetry *t, const struct telemetry_push *push,
                        const struct telemetry_caller *caller, bool *is_new);

// Unpacks and keeps what was pushed. For a thread that has time. The error to answer.
int16_t telemetry_take(struct telemetry *t, const struct telemetry_push *push, int64_t wall_ms,
                       struct arena *arena);

// The connection that an instance came with is gone, and so is the instance.
void telemetry_gone(struct telemetry *t, const struct uuid *id);

// ---- looking

struct telemetry_client {
    struct uuid id;
    struct str client_id, software_name, software_version, address;
    int32_t port, interval_ms;
    int64_t seen_wall_ms, pushed_wall_ms; // 0: never
    uint64_t pushes;
    const struct otlp_value *values;
    size_t count, left_out;
};

#define TELEMETRY_CLIENTS_LISTED 1000

struct telemetry_clients {
    struct telemetry_client *items;
    size_t count, left_out;
};

// Copies in the arena, of those heard of last, without their values. 0 or ERR_NOMEM.
int telemetry_list(struct telemetry *t, int64_t now_ms, struct arena *arena, struct telemetry_clients *out);

// A copy with its values. 0, ERR_NOT_FOUND or ERR_NOMEM.
int telemetry_find(struct telemetry *t, const struct uuid *id, int64_t now_ms, struct arena *arena,
                   struct telemetry_client *out);

struct telemetry_counts {
    uint64_t clients; // now, with some that are to be forgotten
    uint64_t pushes, push_bytes;
};
void telemetry_count(struct telemetry *t, int64_t now_ms, struct telemetry_counts *out);

#endif
