// Responses: encoded once, sent in order. Memory goes out with sendmsg, file ranges with sendfile; what is
// followed by more says so to the kernel, so that a response takes as few packets as its size needs.
#include "server/connection.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "protocol/api.h"
#include "server/request_log.h"

#define OUTPUT_PARTS_PER_CALL 32
#define OUTPUT_COPY_BYTES     (64 * 1024)
#define OUTPUT_COLD_BYTES     (1 << 20) // of a slice that may be cold: asked for, read and sent at a time

// While a response is encoded: cuts what is in memory wherever a file range belongs.
struct cutter {
    struct request *request;
    const uint8_t *from; // not in a chunk yet
    bool failed;
};

static void add_chunk(struct request *request, const uint8_t *data, struct slice *slice, size_t size,
                      bool *failed)
{
    struct chunk *chunk = arena_alloc(&request->arena, sizeof *chunk);
    if (!chunk) {
        *failed = true;
        if (slice)
            slice_release(slice);
        return;
    }
    *chunk =
        (struct chunk){.data = data, .slice = slice, .position = slice ? slice->position : 0, .left = size};
    if (request->last_chunk)
        request->last_chunk->next = chunk;
    else
        request->chunks = chunk;
    request->last_chunk = chunk;
}

static void cut(void *context, const struct records *records, uint8_t *at)
{
    struct cutter *cutter = context;
    if (at > cutter->from)
        add_chunk(cutter->request, cutter->from, NULL, (size_t)(at - cutter->from), &cutter->failed);
    cutter->from = at;
    struct slice *slice = (struct slice *)(uintptr_t)records->external;
    if (records->size > 0)
        add_chunk(cutter->request, NULL, slice, records->size, &cutter->failed);
    else
        slice_release(slice);
}

// Length, correlation id, and no tagged fields.
static size_t head_bytes(const struct api *api, int16_t version)
{
    return api_response_header_version(api, version) >= 1 ? 9 : 8;
}

static void count_error(void *arg, int16_t code)
{
    struct request *request = arg;
    struct reactor_state *state = container_of(request->reactor, struct reactor_state, reactor);
    error_counts_add(state->errors, request->api->api_key, code, 1);
}

int output_encode(struct request *request, const void *response)
{
    const struct api *api = api_find(request->api->api_key);
    const struct message_type *type = api->response;
    if (!request->is_own)
        message_each_error(type, response, count_error, request);
    size_t inline_bytes, external_bytes;
    int err = message_size(type, request->version, response, &inline_bytes, &external_bytes);
    if (err)
        return err;
    size_t head = head_bytes(api, request->version), size = head + inline_bytes;
    if (size + external_bytes - 4 > INT32_MAX)
        return ERR_LIMIT;
    uint8_t *memory = arena_alloc(&request->arena, size);
    if (!memory)
        return ERR_NOMEM;
    store_be32(memory, (uint32_t)(size + external_bytes - 4));
    store_be32(memory + 4, (uint32_t)request->correlation_id);
    memset(memory + 8, 0, head - 8);
    struct cutter cutter = {.request = request, .from = memory};
    struct encode_target target = {memory + head, memory + size, cut, &cutter};
    err = message_encode(type, request->version, response, &target);
    if (err)
        return err;
    assert(target.at == memory + size);
    if (target.at > cutter.from)
        add_chunk(request, cutter.from, NULL, (size_t)(target.at - cutter.from), &cutter.failed);
    request->response_bytes = size;
    return cutter.failed ? ERR_NOMEM : 0;
}

// The time is in front in every response that has one of this name.
void output_set_throttle(struct request *request)
{
    const struct api *api = api_find(request->api->api_key);
    if (request->throttle_ms <= 0 || request->encode_error ||
        !message_begins_with(api->response, request->version, "throttleTimeMs"))
        return;
    uint8_t *at = (uint8_t *)(uintptr_t)request->chunks->data + head_bytes(api, request->version);
    store_be32(at, (uint32_t)request->throttle_ms);
}

void output_drop(struct request *request)
{
    for (struct chunk *chunk = request->chunks; chunk; chunk = chunk->next)
        if (chunk->slice)
            slice_release(chunk->slice);
    request->chunks = request->last_chunk = NULL;
}

