#include "storage/cleaner.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/batch_validate.h"
#include "storage/cleaner_filter.h"
#include "storage/cleaner_segment.h"

#include <inttypes.h>
#include <stdlib.h>

#define PAUSE_SLICE_US 50000 // a stop and a deletion are noticed so soon

struct cleaner {
    struct cleaner_params params;
    struct cleaner_io io;
};

// One round over one log.
struct round {
    struct cleaner *c;
    struct log *log;
    const struct cleaner_range *range;
    struct cleaner_stats *stats;
    int64_t now_ms; // wall clock, of the whole round
    struct log_config config;
    unsigned truncations;
    struct segment **segments; // of the log, as of the beginning
    uint32_t count;
    struct log_producer *producers;
    struct map producers_by_id;
    struct cleaner_aborted *aborted;
    size_t aborted_count, aborted_capacity;
    struct cleaner_keys keys;
    struct cleaner_filter filter;
};

struct cleaner *cleaner_new(const struct cleaner_params *params)
{
    struct cleaner *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->params = *params;
    c->io.chunk_bytes = params->chunk_bytes > 4096 ? params->chunk_bytes : 4096;
    return c;
}

void cleaner_free(struct cleaner *c)
{
    if (!c)
        return;
    buffer_free(&c->io.in);
    buffer_free(&c->io.out);
    free(c);
}

// ---------------------------------------------------------------- stopping and waiting

static int check(struct round *r)
{
    int rc = log_usable(r->log);
    if (rc)
        return rc;
    pthread_mutex_lock(&r->log->publish);
    bool compact = r->log->config.cleanup_compact;
    pthread_mutex_unlock(&r->log->publish);
    return compact && atomic_load(&r->log->truncations) == r->truncations ? 0 : ERR_AGAIN;
}

static int pause_round(void *arg, int64_t bytes)
{
    struct round *r = arg;
    const struct cleaner_params *p = &r->c->params;
    uint64_t changes = p->throttle ? atomic_load(&p->throttle->changes) : 0;
    int64_t left_us = p->throttle ? cleaner_throttle_take(p->throttle, bytes, clock_monotonic_us()) : 0;
    for (;;) {
        int rc = check(r);
        if (rc || !p->wait)
            return rc;
        int64_t slice_us = left_us < PAUSE_SLICE_US ? left_us : PAUSE_SLICE_US;
        if (!p->wait(p->arg, slice_us))
            return ERR_STOPPED;
        left_us -= slice_us;
        if (left_us <= 0 || (p->throttle && atomic_load(&p->throttle->changes) != changes))
            return 0;
    }
}

// ---------------------------------------------------------------- beginning

static int add_aborted(struct round *r, const struct txn_index_entry *e)
{
    if (r->aborted_count == r->aborted_capacity) {
        size_t capacity = r->aborted_capacity ? r->aborted_capacity * 2 : 16;
        struct cleaner_aborted *p = realloc(r->aborted, capacity * sizeof *p);
        if (!p)
            return ERR_NOMEM;
        r->aborted = p;
        r->aborted_capacity = capacity;
    }
    r->aborted[r->aborted_count++] = (struct cleaner_aborted){.entry = *e};
    return 0;
}

// What the transaction indexes hold of transactions that began before the round's end. Their markers may lie
// behind it.
static int collect_aborted(struct round *r)
{
    struct buffer raw = BUFFER_INIT;
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < r->count; i++) {
        rc = log_read_aborted(r->segments[i], &raw);
        for (size_t at = 0; rc == 0 && at < raw.size; at += TXN_INDEX_ENTRY_BYTES) {
            struct txn_index_entry e = txn_index_decode(raw.data + at);
            if (e.first_offset < r->range->first_uncleanable)
                rc = add_aborted(r, &e);
        }
    }
    buffer_free(&raw);
    return rc;
}

static int collect_producers(struct round *r, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = map_int_put(&r->producers_by_id, (uint64_t)r->producers[i].producer_id, &r->producers[i]);
    return rc;
}

static int begin(struct round *r)
{
    size_t producers = 0;
    int rc = log_ready(r->log);
    if (rc)
        return rc;
    log_lock(r->log);
    rc = log_producers(r->log, &r->producers, &producers);
    r->config = r->log->config;
    r->truncations = atomic_load(&r->log->truncations);
    r->segments = log_segments(r->log, &r->count);
    log_unlock(r->log);
    if (rc == 0)
        rc = r->segments ? collect_producers(r, producers) : ERR_NOMEM;
    if (rc == 0) // what makes an older record superfluous is on disk before that one goes
        rc = log_flush(r->log, r->range->first_uncleanable);
    if (rc == 0)
        rc = collect_aborted(r);
    size_t dirty = (size_t)(r->range->first_uncleanable - r->range->first_dirty);
    if (rc == 0)
        rc = cleaner_keys_open(&r->keys, r->c->params.keys_bytes, r->c->params.load_factor, dirty);
    r->stats->keys_most = (int64_t)r->keys.most;
    return rc;
}

