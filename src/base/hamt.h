// A persistent hash map (hash array mapped trie): a copy costs O(1) and shares everything with the original;
// a change copies only the O(log) nodes on its path that are shared. Nodes that nobody else holds are changed
// in place, so that building a map of a million entries costs no more than a plain hash map.
//
// Values are opaque, counted references; a value carries its own key. One thread may change a map at a time;
// different maps that share nodes may be used and released by different threads (the counts are atomic).
// Readers of a map that nobody changes need no lock.
#ifndef BASE_HAMT_H
#define BASE_HAMT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hamt_node;

struct hamt_ops {
    const void *(*key)(const void *value);            // where the key lies in the value
    uint64_t (*hash)(const void *key);                // e.g. hash_bytes
    bool (*same)(const void *key, const void *other); // whether two keys are equal
    void (*ref)(void *value);                         // one more holder
    void (*unref)(void *value);                       // one holder less; frees with the last
};

struct hamt {
    struct hamt_node *root; // NULL when empty
    size_t count;
    const struct hamt_ops *ops;
};

static inline struct hamt hamt_empty(const struct hamt_ops *ops)
{
    return (struct hamt){NULL, 0, ops};
}

// The value of the key, or NULL. It lives as long as the map holds it.
void *hamt_get(const struct hamt *m, const void *key);

// A value whose key is equal by another comparison than the map's own, or NULL: one that says so only of keys
// whose hashes have the same lower hash_bits (a multiple of 5, or 64). Where many keys have those it is quick
// as long as most of them are equal in that sense: the first one that is will do.
void *hamt_find(const struct hamt *m, const void *key, int hash_bits,
                bool (*same)(const void *key, const void *other));

// Adds the value, or replaces the one of the same key. Takes over the caller's reference; on ERR_NOMEM the
// map is as before and the reference is still the caller's.
int hamt_put(struct hamt *m, void *value);

// Removes the key. 0, ERR_NOT_FOUND, or ERR_NOMEM (the map is then as before).
int hamt_remove(struct hamt *m, const void *key);

// Another map with the same contents, in O(1). Release each.
struct hamt hamt_share(const struct hamt *m);
void hamt_release(struct hamt *m);

// Walks all values in no order; the map must not change meanwhile:
//   struct hamt_walk w = hamt_walk(m);
//   for (struct topic *t; (t = hamt_next(&w));)
#define HAMT_MAX_DEPTH 14

struct hamt_walk {
    const struct hamt_node *nodes[HAMT_MAX_DEPTH];
    uint32_t at[HAMT_MAX_DEPTH];
    int depth; // of the current node; -1 at the end
};

struct hamt_walk hamt_walk(const struct hamt *m);
void *hamt_next(struct hamt_walk *w);

#endif
