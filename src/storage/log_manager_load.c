// Loading the logs of a directory, by a few threads.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/checkpoint.h"
#include "storage/log_manager_state.h"
#include "storage/log_state.h"
#include "storage/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct load {
    struct log_manager *m;
    size_t dir;
    const char *path;
    struct checkpoint recovery, start, watermark, cleaned, flushed_size;
    bool clean, same_boot;
    int64_t now_ms;
    char **names; // directories of logs
    size_t count, capacity;
    atomic_size_t next;
    atomic_int error;
    char *message; // for a person; under the manager's lock
    size_t message_size;
};

// ---------------------------------------------------------------- names

// Splits "topic-3" at its last '-'.
static bool parse_name(const char *name, char topic[256], int32_t *partition)
{
    const char *dash = strrchr(name, '-');
    if (!dash || dash == name || (size_t)(dash - name) > 249)
        return false;
    struct str digits = {dash + 1, strlen(dash + 1)};
    int64_t number;
    if (digits.size == 0 || digits.data[0] < '0' || digits.data[0] > '9' || !text_number(&digits, &number) ||
        digits.size || number > INT32_MAX)
        return false;
    memcpy(topic, name, (size_t)(dash - name));
    topic[dash - name] = 0;
    *partition = (int32_t)number;
    return true;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int note_name(void *arg, const char *name)
{
    struct load *l = arg;
    char path[PATH_MAX], topic[256];
    int32_t partition;
    for (const char *const *skip = l->m->params.skip; skip && *skip; skip++)
        if (strcmp(*skip, name) == 0)
            return 0;
    if (ends_in(name, "-delete") && strchr(name, '.')) {
        if (!log_manager_all_dirs_work(l->m)) // what it was moved to may be lost there
            return 0;
        snprintf(path, sizeof path, "%s/%s", l->path, name);
        reaper_add(l->m->reaper, path, 0);
        return 0;
    }
    if (!parse_name(name, topic, &partition))
        return 0;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 64;
        char **p = realloc(l->names, capacity * sizeof *p);
        if (!p)
            return ERR_NOMEM;
        l->names = p;
        l->capacity = capacity;
    }
    l->names[l->count] = strdup(name);
    return l->names[l->count++] ? 0 : ERR_NOMEM;
}

// ---------------------------------------------------------------- one log

// A log that stays where it is: its checkpointed numbers are kept for the next start.
static void keep_failed(struct load *l, struct managed_log *managed, const char *topic, int32_t partition)
{
    managed->topic = strdup(topic);
    managed->partition = partition;
    (void)log_manager_add(l->m, managed);
}

static void say_twice(struct load *l, const char *name, const struct managed_log *managed)
{
    pthread_mutex_lock(&l->m->lock);
    const struct managed_log *other =
        map_get(&l->m->by_key, (struct str){(const char *)managed->key, MANAGED_KEY_BYTES});
    if (l->message && other)
        snprintf(l->message, l->message_size,
                 "%s/%s and %s/%s are the same partition: move the one that is not wanted out of log.dirs",
                 l->m->dirs[other->dir].dir->path, name, l->path, name);
    pthread_mutex_unlock(&l->m->lock);
}

static int load_one(struct load *l, const char *name)
{
    char message[512], topic[256];
    int32_t partition;
    struct log_config config;
    struct managed_log *managed = calloc(1, sizeof *managed);
    if (!managed)
        return ERR_NOMEM;
    parse_name(name, topic, &partition);
    l->m->params.config_of(l->m->params.arg, topic, &config);
    struct str key = str_from(name);
    managed->dir = l->dir;
    managed->recovery_point = checkpoint_get(&l->recovery, key, 0);
    managed->log_start = checkpoint_get(&l->start, key, 0);
    managed->first_watermark = checkpoint_get(&l->watermark, key, 0);
    managed->cleaned_to = checkpoint_get(&l->cleaned, key, 0);
    struct log_params params = {.log_dir = l->path,
                                .topic = topic,
                                .partition = partition,
                                .config = &config,
                                .recovery_point = managed->recovery_point,
                                .log_start_offset = managed->log_start,
                                .cleaned_to = managed->cleaned_to,
                                .exists = true,
                                .clean = l->clean,
                                .flushed_size = checkpoint_get(&l->flushed_size, key, -1),
                                .same_boot = l->same_boot,
                                .now_ms = l->now_ms,
                                .files = l->m->files,
                                .reaper = l->m->reaper,
                                .health = &l->m->dirs[l->dir].dir->health};
    int rc = log_open(&params, &managed->log, message, sizeof message);
    if (rc == ERR_NOMEM) {
        free(managed);
        return rc;
    }
    if (rc == ERR_IO) { // the directory's fault
        free(managed);
        return rc;
    }
    if (rc) {
        log_error("storage", "%s; its partition is offline", message);
        keep_failed(l, managed, topic, partition);
        return 0;
    }
    struct uuid id = log_topic_id(managed->log);
    if (uuid_is_zero(
            &id)) { // a crash while it was made; or Kafka, which writes the file with the first records
        log_warn("storage", "%s/%s has no partition.metadata: the cluster's metadata has to say whose it is",
                 l->path, name);
        log_close(managed->log, false);
        managed->log = NULL;
        managed->unnamed = true;
        keep_failed(l, managed, topic, partition);
        return 0;
    }
    managed_key(&id, partition, managed->key);
    rc = log_manager_add(l->m, managed);
    if (rc) {
        if (rc == ERR_EXISTS) // which of the two is whole nobody knows: as in Kafka, the start fails
            say_twice(l, name, managed);
        log_close(managed->log, false);
        free(managed);
        return rc;
    }
    return 0;
}

