// The threads that compact logs (log-compact-N): they choose the dirtiest log, clean it, and write down how
// far.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "storage/cleaner.h"
#include "storage/log_manager_state.h"
#include "storage/log_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REST_MIN_MS 1000

struct clean_thread {
    struct log_manager *m;
    int index;
    struct thread thread;
};

// ---------------------------------------------------------------- waiting

static bool retired(const struct clean_thread *t)
{
    return t->m->cleaning.stopping || t->index >= t->m->cleaning.config.threads;
}

// Waits so long, or until the thread is not wanted any more: then false. With `seen`, until the configuration
// is another than that version, too.
static bool wait_us(struct clean_thread *t, int64_t us, const uint64_t *seen)
{
    struct cleaning *c = &t->m->cleaning;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + us % 1000000 * 1000;
    until.tv_sec += us / 1000000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&c->lock);
    int rc = us > 0 ? 0 : ETIMEDOUT;
    while (!retired(t) && rc != ETIMEDOUT && !(seen && c->version != *seen))
        rc = pthread_cond_timedwait(&c->changed, &c->lock, &until);
    bool go_on = !retired(t);
    pthread_mutex_unlock(&c->lock);
    return go_on;
}

static bool wait_in_round(void *arg, int64_t us)
{
    return wait_us(arg, us, NULL);
}

// ---------------------------------------------------------------- choosing

struct choice {
    struct log_manager *m;
    int64_t now_ms;
    bool found;
    uint8_t key[MANAGED_KEY_BYTES];
    struct cleaner_range range;
};

static void give_up(struct managed_log *managed, int rc)
{
    atomic_store(&managed->uncleanable, true);
    log_error("storage", "%s cannot be compacted (%s): it is left alone until the next start",
              log_name(managed->log), err_text(rc));
}

static bool consider(void *arg, struct managed_log *managed)
{
    struct choice *best = arg;
    struct log_config config;
    struct cleaner_range range;
    if (atomic_load(&managed->cleaning) || atomic_load(&managed->uncleanable) ||
        atomic_load(&managed->moving) || clock_monotonic_ms() < atomic_load(&managed->rests_until_ms))
        return true;
    log_get_config(managed->log, &config);
    if (!config.cleanup_compact)
        return true;
    int rc = cleaner_look(managed->log, best->now_ms, &range);
    if (rc && rc != ERR_CLOSED && rc != ERR_AGAIN && rc != ERR_NOMEM && rc != ERR_IO)
        give_up(managed, rc);
    if (rc == 0 && cleaner_is_due(&range, config.min_cleanable_dirty_ratio) &&
        (!best->found || cleaner_dirty_ratio(&range) > cleaner_dirty_ratio(&best->range))) {
        best->found = true;
        best->range = range;
        memcpy(best->key, managed->key, sizeof best->key);
    }
    return true;
}

// The log, which nobody else cleans and nobody removes until let_go; NULL when another thread was faster.
static struct managed_log *claim(struct log_manager *m, const struct choice *c)
{
    pthread_mutex_lock(&m->lock);
    struct managed_log *managed = map_get(&m->by_key, (struct str){(const char *)c->key, MANAGED_KEY_BYTES});
    if (managed && atomic_exchange(&managed->cleaning, true))
        managed = NULL;
    if (managed && atomic_load(&managed->moving)) { // it was marked, or looks at the mark from now on
        atomic_store(&managed->cleaning, false);
        managed = NULL;
    }
    if (managed)
        managed->busy++;
    pthread_mutex_unlock(&m->lock);
    return managed;
}

static void let_go(struct log_manager *m, struct managed_log *managed)
{
    atomic_store(&managed->cleaning, false);
    log_manager_let_go(m, managed);
}

// ---------------------------------------------------------------- cleaning

