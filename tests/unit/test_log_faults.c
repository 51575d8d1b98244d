// Every call of storage to the file system fails once, or it and all behind it: the log went on correctly or
// is off line, and the next start finds every acknowledged record exactly once. (The cleaner's:
// test_cleaner.c.)
#include "log_fixture.h"
#include "nth_call.h"

#include "base/logger.h"
#include "storage/dir_health.h"
#include "storage/log_state.h"

#define MAX_RECORDS   200
#define IDEMPOTENT    3
#define ABORTING      7
#define LEFT_OPEN     8
#define SEGMENT_BYTES 700

// ---------------------------------------------------------------- what was acknowledged

struct expected {
    int number[MAX_RECORDS]; // by offset; 0: a transaction marker
    int32_t epoch[MAX_RECORDS];
    int64_t start, end, last_base;         // of the last batch
    int64_t sure_end;                      // a truncation that failed may have taken what lies behind
    int64_t may_end;                       // an append that failed may be there all the same, once
    int32_t sequence;                      // the next one of IDEMPOTENT
    int64_t aborted_first, aborted_marker; // or 0
};

struct run {
    struct log_fixture f;
    struct dir_health health;
    struct expected e;
    int next_number;
    int32_t leader_epoch;
    bool closed_clean;
    int64_t point, start; // what the checkpoints say
};

static int try_append(struct run *r, const struct batch_spec *given, uint8_t *bytes, size_t size,
                      enum log_origin origin)
{
    struct expected *e = &r->e;
    struct log_append_info info;
    int records = given ? spec_records(given) : 1;
    bool off_line = log_is_offline(r->f.log);
    int rc = append_bytes(r->f.log, bytes, size, origin, r->leader_epoch, &info);
    for (int i = 0; !off_line && i < records; i++) {
        e->number[e->end + i] = given ? given->number + i : 0;
        e->epoch[e->end + i] = r->leader_epoch;
    }
    if (rc && !off_line && e->may_end < e->end + records)
        e->may_end = e->end + records;
    if (rc)
        return rc;
    assert_int_equal(info.base_offset, e->end);
    e->last_base = e->end;
    e->end += records;
    e->sure_end = e->may_end = e->end;
    return 0;
}

static int append_more(struct run *r, struct batch_spec spec)
{
    size_t size;
    spec.number = r->next_number;
    spec.value_bytes = 40;
    r->next_number += spec_records(&spec);
    uint8_t *bytes = make_batch(&spec, &size);
    return try_append(r, &spec, bytes, size, LOG_ORIGIN_CLIENT);
}

// ---------------------------------------------------------------- the steps of a log's life

static int append_idempotent(struct run *r)
{
    int rc = append_more(
        r, (struct batch_spec){.records = 2, .producer_id = IDEMPOTENT, .sequence = r->e.sequence});
    r->e.sequence += rc ? 0 : 2;
    return rc;
}

static int append_plain(struct run *r)
{
    return append_more(r, (struct batch_spec){.records = 3});
}

static int begin_transaction(struct run *r)
{
    int64_t first = r->e.end;
    int rc = append_more(r, (struct batch_spec){.producer_id = ABORTING, .transactional = true});
    if (rc == 0)
        r->e.aborted_first = first;
    return rc;
}

static int abort_transaction(struct run *r)
{
    size_t size;
    int64_t at = r->e.end;
    if (!r->e.aborted_first) // there is none
        return 0;
    uint8_t *marker = make_marker(ABORTING, 0, false, 1, &size);
    int rc = try_append(r, NULL, marker, size, LOG_ORIGIN_COORDINATOR);
    if (rc == 0)
        r->e.aborted_marker = at;
    return rc;
}

static int leave_transaction_open(struct run *r)
{
    return append_more(r, (struct batch_spec){.producer_id = LEFT_OPEN, .transactional = true});
}

static int append_together(struct run *r)
{
    struct log_group_append appends[3], *all[3];
    struct batch_spec specs[3];
    int rc = 0;
    for (int i = 0; i < 3; i++) {
        specs[i] = (struct batch_spec){.number = r->next_number++, .value_bytes = 40};
        appends[i].bytes = make_batch(&specs[i], &appends[i].size);
        all[i] = &appends[i];
    }
    bool off_line = log_is_offline(r->f.log);
    log_lock(r->f.log);
    log_append_group(r->f.log, all, 3, r->leader_epoch, 5000);
    log_unlock(r->f.log);
    int64_t may_end = r->e.end;
    for (int i = 0; i < 3; i++) {
        free(appends[i].bytes);
        if (off_line)
            continue;
        int64_t at = appends[i].rc ? may_end : r->e.end;
        r->e.number[at] = specs[i].number;
        r->e.epoch[at] = r->leader_epoch;
        may_end = at + 1;
        rc = appends[i].rc;
        if (appends[i].rc)
            continue;
        assert_int_equal(appends[i].info.base_offset, r->e.end);
        r->e.last_base = r->e.end;
        r->e.sure_end = r->e.end = may_end;
    }
    if (!off_line && r->e.may_end < may_end)
        r->e.may_end = may_end;
    return rc;
}

