// Record batches of magic 2, as they lie in a produce request, a segment file or a fetch response.
//
// Everything that reads takes bytes of unknown quality: lengths are checked against the bytes at hand, and
// what does not fit is an error, never an assertion. Views that come out show the caller's bytes.
// No state is shared: any thread.
#ifndef STORAGE_BATCH_H
#define STORAGE_BATCH_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "storage/compress.h"

// Where the fields of a batch lie. The CRC covers everything from the attributes on.
enum {
    BATCH_BASE_OFFSET_AT = 0,        // int64
    BATCH_LENGTH_AT = 8,             // int32: bytes after this field
    BATCH_LEADER_EPOCH_AT = 12,      // int32
    BATCH_MAGIC_AT = 16,             // int8
    BATCH_CRC_AT = 17,               // uint32
    BATCH_ATTRIBUTES_AT = 21,        // int16
    BATCH_LAST_OFFSET_DELTA_AT = 23, // int32
    BATCH_BASE_TIMESTAMP_AT = 27,    // int64, ms
    BATCH_MAX_TIMESTAMP_AT = 35,     // int64, ms
    BATCH_PRODUCER_ID_AT = 43,       // int64
    BATCH_PRODUCER_EPOCH_AT = 51,    // int16
    BATCH_BASE_SEQUENCE_AT = 53,     // int32
    BATCH_COUNT_AT = 57,             // int32
    BATCH_HEADER_BYTES = 61,         // the records follow
    BATCH_PREFIX_BYTES = 12, // offset and length: what stands in front of the bytes that length counts
    BATCH_MAGIC = 2,         // the only one that is written
};

enum {
    BATCH_COMPRESSION_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08, // every record's time is the batch's max timestamp
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40, // the base timestamp is the time from which tombstones may go
    BATCH_ATTRIBUTES_KNOWN = 0x7f,
};

#define BATCH_NO_PRODUCER_ID    (-1)
#define BATCH_NO_PRODUCER_EPOCH (-1)
#define BATCH_NO_SEQUENCE       (-1)
#define BATCH_NO_TIMESTAMP      (-1)
#define BATCH_NO_LEADER_EPOCH   (-1)

struct batch_header {
    int64_t base_offset;
    int32_t length;
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    uint16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp_ms;
    int64_t max_timestamp_ms;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t count;
};

// Decodes the header at the start of `in`; the records need not be there. 0, or
// ERR_TRUNCATED    `in` is shorter than a header,
// ERR_UNSUPPORTED  magic 0 or 1 (out->base_offset, length and magic are set),
// ERR_CORRUPT      another magic, or a length or base offset that no batch has.
// Does not check the CRC, the count or the attributes.
int batch_header_read(struct bytes in, struct batch_header *out);

// Writes all 61 bytes as they stand in `h`, the CRC included.
void batch_header_write(uint8_t at[BATCH_HEADER_BYTES], const struct batch_header *h);

// The bytes of the whole batch (of a header that batch_header_read accepted).
static inline size_t batch_size(const struct batch_header *h)
{
    return BATCH_PREFIX_BYTES + (size_t)(uint32_t)h->length;
}

static inline int64_t batch_last_offset(const struct batch_header *h)
{
    return (int64_t)((uint64_t)h->base_offset + (uint64_t)(int64_t)h->last_offset_delta);
}

// Sequences wrap from 2^31-1 to 0.
static inline int32_t batch_sequence_add(int32_t sequence, int32_t increment)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)increment) & 0x7fffffff);
}

// BATCH_NO_SEQUENCE when the batch has none.
static inline int32_t batch_last_sequence(const struct batch_header *h)
{
    return h->base_sequence < 0 ? BATCH_NO_SEQUENCE
                                : batch_sequence_add(h->base_sequence, h->last_offset_delta);
}

static inline enum compression batch_compression(const struct batch_header *h)
{
    return (enum compression)(h->attributes & BATCH_COMPRESSION_MASK); // 5 to 7 are no compression: check
}

