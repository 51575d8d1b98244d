#include "unit.h"

#include "base/error.h"
#include "batch_vectors.h"
#include "storage/batch_validate.h"

#include <ctype.h>
#include <time.h>
#include <zlib.h>

#define LIMIT (64u << 20)

// ---------------------------------------------------------------- Kafka's answers

// Where we are stricter than Kafka, on purpose: records that contradict themselves, and bytes behind the end
// of the compressed ones, which some consumers read as garbage.
static const struct {
    const char *title; // answered with INVALID_RECORD
} stricter[] = {{"delta 5"},
                {"delta -1"},
                {"deltas 0 0"},
                {"deltas 1 0"},
                {"cuncompressed bad delta"},
                {"cuncompressed deltas 0 0"},
                {"gz size -1"},
                {"gz size 0"},
                {"gz size short"},
                {"gz size long"},
                {"gz size huge"},
                {"gz noncanonical"},
                {"gz cgzip size long"},
                {"gzip + garbage"},
                {"gzip trailing zero"},
                {"gzip trailing 8 zero"},
                {"snappy trailing zero"},
                {"lz4 trailing zero"},
                {"lz4 trailing 8 zero"},
                {"lz4 twice few count 4"}};

enum column {
    TITLE,
    TOPIC,
    SETTINGS,
    VERSION,
    NOW,
    FIELD,
    ERROR_CODE,
    LOG_START,
    MESSAGE,
    RECORD_ERRORS,
    STORED,
    COLUMNS
};

static struct buffer from_hex(const char *hex)
{
    struct buffer b = BUFFER_INIT;
    for (; hex[0] != '-' && hex[0]; hex += 2)
        buffer_byte(&b, (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1])));
    return b;
}

static struct batch_rules rules_of(char *columns[COLUMNS])
{
    struct batch_rules r = BATCH_RULES;
    r.topic = str_from(columns[TOPIC]);
    r.produce_version = (int16_t)strtol(columns[VERSION], NULL, 10);
    char settings[100];
    snprintf(settings, sizeof settings, "%s", columns[SETTINGS]);
    for (char *rest = settings, *one; (one = strsep(&rest, ",")) != NULL;) {
        const char *value = strchr(one, '=');
        if (strcmp(one, "compacted") == 0)
            r.compacted = true;
        if (strcmp(one, "append") == 0)
            r.log_append_time = true;
        if (strncmp(one, "max=", 4) == 0)
            r.max_message_bytes = (int)strtol(value + 1, NULL, 10);
        if (strncmp(one, "before=", 7) == 0)
            r.before_max_ms = (int)strtol(value + 1, NULL, 10);
        if (strncmp(one, "after=", 6) == 0)
            r.after_max_ms = (int)strtol(value + 1, NULL, 10);
        if (strncmp(one, "compression=", 12) == 0) {
            r.keep_compression = false;
            assert_int_equal(compression_from_name(str_from(value + 1), &r.compression), 0);
        }
    }
    return r;
}

// Times in a text depend on the clock: every number of 13 digits or more becomes a #.
static void without_times(char *s)
{
    char *to = s;
    while (*s) {
        size_t sign = *s == '-', digits = strspn(s + sign, "0123456789");
        if (digits >= 13) {
            *to++ = '#';
            s += sign + digits;
        } else {
            for (size_t n = sign + digits ? sign + digits : 1; n; n--)
                *to++ = *s++;
        }
    }
    *to = 0;
}

static void assert_text(const char *title, char *want, const char *got)
{
    char copy[4000];
    snprintf(copy, sizeof copy, "%s", got);
    without_times(want);
    without_times(copy);
    if (strcmp(want, copy) != 0)
        fail_msg("%s: got '%s', Kafka says '%s'", title, copy, want);
}

