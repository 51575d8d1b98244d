#include "server/request.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "protocol/api.h"
#include "replication/partition.h"
#include "server/connection.h"
#include "server/offload.h"
#include "server/request_log.h"
#include "server/throttle.h"

// Thousands may wait (joins, polls), each with what little it needs. A busy connection's requests are those
// that are kept, with what their memory has grown to.
#define ARENA_FIRST_BYTES 1024

struct request *request_new(struct connection *c)
{
    struct reactor_state *state = c->state;
    struct request *request;
    struct list *node = list_pop_front(&state->free_requests);
    if (node) {
        state->free_request_count--;
        request = container_of(node, struct request, node);
        struct arena arena = request->arena;
        *request = (struct request){.arena = arena};
    } else {
        request = calloc(1, sizeof *request);
        if (!request)
            return NULL;
        arena_init(&request->arena, 0);
        request->arena.first_bytes = ARENA_FIRST_BYTES;
    }
    list_init(&request->node);
    request->reactor = &state->reactor;
    request->connection = c;
    request->listener = c->listener;
    request->is_own = c->is_own;
    request->context = reactors_context(state->reactor.group);
    request->received_ms = loop_now_ms(&state->reactor.loop);
    request->received_us = clock_monotonic_us();
    return request;
}

static void drop_input(struct request *request)
{
    if (!request->input)
        return;
    struct reactor_state *state = container_of(request->reactor, struct reactor_state, reactor);
    input_unref(&state->inputs, request->input);
    request->input = NULL;
    request->message = NULL;
    reactor_arm_trim(state);
}

void request_free(struct reactor_state *state, struct request *request)
{
    if (request->is_counted)
        counter_add(&state->counters.in_flight, (uint64_t)-1);
    if (request->log)
        request_log_drop(request);
    drop_input(request);
    reactor_free_if_large(&state->reactor, &request->arena);
    if (state->free_request_count < REQUESTS_KEPT) {
        arena_reset(&request->arena);
        list_push_front(&state->free_requests, &request->node);
        state->free_request_count++;
    } else {
        arena_free(&request->arena);
        free(request);
    }
}

void request_hold(struct request *request)
{
    request->holds++;
    atomic_fetch_add(&((struct listener *)(uintptr_t)request->listener)->holds, 1);
}

void request_let_go(struct request *request)
{
    struct reactor_state *state = container_of(request->reactor, struct reactor_state, reactor);
    assert(request->holds > 0);
    atomic_fetch_sub(&((struct listener *)(uintptr_t)request->listener)->holds, 1);
    if (--request->holds > 0 || request->connection)
        return;
    output_drop(request);
    request_free(state, request);
    state->orphans--;
    reactor_stop_if_empty(state);
}

static void count_park(struct connection *c, enum park park, int32_t by)
{
    if (park == PARK_STALL)
        c->stalled += by;
    else if (park == PARK_POLL)
        c->polls += by;
}

// The request is decided: it waits for its turn to be sent.
static void finish(struct request *request)
{
    struct connection *c = request->connection;
    assert(request->state != REQUEST_FINISHED);
    if (request->state == REQUEST_PARKED) {
        c->parked--;
        counter_add(&c->state->counters.parked, (uint64_t)-1);
        count_park(c, request->park, -1);
    }
    request->state = REQUEST_FINISHED;
    if (!c->is_own)
        histogram_add(&c->state->latency[request->api->api_key], clock_monotonic_us() - request->received_us);
    c->response_bytes += request->response_bytes;
    drop_input(request);
    connection_serve_soon(c);
}

void request_encode(struct request *request, const void *response)
{
    if (request->log)
        request_log_response(request, response);
    request->encoded = true;
    request->encode_error = output_encode(request, response);
}

int request_respond(struct request *request, void *response)
{
    assert(request->state != REQUEST_FINISHED);
    if (request->offload) {
        request_encode(request, response);
        request->offload->verdict = VERDICT_RESPOND;
        return request->encode_error;
    }
    throttle_respond(request, response);
    if (!request->encoded)
        request_encode(request, response);
    else
        output_set_throttle(request);
    int err = request->encode_error;
    if (err) {
        output_drop(request);
        request->response_bytes = 0;
        connection_close(request->connection, "the response to %s version %d cannot be encoded: %s",
                         api_find(request->api->api_key)->name, request->version, err_text(err));
    }
    finish(request);
    return err;
}

void request_respond_none(struct request *request)
{
    throttle_respond_none(request);
    finish(request);
}

void request_close(struct request *request, const char *reason)
{
    if (request->offload) {
        request->offload->verdict = VERDICT_CLOSE;
        request->offload->reason = reason;
        return;
    }
    if (reason)
        connection_close(request->connection, "%s", reason);
    else
        connection_close(request->connection, NULL);
    finish(request);
}

