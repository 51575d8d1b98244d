#include "telemetry/telemetry.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "protocol/errors.h"
#include "storage/compress.h"
#include "telemetry/subscriptions.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEPT_LEAST_MS 60000 // without a word; or three intervals
#define SWEPT_AT_ONCE 64
#define NEVER_MS      (INT64_MIN / 4)

// A client, in one block with its texts.
struct instance {
    struct list node; // least recently heard of first
    struct uuid id;
    struct str client_id, software_name, software_version, address;
    int32_t port;
    int64_t version; // of the subscriptions
    int32_t subscription_id, interval_ms;
    struct str *metrics; // one block with their texts
    size_t metrics_count, metrics_bytes;
    size_t bytes;              // of this block
    int64_t got_ms, pushed_ms; // accepted requests
    bool terminating;
    int16_t last_error; // of a push, since it asked
    int64_t expires_ms;
    int64_t seen_wall_ms, pushed_wall_ms;
    uint64_t pushes;
    struct otlp_value *values; // one block with their texts
    size_t values_count, values_bytes, left_out;
    char texts[];
};

struct telemetry {
    int32_t max_bytes;
    pthread_mutex_t lock; // guards what follows
    struct subscriptions subscriptions;
    int64_t version; // of the subscriptions: grows with each change
    struct map by_id;
    struct list instances;
    size_t instances_bytes, values_bytes;
    uint64_t pushes, push_bytes;
};

struct telemetry *telemetry_new(int32_t max_bytes)
{
    struct telemetry *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->max_bytes = max_bytes;
    pthread_mutex_init(&t->lock, NULL);
    subscriptions_init(&t->subscriptions);
    list_init(&t->instances);
    return t;
}

static void drop_values(struct telemetry *t, struct instance *i)
{
    t->values_bytes -= i->values_bytes;
    free(i->values);
    i->values = NULL;
    i->values_count = i->values_bytes = i->left_out = 0;
}

static struct str key_of(const struct uuid *id)
{
    return (struct str){(const char *)id->bytes, sizeof id->bytes};
}

static void free_instance(struct telemetry *t, struct instance *i)
{
    drop_values(t, i);
    t->instances_bytes -= i->bytes + i->metrics_bytes;
    free(i->metrics);
    free(i);
}

// [lock]
static void forget(struct telemetry *t, struct instance *i)
{
    map_remove(&t->by_id, key_of(&i->id));
    list_remove(&i->node);
    free_instance(t, i);
}

