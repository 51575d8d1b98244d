#include "consumer.h"

#include <stdlib.h>
#include <unistd.h>

#include "batch.h"

#define MAX_WAIT_MS     500 // these two are a Java consumer's defaults
#define FETCH_MAX_BYTES (50 << 20)

void consumer_open(struct consumer *c, const struct options *o, const struct uuid *topic, int first, int step)
{
    *c = (struct consumer){.topic = *topic,
                           .settings = {.max_wait_ms = MAX_WAIT_MS,
                                        .min_bytes = 1,
                                        .max_bytes = FETCH_MAX_BYTES,
                                        .partition_max_bytes = o->fetch_bytes}};
    c->fd = net_connect_sized(o->host, o->port, 0, o->receive_buffer);
    reader_init(&c->reader, c->fd);
    c->reader.drop = o->drop;
    c->positions = calloc((size_t)o->partitions, sizeof c->positions[0]);
    if (!c->positions)
        fail("out of memory");
    for (int p = first; p < o->partitions; p += step)
        c->positions[c->count++] = (struct fetch_position){.partition = p, .high_watermark = -1};
}

void consumer_ask(struct consumer *c)
{
    // A session as consumers keep it (KIP-227); where the broker grants none, each request starts anew.
    c->session_epoch = c->session_id ? c->session_epoch + 1 : 0;
    frame_fetch(&c->request, c->correlation, &c->settings, c->session_id, c->session_epoch, &c->topic,
                c->positions, c->count);
    struct iovec iov = {c->request.data, c->request.size};
    net_send(c->fd, &iov, 1);
}

static struct fetch_position *position_of(struct consumer *c, int32_t partition)
{
    for (int i = 0; i < c->count; i++)
        if (c->positions[i].partition == partition)
            return &c->positions[i];
    fail("an answer for partition %d, which was not asked for", partition);
}

// Walks the headers of the batches; a last one that is cut counts nothing.
static void read_records(struct consumer *c, struct response *r, struct fetch_position *p, uint32_t size)
{
    c->bytes += size;
    while (size >= BATCH_HEADER_BYTES) {
        uint8_t header[BATCH_HEADER_BYTES];
        response_copy(r, header, sizeof header);
        int64_t base = (int64_t)load_be64(header);
        uint32_t batch = load_be32(header + BATCH_AT_LENGTH) + BATCH_LENGTH_OVERHEAD;
        int64_t next = base + (int64_t)load_be32(header + BATCH_AT_LAST_OFFSET_DELTA) + 1;
        if (base > p->offset || next <= p->offset || header[16] != 2 || batch < BATCH_HEADER_BYTES)
            fail("partition %d: a batch at offset %lld where %lld was expected", p->partition,
                 (long long)base, (long long)p->offset);
        uint32_t rest = batch < size ? batch : size;
        response_skip(r, rest - sizeof header);
        if (batch <= size) {
            c->records += next - p->offset;
            p->offset = next;
        }
        size -= rest;
    }
    response_skip(r, size);
}

static void read_partition(struct consumer *c, struct response *r)
{
    struct fetch_position *p = position_of(c, response_int32(r));
    int16_t error = response_int16(r);
    if (error == PROTOCOL_NOT_LEADER || error == PROTOCOL_UNKNOWN_TOPIC_ID)
        c->not_ready++;
    else if (error != PROTOCOL_NONE && !(error == PROTOCOL_OFFSET_OUT_OF_RANGE && c->any_offset))
        fail("fetch from partition %d at offset %lld: error code %d", p->partition, (long long)p->offset,
             error);
    p->high_watermark = response_int64(r);
    response_int64(r); // last stable offset
    response_int64(r); // log start offset
    for (uint32_t n = response_count(r); n > 0; n--) {
        response_skip(r, 16); // an aborted transaction
        response_skip_tags(r);
    }
    response_int32(r); // preferred read replica
    read_records(c, r, p, response_count(r));
    response_skip_tags(r);
}

void consumer_receive(struct consumer *c)
{
    struct response r;
    response_begin(&r, &c->reader, true);
    if (r.correlation != c->correlation)
        fail("answer %d where %d was expected", r.correlation, c->correlation);
    c->correlation++;
    response_int32(&r); // throttle time
    int16_t error = response_int16(&r);
    if (error != PROTOCOL_NONE)
        fail("fetch: error code %d", error);
    c->session_id = response_int32(&r);
    c->not_ready = 0;
    for (uint32_t topics = response_count(&r); topics > 0; topics--) {
        response_skip(&r, sizeof(struct uuid));
        for (uint32_t n = response_count(&r); n > 0; n--)
            read_partition(c, &r);
        response_skip_tags(&r);
    }
    response_end(&r);
    c->responses++;
}

bool consumer_at_end(const struct consumer *c)
{
    for (int i = 0; i < c->count; i++)
        if (c->positions[i].offset != c->positions[i].high_watermark)
            return false;
    return true;
}

void consumer_close(struct consumer *c)
{
    close(c->fd);
    buffer_free(&c->request);
    free(c->positions);
}
