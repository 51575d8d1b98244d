// Memory that is freed all at once: an arena per request, per decoded message, per tool run.
// Not thread-safe: one thread at a time. Blocks are chained; the first may be the caller's own.
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"

#include <stdarg.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; // newest first
    uint8_t *at, *end;          // free space of the newest block
    size_t used_bytes;          // handed out since the last reset, with alignment, and charged
    size_t limit_bytes;         // 0: none. Beyond it arena_alloc returns NULL
    size_t first_bytes;         // of the first block; 0: the usual. For one of many that get little
};

// An empty arena; allocates nothing before the first use. limit_bytes 0 means unlimited.
void arena_init(struct arena *a, size_t limit_bytes);

// Uninitialised memory, aligned to 16 bytes, valid until reset or free; NULL when out of memory or above the
// limit. size 0 gives a unique non-NULL pointer.
void *arena_alloc(struct arena *a, size_t size);

// The same, zeroed; NULL also when n * size overflows.
void *arena_zalloc(struct arena *a, size_t n, size_t size);

// Counts `size` bytes as handed out, for what costs time as memory does. False: above the limit.
static inline bool arena_charge(struct arena *a, size_t size)
{
    if (a->limit_bytes && size > a->limit_bytes - a->used_bytes)
        return false;
    a->used_bytes += size;
    return true;
}

// A copy in the arena. The copy of a null view is a null view; on failure returns a null view.
// A str's copy is terminated by a zero byte that size does not count.
struct str arena_str(struct arena *a, struct str s);
struct bytes arena_bytes(struct arena *a, struct bytes b);

// Formats into the arena; terminated. A null view on failure.
struct str arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct str arena_vprintf(struct arena *a, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

// Forgets everything handed out; keeps one block for the next use.
void arena_reset(struct arena *a);

// Frees everything; the arena may be used again.
void arena_free(struct arena *a);

#endif
