#include "server/handlers/topic_order.h"

#include "base/error.h"
#include "base/java_order.h"

#include <stdlib.h>

#define SMALL_SET_NAMES 4  // Scala's sets of up to four elements keep the order of insertion
#define LEVEL_BITS      5  // of the hash, a level of its hash trie
#define TABLE_MIN       16 // of Java's HashMap, filled to three quarters
#define SIGN            0x80000000u

struct entry {
    uint32_t key, hash, tie, index;
};

static uint32_t scala_improved(uint32_t h)
{
    h += ~(h << 9);
    h ^= h >> 14;
    h += h << 4;
    return h ^ h >> 10;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->tie != y->tie)
        return x->tie < y->tie ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

// A node of the trie lists the elements that are alone in their slot, then the slots with more, each in order
// of slots.
static void order_node(struct entry *entries, uint32_t count, unsigned shift, uint32_t **out)
{
    for (uint32_t i = 0; i < count; i++)
        entries[i].key = shift < 32 ? entries[i].hash >> shift & ((1u << LEVEL_BITS) - 1) : 0;
    qsort(entries, count, sizeof *entries, by_key);
    for (int alone = 1; alone >= 0; alone--) {
        for (uint32_t i = 0, n; i < count; i += n) {
            for (n = 1; i + n < count && entries[i + n].key == entries[i].key; n++)
                ;
            if (alone && n == 1)
                *(*out)++ = entries[i].index;
            else if (!alone && n > 1 && shift < 32)
                order_node(entries + i, n, shift + LEVEL_BITS, out);
            else if (!alone && n > 1)
                for (uint32_t k = 0; k < n; k++) // the same hash
                    *(*out)++ = entries[i + k].index;
            if (!alone && n > 1 && shift < 32) // the deeper level has put its own keys there
                for (uint32_t k = 0; k < n; k++)
                    entries[i + k].key = entries[i].hash >> shift & ((1u << LEVEL_BITS) - 1);
        }
    }
}

// Of a HashSet made of a collection.
static uint32_t table_size(uint32_t count)
{
    uint32_t size = TABLE_MIN;
    while (size < (uint64_t)count * 4 / 3 + 1)
        size *= 2;
    return size;
}

int topic_order(enum topic_order how, const struct str *names, uint32_t count, struct arena *arena,
                uint32_t **order)
{
    struct entry *entries = arena_zalloc(arena, count, sizeof *entries);
    *order = arena_zalloc(arena, count, sizeof **order);
    if (!entries || !*order)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t h = java_string_hash(names[i]);
        entries[i] =
            (struct entry){.hash = how == TOPIC_ORDER_NAMED ? scala_improved(h) : h ^ h >> 16, .index = i};
        entries[i].key = how == TOPIC_ORDER_NAMED ? i : entries[i].hash & (table_size(count) - 1);
        // Elements of one slot stand in the order in which they came: that of Kafka's image, by the hash as
        // an int.
        entries[i].tie = how == TOPIC_ORDER_NAMED ? 0 : h ^ SIGN;
    }
    if (how == TOPIC_ORDER_NAMED && count > SMALL_SET_NAMES) {
        uint32_t *at = *order;
        order_node(entries, count, 0, &at);
        return 0;
    }
    qsort(entries, count, sizeof *entries, by_key);
    for (uint32_t i = 0; i < count; i++)
        (*order)[i] = entries[i].index;
    return 0;
}
