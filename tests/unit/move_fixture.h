// A log manager with some directories, and one log that is moved between them.
#ifndef MOVE_FIXTURE_H
#define MOVE_FIXTURE_H

#include "log_fixture.h"

#include "base/clock.h"
#include "storage/checkpoint.h"
#include "storage/log_manager_state.h"
#include "storage/log_state.h"

#include <dirent.h>
#include <errno.h>
#include <time.h>

#define DIRS     3   // at most
#define SLOW     1.0 // bytes a second: after the first piece nothing more is copied
#define FAST     1e12
#define AWAIT_MS 60000

struct world {
    struct log_fixture f;
    char dirs[DIRS][80];
    struct log_dir *opened[DIRS];
    struct log_manager *manager;
    struct log *log;
    int count;         // of directories, at the next start
    bool failed[DIRS]; // the same
    int threads;       // for moves; 0: one a directory
};

static inline void config_of(void *arg, const char *name, struct log_config *out)
{
    (void)name;
    *out = *(const struct log_config *)arg;
}

static inline struct uuid directory_id(int dir)
{
    return (struct uuid){{1, (uint8_t)dir}};
}

static inline void start(struct world *w, double rate)
{
    char message[512] = "";
    const struct log_params p = fixture_params(&w->f, false, 0);
    for (int i = 0; i < w->count; i++) {
        assert_int_equal(log_dir_open(w->dirs[i], &w->opened[i], NULL, 0), 0);
        w->opened[i]->has_meta = true;
        w->opened[i]->meta.directory_id = directory_id(i);
        atomic_store(&w->opened[i]->health.failed, w->failed[i]);
    }
    struct log_manager_params params = {.dirs = w->opened,
                                        .dir_count = (size_t)w->count,
                                        .config_of = config_of,
                                        .background_flush_ms = INT64_MAX, // nobody flushes but who says so
                                        .move_bytes_per_second = rate,
                                        .move_threads = w->threads,
                                        .arg = &w->f.config};
    if (log_manager_open(&params, &w->manager, message, sizeof message))
        fail_msg("no start: %s", message);
    w->log = log_manager_get(w->manager, &p.topic_id, 0);
    assert_int_equal(log_manager_start(w->manager), 0);
}

static inline void stop(struct world *w)
{
    assert_int_equal(log_manager_close(w->manager, -1), 0);
    w->manager = NULL;
}

static inline void set_up(struct world *w)
{
    *w = (struct world){.count = DIRS};
    fixture_start(&w->f);
    for (int i = 0; i < DIRS; i++) {
        snprintf(w->dirs[i], sizeof w->dirs[i], "%s/%d", w->f.root, i);
        assert_int_equal(file_make_dir(w->dirs[i]), 0);
    }
}

static inline void tear_down(struct world *w)
{
    if (w->manager)
        stop(w);
    fixture_stop(&w->f);
}

static inline void create(struct world *w, int dir)
{
    const struct log_params p = fixture_params(&w->f, false, 0);
    struct log_creation creation = {.topic = "t", .topic_id = p.topic_id, .directory_id = directory_id(dir)};
    assert_int_equal(log_manager_create(w->manager, &creation, &w->log), 0);
}

static inline void fill(struct world *w, int from, int to)
{
    for (int i = from; i < to; i++)
        append_ok(w->log, BATCH_SPEC(.value_bytes = 1000, .number = 1 + i), i);
    set_watermark(w->log, to);
}

// A log of twenty records in the first directory.
static inline void set_up_filled(struct world *w, double rate)
{
    set_up(w);
    start(w, rate);
    create(w, 0);
    fill(w, 0, 20);
}

static inline int move(struct world *w, int dir)
{
    struct uuid id = log_topic_id(w->log);
    return log_manager_move(w->manager, &id, 0, (size_t)dir);
}

static inline int where(struct world *w)
{
    const struct log_dir *dir = log_manager_dir_of(w->manager, w->log);
    for (int i = 0; i < DIRS; i++)
        if (dir == w->opened[i])
            return i;
    return -1;
}

static inline void count_move(void *arg, const struct log_moving *move)
{
    (void)move;
    ++*(int *)arg;
}

static inline int moves(struct world *w)
{
    int n = 0;
    log_manager_visit_moves(w->manager, count_move, &n);
    return n;
}

static inline int count_ending(const char *path, const char *end)
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

static inline bool has_log(const struct world *w, int dir)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/t-0", w->dirs[dir]);
    return file_exists(path);
}

static inline void await_moved(struct world *w, int dir)
{
    AWAIT(where(w) == dir && moves(w) == 0);
    for (int i = 0; i < DIRS; i++)
        AWAIT(has_log(w, i) == (i == dir));
}

// Record n of the log is number n + 1, but from `other` on, which were written anew, n + 1001.
static inline void check(struct world *w, int64_t from, int64_t end, int64_t other)
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

static inline void await_copied(struct world *w, uint64_t bytes)
{
    struct log_manager_counts counts;
    AWAIT((log_manager_counts(w->manager, &counts), counts.moved_bytes >= bytes));
}

#endif
