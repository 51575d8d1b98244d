#include "unit.h"

#include "base/error.h"
#include "batch_vectors.h"
#include "storage/batch.h"

#define LIMIT (64u << 20)

static struct bytes text(const char *s)
{
    return s ? (struct bytes){(const uint8_t *)s, strlen(s)} : BYTES_NULL;
}

static void assert_bytes(struct bytes got, struct bytes want)
{
    assert_int_equal(got.data == NULL, want.data == NULL);
    assert_int_equal(got.size, want.size);
    if (want.size)
        assert_memory_equal(got.data, want.data, want.size);
}

// The records of the vectors named "few".
static const struct {
    int64_t timestamp_ms;
    const char *key, *value;
    int32_t headers;
} few[] = {{1700000000000, "k", "v", 0},
           {1700000000123, NULL, "no key", 3},
           {1699999999000, "tombstone", NULL, 0},
           {1700000000001, "", "", 0}};

static const struct record_header few_headers[] = {
    {{"h", 1}, {(const uint8_t *)"x", 1}}, {{"null", 4}, {NULL, 0}}, {{"", 0}, {(const uint8_t *)"", 0}}};

static void builder_like_kafka(struct batch_builder *b, const struct batch_vector *v,
                               enum compression compression)
{
    struct batch_header h;
    assert_int_equal(batch_header_read((struct bytes){v->batch.data, v->batch.size}, &h), 0);
    struct batch_options o = {.base_offset = h.base_offset,
                              .leader_epoch = h.leader_epoch,
                              .compression = compression,
                              .compression_level = COMPRESSION_LEVEL_DEFAULT,
                              .attributes = h.attributes,
                              .log_append_time_ms = h.max_timestamp_ms,
                              .producer_id = h.producer_id,
                              .producer_epoch = h.producer_epoch,
                              .base_sequence = h.base_sequence};
    batch_builder_init(b, &o);
    if (strcmp(v->name, "few") == 0) {
        for (size_t i = 0; i < 4; i++)
            batch_builder_add(b, few[i].timestamp_ms, text(few[i].key), text(few[i].value), few_headers,
                              (size_t)few[i].headers);
    } else if (strcmp(v->name, "many") == 0) {
        for (int i = 0; i < 1000; i++) {
            char key[20], value[101];
            snprintf(key, sizeof key, "key-%d", i);
            memset(value, 'a' + i % 26, 100);
            value[100] = 0;
            batch_builder_add(b, 1700000000000 + i, text(key), text(value), NULL, 0);
        }
    } else {
        static const uint8_t value[] = {0, 0, 0, 0, 0, 6}; // version 0, coordinator epoch 6
        batch_builder_add_control(b, 1700000000000,
                                  strcmp(v->name, "commit") == 0 ? CONTROL_COMMIT : CONTROL_ABORT,
                                  (struct bytes){value, sizeof value});
    }
}

// Kafka's bytes are read, and what the builder makes of the same records has the same bytes (compressed ones:
// the same once decompressed).
static void kafkas_batches_are_read_and_made(void **state)
{
    (void)state;
    size_t count;
    struct batch_vector *all = vectors_load(&count);
    struct batch_builder b = {0};
    for (size_t i = 0; i < count; i++) {
        const struct batch_vector *v = &all[i];
        struct bytes raw = {v->batch.data, v->batch.size}, batch, made, body, made_body;
        struct batch_header h, made_header;
        struct batch_cursor c = batch_cursor(raw);
        assert_int_equal(batch_cursor_next(&c, &h, &batch), 1);
        assert_int_equal(batch.size, raw.size);
        assert_true(batch_crc_ok(batch));
        assert_int_equal(strncmp(v->compression, compression_name(batch_compression(&h)),
                                 strlen(compression_name(batch_compression(&h)))),
                         0);
        struct buffer scratch = BUFFER_INIT, made_scratch = BUFFER_INIT;
        assert_int_equal(batch_body(&h, batch, LIMIT, &scratch, &body), 0);

        builder_like_kafka(&b, v, batch_compression(&h));
        assert_int_equal(batch_builder_finish(&b, &made), 0);
        assert_true(batch_crc_ok(made));
        assert_int_equal(batch_header_read(made, &made_header), 0);
        assert_int_equal(batch_body(&made_header, made, LIMIT, &made_scratch, &made_body), 0);
        assert_bytes(made_body, body);
        made_header.crc = h.crc;
        made_header.length = h.length;
        uint8_t encoded[BATCH_HEADER_BYTES];
        batch_header_write(encoded, &made_header);
        assert_memory_equal(encoded, raw.data, sizeof encoded);
        if (batch_compression(&h) == COMPRESSION_NONE)
            assert_bytes(made, raw);
        buffer_free(&scratch);
        buffer_free(&made_scratch);
    }
    batch_builder_free(&b);
    vectors_free(all, count);
}

