// Builds an image from a stream of records (a snapshot, the log): many at a time, metadata transactions
// (KIP-868) whole or not at all. One thread.
#ifndef METADATA_LOADER_H
#define METADATA_LOADER_H

#include "metadata/image.h"

struct image_loader {
    struct image *image;          // what is applied so far
    struct image_record *waiting; // copies, in `bytes`: value.data is an offset until they are applied
    size_t waiting_count, waiting_capacity;
    struct buffer bytes;
    bool in_transaction; // between Begin and End or Abort
    struct buffer why;   // the phrase of the first error
};

// Starts from an empty image. 0 or ERR_NOMEM.
int image_loader_init(struct image_loader *l);

// Adds one record (copied). Errors as image_apply.
int image_loader_add(struct image_loader *l, const struct image_record *record);

// Applies what waits, but not an open transaction's records (they stay; in_transaction is set). The image is
// then l->image, at the offset of the last record that was added.
int image_loader_flush(struct image_loader *l);

void image_loader_free(struct image_loader *l);

#endif
