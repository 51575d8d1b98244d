// Assignments of consumer groups (KIP-848): sets of partitions, the assignors, and a member's steps towards
// its target.
#include "unit.h"

#include "coordinator/group/assignor.h"
#include "coordinator/group/reconcile.h"

#include "assignor_vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct group_config offered = {
    .consumer_assignors = {CONSUMER_ASSIGNOR_UNIFORM, CONSUMER_ASSIGNOR_RANGE},
    .consumer_assignors_count = 2};

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct uuid topic_id(char name)
{
    struct uuid id = {{0}};
    id.bytes[15] = (uint8_t)name;
    return id;
}

// "a0 a1 b0": topics of one letter, partitions of one digit. NULL: none.
static struct assignment parse(const char *text)
{
    struct topic_partition *items = arena_alloc(&arena, (text ? strlen(text) : 0) * sizeof *items);
    uint32_t count = 0;
    for (const char *c = text; c && *c; c += c[2] ? 3 : 2)
        items[count++] = (struct topic_partition){.topic = topic_id(c[0]), .partition = c[1] - '0'};
    return assignment_make(items, count);
}

static const char *print(const struct assignment *a)
{
    char *out = arena_zalloc(&arena, (size_t)a->count + 1, 3);
    for (uint32_t i = 0; i < a->count; i++) {
        out[i * 3] = (char)a->items[i].topic.bytes[15];
        out[i * 3 + 1] = (char)('0' + a->items[i].partition % 10);
        out[i * 3 + 2] = ' ';
    }
    if (a->count > 0)
        out[a->count * 3 - 1] = '\0';
    return out;
}

// Sets

static void test_sets(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *both, *minus, *either;
        bool within, meets;
    } cases[] = {
        {"a0 a1", "a1 b0", "a1", "a0", "a0 a1 b0", false, true},
        {"b1 a2", "a2 b1 c0", "a2 b1", "", "a2 b1 c0", true, true},
        {"", "a0", "", "", "a0", true, false},
        {"a0", "", "", "a0", "a0", false, false},
        {"a0 a0 a0", "a1", "", "a0", "a0 a1", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct assignment a = parse(cases[i].a), b = parse(cases[i].b), out;
        assert_true(assignment_combine(&arena, &a, &b, ASSIGNMENT_BOTH, &out));
        assert_string_equal(print(&out), cases[i].both);
        assert_true(assignment_combine(&arena, &a, &b, ASSIGNMENT_MINUS, &out));
        assert_string_equal(print(&out), cases[i].minus);
        assert_true(assignment_combine(&arena, &a, &b, ASSIGNMENT_EITHER, &out));
        assert_string_equal(print(&out), cases[i].either);
        assert_int_equal(assignment_within(&a, &b), cases[i].within);
        assert_int_equal(assignment_meets(&a, &b), cases[i].meets);
    }
    struct assignment a = parse("c1 a0 c0");
    assert_int_equal(assignment_topics(&a), 2);
    assert_int_equal(assignment_topic_end(&a, 1), 3);
}

// Assignors

struct given {
    const char *id, *instance, *topics, *has, *gets; // topics: letters
};

struct assignor_case {
    const char *what, *topics; // "a3 b1": names with how many partitions
    struct given members[4];
};

static void run_case(const char *assignor, const struct assignor_case *c)
{
    struct assignor_topic topics[4];
    struct assignor_member members[4] = {0};
    uint32_t places[4][4];
    struct assignor_problem p = {.topics = topics, .members = members, .equal_names = true};
    for (const char *t = c->topics; *t; t += t[2] ? 3 : 2)
        topics[p.topics_count++] = (struct assignor_topic){topic_id(t[0]), t[1] - '0'};
    for (; p.members_count < 4 && c->members[p.members_count].id; p.members_count++) {
        const struct given *g = &c->members[p.members_count];
        struct assignor_member *m = &members[p.members_count];
        *m = (struct assignor_member){.id = str_from(g->id),
                                      .instance_id = str_from(g->instance),
                                      .topics = places[p.members_count],
                                      .has = parse(g->has)};
        for (uint32_t k = 0; k < p.topics_count; k++)
            if (strchr(g->topics, topics[k].id.bytes[15]))
                places[p.members_count][m->topics_count++] = k;
        p.equal_names &= strcmp(g->topics, c->members[0].topics) == 0;
    }
    assert_int_equal(assignor_find(&offered, str_from(assignor))->assign(&p, &arena), 0);
    for (uint32_t i = 0; i < p.members_count; i++) {
        if (strcmp(print(&members[i].gets), c->members[i].gets) != 0)
            printf("%s: member %s\n", c->what, c->members[i].id);
        assert_string_equal(print(&members[i].gets), c->members[i].gets);
    }
}

