#include "os/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

_Static_assert((int)LOOP_READABLE == EPOLLIN && (int)LOOP_WRITABLE == EPOLLOUT &&
                   (int)LOOP_PEER_FINISHED == EPOLLRDHUP && (int)LOOP_BROKEN == (EPOLLERR | EPOLLHUP),
               "the loop's events are numbered as epoll's");

#define LOOP_EVENTS_PER_TURN 256
#define LOOP_TASKS_PER_TURN  256

// The mailbox's eventfd only ends the wait; every turn runs the mailbox anyway.
static void mail_ready(struct loop_source *source, uint32_t events)
{
    (void)source;
    (void)events;
}

static void stop_run(struct task *task)
{
    (void)task; // posted to end the wait
}

int loop_init(struct loop *loop, const struct loop_hooks *hooks)
{
    *loop =
        (struct loop){.epoll_fd = -1, .mailbox.fd = -1, .mail.ready = mail_ready, .stop_task.run = stop_run};
    list_init(&loop->ends);
    list_init(&loop->nexts);
    if (hooks)
        loop->hooks = *hooks;
    loop->window_us = clock_monotonic_us();
    loop->busy_measured_us = loop->window_us;
    loop->now_ms = loop->window_us / 1000;
    loop->events = calloc(LOOP_EVENTS_PER_TURN, sizeof *loop->events);
    if (!loop->events)
        return ERR_NOMEM;
    int err = mailbox_init(&loop->mailbox);
    if (!err) {
        loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
        err = loop->epoll_fd < 0 ? ERR_IO : 0;
    }
    if (!err) {
        loop->mail.fd = loop->mailbox.fd;
        err = loop_add(loop, &loop->mail, EPOLLIN);
    }
    if (err)
        loop_free(loop);
    return err;
}

void loop_free(struct loop *loop)
{
    int saved = errno;
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    loop->epoll_fd = -1;
    mailbox_free(&loop->mailbox);
    heap_free(&loop->timers);
    free(loop->events);
    loop->events = NULL;
    errno = saved;
}

static void run_work(struct list *works)
{
    for (struct list *node; (node = list_pop_front(works));) {
        struct loop_work *work = container_of(node, struct loop_work, node);
        work->run(work);
    }
}

static void fire_timers(struct loop *loop)
{
    for (struct heap_node *node; (node = heap_first(&loop->timers)) && node->key <= loop->now_ms;) {
        heap_remove(&loop->timers, node);
        struct loop_timer *timer = container_of(node, struct loop_timer, node);
        timer->fire(timer);
    }
}

// How long epoll may wait: not beyond the next timer, not at all when work is there.
static int wait_ms(struct loop *loop, int max_wait_ms, int64_t now_ms)
{
    if (!list_empty(&loop->nexts) || atomic_load_explicit(&loop->stopping, memory_order_relaxed))
        return 0;
    const struct heap_node *first = heap_first(&loop->timers);
    if (first) {
        int64_t left = first->key - now_ms;
        if (left <= 0)
            return 0;
        if (max_wait_ms < 0 || left < max_wait_ms)
            max_wait_ms = left < INT_MAX ? (int)left : INT_MAX;
    }
    return max_wait_ms != 0 && mailbox_sleep(&loop->mailbox) ? max_wait_ms : 0;
}

static void measure(struct loop *loop, int64_t slept_us, int64_t woke_us)
{
    loop->waited_us += woke_us - slept_us;
    int64_t window_us = woke_us - loop->window_us;
    if (window_us < LOOP_WINDOW_US)
        return;
    atomic_store_explicit(&loop->busy_permille, (uint32_t)(1000 * (window_us - loop->waited_us) / window_us),
                          memory_order_relaxed);
    atomic_store_explicit(&loop->busy_measured_us, woke_us, memory_order_relaxed);
    loop->window_us = woke_us;
    loop->waited_us = 0;
    loop->windows++;
}

uint32_t loop_busy_permille(struct loop *loop, int64_t now_us)
{
    // Nothing was measured for long: it waits, or has been at one thing since.
    if (now_us - atomic_load_explicit(&loop->busy_measured_us, memory_order_relaxed) > 2 * LOOP_WINDOW_US)
        return atomic_load_explicit(&loop->mailbox.sleeping, memory_order_relaxed) ? 0 : 1000;
    return atomic_load_explicit(&loop->busy_permille, memory_order_relaxed);
}

void loop_turn(struct loop *loop, int max_wait_ms)
{
    int64_t slept_us = clock_monotonic_us();
    if (loop->hooks.sleeps)
        loop->hooks.sleeps(loop->hooks.context);
    int count = epoll_wait(loop->epoll_fd, loop->events, LOOP_EVENTS_PER_TURN,
                           wait_ms(loop, max_wait_ms, slept_us / 1000));
    mailbox_wake(&loop->mailbox);
    int64_t woke_us = clock_monotonic_us();
    loop->now_ms = woke_us / 1000;
    measure(loop, slept_us, woke_us);
    if (loop->hooks.wakes)
        loop->hooks.wakes(loop->hooks.context);

    // What was deferred by the last turn; what defers itself again waits for the next one.
    struct list nexts;
    list_init(&nexts);
    for (struct list *node; (node = list_pop_front(&loop->nexts));)
        list_push_back(&nexts, node);

    loop->event_count = count > 0 ? count : 0;
    for (loop->event_at = 0; loop->event_at < loop->event_count;) {
        struct epoll_event *event = &loop->events[loop->event_at++];
        struct loop_source *source = event->data.ptr;
        if (source)
            source->ready(source, event->events);
    }
    loop->event_count = 0;
    mailbox_run(&loop->mailbox, LOOP_TASKS_PER_TURN);
    fire_timers(loop);
    run_work(&nexts);
    run_work(&loop->ends);
}

void loop_run(struct loop *loop)
{
    if (loop->hooks.wakes)
        loop->hooks.wakes(loop->hooks.context);
    while (!atomic_load(&loop->stopping))
        loop_turn(loop, -1);
    if (loop->hooks.ends)
        loop->hooks.ends(loop->hooks.context);
}

void loop_stop(struct loop *loop)
{
    atomic_store(&loop->stopping, true);
    loop_post(loop, &loop->stop_task);
}

int loop_add(struct loop *loop, struct loop_source *source, uint32_t events)
{
    struct epoll_event event = {.events = events | EPOLLET, .data.ptr = source};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? ERR_IO : 0;
}

void loop_remove(struct loop *loop, struct loop_source *source)
{
    // A failure means that it was not watched.
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
    for (int i = loop->event_at; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == source)
            loop->events[i].data.ptr = NULL;
}

int loop_timer_arm(struct loop *loop, struct loop_timer *timer, int64_t due_ms)
{
    if (!heap_has(&timer->node))
        return heap_push(&loop->timers, &timer->node, due_ms);
    heap_move(&loop->timers, &timer->node, due_ms);
    return 0;
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
    heap_remove(&loop->timers, &timer->node);
}

static void queue_work(struct list *works, struct loop_work *work)
{
    if (!work->node.next)
        list_init(&work->node);
    if (list_empty(&work->node))
        list_push_back(works, &work->node);
}

void loop_at_end(struct loop *loop, struct loop_work *work)
{
    queue_work(&loop->ends, work);
}

void loop_next(struct loop *loop, struct loop_work *work)
{
    queue_work(&loop->nexts, work);
}

void loop_work_cancel(struct loop_work *work)
{
    if (work->node.next)
        list_remove(&work->node);
}
