#include "metadata/features.h"

const struct feature_support features_supported[] = {
    {STR("eligible.leader.replicas.version"), 0, 1, 1},
    {STR("group.version"), 0, 1, 1},
    {STR("kraft.version"), 0, 1, 0},
    {STR("metadata.version"), 7, 30, 30},
    {STR("share.version"), 0, 1, 1},
    {STR("streams.version"), 0, 1, 1},
    {STR("transaction.version"), 0, 2, 2},
};

const size_t features_supported_count = sizeof features_supported / sizeof *features_supported;
