#include "server/directories.h"

#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "os/workers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_BYTES 512

// Whether any of the paths was formatted: then one that does not exist is no place for a new cluster, but a
// disk that is missing.
static bool any_formatted(const struct broker_config *c)
{
    bool found = false;
    for (size_t i = 0; i <= c->log_dir_count; i++) {
        char path[PATH_MAX];
        struct str dir = i < c->log_dir_count ? c->log_dirs[i] : c->metadata_log_dir;
        snprintf(path, sizeof path, "%.*s/meta.properties", STR_ARG(dir));
        found |= file_exists(path);
    }
    return found;
}

static bool is_own_fault(int rc)
{
    return rc == ERR_AGAIN || rc == ERR_NOMEM || rc == ERR_INVALID;
}

// `setting` names the directory.
static int open_one(struct directories *d, const char *setting, struct str path, bool formatted, bool needed,
                    char *message, size_t size)
{
    char text[PATH_MAX], why[MESSAGE_BYTES] = "";
    int rc = ERR_NOT_FOUND;
    snprintf(text, sizeof text, "%.*s", STR_ARG(path));
    if (formatted && !file_exists(text))
        snprintf(why, sizeof why, "the log directory %.400s does not exist", text);
    else
        rc = log_dir_open(text, &d->all[d->count], why, sizeof why);
    if (rc)
        snprintf(message, size, "%s: %s", setting, why);
    if (rc && !needed && !is_own_fault(rc)) {
        log_error("server",
                  "%s: it is off line, and so are its partitions, until the broker is started again with the "
                  "directory mended",
                  message);
        message[0] = 0;
        d->all[d->count] = log_dir_absent(text);
        rc = d->all[d->count] ? 0 : ERR_NOMEM;
    }
    d->count += rc == 0;
    return rc;
}

int directories_open(struct directories *d, const struct broker_config *c, char *message, size_t size)
{
    bool formatted = any_formatted(c);
    size_t works = 0;
    int rc = 0;
    *d = (struct directories){.log_dirs_count = c->log_dir_count, .metadata = c->log_dir_count};
    d->all = calloc(c->log_dir_count + 1, sizeof(struct log_dir *));
    if (!d->all)
        return ERR_NOMEM;
    for (size_t i = 0; i < c->log_dir_count && rc == 0; i++) {
        bool metadata = str_equal(c->log_dirs[i], c->metadata_log_dir);
        rc = open_one(d, "log.dirs", c->log_dirs[i], formatted, metadata || c->log_dir_count == 1, message,
                      size);
        if (metadata)
            d->metadata = i;
        works += rc == 0 && !dir_health_failed(&d->all[i]->health);
    }
    if (rc == 0 && d->metadata == c->log_dir_count)
        rc = open_one(d, "metadata.log.dir", c->metadata_log_dir, formatted, true, message, size);
    if (rc == 0 && !works) {
        snprintf(message, size, "none of log.dirs can be used");
        rc = ERR_IO;
    }
    return rc;
}

int directories_watch(struct directories *d, int64_t min_free_bytes,
                      void (*tell)(void *, struct dir_health *), void *arg)
{
    struct dir_health **healths = calloc(d->count, sizeof(struct dir_health *));
    if (!healths)
        return ERR_NOMEM;
    for (size_t i = 0; i < d->count; i++) {
        healths[i] = &d->all[i]->health;
        healths[i]->tell_arg = arg;
        healths[i]->tell = tell;
    }
    d->watch = disk_watch_start(healths, d->count, min_free_bytes);
    free(healths);
    return d->watch ? 0 : ERR_NOMEM;
}

void directories_unwatch(struct directories *d)
{
    disk_watch_stop(d->watch);
    d->watch = NULL;
}

void directories_stop_loaders(struct directories *d)
{
    for (size_t i = 0; i < d->count; i++)
        workers_stop(d->all[i]->health.loaders);
}

void directories_free(struct directories *d, bool closed)
{
    for (size_t i = closed ? d->log_dirs_count : 0; i < d->count; i++)
        log_dir_close(d->all[i]);
    free(d->all);
}

void directories_cordon(struct directories *d, const struct broker_config *c)
{
    for (size_t i = 0; i < d->log_dirs_count; i++) {
        bool cordoned = false;
        for (size_t k = 0; k < c->cordoned_log_dir_count; k++)
            cordoned |=
                str_is(c->cordoned_log_dirs[k], "*") || str_equal(c->cordoned_log_dirs[k], c->log_dirs[i]);
        struct dir_health *health = &d->all[i]->health;
        if (atomic_exchange(&d->all[i]->cordoned, cordoned) != cordoned && health->tell)
            health->tell(health->tell_arg, health);
    }
}

static bool is_one_of(const struct log_dir *dir, enum directories_which which)
{
    bool failed = dir_health_failed(&dir->health);
    switch (which) {
    case DIRECTORIES_WORKING:
        return !failed;
    case DIRECTORIES_FAILED:
        return failed;
    case DIRECTORIES_CORDONED:
        return !failed && atomic_load(&dir->cordoned);
    }
    return false;
}

size_t directories_ids(const struct directories *d, enum directories_which which, struct uuid *out)
{
    size_t n = 0;
    for (size_t i = 0; i < d->log_dirs_count; i++)
        if (d->all[i]->has_meta && is_one_of(d->all[i], which))
            out[n++] = d->all[i]->meta.directory_id;
    return n;
}

const char *directories_fatal(const struct directories *d)
{
    bool works = false;
    if (dir_health_failed(&d->all[d->metadata]->health))
        return "the directory of the metadata log has failed";
    for (size_t i = 0; i < d->log_dirs_count; i++)
        works |= !dir_health_failed(&d->all[i]->health);
    return works ? NULL : "all of log.dirs have failed";
}

int64_t directories_previous_epoch(const struct directories *d)
{
    int64_t epoch = d->all[0]->broker_epoch;
    for (size_t i = 0; i < d->log_dirs_count; i++)
        if (!d->all[i]->clean || d->all[i]->broker_epoch != epoch)
            return -1;
    return epoch;
}
