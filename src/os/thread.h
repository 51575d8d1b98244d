// Threads and what concerns the whole process.
#ifndef OS_THREAD_H
#define OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread {
    pthread_t id;
    void (*run)(void *context);
    void *context;
    char name[16]; // as top and gdb show it
};

// Starts a thread with every signal blocked (signals are for the main thread). The struct stays where it is
// until thread_join. The name is cut to 15 characters. 0, or ERR_IO (errno).
int thread_start(struct thread *t, const char *name, void (*run)(void *context), void *context);

void thread_join(struct thread *t);

// Waits. Not on a reactor.
void thread_sleep_ms(int ms);

// The processors that this process may run on, at least 1.
unsigned process_cpus(void);

// Raises the soft limit of open files to the hard one; returns what holds now.
uint64_t process_raise_open_files(void);

// A write to a closed socket becomes an error, not a signal.
void process_ignore_sigpipe(void);

#endif
