// A partition as this broker serves it: its log, its leadership, and who waits for its high watermark.
//
// Reference-counted: the replica manager holds one reference while the broker hosts the partition, a parked
// request one while it waits. Any thread.
#ifndef REPLICATION_PARTITION_H
#define REPLICATION_PARTITION_H

#include "base/bytes.h"
#include "base/list.h"
#include "base/uuid.h"
#include "storage/log.h"

#include <pthread.h>
#include <stdatomic.h>

enum partition_wait {
    PARTITION_WAIT_HIGH_WATERMARK, // until the high watermark is above the offset
    PARTITION_WAIT_LAST_STABLE,    // until the last stable offset is above the offset
    PARTITION_WAIT_END,            // until the end offset is above the offset (a follower's fetch)
};

// Waits for one partition. The waiter's memory is the waiting request's; `wake` runs once, on whichever
// thread made progress and under the partition's waiter lock: it must only post (never call into a
// partition).
struct partition_waiter {
    struct list node;
    struct partition *partition; // NULL while it does not wait
    enum partition_wait kind;
    int64_t offset;
    void (*wake)(struct partition_waiter *waiter);
};

// Since the partition came to this broker. What comes in is counted under the log's lock; bytes out by any
// thread.
struct partition_traffic {
    _Atomic uint64_t messages_in, bytes_in, bytes_out;
    _Atomic int64_t appended_us; // clock_monotonic_us of the last append; 0: none
};

struct partition {
    atomic_int references;
    struct str topic; // terminated; lives as long as the partition
    struct uuid topic_id;
    int32_t index;
    struct uuid said_directory; // where the metadata has this replica; by whoever applies changes

    struct log *log; // its lock orders appends, truncation and leadership
    bool owns_log;   // set when the log has left the log manager: the last reference closes it
    _Atomic int32_t leader_epoch;
    _Atomic int32_t leader_id; // -1: none
    _Atomic bool gone;         // deleted or moved away: every request answers with an error
    int32_t broker_id;
    _Atomic int32_t in_sync_replicas;
    _Atomic int32_t min_insync_replicas; // from the topic's configuration
    _Atomic int32_t replicas;            // how many there are: more of them cannot be asked to be in sync
    int64_t flush_gate; // the high watermark waits for a flush up to this offset (flush.messages)

    pthread_mutex_t waiters_lock; // after the log's lock
    struct list waiters;
    struct list flush_node;        // in the flusher's queue, under its lock
    _Atomic int32_t waiters_count; // read without the lock by appenders: no lock when nobody waits
    struct partition_traffic traffic;
};

// Takes ownership of the log. NULL when out of memory (the log stays the caller's).
struct partition *partition_new(struct str topic, const struct uuid *topic_id, int32_t index, struct log *log,
                                int32_t broker_id);
struct partition *partition_ref(struct partition *p);
void partition_unref(struct partition *p);

// E_NONE when this broker leads the partition in the epoch that the client believes in (-1: any); else
// E_NOT_LEADER_OR_FOLLOWER, E_FENCED_LEADER_EPOCH, E_UNKNOWN_LEADER_EPOCH or E_KAFKA_STORAGE_ERROR.
int16_t partition_check_leader(const struct partition *p, int32_t current_leader_epoch);

// Sets the leadership that the metadata says; wakes everybody when it changed.
// 0, or what log_assign_epoch says.
int partition_set_leader(struct partition *p, int32_t leader_id, int32_t leader_epoch,
                         int32_t in_sync_replicas);

// How many replicas the partition has. Any number, until this is called.
void partition_set_replicas(struct partition *p, int32_t replicas);

// The topic's configuration changed. Copied.
void partition_set_config(struct partition *p, const struct log_config *config);

// Appends one validated batch (storage/batch_validate.h) in place and moves the high watermark as far as it
// may. acks is the producer's: -1 asks for min.insync.replicas. Returns the protocol's error code;
// info->message says more for what the log refused. On E_NONE, *wait_for is the offset that the high
// watermark must exceed before the producer is answered (PARTITION_WAIT_HIGH_WATERMARK), or -1 when nothing
// has to be waited for. *flush_due tells the caller to have the log flushed (and partition_flushed called) by
// a flush thread.
int16_t partition_append(struct partition *p, uint8_t *bytes, size_t size, int16_t acks, int64_t now_ms,
                         struct log_append_info *info, int64_t *wait_for, bool *flush_due);

// One append of several that are made together.
struct partition_append {
    struct log_group_append log; // bytes, size, origin and guard are the caller's to fill in
    int16_t acks;
    int16_t error; // as partition_append returns it
    bool flush_due;
    int64_t wait_for;
};

// Does with each of them, in this order, what partition_append does. The log writes with as few calls as it
// can (log_append_group).
void partition_append_group(struct partition *p, struct partition_append *const *appends, size_t count,
                            int64_t now_ms);

// The end of a producer's transaction in a partition.
struct transaction_marker {
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t coordinator_epoch;
    bool committed;
    int8_t transaction_version; // from 2 on its epoch is above the transaction's (KIP-890)
};

// Appends a marker, and has it replicated (acks -1); *append says what came of it, the error is returned. A
// partition that has no open transaction of the producer takes it all the same.
int16_t partition_append_marker(struct partition *p, const struct transaction_marker *marker, int64_t now_ms,
                                struct partition_append *append);

// A transactional batch is to follow (log_verify). E_NONE, or why it cannot.
int16_t partition_verify(struct partition *p, const struct log_verification *v, int64_t now_ms,
                         int64_t *guard);

// DeleteRecords: the log starts at `offset` (-1: the high watermark) from now on, in memory; saving it is the
// caller's (log_manager_save_start). E_NONE with *low_watermark, below which nobody has records any more, or
// the protocol's error: E_POLICY_VIOLATION where the topic is compacted and nothing more,
// E_OFFSET_OUT_OF_RANGE above the high watermark, or partition_check_leader's.
int16_t partition_delete_records(struct partition *p, int64_t offset, int64_t *low_watermark);

// The log was flushed: moves the high watermark behind the flush. When the flush has put the log offline,
// wakes everybody instead. On a flush thread.
void partition_flushed(struct partition *p);

// Something else moved the log's offsets (a transaction's marker): wakes whom that satisfies.
void partition_wake(struct partition *p);

// Its log is off line: wakes everybody, who will see that.
void partition_wake_all(struct partition *p);

// Registers the waiter unless what it waits for is already there. True: it waits and will be woken once.
// False: no need to wait, or no sense in it (the partition is gone, its log offline).
bool partition_wait(struct partition *p, struct partition_waiter *waiter);

// Stops waiting. Afterwards `wake` does not start any more; it may have run.
void partition_wait_cancel(struct partition_waiter *waiter);

// Wakes everybody and lets no request in any more.
void partition_close(struct partition *p);

#endif
