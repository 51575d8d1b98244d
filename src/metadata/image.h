// The metadata image: what the records of __cluster_metadata say, as one immutable, structurally shared
// value.
//
// Reading. A registered thread (base/qsbr.h) takes image_current() and may use it and everything reachable
// from it until its next quiescent point (its turn of the loop); nothing may be kept longer. Whoever needs
// more takes image_ref() and gives it back with image_unref(). Everything here is read-only for everybody.
//
// Changing. Only the controller thread makes new images: image_apply() then image_publish().
//
// Ids are Kafka's: broker ids are >= 0 (-1: none), offsets count records of the metadata log, epochs count
// up.
#ifndef METADATA_IMAGE_H
#define METADATA_IMAGE_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/hamt.h"
#include "base/uuid.h"
#include "config/properties.h"

#include <stdatomic.h>

#define IMAGE_NO_LEADER (-1)

// A partition, as its leader and followers agreed on it. Arrays have their count beside them; directories is
// parallel to replicas.
struct image_partition {
    atomic_uint refs;
    int32_t id;
    int32_t leader; // broker id, or IMAGE_NO_LEADER
    int32_t leader_epoch, partition_epoch;
    int8_t leader_recovery_state;             // 0: recovered, 1: recovering (after an unclean election)
    uint32_t replicas_count, isr_count;       // replicas[0] is the preferred leader
    uint32_t removing_count, adding_count;    // of a reassignment
    uint32_t elr_count, last_known_elr_count; // eligible leader replicas (KIP-966)
    int32_t *replicas, *isr, *removing, *adding, *elr, *last_known_elr;
    struct uuid *directories; // replicas_count of them: the log directory of each replica
};

// Reserved directory ids (KIP-858).
extern const struct uuid DIRECTORY_MIGRATING, DIRECTORY_UNASSIGNED, DIRECTORY_LOST;

struct image_topic {
    atomic_uint refs;
    struct str name;
    struct uuid id;
    uint32_t partitions_count;
    struct image_partition **partitions; // by index; Kafka's partition ids are 0 .. count-1
};

struct image_endpoint {
    struct str name, host; // listener name; host as advertised
    uint16_t port;
    int16_t security_protocol; // 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL
};

struct image_feature_range { // what a node supports
    struct str name;
    int16_t min, max;
};

struct image_feature { // what the cluster has finalized
    struct str name;
    int16_t level;
};

struct image_broker {
    atomic_uint refs;
    int32_t id;
    int64_t epoch;
    struct uuid incarnation_id;
    bool fenced, in_controlled_shutdown, is_migrating_zk_broker;
    bool has_cordoned_log_dirs; // false: the field is null
    struct str rack;            // null view when it has none
    uint32_t endpoints_count, features_count, log_dirs_count, cordoned_log_dirs_count;
    struct image_endpoint *endpoints;
    struct image_feature_range *features;
    struct uuid *log_dirs, *cordoned_log_dirs; // sorted
};

struct image_controller { // RegisterControllerRecord
    atomic_uint refs;
    int32_t id;
    struct uuid incarnation_id;
    bool zk_migration_ready;
    uint32_t endpoints_count, features_count;
    struct image_endpoint *endpoints;
    struct image_feature_range *features;
};

enum image_resource { // Kafka's ConfigResource types, as in ConfigRecord
    IMAGE_RESOURCE_TOPIC = 2,
    IMAGE_RESOURCE_BROKER = 4, // name "": the cluster-wide default
    IMAGE_RESOURCE_BROKER_LOGGER = 8,
    IMAGE_RESOURCE_CLIENT_METRICS = 16,
    IMAGE_RESOURCE_GROUP = 32,
};

struct image_config_key {
    int8_t type; // enum image_resource
    struct str name;
};

struct image_config { // the dynamic settings of one resource
    atomic_uint refs;
    struct image_config_key key;
    uint32_t entries_count;
    struct config_entry *entries; // sorted by name; values are never null (a null in a record removes one)
};

