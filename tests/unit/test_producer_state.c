#include "log_fixture.h"

#include "base/logger.h"
#include "storage/epoch_cache.h"
#include "storage/log_retention.h"
#include "storage/producer_state.h"

// One batch after another, and what the log answers: the rules of idempotent producers.
static void sequences_are_judged_as_kafka_does(void **state)
{
    enum { FINE = 0, DUPLICATE = 1 };
    static const struct {
        int16_t epoch;
        int32_t sequence;
        int records;
        int expected; // FINE, DUPLICATE or Kafka's error code
    } steps[] = {
        {0, 5, 1, FINE}, // a producer that is not known may start anywhere
        {0, 6, 2, FINE},
        {0, 9, 1, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER}, // a gap
        {0, 6, 2, DUPLICATE},
        {0, 5, 1, DUPLICATE},
        {0, 6, 1, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER}, // not exactly that batch
        {0, 8, 1, FINE},
        {0, 9, 1, FINE},
        {0, 10, 1, FINE},
        {0, 5, 1, DUPLICATE}, // the fifth last
        {0, 11, 1, FINE},
        {0, 5, 1, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER}, // forgotten: five are kept
        {1, 3, 1, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER}, // a new epoch starts at 0
        {1, 0, 1, FINE},
        {0, 12, 1, LOG_ERROR_INVALID_PRODUCER_EPOCH},
        {0, 11, 1, LOG_ERROR_INVALID_PRODUCER_EPOCH}, // duplicates are of the current epoch only
        {1, 1, INT16_MAX, FINE},
    };
    struct log_fixture f;
    struct log_append_info info;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int64_t end = log_end_offset(f.log);
        int rc = append(f.log,
                        BATCH_SPEC(.producer_id = 1, .epoch = steps[i].epoch, .sequence = steps[i].sequence,
                                   .records = steps[i].records, .timestamp_ms = 7000 + (int64_t)i),
                        &info);
        int got = rc ? info.error_code : info.duplicate ? DUPLICATE : FINE;
        if (got != steps[i].expected)
            print_error("step %zu: %d (%s)\n", i, got, info.message);
        assert_int_equal(got, steps[i].expected);
        assert_int_equal(log_end_offset(f.log), end + (got == FINE ? steps[i].records : 0));
        if (i == 3) { // the answer to a duplicate is the original's
            assert_int_equal(info.base_offset, 1);
            assert_int_equal(info.last_offset, 2);
            assert_int_equal(info.append_time_ms, 7002);
        }
    }
    fixture_stop(&f);
}

static void messages_are_kafkas(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(.producer_id = 1, .epoch = 2, .sequence = 0), 0);
    append(f.log, BATCH_SPEC(.producer_id = 1, .epoch = 2, .sequence = 7), &info);
    assert_string_equal(
        info.message,
        "Out of order sequence number for producer 1 at offset 1 in partition t-0: 7 (incoming "
        "seq. number), 0 (current end sequence number)");
    append(f.log, BATCH_SPEC(.producer_id = 1, .epoch = 1, .sequence = 1), &info);
    assert_string_equal(
        info.message,
        "Epoch of producer 1 at offset 1 in t-0 is 1, which is smaller than the last seen epoch 2");
    fixture_stop(&f);
}

static void sequences_wrap(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(.producer_id = 1, .sequence = INT32_MAX - 1), 0);
    append_ok(f.log, BATCH_SPEC(.producer_id = 1, .sequence = INT32_MAX, .records = 3), 1); // to 1
    append_ok(f.log, BATCH_SPEC(.producer_id = 1, .sequence = 2), 4);
    assert_int_equal(append(f.log, BATCH_SPEC(.producer_id = 1, .sequence = INT32_MAX, .records = 3), &info),
                     0);
    assert_true(info.duplicate);
    fixture_stop(&f);
}

