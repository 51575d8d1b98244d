#include "controller/bootstrap.h"

#include "base/error.h"
#include "metadata/features.h"
#include "metadata/record.h"
#include "protocol/messages.h"

#define METADATA_VERSION STR("metadata.version")
#define KRAFT_VERSION    STR("kraft.version")

static int add(struct arena *arena, struct str feature, int16_t level, struct bytes *out)
{
    struct feature_level_record r = {.name = feature, .feature_level = level};
    struct buffer value = BUFFER_INIT;
    int rc = metadata_record_append(&value, &feature_level_record_type, 0, &r);
    if (rc == 0) {
        *out = arena_bytes(arena, (struct bytes){value.data, value.size});
        rc = out->data ? 0 : ERR_NOMEM;
    }
    buffer_free(&value);
    return rc;
}

int bootstrap_records(const int16_t *levels, struct arena *arena, struct bytes **out, size_t *count)
{
    *count = 0;
    *out = arena_alloc(arena, features_supported_count * sizeof **out);
    if (!*out)
        return ERR_NOMEM;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < features_supported_count; i++) {
            const struct feature_support *f = &features_supported[i];
            int16_t level = levels ? levels[i] : f->initial;
            bool is_quorums = str_equal(f->name, KRAFT_VERSION);
            if (level <= 0 || is_quorums || str_equal(f->name, METADATA_VERSION) != (pass == 0))
                continue;
            int rc = add(arena, f->name, level, &(*out)[(*count)++]);
            if (rc)
                return rc;
        }
    }
    return 0;
}

// --- the levels: checks and words of kafka-storage, in its order ---

struct choice {
    const struct bootstrap_wishes *wishes;
    struct arena *arena;
    struct str *message;
};

static int refuse(const struct choice *c, struct str message)
{
    *c->message = message;
    return message.data ? ERR_INVALID : ERR_NOMEM;
}

#define REFUSE(c, ...) refuse(c, arena_printf((c)->arena, __VA_ARGS__))

static const struct feature_level *wish_for(const struct choice *c, struct str feature)
{
    for (size_t i = c->wishes->features_count; i > 0; i--)
        if (str_equal(c->wishes->features[i - 1].feature, feature))
            return &c->wishes->features[i - 1];
    return NULL;
}

static int refuse_release(const struct choice *c)
{
    struct buffer known = BUFFER_INIT;
    for (int32_t i = METADATA_VERSION_MINIMUM; i <= METADATA_VERSION_LATEST; i++)
        buffer_printf(&known, "%s%s", known.size ? ", " : "", metadata_version_name(i));
    int rc = REFUSE(c, "Unknown metadata.version '%.*s'. Supported metadata.version are: %.*s",
                    STR_ARG(c->wishes->release), (int)known.size, (const char *)known.data);
    buffer_free(&known);
    return rc;
}

static int choose_metadata_version(const struct choice *c, int16_t *level)
{
    const struct feature_level *wish = wish_for(c, METADATA_VERSION);
    *level = METADATA_VERSION_LATEST;
    if (c->wishes->release.data) {
        *level = metadata_version_of_release(c->wishes->release);
        if (*level == 0)
            return refuse_release(c);
        if (wish)
            return refuse(
                c, STR("Use --release-version instead of --feature metadata.version=X to avoid ambiguity."));
    } else if (wish) {
        *level = wish->level;
        if (!metadata_version_name(*level))
            return REFUSE(c,
                          "No MetadataVersion with feature level %d. Valid feature levels are from %d to %d.",
                          *level, METADATA_VERSION_MINIMUM, METADATA_VERSION_LATEST + 1);
    }
    if (*level > METADATA_VERSION_LATEST)
        return REFUSE(c, "metadata.version %s is not yet stable.", metadata_version_name(*level));
    return 0;
}

static int refuse_unknown(const struct choice *c, struct str feature)
{
    struct buffer known = BUFFER_INIT;
    for (size_t i = 0; i < features_supported_count; i++)
        if (!str_equal(features_supported[i].name, METADATA_VERSION))
            buffer_printf(&known, "%s%.*s", known.size ? ", " : "", STR_ARG(features_supported[i].name));
    int rc = REFUSE(c, "Unsupported feature: %.*s. Supported features are: %.*s", STR_ARG(feature),
                    (int)known.size, (const char *)known.data);
    buffer_free(&known);
    return rc;
}

// The first in order of those that nobody knows.
static int check_names(const struct choice *c)
{
    struct str unknown = STR_NULL;
    for (size_t i = 0; i < c->wishes->features_count; i++) {
        struct str name = c->wishes->features[i].feature;
        if (!feature_find(name) && (!unknown.data || str_compare(name, unknown) < 0))
            unknown = name;
    }
    return unknown.data ? refuse_unknown(c, unknown) : 0;
}

// The quorum's own: with voters that may change it is 1, without 0 (KIP-853).
static int choose_kraft_version(const struct choice *c, int16_t *level)
{
    const struct feature_level *wish = wish_for(c, KRAFT_VERSION);
    bool dynamic = c->wishes->dynamic_quorum;
    *level = wish ? wish->level : dynamic;
    if ((*level != 0) == dynamic)
        return 0;
    return REFUSE(
        c,
        "Cannot set kraft.version to %d %s controller.quorum.voters is empty and one of the flags "
        "--standalone or --no-initial-controllers is used. For dynamic controllers support, try %s.",
        *level, dynamic ? "if" : "unless",
        dynamic ? "removing the --feature flag for kraft.version"
                : "using one of them and removing controller.quorum.voters");
}

static int16_t level_by_default(struct str feature, int16_t metadata_version)
{
    int16_t level = 0;
    for (size_t i = 0; i < feature_steps_count; i++)
        if (str_equal(feature_steps[i].feature, feature) && feature_steps[i].since <= metadata_version)
            level = feature_steps[i].level;
    return level;
}

static int check_level(const struct choice *c, const struct feature_support *f, int16_t level,
                       int16_t metadata_version)
{
    int16_t needs = feature_needs(f->name, level);
    if (level < f->min || level > f->max)
        return REFUSE(c, "No feature:%.*s with feature level %d", STR_ARG(f->name), level);
    if (metadata_version < needs)
        return REFUSE(c, "%.*s could not be set to %d because it depends on metadata.version level %d",
                      STR_ARG(f->name), level, needs);
    return 0;
}

int bootstrap_levels(const struct bootstrap_wishes *wishes, struct arena *arena, int16_t *levels,
                     struct str *message)
{
    struct choice c = {wishes, arena, message};
    int16_t metadata_version = 0, kraft_version = 0;
    int rc = choose_metadata_version(&c, &metadata_version);
    rc = rc ? rc : check_names(&c);
    rc = rc ? rc : choose_kraft_version(&c, &kraft_version);
    for (size_t i = 0; i < features_supported_count && rc == 0; i++) {
        const struct feature_support *f = &features_supported[i];
        const struct feature_level *wish = wish_for(&c, f->name);
        levels[i] = str_equal(f->name, METADATA_VERSION) ? metadata_version
                    : str_equal(f->name, KRAFT_VERSION)  ? kraft_version
                    : wish                               ? wish->level
                                                         : level_by_default(f->name, metadata_version);
        if (!str_equal(f->name, METADATA_VERSION))
            rc = check_level(&c, f, levels[i], metadata_version);
    }
    return rc;
}
