#include "replication/replica_manager.h"

#include "base/error.h"
#include "base/logger.h"
#include "base/map.h"
#include "metadata/record.h"
#include "protocol/errors.h"

#include <stdlib.h>

#define MANY_LOGS 64

// A partition's place: what is hosted, or why it is not.
struct slot {
    struct partition *hosted; // NULL where another broker has it, or it could not be
    bool is_new;              // the replica was new when it could not be: nothing that is off line is its log
    bool off_line;            // it was not, and may lie in a directory that is off line
};

// The partitions of one topic, by number.
struct hosted_topic {
    struct uuid id;
    int32_t count;
    struct slot slots[];
};

struct replica_manager {
    struct replica_manager_params params;
    pthread_rwlock_t lock; // guards the map and its topics; the controller's thread alone writes
    struct map topics;     // hosted_topic by id
    size_t partitions_count;
    struct image *followed; // the last one; it may not have been published yet
    atomic_bool misplaced;  // some lie in another directory than the metadata says
    atomic_size_t unhosted; // that could not be, for want of room or memory: to be tried again
};

struct replica_manager *replica_manager_new(const struct replica_manager_params *params)
{
    struct replica_manager *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->params = *params;
    pthread_rwlock_init(&m->lock, NULL);
    return m;
}

static struct str topic_key(const struct uuid *id)
{
    return (struct str){(const char *)id->bytes, sizeof id->bytes};
}

static struct hosted_topic *topic_get(const struct replica_manager *m, const struct uuid *id)
{
    return map_get(&m->topics, topic_key(id));
}

void replica_manager_free(struct replica_manager *m)
{
    if (!m)
        return;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&m->topics, &i));) {
        struct hosted_topic *t = e->value;
        for (int32_t k = 0; k < t->count; k++) {
            if (t->slots[k].hosted) {
                partition_close(t->slots[k].hosted);
                partition_unref(t->slots[k].hosted);
            }
        }
        free(t);
    }
    map_free(&m->topics);
    image_unref(m->followed);
    pthread_rwlock_destroy(&m->lock);
    free(m);
}

// Makes room for a topic of `count` partitions; keeps what is hosted. Under no lock; the controller's thread.
static struct hosted_topic *topic_resize(struct replica_manager *m, const struct uuid *id, int32_t count)
{
    struct hosted_topic *old = topic_get(m, id);
    if (old && old->count >= count)
        return old;
    struct hosted_topic *t = calloc(1, sizeof *t + (size_t)count * sizeof t->slots[0]);
    if (!t)
        return NULL;
    t->id = *id;
    t->count = count;
    pthread_rwlock_wrlock(&m->lock);
    if (old) {
        memcpy(t->slots, old->slots, (size_t)old->count * sizeof t->slots[0]);
        map_remove(&m->topics, topic_key(&old->id));
    }
    int rc = map_put(&m->topics, topic_key(&t->id), t);
    pthread_rwlock_unlock(&m->lock);
    if (rc) { // only a first insertion can fail: after a removal there is room
        free(t);
        return NULL;
    }
    free(old);
    return t;
}

static bool hosted_here(const struct replica_manager *m, const struct image_partition *p)
{
    for (uint32_t i = 0; i < p->replicas_count; i++)
        if (p->replicas[i] == m->params.broker_id)
            return true;
    return false;
}

// Where the metadata has this broker's replica.
static struct uuid directory_of(const struct replica_manager *m, const struct image_partition *p)
{
    for (uint32_t i = 0; i < p->replicas_count; i++)
        if (p->replicas[i] == m->params.broker_id)
            return p->directories[i];
    return (struct uuid){{0}};
}

static bool is_no_directory(const struct uuid *id)
{
    return uuid_equal(id, &DIRECTORY_UNASSIGNED) || uuid_equal(id, &DIRECTORY_MIGRATING) ||
           uuid_equal(id, &DIRECTORY_LOST);
}

