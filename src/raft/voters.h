// The voters of the quorum: from controller.quorum.voters (static, kraft.version 0) or from the last Voters
// record (KIP-853, kraft.version 1). A plain value that owns its memory.
#ifndef RAFT_VOTERS_H
#define RAFT_VOTERS_H

#include "base/arena.h"
#include "base/uuid.h"

#define RAFT_VOTERS_MAX 32

// A voter's identity; the directory is zero where it is not known (static voters).
struct raft_replica {
    int32_t id;
    struct uuid directory;
};

struct raft_endpoint {
    struct str name, host;
    uint16_t port;
};

struct raft_voter {
    struct raft_replica replica;
    struct raft_endpoint *endpoints;
    uint32_t endpoints_count;
    int16_t min_kraft_version, max_kraft_version; // that it supports
};

struct raft_voters {
    struct raft_voter items[RAFT_VOTERS_MAX];
    uint32_t count;
    struct arena arena; // endpoints and their texts
};

void raft_voters_init(struct raft_voters *v);
void raft_voters_free(struct raft_voters *v);

// Copies the voter in. ERR_NOMEM, ERR_LIMIT, ERR_EXISTS (its id is there).
int raft_voters_add(struct raft_voters *v, const struct raft_voter *voter);

// Decodes the value of a Voters control record over what was there. ERR_CORRUPT, ERR_LIMIT, ERR_NOMEM (*v is
// then empty).
int raft_voters_decode(struct raft_voters *v, struct bytes value);

// The value of a Voters control record, in the arena.
int raft_voters_encode(const struct raft_voters *v, struct arena *arena, struct bytes *out);

// The voter of an id, or NULL.
const struct raft_voter *raft_voters_find(const struct raft_voters *v, int32_t id);

#endif