static inline bool batch_is_log_append_time(const struct batch_header *h)
{
    return h->attributes & BATCH_LOG_APPEND_TIME;
}

static inline bool batch_is_transactional(const struct batch_header *h)
{
    return h->attributes & BATCH_TRANSACTIONAL;
}

static inline bool batch_is_control(const struct batch_header *h)
{
    return h->attributes & BATCH_CONTROL;
}

static inline bool batch_has_delete_horizon(const struct batch_header *h)
{
    return h->attributes & BATCH_DELETE_HORIZON;
}

static inline bool batch_has_producer(const struct batch_header *h)
{
    return h->producer_id > BATCH_NO_PRODUCER_ID;
}

// Whether the CRC is the one of the bytes. `batch` is the whole batch.
bool batch_crc_ok(struct bytes batch);

// Set fields of a batch where it lies. Base offset and leader epoch stand outside the CRC: no more to do.
static inline void batch_set_base_offset(uint8_t *batch, int64_t base_offset)
{
    store_be64(batch + BATCH_BASE_OFFSET_AT, (uint64_t)base_offset);
}

static inline void batch_set_leader_epoch(uint8_t *batch, int32_t epoch)
{
    store_be32(batch + BATCH_LEADER_EPOCH_AT, (uint32_t)epoch);
}

// Sets the max timestamp and its type, and the CRC if one of them changed. `size` is the whole batch's.
void batch_set_max_timestamp(uint8_t *batch, size_t size, int64_t max_timestamp_ms, bool log_append_time);

// Walks the batches of a buffer.
struct batch_cursor {
    const uint8_t *at, *end;
};

static inline struct batch_cursor batch_cursor(struct bytes in)
{
    return (struct batch_cursor){in.data, bytes_end(in)};
}

// 1 and the next batch; 0 at the end; ERR_TRUNCATED when what is left is the beginning of a batch (a fetch
// may end so, and a log after a crash); ERR_UNSUPPORTED and ERR_CORRUPT as batch_header_read. On an error the
// cursor stays where it is. The CRC is not checked.
int batch_cursor_next(struct batch_cursor *c, struct batch_header *header, struct bytes *batch);

// The records of a whole batch, decompressed into `scratch` (cleared first) if they are compressed, at most
// limit_bytes of them. *body shows the batch or the scratch. 0 or compress.h's errors.
int batch_body(const struct batch_header *h, struct bytes batch, size_t limit_bytes, struct buffer *scratch,
               struct bytes *body);

struct record {
    int8_t attributes;
    int32_t offset_delta;
    int64_t timestamp_delta_ms;
    struct bytes key, value; // data NULL: null
    int32_t header_count;
    struct bytes headers; // the encoded headers; walk them with record_header_next
};

struct record_cursor {
    const uint8_t *at, *end;
    int32_t left;
};

static inline struct record_cursor record_cursor(struct bytes body, int32_t count)
{
    return (struct record_cursor){body.data, bytes_end(body), count};
}

// 1 and the next record; 0 when `count` records were read and nothing follows them; ERR_CORRUPT when a
// record's lengths do not add up (its headers included) or bytes follow the last one.
int record_cursor_next(struct record_cursor *c, struct record *out);

struct record_header {
    struct str key;
    struct bytes value; // data NULL: null
};

// Takes the first header off `*headers`: 1 and the header, 0 when none is left. Only for the headers of a
// record that record_cursor_next returned.
int record_header_next(struct bytes *headers, struct record_header *out);

// A record's time: the batch's max timestamp with LogAppendTime, its own otherwise.
static inline int64_t record_timestamp_ms(const struct batch_header *h, const struct record *r)
{
    return batch_is_log_append_time(h)
               ? h->max_timestamp_ms
               : (int64_t)((uint64_t)h->base_timestamp_ms + (uint64_t)r->timestamp_delta_ms);
}

