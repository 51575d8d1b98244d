#include "log_fixture.h"

#include "base/logger.h"
#include "storage/log_state.h"

#include <string.h>
#include <sys/stat.h>

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
    struct log_slice old, tail; // sealed segments may have left the page cache, the tail has not
    set_watermark(f.log, 400);
    assert_int_equal(log_read(f.log, 0, 1, LOG_BOUND_HIGH_WATERMARK, true, &old), 0);
    assert_int_equal(log_read(f.log, 399, 1, LOG_BOUND_HIGH_WATERMARK, true, &tail), 0);
    assert_false(old.recent);
    assert_true(tail.recent);
    log_slice_release(&old);
    log_slice_release(&tail);
    int64_t bytes = log_size_bytes(f.log);
    assert_int_equal(log_close(f.log, true), 0);
    fixture_open(&f, true, 400);
    assert_int_equal(file_cache_open_count(f.files), 0); // cold
    assert_int_equal(log_end_offset(f.log), 400);
    assert_int_equal(log_size_bytes(f.log), bytes);
    // Reading nothing says where one may read, and opens nothing.
    assert_int_equal(log_read(f.log, 0, 0, LOG_BOUND_HIGH_WATERMARK, false, &old), 0);
    assert_int_equal(old.size, 0);
    assert_null(old.segment);
    assert_int_equal(log_read(f.log, 400, 0, LOG_BOUND_END, false, &old), 0);
    assert_int_equal(log_read(f.log, 401, 0, LOG_BOUND_END, false, &old), ERR_RANGE);
    assert_int_equal(log_read(f.log, -1, 0, LOG_BOUND_HIGH_WATERMARK, false, &old), ERR_RANGE);
    assert_int_equal(file_cache_open_count(f.files), 0);
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

static void a_slice_never_passes_the_bound(void **state)
{
    struct log_fixture f;
    unsigned seed = (unsigned)getpid();
    (void)state;
    print_message("seed %u\n", seed);
    fixture_start(&f);
    f.config.segment_bytes = 6000;
    f.config.index_interval_bytes = 300;
    fixture_open(&f, true, 0);
    int64_t next = 0, batch_of[2000], size_of[2000];
    while (next < 1500) {
        int records = 1 + rand_r(&seed) % 4;
        size_t size;
        const struct batch_spec *spec =
            BATCH_SPEC(.records = records, .value_bytes = (size_t)(1 + rand_r(&seed) % 200));
        free(make_batch(spec, &size));
        for (int k = 0; k < records; k++) {
            batch_of[next + k] = next;
            size_of[next + k] = (int64_t)size;
        }
        append_ok(f.log, spec, next);
        next += records;
    }
    for (int round = 0; round < 3000; round++) {
        int64_t start = rand_r(&seed) % next, watermark = rand_r(&seed) % (next + 1);
        size_t most = 1 + (size_t)(rand_r(&seed) % 8000);
        bool at_least_one = rand_r(&seed) % 2;
        struct log_slice slice;
        set_watermark(f.log, watermark);
        assert_int_equal(log_read(f.log, start, most, LOG_BOUND_HIGH_WATERMARK, at_least_one, &slice), 0);
        int64_t last_of_first = batch_of[start] + 0;
        while (last_of_first + 1 < next && batch_of[last_of_first + 1] == batch_of[start])
            last_of_first++;
        if (last_of_first >= watermark) {
            assert_int_equal(slice.size, 0);
        } else {
            assert_int_equal(slice.base_offset, batch_of[start]);
            assert_int_equal(slice.first_batch_size, size_of[start]);
            assert_true(slice.size <= most || (at_least_one && slice.size == slice.first_batch_size));
            uint8_t *bytes = malloc(slice.size + 1);
            assert_int_equal(log_slice_copy(&slice, 0, bytes, slice.size), 0);
            struct batch_cursor c = batch_cursor((struct bytes){bytes, slice.size});
            struct batch_header h;
            struct bytes batch;
            while (batch_cursor_next(&c, &h, &batch) > 0)
                assert_true(batch_last_offset(&h) < watermark);
            free(bytes);
        }
        log_slice_release(&slice);
    }
    set_watermark(f.log, next);
    assert_int_equal(log_readable_bytes(f.log, 0, LOG_BOUND_END, INT64_MAX), log_size_bytes(f.log));
    assert_true(log_readable_bytes(f.log, 0, LOG_BOUND_END, 1) < log_size_bytes(f.log));
    fixture_stop(&f);
}

