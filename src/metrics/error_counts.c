#include "metrics/error_counts.h"

// The place of a pair; a free one becomes its own. ERROR_COUNTS: there is none.
static unsigned place_of(struct error_counts *c, uint32_t pair)
{
    unsigned start = (pair * 2654435761u) >> 24;
    for (unsigned step = 0; step < ERROR_COUNTS; step++) {
        unsigned i = (start + step) % ERROR_COUNTS;
        uint32_t there = atomic_load_explicit(&c->slots[i].pair, memory_order_relaxed);
        if (there == pair ||
            (there == 0 &&
             (atomic_compare_exchange_strong(&c->slots[i].pair, &there, pair) || there == pair)))
            return i;
    }
    return ERROR_COUNTS;
}

void error_counts_add(struct error_counts *c, int16_t api_key, int16_t code, uint64_t count)
{
    unsigned i = place_of(c, (uint32_t)(uint16_t)api_key << 16 | (uint16_t)code);
    atomic_fetch_add_explicit(i < ERROR_COUNTS ? &c->slots[i].count : &c->others, count,
                              memory_order_relaxed);
}

void error_counts_merge(const struct error_counts *from, struct error_counts *into)
{
    int16_t api_key, code;
    uint64_t count;
    for (unsigned i = 0; i < ERROR_COUNTS; i++)
        if (error_counts_at(from, i, &api_key, &code, &count))
            error_counts_add(into, api_key, code, count);
    atomic_fetch_add_explicit(&into->others, atomic_load_explicit(&from->others, memory_order_relaxed),
                              memory_order_relaxed);
}
