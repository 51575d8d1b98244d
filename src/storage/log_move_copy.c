// A move's copy gets what its log has, piece by piece.
#include "base/clock.h"
#include "base/error.h"
#include "storage/batch.h"
#include "storage/log_mover.h"
#include "storage/log_state.h"

#define PRODUCERS_MIN 1000

// The whole batches in front. ERR_CORRUPT: one of them is not what it was.
static int whole_batches(const struct buffer *piece, size_t *size)
{
    struct bytes all = {piece->data, piece->size}, batch;
    struct batch_cursor c = batch_cursor(all);
    struct batch_header header;
    *size = 0;
    while (batch_cursor_next(&c, &header, &batch) > 0) {
        if (!batch_crc_ok(batch))
            return ERR_CORRUPT;
        *size += batch.size;
    }
    return *size ? 0 : ERR_CORRUPT;
}

// Whether batches at or above `offset` lie in front of `position` in segment `until` (NULL: anywhere), behind
// what was copied. 0 or 1, or an error. ERR_AGAIN: the index that led past them has been made anew.
static int lies_between(struct log *log, const struct log_move *move, int64_t offset,
                        const struct segment *until, int64_t position)
{
    struct segment *s = log_segment_of(log, offset);
    int rc = 0;
    while (s && rc == 0) {
        bool last = s == until;
        struct segment_scan scan;
        int fd = segment_pin(s);
        if (fd >= 0) {
            segment_scan_start(&scan, fd, s->base_offset == move->read_base ? move->read_position : 0,
                               last ? position : segment_size(s, fd));
            while ((rc = segment_scan_next(&scan)) > 0 && scan.batch.last_offset < offset)
                ;
            segment_unpin(s);
        } else {
            rc = fd;
        }
        if (rc > 0 && log_mend_indexes(log, s) == 0)
            rc = ERR_AGAIN;
        struct segment *next = rc || last ? NULL : log_segment_after(log, s->base_offset);
        segment_unref(s);
        s = next;
    }
    return rc;
}

int log_move_check_gap(struct log *log, const struct log_move *move, int64_t offset,
                       const struct segment *until, int64_t position)
{
    bool goes_on = until && until->base_offset == move->read_base && position == move->read_position;
    struct log_offsets o;
    int rc = goes_on ? 0 : lies_between(log, move, offset, until, position);
    log_offsets(log, &o);
    if (rc && (atomic_load(&log->truncations) != move->truncations || o.log_start_offset > offset))
        return ERR_AGAIN; // it was cut meanwhile
    return rc > 0 ? ERR_CORRUPT : rc;
}

// What a log of its own has done by the high watermark and by the time: without it all producers and
// transactions that ever were would stay in memory. [the copy's lock]
static void forget_producers(struct log_move *move)
{
    struct log *copy = move->copy;
    log_set_high_watermark(copy, copy->end);
    if (copy->producers.entries.count <= 2 * move->producers + PRODUCERS_MIN)
        return;
    log_expire_producers(copy, clock_wall_ms());
    move->producers = copy->producers.entries.count;
}

int log_move_copy_piece(struct move_thread *t, struct log_move *move, struct log *log, size_t limit,
                        size_t *copied)
{
    struct log_slice slice;
    struct log_append_info info;
    struct log_offsets o;
    size_t size = 0;
    *copied = 0;
    log_offsets(log, &o);
    int64_t end = log_end_offset(move->copy);
    int64_t from = end > o.log_start_offset ? end : o.log_start_offset;
    int rc = log_read(log, from, limit, LOG_BOUND_END, true, &slice);
    if (rc == 0 && slice.size && slice.base_offset > from)
        rc = log_move_check_gap(log, move, from, slice.segment, slice.position);
    if (rc || slice.size == 0) {
        log_slice_release(&slice);
        return rc;
    }
    buffer_clear(&t->piece);
    uint8_t *to = buffer_reserve(&t->piece, slice.size);
    rc = to ? log_slice_copy(&slice, 0, to, slice.size) : ERR_NOMEM;
    t->piece.size = rc ? 0 : slice.size;
    int64_t base = slice.segment->base_offset, position = slice.position;
    log_slice_release(&slice);
    rc = rc ? rc : whole_batches(&t->piece, &size);
    if (rc)
        return rc;
    log_lock(move->copy);
    rc =
        log_append(move->copy, t->piece.data, size, LOG_NO_EPOCH, LOG_ORIGIN_REPLICA, clock_wall_ms(), &info);
    if (rc == 0)
        forget_producers(move);
    log_unlock(move->copy);
    if (rc == 0) {
        *copied = size;
        move->read_base = base;
        move->read_position = position + (int64_t)size;
        move->bytes += (int64_t)size;
        atomic_fetch_add(&t->m->moving.bytes, size);
    }
    return rc;
}
