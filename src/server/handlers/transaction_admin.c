// AddOffsetsToTxn, and what administrators ask about transactions: DescribeTransactions, ListTransactions
// (KIP-664).
#include "base/error.h"
#include "base/map.h"
#include "base/regex.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/auto_create.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"

static void out_of_memory(struct request *r)
{
    request_close(r, "out of memory for a request about transactions");
}

// AddOffsetsToTxn: the group's partition of __consumer_offsets joins the transaction

#define FENCED_VERSION 2 // older clients do not know PRODUCER_FENCED

static void respond_add(struct request *r, int16_t error)
{
    struct add_offsets_to_txn_response out;
    message_init(&add_offsets_to_txn_response_type, &out);
    out.error_code =
        error == E_PRODUCER_FENCED && r->version < FENCED_VERSION ? E_INVALID_PRODUCER_EPOCH : error;
    request_respond(r, &out);
}

static void finish_add(struct coordinator_call *call)
{
    respond_add(call->request, call->parts[0].error);
}

struct addition {
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction about;
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic;
    int32_t partition;
};

static void handle_add_offsets_to_txn(struct request *r)
{
    const struct add_offsets_to_txn_request *q = r->message;
    struct broker *b = broker_of(r);
    int16_t error = !request_authorize(r, ACL_WRITE, RESOURCE_TRANSACTIONAL_ID, q->transactional_id)
                        ? E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED
                    : !request_authorize(r, ACL_READ, RESOURCE_GROUP, q->group_id)
                        ? E_GROUP_AUTHORIZATION_FAILED
                    : q->transactional_id.size == 0 ? E_INVALID_REQUEST
                                                    : E_NONE;
    if (error != E_NONE) {
        respond_add(r, error);
        return;
    }
    struct addition *a = arena_zalloc(&r->arena, 1, sizeof *a);
    struct coordinator_call *call = a ? coordinator_call_new(r, 1, finish_add) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    a->partition = coordinator_partition(b->groups, q->group_id);
    a->topic.name = STR(GROUP_TOPIC);
    a->topic.partitions = &a->partition;
    a->topic.partitions_count = 1;
    a->about.transactional_id = q->transactional_id;
    a->about.producer_id = q->producer_id;
    a->about.producer_epoch = q->producer_epoch;
    a->about.topics = &a->topic;
    a->about.topics_count = 1;
    call->parts[0].kind = TRANSACTION_ADD;
    call->parts[0].message = &a->about;
    call->parts[0].version = 0; // of AddPartitionsToTxn: a client itself asks for it
    coordinator_call_run_key(call, b->transactions, q->transactional_id);
}

const struct api_handler add_offsets_to_txn_handler = {.api_key = 25,
                                                       .min_version = 0,
                                                       .max_version = 4,
                                                       .advertised_min_version = -1,
                                                       .listeners = LISTENER_BROKER,
                                                       .handle = handle_add_offsets_to_txn};

// DescribeTransactions

// Topics that the client may see.
static void filter_topics(const struct request *r, struct describe_transactions_response_transaction_state *t)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < t->topics_count; i++)
        if (request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, t->topics[i].topic))
            t->topics[kept++] = t->topics[i];
    t->topics_count = kept;
}

static void finish_describe(struct coordinator_call *call)
{
    struct request *r = call->request;
    const struct describe_transactions_request *q = r->message;
    struct describe_transactions_response out;
    message_init(&describe_transactions_response_type, &out);
    out.transaction_states = describe_transactions_response_transaction_state_new(&r->arena, call->count);
    if (!out.transaction_states) {
        out_of_memory(r);
        return;
    }
    out.transaction_states_count = call->count;
    for (int32_t i = 0; i < call->count; i++) {
        struct describe_transactions_response_transaction_state *o = &out.transaction_states[i];
        const struct coordinator_request *part = &call->parts[i];
        if (part->response)
            *o = *(const struct describe_transactions_response_transaction_state *)part->response;
        else
            o->error_code = part->error;
        o->transactional_id = q->transactional_ids[i];
        filter_topics(r, o);
    }
    request_respond(r, &out);
}

static void handle_describe_transactions(struct request *r)
{
    const struct describe_transactions_request *q = r->message;
    struct coordinator *transactions = broker_of(r)->transactions;
    int32_t count = q->transactional_ids_count;
    int32_t *shards = arena_alloc(&r->arena, ((size_t)count + 1) * sizeof *shards);
    struct coordinator_call *call = shards ? coordinator_call_new(r, count, finish_describe) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        struct str id = q->transactional_ids[i];
        bool allowed = request_authorize(r, ACL_DESCRIBE, RESOURCE_TRANSACTIONAL_ID, id);
        shards[i] =
            allowed && id.size > 0 ? coordinator_partition(transactions, id) : COORDINATOR_CALL_ANSWERED;
        call->parts[i].error = allowed ? E_INVALID_REQUEST : E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        call->parts[i].kind = TRANSACTION_DESCRIBE;
        call->parts[i].message = &q->transactional_ids[i];
    }
    coordinator_call_run(call, transactions, shards);
}

