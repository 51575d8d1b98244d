#include "storage/compress.h"

#include "base/error.h"
#include "storage/snappy_framing.h"

#include <assert.h>
#include <lz4frame.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW (15 + 16)
#define GZIP_MAGIC  0x1f // its first byte

// A context that grew beyond this (a sender's large window or block) is not kept for the next batch.
#define CONTEXT_KEEP_BYTES (4u << 20)

// A frame's first bytes: magic, flags, block size.
#define LZ4_MAGIC              0x184d2204u
#define LZ4_HEADER_BYTES_MIN   7
#define LZ4_FLAGS_AT           4
#define LZ4_INDEPENDENT_BLOCKS 0x20
#define LZ4_BLOCK_SIZE_AT      5
#define LZ4_BLOCKS_OF_4_MB     0x70

// What a thread keeps between batches. Only what a codec was used for is allocated.
struct contexts {
    z_stream gzip;
    bool gzip_ready;
    LZ4F_dctx *lz4;
    bool lz4_large;
    ZSTD_DCtx *zstd;
    struct buffer snappy; // the block at hand
    bool busy;
};

static pthread_key_t key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void contexts_free(void *p)
{
    struct contexts *c = p;
    if (c->gzip_ready)
        inflateEnd(&c->gzip);
    LZ4F_freeDecompressionContext(c->lz4);
    ZSTD_freeDCtx(c->zstd);
    buffer_free(&c->snappy);
    free(c);
}

// The main thread runs no key destructors on exit from main.
static void contexts_free_at_exit(void)
{
    struct contexts *c = pthread_getspecific(key);
    if (c) {
        pthread_setspecific(key, NULL);
        contexts_free(c);
    }
}

static void key_make(void)
{
    int err = pthread_key_create(&key, contexts_free);
    assert(err == 0);
    atexit(contexts_free_at_exit);
}

static struct contexts *contexts_of_thread(void)
{
    pthread_once(&key_once, key_make);
    struct contexts *c = pthread_getspecific(key);
    if (!c) {
        c = calloc(1, sizeof *c);
        if (c && pthread_setspecific(key, c) != 0) {
            free(c);
            c = NULL;
        }
    }
    return c;
}

static int gzip_open(struct contexts *c)
{
    if (c->gzip_ready)
        return inflateReset(&c->gzip) == Z_OK ? 0 : ERR_NOMEM;
    if (inflateInit2(&c->gzip, GZIP_WINDOW) != Z_OK)
        return ERR_NOMEM;
    c->gzip_ready = true;
    return 0;
}

static int lz4_open(struct contexts *c, struct bytes in)
{
    // What Java refuses would be accepted here and fail in every Java consumer.
    if (in.size >= LZ4_HEADER_BYTES_MIN && !(in.data[LZ4_FLAGS_AT] & LZ4_INDEPENDENT_BLOCKS))
        return ERR_CORRUPT;
    c->lz4_large =
        in.size >= LZ4_HEADER_BYTES_MIN && (in.data[LZ4_BLOCK_SIZE_AT] & 0x70) == LZ4_BLOCKS_OF_4_MB;
    if (c->lz4)
        LZ4F_resetDecompressionContext(c->lz4);
    else if (LZ4F_isError(LZ4F_createDecompressionContext(&c->lz4, LZ4F_VERSION)))
        return ERR_NOMEM;
    return 0;
}

static int zstd_open(struct contexts *c)
{
    if (!c->zstd)
        c->zstd = ZSTD_createDCtx();
    else
        ZSTD_DCtx_reset(c->zstd, ZSTD_reset_session_only);
    return c->zstd ? 0 : ERR_NOMEM;
}

int decompress_open(struct decompress_stream *s, enum compression type, struct bytes in)
{
    *s = (struct decompress_stream){.type = type, .at = in.data, .end = bytes_end(in)};
    if (type == COMPRESSION_NONE)
        return 0;
    if ((unsigned)type >= COMPRESSION_TYPES)
        return ERR_UNSUPPORTED;
    struct contexts *c = contexts_of_thread();
    if (!c)
        return ERR_NOMEM;
    assert(!c->busy);
    int err = type == COMPRESSION_GZIP   ? gzip_open(c)
              : type == COMPRESSION_LZ4  ? lz4_open(c, in)
              : type == COMPRESSION_ZSTD ? zstd_open(c)
                                         : 0;
    if (err)
        return err;
    c->busy = true;
    s->context = c;
    return 0;
}

