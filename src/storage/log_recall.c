// What a producer snapshot does not hold: of each producer it has the last batch alone, while a client may
// send again any of the last five.
#include "storage/log_state.h"

// How far before the snapshot batches are looked for, in records.
#define RECALL_RECORDS 200000

// Puts an older batch of the producer before its newest one; batches come in the order of their offsets.
static void recall(struct producer_entry *e, const struct batch_header *h, int64_t last_offset)
{
    if (e->batch_count == 0 || e->epoch != h->producer_epoch)
        return;
    struct producer_batch newest = e->batches[e->batch_count - 1];
    if (last_offset >= newest.last_offset)
        return;
    if (e->batch_count == PRODUCER_BATCHES)
        memmove(e->batches, e->batches + 1, (PRODUCER_BATCHES - 1) * sizeof e->batches[0]);
    else
        e->batch_count++;
    e->batches[e->batch_count - 2] = (struct producer_batch){.last_offset = last_offset,
                                                             .timestamp_ms = h->max_timestamp_ms,
                                                             .last_sequence = batch_last_sequence(h),
                                                             .offset_delta = h->last_offset_delta};
    e->batches[e->batch_count - 1] = newest;
}

int log_recall_batches(struct log *log)
{
    int64_t end = log->producers.end_offset;
    if (log->producers.entries.count == 0 || end <= log->log_start)
        return 0;
    struct segment *s = log_segment_of(log, end - 1);
    int64_t from = end - RECALL_RECORDS;
    int fd = segment_pin(s), rc = fd < 0 ? fd : 0;
    if (rc == 0) {
        struct segment_scan scan;
        int64_t position = from > s->base_offset ? log_index_floor(log, s, from) : 0;
        segment_scan_start(&scan, fd, position, segment_size(s, fd));
        while ((rc = segment_scan_next(&scan)) > 0 && scan.batch.last_offset < end) {
            if (!batch_has_producer(&scan.header) || batch_is_control(&scan.header))
                continue;
            struct producer_entry *e =
                map_int_get(&log->producers.entries, (uint64_t)scan.header.producer_id);
            if (e)
                recall(e, &scan.header, scan.batch.last_offset);
        }
        segment_unpin(s);
    }
    segment_unref(s);
    return rc < 0 ? rc : 0;
}
