#include "demo/demo.h"

#include "base/error.h"
#include "demo/demo_threads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SAID_FAILURES 2 // in a row

int64_t demo_time(double speed, int64_t start_ms, int64_t begun_ms, int64_t wall_ms)
{
    if (speed <= 0)
        return wall_ms;
    double passed_ms = (double)(wall_ms - begun_ms) * speed;
    return passed_ms < (double)(wall_ms - start_ms) ? start_ms + (int64_t)passed_ms : wall_ms;
}

static struct timespec after_ms(int ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += ms / 1000;
    at.tv_nsec += ms % 1000 * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

bool demo_stopping(struct demo *d)
{
    pthread_mutex_lock(&d->lock);
    bool stopping = d->stopping;
    pthread_mutex_unlock(&d->lock);
    return stopping;
}

void demo_pause(struct demo *d, int ms)
{
    struct timespec until = after_ms(ms);
    pthread_mutex_lock(&d->lock);
    while (!d->stopping && pthread_cond_timedwait(&d->changed, &d->lock, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&d->lock);
}

void demo_note(struct demo *d, int *failures, int err, const char *error)
{
    bool was = *failures >= SAID_FAILURES, is = err && *failures + 1 >= SAID_FAILURES;
    *failures = !err ? 0 : is ? SAID_FAILURES : *failures + 1;
    if (is == was)
        return;
    pthread_mutex_lock(&d->lock);
    d->troubled += is ? 1 : -1;
    bool said = !d->stopping && d->troubled == is;
    pthread_mutex_unlock(&d->lock);
    if (said)
        d->options.say(is ? error : "goes on");
}

static void run(struct demo *d, void (*work)(void *))
{
    work(d);
    pthread_mutex_lock(&d->lock);
    d->running--;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
}

static void run_writer(void *demo)
{
    run(demo, writer_run);
}

static void run_counter(void *demo)
{
    run(demo, counter_run);
}

static void destroy(struct demo *d)
{
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

int demo_start(struct demo **out, const struct demo_options *options)
{
    pthread_condattr_t monotonic;
    struct demo *d = calloc(1, sizeof *d);
    if (!d)
        return ERR_NOMEM;
    d->options = *options;
    d->running = 2;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    process_ignore_sigpipe();
    int err = thread_start(&d->writer, "demo-writer", run_writer, d);
    if (err) {
        destroy(d);
        return err;
    }
    err = thread_start(&d->counter, "demo-counter", run_counter, d);
    if (err) {
        pthread_mutex_lock(&d->lock);
        d->stopping = true;
        pthread_cond_broadcast(&d->changed);
        pthread_mutex_unlock(&d->lock);
        thread_join(&d->writer);
        destroy(d);
        return err;
    }
    *out = d;
    return 0;
}

bool demo_stop(struct demo *d, int wait_ms)
{
    struct timespec until = after_ms(wait_ms);
    pthread_mutex_lock(&d->lock);
    d->stopping = true;
    pthread_cond_broadcast(&d->changed);
    while (d->running > 0 && pthread_cond_timedwait(&d->changed, &d->lock, &until) != ETIMEDOUT)
        ;
    bool ended = d->running == 0;
    pthread_mutex_unlock(&d->lock);
    if (!ended) { // nobody will wait for them
        pthread_detach(d->writer.id);
        pthread_detach(d->counter.id);
        return false;
    }
    thread_join(&d->writer);
    thread_join(&d->counter);
    destroy(d);
    return true;
}
