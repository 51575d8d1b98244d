// For tests of the server room: a server with handlers made for the test, and raw clients. Included by one
// file a program.
//
// The API that is spoken is Heartbeat: its group says what the handler does, its generation comes back as the
// throttle time, so that each answer names its question. Fetch sends a file, twice.
#ifndef REACTOR_SERVER_H
#define REACTOR_SERVER_H

#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/logger.h"
#include "os/readahead.h"
#include "protocol/api.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/api_versions.h"
#include "server/reactor.h"
#include "server/request.h"

#define DEADLINE_MS 30000

// ---- the server's side

#define PARKED_MAX        32
#define LARGE_ARENA_BYTES ((size_t)64 << 20) // pages of its own, however malloc is set

// A request that waits for the test to say go.
struct parked {
    struct task wake;
    struct request *request;
    int32_t generation;
    const struct reactor *by; // whose thread says so
};

static struct {
    struct reactors *group;
    struct api_table apis;
    const struct listener *listener;
    pthread_mutex_t lock;
    struct parked *parked[PARKED_MAX]; // by generation
    atomic_int cancelled, released, failed;
    char file_path[64];
    int file_fd;
    size_t file_bytes;
    bool file_may_be_cold;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .file_fd = -1};

static inline void answer(struct request *request, int32_t generation)
{
    struct heartbeat_response response = heartbeat_response_default;
    response.throttle_time_ms = generation;
    request_respond(request, &response);
}

static inline void unlink_parked(struct parked *p)
{
    pthread_mutex_lock(&server.lock);
    if (server.parked[p->generation] == p)
        server.parked[p->generation] = NULL;
    pthread_mutex_unlock(&server.lock);
    reactor_cancel(p->request->reactor, &p->wake);
}

static inline void on_wake(struct task *task)
{
    struct parked *p = container_of(task, struct parked, wake);
    assert_true(reactor_is_mine(p->request->reactor));
    unlink_parked(p);
    request_woken_by(p->request, p->by);
    answer(p->request, p->generation);
}

// Any thread.
static inline bool wake_parked(int32_t generation)
{
    pthread_mutex_lock(&server.lock);
    struct parked *p = server.parked[generation];
    if (p && !p->by)
        p->by = reactor_current();
    if (p) {
        reactor_post(p->request->reactor, &p->wake);
        reactor_post(p->request->reactor, &p->wake); // twice: harmless
    }
    pthread_mutex_unlock(&server.lock);
    return p != NULL;
}

static inline void on_cancel(struct request *request)
{
    assert_true(reactor_is_mine(request->reactor));
    unlink_parked(request->parked);
    atomic_fetch_add(&server.cancelled, 1);
}

