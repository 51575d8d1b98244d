// Which quota counts for whom. Pure; for threads that may read the image.
#ifndef QUOTA_RESOLVE_H
#define QUOTA_RESOLVE_H

#include "metadata/image.h"

// Who asks: the principal's name (without "User:") and the client id; a null client id is the empty one.
struct quota_client {
    struct str user, client_id;
};

// The limit that applies to a client, and with whom it is shared: clients whose `shared_with` is equal use it
// up together. What is not part of it is the empty view.
struct quota_limit {
    double bound;
    struct quota_client shared_with;
};

// False: the client has no limit of this kind (any but QUOTA_CONNECTION_CREATION_RATE).
bool quota_resolve(const struct image *image, enum image_quota_kind kind, const struct quota_client *client,
                   struct quota_limit *out);

// Whether any quota of clients (not of ips) is set.
static inline bool quota_any(const struct image *image)
{
    return (image->quota_counts[QUOTA_PRODUCER_BYTE_RATE] | image->quota_counts[QUOTA_CONSUMER_BYTE_RATE] |
            image->quota_counts[QUOTA_REQUEST_PERCENTAGE] |
            image->quota_counts[QUOTA_CONTROLLER_MUTATION_RATE]) != 0;
}

#endif
