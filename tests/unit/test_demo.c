// The demo: the shop that is made up, and how what happens in it is counted.
#include "unit.h"

#include "base/error.h"
#include "demo/demo.h"
#include "demo/member.h"
#include "demo/shop.h"
#include "demo/tally.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_MS   INT64_C(1767225600000) // 2026-01-01T00:00:00Z
#define HOUR_MS    3600000
#define MINUTES    62
#define EVENTS_MAX 400000

// Events as they were sent, and as they lie in the topics.
struct log {
    struct shop_event *all;
    size_t count;
    struct shop_event *topics[SHOP_TOPICS];
    int64_t sizes[SHOP_TOPICS];
};

static struct shop *shop_of(uint64_t seed, int64_t start_ms, double rate)
{
    struct shop *shop =
        shop_new(&(struct shop_options){.seed = seed, .start_ms = start_ms, .events_per_second = rate});
    assert_non_null(shop);
    return shop;
}

static void fill(struct log *log, uint64_t seed, int64_t start_ms, int64_t for_ms, double rate)
{
    struct shop *shop = shop_of(seed, start_ms, rate);
    *log = (struct log){.all = calloc(EVENTS_MAX, sizeof *log->all)};
    while (log->count < EVENTS_MAX && shop_next(shop, start_ms + for_ms, &log->all[log->count]))
        log->count++;
    assert_true(log->count > 0 && log->count < EVENTS_MAX);
    for (int t = 0; t < SHOP_TOPICS; t++)
        log->topics[t] = calloc(log->count, sizeof *log->all);
    for (size_t i = 0; i < log->count; i++) {
        enum shop_topic t = log->all[i].topic;
        log->topics[t][log->sizes[t]++] = log->all[i];
    }
    shop_free(shop);
}

static void empty(struct log *log)
{
    free(log->all);
    for (int t = 0; t < SHOP_TOPICS; t++)
        free(log->topics[t]);
}

static bool same(const struct shop_event *a, const struct shop_event *b)
{
    return a->topic == b->topic && a->id == b->id && a->session == b->session && a->order == b->order &&
           a->at_ms == b->at_ms && a->cents == b->cents && a->customer == b->customer &&
           a->country == b->country && a->device == b->device && a->product == b->product &&
           a->items == b->items && a->method == b->method && a->paid == b->paid;
}

// ---- the shop

static void a_seed_gives_the_same_events_however_often_one_asks(void **state)
{
    (void)state;
    struct log log;
    fill(&log, 7, START_MS, 600000, 50);
    static const int64_t steps_ms[] = {1, 250, 7919};
    for (size_t s = 0; s < sizeof steps_ms / sizeof steps_ms[0]; s++) {
        struct shop *shop = shop_of(7, START_MS, 50);
        struct shop_event event;
        size_t n = 0;
        for (int64_t now = START_MS; now <= START_MS + 600000; now += steps_ms[s])
            while (shop_next(shop, now, &event)) {
                assert_true(n < log.count && same(&event, &log.all[n]));
                n++;
            }
        assert_true(n + 2000 > log.count && (steps_ms[s] > 250 || n == log.count));
        shop_free(shop);
    }
    empty(&log);
}

static void another_seed_or_start_gives_other_events(void **state)
{
    (void)state;
    struct log a, b, c;
    fill(&a, 7, START_MS, 60000, 50);
    fill(&b, 8, START_MS, 60000, 50);
    fill(&c, 7, START_MS + 86400000, 60000, 50);
    assert_true(a.all[0].id != b.all[0].id && a.all[0].at_ms != b.all[0].at_ms);
    for (size_t i = 0; i < a.count; i++) // the same visitors on another day, whose events are others
        for (size_t k = 0; k < c.count; k++)
            assert_true(a.all[i].id != c.all[k].id);
    empty(&a), empty(&b), empty(&c);
}

