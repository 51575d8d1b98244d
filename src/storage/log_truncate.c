// Changing the extent of a log: truncation, a new log start, deletion.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/reaper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define COPY_BYTES ((size_t)1 << 20)

int64_t log_removal_due_ms(const struct log *log)
{
    return clock_monotonic_ms() + log->config.file_delete_delay_ms;
}

// From the last one on, so that what is left when it fails has no hole.
static int discard(struct log *log, struct segment **gone, uint32_t count)
{
    int rc = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (rc == 0 && (rc = segment_mark_deleted(gone[i], log->reaper, log_removal_due_ms(log))))
            log_warn("storage", "%s: cannot rename the file of segment %" PRId64 " for deletion: %s",
                     log->name, gone[i]->base_offset, err_text(rc));
        segment_unref(gone[i]);
    }
    free(gone);
    return rc;
}

// ---------------------------------------------------------------- cutting a file that somebody reads

static int copy_prefix(int from, int to, int64_t size)
{
    uint8_t *chunk = malloc(COPY_BYTES);
    int rc = chunk ? 0 : ERR_NOMEM;
    for (int64_t at = 0; rc == 0 && at < size;) {
        size_t n = size - at < (int64_t)COPY_BYTES ? (size_t)(size - at) : COPY_BYTES;
        rc = file_read_exactly(from, chunk, n, at);
        if (rc == 0)
            rc = file_write_at(to, chunk, n, at);
        at += (int64_t)n;
    }
    free(chunk);
    return rc ? rc : file_sync(to);
}

// A new segment with the first `size` bytes of the old one, under its name; the old file lives on for those
// who have it open. [lock]
static int replace_by_copy(struct log *log, struct segment *old, int fd, int64_t size, struct segment **out)
{
    char temporary[PATH_MAX], final[PATH_MAX];
    struct segment *s = segment_new(log->place, log->files, old->base_offset);
    int rc = s ? 0 : ERR_NOMEM;
    if (rc == 0)
        rc = segment_file_name(log->place->dir, old->base_offset, SEGMENT_LOG_SUFFIX ".cleaned", temporary);
    if (rc == 0)
        rc = segment_file_name(log->place->dir, old->base_offset, SEGMENT_LOG_SUFFIX, final);
    int to = rc ? rc : file_open(temporary, O_RDWR | O_CREAT | O_TRUNC);
    if (to >= 0) {
        rc = copy_prefix(fd, to, size);
        file_close(to);
        if (rc == 0) {
            atomic_store(&old->state, SEGMENT_REPLACED);
            rc = file_rename(temporary, final);
        }
        if (rc)
            (void)file_unlink(temporary);
    } else {
        rc = to;
    }
    if (rc) {
        segment_unref(s);
        return rc;
    }
    atomic_store(&s->size_bytes, size);
    *out = s;
    return 0;
}

// ---------------------------------------------------------------- truncation

// Readers that start now stay below `offset`, which lies at `position` of the last segment that is kept;
// those that are under way notice. [lock]
static void publish_end(struct log *log, int64_t offset, uint32_t keep, int64_t position,
                        struct segment ***gone, uint32_t *gone_count)
{
    *gone = malloc((log->segment_count + 1) * sizeof(**gone));
    *gone_count = 0;
    pthread_mutex_lock(&log->publish);
    log->end = offset;
    if (log->log_start > offset)
        log->log_start = offset;
    if (log->high_watermark.offset > offset)
        log->high_watermark.offset = offset;
    log->high_watermark.segment_base = LOG_NO_OFFSET;
    if (log->recovery_point > offset)
        log->recovery_point = offset;
    if (log->cleaned_to > offset) // what comes there now is not clean
        log->cleaned_to = offset;
    if (epoch_cache_truncate_end(&log->epochs, offset))
        log->epochs_dirty = true;
    while (*gone && log->segment_count > keep)
        (*gone)[(*gone_count)++] = log->segments[--log->segment_count];
    atomic_store(&log->segments[keep - 1]->size_bytes, position);
    log->directory_dirty = true;
    atomic_fetch_add(&log->truncations, 1);
    pthread_mutex_unlock(&log->publish);
}

// Cuts the segment that is now the last one to `position`, and makes it active. [lock]
static int cut_active(struct log *log, int64_t position)
{
    struct segment *s = log_active(log), *copy = NULL;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    int rc = 0;
    bool read_by_others = cached_file_pins(&s->log_file) > 1;
    if (read_by_others)
        rc = replace_by_copy(log, s, fd, position, &copy);
    else
        rc = file_truncate(fd, position);
    segment_unpin(s);
    if (rc)
        return rc;
    if (copy) {
        pthread_mutex_lock(&log->publish);
        log->segments[log->segment_count - 1] = copy;
        pthread_mutex_unlock(&log->publish);
        segment_unref(s);
        s = copy;
    }
    return 0;
}

