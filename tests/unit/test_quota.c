// Rates, throttle times, and which quota counts for whom.
#include "unit.h"

#include "metadata/image.h"
#include "metadata/record.h"
#include "protocol/messages.h"
#include "quota/client_quotas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct quota_window WINDOW = {11, 1000};

// Each row: at this time so much happens; then the rate, and the throttle time under 100 a second.
static void rates_slide_over_their_samples(void **state)
{
    (void)state;
    static const struct {
        int64_t at_ms;
        double value, rate;
        int32_t throttle_ms;
    } table[] = {
        {0, 500, 50, 0},          // ten whole samples are assumed before the first
        {0, 500, 100, 0},         // the bound is allowed
        {0, 100, 110, 1000},      // 10 of 100 too much, over 10 s
        {500, 0, 104.7619, 500},  // the fraction of the current sample counts
        {1000, 0, 110, 1000},     // a second sample: one whole and nine assumed
        {10999, 0, 100.0091, 1},  // the first sample's events are still within 11 s
        {11500, 110, 10.4762, 0}, // and now they are not
        {22499, 0, 9.5652, 0},    // the window is longer where its oldest sample overlaps the beginning
        {22500, 0, 0, 0},         {60000, 2000, 200, 10000}, // after a pause, as new
        {60000, -2000, 0, 0},                                // what is taken back did not happen
    };
    struct quota_rate rate = {0};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("row %zu\n", i);
        int64_t now_ms = 1000000 + table[i].at_ms, span_ms;
        assert_int_equal(quota_rate_record(&rate, &WINDOW, table[i].value, now_ms), 0);
        double measured = quota_rate_measure(&rate, &WINDOW, now_ms, &span_ms);
        print_message("  %f, span %lld\n", measured, (long long)span_ms);
        assert_float_equal(measured, table[i].rate, 0.001);
        assert_int_equal(quota_rate_throttle_ms(&rate, &WINDOW, 100, now_ms), table[i].throttle_ms);
    }
    assert_true(rate.count <= 12);
    assert_false(quota_rate_is_idle(&rate, &WINDOW, 1060000));
    assert_true(quota_rate_is_idle(&rate, &WINDOW, 1071000));
    quota_rate_free(&rate);
}

static void buckets_fill_again(void **state)
{
    (void)state;
    static const struct {
        int64_t at_ms;
        double take, left; // of 2 a second, at most 22
        int32_t throttle_ms;
    } table[] = {
        {0, 0, 22, 0},      {0, 22, 0, 0},      {0, 3, -3, 1500},
        {500, 0, -2, 1000}, {1500, 0, 0, 0},    {2500, 10, -8, 4000},
        {10000, 0, 7, 0},   {100000, 0, 22, 0}, {100000, 100, -78, 39000},
    };
    struct quota_bucket bucket = {0};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        print_message("row %zu\n", i);
        int64_t now_ms = 5000 + table[i].at_ms;
        quota_bucket_take(&bucket, &WINDOW, 2, table[i].take, now_ms);
        assert_float_equal(quota_bucket_tokens(&bucket, &WINDOW, 2, now_ms), table[i].left, 0.0001);
        assert_int_equal(quota_bucket_throttle_ms(&bucket, &WINDOW, 2, now_ms), table[i].throttle_ms);
    }
}

// An image with quotas of these entities; "-" is no part, "*" the default, anything else a name. The bounds
// are 1, 2, ...
struct row {
    const char *user, *client_id;
};

static struct image *image_with(const struct row *rows, size_t count)
{
    struct image *image = image_new();
    for (size_t i = 0; i < count; i++) {
        struct client_quota_record_entity_data parts[2];
        struct client_quota_record r = {
            .entity = parts, .key = STR("producer_byte_rate"), .value = (double)(i + 1)};
        const char *names[] = {rows[i].user, rows[i].client_id}, *types[] = {"user", "client-id"};
        for (int p = 0; p < 2; p++)
            if (strcmp(names[p], "-") != 0)
                parts[r.entity_count++] = (struct client_quota_record_entity_data){
                    str_from(types[p]), strcmp(names[p], "*") ? str_from(names[p]) : STR_NULL};
        struct buffer value = BUFFER_INIT;
        assert_int_equal(metadata_record_append(&value, &client_quota_record_type, 0, &r), 0);
        struct image_record record = {(int64_t)i, 1, 0, {value.data, value.size}};
        struct image *after;
        assert_int_equal(image_apply(image, &record, 1, &after, NULL, NULL), 0);
        buffer_free(&value);
        image_unref(image);
        image = after;
    }
    return image;
}

