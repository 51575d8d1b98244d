// What the cleaner decides: which part of a log, which log, which segments together. Pure: numbers in,
// numbers out.
#ifndef STORAGE_CLEANER_DECIDE_H
#define STORAGE_CLEANER_DECIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cleaner_segment {
    int64_t base_offset, size_bytes;
    int64_t largest_timestamp_ms; // of its records, or of the file when they have none; for min_lag_ms
    int64_t first_timestamp_ms;   // of its first batch, or -1; for max_lag_ms
    int64_t index_bytes, time_index_bytes; // of its index files; for groups
};

struct cleaner_view {
    const struct cleaner_segment *segments; // oldest first, the last one is active
    size_t count;
    int64_t log_start_offset, end_offset, last_stable_offset;
    int64_t cleaned_to; // where the last round ended; 0: never cleaned
    int64_t min_lag_ms, max_lag_ms, now_ms;
};

struct cleaner_range {
    int64_t first_dirty;       // where this round begins
    int64_t first_uncleanable; // a segment's base: the round ends in front of it
    int64_t clean_bytes, cleanable_bytes;
    int64_t overdue_ms; // for so long the oldest dirty record has been past max.compaction.lag.ms
};

// Kafka's rules: dirty is what lies behind the last round's end; not cleanable are the active segment, what
// is not stable, and segments with a record younger than min.compaction.lag.ms. Works also when `cleaned_to`
// lies outside the log: then everything is dirty.
void cleaner_range(const struct cleaner_view *v, struct cleaner_range *out);

// The part of the bytes up to first_uncleanable that is dirty, from 0 to 1.
double cleaner_dirty_ratio(const struct cleaner_range *r);

// Whether a log with this range is worth a round.
bool cleaner_is_due(const struct cleaner_range *r, double min_dirty_ratio);

// How many of the first of these segments are cleaned into one: as many as stay within segment.bytes,
// segment.index.bytes and what an index can express. At least 1. `end_offset` is the end of the last one's
// offsets.
size_t cleaner_group(const struct cleaner_segment *segments, size_t count, int64_t end_offset,
                     int64_t segment_bytes, int64_t index_bytes);

#endif
