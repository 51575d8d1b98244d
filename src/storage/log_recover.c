// After an unclean stop: every batch from the recovery point on is checked, a torn tail is cut off, indexes
// and epochs are rebuilt. What is cut is always logged.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/reaper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_BYTES ((size_t)256 << 10)

struct recovery {
    struct log *log;
    const struct log_recovery *how;
    int64_t recovery_point;
    uint8_t *chunk;
    bool thorough;  // a batch was found torn: every one is checked now
    int64_t end;    // behind the last good batch so far
    int64_t cut_at; // offset at which something was cut off
};

// ---------------------------------------------------------------- one segment

static int load_prefix(struct segment *s, struct index *ix, const char *suffix, int64_t size, int64_t below)
{
    bool whole;
    int fd = segment_open(s, suffix, O_RDONLY);
    if (fd < 0)
        return fd;
    int rc = index_load(ix, fd, size, &whole);
    file_close(fd);
    if (rc == 0)
        index_truncate(ix, below > s->base_offset
                               ? index_count_up_to(ix, INDEX_BY_OFFSET, below - 1 - s->base_offset)
                               : 0);
    return rc;
}

// What the index files say below the recovery point can be kept if the files are good. Position to walk from.
static int64_t trusted_position(struct recovery *r, struct segment *s, int fd, int64_t size)
{
    struct segment_active *a = s->active;
    struct segment_scan scan;
    if (r->recovery_point <= s->base_offset ||
        load_prefix(s, &a->offsets, SEGMENT_INDEX_SUFFIX, size, r->recovery_point) ||
        load_prefix(s, &a->times, SEGMENT_TIME_SUFFIX, size, r->recovery_point) || a->offsets.count == 0)
        goto nothing;
    // A truncation cuts the log first: a crash behind that leaves time entries of what is gone. An offset
    // entry of it points behind the file's end.
    struct index_entry last = index_at(&a->offsets, a->offsets.count - 1);
    index_truncate(&a->times, index_count_up_to(&a->times, INDEX_BY_OFFSET, last.relative_offset));
    if (a->times.count == 0)
        goto nothing;
    // Time entries may have been lost where offset entries were not: walk from the last time entry on, so
    // that no larger timestamp is missed.
    struct index_entry time = index_at(&a->times, a->times.count - 1);
    index_truncate(&a->offsets, index_count_up_to(&a->offsets, INDEX_BY_OFFSET, time.relative_offset));
    if (a->offsets.count == 0)
        goto nothing;
    struct index_entry floor = index_at(&a->offsets, a->offsets.count - 1);
    segment_scan_start(&scan, fd, floor.position, size);
    if (segment_scan_next(&scan) <= 0 || scan.batch.last_offset != s->base_offset + floor.relative_offset)
        goto nothing;
    s->max_timestamp_ms = time.timestamp_ms;
    s->max_timestamp_offset = s->base_offset + time.relative_offset;
    return floor.position;
nothing:
    index_truncate(&a->offsets, 0);
    index_truncate(&a->times, 0);
    return 0;
}

static void note_epoch(struct log *log, const struct segment_scan *scan)
{
    pthread_mutex_lock(&log->publish);
    if (scan->header.leader_epoch > epoch_cache_latest(&log->epochs) &&
        epoch_cache_assign(&log->epochs, scan->header.leader_epoch, scan->header.base_offset) > 0)
        log->epochs_dirty = true;
    pthread_mutex_unlock(&log->publish);
}

