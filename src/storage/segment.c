#include "storage/segment.h"

#include "base/crc32c.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/reaper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

// ---------------------------------------------------------------- names and places

struct place_name {
    char *dir;
    struct place_name *next;
};

struct log_place *log_place_new(const char *dir)
{
    struct log_place *p = calloc(1, sizeof *p);
    char *copy = strdup(dir);
    if (!p || !copy) {
        free(copy);
        free(p);
        return NULL;
    }
    atomic_init(&p->dir, copy);
    atomic_init(&p->references, 1);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

struct log_place *log_place_ref(struct log_place *p)
{
    atomic_fetch_add(&p->references, 1);
    return p;
}

void log_place_unref(struct log_place *p)
{
    if (atomic_fetch_sub(&p->references, 1) != 1)
        return;
    pthread_mutex_destroy(&p->lock);
    free(atomic_load(&p->dir));
    for (struct place_name *old = p->old_dirs, *next; old; old = next) {
        next = old->next;
        free(old->dir);
        free(old);
    }
    free(p);
}

int log_place_rename(struct log_place *p, const char *dir)
{
    char *copy = strdup(dir);
    struct place_name *old = malloc(sizeof *old);
    if (!copy || !old) {
        free(copy);
        free(old);
        return ERR_NOMEM;
    }
    pthread_mutex_lock(&p->lock);
    int rc = file_rename(p->dir, dir);
    if (rc == 0) {
        *old = (struct place_name){p->dir, p->old_dirs};
        p->old_dirs = old;
        atomic_store(&p->dir, copy);
    }
    pthread_mutex_unlock(&p->lock);
    if (rc) {
        free(copy);
        free(old);
    }
    return rc;
}

int segment_file_name(const char *dir, int64_t offset, const char *suffix, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%020" PRId64 "%s", dir, offset, suffix);
    return n > 0 && n < PATH_MAX ? 0 : ERR_INVALID;
}

bool segment_parse_name(const char *name, int64_t *offset, const char **suffix)
{
    int64_t v = 0;
    for (int i = 0; i < 20; i++) {
        if (name[i] < '0' || name[i] > '9' || v > (INT64_MAX - (name[i] - '0')) / 10)
            return false;
        v = v * 10 + (name[i] - '0');
    }
    if (name[20] != '.')
        return false;
    *offset = v;
    *suffix = name + 20;
    return true;
}

// ---------------------------------------------------------------- life

struct segment *segment_new(struct log_place *place, struct file_cache *files, int64_t base_offset)
{
    struct segment *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    atomic_init(&s->references, 1);
    atomic_init(&s->state, SEGMENT_LIVE);
    s->place = log_place_ref(place);
    s->files = files;
    s->base_offset = base_offset;
    cached_file_init(&s->log_file);
    cached_file_init(&s->index_file);
    s->max_timestamp_ms = s->first_timestamp_ms = LOG_NO_TIMESTAMP;
    s->max_timestamp_offset = base_offset;
    return s;
}

struct segment *segment_ref(struct segment *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void segment_unref(struct segment *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) != 1)
        return;
    file_cache_close(s->files, &s->log_file);
    file_cache_close(s->files, &s->index_file);
    segment_active_free(s->active);
    log_place_unref(s->place);
    free(s);
}

int segment_open(struct segment *s, const char *suffix, int flags)
{
    char path[PATH_MAX], whole[32];
    pthread_mutex_lock(&s->place->lock); // who renames the files or their directory waits
    int state = atomic_load(&s->state), fd = ERR_AGAIN;
    if (state != SEGMENT_REPLACED) {
        snprintf(whole, sizeof whole, "%s%s", suffix, state == SEGMENT_DELETED ? DELETED_SUFFIX : "");
        fd = segment_file_name(s->place->dir, s->base_offset, whole, path);
    }
    if (fd == 0)
        fd = file_open(path, flags);
    pthread_mutex_unlock(&s->place->lock);
    return fd;
}

static int open_log(void *arg)
{
    return segment_open(arg, SEGMENT_LOG_SUFFIX, O_RDWR);
}

static int open_index(void *arg)
{
    return segment_open(arg, SEGMENT_INDEX_SUFFIX, O_RDWR);
}

int segment_pin(struct segment *s)
{
    return file_cache_pin(s->files, &s->log_file, open_log, s);
}

int segment_pin_index(struct segment *s)
{
    return file_cache_pin(s->files, &s->index_file, open_index, s);
}

void segment_unpin(struct segment *s)
{
    file_cache_unpin(&s->log_file);
}

void segment_unpin_index(struct segment *s)
{
    file_cache_unpin(&s->index_file);
}