// Work for a worker, which the test lets go on.
struct gated_work {
    struct request_work work;
    int32_t generation;
    int pieces; // one after the other
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int running, finished, gone;
    bool open;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static inline void pass_gate(struct request_work *work)
{
    (void)work;
    pthread_mutex_lock(&gate.lock);
    gate.running++;
    while (!gate.open)
        pthread_cond_wait(&gate.moved, &gate.lock);
    gate.running--;
    gate.finished++;
    pthread_mutex_unlock(&gate.lock);
}

static inline void set_gate(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    pthread_cond_broadcast(&gate.moved);
    pthread_mutex_unlock(&gate.lock);
}

static inline int gate_count(const int *which)
{
    pthread_mutex_lock(&gate.lock);
    int n = *which;
    pthread_mutex_unlock(&gate.lock);
    return n;
}

static inline void work_done(struct request_work *work, bool gone)
{
    struct gated_work *w = container_of(work, struct gated_work, work);
    assert_true(reactor_is_mine(work->request->reactor));
    if (--w->pieces > 0) {
        request_work(work->request, work);
        return;
    }
    if (!gone) {
        answer(work->request, w->generation);
        return;
    }
    pthread_mutex_lock(&gate.lock);
    gate.gone++;
    pthread_mutex_unlock(&gate.lock);
}

static inline void work_at(struct request *request, int32_t generation, int pieces)
{
    struct gated_work *w = arena_zalloc(&request->arena, 1, sizeof *w);
    *w = (struct gated_work){{.run = pass_gate, .done = work_done}, generation, pieces};
    request_work(request, &w->work);
}

#define SPIN_MS 5

static inline void spin(int64_t ms)
{
    for (int64_t until_ms = clock_monotonic_ms() + ms; clock_monotonic_ms() < until_ms;)
        ;
}

static inline void handle_heartbeat(struct request *request)
{
    const struct heartbeat_request *message = request->message;
    struct str what = message->group_id;
    int32_t generation = message->generation_id;
    assert_true(request_authorize(request, ACL_READ, RESOURCE_GROUP, what));
    if (str_is(what, "close")) {
        request_close(request, "the test said so");
    } else if (str_is(what, "none")) {
        request_respond_none(request);
    } else if (str_is(what, "wake")) {
        wake_parked(generation);
        answer(request, generation);
    } else if (str_is(what, "spin")) {
        spin(SPIN_MS);
        answer(request, generation);
    } else if (str_is(what, "large")) {
        assert_non_null(arena_alloc(&request->arena, LARGE_ARENA_BYTES));
        answer(request, generation);
    } else if (str_is(what, "work")) {
        work_at(request, generation, 1);
    } else if (str_is(what, "works")) {
        work_at(request, generation, 3);
    } else if (str_is(what, "overtake") || str_is(what, "stall") || str_is(what, "poll")) {
        enum park park = str_is(what, "stall")  ? PARK_STALL
                         : str_is(what, "poll") ? PARK_POLL
                                                : PARK_OVERTAKE;
        request_release_input(request);
        assert_true(str_is(request->client_id, "test"));
        struct parked *p = arena_zalloc(&request->arena, 1, sizeof *p);
        p->wake.run = on_wake;
        p->request = request;
        p->generation = generation;
        pthread_mutex_lock(&server.lock);
        server.parked[generation] = p;
        pthread_mutex_unlock(&server.lock);
        request_park(request, park, on_cancel, p);
    } else {
        answer(request, generation);
    }
}

static inline void slice_done(struct slice *slice)
{
    (void)slice;
    atomic_fetch_add(&server.released, 1);
}

static inline void slice_failed(struct slice *slice)
{
    (void)slice;
    atomic_fetch_add(&server.failed, 1);
}

// Two partitions, each with the whole file.
static inline void handle_fetch(struct request *request)
{
    const struct fetch_request *message = request->message;
    struct fetch_response response = fetch_response_default;
    struct fetch_response_fetchable_topic_response *topic =
        fetch_response_fetchable_topic_response_new(&request->arena, 1);
    struct fetch_response_partition_data *partitions = fetch_response_partition_data_new(&request->arena, 2);
    for (int32_t i = 0; i < 2; i++) {
        struct slice *slice = arena_zalloc(&request->arena, 1, sizeof *slice);
        *slice = (struct slice){.fd = server.file_fd, .size = server.file_bytes, .release = slice_done};
        slice->may_be_cold = server.file_may_be_cold;
        slice->failed = slice_failed;
        slice->size += (size_t)message->min_bytes; // the test's way to promise more than the file has
        partitions[i].partition_index = i;
        partitions[i].records = (struct records){.size = slice->size, .external = slice};
    }
    topic->partitions = partitions;
    topic->partitions_count = 2;
    response.responses = topic;
    response.responses_count = 1;
    if (request_respond(request, &response)) // then they are still ours
        for (int i = 0; i < 2; i++)
            slice_done(NULL);
}

static const struct api_handler heartbeat_handler = {12,    0, 4,    -1,  LISTENER_BROKER, handle_heartbeat,
                                                     false, 0, NULL, NULL};
static const struct api_handler fetch_handler = {1,     4, 12,   0,   LISTENER_BROKER, handle_fetch,
                                                 false, 0, NULL, NULL};

static inline void list_features(const struct request *request, struct features *out)
{
    (void)request;
    static const struct feature items[] = {{{"group.version", 13}, 0, 1, 1},
                                           {{"metadata.version", 16}, 7, 30, 30}};
    *out = (struct features){items, 2, 42};
}

// Listens, but does not serve yet.
static inline void create_with(const struct server_limits *limits, unsigned threads)
{
    struct reactors_config config = {.count = threads, .limits = *limits, .apis = &server.apis};
    server.cancelled = server.released = server.failed = 0;
    memset(&server.apis, 0, sizeof server.apis);
    api_table_add(&server.apis, &heartbeat_handler);
    api_table_add(&server.apis, &fetch_handler);
    api_table_add(&server.apis, &api_versions_handler);
    server.apis.features = list_features;
    char reason[200] = "";
    struct listener_spec spec = {.name = "PLAINTEXT", .host = "127.0.0.1", .kind = LISTENER_BROKER};
    assert_int_equal(reactors_create(&server.group, &config), 0);
    assert_int_equal(reactors_listen(server.group, &spec, &server.listener, reason, sizeof reason), 0);
    assert_true(server.listener->port > 0);
}

static inline void start_with(const struct server_limits *limits, unsigned threads)
{
    create_with(limits, threads);
    assert_int_equal(reactors_serve(server.group), 0);
}

static inline void start(void)
{
    struct server_limits limits;
    server_limits_default(&limits);
    start_with(&limits, 2);
}

static inline void stop(void)
{
    reactors_stop(server.group, 0);
    struct reactors_stats stats;
    reactors_stats(server.group, &stats);
    assert_int_equal(stats.connections_open, 0);
    assert_int_equal(stats.parked, 0);
    reactors_free(server.group);
}

// Waits until the condition holds, or fails.
#define wait_until(condition)                                              \
    do {                                                                   \
        int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;          \
        while (!(condition)) {                                             \
            if (clock_monotonic_ms() > deadline_ms)                        \
                fail_msg("not within %d ms: %s", DEADLINE_MS, #condition); \
            poll(NULL, 0, 1);                                              \
        }                                                                  \
    } while (0)

static inline struct reactors_stats stats_now(void)
{
    struct reactors_stats stats;
    reactors_stats(server.group, &stats);
    return stats;
}

static inline bool is_parked(int32_t generation)
{
    pthread_mutex_lock(&server.lock);
    bool there = server.parked[generation] != NULL;
    pthread_mutex_unlock(&server.lock);
    return there;
}

static inline void wake(int32_t generation)
{
    wait_until(wake_parked(generation));
}

// ---- the client's side

static inline int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server.listener->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    struct timeval patience = {.tv_sec = DEADLINE_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

// The request as it goes over the wire, appended to `out`.
static inline void add_request(struct buffer *out, int16_t key, int16_t version, int32_t correlation,
                               const void *message)
{
    const struct api *api = api_find(key);
    struct arena arena;
    arena_init(&arena, 0);
    struct request_header header = request_header_default;
    header.request_api_key = key;
    header.request_api_version = version;
    header.correlation_id = correlation;
    header.client_id = STR("test");
    struct bytes head, body;
    assert_int_equal(message_to_bytes(&request_header_type, api_request_header_version(api, version), &header,
                                      &arena, &head),
                     0);
    assert_int_equal(message_to_bytes(api->request, version, message, &arena, &body), 0);
    uint8_t size[4];
    store_be32(size, (uint32_t)(head.size + body.size));
    buffer_append(out, size, 4);
    buffer_append(out, head.data, head.size);
    buffer_append(out, body.data, body.size);
    arena_free(&arena);
}

static inline void add_heartbeat(struct buffer *out, const char *what, int32_t generation)
{
    struct heartbeat_request message = heartbeat_request_default;
    message.group_id = str_from(what);
    message.generation_id = generation;
    message.member_id = STR("m");
    add_request(out, 12, 4, 1000 + generation, &message);
}

static inline void send_bytes(int fd, const void *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
    }
}

static inline void send_buffer(int fd, struct buffer *b)
{
    send_bytes(fd, b->data, b->size);
    buffer_free(b);
    *b = BUFFER_INIT;
}

static inline void send_heartbeat(int fd, const char *what, int32_t generation)
{
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, what, generation);
    send_buffer(fd, &b);
}

static inline void receive_bytes(int fd, void *into, size_t size)
{
    for (size_t have = 0; have < size;) {
        ssize_t n = recv(fd, (char *)into + have, size - have, 0);
        if (n <= 0)
            fail_msg("received %zd after %zu of %zu bytes (%s)", n, have, size,
                     n ? strerror(errno) : "closed");
        have += (size_t)n;
    }
}

// A whole response without its length; *correlation is taken off. The caller frees it.
static inline uint8_t *receive_response(int fd, size_t *size, int32_t *correlation)
{
    uint8_t head[8];
    receive_bytes(fd, head, 8);
    *size = load_be32(head) - 4;
    *correlation = (int32_t)load_be32(head + 4);
    uint8_t *body = malloc(*size + 1);
    receive_bytes(fd, body, *size);
    return body;
}

static inline void expect_heartbeat(int fd, int32_t generation)
{
    size_t size;
    int32_t correlation;
    uint8_t *body = receive_response(fd, &size, &correlation);
    assert_int_equal(correlation, 1000 + generation);
    struct heartbeat_response response;
    struct arena arena;
    arena_init(&arena, 0);
    assert_int_equal(body[0], 0); // the header's tagged fields
    assert_int_equal(message_decode(&heartbeat_response_type, 4, (struct bytes){body + 1, size - 1}, &arena,
                                    &response, NULL),
                     0);
    assert_int_equal(response.throttle_time_ms, generation);
    arena_free(&arena);
    free(body);
}

static inline void expect_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    if (n > 0 || (n < 0 && errno != ECONNRESET))
        fail_msg("expected the end of the connection, got %zd (%s)", n, n < 0 ? strerror(errno) : "");
    close(fd);
}

