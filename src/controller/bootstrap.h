// The records that a new cluster begins with (bootstrap.checkpoint). Pure.
#ifndef CONTROLLER_BOOTSTRAP_H
#define CONTROLLER_BOOTSTRAP_H

#include "base/arena.h"

struct feature_level {
    struct str feature;
    int16_t level;
};

// What whoever formats a cluster asks for.
struct bootstrap_wishes {
    struct str release; // a version of Kafka, whose levels it is to have; null: the latest
    const struct feature_level *features;
    size_t features_count; // of one that is named twice the last counts
    bool dynamic_quorum;
};

// levels[i] is the one of features_supported[i] that the cluster begins with. 0; ERR_INVALID: it cannot, and
// *message (in the arena) says why, in Kafka's words; or ERR_NOMEM.
int bootstrap_levels(const struct bootstrap_wishes *wishes, struct arena *arena, int16_t *levels,
                     struct str *message);

// The features that a new cluster finalizes, metadata.version first, as record values (frame and all) in the
// arena; levels NULL: the latest. 0 or ERR_NOMEM.
int bootstrap_records(const int16_t *levels, struct arena *arena, struct bytes **out, size_t *count);

#endif
