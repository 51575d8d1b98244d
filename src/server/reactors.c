#include "server/reactors.h"

#include <assert.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/logger.h"

#define READAHEAD_THREADS 2
#define WORKER_THREADS    4 // at most, and no more than reactors

// What waits for a thread of a pool. Each connection has at most one piece of work and one read there, and
// what those that are gone have left.
#define JOBS_WAITING 1024

static void on_accept(struct task *task)
{
    struct reactors *group = container_of(task, struct reactors, accept_task);
    struct list *next;
    for (struct list *node = list_first(&group->accepting); list_each(&group->accepting, node, next);
         node = next)
        acceptor_accept(container_of(node, struct acceptor, node));
}

static void on_close(struct task *task)
{
    struct reactors *group = container_of(task, struct reactors, close_task);
    if (group->leaving)
        acceptor_stop(group->leaving);
    while (!group->leaving && !list_empty(&group->accepting))
        acceptor_stop(container_of(list_first(&group->accepting), struct acceptor, node));
    sem_post(&group->told);
}

static void on_resize(struct task *task)
{
    struct reactors *group = container_of(task, struct reactors, resize_task);
    atomic_store(&group->serving, atomic_load(&group->wanted));
    reactors_drain(group);
    sem_post(&group->told);
}

int reactors_create(struct reactors **out, const struct reactors_config *config)
{
    assert(config->count > 0 && config->count <= REACTORS_MAX && config->apis);
    process_ignore_sigpipe();
    process_raise_open_files();
    struct reactors *group = calloc(1, sizeof *group);
    if (!group)
        return ERR_NOMEM;
    group->config = *config;
    group->spare_fd = -1;
    group->accept_task.run = on_accept;
    group->close_task.run = on_close;
    group->resize_task.run = on_resize;
    list_init(&group->accepting);
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        group->acceptors[i] = (struct acceptor){.listener.index = i, .source.fd = -1};
    pthread_mutex_init(&group->shape, NULL);
    sem_init(&group->told, 0, 0);
    int err = quota_init(&group->quota, &config->limits);
    if (!err)
        err = connection_rates_init(&group->rates, &config->limits, LISTENERS_MAX);
    group->readahead = workers_new("read-ahead", READAHEAD_THREADS, JOBS_WAITING);
    group->workers =
        workers_new("worker", config->count < WORKER_THREADS ? config->count : WORKER_THREADS, JOBS_WAITING);
    if (!err && (!group->readahead || !group->workers || request_lines_init(&group->lines)))
        err = ERR_NOMEM;
    while (!err && group->made < config->count)
        err = reactors_add(group);
    group->wanted = group->serving = group->made;
    if (err) {
        reactors_free(group);
        return err;
    }
    group->spare_fd = socket_spare_fd();
    *out = group;
    return 0;
}

int reactors_serve(struct reactors *group)
{
    int err = 0;
    pthread_mutex_lock(&group->shape);
    // Before their thread runs, the acceptors are anybody's.
    for (unsigned i = 0; i < LISTENERS_MAX && !err; i++)
        if (group->acceptors[i].used)
            err = acceptor_serve(&group->acceptors[i]);
    while (!err && group->started < group->made)
        err = reactors_start_next(group);
    group->running = group->started > 0;
    pthread_mutex_unlock(&group->shape);
    if (err)
        reactors_stop(group, 0);
    return err;
}

void reactors_stop(struct reactors *group, int bound_ms)
{
    pthread_mutex_lock(&group->shape); // nothing changes its shape any more
    bool running = group->running && !group->stopped;
    group->stopped = true;
    group->leaving = NULL;
    pthread_mutex_unlock(&group->shape);
    if (!running)
        return;
    // First no connection arrives any more, so that the tasks posted after it find them all.
    reactor_post(&group->states[0]->reactor, &group->close_task);
    while (sem_wait(&group->told) != 0)
        ; // a signal came in between
    group->stop_bound_ms = bound_ms;
    atomic_store(&group->ending, true);
    reactors_drain(group);
    for (unsigned i = 0; i < group->started; i++)
        thread_join(&group->threads[i]);
    workers_stop(group->workers); // what they still do is done while everything is there
}

