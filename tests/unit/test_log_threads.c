// One appender, readers, a flusher, truncations and retention, all at once. Worth most under the thread
// sanitizer.
#include "log_fixture.h"

#include "base/clock.h"
#include "base/logger.h"

#include <pthread.h>
#include <stdatomic.h>

struct crew {
    struct log *log;
    atomic_bool stop;
    atomic_int slices;
};

// Every slice holds whole, right batches in ascending order, however the log changes meanwhile. (A truncation
// in the middle of a batch leaves a gap in front of the next one.)
static void *read_on(void *arg)
{
    struct crew *c = arg;
    int64_t next = 0;
    while (!atomic_load(&c->stop)) {
        struct log_slice slice;
        int rc = log_read(c->log, next, 3000, LOG_BOUND_HIGH_WATERMARK, true, &slice);
        if (rc == ERR_RANGE) { // truncated, or retention was here
            struct log_offsets o;
            log_offsets(c->log, &o);
            next = o.log_start_offset;
            continue;
        }
        assert_int_equal(rc, 0);
        if (slice.size == 0) {
            struct log_offsets o;
            log_offsets(c->log, &o);
            next = o.log_start_offset;
            log_slice_release(&slice);
            continue;
        }
        uint8_t *bytes = malloc(slice.size);
        assert_int_equal(log_slice_copy(&slice, 0, bytes, slice.size), 0);
        struct batch_cursor cursor = batch_cursor((struct bytes){bytes, slice.size});
        struct batch_header h;
        struct bytes batch;
        bool first = true;
        while (batch_cursor_next(&cursor, &h, &batch) > 0) {
            assert_true(batch_crc_ok(batch));
            assert_true(batch_last_offset(&h) >= next);
            next = batch_last_offset(&h) + 1;
            first = false;
        }
        assert_false(first);
        free(bytes);
        log_slice_release(&slice);
        atomic_fetch_add(&c->slices, 1);
    }
    return NULL;
}

static void *flush_on(void *arg)
{
    struct crew *c = arg;
    while (!atomic_load(&c->stop)) {
        assert_int_equal(log_flush(c->log, log_end_offset(c->log)), 0);
        struct log_time_offset found;
        (void)log_offset_for_time(c->log, 1500, &found);
        (void)log_size_bytes(c->log);
    }
    return NULL;
}

static void everything_at_once(void **state)
{
    struct log_fixture f;
    struct crew c = {.stop = false};
    pthread_t threads[3];
    unsigned seed = (unsigned)getpid();
    (void)state;
    print_message("seed %u\n", seed);
    fixture_start(&f);
    f.config.segment_bytes = 4000;
    f.config.index_interval_bytes = 300;
    f.config.retention_ms = -1;
    f.config.retention_bytes = 12000;
    fixture_open(&f, true, 0);
    c.log = f.log;
    assert_int_equal(pthread_create(&threads[0], NULL, read_on, &c), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, read_on, &c), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, flush_on, &c), 0);
    int64_t until = clock_monotonic_ms() + 1000;
    for (int i = 0; clock_monotonic_ms() < until || atomic_load(&c.slices) < 50; i++) {
        struct log_append_info info;
        assert_int_equal(append(f.log, BATCH_SPEC(.records = 1 + i % 3, .timestamp_ms = 1000 + i), &info), 0);
        log_lock(f.log);
        log_set_high_watermark(f.log, log_end_offset(f.log) - rand_r(&seed) % 3);
        size_t removed;
        if (i % 97 == 0) {
            int64_t back = log_end_offset(f.log) - rand_r(&seed) % 60;
            assert_int_equal(log_truncate_to(f.log, back > 0 ? back : 0), 0);
        }
        if (i % 301 == 0)
            assert_int_equal(log_apply_retention(f.log, 5000, &removed), 0);
        log_unlock(f.log);
    }
    atomic_store(&c.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    // A truncation into a batch leaves an end offset that no batch tells of; the next append does.
    struct log_append_info last;
    assert_int_equal(append(f.log, BATCH_SPEC(0), &last), 0);
    int64_t end = log_end_offset(f.log);
    assert_int_equal(log_close(f.log, true), 0);
    fixture_open(&f, true, end);
    assert_int_equal(log_end_offset(f.log), end);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_at_once)};
    logger_set_level(LOG_LEVEL_WARN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
