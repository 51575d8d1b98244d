#include "storage/batch.h"

#include "base/crc32c.h"
#include "base/error.h"

// Bytes behind the length field that every batch has.
#define LENGTH_MIN (BATCH_HEADER_BYTES - BATCH_PREFIX_BYTES)

int batch_header_read(struct bytes in, struct batch_header *out)
{
    const uint8_t *at = in.data;
    if (in.size < BATCH_MAGIC_AT + 1)
        return ERR_TRUNCATED;
    *out = (struct batch_header){
        .base_offset = (int64_t)load_be64(at + BATCH_BASE_OFFSET_AT),
        .length = (int32_t)load_be32(at + BATCH_LENGTH_AT),
        .leader_epoch = (int32_t)load_be32(at + BATCH_LEADER_EPOCH_AT),
        .magic = (int8_t)at[BATCH_MAGIC_AT],
    };
    if (out->magic == 0 || out->magic == 1)
        return ERR_UNSUPPORTED;
    if (out->magic != BATCH_MAGIC || out->length < LENGTH_MIN || out->base_offset < 0)
        return ERR_CORRUPT;
    if (in.size < BATCH_HEADER_BYTES)
        return ERR_TRUNCATED;
    out->crc = load_be32(at + BATCH_CRC_AT);
    out->attributes = load_be16(at + BATCH_ATTRIBUTES_AT);
    out->last_offset_delta = (int32_t)load_be32(at + BATCH_LAST_OFFSET_DELTA_AT);
    out->base_timestamp_ms = (int64_t)load_be64(at + BATCH_BASE_TIMESTAMP_AT);
    out->max_timestamp_ms = (int64_t)load_be64(at + BATCH_MAX_TIMESTAMP_AT);
    out->producer_id = (int64_t)load_be64(at + BATCH_PRODUCER_ID_AT);
    out->producer_epoch = (int16_t)load_be16(at + BATCH_PRODUCER_EPOCH_AT);
    out->base_sequence = (int32_t)load_be32(at + BATCH_BASE_SEQUENCE_AT);
    out->count = (int32_t)load_be32(at + BATCH_COUNT_AT);
    return 0;
}

void batch_header_write(uint8_t at[BATCH_HEADER_BYTES], const struct batch_header *h)
{
    store_be64(at + BATCH_BASE_OFFSET_AT, (uint64_t)h->base_offset);
    store_be32(at + BATCH_LENGTH_AT, (uint32_t)h->length);
    store_be32(at + BATCH_LEADER_EPOCH_AT, (uint32_t)h->leader_epoch);
    at[BATCH_MAGIC_AT] = (uint8_t)h->magic;
    store_be32(at + BATCH_CRC_AT, h->crc);
    store_be16(at + BATCH_ATTRIBUTES_AT, h->attributes);
    store_be32(at + BATCH_LAST_OFFSET_DELTA_AT, (uint32_t)h->last_offset_delta);
    store_be64(at + BATCH_BASE_TIMESTAMP_AT, (uint64_t)h->base_timestamp_ms);
    store_be64(at + BATCH_MAX_TIMESTAMP_AT, (uint64_t)h->max_timestamp_ms);
    store_be64(at + BATCH_PRODUCER_ID_AT, (uint64_t)h->producer_id);
    store_be16(at + BATCH_PRODUCER_EPOCH_AT, (uint16_t)h->producer_epoch);
    store_be32(at + BATCH_BASE_SEQUENCE_AT, (uint32_t)h->base_sequence);
    store_be32(at + BATCH_COUNT_AT, (uint32_t)h->count);
}

bool batch_crc_ok(struct bytes batch)
{
    return batch.size >= BATCH_HEADER_BYTES &&
           load_be32(batch.data + BATCH_CRC_AT) ==
               crc32c(batch.data + BATCH_ATTRIBUTES_AT, batch.size - BATCH_ATTRIBUTES_AT);
}

void batch_set_max_timestamp(uint8_t *batch, size_t size, int64_t max_timestamp_ms, bool log_append_time)
{
    uint16_t old = load_be16(batch + BATCH_ATTRIBUTES_AT);
    uint16_t attributes =
        (uint16_t)(log_append_time ? old | BATCH_LOG_APPEND_TIME : old & ~BATCH_LOG_APPEND_TIME);
    if (attributes == old && (int64_t)load_be64(batch + BATCH_MAX_TIMESTAMP_AT) == max_timestamp_ms)
        return;
    store_be16(batch + BATCH_ATTRIBUTES_AT, attributes & BATCH_ATTRIBUTES_KNOWN); // as Kafka writes them anew
    store_be64(batch + BATCH_MAX_TIMESTAMP_AT, (uint64_t)max_timestamp_ms);
    store_be32(batch + BATCH_CRC_AT, crc32c(batch + BATCH_ATTRIBUTES_AT, size - BATCH_ATTRIBUTES_AT));
}

int batch_cursor_next(struct batch_cursor *c, struct batch_header *header, struct bytes *batch)
{
    size_t left = (size_t)(c->end - c->at);
    if (left == 0)
        return 0;
    int err = batch_header_read((struct bytes){c->at, left}, header);
    if (err)
        return err;
    if (batch_size(header) > left)
        return ERR_TRUNCATED;
    *batch = (struct bytes){c->at, batch_size(header)};
    c->at += batch->size;
    return 1;
}

int batch_body(const struct batch_header *h, struct bytes batch, size_t limit_bytes, struct buffer *scratch,
               struct bytes *body)
{
    *body = (struct bytes){batch.data + BATCH_HEADER_BYTES, batch.size - BATCH_HEADER_BYTES};
    if (batch_compression(h) == COMPRESSION_NONE)
        return 0;
    buffer_clear(scratch);
    int err = decompress_append(batch_compression(h), *body, limit_bytes, scratch);
    *body = (struct bytes){scratch->data ? scratch->data : batch.data, scratch->size}; // empty, but not null
    return err;
}
