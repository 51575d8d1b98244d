// What recovery makes of torn, damaged and unsynced files, and of calls that fail.
#include "log_fixture.h"
#include "nth_call.h"

#include "base/logger.h"
#include "storage/log_state.h"
#include "storage/producer_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <zlib.h>

#define SEGMENTS_MAX 16

// Copies every file of one directory to a fresh one.
static void copy_dir(const char *from, const char *to)
{
    char command[512];
    snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", to, from, to);
    assert_int_equal(system(command), 0);
}

static int64_t size_of(const char *root, int64_t base, const char *suffix)
{
    char path[256];
    int64_t size;
    snprintf(path, sizeof path, "%s/t-0/%020lld%s", root, (long long)base, suffix);
    return file_stat(path, &size, NULL) ? -1 : size;
}

static void cut_file(const char *root, int64_t base, int64_t size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/t-0/%020lld.log", root, (long long)base);
    assert_int_equal(truncate(path, size), 0);
}

// A log cut at every byte of its last batches comes back with exactly the whole ones.
static void a_torn_tail_is_cut_at_the_last_whole_batch(void **state)
{
    struct log_fixture f;
    int64_t sizes[12];
    char saved[128], work[128];
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    for (int i = 0; i < 12; i++) {
        append_ok(
            f.log,
            BATCH_SPEC(.records = 2, .value_bytes = 20 + (size_t)i, .producer_id = 9, .sequence = i * 2),
            i * 2);
        sizes[i] = size_of(f.root, 0, ".log");
    }
    log_close(f.log, false);
    snprintf(saved, sizeof saved, "%s/t-0", f.root);
    snprintf(work, sizeof work, "%s/saved", f.root);
    copy_dir(saved, work);
    for (int64_t cut = sizes[7]; cut < sizes[11]; cut++) {
        for (int same_boot = 0; same_boot < 2; same_boot++) {
            int whole = 8;
            while (whole < 12 && sizes[whole] <= cut)
                whole++;
            copy_dir(work, saved);
            cut_file(f.root, 0, cut);
            struct log_params p = fixture_params(&f, false, 0);
            p.same_boot = same_boot;
            assert_int_equal(log_open(&p, &f.log, NULL, 0), 0);
            assert_int_equal(log_end_offset(f.log), whole * 2);
            assert_int_equal(size_of(f.root, 0, ".log"), sizes[whole - 1]);
            assert_int_equal(read_all(f.log, 0), whole * 2);
            append_ok(f.log, BATCH_SPEC(.producer_id = 9, .sequence = whole * 2),
                      whole * 2); // its state is right, too
            log_close(f.log, false);
        }
    }
    f.log = NULL;
    fixture_stop(&f);
}

// Bytes behind a torn batch, as many as it lacks or more, do not make a batch of it.
static void a_torn_batch_that_others_bytes_complete_is_cut(void **state)
{
    (void)state;
    for (size_t more = 0; more < 3; more++) {
        for (int same_boot = 0; same_boot < 2; same_boot++) {
            struct log_fixture f;
            char path[128];
            uint8_t junk[256];
            memset(junk, 'x', sizeof junk);
            fixture_start(&f);
            fixture_open(&f, true, 0);
            for (int i = 0; i < 3; i++)
                append_ok(f.log, BATCH_SPEC(.value_bytes = 100), i);
            int64_t good = size_of(f.root, 0, ".log");
            append_ok(f.log, BATCH_SPEC(.value_bytes = 100), 3);
            int64_t whole = size_of(f.root, 0, ".log");
            log_close(f.log, false);
            cut_file(f.root, 0, good + 80);
            snprintf(path, sizeof path, "%s/t-0/00000000000000000000.log", f.root);
            int fd = file_open(path, O_RDWR);
            assert_int_equal(file_write_at(fd, junk, (size_t)(whole - good - 80) + more * 20, good + 80), 0);
            file_close(fd);
            struct log_params p = fixture_params(&f, false, 0);
            p.same_boot = same_boot;
            assert_int_equal(log_open(&p, &f.log, NULL, 0), 0);
            assert_int_equal(log_end_offset(f.log), 3);
            assert_int_equal(size_of(f.root, 0, ".log"), good);
            assert_int_equal(read_all(f.log, 0), 3);
            fixture_stop(&f);
        }
    }
}

