// DescribeTransactions and ListTransactions (KIP-664), of one shard.
#include "base/java_order.h"
#include "coordinator/transaction/state.h"

struct covered { // a partition, and its topic's place among the transaction's
    uint32_t topic;
    int32_t partition;
};

// The partitions in Kafka's order, which has them in a hash set. NULL: no memory.
static const struct covered *covered_in_order(const struct txn_topics *topics, struct arena *arena,
                                              size_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < topics->count; i++)
        *count += topics->items[i].count;
    struct covered *all = arena_alloc(arena, (*count + 1) * sizeof *all);
    struct covered *sorted = arena_alloc(arena, (*count + 1) * sizeof *sorted);
    uint32_t *hashes = arena_alloc(arena, (*count + 1) * sizeof *hashes);
    size_t *order, n = 0;
    if (!all || !sorted || !hashes)
        return NULL;
    for (uint32_t i = 0; i < topics->count; i++) {
        uint32_t hash = java_string_hash(topics->items[i].name);
        for (uint32_t k = 0; k < topics->items[i].count; k++, n++) {
            all[n] = (struct covered){i, topics->items[i].partitions[k]};
            hashes[n] = 31 * (31 + (uint32_t)all[n].partition) + hash;
        }
    }
    if (java_hash_order(hashes, n, 0, JAVA_MAP_SIZE, arena, &order))
        return NULL;
    for (size_t i = 0; i < n; i++)
        sorted[i] = all[order[i]];
    return sorted;
}

static bool describe_topics(const struct txn_topics *topics, struct arena *arena,
                            struct describe_transactions_response_transaction_state *out)
{
    size_t count;
    const struct covered *covered = covered_in_order(topics, arena, &count);
    struct describe_transactions_response_topic_data **places =
        arena_zalloc(arena, topics->count + 1, sizeof *places);
    out->topics = describe_transactions_response_topic_data_new(arena, (int32_t)topics->count);
    if (!covered || !places || !out->topics)
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct transaction_topic *from = &topics->items[covered[i].topic];
        struct describe_transactions_response_topic_data *to = places[covered[i].topic];
        if (!to) {
            to = places[covered[i].topic] = &out->topics[out->topics_count++];
            to->topic = arena_str(arena, from->name);
            to->partitions = arena_alloc(arena, from->count * sizeof *to->partitions);
            if (!to->partitions)
                return false;
        }
        to->partitions[to->partitions_count++] = covered[i].partition;
    }
    return true;
}

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
    if (!out || !describe_topics(&b->topics, &r->arena, out)) {
        txn_answer(t, r, NULL);
        return;
    }
    out->transactional_id = arena_str(&r->arena, *id);
    out->transaction_state = str_from(txn_state_name(b->state));
    out->transaction_timeout_ms = b->timeout_ms;
    out->transaction_start_time_ms = b->start_ms;
    out->producer_id = b->producer_id;
    out->producer_epoch = b->epoch;
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
