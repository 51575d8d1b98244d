#include "storage/cleaner_filter.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "storage/batch_validate.h"
#include "storage/log.h"

// Whether the batch is kept even without a record: it holds the last sequence of a producer that is active,
// or (a marker) its epoch; or it is the last one of the round.
static bool stays_empty(const struct cleaner_filter *f, const struct batch_header *h)
{
    const struct log_producer *p =
        batch_has_producer(h) ? map_int_get(f->producers, (uint64_t)h->producer_id) : NULL;
    bool last_of_producer =
        p && (p->last_data_offset >= 0 ? batch_last_offset(h) == p->last_data_offset
                                       : batch_is_control(h) && h->producer_epoch == p->producer_epoch);
    return last_of_producer || batch_last_offset(h) + 1 == f->round_end;
}

// A record of a batch that is no control batch and was not aborted.
static bool survives(struct cleaner_filter *f, const struct batch_header *h, const struct record *r)
{
    int64_t offset = record_offset(h, r);
    if (offset > f->keys->latest_offset)
        return true;
    if (!r->key.data) {
        f->keyless++;
        return false;
    }
    bool tombstone = !r->value.data;
    if (tombstone && batch_has_delete_horizon(h) && f->now_ms >= h->base_timestamp_ms)
        return false;
    return offset >= cleaner_keys_get(f->keys, r->key);
}

// What a walk over a batch's records found.
struct survivors {
    struct bytes body; // of the records that stay, as they are encoded
    int32_t count;
    bool all, tombstones;
    int64_t max_timestamp_ms;
};

static int walk(struct cleaner_filter *f, const struct batch_header *h, struct bytes body, bool keep_all,
                struct survivors *out)
{
    struct record_cursor cursor = record_cursor(body, h->count);
    struct record record;
    int rc;
    *out = (struct survivors){.body = body, .all = true, .max_timestamp_ms = BATCH_NO_TIMESTAMP};
    buffer_clear(&f->kept);
    for (const uint8_t *at = cursor.at; (rc = record_cursor_next(&cursor, &record)) > 0; at = cursor.at) {
        f->records_read++;
        bool stays = keep_all || survives(f, h, &record);
        if (!stays && out->all) { // up to here everything did
            buffer_append(&f->kept, body.data, (size_t)(at - body.data));
            out->all = false;
        }
        if (!stays)
            continue;
        if (!out->all)
            buffer_append(&f->kept, at, (size_t)(cursor.at - at));
        out->count++;
        out->tombstones |= !record.value.data;
        int64_t timestamp_ms = record_timestamp_ms(h, &record);
        if (timestamp_ms > out->max_timestamp_ms)
            out->max_timestamp_ms = timestamp_ms;
    }
    if (!out->all)
        out->body = (struct bytes){f->kept.data, f->kept.size};
    f->records_kept += out->count;
    return rc ? rc : f->kept.failed ? ERR_NOMEM : 0;
}

// Encodes the records with times that count from another base, appended to `out`.
static int rebase(const struct batch_header *h, const struct survivors *s, int64_t base_timestamp_ms,
                  struct buffer *out)
{
    struct record_cursor cursor = record_cursor(s->body, s->count);
    struct record record;
    int rc;
    for (const uint8_t *at = cursor.at; (rc = record_cursor_next(&cursor, &record)) > 0; at = cursor.at) {
        int32_t size;
        int64_t delta;
        const uint8_t *fields = at + varint_read(at, cursor.at, &size);
        const uint8_t *rest = fields + 1 + varlong_read(fields + 1, cursor.at, &delta);
        delta = (int64_t)((uint64_t)h->base_timestamp_ms + (uint64_t)delta - (uint64_t)base_timestamp_ms);
        size_t rest_size = (size_t)(cursor.at - rest), fresh_size = 1 + varlong_size(delta) + rest_size;
        uint8_t *to = buffer_reserve(out, VARINT_MAX_BYTES + fresh_size);
        if (!to || fresh_size > INT32_MAX)
            return ERR_NOMEM;
        uint8_t *start = to;
        to += varint_write(to, (int32_t)fresh_size);
        *to++ = *fields;
        to += varlong_write(to, delta);
        memcpy(to, rest, rest_size);
        out->size += (size_t)(to - start) + rest_size;
    }
    return rc;
}

