#include "metadata/image.h"

#include "base/error.h"
#include "base/logger.h"
#include "base/qsbr.h"
#include "metadata/image_parts.h"

#include <assert.h>
#include <stdlib.h>

const struct uuid DIRECTORY_MIGRATING = {{0}};
const struct uuid DIRECTORY_UNASSIGNED = {{[15] = 1}};
const struct uuid DIRECTORY_LOST = {{[15] = 2}};

static _Atomic(struct image *) current;

const struct image *image_current(void)
{
    return atomic_load(&current);
}

static void release_image(void *thing)
{
    image_unref(thing);
}

void image_publish(struct image *image)
{
    struct image *old = atomic_exchange(&current, image);
    if (old && qsbr_retire(release_image, old))
        log_error("metadata", "out of memory: the image at offset %lld is never freed",
                  (long long)old->offset);
}

struct image *image_new(void)
{
    struct image *image = calloc(1, sizeof *image);
    if (!image)
        return NULL;
    atomic_init(&image->refs, 1);
    image->offset = -1;
    image->next_producer_id = -1;
    image->topics_by_name = hamt_empty(&image_topics_by_name_ops);
    image->topics_by_id = hamt_empty(&image_topics_by_id_ops);
    image->configs = hamt_empty(&image_configs_ops);
    image->quotas = hamt_empty(&image_quotas_ops);
    image->scram = hamt_empty(&image_scram_ops);
    image->kept = hamt_empty(&image_kept_ops);
    return image;
}

// A copy of an array of counted parts.
static int copy_parts(void *to, void *const *from, uint32_t count)
{
    void **copy = count ? malloc(count * sizeof(void *)) : NULL;
    if (count && !copy)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        copy[i] = from[i];
        image_part_ref(copy[i]);
    }
    memcpy(to, &copy, sizeof copy);
    return 0;
}

static int copy_features(struct image *to, const struct image *from)
{
    if (!from->features_count)
        return 0;
    to->features = malloc(from->features_count * sizeof *to->features);
    if (!to->features)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < from->features_count; i++) {
        struct str name = from->features[i].name;
        char *text = malloc(name.size + 1);
        if (!text)
            return ERR_NOMEM;
        memcpy(text, name.data, name.size);
        to->features[i] = (struct image_feature){{text, name.size}, from->features[i].level};
        to->features_count = i + 1;
    }
    return 0;
}

struct image *image_copy(const struct image *image)
{
    struct image *copy = malloc(sizeof *copy);
    if (!copy)
        return NULL;
    *copy = *image;
    atomic_init(&copy->refs, 1);
    copy->topics_by_name = hamt_share(&image->topics_by_name);
    copy->topics_by_id = hamt_share(&image->topics_by_id);
    copy->configs = hamt_share(&image->configs);
    copy->quotas = hamt_share(&image->quotas);
    copy->scram = hamt_share(&image->scram);
    copy->kept = hamt_share(&image->kept);
    copy->brokers = NULL;
    copy->controllers = NULL;
    copy->features = NULL;
    copy->brokers_count = copy->controllers_count = copy->features_count = 0;
    if (copy_parts(&copy->brokers, (void *const *)image->brokers, image->brokers_count) == 0)
        copy->brokers_count = image->brokers_count;
    if (copy_parts(&copy->controllers, (void *const *)image->controllers, image->controllers_count) == 0)
        copy->controllers_count = image->controllers_count;
    if (copy->brokers_count != image->brokers_count || copy->controllers_count != image->controllers_count ||
        copy_features(copy, image)) {
        image_unref(copy);
        return NULL;
    }
    return copy;
}

struct image *image_ref(const struct image *image)
{
    struct image *i = (struct image *)(uintptr_t)image; // the count is the one thing that changes
    image_part_ref(i);
    return i;
}

