// GET /metrics.
#include "http/metrics.h"

#include "base/clock.h"
#include "http/route.h"
#include "os/process.h"
#include "protocol/api.h"
#include "protocol/errors.h"

#include <stdio.h>
#include <stdlib.h>

void metrics_init(struct metrics *m)
{
    *m = (struct metrics){.slow = BUFFER_INIT};
    pthread_mutex_init(&m->lock, NULL);
}

void metrics_free(struct metrics *m)
{
    metrics_topics_free(&m->topics);
    buffer_free(&m->slow);
    pthread_mutex_destroy(&m->lock);
}

// A family of one sample, from a uint64_t member.
struct row {
    const char *name, *type, *help;
    size_t offset;
    double unit; // of the member: what is shown is in base units
};

#define OF(structure, member) offsetof(struct structure, member)

static const struct row counter_rows[] = {
    {"odradek_connections", "gauge", "Connections of clients that are open.",
     OF(http_counters, connections_open), 1},
    {"odradek_connections_accepted_total", "counter", "Connections accepted.",
     OF(http_counters, connections_accepted), 1},
    {"odradek_connections_refused_total", "counter", "Connections refused because of a limit.",
     OF(http_counters, connections_refused), 1},
    {"odradek_connections_closed_total", "counter", "Connections that are over.",
     OF(http_counters, connections_closed), 1},
    {"odradek_connections_moved_total", "counter",
     "Connections that went on in another network thread: to who wakes them, or away from too much work.",
     OF(http_counters, connections_moved), 1},
    {"odradek_requests_total", "counter", "Requests received.", OF(http_counters, requests), 1},
    {"odradek_responses_total", "counter", "Responses sent.", OF(http_counters, responses), 1},
    {"odradek_requests_in_flight", "gauge", "Requests received whose response is not sent yet.",
     OF(http_counters, in_flight), 1},
    {"odradek_requests_waiting", "gauge",
     "Requests in flight that wait for something: replicas, records, members.", OF(http_counters, waiting),
     1},
    {"odradek_request_buffer_bytes", "gauge", "Memory that requests are read into.",
     OF(http_counters, buffer_bytes), 1},
    {"odradek_throttled_requests_total", "counter",
     "Requests after which a quota kept the client's connection silent.", OF(http_counters, throttled), 1},
    {"odradek_throttle_seconds_total", "counter", "For how long quotas kept connections silent.",
     OF(http_counters, throttle_ms), 1e-3},
    {"odradek_network_receive_bytes_total", "counter", "Bytes received from clients.",
     OF(http_counters, bytes_received), 1},
    {"odradek_network_transmit_bytes_total", "counter", "Bytes sent to clients.",
     OF(http_counters, bytes_sent), 1},
    {"odradek_network_sendfile_bytes_total", "counter",
     "Bytes sent to clients straight from files, part of those sent.", OF(http_counters, bytes_sent_file), 1},
    {"odradek_cold_reads_total", "counter", "Pieces of responses that had to be read from the disk first.",
     OF(http_counters, cold_reads), 1},
};

