// The background threads: log-flush (recovery points, checkpoints) and log-clean (retention,
// expiry of producers, deletion of files).
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "storage/log_manager_state.h"
#include "storage/log_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#define TICK_MS             1000
#define SLOW_FLUSH_US       500000
#define BACKGROUND_FLUSH_MS 60000
#define CHECKPOINT_MS       5000
#define REAPED_AT_ONCE      64 // files, between two looks at the stop

// Waits until something is wanted, the stop, or the time. Returns false at the stop.
static bool wait_for_work(struct log_manager *m, int64_t ms, bool wants_saves)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&m->work_lock);
    int rc = 0;
    while (!m->stopping && rc != ETIMEDOUT && !(wants_saves && m->saves_waiting))
        rc = pthread_cond_timedwait(&m->work, &m->work_lock, &until);
    bool go_on = !m->stopping;
    pthread_mutex_unlock(&m->work_lock);
    return go_on;
}

static bool stopping(struct log_manager *m)
{
    pthread_mutex_lock(&m->work_lock);
    bool s = m->stopping;
    pthread_mutex_unlock(&m->work_lock);
    return s;
}

// ---------------------------------------------------------------- flushing

struct flush_round {
    struct log_manager *m;
    int64_t now_ms; // wall clock
};

static bool flush_if_due(void *arg, struct managed_log *managed)
{
    struct flush_round *r = arg;
    struct log_dirt dirt;
    struct log_config config;
    log_dirt(managed->log, &dirt);
    if (dirt.messages <= 0 || dirt.oldest_ms == 0)
        return true;
    log_get_config(managed->log, &config);
    int64_t background =
        r->m->params.background_flush_ms ? r->m->params.background_flush_ms : BACKGROUND_FLUSH_MS;
    int64_t limit = config.flush_ms < background ? config.flush_ms : background;
    if (r->now_ms - dirt.oldest_ms < limit)
        return true;
    int64_t started_us = clock_monotonic_us();
    (void)log_flush(managed->log,
                    log_end_offset(managed->log)); // a failure puts the log offline, and is logged
    int64_t took_us = clock_monotonic_us() - started_us;
    atomic_fetch_add(&r->m->flushes, 1);
    atomic_fetch_add(&r->m->flush_us, (uint64_t)took_us);
    if (took_us > SLOW_FLUSH_US)
        atomic_fetch_add(&r->m->slow_flushes, 1);
    return !stopping(r->m);
}

static void flusher(void *arg)
{
    struct log_manager *m = arg;
    int64_t period = m->params.flush_check_ms > 0 && m->params.flush_check_ms < TICK_MS
                         ? m->params.flush_check_ms
                         : TICK_MS;
    int64_t checkpoint_ms = m->params.checkpoint_ms > 0 && m->params.checkpoint_ms < CHECKPOINT_MS
                                ? m->params.checkpoint_ms
                                : CHECKPOINT_MS;
    int64_t next_round = clock_monotonic_ms() + period,
            next_checkpoint = clock_monotonic_ms() + checkpoint_ms;
    for (;;) {
        int64_t now = clock_monotonic_ms();
        if (!wait_for_work(m, next_round > now ? next_round - now : 0, true))
            return;
        log_manager_serve_saves(m);
        now = clock_monotonic_ms();
        if (now < next_round)
            continue;
        struct flush_round r = {m, clock_wall_ms()};
        log_manager_walk(m, flush_if_due, &r);
        if (now >= next_checkpoint) {
            (void)log_manager_checkpoint(m);
            next_checkpoint = now + checkpoint_ms;
        }
        next_round = now + period;
    }
}

// ---------------------------------------------------------------- cleaning

struct clean_round {
    struct log_manager *m;
    int64_t now_ms;
    bool retention, producers;
};

static bool clean_one(void *arg, struct managed_log *managed)
{
    struct clean_round *r = arg;
    size_t removed;
    log_lock(managed->log);
    if (r->retention && !atomic_load(&managed->cleaning)) {
        int rc = log_apply_retention(managed->log, r->now_ms, &removed);
        if (rc && rc != ERR_CLOSED)
            log_warn("storage", "%s: retention failed: %s", log_name(managed->log), err_text(rc));
    }
    if (r->producers)
        log_expire_producers(managed->log, r->now_ms);
    log_unlock(managed->log);
    return !stopping(r->m);
}

static void cleaner(void *arg)
{
    struct log_manager *m = arg;
    int64_t now = clock_monotonic_ms(), retention_ms = m->params.retention_check_ms;
    int64_t first_ms =
        m->params.retention_first_ms < retention_ms ? m->params.retention_first_ms : retention_ms;
    int64_t next_retention = retention_ms > 0 ? now + first_ms : INT64_MAX;
    int64_t producers_ms = m->params.producer_check_ms;
    int64_t next_producers = producers_ms > 0 ? now + producers_ms : INT64_MAX;
    while (wait_for_work(m, TICK_MS, false)) {
        now = clock_monotonic_ms();
        while (reaper_run(m->reaper, now, REAPED_AT_ONCE) == REAPED_AT_ONCE && !stopping(m))
            ; // whatever is due: a log may shed segments faster than any fixed number a second
        struct clean_round r = {m, clock_wall_ms(), now >= next_retention, now >= next_producers};
        if (!r.retention && !r.producers)
            continue;
        log_manager_walk(m, clean_one, &r);
        if (r.retention)
            next_retention = now + retention_ms;
        if (r.producers)
            next_producers = now + producers_ms;
    }
}

int log_manager_start_threads(struct log_manager *m)
{
    int rc = thread_start(&m->flusher, "log-flush", flusher, m);
    if (rc)
        return rc;
    rc = thread_start(&m->cleaner, "log-clean", cleaner, m);
    if (rc) {
        pthread_mutex_lock(&m->work_lock);
        m->stopping = true;
        pthread_cond_broadcast(&m->work);
        pthread_mutex_unlock(&m->work_lock);
        thread_join(&m->flusher);
        return rc;
    }
    m->started = true;
    rc = log_manager_start_cleaning(m);
    rc = rc ? rc : log_manager_start_moving(m);
    if (rc)
        log_manager_stop_threads(m);
    return rc;
}

void log_manager_stop_threads(struct log_manager *m)
{
    log_manager_stop_cleaning(m);
    log_manager_stop_moving(m);
    pthread_mutex_lock(&m->work_lock);
    m->stopping = true;
    pthread_cond_broadcast(&m->work);
    pthread_mutex_unlock(&m->work_lock);
    if (!m->started)
        return;
    thread_join(&m->flusher);
    thread_join(&m->cleaner);
    m->started = false;
}
