// JoinGroup, SyncGroup, Heartbeat, LeaveGroup: what members of groups send.
#include "base/error.h"
#include "coordinator/group/group.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"

// One part, answered by the group's shard.
static void ask_group(struct request *r, int kind, const void *message, struct str group,
                      void (*finish)(struct coordinator_call *call))
{
    struct coordinator_call *call = coordinator_call_new(r, 1, finish);
    if (!call) {
        request_close(r, "out of memory for a request to a group");
        return;
    }
    call->parts[0].kind = kind;
    call->parts[0].message = message;
    call->may_wait_long = true;
    coordinator_call_run_key(call, broker_of(r)->groups, group);
}

// JoinGroup

#define PROTOCOL_NAME_NULL_VERSION 7

// No protocol, or one without a name, is an empty one at first, and none later.
static void respond_join(struct request *r, struct join_group_response *out)
{
    if (out->protocol_name.size == 0)
        out->protocol_name = r->version < PROTOCOL_NAME_NULL_VERSION ? STR("") : STR_NULL;
    request_respond(r, out);
}

static void refuse_join(struct request *r, int16_t error, struct str member_id)
{
    struct join_group_response out;
    message_init(&join_group_response_type, &out);
    out.error_code = error;
    out.protocol_name = STR_NULL;
    out.member_id = member_id;
    respond_join(r, &out);
}

static void finish_join(struct coordinator_call *call)
{
    struct coordinator_request *part = &call->parts[0];
    if (part->response)
        respond_join(call->request, part->response);
    else if (part->error != E_NONE)
        refuse_join(call->request, part->error, STR(""));
    else
        request_close(call->request, NULL); // the member has joined again meanwhile
}

static void handle_join_group(struct request *r)
{
    const struct join_group_request *q = r->message;
    const struct group_config *c = &broker_of(r)->group_config;
    if (!request_authorize(r, ACL_READ, RESOURCE_GROUP, q->group_id))
        refuse_join(r, E_GROUP_AUTHORIZATION_FAILED, STR(""));
    else if (q->group_id.size == 0)
        refuse_join(r, E_INVALID_GROUP_ID, q->member_id);
    else if (q->session_timeout_ms < c->min_session_timeout_ms ||
             q->session_timeout_ms > c->max_session_timeout_ms)
        refuse_join(r, E_INVALID_SESSION_TIMEOUT, q->member_id);
    else
        ask_group(r, GROUP_JOIN, q, q->group_id, finish_join);
}

const struct api_handler join_group_handler = {.api_key = 11,
                                               .min_version = 0,
                                               .max_version = 9,
                                               .advertised_min_version = -1,
                                               .listeners = LISTENER_BROKER,
                                               .handle = handle_join_group};

// SyncGroup

#define PROTOCOL_REQUIRED_VERSION 5 // KIP-559

static void refuse_sync(struct request *r, int16_t error)
{
    struct sync_group_response out;
    message_init(&sync_group_response_type, &out);
    out.error_code = error;
    request_respond(r, &out);
}

static void finish_sync(struct coordinator_call *call)
{
    struct coordinator_request *part = &call->parts[0];
    if (part->response)
        request_respond(call->request, part->response);
    else if (part->error != E_NONE)
        refuse_sync(call->request, part->error);
    else
        request_close(call->request, NULL); // the member has synced again, or is gone
}

static void handle_sync_group(struct request *r)
{
    const struct sync_group_request *q = r->message;
    if (r->version >= PROTOCOL_REQUIRED_VERSION && (!q->protocol_type.data || !q->protocol_name.data))
        refuse_sync(r, E_INCONSISTENT_GROUP_PROTOCOL);
    else if (!request_authorize(r, ACL_READ, RESOURCE_GROUP, q->group_id))
        refuse_sync(r, E_GROUP_AUTHORIZATION_FAILED);
    else if (q->group_id.size == 0)
        refuse_sync(r, E_INVALID_GROUP_ID);
    else
        ask_group(r, GROUP_SYNC, q, q->group_id, finish_sync);
}

