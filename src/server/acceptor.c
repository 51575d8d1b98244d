#include "server/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/logger.h"
#include "os/socket.h"
#include "server/connection.h"
#include "server/reactors.h"

#define ACCEPTS_PER_TURN 64
#define ACCEPT_RETRY_MS  100
#define REFUSED_MOST     1024 // that are held open; beyond, they are closed at once

// A connection over its address's rate. To close it at once would only make the client try again at once.
struct refused {
    struct list node;
    struct loop_timer timer;
    struct acceptor *acceptor;
    int fd;
};

static void on_ready(struct loop_source *source, uint32_t events)
{
    (void)events;
    acceptor_accept(container_of(source, struct acceptor, source));
}

static void on_work(struct loop_work *work)
{
    acceptor_accept(container_of(work, struct acceptor, work));
}

static void on_retry(struct loop_timer *timer)
{
    acceptor_accept(container_of(timer, struct acceptor, retry));
}

static void on_serve(struct task *task)
{
    struct acceptor *a = container_of(task, struct acceptor, serve_task);
    if (acceptor_serve(a))
        log_error("server", "listener %s cannot be watched: it accepts nothing", a->listener.name);
}

static void on_held(struct loop_timer *timer);
static void refused_close(struct refused *r);

int acceptor_open(struct acceptor *a, struct reactors *group, const struct listener_spec *config,
                  char *reason, size_t reason_bytes)
{
    const char *host = config->host ? config->host : "";
    unsigned index = a->listener.index;
    *a = (struct acceptor){.group = group, .source = {.fd = -1, .ready = on_ready}, .work.run = on_work};
    a->serve_task.run = on_serve;
    list_init(&a->node);
    a->retry.fire = on_retry;
    a->held_fd = -1;
    a->held_timer.fire = on_held;
    list_init(&a->refused);
    list_init(&a->work.node);
    a->listener = (struct listener){.name = strdup(config->name),
                                    .host = strdup(host),
                                    .kind = config->kind,
                                    .is_protected = config->is_protected,
                                    .index = index};
    int fd = a->listener.name && a->listener.host
                 ? socket_listen(host, config->port, group->config.limits.listen_backlog, &a->listener.port,
                                 reason, reason_bytes)
                 : ERR_NOMEM;
    if (fd < 0) {
        acceptor_close(a);
        return fd;
    }
    a->source.fd = fd;
    // Accepted sockets inherit them.
    socket_buffers(fd, group->config.limits.socket_send_buffer_bytes,
                   group->config.limits.socket_receive_buffer_bytes);
    return 0;
}

static struct loop *loop_of(struct acceptor *a)
{
    return &reactors_at(a->group, 0)->loop;
}

int acceptor_serve(struct acceptor *a)
{
    a->serving = true;
    list_push_back(&a->group->accepting, &a->node);
    return loop_add(loop_of(a), &a->source, LOOP_READABLE);
}

void acceptor_stop(struct acceptor *a)
{
    if (!a->serving)
        return;
    a->serving = false;
    list_remove(&a->node);
    loop_remove(loop_of(a), &a->source);
    socket_close(a->source.fd);
    a->source.fd = -1;
    loop_work_cancel(&a->work);
    loop_timer_cancel(loop_of(a), &a->retry);
    loop_timer_cancel(loop_of(a), &a->held_timer);
    if (a->held_fd >= 0) {
        socket_close(a->held_fd);
        reactors_connection_gone(a->group, &a->listener, NULL);
        a->held_fd = -1;
    }
    while (!list_empty(&a->refused))
        refused_close(container_of(list_first(&a->refused), struct refused, node));
}

void acceptor_close(struct acceptor *a)
{
    if (a->source.fd >= 0)
        socket_close(a->source.fd);
    a->source.fd = -1;
    free((void *)(uintptr_t)a->listener.name);
    free((void *)(uintptr_t)a->listener.host);
    a->listener.name = a->listener.host = NULL;
}

// No descriptor is left: the spare one makes room to accept a connection and close it, so that the client
// learns of it and the backlog does not keep us busy.
static bool shed(struct acceptor *a)
{
    struct reactors *group = a->group;
    if (group->spare_fd < 0)
        group->spare_fd = socket_spare_fd();
    if (group->spare_fd < 0)
        return false;
    socket_close(group->spare_fd);
    struct socket_peer peer;
    int fd = socket_accept(a->source.fd, &peer);
    if (fd >= 0)
        socket_close(fd);
    group->spare_fd = socket_spare_fd();
    if (fd < 0)
        return false;
    atomic_fetch_add(&group->refused, 1);
    log_limited(LOG_LEVEL_WARN, "server", "%s: connection refused: the process has no free file descriptor",
                peer.text);
    return true;
}

static struct reactor_state *least_busy(struct reactors *group)
{
    unsigned count = atomic_load(&group->serving), first = group->next_reactor++ % count;
    struct reactor_state *best = group->states[first];
    for (unsigned i = 1; i < count; i++) {
        struct reactor_state *state = group->states[(first + i) % count];
        if (atomic_load(&state->connection_count) < atomic_load(&best->connection_count))
            best = state;
    }
    return best;
}

