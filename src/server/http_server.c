#include "server/http_server.h"

#include "base/error.h"
#include "base/logger.h"
#include "server/reactor.h"

static int connect_to_broker(void *context)
{
    struct broker *b = context;
    return reactors_connect(b->reactors);
}

static void read_counters(void *context, struct http_counters *out)
{
    struct broker *b = context;
    struct reactors_stats s;
    reactors_stats(b->reactors, &s);
    *out = (struct http_counters){.connections_accepted = s.connections_accepted,
                                  .connections_refused = s.connections_refused,
                                  .connections_open = s.connections_open,
                                  .requests = s.requests,
                                  .responses = s.responses,
                                  .bytes_received = s.bytes_received,
                                  .bytes_sent = s.bytes_sent,
                                  .bytes_sent_file = s.bytes_sent_file};
}

int http_server_start(struct http **out, struct broker *broker, char *message, size_t message_bytes)
{
    const struct broker_config *c = broker->config;
    struct arena arena;
    *out = NULL;
    if (c->http_listener_count == 0 || !c->is_broker)
        return 0;
    arena_init(&arena, 0);
    struct http_listener *listeners = arena_zalloc(&arena, c->http_listener_count, sizeof *listeners);
    for (size_t i = 0; listeners && i < c->http_listener_count; i++)
        listeners[i] = (struct http_listener){.host = arena_str(&arena, c->http_listeners[i].host).data,
                                              .port = (uint16_t)c->http_listeners[i].port};
    struct http_params params = {.listeners = listeners,
                                 .listener_count = c->http_listener_count,
                                 .connect = connect_to_broker,
                                 .counters = read_counters,
                                 .context = broker};
    int err = listeners ? http_start(out, &params, message, message_bytes) : ERR_NOMEM;
    if (!err)
        for (size_t i = 0; i < c->http_listener_count; i++)
            log_info("http", "http://%s:%d", listeners[i].host[0] ? listeners[i].host : "*",
                     http_port(*out, i));
    arena_free(&arena);
    if (!err || properties_get(&c->properties, STR("http.listeners")).data)
        return err;
    log_warn("http", "not served: %s (http.listeners names another address, or none)", message);
    message[0] = 0;
    return 0;
}
