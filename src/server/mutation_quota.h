// The controller mutations of one request (KIP-599): what its topics and partitions are charged to. Made on
// the request's reactor, charged on the controller's thread, read on the reactor again once it is answered.
#ifndef SERVER_MUTATION_QUOTA_H
#define SERVER_MUTATION_QUOTA_H

#include "controller/controller.h"
#include "server/request.h"

struct mutation_quota {
    struct client_quotas *quotas;
    struct quota_limit limit;
    bool strict; // newer versions refuse what is beyond the quota; older ones do it, and are throttled
    int32_t throttle_ms;
    int64_t charged_ms;
};

// Lets the event charge the request's client where that has a limit; `m` outlives the event.
void mutation_quota_attach(struct mutation_quota *m, const struct request *request,
                           struct controller_event *event);

// What is left of the throttle time.
int32_t mutation_quota_throttle_ms(const struct mutation_quota *m, int64_t now_ms);

#endif