static void assert_answer(char *columns[COLUMNS], const struct batch_verdict *v)
{
    int want = (int)strtol(columns[ERROR_CODE], NULL, 10);
    for (size_t i = 0; i < sizeof stricter / sizeof *stricter; i++)
        if (strcmp(columns[TITLE], stricter[i].title) == 0 && want == 0)
            want = E_INVALID_RECORD;
    if (v->error != want)
        fail_msg("%s on %s: error %d, Kafka %s", columns[TITLE], columns[TOPIC], v->error,
                 columns[ERROR_CODE]);
    if (strtol(columns[ERROR_CODE], NULL, 10) != want)
        return; // one of the stricter ones
    if (v->error && columns[LOG_START][0] == (v->reports_log_start ? '-' : '0') && columns[LOG_START][1])
        fail_msg("%s: log start offset", columns[TITLE]);
    char text[4000];
    snprintf(text, sizeof text, v->message.data ? "%.*s" : "-", STR_ARG(v->message));
    assert_text(columns[TITLE], columns[MESSAGE], text);
    size_t at = 0;
    snprintf(text, sizeof text, "-");
    for (size_t i = 0; i < v->record_error_count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%d:%.*s", i ? "|" : "",
                               v->record_errors[i].index, STR_ARG(v->record_errors[i].message));
    assert_text(columns[TITLE], columns[RECORD_ERRORS], text);
}

// What is appended is what Kafka stored: the same bytes, or the same once decompressed where it was
// compressed anew.
static void assert_stored(const char *title, struct buffer *stored, const struct batch_verdict *v)
{
    struct bytes want_batch = {stored->data, stored->size}, got_batch = {v->batch, v->size}, want, got;
    struct batch_header w, g;
    assert_int_equal(batch_header_read(want_batch, &w), 0);
    batch_set_base_offset(v->batch, w.base_offset);
    batch_set_leader_epoch(v->batch, w.leader_epoch);
    assert_int_equal(batch_header_read(got_batch, &g), 0);
    assert_true(batch_crc_ok(got_batch));
    g.crc = w.crc;
    g.length = w.length;
    uint8_t w_raw[BATCH_HEADER_BYTES], g_raw[BATCH_HEADER_BYTES];
    batch_header_write(w_raw, &w);
    batch_header_write(g_raw, &g);
    if (memcmp(w_raw, g_raw, BATCH_HEADER_BYTES) != 0)
        fail_msg("%s: another header than Kafka's", title);
    struct buffer w_scratch = BUFFER_INIT, g_scratch = BUFFER_INIT;
    assert_int_equal(batch_body(&w, want_batch, LIMIT, &w_scratch, &want), 0);
    assert_int_equal(batch_body(&g, got_batch, LIMIT, &g_scratch, &got), 0);
    if (want.size != got.size || memcmp(want.data, got.data, got.size) != 0)
        fail_msg("%s: other records than Kafka's", title);
    if (!v->rewritten || batch_compression(&g) == COMPRESSION_NONE) {
        assert_int_equal(v->size, stored->size);
        assert_memory_equal(v->batch, stored->data, v->size);
    }
    buffer_free(&w_scratch);
    buffer_free(&g_scratch);
}

static void check_answer(char *columns[COLUMNS])
{
    struct batch_rules rules = rules_of(columns);
    int64_t now_ms = strtoll(columns[NOW], NULL, 10);
    struct buffer field = from_hex(columns[FIELD]), stored = from_hex(columns[STORED]), rewrite = BUFFER_INIT;
    if (stored.size && rules.log_append_time) // the clock as Kafka saw it
        now_ms = (int64_t)load_be64(stored.data + BATCH_MAX_TIMESTAMP_AT);
    uint8_t *exact = malloc(field.size + 1); // so that a sanitizer sees its end
    memcpy(exact, field.data ? field.data : (const uint8_t *)"", field.size);
    struct arena arena;
    struct batch_verdict v;
    arena_init(&arena, 0);
    assert_int_equal(batch_validate(exact, field.size, &rules, now_ms, &arena, &rewrite, &v), 0);
    assert_answer(columns, &v);
    if (v.error == 0)
        assert_stored(columns[TITLE], &stored, &v);
    arena_free(&arena);
    buffer_free(&rewrite);
    buffer_free(&field);
    buffer_free(&stored);
    free(exact);
}

static void answers_are_kafkas(void **state)
{
    (void)state;
    gzFile f = gzopen(PRODUCE_VECTORS, "rb");
    assert_non_null(f);
    size_t room = 1u << 20;
    char *line = malloc(room);
    int count = 0;
    while (gzgets(f, line, (int)room)) {
        if (line[0] == '#')
            continue;
        line[strcspn(line, "\n")] = 0;
        char *columns[COLUMNS], *rest = line;
        for (int i = 0; i < COLUMNS; i++)
            assert_non_null(columns[i] = strsep(&rest, "\t"));
        check_answer(columns);
        count++;
    }
    assert_true(count > 300);
    free(line);
    gzclose(f);
}

