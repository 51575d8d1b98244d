// Making logs: in which directory, and many at once.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_manager_state.h"
#include "storage/log_state.h"

#include <stdio.h>
#include <stdlib.h>

#define NO_DIR SIZE_MAX

// The directory with the id, if it works.
static size_t working_dir(const struct log_manager *m, const struct uuid *id)
{
    for (size_t i = 0; i < m->params.dir_count; i++) {
        const struct log_dir *d = m->dirs[i].dir;
        if (!dir_health_failed(&d->health) && d->has_meta && uuid_equal(&d->meta.directory_id, id))
            return i;
    }
    return NO_DIR;
}

bool log_manager_dir_works(const struct log_manager *m, const struct uuid *id)
{
    return working_dir(m, id) != NO_DIR;
}

bool log_manager_all_dirs_work(const struct log_manager *m)
{
    for (size_t i = 0; i < m->params.dir_count; i++)
        if (dir_health_failed(&m->dirs[i].dir->health))
            return false;
    return true;
}

// Where a new log goes: the directory with the fewest, of those that work; one that is cordoned (KIP-1066) or
// full only where there is no other.
static size_t emptiest_dir(struct log_manager *m)
{
    size_t best = NO_DIR;
    int best_rank = 0;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->params.dir_count; i++) {
        const struct managed_dir *d = &m->dirs[i];
        if (dir_health_failed(&d->dir->health))
            continue;
        int rank = atomic_load(&d->dir->cordoned) ? 2 : dir_health_full(&d->dir->health);
        if (best == NO_DIR || rank < best_rank || (rank == best_rank && d->logs < m->dirs[best].logs)) {
            best = i;
            best_rank = rank;
        }
    }
    pthread_mutex_unlock(&m->lock);
    return best;
}

// The entry of a log that could not be loaded, or NULL. Under the lock.
static struct managed_log *find_failed(struct log_manager *m, const char *topic, int32_t partition)
{
    bool any = false;
    for (size_t i = 0; i < m->params.dir_count; i++)
        any |= m->dirs[i].failed > 0;
    for (size_t i = 0; any && i < m->count; i++) {
        struct managed_log *managed = m->logs[i];
        if (!managed->log && managed->partition == partition && strcmp(managed->topic, topic) == 0)
            return managed;
    }
    return NULL;
}

// ---------------------------------------------------------------- where somebody wants it

#define PREFERRED_MAX 100000

struct preferred_dir {
    size_t dir;
    char name[]; // "topic-partition"
};

void log_manager_prefer(struct log_manager *m, struct str topic, int32_t partition, size_t dir)
{
    struct preferred_dir *p = calloc(1, sizeof *p + topic.size + 16);
    if (!p)
        return;
    int n = snprintf(p->name, topic.size + 16, "%.*s-%d", STR_ARG(topic), partition);
    struct str key = {p->name, (size_t)n};
    p->dir = dir;
    pthread_mutex_lock(&m->lock);
    struct preferred_dir *old = map_remove(&m->preferred, key);
    if (m->preferred.count >= PREFERRED_MAX || map_put(&m->preferred, key, p)) {
        free(old);
        old = p;
    }
    pthread_mutex_unlock(&m->lock);
    free(old);
}

// Finds it, and forgets it. [the manager's lock]
static size_t take_preferred(struct log_manager *m, const char *topic, int32_t partition)
{
    char name[300];
    size_t dir = NO_DIR;
    int n = m->preferred.count ? snprintf(name, sizeof name, "%s-%d", topic, partition) : 0;
    struct preferred_dir *p = n ? map_remove(&m->preferred, (struct str){name, (size_t)n}) : NULL;
    if (p)
        dir = p->dir;
    free(p);
    return dir;
}

void log_manager_free_preferred(struct log_manager *m)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&m->preferred, &i));)
        free(e->value);
    map_free(&m->preferred);
}

// The directory that a new log belongs in: the one that the metadata names, if it works. While one is off
// line, a log that is not there may lie in it, moved when the broker ended.
static size_t wanted_dir(struct log_manager *m, const struct log_creation *c)
{
    size_t named = working_dir(m, &c->directory_id);
    if (c->known && !log_manager_all_dirs_work(m))
        return NO_DIR;
    if (named != NO_DIR)
        return named;
    pthread_mutex_lock(&m->lock);
    size_t preferred = take_preferred(m, c->topic, c->partition);
    pthread_mutex_unlock(&m->lock);
    return preferred != NO_DIR && !dir_health_failed(&m->dirs[preferred].dir->health) ? preferred
                                                                                      : emptiest_dir(m);
}

// Where a new log belongs. One that is there already and could not be loaded is tried again in its place:
// an empty one elsewhere would hide its records.
static int place(struct log_manager *m, const struct log_creation *c, struct managed_log *managed,
                 struct log_params *params)
{
    managed->dir = wanted_dir(m, c);
    pthread_mutex_lock(&m->lock);
    const struct managed_log *failed = find_failed(m, c->topic, c->partition);
    if (failed) {
        managed->dir = failed->dir;
        params->recovery_point = failed->recovery_point;
        params->log_start_offset = failed->log_start;
        params->cleaned_to = failed->cleaned_to;
        managed->first_watermark = failed->first_watermark;
    }
    pthread_mutex_unlock(&m->lock);
    if (managed->dir == NO_DIR || dir_health_failed(&m->dirs[managed->dir].dir->health))
        return ERR_CLOSED;
    params->log_dir = m->dirs[managed->dir].dir->path;
    params->health = &m->dirs[managed->dir].dir->health;
    return 0;
}

