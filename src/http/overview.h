// The overview: what the numbers of two moments say. Pure.
#ifndef HTTP_OVERVIEW_H
#define HTTP_OVERVIEW_H

#include "http/load.h"

#define OVERVIEW_APIS 128

// What is read each second.
struct reading {
    int64_t at_us; // monotonic
    struct arena arena;
    struct loads loads;
    struct http_counters counters;
    struct histogram_values apis[OVERVIEW_APIS], delivery;
};

// What is asked for less often, as JSON; any of it may be NULL.
struct slow_facts {
    json_t *log_dirs, *groups, *transactions, *brokers;
    int topics, partitions, offline, under_replicated, group_count;
};

struct overview_facts {
    int64_t time_ms, start_time_ms;
    const struct reading *before; // NULL: there is none yet
    const struct reading *now;    // measured
    const struct slow_facts *slow;
    int64_t refused_ms; // when a connection was last refused, while that was watched; 0: never
};

json_t *overview_json(const struct overview_facts *f);

#endif
