// Reactors, connections, framing, dispatch, responses: a server with handlers made for the test, and raw
// clients.
//
// The API that is spoken is Heartbeat: its group says what the handler does, its generation comes back as the
// throttle time, so that each answer names its question. Fetch sends a file.
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
#include "protocol/api.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/api_versions.h"
#include "server/reactor.h"
#include "server/request.h"

#define DEADLINE_MS 10000

// ---- the server's side

#define PARKED_MAX 16

// A request that waits for the test to say go.
struct parked {
    struct task wake;
    struct request *request;
    int32_t generation;
};

static struct {
    struct reactors *group;
    struct api_table apis;
    const struct listener *listener;
    pthread_mutex_t lock;
    struct parked *parked[PARKED_MAX]; // by generation
    atomic_int cancelled, released;
    char file_path[64];
    int file_fd;
    size_t file_bytes;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .file_fd = -1};

static void answer(struct request *request, int32_t generation)
{
    struct heartbeat_response response = heartbeat_response_default;
    response.throttle_time_ms = generation;
    request_respond(request, &response);
}

static void unlink_parked(struct parked *p)
{
    pthread_mutex_lock(&server.lock);
    if (server.parked[p->generation] == p)
        server.parked[p->generation] = NULL;
    pthread_mutex_unlock(&server.lock);
    reactor_cancel(p->request->reactor, &p->wake);
}

static void on_wake(struct task *task)
{
    struct parked *p = container_of(task, struct parked, wake);
    assert_true(reactor_is_mine(p->request->reactor));
    unlink_parked(p);
    answer(p->request, p->generation);
}

static void on_cancel(struct request *request)
{
    assert_true(reactor_is_mine(request->reactor));
    unlink_parked(request->parked);
    atomic_fetch_add(&server.cancelled, 1);
}

