// Cleans one log at a time: builds the table of the dirty part's keys, then rewrites segment by segment what
// is left (compaction as Kafka's log cleaner does it). A cleaner belongs to one thread.
#ifndef STORAGE_CLEANER_H
#define STORAGE_CLEANER_H

#include "storage/cleaner_decide.h"
#include "storage/cleaner_throttle.h"
#include "storage/log.h"

struct cleaner;

struct cleaner_params {
    size_t keys_bytes;  // of the table; log.cleaner.dedupe.buffer.size, a thread's share
    double load_factor; // log.cleaner.io.buffer.load.factor
    size_t chunk_bytes; // read and written at once; half a thread's share of log.cleaner.io.buffer.size
    struct cleaner_throttle *throttle; // shared by all cleaners; NULL: none
    // Waits for some microseconds, or returns false at the stop. NULL: no stop, no throttle.
    bool (*wait)(void *arg, int64_t us);
    void *arg;
};

struct cleaner *cleaner_new(const struct cleaner_params *params); // NULL: out of memory
void cleaner_free(struct cleaner *c);                             // NULL is fine

struct cleaner_stats {
    int64_t first_dirty, end; // offsets
    int64_t bytes_mapped, bytes_read, bytes_written;
    int64_t records_read, records_kept, keyless;
    size_t groups, segments;
    int64_t keys, keys_most;
    int64_t map_us, total_us;
};

// What of the log can be cleaned now. Cheap for a log where nothing can: it stays cold. `compact` only. 0, or
// an error.
int cleaner_look(struct log *log, int64_t now_ms, struct cleaner_range *out);

// A round. What it has replaced stays replaced whatever happens afterwards. The log's locks are held for the
// swaps only. 0, ERR_AGAIN when the log was truncated, lost segments to retention or is not compacted any
// more meanwhile; ERR_CLOSED when it was deleted or is offline; ERR_STOPPED; otherwise the log is in a state
// that another try would meet again: ERR_CORRUPT, ERR_TRUNCATED, ERR_UNSUPPORTED, ERR_LIMIT, or ERR_IO,
// ERR_NO_SPACE, ERR_NOMEM.
int cleaner_clean(struct cleaner *c, struct log *log, const struct cleaner_range *range, int64_t now_ms,
                  struct cleaner_stats *stats);

#endif
