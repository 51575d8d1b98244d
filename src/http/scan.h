// Browsing a topic: from places on, in either direction, through a filter, by time over its partitions;
// within bounds, and with places from which to go on.
#ifndef HTTP_SCAN_H
#define HTTP_SCAN_H

#include "http/filter.h"

#define SCAN_BYTES (16 << 20) // fetched and unpacked, of one request
#define SCAN_MS    1000

// A record that is kept; a copy.
struct kept_record {
    struct found_record record;
    struct kept_record *next;
};

struct scan_part {
    int32_t partition;
    int64_t at;         // forward: the next to look at; backward: the one behind the next to look at
    int64_t start, end; // the partition's
    int16_t error;      // it is off line, and `at` is where it was left; -1: nowhere yet
    bool done;

    // Found, and not given out yet, in the direction's order.
    struct kept_record *first, **last;
    int32_t found;
    int64_t window; // backward: how many offsets to look at next
};

enum scan_stop { SCAN_LIMIT, SCAN_BYTES_USED, SCAN_TIME_USED, SCAN_END };

struct scan {
    struct http_request *request;
    struct str topic;
    const struct record_filter *filter;
    bool backward, committed;
    bool may_miss; // what is off line is left out, as long as something is left
    int32_t limit;
    struct scan_part *parts;
    int32_t count;

    int32_t looks;

    // Results: `found` records in the direction's order. Where to go on is in the parts' `at`.
    struct kept_record *first, **last;
    int32_t found;
    enum scan_stop stop;
    uint64_t scanned_records, scanned_bytes;
};

// False when the request is answered.
bool scan_run(struct scan *s);

#endif
