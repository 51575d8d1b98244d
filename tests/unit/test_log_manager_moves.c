// Moves of logs between directories as the log manager makes them: what comes along, what calls them off, and
// what a start makes of those that were cut short.
#include "log_fixture.h"

#include "base/clock.h"
#include "base/logger.h"
#include "storage/checkpoint.h"
#include "storage/log_manager_state.h"
#include "storage/log_state.h"

#include <dirent.h>
#include <errno.h>
#include <time.h>

#define DIRS     3
#define SLOW     1.0 // bytes a second: after the first piece nothing more is copied
#define FAST     1e12
#define AWAIT_MS 60000

struct world {
    struct log_fixture f;
    char dirs[DIRS][80];
    struct log_dir *opened[DIRS];
    struct log_manager *manager;
    struct log *log;
    bool failed[DIRS]; // at the next start
};

static void config_of(void *arg, const char *name, struct log_config *out)
{
    (void)name;
    *out = *(const struct log_config *)arg;
}

static struct uuid directory_id(int dir)
{
    return (struct uuid){{1, (uint8_t)dir}};
}

static void start(struct world *w, double rate)
{
    char message[512] = "";
    const struct log_params p = fixture_params(&w->f, false, 0);
    for (int i = 0; i < DIRS; i++) {
        assert_int_equal(log_dir_open(w->dirs[i], &w->opened[i], NULL, 0), 0);
        w->opened[i]->has_meta = true;
        w->opened[i]->meta.directory_id = directory_id(i);
        atomic_store(&w->opened[i]->health.failed, w->failed[i]);
    }
    struct log_manager_params params = {.dirs = w->opened,
                                        .dir_count = DIRS,
                                        .config_of = config_of,
                                        .move_bytes_per_second = rate,
                                        .arg = &w->f.config};
    if (log_manager_open(&params, &w->manager, message, sizeof message))
        fail_msg("no start: %s", message);
    w->log = log_manager_get(w->manager, &p.topic_id, 0);
    assert_int_equal(log_manager_start(w->manager), 0);
}

static void stop(struct world *w)
{
    assert_int_equal(log_manager_close(w->manager, -1), 0);
    w->manager = NULL;
}

static void set_up(struct world *w)
{
    *w = (struct world){0};
    fixture_start(&w->f);
    for (int i = 0; i < DIRS; i++) {
        snprintf(w->dirs[i], sizeof w->dirs[i], "%s/%d", w->f.root, i);
        assert_int_equal(file_make_dir(w->dirs[i]), 0);
    }
}

static void tear_down(struct world *w)
{
    if (w->manager)
        stop(w);
    fixture_stop(&w->f);
}

static void create(struct world *w, int dir)
{
    const struct log_params p = fixture_params(&w->f, false, 0);
    struct log_creation creation = {.topic = "t", .topic_id = p.topic_id, .directory_id = directory_id(dir)};
    assert_int_equal(log_manager_create(w->manager, &creation, &w->log), 0);
}

static void fill(struct world *w, int from, int to)
{
    for (int i = from; i < to; i++)
        append_ok(w->log, BATCH_SPEC(.value_bytes = 1000, .number = 1 + i), i);
    set_watermark(w->log, to);
}

// A log of twenty records in the first directory.
static void set_up_filled(struct world *w, double rate)
{
    set_up(w);
    start(w, rate);
    create(w, 0);
    fill(w, 0, 20);
}

static int move(struct world *w, int dir)
{
    struct uuid id = log_topic_id(w->log);
    return log_manager_move(w->manager, &id, 0, (size_t)dir);
}

static int where(struct world *w)
{
    const struct log_dir *dir = log_manager_dir_of(w->manager, w->log);
    for (int i = 0; i < DIRS; i++)
        if (dir == w->opened[i])
            return i;
    return -1;
}

static void count_move(void *arg, const struct log_moving *move)
{
    (void)move;
    ++*(int *)arg;
}

static int moves(struct world *w)
{
    int n = 0;
    log_manager_visit_moves(w->manager, count_move, &n);
    return n;
}

static int count_ending(const char *path, const char *end)
{
    int n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; (e = readdir(d));)
        n += strlen(e->d_name) > strlen(end) && strcmp(e->d_name + strlen(e->d_name) - strlen(end), end) == 0;
    closedir(d);
    return n;
}

// Waits until the condition holds.
#define AWAIT(condition)                                                        \
    do {                                                                        \
        for (int64_t until_ = clock_monotonic_ms() + AWAIT_MS; !(condition);) { \
            if (clock_monotonic_ms() > until_)                                  \
                fail_msg("line %d: " #condition, __LINE__);                     \
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);            \
        }                                                                       \
    } while (0)

static bool has_log(const struct world *w, int dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/t-0", w->dirs[dir]);
    return file_exists(path);
}

