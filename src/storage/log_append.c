// Appending: producers are judged, offsets stamped, bytes written, then what was written is indexed and
// published.
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// What the bytes of an append add up to.
struct append {
    uint8_t *bytes;
    size_t size;
    enum log_origin origin;
    int64_t guard;
    int16_t marker_version;
    int64_t first_offset, last_offset;
    int64_t max_timestamp_ms;
    int64_t messages;
    uint32_t batches;
    bool has_producers;
};

static int say(struct log_append_info *info, int rc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int say(struct log_append_info *info, int rc, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(info->message, sizeof info->message, format, args);
    va_end(args);
    return rc;
}

static int refuse(struct log_append_info *info, int16_t code)
{
    info->error_code = code;
    return ERR_INVALID;
}

#define APPEND_TIME_BACK_MS 1000

// Of LogAppendTime: what goes in later is not older, whichever thread brings it and whenever it looked at the
// clock. A clock that was set back is followed. [lock]
static int64_t append_time(struct log *log, int64_t now_ms)
{
    int64_t ahead_ms = log->append_time_ms - now_ms;
    if (ahead_ms <= 0 || ahead_ms > APPEND_TIME_BACK_MS)
        log->append_time_ms = now_ms;
    return log->append_time_ms;
}

// Walks the batches, stamps offsets (from `next` on) and epoch unless they are given, and the time where that
// is the log's, and adds up.
static int measure(struct log *log, struct append *a, int64_t next, int32_t leader_epoch, int64_t now_ms,
                   struct log_append_info *info)
{
    struct batch_cursor cursor = batch_cursor((struct bytes){a->bytes, a->size});
    struct batch_header h;
    struct bytes batch;
    int rc;
    a->first_offset = LOG_NO_OFFSET;
    a->max_timestamp_ms = LOG_NO_TIMESTAMP;
    while ((rc = batch_cursor_next(&cursor, &h, &batch)) > 0) {
        if (h.last_offset_delta < 0 || h.count < 0)
            return say(info, ERR_CORRUPT, "a batch with last offset delta %d and %d records",
                       h.last_offset_delta, h.count);
        if (a->origin == LOG_ORIGIN_REPLICA) {
            if (h.base_offset < next)
                return say(info, ERR_RANGE,
                           "Unexpected offset in append to %s. First offset %" PRId64
                           " is less than the next offset %" PRId64 ".",
                           log->name, h.base_offset, next);
        } else {
            uint8_t *at = a->bytes + (batch.data - a->bytes);
            batch_set_base_offset(at, next);
            batch_set_leader_epoch(at, leader_epoch);
            h.base_offset = next;
            if (log->config.timestamp_log_append && batch_is_log_append_time(&h)) {
                h.max_timestamp_ms = append_time(log, now_ms);
                batch_set_max_timestamp(at, batch.size, h.max_timestamp_ms, true);
            }
        }
        if (a->first_offset < 0)
            a->first_offset = h.base_offset;
        a->last_offset = batch_last_offset(&h);
        if (a->last_offset < h.base_offset || a->last_offset == INT64_MAX)
            return say(info, ERR_CORRUPT,
                       "a batch at offset %" PRId64 " ends behind the last possible offset", h.base_offset);
        next = a->last_offset + 1;
        a->messages += h.count;
        a->batches++;
        a->has_producers |= batch_has_producer(&h);
        if (h.max_timestamp_ms > a->max_timestamp_ms)
            a->max_timestamp_ms = h.max_timestamp_ms;
    }
    if (rc == 0 && a->first_offset < 0)
        return say(info, ERR_CORRUPT, "no batch at all");
    return rc ? say(info, rc == ERR_TRUNCATED ? ERR_CORRUPT : rc,
                    "bytes that are no whole batches of magic 2")
              : 0;
}

// Whether the active segment must be sealed before this append (Kafka's rules: size, time, full index,
// offsets that its index cannot express). So much will have been written to it before.
static bool must_roll(const struct log *log, const struct append *a, int64_t now_ms, size_t bytes_ahead,
                      uint32_t batches_ahead)
{
    struct segment *s = log_active(log);
    const struct log_config *c = &log->config;
    int64_t size = atomic_load(&s->size_bytes) + (int64_t)bytes_ahead;
    int64_t waited =
        s->first_timestamp_ms >= 0 ? a->max_timestamp_ms - s->first_timestamp_ms : now_ms - s->created_ms;
    bool empty_at_same_offset = size == 0 && s->base_offset == a->first_offset;
    bool full = s->active->offsets.count + batches_ahead >=
                    (uint32_t)c->segment_index_bytes / index_entry_bytes(INDEX_OFFSET) ||
                s->active->times.count + batches_ahead + 1 >=
                    (uint32_t)c->segment_index_bytes / index_entry_bytes(INDEX_TIME);
    if (empty_at_same_offset)
        return false;
    return size > (int64_t)c->segment_bytes - (int64_t)a->size ||
           (size > 0 && waited > log_config_roll_ms(c) - s->jitter_ms) || full ||
           a->last_offset - s->base_offset > INT32_MAX;
}

// Judges the producers of every batch. 0, 1 (duplicate), or an error.
static int plan_producers(struct log *log, const struct append *a, struct producer_plan *plan,
                          struct log_append_info *info)
{
    struct batch_cursor cursor = batch_cursor((struct bytes){a->bytes, a->size});
    struct batch_header h;
    struct bytes batch;
    struct producer_judgement judgement = {.origin = a->origin,
                                           .name = log->name,
                                           .verify = log->config.verify_transactions,
                                           .guard = a->guard,
                                           .marker_version = a->marker_version};
    int rc = 0;
    if (!a->has_producers)
        return 0;
    while (rc == 0 && batch_cursor_next(&cursor, &h, &batch) > 0)
        rc = producer_plan_add(plan, &h, batch, &judgement, info);
    if (rc == ERR_CORRUPT)
        say(info, rc, "a control batch without a transaction marker");
    return rc;
}

// Undoes what a failed append left behind the old end.
static void take_back(struct log *log, struct segment *s, int fd, int64_t size)
{
    int rc = file_truncate(fd, size);
    if (rc)
        log_set_offline(log, "cannot append to", rc);
    (void)s;
}

// Writes the transaction index entries of aborted transactions. *old_size is set when something was written.
static int write_aborted(struct log *log, struct segment *s, const struct producer_plan *plan,
                         int64_t *old_size)
{
    size_t n = producer_plan_ended(plan, NULL, 0), aborted = 0;
    int rc = 0;
    *old_size = -1;
    if (n == 0)
        return 0;
    struct transaction_end *ends = malloc(n * sizeof *ends);
    struct txn_index_entry *entries = malloc(n * sizeof *entries);
    if (!ends || !entries)
        rc = ERR_NOMEM;
    else
        producer_plan_ended(plan, ends, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (ends[i].aborted)
            entries[aborted++] = (struct txn_index_entry){ends[i].producer_id, ends[i].first_offset,
                                                          ends[i].last_offset, ends[i].last_stable_offset};
    if (rc == 0 && aborted) {
        rc = log_append_aborted(s, entries, aborted, old_size);
        atomic_store(&log->aborted_dirty, true);
        pthread_mutex_lock(&log->publish);
        log->directory_dirty |= *old_size == 0;
        pthread_mutex_unlock(&log->publish);
        if (rc && *old_size >= 0)
            (void)log_truncate_aborted(s, *old_size);
    }
    free(ends);
    free(entries);
    return rc;
}

static int write_bytes(struct log *log, struct segment *s, const struct append *a,
                       const struct producer_plan *plan)
{
    int64_t size = atomic_load(&s->size_bytes), old_txn_size;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    log_reserve(log, s, fd, size + (int64_t)a->size);
    int rc = file_write_at(fd, a->bytes, a->size, size);
    if (rc == 0)
        rc = write_aborted(log, s, plan, &old_txn_size);
    if (rc)
        take_back(log, s, fd, size);
    segment_unpin(s);
    return rc;
}

void log_index_batch(struct segment *s, const struct batch_place *b, int32_t index_interval_bytes)
{
    struct segment_active *a = s->active;
    uint32_t relative = (uint32_t)(b->last_offset - s->base_offset);
    if (b->position == 0)
        s->first_timestamp_ms = b->max_timestamp_ms;
    if (b->max_timestamp_ms > s->max_timestamp_ms) {
        s->max_timestamp_ms = b->max_timestamp_ms;
        s->max_timestamp_offset = b->last_offset;
    }
    if (a->bytes_since_index > index_interval_bytes) {
        index_append(&a->offsets,
                     (struct index_entry){.relative_offset = relative, .position = (uint32_t)b->position});
        if (s->max_timestamp_ms >= 0)
            index_append(&a->times,
                         (struct index_entry){.timestamp_ms = s->max_timestamp_ms,
                                              .relative_offset =
                                                  (uint32_t)(s->max_timestamp_offset - s->base_offset)});
        a->bytes_since_index = 0;
    }
    a->bytes_since_index += b->size;
}

// Puts what was written into the indexes, tail and epochs, and publishes it.
static void publish(struct log *log, struct segment *s, const struct append *a, struct log_append_info *info)
{
    struct batch_cursor cursor = batch_cursor((struct bytes){a->bytes, a->size});
    struct batch_header h;
    struct bytes batch;
    int64_t position = atomic_load(&s->size_bytes);
    int64_t unstable = producer_state_first_unstable(&log->producers);
    if (unstable >= 0 && unstable < log->log_start)
        unstable = log->log_start;
    pthread_mutex_lock(&log->index_lock);
    for (; batch_cursor_next(&cursor, &h, &batch) > 0; position += (int64_t)batch.size) {
        struct batch_place b = {.base_offset = h.base_offset,
                                .last_offset = batch_last_offset(&h),
                                .max_timestamp_ms = h.max_timestamp_ms,
                                .position = position,
                                .leader_epoch = h.leader_epoch,
                                .size = (uint32_t)batch.size};
        log_index_batch(s, &b, log->config.index_interval_bytes);
        segment_tail_push(s->active, &b);
        if (h.leader_epoch > epoch_cache_latest(&log->epochs)) {
            pthread_mutex_lock(&log->publish);
            if (epoch_cache_assign(&log->epochs, h.leader_epoch, h.base_offset) > 0)
                log->epochs_dirty = true;
            pthread_mutex_unlock(&log->publish);
        }
    }
    pthread_mutex_lock(&log->publish);
    log->epochs_dirty |= log->epoch_pending;
    log->epoch_pending = false;
    atomic_store(&s->size_bytes, position);
    log->end = a->last_offset + 1;
    info->last_stable_moved = log->first_unstable != unstable;
    log->first_unstable = unstable;
    pthread_mutex_unlock(&log->publish);
    pthread_mutex_unlock(&log->index_lock);
}

static void note_dirt(struct log *log, const struct append *a, int64_t now_ms, struct log_append_info *info)
{
    int64_t messages = atomic_fetch_add(&log->dirty_messages, a->last_offset + 1 - a->first_offset) +
                       a->last_offset + 1 - a->first_offset;
    atomic_fetch_add(&log->dirty_bytes, (int64_t)a->size);
    int64_t never = 0;
    atomic_compare_exchange_strong(&log->dirty_since_ms, &never, now_ms);
    info->flush_due = messages >= log->config.flush_messages;
}

// What was written and is the producers' state by now: indexed, published, told.
static void show(struct log *log, struct segment *s, const struct append *a, int64_t now_ms,
                 struct log_append_info *info)
{
    publish(log, s, a, info);
    note_dirt(log, a, now_ms, info);
    info->base_offset = a->first_offset;
    info->last_offset = a->last_offset;
    info->append_time_ms = log->config.timestamp_log_append ? a->max_timestamp_ms : LOG_NO_TIMESTAMP;
}

// [lock] The append proper: the segment is chosen, the batches are stamped.
static int append_planned(struct log *log, const struct append *a, struct producer_plan *plan, int64_t now_ms,
                          struct log_append_info *info)
{
    struct segment *s = log_active(log);
    int rc = plan_producers(log, a, plan, info);
    if (rc == 0)
        rc = write_bytes(log, s, a, plan);
    if (rc) {
        producer_plan_abort(plan);
        return rc == 1 ? 0 : rc;
    }
    producer_plan_commit(plan, a->last_offset + 1);
    show(log, s, a, now_ms, info);
    return 0;
}

static void info_clear(const struct log *log, struct log_append_info *info)
{
    info->base_offset = info->last_offset = LOG_NO_OFFSET;
    info->append_time_ms = LOG_NO_TIMESTAMP;
    info->log_start_offset = log->log_start;
    info->duplicate = info->flush_due = info->last_stable_moved = false;
    info->error_code = 0;
    info->message[0] = 0;
}

// [lock]
static int append_one(struct log *log, struct append *a, int32_t leader_epoch, int64_t now_ms,
                      struct log_append_info *info)
{
    struct producer_plan plan;
    info_clear(log, info);
    int rc = log_ready(log);
    if (rc == 0)
        rc = measure(log, a, log->end, leader_epoch, now_ms, info);
    if (rc)
        return rc;
    // What a log holds that it is a copy of was taken when segments might be larger.
    if ((int64_t)a->size > log->config.segment_bytes && a->origin != LOG_ORIGIN_REPLICA) {
        say(info, 0,
            "Message batch size is %zu bytes in append to partition %s, which exceeds the maximum configured "
            "segment "
            "size of %d.",
            a->size, log->name, log->config.segment_bytes);
        return refuse(info, LOG_ERROR_RECORD_LIST_TOO_LARGE);
    }
    if (must_roll(log, a, now_ms, 0, 0)) {
        rc = log_roll_at(log, a->first_offset, now_ms);
        if (rc)
            return log_note(log, "cannot append to", rc);
    }
    producer_plan_init(&plan, &log->producers);
    rc = append_planned(log, a, &plan, now_ms, info);
    if (rc && !info->message[0])
        say(info, 0, "cannot append to %s: %s", log->name, err_text(rc));
    return log_note(log, "cannot append to", rc);
}

int log_append(struct log *log, uint8_t *bytes, size_t size, int32_t leader_epoch, enum log_origin origin,
               int64_t now_ms, struct log_append_info *info)
{
    struct append a = {.bytes = bytes, .size = size, .origin = origin};
    return append_one(log, &a, leader_epoch, now_ms, info);
}

int log_verify(struct log *log, const struct log_verification *v, int64_t now_ms, int64_t *guard)
{
    int rc = log_ready(log);
    return rc ? rc : producer_state_verify(&log->producers, v, now_ms, guard);
}

// ---------------------------------------------------------------- several at once

// Appends that are judged and stamped, and wait for their one write. Nothing of them is visible; the
// producers' part is in the plan.
struct group {
    struct log_group_append *appends[LOG_GROUP_APPENDS];
    struct append measured[LOG_GROUP_APPENDS];
    size_t count, bytes;
    struct producer_plan plan;
};

// Whether the append may wait in the group: it is one batch that goes on where its producer stands, and
// nothing has to be done to the log before it. Everything else is log_append's.
static bool group_join(struct log *log, struct group *g, struct log_group_append *append,
                       int32_t leader_epoch, int64_t now_ms)
{
    struct append *a = &g->measured[g->count];
    struct batch_header h;
    *a = (struct append){.bytes = append->bytes, .size = append->size, .origin = append->origin};
    info_clear(log, &append->info);
    if (append->origin != LOG_ORIGIN_CLIENT || log_ready(log) ||
        atomic_load(&log_active(log)->size_bytes) == 0)
        return false;
    int64_t next = g->count ? g->measured[g->count - 1].last_offset + 1 : log->end;
    if (measure(log, a, next, leader_epoch, now_ms, &append->info) || a->batches != 1 ||
        must_roll(log, a, now_ms, g->bytes, (uint32_t)g->count))
        return false;
    if (batch_header_read((struct bytes){a->bytes, a->size}, &h) || !producer_plan_add_next(&g->plan, &h))
        return false;
    g->appends[g->count++] = append;
    g->bytes += a->size;
    return true;
}

static int group_write(struct log *log, struct segment *s, const struct group *g)
{
    struct iovec pieces[LOG_GROUP_APPENDS];
    int64_t size = atomic_load(&s->size_bytes);
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    for (size_t i = 0; i < g->count; i++)
        pieces[i] = (struct iovec){g->measured[i].bytes, g->measured[i].size};
    log_reserve(log, s, fd, size + (int64_t)g->bytes);
    int rc = file_write_pieces_at(fd, pieces, g->count, size);
    if (rc)
        take_back(log, s, fd, size);
    segment_unpin(s);
    return rc;
}

// Writes what waits, then shows it; or all of it fails.
static void group_commit(struct log *log, struct group *g, int64_t now_ms)
{
    struct segment *s = log_active(log);
    int rc = g->count ? log_note(log, "cannot append to", group_write(log, s, g)) : 0;
    if (rc || g->count == 0)
        producer_plan_abort(&g->plan);
    else
        producer_plan_commit(&g->plan, g->measured[g->count - 1].last_offset + 1);
    for (size_t i = 0; i < g->count; i++) {
        g->appends[i]->rc = rc;
        if (rc == 0)
            show(log, s, &g->measured[i], now_ms, &g->appends[i]->info);
        else
            say(&g->appends[i]->info, 0, "cannot append to %s: %s", log->name, err_text(rc));
    }
    g->count = g->bytes = 0;
    producer_plan_init(&g->plan, &log->producers);
}

void log_append_group(struct log *log, struct log_group_append *const *appends, size_t count,
                      int32_t leader_epoch, int64_t now_ms)
{
    struct group g;
    assert(count <= LOG_GROUP_APPENDS);
    g.count = g.bytes = 0;
    producer_plan_init(&g.plan, &log->producers);
    for (size_t i = 0; i < count; i++) {
        struct log_group_append *a = appends[i];
        if (count > 1 && group_join(log, &g, a, leader_epoch, now_ms))
            continue;
        group_commit(log, &g, now_ms);
        struct append one = {.bytes = a->bytes,
                             .size = a->size,
                             .origin = a->origin,
                             .guard = a->guard,
                             .marker_version = a->marker_version};
        a->rc = append_one(log, &one, leader_epoch, now_ms, &a->info);
    }
    group_commit(log, &g, now_ms);
}
