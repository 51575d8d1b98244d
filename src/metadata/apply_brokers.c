// Registrations of brokers and controllers.
#include "metadata/builder.h"

#include <stdlib.h>

// The place of the broker in the sorted list, or where it would go.
static uint32_t broker_at(const struct image *image, int32_t id, bool *there)
{
    uint32_t at = 0;
    while (at < image->brokers_count && image->brokers[at]->id < id)
        at++;
    *there = at < image->brokers_count && image->brokers[at]->id == id;
    return at;
}

// Adds the broker or replaces the one of its id.
static int put_broker(struct image_builder *b, const struct image_broker *values)
{
    struct image *image = b->image;
    struct image_broker *broker = image_broker_new(values);
    if (!broker)
        return ERR_NOMEM;
    b->brokers = true;
    bool there;
    uint32_t at = broker_at(image, values->id, &there);
    if (there) {
        image_broker_unref(image->brokers[at]);
        image->brokers[at] = broker;
        return 0;
    }
    struct image_broker **grown = realloc(image->brokers, (image->brokers_count + 1) * sizeof(void *));
    if (!grown) {
        image_broker_unref(broker);
        return ERR_NOMEM;
    }
    memmove(&grown[at + 1], &grown[at], (image->brokers_count - at) * sizeof(void *));
    grown[at] = broker;
    image->brokers = grown;
    image->brokers_count++;
    return 0;
}

static int compare_uuids(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct uuid));
}

// Sorted, as they are compared and searched.
static void take_uuids(struct uuid **out, uint32_t *out_count, struct uuid *ids, int32_t count)
{
    if (count > 1)
        qsort(ids, (size_t)count, sizeof *ids, compare_uuids);
    *out = ids;
    *out_count = count > 0 ? (uint32_t)count : 0;
}

int apply_register_broker(struct image_builder *b, const void *message)
{
    const struct register_broker_record *r = message;
    uint32_t endpoints = (uint32_t)r->end_points_count, features = (uint32_t)r->features_count;
    struct image_broker values = {.id = r->broker_id,
                                  .epoch = r->broker_epoch,
                                  .incarnation_id = r->incarnation_id,
                                  .fenced = r->fenced,
                                  .in_controlled_shutdown = r->in_controlled_shutdown,
                                  .is_migrating_zk_broker = r->is_migrating_zk_broker,
                                  .rack = r->rack,
                                  .endpoints_count = endpoints,
                                  .features_count = features,
                                  .has_cordoned_log_dirs = r->cordoned_log_dirs_count >= 0};
    values.endpoints = arena_alloc(&b->decoded, (endpoints + 1) * sizeof *values.endpoints);
    values.features = arena_alloc(&b->decoded, (features + 1) * sizeof *values.features);
    if (!values.endpoints || !values.features)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < endpoints; i++)
        values.endpoints[i] =
            (struct image_endpoint){r->end_points[i].name, r->end_points[i].host, r->end_points[i].port,
                                    r->end_points[i].security_protocol};
    for (uint32_t i = 0; i < features; i++)
        values.features[i] = (struct image_feature_range){
            r->features[i].name, r->features[i].min_supported_version, r->features[i].max_supported_version};
    take_uuids(&values.log_dirs, &values.log_dirs_count, r->log_dirs, r->log_dirs_count);
    take_uuids(&values.cordoned_log_dirs, &values.cordoned_log_dirs_count, r->cordoned_log_dirs,
               r->cordoned_log_dirs_count);
    return put_broker(b, &values);
}

// A copy of the broker's values to change, or an error when it is not registered with this epoch.
static int broker_values(struct image_builder *b, int32_t id, int64_t epoch, struct image_broker *values)
{
    const struct image_broker *broker = image_broker(b->image, id);
    if (!broker)
        return builder_fail(b, ERR_CORRUPT, "broker %d is not registered", id);
    if (broker->epoch != epoch)
        return builder_fail(b, ERR_CORRUPT, "broker %d has epoch %lld, not %lld", id,
                            (long long)broker->epoch, (long long)epoch);
    memcpy(values, broker, sizeof *values);
    return 0;
}

