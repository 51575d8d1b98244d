#include "log_fixture.h"

#include <sys/stat.h>

// Bytes of disk that the first segment takes beyond its size.
static int64_t reserved(const struct log_fixture *f)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/t-0/00000000000000000000.log", f->root);
    assert_int_equal(stat(path, &st), 0);
    return (int64_t)st.st_blocks * 512 - (int64_t)st.st_size;
}

static bool can_reserve(void)
{
    char path[] = "/tmp/odradek-reserve-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    int rc = file_reserve(fd, 0, 1 << 20);
    file_close(fd);
    unlink(path);
    return rc == 0;
}

static void fill(struct log_fixture *f, int batches, int64_t offset)
{
    for (int i = 0; i < batches; i++)
        append_ok(f->log, BATCH_SPEC(.value_bytes = 100000), offset + i);
}

static void reserves_for_large_segments_only(void **state)
{
    struct log_fixture f;
    (void)state;
    if (!can_reserve())
        skip(); // the temporary directory's file system knows no fallocate
    fixture_start(&f);
    f.config.segment_bytes = 20000000;
    fixture_open(&f, true, 0);
    fill(&f, 5, 0);
    assert_true(reserved(&f) < 1000000); // the kernel may take some ahead, too
    fill(&f, 15, 5);
    assert_true(reserved(&f) > 4000000);
    fixture_stop(&f);
}

static void gives_back_at_roll_and_at_close(void **state)
{
    struct log_fixture f;
    (void)state;
    if (!can_reserve())
        skip();
    fixture_start(&f);
    fixture_open(&f, true, 0);
    fill(&f, 20, 0);
    assert_true(reserved(&f) > 4000000);
    assert_int_equal(log_close(f.log, true), 0);
    assert_true(reserved(&f) < 100000);
    fixture_open(&f, true, 20);
    fill(&f, 1, 20);
    assert_true(reserved(&f) > 4000000);
    log_lock(f.log);
    assert_int_equal(log_roll(f.log, 6000), 0);
    log_unlock(f.log);
    assert_true(reserved(&f) < 100000);
    assert_int_equal(read_all(f.log, 0), 21);
    fixture_stop(&f);
}

// What a crash leaves reserved is given back by the next clean stop, or by a truncation.
static void survives_a_crash(void **state)
{
    struct log_fixture f;
    (void)state;
    if (!can_reserve())
        skip();
    fixture_start(&f);
    fixture_open(&f, true, 0);
    fill(&f, 20, 0);
    log_close(f.log, false);
    assert_true(reserved(&f) > 4000000);
    fixture_open(&f, false, 0);
    assert_int_equal(log_end_offset(f.log), 20);
    fill(&f, 1, 20);
    assert_int_equal(read_all(f.log, 0), 21);
    assert_int_equal(log_close(f.log, true), 0);
    f.log = NULL;
    assert_true(reserved(&f) < 100000);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserves_for_large_segments_only),
        cmocka_unit_test(gives_back_at_roll_and_at_close),
        cmocka_unit_test(survives_a_crash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
