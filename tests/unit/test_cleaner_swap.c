// The swap of a compaction when the disk has no room for a name, or the process dies, at any of its calls,
// while it is taken back, and while a start finishes it: the log has what it had, without what was aborted.
#include "log_fixture.h"

#include "base/logger.h"
#include "storage/cleaner.h"
#include "storage/cleaner_keys.h"
#include "storage/log_state.h"

#include <errno.h>

#define SEGMENTS 4
#define KEYS     3
#define CALLS    1000 // more than any test makes

// ---------------------------------------------------------------- faults

// The first fault at the n-th call of `calls`; the second one at the k-th of `later` behind it.
struct faults {
    unsigned calls, later;
    int n, k;
    int error, later_error;
    bool onwards; // every later call behind the second one fails, too
    int seen, seen_later;
    bool hit, hit_later;
};

static struct file_fault decide(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    struct faults *f = arg;
    (void)fd, (void)path, (void)size;
    if (!f->hit) {
        f->hit = f->calls & 1U << call && ++f->seen == f->n;
        return (struct file_fault){f->hit ? f->error : 0, 0};
    }
    if (!(f->later & 1U << call) || ++f->seen_later < f->k || (f->hit_later && !f->onwards))
        return (struct file_fault){0};
    f->hit_later = true;
    return (struct file_fault){f->later_error, 0};
}

#define CALL(kind) (1U << FILE_CALL_##kind)
#define CHANGES    (CALL(RENAME) | CALL(UNLINK) | CALL(WRITE) | CALL(SYNC) | CALL(TRUNCATE))

// ---------------------------------------------------------------- a log with aborted transactions

static void put(struct log *log, char key, int value, int64_t producer)
{
    struct batch_options o = BATCH_OPTIONS;
    struct batch_builder b = {0};
    struct bytes out;
    struct log_append_info info;
    char text[1000];
    int n = snprintf(text, sizeof text, "%d %*d", value, 900, 0);
    if (producer) {
        o.producer_id = producer;
        o.producer_epoch = 0;
        o.base_sequence = 0;
        o.attributes |= BATCH_TRANSACTIONAL;
    }
    batch_builder_init(&b, &o);
    batch_builder_add(&b, 1000 + value, (struct bytes){(const uint8_t *)&key, 1},
                      (struct bytes){(const uint8_t *)text, (size_t)n}, NULL, 0);
    assert_int_equal(batch_builder_finish(&b, &out), 0);
    uint8_t *copy = malloc(out.size);
    memcpy(copy, out.data, out.size);
    assert_int_equal(append_bytes(log, copy, out.size, LOG_ORIGIN_CLIENT, 0, &info), 0);
    batch_builder_free(&b);
}

static void abort_transaction(struct log *log, int64_t producer)
{
    struct log_append_info info;
    size_t size;
    uint8_t *marker = make_marker(producer, 0, false, 1, &size);
    assert_int_equal(append_bytes(log, marker, size, LOG_ORIGIN_COORDINATOR, 0, &info), 0);
}

static void open_log(struct log_fixture *f, struct reaper *reaper, bool clean)
{
    struct log_params p = fixture_params(f, clean, 0);
    p.reaper = reaper;
    assert_int_equal(log_open(&p, &f->log, NULL, 0), 0);
    set_watermark(f->log, log_end_offset(f->log));
}

// Each sealed segment has a value of every key; the first and the third an aborted transaction with another
// one.
static void start(struct log_fixture *f, struct reaper *reaper)
{
    fixture_start(f);
    f->config.cleanup_compact = true;
    f->config.cleanup_delete = false;
    f->config.segment_bytes = 9000; // two of them make one
    f->config.index_interval_bytes = 1;
    f->config.min_cleanable_dirty_ratio = 0;
    f->config.delete_retention_ms = 1000000000;
    open_log(f, reaper, true);
    for (int i = 0; i < SEGMENTS; i++) {
        if (i % 2 == 0) {
            put(f->log, 'a', 100 + i, 7 + i);
            abort_transaction(f->log, 7 + i);
        }
        for (int k = 0; k < KEYS; k++)
            put(f->log, (char)('a' + k), i, 0);
        log_lock(f->log);
        assert_int_equal(log_roll(f->log, 1000000), 0);
        log_unlock(f->log);
    }
    put(f->log, 'z', 1, 0);
    set_watermark(f->log, log_end_offset(f->log));
    assert_int_equal(log_flush(f->log, log_end_offset(f->log)), 0);
}

