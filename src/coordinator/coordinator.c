#include "coordinator/shard.h"

#include "base/java_order.h"
#include "base/logger.h"
#include "protocol/errors.h"

#include <stdlib.h>

static void reload(struct shard *s);

struct coordinator *coordinator_new(const struct coordinator_params *params)
{
    struct coordinator *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->params = *params;
    c->reload = reload;
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->to_load);
    return c;
}

static void load_queued(void *context)
{
    struct coordinator *c = context;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        struct list *node = c->stopping ? NULL : list_pop_front(&c->to_load);
        c->loader_runs = node != NULL;
        pthread_mutex_unlock(&c->lock);
        if (!node)
            return;
        shard_load(container_of(node, struct shard, load_node));
    }
}

// [lock] The thread exists only while there is something to load.
static void start_loader(struct coordinator *c)
{
    if (c->stopping || c->loader_runs || list_empty(&c->to_load))
        return;
    if (c->loader_joinable)
        thread_join(&c->loader); // it has nothing left to do but to return
    c->loader_joinable = c->loader_runs = thread_start(&c->loader, "coordinator-load", load_queued, c) == 0;
    if (!c->loader_runs)
        log_error("coordinator", "no thread to load %s: its groups stay unavailable",
                  c->params.machine->topic);
}

static void reload(struct shard *s)
{
    struct coordinator *c = s->coordinator;
    pthread_mutex_lock(&c->lock);
    if (list_empty(&s->load_node))
        list_push_back(&c->to_load, &s->load_node);
    start_loader(c);
    pthread_mutex_unlock(&c->lock);
}

// [lock] The shards are made once: how many there are holds until the next start, as a group belongs to the
// partition that this number says.
static struct shard *need_shards(struct coordinator *c, const struct image_topic *topic)
{
    struct shard *shards = atomic_load(&c->shards);
    if (shards)
        return shards;
    shards = calloc(topic->partitions_count, sizeof *shards);
    if (!shards) {
        log_error("coordinator", "out of memory: %s is not served", c->params.machine->topic);
        return NULL;
    }
    for (uint32_t i = 0; i < topic->partitions_count; i++)
        shard_init(&shards[i], c, (int32_t)i);
    atomic_store(&c->shard_count, (int32_t)topic->partitions_count);
    atomic_store(&c->shards, shards);
    return shards;
}

// [lock]
static void follow(struct coordinator *c, const struct image_topic *topic)
{
    struct shard *shards = need_shards(c, topic);
    int32_t count = atomic_load(&c->shard_count);
    for (uint32_t i = 0; shards && i < topic->partitions_count && (int32_t)i < count; i++) {
        const struct image_partition *p = topic->partitions[i];
        struct shard *s = &shards[i];
        struct partition *hosted = p->leader == c->params.broker_id
                                       ? replica_manager_get(c->params.replicas, &topic->id, (int32_t)i)
                                       : NULL;
        if (!hosted) {
            shard_lose(s, E_NOT_COORDINATOR);
        } else if (shard_gain(s, hosted, p->leader_epoch) && list_empty(&s->load_node)) {
            list_push_back(&c->to_load, &s->load_node);
        }
        partition_unref(hosted);
    }
}

void coordinator_load(struct coordinator *c, const struct image *image)
{
    const struct image_topic *topic = image_topic(image, str_from(c->params.machine->topic));
    pthread_mutex_lock(&c->lock);
    if (topic)
        follow(c, topic);
    start_loader(c);
    pthread_mutex_unlock(&c->lock);
}

static void lose_all(struct coordinator *c, int16_t error)
{
    struct shard *shards = atomic_load(&c->shards);
    for (int32_t i = 0; shards && i < atomic_load(&c->shard_count); i++)
        shard_lose(&shards[i], error);
}

void coordinator_apply(struct coordinator *c, const struct image_changes *changes)
{
    pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < changes->topics_count && !c->stopping; i++) {
        const struct image_topic_delta *d = &changes->topics[i];
        if (d->before && str_is(d->before->name, c->params.machine->topic) && !d->after)
            lose_all(c, E_NOT_COORDINATOR);
        if (d->after && str_is(d->after->name, c->params.machine->topic))
            follow(c, d->after);
    }
    start_loader(c);
    pthread_mutex_unlock(&c->lock);
}

void coordinator_stop(struct coordinator *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stopping = true;
    bool join = c->loader_joinable;
    c->loader_joinable = false;
    pthread_mutex_unlock(&c->lock);
    if (join)
        thread_join(&c->loader);
    lose_all(c, E_COORDINATOR_NOT_AVAILABLE);
}

void coordinator_free(struct coordinator *c)
{
    if (!c)
        return;
    struct shard *shards = atomic_load(&c->shards);
    for (int32_t i = 0; shards && i < atomic_load(&c->shard_count); i++)
        shard_free(&shards[i]);
    free(shards);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int32_t coordinator_shards(struct coordinator *c)
{
    int32_t count = atomic_load(&c->shard_count);
    return count > 0 ? count : c->params.partitions;
}

int32_t coordinator_partition(struct coordinator *c, struct str key)
{
    int32_t hash = (int32_t)java_string_hash(key);
    int32_t positive = hash == INT32_MIN ? 0 : hash < 0 ? -hash : hash;
    return positive % coordinator_shards(c);
}

// NULL: this broker has never led it. With a fresh answer in the request.
static struct shard *find(struct coordinator *c, int32_t shard, struct coordinator_request *request)
{
    struct shard *shards = atomic_load(&c->shards);
    bool exists = shards && shard >= 0 && shard < atomic_load(&c->shard_count);
    request->response = NULL;
    request->error = exists ? E_NONE : E_NOT_COORDINATOR;
    return exists ? &shards[shard] : NULL;
}

bool coordinator_ask(struct coordinator *c, int32_t shard, struct coordinator_request *request)
{
    struct shard *s = find(c, shard, request);
    return !s || shard_ask(s, request);
}

bool coordinator_mark(struct coordinator *c, int32_t shard, const struct transaction_marker *marker,
                      struct coordinator_request *request)
{
    struct shard *s = find(c, shard, request);
    return !s || shard_mark(s, marker, request);
}

int32_t coordinator_epoch(struct coordinator *c, int32_t shard)
{
    struct coordinator_request unasked;
    struct shard *s = find(c, shard, &unasked);
    return s ? shard_epoch(s) : -1;
}

bool coordinator_is_loading(struct coordinator *c, int32_t shard)
{
    struct coordinator_request unasked;
    struct shard *s = find(c, shard, &unasked);
    return s && shard_is_loading(s);
}

static void told(struct coordinator_request *r)
{
    arena_free(&r->arena);
    free(r);
}

void coordinator_tell_all(struct coordinator *c, int kind, const void *message)
{
    struct shard *shards = atomic_load(&c->shards);
    for (int32_t i = 0; shards && i < atomic_load(&c->shard_count); i++) {
        struct coordinator_request *r = state_alloc(sizeof *r);
        r->kind = kind;
        r->message = message;
        r->complete = told;
        r->reply_to = shards[i].home;
        arena_init(&r->arena, 0);
        if (shard_ask(&shards[i], r))
            told(r);
    }
}
