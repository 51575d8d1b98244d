#include "unit.h"

#include "protocol/errors.h"
#include "server/fetch_session.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct fetch_target target(const char *topic, int32_t partition, int64_t offset)
{
    return (struct fetch_target){.topic = str_from(topic), .partition = partition, .fetch_offset = offset};
}

static struct fetch_context open_context(struct fetch_session_cache *cache, int32_t id, int32_t epoch,
                                         const struct fetch_target *targets, size_t count, int64_t now_ms)
{
    struct fetch_context x;
    struct fetch_context_request r = {.session_id = id,
                                      .session_epoch = epoch,
                                      .targets = targets,
                                      .targets_count = count,
                                      .now_ms = now_ms};
    assert_int_equal(fetch_context_open(&x, cache, &r, &arena), 0);
    return x;
}

// Opens, answers every partition with `outcome` and closes; returns the session's id and what was included.
static int32_t run(struct fetch_session_cache *cache, int32_t id, int32_t epoch,
                   const struct fetch_target *targets, size_t count, struct fetch_outcome outcome,
                   bool *include, int16_t *error)
{
    struct fetch_context x = open_context(cache, id, epoch, targets, count, 0);
    struct fetch_outcome outcomes[8];
    for (size_t i = 0; i < x.targets_count; i++)
        outcomes[i] = outcome;
    int32_t session = fetch_context_finish(&x, outcomes, include, 0, error);
    fetch_context_close(&x);
    return session;
}

static void an_incremental_answer_carries_what_moved(void **state)
{
    (void)state;
    struct fetch_session_cache *cache = fetch_session_cache_new(10, 1000);
    struct fetch_target two[] = {target("a", 0, 5), target("b", 1, 7)};
    bool include[8];
    int16_t error;
    int32_t id = run(cache, 0, 0, two, 2, (struct fetch_outcome){.high_watermark = 9}, include, &error);
    assert_true(id > 0);
    assert_true(include[0] && include[1]);

    run(cache, id, 1, NULL, 0, (struct fetch_outcome){.high_watermark = 9}, include, &error);
    assert_int_equal(error, E_NONE);
    assert_false(include[0] || include[1]);
    run(cache, id, 2, NULL, 0, (struct fetch_outcome){.high_watermark = 10}, include, &error);
    assert_true(include[0] && include[1]);
    run(cache, id, 3, NULL, 0, (struct fetch_outcome){.high_watermark = 10, .records_bytes = 1}, include,
        &error);
    assert_true(include[0] && include[1]);
    struct fetch_outcome failed = {.high_watermark = 10, .error = E_OFFSET_OUT_OF_RANGE};
    run(cache, id, 4, NULL, 0, failed, include, &error);
    run(cache, id, 5, NULL, 0, failed, include, &error);
    assert_true(include[0] && include[1]); // an error is told every time
    fetch_session_cache_free(cache);
}

static void sessions_take_changes_and_forget(void **state)
{
    (void)state;
    struct fetch_session_cache *cache = fetch_session_cache_new(10, 1000);
    struct fetch_target two[] = {target("a", 0, 5), target("b", 1, 7)};
    bool include[8];
    int16_t error;
    int32_t id = run(cache, 0, 0, two, 2, (struct fetch_outcome){0}, include, &error);

    struct fetch_target changed = target("a", 0, 6);
    struct fetch_context x = open_context(cache, id, 1, &changed, 1, 0);
    assert_int_equal(x.kind, FETCH_CONTEXT_INCREMENTAL);
    assert_int_equal(x.targets_count, 2);
    assert_true(x.targets[0].fetch_offset == 6 && str_is(x.targets[0].topic, "a"));
    assert_true(x.targets[1].fetch_offset == 7 && str_is(x.targets[1].topic, "b"));
    // Only "a" gives records: it goes behind "b".
    struct fetch_outcome outcomes[] = {{.records_bytes = 10}, {0}};
    fetch_context_finish(&x, outcomes, include, 0, &error);
    fetch_context_close(&x);
    assert_true(include[0] && !include[1]);

    struct fetch_context_request r = {
        .session_id = id, .session_epoch = 2, .forgotten = &changed, .forgotten_count = 1};
    assert_int_equal(fetch_context_open(&x, cache, &r, &arena), 0);
    assert_int_equal(x.targets_count, 1);
    assert_true(str_is(x.targets[0].topic, "b"));
    fetch_context_close(&x);

    // A session from which everything is gone ends.
    r = (struct fetch_context_request){
        .session_id = id, .session_epoch = 3, .forgotten = &two[1], .forgotten_count = 1};
    assert_int_equal(fetch_context_open(&x, cache, &r, &arena), 0);
    assert_int_equal(x.kind, FETCH_CONTEXT_SESSIONLESS);
    fetch_context_close(&x);
    assert_int_equal(fetch_session_cache_count(cache), 0);
    fetch_session_cache_free(cache);
}

