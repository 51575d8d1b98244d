#include "log_fixture.h"

#include "protocol/errors.h"
#include "replication/flusher.h"
#include "replication/partition.h"

#define BROKER 1

struct waiting {
    struct partition_waiter waiter;
    atomic_int woken;
};

static void on_wake(struct partition_waiter *w)
{
    atomic_fetch_add(&container_of(w, struct waiting, waiter)->woken, 1);
}

static struct waiting waiting_for(enum partition_wait kind, int64_t offset)
{
    struct waiting w = {.waiter = {.kind = kind, .offset = offset, .wake = on_wake}};
    return w;
}

static bool start_waiting(struct partition *p, struct waiting *w)
{
    list_init(&w->waiter.node);
    return partition_wait(p, &w->waiter);
}

static struct partition *make_partition(struct log_fixture *f)
{
    struct uuid id = {{7}};
    struct partition *p = partition_new(STR("t"), &id, 0, f->log, BROKER);
    assert_non_null(p);
    partition_set_config(p, &f->config);
    return p;
}

static int16_t produce(struct partition *p, const struct batch_spec *spec, int16_t acks, int64_t *wait_for,
                       bool *flush_due)
{
    size_t size;
    uint8_t *batch = make_batch(spec, &size);
    struct log_append_info info;
    int16_t error = partition_append(p, batch, size, acks, 1000, &info, wait_for, flush_due);
    free(batch);
    return error;
}

static int64_t high_watermark(struct partition *p)
{
    struct log_offsets o;
    log_offsets(p->log, &o);
    return o.high_watermark;
}

