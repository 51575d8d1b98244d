// Records of __transaction_state: written, and back into the state.
#include "coordinator/transaction/state.h"

#include "base/logger.h"

#define VALUE_VERSION_TAGGED 1 // from transaction.version 1 on

static void must(bool ok)
{
    if (!ok)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
}

// A message with its version in front.
static struct bytes encode(struct arena *arena, const struct message_type *type, int16_t version,
                           const void *message)
{
    size_t size;
    must(message_size(type, version, message, &size, NULL) == 0);
    uint8_t *bytes = arena_alloc(arena, size + 2);
    must(bytes != NULL);
    store_be16(bytes, (uint16_t)version);
    struct encode_target target = {.at = bytes + 2, .end = bytes + 2 + size};
    must(message_encode(type, version, message, &target) == 0);
    return (struct bytes){bytes, size + 2};
}

static struct bytes encode_key(struct txn_turn *t, struct str id)
{
    struct transaction_log_key key = {.transactional_id = id};
    return encode(&t->effects->arena, &transaction_log_key_type, 0, &key);
}

void txn_write_record(struct txn_turn *t, const struct txn *x, const struct txn_body *b)
{
    struct arena *arena = &t->effects->arena;
    int16_t level = t->txns->config->feature_level(t->txns->config->context);
    struct transaction_log_value v;
    message_init(&transaction_log_value_type, &v);
    v.producer_id = b->producer_id;
    v.producer_epoch = b->epoch;
    v.transaction_timeout_ms = b->timeout_ms;
    v.transaction_status = (int8_t)b->state;
    v.transaction_last_update_timestamp_ms = b->update_ms;
    v.transaction_start_timestamp_ms = b->start_ms;
    if (level >= VALUE_VERSION_TAGGED) {              // version 0 has no place for them
        v.previous_producer_id = x->body.producer_id; // as Kafka: the one before this record
        v.next_producer_id = b->next_producer_id;
        v.client_transaction_version = b->client_version;
    }
    v.transaction_partitions_count = -1;
    if (b->state != TXN_EMPTY) {
        v.transaction_partitions =
            transaction_log_value_partitions_schema_new(arena, (int32_t)b->topics.count);
        must(v.transaction_partitions != NULL);
        v.transaction_partitions_count = (int32_t)b->topics.count;
        for (uint32_t i = 0; i < b->topics.count; i++) {
            v.transaction_partitions[i].topic = b->topics.items[i].name;
            v.transaction_partitions[i].partition_ids = b->topics.items[i].partitions;
            v.transaction_partitions[i].partition_ids_count = (int32_t)b->topics.items[i].count;
        }
    }
    struct bytes value =
        encode(arena, &transaction_log_value_type, level >= VALUE_VERSION_TAGGED ? 1 : 0, &v);
    must(coordinator_effects_add(t->effects, encode_key(t, x->id), value) == 0);
}

void txn_write_tombstone(struct txn_turn *t, struct str id)
{
    must(coordinator_effects_add(t->effects, encode_key(t, id), BYTES_NULL) == 0);
}

static void replay_value(struct txns *s, struct str id, const struct transaction_log_value *v)
{
    struct txn *x = txn_find(s, id);
    x = x ? x : txn_create(s, id);
    topics_free(&x->body.topics);
    x->body = (struct txn_body){.producer_id = v->producer_id,
                                .previous_producer_id = v->previous_producer_id,
                                .next_producer_id = v->next_producer_id,
                                .epoch = v->producer_epoch,
                                .last_epoch = -1,
                                .client_version = v->client_transaction_version,
                                .state = (enum txn_state)v->transaction_status,
                                .timeout_ms = v->transaction_timeout_ms,
                                .start_ms = v->transaction_start_timestamp_ms,
                                .update_ms = v->transaction_last_update_timestamp_ms};
    for (int32_t i = 0; v->transaction_status != TXN_EMPTY && i < v->transaction_partitions_count; i++)
        for (int32_t k = 0; k < v->transaction_partitions[i].partition_ids_count; k++)
            topics_add(&x->body.topics, v->transaction_partitions[i].topic,
                       v->transaction_partitions[i].partition_ids[k]);
}

void txn_replay(void *state, const struct coordinator_record *record, int64_t offset, int64_t producer_id)
{
    struct txns *s = state;
    struct bytes key = record->key, value = record->value;
    (void)producer_id; // none of these records is of a transaction
    if (key.size < 2 || load_be16(key.data) != 0)
        return;
    struct arena arena;
    struct transaction_log_key k;
    struct transaction_log_value v;
    arena_init(&arena, 0);
    int rc = message_decode(&transaction_log_key_type, 0, (struct bytes){key.data + 2, key.size - 2}, &arena,
                            &k, NULL);
    bool understood = rc == 0 && (!value.data || value.size >= 2);
    if (understood && value.data) {
        int16_t version = (int16_t)load_be16(value.data);
        understood = message_decode(&transaction_log_value_type, version,
                                    (struct bytes){value.data + 2, value.size - 2}, &arena, &v, NULL) == 0 &&
                     v.transaction_status >= TXN_EMPTY && v.transaction_status < TXN_STATES;
    }
    struct txn *x = understood && !value.data ? txn_find(s, k.transactional_id) : NULL;
    if (x)
        txn_remove(s, x);
    else if (understood && value.data)
        replay_value(s, k.transactional_id, &v);
    if (!understood)
        log_limited(LOG_LEVEL_WARN, "coordinator",
                    "record %lld of __transaction_state is not understood: passed over", (long long)offset);
    arena_free(&arena);
}