// ---------------------------------------------------------------- what Kafka was not asked

static struct bytes text(const char *s)
{
    return s ? (struct bytes){(const uint8_t *)s, strlen(s)} : BYTES_NULL;
}

static struct buffer make(struct batch_options o, int records, size_t value_size)
{
    struct batch_builder b = {0};
    struct bytes batch;
    struct buffer out = BUFFER_INIT;
    uint8_t *value = calloc(1, value_size + 1);
    batch_builder_init(&b, &o);
    for (int i = 0; i < records; i++)
        batch_builder_add(&b, 1000 + i, text("key"), (struct bytes){value, value_size}, NULL, 0);
    assert_int_equal(batch_builder_finish(&b, &batch), 0);
    buffer_append(&out, batch.data, batch.size);
    batch_builder_free(&b);
    free(value);
    return out;
}

static void the_first_look(void **state)
{
    (void)state;
    struct arena arena;
    struct batch_look look;
    arena_init(&arena, 0);
    struct batch_options o = BATCH_OPTIONS;
    o.attributes = BATCH_TRANSACTIONAL;
    struct buffer b = make(o, 1, 10);
    assert_int_equal(batch_first_look((struct bytes){b.data, b.size}, 9, &arena, &look), 0);
    assert_int_equal(look.scope, BATCH_LOOK_GOOD);
    assert_true(look.transactional);
    assert_int_equal(batch_first_look(BYTES_NULL, 9, &arena, &look), 0);
    assert_int_equal(look.scope, BATCH_LOOK_PARTITION);
    assert_int_equal(look.error, E_INVALID_RECORD);
    b.data[BATCH_MAGIC_AT] = 9; // damage fails the whole request...
    assert_int_equal(batch_first_look((struct bytes){b.data, b.size}, 9, &arena, &look), 0);
    assert_int_equal(look.scope, BATCH_LOOK_REQUEST);
    assert_int_equal(look.error, E_CORRUPT_MESSAGE);
    assert_true(str_is(look.message, "Invalid magic found in record: 9"));
    b.data[BATCH_MAGIC_AT] = BATCH_MAGIC; // ...but not behind the first batch
    uint8_t zeros[20] = {0};
    buffer_append(&b, zeros, sizeof zeros);
    assert_int_equal(batch_first_look((struct bytes){b.data, b.size}, 9, &arena, &look), 0);
    assert_int_equal(look.scope, BATCH_LOOK_PARTITION);
    assert_int_equal(look.error, E_CORRUPT_MESSAGE);
    buffer_free(&b);
    arena_free(&arena);
}

static int16_t judge(struct buffer *b, const struct batch_rules *rules, struct batch_verdict *v,
                     struct arena *arena)
{
    struct buffer rewrite = BUFFER_INIT;
    assert_int_equal(batch_validate(b->data, b->size, rules, 1000, arena, &rewrite, v), 0);
    buffer_free(&rewrite);
    return v->error;
}

