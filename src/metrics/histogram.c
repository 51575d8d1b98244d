#include "metrics/histogram.h"

uint64_t histogram_bound(size_t bucket)
{
    size_t next = bucket + 1;
    return next < 4 ? next : (4 + (next & 3)) << (next / 4 - 1);
}

void histogram_read(const struct histogram *h, struct histogram_values *out)
{
    out->sum += atomic_load_explicit(&h->sum, memory_order_relaxed);
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t n = atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        out->buckets[i] += n;
        out->count += n;
    }
}

void histogram_between(const struct histogram_values *before, const struct histogram_values *after,
                       struct histogram_values *out)
{
    *out = (struct histogram_values){.sum = after->sum - before->sum};
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        out->buckets[i] = after->buckets[i] - before->buckets[i];
        out->count += out->buckets[i];
    }
}

double histogram_quantile(const struct histogram_values *v, double q)
{
    uint64_t wanted = (uint64_t)(q * (double)v->count), seen = 0;
    if (v->count == 0)
        return -1;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += v->buckets[i];
        if (seen > wanted || seen == v->count)
            return ((double)(i ? histogram_bound(i - 1) : 0) + (double)histogram_bound(i)) / 2;
    }
    return -1;
}
