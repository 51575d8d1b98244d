// The HTTP server: health, metrics, the admin API (docs/http.md). Start and stop: the main
// thread.
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "metrics/error_counts.h"
#include "metrics/histogram.h"
#include "telemetry/telemetry.h"

#define HTTP_CONNECTIONS 64        // at once; each has a thread
#define HTTP_BODY_BYTES  (1 << 20) // of a request

struct http;

// Since the start; what is "now" says so.
struct http_counters {
    uint64_t connections_accepted, connections_refused, connections_open; // open: now
    uint64_t connections_closed, connections_moved;
    uint64_t requests, responses;
    uint64_t in_flight, waiting, buffer_bytes; // now
    uint64_t throttled, throttle_ms;           // requests by quotas, and for how long in all
    uint64_t bytes_received, bytes_sent, bytes_sent_file, cold_reads;
};

// What else a broker counts; "total" times and what is said to be since the start are counters, the rest is
// now.
struct http_state {
    int32_t node_id;
    char cluster_id[64];
    // Of the cluster, as the metadata has it.
    uint64_t brokers, brokers_fenced, topics, partitions, partitions_offline, partitions_under_replicated;
    // The metadata quorum, as this node knows it.
    uint64_t quorum_leads, quorum_epoch, quorum_high_watermark, quorum_end_offset, quorum_snapshot_offset;
    // Storage; from flushes on since the start.
    uint64_t logs, logs_offline, logs_uncleanable, open_files;
    uint64_t flushes, slow_flushes, flush_us;
    uint64_t cleanings, failed_cleanings, cleaner_read_bytes, cleaner_written_bytes, cleaner_us;
    uint64_t moves, moves_done, moved_bytes; // between log directories; the first one is now
    // Clients; pushes since the start.
    uint64_t fetch_sessions, quota_clients, client_instances;
    uint64_t client_pushes, client_push_bytes;
};

// A partition that this broker has.
struct http_partition {
    struct str topic;
    int32_t partition;
    uint64_t messages_in, bytes_in, bytes_out; // since it came to this broker
    int64_t size_bytes, records;               // now; records: offsets between its first and its end
};

// Of the latencies that http_params.latency reads; else an API key.
#define HTTP_DELIVERY (-1)

struct http_listener {
    const char *host; // "" is every address
    uint16_t port;    // 0: a free one
};

struct http_params {
    const struct http_listener *listeners;
    size_t listener_count;

    // Called on any of the server's threads, until http_stop returns.
    bool (*is_host)(void *context, struct str name); // whether this node goes by that name
    int (*connect)(void *context);                   // a connection to the broker, a descriptor; or ERR_...
    void (*counters)(void *context, struct http_counters *out);
    // Of the topic (a null view: of all) each partition, in no order. `each` must not call back.
    void (*partitions)(void *context, struct str topic,
                       void (*each)(void *arg, const struct http_partition *partition), void *arg);
    // In microseconds: of an API's requests, or of delivery. False: there is no such API.
    bool (*latency)(void *context, int16_t api_key, struct histogram_values *out);
    // Adds the errors in responses to clients, by API and code.
    void (*errors)(void *context, struct error_counts *out);
    void (*state)(void *context, struct http_state *out);
    // Clients that report metrics of their own; see telemetry_list and telemetry_find.
    int (*clients)(void *context, struct arena *arena, struct telemetry_clients *out);
    int (*client)(void *context, const struct uuid *id, struct arena *arena, struct telemetry_client *out);
    void *context;
};

// Listens and serves. 0, or an error with one line in `reason`. http_port tells the bound port of a listener.
int http_start(struct http **out, const struct http_params *params, char *reason, size_t reason_bytes);
uint16_t http_port(const struct http *h, size_t listener);

// Waits for handlers. NULL is fine.
void http_stop(struct http *h);

#endif
