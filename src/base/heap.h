// Intrusive binary heap: the smallest key first. A node remembers its place, so that removing one costs
// O(log n). One thread at a time.
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    size_t place; // index in the heap plus one; 0: in no heap
};

struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
};

#define HEAP_INIT ((struct heap){0})

// Adds a node that is in no heap. The node is the caller's and stays where it is until it is removed.
// 0, or ERR_NOMEM (nothing changed).
int heap_push(struct heap *h, struct heap_node *node, int64_t key);

// Makes room for `count` nodes in all, so that heap_push cannot fail up to there. 0, or ERR_NOMEM.
int heap_reserve(struct heap *h, size_t count);

// Gives a node that is in the heap another key.
void heap_move(struct heap *h, struct heap_node *node, int64_t key);

// Takes a node out; one that is in no heap stays as it is.
void heap_remove(struct heap *h, struct heap_node *node);

static inline bool heap_has(const struct heap_node *node)
{
    return node->place != 0;
}

// The node with the smallest key, or NULL.
static inline struct heap_node *heap_first(const struct heap *h)
{
    return h->count ? h->nodes[0] : NULL;
}

// Frees the table, not the nodes.
void heap_free(struct heap *h);

#endif