static int new_epoch(struct run *r)
{
    log_lock(r->f.log);
    int rc = log_assign_epoch(r->f.log, r->leader_epoch + 2);
    log_unlock(r->f.log);
    if (rc == 0)
        r->leader_epoch += 2;
    return rc;
}

static int flush(struct run *r)
{
    return log_flush(r->f.log, log_end_offset(r->f.log));
}

static int roll(struct run *r)
{
    log_lock(r->f.log);
    int rc = log_roll(r->f.log, 6000);
    log_unlock(r->f.log);
    return rc;
}

// DeleteRecords, and then the files below go.
static int delete_records(struct run *r)
{
    size_t removed;
    int64_t to = r->e.end < 9 ? r->e.end : 9;
    log_lock(r->f.log);
    log_set_high_watermark(r->f.log, r->e.end);
    int rc = log_set_start_offset(r->f.log, to);
    if (rc == 0) {
        r->e.start = to;
        rc = log_apply_retention(r->f.log, 7000, &removed);
    }
    log_unlock(r->f.log);
    return rc;
}

// The log ends here from now on.
static void ends_at(struct expected *e, int64_t end)
{
    e->end = e->sure_end = e->may_end = end;
    if (e->aborted_marker >= end)
        e->aborted_marker = 0;
}

static int truncate_some(struct run *r)
{
    int64_t to = r->e.last_base;
    log_lock(r->f.log);
    int rc = log_truncate_to(r->f.log, to);
    log_unlock(r->f.log);
    if (rc && r->e.sure_end > to)
        r->e.sure_end = to;
    if (rc == 0)
        ends_at(&r->e, to);
    return rc;
}

static int close_clean(struct run *r)
{
    int rc = log_close(r->f.log, true);
    r->f.log = NULL;
    r->closed_clean = rc == 0;
    return rc;
}

typedef int (*step_fn)(struct run *r);

// Truncation comes where no idempotent record is lost with it: producers would be told of the older sequence.
static const step_fn whole_life[] = {
    append_idempotent,
    append_idempotent,
    append_idempotent,
    new_epoch,
    append_plain,
    flush,
    append_idempotent,
    begin_transaction,
    append_plain,
    abort_transaction,
    append_idempotent,
    roll,
    append_together,
    flush,
    append_plain,
    delete_records,
    append_plain,
    new_epoch,
    append_plain,
    truncate_some,
    append_together,
    leave_transaction_open,
    flush,
    append_plain,
    append_idempotent,
    append_together,
};

// ---------------------------------------------------------------- what is found

static void check_batch(const struct run *r, const struct batch_header *h, struct bytes batch, int64_t *next)
{
    struct buffer scratch = BUFFER_INIT;
    struct bytes body;
    struct record record;
    assert_true(batch_crc_ok(batch));
    assert_int_equal(batch_body(h, batch, 1 << 20, &scratch, &body), 0);
    struct record_cursor records = record_cursor(body, h->count);
    while (record_cursor_next(&records, &record) > 0) {
        int64_t offset = record_offset(h, &record);
        assert_true(offset < r->e.may_end);
        assert_int_equal(h->leader_epoch, r->e.epoch[offset]);
        if (batch_is_control(h))
            assert_int_equal(r->e.number[offset], 0);
        else
            assert_int_equal(strtol((const char *)record.value.data, NULL, 10), r->e.number[offset]);
        if (offset >= *next)
            assert_int_equal(offset, (*next)++);
    }
    buffer_free(&scratch);
}

// Every record is the one that was acknowledged at its offset, and none lacks.
static void check_records(const struct run *r)
{
    struct log_offsets o;
    log_offsets(r->f.log, &o);
    assert_int_equal(o.log_start_offset, r->e.start);
    assert_true(o.end_offset >= r->e.sure_end && o.end_offset <= r->e.may_end);
    int64_t next = o.log_start_offset;
    while (next < o.end_offset) {
        struct log_slice slice;
        struct batch_header h;
        struct bytes batch;
        assert_int_equal(log_read(r->f.log, next, 1 << 16, LOG_BOUND_END, true, &slice), 0);
        if (slice.size == 0)
            fail_msg("nothing at offset %lld of [%lld, %lld)", (long long)next, (long long)o.log_start_offset,
                     (long long)o.end_offset);
        uint8_t *bytes = malloc(slice.size);
        assert_int_equal(log_slice_copy(&slice, 0, bytes, slice.size), 0);
        struct batch_cursor c = batch_cursor((struct bytes){bytes, slice.size});
        while (batch_cursor_next(&c, &h, &batch) > 0)
            check_batch(r, &h, batch, &next);
        free(bytes);
        log_slice_release(&slice);
    }
    assert_int_equal(next, o.end_offset);
}

