// Connections that move from one reactor to another while they are served.
#include "reactor_server.h"

#include "server/placement.h"

static void who_joins_and_who_parts(void **state)
{
    (void)state;
    const struct load none = {0, 10}, half = {PLACEMENT_JOINED / 2, 10}, most = {PLACEMENT_JOINED, 10};
    const struct load busy = {PLACEMENT_BUSY, 10}, little = {1, 10};
    assert_true(placement_joins(PLACEMENT_WAKES, none, none));
    assert_true(placement_joins(PLACEMENT_WAKES, half, half));
    assert_false(placement_joins(PLACEMENT_WAKES - 1, none, none));
    assert_false(placement_joins(PLACEMENT_WAKES, most, little));
    assert_true(placement_joins(PLACEMENT_WAKES, none, (struct load){0, 10 + PLACEMENT_CROWD - 1}));
    assert_false(placement_joins(PLACEMENT_WAKES, none, (struct load){0, 10 + PLACEMENT_CROWD}));

    assert_true(placement_parts(PLACEMENT_BUSY, 0, 50, 100));
    assert_true(placement_parts(1000, PLACEMENT_RELIEVED - 500, 50, 100));
    assert_false(placement_parts(1000, PLACEMENT_RELIEVED - 499, 50, 100)); // the other one would be busy
    assert_true(placement_parts(1000, 600, 2, 100));                        // one of many: others may follow
    assert_false(placement_parts(PLACEMENT_BUSY - 1, 0, 50, 100));          // it has time for all
    assert_false(placement_parts(1000, 1000, 50, 100));                     // nobody has
    assert_false(placement_parts(1000, 0, 100, 100)); // all of the work: nothing is gained
    assert_false(placement_parts(1000, 0, 1, 1000));  // none of it
    assert_false(placement_parts(1000, 0, 5, PLACEMENT_TURNS - 1));
    // Who parts is not joined again at once.
    assert_false(placement_joins(PLACEMENT_WAKES, busy, none));
}

// One waits for what the other brings.
struct couple {
    pthread_t thread;
    int waits, brings;
    int32_t generation;
    atomic_int rounds;
    atomic_bool stop;
};

static bool receive_some(int fd)
{
    uint8_t answer[64];
    uint8_t head[4];
    if (recv(fd, head, 4, MSG_WAITALL) != 4)
        return false;
    uint32_t size = load_be32(head);
    assert_true(size <= sizeof answer);
    return recv(fd, answer, size, MSG_WAITALL) == (ssize_t)size;
}

static bool send_some(int fd, const char *what, int32_t generation)
{
    struct buffer b = BUFFER_INIT;
    add_heartbeat(&b, what, generation);
    bool sent = send(fd, b.data, b.size, MSG_NOSIGNAL) == (ssize_t)b.size;
    buffer_free(&b);
    return sent;
}

static bool bring(struct couple *c)
{
    if (!send_some(c->waits, "poll", c->generation))
        return false;
    while (!is_parked(c->generation)) {
        if (atomic_load(&c->stop))
            return false;
        sched_yield();
    }
    if (!send_some(c->brings, "wake", c->generation) || !receive_some(c->brings) || !receive_some(c->waits))
        return false;
    atomic_fetch_add(&c->rounds, 1);
    return true;
}

static void a_connection_joins_who_wakes_it(void **state)
{
    (void)state;
    start();
    struct couple c = {.waits = dial(), .brings = dial()}; // on one reactor each
    for (int i = 0; i < PLACEMENT_WAKES - 1; i++)
        assert_true(bring(&c));
    assert_int_equal(stats_now().connections_moved, 0);
    int64_t until_ms = clock_monotonic_ms() + DEADLINE_MS; // on a machine that is busy with others, later
    while (stats_now().connections_moved == 0 && clock_monotonic_ms() < until_ms)
        assert_true(bring(&c));
    assert_int_equal(stats_now().connections_moved, 1);
    // Now they are together, and everything is as before.
    send_heartbeat(c.waits, "poll", 1);
    send_heartbeat(c.brings, "poll", 2);
    wait_until(is_parked(1) && is_parked(2));
    pthread_mutex_lock(&server.lock);
    assert_ptr_equal(server.parked[1]->request->reactor, server.parked[2]->request->reactor);
    pthread_mutex_unlock(&server.lock);
    wake(1);
    wake(2);
    expect_heartbeat(c.waits, 1);
    expect_heartbeat(c.brings, 2);
    for (int i = 0; i < 3 * PLACEMENT_WAKES; i++)
        assert_true(bring(&c));
    assert_int_equal(stats_now().connections_open, 2);
    close(c.waits);
    wait_until(stats_now().connections_open == 1);
    close(c.brings);
    wait_until(stats_now().connections_open == 0);
    stop();
}

static void bring_crowd(int brings, const int *waits, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        send_heartbeat(waits[i], "poll", i);
    for (int32_t i = 0; i < count; i++)
        wait_until(is_parked(i));
    for (int32_t i = 0; i < count; i++)
        send_heartbeat(brings, "wake", i);
    for (int32_t i = 0; i < count; i++) {
        expect_heartbeat(brings, i);
        expect_heartbeat(waits[i], i);
    }
}

#define CROWD (PLACEMENT_CROWD + 3)