static const struct row state_rows[] = {
    {"odradek_brokers", "gauge", "Brokers of the cluster.", OF(http_state, brokers), 1},
    {"odradek_brokers_fenced", "gauge", "Brokers of the cluster that serve nobody.",
     OF(http_state, brokers_fenced), 1},
    {"odradek_topics", "gauge", "Topics of the cluster.", OF(http_state, topics), 1},
    {"odradek_partitions", "gauge", "Partitions of the cluster.", OF(http_state, partitions), 1},
    {"odradek_partitions_offline", "gauge", "Partitions of the cluster without a leader.",
     OF(http_state, partitions_offline), 1},
    {"odradek_partitions_under_replicated", "gauge",
     "Partitions of the cluster that have fewer replicas in sync than they should have.",
     OF(http_state, partitions_under_replicated), 1},
    {"odradek_quorum_is_leader", "gauge", "1: this node is the active controller.",
     OF(http_state, quorum_leads), 1},
    {"odradek_quorum_epoch", "gauge", "Leader epoch of the metadata quorum.", OF(http_state, quorum_epoch),
     1},
    {"odradek_quorum_high_watermark", "gauge", "Offset up to which the cluster's metadata is decided.",
     OF(http_state, quorum_high_watermark), 1},
    {"odradek_quorum_log_end_offset", "gauge", "End of the metadata log.", OF(http_state, quorum_end_offset),
     1},
    {"odradek_quorum_snapshot_offset", "gauge", "Offset of the latest metadata snapshot.",
     OF(http_state, quorum_snapshot_offset), 1},
    {"odradek_logs", "gauge", "Logs of partitions on this broker.", OF(http_state, logs), 1},
    {"odradek_logs_offline", "gauge", "Logs that could not be loaded, or whose disk has failed.",
     OF(http_state, logs_offline), 1},
    {"odradek_logs_uncleanable", "gauge", "Logs whose compaction was given up.",
     OF(http_state, logs_uncleanable), 1},
    {"odradek_open_segment_files", "gauge", "Segment files that are open.", OF(http_state, open_files), 1},
    {"odradek_log_flushes_total", "counter", "Flushes of logs to the disk.", OF(http_state, flushes), 1},
    {"odradek_log_slow_flushes_total", "counter", "Flushes of logs that took long.",
     OF(http_state, slow_flushes), 1},
    {"odradek_log_flush_seconds_total", "counter", "Time that flushes of logs took.",
     OF(http_state, flush_us), 1e-6},
    {"odradek_cleaner_runs_total", "counter", "Logs compacted.", OF(http_state, cleanings), 1},
    {"odradek_cleaner_failures_total", "counter", "Compactions that an error ended.",
     OF(http_state, failed_cleanings), 1},
    {"odradek_cleaner_read_bytes_total", "counter", "Bytes that compaction read.",
     OF(http_state, cleaner_read_bytes), 1},
    {"odradek_cleaner_written_bytes_total", "counter", "Bytes that compaction wrote.",
     OF(http_state, cleaner_written_bytes), 1},
    {"odradek_cleaner_seconds_total", "counter", "Time that compaction took.", OF(http_state, cleaner_us),
     1e-6},
    {"odradek_log_moves", "gauge", "Logs that are being moved to another log directory.",
     OF(http_state, moves), 1},
    {"odradek_log_moves_total", "counter", "Logs that were moved to another log directory.",
     OF(http_state, moves_done), 1},
    {"odradek_log_move_bytes_total", "counter", "Bytes that moves to other log directories copied.",
     OF(http_state, moved_bytes), 1},
    {"odradek_fetch_sessions", "gauge", "Incremental fetch sessions.", OF(http_state, fetch_sessions), 1},
    {"odradek_quota_clients", "gauge", "Clients whose use of a quota is remembered.",
     OF(http_state, quota_clients), 1},
    {"odradek_client_instances", "gauge", "Clients that report metrics of their own (KIP-714).",
     OF(http_state, client_instances), 1},
    {"odradek_client_pushes_total", "counter",
     "Metrics that clients pushed and that were accepted (KIP-714).", OF(http_state, client_pushes), 1},
    {"odradek_client_push_bytes_total", "counter", "Bytes of those, as they were sent.",
     OF(http_state, client_push_bytes), 1},
};

static void add_rows(struct exposition *e, const struct row *rows, size_t count, const void *values)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value;
        memcpy(&value, (const char *)values + rows[i].offset, sizeof value);
        exposition_one(e, rows[i].name, rows[i].type, rows[i].help, (double)value * rows[i].unit);
    }
}

static void add_latencies(struct exposition *e, const struct http_params *broker)
{
    size_t count;
    const struct api *apis = api_all(&count);
    struct histogram_values v;
    exposition_family(
        e, "odradek_request_duration_seconds", "histogram",
        "From a request's last byte to its response being ready, by API; with what it waited for.");
    for (size_t i = 0; i < count; i++)
        if (broker->latency(broker->context, apis[i].key, &v) && v.count > 0)
            exposition_histogram(e, &(struct metric_label){"api", str_from(apis[i].name)}, 1, &v);
    exposition_family(e, "odradek_delivery_duration_seconds", "histogram",
                      "From a record's append to its leaving to a consumer that waited for it.");
    broker->latency(broker->context, HTTP_DELIVERY, &v);
    exposition_histogram(e, NULL, 0, &v);
}

