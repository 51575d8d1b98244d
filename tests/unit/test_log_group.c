// Several appends with one write: the same log, answers and states as one by one, and all of it or nothing.
#include "log_fixture.h"

#include "base/clock.h"
#include "base/logger.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

struct set {
    struct log_group_append items[LOG_GROUP_APPENDS], *pointers[LOG_GROUP_APPENDS];
    size_t count;
};

static void set_add(struct set *s, const struct batch_spec *spec)
{
    struct log_group_append *a = &s->items[s->count];
    *a = (struct log_group_append){.rc = 77};
    a->bytes = make_batch(spec, &a->size);
    s->pointers[s->count++] = a;
}

static void set_append(struct log *log, struct set *s)
{
    log_lock(log);
    log_append_group(log, s->pointers, s->count, 0, 5000);
    log_unlock(log);
}

static void set_clear(struct set *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->items[i].bytes);
    s->count = 0;
}

// ---------------------------------------------------------------- the same as one by one

static struct batch_spec random_spec(unsigned *seed, int32_t next[4], int16_t epochs[4])
{
    struct batch_spec spec = {.records = 1 + rand_r(seed) % 3,
                              .timestamp_ms = 1000 + rand_r(seed) % 500,
                              .value_bytes = 10 + (size_t)(rand_r(seed) % 200)};
    int who = rand_r(seed) % 4, what = rand_r(seed) % 40;
    if (who == 0)
        return spec;
    spec.producer_id = who;
    spec.epoch = epochs[who];
    spec.sequence = next[who];
    if (what == 0 && next[who] >= 3)
        spec.sequence -= 1 + rand_r(seed) % 3; // perhaps a duplicate
    else if (what == 1)
        spec.sequence += 5;
    else if (what == 2)
        spec.epoch--;
    else if (what == 3) {
        spec.epoch = ++epochs[who];
        spec.sequence = next[who] = 0;
    } else if (what == 4 && rand_r(seed) % 4 == 0)
        spec.transactional = true;
    if (spec.sequence == next[who] && spec.epoch == epochs[who])
        next[who] += spec.records;
    return spec;
}

static void assert_same_info(const struct log_group_append *together, int rc,
                             const struct log_append_info *alone)
{
    assert_int_equal(together->rc, rc);
    assert_int_equal(together->info.error_code, alone->error_code);
    assert_string_equal(together->info.message, alone->message);
    assert_int_equal(together->info.base_offset, alone->base_offset);
    assert_int_equal(together->info.last_offset, alone->last_offset);
    assert_int_equal(together->info.duplicate, alone->duplicate);
    assert_int_equal(together->info.flush_due, alone->flush_due);
    assert_int_equal(together->info.last_stable_moved, alone->last_stable_moved);
    assert_int_equal(together->info.append_time_ms, alone->append_time_ms);
}

static int compare_file(void *arg, const char *name)
{
    struct log_fixture *both = arg;
    struct buffer content[2] = {BUFFER_INIT, BUFFER_INIT};
    char path[512];
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/t-0/%s", both[i].root, name);
        int rc = file_read_whole(path, 1 << 24, &content[i]);
        if (rc)
            fail_msg("%s: %s", path, err_text(rc));
    }
    if (content[0].size != content[1].size || memcmp(content[0].data, content[1].data, content[0].size) != 0)
        fail_msg("%s differs", name);
    buffer_free(&content[0]);
    buffer_free(&content[1]);
    return 0;
}

static void makes_the_same_log(void **state)
{
    (void)state;
    unsigned seed = (unsigned)getpid();
    print_message("seed %u\n", seed);
    for (int round = 0; round < 20; round++) {
        struct log_fixture f[2];
        int32_t next[4] = {0};
        int16_t epochs[4] = {1, 1, 1, 1};
        for (int i = 0; i < 2; i++) {
            fixture_start(&f[i]);
            f[i].config.segment_bytes = 6000;
            f[i].config.index_interval_bytes = 300;
            f[i].config.segment_index_bytes = round % 2 ? 96 : 1 << 20;
            f[i].config.flush_messages = 50;
            fixture_open(&f[i], true, 0);
        }
        for (int i = 0; i < 60; i++) {
            struct set set = {.count = 0};
            struct log_append_info alone[LOG_GROUP_APPENDS];
            int rcs[LOG_GROUP_APPENDS];
            for (int n = 1 + rand_r(&seed) % (i % 2 ? 12 : LOG_GROUP_APPENDS); n > 0; n--) {
                struct batch_spec spec = random_spec(&seed, next, epochs);
                rcs[set.count] = append(f[1].log, &spec, &alone[set.count]);
                set_add(&set, &spec);
            }
            set_append(f[0].log, &set);
            for (size_t k = 0; k < set.count; k++)
                assert_same_info(&set.items[k], rcs[k], &alone[k]);
            set_clear(&set);
            assert_int_equal(log_end_offset(f[0].log), log_end_offset(f[1].log));
        }
        assert_true(log_segment_count(f[1].log) > 3);
        assert_int_equal(log_segment_count(f[0].log), log_segment_count(f[1].log));
        for (int i = 0; i < 2; i++) {
            assert_int_equal(log_close(f[i].log, true), 0);
            f[i].log = NULL;
        }
        char dir[128];
        snprintf(dir, sizeof dir, "%s/t-0", f[1].root);
        assert_int_equal(file_list(dir, compare_file, f), 0);
        fixture_stop(&f[0]);
        fixture_stop(&f[1]);
    }
}

