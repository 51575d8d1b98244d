// A connection: bytes in, requests out to the handlers, responses back in order. Private to the server room.
// Everything is for the thread of the connection's reactor.
//
// Each time something happens to it (bytes came, room to send, a parked request was answered) the connection
// gets a turn, connection_serve: take requests out of the buffer and handle them, read more, send what is
// finished. The turn is bounded; what is left goes on in the loop's next turn, so that others come in
// between.
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include "metrics/error_counts.h"
#include "metrics/histogram.h"
#include "os/readahead.h"
#include "os/socket.h"
#include "protocol/codec.h"
#include "server/input.h"
#include "server/placement.h"
#include "server/request.h"

// What one turn of a connection may do before others get theirs.
#define CONNECTION_TURN_REQUESTS 32
#define CONNECTION_TURN_BYTES    (1 << 20) // in each direction

#define OWN_PEER "this process" // socket_peer.text of a connection from within

struct client_software {
    struct str name, version;
    char text[];
};

// Counters are written by one reactor and read by anybody.
typedef _Atomic uint64_t counter;

static inline void counter_add(counter *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

struct reactor_counters {
    counter closed, moved, requests, responses, bytes_received, bytes_sent, bytes_sent_file, cold_reads,
        parked, in_flight, throttled, throttle_ms, input_bytes;
};

#define REQUESTS_KEPT 32 // per reactor, with their arena's block

// A reactor's side of its connections.
struct reactor_state {
    struct reactor reactor;
    const struct server_limits *limits;
    struct list connections;           // longest without progress first
    _Atomic uint32_t connection_count; // counted from hand-over on; the acceptor reads it
    struct input_pool inputs;
    struct list free_requests;
    unsigned free_request_count;
    struct list memory_waiters; // connections that wait for queued.max.request.bytes
    struct task memory_task;
    struct task evict_task;     // make room under max.connections
    _Atomic uint32_t evictions; // so often
    struct loop_timer idle_timer, trim_timer, drain_timer;
    struct task drain_task; // look who has to leave
    bool draining;          // everybody: this reactor serves no more, or the server stops
    bool ending;            // the loop ends when the last one has left
    struct served served;   // turns of its connections
    int64_t parted_ms;      // with the last connection that it had too many of; 0: none
    unsigned orphans;       // requests whose connection is gone, but another thread still works for them
    struct reactor_counters counters;
    struct histogram *latency;   // API_KEY_LIMIT of them: from a request to its response, in us
    struct error_counts *errors; // of responses to clients; any thread adds
    struct histogram delivery;   // from a record's append to its leaving to who waits for it
};

struct connection {
    struct loop_source source; // first: found from the event
    struct loop_work work;     // a turn at this turn's end, or in the next one
    struct reactor_state *state;
    const struct listener *listener;
    struct list node;        // of reactor_state.connections
    struct list memory_node; // of reactor_state.memory_waiters
    struct task arrival;     // from the acceptor, or another reactor, to the reactor
    struct placement placement;
    struct list requests;                      // in order of arrival; sent ones leave
    struct input *input;                       // NULL while nothing is half-read
    uint32_t frame_hint_bytes;                 // what recent requests took, to read large ones in one go
    int32_t in_flight, parked, stalled, polls; // the last two: of the parked
    size_t response_bytes;                     // encoded and unsent, in memory
    int64_t progress_ms;
    struct client_software *software;
    bool readable, writable; // as far as is known: edge-triggered
    bool half_closed;        // the client's end of the stream is announced, behind what is still to be read
    bool ended;              // and read
    bool serving;            // in connection_serve
    bool closing;            // destroyed at the end of the turn
    bool corked;
    bool one_at_a_time;         // a quota concerns it: a request is handled when the one before is answered
    bool timed;                 // its client's time is limited, and measured
    int64_t sending_us;         // of responses, while it is timed
    struct mute *mute;          // NULL: it is not
    struct connection_end *end; // NULL: nobody is told
    bool reading;               // the next response waits for the disk
    bool is_own;                // of this process: not counted among what clients do
    struct socket_peer peer;
};

// Takes over an accepted descriptor, for the given reactor, which learns of it by mailbox. Any thread. 0, or
// ERR_NOMEM.
int connection_hand_over(struct reactor_state *state, int fd, const struct socket_peer *peer,
                         const struct listener *listener);

// To another reactor: a connection that is at rest. Not when the server stops: then it stays.
void connection_move(struct connection *c, struct reactor_state *to);

void connection_serve(struct connection *c);

// A turn for it before the loop waits again.
void connection_serve_soon(struct connection *c);

// Closes with a rate-limited line "peer: reason"; a NULL format: no line. It is destroyed at the end of the
// turn.
void connection_close(struct connection *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Cancels what is parked, frees everything. Not from within a handler.
void connection_destroy(struct connection *c);

// Its requests in progress are its last: the reactor serves no more, or its listener was taken away.
static inline bool connection_leaves(const struct connection *c)
{
    return c->state->draining || atomic_load_explicit(&c->listener->closing, memory_order_relaxed);
}

// Progress was made: it is not idle.
void connection_touch(struct connection *c);

// Whether the connection may take another request now.
bool connection_can_take(const struct connection *c);

// Forgets the connection's input buffer.
void connection_drop_input(struct connection *c);

// framing.c: reads and handles until the budgets are used, nothing is there, or no more may be taken.
struct turn {
    int requests;
    int64_t in_bytes, out_bytes;
};
void framing_read(struct connection *c, struct turn *turn);
bool framing_can_go_on(const struct connection *c); // whether framing_read has something to do

// Tries again for those who wait for queued.max.request.bytes.
void framing_memory_freed(struct reactor_state *state);

// dispatch.c: decodes one request that lies in c->input and runs its handler; either may be a worker's.
void dispatch_frame(struct connection *c, struct bytes frame);

// Why a request cannot be decoded.
struct undecodable {
    int code; // 0: it can
    const char *part;
    struct message_error error;
};
// Header and body, on the thread that has the request. Returns why->code.
int dispatch_decode(struct request *request, struct bytes frame, struct undecodable *why);
// The connection is closed, and says why.
void dispatch_refuse(struct request *request, const struct undecodable *why);
// Whether the handler of a request that is decoded is a worker's to run.
bool dispatch_is_costly(const struct request *request);
// Has it handled; once its cold logs are loaded.
void dispatch_handle(struct request *request);

// output.c
struct chunk {
    struct chunk *next;
    const uint8_t *data; // NULL: the slice's bytes
    struct slice *slice;
    int64_t position;   // in the slice's file, of the next byte
    int64_t warm_until; // a cold slice: up to here it is in the page cache, or was
    size_t left;
};

// A piece of a response that is read from the disk before it is sent; lies in the request's arena.
struct cold_read {
    struct readahead_job range;
    struct request *request;
};
// Encodes the response into request->chunks. 0, or an error.
int output_encode(struct request *request, const void *response);
// An encoded response says the request's throttle time.
void output_set_throttle(struct request *request);
// Sends what is finished, in order, as far as the socket and the budget allow.
void output_flush(struct connection *c, struct turn *turn);
// Whether something is ready to be sent.
bool output_pending(const struct connection *c);
// Releases the slices of unsent chunks. Not while one is being read.
void output_drop(struct request *request);

// request.c: from and to the reactor's pool.
struct request *request_new(struct connection *c);
void request_free(struct reactor_state *state, struct request *request);
// Another thread works for the request: until it is let go, it outlives its connection (which is NULL then).
void request_hold(struct request *request);
void request_let_go(struct request *request);

// reactors.c
struct api_table *reactors_apis(const struct reactors *group);
void *reactors_context(const struct reactors *group);
// A connection's place is free; peer NULL: its address was not counted.
void reactors_connection_gone(struct reactors *group, const struct listener *listener,
                              const struct socket_peer *peer);
struct workers *reactors_readahead(const struct reactors *group);
struct workers *reactors_workers(const struct reactors *group);
struct request_lines *reactors_request_lines(struct reactors *group);
bool reactors_charge_input(struct reactors *group, size_t bytes, bool in_any_case); // false: the caller waits
void reactors_uncharge_input(struct reactors *group, size_t bytes);
// reactor.c
void reactor_stop_if_empty(struct reactor_state *state); // while draining
void reactor_wait_for_memory(struct connection *c);
void reactor_arm_trim(struct reactor_state *state);

#endif