// Walks to the first byte that is no good batch. 0 at the end, ERR_CORRUPT or ERR_TRUNCATED there, or another
// error.
static int walk(struct recovery *r, struct segment *s, struct segment_scan *scan)
{
    int64_t good = scan->position, next = s->base_offset;
    int rc;
    while ((rc = segment_scan_next(scan)) > 0) {
        const struct batch_place *b = &scan->batch;
        bool at_end = scan->position > scan->limit - RECOVERY_END_BYTES;
        rc = b->base_offset < next || b->last_offset < b->base_offset ||
                     b->last_offset - s->base_offset > INT32_MAX ||
                     scan->header.count > scan->header.last_offset_delta + 1
                 ? ERR_CORRUPT
                 : 0;
        // In the same boot the page cache has everything that write(2) took: only the last batch can be torn.
        // What lies near it is checked all the same, as somebody else may have been at it.
        if (rc == 0 && b->last_offset >= r->recovery_point && (!r->how->same_boot || r->thorough || at_end))
            rc = segment_scan_check(scan, r->chunk, CHUNK_BYTES);
        if (rc)
            break;
        log_index_batch(s, b, r->log->config.index_interval_bytes);
        note_epoch(r->log, scan);
        next = b->last_offset + 1;
        good = scan->position;
        if (next > r->end)
            r->end = next;
    }
    scan->position = good;
    return rc;
}

// Takes the segments behind the cut away, before anything is cut: a start that is interrupted in between
// finds the damage again.
static int drop_after(struct recovery *r, uint32_t keep)
{
    struct log *log = r->log;
    int rc = 0;
    while (rc == 0 && log->segment_count > keep) {
        pthread_mutex_lock(&log->publish);
        struct segment *s = log->segments[--log->segment_count];
        log->directory_dirty = true;
        pthread_mutex_unlock(&log->publish);
        int fd = segment_pin(s);
        int64_t bytes = fd < 0 ? -1 : segment_size(s, fd);
        if (fd >= 0)
            segment_unpin(s);
        log_error("storage",
                  "%s: recovery drops segment %" PRId64 " (%" PRId64
                  " bytes): it lies behind the damage at offset %" PRId64,
                  log->name, s->base_offset, bytes, r->cut_at);
        log_remove_snapshot(log, s->base_offset);
        rc = segment_mark_deleted(s, log->reaper, clock_monotonic_ms() + log->config.file_delete_delay_ms);
        segment_unref(s);
    }
    return rc;
}

static int cut(struct recovery *r, uint32_t i, int fd, const struct segment_scan *scan, int why)
{
    struct segment *s = r->log->segments[i];
    int64_t bytes = scan->limit - scan->position;
    r->cut_at = r->end;
    int rc = drop_after(r, i + 1);
    if (rc == 0)
        rc = file_truncate(fd, scan->position);
    // A torn tail is what a crash in the middle of a write leaves: less than one batch. More is worth an
    // error.
    logger_write(why == ERR_TRUNCATED ? LOG_LEVEL_WARN : LOG_LEVEL_ERROR, "storage",
                 "%s: recovery cut %" PRId64 " bytes off segment %" PRId64 " at byte %" PRId64
                 " (offset %" PRId64 ", recovery point %" PRId64 "): %s%s%s",
                 r->log->name, bytes, s->base_offset, scan->position, r->end, r->recovery_point,
                 why == ERR_TRUNCATED ? "the last batch is incomplete" : "the batch there is damaged",
                 rc ? "; and failed: " : "", rc ? err_text(rc) : "");
    if (rc == 0)
        atomic_store(&s->size_bytes, scan->position);
    return rc;
}

static int refuse(const struct recovery *r, const struct segment *s, const struct segment_scan *scan)
{
    if (r->how->message)
        snprintf(r->how->message, r->how->message_size,
                 "%s/%020" PRId64 ".log is damaged at byte %" PRId64 " (offset %" PRId64
                 "): restore it from a copy, or cut it off there and lose what follows",
                 r->log->place->dir, s->base_offset, scan->position, r->end);
    return ERR_CORRUPT;
}

// Walks over a segment from where it can be trusted, building its indexes anew. As walk.
static int walk_segment(struct recovery *r, struct segment *s, int fd, int64_t size,
                        struct segment_scan *scan)
{
    segment_active_free(s->active);
    s->active = segment_active_new();
    if (!s->active)
        return ERR_NOMEM;
    s->max_timestamp_ms = s->first_timestamp_ms = LOG_NO_TIMESTAMP;
    s->max_timestamp_offset = s->base_offset;
    segment_scan_start(scan, fd, trusted_position(r, s, fd, size), size);
    return walk(r, s, scan);
}

