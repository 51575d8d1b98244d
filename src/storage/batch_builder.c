#include "storage/batch.h"

#include "base/crc32c.h"
#include "base/error.h"

#include <assert.h>

void batch_builder_init(struct batch_builder *b, const struct batch_options *options)
{
    struct buffer records = b->records, packed = b->packed;
    buffer_clear(&records);
    buffer_clear(&packed);
    *b = (struct batch_builder){.options = *options,
                                .records = records,
                                .packed = packed,
                                .last_offset_delta = -1,
                                .base_timestamp_ms = options->delete_horizon_ms,
                                .max_timestamp_ms = BATCH_NO_TIMESTAMP};
    if (buffer_reserve(&b->records, BATCH_HEADER_BYTES))
        b->records.size = BATCH_HEADER_BYTES;
}

static size_t view_size(const void *data, size_t size)
{
    return data ? (size_t)varint_size((int32_t)size) + size : 1;
}

static uint8_t *view_write(uint8_t *at, const void *data, size_t size)
{
    if (!data)
        return at + varint_write(at, -1);
    at += varint_write(at, (int32_t)size);
    if (size)
        memcpy(at, data, size);
    return at + size;
}

static size_t fields_size(const struct record *r)
{
    return 1 + varlong_size(r->timestamp_delta_ms) + varint_size(r->offset_delta) +
           view_size(r->key.data, r->key.size) + view_size(r->value.data, r->value.size) +
           varint_size(r->header_count) + r->headers.size;
}

// Room for the record, whose headers' size is known; they may stand there later.
static uint8_t *record_append(struct batch_builder *b, const struct record *r)
{
    size_t size = fields_size(r);
    if (size > INT32_MAX - VARINT_MAX_BYTES - b->records.size) {
        b->error = ERR_LIMIT;
        return NULL;
    }
    uint8_t *start = buffer_reserve(&b->records, VARINT_MAX_BYTES + size), *at = start;
    if (!at) {
        b->error = ERR_NOMEM;
        return NULL;
    }
    at += varint_write(at, (int32_t)size);
    *at++ = 0; // a record's attributes: none exist
    at += varlong_write(at, r->timestamp_delta_ms);
    at += varint_write(at, r->offset_delta);
    at = view_write(at, r->key.data, r->key.size);
    at = view_write(at, r->value.data, r->value.size);
    at += varint_write(at, r->header_count);
    b->records.size += (size_t)(at - start) + r->headers.size;
    return at;
}

// Sets the record's deltas and takes it in. Returns where its encoded headers go, or NULL with the error set.
static uint8_t *take(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms, struct record *r)
{
    if (!b->error && b->records.failed)
        b->error = ERR_NOMEM;
    if (!b->error && offset_delta <= b->last_offset_delta)
        b->error = ERR_INVALID;
    // No batch may be so large; checked first, so that the sizes fit their types.
    if (!b->error && (r->key.size > INT32_MAX || r->value.size > INT32_MAX || r->headers.size > INT32_MAX))
        b->error = ERR_LIMIT;
    if (b->error)
        return NULL;
    if (b->count == 0 && !(b->options.attributes & BATCH_DELETE_HORIZON))
        b->base_timestamp_ms = timestamp_ms;
    r->offset_delta = offset_delta;
    r->timestamp_delta_ms = (int64_t)((uint64_t)timestamp_ms - (uint64_t)b->base_timestamp_ms);
    uint8_t *headers_at = record_append(b, r);
    if (!headers_at)
        return NULL;
    b->count++;
    b->last_offset_delta = offset_delta;
    if (timestamp_ms > b->max_timestamp_ms)
        b->max_timestamp_ms = timestamp_ms;
    return headers_at;
}

// The encoded size of the headers, or SIZE_MAX with the error set.
static size_t headers_size(struct batch_builder *b, const struct record_header *headers, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        if (!headers[i].key.data)
            b->error = ERR_INVALID;
        else if (count > INT32_MAX || headers[i].key.size > INT32_MAX || headers[i].value.size > INT32_MAX)
            b->error = ERR_LIMIT;
        if (b->error)
            return SIZE_MAX;
        size += view_size(headers[i].key.data, headers[i].key.size) +
                view_size(headers[i].value.data, headers[i].value.size);
    }
    return size;
}

