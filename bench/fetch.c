// Every connection is a thread that reads its partitions from the start to the high watermark.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "admin.h"
#include "consumer.h"
#include "modes.h"
#include "stats.h"

struct connection {
    pthread_t thread;
    struct consumer consumer;
    int64_t deadline_ns; // 0: none
};

static void *run_connection(void *argument)
{
    struct connection *c = argument;
    while (!consumer_at_end(&c->consumer) && (!c->deadline_ns || stats_monotonic_ns() < c->deadline_ns)) {
        consumer_ask(&c->consumer);
        consumer_receive(&c->consumer);
    }
    return NULL;
}

void mode_fetch(const struct options *o)
{
    struct uuid topic = admin_topic(o);
    struct connection *all = calloc((size_t)o->connections, sizeof all[0]);
    if (!all)
        fail("out of memory");
    for (int i = 0; i < o->connections; i++)
        consumer_open(&all[i].consumer, o, &topic, i, o->connections);
    int64_t started_ns = stats_monotonic_ns(), cpu_ns = stats_cpu_ns(), bytes = 0, records = 0, responses = 0;
    for (int i = 0; i < o->connections; i++) {
        all[i].deadline_ns = o->seconds > 0 ? started_ns + (int64_t)(o->seconds * 1e9) : 0;
        if (pthread_create(&all[i].thread, NULL, run_connection, &all[i]) != 0)
            fail("cannot start a thread");
    }
    for (int i = 0; i < o->connections; i++) {
        pthread_join(all[i].thread, NULL);
        bytes += all[i].consumer.bytes;
        records += all[i].consumer.records;
        responses += all[i].consumer.responses;
    }
    printf(
        "{\"bytes\": %lld, \"records\": %lld, \"responses\": %lld, \"seconds\": %.6f, "
        "\"load_cpu_seconds\": %.6f}\n",
        (long long)bytes, (long long)records, (long long)responses,
        (double)(stats_monotonic_ns() - started_ns) / 1e9, (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    for (int i = 0; i < o->connections; i++)
        consumer_close(&all[i].consumer);
    free(all);
}
