// How often which errors were answered: by API and code, in fixed memory. Any thread adds and reads.
#ifndef METRICS_ERROR_COUNTS_H
#define METRICS_ERROR_COUNTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ERROR_COUNTS 256 // pairs of API and code; what comes when they are taken is counted together

struct error_counts {
    struct {
        _Atomic uint32_t pair; // 0: free
        _Atomic uint64_t count;
    } slots[ERROR_COUNTS];
    _Atomic uint64_t others;
};

// The code is none of 0.
void error_counts_add(struct error_counts *c, int16_t api_key, int16_t code, uint64_t count);

// Adds what `from` has to `into`.
void error_counts_merge(const struct error_counts *from, struct error_counts *into);

// Slot i's pair. False: it is free.
static inline bool error_counts_at(const struct error_counts *c, unsigned i, int16_t *api_key, int16_t *code,
                                   uint64_t *count)
{
    uint32_t pair = atomic_load_explicit(&c->slots[i].pair, memory_order_relaxed);
    *api_key = (int16_t)(pair >> 16);
    *code = (int16_t)(pair & 0xffff);
    *count = atomic_load_explicit(&c->slots[i].count, memory_order_relaxed);
    return pair != 0;
}

#endif