// Whom a quota is for: each part a type ("user", "client-id", "ip") with a name, or with a null view, which
// stands for every name that has no quota of its own. Sorted by type, each type once.
struct image_quota_part {
    struct str type, name;
};

struct image_quota_entity {
    uint32_t count;
    struct image_quota_part *parts;
};

enum image_quota_kind {
    QUOTA_PRODUCER_BYTE_RATE,
    QUOTA_CONSUMER_BYTE_RATE,
    QUOTA_REQUEST_PERCENTAGE,
    QUOTA_CONTROLLER_MUTATION_RATE,
    QUOTA_CONNECTION_CREATION_RATE, // of an ip
    QUOTA_KINDS,
};
extern const struct str image_quota_keys[QUOTA_KINDS];

struct image_quota_value {
    struct str key;
    double value;
};

struct image_quota { // what one entity may do; always something
    atomic_uint refs;
    struct image_quota_entity entity;
    uint32_t values_count;
    struct image_quota_value *values; // sorted by key; keys that nobody knows are kept
    uint64_t turn;                    // rises with each entity that comes to be
    unsigned kinds;                   // of which there is a limit: 1 << enum image_quota_kind
    double limits[QUOTA_KINDS];
};

enum scram_mechanism { SCRAM_SHA_256 = 1, SCRAM_SHA_512 };

struct image_scram_key {
    int8_t mechanism; // enum scram_mechanism
    struct str user;
};

struct image_scram { // a user's credential (RFC 5802)
    atomic_uint refs;
    struct image_scram_key key;
    int32_t iterations;
    struct bytes salt, stored_key, server_key;
};

// A record that is kept as it came (ACLs, delegation tokens): nothing in the broker decides on it yet,
// nothing is lost from a snapshot. `key` is what a later record replaces or
// removes.
struct image_kept {
    atomic_uint refs;
    int16_t type, version; // of the record
    struct bytes key;      // type and identity
    struct bytes value;    // the whole record value, frame and all
};

struct image {
    atomic_uint refs;
    int64_t offset;           // of the last record that it contains; -1: none
    int32_t epoch;            // the leader epoch of that record
    int64_t timestamp_ms;     // of that record's batch
    int32_t metadata_version; // finalized metadata.version; 0 before the first FeatureLevelRecord
    int64_t next_producer_id; // the first id of the next block; -1 before the first ProducerIdsRecord
    int8_t zk_migration_state;
    bool has_zk_migration_state;
    uint32_t brokers_count, controllers_count, features_count;
    struct image_broker **brokers;            // sorted by id
    struct image_controller **controllers;    // sorted by id
    struct image_feature *features;           // sorted by name; without level-0 entries
    struct hamt topics_by_name, topics_by_id; // of struct image_topic
    struct hamt configs;                      // of struct image_config
    struct hamt quotas;                       // of struct image_quota
    struct hamt scram;                        // of struct image_scram
    struct hamt kept;                         // of struct image_kept
    uint64_t quota_turns;                     // given to entities so far
    uint32_t quota_counts[QUOTA_KINDS];       // entities that have a limit of the kind
    size_t partitions_count;                  // of all topics
};

// The image that was published last. Never NULL once the quorum has started (an empty one before the first
// record). One atomic load. Registered threads only, between two quiescent points.
const struct image *image_current(void);

// Makes it the current one, takes over the caller's reference, and retires the one before. Controller thread.
void image_publish(struct image *image);

// An image with nothing in it; one reference, the caller's. NULL: out of memory.
struct image *image_new(void);
struct image *image_ref(const struct image *image);
void image_unref(const struct image *image);

// --- looking up; all NULL (or a null view) when there is no such thing ---

const struct image_topic *image_topic(const struct image *image, struct str name);
// One whose name is the same, or differs in '.' and '_' alone, which metrics' names take for the same.
const struct image_topic *image_topic_alike(const struct image *image, struct str name);
const struct image_topic *image_topic_by_id(const struct image *image, const struct uuid *id);
const struct image_partition *image_partition(const struct image_topic *topic, int32_t partition);
const struct image_broker *image_broker(const struct image *image, int32_t id);

