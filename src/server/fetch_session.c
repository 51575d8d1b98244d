#include "server/fetch_session.h"

#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "protocol/errors.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

// One partition of a session. Its key is the topic's id (or name) followed by the partition's number.
struct session_partition {
    struct list
        order; // in the session: partitions that gave records move to the end, so that each gets its turn
    struct fetch_target target;
    int64_t high_watermark, log_start_offset; // as last told to the client
    struct str key;
    char key_bytes[];
};

struct fetch_session {
    struct list used; // in the cache, least recently used first
    pthread_mutex_t lock;
    atomic_int references;
    int32_t id, epoch;
    bool uses_topic_ids, privileged;
    int64_t created_ms, used_ms;
    struct map partitions;
    struct list order;
};

struct fetch_session_cache {
    pthread_mutex_t lock;
    struct map sessions; // by id
    struct list used;
    size_t slots;
    int64_t evict_ms;
};

static size_t key_size(const struct fetch_target *t, bool ids)
{
    return (ids ? sizeof t->topic_id : t->topic.size) + sizeof t->partition;
}

static struct str key_write(const struct fetch_target *t, bool ids, char *out)
{
    size_t n = ids ? sizeof t->topic_id : t->topic.size;
    if (n)
        memcpy(out, ids ? (const void *)&t->topic_id : t->topic.data, n);
    memcpy(out + n, &t->partition, sizeof t->partition);
    return (struct str){out, n + sizeof t->partition};
}

// Session partitions

static struct session_partition *session_find(struct fetch_session *s, const struct fetch_target *t)
{
    char key[sizeof t->partition + 32768]; // a topic's name in a request has at most 32767 bytes
    if (key_size(t, s->uses_topic_ids) > sizeof key)
        return NULL;
    return map_get(&s->partitions, key_write(t, s->uses_topic_ids, key));
}

static int session_add(struct fetch_session *s, const struct fetch_target *t,
                       const struct fetch_outcome *told)
{
    size_t key_bytes = key_size(t, s->uses_topic_ids);
    struct session_partition *p = malloc(sizeof *p + key_bytes);
    if (!p)
        return ERR_NOMEM;
    *p = (struct session_partition){.target = *t, .high_watermark = -1, .log_start_offset = -1};
    p->key = key_write(t, s->uses_topic_ids, p->key_bytes);
    // With ids the name is looked up anew for each request; without, the key holds it.
    p->target.topic = s->uses_topic_ids ? STR_NULL : (struct str){p->key_bytes, t->topic.size};
    if (told) {
        p->high_watermark = told->high_watermark;
        p->log_start_offset = told->log_start_offset;
    }
    if (map_put(&s->partitions, p->key, p)) {
        free(p);
        return ERR_NOMEM;
    }
    list_push_back(&s->order, &p->order);
    return 0;
}

static void session_forget(struct fetch_session *s, const struct fetch_target *t)
{
    struct session_partition *p = session_find(s, t);
    if (!p)
        return;
    map_remove(&s->partitions, p->key);
    list_remove(&p->order);
    free(p);
}

