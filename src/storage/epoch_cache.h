// The leader epochs of a log: where each began. Kept in memory, written to <log>/leader-epoch-checkpoint
// (version 0, a count, then "epoch startOffset" a line) by whoever owns it. Not thread-safe: the log guards
// it.
#ifndef STORAGE_EPOCH_CACHE_H
#define STORAGE_EPOCH_CACHE_H

#include "base/buffer.h"

#define EPOCH_CACHE_FILE "leader-epoch-checkpoint"

struct epoch_entry {
    int32_t epoch;
    int64_t start_offset;
};

struct epoch_cache {
    struct epoch_entry *entries; // epochs and offsets ascend
    uint32_t count, capacity;
};

#define EPOCH_CACHE_INIT ((struct epoch_cache){0})

// The latest epoch, or -1.
int32_t epoch_cache_latest(const struct epoch_cache *c);

// An epoch begins at this offset. Entries that contradict it (an epoch or an offset not below) are dropped.
// 1 when something changed, 0, or ERR_NOMEM, ERR_INVALID (negative).
int epoch_cache_assign(struct epoch_cache *c, int32_t epoch, int64_t start_offset);

// Forgets epochs that begin at `end_offset` or above / moves the start: the last entry that begins at or
// below start_offset begins there, older ones go. Whether something changed.
bool epoch_cache_truncate_end(struct epoch_cache *c, int64_t end_offset);
bool epoch_cache_truncate_start(struct epoch_cache *c, int64_t start_offset);

// The largest epoch <= `epoch` and where it ends, by the rules of OffsetForLeaderEpoch; -1 and -1 when
// unknown.
void epoch_cache_end_offset(const struct epoch_cache *c, int32_t epoch, int64_t log_end_offset,
                            int32_t *found, int64_t *end_offset);

// The epoch that the record at `offset` was written in, or -1.
int32_t epoch_cache_at(const struct epoch_cache *c, int64_t offset);

// The file's text, and back (ERR_CORRUPT). An empty file is an empty cache.
void epoch_cache_print(const struct epoch_cache *c, struct buffer *out);
int epoch_cache_parse(struct str text, struct epoch_cache *c);

int epoch_cache_copy(const struct epoch_cache *from, struct epoch_cache *to);
void epoch_cache_free(struct epoch_cache *c);

#endif
