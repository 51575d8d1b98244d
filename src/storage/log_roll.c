// New segments: making one, and sealing the active one in favour of it.
#include "base/error.h"
#include "base/logger.h"
#include "base/map.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Creates an empty file, in place of one that a crash left behind.
static int make_empty(struct segment *s, const char *suffix)
{
    int fd = segment_open(s, suffix, O_RDWR | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    file_close(fd);
    return 0;
}

int64_t log_draw_jitter(const struct log *log, int64_t base_offset, int64_t now_ms)
{
    const struct log_config *c = &log->config;
    int64_t most = c->segment_jitter_ms < c->segment_ms ? c->segment_jitter_ms : c->segment_ms;
    if (most <= 0)
        return 0;
    uint64_t of_log = hash_bytes(log->name, strlen(log->name)); // many logs are made in the same millisecond
    return (int64_t)(hash_int(of_log ^ (uint64_t)(base_offset ^ now_ms)) % (uint64_t)most);
}

int log_make_segment(struct log *log, int64_t base_offset, int64_t now_ms, struct segment **out)
{
    struct segment *s = segment_new(log->place, log->files, base_offset);
    if (!s)
        return ERR_NOMEM;
    s->active = segment_active_new();
    s->created_ms = now_ms;
    s->times_known = true;
    s->jitter_ms = log_draw_jitter(log, base_offset, now_ms);
    char path[PATH_MAX];
    int rc = s->active ? 0 : ERR_NOMEM;
    if (rc == 0)
        rc = make_empty(s, SEGMENT_INDEX_SUFFIX);
    if (rc == 0)
        rc = make_empty(s, SEGMENT_TIME_SUFFIX);
    if (rc == 0 && segment_file_name(log->place->dir, base_offset, SEGMENT_TXN_SUFFIX, path) == 0) {
        rc = file_unlink(path);
        rc = rc == ERR_NOT_FOUND ? 0 : rc;
    }
    if (rc == 0)
        rc =
            make_empty(s, SEGMENT_LOG_SUFFIX); // last: without it the others are orphans that a start removes
    if (rc == 0 && log->config.preallocate)
        log_preallocate(log, s);
    pthread_mutex_lock(&log->publish);
    log->directory_dirty = true;
    pthread_mutex_unlock(&log->publish);
    if (rc) {
        segment_unref(s);
        return rc;
    }
    *out = s;
    return 0;
}

// Writes the rest of an in-memory index and cuts what its file has beyond it. The entries themselves change
// by the appender only, which is us; the count of those that are written also by flushes. [lock]
static int write_index(struct log *log, struct segment *s, struct index *ix, const char *suffix)
{
    uint32_t bytes = index_entry_bytes(ix->kind), from, count = ix->count;
    pthread_mutex_lock(&log->index_lock);
    from = ix->written;
    bool stale = ix->stale_tail, needed = from < count || stale;
    pthread_mutex_unlock(&log->index_lock);
    if (!needed)
        return 0;
    int fd = segment_open(s, suffix, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    int rc = from < count ? file_write_at(fd, ix->bytes + (size_t)from * bytes,
                                          (size_t)(count - from) * bytes, (off_t)from * bytes)
                          : 0;
    if (rc == 0 && stale)
        rc = file_truncate(fd, (int64_t)count * bytes);
    file_close(fd);
    if (rc)
        return rc;
    pthread_mutex_lock(&log->index_lock);
    ix->written = count;
    ix->stale_tail = false;
    pthread_mutex_unlock(&log->index_lock);
    return 0;
}

int log_write_indexes(struct log *log, struct segment *s, bool ends)
{
    struct segment_active *a = s->active;
    pthread_mutex_lock(&log->index_lock);
    if (ends && s->max_timestamp_ms >= 0)
        index_append(&a->times, (struct index_entry){
                                    .timestamp_ms = s->max_timestamp_ms,
                                    .relative_offset = (uint32_t)(s->max_timestamp_offset - s->base_offset)});
    pthread_mutex_unlock(&log->index_lock);
    int rc = write_index(log, s, &a->offsets, SEGMENT_INDEX_SUFFIX);
    if (rc == 0)
        rc = write_index(log, s, &a->times, SEGMENT_TIME_SUFFIX);
    if (rc)
        log_warn("storage", "%s: cannot write the indexes of segment %" PRId64 ": %s", log->name,
                 s->base_offset, err_text(rc));
    return rc;
}

int log_roll_at(struct log *log, int64_t offset, int64_t now_ms)
{
    struct segment *old = log_active(log), *fresh = NULL;
    int rc = log_write_indexes(log, old, true);
    log_give_back_reserve(old);
    log->producers.end_offset = offset;
    if (rc == 0 && offset > log->producers.snapshot_offset)
        rc = log_write_snapshot(log, offset, false);
    if (rc == 0)
        rc = log_make_segment(log, offset, now_ms, &fresh);
    if (rc)
        return rc;
    pthread_mutex_lock(&log->index_lock);
    pthread_mutex_lock(&log->publish);
    rc = log_add_segment_locked(log, fresh);
    struct segment_active *sealed = NULL;
    if (rc == 0) {
        sealed = old->active;
        atomic_store(&old->checked, true);
        old->active = NULL;
        if (log->high_watermark.offset >= log->end)
            log->high_watermark = (struct log_mark){log->high_watermark.offset, fresh->base_offset, 0};
    }
    pthread_mutex_unlock(&log->publish);
    pthread_mutex_unlock(&log->index_lock);
    segment_active_free(sealed);
    if (rc)
        segment_unref(fresh); // its empty files stay: the next roll makes them anew
    return rc;
}

int log_roll(struct log *log, int64_t now_ms)
{
    int rc = log_ready(log);
    if (rc || atomic_load(&log_active(log)->size_bytes) == 0)
        return rc;
    return log_note(log, "cannot roll", log_roll_at(log, log->end, now_ms));
}
