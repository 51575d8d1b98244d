// ElectLeaders: decided by the controller.
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"

#define ERROR_VERSION 1 // responses have an error of their own

static bool refuse_topic(struct request *r, const struct elect_leaders_request_topic_partitions *q,
                         int16_t error, struct elect_leaders_response_replica_election_result *out)
{
    out->topic = q->topic;
    out->partition_result = elect_leaders_response_partition_result_new(&r->arena, q->partitions_count);
    if (!out->partition_result)
        return false;
    out->partition_result_count = q->partitions_count;
    for (int32_t i = 0; i < q->partitions_count; i++) {
        out->partition_result[i].partition_id = q->partitions[i];
        out->partition_result[i].error_code = error;
        out->partition_result[i].error_message = refusal_text(error);
    }
    return true;
}

static void refuse(struct request *r, int16_t error)
{
    const struct elect_leaders_request *q = r->message;
    struct elect_leaders_response out;
    int32_t count = q->topic_partitions_count > 0 ? q->topic_partitions_count : 0;
    message_init(&elect_leaders_response_type, &out);
    if (r->version >= ERROR_VERSION)
        out.error_code = error;
    out.replica_election_results = elect_leaders_response_replica_election_result_new(&r->arena, count);
    bool filled = out.replica_election_results;
    for (int32_t i = 0; i < count && filled; i++)
        filled = refuse_topic(r, &q->topic_partitions[i], error,
                              &out.replica_election_results[out.replica_election_results_count++]);
    if (filled)
        request_respond(r, &out);
    else
        request_close(r, "out of memory for the response to ElectLeaders");
}

static void handle_elect_leaders(struct request *r)
{
    const struct elect_leaders_request *q = r->message;
    if (!request_authorize(r, ACL_ALTER, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME))
        refuse(r, E_CLUSTER_AUTHORIZATION_FAILED);
    else if (q->topic_partitions_count == 0) // nothing to do takes no time
        forward_to_controller(r, refuse);
    else
        forward_in_time(r, q->timeout_ms, refuse);
}

const struct api_handler elect_leaders_handler = {.api_key = 43,
                                                  .min_version = 0,
                                                  .max_version = 2,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                  .worker_bytes = HEAVY_REQUEST_BYTES,
                                                  .handle = handle_elect_leaders};
