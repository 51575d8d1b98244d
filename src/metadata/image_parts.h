// The parts of an image: made whole, in one piece of memory each, counted, never changed afterwards. Private
// to the room. Every *_new copies what `values` shows (refs is ignored) and returns one reference, or NULL.
#ifndef METADATA_IMAGE_PARTS_H
#define METADATA_IMAGE_PARTS_H

#include "metadata/image.h"

struct image_partition *image_partition_new(const struct image_partition *values);
struct image_broker *image_broker_new(const struct image_broker *values);
struct image_controller *image_controller_new(const struct image_controller *values);
struct image_config *image_config_new(const struct image_config *values);
struct image_quota *image_quota_new(const struct image_quota *values); // finds out kinds and limits
struct image_scram *image_scram_new(const struct image_scram *values);
struct image_kept *image_kept_new(const struct image_kept *values);

// A topic without partitions; and a copy that shares the partitions.
struct image_topic *image_topic_new(struct str name, const struct uuid *id);
struct image_topic *image_topic_copy(const struct image_topic *topic);

void image_partition_unref(struct image_partition *p);
void image_broker_unref(struct image_broker *b);
void image_controller_unref(struct image_controller *c);
void image_topic_unref(struct image_topic *t);
void image_config_unref(struct image_config *c);

// Any part begins with its count.
static inline void image_part_ref(void *part)
{
    atomic_fetch_add_explicit((atomic_uint *)part, 1, memory_order_relaxed);
}

extern const struct hamt_ops image_topics_by_name_ops, image_topics_by_id_ops, image_configs_ops,
    image_quotas_ops, image_scram_ops, image_kept_ops;

// Whether two names (struct str) differ at most in '.' and '_'. Of such the hashes of
// image_topics_by_name_ops have so many lower bits in common.
#define IMAGE_NAME_ALIKE_BITS 40
bool image_topic_name_alike(const void *a, const void *b);

// A copy of the image whose tables may be changed by its only holder. NULL: out of memory.
struct image *image_copy(const struct image *image);

#endif