static void truncation_keeps_what_was_promised(void **state)
{
    struct log_fixture f;
    struct log_slice slice;
    (void)state;
    for (int target = 0; target <= 60; target += 3) {
        fixture_start(&f);
        f.config.segment_bytes = 1200;
        f.config.index_interval_bytes = 200;
        fixture_open(&f, true, 0);
        for (int i = 0; i < 60; i += 2)
            append_ok(f.log,
                      BATCH_SPEC(.records = 2, .timestamp_ms = 1000 + i, .producer_id = 4, .sequence = i), i);
        set_watermark(f.log, 60);
        uint8_t before[4096], after[4096];
        assert_int_equal(
            log_read(f.log, target < 60 ? target : 58, sizeof before, LOG_BOUND_END, true, &slice), 0);
        assert_int_equal(log_slice_copy(&slice, 0, before, slice.size), 0);
        log_lock(f.log);
        assert_int_equal(log_truncate_to(f.log, target), 0);
        log_unlock(f.log);
        int64_t kept = target - target % 2; // the batch that holds the target goes as a whole
        assert_int_equal(log_end_offset(f.log), target);
        assert_true(log_high_watermark(f.log) <= target);
        assert_int_equal(read_all(f.log, 0), kept);
        append_ok(f.log, BATCH_SPEC(.producer_id = 4, .sequence = (int32_t)kept), target);
        assert_int_equal(read_all(f.log, 0), target + 1);
        // What was pinned before the truncation still reads as it did.
        assert_int_equal(log_slice_copy(&slice, 0, after, slice.size), 0);
        assert_memory_equal(before, after, slice.size);
        log_slice_release(&slice);
        assert_int_equal(log_close(f.log, true), 0);
        fixture_open(&f, true, target + 1);
        assert_int_equal(read_all(f.log, 0), target + 1);
        log_lock(f.log);
        assert_int_equal(log_truncate_fully(f.log, 500), 0);
        log_unlock(f.log);
        append_ok(f.log, BATCH_SPEC(.producer_id = 4, .sequence = 77),
                  500); // its state went with the records
        assert_int_equal(read_all(f.log, 500), 501);
        assert_int_equal(log_read(f.log, 0, 1, LOG_BOUND_END, true, &slice), ERR_RANGE);
        fixture_stop(&f);
    }
}

static void offsets_are_found_by_time(void **state)
{
    static const enum compression compressions[] = {COMPRESSION_NONE, COMPRESSION_ZSTD, COMPRESSION_LZ4};
    struct log_fixture f;
    struct log_time_offset found;
    (void)state;
    fixture_start(&f);
    f.config.segment_bytes = 1500;
    f.config.index_interval_bytes = 200;
    fixture_open(&f, true, 0);
    assert_int_equal(log_offset_for_time(f.log, 0, &found), ERR_NOT_FOUND);
    assert_int_equal(log_offset_of_max_time(f.log, &found), ERR_NOT_FOUND);
    for (int i = 0; i < 100; i++) // records at 1000, 1001, 1002, then 1010 ...
        append_ok(f.log,
                  BATCH_SPEC(.records = 3, .timestamp_ms = 1000 + i * 10, .compression = compressions[i % 3]),
                  i * 3);
    for (int again = 0; again < 2; again++) {
        for (int64_t time = 990; time <= 1992; time++) {
            assert_int_equal(log_offset_for_time(f.log, time, &found), 0);
            int64_t batch = time < 1000 ? 0 : (time - 1000) / 10,
                    within = time < 1000 ? 0 : (time - 1000) % 10;
            int64_t expected = within < 3 ? batch * 3 + within : (batch + 1) * 3;
            assert_int_equal(found.offset, expected);
            assert_true(found.timestamp_ms >= time);
            assert_int_equal(found.leader_epoch, 0);
        }
        assert_int_equal(log_offset_for_time(f.log, 1993, &found), ERR_NOT_FOUND);
        assert_int_equal(log_offset_of_max_time(f.log, &found), 0);
        assert_int_equal(found.offset, 299);
        assert_int_equal(found.timestamp_ms, 1992);
        assert_int_equal(log_close(f.log, true), 0);
        fixture_open(&f, true, 300);
    }
    fixture_stop(&f);
}