// Whether the broker has the directory, as it is registered; one that is not known yet counts as there
// (KIP-858).
bool image_directory_online(const struct image_broker *broker, const struct uuid *directory);

// Whether the broker is registered and the partition's replica on it lies in a directory that works.
bool image_replica_reachable(const struct image *image, const struct image_partition *p, int32_t broker);
const struct image_controller *image_controller(const struct image *image, int32_t id);
// NULL when the broker has no such listener.
const struct image_endpoint *image_broker_endpoint(const struct image_broker *broker, struct str listener);
const struct image_config *image_config(const struct image *image, int8_t type, struct str name);
// The value of one dynamic setting, or a null view.
struct str image_config_value(const struct image_config *config, struct str name);
// The entity's parts in their order, as image_quota_entity has them.
const struct image_quota *image_quota(const struct image *image, const struct image_quota_entity *entity);
// All of them, in the order in which their entities came to be; in the arena. NULL: no memory.
const struct image_quota **image_quotas_in_turn(const struct image *image, struct arena *arena);
const struct image_scram *image_scram(const struct image *image, int8_t mechanism, struct str user);
// The finalized level of a feature; 0 when it is not finalized.
int16_t image_feature_level(const struct image *image, struct str name);
static inline size_t image_topics_count(const struct image *image)
{
    return image->topics_by_name.count;
}

// All topics, in no order (sort by name where the protocol wants it):
//   struct hamt_walk w = hamt_walk(&image->topics_by_name);
//   for (const struct image_topic *t; (t = hamt_next(&w));)

// --- what an application of records has changed ---

enum image_topic_change { IMAGE_TOPIC_CREATED, IMAGE_TOPIC_DELETED, IMAGE_TOPIC_CHANGED };

// One topic that is created (before is NULL), deleted (after is NULL), or has changed partitions; both ends
// belong to the images. A partition is untouched when its pointers in before and after are the same.
struct image_topic_delta {
    enum image_topic_change change;
    const struct image_topic *before, *after;
};

struct image_config_delta {
    const struct image_config *before, *after; // NULL: none
};

// Lives as long as its owner keeps `before` and `after`; free with image_changes_free.
struct image_changes {
    const struct image *before, *after;
    struct image_topic_delta *topics;
    uint32_t topics_count;
    struct image_config_delta *configs; // of any resource; of deleted topics too
    uint32_t configs_count;
    bool brokers, controllers, features, producer_ids, quotas, scram,
        kept; // whether something in them changed
};

void image_changes_free(struct image_changes *changes);

// --- applying records ---

// One record of the metadata log: the value, frame and all; views into the caller's memory.
struct image_record {
    int64_t offset;
    int32_t epoch;
    int64_t timestamp_ms;
    struct bytes value;
};

// Builds the image that follows `before` by these records, in order, and says what changed (changes may be
// NULL; otherwise *changes is overwritten). On success *after has one reference, the caller's. Errors leave
// no trace and put a phrase that names record and reason into *why (may be NULL): ERR_CORRUPT (undecodable,
// or it speaks of a topic or broker that is not there), ERR_UNSUPPORTED (a record type or version that 4.3.1
// does not write), ERR_NOMEM. Transactions (Begin/End/Abort records): the caller gives whole transactions;
// the markers themselves change nothing.
int image_apply(const struct image *before, const struct image_record *records, size_t count,
                struct image **after, struct image_changes *changes, struct buffer *why);

// --- snapshots ---

// Calls `emit` for each record value (frame and all) that rebuilds the image, in the order in which Kafka's
// own snapshots have them. Stops at the first non-zero result, which is returned. ERR_NOMEM. Any thread with
// a reference.
int image_write(const struct image *image, int (*emit)(void *context, struct bytes value), void *context);

#endif