static void handle_heartbeat(struct request *request)
{
    const struct heartbeat_request *message = request->message;
    struct str what = message->group_id;
    int32_t generation = message->generation_id;
    assert_true(request_authorize(request, ACL_READ, RESOURCE_GROUP, what));
    if (str_is(what, "close")) {
        request_close(request, "the test said so");
    } else if (str_is(what, "none")) {
        request_respond_none(request);
    } else if (str_is(what, "overtake") || str_is(what, "stall")) {
        enum park park = str_is(what, "stall") ? PARK_STALL : PARK_OVERTAKE;
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

static void slice_done(struct slice *slice)
{
    (void)slice;
    atomic_fetch_add(&server.released, 1);
}

// Two partitions, each with the whole file.
static void handle_fetch(struct request *request)
{
    const struct fetch_request *message = request->message;
    struct fetch_response response = fetch_response_default;
    struct fetch_response_fetchable_topic_response *topic =
        fetch_response_fetchable_topic_response_new(&request->arena, 1);
    struct fetch_response_partition_data *partitions = fetch_response_partition_data_new(&request->arena, 2);
    for (int32_t i = 0; i < 2; i++) {
        struct slice *slice = arena_zalloc(&request->arena, 1, sizeof *slice);
        *slice = (struct slice){.fd = server.file_fd, .size = server.file_bytes, .release = slice_done};
        slice->size += (size_t)message->min_bytes; // the test's way to promise more than the file has
        partitions[i].partition_index = i;
        partitions[i].records = (struct records){.size = slice->size, .external = slice};
    }
    topic->partitions = partitions;
    topic->partitions_count = 2;
    response.responses = topic;
    response.responses_count = 1;
    request_respond(request, &response);
}

static const struct api_handler heartbeat_handler = {12, 0, 4, -1, LISTENER_BROKER, handle_heartbeat};
static const struct api_handler fetch_handler = {1, 4, 12, 0, LISTENER_BROKER, handle_fetch};

static void list_features(const struct request *request, struct features *out)
{
    (void)request;
    static const struct feature items[] = {{{"group.version", 13}, 0, 1, 1},
                                           {{"metadata.version", 16}, 7, 30, 30}};
    *out = (struct features){items, 2, 42};
}

static void start_with(const struct server_limits *limits, unsigned threads)
{
    struct reactors_config config = {.count = threads, .limits = *limits, .apis = &server.apis};
    server.cancelled = server.released = 0;
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
    assert_int_equal(reactors_serve(server.group), 0);
}

static void start(void)
{
    struct server_limits limits;
    server_limits_default(&limits);
    start_with(&limits, 2);
}

static void stop(void)
{
    reactors_stop(server.group, 0);
    struct reactors_stats stats;
    reactors_stats(server.group, &stats);
    assert_int_equal(stats.connections_open, 0);
    assert_int_equal(stats.parked, 0);
    reactors_free(server.group);
}

// Waits until `is` holds for `value`, or fails.
#define wait_until(condition)                                              \
    do {                                                                   \
        int64_t deadline_ms = clock_monotonic_ms() + DEADLINE_MS;          \
        while (!(condition)) {                                             \
            if (clock_monotonic_ms() > deadline_ms)                        \
                fail_msg("not within %d ms: %s", DEADLINE_MS, #condition); \
            poll(NULL, 0, 1);                                              \
        }                                                                  \
    } while (0)

static struct reactors_stats stats_now(void)
{
    struct reactors_stats stats;
    reactors_stats(server.group, &stats);
    return stats;
}

static bool is_parked(int32_t generation)
{
    pthread_mutex_lock(&server.lock);
    bool there = server.parked[generation] != NULL;
    pthread_mutex_unlock(&server.lock);
    return there;
}

static void wake(int32_t generation)
{
    wait_until(is_parked(generation));
    pthread_mutex_lock(&server.lock);
    struct parked *p = server.parked[generation];
    reactor_post(p->request->reactor, &p->wake);
    reactor_post(p->request->reactor, &p->wake); // twice: harmless
    pthread_mutex_unlock(&server.lock);
}

// ---- the client's side

static int dial(void)
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
static void add_request(struct buffer *out, int16_t key, int16_t version, int32_t correlation,
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

static void add_heartbeat(struct buffer *out, const char *what, int32_t generation)
{
    struct heartbeat_request message = heartbeat_request_default;
    message.group_id = str_from(what);
    message.generation_id = generation;
    message.member_id = STR("m");
    add_request(out, 12, 4, 1000 + generation, &message);
}

static void send_bytes(int fd, const void *data, size_t size)
{
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, (const char *)data + sent, size - sent, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
    }
}

static void send_buffer(int fd, struct buffer *b)
{
    send_bytes(fd, b->data, b->size);
    buffer_free(b);
    *b = BUFFER_INIT;
}

static void send_heartbeat(int fd, const char *what, int32_t generation)
{
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, what, generation);
    send_buffer(fd, &b);
}

static void receive_bytes(int fd, void *into, size_t size)
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
static uint8_t *receive_response(int fd, size_t *size, int32_t *correlation)
{
    uint8_t head[8];
    receive_bytes(fd, head, 8);
    *size = load_be32(head) - 4;
    *correlation = (int32_t)load_be32(head + 4);
    uint8_t *body = malloc(*size + 1);
    receive_bytes(fd, body, *size);
    return body;
}

static void expect_heartbeat(int fd, int32_t generation)
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

static void expect_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    if (n > 0 || (n < 0 && errno != ECONNRESET))
        fail_msg("expected the end of the connection, got %zd (%s)", n, n < 0 ? strerror(errno) : "");
    close(fd);
}

static bool has_answer(int fd, int wait_ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, wait_ms) == 1;
}

// ---- tests

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    start();
    int fd = dial();
    struct buffer b = BUFFER_INIT;
    for (int i = 0; i < 1000; i++)
        add_heartbeat(&b, i % 7 == 3 ? "none" : "echo", i);
    send_buffer(fd, &b);
    for (int i = 0; i < 1000; i++)
        if (i % 7 != 3)
            expect_heartbeat(fd, i);
    close(fd);
    stop();
}

