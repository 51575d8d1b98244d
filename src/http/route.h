// The table of routes (routes.c): which handler answers a method and a path.
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/request.h"

struct http_route {
    enum http_method method;
    const char *path; // "/api/v1/topics/{topic}": a part in braces stands for any one
    void (*run)(struct http_request *r);
    const char *query; // the parameters that may stand behind the '?', between blanks; NULL: none
};

// Finds the route and fills r->params. NULL: none; *methods has a bit for each method that the path has.
const struct http_route *http_route_find(struct http_request *r, unsigned *methods);

// The handlers (a file a subject).
void http_health(struct http_request *r);
void http_ready(struct http_request *r);
void http_metrics(struct http_request *r);
void http_openapi(struct http_request *r);
void http_cluster(struct http_request *r);
void http_overview(struct http_request *r);
void http_live(struct http_request *r);
void http_history(struct http_request *r);
void http_group_history(struct http_request *r);
void http_brokers(struct http_request *r);
void http_broker_configs(struct http_request *r);
void http_broker_alter(struct http_request *r);
void http_logdirs(struct http_request *r);
void http_clients(struct http_request *r);
void http_client(struct http_request *r);
void http_topics(struct http_request *r);
void http_topic(struct http_request *r);
void http_topic_create(struct http_request *r);
void http_topic_grow(struct http_request *r);
void http_topic_delete(struct http_request *r);
void http_topic_configs(struct http_request *r);
void http_topic_alter(struct http_request *r);
void http_records(struct http_request *r);
void http_record(struct http_request *r);
void http_produce(struct http_request *r);
void http_tail(struct http_request *r);
void http_groups(struct http_request *r);
void http_group(struct http_request *r);
void http_group_delete(struct http_request *r);
void http_group_configs(struct http_request *r);
void http_group_alter(struct http_request *r);
void http_offsets_reset(struct http_request *r);
void http_offsets_delete(struct http_request *r);
void http_transactions(struct http_request *r);
void http_transaction(struct http_request *r);
void http_transaction_abort(struct http_request *r);

#endif