static void load_some(void *arg)
{
    struct load *l = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&l->next, 1);
        if (i >= l->count || atomic_load(&l->error))
            return;
        int rc = load_one(l, l->names[i]);
        if (rc)
            atomic_store(&l->error, rc);
    }
}

// ---------------------------------------------------------------- a directory

static int read_checkpoint(struct load *l, const char *name, struct checkpoint *out)
{
    int rc = checkpoint_read(l->path, name, out);
    if (rc == ERR_CORRUPT) {
        log_warn("storage", "%s/%s is damaged: every log of the directory is checked", l->path, name);
        l->clean = l->same_boot = false;
        rc = 0;
    }
    return rc;
}

// How far logs are compacted. Without it they are compacted from the beginning: no reason to doubt anything
// else.
static int read_cleaned(struct load *l)
{
    int rc = checkpoint_read(l->path, CHECKPOINT_CLEANER, &l->cleaned);
    if (rc == ERR_CORRUPT)
        log_warn("storage", "%s/" CHECKPOINT_CLEANER " is damaged: logs are compacted anew", l->path);
    return rc == ERR_CORRUPT ? 0 : rc;
}

// The files may have lines of any name until they are written anew.
static void note_all_gone(struct load *l)
{
    const struct checkpoint *files[] = {&l->recovery, &l->start, &l->watermark, &l->cleaned,
                                        &l->flushed_size};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i]->count)
            memset(&l->m->dirs[l->dir].gone, 0xff, sizeof l->m->dirs[l->dir].gone);
}

static void run_threads(struct load *l)
{
    struct thread threads[8];
    int wanted = l->m->params.load_threads > 0 ? l->m->params.load_threads : 2, started = 0;
    wanted = wanted > 8 ? 8 : wanted;
    if (l->count < 64) // not worth a thread
        wanted = 1;
    for (int i = 1; i < wanted && thread_start(&threads[started], "log-load", load_some, l) == 0; i++)
        started++;
    load_some(l);
    for (int i = 0; i < started; i++)
        thread_join(&threads[i]);
}

int log_manager_load_dir(struct log_manager *m, size_t dir, int64_t now_ms, char *message,
                         size_t message_size)
{
    struct log_dir *d = m->dirs[dir].dir;
    struct load l = {.m = m,
                     .dir = dir,
                     .path = d->path,
                     .clean = d->clean,
                     .now_ms = now_ms,
                     .message = message,
                     .message_size = message_size};
    int64_t started_us = clock_monotonic_us();
    l.same_boot = !l.clean && log_dir_is_of_this_boot(d->path);
    int rc = read_checkpoint(&l, CHECKPOINT_RECOVERY_POINT, &l.recovery);
    if (rc == 0)
        rc = read_checkpoint(&l, CHECKPOINT_LOG_START, &l.start);
    if (rc == 0)
        rc = read_checkpoint(&l, CHECKPOINT_HIGH_WATERMARK, &l.watermark);
    if (rc == 0)
        rc = read_cleaned(&l);
    if (rc == 0)
        rc = read_checkpoint(&l, CHECKPOINT_FLUSHED_SIZE, &l.flushed_size);
    note_all_gone(&l);
    if (rc == 0)
        rc = file_list(d->path, note_name, &l);
    if (rc == 0) {
        run_threads(&l);
        rc = atomic_load(&l.error);
    }
    m->dirs[dir].was_clean = d->clean;
    if (rc == 0 && l.count)
        log_info("storage", "%s: %zu logs in %" PRId64 " ms after %s stop%s", d->path, l.count,
                 (clock_monotonic_us() - started_us) / 1000, l.clean ? "a clean" : "an unclean",
                 l.same_boot ? " under the same boot" : "");
    for (size_t i = 0; i < l.count; i++)
        free(l.names[i]);
    free(l.names);
    checkpoint_free(&l.recovery);
    checkpoint_free(&l.start);
    checkpoint_free(&l.watermark);
    checkpoint_free(&l.cleaned);
    checkpoint_free(&l.flushed_size);
    return rc;
}
