// Fuzz target of record batches and their validation. The first byte chooses the topic's settings, the rest
// is the `records` field of a produce request. Its checksum is made right first (it would keep everything
// else from being tried). Whatever is accepted must read back whole.
#include "base/crc32c.h"
#include "storage/batch_validate.h"

#include <stdio.h>
#include <stdlib.h>

#define FUZZ_BATCH_HEADER_BYTES 1
#define UNPACKED_MAX_BYTES      (1u << 20) // keeps an input fast

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                          \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

static void check_accepted(const struct batch_verdict *v, bool log_append_time)
{
    struct bytes batch = {v->batch, v->size}, body;
    struct buffer scratch = BUFFER_INIT;
    struct record r;
    REQUIRE(batch_size(&v->header) == v->size);
    REQUIRE(batch_crc_ok(batch));
    REQUIRE(batch_is_log_append_time(&v->header) == log_append_time);
    REQUIRE(batch_body(&v->header, batch, UNPACKED_MAX_BYTES, &scratch, &body) == 0);
    struct record_cursor c = record_cursor(body, v->header.count);
    for (int32_t i = 0; i < v->header.count; i++) {
        struct record_header header;
        REQUIRE(record_cursor_next(&c, &r) == 1);
        REQUIRE(r.offset_delta == i);
        for (int32_t n = r.header_count; n > 0; n--)
            REQUIRE(record_header_next(&r.headers, &header) == 1);
        REQUIRE(r.headers.size == 0);
    }
    REQUIRE(record_cursor_next(&c, &r) == 0);
    buffer_free(&scratch);
}

// Readers of logs and fetch responses meet bytes that nobody validated.
static void read_unchecked(struct bytes in)
{
    struct batch_cursor batches = batch_cursor(in);
    struct batch_header h;
    struct bytes batch, body;
    struct buffer scratch = BUFFER_INIT;
    while (batch_cursor_next(&batches, &h, &batch) == 1) {
        if (batch_body(&h, batch, UNPACKED_MAX_BYTES, &scratch, &body) != 0)
            continue;
        struct record_cursor c = record_cursor(body, h.count);
        struct record r;
        while (record_cursor_next(&c, &r) == 1) {
            struct record_header header;
            while (record_header_next(&r.headers, &header) == 1)
                ;
        }
    }
    buffer_free(&scratch);
}

static void mend_checksum(uint8_t *records, size_t size)
{
    struct batch_header h;
    if (batch_header_read((struct bytes){records, size}, &h) == 0 && batch_size(&h) <= size)
        store_be32(records + BATCH_CRC_AT,
                   crc32c(records + BATCH_ATTRIBUTES_AT, batch_size(&h) - BATCH_ATTRIBUTES_AT));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < FUZZ_BATCH_HEADER_BYTES)
        return 0;
    uint8_t settings = data[0];
    size -= FUZZ_BATCH_HEADER_BYTES;
    uint8_t *records = malloc(size ? size : 1); // of its own size, so that a sanitizer sees its end
    REQUIRE(records);
    memcpy(records, data + FUZZ_BATCH_HEADER_BYTES, size);
    read_unchecked((struct bytes){records, size});
    mend_checksum(records, size);
    struct batch_rules rules = BATCH_RULES;
    rules.topic = STR("fuzz");
    rules.unpacked_max_bytes = UNPACKED_MAX_BYTES;
    rules.keep_compression = settings & 0x80;
    rules.compression = (enum compression)((settings & 7) % COMPRESSION_TYPES);
    rules.compacted = settings & 8;
    rules.log_append_time = settings & 0x10;
    rules.before_max_ms = settings & 0x20 ? 1000 : INT64_MAX;
    rules.origin = settings & 0x40 ? BATCH_ORIGIN_COORDINATOR : BATCH_ORIGIN_CLIENT;
    struct arena arena;
    struct buffer rewrite = BUFFER_INIT;
    struct batch_verdict v;
    arena_init(&arena, 0);
    REQUIRE(batch_validate(records, size, &rules, INT64_C(1700000000000), &arena, &rewrite, &v) == 0);
    if (v.error == 0)
        check_accepted(&v, rules.log_append_time);
    buffer_free(&rewrite);
    arena_free(&arena);
    free(records);
    return 0;
}
