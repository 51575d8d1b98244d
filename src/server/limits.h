// The limits of the network layer, with Kafka's names where Kafka has them.
#ifndef SERVER_LIMITS_H
#define SERVER_LIMITS_H

#include "config/broker_config.h"

// One entry of max.connections.per.ip.overrides. The address as text, as inet_ntop writes it.
struct ip_override {
    const char *address;
    int32_t max_connections;
};

#define LISTENERS_MAX 32
#define REACTORS_MAX  256

// listener.name.NAME.max.connections or .max.connection.creation.rate.
struct listener_limit {
    struct str name;                   // in small letters
    int32_t max_connections, max_rate; // NO_LISTENER_LIMIT: not this one
};

#define NO_LISTENER_LIMIT (-1)

struct server_limits {
    int32_t socket_request_max_bytes;    // socket.request.max.bytes: a larger request closes its connection
    int64_t queued_max_request_bytes;    // queued.max.request.bytes: request buffers in all; -1: no limit. At
                                         // the limit reading waits
    int32_t max_connections;             // max.connections: at the limit, accepting waits
    int32_t max_connections_per_ip;      // max.connections.per.ip: above it, the new connection is closed
    const struct ip_override *overrides; // max.connections.per.ip.overrides
    size_t override_count;
    int32_t max_connection_creation_rate;   // max.connection.creation.rate, of the broker and each listener
    struct listener_limit *listener_limits; // of those that have one of their own
    size_t listener_limit_count;
    int32_t quota_window_num, quota_window_size_seconds; // quota.window.*: of those rates
    int64_t connections_max_idle_ms;     // connections.max.idle.ms: no progress for so long closes; -1: never
    int32_t socket_send_buffer_bytes;    // socket.send.buffer.bytes; -1: the system's
    int32_t socket_receive_buffer_bytes; // socket.receive.buffer.bytes; -1: the system's
    int32_t listen_backlog;              // socket.listen.backlog.size

    // Odradek's own.
    int32_t requests_in_flight;    // per connection, from read to response sent; at the limit reading waits
    size_t response_bytes_waiting; // per connection, in memory (file ranges cost none); at the limit reading
                                   // waits
};

// Kafka's defaults, and ours.
void server_limits_default(struct server_limits *limits);

// What a node's configuration says. The overrides are made here, over texts of the configuration; free with
// server_limits_free. 0; ERR_NOMEM; ERR_INVALID: *wrong is the first override that is no numeric address.
int server_limits_of(const struct broker_config *config, struct server_limits *limits, const char **wrong);
void server_limits_free(struct server_limits *limits);

// How many reactors serve: num.network.threads, or one a processor where it is not set; REACTORS_MAX at most.
unsigned server_reactors_of(const struct broker_config *config);

// What counts for the connections of one listener: its own limits, or the broker's in their place.
void server_limits_of_listener(const struct server_limits *limits, const char *name, int32_t *max_connections,
                               int32_t *max_rate);

#endif
