// What of a log can be cleaned: the facts for cleaner_range.
#include "base/error.h"
#include "os/file.h"
#include "storage/cleaner.h"
#include "storage/log_state.h"

#include <stdlib.h>

static int size_of(struct segment *s, int64_t *out)
{
    char path[PATH_MAX];
    *out = atomic_load(&s->size_bytes);
    if (*out >= 0)
        return 0;
    int rc = segment_file_name(s->place->dir, s->base_offset, SEGMENT_LOG_SUFFIX, path);
    if (rc == 0)
        rc = file_stat(path, out, NULL);
    return rc;
}

// The time of the segment's first batch, or -1. Read once.
static int first_time(struct log *log, struct segment *s, int64_t *out)
{
    struct segment_scan scan;
    pthread_mutex_lock(&log->index_lock);
    *out = s->first_timestamp_ms;
    pthread_mutex_unlock(&log->index_lock);
    if (*out != LOG_NO_TIMESTAMP)
        return 0;
    int rc = segment_first_batch(s, &scan);
    if (rc <= 0)
        return rc;
    *out = scan.batch.max_timestamp_ms;
    pthread_mutex_lock(&log->index_lock);
    s->first_timestamp_ms = *out;
    pthread_mutex_unlock(&log->index_lock);
    return 0;
}

static int describe(struct log *log, struct segment **segments, uint32_t count, const struct log_config *c,
                    struct cleaner_segment *out)
{
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        bool sealed = i + 1 < count;
        out[i].base_offset = segments[i]->base_offset;
        rc = size_of(segments[i], &out[i].size_bytes);
        if (rc == 0 && sealed && c->min_compaction_lag_ms > 0)
            rc = log_largest_time(log, segments[i], &out[i].largest_timestamp_ms);
        if (rc == 0 && sealed && c->max_compaction_lag_ms < INT64_MAX)
            rc = first_time(log, segments[i], &out[i].first_timestamp_ms);
    }
    return rc;
}

static void take_offsets(struct log *log, bool load, struct cleaner_view *v)
{
    struct log_offsets o = {0};
    if (load)
        log_offsets(log, &o);
    pthread_mutex_lock(&log->publish);
    v->log_start_offset = log->log_start;
    v->end_offset = log->end;
    v->last_stable_offset = load ? o.last_stable_offset : log->high_watermark.offset;
    v->cleaned_to = log->cleaned_to;
    pthread_mutex_unlock(&log->publish);
}

int cleaner_look(struct log *log, int64_t now_ms, struct cleaner_range *out)
{
    struct log_config config;
    uint32_t count;
    *out = (struct cleaner_range){0};
    int rc = log_usable(log);
    if (rc || log_segment_count(log) < 2) // the active segment alone is never cleaned
        return rc;
    log_get_config(log, &config);
    struct segment **segments = log_segments(log, &count);
    struct cleaner_segment *described = segments ? calloc(count, sizeof *described) : NULL;
    rc = described ? describe(log, segments, count, &config, described) : ERR_NOMEM;
    struct cleaner_view v = {.segments = described,
                             .count = count,
                             .min_lag_ms = config.min_compaction_lag_ms,
                             .max_lag_ms = config.max_compaction_lag_ms,
                             .now_ms = now_ms};
    if (rc == 0) {
        take_offsets(log, false, &v);
        cleaner_range(&v, out);
        // Only a log that may be due is loaded, which tells its last stable offset.
        if (cleaner_is_due(out, config.min_cleanable_dirty_ratio)) {
            take_offsets(log, true, &v);
            cleaner_range(&v, out);
        }
    }
    free(described);
    if (segments)
        log_segments_release(segments, count);
    return rc == ERR_NOT_FOUND ? ERR_AGAIN : rc; // retention was faster
}
