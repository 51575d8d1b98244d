// base/heap, os/mailbox and os/loop.
#include "unit.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/heap.h"
#include "os/loop.h"
#include "os/thread.h"

static void heap_orders_and_removes(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static struct heap_node nodes[COUNT];
    struct heap heap = HEAP_INIT;
    unsigned seed = 7;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(heap_push(&heap, &nodes[i], (int)(rand_r(&seed) % 100)), 0);
    for (int i = 0; i < COUNT; i += 3)
        heap_remove(&heap, &nodes[i]);
    for (int i = 1; i < COUNT; i += 3)
        heap_move(&heap, &nodes[i], (int)(rand_r(&seed) % 100));
    heap_remove(&heap, &nodes[0]); // again: harmless
    int64_t last = -1;
    size_t left = heap.count;
    for (struct heap_node *node; (node = heap_first(&heap)); left--) {
        assert_true(node->key >= last);
        last = node->key;
        heap_remove(&heap, node);
        assert_false(heap_has(node));
    }
    assert_int_equal(left, 0);
    heap_free(&heap);
}

struct counted {
    struct task task;
    int *order, place, *next;
};

static void note(struct task *task)
{
    struct counted *c = container_of(task, struct counted, task);
    c->order[(*c->next)++] = c->place;
}

static void mailbox_runs_in_order_once_and_cancels(void **state)
{
    (void)state;
    struct mailbox m;
    assert_int_equal(mailbox_init(&m), 0);
    int order[8] = {0}, next = 0;
    struct counted c[4];
    for (int i = 0; i < 4; i++) {
        c[i] = (struct counted){TASK_INIT(note), order, i, &next};
        assert_true(mailbox_post(&m, &c[i].task));
        assert_false(mailbox_post(&m, &c[i].task));
    }
    assert_false(mailbox_sleep(&m));
    mailbox_cancel(&m, &c[1].task);
    assert_int_equal(mailbox_run(&m, 2), 2);
    assert_false(mailbox_sleep(&m)); // one is taken but has not run
    mailbox_cancel(&m, &c[0].task);  // not inside: nothing
    assert_true(mailbox_post(&m, &c[1].task));
    assert_int_equal(mailbox_run(&m, 100), 1);
    assert_int_equal(mailbox_run(&m, 100), 1);
    const int expected[] = {0, 2, 3, 1};
    assert_memory_equal(order, expected, sizeof expected);
    assert_true(mailbox_sleep(&m));
    mailbox_free(&m);
}

// Many threads post the same few tasks again and again while the loop's thread sleeps and wakes.
enum { POSTERS = 3, ROUNDS = 20000 };

struct shared {
    struct loop loop;
    struct task task;
    atomic_int posted, seen;
    int runs;
    atomic_int done;
};

static struct shared shared;

static void on_shared(struct task *task)
{
    (void)task;
    shared.runs++;
    shared.seen = shared.posted;
    if (shared.seen == POSTERS * ROUNDS)
        loop_stop(&shared.loop);
}

static void poster(void *context)
{
    (void)context;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_fetch_add(&shared.posted, 1);
        loop_post(&shared.loop, &shared.task);
    }
    atomic_fetch_add(&shared.done, 1);
}

static void posts_of_many_threads_are_never_lost(void **state)
{
    (void)state;
    assert_int_equal(loop_init(&shared.loop, NULL), 0);
    shared.task.run = on_shared;
    struct thread threads[POSTERS];
    for (int i = 0; i < POSTERS; i++)
        assert_int_equal(thread_start(&threads[i], "poster", poster, NULL), 0);
    loop_run(&shared.loop); // ends only when the last post was seen
    assert_int_equal(shared.seen, POSTERS * ROUNDS);
    assert_true(shared.runs <= POSTERS * ROUNDS);
    for (int i = 0; i < POSTERS; i++)
        thread_join(&threads[i]);
    loop_free(&shared.loop);
}

struct beat {
    struct loop_timer timer;
    struct loop *loop;
    int64_t due_ms;
    int *order, *next, place;
};

static void on_beat(struct loop_timer *timer)
{
    struct beat *b = container_of(timer, struct beat, timer);
    assert_true(clock_monotonic_ms() >= b->due_ms);
    b->order[(*b->next)++] = b->place;
}

