// DescribeProducers (KIP-664): what a partition knows of its producers.
#include "base/error.h"
#include "metadata/image.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/handlers.h"

#include <stdlib.h>

static int fill_producers(struct request *r, struct partition *p,
                          struct describe_producers_response_partition_response *out)
{
    struct log_producer *producers;
    size_t count;
    log_lock(p->log);
    int rc = log_producers(p->log, &producers, &count);
    log_unlock(p->log);
    if (rc)
        return rc;
    out->active_producers = describe_producers_response_producer_state_new(&r->arena, (int32_t)count);
    if (out->active_producers) {
        out->active_producers_count = (int32_t)count;
        for (size_t i = 0; i < count; i++) {
            struct describe_producers_response_producer_state *o = &out->active_producers[i];
            o->producer_id = producers[i].producer_id;
            o->producer_epoch = producers[i].producer_epoch;
            o->last_sequence = producers[i].last_sequence;
            o->last_timestamp = producers[i].last_timestamp_ms;
            o->coordinator_epoch = producers[i].coordinator_epoch;
            o->current_txn_start_offset = producers[i].transaction_start_offset;
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

const struct api_handler describe_producers_handler = {.api_key = 61,
                                                       .min_version = 0,
                                                       .max_version = 0,
                                                       .advertised_min_version = -1,
                                                       .listeners = LISTENER_BROKER,
                                                       .worker_bytes = HEAVY_REQUEST_BYTES,
                                                       .handle = handle_describe_producers};
