// Where partitions begin and end.
#ifndef HTTP_OFFSETS_H
#define HTTP_OFFSETS_H

#include "http/request.h"

#define OFFSET_LATEST   (-1) // of ListOffsets
#define OFFSET_EARLIEST (-2)

// What one partition answers.
struct http_offset {
    int64_t offset; // -1: there is none, or it could not be had
    int16_t error;  // why not, a code of the protocol
};

// The offsets of the partitions 0 .. count-1, in the request's arena. NULL when the request is answered
// already.
struct http_offset *http_offsets(struct http_request *r, struct str topic, int32_t count, int64_t timestamp);
// The same; `committed`: the latest one is the last stable offset.
struct http_offset *http_offsets_committed(struct http_request *r, struct str topic, int32_t count,
                                           int64_t timestamp, bool committed);

// Nobody serves the partition just now, says this code.
bool http_is_off_line(int16_t code);
// In words what the error of a partition means, in the arena: "orders-3 is off line: ...".
struct str http_partition_error(struct arena *arena, struct str topic, int32_t partition, int16_t code);
// Answers with it. Returns false when the code is E_NONE, and nothing is answered then.
bool http_fail_partition(struct http_request *r, struct str topic, int32_t partition, int16_t code);

// The topic (a null view: all). The caller looks at each topic's own error. False when the request is
// answered already.
struct metadata_response;
bool http_metadata(struct http_request *r, struct str name, struct metadata_response *response);
// Answers with the topic's error, by its name. Returns false when it has none, and nothing is answered then.
struct metadata_response_metadata_response_topic;
bool http_fail_topic(struct http_request *r, const struct metadata_response_metadata_response_topic *topic);

#endif
