// What partitions have and how busy they are: counters that this broker keeps, and rates where they are
// measured.
#ifndef HTTP_LOAD_H
#define HTTP_LOAD_H

#include "base/map.h"
#include "http/request.h"

struct load {
    uint64_t messages_in, bytes_in, bytes_out;
    int64_t size_bytes, records;
    bool is_here;  // this broker has the partition
    bool measured; // the rates are: per second
    double messages_in_rate, bytes_in_rate, bytes_out_rate;
};

struct topic_load {
    struct str name; // the arena's
    struct load all;
    struct load *partitions; // by number
    int32_t count;
};

// Topics by name.
struct loads {
    struct arena *arena;
    struct map topics;
    bool failed; // out of memory: not complete
};

// Reads one topic (a null view: all) into the arena. loads_free frees the map alone.
void loads_read(struct loads *l, const struct http_params *broker, struct str topic, struct arena *arena);
void loads_free(struct loads *l);

// NULL: this broker has none of it.
const struct topic_load *loads_topic(const struct loads *l, struct str name);
const struct load *loads_partition(const struct topic_load *t, int32_t partition);

// Rates, from an earlier reading so many seconds ago.
void loads_measure(struct loads *now, const struct loads *before, double seconds);

// Of all topics, a second. messages_out is an estimate: bytes out, by the mean size of what the partition
// holds.
struct load_sums {
    double messages_in, bytes_in, bytes_out, messages_out;
};
struct load_sums loads_sum(const struct loads *loads);

void load_take_rates(struct load *to, const struct load *from);

// The rates' JSON; `load` may be NULL.
json_t *load_json(const struct load *load);

#endif