void image_unref(const struct image *image)
{
    struct image *i = (struct image *)(uintptr_t)image;
    if (!i || atomic_fetch_sub_explicit(&i->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t b = 0; b < i->brokers_count; b++)
        image_broker_unref(i->brokers[b]);
    for (uint32_t c = 0; c < i->controllers_count; c++)
        image_controller_unref(i->controllers[c]);
    for (uint32_t f = 0; f < i->features_count; f++)
        free((void *)(uintptr_t)i->features[f].name.data);
    free(i->brokers);
    free(i->controllers);
    free(i->features);
    hamt_release(&i->topics_by_name);
    hamt_release(&i->topics_by_id);
    hamt_release(&i->configs);
    hamt_release(&i->quotas);
    hamt_release(&i->scram);
    hamt_release(&i->kept);
    free(i);
}

const struct image_topic *image_topic(const struct image *image, struct str name)
{
    return hamt_get(&image->topics_by_name, &name);
}

const struct image_topic *image_topic_alike(const struct image *image, struct str name)
{
    return hamt_find(&image->topics_by_name, &name, IMAGE_NAME_ALIKE_BITS, image_topic_name_alike);
}

const struct image_topic *image_topic_by_id(const struct image *image, const struct uuid *id)
{
    return hamt_get(&image->topics_by_id, id);
}

const struct image_partition *image_partition(const struct image_topic *topic, int32_t partition)
{
    bool there = topic && partition >= 0 && (uint32_t)partition < topic->partitions_count;
    return there ? topic->partitions[partition] : NULL;
}

const struct image_broker *image_broker(const struct image *image, int32_t id)
{
    uint32_t low = 0, high = image->brokers_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (image->brokers[middle]->id == id)
            return image->brokers[middle];
        if (image->brokers[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

bool image_directory_online(const struct image_broker *broker, const struct uuid *directory)
{
    if (uuid_equal(directory, &DIRECTORY_UNASSIGNED) || uuid_equal(directory, &DIRECTORY_MIGRATING))
        return true;
    if (uuid_equal(directory, &DIRECTORY_LOST))
        return false;
    for (uint32_t i = 0; i < broker->log_dirs_count; i++)
        if (uuid_equal(&broker->log_dirs[i], directory))
            return true;
    return broker->log_dirs_count == 0; // registered before there were directories
}

bool image_replica_reachable(const struct image *image, const struct image_partition *p, int32_t broker)
{
    const struct image_broker *b = image_broker(image, broker);
    for (uint32_t i = 0; b && i < p->replicas_count; i++)
        if (p->replicas[i] == broker)
            return image_directory_online(b, &p->directories[i]);
    return b != NULL;
}

const struct image_controller *image_controller(const struct image *image, int32_t id)
{
    for (uint32_t i = 0; i < image->controllers_count; i++)
        if (image->controllers[i]->id == id)
            return image->controllers[i];
    return NULL;
}

const struct image_endpoint *image_broker_endpoint(const struct image_broker *broker, struct str listener)
{
    for (uint32_t i = 0; i < broker->endpoints_count; i++)
        if (str_equal(broker->endpoints[i].name, listener))
            return &broker->endpoints[i];
    return NULL;
}

const struct image_config *image_config(const struct image *image, int8_t type, struct str name)
{
    return hamt_get(&image->configs, &(struct image_config_key){type, name});
}

struct str image_config_value(const struct image_config *config, struct str name)
{
    for (uint32_t i = 0; config && i < config->entries_count; i++)
        if (str_equal(config->entries[i].name, name))
            return config->entries[i].value;
    return STR_NULL;
}

const struct image_quota *image_quota(const struct image *image, const struct image_quota_entity *entity)
{
    return hamt_get(&image->quotas, entity);
}

static int by_turn(const void *a, const void *b)
{
    const struct image_quota *x = *(const struct image_quota *const *)a,
                             *y = *(const struct image_quota *const *)b;
    return (x->turn > y->turn) - (x->turn < y->turn);
}

const struct image_quota **image_quotas_in_turn(const struct image *image, struct arena *arena)
{
    size_t count = 0;
    const struct image_quota **all = arena_zalloc(arena, image->quotas.count + 1, sizeof *all);
    struct hamt_walk walk = hamt_walk(&image->quotas);
    for (const struct image_quota *quota; all && (quota = hamt_next(&walk));)
        all[count++] = quota;
    if (all)
        qsort(all, count, sizeof *all, by_turn);
    return all;
}

const struct image_scram *image_scram(const struct image *image, int8_t mechanism, struct str user)
{
    return hamt_get(&image->scram, &(struct image_scram_key){mechanism, user});
}

int16_t image_feature_level(const struct image *image, struct str name)
{
    for (uint32_t i = 0; i < image->features_count; i++)
        if (str_equal(image->features[i].name, name))
            return image->features[i].level;
    return 0;
}

void image_changes_free(struct image_changes *changes)
{
    free(changes->topics);
    free(changes->configs);
    *changes = (struct image_changes){0};
}
