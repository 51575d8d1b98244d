// The table of routes (routes.c): which handler answers a method and a path.
#ifndef HTTP_ROUTE_H
#define HTTP_ROUTE_H

#include "http/request.h"

struct http_route {
    enum http_method method;
    const char *path; // "/api/v1/topics/{topic}": a part in braces stands for any one
    void (*run)(struct http_request *r);
};

// Finds the route and fills r->params. NULL: none; *other says whether the path exists with another method.
const struct http_route *http_route_find(struct http_request *r, bool *other);

// The handlers (a file a subject).
void http_health(struct http_request *r);
void http_ready(struct http_request *r);
void http_metrics(struct http_request *r);
void http_cluster(struct http_request *r);
void http_topics(struct http_request *r);
void http_topic(struct http_request *r);
void http_topic_create(struct http_request *r);
void http_topic_delete(struct http_request *r);
void http_topic_configs(struct http_request *r);
void http_topic_alter(struct http_request *r);
void http_groups(struct http_request *r);
void http_group(struct http_request *r);

#endif
