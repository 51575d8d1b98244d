// Record batches (magic 2) that are built once and sent many times.
#ifndef BENCH_BATCH_H
#define BENCH_BATCH_H

#include <stddef.h>
#include <stdint.h>

// Positions in a record batch.
#define BATCH_AT_LENGTH            8 // of what follows this field
#define BATCH_AT_CRC               17
#define BATCH_AT_ATTRIBUTES        21 // the CRC covers from here to the end
#define BATCH_AT_LAST_OFFSET_DELTA 23
#define BATCH_AT_BASE_TIMESTAMP    27
#define BATCH_AT_MAX_TIMESTAMP     35
#define BATCH_AT_PRODUCER_ID       43
#define BATCH_AT_PRODUCER_EPOCH    51
#define BATCH_AT_BASE_SEQUENCE     53
#define BATCH_AT_RECORD_COUNT      57
#define BATCH_HEADER_BYTES         61
#define BATCH_LENGTH_OVERHEAD      12 // base offset and length

enum batch_compression {
    BATCH_NONE,
    BATCH_GZIP,
    BATCH_SNAPPY,
    BATCH_LZ4,
    BATCH_ZSTD
}; // as in the attributes

struct batch {
    uint8_t *data; // owned; free with batch_free
    size_t size;
    int32_t records;
};

// 0, or -1 when the name is none that can be built.
int batch_compression_parse(const char *name, enum batch_compression *out);

// As many records of record_bytes (random upper-case letters from seed, no key, no headers) as fit into
// batch_bytes, at least one; then compressed. Timestamps are now. No producer id. Exits on an error.
struct batch batch_build(size_t batch_bytes, size_t key_bytes, size_t record_bytes,
                         enum batch_compression compression, uint64_t seed);

// Writes producer fields (or the time, in ms) and the new CRC.
void batch_set_producer(struct batch *b, int64_t producer_id, int16_t epoch, int32_t base_sequence);
void batch_set_timestamp(struct batch *b, int64_t now_ms);

// Whether length and CRC of the batch at `at` are right.
int batch_check(const uint8_t *at, size_t size);

void batch_free(struct batch *b);

#endif
