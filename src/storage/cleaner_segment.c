#include "storage/cleaner_segment.h"

#include "base/error.h"
#include "os/file.h"

#include <stdlib.h>

// ---------------------------------------------------------------- reading

void cleaner_reader_start(struct cleaner_reader *r, struct cleaner_io *io, int fd, int64_t position,
                          int64_t limit)
{
    *r = (struct cleaner_reader){.io = io, .fd = fd, .position = position, .limit = limit};
    if (io->in.capacity > 2 * io->chunk_bytes) // the last segment had a large batch
        buffer_free(&io->in);
    buffer_clear(&io->in);
}

// Reads on, until `need` bytes from r->at on are there.
static int fill(struct cleaner_reader *r, size_t need)
{
    struct buffer *in = &r->io->in;
    size_t left = in->size - r->at;
    int64_t in_file = r->limit - r->position;
    if ((int64_t)(need - left) > in_file)
        return ERR_TRUNCATED;
    if (left)
        memmove(in->data, in->data + r->at, left);
    in->size = left;
    r->at = 0;
    size_t want = need - left > r->io->chunk_bytes ? need - left : r->io->chunk_bytes;
    if ((int64_t)want > in_file)
        want = (size_t)in_file;
    uint8_t *to = buffer_reserve(in, want);
    if (!to)
        return ERR_NOMEM;
    int rc = file_read_exactly(r->fd, to, want, r->position);
    if (rc)
        return rc;
    in->size += want;
    r->position += (int64_t)want;
    return r->io->pause(r->io->arg, (int64_t)want);
}

int cleaner_reader_next(struct cleaner_reader *r, struct batch_header *h, struct bytes *batch)
{
    struct buffer *in = &r->io->in;
    int rc = 0;
    if (r->at == in->size && r->position >= r->limit)
        return 0;
    if (in->size - r->at < BATCH_HEADER_BYTES)
        rc = fill(r, BATCH_HEADER_BYTES);
    if (rc == 0)
        rc = batch_header_read((struct bytes){in->data + r->at, in->size - r->at}, h);
    if (rc == 0 && (h->last_offset_delta < 0 || h->count < 0))
        rc = ERR_CORRUPT;
    if (rc == 0 && in->size - r->at < batch_size(h))
        rc = fill(r, batch_size(h));
    if (rc)
        return rc;
    *batch = (struct bytes){in->data + r->at, batch_size(h)};
    r->at += batch_size(h);
    return batch_crc_ok(*batch) ? 1 : ERR_CORRUPT;
}

// ---------------------------------------------------------------- writing

static const char *const suffixes[] = {SEGMENT_LOG_SUFFIX CLEANED_SUFFIX, SEGMENT_INDEX_SUFFIX CLEANED_SUFFIX,
                                       SEGMENT_TIME_SUFFIX CLEANED_SUFFIX, SEGMENT_TXN_SUFFIX CLEANED_SUFFIX};

static int open_file(struct cleaner_writer *w, const char *suffix)
{
    char path[PATH_MAX];
    int rc = segment_file_name(w->log->place->dir, w->s->base_offset, suffix, path);
    return rc ? rc : file_open(path, O_RDWR | O_CREAT | O_TRUNC);
}

static void remove_files(struct cleaner_writer *w)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (segment_file_name(w->log->place->dir, w->s->base_offset, suffixes[i], path) == 0)
            (void)file_unlink(path); // what stays, a start removes
}

int cleaner_writer_open(struct cleaner_writer *w, struct cleaner_io *io, struct log *log, int64_t base_offset,
                        int32_t index_interval_bytes)
{
    *w =
        (struct cleaner_writer){.io = io, .log = log, .fd = -1, .index_interval_bytes = index_interval_bytes};
    buffer_clear(&io->out);
    w->s = segment_new(log->place, log->files, base_offset);
    if (!w->s)
        return ERR_NOMEM;
    w->s->active = segment_active_new();
    if (!w->s->active)
        return ERR_NOMEM;
    remove_files(w); // of an earlier attempt
    w->fd = open_file(w, suffixes[0]);
    return w->fd < 0 ? w->fd : 0;
}

