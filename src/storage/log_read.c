// Reading: slices of segment files, aborted transactions. Nothing here takes the partition's lock.
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdlib.h>

// A read starts again while a truncation or a deletion is under way; so often takes some tens of
// milliseconds.
#define READ_ATTEMPTS 10000

// What one attempt works with.
struct read_view {
    int64_t log_start, end, bound;
    int64_t active_base; // base offset of the active segment
    struct dir_health *health;
    unsigned truncations;
};

static void take_view(struct log *log, enum log_bound kind, struct read_view *v)
{
    pthread_mutex_lock(&log->publish);
    v->truncations = atomic_load(&log->truncations);
    v->log_start = log->log_start;
    v->end = log->end;
    v->health = log->health;
    v->active_base = log->segments[log->segment_count - 1]->base_offset;
    int64_t watermark = log->high_watermark.offset, unstable = log->first_unstable;
    if (kind == LOG_BOUND_END)
        v->bound = log->end;
    else if (kind == LOG_BOUND_LAST_STABLE && unstable >= 0 && unstable < watermark)
        v->bound = unstable;
    else
        v->bound = watermark;
    pthread_mutex_unlock(&log->publish);
}

static void fill(struct log_slice *out, struct segment *s, int fd, const struct batch_place *b, int64_t limit,
                 size_t max_bytes, bool min_one_batch, bool active)
{
    size_t size = (size_t)(limit - b->position);
    size_t most = min_one_batch && max_bytes < b->size ? b->size : max_bytes;
    *out = (struct log_slice){.segment = s,
                              .health = out->health,
                              .fd = fd,
                              .position = b->position,
                              .size = size < most ? size : most,
                              .base_offset = b->base_offset,
                              .recent = active && limit - b->position <= LOG_RECENT_BYTES,
                              .first_batch_size = b->size};
}

// Looks into one segment. 1: done (out filled), 0: nothing there, go on with the next one; ERR_AGAIN: the log
// was truncated meanwhile. Takes the reference on s over when it returns 1.
static int read_segment(struct log *log, struct segment *s, int64_t offset, size_t max_bytes,
                        const struct read_view *v, bool min_one_batch, struct log_slice *out)
{
    struct batch_place batch;
    int64_t limit = 0;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    // From here on the bytes stay: a truncation sees the pin and leaves this file alone. One that came before
    // shows.
    int rc = atomic_load(&log->truncations) == v->truncations ? 0 : ERR_AGAIN;
    if (rc == 0)
        rc = log_bound_position(log, s, fd, v->bound, &limit);
    if (rc == 0)
        rc = log_find_batch(log, s, fd, offset, limit, &batch);
    if (atomic_load(&log->truncations) != v->truncations)
        rc = ERR_AGAIN;
    if (rc == 0 && batch.position + (int64_t)batch.size > limit)
        rc = ERR_NOT_FOUND; // the bound lies within this batch
    if (rc == 0) {
        fill(out, s, fd, &batch, limit, max_bytes, min_one_batch, s->base_offset == v->active_base);
        return 1;
    }
    segment_unpin(s);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int read_once(struct log *log, int64_t start, size_t max_bytes, enum log_bound bound,
                     bool min_one_batch, struct log_slice *out)
{
    struct read_view v;
    take_view(log, bound, &v);
    *out = (struct log_slice){.fd = -1, .base_offset = start, .health = v.health};
    if (start < v.log_start || start > v.end)
        return ERR_RANGE;
    if (start >= v.bound)
        return 0;
    struct segment *s = log_segment_of(log, start);
    for (;;) {
        int rc = read_segment(log, s, start, max_bytes, &v, min_one_batch, out);
        if (rc > 0)
            return 0;
        bool gone = rc == ERR_NOT_FOUND || rc == ERR_AGAIN; // deleted or replaced since the list was read
        struct segment *next = rc == 0 ? log_segment_after(log, s->base_offset) : NULL;
        segment_unref(s);
        if (rc)
            return gone ? ERR_AGAIN : rc;
        if (!next)
            return 0; // compaction left nothing between here and the bound
        s = next;
        if (s->base_offset >= v.bound) {
            segment_unref(s);
            return 0;
        }
    }
}

// Whether one may read there, without reading: that is known of a cold log, too.
static int read_nothing(struct log *log, int64_t start)
{
    struct read_view v;
    int rc = log_usable(log);
    take_view(log, LOG_BOUND_END, &v);
    return rc || (start >= v.log_start && start <= v.end) ? rc : ERR_RANGE;
}

int log_read(struct log *log, int64_t start_offset, size_t max_bytes, enum log_bound bound,
             bool min_one_batch, struct log_slice *out)
{
    *out = (struct log_slice){.fd = -1, .base_offset = start_offset, .health = log->health};
    // The others of a fetch that has its bytes already. Where transactions count, the slice says which.
    if (max_bytes == 0 && !min_one_batch && bound != LOG_BOUND_LAST_STABLE)
        return read_nothing(log, start_offset);
    int rc = log_ready(log);
    for (int attempt = 0; rc == 0; attempt++) {
        rc = read_once(log, start_offset, max_bytes, bound, min_one_batch, out);
        if (rc != ERR_AGAIN)
            break;
        rc = attempt < READ_ATTEMPTS ? log_usable(log) : ERR_LIMIT;
    }
    if (rc == ERR_UNSUPPORTED) // a sealed segment, which a clean start does not look into
        log_set_offline(log, LOG_OLD_MAGIC, rc);
    else if (rc && rc != ERR_RANGE && rc != ERR_CLOSED)
        log_limited(LOG_LEVEL_ERROR, "storage", "%s: cannot read at offset %" PRId64 ": %s", log->name,
                    start_offset, err_text(rc));
    return dir_health_note(out->health, "cannot read", log->name, rc);
}

int log_slice_copy(const struct log_slice *slice, size_t from, void *to, size_t size)
{
    if (from > slice->size || size > slice->size - from)
        return ERR_RANGE;
    int rc = size ? file_read_exactly(slice->fd, to, size, slice->position + (off_t)from) : 0;
    if (rc == ERR_IO)
        log_slice_failed(slice);
    return rc;
}

void log_slice_failed(const struct log_slice *slice)
{
    if (slice->segment)
        dir_health_fail(slice->health, "cannot read from", slice->segment->place->dir, ERR_IO);
}

void log_slice_release(struct log_slice *slice)
{
    if (slice->segment) {
        segment_unpin(slice->segment);
        segment_unref(slice->segment);
    }
    *slice = (struct log_slice){.fd = -1};
}

int64_t log_readable_bytes(struct log *log, int64_t start_offset, enum log_bound bound, int64_t enough)
{
    int64_t total = 0, offset = start_offset;
    while (total < enough) {
        struct log_slice slice;
        if (log_read(log, offset, SIZE_MAX, bound, false, &slice) || slice.size == 0)
            break;
        total += (int64_t)slice.size;
        struct segment *next = log_segment_after(log, slice.segment->base_offset);
        offset = next ? next->base_offset : INT64_MAX;
        segment_unref(next);
        log_slice_release(&slice);
        if (offset == INT64_MAX)
            break;
    }
    return total;
}

// ---------------------------------------------------------------- aborted transactions

struct aborted_list {
    struct log_aborted *items;
    size_t count, capacity;
};

static int add_aborted(struct aborted_list *l, struct log_aborted a)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 8;
        struct log_aborted *p = realloc(l->items, capacity * sizeof *p);
        if (!p)
            return ERR_NOMEM;
        l->items = p;
        l->capacity = capacity;
    }
    l->items[l->count++] = a;
    return 0;
}

