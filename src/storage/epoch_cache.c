#include "storage/epoch_cache.h"

#include "base/error.h"
#include "storage/text.h"

#include <inttypes.h>
#include <stdlib.h>

int32_t epoch_cache_latest(const struct epoch_cache *c)
{
    return c->count ? c->entries[c->count - 1].epoch : -1;
}

static int push(struct epoch_cache *c, struct epoch_entry e)
{
    if (c->count == c->capacity) {
        uint32_t capacity = c->capacity ? c->capacity * 2 : 1; // most logs see one epoch for long
        struct epoch_entry *p = realloc(c->entries, capacity * sizeof *p);
        if (!p)
            return ERR_NOMEM;
        c->entries = p;
        c->capacity = capacity;
    }
    c->entries[c->count++] = e;
    return 0;
}

int epoch_cache_assign(struct epoch_cache *c, int32_t epoch, int64_t start_offset)
{
    if (epoch < 0 || start_offset < 0)
        return ERR_INVALID;
    if (c->count && c->entries[c->count - 1].epoch == epoch &&
        c->entries[c->count - 1].start_offset <= start_offset)
        return 0;
    while (c->count &&
           (c->entries[c->count - 1].epoch >= epoch || c->entries[c->count - 1].start_offset >= start_offset))
        c->count--;
    int rc = push(c, (struct epoch_entry){epoch, start_offset});
    return rc ? rc : 1;
}

bool epoch_cache_truncate_end(struct epoch_cache *c, int64_t end_offset)
{
    uint32_t before = c->count;
    while (c->count && c->entries[c->count - 1].start_offset >= end_offset)
        c->count--;
    return c->count != before;
}

bool epoch_cache_truncate_start(struct epoch_cache *c, int64_t start_offset)
{
    uint32_t below = 0;
    while (below < c->count && c->entries[below].start_offset <= start_offset)
        below++;
    if (below == 0 || (below == 1 && c->entries[0].start_offset == start_offset))
        return false;
    memmove(c->entries, c->entries + below - 1, (c->count - below + 1) * sizeof *c->entries);
    c->count -= below - 1;
    c->entries[0].start_offset = start_offset;
    return true;
}

// The index of the first entry with a higher epoch.
static uint32_t above(const struct epoch_cache *c, int32_t epoch)
{
    uint32_t i = c->count;
    while (i > 0 && c->entries[i - 1].epoch > epoch) // questions are about recent epochs
        i--;
    return i;
}

void epoch_cache_end_offset(const struct epoch_cache *c, int32_t epoch, int64_t log_end_offset,
                            int32_t *found, int64_t *end_offset)
{
    *found = -1;
    *end_offset = -1;
    if (epoch < 0)
        return;
    uint32_t higher = above(c, epoch);
    if (higher == c->count) { // nothing later is known: only the latest itself has an answer, the log's end
        if (c->count == 0 || c->entries[c->count - 1].epoch != epoch)
            return;
        *found = epoch;
        *end_offset = log_end_offset;
        return;
    }
    *found = higher == 0 ? epoch : c->entries[higher - 1].epoch;
    *end_offset = c->entries[higher].start_offset;
}

int32_t epoch_cache_at(const struct epoch_cache *c, int64_t offset)
{
    uint32_t i = c->count;
    while (i > 0 && c->entries[i - 1].start_offset > offset)
        i--;
    return i ? c->entries[i - 1].epoch : -1;
}

void epoch_cache_print(const struct epoch_cache *c, struct buffer *out)
{
    buffer_printf(out, "0\n%u\n", c->count);
    for (uint32_t i = 0; i < c->count; i++)
        buffer_printf(out, "%d %" PRId64 "\n", c->entries[i].epoch, c->entries[i].start_offset);
}

int epoch_cache_parse(struct str text, struct epoch_cache *c)
{
    struct str line;
    int64_t version, count, epoch, start;
    epoch_cache_free(c);
    if (!text_line(&text, &line))
        return 0;
    if (!text_number(&line, &version) || version != 0 || line.size)
        return ERR_CORRUPT;
    if (!text_line(&text, &line) || !text_number(&line, &count))
        return ERR_CORRUPT;
    for (; text_line(&text, &line); count--) {
        int rc =
            text_number(&line, &epoch) && text_number(&line, &start) && line.size == 0 && epoch <= INT32_MAX
                ? epoch_cache_assign(c, (int32_t)epoch, start)
                : ERR_CORRUPT;
        if (rc < 0)
            return rc == ERR_NOMEM ? rc : ERR_CORRUPT;
    }
    return count == 0 ? 0 : ERR_CORRUPT;
}

int epoch_cache_copy(const struct epoch_cache *from, struct epoch_cache *to)
{
    *to = EPOCH_CACHE_INIT;
    if (from->count == 0)
        return 0;
    to->entries = malloc(from->count * sizeof *to->entries);
    if (!to->entries)
        return ERR_NOMEM;
    memcpy(to->entries, from->entries, from->count * sizeof *to->entries);
    to->count = to->capacity = from->count;
    return 0;
}

void epoch_cache_free(struct epoch_cache *c)
{
    free(c->entries);
    *c = EPOCH_CACHE_INIT;
}
