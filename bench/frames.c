#include "frames.h"

#include "options.h"

void frame_int8(struct buffer *b, int8_t v)
{
    buffer_byte(b, (uint8_t)v);
}

void frame_int16(struct buffer *b, int16_t v)
{
    uint8_t bytes[2];
    store_be16(bytes, (uint16_t)v);
    buffer_append(b, bytes, sizeof bytes);
}

void frame_int32(struct buffer *b, int32_t v)
{
    uint8_t bytes[4];
    store_be32(bytes, (uint32_t)v);
    buffer_append(b, bytes, sizeof bytes);
}

void frame_int64(struct buffer *b, int64_t v)
{
    uint8_t bytes[8];
    store_be64(bytes, (uint64_t)v);
    buffer_append(b, bytes, sizeof bytes);
}

void frame_uuid(struct buffer *b, const struct uuid *id)
{
    buffer_append(b, id->bytes, sizeof id->bytes);
}

static void frame_uvarint(struct buffer *b, uint32_t v)
{
    uint8_t bytes[VARLONG_MAX_BYTES];
    buffer_append(b, bytes, uvarint_write(bytes, v));
}

void frame_count(struct buffer *b, uint32_t n)
{
    frame_uvarint(b, n + 1);
}

void frame_string(struct buffer *b, const char *text)
{
    frame_uvarint(b, text ? (uint32_t)strlen(text) + 1 : 0);
    if (text)
        buffer_text(b, text);
}

void frame_no_tags(struct buffer *b)
{
    buffer_byte(b, 0);
}

void frame_begin(struct buffer *b, enum api key, enum api_version version, int32_t correlation)
{
    buffer_clear(b);
    frame_int32(b, 0);
    frame_int16(b, (int16_t)key);
    frame_int16(b, (int16_t)version);
    frame_int32(b, correlation);
    frame_int16(b, sizeof FRAME_CLIENT_ID - 1);
    buffer_text(b, FRAME_CLIENT_ID);
    frame_no_tags(b);
}

void frame_end(struct buffer *b, size_t behind)
{
    if (b->failed)
        fail("out of memory");
    store_be32(b->data, (uint32_t)(b->size - 4 + behind));
}

void frame_produce(struct buffer *b, int32_t correlation, int16_t acks, const struct uuid *topic,
                   int32_t partition, size_t batch_bytes)
{
    frame_begin(b, API_PRODUCE, VERSION_PRODUCE, correlation);
    frame_string(b, NULL); // transactional id
    frame_int16(b, acks);
    frame_int32(b, 30000);
    frame_count(b, 1);
    frame_uuid(b, topic);
    frame_count(b, 1);
    frame_int32(b, partition);
    frame_uvarint(b, (uint32_t)batch_bytes + 1);
    frame_end(b, batch_bytes + FRAME_PRODUCE_TAIL_BYTES);
}

void frame_fetch(struct buffer *b, int32_t correlation, const struct fetch_settings *settings,
                 int32_t session_id, int32_t session_epoch, const struct uuid *topic,
                 const struct fetch_position *positions, int count)
{
    frame_begin(b, API_FETCH, VERSION_FETCH, correlation);
    frame_int32(b, settings->max_wait_ms);
    frame_int32(b, settings->min_bytes);
    frame_int32(b, settings->max_bytes);
    frame_int8(b, 0); // read uncommitted
    frame_int32(b, session_id);
    frame_int32(b, session_epoch);
    frame_count(b, 1);
    frame_uuid(b, topic);
    frame_count(b, (uint32_t)count);
    for (int i = 0; i < count; i++) {
        frame_int32(b, positions[i].partition);
        frame_int32(b, -1); // current leader epoch
        frame_int64(b, positions[i].offset);
        frame_int32(b, -1); // last fetched epoch
        frame_int64(b, -1); // log start offset
        frame_int32(b, settings->partition_max_bytes);
        frame_no_tags(b);
    }
    frame_no_tags(b);
    frame_count(b, 0);   // forgotten topics
    frame_string(b, ""); // rack
    frame_no_tags(b);
    frame_end(b, 0);
}

void frame_api_versions(struct buffer *b, int32_t correlation)
{
    frame_begin(b, API_API_VERSIONS, VERSION_API_VERSIONS, correlation);
    frame_string(b, FRAME_CLIENT_ID);
    frame_string(b, "1");
    frame_no_tags(b);
    frame_end(b, 0);
}

static const uint8_t *take(struct response *r, size_t n)
{
    if (n > r->left)
        fail("a response ends within a field");
    r->left -= n;
    return reader_take(r->reader, n);
}

void response_begin(struct response *r, struct reader *reader, bool header_has_tags)
{
    r->reader = reader;
    uint32_t size = load_be32(reader_take(reader, 4));
    if (size > INT32_MAX)
        fail("a response of %u bytes", size);
    r->left = size;
    r->correlation = response_int32(r);
    if (header_has_tags)
        response_skip_tags(r);
}

int8_t response_int8(struct response *r)
{
    return (int8_t)take(r, 1)[0];
}

int16_t response_int16(struct response *r)
{
    return (int16_t)load_be16(take(r, 2));
}

int32_t response_int32(struct response *r)
{
    return (int32_t)load_be32(take(r, 4));
}

int64_t response_int64(struct response *r)
{
    return (int64_t)load_be64(take(r, 8));
}

uint32_t response_uvarint(struct response *r)
{
    uint32_t v = 0;
    for (int shift = 0; shift < 32; shift += 7) {
        uint8_t byte = take(r, 1)[0];
        v |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    fail("a response with an overlong varint");
}

uint32_t response_count(struct response *r)
{
    uint32_t n = response_uvarint(r);
    return n ? n - 1 : 0;
}

void response_skip(struct response *r, size_t n)
{
    if (n > r->left)
        fail("a response ends within a field");
    r->left -= n;
    reader_skip(r->reader, n);
}

void response_skip_string(struct response *r)
{
    response_skip(r, response_count(r));
}

void response_skip_tags(struct response *r)
{
    uint32_t n = response_uvarint(r);
    while (n-- > 0) {
        response_uvarint(r);
        response_skip(r, response_uvarint(r));
    }
}

void response_uuid(struct response *r, struct uuid *out)
{
    memcpy(out->bytes, take(r, sizeof out->bytes), sizeof out->bytes);
}

void response_copy(struct response *r, void *to, size_t n)
{
    if (n > r->left)
        fail("a response ends within a field");
    r->left -= n;
    reader_copy(r->reader, to, n);
}

void response_end(struct response *r)
{
    response_skip(r, r->left);
}
