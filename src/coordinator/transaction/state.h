// The state of a shard of transactions. Private to transaction/.
#ifndef COORDINATOR_TRANSACTION_STATE_H
#define COORDINATOR_TRANSACTION_STATE_H

#include "base/map.h"
#include "coordinator/transaction/transaction.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

// As the records number them.
enum txn_state {
    TXN_EMPTY,
    TXN_ONGOING,
    TXN_PREPARE_COMMIT,
    TXN_PREPARE_ABORT,
    TXN_COMPLETE_COMMIT,
    TXN_COMPLETE_ABORT,
    TXN_STATES
};

struct txn_topics { // by name, ascending
    struct transaction_topic *items;
    uint32_t count, capacity;
};

// What a record says, and the last epoch, which no record does.
struct txn_body {
    int64_t producer_id, previous_producer_id, next_producer_id; // -1: none
    int16_t epoch;                                               // -1: none yet
    int16_t last_epoch; // the one before it, where a producer may still ask with that (KIP-360); or -1
    int16_t client_version;
    enum txn_state state;
    int32_t timeout_ms;
    int64_t start_ms, update_ms; // wall clock; start_ms -1: no transaction
    struct txn_topics topics;
};

struct txn {
    struct str id;
    struct txn_body body;
    bool fence_failed; // its epoch was raised against a zombie, but that could not be written
    struct list unsent;
    struct list expiring; // its tombstone is being written
};

// What follows the append of a step's record.
enum txn_then { THEN_NOTHING, THEN_INIT, THEN_ADD, THEN_END, THEN_FENCE, THEN_COMPLETE, THEN_EXPIRE };

struct txns {
    const struct transaction_config *config;
    struct map by_id;
    struct list unsent; // their markers are to be sent
    struct list expiring;
    int64_t abort_due, expire_due;
    size_t scan; // where the search for transactions past their timeout goes on

    // Between a step with a record and its settling.
    enum txn_then then;
    struct txn *then_txn;
    struct txn_body next; // what it becomes
    struct coordinator_request *then_request;
};

struct txn_turn {
    struct txns *txns;
    struct coordinator_now now;
    struct coordinator_effects *effects;
};

static inline void txn_answer(struct txn_turn *t, struct coordinator_request *r, void *response)
{
    coordinator_answer(t->effects, r, response);
}

static inline void txn_refuse(struct txn_turn *t, struct coordinator_request *r, int16_t error)
{
    coordinator_refuse(t->effects, r, error);
}

struct txn *txn_find(const struct txns *s, struct str id);
struct txn *txn_create(struct txns *s, struct str id);
void txn_remove(struct txns *s, struct txn *x);
const char *txn_state_name(enum txn_state state);
bool txn_epoch_exhausted(int16_t epoch);
bool txn_preparing(const struct txn *x);

// Writes what the transaction is to become, from txns->next; `then` follows. request may be NULL.
void txn_write(struct txn_turn *t, struct txn *x, enum txn_then then, struct coordinator_request *request);
// txns->next as the transaction stands, without its topics.
struct txn_body *txn_next(struct txn_turn *t, const struct txn *x, enum txn_state state);

// topics.c
bool topics_have(const struct txn_topics *topics, struct str name, int32_t partition);
void topics_add(struct txn_topics *topics, struct str name, int32_t partition);
void topics_copy(struct txn_topics *to, const struct txn_topics *from);
void topics_free(struct txn_topics *topics);

// records.c
void txn_write_record(struct txn_turn *t, const struct txn *x, const struct txn_body *body);
void txn_write_tombstone(struct txn_turn *t, struct str id);
void txn_replay(void *state, const struct coordinator_record *record, int64_t offset, int64_t producer_id);

// Requests and what settles them.
void txn_on_init(struct txn_turn *t, struct coordinator_request *r);
void txn_on_add(struct txn_turn *t, struct coordinator_request *r);
void txn_on_verify(struct txn_turn *t, struct coordinator_request *r);
void txn_on_end(struct txn_turn *t, struct coordinator_request *r);
void txn_on_marked(struct txn_turn *t, struct coordinator_request *r);
void txn_on_describe(struct txn_turn *t, struct coordinator_request *r);
void txn_on_list(struct txn_turn *t, struct coordinator_request *r);

// Aborts an open transaction and raises the epoch, so that its producer is fenced.
void txn_fence(struct txn_turn *t, struct txn *x, struct coordinator_request *request);
void txn_send_markers(struct txn_turn *t, struct txn *x);
struct init_producer_id_response *txn_init_response(struct coordinator_request *r, const struct txn *x);
struct end_txn_response *txn_end_response(struct coordinator_request *r, const struct txn *x);

#endif