static bool is_aborted(const struct log_aborted *aborted, size_t count, const struct batch_header *h)
{
    for (size_t i = 0; i < count; i++)
        if ((h->attributes & BATCH_TRANSACTIONAL) && aborted[i].producer_id == h->producer_id)
            return true;
    return false;
}

// What a reader of committed data sees last of each key; `seen` counts the records.
static void check_committed(struct log *log, int *seen)
{
    int last[KEYS] = {-1, -1, -1};
    int64_t end = log_end_offset(log);
    struct log_aborted *aborted;
    size_t count;
    *seen = 0;
    assert_int_equal(log_aborted_transactions(log, 0, end, &aborted, &count), 0);
    for (int64_t next = 0; next < end;) {
        struct log_slice slice;
        assert_int_equal(log_read(log, next, 1 << 16, LOG_BOUND_END, true, &slice), 0);
        assert_true(slice.size > 0);
        uint8_t *bytes = malloc(slice.size);
        assert_int_equal(log_slice_copy(&slice, 0, bytes, slice.size), 0);
        struct batch_cursor c = batch_cursor((struct bytes){bytes, slice.size});
        struct batch_header h;
        struct bytes batch, body;
        struct record r;
        while (batch_cursor_next(&c, &h, &batch) > 0) {
            assert_true(batch_crc_ok(batch));
            next = batch_last_offset(&h) + 1;
            if (batch_is_control(&h) || h.count == 0 || is_aborted(aborted, count, &h))
                continue;
            struct buffer scratch = BUFFER_INIT;
            assert_int_equal(batch_body(&h, batch, 1 << 20, &scratch, &body), 0);
            struct record_cursor records = record_cursor(body, h.count);
            assert_int_equal(record_cursor_next(&records, &r), 1);
            if (r.key.data[0] != 'z')
                last[r.key.data[0] - 'a'] = (int)strtol((const char *)r.value.data, NULL, 10);
            (*seen)++;
            buffer_free(&scratch);
        }
        free(bytes);
        log_slice_release(&slice);
    }
    free(aborted);
    for (int k = 0; k < KEYS; k++)
        assert_int_equal(last[k], SEGMENTS - 1);
}

static int clean(struct log *log)
{
    struct cleaner_range range;
    struct cleaner_stats stats;
    struct cleaner *c = cleaner_new(&(struct cleaner_params){
        .keys_bytes = 1000 * CLEANER_KEY_BYTES, .load_factor = 0.9, .chunk_bytes = 4096});
    int rc = cleaner_look(log, 200000, &range);
    if (rc == 0)
        rc = cleaner_clean(c, log, &range, 200000, &stats);
    cleaner_free(c);
    return rc;
}

static int count_unfinished(void *arg, const char *name)
{
    size_t n = strlen(name);
    int *count = arg;
    *count +=
        (n > 5 && strcmp(name + n - 5, ".swap") == 0) || (n > 8 && strcmp(name + n - 8, ".cleaned") == 0);
    return 0;
}

static int unfinished(struct log *log)
{
    int count = 0;
    assert_int_equal(file_list(log->place->dir, count_unfinished, &count), 0);
    return count;
}

// Whatever happened: nothing is lost, nothing aborted is seen, and the next round does what this one would
// have.
static void check_and_clean(struct log_fixture *f)
{
    int seen;
    check_committed(f->log, &seen);
    assert_int_equal(unfinished(f->log), 0);
    assert_int_equal(clean(f->log), 0);
    check_committed(f->log, &seen);
    assert_int_equal(seen, KEYS + 1);
    assert_int_equal(unfinished(f->log), 0);
}

static void stop(struct log_fixture *f, struct reaper *reaper)
{
    log_close(f->log, false);
    f->log = NULL;
    reaper_free(reaper);
    fixture_stop(f);
}

// ---------------------------------------------------------------- tests

// Without room for one name the log stays as it was, on line, and the next round finds room.
static void test_no_room_once(void **state)
{
    (void)state;
    int tried = 0;
    for (struct faults x = {.calls = CALL(RENAME), .n = 1, .error = ENOSPC}; x.n == 1 || x.hit; x.n++) {
        struct log_fixture f;
        struct reaper *reaper = reaper_new();
        start(&f, reaper);
        x.seen = 0;
        x.hit = false;
        file_set_fault(decide, &x);
        int rc = clean(f.log);
        file_set_fault(NULL, NULL);
        assert_int_equal(rc, x.hit ? ERR_NO_SPACE : 0);
        assert_false(log_is_offline(f.log));
        if (x.hit)
            check_and_clean(&f);
        tried += x.hit;
        stop(&f, reaper);
    }
    assert_true(tried >= 2 * (4 + 2 * 3 + 4)); // two groups of two segments
}

