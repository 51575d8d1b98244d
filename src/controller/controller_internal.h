// What the files of the controller share. Private to the room.
#ifndef CONTROLLER_CONTROLLER_INTERNAL_H
#define CONTROLLER_CONTROLLER_INTERNAL_H

#include "controller/controller.h"
#include "metadata/record.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#define NO_BROKER (-1)
#define NO_TIME   INT64_MAX

// What the controller knows of a broker beside its registration. Lost with the leadership, and learned again.
struct broker_session {
    int32_t id;
    int64_t epoch;               // of the registration that it belongs to
    int64_t last_contact_ms;     // monotonic
    int64_t metadata_offset;     // up to which the broker has read, by its last heartbeat
    int64_t shutdown_offset;     // of the records that began its controlled shutdown; -1: none
    int64_t registration_offset; // of its RegisterBrokerRecord, as far as this leader wrote it; -1
};

struct controller {
    struct controller_config config;
    struct image *image; // what is appended, committed or not
    struct broker_session *sessions;
    size_t sessions_count;
    int32_t epoch;
    uint64_t random;
};

// What one step works with.
struct step {
    struct controller *c;
    struct controller_event *event; // NULL in a tick or an activation
    struct controller_effects *effects;
    int64_t next_offset, now_ms;
};

// The offset that the next record will have.
static inline int64_t step_offset(const struct step *s)
{
    return s->next_offset + (int64_t)s->effects->records_count;
}

// Adds a record; an error stays in the effects.
void step_emit(struct step *s, const struct message_type *type, int16_t version, const void *message);

// A response message of its type's defaults, set as the event's response. NULL: out of memory.
void *step_respond(struct step *s, const struct message_type *type);

// Whether the event's principal may; true without a hook.
bool step_allows(const struct step *s, int8_t operation, int8_t resource_type, struct str name);

// What was changed at run time of this node's settings and the cluster's; views of the image.
struct config_layers controller_layers(const struct controller *c);

// Whether the event's quota has room for partitions that change; true without one. They count as changed, in
// a request that only validates, too.
bool step_charge(const struct step *s, int32_t partitions);

struct uuid controller_new_id(struct controller *c);
uint64_t controller_random(struct controller *c);

// --- handlers of events: 0, or ERR_NOMEM; the protocol's errors are in the response or in event->error ---
int on_alter_configs(struct step *s);
int on_create_topics(struct step *s);
int on_create_partitions(struct step *s);
int on_delete_topics(struct step *s);
int on_incremental_alter_configs(struct step *s);
int on_allocate_producer_ids(struct step *s);
int on_broker_registration(struct step *s);
int on_broker_heartbeat(struct step *s);
int on_unregister_broker(struct step *s);
int on_assign_replicas_to_dirs(struct step *s);
int on_elect_leaders(struct step *s);
int on_alter_reassignments(struct step *s);
int on_update_features(struct step *s);
int on_alter_client_quotas(struct step *s);
int on_alter_user_scram_credentials(struct step *s);

// --- brokers (brokers.c, sessions.c) ---
struct broker_session *session_find(const struct controller *c, int32_t broker);
struct broker_session *session_touch(struct controller *c, int32_t broker, int64_t epoch, int64_t now_ms);
void session_remove(struct controller *c, int32_t broker);
bool session_valid(const struct controller *c, int32_t broker, int64_t now_ms);
// Unfenced and not about to stop.
bool broker_active(const struct image *image, int32_t broker);
// STALE_BROKER_EPOCH, BROKER_ID_NOT_REGISTERED or 0.
int16_t broker_check_epoch(const struct image *image, int32_t broker, int64_t epoch);
void broker_fence(struct step *s, const struct image_broker *broker);

// --- partitions (partition_change.c) ---
struct broker_change {
    int32_t remove;               // leaves every ISR, and leads nothing; NO_BROKER
    int32_t add;                  // counts as active although the image says fenced; NO_BROKER
    int32_t unclean;              // lost what it had: leaves every ISR and ELR; NO_BROKER
    const struct uuid *directory; // of the broker, for PARTITIONS_IN_DIRECTORY
};

enum partition_choice {
    PARTITIONS_IN_ISR,
    PARTITIONS_IN_ELR,
    PARTITIONS_WITHOUT_LEADER,
    PARTITIONS_IN_DIRECTORY,
};

// Emits what the change means for the partitions that have `broker` in their ISR or ELR, have no leader, or
// have the broker's replica in the directory.
void partitions_follow(struct step *s, const struct broker_change *change, enum partition_choice choice,
                       int32_t broker);
// The same for one partition.
void partition_follow(struct step *s, const struct broker_change *change, const struct image_topic *topic,
                      const struct image_partition *p);
// KIP-858: of the directories that a heartbeat calls off line, what is news.
void directories_offline(struct step *s, const struct broker_heartbeat_request *q,
                         const struct image_broker *b);

// A list of broker ids without repetition.
struct replica_set {
    int32_t *ids;
    uint32_t count;
};

enum partition_election {
    ELECT_ONLINE,    // the leader stays while it can; otherwise one that has everything
    ELECT_PREFERRED, // the first replica, if it has everything
    ELECT_UNCLEAN,   // as ELECT_ONLINE, and rather one that lacks something than none
};

// What is wanted of a partition.
struct partition_wish {
    const struct broker_change *change; // NULL: no broker comes or goes
    enum partition_election election;
    const struct replica_set *isr, *replicas, *removing, *adding; // NULL: as they are
};

// Emits what the wish means: a reassignment that can end ends, eligible leaders, the leader. False when
// nothing changes.
bool partition_change(struct step *s, const struct image_topic *topic, const struct image_partition *p,
                      const struct partition_wish *wish);
bool topic_allows_unclean_election(const struct image *image, const struct image_topic *topic);
// Whether it leads any partition.
bool broker_has_leaderships(const struct image *image, int32_t broker);

// --- settings ---

#define MIN_ISR "min.insync.replicas"

// Eligible leaders are kept from now on: what the cluster's value is, and that no broker has its own.
void min_isr_becomes_clusters(struct step *s);

// --- topics ---
// Chooses replicas (placement.c): count * factor broker ids into *out, in `arena`. A null view and 0, or the
// reason in Kafka's words with INVALID_REPLICATION_FACTOR.
int16_t place_replicas(struct controller *c, int32_t first_partition, int32_t count, int16_t factor,
                       struct arena *arena, int32_t **out, struct str *problem);
// A replica list that somebody wrote by hand; `factor` is how many replicas it should have, -1: any number.
// 0, ERR_INVALID with the problem in Kafka's words (INVALID_REPLICA_ASSIGNMENT), or ERR_NOMEM.
int check_manual_replicas(const struct image *image, const int32_t *replicas, int32_t count, int32_t factor,
                          struct arena *arena, struct str *problem);
// The directory of a new replica: the broker's only one, or unassigned (KIP-858).
struct uuid replica_directory(const struct image *image, int32_t broker);

// The partition's record as a new one: leader is the first active replica. False when none is active.
bool new_partition(struct step *s, const struct uuid *topic_id, int32_t id, int32_t *replicas, int32_t count,
                   struct partition_record *out);

#endif