static void retention_removes_whole_segments(void **state)
{
    struct log_fixture f;
    struct log_slice slice;
    size_t removed;
    (void)state;
    fixture_start(&f);
    f.config.segment_bytes = 1000;
    fixture_open(&f, true, 0);
    for (int i = 0; i < 100; i++)
        append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1000 + i), i);
    size_t segments = log_segment_count(f.log);
    int64_t size = log_size_bytes(f.log);
    f.config.retention_bytes = size - 2500;
    f.config.retention_ms = -1;
    log_lock(f.log);
    log_set_config(f.log, &f.config);
    assert_int_equal(log_apply_retention(f.log, 2000, &removed), 0);
    assert_int_equal(removed, 0); // nothing is below the high watermark
    log_set_high_watermark(f.log, 100);
    log_unlock(f.log);
    assert_int_equal(log_read(f.log, 0, 1 << 20, LOG_BOUND_END, true, &slice), 0);
    log_lock(f.log);
    assert_int_equal(log_apply_retention(f.log, 2000, &removed), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(log_segment_count(f.log), segments - 2);
    f.config.retention_bytes = -1;
    f.config.retention_ms = 500;
    log_set_config(f.log, &f.config);
    assert_int_equal(log_apply_retention(f.log, 1400, &removed), 0);
    assert_int_equal(removed, 0);
    assert_int_equal(log_apply_retention(f.log, 2000, &removed), 0); // the active one is rolled and goes, too
    log_unlock(f.log);
    assert_int_equal(log_segment_count(f.log), 1);
    struct log_offsets o;
    log_offsets(f.log, &o);
    assert_int_equal(o.log_start_offset, 100);
    assert_int_equal(slice_base(&slice), 0); // pinned: still readable
    log_slice_release(&slice);
    append_ok(f.log, BATCH_SPEC(0), 100);
    assert_int_equal(log_close(f.log, true), 0);
    fixture_open(&f, true, 101);
    assert_int_equal(read_all(f.log, 100), 101);
    fixture_stop(&f);
}

static void transactions_hold_back_the_last_stable_offset(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    struct log_offsets o;
    size_t size, count;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(0), 0);
    append_ok(f.log, BATCH_SPEC(.producer_id = 7, .transactional = true, .records = 2), 1);
    append_ok(f.log, BATCH_SPEC(0), 3);
    append_ok(f.log, BATCH_SPEC(.producer_id = 8, .transactional = true), 4);
    set_watermark(f.log, 5);
    log_offsets(f.log, &o);
    assert_int_equal(o.last_stable_offset, 1);
    struct log_slice slice;
    assert_int_equal(log_read(f.log, 0, 1 << 20, LOG_BOUND_LAST_STABLE, true, &slice), 0);
    assert_int_equal(slice.size, slice.first_batch_size);
    log_slice_release(&slice);
    assert_int_equal(log_read(f.log, 1, 1 << 20, LOG_BOUND_LAST_STABLE, true, &slice), 0);
    assert_int_equal(slice.size, 0);
    uint8_t *marker = make_marker(7, 0, false, 1, &size);
    assert_int_equal(append_bytes(f.log, marker, size, LOG_ORIGIN_COORDINATOR, 0, &info), 0);
    assert_int_equal(info.base_offset, 5);
    log_offsets(f.log, &o);
    assert_int_equal(o.last_stable_offset, 1); // its marker is not below the high watermark yet
    set_watermark(f.log, 6);
    log_offsets(f.log, &o);
    assert_int_equal(o.last_stable_offset, 4);
    struct log_aborted *aborted;
    assert_int_equal(log_aborted_transactions(f.log, 0, 4, &aborted, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(aborted[0].producer_id, 7);
    assert_int_equal(aborted[0].first_offset, 1);
    free(aborted);
    for (int how = 0; how < 3;
         how++) { // after a clean stop, a crash under the same boot, a crash with another one
        log_close(f.log, how == 0);
        struct log_params p = fixture_params(&f, how == 0, how == 0 ? 6 : 0);
        p.same_boot = how == 1;
        assert_int_equal(log_open(&p, &f.log, NULL, 0), 0);
        set_watermark(f.log, 6);
        log_offsets(f.log, &o);
        assert_int_equal(o.last_stable_offset, 4);
        assert_int_equal(log_aborted_transactions(f.log, 0, 4, &aborted, &count), 0);
        assert_int_equal(count, 1);
        free(aborted);
    }
    marker = make_marker(8, 0, true, 1, &size);
    assert_int_equal(append_bytes(f.log, marker, size, LOG_ORIGIN_COORDINATOR, 0, &info), 0);
    set_watermark(f.log, 7);
    log_offsets(f.log, &o);
    assert_int_equal(o.last_stable_offset, 7);
    fixture_stop(&f);
}

static void epochs_reach_the_file(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    int32_t epoch;
    int64_t end;
    size_t size;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    for (int32_t e = 1; e <= 5; e += 2) {
        log_lock(f.log);
        assert_int_equal(log_assign_epoch(f.log, e), 0);
        log_unlock(f.log);
        for (int i = 0; i < 10; i++) {
            uint8_t *bytes = make_batch(BATCH_SPEC(0), &size);
            assert_int_equal(append_bytes(f.log, bytes, size, LOG_ORIGIN_CLIENT, e, &info), 0);
        }
    }
    assert_int_equal(log_flush(f.log, 30), 0);
    for (int again = 0; again < 2; again++) {
        static const int64_t answers[][3] = {{0, 0, 0},  {1, 1, 10},  {2, 1, 10},  {3, 3, 20},
                                             {5, 5, 30}, {6, -1, -1}, {-1, -1, -1}};
        for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
            log_end_offset_for_epoch(f.log, (int32_t)answers[i][0], &epoch, &end);
            assert_int_equal(epoch, answers[i][1]);
            assert_int_equal(end, answers[i][2]);
        }
        assert_int_equal(log_epoch_of_offset(f.log, 9), 1);
        assert_int_equal(log_epoch_of_offset(f.log, 10), 3);
        log_close(f.log, false);
        fixture_open(&f, false, 30);
    }
    fixture_stop(&f);
}

