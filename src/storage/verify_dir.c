// A directory of log.dirs: what lies at its root, and its partitions one after the other.
#include "base/error.h"
#include "os/file.h"
#include "storage/log_dir.h"
#include "storage/log_state.h"
#include "storage/verify_state.h"

#include <stdio.h>
#include <stdlib.h>

#define METADATA_LOG "__cluster_metadata-0"

struct root {
    struct verify *v;
    const char *dir;
    struct checkpoint recovery, starts;
    bool clean, same_boot;
    char **names;
    size_t count, capacity;
};

static int read_checkpoint(struct root *r, const char *name, struct checkpoint *out)
{
    char path[PATH_MAX];
    int rc = checkpoint_read(r->dir, name, out);
    if (rc != ERR_CORRUPT)
        return rc;
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    verify_say(r->v, path, -1, -1, "checkpoint", "every log of the directory is checked from its beginning",
               "it is no checkpoint file");
    return 0;
}

static int read_checkpoints(struct root *r)
{
    static const char *const others[] = {CHECKPOINT_HIGH_WATERMARK, CHECKPOINT_FLUSHED_SIZE,
                                         CHECKPOINT_CLEANER};
    int rc = read_checkpoint(r, CHECKPOINT_RECOVERY_POINT, &r->recovery);
    rc = rc ? rc : read_checkpoint(r, CHECKPOINT_LOG_START, &r->starts);
    for (size_t i = 0; rc == 0 && i < sizeof others / sizeof *others; i++) {
        struct checkpoint c = {.by_name = MAP_INIT};
        rc = read_checkpoint(r, others[i], &c);
        checkpoint_free(&c);
    }
    return rc;
}

static void read_meta(struct root *r)
{
    char path[PATH_MAX];
    struct meta_properties meta;
    snprintf(path, sizeof path, "%s/meta.properties", r->dir);
    int rc = log_dir_read_meta(r->dir, &meta);
    if (rc)
        verify_say(r->v, path, -1, -1, "meta.properties",
                   "the start fails, or with other log.dirs goes on without this one", "%s",
                   rc == ERR_NOT_FOUND ? "the file is missing" : "it is damaged");
    else if (!meta.cluster_id[0] || meta.node_id < 0)
        verify_say(r->v, path, -1, -1, "meta.properties", "the start fails and names it",
                   "it names no cluster.id or no node.id");
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// "topic-7"; what is about to be deleted or was set aside is nobody's.
static bool is_partition(const char *dir, const char *name)
{
    char path[PATH_MAX];
    const char *dash = strrchr(name, '-');
    if (!dash || dash == name || !dash[1] || strspn(dash + 1, "0123456789") != strlen(dash + 1))
        return false;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return file_is_dir(path);
}

static int note_name(void *arg, const char *name)
{
    struct root *r = arg;
    if (!is_partition(r->dir, name) || ends_in(name, "-delete") || ends_in(name, "-stray"))
        return 0;
    if (r->count == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : 64;
        char **grown = realloc(r->names, capacity * sizeof *grown);
        if (!grown)
            return ERR_NOMEM;
        r->names = grown;
        r->capacity = capacity;
    }
    r->names[r->count] = strdup(name);
    return r->names[r->count] ? (r->count++, 0) : ERR_NOMEM;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int verify_one(struct root *r, const char *name)
{
    char path[PATH_MAX];
    struct str key = str_from(name);
    snprintf(path, sizeof path, "%s/%s", r->dir, name);
    bool metadata = strcmp(name, METADATA_LOG) == 0;
    struct verify_log log = {.dir = path,
                             .clean = r->clean,
                             .same_boot = r->same_boot && !metadata,
                             .recovery_point = metadata ? -1 : checkpoint_get(&r->recovery, key, 0),
                             .log_start = checkpoint_get(&r->starts, key, -1),
                             .metadata = metadata};
    return verify_partition(r->v, &log);
}

int verify_log_dir(struct verify *v, const char *dir)
{
    char path[PATH_MAX];
    struct root r = {.v = v, .dir = dir, .recovery = {.by_name = MAP_INIT}, .starts = {.by_name = MAP_INIT}};
    snprintf(path, sizeof path, "%s/.kafka_cleanshutdown", dir);
    r.clean = file_exists(path);
    r.same_boot = !r.clean && log_dir_is_of_this_boot(dir);
    read_meta(&r);
    int rc = read_checkpoints(&r);
    rc = rc ? rc : file_list(dir, note_name, &r);
    if (r.count)
        qsort(r.names, r.count, sizeof *r.names, by_name);
    for (size_t i = 0; i < r.count; i++) {
        rc = rc ? rc : verify_one(&r, r.names[i]);
        free(r.names[i]);
    }
    free(r.names);
    checkpoint_free(&r.recovery);
    checkpoint_free(&r.starts);
    return rc;
}