static void report(const struct log *log, const struct cleaner_stats *s)
{
    double mb = 1024 * 1024, seconds = (double)s->total_us / 1e6;
    log_info("storage",
             "compacted %s from offset %" PRId64 " to %" PRId64
             ": %zu segments into %zu, %.1f MB into %.1f MB, %" PRId64 " of %" PRId64
             " records stay; %.1f s (%.1f s for %" PRId64 " keys, table %.1f%% full)",
             log_name(log), s->first_dirty, s->end, s->segments, s->groups, (double)s->bytes_read / mb,
             (double)s->bytes_written / mb, s->records_kept, s->records_read, seconds,
             (double)s->map_us / 1e6, s->keys,
             s->keys_most ? 100.0 * (double)s->keys / (double)s->keys_most : 0);
    if (s->keyless)
        log_warn("storage", "%s: compaction dropped %" PRId64 " records without a key", log_name(log),
                 s->keyless);
}

// The same log would be chosen again at once, and the others, whose disk may have room, would never be.
static void rest(struct log_manager *m, struct managed_log *managed)
{
    struct cleaning *c = &m->cleaning;
    pthread_mutex_lock(&c->lock);
    int64_t ms = c->config.backoff_ms;
    pthread_mutex_unlock(&c->lock);
    ms = ms < REST_MIN_MS ? REST_MIN_MS : ms > INT32_MAX ? INT32_MAX : ms;
    atomic_store(&managed->rests_until_ms, clock_monotonic_ms() + ms);
}

static void count_round(struct cleaning *c, const struct cleaner_stats *s)
{
    atomic_fetch_add(&c->rounds, 1);
    atomic_fetch_add(&c->read_bytes, (uint64_t)s->bytes_read);
    atomic_fetch_add(&c->written_bytes, (uint64_t)s->bytes_written);
    atomic_fetch_add(&c->total_us, (uint64_t)s->total_us);
}

static void settle(struct log_manager *m, struct managed_log *managed, int rc,
                   const struct cleaner_stats *stats)
{
    switch (rc) {
    case 0:
        report(managed->log, stats);
        count_round(&m->cleaning, stats);
        (void)log_manager_checkpoint(m);
        break;
    case ERR_AGAIN: // another round begins anew
    case ERR_CLOSED:
    case ERR_STOPPED:
        break;
    case ERR_IO: // the directory is off line by now
        atomic_fetch_add(&m->cleaning.failures, 1);
        break;
    case ERR_NO_SPACE:
    case ERR_NOMEM:
        log_limited(LOG_LEVEL_WARN, "storage", "%s: compaction stopped: %s; another round will try again",
                    log_name(managed->log), err_text(rc));
        atomic_fetch_add(&m->cleaning.failures, 1);
        rest(m, managed);
        break;
    default:
        atomic_fetch_add(&m->cleaning.failures, 1);
        give_up(managed, rc);
        break;
    }
}

static struct cleaner_params params_of(struct clean_thread *t)
{
    struct cleaning *c = &t->m->cleaning;
    pthread_mutex_lock(&c->lock);
    struct log_cleaner_config config = c->config;
    pthread_mutex_unlock(&c->lock);
    int threads = config.threads > 0 ? config.threads : 1;
    return (struct cleaner_params){.keys_bytes = (size_t)(config.keys_bytes / threads),
                                   .load_factor = config.load_factor,
                                   .chunk_bytes = (size_t)config.io_buffer_bytes / (size_t)threads / 2,
                                   .throttle = &c->throttle,
                                   .wait = wait_in_round,
                                   .arg = t};
}

// Cleans the log that needs it most. False when none does, or when a look at the others is not worth it now.
static bool clean_dirtiest(struct clean_thread *t)
{
    struct choice choice = {.m = t->m, .now_ms = clock_wall_ms()};
    struct cleaner_stats stats;
    log_manager_walk(t->m, consider, &choice);
    if (!choice.found)
        return false;
    struct managed_log *managed = claim(t->m, &choice);
    if (!managed)
        return true; // there may be others
    struct cleaner_params params = params_of(t);
    struct cleaner *cleaner = cleaner_new(&params);
    int rc = cleaner ? cleaner_clean(cleaner, managed->log, &choice.range, choice.now_ms, &stats) : ERR_NOMEM;
    cleaner_free(cleaner);
    settle(t->m, managed, rc, &stats);
    let_go(t->m, managed);
    return rc == 0 || rc == ERR_NO_SPACE || rc == ERR_NOMEM;
}

