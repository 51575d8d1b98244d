// What the HTTP room decides without a broker: queries, positions, filters, the overview, who gives way.
#include "unit.h"

#include "base/murmur2.h"
#include "http/attention.h"
#include "http/filter.h"
#include "http/guests.h"
#include "http/lag_book.h"
#include "http/records.h"
#include "os/socket.h"

#include <stdlib.h>
#include <sys/socket.h>

static void names_are_decoded_once(void **state)
{
    static const struct {
        const char *in, *out; // NULL: refused
    } rows[] = {
        {"", ""},       {"a", "a"},          {"%41b", "Ab"}, {"%2541", "%41"}, {"%c3%a4", "\xc3\xa4"},
        {"%", NULL},    {"%4", NULL},        {"a%zz", NULL}, {"%00", NULL},    {"%ff", NULL},
        {"\xff", NULL}, {"%ed%a0%80", NULL}, {"a+b", "a+b"}, {"%2f%2F", "//"}, {"%4%31", NULL},
    };
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct str got = http_decode(&arena, str_from(rows[i].in));
        assert_true(rows[i].out ? str_is(got, rows[i].out) : !got.data);
    }
    arena_free(&arena);
}

static void positions_are_for_their_partitions(void **state)
{
    static const struct {
        const char *text;
        int64_t first, second; // -1: refused
    } rows[] = {
        {"0-5.3-7", 5, 7},   {"0-0.3-99", 1, 10}, {"0-5", -1, 0},         {"3-5.0-7", -1, 0},
        {"0-5.3-7.", -1, 0}, {"", -1, 0},         {"0-y.3-7", -1, 0},     {"0--5.3-7", -1, 0},
        {"0-5,3-7", -1, 0},  {"x", -1, 0},        {"0-5.3-7.4-1", -1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct record_range ranges[] = {{.partition = 0, .start = 1, .end = 10},
                                        {.partition = 3, .start = 1, .end = 10}};
        assert_int_equal(http_read_positions(str_from(rows[i].text), ranges, 2, false), rows[i].first >= 0);
        if (rows[i].first >= 0) {
            assert_int_equal(ranges[0].at, rows[i].first);
            assert_int_equal(ranges[1].at, rows[i].second);
        }
    }
}

// One that was off line when the positions were made, and one that is now.
static void a_position_may_be_unknown(void **state)
{
    (void)state;
    for (int from_start = 0; from_start < 2; from_start++) {
        struct record_range ranges[] = {{.partition = 0, .at = 9, .start = 1, .end = 10},
                                        {.partition = 1, .at = -1, .error = 56},
                                        {.partition = 2, .at = -1, .error = 56}};
        assert_true(http_read_positions(STR("0-x.1-70.2-x"), ranges, 3, from_start));
        assert_int_equal(ranges[0].at, from_start ? 1 : 9);
        assert_int_equal(ranges[1].at, 70); // neither its start nor its end is known
        assert_int_equal(ranges[2].at, -1);
        struct buffer text = BUFFER_INIT;
        for (int i = 1; i < 3; i++)
            http_say_position(&text, ranges[i].partition, ranges[i].at);
        assert_true(str_is((struct str){(const char *)text.data, text.size}, "1-702-x"));
        buffer_free(&text);
        assert_false(http_read_positions(STR("0-x.1-xx.2-1"), ranges, 3, from_start));
    }
}

// What was off line answers: it goes on where it was left, and what was never read begins where it was asked
// to.
static void a_partition_that_is_back_goes_on(void **state)
{
    static const struct {
        struct record_place from;
        int64_t left, of_time, at;
    } rows[] = {
        {{PLACE_END, 0}, 15, -1, 15},      {{PLACE_END, 0}, 3, -1, 10},
        {{PLACE_END, 0}, 99, -1, 20},      {{PLACE_END, 0}, -1, 12, 20},
        {{PLACE_EARLIEST, 0}, -1, -1, 10}, {{PLACE_EARLIEST, 0}, 15, -1, 15},
        {{PLACE_OFFSET, 17}, -1, -1, 17},  {{PLACE_OFFSET, 3}, -1, -1, 10},
        {{PLACE_OFFSET, 99}, -1, -1, 20},  {{PLACE_OFFSET, 17}, 12, -1, 12},
        {{PLACE_TIME, 1000}, -1, 12, 12},  {{PLACE_TIME, 1000}, -1, -1, 20},
        {{PLACE_TIME, 1000}, 15, 12, 15},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct record_range range = {.partition = 3, .at = rows[i].left, .error = 56};
        http_range_found(&range, &rows[i].from, 10, 20, rows[i].of_time);
        assert_int_equal(range.at, rows[i].at);
        assert_true(range.partition == 3 && range.start == 10 && range.end == 20 && range.error == 0);
    }
    struct record_range emptied = {.at = 5, .error = 56};
    http_range_found(&emptied, &(struct record_place){.value = 0}, 30, 20, -1);
    assert_true(emptied.at == 30 && emptied.end == 30);
}

static struct str numbered(char *text, size_t bytes, int n)
{
    snprintf(text, bytes, "group-%d", n);
    return str_from(text);
}

static int64_t latest_lag(const struct lag_book *b, struct str name, size_t points)
{
    struct lag_point out[LAG_POINTS];
    size_t count = lag_book_read(b, name, out);
    assert_int_equal(count, points);
    for (size_t i = 1; i < count; i++)
        assert_true(out[i - 1].time_ms < out[i].time_ms);
    return count ? out[count - 1].lag : INT64_MIN;
}

static void the_lag_of_so_many_groups_is_kept_and_no_more(void **state)
{
    enum { MANY = 10000 };
    (void)state;
    static struct lag_book b;
    static char texts[MANY][16];
    static struct str names[MANY];
    char long_name[LAG_NAME_BYTES + 2];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    for (int n = 0; n < MANY; n++)
        names[n] = numbered(texts[n], sizeof texts[n], n);
    lag_book_groups(&b, names, MANY);
    assert_int_equal(b.count, LAG_GROUPS);
    for (int64_t point = 0; point < 2 * LAG_POINTS; point++) {
        lag_book_begin(&b, 1000 + point);
        lag_book_set(&b, names[0], point);
    }
    assert_int_equal(latest_lag(&b, names[0], LAG_POINTS), 2 * LAG_POINTS - 1);
    assert_int_equal(latest_lag(&b, names[1], LAG_POINTS), LAG_UNKNOWN);
    latest_lag(&b, names[MANY - 1], 0);

    // Who is looked at has a place; what was never looked at, or longest ago, gives it up.
    for (int n = 0; n < LAG_GROUPS; n++)
        lag_book_ask(&b, names[n], 5000 + n);
    lag_book_ask(&b, names[MANY - 1], 9000);
    lag_book_ask(&b, str_from(long_name), 9001);
    assert_int_equal(b.count, LAG_GROUPS);
    latest_lag(&b, names[0], 0);
    lag_book_groups(&b, names, MANY);
    lag_book_begin(&b, 9999);
    lag_book_set(&b, names[MANY - 1], 7);
    lag_book_set(&b, names[0], 7); // not in the book
    assert_int_equal(latest_lag(&b, names[MANY - 1], 1), 7);

    // One that is gone is forgotten, and its place is free.
    lag_book_groups(&b, names + 1, 2);
    assert_int_equal(b.count, 2);
    latest_lag(&b, names[MANY - 1], 0);
    lag_book_ask(&b, str_from(long_name), 9999);
    lag_book_ask(&b, STR(""), 9999);
    assert_int_equal(b.count, 3);
    lag_book_groups(&b, NULL, 0);
    assert_int_equal(b.count, 0);
    lag_book_free(&b);
}

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, text ? strlen(text) : 0};
}