static void refused_close(struct refused *r)
{
    struct acceptor *a = r->acceptor;
    loop_timer_cancel(loop_of(a), &r->timer);
    list_remove(&r->node);
    a->refused_count--;
    socket_close(r->fd);
    free(r);
}

static void on_refused(struct loop_timer *timer)
{
    refused_close(container_of(timer, struct refused, timer));
}

// Over its address's rate: gives its place back, and closes it after a while.
static void refuse(struct acceptor *a, int fd, const struct socket_peer *peer, int32_t throttle_ms)
{
    struct refused *r = a->refused_count < REFUSED_MOST ? calloc(1, sizeof *r) : NULL;
    reactors_connection_gone(a->group, &a->listener, NULL);
    atomic_fetch_add(&a->group->refused, 1);
    log_limited(LOG_LEVEL_INFO, "server",
                "%s: connection refused: its address makes more than connection_creation_rate allows",
                peer->text);
    if (!r || loop_timer_arm(loop_of(a), &r->timer, loop_now_ms(loop_of(a)) + throttle_ms)) {
        socket_close(fd);
        free(r);
        return;
    }
    r->timer.fire = on_refused;
    r->acceptor = a;
    r->fd = fd;
    list_push_back(&a->refused, &r->node);
    a->refused_count++;
}

// A connection with a reserved place.
static void admit(struct acceptor *a, int fd, const struct socket_peer *peer)
{
    struct reactors *group = a->group;
    int32_t throttle_ms =
        connection_rates_of_ip(&group->rates, a->listener.index, reactors_protect(group, &a->listener),
                               peer->ip, loop_now_ms(loop_of(a)));
    if (throttle_ms > 0) {
        refuse(a, fd, peer, throttle_ms);
        return;
    }
    int err = quota_add(&group->quota, peer->ip);
    bool counted = err == 0;
    if (!err)
        err = connection_hand_over(least_busy(group), fd, peer, &a->listener);
    if (!err) {
        atomic_fetch_add(&group->accepted, 1);
        return;
    }
    socket_close(fd);
    reactors_connection_gone(group, &a->listener, counted ? peer : NULL);
    atomic_fetch_add(&group->refused, 1);
    log_limited(LOG_LEVEL_INFO, "server", "%s: connection refused: %s", peer->text,
                err == ERR_LIMIT ? "its address has max.connections.per.ip connections already"
                                 : err_text(err));
}

static void on_held(struct loop_timer *timer)
{
    struct acceptor *a = container_of(timer, struct acceptor, held_timer);
    int fd = a->held_fd;
    a->held_fd = -1;
    admit(a, fd, &a->held_peer);
    acceptor_accept(a);
}

// At once, or, over the broker's or the listener's rate, when the time has come. Returns whether to go on.
static bool admit_in_time(struct acceptor *a, int fd, const struct socket_peer *peer)
{
    int64_t now_ms = loop_now_ms(loop_of(a));
    int32_t throttle_ms = connection_rates_accepted(&a->group->rates, a->listener.index,
                                                    reactors_protect(a->group, &a->listener), now_ms);
    if (throttle_ms <= 0 || loop_timer_arm(loop_of(a), &a->held_timer, now_ms + throttle_ms)) {
        admit(a, fd, peer);
        return true;
    }
    log_limited(LOG_LEVEL_INFO, "server", "%s: connections wait: max.connection.creation.rate is reached",
                a->listener.name);
    a->held_fd = fd;
    a->held_peer = *peer;
    return false;
}

// Accepts one. Returns whether to go on.
static bool accept_one(struct acceptor *a)
{
    struct reactors *group = a->group;
    enum quota_answer answer =
        quota_reserve(&group->quota, a->listener.index, reactors_protect(group, &a->listener));
    if (answer == QUOTA_WAIT) {
        log_limited(LOG_LEVEL_INFO, "server",
                    "%s: no more connections are accepted: max.connections is reached", a->listener.name);
        return false; // quota_release wakes us
    }
    struct socket_peer peer;
    int fd = socket_accept(a->source.fd, &peer);
    if (fd >= 0) {
        if (answer == QUOTA_EVICT)
            reactors_evict(group, 1);
        return admit_in_time(a, fd, &peer);
    }
    int saved = errno;
    quota_cancel(&group->quota, a->listener.index);
    if (fd == ERR_AGAIN || (fd == ERR_LIMIT && shed(a)))
        return fd != ERR_AGAIN;
    log_limited(LOG_LEVEL_WARN, "server", "%s: accepting: %s", a->listener.name, strerror(saved));
    loop_timer_arm(loop_of(a), &a->retry, loop_now_ms(loop_of(a)) + ACCEPT_RETRY_MS);
    return false;
}

void acceptor_accept(struct acceptor *a)
{
    if (!a->serving || a->held_fd >= 0)
        return;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++)
        if (!accept_one(a))
            return;
    loop_next(loop_of(a), &a->work);
}
