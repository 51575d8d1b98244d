// The features (KIP-584) that this version of Odradek supports, and the levels that a new cluster gets.
#ifndef METADATA_FEATURES_H
#define METADATA_FEATURES_H

#include "base/bytes.h"

struct feature_support {
    struct str name;
    int16_t min, max;
    int16_t initial; // the level that a new cluster finalizes; kraft.version is the quorum's own
};

extern const struct feature_support features_supported[]; // sorted by name
extern const size_t features_supported_count;

#endif