int64_t segment_size(struct segment *s, int fd)
{
    int64_t size = atomic_load(&s->size_bytes);
    if (size < 0 && file_size(fd, &size) == 0)
        atomic_store(&s->size_bytes, size);
    return size < 0 ? 0 : size;
}

int segment_mark_deleted(struct segment *s, struct reaper *reaper, int64_t due_ms)
{
    static const char *const suffixes[] = {SEGMENT_LOG_SUFFIX, SEGMENT_INDEX_SUFFIX, SEGMENT_TIME_SUFFIX,
                                           SEGMENT_TXN_SUFFIX};
    int rc = 0;
    pthread_mutex_lock(&s->place->lock);
    int before = atomic_exchange(&s->state, SEGMENT_DELETED);
    for (size_t i = 0; rc == 0 && i < sizeof suffixes / sizeof *suffixes; i++) {
        char from[PATH_MAX], to[PATH_MAX + sizeof DELETED_SUFFIX];
        rc = segment_file_name(s->place->dir, s->base_offset, suffixes[i], from);
        if (rc == 0) {
            snprintf(to, sizeof to, "%s%s", from, DELETED_SUFFIX);
            rc = file_rename(from, to);
        }
        if (rc == 0)
            reaper_add(reaper, to, due_ms);
        if (i > 0 || rc == ERR_NOT_FOUND) // an index that stays is in nobody's way
            rc = 0;
    }
    if (rc)
        atomic_store(&s->state, before);
    pthread_mutex_unlock(&s->place->lock);
    return rc;
}

// ---------------------------------------------------------------- the active segment

struct segment_active *segment_active_new(void)
{
    struct segment_active *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    index_init(&a->offsets, INDEX_OFFSET);
    index_init(&a->times, INDEX_TIME);
    return a;
}

void segment_active_free(struct segment_active *a)
{
    if (!a)
        return;
    index_free(&a->offsets);
    index_free(&a->times);
    free(a->tail);
    free(a);
}

static struct batch_place *tail_at(const struct segment_active *a, uint64_t i)
{
    return &a->tail[i % SEGMENT_TAIL];
}

void segment_tail_push(struct segment_active *a, const struct batch_place *b)
{
    if (!a->tail && !(a->tail = malloc(SEGMENT_TAIL * sizeof *a->tail)))
        return; // reads go by the index
    *tail_at(a, a->tail_count++) = *b;
}

bool segment_tail_find(const struct segment_active *a, int64_t offset, struct batch_place *out)
{
    uint64_t oldest = a->tail_count > SEGMENT_TAIL ? a->tail_count - SEGMENT_TAIL : 0;
    uint64_t low = oldest, high = a->tail_count;
    if (!a->tail || low == high || tail_at(a, low)->base_offset > offset)
        return false;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (tail_at(a, middle)->last_offset >= offset)
            high = middle;
        else
            low = middle + 1;
    }
    if (low == a->tail_count)
        return false;
    *out = *tail_at(a, low);
    return true;
}

void segment_tail_truncate(struct segment_active *a, int64_t position)
{
    uint64_t oldest = a->tail_count > SEGMENT_TAIL ? a->tail_count - SEGMENT_TAIL : 0;
    while (a->tail && a->tail_count > oldest && tail_at(a, a->tail_count - 1)->position >= position)
        a->tail_count--;
    if (a->tail_count == oldest || !a->tail) { // what is older was overwritten: nothing is known
        free(a->tail);
        a->tail = NULL;
        a->tail_count = 0;
    } else if (oldest) { // the slots in front of the cut hold forgotten batches: close the ring up
        struct batch_place *fresh = malloc(SEGMENT_TAIL * sizeof *fresh);
        uint64_t n = 0;
        for (uint64_t i = oldest; fresh && i < a->tail_count; i++)
            fresh[n++] = *tail_at(a, i);
        free(a->tail);
        a->tail = fresh;
        a->tail_count = n;
    }
}

// ---------------------------------------------------------------- walking the batches

void segment_scan_start(struct segment_scan *scan, int fd, int64_t position, int64_t limit)
{
    scan->fd = fd;
    scan->position = position;
    scan->limit = limit;
    scan->window_at = 0;
    scan->window_size = 0;
    scan->batch.size = 0;
}

// The header's bytes at `at`, in the window.
static int window_to(struct segment_scan *scan, int64_t at, const uint8_t **out)
{
    if (at < scan->window_at || at + BATCH_HEADER_BYTES > scan->window_at + (int64_t)scan->window_size) {
        int64_t left = scan->limit - at;
        size_t want = left < (int64_t)sizeof scan->window ? (size_t)left : sizeof scan->window;
        int rc = file_read_at(scan->fd, scan->window, want, at, &scan->window_size);
        scan->window_at = at;
        if (rc) {
            scan->window_size = 0;
            return rc;
        }
        if (scan->window_size < BATCH_HEADER_BYTES)
            return ERR_TRUNCATED;
    }
    *out = scan->window + (at - scan->window_at);
    return 0;
}