// A damaged byte anywhere behind the recovery point cuts there; what lies before survives.
static void a_damaged_batch_is_cut(void **state)
{
    (void)state;
    for (int same_boot = 0; same_boot < 2; same_boot++) {
        struct log_fixture f;
        char path[128];
        fixture_start(&f);
        fixture_open(&f, true, 0);
        int64_t at = 0;
        for (int i = 0; i < 10; i++) {
            if (i == 6)
                at = size_of(f.root, 0, ".log");
            append_ok(f.log, BATCH_SPEC(0), i);
        }
        log_close(f.log, false);
        snprintf(path, sizeof path, "%s/t-0/00000000000000000000.log", f.root);
        int fd = file_open(path, O_RDWR);
        uint8_t byte;
        assert_int_equal(file_read_exactly(fd, &byte, 1, at + 65), 0);
        byte ^= 1;
        assert_int_equal(file_write_at(fd, &byte, 1, at + 65), 0);
        file_close(fd);
        struct log_params p = fixture_params(&f, false, 3);
        p.same_boot = same_boot;
        assert_int_equal(log_open(&p, &f.log, NULL, 0), 0);
        assert_int_equal(log_end_offset(f.log), 6);
        assert_int_equal(read_all(f.log, 0), 6);
        fixture_stop(&f);
    }
}

static void write_old_batch(const char *root, int64_t at)
{
    char path[128];
    snprintf(path, sizeof path, "%s/t-0/00000000000000000000.log", root);
    uint8_t old[12 + 22] = {
        [7] = 1, [11] = 22, [16] = 1}; // offset 1, length 22, CRC, magic 1, no key, no value
    memset(old + 26, 0xff, 8);
    store_be32(old + 12, (uint32_t)crc32(0, old + 16, sizeof old - 16));
    int fd = file_open(path, O_RDWR);
    assert_int_equal(file_write_at(fd, old, sizeof old, at), 0);
    file_close(fd);
}

static void old_magic_stops_the_log_and_changes_nothing(void **state)
{
    struct log_fixture f;
    struct log *log;
    char message[256];
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(0), 0);
    int64_t at = size_of(f.root, 0, ".log");
    append_ok(f.log, BATCH_SPEC(0), 1);
    int64_t size = size_of(f.root, 0, ".log");
    log_close(f.log, false);
    f.log = NULL;
    write_old_batch(f.root, at);
    struct log_params p = fixture_params(&f, false, 0);
    assert_int_equal(log_open(&p, &log, message, sizeof message), ERR_UNSUPPORTED);
    assert_non_null(strstr(message, "magic 0 or 1"));
    assert_int_equal(size_of(f.root, 0, ".log"), size);
    fixture_stop(&f);
}

// After a clean stop it is found at the first use, and the stop after that is clean all the same.
static void old_magic_is_found_at_the_first_use(void **state)
{
    struct log_fixture f;
    struct log_slice slice;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    append_ok(f.log, BATCH_SPEC(0), 0);
    int64_t at = size_of(f.root, 0, ".log");
    append_ok(f.log, BATCH_SPEC(0), 1);
    int64_t size = size_of(f.root, 0, ".log");
    assert_int_equal(log_close(f.log, true), 0);
    write_old_batch(f.root, at);
    fixture_open(&f, true, 2);
    assert_int_equal(log_read(f.log, 0, 1 << 16, LOG_BOUND_END, true, &slice), ERR_UNSUPPORTED);
    assert_int_equal(log_read(f.log, 0, 1 << 16, LOG_BOUND_END, true, &slice), ERR_CLOSED);
    assert_int_equal(log_close(f.log, true), 0);
    f.log = NULL;
    assert_int_equal(size_of(f.root, 0, ".log"), size);
    fixture_stop(&f);
}

static void old_magic_in_what_a_start_does_not_read_stops_the_log(void **state)
{
    struct log_fixture f;
    struct log_slice slice;
    (void)state;
    fixture_start(&f);
    fixture_open(&f, true, 0);
    for (int64_t i = 0; i < 300; i++) // more than are found without reading
        append_ok(f.log, BATCH_SPEC(0), i);
    int64_t size = size_of(f.root, 0, ".log");
    write_old_batch(f.root, 0);
    assert_int_equal(log_read(f.log, 0, 1 << 16, LOG_BOUND_END, true, &slice), ERR_UNSUPPORTED);
    assert_int_equal(log_read(f.log, 0, 1 << 16, LOG_BOUND_END, true, &slice), ERR_CLOSED);
    assert_true(log_is_offline(f.log));
    assert_int_equal(size_of(f.root, 0, ".log"), size);
    log_close(f.log, false);
    f.log = NULL;
    fixture_stop(&f);
}

