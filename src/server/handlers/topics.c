// CreateTopics, DeleteTopics and CreatePartitions: decided by the controller.
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"

#define DELETE_BY_ID_VERSION 6

static void refuse_create(struct request *r, int16_t error)
{
    const struct create_topics_request *q = r->message;
    struct create_topics_response out;
    message_init(&create_topics_response_type, &out);
    out.topics = create_topics_response_creatable_topic_result_new(&r->arena, q->topics_count);
    if (!out.topics) {
        request_close(r, "out of memory for the response to CreateTopics");
        return;
    }
    out.topics_count = q->topics_count;
    for (int32_t i = 0; i < q->topics_count; i++) {
        out.topics[i].name = q->topics[i].name;
        out.topics[i].error_code = error;
        out.topics[i].error_message = refusal_text(error);
    }
    request_respond(r, &out);
}

static void handle_create_topics(struct request *r)
{
    forward_to_controller(r, refuse_create);
}

const struct api_handler create_topics_handler = {.api_key = 19,
                                                  .min_version = 2,
                                                  .max_version = 7,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                  .handle = handle_create_topics,
                                                  .worker_bytes = HEAVY_REQUEST_BYTES};

static void refuse_delete(struct request *r, int16_t error)
{
    const struct delete_topics_request *q = r->message;
    bool by_id = r->version >= DELETE_BY_ID_VERSION;
    int32_t count = by_id ? q->topics_count : q->topic_names_count;
    struct delete_topics_response out;
    message_init(&delete_topics_response_type, &out);
    out.responses = delete_topics_response_deletable_topic_result_new(&r->arena, count);
    if (!out.responses) {
        request_close(r, "out of memory for the response to DeleteTopics");
        return;
    }
    out.responses_count = count;
    for (int32_t i = 0; i < count; i++) {
        out.responses[i].name = by_id ? q->topics[i].name : q->topic_names[i];
        if (by_id)
            out.responses[i].topic_id = q->topics[i].topic_id;
        out.responses[i].error_code = error;
        out.responses[i].error_message = refusal_text(error);
    }
    request_respond(r, &out);
}

static void handle_delete_topics(struct request *r)
{
    const struct delete_topics_request *q = r->message;
    forward_in_time(r, q->timeout_ms, refuse_delete);
}

const struct api_handler delete_topics_handler = {.api_key = 20,
                                                  .min_version = 1,
                                                  .max_version = 6,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                  .handle = handle_delete_topics,
                                                  .worker_bytes = HEAVY_REQUEST_BYTES};

static void refuse_create_partitions(struct request *r, int16_t error)
{
    const struct create_partitions_request *q = r->message;
    struct create_partitions_response out;
    message_init(&create_partitions_response_type, &out);
    out.results = create_partitions_response_create_partitions_topic_result_new(&r->arena, q->topics_count);
    if (!out.results) {
        request_close(r, "out of memory for the response to CreatePartitions");
        return;
    }
    out.results_count = q->topics_count;
    for (int32_t i = 0; i < q->topics_count; i++) {
        out.results[i].name = q->topics[i].name;
        out.results[i].error_code = error;
        out.results[i].error_message = refusal_text(error);
    }
    request_respond(r, &out);
}

static void handle_create_partitions(struct request *r)
{
    const struct create_partitions_request *q = r->message;
    forward_in_time(r, q->timeout_ms, refuse_create_partitions);
}

const struct api_handler create_partitions_handler = {.api_key = 37,
                                                      .min_version = 0,
                                                      .max_version = 3,
                                                      .advertised_min_version = -1,
                                                      .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                      .handle = handle_create_partitions,
                                                      .worker_bytes = HEAVY_REQUEST_BYTES};