// Nor for the old names: then it waits off line for a start, which finishes it.
static void test_no_room_to_take_it_back(void **state)
{
    (void)state;
    bool more = true;
    int tried = 0;
    for (int n = 1; more; n++) {
        bool again = true;
        more = false;
        for (int k = 1; again && k < CALLS; k++) {
            struct log_fixture f;
            struct reaper *reaper = reaper_new();
            struct faults x = {.calls = CALL(RENAME),
                               .later = CALL(RENAME),
                               .n = n,
                               .k = k,
                               .error = ENOSPC,
                               .later_error = ENOSPC};
            start(&f, reaper);
            file_set_fault(decide, &x);
            int rc = clean(f.log);
            file_set_fault(NULL, NULL);
            again = x.hit_later;
            more |= x.hit;
            tried += x.hit_later;
            assert_int_equal(rc, !x.hit ? 0 : x.hit_later ? ERR_CLOSED : ERR_NO_SPACE);
            assert_int_equal(log_is_offline(f.log), x.hit_later);
            if (x.hit_later) {
                log_close(f.log, false);
                open_log(&f, reaper, false);
            }
            if (x.hit)
                check_and_clean(&f);
            stop(&f, reaper);
        }
    }
    assert_true(tried > 50);
}

// A swap whose n-th rename finds no room, then at the k-th call that takes it back the process dies (at 0: at
// that rename), and again at the d-th rename or removal of the start that mends it. Which of them came to be.
static void die(int n, int k, int d, bool hit[3])
{
    struct log_fixture f;
    struct reaper *reaper = reaper_new();
    struct faults x = {.calls = CALL(RENAME),
                       .later = CHANGES,
                       .n = n,
                       .k = k > 0 ? k : 1,
                       .error = k > 0 ? ENOSPC : EIO,
                       .later_error = EIO,
                       .onwards = true};
    struct faults y = {.calls = CALL(RENAME) | CALL(UNLINK),
                       .later = CHANGES,
                       .n = d,
                       .k = 1,
                       .error = EIO,
                       .later_error = EIO,
                       .onwards = true};
    start(&f, reaper);
    file_set_fault(decide, &x);
    (void)clean(f.log);
    log_close(f.log, false);
    file_set_fault(decide, &y);
    struct log_params p = fixture_params(&f, false, 0);
    if (log_open(&p, &f.log, NULL, 0) == 0)
        log_close(f.log, false);
    file_set_fault(NULL, NULL);
    open_log(&f, reaper, false);
    if (x.hit)
        check_and_clean(&f);
    stop(&f, reaper);
    hit[0] = x.hit;
    hit[1] = x.hit_later || k == 0;
    hit[2] = y.hit;
}

static void test_death(void **state)
{
    (void)state;
    bool hit[3] = {true, true, true};
    int tried = 0;
    for (int n = 1; hit[0]; n++) {
        hit[1] = hit[0];
        for (int k = 0; hit[0] && hit[1]; k += 1 + k / 2) {
            hit[2] = true;
            for (int d = 1; hit[0] && hit[1] && hit[2]; d += 2 + 2 * k) {
                die(n, k, d, hit);
                tried += hit[2];
            }
        }
    }
    print_message("%d deaths of a start\n", tried);
    assert_true(tried > 100);
}

static struct file_fault clean_in_between(void *arg, enum file_call call, int fd, const char *path,
                                          size_t size)
{
    struct log *log = arg;
    (void)fd, (void)path, (void)size;
    if (call == FILE_CALL_SYNC) {
        file_set_fault(NULL, NULL);
        assert_int_equal(clean(log), 0);
    }
    return (struct file_fault){0};
}

// A flush beside which the swap comes has flushed nevertheless: producers wait for what it was asked for.
static void test_flush_beside_it(void **state)
{
    (void)state;
    struct log_fixture f;
    struct reaper *reaper = reaper_new();
    start(&f, reaper);
    put(f.log, 'y', 1, 0);
    file_set_fault(clean_in_between, f.log);
    assert_int_equal(log_flush(f.log, log_end_offset(f.log)), 0);
    assert_true(f.log->cleaned_to > 0);
    assert_int_equal(log_recovery_point(f.log), log_end_offset(f.log));
    struct log_dirt dirt;
    log_dirt(f.log, &dirt);
    assert_int_equal(dirt.messages, 0);
    stop(&f, reaper);
}

int main(void)
{
    logger_set_level(LOG_LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_room_once),
        cmocka_unit_test(test_no_room_to_take_it_back),
        cmocka_unit_test(test_death),
        cmocka_unit_test(test_flush_beside_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
