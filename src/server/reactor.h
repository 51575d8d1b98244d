// Reactors: threads that each serve their own connections, from reading the request to sending the response.
// The group of them, with its listeners, is `struct reactors`; server.c starts and stops it:
//
//     reactors_create -> reactors_listen (once a listener; the port is bound, connections wait in the
//     backlog)
//     -> reactors_serve (threads run, connections are accepted) -> reactors_stop -> reactors_free
//
// How many of them serve, and their listeners, may change at any time between creation and stop.
#ifndef SERVER_REACTOR_H
#define SERVER_REACTOR_H

#include "base/arena.h"
#include "base/bytes.h"
#include "os/loop.h"
#include "server/limits.h"
#include "server/listener.h"

struct reactors;
struct client_quotas;
struct api_table;

struct reactor {
    struct loop loop;
    struct reactors *group;
    unsigned index; // 0 .. count-1

    // What requests of this turn have left to be done together.
    struct list collected;
    size_t collected_bytes;
    void (*settle)(struct reactor *reactor);
    struct loop_work settle_work;
};

struct reactors_config {
    unsigned count;              // reactor threads, 1 .. REACTORS_MAX
    struct server_limits limits; // copied
    struct api_table
        *apis; // what is served (server/dispatch.h); outlives the reactors, not changed once serving
    struct client_quotas *quotas; // NULL: nobody is throttled; outlives the reactors
    void *context;                // handlers find it as request->context
    // Announces quiescence (base/qsbr). Called on each reactor's own thread when it starts, to fill *hooks.
    // May be NULL.
    void (*thread_hooks)(void *context, unsigned reactor_index, struct loop_hooks *hooks);
};

// Makes the reactors; no thread runs yet. Raises RLIMIT_NOFILE, ignores SIGPIPE. 0, or ERR_NOMEM, ERR_IO.
int reactors_create(struct reactors **out, const struct reactors_config *config);

// Binds and listens (port 0 picks a free port). From now on clients may connect and wait, until the reactors
// serve. On failure returns an error and one line of reason in `reason`. The listener belongs to the group;
// it is valid until reactors_unlisten. Any thread but a reactor's.
int reactors_listen(struct reactors *group, const struct listener_spec *config, const struct listener **out,
                    char *reason, size_t reason_bytes);

// Takes the listener of this name away: its port is free when this returns; its connections take no further
// request, and are closed when what they have begun is answered, after REACTOR_DRAIN_MS at the latest. Any
// thread but a reactor's. 0, or ERR_NOT_FOUND.
int reactors_unlisten(struct reactors *group, const char *name);

// The listeners that there are, at most LISTENERS_MAX, and how many. Valid as reactors_listen says.
size_t reactors_listeners(struct reactors *group, const struct listener *out[]);

// From now on so many reactors (1 .. REACTORS_MAX) take connections; connections of those that are too many
// leave as with reactors_unlisten. Any thread but a reactor's. 0, ERR_NOMEM or ERR_IO: fewer do.
int reactors_resize(struct reactors *group, unsigned count);

// A connection from within this process, as a client on the first listener of brokers: a blocking descriptor,
// the caller's; or ERR_LIMIT (max.connections), ERR_IO, ERR_NOMEM, ERR_NOT_FOUND (no such listener). Any
// thread, once the reactors serve.
int reactors_connect(struct reactors *group);

// Starts the threads and accepts. 0, or ERR_IO.
int reactors_serve(struct reactors *group);

// Stops accepting, lets requests that are being handled finish and their responses leave for at most
// bound_ms, then cancels what is parked (on_cancel), closes every connection and ends the threads. Any thread
// but a reactor's.
void reactors_stop(struct reactors *group, int bound_ms);

// After reactors_stop, or when reactors_serve was never called, and once no other thread is inside
// reactor_post: end the threads that post (flush, timers of other rooms) between the two.
void reactors_free(struct reactors *group);

