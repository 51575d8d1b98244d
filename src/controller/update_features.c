// UpdateFeatures (KIP-584, KIP-778): other finalized levels, all of them or none.
#include "base/error.h"
#include "base/java_order.h"
#include "base/map.h"
#include "controller/controller_internal.h"
#include "metadata/features.h"

#define METADATA_VERSION STR("metadata.version")
#define KRAFT_VERSION    STR("kraft.version")
#define ELR_VERSION      STR("eligible.leader.replicas.version")
#define FAILED           "The update failed for all features since the following feature had an error: "

enum upgrade_type { UPGRADE = 1, SAFE_DOWNGRADE, UNSAFE_DOWNGRADE };

struct feature_change {
    struct step *step;
    struct arena *arena;
    const struct update_features_request_feature_update_key *wish;
    int8_t type;
    int16_t current;
    int32_t metadata_version; // as it is to be
};

// From which metadata.version on the metadata is another one, so that nobody goes back behind it.
static const int32_t metadata_changes[] = {8, 11, 13, 14, 15, 17, 23, 30};

// "Invalid update version 3 for feature x. <reason>".
static struct str invalid(const struct feature_change *c, struct str reason)
{
    return arena_printf(c->arena, FAILED "Invalid update version %d for feature %.*s. %.*s",
                        c->wish->max_version_level, STR_ARG(c->wish->feature), STR_ARG(reason));
}

// Why a node does not support the level, or a null view. No range: it does not know the feature.
static struct str unsupported(const struct feature_change *c, const char *kind, int32_t id, bool known,
                              int16_t min, int16_t max)
{
    int16_t level = c->wish->max_version_level;
    if (!known || max == 0)
        return level == 0 ? STR_NULL
                          : arena_printf(c->arena, "%s %d does not support this feature.", kind, id);
    if (level >= min && level <= max)
        return STR_NULL;
    if (min == max)
        return arena_printf(c->arena, "%s %d only supports versions %d", kind, id, min);
    return arena_printf(c->arena, "%s %d only supports versions %d-%d", kind, id, min, max);
}

static struct str unsupported_by(const struct feature_change *c, const char *kind, int32_t id,
                                 const struct image_feature_range *ranges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_equal(ranges[i].name, c->wish->feature))
            return unsupported(c, kind, id, true, ranges[i].min, ranges[i].max);
    return unsupported(c, kind, id, false, 0, 0);
}

// This controller first, then every broker, then the other controllers.
static struct str unsupported_somewhere(const struct feature_change *c)
{
    const struct image *image = c->step->c->image;
    int32_t self = c->step->c->config.config->node_id;
    const struct feature_support *own = feature_find(c->wish->feature);
    struct str reason =
        unsupported(c, "Local controller", self, own != NULL, own ? own->min : 0, own ? own->max : 0);
    for (uint32_t i = 0; !reason.data && i < image->brokers_count; i++)
        reason = unsupported_by(c, "Broker", image->brokers[i]->id, image->brokers[i]->features,
                                image->brokers[i]->features_count);
    for (uint32_t i = 0; !reason.data && i < image->controllers_count; i++)
        if (image->controllers[i]->id != self)
            reason = unsupported_by(c, "Controller", image->controllers[i]->id,
                                    image->controllers[i]->features, image->controllers[i]->features_count);
    if (!reason.data && !own)
        return arena_printf(c->arena, "Feature %.*s not found.", STR_ARG(c->wish->feature));
    return reason;
}

static bool metadata_differs(int32_t low, int32_t high)
{
    for (size_t i = 0; i < sizeof metadata_changes / sizeof *metadata_changes; i++)
        if (metadata_changes[i] > low && metadata_changes[i] <= high)
            return true;
    return false;
}

static struct str check_metadata_version(const struct feature_change *c)
{
    int16_t level = c->wish->max_version_level;
    if (level >= c->current || !metadata_differs(level, c->current))
        return STR_NULL;
    return arena_printf(
        c->arena, FAILED "Unsupported metadata.version downgrade from %d to %d. %s", c->current, level,
        c->type == UNSAFE_DOWNGRADE
            ? "Unsafe metadata downgrade is not supported in this version."
            : "Refusing to perform the requested downgrade because it might delete metadata information.");
}

static struct str check_dependencies(const struct feature_change *c)
{
    int16_t level = c->wish->max_version_level;
    int32_t metadata_version = c->metadata_version;
    if (level >= 1 && metadata_version < METADATA_VERSION_MINIMUM)
        return invalid(c,
                       arena_printf(c->arena,
                                    "%.*s could not be set to %d because it depends on metadata.version=%d "
                                    "(%s)",
                                    STR_ARG(c->wish->feature), level, METADATA_VERSION_MINIMUM,
                                    metadata_version_name(METADATA_VERSION_MINIMUM)));
    int16_t needs = feature_needs(c->wish->feature, level);
    if (metadata_version >= needs)
        return STR_NULL;
    return invalid(c, arena_printf(c->arena,
                                   "%.*s could not be set to %d because it depends on metadata.version level "
                                   "%d",
                                   STR_ARG(c->wish->feature), level, needs));
}

// The quorum itself takes this one up (KIP-853): static voters become dynamic ones, and stay so.
static struct str check_kraft_version(const struct feature_change *c)
{
    return c->wish->max_version_level < c->current
               ? invalid(c, STR("Can't downgrade the version of this feature."))
               : STR_NULL;
}

