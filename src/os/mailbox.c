#include "os/mailbox.h"

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"

int mailbox_init(struct mailbox *m)
{
    *m = (struct mailbox){.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
    return m->fd < 0 ? ERR_IO : 0;
}

void mailbox_free(struct mailbox *m)
{
    if (m->fd >= 0)
        close(m->fd);
    m->fd = -1;
}

bool mailbox_post(struct mailbox *m, struct task *task)
{
    if (atomic_exchange(&task->posted, true))
        return false;
    struct task *head = atomic_load_explicit(&m->posted, memory_order_relaxed);
    do
        task->next = head;
    while (!atomic_compare_exchange_weak(&m->posted, &head, task));
    // Sequentially consistent with mailbox_sleep: either this sees `sleeping`, or the consumer sees the task.
    if (atomic_load(&m->sleeping) && atomic_exchange(&m->sleeping, false)) {
        uint64_t one = 1;
        ssize_t written = write(m->fd, &one, sizeof one);
        (void)written; // fails only when the counter is full, and then it is readable
    }
    return true;
}

// Moves what was posted behind what was taken, oldest first.
static void take(struct mailbox *m)
{
    struct task *newest = atomic_exchange(&m->posted, NULL);
    struct task *oldest = NULL;
    while (newest) {
        struct task *older = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = older;
    }
    struct task **end = &m->taken;
    while (*end)
        end = &(*end)->next;
    *end = oldest;
}

size_t mailbox_run(struct mailbox *m, size_t limit)
{
    size_t count = 0;
    if (!m->taken && atomic_load_explicit(&m->posted, memory_order_relaxed))
        take(m);
    while (m->taken && count < limit) {
        struct task *task = m->taken;
        m->taken = task->next;
        // From here the task may be posted again, and its memory belongs to run.
        atomic_exchange(&task->posted, false);
        task->run(task);
        count++;
    }
    return count;
}

void mailbox_cancel(struct mailbox *m, struct task *task)
{
    if (!atomic_load(&task->posted))
        return;
    take(m);
    for (struct task **at = &m->taken; *at; at = &(*at)->next) {
        if (*at == task) {
            *at = task->next;
            atomic_store(&task->posted, false);
            return;
        }
    }
}

bool mailbox_sleep(struct mailbox *m)
{
    atomic_store(&m->sleeping, true);
    if (!m->taken && !atomic_load(&m->posted))
        return true;
    atomic_store(&m->sleeping, false);
    return false;
}

void mailbox_wake(struct mailbox *m)
{
    atomic_store_explicit(&m->sleeping, false, memory_order_relaxed);
}
