// Mutable hash maps: from text and from 64-bit integers to pointers. One thread at a time (or the owner's
// lock). Open addressing; keys of a text map are the caller's memory and live as long as their entry.
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/bytes.h"

struct map_entry {
    struct str key;   // text maps
    uint64_t int_key; // integer maps; the hash in text maps
    void *value;      // never NULL in a used entry
};

struct map {
    struct map_entry *entries;
    size_t capacity, count; // capacity is 0 or a power of two
};

#define MAP_INIT ((struct map){0})

void *map_get(const struct map *m, struct str key);      // NULL when absent
int map_put(struct map *m, struct str key, void *value); // replaces; 0 or ERR_NOMEM
void *map_remove(struct map *m, struct str key);         // the value that was there, or NULL

void *map_int_get(const struct map *m, uint64_t key);
int map_int_put(struct map *m, uint64_t key, void *value);
void *map_int_remove(struct map *m, uint64_t key);

// Walks all entries in no order: for (size_t i = 0; (e = map_next(m, &i));) . Do not change the map
// meanwhile.
struct map_entry *map_next(const struct map *m, size_t *i);

// Frees the table, not keys and values.
void map_free(struct map *m);

// A 64-bit hash of bytes, seeded once per process from the kernel's random source (so that clients cannot
// choose colliding keys). Any thread.
uint64_t hash_bytes(const void *data, size_t size);
uint64_t hash_int(uint64_t v);

// For a simulation, which is to go the same way again: from now on this seed. No map may have entries yet.
void hash_fix_seed(uint64_t value);

#endif
