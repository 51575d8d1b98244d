#include "os/readahead.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/thread.h"

// The kernel reads ahead in windows of about this size, so one byte of each tells enough.
#define READAHEAD_SAMPLE_BYTES (128 * 1024)
#define READAHEAD_THREADS_MAX  8

struct readahead {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct list jobs;
    bool stopping;
    unsigned idle, started, limit;
    struct thread threads[READAHEAD_THREADS_MAX];
};

bool readahead_is_cached(int fd, int64_t position, size_t size)
{
    int64_t last = position + (int64_t)size - 1;
    for (int64_t at = position;;
         at = at + READAHEAD_SAMPLE_BYTES < last ? at + READAHEAD_SAMPLE_BYTES : last) {
        char byte;
        struct iovec part = {&byte, 1};
        if (preadv2(fd, &part, 1, at, RWF_NOWAIT) < 0 && errno == EAGAIN)
            return false;
        if (at >= last)
            return true;
    }
}

// Asks for the whole range at once, then waits for it by reading samples.
static void read_range(const struct readahead_job *job)
{
    readahead(job->fd, job->position, job->size);
    int64_t last = job->position + (int64_t)job->size - 1;
    for (int64_t at = job->position;;
         at = at + READAHEAD_SAMPLE_BYTES < last ? at + READAHEAD_SAMPLE_BYTES : last) {
        char byte;
        ssize_t count = pread(job->fd, &byte, 1, at);
        if (count <= 0 || at >= last)
            return;
    }
}

static void serve(void *context)
{
    struct readahead *r = context;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        struct list *node = list_pop_front(&r->jobs);
        if (node) {
            struct readahead_job *job = container_of(node, struct readahead_job, node);
            pthread_mutex_unlock(&r->lock);
            read_range(job);
            loop_post(job->loop, &job->done);
            pthread_mutex_lock(&r->lock);
        } else if (r->stopping) {
            break;
        } else {
            r->idle++;
            pthread_cond_wait(&r->work, &r->lock);
            r->idle--;
        }
    }
    pthread_mutex_unlock(&r->lock);
}

struct readahead *readahead_new(unsigned threads)
{
    assert(threads > 0 && threads <= READAHEAD_THREADS_MAX);
    struct readahead *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    list_init(&r->jobs);
    r->limit = threads;
    return r;
}

bool readahead_submit(struct readahead *r, struct readahead_job *job)
{
    pthread_mutex_lock(&r->lock);
    if (r->idle == 0 && r->started < r->limit &&
        thread_start(&r->threads[r->started], "read-ahead", serve, r) == 0)
        r->started++;
    bool queued = r->started > 0;
    if (queued) {
        list_push_back(&r->jobs, &job->node);
        pthread_cond_signal(&r->work);
    }
    pthread_mutex_unlock(&r->lock);
    return queued;
}

void readahead_free(struct readahead *r)
{
    pthread_mutex_lock(&r->lock);
    assert(list_empty(&r->jobs));
    r->stopping = true;
    pthread_cond_broadcast(&r->work);
    pthread_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < r->started; i++)
        thread_join(&r->threads[i]);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->work);
    free(r);
}
