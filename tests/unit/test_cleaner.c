// Compaction of a log on disk: against a model, with a fault at every call, and beside slow readers.
#include "log_fixture.h"
#include "nth_call.h"

#include "base/logger.h"
#include "storage/cleaner.h"
#include "storage/cleaner_keys.h"
#include "storage/log_state.h"

#include <time.h>

#define KEYS    40
#define RECORDS 4096 // at most, of one test's log

// ---------------------------------------------------------------- what was written

struct written {
    int key;
    int64_t timestamp_ms;
    int value; // -1: a tombstone
};

struct model {
    struct written records[RECORDS]; // by offset
    int64_t end;
    int32_t sequences[3]; // of producers 1 and 2
    uint64_t random;
};

static uint32_t next_random(struct model *m, uint32_t below)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 33) % below;
}

static void write_batch(struct log_fixture *f, struct model *m)
{
    struct batch_options o = BATCH_OPTIONS;
    struct batch_builder b = {0};
    struct bytes out;
    struct log_append_info info;
    int records = 1 + (int)next_random(m, 8);
    int64_t producer = next_random(m, 3);
    if (producer) {
        o.producer_id = producer;
        o.producer_epoch = 0;
        o.base_sequence = m->sequences[producer];
        m->sequences[producer] += records;
    }
    o.compression = (enum compression)next_random(m, COMPRESSION_TYPES);
    batch_builder_init(&b, &o);
    for (int i = 0; i < records; i++) {
        char key[16], value[256];
        struct written *w = &m->records[m->end + i];
        *w = (struct written){.key = (int)next_random(m, KEYS),
                              .timestamp_ms = 1000 + next_random(m, 100000),
                              .value = next_random(m, 7) ? (int)next_random(m, 1000000) : -1};
        int k = snprintf(key, sizeof key, "k%d", w->key),
            v = snprintf(value, sizeof value, "%d %*d", w->value, (int)next_random(m, 200), 0);
        struct bytes no_value = BYTES_NULL, bytes = {(const uint8_t *)value, (size_t)v};
        batch_builder_add(&b, w->timestamp_ms, (struct bytes){(const uint8_t *)key, (size_t)k},
                          w->value < 0 ? no_value : bytes, NULL, 0);
    }
    assert_int_equal(batch_builder_finish(&b, &out), 0);
    log_lock(f->log);
    assert_int_equal(
        log_append(f->log, (uint8_t *)(uintptr_t)out.data, out.size, 0, LOG_ORIGIN_CLIENT, 5000, &info), 0);
    log_unlock(f->log);
    assert_int_equal(info.base_offset, m->end);
    m->end += records;
    batch_builder_free(&b);
}

static void write_some(struct log_fixture *f, struct model *m, int batches)
{
    for (int i = 0; i < batches && m->end + 8 < RECORDS; i++)
        write_batch(f, m);
    set_watermark(f->log, m->end);
}

// ---------------------------------------------------------------- what is there

struct found {
    int64_t last[KEYS];                    // offset of the key's last record, or -1
    int64_t count[KEYS];                   // of its records below `below`
    int64_t bases[RECORDS], ends[RECORDS]; // batches
    size_t batches;
    int64_t records;
};

static void check_record(const struct model *m, int64_t offset, const struct batch_header *h,
                         const struct record *r)
{
    const struct written *w = &m->records[offset];
    char key[16];
    assert_int_equal(record_timestamp_ms(h, r), w->timestamp_ms);
    assert_int_equal(r->key.size, snprintf(key, sizeof key, "k%d", w->key));
    assert_memory_equal(r->key.data, key, r->key.size);
    assert_int_equal(r->value.data == NULL, w->value < 0);
    if (r->value.data)
        assert_int_equal(strtol((const char *)r->value.data, NULL, 10), w->value);
}