int apply_unregister_broker(struct image_builder *b, const void *message)
{
    const struct unregister_broker_record *r = message;
    struct image *image = b->image;
    struct image_broker values;
    int rc = broker_values(b, r->broker_id, r->broker_epoch, &values);
    if (rc)
        return rc;
    bool there;
    uint32_t at = broker_at(image, r->broker_id, &there);
    image_broker_unref(image->brokers[at]);
    image->brokers_count--;
    memmove(&image->brokers[at], &image->brokers[at + 1], (image->brokers_count - at) * sizeof(void *));
    b->brokers = true;
    return 0;
}

int apply_broker_change(struct image_builder *b, const void *message)
{
    const struct broker_registration_change_record *r = message;
    struct image_broker values;
    int rc = broker_values(b, r->broker_id, r->broker_epoch, &values);
    if (rc)
        return rc;
    if (r->fenced < -1 || r->fenced > 1 || r->in_controlled_shutdown < 0 || r->in_controlled_shutdown > 1)
        return builder_fail(b, ERR_CORRUPT, "fenced %d, inControlledShutdown %d", r->fenced,
                            r->in_controlled_shutdown);
    if (r->fenced)
        values.fenced = r->fenced > 0;
    if (r->in_controlled_shutdown)
        values.in_controlled_shutdown = true;
    if (r->log_dirs_count > 0)
        take_uuids(&values.log_dirs, &values.log_dirs_count, r->log_dirs, r->log_dirs_count);
    if (r->cordoned_log_dirs_count >= 0) {
        values.has_cordoned_log_dirs = true;
        take_uuids(&values.cordoned_log_dirs, &values.cordoned_log_dirs_count, r->cordoned_log_dirs,
                   r->cordoned_log_dirs_count);
    }
    return put_broker(b, &values);
}

static int set_fenced(struct image_builder *b, int32_t id, int64_t epoch, bool fenced)
{
    struct image_broker values;
    int rc = broker_values(b, id, epoch, &values);
    if (rc)
        return rc;
    values.fenced = fenced;
    return put_broker(b, &values);
}

int apply_fence_broker(struct image_builder *b, const void *message)
{
    const struct fence_broker_record *r = message;
    return set_fenced(b, r->id, r->epoch, true);
}

int apply_unfence_broker(struct image_builder *b, const void *message)
{
    const struct unfence_broker_record *r = message;
    return set_fenced(b, r->id, r->epoch, false);
}

int apply_register_controller(struct image_builder *b, const void *message)
{
    const struct register_controller_record *r = message;
    struct image *image = b->image;
    uint32_t endpoints = (uint32_t)r->end_points_count, features = (uint32_t)r->features_count, at = 0;
    struct image_controller values = {.id = r->controller_id,
                                      .incarnation_id = r->incarnation_id,
                                      .zk_migration_ready = r->zk_migration_ready,
                                      .endpoints_count = endpoints,
                                      .features_count = features};
    values.endpoints = arena_alloc(&b->decoded, (endpoints + 1) * sizeof *values.endpoints);
    values.features = arena_alloc(&b->decoded, (features + 1) * sizeof *values.features);
    if (!values.endpoints || !values.features)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < endpoints; i++)
        values.endpoints[i] =
            (struct image_endpoint){r->end_points[i].name, r->end_points[i].host, r->end_points[i].port,
                                    r->end_points[i].security_protocol};
    for (uint32_t i = 0; i < features; i++)
        values.features[i] = (struct image_feature_range){
            r->features[i].name, r->features[i].min_supported_version, r->features[i].max_supported_version};
    struct image_controller **grown =
        realloc(image->controllers, (image->controllers_count + 1) * sizeof(void *));
    if (!grown)
        return ERR_NOMEM;
    image->controllers = grown;
    struct image_controller *controller = image_controller_new(&values);
    if (!controller)
        return ERR_NOMEM;
    b->controllers = true;
    while (at < image->controllers_count && grown[at]->id < values.id)
        at++;
    if (at < image->controllers_count && grown[at]->id == values.id) {
        image_controller_unref(grown[at]);
    } else {
        memmove(&grown[at + 1], &grown[at], (image->controllers_count - at) * sizeof(void *));
        image->controllers_count++;
    }
    grown[at] = controller;
    return 0;
}