static void requests_may_come_byte_by_byte(void **state)
{
    (void)state;
    start();
    int fd = dial();
    struct buffer b = BUFFER_INIT;
    for (int i = 0; i < 5; i++)
        add_heartbeat(&b, "echo", i);
    for (size_t i = 0; i < b.size; i++) {
        send_bytes(fd, b.data + i, 1);
        if (i % 16 == 0)
            poll(NULL, 0, 1);
    }
    for (int i = 0; i < 5; i++)
        expect_heartbeat(fd, i);
    buffer_free(&b);
    close(fd);
    stop();
}

// Requests of every size around the buffers' sizes, several at a time.
static void requests_of_all_sizes(void **state)
{
    (void)state;
    start();
    int fd = dial();
    static char name[32768];
    static const size_t sizes[] = {1, 200, 250, 400, 500, 512, 1000, 8000, 16200, 16300, 16384, 16400, 32700};
    int32_t generation = 0;
    srand(11);
    for (int round = 0; round < 40; round++) {
        struct buffer b = BUFFER_INIT;
        int32_t first = generation;
        for (int i = rand() % 9; i >= 0; i--) {
            size_t size = sizes[(size_t)rand() % (sizeof sizes / sizeof *sizes)];
            memset(name, 'n', size);
            name[size] = 0;
            add_heartbeat(&b, name, generation++);
        }
        size_t cut = (size_t)rand() % b.size;
        send_bytes(fd, b.data, cut);
        if (round % 2)
            poll(NULL, 0, 2);
        send_bytes(fd, b.data + cut, b.size - cut);
        buffer_free(&b);
        for (int32_t i = first; i < generation; i++)
            expect_heartbeat(fd, i);
    }
    close(fd);
    stop();
}

static void a_parked_request_is_overtaken_but_answered_first(void **state)
{
    (void)state;
    start();
    int fd = dial();
    send_heartbeat(fd, "overtake", 1);
    send_heartbeat(fd, "overtake", 2);
    send_heartbeat(fd, "echo", 3);
    wait_until(stats_now().requests == 3); // the later ones were handled
    wake(2);
    assert_false(has_answer(fd, 30)); // but wait for the first
    wake(1);
    for (int i = 1; i <= 3; i++)
        expect_heartbeat(fd, i);
    close(fd);
    stop();
}

static void a_stalled_request_holds_back_the_later_ones(void **state)
{
    (void)state;
    start();
    int fd = dial();
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, "stall", 1);
    add_heartbeat(&b, "overtake", 2);
    send_buffer(fd, &b);
    wait_until(is_parked(1));
    poll(NULL, 0, 20);
    assert_false(is_parked(2));
    wake(1);
    expect_heartbeat(fd, 1);
    wake(2);
    expect_heartbeat(fd, 2);
    close(fd);
    stop();
}

static void parked_requests_are_cancelled_when_the_client_leaves(void **state)
{
    (void)state;
    start();
    int fd = dial();
    for (int i = 1; i <= 3; i++)
        send_heartbeat(fd, "overtake", i);
    wait_until(is_parked(3));
    close(fd);
    wait_until(server.cancelled == 3);
    wait_until(stats_now().connections_open == 0);
    fd = dial();
    send_heartbeat(fd, "stall", 4);
    wait_until(is_parked(4));
    struct linger reset = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
    wait_until(server.cancelled == 4);
    stop();
}

static void parked_requests_are_cancelled_when_the_server_stops(void **state)
{
    (void)state;
    start();
    int fd = dial();
    send_heartbeat(fd, "overtake", 1);
    wait_until(is_parked(1));
    stop();
    assert_int_equal(server.cancelled, 1);
    expect_closed(fd);
}

static void *wake_soon(void *context)
{
    (void)context;
    poll(NULL, 0, 30);
    wake(1);
    return NULL;
}