// 1 when no later segment can have more, 0 to go on.
static int collect(struct segment *s, int64_t start, int64_t upper, struct buffer *raw,
                   struct aborted_list *l)
{
    int rc = log_read_aborted(s, raw);
    for (size_t at = 0; rc == 0 && at < raw->size; at += TXN_INDEX_ENTRY_BYTES) {
        struct txn_index_entry e = txn_index_decode(raw->data + at);
        if (e.last_offset >= start && e.first_offset < upper)
            rc = add_aborted(l, (struct log_aborted){e.producer_id, e.first_offset});
        if (rc == 0 && e.last_stable_offset >= upper)
            return 1;
    }
    return rc;
}

int log_aborted_transactions(struct log *log, int64_t start_offset, int64_t upper_offset,
                             struct log_aborted **out, size_t *count)
{
    struct aborted_list l = {0};
    struct buffer raw = BUFFER_INIT;
    int rc = log_ready(log);
    struct segment *s = rc ? NULL : log_segment_of(log, start_offset);
    while (s && rc == 0) {
        rc = collect(s, start_offset, upper_offset, &raw, &l);
        struct segment *next = rc == 0 ? log_segment_after(log, s->base_offset) : NULL;
        segment_unref(s);
        s = next;
    }
    buffer_free(&raw);
    if (rc < 0) {
        free(l.items);
        l = (struct aborted_list){0};
    }
    *out = l.items;
    *count = l.count;
    return rc < 0 ? rc : 0;
}

int log_aborted_in_slice(struct log *log, int64_t start_offset, const struct log_slice *slice,
                         struct log_aborted **out, size_t *count)
{
    struct segment *s = slice->segment;
    *out = NULL;
    *count = 0;
    if (!s)
        return 0;
    struct index_entry next_entry;
    bool found = false;
    int64_t end_position =
        slice->position + (int64_t)slice->size - 1; // the first entry at or behind the slice's end
    pthread_mutex_lock(&log->index_lock);
    bool sealed = s->active == NULL;
    if (!sealed) {
        uint32_t n = index_count_up_to(&s->active->offsets, INDEX_BY_POSITION, end_position);
        found = n < s->active->offsets.count;
        if (found)
            next_entry = index_at(&s->active->offsets, n);
    }
    pthread_mutex_unlock(&log->index_lock);
    int fd = sealed ? segment_pin_index(s) : -1;
    if (fd >= 0) {
        int64_t total = 0;
        int64_t n = index_file_count_up_to(fd, INDEX_OFFSET, INDEX_BY_POSITION, end_position, NULL,
                                           &next_entry, &total);
        found = n >= 0 && n < total;
        segment_unpin_index(s);
    }
    struct segment *next = found ? NULL : log_segment_after(log, s->base_offset);
    bool follows =
        next && next->place == s->place; // else the log has moved, and its segments are cut elsewhere
    int64_t upper = found     ? s->base_offset + next_entry.relative_offset
                    : follows ? next->base_offset
                              : log_end_offset(log);
    segment_unref(next);
    return log_aborted_transactions(log, start_offset, upper, out, count);
}
