// DescribeAcls, CreateAcls, DeleteAcls. Nobody keeps ACLs yet: each is answered as by a Kafka without an
// authorizer, which tools and MirrorMaker take for what it is.
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/handlers.h"
#include "server/request.h"

#define UNKNOWN 0 // of resource types, pattern types, operations and permission types

static bool any_unknown(int8_t resource, int8_t pattern, int8_t operation, int8_t permission)
{
    return resource == UNKNOWN || pattern == UNKNOWN || operation == UNKNOWN || permission == UNKNOWN;
}

// As Kafka, which takes such a request for one that it cannot read.
static void close_unknown(struct request *r)
{
    request_close(r, "the request names an unknown resource, pattern, operation or permission");
}

static int16_t refusal(struct request *r, enum acl_operation operation, struct str *message)
{
    bool allowed = request_authorize(r, operation, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME);
    int16_t error = allowed ? E_SECURITY_DISABLED : E_CLUSTER_AUTHORIZATION_FAILED;
    *message = allowed ? STR("No Authorizer is configured.") : str_from(error_code_message(error));
    return error;
}

static void handle_describe(struct request *r)
{
    const struct describe_acls_request *q = r->message;
    struct describe_acls_response out;
    message_init(&describe_acls_response_type, &out);
    if (any_unknown(q->resource_type_filter, q->pattern_type_filter, q->operation, q->permission_type)) {
        close_unknown(r);
        return;
    }
    out.error_code = refusal(r, ACL_DESCRIBE, &out.error_message);
    if (out.error_code == E_SECURITY_DISABLED)
        out.error_message = STR("No Authorizer is configured on the broker");
    request_respond(r, &out);
}

static void handle_create(struct request *r)
{
    const struct create_acls_request *q = r->message;
    struct create_acls_response out;
    struct str message;
    int16_t error = refusal(r, ACL_ALTER, &message);
    message_init(&create_acls_response_type, &out);
    out.results = create_acls_response_acl_creation_result_new(&r->arena, q->creations_count);
    if (!out.results) {
        request_close(r, "out of memory for the response to CreateAcls");
        return;
    }
    for (int32_t i = 0; i < q->creations_count; i++) {
        const struct create_acls_request_acl_creation *c = &q->creations[i];
        if (any_unknown(c->resource_type, c->resource_pattern_type, c->operation, c->permission_type)) {
            close_unknown(r);
            return;
        }
        out.results[i].error_code = error;
        out.results[i].error_message = message;
    }
    out.results_count = q->creations_count;
    request_respond(r, &out);
}

static void handle_delete(struct request *r)
{
    const struct delete_acls_request *q = r->message;
    struct delete_acls_response out;
    struct str message;
    int16_t error = refusal(r, ACL_ALTER, &message);
    message_init(&delete_acls_response_type, &out);
    out.filter_results = delete_acls_response_delete_acls_filter_result_new(&r->arena, q->filters_count);
    if (!out.filter_results) {
        request_close(r, "out of memory for the response to DeleteAcls");
        return;
    }
    for (int32_t i = 0; i < q->filters_count; i++) {
        const struct delete_acls_request_delete_acls_filter *f = &q->filters[i];
        if (any_unknown(f->resource_type_filter, f->pattern_type_filter, f->operation, f->permission_type)) {
            close_unknown(r);
            return;
        }
        out.filter_results[i].error_code = error;
        out.filter_results[i].error_message = message;
    }
    out.filter_results_count = q->filters_count;
    request_respond(r, &out);
}

const struct api_handler describe_acls_handler = {.api_key = 29,
                                                  .min_version = 1,
                                                  .max_version = 3,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                  .handle = handle_describe};

const struct api_handler create_acls_handler = {.api_key = 30,
                                                .min_version = 1,
                                                .max_version = 3,
                                                .advertised_min_version = -1,
                                                .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                .handle = handle_create};

const struct api_handler delete_acls_handler = {.api_key = 31,
                                                .min_version = 1,
                                                .max_version = 3,
                                                .advertised_min_version = -1,
                                                .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                .handle = handle_delete};