// The index is written over its file. Whether that leaves something behind it: Kafka's files are longer after
// a crash, and so is that of a log that was cut.
static bool leaves_more(const struct log *log, const struct segment *s, const struct index *ix,
                        const char *suffix)
{
    char path[PATH_MAX];
    int64_t size;
    int rc = segment_file_name(log->place->dir, s->base_offset, suffix, path);
    if (rc == 0)
        rc = file_stat(path, &size, NULL);
    return rc ? rc != ERR_NOT_FOUND : size > (int64_t)ix->count * index_entry_bytes(ix->kind);
}

static void distrust_index(const struct log *log, const struct segment *s, struct index *ix,
                           const char *suffix)
{
    ix->written = 0; // the file may hold anything
    ix->stale_tail = leaves_more(log, s, ix, suffix);
}

static int recover_segment(struct recovery *r, uint32_t i)
{
    struct segment *s = r->log->segments[i];
    int64_t size;
    struct segment_scan scan;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    int rc = file_size(fd, &size);
    if (rc)
        goto out;
    s->created_ms = r->log->opened_ms;
    s->jitter_ms = log_draw_jitter(r->log, s->base_offset, r->log->opened_ms);
    s->times_known = true;
    atomic_store(&s->size_bytes, size);
    if (r->end < s->base_offset)
        r->end = s->base_offset;
    int64_t end = r->end;
    rc = walk_segment(r, s, fd, size, &scan);
    if ((rc == ERR_CORRUPT || rc == ERR_TRUNCATED) && r->how->same_boot && !r->thorough) {
        // What lies there may have made a torn batch in front of it look whole.
        r->thorough = true;
        r->end = end;
        rc = walk_segment(r, s, fd, size, &scan);
    }
    if (rc == ERR_NOMEM)
        goto out;
    if (rc == ERR_CORRUPT && r->how->refuse_damage)
        rc = refuse(r, s, &scan);
    else if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED)
        rc = cut(r, i, fd, &scan, rc);
    if (rc == 0 && atomic_load(&s->size_bytes) > 0 && s->first_timestamp_ms == LOG_NO_TIMESTAMP) {
        segment_scan_start(&scan, fd, 0, atomic_load(&s->size_bytes));
        if (segment_scan_next(&scan) > 0)
            s->first_timestamp_ms = scan.header.max_timestamp_ms;
    }
    distrust_index(r->log, s, &s->active->offsets, SEGMENT_INDEX_SUFFIX);
    distrust_index(r->log, s, &s->active->times, SEGMENT_TIME_SUFFIX);
out:
    segment_unpin(s);
    return rc;
}

// ---------------------------------------------------------------- the log

// The first segment that has to be looked at.
static uint32_t first_unsure(const struct log *log, const struct recovery *r)
{
    uint32_t i = log->segment_count - 1;
    if (r->how->same_boot)
        return i; // a segment is sealed once it and its indexes are written
    while (i > 0 && log->segments[i]->base_offset > r->recovery_point)
        i--;
    return i;
}

// Whether offsets that this recovery answers for are missing in front of segment i: the one before it lost
// its tail, just where a batch ends. A log must stay whole up to its end. Where a log is, or was, compacted,
// gaps are nothing special.
static bool follows_a_loss(struct recovery *r, uint32_t i)
{
    const struct log *log = r->log;
    if (i >= log->segment_count || log->config.cleanup_compact)
        return false;
    int64_t base = log->segments[i]->base_offset;
    if (base <= r->end || base <= r->recovery_point || base <= log->cleaned_to)
        return false;
    log_error("storage", "%s: what lay between offset %" PRId64 " and segment %" PRId64 " is lost", log->name,
              r->end, base);
    return true;
}

// Notes the epochs of a segment's batches from the recovery point on.
static int note_epochs_of(struct recovery *r, struct segment *s)
{
    struct segment_scan scan;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    int64_t from = r->recovery_point > s->base_offset ? log_index_floor(r->log, s, r->recovery_point) : 0;
    segment_scan_start(&scan, fd, from, segment_size(s, fd));
    int rc;
    while ((rc = segment_scan_next(&scan)) > 0)
        note_epoch(r->log, &scan);
    segment_unpin(s);
    return rc;
}

