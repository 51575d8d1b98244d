// The small files of a log's directory: epochs, producer snapshots, partition.metadata, aborted transactions.
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SMALL_FILE_MAX ((size_t)64 << 20)

// ---------------------------------------------------------------- epochs

#define EPOCH_CACHE_TEMPORARY EPOCH_CACHE_FILE ".tmp"

static int write_plain(const struct log *log, const char *name, const struct buffer *text, bool sync)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", log->place->dir, name) >= (int)sizeof path)
        return ERR_INVALID;
    int fd = file_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    int rc = file_write_at(fd, text->data, text->size, 0);
    if (rc == 0 && sync)
        rc = file_sync(fd);
    file_close(fd);
    if (rc)
        (void)file_unlink(path);
    return rc;
}

// The first file is written in its place: what a crash leaves of it says of no epoch below the recovery
// point, and those above are in the batches. One that is not synced here gets its name when the file system
// was: a name that is taken over makes ext4 write the file at once.
static int write_epoch_file(struct log *log, const struct buffer *text, bool sync)
{
    if (!atomic_load(&log->epoch_file))
        return write_plain(log, EPOCH_CACHE_FILE, text, sync);
    if (sync)
        return file_replace_synced(log->place->dir, EPOCH_CACHE_FILE, text->data, text->size);
    int rc = write_plain(log, EPOCH_CACHE_TEMPORARY, text, false);
    log->epochs_unnamed = rc == 0;
    return rc;
}

int log_name_epochs(struct log *log)
{
    char from[PATH_MAX], to[PATH_MAX];
    if (snprintf(from, sizeof from, "%s/" EPOCH_CACHE_TEMPORARY, log->place->dir) >= (int)sizeof from)
        return ERR_INVALID;
    snprintf(to, sizeof to, "%s/" EPOCH_CACHE_FILE, log->place->dir);
    int rc = file_rename(from, to);
    log->epochs_unnamed &= rc != 0;
    return rc;
}

int log_write_epochs(struct log *log, bool sync)
{
    struct epoch_cache copy;
    struct buffer text = BUFFER_INIT;
    pthread_mutex_lock(&log->publish);
    int rc = epoch_cache_copy(&log->epochs, &copy);
    log->epochs_dirty = false;
    pthread_mutex_unlock(&log->publish);
    if (rc == 0) {
        epoch_cache_print(&copy, &text);
        rc = text.failed ? ERR_NOMEM : write_epoch_file(log, &text, sync);
    }
    if (rc == 0)
        atomic_store(&log->epoch_file, true);
    if (rc == 0 && sync) {
        pthread_mutex_lock(&log->publish);
        log->directory_dirty = true;
        pthread_mutex_unlock(&log->publish);
    }
    if (rc) {
        pthread_mutex_lock(&log->publish);
        log->epochs_dirty = true;
        pthread_mutex_unlock(&log->publish);
        log_warn("storage", "cannot write %s/" EPOCH_CACHE_FILE ": %s", log->place->dir, err_text(rc));
    }
    epoch_cache_free(&copy);
    buffer_free(&text);
    return rc;
}

int log_read_epochs(struct log *log, struct epoch_cache *out)
{
    char path[PATH_MAX];
    struct buffer text = BUFFER_INIT;
    *out = EPOCH_CACHE_INIT;
    if (snprintf(path, sizeof path, "%s/" EPOCH_CACHE_FILE, log->place->dir) >= (int)sizeof path)
        return ERR_INVALID;
    int rc = file_read_whole(path, SMALL_FILE_MAX, &text);
    if (rc == 0)
        rc = epoch_cache_parse((struct str){(const char *)text.data, text.size}, out);
    buffer_free(&text);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

// ---------------------------------------------------------------- producer snapshots

int log_write_snapshot(struct log *log, int64_t offset, bool sync)
{
    char path[PATH_MAX];
    struct buffer bytes = BUFFER_INIT;
    int rc = segment_file_name(log->place->dir, offset, SNAPSHOT_SUFFIX, path);
    if (rc == 0)
        rc = producer_snapshot_encode(&log->producers, &bytes);
    int fd = rc ? rc : file_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd >= 0) {
        rc = file_write_at(fd, bytes.data, bytes.size, 0);
        if (rc == 0 && sync)
            rc = file_sync(fd);
        file_close(fd);
        if (rc)
            (void)file_unlink(path);
    } else {
        rc = fd;
    }
    if (rc == 0) {
        log->producers.snapshot_offset = offset;
        atomic_store(&log->has_snapshots, true);
    } else {
        log_warn("storage", "cannot write %s: %s", path, err_text(rc));
    }
    buffer_free(&bytes);
    return rc;
}

struct snapshot_list {
    int64_t *offsets;
    size_t count, capacity;
};

static int note_snapshot(void *arg, const char *name)
{
    struct snapshot_list *l = arg;
    int64_t offset;
    const char *suffix;
    if (!segment_parse_name(name, &offset, &suffix) || strcmp(suffix, SNAPSHOT_SUFFIX) != 0)
        return 0;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 8;
        int64_t *p = realloc(l->offsets, capacity * sizeof *p);
        if (!p)
            return ERR_NOMEM;
        l->offsets = p;
        l->capacity = capacity;
    }
    l->offsets[l->count++] = offset;
    return 0;
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int log_list_snapshots(struct log *log, int64_t **offsets, size_t *count)
{
    struct snapshot_list l = {0};
    int rc = file_list(log->place->dir, note_snapshot, &l);
    if (l.count)
        qsort(l.offsets, l.count, sizeof *l.offsets, compare_offsets);
    *offsets = l.offsets;
    *count = l.count;
    return rc;
}

