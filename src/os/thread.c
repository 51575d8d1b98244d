#include "os/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/error.h"

static void *thread_main(void *argument)
{
    struct thread *t = argument;
    pthread_setname_np(pthread_self(), t->name);
    t->run(t->context);
    return NULL;
}

int thread_start(struct thread *t, const char *name, void (*run)(void *context), void *context)
{
    t->run = run;
    t->context = context;
    snprintf(t->name, sizeof t->name, "%s", name);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&t->id, NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = failed;
    return failed ? ERR_IO : 0;
}

void thread_join(struct thread *t)
{
    pthread_join(t->id, NULL);
}

unsigned process_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

uint64_t process_raise_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur;
}

void process_ignore_sigpipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}

void thread_sleep_ms(int ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}
