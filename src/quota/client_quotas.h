// What clients have used of their quotas. Any thread; the callers read the image (see metadata/image.h).
#ifndef QUOTA_CLIENT_QUOTAS_H
#define QUOTA_CLIENT_QUOTAS_H

#include "quota/rate.h"
#include "quota/resolve.h"

struct client_quotas;

struct client_quotas_config {
    struct quota_window client, controller; // quota.window.*, controller.quota.window.*
};

// NULL: out of memory.
struct client_quotas *client_quotas_new(const struct client_quotas_config *config);
void client_quotas_free(struct client_quotas *q);

// Of QUOTA_PRODUCER_BYTE_RATE, QUOTA_CONSUMER_BYTE_RATE (bytes) and QUOTA_REQUEST_PERCENTAGE (hundredths of
// one thread's second): records what the client did, and returns for how long it has to be silent now. A
// request's throttle time is at most a sample's length.
int32_t client_quotas_record(struct client_quotas *q, enum image_quota_kind kind,
                             const struct quota_limit *limit, double value, int64_t now_ms);

// Records without a question; negative: what was recorded did not happen after all.
void client_quotas_note(struct client_quotas *q, enum image_quota_kind kind, const struct quota_limit *limit,
                        double value, int64_t now_ms);

// The most that can be recorded at once without certain throttling.
double client_quotas_most(const struct client_quotas *q, const struct quota_limit *limit);

// Partitions that are created or deleted, under QUOTA_CONTROLLER_MUTATION_RATE. strict: while the bucket is
// exhausted nothing is taken, and the throttle time says so; otherwise it is taken, and throttles once that
// exhausts it. Returns the throttle time, 0: none.
int32_t client_quotas_mutate(struct client_quotas *q, const struct quota_limit *limit, bool strict,
                             double partitions, int64_t now_ms);

// How many clients are remembered.
size_t client_quotas_count(struct client_quotas *q);

#endif
