// Moves of logs between directories as the log manager makes them: what comes along, what calls them off, and
// who waits for what. What a start makes of those that were cut short: test_log_move_starts.c.
#include "move_fixture.h"

#include "base/logger.h"
#include "storage/log_mover.h"

static void logs_go_round(void **state)
{
    struct world w;
    (void)state;
    set_up(&w);
    w.f.config.segment_bytes = 20000;
    start(&w, FAST);
    create(&w, 0);
    for (int i = 0; i < 6; i++) {
        fill(&w, i * 50, i * 50 + 50);
        assert_int_equal(move(&w, (i + 1) % DIRS), 0);
        await_moved(&w, (i + 1) % DIRS);
        check(&w, 0, i * 50 + 50, INT64_MAX);
    }
    for (int i = 0; i < 2; i++) {
        stop(&w);
        start(&w, FAST);
        assert_int_equal(where(&w), 0);
        check(&w, 0, 300, INT64_MAX);
    }
    struct log_manager_counts counts;
    assert_int_equal(move(&w, 1), 0);
    await_moved(&w, 1);
    log_manager_counts(w.manager, &counts);
    assert_int_equal(counts.moves, 0);
    assert_int_equal(counts.moves_done, 1);
    assert_true(counts.moved_bytes >= 300 * 1000);
    tear_down(&w);
}

static void what_was_truncated_is_not_in_the_copy(void **state)
{
    struct world w;
    (void)state;
    set_up(&w);
    start(&w, SLOW);
    create(&w, 0);
    fill(&w, 0, 40);
    assert_int_equal(move(&w, 1), 0);
    await_copied(&w, 3000);
    log_lock(w.log);
    assert_int_equal(log_truncate_to(w.log, 1), 0);
    log_unlock(w.log);
    for (int i = 1; i < 60; i++)
        append_ok(w.log, BATCH_SPEC(.value_bytes = 1000, .number = 1001 + i), i);
    log_manager_set_move_rate(w.manager, FAST);
    await_moved(&w, 1);
    check(&w, 0, 60, 1);
    tear_down(&w);
}

// What compaction leaves of a log may end before the log does.
static void a_hole_at_the_end_comes_along(void **state)
{
    for (int records = 0; records < 3; records += 2) {
        struct world w;
        char path[PATH_MAX];
        (void)state;
        set_up(&w);
        struct log_params p = fixture_params(&w.f, true, 0);
        p.log_dir = w.dirs[0];
        assert_int_equal(log_open(&p, &w.log, NULL, 0), 0);
        for (int i = 0; i < records; i++)
            append_ok(w.log, BATCH_SPEC(.value_bytes = 1000, .number = 1 + i), i);
        log_close(w.log, true);
        snprintf(path, sizeof path, "%s/t-0/%020d.log", w.dirs[0], 100);
        file_close(file_open(path, O_RDWR | O_CREAT));
        assert_int_equal(log_dir_open(w.dirs[0], &w.opened[0], NULL, 0), 0);
        assert_int_equal(log_dir_write_clean_marker(w.opened[0], -1), 0);
        log_dir_close(w.opened[0]);
        start(&w, FAST);
        assert_int_equal(log_end_offset(w.log), 100);
        assert_int_equal(move(&w, 1), 0);
        await_moved(&w, 1);
        for (int i = 0; i < 2; i++) {
            struct log_offsets o;
            log_offsets(w.log, &o);
            assert_int_equal(o.end_offset, 100 + i);
            append_ok(w.log, BATCH_SPEC(.value_bytes = 1000), 100 + i);
            stop(&w);
            start(&w, FAST);
        }
        tear_down(&w);
    }
}

static void a_start_within_a_batch_comes_along(void **state)
{
    struct world w;
    struct log_offsets o;
    (void)state;
    set_up(&w);
    start(&w, SLOW);
    create(&w, 0);
    for (int i = 0; i < 4; i++)
        append_ok(w.log, BATCH_SPEC(.records = 10, .value_bytes = 1000), i * 10);
    set_watermark(w.log, 40);
    for (int from = 5; from <= 25; from += 20) { // with nothing copied yet, and behind what has been
        log_lock(w.log);
        assert_int_equal(log_set_start_offset(w.log, from), 0);
        log_unlock(w.log);
        if (from == 5) {
            assert_int_equal(move(&w, 1), 0);
            await_copied(&w, 10000);
        }
    }
    log_manager_set_move_rate(w.manager, FAST);
    await_moved(&w, 1);
    for (int i = 0; i < 2; i++) {
        log_offsets(w.log, &o);
        assert_int_equal(o.log_start_offset, 25);
        assert_int_equal(o.end_offset, 40);
        assert_int_equal(read_all(w.log, 25), 40);
        stop(&w);
        start(&w, FAST);
    }
    tear_down(&w);
}

