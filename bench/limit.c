// The machine's limits: servers that do only what no broker can leave out. A thread a connection. The load
// generator drives them with the same frames as a broker; --bare spares them the questions about the topic.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "batch.h"
#include "frames.h"
#include "modes.h"

#define RESERVE_BYTES (8 << 20)

struct server {
    const char *name;
    int file;            // that is sent
    _Atomic int written; // files so far: one a connection, as one partition has one writer
    int64_t file_bytes, batch_bytes, batch_records; // of the file that is sent
    void (*serve)(struct server *s, struct reader *r);
};

struct client {
    struct server *server;
    int fd;
};

static void *serve_client(void *argument)
{
    struct client c = *(struct client *)argument;
    free(argument);
    struct reader reader;
    reader_init(&reader, c.fd);
    while (reader_open(&reader, 4))
        c.server->serve(c.server, &reader);
    close(c.fd);
    return NULL;
}

// Says its port, then serves until it is killed.
static void serve(struct server *s, const struct options *o)
{
    int port = o->port, listener = net_listen(&port);
    printf("{\"port\": %d}\n", port);
    fflush(stdout);
    for (;;) {
        struct client *c = malloc(sizeof *c);
        if (!c)
            fail("out of memory");
        *c = (struct client){s, net_accept(listener)};
        pthread_t thread;
        if (pthread_create(&thread, NULL, serve_client, c) != 0)
            fail("cannot start a thread");
        pthread_detach(thread);
    }
}

static void send_bytes(int fd, const struct buffer *b)
{
    struct iovec iov = {b->data, b->size};
    net_send(fd, &iov, 1);
}

static void answer_produce(struct reader *r, const uint8_t *frame, struct buffer *out)
{
    buffer_clear(out);
    frame_int32(out, 0);
    buffer_append(out, frame + FRAME_AT_CORRELATION, 4);
    frame_no_tags(out);
    frame_count(out, 1);
    frame_uuid(out, &(struct uuid){{0}});
    frame_count(out, 1);
    frame_int32(out, 0);
    frame_int16(out, PROTOCOL_NONE);
    for (int i = 0; i < 3; i++)
        frame_int64(out, -1); // base offset, append time, log start
    frame_count(out, 0);
    frame_string(out, NULL);
    frame_no_tags(out);
    frame_no_tags(out);
    frame_int32(out, 0);
    frame_no_tags(out);
    frame_end(out, 0);
    send_bytes(r->fd, out);
}

// Where the batch of a Produce request lies: frame_produce's layout.
static size_t produce_batch(const uint8_t *frame, size_t size, uint32_t *batch_bytes)
{
    size_t at = FRAME_HEADER_BYTES + 1 + 2 + 4 + 1 + sizeof(struct uuid) + 1 + 4;
    size_t n = at < size ? uvarint_read(frame + at, frame + size, batch_bytes) : 0;
    (*batch_bytes)--;
    if (n == 0 || at + n + *batch_bytes + FRAME_PRODUCE_TAIL_BYTES != size)
        fail("a produce request that is not the load generator's");
    return at + n;
}

static int create_file(struct server *s)
{
    char path[4096];
    snprintf(path, sizeof path, "%s.%d", s->name, atomic_fetch_add(&s->written, 1));
    int file = open(path, O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0644);
    if (file < 0)
        fail("%s: %s", path, strerror(errno));
    return file;
}

static void receive_checksum_write(struct server *s, struct reader *r)
{
    static _Thread_local int file = -1;
    static _Thread_local int64_t end, reserved;
    static _Thread_local uint8_t *frame;
    static _Thread_local size_t room;
    static _Thread_local struct buffer answer;
    size_t size = 4 + (size_t)load_be32(reader_take(r, 4));
    if (size > room) {
        frame = realloc(frame, size);
        if (!frame || size > INT32_MAX)
            fail("a request of %zu bytes", size);
        room = size;
    }
    reader_copy(r, frame + 4, size - 4);
    uint32_t batch_bytes = 0;
    const uint8_t *batch = frame + produce_batch(frame, size, &batch_bytes);
    if (!batch_check(batch, batch_bytes))
        fail("a batch whose checksum is wrong");
    if (file < 0)
        file = create_file(s);
    while (end + batch_bytes > reserved) { // as whoever wants a write to cost least
        (void)fallocate(file, FALLOC_FL_KEEP_SIZE, reserved, RESERVE_BYTES);
        reserved += RESERVE_BYTES;
    }
    if (pwrite(file, batch, batch_bytes, end) != (ssize_t)batch_bytes)
        fail("write: %s", strerror(errno));
    end += batch_bytes;
    answer_produce(r, frame, &answer);
}

void mode_limit_write(const struct options *o)
{
    if (!o->file)
        fail("limit-write: --file is needed");
    struct server s = {.name = o->file, .serve = receive_checksum_write};
    serve(&s, o);
}

