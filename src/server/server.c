#include "server/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "base/qsbr.h"
#include "protocol/errors.h"
#include "server/broker.h"
#include "server/listeners.h"
#include "server/live_config.h"
#include "server/producer_ids.h"
#include "server/quorum.h"
#include "server/registration.h"
#include "storage/log_dir.h"
#include "storage/log_manager.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MESSAGE_BYTES        512
#define FETCH_SESSION_AGE_MS 120000 // KIP-227: one that was not used for so long gives way
#define STOP_BOUND_MS        5000
#define LEAVE_TRIES          3 // heartbeats of a controlled shutdown
#define FLUSH_THREADS        2
#define METADATA_LOG         "__cluster_metadata-0"

// Everything that starts, in the order in which it does.
struct server {
    const struct broker_config *config;
    struct broker broker;
    struct api_table apis;
    struct log_dir **dirs;
    size_t dirs_count, metadata_dir;
    struct uuid *dir_ids; // of log.dirs
    struct listeners listeners;
    struct registration registration;
    struct qsbr_thread main_thread;
    struct qsbr_thread *reactor_threads;

    const struct image *loading; // while the logs are loaded
    pthread_mutex_t following;   // guards `hosting` and the replica manager's changes
    bool hosting;                // the replica manager follows the metadata
    char message[MESSAGE_BYTES];
};

// Metadata

static void topic_config(void *arg, const struct image *image, struct str topic, struct log_config *out)
{
    struct server *s = arg;
    live_config_of_topic(&s->broker, image, topic, out);
}

// What the log manager asks: while it loads, the settings come from the image that the start holds.
static void log_settings(void *arg, const char *topic, struct log_config *out)
{
    struct server *s = arg;
    topic_config(s, s->loading ? s->loading : image_current(), str_from(topic), out);
}

static void on_metadata_change(void *context, const struct image_changes *changes)
{
    struct server *s = context;
    pthread_mutex_lock(&s->following);
    bool defaults_changed = live_config_follow(&s->broker, changes);
    if (s->hosting)
        replica_manager_apply(s->broker.replicas, changes, defaults_changed);
    pthread_mutex_unlock(&s->following);
}

// Start

static int open_dir(struct server *s, struct str path)
{
    char text[4096];
    snprintf(text, sizeof text, "%.*s", STR_ARG(path));
    int rc = log_dir_open(text, &s->dirs[s->dirs_count], s->message, sizeof s->message);
    s->dirs_count += rc == 0;
    return rc;
}

// The directories of log.dirs, and behind them that of the metadata log where it is none of them.
static int open_dirs(struct server *s)
{
    const struct broker_config *c = s->config;
    s->dirs = calloc(c->log_dir_count + 1, sizeof *s->dirs);
    s->dir_ids = calloc(c->log_dir_count, sizeof *s->dir_ids);
    if (!s->dirs || !s->dir_ids)
        return ERR_NOMEM;
    s->metadata_dir = c->log_dir_count;
    int rc = 0;
    for (size_t i = 0; i < c->log_dir_count && rc == 0; i++) {
        rc = open_dir(s, c->log_dirs[i]);
        if (str_equal(c->log_dirs[i], c->metadata_log_dir))
            s->metadata_dir = i;
    }
    if (rc == 0 && s->metadata_dir == c->log_dir_count)
        rc = open_dir(s, c->metadata_log_dir);
    return rc;
}

static int start_quorum(struct server *s)
{
    struct quorum_params p = {.config = s->config,
                              .dirs = s->dirs,
                              .dirs_count = s->dirs_count,
                              .metadata_dir = s->metadata_dir,
                              .controller_endpoints = s->listeners.controller,
                              .controller_endpoints_count = s->listeners.controller_count,
                              .on_change = on_metadata_change,
                              .context = s};
    int rc = quorum_start(&p, &s->broker.quorum, s->message, sizeof s->message);
    if (rc)
        return rc;
    snprintf(s->broker.cluster_id, sizeof s->broker.cluster_id, "%s", quorum_cluster_id(s->broker.quorum));
    for (size_t i = 0; i < s->config->log_dir_count; i++)
        s->dir_ids[i] = s->dirs[i]->meta.directory_id;
    return 0;
}

static int start_live_config(struct server *s)
{
    pthread_mutex_lock(&s->following);
    qsbr_quiescent(&s->main_thread);
    int rc = live_config_start(&s->broker, image_current());
    pthread_mutex_unlock(&s->following);
    return rc;
}