static void timers_fire_in_order_and_not_early(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop, NULL), 0);
    int order[4] = {0}, next = 0;
    struct beat beats[4];
    const int delays[4] = {30, 10, 20, 15};
    int64_t now = clock_monotonic_ms();
    for (int i = 0; i < 4; i++) {
        beats[i] = (struct beat){{.fire = on_beat}, &loop, now + delays[i], order, &next, i};
        assert_int_equal(loop_timer_arm(&loop, &beats[i].timer, now + 1000), 0);
        assert_int_equal(loop_timer_arm(&loop, &beats[i].timer, now + delays[i]), 0); // moves
    }
    loop_timer_cancel(&loop, &beats[3].timer);
    for (int64_t end = now + 60000; next < 3 && clock_monotonic_ms() < end;)
        loop_turn(&loop, -1);
    const int expected[] = {1, 2, 0};
    assert_memory_equal(order, expected, sizeof expected);
    assert_false(loop_timer_armed(&beats[3].timer));
    loop_free(&loop);
}

struct end {
    struct loop_source source;
    struct loop *loop;
    struct end *other;
    int events;
};

static void on_end(struct loop_source *source, uint32_t events)
{
    struct end *e = container_of(source, struct end, source);
    assert_true(events & EPOLLIN);
    e->events++;
    if (e->other)
        loop_remove(e->loop, &e->other->source); // its event of this turn must not arrive
}

static void a_removed_source_is_silent(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop, NULL), 0);
    int pairs[2][2];
    struct end ends[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        ends[i] = (struct end){{pairs[i][0], on_end}, &loop, &ends[1 - i], 0};
        assert_int_equal(loop_add(&loop, &ends[i].source, EPOLLIN), 0);
        assert_int_equal(write(pairs[i][1], "x", 1), 1);
    }
    loop_turn(&loop, 1000);
    loop_turn(&loop, 0);
    assert_int_equal(ends[0].events + ends[1].events, 1);
    for (int i = 0; i < 4; i++)
        close(pairs[i / 2][i % 2]);
    loop_free(&loop);
}

struct piece {
    struct loop_work work;
    struct loop *loop;
    int left;
};

static void on_piece(struct loop_work *work)
{
    struct piece *p = container_of(work, struct piece, work);
    if (--p->left > 0)
        loop_next(p->loop, work);
}

static void deferred_work_runs_once_a_turn_without_waiting(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop, NULL), 0);
    struct piece p = {{.run = on_piece}, &loop, 3};
    loop_next(&loop, &p.work);
    for (int left = 2; left >= 0; left--) {
        loop_turn(&loop, -1);
        assert_int_equal(p.left, left);
    }
    p.left = 5;
    loop_at_end(&loop, &p.work);
    loop_at_end(&loop, &p.work); // queued already
    loop_work_cancel(&p.work);
    loop_turn(&loop, 0);
    assert_int_equal(p.left, 5);
    loop_free(&loop);
}

static void on_long_work(struct loop_work *work)
{
    (void)work;
    int64_t until_us = clock_monotonic_us() + LOOP_WINDOW_US;
    while (clock_monotonic_us() < until_us)
        ;
}

static void it_knows_how_busy_it_is(void **state)
{
    (void)state;
    struct loop loop;
    assert_int_equal(loop_init(&loop, NULL), 0);
    struct loop_work work = {.run = on_long_work};
    assert_int_equal(loop_busy_permille(&loop, clock_monotonic_us()), 0);
    loop_next(&loop, &work);
    loop_turn(&loop, -1); // works, and is measured when it has waited again
    loop_turn(&loop, 0);
    uint32_t windows = loop.windows;
    assert_true(loop_busy_permille(&loop, loop.busy_measured_us) > 900);
    while (loop.windows == windows)
        loop_turn(&loop, LOOP_WINDOW_US / 1000);
    assert_true(loop_busy_permille(&loop, loop.busy_measured_us) < 900);
    // Long ago: it works at one thing, or sleeps.
    int64_t later_us = loop.busy_measured_us + 3 * LOOP_WINDOW_US;
    assert_int_equal(loop_busy_permille(&loop, later_us), 1000);
    assert_true(mailbox_sleep(&loop.mailbox));
    assert_int_equal(loop_busy_permille(&loop, later_us), 0);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_orders_and_removes),
        cmocka_unit_test(mailbox_runs_in_order_once_and_cancels),
        cmocka_unit_test(posts_of_many_threads_are_never_lost),
        cmocka_unit_test(timers_fire_in_order_and_not_early),
        cmocka_unit_test(a_removed_source_is_silent),
        cmocka_unit_test(deferred_work_runs_once_a_turn_without_waiting),
        cmocka_unit_test(it_knows_how_busy_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
