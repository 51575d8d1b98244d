#include "batch.h"

#include <lz4frame.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/crc32c.h"
#include "options.h"

#define BATCH_MAGIC 2
#define GZIP_WINDOW (15 + 16) // zlib's largest window, with gzip's header

int batch_compression_parse(const char *name, enum batch_compression *out)
{
    static const struct {
        const char *name;
        enum batch_compression value;
    } names[] = {{"none", BATCH_NONE}, {"gzip", BATCH_GZIP}, {"lz4", BATCH_LZ4}, {"zstd", BATCH_ZSTD}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i].name) == 0) {
            *out = names[i].value;
            return 0;
        }
    return -1;
}

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

// Attributes, timestamp delta, offset delta, key length, value length and value, header count.
static size_t record_body_size(int32_t offset_delta, size_t key_bytes, size_t record_bytes)
{
    return 1 + varlong_size(0) + varint_size(offset_delta) +
           varint_size(key_bytes ? (int32_t)key_bytes : -1) + key_bytes + varint_size((int32_t)record_bytes) +
           record_bytes + varint_size(0);
}

static void append_varint(struct buffer *out, int32_t v)
{
    uint8_t bytes[VARINT_MAX_BYTES];
    buffer_append(out, bytes, varint_write(bytes, v));
}

static void append_text(struct buffer *out, size_t bytes, uint64_t *state)
{
    for (size_t i = 0; i < bytes; i++)
        buffer_byte(out, (uint8_t)('A' + next_random(state) % 26));
}

static void append_record(struct buffer *out, int32_t offset_delta, size_t key_bytes, size_t record_bytes,
                          uint64_t *state)
{
    append_varint(out, (int32_t)record_body_size(offset_delta, key_bytes, record_bytes));
    buffer_byte(out, 0);
    append_varint(out, 0);
    append_varint(out, offset_delta);
    append_varint(out, key_bytes ? (int32_t)key_bytes : -1);
    append_text(out, key_bytes, state);
    append_varint(out, (int32_t)record_bytes);
    append_text(out, record_bytes, state);
    append_varint(out, 0);
}

static size_t compress_gzip(const struct buffer *in, uint8_t *out, size_t room)
{
    z_stream z = {.next_in = in->data, .avail_in = (uInt)in->size, .next_out = out, .avail_out = (uInt)room};
    if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    int r = deflate(&z, Z_FINISH);
    size_t size = z.total_out;
    deflateEnd(&z);
    return r == Z_STREAM_END ? size : 0;
}

static size_t compress_lz4(const struct buffer *in, uint8_t *out, size_t room)
{
    LZ4F_preferences_t preferences = {.frameInfo = {.blockMode = LZ4F_blockIndependent}};
    size_t size = LZ4F_compressFrame(out, room, in->data, in->size, &preferences);
    return LZ4F_isError(size) ? 0 : size;
}

static size_t compress_zstd(const struct buffer *in, uint8_t *out, size_t room)
{
    size_t size = ZSTD_compress(out, room, in->data, in->size, 3);
    return ZSTD_isError(size) ? 0 : size;
}

static void append_records(struct buffer *out, const struct buffer *records, enum batch_compression how)
{
    static size_t (*const compress_with[])(const struct buffer *, uint8_t *, size_t) = {
        [BATCH_GZIP] = compress_gzip, [BATCH_LZ4] = compress_lz4, [BATCH_ZSTD] = compress_zstd};
    if (how == BATCH_NONE) {
        buffer_append(out, records->data, records->size);
        return;
    }
    size_t room = records->size + records->size / 8 + 4096;
    uint8_t *at = buffer_reserve(out, room);
    size_t size = at ? compress_with[how](records, at, room) : 0;
    if (size == 0)
        fail("cannot compress a batch");
    out->size += size;
}

static void seal(struct batch *b)
{
    store_be32(b->data + BATCH_AT_CRC, crc32c(b->data + BATCH_AT_ATTRIBUTES, b->size - BATCH_AT_ATTRIBUTES));
}

struct batch batch_build(size_t batch_bytes, size_t key_bytes, size_t record_bytes,
                         enum batch_compression compression, uint64_t seed)
{
    struct buffer records = BUFFER_INIT, out = BUFFER_INIT;
    uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
    int32_t count = 0;
    do {
        append_record(&records, count, key_bytes, record_bytes, &state);
        count++;
    } while (BATCH_HEADER_BYTES + records.size + VARINT_MAX_BYTES +
                 record_body_size(count, key_bytes, record_bytes) <=
             batch_bytes);
    uint8_t *header = buffer_reserve(&out, BATCH_HEADER_BYTES);
    if (!header || records.failed)
        fail("out of memory");
    memset(header, 0, BATCH_HEADER_BYTES);
    out.size = BATCH_HEADER_BYTES;
    append_records(&out, &records, compression);
    buffer_free(&records);
    if (out.failed)
        fail("out of memory");
    header = out.data;
    store_be32(header + BATCH_AT_LENGTH, (uint32_t)(out.size - BATCH_LENGTH_OVERHEAD));
    store_be32(header + 12, UINT32_MAX); // partition leader epoch: the broker's
    header[16] = BATCH_MAGIC;
    store_be16(header + BATCH_AT_ATTRIBUTES, (uint16_t)compression);
    store_be32(header + BATCH_AT_LAST_OFFSET_DELTA, (uint32_t)(count - 1));
    store_be32(header + BATCH_AT_RECORD_COUNT, (uint32_t)count);
    struct batch b = {.data = out.data, .size = out.size, .records = count};
    store_be64(header + BATCH_AT_BASE_TIMESTAMP, (uint64_t)clock_wall_ms());
    store_be64(header + BATCH_AT_MAX_TIMESTAMP, (uint64_t)clock_wall_ms());
    batch_set_producer(&b, -1, -1, -1);
    return b;
}

void batch_set_producer(struct batch *b, int64_t producer_id, int16_t epoch, int32_t base_sequence)
{
    store_be64(b->data + BATCH_AT_PRODUCER_ID, (uint64_t)producer_id);
    store_be16(b->data + BATCH_AT_PRODUCER_EPOCH, (uint16_t)epoch);
    store_be32(b->data + BATCH_AT_BASE_SEQUENCE, (uint32_t)base_sequence);
    seal(b);
}

void batch_set_timestamp(struct batch *b, int64_t now_ms)
{
    store_be64(b->data + BATCH_AT_BASE_TIMESTAMP, (uint64_t)now_ms);
    store_be64(b->data + BATCH_AT_MAX_TIMESTAMP, (uint64_t)now_ms);
    seal(b);
}

int batch_check(const uint8_t *at, size_t size)
{
    return size >= BATCH_HEADER_BYTES && load_be32(at + BATCH_AT_LENGTH) == size - BATCH_LENGTH_OVERHEAD &&
           load_be32(at + BATCH_AT_CRC) == crc32c(at + BATCH_AT_ATTRIBUTES, size - BATCH_AT_ATTRIBUTES);
}

void batch_free(struct batch *b)
{
    free(b->data);
    *b = (struct batch){0};
}
