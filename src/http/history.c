#include "http/history.h"

#include "base/clock.h"
#include "http/group_history.h"
#include "http/load.h"
#include "http/route.h"
#include "os/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define PRODUCE 0

struct point {
    int64_t time_ms, connections;
    double seconds; // that the rates are of
    struct load_sums rates;
    double requests;                  // a second
    double produce_p99, delivery_p99; // microseconds; below zero: there was none
};

// What is read each time: two of them, in turn.
struct moment {
    int64_t at_us; // monotonic
    struct arena arena;
    struct loads loads;
    struct http_counters counters;
    struct histogram_values produce, delivery;
};

struct history {
    const struct http_params *broker;
    struct thread thread;
    pthread_mutex_t lock; // guards what follows up to the thread's own
    pthread_cond_t changed;
    bool stopping;
    struct point points[HISTORY_POINTS];
    size_t count, next;          // next: where the next one goes
    struct group_history groups; // has a lock of its own

    // The thread's own.
    struct moment moments[2];
};

static void read_moment(const struct history *h, struct moment *m)
{
    const struct http_params *broker = h->broker;
    loads_free(&m->loads);
    arena_reset(&m->arena);
    m->at_us = clock_monotonic_us();
    loads_read(&m->loads, broker, STR_NULL, &m->arena);
    broker->counters(broker->context, &m->counters);
    if (!broker->latency(broker->context, PRODUCE, &m->produce))
        m->produce = (struct histogram_values){0};
    if (!broker->latency(broker->context, HTTP_DELIVERY, &m->delivery))
        m->delivery = (struct histogram_values){0};
}

static double p99(const struct histogram_values *before, const struct histogram_values *now)
{
    struct histogram_values v;
    histogram_between(before, now, &v);
    return histogram_quantile(&v, 0.99);
}

static struct point point_of(const struct moment *before, struct moment *now)
{
    double seconds = (double)(now->at_us - before->at_us) / 1e6;
    loads_measure(&now->loads, &before->loads, seconds);
    return (struct point){.time_ms = clock_wall_ms(),
                          .connections = (int64_t)now->counters.connections_open,
                          .seconds = seconds,
                          .rates = loads_sum(&now->loads),
                          .requests = (double)(now->counters.requests - before->counters.requests) / seconds,
                          .produce_p99 = p99(&before->produce, &now->produce),
                          .delivery_p99 = p99(&before->delivery, &now->delivery)};
}

// [lock] Until then. False: it is to stop.
static bool wait_until(struct history *h, int64_t until_ms)
{
    struct timespec t = {until_ms / 1000, until_ms % 1000 * 1000000};
    while (!h->stopping && pthread_cond_timedwait(&h->changed, &h->lock, &t) != ETIMEDOUT)
        ;
    return !h->stopping;
}

static void run(void *context)
{
    struct history *h = context;
    read_moment(h, &h->moments[0]);
    for (unsigned n = 1;; n++) {
        unsigned now = n % 2;
        pthread_mutex_lock(&h->lock);
        bool goes_on = wait_until(h, clock_monotonic_ms() + HISTORY_EVERY_MS);
        pthread_mutex_unlock(&h->lock);
        if (!goes_on)
            return;
        read_moment(h, &h->moments[now]);
        struct point point = point_of(&h->moments[1 - now], &h->moments[now]);
        pthread_mutex_lock(&h->lock);
        h->points[h->next] = point;
        h->next = (h->next + 1) % HISTORY_POINTS;
        h->count += h->count < HISTORY_POINTS;
        pthread_mutex_unlock(&h->lock);
        if (n % HISTORY_GROUPS == 1)
            group_history_take(&h->groups);
    }
}

static void release(struct history *h)
{
    for (int i = 0; i < 2; i++) {
        loads_free(&h->moments[i].loads);
        arena_free(&h->moments[i].arena);
    }
    group_history_free(&h->groups);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    free(h);
}

struct history *history_new(const struct http_params *broker)
{
    struct history *h = calloc(1, sizeof *h);
    pthread_condattr_t monotonic;
    if (!h)
        return NULL;
    h->broker = broker;
    group_history_init(&h->groups, broker);
    arena_init(&h->moments[0].arena, 0);
    arena_init(&h->moments[1].arena, 0);
    pthread_mutex_init(&h->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&h->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (thread_start(&h->thread, "history", run, h) == 0)
        return h;
    release(h);
    return NULL;
}

void history_free(struct history *h)
{
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->stopping = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    thread_join(&h->thread);
    release(h);
}

static json_t *milliseconds(double us)
{
    return us < 0 ? json_null() : json_real(us / 1000);
}

static json_t *point_json(const struct point *p)
{
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:o, s:o}", "time", (json_int_t)p->time_ms,
                     "intervalSeconds", p->seconds, "messagesInPerSecond", p->rates.messages_in,
                     "messagesOutPerSecond", p->rates.messages_out, "bytesInPerSecond", p->rates.bytes_in,
                     "bytesOutPerSecond", p->rates.bytes_out, "requestsPerSecond", p->requests, "connections",
                     (json_int_t)p->connections, "produceP99", milliseconds(p->produce_p99), "deliveryP99",
                     milliseconds(p->delivery_p99));
}

json_t *history_json(struct history *h)
{
    json_t *points = json_array();
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->count; i++)
        json_array_append_new(
            points, point_json(&h->points[(h->next + HISTORY_POINTS - h->count + i) % HISTORY_POINTS]));
    pthread_mutex_unlock(&h->lock);
    return json_pack("{s:o}", "points", points);
}

struct group_history *history_groups(struct history *h)
{
    return &h->groups;
}

void http_history(struct http_request *r)
{
    http_answer(r, 200, history_json(r->history));
}

void http_group_history(struct http_request *r)
{
    http_answer(r, 200, group_history_json(&r->history->groups, r->params[0]));
}