static void add_errors(struct exposition *e, const struct http_params *broker)
{
    struct error_counts *counts = calloc(1, sizeof *counts);
    int16_t api_key, code;
    uint64_t count;
    if (!counts)
        return;
    broker->errors(broker->context, counts);
    exposition_family(e, "odradek_errors_total", "counter",
                      "Error codes in responses, by API and error; each partition's counts.");
    for (unsigned i = 0; i < ERROR_COUNTS; i++)
        if (error_counts_at(counts, i, &api_key, &code, &count)) {
            struct metric_label labels[] = {{"api", str_from(api_find(api_key)->name)},
                                            {"error", str_from(error_code_name(code))}};
            exposition_add(e, labels, 2, (double)count);
        }
    if (counts->others) {
        struct metric_label labels[] = {{"api", METRICS_OTHERS}, {"error", METRICS_OTHERS}};
        exposition_add(e, labels, 2, (double)counts->others);
    }
    free(counts);
}

// By the names that every Prometheus client library gives them.
static void add_process(struct exposition *e)
{
    struct process_usage u;
    process_usage(&u);
    exposition_one(e, "process_cpu_seconds_total", "counter", "CPU time of the process.", u.cpu_seconds);
    exposition_one(e, "process_resident_memory_bytes", "gauge", "Memory that the process has in RAM.",
                   (double)u.resident_bytes);
    exposition_one(e, "process_virtual_memory_bytes", "gauge", "Address space of the process.",
                   (double)u.virtual_bytes);
    exposition_one(e, "process_threads", "gauge", "Threads of the process.", (double)u.threads);
    exposition_one(e, "process_open_fds", "gauge", "Open files and sockets.", (double)u.open_files);
    exposition_one(e, "process_max_fds", "gauge", "Most files and sockets that may be open.",
                   (double)u.open_files_most);
    exposition_one(e, "process_start_time_seconds", "gauge", "When the process started, since 1970.",
                   u.start_seconds);
}

static void add_state(struct exposition *e, const struct http_params *broker)
{
    struct http_counters counters = {0};
    struct http_state state = {0};
    broker->counters(broker->context, &counters);
    broker->state(broker->context, &state);
    char node[16];
    snprintf(node, sizeof node, "%d", state.node_id);
    struct metric_label labels[] = {{"version", str_from(ODRADEK_VERSION)},
                                    {"cluster_id", str_from(state.cluster_id)},
                                    {"node_id", str_from(node)}};
    exposition_family(e, "odradek_info", "gauge", "Always 1; the labels say who this is.");
    exposition_add(e, labels, 3, 1);
    add_rows(e, counter_rows, sizeof counter_rows / sizeof *counter_rows, &counters);
    add_rows(e, state_rows, sizeof state_rows / sizeof *state_rows, &state);
}

// [lock] What was asked for not long ago is not asked for again.
static void add_slow(struct buffer *out, struct metrics *m, const struct http_params *broker)
{
    if (clock_monotonic_ms() >= m->ask_ms) {
        buffer_clear(&m->slow);
        struct exposition e = {.out = &m->slow};
        bool all = metrics_add_slow(&e, broker) && !m->slow.failed;
        m->ask_ms = clock_monotonic_ms() + (all ? METRICS_SLOW_MS : METRICS_RETRY_MS);
    }
    buffer_append(out, m->slow.data, m->slow.size);
}

void http_metrics(struct http_request *r)
{
    struct buffer out = BUFFER_INIT;
    struct exposition e = {.out = &out};
    struct loads loads;
    add_state(&e, r->broker);
    add_latencies(&e, r->broker);
    add_errors(&e, r->broker);
    add_process(&e);
    loads_read(&loads, r->broker, STR_NULL, &r->arena);
    pthread_mutex_lock(&r->metrics->lock);
    metrics_add_topics(&e, &r->metrics->topics, &loads);
    add_slow(&out, r->metrics, r->broker);
    pthread_mutex_unlock(&r->metrics->lock);
    bool complete = !loads.failed;
    loads_free(&loads);
    if (!out.failed && complete)
        http_answer_text(r, 200, "text/plain; version=0.0.4; charset=utf-8", (const char *)out.data,
                         out.size);
    buffer_free(&out);
}
