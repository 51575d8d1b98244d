// What a broker checks of the `records` field of a produce request before it appends it, and what it answers.
// The error codes and texts are Apache Kafka 4.3.1's. Pure: no clock, no I/O. Any thread, no lock.
#ifndef STORAGE_BATCH_VALIDATE_H
#define STORAGE_BATCH_VALIDATE_H

#include "base/arena.h"
#include "protocol/errors.h"
#include "storage/batch.h"

enum batch_origin {
    BATCH_ORIGIN_CLIENT,      // a produce request
    BATCH_ORIGIN_COORDINATOR, // our own coordinators: control batches allowed
    BATCH_ORIGIN_INTERNAL,    // raft, replication, tools: control batches allowed, any size
};

// A compressed batch may hold at most so many bytes of records (a batch of 1 MB can be made to unfold into
// gigabytes): INVALID_RECORD above it.
#define BATCH_UNPACKED_MAX_BYTES ((size_t)256 << 20)

// So many record errors are listed in a verdict; the text still counts all.
#define BATCH_RECORD_ERRORS_MAX 10000

// How much CPU the caller will spend at most, over several batches if it likes; a thread that others wait for
// has such a budget. What a batch costs is guessed from its sizes and taken off.
struct batch_budget {
    int64_t left_ns;
};

// A topic's settings and the request's facts. BATCH_RULES has Kafka's defaults.
struct batch_rules {
    struct str topic; // with partition, named in messages
    int32_t partition;
    int16_t produce_version;      // of the request; zstd needs 7. For other origins: the newest
    enum batch_origin origin;     //
    int32_t max_message_bytes;    // max.message.bytes
    bool keep_compression;        // compression.type=producer
    enum compression compression; // the topic's, unless keep_compression
    int compression_level;        // of that type
    bool log_append_time;         // message.timestamp.type=LogAppendTime
    bool compacted;               // cleanup.policy has compact: records need keys
    int64_t before_max_ms;        // message.timestamp.before.max.ms
    int64_t after_max_ms;         // message.timestamp.after.max.ms
    size_t unpacked_max_bytes;    // BATCH_UNPACKED_MAX_BYTES
    struct batch_budget *budget;  // NULL: whatever it costs
};

#define BATCH_RULES                                                       \
    ((struct batch_rules){.produce_version = INT16_MAX,                   \
                          .max_message_bytes = 1048588,                   \
                          .keep_compression = true,                       \
                          .compression_level = COMPRESSION_LEVEL_DEFAULT, \
                          .before_max_ms = INT64_MAX,                     \
                          .after_max_ms = 3600000,                        \
                          .unpacked_max_bytes = BATCH_UNPACKED_MAX_BYTES})

// The first look at one `records` field, before topics, partitions and rights are looked up: Kafka takes it
// then, and one kind of damage fails the whole request.
enum batch_look_scope {
    BATCH_LOOK_GOOD,      // go on; batch_validate does the rest
    BATCH_LOOK_PARTITION, // this partition answers with the error, once it is known to exist
    BATCH_LOOK_REQUEST,   // every partition of the request answers with the error and the message
};

struct batch_look {
    enum batch_look_scope scope;
    int16_t error;      // enum error_code
    struct str message; // the response's ErrorMessage, in the arena; null where Kafka has none
    bool transactional; // the first batch is: the request needs a transactional id (and the right to it)
};

// 0 or ERR_NOMEM. records.data NULL: the field was null.
int batch_first_look(struct bytes records, int16_t produce_version, struct arena *arena,
                     struct batch_look *look);

struct batch_record_error {
    int32_t index;
    struct str message;
};

struct batch_verdict {
    int16_t error;          // enum error_code; E_NONE: append `batch`
    bool reports_log_start; // with an error: the answer carries the partition's log start offset, else -1
    struct str message;     // the response's ErrorMessage; null where Kafka has none
    const struct batch_record_error *record_errors;
    size_t record_error_count;

    // When accepted:
    uint8_t
        *batch; // the bytes to append: in the request where nothing had to be rewritten, else in `rewrite`
    size_t size;
    struct batch_header
        header; // as it stands in `batch`: last offset delta, max timestamp, producer fields, count
    bool rewritten;
};

// Judges `size` bytes at `records` (NULL: the field was null), which may be changed where they lie
// (LogAppendTime, a wrong max timestamp). Looks at them as batch_first_look does, too. Texts and record
// errors come from the arena, a rewritten batch from `rewrite` (cleared first; the caller frees it once the
// batch is written). The base offset and the leader epoch stay to be set. The batch's max timestamp stands
// for its last offset, as in Kafka's time index. Sequences and epochs are the producer state's to judge.
// Returns 0 with a verdict, or ERR_NOMEM; or ERR_AGAIN when it would take more than the budget: nothing has
// changed, and the same call without one does it.
//
// Where a client's records contradict themselves in a way that Kafka 4.3.1 lets pass (offset deltas that do
// not count up in an uncompressed batch, a record's length that is wrong in a compressed one), the answer is
// INVALID_RECORD.
int batch_validate(uint8_t *records, size_t size, const struct batch_rules *rules, int64_t now_ms,
                   struct arena *arena, struct buffer *rewrite, struct batch_verdict *verdict);

#endif