static void test_range(void **state)
{
    (void)state;
    static const struct assignor_case cases[] = {
        {"in the order of ids", "a3", {{"y", NULL, "a", NULL, "a2"}, {"x", NULL, "a", NULL, "a0 a1"}}},
        {"topics of equal size alike",
         "a4 b4",
         {{"x", NULL, "ab", NULL, "a0 a1 b0 b1"}, {"y", NULL, "ab", NULL, "a2 a3 b2 b3"}}},
        {"static members first",
         "a3",
         {{"a", NULL, "a", NULL, "a2"}, {"z", "1", "a", NULL, "a0"}, {"y", "2", "a", NULL, "a1"}}},
        {"more members than partitions", "a1", {{"x", NULL, "a", NULL, "a0"}, {"y", NULL, "a", NULL, ""}}},
        {"different subscriptions",
         "a3 b2",
         {{"x", NULL, "a", NULL, "a0 a1"}, {"y", NULL, "ab", NULL, "a2 b0"}, {"z", NULL, "b", NULL, "b1"}}},
        {"no topics", "a1", {{"x", NULL, "", "a0", ""}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_case("range", &cases[i]);
}

static void test_uniform(void **state)
{
    (void)state;
    static const struct assignor_case cases[] = {
        {"one member has all", "a2 b1", {{"x", NULL, "ab", NULL, "a0 a1 b0"}}},
        {"evenly", "a4", {{"x", NULL, "a", NULL, "a0 a1"}, {"y", NULL, "a", NULL, "a2 a3"}}},
        {"a second member takes half, the first keeps its own",
         "a4",
         {{"x", NULL, "a", "a0 a1 a2 a3", "a0 a1"}, {"y", NULL, "a", NULL, "a2 a3"}}},
        {"who has one more keeps it",
         "a3",
         {{"x", NULL, "a", "a0", "a0"}, {"y", NULL, "a", "a1 a2", "a1 a2"}}},
        {"else the last in order have one more",
         "a3",
         {{"x", NULL, "a", NULL, "a0"}, {"y", NULL, "a", NULL, "a1 a2"}}},
        {"another took the place of one that left",
         "a4",
         {{"x", NULL, "a", "a0 a1", "a0 a1"}, {"y", NULL, "a", NULL, "a2 a3"}}},
        {"a topic grew", "a4", {{"x", NULL, "a", "a0", "a0 a2"}, {"y", NULL, "a", "a1", "a1 a3"}}},
        {"a topic is gone, and partitions that never were",
         "b2",
         {{"x", NULL, "b", "a0 b0 b5", "b0"}, {"y", NULL, "b", "a1", "b1"}}},
        {"two claim the same", "a2", {{"x", NULL, "a", "a0", "a0"}, {"y", NULL, "a", "a0", "a1"}}},
        {"different subscriptions: the narrow one first",
         "a2 b2",
         {{"x", NULL, "a", NULL, "a0 a1"}, {"y", NULL, "ab", NULL, "b0 b1"}}},
        {"different subscriptions, balanced by moves",
         "a3 b1",
         {{"x", NULL, "a", "a0 a1 a2", "a0 a1"}, {"y", NULL, "ab", NULL, "a2 b0"}}},
        {"no longer subscribed",
         "a2 b2",
         {{"x", NULL, "b", "a0 a1", "b0 b1"}, {"y", NULL, "a", "b0 b1", "a0 a1"}}},
        {"nobody subscribes", "a2", {{"x", NULL, "", NULL, ""}}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        run_case("uniform", &cases[i]);
    assert_null(assignor_find(&offered, STR("sticky")));
    const struct group_config one = {.consumer_assignors = {CONSUMER_ASSIGNOR_RANGE},
                                     .consumer_assignors_count = 1};
    assert_string_equal(assignor_default(&offered)->name, "uniform");
    assert_string_equal(assignor_default(&one)->name, "range");
    assert_null(assignor_find(&one, STR("uniform")));
}

// What Kafka 4.3.1's own assignor gave: "topics|member;topics;has;gets|...".
static void test_uniform_as_kafka(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof assignor_vectors / sizeof assignor_vectors[0]; i++) {
        char *fields[5 * 4 + 1], text[512], *at = text;
        struct assignor_case c = {.what = assignor_vectors[i]};
        size_t count = 0;
        snprintf(text, sizeof text, "%s", c.what);
        for (char *field; (field = strsep(&at, "|;")) && count < sizeof fields / sizeof fields[0];)
            fields[count++] = field;
        c.topics = fields[0];
        for (size_t k = 1, m = 0; k + 3 < count; k += 4, m++)
            c.members[m] = (struct given){fields[k], NULL, fields[k + 1], fields[k + 2], fields[k + 3]};
        run_case("uniform", &c);
    }
}

// Whatever happens to a group: each partition has one owner, loads differ by one at most, and a member that
// stays keeps what the quota lets it.
static void test_uniform_random(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    struct assignor_member members[12];
    struct assignor_topic topic = {topic_id('a'), 0};
    static const uint32_t first = 0;
    for (int round = 0; round < 200; round++) {
        uint32_t count = 1 + (uint32_t)rand() % 12;
        topic.partitions = rand() % 40;
        for (uint32_t i = 0; i < 12; i++) {
            struct assignment has = i < count && round > 0 ? members[i].gets : (struct assignment){0};
            members[i] = (struct assignor_member){.topics = &first, .topics_count = 1, .has = has};
        }
        struct assignor_problem p = {&topic, 1, members, count, true};
        assert_int_equal(assignor_find(&offered, STR("uniform"))->assign(&p, &arena), 0);
        struct assignment all = {0};
        uint32_t low = (uint32_t)topic.partitions / count, sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t n = members[i].gets.count;
            assert_true(n == low || n == low + 1);
            assert_false(assignment_meets(&all, &members[i].gets));
            assert_true(assignment_combine(&arena, &all, &members[i].gets, ASSIGNMENT_EITHER, &all));
            sum += n;
        }
        assert_int_equal(sum, topic.partitions);
        assert_int_equal(all.count, topic.partitions);
    }
}

// Reconciliation

static bool is_held(const void *context, const struct topic_partition *p)
{
    return assignment_has(context, p);
}

static bool is_subscribed(const void *context, const struct uuid *topic)
{
    (void)context;
    return topic->bytes[15] != 'z';
}

static void test_reconcile(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        enum consumer_state before;
        int32_t epoch, target_epoch;
        const char *assigned, *revoking, *target, *held, *owned; // owned NULL: not said
        enum reconcile_result result;
        enum consumer_state after;
        int32_t then_epoch;
        const char *then_assigned, *then_revoking;
    } cases[] = {
        {"nothing new", CONSUMER_STABLE, 5, 5, "a0", "", "a0", "a0", NULL, RECONCILE_SAME, 0, 0, "", ""},
        {"the first partitions", CONSUMER_STABLE, 0, 1, "", "", "a0 a1", "", "", RECONCILE_MOVED,
         CONSUMER_STABLE, 1, "a0 a1", ""},
        {"a new epoch without a change", CONSUMER_STABLE, 1, 2, "a0", "", "a0", "a0", NULL, RECONCILE_MOVED,
         CONSUMER_STABLE, 2, "a0", ""},
        {"gives up first, at its old epoch", CONSUMER_STABLE, 1, 2, "a0 a1", "", "a0", "a0 a1", NULL,
         RECONCILE_MOVED, CONSUMER_UNREVOKED, 1, "a0", "a1"},
        {"did give up already", CONSUMER_STABLE, 1, 2, "a0 a1", "", "a0", "a0 a1", "a0", RECONCILE_MOVED,
         CONSUMER_STABLE, 2, "a0", ""},
        {"still owns it", CONSUMER_UNREVOKED, 1, 2, "a0", "a1", "a0", "a0 a1", "a0 a1", RECONCILE_SAME, 0, 0,
         "", ""},
        {"does not say", CONSUMER_UNREVOKED, 1, 2, "a0", "a1", "a0", "a0 a1", NULL, RECONCILE_SAME, 0, 0, "",
         ""},
        {"confirms", CONSUMER_UNREVOKED, 1, 2, "a0", "a1", "a0", "a0 a1", "a0", RECONCILE_MOVED,
         CONSUMER_STABLE, 2, "a0", ""},
        {"confirms, and must give up more", CONSUMER_UNREVOKED, 1, 3, "a0 a2", "a1", "a0", "a0 a1 a2",
         "a0 a2", RECONCILE_MOVED, CONSUMER_UNREVOKED, 1, "a0", "a2"},
        {"gets what is free, waits for the rest", CONSUMER_STABLE, 0, 2, "", "", "a1 b0", "a1", "",
         RECONCILE_MOVED, CONSUMER_UNRELEASED, 2, "b0", ""},
        {"nothing is free yet", CONSUMER_UNRELEASED, 2, 2, "b0", "", "a1 b0", "a1 b0", NULL, RECONCILE_MOVED,
         CONSUMER_UNRELEASED, 2, "b0", ""},
        {"it is free now", CONSUMER_UNRELEASED, 2, 2, "b0", "", "a1 b0", "b0", NULL, RECONCILE_MOVED,
         CONSUMER_STABLE, 2, "a1 b0", ""},
        {"loses everything", CONSUMER_STABLE, 4, 5, "a0", "", "", "a0", "", RECONCILE_MOVED, CONSUMER_STABLE,
         5, "", ""},
        {"what it no longer subscribes to is not for it", CONSUMER_STABLE, 1, 2, "a0 z0", "", "a0 z0 z1",
         "a0 z0", NULL, RECONCILE_MOVED, CONSUMER_UNREVOKED, 1, "a0", "z0"},
        {"unsubscribes at its target's epoch", CONSUMER_STABLE, 2, 2, "a0 z0", "", "a0 z0", "a0 z0", NULL,
         RECONCILE_MOVED, CONSUMER_UNREVOKED, 2, "a0", "z0"},
        {"unsubscribes what it does not own", CONSUMER_STABLE, 2, 2, "a0 z0", "", "a0 z0", "a0 z0", "a0",
         RECONCILE_MOVED, CONSUMER_STABLE, 2, "a0", ""},
        {"unsubscribes while it gives up", CONSUMER_UNREVOKED, 2, 2, "a0 z0", "a1", "a0 z0", "a0 a1 z0", NULL,
         RECONCILE_MOVED, CONSUMER_UNREVOKED, 2, "a0", "a1 z0"},
        {"gets back what it was to give up", CONSUMER_UNREVOKED, 1, 3, "a0", "a1", "a0 a1", "a0 a1", "a0",
         RECONCILE_MOVED, CONSUMER_STABLE, 3, "a0 a1", ""},
        {"a state of the future", CONSUMER_UNKNOWN, 4, 5, "a0", "", "a0", "", NULL, RECONCILE_FENCED, 0, 0,
         "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct consumer_position now = {cases[i].before, cases[i].epoch, cases[i].epoch - 1,
                                        parse(cases[i].assigned), parse(cases[i].revoking)};
        struct assignment held = parse(cases[i].held), owned = parse(cases[i].owned);
        const struct reconcile_view view = {.epoch = cases[i].target_epoch,
                                            .target = parse(cases[i].target),
                                            .owned = cases[i].owned ? &owned : NULL,
                                            .subscribes_anew =
                                                strncmp(cases[i].what, "unsubscribes", 12) == 0,
                                            .is_held = is_held,
                                            .is_subscribed = is_subscribed,
                                            .context = &held};
        struct consumer_position out;
        enum reconcile_result result = reconcile(&now, &view, &arena, &out);
        if (result != cases[i].result)
            printf("%s\n", cases[i].what);
        assert_int_equal(result, cases[i].result);
        if (result != RECONCILE_MOVED)
            continue;
        assert_int_equal(out.state, cases[i].after);
        assert_int_equal(out.epoch, cases[i].then_epoch);
        assert_int_equal(out.previous_epoch, cases[i].epoch);
        assert_string_equal(print(&out.assigned), cases[i].then_assigned);
        assert_string_equal(print(&out.revoking), cases[i].then_revoking);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_uniform, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_uniform_as_kafka, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_uniform_random, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reconcile, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
