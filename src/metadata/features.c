#include "metadata/features.h"

#include "metadata/record.h"

#define ELR          STR("eligible.leader.replicas.version")
#define GROUPS       STR("group.version")
#define KRAFT        STR("kraft.version")
#define SHARE        STR("share.version")
#define STREAMS      STR("streams.version")
#define TRANSACTIONS STR("transaction.version")

const struct feature_support features_supported[] = {
    {ELR, 0, 1, 1},
    {GROUPS, 0, 1, 1},
    {KRAFT, 0, 1, 0},
    {STR("metadata.version"), METADATA_VERSION_MINIMUM, METADATA_VERSION_LATEST, METADATA_VERSION_LATEST},
    {SHARE, 0, 1, 1},
    {STREAMS, 0, 1, 1},
    {TRANSACTIONS, 0, 2, 2},
};

const size_t features_supported_count = sizeof features_supported / sizeof *features_supported;

const struct feature_step feature_steps[] = {
    {ELR, 1, 26, METADATA_VERSION_ELR},
    {GROUPS, 1, 22, 0},
    {KRAFT, 1, 21, 0},
    {SHARE, 1, 28, 0},
    {STREAMS, 1, 29, 0},
    {TRANSACTIONS, 1, 24, 0},
    {TRANSACTIONS, 2, 24, 0},
};

const size_t feature_steps_count = sizeof feature_steps / sizeof *feature_steps;

const struct feature_support *feature_find(struct str name)
{
    for (size_t i = 0; i < features_supported_count; i++)
        if (str_equal(features_supported[i].name, name))
            return &features_supported[i];
    return NULL;
}

int16_t feature_needs(struct str feature, int16_t level)
{
    for (size_t i = 0; i < feature_steps_count; i++)
        if (str_equal(feature_steps[i].feature, feature) && feature_steps[i].level == level)
            return feature_steps[i].needs;
    return 0;
}

// From METADATA_VERSION_MINIMUM on.
static const char *const names[] = {
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0",
    "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2",
    "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0"};

enum { NAMES = sizeof names / sizeof *names };

const char *metadata_version_name(int32_t level)
{
    int32_t i = level - METADATA_VERSION_MINIMUM;
    return i >= 0 && i < NAMES ? names[i] : NULL;
}

// The release of a name or version: what stands before the dash or the second dot.
static struct str release_of(struct str text)
{
    size_t size = 0;
    for (int dots = 0; size < text.size && text.data[size] != '-'; size++)
        if (text.data[size] == '.' && ++dots == 2)
            break;
    return (struct str){text.data, size};
}

int16_t metadata_version_of_release(struct str release)
{
    struct str wanted = release_of(release);
    bool whole = wanted.size < release.size && release.data[wanted.size] == '-';
    int16_t found = 0;
    for (int16_t i = 0; i < NAMES; i++) {
        struct str name = str_from(names[i]);
        int16_t level = (int16_t)(METADATA_VERSION_MINIMUM + i);
        if (level <= METADATA_VERSION_LATEST &&
            (whole ? str_equal(name, release) : str_equal(release_of(name), wanted)))
            found = level; // of a release the last one
    }
    return found;
}
