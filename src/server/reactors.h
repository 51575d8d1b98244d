// What the group of reactors shares. Private to the server room.
#ifndef SERVER_REACTORS_H
#define SERVER_REACTORS_H

#include "os/thread.h"
#include "server/acceptor.h"
#include "server/connection.h"
#include "server/connection_rates.h"
#include "server/quota.h"

#include <semaphore.h>

#define LISTENERS_MAX 32

struct reactors {
    struct reactors_config config;
    struct reactor_state *states; // config.count
    struct thread *threads;
    unsigned running;                         // threads
    struct acceptor acceptors[LISTENERS_MAX]; // for the first reactor's thread once serving
    unsigned acceptor_count;
    unsigned next_reactor; // the acceptors' own
    struct workers *readahead, *workers;
    int spare_fd; // for when no descriptor is left
    struct connection_quota quota;
    struct connection_rates rates;
    struct task accept_task;     // to the first reactor: a place is free
    struct task close_task;      // to the first reactor: stop accepting
    sem_t closed;                // posted by close_task
    _Atomic int64_t input_bytes; // counted only under queued.max.request.bytes
    atomic_bool memory_wanted;   // somebody waits for it
    _Atomic uint64_t accepted, refused;
};

// One reactor (reactor.c).
int reactor_init(struct reactor_state *state, struct reactors *group, unsigned index);
void reactor_free(struct reactor_state *state);
void reactor_run(void *reactor_state); // its thread

// Lets the reactor with most connections close its longest idle one that is on no protected listener.
void reactors_evict(struct reactors *group);

#endif
