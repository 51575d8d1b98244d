// Every connection is a thread that keeps `depth` requests with one ready batch each in flight.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "modes.h"
#include "producer.h"
#include "stats.h"

#define VARIANTS 16 // different batches, so that nothing on the way can profit from equal ones

struct load {
    const struct options *o;
    int64_t deadline_ns; // 0: none
    _Atomic int64_t bytes_left;
};

struct connection {
    struct load *load;
    pthread_t thread;
    struct producer producer;
    struct batch variants[VARIANTS]; // its own, as numbering changes them
};

static bool wants_more(struct load *l, size_t batch_bytes)
{
    if (l->deadline_ns && stats_monotonic_ns() >= l->deadline_ns)
        return false;
    return !l->o->bytes || atomic_fetch_sub(&l->bytes_left, (int64_t)batch_bytes) > 0;
}

static void *run_connection(void *argument)
{
    struct connection *c = argument;
    struct producer *p = &c->producer;
    const struct options *o = c->load->o;
    bool more = true;
    while (more || (o->acks != 0 && p->answered < p->sent)) {
        if (!more || (o->acks != 0 && p->sent - p->answered >= o->depth)) {
            producer_receive(p);
            continue;
        }
        more = wants_more(c->load, c->variants[0].size);
        if (more)
            producer_send(p, &c->variants[p->sent % VARIANTS]);
    }
    if (o->acks == 0)
        producer_wait_until_read(p);
    return NULL;
}

static struct connection *open_connections(struct load *l)
{
    const struct options *o = l->o;
    struct uuid topic = admin_topic(o);
    struct connection *all = calloc((size_t)o->connections, sizeof all[0]);
    if (!all)
        fail("out of memory");
    for (int i = 0; i < o->connections; i++) {
        all[i].load = l;
        producer_open(&all[i].producer, o, &topic, i);
        for (int v = 0; v < VARIANTS; v++)
            all[i].variants[v] =
                batch_build(o->batch_bytes, o->key_bytes, o->record_bytes, o->compression, (uint64_t)v + 1);
    }
    return all;
}

static void close_connections(struct connection *all, int count)
{
    for (int i = 0; i < count; i++) {
        producer_close(&all[i].producer);
        for (int v = 0; v < VARIANTS; v++)
            batch_free(&all[i].variants[v]);
    }
    free(all);
}

void mode_produce(const struct options *o)
{
    if (o->bytes == 0 && o->seconds <= 0)
        fail("produce: --bytes or --seconds is needed");
    struct load l = {.o = o, .bytes_left = o->bytes};
    struct connection *all = open_connections(&l);
    int64_t started_ns = stats_monotonic_ns(), cpu_ns = stats_cpu_ns(), bytes = 0, records = 0, batches = 0;
    if (o->seconds > 0)
        l.deadline_ns = started_ns + (int64_t)(o->seconds * 1e9);
    for (int i = 0; i < o->connections; i++)
        if (pthread_create(&all[i].thread, NULL, run_connection, &all[i]) != 0)
            fail("cannot start a thread");
    for (int i = 0; i < o->connections; i++) {
        pthread_join(all[i].thread, NULL);
        bytes += all[i].producer.bytes;
        records += all[i].producer.records;
        batches += all[i].producer.sent;
    }
    printf(
        "{\"bytes\": %lld, \"records\": %lld, \"batches\": %lld, \"batch_bytes\": %zu, \"batch_records\": "
        "%d, "
        "\"seconds\": %.6f, \"load_cpu_seconds\": %.6f}\n",
        (long long)bytes, (long long)records, (long long)batches, all[0].variants[0].size,
        all[0].variants[0].records, (double)(stats_monotonic_ns() - started_ns) / 1e9,
        (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    close_connections(all, o->connections);
}
