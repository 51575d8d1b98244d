// The decision of retention: pure. How many of the oldest segments go.
#ifndef STORAGE_LOG_RETENTION_H
#define STORAGE_LOG_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retention_segment {
    int64_t base_offset, end_offset; // end: the next one's base, or the log's end
    int64_t size_bytes;
    int64_t largest_timestamp_ms; // of its records, or of the file when they have none
};

struct retention_view {
    const struct retention_segment *segments; // oldest first; the last one is active
    size_t count;
    int64_t log_start_offset, high_watermark, now_ms;
    bool cleanup_delete;
    int64_t retention_ms, retention_bytes; // -1: no limit
};

struct retention_reason {
    size_t start_offset, size, time; // how many go for which reason
};

// Kafka's rules: below the log start always; with cleanup.policy=delete also what exceeds retention.bytes,
// and what is older than retention.ms. Nothing at or above the high watermark, and never an empty active
// segment.
size_t retention_decide(const struct retention_view *v, struct retention_reason *reason);

#endif