// 100 batches in several segments, whose indexes have many entries; closed.
static void fixture_with_indexes(struct log_fixture *f)
{
    fixture_start(f);
    f->config.segment_bytes = 3000;
    f->config.index_interval_bytes = 100;
    fixture_open(f, true, 0);
    for (int i = 0; i < 100; i++)
        append_ok(f->log, BATCH_SPEC(.timestamp_ms = 1000 + i), i);
    assert_int_equal(log_close(f->log, true), 0);
}

static void missing_and_damaged_indexes_are_rebuilt(void **state)
{
    static const char *const suffixes[] = {".index", ".timeindex"};
    struct log_fixture f;
    (void)state;
    fixture_with_indexes(&f);
    for (int how = 0; how < 3; how++) {
        for (size_t k = 0; k < 2; k++) {
            char path[128];
            snprintf(path, sizeof path, "%s/t-0/00000000000000000000%s", f.root, suffixes[k]);
            int64_t size = size_of(f.root, 0, suffixes[k]);
            assert_true(size > 24);
            if (how == 0) {
                assert_int_equal(file_unlink(path), 0);
            } else {
                uint8_t junk[24];
                memset(junk, how == 1 ? 0 : 0x41, sizeof junk);
                int fd = file_open(path, O_RDWR);
                assert_int_equal(file_write_at(fd, junk, sizeof junk, size / 24 * 12 - 12), 0);
                file_close(fd);
            }
            fixture_open(&f, true, 100);
            assert_int_equal(read_all(f.log, 0), 100);
            for (int64_t offset = 0; offset < 100; offset += 7) {
                struct log_slice slice;
                struct log_time_offset found;
                assert_int_equal(log_offset_for_time(f.log, 1000 + offset, &found), 0);
                assert_int_equal(found.offset, offset);
                assert_int_equal(log_read(f.log, offset, 1, LOG_BOUND_END, true, &slice), 0);
                assert_int_equal(slice.base_offset, offset);
                log_slice_release(&slice);
            }
            assert_int_equal(log_close(f.log, true), 0);
        }
    }
    f.log = NULL;
    fixture_stop(&f);
}

// An index that is in order leads into the middle of a batch: the read goes by the log, and the index is made
// anew.
static void an_index_that_leads_astray_is_rebuilt(void **state)
{
    struct log_fixture f;
    struct log_slice slice;
    struct buffer before = BUFFER_INIT, after = BUFFER_INIT;
    char path[128];
    (void)state;
    fixture_with_indexes(&f);
    snprintf(path, sizeof path, "%s/t-0/00000000000000000000.index", f.root);
    assert_int_equal(file_read_whole(path, 1 << 20, &before), 0);
    uint8_t position[4];
    store_be32(position, load_be32(before.data + 12) + 1); // of the second entry
    int fd = file_open(path, O_RDWR);
    assert_int_equal(file_write_at(fd, position, sizeof position, 12), 0);
    file_close(fd);
    int64_t offset = load_be32(before.data + 8);
    fixture_open(&f, true, 100);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(log_read(f.log, offset, 1, LOG_BOUND_END, true, &slice), 0);
        assert_int_equal(slice.base_offset, offset);
        log_slice_release(&slice);
    }
    assert_int_equal(file_read_whole(path, 1 << 20, &after), 0);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    buffer_free(&before);
    buffer_free(&after);
    fixture_stop(&f);
}

static struct file_fault die_at_the_index(void *arg, enum file_call call, int fd, const char *path,
                                          size_t size)
{
    char link[64], name[PATH_MAX] = "";
    bool *dead = arg;
    (void)path, (void)size;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    *dead |= call == FILE_CALL_TRUNCATE && readlink(link, name, sizeof name - 1) > 0 && strstr(name, "index");
    return (struct file_fault){.error = *dead ? EIO : 0};
}

