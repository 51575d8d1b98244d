// Every call to the file system fails once, or it and all behind it, while the log manager starts, works and
// stops, twice over: its checkpoints, the clean marker, meta.properties, the logs' partition.metadata and
// epochs. The start after that finds what was acknowledged. (What the logs themselves do: test_log_faults.c.)
#include "log_fixture.h"
#include "nth_call.h"

#include "base/logger.h"
#include "storage/log_manager_state.h"

#define DIRS         2
#define LOGS         3 // by turns in the directories
#define DOOMED       2 // is deleted in the second life
#define START        3 // of a log after DeleteRecords
#define BROKER_EPOCH 40

struct known { // what the metadata and the clients know of a log
    bool made, deleted;
    bool may_be_deleted;
    struct uuid directory;
    int64_t end, may_end; // what is acknowledged; an append that failed may be there all the same
    int64_t start, may_start;
};

struct world {
    char root[64];
    struct known logs[LOGS];
    struct log_manager *manager;
    struct uuid directories[DIRS]; // zero: not formatted
    bool clean[DIRS];              // the last stop said so
};

static const struct uuid topic = {{5, 5}};

// ---------------------------------------------------------------- starts and stops

static void config_of(void *arg, const char *name, struct log_config *out)
{
    (void)arg, (void)name;
    *out = log_config_default();
    out->verify_transactions = false;
}

// A directory that is new gets its id now, as by a format.
static int open_dir(struct world *w, int i, struct log_dir **out)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%d", w->root, i);
    int rc = log_dir_open(path, out, NULL, 0);
    if (rc)
        return rc;
    if (!(*out)->has_meta) {
        assert_true(uuid_is_zero(&w->directories[i])); // it was, and is lost
        struct meta_properties meta = {.cluster_id = "c", .node_id = 1, .directory_id = {{9, (uint8_t)i}}};
        rc = log_dir_write_meta(*out, &meta);
    }
    if (rc) {
        log_dir_close(*out);
        return rc;
    }
    assert_int_equal((*out)->meta.directory_id.bytes[1], i);
    assert_int_equal((*out)->meta.node_id, 1);
    w->directories[i] = (*out)->meta.directory_id;
    return 0;
}

static int start(struct world *w)
{
    struct log_dir *dirs[DIRS];
    int opened = 0, rc = 0;
    w->manager = NULL;
    while (rc == 0 && opened < DIRS) {
        rc = open_dir(w, opened, &dirs[opened]);
        opened += rc == 0;
    }
    for (int i = 0; rc == 0 && i < DIRS; i++)
        w->clean[i] = dirs[i]->clean;
    struct log_manager_params p = {.dirs = dirs, .dir_count = DIRS, .config_of = config_of};
    if (rc == 0)
        rc = log_manager_open(&p, &w->manager, NULL, 0);
    for (int i = 0; rc && i < opened; i++)
        log_dir_close(dirs[i]);
    return rc;
}

// ---------------------------------------------------------------- what is done

static struct log *log_of(struct world *w, int i)
{
    return log_manager_get(w->manager, &topic, i);
}

// The metadata knows a log from its first creation on, and where it lies.
static void host(struct world *w, int i)
{
    struct known *k = &w->logs[i];
    struct log *log;
    if (k->may_be_deleted || log_of(w, i))
        return;
    struct log_creation creation = {.topic = "t",
                                    .topic_id = topic,
                                    .partition = i,
                                    .directory_id = k->made ? k->directory : w->directories[i % DIRS],
                                    .known = k->made};
    if (log_manager_create(w->manager, &creation, &log))
        return;
    k->made = true;
    k->directory = log_manager_directory_id(w->manager, log);
}

static void write_to(struct world *w, int i)
{
    struct log *log = log_of(w, i);
    struct known *k = &w->logs[i];
    struct log_append_info info;
    if (!log)
        return;
    bool off_line = log_is_offline(log);
    int rc = append(log, BATCH_SPEC(0), &info);
    if (rc == 0) {
        assert_int_equal(info.base_offset, k->end);
        k->end++;
    }
    if (!off_line && k->may_end < k->end + (rc != 0))
        k->may_end = k->end + (rc != 0);
    set_watermark(log, k->end);
}

struct saving {
    struct log_start_save save;
    bool done;
    int rc;
};

static void on_saved(struct log_start_save *save, int rc)
{
    struct saving *s = container_of(save, struct saving, save);
    s->done = true;
    s->rc = rc;
}

