// A partition's directory: every batch and every record of it.
#include "base/error.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/verify_state.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDS_MAX_BYTES ((size_t)1 << 30) // decompressed, of one batch
#define BATCH_LIMIT_BYTES (256 << 20)

void verify_report(struct verify *v, const struct verify_finding *finding)
{
    *(finding->remark ? &v->remarks : &v->damages) += 1;
    v->found(v->arg, finding);
}

void verify_say(struct verify *v, const char *file, int64_t position, int64_t offset, const char *kind,
                const char *start, const char *what, ...)
{
    char text[256];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    verify_report(v, &(struct verify_finding){file, position, offset, kind, text, start, false});
}

void verify_say_unwritten(const struct verifying *p, const char *file, const char *kind, const char *start,
                          const char *what)
{
    verify_report(p->v, &(struct verify_finding){file, -1, -1, kind, what, start, !p->log->clean});
}

void verify_free(struct verify *v)
{
    buffer_free(&v->batch);
    buffer_free(&v->scratch);
}

// What a start does about a batch that is no good, or missing its end; `end` is where it ends in its file.
static const char *start_of_damage(const struct verifying *p, int64_t offset, int64_t end)
{
    if (p->log->metadata)
        return p->log->clean ? "the start fails and names it" : "a start cuts the log off here";
    if (p->log->clean)
        return "nothing: the last stop was clean; readers of this offset get an error";
    if (p->log->recovery_point > offset)
        return "nothing: it lies below the recovery point; readers of this offset get an error";
    if (end <= p->checked_from)
        return "nothing, unless the machine is restarted before: readers of this offset get an error";
    return "a start cuts the log off here";
}

static void damaged(struct verifying *p, const char *path, const struct segment_scan *scan, int64_t next,
                    const char *kind, const char *what)
{
    bool torn = strcmp(kind, "batch") == 0; // which its head, or that of the next one, shows
    int64_t end = torn ? INT64_MAX : scan->batch.position + scan->batch.size;
    verify_say(p->v, path, scan->position, next, kind, start_of_damage(p, next, end), "%s", what);
}

// The records of the batch in v->batch.
static const char *records_problem(struct verify *v, const struct batch_header *h)
{
    struct bytes body;
    struct record r;
    int32_t last = -1;
    int rc =
        batch_body(h, (struct bytes){v->batch.data, v->batch.size}, RECORDS_MAX_BYTES, &v->scratch, &body);
    if (rc)
        return "its records cannot be decompressed";
    struct record_cursor cursor = record_cursor(body, h->count);
    while ((rc = record_cursor_next(&cursor, &r)) == 1) {
        if (r.offset_delta <= last || r.offset_delta > h->last_offset_delta)
            return "the offsets of its records do not ascend within it";
        last = r.offset_delta;
        v->records++;
    }
    return rc ? "its records do not add up" : NULL;
}

// Epochs that the file does not have yet are another matter.
static void note_other_epoch(struct verifying *p, const struct batch_header *h)
{
    int32_t told = epoch_cache_at(&p->epochs, h->base_offset);
    if (p->other_epoch_at < 0 && told >= 0 && told != h->leader_epoch && h->leader_epoch >= 0 &&
        h->leader_epoch <= epoch_cache_latest(&p->epochs))
        p->other_epoch_at = h->base_offset;
}

// One batch that the scan is at. `next`: the lowest offset that it may have.
static int verify_batch(struct verifying *p, const char *path, const struct segment_scan *scan, int64_t base,
                        int64_t next, int64_t limit_offset)
{
    struct verify *v = p->v;
    const struct batch_header *h = &scan->header;
    struct segment_scan at = *scan;
    at.position = scan->batch.position;
    buffer_clear(&v->batch);
    if (scan->batch.size > BATCH_LIMIT_BYTES) {
        damaged(p, path, &at, next, "batch", "a batch of more than 256 MB");
        return 0;
    }
    int rc = segment_scan_read(scan, &v->batch);
    if (rc)
        return rc;
    v->batches++;
    v->bytes += v->batch.size;
    if (v->progress)
        v->progress(v->arg, v);
    if (!batch_crc_ok((struct bytes){v->batch.data, v->batch.size})) {
        damaged(p, path, &at, h->base_offset, "batch-crc", "the CRC of this batch is wrong");
        return 0;
    }
    if (h->base_offset < next || h->last_offset_delta < 0)
        damaged(p, path, &at, h->base_offset, "offset", "its offsets lie below those of the batch before");
    else if (batch_last_offset(h) >= limit_offset)
        damaged(p, path, &at, h->base_offset, "offset", "its offsets belong to the next segment");
    if (h->leader_epoch < p->latest_epoch)
        verify_say(v, path, at.position, h->base_offset, "epochs", "nothing",
                   "its leader epoch %d is older than %d of the batch before", h->leader_epoch,
                   p->latest_epoch);
    else
        p->latest_epoch = h->leader_epoch;
    note_other_epoch(p, h);
    verify_note_times(p, base, h);
    const char *problem = records_problem(v, h);
    if (problem)
        damaged(p, path, &at, h->base_offset, "record", problem);
    return 0;
}

