#include <string.h>

#include "http/route.h"

#define FILTERS "partition key contains field equals isolation format maxBytes from"

static const struct http_route routes[] = {
    {HTTP_GET, "/healthz", http_health, NULL},
    {HTTP_GET, "/readyz", http_ready, NULL},
    {HTTP_GET, "/metrics", http_metrics, NULL},
    {HTTP_GET, "/api/v1/openapi.json", http_openapi, NULL},
    {HTTP_GET, "/api/v1/cluster", http_cluster, NULL},
    {HTTP_GET, "/api/v1/overview", http_overview, NULL},
    {HTTP_GET, "/api/v1/live", http_live, NULL},
    {HTTP_GET, "/api/v1/history", http_history, NULL},
    {HTTP_GET, "/api/v1/brokers", http_brokers, NULL},
    {HTTP_GET, "/api/v1/brokers/{broker}/configs", http_broker_configs, NULL},
    {HTTP_PATCH, "/api/v1/brokers/{broker}/configs", http_broker_alter, "validateOnly"},
    {HTTP_GET, "/api/v1/logdirs", http_logdirs, NULL},
    {HTTP_GET, "/api/v1/clients", http_clients, NULL},
    {HTTP_GET, "/api/v1/clients/{client}", http_client, NULL},
    {HTTP_GET, "/api/v1/topics", http_topics, NULL},
    {HTTP_POST, "/api/v1/topics", http_topic_create, "validateOnly"},
    {HTTP_GET, "/api/v1/topics/{topic}", http_topic, NULL},
    {HTTP_PATCH, "/api/v1/topics/{topic}", http_topic_grow, "validateOnly"},
    {HTTP_DELETE, "/api/v1/topics/{topic}", http_topic_delete, NULL},
    {HTTP_GET, "/api/v1/topics/{topic}/configs", http_topic_configs, NULL},
    {HTTP_PATCH, "/api/v1/topics/{topic}/configs", http_topic_alter, "validateOnly"},
    {HTTP_GET, "/api/v1/topics/{topic}/records", http_records, FILTERS " direction limit cursor"},
    {HTTP_POST, "/api/v1/topics/{topic}/records", http_produce, NULL},
    {HTTP_GET, "/api/v1/topics/{topic}/partitions/{partition}/records/{offset}", http_record, "format"},
    {HTTP_GET, "/api/v1/topics/{topic}/tail", http_tail, FILTERS},
    {HTTP_GET, "/api/v1/groups", http_groups, NULL},
    {HTTP_GET, "/api/v1/groups/{group}", http_group, NULL},
    {HTTP_DELETE, "/api/v1/groups/{group}", http_group_delete, NULL},
    {HTTP_GET, "/api/v1/groups/{group}/history", http_group_history, NULL},
    {HTTP_GET, "/api/v1/groups/{group}/configs", http_group_configs, NULL},
    {HTTP_PATCH, "/api/v1/groups/{group}/configs", http_group_alter, "validateOnly"},
    {HTTP_POST, "/api/v1/groups/{group}/offsets", http_offsets_reset, "validateOnly"},
    {HTTP_DELETE, "/api/v1/groups/{group}/offsets", http_offsets_delete, "topic partition"},
    {HTTP_GET, "/api/v1/transactions", http_transactions, "state minSeconds"},
    {HTTP_GET, "/api/v1/transactions/{transaction}", http_transaction, NULL},
    {HTTP_POST, "/api/v1/transactions/{transaction}/abort", http_transaction_abort, NULL},
};

// Up to the next '/' or the end.
static size_t part_size(const char *path)
{
    return strcspn(path, "/");
}

static bool matches(const char *pattern, const char *path, struct str params[HTTP_PATH_PARAMS])
{
    for (size_t found = 0;;) {
        size_t want = part_size(pattern), have = part_size(path);
        if (pattern[0] == '{') {
            if (have == 0 || found == HTTP_PATH_PARAMS)
                return false;
            params[found++] = (struct str){path, have};
        } else if (want != have || memcmp(pattern, path, want) != 0) {
            return false;
        }
        pattern += want;
        path += have;
        if (*pattern != *path)
            return false;
        if (*pattern == 0)
            return true;
        pattern++;
        path++;
    }
}

const struct http_route *http_route_find(struct http_request *r, unsigned *methods)
{
    const struct http_route *found = NULL;
    *methods = 0;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        struct str params[HTTP_PATH_PARAMS] = {{0}};
        if (!matches(routes[i].path, r->path, params))
            continue;
        *methods |= 1u << routes[i].method;
        if (routes[i].method != r->method)
            continue;
        found = &routes[i];
        for (size_t p = 0; p < HTTP_PATH_PARAMS && params[p].data; p++) {
            r->params[p] = http_decode(&r->arena, params[p]);
            if (!r->params[p].data) {
                *methods = 0;
                return NULL;
            }
        }
    }
    return found;
}
