// A request on a worker's thread: its decoding, where it is large, and its handler
// (api_handler.worker_bytes). What that decides is kept, and carried out on the request's reactor. Private to
// the server room.
#ifndef SERVER_OFFLOAD_H
#define SERVER_OFFLOAD_H

#include "os/socket.h"
#include "server/connection.h"

enum verdict {
    VERDICT_NONE,
    VERDICT_RESPOND,
    VERDICT_CLOSE,
    VERDICT_PARK,
    VERDICT_REFUSE, // it cannot be decoded
    VERDICT_HANDLE, // it is decoded; the reactor says who handles it
};

struct offload {
    struct request_work work;
    struct socket_peer peer; // a copy: the connection may go meanwhile
    struct bytes frame;      // in the request's input; a null view: it is decoded already
    struct undecodable why;
    int64_t used_us;
    enum verdict verdict;
    const char *reason; // to close
    enum park park;
    void (*on_cancel)(struct request *request);
    void *parked;
    void (*then)(void *context); // request_then
    void *then_context;
    void (*run)(struct request *request, void *context); // NULL: the handler
    void (*after)(void *context);
    void *context;
};

// Decodes the request on a worker, or here where no worker can take it, then runs its handler where it
// belongs. Parks the request until then.
void offload_decode(struct request *request, struct bytes frame);

// Runs the request's handler on a worker, or here where none can take it. Parks the request until then.
void offload_handle(struct request *request);

#endif