// Whether the file has nothing but zeros from there on.
static int only_zeros(const struct segment_scan *scan, bool *out)
{
    uint8_t chunk[65536];
    size_t got = 0;
    *out = true;
    for (int64_t at = scan->position; *out && at < scan->limit; at += (int64_t)got) {
        int rc = file_read_at(scan->fd, chunk, sizeof chunk, at, &got);
        if (rc || got == 0)
            return rc ? rc : ERR_TRUNCATED;
        *out = bytes_are_zero((struct bytes){chunk, got});
    }
    return 0;
}

// What is no batch. A killed broker leaves its room in the last segment: Kafka's, where the topic has
// preallocate.
static int no_batch(struct verifying *p, const char *path, const struct segment_scan *scan, int64_t next,
                    bool active, const char *what)
{
    bool room = active && !p->log->clean && p->log->recovery_point <= next;
    int rc = room ? only_zeros(scan, &room) : 0;
    if (rc == 0 && room)
        verify_report(p->v, &(struct verify_finding){path, scan->position, next, "batch",
                                                     "zeros up to the end of the file",
                                                     "a start cuts the file off here", true});
    else if (rc == 0)
        damaged(p, path, scan, next, "batch", what);
    return rc;
}

static int walk_segment(struct verifying *p, const char *path, int64_t base, int fd, int64_t size,
                        int64_t limit_offset)
{
    struct segment_scan scan;
    int64_t next = base > p->end ? base : p->end;
    int rc;
    segment_scan_start(&scan, fd, 0, size);
    while ((rc = segment_scan_next(&scan)) > 0) {
        int64_t last = scan.batch.last_offset;
        if (p->start < 0)
            p->start = scan.batch.base_offset;
        int one = verify_batch(p, path, &scan, base, next, limit_offset);
        if (one)
            return one;
        next = last + 1 > next ? last + 1 : next;
    }
    p->end = next;
    bool active = limit_offset == INT64_MAX;
    if (rc == ERR_TRUNCATED)
        return no_batch(p, path, &scan, next, active, "the file ends within a batch");
    if (rc == ERR_CORRUPT)
        return no_batch(p, path, &scan, next, active, "what follows is no batch");
    if (rc == ERR_UNSUPPORTED)
        verify_say(p->v, path, scan.position, next, "batch", "the log stays off line, and nothing is changed",
                   "a batch of magic 0 or 1");
    return rc == ERR_UNSUPPORTED ? 0 : rc;
}

static int verify_segment(struct verifying *p, size_t i)
{
    char path[PATH_MAX];
    int64_t base = p->bases[i], size;
    bool active = i + 1 == p->count;
    int rc = segment_file_name(p->log->dir, base, SEGMENT_LOG_SUFFIX, path);
    int fd = rc ? rc : file_open(path, O_RDONLY);
    if (fd < 0)
        return fd;
    p->v->segments++;
    rc = file_size(fd, &size);
    p->checked_from = !p->log->same_boot ? 0 : active ? size - RECOVERY_END_BYTES : INT64_MAX;
    if (rc == 0)
        rc = verify_read_times(p, base);
    if (rc == 0)
        rc = walk_segment(p, path, base, fd, size, active ? INT64_MAX : p->bases[i + 1]);
    if (rc == 0)
        rc = verify_indexes(p, base, fd, size, p->end, active);
    file_close(fd);
    return rc;
}

static int note_file(void *arg, const char *name)
{
    struct verifying *p = arg;
    const char *suffix;
    int64_t offset;
    if (!segment_parse_name(name, &offset, &suffix) || strcmp(suffix, SEGMENT_LOG_SUFFIX) != 0)
        return 0;
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 64;
        int64_t *grown = realloc(p->bases, capacity * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        p->bases = grown;
        p->capacity = capacity;
    }
    p->bases[p->count++] = offset;
    return 0;
}

int verify_partition(struct verify *v, const struct verify_log *log)
{
    struct verifying p = {.v = v, .log = log, .start = -1, .latest_epoch = -1, .other_epoch_at = -1};
    int rc = file_list(log->dir, note_file, &p);
    if (p.count)
        qsort(p.bases, p.count, sizeof *p.bases, verify_compare_offsets);
    if (rc == 0)
        rc = verify_partition_metadata(&p);
    if (rc == 0)
        rc = verify_read_epochs(&p);
    for (size_t i = 0; rc == 0 && i < p.count; i++)
        rc = verify_segment(&p, i);
    v->partitions++;
    if (rc == 0)
        rc = verify_orphans(&p);
    if (rc == 0 && p.count)
        rc = verify_snapshots(&p);
    if (rc == 0)
        rc = verify_epochs(&p);
    if (rc == 0 && p.count && log->recovery_point > p.end)
        verify_say(v, log->dir, -1, p.end, "checkpoint",
                   log->metadata ? "nothing" : "a start recovers the log and takes its real end",
                   "recovery-point-offset-checkpoint says %" PRId64 ", but the log ends at offset %" PRId64,
                   log->recovery_point, p.end);
    if (rc == 0 && p.count && log->log_start > p.end)
        verify_say(v, log->dir, -1, p.end, "checkpoint", "a start empties the log and lets it begin there",
                   "log-start-offset-checkpoint says %" PRId64 ", but the log ends at offset %" PRId64,
                   log->log_start, p.end);
    epoch_cache_free(&p.epochs);
    buffer_free(&p.times);
    free(p.bases);
    return rc;
}
