// What the network layer refuses, delays or closes, and what it costs.
#include "reactor_server.h"

#include "config/broker_config.h"

#include <netinet/tcp.h>

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

static void limits_of_connections_change_while_they_are_open(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.max_connections = 1;
    start_with(&limits, 2);
    int a = dial(), b = dial();
    send_heartbeat(a, "echo", 1);
    send_heartbeat(b, "echo", 2);
    expect_heartbeat(a, 1);
    assert_false(has_answer(b, 30));
    limits.max_connections = 3; // whoever waits goes on
    assert_int_equal(reactors_limit_connections(server.group, &limits), 0);
    expect_heartbeat(b, 2);
    limits.max_connections_per_ip = 2; // what was open before counts
    assert_int_equal(reactors_limit_connections(server.group, &limits), 0);
    expect_closed(dial());
    struct ip_override override = {"127.0.0.1", 3};
    limits.overrides = &override;
    limits.override_count = 1;
    assert_int_equal(reactors_limit_connections(server.group, &limits), 0);
    int c = dial();
    send_heartbeat(c, "echo", 3);
    expect_heartbeat(c, 3);
    close(c);
    wait_until(stats_now().connections_open == 2);
    limits.override_count = 0;
    assert_int_equal(reactors_limit_connections(server.group, &limits), 0);
    expect_closed(dial());
    send_heartbeat(a, "echo", 4);
    expect_heartbeat(a, 4);
    close(a);
    close(b);
    stop();
}

static void idle_connections_are_closed_but_waiting_ones_stay(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.connections_max_idle_ms = 2000; // longer than this test may be held up before it sends
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

// The listener between brokers is let in above max.connections: the longest idle connection of another one
// goes.
static void the_protected_listener_gets_its_place(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    limits.max_connections = 2;
    create_with(&limits, 1);
    const struct listener *clients = server.listener, *brokers;
    struct listener_spec spec = {
        .name = "BROKER", .host = "127.0.0.1", .kind = LISTENER_BROKER, .is_protected = true};
    char reason[200] = "";
    assert_int_equal(reactors_listen(server.group, &spec, &brokers, reason, sizeof reason), 0);
    assert_int_equal(reactors_serve(server.group), 0);
    int a = dial(), b = dial();
    send_heartbeat(a, "echo", 1);
    expect_heartbeat(a, 1);
    send_heartbeat(b, "echo", 2);
    expect_heartbeat(b, 2);
    server.listener = brokers;
    int between = dial();
    send_heartbeat(between, "echo", 3);
    expect_heartbeat(between, 3);
    expect_closed(a);
    send_heartbeat(b, "echo", 4);
    expect_heartbeat(b, 4);
    server.listener = clients;
    close(b);
    close(between);
    stop();
}

// Of this process's sockets the one at this end: our side of a connection, or a listener.
static int find_socket(uint16_t port, bool listening, uint16_t peer_port)
{
    for (int fd = 3; fd < 1024; fd++) {
        struct sockaddr_in own, peer;
        socklen_t own_size = sizeof own, peer_size = sizeof peer, size = sizeof(int);
        int listens = 0;
        if (getsockname(fd, (struct sockaddr *)&own, &own_size) || own.sin_family != AF_INET ||
            ntohs(own.sin_port) != port || getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) ||
            listening != (listens != 0))
            continue;
        if (listening)
            return fd;
        if (!getpeername(fd, (struct sockaddr *)&peer, &peer_size) && ntohs(peer.sin_port) == peer_port)
            return fd;
    }
    return -1;
}

static int option_of(int fd, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &value, &size), 0);
    return value;
}

// From the text of server.properties to the sockets. The kernel doubles a buffer's size, and keeps a
// listener's backlog where TCP_INFO has it.
static void settings_of_sockets_reach_them(void **state)
{
    (void)state;
    struct broker_config config;
    struct server_limits limits;
    struct sockaddr_in own;
    struct tcp_info info;
    socklen_t own_size = sizeof own, info_size = sizeof info;
    struct str message;
    const char *wrong;
    assert_int_equal(broker_config_from(&config,
                                        STR("socket.send.buffer.bytes=40960\n"
                                            "socket.receive.buffer.bytes=20480\n"
                                            "socket.listen.backlog.size=37\n"),
                                        true, NULL, 0, &message),
                     0);
    assert_int_equal(server_limits_of(&config, &limits, &wrong), 0);
    start_with(&limits, 1);
    int client = dial();
    send_heartbeat(client, "echo", 1); // then it is accepted
    expect_heartbeat(client, 1);
    assert_int_equal(getsockname(client, (struct sockaddr *)&own, &own_size), 0);
    int listener = find_socket(server.listener->port, true, 0);
    int served = find_socket(server.listener->port, false, ntohs(own.sin_port));
    assert_true(listener >= 0 && served >= 0);
    assert_int_equal(option_of(served, SO_SNDBUF), 2 * 40960);
    assert_int_equal(option_of(served, SO_RCVBUF), 2 * 20480);
    assert_int_equal(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &info_size), 0);
    assert_int_equal(info.tcpi_sacked, 37);
    close(client);
    stop();
    server_limits_free(&limits);
    broker_config_free(&config);
}

static void a_port_that_is_taken_says_so(void **state)
{
    (void)state;
    start();
    struct reactors *other;
    struct reactors_config config = {.count = 1, .apis = &server.apis};
    server_limits_default(&config.limits);
    assert_int_equal(reactors_create(&other, &config), 0);
    const struct listener *listener;
    char reason[200] = "";
    struct listener_spec spec = {
        .name = "PLAINTEXT", .host = "127.0.0.1", .port = server.listener->port, .kind = LISTENER_BROKER};
    assert_true(reactors_listen(other, &spec, &listener, reason, sizeof reason) < 0);
    assert_non_null(strstr(reason, "Address already in use"));
    spec.host = "no such host.invalid";
    assert_true(reactors_listen(other, &spec, &listener, reason, sizeof reason) < 0);
    assert_non_null(strstr(reason, "no such host.invalid"));
    reactors_free(other);
    stop();
}

int main(void)
{
    logger_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_in_flight_are_bounded),
        cmocka_unit_test(files_are_sent_to_slow_readers_without_memory),
        cmocka_unit_test(a_client_that_never_reads_is_not_read_either),
        cmocka_unit_test(connections_per_address_are_limited),
        cmocka_unit_test(above_max_connections_accepting_waits),
        cmocka_unit_test(limits_of_connections_change_while_they_are_open),
        cmocka_unit_test(idle_connections_are_closed_but_waiting_ones_stay),
        cmocka_unit_test(request_memory_in_all_is_limited),
        cmocka_unit_test(the_protected_listener_gets_its_place),
        cmocka_unit_test(settings_of_sockets_reach_them),
        cmocka_unit_test(a_port_that_is_taken_says_so),
        cmocka_unit_test(accepting_survives_the_lack_of_descriptors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
