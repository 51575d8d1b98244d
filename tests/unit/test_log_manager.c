#include "log_fixture.h"

#include "base/clock.h"
#include "storage/checkpoint.h"
#include "storage/log_manager.h"

#include <sys/wait.h>
#include <unistd.h>

static void default_config(void *arg, const char *topic, struct log_config *out)
{
    (void)topic;
    *out = arg ? *(struct log_config *)arg : log_config_default();
}

static int create_log(struct log_manager *m, const char *topic, const struct uuid *id, int32_t partition,
                      struct log **log)
{
    struct log_creation creation = {.topic = topic, .topic_id = *id, .partition = partition};
    return log_manager_create(m, &creation, log);
}

static struct log_manager *start(const char *root, struct log_config *config)
{
    char message[512] = "";
    struct log_dir *dir;
    struct log_manager *m;
    static const char *const skip[] = {"__cluster_metadata-0", NULL};
    int rc = log_dir_open(root, &dir, message, sizeof message);
    if (rc)
        print_error("%s\n", message);
    assert_int_equal(rc, 0);
    struct log_manager_params p = {
        .dirs = &dir, .dir_count = 1, .skip = skip, .config_of = default_config, .arg = config};
    assert_int_equal(log_manager_open(&p, &m, message, sizeof message), 0);
    return m;
}

static void logs_survive_a_clean_stop(void **state)
{
    char root[] = "/tmp/odradek-manager-XXXXXX", path[128];
    struct uuid id = uuid_random();
    struct log *log;
    (void)state;
    assert_non_null(mkdtemp(root));
    struct log_manager *m = start(root, NULL);
    assert_int_equal(log_manager_start(m), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(create_log(m, "some-topic", &id, i, &log), 0);
        for (int k = 0; k < i % 5; k++)
            append_ok(log, BATCH_SPEC(.records = 2), k * 2);
        set_watermark(log, log_end_offset(log));
    }
    assert_int_equal(create_log(m, "some-topic", &id, 3, &log), ERR_EXISTS);
    assert_ptr_equal(log, log_manager_get(m, &id, 3));
    log = log_manager_get(m, &id, 7);
    assert_int_equal(log_manager_remove(m, log, LOG_REMOVE_DELETE), 0);
    assert_null(log_manager_get(m, &id, 7));
    log_close(log, false);
    assert_int_equal(log_manager_close(m, 42), 0);

    struct log_dir *dir;
    assert_int_equal(log_dir_open(root, &dir, NULL, 0), 0);
    assert_true(dir->clean);
    assert_int_equal(dir->broker_epoch, 42);
    log_dir_close(dir);

    m = start(root, NULL);
    struct log_manager_counts counts;
    log_manager_counts(m, &counts);
    assert_int_equal(counts.logs, 99);
    assert_int_equal(counts.offline_logs, 0);
    assert_int_equal(counts.open_files, 0);
    for (int i = 0; i < 100; i++) {
        log = log_manager_get(m, &id, i);
        if (i == 7) {
            assert_null(log);
            continue;
        }
        assert_int_equal(log_end_offset(log), i % 5 * 2);
        assert_int_equal(log_manager_checkpointed_watermark(m, log), i % 5 * 2);
        assert_int_equal(read_all(log, 0), i % 5 * 2);
    }
    snprintf(path, sizeof path, "%s/.kafka_cleanshutdown", root);
    assert_false(file_exists(path)); // it goes with the start
    assert_int_equal(log_manager_close(m, -1), 0);
    assert_int_equal(file_remove_tree(root), 0);
}

static void await_death(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_crash_loses_nothing_of_the_page_cache(void **state)
{
    char root[] = "/tmp/odradek-manager-XXXXXX";
    struct uuid id = {{7}};
    (void)state;
    assert_non_null(mkdtemp(root));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct log *log;
        struct log_manager *m = start(root, NULL);
        if (create_log(m, "t", &id, 0, &log))
            _exit(1);
        for (int i = 0; i < 1000; i++)
            append_ok(log, BATCH_SPEC(.producer_id = 5, .sequence = i), i);
        _exit(0); // no stop
    }
    await_death(child);
    struct log_manager *m = start(root, NULL);
    struct log *log = log_manager_get(m, &id, 0);
    assert_non_null(log);
    assert_int_equal(read_all(log, 0), 1000);
    struct log_append_info info;
    assert_int_equal(append(log, BATCH_SPEC(.producer_id = 5, .sequence = 999), &info), 0);
    assert_true(info.duplicate);
    assert_int_equal(info.base_offset, 999);
    append_ok(log, BATCH_SPEC(.producer_id = 5, .sequence = 1000), 1000);
    assert_int_equal(log_manager_close(m, -1), 0);
    assert_int_equal(file_remove_tree(root), 0);
}