static void fields_and_records_of_a_vector(void **state)
{
    (void)state;
    size_t count;
    struct batch_vector *all = vectors_load(&count);
    struct bytes batch = {all[0].batch.data, all[0].batch.size}, body;
    struct batch_header h;
    assert_int_equal(batch_header_read(batch, &h), 0);
    assert_int_equal(h.base_offset, 1000);
    assert_int_equal(h.leader_epoch, 7);
    assert_int_equal(batch_last_offset(&h), 1003);
    assert_int_equal(h.count, 4);
    assert_int_equal(h.producer_id, 4711);
    assert_int_equal(h.producer_epoch, 3);
    assert_int_equal(h.base_sequence, 2147483646);
    assert_int_equal(batch_last_sequence(&h), 1); // 2147483646, 2147483647, 0, 1
    assert_int_equal(h.max_timestamp_ms, 1700000000123);
    struct record_cursor c = {0};
    assert_int_equal(batch_body(&h, batch, LIMIT, NULL, &body), 0);
    c = record_cursor(body, h.count);
    struct record r;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(record_cursor_next(&c, &r), 1);
        assert_int_equal(record_timestamp_ms(&h, &r), few[i].timestamp_ms);
        assert_int_equal(record_offset(&h, &r), 1000 + i);
        assert_bytes(r.key, text(few[i].key));
        assert_bytes(r.value, text(few[i].value));
        assert_int_equal(r.header_count, few[i].headers);
        struct record_header header;
        for (int32_t k = 0; k < r.header_count; k++) {
            assert_int_equal(record_header_next(&r.headers, &header), 1);
            assert_true(str_equal(header.key, few_headers[k].key));
            assert_bytes(header.value, few_headers[k].value);
        }
        assert_int_equal(record_header_next(&r.headers, &header), 0);
    }
    assert_int_equal(record_cursor_next(&c, &r), 0);
    vectors_free(all, count);
}

static void control_records(void **state)
{
    (void)state;
    size_t count;
    struct batch_vector *all = vectors_load(&count);
    int seen = 0;
    for (size_t i = 0; i < count; i++) {
        struct bytes batch = {all[i].batch.data, all[i].batch.size}, body;
        struct batch_header h;
        assert_int_equal(batch_header_read(batch, &h), 0);
        bool commit = strcmp(all[i].name, "commit") == 0;
        assert_int_equal(batch_is_control(&h), commit || strcmp(all[i].name, "abort") == 0);
        if (!batch_is_control(&h))
            continue;
        seen++;
        assert_true(batch_is_transactional(&h));
        assert_int_equal(batch_body(&h, batch, LIMIT, NULL, &body), 0);
        struct record_cursor c = record_cursor(body, h.count);
        struct record r;
        int16_t version, type;
        assert_int_equal(record_cursor_next(&c, &r), 1);
        assert_int_equal(control_key_read(r.key, &version, &type), 0);
        assert_int_equal(version, 0);
        assert_int_equal(type, commit ? CONTROL_COMMIT : CONTROL_ABORT);
        assert_int_equal(control_key_read((struct bytes){r.key.data, 3}, &version, &type), ERR_CORRUPT);
        assert_int_equal(control_key_read(BYTES_NULL, &version, &type), ERR_CORRUPT);
    }
    assert_int_equal(seen, 2);
    vectors_free(all, count);
}

static void make(struct buffer *out, int records)
{
    struct batch_builder b = {0};
    batch_builder_init(&b, &BATCH_OPTIONS);
    for (int i = 0; i < records; i++)
        batch_builder_add(&b, 1000 + i, text("key"), text("value"), few_headers, 2);
    struct bytes batch;
    assert_int_equal(batch_builder_finish(&b, &batch), 0);
    buffer_append(out, batch.data, batch.size);
    batch_builder_free(&b);
}