void batch_builder_add_at(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms,
                          struct bytes key, struct bytes value, const struct record_header *headers,
                          size_t header_count)
{
    if (b->error)
        return;
    struct record r = {.key = key, .value = value, .header_count = (int32_t)header_count};
    r.headers.size = headers_size(b, headers, header_count);
    uint8_t *at = take(b, offset_delta, timestamp_ms, &r);
    for (size_t i = 0; at && i < header_count; i++) {
        at = view_write(at, headers[i].key.data, headers[i].key.size);
        at = view_write(at, headers[i].value.data, headers[i].value.size);
    }
}

void batch_builder_copy(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms,
                        const struct record *r)
{
    struct record copy = *r;
    uint8_t *at = take(b, offset_delta, timestamp_ms, &copy);
    if (at && r->headers.size)
        memcpy(at, r->headers.data, r->headers.size);
}

void batch_builder_add(struct batch_builder *b, int64_t timestamp_ms, struct bytes key, struct bytes value,
                       const struct record_header *headers, size_t header_count)
{
    if (b->last_offset_delta == INT32_MAX)
        b->error = ERR_LIMIT;
    else
        batch_builder_add_at(b, b->last_offset_delta + 1, timestamp_ms, key, value, headers, header_count);
}

void batch_builder_add_control(struct batch_builder *b, int64_t timestamp_ms, int16_t type,
                               struct bytes value)
{
    assert(b->options.attributes & BATCH_CONTROL);
    uint8_t key[CONTROL_KEY_BYTES];
    control_key_write(key, type);
    batch_builder_add(b, timestamp_ms, (struct bytes){key, sizeof key}, value, NULL, 0);
}

size_t batch_builder_size(const struct batch_builder *b)
{
    return b->records.size;
}

// Compresses the records behind room for a header.
static int pack(struct batch_builder *b)
{
    buffer_clear(&b->packed);
    if (!buffer_reserve(&b->packed, BATCH_HEADER_BYTES))
        return ERR_NOMEM;
    b->packed.size = BATCH_HEADER_BYTES;
    struct bytes body = {b->records.data + BATCH_HEADER_BYTES, b->records.size - BATCH_HEADER_BYTES};
    return compress_append(b->options.compression, b->options.compression_level, body, &b->packed);
}

int batch_builder_finish(struct batch_builder *b, struct bytes *batch)
{
    const struct batch_options *o = &b->options;
    if (!b->error && b->count == 0)
        b->error = ERR_INVALID;
    if (!b->error && o->compression != COMPRESSION_NONE)
        b->error = pack(b);
    if (b->error)
        return b->error;
    struct buffer *out = o->compression == COMPRESSION_NONE ? &b->records : &b->packed;
    if (out->size > INT32_MAX)
        return b->error = ERR_LIMIT;
    struct batch_header h = {
        .base_offset = o->base_offset,
        .length = (int32_t)(out->size - BATCH_PREFIX_BYTES),
        .leader_epoch = o->leader_epoch,
        .magic = BATCH_MAGIC,
        .attributes = (uint16_t)((o->attributes & ~(unsigned)BATCH_COMPRESSION_MASK) | o->compression),
        .last_offset_delta = b->last_offset_delta,
        .base_timestamp_ms = b->base_timestamp_ms,
        .max_timestamp_ms =
            o->attributes & BATCH_LOG_APPEND_TIME ? o->log_append_time_ms : b->max_timestamp_ms,
        .producer_id = o->producer_id,
        .producer_epoch = o->producer_epoch,
        .base_sequence = o->base_sequence,
        .count = b->count,
    };
    batch_header_write(out->data, &h);
    store_be32(out->data + BATCH_CRC_AT,
               crc32c(out->data + BATCH_ATTRIBUTES_AT, out->size - BATCH_ATTRIBUTES_AT));
    *batch = (struct bytes){out->data, out->size};
    return 0;
}

void batch_builder_free(struct batch_builder *b)
{
    buffer_free(&b->records);
    buffer_free(&b->packed);
}
