// How one thread gives work to another: an intrusive queue of tasks with many producers and one consumer, and
// an eventfd that is written only while the consumer sleeps.
#ifndef OS_MAILBOX_H
#define OS_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

// Embedded in the struct of whoever wants something done over there (container_of leads back to it).
struct task {
    struct task *next;
    void (*run)(struct task *task); // on the consumer's thread
    atomic_bool posted;             // in a mailbox; cleared just before run
};

#define TASK_INIT(function) ((struct task){.run = (function)})

struct mailbox {
    _Atomic(struct task *) posted; // newest first
    struct task *taken;            // oldest first; the consumer's own
    atomic_bool sleeping;          // the consumer waits, or is about to wait, on fd
    int fd;                        // eventfd
};

// 0, or ERR_IO (errno).
int mailbox_init(struct mailbox *m);

// Closes the eventfd. Tasks that are still inside are forgotten. No thread is inside mailbox_post any more (a
// task may run before the post that queued it returns).
void mailbox_free(struct mailbox *m);

// Queues a task; any thread, never blocks, allocates nothing. The task's memory stays valid until it runs or
// is cancelled. A task that is already queued is not queued again: the run to come sees what was written
// before this call. Returns whether it was queued now.
bool mailbox_post(struct mailbox *m, struct task *task);

// Runs the tasks that are queued, oldest first, at most `limit`; the consumer's thread. A task may post
// itself again. Returns how many ran.
size_t mailbox_run(struct mailbox *m, size_t limit);

// Takes a task out unrun, if it is inside; the consumer's thread, once no other thread can post it any more
// (the parker has unlinked itself under the lock under which it is woken). Then its memory may be freed.
// O(tasks that wait).
void mailbox_cancel(struct mailbox *m, struct task *task);

// The consumer is about to wait on fd. False when tasks are there: do not wait. Else a post writes fd.
bool mailbox_sleep(struct mailbox *m);

// The consumer is awake again. fd is watched edge-triggered, so it need not be read.
void mailbox_wake(struct mailbox *m);

#endif
