#include "server/limits.h"

void server_limits_default(struct server_limits *limits)
{
    *limits = (struct server_limits){
        .socket_request_max_bytes = 104857600,
        .queued_max_request_bytes = -1,
        .max_connections = INT32_MAX,
        .max_connections_per_ip = INT32_MAX,
        .connections_max_idle_ms = 600000,
        .socket_send_buffer_bytes = -1,
        .socket_receive_buffer_bytes = -1,
        .listen_backlog = 50,
        .requests_in_flight = 64,
        .response_bytes_waiting = 8 << 20,
    };
}
