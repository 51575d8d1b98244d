// The cleaner's decisions, without a log: tables and scripts.
#include "unit.h"

#include "base/error.h"
#include "storage/batch_validate.h"
#include "storage/cleaner_decide.h"
#include "storage/cleaner_filter.h"
#include "storage/cleaner_throttle.h"
#include "storage/log.h"

#include <stdio.h>
#include <stdlib.h>

// ---------------------------------------------------------------- the hash

static void test_siphash(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint64_t low, high;
    } cases[] = {// the reference implementation's vectors, little-endian
                 {0, 0xe6a825ba047f81a3, 0x930255c71472f66d},
                 {1, 0x44af996bd8c187da, 0x45fc229b11597634},
                 {2, 0xc75da4a48d227781, 0xe4ff0af6de8ba3fc}};
    uint8_t in[16];
    struct siphash_secret secret = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct siphash h = siphash128(&secret, in, cases[i].size);
        assert_int_equal(h.low, cases[i].low);
        assert_int_equal(h.high, cases[i].high);
    }
}

// ---------------------------------------------------------------- the table of keys

static struct bytes text(const char *t)
{
    return t ? (struct bytes){(const uint8_t *)t, strlen(t)} : BYTES_NULL;
}

static void test_keys(void **state)
{
    (void)state;
    struct cleaner_keys k;
    char key[16];
    assert_int_equal(cleaner_keys_open(&k, 100 * CLEANER_KEY_BYTES, 0.9, 1000000), 0);
    for (int i = 0; i < 90; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_true(cleaner_keys_put(&k, text(key), i * 10));
        assert_int_equal(k.latest_offset, i * 10);
    }
    assert_false(cleaner_keys_put(&k, text("one more"), 1000)); // 90 of 100 slots
    assert_false(cleaner_keys_put(&k, text("key-1"), 1000)); // known, and refused all the same: as in Kafka
    assert_int_equal(k.latest_offset, 890);
    for (int i = 0; i < 90; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        assert_int_equal(cleaner_keys_get(&k, text(key)), i * 10);
    }
    assert_int_equal(cleaner_keys_get(&k, text("absent")), -1);
    cleaner_keys_close(&k);

    assert_int_equal(cleaner_keys_open(&k, CLEANER_KEY_BYTES, 0.9, 10), ERR_INVALID); // not one key
    assert_int_equal(cleaner_keys_open(&k, 1 << 20, 0.9, 3), 0);                      // as many as can come
    assert_true(k.slot_count < 10);
    assert_true(cleaner_keys_put(&k, text("a"), 0) && cleaner_keys_put(&k, text("a"), 7));
    assert_int_equal(cleaner_keys_get(&k, text("a")), 7);
    assert_int_equal(k.count, 1);
    cleaner_keys_close(&k);
}

// ---------------------------------------------------------------- which part of a log

