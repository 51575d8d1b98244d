// The compressions of record batches: gzip, snappy (in Java's framing; raw blocks are read, too), LZ4 frames
// and zstd. Contexts are kept per thread and freed with it. Any thread.
#ifndef STORAGE_COMPRESS_H
#define STORAGE_COMPRESS_H

#include "base/buffer.h"
#include "base/bytes.h"

#include <limits.h>

enum compression {
    COMPRESSION_NONE = 0,
    COMPRESSION_GZIP = 1,
    COMPRESSION_SNAPPY = 2,
    COMPRESSION_LZ4 = 3,
    COMPRESSION_ZSTD = 4,
};

#define COMPRESSION_TYPES         5
#define COMPRESSION_LEVEL_DEFAULT INT_MIN // what Kafka takes by default: gzip -1, lz4 9, zstd 3

// "none", "gzip", "snappy", "lz4", "zstd"; NULL for another value.
const char *compression_name(enum compression type);

// The type of a name as configs use it ("uncompressed" is "none"). ERR_INVALID for another.
int compression_from_name(struct str name, enum compression *out);

// Whether the level is one that `type` takes: gzip 1 to 9 or -1, lz4 1 to 17, zstd -131072 to 22; the default
// always; snappy and none take no other.
bool compression_level_valid(enum compression type, int level);

// Appends `in`, compressed, to `out`. 0, ERR_NOMEM, ERR_INVALID (type or level). LZ4's level 9 is the fast
// compressor, as in Kafka.
int compress_append(enum compression type, int level, struct bytes in, struct buffer *out);

// Appends what `in` holds to `out`, which grows as it is produced, never by what a header claims. 0, or
// ERR_CORRUPT      not this format, or damaged,
// ERR_TRUNCATED    it ends too early,
// ERR_RANGE        bytes follow its end, which some readers would skip and others stumble over,
// ERR_LIMIT        more than limit_bytes come out,
// ERR_UNSUPPORTED  no such type,
// ERR_NOMEM.
int decompress_append(enum compression type, struct bytes in, size_t limit_bytes, struct buffer *out);

// The same piece by piece: one stream a thread at a time.
struct decompress_stream {
    enum compression type;
    const uint8_t *at, *end; // compressed bytes not yet read
    size_t produced_bytes;
    void *context;        // the thread's
    const uint8_t *block; // snappy: the decompressed block's rest
    size_t block_left;
    bool started, finished;
};

// 0, ERR_UNSUPPORTED or ERR_NOMEM; with LZ4 also ERR_CORRUPT. `in` stays valid until close.
int decompress_open(struct decompress_stream *s, enum compression type, struct bytes in);

// Fills `to` as far as it goes: *got < size only at the end, where later calls give 0. Errors as above but
// for the limit, which is the caller's to hold (produced_bytes).
int decompress_read(struct decompress_stream *s, uint8_t *to, size_t size, size_t *got);

// Gives the context back. Every opened stream is closed.
void decompress_close(struct decompress_stream *s);

#endif
