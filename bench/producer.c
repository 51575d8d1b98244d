#include "producer.h"

#include <stdlib.h>
#include <unistd.h>

void producer_open(struct producer *p, const struct options *o, const struct uuid *topic, int first)
{
    *p = (struct producer){.o = o, .topic = *topic, .first = first % o->partitions};
    p->partition = p->first;
    p->fd = net_connect_sized(o->host, o->port, o->send_buffer, 0);
    reader_init(&p->reader, p->fd);
    p->sequences = calloc((size_t)o->partitions, sizeof p->sequences[0]);
    if (!p->sequences)
        fail("out of memory");
    if (o->idempotent)
        p->identity = admin_producer(o);
}

void producer_send(struct producer *p, struct batch *b)
{
    static const uint8_t tail[FRAME_PRODUCE_TAIL_BYTES];
    const struct options *o = p->o;
    if (o->idempotent) {
        int32_t *sequence = &p->sequences[p->partition];
        batch_set_producer(b, p->identity.id, p->identity.epoch, *sequence);
        *sequence = (int32_t)(((int64_t)*sequence + b->records) & INT32_MAX);
    }
    frame_produce(&p->header, (int32_t)p->sent, (int16_t)o->acks, &p->topic, p->partition, b->size);
    struct iovec iov[] = {
        {p->header.data, p->header.size}, {b->data, b->size}, {(void *)(uintptr_t)tail, sizeof tail}};
    net_send(p->fd, iov, 3);
    p->sent++;
    p->bytes += (int64_t)b->size;
    p->records += b->records;
    if (o->key_bytes > 0) {
        p->partition = (p->partition + 1) % o->partitions;
        return;
    }
    p->partition += o->connections;
    if (p->partition >= o->partitions)
        p->partition = p->first;
}

void producer_receive(struct producer *p)
{
    struct response r;
    response_begin(&r, &p->reader, true);
    if (r.correlation != (int32_t)p->answered)
        fail("answer %d where %lld was expected", r.correlation, (long long)p->answered);
    if (response_count(&r) != 1)
        fail("a produce answer for no topic");
    response_skip(&r, sizeof(struct uuid));
    if (response_count(&r) != 1)
        fail("a produce answer for no partition");
    int32_t partition = response_int32(&r);
    int16_t error = response_int16(&r);
    if (error != PROTOCOL_NONE)
        fail("produce to partition %d: error code %d", partition, error);
    response_end(&r);
    p->answered++;
}

void producer_wait_until_read(struct producer *p)
{
    frame_api_versions(&p->header, 0);
    struct iovec iov = {p->header.data, p->header.size};
    net_send(p->fd, &iov, 1);
    struct response r;
    response_begin(&r, &p->reader, false);
    response_end(&r);
}

void producer_close(struct producer *p)
{
    close(p->fd);
    buffer_free(&p->header);
    free(p->sequences);
}