static void check_epochs(const struct run *r)
{
    int64_t end = log_end_offset(r->f.log);
    for (int64_t i = r->e.start; i < end; i++)
        if (log_epoch_of_offset(r->f.log, i) != r->e.epoch[i])
            fail_msg("offset %lld: epoch %d, not %d", (long long)i, log_epoch_of_offset(r->f.log, i),
                     r->e.epoch[i]);
}

static void check_aborted(const struct run *r)
{
    struct log_aborted *aborted;
    size_t count;
    if (!r->e.aborted_marker || r->e.aborted_marker >= r->e.sure_end)
        return;
    int rc = log_aborted_transactions(r->f.log, r->e.start, r->e.end, &aborted, &count);
    if (rc || count != 1)
        fail_msg("%zu aborted transactions from %lld to %lld: %s", count, (long long)r->e.start,
                 (long long)r->e.end, err_text(rc));
    assert_int_equal(aborted[0].producer_id, ABORTING);
    assert_int_equal(aborted[0].first_offset, r->e.aborted_first);
    free(aborted);
}

static void check(const struct run *r)
{
    check_records(r);
    check_epochs(r);
    check_aborted(r);
}

// ---------------------------------------------------------------- runs

static struct log_params params_of(struct run *r, bool clean, int64_t recovery_point, bool same_boot)
{
    struct log_params p = fixture_params(&r->f, clean, recovery_point);
    p.health = &r->health;
    p.same_boot = same_boot;
    p.log_start_offset = r->start;
    return p;
}

static void start_run(struct run *r)
{
    *r = (struct run){.next_number = 1, .health.path = "d"};
    fixture_start(&r->f);
    r->f.config.segment_bytes = SEGMENT_BYTES;
    r->f.config.index_interval_bytes = 100;
    r->f.config.retention_ms = -1;
}

static void reopen(struct run *r, bool same_boot)
{
    char message[256] = "";
    atomic_store(&r->health.failed, false);
    struct log_params p = params_of(r, r->closed_clean, r->point, same_boot);
    int rc = log_open(&p, &r->f.log, message, sizeof message);
    if (rc)
        print_error("%s: %s\n", err_text(rc), message);
    assert_int_equal(rc, 0);
}

// What was found from now on is what there is; a producer goes on where it stood.
static void go_on(struct run *r)
{
    ends_at(&r->e, log_end_offset(r->f.log));
    assert_int_equal(append_plain(r), 0);
    set_watermark(r->f.log, r->e.end);
    assert_int_equal(flush(r), 0);
    check(r);
}

static void checkpoint(struct run *r)
{
    r->point = log_recovery_point(r->f.log);
    r->start = r->e.start > r->f.log->segments[0]->base_offset ? r->e.start : 0;
}

static void live(struct run *r, struct nth_call *c, bool stop)
{
    start_run(r);
    nth_call_arm(c);
    struct log_params p = params_of(r, true, 0, false);
    int rc = log_open(&p, &r->f.log, NULL, 0);
    for (size_t i = 0; rc == 0 && i < sizeof whole_life / sizeof *whole_life; i++) {
        (void)whole_life[i](r);
        if (c->fault->error != EIO) // want of room, and of descriptors, passes
            assert_false(dir_health_failed(&r->health));
        if (!c->fault->onwards && c->hit && !log_is_offline(r->f.log)) {
            file_set_fault(NULL, NULL);
            check(r);
            file_set_fault(nth_call_decide, c);
        }
    }
    if (rc == 0)
        checkpoint(r);
    if (rc == 0 && stop && close_clean(r) == 0)
        r->point = r->e.end;
    if (r->f.log)
        log_close(r->f.log, false);
    r->f.log = NULL;
    nth_call_disarm(c);
}

// The run is repeated by its fault, its call and its end.
static void said(const struct nth_call *c, int end)
{
    const char *only = getenv("NTH_CALL");
    if (only)
        print_message("%s, call %d, end %d\n", c->fault->name, c->n, end);
}

static void any_call_of_a_life(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2 * NTH_FAULTS; k++) {
        struct nth_call c = {.n = 1, .fault = &nth_faults[k / 2]};
        for (; c.n == 1 || c.hit; c.n++) {
            struct run r;
            said(&c, k % 2);
            live(&r, &c, k % 2);
            reopen(&r, c.n % 2);
            check(&r);
            go_on(&r);
            checkpoint(&r);
            assert_int_equal(close_clean(&r), 0);
            reopen(&r, false);
            check(&r);
            fixture_stop(&r.f);
        }
        print_message("%s: %d calls\n", c.fault->name, c.n - 1);
    }
}

int main(void)
{
    logger_set_level(LOG_LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_of_a_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
