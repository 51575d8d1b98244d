// The command line of odradek-load: one mode and its options.
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "batch.h"

struct options {
    const char *host;
    int port;
    const char *topic;
    int partitions;
    int connections;
    size_t batch_bytes;  // of one record batch, before compression
    size_t record_bytes; // of one record's value
    size_t key_bytes;    // of its key; 0: it has none. Producers of keyed records reach every partition
    int acks;
    bool idempotent;
    int depth;              // requests in flight per connection
    int64_t bytes;          // to produce; 0: no limit
    int64_t rate;           // stream: bytes a second
    double seconds;         // 0: no limit
    int64_t count;          // latency: measured records; idle: connections
    int64_t warmup;         // latency: records before those
    int64_t pause_us;       // latency: between two records
    int fetch_bytes;        // max.partition.fetch.bytes
    int send_buffer;        // produce: SO_SNDBUF; 0: the kernel's choice
    int receive_buffer;     // fetch: SO_RCVBUF; 0: the kernel's choice
    double timeout_seconds; // give up after this
    const char *file;       // limits: the file that is written or served
    bool bare;              // the peer is one of the limits: no topic to create or look up
    bool drop;              // fetch: drop the payload in the kernel instead of reading it
    enum batch_compression compression;
};

// Parses `--name value` pairs from argv[0..]. On an error writes one line to standard error and exits with 2.
void options_parse(struct options *o, int argc, char **argv);

// Writes one line, "odradek-load: ...", to standard error and exits with status 1.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
