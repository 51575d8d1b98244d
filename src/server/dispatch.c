#include "server/dispatch.h"

#include <assert.h>

#include "base/error.h"
#include "protocol/api.h"
#include "protocol/messages.h"
#include "server/cold_logs.h"
#include "server/connection.h"
#include "server/offload.h"
#include "server/request_log.h"
#include "server/throttle.h"

#define API_VERSIONS_KEY 18

// Decoding takes 5 to 10 us a KB where a request is made of small things. What may take long is decoded by a
// worker; but a large Produce is mostly records, which are not looked into: it is tried with so much memory
// first, as the lists of a few hundred partitions take (names and unknown tagged fields count, too).
#define DECODE_HERE_BYTES        (32 * 1024)
#define DECODE_HERE_MEMORY_BYTES (64 * 1024)

// A request may ask for this much memory to be decoded into, beside the codec's own limit per byte: real ones
// need less, ones that are made to need more are refused.
#define DECODE_MEMORY_BYTES    (1 << 20)
#define DECODE_MEMORY_PER_BYTE 16

void api_table_add(struct api_table *table, const struct api_handler *handler)
{
    const struct api *api = api_find(handler->api_key);
    assert(handler->api_key >= 0 && handler->api_key < API_KEY_LIMIT && !table->handlers[handler->api_key]);
    assert(api && message_has_version(api->request, handler->min_version) &&
           message_has_version(api->request, handler->max_version));
    assert(message_has_version(api->response, handler->min_version) &&
           message_has_version(api->response, handler->max_version));
    table->handlers[handler->api_key] = handler;
}

const struct api_handler *api_table_find(const struct api_table *table, int16_t api_key,
                                         enum listener_kind kind)
{
    if (api_key < 0 || api_key >= API_KEY_LIMIT)
        return NULL;
    const struct api_handler *handler = table->handlers[api_key];
    return handler && (handler->listeners & (unsigned)kind) ? handler : NULL;
}

// Of the arena: for the message's struct and what hangs on it.
static size_t memory_limit(const struct message_type *type, size_t frame_bytes)
{
    size_t lists = MESSAGE_MEMORY_FACTOR * frame_bytes;
    size_t most = DECODE_MEMORY_BYTES + DECODE_MEMORY_PER_BYTE * frame_bytes;
    return 2048 + type->size_bytes + (lists < most ? lists : most);
}

// Decodes the header; *used is where the body starts. Returns 0 or the codec's error.
static int decode_header(struct request *request, const struct api *api, int16_t version, struct bytes frame,
                         size_t *used, struct message_error *why)
{
    struct request_header header;
    int err = message_decode_explain(&request_header_type, api_request_header_version(api, version), frame,
                                     &request->arena, &header, used, why);
    if (err)
        return err;
    request->correlation_id = header.correlation_id;
    request->client_id = header.client_id;
    return 0;
}

static int decode_body(struct request *request, const struct api *api, struct bytes body,
                       struct message_error *why)
{
    void *message = arena_alloc(&request->arena, api->request->size_bytes);
    if (!message)
        return ERR_NOMEM;
    request->message = message;
    if (request->is_from_future) {
        message_init(api->request, message);
        return 0;
    }
    // Like Kafka, bytes behind the message are nobody's business.
    size_t used;
    return message_decode_explain(api->request, request->version, body, &request->arena, message, &used, why);
}

static int decode(struct request *request, struct bytes frame, size_t most_bytes, struct undecodable *why)
{
    const struct api *api = api_find(request->api->api_key);
    int16_t version = (int16_t)load_be16(frame.data + 2); // request->version, unless it is from the future
    size_t used = 0;
    *why = (struct undecodable){.part = "header"};
    request->arena.limit_bytes = request->arena.used_bytes + most_bytes;
    int err = decode_header(request, api, version, frame, &used, &why->error);
    if (!err) {
        why->part = "body";
        err = decode_body(request, api, (struct bytes){frame.data + used, frame.size - used}, &why->error);
    }
    request->arena.limit_bytes = 0;
    if (!err && request_log_is_on() && !request->is_own)
        request_log_begin(request);
    return why->code = err;
}

