// Requests and responses: framing, order, parking, files, bad input, ApiVersions, stopping.
#include "reactor_server.h"

#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>

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
    unsigned seed = 11;
    for (int round = 0; round < 40; round++) {
        struct buffer b = BUFFER_INIT;
        int32_t first = generation;
        for (int i = rand_r(&seed) % 9; i >= 0; i--) {
            size_t size = sizes[(size_t)rand_r(&seed) % (sizeof sizes / sizeof *sizes)];
            memset(name, 'n', size);
            name[size] = 0;
            add_heartbeat(&b, name, generation++);
        }
        size_t cut = (size_t)rand_r(&seed) % b.size;
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

static void a_graceful_stop_does_not_wait_for_polls(void **state)
{
    (void)state;
    start();
    int fd = dial();
    send_heartbeat(fd, "echo", 1);
    send_heartbeat(fd, "poll", 2);
    wait_until(is_parked(2));
    int64_t began_ms = clock_monotonic_ms();
    reactors_stop(server.group, DEADLINE_MS);
    assert_true(clock_monotonic_ms() - began_ms < DEADLINE_MS / 2);
    expect_heartbeat(fd, 1);
    expect_closed(fd);
    assert_int_equal(server.cancelled, 1);
    reactors_free(server.group);
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

// As Apache Kafka 4.3.1 does.
static void bytes_behind_a_request_are_ignored(void **state)
{
    (void)state;
    start();
    int fd = dial();
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, "echo", 1);
    buffer_append(&b, "more", 4);
    store_be32(b.data, (uint32_t)b.size - 4);
    add_heartbeat(&b, "echo", 2);
    send_buffer(fd, &b);
    expect_heartbeat(fd, 1);
    expect_heartbeat(fd, 2);
    close(fd);
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

static void short_ranges_leave_together(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 30000, 40000, 65536, 65537};
    start();
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        make_file(sizes[i]);
        int fd = dial(), released = server.released;
        for (int n = 0; n < 60; n++) // more than the socket takes before it is read
            send_fetch(fd, n, 0);
        for (int n = 0; n < 60; n++)
            check_fetch(fd, n);
        wait_until(server.released == released + 120);
        close(fd);
        drop_file();
    }
    stop();
}

// More than a length of four bytes can say: nobody is left holding a file.
static void a_response_that_is_too_large_closes_the_connection(void **state)
{
    (void)state;
    start();
    make_file(1000);
    int fd = dial();
    send_fetch(fd, 1, INT32_MAX - 1000);
    expect_closed(fd);
    wait_until(server.released == 2);
    close(fd);
    stop();
    assert_int_equal(server.released, 2);
    drop_file();
}

