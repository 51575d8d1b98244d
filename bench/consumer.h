// One connection that fetches. The payload is dropped in the kernel, only the batches' headers are looked at,
// so that the client costs little. One thread at a time.
#ifndef BENCH_CONSUMER_H
#define BENCH_CONSUMER_H

#include "frames.h"
#include "options.h"

struct consumer {
    int fd;
    struct reader reader;
    struct buffer request;
    struct uuid topic;
    struct fetch_settings settings;
    struct fetch_position *positions;
    int count;
    int32_t session_id, session_epoch, correlation;
    int not_ready;                     // partitions that the last answer said are not served yet
    bool any_offset;                   // a position that lies below the log is no error
    int64_t bytes, records, responses; // received
};

// Connects; owns the partitions first, first + step, ... of the topic, from offset 0.
void consumer_open(struct consumer *c, const struct options *o, const struct uuid *topic, int first,
                   int step);

// Sends one Fetch request; reads its answer (blocking) and moves the positions.
void consumer_ask(struct consumer *c);
void consumer_receive(struct consumer *c);

// Whether every partition was read up to the high watermark that its last answer named.
bool consumer_at_end(const struct consumer *c);

void consumer_close(struct consumer *c);

#endif
