#include "server/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "base/qsbr.h"
#include "os/memory.h"
#include "protocol/errors.h"
#include "server/assignments.h"
#include "server/broker.h"
#include "server/coordinators.h"
#include "server/directories.h"
#include "server/http_server.h"
#include "server/listeners.h"
#include "server/live_config.h"
#include "server/producer_ids.h"
#include "server/quorum.h"
#include "server/registration.h"
#include "storage/log_dir.h"
#include "storage/log_manager.h"
#include "telemetry/telemetry.h"

#include <assert.h>
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

// For the main thread, from this process: one that waits stands for all, and unlike a real-time signal it is
// never refused for want of room.
#define WAKE_SIGNAL SIGUSR1

// Everything that starts, in the order in which it does.
struct server {
    const struct broker_config *config;
    struct broker broker;
    struct api_table apis;
    struct directories dirs;
    struct listeners listeners;
    struct registration registration;
    struct http *http;
    struct qsbr_thread main_thread;
    struct qsbr_thread reactor_threads[REACTORS_MAX];

    const struct image *loading; // while the logs are loaded
    pthread_mutex_t following;   // guards `hosting` and the replica manager's changes
    bool hosting;                // the replica manager follows the metadata
    pthread_t main;              // it waits for signals, WAKE_SIGNAL among them
    atomic_bool moved, metadata_failed;
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

static void follow_client_metrics(struct server *s, const struct image_changes *changes)
{
    bool changed = false;
    for (uint32_t i = 0; i < changes->configs_count; i++) {
        const struct image_config_delta *d = &changes->configs[i];
        changed |= (d->after ? d->after : d->before)->key.type == IMAGE_RESOURCE_CLIENT_METRICS;
    }
    if (changed && telemetry_follow(s->broker.telemetry, changes->after))
        log_error("server", "out of memory: a change of client metrics subscriptions does not count");
}

static void on_metadata_change(void *context, const struct image_changes *changes)
{
    struct server *s = context;
    pthread_mutex_lock(&s->following);
    bool defaults_changed = live_config_follow(&s->broker, changes);
    if (changes->quotas)
        reactors_limit_ips(s->broker.reactors, changes->after);
    follow_client_metrics(s, changes);
    if (s->hosting) {
        replica_manager_apply(s->broker.replicas, changes, defaults_changed);
        coordinators_apply(&s->broker, changes);
    }
    pthread_mutex_unlock(&s->following);
}

// Start

// A directory has failed, or is cordoned now: the main thread looks at what is left and tells the controller.
// Any thread, under any lock.
static void on_directory_changed(void *arg, struct dir_health *health)
{
    struct server *s = arg;
    (void)health;
    pthread_kill(s->main, WAKE_SIGNAL);
}

static void on_metadata_failed(void *context)
{
    struct server *s = context;
    atomic_store(&s->metadata_failed, true);
    pthread_kill(s->main, WAKE_SIGNAL);
}

static void on_misplaced(void *arg)
{
    struct server *s = arg;
    pthread_kill(s->main, WAKE_SIGNAL);
}

// A log lies in another directory now: the controller is to hear. Any thread.
static void on_moved(void *arg)
{
    struct server *s = arg;
    atomic_store(&s->moved, true);
    pthread_kill(s->main, WAKE_SIGNAL);
}

static int open_dirs(struct server *s)
{
    s->broker.dirs = &s->dirs;
    int rc = directories_open(&s->dirs, s->config, s->message, sizeof s->message);
    return rc ? rc : directories_watch(&s->dirs, s->config->storage_min_free_bytes, on_directory_changed, s);
}

static int start_quorum(struct server *s)
{
    struct quorum_params p = {.config = s->config,
                              .dirs = s->dirs.all,
                              .dirs_count = s->dirs.count,
                              .metadata_dir = s->dirs.metadata,
                              .controller_endpoints = s->listeners.controller,
                              .controller_endpoints_count = s->listeners.controller_count,
                              .on_change = on_metadata_change,
                              .on_failed = on_metadata_failed,
                              .context = s};
    int rc = quorum_start(&p, &s->broker.quorum, s->message, sizeof s->message);
    if (rc)
        return rc;
    snprintf(s->broker.cluster_id, sizeof s->broker.cluster_id, "%s", quorum_cluster_id(s->broker.quorum));
    return 0;
}

static int start_live_config(struct server *s)
{
    pthread_mutex_lock(&s->following);
    qsbr_quiescent(&s->main_thread);
    int rc = live_config_start(&s->broker, image_current());
    reactors_limit_ips(s->broker.reactors, image_current());
    rc = rc ? rc : telemetry_follow(s->broker.telemetry, image_current());
    pthread_mutex_unlock(&s->following);
    return rc;
}

static int load_logs(struct server *s)
{
    static const char *const skip[] = {METADATA_LOG, NULL};
    const struct broker_config *c = s->config;
    struct image *image = image_ref(image_current());
    s->loading = image;
    struct log_manager_params p = {.dirs = s->dirs.all,
                                   .dir_count = c->log_dir_count,
                                   .load_threads = broker_config_now(&s->broker)->recovery_threads_per_dir,
                                   .flush_check_ms = c->log_flush_scheduler_interval_ms,
                                   .checkpoint_ms = c->log_flush_offset_checkpoint_interval_ms,
                                   .retention_check_ms = c->log_retention_check_interval_ms,
                                   .retention_first_ms = c->log_initial_task_delay_ms,
                                   .producer_check_ms = c->producer_id_expiration_check_interval_ms,
                                   .cleaner = broker_config_now(&s->broker)->log_cleaner,
                                   .move_threads = c->move_threads,
                                   .move_bytes_per_second =
                                       broker_config_now(&s->broker)->move_bytes_per_second,
                                   .moved = on_moved,
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
    struct replica_manager_params p = {.broker_id = s->config->node_id,
                                       .logs = s->broker.logs,
                                       .config_of = topic_config,
                                       .want_settling = on_misplaced,
                                       .arg = s};
    s->broker.replicas = replica_manager_new(&p);
    if (!s->broker.replicas)
        return ERR_NOMEM;
    pthread_mutex_lock(&s->following);
    qsbr_quiescent(&s->main_thread);
    int rc = replica_manager_load(s->broker.replicas, image_current());
    int coordinators = coordinators_start(&s->broker, image_current());
    s->hosting = true;
    pthread_mutex_unlock(&s->following);
    if (rc)
        log_error("server", "some partitions are not served: %s", err_text(rc));
    return coordinators ? coordinators : log_manager_start(s->broker.logs);
}

static int join_cluster(struct server *s)
{
    struct registration *r = &s->registration;
    *r = (struct registration){.broker = &s->broker,
                               .incarnation_id = uuid_random(),
                               .broker_epoch = -1,
                               .previous_epoch = directories_previous_epoch(&s->dirs),
                               .endpoints = s->listeners.broker,
                               .endpoints_count = s->listeners.broker_count,
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

static struct client_quotas *new_quotas(const struct broker_config *c)
{
    struct client_quotas_config config = {
        .client = {c->quota_window_num, c->quota_window_size_seconds * INT64_C(1000)},
        .controller = {c->controller_quota_window_num,
                       c->controller_quota_window_size_seconds * INT64_C(1000)}};
    return client_quotas_new(&config);
}

static int open_listeners(struct server *s)
{
    const struct broker_config *c = s->config;
    struct reactors_config config = {.count = server_reactors_of(c),
                                     .apis = &s->apis,
                                     .context = &s->broker,
                                     .thread_hooks = reactor_hooks};
    const char *wrong;
    int rc = server_limits_of(c, &config.limits, &wrong);
    if (rc == ERR_INVALID)
        snprintf(s->message, sizeof s->message, "max.connections.per.ip.overrides: %s is no IP address",
                 wrong);
    handlers_register(&s->apis);
    config.quotas = s->broker.quotas = new_quotas(c);
    s->broker.telemetry = telemetry_new(c->telemetry_max_bytes);
    if (!s->broker.quotas || !s->broker.telemetry)
        rc = ERR_NOMEM;
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
    if (rc)
        return rc;
    s->broker.flusher = flusher_start(FLUSH_THREADS);
    if (!s->broker.flusher)
        return ERR_NOMEM;
    rc = host_partitions(s);
    if (rc)
        return rc;
    s->broker.fetch_sessions = fetch_session_cache_new((size_t)c->fetch_session_slots, FETCH_SESSION_AGE_MS);
    s->broker.producer_ids = producer_ids_new(s->broker.quorum, c->node_id);
    if (!s->broker.fetch_sessions || !s->broker.producer_ids)
        return ERR_NOMEM;
    rc = join_cluster(s);
    rc = rc ? rc : reactors_serve(s->broker.reactors);
    return rc ? rc : http_server_start(&s->http, &s->broker, s->message, sizeof s->message);
}

// Stop, in reverse. Every part may be missing.

// The controller hears where those replicas lie that it has elsewhere.
static void tell_places(struct server *s)
{
    struct assignments a = {0};
    qsbr_online(&s->main_thread);
    pthread_mutex_lock(&s->following);
    if (atomic_exchange(&s->moved, false))
        replica_manager_place_again(s->broker.replicas);
    bool any = replica_manager_misplaced(s->broker.replicas, assignments_add, &a);
    pthread_mutex_unlock(&s->following);
    qsbr_offline(&s->main_thread);
    if (any && !assignments_send(&a, &s->broker, s->registration.broker_epoch))
        replica_manager_place_again(s->broker.replicas);
    assignments_free(&a);
}

static void leave_cluster(struct server *s)
{
    bool granted = false;
    if (s->registration.broker_epoch < 0)
        return;
    tell_places(s); // the next start may be without a directory
    if (!s->config->controlled_shutdown)
        return;
    // First the controller moves the leaders away, then it lets the broker go.
    for (int tries = 0; tries < LEAVE_TRIES && !granted; tries++)
        if (registration_heartbeat(&s->registration, true, &granted) != E_NONE)
            return;
}

static int stop(struct server *s)
{
    int rc = 0;
    http_stop(s->http);
    coordinators_stop(&s->broker);
    if (s->broker.reactors) {
        reactors_stop(s->broker.reactors, STOP_BOUND_MS);
        directories_stop_loaders(&s->dirs); // what they still do is done while everything is there
        for (unsigned i = 0; i < reactors_count(s->broker.reactors); i++)
            qsbr_unregister(&s->reactor_threads[i]);
    }
    if (s->broker.quorum) {
        leave_cluster(s);
        quorum_stop(s->broker.quorum);
    }
    flusher_stop(s->broker.flusher);
    replica_manager_free(s->broker.replicas);
    directories_unwatch(&s->dirs);
    if (s->broker.logs)
        rc = log_manager_close(s->broker.logs, s->registration.broker_epoch);
    directories_free(&s->dirs, s->broker.logs != NULL);
    producer_ids_free(s->broker.producer_ids);
    fetch_session_cache_free(s->broker.fetch_sessions);
    if (s->broker.reactors)
        reactors_free(s->broker.reactors);
    coordinators_free(&s->broker);
    client_quotas_free(s->broker.quotas);
    telemetry_free(s->broker.telemetry);
    live_config_stop(&s->broker);
    listeners_free(&s->listeners);
    return rc;
}

// Partitions that were refused room on the disk may find it now.
static void settle_replicas(struct server *s)
{
    if (!s->config->is_broker)
        return;
    qsbr_online(&s->main_thread);
    pthread_mutex_lock(&s->following);
    replica_manager_try_again(s->broker.replicas, image_current());
    pthread_mutex_unlock(&s->following);
    qsbr_offline(&s->main_thread);
    tell_places(s);
}

static void beat(struct server *s)
{
    bool should_stop;
    if (!s->config->is_broker)
        return;
    int16_t error = registration_heartbeat(&s->registration, false, &should_stop);
    if (error != E_NONE)
        log_limited(LOG_LEVEL_WARN, "server", "the controller does not take the heartbeat: %s",
                    error_code_name(error));
}

// Why the broker cannot go on, or NULL.
static const char *fatal(const struct server *s)
{
    const char *why = directories_fatal(&s->dirs);
    return why ? why : atomic_load(&s->metadata_failed) ? "the metadata log cannot be written" : NULL;
}

// Beats until a signal asks to stop; returns its number, or 0 when the disks leave no choice.
static int serve(struct server *s, const sigset_t *signals)
{
    int64_t interval_ms = s->config->heartbeat_interval_ms;
    struct timespec wait = {.tv_sec = interval_ms / 1000, .tv_nsec = interval_ms % 1000 * 1000000};
    for (;;) {
        int signal = sigtimedwait(signals, NULL, &wait);
        if (signal > 0 && signal != WAKE_SIGNAL)
            return signal;
        // Else the time is over, or the wait was cut short (SIGCONT): a beat too early does no harm.
        if (fatal(s))
            return 0;
        if (signal == WAKE_SIGNAL)
            replica_manager_directory_failed(s->broker.replicas);
        settle_replicas(s);
        beat(s); // which also says what is off line
    }
}

int server_main(const struct broker_config *config)
{
    int64_t started_us = clock_monotonic_us();
    sigset_t signals;
    memory_give_back();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, WAKE_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // threads inherit it: the signals come to this thread alone
    struct server s = {.config = config,
                       .broker = {.config = config},
                       .registration.broker_epoch = -1,
                       .main = pthread_self(),
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
        status = signal == 0;
        if (signal == 0)
            log_error("server", "cannot go on: %s", fatal(&s));
        else
            log_info("server", "stopping: %s", signal == SIGTERM ? "SIGTERM" : "interrupted");
    }
    int64_t stopping_us = clock_monotonic_us();
    rc = stop(&s);
    if (rc && status == 0) {
        log_error("server", "the stop was not clean: %s; the next start checks the logs", err_text(rc));
        status = 1;
    } else if (status == 0) {
        log_info("server", "stopped in %.1f ms", (double)(clock_monotonic_us() - stopping_us) / 1000);
    }
    qsbr_online(&s.main_thread);
    qsbr_unregister(&s.main_thread);
    return status;
}