// What was flushed and not touched since needs no look after a crash; one more append is found.
static void flushed_logs_stay_cold_after_a_crash(void **state)
{
    struct uuid id = {{8}};
    (void)state;
    for (int more = 0; more < 2; more++) {
        char root[] = "/tmp/odradek-manager-XXXXXX";
        assert_non_null(mkdtemp(root));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct log *log;
            struct log_manager *m = start(root, NULL);
            if (create_log(m, "t", &id, 0, &log))
                _exit(1);
            for (int i = 0; i < 10; i++)
                append_ok(log, BATCH_SPEC(.producer_id = 5, .sequence = i), i);
            if (log_flush(log, 10) || log_manager_checkpoint(m))
                _exit(1);
            if (more)
                append_ok(log, BATCH_SPEC(.producer_id = 5, .sequence = 10), 10);
            _exit(0); // no stop
        }
        await_death(child);
        struct log_manager *m = start(root, NULL);
        struct log_manager_counts counts;
        log_manager_counts(m, &counts);
        assert_int_equal(counts.open_files, more);
        struct log *log = log_manager_get(m, &id, 0);
        assert_int_equal(log_end_offset(log), 10 + more);
        append_ok(log, BATCH_SPEC(.producer_id = 5, .sequence = 10 + more), 10 + more);
        assert_int_equal(read_all(log, 0), 11 + more);
        assert_int_equal(log_manager_close(m, -1), 0);
        assert_int_equal(file_remove_tree(root), 0);
    }
}

// Nor does anybody take an open transaction for a finished one, before or after something has loaded the log.
static void an_open_transaction_is_known_after_a_crash(void **state)
{
    char root[] = "/tmp/odradek-manager-XXXXXX";
    struct log_config config = log_config_default();
    struct uuid id = {{8}};
    (void)state;
    config.verify_transactions = false;
    assert_non_null(mkdtemp(root));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct log *log;
        struct log_manager *m = start(root, &config);
        if (create_log(m, "t", &id, 0, &log))
            _exit(1);
        append_ok(log, BATCH_SPEC(0), 0);
        append_ok(log, BATCH_SPEC(.producer_id = 5, .transactional = true), 1);
        set_watermark(log, 2);
        _exit(log_flush(log, 2) || log_manager_checkpoint(m)); // everything is flushed, and no stop
    }
    await_death(child);
    struct log_manager *m = start(root, &config);
    struct log *log = log_manager_get(m, &id, 0);
    struct log_offsets o;
    set_watermark(log, 2);
    for (int i = 0; i < 2; i++) {
        log_offsets(log, &o);
        assert_int_equal(o.high_watermark, 2);
        assert_int_equal(o.last_stable_offset, 1);
        assert_int_equal(log_load(log), 0);
    }
    assert_int_equal(log_manager_close(m, -1), 0);
    assert_int_equal(file_remove_tree(root), 0);
}

// A log that begins at offset 8, as its checkpoints say, is deleted. No stop follows.
static struct log_manager *live_and_delete(const char *root)
{
    struct log *log;
    struct uuid id = {{8}};
    struct log_manager *m = start(root, NULL);
    assert_int_equal(create_log(m, "t", &id, 0, &log), 0);
    append_ok(log, BATCH_SPEC(.records = 10), 0);
    set_watermark(log, 10);
    log_lock(log);
    assert_int_equal(log_set_start_offset(log, 8), 0);
    log_unlock(log);
    assert_int_equal(log_flush(log, 10), 0);
    assert_int_equal(log_manager_checkpoint(m), 0);
    assert_int_equal(log_manager_remove(m, log, LOG_REMOVE_DELETE), 0);
    return m;
}

static void make_anew(struct log_manager *m, const struct uuid *id)
{
    struct log *log;
    assert_int_equal(create_log(m, "t", id, 0, &log), 0);
    append_ok(log, BATCH_SPEC(.records = 3), 0);
}

// What the checkpoints say of a log is not believed of one that is made with its name: whether the broker
// lived on or died in between.
static void a_log_made_anew_is_not_taken_for_the_one_before(void **state)
{
    struct uuid id = {{9}};
    (void)state;
    for (int died = 0; died < 2; died++) {
        char root[] = "/tmp/odradek-manager-XXXXXX";
        assert_non_null(mkdtemp(root));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct log_manager *m = live_and_delete(root);
            if (!died)
                make_anew(m, &id);
            _exit(0);
        }
        await_death(child);
        child = died ? fork() : 0;
        assert_true(child >= 0);
        if (died && child == 0) {
            make_anew(start(root, NULL), &id);
            _exit(0);
        }
        if (died)
            await_death(child);
        struct log_manager *m = start(root, NULL);
        struct log *log = log_manager_get(m, &id, 0);
        struct log_offsets o;
        log_offsets(log, &o);
        assert_int_equal(o.log_start_offset, 0);
        assert_int_equal(o.end_offset, 3);
        assert_int_equal(read_all(log, 0), 3);
        assert_int_equal(log_manager_close(m, -1), 0);
        assert_int_equal(file_remove_tree(root), 0);
    }
}