static void a_graceful_stop_waits_for_answers(void **state)
{
    (void)state;
    start();
    int fd = dial(), idle_fd = dial();
    send_heartbeat(fd, "overtake", 1);
    wait_until(is_parked(1));
    pthread_t thread;
    pthread_create(&thread, NULL, wake_soon, NULL);
    int64_t began_ms = clock_monotonic_ms();
    reactors_stop(server.group, DEADLINE_MS);
    assert_true(clock_monotonic_ms() - began_ms < DEADLINE_MS / 2);
    pthread_join(thread, NULL);
    expect_heartbeat(fd, 1);
    expect_closed(fd);
    expect_closed(idle_fd);
    assert_int_equal(server.cancelled, 0);
    reactors_free(server.group);
}

static void requests_in_flight_are_bounded(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.requests_in_flight = 3;
    start_with(&limits, 1);
    int fd = dial();
    for (int i = 1; i <= 5; i++)
        send_heartbeat(fd, "overtake", i);
    wait_until(is_parked(3));
    poll(NULL, 0, 20);
    assert_false(is_parked(4));
    for (int i = 1; i <= 5; i++) {
        wake(i);
        expect_heartbeat(fd, i);
    }
    close(fd);
    stop();
}

static void bad_input_closes_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[24];
        size_t size;
    } cases[] = {
        {"a request of 2 GB", {0x7f, 0xff, 0xff, 0xff}, 4},
        {"a negative size", {0xff, 0xff, 0xff, 0xff}, 4},
        {"above socket.request.max.bytes", {0x06, 0x40, 0x00, 0x01}, 4},
        {"HTTP", "GET / HTTP/1.1\r\n\r\n", 18},
        {"an empty request", {0, 0, 0, 0}, 4},
        {"half a header", {0, 0, 0, 6, 0, 12, 0, 4, 0, 0}, 10},
        {"an unknown API", {0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff}, 14},
        {"an API that is not served", {0, 0, 0, 10, 0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff}, 14},
        {"an unknown version", {0, 0, 0, 10, 0, 12, 0, 9, 0, 0, 0, 1, 0xff, 0xff}, 14},
        {"a negative version", {0, 0, 0, 10, 0, 12, 0xff, 0xff, 0, 0, 0, 1, 0xff, 0xff}, 14},
        {"a body that ends early", {0, 0, 0, 12, 0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 9}, 16},
        {"bytes behind the body",
         {0, 0, 0, 20, 0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 7, 7},
         24},
    };
    start();
    int witness = dial();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        print_message("%s\n", cases[i].what);
        int fd = dial();
        send_bytes(fd, cases[i].bytes, cases[i].size);
        expect_closed(fd);
        send_heartbeat(witness, "echo", (int32_t)i);
        expect_heartbeat(witness, (int32_t)i);
    }
    // Half a request, then nothing: the connection stays until it is idle or the client leaves.
    int fd = dial();
    send_bytes(fd, "\0\0\0\144abc", 7);
    shutdown(fd, SHUT_WR);
    expect_closed(fd);
    fd = dial();
    send_heartbeat(fd, "close", 1);
    expect_closed(fd);
    close(witness);
    stop();
}

// What was asked before the nonsense is answered, in order, as far as it is decided.
static void answers_before_bad_input_leave(void **state)
{
    (void)state;
    start();
    int fd = dial();
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, "echo", 1);
    send_bytes(fd, b.data, b.size);
    expect_heartbeat(fd, 1);
    send_bytes(fd, "\377\377\377\377", 4);
    expect_closed(fd);
    buffer_free(&b);
    stop();
}

static void make_file(size_t size)
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

static void drop_file(void)
{
    close(server.file_fd);
    server.file_fd = -1;
}

static void send_fetch(int fd, int32_t correlation, int32_t beyond)
{
    struct fetch_request message = fetch_request_default;
    message.min_bytes = beyond;
    struct buffer b = BUFFER_INIT;
    add_request(&b, 1, 12, correlation, &message);
    send_buffer(fd, &b);
}

