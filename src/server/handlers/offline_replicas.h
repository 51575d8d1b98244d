// Which replicas of a partition cannot serve.
#ifndef SERVER_OFFLINE_REPLICAS_H
#define SERVER_OFFLINE_REPLICAS_H

#include "base/arena.h"
#include "metadata/image.h"

// The brokers of the partition's replicas that are gone, fenced, or have lost the directory that the replica
// is in; into the arena. 0 or ERR_NOMEM.
int offline_replicas(const struct image *image, const struct image_partition *p, struct arena *arena,
                     int32_t **out, int32_t *count);

#endif