static void markers_are_fenced(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    size_t size;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(.producer_id = 1, .epoch = 3, .transactional = true), 0);
    assert_int_equal(append(f.log, BATCH_SPEC(.producer_id = 1, .epoch = 3, .sequence = 1), &info),
                     ERR_INVALID);
    assert_int_equal(info.error_code, LOG_ERROR_INVALID_TXN_STATE);
    uint8_t *marker = make_marker(1, 2, true, 9, &size);
    assert_int_equal(append_bytes(f.log, marker, size, LOG_ORIGIN_COORDINATOR, 0, &info), ERR_INVALID);
    assert_int_equal(info.error_code, LOG_ERROR_INVALID_PRODUCER_EPOCH);
    marker = make_marker(1, 3, true, 9, &size);
    assert_int_equal(append_bytes(f.log, marker, size, LOG_ORIGIN_COORDINATOR, 0, &info), 0);
    marker = make_marker(1, 3, true, 8, &size);
    assert_int_equal(append_bytes(f.log, marker, size, LOG_ORIGIN_COORDINATOR, 0, &info), ERR_INVALID);
    assert_int_equal(info.error_code, LOG_ERROR_TRANSACTION_COORDINATOR_FENCED);
    assert_int_equal(log_end_offset(f.log), 2);
    append_ok(f.log, BATCH_SPEC(.producer_id = 1, .epoch = 3, .sequence = 1), 2); // and the sequence went on
    fixture_stop(&f);
}

static int mark(struct log *log, int16_t epoch, int16_t version)
{
    struct log_group_append append = {.origin = LOG_ORIGIN_COORDINATOR, .marker_version = version},
                            *one = &append;
    append.bytes = make_marker(1, epoch, false, 0, &append.size);
    log_lock(log);
    log_append_group(log, &one, 1, 0, 5000);
    log_unlock(log);
    free(append.bytes);
    return append.rc ? append.info.error_code : 0;
}

// From transaction version 2 on a marker of the very epoch of an open transaction is a late one, but for the
// last epoch: whoever began a transaction with that one is to be ended, too.
static void ends_of_version_2_raise_the_epoch(void **state)
{
    static const struct {
        int16_t epoch, marked, version;
        int expected;
    } steps[] = {
        {3, 3, 2, LOG_ERROR_INVALID_PRODUCER_EPOCH},
        {3, 4, 2, 0},
        {-1, 4, 2, 0}, // again: nothing is open
        {5, 5, 1, 0},
        {INT16_MAX - 1, INT16_MAX - 1, 2, LOG_ERROR_INVALID_PRODUCER_EPOCH},
        {INT16_MAX - 1, INT16_MAX, 2, 0},
        {INT16_MAX, INT16_MAX, 2, 0},
    };
    struct log_fixture f;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int64_t end = log_end_offset(f.log);
        bool opens = steps[i].epoch >= 0 && (i == 0 || steps[i - 1].expected == 0);
        if (opens)
            append_ok(f.log, BATCH_SPEC(.producer_id = 1, .epoch = steps[i].epoch, .transactional = true),
                      end);
        assert_int_equal(mark(f.log, steps[i].marked, steps[i].version), steps[i].expected);
        assert_int_equal(log_end_offset(f.log), end + opens + (steps[i].expected == 0));
    }
    fixture_stop(&f);
}

