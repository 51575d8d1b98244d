#include "unit.h"

#include "base/arena.h"
#include "base/buffer.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/java_order.h"
#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"

#include <stdio.h>
#include <stdlib.h>

static void varints_round_trip(void **state)
{
    (void)state;
    static const int64_t values[] = {0,   1,   -1,        63,        -64,       64,       127,
                                     128, 300, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t raw[VARLONG_MAX_BYTES];
        int64_t back;
        size_t n = varlong_write(raw, values[i]);
        assert_int_equal(n, varlong_size(values[i]));
        assert_int_equal(varlong_read(raw, raw + n, &back), n);
        assert_true(back == values[i]);
        assert_int_equal(varlong_read(raw, raw + n - 1, &back), 0); // cut short
        if (values[i] < INT32_MIN || values[i] > INT32_MAX)
            continue;
        int32_t small;
        assert_int_equal(varint_read(raw, raw + n, &small), n);
        assert_int_equal(small, values[i]);
    }
}

static void overlong_varints_are_refused(void **state)
{
    (void)state;
    static const uint8_t six[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x01},
                         wide[] = {0xff, 0xff, 0xff, 0xff, 0x7f};
    uint32_t v;
    assert_int_equal(uvarint_read(six, six + sizeof six, &v), 0);
    assert_int_equal(uvarint_read(wide, wide + sizeof wide, &v), 0);
    static const uint8_t eleven[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0};
    uint64_t w;
    assert_int_equal(uvarlong_read(eleven, eleven + sizeof eleven, &w), 0);
}

static void utf8_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {{"", true},
                 {"plain", true},
                 {"h\xc3\xa9", true},
                 {"\xe6\xbc\xa2", true},
                 {"\xf0\x9f\x98\x80", true},
                 {"\x80", false},
                 {"\xc0\xaf", false},
                 {"\xe0\x80\x80", false},
                 {"\xed\xa0\x80", false},
                 {"\xc3", false},
                 {"\xf5\x80\x80\x80", false},
                 {"\xe6\xbc", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_valid((const uint8_t *)cases[i].text, strlen(cases[i].text)), cases[i].valid);
}

static void arena_hands_out_and_forgets(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 100000);
    for (int i = 0; i < 100; i++) {
        uint8_t *p = arena_alloc(&a, 333);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        memset(p, i, 333);
    }
    assert_null(arena_alloc(&a, 100000)); // above the limit
    assert_null(arena_zalloc(&a, SIZE_MAX / 2, 16));
    struct str s = arena_printf(&a, "%s-%d", "x", 7);
    assert_true(str_is(s, "x-7"));
    assert_true(arena_str(&a, STR_NULL).data == NULL);
    arena_reset(&a);
    assert_int_equal(a.used_bytes, 0);
    assert_non_null(arena_alloc(&a, 90000));
    arena_free(&a);
}

static void maps_agree_with_a_plain_array(void **state)
{
    (void)state;
    enum { KEYS = 500 };
    static char names[KEYS][8];
    void *wanted[KEYS] = {0};
    struct map m = MAP_INIT, ints = MAP_INIT;
    srand(7);
    for (int i = 0; i < KEYS; i++)
        snprintf(names[i], sizeof names[i], "k%d", i);
    for (int round = 0; round < 20000; round++) {
        int k = rand() % KEYS;
        struct str key = str_from(names[k]);
        if (rand() % 2) {
            wanted[k] = &names[rand() % KEYS];
            assert_int_equal(map_put(&m, key, wanted[k]), 0);
            assert_int_equal(map_int_put(&ints, (uint64_t)k, wanted[k]), 0);
        } else {
            assert_ptr_equal(map_remove(&m, key), wanted[k]);
            assert_ptr_equal(map_int_remove(&ints, (uint64_t)k), wanted[k]);
            wanted[k] = NULL;
        }
    }
    size_t count = 0;
    for (int k = 0; k < KEYS; k++) {
        assert_ptr_equal(map_get(&m, str_from(names[k])), wanted[k]);
        assert_ptr_equal(map_int_get(&ints, (uint64_t)k), wanted[k]);
        count += wanted[k] != NULL;
    }
    assert_int_equal(m.count, count);
    size_t walked = 0;
    for (size_t i = 0; map_next(&m, &i);)
        walked++;
    assert_int_equal(walked, count);
    map_free(&m);
    map_free(&ints);
}