static void origins(void **state)
{
    (void)state;
    struct arena arena;
    struct batch_verdict v;
    arena_init(&arena, 0);
    struct batch_options control = BATCH_OPTIONS, later = BATCH_OPTIONS;
    control.attributes = BATCH_CONTROL;
    later.base_offset = 500;
    static const struct {
        enum batch_origin origin;
        int control, later, large;
    } cases[] = {{BATCH_ORIGIN_CLIENT, E_INVALID_RECORD, E_INVALID_RECORD, E_MESSAGE_TOO_LARGE},
                 {BATCH_ORIGIN_COORDINATOR, 0, 0, E_MESSAGE_TOO_LARGE},
                 {BATCH_ORIGIN_INTERNAL, 0, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        struct batch_rules rules = BATCH_RULES;
        rules.origin = cases[i].origin;
        struct buffer b = make(control, 1, 10);
        rules.keep_compression = false;
        rules.compression = COMPRESSION_GZIP; // control batches stay as they are
        assert_int_equal(judge(&b, &rules, &v, &arena), cases[i].control);
        assert_false(v.rewritten);
        buffer_free(&b);
        rules.keep_compression = true;
        b = make(later, 1, 10);
        assert_int_equal(judge(&b, &rules, &v, &arena), cases[i].later);
        buffer_free(&b);
        b = make(BATCH_OPTIONS, 1, 1100000);
        assert_int_equal(judge(&b, &rules, &v, &arena), cases[i].large);
        buffer_free(&b);
    }
    arena_free(&arena);
}

// A megabyte that unfolds into hundreds is refused, in place and where it would be compressed anew.
static void bombs_are_refused(void **state)
{
    (void)state;
    for (int type = COMPRESSION_GZIP; type <= COMPRESSION_ZSTD; type++) {
        for (int again = 0; again < 2; again++) {
            struct arena arena;
            struct batch_verdict v;
            arena_init(&arena, 0);
            struct batch_options o = BATCH_OPTIONS;
            o.compression = (enum compression)type;
            struct buffer b = make(o, 3, 4u << 20);
            struct batch_rules rules = BATCH_RULES;
            rules.topic = STR("t");
            rules.partition = 4;
            rules.unpacked_max_bytes = 10u << 20;
            rules.keep_compression = !again;
            rules.compression = type == COMPRESSION_ZSTD ? COMPRESSION_LZ4 : COMPRESSION_ZSTD;
            assert_int_equal(judge(&b, &rules, &v, &arena), E_INVALID_RECORD);
            assert_true(str_is(
                v.message,
                "The records of the batch unfold into more than 10485760 bytes in topic partition t-4"));
            rules.unpacked_max_bytes = 13u << 20;
            assert_int_equal(judge(&b, &rules, &v, &arena), 0);
            buffer_free(&b);
            arena_free(&arena);
        }
    }
}

static void record_errors_are_bounded(void **state)
{
    (void)state;
    struct arena arena;
    struct batch_verdict v;
    arena_init(&arena, 0);
    struct batch_builder b = {0};
    struct bytes batch;
    batch_builder_init(&b, &BATCH_OPTIONS);
    for (int i = 0; i < 30000; i++)
        batch_builder_add(&b, 1000, BYTES_NULL, BYTES_NULL, NULL, 0);
    assert_int_equal(batch_builder_finish(&b, &batch), 0);
    struct batch_rules rules = BATCH_RULES;
    rules.compacted = true;
    assert_int_equal(judge(&b.records, &rules, &v, &arena), E_INVALID_RECORD);
    assert_int_equal(v.record_error_count, BATCH_RECORD_ERRORS_MAX);
    assert_non_null(strstr(v.message.data, "due to 30000 record errors"));
    batch_builder_free(&b);
    arena_free(&arena);
}

// ---------------------------------------------------------------- property: random batches, mutated

static void random_batch(struct batch_builder *b)
{
    struct batch_options o = BATCH_OPTIONS;
    o.compression = (enum compression)(random() % COMPRESSION_TYPES);
    if (random() % 3 == 0) {
        o.producer_id = random();
        o.producer_epoch = (int16_t)(random() % 1000);
        o.base_sequence = (int32_t)random();
    }
    batch_builder_init(b, &o);
    for (long n = 1 + random() % 40; n > 0; n--) {
        char junk[300];
        for (size_t i = 0; i < sizeof junk; i++)
            junk[i] = (char)('a' + random() % 4);
        struct record_header headers[3] = {{{junk, 3}, {(uint8_t *)junk, (size_t)random() % 90}},
                                           {{junk, 0}, {NULL, 0}},
                                           {{junk, 99}, {(uint8_t *)junk, 0}}};
        struct bytes key = {(uint8_t *)junk, (size_t)random() % 100};
        struct bytes value = {(uint8_t *)junk, (size_t)random() % 300};
        batch_builder_add(b, 1000 + random() % 200, random() % 4 ? key : BYTES_NULL,
                          random() % 4 ? value : BYTES_NULL, headers, (size_t)(random() % 4));
    }
}

// Whatever was accepted can be read: as many records as the header says, offsets counting up, checksum right.
static void assert_readable(const struct batch_verdict *v)
{
    struct bytes batch = {v->batch, v->size}, body;
    struct buffer scratch = BUFFER_INIT;
    struct record r;
    assert_int_equal(batch_size(&v->header), v->size);
    assert_true(batch_crc_ok(batch));
    assert_int_equal(batch_body(&v->header, batch, LIMIT, &scratch, &body), 0);
    struct record_cursor c = record_cursor(body, v->header.count);
    for (int32_t i = 0; i < v->header.count; i++) {
        assert_int_equal(record_cursor_next(&c, &r), 1);
        assert_int_equal(r.offset_delta, i);
        assert_true(record_timestamp_ms(&v->header, &r) <= v->header.max_timestamp_ms);
    }
    assert_int_equal(record_cursor_next(&c, &r), 0);
    assert_int_equal(v->header.last_offset_delta, v->header.count - 1);
    buffer_free(&scratch);
}

static void mutate(uint8_t *data, size_t size, bool mend_crc)
{
    for (long n = 1 + random() % 3; n > 0; n--) {
        size_t at = BATCH_CRC_AT + (size_t)random() % (size - BATCH_CRC_AT);
        data[at] = random() % 2 ? (uint8_t)random() : (uint8_t)(data[at] ^ (1 << random() % 8));
    }
    if (mend_crc) { // or hardly anything behind the checksum would be tried
        uint16_t attributes = load_be16(data + BATCH_ATTRIBUTES_AT);
        store_be16(data + BATCH_ATTRIBUTES_AT, attributes & 0x7f);
        batch_set_max_timestamp(data, size, random(), attributes & BATCH_LOG_APPEND_TIME);
    }
}

static void mutated_batches(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srandom(seed);
    struct batch_builder b = {0};
    int accepted = 0;
    for (int round = 0; round < 20000; round++) {
        struct bytes batch;
        random_batch(&b);
        assert_int_equal(batch_builder_finish(&b, &batch), 0);
        uint8_t *exact = malloc(batch.size);
        memcpy(exact, batch.data, batch.size);
        bool untouched = round % 10 == 0;
        if (!untouched)
            mutate(exact, batch.size, round % 10 != 1);
        struct batch_rules rules = BATCH_RULES;
        rules.compacted = !untouched && random() % 4 == 0;
        rules.log_append_time = random() % 4 == 0;
        rules.keep_compression = random() % 2;
        rules.compression = (enum compression)(random() % COMPRESSION_TYPES);
        rules.before_max_ms = random() % 2 ? INT64_MAX : 1000;
        struct arena arena;
        struct buffer rewrite = BUFFER_INIT;
        struct batch_verdict v;
        arena_init(&arena, 0);
        assert_int_equal(batch_validate(exact, batch.size, &rules, 1100, &arena, &rewrite, &v), 0);
        if (untouched)
            assert_int_equal(v.error, 0);
        if (v.error == 0) {
            accepted++;
            if (!(load_be16(exact + BATCH_ATTRIBUTES_AT) & BATCH_LOG_APPEND_TIME) || v.rewritten)
                assert_readable(&v);
        }
        arena_free(&arena);
        buffer_free(&rewrite);
        free(exact);
    }
    print_message("%d of 20000 accepted\n", accepted);
    batch_builder_free(&b);
}

// A batch of `records` records of 100 bytes that compress about as well as text.
static void fill(struct batch_builder *b, enum compression type, int records)
{
    struct batch_options o = BATCH_OPTIONS;
    uint8_t value[100];
    o.compression = type;
    batch_builder_init(b, &o);
    for (int i = 0; i < records; i++) {
        for (size_t k = 0; k < sizeof value; k++)
            value[k] = (uint8_t)('a' + (k % 4 == 0 ? random() % 16 : (long)k % 7));
        batch_builder_add(b, 1000, BYTES_NULL, (struct bytes){value, sizeof value}, NULL, 0);
    }
}

// Who has 200 us does small batches and leaves large ones alone.
static void a_budget_is_kept(void **state)
{
    (void)state;
    static const struct {
        enum compression from;
        int to, records; // to: -1: as it is
        bool fits;
    } cases[] = {
        {COMPRESSION_NONE, -1, 1, true},
        {COMPRESSION_NONE, -1, 10000, true},
        {COMPRESSION_NONE, -1, 20000, false},
        {COMPRESSION_GZIP, -1, 100, true},
        {COMPRESSION_GZIP, -1, 2000, false},
        {COMPRESSION_ZSTD, -1, 500, true},
        {COMPRESSION_ZSTD, -1, 5000, false},
        {COMPRESSION_LZ4, -1, 500, true},
        {COMPRESSION_LZ4, -1, 5000, false},
        {COMPRESSION_SNAPPY, -1, 5000, false},
        {COMPRESSION_NONE, COMPRESSION_GZIP, 10, true},
        {COMPRESSION_NONE, COMPRESSION_GZIP, 500, false},
        {COMPRESSION_NONE, COMPRESSION_LZ4, 100, true},
        {COMPRESSION_NONE, COMPRESSION_LZ4, 2000, false},
        {COMPRESSION_GZIP, COMPRESSION_NONE, 100, true},
        {COMPRESSION_GZIP, COMPRESSION_NONE, 5000, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct batch_builder b = {0};
        struct bytes made;
        fill(&b, cases[i].from, cases[i].records);
        assert_int_equal(batch_builder_finish(&b, &made), 0);
        uint8_t *copy = malloc(made.size);
        memcpy(copy, made.data, made.size);
        struct batch_budget budget = {200000};
        struct batch_rules rules = BATCH_RULES;
        rules.max_message_bytes = INT32_MAX;
        rules.log_append_time = true; // which changes the batch where it lies
        rules.keep_compression = cases[i].to < 0;
        if (cases[i].to >= 0)
            rules.compression = (enum compression)cases[i].to;
        rules.budget = &budget;
        struct arena arena;
        struct buffer rewrite = BUFFER_INIT;
        struct batch_verdict v;
        arena_init(&arena, 0);
        int rc = batch_validate(copy, made.size, &rules, 1100, &arena, &rewrite, &v);
        if (rc != (cases[i].fits ? 0 : ERR_AGAIN))
            fail_msg("case %zu: %d, with %ld ns left", i, rc, (long)budget.left_ns);
        assert_true(budget.left_ns >= 0 && (!cases[i].fits || budget.left_ns < 200000));
        if (rc) {
            assert_memory_equal(copy, made.data, made.size);
            rules.budget = NULL;
            assert_int_equal(batch_validate(copy, made.size, &rules, 1100, &arena, &rewrite, &v), 0);
        }
        assert_int_equal(v.error, 0);
        arena_free(&arena);
        buffer_free(&rewrite);
        free(copy);
        batch_builder_free(&b);
    }
}

// A small batch that unfolds into a large one is found out before the budget is gone.
static void a_bomb_is_left_to_who_has_time(void **state)
{
    (void)state;
    for (enum compression type = COMPRESSION_GZIP; type < COMPRESSION_TYPES; type++) {
        struct batch_options o = BATCH_OPTIONS;
        struct batch_builder b = {0};
        struct bytes made, value = {calloc(1, 1 << 20), 1 << 20};
        o.compression = type;
        batch_builder_init(&b, &o);
        batch_builder_add(&b, 1000, BYTES_NULL, value, NULL, 0);
        assert_int_equal(batch_builder_finish(&b, &made), 0);
        struct batch_budget budget = {200000};
        struct batch_rules rules = BATCH_RULES;
        rules.budget = &budget;
        struct arena arena;
        struct buffer rewrite = BUFFER_INIT;
        struct batch_verdict v;
        arena_init(&arena, 0);
        uint8_t *batch = (uint8_t *)(uintptr_t)made.data;
        assert_int_equal(batch_validate(batch, made.size, &rules, 1100, &arena, &rewrite, &v), ERR_AGAIN);
        rules.budget = NULL;
        assert_int_equal(batch_validate(batch, made.size, &rules, 1100, &arena, &rewrite, &v), 0);
        assert_int_equal(v.error, 0);
        arena_free(&arena);
        buffer_free(&rewrite);
        batch_builder_free(&b);
        free((void *)(uintptr_t)value.data);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(answers_are_kafkas),
                                              cmocka_unit_test(the_first_look),
                                              cmocka_unit_test(origins),
                                              cmocka_unit_test(bombs_are_refused),
                                              cmocka_unit_test(a_budget_is_kept),
                                              cmocka_unit_test(a_bomb_is_left_to_who_has_time),
                                              cmocka_unit_test(record_errors_are_bounded),
                                              cmocka_unit_test(mutated_batches)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
