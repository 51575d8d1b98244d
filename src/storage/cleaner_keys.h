// The cleaner's table: the last offset of every key of the dirty part of a log. It holds a 128-bit hash in
// place of the key, so that its memory is known beforehand whatever the keys are. One thread.
#ifndef STORAGE_CLEANER_KEYS_H
#define STORAGE_CLEANER_KEYS_H

#include "base/bytes.h"
#include "base/siphash.h"

#define CLEANER_KEY_BYTES 24 // a slot

struct cleaner_slot {
    struct siphash hash;
    int64_t offset_plus_one; // 0: empty
};

struct cleaner_keys {
    struct siphash_secret secret;
    struct cleaner_slot *slots; // fresh pages of the kernel: what no key falls into costs nothing
    size_t slot_count;
    size_t count, most;    // keys that are in it, and that may be
    int64_t latest_offset; // everything up to it is taken in; LOG_NO_OFFSET: nothing
};

// Room for memory_bytes, filled at most to load_factor, or for `wanted` keys if that is less. The table is
// empty. ERR_INVALID when not even one key fits, ERR_NOMEM.
int cleaner_keys_open(struct cleaner_keys *k, size_t memory_bytes, double load_factor, size_t wanted);
void cleaner_keys_close(struct cleaner_keys *k); // all zeros are fine

// Notes the key, and its offset as the latest one. False, and nothing noted, when the table is full.
bool cleaner_keys_put(struct cleaner_keys *k, struct bytes key, int64_t offset);

// The last offset of the key, or LOG_NO_OFFSET.
int64_t cleaner_keys_get(const struct cleaner_keys *k, struct bytes key);

#endif
