#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/reaper.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

// ---------------------------------------------------------------- the list of segments

int log_add_segment_locked(struct log *log, struct segment *s)
{
    if (log->segment_count == log->segment_capacity) {
        uint32_t capacity = log->segment_capacity ? log->segment_capacity * 2 : 1;
        struct segment **p = realloc(log->segments, capacity * sizeof(*p));
        if (!p)
            return ERR_NOMEM;
        log->segments = p;
        log->segment_capacity = capacity;
    }
    log->segments[log->segment_count++] = s;
    return 0;
}

struct segment *log_active(const struct log *log)
{
    return log->segments[log->segment_count - 1];
}

// The index of the last segment that starts at or below the offset; 0 when none does. [publish held]
static uint32_t floor_index(const struct log *log, int64_t offset)
{
    uint32_t low = 0, high = log->segment_count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct segment *log_segment_of(struct log *log, int64_t offset)
{
    pthread_mutex_lock(&log->publish);
    struct segment *s = segment_ref(log->segments[floor_index(log, offset)]);
    pthread_mutex_unlock(&log->publish);
    return s;
}

struct segment *log_segment_after(struct log *log, int64_t base_offset)
{
    struct segment *s = NULL;
    pthread_mutex_lock(&log->publish);
    uint32_t i = floor_index(log, base_offset);
    while (i < log->segment_count && log->segments[i]->base_offset <= base_offset)
        i++;
    if (i < log->segment_count)
        s = segment_ref(log->segments[i]);
    pthread_mutex_unlock(&log->publish);
    return s;
}

bool log_behind_segment_locked(const struct log *log, const struct segment *s, int64_t offset)
{
    return log->segments[floor_index(log, offset)]->base_offset > s->base_offset;
}

struct segment **log_segments(struct log *log, uint32_t *count)
{
    pthread_mutex_lock(&log->publish);
    struct segment **copy = malloc((log->segment_count + 1) * sizeof(*copy));
    *count = copy ? log->segment_count : 0;
    for (uint32_t i = 0; i < *count; i++)
        copy[i] = segment_ref(log->segments[i]);
    pthread_mutex_unlock(&log->publish);
    return copy;
}

void log_segments_release(struct segment **segments, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        segment_unref(segments[i]);
    free(segments);
}

// ---------------------------------------------------------------- state

void log_set_offline(struct log *log, const char *why, int rc)
{
    bool first = !atomic_exchange(&log->offline, true);
    if (rc == ERR_IO && log->health)
        dir_health_fail(log->health, why, log->name, rc);
    else if (first)
        log_error("storage", "%s is offline: %s: %s", log->name, why, err_text(rc));
}

int log_note(struct log *log, const char *what, int rc)
{
    if ((rc == ERR_IO || rc == ERR_NOT_FOUND) && !atomic_load(&log->deleted))
        dir_health_fail(log->health, what, log->name, rc);
    return rc;
}

int log_usable(const struct log *log)
{
    return atomic_load_explicit(&log->offline, memory_order_relaxed) ||
                   atomic_load_explicit(&log->deleted, memory_order_relaxed) || dir_health_failed(log->health)
               ? ERR_CLOSED
               : 0;
}

int log_ready(struct log *log)
{
    int rc = log_usable(log);
    return rc ? rc : log_load(log);
}

void log_lock(struct log *log)
{
    pthread_mutex_lock(&log->lock);
}

void log_unlock(struct log *log)
{
    pthread_mutex_unlock(&log->lock);
}

const char *log_topic(const struct log *log)
{
    return log->topic;
}

int32_t log_partition(const struct log *log)
{
    return log->partition;
}

struct uuid log_topic_id(const struct log *log)
{
    return log->topic_id;
}

const char *log_name(const struct log *log)
{
    return log->name;
}

bool log_is_offline(const struct log *log)
{
    return atomic_load(&log->offline) || dir_health_failed(log->health);
}

struct workers *log_loaders(const struct log *log)
{
    if (atomic_load_explicit(&log->loaded, memory_order_relaxed) || log_usable(log))
        return NULL;
    const struct dir_health *health = log->health;
    return health ? health->loaders : NULL;
}

bool log_is_full(const struct log *log)
{
    return dir_health_full(log->health);
}

void log_set_config(struct log *log, const struct log_config *config)
{
    pthread_mutex_lock(&log->publish);
    log->config = *config;
    pthread_mutex_unlock(&log->publish);
}

void log_get_config(const struct log *log, struct log_config *out)
{
    pthread_mutex_t *publish = &((struct log *)log)->publish;
    pthread_mutex_lock(publish);
    *out = log->config;
    pthread_mutex_unlock(publish);
}

void log_offsets(struct log *log, struct log_offsets *out)
{
    if (log->has_snapshots)
        (void)log_load(log); // when it fails the log is offline, and these numbers are of no use to anybody
    pthread_mutex_lock(&log->publish);
    int64_t watermark = log->high_watermark.offset, unstable = log->first_unstable;
    *out = (struct log_offsets){.log_start_offset = log->log_start,
                                .end_offset = log->end,
                                .high_watermark = watermark,
                                .last_stable_offset =
                                    unstable >= 0 && unstable < watermark ? unstable : watermark,
                                .recovery_point = log->recovery_point,
                                .leader_epoch = epoch_cache_latest(&log->epochs)};
    pthread_mutex_unlock(&log->publish);
}

static int64_t read_published(struct log *log, const int64_t *field)
{
    pthread_mutex_lock(&log->publish);
    int64_t v = *field;
    pthread_mutex_unlock(&log->publish);
    return v;
}

int64_t log_start_offset(struct log *log)
{
    return read_published(log, &log->log_start);
}

int64_t log_end_offset(struct log *log)
{
    return read_published(log, &log->end);
}

int64_t log_high_watermark(struct log *log)
{
    return read_published(log, &log->high_watermark.offset);
}

int64_t log_recovery_point(struct log *log)
{
    return read_published(log, &log->recovery_point);
}

// Where the offset lies when that is known without reading: at the end, or among the remembered batches.
// [lock]
static struct log_mark mark_of(struct log *log, int64_t offset)
{
    struct log_mark mark = {offset, LOG_NO_OFFSET, 0};
    struct segment *s = log_active(log);
    struct batch_place batch;
    if (!atomic_load(&log->loaded))
        return mark;
    pthread_mutex_lock(&log->index_lock);
    if (offset >= log->end)
        mark = (struct log_mark){offset, s->base_offset, atomic_load(&s->size_bytes)};
    else if (s->active && segment_tail_find(s->active, offset, &batch))
        mark = (struct log_mark){offset, s->base_offset, batch.position};
    pthread_mutex_unlock(&log->index_lock);
    return mark;
}

bool log_set_high_watermark(struct log *log, int64_t offset)
{
    if (offset < log->log_start)
        offset = log->log_start;
    if (offset > log->end)
        offset = log->end;
    struct log_mark mark = mark_of(log, offset);
    bool loaded = atomic_load(&log->loaded);
    if (loaded)
        producer_state_replicated(&log->producers, offset);
    int64_t unstable = loaded ? producer_state_first_unstable(&log->producers) : LOG_NO_OFFSET;
    pthread_mutex_lock(&log->publish);
    bool changed = log->high_watermark.offset != offset;
    log->high_watermark = mark;
    if (loaded)
        log->first_unstable = unstable >= 0 && unstable < log->log_start ? log->log_start : unstable;
    pthread_mutex_unlock(&log->publish);
    return changed;
}

int log_assign_epoch(struct log *log, int32_t leader_epoch)
{
    pthread_mutex_lock(&log->publish);
    int rc = epoch_cache_assign(&log->epochs, leader_epoch, log->end);
    if (rc > 0)
        log->epoch_pending = true;
    pthread_mutex_unlock(&log->publish);
    return rc < 0 ? rc : 0;
}

int32_t log_epoch_of_offset(struct log *log, int64_t offset)
{
    if (log_ready(log))
        return LOG_NO_EPOCH;
    pthread_mutex_lock(&log->publish);
    int32_t epoch = epoch_cache_at(&log->epochs, offset);
    pthread_mutex_unlock(&log->publish);
    return epoch;
}

void log_end_offset_for_epoch(struct log *log, int32_t leader_epoch, int32_t *epoch, int64_t *end_offset)
{
    *epoch = LOG_NO_EPOCH;
    *end_offset = LOG_NO_OFFSET;
    if (log_ready(log))
        return;
    pthread_mutex_lock(&log->publish);
    epoch_cache_end_offset(&log->epochs, leader_epoch, log->end, epoch, end_offset);
    pthread_mutex_unlock(&log->publish);
}

int log_producers(struct log *log, struct log_producer **out, size_t *count)
{
    int rc = log_ready(log);
    *out = NULL;
    *count = 0;
    if (rc)
        return rc;
    struct map_entry *e;
    *out = malloc((log->producers.entries.count + 1) * sizeof **out);
    if (!*out)
        return ERR_NOMEM;
    for (size_t i = 0; (e = map_next(&log->producers.entries, &i));) {
        const struct producer_entry *p = e->value;
        (*out)[(*count)++] = (struct log_producer){
            .producer_id = p->producer_id,
            .last_timestamp_ms = p->last_timestamp_ms,
            .transaction_start_offset = p->transaction_first_offset,
            .last_data_offset = p->batch_count ? p->batches[p->batch_count - 1].last_offset : LOG_NO_OFFSET,
            .last_sequence =
                p->batch_count ? p->batches[p->batch_count - 1].last_sequence : BATCH_NO_SEQUENCE,
            .coordinator_epoch = p->coordinator_epoch,
            .producer_epoch = p->epoch};
    }
    return 0;
}

void log_expire_producers(struct log *log, int64_t now_ms)
{
    if (atomic_load(&log->loaded))
        producer_state_expire(&log->producers, now_ms, log->config.producer_id_expiration_ms);
}

int64_t log_size_bytes(struct log *log)
{
    uint32_t count;
    int64_t total = 0;
    struct segment **segments = log_segments(log, &count);
    for (uint32_t i = 0; i < count; i++) {
        int64_t size = atomic_load(&segments[i]->size_bytes);
        char path[PATH_MAX];
        if (size < 0 &&
            segment_file_name(segments[i]->place->dir, segments[i]->base_offset, SEGMENT_LOG_SUFFIX, path) ==
                0 &&
            file_stat(path, &size, NULL) == 0 && i + 1 < count)
            atomic_store(&segments[i]->size_bytes, size); // a sealed one does not change
        total += size > 0 ? size : 0;
    }
    log_segments_release(segments, count);
    return total;
}

size_t log_segment_count(struct log *log)
{
    pthread_mutex_lock(&log->publish);
    size_t n = log->segment_count;
    pthread_mutex_unlock(&log->publish);
    return n;
}
