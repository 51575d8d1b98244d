// What a start makes of moves that were cut short, and what it finds in the checkpoints.
#include "move_fixture.h"

#include "base/logger.h"

// A copy of the log in `from`, as it is, with the mark.
static void leave_copy_of(struct world *w, int from, int to)
{
    char command[400], path[PATH_MAX];
    snprintf(path, sizeof path, "%s/t-0.%032d" FUTURE_SUFFIX, w->dirs[to], to);
    snprintf(command, sizeof command, "cp -r %s/t-0 %.200s", w->dirs[from], path);
    assert_int_equal(system(command), 0);
    assert_int_equal(file_replace(path, MOVED_FILE, "", 0), 0);
}

// What is left when a process ends between the two changes of names of a move into the directory: a copy with
// so many records, and its mark.
static void leave_copy(struct world *w, int dir, int records)
{
    start(w, FAST);
    create(w, dir);
    fill(w, 0, records);
    stop(w);
    leave_copy_of(w, dir, dir);
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/t-0", w->dirs[dir]);
    assert_int_equal(file_remove_tree(path), 0);
}

static void a_start_goes_on(void **state)
{
    struct world w;
    (void)state;
    set_up_filled(&w, SLOW);
    assert_int_equal(move(&w, 1), 0);
    stop(&w);
    for (int off = 0; off < DIRS; off++) { // whichever is off line meanwhile
        memset(w.failed, 0, sizeof w.failed);
        w.failed[off] = true;
        start(&w, SLOW);
        assert_int_equal(w.log == NULL, off == 0);
        assert_int_equal(count_ending(w.dirs[1], FUTURE_SUFFIX), 1);
        (void)log_manager_close(w.manager, -1);
    }
    memset(w.failed, 0, sizeof w.failed);
    start(&w, SLOW);
    assert_int_equal(where(&w), 0);
    assert_int_equal(moves(&w), 1);
    assert_int_equal(count_ending(w.dirs[1], FUTURE_SUFFIX), 1);
    log_manager_set_move_rate(w.manager, FAST);
    await_moved(&w, 1);
    check(&w, 0, 20, INT64_MAX);
    tear_down(&w);
}

// The crash between the two changes of names: only a copy is left, and it is the log. As long as a directory
// is off line nobody takes it for that, and none is made in its place.
static void only_a_copy_is_left(void **state)
{
    struct world w;
    char from[PATH_MAX], to[PATH_MAX];
    (void)state;
    set_up(&w);
    start(&w, FAST);
    create(&w, 1);
    fill(&w, 0, 20);
    stop(&w);
    snprintf(from, sizeof from, "%s/t-0", w.dirs[1]);
    snprintf(to, sizeof to, "%s/t-0.00112233445566778899aabbccddeeff" FUTURE_SUFFIX, w.dirs[1]);
    assert_int_equal(file_rename(from, to), 0);
    w.failed[2] = true;
    for (int i = 0; i < 2; i++) { // without the mark, and with it
        const struct log_params p = fixture_params(&w.f, false, 0);
        struct log_creation creation = {
            .topic = "t", .topic_id = p.topic_id, .directory_id = directory_id(0), .known = true};
        start(&w, FAST);
        assert_null(w.log);
        assert_int_equal(log_manager_create(w.manager, &creation, &w.log), ERR_CLOSED);
        (void)log_manager_close(w.manager, -1);
        assert_true(file_exists(to));
        assert_int_equal(file_replace(to, MOVED_FILE, "", 0), 0);
    }
    w.failed[2] = false;
    start(&w, FAST);
    assert_non_null(w.log);
    assert_int_equal(where(&w), 1);
    check(&w, 0, 20, INT64_MAX);
    snprintf(to, sizeof to, "%s/t-0/" MOVED_FILE, w.dirs[1]);
    assert_false(file_exists(to));
    tear_down(&w);
}

// The same where that directory is the only one by now.
static void only_a_copy_and_its_directory_are_left(void **state)
{
    struct world w;
    (void)state;
    set_up(&w);
    leave_copy(&w, 0, 20);
    w.count = 1;
    start(&w, FAST);
    assert_non_null(w.log);
    check(&w, 0, 20, INT64_MAX);
    tear_down(&w);
}