// Each of the readers below makes one step: up to `size` bytes to `to`, *got of them; finished at the end.

static int gzip_read(struct decompress_stream *s, uint8_t *to, size_t size, size_t *got)
{
    z_stream *z = &((struct contexts *)s->context)->gzip;
    size_t in = (size_t)(s->end - s->at);
    z->next_in = (Bytef *)(uintptr_t)s->at; // zlib's API knows no const; it does not write there
    z->avail_in = in > UINT32_MAX ? UINT32_MAX : (uInt)in;
    z->next_out = to;
    z->avail_out = size > UINT32_MAX ? UINT32_MAX : (uInt)size;
    uInt room = z->avail_out;
    int result = inflate(z, Z_NO_FLUSH);
    s->at = z->next_in;
    *got = room - z->avail_out;
    if (result == Z_STREAM_END) {
        s->finished = s->at == s->end;
        if (!s->finished && *s->at != GZIP_MAGIC)
            return ERR_RANGE;
        return inflateReset(z) == Z_OK ? 0 : ERR_NOMEM; // another member may follow
    }
    if (result == Z_OK && (*got || s->at < s->end))
        return 0;
    if (result == Z_OK || result == Z_BUF_ERROR)
        return ERR_TRUNCATED;
    return result == Z_MEM_ERROR ? ERR_NOMEM : ERR_CORRUPT;
}

static int lz4_read(struct decompress_stream *s, uint8_t *to, size_t size, size_t *got)
{
    LZ4F_dctx *context = ((struct contexts *)s->context)->lz4;
    size_t in = (size_t)(s->end - s->at);
    *got = size;
    size_t result = LZ4F_decompress(context, to, got, s->at, &in, NULL);
    if (LZ4F_isError(result)) {
        *got = 0;
        return ERR_CORRUPT;
    }
    s->at += in;
    if (result == 0) {
        s->finished = true;
        return s->at == s->end ? 0 : ERR_RANGE; // Java stops after one frame
    }
    return *got || in ? 0 : ERR_TRUNCATED;
}

static int zstd_read(struct decompress_stream *s, uint8_t *to, size_t size, size_t *got)
{
    ZSTD_DCtx *context = ((struct contexts *)s->context)->zstd;
    ZSTD_inBuffer in = {s->at, (size_t)(s->end - s->at), 0};
    ZSTD_outBuffer out = {to, size, 0};
    size_t result = ZSTD_decompressStream(context, &out, &in);
    if (ZSTD_isError(result)) {
        *got = 0;
        return ERR_CORRUPT;
    }
    s->at += in.pos;
    *got = out.pos;
    if (result == 0) {
        s->finished = s->at == s->end; // another frame may follow
        return 0;
    }
    return out.pos || in.pos ? 0 : ERR_TRUNCATED;
}

// Unfolds one raw block.
static int snappy_block(struct decompress_stream *s, const uint8_t *at, size_t size)
{
    struct buffer *block = &((struct contexts *)s->context)->snappy;
    size_t unpacked;
    if (snappy_uncompressed_length((const char *)at, size, &unpacked) != SNAPPY_OK ||
        unpacked / SNAPPY_MAX_RATIO > size)
        return ERR_CORRUPT;
    buffer_clear(block);
    if (!buffer_reserve(block, unpacked + 1))
        return ERR_NOMEM;
    if (snappy_uncompress((const char *)at, size, (char *)block->data, &unpacked) != SNAPPY_OK)
        return ERR_CORRUPT;
    s->block = block->data;
    s->block_left = unpacked;
    return 0;
}

