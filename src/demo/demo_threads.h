// What the two threads of the demo share. For demo.c, writer.c and counter.c.
#ifndef DEMO_DEMO_THREADS_H
#define DEMO_DEMO_THREADS_H

#include "demo/demo.h"
#include "demo/link.h"
#include "os/thread.h"

#define DEMO_TICK_MS  250 // how often events are written, and how long one waits for them
#define DEMO_RETRY_MS 500

struct demo {
    struct demo_options options;
    struct thread writer, counter;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stopping; // lock
    int running;   // lock: threads
    int troubled;  // lock: threads that wait for a broker
};

void writer_run(void *demo);
void counter_run(void *demo);

bool demo_stopping(struct demo *d);

// Waits, or until it is to stop.
void demo_pause(struct demo *d, int ms);

// Says what is wrong, once for both threads, and when both go on. What is well again at the next attempt is
// not worth a word. *failures is the thread's own: how many there were in a row.
void demo_note(struct demo *d, int *failures, int err, const char *error);

#endif