static inline bool has_answer(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, wait_ms) == 1;
}

static inline void make_file(size_t size)
{
    snprintf(server.file_path, sizeof server.file_path, "/tmp/test_reactor.XXXXXX");
    server.file_fd = mkstemp(server.file_path);
    assert_true(server.file_fd >= 0);
    unlink(server.file_path);
    uint8_t block[65536];
    for (size_t at = 0; at < size; at += sizeof block) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] = (uint8_t)((at + i) * 2654435761u >> 24);
        size_t part = size - at < sizeof block ? size - at : sizeof block;
        assert_int_equal(write(server.file_fd, block, part), (ssize_t)part);
    }
    server.file_bytes = size;
}

static inline void drop_file(void)
{
    close(server.file_fd);
    server.file_fd = -1;
}

static inline void send_fetch(int fd, int32_t correlation, int32_t beyond)
{
    struct fetch_request message = fetch_request_default;
    message.min_bytes = beyond;
    struct buffer b = BUFFER_INIT;
    add_request(&b, 1, 12, correlation, &message);
    send_buffer(fd, &b);
}

static inline void check_fetch(int fd, int32_t correlation)
{
    size_t size;
    int32_t got;
    uint8_t *body = receive_response(fd, &size, &got);
    assert_int_equal(got, correlation);
    struct arena arena;
    arena_init(&arena, 0);
    struct fetch_response response;
    assert_int_equal(
        message_decode(&fetch_response_type, 12, (struct bytes){body + 1, size - 1}, &arena, &response, NULL),
        0);
    for (int p = 0; p < 2; p++) {
        struct records records = response.responses[0].partitions[p].records;
        assert_int_equal(records.size, server.file_bytes);
        for (size_t i = 0; i < records.size; i++)
            if (records.data[i] != (uint8_t)(i * 2654435761u >> 24))
                fail_msg("byte %zu of partition %d differs", i, p);
    }
    arena_free(&arena);
    free(body);
}

static inline size_t resident_bytes(void)
{
    long total, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
    fclose(f);
    return (size_t)resident * 4096;
}

#endif
