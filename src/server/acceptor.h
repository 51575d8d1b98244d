// Accepts connections of one listener and spreads them over the reactors. Private to the server room.
//
// All listeners are served by the first reactor's thread, and a connection goes to the reactor that has the
// fewest: with SO_REUSEPORT the kernel would spread by hash, which leaves few long-lived connections (a
// broker's usual clients) unevenly distributed. Accepting costs a few microseconds once a connection.
#ifndef SERVER_ACCEPTOR_H
#define SERVER_ACCEPTOR_H

#include "os/socket.h"
#include "server/reactor.h"

struct acceptor {
    struct listener listener;
    struct reactors *group;
    struct loop_source source;
    struct loop_work work;   // goes on in the next turn
    struct loop_timer retry; // after an error that time may mend
    struct list node;        // of the reactors' serving ones: the first reactor's own
    struct task serve_task;  // to the first reactor, when the others serve already
    bool used;               // the slot has a listener; guarded by the reactors' shape lock
    bool serving;            // the first reactor's own

    // One that was accepted over the broker's or the listener's rate: it is admitted, and others are
    // accepted, when its time has come.
    int held_fd; // -1: none
    struct socket_peer held_peer;
    struct loop_timer held_timer;
    struct list refused; // over their address's rate: open for a while, and then closed
    unsigned refused_count;
};

// Binds, in a slot that nobody uses. 0, or an error and the reason. Any thread that holds the shape lock.
int acceptor_open(struct acceptor *a, struct reactors *group, const struct listener_spec *config,
                  char *reason, size_t reason_bytes);

// Starts and ends accepting; the first reactor's thread. The port is free again after the second.
int acceptor_serve(struct acceptor *a);
void acceptor_stop(struct acceptor *a);

// Accepts what waits (a place under max.connections became free). The first reactor's thread.
void acceptor_accept(struct acceptor *a);

// After acceptor_stop or without acceptor_serve.
void acceptor_close(struct acceptor *a);

#endif
