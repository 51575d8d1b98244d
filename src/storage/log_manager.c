#include "storage/log_manager.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/checkpoint.h"
#include "storage/log_manager_state.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_BYTES 300 // "topic-partition"

// ---------------------------------------------------------------- the set of logs

void managed_key(const struct uuid *topic_id, int32_t partition, uint8_t key[MANAGED_KEY_BYTES])
{
    memcpy(key, topic_id->bytes, 16);
    store_be32(key + 16, (uint32_t)partition);
}

static struct str key_of(const struct managed_log *managed)
{
    return (struct str){(const char *)managed->key, MANAGED_KEY_BYTES};
}

int log_manager_add(struct log_manager *m, struct managed_log *managed)
{
    int rc = 0;
    pthread_mutex_lock(&m->lock);
    if (m->count == m->capacity) {
        size_t capacity = m->capacity ? m->capacity * 2 : 64;
        struct managed_log **p = realloc(m->logs, capacity * sizeof(*p));
        if (!p)
            rc = ERR_NOMEM;
        else
            m->logs = p, m->capacity = capacity;
    }
    if (rc == 0 && managed->log) {
        if (map_get(&m->by_key, key_of(managed)))
            rc = ERR_EXISTS;
        else
            rc = map_put(&m->by_key, key_of(managed), managed);
    }
    if (rc == 0) {
        m->logs[m->count++] = managed;
        m->dirs[managed->dir].logs++;
        m->dirs[managed->dir].failed += managed->log == NULL;
    }
    pthread_mutex_unlock(&m->lock);
    return rc;
}

struct managed_log *log_manager_hold(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES])
{
    pthread_mutex_lock(&m->lock);
    struct managed_log *managed = map_get(&m->by_key, (struct str){(const char *)key, MANAGED_KEY_BYTES});
    if (managed)
        managed->busy++;
    pthread_mutex_unlock(&m->lock);
    return managed;
}

void log_manager_let_go(struct log_manager *m, struct managed_log *managed)
{
    pthread_mutex_lock(&m->lock);
    if (--managed->busy <= 1) // one: who moves it waits for the others
        pthread_cond_broadcast(&m->idle);
    pthread_mutex_unlock(&m->lock);
}

static struct managed_log *find(struct log_manager *m, const struct log *log)
{
    uint8_t key[MANAGED_KEY_BYTES];
    struct uuid id = log_topic_id(log);
    managed_key(&id, log_partition(log), key);
    return map_get(&m->by_key, (struct str){(const char *)key, sizeof key});
}

struct log *log_manager_get(struct log_manager *m, const struct uuid *topic_id, int32_t partition)
{
    uint8_t key[MANAGED_KEY_BYTES];
    managed_key(topic_id, partition, key);
    pthread_mutex_lock(&m->lock);
    struct managed_log *managed = map_get(&m->by_key, (struct str){(const char *)key, sizeof key});
    struct log *log = managed ? managed->log : NULL;
    pthread_mutex_unlock(&m->lock);
    return log;
}

void log_manager_walk(struct log_manager *m, bool (*fn)(void *arg, struct managed_log *log), void *arg)
{
    bool go_on = true;
    for (size_t i = 0; go_on; i++) {
        pthread_mutex_lock(&m->lock);
        struct managed_log *managed = i < m->count ? m->logs[i] : NULL;
        bool end = managed == NULL;
        if (managed && !managed->log)
            managed = NULL;
        if (managed)
            managed->busy++;
        pthread_mutex_unlock(&m->lock);
        if (end)
            return;
        if (!managed)
            continue;
        go_on = fn(arg, managed);
        log_manager_let_go(m, managed);
    }
}

void log_manager_each(struct log_manager *m, void (*fn)(void *arg, struct log *log), void *arg)
{
    pthread_mutex_lock(&m->lock);
    struct log **copy = malloc((m->count + 1) * sizeof(*copy));
    size_t count = 0;
    for (size_t i = 0; copy && i < m->count; i++)
        if (m->logs[i]->log)
            copy[count++] = m->logs[i]->log;
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < count; i++)
        fn(arg, copy[i]);
    free(copy);
}

static uint64_t bit_of(const char *name, size_t *word)
{
    uint64_t hash = hash_bytes(name, strlen(name)) % (NAME_SET_WORDS * 64);
    *word = hash / 64;
    return (uint64_t)1 << hash % 64;
}