// The first batch of a transaction needs the guard that was given before its coordinator was asked, and
// anything that comes in meanwhile makes that guard worthless (KIP-890).
static void a_transaction_begins_verified(void **state)
{
    enum { VERIFY, APPEND, STALE, MARKER };
    static const struct {
        int what; // STALE: an append with the guard before the last
        int16_t epoch;
        int32_t sequence;
        int expected; // VERIFY: 1 where a guard is given. Otherwise 0 or Kafka's error code
    } steps[] = {
        {APPEND, 0, 0, LOG_ERROR_INVALID_TXN_STATE}, // never asked
        {VERIFY, 0, 0, 1},
        {APPEND, 0, 0, 0},
        {VERIFY, 0, 1, 0}, // it is open
        {APPEND, 0, 1, 0},
        {MARKER, 0, 0, 0},
        {APPEND, 0, 2, LOG_ERROR_INVALID_TXN_STATE}, // late: the transaction is over
        {APPEND, 0, 1, 0},                           // but what was appended once is a duplicate
        {VERIFY, 0, 2, 1},
        {MARKER, 0, 0, 0}, // between the coordinator's answer and the append
        {APPEND, 0, 2, LOG_ERROR_INVALID_TXN_STATE},
        {VERIFY, 0, 2, 1},
        {STALE, 0, 2, LOG_ERROR_INVALID_TXN_STATE},
        {APPEND, 0, 2, 0},
        {VERIFY, 1, 0, 1}, // open, but by the producer's epoch before
        {MARKER, 1, 0, 0},
        {VERIFY, 1, 1, 1},
        {VERIFY, 1, 0, 1}, // both are under way, and the later one comes first
        {APPEND, 1, 1, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER},
        {APPEND, 1, 0, 0},
        {APPEND, 1, 1, 0},
        {VERIFY, 0, 0, LOG_ERROR_INVALID_PRODUCER_EPOCH}, // who was fenced; and that concerns nobody else
        {APPEND, 1, 2, 0},
    };
    struct log_fixture f;
    struct log_append_info info;
    int64_t guard = LOG_NO_GUARD, stale = LOG_NO_GUARD;
    (void)state;
    fixture_start(&f);
    f.config.verify_transactions = true;
    fixture_open(&f, true, 0);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int got;
        log_lock(f.log);
        if (steps[i].what == VERIFY) {
            struct log_verification v = {
                .producer_id = 1, .producer_epoch = steps[i].epoch, .sequence = steps[i].sequence};
            int64_t before = guard;
            int rc = log_verify(f.log, &v, 1000, &guard);
            got = rc ? rc : guard != LOG_NO_GUARD;
            if (guard == LOG_NO_GUARD)
                guard = before;
            else if (guard != before)
                stale = before;
        } else {
            size_t size;
            bool is_marker = steps[i].what == MARKER;
            uint8_t *bytes =
                is_marker ? make_marker(1, steps[i].epoch, true, 0, &size)
                          : make_batch(BATCH_SPEC(.producer_id = 1, .epoch = steps[i].epoch,
                                                  .sequence = steps[i].sequence, .transactional = true),
                                       &size);
            struct log_group_append one = {.bytes = bytes,
                                           .size = size,
                                           .origin = is_marker ? LOG_ORIGIN_COORDINATOR : LOG_ORIGIN_CLIENT,
                                           .guard = steps[i].what == STALE ? stale : guard},
                                    *pointer = &one;
            log_append_group(f.log, &pointer, 1, 0, 5000);
            info = one.info;
            got = one.rc ? info.error_code : 0;
            free(bytes);
        }
        log_unlock(f.log);
        if (got != steps[i].expected)
            print_error("step %zu: %d (%s)\n", i, got, info.message);
        assert_int_equal(got, steps[i].expected);
    }
    fixture_stop(&f);
}

static void verifications_expire(void **state)
{
    struct log_fixture f;
    struct log_append_info info;
    int64_t guard;
    size_t size;
    (void)state;
    fixture_start(&f);
    f.config.verify_transactions = true;
    f.config.producer_id_expiration_ms = 1000;
    fixture_open(&f, true, 0);
    log_lock(f.log);
    struct log_verification v = {.producer_id = 1};
    assert_int_equal(log_verify(f.log, &v, 1000, &guard), 0);
    log_expire_producers(f.log, 2000);
    uint8_t *bytes = make_batch(BATCH_SPEC(.producer_id = 1, .transactional = true), &size);
    struct log_group_append one = {.bytes = bytes, .size = size, .guard = guard}, *pointer = &one;
    log_append_group(f.log, &pointer, 1, 0, 5000);
    log_unlock(f.log);
    info = one.info;
    assert_int_equal(info.error_code, LOG_ERROR_INVALID_TXN_STATE);
    free(bytes);
    fixture_stop(&f);
}

