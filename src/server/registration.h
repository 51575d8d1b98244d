// The broker's membership of the cluster: registration, heartbeats, and the orderly goodbye (KIP-631).
#ifndef SERVER_REGISTRATION_H
#define SERVER_REGISTRATION_H

#include "server/broker.h"

struct registration {
    struct broker *broker;
    struct uuid incarnation_id;
    int64_t broker_epoch;   // -1 before it is registered
    int64_t previous_epoch; // of the run before, when its stop was clean (KIP-966); else -1
    const struct image_endpoint *endpoints;
    uint32_t endpoints_count;
    bool fenced;
};

// Registers this incarnation. 0, or the protocol's error code as a positive number. Blocks; the main thread.
int16_t registration_register(struct registration *r);

// One heartbeat: the broker has caught up and wants to serve (or to stop, when want_shutdown). Sets
// r->fenced. A broker that the controller does not know any more registers anew.
int16_t registration_heartbeat(struct registration *r, bool want_shutdown, bool *should_shutdown);

#endif