// The log's file is cut, its indexes are not: what these say of the records that are gone counts for nothing.
static void a_crash_within_a_truncation_leaves_no_times(void **state)
{
    struct log_fixture f;
    struct log_time_offset found;
    bool dead = false;
    (void)state;
    fixture_start(&f);
    f.config.index_interval_bytes = 100;
    fixture_open(&f, true, 0);
    for (int i = 0; i < 100; i++)
        append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1000 + i * 10), i);
    assert_int_equal(log_flush(f.log, 100), 0);
    file_set_fault(die_at_the_index, &dead);
    log_lock(f.log);
    assert_int_not_equal(log_truncate_to(f.log, 50), 0);
    log_unlock(f.log);
    file_set_fault(NULL, NULL);
    assert_true(dead);
    log_close(f.log, false);
    assert_true(size_of(f.root, 0, ".timeindex") > 12 * 30); // not cut
    fixture_open(&f, false, 100);                            // no checkpoint was written meanwhile
    assert_int_equal(log_end_offset(f.log), 50);
    assert_int_equal(log_offset_for_time(f.log, 1500, &found), ERR_NOT_FOUND);
    assert_int_equal(log_offset_of_max_time(f.log, &found), 0);
    assert_int_equal(found.offset, 49);
    for (int i = 50; i < 60; i++)
        append_ok(f.log, BATCH_SPEC(.timestamp_ms = 1000 + i * 10), i);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(log_offset_for_time(f.log, 1000 + i * 10, &found), 0);
        assert_int_equal(found.offset, i);
    }
    fixture_stop(&f);
}

// ---------------------------------------------------------------- calls that fail

// A log of 40 batches whose last one is torn.
static void torn_log(struct log_fixture *f)
{
    fixture_start(f);
    f->config.segment_bytes = 1000;
    f->config.index_interval_bytes = 100;
    fixture_open(f, true, 0);
    for (int i = 0; i < 40; i++)
        append_ok(f->log, BATCH_SPEC(.producer_id = 3, .sequence = i), i);
    int64_t active = log_active(f->log)->base_offset;
    log_close(f->log, false);
    f->log = NULL;
    cut_file(f->root, active, size_of(f->root, active, ".log") - 3);
}

// Recovery itself fails at each of its calls; the next one succeeds.
static void a_recovery_that_fails_can_be_repeated(void **state)
{
    struct log_fixture f;
    char saved[128], work[128];
    (void)state;
    torn_log(&f);
    snprintf(saved, sizeof saved, "%s/t-0", f.root);
    snprintf(work, sizeof work, "%s/saved", f.root);
    copy_dir(saved, work);
    for (size_t k = 0; k < NTH_FAULTS; k++) {
        for (struct nth_call c = {.n = 1, .fault = &nth_faults[k]}; c.n == 1 || c.hit; c.n++) {
            struct log *failing;
            struct log_params p = fixture_params(&f, false, 0);
            p.same_boot = c.n % 2;
            copy_dir(work, saved);
            nth_call_arm(&c);
            if (log_open(&p, &failing, NULL, 0) == 0)
                log_close(failing, false);
            nth_call_disarm(&c);
            fixture_open(&f, false, 0);
            assert_int_equal(log_end_offset(f.log), 39);
            assert_int_equal(read_all(f.log, 0), 39);
            append_ok(f.log, BATCH_SPEC(.producer_id = 3, .sequence = 39), 39);
            log_close(f.log, false);
            f.log = NULL;
        }
    }
    fixture_stop(&f);
}

static struct file_fault note_index(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    (void)fd, (void)size;
    *(int *)arg += call == FILE_CALL_OPEN && strstr(path, "index");
    return (struct file_fault){0};
}

// Index files that are longer than they should be are cut at the stop; others are not even opened where there
// is nothing to write, as many logs may have been recovered.
static void a_stop_after_a_recovery_opens_no_index_for_nothing(void **state)
{
    static const char *const suffixes[] = {".index", ".timeindex"};
    (void)state;
    for (int longer = 0; longer < 2; longer++) {
        struct log_fixture f;
        char path[256];
        int opened = 0;
        fixture_start(&f);
        fixture_open(&f, true, 0);
        append_ok(f.log, BATCH_SPEC(0), 0);
        log_close(f.log, false);
        for (int i = 0; longer && i < 2; i++) { // as Kafka leaves them behind
            snprintf(path, sizeof path, "%s/t-0/%020d%s", f.root, 0, suffixes[i]);
            assert_int_equal(truncate(path, 10 << 20), 0);
        }
        fixture_open(&f, false, 0);
        file_set_fault(note_index, &opened);
        assert_int_equal(log_close(f.log, true), 0);
        file_set_fault(NULL, NULL);
        f.log = NULL;
        assert_int_equal(opened, longer ? 2 : 1);
        assert_int_equal(size_of(f.root, 0, ".index"), 0);
        assert_int_equal(size_of(f.root, 0, ".timeindex"), 12); // its end, for who does not read the segment
        fixture_stop(&f);
    }
}

