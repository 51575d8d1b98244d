#include "base/hamt.h"

#include "base/error.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BITS = 5, FAN_OUT = 1 << BITS, HASH_BITS = 64 };

// A node of the tree: `used` has a bit for each of the 32 places that is filled, `nodes` for those that hold
// a further node instead of a value; slots are packed in the order of the bits. Below HASH_BITS the hash is
// used up: such a node is a plain list of the values whose 64-bit hashes are all the same, and used is 0.
struct hamt_node {
    atomic_uint refs;
    uint32_t used, nodes;
    uint32_t count; // of slots
    void *slots[];
};

static size_t node_bytes(uint32_t count)
{
    return sizeof(struct hamt_node) + count * sizeof(void *);
}

static struct hamt_node *node_new(uint32_t count)
{
    struct hamt_node *n = malloc(node_bytes(count));
    if (n) {
        atomic_init(&n->refs, 1);
        n->used = n->nodes = 0;
        n->count = 0;
    }
    return n;
}

static bool is_list(int shift)
{
    return shift >= HASH_BITS;
}

static uint32_t bit_of(uint64_t hash, int shift)
{
    return 1u << ((hash >> shift) & (FAN_OUT - 1));
}

static uint32_t slot_of(const struct hamt_node *n, uint32_t bit)
{
    return (uint32_t)__builtin_popcount(n->used & (bit - 1));
}

// Whether each slot holds a node, by slot number.
static bool slot_is_node(const struct hamt_node *n, uint32_t bit)
{
    return (n->nodes & bit) != 0;
}

static void node_unref(struct hamt_node *n, const struct hamt_ops *ops)
{
    if (atomic_fetch_sub_explicit(&n->refs, 1, memory_order_acq_rel) != 1)
        return;
    uint32_t left = n->used;
    for (uint32_t i = 0; i < n->count; i++, left &= left - 1) {
        if (left && slot_is_node(n, left & -left))
            node_unref(n->slots[i], ops);
        else
            ops->unref(n->slots[i]);
    }
    free(n);
}

// Makes *at a node that only this map holds. On ERR_NOMEM nothing has changed.
static int node_own(struct hamt_node **at, const struct hamt_ops *ops)
{
    struct hamt_node *n = *at;
    if (atomic_load_explicit(&n->refs, memory_order_acquire) == 1)
        return 0;
    struct hamt_node *copy = node_new(n->count);
    if (!copy)
        return ERR_NOMEM;
    copy->used = n->used;
    copy->nodes = n->nodes;
    copy->count = n->count;
    memcpy(copy->slots, n->slots, n->count * sizeof(void *));
    uint32_t left = n->used;
    for (uint32_t i = 0; i < n->count; i++, left &= left - 1) {
        if (left && slot_is_node(n, left & -left)) {
            struct hamt_node *child = n->slots[i];
            atomic_fetch_add_explicit(&child->refs, 1, memory_order_relaxed);
        } else {
            ops->ref(n->slots[i]);
        }
    }
    *at = copy;
    node_unref(n, ops);
    return 0;
}

// Opens a slot at `slot` of an owned node and stores the value there.
static int node_insert(struct hamt_node **at, uint32_t slot, void *value)
{
    struct hamt_node *n = realloc(*at, node_bytes((*at)->count + 1));
    if (!n)
        return ERR_NOMEM;
    memmove(&n->slots[slot + 1], &n->slots[slot], (n->count - slot) * sizeof(void *));
    n->slots[slot] = value;
    n->count++;
    *at = n;
    return 0;
}

static void node_close(struct hamt_node *n, uint32_t slot)
{
    memmove(&n->slots[slot], &n->slots[slot + 1], (n->count - slot - 1) * sizeof(void *));
    n->count--; // the spare slot stays until the node is copied or grown
}

static struct hamt_walk walk_below(const struct hamt_node *n)
{
    struct hamt_walk w = {.depth = n ? 0 : -1};
    w.nodes[0] = n;
    return w;
}

void *hamt_find(const struct hamt *m, const void *key, int hash_bits,
                bool (*same)(const void *key, const void *other))
{
    const struct hamt_ops *ops = m->ops;
    uint64_t hash = ops->hash(key);
    const struct hamt_node *n = m->root;
    assert(hash_bits % BITS == 0 || hash_bits == HASH_BITS);
    for (int shift = 0; n && shift < hash_bits; shift += BITS) {
        uint32_t bit = bit_of(hash, shift);
        if (!(n->used & bit))
            return NULL;
        void *slot = n->slots[slot_of(n, bit)];
        if (!slot_is_node(n, bit))
            return same(ops->key(slot), key) ? slot : NULL;
        n = slot;
    }
    struct hamt_walk w = walk_below(n); // all whose hashes begin so: as good as always there is none else
    for (void *value; (value = hamt_next(&w));)
        if (same(ops->key(value), key))
            return value;
    return NULL;
}

void *hamt_get(const struct hamt *m, const void *key)
{
    return hamt_find(m, key, HASH_BITS, m->ops->same);
}

struct edit {
    const struct hamt_ops *ops;
    const void *key;
    uint64_t hash;
    void *value;
    bool replaced;
};

static int put(struct hamt_node **at, int shift, struct edit *e);