static void a_file_that_is_too_short_closes_the_connection(void **state)
{
    (void)state;
    start();
    static const size_t sizes[] = {100000, 1000};
    for (int i = 0; i < 2; i++) {
        make_file(sizes[i]);
        int fd = dial();
        send_fetch(fd, 1, 1);
        char block[4096];
        size_t total = 0;
        for (ssize_t n; (n = recv(fd, block, sizeof block, 0)) > 0;)
            total += (size_t)n;
        assert_true(total >= sizes[i] && total < sizes[i] + 1000);
        close(fd);
        wait_until(server.released == 2 * (i + 1));
        drop_file();
    }
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

// Drops the file from the page cache. False where the file system keeps it.
static bool make_cold(void)
{
    fsync(server.file_fd);
    posix_fadvise(server.file_fd, 0, 0, POSIX_FADV_DONTNEED);
    return !readahead_is_cached(server.file_fd, 0, server.file_bytes);
}

static void what_is_not_in_memory_is_read_ahead_and_sent(void **state)
{
    (void)state;
    start();
    make_file((size_t)5 << 20);
    server.file_may_be_cold = true;
    int fd = dial();
    bool cold = make_cold();
    send_fetch(fd, 1, 0);
    send_fetch(fd, 2, 0);
    check_fetch(fd, 1);
    check_fetch(fd, 2);
    if (cold)
        assert_true(stats_now().cold_reads > 0);
    else
        print_message("this file system cannot be asked what is in memory\n");
    close(fd);
    // Clients that leave while their bytes are read.
    for (int round = 0; round < 30; round++) {
        make_cold();
        fd = dial();
        send_fetch(fd, 3, 0);
        wait_until(stats_now().requests == 3u + (unsigned)round);
        struct linger reset = {round % 2, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(fd);
    }
    wait_until(server.released == 2 * 32);
    make_cold();
    fd = dial();
    send_fetch(fd, 4, 0);
    wait_until(stats_now().requests == 33);
    stop();
    assert_int_equal(server.released, 2 * 33);
    close(fd);
    server.file_may_be_cold = false;
    drop_file();
}

// ---- a device that fails

// The file that lies on it, how many bytes of it are in memory, and how often the rest was asked for.
static struct {
    atomic_int fd, asked;
    int64_t in_memory;
} device = {.fd = -1};

static bool device_fails(int fd, int64_t position)
{
    if (fd != atomic_load(&device.fd) || position < device.in_memory)
        return false;
    atomic_fetch_add(&device.asked, 1);
    errno = EIO;
    return true;
}

// In front of the C library's: what is not in memory takes a wait, and then fails.
ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t at, int flags)
{
    if (fd == atomic_load(&device.fd) && at >= device.in_memory) {
        errno = flags & RWF_NOWAIT ? EAGAIN : EIO;
        return -1;
    }
    return syscall(SYS_preadv2, fd, parts, (long)count, (long)at, 0L, flags);
}

ssize_t sendfile(int to, int from, off_t *at, size_t size)
{
    if (device_fails(from, *at))
        return -1;
    if (from == atomic_load(&device.fd) && *at + (int64_t)size > device.in_memory)
        size = (size_t)(device.in_memory - *at);
    return syscall(SYS_sendfile, to, from, at, size);
}

static size_t receive_until_closed(int fd)
{
    static char block[1 << 16];
    size_t total = 0;
    for (ssize_t n; (n = recv(fd, block, sizeof block, 0)) > 0;)
        total += (size_t)n;
    return total;
}

// Its owner is told, once, whoever was promised its bytes is cut off, and nobody else notices. Both what goes
// out straight away and what is read ahead first.
static void a_file_that_cannot_be_read_is_reported(void **state)
{
    (void)state;
    for (int cold = 0; cold < 2; cold++) {
        for (int64_t in_memory = 0; in_memory <= 3 << 20; in_memory += 3 << 20) {
            start();
            make_file((size_t)5 << 20);
            server.file_may_be_cold = cold;
            device.in_memory = in_memory;
            device.asked = 0;
            atomic_store(&device.fd, server.file_fd);
            uint64_t before = stats_now().cold_reads;
            int fd = dial(), other = dial();
            send_fetch(fd, 1, 0);
            assert_int_equal(receive_until_closed(fd) / (1 << 20), in_memory >> 20);
            wait_until(server.released == 2);
            assert_int_equal(server.failed, 1);
            assert_int_equal(device.asked, 1);
            assert_int_equal(stats_now().cold_reads - before, cold);
            send_heartbeat(other, "echo", 2);
            expect_heartbeat(other, 2);
            atomic_store(&device.fd, -1);
            close(fd);
            close(other);
            stop();
            server.file_may_be_cold = false;
            drop_file();
        }
    }
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
        cmocka_unit_test(a_graceful_stop_does_not_wait_for_polls),
        cmocka_unit_test(bad_input_closes_the_connection),
        cmocka_unit_test(bytes_behind_a_request_are_ignored),
        cmocka_unit_test(answers_before_bad_input_leave),
        cmocka_unit_test(short_ranges_leave_together),
        cmocka_unit_test(a_response_that_is_too_large_closes_the_connection),
        cmocka_unit_test(a_file_that_is_too_short_closes_the_connection),
        cmocka_unit_test(api_versions_in_every_version),
        cmocka_unit_test(many_clients_at_once),
        cmocka_unit_test(what_is_not_in_memory_is_read_ahead_and_sent),
        cmocka_unit_test(a_file_that_cannot_be_read_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