// ---------------------------------------------------------------- power loss: what was not synced may be
// gone

struct synced {
    ino_t inode[64];
    off_t size[64];
    int count;
};

static struct file_fault note_sync(void *arg, enum file_call call, int fd, const char *path, size_t size)
{
    struct synced *s = arg;
    struct stat st;
    (void)path, (void)size;
    if (call != FILE_CALL_SYNC || fd < 0 || fstat(fd, &st))
        return (struct file_fault){0};
    int i = 0;
    while (i < s->count && s->inode[i] != st.st_ino)
        i++;
    if (i == s->count && s->count < 64)
        s->inode[s->count++] = st.st_ino;
    if (i < 64)
        s->size[i] = st.st_size;
    return (struct file_fault){0};
}

struct loss {
    const struct synced *synced;
    char dir[128];
    unsigned *seed;
};

// Cuts a file at a random place behind what was synced of it, or leaves a hole of zeros there.
static int lose(void *arg, const char *name)
{
    struct loss *l = arg;
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", l->dir, name);
    assert_int_equal(stat(path, &st), 0);
    off_t safe = 0;
    for (int i = 0; i < l->synced->count; i++)
        if (l->synced->inode[i] == st.st_ino)
            safe = l->synced->size[i] < st.st_size ? l->synced->size[i] : st.st_size;
    if (safe == st.st_size)
        return 0;
    off_t cut = safe + (off_t)(rand_r(l->seed) % (st.st_size - safe + 1));
    assert_int_equal(truncate(path, cut), 0);
    if (rand_r(l->seed) % 2) // the size arrived, the bytes did not
        assert_int_equal(truncate(path, st.st_size), 0);
    return 0;
}

// A power loss that takes a sealed segment's last batches, cut where one ends: nothing tells of them but the
// next segment's offset.
static void a_loss_between_segments_ends_the_log_there(void **state)
{
    (void)state;
    for (int compacted = 0; compacted < 2; compacted++) {
        struct log_fixture f;
        char path[256];
        struct stat st;
        fixture_start(&f);
        f.config.segment_bytes = 1500;
        f.config.cleanup_compact = compacted;
        fixture_open(&f, true, 0);
        for (int i = 0; log_segment_count(f.log) < 3; i++)
            append_ok(f.log, BATCH_SPEC(.value_bytes = 32), i);
        int64_t end = log_end_offset(f.log);
        log_close(f.log, false);
        snprintf(path, sizeof path, "%s/t-0/%020d.log", f.root, 0);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(truncate(path, st.st_size - 100), 0); // a batch has 61 + 39 bytes
        fixture_open(&f, false, 0);
        if (compacted) { // where that is usual
            assert_int_equal(log_end_offset(f.log), end);
        } else {
            assert_int_equal(log_end_offset(f.log), st.st_size / 100 - 1);
            assert_int_equal(log_segment_count(f.log), 1);
            assert_int_equal(read_all(f.log, 0), log_end_offset(f.log));
        }
        fixture_stop(&f);
    }
}

