// The index files of sealed segments: checked on first use, made anew when they are missing or damaged, or
// turn out not to fit.
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int replace_index(struct segment *s, const struct index *ix, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof name, "%020" PRId64 "%s", s->base_offset, suffix);
    return file_replace(s->place->dir, name, ix->bytes, (size_t)ix->count * index_entry_bytes(ix->kind));
}

static int scan_sealed(struct log *log, struct segment *s, int fd, int64_t size)
{
    struct segment_scan scan;
    segment_scan_start(&scan, fd, 0, size);
    int rc;
    while ((rc = segment_scan_next(&scan)) > 0)
        log_index_batch(s, &scan.batch, log->config.index_interval_bytes);
    if (rc && rc != ERR_IO)
        log_error("storage", "%s: segment %" PRId64 " is damaged at byte %" PRId64 ": %s", log->name,
                  s->base_offset, scan.position, err_text(rc));
    return rc == ERR_IO ? rc : 0;
}

static int rebuild(struct log *log, struct segment *s, int fd)
{
    struct segment *scratch = segment_new(s->place, s->files, s->base_offset); // index_batch wants a segment
    if (!scratch || !(scratch->active = segment_active_new())) {
        segment_unref(scratch);
        return ERR_NOMEM;
    }
    log_warn("storage", "%s: segment %" PRId64 " has no usable index files; rebuilding them", log->name,
             s->base_offset);
    int rc = scan_sealed(log, scratch, fd, segment_size(s, fd));
    if (scratch->max_timestamp_ms >= 0)
        index_append(&scratch->active->times,
                     (struct index_entry){.timestamp_ms = scratch->max_timestamp_ms,
                                          .relative_offset =
                                              (uint32_t)(scratch->max_timestamp_offset - s->base_offset)});
    if (rc == 0)
        rc = replace_index(s, &scratch->active->offsets, SEGMENT_INDEX_SUFFIX);
    if (rc == 0)
        rc = replace_index(s, &scratch->active->times, SEGMENT_TIME_SUFFIX);
    file_cache_close(s->files, &s->index_file); // the next one to pin it opens the new file
    segment_unref(scratch);
    return rc;
}

static bool file_is_whole(struct segment *s, enum index_kind kind, int64_t size_bytes)
{
    struct index ix;
    bool whole = false;
    index_init(&ix, kind);
    int fd = segment_open(s, kind == INDEX_OFFSET ? SEGMENT_INDEX_SUFFIX : SEGMENT_TIME_SUFFIX, O_RDONLY);
    if (fd >= 0 && index_load(&ix, fd, size_bytes, &whole))
        whole = false;
    file_close(fd);
    index_free(&ix);
    return whole;
}

// Sealed, and in the list. [rebuild_lock]
static bool is_live(struct log *log, const struct segment *s)
{
    pthread_mutex_lock(&log->index_lock);
    bool live = !s->active && atomic_load(&s->state) == SEGMENT_LIVE; // a truncation may have made it active
    pthread_mutex_unlock(&log->index_lock);
    return live;
}

int log_check_indexes(struct log *log, struct segment *s)
{
    if (atomic_load_explicit(&s->checked, memory_order_acquire))
        return 0;
    int rc = 0, fd = segment_pin(s);
    if (fd < 0)
        return fd;
    pthread_mutex_lock(&log->rebuild_lock);
    int64_t size = segment_size(s, fd);
    bool live = is_live(log, s);
    if (live && !atomic_load(&s->checked) &&
        (!file_is_whole(s, INDEX_OFFSET, size) || !file_is_whole(s, INDEX_TIME, size)))
        rc = rebuild(log, s, fd);
    if (rc == 0 && live)
        atomic_store_explicit(&s->checked, true, memory_order_release);
    pthread_mutex_unlock(&log->rebuild_lock);
    segment_unpin(s);
    return rc;
}

int log_mend_indexes(struct log *log, struct segment *s)
{
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    pthread_mutex_lock(&log->rebuild_lock);
    int rc = is_live(log, s) && !atomic_load(&s->mended) ? rebuild(log, s, fd) : ERR_CORRUPT;
    if (rc == 0)
        atomic_store(&s->mended, true);
    pthread_mutex_unlock(&log->rebuild_lock);
    segment_unpin(s);
    return rc;
}

// The last entry, as far as the last two and the first one agree with each other.
static int last_time_entry(struct segment *s, struct index_entry *last)
{
    int64_t size;
    struct index_entry before, first;
    int fd = segment_open(s, SEGMENT_TIME_SUFFIX, O_RDONLY);
    if (fd < 0)
        return fd;
    int rc = file_size(fd, &size);
    int64_t count = size / index_entry_bytes(INDEX_TIME);
    if (rc == 0 && (count == 0 || size % index_entry_bytes(INDEX_TIME)))
        rc = ERR_NOT_FOUND;
    if (rc == 0)
        rc = index_file_entry(fd, INDEX_TIME, count - 1, last);
    if (rc == 0 && count > 1)
        rc = index_file_entry(fd, INDEX_TIME, count - 2, &before);
    if (rc == 0 && count > 1)
        rc = index_file_entry(fd, INDEX_TIME, 0, &first);
    if (rc == 0 && count > 1 &&
        (last->timestamp_ms <= before.timestamp_ms || last->relative_offset < before.relative_offset ||
         last->timestamp_ms < first.timestamp_ms))
        rc = ERR_NOT_FOUND;
    file_close(fd);
    return rc;
}

int log_segment_times(struct log *log, struct segment *s, int64_t *max_timestamp_ms, int64_t *offset)
{
    struct index_entry last;
    pthread_mutex_lock(&log->index_lock);
    bool known = s->times_known;
    *max_timestamp_ms = s->max_timestamp_ms;
    *offset = s->max_timestamp_offset;
    pthread_mutex_unlock(&log->index_lock);
    if (known)
        return 0;
    int rc = last_time_entry(s, &last);
    if (rc == ERR_NOT_FOUND && log_check_indexes(log, s) == 0)
        rc = last_time_entry(s, &last);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    *max_timestamp_ms = rc == 0 ? last.timestamp_ms : LOG_NO_TIMESTAMP;
    *offset = rc == 0 ? s->base_offset + last.relative_offset : s->base_offset;
    pthread_mutex_lock(&log->index_lock);
    if (!s->times_known) {
        s->times_known = true;
        s->max_timestamp_ms = *max_timestamp_ms;
        s->max_timestamp_offset = *offset;
    } else { // a load has been faster, and knows what the index does not
        *max_timestamp_ms = s->max_timestamp_ms;
        *offset = s->max_timestamp_offset;
    }
    pthread_mutex_unlock(&log->index_lock);
    return 0;
}
