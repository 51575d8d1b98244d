// Many logs that come and go at once, over two directories.
#include "log_fixture.h"

#include "storage/log_manager.h"

#include <errno.h>
#include <stdatomic.h>

#define LOGS 300

static void default_config(void *arg, const char *topic, struct log_config *out)
{
    (void)arg, (void)topic;
    *out = log_config_default();
}

struct pair {
    char root[64], paths[2][80];
    struct log_manager *m;
};

static void start(struct pair *p)
{
    struct log_dir *dirs[2];
    char message[256] = "";
    if (!p->root[0]) {
        snprintf(p->root, sizeof p->root, "%s/odradek-many-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        assert_non_null(mkdtemp(p->root));
    }
    for (int i = 0; i < 2; i++) {
        snprintf(p->paths[i], sizeof p->paths[i], "%s/%d", p->root, i);
        assert_int_equal(log_dir_open(p->paths[i], &dirs[i], message, sizeof message), 0);
        dirs[i]->meta.directory_id = (struct uuid){{(uint8_t)(i + 1)}};
        dirs[i]->has_meta = true;
    }
    struct log_manager_params params = {.dirs = dirs, .dir_count = 2, .config_of = default_config};
    assert_int_equal(log_manager_open(&params, &p->m, message, sizeof message), 0);
}

static void stop(struct pair *p)
{
    (void)log_manager_close(p->m, -1);
    assert_int_equal(file_remove_tree(p->root), 0);
}

static const struct uuid topic = {{7}};

static void create_many(struct pair *p)
{
    static struct log_creation all[LOGS];
    for (int i = 0; i < LOGS; i++)
        all[i] = (struct log_creation){.topic = "t", .topic_id = topic, .partition = i};
    log_manager_create_many(p->m, all, LOGS);
}

// How many of them there are under a path.
static int count_under(const char *path)
{
    char name[256];
    int n = 0;
    for (int i = 0; i < LOGS; i++) {
        snprintf(name, sizeof name, "%s/t-%d", path, i);
        n += file_is_dir(name);
    }
    return n;
}

static void test_all_are_made(void **state)
{
    struct pair p = {.root = ""};
    (void)state;
    start(&p);
    create_many(&p);
    create_many(&p); // those that are there stay what they are
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < LOGS; i++) {
            struct log *log = log_manager_get(p.m, &topic, i);
            assert_non_null(log);
            append_ok(log, BATCH_SPEC(0), round);
            set_watermark(log, round + 1);
        }
        if (round == 0) {
            assert_int_equal(log_manager_close(p.m, -1), 0);
            start(&p);
        }
    }
    int first = count_under(p.paths[0]), second = count_under(p.paths[1]);
    assert_int_equal(first + second, LOGS);
    assert_in_range(first - second + LOGS, LOGS - 16, LOGS + 16); // the threads choose at the same time
    stop(&p);
}

static struct file_fault refuse_in(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    (void)fd, (void)size;
    bool there = call == FILE_CALL_MAKE_DIR && strncmp(path, arg, strlen(arg)) == 0;
    return (struct file_fault){there ? EIO : 0, 0};
}

// A directory that breaks down under them has none in the end, and the other one all.
static void test_a_directory_breaks_down(void **state)
{
    struct pair p = {.root = ""};
    (void)state;
    start(&p);
    file_set_fault(refuse_in, p.paths[1]);
    create_many(&p);
    file_set_fault(NULL, NULL);
    assert_int_equal(count_under(p.paths[0]), LOGS);
    struct log_manager_dir second;
    log_manager_dir(p.m, 1, &second);
    assert_true(second.failed);
    for (int i = 0; i < LOGS; i++)
        assert_non_null(log_manager_get(p.m, &topic, i));
    stop(&p);
}

static struct file_fault count_syncs(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    (void)fd, (void)path, (void)size;
    *(int *)arg += call == FILE_CALL_SYNC;
    return (struct file_fault){0};
}

// However many go: one sync of each directory that they were in.
static void test_removals_are_synced_once(void **state)
{
    struct pair p = {.root = ""};
    int syncs = 0;
    (void)state;
    start(&p);
    create_many(&p);
    file_set_fault(count_syncs, &syncs);
    for (int i = 0; i < LOGS; i++) {
        struct log *log = log_manager_get(p.m, &topic, i);
        assert_int_equal(log_manager_remove(p.m, log, LOG_REMOVE_DELETE), 0);
        log_close(log, false);
    }
    assert_int_equal(syncs, 0);
    log_manager_sync_removals(p.m);
    assert_int_equal(syncs, 2);
    log_manager_sync_removals(p.m);
    assert_int_equal(syncs, 2);
    file_set_fault(NULL, NULL);
    stop(&p);
}

static struct file_fault refuse_names(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    (void)fd, (void)size;
    atomic_int *refused = arg; // threads count in it
    bool that = call == FILE_CALL_RENAME && strstr(path, "leader-epoch-checkpoint.tmp") &&
                atomic_fetch_add(refused, 1) == 9;
    return (struct file_fault){that ? ENOSPC : 0, 0};
}

static bool is_clean(struct pair *p)
{
    char path[256];
    int marked = 0;
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/.kafka_cleanshutdown", p->paths[i]);
        marked += file_exists(path);
    }
    return marked == 2;
}

static void check_epochs(struct pair *p, int epochs)
{
    char path[256], wanted[128];
    int n = snprintf(wanted, sizeof wanted, "0\n%d\n", epochs);
    for (int e = 0; e < epochs; e++)
        n += snprintf(wanted + n, sizeof wanted - (size_t)n, "%d %d\n", e, e);
    for (int i = 0; i < LOGS; i++) {
        struct buffer text = BUFFER_INIT;
        bool there = false;
        for (int k = 0; k < 2 && !there; k++) {
            snprintf(path, sizeof path, "%s/t-%d/leader-epoch-checkpoint", p->paths[k], i);
            there = file_read_whole(path, 4096, &text) == 0;
        }
        assert_true(there);
        assert_int_equal(text.size, n);
        assert_memory_equal(text.data, wanted, text.size);
        buffer_free(&text);
    }
}

// Each of many logs had a leader's epoch more when the broker stopped. One that cannot be written down makes
// the stop no clean one, and the start that follows finds it in the batches.
static void test_a_stop_keeps_epochs(void **state)
{
    struct pair p = {.root = ""};
    (void)state;
    start(&p);
    create_many(&p);
    for (int epoch = 0; epoch < 4; epoch++) {
        for (int i = 0; i < LOGS; i++) {
            struct log_append_info info;
            size_t size;
            uint8_t *bytes = make_batch(BATCH_SPEC(0), &size);
            struct log *log = log_manager_get(p.m, &topic, i);
            assert_int_equal(append_bytes(log, bytes, size, LOG_ORIGIN_CLIENT, epoch, &info), 0);
            set_watermark(log, epoch + 1);
        }
        atomic_int refused = 0;
        file_set_fault(epoch == 2 ? refuse_names : NULL, &refused);
        int rc = log_manager_close(p.m, -1);
        file_set_fault(NULL, NULL);
        assert_int_equal(rc, epoch == 2 ? ERR_NO_SPACE : 0);
        assert_int_equal(is_clean(&p), epoch != 2);
        if (epoch != 2)
            check_epochs(&p, epoch + 1);
        start(&p);
    }
    stop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_made),
        cmocka_unit_test(test_a_directory_breaks_down),
        cmocka_unit_test(test_removals_are_synced_once),
        cmocka_unit_test(test_a_stop_keeps_epochs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