void log_manager_note_gone(struct log_manager *m, size_t dir, const char *name)
{
    size_t word;
    uint64_t bit = bit_of(name, &word);
    m->dirs[dir].gone.words[word] |= bit;
}

static int name_of(const char *topic, int32_t partition, char out[NAME_BYTES])
{
    return snprintf(out, NAME_BYTES, "%s-%d", topic, partition) < NAME_BYTES ? 0 : ERR_INVALID;
}

void log_manager_take_out(struct log_manager *m, const struct managed_log *managed)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->logs[i] != managed)
            continue;
        m->logs[i] = m->logs[--m->count];
        break;
    }
    m->dirs[managed->dir].logs--;
    char name[NAME_BYTES];
    if (managed->log)
        log_manager_note_gone(m, managed->dir, managed->log->name);
    else if (name_of(managed->topic, managed->partition, name) == 0)
        log_manager_note_gone(m, managed->dir, name);
}

static void forget(struct log_manager *m, struct managed_log *managed)
{
    pthread_mutex_lock(&m->lock);
    while (managed->busy)
        pthread_cond_wait(&m->idle, &m->lock);
    map_remove(&m->by_key, key_of(managed));
    log_manager_take_out(m, managed);
    pthread_mutex_unlock(&m->lock);
    free(managed);
}

int log_manager_remove(struct log_manager *m, struct log *log, enum log_removal how)
{
    pthread_mutex_lock(&m->lock);
    struct managed_log *managed = find(m, log);
    pthread_mutex_unlock(&m->lock);
    if (!managed || managed->log != log)
        return ERR_NOT_FOUND;
    log_lock(log);
    int rc = how == LOG_REMOVE_DELETE ? log_delete(log) : log_make_stray(log);
    log_unlock(log);
    atomic_store(&m->dirs[managed->dir].renamed, true);
    log_manager_forget_move(m, managed->key);
    forget(m, managed); // even when the rename failed: the log is gone from the metadata
    return rc;
}

void log_manager_sync_removals(struct log_manager *m)
{
    for (size_t i = 0; i < m->params.dir_count; i++) {
        const struct log_dir *d = m->dirs[i].dir;
        if (atomic_exchange(&m->dirs[i].renamed, false) && !dir_health_failed(&d->health))
            (void)file_sync_dir(d->path); // what a crash brings back, the next start sets aside
    }
}

int64_t log_manager_checkpointed_watermark(struct log_manager *m, const struct log *log)
{
    pthread_mutex_lock(&m->lock);
    const struct managed_log *managed = find(m, log);
    int64_t offset = managed ? managed->first_watermark : 0;
    pthread_mutex_unlock(&m->lock);
    return offset;
}

struct visit {
    void (*fn)(void *arg, size_t dir, struct log *log);
    void *arg;
};

static bool visit_one(void *arg, struct managed_log *managed)
{
    const struct visit *v = arg;
    v->fn(v->arg, managed->dir, managed->log);
    return true;
}

void log_manager_visit(struct log_manager *m, void (*fn)(void *arg, size_t dir, struct log *log), void *arg)
{
    log_manager_walk(m, visit_one, &(struct visit){fn, arg});
}

size_t log_manager_dir_count(const struct log_manager *m)
{
    return m->params.dir_count;
}

void log_manager_dir(const struct log_manager *m, size_t dir, struct log_manager_dir *out)
{
    const struct managed_dir *d = &m->dirs[dir];
    *out = (struct log_manager_dir){d->dir->path, dir_health_failed(&d->dir->health),
                                    atomic_load(&d->dir->cordoned)};
}

const struct log_dir *log_manager_dir_of(struct log_manager *m, const struct log *log)
{
    pthread_mutex_lock(&m->lock);
    const struct managed_log *managed = find(m, log);
    const struct log_dir *dir = managed ? m->dirs[managed->dir].dir : NULL;
    pthread_mutex_unlock(&m->lock);
    return dir;
}

struct uuid log_manager_directory_id(struct log_manager *m, const struct log *log)
{
    const struct log_dir *dir = log_manager_dir_of(m, log);
    return dir ? dir->meta.directory_id : (struct uuid){{0}};
}