static void a_batch_larger_than_segments_are_today_comes_along(void **state)
{
    struct world w;
    (void)state;
    set_up(&w);
    start(&w, FAST);
    create(&w, 0);
    append_ok(w.log, BATCH_SPEC(.value_bytes = 100000, .number = 1), 0);
    struct log_config config;
    log_get_config(w.log, &config);
    config.segment_bytes = 20000;
    log_set_config(w.log, &config);
    fill(&w, 1, 30);
    assert_int_equal(move(&w, 2), 0);
    await_moved(&w, 2);
    check(&w, 0, 30, INT64_MAX);
    tear_down(&w);
}

// A batch with a wrong CRC is not copied: the log stays where it is, and whole up to there.
static void a_damaged_log_stays(void **state)
{
    struct world w;
    struct log_slice slice;
    (void)state;
    set_up(&w);
    start(&w, FAST);
    create(&w, 0);
    fill(&w, 0, 5);
    assert_int_equal(log_read(w.log, 3, 1, LOG_BOUND_END, true, &slice), 0);
    assert_int_equal(file_write_at(slice.fd, "x", 1, slice.position + 500), 0);
    log_slice_release(&slice);
    assert_int_equal(move(&w, 1), 0);
    struct log_manager_counts counts;
    for (int64_t until = clock_monotonic_ms() + 50; clock_monotonic_ms() < until;) {
        log_manager_counts(w.manager, &counts);
        assert_int_equal(counts.moves_done, 0);
    }
    assert_int_equal(move(&w, 0), 0);
    assert_int_equal(where(&w), 0);
    assert_int_equal(log_end_offset(w.log), 5);
    tear_down(&w);
}

static void a_move_that_is_called_off_is_gone_when_that_is_answered(void **state)
{
    struct world w;
    (void)state;
    set_up_filled(&w, SLOW);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(move(&w, 1), 0);
        assert_int_equal(count_ending(w.dirs[1], FUTURE_SUFFIX), 1);
        assert_int_equal(move(&w, 1), 0); // once more is no other move
        assert_int_equal(moves(&w), 1);
        if (i % 2) { // elsewhere, in place of there
            assert_int_equal(move(&w, 2), 0);
            assert_int_equal(count_ending(w.dirs[2], FUTURE_SUFFIX), 1);
            assert_int_equal(moves(&w), 1);
            assert_int_equal(count_ending(w.dirs[1], FUTURE_SUFFIX), 0);
        }
        assert_int_equal(move(&w, 0), 0);
        for (int k = 0; k < DIRS; k++)
            assert_int_equal(count_ending(w.dirs[k], FUTURE_SUFFIX), 0);
        assert_int_equal(moves(&w), 0);
    }
    assert_int_equal(where(&w), 0);
    check(&w, 0, 20, INT64_MAX);
    tear_down(&w);
}

// Whatever is asked in whatever moment, the last wish counts.
static void the_last_wish_counts(void **state)
{
    struct world w;
    (void)state;
    set_up_filled(&w, FAST);
    for (int i = 0; i < 100; i++) {
        int to = 0;
        for (int k = 0; k < 3; k++) {
            to = (i / (k + 1) + k) % DIRS;
            assert_int_equal(move(&w, to), 0);
            for (int spin = 0; spin < i * 50; spin++)
                (void)moves(&w);
        }
        await_moved(&w, to);
    }
    check(&w, 0, 20, INT64_MAX);
    tear_down(&w);
}