void request_park(struct request *request, enum park park, void (*on_cancel)(struct request *request),
                  void *parked)
{
    struct offload *o = request->offload;
    if (o && o->work.request) {
        o->verdict = VERDICT_PARK;
        o->park = park;
        o->on_cancel = on_cancel;
        o->parked = parked;
        return;
    }
    struct connection *c = request->connection;
    assert(request->state != REQUEST_FINISHED && on_cancel);
    if (request->state == REQUEST_HANDLING) {
        request->state = REQUEST_PARKED;
        c->parked++;
        counter_add(&c->state->counters.parked, 1);
    } else {
        count_park(c, request->park, -1);
        connection_serve_soon(c); // the requests behind it may go on
    }
    count_park(c, park, 1);
    request->park = park;
    request->on_cancel = on_cancel;
    request->parked = parked;
}

static void on_work_done(struct task *task)
{
    struct request_work *work = container_of(task, struct request_work, job.done);
    struct request *request = work->request;
    work->done(work, !request->connection);
    request_let_go(request);
}

static void run_work(struct job *job)
{
    struct request_work *work = container_of(job, struct request_work, job);
    work->run(work);
}

static void on_cancel_work(struct request *request)
{
    (void)request; // it is held: on_work_done tells
}

void request_work(struct request *request, struct request_work *work)
{
    work->job = (struct job){.run = run_work,
                             .reads_nothing = work->loaders != NULL,
                             .loop = &request->reactor->loop,
                             .done = TASK_INIT(on_work_done)};
    if (request->connection)
        request_park(request, PARK_STALL, on_cancel_work, work);
    work->request = request;
    struct workers *pool = work->loaders ? work->loaders : reactors_workers(request->reactor->group);
    if (workers_submit(pool, &work->job)) {
        request_hold(request);
        return;
    }
    work->run(work);
    work->done(work, !request->connection);
}

void request_then(struct request *request, void (*then)(void *context), void *context)
{
    if (!request->offload) {
        then(context);
        return;
    }
    request->offload->then = then;
    request->offload->then_context = context;
}

void request_release_input(struct request *request)
{
    assert(!request->offload);
    if (request->client_id.size)
        request->client_id = arena_str(&request->arena, request->client_id);
    drop_input(request);
}

void request_woken_by(struct request *request, const struct reactor *by)
{
    if (request->connection)
        placement_woken(request->connection, by);
}

struct connection_end *request_connection_end(const struct request *request)
{
    return request->connection->end;
}

void request_set_connection_end(struct request *request, struct connection_end *end)
{
    request->connection->end = end;
}

const char *request_peer(const struct request *request)
{
    return request->offload ? request->offload->peer.text : request->connection->peer.text;
}

struct str request_client_address(const struct request *request, int32_t *port)
{
    struct str peer = str_from(request_peer(request));
    const char *colon = peer.size ? memrchr(peer.data, ':', peer.size) : NULL;
    if (port)
        *port = colon ? (int32_t)strtol(colon + 1, NULL, 10) : 0;
    if (!colon)
        return peer;
    struct str address = {peer.data, (size_t)(colon - peer.data)};
    bool in_brackets = address.size > 1 && address.data[0] == '[';
    return in_brackets ? (struct str){address.data + 1, address.size - 2} : address;
}

void request_delivered(struct request *request, struct partition_traffic *traffic, size_t bytes, bool waited)
{
    struct connection *c = request->connection;
    if (c->is_own)
        return;
    atomic_fetch_add_explicit(&traffic->bytes_out, bytes, memory_order_relaxed);
    if (waited)
        histogram_add(&c->state->delivery, clock_monotonic_us() - traffic->appended_us);
}

const struct listener *request_listener(const struct request *request)
{
    return request->listener;
}

struct str request_principal(const struct request *request)
{
    (void)request;
    return STR("User:ANONYMOUS");
}

const struct api_table *request_apis(const struct request *request)
{
    return reactors_apis(request->reactor->group);
}

struct str request_client_software_name(const struct request *request)
{
    const struct client_software *software = request->connection->software;
    return software ? software->name : STR("unknown");
}

struct str request_client_software_version(const struct request *request)
{
    const struct client_software *software = request->connection->software;
    return software ? software->version : STR("unknown");
}

int request_set_client_software(struct request *request, struct str name, struct str version)
{
    struct client_software *software = malloc(sizeof *software + name.size + version.size);
    if (!software)
        return ERR_NOMEM;
    if (name.size)
        memcpy(software->text, name.data, name.size);
    if (version.size)
        memcpy(software->text + name.size, version.data, version.size);
    software->name = (struct str){software->text, name.size};
    software->version = (struct str){software->text + name.size, version.size};
    free(request->connection->software);
    request->connection->software = software;
    return 0;
}

bool request_authorize(const struct request *request, enum acl_operation operation, enum resource_type type,
                       struct str name)
{
    (void)request;
    (void)operation;
    (void)type;
    (void)name;
    return true;
}
