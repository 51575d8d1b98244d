#include "replication/flusher.h"

#include "base/error.h"
#include "base/logger.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RETRY_MS 500

struct flusher {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list queue; // partitions with something to flush, each holding a reference
    bool stopping;
    unsigned count;
    pthread_t threads[];
};

static struct partition *next_partition(struct flusher *f)
{
    struct partition *p = NULL;
    pthread_mutex_lock(&f->lock);
    while (list_empty(&f->queue) && !f->stopping)
        pthread_cond_wait(&f->work, &f->lock);
    struct list *n = list_pop_front(&f->queue);
    if (n)
        p = container_of(n, struct partition, flush_node);
    pthread_mutex_unlock(&f->lock);
    return p;
}

// A flush that found no room is tried again: somebody may wait for it, and nobody else need ever append.
static void try_later(struct flusher *f, struct partition *p)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += RETRY_MS * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&f->lock);
    if (!f->stopping)
        pthread_cond_timedwait(&f->work, &f->lock, &until);
    if (!f->stopping && list_empty(&p->flush_node)) {
        list_push_back(&f->queue, &p->flush_node);
        partition_ref(p);
    }
    pthread_cond_signal(&f->work); // it may have been for somebody else
    pthread_mutex_unlock(&f->lock);
}

static void *run(void *arg)
{
    struct flusher *f = arg;
    struct partition *p;
    while ((p = next_partition(f))) {
        int rc = log_flush(p->log, log_end_offset(p->log));
        if (rc && rc != ERR_CLOSED && !log_is_offline(p->log))
            log_limited(LOG_LEVEL_ERROR, "replication", "flushing %s failed: %s", log_name(p->log),
                        err_text(rc));
        partition_flushed(p);
        if (rc == ERR_NO_SPACE)
            try_later(f, p);
        partition_unref(p);
    }
    return NULL;
}

struct flusher *flusher_start(unsigned threads)
{
    struct flusher *f = calloc(1, sizeof *f + threads * sizeof f->threads[0]);
    if (!f)
        return NULL;
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    list_init(&f->queue);
    for (; f->count < threads; f->count++) {
        if (pthread_create(&f->threads[f->count], NULL, run, f)) {
            flusher_stop(f);
            return NULL;
        }
        char name[16];
        snprintf(name, sizeof name, "flush-%u", f->count);
        pthread_setname_np(f->threads[f->count], name);
    }
    return f;
}

void flusher_stop(struct flusher *f)
{
    if (!f)
        return;
    pthread_mutex_lock(&f->lock);
    f->stopping = true;
    pthread_cond_broadcast(&f->work);
    pthread_mutex_unlock(&f->lock);
    for (unsigned i = 0; i < f->count; i++)
        pthread_join(f->threads[i], NULL);
    pthread_cond_destroy(&f->work);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

void flusher_submit(struct flusher *f, struct partition *p)
{
    pthread_mutex_lock(&f->lock);
    if (list_empty(&p->flush_node)) { // in the queue already: that flush covers this append, too
        list_push_back(&f->queue, &p->flush_node);
        partition_ref(p);
        pthread_cond_signal(&f->work);
    }
    pthread_mutex_unlock(&f->lock);
}
