#include "server/http_server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "base/qsbr.h"
#include "metrics/histogram.h"
#include "protocol/api.h"
#include "quota/client_quotas.h"
#include "server/live_config.h"
#include "server/quorum.h"
#include "server/reactor.h"
#include "storage/log_manager.h"

#include <stdio.h>
#include <string.h>

// By what the listeners say now. The machine's own name, which clients may be told, is none of ours as long
// as no listener names it: a network can give a machine a name (DHCP), and lead a page of that name here.
static bool is_host(void *context, struct str name)
{
    struct qsbr_thread thread;
    qsbr_register(&thread);
    bool named = broker_config_names_host(broker_config_now(context), name);
    qsbr_unregister(&thread);
    return named;
}

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
                                  .connections_closed = s.connections_closed,
                                  .connections_moved = s.connections_moved,
                                  .requests = s.requests,
                                  .responses = s.responses,
                                  .in_flight = s.in_flight,
                                  .waiting = s.parked,
                                  .buffer_bytes = s.input_bytes_held,
                                  .throttled = s.throttled,
                                  .throttle_ms = s.throttle_ms,
                                  .bytes_received = s.bytes_received,
                                  .bytes_sent = s.bytes_sent,
                                  .bytes_sent_file = s.bytes_sent_file,
                                  .cold_reads = s.cold_reads};
}

struct partition_visit {
    struct str topic;
    void (*each)(void *arg, const struct http_partition *partition);
    void *arg;
};

static void visit_partition(void *arg, struct partition *p)
{
    const struct partition_visit *v = arg;
    if (v->topic.data && !str_equal(v->topic, p->topic))
        return;
    int64_t start = log_start_offset(p->log); // a scrape loads no cold log
    struct http_partition out = {.topic = p->topic,
                                 .partition = p->index,
                                 .messages_in = p->traffic.messages_in,
                                 .bytes_in = p->traffic.bytes_in,
                                 .bytes_out = p->traffic.bytes_out,
                                 .size_bytes = log_size_bytes(p->log),
                                 .records = log_end_offset(p->log) - start};
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

static void read_errors(void *context, struct error_counts *out)
{
    struct broker *b = context;
    reactors_errors(b->reactors, out);
}

static void read_image(const struct image *image, struct http_state *out)
{
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    out->topics = image_topics_count(image);
    out->partitions = image->partitions_count;
    for (const struct image_topic *t; (t = hamt_next(&w));)
        for (uint32_t p = 0; p < t->partitions_count; p++) {
            out->partitions_offline += t->partitions[p]->leader == IMAGE_NO_LEADER;
            out->partitions_under_replicated +=
                t->partitions[p]->isr_count < t->partitions[p]->replicas_count;
        }
    out->brokers = image->brokers_count;
    for (uint32_t i = 0; i < image->brokers_count; i++)
        out->brokers_fenced += image->brokers[i]->fenced;
}

static uint64_t not_negative(int64_t v)
{
    return v > 0 ? (uint64_t)v : 0;
}

static void read_storage(const struct broker *b, struct http_state *out)
{
    struct log_manager_counts c;
    log_manager_counts(b->logs, &c);
    out->logs = c.logs;
    out->logs_offline = c.offline_logs;
    out->logs_uncleanable = c.uncleanable_logs;
    out->open_files = c.open_files;
    out->flushes = c.flushes;
    out->slow_flushes = c.slow_flushes;
    out->flush_us = c.flush_us_total;
    out->cleanings = c.cleanings;
    out->failed_cleanings = c.failed_cleanings;
    out->cleaner_read_bytes = c.cleaner_read_bytes;
    out->cleaner_written_bytes = c.cleaner_written_bytes;
    out->cleaner_us = c.cleaner_us_total;
    out->moves = c.moves;
    out->moves_done = c.moves_done;
    out->moved_bytes = c.moved_bytes;
}

static void read_state(void *context, struct http_state *out)
{
    struct broker *b = context;
    struct qsbr_thread thread;
    struct quorum_status quorum;
    struct telemetry_counts clients;
    *out = (struct http_state){.node_id = b->config->node_id};
    snprintf(out->cluster_id, sizeof out->cluster_id, "%s", b->cluster_id);
    qsbr_register(&thread);
    struct image *image = image_ref(image_current());
    qsbr_unregister(&thread);
    read_image(image, out);
    image_unref(image);
    quorum_status(b->quorum, &quorum);
    out->quorum_leads = quorum.leader_id == b->config->node_id;
    out->quorum_epoch = not_negative(quorum.leader_epoch);
    out->quorum_high_watermark = not_negative(quorum.high_watermark);
    out->quorum_end_offset = not_negative(quorum.log_end_offset);
    out->quorum_snapshot_offset = not_negative(quorum.snapshot_offset);
    read_storage(b, out);
    telemetry_count(b->telemetry, clock_monotonic_ms(), &clients);
    out->fetch_sessions = fetch_session_cache_count(b->fetch_sessions);
    out->quota_clients = client_quotas_count(b->quotas);
    out->client_instances = clients.clients;
    out->client_pushes = clients.pushes;
    out->client_push_bytes = clients.push_bytes;
}

static int read_clients(void *context, struct arena *arena, struct telemetry_clients *out)
{
    struct broker *b = context;
    return telemetry_list(b->telemetry, clock_monotonic_ms(), arena, out);
}

static int read_client(void *context, const struct uuid *id, struct arena *arena,
                       struct telemetry_client *out)
{
    struct broker *b = context;
    return telemetry_find(b->telemetry, id, clock_monotonic_ms(), arena, out);
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
                                 .is_host = is_host,
                                 .connect = connect_to_broker,
                                 .counters = read_counters,
                                 .partitions = read_partitions,
                                 .latency = read_latency,
                                 .errors = read_errors,
                                 .state = read_state,
                                 .clients = read_clients,
                                 .client = read_client,
                                 .context = broker};
    char why[256] = "";
    int err = listeners ? http_start(out, &params, why, sizeof why) : ERR_NOMEM;
    if (err)
        snprintf(message, message_bytes, "http.listeners: %s", why[0] ? why : err_text(err));
    else
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
