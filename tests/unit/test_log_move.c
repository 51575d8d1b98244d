// Moving a log to another directory: what is done next, and the change of names when any call fails or the
// process dies: the next start finds everything that was acknowledged, in one directory.
#include "log_fixture.h"
#include "nth_call.h"

#include "base/logger.h"
#include "storage/log_manager_state.h"
#include "storage/log_move.h"
#include "storage/log_mover.h"
#include "storage/log_state.h"

#define DIRS    2
#define RECORDS 6
#define COPY    "t-0.00112233445566778899aabbccddeeff" FUTURE_SUFFIX

static void what_comes_next(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct log_move_view v;
        enum log_move_action action;
    } cases[] = {
        {"asked for", {.source_end = 9}, LOG_MOVE_OPEN},
        {"while it is compacted", {.source_end = 9, .compacted_now = true}, LOG_MOVE_WAIT},
        {"an empty copy", {.source_end = 9, .opened = true}, LOG_MOVE_COPY},
        {"far behind", {.source_end = 9, .opened = true, .end = 5}, LOG_MOVE_COPY},
        {"what comes next is gone",
         {.source_start = 6, .source_end = 9, .opened = true, .holds = true, .end = 5},
         LOG_MOVE_REOPEN},
        {"nothing yet, of a log that begins within a batch",
         {.source_start = 6, .source_end = 9, .opened = true, .end = 5},
         LOG_MOVE_COPY},
        {"what it has is gone", {.source_end = 9, .opened = true, .end = 10, .near = true}, LOG_MOVE_REOPEN},
        {"near", {.source_end = 9, .opened = true, .end = 8, .near = true}, LOG_MOVE_FLUSH},
        {"near and flushed",
         {.source_end = 9, .opened = true, .end = 8, .near = true, .flushed = true},
         LOG_MOVE_SETTLE},
        {"and announced",
         {.source_end = 9, .opened = true, .end = 8, .near = true, .flushed = true, .announced = true},
         LOG_MOVE_SWAP},
        {"while the log is flushed",
         {.source_end = 9,
          .opened = true,
          .end = 8,
          .near = true,
          .flushed = true,
          .announced = true,
          .flushed_now = true},
         LOG_MOVE_WAIT},
        {"a copy that is not near, while the log is flushed",
         {.source_end = 9, .opened = true, .end = 5, .flushed_now = true},
         LOG_MOVE_COPY},
        {"flushed, and behind again",
         {.source_end = 9, .opened = true, .end = 5, .flushed = true},
         LOG_MOVE_COPY},
        {"cancelled", {.cancelled = true, .opened = true, .near = true, .flushed = true}, LOG_MOVE_DROP},
        {"deleted", {.source_lost = true}, LOG_MOVE_DROP},
        {"truncated and written to since",
         {.source_end = 9, .opened = true, .truncated = true, .end = 5},
         LOG_MOVE_REOPEN},
        {"flushed, and written to meanwhile",
         {.source_end = 9, .opened = true, .end = 8, .flushed = true},
         LOG_MOVE_COPY},
        {"no room there", {.source_end = 9, .opened = true, .target_full = true, .end = 5}, LOG_MOVE_WAIT},
        {"it lies there", {.source_end = 9, .there = true, .target_full = true}, LOG_MOVE_DROP},
        {"no such directory any more", {.target_lost = true, .compacted_now = true}, LOG_MOVE_DROP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (log_move_decide(&cases[i].v) != cases[i].action)
            fail_msg("%s: %d", cases[i].what, (int)log_move_decide(&cases[i].v));
}

// ---------------------------------------------------------------- whose turn it is

#define ROOMY 8

// One of each, and what a thread takes at a time.
static void whose_turn_it_is(void **state)
{
    (void)state;
    struct move_queues q = {0};
    struct log_move moves[ROOMY], *never = NULL;
    enum { CANCELLED, FIRST, SECOND, RESTED, RESTS, BUSY, YOUNGER, TORN };
    int64_t next_us;
    memset(moves, 0, sizeof moves);
    move_queues_init(&q);
    assert_int_equal(heap_reserve(&q.resting, ROOMY), 0);
    for (int i = 0; i < ROOMY; i++)
        list_init(&moves[i].turn);
    moves[CANCELLED].cancelled = true;
    moves[RESTED].rests_until_us = 1100;
    moves[RESTS].rests_until_us = 1200;
    moves[BUSY].busy = true;
    moves[YOUNGER].older = &moves[BUSY];
    moves[TORN].torn = true;
    for (int i = ROOMY - 1; i > SECOND; i--)
        move_queues_put(&q, &moves[i], 1000);
    move_queues_put(&q, &moves[FIRST], 1000);
    move_queues_put(&q, &moves[SECOND], 1000);
    move_queues_put(&q, &moves[CANCELLED], 1000);
    const struct {
        int64_t now_us, paid_at_us;
        const struct log_move *taken;
        int64_t next_us;
    } looks[] = {
        {1000, 1050, &moves[CANCELLED], INT64_MAX}, // a debt is no reason to go on with it
        {1000, 1050, never, 1050},
        {1100, 1050, &moves[RESTED], INT64_MAX},
        {1100, 1050, &moves[FIRST], INT64_MAX},
        {1100, 1050, &moves[SECOND], INT64_MAX},
        {1100, 1050, never, 1200},
        {1100, 1300, never, 1300},
        {1200, 1050, &moves[RESTS], INT64_MAX},
        {1300, 1050, never, INT64_MAX}, // the others wait for somebody
    };
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        assert_ptr_equal(move_queues_pick(&q, looks[i].now_us, looks[i].paid_at_us, &next_us),
                         looks[i].taken);
        if (!looks[i].taken)
            assert_int_equal(next_us, looks[i].next_us);
    }
    moves[TORN].cancelled = true; // with its log
    move_queues_put(&q, &moves[TORN], 1300);
    assert_ptr_equal(move_queues_pick(&q, 1300, 0, &next_us), &moves[TORN]);
    heap_free(&q.resting);
}

