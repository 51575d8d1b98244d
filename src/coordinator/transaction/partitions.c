// AddPartitionsToTxn: partitions join a transaction, and the first begins it; or it is asked whether they
// have (KIP-890).
#include "coordinator/transaction/state.h"

static int16_t check(const struct txn *x, int64_t producer_id, int16_t epoch)
{
    // Its former id still ends a transaction; the next is known to the producer already.
    if (x && txn_preparing(x) && producer_id == x->body.next_producer_id && epoch == 0)
        return E_CONCURRENT_TRANSACTIONS;
    if (!x || x->body.producer_id != producer_id)
        return E_INVALID_PRODUCER_ID_MAPPING;
    if (x->body.epoch != epoch)
        return E_PRODUCER_FENCED;
    return txn_preparing(x) ? E_CONCURRENT_TRANSACTIONS : E_NONE;
}

void txn_on_add(struct txn_turn *t, struct coordinator_request *r)
{
    const struct add_partitions_to_txn_request_add_partitions_to_txn_transaction *q = r->message;
    struct txn *x = txn_find(t->txns, q->transactional_id);
    int16_t error = check(x, q->producer_id, q->producer_epoch);
    if (error != E_NONE) {
        txn_refuse(t, r, error);
        return;
    }
    bool fresh = x->body.state != TXN_ONGOING;
    for (int32_t i = 0; i < q->topics_count && !fresh; i++)
        for (int32_t k = 0; k < q->topics[i].partitions_count && !fresh; k++)
            fresh = !topics_have(&x->body.topics, q->topics[i].name, q->topics[i].partitions[k]);
    if (!fresh) {
        txn_refuse(t, r, E_NONE);
        return;
    }
    struct txn_body *next = txn_next(t, x, TXN_ONGOING);
    topics_copy(&next->topics, &x->body.topics);
    for (int32_t i = 0; i < q->topics_count; i++)
        for (int32_t k = 0; k < q->topics[i].partitions_count; k++)
            topics_add(&next->topics, q->topics[i].name, q->topics[i].partitions[k]);
    if (x->body.state != TXN_ONGOING)
        next->start_ms = t->now.wall_ms;
    next->client_version = r->version >= TRANSACTION_ADD_BROKERS_VERSION ? 2 : 0;
    txn_write(t, x, THEN_ADD, r);
}

void txn_on_verify(struct txn_turn *t, struct coordinator_request *r)
{
    const struct add_partitions_to_txn_request_add_partitions_to_txn_transaction *q = r->message;
    const struct txn *x = txn_find(t->txns, q->transactional_id);
    int16_t error = check(x, q->producer_id, q->producer_epoch);
    if (error != E_NONE) {
        txn_refuse(t, r, error);
        return;
    }
    struct add_partitions_to_txn_response_add_partitions_to_txn_result *out =
        add_partitions_to_txn_response_add_partitions_to_txn_result_new(&r->arena, 1);
    if (out) {
        out->transactional_id = arena_str(&r->arena, q->transactional_id);
        out->topic_results =
            add_partitions_to_txn_response_add_partitions_to_txn_topic_result_new(&r->arena, q->topics_count);
    }
    for (int32_t i = 0; out && out->topic_results && i < q->topics_count; i++) {
        struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *o =
            &out->topic_results[out->topic_results_count++];
        o->name = arena_str(&r->arena, q->topics[i].name);
        o->results_by_partition = add_partitions_to_txn_response_add_partitions_to_txn_partition_result_new(
            &r->arena, q->topics[i].partitions_count);
        if (!o->results_by_partition) {
            out = NULL;
            break;
        }
        o->results_by_partition_count = q->topics[i].partitions_count;
        for (int32_t k = 0; k < o->results_by_partition_count; k++) {
            int32_t partition = q->topics[i].partitions[k];
            bool covered = topics_have(&x->body.topics, q->topics[i].name, partition);
            o->results_by_partition[k].partition_index = partition;
            o->results_by_partition[k].partition_error_code = covered ? E_NONE : E_TRANSACTION_ABORTABLE;
        }
    }
    txn_answer(t, r, out && out->topic_results ? out : NULL);
}