static void end(struct round *r)
{
    cleaner_keys_close(&r->keys);
    cleaner_filter_free(&r->filter);
    map_free(&r->producers_by_id);
    free(r->producers);
    free(r->aborted);
    if (r->segments)
        log_segments_release(r->segments, r->count);
    buffer_free(&r->c->io.in); // between rounds a cleaner costs nothing
    buffer_free(&r->c->io.out);
}

static int damaged(struct round *r, const struct segment *s, const struct batch_header *h, int rc)
{
    if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED || rc == ERR_UNSUPPORTED || rc == ERR_LIMIT)
        log_error("storage",
                  "%s: the cleaner cannot go on in segment %" PRId64 " at or behind offset %" PRId64 ": %s",
                  r->log->name, s->base_offset, h->base_offset, err_text(rc));
    return rc;
}

// ---------------------------------------------------------------- the table of keys

// Notes the keys of a batch's records. 1 when the table is full.
static int map_batch(struct round *r, const struct batch_header *h, struct bytes batch)
{
    struct bytes body;
    struct record record;
    int rc = batch_body(h, batch, BATCH_UNPACKED_MAX_BYTES, &r->filter.unpacked, &body);
    if (rc)
        return rc;
    struct record_cursor cursor = record_cursor(body, h->count);
    while ((rc = record_cursor_next(&cursor, &record)) > 0) {
        int64_t offset = record_offset(h, &record);
        if (record.key.data && offset >= r->range->first_dirty &&
            !cleaner_keys_put(&r->keys, record.key, offset))
            return 1;
    }
    return rc;
}

// 1 when the table is full.
static int map_segment(struct round *r, struct cleaner_txns *txns, struct segment *s, int64_t next_base)
{
    struct cleaner_reader reader;
    struct batch_header h = {0};
    struct bytes batch;
    const struct txn_index_entry *unused;
    int64_t first = r->range->first_dirty;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd == ERR_NOT_FOUND ? ERR_AGAIN : fd;
    int64_t size = segment_size(s, fd), from = s->base_offset < first ? log_index_floor(r->log, s, first) : 0;
    int rc, full = 0;
    cleaner_reader_start(&reader, &r->c->io, fd, from, size);
    while (full == 0 && (rc = cleaner_reader_next(&reader, &h, &batch)) > 0) {
        full = batch_is_control(&h) ? cleaner_txns_marker(txns, &h, batch, &unused)
                                    : cleaner_txns_data(txns, &h);
        bool aborted = batch_is_control(&h) || full == 1;
        full = full < 0 ? full : 0;
        if (full == 0 && !aborted && batch_last_offset(&h) >= first)
            full = map_batch(r, &h, batch);
        if (full == 0 && batch_last_offset(&h) >= first)
            r->keys.latest_offset = batch_last_offset(&h);
    }
    segment_unpin(s);
    r->stats->bytes_mapped += size - from;
    rc = full ? full : rc;
    if (rc == 0)
        r->keys.latest_offset = next_base - 1;
    return damaged(r, s, &h, rc);
}

static int map_keys(struct round *r)
{
    struct cleaner_txns txns;
    struct cleaner_aborted *aborted = malloc((r->aborted_count + 1) * sizeof *aborted);
    size_t count = 0;
    if (!aborted)
        return ERR_NOMEM;
    for (size_t i = 0; i < r->aborted_count; i++)
        if (r->aborted[i].entry.last_offset >= r->range->first_dirty)
            aborted[count++] = r->aborted[i];
    cleaner_txns_open(&txns, aborted, count);
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i + 1 < r->count; i++) {
        int64_t next_base = r->segments[i + 1]->base_offset;
        if (next_base > r->range->first_dirty && r->segments[i]->base_offset < r->range->first_uncleanable)
            rc = map_segment(r, &txns, r->segments[i], next_base);
    }
    cleaner_txns_close(&txns);
    free(aborted);
    r->stats->keys = (int64_t)r->keys.count;
    return rc < 0 ? rc : 0; // full: the round goes as far as the table does
}

// ---------------------------------------------------------------- rewriting

static int clean_segment(struct round *r, struct segment *s, struct cleaner_writer *w)
{
    struct cleaner_reader reader;
    struct batch_header h = {0};
    struct bytes batch, kept;
    const struct txn_index_entry *aborted;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd == ERR_NOT_FOUND ? ERR_AGAIN : fd;
    int64_t size = segment_size(s, fd);
    int rc, failed = 0;
    cleaner_reader_start(&reader, &r->c->io, fd, 0, size);
    while (failed == 0 && (rc = cleaner_reader_next(&reader, &h, &batch)) > 0) {
        failed = cleaner_filter_batch(&r->filter, &h, batch, &kept, &aborted);
        if (failed == 0 && kept.size)
            failed = cleaner_writer_add(w, kept);
        if (failed == 0 && aborted)
            cleaner_writer_add_aborted(w, aborted);
    }
    segment_unpin(s);
    r->stats->bytes_read += size;
    return damaged(r, s, &h, failed ? failed : rc);
}