// Those that are to be swapped wait for each other while there is other work, but not for long.
static void swaps_come_together(void **state)
{
    (void)state;
    struct move_queues q = {0};
    struct log_move moves[4];
    int64_t next_us;
    memset(moves, 0, sizeof moves);
    move_queues_init(&q);
    for (int i = 0; i < 4; i++)
        list_init(&moves[i].turn);
    moves[0].settles = moves[1].settles = moves[2].settles = true;
    for (int i = 0; i < 2; i++)
        move_queues_put(&q, &moves[i], 1000);
    move_queues_put(&q, &moves[3], 1000);
    assert_ptr_equal(move_queues_pick(&q, 1000, 0, &next_us), &moves[3]);
    assert_ptr_equal(move_queues_pick(&q, 1000, 0, &next_us), &moves[0]); // nothing else is to be done
    move_queues_put(&q, &moves[3], 1000);
    assert_ptr_equal(move_queues_pick(&q, 1000, 0, &next_us), &moves[1]); // its turn has come, too
    move_queues_put(&q, &moves[2], 1000);
    assert_ptr_equal(move_queues_pick(&q, 2000, 0, &next_us), &moves[3]);
    move_queues_put(&q, &moves[3], 2000);
    assert_ptr_equal(move_queues_pick(&q, 10000000, 0, &next_us), &moves[2]);
    moves[1].settles = true;
    move_queues_put(&q, &moves[1], 10000000);
    moves[1].cancelled = true;
    move_queues_put(&q, &moves[1], 10000000);
    assert_int_equal(q.settling_count, 0);
    assert_ptr_equal(move_queues_pick(&q, 10000000, 0, &next_us), &moves[1]);
    heap_free(&q.resting);
}

// ---------------------------------------------------------------- the change of names

struct world {
    struct log_fixture f;
    char dirs[DIRS][80];
    struct dir_health health[DIRS];
    struct log *copy;
    int64_t acknowledged, may_end;
};