static void check_fetch(int fd, int32_t correlation)
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

static size_t resident_bytes(void)
{
    long total, resident;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_int_equal(fscanf(f, "%ld %ld", &total, &resident), 2);
    fclose(f);
    return (size_t)resident * 4096;
}

static void files_are_sent_to_slow_readers_without_memory(void **state)
{
    (void)state;
    start();
    make_file((size_t)24 << 20);
    size_t before = resident_bytes();
    int slow[20];
    for (int i = 0; i < 20; i++) {
        slow[i] = dial();
        send_fetch(slow[i], i, 0);
        send_fetch(slow[i], 100 + i, 0);
    }
    wait_until(stats_now().requests == 40);
    // They hold nobody up, and cost next to nothing while they do not read: 40 * 48 MB are under way.
    int fd = dial();
    send_heartbeat(fd, "echo", 5);
    expect_heartbeat(fd, 5);
    close(fd);
    size_t grown = resident_bytes() - before;
    if (grown > (size_t)16 << 20)
        fail_msg("%zu bytes for 20 slow readers", grown);
    assert_true(server.released < 80);
    for (int i = 0; i < 3; i++) {
        check_fetch(slow[i], i);
        check_fetch(slow[i], 100 + i);
    }
    assert_true(stats_now().bytes_sent_file >= 6u * 2 * server.file_bytes);
    for (int i = 0; i < 20; i++)
        close(slow[i]);
    wait_until(server.released == 80); // sent or not, each exactly once
    stop();
    assert_int_equal(server.released, 80);
    drop_file();
}

static void a_file_that_is_too_short_closes_the_connection(void **state)
{
    (void)state;
    start();
    make_file(100000);
    int fd = dial();
    send_fetch(fd, 1, 1);
    char block[4096];
    size_t total = 0;
    for (ssize_t n; (n = recv(fd, block, sizeof block, 0)) > 0;)
        total += (size_t)n;
    assert_true(total >= 100000 && total < 101000);
    close(fd);
    wait_until(server.released == 2);
    stop();
    drop_file();
}

// A client that sends and never reads: its requests stop being read, and memory stays bounded.
static void a_client_that_never_reads_is_not_read_either(void **state)
{
    (void)state;
    start();
    int fd = dial();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct buffer b = BUFFER_INIT;
    for (int i = 0; i < 1000; i++)
        add_heartbeat(&b, "echo", i);
    size_t before = resident_bytes(), sent = 0;
    // Until nothing is taken for a while.
    for (int quiet = 0; quiet < 100;) {
        ssize_t n = send(fd, b.data, b.size, MSG_NOSIGNAL);
        quiet = n > 0 ? 0 : quiet + 1;
        sent += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            poll(NULL, 0, 1);
        assert_true(sent < (size_t)1 << 30);
    }
    size_t grown = resident_bytes() - before;
    if (grown > (size_t)8 << 20)
        fail_msg("%zu bytes for one client that does not read", grown);
    int other = dial();
    send_heartbeat(other, "echo", 1);
    expect_heartbeat(other, 1);
    close(other);
    close(fd);
    buffer_free(&b);
    stop();
}

static void connections_per_address_are_limited(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.max_connections_per_ip = 0;
    struct ip_override override = {"127.0.0.1", 2};
    limits.overrides = &override;
    limits.override_count = 1;
    start_with(&limits, 2);
    int a = dial(), b = dial();
    send_heartbeat(a, "echo", 1);
    send_heartbeat(b, "echo", 2);
    expect_heartbeat(a, 1);
    expect_heartbeat(b, 2);
    expect_closed(dial());
    close(a);
    wait_until(stats_now().connections_open == 1);
    a = dial();
    send_heartbeat(a, "echo", 3);
    expect_heartbeat(a, 3);
    close(a);
    close(b);
    stop();
}

