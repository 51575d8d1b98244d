// What is left of a batch when the cleaner has been there: Kafka's rules, from bytes to bytes. Opens nothing,
// reads no clock. One thread.
#ifndef STORAGE_CLEANER_FILTER_H
#define STORAGE_CLEANER_FILTER_H

#include "storage/cleaner_keys.h"
#include "storage/cleaner_txns.h"

struct cleaner_filter {
    const struct cleaner_keys *keys;
    struct cleaner_txns *txns;
    const struct map *producers; // those that are active: producer id to struct log_producer
    int64_t round_end;           // the batch that ends there is kept, empty if need be: so the end is known
    int64_t now_ms;              // wall clock
    int64_t delete_retention_ms; // how long a tombstone stays once nothing older of its key is left
    int64_t records_read, records_kept;    // counted
    int64_t keyless;                       // records without a key, which are dropped
    struct buffer unpacked, kept, rebuilt; // working memory; all zeros at first
};

// The batch, whose CRC is right, as it shall be from now on: *out shows `batch` when it stays as it is, the
// filter's memory (until the next call) when it changes, and has size 0 when nothing is left. *aborted is the
// transaction's index entry when the batch is the marker of an aborted transaction and stays, else NULL. 0,
// ERR_CORRUPT and other errors of a body that cannot be read, ERR_NOMEM.
int cleaner_filter_batch(struct cleaner_filter *f, const struct batch_header *h, struct bytes batch,
                         struct bytes *out, const struct txn_index_entry **aborted);

void cleaner_filter_free(struct cleaner_filter *f);

#endif
