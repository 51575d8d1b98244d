#include "base/java_order.h"

#include "base/error.h"

#include <stdlib.h>

#define TABLE_MIN JAVA_MAP_SIZE // filled to three quarters, then doubled

#define TIMELINE_MIN    2 // filled to four thirds, then doubled
#define TIMELINE_FACTOR UINT64_C(0x9e3779b97f4a7c15)

struct entry {
    uint32_t slot;
    size_t index;
};

// Characters outside the basic plane count as their two surrogates.
uint32_t java_string_hash(struct str text)
{
    uint32_t hash = 0;
    for (size_t i = 0; i < text.size;) {
        uint8_t first = (uint8_t)text.data[i];
        size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        uint32_t c = more == 0 ? first : first & (0x3fu >> more);
        for (size_t k = 1; k <= more && i + k < text.size; k++)
            c = c << 6 | ((uint8_t)text.data[i + k] & 0x3f);
        i += more + 1;
        if (c >= 0x10000) {
            hash = hash * 31 + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        hash = hash * 31 + c;
    }
    return hash;
}

uint32_t java_entry_hash(struct str key, struct str value)
{
    return java_string_hash(key) ^ java_string_hash(value);
}

static int by_slot(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->slot != y->slot)
        return x->slot < y->slot ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static uint32_t map_slot(uint32_t hash, uint64_t table)
{
    return (hash ^ hash >> 16) & (uint32_t)(table - 1);
}

// The highest bits of a product, as many as number the table.
static uint32_t timeline_slot(uint32_t hash, uint64_t table)
{
    int bits = __builtin_ctzll(table);
    return (uint32_t)((uint64_t)(int64_t)(int32_t)hash * TIMELINE_FACTOR >> (64 - bits));
}

// Puts the entries, which have their slots, in order.
static int list_entries(struct entry *entries, size_t count, struct arena *arena, size_t **order)
{
    *order = arena_zalloc(arena, count + 1, sizeof **order);
    if (!*order)
        return ERR_NOMEM;
    qsort(entries, count, sizeof *entries, by_slot);
    for (size_t i = 0; i < count; i++)
        (*order)[i] = entries[i].index;
    return 0;
}

static int order_by_slot(const struct str *names, size_t count, uint64_t table,
                         uint32_t (*slot)(uint32_t hash, uint64_t table), struct arena *arena, size_t **order)
{
    struct entry *entries = arena_zalloc(arena, count + 1, sizeof *entries);
    if (!entries)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct entry){slot(java_string_hash(names[i]), table), i};
    return list_entries(entries, count, arena, order);
}

int java_map_order(const struct str *names, size_t count, size_t others, struct arena *arena, size_t **order)
{
    uint64_t table = TABLE_MIN;
    while (count + others > table / 4 * 3)
        table *= 2;
    return order_by_slot(names, count, table, map_slot, arena, order);
}

int java_set_order(const struct str *names, size_t count, size_t of, struct arena *arena, size_t **order)
{
    uint64_t table = TABLE_MIN;
    while (table < of * 4 / 3 + 1)
        table *= 2;
    return order_by_slot(names, count, table, map_slot, arena, order);
}

static int order_hashes(const uint32_t *hashes, size_t count, uint64_t table, struct arena *arena,
                        size_t **order)
{
    struct entry *entries = arena_zalloc(arena, count + 1, sizeof *entries);
    if (!entries)
        return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        entries[i] = (struct entry){map_slot(hashes[i], table), i};
    return list_entries(entries, count, arena, order);
}

// The table that a HashMap has which was made for so many and holds `count`.
static uint64_t sized_table(size_t count, size_t made_for)
{
    uint64_t table = 1;
    while (table < made_for)
        table *= 2;
    while (count > table * 3 / 4)
        table *= 2;
    return table;
}

int java_hash_order(const uint32_t *hashes, size_t count, size_t others, size_t made_for, struct arena *arena,
                    size_t **order)
{
    return order_hashes(hashes, count, sized_table(count + others, made_for), arena, order);
}

static uint32_t *number_hashes(const int64_t *numbers, size_t count, struct arena *arena)
{
    uint32_t *hashes = arena_zalloc(arena, count + 1, sizeof *hashes);
    for (size_t i = 0; hashes && i < count; i++) {
        uint64_t bits = (uint64_t)numbers[i];
        hashes[i] = (uint32_t)(bits ^ bits >> 32);
    }
    return hashes;
}

// Its table is doubled once it is filled to three quarters, not beyond.
int java_concurrent_map_order(const int64_t *numbers, size_t count, struct arena *arena, size_t **order)
{
    uint64_t table = TABLE_MIN;
    uint32_t *hashes = number_hashes(numbers, count, arena);
    while (count >= table / 4 * 3)
        table *= 2;
    return hashes ? order_hashes(hashes, count, table, arena, order) : ERR_NOMEM;
}

int java_sized_map_order(const int64_t *numbers, size_t count, size_t made_for, struct arena *arena,
                         size_t **order)
{
    uint32_t *hashes = number_hashes(numbers, count, arena);
    return hashes ? java_hash_order(hashes, count, 0, made_for, arena, order) : ERR_NOMEM;
}

int java_timeline_order(const struct str *names, size_t count, struct arena *arena, size_t **order)
{
    uint64_t table = TIMELINE_MIN;
    while (count * 3 > table * 4)
        table *= 2;
    return order_by_slot(names, count, table, timeline_slot, arena, order);
}