static void note_batch(const struct model *m, struct found *f, const struct batch_header *h,
                       struct bytes batch, int64_t below)
{
    struct buffer scratch = BUFFER_INIT;
    struct bytes body;
    struct record r;
    assert_true(batch_crc_ok(batch));
    assert_int_equal(batch_body(h, batch, 1 << 20, &scratch, &body), 0);
    struct record_cursor records = record_cursor(body, h->count);
    int64_t before = h->base_offset - 1;
    int rc;
    while ((rc = record_cursor_next(&records, &r)) > 0) {
        int64_t offset = record_offset(h, &r);
        assert_true(offset > before && offset <= batch_last_offset(h));
        check_record(m, offset, h, &r);
        f->last[m->records[offset].key] = offset;
        f->count[m->records[offset].key] += offset < below;
        f->records++;
        before = offset;
    }
    assert_int_equal(rc, 0);
    f->bases[f->batches] = h->base_offset;
    f->ends[f->batches++] = batch_last_offset(h);
    buffer_free(&scratch);
}

// Reads all of the log. Every record is the one that was written at its offset; counts those below `below`.
static void read_log(struct log *log, const struct model *m, int64_t below, struct found *f)
{
    memset(f, 0, sizeof *f);
    for (int k = 0; k < KEYS; k++)
        f->last[k] = -1;
    for (int64_t next = 0; next < m->end;) {
        struct log_slice slice;
        struct batch_header h;
        struct bytes batch;
        assert_int_equal(log_read(log, next, 700, LOG_BOUND_END, true, &slice), 0);
        assert_true(slice.size > 0);
        uint8_t *bytes = malloc(slice.size);
        assert_int_equal(log_slice_copy(&slice, 0, bytes, slice.size), 0);
        struct batch_cursor c = batch_cursor((struct bytes){bytes, slice.size});
        while (batch_cursor_next(&c, &h, &batch) > 0) {
            assert_true(batch_last_offset(&h) >= next);
            note_batch(m, f, &h, batch, below);
            next = batch_last_offset(&h) + 1;
        }
        free(bytes);
        log_slice_release(&slice);
    }
}

// The last record of each key is there; a tombstone may be gone with all that it stood for.
static void check_last(const struct model *m, const struct found *f)
{
    int64_t last[KEYS];
    for (int k = 0; k < KEYS; k++)
        last[k] = -1;
    for (int64_t i = 0; i < m->end; i++)
        last[m->records[i].key] = i;
    for (int k = 0; k < KEYS; k++)
        if (f->last[k] != last[k] && !(f->last[k] == -1 && m->records[last[k]].value < 0))
            fail_msg("key %d: the last record is at %lld, not at %lld", k, (long long)f->last[k],
                     (long long)last[k]);
}

// A read from any offset begins with the first batch that ends at it or behind it.
static void check_reads(struct log *log, struct model *m, const struct found *f)
{
    for (int i = 0; i < 50; i++) {
        struct log_slice slice;
        int64_t offset = next_random(m, (uint32_t)m->end);
        size_t batch = 0;
        while (f->ends[batch] < offset)
            batch++;
        assert_int_equal(log_read(log, offset, 1, LOG_BOUND_HIGH_WATERMARK, true, &slice), 0);
        assert_int_equal(slice_base(&slice), f->bases[batch]);
        log_slice_release(&slice);
    }
}

static void check_log(struct log *log, struct model *m, int64_t below, struct found *f)
{
    assert_int_equal(log_end_offset(log), m->end);
    read_log(log, m, below, f);
    check_last(m, f);
    check_reads(log, m, f);
}

// ---------------------------------------------------------------- rounds

static void compacted_start(struct log_fixture *f)
{
    fixture_start(f);
    f->config.cleanup_compact = true;
    f->config.cleanup_delete = false;
    f->config.segment_bytes = 4096;
    f->config.index_interval_bytes = 256;
    f->config.min_cleanable_dirty_ratio = 0;
    f->config.delete_retention_ms = 1000;
}

static int clean(struct log *log, size_t keys, int64_t now_ms, struct cleaner_range *range,
                 struct cleaner_stats *stats)
{
    struct cleaner *c = cleaner_new(&(struct cleaner_params){
        .keys_bytes = keys * CLEANER_KEY_BYTES, .load_factor = 0.9, .chunk_bytes = 4096});
    int rc = cleaner_look(log, now_ms, range);
    *stats = (struct cleaner_stats){0};
    if (rc == 0 && cleaner_is_due(range, 0))
        rc = cleaner_clean(c, log, range, now_ms, stats);
    cleaner_free(c);
    return rc;
}

