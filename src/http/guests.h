// The HTTP connections that are open. Where there are as many as there may be, the one gives way that has
// waited longest for its client: with an idle one, or a request that comes a byte at a time, nobody keeps
// others out.
#ifndef HTTP_GUESTS_H
#define HTTP_GUESTS_H

#include "base/list.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define GUEST_GRACE_MS 1000 // a request of somebody who has come comes within this

struct guest {
    struct list node;
    int fd;
    int64_t since_ms; // when it began to wait for its client
    bool served;      // a handler runs, or its answer leaves
    bool ended;
};

struct guests {
    pthread_mutex_t lock;
    struct list all;
    unsigned count;      // without those that were ended
    unsigned most;       // beyond, who waits for longer than the grace gives way
    unsigned most_young; // beyond, anybody who waits
};

void guests_init(struct guests *g, unsigned most, unsigned most_young);
void guests_free(struct guests *g);

// A connection came; another may have to go. NULL: out of memory, it is not watched.
struct guest *guests_add(struct guests *g, int fd, int64_t now_ms);
// It is closed: before its descriptor is.
void guests_remove(struct guests *g, struct guest *guest);
// From now on it is, or is not, its client that is waited for. `guest` may be NULL.
void guests_serve(struct guests *g, struct guest *guest, bool served, int64_t now_ms);

#endif
