#include "storage/disk_watch.h"

#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "os/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_MS      1000 // apart, where much is free
#define LOOK_MIN_MS  20
#define BYTES_PER_MS (INT64_C(4) << 20) // faster than a log grows
#define LIFT_SHARE   8                  // of the limit, must be free beyond it before a disk is not full

struct disk_watch {
    struct dir_health **dirs;
    size_t count;
    int64_t limit_bytes;
    struct thread thread;
    pthread_mutex_t lock; // guards stopping
    pthread_cond_t stop;
    bool stopping;
};

bool disk_watch_full(int64_t free_bytes, int64_t limit_bytes, bool was_full)
{
    int64_t lift = was_full ? limit_bytes / LIFT_SHARE : 0;
    return free_bytes < limit_bytes || free_bytes - limit_bytes < lift;
}

int64_t disk_watch_wait_ms(int64_t free_bytes, int64_t limit_bytes)
{
    int64_t left_ms = (free_bytes - limit_bytes) / BYTES_PER_MS;
    return left_ms < LOOK_MIN_MS ? LOOK_MIN_MS : left_ms > LOOK_MS ? LOOK_MS : left_ms;
}

static void say(const struct dir_health *h, int64_t free_bytes, int64_t limit_bytes, bool full)
{
    if (full)
        log_warn(
            "storage",
            "%s: %" PRId64 " bytes are free, less than storage.min.free.bytes=%" PRId64
            ": producing to its partitions is refused until there is room again; reading and deletion go on",
            h->path, free_bytes, limit_bytes);
    else
        log_info("storage", "%s: %" PRId64 " bytes are free: producing to its partitions goes on", h->path,
                 free_bytes);
}

// Returns how long to wait for the next look.
static int64_t look(const struct disk_watch *w)
{
    int64_t wait_ms = LOOK_MS;
    for (size_t i = 0; i < w->count; i++) {
        struct dir_health *h = w->dirs[i];
        int64_t total_bytes, free_bytes;
        bool read_only;
        if (dir_health_failed(h))
            continue;
        int rc = file_space(h->path, &total_bytes, &free_bytes, &read_only);
        if (rc == 0 && read_only) {
            errno = EROFS;
            rc = ERR_IO;
        }
        if (rc == ERR_IO || rc == ERR_NOT_FOUND)
            dir_health_fail(h, "cannot use", h->path, rc);
        if (rc || w->limit_bytes <= 0)
            continue;
        bool was = dir_health_full(h), full = disk_watch_full(free_bytes, w->limit_bytes, was);
        int64_t next_ms = disk_watch_wait_ms(free_bytes, w->limit_bytes);
        wait_ms = next_ms < wait_ms ? next_ms : wait_ms;
        if (full == was)
            continue;
        atomic_store(&h->full, full);
        say(h, free_bytes, w->limit_bytes, full);
    }
    return wait_ms;
}

static void run(void *arg)
{
    struct disk_watch *w = arg;
    int64_t wait_ms = LOOK_MIN_MS; // the start has just looked
    pthread_mutex_lock(&w->lock);
    while (!w->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += wait_ms % 1000 * 1000000;
        until.tv_sec += wait_ms / 1000 + until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        int rc = pthread_cond_timedwait(&w->stop, &w->lock, &until);
        if (rc != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&w->lock);
        wait_ms = look(w);
        pthread_mutex_lock(&w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}

static void watch_free(struct disk_watch *w)
{
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->stop);
    free(w->dirs);
    free(w);
}

struct disk_watch *disk_watch_start(struct dir_health *const *dirs, size_t count, int64_t min_free_bytes)
{
    struct disk_watch *w = calloc(1, sizeof *w);
    if (!w || !(w->dirs = calloc(count + 1, sizeof(struct dir_health *)))) {
        free(w);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        w->dirs[i] = dirs[i];
    w->count = count;
    w->limit_bytes = min_free_bytes;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    (void)look(w);
    if (thread_start(&w->thread, "disk-watch", run, w)) {
        watch_free(w);
        return NULL;
    }
    return w;
}

void disk_watch_stop(struct disk_watch *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->stop);
    pthread_mutex_unlock(&w->lock);
    thread_join(&w->thread);
    watch_free(w);
}