static void a_directory_is_locked(void **state)
{
    char root[] = "/tmp/odradek-manager-XXXXXX", message[256];
    struct log_dir *dir, *again;
    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(log_dir_open(root, &dir, message, sizeof message), 0);
    assert_int_equal(log_dir_is_empty(dir), 1);
    assert_int_equal(log_dir_open(root, &again, message, sizeof message), ERR_AGAIN);
    assert_non_null(strstr(message, "in use"));
    struct meta_properties meta = {
        .cluster_id = "MkU3OEVBNTcwNTJENDM2Qk", .node_id = 4, .directory_id = {{9, 8}}};
    assert_int_equal(log_dir_write_meta(dir, &meta), 0);
    assert_int_equal(log_dir_is_empty(dir), 0);
    log_dir_close(dir);
    assert_int_equal(log_dir_open(root, &dir, message, sizeof message), 0);
    assert_true(dir->has_meta);
    assert_string_equal(dir->meta.cluster_id, meta.cluster_id);
    assert_int_equal(dir->meta.node_id, 4);
    assert_true(uuid_equal(&dir->meta.directory_id, &meta.directory_id));
    log_dir_close(dir);
    assert_int_equal(file_remove_tree(root), 0);
}

// What cannot be loaded leaves the directories to whoever opened them.
static void a_failed_start_keeps_its_directories(void **state)
{
    char root[] = "/tmp/odradek-manager-XXXXXX", path[128], message[512] = "";
    struct log_dir *dir, *again;
    struct log_manager *m;
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/recovery-point-offset-checkpoint", root);
    assert_int_equal(file_make_dir(path), 0); // neither readable nor a damaged text
    assert_int_equal(log_dir_open(root, &dir, message, sizeof message), 0);
    struct log_manager_params p = {.dirs = &dir, .dir_count = 1, .config_of = default_config};
    assert_int_equal(log_manager_open(&p, &m, message, sizeof message), ERR_IO);
    assert_non_null(strstr(message, root));
    assert_int_equal(log_dir_open(root, &again, message, sizeof message), ERR_AGAIN);
    log_dir_close(dir);
    assert_int_equal(log_dir_open(root, &again, message, sizeof message), 0);
    log_dir_close(again);
    assert_int_equal(file_remove_tree(root), 0);
}

static struct log_manager *start_two(const char *root)
{
    char path[2][128], message[512];
    struct log_dir *dirs[2];
    struct log_manager *m;
    for (int i = 0; i < 2; i++) {
        snprintf(path[i], sizeof path[i], "%s/%d", root, i);
        assert_int_equal(log_dir_open(path[i], &dirs[i], message, sizeof message), 0);
    }
    struct log_manager_params p = {.dirs = dirs, .dir_count = 2, .config_of = default_config};
    assert_int_equal(log_manager_open(&p, &m, message, sizeof message), 0);
    return m;
}

// A log that cannot be loaded keeps its place: no empty one appears in another directory instead of it.
static void a_log_that_failed_is_tried_again_where_it_lies(void **state)
{
    char root[] = "/tmp/odradek-manager-XXXXXX", path[128], other[128];
    static const uint8_t old_magic[30] = {[11] = 18, [12] = 0x4c, 0xb4, 0x98, 0xb1, [16] = 1};
    struct uuid id = {{9}};
    struct log *log;
    (void)state;
    assert_non_null(mkdtemp(root));
    struct log_manager *m = start_two(root);
    assert_int_equal(create_log(m, "t", &id, 0, &log), 0);
    append_ok(log, BATCH_SPEC(.records = 3), 0);
    assert_int_equal(log_manager_close(m, -1), 0);

    snprintf(path, sizeof path, "%s/0/t-0", root);
    snprintf(other, sizeof other, "%s/1/t-0", root);
    assert_int_equal(file_replace(path, "partition.metadata", "", 0), 0);
    m = start_two(root);
    struct log_manager_counts counts;
    log_manager_counts(m, &counts);
    assert_int_equal(counts.offline_logs, 1);
    assert_int_equal(create_log(m, "t", &id, 0, &log), 0); // who knows the topic's id mends it
    assert_int_equal(read_all(log, 0), 3);
    log_manager_counts(m, &counts);
    assert_int_equal(counts.logs, 1);
    assert_int_equal(counts.offline_logs, 0);
    assert_false(file_exists(other));
    assert_int_equal(log_manager_close(m, -1), 0);

    snprintf(other, sizeof other, "%s/1/t-0", root);
    snprintf(path, sizeof path, "%s/0/.kafka_cleanshutdown", root);
    assert_int_equal(file_unlink(path), 0);
    snprintf(path, sizeof path, "%s/0/t-0", root);
    assert_int_equal(file_replace(path, "00000000000000000000.log", old_magic, sizeof old_magic), 0);
    m = start_two(root);
    assert_true(create_log(m, "t", &id, 0, &log) < 0);
    assert_false(file_exists(other));
    log_manager_counts(m, &counts);
    assert_int_equal(counts.offline_logs, 1);
    (void)log_manager_close(m, -1);
    assert_int_equal(file_remove_tree(root), 0);
}

