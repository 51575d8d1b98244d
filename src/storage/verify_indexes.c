// What lies beside the segments: indexes, producer snapshots, epochs, partition.metadata.
#include "base/error.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/verify_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SIDE_FILE_MAX ((size_t)1 << 30)
#define INDEX_START   "the index is made anew when it is needed"

enum { OFFSET_ENTRY_BYTES = 8, TIME_ENTRY_BYTES = 12 };

// The whole side file; *missing when there is none.
static int read_side(const struct verifying *p, int64_t base, const char *suffix, char path[PATH_MAX],
                     struct buffer *out, bool *missing)
{
    int rc = segment_file_name(p->log->dir, base, suffix, path);
    if (rc == 0)
        rc = file_read_whole(path, SIDE_FILE_MAX, out);
    *missing = rc == ERR_NOT_FOUND;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

struct entry_view {
    int64_t timestamp_ms, offset, position;
};

static struct entry_view entry_of(const uint8_t *at, int64_t base, bool times)
{
    return times ? (struct entry_view){(int64_t)load_be64(at), base + (int32_t)load_be32(at + 8), -1}
                 : (struct entry_view){-1, base + (int32_t)load_be32(at), (int32_t)load_be32(at + 4)};
}

// Whether a batch starts at the position and holds the offset (Kafka notes the last offset of a batch).
static bool points_at_batch(int fd, int64_t size, const struct entry_view *e)
{
    struct segment_scan scan;
    if (e->position >= size)
        return false;
    segment_scan_start(&scan, fd, e->position, size);
    return segment_scan_next(&scan) > 0 && scan.batch.base_offset <= e->offset &&
           e->offset <= scan.batch.last_offset;
}

int verify_read_times(struct verifying *p, int64_t base)
{
    char path[PATH_MAX];
    bool missing;
    buffer_clear(&p->times);
    p->times_at = 0;
    p->wrong_time_at = -1;
    return read_side(p, base, SEGMENT_TIME_SUFFIX, path, &p->times, &missing);
}

// An entry has the newest time of the batch that holds its offset. Batches come in their order.
void verify_note_times(struct verifying *p, int64_t base, const struct batch_header *h)
{
    static const uint8_t unused[TIME_ENTRY_BYTES];
    for (; p->times_at + TIME_ENTRY_BYTES <= p->times.size; p->times_at += TIME_ENTRY_BYTES) {
        const uint8_t *at = p->times.data + p->times_at;
        struct entry_view e = entry_of(at, base, true);
        if (e.offset > batch_last_offset(h))
            return;
        if (p->wrong_time_at < 0 && e.offset >= h->base_offset && e.timestamp_ms != h->max_timestamp_ms &&
            memcmp(at, unused, sizeof unused) != 0)
            p->wrong_time_at = (int64_t)p->times_at;
    }
}

static int verify_index(struct verifying *p, int64_t base, int fd, int64_t size, int64_t end, bool times,
                        bool active)
{
    char path[PATH_MAX];
    struct buffer raw = BUFFER_INIT;
    bool missing;
    const char *kind = times ? "time-index" : "index";
    size_t bytes = times ? TIME_ENTRY_BYTES : OFFSET_ENTRY_BYTES;
    int rc = read_side(p, base, times ? SEGMENT_TIME_SUFFIX : SEGMENT_INDEX_SUFFIX, path, &raw, &missing);
    if (rc == 0 && missing)
        verify_say_unwritten(p, path, kind, INDEX_START, "the file is missing");
    struct entry_view last = {-1, base - 1, -1};
    size_t at = 0;
    for (; rc == 0 && at + bytes <= raw.size; at += bytes) {
        struct entry_view e = entry_of(raw.data + at, base, times);
        // A file that was not closed has zeros behind its last entry.
        if ((at > 0 || active || raw.size > bytes) &&
            bytes_are_zero((struct bytes){raw.data + at, raw.size - at})) {
            at = raw.size;
            break;
        }
        const char *problem = NULL;
        if (e.offset < base || e.offset >= end)
            problem = "an entry's offset is not in the segment";
        else if (times ? e.timestamp_ms < last.timestamp_ms || e.offset < last.offset
                       : e.offset <= last.offset || e.position <= last.position)
            problem = "its entries do not ascend";
        else if (!times && !points_at_batch(fd, size, &e))
            problem = "an entry points at no batch with its offset";
        else if (times && (int64_t)at == p->wrong_time_at)
            problem = "an entry's time is not that of the batch with its offset";
        if (problem) {
            verify_say(p->v, path, (int64_t)at, e.offset, kind, INDEX_START, "%s", problem);
            break; // what follows says nothing more
        }
        last = e;
    }
    if (rc == 0 && at < raw.size && at + bytes > raw.size)
        verify_say(p->v, path, (int64_t)at, -1, kind, INDEX_START, "the file ends within an entry");
    buffer_free(&raw);
    return rc;
}

static int verify_transactions(struct verifying *p, int64_t base, int64_t end)
{
    char path[PATH_MAX];
    struct buffer raw = BUFFER_INIT;
    bool missing;
    int rc = read_side(p, base, SEGMENT_TXN_SUFFIX, path, &raw, &missing);
    for (size_t at = 0; rc == 0 && at < raw.size; at += TXN_INDEX_ENTRY_BYTES) {
        const char *problem = NULL;
        struct txn_index_entry e = {0};
        if (at + TXN_INDEX_ENTRY_BYTES > raw.size) {
            problem = "the file ends within an entry";
        } else {
            e = txn_index_decode(raw.data + at);
            if (load_be16(raw.data + at) != 0)
                problem = "an entry of an unknown version";
            else if (e.first_offset < 0 || e.last_offset < e.first_offset || e.last_offset < base ||
                     e.last_offset >= end)
                problem = "a transaction that does not end in the segment";
            else if (e.last_stable_offset < 0 || e.last_stable_offset > e.last_offset + 1)
                problem = "a last stable offset that lies behind the transaction's end";
        }
        if (!problem)
            continue;
        verify_say(p->v, path, (int64_t)at, e.last_offset, "transaction-index",
                   "a start that recovers the segment makes it anew; otherwise readers see aborted records",
                   "%s", problem);
        break;
    }
    buffer_free(&raw);
    return rc;
}

int verify_indexes(struct verifying *p, int64_t base, int fd, int64_t size, int64_t end, bool active)
{
    int rc = verify_index(p, base, fd, size, end, false, active);
    rc = rc ? rc : verify_index(p, base, fd, size, end, true, active);
    return rc ? rc : verify_transactions(p, base, end);
}

int verify_compare_offsets(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int verify_orphan(void *arg, const char *name)
{
    static const char *const suffixes[] = {SEGMENT_INDEX_SUFFIX, SEGMENT_TIME_SUFFIX, SEGMENT_TXN_SUFFIX};
    struct verifying *p = arg;
    char path[PATH_MAX];
    const char *suffix;
    int64_t base;
    bool side = false;
    if (!segment_parse_name(name, &base, &suffix))
        return 0;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        side |= strcmp(suffix, suffixes[i]) == 0;
    if (!side || (p->count && bsearch(&base, p->bases, p->count, sizeof *p->bases, verify_compare_offsets)))
        return 0;
    snprintf(path, sizeof path, "%s/%s", p->log->dir, name);
    verify_say_unwritten(p, path, "segment", "nothing: what the segment held is gone",
                         "the .log file of its segment is missing");
    return 0;
}

// Indexes without a segment: a broker that was killed as it removed one leaves them, too.
int verify_orphans(struct verifying *p)
{
    return file_list(p->log->dir, verify_orphan, p);
}

// ---------------------------------------------------------------- producer snapshots

static int verify_snapshot(void *arg, const char *name)
{
    struct verifying *p = arg;
    char path[PATH_MAX];
    const char *suffix;
    int64_t offset;
    struct buffer raw = BUFFER_INIT;
    struct producer_state state;
    if (!segment_parse_name(name, &offset, &suffix) || strcmp(suffix, SNAPSHOT_SUFFIX) != 0)
        return 0;
    snprintf(path, sizeof path, "%s/%s", p->log->dir, name);
    int rc = file_read_whole(path, SIDE_FILE_MAX, &raw);
    producer_state_init(&state, offset);
    int bad =
        rc ? 0 : producer_snapshot_decode((struct bytes){raw.data, raw.size}, offset, 0, INT64_MAX, &state);
    if (bad == ERR_CORRUPT)
        verify_say(p->v, path, -1, offset, "producer-snapshot",
                   "producers are read from the batches instead, from an older snapshot on",
                   "it is no snapshot of producers, or its CRC is wrong");
    else if (rc == 0 && offset > p->end)
        verify_say(p->v, path, -1, offset, "producer-snapshot", "it is not used",
                   "it is of offset %" PRId64 ", but the log ends at %" PRId64, offset, p->end);
    producer_state_free(&state);
    buffer_free(&raw);
    return rc ? rc : bad == ERR_NOMEM ? bad : 0;
}

int verify_snapshots(struct verifying *p)
{
    return file_list(p->log->dir, verify_snapshot, p);
}

// ---------------------------------------------------------------- epochs and the topic's id

int verify_read_epochs(struct verifying *p)
{
    char path[PATH_MAX];
    struct buffer text = BUFFER_INIT;
    snprintf(path, sizeof path, "%s/" EPOCH_CACHE_FILE, p->log->dir);
    int rc = file_read_whole(path, SIDE_FILE_MAX, &text);
    p->epochs_rc = rc ? rc : epoch_cache_parse((struct str){(const char *)text.data, text.size}, &p->epochs);
    buffer_free(&text);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int verify_epochs(struct verifying *p)
{
    char path[PATH_MAX];
    const struct epoch_cache *epochs = &p->epochs;
    const char *start = "a start that recovers the log reads the epochs from its batches";
    snprintf(path, sizeof path, "%s/" EPOCH_CACHE_FILE, p->log->dir);
    if (p->epochs_rc == ERR_NOT_FOUND && p->end > 0 && p->latest_epoch >= 0)
        verify_say_unwritten(p, path, "epochs", start, "the file is missing");
    else if (p->epochs_rc == ERR_NOT_FOUND)
        return 0;
    else if (p->epochs_rc)
        verify_say(p->v, path, -1, -1, "epochs", start, "it is no checkpoint of epochs");
    else if (epochs->count && epochs->entries[epochs->count - 1].start_offset > p->end)
        verify_say(p->v, path, -1, epochs->entries[epochs->count - 1].start_offset, "epochs",
                   "what lies behind the log's end is dropped",
                   "epoch %d begins behind the log's end (%" PRId64 ")", epoch_cache_latest(epochs), p->end);
    else if (p->other_epoch_at >= 0)
        verify_say(p->v, path, -1, p->other_epoch_at, "epochs",
                   "nothing: who asks where an epoch ends is misled",
                   "it says epoch %d of a batch that has another", epoch_cache_at(epochs, p->other_epoch_at));
    else if (p->latest_epoch > epoch_cache_latest(epochs))
        verify_say_unwritten(p, path, "epochs", start, "it lacks the epoch that the last batches have");
    return 0;
}

int verify_partition_metadata(struct verifying *p)
{
    char path[PATH_MAX];
    struct uuid id;
    int rc = log_read_topic_id(p->log->dir, &id);
    snprintf(path, sizeof path, "%s/partition.metadata", p->log->dir);
    if (rc == ERR_CORRUPT)
        verify_say(p->v, path, -1, -1, "partition-metadata",
                   "the metadata tells the topic's id, and the file is written anew", "it names no topic id");
    else if (rc == ERR_NOT_FOUND && !p->log->metadata)
        verify_say(p->v, path, -1, -1, "partition-metadata",
                   "the metadata tells the topic's id, and the file is written anew", "the file is missing");
    else if (rc && rc != ERR_NOT_FOUND)
        return rc;
    return 0;
}
