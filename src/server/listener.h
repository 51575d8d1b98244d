// A listener: a bound port with a name. Made by reactors_listen, ended by reactors_unlisten.
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "base/bytes.h"

#include <stdatomic.h>

// Which APIs a listener offers (requests.txt: listeners=broker,controller).
enum listener_kind { LISTENER_BROKER = 1, LISTENER_CONTROLLER = 2 };

struct listener_spec {
    const char *name; // of `listeners`, e.g. "PLAINTEXT", "CONTROLLER"; copied
    const char *host; // NULL or "": every address. A name or a numeric address; copied
    uint16_t port;    // 0: a free one
    enum listener_kind kind;
    bool is_protected; // the inter-broker listener: while there are others of brokers, max.connections makes
                       // room for it by closing the longest idle connection of another listener
};

struct listener {
    const char *name;
    const char *host; // as configured; "" is every address
    uint16_t port;    // bound
    enum listener_kind kind;
    bool is_protected;
    unsigned index; // its slot; below LISTENERS_MAX, and another listener's once all its connections are gone
    atomic_uint holds;   // requests that workers have, and that may outlive their connection
    atomic_bool closing; // it was taken away: its connections take no further request
};

#endif
