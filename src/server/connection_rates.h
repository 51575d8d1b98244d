// How fast connections may be made (KIP-612): max.connection.creation.rate of the broker and of each
// listener, and connection_creation_rate of addresses. Private to the server room. Any thread; accepting
// asks, on the first reactor's.
//
// Over the broker's or its listener's rate the listener accepts nothing for a while, and nobody is refused;
// over its address's rate a connection is held for as long, and closed.
#ifndef SERVER_CONNECTION_RATES_H
#define SERVER_CONNECTION_RATES_H

#include "base/map.h"
#include "metadata/image.h"
#include "quota/rate.h"
#include "server/limits.h"

#include <pthread.h>

struct connection_rate {
    int32_t limit; // a second; CONNECTION_RATE_UNLIMITED: none
    struct quota_rate rate;
};

#define CONNECTION_RATE_UNLIMITED INT32_MAX

struct connection_rates {
    pthread_mutex_t lock;
    struct quota_window window;
    struct connection_rate broker;
    struct connection_rate *listeners; // by index of listener
    size_t listener_count;
    struct map ips;           // of struct ip_rate, by the 16 bytes of the address
    int32_t default_ip_limit; // of addresses without one of their own
    int64_t swept_ms;
    atomic_bool any_ip; // whether an address may have a limit
};

// 0 or ERR_NOMEM.
int connection_rates_init(struct connection_rates *r, const struct server_limits *limits,
                          size_t listener_count);
void connection_rates_free(struct connection_rates *r);

// Sets the limit of the broker (listener -1) or of a listener.
void connection_rates_limit(struct connection_rates *r, int listener, int32_t limit);

// Takes the addresses' limits from the image; names of hosts are looked up. Not on a reactor.
void connection_rates_follow(struct connection_rates *r, const struct image *image);

// A connection was accepted on the listener: for how long that accepts no other; at most a sample's length.
// is_protected: as for max.connections, the broker's rate does not count.
int32_t connection_rates_accepted(struct connection_rates *r, unsigned listener, bool is_protected,
                                  int64_t now_ms);

// The same connection comes from this address. 0: it is welcome; otherwise it is not, counts for nothing, and
// is closed after this time.
int32_t connection_rates_of_ip(struct connection_rates *r, unsigned listener, bool is_protected,
                               const uint8_t ip[16], int64_t now_ms);

#endif
