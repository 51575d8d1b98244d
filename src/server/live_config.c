#include "server/live_config.h"

#include "base/error.h"
#include "base/logger.h"
#include "base/qsbr.h"
#include "config/topic_config.h"
#include "server/directories.h"
#include "server/dynamic_config.h"
#include "server/limits.h"
#include "server/listeners.h"
#include "server/reactor.h"

#include <stdio.h>
#include <stdlib.h>

// --- who is told ---

static void follow_connections(struct broker *b, const struct broker_config *before,
                               const struct broker_config *now)
{
    struct server_limits limits;
    const char *wrong;
    (void)before;
    int rc = server_limits_of(now, &limits, &wrong);
    if (rc == ERR_INVALID)
        log_warn("config", "max.connections.per.ip.overrides: %s is no IP address", wrong);
    if (rc != ERR_NOMEM)
        rc = reactors_limit_connections(b->reactors, &limits);
    if (rc == ERR_NOMEM)
        log_error("config", "out of memory: not every new limit of connections counts");
    server_limits_free(&limits);
}

static void follow_listeners(struct broker *b, const struct broker_config *before,
                             const struct broker_config *now)
{
    (void)before;
    listeners_follow(now, b->reactors);
}

static void follow_threads(struct broker *b, const struct broker_config *before,
                           const struct broker_config *now)
{
    (void)before;
    int rc = reactors_resize(b->reactors, server_reactors_of(now));
    if (rc)
        log_error("config", "num.network.threads: not every reactor could be started: %s", err_text(rc));
}

static void follow_cleaner(struct broker *b, const struct broker_config *before,
                           const struct broker_config *now)
{
    (void)before;
    int rc =
        b->logs ? log_manager_set_cleaner(b->logs, &now->log_cleaner) : 0; // at the start it is given them
    if (rc)
        log_error("config", "not every cleaner thread could be started: %s", err_text(rc));
}

static void follow_moves(struct broker *b, const struct broker_config *before,
                         const struct broker_config *now)
{
    (void)before;
    if (b->logs)
        log_manager_set_move_rate(b->logs, now->move_bytes_per_second);
}

static void follow_cordoned(struct broker *b, const struct broker_config *before,
                            const struct broker_config *now)
{
    (void)before;
    directories_cordon(b->dirs, now);
}

static void follow_groups(struct broker *b, const struct broker_config *before,
                          const struct broker_config *now)
{
    (void)before;
    group_config_follow(&b->group_config, now); // at the start it is made later, and of the same
}

// Each is called with the configuration before (at the start: as the node was started) and after, on the
// thread that starts the broker or on the controller's; broker_config_now already gives the one after.
static void (*const followers[])(struct broker *b, const struct broker_config *before,
                                 const struct broker_config *now) = {
    follow_listeners, follow_connections, follow_threads, follow_cleaner,
    follow_moves,     follow_cordoned,    follow_groups,
};

// --- snapshots ---

static void free_snapshot(void *thing)
{
    struct live_config *live = thing;
    broker_config_free(&live->config);
    free(live);
}

// NULL when out of memory, or when what was changed does not go together.
static struct live_config *make_snapshot(const struct broker *b, const struct image *image)
{
    struct live_config *live = calloc(1, sizeof *live);
    struct config_layers layers;
    struct arena arena;
    struct str message = STR_NULL;
    if (!live)
        return NULL;
    arena_init(&arena, 0);
    int rc = dynamic_config_layers(image, b->config->node_id, &arena, &layers);
    if (rc == 0)
        rc = broker_config_overlay(&live->config, b->config, &layers, &message);
    if (rc == 0)
        topic_config_resolve(&live->config, NULL, NULL, 0, &live->topic_defaults);
    else
        log_error("config", "the dynamic settings of this broker are not taken over: %.*s",
                  STR_ARG(message.data ? message : str_from(err_text(rc))));
    arena_free(&arena);
    if (rc == 0)
        return live;
    free_snapshot(live);
    return NULL;
}

static void take_over(struct broker *b, struct live_config *live, const struct broker_config *before)
{
    atomic_store_explicit(&b->live, live, memory_order_release);
    for (size_t i = 0; i < sizeof followers / sizeof *followers; i++)
        followers[i](b, before, &live->config);
}

int live_config_start(struct broker *b, const struct image *image)
{
    struct live_config *live = make_snapshot(b, image);
    if (!live) { // a start without what does not go together is better than none
        struct image *none = image_new();
        live = none ? make_snapshot(b, none) : NULL;
        image_unref(none);
    }
    if (!live)
        return ERR_NOMEM;
    take_over(b, live, b->config);
    return 0;
}

static bool concerns(const struct broker *b, const struct image_changes *changes)
{
    char id[12];
    snprintf(id, sizeof id, "%d", b->config->node_id);
    for (uint32_t i = 0; i < changes->configs_count; i++) {
        const struct image_config_delta *d = &changes->configs[i];
        const struct image_config_key *key = d->after ? &d->after->key : &d->before->key;
        if (key->type == IMAGE_RESOURCE_BROKER && (key->name.size == 0 || str_is(key->name, id)))
            return true;
    }
    return false;
}

bool live_config_follow(struct broker *b, const struct image_changes *changes)
{
    struct live_config *before = atomic_load_explicit(&b->live, memory_order_acquire);
    if (!before || !concerns(b, changes))
        return false;
    struct live_config *live = make_snapshot(b, changes->after);
    if (!live)
        return false;
    take_over(b, live, &before->config);
    // Unequal padding costs a look at every topic, no more.
    bool defaults = memcmp(&before->topic_defaults, &live->topic_defaults, sizeof live->topic_defaults) != 0;
    if (qsbr_retire(free_snapshot, before))
        log_error("config", "out of memory: a configuration that was replaced is never freed");
    return defaults;
}

void live_config_of_topic(const struct broker *b, const struct image *image, struct str topic,
                          struct log_config *out)
{
    const struct live_config *live = atomic_load_explicit(&((struct broker *)b)->live, memory_order_acquire);
    const struct config_entry *entries;
    struct arena arena;
    size_t n;
    arena_init(&arena, 0);
    *out = live->topic_defaults;
    if (dynamic_config_entries(image, IMAGE_RESOURCE_TOPIC, topic, &arena, &entries, &n) != 0)
        log_error("config", "out of memory: %.*s has the settings of the broker alone", STR_ARG(topic));
    else if (n > 0)
        topic_config_resolve(&live->config, NULL, entries, n, out);
    arena_free(&arena);
}

void live_config_stop(struct broker *b)
{
    struct live_config *live = atomic_load_explicit(&b->live, memory_order_acquire);
    atomic_store_explicit(&b->live, NULL, memory_order_release);
    if (live)
        free_snapshot(live);
}
