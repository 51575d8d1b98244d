// DescribeProducers (KIP-664): what a partition knows of its producers.
#include "base/error.h"
#include "base/java_order.h"
#include "metadata/image.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/cold_logs.h"
#include "server/handlers/handlers.h"

#include <stdlib.h>

static int by_id(const void *a, const void *b)
{
    const struct log_producer *x = a, *y = b;
    return (x->producer_id > y->producer_id) - (x->producer_id < y->producer_id);
}

// In Kafka's order, which has them in a HashMap.
static int order_producers(struct request *r, struct log_producer *producers, size_t count, size_t **order)
{
    int64_t *ids = arena_alloc(&r->arena, (count + 1) * sizeof *ids);
    if (!ids)
        return ERR_NOMEM;
    qsort(producers, count, sizeof *producers, by_id); // for those of one slot
    for (size_t i = 0; i < count; i++)
        ids[i] = producers[i].producer_id;
    return java_sized_map_order(ids, count, JAVA_MAP_SIZE, &r->arena, order);
}

static int fill_producers(struct request *r, struct partition *p,
                          struct describe_producers_response_partition_response *out)
{
    struct log_producer *producers;
    size_t count;
    (void)log_load(p->log); // not under its lock
    log_lock(p->log);
    int rc = log_producers(p->log, &producers, &count);
    log_unlock(p->log);
    size_t *order = NULL;
    if (rc == 0)
        rc = order_producers(r, producers, count, &order);
    if (rc) {
        free(producers);
        return rc;
    }
    out->active_producers = describe_producers_response_producer_state_new(&r->arena, (int32_t)count);
    if (out->active_producers) {
        out->active_producers_count = (int32_t)count;
        for (size_t i = 0; i < count; i++) {
            struct describe_producers_response_producer_state *o = &out->active_producers[i];
            const struct log_producer *from = &producers[order[i]];
            o->producer_id = from->producer_id;
            o->producer_epoch = from->producer_epoch;
            o->last_sequence = from->last_sequence;
            o->last_timestamp = from->last_timestamp_ms;
            o->coordinator_epoch = from->coordinator_epoch;
            o->current_txn_start_offset = from->transaction_start_offset;
        }
    }
    free(producers);
    return out->active_producers ? 0 : ERR_NOMEM;
}

static int describe_topic(struct request *r, const struct describe_producers_request_topic_request *q,
                          struct describe_producers_response_topic_response *out)
{
    struct broker *b = broker_of(r);
    out->name = q->name;
    out->partitions =
        describe_producers_response_partition_response_new(&r->arena, q->partition_indexes_count);
    if (!out->partitions)
        return ERR_NOMEM;
    out->partitions_count = q->partition_indexes_count;
    struct str problem = topic_name_problem(q->name, &r->arena);
    const struct image_topic *topic = image_topic(image_current(), q->name);
    int16_t error = problem.data                                               ? E_INVALID_TOPIC_EXCEPTION
                    : !request_authorize(r, ACL_READ, RESOURCE_TOPIC, q->name) ? E_TOPIC_AUTHORIZATION_FAILED
                    : !topic                                                   ? E_UNKNOWN_TOPIC_OR_PARTITION
                                                                               : E_NONE;
    for (int32_t i = 0; i < q->partition_indexes_count; i++) {
        struct describe_producers_response_partition_response *o = &out->partitions[i];
        o->partition_index = q->partition_indexes[i];
        o->error_code = error;
        if (error != E_NONE) {
            o->error_message = problem.data ? problem : str_from(error_code_message(error));
            continue;
        }
        struct partition *p = replica_manager_find(b->replicas, topic, o->partition_index, &o->error_code);
        int rc = p ? fill_producers(r, p, o) : 0;
        partition_unref(p);
        if (rc == ERR_NOMEM)
            return rc;
        if (rc)
            o->error_code = E_KAFKA_STORAGE_ERROR;
    }
    return 0;
}

static void handle_describe_producers(struct request *r)
{
    const struct describe_producers_request *q = r->message;
    struct describe_producers_response out;
    message_init(&describe_producers_response_type, &out);
    out.topics = describe_producers_response_topic_response_new(&r->arena, q->topics_count);
    int rc = out.topics ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++) {
        rc = describe_topic(r, &q->topics[i], &out.topics[i]);
        out.topics_count++;
    }
    if (rc)
        request_close(r, "out of memory for the response to DescribeProducers");
    else
        request_respond(r, &out);
}

static void name_described(const struct request *r, struct cold_logs *cold)
{
    const struct describe_producers_request *q = r->message;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct image_topic *topic = image_topic(image_current(), q->topics[i].name);
        for (int32_t k = 0; k < q->topics[i].partition_indexes_count; k++)
            cold_logs_add(cold, topic, q->topics[i].partition_indexes[k]);
    }
}

// A partition may know any number of producers.
const struct api_handler describe_producers_handler = {.api_key = 61,
                                                       .min_version = 0,
                                                       .max_version = 0,
                                                       .advertised_min_version = -1,
                                                       .listeners = LISTENER_BROKER,
                                                       .worker_bytes = 1,
                                                       .cold_logs = name_described,
                                                       .handle = handle_describe_producers};