static inline int64_t record_offset(const struct batch_header *h, const struct record *r)
{
    return (int64_t)((uint64_t)h->base_offset + (uint64_t)(int64_t)r->offset_delta);
}

// The type in a control record's key. Others may come with later versions: skip what is not known.
enum control_type {
    CONTROL_ABORT = 0,
    CONTROL_COMMIT = 1,
    CONTROL_LEADER_CHANGE = 2,
    CONTROL_SNAPSHOT_HEADER = 3,
    CONTROL_SNAPSHOT_FOOTER = 4,
    CONTROL_KRAFT_VERSION = 5,
    CONTROL_KRAFT_VOTERS = 6,
};

#define CONTROL_KEY_BYTES 4 // int16 version, int16 type

// ERR_CORRUPT when the key is no control key. *version may be NULL.
int control_key_read(struct bytes key, int16_t *version, int16_t *type);
void control_key_write(uint8_t at[CONTROL_KEY_BYTES], int16_t type); // version 0

// What a new batch says about itself. BATCH_OPTIONS has no producer, CreateTime and no compression.
struct batch_options {
    int64_t base_offset;
    int32_t leader_epoch;
    enum compression compression;
    int compression_level; // COMPRESSION_LEVEL_DEFAULT for the codec's own
    uint16_t attributes;   // BATCH_TRANSACTIONAL, BATCH_CONTROL, BATCH_LOG_APPEND_TIME, BATCH_DELETE_HORIZON
    int64_t log_append_time_ms; // the max timestamp with BATCH_LOG_APPEND_TIME
    int64_t delete_horizon_ms;  // the base timestamp with BATCH_DELETE_HORIZON
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
};

#define BATCH_OPTIONS                                                       \
    ((struct batch_options){.leader_epoch = BATCH_NO_LEADER_EPOCH,          \
                            .compression_level = COMPRESSION_LEVEL_DEFAULT, \
                            .producer_id = BATCH_NO_PRODUCER_ID,            \
                            .producer_epoch = BATCH_NO_PRODUCER_EPOCH,      \
                            .base_sequence = BATCH_NO_SEQUENCE})

// Records in, one batch out. Offsets count from base_offset; the first record's time is the base timestamp.
struct batch_builder {
    struct batch_options options;
    struct buffer records; // encoded, behind room for the header; not compressed yet
    struct buffer packed;  // the compressed batch
    int32_t count, last_offset_delta;
    int64_t base_timestamp_ms, max_timestamp_ms;
    int error; // the first that happened; batch_builder_finish returns it
};

// A builder that is all zeros, or one that made a batch before and keeps its memory for the next.
void batch_builder_init(struct batch_builder *b, const struct batch_options *options);

// Adds a record with the next offset delta. The bytes are copied. `headers` may be NULL when there are none.
void batch_builder_add(struct batch_builder *b, int64_t timestamp_ms, struct bytes key, struct bytes value,
                       const struct record_header *headers, size_t header_count);

// The same with an offset delta above the last one's (compaction leaves gaps); otherwise finish says
// ERR_INVALID.
void batch_builder_add_at(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms,
                          struct bytes key, struct bytes value, const struct record_header *headers,
                          size_t header_count);

// Adds a record read from another batch, with a new offset delta and time; its headers are copied as they are
// encoded.
void batch_builder_copy(struct batch_builder *b, int32_t offset_delta, int64_t timestamp_ms,
                        const struct record *r);

// Adds a control record of this type with this (version-prefixed) value; options has BATCH_CONTROL.
void batch_builder_add_control(struct batch_builder *b, int64_t timestamp_ms, int16_t type,
                               struct bytes value);

// Bytes so far, before compression.
size_t batch_builder_size(const struct batch_builder *b);

// The finished batch; it shows the builder's memory until init or free. ERR_INVALID without records,
// ERR_NOMEM, ERR_LIMIT above 2^31-1 bytes.
int batch_builder_finish(struct batch_builder *b, struct bytes *batch);

void batch_builder_free(struct batch_builder *b);

#endif
