#include "quota/client_quotas.h"

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SHARDS   16
#define SWEEP_MS 5000 // a shard forgets who is idle at most so often, when somebody new comes

// What one client, or all that share a quota, did.
struct sensor {
    struct list idle; // while a shard is swept
    struct quota_rate rate;
    struct quota_bucket bucket;
    double bound; // as last used
    size_t name_bytes;
    char name[]; // kind, user, client id
};

struct shard {
    pthread_mutex_t lock;
    struct map sensors; // by name
    int64_t swept_ms;
};

struct client_quotas {
    struct client_quotas_config config;
    struct shard shards[SHARDS];
};

struct client_quotas *client_quotas_new(const struct client_quotas_config *config)
{
    struct client_quotas *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->config = *config;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&q->shards[i].lock, NULL);
    return q;
}

static void sensor_free(struct sensor *s)
{
    quota_rate_free(&s->rate);
    free(s);
}

void client_quotas_free(struct client_quotas *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        struct map_entry *entry;
        for (size_t k = 0; (entry = map_next(&q->shards[i].sensors, &k));)
            sensor_free(entry->value);
        map_free(&q->shards[i].sensors);
        pthread_mutex_destroy(&q->shards[i].lock);
    }
    free(q);
}

static bool is_idle(const struct client_quotas *q, struct sensor *s, int64_t now_ms)
{
    if (s->name[0] != QUOTA_CONTROLLER_MUTATION_RATE)
        return quota_rate_is_idle(&s->rate, &q->config.client, now_ms);
    const struct quota_window *w = &q->config.controller;
    double most = (double)(w->samples * w->sample_ms) / 1000.0 * s->bound;
    return quota_bucket_tokens(&s->bucket, w, s->bound, now_ms) >= most;
}

// Quota invariant 4.
static void sweep(struct client_quotas *q, struct shard *shard, int64_t now_ms)
{
    if (now_ms - shard->swept_ms < SWEEP_MS)
        return;
    shard->swept_ms = now_ms;
    struct list idle;
    list_init(&idle);
    struct map_entry *entry;
    for (size_t i = 0; (entry = map_next(&shard->sensors, &i));) {
        struct sensor *s = entry->value;
        if (is_idle(q, s, now_ms))
            list_push_back(&idle, &s->idle);
    }
    for (struct list *node; (node = list_pop_front(&idle));) {
        struct sensor *s = container_of(node, struct sensor, idle);
        map_remove(&shard->sensors, (struct str){s->name, s->name_bytes});
        sensor_free(s);
    }
}

static struct sensor *sensor_add(struct client_quotas *q, struct shard *shard, struct str name,
                                 int64_t now_ms)
{
    sweep(q, shard, now_ms);
    struct sensor *s = calloc(1, sizeof *s + name.size);
    if (!s)
        return NULL;
    memcpy(s->name, name.data, name.size);
    s->name_bytes = name.size;
    if (map_put(&shard->sensors, (struct str){s->name, name.size}, s)) {
        free(s);
        return NULL;
    }
    return s;
}

// A user's name and a client id have at most 32767 bytes each.
#define NAME_BYTES (1 + 8 + 2 * 32767)

// The sensor with its shard locked; NULL (out of memory): nothing is locked, and nobody is throttled.
static struct sensor *sensor_lock(struct client_quotas *q, enum image_quota_kind kind,
                                  const struct quota_limit *limit, int64_t now_ms, struct shard **shard)
{
    char text[NAME_BYTES];
    struct str user = limit->shared_with.user, client = limit->shared_with.client_id;
    if (1 + sizeof user.size + user.size + client.size > sizeof text)
        return NULL;
    struct str name = {text, 1 + sizeof user.size};
    text[0] = (char)kind;
    memcpy(text + 1, &user.size, sizeof user.size);
    if (user.size)
        memcpy(text + name.size, user.data, user.size);
    name.size += user.size;
    if (client.size)
        memcpy(text + name.size, client.data, client.size);
    name.size += client.size;

    *shard = &q->shards[hash_bytes(name.data, name.size) % SHARDS];
    pthread_mutex_lock(&(*shard)->lock);
    struct sensor *s = map_get(&(*shard)->sensors, name);
    if (!s)
        s = sensor_add(q, *shard, name, now_ms);
    if (!s)
        pthread_mutex_unlock(&(*shard)->lock);
    else
        s->bound = limit->bound;
    return s;
}

int32_t client_quotas_record(struct client_quotas *q, enum image_quota_kind kind,
                             const struct quota_limit *limit, double value, int64_t now_ms)
{
    struct shard *shard;
    struct sensor *s = sensor_lock(q, kind, limit, now_ms, &shard);
    if (!s)
        return 0;
    const struct quota_window *w = &q->config.client;
    int32_t throttle_ms = 0;
    if (quota_rate_record(&s->rate, w, value, now_ms) == 0)
        throttle_ms = quota_rate_throttle_ms(&s->rate, w, limit->bound, now_ms);
    pthread_mutex_unlock(&shard->lock);
    if (kind == QUOTA_REQUEST_PERCENTAGE && throttle_ms > w->sample_ms)
        throttle_ms = (int32_t)w->sample_ms;
    return throttle_ms;
}

void client_quotas_note(struct client_quotas *q, enum image_quota_kind kind, const struct quota_limit *limit,
                        double value, int64_t now_ms)
{
    struct shard *shard;
    struct sensor *s = sensor_lock(q, kind, limit, now_ms, &shard);
    if (!s)
        return;
    quota_rate_record(&s->rate, &q->config.client, value,
                      now_ms); // what does not fit in memory is not counted
    pthread_mutex_unlock(&shard->lock);
}

double client_quotas_most(const struct client_quotas *q, const struct quota_limit *limit)
{
    const struct quota_window *w = &q->config.client;
    return limit->bound * (double)(w->samples - 1) * ((double)w->sample_ms / 1000.0);
}

int32_t client_quotas_mutate(struct client_quotas *q, const struct quota_limit *limit, bool strict,
                             double partitions, int64_t now_ms)
{
    struct shard *shard;
    struct sensor *s = sensor_lock(q, QUOTA_CONTROLLER_MUTATION_RATE, limit, now_ms, &shard);
    if (!s)
        return 0;
    const struct quota_window *w = &q->config.controller;
    int32_t before_ms = quota_bucket_throttle_ms(&s->bucket, w, limit->bound, now_ms);
    if (!strict || before_ms == 0)
        quota_bucket_take(&s->bucket, w, limit->bound, partitions, now_ms);
    int32_t throttle_ms = strict ? before_ms : quota_bucket_throttle_ms(&s->bucket, w, limit->bound, now_ms);
    pthread_mutex_unlock(&shard->lock);
    return throttle_ms;
}

size_t client_quotas_count(struct client_quotas *q)
{
    size_t count = 0;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&q->shards[i].lock);
        count += q->shards[i].sensors.count;
        pthread_mutex_unlock(&q->shards[i].lock);
    }
    return count;
}
