// The controller: what the cluster decides. A function of (state, event, now) that returns metadata records
// to append and the response to give once they are committed. It opens no file, sends nothing and reads no
// clock.
//
// An event is a request of the Kafka protocol, by its api key: from a client of this broker, from this broker
// itself (its registration, heartbeats, auto-created topics) or from another one. controller_step() serves
//
//   CreateTopics (19), DeleteTopics (20), AlterConfigs (33), CreatePartitions (37), ElectLeaders (43),
//   IncrementalAlterConfigs (44), AlterPartitionReassignments (45), AlterClientQuotas (49),
//   AlterUserScramCredentials (51), UpdateFeatures (57), BrokerRegistration (62), BrokerHeartbeat (63),
//   UnregisterBroker (64), AllocateProducerIds (67), AssignReplicasToDirs (73)
//
// with the error codes and texts of Apache Kafka 4.3.1. Thread: the controller's, but for the making of
// events.
#ifndef CONTROLLER_CONTROLLER_H
#define CONTROLLER_CONTROLLER_H

#include "base/arena.h"
#include "base/bytes.h"
#include "config/broker_config.h"
#include "metadata/image.h"

struct controller;

// --- events ---

// What a principal may do, asked by the decision that needs it (e.g. CREATE on one topic of many). Numbers as
// Kafka's AclOperation and ResourceType. Called on the controller's thread.
typedef bool controller_allows(void *context, int8_t operation, int8_t resource_type,
                               struct str resource_name);

struct controller_event {
    int16_t api_key, version;
    const void *request; // the API's request message, decoded, in `arena`
    struct arena arena;  // of the event: holds request and response; freed with the event

    controller_allows *allows; // NULL: everything is allowed
    void *allows_context;      // outlives the event

    // Counts partitions that are to be created or deleted against a quota of who asks (KIP-599). False: that
    // is exhausted, and they are not. NULL: no quota. On the controller's thread.
    bool (*charge)(void *context, int32_t partitions, int64_t now_ms);
    void *charge_context; // outlives the event

    // Filled in by the step. error is a protocol code for the request as a whole (NOT_CONTROLLER,
    // UNKNOWN_SERVER_ERROR, ...); 0: `response` is the API's response message, in `arena`. Throttle times and
    // whatever else belongs to the connection are the handler's to set.
    int16_t error;
    void *response;

    // The offset that the image must contain before this response is given; set by the step.
    int64_t offset;
};

// Prepares an event: `request` (a message of the API's request type) is copied, as a copy through the codec
// in this version, into the event's own arena. The struct itself is the caller's memory. 0, ERR_NOMEM, or
// ERR_INVALID (the message cannot be encoded in this version). Any thread.
int controller_event_init(struct controller_event *event, int16_t api_key, int16_t version,
                          const void *request);

// Frees what the event holds, not the struct. Any thread, once nobody looks at the response any more.
void controller_event_free(struct controller_event *event);

// --- the controller ---

struct controller_config {
    // server.properties: num.partitions, default.replication.factor, delete.topic.enable,
    // min.insync.replicas, broker.session.timeout.ms and the topics' defaults. Outlives the controller.
    const struct broker_config *config;
    // For this controller's registration record.
    struct uuid incarnation_id;
    const struct image_endpoint *endpoints; // outlive the controller
    uint32_t endpoints_count;
    int16_t kraft_version; // the quorum's, which is no record of the image
    uint64_t seed; // of replica placement: the same seed and events give the same decisions (topic ids aside)
    struct uuid (*new_id)(void *context); // topic ids; NULL: uuid_random
    void *new_id_context;
    // Whether an ip's quota may have this name: an address, or a host that has one. NULL: whatever it is.
    bool (*is_host)(struct str name);
};

// Records to append, all or none, in order: encoded values (frame and all) in the effects' arena.
struct controller_effects {
    struct arena arena;
    struct bytes *records;
    size_t records_count, records_capacity;
    int16_t kraft_version; // the quorum's is to become this one; -1: it stays. It and the voters are no
                           // records here
    int error; // ERR_NOMEM or ERR_LIMIT when a record could not be added: nothing of it may be used
};

// `image` is the state that it starts from (one reference is taken). NULL: out of memory.
struct controller *controller_new(const struct controller_config *config, const struct image *image);
void controller_free(struct controller *c);

// This node became the leader with this epoch; the log ends at next_offset. Emits the bootstrap records
// (`bootstrap`, values of bootstrap.checkpoint) in a metadata transaction when the image has no
// metadata.version yet, an AbortTransaction record when the log ends within a transaction, and this
// controller's registration where it differs.
int controller_activate(struct controller *c, int32_t epoch, int64_t next_offset,
                        const struct bytes *bootstrap, size_t bootstrap_count, bool in_transaction,
                        int64_t now_ms, struct controller_effects *effects);

// Serves one event. next_offset is that of the next record in the log (a broker's epoch is the offset of its
// registration). On 0 the event has its response, and effects the records that must be committed first (none:
// it may go at once). Negative: the event has no response and an error. now_ms is monotonic.
int controller_step(struct controller *c, struct controller_event *event, int64_t next_offset, int64_t now_ms,
                    struct controller_effects *effects);

// Time passed: fences brokers whose session ended. Emits records, perhaps none; *next_ms is when to call
// again (monotonic, INT64_MAX: never).
int controller_tick(struct controller *c, int64_t next_offset, int64_t now_ms,
                    struct controller_effects *effects, int64_t *next_ms);

// The records of the last step were appended (not yet committed) and give this image; takes a reference of
// its own. Later decisions see it.
void controller_replay(struct controller *c, const struct image *image);

// The quorum has this kraft.version now.
void controller_set_kraft_version(struct controller *c, int16_t kraft_version);

void controller_effects_init(struct controller_effects *e);
void controller_effects_reset(struct controller_effects *e); // for the next step
void controller_effects_free(struct controller_effects *e);

#endif