static void replicas_keep_their_offsets(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    size_t size;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    uint8_t *bytes = make_batch(BATCH_SPEC(.records = 3), &size);
    batch_set_base_offset(bytes, 40);
    batch_set_leader_epoch(bytes, 6);
    uint8_t *copy = malloc(size);
    memcpy(copy, bytes, size);
    assert_int_equal(append_bytes(f.log, bytes, size, LOG_ORIGIN_REPLICA, -1, &info), 0);
    assert_int_equal(info.base_offset, 40);
    assert_int_equal(log_end_offset(f.log), 43);
    assert_int_equal(append_bytes(f.log, copy, size, LOG_ORIGIN_REPLICA, -1, &info), ERR_RANGE);
    bytes = make_batch(BATCH_SPEC(0), &size);
    batch_set_base_offset(bytes, INT64_C(43) + INT32_MAX); // an index of the first segment cannot name it
    assert_int_equal(append_bytes(f.log, bytes, size, LOG_ORIGIN_REPLICA, -1, &info), 0);
    assert_int_equal(log_segment_count(f.log), 2);
    assert_int_equal(log_epoch_of_offset(f.log, 41), 6);
    fixture_stop(&f);
}

static void what_is_no_batch_is_refused(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    size_t size;
    (void)state;
    fixture_start(&f);
    f.config.segment_bytes = 500;
    fixture_open(&f, true, 0);
    uint8_t *bytes = make_batch(BATCH_SPEC(0), &size);
    assert_int_equal(append_bytes(f.log, bytes, size - 1, LOG_ORIGIN_CLIENT, 0, &info), ERR_CORRUPT);
    assert_int_equal(append_bytes(f.log, calloc(1, 100), 100, LOG_ORIGIN_CLIENT, 0, &info), ERR_UNSUPPORTED);
    bytes = make_batch(BATCH_SPEC(.value_bytes = 600), &size);
    assert_int_equal(append_bytes(f.log, bytes, size, LOG_ORIGIN_CLIENT, 0, &info), ERR_INVALID);
    assert_int_equal(info.error_code, 18);
    assert_int_equal(log_end_offset(f.log), 0);
    append_ok(f.log, BATCH_SPEC(0), 0);
    fixture_stop(&f);
}

