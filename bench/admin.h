// What happens before the load: waiting for the broker, creating and looking up the topic, producer ids.
#ifndef BENCH_ADMIN_H
#define BENCH_ADMIN_H

#include "base/uuid.h"
#include "options.h"

// The topic's id; creates it with o->partitions partitions unless it exists, and waits until every partition
// has a leader. Zero with o->bare.
struct uuid admin_topic(const struct options *o);

struct producer_identity {
    int64_t id;
    int16_t epoch;
};

struct producer_identity admin_producer(const struct options *o);

#endif