static void begin_fetch_answer(struct buffer *b, const uint8_t *correlation, int32_t partition, int64_t end,
                               size_t records)
{
    buffer_clear(b);
    frame_int32(b, 0);
    buffer_append(b, correlation, 4);
    frame_no_tags(b);
    frame_int32(b, 0); // throttle time
    frame_int16(b, PROTOCOL_NONE);
    frame_int32(b, 0); // no session
    frame_count(b, 1);
    frame_uuid(b, &(struct uuid){{0}});
    frame_count(b, 1);
    frame_int32(b, partition);
    frame_int16(b, PROTOCOL_NONE);
    frame_int64(b, end);
    frame_int64(b, end);
    frame_int64(b, 0);
    frame_count(b, 0);
    frame_int32(b, -1);
    frame_count(b, (uint32_t)records);
    frame_end(b, records + 3);
}

static void send_file(int fd, int file, int64_t from, size_t n)
{
    off_t at = from;
    while (n > 0) {
        ssize_t sent = sendfile(fd, file, &at, n);
        if (sent <= 0)
            fail("sendfile: %s", strerror(errno));
        n -= (size_t)sent;
    }
}

// One Fetch request for one partition (every partition is the whole file): a range of the file is the answer.
static void serve_range(struct server *s, struct reader *r)
{
    static _Thread_local struct buffer answer;
    uint8_t frame[READER_BUFFER_BYTES];
    size_t size = 4 + (size_t)load_be32(reader_take(r, 4));
    size_t partition_at = FRAME_HEADER_BYTES + 4 + 4 + 4 + 1 + 4 + 4 + 1 + sizeof(struct uuid) + 1;
    if (size > sizeof frame || size < partition_at + 28)
        fail("a fetch request that is not the load generator's for one partition");
    reader_copy(r, frame + 4, size - 4);
    int64_t offset = (int64_t)load_be64(frame + partition_at + 8);
    int64_t at = offset / s->batch_records * s->batch_bytes;
    size_t n = load_be32(frame + partition_at + 28);
    if (at > s->file_bytes)
        fail("a fetch beyond the end");
    if (n > (size_t)(s->file_bytes - at))
        n = (size_t)(s->file_bytes - at);
    begin_fetch_answer(&answer, frame + FRAME_AT_CORRELATION, (int32_t)load_be32(frame + partition_at),
                       s->file_bytes / s->batch_bytes * s->batch_records, n);
    struct iovec head = {answer.data, answer.size};
    struct msghdr m = {.msg_iov = &head, .msg_iovlen = 1};
    if (sendmsg(r->fd, &m, MSG_MORE | MSG_NOSIGNAL) != (ssize_t)answer.size)
        fail("send: %s", strerror(errno));
    send_file(r->fd, s->file, at, n);
    static const uint8_t tail[3];
    struct iovec end = {(void *)(uintptr_t)tail, sizeof tail};
    net_send(r->fd, &end, 1);
}

// The file of equal-sized batches that mode_limit_write left, each given its offset so that a client can
// follow.
static void number_batches(struct server *s)
{
    uint8_t header[BATCH_HEADER_BYTES];
    if (pread(s->file, header, sizeof header, 0) != sizeof header)
        fail("the file holds no batch");
    s->batch_bytes = (int64_t)load_be32(header + BATCH_AT_LENGTH) + BATCH_LENGTH_OVERHEAD;
    s->batch_records = load_be32(header + BATCH_AT_RECORD_COUNT);
    if (s->batch_bytes < BATCH_HEADER_BYTES || s->batch_records < 1 || s->file_bytes % s->batch_bytes != 0)
        fail("the file does not hold batches of one size");
    for (int64_t i = 0; i < s->file_bytes / s->batch_bytes; i++) {
        store_be64(header, (uint64_t)(i * s->batch_records));
        if (pwrite(s->file, header, 8, i * s->batch_bytes) != 8)
            fail("write: %s", strerror(errno));
    }
}

void mode_limit_send(const struct options *o)
{
    if (!o->file)
        fail("limit-send: --file is needed");
    struct server s = {.file = open(o->file, O_RDWR | O_CLOEXEC), .serve = serve_range};
    struct stat st;
    if (s.file < 0 || fstat(s.file, &st) < 0)
        fail("%s: %s", o->file, strerror(errno));
    s.file_bytes = st.st_size;
    number_batches(&s);
    serve(&s, o);
}

static void echo(struct server *s, struct reader *r)
{
    (void)s;
    size_t size = 4 + (size_t)load_be32(reader_take(r, 4));
    uint8_t frame[READER_BUFFER_BYTES];
    if (size > sizeof frame)
        fail("a frame of %zu bytes to echo", size);
    store_be32(frame, (uint32_t)(size - 4));
    reader_copy(r, frame + 4, size - 4);
    struct iovec iov = {frame, size};
    net_send(r->fd, &iov, 1);
}

void mode_limit_echo(const struct options *o)
{
    struct server s = {.serve = echo};
    serve(&s, o);
}