static int write_out(struct cleaner_writer *w)
{
    struct buffer *out = &w->io->out;
    int64_t bytes = (int64_t)out->size;
    int rc = out->failed ? ERR_NOMEM : file_write_at(w->fd, out->data, out->size, w->size - bytes);
    buffer_clear(out);
    if (out->capacity > 4 * w->io->chunk_bytes)
        buffer_free(out);
    return rc || bytes == 0 ? rc : w->io->pause(w->io->arg, bytes);
}

int cleaner_writer_add(struct cleaner_writer *w, struct bytes batch)
{
    struct batch_header h;
    int rc = batch_header_read(batch, &h);
    if (rc)
        return rc;
    struct batch_place place = {.base_offset = h.base_offset,
                                .last_offset = batch_last_offset(&h),
                                .max_timestamp_ms = h.max_timestamp_ms,
                                .position = w->size,
                                .leader_epoch = h.leader_epoch,
                                .size = (uint32_t)batch.size};
    if (place.position > INT32_MAX - (int64_t)batch.size || place.last_offset - w->s->base_offset > INT32_MAX)
        return ERR_LIMIT; // no index can say where it lies
    log_index_batch(w->s, &place, w->index_interval_bytes);
    buffer_append(&w->io->out, batch.data, batch.size);
    w->size += (int64_t)batch.size;
    return w->io->out.size >= w->io->chunk_bytes ? write_out(w) : 0;
}

void cleaner_writer_add_aborted(struct cleaner_writer *w, const struct txn_index_entry *e)
{
    uint8_t raw[TXN_INDEX_ENTRY_BYTES];
    txn_index_encode(raw, e);
    buffer_append(&w->aborted, raw, sizeof raw);
}

static int write_file(struct cleaner_writer *w, const char *suffix, const void *data, size_t size)
{
    int fd = open_file(w, suffix);
    if (fd < 0)
        return fd;
    int rc = size ? file_write_at(fd, data, size, 0) : 0;
    if (rc == 0)
        rc = file_sync(fd);
    file_close(fd);
    return rc;
}

int cleaner_writer_finish(struct cleaner_writer *w, int64_t modified_ms)
{
    struct segment *s = w->s;
    struct segment_active *a = s->active;
    if (s->max_timestamp_ms >= 0)
        index_append(&a->times, (struct index_entry){
                                    .timestamp_ms = s->max_timestamp_ms,
                                    .relative_offset = (uint32_t)(s->max_timestamp_offset - s->base_offset)});
    int rc = write_out(w);
    if (rc == 0)
        rc = file_set_modified(w->fd, modified_ms);
    if (rc == 0)
        rc = log_write_back(w->log, w->fd, w->size, w->size);
    if (rc == 0)
        rc = file_sync(w->fd);
    if (rc == 0)
        rc = write_file(w, suffixes[1], a->offsets.bytes,
                        (size_t)a->offsets.count * index_entry_bytes(INDEX_OFFSET));
    if (rc == 0)
        rc = write_file(w, suffixes[2], a->times.bytes,
                        (size_t)a->times.count * index_entry_bytes(INDEX_TIME));
    if (rc == 0 && w->aborted.size)
        rc = w->aborted.failed ? ERR_NOMEM : write_file(w, suffixes[3], w->aborted.data, w->aborted.size);
    segment_active_free(a); // sealed from the beginning
    s->active = NULL;
    s->times_known = true;
    atomic_store(&s->checked, true);
    atomic_store(&s->size_bytes, w->size);
    return rc;
}

void cleaner_writer_close(struct cleaner_writer *w)
{
    file_close(w->fd);
    buffer_free(&w->aborted);
    if (w->s && log_usable(w->log) == 0) // else they belong to the start that comes
        remove_files(w);
    segment_unref(w->s);
    w->s = NULL;
}
