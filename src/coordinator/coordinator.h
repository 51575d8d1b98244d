// A coordinator: the shards of one internal topic that this broker leads, each a state machine behind its own
// lock. The runtime of all of them is the same; machine.h says what a machine brings.
//
// Life: coordinator_new, coordinator_load (with the image of the start, before requests come),
// coordinator_apply (each change of the metadata), coordinator_stop, and coordinator_free once the loops that
// it was given have ended.
#ifndef COORDINATOR_COORDINATOR_H
#define COORDINATOR_COORDINATOR_H

#include "coordinator/machine.h"
#include "metadata/image.h"
#include "replication/replica_manager.h"

struct coordinator;

struct coordinator_params {
    const struct coordinator_machine *machine;
    const void *config; // the machine's; outlives the coordinator
    int32_t broker_id;
    struct replica_manager *replicas; // outlives the coordinator until coordinator_stop
    struct flusher *flusher;          // the same; for flush.messages
    int32_t partitions;               // of the internal topic while it does not exist
    int8_t compression;               // of the batches: enum compression
    int32_t linger_ms;                // how long records wait for others; 0: not at all
    // Shards have their timers on these, by turns.
    struct loop *(*loop_at)(void *arg, unsigned index);
    unsigned loop_count;
    void *arg;
};

// NULL when out of memory.
struct coordinator *coordinator_new(const struct coordinator_params *params);

// At start: begins to load every shard that the image makes this broker lead.
void coordinator_load(struct coordinator *c, const struct image *image);

// Follows a change of the metadata, after the replica manager did. On the controller's thread.
void coordinator_apply(struct coordinator *c, const struct image_changes *changes);

// Gives up every shard: what waits is answered COORDINATOR_NOT_AVAILABLE, and so is whatever still comes.
void coordinator_stop(struct coordinator *c);
void coordinator_free(struct coordinator *c);

// The internal topic's partition that a key (a group's or transaction's id) belongs to. Any thread.
int32_t coordinator_partition(struct coordinator *c, struct str key);

// How many shards there may be: they are numbered from 0. Any thread.
int32_t coordinator_shards(struct coordinator *c);

// Hands the request to a shard. True: it has its answer already, and complete is not called. False: complete
// is called later, on reply_to's thread. A shard that this broker does not lead answers NOT_COORDINATOR.
// Any thread that holds none of the locks below.
bool coordinator_ask(struct coordinator *c, int32_t shard, struct coordinator_request *request);

// Writes the marker of a transaction's end into a shard's partition and replays it (machine.replay_end). The
// answer is as coordinator_ask's: none but the error, once the marker is replicated.
bool coordinator_mark(struct coordinator *c, int32_t shard, const struct transaction_marker *marker,
                      struct coordinator_request *request);

// The leader epoch in which this broker coordinates a shard that is ready for requests; -1: it does not. Any
// thread that holds none of the locks below.
int32_t coordinator_epoch(struct coordinator *c, int32_t shard);

// Whether a shard is being loaded, so that whoever asks will hear of it: for who would do something else
// first. As coordinator_epoch.
bool coordinator_is_loading(struct coordinator *c, int32_t shard);

// Runs an event of this broker itself in every active shard, e.g. topics that were deleted; `ask` fills in
// the request. Waits for nothing. Any thread.
void coordinator_tell_all(struct coordinator *c, int kind, const void *message);

#endif
