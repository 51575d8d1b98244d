// InitProducerId of a transactional id: a new producer fences the one before it (KIP-98), or goes on after an
// error with an epoch of its own (KIP-360).
#include "coordinator/transaction/state.h"

struct init_producer_id_response *txn_init_response(struct coordinator_request *r, const struct txn *x)
{
    struct init_producer_id_response *out = init_producer_id_response_new(&r->arena, 1);
    if (!out)
        return NULL;
    out->producer_id = x->body.producer_id;
    out->producer_epoch = x->body.epoch;
    return out;
}

// Whether the producer that the client was may be this one.
static bool is_expected(const struct txn *x, const struct init_producer_id_request *q)
{
    const struct txn_body *b = &x->body;
    return q->producer_id == -1 || b->epoch == -1 || q->producer_id == b->producer_id ||
           (txn_preparing(x) && q->producer_id == b->next_producer_id) ||
           (q->producer_id == b->previous_producer_id && txn_epoch_exhausted(q->producer_epoch));
}

// The next epoch for who asks.
static int16_t raise_epoch(const struct txn_body *b, const struct init_producer_id_request *q,
                           struct txn_body *next)
{
    next->epoch = (int16_t)(b->epoch + 1);
    next->last_epoch = -1;
    if (q->producer_id == -1)
        return E_NONE;
    if (b->epoch == -1 || q->producer_epoch == b->epoch) {
        next->last_epoch = b->epoch;
        return E_NONE;
    }
    if (q->producer_epoch != b->last_epoch)
        return E_PRODUCER_FENCED;
    next->epoch = b->epoch; // it asks again: the answer got lost
    next->last_epoch = b->last_epoch;
    return E_NONE;
}

void txn_on_init(struct txn_turn *t, struct coordinator_request *r)
{
    const struct init_producer_id_request *q = r->message;
    const struct transaction_config *c = t->txns->config;
    struct txn *x = txn_find(t->txns, q->transactional_id);
    int64_t producer_id = -1;
    int16_t error = q->transaction_timeout_ms <= 0 || q->transaction_timeout_ms > c->max_timeout_ms
                        ? E_INVALID_TRANSACTION_TIMEOUT
                        : E_NONE;
    if (error == E_NONE && !x)
        error = c->new_producer_id(c->context, &producer_id);
    if (error == E_NONE && !x) {
        x = txn_create(t->txns, q->transactional_id);
        x->body.producer_id = producer_id;
        x->body.timeout_ms = q->transaction_timeout_ms;
        x->body.update_ms = t->now.wall_ms;
    }
    if (error == E_NONE && !is_expected(x, q))
        error = E_PRODUCER_FENCED;
    else if (error == E_NONE && txn_preparing(x))
        error = E_CONCURRENT_TRANSACTIONS;
    if (error != E_NONE) {
        txn_refuse(t, r, error);
        return;
    }
    if (x->body.state == TXN_ONGOING) {
        txn_fence(t, x, r);
        return;
    }
    struct txn_body *next = txn_next(t, x, TXN_EMPTY);
    // A producer that its timeout fenced with the very last epoch cannot be given that one: it is for fencing
    // alone.
    bool current = q->producer_id == -1 || q->producer_epoch == x->body.epoch ||
                   (x->body.epoch == INT16_MAX && q->producer_epoch == x->body.last_epoch);
    if (txn_epoch_exhausted(x->body.epoch) && current) {
        error = c->new_producer_id(c->context, &next->producer_id);
        next->last_epoch = q->producer_id != -1 ? x->body.epoch : -1;
        next->epoch = 0;
    } else if (txn_epoch_exhausted(x->body.epoch) && q->producer_epoch != x->body.last_epoch) {
        error = E_PRODUCER_FENCED;
    } else {
        error = raise_epoch(&x->body, q, next);
    }
    if (error != E_NONE) {
        txn_refuse(t, r, error);
        return;
    }
    next->previous_producer_id = x->body.producer_id;
    next->timeout_ms = q->transaction_timeout_ms;
    next->start_ms = -1;
    txn_write(t, x, THEN_INIT, r);
}
