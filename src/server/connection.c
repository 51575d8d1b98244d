#include "server/connection.h"

#include "server/throttle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/logger.h"
#include "server/reactors.h"

static void on_ready(struct loop_source *source, uint32_t events)
{
    struct connection *c = container_of(source, struct connection, source);
    if (events & LOOP_READABLE)
        c->readable = true;
    if (events & LOOP_WRITABLE)
        c->writable = true;
    if (events & LOOP_PEER_FINISHED)
        c->readable = c->half_closed = true;
    if (events & LOOP_BROKEN)
        connection_close(c, NULL); // reset, or closed in both directions: nobody reads an answer
    connection_serve(c);
}

static void on_work(struct loop_work *work)
{
    connection_serve(container_of(work, struct connection, work));
}

// Nothing of it is in the reactor's hands but the descriptor.
static bool is_at_rest(const struct connection *c)
{
    return list_empty(&c->requests) && !c->input && !c->mute && list_empty(&c->memory_node) &&
           !c->half_closed && !connection_leaves(c);
}

// The reactor's first sight of the connection.
static void on_arrival(struct task *task)
{
    struct connection *c = container_of(task, struct connection, arrival);
    struct reactor_state *state = c->state;
    list_push_back(&state->connections, &c->node);
    c->progress_ms = loop_now_ms(&state->reactor.loop);
    if (connection_leaves(c)) {
        connection_destroy(c);
        return;
    }
    if (loop_add(&state->reactor.loop, &c->source, LOOP_READABLE | LOOP_WRITABLE | LOOP_PEER_FINISHED) < 0) {
        log_limited(LOG_LEVEL_WARN, "server", "%s: closed: cannot be watched", c->peer.text);
        connection_destroy(c);
        return;
    }
    int64_t idle_ms = state->limits->connections_max_idle_ms;
    if (idle_ms >= 0 && !loop_timer_armed(&state->idle_timer))
        loop_timer_arm(&state->reactor.loop, &state->idle_timer, c->progress_ms + idle_ms);
}

int connection_hand_over(struct reactor_state *state, int fd, const struct socket_peer *peer,
                         const struct listener *listener)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return ERR_NOMEM;
    c->source = (struct loop_source){.fd = fd, .ready = on_ready};
    c->work.run = on_work;
    c->arrival.run = on_arrival;
    c->state = state;
    c->listener = listener;
    c->peer = *peer;
    c->is_own = strcmp(peer->text, OWN_PEER) == 0;
    c->writable = true;
    list_init(&c->work.node);
    list_init(&c->node);
    list_init(&c->memory_node);
    list_init(&c->requests);
    atomic_fetch_add(&state->connection_count, 1);
    reactor_post(&state->reactor, &c->arrival);
    return 0;
}

void connection_move(struct connection *c, struct reactor_state *to)
{
    struct reactor_state *from = c->state;
    // What it has collected is done before anything that it may ask there.
    reactor_settle(&from->reactor);
    // `to` does not end while one is counted. Where it may have ended before, `ending` is set.
    atomic_fetch_add(&to->connection_count, 1);
    if (atomic_load(&from->reactor.group->ending)) {
        atomic_fetch_sub(&to->connection_count, 1);
        reactor_post(&to->reactor, &to->drain_task); // it may have waited for this one
        return;
    }
    loop_remove(&from->reactor.loop, &c->source);
    loop_work_cancel(&c->work);
    list_remove(&c->node);
    atomic_fetch_sub(&from->connection_count, 1);
    counter_add(&from->counters.moved, 1);
    c->state = to;
    reactor_post(&to->reactor, &c->arrival);
}

void connection_touch(struct connection *c)
{
    int64_t now_ms = loop_now_ms(&c->state->reactor.loop);
    if (c->progress_ms == now_ms)
        return;
    c->progress_ms = now_ms;
    list_remove(&c->node);
    list_push_back(&c->state->connections, &c->node);
}

