// ConsumerGroupHeartbeat, ConsumerGroupDescribe: groups of the consumer protocol (KIP-848).
#include "coordinator/group/group.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/authorized_operations.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"

// A setting may leave the protocol out, and so may the feature level of a cluster.
static bool is_enabled(const struct request *r)
{
    return broker_of(r)->group_config.consumer_protocol &&
           image_feature_level(image_current(), STR("group.version")) >= 1;
}

static void out_of_memory(struct request *r)
{
    request_close(r, "out of memory for a request about consumer groups");
}

// ConsumerGroupHeartbeat

static void refuse_heartbeat(struct request *r, int16_t error, struct str message)
{
    struct consumer_group_heartbeat_response out;
    message_init(&consumer_group_heartbeat_response_type, &out);
    out.error_code = error;
    out.error_message = message;
    request_respond(r, &out);
}

static void finish_heartbeat(struct coordinator_call *call)
{
    struct coordinator_request *part = &call->parts[0];
    if (part->response)
        request_respond(call->request, part->response);
    else
        refuse_heartbeat(call->request, part->error, str_from(error_code_message(part->error)));
}

static bool may_see_topics(struct request *r, const struct consumer_group_heartbeat_request *q)
{
    for (int32_t i = 0; i < q->subscribed_topic_names_count; i++)
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, q->subscribed_topic_names[i]))
            return false;
    return true;
}

// Clients send one when it changes: to compile it is a worker's.
static bool has_regex(const struct request *r)
{
    const struct consumer_group_heartbeat_request *q = r->message;
    return q->subscribed_topic_regex.size > 0;
}

static void handle_heartbeat(struct request *r)
{
    const struct consumer_group_heartbeat_request *q = r->message;
    int16_t error = !is_enabled(r) ? E_UNSUPPORTED_VERSION
                    : !request_authorize(r, ACL_READ, RESOURCE_GROUP, q->group_id)
                        ? E_GROUP_AUTHORIZATION_FAILED
                        : E_NONE;
    if (error != E_NONE) {
        refuse_heartbeat(r, error, STR_NULL);
        return;
    }
    if (!may_see_topics(r, q)) {
        refuse_heartbeat(r, E_TOPIC_AUTHORIZATION_FAILED, STR_NULL);
        return;
    }
    struct coordinator_call *call = coordinator_call_new(r, 1, finish_heartbeat);
    if (!call) {
        out_of_memory(r);
        return;
    }
    if (has_regex(r)) {
        struct group_regex_verdict *verdict = arena_alloc(&r->arena, sizeof *verdict);
        if (verdict)
            *verdict = group_regex_judge(q->subscribed_topic_regex);
        call->parts[0].known = verdict;
    }
    call->parts[0].kind = GROUP_CONSUMER_HEARTBEAT;
    call->parts[0].message = q;
    coordinator_call_run_key(call, broker_of(r)->groups, q->group_id);
}

const struct api_handler consumer_group_heartbeat_handler = {.api_key = 68,
                                                             .min_version = 0,
                                                             .max_version = 1,
                                                             .advertised_min_version = -1,
                                                             .listeners = LISTENER_BROKER,
                                                             .worker_bytes = HEAVY_REQUEST_BYTES,
                                                             .is_costly = has_regex,
                                                             .handle = handle_heartbeat};

// ConsumerGroupDescribe

static void finish_describe(struct coordinator_call *call)
{
    struct request *r = call->request;
    const struct consumer_group_describe_request *q = r->message;
    struct consumer_group_describe_response out;
    message_init(&consumer_group_describe_response_type, &out);
    out.groups = consumer_group_describe_response_described_group_new(&r->arena, call->count);
    if (!out.groups) {
        out_of_memory(r);
        return;
    }
    out.groups_count = call->count;
    for (int32_t i = 0; i < call->count; i++) {
        struct consumer_group_describe_response_described_group *o = &out.groups[i];
        if (call->parts[i].response)
            *o = *(struct consumer_group_describe_response_described_group *)call->parts[i].response;
        else
            o->error_code = call->parts[i].error;
        o->group_id = q->group_ids[i];
        if (o->error_code == E_NONE && q->include_authorized_operations)
            o->authorized_operations = authorized_group_operations(r, o->group_id);
    }
    request_respond(r, &out);
}

static void refuse_describe(struct request *r, int16_t error)
{
    const struct consumer_group_describe_request *q = r->message;
    struct consumer_group_describe_response out;
    message_init(&consumer_group_describe_response_type, &out);
    out.groups = consumer_group_describe_response_described_group_new(&r->arena, q->group_ids_count);
    if (!out.groups) {
        out_of_memory(r);
        return;
    }
    for (; out.groups_count < q->group_ids_count; out.groups_count++) {
        out.groups[out.groups_count].group_id = q->group_ids[out.groups_count];
        out.groups[out.groups_count].error_code = error;
    }
    request_respond(r, &out);
}

static void handle_describe(struct request *r)
{
    const struct consumer_group_describe_request *q = r->message;
    struct coordinator *groups = broker_of(r)->groups;
    if (!is_enabled(r)) {
        refuse_describe(r, E_UNSUPPORTED_VERSION);
        return;
    }
    int32_t *shards = arena_alloc(&r->arena, (size_t)q->group_ids_count * sizeof *shards);
    struct coordinator_call *call =
        shards ? coordinator_call_new(r, q->group_ids_count, finish_describe) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    for (int32_t i = 0; i < call->count; i++) {
        bool allowed = request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, q->group_ids[i]);
        shards[i] = allowed && q->group_ids[i].size > 0 ? coordinator_partition(groups, q->group_ids[i])
                                                        : COORDINATOR_CALL_ANSWERED;
        call->parts[i].error = allowed ? E_INVALID_GROUP_ID : E_GROUP_AUTHORIZATION_FAILED;
        call->parts[i].kind = GROUP_CONSUMER_DESCRIBE;
        call->parts[i].message = &q->group_ids[i];
    }
    coordinator_call_run(call, groups, shards);
}

const struct api_handler consumer_group_describe_handler = {.api_key = 69,
                                                            .min_version = 0,
                                                            .max_version = 1,
                                                            .advertised_min_version = -1,
                                                            .listeners = LISTENER_BROKER,
                                                            .worker_bytes = 1, // a group may be large
                                                            .handle = handle_describe};