static void segments_roll_by_time(void **state)
{
    struct log_fixture f;
    (void)state;
    fixture_start(&f);
    f.config.segment_ms = 100;
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1000), 0);
    append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1100), 1);
    assert_int_equal(log_segment_count(f.log), 1);
    append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1101), 2);
    assert_int_equal(log_segment_count(f.log), 2);
    f.config.segment_index_bytes = 24; // three offset entries, one time entry
    f.config.index_interval_bytes = 0;
    f.config.segment_ms = INT64_MAX;
    log_lock(f.log);
    log_set_config(f.log, &f.config);
    log_unlock(f.log);
    for (int i = 3; i < 12; i++)
        append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1101 + i), i);
    assert_true(log_segment_count(f.log) > 4);
    assert_int_equal(read_all(f.log, 0), 12);
    fixture_stop(&f);
}

static void a_deleted_log_is_gone_but_readable(void **state)
{
    struct log_fixture f;
    struct log_slice slice;
    struct log_append_info info;
    char path[128];
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(0), 0);
    assert_int_equal(log_read(f.log, 0, 100, LOG_BOUND_END, true, &slice), 0);
    log_lock(f.log);
    assert_int_equal(log_delete(f.log), 0);
    assert_int_equal(log_delete(f.log), ERR_CLOSED);
    log_unlock(f.log);
    snprintf(path, sizeof path, "%s/t-0", f.root);
    assert_false(file_exists(path));
    assert_int_equal(append(f.log, BATCH_SPEC(0), &info), ERR_CLOSED);
    assert_int_equal(slice_base(&slice), 0);
    log_close(f.log, false);
    f.log = NULL;
    assert_int_equal(slice_base(&slice), 0);
    log_slice_release(&slice);
    fixture_stop(&f);
}

// Its last records are young, and no index entry says so: a start must not take the log for an old one before
// somebody reads it.
static void retention_knows_the_last_records_of_a_cold_log(void **state)
{
    char path[128];
    size_t removed;
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        struct log_fixture f;
        fixture_start(&f);
        f.config.retention_ms = 5000;
        fixture_open(&f, true, 0);
        append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1000, .value_bytes = 5000), 0);
        append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1000), 1); // which is indexed
        append_ok(f.log, BATCH_SPEC(.timestamp_ms = 9000), 2);
        assert_int_equal(log_close(f.log, true), 0);
        snprintf(path, sizeof path, "%s/t-0/%020d.timeindex", f.root, 0);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_size, 24);
        if (cut) // as a kill leaves it
            assert_int_equal(truncate(path, 12), 0);
        fixture_open(&f, true, 3);
        log_lock(f.log);
        log_set_high_watermark(f.log, 3);
        assert_int_equal(log_apply_retention(f.log, 13000, &removed), 0);
        assert_int_equal(removed, 0);
        assert_int_equal(log_apply_retention(f.log, 15000, &removed), 0);
        assert_int_equal(removed, 1);
        log_unlock(f.log);
        fixture_stop(&f);
    }
}

// Threads bring batches in another order than that in which they looked at the clock.
static void append_times_do_not_go_back(void **state)
{
    static const int64_t now_ms[] = {5000, 4990, 5001, 2000}, expected_ms[] = {5000, 5000, 5001, 2000};
    struct log_fixture f;
    (void)state;
    fixture_start(&f);
    f.config.timestamp_log_append = true;
    fixture_open(&f, true, 0);
    for (int i = 0; i < 4; i++) {
        struct log_append_info info;
        struct log_slice slice;
        struct batch_header h;
        size_t size;
        uint8_t *batch = make_batch(BATCH_SPEC(.timestamp_ms = 7), &size);
        batch_set_max_timestamp(batch, size, 4995, true); // by who validated it
        log_lock(f.log);
        assert_int_equal(log_append(f.log, batch, size, 0, LOG_ORIGIN_CLIENT, now_ms[i], &info), 0);
        log_unlock(f.log);
        assert_int_equal(info.append_time_ms, expected_ms[i]);
        assert_int_equal(log_read(f.log, i, 1 << 20, LOG_BOUND_END, true, &slice), 0);
        uint8_t *read = malloc(slice.size);
        assert_int_equal(log_slice_copy(&slice, 0, read, slice.size), 0);
        assert_int_equal(batch_header_read((struct bytes){read, slice.size}, &h), 0);
        assert_int_equal(h.max_timestamp_ms, expected_ms[i]);
        assert_true(batch_crc_ok((struct bytes){read, slice.size}));
        free(read);
        log_slice_release(&slice);
        free(batch);
    }
    fixture_stop(&f);
}