// The next block of Java's framing, or the whole input as one raw block.
static int snappy_next(struct decompress_stream *s, bool first)
{
    static const uint8_t header[SNAPPY_HEADER_BYTES] = SNAPPY_HEADER;
    size_t left = (size_t)(s->end - s->at);
    if (first && (left < SNAPPY_HEADER_BYTES || memcmp(s->at, header, SNAPPY_MAGIC_BYTES) != 0)) {
        const uint8_t *at = s->at;
        s->at = s->end;
        return snappy_block(s, at, left);
    }
    if (left < 4)
        return ERR_RANGE; // no block any more
    uint32_t size = load_be32(s->at);
    if (size == SNAPPY_MAGIC_AS_LENGTH) {
        if (left < SNAPPY_HEADER_BYTES)
            return ERR_TRUNCATED;
        if (memcmp(s->at, header, SNAPPY_MAGIC_BYTES) != 0)
            return ERR_CORRUPT;
        s->at += SNAPPY_HEADER_BYTES;
        return 0;
    }
    if (size > left - 4)
        return size > INT32_MAX ? ERR_CORRUPT : ERR_TRUNCATED;
    const uint8_t *at = s->at + 4;
    s->at = at + size;
    return snappy_block(s, at, size);
}

static int snappy_read(struct decompress_stream *s, uint8_t *to, size_t size, size_t *got)
{
    bool first = !s->started;
    s->started = true;
    while (s->block_left == 0 && (s->at < s->end || first)) {
        int err = snappy_next(s, first);
        if (err)
            return err;
        first = false;
    }
    *got = size < s->block_left ? size : s->block_left;
    if (*got) {
        memcpy(to, s->block, *got);
        s->block += *got;
        s->block_left -= *got;
    }
    s->finished = s->block_left == 0 && s->at == s->end;
    return 0;
}

static int none_read(struct decompress_stream *s, uint8_t *to, size_t size, size_t *got)
{
    size_t left = (size_t)(s->end - s->at);
    *got = size < left ? size : left;
    if (*got) {
        memcpy(to, s->at, *got);
        s->at += *got;
    }
    s->finished = s->at == s->end;
    return 0;
}

int decompress_read(struct decompress_stream *s, uint8_t *to, size_t size, size_t *got)
{
    static int (*const readers[COMPRESSION_TYPES])(struct decompress_stream *, uint8_t *, size_t,
                                                   size_t *) = {none_read, gzip_read, snappy_read, lz4_read,
                                                                zstd_read};
    int err = 0;
    *got = 0;
    while (!err && *got < size && !s->finished) {
        size_t step = 0;
        err = readers[s->type](s, to + *got, size - *got, &step);
        *got += step;
        s->produced_bytes += step;
    }
    return err;
}

void decompress_close(struct decompress_stream *s)
{
    struct contexts *c = s->context;
    if (!c)
        return;
    s->context = NULL;
    c->busy = false;
    // A frame that was left before its end leaves its promised size in the context, reset or not, and the
    // next frame would be measured by it.
    if (s->type == COMPRESSION_LZ4 && (c->lz4_large || !s->finished)) {
        LZ4F_freeDecompressionContext(c->lz4);
        c->lz4 = NULL;
    }
    if (s->type == COMPRESSION_ZSTD && ZSTD_sizeof_DCtx(c->zstd) > CONTEXT_KEEP_BYTES) {
        ZSTD_freeDCtx(c->zstd);
        c->zstd = NULL;
    }
    if (c->snappy.capacity > CONTEXT_KEEP_BYTES)
        buffer_free(&c->snappy);
}

int decompress_append(enum compression type, struct bytes in, size_t limit_bytes, struct buffer *out)
{
    struct decompress_stream s;
    int err = decompress_open(&s, type, in);
    if (limit_bytes > SIZE_MAX - 1)
        limit_bytes = SIZE_MAX - 1;
    size_t piece = in.size < 2048 ? 8192 : 4 * in.size;
    while (!err) {
        if (piece > limit_bytes + 1 - s.produced_bytes) // one more shows that there is more than the limit
            piece = limit_bytes + 1 - s.produced_bytes;
        if (piece > 1u << 20)
            piece = 1u << 20;
        uint8_t *at = buffer_reserve(out, piece);
        size_t got = 0;
        err = at ? decompress_read(&s, at, piece, &got) : ERR_NOMEM;
        out->size += got;
        if (!err && s.produced_bytes > limit_bytes)
            err = ERR_LIMIT;
        if (got < piece)
            break;
    }
    decompress_close(&s);
    return err;
}
