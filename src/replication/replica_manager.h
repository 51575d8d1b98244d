// All partitions that this broker hosts, by topic id and number. It follows the metadata: a new topic's logs
// are made before the image that names it is published, a deleted topic's are renamed away and removed in the
// background.
#ifndef REPLICATION_REPLICA_MANAGER_H
#define REPLICATION_REPLICA_MANAGER_H

#include "metadata/image.h"
#include "replication/partition.h"
#include "storage/log_manager.h"

struct replica_manager;

struct replica_manager_params {
    int32_t broker_id;
    struct log_manager *logs; // outlives the replica manager
    // The settings of a topic as the image has them, over the broker's defaults.
    void (*config_of)(void *arg, const struct image *image, struct str topic, struct log_config *out);
    // Something came up for replica_manager_misplaced. By whoever applies changes; it must only post. May be
    // NULL.
    void (*want_settling)(void *arg);
    void *arg;
};

// NULL when out of memory.
struct replica_manager *replica_manager_new(const struct replica_manager_params *params);

// Closes every partition (waiters are woken) and frees; the logs stay the log manager's. No request runs any
// more.
void replica_manager_free(struct replica_manager *m);

// At start: hosts every partition that the image assigns to this broker, over the logs that were loaded; a
// log that the image does not know is set aside as a stray. Returns the first error; the rest is hosted all
// the same.
int replica_manager_load(struct replica_manager *m, const struct image *image);

// Follows a change of the metadata; defaults_changed: the settings of every topic are looked at anew. On the
// controller's thread, before the new image is published.
void replica_manager_apply(struct replica_manager *m, const struct image_changes *changes,
                           bool defaults_changed);

// Hosts what could not be hosted before for want of room or memory. Where nothing is missing it costs
// nothing. By whoever may apply changes.
void replica_manager_try_again(struct replica_manager *m, const struct image *image);

struct replica_place {
    struct uuid topic_id;
    int32_t partition;
    struct uuid directory_id; // that its log lies in, or DIRECTORY_LOST
};

// Calls fn for every partition whose log lies in another directory than the metadata says, which the
// controller is to be told (KIP-858). So is one whose log is in none while one is off line, though the
// metadata has it where it could be reached. False, at no cost, when nothing of the kind has come up since
// the last call. By whoever may apply changes.
bool replica_manager_misplaced(struct replica_manager *m,
                               void (*fn)(void *arg, const struct replica_place *place), void *arg);

// The controller could not be told: it is to be tried again. Any thread.
void replica_manager_place_again(struct replica_manager *m);

// A log directory has failed: whoever waits for one of its partitions is woken, and told. Any thread.
void replica_manager_directory_failed(struct replica_manager *m);

// The partition with a reference that the caller gives back (partition_unref), or NULL when it is not hosted
// here. Any thread.
struct partition *replica_manager_get(struct replica_manager *m, const struct uuid *topic_id,
                                      int32_t partition);

// The partition of a topic of the image. *error says why there is none: E_UNKNOWN_TOPIC_OR_PARTITION when the
// image does not have it, or its end is being followed, E_KAFKA_STORAGE_ERROR when its log is offline, else
// E_NOT_LEADER_OR_FOLLOWER.
struct partition *replica_manager_find(struct replica_manager *m, const struct image_topic *topic,
                                       int32_t partition, int16_t *error);

// Calls fn for every partition that is hosted here, under the lock for readers: it must not call back. Any
// thread.
void replica_manager_visit(struct replica_manager *m, void (*fn)(void *arg, struct partition *p), void *arg);

size_t replica_manager_count(struct replica_manager *m);

#endif