// Two moves were cut short, and the first one's copy could not be removed: the log is the one that has more.
static void of_two_copies_the_last_one_is_the_log(void **state)
{
    (void)state;
    for (int larger = 0; larger < 2; larger++) {
        struct world w;
        set_up(&w);
        w.f.config.segment_bytes = 20000;
        char at[PATH_MAX], away[PATH_MAX];
        snprintf(at, sizeof at, "%s/t-0.%032d" FUTURE_SUFFIX, w.dirs[0], 0);
        snprintf(away, sizeof away, "%s/away", w.f.root);
        leave_copy(&w, 0, larger == 0 ? 50 : 10);
        assert_int_equal(file_rename(at, away), 0); // no start makes a log of it
        leave_copy(&w, 1, larger == 1 ? 50 : 10);
        assert_int_equal(file_rename(away, at), 0);
        for (int i = 0; i < 2; i++) {
            start(&w, FAST);
            assert_non_null(w.log);
            assert_int_equal(where(&w), larger);
            assert_int_equal(moves(&w), 0);
            check(&w, 0, 50, INT64_MAX);
            stop(&w);
            assert_int_equal(count_ending(w.dirs[1 - larger], "-stray"), 1);
            for (int k = 0; k < 2; k++)
                assert_int_equal(count_ending(w.dirs[k], FUTURE_SUFFIX), 0);
        }
        tear_down(&w);
    }
}

// A call on a name that ends so fails.
struct one_name {
    enum file_call call;
    const char *end;
};

static struct file_fault fail_on_name(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    const struct one_name *n = arg;
    (void)fd, (void)size;
    bool hit = call == n->call && path && strlen(path) >= strlen(n->end) &&
               strcmp(path + strlen(path) - strlen(n->end), n->end) == 0;
    return (struct file_fault){.error = hit ? EIO : 0};
}

// A directory that does not say whether it has the log may have it: the copy elsewhere is left alone.
static void a_directory_that_does_not_answer_may_have_the_log(void **state)
{
    struct world w;
    struct one_name fault = {FILE_CALL_STAT, "/0/t-0"};
    (void)state;
    set_up(&w);
    leave_copy(&w, 1, 10);
    start(&w, FAST);
    assert_int_equal(where(&w), 1); // made of the copy: moved back to have both
    assert_int_equal(move(&w, 0), 0);
    await_moved(&w, 0);
    stop(&w);
    leave_copy_of(&w, 0, 1);
    file_set_fault(fail_on_name, &fault);
    start(&w, FAST);
    assert_null(w.log);
    assert_true(dir_health_failed(&w.opened[0]->health));
    assert_false(dir_health_failed(&w.opened[1]->health));
    (void)log_manager_close(w.manager, -1);
    file_set_fault(NULL, NULL);
    assert_false(has_log(&w, 1));
    start(&w, SLOW);
    assert_int_equal(where(&w), 0);
    check(&w, 0, 10, INT64_MAX);
    tear_down(&w);
}

// What cannot be mended costs one directory, not the start.
static void a_copy_that_cannot_be_named_takes_its_directory_off_line(void **state)
{
    static const struct one_name faults[] = {
        {FILE_CALL_RENAME, FUTURE_SUFFIX}, {FILE_CALL_STAT, "/" MOVED_FILE}, {FILE_CALL_LIST, "/1"}};
    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        struct world w;
        struct one_name fault = faults[i];
        set_up(&w);
        leave_copy(&w, 1, 10);
        file_set_fault(fail_on_name, &fault);
        start(&w, FAST);
        assert_null(w.log);
        for (int k = 0; k < DIRS; k++)
            assert_int_equal(dir_health_failed(&w.opened[k]->health), k == 1);
        (void)log_manager_close(w.manager, -1);
        file_set_fault(NULL, NULL);
        start(&w, FAST);
        assert_int_equal(where(&w), 1);
        check(&w, 0, 10, INT64_MAX);
        tear_down(&w);
    }
}

// The log is renamed away, and neither its copy gets its name, nor it its own back.
struct half_way {
    int changes;              // of the log's directories' names
    int error;                // errno
    struct world *superseded; // the log is wanted elsewhere when the swap has begun
};

static struct file_fault fail_half_way(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    struct half_way *h = arg;
    (void)fd, (void)size;
    const char *name = path ? strrchr(path, '/') : NULL;
    bool counts = call == FILE_CALL_RENAME && name && strncmp(name, "/t", 2) == 0;
    int n = counts ? ++h->changes : 0;
    if (n == 1 && h->superseded)
        (void)move(h->superseded, 2);
    return (struct file_fault){.error = n == 2 || n == 3 ? h->error : 0};
}