void log_remove_snapshot(struct log *log, int64_t offset)
{
    char path[PATH_MAX];
    if (segment_file_name(log->place->dir, offset, SNAPSHOT_SUFFIX, path))
        return;
    int rc = file_unlink(path);
    if (rc && rc != ERR_NOT_FOUND)
        log_warn("storage", "cannot remove %s: %s", path, err_text(rc));
}

int log_remove_snapshots_above(struct log *log, int64_t offset)
{
    int64_t *offsets;
    size_t count;
    int rc = log_list_snapshots(log, &offsets, &count);
    for (size_t i = 0; i < count; i++)
        if (offsets[i] > offset)
            log_remove_snapshot(log, offsets[i]);
    free(offsets);
    return rc;
}

// ---------------------------------------------------------------- partition.metadata

int log_read_topic_id(const char *dir, struct uuid *out)
{
    char path[PATH_MAX];
    struct buffer text = BUFFER_INIT;
    *out = (struct uuid){{0}};
    if (snprintf(path, sizeof path, "%s/partition.metadata", dir) >= (int)sizeof path)
        return ERR_INVALID;
    int rc = file_read_whole(path, 4096, &text);
    struct str rest = {(const char *)text.data, text.size}, line;
    bool found = false;
    while (rc == 0 && text_line(&rest, &line)) {
        static const char key[] = "topic_id: ";
        size_t n = sizeof key - 1;
        if (line.size > n && memcmp(line.data, key, n) == 0)
            found = uuid_parse((struct str){line.data + n, line.size - n}, out) == 0;
    }
    buffer_free(&text);
    return rc ? rc : found ? 0 : ERR_CORRUPT;
}

int log_write_topic_id(const char *dir, const struct uuid *id, bool sync)
{
    char text[64], uuid[UUID_TEXT_BYTES], path[PATH_MAX];
    uuid_text(id, uuid);
    int n = snprintf(text, sizeof text, "version: 0\ntopic_id: %s", uuid);
    if (sync)
        return file_replace(dir, "partition.metadata", text, (size_t)n);
    if (snprintf(path, sizeof path, "%s/partition.metadata", dir) >= (int)sizeof path)
        return ERR_INVALID;
    int fd = file_open(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0)
        return fd;
    int rc = file_write_at(fd, text, (size_t)n, 0);
    file_close(fd);
    return rc;
}

// ---------------------------------------------------------------- aborted transactions

void txn_index_encode(uint8_t at[TXN_INDEX_ENTRY_BYTES], const struct txn_index_entry *e)
{
    store_be16(at, 0); // version
    store_be64(at + 2, (uint64_t)e->producer_id);
    store_be64(at + 10, (uint64_t)e->first_offset);
    store_be64(at + 18, (uint64_t)e->last_offset);
    store_be64(at + 26, (uint64_t)e->last_stable_offset);
}

struct txn_index_entry txn_index_decode(const uint8_t at[TXN_INDEX_ENTRY_BYTES])
{
    return (struct txn_index_entry){.producer_id = (int64_t)load_be64(at + 2),
                                    .first_offset = (int64_t)load_be64(at + 10),
                                    .last_offset = (int64_t)load_be64(at + 18),
                                    .last_stable_offset = (int64_t)load_be64(at + 26)};
}

int log_append_aborted(struct segment *s, const struct txn_index_entry *entries, size_t count,
                       int64_t *old_size)
{
    int64_t size = 0;
    int fd = segment_open(s, SEGMENT_TXN_SUFFIX, O_RDWR | O_CREAT);
    if (fd < 0)
        return fd;
    int rc = file_size(fd, &size);
    size -= size % TXN_INDEX_ENTRY_BYTES; // a torn entry is overwritten
    *old_size = size;
    for (size_t i = 0; rc == 0 && i < count; i++) {
        uint8_t raw[TXN_INDEX_ENTRY_BYTES];
        txn_index_encode(raw, &entries[i]);
        rc = file_write_at(fd, raw, sizeof raw, size);
        size += TXN_INDEX_ENTRY_BYTES;
    }
    file_close(fd);
    return rc;
}

int log_read_aborted(struct segment *s, struct buffer *raw)
{
    buffer_clear(raw);
    int fd = segment_open(s, SEGMENT_TXN_SUFFIX, O_RDONLY);
    if (fd < 0)
        return fd == ERR_NOT_FOUND ? 0 : fd;
    int64_t size;
    size_t got = 0;
    int rc = file_size(fd, &size);
    uint8_t *to = rc || size == 0 ? NULL : buffer_reserve(raw, (size_t)size);
    if (rc == 0 && size > 0)
        rc = to ? file_read_at(fd, to, (size_t)size, 0, &got) : ERR_NOMEM;
    raw->size = got - got % TXN_INDEX_ENTRY_BYTES;
    file_close(fd);
    return rc;
}

int log_truncate_aborted(struct segment *s, int64_t size)
{
    int fd = segment_open(s, SEGMENT_TXN_SUFFIX, O_RDWR);
    if (fd < 0)
        return fd == ERR_NOT_FOUND ? 0 : fd;
    int rc = file_truncate(fd, size);
    file_close(fd);
    return rc;
}

int log_truncate_aborted_from(struct segment *s, int64_t offset)
{
    struct buffer raw = BUFFER_INIT;
    int rc = log_read_aborted(s, &raw);
    size_t kept = 0;
    while (kept < raw.size && txn_index_decode(raw.data + kept).last_offset < offset)
        kept += TXN_INDEX_ENTRY_BYTES;
    if (rc == 0 && kept < raw.size)
        rc = log_truncate_aborted(s, (int64_t)kept);
    buffer_free(&raw);
    return rc;
}