// known: the replica was there before this change of the metadata.
static int open_log(struct replica_manager *m, const struct image_topic *topic,
                    const struct image_partition *p, bool known, struct log **out)
{
    *out = log_manager_get(m->params.logs, &topic->id, p->id);
    if (*out)
        return 0;
    char name[256];
    if (topic->name.size >= sizeof name)
        return ERR_INVALID;
    memcpy(name, topic->name.data, topic->name.size);
    name[topic->name.size] = 0;
    struct uuid said = directory_of(m, p);
    struct log_creation creation = {.topic = name,
                                    .topic_id = topic->id,
                                    .partition = p->id,
                                    .directory_id = is_no_directory(&said) ? (struct uuid){{0}} : said,
                                    .known = known};
    int rc = log_manager_create(m->params.logs, &creation, out);
    if (rc == 0 && uuid_equal(&said, &DIRECTORY_LOST) && log_end_offset(*out) == 0)
        log_warn("replication",
                 "%s lay in a log directory that was off line and is not among log.dirs any more: it begins "
                 "anew, empty",
                 log_name(*out));
    return rc == ERR_EXISTS ? 0 : rc;
}

// Whether the log lies in another directory than the metadata says, and in which (may be NULL).
static bool is_misplaced(const struct replica_manager *m, const struct partition *p, struct uuid *actual)
{
    struct uuid id = log_manager_directory_id(m->params.logs, p->log);
    if (actual)
        *actual = id;
    return !uuid_is_zero(&id) && !uuid_equal(&id, &p->said_directory);
}

// Whether the metadata has the replica, whose log is in no directory that works, where it could be reached:
// the broker ended before the controller heard of the directory that is off line now.
static bool is_lost(const struct replica_manager *m, const struct image_partition *p)
{
    struct uuid said = directory_of(m, p);
    return !uuid_equal(&said, &DIRECTORY_LOST) &&
           (is_no_directory(&said) || log_manager_dir_works(m->params.logs, &said));
}

static void note_misplaced(struct replica_manager *m, const struct image *image)
{
    if (image->metadata_version >= METADATA_VERSION_DIRECTORIES && !atomic_exchange(&m->misplaced, true) &&
        m->params.want_settling)
        m->params.want_settling(m->params.arg);
}

// Hosts one partition, or brings its leadership up to date.
static int host(struct replica_manager *m, const struct image *image, const struct image_topic *topic,
                struct hosted_topic *t, const struct image_partition *p, bool known)
{
    if (p->id >= t->count || !hosted_here(m, p))
        return 0;
    struct partition *hosted = t->slots[p->id].hosted;
    if (!hosted) {
        struct log *log;
        int rc = open_log(m, topic, p, known, &log);
        if (rc)
            return rc;
        hosted = partition_new(topic->name, &topic->id, p->id, log, m->params.broker_id);
        if (!hosted)
            return ERR_NOMEM;
        struct log_config config;
        m->params.config_of(m->params.arg, image, topic->name, &config);
        partition_set_config(hosted, &config);
        pthread_rwlock_wrlock(&m->lock);
        t->slots[p->id].hosted = hosted;
        m->partitions_count++;
        pthread_rwlock_unlock(&m->lock);
    }
    partition_set_replicas(hosted, (int32_t)p->replicas_count);
    hosted->said_directory = directory_of(m, p);
    if (is_misplaced(m, hosted, NULL))
        note_misplaced(m, image);
    return partition_set_leader(hosted, p->leader, p->leader_epoch, (int32_t)p->isr_count);
}

