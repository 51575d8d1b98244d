// AddPartitionsToTxn: partitions join a transaction, or it is asked whether they have (KIP-890). Clients send
// one transaction, brokers any number, each of which is answered for itself.
#include "base/error.h"
#include "metadata/image.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"
#include "server/merged_topics.h"

#define FENCED_VERSION 2 // clients before it do not know PRODUCER_FENCED

// One transaction of the request: each topic and partition once, and the answer, which names the same. But
// the answer to one that was added, or could not be as a whole, repeats the request's topics as they are.
struct addition {
    const struct add_partitions_to_txn_request_add_partitions_to_txn_topic *topics;
    int32_t topics_count;
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction about;
    struct add_partitions_to_txn_response_add_partitions_to_txn_result result;
};

static int fill(struct addition *a, struct arena *arena, const struct merged_topics *merged)
{
    a->about.topics = add_partitions_to_txn_request_add_partitions_to_txn_topic_new(arena, merged->count);
    a->result.topic_results =
        add_partitions_to_txn_response_add_partitions_to_txn_topic_result_new(arena, merged->count);
    if (!a->about.topics || !a->result.topic_results)
        return ERR_NOMEM;
    a->about.topics_count = a->result.topic_results_count = merged->count;
    for (int32_t i = 0; i < merged->count; i++) {
        const struct merged_topic *from = &merged->topics[i];
        struct add_partitions_to_txn_request_add_partitions_to_txn_topic *to = &a->about.topics[i];
        struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *answer =
            &a->result.topic_results[i];
        to->name = answer->name = from->name;
        to->partitions = from->partitions;
        to->partitions_count = answer->results_by_partition_count = from->count;
        answer->results_by_partition =
            add_partitions_to_txn_response_add_partitions_to_txn_partition_result_new(arena, from->count);
        if (!answer->results_by_partition)
            return ERR_NOMEM;
        for (int32_t k = 0; k < from->count; k++)
            answer->results_by_partition[k].partition_index = from->partitions[k];
    }
    return 0;
}

static int take_topics(struct addition *a, struct arena *arena,
                       const struct add_partitions_to_txn_request_add_partitions_to_txn_topic *topics,
                       int32_t count)
{
    struct merged_topics merged;
    int rc = merged_topics_init(&merged, arena, count);
    for (int32_t i = 0; i < count && rc == 0; i++)
        rc = merged_topics_count(&merged, topics[i].name, topics[i].partitions_count);
    rc = rc ? rc : merged_topics_room(&merged);
    for (int32_t i = 0; i < count && rc == 0; i++)
        rc = merged_topics_take(&merged, topics[i].partitions, topics[i].partitions_count);
    merged_topics_free(&merged);
    return rc ? rc : fill(a, arena, &merged);
}

static void fail(struct addition *a, int16_t error)
{
    for (int32_t i = 0; i < a->result.topic_results_count; i++)
        for (int32_t k = 0; k < a->result.topic_results[i].results_by_partition_count; k++)
            a->result.topic_results[i].results_by_partition[k].partition_error_code = error;
}

static int repeat(struct addition *a, struct arena *arena, int16_t error)
{
    struct add_partitions_to_txn_response_add_partitions_to_txn_topic_result *out =
        add_partitions_to_txn_response_add_partitions_to_txn_topic_result_new(arena, a->topics_count);
    for (int32_t i = 0; out && i < a->topics_count; i++) {
        int32_t count = a->topics[i].partitions_count;
        out[i].name = a->topics[i].name;
        out[i].results_by_partition =
            add_partitions_to_txn_response_add_partitions_to_txn_partition_result_new(arena, count);
        if (!out[i].results_by_partition)
            return ERR_NOMEM;
        out[i].results_by_partition_count = count;
        for (int32_t k = 0; k < count; k++)
            out[i].results_by_partition[k].partition_index = a->topics[i].partitions[k];
    }
    if (!out)
        return ERR_NOMEM;
    a->result.topic_results = out;
    a->result.topic_results_count = a->topics_count;
    fail(a, error);
    return 0;
}

