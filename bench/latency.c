// End-to-end latency, one record at a time, raw frames on two connections: one holds a parked Fetch, the
// other produces; measured from the send of the produce until the fetch's answer is read. And the same for a
// bare echo.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "consumer.h"
#include "modes.h"
#include "producer.h"
#include "stats.h"

struct samples {
    int64_t *end_to_end_ns, *acknowledged_ns;
};

static struct samples samples_new(int64_t count)
{
    struct samples s = {calloc((size_t)count, sizeof(int64_t)), calloc((size_t)count, sizeof(int64_t))};
    if (!s.end_to_end_ns || !s.acknowledged_ns)
        fail("out of memory");
    return s;
}

static void samples_free(struct samples *s)
{
    free(s->end_to_end_ns);
    free(s->acknowledged_ns);
}

// One record: out through p, back through c, whose fetch is in flight before and after.
static void measure(struct producer *p, struct consumer *c, struct batch *b, int64_t *end_to_end_ns,
                    int64_t *acknowledged_ns)
{
    batch_set_timestamp(b, clock_wall_ms());
    int64_t started_ns = stats_monotonic_ns(), target = c->records + b->records;
    producer_send(p, b);
    bool acknowledged = p->o->acks == 0;
    *acknowledged_ns = 0;
    while (c->records < target || !acknowledged) {
        struct pollfd ready[] = {{.fd = c->fd, .events = POLLIN}, {.fd = p->fd, .events = POLLIN}};
        if (poll(ready, 2, -1) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        if (ready[0].revents) {
            consumer_receive(c);
            if (c->records >= target)
                *end_to_end_ns = stats_monotonic_ns() - started_ns;
            consumer_ask(c);
        }
        if (ready[1].revents) {
            producer_receive(p);
            acknowledged = true;
            *acknowledged_ns = stats_monotonic_ns() - started_ns;
        }
    }
}

void mode_latency(const struct options *o)
{
    struct options one = *o;
    one.partitions = one.connections = 1;
    struct uuid topic = admin_topic(&one);
    struct producer p;
    struct consumer c;
    producer_open(&p, &one, &topic, 0);
    consumer_open(&c, &one, &topic, 0, 1);
    struct batch b = batch_build(BATCH_HEADER_BYTES, o->key_bytes, o->record_bytes, o->compression, 1);
    struct samples s = samples_new(o->count);
    while (!consumer_at_end(&c)) {
        consumer_ask(&c);
        consumer_receive(&c);
    }
    consumer_ask(&c);
    int64_t cpu_ns = stats_cpu_ns(), started_ns = stats_monotonic_ns();
    for (int64_t i = -o->warmup; i < o->count; i++) {
        int64_t at = i < 0 ? 0 : i;
        measure(&p, &c, &b, &s.end_to_end_ns[at], &s.acknowledged_ns[at]);
        if (o->pause_us)
            usleep((useconds_t)o->pause_us);
    }
    printf("{\"count\": %lld, \"seconds\": %.6f, \"load_cpu_seconds\": %.6f, \"end_to_end\": {",
           (long long)o->count, (double)(stats_monotonic_ns() - started_ns) / 1e9,
           (double)(stats_cpu_ns() - cpu_ns) / 1e9);
    stats_print_latency(s.end_to_end_ns, o->count);
    printf("}, \"acknowledged\": {");
    stats_print_latency(s.acknowledged_ns, o->count);
    printf("}}\n");
    samples_free(&s);
    batch_free(&b);
    producer_close(&p);
    consumer_close(&c);
}

void mode_echo(const struct options *o)
{
    int fd = net_connect(o->host, o->port);
    struct reader reader;
    reader_init(&reader, fd);
    struct samples s = samples_new(o->count);
    uint8_t frame[4 + 200] = {0, 0, 0, 200}; // about a produce request of one record
    for (int64_t i = -o->warmup; i < o->count; i++) {
        int64_t started_ns = stats_monotonic_ns();
        struct iovec iov = {frame, sizeof frame};
        net_send(fd, &iov, 1);
        struct pollfd ready = {.fd = fd, .events = POLLIN}; // waits as mode_latency does
        if (poll(&ready, 1, -1) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        reader_take(&reader, sizeof frame);
        s.end_to_end_ns[i < 0 ? 0 : i] = stats_monotonic_ns() - started_ns;
        if (o->pause_us)
            usleep((useconds_t)o->pause_us);
    }
    printf("{\"count\": %lld, \"end_to_end\": {", (long long)o->count);
    stats_print_latency(s.end_to_end_ns, o->count);
    printf("}}\n");
    samples_free(&s);
    close(fd);
}
