// The command line's pure parts: options, places to start from, formats, JSON.
#include "unit.h"

#include "cli/options.h"
#include "cli/output.h"
#include "cli/record_format.h"
#include "cli/start_offset.h"
#include "cli/top.h"

static int run_nothing(const struct command *self, int argc, char **argv)
{
    (void)self;
    (void)argc;
    (void)argv;
    return EXIT_OK;
}

static const struct option known[] = {
    {"name", 'n', true}, {"flag", 'f', false}, {"other", 'o', false}, {NULL, 0, false}};

static const struct command nothing = {
    .name = "test", .summary = "", .help = "", .options = known, .run = run_nothing};

static void options_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *words[5];
        int option;
        const char *value;
        int next; // what comes behind it
    } cases[] = {
        {{"--name", "v"}, 0, "v", OPTION_END},
        {{"--name=v=w"}, 0, "v=w", OPTION_END},
        {{"--name="}, 0, "", OPTION_END},
        {{"-n", "-f"}, 0, "-f", OPTION_END},
        {{"-nv", "x"}, 0, "v", OPTION_ARGUMENT},
        {{"-fo"}, 1, NULL, 2},
        {{"-fnv"}, 1, NULL, 0},
        {{"-"}, OPTION_ARGUMENT, "-", OPTION_END},
        {{"--", "--name"}, OPTION_ARGUMENT, "--name", OPTION_END},
        {{"a", "-f"}, OPTION_ARGUMENT, "a", 1},
        {{"--flag=1"}, OPTION_BAD, NULL, OPTION_END},
        {{"--nam", "v"}, OPTION_BAD, NULL, OPTION_ARGUMENT},
        {{"--name"}, OPTION_BAD, NULL, OPTION_END},
        {{"-n"}, OPTION_BAD, NULL, OPTION_END},
        {{"-x"}, OPTION_BAD, NULL, OPTION_END},
        {{"--help"}, OPTION_HELP, NULL, OPTION_END},
        {{"-h"}, OPTION_HELP, NULL, OPTION_END},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *argv[5];
        int argc = 0;
        for (; argc < 5 && cases[i].words[argc]; argc++)
            argv[argc] = (char *)(uintptr_t)cases[i].words[argc];
        struct options o = options_start(&nothing, argc, argv);
        assert_int_equal(options_next(&o), cases[i].option);
        if (cases[i].value)
            assert_string_equal(o.value, cases[i].value);
        assert_int_equal(options_next(&o), cases[i].next);
    }
}

static void numbers_have_bounds(void **state)
{
    (void)state;
    struct options o = {.command = &nothing};
    int64_t n = -1;
    static const char *const bad[] = {"", "x", "1x", "0", "11", "99999999999999999999", "-1", "1.5"};
    o.value = "10";
    assert_true(options_number(&o, 1, 10, &n));
    assert_int_equal(n, 10);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        o.value = bad[i];
        assert_false(options_number(&o, 1, 10, &n));
    }
}