// Kafka's text for what is wrong, or a null view.
static struct str check(const struct feature_change *c)
{
    int16_t level = c->wish->max_version_level;
    if (c->type < UPGRADE || c->type > UNSAFE_DOWNGRADE)
        return invalid(c, STR("The controller does not support the given upgrade type."));
    if (level < 0)
        return invalid(c, STR("A feature version cannot be less than 0."));
    struct str reason = unsupported_somewhere(c);
    if (reason.data)
        return invalid(c, reason);
    if (level < c->current && c->type == UPGRADE)
        return invalid(c,
                       STR("Can't downgrade the version of this feature without setting the upgrade type to "
                           "either safe or unsafe downgrade."));
    if (level > c->current && c->type != UPGRADE)
        return invalid(c, STR("Can't downgrade to a newer version."));
    if (str_equal(c->wish->feature, METADATA_VERSION))
        return check_metadata_version(c);
    if (str_equal(c->wish->feature, KRAFT_VERSION))
        return check_kraft_version(c);
    return check_dependencies(c);
}

static int16_t current_level(const struct step *s, struct str feature)
{
    if (str_equal(feature, METADATA_VERSION))
        return (int16_t)s->c->image->metadata_version;
    if (str_equal(feature, KRAFT_VERSION))
        return s->c->config.kraft_version;
    return image_feature_level(s->c->image, feature);
}

static int name_results(struct step *s, const struct update_features_request *q,
                        struct update_features_response *response)
{
    response->results =
        update_features_response_updatable_feature_result_new(&s->event->arena, q->feature_updates_count);
    if (!response->results)
        return ERR_NOMEM;
    response->results_count = q->feature_updates_count;
    for (int32_t i = 0; i < q->feature_updates_count; i++) {
        response->results[i].feature = q->feature_updates[i].feature;
        response->results[i].error_message = STR("NONE");
    }
    return 0;
}

// The updates as Kafka goes through them: a hash table's, where the last one of a name counts.
struct updates {
    const struct update_features_request_feature_update_key **wishes;
    int32_t count;
};

static int collect(struct step *s, struct updates *u)
{
    const struct update_features_request *q = s->event->request;
    struct arena *arena = &s->event->arena;
    size_t most = (size_t)q->feature_updates_count + 1, *order;
    const struct update_features_request_feature_update_key **last =
        arena_zalloc(arena, most, sizeof(void *));
    struct str *names = arena_zalloc(arena, most, sizeof *names);
    u->wishes = arena_zalloc(arena, most, sizeof(void *));
    if (!last || !names || !u->wishes)
        return ERR_NOMEM;
    struct map places = MAP_INIT;
    int rc = 0;
    for (int32_t i = 0; rc == 0 && i < q->feature_updates_count; i++) {
        struct str name = q->feature_updates[i].feature;
        struct str *place = map_get(&places, name);
        if (!place) {
            place = &names[u->count++];
            *place = name;
            rc = map_put(&places, name, place);
        }
        last[place - names] = &q->feature_updates[i];
    }
    map_free(&places);
    if (rc || java_map_order(names, (size_t)u->count, 0, arena, &order))
        return ERR_NOMEM;
    for (int32_t i = 0; i < u->count; i++)
        u->wishes[i] = last[order[i]];
    return 0;
}

// Checks the updates, or emits their records. 1: refused.
static int go_through(struct step *s, const struct updates *u, bool emit)
{
    struct update_features_response *response = s->event->response;
    int32_t metadata_version = s->c->image->metadata_version;
    for (int32_t i = 0; i < u->count; i++)
        if (str_equal(u->wishes[i]->feature, METADATA_VERSION))
            metadata_version = u->wishes[i]->max_version_level;
    for (int32_t i = 0; i < u->count; i++) {
        const struct update_features_request_feature_update_key *wish = u->wishes[i];
        struct feature_change c = {.step = s,
                                   .arena = &s->event->arena,
                                   .wish = wish,
                                   .type = wish->upgrade_type,
                                   .current = current_level(s, wish->feature),
                                   .metadata_version = metadata_version};
        struct feature_level_record r = {.name = wish->feature, .feature_level = wish->max_version_level};
        if (emit && str_equal(wish->feature, KRAFT_VERSION))
            s->effects->kraft_version = wish->max_version_level;
        else if (emit)
            step_emit(s, &feature_level_record_type, 0, &r);
        if (emit && str_equal(wish->feature, ELR_VERSION) && c.current < 1 && wish->max_version_level >= 1)
            min_isr_becomes_clusters(s);
        struct str problem = emit ? STR_NULL : check(&c);
        if (!problem.data)
            continue;
        response->error_code = E_INVALID_UPDATE_VERSION;
        response->error_message = problem;
        return 1;
    }
    return 0;
}

int on_update_features(struct step *s)
{
    const struct update_features_request *q = s->event->request;
    struct update_features_response *response = step_respond(s, &update_features_response_type);
    struct updates updates = {0};
    int rc = response ? collect(s, &updates) : ERR_NOMEM;
    if (rc == 0) {
        response->error_message = STR_NULL;
        rc = go_through(s, &updates, false); // all of them before anything is changed
    }
    if (rc == 0 && !q->validate_only)
        rc = go_through(s, &updates, true);
    if (rc)
        return rc < 0 ? rc : 0;
    return s->event->version <= 1 ? name_results(s, q, response) : 0;
}
