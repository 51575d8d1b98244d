// Clients that push metrics of their own (KIP-714).
#include "base/error.h"
#include "http/route.h"

#include <math.h>

static json_t *time_json(int64_t ms)
{
    return ms ? json_integer(ms) : json_null();
}

static json_t *client_json(const struct telemetry_client *c)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:i, s:I, s:I, s:I}", "instanceId",
                     http_uuid(&c->id), "clientId", http_text(c->client_id), "softwareName",
                     http_text(c->software_name), "softwareVersion", http_text(c->software_version),
                     "address", http_text(c->address), "port", c->port, "seenMs", time_json(c->seen_wall_ms),
                     "pushedMs", time_json(c->pushed_wall_ms), "intervalMs", c->interval_ms, "pushes",
                     (json_int_t)c->pushes, "metricsCount", (json_int_t)c->count, "metricsLeftOut",
                     (json_int_t)c->left_out);
}

// JSON has no infinity.
static json_t *metric_json(const struct otlp_value *v)
{
    return json_pack("{s:o, s:o, s:s, s:o}", "name", http_text(v->name), "attributes",
                     http_text(v->attributes), "type", v->type, "value",
                     isfinite(v->value) ? json_real(v->value) : json_null());
}

void http_clients(struct http_request *r)
{
    struct telemetry_clients found;
    if (r->broker->clients(r->broker->context, &r->arena, &found))
        return;
    json_t *clients = json_array();
    for (size_t i = 0; i < found.count; i++)
        json_array_append_new(clients, client_json(&found.items[i]));
    http_answer(r, 200, json_pack("{s:o, s:I}", "clients", clients, "leftOut", (json_int_t)found.left_out));
}

void http_client(struct http_request *r)
{
    struct telemetry_client found;
    struct uuid id;
    int rc = uuid_parse(r->params[0], &id) ? ERR_NOT_FOUND
                                           : r->broker->client(r->broker->context, &id, &r->arena, &found);
    if (rc == ERR_NOT_FOUND)
        http_fail(r, 404, "NOT_FOUND", "No client of the instance id %.*s reports metrics.",
                  STR_ARG(r->params[0]));
    if (rc)
        return;
    json_t *client = client_json(&found), *metrics = json_array();
    for (size_t i = 0; i < found.count; i++)
        json_array_append_new(metrics, metric_json(&found.values[i]));
    json_object_set_new(client, "metrics", metrics);
    http_answer(r, 200, client);
}
