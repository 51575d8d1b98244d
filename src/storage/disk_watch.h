// Watches the file systems of the log directories: says of each (dir_health.full) whether less than a limit
// is free, and takes one off line that is gone or was mounted read-only.
#ifndef STORAGE_DISK_WATCH_H
#define STORAGE_DISK_WATCH_H

#include "storage/dir_health.h"

#include <stdint.h>

struct disk_watch;

// Whether a directory counts as full, by what is free and whether it was full before: it is from below the
// limit on, until an eighth more than the limit is free.
bool disk_watch_full(int64_t free_bytes, int64_t limit_bytes, bool was_full);

// How long nobody needs to look: so briefly that what is free cannot be used up meanwhile, at most a second.
int64_t disk_watch_wait_ms(int64_t free_bytes, int64_t limit_bytes);

// Looks at once, and then from a thread of its own (named disk-watch) until disk_watch_stop. The healths
// outlive it. min_free_bytes 0: directories are never full. NULL when it cannot start.
struct disk_watch *disk_watch_start(struct dir_health *const *dirs, size_t count, int64_t min_free_bytes);
void disk_watch_stop(struct disk_watch *w); // NULL is fine

#endif