static void session_release(struct fetch_session *s)
{
    if (!s || atomic_fetch_sub(&s->references, 1) != 1)
        return;
    struct list *n;
    while ((n = list_pop_front(&s->order)))
        free(container_of(n, struct session_partition, order));
    map_free(&s->partitions);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

// Applies an incremental request's changes.
static int session_update(struct fetch_session *s, const struct fetch_context_request *r)
{
    for (size_t i = 0; i < r->targets_count; i++) {
        const struct fetch_target *t = &r->targets[i];
        struct session_partition *p = session_find(s, t);
        if (p) {
            struct str name = p->target.topic;
            p->target = *t;
            p->target.topic = name;
        } else if (session_add(s, t, NULL)) {
            return ERR_NOMEM;
        }
    }
    for (size_t i = 0; i < r->forgotten_count; i++)
        session_forget(s, &r->forgotten[i]);
    return 0;
}

// The cache

struct fetch_session_cache *fetch_session_cache_new(size_t slots, int64_t evict_ms)
{
    struct fetch_session_cache *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    pthread_mutex_init(&c->lock, NULL);
    list_init(&c->used);
    c->slots = slots;
    c->evict_ms = evict_ms;
    return c;
}

static void cache_drop(struct fetch_session_cache *c, struct fetch_session *s)
{
    if (map_int_remove(&c->sessions, (uint32_t)s->id)) {
        list_remove(&s->used);
        session_release(s);
    }
}

void fetch_session_cache_free(struct fetch_session_cache *c)
{
    if (!c)
        return;
    while (!list_empty(&c->used))
        cache_drop(c, container_of(list_first(&c->used), struct fetch_session, used));
    map_free(&c->sessions);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

size_t fetch_session_cache_count(struct fetch_session_cache *c)
{
    pthread_mutex_lock(&c->lock);
    size_t n = c->sessions.count;
    pthread_mutex_unlock(&c->lock);
    return n;
}

// Makes room for one session: an unused one goes; else, as KIP-227 ranks them, a smaller one that has had its
// time (a follower's session counts above every consumer's).
static bool cache_make_room(struct fetch_session_cache *c, bool privileged, size_t size, int64_t now_ms)
{
    if (c->sessions.count < c->slots)
        return true;
    if (list_empty(&c->used))
        return false;
    struct fetch_session *oldest = container_of(list_first(&c->used), struct fetch_session, used);
    if (now_ms - oldest->used_ms > c->evict_ms) {
        cache_drop(c, oldest);
        return true;
    }
    struct fetch_session *least = NULL;
    for (struct list *n = list_first(&c->used); n != &c->used; n = n->next) {
        struct fetch_session *s = container_of(n, struct fetch_session, used);
        bool had_its_time = now_ms - s->created_ms > c->evict_ms;
        if (!had_its_time && !(privileged && !s->privileged))
            continue;
        if (!least || s->privileged < least->privileged ||
            (s->privileged == least->privileged && s->partitions.count < least->partitions.count))
            least = s;
    }
    if (!least || least->privileged > privileged ||
        (least->privileged == privileged && least->partitions.count >= size))
        return false;
    cache_drop(c, least);
    return true;
}

static int32_t cache_free_id(const struct fetch_session_cache *c)
{
    for (;;) {
        uint32_t id = 0;
        if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
            return 0;
        id &= INT32_MAX;
        if (id && !map_int_get(&c->sessions, id))
            return (int32_t)id;
    }
}

// A session of all targets of a full request, or 0 when there is no room for it.
static int32_t cache_create(struct fetch_session_cache *c, const struct fetch_context *x,
                            const struct fetch_outcome *outcomes, int64_t now_ms)
{
    struct fetch_session *s = calloc(1, sizeof *s);
    if (!s)
        return 0;
    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->order);
    list_init(&s->used);
    atomic_init(&s->references, 1);
    s->epoch = 1;
    s->uses_topic_ids = x->uses_topic_ids;
    s->privileged = x->from_follower;
    s->created_ms = s->used_ms = now_ms;
    bool complete = true;
    for (size_t i = 0; i < x->targets_count && complete; i++)
        complete = session_add(s, &x->targets[i], &outcomes[i]) == 0;

    pthread_mutex_lock(&c->lock);
    int32_t id = 0;
    if (complete && cache_make_room(c, s->privileged, x->targets_count, now_ms))
        id = cache_free_id(c);
    s->id = id;
    if (id && map_int_put(&c->sessions, (uint32_t)id, s) == 0) {
        list_push_back(&c->used, &s->used);
        atomic_fetch_add(&s->references, 1);
    } else {
        id = 0;
    }
    pthread_mutex_unlock(&c->lock);
    session_release(s);
    return id;
}

// Contexts

// Copies the request's targets with repeated ones merged.
static int context_take_targets(struct fetch_context *x, const struct fetch_context_request *r,
                                struct arena *arena)
{
    x->targets = arena_zalloc(arena, r->targets_count + 1, sizeof *x->targets);
    if (!x->targets)
        return ERR_NOMEM;
    struct map seen = MAP_INIT; // key -> the place of the first mention
    int rc = 0;
    for (size_t i = 0; i < r->targets_count && rc == 0; i++) {
        const struct fetch_target *t = &r->targets[i];
        struct fetch_target *first = NULL;
        if (r->targets_count > 1) {
            char *key = arena_alloc(arena, key_size(t, r->uses_topic_ids));
            if (!key) {
                rc = ERR_NOMEM;
                break;
            }
            struct str k = key_write(t, r->uses_topic_ids, key);
            first = map_get(&seen, k);
            if (!first)
                rc = map_put(&seen, k, &x->targets[x->targets_count]);
        }
        if (first)
            *first = *t;
        else
            x->targets[x->targets_count++] = *t;
    }
    map_free(&seen);
    return rc;
}

static void context_fail(struct fetch_context *x, int16_t error)
{
    x->kind = FETCH_CONTEXT_ERROR;
    x->error = error;
    x->targets_count = 0;
}

// Copies the session's targets in its order. Under the session's lock.
static int context_copy_session(struct fetch_context *x, struct fetch_session *s, struct arena *arena)
{
    x->targets = arena_zalloc(arena, s->partitions.count, sizeof *x->targets);
    if (!x->targets)
        return ERR_NOMEM;
    for (struct list *n = list_first(&s->order); n != &s->order; n = n->next) {
        struct fetch_target *t = &x->targets[x->targets_count++];
        *t = container_of(n, struct session_partition, order)->target;
        if (t->topic.data) { // another request may remove the partition while this one waits
            t->topic = arena_str(arena, t->topic);
            if (!t->topic.data)
                return ERR_NOMEM;
        }
    }
    return 0;
}

// Continues a session. Under the cache's lock.
static int context_continue(struct fetch_context *x, const struct fetch_context_request *r,
                            struct arena *arena)
{
    struct fetch_session *s = map_int_get(&x->cache->sessions, (uint32_t)r->session_id);
    if (!s) {
        context_fail(x, E_FETCH_SESSION_ID_NOT_FOUND);
        return 0;
    }
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    if (s->epoch != r->session_epoch) {
        context_fail(x, E_INVALID_FETCH_SESSION_EPOCH);
    } else if (s->uses_topic_ids != r->uses_topic_ids) {
        context_fail(x, E_FETCH_SESSION_TOPIC_ID_ERROR);
    } else if ((rc = session_update(s, r)) == 0 && s->partitions.count > 0) {
        s->used_ms = r->now_ms;
        list_remove(&s->used);
        list_push_back(&x->cache->used, &s->used);
        s->epoch = s->epoch == INT32_MAX ? 1 : s->epoch + 1;
        x->kind = FETCH_CONTEXT_INCREMENTAL;
        x->epoch = s->epoch;
        x->session = s;
        atomic_fetch_add(&s->references, 1);
        rc = context_copy_session(x, s, arena);
    }
    bool emptied = rc == 0 && x->kind != FETCH_CONTEXT_ERROR && s->partitions.count == 0;
    if (emptied) // requests of it that still wait learn that it is over
        s->epoch = FETCH_SESSION_FINAL_EPOCH;
    pthread_mutex_unlock(&s->lock);
    if (emptied) { // a session of nothing ends; the request is answered without one
        cache_drop(x->cache, s);
        x->kind = FETCH_CONTEXT_SESSIONLESS;
        rc = context_take_targets(x, r, arena);
    }
    return rc;
}

int fetch_context_open(struct fetch_context *x, struct fetch_session_cache *cache,
                       const struct fetch_context_request *r, struct arena *arena)
{
    *x = (struct fetch_context){
        .cache = cache, .uses_topic_ids = r->uses_topic_ids, .from_follower = r->from_follower};
    if (r->session_epoch != FETCH_SESSION_INITIAL_EPOCH && r->session_epoch != FETCH_SESSION_FINAL_EPOCH) {
        pthread_mutex_lock(&cache->lock);
        int rc = context_continue(x, r, arena);
        pthread_mutex_unlock(&cache->lock);
        return rc;
    }
    if (r->session_id != 0) {
        pthread_mutex_lock(&cache->lock);
        struct fetch_session *old = map_int_get(&cache->sessions, (uint32_t)r->session_id);
        if (old)
            cache_drop(cache, old);
        pthread_mutex_unlock(&cache->lock);
    }
    x->kind = r->session_epoch == FETCH_SESSION_FINAL_EPOCH ? FETCH_CONTEXT_SESSIONLESS : FETCH_CONTEXT_FULL;
    return context_take_targets(x, r, arena);
}

// Whether the client has to hear of the partition.
static bool is_news(const struct session_partition *p, const struct fetch_outcome *o)
{
    return o->records_bytes > 0 || o->always || o->error != E_NONE ||
           p->high_watermark != o->high_watermark || p->log_start_offset != o->log_start_offset;
}

// The same; remembers what it is told.
static bool session_partition_news(struct session_partition *p, const struct fetch_outcome *o)
{
    bool news = is_news(p, o);
    p->high_watermark = o->error != E_NONE ? -1 : o->high_watermark; // an error is told again and again
    p->log_start_offset = o->log_start_offset;
    return news;
}

void fetch_context_preview(const struct fetch_context *x, const struct fetch_outcome *outcomes, bool *include)
{
    for (size_t i = 0; i < x->targets_count; i++)
        include[i] = true;
    if (x->kind != FETCH_CONTEXT_INCREMENTAL)
        return;
    struct fetch_session *s = x->session;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < x->targets_count; i++) {
        const struct session_partition *p = s->epoch == x->epoch ? session_find(s, &x->targets[i]) : NULL;
        include[i] = p && is_news(p, &outcomes[i]);
    }
    pthread_mutex_unlock(&s->lock);
}