static struct log *open_in(struct world *w, int dir, const char *name)
{
    struct log *log;
    struct log_params p = fixture_params(&w->f, true, 0);
    p.log_dir = w->dirs[dir];
    p.dir_name = name;
    p.health = &w->health[dir];
    assert_int_equal(log_open(&p, &log, NULL, 0), 0);
    return log;
}

// All of the log, batch by batch.
static void copy_all(struct world *w)
{
    struct log_append_info info;
    struct log_slice slice;
    while (log_end_offset(w->copy) < log_end_offset(w->f.log)) {
        assert_int_equal(log_read(w->f.log, log_end_offset(w->copy), 1, LOG_BOUND_END, true, &slice), 0);
        uint8_t *bytes = malloc(slice.size);
        size_t size = slice.size;
        assert_int_equal(log_slice_copy(&slice, 0, bytes, size), 0);
        log_slice_release(&slice);
        assert_int_equal(append_bytes(w->copy, bytes, size, LOG_ORIGIN_REPLICA, -1, &info), 0);
    }
}

static void set_up(struct world *w)
{
    char path[PATH_MAX];
    struct log_append_info info;
    *w = (struct world){0};
    fixture_start(&w->f);
    w->f.config.segment_bytes = 300;
    for (int i = 0; i < DIRS; i++) {
        snprintf(w->dirs[i], sizeof w->dirs[i], "%s/%d", w->f.root, i);
        assert_int_equal(file_make_dir(w->dirs[i]), 0);
        w->health[i].path = w->dirs[i];
    }
    w->f.log = open_in(w, 0, NULL);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(append(w->f.log, BATCH_SPEC(.number = 1 + i, .value_bytes = 40), &info), 0);
    w->copy = open_in(w, 1, COPY);
    copy_all(w);
    assert_int_equal(log_flush(w->copy, RECORDS), 0);
    snprintf(path, sizeof path, "%s/" COPY, w->dirs[1]);
    assert_int_equal(file_replace(path, MOVED_FILE, "", 0), 0);
    w->acknowledged = w->may_end = RECORDS;
}

static int adopt(struct world *w)
{
    log_lock(w->f.log);
    log_lock(w->copy);
    int rc = log_adopt(w->f.log, w->copy);
    log_unlock(w->copy);
    log_unlock(w->f.log);
    return rc;
}

// The log is written to after the move, whatever came of it.
static void write_more(struct world *w)
{
    struct log_append_info info;
    w->may_end++;
    if (append(w->f.log, BATCH_SPEC(.number = (int)w->may_end, .value_bytes = 40), &info) == 0)
        w->acknowledged++;
}

static void config_of(void *arg, const char *name, struct log_config *out)
{
    (void)name;
    *out = *(const struct log_config *)arg;
}

static int directories_with(const struct world *w, int *where)
{
    int n = 0;
    for (int i = 0; i < DIRS; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/t-0", w->dirs[i]);
        if (!file_exists(path))
            continue;
        *where = i;
        n++;
    }
    return n;
}

static void check_records(struct world *w, struct log *log)
{
    int64_t end = log_end_offset(log);
    if (end < w->acknowledged || end > w->may_end)
        fail_msg("the log ends at %lld: %lld to %lld", (long long)end, (long long)w->acknowledged,
                 (long long)w->may_end);
    for (int64_t i = 0; i < end; i++) {
        struct log_slice slice;
        assert_int_equal(log_read(log, i, 1, LOG_BOUND_END, true, &slice), 0);
        assert_int_equal(slice.base_offset, i);
        log_slice_release(&slice);
    }
}