static void test_range(void **state)
{
    (void)state;
    // Four segments of 100 offsets and 1000 bytes, the last one active; times in steps of 1000.
    const struct cleaner_segment four[] = {{0, 1000, 1000, 900, 0, 0},
                                           {100, 1000, 2000, 1900, 0, 0},
                                           {200, 1000, 3000, 2900, 0, 0},
                                           {300, 1000, 4000, 3900, 0, 0}};
    static const struct {
        const char *what;
        int64_t start, end, stable, cleaned_to, min_lag, max_lag, now;
        int64_t dirty, uncleanable, clean_bytes, cleanable, overdue;
    } cases[] = {
        {"never cleaned", 0, 400, 400, 0, 0, INT64_MAX, 5000, 0, 300, 0, 3000, 0},
        {"one segment is clean", 0, 400, 400, 100, 0, INT64_MAX, 5000, 100, 300, 1000, 2000, 0},
        {"within a segment: it counts on both sides", 0, 400, 400, 150, 0, INT64_MAX, 5000, 150, 300, 2000,
         2000, 0},
        {"all is clean", 0, 400, 400, 300, 0, INT64_MAX, 5000, 300, 300, 3000, 0, 0},
        {"the watermark stops it", 0, 400, 150, 0, 0, INT64_MAX, 5000, 0, 100, 0, 1000, 0},
        {"and within the first segment all of it", 0, 400, 50, 0, 0, INT64_MAX, 5000, 0, 0, 0, 0, 0},
        {"too young from the second on", 0, 400, 400, 0, 3500, INT64_MAX, 5000, 0, 100, 0, 1000, 0},
        {"just old enough", 0, 400, 400, 0, 3000, INT64_MAX, 5000, 0, 200, 0, 2000, 0},
        {"overdue", 0, 400, 400, 0, 0, 1000, 5000, 0, 300, 0, 3000, 3100},
        {"overdue counts from the dirty part", 0, 400, 400, 200, 0, 1000, 5000, 200, 300, 2000, 1000, 1100},
        {"not overdue", 0, 400, 400, 200, 0, 2100, 5000, 200, 300, 2000, 1000, 0},
        {"begins behind the log start", 120, 400, 400, 0, 0, INT64_MAX, 5000, 120, 300, 2000, 2000, 0},
        {"the checkpoint lies below the start", 120, 400, 400, 50, 0, INT64_MAX, 5000, 120, 300, 2000, 2000,
         0},
        {"the checkpoint lies behind the end", 0, 400, 400, 500, 0, INT64_MAX, 5000, 0, 300, 0, 3000, 0},
        {"cleaned beyond what is stable now", 0, 400, 150, 250, 0, INT64_MAX, 5000, 250, 200, 3000, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cleaner_view v = {.segments = four,
                                 .count = 4,
                                 .log_start_offset = cases[i].start,
                                 .end_offset = cases[i].end,
                                 .last_stable_offset = cases[i].stable,
                                 .cleaned_to = cases[i].cleaned_to,
                                 .min_lag_ms = cases[i].min_lag,
                                 .max_lag_ms = cases[i].max_lag,
                                 .now_ms = cases[i].now};
        struct cleaner_range r;
        cleaner_range(&v, &r);
        if (r.first_dirty != cases[i].dirty || r.first_uncleanable != cases[i].uncleanable ||
            r.clean_bytes != cases[i].clean_bytes || r.cleanable_bytes != cases[i].cleanable ||
            r.overdue_ms != cases[i].overdue)
            fail_msg("%s: dirty %lld, uncleanable %lld, bytes %lld + %lld, overdue %lld", cases[i].what,
                     (long long)r.first_dirty, (long long)r.first_uncleanable, (long long)r.clean_bytes,
                     (long long)r.cleanable_bytes, (long long)r.overdue_ms);
    }
}

static void test_due(void **state)
{
    (void)state;
    static const struct {
        int64_t clean, cleanable, overdue;
        double ratio;
        bool due;
    } cases[] =
        {
            {1000, 1000, 0, 0.5, false}, // must be above
            {1000, 1001, 0, 0.5, true},  {1000, 1, 1, 0.5, true},
            {1000, 0, 1, 0.5, false}, // overdue, but out of reach
            {0, 0, 0, 0, false},         {1000, 0, 0, 0, false},
            {1000, 1, 0, 0, true},       {0, 10, 0, 1, false},
        };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cleaner_range r = {.clean_bytes = cases[i].clean,
                                  .cleanable_bytes = cases[i].cleanable,
                                  .overdue_ms = cases[i].overdue};
        if (cleaner_is_due(&r, cases[i].ratio) != cases[i].due)
            fail_msg("case %zu", i);
    }
}