static int load_logs(struct server *s)
{
    static const char *const skip[] = {METADATA_LOG, NULL};
    const struct broker_config *c = s->config;
    struct image *image = image_ref(image_current());
    s->loading = image;
    struct log_manager_params p = {.dirs = s->dirs,
                                   .dir_count = c->log_dir_count,
                                   .load_threads = broker_config_now(&s->broker)->recovery_threads_per_dir,
                                   .flush_check_ms = c->log_flush_scheduler_interval_ms,
                                   .recovery_checkpoint_ms = c->log_flush_offset_checkpoint_interval_ms,
                                   .start_checkpoint_ms = c->log_flush_start_offset_checkpoint_interval_ms,
                                   .retention_check_ms = c->log_retention_check_interval_ms,
                                   .producer_check_ms = c->producer_id_expiration_check_interval_ms,
                                   .skip = skip,
                                   .config_of = log_settings,
                                   .arg = s};
    int rc = log_manager_open(&p, &s->broker.logs, s->message, sizeof s->message);
    s->loading = NULL;
    image_unref(image);
    return rc;
}

// From here on the replica manager follows the metadata; what changed since the image was read is in the
// current one.
static int host_partitions(struct server *s)
{
    struct replica_manager_params p = {
        .broker_id = s->config->node_id, .logs = s->broker.logs, .config_of = topic_config, .arg = s};
    s->broker.replicas = replica_manager_new(&p);
    if (!s->broker.replicas)
        return ERR_NOMEM;
    pthread_mutex_lock(&s->following);
    qsbr_quiescent(&s->main_thread);
    int rc = replica_manager_load(s->broker.replicas, image_current());
    s->hosting = true;
    pthread_mutex_unlock(&s->following);
    if (rc)
        log_error("server", "some partitions are not served: %s", err_text(rc));
    return log_manager_start(s->broker.logs);
}

// The epoch under which the last run stopped cleanly, when every directory says the same one; else -1. It
// tells the controller that this broker has lost nothing (KIP-966).
static int64_t previous_epoch(const struct server *s)
{
    int64_t epoch = s->dirs[0]->broker_epoch;
    for (size_t i = 0; i < s->config->log_dir_count; i++)
        if (!s->dirs[i]->clean || s->dirs[i]->broker_epoch != epoch)
            return -1;
    return epoch;
}

static int join_cluster(struct server *s)
{
    struct registration *r = &s->registration;
    *r = (struct registration){.broker = &s->broker,
                               .incarnation_id = uuid_random(),
                               .broker_epoch = -1,
                               .previous_epoch = previous_epoch(s),
                               .endpoints = s->listeners.broker,
                               .endpoints_count = s->listeners.broker_count,
                               .log_dirs = s->dir_ids,
                               .log_dirs_count = (uint32_t)s->config->log_dir_count,
                               .fenced = true};
    if (!s->config->is_broker)
        return 0; // its broker epoch stays -1
    int16_t error = registration_register(r);
    bool stop;
    for (int tries = 0; error == E_NONE && r->fenced && tries < 10; tries++)
        error = registration_heartbeat(r, false, &stop);
    if (error == E_NONE && !r->fenced)
        return 0;
    snprintf(s->message, sizeof s->message, "the controller does not accept this broker: %s",
             error == E_NONE ? "it stays fenced" : error_code_name(error));
    return ERR_INVALID;
}

static void reactor_wakes(void *context)
{
    qsbr_online(context);
}

static void reactor_sleeps(void *context)
{
    qsbr_offline(context);
}

static void reactor_hooks(void *context, unsigned index, struct loop_hooks *hooks)
{
    struct broker *b = context;
    struct server *s = container_of(b, struct server, broker);
    struct qsbr_thread *t = &s->reactor_threads[index];
    qsbr_register(t);
    *hooks = (struct loop_hooks){.context = t, .wakes = reactor_wakes, .sleeps = reactor_sleeps};
}

static int open_listeners(struct server *s)
{
    const struct broker_config *c = s->config;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = c->network_threads > 0 ? (unsigned)c->network_threads : cores > 0 ? (unsigned)cores : 1;
    struct reactors_config config = {
        .count = count, .apis = &s->apis, .context = &s->broker, .thread_hooks = reactor_hooks};
    const char *wrong;
    s->reactor_threads = calloc(count, sizeof *s->reactor_threads);
    int rc = s->reactor_threads ? server_limits_of(c, &config.limits, &wrong) : ERR_NOMEM;
    if (rc == ERR_INVALID)
        snprintf(s->message, sizeof s->message, "max.connections.per.ip.overrides: %s is no IP address",
                 wrong);
    handlers_register(&s->apis);
    rc = rc ? rc : reactors_create(&s->broker.reactors, &config);
    server_limits_free(&config.limits);
    return rc ? rc : listeners_open(&s->listeners, c, s->broker.reactors, s->message, sizeof s->message);
}

void server_warn_of_settings(const struct broker_config *config)
{
    struct arena arena;
    arena_init(&arena, 0);
    for (size_t i = 0; i < config->properties.count; i++) {
        struct str warning = broker_config_warning(config, i, &arena);
        if (warning.data)
            log_warn("config", "%.*s", STR_ARG(warning));
        arena_reset(&arena);
    }
    arena_free(&arena);
}

