#include "raft/snapshot.h"

#include "base/error.h"
#include "os/file.h"
#include "protocol/messages.h"
#include "raft/control.h"

#include <stdio.h>
#include <stdlib.h>

// A batch of a snapshot is closed when it has grown so far (Kafka's limit is 8 MB).
#define BATCH_BYTES ((size_t)1 << 20)

void snapshot_name(struct snapshot_id id, char out[SNAPSHOT_NAME_BYTES])
{
    snprintf(out, SNAPSHOT_NAME_BYTES, "%020lld-%010d" SNAPSHOT_SUFFIX, (long long)id.offset, id.epoch);
}

bool snapshot_name_parse(const char *name, struct snapshot_id *id)
{
    long long offset;
    int epoch, end = 0;
    if (strlen(name) != 31 + strlen(SNAPSHOT_SUFFIX) || strspn(name, "0123456789") != 20 || name[20] != '-' ||
        strspn(name + 21, "0123456789") != 10)
        return false;
    if (sscanf(name, "%lld-%d" SNAPSHOT_SUFFIX "%n", &offset, &epoch, &end) != 2 || name[end] != 0 ||
        end == 0)
        return false;
    *id = (struct snapshot_id){offset, epoch};
    return true;
}

// --- writing ---

static void path_of(const struct snapshot_writer *w, const char *suffix, char *out, size_t size)
{
    snprintf(out, size, "%s/%s%s", w->dir, w->name, suffix);
}

static int write_batch(struct snapshot_writer *w, int rc, struct bytes batch)
{
    if (rc == 0)
        rc = file_write_at(w->fd, batch.data, batch.size, w->at);
    if (rc == 0)
        w->at += (int64_t)batch.size;
    return rc;
}

int snapshot_writer_start(struct snapshot_writer *w, const char *dir, const char *name, int32_t epoch,
                          int64_t last_timestamp_ms, int16_t kraft_version, const struct raft_voters *voters,
                          int64_t now_ms)
{
    char path[4200];
    *w = (struct snapshot_writer){.epoch = epoch, .now_ms = now_ms};
    snprintf(w->dir, sizeof w->dir, "%s", dir);
    snprintf(w->name, sizeof w->name, "%s", name);
    path_of(w, ".part", path, sizeof path);
    w->fd = file_open(path, O_RDWR | O_CREAT | O_TRUNC);
    if (w->fd < 0)
        return w->fd;
    struct batch_builder header = {0};
    struct bytes batch;
    int rc =
        control_snapshot_header(&header, epoch, last_timestamp_ms, kraft_version, voters, now_ms, &batch);
    rc = write_batch(w, rc, batch);
    w->offset = kraft_version > 0 ? 3 : 1;
    batch_builder_free(&header);
    if (rc)
        snapshot_writer_abandon(w);
    return rc;
}

static int close_batch(struct snapshot_writer *w)
{
    if (!w->open)
        return 0;
    struct bytes batch;
    int rc = batch_builder_finish(&w->batch, &batch);
    rc = write_batch(w, rc, batch);
    w->offset += w->batch.count;
    batch_builder_free(&w->batch);
    w->open = false;
    return rc;
}

int snapshot_writer_add(struct snapshot_writer *w, struct bytes value)
{
    if (!w->open) {
        struct batch_options options = BATCH_OPTIONS;
        options.base_offset = w->offset;
        options.leader_epoch = w->epoch;
        batch_builder_init(&w->batch, &options);
        w->open = true;
    }
    batch_builder_add(&w->batch, w->now_ms, BYTES_NULL, value, NULL, 0);
    return batch_builder_size(&w->batch) >= BATCH_BYTES ? close_batch(w) : 0;
}

void snapshot_writer_abandon(struct snapshot_writer *w)
{
    char path[4200];
    if (w->open)
        batch_builder_free(&w->batch);
    w->open = false;
    if (w->fd >= 0) {
        file_close(w->fd);
        path_of(w, ".part", path, sizeof path);
        file_unlink(path);
    }
    w->fd = -1;
}