// As after a kill, with whatever the disk has. Returns the directory.
static int start_again(struct world *w)
{
    struct log_dir *dirs[DIRS];
    struct log_manager *manager;
    char message[512] = "";
    int where = -1;
    const struct log_params p = fixture_params(&w->f, false, 0);
    for (int i = 0; i < DIRS; i++)
        assert_int_equal(log_dir_open(w->dirs[i], &dirs[i], NULL, 0), 0);
    struct log_manager_params params = {
        .dirs = dirs, .dir_count = DIRS, .config_of = config_of, .arg = &w->f.config};
    if (log_manager_open(&params, &manager, message, sizeof message))
        fail_msg("no start: %s", message);
    struct log *log = log_manager_get(manager, &p.topic_id, 0);
    assert_non_null(log);
    check_records(w, log);
    assert_int_equal(directories_with(w, &where), 1);
    assert_int_equal(log_manager_close(manager, -1), 0);
    return where;
}

static void end_process(struct world *w)
{
    log_close(w->f.log, false);
    log_close(w->copy, false);
    w->f.log = w->copy = NULL;
}

static void a_log_goes_on_with_its_copy(void **state)
{
    (void)state;
    struct world w;
    struct log_slice before, after;
    set_up(&w);
    assert_int_equal(log_read(w.f.log, 0, 1000, LOG_BOUND_END, true, &before), 0);
    assert_int_equal(adopt(&w), 0);
    write_more(&w);
    check_records(&w, w.f.log);
    assert_int_equal(log_end_offset(w.f.log), RECORDS + 1);
    assert_true(w.f.log->health == &w.health[1]);
    assert_int_equal(log_read(w.f.log, 0, 1000, LOG_BOUND_END, true, &after), 0);
    assert_ptr_not_equal(before.segment, after.segment);
    log_slice_release(&after);
    uint8_t bytes[61]; // who reads the old files goes on doing so
    assert_int_equal(log_slice_copy(&before, 0, bytes, sizeof bytes), 0);
    log_close(w.copy, false);
    w.copy = NULL;
    assert_int_equal(log_slice_copy(&before, 0, bytes, sizeof bytes), 0);
    log_slice_release(&before);
    assert_int_equal(log_flush(w.f.log, RECORDS + 1), 0);
    log_close(w.f.log, false);
    w.f.log = NULL;
    for (int i = 0; i < 2; i++)
        assert_int_equal(start_again(&w), 1);
    fixture_stop(&w.f);
}

// A flush of the log may end as late as between the look at both and the change of names.
static void what_is_durable_stays_so(void **state)
{
    (void)state;
    struct world w;
    set_up(&w);
    write_more(&w);
    copy_all(&w);
    assert_int_equal(log_flush(w.f.log, RECORDS + 1), 0);
    assert_int_equal(adopt(&w), ERR_AGAIN);
    assert_true(w.f.log->health == &w.health[0]);
    assert_int_equal(log_recovery_point(w.f.log), RECORDS + 1);
    assert_int_equal(log_flush(w.copy, RECORDS + 1), 0);
    assert_int_equal(adopt(&w), 0);
    assert_int_equal(log_recovery_point(w.f.log), RECORDS + 1);
    end_process(&w);
    assert_int_equal(start_again(&w), 1);
    fixture_stop(&w.f);
}

static void any_call_fails(void **state)
{
    (void)state;
    int calls = 0;
    for (size_t fault = 0; fault < NTH_FAULTS; fault++) {
        for (struct nth_call c = {.n = 1, .fault = &nth_faults[fault]}; c.n == 1 || c.hit; c.n++) {
            struct world w;
            set_up(&w);
            nth_call_arm(&c);
            int rc = adopt(&w);
            write_more(&w);
            nth_call_disarm(&c);
            calls += c.hit;
            bool off_line = log_is_offline(w.f.log);
            end_process(&w);
            int where = start_again(&w);
            if (!off_line)
                assert_int_equal(where, rc == 0);
            fixture_stop(&w.f);
        }
    }
    assert_true(calls > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_next),          cmocka_unit_test(whose_turn_it_is),
        cmocka_unit_test(swaps_come_together),      cmocka_unit_test(a_log_goes_on_with_its_copy),
        cmocka_unit_test(what_is_durable_stays_so), cmocka_unit_test(any_call_fails),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