void log_manager_counts(struct log_manager *m, struct log_manager_counts *out)
{
    *out = (struct log_manager_counts){.open_files = file_cache_open_count(m->files),
                                       .flushes = atomic_load(&m->flushes),
                                       .slow_flushes = atomic_load(&m->slow_flushes),
                                       .flush_us_total = atomic_load(&m->flush_us),
                                       .cleanings = atomic_load(&m->cleaning.rounds),
                                       .failed_cleanings = atomic_load(&m->cleaning.failures),
                                       .cleaner_read_bytes = atomic_load(&m->cleaning.read_bytes),
                                       .cleaner_written_bytes = atomic_load(&m->cleaning.written_bytes),
                                       .cleaner_us_total = atomic_load(&m->cleaning.total_us),
                                       .moves = log_manager_moves_under_way(m),
                                       .moves_done = atomic_load(&m->moving.done),
                                       .moved_bytes = atomic_load(&m->moving.bytes)};
    pthread_mutex_lock(&m->lock);
    out->logs = m->count;
    for (size_t i = 0; i < m->count; i++) {
        out->offline_logs += !m->logs[i]->log || log_is_offline(m->logs[i]->log);
        out->uncleanable_logs += atomic_load(&m->logs[i]->uncleanable);
    }
    pthread_mutex_unlock(&m->lock);
}

// ---------------------------------------------------------------- checkpoints

enum { RECOVERY_POINTS, LOG_STARTS, WATERMARKS, CLEANED, FLUSHED_SIZES, CHECKPOINT_KINDS };
#define ALL_KINDS ((1U << CHECKPOINT_KINDS) - 1)

static const char *const checkpoint_names[CHECKPOINT_KINDS] = {
    CHECKPOINT_RECOVERY_POINT, CHECKPOINT_LOG_START, CHECKPOINT_HIGH_WATERMARK, CHECKPOINT_CLEANER,
    CHECKPOINT_FLUSHED_SIZE};

static void add_arrival(struct checkpoint_writer w[CHECKPOINT_KINDS], const struct arrival *a)
{
    checkpoint_writer_add(&w[RECOVERY_POINTS], a->topic, a->partition, a->recovery_point);
    checkpoint_writer_add(&w[LOG_STARTS], a->topic, a->partition, a->log_start);
    checkpoint_writer_add(&w[WATERMARKS], a->topic, a->partition, a->watermark);
    if (a->cleaned_to > 0)
        checkpoint_writer_add(&w[CLEANED], a->topic, a->partition, a->cleaned_to);
}

// One log's lines. Kafka's log start checkpoint names only logs that start behind their first segment.
static void add_lines(struct checkpoint_writer w[CHECKPOINT_KINDS], const struct managed_log *managed)
{
    if (!managed->log) {
        checkpoint_writer_add(&w[RECOVERY_POINTS], managed->topic, managed->partition,
                              managed->recovery_point);
        if (managed->log_start > 0)
            checkpoint_writer_add(&w[LOG_STARTS], managed->topic, managed->partition, managed->log_start);
        checkpoint_writer_add(&w[WATERMARKS], managed->topic, managed->partition, managed->first_watermark);
        if (managed->cleaned_to > 0)
            checkpoint_writer_add(&w[CLEANED], managed->topic, managed->partition, managed->cleaned_to);
        return;
    }
    struct log *log = managed->log;
    pthread_mutex_lock(&log->publish);
    int64_t point = log->recovery_point, start = log->log_start, watermark = log->high_watermark.offset;
    int64_t first = log->segments[0]->base_offset, cleaned_to = log->cleaned_to;
    // Without a snapshot nobody would see that a transaction is open before the log is loaded.
    bool tells = log->first_unstable < 0 || atomic_load(&log->has_snapshots);
    int64_t flushed_size = tells && point == log->end ? atomic_load(&log_active(log)->size_bytes) : -1;
    pthread_mutex_unlock(&log->publish);
    checkpoint_writer_add(&w[RECOVERY_POINTS], log->topic, log->partition, point);
    if (start > first)
        checkpoint_writer_add(&w[LOG_STARTS], log->topic, log->partition, start);
    checkpoint_writer_add(&w[WATERMARKS], log->topic, log->partition, watermark);
    if (cleaned_to > 0)
        checkpoint_writer_add(&w[CLEANED], log->topic, log->partition, cleaned_to);
    if (flushed_size >= 0)
        checkpoint_writer_add(&w[FLUSHED_SIZES], log->topic, log->partition, flushed_size);
}

