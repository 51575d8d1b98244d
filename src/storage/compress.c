#include "storage/compress.h"

#include "base/error.h"
#include "storage/snappy_framing.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW     (15 + 16) // 32 KB, with gzip's header and trailer
#define GZIP_LEVEL_FAST (-1)
#define LZ4_LEVEL_FAST \
    9 // Kafka's default level stands for the fast compressor, not for level 9 of the slow one
#define ZSTD_LEVEL_USUAL 3

static const struct {
    const char *name;
    int level_default, level_min, level_max;
} types[COMPRESSION_TYPES] = {
    [COMPRESSION_NONE] = {"none", 0, 0, 0},
    [COMPRESSION_GZIP] = {"gzip", GZIP_LEVEL_FAST, 1, 9},
    [COMPRESSION_SNAPPY] = {"snappy", 0, 0, 0},
    [COMPRESSION_LZ4] = {"lz4", LZ4_LEVEL_FAST, 1, 17},
    [COMPRESSION_ZSTD] = {"zstd", ZSTD_LEVEL_USUAL, -131072, 22},
};

static bool type_known(enum compression type)
{
    return (unsigned)type < COMPRESSION_TYPES;
}

const char *compression_name(enum compression type)
{
    return type_known(type) ? types[type].name : NULL;
}

int compression_from_name(struct str name, enum compression *out)
{
    if (str_is(name, "uncompressed"))
        name = STR("none");
    for (unsigned i = 0; i < COMPRESSION_TYPES; i++) {
        if (str_is(name, types[i].name)) {
            *out = (enum compression)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

bool compression_level_valid(enum compression type, int level)
{
    if (!type_known(type))
        return false;
    return level == COMPRESSION_LEVEL_DEFAULT || level == types[type].level_default ||
           (level >= types[type].level_min && level <= types[type].level_max);
}

static int gzip_append(int level, struct bytes in, struct buffer *out)
{
    z_stream z = {0};
    if (deflateInit2(&z, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return ERR_NOMEM;
    int err = ERR_NOMEM;
    uLong bound = deflateBound(&z, in.size);
    uint8_t *at = buffer_reserve(out, bound);
    if (at && in.size <= UINT32_MAX && bound <= UINT32_MAX) {
        z.next_in = (Bytef *)(uintptr_t)in.data; // zlib's API knows no const; it does not write there
        z.avail_in = (uInt)in.size;
        z.next_out = at;
        z.avail_out = (uInt)bound;
        if (deflate(&z, Z_FINISH) == Z_STREAM_END) {
            out->size += z.total_out;
            err = 0;
        }
    }
    deflateEnd(&z);
    return err;
}

// Java's framing: a header, then blocks with their length in front.
static int snappy_append(struct bytes in, struct buffer *out)
{
    static const uint8_t header[SNAPPY_HEADER_BYTES] = SNAPPY_HEADER;
    buffer_append(out, header, sizeof header);
    for (size_t done = 0; done < in.size;) {
        size_t n = in.size - done < SNAPPY_BLOCK_BYTES ? in.size - done : SNAPPY_BLOCK_BYTES;
        size_t packed = snappy_max_compressed_length(n);
        uint8_t *at = buffer_reserve(out, 4 + packed);
        if (!at)
            return ERR_NOMEM;
        if (snappy_compress((const char *)in.data + done, n, (char *)at + 4, &packed) != SNAPPY_OK)
            return ERR_INVALID;
        store_be32(at, (uint32_t)packed);
        out->size += 4 + packed;
        done += n;
    }
    return out->failed ? ERR_NOMEM : 0;
}

static int lz4_append(int level, struct bytes in, struct buffer *out)
{
    LZ4F_preferences_t preferences = {
        .frameInfo = {.blockSizeID = LZ4F_max64KB,
                      .blockMode = LZ4F_blockIndependent}, // Java reads no other mode
        .compressionLevel = level == LZ4_LEVEL_FAST ? 0 : level,
    };
    size_t bound = LZ4F_compressFrameBound(in.size, &preferences);
    uint8_t *at = buffer_reserve(out, bound);
    if (!at)
        return ERR_NOMEM;
    size_t n = LZ4F_compressFrame(at, bound, in.data, in.size, &preferences);
    if (LZ4F_isError(n))
        return ERR_NOMEM;
    out->size += n;
    return 0;
}

static int zstd_append(int level, struct bytes in, struct buffer *out)
{
    size_t bound = ZSTD_compressBound(in.size);
    uint8_t *at = buffer_reserve(out, bound);
    if (!at)
        return ERR_NOMEM;
    size_t n = ZSTD_compress(at, bound, in.data, in.size, level);
    if (ZSTD_isError(n))
        return ERR_NOMEM;
    out->size += n;
    return 0;
}

int compress_append(enum compression type, int level, struct bytes in, struct buffer *out)
{
    if (!compression_level_valid(type, level))
        return ERR_INVALID;
    if (level == COMPRESSION_LEVEL_DEFAULT)
        level = types[type].level_default;
    switch (type) {
    case COMPRESSION_GZIP:
        return gzip_append(level, in, out);
    case COMPRESSION_SNAPPY:
        return snappy_append(in, out);
    case COMPRESSION_LZ4:
        return lz4_append(level, in, out);
    case COMPRESSION_ZSTD:
        return zstd_append(level, in, out);
    case COMPRESSION_NONE:
        break;
    }
    buffer_append(out, in.data, in.size);
    return out->failed ? ERR_NOMEM : 0;
}
