// Offsets by timestamp.
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdlib.h>

#define UNPACKED_MAX_BYTES ((size_t)256 << 20) // of one batch

// What a search wants of a record.
struct wanted {
    int64_t timestamp_ms;
    int64_t from_offset;
    bool exactly; // this timestamp, not a later one
};

// The first record of the batch that fits. 0, ERR_NOT_FOUND or an error.
static int search_batch(const struct segment_scan *scan, const struct wanted *w, struct log_time_offset *out)
{
    struct buffer bytes = BUFFER_INIT, scratch = BUFFER_INIT;
    struct bytes body;
    int rc = segment_scan_read(scan, &bytes);
    if (rc == 0)
        rc = batch_body(&scan->header, (struct bytes){bytes.data, bytes.size}, UNPACKED_MAX_BYTES, &scratch,
                        &body);
    struct record_cursor cursor = {0};
    struct record record;
    if (rc == 0)
        cursor = record_cursor(body, scan->header.count);
    bool found = false;
    while (rc == 0 && !found && (rc = record_cursor_next(&cursor, &record)) > 0) {
        int64_t time = record_timestamp_ms(&scan->header, &record),
                offset = record_offset(&scan->header, &record);
        rc = 0;
        found = offset >= w->from_offset && (w->exactly ? time == w->timestamp_ms : time >= w->timestamp_ms);
        if (found)
            *out = (struct log_time_offset){offset, time, scan->header.leader_epoch};
    }
    buffer_free(&bytes);
    buffer_free(&scratch);
    return found ? 0 : rc ? rc : ERR_NOT_FOUND;
}

static int search_segment(struct log *log, struct segment *s, int64_t from_offset, const struct wanted *w,
                          struct log_time_offset *out)
{
    struct segment_scan scan;
    int64_t limit;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    int rc = log_bound_position(log, s, fd, log_end_offset(log), &limit);
    if (rc == 0) {
        segment_scan_start(&scan, fd, log_index_floor(log, s, from_offset), limit);
        int found = ERR_NOT_FOUND;
        while (found == ERR_NOT_FOUND && (rc = segment_scan_next(&scan)) > 0) {
            int64_t max = scan.batch.max_timestamp_ms;
            if (w->exactly ? max == w->timestamp_ms : max >= w->timestamp_ms)
                found = search_batch(&scan, w, out);
        }
        rc = rc < 0 ? rc : found;
    }
    segment_unpin(s);
    return rc;
}

// The offset of the time index's last entry with a timestamp <= timestamp_ms, or the segment's base.
static int64_t time_floor(struct log *log, struct segment *s, int64_t timestamp_ms)
{
    struct index_entry floor = {0};
    pthread_mutex_lock(&log->index_lock);
    bool sealed = s->active == NULL;
    if (!sealed) {
        uint32_t n = index_count_up_to(&s->active->times, INDEX_BY_TIME, timestamp_ms);
        if (n)
            floor = index_at(&s->active->times, n - 1);
    }
    pthread_mutex_unlock(&log->index_lock);
    if (sealed && log_check_indexes(log, s) == 0) {
        int fd = segment_open(s, SEGMENT_TIME_SUFFIX, O_RDONLY);
        if (fd >= 0 &&
            index_file_count_up_to(fd, INDEX_TIME, INDEX_BY_TIME, timestamp_ms, &floor, NULL, NULL) <= 0)
            floor.relative_offset = 0;
        file_close(fd);
    }
    return s->base_offset + floor.relative_offset;
}

int log_largest_time(struct log *log, struct segment *s, int64_t *out)
{
    char path[PATH_MAX];
    int64_t offset;
    int rc = log_segment_times(log, s, out, &offset);
    if (rc == 0 && *out < 0) {
        rc = segment_file_name(s->place->dir, s->base_offset, SEGMENT_LOG_SUFFIX, path);
        if (rc == 0)
            rc = file_stat(path, NULL, out);
    }
    return rc;
}

int log_offset_for_time(struct log *log, int64_t timestamp_ms, struct log_time_offset *out)
{
    uint32_t count;
    int64_t largest, start = 0;
    int rc = log_ready(log);
    if (rc)
        return rc;
    struct log_offsets offsets;
    log_offsets(log, &offsets);
    start = offsets.log_start_offset;
    struct segment **segments = log_segments(log, &count);
    rc = ERR_NOT_FOUND;
    for (uint32_t i = 0; i < count; i++) {
        int one = log_largest_time(log, segments[i], &largest);
        if (one == 0 && largest < timestamp_ms)
            continue;
        int64_t from = time_floor(log, segments[i], timestamp_ms);
        struct wanted w = {.timestamp_ms = timestamp_ms, .from_offset = start};
        rc = one ? one : search_segment(log, segments[i], from > start ? from : start, &w, out);
        break;
    }
    log_segments_release(segments, count);
    return rc;
}

int log_offset_of_max_time(struct log *log, struct log_time_offset *out)
{
    uint32_t count;
    int rc = log_ready(log);
    if (rc)
        return rc;
    struct segment **segments = log_segments(log, &count), *best = NULL;
    int64_t best_time = INT64_MIN, best_offset = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        int64_t time, offset;
        rc = log_segment_times(log, segments[i], &time, &offset);
        if (rc == 0 && time > best_time) {
            best = segments[i];
            best_time = time;
            best_offset = offset;
        }
    }
    struct wanted w = {.timestamp_ms = best_time, .from_offset = INT64_MIN, .exactly = true};
    if (rc == 0)
        rc = best ? search_segment(log, best, best_offset, &w, out) : ERR_NOT_FOUND;
    log_segments_release(segments, count);
    return rc;
}