static void checkpoints_round_trip(void **state)
{
    static const char *const bad[] = {"1\n0\n",      "0\nx\n",          "0\n2\nt 0 5\n",
                                      "0\n1\nt 0\n", "0\n1\nt 0 5 6\n", "0\n0\nt 0 5\n"};
    char root[] = "/tmp/odradek-checkpoint-XXXXXX";
    struct checkpoint_writer w = {0};
    struct checkpoint c;
    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(checkpoint_read(root, "x", &c), 0);
    assert_int_equal(c.count, 0);
    checkpoint_free(&c);
    checkpoint_writer_add(&w, "a-b", 3, 77);
    checkpoint_writer_add(&w, "t", 0, 0);
    assert_int_equal(checkpoint_writer_finish(&w, root, "x"), 0);
    assert_int_equal(checkpoint_read(root, "x", &c), 0);
    assert_int_equal(c.count, 2);
    assert_int_equal(checkpoint_get(&c, STR("a-b-3"), -1), 77);
    assert_int_equal(checkpoint_get(&c, STR("t-0"), -1), 0);
    assert_int_equal(checkpoint_get(&c, STR("t-1"), -1), -1);
    checkpoint_free(&c);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(file_replace(root, "x", bad[i], strlen(bad[i])), 0);
        assert_int_equal(checkpoint_read(root, "x", &c), ERR_CORRUPT);
    }
    assert_int_equal(file_remove_tree(root), 0);
}

struct saving {
    struct log_start_save save;
    atomic_int done;
    int rc;
};

static void on_saved(struct log_start_save *save, int rc)
{
    struct saving *s = container_of(save, struct saving, save);
    s->rc = rc;
    atomic_store(&s->done, 1);
}

static void starts_are_saved_before_anybody_is_told(void **state)
{
    char root[] = "/tmp/odradek-manager-XXXXXX";
    struct uuid id = {{7}};
    struct log *log;
    (void)state;
    assert_non_null(mkdtemp(root));
    struct log_manager *m = start(root, NULL);
    assert_int_equal(log_manager_start(m), 0);
    assert_int_equal(create_log(m, "t", &id, 0, &log), 0);
    append_ok(log, BATCH_SPEC(.records = 9), 0);
    set_watermark(log, 9);
    log_lock(log);
    assert_int_equal(log_set_start_offset(log, 4), 0);
    log_unlock(log);
    struct saving told = {.save.done = on_saved};
    log_manager_save_start(m, &told.save);
    for (int64_t until_ms = clock_monotonic_ms() + 20000; !atomic_load(&told.done); usleep(1000))
        assert_true(clock_monotonic_ms() < until_ms);
    log_manager_save_cancel(m, &told.save); // too late, and harmless
    assert_int_equal(told.rc, 0);
    struct checkpoint c;
    assert_int_equal(checkpoint_read(root, CHECKPOINT_LOG_START, &c), 0);
    assert_int_equal(checkpoint_get(&c, STR("t-0"), -1), 4);
    checkpoint_free(&c);
    assert_int_equal(log_manager_close(m, -1), 0);
    assert_int_equal(file_remove_tree(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logs_survive_a_clean_stop),
        cmocka_unit_test(a_crash_loses_nothing_of_the_page_cache),
        cmocka_unit_test(flushed_logs_stay_cold_after_a_crash),
        cmocka_unit_test(an_open_transaction_is_known_after_a_crash),
        cmocka_unit_test(a_log_made_anew_is_not_taken_for_the_one_before),
        cmocka_unit_test(a_directory_is_locked),
        cmocka_unit_test(a_failed_start_keeps_its_directories),
        cmocka_unit_test(a_log_that_failed_is_tried_again_where_it_lies),
        cmocka_unit_test(checkpoints_round_trip),
        cmocka_unit_test(starts_are_saved_before_anybody_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
