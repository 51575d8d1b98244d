// A bounded set of open files. Each user embeds a struct cached_file; pinning it opens the file when it is
// not open, and while it is pinned it stays open. Unpinned files are closed by need, roughly in the order of
// their last use (CLOCK). Pinned ones lie outside the bound. Any thread; pinning an open file is one atomic
// operation.
#ifndef STORAGE_FILE_CACHE_H
#define STORAGE_FILE_CACHE_H

#include "base/list.h"

#include <stdatomic.h>
#include <stdint.h>

struct file_cache;

struct cached_file {
    _Atomic uint64_t state; // bits 63..32: descriptor + 1; 31: used since the hand passed; 30..0: pins
    struct list ring;       // under the cache's lock
};

struct file_cache *file_cache_new(size_t open_max); // NULL: out of memory
void file_cache_free(struct file_cache *cache);     // every file is closed by then

void cached_file_init(struct cached_file *file);

// The descriptor, valid until unpin; or the error of open_fn (which returns a descriptor or an error).
int file_cache_pin(struct file_cache *cache, struct cached_file *file, int (*open_fn)(void *arg), void *arg);
void file_cache_unpin(struct cached_file *file);

uint32_t cached_file_pins(const struct cached_file *file);

// Closes the file if it is open. It is not pinned.
void file_cache_close(struct file_cache *cache, struct cached_file *file);

size_t file_cache_open_count(struct file_cache *cache);

#endif
