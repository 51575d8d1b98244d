// The HTTP server: health, metrics, the admin API (docs/http.md). Start and stop: the main
// thread.
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "metrics/histogram.h"

#define HTTP_CONNECTIONS 64        // at once; each has a thread
#define HTTP_BODY_BYTES  (1 << 20) // of a request

struct http;

// Since the start; what is "now" says so.
struct http_counters {
    uint64_t connections_accepted, connections_refused, connections_open; // open: now
    uint64_t requests, responses;
    uint64_t bytes_received, bytes_sent, bytes_sent_file;
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
    int (*connect)(void *context); // a connection to the broker, a descriptor; or ERR_...
    void (*counters)(void *context, struct http_counters *out);
    // Of the topic (a null view: of all) each partition, in no order. `each` must not call back.
    void (*partitions)(void *context, struct str topic,
                       void (*each)(void *arg, const struct http_partition *partition), void *arg);
    // In microseconds: of an API's requests, or of delivery. False: there is no such API.
    bool (*latency)(void *context, int16_t api_key, struct histogram_values *out);
    void *context;
};

// Listens and serves. 0, or an error with one line in `reason`. http_port tells the bound port of a listener.
int http_start(struct http **out, const struct http_params *params, char *reason, size_t reason_bytes);
uint16_t http_port(const struct http *h, size_t listener);

// Waits for handlers. NULL is fine.
void http_stop(struct http *h);

#endif
