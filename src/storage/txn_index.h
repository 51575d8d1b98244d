// The aborted transactions of a segment on disk: entries in <base>.txnindex.
#ifndef STORAGE_TXN_INDEX_H
#define STORAGE_TXN_INDEX_H

#include <stdint.h>

struct txn_index_entry {
    int64_t producer_id, first_offset, last_offset, last_stable_offset;
};

#define TXN_INDEX_ENTRY_BYTES 34

struct txn_index_entry txn_index_decode(const uint8_t at[TXN_INDEX_ENTRY_BYTES]);
void txn_index_encode(uint8_t at[TXN_INDEX_ENTRY_BYTES], const struct txn_index_entry *e);

#endif
