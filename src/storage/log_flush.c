// Durability: what was appended reaches the disk, then the recovery point moves. Runs beside appends and
// reads.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LONG_FLUSH_US    20000
#define WRITE_BACK_BYTES (16 << 20)

// What a flush works on, taken in one moment.
struct flush_view {
    struct segment **segments;
    uint32_t count;
    int64_t from, to; // offsets
    unsigned truncations;
    int64_t messages, bytes;
    bool epochs_dirty, directory_dirty;
};

static int sync_file(const char *path)
{
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return fd == ERR_NOT_FOUND ? 0 : fd; // retention was faster
    int rc = file_sync(fd);
    file_close(fd);
    return rc;
}

static int sync_side_file(struct log *log, int64_t base_offset, const char *suffix)
{
    char path[PATH_MAX];
    int rc = segment_file_name(log->place->dir, base_offset, suffix, path);
    return rc ? rc : sync_file(path);
}

int log_write_back(const struct log *log, int fd, int64_t size, int64_t dirty_bytes)
{
    int rc = 0;
    for (int64_t at = 0; rc == 0 && dirty_bytes > WRITE_BACK_BYTES && at < size; at += WRITE_BACK_BYTES)
        rc = atomic_load(&log->deleted) ? ERR_CLOSED : file_write_back(fd, at, WRITE_BACK_BYTES);
    return rc;
}

// A segment's data; of a sealed one its indexes, too: nothing looks at them again after a crash.
static int sync_segment(struct log *log, struct segment *s, const struct flush_view *v, bool sealed,
                        bool aborted)
{
    if (atomic_load(&s->state) != SEGMENT_LIVE)
        return 0;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd == ERR_NOT_FOUND || fd == ERR_AGAIN ? 0 : fd;
    int rc = log_write_back(log, fd, segment_size(s, fd), v->bytes);
    rc = rc ? rc : file_sync_data(fd);
    segment_unpin(s);
    if (rc == 0 && v->directory_dirty)
        rc = sync_side_file(log, s->base_offset, SNAPSHOT_SUFFIX);
    if (rc == 0 && sealed)
        rc = sync_side_file(log, s->base_offset, SEGMENT_INDEX_SUFFIX);
    if (rc == 0 && sealed)
        rc = sync_side_file(log, s->base_offset, SEGMENT_TIME_SUFFIX);
    if (rc == 0 && (sealed || aborted))
        rc = sync_side_file(log, s->base_offset, SEGMENT_TXN_SUFFIX);
    return rc;
}

// Copies the index entries that the file lacks, then writes them and cuts what a recovery found behind them;
// the appender is held up for the copy only.
static int write_behind(struct log *log, struct segment *s, bool times)
{
    struct index copy;
    pthread_mutex_lock(&log->index_lock);
    struct index *ix = !s->active ? NULL : times ? &s->active->times : &s->active->offsets;
    uint32_t from = ix ? ix->written : 0, count = ix ? ix->count - from : 0;
    bool stale = ix && ix->stale_tail;
    size_t bytes = ix ? (size_t)count * index_entry_bytes(ix->kind) : 0;
    copy = (struct index){.kind = times ? INDEX_TIME : INDEX_OFFSET, .bytes = bytes ? malloc(bytes) : NULL};
    if (copy.bytes)
        memcpy(copy.bytes, ix->bytes + (size_t)from * index_entry_bytes(ix->kind), bytes);
    pthread_mutex_unlock(&log->index_lock);
    if (!copy.bytes && (bytes || !stale))
        return bytes ? ERR_NOMEM : 0;
    int fd = segment_open(s, times ? SEGMENT_TIME_SUFFIX : SEGMENT_INDEX_SUFFIX, O_RDWR | O_CREAT);
    int rc = fd < 0 ? fd : 0;
    if (rc == 0 && bytes)
        rc = file_write_at(fd, copy.bytes, bytes, (off_t)from * index_entry_bytes(copy.kind));
    if (rc == 0 && stale)
        rc = file_truncate(fd, (int64_t)(from + count) * index_entry_bytes(copy.kind));
    file_close(fd);
    free(copy.bytes);
    if (rc)
        return rc;
    pthread_mutex_lock(&log->index_lock);
    ix = !s->active ? NULL : times ? &s->active->times : &s->active->offsets;
    if (ix && ix->written == from && ix->count >= from + count) {
        ix->written = from + count;
        ix->stale_tail &= !stale;
    }
    pthread_mutex_unlock(&log->index_lock);
    return 0;
}