static int first_epoch_of(struct segment *s, int32_t *epoch)
{
    struct segment_scan scan;
    int rc = segment_first_batch(s, &scan);
    *epoch = rc > 0 ? scan.header.leader_epoch : INT32_MAX; // not known
    return rc < 0 && rc != ERR_CORRUPT && rc != ERR_TRUNCATED ? rc : 0;
}

// Epochs that began behind the recovery point are in no file, and the segments before the first one that is
// looked at have them, too. They are searched if that one's first batch is of an epoch that is not known.
static int recall_epochs(struct recovery *r, uint32_t first)
{
    const struct log *log = r->log;
    int32_t epoch;
    if (first == 0 || log->segments[first]->base_offset <= r->recovery_point)
        return 0;
    int rc = first_epoch_of(log->segments[first], &epoch);
    if (rc || epoch <= epoch_cache_latest(&log->epochs))
        return rc;
    uint32_t i = first;
    while (i > 0 && log->segments[i]->base_offset > r->recovery_point)
        i--;
    for (; rc == 0 && i < first; i++)
        rc = note_epochs_of(r, log->segments[i]);
    return rc;
}

static int recover_segments(struct recovery *r)
{
    struct log *log = r->log;
    uint32_t first = first_unsure(log, r);
    int64_t first_base = log->segments[first]->base_offset;
    int rc = recall_epochs(r, first);
    if (rc == 0)
        rc = log_remove_snapshots_above(log, first_base);
    for (uint32_t i = first; rc == 0 && i < log->segment_count; i++) {
        struct segment *s = log->segments[i];
        rc = recover_segment(r, i);
        if (rc == 0)
            rc = log_truncate_aborted(s, 0);
        if (rc == 0 && follows_a_loss(r, i + 1)) {
            r->cut_at = r->end;
            rc = drop_after(r, i + 1);
        }
        if (rc || i + 1 == log->segment_count) // the active one's are written behind
            break;
        rc = log_write_indexes(log, s, true); // what the files had behind this is gone with it
        segment_active_free(s->active);
        s->active = NULL;
    }
    if (rc)
        return rc;
    pthread_mutex_lock(&log->publish);
    log->end = r->end;
    if (epoch_cache_truncate_end(&log->epochs, r->end))
        log->epochs_dirty = true;
    if (log->recovery_point > r->end)
        log->recovery_point = r->end;
    if (log->high_watermark.offset > r->end)
        log->high_watermark = (struct log_mark){r->end, LOG_NO_OFFSET, 0};
    pthread_mutex_unlock(&log->publish);
    return log_load_producers(log, first_base, false, log->opened_ms);
}

int log_recover(struct log *log, const struct log_recovery *how)
{
    struct recovery r = {.log = log, .how = how, .recovery_point = how->recovery_point};
    log->opened_ms = how->now_ms;
    r.chunk = malloc(CHUNK_BYTES);
    int rc = r.chunk ? log_load_epochs(log) : ERR_NOMEM;
    if (rc == 0)
        rc = recover_segments(&r);
    if (rc == ERR_UNSUPPORTED && how->message)
        snprintf(how->message, how->message_size,
                 "%s holds record batches of magic 0 or 1, which are not supported; nothing was changed",
                 log->name);
    free(r.chunk);
    return rc;
}

// ---------------------------------------------------------------- producers

static bool is_base(const struct log *log, int64_t offset)
{
    for (size_t i = 0; i < log->segment_count; i++)
        if (log->segments[i]->base_offset == offset)
            return true;
    return false;
}

