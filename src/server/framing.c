// From the stream to requests: a four-byte length, then as many bytes.
//
// Requests lie in the buffer that they were read into. Small ones are read many at a time; of a large one,
// once its length is known, just the rest is read, straight to its place. FRAMING_SLACK_BYTES more are asked
// for than are expected, so that a shorter answer tells that the socket is empty without another call.
#include "server/connection.h"

#include <errno.h>
#include <string.h>

#include "base/error.h"

#define FRAME_LENGTH_BYTES  4
#define FRAMING_SLACK_BYTES 64
#define FRAMING_STUB_BYTES \
    256 // a beginning that is no longer moves out of a large buffer while its rest is awaited

// The bytes of the request that starts the buffer, with its length; 0: not known yet; -1: not acceptable.
static int64_t frame_bytes(const struct connection *c)
{
    const struct input *in = c->input;
    if (!in || in->end - in->start < FRAME_LENGTH_BYTES)
        return 0;
    int32_t size = (int32_t)load_be32(in->data + in->start);
    if (size < 0 || size > c->state->limits->socket_request_max_bytes)
        return -1;
    return (int64_t)size + FRAME_LENGTH_BYTES;
}

static bool has_whole_request(const struct connection *c)
{
    int64_t total = frame_bytes(c);
    return total < 0 || (total > 0 && c->input->end - c->input->start >= (size_t)total);
}

bool framing_can_go_on(const struct connection *c)
{
    return connection_can_take(c) && list_empty(&c->memory_node) && (c->readable || has_whole_request(c));
}

static void remember_size(struct connection *c, uint32_t total)
{
    if (total >= c->frame_hint_bytes)
        c->frame_hint_bytes = total;
    else
        c->frame_hint_bytes -= (c->frame_hint_bytes - total) / 4;
}

// Handles the request at the start of the buffer if it is complete. Returns whether it was.
static bool take_request(struct connection *c)
{
    int64_t total = frame_bytes(c);
    struct input *in = c->input;
    if (total < 0) {
        connection_close(c, "a request of %d bytes (socket.request.max.bytes is %d)",
                         (int32_t)load_be32(in->data + in->start),
                         c->state->limits->socket_request_max_bytes);
        return false;
    }
    if (total == 0 || in->end - in->start < (size_t)total)
        return false;
    struct bytes frame = {in->data + in->start + FRAME_LENGTH_BYTES, (size_t)total - FRAME_LENGTH_BYTES};
    in->start += (size_t)total;
    remember_size(c, (uint32_t)total);
    dispatch_frame(c, frame);
    return true;
}

// A buffer of its own for what is half-read, with room for `capacity` bytes. False: closed, or it waits for
// memory.
static bool move_to(struct connection *c, size_t capacity)
{
    struct reactors *group = c->state->reactor.group;
    // Who holds a buffer already goes on in any case: two that wait for each other would wait forever.
    bool holds = c->input && c->input->charged_bytes > 0;
    if (!reactors_charge_input(group, capacity, holds)) {
        reactor_wait_for_memory(c);
        return false;
    }
    struct input *fresh = input_take(&c->state->inputs, capacity);
    if (!fresh) {
        reactors_uncharge_input(group, capacity);
        connection_close(c, "no memory for a request of %zu bytes", capacity);
        return false;
    }
    if (c->input) {
        fresh->end = c->input->end - c->input->start;
        memcpy(fresh->data, c->input->data + c->input->start, fresh->end);
        connection_drop_input(c);
    }
    c->input = fresh;
    c->input->charged_bytes = capacity;
    list_remove(&c->memory_node);
    return true;
}

// Makes sure that there is room for what comes next; *want is how many bytes to ask for. False as move_to.
static bool make_room(struct connection *c, size_t *want)
{
    struct input *in = c->input;
    size_t have = in ? in->end - in->start : 0;
    int64_t total = frame_bytes(c);
    size_t expected = total > 0 ? (size_t)total : c->frame_hint_bytes;
    size_t room = (expected < INPUT_SMALL_BYTES ? 0 : expected) + FRAMING_SLACK_BYTES;
    if (total > 0 && total < INPUT_SMALL_BYTES)
        room = (size_t)total;
    if (in && have == 0 && in->references == 1)
        in->start = in->end = 0;
    if (in && in->references == 1 && in->capacity - in->start < room && in->capacity >= room) {
        memmove(in->data, in->data + in->start, have);
        in->start = 0;
        in->end = have;
    }
    if (!in || in->capacity - in->start < room || in->end == in->capacity) {
        size_t capacity = room > INPUT_SMALL_BYTES ? room : INPUT_SMALL_BYTES;
        if (!move_to(c, capacity))
            return false;
        in = c->input;
    }
    // Of a large request no more than its rest, lest the next one be read to a place where it does not fit.
    *want = room > INPUT_SMALL_BYTES ? room - have : in->capacity - in->end;
    return true;
}

// Returns whether it is worth going on.
static bool receive(struct connection *c, struct turn *turn)
{
    size_t want;
    if (!make_room(c, &want))
        return false;
    ssize_t count = socket_receive(c->source.fd, c->input->data + c->input->end, want);
    if (count > 0) {
        c->input->end += (size_t)count;
        turn->in_bytes -= count;
        counter_add(&c->state->counters.bytes_received, (uint64_t)count);
        connection_touch(c);
        // Less than asked: the socket is empty, and what comes later is another event. After the client's end
        // of the stream none comes.
        if ((size_t)count < want && !c->half_closed)
            c->readable = false;
    } else if (count == ERR_AGAIN) {
        c->readable = false;
    } else {
        c->readable = false;
        c->ended = true;
        size_t have = c->input->end - c->input->start;
        if (count < 0 && errno != ECONNRESET)
            connection_close(c, "receiving: %s", strerror(errno));
        else if (count < 0)
            connection_close(c, NULL);
        else if (have > 0)
            connection_close(c, "the client left in the middle of a request (%zu bytes of it came)", have);
    }
    return true;
}

// Between turns an idle connection keeps no buffer, and one that has sent a few bytes of a request a small
// one.
static void shrink(struct connection *c)
{
    struct input *in = c->input;
    if (!in)
        return;
    size_t have = in->end - in->start;
    if (have == 0) {
        connection_drop_input(c);
    } else if (have <= FRAMING_STUB_BYTES && in->capacity > INPUT_STUB_BYTES && !has_whole_request(c)) {
        struct input *stub = input_take(&c->state->inputs, INPUT_STUB_BYTES);
        if (!stub)
            return;
        memcpy(stub->data, in->data + in->start, have);
        stub->end = have;
        connection_drop_input(c);
        c->input = stub;
    }
}

void framing_read(struct connection *c, struct turn *turn)
{
    while (!c->closing && connection_can_take(c) && turn->requests > 0 && turn->in_bytes > 0) {
        if (take_request(c))
            turn->requests--;
        else if (c->closing || !c->readable || !receive(c, turn))
            break;
    }
    if (!c->closing)
        shrink(c);
}

void framing_memory_freed(struct reactor_state *state)
{
    struct list waiting;
    list_init(&waiting);
    for (struct list *node; (node = list_pop_front(&state->memory_waiters));)
        list_push_back(&waiting, node);
    // Each tries again, and waits again where the limit is reached by those before it.
    for (struct list *node; (node = list_pop_front(&waiting));)
        connection_serve(container_of(node, struct connection, memory_node));
}