int dispatch_decode(struct request *request, struct bytes frame, struct undecodable *why)
{
    return decode(request, frame, memory_limit(api_find(request->api->api_key)->request, frame.size), why);
}

// Whether that is no work for a worker: then it is done, *why says with which result.
static bool decode_here(struct request *request, struct bytes frame, struct undecodable *why)
{
    if (frame.size < DECODE_HERE_BYTES) {
        dispatch_decode(request, frame, why);
        return true;
    }
    if (!request->api->collects)
        return false;
    if (decode(request, frame, DECODE_HERE_MEMORY_BYTES, why) != ERR_NOMEM)
        return true;
    arena_reset(&request->arena);
    return false;
}

void dispatch_refuse(struct request *request, const struct undecodable *why)
{
    const struct message_error *e = &why->error;
    connection_close(request->connection,
                     "the %s of a request (%s version %d, %zu bytes) cannot be read: %s%s%s: %s", why->part,
                     api_find(request->api->api_key)->name, request->version, request->size_bytes,
                     e->structure ? e->structure : "", e->field ? "." : "", e->field ? e->field : "",
                     e->reason ? e->reason : err_text(why->code));
}

// The handler for what the frame begins with, or NULL, and the connection is closed with the reason.
static const struct api_handler *find_handler(struct connection *c, struct bytes frame, int16_t *version,
                                              bool *is_from_future)
{
    if (frame.size < 4) {
        connection_close(c, "a request of %zu bytes is too short for a header", frame.size);
        return NULL;
    }
    int16_t key = (int16_t)load_be16(frame.data);
    *version = (int16_t)load_be16(frame.data + 2);
    const struct api_handler *handler =
        api_table_find(reactors_apis(c->state->reactor.group), key, c->listener->kind);
    if (!handler) {
        const struct api *api = api_find(key);
        connection_close(c, "API key %d (%s) is not served on this listener", key,
                         api ? api->name : "unknown");
        return NULL;
    }
    bool served = *version >= handler->min_version && *version <= handler->max_version;
    *is_from_future = !served && key == API_VERSIONS_KEY;
    if (!served && !*is_from_future) {
        connection_close(c, "%s version %d is not supported (%d to %d are)", api_find(key)->name, *version,
                         handler->min_version, handler->max_version);
        return NULL;
    }
    return handler;
}

bool dispatch_is_costly(const struct request *request)
{
    const struct api_handler *api = request->api;
    return (api->worker_bytes > 0 && request->size_bytes >= api->worker_bytes) ||
           (api->is_costly && api->is_costly(request));
}

void dispatch_handle(struct request *request)
{
    if (!request->api->collects)
        reactor_settle(request->reactor);
    throttle_begin(request);
    if (!cold_logs_load(request)) {
        if (dispatch_is_costly(request))
            offload_handle(request);
        else
            request->api->handle(request);
    }
    throttle_pause(request);
    if (request->log)
        request_log_handled(request);
}

void dispatch_frame(struct connection *c, struct bytes frame)
{
    int16_t version;
    bool is_from_future;
    const struct api_handler *handler = find_handler(c, frame, &version, &is_from_future);
    if (!handler)
        return;
    struct request *request = request_new(c);
    if (!request) {
        connection_close(c, "no memory for a request");
        return;
    }
    request->api = handler;
    request->version = is_from_future ? 0 : version;
    request->is_from_future = is_from_future;
    request->size_bytes = frame.size;
    struct undecodable why;
    bool is_decoded = decode_here(request, frame, &why);
    if (is_decoded && why.code) {
        dispatch_refuse(request, &why);
        request_free(c->state, request);
        return;
    }
    request->input = input_ref(c->input);
    list_push_back(&c->requests, &request->node);
    c->in_flight++;
    counter_add(&c->state->counters.requests, 1);
    request->is_counted = !c->is_own;
    if (request->is_counted)
        counter_add(&c->state->counters.in_flight, 1);
    if (is_decoded) {
        dispatch_handle(request);
    } else {
        if (!handler->collects) // the worker that decodes it may handle it, too
            reactor_settle(request->reactor);
        offload_decode(request, frame);
    }
    // Nothing leaves the list while the connection's turn lasts, so the request is still there.
    assert(request->state != REQUEST_HANDLING);
}
