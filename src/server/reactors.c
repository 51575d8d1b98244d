#include "server/reactors.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/logger.h"

#define READAHEAD_THREADS 2
#define WORKER_THREADS    4 // at most, and no more than reactors

// What waits for a thread of a pool. Each connection has at most one piece of work and one read there.
#define JOBS_WAITING 1024

static void on_accept(struct task *task)
{
    struct reactors *group = container_of(task, struct reactors, accept_task);
    for (unsigned i = 0; i < group->acceptor_count; i++)
        acceptor_accept(&group->acceptors[i]);
}

static void on_close(struct task *task)
{
    struct reactors *group = container_of(task, struct reactors, close_task);
    for (unsigned i = 0; i < group->acceptor_count; i++)
        acceptor_stop(&group->acceptors[i]);
    sem_post(&group->closed);
}

int reactors_create(struct reactors **out, const struct reactors_config *config)
{
    assert(config->count > 0 && config->apis);
    process_ignore_sigpipe();
    process_raise_open_files();
    struct reactors *group = calloc(1, sizeof *group);
    if (!group)
        return ERR_NOMEM;
    group->config = *config;
    group->spare_fd = -1;
    group->accept_task.run = on_accept;
    group->close_task.run = on_close;
    sem_init(&group->closed, 0, 0);
    int err = quota_init(&group->quota, &config->limits);
    if (!err)
        err = connection_rates_init(&group->rates, &config->limits, LISTENERS_MAX);
    group->states = calloc(config->count, sizeof *group->states);
    group->threads = calloc(config->count, sizeof *group->threads);
    group->readahead = workers_new("read-ahead", READAHEAD_THREADS, JOBS_WAITING);
    group->workers =
        workers_new("worker", config->count < WORKER_THREADS ? config->count : WORKER_THREADS, JOBS_WAITING);
    unsigned made = 0;
    if (!err && (!group->states || !group->threads || !group->readahead || !group->workers))
        err = ERR_NOMEM;
    while (!err && made < config->count)
        if (!(err = reactor_init(&group->states[made], group, made)))
            made++;
    group->config.count = made;
    if (err) {
        reactors_free(group);
        return err;
    }
    group->spare_fd = socket_spare_fd();
    *out = group;
    return 0;
}

int reactors_listen(struct reactors *group, const struct listener_spec *config, const struct listener **out,
                    char *reason, size_t reason_bytes)
{
    if (group->acceptor_count == LISTENERS_MAX) {
        snprintf(reason, reason_bytes, "more than %d listeners", LISTENERS_MAX);
        return ERR_LIMIT;
    }
    struct acceptor *a = &group->acceptors[group->acceptor_count];
    int err = acceptor_open(a, group, config, reason, reason_bytes);
    if (err)
        return err;
    a->listener.index = group->acceptor_count++;
    *out = &a->listener;
    return 0;
}

int reactors_serve(struct reactors *group)
{
    int err = 0;
    // Before their thread runs, the acceptors are anybody's.
    for (unsigned i = 0; i < group->acceptor_count && !err; i++)
        err = acceptor_serve(&group->acceptors[i]);
    while (!err && group->running < group->config.count) {
        char name[24];
        snprintf(name, sizeof name, "reactor-%u", group->running);
        err =
            thread_start(&group->threads[group->running], name, reactor_run, &group->states[group->running]);
        if (!err)
            group->running++;
    }
    if (err)
        reactors_stop(group, 0);
    return err;
}

void reactors_stop(struct reactors *group, int bound_ms)
{
    if (group->running == 0)
        return;
    // First no connection arrives any more, so that the tasks posted after it find them all.
    reactor_post(&group->states[0].reactor, &group->close_task);
    while (sem_wait(&group->closed) != 0)
        ; // a signal came in between
    for (unsigned i = 0; i < group->running; i++) {
        group->states[i].drain_ms = bound_ms;
        reactor_post(&group->states[i].reactor, &group->states[i].drain_task);
    }
    for (unsigned i = 0; i < group->running; i++)
        thread_join(&group->threads[i]);
    group->running = 0;
}

void reactors_free(struct reactors *group)
{
    assert(group->running == 0);
    for (unsigned i = 0; i < group->acceptor_count; i++)
        acceptor_close(&group->acceptors[i]);
    if (group->readahead)
        workers_free(group->readahead);
    if (group->workers)
        workers_free(group->workers);
    for (unsigned i = 0; i < group->config.count; i++)
        reactor_free(&group->states[i]);
    if (group->spare_fd >= 0)
        socket_close(group->spare_fd);
    quota_free(&group->quota);
    connection_rates_free(&group->rates);
    sem_destroy(&group->closed);
    free(group->states);
    free(group->threads);
    free(group);
}

