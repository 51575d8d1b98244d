// Writing one transaction's marker into partitions of this broker, and waiting until each is replicated.
#ifndef SERVER_MARKERS_H
#define SERVER_MARKERS_H

#include "server/broker.h"

struct markers; // one marker into several partitions

struct marker_target {
    struct str topic;
    int32_t partition;
    // The outcome: E_NONE, or the protocol's error. E_UNKNOWN_TOPIC_OR_PARTITION: the metadata has no such
    // partition.
    int16_t error;

    // Private.
    bool writes; // it is on its way
    bool loads;  // but first a loader reads its log, which nobody has used yet
    struct job loading;
    struct partition *hosted;
    int64_t wait_for; // -1: replicated
    struct coordinator_request group;
    struct markers *markers;
};

// In the writer's memory, zeroed but for what is filled in; stays until `done`. Everything happens on the
// thread of `loop`, a reactor's.
struct markers {
    struct broker *broker;
    struct loop *loop;
    struct transaction_marker marker;
    struct marker_target *targets; // each partition once
    size_t count;
    void (*done)(struct markers *markers);    // every target has its outcome; never from within markers_write
    void (*abandon)(struct markers *markers); // the server stops: nothing more happens, the memory may go

    // Private.
    size_t left;
    struct partition_waiter waiter; // of the first that is not replicated
    struct task progress;
    struct list node; // of the broker's
};

// Whether the metadata has the partition. On a reactor, within its turn.
bool marker_target_exists(const struct marker_target *target);

// Begins. True: every target has its outcome already, and `done` is not called.
bool markers_write(struct markers *markers);

// What is being written by this broker, so that a stop finds what waits.
struct marker_writer;
struct marker_writer *marker_writer_new(void);

// Lets go of the partitions that are waited for; nothing is done any more. Once the loops have ended.
void marker_writer_free(struct marker_writer *writer);

#endif
