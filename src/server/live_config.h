// What the settings are now: server.properties under what IncrementalAlterConfigs changed, of this broker and
// of the whole cluster. A change of the metadata makes a new, immutable snapshot and takes effect at once,
// before whoever asked for the change is answered.
//
// A reader of a setting that may change at run time does one of three things:
//   - a registered thread (reactors, the controller; base/qsbr.h) reads broker_config_now(broker)->field when
//     it needs the value, and keeps the pointer no longer than its turn;
//   - a part with threads or state of its own is told: give it a function in `followers` (live_config.c),
//   which
//     runs once at the start and on each change, with the configuration before and after;
//   - a topic's settings come with their defaults resolved in struct log_config (log_get_config): the replica
//     manager gives every log its new one.
#ifndef SERVER_LIVE_CONFIG_H
#define SERVER_LIVE_CONFIG_H

#include "metadata/image.h"
#include "server/broker.h"

struct live_config {
    struct broker_config config;
    struct log_config topic_defaults; // of a topic that sets nothing
};

// One atomic load. Registered threads; valid until their next quiescent point.
static inline const struct broker_config *broker_config_now(const struct broker *b)
{
    return &atomic_load_explicit(&((struct broker *)b)->live, memory_order_acquire)->config;
}

// The first snapshot, from the image that the start has loaded. 0 or ERR_NOMEM.
int live_config_start(struct broker *b, const struct image *image);

// Follows a change of the metadata; before it is published, on the controller's thread. Whether the defaults
// of topics have changed.
bool live_config_follow(struct broker *b, const struct image_changes *changes);

// The settings of a topic as the image has them, over the broker's. Registered threads, or while one of them
// waits for the caller within its turn.
void live_config_of_topic(const struct broker *b, const struct image *image, struct str topic,
                          struct log_config *out);

// Frees the snapshot; no reader is left.
void live_config_stop(struct broker *b);

#endif