void reactors_evict(struct reactors *group)
{
    struct reactor_state *most = &group->states[0];
    for (unsigned i = 1; i < group->config.count; i++)
        if (atomic_load(&group->states[i].connection_count) > atomic_load(&most->connection_count))
            most = &group->states[i];
    atomic_fetch_add(&most->evictions, 1);
    reactor_post(&most->reactor, &most->evict_task);
}

int reactors_connect(struct reactors *group)
{
    // Counted by itself, as connections of one address.
    static const struct socket_peer peer = {.text = OWN_PEER};
    struct acceptor *a = NULL;
    int pair[2];
    for (unsigned i = 0; i < group->acceptor_count && !a; i++)
        if (group->acceptors[i].listener.kind == LISTENER_BROKER)
            a = &group->acceptors[i];
    if (!a)
        return ERR_NOT_FOUND;
    if (quota_reserve(&group->quota, true) == QUOTA_WAIT)
        return ERR_LIMIT;
    bool counted = false;
    int err = socket_pair(pair);
    if (!err) {
        err = quota_add(&group->quota, peer.ip);
        counted = err == 0;
        if (!err)
            err = connection_hand_over(&group->states[0], pair[0], &peer, &a->listener);
        if (!err)
            return pair[1];
        socket_close(pair[0]);
        socket_close(pair[1]);
    }
    quota_release(&group->quota, counted ? peer.ip : NULL);
    return err;
}

void reactors_connection_gone(struct reactors *group, const struct socket_peer *peer)
{
    if (quota_release(&group->quota, peer->ip))
        reactor_post(&group->states[0].reactor, &group->accept_task);
}

static int32_t listener_rate(const struct server_limits *limits, const char *name)
{
    int32_t rate = limits->max_connection_creation_rate;
    for (size_t i = 0; i < limits->listener_rate_count; i++) {
        struct str one = limits->listener_rates[i].name;
        if (one.size == strlen(name) && strncasecmp(one.data, name, one.size) == 0)
            rate = limits->listener_rates[i].rate;
    }
    return rate;
}

void reactors_limit_ips(struct reactors *group, const struct image *image)
{
    connection_rates_follow(&group->rates, image);
}

int reactors_limit_connections(struct reactors *group, const struct server_limits *limits)
{
    bool wake;
    connection_rates_limit(&group->rates, -1, limits->max_connection_creation_rate);
    for (unsigned i = 0; i < group->acceptor_count; i++)
        connection_rates_limit(&group->rates, (int)i,
                               listener_rate(limits, group->acceptors[i].listener.name));
    int err = quota_configure(&group->quota, limits, &wake);
    if (wake)
        reactor_post(&group->states[0].reactor, &group->accept_task);
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
    for (unsigned i = 0; i < group->config.count; i++)
        reactor_post(&group->states[i].reactor, &group->states[i].memory_task);
}

struct api_table *reactors_apis(const struct reactors *group)
{
    return group->config.apis;
}

struct workers *reactors_readahead(const struct reactors *group)
{
    return group->readahead;
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
    return group->config.count;
}

struct reactor *reactors_at(struct reactors *group, unsigned index)
{
    assert(index < group->config.count);
    return &group->states[index].reactor;
}

void reactors_latency(struct reactors *group, int16_t api_key, struct histogram_values *out)
{
    *out = (struct histogram_values){0};
    assert(api_key >= 0 && api_key < API_KEY_LIMIT);
    for (unsigned i = 0; i < group->config.count; i++)
        histogram_read(&group->states[i].latency[api_key], out);
}

void reactors_delivery(struct reactors *group, struct histogram_values *out)
{
    *out = (struct histogram_values){0};
    for (unsigned i = 0; i < group->config.count; i++)
        histogram_read(&group->states[i].delivery, out);
}

void reactors_stats(struct reactors *group, struct reactors_stats *out)
{
    *out = (struct reactors_stats){.connections_accepted = group->accepted,
                                   .connections_refused = group->refused};
    for (unsigned i = 0; i < group->config.count; i++) {
        const struct reactor_state *state = &group->states[i];
        out->connections_open += state->connection_count;
        out->connections_closed += state->counters.closed;
        out->requests += state->counters.requests;
        out->responses += state->counters.responses;
        out->parked += state->counters.parked;
        out->bytes_received += state->counters.bytes_received;
        out->bytes_sent += state->counters.bytes_sent;
        out->bytes_sent_file += state->counters.bytes_sent_file;
        out->cold_reads += state->counters.cold_reads;
        out->input_bytes_held += state->counters.input_bytes;
    }
}
