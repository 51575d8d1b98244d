// The event loop of one thread: descriptors (epoll, edge-triggered), timers, a mailbox and deferred work. A
// turn waits at most until the next timer, then serves ready descriptors, tasks, timers and deferred work, in
// this order. Everything is for the loop's own thread, unless it says any thread.
#ifndef OS_LOOP_H
#define OS_LOOP_H

#include "base/heap.h"
#include "base/list.h"
#include "os/mailbox.h"

struct loop;

// What can happen to a descriptor; numbered as epoll does.
enum loop_events {
    LOOP_READABLE = 0x001,
    LOOP_WRITABLE = 0x004,
    LOOP_BROKEN = 0x008 | 0x010, // an error, or closed in both directions; reported unasked
    LOOP_PEER_FINISHED = 0x2000, // the peer sends no more; what it sent may still be to be read
};

// A descriptor in the loop. Events come once per change (EPOLLET): the owner reads or writes until it would
// block, or remembers that more is there.
struct loop_source {
    int fd; // the owner's, who closes it after loop_remove
    void (*ready)(struct loop_source *source,
                  uint32_t events); // enum loop_events, or-ed
};

// Embedded in its owner. Zeroed except for `fire`: not armed.
struct loop_timer {
    struct heap_node node; // key: due, in milliseconds of the loop's clock
    void (*fire)(struct loop_timer *timer);
};

// Work for the end of the turn, or for the next turn. Zeroed (or list_init) except for `run`: not queued.
struct loop_work {
    struct list node;
    void (*run)(struct loop_work *work);
};

// Called around each wait, so that memory can be reclaimed by quiescence: between `wakes` and `sleeps` the
// thread may hold what it took from shared immutable structures; outside it holds nothing.
struct loop_hooks {
    void *context;
    void (*wakes)(void *context);
    void (*sleeps)(void *context);
    void (*ends)(void *context); // loop_run is about to return; the last call. May be NULL
};

struct loop {
    int epoll_fd;
    int64_t now_ms; // monotonic; read once a turn
    struct mailbox mailbox;
    struct loop_source mail;
    struct heap timers;
    struct list ends;  // loop_work for the end of this turn
    struct list nexts; // loop_work for the next turn, which then does not wait
    struct loop_hooks hooks;
    struct epoll_event *events; // of this turn; [at, count) are still to be served
    int event_at, event_count;
    atomic_bool stopping;
    struct task stop_task;

    int64_t window_us, waited_us;     // of the window that is measured: since when, and waiting
    uint32_t windows;                 // so many are over
    _Atomic uint32_t busy_permille;   // of the last one
    _Atomic int64_t busy_measured_us; // when that was
};

// hooks may be NULL. 0, or ERR_IO (errno), ERR_NOMEM.
int loop_init(struct loop *loop, const struct loop_hooks *hooks);
void loop_free(struct loop *loop);

// Serves until loop_stop. The calling thread becomes the loop's thread.
void loop_run(struct loop *loop);

// One turn; waits at most max_wait_ms (-1: as long as nothing happens).
void loop_turn(struct loop *loop, int max_wait_ms);

// Lets loop_run return after its turn. Any thread.
void loop_stop(struct loop *loop);

// Runs the task in the loop's thread. Any thread. See mailbox_post and mailbox_cancel.
static inline bool loop_post(struct loop *loop, struct task *task)
{
    return mailbox_post(&loop->mailbox, task);
}

static inline void loop_cancel(struct loop *loop, struct task *task)
{
    mailbox_cancel(&loop->mailbox, task);
}

// Watches source->fd for `events` (edge-triggered is added). 0, or ERR_IO (errno).
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events);

// Forgets the source; its memory may be freed at once, even from within `ready` of this or another source.
void loop_remove(struct loop *loop, struct loop_source *source);

// Fires once at due_ms (of the clock clock_monotonic_ms, which loop_now_ms reads) or as soon after as the
// loop turns; an armed timer is moved. 0, or ERR_NOMEM.
int loop_timer_arm(struct loop *loop, struct loop_timer *timer, int64_t due_ms);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer); // not armed: nothing happens

static inline bool loop_timer_armed(const struct loop_timer *timer)
{
    return heap_has(&timer->node);
}

// Runs the work when this turn ends, before the next wait. Queued already: nothing happens.
void loop_at_end(struct loop *loop, struct loop_work *work);
// Runs the work in the next turn, after descriptors were asked. This is how long work is cut into pieces.
void loop_next(struct loop *loop, struct loop_work *work);
void loop_work_cancel(struct loop_work *work);

// How much of the time the loop does not wait, in thousandths: of the last LOOP_WINDOW_US or somewhat more.
// Any thread.
#define LOOP_WINDOW_US 100000
uint32_t loop_busy_permille(struct loop *loop, int64_t now_us);

static inline int64_t loop_now_ms(const struct loop *loop)
{
    return loop->now_ms;
}

#endif