static void places_to_start_from(void **state)
{
    (void)state;
    const int64_t now = 1700000000000;
    static const struct {
        const char *text;
        bool good;
        enum start_kind kind;
        int64_t number;
    } cases[] = {
        {"beginning", true, START_BEGINNING, 0},
        {"end", true, START_END, 0},
        {"0", true, START_OFFSET, 0},
        {"42", true, START_OFFSET, 42},
        {"-10", true, START_LAST, 10},
        {"-0", true, START_LAST, 0},
        {"@5", true, START_TIME, 5},
        {"2026-01-31", true, START_TIME, 1769817600000},
        {"2026-01-31T12:00", true, START_TIME, 1769860800000},
        {"2026-01-31T12:00:01Z", true, START_TIME, 1769860801000},
        {"-90s", true, START_TIME, 1700000000000 - 90000},
        {"-7d", true, START_TIME, 1700000000000 - INT64_C(604800000)},
        {"-99999999999999d", false, START_TIME, 0},
        {"7d", false, START_TIME, 0},
        {"", false, START_TIME, 0},
        {"@", false, START_TIME, 0},
        {"@-1", false, START_TIME, 0},
        {"tomorrow", false, START_TIME, 0},
        {"5x", false, START_TIME, 0},
        {"2026-01-31T12:00:01+01:00", false, START_TIME, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct start s = {START_BEGINNING, 0};
        if (start_parse(cases[i].text, now, &s) != cases[i].good)
            fail_msg("%s", cases[i].text);
        if (cases[i].good)
            assert_true(s.kind == cases[i].kind && s.number == cases[i].number);
    }
}

static void formats_are_checked(void **state)
{
    (void)state;
    const char *at;
    assert_true(record_format_valid("", &at));
    assert_true(record_format_valid("%t %p %o %T %D %k %v %h %s %% \\n\\t\\0\\\\", &at));
    assert_false(record_format_valid("%v %x", &at));
    assert_string_equal(at, "%x");
    assert_false(record_format_valid("%", &at));
    assert_false(record_format_valid("\\", &at));
    assert_false(record_format_valid("\\r", &at));
}

static void json_escapes(void **state)
{
    (void)state;
    static const struct {
        struct bytes in;
        const char *text, *member;
    } cases[] = {
        {{(const uint8_t *)"", 0}, "\"\"", "\"v\":\"\""},
        {{(const uint8_t *)"a\"\\\n\x01\x7f", 6},
         "\"a\\\"\\\\\\n\\u0001\\u007f\"",
         "\"v\":\"a\\\"\\\\\\n\\u0001\\u007f\""},
        {{(const uint8_t *)"\xc3\xa9", 2}, "\"\xc3\xa9\"", "\"v\":\"\xc3\xa9\""},
        {{(const uint8_t *)"\xff", 1}, "\"\xef\xbf\xbd\"", "\"vBase64\":\"/w==\""},
        {{(const uint8_t *)"\xff\xfe\xfd", 3},
         "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"",
         "\"vBase64\":\"//79\""},
        {{(const uint8_t *)"\xc3", 1}, "\"\xef\xbf\xbd\"", "\"vBase64\":\"ww==\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer out = BUFFER_INIT;
        json_text(&out, (struct str){(const char *)cases[i].in.data, cases[i].in.size});
        buffer_byte(&out, 0);
        assert_string_equal((char *)out.data, cases[i].text);
        buffer_clear(&out);
        json_bytes_member(&out, "v", cases[i].in);
        buffer_byte(&out, 0);
        assert_string_equal((char *)out.data, cases[i].member);
        buffer_free(&out);
    }
}

static void columns_are_aligned(void **state)
{
    (void)state;
    struct table t = {.columns = 2};
    struct buffer out = BUFFER_INIT;
    table_cell(&t, "NAME");
    table_cell(&t, "N");
    table_cell(&t, "%s", "x");
    table_cell(&t, "%d", 12);
    table_print(&t, &out);
    buffer_byte(&out, 0);
    assert_string_equal((char *)out.data, "NAME  N\nx     12\n");
    table_free(&t);
    buffer_clear(&out);
    t = (struct table){.columns = 2};
    static const char *const names[] = {"\033[2Jx", "a\nb\tc\x7f", "\xc2\x9b[J\xc2",
                                        "\xc3\xbc\xc2\xa0"}; // the last one is a letter and a space
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        table_cell(&t, "%s", names[i]);
        table_cell(&t, "%zu", i);
    }
    table_print(&t, &out);
    buffer_byte(&out, 0);
    assert_string_equal((char *)out.data, "?[2Jx   0\na?b?c?  1\n??[J\xc2   2\n\xc3\xbc\xc2\xa0      3\n");
    table_free(&t);
    buffer_free(&out);
}

// What the view prints, and how many lines of it; none is wider than the screen.
static struct str view(const struct top_sample *now, const struct top_sample *before, int rows, int columns,
                       struct buffer *out)
{
    struct top_screen screen = {.rows = rows, .columns = columns};
    buffer_clear(out);
    top_view(now, before, &screen, out);
    int lines = 0, width = 0;
    for (size_t i = 0; i < out->size; i++) {
        width = out->data[i] == '\n' ? 0 : width + ((out->data[i] & 0xC0) != 0x80);
        lines += out->data[i] == '\n';
        assert_true(width <= columns);
    }
    assert_true(lines <= rows);
    buffer_byte(out, 0);
    return (struct str){(const char *)out->data, out->size - 1};
}

static bool has(struct str text, const char *what)
{
    return strstr(text.data, what) != NULL;
}

static void top_shows_what_is_busy(void **state)
{
    (void)state;
    struct top_topic topics[] = {
        {STR("audit"), 1, 5, 100}, {STR("orders"), 3, 12000, 3500000}, {STR("views"), 2, 50, 9}};
    struct top_topic old[] = {{STR("audit"), 1, 5, 100}, {STR("orders"), 3, 2000, 500000}};
    struct top_group groups[] = {{STR("billing"), STR("Stable"), 0, 700},
                                 {STR("slow"), STR("Empty"), 1234567, 0}};
    struct top_sample before = {.at_ms = 1000, .topics = old, .topics_count = 2}, now = {.at_ms = 3000,
                                                                                         .latency_us = 1500,
                                                                                         .cluster = STR("c"),
                                                                                         .brokers = 1,
                                                                                         .partitions = 6,
                                                                                         .topics = topics,
                                                                                         .topics_count = 3,
                                                                                         .groups = groups,
                                                                                         .groups_count = 2};
    struct buffer out = {0};
    struct str text = view(&now, &before, 24, 80, &out);
    assert_true(has(text, "1 broker, 3 topics, 6 partitions, 2 groups, cluster c"));
    assert_true(has(text, "5.0k records/s in, 3.5MB on disk, answers in 1.5 ms"));
    assert_true(strstr(text.data, "orders") < strstr(text.data, "views")); // the busiest first
    assert_true(strstr(text.data, "views") < strstr(text.data, "audit"));  // then the one with more records
    assert_true(strstr(text.data, "slow") < strstr(text.data, "billing")); // the one that is most behind
    assert_true(has(text, "1.2M"));
    struct top_sample none = {0};
    assert_true(has(view(&now, &none, 24, 80, &out), "- records/s in")); // no rate yet
    buffer_free(&out);
}

static void top_fits_every_screen(void **state)
{
    (void)state;
    enum { COUNT = 300 };
    static struct top_topic topics[COUNT];
    static struct top_group groups[COUNT];
    static char names[COUNT][64];
    for (int i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "%03d-a-name-that-is-longer-than-a-column-of-the-table\033[2J",
                 i);
        topics[i] = (struct top_topic){str_from(names[i]), 1, 1000 - i, INT64_MAX};
        groups[i] = (struct top_group){str_from(names[i]), STR("CompletingRebalance"), i, 0};
    }
    struct top_sample now = {
        .at_ms = 1, .topics = topics, .topics_count = COUNT, .groups = groups, .groups_count = COUNT};
    struct top_sample none = {0};
    struct buffer out = {0};
    struct str text = view(&now, &none, 24, 80, &out);
    assert_true(has(text, "more"));
    assert_true(has(text, "000-a") && has(text, "299-a")); // the most records; the greatest lag
    assert_false(has(text, "\033"));                       // a name moves no cursor
    static char letters[201];                              // of two bytes each
    for (int i = 0; i < 200; i += 2)
        memcpy(letters + i, "\xc3\xbc", 2);
    topics[0].name = str_from(letters);
    text = view(&now, &none, 24, 80, &out);
    assert_true(utf8_valid((const uint8_t *)text.data, text.size));
    for (int rows = 0; rows < 40; rows++)
        for (int columns = 1; columns < 140; columns += 7)
            view(&now, &none, rows, columns, &out);
    for (int columns = 1; columns < 140; columns += 7) {
        struct top_screen screen = {.rows = 24, .columns = columns};
        buffer_clear(&out);
        top_lost("127.0.0.1:9092: Connection refused", &screen, &out);
        assert_true(out.size <= (size_t)columns + 1 && out.data[out.size - 1] == '\n');
    }
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_understood), cmocka_unit_test(numbers_have_bounds),
        cmocka_unit_test(places_to_start_from),   cmocka_unit_test(formats_are_checked),
        cmocka_unit_test(json_escapes),           cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(top_shows_what_is_busy), cmocka_unit_test(top_fits_every_screen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
