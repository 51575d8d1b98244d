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

// NULL: no feature of ours.
const struct feature_support *feature_find(struct str name);

// A level above 0 of a feature other than metadata.version: a new cluster whose metadata.version is `since`
// or later gets it unless another one is asked for (KIP-1022). None with less than `needs` may have it.
struct feature_step {
    struct str feature;
    int16_t level, since, needs;
};

extern const struct feature_step feature_steps[]; // lower levels of a feature come first
extern const size_t feature_steps_count;

// The least metadata.version that a level of a feature needs; 0: any.
int16_t feature_needs(struct str feature, int16_t level);

// "4.3-IV0" of 30. NULL: there is no such metadata.version. Kafka 4.3 knows one that is not released, too.
const char *metadata_version_name(int32_t level);

// "4.1", "4.1.2" and "4.1-IV1" are 27. 0: there is no such version, or it is not released.
int16_t metadata_version_of_release(struct str release);

#endif