// Compacted logs shed what lies below their start, and old segments where the policy is compact,delete, at
// the cleaner's pace.
static bool apply_retention(void *arg, struct managed_log *managed)
{
    struct log_config config;
    size_t removed;
    (void)arg;
    log_get_config(managed->log, &config);
    if (!config.cleanup_compact || atomic_load(&managed->cleaning))
        return true;
    log_lock(managed->log);
    int rc = log_apply_retention(managed->log, clock_wall_ms(), &removed);
    log_unlock(managed->log);
    if (rc && rc != ERR_CLOSED)
        log_warn("storage", "%s: retention failed: %s", log_name(managed->log), err_text(rc));
    return true;
}

static void run(void *arg)
{
    struct clean_thread *t = arg;
    struct cleaning *c = &t->m->cleaning;
    while (wait_us(t, 0, NULL)) {
        pthread_mutex_lock(&c->lock); // before the look: what changes meanwhile is worth another one
        int64_t backoff_ms = c->config.backoff_ms;
        uint64_t version = c->version;
        pthread_mutex_unlock(&c->lock);
        bool cleaned = clean_dirtiest(t);
        if (t->index == 0)
            log_manager_walk(t->m, apply_retention, NULL);
        if (!cleaned)
            (void)wait_us(t, (backoff_ms < INT32_MAX ? backoff_ms : INT32_MAX) * 1000, &version);
    }
}

// ---------------------------------------------------------------- starting, stopping, changing

int log_manager_init_cleaning(struct log_manager *m)
{
    struct cleaning *c = &m->cleaning;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->change_lock, NULL);
    pthread_cond_init(&c->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    c->config = m->params.cleaner;
    cleaner_throttle_init(&c->throttle, c->config.io_bytes_per_second);
    return 0;
}

void log_manager_free_cleaning(struct log_manager *m)
{
    pthread_mutex_destroy(&m->cleaning.lock);
    pthread_mutex_destroy(&m->cleaning.change_lock);
    pthread_cond_destroy(&m->cleaning.changed);
    cleaner_throttle_free(&m->cleaning.throttle);
}

// Joins the threads that are not wanted any more and starts those that are missing. change_lock held.
static int fit_threads(struct log_manager *m, int wanted)
{
    struct cleaning *c = &m->cleaning;
    while (c->running > wanted) {
        struct clean_thread *t = c->threads[--c->running];
        thread_join(&t->thread);
        free(t);
    }
    if (wanted > c->running) {
        struct clean_thread **p = realloc(c->threads, (size_t)wanted * sizeof(*p));
        if (!p)
            return ERR_NOMEM;
        c->threads = p;
    }
    while (c->running < wanted) {
        char name[16];
        struct clean_thread *t = calloc(1, sizeof *t);
        if (!t)
            return ERR_NOMEM;
        t->m = m;
        t->index = c->running;
        snprintf(name, sizeof name, "log-compact-%u", (unsigned)t->index % 1000);
        int rc = thread_start(&t->thread, name, run, t);
        if (rc) {
            free(t);
            return rc;
        }
        c->threads[c->running++] = t;
    }
    return 0;
}

int log_manager_set_cleaner(struct log_manager *m, const struct log_cleaner_config *config)
{
    struct cleaning *c = &m->cleaning;
    pthread_mutex_lock(&c->change_lock);
    pthread_mutex_lock(&c->lock);
    c->config = *config;
    c->version++;
    bool started = c->started;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    cleaner_throttle_set(&c->throttle, config->io_bytes_per_second);
    int rc = started ? fit_threads(m, config->threads) : 0;
    pthread_mutex_unlock(&c->change_lock);
    return rc;
}

int log_manager_start_cleaning(struct log_manager *m)
{
    struct cleaning *c = &m->cleaning;
    pthread_mutex_lock(&c->change_lock);
    c->started = true;
    int rc = fit_threads(m, c->config.threads);
    pthread_mutex_unlock(&c->change_lock);
    return rc;
}

void log_manager_stop_cleaning(struct log_manager *m)
{
    struct cleaning *c = &m->cleaning;
    pthread_mutex_lock(&c->change_lock);
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    c->started = false;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
    (void)fit_threads(m, 0);
    free(c->threads);
    c->threads = NULL;
    pthread_mutex_unlock(&c->change_lock);
}
