// DescribeTransactions and ListTransactions (KIP-664), of one shard.
#include "coordinator/transaction/state.h"

void txn_on_describe(struct txn_turn *t, struct coordinator_request *r)
{
    const struct str *id = r->message;
    const struct txn *x = txn_find(t->txns, *id);
    if (!x) {
        txn_refuse(t, r, E_TRANSACTIONAL_ID_NOT_FOUND);
        return;
    }
    const struct txn_body *b = &x->body;
    struct describe_transactions_response_transaction_state *out =
        describe_transactions_response_transaction_state_new(&r->arena, 1);
    if (out)
        out->topics = describe_transactions_response_topic_data_new(&r->arena, (int32_t)b->topics.count);
    if (!out || !out->topics) {
        txn_answer(t, r, NULL);
        return;
    }
    out->transactional_id = arena_str(&r->arena, *id);
    out->transaction_state = str_from(txn_state_name(b->state));
    out->transaction_timeout_ms = b->timeout_ms;
    out->transaction_start_time_ms = b->start_ms;
    out->producer_id = b->producer_id;
    out->producer_epoch = b->epoch;
    for (uint32_t i = 0; i < b->topics.count; i++) {
        const struct transaction_topic *from = &b->topics.items[i];
        struct describe_transactions_response_topic_data *o = &out->topics[out->topics_count++];
        o->topic = arena_str(&r->arena, from->name);
        o->partitions = arena_alloc(&r->arena, from->count * sizeof *from->partitions);
        if (!o->partitions) {
            txn_answer(t, r, NULL);
            return;
        }
        memcpy(o->partitions, from->partitions, from->count * sizeof *from->partitions);
        o->partitions_count = (int32_t)from->count;
    }
    txn_answer(t, r, out);
}

static bool is_wanted(const struct txn *x, const struct list_transactions_request *q, int64_t wall_ms)
{
    const struct txn_body *b = &x->body;
    bool id = q->producer_id_filters_count == 0, state = q->state_filters_count == 0;
    for (int32_t i = 0; i < q->producer_id_filters_count && !id; i++)
        id = q->producer_id_filters[i] == b->producer_id;
    for (int32_t i = 0; i < q->state_filters_count && !state; i++)
        state = str_is(q->state_filters[i], txn_state_name(b->state));
    // As in Kafka, what was never begun has lasted since the year 1970.
    bool lasts = q->duration_filter < 0 || wall_ms - b->start_ms > q->duration_filter;
    return id && state && lasts;
}

void txn_on_list(struct txn_turn *t, struct coordinator_request *r)
{
    const struct list_transactions_request *q = r->message;
    struct list_transactions_response *out = list_transactions_response_new(&r->arena, 1);
    int32_t count = 0;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&t->txns->by_id, &i));)
        count += is_wanted(e->value, q, t->now.wall_ms);
    if (out)
        out->transaction_states = list_transactions_response_transaction_state_new(&r->arena, count);
    if (!out || !out->transaction_states) {
        txn_answer(t, r, NULL);
        return;
    }
    for (size_t i = 0; (e = map_next(&t->txns->by_id, &i));) {
        const struct txn *x = e->value;
        if (!is_wanted(x, q, t->now.wall_ms))
            continue;
        struct list_transactions_response_transaction_state *o =
            &out->transaction_states[out->transaction_states_count++];
        o->transactional_id = arena_str(&r->arena, x->id);
        o->producer_id = x->body.producer_id;
        o->transaction_state = str_from(txn_state_name(x->body.state));
    }
    txn_answer(t, r, out);
}