static int16_t check_partition(const struct request *r, struct str topic, int32_t partition)
{
    // What brokers add is authorized where it is produced.
    if (r->version < TRANSACTION_ADD_BROKERS_VERSION &&
        (topic_is_internal(topic) || !request_authorize(r, ACL_WRITE, RESOURCE_TOPIC, topic)))
        return E_TOPIC_AUTHORIZATION_FAILED;
    const struct image_topic *known = image_topic(image_current(), topic);
    return known && image_partition(known, partition) ? E_NONE : E_UNKNOWN_TOPIC_OR_PARTITION;
}

// One partition that is wrong keeps the others out, too.
static bool check_partitions(const struct request *r, struct addition *a)
{
    bool good = true;
    fail(a, E_OPERATION_NOT_ATTEMPTED);
    for (int32_t i = 0; i < a->about.topics_count; i++) {
        for (int32_t k = 0; k < a->about.topics[i].partitions_count; k++) {
            int16_t error = check_partition(r, a->about.topics[i].name, a->about.topics[i].partitions[k]);
            if (error == E_NONE)
                continue;
            a->result.topic_results[i].results_by_partition[k].partition_error_code = error;
            good = false;
        }
    }
    return good;
}

enum { ANSWERED = -1, REFUSED = -2 }; // a part's kind: it has its answer, or its error, already

// What is asked of the coordinator, or why nothing is.
static void check(const struct request *r, struct addition *a, struct coordinator_request *part)
{
    struct str id = a->about.transactional_id;
    part->message = &a->about;
    part->kind = REFUSED;
    if (r->version < TRANSACTION_ADD_BROKERS_VERSION &&
        !request_authorize(r, ACL_WRITE, RESOURCE_TRANSACTIONAL_ID, id))
        part->error = E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
    else if (!check_partitions(r, a))
        part->kind = ANSWERED;
    else if (id.size == 0)
        part->error = E_INVALID_REQUEST;
    else
        part->kind = a->about.verify_only ? TRANSACTION_VERIFY : TRANSACTION_ADD;
}

static int take_answer(struct request *r, struct addition *a, const struct coordinator_request *part)
{
    int16_t error = part->error == E_PRODUCER_FENCED && r->version < FENCED_VERSION ? E_INVALID_PRODUCER_EPOCH
                                                                                    : part->error;
    if (part->response)
        a->result =
            *(const struct add_partitions_to_txn_response_add_partitions_to_txn_result *)part->response;
    else if (part->kind != ANSWERED && a->about.verify_only)
        fail(a, error);
    else if (part->kind != ANSWERED)
        return repeat(a, &r->arena, error);
    return 0;
}

static void finish(struct coordinator_call *call)
{
    struct request *r = call->request;
    struct addition *additions = call->context;
    struct add_partitions_to_txn_response out;
    int rc = 0;
    message_init(&add_partitions_to_txn_response_type, &out);
    out.results_by_transaction =
        add_partitions_to_txn_response_add_partitions_to_txn_result_new(&r->arena, call->count);
    for (int32_t i = 0; out.results_by_transaction && i < call->count && rc == 0; i++) {
        rc = take_answer(r, &additions[i], &call->parts[i]);
        out.results_by_transaction[out.results_by_transaction_count++] = additions[i].result;
    }
    if (rc || !out.results_by_transaction) {
        request_close(r, "out of memory for the response to AddPartitionsToTxn");
        return;
    }
    if (r->version < TRANSACTION_ADD_BROKERS_VERSION) {
        out.results_by_topic_v3_and_below = additions[0].result.topic_results;
        out.results_by_topic_v3_and_below_count = additions[0].result.topic_results_count;
        out.results_by_transaction_count = 0;
    }
    request_respond(r, &out);
}