static void move_names(struct name_set *to, struct name_set *from)
{
    for (size_t i = 0; i < NAME_SET_WORDS; i++)
        to->words[i] |= from->words[i];
    *from = (struct name_set){{0}};
}

// Those that are gone are in none of the files once all of these are written.
static void collect_lines(struct log_manager *m, size_t dir, unsigned kinds,
                          struct checkpoint_writer w[CHECKPOINT_KINDS])
{
    struct managed_dir *d = &m->dirs[dir];
    pthread_mutex_lock(&m->lock);
    if (kinds == ALL_KINDS)
        move_names(&d->going, &d->gone);
    for (size_t i = 0; i < m->count; i++)
        if (m->logs[i]->dir == dir)
            add_lines(w, m->logs[i]);
    pthread_mutex_unlock(&m->lock);
    for (struct list *n = list_first(&m->moving.arrivals), *next; list_each(&m->moving.arrivals, n, next);
         n = next) {
        const struct arrival *a = container_of(n, struct arrival, node);
        if (a->dir == dir && !atomic_load(&a->over))
            add_arrival(w, a);
    }
}

static void settle_gone(struct log_manager *m, size_t dir, bool written)
{
    struct managed_dir *d = &m->dirs[dir];
    pthread_mutex_lock(&m->lock);
    if (written)
        d->going = (struct name_set){{0}};
    else
        move_names(&d->gone, &d->going);
    pthread_mutex_unlock(&m->lock);
}

// The flushed sizes come last, and only behind the others: a file of that size is taken for one that ends at
// its recovery point. [checkpoint_lock]
static int write_checkpoints(struct log_manager *m, size_t dir, unsigned kinds)
{
    struct checkpoint_writer w[CHECKPOINT_KINDS] = {0};
    struct dir_health *health = &m->dirs[dir].dir->health;
    int rc = 0;
    collect_lines(m, dir, kinds, w);
    for (int kind = 0; kind < CHECKPOINT_KINDS; kind++) {
        uint64_t hash = hash_bytes(w[kind].lines.data, w[kind].lines.size) | 1;
        bool wanted = kinds & 1U << kind && hash != m->dirs[dir].written[kind];
        if (!wanted || dir_health_failed(health) || (rc && kind == FLUSHED_SIZES)) {
            buffer_free(&w[kind].lines);
            continue;
        }
        int one = checkpoint_writer_finish(&w[kind], m->dirs[dir].dir->path, checkpoint_names[kind]);
        if (dir_health_note(health, "cannot write", checkpoint_names[kind], one))
            log_limited(LOG_LEVEL_ERROR, "storage", "cannot write %s/%s: %s", m->dirs[dir].dir->path,
                        checkpoint_names[kind], err_text(one));
        else
            m->dirs[dir].written[kind] = hash;
        rc = rc ? rc : one;
    }
    if (kinds == ALL_KINDS)
        settle_gone(m, dir, rc == 0 && !dir_health_failed(health));
    return rc;
}

static int write_everywhere(struct log_manager *m, unsigned kinds)
{
    int rc = 0;
    pthread_mutex_lock(&m->checkpoint_lock);
    for (size_t i = 0; i < m->params.dir_count; i++) {
        int one = dir_health_failed(&m->dirs[i].dir->health) ? 0 : write_checkpoints(m, i, kinds);
        rc = rc ? rc : one;
    }
    pthread_mutex_unlock(&m->checkpoint_lock);
    return rc;
}

int log_manager_checkpoint_arrivals(struct log_manager *m, size_t dir)
{
    int rc = write_checkpoints(m, dir, ALL_KINDS);
    for (struct list *n = list_first(&m->moving.arrivals), *next;
         rc == 0 && list_each(&m->moving.arrivals, n, next); n = next)
        container_of(n, struct arrival, node)->written |= container_of(n, struct arrival, node)->dir == dir;
    return rc;
}

int log_manager_checkpoint(struct log_manager *m)
{
    return write_everywhere(m, ALL_KINDS);
}

int log_manager_checkpoint_starts(struct log_manager *m)
{
    return write_everywhere(m, 1U << LOG_STARTS);
}

static bool may_be_named(struct log_manager *m, size_t dir, const char *name)
{
    size_t word;
    uint64_t bit = bit_of(name, &word);
    pthread_mutex_lock(&m->lock);
    bool named = (m->dirs[dir].gone.words[word] | m->dirs[dir].going.words[word]) & bit;
    pthread_mutex_unlock(&m->lock);
    return named;
}