static int count_snapshots(void *arg, const char *name)
{
    *(int *)arg += strstr(name, ".snapshot") != NULL;
    return 0;
}

// Each stop writes one, where no segment begins; a start needs the newest.
static void snapshots_of_stops_do_not_pile_up(void **state)
{
    struct log_fixture f;
    char dir[80];
    int snapshots = 0;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    for (int i = 0; i < 5; i++) {
        append_ok(f.log, BATCH_SPEC(.producer_id = 7, .sequence = i), i);
        assert_int_equal(log_close(f.log, true), 0);
        fixture_open(&f, true, i + 1);
    }
    append_ok(f.log, BATCH_SPEC(.producer_id = 7, .sequence = 5), 5);
    snprintf(dir, sizeof dir, "%s/t-0", f.root);
    assert_int_equal(file_list(dir, count_snapshots, &snapshots), 0);
    assert_int_equal(snapshots, 1);
    fixture_stop(&f);
}

static void logs_roll_at_different_times(void **state)
{
    char message[256], topic[16];
    int64_t first = -1;
    bool differ = false;
    struct log_fixture f;
    (void)state;
    fixture_start(&f);
    f.config.segment_jitter_ms = 1000000;
    for (int i = 0; i < 8; i++) {
        struct log_params p = fixture_params(&f, true, 0);
        snprintf(topic, sizeof topic, "t%d", i);
        p.topic = topic;
        for (int again = 0; again < 2; again++) { // made, then found
            assert_int_equal(log_open(&p, &f.log, message, sizeof message), 0);
            assert_int_equal(log_load(f.log), 0);
            int64_t jitter = log_active(f.log)->jitter_ms;
            assert_true(jitter >= 0 && jitter < f.config.segment_jitter_ms);
            differ |= first >= 0 && jitter != first;
            if (again)
                assert_int_equal(jitter, log_draw_jitter(f.log, 0, p.now_ms));
            first = jitter;
            assert_int_equal(log_close(f.log, true), 0);
            f.log = NULL;
        }
    }
    assert_true(differ);
    fixture_stop(&f);
}

static void an_index_may_begin_in_1970(void **state)
{
    static const struct {
        uint8_t bytes[24];
        bool whole;
        uint32_t count;
    } cases[] = {{{[19] = 5, [23] = 3}, true, 2}, {{0}, false, 0}, {{[7] = 9, [11] = 1}, false, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct index ix;
        bool whole;
        char path[] = "/tmp/odradek-index-XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(file_write_at(fd, cases[i].bytes, sizeof cases[i].bytes, 0), 0);
        index_init(&ix, INDEX_TIME);
        assert_int_equal(index_load(&ix, fd, 1000, &whole), 0);
        assert_int_equal(whole, cases[i].whole);
        assert_int_equal(ix.count, cases[i].count);
        index_free(&ix);
        close(fd);
        unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_reads),
        cmocka_unit_test(rolls_and_reopens),
        cmocka_unit_test(a_slice_never_passes_the_bound),
        cmocka_unit_test(truncation_keeps_what_was_promised),
        cmocka_unit_test(offsets_are_found_by_time),
        cmocka_unit_test(retention_removes_whole_segments),
        cmocka_unit_test(retention_knows_the_last_records_of_a_cold_log),
        cmocka_unit_test(append_times_do_not_go_back),
        cmocka_unit_test(an_index_may_begin_in_1970),
        cmocka_unit_test(snapshots_of_stops_do_not_pile_up),
        cmocka_unit_test(logs_roll_at_different_times),
        cmocka_unit_test(transactions_hold_back_the_last_stable_offset),
        cmocka_unit_test(epochs_reach_the_file),
        cmocka_unit_test(replicas_keep_their_offsets),
        cmocka_unit_test(what_is_no_batch_is_refused),
        cmocka_unit_test(segments_roll_by_time),
        cmocka_unit_test(a_deleted_log_is_gone_but_readable),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
