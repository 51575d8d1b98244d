// Whether the transactional batches of a Produce request belong to their producer's transaction: before the
// first of a transaction comes into a partition, its coordinator is asked; for clients of transaction version
// 2 it adds the partition (KIP-890).
#ifndef SERVER_PRODUCE_VERIFY_H
#define SERVER_PRODUCE_VERIFY_H

#include "server/transactions.h"
#include "storage/batch.h"

#define PRODUCE_ADDS_VERSION 12 // from here on nobody else adds the partitions

struct produce_entry { // one batch; only its header has been looked at
    struct partition *partition;
    struct str topic; // entries of one topic stand side by side
    int32_t index;
    struct batch_header batch;
    void *context; // the request's

    // The outcome.
    int16_t error; // E_NONE: it may be appended, with
    int64_t guard;
    struct str message;

    int32_t topic_at, partition_at; // private: in the question; -1: not asked
};

struct produce_verify; // outlives its request while the coordinator thinks

// `entries` lie in the request's arena and are the transactional ones, of one producer. True: every entry has
// its outcome. False: *out is under way, and `done` is called on the reactor, unless it is forgotten.
bool produce_verify(struct request *request, struct str transactional_id, struct produce_entry *entries,
                    size_t count, void (*done)(void *context), void *context, struct produce_verify **out);

// The request is gone.
void produce_verify_forget(struct produce_verify *verify);

#endif
