// Counts connections against max.connections, of the broker and of each listener, and max.connections.per.ip.
// Private to the server room. Any thread.
#ifndef SERVER_QUOTA_H
#define SERVER_QUOTA_H

#include "base/map.h"
#include "server/limits.h"

#include <pthread.h>

struct connection_quota {
    pthread_mutex_t lock;
    struct map ips; // of struct ip_count, by the 16 bytes of the address
    bool somebody_waits;
    int32_t open, max_connections, max_per_ip;
    struct {
        int32_t open, max_connections;
    } listeners[LISTENERS_MAX]; // by index
};

enum quota_answer {
    QUOTA_GRANTED, // a place is reserved
    QUOTA_EVICT,   // the same, above the limit: another connection has to go
    QUOTA_WAIT,    // nothing is reserved; quota_release will say when to try again
};

// 0, ERR_NOMEM, or ERR_INVALID: an override's address is not numeric.
int quota_init(struct connection_quota *q, const struct server_limits *limits);

// Other limits from now on; connections that are open stay. *wake: whether somebody who waits can go on.
// Errors as quota_init: some of the limits count already then.
int quota_configure(struct connection_quota *q, const struct server_limits *limits, bool *wake);
void quota_free(struct connection_quota *q);

// Another limit of one listener, which is none at first. Returns whether somebody who waits may go on.
bool quota_limit_listener(struct connection_quota *q, unsigned listener, int32_t max_connections);

// How many connections there are above max.connections.
int32_t quota_excess(struct connection_quota *q);

// Connections of a listener that are open now.
int32_t quota_open(struct connection_quota *q, unsigned listener);

// Reserves a place before a connection is accepted. is_protected: only the listener's own limit holds it
// back.
enum quota_answer quota_reserve(struct connection_quota *q, unsigned listener, bool is_protected);

// No connection came after all. For who reserved it within the same turn: nobody can have waited for the
// place.
void quota_cancel(struct connection_quota *q, unsigned listener);

// Counts the address of the connection that took the place. 0, ERR_LIMIT, ERR_NOMEM.
int quota_add(struct connection_quota *q, const uint8_t ip[16]);

// Gives the place back; ip is what quota_add counted, or NULL. Returns whether somebody who waits may go on.
bool quota_release(struct connection_quota *q, unsigned listener, const uint8_t *ip);

#endif
