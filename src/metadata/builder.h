// An image in the making: what image_apply works on. Private to the room.
#ifndef METADATA_BUILDER_H
#define METADATA_BUILDER_H

#include "base/arena.h"
#include "base/map.h"
#include "metadata/image_parts.h"
#include "protocol/messages.h"

// A topic or a resource that this application has touched. `after` belongs to the new image (a reference is
// held), NULL once it is deleted.
struct topic_edit {
    struct uuid id;
    struct image_topic *before, *after; // references
};

struct config_edit {
    struct image_config *before; // a reference; what is there now is in the new image
    struct image_config_key key; // name in `memory`
};

struct image_builder {
    const struct image *before;
    struct image *image;  // the new one; nobody else has it
    struct arena decoded; // of the record at hand
    struct arena memory;  // of the whole application
    struct map topics;    // by the 16 bytes of the id, of struct topic_edit
    struct map configs;   // by type and name, of struct config_edit
    bool brokers, controllers, features, producer_ids, quotas, scram, kept;
    struct buffer *why; // may be NULL
    const struct image_record *record;
    struct bytes value; // of the record, frame and all
    int16_t type, version;
};

// Says what is wrong with the record at hand; returns `code`.
int builder_fail(struct image_builder *b, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Each applies one decoded record. 0 or an error that builder_fail has explained (or ERR_NOMEM).
int apply_topic(struct image_builder *b, const void *message);
int apply_partition(struct image_builder *b, const void *message);
int apply_partition_change(struct image_builder *b, const void *message);
int apply_remove_topic(struct image_builder *b, const void *message);
int apply_clear_elr(struct image_builder *b, const void *message);
int apply_config(struct image_builder *b, const void *message);
// Deletes the settings of a topic that is removed.
int apply_remove_config(struct image_builder *b, int8_t type, struct str name);
// Looks for holes in the partitions of the topics that were touched.
int apply_check_topics(struct image_builder *b);

int apply_register_broker(struct image_builder *b, const void *message);
int apply_unregister_broker(struct image_builder *b, const void *message);
int apply_broker_change(struct image_builder *b, const void *message);
int apply_fence_broker(struct image_builder *b, const void *message);
int apply_unfence_broker(struct image_builder *b, const void *message);
int apply_register_controller(struct image_builder *b, const void *message);

int apply_quota(struct image_builder *b, const void *message);
int apply_scram(struct image_builder *b, const void *message);
int apply_remove_scram(struct image_builder *b, const void *message);

// Records that are kept as they came.
int apply_acl(struct image_builder *b, const void *message);
int apply_remove_acl(struct image_builder *b, const void *message);
int apply_token(struct image_builder *b, const void *message);
int apply_remove_token(struct image_builder *b, const void *message);

#endif
