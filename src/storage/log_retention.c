// Which segments retention no longer wants, and their removal.
#include "storage/log_retention.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdlib.h>

// A segment may go when everything in it lies below the high watermark; an empty active one never goes.
static bool removable(const struct retention_segment *s, size_t i, size_t count, int64_t high_watermark)
{
    return high_watermark >= s->end_offset && !(i + 1 == count && s->size_bytes == 0);
}

size_t retention_decide(const struct retention_view *v, struct retention_reason *reason)
{
    size_t by_start = 0, by_size = 0, by_time = 0;
    *reason = (struct retention_reason){0};
    while (by_start + 1 < v->count &&
           removable(&v->segments[by_start], by_start, v->count, v->high_watermark) &&
           v->segments[by_start + 1].base_offset <= v->log_start_offset)
        by_start++;
    reason->start_offset = by_start;
    if (!v->cleanup_delete)
        return by_start;
    int64_t total = 0, excess;
    for (size_t i = by_start; i < v->count; i++)
        total += v->segments[i].size_bytes;
    excess = total - v->retention_bytes;
    by_size = by_start;
    while (v->retention_bytes >= 0 && by_size < v->count &&
           removable(&v->segments[by_size], by_size, v->count, v->high_watermark) &&
           excess - v->segments[by_size].size_bytes >= 0)
        excess -= v->segments[by_size++].size_bytes;
    reason->size = by_size - by_start;
    by_time = by_size;
    while (v->retention_ms >= 0 && by_time < v->count &&
           removable(&v->segments[by_time], by_time, v->count, v->high_watermark) &&
           v->now_ms - v->segments[by_time].largest_timestamp_ms > v->retention_ms)
        by_time++;
    reason->time = by_time - by_size;
    return by_time;
}

static int describe(struct log *log, struct segment *s, int64_t end, bool wants_time,
                    struct retention_segment *out)
{
    char path[PATH_MAX];
    int64_t offset, size = atomic_load(&s->size_bytes), modified = 0;
    *out = (struct retention_segment){.base_offset = s->base_offset, .end_offset = end};
    int rc = segment_file_name(s->place->dir, s->base_offset, SEGMENT_LOG_SUFFIX, path);
    if (rc == 0 && (size < 0 || wants_time))
        rc = file_stat(path, size < 0 ? &size : NULL, &modified);
    if (rc == 0 && wants_time && size > 0)
        rc = log_segment_times(log, s, &out->largest_timestamp_ms, &offset);
    if (size == 0 || out->largest_timestamp_ms < 0) // no record has a time: the file's counts
        out->largest_timestamp_ms = modified;
    out->size_bytes = size;
    return rc;
}

// They could not be renamed: a later round tries again, and until then they tell where the log's start lies
// in what the checkpoint says. There is room in the list: they have just left it. [lock]
static void put_back(struct log *log, struct segment **segments, size_t count)
{
    pthread_mutex_lock(&log->publish);
    memmove(log->segments + count, log->segments, log->segment_count * sizeof(*segments));
    memcpy(log->segments, segments, count * sizeof(*segments));
    log->segment_count += (uint32_t)count;
    pthread_mutex_unlock(&log->publish);
}

// Takes the first `count` segments away. [lock]
static int remove_first(struct log *log, size_t count, int64_t now_ms)
{
    int rc = 0;
    if (count == log->segment_count) { // there is always an active one
        rc = log_roll_at(log, log->end, now_ms);
        if (rc == ERR_NO_SPACE && --count > 0)
            rc = 0; // the others make the room for it
        if (rc)
            return rc;
    }
    int64_t start = log->segments[count]->base_offset;
    if (log->high_watermark.offset < start)
        return 0;
    rc = log_set_start_offset(log, start > log->log_start ? start : log->log_start);
    if (rc)
        return rc;
    struct segment **gone = malloc(count * sizeof(*gone));
    if (!gone)
        return ERR_NOMEM;
    pthread_mutex_lock(&log->publish);
    memcpy(gone, log->segments, count * sizeof(*gone));
    memmove(log->segments, log->segments + count, (log->segment_count - count) * sizeof(*gone));
    log->segment_count -= (uint32_t)count;
    log->directory_dirty = true;
    pthread_mutex_unlock(&log->publish);
    size_t done = 0;
    for (; done < count; done++) {
        rc = segment_mark_deleted(gone[done], log->reaper,
                                  clock_monotonic_ms() + log->config.file_delete_delay_ms);
        if (rc)
            break;
        log_remove_snapshot(log, gone[done]->base_offset);
        segment_unref(gone[done]);
    }
    if (rc)
        put_back(log, gone + done, count - done);
    free(gone);
    return rc;
}

// What retention may look at; `segments` has room for all. [lock]
static int look(struct log *log, int64_t now_ms, struct retention_segment *segments, struct retention_view *v)
{
    const struct log_config *c = &log->config;
    *v = (struct retention_view){.segments = segments,
                                 .count = log->segment_count,
                                 .log_start_offset = log->log_start,
                                 .high_watermark = log->high_watermark.offset,
                                 .now_ms = now_ms,
                                 .cleanup_delete = c->cleanup_delete,
                                 .retention_ms = c->retention_ms,
                                 .retention_bytes = c->retention_bytes};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v->count; i++)
        rc = describe(log, log->segments[i], i + 1 < v->count ? log->segments[i + 1]->base_offset : log->end,
                      c->cleanup_delete && c->retention_ms >= 0, &segments[i]);
    return rc;
}

// How many segments go. A cold log is loaded only when something has to: then its active segment, whose time
// index may end before its records do (the log was not closed), is looked at again. [lock]
static int decide(struct log *log, int64_t now_ms, struct retention_segment *segments,
                  struct retention_view *v, struct retention_reason *reason, size_t *count)
{
    bool cold = !atomic_load(&log->loaded);
    int rc = look(log, now_ms, segments, v);
    *count = rc ? 0 : retention_decide(v, reason);
    if (*count == 0 || !cold)
        return rc;
    size_t before = log->segment_count;
    rc = log_ready(log);
    if (rc == 0 && log->segment_count != before) { // it was recovered: another round looks
        *count = 0;
        return 0;
    }
    if (rc == 0)
        rc = look(log, now_ms, segments, v);
    *count = rc ? 0 : retention_decide(v, reason);
    return rc;
}

int log_apply_retention(struct log *log, int64_t now_ms, size_t *removed)
{
    struct retention_reason reason;
    struct retention_view v;
    size_t count;
    *removed = 0;
    int rc = log_usable(log);
    if (rc)
        return rc;
    struct retention_segment *segments = calloc(log->segment_count, sizeof *segments);
    if (!segments)
        return ERR_NOMEM;
    rc = decide(log, now_ms, segments, &v, &reason, &count);
    if (rc == 0 && count) {
        log_info("storage",
                 "%s: removing %zu segments below offset %" PRId64
                 " (%zu below the log start, %zu over retention.bytes, %zu "
                 "over retention.ms)",
                 log->name, count, count < v.count ? segments[count].base_offset : log->end,
                 reason.start_offset, reason.size, reason.time);
        rc = log_note(log, "cannot remove segments of", remove_first(log, count, now_ms));
        *removed = rc ? 0 : count;
    }
    free(segments);
    return rc;
}
