// Offset and time indexes, entries in Kafka's format: (relative offset, position) of 8 bytes, (timestamp,
// relative offset) of 12, big-endian, ascending in every field. The active segment's live in memory (struct
// index); sealed ones are searched in their files. Not thread-safe: whoever owns the index guards it.
#ifndef STORAGE_INDEX_H
#define STORAGE_INDEX_H

#include "base/buffer.h"
#include "base/bytes.h"

enum index_kind { INDEX_OFFSET, INDEX_TIME };

// What a search compares.
enum index_field {
    INDEX_BY_OFFSET,   // relative offset; of both kinds
    INDEX_BY_POSITION, // of an offset index
    INDEX_BY_TIME,     // of a time index
};

struct index_entry {
    int64_t timestamp_ms; // time index
    uint32_t relative_offset;
    uint32_t position; // offset index
};

struct index {
    enum index_kind kind;
    uint8_t *bytes; // as in the file
    uint32_t count, capacity;
    uint32_t written; // so many entries are in the file
    bool stale_tail;  // the file may have more behind them
};

static inline uint32_t index_entry_bytes(enum index_kind kind)
{
    return kind == INDEX_OFFSET ? 8 : 12;
}

static inline void index_init(struct index *ix, enum index_kind kind)
{
    *ix = (struct index){.kind = kind};
}

void index_free(struct index *ix);
struct index_entry index_at(const struct index *ix, uint32_t slot);

// Adds behind the last entry; ignored when it does not ascend. Without memory the entry is left out (an index
// may be sparse).
void index_append(struct index *ix, struct index_entry e);

// Keeps the first `count` entries.
void index_truncate(struct index *ix, uint32_t count);

// How many entries have a field <= key (so the last of them, if any, is the floor).
uint32_t index_count_up_to(const struct index *ix, enum index_field field, int64_t key);

// The same in a file. Returns the count or a negative error; *floor is the last of them, *next the one behind
// (either may be NULL; left alone when there is none). *total is the file's number of entries (may be NULL).
int64_t index_file_count_up_to(int fd, enum index_kind kind, enum index_field field, int64_t key,
                               struct index_entry *floor, struct index_entry *next, int64_t *total);

// One entry of a file. ERR_TRUNCATED when there is no such slot.
int index_file_entry(int fd, enum index_kind kind, int64_t slot, struct index_entry *out);

// Reads a file's entries as far as they ascend and (offset index) point below size_bytes. A missing tail or a
// page of zeros ends them. *whole says whether the file had nothing else.
int index_load(struct index *ix, int fd, int64_t size_bytes, bool *whole);

#endif
