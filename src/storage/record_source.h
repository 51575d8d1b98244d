// Walks the records of a batch of unknown quality: where they lie, or out of a decompressor through a small
// window, so that a batch that unfolds into gigabytes costs no memory. Only the headers of records are looked
// at; their keys, values and headers are stepped over. Private to batch validation. One thread a source.
#ifndef STORAGE_RECORD_SOURCE_H
#define STORAGE_RECORD_SOURCE_H

#include "storage/batch.h"

#define RECORD_WINDOW_BYTES 32768

struct record_source {
    const uint8_t *at, *end;          // bytes at hand
    struct decompress_stream *stream; // where more come from; NULL: there are no more
    uint8_t *window;                  // RECORD_WINDOW_BYTES, the memory of [at, end) with a stream
    size_t limit_bytes;               // of what the stream may produce
    int stream_error;                 // what ended the stream early; met only when the walk gets there
};

struct record_fields {
    int64_t timestamp_delta_ms;
    int32_t offset_delta;
    int32_t key_size, value_size; // negative: null
};

enum record_step {
    RECORD_OK,
    RECORD_SHORT,      // the bytes end within the record
    RECORD_BAD,        // its lengths do not add up
    RECORD_BAD_LENGTH, // the length in front of it is no number
    RECORD_STREAM,     // the stream broke: stream_error says how
};

// What record_source_next does where the record does not lie whole in [at, end).
enum record_step record_source_next_slowly(struct record_source *s, struct record_fields *out);

// RECORD_OK at the end of everything, RECORD_BAD when bytes are left, RECORD_STREAM.
enum record_step record_source_finish(struct record_source *s);

// Zig-zag varints of up to 5 and 10 bytes. False when they do not end before `end`. Most have one or two
// bytes.
static inline bool source_varint(const uint8_t **at, const uint8_t *end, int32_t *out)
{
    const uint8_t *p = *at;
    if (__builtin_expect(p < end, 1)) {
        if (p[0] < 0x80) {
            *out = unzigzag32(p[0]);
            *at = p + 1;
            return true;
        }
        if (end - p >= 2 && p[1] < 0x80) {
            *out = unzigzag32((p[0] & 0x7fu) | (uint32_t)p[1] << 7);
            *at = p + 2;
            return true;
        }
    }
    size_t n = varint_read(p, end, out);
    *at = p + n;
    return n != 0;
}

static inline bool source_varlong(const uint8_t **at, const uint8_t *end, int64_t *out)
{
    const uint8_t *p = *at;
    if (__builtin_expect(p < end, 1)) {
        if (p[0] < 0x80) {
            *out = unzigzag64(p[0]);
            *at = p + 1;
            return true;
        }
        if (end - p >= 2 && p[1] < 0x80) {
            *out = unzigzag64((p[0] & 0x7fu) | (uint64_t)p[1] << 7);
            *at = p + 2;
            return true;
        }
    }
    size_t n = varlong_read(p, end, out);
    *at = p + n;
    return n != 0;
}

// Steps over a length and as many bytes.
static inline bool source_skip(const uint8_t **at, const uint8_t *end, int32_t *size)
{
    if (!source_varint(at, end, size))
        return false;
    if (*size > end - *at)
        return false;
    *at += *size > 0 ? *size : 0;
    return true;
}

static inline bool source_skip_headers(const uint8_t **at, const uint8_t *end)
{
    int32_t count, key_size, value_size;
    if (!source_varint(at, end, &count) || count < 0)
        return false;
    for (; count > 0; count--)
        if (!source_skip(at, end, &key_size) || key_size < 0 || !source_skip(at, end, &value_size))
            return false;
    return true;
}

// The fields of the record that fills [at, end).
static inline bool source_fields(const uint8_t *at, const uint8_t *end, struct record_fields *out)
{
    if (at == end)
        return false;
    at++; // attributes: none are defined, and Kafka takes any
    return source_varlong(&at, end, &out->timestamp_delta_ms) &&
           source_varint(&at, end, &out->offset_delta) && source_skip(&at, end, &out->key_size) &&
           source_skip(&at, end, &out->value_size) && source_skip_headers(&at, end) && at == end;
}

// The next record's fields.
static inline enum record_step record_source_next(struct record_source *s, struct record_fields *out)
{
    const uint8_t *at = s->at;
    int32_t size;
    if (!source_varint(&at, s->end, &size) || size > s->end - at)
        return record_source_next_slowly(s, out);
    if (size < 0 || !source_fields(at, at + size, out))
        return RECORD_BAD;
    s->at = at + size;
    return RECORD_OK;
}

#endif