static void producers_expire(void **state)
{
    struct log_fixture f;
    struct log_producer *producers;
    size_t count;
    (void)state;
    fixture_start(&f);
    f.config.producer_id_expiration_ms = 1000;
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(.producer_id = 1, .timestamp_ms = 5000), 0);
    append_ok(f.log, BATCH_SPEC(.producer_id = 2, .timestamp_ms = 5000, .transactional = true), 1);
    append_ok(f.log, BATCH_SPEC(.producer_id = 3, .timestamp_ms = 5900), 2);
    log_lock(f.log);
    log_expire_producers(f.log, 6000);
    assert_int_equal(log_producers(f.log, &producers, &count), 0);
    log_unlock(f.log);
    assert_int_equal(count, 2); // the open transaction keeps its producer
    for (size_t i = 0; i < count; i++) {
        assert_true(producers[i].producer_id != 1);
        assert_int_equal(producers[i].transaction_start_offset, producers[i].producer_id == 2 ? 1 : -1);
        assert_int_equal(producers[i].last_sequence, 0);
    }
    free(producers);
    fixture_stop(&f);
}

static void snapshots_round_trip(void **state)
{
    struct producer_state s, back;
    struct producer_plan plan;
    struct log_append_info info;
    struct buffer bytes = BUFFER_INIT;
    (void)state;
    static const struct producer_judgement judgement = {.origin = LOG_ORIGIN_CLIENT, .name = "t-0"};
    producer_state_init(&s, 0);
    producer_state_init(&back, 0);
    for (int64_t id = 1; id <= 50; id++) {
        struct batch_header h = {.base_offset = id * 10,
                                 .last_offset_delta = 4,
                                 .count = 5,
                                 .producer_id = id,
                                 .producer_epoch = (int16_t)id,
                                 .base_sequence = (int32_t)id,
                                 .max_timestamp_ms = 1000 + id,
                                 .attributes = id % 7 == 0 ? BATCH_TRANSACTIONAL : 0};
        producer_plan_init(&plan, &s);
        assert_int_equal(producer_plan_add(&plan, &h, BYTES_NULL, &judgement, &info), 0);
        producer_plan_commit(&plan, h.base_offset + 5);
    }
    assert_int_equal(producer_snapshot_encode(&s, &bytes), 0);
    struct bytes view = {bytes.data, bytes.size};
    assert_int_equal(producer_snapshot_decode(view, 505, 1051, 1000000, &back), 0);
    assert_int_equal(back.entries.count, 50);
    assert_int_equal(back.end_offset, 505);
    assert_int_equal(producer_state_first_unstable(&back), 70);
    const struct producer_entry *p = map_int_get(&back.entries, 50);
    assert_int_equal(p->epoch, 50);
    assert_int_equal(p->batches[0].last_sequence, 54);
    assert_int_equal(p->batches[0].last_offset, 504);
    assert_int_equal(producer_snapshot_decode(view, 505, 1051, 1, &back), 0);
    assert_int_equal(back.entries.count, 7); // the others expired
    for (size_t at = 0; at < bytes.size; at++) {
        bytes.data[at] ^= 0x10;
        assert_int_equal(producer_snapshot_decode(view, 505, 1051, 1000000, &back), ERR_CORRUPT);
        bytes.data[at] ^= 0x10;
    }
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(
            producer_snapshot_decode((struct bytes){bytes.data, size}, 505, 1051, 1000000, &back),
            ERR_CORRUPT);
    buffer_free(&bytes);
    producer_state_free(&s);
    producer_state_free(&back);
}

