// What the group of reactors shares. Private to the server room.
#ifndef SERVER_REACTORS_H
#define SERVER_REACTORS_H

#include "os/thread.h"
#include "server/acceptor.h"
#include "server/connection.h"
#include "server/connection_rates.h"
#include "server/quota.h"
#include "server/request_log.h"

#include <semaphore.h>

#define REACTOR_DRAIN_MS 5000 // what leaves may finish what it has begun for so long

struct reactors {
    struct reactors_config config;

    // The first `made` exist (and, once they run, have a thread each); the first `serving` of them take
    // connections. Who is one too many lets its connections go, and sleeps until it serves again: timers of
    // others are on its loop.
    struct reactor_state *states[REACTORS_MAX];
    struct thread threads[REACTORS_MAX];
    _Atomic unsigned made, serving;
    _Atomic unsigned wanted; // serving, as soon as the first reactor has looked

    // Who changes that, or the listeners, holds `shape`; never a reactor's thread.
    pthread_mutex_t shape;
    unsigned started; // threads
    bool running, stopped;
    struct acceptor acceptors[LISTENERS_MAX]; // each is for the first reactor's thread while it serves
    struct acceptor *leaving;
    _Atomic unsigned broker_listeners;

    struct list accepting; // acceptors that serve; the first reactor's own
    unsigned next_reactor; // the acceptors' own
    struct workers *readahead, *workers;
    struct request_lines lines;
    int spare_fd; // for when no descriptor is left
    struct connection_quota quota;
    struct connection_rates rates;
    struct task accept_task;     // to the first reactor: a place is free
    struct task close_task;      // to the first reactor: stop accepting, on `leaving` or everywhere
    struct task resize_task;     // to the first reactor: as many serve as are wanted
    sem_t told;                  // posted by the last two: who changes the shape waits until it has changed
    atomic_bool ending;          // everything stops
    int stop_bound_ms;           // set before `ending` is
    _Atomic int64_t input_bytes; // counted only under queued.max.request.bytes
    atomic_bool memory_wanted;   // somebody waits for it
    _Atomic uint64_t accepted, refused;
};

// One reactor (reactor.c).
int reactor_init(struct reactor_state *state, struct reactors *group, unsigned index);
void reactor_free(struct reactor_state *state);
void reactor_run(void *reactor_state); // its thread

// Lets reactors with most connections close so many of their longest idle ones that are on no protected
// listener.
void reactors_evict(struct reactors *group, int32_t count);

// Whether max.connections makes room for the listener's connections: it is the protected one, and there are
// others.
static inline bool reactors_protect(const struct reactors *group, const struct listener *listener)
{
    return listener->is_protected && atomic_load_explicit(&group->broker_listeners, memory_order_relaxed) > 1;
}

// reshape.c: another reactor; the thread of the first that has none. Under the shape lock.
int reactors_add(struct reactors *group);
int reactors_start_next(struct reactors *group);
// Everybody looks who has to leave.
void reactors_drain(struct reactors *group);

#endif