static int put_in_list(struct hamt_node **at, struct edit *e)
{
    struct hamt_node *n = *at;
    for (uint32_t i = 0; i < n->count; i++) {
        if (!e->ops->same(e->ops->key(n->slots[i]), e->key))
            continue;
        e->ops->unref(n->slots[i]);
        n->slots[i] = e->value;
        e->replaced = true;
        return 0;
    }
    return node_insert(at, n->count, e->value);
}

// Two values meet in one place: both move into a new node below it.
static int put_below(struct hamt_node *n, uint32_t bit, int shift, struct edit *e)
{
    void **slot = &n->slots[slot_of(n, bit)];
    struct hamt_node *below = node_new(2);
    if (!below)
        return ERR_NOMEM;
    struct edit old = {.ops = e->ops, .key = e->ops->key(*slot), .value = *slot};
    old.hash = e->ops->hash(old.key);
    int rc = put(&below, shift + BITS, &old);
    if (rc == 0) {
        rc = put(&below, shift + BITS, e);
        if (rc) // the old value's reference stays with n
            e->ops->ref(*slot);
    }
    if (rc) {
        node_unref(below, e->ops);
        return rc;
    }
    *slot = below;
    n->nodes |= bit;
    return 0;
}

static int put(struct hamt_node **at, int shift, struct edit *e)
{
    int rc = node_own(at, e->ops);
    if (rc)
        return rc;
    if (is_list(shift))
        return put_in_list(at, e);
    struct hamt_node *n = *at;
    uint32_t bit = bit_of(e->hash, shift), slot = slot_of(n, bit);
    if (!(n->used & bit)) {
        rc = node_insert(at, slot, e->value);
        if (rc == 0)
            (*at)->used |= bit;
        return rc;
    }
    if (slot_is_node(n, bit)) {
        struct hamt_node *child = n->slots[slot];
        rc = put(&child, shift + BITS, e);
        n->slots[slot] = child; // it may have moved, even where the put failed further down
        return rc;
    }
    if (!e->ops->same(e->ops->key(n->slots[slot]), e->key))
        return put_below(n, bit, shift, e);
    e->ops->unref(n->slots[slot]);
    n->slots[slot] = e->value;
    e->replaced = true;
    return 0;
}

int hamt_put(struct hamt *m, void *value)
{
    struct edit e = {.ops = m->ops, .key = m->ops->key(value), .value = value};
    e.hash = m->ops->hash(e.key);
    if (!m->root && !(m->root = node_new(1)))
        return ERR_NOMEM;
    int rc = put(&m->root, 0, &e);
    if (rc == 0 && !e.replaced)
        m->count++;
    return rc;
}

static int remove_from(struct hamt_node **at, int shift, const struct edit *e)
{
    int rc = node_own(at, e->ops);
    if (rc)
        return rc;
    struct hamt_node *n = *at;
    if (is_list(shift)) {
        uint32_t i = 0;
        while (!e->ops->same(e->ops->key(n->slots[i]), e->key))
            i++; // hamt_remove has seen that it is there
        e->ops->unref(n->slots[i]);
        node_close(n, i);
        return 0;
    }
    uint32_t bit = bit_of(e->hash, shift), slot = slot_of(n, bit);
    if (!slot_is_node(n, bit)) {
        e->ops->unref(n->slots[slot]);
        node_close(n, slot);
        n->used &= ~bit;
        return 0;
    }
    struct hamt_node *child = n->slots[slot];
    rc = remove_from(&child, shift + BITS, e);
    n->slots[slot] = child;
    if (rc == 0 && child->count == 1 && child->nodes == 0) { // a lone value moves up
        n->slots[slot] = child->slots[0];
        n->nodes &= ~bit;
        free(child);
    }
    return rc;
}

int hamt_remove(struct hamt *m, const void *key)
{
    if (!hamt_get(m, key))
        return ERR_NOT_FOUND;
    struct edit e = {.ops = m->ops, .key = key, .hash = m->ops->hash(key)};
    int rc = remove_from(&m->root, 0, &e);
    if (rc)
        return rc;
    if (--m->count == 0)
        hamt_release(m);
    return 0;
}

struct hamt hamt_share(const struct hamt *m)
{
    if (m->root)
        atomic_fetch_add_explicit(&m->root->refs, 1, memory_order_relaxed);
    return *m;
}

void hamt_release(struct hamt *m)
{
    if (m->root)
        node_unref(m->root, m->ops);
    m->root = NULL;
    m->count = 0;
}

struct hamt_walk hamt_walk(const struct hamt *m)
{
    return walk_below(m->root);
}

// Whether slot i of n holds a node: the i-th filled place.
static bool nth_is_node(const struct hamt_node *n, uint32_t i)
{
    uint32_t left = n->used;
    while (i-- && left)
        left &= left - 1;
    return left && slot_is_node(n, left & -left);
}

void *hamt_next(struct hamt_walk *w)
{
    while (w->depth >= 0) {
        const struct hamt_node *n = w->nodes[w->depth];
        uint32_t i = w->at[w->depth]++;
        if (i >= n->count) {
            w->depth--;
            continue;
        }
        if (!nth_is_node(n, i))
            return n->slots[i];
        assert(w->depth + 1 < HAMT_MAX_DEPTH);
        w->nodes[++w->depth] = n->slots[i];
        w->at[w->depth] = 0;
    }
    return NULL;
}