int log_manager_forget_lines(struct log_manager *m, size_t dir, const char *topic, int32_t partition)
{
    char name[NAME_BYTES];
    int rc = name_of(topic, partition, name);
    if (rc || !may_be_named(m, dir, name))
        return rc;
    pthread_mutex_lock(&m->checkpoint_lock);
    if (may_be_named(m, dir, name)) // still
        rc = write_checkpoints(m, dir, ALL_KINDS);
    pthread_mutex_unlock(&m->checkpoint_lock);
    return rc;
}

// ---------------------------------------------------------------- open

// The directories stay locked: they are whoever's who calls.
static void free_manager(struct log_manager *m)
{
    for (size_t i = 0; i < m->count; i++) {
        if (m->logs[i]->log)
            log_close(m->logs[i]->log, false);
        free(m->logs[i]->topic);
        free(m->logs[i]);
    }
    map_free(&m->by_key);
    free(m->logs);
    free(m->dirs);
    file_cache_free(m->files);
    reaper_free(m->reaper);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->checkpoint_lock);
    pthread_mutex_destroy(&m->work_lock);
    pthread_cond_destroy(&m->idle);
    pthread_cond_destroy(&m->work);
    log_manager_free_cleaning(m);
    log_manager_free_moving(m);
    log_manager_free_preferred(m);
    free(m);
}

static struct log_manager *new_manager(const struct log_manager_params *params)
{
    struct log_manager *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->params = *params;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->checkpoint_lock, NULL);
    pthread_mutex_init(&m->work_lock, NULL);
    pthread_cond_init(&m->idle, NULL);
    pthread_cond_init(&m->work, &monotonic);
    pthread_condattr_destroy(&monotonic);
    list_init(&m->saves);
    log_manager_init_cleaning(m);
    log_manager_init_moving(m);
    m->files = file_cache_new(params->open_files_max ? params->open_files_max : 128);
    m->reaper = reaper_new();
    m->dirs = calloc(params->dir_count, sizeof *m->dirs);
    if (m->files && m->reaper && m->dirs) {
        for (size_t i = 0; i < params->dir_count; i++)
            m->dirs[i].dir = params->dirs[i];
        return m;
    }
    free_manager(m);
    return NULL;
}

static int open_one(struct log_manager *m, size_t i, int64_t now_ms, char *message, size_t message_size)
{
    struct log_dir *dir = m->dirs[i].dir;
    // The marker goes before anything is written, so that no crash finds it beside newer data.
    int rc = log_dir_remove_clean_marker(dir);
    rc = rc ? rc : log_manager_load_dir(m, i, now_ms, message, message_size);
    return rc ? rc : log_dir_note_boot(dir->path);
}

int log_manager_open(const struct log_manager_params *params, struct log_manager **out, char *message,
                     size_t message_size)
{
    int rc = 0;
    int64_t now_ms = clock_wall_ms();
    *out = NULL;
    if (message)
        message[0] = 0;
    struct log_manager *m = new_manager(params);
    if (!m)
        return ERR_NOMEM;
    size_t usable = 0;
    rc = log_manager_mend_moves(m);
    if (rc && message)
        snprintf(message, message_size, "cannot look for moves that were cut short: %s", err_text(rc));
    for (size_t i = 0; rc == 0 && i < params->dir_count; i++) {
        struct log_dir *dir = m->dirs[i].dir;
        if (dir_health_failed(&dir->health))
            continue;
        if (message)
            message[0] = 0;
        rc = open_one(m, i, now_ms, message, message_size);
        usable += rc == 0;
        if (rc && message && !message[0])
            snprintf(message, message_size, "cannot load the logs of %s: %s", dir->path, err_text(rc));
        if (rc == ERR_IO && params->dir_count > 1) { // the others may work
            dir_health_fail(&dir->health, "cannot load the logs of", dir->path, rc);
            rc = 0;
        }
    }
    if (rc == 0 && usable == 0) {
        rc = ERR_IO;
        if (message && !message[0])
            snprintf(message, message_size, "none of the log directories can be used");
    }
    if (rc) {
        free_manager(m);
        return rc;
    }
    log_manager_go_on_moving(m);
    *out = m;
    return 0;
}

int log_manager_start(struct log_manager *m)
{
    return log_manager_start_threads(m);
}

// ---------------------------------------------------------------- close