bool connection_can_take(const struct connection *c)
{
    const struct server_limits *limits = c->state->limits;
    return !c->closing && c->stalled == 0 && !c->mute && !(c->one_at_a_time && c->in_flight > 0) &&
           !connection_leaves(c) && c->in_flight < limits->requests_in_flight &&
           c->response_bytes < limits->response_bytes_waiting;
}

// A muted connection is not read, and its client's end of the stream not met. But when nothing lies before
// that, there is nothing to wait for.
static bool left_while_muted(const struct connection *c)
{
    return c->mute && c->half_closed && !c->input && list_empty(&c->requests) &&
           !socket_has_unread(c->source.fd);
}

// Whether nothing is left to be done for a client that sends no more (or for any client, when its reactor or
// its listener goes).
static bool is_over(const struct connection *c)
{
    bool leaves = connection_leaves(c);
    if (leaves && c->parked > 0 && c->parked == c->polls)
        return container_of(list_first(&c->requests), struct request, node)->state == REQUEST_PARKED;
    if (leaves)
        return list_empty(&c->requests);
    // Like Kafka, who has left gets no answer to what is still undecided.
    return (c->ended && (list_empty(&c->requests) || c->parked > 0)) || left_while_muted(c);
}

void connection_serve(struct connection *c)
{
    struct turn turn = {CONNECTION_TURN_REQUESTS, CONNECTION_TURN_BYTES, CONNECTION_TURN_BYTES};
    struct reactor_state *better;
    c->serving = true;
    placement_served(c);
    // Sending makes room for further requests under the limits per connection.
    do {
        framing_read(c, &turn);
        if (c->ended || c->closing) // there is no end of the turn for it
            reactor_settle(&c->state->reactor);
        output_flush(c, &turn);
    } while (framing_can_go_on(c) && turn.requests > 0 && turn.in_bytes > 0 && turn.out_bytes > 0);
    c->serving = false;
    if (c->closing || is_over(c))
        connection_destroy(c);
    else if (framing_can_go_on(c) || (c->writable && output_pending(c)))
        loop_next(&c->state->reactor.loop, &c->work);
    else if (is_at_rest(c) && (better = placement_better(c)))
        connection_move(c, better);
}

void connection_serve_soon(struct connection *c)
{
    if (!c->serving)
        loop_at_end(&c->state->reactor.loop, &c->work);
}

void connection_close(struct connection *c, const char *format, ...)
{
    if (c->closing)
        return;
    c->closing = true;
    connection_serve_soon(c);
    if (!format)
        return;
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    log_limited(LOG_LEVEL_WARN, "server", "%s (%s): connection closed: %s", c->peer.text, c->listener->name,
                reason);
}

void connection_drop_input(struct connection *c)
{
    if (!c->input)
        return;
    input_unref(&c->state->inputs, c->input);
    c->input = NULL;
    reactor_arm_trim(c->state);
}

void connection_destroy(struct connection *c)
{
    struct reactor_state *state = c->state;
    c->closing = c->serving = true; // nothing starts or is queued any more
    loop_remove(&state->reactor.loop, &c->source);
    socket_close(c->source.fd);
    loop_work_cancel(&c->work);
    throttle_forget(c);
    list_remove(&c->node);
    list_remove(&c->memory_node);
    for (struct list *node; (node = list_pop_front(&c->requests));) {
        struct request *request = container_of(node, struct request, node);
        if (request->state == REQUEST_PARKED) {
            counter_add(&state->counters.parked, (uint64_t)-1);
            request->on_cancel(request);
        }
        if (request->holds > 0) {
            request->connection = NULL;
            atomic_store(&request->is_orphan, true);
            state->orphans++;
            continue;
        }
        output_drop(request);
        request_free(state, request);
    }
    connection_drop_input(c);
    if (c->end)
        c->end->gone(c->end);
    free(c->software);
    counter_add(&state->counters.closed, 1);
    atomic_fetch_sub(&state->connection_count, 1);
    reactors_connection_gone(state->reactor.group, c->listener, &c->peer);
    free(c);
    reactor_stop_if_empty(state);
}
