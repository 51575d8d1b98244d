#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t stats_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t stats_cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double at_us(const int64_t *sorted, int64_t count, double quantile)
{
    int64_t i = (int64_t)(quantile * (double)count);
    return (double)sorted[i < count ? i : count - 1] / 1e3;
}

void stats_print_latency(int64_t *samples_ns, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += (double)samples_ns[i];
    qsort(samples_ns, (size_t)count, sizeof samples_ns[0], compare);
    printf("\"p50_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, \"max_us\": %.1f, \"mean_us\": %.1f",
           at_us(samples_ns, count, 0.5), at_us(samples_ns, count, 0.99), at_us(samples_ns, count, 0.999),
           (double)samples_ns[count - 1] / 1e3, sum / (double)count / 1e3);
}