const struct api_handler describe_transactions_handler = {.api_key = 65,
                                                          .min_version = 0,
                                                          .max_version = 0,
                                                          .advertised_min_version = -1,
                                                          .listeners = LISTENER_BROKER,
                                                          .worker_bytes = 1, // a transaction may be large
                                                          .handle = handle_describe_transactions};

// ListTransactions: every shard of this broker

struct listing {
    struct list_transactions_request known; // without states that nothing has
    struct str *unknown;
    int32_t unknown_count;
    bool nothing; // states were asked for, and none of them is known
};

static int32_t sum_up(const struct coordinator_call *call, int16_t *error)
{
    int32_t count = 0;
    for (int32_t i = 0; i < call->count; i++) {
        const struct list_transactions_response *part = call->parts[i].response;
        count += part ? part->transaction_states_count : 0;
        if (!part && call->parts[i].error != E_NOT_COORDINATOR && call->parts[i].error != E_NONE)
            *error = call->parts[i].error;
    }
    return count;
}

static void fill_list(const struct coordinator_call *call, const struct regex *pattern,
                      struct list_transactions_response *out)
{
    for (int32_t i = 0; i < call->count; i++) {
        const struct list_transactions_response *part = call->parts[i].response;
        for (int32_t k = 0; part && k < part->transaction_states_count; k++) {
            struct str id = part->transaction_states[k].transactional_id;
            if ((!pattern || regex_matches(pattern, id)) &&
                request_authorize(call->request, ACL_DESCRIBE, RESOURCE_TRANSACTIONAL_ID, id))
                out->transaction_states[out->transaction_states_count++] = part->transaction_states[k];
        }
    }
}

static void finish_list(struct coordinator_call *call)
{
    struct request *r = call->request;
    const struct listing *l = call->context;
    struct list_transactions_response out;
    struct regex *pattern = NULL;
    const char *why;
    message_init(&list_transactions_response_type, &out);
    struct str text = l->known.transactional_id_pattern;
    int32_t count = sum_up(call, &out.error_code);
    int rc = text.size > 0 ? regex_compile(text, &pattern, &why) : 0;
    if (rc && rc != ERR_NOMEM && out.error_code == E_NONE)
        out.error_code = E_INVALID_REGULAR_EXPRESSION;
    out.transaction_states = list_transactions_response_transaction_state_new(&r->arena, count);
    if (out.error_code == E_NONE) {
        out.unknown_state_filters = l->unknown;
        out.unknown_state_filters_count = l->unknown_count;
        if (out.transaction_states && !l->nothing)
            fill_list(call, pattern, &out);
    }
    regex_free(pattern);
    if (rc == ERR_NOMEM || !out.transaction_states)
        out_of_memory(r);
    else
        request_respond(r, &out);
}

static struct listing *sort_states(struct request *r)
{
    const struct list_transactions_request *q = r->message;
    struct listing *l = arena_zalloc(&r->arena, 1, sizeof *l);
    size_t room = ((size_t)q->state_filters_count + 1) * sizeof(struct str);
    if (!l)
        return NULL;
    l->known = *q;
    l->known.state_filters = arena_alloc(&r->arena, room);
    l->known.state_filters_count = 0;
    l->unknown = arena_alloc(&r->arena, room);
    if (!l->known.state_filters || !l->unknown)
        return NULL;
    struct map seen = MAP_INIT; // Kafka's set of them, in order as long as they are few
    int rc = 0;
    for (int32_t i = 0; i < q->state_filters_count && rc == 0; i++) {
        if (map_get(&seen, q->state_filters[i]))
            continue;
        rc = map_put(&seen, q->state_filters[i], l);
        if (transaction_state_known(q->state_filters[i]))
            l->known.state_filters[l->known.state_filters_count++] = q->state_filters[i];
        else
            l->unknown[l->unknown_count++] = q->state_filters[i];
    }
    map_free(&seen);
    if (rc)
        return NULL;
    l->nothing = q->state_filters_count > 0 && l->known.state_filters_count == 0;
    return l;
}

static void handle_list_transactions(struct request *r)
{
    struct coordinator *transactions = broker_of(r)->transactions;
    int32_t count = coordinator_shards(transactions);
    struct listing *l = sort_states(r);
    int32_t *shards = arena_alloc(&r->arena, (size_t)count * sizeof *shards);
    struct coordinator_call *call = l && shards ? coordinator_call_new(r, count, finish_list) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    call->context = l;
    for (int32_t i = 0; i < count; i++) {
        shards[i] = i;
        call->parts[i].kind = TRANSACTION_LIST;
        call->parts[i].message = &l->known;
    }
    coordinator_call_run(call, transactions, shards);
}

const struct api_handler list_transactions_handler = {.api_key = 66,
                                                      .min_version = 0,
                                                      .max_version = 2,
                                                      .advertised_min_version = -1,
                                                      .listeners = LISTENER_BROKER,
                                                      .handle = handle_list_transactions};
