// Loading what a cold log left on disk, and the indexes of segments.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// Loads one index file; what is not usable leaves the index empty.
static int load_index(struct segment *s, struct index *ix, const char *suffix, int64_t size, bool *whole)
{
    *whole = false;
    int fd = segment_open(s, suffix, O_RDONLY);
    if (fd < 0)
        return fd == ERR_NOT_FOUND ? 0 : fd;
    int rc = index_load(ix, fd, size, whole);
    file_close(fd);
    if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED)
        rc = 0;
    return rc;
}

// Whether the batch at the index's last entry is the one that the entry names.
static bool entry_fits(struct segment *s, int fd, int64_t size, const struct index *offsets)
{
    if (offsets->count == 0)
        return true;
    struct index_entry last = index_at(offsets, offsets->count - 1);
    struct segment_scan scan;
    segment_scan_start(&scan, fd, last.position, size);
    return segment_scan_next(&scan) > 0 && scan.batch.last_offset == s->base_offset + last.relative_offset;
}

static void note_first_timestamp(struct segment *s, int fd, int64_t size)
{
    struct segment_scan scan;
    segment_scan_start(&scan, fd, 0, size);
    if (size > 0 && segment_scan_next(&scan) > 0)
        s->first_timestamp_ms = scan.header.max_timestamp_ms;
}

// Walks from the last index entry to the end, and indexes what it sees.
static int scan_active(struct log *log, struct segment *s, int fd, int64_t size, int64_t *end)
{
    struct segment_active *a = s->active;
    struct segment_scan scan;
    int64_t from = a->offsets.count ? index_at(&a->offsets, a->offsets.count - 1).position : 0;
    if (a->times.count) {
        struct index_entry last = index_at(&a->times, a->times.count - 1);
        s->max_timestamp_ms = last.timestamp_ms;
        s->max_timestamp_offset = s->base_offset + last.relative_offset;
    }
    *end = s->base_offset;
    segment_scan_start(&scan, fd, from, size);
    int rc;
    while ((rc = segment_scan_next(&scan)) > 0) {
        if (scan.batch.base_offset < *end || scan.batch.last_offset - s->base_offset > INT32_MAX)
            return ERR_CORRUPT;
        log_index_batch(s, &scan.batch, log->config.index_interval_bytes);
        *end = scan.batch.last_offset + 1;
    }
    return rc;
}

int log_load_active(struct log *log, struct segment *s, int64_t *end)
{
    bool offsets_whole, times_whole;
    int64_t size;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    int rc = file_size(fd, &size);
    struct segment_active *a = segment_active_new();
    if (rc == 0 && !a)
        rc = ERR_NOMEM;
    if (rc == 0)
        rc = load_index(s, &a->offsets, SEGMENT_INDEX_SUFFIX, size, &offsets_whole);
    if (rc == 0)
        rc = load_index(s, &a->times, SEGMENT_TIME_SUFFIX, size, &times_whole);
    if (rc) {
        segment_active_free(a);
        segment_unpin(s);
        return rc;
    }
    if (!offsets_whole || !times_whole || !entry_fits(s, fd, size, &a->offsets)) {
        log_warn("storage", "%s: segment %" PRId64 " has no usable index; rebuilding it", log->name,
                 s->base_offset);
        index_truncate(&a->offsets, 0);
        index_truncate(&a->times, 0);
    }
    pthread_mutex_lock(&log->index_lock);
    segment_active_free(s->active);
    s->active = a;
    s->max_timestamp_ms = LOG_NO_TIMESTAMP;
    s->max_timestamp_offset = s->base_offset;
    s->created_ms = log->opened_ms;
    s->jitter_ms = log_draw_jitter(log, s->base_offset, log->opened_ms);
    s->times_known = true;
    rc = scan_active(log, s, fd, size, end);
    note_first_timestamp(s, fd, size);
    pthread_mutex_unlock(&log->index_lock);
    atomic_store(&s->size_bytes, size);
    segment_unpin(s);
    return rc;
}

// The epochs on disk, and behind them those that were assigned while the log was cold.
int log_load_epochs(struct log *log)
{
    struct epoch_cache disk;
    int rc = log_read_epochs(log, &disk);
    if (rc == ERR_CORRUPT) {
        log_error("storage", "%s: " EPOCH_CACHE_FILE " is damaged; its epochs are lost", log->name);
        rc = 0;
    }
    pthread_mutex_lock(&log->publish);
    for (uint32_t i = 0; rc >= 0 && i < log->epochs.count; i++)
        rc = epoch_cache_assign(&disk, log->epochs.entries[i].epoch, log->epochs.entries[i].start_offset);
    if (rc >= 0) {
        struct epoch_cache old = log->epochs;
        log->epochs = disk;
        disk = old;
    }
    pthread_mutex_unlock(&log->publish);
    epoch_cache_free(&disk);
    return rc < 0 ? rc : 0;
}

static int load(struct log *log)
{
    struct segment *s = log_active(log);
    int64_t end, now_ms = clock_wall_ms();
    int rc = log_load_active(log, s, &end);
    if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED || (rc == 0 && end != log->end)) {
        log_error("storage",
                  "%s should end at offset %" PRId64 ", but segment %" PRId64
                  " does not end there (%s): recovering it",
                  log->name, log->end, s->base_offset, rc ? err_text(rc) : "another offset");
        return log_recover(log, &(struct log_recovery){.recovery_point = s->base_offset, .now_ms = now_ms});
    }
    if (rc == 0)
        rc = log_load_epochs(log);
    if (rc == 0)
        rc = log_load_producers(log, INT64_MAX, log->was_clean, now_ms);
    return rc;
}

int log_load(struct log *log)
{
    int rc = 0;
    if (atomic_load_explicit(&log->loaded, memory_order_acquire))
        return 0;
    pthread_mutex_lock(&log->load_lock);
    if (!atomic_load(&log->loaded)) {
        rc = log_usable(log);
        if (rc == 0 && (rc = load(log)))
            log_set_offline(log, rc == ERR_UNSUPPORTED ? LOG_OLD_MAGIC : "cannot load", rc);
        if (rc == 0) {
            producer_state_replicated(&log->producers, log->high_watermark.offset);
            int64_t unstable = producer_state_first_unstable(&log->producers);
            pthread_mutex_lock(&log->publish);
            log->first_unstable = unstable >= 0 && unstable < log->log_start ? log->log_start : unstable;
            log->high_watermark.segment_base = LOG_NO_OFFSET;
            pthread_mutex_unlock(&log->publish);
            atomic_store_explicit(&log->loaded, true, memory_order_release);
        }
    }
    pthread_mutex_unlock(&log->load_lock);
    return rc;
}