int snapshot_writer_finish(struct snapshot_writer *w, bool sync_dir)
{
    char part[4200], path[4200];
    struct batch_builder footer = {0};
    struct bytes batch;
    int rc = close_batch(w);
    if (rc == 0) {
        rc = control_snapshot_footer(&footer, w->offset, w->epoch, w->now_ms, &batch);
        rc = write_batch(w, rc, batch);
        batch_builder_free(&footer);
    }
    if (rc == 0)
        rc = file_sync(w->fd);
    if (rc) {
        snapshot_writer_abandon(w);
        return rc;
    }
    file_close(w->fd);
    w->fd = -1;
    path_of(w, ".part", part, sizeof part);
    path_of(w, "", path, sizeof path);
    rc = file_rename(part, path);
    if (rc)
        file_unlink(part);
    else if (sync_dir)
        rc = file_sync_dir(w->dir);
    return rc;
}

// --- reading ---

struct reading {
    int fd;
    int64_t at, size;
    struct buffer bytes, scratch;
    bool footer;
    const struct metadata_visitor *visitor;
};

static int seen_control(void *context, int64_t offset, int16_t type, struct bytes value)
{
    struct reading *r = context;
    r->footer = type == CONTROL_SNAPSHOT_FOOTER;
    return r->visitor->control(r->visitor->context, offset, type, value);
}

static int seen_record(void *context, const struct image_record *record)
{
    const struct reading *r = context;
    return r->visitor->record(r->visitor->context, record);
}

// The batch at r->at, into r->bytes.
static int read_batch(struct reading *r, struct batch_header *header)
{
    uint8_t raw[BATCH_HEADER_BYTES];
    if (r->size - r->at < BATCH_HEADER_BYTES)
        return ERR_CORRUPT;
    int rc = file_read_exactly(r->fd, raw, sizeof raw, r->at);
    if (rc == 0)
        rc = batch_header_read((struct bytes){raw, sizeof raw}, header);
    if (rc)
        return rc == ERR_IO ? rc : ERR_CORRUPT;
    size_t size = batch_size(header);
    if ((int64_t)size > r->size - r->at)
        return ERR_CORRUPT;
    buffer_clear(&r->bytes);
    if (!buffer_reserve(&r->bytes, size))
        return ERR_NOMEM;
    rc = file_read_exactly(r->fd, r->bytes.data, size, r->at);
    r->bytes.size = size;
    r->at += (int64_t)size;
    return rc;
}

int snapshot_read(const char *dir, const char *name, const struct metadata_visitor *visitor)
{
    char path[4200];
    struct reading r = {.visitor = visitor};
    struct metadata_visitor inner = {seen_control, seen_record, &r};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    r.fd = file_open(path, O_RDONLY);
    if (r.fd < 0)
        return r.fd;
    int rc = file_size(r.fd, &r.size);
    while (rc == 0 && r.at < r.size && !r.footer) {
        struct batch_header header;
        rc = read_batch(&r, &header);
        if (rc == 0)
            rc = metadata_walk_batch(&header, (struct bytes){r.bytes.data, r.bytes.size}, &r.scratch, &inner);
    }
    if (rc == 0 && !r.footer)
        rc = ERR_CORRUPT; // cut short
    buffer_free(&r.bytes);
    buffer_free(&r.scratch);
    file_close(r.fd);
    return rc;
}

#define ENOUGH 1 // a walk's own end

static int take_timestamp(void *context, int64_t offset, int16_t type, struct bytes value)
{
    (void)offset;
    struct snapshot_header_record header;
    struct arena arena;
    arena_init(&arena, 0);
    if (type == CONTROL_SNAPSHOT_HEADER &&
        message_decode(&snapshot_header_record_type, 0, value, &arena, &header, NULL) == 0)
        *(int64_t *)context = header.last_contained_log_timestamp;
    arena_free(&arena);
    return ENOUGH;
}

static int stop(void *context, const struct image_record *record)
{
    (void)context;
    (void)record;
    return ENOUGH;
}

int64_t snapshot_last_timestamp_ms(const char *dir, const char *name)
{
    int64_t timestamp_ms = -1;
    struct metadata_visitor visitor = {take_timestamp, stop, &timestamp_ms};
    snapshot_read(dir, name, &visitor);
    return timestamp_ms;
}