// Of several transactions with one id, Kafka takes the last one's partitions for each, and repeats the first
// one's.
static int index_ids(const struct add_partitions_to_txn_request *q, struct map *first, struct map *last)
{
    for (int32_t i = q->transactions_count - 1; i >= 0; i--)
        if (map_put(first, q->transactions[i].transactional_id, &q->transactions[i]))
            return ERR_NOMEM;
    for (int32_t i = 0; i < q->transactions_count; i++)
        if (map_put(last, q->transactions[i].transactional_id, &q->transactions[i]))
            return ERR_NOMEM;
    return 0;
}

static int take_transactions(struct request *r, struct addition *additions)
{
    const struct add_partitions_to_txn_request *q = r->message;
    struct map first = MAP_INIT, last = MAP_INIT;
    if (r->version < TRANSACTION_ADD_BROKERS_VERSION) {
        additions->about.transactional_id = q->v3_and_below_transactional_id;
        additions->about.producer_id = q->v3_and_below_producer_id;
        additions->about.producer_epoch = q->v3_and_below_producer_epoch;
        additions->topics = q->v3_and_below_topics;
        additions->topics_count = q->v3_and_below_topics_count;
        return take_topics(additions, &r->arena, q->v3_and_below_topics, q->v3_and_below_topics_count);
    }
    int rc = index_ids(q, &first, &last);
    for (int32_t i = 0; i < q->transactions_count && rc == 0; i++) {
        const struct add_partitions_to_txn_request_add_partitions_to_txn_transaction *its_first, *its_last;
        struct str id = q->transactions[i].transactional_id;
        its_first = map_get(&first, id);
        its_last = map_get(&last, id);
        additions[i].about = q->transactions[i];
        additions[i].topics = its_first->topics;
        additions[i].topics_count = its_first->topics_count;
        additions[i].result.transactional_id = id;
        rc = take_topics(&additions[i], &r->arena, its_last->topics, its_last->topics_count);
    }
    map_free(&first);
    map_free(&last);
    return rc;
}

static void refuse(struct request *r, int16_t error)
{
    struct add_partitions_to_txn_response out;
    message_init(&add_partitions_to_txn_response_type, &out);
    out.error_code = error;
    request_respond(r, &out);
}

static void handle_add_partitions_to_txn(struct request *r)
{
    const struct add_partitions_to_txn_request *q = r->message;
    struct coordinator *coordinator = broker_of(r)->transactions;
    bool from_brokers = r->version >= TRANSACTION_ADD_BROKERS_VERSION;
    int32_t count = from_brokers ? q->transactions_count : 1;
    if (from_brokers && !request_authorize(r, ACL_CLUSTER_ACTION, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME)) {
        refuse(r, E_CLUSTER_AUTHORIZATION_FAILED);
        return;
    }
    struct addition *additions = arena_zalloc(&r->arena, (size_t)count + 1, sizeof *additions);
    int32_t *shards = arena_alloc(&r->arena, ((size_t)count + 1) * sizeof *shards);
    struct coordinator_call *call = additions && shards ? coordinator_call_new(r, count, finish) : NULL;
    if (!call || take_transactions(r, additions)) {
        coordinator_call_discard(call);
        request_close(r, "out of memory for AddPartitionsToTxn");
        return;
    }
    call->context = additions;
    for (int32_t i = 0; i < count; i++) {
        check(r, &additions[i], &call->parts[i]);
        shards[i] = call->parts[i].kind < 0
                        ? COORDINATOR_CALL_ANSWERED
                        : coordinator_partition(coordinator, additions[i].about.transactional_id);
    }
    coordinator_call_run(call, coordinator, shards);
}

const struct api_handler add_partitions_to_txn_handler = {.api_key = 24,
                                                          .min_version = 0,
                                                          .max_version = 5,
                                                          .advertised_min_version = -1,
                                                          .listeners = LISTENER_BROKER,
                                                          .handle = handle_add_partitions_to_txn};