static void reopen(struct log_fixture *f, const struct model *m)
{
    int64_t cleaned_to = f->log->cleaned_to, point = log_recovery_point(f->log);
    log_close(f->log, false);
    fixture_open(f, false, point);
    f->log->cleaned_to = cleaned_to;
    set_watermark(f->log, m->end);
}

static void check_producers(struct log *log, const struct model *m)
{
    struct log_producer *producers;
    size_t count;
    log_lock(log);
    assert_int_equal(log_producers(log, &producers, &count), 0);
    log_unlock(log);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(producers[i].last_sequence, m->sequences[producers[i].producer_id] - 1);
    free(producers);
}

static void run_seed(uint64_t seed)
{
    struct log_fixture f;
    struct model m = {.random = seed * 2654435761u + 88172645463325252u};
    static struct found found;
    compacted_start(&f);
    fixture_open(&f, true, 0);
    int64_t now_ms = 200000;
    for (int round = 0; round < 6; round++) {
        struct cleaner_range range;
        struct cleaner_stats stats;
        write_some(&f, &m, 20 + (int)next_random(&m, 60));
        size_t keys = next_random(&m, 2) ? 1000 : 5 + next_random(&m, 30); // a small table: part of the way
        assert_int_equal(clean(f.log, keys, now_ms, &range, &stats), 0);
        check_log(f.log, &m, stats.end, &found);
        for (int k = 0; k < KEYS && stats.end; k++)
            if (found.count[k] > 1)
                fail_msg("key %d has %lld records below offset %lld", k, (long long)found.count[k],
                         (long long)stats.end);
        assert_int_equal(f.log->cleaned_to, stats.end ? stats.end : f.log->cleaned_to);
        check_producers(f.log, &m);
        if (next_random(&m, 2)) {
            reopen(&f, &m);
            check_log(f.log, &m, 0, &found);
            check_producers(f.log, &m);
        }
        now_ms += next_random(&m, 2000);
    }
    fixture_stop(&f);
}

static void test_model(void **state)
{
    (void)state;
    const char *given = getenv("SEED");
    uint64_t first = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) % 1000000;
    print_message("SEED=%llu\n", (unsigned long long)first);
    for (uint64_t i = 0; i < 30; i++)
        run_seed(first + i);
}

// Without room for all keys several rounds do what one would have done.
static void test_small_table(void **state)
{
    (void)state;
    struct log_fixture f;
    struct model m = {.random = 12345};
    static struct found found;
    struct cleaner_range range;
    struct cleaner_stats stats;
    compacted_start(&f);
    fixture_open(&f, true, 0);
    write_some(&f, &m, 120);
    int64_t to = 0;
    int rounds = 0;
    for (; cleaner_look(f.log, 200000, &range) == 0 && cleaner_is_due(&range, 0); rounds++) {
        assert_int_equal(clean(f.log, 8, 200000, &range, &stats), 0);
        assert_true(stats.end > to);
        assert_int_equal(stats.keys, stats.end == range.first_uncleanable ? stats.keys : 7);
        to = stats.end;
    }
    assert_true(rounds > 3);
    assert_int_equal(to, log_active(f.log)->base_offset);
    check_log(f.log, &m, to, &found);
    fixture_stop(&f);
}

// ---------------------------------------------------------------- faults

// A round of compaction during which the n-th call fails, for every n: the log is as before, or it is off
// line and a start mends it. Every key's last record is there, and the next round does what this one would
// have.
static void run_with_fault(struct nth_call *c)
{
    static struct found found;
    struct log_fixture f;
    struct model m = {.random = 99};
    struct cleaner_range range;
    struct cleaner_stats stats;
    compacted_start(&f);
    struct reaper *reaper = reaper_new(); // what was replaced is still there
    struct log_params p = fixture_params(&f, true, 0);
    p.reaper = reaper;
    assert_int_equal(log_open(&p, &f.log, NULL, 0), 0);
    write_some(&f, &m, 60);
    assert_int_equal(log_flush(f.log, m.end), 0);
    int64_t point = log_recovery_point(f.log);
    nth_call_arm(c);
    int rc = clean(f.log, 1000, 200000, &range, &stats);
    nth_call_disarm(c);
    bool off_line = log_is_offline(f.log);
    assert_false(off_line && rc == 0);
    if (c->fault->onwards || off_line) {
        log_close(f.log, false);
        fixture_open(&f, false, point);
        set_watermark(f.log, m.end);
    }
    reaper_free(reaper);
    check_log(f.log, &m, 0, &found);
    check_producers(f.log, &m);
    f.log->reaper = NULL;
    assert_int_equal(clean(f.log, 1000, 200000, &range, &stats), 0);
    check_log(f.log, &m, stats.end, &found);
    for (int k = 0; k < KEYS; k++)
        assert_true(found.count[k] <= 1);
    fixture_stop(&f);
}

