// InitProducerId and EndTxn: how a producer's transactions begin and end.
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"
#include "server/producer_ids.h"

// Clients of versions before these do not know PRODUCER_FENCED.
#define INIT_FENCED_VERSION 4
#define END_FENCED_VERSION  2

static int16_t for_version(const struct request *r, int16_t error, int16_t fenced_version)
{
    return error == E_PRODUCER_FENCED && r->version < fenced_version ? E_INVALID_PRODUCER_EPOCH : error;
}

// InitProducerId

static void respond_init(struct request *r, int16_t error, int64_t producer_id)
{
    struct init_producer_id_response out;
    message_init(&init_producer_id_response_type, &out);
    out.error_code = for_version(r, error, INIT_FENCED_VERSION);
    out.producer_id = producer_id;
    out.producer_epoch = error == E_NONE ? 0 : -1;
    request_respond(r, &out);
}

static void finish_init(struct coordinator_call *call)
{
    const struct coordinator_request *part = &call->parts[0];
    if (part->response)
        request_respond(call->request, part->response);
    else
        respond_init(call->request, part->error, -1);
}

static void init_transactional(struct request *r, const struct init_producer_id_request *q)
{
    struct coordinator_call *call = coordinator_call_new(r, 1, finish_init);
    if (!call) {
        request_close(r, "out of memory for InitProducerId");
        return;
    }
    call->parts[0].kind = TRANSACTION_INIT;
    call->parts[0].message = q;
    coordinator_call_run_key(call, broker_of(r)->transactions, q->transactional_id);
}

static void handle_init_producer_id(struct request *r)
{
    const struct init_producer_id_request *q = r->message;
    bool transactional = q->transactional_id.data != NULL;
    if (!transactional &&
        !request_authorize(r, ACL_IDEMPOTENT_WRITE, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME)) {
        respond_init(r, E_CLUSTER_AUTHORIZATION_FAILED, -1);
    } else if (transactional &&
               !request_authorize(r, ACL_WRITE, RESOURCE_TRANSACTIONAL_ID, q->transactional_id)) {
        respond_init(r, E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, -1);
    } else if ((q->producer_id == -1) != (q->producer_epoch == -1) ||
               (transactional && q->transactional_id.size == 0)) {
        respond_init(r, E_INVALID_REQUEST, -1);
    } else if (transactional) {
        init_transactional(r, q);
    } else {
        int64_t producer_id = -1;
        int16_t error = producer_ids_take(broker_of(r)->producer_ids, &producer_id);
        respond_init(r, error, producer_id);
    }
}

const struct api_handler init_producer_id_handler = {.api_key = 22,
                                                     .min_version = 0,
                                                     .max_version = 5,
                                                     .advertised_min_version = -1,
                                                     .listeners = LISTENER_BROKER,
                                                     .handle = handle_init_producer_id};

// EndTxn

static void respond_end(struct request *r, int16_t error)
{
    struct end_txn_response out;
    message_init(&end_txn_response_type, &out);
    out.error_code = for_version(r, error, END_FENCED_VERSION);
    request_respond(r, &out);
}

static void finish_end(struct coordinator_call *call)
{
    const struct coordinator_request *part = &call->parts[0];
    if (part->response)
        request_respond(call->request, part->response);
    else
        respond_end(call->request, part->error);
}

static void handle_end_txn(struct request *r)
{
    const struct end_txn_request *q = r->message;
    if (!request_authorize(r, ACL_WRITE, RESOURCE_TRANSACTIONAL_ID, q->transactional_id)) {
        respond_end(r, E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        return;
    }
    if (q->transactional_id.size == 0) {
        respond_end(r, E_INVALID_REQUEST);
        return;
    }
    struct coordinator_call *call = coordinator_call_new(r, 1, finish_end);
    if (!call) {
        request_close(r, "out of memory for EndTxn");
        return;
    }
    call->parts[0].kind = TRANSACTION_END;
    call->parts[0].message = q;
    coordinator_call_run_key(call, broker_of(r)->transactions, q->transactional_id);
}

const struct api_handler end_txn_handler = {.api_key = 26,
                                            .min_version = 0,
                                            .max_version = 5,
                                            .advertised_min_version = -1,
                                            .listeners = LISTENER_BROKER,
                                            .handle = handle_end_txn};
