// A listener: a bound port with a name. Made by reactors_listen.
#ifndef SERVER_LISTENER_H
#define SERVER_LISTENER_H

#include "base/bytes.h"

// Which APIs a listener offers (requests.txt: listeners=broker,controller).
enum listener_kind { LISTENER_BROKER = 1, LISTENER_CONTROLLER = 2 };

struct listener_spec {
    const char *name; // of `listeners`, e.g. "PLAINTEXT", "CONTROLLER"; copied
    const char *host; // NULL or "": every address. A name or a numeric address; copied
    uint16_t port;    // 0: a free one
    enum listener_kind kind;
    bool is_protected; // the inter-broker listener while others exist: max.connections makes room for it by
                       // closing the longest idle connection of another listener
};

struct listener {
    const char *name;
    const char *host; // as configured; "" is every address
    uint16_t port;    // bound
    enum listener_kind kind;
    bool is_protected;
    unsigned index; // in the order of reactors_listen
};

#endif