// Drops from the index files what lies at or behind the cut; the active segment is then loaded from them.
static int cut_indexes(struct segment *s, int64_t position, int64_t offset)
{
    struct segment_active *a = segment_active_new();
    bool whole;
    if (!a)
        return ERR_NOMEM;
    int rc = 0;
    int fd = segment_open(s, SEGMENT_INDEX_SUFFIX, O_RDWR | O_CREAT);
    if (fd >= 0 && (rc = index_load(&a->offsets, fd, position, &whole)) == 0)
        rc = file_truncate(
            fd, (int64_t)index_count_up_to(&a->offsets, INDEX_BY_OFFSET, offset - 1 - s->base_offset) * 8);
    file_close(fd);
    int time_fd = segment_open(s, SEGMENT_TIME_SUFFIX, O_RDWR | O_CREAT);
    if (rc == 0 && time_fd >= 0 && (rc = index_load(&a->times, time_fd, position, &whole)) == 0)
        rc = file_truncate(
            time_fd,
            (int64_t)index_count_up_to(&a->times, INDEX_BY_OFFSET, offset - 1 - s->base_offset) * 12);
    file_close(time_fd);
    segment_active_free(a);
    if (rc == 0)
        rc = fd < 0 ? fd : time_fd < 0 ? time_fd : log_truncate_aborted_from(s, offset);
    return rc;
}

static int reload_producers(struct log *log, int64_t offset)
{
    int rc = log_remove_snapshots_above(log, offset);
    if (rc == 0)
        rc = log_load_producers(log, INT64_MAX, false, clock_wall_ms());
    if (rc)
        return rc;
    int64_t unstable = producer_state_first_unstable(&log->producers);
    pthread_mutex_lock(&log->publish);
    log->first_unstable = unstable;
    pthread_mutex_unlock(&log->publish);
    return 0;
}