static void epochs_are_cut_at_both_ends(void **state)
{
    struct epoch_cache c = EPOCH_CACHE_INIT, back = EPOCH_CACHE_INIT;
    struct buffer text = BUFFER_INIT;
    (void)state;
    assert_int_equal(epoch_cache_assign(&c, 2, 0), 1);
    assert_int_equal(epoch_cache_assign(&c, 2, 5), 0);
    assert_int_equal(epoch_cache_assign(&c, 4, 10), 1);
    assert_int_equal(epoch_cache_assign(&c, 5, 10), 1); // nothing was written in 4
    assert_int_equal(epoch_cache_assign(&c, 9, 30), 1);
    assert_int_equal(c.count, 3);
    epoch_cache_print(&c, &text);
    buffer_byte(&text, 0);
    assert_string_equal((char *)text.data, "0\n3\n2 0\n5 10\n9 30\n");
    assert_int_equal(epoch_cache_parse(str_from((char *)text.data), &back), 0);
    assert_int_equal(back.count, 3);
    assert_true(epoch_cache_truncate_start(&back, 12));
    assert_int_equal(back.count, 2);
    assert_int_equal(back.entries[0].epoch, 5);
    assert_int_equal(back.entries[0].start_offset, 12);
    assert_true(epoch_cache_truncate_end(&back, 30));
    assert_false(epoch_cache_truncate_end(&back, 30));
    assert_int_equal(back.count, 1);
    static const char *const bad[] = {"1\n0\n",       "0\n2\n1 1\n", "0\n1\n1\n",
                                      "0\n1\n-1 5\n", "x",           "0\n1\n1 1 1\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(epoch_cache_parse(str_from(bad[i]), &back), ERR_CORRUPT);
    buffer_free(&text);
    epoch_cache_free(&c);
    epoch_cache_free(&back);
}

static void retention_decides(void **state)
{
    static const struct retention_segment segments[] = {
        {0, 10, 100, 1000}, {10, 20, 100, 2000}, {20, 30, 100, 1500}, {30, 40, 50, 3000}};
    static const struct {
        int64_t log_start, watermark, now, ms, bytes;
        bool cleanup_delete;
        size_t expected;
    } cases[] = {
        {0, 40, 5000, -1, -1, true, 0},  {0, 40, 5000, -1, 250, true, 1},  {0, 40, 5000, -1, 251, true, 0},
        {0, 40, 5000, -1, 0, true, 4},   {0, 40, 5000, 3500, -1, true, 1}, {0, 40, 5000, 2900, -1, true, 3},
        {0, 40, 5000, 100, -1, true, 4}, {0, 25, 5000, 100, -1, true, 2},  {25, 40, 5000, -1, -1, true, 2},
        {30, 40, 5000, -1, -1, true, 3}, {30, 40, 5000, 0, 0, false, 3},   {40, 40, 5000, -1, -1, false, 3},
        {0, 40, 5000, 100, -1, false, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct retention_reason reason;
        struct retention_view v = {segments,           4,
                                   cases[i].log_start, cases[i].watermark,
                                   cases[i].now,       cases[i].cleanup_delete,
                                   cases[i].ms,        cases[i].bytes};
        assert_int_equal(retention_decide(&v, &reason), cases[i].expected);
        assert_int_equal(reason.start_offset + reason.size + reason.time, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_are_judged_as_kafka_does),
        cmocka_unit_test(messages_are_kafkas),
        cmocka_unit_test(sequences_wrap),
        cmocka_unit_test(markers_are_fenced),
        cmocka_unit_test(ends_of_version_2_raise_the_epoch),
        cmocka_unit_test(a_transaction_begins_verified),
        cmocka_unit_test(verifications_expire),
        cmocka_unit_test(producers_expire),
        cmocka_unit_test(snapshots_round_trip),
        cmocka_unit_test(epochs_are_cut_at_both_ends),
        cmocka_unit_test(retention_decides),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