static void delete_records(struct world *w, int i)
{
    struct log *log = log_of(w, i);
    struct saving told = {.save.done = on_saved};
    if (!log)
        return;
    log_lock(log);
    int rc = log_set_start_offset(log, START);
    log_unlock(log);
    if (rc)
        return;
    w->logs[i].may_start = START;
    log_manager_save_start(w->manager, &told.save);
    log_manager_serve_saves(w->manager);
    assert_true(told.done);
    if (told.rc == 0)
        w->logs[i].start = START;
}

static void delete_log(struct world *w, int i)
{
    struct log *log = log_of(w, i);
    if (!log)
        return;
    w->logs[i].may_be_deleted = true;
    w->logs[i].deleted = log_manager_remove(w->manager, log, LOG_REMOVE_DELETE) == 0;
    log_close(log, false);
}

static void live(struct world *w, int life)
{
    if (start(w))
        return;
    for (int i = 0; i < LOGS; i++) {
        host(w, i);
        for (int n = 0; n < START; n++)
            write_to(w, i);
    }
    struct log *log = log_of(w, 0);
    if (log) {
        log_lock(log);
        (void)log_assign_epoch(log, life + 1);
        log_unlock(log);
        write_to(w, 0);
        (void)log_flush(log, log_end_offset(log));
    }
    delete_records(w, 1);
    (void)log_manager_checkpoint(w->manager);
    write_to(w, 1);
    if (life)
        delete_log(w, DOOMED);
    (void)log_manager_close(w->manager, BROKER_EPOCH + life);
}

// ---------------------------------------------------------------- what is found

static void check_log(struct world *w, int i)
{
    const struct known *k = &w->logs[i];
    struct log *log = log_of(w, i);
    struct log_offsets o;
    if (!k->made || k->may_be_deleted) {
        assert_true(!k->deleted || !log);
        return;
    }
    if (!log)
        fail_msg("log %d is gone", i);
    log_offsets(log, &o);
    if (o.end_offset < k->end || o.end_offset > k->may_end)
        fail_msg("log %d ends at %lld, not at %lld", i, (long long)o.end_offset, (long long)k->end);
    if (o.log_start_offset != k->start && o.log_start_offset != k->may_start)
        fail_msg("log %d starts at %lld", i, (long long)o.log_start_offset);
    assert_true(log_manager_checkpointed_watermark(w->manager, log) <= o.end_offset);
    assert_int_equal(read_all(log, o.log_start_offset), o.end_offset);
    struct uuid directory = log_manager_directory_id(w->manager, log);
    assert_true(uuid_equal(&directory, &k->directory));
}

// A start without faults, and other ones after its stop.
static void check(struct world *w, int starts)
{
    for (int again = 0; again < starts; again++) {
        assert_int_equal(start(w), 0);
        for (int i = 0; i < DIRS; i++)
            assert_true(!again || w->clean[i]);
        for (int i = 0; i < LOGS; i++) {
            host(w, i); // what could not be loaded where it lies
            check_log(w, i);
        }
        for (int i = 0; i < LOGS; i++) {
            struct log *log = w->logs[i].may_be_deleted ? NULL : log_of(w, i);
            if (!log)
                continue;
            w->logs[i].end = w->logs[i].may_end = log_end_offset(log);
            write_to(w, i);
        }
        assert_int_equal(log_manager_close(w->manager, BROKER_EPOCH), 0);
    }
}

// The run is repeated by its fault and its call.
static void said(const struct nth_call *c)
{
    if (getenv("NTH_CALL"))
        print_message("%s, call %d\n", c->fault->name, c->n);
}

static void any_call_of_two_lives(void **state)
{
    (void)state;
    for (size_t k = 0; k < NTH_FAULTS; k++) {
        if (nth_faults[k].onwards && nth_faults[k].error == EIO && !nth_faults[k].write_bytes)
            continue; // what they would find the others find, too
        struct nth_call c = {.n = 1, .fault = &nth_faults[k]};
        for (; c.n == 1 || c.hit; c.n++) {
            struct world w = {0};
            struct log_fixture f;
            fixture_start(&f);
            snprintf(w.root, sizeof w.root, "%s", f.root);
            nth_call_arm(&c);
            live(&w, 0);
            live(&w, 1);
            nth_call_disarm(&c);
            said(&c);
            check(&w, 1 + c.n % 2);
            fixture_stop(&f);
        }
        print_message("%s: %d calls\n", c.fault->name, c.n - 1);
    }
}

int main(void)
{
    logger_set_level(LOG_LEVEL_OFF);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_call_of_two_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
