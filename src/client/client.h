// A small blocking client of a Kafka broker, over the project's own codec: connect, negotiate versions, call.
// One thread; one request at a time.
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "base/arena.h"
#include "protocol/api.h"

#define CLIENT_APIS       128
#define CLIENT_ERROR_SIZE 512

struct client {
    int fd;
    int timeout_ms; // of connecting, and of each call
    int32_t correlation_id;
    int16_t max_version[CLIENT_APIS], min_version[CLIENT_APIS]; // the broker's; min > max: not offered
    char address[280];                                          // "host:port"
    char error[CLIENT_ERROR_SIZE];                              // what went wrong, for a person
};

// Connects to the first of "host:port,host:port" (port 9092 unless given) that answers, and asks for its
// versions. 0, or a code with c->error.
int client_open(struct client *c, const char *servers, int timeout_ms);

// The same over a connection that is there already; fd belongs to the client from here on, also on an error.
int client_adopt(struct client *c, int fd, const char *name, int timeout_ms);

// The highest version that both sides have, at most `most`. -1, with c->error, when there is none.
int16_t client_version(struct client *c, int16_t api_key, int16_t most);

// Sends the request in `version` and decodes the response into *response (of the API's response type). What
// it points to lies in the arena. 0, or a code with c->error; the connection is then of no more use.
int client_call(struct client *c, int16_t api_key, int16_t version, const void *request, struct arena *arena,
                void *response);

void client_close(struct client *c);

#endif
