#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->nodes[i] = node;
    node->place = i + 1;
}

static void sift_up(struct heap *h, size_t i, struct heap_node *node)
{
    while (i > 0) {
        size_t parent = (i - 1) / 2;
        if (h->nodes[parent]->key <= node->key)
            break;
        put(h, i, h->nodes[parent]);
        i = parent;
    }
    put(h, i, node);
}

static void sift_down(struct heap *h, size_t i, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= h->count)
            break;
        if (child + 1 < h->count && h->nodes[child + 1]->key < h->nodes[child]->key)
            child++;
        if (node->key <= h->nodes[child]->key)
            break;
        put(h, i, h->nodes[child]);
        i = child;
    }
    put(h, i, node);
}

int heap_reserve(struct heap *h, size_t count)
{
    if (count <= h->capacity)
        return 0;
    size_t capacity = h->capacity ? h->capacity : 16;
    while (capacity < count)
        capacity *= 2;
    struct heap_node **nodes = realloc(h->nodes, capacity * sizeof *nodes);
    if (!nodes)
        return ERR_NOMEM;
    h->nodes = nodes;
    h->capacity = capacity;
    return 0;
}

int heap_push(struct heap *h, struct heap_node *node, int64_t key)
{
    assert(!heap_has(node));
    int err = heap_reserve(h, h->count + 1);
    if (err)
        return err;
    node->key = key;
    sift_up(h, h->count++, node);
    return 0;
}

void heap_move(struct heap *h, struct heap_node *node, int64_t key)
{
    assert(heap_has(node) && h->nodes[node->place - 1] == node);
    bool up = key < node->key;
    node->key = key;
    if (up)
        sift_up(h, node->place - 1, node);
    else
        sift_down(h, node->place - 1, node);
}

void heap_remove(struct heap *h, struct heap_node *node)
{
    if (!heap_has(node))
        return;
    size_t i = node->place - 1;
    assert(h->nodes[i] == node);
    node->place = 0;
    struct heap_node *last = h->nodes[--h->count];
    if (last == node)
        return;
    put(h, i, last);
    if (i > 0 && last->key < h->nodes[(i - 1) / 2]->key)
        sift_up(h, i, last);
    else
        sift_down(h, i, last);
}

void heap_free(struct heap *h)
{
    free(h->nodes);
    *h = HEAP_INIT;
}
