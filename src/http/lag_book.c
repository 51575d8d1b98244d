#include "http/lag_book.h"

#include "base/map.h"

#include <stdlib.h>
#include <string.h>

static struct lag_ring *find(const struct lag_book *b, struct str name)
{
    for (size_t i = 0; i < b->count; i++)
        if (str_equal(b->rings[i]->name, name))
            return b->rings[i];
    return NULL;
}

static void drop(struct lag_ring *ring)
{
    free((char *)ring->name.data);
    free(ring);
}

void lag_book_free(struct lag_book *b)
{
    for (size_t i = 0; i < b->count; i++)
        drop(b->rings[i]);
    b->count = 0;
}

// NULL: it has no place in here.
static struct lag_ring *add(struct lag_book *b, struct str name)
{
    if (b->count == LAG_GROUPS || name.size > LAG_NAME_BYTES)
        return NULL;
    struct lag_ring *ring = calloc(1, sizeof *ring);
    char *copy = malloc(name.size + 1);
    if (!ring || !copy) {
        free(ring);
        free(copy);
        return NULL;
    }
    if (name.size)
        memcpy(copy, name.data, name.size);
    ring->name = (struct str){copy, name.size};
    ring->there = true;
    ring->first = b->points;
    b->rings[b->count++] = ring;
    return ring;
}

// Asked for each of very many groups: the book's are found by their hash.
void lag_book_groups(struct lag_book *b, const struct str *names, size_t count)
{
    size_t kept = 0;
    struct map known = MAP_INIT;
    for (size_t i = 0; i < b->count; i++) {
        b->rings[i]->there = false;
        if (map_put(&known, b->rings[i]->name, b->rings[i])) {
            map_free(&known);
            return;
        }
    }
    for (size_t i = 0; i < count; i++) {
        struct lag_ring *ring = map_get(&known, names[i]);
        if (ring)
            ring->there = true;
    }
    for (size_t i = 0; i < b->count; i++) {
        if (b->rings[i]->there) {
            b->rings[kept++] = b->rings[i];
            continue;
        }
        map_remove(&known, b->rings[i]->name);
        drop(b->rings[i]);
    }
    b->count = kept;
    for (size_t i = 0; i < count && b->count < LAG_GROUPS; i++)
        if (!map_get(&known, names[i]))
            add(b, names[i]);
    map_free(&known);
}

void lag_book_ask(struct lag_book *b, struct str name, int64_t now_ms)
{
    struct lag_ring *ring = find(b, name);
    size_t last = 0;
    if (!ring && b->count == LAG_GROUPS && name.size <= LAG_NAME_BYTES) {
        for (size_t i = 1; i < b->count; i++)
            if (b->rings[i]->asked_ms < b->rings[last]->asked_ms)
                last = i;
        drop(b->rings[last]);
        b->rings[last] = b->rings[--b->count];
    }
    if (!ring)
        ring = add(b, name);
    if (ring)
        ring->asked_ms = now_ms;
}

void lag_book_begin(struct lag_book *b, int64_t time_ms)
{
    size_t at = b->points++ % LAG_POINTS;
    b->times_ms[at] = time_ms;
    for (size_t i = 0; i < b->count; i++)
        b->rings[i]->lags[at] = LAG_UNKNOWN;
}

void lag_book_set(struct lag_book *b, struct str name, int64_t lag)
{
    struct lag_ring *ring = find(b, name);
    if (ring && b->points > 0)
        ring->lags[(b->points - 1) % LAG_POINTS] = lag;
}

size_t lag_book_read(const struct lag_book *b, struct str name, struct lag_point out[LAG_POINTS])
{
    const struct lag_ring *ring = find(b, name);
    size_t count = 0;
    if (!ring)
        return 0;
    uint64_t from = b->points > LAG_POINTS ? b->points - LAG_POINTS : 0;
    for (uint64_t n = from > ring->first ? from : ring->first; n < b->points; n++)
        out[count++] = (struct lag_point){b->times_ms[n % LAG_POINTS], ring->lags[n % LAG_POINTS]};
    return count;
}