static void a_directory_without_room_is_waited_for(void **state)
{
    struct world w;
    (void)state;
    set_up_filled(&w, FAST);
    atomic_store(&w.opened[1]->health.full, true);
    assert_int_equal(move(&w, 1), 0);
    struct log_manager_counts counts;
    for (int64_t until = clock_monotonic_ms() + 50; clock_monotonic_ms() < until;) {
        log_manager_counts(w.manager, &counts);
        assert_int_equal(counts.moved_bytes, 0);
    }
    atomic_store(&w.opened[1]->health.full, false);
    await_moved(&w, 1);
    tear_down(&w);
}

// ---------------------------------------------------------------- what a copy is made of

// The oldest move that is listed, and its copy.
static struct log *copy_of(struct world *w)
{
    pthread_mutex_lock(&w->manager->moving.lock);
    struct list *first = list_first(&w->manager->moving.moves);
    struct log *copy = container_of(first, struct log_move, node)->copy;
    pthread_mutex_unlock(&w->manager->moving.lock);
    return copy;
}

// An entry of the index leads past two batches, between two pieces, and readers with it until then.
static void an_index_that_leads_past_batches_loses_none(void **state)
{
    struct world w;
    struct log_slice slice;
    char path[PATH_MAX];
    uint8_t entry[8];
    (void)state;
    set_up(&w);
    w.f.config.segment_bytes = 13500;
    start(&w, FAST);
    create(&w, 0);
    fill(&w, 0, 20);
    assert_int_equal(log_read(w.log, 0, 1, LOG_BOUND_END, true, &slice), 0);
    const uint32_t size = (uint32_t)slice.first_batch_size;
    log_slice_release(&slice);
    stop(&w);
    snprintf(path, sizeof path, "%s/t-0/%020d.index", w.dirs[0], 0);
    int fd = file_open(path, O_RDWR | O_TRUNC);
    store_be32(entry, 3);
    store_be32(entry + 4, 5 * size); // of batch 5
    assert_int_equal(file_write_at(fd, entry, sizeof entry, 0), 0);
    file_close(fd);
    start(&w, SLOW); // pieces of 4096 bytes
    assert_int_equal(log_read(w.log, 3, 1, LOG_BOUND_END, true, &slice), 0);
    assert_int_equal(slice.base_offset, 5);
    log_slice_release(&slice);
    assert_int_equal(move(&w, 1), 0);
    await_copied(&w, 3 * size);
    log_manager_set_move_rate(w.manager, FAST);
    await_moved(&w, 1); // the index is made anew
    check(&w, 0, 20, 20);
    tear_down(&w);
}

// ---------------------------------------------------------------- who waits for what

// Holds up syncs of a file whose name has these words in it.
struct hold_up {
    const char *words[2];
    atomic_bool holds, let_go;
    atomic_int seen;
};

