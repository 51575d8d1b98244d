#include "base/map.h"

#include "base/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed[0] = 0x9e3779b97f4a7c15; // the maps work all the same
    seed[1] |= 1;
}

void hash_fix_seed(uint64_t value)
{
    pthread_once(&seeded, make_seed);
    seed[0] = value;
    seed[1] = value | 1;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t hash_int(uint64_t v)
{
    pthread_once(&seeded, make_seed);
    return mix(mix(v ^ seed[0], 0xa0761d6478bd642f ^ seed[1]), 0xe7037ed1a0b428db);
}

uint64_t hash_bytes(const void *data, size_t size)
{
    pthread_once(&seeded, make_seed);
    const uint8_t *p = data;
    uint64_t h = seed[0] ^ size;
    for (; size >= 8; p += 8, size -= 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        h = mix(h ^ v, 0xa0761d6478bd642f ^ seed[1]);
    }
    uint64_t tail = 0;
    if (size > 0) // p may be null when there is nothing
        memcpy(&tail, p, size);
    return mix(mix(h ^ tail, 0x8ebc6af09c88c6e3 ^ seed[1]), 0xe7037ed1a0b428db);
}

static bool same(const struct map_entry *e, struct str key, uint64_t int_key)
{
    return e->int_key == int_key && (key.data == NULL ? e->key.data == NULL : str_equal(e->key, key));
}

// The entry of the key, or the free one where it would go. Needs capacity > count.
static size_t find(const struct map *m, struct str key, uint64_t int_key)
{
    size_t mask = m->capacity - 1, i = hash_int(int_key) & mask;
    while (m->entries[i].value && !same(&m->entries[i], key, int_key))
        i = (i + 1) & mask;
    return i;
}

static int grow(struct map *m)
{
    struct map bigger = {.capacity = m->capacity ? m->capacity * 2 : 8, .count = m->count};
    bigger.entries = calloc(bigger.capacity, sizeof *bigger.entries);
    if (!bigger.entries)
        return ERR_NOMEM;
    for (size_t i = 0; i < m->capacity; i++) {
        const struct map_entry *e = &m->entries[i];
        if (e->value)
            bigger.entries[find(&bigger, e->key, e->int_key)] = *e;
    }
    free(m->entries);
    *m = bigger;
    return 0;
}

static void *get(const struct map *m, struct str key, uint64_t int_key)
{
    return m->count ? m->entries[find(m, key, int_key)].value : NULL;
}

static int put(struct map *m, struct str key, uint64_t int_key, void *value)
{
    if (m->count * 4 >= m->capacity * 3) {
        int rc = grow(m);
        if (rc)
            return rc;
    }
    struct map_entry *e = &m->entries[find(m, key, int_key)];
    m->count += e->value == NULL;
    *e = (struct map_entry){key, int_key, value};
    return 0;
}

static void *remove_entry(struct map *m, struct str key, uint64_t int_key)
{
    if (!m->count)
        return NULL;
    size_t mask = m->capacity - 1, hole = find(m, key, int_key);
    void *value = m->entries[hole].value;
    if (!value)
        return NULL;
    for (size_t i = (hole + 1) & mask; m->entries[i].value;
         i = (i + 1) & mask) { // close the gap behind the hole
        size_t home = hash_int(m->entries[i].int_key) & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->entries[hole] = m->entries[i];
            hole = i;
        }
    }
    m->entries[hole] = (struct map_entry){0};
    m->count--;
    return value;
}

void *map_get(const struct map *m, struct str key)
{
    return m->count ? get(m, key, hash_bytes(key.data, key.size)) : NULL;
}

int map_put(struct map *m, struct str key, void *value)
{
    return put(m, key, hash_bytes(key.data, key.size), value);
}

void *map_remove(struct map *m, struct str key)
{
    return remove_entry(m, key, hash_bytes(key.data, key.size));
}

void *map_int_get(const struct map *m, uint64_t key)
{
    return get(m, STR_NULL, key);
}

int map_int_put(struct map *m, uint64_t key, void *value)
{
    return put(m, STR_NULL, key, value);
}

void *map_int_remove(struct map *m, uint64_t key)
{
    return remove_entry(m, STR_NULL, key);
}

struct map_entry *map_next(const struct map *m, size_t *i)
{
    while (*i < m->capacity) {
        struct map_entry *e = &m->entries[(*i)++];
        if (e->value)
            return e;
    }
    return NULL;
}

void map_free(struct map *m)
{
    free(m->entries);
    *m = MAP_INIT;
}
