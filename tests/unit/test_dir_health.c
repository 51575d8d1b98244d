// What a log directory's health says, and when a disk counts as full.
#include "unit.h"

#include "base/error.h"
#include "storage/disk_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MB (INT64_C(1) << 20)

static void a_disk_is_full_until_an_eighth_more_is_free(void **state)
{
    static const struct {
        int64_t free_bytes;
        bool was_full, full;
    } cases[] = {
        {65 * MB, false, false}, {64 * MB, false, false},   {64 * MB - 1, false, true}, {0, false, true},
        {64 * MB, true, true},   {72 * MB - 1, true, true}, {72 * MB, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(disk_watch_full(cases[i].free_bytes, 64 * MB, cases[i].was_full), cases[i].full);
}

static void the_nearer_the_limit_the_sooner_the_next_look(void **state)
{
    (void)state;
    assert_int_equal(disk_watch_wait_ms(INT64_MAX / 2, 64 * MB), 1000);
    assert_int_equal(disk_watch_wait_ms(464 * MB, 64 * MB), 100);
    assert_int_equal(disk_watch_wait_ms(64 * MB, 64 * MB), 20);
    assert_int_equal(disk_watch_wait_ms(0, 64 * MB), 20);
}

static void count(void *arg, struct dir_health *h)
{
    (void)h;
    ++*(int *)arg;
}

static void a_failure_is_told_once_and_stays(void **state)
{
    int told = 0;
    struct dir_health h = {.path = "/data", .tell = count, .tell_arg = &told};
    (void)state;
    assert_int_equal(dir_health_note(&h, "cannot write", "t-0", 0), 0);
    assert_int_equal(dir_health_note(&h, "cannot write", "t-0", ERR_NO_SPACE), ERR_NO_SPACE);
    assert_int_equal(dir_health_note(NULL, "cannot write", "t-0", ERR_IO), ERR_IO);
    assert_false(dir_health_failed(&h));
    errno = EIO;
    assert_int_equal(dir_health_note(&h, "cannot write", "t-0", ERR_IO), ERR_IO);
    assert_true(dir_health_failed(&h));
    dir_health_fail(&h, "cannot write", "t-0", ERR_IO);
    assert_int_equal(told, 1);
}

static void a_directory_that_is_gone_has_failed(void **state)
{
    char path[] = "/tmp/odradek-watch-XXXXXX";
    (void)state;
    assert_non_null(mkdtemp(path));
    struct dir_health here = {.path = path}, gone = {.path = "/no/such/directory"}, *both[] = {&here, &gone};
    struct disk_watch *w = disk_watch_start(both, 2, INT64_MAX / 2);
    assert_non_null(w);
    assert_true(dir_health_failed(&gone));
    assert_false(dir_health_failed(&here));
    assert_true(dir_health_full(&here));
    disk_watch_stop(w);
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_disk_is_full_until_an_eighth_more_is_free),
        cmocka_unit_test(the_nearer_the_limit_the_sooner_the_next_look),
        cmocka_unit_test(a_failure_is_told_once_and_stays),
        cmocka_unit_test(a_directory_that_is_gone_has_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
