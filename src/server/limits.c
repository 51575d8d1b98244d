#include "server/limits.h"

#include "base/error.h"
#include "os/socket.h"
#include "os/thread.h"

#include <ctype.h>
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
// both; a larger send buffer than its own choice saves nothing more, and one of 1 MB costs fetch a tenth.
#define KAFKA_DEFAULT_BUFFER_BYTES 102400
#define KERNELS_CHOICE             (-1)

static int32_t buffer_bytes(int32_t configured)
{
    return configured == KAFKA_DEFAULT_BUFFER_BYTES ? KERNELS_CHOICE : configured;
}

static int32_t limit_of(struct str text)
{
    char digits[16];
    if (text.size >= sizeof digits)
        return INT32_MAX;
    memcpy(digits, text.data, text.size);
    digits[text.size] = 0;
    long limit = strtol(digits, NULL, 10);
    return limit > 0 && limit < INT32_MAX ? (int32_t)limit : INT32_MAX;
}

// The NAME of "listener.name.NAME" and the suffix, or a null view.
static struct str listener_of(struct str setting, struct str suffix)
{
    static const struct str prefix = {"listener.name.", 14};
    size_t around = prefix.size + suffix.size;
    if (setting.size <= around || memcmp(setting.data, prefix.data, prefix.size) != 0 ||
        memcmp(setting.data + setting.size - suffix.size, suffix.data, suffix.size) != 0)
        return STR_NULL;
    return (struct str){setting.data + prefix.size, setting.size - around};
}

static int find_listener_limits(const struct broker_config *config, struct server_limits *limits)
{
    limits->listener_limits = calloc(config->properties.count + 1, sizeof *limits->listener_limits);
    if (!limits->listener_limits)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->properties.count; i++) {
        const struct config_entry *e = &config->properties.entries[i];
        struct listener_limit one = {STR_NULL, NO_LISTENER_LIMIT, NO_LISTENER_LIMIT};
        if ((one.name = listener_of(e->name, STR(".max.connections"))).data)
            one.max_connections = limit_of(e->value);
        else if ((one.name = listener_of(e->name, STR(".max.connection.creation.rate"))).data)
            one.max_rate = limit_of(e->value);
        if (one.name.data)
            limits->listener_limits[limits->listener_limit_count++] = one;
    }
    return 0;
}

// The listener's name in small letters, as in Kafka.
static bool names_listener(struct str written, const char *name)
{
    size_t i = 0;
    while (i < written.size && name[i] && written.data[i] == tolower((unsigned char)name[i]))
        i++;
    return i == written.size && !name[i];
}

void server_limits_of_listener(const struct server_limits *limits, const char *name, int32_t *max_connections,
                               int32_t *max_rate)
{
    *max_connections = limits->max_connections;
    *max_rate = limits->max_connection_creation_rate;
    for (size_t i = 0; i < limits->listener_limit_count; i++) {
        const struct listener_limit *one = &limits->listener_limits[i];
        if (!names_listener(one->name, name))
            continue;
        if (one->max_connections != NO_LISTENER_LIMIT)
            *max_connections = one->max_connections;
        if (one->max_rate != NO_LISTENER_LIMIT)
            *max_rate = one->max_rate;
    }
}

int server_limits_of(const struct broker_config *config, struct server_limits *limits, const char **wrong)
{
    uint8_t ip[16];
    struct ip_override *overrides = calloc(config->ip_limit_count + 1, sizeof *overrides);
    *wrong = NULL;
    server_limits_default(limits);
    if (!overrides)
        return ERR_NOMEM;
    if (find_listener_limits(config, limits)) {
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
    limits->socket_send_buffer_bytes = buffer_bytes(config->socket_send_buffer_bytes);
    limits->socket_receive_buffer_bytes = buffer_bytes(config->socket_receive_buffer_bytes);
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

unsigned server_reactors_of(const struct broker_config *config)
{
    unsigned count = config->network_threads > 0 ? (unsigned)config->network_threads : process_cpus();
    return count < REACTORS_MAX ? count : REACTORS_MAX;
}

void server_limits_free(struct server_limits *limits)
{
    free((void *)(uintptr_t)limits->overrides);
    free(limits->listener_limits);
    limits->listener_limits = NULL;
    limits->listener_limit_count = 0;
    limits->overrides = NULL;
    limits->override_count = 0;
}
