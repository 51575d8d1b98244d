// Walks the batches of the metadata log and of snapshots.
#ifndef RAFT_WALK_H
#define RAFT_WALK_H

#include "metadata/image.h"
#include "storage/batch.h"

// What was met, in order. A non-zero result ends the walk and is returned. Views are valid during the call.
struct metadata_visitor {
    int (*control)(void *context, int64_t offset, int16_t type, struct bytes value);
    int (*record)(void *context, const struct image_record *record);
    void *context;
};

// One whole batch: checks its CRC and visits its records. ERR_CORRUPT, ERR_NOMEM. `scratch` is for
// decompression.
int metadata_walk_batch(const struct batch_header *header, struct bytes batch, struct buffer *scratch,
                        const struct metadata_visitor *visitor);

#endif
