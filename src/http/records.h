// What requests that read records say: which, from where, how shown.
#ifndef HTTP_RECORDS_H
#define HTTP_RECORDS_H

#include "base/buffer.h"
#include "http/filter.h"

struct record_place {
    enum { PLACE_END, PLACE_EARLIEST, PLACE_OFFSET, PLACE_TIME } kind;
    int64_t value;
};

struct record_scope {
    struct str topic;
    int32_t topic_partitions; // of the topic in all
    int32_t *partitions;      // the ones asked for, all unless some are named
    int32_t count;
    bool named; // the request has named them: it is about all of these or none
    bool committed;
    struct record_place from;
};

struct record_range {
    int32_t partition;
    int64_t at, start, end; // start <= at <= end
    int16_t error;          // it is off line: start and end are unknown, and so is `at` where it is -1
};

// All of them: false when the request is answered.
bool http_read_view(struct http_request *r, struct record_view *view, int64_t most_bytes);
bool http_read_filter(struct http_request *r, struct record_filter *filter);
bool http_read_scope(struct http_request *r, struct record_scope *scope);
// out has room for scope->count. What is off line is an error where it is named, or where nothing else is
// left.
bool http_find_places(struct http_request *r, const struct record_scope *scope, struct record_range *out);

// The partition answers: it has start <= end, and `of_time` (-1: none) is the first offset of the time that
// `from` may name. It goes on at range->at, which is -1 where nothing was read of it yet: then `from` says
// where it begins. Pure.
void http_range_found(struct record_range *range, const struct record_place *from, int64_t start, int64_t end,
                      int64_t of_time);

// Reads "0-17.3-25.4-x" (terminated) into the ranges' `at`, for their partitions in their order. x: it was
// off line, and stays where it is; `from_start`: it begins at its start. False: it is something else.
bool http_read_positions(struct str text, struct record_range *ranges, int32_t count, bool from_start);
// Appends one of those.
void http_say_position(struct buffer *out, int32_t partition, int64_t at);

// Of the array partitionsMissing: what is off line, and why.
void http_missing_add(json_t *missing, struct arena *arena, struct str topic, int32_t partition,
                      int16_t error);

#endif