// The request whose response is next, if it is finished.
static struct request *first_finished(const struct connection *c)
{
    if (list_empty(&c->requests))
        return NULL;
    struct request *request = container_of(list_first(&c->requests), struct request, node);
    return request->state == REQUEST_FINISHED ? request : NULL;
}

bool output_pending(const struct connection *c)
{
    return first_finished(c) != NULL && !c->reading;
}

// Lets go of finished requests at the front that have nothing left to be sent.
static void retire(struct connection *c)
{
    for (struct request *request; (request = first_finished(c)) && !request->chunks;) {
        list_remove(&request->node);
        c->in_flight--;
        c->response_bytes -= request->response_bytes;
        if (request->response_bytes)
            counter_add(&c->state->counters.responses, 1);
        if (request->log)
            request_log_sent(request);
        request_free(c->state, request);
    }
}

static void chunk_done(struct request *request)
{
    struct chunk *chunk = request->chunks;
    request->chunks = chunk->next;
    if (!chunk->next)
        request->last_chunk = NULL;
    if (chunk->slice)
        slice_release(chunk->slice);
}

// A short range of a file that is in the page cache costs less copied into a buffer, where it leaves in one
// send with what is around it, than sent from the file between two pieces of memory (measured to win up to
// 128 KB on loopback).
static bool is_short_range(const struct chunk *chunk)
{
    return chunk->slice && !chunk->slice->may_be_cold && chunk->left <= OUTPUT_COPY_BYTES;
}

// Parts of one send: memory and copies of short ranges, over several responses where they are ready.
struct gathered {
    struct iovec parts[OUTPUT_PARTS_PER_CALL];
    int count;
    bool more;             // a file range follows at once
    struct input *scratch; // NULL: no range was copied
};

// False: it does not fit any more, or cannot be read.
static bool gather_range(struct connection *c, const struct chunk *chunk, struct gathered *g)
{
    if (!g->scratch)
        g->scratch = input_take(&c->state->inputs, OUTPUT_COPY_BYTES);
    if (!g->scratch || g->scratch->capacity - g->scratch->end < chunk->left)
        return false;
    uint8_t *to = g->scratch->data + g->scratch->end;
    if (file_read_exactly(chunk->slice->fd, to, chunk->left, chunk->position))
        return false; // sending it from the file meets the error
    g->scratch->end += chunk->left;
    g->parts[g->count++] = (struct iovec){to, chunk->left};
    return true;
}

static void gather(struct connection *c, struct gathered *g)
{
    for (const struct list *node = c->requests.next; node != &c->requests; node = node->next) {
        const struct request *request = container_of(node, struct request, node);
        if (request->state != REQUEST_FINISHED)
            return;
        for (const struct chunk *chunk = request->chunks; chunk; chunk = chunk->next) {
            g->more = g->count == OUTPUT_PARTS_PER_CALL || !chunk->data;
            if (g->count == OUTPUT_PARTS_PER_CALL)
                return;
            if (chunk->data)
                g->parts[g->count++] = (struct iovec){(void *)(uintptr_t)chunk->data, chunk->left};
            else if (!is_short_range(chunk) || !gather_range(c, chunk, g))
                return;
            g->more = false;
        }
    }
}

static void consume(struct connection *c, size_t sent)
{
    for (struct list *node = c->requests.next; sent > 0; node = node->next) {
        struct request *request = container_of(node, struct request, node);
        while (sent > 0 && request->chunks) {
            struct chunk *chunk = request->chunks;
            size_t part = sent < chunk->left ? sent : chunk->left;
            if (chunk->data)
                chunk->data += part;
            else
                chunk->position += (int64_t)part;
            chunk->left -= part;
            sent -= part;
            if (chunk->left == 0)
                chunk_done(request);
        }
    }
}

// Sends what can go in one call. 0: the front is a file range that has to go from the file.
static ssize_t send_gathered(struct connection *c)
{
    struct gathered g = {.count = 0};
    gather(c, &g);
    ssize_t sent = g.count ? socket_send(c->source.fd, g.parts, g.count, g.more) : 0;
    if (g.scratch) {
        input_unref(&c->state->inputs, g.scratch);
        reactor_arm_trim(c->state);
    }
    if (sent > 0)
        consume(c, (size_t)sent);
    return sent;
}