// ---------------------------------------------------------------- one write, all or nothing

struct watch {
    struct log *log;
    int writes, fail_write; // the fail_write-th write fails; 0: none
    size_t written;         // before it fails
    bool fail_truncate;
    int64_t end; // nobody may see more while it is written
};

static struct file_fault watch_call(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    struct watch *w = arg;
    (void)fd, (void)path, (void)size;
    if (call == FILE_CALL_TRUNCATE && w->fail_truncate)
        return (struct file_fault){.error = EIO};
    if (call != FILE_CALL_WRITE)
        return (struct file_fault){0};
    struct log_slice slice;
    assert_int_equal(log_end_offset(w->log), w->end);
    assert_int_equal(log_read(w->log, w->end, 1 << 20, LOG_BOUND_END, true, &slice), 0);
    assert_int_equal(slice.size, 0);
    log_slice_release(&slice);
    if (++w->writes == w->fail_write)
        return (struct file_fault){.error = EIO, .write_bytes = w->written};
    return (struct file_fault){0};
}

static void start_known(struct log_fixture *f)
{
    fixture_start(f);
    fixture_open(f, true, 0);
    append_ok(f->log, BATCH_SPEC(.producer_id = 5), 0); // the producer is known, the segment not empty
}

static void five_in_a_row(struct set *set)
{
    *set = (struct set){.count = 0};
    for (int i = 0; i < 5; i++)
        set_add(set, BATCH_SPEC(.producer_id = i % 2 ? 0 : 5, .sequence = 1 + i / 2, .value_bytes = 1000));
}

static void one_write_and_nothing_is_seen_before(void **state)
{
    struct log_fixture f;
    struct set set;
    (void)state;
    start_known(&f);
    five_in_a_row(&set);
    struct watch w = {.log = f.log, .end = 1};
    file_set_fault(watch_call, &w);
    set_append(f.log, &set);
    file_set_fault(NULL, NULL);
    assert_int_equal(w.writes, 1);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(set.items[i].rc, 0);
        assert_int_equal(set.items[i].info.base_offset, 1 + (int64_t)i);
    }
    set_clear(&set);
    assert_int_equal(read_all(f.log, 0), 6);
    fixture_stop(&f);
}

static void a_failed_write_fails_them_all(void **state)
{
    (void)state;
    for (size_t written = 0; written < 5500; written += 499) {
        struct log_fixture f;
        struct set set;
        start_known(&f);
        int64_t size = log_size_bytes(f.log);
        five_in_a_row(&set);
        struct watch w = {.log = f.log, .end = 1, .fail_write = 1, .written = written};
        file_set_fault(watch_call, &w);
        set_append(f.log, &set);
        file_set_fault(NULL, NULL);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(set.items[i].rc, ERR_IO);
            assert_true(set.items[i].info.message[0]);
            assert_int_equal(set.items[i].info.base_offset, LOG_NO_OFFSET);
        }
        assert_int_equal(log_end_offset(f.log), 1);
        assert_int_equal(log_size_bytes(f.log), size);
        assert_int_equal(read_all(f.log, 0), 1);
        set_append(f.log, &set); // the producer did not move either
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(set.items[i].rc, 0);
            assert_false(set.items[i].info.duplicate);
        }
        set_clear(&set);
        log_close(f.log, false);
        fixture_open(&f, false, 0);
        assert_int_equal(read_all(f.log, 0), 6);
        fixture_stop(&f);
    }
}

