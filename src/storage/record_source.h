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

// The fields of the record that fills [at, end), whatever its numbers' length. False when they do not add up.
bool source_fields(const uint8_t *at, const uint8_t *end, struct record_fields *out);

#define SOURCE_SLACK_BYTES 16

// A zig-zag varint of one or two bytes, wherever it lies: no bound is checked. False when it is longer.
static inline bool source_short(const uint8_t **at, uint32_t *zigzag)
{
    const uint8_t *p = *at;
    uint32_t first = p[0], second = p[1];
    if (first < 0x80) {
        *zigzag = first;
        *at = p + 1;
        return true;
    }
    *zigzag = (first & 0x7f) | second << 7;
    *at = p + 2;
    return second < 0x80;
}

// source_fields for the common record: no long numbers, no headers, and SOURCE_SLACK_BYTES can be read behind
// `end`. Then nothing has to be checked but that the key and the value stay within the record: between those
// checks, at most 7 bytes are read. False: ask source_fields.
static inline bool source_fields_fast(const uint8_t *at, const uint8_t *end, struct record_fields *out)
{
    uint32_t timestamp, offset, key, value;
    at++;
    if (!source_short(&at, &timestamp) || !source_short(&at, &offset) || !source_short(&at, &key))
        return false;
    out->timestamp_delta_ms = unzigzag32(timestamp);
    out->offset_delta = unzigzag32(offset);
    out->key_size = unzigzag32(key);
    if (out->key_size > end - at)
        return false;
    at += out->key_size > 0 ? out->key_size : 0;
    if (!source_short(&at, &value))
        return false;
    out->value_size = unzigzag32(value);
    if (out->value_size > end - at)
        return false;
    at += out->value_size > 0 ? out->value_size : 0;
    return at + 1 == end && *at == 0;
}

// The next record's fields. Inlined by order: it is most of what a produced record costs.
static inline __attribute__((always_inline)) enum record_step record_source_next(struct record_source *s,
                                                                                 struct record_fields *out)
{
    const uint8_t *at = s->at;
    int32_t size;
    if (!source_varint(&at, s->end, &size) || size > s->end - at)
        return record_source_next_slowly(s, out);
    if (size < 0)
        return RECORD_BAD;
    const uint8_t *end = at + size;
    bool fast = s->end - end >= SOURCE_SLACK_BYTES && source_fields_fast(at, end, out);
    if (!fast && !source_fields(at, end, out))
        return RECORD_BAD;
    s->at = end;
    return RECORD_OK;
}

#endif
