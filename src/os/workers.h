// A pool of threads for work that would hold up a loop: it runs there, and its end is posted back to the
// loop.
#ifndef OS_WORKERS_H
#define OS_WORKERS_H

#include "base/list.h"
#include "os/loop.h"

#define WORKERS_THREADS_MAX 8

struct workers;

// Embedded in its owner, who keeps it until `done` has run.
struct job {
    struct list node;
    void (*run)(struct job *job); // on a thread of the pool, which is a reader (base/qsbr.h) until it returns
    bool reads_nothing;           // it is no reader, and holds nobody's memory back, however long it waits
    struct loop *loop;            // NULL: nobody is told of its end, and `run` may free it
    struct task done;             // on the loop's thread, once `run` has returned
};

// At most `threads` threads, started when there is work, named after `name`; at most `jobs_limit` jobs wait
// for one. NULL when out of memory.
struct workers *workers_new(const char *name, unsigned threads, unsigned jobs_limit);

// Queues a job; they start in this order. Any thread. False, and nothing is queued, when as many wait as may,
// no thread could be started at all, or they were stopped: then the caller does the work itself, and so takes
// on no more meanwhile.
bool workers_submit(struct workers *w, struct job *job);

// Ends the threads, once they have run what still waits. Nothing is queued any more.
void workers_stop(struct workers *w);

// The same, and frees it.
void workers_free(struct workers *w);

#endif