// known: none of the replicas is new, also where `before` is not given.
static int host_topic(struct replica_manager *m, const struct image *image, const struct image_topic *topic,
                      const struct image_topic *before, bool known)
{
    struct hosted_topic *t = topic_resize(m, &topic->id, (int32_t)topic->partitions_count);
    if (!t)
        return ERR_NOMEM;
    int rc = 0;
    for (uint32_t i = 0; i < topic->partitions_count; i++) {
        bool was_there = before && i < before->partitions_count;
        if (was_there && before->partitions[i] == topic->partitions[i])
            continue;
        // A replica that comes to this broker is new, too: whatever lies in a directory that is off line is
        // not it.
        struct slot *slot = &t->slots[i];
        bool is_known = (known || (was_there && hosted_here(m, before->partitions[i]))) && !slot->is_new;
        int one = host(m, image, topic, t, topic->partitions[i], is_known);
        slot->is_new = one && !is_known;
        slot->off_line = one == ERR_CLOSED && is_known;
        if (slot->off_line && is_lost(m, topic->partitions[i]))
            note_misplaced(m, image);
        if (one == 0 || one == ERR_CLOSED) // off line with its directory, which has been said
            continue;
        atomic_fetch_add(&m->unhosted, 1);
        log_limited(LOG_LEVEL_ERROR, "replication", "cannot host %.*s-%u: %s", STR_ARG(topic->name), i,
                    err_text(one));
        rc = rc ? rc : one;
    }
    return rc;
}

// Takes a topic away: no request finds it any more, those that wait are answered, its directories are
// renamed.
static void drop_topic(struct replica_manager *m, const struct image_topic *topic)
{
    pthread_rwlock_wrlock(&m->lock);
    struct hosted_topic *t = map_remove(&m->topics, topic_key(&topic->id));
    for (int32_t i = 0; t && i < t->count; i++)
        m->partitions_count -= t->slots[i].hosted != NULL;
    pthread_rwlock_unlock(&m->lock);
    if (!t)
        return;
    for (int32_t i = 0; i < t->count; i++) {
        struct partition *p = t->slots[i].hosted;
        if (!p)
            continue;
        partition_close(p);
        int rc = log_manager_remove(m->params.logs, p->log, LOG_REMOVE_DELETE);
        if (rc == ERR_CLOSED)
            log_warn("replication", "%s is deleted while its directory is off line: the files stay there",
                     log_name(p->log));
        else if (rc)
            log_error("replication", "cannot delete %s: %s", log_name(p->log), err_text(rc));
        p->owns_log = true; // the last reader of the partition frees it
        partition_unref(p);
    }
    free(t);
}

struct strays {
    struct replica_manager *m;
    const struct image *image;
};

static void set_aside_if_unknown(void *arg, struct log *log)
{
    const struct strays *s = arg;
    struct replica_manager *m = s->m;
    struct uuid id = log_topic_id(log);
    const struct image_topic *topic = image_topic_by_id(s->image, &id);
    const struct image_partition *p = topic ? image_partition(topic, log_partition(log)) : NULL;
    if (p && hosted_here(m, p))
        return;
    log_warn("replication", "%s is not in the metadata (or its topic was made anew): set aside as a stray",
             log_name(log));
    int rc = log_manager_remove(m->params.logs, log, LOG_REMOVE_SET_ASIDE);
    if (rc)
        log_error("replication", "cannot set %s aside: %s", log_name(log), err_text(rc));
    log_close(log, false);
}

static void follow(struct replica_manager *m, const struct image *image)
{
    image_unref(m->followed);
    m->followed = image_ref(image);
}

int replica_manager_load(struct replica_manager *m, const struct image *image)
{
    int rc = 0;
    follow(m, image);
    // Strays first: one may lie where a topic of the same name has its place.
    log_manager_each(m->params.logs, set_aside_if_unknown, &(struct strays){m, image});
    log_manager_sync_removals(m->params.logs);
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    for (const struct image_topic *t; (t = hamt_next(&w));) {
        int one = host_topic(m, image, t, NULL, true);
        rc = rc ? rc : one;
    }
    log_manager_set_aside_unnamed(m->params.logs);
    log_manager_sync_removals(m->params.logs);
    return rc;
}

static void apply_config(struct replica_manager *m, const struct image *image, struct str name)
{
    const struct image_topic *topic = image_topic(image, name);
    struct hosted_topic *t = topic ? topic_get(m, &topic->id) : NULL;
    if (!t)
        return;
    struct log_config config;
    m->params.config_of(m->params.arg, image, name, &config);
    for (int32_t i = 0; i < t->count; i++)
        if (t->slots[i].hosted)
            partition_set_config(t->slots[i].hosted, &config);
}

