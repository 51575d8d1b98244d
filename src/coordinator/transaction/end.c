// EndTxn, and what ends a transaction without one: a new producer of its id, or its timeout. The end is
// decided when its record (PrepareCommit or PrepareAbort) is in the log; then the markers are written, and
// then it is complete.
#include "coordinator/transaction/state.h"

#include <stdlib.h>

#define EPOCH_BUMP_VERSION 5 // of EndTxn: each transaction has an epoch of its own (KIP-890)

struct end_txn_response *txn_end_response(struct coordinator_request *r, const struct txn *x)
{
    struct end_txn_response *out = end_txn_response_new(&r->arena, 1);
    if (!out)
        return NULL;
    // Where the epochs of its id are used up, the producer goes on with the id that it will have (KIP-890).
    bool rotates = txn_preparing(x) && x->body.next_producer_id != -1;
    out->producer_id = rotates ? x->body.next_producer_id : x->body.producer_id;
    out->producer_epoch = rotates ? 0 : x->body.epoch;
    return out;
}

// Prepares the end. `raise`: the epoch is raised with it.
static int16_t prepare(struct txn_turn *t, const struct txn *x, bool committed, bool raise, int16_t version)
{
    const struct transaction_config *c = t->txns->config;
    bool was_open = x->body.state == TXN_ONGOING;
    struct txn_body *next = txn_next(t, x, committed ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
    next->next_producer_id = -1;
    if (raise) {
        int16_t error = txn_epoch_exhausted(x->body.epoch)
                            ? c->new_producer_id(c->context, &next->next_producer_id)
                            : E_NONE;
        if (error != E_NONE)
            return error;
        next->last_epoch = x->body.epoch;
        next->epoch = (int16_t)(x->body.epoch + 1);
    }
    next->client_version = version;
    if (!was_open)
        next->start_ms = t->now.wall_ms;
    topics_copy(&next->topics, &x->body.topics);
    return E_NONE;
}

// A client of transaction version 2 asks again: its epoch was raised by the first time, and nothing has begun
// since.
static bool asks_again(const struct txn *x, const struct end_txn_request *q)
{
    const struct txn_body *b = &x->body;
    if (b->state == TXN_EMPTY || b->state == TXN_ONGOING)
        return false;
    bool raised = b->epoch == q->producer_epoch + 1 && b->producer_id == q->producer_id;
    bool rotated =
        b->previous_producer_id == q->producer_id && q->producer_epoch == INT16_MAX - 1 && b->epoch == 0;
    bool usable = b->epoch < INT16_MAX || txn_preparing(x); // the last epoch is given to nobody (txn_fence)
    return b->client_version >= 2 && usable && (raised || rotated);
}

static int16_t check(const struct txn *x, const struct end_txn_request *q, bool version_2, bool again)
{
    if (!x || (x->body.producer_id != q->producer_id && !again))
        return E_INVALID_PRODUCER_ID_MAPPING;
    if (version_2 && txn_preparing(x))
        return again ? E_NONE : E_PRODUCER_FENCED;
    // The last epoch is given to nobody: there is none behind it to go on with.
    if (version_2 && x->body.epoch == INT16_MAX)
        return E_PRODUCER_FENCED;
    return x->body.epoch == q->producer_epoch || again ? E_NONE : E_PRODUCER_FENCED;
}

// What a state says to the wish. E_NONE with *prepare_it: the end is to be prepared; else it is there
// already.
static int16_t judge(enum txn_state state, bool committed, bool version_2, bool again, bool *prepare_it)
{
    *prepare_it = state == TXN_ONGOING;
    switch (state) {
    case TXN_ONGOING:
        return E_NONE;
    case TXN_PREPARE_COMMIT:
        return committed ? E_CONCURRENT_TRANSACTIONS : E_INVALID_TXN_STATE;
    case TXN_PREPARE_ABORT:
        return committed ? E_INVALID_TXN_STATE : E_CONCURRENT_TRANSACTIONS;
    case TXN_COMPLETE_COMMIT:
    case TXN_COMPLETE_ABORT:
        if (!version_2 || again)
            return committed == (state == TXN_COMPLETE_COMMIT) ? E_NONE : E_INVALID_TXN_STATE;
        break;
    default:
        break;
    }
    // Version 2: a client that does not know whether anything was added aborts, and gets a new epoch.
    *prepare_it = version_2 && !committed;
    return *prepare_it ? E_NONE : E_INVALID_TXN_STATE;
}

void txn_on_end(struct txn_turn *t, struct coordinator_request *r)
{
    const struct end_txn_request *q = r->message;
    struct txn *x = txn_find(t->txns, q->transactional_id);
    bool version_2 = r->version >= EPOCH_BUMP_VERSION, prepare_it = false;
    bool again = version_2 && x && asks_again(x, q);
    int16_t error = check(x, q, version_2, again);
    if (error == E_NONE)
        error = judge(x->body.state, q->committed, version_2, again, &prepare_it);
    if (error == E_NONE && prepare_it)
        error = prepare(t, x, q->committed, version_2, version_2 ? 2 : 0);
    if (error != E_NONE)
        txn_refuse(t, r, error);
    else if (prepare_it)
        txn_write(t, x, THEN_END, r);
    else
        txn_answer(t, r, txn_end_response(r, x));
}

void txn_fence(struct txn_turn *t, struct txn *x, struct coordinator_request *r)
{
    const struct transaction_config *c = t->txns->config;
    int16_t level = c->feature_level(c->context);
    (void)prepare(t, x, false, false, level >= 2 ? 2 : 0);
    struct txn_body *next = &t->txns->next;
    // The last epoch of an id may be used for this: who comes next gets another producer id, from version 2
    // on the transaction itself at its end. There the producer that was fenced may also go on with this very
    // epoch (KIP-360): it asks with the one before.
    next->epoch = (int16_t)(x->body.epoch + (!x->fence_failed && x->body.epoch < INT16_MAX));
    if (level >= 2 && txn_epoch_exhausted(x->body.epoch) &&
        c->new_producer_id(c->context, &next->next_producer_id) != E_NONE)
        next->next_producer_id = -1; // not yet
    next->last_epoch = (int16_t)(level >= 2 ? next->epoch - 1 : -1);
    txn_write(t, x, THEN_FENCE, r);
}

// Markers

void transaction_markers_free(struct coordinator_request *r)
{
    arena_free(&r->arena);
    free(r);
}

static struct transaction_markers *markers_of(struct arena *arena, const struct txn *x, int32_t leader_epoch)
{
    const struct txn_body *b = &x->body;
    struct transaction_markers *m = arena_zalloc(arena, 1, sizeof *m);
    struct transaction_topic *topics = arena_zalloc(arena, b->topics.count + 1, sizeof *topics);
    bool ok = m && topics;
    for (uint32_t i = 0; ok && i < b->topics.count; i++) {
        const struct transaction_topic *from = &b->topics.items[i];
        topics[i].name = arena_str(arena, from->name);
        topics[i].partitions = arena_alloc(arena, from->count * sizeof *from->partitions);
        ok = topics[i].name.data && topics[i].partitions;
        if (ok)
            memcpy(topics[i].partitions, from->partitions, from->count * sizeof *from->partitions);
        topics[i].count = from->count;
    }
    if (!ok)
        state_array(NULL, SIZE_MAX, 1); // ends the process
    *m = (struct transaction_markers){.transactional_id = arena_str(arena, x->id),
                                      .producer_id = b->producer_id,
                                      .producer_epoch = b->epoch,
                                      .transaction_version = b->client_version,
                                      .coordinator_epoch = leader_epoch,
                                      .committed = b->state == TXN_PREPARE_COMMIT,
                                      .topics = topics,
                                      .topics_count = b->topics.count};
    return m;
}

// It goes the way of an answer: once the record that decided the end is replicated.
void txn_send_markers(struct txn_turn *t, struct txn *x)
{
    const struct transaction_config *c = t->txns->config;
    struct coordinator_request *r = state_alloc(sizeof *r);
    list_remove(&x->unsent);
    list_init(&x->unsent);
    r->kind = TRANSACTION_MARKERS;
    r->complete = c->deliver;
    r->reply_to = c->deliver_to(c->context, x->id);
    r->context = c->context;
    arena_init(&r->arena, 0);
    txn_answer(t, r, markers_of(&r->arena, x, t->now.leader_epoch));
}

void txn_on_marked(struct txn_turn *t, struct coordinator_request *r)
{
    const struct transaction_markers *q = r->message;
    struct txn *x = txn_find(t->txns, q->transactional_id);
    int16_t error = !x || x->body.producer_id != q->producer_id ? E_INVALID_PRODUCER_ID_MAPPING
                    : x->body.epoch != q->producer_epoch        ? E_PRODUCER_FENCED
                    : !txn_preparing(x)                         ? E_INVALID_TXN_STATE
                                                                : E_NONE;
    if (error != E_NONE) {
        txn_refuse(t, r, error);
        return;
    }
    bool committed = x->body.state == TXN_PREPARE_COMMIT;
    struct txn_body *next = txn_next(t, x, committed ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    if (x->body.client_version >= 2) {
        next->previous_producer_id = x->body.producer_id;
        if (x->body.next_producer_id != -1) {
            next->producer_id = x->body.next_producer_id;
            next->epoch = 0;
        }
        next->next_producer_id = -1;
    }
    txn_write(t, x, THEN_COMPLETE, r);
}