void telemetry_free(struct telemetry *t)
{
    if (!t)
        return;
    while (!list_empty(&t->instances))
        forget(t, container_of(list_first(&t->instances), struct instance, node));
    map_free(&t->by_id);
    subscriptions_free(&t->subscriptions);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

int telemetry_follow(struct telemetry *t, const struct image *image)
{
    struct subscriptions now, before;
    int rc = subscriptions_read(&now, image); // not under the lock: patterns are compiled
    if (rc)
        return rc;
    pthread_mutex_lock(&t->lock);
    before = t->subscriptions;
    t->subscriptions = now;
    t->version++;
    pthread_mutex_unlock(&t->lock);
    subscriptions_free(&before);
    return 0;
}

// ---------------------------------------------------------------- instances

static struct str keep_text(char **at, struct str s)
{
    if (!s.data)
        return STR_NULL;
    char *copy = *at;
    if (s.size)
        memcpy(copy, s.data, s.size);
    *at += s.size;
    return (struct str){copy, s.size};
}

static struct instance *instance_new(const struct uuid *id, const struct telemetry_caller *c)
{
    size_t bytes = sizeof(struct instance) + c->client_id.size + c->software_name.size +
                   c->software_version.size + c->address.size;
    struct instance *i = calloc(1, bytes);
    if (!i)
        return NULL;
    char *at = i->texts;
    list_init(&i->node);
    i->id = *id;
    i->bytes = bytes;
    i->client_id = keep_text(&at, c->client_id);
    i->software_name = keep_text(&at, c->software_name);
    i->software_version = keep_text(&at, c->software_version);
    i->address = keep_text(&at, c->address);
    i->port = c->port;
    return i;
}

// [lock] What the subscriptions ask of it now; it has asked and pushed nothing yet.
static int subscribe(struct telemetry *t, struct instance *i)
{
    char id[UUID_TEXT_BYTES], port[12];
    struct subscribed s;
    struct arena arena;
    size_t bytes = 0;
    uuid_text(&i->id, id);
    snprintf(port, sizeof port, "%d", i->port);
    const struct str attributes[SUBSCRIPTION_ATTRIBUTES] = {
        str_from(id), i->client_id, i->software_name, i->software_version, i->address, str_from(port)};
    arena_init(&arena, 0);
    int rc = subscriptions_of(&t->subscriptions, &i->id, attributes, &arena, &s);
    for (size_t m = 0; rc == 0 && m < s.count; m++)
        bytes += sizeof *s.metrics + s.metrics[m].size;
    struct str *metrics = rc ? NULL : malloc(bytes + 1);
    if (metrics) {
        char *at = (char *)(metrics + s.count);
        for (size_t m = 0; m < s.count; m++)
            metrics[m] = keep_text(&at, s.metrics[m]);
        free(i->metrics);
        t->instances_bytes += bytes - i->metrics_bytes;
        i->metrics = metrics;
        i->metrics_bytes = bytes;
        i->metrics_count = s.count;
        i->subscription_id = s.id;
        i->interval_ms = s.interval_ms;
        i->version = t->version;
        i->got_ms = i->pushed_ms = NEVER_MS;
        i->terminating = false;
        i->last_error = E_NONE;
    }
    arena_free(&arena);
    return metrics ? 0 : ERR_NOMEM;
}

// [lock] Forgets those that were silent for too long, a few at a time, and the longest silent until there are
// at most so many.
static void sweep(struct telemetry *t, int64_t now_ms, size_t most)
{
    int expired = 0;
    while (!list_empty(&t->instances)) {
        struct instance *i = container_of(list_first(&t->instances), struct instance, node);
        bool full = t->by_id.count > most || t->instances_bytes > TELEMETRY_MEMORY_BYTES;
        if (!full && (i->expires_ms > now_ms || expired++ == SWEPT_AT_ONCE))
            return;
        forget(t, i);
    }
}

// [lock]
static struct instance *add(struct telemetry *t, const struct uuid *id, const struct telemetry_caller *caller)
{
    sweep(t, caller->now_ms, TELEMETRY_CLIENTS - 1);
    struct instance *i = instance_new(id, caller);
    if (!i)
        return NULL;
    t->instances_bytes += i->bytes;
    if (subscribe(t, i) == 0 && map_put(&t->by_id, key_of(&i->id), i) == 0)
        return i;
    free_instance(t, i);
    return NULL;
}

// [lock] The client's instance, made where there is none, and made anew where the subscriptions have changed.
// NULL: out of memory.
static struct instance *instance_of(struct telemetry *t, const struct uuid *id,
                                    const struct telemetry_caller *caller, bool *is_new)
{
    struct instance *i = map_get(&t->by_id, key_of(id));
    if (i && i->expires_ms <= caller->now_ms) {
        forget(t, i);
        i = NULL;
    }
    *is_new = !i || i->version < t->version;
    if (!i)
        i = add(t, id, caller);
    else if (*is_new && subscribe(t, i))
        return NULL;
    if (!i)
        return NULL;
    int64_t kept_ms = INT64_C(3) * i->interval_ms;
    i->expires_ms = caller->now_ms + (kept_ms > KEPT_LEAST_MS ? kept_ms : KEPT_LEAST_MS);
    i->seen_wall_ms = caller->wall_ms;
    list_remove(&i->node);
    list_push_back(&t->instances, &i->node);
    return i;
}

// A client asks once an interval, whatever it asked for last; or where it was just told that what it knows is
// not so.
static bool may_get(struct instance *i, int64_t now_ms)
{
    int64_t last_ms = i->got_ms > i->pushed_ms ? i->got_ms : i->pushed_ms;
    if (now_ms - last_ms < i->interval_ms)
        return i->last_error == E_UNKNOWN_SUBSCRIPTION_ID || i->last_error == E_UNSUPPORTED_COMPRESSION_TYPE;
    i->got_ms = now_ms;
    return true;
}

// The first push after a question may come at once: clients spread it over the interval.
static bool may_push(struct instance *i, int64_t now_ms)
{
    if (i->got_ms <= i->pushed_ms && now_ms - i->pushed_ms < i->interval_ms)
        return false;
    i->pushed_ms = now_ms;
    return true;
}

// ---------------------------------------------------------------- requests

static int answer(const struct telemetry *t, const struct instance *i, struct arena *arena,
                  struct telemetry_answer *out)
{
    struct str *metrics = arena_alloc(arena, (i->metrics_count + 1) * sizeof *metrics);
    bool complete = metrics != NULL;
    for (size_t m = 0; complete && m < i->metrics_count; m++) {
        metrics[m] = arena_str(arena, i->metrics[m]);
        complete = metrics[m].data != NULL;
    }
    out->id = i->id;
    out->subscription_id = i->subscription_id;
    out->interval_ms = i->interval_ms;
    out->max_bytes = t->max_bytes;
    out->metrics = metrics;
    out->metrics_count = i->metrics_count;
    return complete ? 0 : ERR_NOMEM;
}

int telemetry_get(struct telemetry *t, const struct uuid *id, const struct telemetry_caller *caller,
                  struct arena *arena, struct telemetry_answer *out)
{
    struct uuid made = uuid_is_zero(id) ? uuid_random() : *id;
    *out = (struct telemetry_answer){.error = E_NONE, .id = made};
    pthread_mutex_lock(&t->lock);
    struct instance *i = instance_of(t, &made, caller, &out->is_new);
    int rc = i ? 0 : ERR_NOMEM;
    if (i && !may_get(i, caller->now_ms))
        out->error = E_THROTTLING_QUOTA_EXCEEDED;
    else if (i) {
        i->last_error = E_NONE;
        rc = answer(t, i, arena, out);
    }
    pthread_mutex_unlock(&t->lock);
    return rc;
}

// In Kafka's order.
static int16_t check(const struct telemetry *t, struct instance *i, const struct telemetry_push *push,
                     int64_t now_ms)
{
    if (i->terminating)
        return E_INVALID_REQUEST;
    if (!may_push(i, now_ms) && !push->terminating)
        return E_THROTTLING_QUOTA_EXCEEDED;
    if (push->subscription_id != i->subscription_id)
        return E_UNKNOWN_SUBSCRIPTION_ID;
    if (push->compression < 0 || push->compression >= COMPRESSION_TYPES)
        return E_UNSUPPORTED_COMPRESSION_TYPE;
    return push->payload.size > (size_t)t->max_bytes ? E_TELEMETRY_TOO_LARGE : E_NONE;
}

static bool is_reserved(const struct uuid *id)
{
    static const struct uuid one = {{[15] = 1}};
    return uuid_is_zero(id) || uuid_equal(id, &one);
}

int16_t telemetry_check(struct telemetry *t, const struct telemetry_push *push,
                        const struct telemetry_caller *caller, bool *is_new)
{
    *is_new = false;
    if (is_reserved(&push->id))
        return E_INVALID_REQUEST;
    pthread_mutex_lock(&t->lock);
    struct instance *i = instance_of(t, &push->id, caller, is_new);
    int16_t error = i ? check(t, i, push, caller->now_ms) : E_UNKNOWN_SERVER_ERROR;
    if (i) {
        i->terminating = push->terminating;
        i->last_error = error;
    }
    pthread_mutex_unlock(&t->lock);
    return error;
}

// The values with their texts as one block; *bytes of it. NULL: out of memory.
static struct otlp_value *copy_values(const struct otlp_values *v, size_t *bytes)
{
    *bytes = v->count * sizeof *v->items + 1;
    for (size_t k = 0; k < v->count; k++)
        *bytes += v->items[k].name.size + v->items[k].attributes.size;
    struct otlp_value *copy = malloc(*bytes);
    if (!copy)
        return NULL;
    char *at = (char *)(copy + v->count);
    for (size_t k = 0; k < v->count; k++) {
        copy[k] = v->items[k];
        copy[k].name = keep_text(&at, v->items[k].name);
        copy[k].attributes = keep_text(&at, v->items[k].attributes);
    }
    return copy;
}

// [lock] Those that were silent for longest lose what they pushed.
static void make_room(struct telemetry *t, size_t bytes)
{
    struct list *next;
    for (struct list *n = list_first(&t->instances);
         t->values_bytes + bytes > TELEMETRY_MEMORY_BYTES && list_each(&t->instances, n, next); n = next)
        drop_values(t, container_of(n, struct instance, node));
}

static void keep(struct telemetry *t, const struct telemetry_push *push, const struct otlp_values *values,
                 int64_t wall_ms)
{
    size_t bytes;
    struct otlp_value *copy = copy_values(values, &bytes);
    pthread_mutex_lock(&t->lock);
    t->pushes++;
    t->push_bytes += push->payload.size;
    struct instance *i = map_get(&t->by_id, key_of(&push->id));
    if (i) {
        drop_values(t, i);
        i->pushes++;
        i->pushed_wall_ms = wall_ms;
    }
    if (i && copy) {
        make_room(t, bytes);
        i->values = copy;
        i->values_count = values->count;
        i->values_bytes = bytes;
        i->left_out = values->left_out;
        t->values_bytes += bytes;
        copy = NULL;
    }
    pthread_mutex_unlock(&t->lock);
    free(copy);
}

int16_t telemetry_take(struct telemetry *t, const struct telemetry_push *push, int64_t wall_ms,
                       struct arena *arena)
{
    struct buffer plain = BUFFER_INIT;
    struct bytes payload = push->payload;
    struct otlp_values values;
    int rc = 0;
    if (payload.size == 0)
        return E_NONE; // Kafka does not call its receiver either
    if (push->compression != COMPRESSION_NONE) {
        rc = decompress_append((enum compression)push->compression, payload,
                               (size_t)t->max_bytes * TELEMETRY_DECODED_FACTOR, &plain);
        payload = (struct bytes){plain.data, plain.size};
    }
    rc = rc ? rc : otlp_read(payload, arena, &values);
    if (rc == 0)
        keep(t, push, &values, wall_ms);
    buffer_free(&plain);
    return rc ? E_INVALID_RECORD : E_NONE;
}

void telemetry_gone(struct telemetry *t, const struct uuid *id)
{
    pthread_mutex_lock(&t->lock);
    struct instance *i = map_get(&t->by_id, key_of(id));
    if (i)
        forget(t, i);
    pthread_mutex_unlock(&t->lock);
}

// ---------------------------------------------------------------- looking

// False: out of memory.
static bool copy_text(struct arena *arena, struct str from, struct str *to)
{
    *to = from.data ? arena_str(arena, from) : STR_NULL;
    return !from.data || to->data;
}

static bool copy_client(const struct instance *i, struct arena *arena, struct telemetry_client *out)
{
    *out = (struct telemetry_client){.id = i->id,
                                     .port = i->port,
                                     .interval_ms = i->interval_ms,
                                     .seen_wall_ms = i->seen_wall_ms,
                                     .pushed_wall_ms = i->pushed_wall_ms,
                                     .pushes = i->pushes,
                                     .count = i->values_count,
                                     .left_out = i->left_out};
    return copy_text(arena, i->client_id, &out->client_id) &&
           copy_text(arena, i->software_name, &out->software_name) &&
           copy_text(arena, i->software_version, &out->software_version) &&
           copy_text(arena, i->address, &out->address);
}

// [lock] Also the values of what it pushed.
static bool copy_pushed(const struct instance *i, struct arena *arena, struct telemetry_client *out)
{
    struct otlp_value *values = arena_alloc(arena, (i->values_count + 1) * sizeof *values);
    bool complete = values != NULL;
    for (size_t k = 0; complete && k < i->values_count; k++) {
        values[k] = i->values[k];
        complete = copy_text(arena, i->values[k].name, &values[k].name) &&
                   copy_text(arena, i->values[k].attributes, &values[k].attributes);
    }
    out->values = values;
    return complete;
}

int telemetry_list(struct telemetry *t, int64_t now_ms, struct arena *arena, struct telemetry_clients *out)
{
    int rc = 0;
    *out = (struct telemetry_clients){.items =
                                          arena_alloc(arena, TELEMETRY_CLIENTS_LISTED * sizeof *out->items)};
    if (!out->items)
        return ERR_NOMEM;
    pthread_mutex_lock(&t->lock);
    sweep(t, now_ms, TELEMETRY_CLIENTS);
    const struct list *n = t->instances.prev; // heard of last
    for (; rc == 0 && n != &t->instances && out->count < TELEMETRY_CLIENTS_LISTED; n = n->prev) {
        const struct instance *i = container_of(n, struct instance, node);
        if (i->expires_ms > now_ms)
            rc = copy_client(i, arena, &out->items[out->count++]) ? 0 : ERR_NOMEM;
    }
    if (n != &t->instances)
        out->left_out = t->by_id.count - out->count;
    pthread_mutex_unlock(&t->lock);
    return rc;
}

int telemetry_find(struct telemetry *t, const struct uuid *id, int64_t now_ms, struct arena *arena,
                   struct telemetry_client *out)
{
    int rc = ERR_NOT_FOUND;
    pthread_mutex_lock(&t->lock);
    const struct instance *i = map_get(&t->by_id, key_of(id));
    if (i && i->expires_ms > now_ms)
        rc = copy_client(i, arena, out) && copy_pushed(i, arena, out) ? 0 : ERR_NOMEM;
    pthread_mutex_unlock(&t->lock);
    return rc;
}

void telemetry_count(struct telemetry *t, int64_t now_ms, struct telemetry_counts *out)
{
    pthread_mutex_lock(&t->lock);
    sweep(t, now_ms, TELEMETRY_CLIENTS);
    *out = (struct telemetry_counts){t->by_id.count, t->pushes, t->push_bytes};
    pthread_mutex_unlock(&t->lock);
}