static void uuids_print_as_kafka_prints_them(void **state)
{
    (void)state;
    struct uuid id = {{0}}, back;
    char text[UUID_TEXT_BYTES];
    uuid_text(&id, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAA");
    id.bytes[15] = 1;
    uuid_text(&id, text);
    assert_string_equal(text, "AAAAAAAAAAAAAAAAAAAAAQ");
    for (int i = 0; i < 100; i++) {
        id = uuid_random();
        uuid_text(&id, text);
        assert_true(text[0] != '-');
        assert_int_equal(uuid_parse(str_from(text), &back), 0);
        assert_true(uuid_equal(&id, &back));
    }
    assert_int_equal(uuid_parse(STR("AAAAAAAAAAAAAAAAAAAAA"), &back), ERR_INVALID);
    assert_int_equal(uuid_parse(STR("AAAAAAAAAAAAAAAAAAAAA!"), &back), ERR_INVALID);
    assert_int_equal(uuid_parse(STR("AAAAAAAAAAAAAAAAAAAAAB"), &back), ERR_INVALID);
}

static void buffers_grow(void **state)
{
    (void)state;
    struct buffer b = BUFFER_INIT;
    for (int i = 0; i < 1000; i++)
        buffer_printf(&b, "%d,", i);
    assert_int_equal(b.size, 10 * 2 + 90 * 3 + 900 * 4);
    assert_memory_equal(b.data, "0,1,2,", 6);
    assert_null(buffer_reserve(&b, SIZE_MAX / 2));
    assert_true(b.failed);
    buffer_free(&b);
}

static void lists_move_in_order(void **state)
{
    (void)state;
    struct list to, from, nodes[4];
    list_init(&to);
    list_init(&from);
    list_move_back(&to, &from); // nothing to nothing
    assert_true(list_empty(&to) && list_empty(&from));
    list_push_back(&from, &nodes[0]);
    list_push_back(&from, &nodes[1]);
    list_move_back(&to, &from);
    list_push_back(&from, &nodes[2]);
    list_push_back(&from, &nodes[3]);
    list_move_back(&to, &from);
    list_move_back(&to, &from);
    assert_true(list_empty(&from));
    for (size_t i = 0; i < 4; i++)
        assert_ptr_equal(list_pop_front(&to), &nodes[i]);
    assert_null(list_pop_front(&to));
}

// As java.util lists Longs: by the hash, folded, within the table's size.
static void numbers_are_listed_as_java_lists_them(void **state)
{
    (void)state;
    static const int64_t few[] = {17, 16, (INT64_C(1) << 33) + 5, 1, 30};
    static const size_t of_sixteen[] = {1, 0, 3, 2, 4}, of_eight[] = {1, 0, 3, 4, 2};
    int64_t many[12];
    size_t *order;
    struct arena arena;
    arena_init(&arena, 0);
    assert_int_equal(java_concurrent_map_order(few, 5, &arena, &order), 0);
    assert_memory_equal(order, of_sixteen, sizeof of_sixteen);
    assert_int_equal(java_sized_map_order(few, 5, 5, &arena, &order), 0);
    assert_memory_equal(order, of_eight, sizeof of_eight);
    for (int i = 0; i < 12; i++)
        many[i] = i == 0 ? 16 : i; // in a table of 16 the first would come first
    assert_int_equal(java_concurrent_map_order(many, 11, &arena, &order), 0);
    assert_int_equal(order[0], 0);
    assert_int_equal(java_concurrent_map_order(many, 12, &arena, &order), 0);
    assert_int_equal(order[11], 0); // the table has 32 places by now
    static const uint32_t hashes[] = {5, 1, 4};
    static const size_t of_four[] = {2, 0, 1}, with_another[] = {1, 2, 0};
    assert_int_equal(java_hash_order(hashes, 3, 0, 0, &arena, &order), 0);
    assert_memory_equal(order, of_four, sizeof of_four);
    assert_int_equal(java_hash_order(hashes, 3, 1, 0, &arena, &order), 0);
    assert_memory_equal(order, with_another, sizeof with_another);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_round_trip),
        cmocka_unit_test(overlong_varints_are_refused),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(arena_hands_out_and_forgets),
        cmocka_unit_test(maps_agree_with_a_plain_array),
        cmocka_unit_test(uuids_print_as_kafka_prints_them),
        cmocka_unit_test(buffers_grow),
        cmocka_unit_test(lists_move_in_order),
        cmocka_unit_test(numbers_are_listed_as_java_lists_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
