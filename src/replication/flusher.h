// Group commit for flush.messages: a thread that makes logs durable and then lets their high watermarks move.
// One fdatasync serves every batch that was appended before it started; those that come meanwhile share the
// next.
#ifndef REPLICATION_FLUSHER_H
#define REPLICATION_FLUSHER_H

#include "replication/partition.h"

struct flusher;

// Starts the threads (named flush-0 ..). NULL when they cannot start.
struct flusher *flusher_start(unsigned threads);

// Flushes what is queued, ends the threads and frees. Nobody submits any more.
void flusher_stop(struct flusher *f);

// Has the partition's log flushed up to its present end. Any thread; never blocks on the disk.
void flusher_submit(struct flusher *f, struct partition *p);

#endif
