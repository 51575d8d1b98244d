// What changes while the reactors serve: how many there are, and their listeners. One thread at a time
// changes it, under the shape lock; what an acceptor or a reactor has is touched by its own thread alone,
// which is told by mailbox. The first reactor's thread both accepts and says how many serve: a connection
// that it handed over arrives before word that nobody shall be there.
#include "server/reactors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void reactors_drain(struct reactors *group)
{
    for (unsigned i = 0, made = atomic_load(&group->made); i < made; i++)
        reactor_post(&group->states[i]->reactor, &group->states[i]->drain_task);
}

int reactors_start_next(struct reactors *group)
{
    unsigned i = group->started;
    char name[24];
    snprintf(name, sizeof name, "reactor-%u", i);
    int err = thread_start(&group->threads[i], name, reactor_run, group->states[i]);
    if (!err)
        group->started++;
    return err;
}

int reactors_add(struct reactors *group)
{
    unsigned i = atomic_load(&group->made);
    if (i == REACTORS_MAX)
        return ERR_LIMIT;
    struct reactor_state *state = calloc(1, sizeof *state);
    int err = state ? reactor_init(state, group, i) : ERR_NOMEM;
    if (err) {
        free(state);
        return err;
    }
    group->states[i] = state;
    atomic_store(&group->made, i + 1);
    return 0;
}

// The first reactor has done what it was asked to.
static void await_first(struct reactors *group)
{
    while (sem_wait(&group->told) != 0)
        ; // a signal came in between
}

int reactors_resize(struct reactors *group, unsigned count)
{
    int err = 0;
    pthread_mutex_lock(&group->shape);
    while (!err && !group->stopped && atomic_load(&group->made) < count)
        err = reactors_add(group);
    while (!err && group->running && !group->stopped && group->started < atomic_load(&group->made))
        err = reactors_start_next(group);
    unsigned most = group->running ? group->started : atomic_load(&group->made);
    atomic_store(&group->wanted, count < most ? count : most);
    if (!group->running)
        atomic_store(&group->serving, atomic_load(&group->wanted));
    else if (!group->stopped && atomic_load(&group->wanted) != atomic_load(&group->serving)) {
        reactor_post(&group->states[0]->reactor, &group->resize_task);
        await_first(group);
    }
    pthread_mutex_unlock(&group->shape);
    return err;
}

// A slot whose last listener's connections and requests are all gone, or NULL.
static struct acceptor *free_slot(struct reactors *group)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        if (!group->acceptors[i].used && quota_open(&group->quota, i) == 0 &&
            atomic_load(&group->acceptors[i].listener.holds) == 0)
            return &group->acceptors[i];
    return NULL;
}

int reactors_listen(struct reactors *group, const struct listener_spec *config, const struct listener **out,
                    char *reason, size_t reason_bytes)
{
    int err = ERR_LIMIT;
    pthread_mutex_lock(&group->shape);
    struct acceptor *a = group->stopped ? NULL : free_slot(group);
    if (a) {
        acceptor_close(a); // its name
        err = acceptor_open(a, group, config, reason, reason_bytes);
    } else {
        snprintf(reason, reason_bytes, "more than %d listeners", LISTENERS_MAX);
    }
    if (!err) {
        a->used = true;
        quota_limit_listener(&group->quota, a->listener.index, INT32_MAX);
        connection_rates_limit(&group->rates, (int)a->listener.index, CONNECTION_RATE_UNLIMITED);
        if (config->kind == LISTENER_BROKER)
            atomic_fetch_add(&group->broker_listeners, 1);
        if (group->running)
            reactor_post(&group->states[0]->reactor, &a->serve_task);
        *out = &a->listener;
    }
    pthread_mutex_unlock(&group->shape);
    return err;
}

static struct acceptor *find(struct reactors *group, const char *name)
{
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        if (group->acceptors[i].used && strcmp(group->acceptors[i].listener.name, name) == 0)
            return &group->acceptors[i];
    return NULL;
}

int reactors_unlisten(struct reactors *group, const char *name)
{
    pthread_mutex_lock(&group->shape);
    struct acceptor *a = group->stopped ? NULL : find(group, name);
    if (a) {
        group->leaving = a;
        if (group->running) {
            reactor_post(&group->states[0]->reactor, &group->close_task);
            await_first(group);
        } else {
            socket_close(a->source.fd);
            a->source.fd = -1;
        }
        group->leaving = NULL;
        a->used = false;
        if (a->listener.kind == LISTENER_BROKER)
            atomic_fetch_sub(&group->broker_listeners, 1);
        atomic_store(&a->listener.closing, true);
        reactors_drain(group);
    }
    pthread_mutex_unlock(&group->shape);
    return a ? 0 : ERR_NOT_FOUND;
}

size_t reactors_listeners(struct reactors *group, const struct listener *out[])
{
    size_t count = 0;
    pthread_mutex_lock(&group->shape);
    for (unsigned i = 0; i < LISTENERS_MAX; i++)
        if (group->acceptors[i].used)
            out[count++] = &group->acceptors[i].listener;
    pthread_mutex_unlock(&group->shape);
    return count;
}