static int start(struct server *s)
{
    const struct broker_config *c = s->config;
    int rc = open_dirs(s);
    rc = rc ? rc : open_listeners(s);
    server_warn_of_settings(c); // after the first line, which says the ports
    rc = rc ? rc : start_quorum(s);
    rc = rc ? rc : start_live_config(s);
    rc = rc ? rc : load_logs(s);
    rc = rc ? rc : host_partitions(s);
    if (rc)
        return rc;
    s->broker.flusher = flusher_start(FLUSH_THREADS);
    s->broker.fetch_sessions = fetch_session_cache_new((size_t)c->fetch_session_slots, FETCH_SESSION_AGE_MS);
    s->broker.producer_ids = producer_ids_new(s->broker.quorum, c->node_id);
    if (!s->broker.flusher || !s->broker.fetch_sessions || !s->broker.producer_ids)
        return ERR_NOMEM;
    rc = join_cluster(s);
    return rc ? rc : reactors_serve(s->broker.reactors);
}

// Stop, in reverse. Every part may be missing.

static void leave_cluster(struct server *s)
{
    bool granted = false;
    if (s->registration.broker_epoch < 0 || !s->config->controlled_shutdown)
        return;
    // First the controller moves the leaders away, then it lets the broker go.
    for (int tries = 0; tries < LEAVE_TRIES && !granted; tries++)
        if (registration_heartbeat(&s->registration, true, &granted) != E_NONE)
            return;
}

static int stop(struct server *s)
{
    int rc = 0;
    if (s->broker.reactors) {
        reactors_stop(s->broker.reactors, STOP_BOUND_MS);
        for (unsigned i = 0; i < reactors_count(s->broker.reactors); i++)
            qsbr_unregister(&s->reactor_threads[i]);
    }
    if (s->broker.quorum) {
        leave_cluster(s);
        quorum_stop(s->broker.quorum);
    }
    flusher_stop(s->broker.flusher);
    replica_manager_free(s->broker.replicas);
    if (s->broker.logs) {
        rc = log_manager_close(s->broker.logs, s->registration.broker_epoch);
        if (s->dirs_count > s->config->log_dir_count)
            log_dir_close(s->dirs[s->metadata_dir]);
    } else {
        for (size_t i = 0; i < s->dirs_count; i++)
            log_dir_close(s->dirs[i]);
    }
    producer_ids_free(s->broker.producer_ids);
    fetch_session_cache_free(s->broker.fetch_sessions);
    if (s->broker.reactors)
        reactors_free(s->broker.reactors);
    live_config_stop(&s->broker);
    listeners_free(&s->listeners);
    free(s->dirs);
    free(s->dir_ids);
    free(s->reactor_threads);
    return rc;
}

// Beats until a signal asks to stop; returns its number.
static int serve(struct server *s, const sigset_t *signals)
{
    int64_t interval_ms = s->config->heartbeat_interval_ms;
    struct timespec wait = {.tv_sec = interval_ms / 1000, .tv_nsec = interval_ms % 1000 * 1000000};
    for (;;) {
        int signal = sigtimedwait(signals, NULL, &wait);
        if (signal > 0)
            return signal;
        if (errno != EAGAIN)
            continue; // interrupted by something else
        bool should_stop;
        if (!s->config->is_broker)
            continue;
        int16_t error = registration_heartbeat(&s->registration, false, &should_stop);
        if (error != E_NONE)
            log_limited(LOG_LEVEL_WARN, "server", "the controller does not take the heartbeat: %s",
                        error_code_name(error));
    }
}

int server_main(const struct broker_config *config)
{
    int64_t started_us = clock_monotonic_us();
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // threads inherit it: the signals come to this thread alone
    struct server s = {.config = config,
                       .broker = {.config = config},
                       .registration.broker_epoch = -1,
                       .following = PTHREAD_MUTEX_INITIALIZER};
    qsbr_register(&s.main_thread);
    int rc = start(&s);
    qsbr_offline(&s.main_thread);
    int status = rc ? 1 : 0;
    if (rc) {
        log_error("server", "cannot start: %s", s.message[0] ? s.message : err_text(rc));
    } else {
        log_info("server", "started in %.1f ms: node %d, cluster %s, %zu partitions",
                 (double)(clock_monotonic_us() - started_us) / 1000, config->node_id, s.broker.cluster_id,
                 replica_manager_count(s.broker.replicas));
        int signal = serve(&s, &signals);
        log_info("server", "stopping: %s", signal == SIGTERM ? "SIGTERM" : "interrupted");
    }
    int64_t stopping_us = clock_monotonic_us();
    rc = stop(&s);
    if (rc) {
        log_error("server", "the stop was not clean: %s; the next start checks the logs", err_text(rc));
        status = 1;
    } else if (status == 0) {
        log_info("server", "stopped in %.1f ms", (double)(clock_monotonic_us() - stopping_us) / 1000);
    }
    qsbr_online(&s.main_thread);
    qsbr_unregister(&s.main_thread);
    return status;
}