static void tear_and_start(int error, bool superseded)
{
    struct world w;
    struct half_way h = {.error = error, .superseded = superseded ? &w : NULL};
    file_set_fault(fail_half_way, &h);
    set_up_filled(&w, SLOW);
    assert_int_equal(move(&w, 1), 0);
    await_copied(&w, 3000);
    log_lock(w.log);
    assert_int_equal(log_set_start_offset(w.log, 2), 0);
    log_unlock(w.log);
    log_manager_set_move_rate(w.manager, FAST);
    AWAIT(log_is_offline(w.log) && (superseded || moves(&w) == 0));
    assert_int_equal(move(&w, 2), superseded ? 0 : ERR_CLOSED); // the copy stays
    assert_int_equal(count_ending(w.dirs[1], FUTURE_SUFFIX), 1);
    assert_int_equal(log_manager_checkpoint(w.manager), 0);
    (void)log_manager_close(w.manager, -1);
    file_set_fault(NULL, NULL);
    assert_int_equal(h.changes, 3);
    w.failed[1] = true; // while the copy cannot be seen, what is left of the log stays
    start(&w, FAST);
    assert_int_equal(reaper_run(w.manager->reaper, clock_monotonic_ms(), 10), 0);
    stop(&w);
    assert_int_equal(count_ending(w.dirs[0], "-delete"), 1);
    w.failed[1] = false;
    start(&w, FAST);
    assert_int_equal(where(&w), 1);
    struct log_offsets o;
    log_offsets(w.log, &o);
    assert_int_equal(o.log_start_offset, 2); // its lines were kept
    assert_int_equal(log_recovery_point(w.log), 20);
    check(&w, 2, 20, INT64_MAX);
    tear_down(&w);
}

static void a_move_torn_in_two_is_finished_by_a_start(void **state)
{
    (void)state;
    tear_and_start(EIO, false);
    tear_and_start(ENOSPC, false); // no directory is off line for that
    tear_and_start(ENOSPC, true);
}

// The topic of a log that is torn so goes: and its copy, too.
static void a_torn_move_goes_with_its_log(void **state)
{
    struct world w;
    struct half_way h = {.error = ENOSPC};
    (void)state;
    file_set_fault(fail_half_way, &h);
    set_up_filled(&w, FAST);
    assert_int_equal(move(&w, 1), 0);
    AWAIT(log_is_offline(w.log) && moves(&w) == 0);
    assert_int_equal(log_manager_remove(w.manager, w.log, LOG_REMOVE_DELETE), 0);
    log_close(w.log, false);
    AWAIT(count_ending(w.dirs[1], FUTURE_SUFFIX) == 0);
    stop(&w);
    file_set_fault(NULL, NULL);
    start(&w, FAST);
    assert_null(w.log);
    tear_down(&w);
}

// A start after a crash right behind the change of names knows what DeleteRecords did, and how far the log
// was durable: the checkpoints say so before.
struct right_before {
    const char *dir;
    int64_t recovery_point, log_start;
};

static struct file_fault look_right_before(void *arg, enum file_call call, int fd, const char *path,
                                           size_t size)
{
    struct right_before *r = arg;
    struct checkpoint points, starts;
    (void)fd, (void)size;
    const char *name = path ? strrchr(path, '/') : NULL;
    if (call != FILE_CALL_RENAME || !name || strncmp(name, "/t-0.", 5) != 0 || !strstr(name, FUTURE_SUFFIX))
        return (struct file_fault){0};
    if (checkpoint_read(r->dir, CHECKPOINT_RECOVERY_POINT, &points) == 0 &&
        checkpoint_read(r->dir, CHECKPOINT_LOG_START, &starts) == 0) {
        r->recovery_point = checkpoint_get(&points, STR("t-0"), -1);
        r->log_start = checkpoint_get(&starts, STR("t-0"), -1);
    }
    checkpoint_free(&points);
    checkpoint_free(&starts);
    return (struct file_fault){0};
}

static void checkpoints_are_there_first(void **state)
{
    struct world w;
    struct right_before r = {.recovery_point = -1, .log_start = -1};
    (void)state;
    file_set_fault(look_right_before, &r);
    set_up_filled(&w, FAST);
    r.dir = w.dirs[1];
    assert_int_equal(log_flush(w.log, 20), 0);
    log_lock(w.log);
    assert_int_equal(log_set_start_offset(w.log, 7), 0);
    log_unlock(w.log);
    assert_int_equal(move(&w, 1), 0);
    await_moved(&w, 1);
    stop(&w);
    file_set_fault(NULL, NULL);
    assert_int_equal(r.recovery_point, 20);
    assert_int_equal(r.log_start, 7);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_goes_on),
        cmocka_unit_test(only_a_copy_is_left),
        cmocka_unit_test(only_a_copy_and_its_directory_are_left),
        cmocka_unit_test(of_two_copies_the_last_one_is_the_log),
        cmocka_unit_test(a_directory_that_does_not_answer_may_have_the_log),
        cmocka_unit_test(a_copy_that_cannot_be_named_takes_its_directory_off_line),
        cmocka_unit_test(a_move_torn_in_two_is_finished_by_a_start),
        cmocka_unit_test(a_torn_move_goes_with_its_log),
        cmocka_unit_test(checkpoints_are_there_first),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
