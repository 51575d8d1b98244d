#include "storage/index.h"

#include "base/error.h"
#include "os/file.h"

#include <stdlib.h>

void index_free(struct index *ix)
{
    free(ix->bytes);
    index_init(ix, ix->kind);
}

static struct index_entry decode(enum index_kind kind, const uint8_t *at)
{
    if (kind == INDEX_OFFSET)
        return (struct index_entry){.relative_offset = load_be32(at), .position = load_be32(at + 4)};
    return (struct index_entry){.timestamp_ms = (int64_t)load_be64(at), .relative_offset = load_be32(at + 8)};
}

static void encode(enum index_kind kind, uint8_t *at, struct index_entry e)
{
    if (kind == INDEX_OFFSET) {
        store_be32(at, e.relative_offset);
        store_be32(at + 4, e.position);
    } else {
        store_be64(at, (uint64_t)e.timestamp_ms);
        store_be32(at + 8, e.relative_offset);
    }
}

static int64_t field_of(const struct index_entry *e, enum index_field field)
{
    switch (field) {
    case INDEX_BY_OFFSET:
        return e->relative_offset;
    case INDEX_BY_POSITION:
        return e->position;
    case INDEX_BY_TIME:
        return e->timestamp_ms;
    }
    return 0;
}

struct index_entry index_at(const struct index *ix, uint32_t slot)
{
    return decode(ix->kind, ix->bytes + (size_t)slot * index_entry_bytes(ix->kind));
}

static bool ascends(enum index_kind kind, const struct index_entry *before, const struct index_entry *e)
{
    if (kind == INDEX_OFFSET)
        return e->relative_offset > before->relative_offset && e->position > before->position;
    return e->timestamp_ms > before->timestamp_ms && e->relative_offset >= before->relative_offset;
}

void index_append(struct index *ix, struct index_entry e)
{
    uint32_t bytes = index_entry_bytes(ix->kind);
    if (ix->count) {
        struct index_entry last = index_at(ix, ix->count - 1);
        if (!ascends(ix->kind, &last, &e))
            return;
    }
    if (ix->count == ix->capacity) {
        uint32_t capacity = ix->capacity ? ix->capacity * 2 : 8;
        uint8_t *p = realloc(ix->bytes, (size_t)capacity * bytes);
        if (!p)
            return;
        ix->bytes = p;
        ix->capacity = capacity;
    }
    encode(ix->kind, ix->bytes + (size_t)ix->count++ * bytes, e);
}

void index_truncate(struct index *ix, uint32_t count)
{
    if (count < ix->count)
        ix->count = count;
    ix->stale_tail |= ix->written > ix->count;
    if (ix->written > ix->count)
        ix->written = ix->count;
}

uint32_t index_count_up_to(const struct index *ix, enum index_field field, int64_t key)
{
    uint32_t low = 0, high = ix->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct index_entry e = index_at(ix, middle);
        if (field_of(&e, field) <= key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int index_file_entry(int fd, enum index_kind kind, int64_t slot, struct index_entry *out)
{
    uint8_t raw[12];
    uint32_t bytes = index_entry_bytes(kind);
    int rc = file_read_exactly(fd, raw, bytes, slot * bytes);
    if (rc == 0)
        *out = decode(kind, raw);
    return rc;
}

int64_t index_file_count_up_to(int fd, enum index_kind kind, enum index_field field, int64_t key,
                               struct index_entry *floor, struct index_entry *next, int64_t *total)
{
    int64_t size, low = 0, high;
    int rc = file_size(fd, &size);
    if (rc)
        return rc;
    high = size / index_entry_bytes(kind);
    if (total)
        *total = high;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        struct index_entry e;
        rc = index_file_entry(fd, kind, middle, &e);
        if (rc)
            return rc;
        bool below = field_of(&e, field) <= key;
        if (below && floor)
            *floor = e;
        if (!below && next)
            *next = e;
        if (below)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int index_load(struct index *ix, int fd, int64_t size_bytes, bool *whole)
{
    uint32_t bytes = index_entry_bytes(ix->kind), valid = 0;
    int64_t size;
    int rc = file_size(fd, &size);
    index_truncate(ix, 0);
    *whole = false;
    if (rc)
        return rc;
    if (size > INT32_MAX)
        return ERR_CORRUPT;
    uint32_t count = (uint32_t)(size / bytes);
    if (count > ix->capacity) {
        uint8_t *p = realloc(ix->bytes, (size_t)count * bytes);
        if (!p)
            return ERR_NOMEM;
        ix->bytes = p;
        ix->capacity = count;
    }
    if (count && (rc = file_read_exactly(fd, ix->bytes, (size_t)count * bytes, 0)))
        return rc;
    // A page that was lost. One such entry alone may stand in front: a record of 1970 at the beginning.
    bool lost =
        ix->kind == INDEX_TIME && count > 1 && bytes_are_zero((struct bytes){ix->bytes, (size_t)2 * bytes});
    for (; !lost && valid < count; valid++) {
        struct index_entry e = decode(ix->kind, ix->bytes + (size_t)valid * bytes);
        struct index_entry before = valid ? decode(ix->kind, ix->bytes + (size_t)(valid - 1) * bytes) : e;
        if ((valid && !ascends(ix->kind, &before, &e)) || e.relative_offset > INT32_MAX ||
            (ix->kind == INDEX_OFFSET ? (int64_t)e.position >= size_bytes || e.position == 0
                                      : e.timestamp_ms < 0))
            break;
    }
    ix->count = ix->written = valid;
    *whole = (int64_t)valid * bytes == size;
    ix->stale_tail = !*whole;
    return 0;
}
