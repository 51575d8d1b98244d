// Health, the cluster.
#include "http/keys.h"
#include "http/openapi.h"
#include "http/route.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

// The process answers.
void http_health(struct http_request *r)
{
    http_answer_text(r, 200, "text/plain; charset=utf-8", "ok\n", 3);
}

static bool describe_cluster(struct http_request *r, struct describe_cluster_response *response)
{
    struct describe_cluster_request request = describe_cluster_request_default;
    request.include_fenced_brokers = true;
    return http_call(r, KEY_DESCRIBE_CLUSTER, 2, &request, response) &&
           !http_fail_kafka(r, response->error_code, response->error_message);
}

// The broker answers, and is one that clients are sent to.
void http_ready(struct http_request *r)
{
    struct describe_cluster_response response;
    if (!describe_cluster(r, &response))
        return;
    bool served = false;
    for (int32_t i = 0; i < response.brokers_count; i++)
        served |= !response.brokers[i].is_fenced;
    if (served)
        http_answer_text(r, 200, "text/plain; charset=utf-8", "ready\n", 6);
    else
        http_fail(r, 503, "BROKER_NOT_AVAILABLE", "no broker is registered");
}

static json_t *brokers_json(const struct describe_cluster_response *response)
{
    json_t *brokers = json_array();
    for (int32_t i = 0; i < response->brokers_count; i++) {
        const struct describe_cluster_response_describe_cluster_broker *b = &response->brokers[i];
        json_array_append_new(
            brokers, json_pack("{s:i, s:o, s:i, s:o, s:b, s:b}", "id", b->broker_id, "host",
                               http_text(b->host), "port", b->port, "rack", http_text(b->rack), "controller",
                               b->broker_id == response->controller_id, "fenced", b->is_fenced));
    }
    return brokers;
}

void http_cluster(struct http_request *r)
{
    struct describe_cluster_response response;
    if (describe_cluster(r, &response))
        http_answer(r, 200,
                    json_pack("{s:o, s:i, s:s, s:o}", "clusterId", http_text(response.cluster_id),
                              "controllerId", response.controller_id, "version", ODRADEK_VERSION, "brokers",
                              brokers_json(&response)));
}

void http_brokers(struct http_request *r)
{
    struct describe_cluster_response response;
    if (describe_cluster(r, &response))
        http_answer(r, 200, json_pack("{s:o}", "brokers", brokers_json(&response)));
}

void http_openapi(struct http_request *r)
{
    http_answer_text(r, 200, "application/json", openapi_json, openapi_json_bytes);
}
