// What a partition knows of its producers: sequences of the last five batches, epochs, open transactions.
// Kafka's rules (idempotence KIP-98, retained batches, fencing), kept in memory and in
// <log>/<offset>.snapshot files. Not thread-safe: the log's lock.
//
// An append goes through a plan: producer_plan_add judges each batch against the state as the batches before
// it leave it, without changing what others see; then commit, or abort.
#ifndef STORAGE_PRODUCER_STATE_H
#define STORAGE_PRODUCER_STATE_H

#include "base/map.h"
#include "storage/batch.h"
#include "storage/log.h"

#define PRODUCER_BATCHES 5 // retained a producer

// Protocol error codes that an append may be refused with (protocol/errors.h has them all).
enum log_append_error {
    LOG_ERROR_RECORD_LIST_TOO_LARGE = 18,
    LOG_ERROR_INVALID_REQUEST = 42,
    LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45,
    LOG_ERROR_INVALID_PRODUCER_EPOCH = 47,
    LOG_ERROR_INVALID_TXN_STATE = 48,
    LOG_ERROR_TRANSACTION_COORDINATOR_FENCED = 52,
};

struct producer_batch {
    int64_t last_offset, timestamp_ms;
    int32_t last_sequence, offset_delta;
};

struct producer_entry {
    int64_t producer_id;
    int64_t last_timestamp_ms;        // or LOG_NO_TIMESTAMP
    int64_t transaction_first_offset; // or LOG_NO_OFFSET
    int32_t coordinator_epoch;        // or -1
    int16_t epoch;                    // or -1
    uint8_t batch_count;
    struct producer_batch batches[PRODUCER_BATCHES]; // oldest first
};

struct transaction {
    int64_t first_offset, producer_id;
    int64_t last_offset; // of its marker; LOG_NO_OFFSET while it is open
};

struct transactions { // by first offset
    struct transaction *items;
    uint32_t count, capacity;
};

// The coordinator was asked about a producer's transaction, and nothing of it has been appended since.
struct producer_verification {
    int64_t producer_id, guard, since_ms;
    int32_t lowest_sequence; // of the batches that are to follow: a later one does not come in before it
    int16_t epoch;
    bool raises_epoch; // of transaction version 2
};

struct producer_state {
    struct map entries;       // producer id to struct producer_entry
    struct map verifications; // producer id to struct producer_verification; not in snapshots
    int64_t last_guard;
    struct transactions open;
    struct transactions unreplicated; // ended by a marker that is not below the high watermark yet
    int64_t end_offset;               // the state is the one after every record below it
    int64_t snapshot_offset;          // of the newest snapshot file
};

void producer_state_init(struct producer_state *s, int64_t offset);
void producer_state_free(struct producer_state *s);
void producer_state_clear(struct producer_state *s, int64_t offset); // as freshly made

// The first offset that is not decided yet, or LOG_NO_OFFSET.
int64_t producer_state_first_unstable(const struct producer_state *s);

// Begins a verification, or goes on with the one that is under way, whose guard is the same. 0, ERR_NOMEM, or
// the error that a producer gets which another one has fenced here.
int producer_state_verify(struct producer_state *s, const struct log_verification *v, int64_t now_ms,
                          int64_t *guard);

// Transactions whose marker lies below `offset` hold back nothing any more.
void producer_state_replicated(struct producer_state *s, int64_t offset);

void producer_state_expire(struct producer_state *s, int64_t now_ms, int64_t expiration_ms);

// ---------------------------------------------------------------- a plan

struct transaction_end {
    int64_t producer_id, first_offset, last_offset, last_stable_offset;
    bool aborted;
};

struct producer_update {
    struct producer_entry *live; // in the state's map
    struct producer_entry next;  // what it becomes
    int16_t original_epoch;
    bool fresh;         // live was put there by this plan
    bool transactional; // ends a verification
};

struct transaction_event {
    struct transaction_end end; // last_offset LOG_NO_OFFSET: the transaction starts
};

// How an append is to be judged.
struct producer_judgement {
    enum log_origin origin;
    const char *name; // the partition's, for messages
    bool verify;      // a transaction's first batch needs its guard
    int64_t guard;
    int16_t marker_version;
};

struct producer_plan {
    struct producer_state *state;
    struct producer_update *updates;
    struct transaction_event *events;
    size_t update_count, update_capacity, event_count, event_capacity;
    struct producer_update first_update; // so that an ordinary append allocates nothing
    struct transaction_event first_event;
};

void producer_plan_init(struct producer_plan *plan, struct producer_state *state);

// Judges one batch whose offsets are assigned.
// 0; 1 when the batch is a duplicate (info has the original's offsets and time; nothing is planned);
// ERR_INVALID with info->error_code and message; ERR_CORRUPT for a control batch that is none; ERR_NOMEM.
int producer_plan_add(struct producer_plan *plan, const struct batch_header *h, struct bytes batch,
                      const struct producer_judgement *j, struct log_append_info *info);

// Plans a batch that goes on where its producer stands: known already, of its epoch, next in sequence,
// outside of any transaction. False: it is none of these; nothing is planned, and it needs a plan of its own.
bool producer_plan_add_next(struct producer_plan *plan, const struct batch_header *h);

// Transactions that the plan ends, in order, with the last stable offset that the transaction index records.
size_t producer_plan_ended(const struct producer_plan *plan, struct transaction_end *out, size_t capacity);

// Cannot fail.
void producer_plan_commit(struct producer_plan *plan, int64_t end_offset);
void producer_plan_abort(struct producer_plan *plan);

// ---------------------------------------------------------------- snapshot files

// The bytes of <offset>.snapshot.
int producer_snapshot_encode(const struct producer_state *s, struct buffer *out);

// Replaces the state by a snapshot's, without producers that expired. ERR_CORRUPT leaves it cleared.
int producer_snapshot_decode(struct bytes in, int64_t offset, int64_t now_ms, int64_t expiration_ms,
                             struct producer_state *s);

#endif