// Of many who wait for one, those that join him leave others where they are.
static void a_crowd_stays_spread(void **state)
{
    (void)state;
    int waits[CROWD], brings;
    start();
    brings = dial();
    for (int i = 0; i < CROWD; i++)
        waits[i] = dial(); // half of all on each reactor
    int64_t until_ms =
        clock_monotonic_ms() + DEADLINE_MS / 10; // on a machine that is busy with others, fewer join
    for (int rest = 2 * PLACEMENT_WAKES; rest > 0 && clock_monotonic_ms() < until_ms;) {
        bring_crowd(brings, waits, CROWD);
        rest -= stats_now().connections_moved >= PLACEMENT_CROWD / 2;
    }
    // All of them wait now: where are they?
    int beside = 1;
    send_heartbeat(brings, "poll", CROWD);
    for (int32_t i = 0; i < CROWD; i++)
        send_heartbeat(waits[i], "poll", i);
    for (int32_t i = 0; i <= CROWD; i++)
        wait_until(is_parked(i));
    pthread_mutex_lock(&server.lock);
    for (int i = 0; i < CROWD; i++)
        beside += server.parked[i]->request->reactor == server.parked[CROWD]->request->reactor;
    pthread_mutex_unlock(&server.lock);
    assert_true(beside - (CROWD + 1 - beside) <= PLACEMENT_CROWD);
    close(brings);
    for (int i = 0; i < CROWD; i++)
        close(waits[i]);
    wait_until(stats_now().connections_open == 0);
    stop();
}

// What no thread of a reactor brings moves nobody.
static void who_is_woken_from_elsewhere_stays(void **state)
{
    (void)state;
    start();
    int fd = dial();
    for (int i = 0; i < 3 * PLACEMENT_WAKES; i++) {
        send_heartbeat(fd, "poll", 1);
        wake(1);
        expect_heartbeat(fd, 1);
    }
    assert_int_equal(stats_now().connections_moved, 0);
    close(fd);
    stop();
}

static void *keep_busy(void *context)
{
    struct couple *c = context;
    while (!atomic_load(&c->stop)) {
        send_heartbeat(c->waits, "spin", c->generation);
        expect_heartbeat(c->waits, c->generation);
        atomic_fetch_add(&c->rounds, 1);
    }
    return NULL;
}

// Two that leave a reactor no time are parted when another has.
static void a_busy_reactor_parts_with_a_connection(void **state)
{
    (void)state;
    start();
    struct couple two[2] = {{.waits = dial(), .brings = dial()}, {.waits = dial(), .brings = dial()}};
    for (int i = 0; i < 2; i++)
        pthread_create(&two[i].thread, NULL, keep_busy, &two[i]);
    wait_until(stats_now().connections_moved > 0);
    for (int i = 0; i < 2; i++)
        atomic_store(&two[i].stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(two[i].thread, NULL);
    for (int i = 0; i < 2; i++)
        two[i].generation = i;
    send_heartbeat(two[0].waits, "poll", 0);
    send_heartbeat(two[1].waits, "poll", 1);
    wait_until(is_parked(0) && is_parked(1));
    pthread_mutex_lock(&server.lock);
    assert_ptr_not_equal(server.parked[0]->request->reactor, server.parked[1]->request->reactor);
    pthread_mutex_unlock(&server.lock);
    for (int i = 0; i < 2; i++) {
        close(two[i].waits);
        close(two[i].brings);
    }
    wait_until(stats_now().connections_open == 0);
    stop();
}

static void *keep_bringing(void *context)
{
    struct couple *c = context;
    while (!atomic_load(&c->stop) && bring(c))
        ;
    return NULL;
}

#define COUPLES 6
#define STOPS   25

// Whenever the server stops, or fewer reactors serve: each connection is closed, once.
static void it_stops_while_connections_move(void **state)
{
    (void)state;
    struct server_limits limits;
    server_limits_default(&limits);
    uint64_t moved = 0;
    for (int k = 0; k < STOPS; k++) {
        struct couple couples[COUPLES] = {0};
        start_with(&limits, 3);
        for (int i = 0; i < COUPLES; i++) {
            couples[i].waits = dial();
            couples[i].brings = dial();
            couples[i].generation = i;
            pthread_create(&couples[i].thread, NULL, keep_bringing, &couples[i]);
        }
        wait_until(couples[k % COUPLES].rounds >= PLACEMENT_WAKES - 2 + k % 6);
        if (k % 3 == 0)
            assert_int_equal(reactors_resize(server.group, 1 + (unsigned)k % 2), 0);
        reactors_stop(server.group, k % 2 ? 1000 : 0);
        for (int i = 0; i < COUPLES; i++) {
            atomic_store(&couples[i].stop, true);
            pthread_join(couples[i].thread, NULL);
            close(couples[i].waits);
            close(couples[i].brings);
        }
        struct reactors_stats stats = stats_now();
        assert_int_equal(stats.connections_open, 0);
        assert_int_equal(stats.connections_closed, 2 * COUPLES);
        moved += stats.connections_moved;
        reactors_free(server.group);
        memset(server.parked, 0, sizeof server.parked);
    }
    assert_true(moved > 0);
}

int main(void)
{
    logger_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_joins_and_who_parts),
        cmocka_unit_test(a_connection_joins_who_wakes_it),
        cmocka_unit_test(a_crowd_stays_spread),
        cmocka_unit_test(who_is_woken_from_elsewhere_stays),
        cmocka_unit_test(a_busy_reactor_parts_with_a_connection),
        cmocka_unit_test(it_stops_while_connections_move),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
