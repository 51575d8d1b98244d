// The subscriptions of client metrics (KIP-714), as the metadata has them, and what they ask of a client.
// Private to telemetry/. Any thread may read them once they are made.
#ifndef TELEMETRY_SUBSCRIPTIONS_H
#define TELEMETRY_SUBSCRIPTIONS_H

#include "base/arena.h"
#include "metadata/image.h"

#define SUBSCRIPTION_INTERVAL_MS (5 * 60 * 1000) // and no client is asked to push less often

// What a subscription may match, in this order: client_instance_id, client_id, client_software_name,
// client_software_version, client_source_address, client_source_port.
#define SUBSCRIPTION_ATTRIBUTES 6

struct subscription;

struct subscriptions {
    struct arena arena;
    struct subscription *items;
    size_t count;
};

void subscriptions_init(struct subscriptions *s); // none
void subscriptions_free(struct subscriptions *s);

// Those of the image, in *out (not initialized before). A pattern that is none here (Java knows more of them)
// matches nobody, and is logged. 0 or ERR_NOMEM: then *out is nothing.
int subscriptions_read(struct subscriptions *out, const struct image *image);

// What is asked of a client with these attributes (null views: unknown).
struct subscribed {
    struct str *metrics; // prefixes; one "*": all of them
    size_t count;
    int32_t interval_ms;
    int32_t id;
};

// In the arena. 0 or ERR_NOMEM.
int subscriptions_of(const struct subscriptions *s, const struct uuid *instance,
                     const struct str attributes[SUBSCRIPTION_ATTRIBUTES], struct arena *arena,
                     struct subscribed *out);

#endif
