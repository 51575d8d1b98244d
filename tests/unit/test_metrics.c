#include "unit.h"

#include "http/metrics.h"
#include "metrics/error_counts.h"
#include "metrics/exposition.h"
#include "os/process.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdio.h>
#include <stdlib.h>

// ---------------------------------------------------------------- errors

static uint64_t counted(const struct error_counts *c, int16_t api, int16_t code)
{
    int16_t a, e;
    uint64_t n;
    for (unsigned i = 0; i < ERROR_COUNTS; i++)
        if (error_counts_at(c, i, &a, &e, &n) && a == api && e == code)
            return n;
    return 0;
}

static void errors_are_counted_by_api_and_code(void **state)
{
    (void)state;
    struct error_counts *c = calloc(1, sizeof *c), *sum = calloc(1, sizeof *sum);
    error_counts_add(c, 0, 3, 1);
    error_counts_add(c, 0, 3, 1);
    error_counts_add(c, 1, 3, 5);
    error_counts_add(c, 1, -1, 2);
    error_counts_merge(c, sum);
    error_counts_merge(c, sum);
    assert_int_equal(counted(sum, 0, 3), 4);
    assert_int_equal(counted(sum, 1, 3), 10);
    assert_int_equal(counted(sum, 1, -1), 4);
    assert_int_equal(counted(sum, 1, 4), 0);
    free(c);
    free(sum);
}

// What has no place of its own is not lost.
static void errors_beyond_the_places_are_counted_together(void **state)
{
    (void)state;
    struct error_counts *c = calloc(1, sizeof *c);
    for (int16_t code = 1; code <= ERROR_COUNTS + 10; code++)
        error_counts_add(c, 7, code, 1);
    uint64_t all = c->others;
    assert_int_equal(all, 10);
    for (int16_t code = 1; code <= ERROR_COUNTS + 10; code++)
        all += counted(c, 7, code);
    assert_int_equal(all, ERROR_COUNTS + 10);
    free(c);
}

static void note_code(void *arg, int16_t code)
{
    struct buffer *out = arg;
    buffer_printf(out, "%d ", code);
}

static void expect_codes(const struct message_type *type, const void *message, const char *wanted)
{
    struct buffer out = BUFFER_INIT;
    message_each_error(type, message, note_code, &out);
    buffer_byte(&out, 0);
    assert_string_equal((const char *)out.data, wanted);
    buffer_free(&out);
}

static void error_codes_are_found_at_any_depth(void **state)
{
    (void)state;
    struct produce_response_partition_produce_response partitions[] = {
        produce_response_partition_produce_response_default,
        produce_response_partition_produce_response_default};
    struct produce_response_topic_produce_response topics[] = {
        produce_response_topic_produce_response_default};
    struct produce_response produce = produce_response_default;
    partitions[0].error_code = E_NOT_LEADER_OR_FOLLOWER;
    partitions[1].error_code = E_NONE;
    topics[0].partition_responses = partitions;
    topics[0].partition_responses_count = 2;
    produce.responses = topics;
    produce.responses_count = 1;
    expect_codes(&produce_response_type, &produce, "6 ");

    struct heartbeat_response heartbeat = heartbeat_response_default;
    expect_codes(&heartbeat_response_type, &heartbeat, "");
    heartbeat.error_code = E_UNKNOWN_MEMBER_ID;
    expect_codes(&heartbeat_response_type, &heartbeat, "25 ");
    expect_codes(&heartbeat_request_type, &(struct heartbeat_request){0}, "");
}

// ---------------------------------------------------------------- the text

static void expect_text(struct buffer *out, const char *wanted)
{
    buffer_byte(out, 0);
    assert_string_equal((const char *)out->data, wanted);
    buffer_clear(out);
}

static void samples_are_written_as_prometheus_reads_them(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct exposition e = {.out = &out};
    exposition_one(&e, "a_total", "counter", "What it is.", 12345678901234);
    expect_text(&out, "# HELP a_total What it is.\n# TYPE a_total counter\na_total 12345678901234\n");
    exposition_family(&e, "b", "gauge", "B.");
    buffer_clear(&out);
    struct metric_label labels[] = {{"x", STR("a\"b\\c\nd")}, {"y", STR("\xc3\xa4\xff\xc3\0z")}};
    exposition_add(&e, labels, 2, 0.25);
    expect_text(&out, "b{x=\"a\\\"b\\\\c\\nd\",y=\"\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"} 0.25\n");
    buffer_free(&out);
}

static void histograms_are_cumulative_and_in_seconds(void **state)
{
    (void)state;
    struct buffer out = BUFFER_INIT;
    struct exposition e = {.out = &out};
    struct histogram h = {0};
    struct histogram_values v = {0};
    histogram_add(&h, 63);       // below 64 us
    histogram_add(&h, 64);       // not
    histogram_add(&h, 1000000);  // a second
    histogram_add(&h, 90000000); // beyond the last bound
    histogram_read(&h, &v);
    exposition_family(&e, "d_seconds", "histogram", "D.");
    buffer_clear(&out);
    exposition_histogram(&e, &(struct metric_label){"api", STR("Fetch")}, 1, &v);
    buffer_byte(&out, 0);
    const char *text = (const char *)out.data;
    assert_non_null(strstr(text, "d_seconds_bucket{api=\"Fetch\",le=\"6.4e-05\"} 1\n"));
    assert_non_null(strstr(text, "d_seconds_bucket{api=\"Fetch\",le=\"0.000128\"} 2\n"));
    assert_non_null(strstr(text, "d_seconds_bucket{api=\"Fetch\",le=\"1.048576\"} 3\n"));
    assert_non_null(strstr(text, "d_seconds_bucket{api=\"Fetch\",le=\"33.554432\"} 3\n"));
    assert_non_null(strstr(text, "d_seconds_bucket{api=\"Fetch\",le=\"+Inf\"} 4\n"));
    assert_non_null(strstr(text, "d_seconds_count{api=\"Fetch\"} 4\n"));
    assert_non_null(strstr(text, "d_seconds_sum{api=\"Fetch\"} 91.000127\n"));
    buffer_free(&out);
}

