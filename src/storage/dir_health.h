// How one log directory fares: whether an I/O error took it off line, and whether its file system is nearly
// full; and the threads that may wait for its disk. Shared by its logs; any thread, no lock.
#ifndef STORAGE_DIR_HEALTH_H
#define STORAGE_DIR_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct workers;

struct dir_health {
    const char *path;        // the directory's, for messages
    atomic_bool failed;      // off line until the next start
    atomic_bool full;        // less than storage.min.free.bytes is free: logs take no appends of clients
    struct workers *loaders; // read what its cold logs left; may be NULL
    void (*tell)(void *, struct dir_health *); // may be NULL; set before there are threads. Called once, by
    void *tell_arg; // whoever noticed the failure and under its locks: it must only post
};

// NULL stands for a directory whose health nobody keeps (tests, tools).
static inline bool dir_health_failed(const struct dir_health *h)
{
    return h && atomic_load_explicit(&h->failed, memory_order_relaxed);
}

static inline bool dir_health_full(const struct dir_health *h)
{
    return h && atomic_load_explicit(&h->full, memory_order_relaxed);
}

// Takes the directory off line: one line in the log with what failed on what (a log's or a file's name) and
// why, then `tell`. Later calls do nothing. Call it before another system call changes errno.
void dir_health_fail(struct dir_health *h, const char *what, const char *on, int rc);

// The same when rc is what a failing device or file system gives (ERR_IO); returns rc.
int dir_health_note(struct dir_health *h, const char *what, const char *on, int rc);

#endif
