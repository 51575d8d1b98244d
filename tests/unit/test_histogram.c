#include "unit.h"

#include "metrics/histogram.h"

// Every value lies below its bucket's bound and not below the one before, within an eighth of the middle.
static void values_lie_in_their_buckets(void **state)
{
    (void)state;
    for (uint64_t v = 0; v < UINT64_C(100000000); v += v / 50 + 1) {
        size_t bucket = histogram_bucket(v);
        uint64_t high = histogram_bound(bucket), low = bucket ? histogram_bound(bucket - 1) : 0;
        assert_true(v >= low && v < high);
        double middle = ((double)low + (double)high) / 2;
        assert_true((double)v >= middle * 0.8 - 0.51 && (double)v <= middle * 1.2 + 0.51);
    }
    assert_int_equal(histogram_bucket(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void quantiles_are_where_the_values_are(void **state)
{
    (void)state;
    struct histogram h = {0};
    struct histogram_values before = {0}, after = {0}, between;
    assert_true(histogram_quantile(&before, 0.5) < 0);
    for (int64_t v = 1; v <= 1000; v++)
        histogram_add(&h, v);
    histogram_read(&h, &before);
    assert_int_equal(before.count, 1000);
    assert_int_equal(before.sum, 500500);
    assert_true(histogram_quantile(&before, 0.5) > 430 && histogram_quantile(&before, 0.5) < 580);
    assert_true(histogram_quantile(&before, 0.99) > 850 && histogram_quantile(&before, 0.99) < 1150);
    for (int i = 0; i < 10; i++)
        histogram_add(&h, 1000000);
    histogram_add(&h, -5); // a clock that went back
    histogram_read(&h, &after);
    histogram_between(&before, &after, &between);
    assert_int_equal(between.count, 11);
    assert_int_equal(between.buckets[0], 1);
    assert_true(histogram_quantile(&between, 0.5) > 850000 && histogram_quantile(&between, 1) < 1200000);
}

// Several threads' histograms are one, added up.
static void readings_add_up(void **state)
{
    (void)state;
    struct histogram a = {0}, b = {0};
    struct histogram_values sum = {0};
    histogram_add(&a, 3);
    histogram_add(&b, 3);
    histogram_add(&b, 300);
    histogram_read(&a, &sum);
    histogram_read(&b, &sum);
    assert_int_equal(sum.count, 3);
    assert_int_equal(sum.buckets[3], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_lie_in_their_buckets),
        cmocka_unit_test(quantiles_are_where_the_values_are),
        cmocka_unit_test(readings_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