static void wrong_ids_and_epochs_are_told(void **state)
{
    (void)state;
    struct fetch_session_cache *cache = fetch_session_cache_new(10, 1000);
    struct fetch_target one = target("a", 0, 5);
    bool include[8];
    int16_t error;
    run(cache, 77, 1, &one, 1, (struct fetch_outcome){0}, include, &error);
    assert_int_equal(error, E_FETCH_SESSION_ID_NOT_FOUND);
    int32_t id = run(cache, 0, 0, &one, 1, (struct fetch_outcome){0}, include, &error);
    run(cache, id, 4, NULL, 0, (struct fetch_outcome){0}, include, &error);
    assert_int_equal(error, E_INVALID_FETCH_SESSION_EPOCH);

    struct fetch_context x;
    struct fetch_context_request ids = {.session_id = id, .session_epoch = 1, .uses_topic_ids = true};
    assert_int_equal(fetch_context_open(&x, cache, &ids, &arena), 0);
    assert_int_equal(x.error, E_FETCH_SESSION_TOPIC_ID_ERROR);
    fetch_context_close(&x);

    // A later request of the session overtakes one that waits.
    struct fetch_context waiting = open_context(cache, id, 1, NULL, 0, 0);
    struct fetch_context later = open_context(cache, id, 2, NULL, 0, 0);
    struct fetch_outcome nothing = {0};
    fetch_context_finish(&waiting, &nothing, include, 0, &error);
    assert_int_equal(error, E_INVALID_FETCH_SESSION_EPOCH);
    fetch_context_finish(&later, &nothing, include, 0, &error);
    assert_int_equal(error, E_NONE);
    fetch_context_close(&waiting);
    fetch_context_close(&later);

    run(cache, id, -1, &one, 1, (struct fetch_outcome){0}, include, &error); // the final epoch ends it
    assert_int_equal(fetch_session_cache_count(cache), 0);
    fetch_session_cache_free(cache);
}

// A consumer that unassigns everything while its long poll waits.
static void a_session_that_ends_under_a_waiting_request_says_so(void **state)
{
    (void)state;
    struct fetch_session_cache *cache = fetch_session_cache_new(10, 1000);
    struct fetch_target one = target("a", 0, 5);
    struct fetch_outcome nothing = {0};
    bool include[8];
    int16_t error;
    int32_t id = run(cache, 0, 0, &one, 1, nothing, include, &error);
    struct fetch_context waiting = open_context(cache, id, 1, NULL, 0, 0), last;
    struct fetch_context_request r = {
        .session_id = id, .session_epoch = 2, .forgotten = &one, .forgotten_count = 1};
    assert_int_equal(fetch_context_open(&last, cache, &r, &arena), 0);
    assert_int_equal(fetch_session_cache_count(cache), 0);
    fetch_context_finish(&waiting, &nothing, include, 0, &error);
    assert_int_equal(error, E_INVALID_FETCH_SESSION_EPOCH);
    assert_false(include[0]);
    fetch_context_close(&waiting);
    fetch_context_close(&last);
    fetch_session_cache_free(cache);
}

static void the_last_mention_of_a_partition_counts(void **state)
{
    (void)state;
    struct fetch_session_cache *cache = fetch_session_cache_new(10, 1000);
    struct fetch_target twice[] = {target("a", 0, 3), target("b", 0, 1), target("a", 0, 7)};
    struct fetch_context x = open_context(cache, 0, -1, twice, 3, 0);
    assert_int_equal(x.targets_count, 2);
    assert_true(x.targets[0].fetch_offset == 7 && str_is(x.targets[0].topic, "a"));
    fetch_context_close(&x);
    fetch_session_cache_free(cache);
}

static void a_full_cache_gives_way_as_kip_227_says(void **state)
{
    (void)state;
    struct fetch_session_cache *cache = fetch_session_cache_new(1, 1000);
    struct fetch_target two[] = {target("a", 0, 5), target("b", 1, 7)};
    struct fetch_outcome outcomes[2] = {{0}};
    bool include[8];
    int16_t error;
    struct fetch_context x = open_context(cache, 0, 0, two, 1, 0);
    int32_t first = fetch_context_finish(&x, outcomes, include, 0, &error);
    assert_true(first > 0);
    fetch_context_close(&x);

    x = open_context(cache, 0, 0, two, 2, 500); // larger, but the first is still young
    assert_int_equal(fetch_context_finish(&x, outcomes, include, 500, &error), 0);
    fetch_context_close(&x);

    x = open_context(cache, 0, 0, two, 2, 1001); // unused for longer than a second: gone
    int32_t second = fetch_context_finish(&x, outcomes, include, 1001, &error);
    assert_true(second > 0 && second != first);
    fetch_context_close(&x);
    assert_int_equal(fetch_session_cache_count(cache), 1);
    fetch_session_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_incremental_answer_carries_what_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_take_changes_and_forget, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_ids_and_epochs_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_that_ends_under_a_waiting_request_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_mention_of_a_partition_counts, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_cache_gives_way_as_kip_227_says, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
