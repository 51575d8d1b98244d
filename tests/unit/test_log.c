#include "log_fixture.h"

static void appends_and_reads(void **state)
{
    struct log_fixture f;
    struct log_slice slice;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    for (int i = 0; i < 100; i++)
        append_ok(f.log, BATCH_SPEC(.records = 3, .timestamp_ms = 1000 + i), i * 3);
    assert_int_equal(log_read(f.log, 0, 1000, LOG_BOUND_HIGH_WATERMARK, true, &slice), 0);
    assert_int_equal(slice.size, 0);
    log_slice_release(&slice);
    set_watermark(f.log, 300);
    for (int64_t offset = 0; offset < 300; offset++) {
        assert_int_equal(log_read(f.log, offset, 1, LOG_BOUND_HIGH_WATERMARK, true, &slice), 0);
        assert_int_equal(slice.base_offset, offset - offset % 3);
        assert_int_equal(slice_base(&slice), offset - offset % 3);
        assert_int_equal(slice.size, slice.first_batch_size);
        log_slice_release(&slice);
    }
    assert_int_equal(log_read(f.log, 300, 1000, LOG_BOUND_HIGH_WATERMARK, true, &slice), 0);
    assert_int_equal(slice.size, 0);
    log_slice_release(&slice);
    assert_int_equal(log_read(f.log, 301, 1000, LOG_BOUND_HIGH_WATERMARK, true, &slice), ERR_RANGE);
    assert_int_equal(log_read(f.log, -1, 1000, LOG_BOUND_HIGH_WATERMARK, true, &slice), ERR_RANGE);
    set_watermark(f.log, 150); // in the middle, at a batch's start
    assert_int_equal(log_read(f.log, 147, 1 << 20, LOG_BOUND_HIGH_WATERMARK, true, &slice), 0);
    assert_int_equal(slice.size, slice.first_batch_size);
    log_slice_release(&slice);
    assert_int_equal(read_all(f.log, 0), 300);
    fixture_stop(&f);
}

static void rolls_and_reopens(void **state)
{
    struct log_fixture f;
    (void)state;
    fixture_start(&f);
    f.config.segment_bytes = 4000;
    f.config.index_interval_bytes = 200;
    fixture_open(&f, true, 0);
    for (int i = 0; i < 200; i++)
        append_ok(f.log, BATCH_SPEC(.records = 2, .timestamp_ms = 1000 + i), i * 2);
    assert_true(log_segment_count(f.log) > 3);
    assert_int_equal(read_all(f.log, 0), 400);
    int64_t bytes = log_size_bytes(f.log);
    assert_int_equal(log_close(f.log, true), 0);
    fixture_open(&f, true, 400);
    assert_int_equal(file_cache_open_count(f.files), 0); // cold
    assert_int_equal(log_end_offset(f.log), 400);
    assert_int_equal(log_size_bytes(f.log), bytes);
    assert_int_equal(read_all(f.log, 0), 400);
    append_ok(f.log, BATCH_SPEC(0), 400);
    assert_int_equal(read_all(f.log, 390), 401);
    log_close(f.log, false);
    fixture_open(&f, false, 400); // as after a crash
    assert_int_equal(log_end_offset(f.log), 401);
    assert_int_equal(read_all(f.log, 0), 401);
    log_close(f.log, false);
    fixture_open(&f, false, 0);
    assert_int_equal(log_end_offset(f.log), 401);
    assert_int_equal(read_all(f.log, 0), 401);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_reads),
        cmocka_unit_test(rolls_and_reopens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
