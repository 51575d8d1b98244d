// Reactors that become more and fewer, and listeners that come and go, while connections are served.
#include "reactor_server.h"

static const struct listener *listen_as(const char *name, uint16_t port)
{
    const struct listener *listener = NULL;
    char reason[200] = "";
    struct listener_spec spec = {.name = name, .host = "127.0.0.1", .port = port, .kind = LISTENER_BROKER};
    if (reactors_listen(server.group, &spec, &listener, reason, sizeof reason) != 0)
        fail_msg("%s", reason);
    return listener;
}

static void echo(int fd, int32_t generation)
{
    send_heartbeat(fd, "echo", generation);
    expect_heartbeat(fd, generation);
}

static void a_listener_comes_and_goes(void **state)
{
    (void)state;
    start();
    const struct listener *first = server.listener;
    int stays = dial();
    echo(stays, 1);
    server.listener = listen_as("EXTRA", 0);
    uint16_t port = server.listener->port;
    int idle = dial(), busy = dial();
    echo(idle, 2);
    send_heartbeat(busy, "overtake", 3);
    wait_until(is_parked(3));
    assert_int_equal(reactors_unlisten(server.group, "EXTRA"), 0);
    assert_int_equal(reactors_unlisten(server.group, "EXTRA"), ERR_NOT_FOUND);
    expect_closed(idle);
    // Its port is free at once, though a request that it took is still to be answered.
    server.listener = listen_as("OTHER", port);
    int other = dial();
    echo(other, 4);
    send_heartbeat(busy, "echo", 5); // it takes no other
    wake(3);
    expect_heartbeat(busy, 3);
    expect_closed(busy);
    echo(other, 6);
    echo(stays, 7);
    close(other);
    close(stays);
    server.listener = first;
    stop();
}

// As often as one likes: a slot serves again when its last connection has gone.
static void listeners_leave_their_slots(void **state)
{
    (void)state;
    start();
    const struct listener *first = server.listener, *open[LISTENERS_MAX];
    for (int i = 0; i < 3 * LISTENERS_MAX; i++) {
        server.listener = listen_as("EXTRA", 0);
        int fd = dial();
        echo(fd, i);
        assert_int_equal(reactors_listeners(server.group, open), 2);
        assert_int_equal(reactors_unlisten(server.group, "EXTRA"), 0);
        expect_closed(fd);
        wait_until(stats_now().connections_open == 0);
    }
    server.listener = first;
    stop();
}

#define CLIENTS 11 // and one that is parked: three for each of four reactors

static int closed_of(const int *fds, bool *gone)
{
    int count = 0;
    for (int i = 0; i < CLIENTS; i++) {
        char byte;
        gone[i] = recv(fds[i], &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
        count += gone[i];
    }
    return count;
}

static void reactors_become_more_and_fewer(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    start_with(&limits, 1);
    assert_int_equal(reactors_resize(server.group, 4), 0);
    assert_int_equal(reactors_count(server.group), 4);
    int fds[CLIENTS], parked = -1;
    bool gone[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial();
        echo(fds[i], i);
        if (i == 0)
            parked = dial(); // on the second reactor
    }
    send_heartbeat(parked, "overtake", 3);
    wait_until(is_parked(3));
    // Of four one is left: its three connections stay, and who is still to be answered.
    assert_int_equal(reactors_resize(server.group, 1), 0);
    wait_until(closed_of(fds, gone) == CLIENTS - 3);
    wait_until(stats_now().connections_open == 4);
    wake(3);
    expect_heartbeat(parked, 3);
    close(parked);
    assert_int_equal(reactors_count(server.group), 4); // they sleep
    for (int i = 0; i < CLIENTS; i++) {
        if (!gone[i])
            echo(fds[i], i);
        close(fds[i]);
    }
    wait_until(stats_now().connections_open == 0);
    // They serve again.
    assert_int_equal(reactors_resize(server.group, 3), 0);
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = dial();
        echo(fds[i], i);
    }
    assert_int_equal(closed_of(fds, gone), 0);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    stop();
}

// Who was to leave, and is still there, stays when his reactor serves again.
static void a_reactor_that_serves_again_keeps_who_is_left(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    start_with(&limits, 2);
    int fds[2] = {dial(), dial()}; // one each
    for (int i = 0; i < 2; i++) {
        send_heartbeat(fds[i], "overtake", i);
        wait_until(is_parked(i));
    }
    assert_int_equal(reactors_resize(server.group, 1), 0);
    for (int i = 0; i < 2; i++)
        send_heartbeat(fds[i], "echo", 10 + i);
    assert_int_equal(reactors_resize(server.group, 2), 0);
    for (int i = 0; i < 2; i++) {
        wake(i);
        expect_heartbeat(fds[i], i);
        expect_heartbeat(fds[i], 10 + i);
        echo(fds[i], 12);
        close(fds[i]);
    }
    stop();
}

static void a_listener_has_a_limit_of_its_own(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    start_with(&limits, 2);
    const struct listener *first = server.listener;
    server.listener = listen_as("EXTRA", 0);
    struct listener_limit own = {STR("extra"), 1, NO_LISTENER_LIMIT};
    limits.listener_limits = &own;
    limits.listener_limit_count = 1;
    assert_int_equal(reactors_limit_connections(server.group, &limits), 0);
    int a = dial(), b = dial();
    echo(a, 1);
    send_heartbeat(b, "echo", 2);
    assert_false(has_answer(b, 30));
    server.listener = first; // the others have none
    int c = dial(), d = dial();
    echo(c, 3);
    echo(d, 4);
    close(c);
    assert_false(has_answer(b, 30)); // another listener's place is none for it
    close(a);
    expect_heartbeat(b, 2);
    close(b);
    close(d);
    stop();
}

// As Kafka: of more than there may be, those go that have been idle longest.
static void a_lower_limit_closes_the_longest_idle(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    start_with(&limits, 1);
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = dial();
        echo(fds[i], i);
        poll(NULL, 0, 2);
    }
    echo(fds[0], 5);
    limits.max_connections = 2;
    assert_int_equal(reactors_limit_connections(server.group, &limits), 0);
    expect_closed(fds[1]);
    expect_closed(fds[2]);
    echo(fds[0], 6);
    echo(fds[3], 7);
    close(fds[0]);
    close(fds[3]);
    stop();
}

int main(void)
{
    logger_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_comes_and_goes),
        cmocka_unit_test(listeners_leave_their_slots),
        cmocka_unit_test(reactors_become_more_and_fewer),
        cmocka_unit_test(a_reactor_that_serves_again_keeps_who_is_left),
        cmocka_unit_test(a_listener_has_a_limit_of_its_own),
        cmocka_unit_test(a_lower_limit_closes_the_longest_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
