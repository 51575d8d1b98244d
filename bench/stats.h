// Time and the load generator's own cost.
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdint.h>

int64_t stats_monotonic_ns(void);
int64_t stats_cpu_ns(void); // of this process, all threads

// Sorts, and prints  "p50_us": .., "p99_us": .., "p999_us": .., "max_us": .., "mean_us": ..  without braces.
void stats_print_latency(int64_t *samples_ns, int64_t count);

#endif
