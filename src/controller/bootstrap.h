// The records that a new cluster begins with (bootstrap.checkpoint). Pure.
#ifndef CONTROLLER_BOOTSTRAP_H
#define CONTROLLER_BOOTSTRAP_H

#include "base/arena.h"

// The features that this version finalizes in a new cluster, metadata.version first, as record values (frame
// and all) in the arena. 0 or ERR_NOMEM.
int bootstrap_records(struct arena *arena, struct bytes **out, size_t *count);

#endif
