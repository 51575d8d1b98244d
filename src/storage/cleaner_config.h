// What the cleaner needs to know of the broker's configuration. A plain value: copy it.
#ifndef STORAGE_CLEANER_CONFIG_H
#define STORAGE_CLEANER_CONFIG_H

#include <stdint.h>

// How logs are compacted: log.cleaner.*, over all threads.
struct log_cleaner_config {
    int threads;                // log.cleaner.threads; 0: nothing is compacted (log.cleaner.enable=false)
    int64_t keys_bytes;         // log.cleaner.dedupe.buffer.size; taken while a log is compacted
    double load_factor;         // log.cleaner.io.buffer.load.factor
    int64_t io_buffer_bytes;    // log.cleaner.io.buffer.size
    double io_bytes_per_second; // log.cleaner.io.max.bytes.per.second
    int64_t backoff_ms;         // log.cleaner.backoff.ms
};

#endif
