// Finding batches in a segment: by the remembered tail, by the index and by walking headers.
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>

static int64_t sealed_floor(struct log *log, struct segment *s, int64_t offset)
{
    struct index_entry floor = {0};
    if (log_check_indexes(log, s))
        return 0;
    int fd = segment_pin_index(s);
    if (fd < 0)
        return 0;
    int64_t n = index_file_count_up_to(fd, INDEX_OFFSET, INDEX_BY_OFFSET, offset - s->base_offset, &floor,
                                       NULL, NULL);
    segment_unpin_index(s);
    return n > 0 ? floor.position : 0;
}

int64_t log_index_floor(struct log *log, struct segment *s, int64_t offset)
{
    int64_t position = 0;
    pthread_mutex_lock(&log->index_lock);
    bool sealed = s->active == NULL;
    if (!sealed) {
        uint32_t n = index_count_up_to(&s->active->offsets, INDEX_BY_OFFSET, offset - s->base_offset);
        position = n ? index_at(&s->active->offsets, n - 1).position : 0;
    }
    pthread_mutex_unlock(&log->index_lock);
    return sealed ? sealed_floor(log, s, offset) : position;
}

static int scan_for(int fd, int64_t position, int64_t limit, int64_t offset, struct batch_place *out)
{
    struct segment_scan scan;
    segment_scan_start(&scan, fd, position, limit);
    int rc;
    while ((rc = segment_scan_next(&scan)) > 0) {
        if (scan.batch.last_offset >= offset) {
            *out = scan.batch;
            return 0;
        }
    }
    return rc == 0 ? ERR_NOT_FOUND : rc;
}

int log_find_batch(struct log *log, struct segment *s, int fd, int64_t offset, int64_t limit,
                   struct batch_place *out)
{
    unsigned before = atomic_load(&log->truncations);
    pthread_mutex_lock(&log->index_lock);
    bool found = s->active && segment_tail_find(s->active, offset, out);
    pthread_mutex_unlock(&log->index_lock);
    if (found)
        return out->position < limit ? 0 : ERR_NOT_FOUND;
    int64_t from = log_index_floor(log, s, offset);
    if (from >= limit)
        from = 0;
    int rc = scan_for(fd, from, limit, offset, out);
    if (from > 0 && rc != 0 && rc != ERR_NOT_FOUND && rc != ERR_IO &&
        atomic_load(&log->truncations) == before) {
        // The index is in order, but it points into the middle of a batch: somebody exchanged the files.
        log_limited(LOG_LEVEL_WARN, "storage", "%s: the index of segment %" PRId64 " does not fit its log",
                    log->name, s->base_offset);
        (void)log_mend_indexes(log, s);
        rc = scan_for(fd, 0, limit, offset, out);
    }
    return rc;
}

int log_bound_position(struct log *log, struct segment *s, int fd, int64_t bound_offset, int64_t *out)
{
    int64_t known = segment_size(s, fd);
    pthread_mutex_lock(&log->publish);
    int64_t size = atomic_load(&s->size_bytes);
    size = size < 0 ? known : size;
    bool whole = bound_offset >= log->end || log_behind_segment_locked(log, s, bound_offset);
    bool marked =
        log->high_watermark.offset == bound_offset && log->high_watermark.segment_base == s->base_offset;
    *out = marked ? log->high_watermark.position : size;
    pthread_mutex_unlock(&log->publish);
    if (whole || marked) {
        *out = whole ? size : *out;
        return 0;
    }
    struct batch_place batch;
    int rc = log_find_batch(log, s, fd, bound_offset, size, &batch);
    if (rc == ERR_NOT_FOUND)
        rc = 0; // the bound lies behind this segment
    else if (rc == 0)
        *out = batch.position;
    return rc;
}