static void await_moved(struct world *w, int dir)
{
    AWAIT(where(w) == dir && moves(w) == 0);
    for (int i = 0; i < DIRS; i++)
        AWAIT(has_log(w, i) == (i == dir));
}

// Record n of the log is number n + 1, but from `other` on, which were written anew, n + 1001.
static void check(struct world *w, int64_t from, int64_t end, int64_t other)
{
    assert_int_equal(log_end_offset(w->log), end);
    assert_int_equal(read_all(w->log, from), end);
    for (int64_t i = from; i < end; i++) {
        struct log_slice slice;
        uint8_t bytes[100] = {0};
        char number[24];
        assert_int_equal(log_read(w->log, i, 1, LOG_BOUND_END, true, &slice), 0);
        assert_int_equal(slice.base_offset, i);
        assert_int_equal(log_slice_copy(&slice, 0, bytes, sizeof bytes - 1), 0);
        log_slice_release(&slice);
        int n = snprintf(number, sizeof number, "%lld.", (long long)(i < other ? i + 1 : i + 1001));
        bool found = false;
        for (size_t k = BATCH_HEADER_BYTES; k < sizeof bytes - (size_t)n; k++)
            found |= memcmp(bytes + k, number, (size_t)n) == 0;
        if (!found)
            fail_msg("record %lld is another one", (long long)i);
    }
}

static void await_copied(struct world *w, uint64_t bytes)
{
    struct log_manager_counts counts;
    AWAIT((log_manager_counts(w->manager, &counts), counts.moved_bytes >= bytes));
}

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

// ---------------------------------------------------------------- at a start

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

// The log is renamed away, and neither its copy gets its name, nor it its own back.
struct half_way {
    int changes; // of the log's directories' names
};

static struct file_fault fail_half_way(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    struct half_way *h = arg;
    (void)fd, (void)size;
    const char *name = path ? strrchr(path, '/') : NULL;
    bool counts = call == FILE_CALL_RENAME && name && strncmp(name, "/t", 2) == 0;
    int n = counts ? ++h->changes : 0;
    return (struct file_fault){.error = n == 2 || n == 3 ? EIO : 0};
}

static void a_move_torn_in_two_is_finished_by_a_start(void **state)
{
    struct world w;
    struct half_way h = {0};
    (void)state;
    file_set_fault(fail_half_way, &h);
    set_up_filled(&w, FAST);
    assert_int_equal(move(&w, 1), 0);
    AWAIT(log_is_offline(w.log) && moves(&w) == 0);
    assert_int_equal(count_ending(w.dirs[1], FUTURE_SUFFIX), 1);
    (void)log_manager_close(w.manager, -1);
    file_set_fault(NULL, NULL);
    assert_int_equal(h.changes, 3);
    start(&w, FAST);
    assert_int_equal(where(&w), 1);
    check(&w, 0, 20, INT64_MAX);
    tear_down(&w);
}

// A start after a crash right behind the change of names knows what DeleteRecords did, and how far the log
// was durable.
static void checkpoints_are_there_first(void **state)
{
    struct world w;
    struct checkpoint points, starts;
    (void)state;
    set_up_filled(&w, SLOW);
    assert_int_equal(log_flush(w.log, 20), 0);
    log_lock(w.log);
    assert_int_equal(log_set_start_offset(w.log, 7), 0);
    log_unlock(w.log);
    assert_int_equal(move(&w, 1), 0);
    struct managed_log *managed = NULL;
    uint8_t key[MANAGED_KEY_BYTES];
    struct uuid id = log_topic_id(w.log);
    managed_key(&id, 0, key);
    managed = log_manager_hold(w.manager, key);
    pthread_mutex_lock(&w.manager->checkpoint_lock);
    assert_int_equal(log_manager_checkpoint_arrival(w.manager, 1, managed, 13), 0);
    assert_int_equal(checkpoint_read(w.dirs[1], CHECKPOINT_RECOVERY_POINT, &points), 0);
    assert_int_equal(checkpoint_read(w.dirs[1], CHECKPOINT_LOG_START, &starts), 0);
    pthread_mutex_unlock(&w.manager->checkpoint_lock);
    log_manager_let_go(w.manager, managed);
    assert_int_equal(checkpoint_get(&points, STR("t-0"), -1), 13);
    assert_int_equal(checkpoint_get(&starts, STR("t-0"), -1), 7);
    checkpoint_free(&points);
    checkpoint_free(&starts);
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
        cmocka_unit_test(a_start_goes_on),
        cmocka_unit_test(only_a_copy_is_left),
        cmocka_unit_test(a_move_torn_in_two_is_finished_by_a_start),
        cmocka_unit_test(checkpoints_are_there_first),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