static void the_process_is_read_from_proc(void **state)
{
    (void)state;
    struct process_usage u = {0};
    double start;
    const char *text =
        "42 (a) b) R 1 1 1 0 -1 0 1 2 3 4 150 50 0 0 20 0 7 0 1000 4096000 25 18446744073709551615 0\n";
    assert_int_equal(process_stat_read(text, 100, 4096, &u, &start), 0);
    assert_true(u.cpu_seconds > 1.99 && u.cpu_seconds < 2.01);
    assert_int_equal(u.threads, 7);
    assert_true(start > 9.99 && start < 10.01);
    assert_int_equal(u.virtual_bytes, 4096000);
    assert_int_equal(u.resident_bytes, 25 * 4096);
    assert_int_not_equal(process_stat_read("42 (a) R 1", 100, 4096, &u, &start), 0);
    assert_int_not_equal(process_stat_read("", 100, 4096, &u, &start), 0);
    process_usage(&u);
    assert_true(u.resident_bytes > 0 && u.open_files >= 3 && u.open_files_most >= u.open_files);
}

// ---------------------------------------------------------------- topics

struct topics {
    int first, count;
    uint64_t bytes[400];
};

static void each_topic(void *context, struct str topic,
                       void (*each)(void *arg, const struct http_partition *partition), void *arg)
{
    const struct topics *t = context;
    (void)topic;
    for (int i = t->first; i < t->count; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%03d", i);
        struct http_partition p = {.topic = str_from(name), .bytes_in = t->bytes[i], .size_bytes = 10};
        each(arg, &p);
    }
}

static uint64_t value_of(const char *text, const char *line)
{
    const char *at = strstr(text, line);
    assert_non_null(at);
    return strtoull(at + strlen(line), NULL, 10);
}

static char *scrape(struct metrics_topics *t, const struct topics *topics)
{
    struct buffer out = BUFFER_INIT;
    struct exposition e = {.out = &out};
    struct arena arena;
    struct loads loads;
    struct http_params broker = {.partitions = each_topic, .context = (void *)(uintptr_t)topics};
    arena_init(&arena, 0);
    loads_read(&loads, &broker, STR_NULL, &arena);
    metrics_add_topics(&e, t, &loads);
    loads_free(&loads);
    arena_free(&arena);
    buffer_byte(&out, 0);
    return (char *)out.data;
}

#define BYTES "odradek_topic_received_bytes_total{topic=\""

// The busiest have series of their own; the others' sum never falls, whatever becomes of them.
static void topics_are_bounded_and_no_counter_falls(void **state)
{
    (void)state;
    struct metrics_topics t = {0};
    struct topics topics = {.count = METRICS_TOPICS + 50};
    for (int i = 0; i < topics.count; i++)
        topics.bytes[i] = (uint64_t)i;
    char *text = scrape(&t, &topics);
    assert_null(strstr(text, BYTES "t049\""));
    assert_int_equal(value_of(text, BYTES "t050\"} "), 50);
    assert_int_equal(value_of(text, BYTES "(others)\"} "), 49 * 50 / 2);
    assert_int_equal(value_of(text, "\nodradek_topics_summed "), 50);
    assert_int_equal(value_of(text, "odradek_topic_size_bytes{topic=\"(others)\"} "), 500);
    assert_int_equal(value_of(text, "odradek_topic_partitions{topic=\"(others)\"} "), 50);
    free(text);
    topics.bytes[0] += 1000000; // busier than all: it does not push out another
    text = scrape(&t, &topics);
    assert_null(strstr(text, BYTES "t000\""));
    assert_int_equal(value_of(text, BYTES "(others)\"} "), 49 * 50 / 2 + 1000000);
    assert_int_equal(value_of(text, BYTES "t149\"} "), 149);
    free(text);
    topics.count =
        METRICS_TOPICS + 48; // t148 and t149 are deleted: the busiest of the others get their places
    text = scrape(&t, &topics);
    assert_null(strstr(text, BYTES "t149\""));
    assert_int_equal(value_of(text, BYTES "t000\"} "), 1000000);
    assert_int_equal(value_of(text, BYTES "t049\"} "), 49);
    assert_int_equal(value_of(text, BYTES "(others)\"} "), 49 * 50 / 2 + 1000000);
    free(text);
    topics.bytes[1] += 5;
    text = scrape(&t, &topics);
    assert_int_equal(value_of(text, BYTES "(others)\"} "), 49 * 50 / 2 + 1000005);
    free(text);
    topics.first = topics.count; // none is left
    text = scrape(&t, &topics);
    assert_int_equal(value_of(text, BYTES "(others)\"} "), 49 * 50 / 2 + 1000005);
    free(text);
    metrics_topics_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_counted_by_api_and_code),
        cmocka_unit_test(errors_beyond_the_places_are_counted_together),
        cmocka_unit_test(error_codes_are_found_at_any_depth),
        cmocka_unit_test(samples_are_written_as_prometheus_reads_them),
        cmocka_unit_test(histograms_are_cumulative_and_in_seconds),
        cmocka_unit_test(the_process_is_read_from_proc),
        cmocka_unit_test(topics_are_bounded_and_no_counter_falls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