static void test_fault_anywhere(void **state)
{
    (void)state;
    for (size_t k = 0; k < NTH_FAULTS; k++)
        for (struct nth_call c = {.n = 1, .fault = &nth_faults[k]}; c.n == 1 || c.hit; c.n++)
            run_with_fault(&c);
}

// ---------------------------------------------------------------- others at work

// Slices that were taken before keep their bytes, while the log is compacted twice, and deleted.
static void test_slow_reader(void **state)
{
    (void)state;
    struct log_fixture f;
    struct model m = {.random = 7};
    struct cleaner_range range;
    struct cleaner_stats stats;
    struct log_slice slices[64];
    uint8_t *before[64];
    size_t count = 0;
    compacted_start(&f);
    fixture_open(&f, true, 0);
    write_some(&f, &m, 60);
    for (int64_t at = 0; at < m.end && count < 64; count++) {
        assert_int_equal(log_read(f.log, at, 1 << 20, LOG_BOUND_END, true, &slices[count]), 0);
        before[count] = malloc(slices[count].size);
        assert_int_equal(log_slice_copy(&slices[count], 0, before[count], slices[count].size), 0);
        struct segment *next = log_segment_after(f.log, slices[count].segment->base_offset);
        at = next ? next->base_offset : m.end;
        segment_unref(next);
    }
    assert_true(count > 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(clean(f.log, 1000, 200000, &range, &stats), 0);
        write_some(&f, &m, 30);
    }
    log_lock(f.log);
    assert_int_equal(log_delete(f.log), 0);
    log_unlock(f.log);
    for (size_t i = 0; i < count; i++) {
        uint8_t *now = malloc(slices[i].size);
        assert_int_equal(log_slice_copy(&slices[i], 0, now, slices[i].size), 0);
        assert_memory_equal(now, before[i], slices[i].size);
        free(now);
        free(before[i]);
        log_slice_release(&slices[i]);
    }
    fixture_stop(&f);
}

struct meddler {
    struct log *log;
    void (*act)(struct log *log);
    bool done;
};

static bool meddle(void *arg, int64_t us)
{
    struct meddler *m = arg;
    (void)us;
    if (!m->done)
        m->act(m->log);
    m->done = true;
    return true;
}

static void truncate_it(struct log *log)
{
    log_lock(log);
    assert_int_equal(log_truncate_to(log, 60), 0);
    log_unlock(log);
}

static void delete_it(struct log *log)
{
    log_lock(log);
    assert_int_equal(log_delete(log), 0);
    log_unlock(log);
}

static void change_policy(struct log *log)
{
    log_lock(log);
    struct log_config c;
    log_get_config(log, &c);
    c.cleanup_compact = false;
    log_set_config(log, &c);
    log_unlock(log);
}

static void shed_segments(struct log *log)
{
    size_t removed;
    log_lock(log);
    assert_int_equal(log_set_start_offset(log, log->segments[2]->base_offset), 0);
    assert_int_equal(log_apply_retention(log, 200000, &removed), 0);
    assert_int_equal(removed, 2);
    log_unlock(log);
}

