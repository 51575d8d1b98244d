// A log in a temporary directory, and batches for it.
#ifndef LOG_FIXTURE_H
#define LOG_FIXTURE_H

#include "unit.h"

#include "base/error.h"
#include "os/file.h"
#include "storage/batch.h"
#include "storage/file_cache.h"
#include "storage/log.h"
#include "storage/reaper.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct log_fixture {
    char root[64];
    struct file_cache *files;
    struct log_config config;
    struct log *log;
};

static inline void fixture_start(struct log_fixture *f)
{
    // Where there is memory for it: many tests sync and recover hundreds of times.
    snprintf(f->root, sizeof f->root, "%s/odradek-log-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(f->root));
    f->files = file_cache_new(8);
    f->config = log_config_default();
    f->config.verify_transactions = false;
    f->log = NULL;
}

static inline struct log_params fixture_params(struct log_fixture *f, bool clean, int64_t recovery_point)
{
    return (struct log_params){.log_dir = f->root,
                               .flushed_size = -1,
                               .topic = "t",
                               .partition = 0,
                               .topic_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
                               .config = &f->config,
                               .recovery_point = recovery_point,
                               .clean = clean,
                               .now_ms = 1000000,
                               .files = f->files};
}

static inline void fixture_open(struct log_fixture *f, bool clean, int64_t recovery_point)
{
    char message[256];
    struct log_params p = fixture_params(f, clean, recovery_point);
    int rc = log_open(&p, &f->log, message, sizeof message);
    if (rc)
        print_error("log_open: %s: %s\n", err_text(rc), message);
    assert_int_equal(rc, 0);
}

static inline void fixture_stop(struct log_fixture *f)
{
    if (f->log)
        log_close(f->log, false);
    assert_int_equal(file_cache_open_count(f->files), 0);
    file_cache_free(f->files);
    assert_int_equal(file_remove_tree(f->root), 0);
}

struct batch_spec {
    int records;          // 0: one
    int64_t timestamp_ms; // of the first record; the others follow by a millisecond. 0: 1000
    size_t value_bytes;   // 0: 10
    int64_t producer_id;  // 0: none
    int16_t epoch;
    int32_t sequence;
    bool transactional;
    enum compression compression;
    int number; // the values are numbers, padded to value_bytes, from this one on. 0: all are the same
};

#define BATCH_SPEC(...) (&(struct batch_spec){__VA_ARGS__})

static inline int spec_records(const struct batch_spec *spec)
{
    return spec->records ? spec->records : 1;
}

// A batch in memory that the caller frees.
static inline uint8_t *make_batch(const struct batch_spec *spec, size_t *size)
{
    struct batch_options o = BATCH_OPTIONS;
    struct batch_builder b = {0};
    struct bytes out;
    if (spec->producer_id) {
        o.producer_id = spec->producer_id;
        o.producer_epoch = spec->epoch;
        o.base_sequence = spec->sequence;
    }
    size_t value_bytes = spec->value_bytes ? spec->value_bytes : 10;
    int64_t first_ms = spec->timestamp_ms ? spec->timestamp_ms : 1000;
    o.compression = spec->compression;
    if (spec->transactional)
        o.attributes |= BATCH_TRANSACTIONAL;
    batch_builder_init(&b, &o);
    uint8_t *value = malloc(value_bytes);
    memset(value, 'v', value_bytes);
    for (int i = 0; i < spec_records(spec); i++) {
        char number[16];
        if (spec->number)
            memcpy(value, number, (size_t)snprintf(number, sizeof number, "%d.", spec->number + i));
        batch_builder_add(&b, first_ms + i, BYTES_NULL, (struct bytes){value, value_bytes}, NULL, 0);
    }
    assert_int_equal(batch_builder_finish(&b, &out), 0);
    uint8_t *copy = malloc(out.size);
    memcpy(copy, out.data, out.size);
    *size = out.size;
    batch_builder_free(&b);
    free(value);
    return copy;
}

// A transaction marker.
static inline uint8_t *make_marker(int64_t producer_id, int16_t epoch, bool commit, int32_t coordinator_epoch,
                                   size_t *size)
{
    struct batch_options o = BATCH_OPTIONS;
    struct batch_builder b = {0};
    struct bytes out;
    uint8_t value[6];
    o.producer_id = producer_id;
    o.producer_epoch = epoch;
    o.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    store_be16(value, 0);
    store_be32(value + 2, (uint32_t)coordinator_epoch);
    batch_builder_init(&b, &o);
    batch_builder_add_control(&b, 2000, commit ? CONTROL_COMMIT : CONTROL_ABORT,
                              (struct bytes){value, sizeof value});
    assert_int_equal(batch_builder_finish(&b, &out), 0);
    uint8_t *copy = malloc(out.size);
    memcpy(copy, out.data, out.size);
    *size = out.size;
    batch_builder_free(&b);
    return copy;
}

static inline int append_bytes(struct log *log, uint8_t *bytes, size_t size, enum log_origin origin,
                               int32_t epoch, struct log_append_info *info)
{
    log_lock(log);
    int rc = log_append(log, bytes, size, epoch, origin, 5000, info);
    log_unlock(log);
    free(bytes);
    return rc;
}

static inline int append(struct log *log, const struct batch_spec *spec, struct log_append_info *info)
{
    size_t size;
    uint8_t *bytes = make_batch(spec, &size);
    return append_bytes(log, bytes, size, LOG_ORIGIN_CLIENT, 0, info);
}

static inline void append_ok(struct log *log, const struct batch_spec *spec, int64_t base_offset)
{
    struct log_append_info info;
    int rc = append(log, spec, &info);
    if (rc)
        print_error("append: %s: %s\n", err_text(rc), info.message);
    assert_int_equal(rc, 0);
    assert_int_equal(info.base_offset, base_offset);
    assert_int_equal(info.last_offset, base_offset + spec_records(spec) - 1);
}

static inline void set_watermark(struct log *log, int64_t offset)
{
    log_lock(log);
    log_set_high_watermark(log, offset);
    log_unlock(log);
}

// The base offset of the first batch in the slice.
static inline int64_t slice_base(const struct log_slice *slice)
{
    uint8_t raw[8];
    assert_int_equal(log_slice_copy(slice, 0, raw, sizeof raw), 0);
    return (int64_t)load_be64(raw);
}

// Reads everything from `start` to the end and checks that offsets and checksums are right. Returns the next
// offset.
static inline int64_t read_all(struct log *log, int64_t start)
{
    int64_t next = start;
    struct log_offsets o;
    log_offsets(log, &o);
    while (next < o.end_offset) {
        struct log_slice slice;
        assert_int_equal(log_read(log, next, 1 << 16, LOG_BOUND_END, true, &slice), 0);
        if (slice.size == 0)
            break;
        uint8_t *bytes = malloc(slice.size);
        assert_int_equal(log_slice_copy(&slice, 0, bytes, slice.size), 0);
        struct batch_cursor c = batch_cursor((struct bytes){bytes, slice.size});
        struct batch_header h;
        struct bytes batch;
        int64_t before = next;
        while (batch_cursor_next(&c, &h, &batch) > 0) {
            assert_true(batch_crc_ok(batch));
            assert_true(batch_last_offset(&h) >= next);
            next = batch_last_offset(&h) + 1;
        }
        assert_true(next > before);
        free(bytes);
        log_slice_release(&slice);
    }
    return next;
}

#endif