static void filters_choose(void **state)
{
    static const struct {
        const char *key, *value;
        struct {
            const char *key, *contains, *field, *equals;
        } filter;
        bool matches;
    } rows[] = {
        {NULL, NULL, {NULL, NULL, NULL, NULL}, true},
        {NULL, NULL, {"", NULL, NULL, NULL}, false},
        {"", NULL, {"", NULL, NULL, NULL}, true},
        {"k", "v", {"k", NULL, NULL, NULL}, true},
        {"k", "v", {"K", NULL, NULL, NULL}, false},
        {"key", "value", {NULL, "e", NULL, NULL}, true},
        {"key", "value", {NULL, "alu", NULL, NULL}, true},
        {"key", "value", {NULL, "yv", NULL, NULL}, false},
        {NULL, NULL, {NULL, "", NULL, NULL}, false},
        {NULL, "{\"a\":{\"b\":1}}", {NULL, NULL, "a.b", "1"}, true},
        {NULL, "{\"a\":{\"b\":1}}", {NULL, NULL, "a.c", "1"}, false},
        {NULL, "{\"a.b\":1,\"a\":{\"b\":2}}", {NULL, NULL, "a.b", "1"}, true},
        {NULL, "{\"a\":1,\"a.b\":{\"c\":3}}", {NULL, NULL, "a.b.c", "3"}, true},
        {NULL, "{\"\":5}", {NULL, NULL, "", "5"}, true},
        {NULL, "[1,[2,3]]", {NULL, NULL, "1.0", "2"}, true},
        {NULL, "[1]", {NULL, NULL, "-1", "1"}, false},
        {NULL, "5", {NULL, NULL, "", "5"}, false},
        {NULL, "{\"a\":9007199254740993}", {NULL, NULL, "a", "9007199254740993"}, true},
        {NULL, "{\"a\":9007199254740993}", {NULL, NULL, "a", "9007199254740992"}, false},
        {NULL, "{\"a\":\"1\"}", {NULL, NULL, "a", "1"}, true},
        {NULL, "{\"a\":[]}", {NULL, NULL, "a", ""}, false},
        {NULL, "{broken", {NULL, NULL, "a", "1"}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct found_record record = {.key = bytes_of(rows[i].key), .value = bytes_of(rows[i].value)};
        struct record_filter filter = {str_from(rows[i].filter.key), str_from(rows[i].filter.contains),
                                       str_from(rows[i].filter.field), str_from(rows[i].filter.equals)};
        if (filter_matches(&filter, &record) != rows[i].matches)
            fail_msg("row %zu", i);
    }
}

static void keys_hash_as_kafkas_clients_hash_them(void **state)
{
    static const struct { // of Kafka's own client
        const char *key;
        uint32_t hash;
    } rows[] = {{"21", (uint32_t)-973932308},
                {"foobar", (uint32_t)-790332482},
                {"a-little-bit-long-string", (uint32_t)-985981536},
                {"a-little-bit-longer-string", (uint32_t)-1486304829},
                {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", (uint32_t)-58897971},
                {"abc", 479470107}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(murmur2(bytes_of(rows[i].key)), rows[i].hash);
}

static const char *codes(const struct overview_facts *facts)
{
    static char text[256];
    json_t *all = attention_json(facts), *one;
    size_t i, n = 0;
    text[0] = 0;
    json_array_foreach(all, i, one) n +=
        (size_t)snprintf(text + n, sizeof text - n, "%s ", json_string_value(json_object_get(one, "code")));
    json_decref(all);
    return text;
}

static void what_needs_attention_is_said(void **state)
{
    (void)state;
    static struct reading now;
    struct slow_facts slow = {.partitions = 5};
    struct overview_facts facts = {.time_ms = 1000000, .now = &now, .slow = &slow};
    assert_string_equal(codes(&facts), "");
    slow.offline = slow.under_replicated = 1;
    facts.refused_ms = facts.time_ms - 59000;
    assert_string_equal(codes(&facts), "PARTITIONS_OFFLINE PARTITIONS_UNDER_REPLICATED CONNECTIONS_REFUSED ");
    slow.offline = slow.under_replicated = 0;
    facts.refused_ms = facts.time_ms - 61000;
    slow.log_dirs = json_pack("[{s:s,s:n,s:i,s:i,s:b},{s:s,s:s,s:i,s:i,s:b},{s:s,s:n,s:i,s:i,s:b}]", "path",
                              "/a", "error", "totalBytes", 100, "usableBytes", 9, "cordoned", 0, "path", "/b",
                              "error", "KAFKA_STORAGE_ERROR", "totalBytes", 100, "usableBytes", 1, "cordoned",
                              0, "path", "/c", "error", "totalBytes", 100, "usableBytes", 11, "cordoned", 1);
    slow.groups = json_pack("[{s:s,s:i,s:i,s:f},{s:s,s:i,s:i,s:f},{s:s,s:i,s:i,s:f},{s:s,s:i,s:n,s:n}]", "id",
                            "idle", "members", 0, "lag", 3, "lagSeconds", 5.0, "id", "late", "members", 1,
                            "lag", 3, "lagSeconds", 61.0, "id", "fine", "members", 1, "lag", 3, "lagSeconds",
                            59.0, "id", "new", "members", 0, "lag", "lagSeconds");
    slow.transactions = json_pack("[{s:s}]", "id", "t");
    slow.brokers = json_pack("[{s:i,s:b},{s:i,s:b}]", "id", 1, "fenced", 0, "id", 2, "fenced", 1);
    assert_string_equal(codes(&facts),
                        "DISK_LOW LOG_DIR_OFFLINE LOG_DIR_CORDONED BROKER_FENCED GROUP_NOT_CONSUMING "
                        "GROUP_BEHIND TRANSACTION_OPEN_LONG ");
    json_decref(slow.log_dirs);
    json_decref(slow.groups);
    json_decref(slow.transactions);
    json_decref(slow.brokers);
}

static bool is_ended(int other)
{
    char byte;
    return recv(other, &byte, 1, MSG_DONTWAIT) == 0;
}

static void the_one_that_waited_longest_gives_way(void **state)
{
    (void)state;
    struct guests g;
    struct guest *guests[5];
    int ends[5][2];
    guests_init(&g, 3, 3);
    for (int i = 0; i < 5; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), 0);
    for (int i = 0; i < 3; i++)
        guests[i] = guests_add(&g, ends[i][0], 100 + i);
    guests_serve(&g, guests[0], true, 150); // a handler runs for it: it stays
    guests[3] = guests_add(&g, ends[3][0], 200);
    assert_true(is_ended(ends[1][1]) && !is_ended(ends[0][1]) && !is_ended(ends[2][1]));
    guests_serve(&g, guests[0], false, 300); // answered: it waits anew
    guests_remove(&g, guests[1]);
    guests[4] = guests_add(&g, ends[4][0], 400);
    assert_true(is_ended(ends[2][1]) && !is_ended(ends[0][1]) && !is_ended(ends[3][1]) &&
                !is_ended(ends[4][1]));
    assert_int_equal(g.count, 3);
    for (int i = 0; i < 5; i++) {
        if (i != 1)
            guests_remove(&g, guests[i]);
        socket_close(ends[i][0]);
        socket_close(ends[i][1]);
    }
    assert_int_equal(g.count, 0);
    guests_free(&g);
}

// A burst: who came just now stays, unless there are far too many; later they give way all at once.
static void who_came_just_now_is_left_alone(void **state)
{
    (void)state;
    struct guests g;
    struct guest *guests[6];
    int ends[6][2];
    guests_init(&g, 2, 4);
    for (int i = 0; i < 6; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), 0);
    for (int i = 0; i < 4; i++)
        guests[i] = guests_add(&g, ends[i][0], 100 + i);
    assert_int_equal(g.count, 4);
    guests[4] = guests_add(&g, ends[4][0], 105); // the fifth: now somebody has to go
    assert_true(is_ended(ends[0][1]) && !is_ended(ends[1][1]) && g.count == 4);
    guests[5] = guests_add(&g, ends[5][0], 105 + GUEST_GRACE_MS);
    assert_true(is_ended(ends[1][1]) && is_ended(ends[2][1]) && is_ended(ends[3][1]) &&
                !is_ended(ends[5][1]));
    assert_int_equal(g.count, 2);
    for (int i = 0; i < 6; i++) {
        guests_remove(&g, guests[i]);
        socket_close(ends[i][0]);
        socket_close(ends[i][1]);
    }
    guests_free(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_decoded_once),
        cmocka_unit_test(positions_are_for_their_partitions),
        cmocka_unit_test(a_position_may_be_unknown),
        cmocka_unit_test(a_partition_that_is_back_goes_on),
        cmocka_unit_test(the_lag_of_so_many_groups_is_kept_and_no_more),
        cmocka_unit_test(filters_choose),
        cmocka_unit_test(keys_hash_as_kafkas_clients_hash_them),
        cmocka_unit_test(what_needs_attention_is_said),
        cmocka_unit_test(who_came_just_now_is_left_alone),
        cmocka_unit_test(the_one_that_waited_longest_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
