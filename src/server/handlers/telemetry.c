// GetTelemetrySubscriptions and PushTelemetry (KIP-714): clients' own metrics.
#include "telemetry/telemetry.h"

#include "base/clock.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/handlers/handlers.h"
#include "storage/compress.h"

#include <stdlib.h>

#define LARGE_PUSH_BYTES 4096 // from here on, and where it is compressed, a worker reads it

// A client's instance goes when the connection goes that it came with.
struct instance_end {
    struct connection_end end;
    struct telemetry *telemetry;
    struct uuid id;
};

static void on_gone(struct connection_end *end)
{
    struct instance_end *i = container_of(end, struct instance_end, end);
    telemetry_gone(i->telemetry, &i->id);
    free(i);
}

static void tie_to_connection(struct request *r, const struct uuid *id)
{
    struct connection_end *end = request_connection_end(r);
    struct instance_end *i = end ? container_of(end, struct instance_end, end) : malloc(sizeof *i);
    if (!i)
        return; // then it goes by its time alone
    *i = (struct instance_end){.end = {on_gone}, .telemetry = broker_of(r)->telemetry, .id = *id};
    request_set_connection_end(r, &i->end);
}

static struct telemetry_caller caller_of(const struct request *r)
{
    struct telemetry_caller c = {.client_id = r->client_id,
                                 .software_name = request_client_software_name(r),
                                 .software_version = request_client_software_version(r),
                                 .now_ms = clock_monotonic_ms(),
                                 .wall_ms = clock_wall_ms()};
    c.address = request_client_address(r, &c.port);
    return c;
}

static void handle_get_telemetry_subscriptions(struct request *r)
{
    static int8_t accepted[] = {COMPRESSION_ZSTD, COMPRESSION_LZ4, COMPRESSION_GZIP, COMPRESSION_SNAPPY};
    const struct get_telemetry_subscriptions_request *q = r->message;
    struct get_telemetry_subscriptions_response out = get_telemetry_subscriptions_response_default;
    struct telemetry_caller caller = caller_of(r);
    struct telemetry_answer a;
    if (telemetry_get(broker_of(r)->telemetry, &q->client_instance_id, &caller, &r->arena, &a)) {
        request_close(r, "out of memory for the response to GetTelemetrySubscriptions");
        return;
    }
    if (a.is_new)
        tie_to_connection(r, &a.id);
    out.error_code = a.error;
    if (a.error == E_NONE) {
        out.client_instance_id = a.id;
        out.subscription_id = a.subscription_id;
        out.accepted_compression_types = accepted;
        out.accepted_compression_types_count = sizeof accepted;
        out.push_interval_ms = a.interval_ms;
        out.telemetry_max_bytes = a.max_bytes;
        out.delta_temporality = true;
        out.requested_metrics = (struct str *)(uintptr_t)a.metrics;
        out.requested_metrics_count = (int32_t)a.metrics_count;
    }
    request_respond(r, &out);
}

struct push {
    struct request_work work;
    struct request *request;
    struct telemetry_push push;
    struct push_telemetry_response response;
};

static void take(struct request_work *work)
{
    struct push *p = container_of(work, struct push, work);
    struct request *r = p->request;
    p->response.error_code = telemetry_take(broker_of(r)->telemetry, &p->push, clock_wall_ms(), &r->arena);
}

static void taken(struct request_work *work, bool gone)
{
    struct push *p = container_of(work, struct push, work);
    if (!gone)
        request_respond(p->request, &p->response);
}

static void handle_push_telemetry(struct request *r)
{
    const struct push_telemetry_request *q = r->message;
    struct telemetry_caller caller = caller_of(r);
    struct push *p = arena_zalloc(&r->arena, 1, sizeof *p);
    bool is_new;
    if (!p) {
        request_close(r, "out of memory for the response to PushTelemetry");
        return;
    }
    *p = (struct push){.work = {.run = take, .done = taken},
                       .request = r,
                       .push = {.id = q->client_instance_id,
                                .subscription_id = q->subscription_id,
                                .terminating = q->terminating,
                                .compression = q->compression_type,
                                .payload = q->metrics},
                       .response = push_telemetry_response_default};
    p->response.error_code = telemetry_check(broker_of(r)->telemetry, &p->push, &caller, &is_new);
    if (is_new)
        tie_to_connection(r, &q->client_instance_id);
    bool is_costly = q->compression_type != COMPRESSION_NONE || q->metrics.size > LARGE_PUSH_BYTES;
    if (p->response.error_code == E_NONE && q->metrics.size > 0 && is_costly) {
        request_work(r, &p->work);
        return;
    }
    if (p->response.error_code == E_NONE)
        take(&p->work);
    request_respond(r, &p->response);
}

const struct api_handler get_telemetry_subscriptions_handler = {.api_key = 71,
                                                                .min_version = 0,
                                                                .max_version = 0,
                                                                .advertised_min_version = -1,
                                                                .listeners = LISTENER_BROKER,
                                                                .handle = handle_get_telemetry_subscriptions};
const struct api_handler push_telemetry_handler = {.api_key = 72,
                                                   .min_version = 0,
                                                   .max_version = 0,
                                                   .advertised_min_version = -1,
                                                   .listeners = LISTENER_BROKER,
                                                   .handle = handle_push_telemetry};
