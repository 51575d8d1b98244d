// Producers send at a steady rate while consumers stand at the end and take each batch as it comes: what a
// broker does all day. Every connection is a thread.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "consumer.h"
#include "modes.h"
#include "producer.h"
#include "stats.h"

#define VARIANTS 16

struct stream {
    const struct options *o;
    int64_t started_ns;
    _Atomic bool produced; // everything is acknowledged
};

struct source {
    struct stream *stream;
    pthread_t thread;
    struct producer producer;
    struct batch variants[VARIANTS];
};

struct sink {
    struct stream *stream;
    pthread_t thread;
    struct consumer consumer;
};

static void sleep_until(int64_t at_ns)
{
    struct timespec t = {.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0)
        ;
}

static void *run_source(void *argument)
{
    struct source *s = argument;
    struct producer *p = &s->producer;
    const struct options *o = s->stream->o;
    double bytes_per_ns = (double)o->rate / o->connections / 1e9;
    while (p->bytes * o->connections < o->bytes) {
        sleep_until(s->stream->started_ns + (int64_t)((double)p->bytes / bytes_per_ns));
        producer_send(p, &s->variants[p->sent % VARIANTS]);
        while (p->sent - p->answered >= o->depth)
            producer_receive(p);
    }
    while (p->answered < p->sent)
        producer_receive(p);
    return NULL;
}

static void *run_sink(void *argument)
{
    struct sink *s = argument;
    for (bool last = false; !last;) {
        bool produced = s->stream->produced;
        consumer_ask(&s->consumer);
        consumer_receive(&s->consumer);
        last = produced && consumer_at_end(&s->consumer);
    }
    return NULL;
}

static void open_all(struct stream *st, struct source *sources, struct sink *sinks)
{
    const struct options *o = st->o;
    struct uuid topic = admin_topic(o);
    for (int i = 0; i < o->connections; i++) {
        sources[i].stream = sinks[i].stream = st;
        producer_open(&sources[i].producer, o, &topic, i);
        consumer_open(&sinks[i].consumer, o, &topic, i, o->connections);
        for (int v = 0; v < VARIANTS; v++)
            sources[i].variants[v] =
                batch_build(o->batch_bytes, o->key_bytes, o->record_bytes, o->compression, (uint64_t)v + 1);
    }
}

static void run_all(struct stream *st, struct source *sources, struct sink *sinks)
{
    int n = st->o->connections;
    for (int i = 0; i < n; i++)
        if (pthread_create(&sinks[i].thread, NULL, run_sink, &sinks[i]) != 0 ||
            pthread_create(&sources[i].thread, NULL, run_source, &sources[i]) != 0)
            fail("cannot start a thread");
    for (int i = 0; i < n; i++)
        pthread_join(sources[i].thread, NULL);
    st->produced = true;
    for (int i = 0; i < n; i++)
        pthread_join(sinks[i].thread, NULL);
}

static void close_all(struct source *sources, struct sink *sinks, int n)
{
    for (int i = 0; i < n; i++) {
        producer_close(&sources[i].producer);
        consumer_close(&sinks[i].consumer);
        for (int v = 0; v < VARIANTS; v++)
            batch_free(&sources[i].variants[v]);
    }
    free(sources);
    free(sinks);
}

void mode_stream(const struct options *o)
{
    if (o->bytes == 0 || o->rate == 0 || o->acks == 0)
        fail("stream: --bytes, --rate (bytes a second) and --acks other than 0 are needed");
    struct stream st = {.o = o};
    struct source *sources = calloc((size_t)o->connections, sizeof sources[0]);
    struct sink *sinks = calloc((size_t)o->connections, sizeof sinks[0]);
    if (!sources || !sinks)
        fail("out of memory");
    open_all(&st, sources, sinks);
    int64_t cpu_ns = stats_cpu_ns(), sent = 0, received = 0, produced = 0, consumed = 0, responses = 0;
    st.started_ns = stats_monotonic_ns();
    run_all(&st, sources, sinks);
    for (int i = 0; i < o->connections; i++) {
        sent += sources[i].producer.bytes;
        produced += sources[i].producer.records;
        received += sinks[i].consumer.bytes;
        consumed += sinks[i].consumer.records;
        responses += sinks[i].consumer.responses;
    }
    if (produced != consumed)
        fail("%lld records were produced and %lld consumed", (long long)produced, (long long)consumed);
    printf(
        "{\"bytes\": %lld, \"fetched_bytes\": %lld, \"records\": %lld, \"responses\": %lld, "
        "\"seconds\": %.6f, \"load_cpu_seconds\": %.6f}\n",
        (long long)sent, (long long)received, (long long)produced, (long long)responses,
        (double)(stats_monotonic_ns() - st.started_ns) / 1e9, (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    close_all(sources, sinks, o->connections);
}