static struct file_fault hold_up_syncs(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    struct hold_up *h = arg;
    char link[64], name[PATH_MAX] = "";
    (void)path, (void)size;
    if (call != FILE_CALL_SYNC || fd < 0)
        return (struct file_fault){0};
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    if (readlink(link, name, sizeof name - 1) < 0 || !strstr(name, h->words[0]) || !strstr(name, h->words[1]))
        return (struct file_fault){0};
    atomic_fetch_add(&h->seen, 1);
    atomic_store(&h->holds, true);
    for (int64_t until = clock_monotonic_ms() + 20000; !atomic_load(&h->let_go);) {
        if (clock_monotonic_ms() > until)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    atomic_store(&h->holds, false);
    return (struct file_fault){0};
}

static void transactions(struct world *w, int from, int to)
{
    struct log_append_info info;
    for (int i = from; i < to; i++) {
        size_t size;
        int64_t producer = 1 + i;
        assert_int_equal(append(w->log, BATCH_SPEC(.producer_id = producer, .transactional = true), &info),
                         0);
        uint8_t *marker = make_marker(producer, 0, i % 2 == 0, 0, &size);
        assert_int_equal(append_bytes(w->log, marker, size, LOG_ORIGIN_COORDINATOR, 0, &info), 0);
    }
    set_watermark(w->log, 2 * to);
}

// What was decided long ago, and who has written nothing for long, takes no memory of a copy.
static void a_copy_remembers_no_more_than_a_log(void **state)
{
    struct world w;
    struct hold_up h = {.words = {FUTURE_SUFFIX "/", SEGMENT_LOG_SUFFIX}};
    (void)state;
    file_set_fault(hold_up_syncs, &h);
    set_up(&w);
    start(&w, FAST);
    create(&w, 0);
    transactions(&w, 0, 3000);
    assert_int_equal(move(&w, 1), 0);
    AWAIT(atomic_load(&h.holds)); // all is copied
    struct log *copy = copy_of(&w);
    log_lock(copy);
    uint32_t undecided = copy->producers.unreplicated.count;
    size_t producers = copy->producers.entries.count;
    int64_t end = copy->end;
    log_unlock(copy);
    assert_int_equal(end, 6000);
    assert_int_equal(undecided, 0);
    assert_true(producers <= 1000);
    atomic_store(&h.let_go, true);
    await_moved(&w, 1);
    assert_int_equal(read_all(w.log, 0), 6000);
    stop(&w);
    file_set_fault(NULL, NULL);
    tear_down(&w);
}

static void who_deletes_a_log_does_not_wait_for_the_flush_of_its_copy(void **state)
{
    struct world w;
    struct hold_up h = {.words = {FUTURE_SUFFIX "/", SEGMENT_LOG_SUFFIX}};
    (void)state;
    file_set_fault(hold_up_syncs, &h);
    set_up_filled(&w, FAST);
    assert_int_equal(move(&w, 1), 0);
    AWAIT(atomic_load(&h.holds));
    assert_int_equal(log_manager_remove(w.manager, w.log, LOG_REMOVE_DELETE), 0);
    assert_true(atomic_load(&h.holds));
    log_close(w.log, false);
    atomic_store(&h.let_go, true);
    AWAIT(count_ending(w.dirs[1], FUTURE_SUFFIX) == 0);
    stop(&w);
    file_set_fault(NULL, NULL);
    tear_down(&w);
}

static void flush_all(void *arg)
{
    struct world *w = arg;
    assert_int_equal(log_flush(w->log, log_end_offset(w->log)), 0);
}

static void flush_in_vain(void *arg)
{
    struct world *w = arg;
    assert_int_equal(log_flush(w->log, log_end_offset(w->log)), ERR_CLOSED);
}

static void delete_log(void *arg)
{
    struct world *w = arg;
    assert_int_equal(log_manager_remove(w->manager, w->log, LOG_REMOVE_DELETE), 0);
}

// It waits for one piece of it: the metadata's thread does this.
static void who_deletes_a_log_does_not_wait_for_a_large_flush_of_it(void **state)
{
    struct world w;
    struct thread flushing, deleting;
    struct hold_up h = {.words = {"/t-0/", SEGMENT_LOG_SUFFIX}};
    (void)state;
    set_up_filled(&w, FAST);
    for (int i = 0; i < 40; i++)
        append_ok(w.log, BATCH_SPEC(.value_bytes = 1 << 20), 20 + i);
    file_set_fault(hold_up_syncs, &h);
    assert_int_equal(thread_start(&flushing, "flush", flush_in_vain, &w), 0);
    AWAIT(atomic_load(&h.holds));
    assert_int_equal(thread_start(&deleting, "delete", delete_log, &w), 0);
    AWAIT(atomic_load(&w.log->deleted));
    atomic_store(&h.let_go, true);
    thread_join(&flushing);
    thread_join(&deleting);
    assert_int_equal(atomic_load(&h.seen), 1);
    file_set_fault(NULL, NULL);
    assert_false(log_is_offline(w.log));
    log_close(w.log, false);
    tear_down(&w);
}

// The swap would wait for it with the log's lock.
static void a_long_flush_of_a_log_is_seen(void **state)
{
    struct world w;
    struct thread thread;
    struct hold_up h = {.words = {"/t-0/", SEGMENT_LOG_SUFFIX}};
    (void)state;
    file_set_fault(hold_up_syncs, &h);
    set_up_filled(&w, FAST);
    assert_false(log_is_flushing(w.log));
    assert_int_equal(thread_start(&thread, "flush", flush_all, &w), 0);
    AWAIT(log_is_flushing(w.log));
    atomic_store(&h.let_go, true);
    thread_join(&thread);
    assert_false(log_is_flushing(w.log));
    stop(&w);
    file_set_fault(NULL, NULL);
    tear_down(&w);
}

// ---------------------------------------------------------------- what the checkpoints say

static int64_t checkpointed(const struct world *w, int dir, const char *file)
{
    struct checkpoint c;
    assert_int_equal(checkpoint_read(w->dirs[dir], file, &c), 0);
    int64_t offset = checkpoint_get(&c, STR("t-0"), -1);
    checkpoint_free(&c);
    return offset;
}

// No log gets or loses its name, for want of room; and the thread may be kept in the flush of a copy.
struct obstacles {
    atomic_bool refuses;
    struct hold_up hold_up;
};

static struct file_fault obstruct(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    struct obstacles *o = arg;
    bool refused = atomic_load(&o->refuses) && call == FILE_CALL_RENAME && path &&
                   strcmp(strrchr(path, '/'), "/t-0") == 0;
    return refused ? (struct file_fault){.error = ENOSPC} : hold_up_syncs(&o->hold_up, call, fd, path, size);
}

// They say beforehand what will be true of the log where it goes. Once it is deleted that is said of nobody,
// least of all of one with its name: also while the thread that gives the move up has no time for it.
static void what_was_said_of_a_move_goes_with_the_log(void **state)
{
    struct world w;
    struct obstacles o = {.refuses = true, .hold_up = {.words = {"/u-0.", SEGMENT_LOG_SUFFIX}}};
    struct log_creation anew = {.topic = "t", .topic_id = {{9}}, .directory_id = directory_id(1)};
    struct log_creation another = {.topic = "u", .topic_id = {{8}}, .directory_id = directory_id(0)};
    struct log *other;
    (void)state;
    set_up(&w);
    w.threads = 1;
    start(&w, FAST);
    create(&w, 0);
    fill(&w, 0, 20);
    log_lock(w.log);
    assert_int_equal(log_set_start_offset(w.log, 8), 0);
    log_unlock(w.log);
    assert_int_equal(log_manager_create(w.manager, &another, &other), 0);
    append_ok(other, BATCH_SPEC(0), 0);
    file_set_fault(obstruct, &o);
    assert_int_equal(move(&w, 1), 0);
    AWAIT(checkpointed(&w, 1, CHECKPOINT_LOG_START) == 8);
    assert_int_equal(log_manager_move(w.manager, &another.topic_id, 0, 1), 0);
    AWAIT(atomic_load(&o.hold_up.holds));
    struct log *old = w.log;
    atomic_store(&o.refuses, false);
    assert_int_equal(log_manager_remove(w.manager, old, LOG_REMOVE_DELETE), 0);
    assert_int_equal(log_manager_create(w.manager, &anew, &w.log), 0);
    assert_int_equal(checkpointed(&w, 1, CHECKPOINT_LOG_START), -1);
    assert_true(checkpointed(&w, 1, CHECKPOINT_RECOVERY_POINT) <= 0);
    atomic_store(&o.hold_up.let_go, true);
    log_close(old, false);
    fill(&w, 0, 3);
    stop(&w);
    file_set_fault(NULL, NULL);
    tear_down(&w);
}

static bool waits_for_its_name(struct world *w)
{
    pthread_mutex_lock(&w->manager->moving.lock);
    const struct log_move *first = container_of(list_first(&w->manager->moving.moves), struct log_move, node);
    bool waits = !first->busy && first->flushed && first->rests_until_us > 0;
    pthread_mutex_unlock(&w->manager->moving.lock);
    return waits;
}

static void nothing_is_said_of_a_move_to_where_its_name_is_taken(void **state)
{
    struct world w;
    char taken[PATH_MAX];
    (void)state;
    set_up_filled(&w, FAST);
    snprintf(taken, sizeof taken, "%s/t-0", w.dirs[1]);
    assert_int_equal(file_make_dir(taken), 0);
    assert_int_equal(move(&w, 1), 0);
    AWAIT(waits_for_its_name(&w));
    assert_int_equal(log_manager_checkpoint(w.manager), 0);
    assert_int_equal(checkpointed(&w, 1, CHECKPOINT_RECOVERY_POINT), -1);
    assert_int_equal(file_remove_tree(taken), 0);
    await_moved(&w, 1);
    tear_down(&w);
}

// ---------------------------------------------------------------- many

#define MANY 300

static struct file_fault count_checkpoints(void *arg, enum file_call call, int fd, const char *path,
                                           size_t size)
{
    (void)fd, (void)size;
    bool counts = call == FILE_CALL_RENAME && path && strstr(path, CHECKPOINT_RECOVERY_POINT);
    atomic_fetch_add((atomic_int *)arg, counts);
    return (struct file_fault){0};
}

static int where_is(struct world *w, const struct uuid *id, int32_t partition)
{
    struct log *log = log_manager_get(w->manager, id, partition);
    const struct log_dir *dir = log_manager_dir_of(w->manager, log);
    return dir == w->opened[1];
}

// They are all there, called off, asked for anew, made; also those that a start goes on with.
static void many_moves_share_what_they_write(void **state)
{
    struct world w;
    struct log_manager_counts counts;
    struct log_wish wishes[MANY];
    atomic_int written = 0;
    (void)state;
    file_set_fault(count_checkpoints, &written);
    set_up(&w);
    start(&w, SLOW);
    const struct uuid id = fixture_params(&w.f, false, 0).topic_id;
    for (int i = 0; i < MANY; i++) {
        struct log_creation creation = {
            .topic = "t", .topic_id = id, .partition = i, .directory_id = directory_id(0)};
        assert_int_equal(log_manager_create(w.manager, &creation, &w.log), 0);
        append_ok(w.log, BATCH_SPEC(.number = 1), 0);
    }
    for (int to = 2; to >= 0; to -= 2) {
        for (int i = 0; i < MANY; i++)
            wishes[i] = (struct log_wish){.topic_id = id, .partition = i, .dir = (size_t)to};
        log_manager_move_many(w.manager, wishes, MANY);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(wishes[i].rc, 0);
        assert_int_equal(count_ending(w.dirs[2], FUTURE_SUFFIX), to ? MANY : 0);
        assert_int_equal(moves(&w), to ? MANY : 0);
    }
    for (int i = 0; i < MANY; i++)
        wishes[i] = (struct log_wish){.topic_id = id, .partition = i, .dir = 1};
    log_manager_move_many(w.manager, wishes, MANY);
    stop(&w);
    start(&w, SLOW);
    assert_int_equal(moves(&w), MANY);
    assert_int_equal(count_ending(w.dirs[1], FUTURE_SUFFIX), MANY);
    atomic_store(&written, 0);
    log_manager_set_move_rate(w.manager, FAST);
    AWAIT((log_manager_counts(w.manager, &counts), counts.moves_done == MANY && counts.moves == 0));
    assert_true(atomic_load(&written) < MANY);
    for (int i = 0; i < MANY; i++)
        assert_true(where_is(&w, &id, i));
    stop(&w);
    start(&w, FAST);
    for (int i = 0; i < MANY; i++) {
        struct log *log = log_manager_get(w.manager, &id, i);
        assert_int_equal(read_all(log, 0), 1);
    }
    stop(&w);
    file_set_fault(NULL, NULL);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_go_round),
        cmocka_unit_test(what_was_truncated_is_not_in_the_copy),
        cmocka_unit_test(a_hole_at_the_end_comes_along),
        cmocka_unit_test(a_start_within_a_batch_comes_along),
        cmocka_unit_test(a_batch_larger_than_segments_are_today_comes_along),
        cmocka_unit_test(a_damaged_log_stays),
        cmocka_unit_test(a_move_that_is_called_off_is_gone_when_that_is_answered),
        cmocka_unit_test(the_last_wish_counts),
        cmocka_unit_test(a_directory_without_room_is_waited_for),
        cmocka_unit_test(an_index_that_leads_past_batches_loses_none),
        cmocka_unit_test(a_copy_remembers_no_more_than_a_log),
        cmocka_unit_test(who_deletes_a_log_does_not_wait_for_the_flush_of_its_copy),
        cmocka_unit_test(who_deletes_a_log_does_not_wait_for_a_large_flush_of_it),
        cmocka_unit_test(a_long_flush_of_a_log_is_seen),
        cmocka_unit_test(what_was_said_of_a_move_goes_with_the_log),
        cmocka_unit_test(nothing_is_said_of_a_move_to_where_its_name_is_taken),
        cmocka_unit_test(many_moves_share_what_they_write),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
