#include "server/limits.h"

#include "base/error.h"
#include "os/socket.h"

#include <stdlib.h>
#include <string.h>

void server_limits_default(struct server_limits *limits)
{
    *limits = (struct server_limits){
        .socket_request_max_bytes = 104857600,
        .queued_max_request_bytes = -1,
        .max_connections = INT32_MAX,
        .max_connections_per_ip = INT32_MAX,
        .max_connection_creation_rate = INT32_MAX,
        .quota_window_num = 11,
        .quota_window_size_seconds = 1,
        .connections_max_idle_ms = 600000,
        .socket_send_buffer_bytes = -1,
        .socket_receive_buffer_bytes = -1,
        .listen_backlog = 50,
        .requests_in_flight = 64,
        .response_bytes_waiting = 8 << 20,
    };
}

// Kafka's default socket buffers, which its sample server.properties repeats: nobody's decision. They make
// the sender of a 1 MB response wait ten times for its reader, and the receiver of a 64 KB batch wake up
// early: a Java consumer's fetches cost twice the CPU, produce a tenth more (./dev bench). The kernel adapts
// the receive buffer.
#define KAFKA_DEFAULT_BUFFER_BYTES 102400
#define SEND_BUFFER_BYTES          (1 << 20)
#define KERNELS_CHOICE             (-1)

static int32_t buffer_bytes(int32_t configured, int32_t ours)
{
    return configured == KAFKA_DEFAULT_BUFFER_BYTES ? ours : configured;
}

static int32_t rate_of(struct str text)
{
    char digits[16];
    if (text.size >= sizeof digits)
        return INT32_MAX;
    memcpy(digits, text.data, text.size);
    digits[text.size] = 0;
    long rate = strtol(digits, NULL, 10);
    return rate > 0 && rate < INT32_MAX ? (int32_t)rate : INT32_MAX;
}

static int find_listener_rates(const struct broker_config *config, struct server_limits *limits)
{
    static const struct str prefix = {"listener.name.", 14}, suffix = {".max.connection.creation.rate", 29};
    limits->listener_rates = calloc(config->properties.count + 1, sizeof *limits->listener_rates);
    if (!limits->listener_rates)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->properties.count; i++) {
        const struct config_entry *e = &config->properties.entries[i];
        size_t around = prefix.size + suffix.size;
        if (e->name.size <= around || memcmp(e->name.data, prefix.data, prefix.size) != 0 ||
            memcmp(e->name.data + e->name.size - suffix.size, suffix.data, suffix.size) != 0)
            continue;
        limits->listener_rates[limits->listener_rate_count++] =
            (struct listener_rate){{e->name.data + prefix.size, e->name.size - around}, rate_of(e->value)};
    }
    return 0;
}

int server_limits_of(const struct broker_config *config, struct server_limits *limits, const char **wrong)
{
    uint8_t ip[16];
    struct ip_override *overrides = calloc(config->ip_limit_count + 1, sizeof *overrides);
    *wrong = NULL;
    server_limits_default(limits);
    if (!overrides)
        return ERR_NOMEM;
    if (find_listener_rates(config, limits)) {
        free(overrides);
        return ERR_NOMEM;
    }
    limits->max_connection_creation_rate = config->max_connection_creation_rate;
    limits->quota_window_num = config->quota_window_num;
    limits->quota_window_size_seconds = config->quota_window_size_seconds;
    limits->socket_request_max_bytes = config->socket_request_max_bytes;
    limits->queued_max_request_bytes = config->queued_max_request_bytes;
    limits->max_connections = config->max_connections;
    limits->max_connections_per_ip = config->max_connections_per_ip;
    limits->connections_max_idle_ms = config->connections_max_idle_ms;
    limits->socket_send_buffer_bytes = buffer_bytes(config->socket_send_buffer_bytes, SEND_BUFFER_BYTES);
    limits->socket_receive_buffer_bytes = buffer_bytes(config->socket_receive_buffer_bytes, KERNELS_CHOICE);
    limits->listen_backlog = config->socket_listen_backlog;
    for (size_t i = 0; i < config->ip_limit_count; i++) {
        overrides[i] = (struct ip_override){config->ip_limits[i].host.data, config->ip_limits[i].limit};
        if (!*wrong && socket_parse_ip(overrides[i].address, ip) != 0)
            *wrong = overrides[i].address;
    }
    limits->overrides = overrides;
    limits->override_count = config->ip_limit_count;
    return *wrong ? ERR_INVALID : 0;
}

void server_limits_free(struct server_limits *limits)
{
    free((void *)(uintptr_t)limits->overrides);
    free(limits->listener_rates);
    limits->listener_rates = NULL;
    limits->listener_rate_count = 0;
    limits->overrides = NULL;
    limits->override_count = 0;
}
