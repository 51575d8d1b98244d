// How often which values came: latencies in microseconds, to within an eighth, in fixed memory. One thread
// adds to a histogram; any thread reads it, as counters are read: not one instant's picture.
#ifndef METRICS_HISTOGRAM_H
#define METRICS_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

// Four buckets for each power of two, up to 2^27 us (two minutes); what is longer counts as that.
#define HISTOGRAM_BUCKETS 104

struct histogram {
    _Atomic uint64_t sum;
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
};

// What was read, over as many histograms as are added up.
struct histogram_values {
    uint64_t sum, count;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

static inline size_t histogram_bucket(uint64_t value)
{
    if (value < 4)
        return (size_t)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    size_t bucket = (power - 1) * 4 + ((value >> (power - 2)) & 3);
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

// The least value that is above those of the bucket.
uint64_t histogram_bound(size_t bucket);

// The owner's thread.
static inline void histogram_add(struct histogram *h, int64_t value)
{
    uint64_t v = value > 0 ? (uint64_t)value : 0;
    _Atomic uint64_t *at = &h->buckets[histogram_bucket(v)];
    atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + 1, memory_order_relaxed);
    uint64_t sum = atomic_load_explicit(&h->sum, memory_order_relaxed) + v;
    atomic_store_explicit(&h->sum, sum, memory_order_relaxed);
}

// Adds what the histogram has to *out.
void histogram_read(const struct histogram *h, struct histogram_values *out);

// What came between two readings.
void histogram_between(const struct histogram_values *before, const struct histogram_values *after,
                       struct histogram_values *out);

// The value that the share `q` (0 to 1) of all does not exceed, in the middle of its bucket; -1 where nothing
// came.
double histogram_quantile(const struct histogram_values *v, double q);

#endif
