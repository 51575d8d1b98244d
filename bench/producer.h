// One connection that produces ready batches to the partitions it owns, in turn. One thread at a time.
#ifndef BENCH_PRODUCER_H
#define BENCH_PRODUCER_H

#include "admin.h"
#include "batch.h"
#include "frames.h"
#include "options.h"

struct producer {
    const struct options *o;
    int fd;
    struct reader reader;
    struct buffer header;
    struct uuid topic;
    struct producer_identity identity;
    int first, partition; // the first one it owns, and the next
    int32_t *sequences;   // by partition
    int64_t sent, answered, bytes, records;
};

// Connects; owns the partitions first, first + o->connections, ... (or shares one when there are too few).
void producer_open(struct producer *p, const struct options *o, const struct uuid *topic, int first);

// Sends the batch to the next partition; numbers it (and so changes it) when o->idempotent.
void producer_send(struct producer *p, struct batch *b);

// Reads the answer to the oldest request that has none (blocking).
void producer_receive(struct producer *p);

// With acks=0 nothing is answered: returns when the broker has read everything.
void producer_wait_until_read(struct producer *p);

void producer_close(struct producer *p);

#endif