static int by_id(const void *a, const void *b)
{
    const struct shop_event *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void nobody_is_later_than_promised_and_shares_are_right(void **state)
{
    (void)state;
    struct shop *shop = shop_of(3, START_MS, 40);
    struct shop_event event, *all = calloc(EVENTS_MAX, sizeof *all);
    size_t count = 0, late = 0, twice = 0, by_country[SHOP_COUNTRIES] = {0}, topics[SHOP_TOPICS] = {0};
    for (int64_t now = START_MS; now < START_MS + 24 * HOUR_MS / 16; now += 10)
        for (; count < EVENTS_MAX && shop_next(shop, now, &event); count++) {
            all[count] = event;
            assert_true(event.at_ms <= now && event.at_ms >= START_MS);
            assert_true(now - event.at_ms <= SHOP_LATEST_MS + 20100 + 10);
            late += now - event.at_ms >= 1000;
            by_country[event.country]++;
            topics[event.topic]++;
        }
    shop_free(shop);
    assert_true(count > 60000 && count < EVENTS_MAX);
    assert_true(late > count / 50 && late < count / 15);
    assert_true(by_country[0] > count / 6 && by_country[0] > 2 * by_country[9] && by_country[9] > 0);
    assert_true(topics[SHOP_VIEWS] > 40 * topics[SHOP_ORDERS] && topics[SHOP_ORDERS] > count / 120);
    assert_true(topics[SHOP_PAYMENTS] > topics[SHOP_ORDERS] / 2 &&
                topics[SHOP_PAYMENTS] < topics[SHOP_ORDERS] * 2);
    qsort(all, count, sizeof *all, by_id);
    for (size_t i = 1; i < count; i++)
        if (all[i].id == all[i - 1].id) {
            assert_true(same(&all[i], &all[i - 1]));
            twice++;
        }
    assert_true(twice > count / 200 && twice < count / 60);
    free(all);
    assert_float_equal(shop_rhythm(START_MS + 6 * HOUR_MS), 0.4, 0.001);
    assert_float_equal(shop_rhythm(START_MS + 18 * HOUR_MS), 1.6, 0.001);
}

static void the_rate_is_that_of_an_average_day(void **state)
{
    (void)state;
    struct log log;
    fill(&log, 5, START_MS, 24 * HOUR_MS, 2);
    double rate = (double)log.count / (24 * 3600);
    assert_true(rate > 1.85 && rate < 2.15);
    int64_t busy = 0, quiet = 0;
    for (size_t i = 0; i < log.count; i++) {
        int64_t hour = (log.all[i].at_ms - START_MS) / HOUR_MS;
        busy += hour >= 17 && hour < 19;
        quiet += hour >= 5 && hour < 7;
    }
    assert_true(busy > 3 * quiet && quiet > 0);
    empty(&log);
}

// ---- events as JSON

static void an_event_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct log log;
    struct buffer text = BUFFER_INIT;
    fill(&log, 1, START_MS, 60000 * 10, 50);
    for (size_t i = 0; i < log.count; i++) {
        const struct shop_event *e = &log.all[i];
        struct shop_event read;
        buffer_clear(&text);
        shop_event_write(e, &text);
        assert_true(shop_event_read(e->topic, e->at_ms, (struct bytes){text.data, text.size}, &read));
        assert_true(read.id == e->id && read.session == e->session && read.country == e->country &&
                    read.at_ms == e->at_ms && read.topic == e->topic);
        if (e->topic == SHOP_PAYMENTS)
            assert_true(read.paid == e->paid && read.cents == e->cents);
    }
    buffer_free(&text);
    empty(&log);
}