// Of those before the newest that is whole, those at a segment's base stay (as in Kafka): it may have to be
// done without the newest one day. Others, of each stop, go.
static int newest_snapshot(struct log *log, int64_t now_ms, bool *found)
{
    int64_t *offsets;
    size_t count;
    char path[PATH_MAX];
    struct buffer bytes = BUFFER_INIT;
    int rc = log_list_snapshots(log, &offsets, &count);
    *found = false;
    while (rc == 0 && count-- > 0) {
        bool outside = offsets[count] > log->end || offsets[count] < log->log_start;
        if (*found && !outside) {
            if (!is_base(log, offsets[count]))
                log_remove_snapshot(log, offsets[count]);
            continue;
        }
        buffer_clear(&bytes);
        if (outside || segment_file_name(log->place->dir, offsets[count], SNAPSHOT_SUFFIX, path)) {
            log_remove_snapshot(log, offsets[count]);
            continue;
        }
        rc = file_read_whole(path, (size_t)1 << 30, &bytes);
        if (rc == 0)
            rc = producer_snapshot_decode((struct bytes){bytes.data, bytes.size}, offsets[count], now_ms,
                                          log->config.producer_id_expiration_ms, &log->producers);
        *found = rc == 0;
        if (rc == ERR_CORRUPT) {
            log_warn("storage", "%s is damaged; going by an older one", path);
            log_remove_snapshot(log, offsets[count]);
            rc = 0;
        }
    }
    free(offsets);
    buffer_free(&bytes);
    return rc;
}

// One batch of the log, as a follower would take it: nothing is refused.
static int replay_batch(struct log *log, struct segment *s, struct segment_scan *scan, int64_t aborted_from,
                        struct buffer *bytes)
{
    struct producer_plan plan;
    struct log_append_info info = {0};
    struct transaction_end ended;
    int64_t old_size;
    buffer_clear(bytes);
    int rc = batch_is_control(&scan->header) ? segment_scan_read(scan, bytes) : 0;
    if (rc)
        return rc;
    producer_plan_init(&plan, &log->producers);
    struct producer_judgement judgement = {.origin = LOG_ORIGIN_REPLICA, .name = log->name};
    rc = producer_plan_add(&plan, &scan->header, (struct bytes){bytes->data, bytes->size}, &judgement, &info);
    if (rc == ERR_INVALID || rc == ERR_CORRUPT) {
        log_warn("storage", "%s: the batch at offset %" PRId64 " does not fit its producer's state: %s",
                 log->name, scan->header.base_offset, rc == ERR_INVALID ? info.message : err_text(rc));
        producer_plan_abort(&plan);
        return 0;
    }
    if (rc == 0 && producer_plan_ended(&plan, &ended, 1) && ended.aborted && s->base_offset >= aborted_from)
        rc = log_append_aborted(s,
                                &(struct txn_index_entry){ended.producer_id, ended.first_offset,
                                                          ended.last_offset, ended.last_stable_offset},
                                1, &old_size);
    if (rc)
        producer_plan_abort(&plan);
    else
        producer_plan_commit(&plan, scan->batch.last_offset + 1);
    return rc;
}

static int replay_segment(struct log *log, struct segment *s, int64_t from, int64_t aborted_from,
                          struct buffer *bytes)
{
    struct segment_scan scan;
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    int64_t position = from > s->base_offset ? log_index_floor(log, s, from) : 0;
    segment_scan_start(&scan, fd, position, segment_size(s, fd));
    int rc;
    while ((rc = segment_scan_next(&scan)) > 0) {
        if (scan.batch.last_offset < from || !batch_has_producer(&scan.header))
            continue;
        rc = replay_batch(log, s, &scan, aborted_from, bytes);
        if (rc)
            break;
    }
    segment_unpin(s);
    return rc;
}

int log_load_producers(struct log *log, int64_t aborted_from, bool assume, int64_t now_ms)
{
    bool found = false;
    uint32_t count;
    struct buffer bytes = BUFFER_INIT;
    producer_state_clear(&log->producers, log->log_start);
    int rc = log->has_snapshots ? newest_snapshot(log, now_ms, &found) : 0;
    if (rc == 0 && found)
        rc = log_recall_batches(log);
    if (rc == 0 && !found && assume)
        producer_state_clear(&log->producers, log->end);
    int64_t from = log->producers.end_offset;
    struct segment **segments = log_segments(log, &count);
    for (uint32_t i = 0; rc == 0 && i < count && from < log->end; i++)
        if (i + 1 == count || segments[i + 1]->base_offset > from)
            rc = replay_segment(log, segments[i], from, aborted_from, &bytes);
    log_segments_release(segments, count);
    log->producers.end_offset = log->end;
    buffer_free(&bytes);
    return rc;
}