static void only_the_leader_of_the_epoch_serves(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    int64_t wait_for;
    bool flush_due;
    assert_int_equal(partition_check_leader(p, -1), E_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(produce(p, BATCH_SPEC(0), 1, &wait_for, &flush_due), E_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(partition_set_leader(p, BROKER, 3, 1), 0);
    assert_int_equal(partition_check_leader(p, -1), E_NONE);
    assert_int_equal(partition_check_leader(p, 3), E_NONE);
    assert_int_equal(partition_check_leader(p, 2), E_FENCED_LEADER_EPOCH);
    assert_int_equal(partition_check_leader(p, 4), E_UNKNOWN_LEADER_EPOCH);
    assert_int_equal(produce(p, BATCH_SPEC(0), -1, &wait_for, &flush_due), E_NONE);
    assert_int_equal(partition_set_leader(p, 2, 4, 1), 0);
    assert_int_equal(partition_check_leader(p, -1), E_NOT_LEADER_OR_FOLLOWER);
    partition_close(p);
    partition_unref(p);
    fixture_stop(&f);
}

static void a_single_replica_advances_at_once(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    partition_set_leader(p, BROKER, 0, 1);
    int64_t wait_for;
    bool flush_due;
    assert_int_equal(produce(p, BATCH_SPEC(.records = 5), -1, &wait_for, &flush_due), E_NONE);
    assert_int_equal(wait_for, -1);
    assert_false(flush_due);
    assert_int_equal(high_watermark(p), 5);

    struct log_config two = f.config;
    two.min_insync_replicas = 2;
    partition_set_config(p, &two);
    assert_int_equal(produce(p, BATCH_SPEC(0), -1, &wait_for, &flush_due), E_NOT_ENOUGH_REPLICAS);
    assert_int_equal(produce(p, BATCH_SPEC(0), 1, &wait_for, &flush_due),
                     E_NONE);     // who asks for less gets it
    partition_set_replicas(p, 1); // no more can be in sync than there are
    assert_int_equal(produce(p, BATCH_SPEC(0), -1, &wait_for, &flush_due), E_NONE);
    partition_unref(p);
    fixture_stop(&f);
}

// Replication invariants 3 and 4.
static void waiters_are_woken_once_or_cancelled(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    partition_set_leader(p, BROKER, 0, 1);
    int64_t wait_for;
    bool flush_due;
    struct waiting first = waiting_for(PARTITION_WAIT_HIGH_WATERMARK, 0),
                   later = waiting_for(PARTITION_WAIT_HIGH_WATERMARK, 1),
                   gone = waiting_for(PARTITION_WAIT_LAST_STABLE, 0);
    assert_true(start_waiting(p, &first));
    assert_true(start_waiting(p, &later));
    assert_true(start_waiting(p, &gone));
    partition_wait_cancel(&gone.waiter);
    produce(p, BATCH_SPEC(0), 1, &wait_for, &flush_due); // the high watermark becomes 1
    assert_int_equal(first.woken, 1);
    assert_int_equal(later.woken, 0);
    assert_int_equal(gone.woken, 0);
    produce(p, BATCH_SPEC(0), 1, &wait_for, &flush_due);
    assert_int_equal(first.woken, 1);
    assert_int_equal(later.woken, 1);
    partition_wait_cancel(&later.waiter); // after the wake: harmless

    struct waiting there = waiting_for(PARTITION_WAIT_END, 1), closed = waiting_for(PARTITION_WAIT_END, 100);
    assert_false(start_waiting(p, &there)); // what it wants is there already
    assert_true(start_waiting(p, &closed));
    partition_close(p);
    assert_int_equal(closed.woken, 1);
    assert_false(start_waiting(p, &closed)); // nobody waits for a partition that is gone
    assert_int_equal(p->waiters_count, 0);
    partition_unref(p);
    fixture_stop(&f);
}

// flush.messages: the high watermark waits for the disk (replication invariant 1).
static void the_watermark_waits_for_the_flush(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    f.config.flush_messages = 2;
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    partition_set_leader(p, BROKER, 0, 1);
    int64_t wait_for;
    bool flush_due;
    produce(p, BATCH_SPEC(0), -1, &wait_for, &flush_due);
    assert_false(flush_due);
    assert_int_equal(high_watermark(p), 1);
    produce(p, BATCH_SPEC(0), 1, &wait_for, &flush_due);
    assert_true(flush_due);
    assert_int_equal(wait_for, 1); // also with acks=1, as the flush is part of the append
    assert_int_equal(high_watermark(p), 1);

    struct waiting w = waiting_for(PARTITION_WAIT_HIGH_WATERMARK, wait_for);
    assert_true(start_waiting(p, &w));
    struct flusher *flusher = flusher_start(1);
    assert_non_null(flusher);
    flusher_submit(flusher, p);
    flusher_stop(flusher); // flushes what is queued
    assert_int_equal(w.woken, 1);
    assert_int_equal(high_watermark(p), 2);
    partition_unref(p);
    fixture_stop(&f);
}

// A disk whose syncs are counted; the first waits until the test lets it go on.
static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int syncs;
    bool open;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static struct file_fault slow_sync(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    (void)arg, (void)fd, (void)path, (void)size;
    if (call != FILE_CALL_SYNC)
        return (struct file_fault){0};
    pthread_mutex_lock(&disk.lock);
    disk.syncs++;
    pthread_cond_broadcast(&disk.moved);
    while (!disk.open)
        pthread_cond_wait(&disk.moved, &disk.lock);
    pthread_mutex_unlock(&disk.lock);
    return (struct file_fault){0};
}

static void start_counting(bool open)
{
    pthread_mutex_lock(&disk.lock);
    disk.syncs = 0;
    disk.open = open;
    pthread_cond_broadcast(&disk.moved);
    pthread_mutex_unlock(&disk.lock);
}

// Group commit: what comes while the disk is busy shares one sync.
static void many_batches_share_a_sync(void **state)
{
    (void)state;
    enum { BATCHES = 200 };
    struct log_fixture f;
    fixture_start(&f);
    f.config.flush_messages = 1;
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    partition_set_leader(p, BROKER, 0, 1);
    int64_t wait_for;
    bool flush_due;
    produce(p, BATCH_SPEC(0), -1, &wait_for, &flush_due);
    assert_int_equal(log_flush(p->log, 1), 0); // the directory and what else is new, once
    partition_flushed(p);
    start_counting(false);
    file_set_fault(slow_sync, NULL);
    struct flusher *flusher = flusher_start(2);
    assert_non_null(flusher);
    struct waiting last = {0};
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(produce(p, BATCH_SPEC(0), -1, &wait_for, &flush_due), E_NONE);
        assert_true(flush_due);
        assert_int_equal(wait_for, i + 1);
        flusher_submit(flusher, p);
        pthread_mutex_lock(&disk.lock);
        while (disk.syncs == 0) // the first is under way before the others come
            pthread_cond_wait(&disk.moved, &disk.lock);
        pthread_mutex_unlock(&disk.lock);
    }
    assert_int_equal(high_watermark(p), 1);
    last = waiting_for(PARTITION_WAIT_HIGH_WATERMARK, BATCHES);
    assert_true(start_waiting(p, &last));
    pthread_mutex_lock(&disk.lock);
    assert_int_equal(disk.syncs, 1);
    disk.open = true;
    pthread_cond_broadcast(&disk.moved);
    pthread_mutex_unlock(&disk.lock);
    flusher_stop(flusher);
    file_set_fault(NULL, NULL);
    assert_int_equal(disk.syncs, 2); // one for the first batch, one for all others
    assert_int_equal(last.woken, 1);
    assert_int_equal(high_watermark(p), BATCHES + 1);
    partition_unref(p);
    fixture_stop(&f);
}

// A disk that fails: who waits for the flush hears of it at once, not when its time is over.
static void a_failed_flush_wakes_who_waits_for_it(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    f.config.flush_messages = 1;
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    partition_set_leader(p, BROKER, 0, 1);
    int64_t wait_for;
    bool flush_due;
    produce(p, BATCH_SPEC(0), -1, &wait_for, &flush_due);
    struct waiting w = waiting_for(PARTITION_WAIT_HIGH_WATERMARK, wait_for);
    assert_true(start_waiting(p, &w));
    assert_int_equal(file_remove_tree(f.root), 0); // the directory cannot be synced
    struct flusher *flusher = flusher_start(1);
    assert_non_null(flusher);
    flusher_submit(flusher, p);
    flusher_stop(flusher);
    assert_int_equal(w.woken, 1);
    assert_int_equal(high_watermark(p), 0);
    assert_int_equal(partition_check_leader(p, -1), E_KAFKA_STORAGE_ERROR);
    assert_false(start_waiting(p, &w));
    partition_unref(p);
    fixture_stop(&f);
}

// Appenders and waiters on several threads: every waiter is woken.
struct race {
    struct partition *p;
    int rounds;
};

static void *append_many(void *arg)
{
    struct race *r = arg;
    int64_t wait_for;
    bool flush_due;
    for (int i = 0; i < r->rounds; i++)
        produce(r->p, BATCH_SPEC(0), 1, &wait_for, &flush_due);
    return NULL;
}

static void no_progress_is_missed(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    partition_set_leader(p, BROKER, 0, 1);
    struct race race = {p, 3000};
    pthread_t appender;
    assert_int_equal(pthread_create(&appender, NULL, append_many, &race), 0);
    for (int64_t offset = 0; offset < race.rounds; offset++) {
        struct waiting w = waiting_for(PARTITION_WAIT_HIGH_WATERMARK, offset);
        if (start_waiting(p, &w))
            while (atomic_load(&w.woken) == 0) // hangs, and the test's time limit tells, when a wake is lost
                sched_yield();
        partition_wait_cancel(&w.waiter);
        assert_true(high_watermark(p) > offset);
    }
    pthread_join(appender, NULL);
    partition_unref(p);
    fixture_stop(&f);
}

// What one turn of a reactor has for a partition.
static void several_together(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    f.config.flush_messages = 6;
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    partition_set_leader(p, BROKER, 0, 1);
    struct waiting first = waiting_for(PARTITION_WAIT_HIGH_WATERMARK, 0);
    assert_true(start_waiting(p, &first));
    struct partition_append appends[5] = {{.acks = 1}, {.acks = -1}, {.acks = 0}, {.acks = -1}, {.acks = 1}};
    struct partition_append *pointers[5];
    for (int i = 0; i < 5; i++) {
        appends[i].log.bytes = make_batch(BATCH_SPEC(.records = 2), &appends[i].log.size);
        pointers[i] = &appends[i];
    }
    struct log_config two = f.config;
    two.min_insync_replicas = 2;
    partition_set_config(p, &two);
    partition_append_group(p, pointers, 5, 1000);
    const int16_t errors[] = {E_NONE, E_NOT_ENOUGH_REPLICAS, E_NONE, E_NOT_ENOUGH_REPLICAS, E_NONE};
    const int64_t offsets[] = {0, LOG_NO_OFFSET, 2, LOG_NO_OFFSET, 4};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(appends[i].error, errors[i]);
        assert_int_equal(appends[i].log.info.base_offset, offsets[i]);
        assert_int_equal(appends[i].flush_due, i == 4); // the sixth record
    }
    assert_int_equal(appends[4].wait_for, 5); // for its flush
    assert_int_equal(high_watermark(p), 0);
    assert_int_equal(log_flush(p->log, 6), 0);
    partition_flushed(p);
    assert_int_equal(high_watermark(p), 6);
    assert_int_equal(first.woken, 1);
    partition_set_leader(p, 2, 1, 1);
    partition_append_group(p, pointers, 5, 1000);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(appends[i].error, E_NOT_LEADER_OR_FOLLOWER);
        assert_int_equal(appends[i].wait_for, -1);
        free(appends[i].log.bytes);
    }
    assert_int_equal(log_end_offset(p->log), 6);
    partition_unref(p);
    fixture_stop(&f);
}

