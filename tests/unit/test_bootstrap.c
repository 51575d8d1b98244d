// The levels of features that a new cluster begins with.
#include "unit.h"

#include "base/error.h"
#include "controller/bootstrap.h"
#include "metadata/features.h"

#include <stdio.h>
#include <string.h>

#define WISHES_MAX 3

struct wish {
    const char *feature;
    int16_t level;
};

static int choose(const char *release, const struct wish *wishes, bool dynamic, struct arena *arena,
                  int16_t *levels, struct str *message)
{
    struct feature_level features[WISHES_MAX];
    struct bootstrap_wishes w = {.features = features, .dynamic_quorum = dynamic};
    if (release)
        w.release = str_from(release);
    for (; w.features_count < WISHES_MAX && wishes[w.features_count].feature; w.features_count++)
        features[w.features_count] = (struct feature_level){str_from(wishes[w.features_count].feature),
                                                            wishes[w.features_count].level};
    return bootstrap_levels(&w, arena, levels, message);
}

// As `kafka-storage version-mapping` of Apache Kafka 4.3.1 has them: eligible.leader.replicas, group, kraft,
// metadata, share, streams, transaction.
static void levels_of_releases(void **state)
{
    (void)state;
    static const struct {
        const char *release;
        struct wish wishes[WISHES_MAX];
        bool dynamic;
        int16_t levels[7];
    } cases[] = {
        {NULL, {{0}}, true, {1, 1, 1, 30, 1, 1, 2}},
        {NULL, {{0}}, false, {1, 1, 0, 30, 1, 1, 2}}, // static voters
        {"4.3", {{0}}, true, {1, 1, 1, 30, 1, 1, 2}},
        {"4.2-IV1", {{0}}, true, {1, 1, 1, 29, 1, 1, 2}},
        {"4.2-IV0", {{0}}, true, {1, 1, 1, 28, 1, 0, 2}},
        {"4.1.1", {{0}}, true, {1, 1, 1, 27, 0, 0, 2}},
        {"4.1-IV0", {{0}}, true, {1, 1, 1, 26, 0, 0, 2}},
        {"4.0", {{0}}, true, {0, 1, 1, 25, 0, 0, 2}},
        {"4.0-IV1", {{0}}, true, {0, 1, 1, 23, 0, 0, 0}},
        {"3.9", {{0}}, true, {0, 0, 1, 21, 0, 0, 0}},
        {"3.3", {{0}}, true, {0, 0, 1, 7, 0, 0, 0}},
        {NULL, {{"metadata.version", 20}}, true, {0, 0, 1, 20, 0, 0, 0}},
        {NULL, {{"transaction.version", 1}, {"transaction.version", 0}}, true, {1, 1, 1, 30, 1, 1, 0}},
        {"4.1", {{"eligible.leader.replicas.version", 0}}, true, {0, 1, 1, 27, 0, 0, 2}},
        {"4.0",
         {{"eligible.leader.replicas.version", 1}, {"group.version", 0}},
         true,
         {1, 0, 1, 25, 0, 0, 2}},
        {"3.9", {{"transaction.version", 2}}, true, {0, 0, 1, 21, 0, 0, 2}},
        {NULL, {{"kraft.version", 1}}, true, {1, 1, 1, 30, 1, 1, 2}},
        {NULL, {{"kraft.version", 0}}, false, {1, 1, 0, 30, 1, 1, 2}},
    };
    assert_int_equal(features_supported_count, 7);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int16_t levels[7];
        struct arena arena;
        struct str message;
        arena_init(&arena, 0);
        assert_int_equal(
            choose(cases[i].release, cases[i].wishes, cases[i].dynamic, &arena, levels, &message), 0);
        for (size_t f = 0; f < 7; f++)
            if (levels[f] != cases[i].levels[f])
                fail_msg("case %zu: %.*s is %d", i, STR_ARG(features_supported[f].name), levels[f]);
        arena_free(&arena);
    }
}

#define UNKNOWN_RELEASE(name)                                                                             \
    "Unknown metadata.version '" name                                                                     \
    "'. Supported metadata.version are: 3.3-IV3, 3.4-IV0, 3.5-IV0, "                                      \
    "3.5-IV1, 3.5-IV2, 3.6-IV0, 3.6-IV1, 3.6-IV2, 3.7-IV0, 3.7-IV1, 3.7-IV2, 3.7-IV3, 3.7-IV4, 3.8-IV0, " \
    "3.9-IV0, 4.0-IV0, 4.0-IV1, 4.0-IV2, 4.0-IV3, 4.1-IV0, 4.1-IV1, 4.2-IV0, 4.2-IV1, 4.3-IV0"

// With Kafka's words, but for the flags that only Kafka has.
static void what_cannot_be(void **state)
{
    (void)state;
    static const struct {
        const char *release;
        struct wish wishes[WISHES_MAX];
        bool dynamic;
        const char *message;
    } cases[] = {
        {NULL, {{"group.version", 7}}, true, "No feature:group.version with feature level 7"},
        {NULL, {{"group.version", -1}}, true, "No feature:group.version with feature level -1"},
        {NULL, {{"kraft.version", 7}}, true, "No feature:kraft.version with feature level 7"},
        {NULL,
         {{"zzz", 1}, {"aaa", 1}},
         true,
         "Unsupported feature: aaa. Supported features are: eligible.leader.replicas.version, group.version, "
         "kraft.version, share.version, streams.version, transaction.version"},
        {NULL,
         {{"metadata.version", 6}, {"aaa", 1}},
         true,
         "No MetadataVersion with feature level 6. Valid feature levels are from 7 to 31."},
        {NULL, {{"metadata.version", 31}}, true, "metadata.version 4.4-IV0 is not yet stable."},
        {"4.3",
         {{"metadata.version", 30}},
         true,
         "Use --release-version instead of --feature metadata.version=X to avoid ambiguity."},
        {NULL,
         {{"metadata.version", 22}, {"eligible.leader.replicas.version", 1}},
         true,
         "eligible.leader.replicas.version could not be set to 1 because it depends on metadata.version "
         "level 23"},
        {"4.4-IV0", {{0}}, true, UNKNOWN_RELEASE("4.4-IV0")},
        {"4.4", {{0}}, true, UNKNOWN_RELEASE("4.4")},
        {"4", {{0}}, true, UNKNOWN_RELEASE("4")},
        {"", {{0}}, true, UNKNOWN_RELEASE("")},
        {NULL,
         {{"kraft.version", 0}},
         true,
         "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags "
         "--standalone or --no-initial-controllers is used. For dynamic controllers support, try removing "
         "the "
         "--feature flag for kraft.version."},
        {NULL,
         {{"kraft.version", 1}},
         false,
         "Cannot set kraft.version to 1 unless controller.quorum.voters is empty and one of the flags "
         "--standalone or --no-initial-controllers is used. For dynamic controllers support, try using one "
         "of "
         "them and removing controller.quorum.voters."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int16_t levels[7];
        struct arena arena;
        struct str message = STR_NULL;
        arena_init(&arena, 0);
        assert_int_equal(
            choose(cases[i].release, cases[i].wishes, cases[i].dynamic, &arena, levels, &message),
            ERR_INVALID);
        if (!str_is(message, cases[i].message))
            fail_msg("case %zu: %.*s", i, STR_ARG(message));
        arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_of_releases),
        cmocka_unit_test(what_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
