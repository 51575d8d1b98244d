// Requests as bytes, and the few response fields that the load generator looks at. All in flexible versions.
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/uuid.h"
#include "net.h"

enum api {
    API_PRODUCE = 0,
    API_FETCH = 1,
    API_METADATA = 3,
    API_API_VERSIONS = 18,
    API_CREATE_TOPICS = 19,
    API_INIT_PRODUCER_ID = 22,
};

enum api_version {
    VERSION_PRODUCE = 13,
    VERSION_FETCH = 17,
    VERSION_METADATA = 12,
    VERSION_API_VERSIONS = 3,
    VERSION_CREATE_TOPICS = 7,
    VERSION_INIT_PRODUCER_ID = 5,
};

// The protocol's error codes that are not simply fatal here.
enum {
    PROTOCOL_NONE = 0,
    PROTOCOL_OFFSET_OUT_OF_RANGE = 1,
    PROTOCOL_UNKNOWN_TOPIC = 3,
    PROTOCOL_LEADER_NOT_AVAILABLE = 5,
    PROTOCOL_NOT_LEADER = 6,
    PROTOCOL_COORDINATOR_LOADING = 14,
    PROTOCOL_TOPIC_EXISTS = 36,
    PROTOCOL_UNKNOWN_TOPIC_ID = 100,
};

// Where the frame's own layout puts things; every request here has the same client id.
#define FRAME_CLIENT_ID      "odradek-load"
#define FRAME_AT_API_KEY     4
#define FRAME_AT_CORRELATION 8
#define FRAME_HEADER_BYTES   (4 + 2 + 2 + 4 + 2 + (sizeof FRAME_CLIENT_ID - 1) + 1)

// A request: begin, append the body, end. `behind` bytes follow that the caller sends itself.
void frame_begin(struct buffer *b, enum api key, enum api_version version, int32_t correlation);
void frame_end(struct buffer *b, size_t behind);

void frame_int8(struct buffer *b, int8_t v);
void frame_int16(struct buffer *b, int16_t v);
void frame_int32(struct buffer *b, int32_t v);
void frame_int64(struct buffer *b, int64_t v);
void frame_uuid(struct buffer *b, const struct uuid *id);
void frame_count(struct buffer *b, uint32_t n);        // of a compact array
void frame_string(struct buffer *b, const char *text); // compact; NULL is null
void frame_no_tags(struct buffer *b);

// Everything of a Produce request in front of the batch, with the frame's length; behind the batch come
// FRAME_PRODUCE_TAIL_BYTES zero bytes (empty tagged fields).
#define FRAME_PRODUCE_TAIL_BYTES 3
void frame_produce(struct buffer *b, int32_t correlation, int16_t acks, const struct uuid *topic,
                   int32_t partition, size_t batch_bytes);

struct fetch_position {
    int32_t partition;
    int64_t offset;         // next to read
    int64_t high_watermark; // as last seen; -1 before
};

struct fetch_settings {
    int32_t max_wait_ms, min_bytes, max_bytes, partition_max_bytes;
};

void frame_fetch(struct buffer *b, int32_t correlation, const struct fetch_settings *settings,
                 int32_t session_id, int32_t session_epoch, const struct uuid *topic,
                 const struct fetch_position *positions, int count);

void frame_api_versions(struct buffer *b, int32_t correlation);

// Reading a response's fields, in order. `left` is what of the frame is not yet read.
struct response {
    struct reader *reader;
    size_t left;
    int32_t correlation;
};

// The next response's length and header (with tagged fields unless it is ApiVersions).
void response_begin(struct response *r, struct reader *reader, bool header_has_tags);
int8_t response_int8(struct response *r);
int16_t response_int16(struct response *r);
int32_t response_int32(struct response *r);
int64_t response_int64(struct response *r);
uint32_t response_uvarint(struct response *r);
uint32_t response_count(struct response *r); // of a compact array; a null one counts 0
void response_skip(struct response *r, size_t n);
void response_skip_string(struct response *r); // compact
void response_skip_tags(struct response *r);
void response_uuid(struct response *r, struct uuid *out);
void response_copy(struct response *r, void *to, size_t n);
void response_end(struct response *r); // drops what is left

#endif