// Where the batch that holds `offset` begins in this segment, or its end.
static int cut_position(struct log *log, struct segment *s, int64_t offset, int64_t *position)
{
    struct batch_place batch;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    int64_t size = segment_size(s, fd);
    int rc = log_find_batch(log, s, fd, offset, size, &batch);
    *position = rc == 0 ? batch.position : size;
    segment_unpin(s);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int truncate_within(struct log *log, int64_t offset)
{
    struct segment **gone;
    uint32_t gone_count, keep = log->segment_count;
    int64_t position, end;
    while (keep > 1 && log->segments[keep - 1]->base_offset > offset)
        keep--;
    struct segment *target = log->segments[keep - 1];
    int rc = cut_position(log, target, offset, &position);
    if (rc == 0 && target->active)
        rc = log_write_indexes(log, target, false); // they are cut in their files and loaded again
    if (rc)
        return rc;
    pthread_mutex_lock(&log->flush_lock);
    pthread_mutex_lock(
        &log->rebuild_lock); // readers that mend a sealed segment's index must not meet its truncation
    publish_end(log, offset, keep, position, &gone, &gone_count);
    rc = gone ? discard(log, gone, gone_count) : ERR_NOMEM;
    if (rc == 0)
        rc = cut_active(log, position);
    if (rc == 0)
        rc = cut_indexes(log_active(log), position, offset);
    if (rc == 0)
        rc = log_load_active(log, log_active(log), &end);
    pthread_mutex_unlock(&log->rebuild_lock);
    if (rc == 0)
        rc = reload_producers(log, offset);
    pthread_mutex_unlock(&log->flush_lock);
    if (rc) // the end is published, the files are not cut: nobody may append
        log_set_offline(log, "cannot truncate", rc);
    return rc;
}

int log_truncate_to(struct log *log, int64_t offset)
{
    int rc = log_ready(log);
    if (rc)
        return rc;
    if (offset < 0)
        return ERR_INVALID;
    if (offset >= log->end) {
        pthread_mutex_lock(&log->publish);
        if (epoch_cache_truncate_end(&log->epochs, log->end)) // an epoch that began here and wrote nothing
            log->epochs_dirty = true;
        pthread_mutex_unlock(&log->publish);
        return 0;
    }
    log_info("storage", "truncating %s from offset %" PRId64 " to %" PRId64, log->name, log->end, offset);
    return log->segments[0]->base_offset > offset ? log_truncate_fully(log, offset)
                                                  : truncate_within(log, offset);
}

int log_truncate_fully(struct log *log, int64_t offset)
{
    int rc = log_usable(log);
    struct segment **gone, *fresh;
    uint32_t gone_count;
    if (rc)
        return rc;
    if (offset < 0)
        return ERR_INVALID;
    log_info("storage", "emptying %s; it starts at offset %" PRId64 " from now on", log->name, offset);
    pthread_mutex_lock(&log->flush_lock);
    pthread_mutex_lock(&log->rebuild_lock);
    publish_end(log, offset, 1, 0, &gone, &gone_count);
    rc = gone ? discard(log, gone, gone_count) : ERR_NOMEM;
    struct segment *last = log->segments[0];
    if (rc == 0) // its name may be needed again
        rc = segment_mark_deleted(last, log->reaper, log_removal_due_ms(log));
    if (rc == 0)
        rc = log_make_segment(log, offset, clock_wall_ms(), &fresh);
    pthread_mutex_unlock(&log->rebuild_lock);
    if (rc == 0)
        rc = log_remove_snapshots_above(log, -1);
    if (rc == 0) {
        producer_state_clear(&log->producers, offset);
        pthread_mutex_lock(&log->index_lock);
        pthread_mutex_lock(&log->publish);
        log->segments[0] = fresh;
        log->log_start = log->end = log->recovery_point = offset;
        log->high_watermark = (struct log_mark){offset, LOG_NO_OFFSET, 0};
        log->first_unstable = LOG_NO_OFFSET;
        epoch_cache_truncate_end(&log->epochs, 0);
        log->epochs_dirty = true;
        atomic_fetch_add(&log->truncations, 1);
        pthread_mutex_unlock(&log->publish);
        pthread_mutex_unlock(&log->index_lock);
        segment_unref(last);
        atomic_store(&log->loaded, true);
    }
    pthread_mutex_unlock(&log->flush_lock);
    if (rc)
        log_set_offline(log, "cannot truncate", rc);
    return rc;
}

int log_set_start_offset(struct log *log, int64_t offset)
{
    int rc = log_ready(log);
    if (rc)
        return rc;
    if (offset > log->high_watermark.offset)
        return ERR_RANGE;
    if (offset <= log->log_start)
        return 0;
    producer_state_replicated(&log->producers, offset);
    int64_t unstable = producer_state_first_unstable(&log->producers);
    pthread_mutex_lock(&log->publish);
    log->log_start = offset;
    log->first_unstable = unstable >= 0 && unstable < offset ? offset : unstable;
    if (epoch_cache_truncate_start(&log->epochs, offset))
        log->epochs_dirty = true;
    pthread_mutex_unlock(&log->publish);
    return 0;
}

// ---------------------------------------------------------------- deletion

int log_aside_path(struct str root, const char *topic, int32_t partition, const char *suffix,
                   char to[PATH_MAX])
{
    struct uuid id = uuid_random();
    char tail[64], hex[33];
    for (int i = 0; i < 16; i++)
        snprintf(hex + (size_t)i * 2, 3, "%02x", id.bytes[i]);
    snprintf(tail, sizeof tail, "-%d.%s%s", partition, hex, suffix);
    size_t size = strlen(topic), room = 255 - strlen(tail); // Kafka cuts long topic names likewise
    int n =
        snprintf(to, PATH_MAX, "%.*s/%.*s%s", STR_ARG(root), (int)(size < room ? size : room), topic, tail);
    return n < PATH_MAX ? 0 : ERR_INVALID;
}

int log_rename_away(struct log *log, const char *suffix)
{
    char to[PATH_MAX];
    const char *dir = log->place->dir, *slash = strrchr(dir, '/');
    if (log_aside_path((struct str){dir, (size_t)(slash - dir)}, log->topic, log->partition, suffix, to))
        return ERR_INVALID;
    char *from = strdup(dir);
    int rc = from ? log_place_rename(log->place, to) : ERR_NOMEM;
    if (rc == 0)
        reaper_moved(log->reaper, from, to);
    free(from);
    return rc;
}

static int move_away(struct log *log, const char *suffix)
{
    atomic_store(&log->deleted, true); // a long flush ends at its next piece
    pthread_mutex_lock(&log->flush_lock);
    int rc = log_rename_away(log, suffix);
    if (rc)
        atomic_store(&log->deleted, false);
    pthread_mutex_unlock(&log->flush_lock);
    return rc;
}

int log_delete(struct log *log)
{
    if (atomic_load(&log->deleted))
        return ERR_CLOSED;
    if (dir_health_failed(log->health)) { // the next start finds it and sets it aside
        atomic_store(&log->deleted, true);
        return ERR_CLOSED;
    }
    int rc = move_away(log, "-delete");
    if (log_note(log, "cannot delete", rc))
        log_error("storage", "cannot delete %s: %s", log->name, err_text(rc));
    else
        reaper_add(log->reaper, log->place->dir, log_removal_due_ms(log));
    return rc;
}

int log_make_stray(struct log *log)
{
    return atomic_load(&log->deleted) ? ERR_CLOSED : move_away(log, "-stray");
}