static void apply_every_config(struct replica_manager *m, const struct image *image)
{
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    for (const struct image_topic *t; (t = hamt_next(&w));)
        apply_config(m, image, t->name);
}

// ---------------------------------------------------------------- many logs that are to be made

struct creations {
    struct log_creation *items;
    size_t count, capacity;
    struct arena arena; // their names
};

static int add_creation(struct creations *c, const struct log_creation *one)
{
    if (c->count == c->capacity) {
        size_t capacity = c->capacity ? c->capacity * 2 : 256;
        struct log_creation *grown = realloc(c->items, capacity * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        c->items = grown;
        c->capacity = capacity;
    }
    c->items[c->count++] = *one;
    return 0;
}

// The new partitions of one topic.
static int add_creations(struct replica_manager *m, struct creations *c, const struct image_topic_delta *d)
{
    uint32_t known = d->before ? d->before->partitions_count : 0;
    char *name = arena_alloc(&c->arena, d->after->name.size + 1);
    int rc = name ? 0 : ERR_NOMEM;
    if (name) {
        memcpy(name, d->after->name.data, d->after->name.size);
        name[d->after->name.size] = 0;
    }
    for (uint32_t i = known; rc == 0 && i < d->after->partitions_count; i++) {
        const struct image_partition *p = d->after->partitions[i];
        if (hosted_here(m, p))
            rc = add_creation(c, &(struct log_creation){.topic = name,
                                                        .topic_id = d->after->id,
                                                        .partition = p->id,
                                                        .directory_id = directory_of(m, p)});
    }
    return rc;
}

// Of many new partitions the logs are made beforehand, by several threads. What is missing then is made one
// by one, or said to be missing, where they are hosted.
static void make_logs(struct replica_manager *m, const struct image_changes *changes)
{
    struct creations c = {0};
    int rc = 0;
    arena_init(&c.arena, 0);
    for (uint32_t i = 0; rc == 0 && i < changes->topics_count; i++)
        if (changes->topics[i].change != IMAGE_TOPIC_DELETED)
            rc = add_creations(m, &c, &changes->topics[i]);
    if (rc == 0 && c.count >= MANY_LOGS)
        log_manager_create_many(m->params.logs, c.items, c.count);
    arena_free(&c.arena);
    free(c.items);
}

void replica_manager_apply(struct replica_manager *m, const struct image_changes *changes,
                           bool defaults_changed)
{
    bool dropped = false;
    follow(m, changes->after);
    for (uint32_t i = 0; i < changes->topics_count; i++) {
        if (changes->topics[i].change == IMAGE_TOPIC_DELETED)
            drop_topic(m, changes->topics[i].before);
        dropped |= changes->topics[i].change == IMAGE_TOPIC_DELETED;
    }
    if (dropped)
        log_manager_sync_removals(m->params.logs);
    make_logs(m, changes);
    for (uint32_t i = 0; i < changes->topics_count; i++) {
        const struct image_topic_delta *d = &changes->topics[i];
        if (d->change != IMAGE_TOPIC_DELETED)
            host_topic(m, changes->after, d->after, d->before, false);
    }
    if (defaults_changed) {
        apply_every_config(m, changes->after);
        return;
    }
    for (uint32_t i = 0; i < changes->configs_count; i++) {
        const struct image_config *c =
            changes->configs[i].after ? changes->configs[i].after : changes->configs[i].before;
        if (c->key.type == IMAGE_RESOURCE_TOPIC)
            apply_config(m, changes->after, c->key.name);
    }
}

void replica_manager_try_again(struct replica_manager *m, const struct image *image)
{
    if (atomic_exchange(&m->unhosted, 0) == 0)
        return;
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    for (const struct image_topic *t; (t = hamt_next(&w));) {
        const struct hosted_topic *hosted = topic_get(m, &t->id);
        bool whole = hosted && hosted->count >= (int32_t)t->partitions_count;
        for (uint32_t i = 0; whole && i < t->partitions_count; i++)
            whole = hosted->slots[i].hosted || !hosted_here(m, t->partitions[i]);
        if (!whole)
            (void)host_topic(m, image, t, NULL, true);
    }
}

// Whether the controller is to hear where the replica is, and where.
static bool is_to_be_said(const struct replica_manager *m, const struct slot *slot,
                          const struct image_partition *p, struct uuid *where)
{
    if (slot->hosted)
        return is_misplaced(m, slot->hosted, where);
    *where = DIRECTORY_LOST;
    return slot->off_line && is_lost(m, p);
}

bool replica_manager_misplaced(struct replica_manager *m,
                               void (*fn)(void *arg, const struct replica_place *place), void *arg)
{
    struct map_entry *e;
    if (!atomic_exchange(&m->misplaced, false))
        return false;
    for (size_t i = 0; (e = map_next(&m->topics, &i));) {
        const struct hosted_topic *t = e->value;
        const struct image_topic *topic = image_topic_by_id(m->followed, &t->id);
        for (int32_t k = 0; topic && k < t->count && k < (int32_t)topic->partitions_count; k++) {
            struct replica_place place = {.topic_id = t->id, .partition = k};
            if (is_to_be_said(m, &t->slots[k], topic->partitions[k], &place.directory_id))
                fn(arg, &place);
        }
    }
    return true;
}

void replica_manager_place_again(struct replica_manager *m)
{
    atomic_store(&m->misplaced, true);
}

void replica_manager_directory_failed(struct replica_manager *m)
{
    struct map_entry *e;
    pthread_rwlock_rdlock(&m->lock);
    for (size_t i = 0; (e = map_next(&m->topics, &i));) {
        const struct hosted_topic *t = e->value;
        for (int32_t k = 0; k < t->count; k++)
            if (t->slots[k].hosted && log_is_offline(t->slots[k].hosted->log))
                partition_wake_all(t->slots[k].hosted);
    }
    pthread_rwlock_unlock(&m->lock);
}

void replica_manager_visit(struct replica_manager *m, void (*fn)(void *arg, struct partition *p), void *arg)
{
    struct map_entry *e;
    pthread_rwlock_rdlock(&m->lock);
    for (size_t i = 0; (e = map_next(&m->topics, &i));) {
        const struct hosted_topic *t = e->value;
        for (int32_t k = 0; k < t->count; k++)
            if (t->slots[k].hosted)
                fn(arg, t->slots[k].hosted);
    }
    pthread_rwlock_unlock(&m->lock);
}

struct partition *replica_manager_get(struct replica_manager *m, const struct uuid *topic_id,
                                      int32_t partition)
{
    struct partition *p = NULL;
    pthread_rwlock_rdlock(&m->lock);
    const struct hosted_topic *t = topic_get(m, topic_id);
    if (t && partition >= 0 && partition < t->count && t->slots[partition].hosted)
        p = partition_ref(t->slots[partition].hosted);
    pthread_rwlock_unlock(&m->lock);
    return p;
}

struct partition *replica_manager_find(struct replica_manager *m, const struct image_topic *topic,
                                       int32_t partition, int16_t *error)
{
    const struct image_partition *known = topic ? image_partition(topic, partition) : NULL;
    *error = E_UNKNOWN_TOPIC_OR_PARTITION;
    if (!known)
        return NULL;
    struct partition *p = NULL;
    pthread_rwlock_rdlock(&m->lock);
    const struct hosted_topic *t = topic_get(m, &topic->id);
    bool followed = t && partition < t->count; // the manager has heard of it, and not of its end
    if (followed && t->slots[partition].hosted)
        p = partition_ref(t->slots[partition].hosted);
    pthread_rwlock_unlock(&m->lock);
    if (p)
        *error = E_NONE;
    else if (t)
        *error = followed && hosted_here(m, known) ? E_KAFKA_STORAGE_ERROR : E_NOT_LEADER_OR_FOLLOWER;
    return p;
}

size_t replica_manager_count(struct replica_manager *m)
{
    pthread_rwlock_rdlock(&m->lock);
    size_t n = m->partitions_count;
    pthread_rwlock_unlock(&m->lock);
    return n;
}