// Above so many logs with something to flush, one sync of the file system is quicker than several of each
// log.
#define SYNC_WHOLE_FROM 16

struct closing {
    struct log_manager *m;
    bool whole; // the file systems are synced as a whole
    void (*each)(struct closing *c, struct managed_log *managed);
    atomic_size_t next;
    atomic_int error;
    atomic_bool *dir_failed;
};

#define CLOSERS 8 // where new names wait for the file system's journal, they wait together

static void work(void *arg)
{
    struct closing *c = arg;
    for (size_t i; (i = atomic_fetch_add(&c->next, 1)) < c->m->count;)
        if (c->m->logs[i]->log)
            c->each(c, c->m->logs[i]);
}

static void each_log(struct closing *c, void (*each)(struct closing *c, struct managed_log *managed))
{
    struct thread helpers[CLOSERS - 1];
    size_t wanted = c->m->count / 64 < CLOSERS ? c->m->count / 64 : CLOSERS, helped = 0;
    c->each = each;
    atomic_store(&c->next, 0);
    while (helped + 1 < wanted && thread_start(&helpers[helped], "log-close", work, c) == 0)
        helped++;
    work(c);
    while (helped > 0)
        thread_join(&helpers[--helped]);
}

static void fail_dir(struct closing *c, size_t dir, int rc)
{
    atomic_store(&c->error, rc);
    atomic_store(&c->dir_failed[dir], true);
}

// The logs are freed later, when the checkpoints have their numbers.
static void seal(struct closing *c, struct managed_log *managed)
{
    int rc = dir_health_failed(managed->log->health) ? 0 : log_seal(managed->log, !c->whole);
    if (rc)
        fail_dir(c, managed->dir, rc);
}

static void note_sealed(struct closing *c, struct managed_log *managed)
{
    if (atomic_load(&c->dir_failed[managed->dir]) || log_is_offline(managed->log))
        return;
    int named = log_sealed(managed->log);
    if (named < 0)
        fail_dir(c, managed->dir, named);
    else if (named)
        atomic_store(&c->m->dirs[managed->dir].renamed, true);
}

static bool many_to_flush(struct log_manager *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->count && n < SYNC_WHOLE_FROM; i++)
        n += m->logs[i]->log && atomic_load(&m->logs[i]->log->loaded);
    return n >= SYNC_WHOLE_FROM;
}

static void sync_dir(struct closing *c, size_t dir)
{
    const struct log_dir *d = c->m->dirs[dir].dir;
    if (dir_health_failed(&d->health))
        return;
    int rc = file_sync_filesystem(d->path);
    if (rc) {
        log_error("storage", "cannot sync the file system of %s: %s", d->path, err_text(rc));
        fail_dir(c, dir, rc);
    }
}

static int close_logs(struct log_manager *m, atomic_bool *dir_failed)
{
    struct closing c = {.m = m, .whole = many_to_flush(m), .dir_failed = dir_failed};
    each_log(&c, seal);
    for (size_t i = 0; c.whole && i < m->params.dir_count; i++)
        sync_dir(&c, i);
    if (c.whole)
        each_log(&c, note_sealed);
    for (size_t i = 0; i < m->params.dir_count; i++)
        if (atomic_exchange(&m->dirs[i].renamed, false))
            sync_dir(&c, i);
    return atomic_load(&c.error);
}

int log_manager_close(struct log_manager *m, int64_t broker_epoch)
{
    atomic_bool *dir_failed = calloc(m->params.dir_count, sizeof *dir_failed);
    log_manager_stop_threads(m);
    int rc = dir_failed ? close_logs(m, dir_failed) : ERR_NOMEM;
    int one = log_manager_checkpoint(m);
    rc = rc ? rc : one;
    for (size_t i = 0; one == 0 && dir_failed && i < m->params.dir_count; i++) {
        bool clean = !atomic_load(&dir_failed[i]) && !dir_health_failed(&m->dirs[i].dir->health) &&
                     (m->dirs[i].was_clean || m->dirs[i].failed == 0);
        int marked = clean ? log_dir_write_clean_marker(m->dirs[i].dir, broker_epoch) : 0;
        rc = rc ? rc : marked;
    }
    free(dir_failed);
    for (size_t i = 0; i < m->params.dir_count; i++)
        log_dir_close(m->dirs[i].dir);
    free_manager(m);
    return rc;
}
