#include "unit.h"

#include "server/handlers/topic_order.h"

#include <stdio.h>

// Answers of Apache Kafka 4.3.1, in its order.
static const struct {
    enum topic_order how;
    const char *names[12];
} answers[] = {
    {TOPIC_ORDER_NAMED, {"ord.4", "ord.1", "zz", "ord.2", "ord.6"}},
    {TOPIC_ORDER_NAMED, {"ord.3", "ord.8", "ord.1", "ord.11", "ord.6", "t-b"}},
    {TOPIC_ORDER_NAMED,
     {"create.2.d", "create.2.b", "create.2.c", "create.2.a"}}, // few: as they were asked for
    {TOPIC_ORDER_ALL, {"a.b", "a_c", "t-b", "missing", "t-a", "t-c"}},
    {TOPIC_ORDER_ALL,
     {"topic.number-74", "a_c", "t-b", "t-a", "topic.number-37", "topic.number-148", "t-c",
      "topic.number-185", "a.b", "topic.number-111", "missing", "topic.number-0"}}, // a table of 32
};

static void topics_stand_where_kafka_puts_them(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t a = 0; a < sizeof answers / sizeof *answers; a++) {
        uint32_t n = 0, *order;
        struct str asked[12];
        while (n < 12 && answers[a].names[n])
            n++;
        bool few = n <= 4;
        for (uint32_t i = 0; i < n; i++) // ask in the opposite order
            asked[i] = str_from(answers[a].names[few ? i : n - 1 - i]);
        assert_int_equal(topic_order(answers[a].how, asked, n, &arena, &order), 0);
        for (uint32_t i = 0; i < n; i++)
            assert_true(str_is(asked[order[i]], answers[a].names[i]));
    }
    arena_free(&arena);
}

// Whatever the hashes: every name exactly once.
static void no_topic_is_lost(void **state)
{
    (void)state;
    enum { NAMES = 5000 };
    static char texts[NAMES][16];
    static struct str names[NAMES];
    static bool seen[NAMES];
    for (int how = TOPIC_ORDER_NAMED; how <= TOPIC_ORDER_ALL; how++) {
        struct arena arena;
        arena_init(&arena, 0);
        uint32_t *order;
        for (int i = 0; i < NAMES; i++) {
            // "Aa" and "BB" have the same hash code, and so has every mixture of them.
            snprintf(texts[i], sizeof texts[i], "%s%s%s%d", i & 1 ? "Aa" : "BB", i & 2 ? "Aa" : "BB",
                     i & 4 ? "Aa" : "BB", i / 8);
            names[i] = str_from(texts[i]);
            seen[i] = false;
        }
        assert_int_equal(topic_order((enum topic_order)how, names, NAMES, &arena, &order), 0);
        for (int i = 0; i < NAMES; i++) {
            assert_true(order[i] < NAMES && !seen[order[i]]);
            seen[order[i]] = true;
        }
        arena_free(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topics_stand_where_kafka_puts_them),
        cmocka_unit_test(no_topic_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