static void what_is_no_event_is_not_taken_for_one(void **state)
{
    (void)state;
#define IDS "\"event\":\"00000000000000ab\",\"session\":\"00000000000000cd\""
    static const struct {
        const char *text;
        bool view, payment;
    } rows[] = {
        {"{" IDS ",\"customer\":{\"country\":\"DE\"}}", true, false},
        {"{" IDS ",\"customer\":{\"country\":\"DE\"},\"status\":\"paid\",\"amount\":1}", true, true},
        {"{" IDS ",\"customer\":{\"country\":\"DE\"},\"status\":\"paid\",\"amount\":-1}", true, false},
        {"{" IDS ",\"customer\":{\"country\":\"DE\"},\"status\":\"paid\",\"amount\":1e300}", true, false},
        {"{" IDS ",\"customer\":{\"country\":\"DE\"},\"status\":\"paid\",\"amount\":\"1\"}", true, false},
        {"{" IDS ",\"customer\":{\"country\":\"XX\"}}", false, false},
        {"{" IDS ",\"customer\":[]}", false, false},
        {"{" IDS "}", false, false},
        {"{\"event\":\"ab\",\"session\":\"00000000000000cd\",\"customer\":{\"country\":\"DE\"}}", false,
         false},
        {"{\"event\":\"00000000000000zz\",\"session\":\"00000000000000cd\",\"customer\":{\"country\":\"DE\"}"
         "}",
         false, false},
        {"[]", false, false},
        {"null", false, false},
        {"", false, false},
        {"{" IDS, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bytes value = {(const uint8_t *)rows[i].text, strlen(rows[i].text)};
        struct shop_event event;
        assert_int_equal(shop_event_read(SHOP_VIEWS, 1, value, &event), rows[i].view);
        assert_int_equal(shop_event_read(SHOP_PAYMENTS, 1, value, &event), rows[i].payment);
    }
}

// ---- counting

// What a minute's figures are, straightforwardly: all events sorted, each id once.
struct figures {
    int64_t counts[SHOP_TOPICS], paid, declined, revenue, countries[SHOP_COUNTRIES], sessions, duplicates;
};

static int by_session(const void *a, const void *b)
{
    const struct shop_event *x = a, *y = b;
    int64_t p = x->at_ms / TALLY_MINUTE_MS, q = y->at_ms / TALLY_MINUTE_MS;
    if (p != q)
        return p < q ? -1 : 1;
    return x->session < y->session ? -1 : x->session > y->session;
}

static void straightforward(const struct log *log, struct figures *out)
{
    struct shop_event *all = calloc(log->count, sizeof *all);
    memcpy(all, log->all, log->count * sizeof *all);
    memset(out, 0, MINUTES * sizeof *out);
    qsort(all, log->count, sizeof *all, by_id);
    size_t kept = 0;
    for (size_t i = 0; i < log->count; i++) {
        const struct shop_event e = all[i];
        struct figures *m = &out[(e.at_ms - START_MS) / TALLY_MINUTE_MS];
        if (i > 0 && kept > 0 && all[kept - 1].id == e.id) {
            m->duplicates++;
            continue;
        }
        all[kept++] = e;
        m->counts[e.topic]++;
        m->paid += e.topic == SHOP_PAYMENTS && e.paid;
        m->declined += e.topic == SHOP_PAYMENTS && !e.paid;
        m->revenue += e.topic == SHOP_PAYMENTS && e.paid ? e.cents : 0;
        m->countries[e.country] += e.topic == SHOP_PAYMENTS && e.paid ? e.cents : 0;
    }
    qsort(all, kept, sizeof *all, by_session);
    for (size_t i = 0; i < kept; i++)
        out[(all[i].at_ms - START_MS) / TALLY_MINUTE_MS].sessions +=
            i == 0 || by_session(&all[i - 1], &all[i]) != 0;
    free(all);
}

static void agree(const struct tally_minute *m, const struct figures *expected)
{
    const struct figures *e = &expected[(m->from_ms - START_MS) / TALLY_MINUTE_MS];
    for (int t = 0; t < SHOP_TOPICS; t++)
        assert_int_equal(m->counts[t], e->counts[t]);
    assert_int_equal(m->paid, e->paid);
    assert_int_equal(m->declined, e->declined);
    assert_int_equal(m->revenue_cents, e->revenue);
    for (int i = 0; i < SHOP_COUNTRIES; i++)
        assert_int_equal(m->country_cents[i], e->countries[i]);
    assert_int_equal(tally_sessions(m), e->sessions);
    assert_true(m->duplicates <= e->duplicates); // one that comes when the minute is closed is not seen
}

// Reads the log as a consumer does: rounds, in which each topic moves on by so many records.
static void read_round(struct tally *t, const struct log *log, const int64_t steps[SHOP_TOPICS])
{
    bool read_all[SHOP_TOPICS];
    for (int topic = 0; topic < SHOP_TOPICS; topic++) {
        for (int64_t i = 0; i < steps[topic] && t->next[topic] < log->sizes[topic]; i++)
            assert_int_equal(
                tally_add(t, (enum shop_topic)topic, t->next[topic], &log->topics[topic][t->next[topic]]), 0);
        read_all[topic] = t->next[topic] == log->sizes[topic];
    }
    tally_round(t, read_all);
}

static bool at_end(const struct tally *t, const struct log *log)
{
    for (int topic = 0; topic < SHOP_TOPICS; topic++)
        if (t->next[topic] < log->sizes[topic])
            return false;
    return true;
}

static void an_hour_is_counted_as_straightforwardly(void **state)
{
    (void)state;
    static const int64_t steps[][SHOP_TOPICS] = {{5, 1, 1}, {500, 500, 500}, {3, 40, 1}, {1000, 1, 2}};
    struct figures expected[MINUTES];
    struct log log;
    fill(&log, 11, START_MS, HOUR_MS, 60);
    straightforward(&log, expected);
    for (size_t s = 0; s < sizeof steps / sizeof steps[0]; s++) {
        struct tally t;
        int64_t minutes = 0, late = 0, duplicates = 0;
        tally_init(&t, 0, (int64_t[SHOP_TOPICS]){0});
        while (!at_end(&t, &log)) {
            const struct tally_minute *m;
            read_round(&t, &log, steps[s]);
            while ((m = tally_closed(&t))) {
                assert_int_equal(m->from_ms, START_MS + minutes * TALLY_MINUTE_MS); // each once, in order
                agree(m, expected);
                late += m->late;
                duplicates += m->duplicates;
                tally_drop(&t);
                minutes++;
            }
        }
        assert_true(minutes >= 57 && minutes <= 59);
        assert_true(late > 0 && duplicates > 0);
        tally_free(&t);
    }
    empty(&log);
}

// Somebody else takes over at any point, with no more than what was committed then.
static void whoever_takes_over_counts_the_same(void **state)
{
    (void)state;
    struct figures expected[MINUTES];
    struct log log;
    struct tally t;
    fill(&log, 12, START_MS, HOUR_MS / 3, 60);
    straightforward(&log, expected);
    tally_init(&t, 0, (int64_t[SHOP_TOPICS]){0});
    int64_t minutes = 0, handed_over = 0;
    for (int64_t round = 1; !at_end(&t, &log); round++) {
        const struct tally_minute *m;
        read_round(&t, &log, (int64_t[SHOP_TOPICS]){50, 2, 2});
        while ((m = tally_closed(&t))) {
            assert_int_equal(m->from_ms, START_MS + minutes++ * TALLY_MINUTE_MS);
            agree(m, expected);
            tally_drop(&t);
        }
        if (round % 151 != 0)
            continue;
        int64_t from[SHOP_TOPICS], closed_ms = 0;
        for (int topic = 0; topic < SHOP_TOPICS; topic++) {
            char note[TALLY_NOTE_BYTES];
            tally_note(&t, (enum shop_topic)topic, note);
            assert_true(tally_read_note(note, &closed_ms, &from[topic]));
            assert_true(from[topic] <= t.next[topic]);
        }
        tally_free(&t);
        tally_init(&t, closed_ms, from);
        handed_over++;
    }
    assert_true(minutes >= 17 && handed_over > 10);
    tally_free(&t);
    empty(&log);
}

static void an_event_counts_once(void **state)
{
    (void)state;
    struct tally t;
    struct shop_event e = {.topic = SHOP_PAYMENTS,
                           .id = 0,
                           .session = 0,
                           .at_ms = START_MS + 59999,
                           .cents = 1234,
                           .paid = true,
                           .country = 1};
    tally_init(&t, 0, (int64_t[SHOP_TOPICS]){0});
    for (int64_t i = 0; i < 3; i++)
        assert_int_equal(tally_add(&t, SHOP_PAYMENTS, i, &e), 0);
    e.id = 1;
    e.at_ms = START_MS; // a minute late
    assert_int_equal(tally_add(&t, SHOP_PAYMENTS, 3, &e), 0);
    assert_int_equal(tally_add(&t, SHOP_PAYMENTS, 4, NULL), 0); // somebody else's record
    assert_int_equal(t.next[SHOP_PAYMENTS], 5);
    assert_null(tally_closed(&t));
    for (int topic = 0; topic < SHOP_TOPICS; topic++) {
        struct shop_event after = {.topic = (enum shop_topic)topic,
                                   .id = 100 + (uint64_t)topic,
                                   .at_ms = START_MS + 60000 + SHOP_LATEST_MS + 5000};
        assert_null(tally_closed(&t));
        assert_int_equal(tally_add(&t, (enum shop_topic)topic, topic == SHOP_PAYMENTS ? 5 : 0, &after), 0);
    }
    const struct tally_minute *m = tally_closed(&t);
    assert_non_null(m);
    assert_int_equal(m->paid, 2);
    assert_int_equal(m->revenue_cents, 2468);
    assert_int_equal(m->country_cents[1], 2468);
    assert_int_equal(m->duplicates, 2);
    assert_int_equal(m->late, 1);
    assert_int_equal(tally_sessions(m), 1);
    tally_drop(&t);
    assert_int_equal(tally_resume(&t, SHOP_PAYMENTS), 5);
    e.id = 2;
    assert_int_equal(tally_add(&t, SHOP_PAYMENTS, 6, &e), 0); // its minute is closed
    assert_null(tally_closed(&t));
    assert_int_equal(t.closed_ms, START_MS + 60000);
    tally_free(&t);
}

static void a_topic_in_which_little_happens_holds_nobody_up(void **state)
{
    (void)state;
    struct tally t;
    const bool all[SHOP_TOPICS] = {true, true, true}, some[SHOP_TOPICS] = {true, true, false};
    struct shop_event e = {.topic = SHOP_VIEWS, .id = 1, .at_ms = START_MS};
    tally_init(&t, 0, (int64_t[SHOP_TOPICS]){0});
    tally_add(&t, SHOP_VIEWS, 0, &e);
    e.id = 2;
    e.at_ms += 60000 + SHOP_LATEST_MS + 5000;
    tally_add(&t, SHOP_VIEWS, 1, &e);
    tally_round(&t, all);
    assert_null(tally_closed(&t)); // what is written at the same time may not have been seen yet
    tally_round(&t, some);
    assert_null(tally_closed(&t)); // payments are behind
    tally_round(&t, all);
    assert_non_null(tally_closed(&t));
    tally_free(&t);
}

static void figures_are_written_as_json(void **state)
{
    (void)state;
    struct tally_minute m = {.from_ms = START_MS,
                             .counts = {40, 2, 3},
                             .paid = 2,
                             .declined = 1,
                             .revenue_cents = 12345,
                             .country_cents = {12345},
                             .late = 4,
                             .duplicates = 5,
                             .sessions.count = 8};
    struct buffer out = BUFFER_INIT;
    tally_write(&m, 2, &out);
    buffer_byte(&out, 0);
    assert_string_equal(
        (const char *)out.data,
        "{\"minute\":\"2026-01-01T00:00:00.000Z\",\"partition\":2,\"views\":40,\"sessions\":8,"
        "\"orders\":2,\"conversion\":25.00,\"paid\":2,\"declined\":1,\"revenue\":123.45,"
        "\"revenueByCountry\":{\"DE\":123.45,\"US\":0.00,\"GB\":0.00,\"FR\":0.00,\"PL\":0.00,"
        "\"NL\":0.00,\"ES\":0.00,\"IT\":0.00,\"SE\":0.00,\"JP\":0.00},\"late\":4,"
        "\"duplicates\":5}");
    buffer_free(&out);
}

static void a_note_that_is_none_is_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *note;
        bool taken;
    } rows[] = {
        {"counted until 1767225600000, open since offset 17", true},
        {"counted until 0, open since offset 0", true},
        {"counted until 1767225600000", false},
        {"counted until -5, open since offset 17", false},
        {"counted until 5, open since offset -17", false},
        {"counted until 9223372036854775807, open since offset 1", false},
        {"hello", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t closed_ms, open;
        assert_int_equal(tally_read_note(rows[i].note, &closed_ms, &open), rows[i].taken);
        if (i == 0)
            assert_true(closed_ms == START_MS && open == 17);
    }
}