void reactors_free(struct reactors *group)
{
    assert(!group->running || group->stopped);
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        acceptor_close(&group->acceptors[i]);
    struct workers *const pools[] = {group->readahead, group->workers};
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++)
        if (pools[i])
            workers_free(pools[i]);
    request_lines_free(&group->lines);
    for (unsigned i = 0; i < group->made; i++) {
        reactor_free(group->states[i]);
        free(group->states[i]);
    }
    if (group->spare_fd >= 0)
        socket_close(group->spare_fd);
    quota_free(&group->quota);
    connection_rates_free(&group->rates);
    sem_destroy(&group->told);
    pthread_mutex_destroy(&group->shape);
    free(group);
}

void reactors_evict(struct reactors *group, int32_t count)
{
    unsigned made = atomic_load(&group->made);
    for (int32_t i = 0; i < count; i++) {
        struct reactor_state *most = NULL;
        int64_t most_left = 0;
        for (unsigned k = 0; k < made; k++) {
            struct reactor_state *state = group->states[k];
            int64_t left = (int64_t)atomic_load(&state->connection_count) - atomic_load(&state->evictions);
            if (!most || left > most_left) {
                most = state;
                most_left = left;
            }
        }
        atomic_fetch_add(&most->evictions, 1);
        reactor_post(&most->reactor, &most->evict_task);
    }
}

// Takes a connection over from this process. Under the shape lock, so that its listener stays.
static int connect_to(struct reactors *group, struct acceptor *a)
{
    // Counted by itself, as connections of one address.
    static const struct socket_peer peer = {.text = OWN_PEER};
    int pair[2];
    if (quota_reserve(&group->quota, a->listener.index, true) == QUOTA_WAIT)
        return ERR_LIMIT;
    bool counted = false;
    int err = socket_pair(pair);
    if (!err) {
        err = quota_add(&group->quota, peer.ip);
        counted = err == 0;
        if (!err)
            err = connection_hand_over(group->states[0], pair[0], &peer, &a->listener);
        if (!err)
            return pair[1];
        socket_close(pair[0]);
        socket_close(pair[1]);
    }
    reactors_connection_gone(group, &a->listener, counted ? &peer : NULL);
    return err;
}

int reactors_connect(struct reactors *group)
{
    int fd = ERR_NOT_FOUND;
    pthread_mutex_lock(&group->shape);
    for (unsigned i = 0; i < LISTENERS_MAX && fd == ERR_NOT_FOUND; i++)
        if (group->acceptors[i].used && group->acceptors[i].listener.kind == LISTENER_BROKER)
            fd = connect_to(group, &group->acceptors[i]);
    pthread_mutex_unlock(&group->shape);
    return fd;
}

void reactors_connection_gone(struct reactors *group, const struct listener *listener,
                              const struct socket_peer *peer)
{
    if (quota_release(&group->quota, listener->index, peer ? peer->ip : NULL))
        reactor_post(&group->states[0]->reactor, &group->accept_task);
}

void reactors_limit_ips(struct reactors *group, const struct image *image)
{
    connection_rates_follow(&group->rates, image);
}

int reactors_limit_connections(struct reactors *group, const struct server_limits *limits)
{
    bool wake;
    connection_rates_limit(&group->rates, -1, limits->max_connection_creation_rate);
    int err = quota_configure(&group->quota, limits, &wake);
    pthread_mutex_lock(&group->shape);
    for (unsigned i = 0; i < LISTENERS_MAX; i++) {
        int32_t max_connections, max_rate;
        if (!group->acceptors[i].used)
            continue;
        server_limits_of_listener(limits, group->acceptors[i].listener.name, &max_connections, &max_rate);
        connection_rates_limit(&group->rates, (int)i, max_rate);
        wake |= quota_limit_listener(&group->quota, i, max_connections);
    }
    pthread_mutex_unlock(&group->shape);
    if (wake)
        reactor_post(&group->states[0]->reactor, &group->accept_task);
    reactors_evict(group, quota_excess(&group->quota));
    return err;
}