static void headers_that_no_batch_has(void **state)
{
    (void)state;
    struct buffer good = BUFFER_INIT;
    make(&good, 1);
    static const struct {
        const char *what;
        size_t at, size;
        int64_t value;
        int want;
    } cases[] = {{"magic 0", BATCH_MAGIC_AT, 1, 0, ERR_UNSUPPORTED},
                 {"magic 1", BATCH_MAGIC_AT, 1, 1, ERR_UNSUPPORTED},
                 {"magic 3", BATCH_MAGIC_AT, 1, 3, ERR_CORRUPT},
                 {"magic -1", BATCH_MAGIC_AT, 1, -1, ERR_CORRUPT},
                 {"length 48", BATCH_LENGTH_AT, 4, 48, ERR_CORRUPT},
                 {"length 0", BATCH_LENGTH_AT, 4, 0, ERR_CORRUPT},
                 {"length -1", BATCH_LENGTH_AT, 4, -1, ERR_CORRUPT},
                 {"length min", BATCH_LENGTH_AT, 4, INT32_MIN, ERR_CORRUPT},
                 {"length max", BATCH_LENGTH_AT, 4, INT32_MAX, ERR_TRUNCATED},
                 {"one too long", BATCH_LENGTH_AT, 4, -2, ERR_TRUNCATED},
                 {"offset -1", BATCH_BASE_OFFSET_AT, 8, -1, ERR_CORRUPT}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t *bad = malloc(good.size);
        memcpy(bad, good.data, good.size);
        uint64_t big = (uint64_t)cases[i].value;
        if (cases[i].value == -2)
            big = good.size - BATCH_PREFIX_BYTES + 1;
        for (size_t k = 0; k < cases[i].size; k++)
            bad[cases[i].at + k] = (uint8_t)(big >> (8 * (cases[i].size - 1 - k)));
        struct batch_cursor c = batch_cursor((struct bytes){bad, good.size});
        struct batch_header h;
        struct bytes batch;
        if (batch_cursor_next(&c, &h, &batch) != cases[i].want)
            fail_msg("%s", cases[i].what);
        assert_ptr_equal(c.at, bad);
        free(bad);
    }
    for (size_t size = 1; size < good.size; size++) { // every cut
        uint8_t *cut = malloc(size);
        memcpy(cut, good.data, size);
        struct batch_cursor c = batch_cursor((struct bytes){cut, size});
        struct batch_header h;
        struct bytes batch;
        assert_int_equal(batch_cursor_next(&c, &h, &batch), ERR_TRUNCATED);
        free(cut);
    }
    buffer_free(&good);
}

static void setters_keep_the_crc(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    make(&b, 3);
    struct bytes batch = {b.data, b.size};
    struct batch_header h;
    batch_set_base_offset(b.data, INT64_C(1) << 40);
    batch_set_leader_epoch(b.data, 99);
    assert_true(batch_crc_ok(batch));
    batch_set_max_timestamp(b.data, b.size, 12345, true);
    assert_true(batch_crc_ok(batch));
    assert_int_equal(batch_header_read(batch, &h), 0);
    assert_true(h.base_offset == INT64_C(1) << 40);
    assert_int_equal(h.leader_epoch, 99);
    assert_int_equal(h.max_timestamp_ms, 12345);
    assert_true(batch_is_log_append_time(&h));
    struct record r = {.timestamp_delta_ms = 5};
    assert_int_equal(record_timestamp_ms(&h, &r), 12345);
    batch_set_max_timestamp(b.data, b.size, 12345, false);
    assert_true(batch_crc_ok(batch));
    b.data[b.size - 1] ^= 1;
    assert_false(batch_crc_ok(batch));
    buffer_free(&b);
}

static void the_builder_refuses(void **state)
{
    (void)state;
    struct batch_builder b = {0};
    struct bytes batch;
    batch_builder_init(&b, &BATCH_OPTIONS);
    assert_int_equal(batch_builder_finish(&b, &batch), ERR_INVALID); // no records
    batch_builder_init(&b, &BATCH_OPTIONS);
    batch_builder_add_at(&b, 5, 0, BYTES_NULL, BYTES_NULL, NULL, 0);
    batch_builder_add_at(&b, 5, 0, BYTES_NULL, BYTES_NULL, NULL, 0);
    assert_int_equal(batch_builder_finish(&b, &batch), ERR_INVALID); // the same delta twice
    batch_builder_init(&b, &BATCH_OPTIONS);
    static const struct record_header null_key = {{NULL, 0}, {NULL, 0}};
    batch_builder_add(&b, 0, BYTES_NULL, BYTES_NULL, &null_key, 1);
    assert_int_equal(batch_builder_finish(&b, &batch), ERR_INVALID);
    batch_builder_init(&b, &BATCH_OPTIONS);
    batch_builder_add_at(&b, INT32_MAX, 0, BYTES_NULL, BYTES_NULL, NULL, 0);
    batch_builder_add(&b, 0, BYTES_NULL, BYTES_NULL, NULL, 0);
    assert_int_equal(batch_builder_finish(&b, &batch), ERR_LIMIT); // no delta is left
    batch_builder_free(&b);
}

static void sequences_wrap(void **state)
{
    (void)state;
    assert_int_equal(batch_sequence_add(5, 3), 8);
    assert_int_equal(batch_sequence_add(INT32_MAX, 0), INT32_MAX);
    assert_int_equal(batch_sequence_add(INT32_MAX, 1), 0);
    assert_int_equal(batch_sequence_add(INT32_MAX - 1, INT32_MAX), INT32_MAX - 2);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(kafkas_batches_are_read_and_made),
                                              cmocka_unit_test(fields_and_records_of_a_vector),
                                              cmocka_unit_test(control_records),
                                              cmocka_unit_test(headers_that_no_batch_has),
                                              cmocka_unit_test(setters_keep_the_crc),
                                              cmocka_unit_test(the_builder_refuses),
                                              cmocka_unit_test(sequences_wrap)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
