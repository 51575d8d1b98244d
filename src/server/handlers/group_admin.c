// ListGroups, DescribeGroups, DeleteGroups: what administrators ask about groups.
#include "base/error.h"
#include "base/map.h"
#include "coordinator/group/group.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/authorized_operations.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"

static void out_of_memory(struct request *r)
{
    request_close(r, "out of memory for the response about groups");
}

// ListGroups: every shard of this broker

static void finish_list(struct coordinator_call *call)
{
    struct request *r = call->request;
    struct list_groups_response out;
    message_init(&list_groups_response_type, &out);
    int32_t count = 0;
    for (int32_t i = 0; i < call->count; i++) {
        const struct list_groups_response *part = call->parts[i].response;
        count += part ? part->groups_count : 0;
        if (!part && call->parts[i].error != E_NOT_COORDINATOR)
            out.error_code = call->parts[i].error;
    }
    out.groups = list_groups_response_listed_group_new(&r->arena, count);
    if (!out.groups) {
        out_of_memory(r);
        return;
    }
    for (int32_t i = 0; i < call->count && out.error_code == E_NONE; i++) {
        const struct list_groups_response *part = call->parts[i].response;
        for (int32_t k = 0; part && k < part->groups_count; k++)
            if (request_authorize(r, ACL_DESCRIBE, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME) ||
                request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, part->groups[k].group_id))
                out.groups[out.groups_count++] = part->groups[k];
    }
    request_respond(r, &out);
}

static void handle_list_groups(struct request *r)
{
    struct coordinator *groups = broker_of(r)->groups;
    int32_t count = coordinator_shards(groups);
    int32_t *shards = arena_alloc(&r->arena, (size_t)count * sizeof *shards);
    struct coordinator_call *call = shards ? coordinator_call_new(r, count, finish_list) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        shards[i] = i;
        call->parts[i].kind = GROUP_LIST;
        call->parts[i].message = r->message;
    }
    coordinator_call_run(call, groups, shards);
}

const struct api_handler list_groups_handler = {.api_key = 16,
                                                .min_version = 0,
                                                .max_version = 5,
                                                .advertised_min_version = -1,
                                                .listeners = LISTENER_BROKER,
                                                .handle = handle_list_groups};

// Calls that have a part for each group that the request names.

static void ask_each(struct request *r, int kind, enum acl_operation operation, const struct str *groups,
                     int32_t count, void (*finish)(struct coordinator_call *call))
{
    struct coordinator *coordinator = broker_of(r)->groups;
    int32_t *shards = arena_alloc(&r->arena, (size_t)count * sizeof *shards);
    struct coordinator_call *call = shards ? coordinator_call_new(r, count, finish) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    call->context = (void *)(uintptr_t)groups;
    for (int32_t i = 0; i < count; i++) {
        bool allowed = request_authorize(r, operation, RESOURCE_GROUP, groups[i]);
        shards[i] = allowed ? coordinator_partition(coordinator, groups[i]) : COORDINATOR_CALL_ANSWERED;
        call->parts[i].error = allowed ? E_NONE : E_GROUP_AUTHORIZATION_FAILED;
        call->parts[i].kind = kind;
        call->parts[i].message = &groups[i];
    }
    coordinator_call_run(call, coordinator, shards);
}

// DescribeGroups

#define AUTHORIZED_OPERATIONS_VERSION 3

static void finish_describe(struct coordinator_call *call)
{
    struct request *r = call->request;
    const struct describe_groups_request *q = r->message;
    const struct str *groups = call->context;
    struct describe_groups_response out;
    message_init(&describe_groups_response_type, &out);
    out.groups = describe_groups_response_described_group_new(&r->arena, call->count);
    if (!out.groups) {
        out_of_memory(r);
        return;
    }
    out.groups_count = call->count;
    for (int32_t i = 0; i < call->count; i++) {
        struct describe_groups_response_described_group *o = &out.groups[i];
        if (call->parts[i].response)
            *o = *(struct describe_groups_response_described_group *)call->parts[i].response;
        else
            o->error_code = call->parts[i].error;
        o->group_id = groups[i];
        if (o->error_code == E_NONE && q->include_authorized_operations &&
            r->version >= AUTHORIZED_OPERATIONS_VERSION)
            o->authorized_operations = authorized_group_operations(r, groups[i]);
    }
    request_respond(r, &out);
}

static void handle_describe_groups(struct request *r)
{
    const struct describe_groups_request *q = r->message;
    ask_each(r, GROUP_DESCRIBE, ACL_DESCRIBE, q->groups, q->groups_count, finish_describe);
}

const struct api_handler describe_groups_handler = {.api_key = 15,
                                                    .min_version = 0,
                                                    .max_version = 6,
                                                    .advertised_min_version = -1,
                                                    .listeners = LISTENER_BROKER,
                                                    .worker_bytes = HEAVY_REQUEST_BYTES,
                                                    .handle = handle_describe_groups};

// DeleteGroups

static void finish_delete(struct coordinator_call *call)
{
    struct request *r = call->request;
    const struct str *groups = call->context;
    struct delete_groups_response out;
    message_init(&delete_groups_response_type, &out);
    out.results = delete_groups_response_deletable_group_result_new(&r->arena, call->count);
    if (!out.results) {
        out_of_memory(r);
        return;
    }
    out.results_count = call->count;
    for (int32_t i = 0; i < call->count; i++) {
        out.results[i].group_id = groups[i];
        out.results[i].error_code = call->parts[i].error;
    }
    request_respond(r, &out);
}

static void handle_delete_groups(struct request *r)
{
    const struct delete_groups_request *q = r->message;
    struct str *names = arena_alloc(&r->arena, (size_t)q->groups_names_count * sizeof *names);
    struct map seen = MAP_INIT;
    int32_t count = 0;
    int rc = names ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < q->groups_names_count && rc == 0; i++) { // each once
        if (map_get(&seen, q->groups_names[i]))
            continue;
        names[count++] = q->groups_names[i];
        rc = map_put(&seen, q->groups_names[i], r);
    }
    map_free(&seen);
    if (rc)
        out_of_memory(r);
    else
        ask_each(r, GROUP_DELETE, ACL_DELETE, names, count, finish_delete);
}

const struct api_handler delete_groups_handler = {.api_key = 42,
                                                  .min_version = 0,
                                                  .max_version = 2,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER,
                                                  .worker_bytes = HEAVY_REQUEST_BYTES,
                                                  .handle = handle_delete_groups};