// ---- the group, the clock

static void members_get_ranges(void **state)
{
    (void)state;
    const struct str both[] = {STR("a"), STR("b")}, one[] = {STR("a")};
    const struct range_member members[] = {{STR("m2"), both, 2}, {STR("m1"), both, 2}, {STR("m3"), one, 1}};
    static const struct {
        int32_t count, self;
        const char *topic;
        int32_t partitions, first, got;
    } rows[] = {
        {1, 0, "a", 3, 0, 3}, {2, 0, "a", 3, 2, 1}, {2, 1, "a", 3, 0, 2}, {3, 0, "a", 3, 1, 1},
        {3, 2, "a", 3, 2, 1}, {3, 2, "b", 3, 0, 0}, {3, 0, "b", 3, 2, 1}, {3, 2, "a", 2, 2, 0},
        {3, 0, "a", 8, 3, 3}, {3, 2, "a", 8, 6, 2}, {1, 0, "c", 3, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int32_t first, got = range_of(members, rows[i].count, rows[i].self, str_from(rows[i].topic),
                                      rows[i].partitions, &first);
        assert_int_equal(got, rows[i].got);
        assert_true(got == 0 || first == rows[i].first);
    }
}

static void the_history_passes_fast_and_then_time_is_as_it_is(void **state)
{
    (void)state;
    static const struct {
        double speed;
        int64_t start, begun, wall, now;
    } rows[] = {
        {0, 1000, 5000, 5000, 5000},  {0, 1000, 5000, 9000, 9000},  {10, 1000, 5000, 5000, 1000},
        {10, 1000, 5000, 5100, 2000}, {10, 1000, 5000, 5444, 5440}, {10, 1000, 5000, 5445, 5445},
        {10, 1000, 5000, 9000, 9000}, {10, 5000, 5000, 5007, 5007},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(demo_time(rows[i].speed, rows[i].start, rows[i].begun, rows[i].wall), rows[i].now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_same_events_however_often_one_asks),
        cmocka_unit_test(another_seed_or_start_gives_other_events),
        cmocka_unit_test(nobody_is_later_than_promised_and_shares_are_right),
        cmocka_unit_test(the_rate_is_that_of_an_average_day),
        cmocka_unit_test(an_event_is_read_as_it_was_written),
        cmocka_unit_test(what_is_no_event_is_not_taken_for_one),
        cmocka_unit_test(an_hour_is_counted_as_straightforwardly),
        cmocka_unit_test(whoever_takes_over_counts_the_same),
        cmocka_unit_test(an_event_counts_once),
        cmocka_unit_test(a_topic_in_which_little_happens_holds_nobody_up),
        cmocka_unit_test(figures_are_written_as_json),
        cmocka_unit_test(a_note_that_is_none_is_nothing),
        cmocka_unit_test(members_get_ranges),
        cmocka_unit_test(the_history_passes_fast_and_then_time_is_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
