#include "server/http_server.h"

#include "base/error.h"
#include "base/logger.h"
#include "metrics/histogram.h"
#include "protocol/api.h"
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

struct partition_visit {
    struct str topic;
    void (*each)(void *arg, const struct http_partition *partition);
    void *arg;
};

static void visit_partition(void *arg, struct partition *p)
{
    const struct partition_visit *v = arg;
    struct log_offsets o;
    if (v->topic.data && !str_equal(v->topic, p->topic))
        return;
    log_offsets(p->log, &o);
    struct http_partition out = {.topic = p->topic,
                                 .partition = p->index,
                                 .messages_in = p->traffic.messages_in,
                                 .bytes_in = p->traffic.bytes_in,
                                 .bytes_out = p->traffic.bytes_out,
                                 .size_bytes = log_size_bytes(p->log),
                                 .records = o.end_offset - o.log_start_offset};
    v->each(v->arg, &out);
}

static void read_partitions(void *context, struct str topic,
                            void (*each)(void *arg, const struct http_partition *partition), void *arg)
{
    struct broker *b = context;
    struct partition_visit visit = {topic, each, arg};
    replica_manager_visit(b->replicas, visit_partition, &visit);
}

static bool read_latency(void *context, int16_t api_key, struct histogram_values *out)
{
    struct broker *b = context;
    if (api_key == HTTP_DELIVERY)
        reactors_delivery(b->reactors, out);
    else if (api_find(api_key) && api_key < API_KEY_LIMIT)
        reactors_latency(b->reactors, api_key, out);
    else
        return false;
    return true;
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
                                 .partitions = read_partitions,
                                 .latency = read_latency,
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