static void above_max_connections_accepting_waits(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.max_connections = 2;
    start_with(&limits, 2);
    int a = dial(), b = dial();
    send_heartbeat(a, "echo", 1);
    send_heartbeat(b, "echo", 2);
    expect_heartbeat(a, 1);
    expect_heartbeat(b, 2);
    int c = dial();
    send_heartbeat(c, "echo", 3);
    assert_false(has_answer(c, 30));
    close(a);
    expect_heartbeat(c, 3);
    close(b);
    close(c);
    stop();
}

static void idle_connections_are_closed_but_waiting_ones_stay(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.connections_max_idle_ms = 60;
    start_with(&limits, 1);
    int idle = dial(), waiting = dial();
    send_heartbeat(waiting, "overtake", 1);
    wait_until(is_parked(1));
    expect_closed(idle);
    poll(NULL, 0, 100);
    wake(1);
    expect_heartbeat(waiting, 1);
    expect_closed(waiting);
    stop();
}

static void request_memory_in_all_is_limited(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.queued_max_request_bytes = 10000;
    start_with(&limits, 2);
    // One takes it all with a request of which the end is missing; the others wait for it.
    static char name[20000];
    memset(name, 'x', sizeof name - 1);
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, name, 1);
    int big = dial(), small[4];
    send_bytes(big, b.data, b.size - 1);
    wait_until(stats_now().bytes_received >= b.size - 1);
    for (int i = 0; i < 4; i++) {
        small[i] = dial();
        send_heartbeat(small[i], "echo", i);
    }
    for (int i = 0; i < 4; i++)
        assert_false(has_answer(small[i], 10));
    send_bytes(big, b.data + b.size - 1, 1);
    expect_heartbeat(big, 1);
    for (int i = 0; i < 4; i++) {
        expect_heartbeat(small[i], i);
        close(small[i]);
    }
    close(big);
    buffer_free(&b);
    stop();
}

static void accepting_survives_the_lack_of_descriptors(void **state)
{
    (void)state;
    start();
    int fd = dial();
    send_heartbeat(fd, "echo", 1);
    expect_heartbeat(fd, 1);
    // The client's own socket comes first; then no descriptor is left for the server's end.
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct rlimit before, tight;
    getrlimit(RLIMIT_NOFILE, &before);
    tight = before;
    int lowest = dup(0);
    close(lowest);
    tight.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(server.listener->port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof to), 0);
    wait_until(stats_now().connections_refused == 1);
    setrlimit(RLIMIT_NOFILE, &before);
    expect_closed(client);
    send_heartbeat(fd, "echo", 2);
    expect_heartbeat(fd, 2);
    close(fd);
    fd = dial();
    send_heartbeat(fd, "echo", 3);
    expect_heartbeat(fd, 3);
    close(fd);
    stop();
}

static void expect_api_versions(int fd, int16_t version, int16_t body_version, int16_t error, int apis,
                                int supported, struct str software)
{
    struct api_versions_request message = api_versions_request_default;
    message.client_software_name = software;
    message.client_software_version = STR("1.0");
    struct buffer b = BUFFER_INIT;
    add_request(&b, 18, version > 4 ? 4 : version, 7, &message);
    store_be16(b.data + 6, (uint16_t)version);
    send_buffer(fd, &b);
    size_t size;
    int32_t correlation;
    uint8_t *body = receive_response(fd, &size, &correlation);
    assert_int_equal(correlation, 7);
    struct arena arena;
    arena_init(&arena, 0);
    struct api_versions_response response;
    assert_int_equal(message_decode(&api_versions_response_type, body_version, (struct bytes){body, size},
                                    &arena, &response, NULL),
                     0);
    assert_int_equal(response.error_code, error);
    assert_int_equal(response.api_keys_count, apis);
    assert_int_equal(response.supported_features_count, supported);
    if (supported)
        assert_int_equal(response.finalized_features_count, 2);
    if (apis == 3) {
        assert_int_equal(response.api_keys[0].api_key, 1); // Fetch, advertised from 0
        assert_int_equal(response.api_keys[0].min_version, 0);
        assert_int_equal(response.api_keys[0].max_version, 12);
    }
    arena_free(&arena);
    free(body);
}