// Offsets of a log of five records, one after the other.
static const struct {
    int64_t offset;
    bool compact, delete;
    int16_t error;
    int64_t low_watermark;
} deletions[] = {
    {2, false, true, E_NONE, 2},
    {1, false, true, E_NONE, 2},
    {-2, false, true, E_OFFSET_OUT_OF_RANGE, -1},
    {6, false, true, E_OFFSET_OUT_OF_RANGE, -1},
    {3, true, false, E_POLICY_VIOLATION, -1},
    {3, true, true, E_NONE, 3},
    {4, false, false, E_NONE, 4},
    {-1, false, true, E_NONE, 5},
};

static void records_are_deleted_up_to_an_offset(void **state)
{
    (void)state;
    struct log_fixture f;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    struct partition *p = make_partition(&f);
    int64_t wait_for, low_watermark;
    bool flush_due;
    assert_int_equal(partition_delete_records(p, 0, &low_watermark), E_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(partition_set_leader(p, BROKER, 0, 1), 0);
    assert_int_equal(produce(p, BATCH_SPEC(.records = 5), 1, &wait_for, &flush_due), E_NONE);
    for (size_t i = 0; i < sizeof deletions / sizeof *deletions; i++) {
        f.config.cleanup_compact = deletions[i].compact;
        f.config.cleanup_delete = deletions[i].delete;
        partition_set_config(p, &f.config);
        assert_int_equal(partition_delete_records(p, deletions[i].offset, &low_watermark),
                         deletions[i].error);
        assert_int_equal(low_watermark, deletions[i].low_watermark);
    }
    partition_close(p);
    partition_unref(p);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_together),
        cmocka_unit_test(only_the_leader_of_the_epoch_serves),
        cmocka_unit_test(a_single_replica_advances_at_once),
        cmocka_unit_test(waiters_are_woken_once_or_cancelled),
        cmocka_unit_test(the_watermark_waits_for_the_flush),
        cmocka_unit_test(many_batches_share_a_sync),
        cmocka_unit_test(a_failed_flush_wakes_who_waits_for_it),
        cmocka_unit_test(no_progress_is_missed),
        cmocka_unit_test(records_are_deleted_up_to_an_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