int log_sync_directory(struct log *log)
{
    char path[PATH_MAX];
    pthread_mutex_lock(&log->publish);
    bool dirty = log->directory_dirty, fresh = log->directory_fresh;
    log->directory_dirty = log->directory_fresh = false;
    pthread_mutex_unlock(&log->publish);
    int rc = 0;
    if (atomic_exchange(&log->new_metadata, false) &&
        snprintf(path, sizeof path, "%s/partition.metadata", log->place->dir) < (int)sizeof path)
        rc = sync_file(path);
    if (rc == 0 && dirty)
        rc = file_sync_dir(log->place->dir);
    if (rc == 0 && fresh) { // the log's own name, too
        snprintf(path, sizeof path, "%s", log->place->dir);
        char *slash = strrchr(path, '/');
        if (slash && slash != path) {
            *slash = 0;
            rc = file_sync_dir(path);
        }
    }
    if (rc) {
        pthread_mutex_lock(&log->publish);
        log->directory_dirty = true;
        log->directory_fresh |= fresh;
        pthread_mutex_unlock(&log->publish);
    }
    return rc;
}

static int flush_segments(struct log *log, const struct flush_view *v)
{
    int rc = 0;
    bool aborted = atomic_exchange(&log->aborted_dirty, false);
    for (uint32_t i = 0; rc == 0 && i < v->count; i++) {
        bool sealed = i + 1 < v->count;
        // One that ends at the recovery point may have been sealed since: its indexes are not synced yet.
        if (sealed && v->segments[i + 1]->base_offset < v->from)
            continue;
        if (!sealed) {
            rc = write_behind(log, v->segments[i], false);
            if (rc == 0)
                rc = write_behind(log, v->segments[i], true);
            if (rc == ERR_NO_SPACE && log->keep_room)
                rc = 0;
        }
        if (rc == 0)
            rc = sync_segment(log, v->segments[i], v, sealed, aborted);
    }
    if (rc == 0 && v->epochs_dirty) // the epochs of what lies below the recovery point are in no batch that
                                    // is read again
        rc = log_write_epochs(log, true);
    if (rc == 0)
        rc = log_sync_directory(log);
    if (rc && aborted)
        atomic_store(&log->aborted_dirty, true);
    return rc;
}

// False where a swap of files or a truncation came in between: what was synced may not be what the log has.
static bool advance(struct log *log, const struct flush_view *v)
{
    pthread_mutex_lock(&log->publish);
    bool same = atomic_load(&log->truncations) == v->truncations;
    if (same && log->recovery_point < v->to)
        log->recovery_point = v->to;
    pthread_mutex_unlock(&log->publish);
    if (!same)
        return false;
    int64_t left = atomic_fetch_sub(&log->dirty_messages, v->messages) - v->messages;
    atomic_fetch_sub(&log->dirty_bytes, v->bytes);
    if (left <= 0)
        atomic_store(&log->dirty_since_ms, 0);
    return true;
}

static int take_view(struct log *log, struct flush_view *v)
{
    for (;;) {
        v->messages = atomic_load(&log->dirty_messages);
        v->bytes = atomic_load(&log->dirty_bytes);
        v->segments = log_segments(log, &v->count);
        if (!v->segments)
            return ERR_NOMEM;
        pthread_mutex_lock(&log->publish);
        v->from = log->recovery_point;
        v->to = log->end;
        v->truncations = atomic_load(&log->truncations);
        v->epochs_dirty = log->epochs_dirty;
        v->directory_dirty = log->directory_dirty;
        bool same = log_active(log) == v->segments[v->count - 1];
        pthread_mutex_unlock(&log->publish);
        if (same)
            return 0;
        log_segments_release(v->segments, v->count); // rolled in between
    }
}

int log_flush(struct log *log, int64_t up_to_offset)
{
    struct flush_view v;
    if (log_recovery_point(log) >= up_to_offset)
        return 0;
    pthread_mutex_lock(&log->flush_lock);
    atomic_store(&log->flushing_since_us, clock_monotonic_us());
    int rc = log_usable(log);
    for (bool done = false; rc == 0 && !done && log_recovery_point(log) < up_to_offset;) {
        rc = take_view(log, &v);
        if (rc)
            break;
        rc = flush_segments(log, &v);
        if (rc == 0) {
            done = advance(log, &v); // or once more: whoever waits for it may be the last to append for long
            rc = log_usable(log);
        } else if (rc != ERR_NOMEM &&
                   rc != ERR_NO_SPACE && // an index or the epochs found no room: the next one may
                   rc != ERR_CLOSED) {
            log_set_offline(log, "cannot flush", rc);
        }
        log_segments_release(v.segments, v.count);
    }
    atomic_store(&log->flushing_since_us, 0);
    pthread_mutex_unlock(&log->flush_lock);
    return rc;
}

bool log_is_flushing(const struct log *log)
{
    int64_t since_us = atomic_load(&log->flushing_since_us);
    return since_us && clock_monotonic_us() - since_us > LONG_FLUSH_US;
}

void log_dirt(struct log *log, struct log_dirt *out)
{
    *out = (struct log_dirt){.messages = atomic_load(&log->dirty_messages),
                             .bytes = atomic_load(&log->dirty_bytes),
                             .oldest_ms = atomic_load(&log->dirty_since_ms)};
}