static void after_power_loss_everything_flushed_is_there(void **state)
{
    const char *wanted = getenv("SEED"); // to repeat a run
    unsigned seed = wanted ? (unsigned)strtoul(wanted, NULL, 10) : (unsigned)getpid();
    (void)state;
    print_message("seed %u\n", seed);
    for (int round = 0; round < 200; round++) {
        struct log_fixture f;
        struct synced synced = {.count = 0};
        fixture_start(&f);
        f.config.segment_bytes = 1500;
        f.config.index_interval_bytes = 100;
        fixture_open(&f, true, 0);
        file_set_fault(note_sync, &synced);
        int appends = rand_r(&seed) % 80;
        for (int i = 0; i < appends; i++) {
            append_ok(
                f.log,
                BATCH_SPEC(.producer_id = 3, .sequence = i, .value_bytes = (size_t)(1 + rand_r(&seed) % 100)),
                i);
            if (rand_r(&seed) % 15 == 0)
                assert_int_equal(log_flush(f.log, log_end_offset(f.log)), 0);
        }
        file_set_fault(NULL, NULL);
        int64_t flushed = log_recovery_point(f.log);
        log_close(f.log, false);
        struct loss loss = {.synced = &synced, .seed = &seed};
        snprintf(loss.dir, sizeof loss.dir, "%s/t-0", f.root);
        assert_int_equal(file_list(loss.dir, lose, &loss), 0);
        fixture_open(&f, false, flushed);
        int64_t end = log_end_offset(f.log);
        assert_true(end >= flushed && end <= appends);
        assert_int_equal(read_all(f.log, 0), end);
        append_ok(f.log, BATCH_SPEC(.producer_id = 3, .sequence = (int32_t)end), end);
        fixture_stop(&f);
    }
}

static void last_five_are_duplicates(struct log *log, int batches)
{
    for (int i = batches - PRODUCER_BATCHES; i < batches; i++) {
        size_t size;
        struct log_append_info info = {0};
        uint8_t *batch = make_batch(BATCH_SPEC(.producer_id = 3, .sequence = i * 2, .records = 2), &size);
        log_lock(log);
        assert_int_equal(log_append(log, batch, size, 0, LOG_ORIGIN_CLIENT, 2000, &info), 0);
        log_unlock(log);
        assert_true(info.duplicate);
        assert_int_equal(info.base_offset, i * 2);
        free(batch);
    }
}

// A snapshot holds one batch a producer; a client whose answers were lost sends up to five again.
static void the_last_five_batches_are_known_after_a_restart(void **state)
{
    (void)state;
    enum { BATCHES = 8 };
    for (int how = 0; how < 3; how++) { // a clean stop; a crash behind a flush's snapshot; behind a roll's
        struct log_fixture f;
        fixture_start(&f);
        f.config.producer_id_expiration_ms = INT64_MAX; // the batches' times are old
        fixture_open(&f, true, 0);
        for (int i = 0; i < BATCHES; i++)
            append_ok(f.log, BATCH_SPEC(.producer_id = 3, .sequence = i * 2, .records = 2), i * 2);
        if (how == 2) {
            log_lock(f.log);
            assert_int_equal(log_roll(f.log, 1000), 0);
            log_unlock(f.log);
        }
        assert_int_equal(log_flush(f.log, log_end_offset(f.log)), 0);
        last_five_are_duplicates(f.log, BATCHES);
        assert_int_equal(log_close(f.log, how == 0), 0);
        fixture_open(&f, how == 0, BATCHES * 2);
        last_five_are_duplicates(f.log, BATCHES);
        append_ok(f.log, BATCH_SPEC(.producer_id = 3, .sequence = BATCHES * 2, .records = 2), BATCHES * 2);
        last_five_are_duplicates(f.log, BATCHES + 1);
        fixture_stop(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_five_batches_are_known_after_a_restart),
        cmocka_unit_test(a_torn_tail_is_cut_at_the_last_whole_batch),
        cmocka_unit_test(a_torn_batch_that_others_bytes_complete_is_cut),
        cmocka_unit_test(a_damaged_batch_is_cut),
        cmocka_unit_test(old_magic_stops_the_log_and_changes_nothing),
        cmocka_unit_test(old_magic_is_found_at_the_first_use),
        cmocka_unit_test(old_magic_in_what_a_start_does_not_read_stops_the_log),
        cmocka_unit_test(missing_and_damaged_indexes_are_rebuilt),
        cmocka_unit_test(an_index_that_leads_astray_is_rebuilt),
        cmocka_unit_test(a_crash_within_a_truncation_leaves_no_times),
        cmocka_unit_test(a_recovery_that_fails_can_be_repeated),
        cmocka_unit_test(a_stop_after_a_recovery_opens_no_index_for_nothing),
        cmocka_unit_test(a_loss_between_segments_ends_the_log_there),
        cmocka_unit_test(after_power_loss_everything_flushed_is_there),
    };
    logger_set_level(LOG_LEVEL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
