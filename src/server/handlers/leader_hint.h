// Who leads instead: what Produce and Fetch tell a client that asked the wrong broker (KIP-951).
#ifndef SERVER_LEADER_HINT_H
#define SERVER_LEADER_HINT_H

#include "base/uuid.h"
#include "server/request.h"

#define LEADER_HINTS_MAX 16 // brokers named in one response; a client that hears of no node asks for metadata

struct leader_node {
    int32_t id;
    struct str host, rack; // in the request's arena
    int32_t port;
};

struct leader_hints {
    struct request *request;
    struct leader_node nodes[LEADER_HINTS_MAX];
    size_t count;
};

void leader_hints_init(struct leader_hints *hints, struct request *request);

// Looks the partition's leader up in the image, fills id and epoch (left alone when there is none) and
// remembers the leader's endpoint on the request's listener.
void leader_hints_add(struct leader_hints *hints, const struct uuid *topic_id, int32_t partition,
                      int32_t *leader_id, int32_t *leader_epoch);

#endif