static void what_cannot_be_taken_back_stops_the_log(void **state)
{
    struct log_fixture f;
    struct set set;
    (void)state;
    start_known(&f);
    five_in_a_row(&set);
    set_add(&set, BATCH_SPEC(.producer_id = 9)); // not known: it is appended by itself
    set_add(&set, BATCH_SPEC(.producer_id = 0));
    struct watch w = {.log = f.log, .end = 1, .fail_write = 1, .written = 1500, .fail_truncate = true};
    file_set_fault(watch_call, &w);
    set_append(f.log, &set);
    file_set_fault(NULL, NULL);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(set.items[i].rc, i < 5 ? ERR_IO : ERR_CLOSED);
    assert_int_equal(w.writes, 1);
    assert_true(log_is_offline(f.log));
    set_clear(&set);
    log_close(f.log, false);
    fixture_open(&f, false, 0); // a whole batch is there that nobody was told of; half of one is not
    assert_int_equal(read_all(f.log, 0), 2);
    fixture_stop(&f);
}

static void repeated_and_skipped_in_one_group(void **state)
{
    struct log_fixture f;
    struct set set = {.count = 0};
    (void)state;
    start_known(&f);
    const int32_t sequences[] = {1, 2, 1, 2, 4, 3};
    for (int i = 0; i < 6; i++)
        set_add(&set, BATCH_SPEC(.producer_id = 5, .sequence = sequences[i]));
    set_append(f.log, &set);
    const int64_t offsets[] = {1, 2, 1, 2, LOG_NO_OFFSET, 3};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(set.items[i].rc, i == 4 ? ERR_INVALID : 0);
        assert_int_equal(set.items[i].info.duplicate, i == 2 || i == 3);
        assert_int_equal(set.items[i].info.base_offset, offsets[i]);
    }
    assert_int_equal(set.items[4].info.error_code, 45); // OUT_OF_ORDER_SEQUENCE_NUMBER
    set_clear(&set);
    assert_int_equal(read_all(f.log, 0), 4);
    fixture_stop(&f);
}

// ---------------------------------------------------------------- threads

struct crew {
    struct log *log;
    atomic_bool stop;
    atomic_int reads;
    int64_t producer_id;
    int64_t appended;
};

// As a reactor does it: groups of its own producer, which must find their offsets in their order.
static void *append_on(void *arg)
{
    struct crew *c = arg;
    int32_t sequence = 0;
    int64_t last = -1;
    for (int i = 0; i < 150; i++) {
        struct set set = {.count = 0};
        for (int k = 0; k <= i % 9; k++)
            set_add(&set,
                    BATCH_SPEC(.producer_id = c->producer_id, .sequence = sequence++, .value_bytes = 300));
        set_append(c->log, &set);
        for (size_t k = 0; k < set.count; k++) {
            assert_int_equal(set.items[k].rc, 0);
            assert_true(set.items[k].info.base_offset > last);
            last = set.items[k].info.base_offset;
        }
        c->appended += (int64_t)set.count;
        set_clear(&set);
    }
    return NULL;
}

static void *read_on(void *arg)
{
    struct crew *c = arg;
    do {
        int64_t end = log_end_offset(c->log);
        assert_true(read_all(c->log, end > 20 ? end - 20 : 0) >= end); // whole batches with right checksums
        atomic_fetch_add(&c->reads, 1);
    } while (!atomic_load(&c->stop));
    return NULL;
}

static void two_reactors_on_one_partition(void **state)
{
    struct log_fixture f;
    pthread_t threads[3];
    (void)state;
    fixture_start(&f);
    f.config.segment_bytes = 40000;
    fixture_open(&f, true, 0);
    struct crew crew[3] = {
        {.log = f.log, .producer_id = 1}, {.log = f.log, .producer_id = 2}, {.log = f.log}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i == 2 ? read_on : append_on, &crew[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&crew[2].stop, true);
    pthread_join(threads[2], NULL);
    assert_true(atomic_load(&crew[2].reads) > 0);
    assert_int_equal(log_end_offset(f.log), crew[0].appended + crew[1].appended);
    assert_int_equal(read_all(f.log, 0), crew[0].appended + crew[1].appended);
    log_close(f.log, false);
    fixture_open(&f, false, 0);
    assert_int_equal(read_all(f.log, 0), crew[0].appended + crew[1].appended);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_the_same_log),
        cmocka_unit_test(one_write_and_nothing_is_seen_before),
        cmocka_unit_test(a_failed_write_fails_them_all),
        cmocka_unit_test(what_cannot_be_taken_back_stops_the_log),
        cmocka_unit_test(repeated_and_skipped_in_one_group),
        cmocka_unit_test(two_reactors_on_one_partition),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