bool reactors_charge_input(struct reactors *group, size_t bytes, bool in_any_case)
{
    int64_t limit = group->config.limits.queued_max_request_bytes;
    if (limit < 0)
        return true;
    // As Kafka counts: a request is let in while anything is left, so that one larger than the limit is
    // served too.
    if (!in_any_case && atomic_load(&group->input_bytes) >= limit)
        return false;
    atomic_fetch_add(&group->input_bytes, (int64_t)bytes);
    return true;
}

void reactors_uncharge_input(struct reactors *group, size_t bytes)
{
    if (group->config.limits.queued_max_request_bytes < 0)
        return;
    atomic_fetch_sub(&group->input_bytes, (int64_t)bytes);
    if (!atomic_load(&group->memory_wanted) || !atomic_exchange(&group->memory_wanted, false))
        return;
    for (unsigned i = 0, made = atomic_load(&group->made); i < made; i++)
        reactor_post(&group->states[i]->reactor, &group->states[i]->memory_task);
}

struct api_table *reactors_apis(const struct reactors *group)
{
    return group->config.apis;
}

struct workers *reactors_readahead(const struct reactors *group)
{
    return group->readahead;
}

struct request_lines *reactors_request_lines(struct reactors *group)
{
    return &group->lines;
}

struct workers *reactors_workers(const struct reactors *group)
{
    return group->workers;
}

struct client_quotas *reactors_quotas(const struct reactors *group)
{
    return group->config.quotas;
}

void *reactors_context(const struct reactors *group)
{
    return group->config.context;
}

unsigned reactors_count(const struct reactors *group)
{
    return atomic_load(&group->made);
}

struct reactor *reactors_at(struct reactors *group, unsigned index)
{
    assert(index < atomic_load(&group->made));
    return &group->states[index]->reactor;
}

void reactors_latency(struct reactors *group, int16_t api_key, struct histogram_values *out)
{
    *out = (struct histogram_values){0};
    assert(api_key >= 0 && api_key < API_KEY_LIMIT);
    for (unsigned i = 0, made = atomic_load(&group->made); i < made; i++)
        histogram_read(&group->states[i]->latency[api_key], out);
}

void reactors_delivery(struct reactors *group, struct histogram_values *out)
{
    *out = (struct histogram_values){0};
    for (unsigned i = 0, made = atomic_load(&group->made); i < made; i++)
        histogram_read(&group->states[i]->delivery, out);
}

void reactors_errors(struct reactors *group, struct error_counts *out)
{
    for (unsigned i = 0, made = atomic_load(&group->made); i < made; i++)
        error_counts_merge(group->states[i]->errors, out);
}

void reactors_stats(struct reactors *group, struct reactors_stats *out)
{
    *out = (struct reactors_stats){.connections_accepted = group->accepted,
                                   .connections_refused = group->refused};
    for (unsigned i = 0, made = atomic_load(&group->made); i < made; i++) {
        const struct reactor_state *state = group->states[i];
        out->connections_open += state->connection_count;
        out->connections_closed += state->counters.closed;
        out->connections_moved += state->counters.moved;
        out->requests += state->counters.requests;
        out->responses += state->counters.responses;
        out->in_flight += state->counters.in_flight;
        out->parked += state->counters.parked;
        out->throttled += state->counters.throttled;
        out->throttle_ms += state->counters.throttle_ms;
        out->bytes_received += state->counters.bytes_received;
        out->bytes_sent += state->counters.bytes_sent;
        out->bytes_sent_file += state->counters.bytes_sent_file;
        out->cold_reads += state->counters.cold_reads;
        out->input_bytes_held += state->counters.input_bytes;
    }
}
