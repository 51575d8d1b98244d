#include "http/guests.h"

#include "os/socket.h"

#include <stdlib.h>

void guests_init(struct guests *g, unsigned most, unsigned most_young)
{
    *g = (struct guests){.most = most, .most_young = most_young};
    pthread_mutex_init(&g->lock, NULL);
    list_init(&g->all);
}

void guests_free(struct guests *g)
{
    pthread_mutex_destroy(&g->lock);
}

// [lock]
static struct guest *longest_waiting(struct guests *g)
{
    struct guest *longest = NULL;
    for (struct list *n = g->all.next; n != &g->all; n = n->next) {
        struct guest *one = container_of(n, struct guest, node);
        if (!one->served && !one->ended && (!longest || one->since_ms < longest->since_ms))
            longest = one;
    }
    return longest;
}

// [lock] Who has come just now is left alone as long as there is room in any case.
static void make_room(struct guests *g, int64_t now_ms)
{
    while (g->count >= g->most) {
        struct guest *longest = longest_waiting(g);
        if (!longest || (now_ms - longest->since_ms < GUEST_GRACE_MS && g->count < g->most_young))
            return;
        longest->ended = true;
        g->count--;
        socket_end(longest->fd);
    }
}

struct guest *guests_add(struct guests *g, int fd, int64_t now_ms)
{
    struct guest *guest = calloc(1, sizeof *guest);
    if (!guest)
        return NULL;
    *guest = (struct guest){.fd = fd, .since_ms = now_ms};
    pthread_mutex_lock(&g->lock);
    make_room(g, now_ms);
    list_push_back(&g->all, &guest->node);
    g->count++;
    pthread_mutex_unlock(&g->lock);
    return guest;
}

void guests_remove(struct guests *g, struct guest *guest)
{
    if (!guest)
        return;
    pthread_mutex_lock(&g->lock);
    list_remove(&guest->node);
    g->count -= !guest->ended;
    pthread_mutex_unlock(&g->lock);
    free(guest);
}

void guests_serve(struct guests *g, struct guest *guest, bool served, int64_t now_ms)
{
    if (!guest)
        return;
    pthread_mutex_lock(&g->lock);
    guest->served = served;
    guest->since_ms = now_ms;
    pthread_mutex_unlock(&g->lock);
}
