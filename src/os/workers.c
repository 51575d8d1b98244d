#include "os/workers.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/qsbr.h"
#include "os/thread.h"

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list jobs;
    bool stopping;
    const char *name;
    unsigned waiting, jobs_limit; // jobs
    unsigned idle, started, limit;
    struct thread threads[WORKERS_THREADS_MAX];
};

static void serve(void *context)
{
    struct workers *w = context;
    struct qsbr_thread reader;
    qsbr_register(&reader);
    pthread_mutex_lock(&w->lock);
    for (;;) {
        struct list *node = list_pop_front(&w->jobs);
        if (node) {
            struct job *job = container_of(node, struct job, node);
            w->waiting--;
            pthread_mutex_unlock(&w->lock);
            struct loop *loop = job->loop;
            bool reads_nothing = job->reads_nothing;
            if (reads_nothing)
                qsbr_offline(&reader);
            job->run(job);
            if (reads_nothing)
                qsbr_online(&reader);
            if (loop)
                loop_post(loop, &job->done);
            qsbr_quiescent(&reader);
            pthread_mutex_lock(&w->lock);
        } else if (w->stopping) {
            break;
        } else {
            w->idle++;
            qsbr_offline(&reader);
            pthread_cond_wait(&w->work, &w->lock);
            qsbr_online(&reader);
            w->idle--;
        }
    }
    pthread_mutex_unlock(&w->lock);
    qsbr_unregister(&reader);
}

struct workers *workers_new(const char *name, unsigned threads, unsigned jobs_limit)
{
    assert(threads > 0 && threads <= WORKERS_THREADS_MAX && jobs_limit > 0);
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    list_init(&w->jobs);
    w->name = name;
    w->limit = threads;
    w->jobs_limit = jobs_limit;
    return w;
}

// Expects the lock. More than there are idle threads may be on their way already: a signal wakes one of them.
static void maybe_start_thread(struct workers *w)
{
    if (w->stopping || w->idle > w->waiting || w->started == w->limit)
        return;
    char name[24];
    snprintf(name, sizeof name, "%s-%u", w->name, w->started);
    if (thread_start(&w->threads[w->started], name, serve, w) == 0)
        w->started++;
}

bool workers_submit(struct workers *w, struct job *job)
{
    pthread_mutex_lock(&w->lock);
    maybe_start_thread(w);
    bool queued = w->started > 0 && !w->stopping && w->waiting < w->jobs_limit;
    if (queued) {
        list_push_back(&w->jobs, &job->node);
        w->waiting++;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    return queued;
}

void workers_stop(struct workers *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->started; i++)
        thread_join(&w->threads[i]);
    w->started = 0;
}

void workers_free(struct workers *w)
{
    workers_stop(w);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->work);
    free(w);
}