// What was in a directory that left log.dirs is gone for clients, as in Kafka; its files are where they were.
static void say_moved(const struct log_manager *m, const struct log_creation *c,
                      const struct managed_log *managed)
{
    const struct log_dir *d = m->dirs[managed->dir].dir;
    char id[UUID_TEXT_BYTES];
    if (!c->known || uuid_is_zero(&c->directory_id) || uuid_equal(&c->directory_id, &d->meta.directory_id))
        return;
    uuid_text(&c->directory_id, id);
    log_warn("storage",
             "%s-%d lay in the log directory with the id %s, which is not among log.dirs any more: it begins "
             "anew, empty, in %s",
             c->topic, c->partition, id, d->path);
}

// [the manager's lock]
static void drop_failed(struct log_manager *m, struct managed_log *failed)
{
    log_manager_take_out(m, failed);
    m->dirs[failed->dir].failed--;
    free(failed->topic);
    free(failed);
}

static void forget_failed(struct log_manager *m, const char *topic, int32_t partition)
{
    pthread_mutex_lock(&m->lock);
    struct managed_log *failed = find_failed(m, topic, partition);
    if (failed)
        drop_failed(m, failed);
    pthread_mutex_unlock(&m->lock);
}

static int set_aside(const struct log_manager *m, const struct managed_log *unnamed)
{
    char from[PATH_MAX], to[PATH_MAX];
    const char *dir = m->dirs[unnamed->dir].dir->path;
    int rc =
        snprintf(from, sizeof from, "%s/%s-%d", dir, unnamed->topic, unnamed->partition) < (int)sizeof from
            ? log_aside_path(str_from(dir), unnamed->topic, unnamed->partition, "-stray", to)
            : ERR_INVALID;
    rc = rc ? rc : file_rename(from, to);
    if (rc)
        log_error("storage", "cannot set %s-%d aside: %s", unnamed->topic, unnamed->partition, err_text(rc));
    else
        log_warn("storage", "%s is not in the metadata: set aside as a stray", from);
    return rc;
}

void log_manager_set_aside_unnamed(struct log_manager *m)
{
    pthread_mutex_lock(&m->lock);
    for (size_t i = m->count; i-- > 0;) { // the last one takes the place of one that goes
        struct managed_log *managed = m->logs[i];
        if (managed->log || !managed->unnamed || set_aside(m, managed))
            continue;
        atomic_store(&m->dirs[managed->dir].renamed, true);
        drop_failed(m, managed);
    }
    pthread_mutex_unlock(&m->lock);
}

// Opens the log where it belongs. A new one, with which a directory turns out to be broken, goes to another.
static int make(struct log_manager *m, const struct log_creation *c, struct managed_log *managed,
                struct log_params *params)
{
    char message[512];
    int rc;
    do {
        message[0] = 0;
        rc = place(m, c, managed, params);
        if (rc)
            return rc;
        rc = log_manager_forget_lines(m, managed->dir, c->topic, c->partition);
        if (rc)
            continue;
        rc = log_open(params, &managed->log, message, sizeof message);
        if (rc)
            log_limited(LOG_LEVEL_ERROR, "storage", "%s", message[0] ? message : err_text(rc));
        dir_health_note(params->health, "cannot make a log in", params->log_dir, rc);
    } while (rc == ERR_IO && !c->known);
    return rc;
}

int log_manager_create(struct log_manager *m, const struct log_creation *c, struct log **out)
{
    struct log_config config;
    *out = log_manager_get(m, &c->topic_id, c->partition);
    if (*out)
        return ERR_EXISTS;
    struct managed_log *managed = calloc(1, sizeof *managed);
    if (!managed)
        return ERR_NOMEM;
    managed_key(&c->topic_id, c->partition, managed->key);
    m->params.config_of(m->params.arg, c->topic, &config);
    struct log_params params = {.topic = c->topic,
                                .partition = c->partition,
                                .topic_id = c->topic_id,
                                .config = &config,
                                .now_ms = clock_wall_ms(),
                                .files = m->files,
                                .reaper = m->reaper};
    int rc = make(m, c, managed, &params);
    if (rc == 0 && (rc = log_manager_add(m, managed)))
        log_close(managed->log, false);
    if (rc) {
        free(managed);
        *out = rc == ERR_EXISTS ? log_manager_get(m, &c->topic_id, c->partition) : NULL;
        return rc;
    }
    *out = managed->log;
    say_moved(m, c, managed);
    forget_failed(m, c->topic, c->partition);
    return 0;
}

// ---------------------------------------------------------------- many at once

// Each new file waits for the file system's journal where others sync theirs all the time; threads wait
// together. They need no processor for that.
#define MAKERS         8
#define LOGS_PER_MAKER 16

struct making {
    struct log_manager *m;
    const struct log_creation *all;
    size_t count;
    atomic_size_t next;
};

static void make_some(void *arg)
{
    struct making *making = arg;
    struct log *unused;
    for (size_t i; (i = atomic_fetch_add(&making->next, 1)) < making->count;)
        (void)log_manager_create(making->m, &making->all[i], &unused);
}

void log_manager_create_many(struct log_manager *m, const struct log_creation *all, size_t count)
{
    struct making making = {.m = m, .all = all, .count = count};
    struct thread helpers[MAKERS - 1];
    size_t wanted = count / LOGS_PER_MAKER, started = 0;
    wanted = wanted < MAKERS ? wanted : MAKERS;
    while (started + 1 < wanted && thread_start(&helpers[started], "log-make", make_some, &making) == 0)
        started++;
    make_some(&making);
    while (started > 0)
        thread_join(&helpers[--started]);
}