int32_t fetch_context_throttle(struct fetch_context *x, int16_t *error)
{
    *error = x->error;
    if (x->kind != FETCH_CONTEXT_INCREMENTAL)
        return 0;
    pthread_mutex_lock(&x->session->lock);
    if (x->session->epoch != x->epoch)
        *error = E_INVALID_FETCH_SESSION_EPOCH;
    pthread_mutex_unlock(&x->session->lock);
    return x->session->id;
}

int32_t fetch_context_finish(struct fetch_context *x, const struct fetch_outcome *outcomes, bool *include,
                             int64_t now_ms, int16_t *error)
{
    *error = x->error;
    for (size_t i = 0; i < x->targets_count; i++)
        include[i] = true;
    if (x->kind == FETCH_CONTEXT_FULL)
        return cache_create(x->cache, x, outcomes, now_ms);
    if (x->kind != FETCH_CONTEXT_INCREMENTAL)
        return 0;

    struct fetch_session *s = x->session;
    pthread_mutex_lock(&s->lock);
    if (s->epoch != x->epoch) { // another request of the session came while this one waited
        *error = E_INVALID_FETCH_SESSION_EPOCH;
        memset(include, 0, x->targets_count * sizeof *include);
    } else {
        for (size_t i = 0; i < x->targets_count; i++) {
            struct session_partition *p = session_find(s, &x->targets[i]);
            assert(p); // the epoch is ours, so nobody changed the session
            include[i] = session_partition_news(p, &outcomes[i]);
            if (include[i] && outcomes[i].records_bytes > 0) {
                list_remove(&p->order);
                list_push_back(&s->order, &p->order);
            }
        }
    }
    int32_t id = s->id;
    pthread_mutex_unlock(&s->lock);
    return id;
}

void fetch_context_close(struct fetch_context *x)
{
    session_release(x->session);
    x->session = NULL;
}