// Magic 0 or 1 by its header: a page of zeros looks like that, too. Only the CRC-32 of the old formats, which
// stands behind the length and covers all that follows it, tells an old message from damage.
static int judge_old_magic(const struct segment_scan *scan)
{
    enum { OLD_CRC_AT = 12, OLD_MAGIC_AT = 16, OLD_LENGTH_MIN = 14, OLD_HEAD_BYTES = 17 };
    uint8_t chunk[4096];
    if (scan->limit - scan->position < OLD_HEAD_BYTES)
        return ERR_TRUNCATED;
    int rc = file_read_exactly(scan->fd, chunk, OLD_HEAD_BYTES, scan->position);
    if (rc)
        return rc;
    int32_t length = (int32_t)load_be32(chunk + BATCH_LENGTH_AT);
    uint32_t noted = load_be32(chunk + OLD_CRC_AT);
    if (length < OLD_LENGTH_MIN || chunk[OLD_MAGIC_AT] > 1)
        return ERR_CORRUPT;
    if (BATCH_PREFIX_BYTES + (int64_t)length > scan->limit - scan->position)
        return ERR_TRUNCATED;
    uLong crc = crc32(0, NULL, 0);
    int64_t at = scan->position + OLD_MAGIC_AT, end = scan->position + BATCH_PREFIX_BYTES + length;
    while (rc == 0 && at < end) {
        size_t n = end - at < (int64_t)sizeof chunk ? (size_t)(end - at) : sizeof chunk;
        rc = file_read_exactly(scan->fd, chunk, n, at);
        if (rc == 0)
            crc = crc32(crc, chunk, (uInt)n);
        at += (int64_t)n;
    }
    return rc ? rc : (uint32_t)crc == noted ? ERR_UNSUPPORTED : ERR_CORRUPT;
}

int segment_scan_next(struct segment_scan *scan)
{
    const uint8_t *at;
    if (scan->position >= scan->limit)
        return 0;
    if (scan->limit - scan->position <
        BATCH_HEADER_BYTES) // too short for a batch, but not for an old message
        return judge_old_magic(scan) == ERR_UNSUPPORTED ? ERR_UNSUPPORTED : ERR_TRUNCATED;
    int rc = window_to(scan, scan->position, &at);
    if (rc == 0)
        rc = batch_header_read((struct bytes){at, BATCH_HEADER_BYTES}, &scan->header);
    if (rc == ERR_UNSUPPORTED)
        rc = judge_old_magic(scan);
    if (rc)
        return rc;
    const struct batch_header *h = &scan->header;
    if (h->last_offset_delta < 0 || h->count < 0)
        return ERR_CORRUPT;
    size_t size = batch_size(h);
    if (size > (uint64_t)(scan->limit - scan->position))
        return ERR_TRUNCATED;
    scan->batch = (struct batch_place){.base_offset = h->base_offset,
                                       .last_offset = batch_last_offset(h),
                                       .max_timestamp_ms = h->max_timestamp_ms,
                                       .position = scan->position,
                                       .leader_epoch = h->leader_epoch,
                                       .size = (uint32_t)size};
    scan->position += (int64_t)size;
    return 1;
}

int segment_first_batch(struct segment *s, struct segment_scan *scan)
{
    int fd = segment_pin(s);
    if (fd < 0)
        return fd;
    segment_scan_start(scan, fd, 0, segment_size(s, fd));
    int rc = segment_scan_next(scan);
    segment_unpin(s);
    return rc;
}

int segment_scan_read(const struct segment_scan *scan, struct buffer *out)
{
    uint8_t *to = buffer_reserve(out, scan->batch.size);
    if (!to)
        return ERR_NOMEM;
    int rc = file_read_exactly(scan->fd, to, scan->batch.size, scan->batch.position);
    if (rc == 0)
        out->size += scan->batch.size;
    return rc;
}

int segment_scan_check(const struct segment_scan *scan, uint8_t *chunk, size_t chunk_size)
{
    uint32_t crc = 0;
    int64_t at = scan->batch.position + BATCH_ATTRIBUTES_AT;
    for (size_t left = scan->batch.size - BATCH_ATTRIBUTES_AT; left;) {
        size_t n = left < chunk_size ? left : chunk_size;
        int rc = file_read_exactly(scan->fd, chunk, n, at);
        if (rc)
            return rc;
        crc = crc32c_extend(crc, chunk, n);
        at += (int64_t)n;
        left -= n;
    }
    return crc == scan->header.crc ? 0 : ERR_CORRUPT;
}
