#include "base/qsbr.h"

#include "base/error.h"

#include <pthread.h>
#include <stdlib.h>

struct retired {
    struct retired *next;
    void (*release)(void *);
    void *thing;
    uint64_t epoch; // free when every thread has seen a later one
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // threads, waiting
static struct qsbr_thread *threads;
static struct retired *waiting, **waiting_end = &waiting; // in order of epoch
static _Atomic uint64_t epoch_now = 1;

void qsbr_online(struct qsbr_thread *t)
{
    atomic_store(&t->seen, atomic_load(&epoch_now)); // seq_cst: before any load of what is shared
}

void qsbr_offline(struct qsbr_thread *t)
{
    atomic_store_explicit(&t->seen, 0, memory_order_release);
}

void qsbr_quiescent(struct qsbr_thread *t)
{
    uint64_t now = atomic_load_explicit(&epoch_now, memory_order_acquire);
    if (atomic_load_explicit(&t->seen, memory_order_relaxed) == now)
        return;
    atomic_store(&t->seen, now);
}

void qsbr_register(struct qsbr_thread *t)
{
    pthread_mutex_lock(&lock);
    t->next = threads;
    threads = t;
    qsbr_online(t);
    pthread_mutex_unlock(&lock);
}

void qsbr_unregister(struct qsbr_thread *t)
{
    pthread_mutex_lock(&lock);
    for (struct qsbr_thread **at = &threads; *at; at = &(*at)->next) {
        if (*at == t) {
            *at = t->next;
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

// The oldest epoch that some thread is still in. Under the lock.
static uint64_t oldest_seen(void)
{
    uint64_t oldest = UINT64_MAX;
    for (struct qsbr_thread *t = threads; t; t = t->next) {
        uint64_t seen = atomic_load(&t->seen);
        if (seen && seen < oldest)
            oldest = seen;
    }
    return oldest;
}

unsigned qsbr_reclaim(void)
{
    struct retired *due = NULL, **due_end = &due;
    unsigned left = 0;
    pthread_mutex_lock(&lock);
    uint64_t oldest = oldest_seen();
    while (waiting && waiting->epoch < oldest) {
        *due_end = waiting;
        due_end = &waiting->next;
        waiting = waiting->next;
    }
    *due_end = NULL;
    if (!waiting)
        waiting_end = &waiting;
    for (struct retired *r = waiting; r; r = r->next)
        left++;
    pthread_mutex_unlock(&lock);
    while (due) { // outside the lock: release may retire more
        struct retired *r = due;
        due = r->next;
        r->release(r->thing);
        free(r);
    }
    return left;
}

int qsbr_retire(void (*release)(void *), void *thing)
{
    struct retired *r = malloc(sizeof *r);
    if (!r)
        return ERR_NOMEM;
    *r = (struct retired){NULL, release, thing, 0};
    pthread_mutex_lock(&lock);
    r->epoch = atomic_fetch_add(&epoch_now, 1);
    *waiting_end = r;
    waiting_end = &r->next;
    pthread_mutex_unlock(&lock);
    qsbr_reclaim();
    return 0;
}