static int64_t modified_ms(const struct round *r, const struct segment *s)
{
    char path[PATH_MAX];
    int64_t modified = r->now_ms;
    if (segment_file_name(r->log->place->dir, s->base_offset, SEGMENT_LOG_SUFFIX, path) == 0)
        (void)file_stat(path, NULL, &modified);
    return modified;
}

// `count` segments become one.
static int clean_group(struct round *r, struct segment *const *old, uint32_t count)
{
    struct cleaner_writer w;
    int rc = cleaner_writer_open(&w, &r->c->io, r->log, old[0]->base_offset, r->config.index_interval_bytes);
    for (uint32_t i = 0; rc == 0 && i < count; i++)
        rc = clean_segment(r, old[i], &w);
    if (rc == 0)
        rc = cleaner_writer_finish(&w, modified_ms(r, old[count - 1]));
    if (rc == 0) {
        log_lock(r->log);
        rc = log_replace_segments(r->log, old, count, w.s, &r->truncations);
        log_unlock(r->log);
    }
    if (rc == 0) {
        w.s = NULL; // the log's
        r->stats->groups++;
        r->stats->segments += count;
        r->stats->bytes_written += w.size;
        rc = file_sync_dir(r->log->place->dir);
    }
    int usable = log_usable(r->log); // a deletion renames the directory: what failed, failed because of that
    rc = rc && usable ? usable : log_note(r->log, "cannot compact", rc);
    cleaner_writer_close(&w);
    return rc;
}

static int64_t side_file_size(const struct round *r, const struct segment *s, const char *suffix)
{
    char path[PATH_MAX];
    int64_t size = 0;
    if (segment_file_name(r->log->place->dir, s->base_offset, suffix, path) == 0)
        (void)file_stat(path, &size, NULL);
    return size;
}

static int rewrite(struct round *r)
{
    struct cleaner_txns txns;
    uint32_t count = 0;
    int rc = 0;
    while (count + 1 < r->count && r->segments[count]->base_offset <= r->keys.latest_offset &&
           r->segments[count]->base_offset < r->range->first_uncleanable)
        count++;
    struct cleaner_segment *sizes = calloc(count + 1, sizeof *sizes);
    if (!sizes)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++)
        sizes[i] = (struct cleaner_segment){
            .base_offset = r->segments[i]->base_offset,
            .size_bytes = side_file_size(r, r->segments[i], SEGMENT_LOG_SUFFIX),
            .index_bytes = side_file_size(r, r->segments[i], SEGMENT_INDEX_SUFFIX),
            .time_index_bytes = side_file_size(r, r->segments[i], SEGMENT_TIME_SUFFIX)};
    cleaner_txns_open(&txns, r->aborted, r->aborted_count);
    r->filter.keys = &r->keys;
    r->filter.txns = &txns;
    r->filter.producers = &r->producers_by_id;
    r->filter.round_end = r->range->first_uncleanable;
    r->filter.now_ms = r->now_ms;
    r->filter.delete_retention_ms = r->config.delete_retention_ms;
    for (uint32_t i = 0, n; rc == 0 && i < count; i += n) {
        n = (uint32_t)cleaner_group(&sizes[i], count - i, r->segments[count]->base_offset,
                                    r->config.segment_bytes, r->config.segment_index_bytes);
        rc = clean_group(r, &r->segments[i], n);
    }
    cleaner_txns_close(&txns);
    free(sizes);
    return rc;
}

// Where the next round begins.
static int note_end(struct round *r)
{
    log_lock(r->log);
    int rc = check(r);
    if (rc == 0) {
        pthread_mutex_lock(&r->log->publish);
        r->log->cleaned_to = r->keys.latest_offset + 1;
        pthread_mutex_unlock(&r->log->publish);
    }
    log_unlock(r->log);
    return rc;
}

int cleaner_clean(struct cleaner *c, struct log *log, const struct cleaner_range *range, int64_t now_ms,
                  struct cleaner_stats *stats)
{
    int64_t started_us = clock_monotonic_us();
    struct round r = {.c = c, .log = log, .range = range, .stats = stats, .now_ms = now_ms};
    *stats = (struct cleaner_stats){.first_dirty = range->first_dirty, .end = range->first_dirty};
    c->io.pause = pause_round;
    c->io.arg = &r;
    int rc = begin(&r);
    if (rc == 0)
        rc = log_note(log, "cannot compact", map_keys(&r));
    stats->map_us = clock_monotonic_us() - started_us;
    if (rc == 0 && r.keys.latest_offset >= range->first_dirty)
        rc = rewrite(&r);
    if (rc == 0)
        rc = note_end(&r);
    if (rc == 0)
        stats->end = r.keys.latest_offset + 1;
    stats->records_read = r.filter.records_read;
    stats->records_kept = r.filter.records_kept;
    stats->keyless = r.filter.keyless;
    end(&r);
    stats->total_us = clock_monotonic_us() - started_us;
    return rc;
}
