#include "metadata/features.h"
#include "metadata/image.h"
#include "server/broker.h"
#include "server/handlers/api_versions.h"
#include "server/handlers/handlers.h"
#include "server/quorum.h"

static const struct api_handler *const served[] = {
#define SERVED(api) &api##_handler,
#include "server/handlers/served.h"
#undef SERVED
};

// Each of them once: two of a name do not compile.
enum {
#define SERVED(api) SERVED_##api,
#include "server/handlers/served.h"
#undef SERVED
};

static int16_t finalized_level(const struct broker *b, const struct image *image, struct str name)
{
    if (str_is(name, "metadata.version"))
        return (int16_t)image->metadata_version;
    if (!str_is(name, "kraft.version"))
        return image_feature_level(image, name);
    struct quorum_status status; // the quorum's own: it is no record of the image
    quorum_status(b->quorum, &status);
    return status.kraft_version;
}

static void features(const struct request *r, struct features *out)
{
    const struct image *image = image_current();
    struct feature *items =
        arena_zalloc((struct arena *)(uintptr_t)&r->arena, features_supported_count, sizeof *items);
    if (!items)
        return;
    for (size_t i = 0; i < features_supported_count; i++) {
        const struct feature_support *f = &features_supported[i];
        items[i] = (struct feature){f->name, f->min, f->max, finalized_level(broker_of(r), image, f->name)};
    }
    *out = (struct features){
        .items = items, .count = features_supported_count, .finalized_epoch = image->offset};
}

void handlers_register(struct api_table *apis)
{
    apis->features = features;
    for (size_t i = 0; i < sizeof served / sizeof *served; i++)
        api_table_add(apis, served[i]);
}