static void api_versions_in_every_version(void **state)
{
    (void)state;
    start();
    int fd = dial();
    for (int16_t version = 0; version <= 4; version++)
        expect_api_versions(fd, version, version, E_NONE, 3,
                            version < 3    ? 0
                            : version == 3 ? 1
                                           : 2,
                            STR("good-name.x"));
    expect_api_versions(fd, 99, 0, E_UNSUPPORTED_VERSION, 1, 0, STR("good"));
    expect_api_versions(fd, 3, 3, E_INVALID_REQUEST, 0, 0, STR("-bad"));
    expect_api_versions(fd, 4, 4, E_INVALID_REQUEST, 0, 0, STR(""));
    close(fd);
    stop();
}

// Many clients, all kinds of requests, wake-ups from another thread, clients that leave: for the sanitizers.
struct busy {
    pthread_t thread;
    unsigned seed;
};

static void *be_busy(void *context)
{
    struct busy *busy = context;
    for (int round = 0; round < 30; round++) {
        int fd = dial();
        struct buffer b = BUFFER_INIT;
        int count = (int)(rand_r(&busy->seed) % 40) + 1;
        for (int i = 0; i < count; i++)
            add_heartbeat(&b, "echo", i);
        send_buffer(fd, &b);
        for (int i = 0; i < count; i++)
            expect_heartbeat(fd, i);
        if (rand_r(&busy->seed) % 2)
            send_fetch(fd, 1, 0);
        close(fd);
    }
    return NULL;
}

static void many_clients_at_once(void **state)
{
    (void)state;
    start();
    make_file(300000);
    struct busy busy[6];
    for (unsigned i = 0; i < 6; i++) {
        busy[i].seed = i;
        pthread_create(&busy[i].thread, NULL, be_busy, &busy[i]);
    }
    int fd = dial();
    for (int round = 0; round < 100; round++) {
        send_heartbeat(fd, "overtake", 1);
        wake(1);
        expect_heartbeat(fd, 1);
    }
    close(fd);
    for (unsigned i = 0; i < 6; i++)
        pthread_join(busy[i].thread, NULL);
    wait_until(stats_now().connections_open == 0);
    stop();
    drop_file();
}

int main(void)
{
    logger_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(requests_may_come_byte_by_byte),
        cmocka_unit_test(requests_of_all_sizes),
        cmocka_unit_test(a_parked_request_is_overtaken_but_answered_first),
        cmocka_unit_test(a_stalled_request_holds_back_the_later_ones),
        cmocka_unit_test(parked_requests_are_cancelled_when_the_client_leaves),
        cmocka_unit_test(parked_requests_are_cancelled_when_the_server_stops),
        cmocka_unit_test(a_graceful_stop_waits_for_answers),
        cmocka_unit_test(requests_in_flight_are_bounded),
        cmocka_unit_test(bad_input_closes_the_connection),
        cmocka_unit_test(answers_before_bad_input_leave),
        cmocka_unit_test(files_are_sent_to_slow_readers_without_memory),
        cmocka_unit_test(a_file_that_is_too_short_closes_the_connection),
        cmocka_unit_test(a_client_that_never_reads_is_not_read_either),
        cmocka_unit_test(connections_per_address_are_limited),
        cmocka_unit_test(above_max_connections_accepting_waits),
        cmocka_unit_test(idle_connections_are_closed_but_waiting_ones_stay),
        cmocka_unit_test(request_memory_in_all_is_limited),
        cmocka_unit_test(accepting_survives_the_lack_of_descriptors),
        cmocka_unit_test(api_versions_in_every_version),
        cmocka_unit_test(many_clients_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