// Other max.connections, max.connections.per.ip and overrides from now on, and other rates at which
// connections are made, of the broker and of each listener. Of more connections than max.connections the
// longest idle are closed; else those that are open stay. Any thread but a reactor's. 0, ERR_NOMEM, or
// ERR_INVALID: an override's address is not numeric.
int reactors_limit_connections(struct reactors *group, const struct server_limits *limits);

// Takes the addresses' limits of making connections from the image. Not on a reactor; for threads that may
// read the image.
struct image;
void reactors_limit_ips(struct reactors *group, const struct image *image);

// reactors_config.quotas.
struct client_quotas *reactors_quotas(const struct reactors *group);

// Those that have a thread: of this many the loops run until reactors_stop.
unsigned reactors_count(const struct reactors *group);
struct reactor *reactors_at(struct reactors *group, unsigned index);

// Runs the task on the reactor's thread. Any thread; see mailbox_post (a task that is queued is not queued
// again).
static inline bool reactor_post(struct reactor *reactor, struct task *task)
{
    return loop_post(&reactor->loop, task);
}

// Has a worker free an arena if it is large, and leaves it empty: to take memory back costs the kernel about
// 0.2 ms a megabyte, and a request may have had a gigabyte. The reactor's thread.
void reactor_free_if_large(struct reactor *reactor, struct arena *arena);

// Adds to what is done together by `settle`, which takes all of reactor->collected: at the end of this turn;
// or before, when a request that collects nothing is handled, or whoever needs it calls reactor_settle.
// `bytes` is what waits in memory for it; beyond REACTOR_COLLECTED_BYTES the caller settles. The reactor's
// thread.
#define REACTOR_COLLECTED_BYTES (1 << 20)
void reactor_collect(struct reactor *reactor, struct list *node, size_t bytes,
                     void (*settle)(struct reactor *reactor));
void reactor_settle(struct reactor *reactor);

// Takes a posted task back (see mailbox_cancel). The reactor's thread.
static inline void reactor_cancel(struct reactor *reactor, struct task *task)
{
    loop_cancel(&reactor->loop, task);
}

// Fires timer->fire on this reactor at due_ms of the monotonic clock (reactor_now_ms(r) + delay). The
// reactor's thread.
static inline int reactor_timer_arm(struct reactor *reactor, struct loop_timer *timer, int64_t due_ms)
{
    return loop_timer_arm(&reactor->loop, timer, due_ms);
}

static inline void reactor_timer_cancel(struct reactor *reactor, struct loop_timer *timer)
{
    loop_timer_cancel(&reactor->loop, timer);
}

static inline int64_t reactor_now_ms(const struct reactor *reactor)
{
    return loop_now_ms(&reactor->loop);
}

// The one that the caller's thread runs, or NULL.
const struct reactor *reactor_current(void);

// Whether the caller runs on this reactor's thread (for assertions).
bool reactor_is_mine(const struct reactor *reactor);

// Counters over all reactors, for metrics and tests. Any thread; not one instant's picture.
struct reactors_stats {
    uint64_t connections_accepted, connections_refused, connections_closed, connections_open;
    uint64_t connections_moved; // to another reactor
    uint64_t requests, responses;
    uint64_t in_flight, parked;      // now: received and not sent; of these, those that wait for something
    uint64_t throttled, throttle_ms; // requests whose client had to be silent, and for how long
    uint64_t bytes_received, bytes_sent; // on the wire
    uint64_t bytes_sent_file;            // of bytes_sent, by sendfile
    uint64_t cold_reads;                 // pieces of responses that were not in the page cache
    uint64_t input_bytes_held;           // request buffers in use now
};
void reactors_stats(struct reactors *group, struct reactors_stats *out);

// How long requests of an API took, and how long records took from their append to whoever waited for them,
// in microseconds; without those of this process itself. Any thread.
struct histogram_values;
void reactors_latency(struct reactors *group, int16_t api_key, struct histogram_values *out);
void reactors_delivery(struct reactors *group, struct histogram_values *out);

// Adds the errors in responses to clients, by API and code. Any thread.
struct error_counts;
void reactors_errors(struct reactors *group, struct error_counts *out);

#endif
