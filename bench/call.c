#include "call.h"

#include <unistd.h>

#include "frames.h"

void call_frame(struct buffer *out, const struct message_type *type, int16_t version, int32_t correlation,
                const void *request)
{
    size_t size = 0, start = out->size;
    int rc = message_size(type, version, request, &size, NULL);
    if (rc != 0)
        fail("%s version %d cannot be encoded: error %d", type->name, version, rc);
    frame_int32(out, 0);
    frame_int16(out, type->key);
    frame_int16(out, version);
    frame_int32(out, correlation);
    frame_int16(out, sizeof FRAME_CLIENT_ID - 1);
    buffer_text(out, FRAME_CLIENT_ID);
    if (version >= type->flexible_from)
        frame_no_tags(out);
    uint8_t *at = buffer_reserve(out, size);
    if (!at)
        fail("out of memory");
    struct encode_target target = {at, at + size, NULL, NULL};
    if (message_encode(type, version, request, &target) != 0)
        fail("%s version %d cannot be encoded", type->name, version);
    out->size += size;
    store_be32(out->data + start, (uint32_t)(out->size - start - 4));
}

void call_decode(const struct message_type *request_type, const struct message_type *type, int16_t version,
                 struct bytes frame, struct arena *arena, void *answer)
{
    size_t header = 4 + (version >= request_type->flexible_from ? 1 : 0); // correlation; no tagged fields
    if (frame.size < header)
        fail("%s: an answer of %zu bytes", type->name, frame.size);
    struct bytes body = {frame.data + header, frame.size - header};
    int rc = message_decode(type, version, body, arena, answer, NULL);
    if (rc != 0)
        fail("%s version %d cannot be decoded: error %d", type->name, version, rc);
}

void call_open(struct call *c, const struct options *o)
{
    *c = (struct call){.fd = net_connect(o->host, o->port)};
    reader_init(&c->reader, c->fd);
    arena_init(&c->arena, 0);
}

void call_do(struct call *c, const struct message_type *request_type, const struct message_type *type,
             int16_t version, const void *request, void *answer)
{
    buffer_clear(&c->out);
    call_frame(&c->out, request_type, version, ++c->correlation, request);
    struct iovec iov = {c->out.data, c->out.size};
    net_send(c->fd, &iov, 1);
    size_t size = load_be32(reader_take(&c->reader, 4));
    buffer_clear(&c->in);
    uint8_t *at = buffer_reserve(&c->in, size);
    if (!at)
        fail("out of memory");
    reader_copy(&c->reader, at, size);
    if (size < 4 || (int32_t)load_be32(at) != c->correlation)
        fail("%s: an answer to another request", type->name);
    arena_reset(&c->arena);
    call_decode(request_type, type, version, (struct bytes){at, size}, &c->arena, answer);
}

void call_close(struct call *c)
{
    close(c->fd);
    buffer_free(&c->out);
    buffer_free(&c->in);
    arena_free(&c->arena);
}
