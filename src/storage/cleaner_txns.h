// Which transactions the cleaner is within while it walks a log from its beginning: pure bookkeeping. It says
// which batches were aborted, and which markers have nothing left that they could end. One thread.
#ifndef STORAGE_CLEANER_TXNS_H
#define STORAGE_CLEANER_TXNS_H

#include "base/map.h"
#include "storage/batch.h"
#include "storage/txn_index.h"

struct cleaner_aborted {
    struct txn_index_entry entry;
    bool seen; // a batch of it is still there
};

struct cleaner_txns {
    struct cleaner_aborted *aborted; // ascending by first offset; the caller's
    size_t count, next;
    struct map open_aborted;   // producer id to struct cleaner_aborted
    struct map open_committed; // producer id to anything
};

// For a walk. `aborted` is what the transaction indexes of the log hold; it is put in order here, and
// changed.
void cleaner_txns_open(struct cleaner_txns *t, struct cleaner_aborted *aborted, size_t count);
void cleaner_txns_close(struct cleaner_txns *t);

// A batch of data comes by. 1: it was aborted, 0: not, ERR_NOMEM.
int cleaner_txns_data(struct cleaner_txns *t, const struct batch_header *h);

// A control batch comes by. 1: no batch of its transaction is left, 0: it must stay (or is no marker);
// ERR_CORRUPT. *kept is the transaction's index entry when an abort marker must stay, else NULL.
int cleaner_txns_marker(struct cleaner_txns *t, const struct batch_header *h, struct bytes batch,
                        const struct txn_index_entry **kept);

#endif