// A round that is overtaken gives up, and has done no harm.
static void test_overtaken(void **state)
{
    (void)state;
    static const struct {
        void (*act)(struct log *log);
        int rc;
    } cases[] = {{truncate_it, ERR_AGAIN},
                 {delete_it, ERR_CLOSED},
                 {change_policy, ERR_AGAIN},
                 {shed_segments, ERR_AGAIN}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_fixture f;
        struct model m = {.random = 31};
        struct cleaner_range range;
        struct cleaner_stats stats;
        compacted_start(&f);
        fixture_open(&f, true, 0);
        write_some(&f, &m, 60);
        struct meddler meddler = {.log = f.log, .act = cases[i].act};
        struct cleaner *c = cleaner_new(&(struct cleaner_params){
            .keys_bytes = 1 << 16, .load_factor = 0.9, .chunk_bytes = 4096, .wait = meddle, .arg = &meddler});
        assert_int_equal(cleaner_look(f.log, 200000, &range), 0);
        assert_int_equal(cleaner_clean(c, f.log, &range, 200000, &stats), cases[i].rc);
        assert_int_equal(f.log->cleaned_to, 0);
        cleaner_free(c);
        if (cases[i].rc == ERR_AGAIN)
            read_all(f.log, f.log->log_start);
        fixture_stop(&f);
    }
}

static bool stop_at_once(void *arg, int64_t us)
{
    (void)arg, (void)us;
    return false;
}

static void test_stopped(void **state)
{
    (void)state;
    struct log_fixture f;
    struct model m = {.random = 31};
    struct cleaner_range range;
    struct cleaner_stats stats;
    static struct found found;
    compacted_start(&f);
    fixture_open(&f, true, 0);
    write_some(&f, &m, 60);
    struct cleaner *c = cleaner_new(&(struct cleaner_params){
        .keys_bytes = 1 << 16, .load_factor = 0.9, .chunk_bytes = 4096, .wait = stop_at_once});
    assert_int_equal(cleaner_look(f.log, 200000, &range), 0);
    assert_int_equal(cleaner_clean(c, f.log, &range, 200000, &stats), ERR_STOPPED);
    cleaner_free(c);
    check_log(f.log, &m, 0, &found);
    assert_int_equal(found.records, m.end);
    fixture_stop(&f);
}

// Truncation below what was cleaned makes what comes there dirty.
static void test_truncation_afterwards(void **state)
{
    (void)state;
    struct log_fixture f;
    struct model m = {.random = 31};
    struct cleaner_range range;
    struct cleaner_stats stats;
    compacted_start(&f);
    fixture_open(&f, true, 0);
    write_some(&f, &m, 60);
    assert_int_equal(clean(f.log, 1000, 200000, &range, &stats), 0);
    assert_true(f.log->cleaned_to > 60);
    truncate_it(f.log);
    assert_true(f.log->cleaned_to <= 60);
    fixture_stop(&f);
}

// Damage within the part to clean is met, not copied.
static void test_damage(void **state)
{
    (void)state;
    struct log_fixture f;
    struct model m = {.random = 31};
    struct cleaner_range range;
    struct cleaner_stats stats;
    char path[PATH_MAX];
    compacted_start(&f);
    fixture_open(&f, true, 0);
    write_some(&f, &m, 60);
    assert_int_equal(segment_file_name(f.log->place->dir, f.log->segments[1]->base_offset, ".log", path), 0);
    int fd = file_open(path, O_RDWR);
    uint8_t byte;
    assert_int_equal(file_read_exactly(fd, &byte, 1, 100), 0);
    byte ^= 1;
    assert_int_equal(file_write_at(fd, &byte, 1, 100), 0);
    file_close(fd);
    assert_int_equal(clean(f.log, 1000, 200000, &range, &stats), ERR_CORRUPT);
    assert_int_equal(f.log->cleaned_to, 0);
    fixture_stop(&f);
}

// Segments are sealed in time for max.compaction.lag.ms.
static void test_roll_for_lag(void **state)
{
    (void)state;
    struct log_fixture f;
    compacted_start(&f);
    f.config.segment_bytes = 1 << 20;
    f.config.max_compaction_lag_ms = 500;
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1000), 0);
    append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1500), 1);
    assert_int_equal(log_segment_count(f.log), 1);
    append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1501), 2);
    assert_int_equal(log_segment_count(f.log), 2);
    fixture_stop(&f);
}

int main(void)
{
    logger_set_level(LOG_LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_small_table),
        cmocka_unit_test(test_fault_anywhere),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_overtaken),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_truncation_afterwards),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_roll_for_lag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