static void test_groups(void **state)
{
    (void)state;
    struct cleaner_segment s[] = {
        {0, 400, 0, 0, 80, 120}, {100, 400, 0, 0, 80, 120}, {200, 400, 0, 0, 80, 120}, {300, 0, 0, 0, 0, 0}};
    static const struct {
        const char *what;
        int64_t segment_bytes, index_bytes, end;
        size_t group;
    } cases[] = {
        {"all fit", 4000, 10000, 400, 4},
        {"by size", 800, 10000, 400, 2},
        {"one alone, larger than it should be", 100, 10000, 400, 1},
        {"by the index", 4000, 170, 400, 1},
        {"by the time index", 4000, 250, 400, 2},
        {"an empty one comes along, however far it reaches", 4000, 10000, INT64_C(1) << 40, 4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = cleaner_group(s, 4, cases[i].end, cases[i].segment_bytes, cases[i].index_bytes);
        if (n != cases[i].group)
            fail_msg("%s: %zu", cases[i].what, n);
    }
    s[3].base_offset = INT64_C(1) << 32;
    s[2].base_offset = INT64_C(1) << 31; // the second one reaches too far for an index of the first
    assert_int_equal(cleaner_group(s, 4, INT64_C(1) << 32, 4000, 10000), 2);
    s[2].base_offset = (INT64_C(1) << 31) + 1;
    assert_int_equal(cleaner_group(s, 4, INT64_C(1) << 32, 4000, 10000), 1);
}

static void test_throttle(void **state)
{
    (void)state;
    struct cleaner_throttle t;
    cleaner_throttle_init(&t, 1000);
    assert_int_equal(cleaner_throttle_take(&t, 100, 0), 100000);
    assert_int_equal(cleaner_throttle_take(&t, 100, 50000), 150000);   // two threads owe together
    assert_int_equal(cleaner_throttle_take(&t, 100, 1000000), 100000); // what was not used is not saved up
    cleaner_throttle_set(&t, 1e300);
    assert_int_equal(cleaner_throttle_take(&t, 1 << 30, 1000000), 0);
    cleaner_throttle_set(&t, 1e-300);
    assert_true(cleaner_throttle_take(&t, 1, 1000000) > 0); // and no overflow
    cleaner_throttle_free(&t);
}

// ---------------------------------------------------------------- what is left of a batch

struct spec {
    const char *key, *value; // NULL: null
};

struct made {
    struct batch_builder builder;
    struct bytes bytes;
    struct batch_header header;
};

static void make(struct made *m, const struct batch_options *o, const struct spec *records, size_t count)
{
    *m = (struct made){0};
    batch_builder_init(&m->builder, o);
    for (size_t i = 0; i < count; i++)
        batch_builder_add(&m->builder, 1000 + (int64_t)i * 7, text(records[i].key), text(records[i].value),
                          NULL, 0);
    assert_int_equal(batch_builder_finish(&m->builder, &m->bytes), 0);
    assert_int_equal(batch_header_read(m->bytes, &m->header), 0);
}

struct world {
    struct cleaner_keys keys;
    struct cleaner_txns txns;
    struct map producers;
    struct log_producer producer;
    struct cleaner_filter filter;
};

static void world_start(struct world *w, struct cleaner_aborted *aborted, size_t count)
{
    *w = (struct world){0};
    assert_int_equal(cleaner_keys_open(&w->keys, 1 << 16, 0.9, 1000), 0);
    cleaner_txns_open(&w->txns, aborted, count);
    w->filter = (struct cleaner_filter){.keys = &w->keys,
                                        .txns = &w->txns,
                                        .producers = &w->producers,
                                        .round_end = 1000,
                                        .now_ms = 50000,
                                        .delete_retention_ms = 100};
}

static void world_stop(struct world *w)
{
    cleaner_keys_close(&w->keys);
    cleaner_txns_close(&w->txns);
    map_free(&w->producers);
    cleaner_filter_free(&w->filter);
}

// "key=value@offset+time ..." of a batch; "-" for null.
static const char *shown(struct bytes batch, char out[512])
{
    struct batch_header h;
    struct buffer scratch = BUFFER_INIT;
    struct bytes body;
    struct record r;
    size_t n = 0;
    out[0] = 0;
    if (batch.size == 0)
        return "gone";
    assert_int_equal(batch_header_read(batch, &h), 0);
    assert_true(batch_crc_ok(batch));
    assert_int_equal(batch_body(&h, batch, 1 << 20, &scratch, &body), 0);
    struct record_cursor c = record_cursor(body, h.count);
    int rc;
    while ((rc = record_cursor_next(&c, &r)) > 0)
        n += (size_t)snprintf(out + n, 512 - n, "%s%.*s=%.*s@%lld+%lld", n ? " " : "", (int)r.key.size,
                              r.key.data ? (const char *)r.key.data : "-",
                              r.value.data ? (int)r.value.size : 1,
                              r.value.data ? (const char *)r.value.data : "-",
                              (long long)record_offset(&h, &r), (long long)record_timestamp_ms(&h, &r));
    assert_int_equal(rc, 0);
    buffer_free(&scratch);
    return n ? out : "empty";
}

static struct bytes filtered(struct world *w, const struct made *m)
{
    struct bytes out;
    const struct txn_index_entry *aborted;
    assert_int_equal(cleaner_filter_batch(&w->filter, &m->header, m->bytes, &out, &aborted), 0);
    return out;
}

static void test_filter_keys(void **state)
{
    (void)state;
    static const struct spec records[] = {{"a", "1"}, {"b", "2"}, {NULL, "x"}, {"a", "3"}, {"c", "4"}};
    for (int type = 0; type < COMPRESSION_TYPES; type++) {
        struct batch_options o = BATCH_OPTIONS;
        struct world w;
        struct made m;
        char line[512];
        o.base_offset = 10;
        o.leader_epoch = 3;
        o.compression = (enum compression)type;
        make(&m, &o, records, 5);
        world_start(&w, NULL, 0);
        cleaner_keys_put(&w.keys, text("a"), 13);
        cleaner_keys_put(&w.keys, text("b"), 20);
        w.keys.latest_offset = 13; // the table reaches so far: what lies behind it stays
        struct bytes out = filtered(&w, &m);
        assert_string_equal(shown(out, line), "a=3@13+1021 c=4@14+1028");
        struct batch_header h;
        assert_int_equal(batch_header_read(out, &h), 0);
        assert_int_equal(h.base_offset, 10); // offsets are never given anew
        assert_int_equal(h.last_offset_delta, 4);
        assert_int_equal(h.leader_epoch, 3);
        assert_int_equal(h.max_timestamp_ms, 1028);
        assert_int_equal(batch_compression(&h), type);
        assert_int_equal(w.filter.keyless, 1);
        assert_int_equal(w.filter.records_read, 5);
        assert_int_equal(w.filter.records_kept, 2);
        w.keys.latest_offset = 9; // nothing of it was looked at: it stays where it is
        assert_ptr_equal(filtered(&w, &m).data, m.bytes.data);
        world_stop(&w);
        batch_builder_free(&m.builder);
    }
}

static void test_filter_tombstones(void **state)
{
    (void)state;
    static const struct spec records[] = {{"a", NULL}, {"b", "2"}};
    for (int type = 0; type < COMPRESSION_TYPES; type++) {
        struct batch_options o = BATCH_OPTIONS;
        struct world w;
        struct made m, again;
        char line[512];
        o.compression = (enum compression)type;
        make(&m, &o, records, 2);
        world_start(&w, NULL, 0);
        w.keys.latest_offset = 100;
        struct bytes out = filtered(&w, &m);
        assert_string_equal(shown(out, line), "a=-@0+1000 b=2@1+1007"); // it stays, and gets a horizon
        again = (struct made){.bytes = {malloc(out.size), out.size}};
        memcpy((uint8_t *)(uintptr_t)again.bytes.data, out.data, out.size);
        assert_int_equal(batch_header_read(again.bytes, &again.header), 0);
        assert_true(batch_has_delete_horizon(&again.header));
        assert_int_equal(again.header.base_timestamp_ms, 50100);
        w.filter.now_ms = 50099;
        assert_ptr_equal(filtered(&w, &again).data, again.bytes.data); // a horizon is set once
        w.filter.now_ms = 50100;
        assert_string_equal(shown(filtered(&w, &again), line), "b=2@1+1007");
        free((uint8_t *)(uintptr_t)again.bytes.data);
        world_stop(&w);
        batch_builder_free(&m.builder);
    }
}

// The last batch of a producer that is active stays, empty, and so does the one at the end of the round.
static void test_filter_empty(void **state)
{
    (void)state;
    static const struct spec records[] = {{"a", "1"}, {"b", "2"}};
    struct batch_options o = BATCH_OPTIONS;
    struct world w;
    struct made m;
    char line[512];
    o.base_offset = 10;
    o.producer_id = 5;
    o.producer_epoch = 1;
    o.base_sequence = 77;
    make(&m, &o, records, 2);
    world_start(&w, NULL, 0);
    cleaner_keys_put(&w.keys, text("a"), 50);
    cleaner_keys_put(&w.keys, text("b"), 51);
    assert_string_equal(shown(filtered(&w, &m), line), "gone");
    w.producer = (struct log_producer){.producer_id = 5, .producer_epoch = 1, .last_data_offset = 11};
    map_int_put(&w.producers, 5, &w.producer);
    struct bytes out = filtered(&w, &m);
    struct batch_header h;
    assert_string_equal(shown(out, line), "empty");
    assert_int_equal(batch_header_read(out, &h), 0);
    assert_int_equal(out.size, BATCH_HEADER_BYTES);
    assert_int_equal(h.base_offset, 10);
    assert_int_equal(batch_last_sequence(&h), 78);
    assert_int_equal(h.max_timestamp_ms, 1007);
    w.producer.last_data_offset = 30; // it has written since
    assert_string_equal(shown(filtered(&w, &m), line), "gone");
    w.filter.round_end = 12;
    assert_string_equal(shown(filtered(&w, &m), line), "empty");
    world_stop(&w);
    batch_builder_free(&m.builder);
}

// ---------------------------------------------------------------- transactions

static void make_data(struct made *m, int64_t offset, int64_t producer, const char *key)
{
    struct batch_options o = BATCH_OPTIONS;
    o.base_offset = offset;
    o.producer_id = producer;
    o.producer_epoch = 0;
    o.base_sequence = 0;
    o.attributes = BATCH_TRANSACTIONAL;
    make(m, &o, &(struct spec){key, "v"}, 1);
}

static void make_control(struct made *m, int64_t offset, int64_t producer, bool commit)
{
    struct batch_options o = BATCH_OPTIONS;
    static const uint8_t value[6] = {0};
    o.base_offset = offset;
    o.producer_id = producer;
    o.producer_epoch = 0;
    o.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    *m = (struct made){0};
    batch_builder_init(&m->builder, &o);
    batch_builder_add_control(&m->builder, 2000, commit ? CONTROL_COMMIT : CONTROL_ABORT,
                              (struct bytes){value, sizeof value});
    assert_int_equal(batch_builder_finish(&m->builder, &m->bytes), 0);
    assert_int_equal(batch_header_read(m->bytes, &m->header), 0);
}

static void test_filter_transactions(void **state)
{
    (void)state;
    struct cleaner_aborted aborted[] = {{.entry = {8, 4, 5, 4}}, {.entry = {7, 0, 2, 0}}}; // in no order
    struct made data7, data8, abort7, commit9, abort8, data9;
    struct world w;
    struct bytes out;
    const struct txn_index_entry *entry;
    char line[512];
    make_data(&data7, 0, 7, "a");
    make_data(&data9, 1, 9, "b");
    make_control(&abort7, 2, 7, false);
    make_control(&commit9, 3, 9, true);
    make_data(&data8, 4, 8, "c");
    make_control(&abort8, 5, 8, false);

    // First round: aborted data goes; an abort marker stays while its data was still there, with its index
    // entry.
    world_start(&w, aborted, 2);
    w.keys.latest_offset = 5;
    assert_string_equal(shown(filtered(&w, &data7), line), "gone");
    assert_string_equal(shown(filtered(&w, &data9), line), "b=v@1+1000");
    assert_int_equal(cleaner_filter_batch(&w.filter, &abort7.header, abort7.bytes, &out, &entry), 0);
    assert_ptr_equal(out.data, abort7.bytes.data);
    assert_int_equal(entry->producer_id, 7);
    assert_ptr_equal(filtered(&w, &commit9).data, commit9.bytes.data); // its transaction still has data
    assert_string_equal(shown(filtered(&w, &data8), line), "gone");
    assert_ptr_equal(filtered(&w, &abort8).data, abort8.bytes.data);
    world_stop(&w);

    // Second: without data each marker gets a horizon. Behind it, it goes, unless it is its producer's last
    // word.
    world_start(&w, aborted, 2);
    w.keys.latest_offset = 5;
    out = filtered(&w, &abort7);
    struct made marked = {.bytes = {malloc(out.size), out.size}};
    memcpy((uint8_t *)(uintptr_t)marked.bytes.data, out.data, out.size);
    assert_int_equal(batch_header_read(marked.bytes, &marked.header), 0);
    assert_true(batch_has_delete_horizon(&marked.header));
    assert_int_equal(marked.header.base_timestamp_ms, 50100);
    assert_ptr_equal(filtered(&w, &marked).data, marked.bytes.data);
    w.filter.now_ms = 50100;
    assert_string_equal(shown(filtered(&w, &marked), line), "gone");
    w.producer = (struct log_producer){.producer_id = 7, .producer_epoch = 0, .last_data_offset = -1};
    map_int_put(&w.producers, 7, &w.producer);
    assert_string_equal(shown(filtered(&w, &marked), line), "empty");
    world_stop(&w);
    free((uint8_t *)(uintptr_t)marked.bytes.data);
    struct made *all[] = {&data7, &data8, &abort7, &commit9, &abort8, &data9};
    for (size_t i = 0; i < 6; i++)
        batch_builder_free(&all[i]->builder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash),      cmocka_unit_test(test_keys),
        cmocka_unit_test(test_range),        cmocka_unit_test(test_due),
        cmocka_unit_test(test_groups),       cmocka_unit_test(test_throttle),
        cmocka_unit_test(test_filter_keys),  cmocka_unit_test(test_filter_tombstones),
        cmocka_unit_test(test_filter_empty), cmocka_unit_test(test_filter_transactions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