const struct api_handler sync_group_handler = {.api_key = 14,
                                               .min_version = 0,
                                               .max_version = 5,
                                               .advertised_min_version = -1,
                                               .listeners = LISTENER_BROKER,
                                               .handle = handle_sync_group};

// Heartbeat

static void refuse_heartbeat(struct request *r, int16_t error)
{
    struct heartbeat_response out;
    message_init(&heartbeat_response_type, &out);
    out.error_code = error == E_COORDINATOR_LOAD_IN_PROGRESS ? E_NONE : error; // it cannot be known yet
    request_respond(r, &out);
}

static void finish_heartbeat(struct coordinator_call *call)
{
    struct coordinator_request *part = &call->parts[0];
    if (part->response)
        request_respond(call->request, part->response);
    else
        refuse_heartbeat(call->request, part->error);
}

static void handle_heartbeat(struct request *r)
{
    const struct heartbeat_request *q = r->message;
    if (!request_authorize(r, ACL_READ, RESOURCE_GROUP, q->group_id))
        refuse_heartbeat(r, E_GROUP_AUTHORIZATION_FAILED);
    else if (q->group_id.size == 0)
        refuse_heartbeat(r, E_INVALID_GROUP_ID);
    else
        ask_group(r, GROUP_HEARTBEAT, q, q->group_id, finish_heartbeat);
}

const struct api_handler heartbeat_handler = {.api_key = 12,
                                              .min_version = 0,
                                              .max_version = 4,
                                              .advertised_min_version = -1,
                                              .listeners = LISTENER_BROKER,
                                              .handle = handle_heartbeat};

// LeaveGroup

#define BATCHED_LEAVE_VERSION 3

static void respond_leave(struct request *r, struct leave_group_response *out)
{
    if (r->version < BATCHED_LEAVE_VERSION) {
        if (out->error_code == E_NONE && out->members_count == 1)
            out->error_code = out->members[0].error_code;
        out->members_count = 0;
    }
    request_respond(r, out);
}

static void refuse_leave(struct request *r, int16_t error)
{
    struct leave_group_response out;
    message_init(&leave_group_response_type, &out);
    out.error_code = error;
    respond_leave(r, &out);
}

static void finish_leave(struct coordinator_call *call)
{
    struct coordinator_request *part = &call->parts[0];
    if (part->response)
        respond_leave(call->request, part->response);
    else
        refuse_leave(call->request, part->error);
}

// Earlier versions name one member, later ones any number.
static const struct leave_group_request *batched(struct request *r)
{
    const struct leave_group_request *q = r->message;
    if (r->version >= BATCHED_LEAVE_VERSION)
        return q;
    struct leave_group_request *one = leave_group_request_new(&r->arena, 1);
    if (!one || !(one->members = leave_group_request_member_identity_new(&r->arena, 1)))
        return NULL;
    one->group_id = q->group_id;
    one->members[0].member_id = q->member_id;
    one->members_count = 1;
    return one;
}

static void handle_leave_group(struct request *r)
{
    const struct leave_group_request *q = batched(r);
    if (!q)
        request_close(r, "out of memory for LeaveGroup");
    else if (!request_authorize(r, ACL_READ, RESOURCE_GROUP, q->group_id))
        refuse_leave(r, E_GROUP_AUTHORIZATION_FAILED);
    else if (q->group_id.size == 0)
        refuse_leave(r, E_INVALID_GROUP_ID);
    else
        ask_group(r, GROUP_LEAVE, q, q->group_id, finish_leave);
}

const struct api_handler leave_group_handler = {.api_key = 13,
                                                .min_version = 0,
                                                .max_version = 5,
                                                .advertised_min_version = -1,
                                                .listeners = LISTENER_BROKER,
                                                .worker_bytes = HEAVY_REQUEST_BYTES,
                                                .handle = handle_leave_group};
