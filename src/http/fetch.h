// Records of partitions: fetched, and walked through one by one.
#ifndef HTTP_FETCH_H
#define HTTP_FETCH_H

#include "base/buffer.h"
#include "http/request.h"
#include "storage/batch.h"

struct found_record {
    int32_t partition;
    int64_t offset, timestamp_ms;
    bool append_time;
    struct bytes key, value;
    int32_t header_count;
    struct bytes headers; // encoded (record_header_next)
    size_t size_bytes;    // of key, value and headers
};

struct fetch_wanted {
    int32_t partition;
    int64_t offset;
    int32_t max_bytes;

    // The answer.
    int16_t error;
    struct fetch_response_partition_data *got; // NULL: nothing was said of it
};

struct fetch_params {
    struct str topic;
    int32_t max_bytes;
    int32_t max_wait_ms; // until there is a byte; 0: not at all
    bool committed;      // leaves open transactions out; records_walk, those that were aborted
};

// False when the request is answered: the broker could not be asked. What comes lies in the request's arena.
bool http_fetch(struct http_request *r, const struct fetch_params *p, struct fetch_wanted *wanted,
                int32_t count);

// Walks the records with from <= offset < to; `each` says false to stop. *next: where to go on, past what was
// walked; `from` where there was nothing. *unpacked counts bytes that came out of a compression. 0, or an
// error where a batch cannot be read: *next is behind it.
struct records_walk {
    const struct fetch_response_partition_data *data;
    int64_t from, to;
    bool committed;
    size_t limit_bytes; // of one batch, unpacked
    bool (*each)(void *context, const struct found_record *record);
    void *context;

    // Results.
    int64_t next;
    size_t unpacked_bytes;
};
int records_walk(struct records_walk *w);

// The record with this offset, or the first one behind it: `each` gets it, where there is one. Returns the
// partition's error.
int16_t http_first_record(struct http_request *r, struct str topic, int32_t partition, int64_t offset,
                          bool (*each)(void *context, const struct found_record *record), void *context);

#endif