static int finish(struct cleaner_filter *f, struct batch_header *h, struct bytes *out)
{
    struct buffer *b = &f->rebuilt;
    if (b->failed)
        return ERR_NOMEM;
    if (b->size > INT32_MAX)
        return ERR_LIMIT;
    h->length = (int32_t)(b->size - BATCH_PREFIX_BYTES);
    batch_header_write(b->data, h);
    store_be32(b->data + BATCH_CRC_AT, crc32c(b->data + BATCH_ATTRIBUTES_AT, b->size - BATCH_ATTRIBUTES_AT));
    *out = (struct bytes){b->data, b->size};
    return 0;
}

static int start(struct cleaner_filter *f)
{
    buffer_clear(&f->rebuilt);
    if (!buffer_reserve(&f->rebuilt, BATCH_HEADER_BYTES))
        return ERR_NOMEM;
    f->rebuilt.size = BATCH_HEADER_BYTES;
    return 0;
}

// The batch with those records that stay; with a horizon as its base timestamp (KIP-534) when it gets one.
static int rebuild(struct cleaner_filter *f, const struct batch_header *h, const struct survivors *s,
                   bool new_horizon, struct bytes *out)
{
    struct batch_header fresh = *h;
    struct bytes body = s->body;
    int rc = start(f);
    fresh.count = s->count;
    if (!batch_is_log_append_time(h))
        fresh.max_timestamp_ms = s->max_timestamp_ms;
    if (rc == 0 && new_horizon) {
        fresh.attributes |= BATCH_DELETE_HORIZON;
        fresh.base_timestamp_ms =
            f->delete_retention_ms > INT64_MAX - f->now_ms ? INT64_MAX : f->now_ms + f->delete_retention_ms;
        rc = rebase(h, s, fresh.base_timestamp_ms, &f->rebuilt);
        if (rc == 0 &&
            batch_compression(h) != COMPRESSION_NONE) { // what was just built is the body to compress
            struct buffer swap = f->kept;
            f->kept = f->rebuilt;
            f->rebuilt = swap;
            body = (struct bytes){f->kept.data + BATCH_HEADER_BYTES, f->kept.size - BATCH_HEADER_BYTES};
            rc = start(f);
        }
    }
    if (rc == 0 && (!new_horizon || batch_compression(h) != COMPRESSION_NONE))
        rc = compress_append(batch_compression(h), COMPRESSION_LEVEL_DEFAULT, body, &f->rebuilt);
    return rc ? rc : finish(f, &fresh, out);
}

// A header alone. It tells its producer's last sequence, and that the log reaches so far.
static int make_empty(struct cleaner_filter *f, const struct batch_header *h, struct bytes *out)
{
    struct batch_header fresh = *h;
    int rc = start(f);
    fresh.attributes &= BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL;
    fresh.base_timestamp_ms = BATCH_NO_TIMESTAMP;
    fresh.count = 0;
    return rc ? rc : finish(f, &fresh, out);
}

int cleaner_filter_batch(struct cleaner_filter *f, const struct batch_header *h, struct bytes batch,
                         struct bytes *out, const struct txn_index_entry **aborted)
{
    struct bytes body = {0};
    struct survivors s = {0};
    *out = (struct bytes){0};
    *aborted = NULL;
    bool control = batch_is_control(h), has_horizon = batch_has_delete_horizon(h);
    int gone = control ? cleaner_txns_marker(f->txns, h, batch, aborted) : cleaner_txns_data(f->txns, h);
    if (gone < 0)
        return gone;
    // A marker without a transaction stays as long as a tombstone: some reader may be within the transaction.
    bool discard = gone && (!control || (has_horizon && h->base_timestamp_ms <= f->now_ms));
    int rc = 0;
    if (discard)
        f->records_read += h->count;
    else if (h->count > 0)
        rc = batch_body(h, batch, BATCH_UNPACKED_MAX_BYTES, &f->unpacked, &body);
    if (rc == 0 && !discard && h->count > 0)
        rc = walk(f, h, body, control, &s);
    if (rc)
        return rc;
    if (s.count == 0)
        return stays_empty(f, h) ? make_empty(f, h, out) : 0;
    bool new_horizon = !has_horizon && (s.tombstones || (control && gone));
    if (s.all && !new_horizon) {
        *out = batch;
        return 0;
    }
    return rebuild(f, h, &s, new_horizon, out);
}

void cleaner_filter_free(struct cleaner_filter *f)
{
    buffer_free(&f->unpacked);
    buffer_free(&f->kept);
    buffer_free(&f->rebuilt);
}
