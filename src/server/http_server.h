// The HTTP server (http/) within this process: it reaches the broker as a client does. Main thread.
#ifndef SERVER_HTTP_SERVER_H
#define SERVER_HTTP_SERVER_H

#include "http/http.h"
#include "server/broker.h"

// Serves http.listeners from here on; *out NULL: none are configured, or the default one is taken already,
// which is a warning. Once the reactors serve. 0, or an error with one line in `message`.
int http_server_start(struct http **out, struct broker *broker, char *message, size_t message_bytes);

#endif