static void the_most_specific_quota_counts(void **state)
{
    (void)state;
    // From the least specific: each one that is added counts, and the ones before do not any more.
    static const struct row rows[] = {{"-", "*"}, {"-", "c"}, {"*", "-"}, {"*", "*"},
                                      {"*", "c"}, {"u", "-"}, {"u", "*"}, {"u", "c"}};
    static const struct row shared[] = {{"", "c"},  {"", "c"}, {"u", ""},  {"u", "c"},
                                        {"u", "c"}, {"u", ""}, {"u", "c"}, {"u", "c"}};
    struct quota_client who = {STR("u"), STR("c")};
    struct quota_limit limit;
    for (size_t i = 0; i < 8; i++) {
        struct image *image = image_with(rows, i + 1);
        assert_true(quota_any(image));
        assert_true(quota_resolve(image, QUOTA_PRODUCER_BYTE_RATE, &who, &limit));
        assert_float_equal(limit.bound, (double)(i + 1), 0);
        assert_true(str_is(limit.shared_with.user, shared[i].user));
        assert_true(str_is(limit.shared_with.client_id, shared[i].client_id));
        assert_false(quota_resolve(image, QUOTA_CONSUMER_BYTE_RATE, &who, &limit));
        image_unref(image);
    }
    struct image *image = image_with(rows, 8);
    static const struct {
        struct quota_client who;
        double bound; // 0: none
    } others[] = {
        {{STR("u"), STR("other")}, 7}, {{STR("other"), STR("c")}, 5}, {{STR("other"), STR("other")}, 4},
        {{STR("u"), STR("")}, 6},      {{STR("u"), STR_NULL}, 6},     {{STR("other"), STR_NULL}, 3},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_true(quota_resolve(image, QUOTA_PRODUCER_BYTE_RATE, &others[i].who, &limit));
        assert_float_equal(limit.bound, others[i].bound, 0);
    }
    image_unref(image);
    image = image_with(rows, 2); // of client ids only
    who.client_id = STR_NULL;
    assert_false(quota_resolve(image, QUOTA_PRODUCER_BYTE_RATE, &who, &limit));
    image_unref(image);
    image = image_with(rows, 0);
    assert_false(quota_any(image));
    image_unref(image);
}

static struct client_quotas *new_quotas(void)
{
    struct client_quotas_config config = {WINDOW, WINDOW};
    return client_quotas_new(&config);
}

static void clients_are_charged_one_by_one(void **state)
{
    (void)state;
    struct client_quotas *q = new_quotas();
    struct quota_limit a = {100, {STR(""), STR("a")}}, b = {100, {STR(""), STR("b")}},
                       ab = {100, {STR("a"), STR("b")}};
    enum image_quota_kind produce = QUOTA_PRODUCER_BYTE_RATE;
    assert_int_equal(client_quotas_record(q, produce, &a, 1100, 1000), 1000);
    assert_int_equal(client_quotas_record(q, produce, &b, 1000, 1000), 0);
    assert_int_equal(client_quotas_record(q, produce, &ab, 1000, 1000), 0);
    assert_int_equal(client_quotas_record(q, QUOTA_CONSUMER_BYTE_RATE, &a, 1000, 1000), 0);
    a.bound = 110; // changed: in force at once, with what was seen
    assert_int_equal(client_quotas_record(q, produce, &a, 0, 1000), 0);
    client_quotas_note(q, produce, &a, 1100, 1000);
    assert_int_equal(client_quotas_record(q, produce, &a, 0, 1000), 10000);
    assert_float_equal(client_quotas_most(q, &a), 1100, 0);
    // A request's throttle time is at most one sample.
    struct quota_limit percent = {1, {STR(""), STR("a")}};
    assert_int_equal(client_quotas_record(q, QUOTA_REQUEST_PERCENTAGE, &percent, 10.5, 1000), 500);
    assert_int_equal(client_quotas_record(q, QUOTA_REQUEST_PERCENTAGE, &percent, 100, 1000), 1000);
    client_quotas_free(q);
}

static void mutations_are_refused_or_throttled(void **state)
{
    (void)state;
    struct client_quotas *q = new_quotas();
    struct quota_limit strict = {1, {STR(""), STR("new")}}, permissive = {1, {STR(""), STR("old")}};
    assert_int_equal(client_quotas_mutate(q, &strict, true, 20, 1000), 0);   // 11 are there: enough to begin
    assert_int_equal(client_quotas_mutate(q, &strict, true, 1, 1000), 9000); // exhausted: nothing is taken
    assert_int_equal(client_quotas_mutate(q, &strict, true, 1, 9000), 1000);
    assert_int_equal(client_quotas_mutate(q, &strict, true, 1, 10000), 0);
    assert_int_equal(client_quotas_mutate(q, &strict, true, 1, 10000), 1000);
    assert_int_equal(client_quotas_mutate(q, &permissive, false, 20, 1000), 9000);
    assert_int_equal(client_quotas_mutate(q, &permissive, false, 1, 1000), 10000);
    client_quotas_free(q);
}

static void who_is_idle_is_forgotten(void **state)
{
    (void)state;
    struct client_quotas *q = new_quotas();
    char name[16];
    int64_t now_ms = 1000;
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof name, "c%d", i);
        struct quota_limit limit = {100, {STR(""), str_from(name)}};
        client_quotas_record(q, i % 2 ? QUOTA_PRODUCER_BYTE_RATE : QUOTA_REQUEST_PERCENTAGE, &limit, 1,
                             now_ms);
        now_ms += 10;
    }
    assert_true(client_quotas_count(q) < 3000); // 1,100 within the window, and what waits for a sweep
    struct quota_limit busy = {0.001, {STR(""), STR("busy")}}; // has to wait for more than a window
    assert_true(client_quotas_mutate(q, &busy, false, 100, now_ms) > 1000000);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "d%d", i);
        struct quota_limit limit = {100, {STR(""), str_from(name)}};
        client_quotas_record(q, QUOTA_PRODUCER_BYTE_RATE, &limit, 1, now_ms += 50);
    }
    assert_true(client_quotas_mutate(q, &busy, true, 1, now_ms) > 1000000);
    client_quotas_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_slide_over_their_samples),
        cmocka_unit_test(buckets_fill_again),
        cmocka_unit_test(the_most_specific_quota_counts),
        cmocka_unit_test(clients_are_charged_one_by_one),
        cmocka_unit_test(mutations_are_refused_or_throttled),
        cmocka_unit_test(who_is_idle_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