static void cold_read_done(struct task *task)
{
    struct cold_read *read = container_of(task, struct cold_read, range.job.done);
    struct request *request = read->request;
    struct connection *c = request->connection;
    if (c) {
        request->chunks->warm_until = read->range.position + (int64_t)read->range.size;
        c->reading = false;
        connection_touch(c);
        connection_serve_soon(c);
    }
    request_let_go(request);
}

// Whether the next piece may be sent. Else it is being read, and the connection waits.
static bool is_warm(struct connection *c, struct request *request)
{
    struct chunk *chunk = request->chunks;
    if (!chunk->slice->may_be_cold || chunk->left == 0 || chunk->position < chunk->warm_until)
        return true;
    size_t size = chunk->left < OUTPUT_COLD_BYTES ? chunk->left : OUTPUT_COLD_BYTES;
    chunk->warm_until = chunk->position + (int64_t)size;
    if (readahead_is_cached(chunk->slice->fd, chunk->position, size))
        return true;
    struct cold_read *read = arena_alloc(&request->arena, sizeof *read);
    if (!read)
        return true; // then this thread waits for the disk
    *read = (struct cold_read){.request = request};
    read->range = (struct readahead_job){.fd = chunk->slice->fd, .position = chunk->position, .size = size};
    read->range.job = (struct job){
        .run = readahead_run, .loop = &c->state->reactor.loop, .done = TASK_INIT(cold_read_done)};
    if (!workers_submit(reactors_readahead(c->state->reactor.group), &read->range.job))
        return true;
    counter_add(&c->state->counters.cold_reads, 1);
    request_hold(request);
    c->reading = true;
    return false;
}

static ssize_t send_range(struct connection *c, struct request *request, size_t limit)
{
    struct chunk *chunk = request->chunks;
    if (!is_warm(c, request))
        return 0;
    if (chunk->slice->may_be_cold && limit > (size_t)(chunk->warm_until - chunk->position))
        limit = (size_t)(chunk->warm_until - chunk->position);
    // sendfile ends with a push; where more follows in this response, the cork holds back the part of a
    // packet.
    if (chunk->next && !c->corked) {
        socket_cork(c->source.fd, true);
        c->corked = true;
    }
    size_t size = chunk->left < limit ? chunk->left : limit;
    ssize_t sent = size ? socket_send_file(c->source.fd, chunk->slice->fd, chunk->position, size) : 0;
    if (sent == 0 && size > 0) {
        // The length is promised already. Happens when a log is truncated under a reader.
        connection_close(c, "a file range ends %zu bytes early", chunk->left);
        return ERR_CLOSED;
    }
    if (sent < 0) {
        if (sent != ERR_AGAIN && errno == EIO && chunk->slice->failed) // the file's: no socket says so
            chunk->slice->failed(chunk->slice);
        return sent;
    }
    counter_add(&c->state->counters.bytes_sent_file, (uint64_t)sent);
    chunk->position += sent;
    chunk->left -= (size_t)sent;
    if (chunk->left == 0)
        chunk_done(request);
    return sent;
}

static void flush(struct connection *c, struct turn *turn)
{
    while (!c->closing) {
        retire(c);
        struct request *request = first_finished(c);
        if (!request || !c->writable || c->reading || turn->out_bytes <= 0)
            break;
        bool gathers = request->chunks->data || is_short_range(request->chunks);
        ssize_t sent = gathers ? send_gathered(c) : 0;
        if (sent == 0)
            sent = send_range(c, request, (size_t)turn->out_bytes);
        if (sent >= 0) {
            turn->out_bytes -= sent;
            counter_add(&c->state->counters.bytes_sent, (uint64_t)sent);
            connection_touch(c);
        } else if (sent == ERR_AGAIN) {
            c->writable = false;
        } else if (errno == EPIPE || errno == ECONNRESET) {
            connection_close(c, NULL);
        } else {
            connection_close(c, "sending: %s", strerror(errno));
        }
    }
    if (c->corked && !first_finished(c)) {
        socket_cork(c->source.fd, false);
        c->corked = false;
    }
}

void output_flush(struct connection *c, struct turn *turn)
{
    int64_t start_us = c->timed ? clock_monotonic_us() : 0;
    flush(c, turn);
    if (start_us)
        c->sending_us += clock_monotonic_us() - start_us;
}
