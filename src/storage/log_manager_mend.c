// What a start finds of moves to other directories that a stop or a crash has cut short (log_manager_move.c).
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_manager_state.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct finding {
    struct log_manager *m;
    size_t dir;
};

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int note_future(struct log_manager *m, size_t dir, const char *directory)
{
    struct moving *moving = &m->moving;
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", m->dirs[dir].dir->path, directory) >= (int)sizeof path)
        return ERR_INVALID;
    struct left_move *grown = realloc(moving->left, (moving->left_count + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    moving->left = grown;
    size_t name = (size_t)(strrchr(directory, '.') - directory);
    struct left_move *left = &grown[moving->left_count];
    *left = (struct left_move){.future = strdup(path), .name = strndup(directory, name), .dir = dir};
    if (left->future && left->name) {
        moving->left_count++;
        return 0;
    }
    free(left->future);
    free(left->name);
    return ERR_NOMEM;
}

void log_manager_free_left(struct log_manager *m)
{
    for (size_t i = 0; i < m->moving.left_count; i++) {
        free(m->moving.left[i].future);
        free(m->moving.left[i].name);
    }
    free(m->moving.left);
}

static int look(void *arg, const char *name)
{
    struct finding *f = arg;
    return strchr(name, '.') && ends_in(name, FUTURE_SUFFIX) ? note_future(f->m, f->dir, name) : 0;
}

// Whether some directory that works has the log under its own name.
static bool is_there(const struct log_manager *m, const char *name)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < m->params.dir_count; i++)
        if (!dir_health_failed(&m->dirs[i].dir->health) &&
            snprintf(path, sizeof path, "%s/%s", m->dirs[i].dir->path, name) < (int)sizeof path &&
            file_exists(path))
            return true;
    return false;
}

// The log was renamed away and the copy did not get its name any more: it is the log.
static int finish(struct log_manager *m, const struct left_move *left)
{
    char to[PATH_MAX], marker[PATH_MAX];
    const char *dir = m->dirs[left->dir].dir->path;
    if (snprintf(to, sizeof to, "%s/%s", dir, left->name) >= (int)sizeof to ||
        snprintf(marker, sizeof marker, "%s/" MOVED_FILE, left->future) >= (int)sizeof marker ||
        !file_exists(marker)) {
        log_warn("storage", "%s is the copy of a log that is nowhere: it is left alone", left->future);
        return 0;
    }
    int rc = file_rename(left->future, to);
    rc = rc ? rc : file_sync_dir(dir);
    if (rc)
        return rc;
    log_info("storage", "%s was moved to %s when the broker ended", left->name, dir);
    if (snprintf(marker, sizeof marker, "%s/" MOVED_FILE, to) < (int)sizeof marker)
        (void)file_unlink(marker);
    return 0;
}

int log_manager_drop_future(struct log_manager *m, const char *path)
{
    char to[PATH_MAX];
    int keep = (int)(strlen(path) - strlen(FUTURE_SUFFIX));
    if (snprintf(to, sizeof to, "%.*s-delete", keep, path) >= (int)sizeof to)
        return ERR_INVALID;
    int rc = file_rename(path, to);
    if (rc == 0)
        reaper_add(m->reaper, to, 0);
    return rc;
}

// Where a directory is off line, the log may lie there: its copy is left for a later start.
static int mend(struct log_manager *m, struct left_move *left, bool all_work)
{
    if (is_there(m, left->name))
        return 0;
    int rc = all_work ? finish(m, left) : 0;
    free(left->name);
    left->name = NULL;
    return rc;
}

int log_manager_mend_moves(struct log_manager *m)
{
    bool all_work = true;
    int rc = 0;
    struct finding f = {.m = m};
    if (m->params.dir_count < 2)
        return 0;
    for (f.dir = 0; rc == 0 && f.dir < m->params.dir_count; f.dir++) {
        bool works = !dir_health_failed(&m->dirs[f.dir].dir->health);
        rc = works ? file_list(m->dirs[f.dir].dir->path, look, &f) : 0;
        if (rc == ERR_IO) // who loads its logs sees that, too, and says it
            rc = 0, works = false;
        all_work &= works;
    }
    for (size_t i = 0; rc == 0 && i < m->moving.left_count; i++)
        rc = mend(m, &m->moving.left[i], all_work);
    return rc;
}

struct going_on {
    struct log_manager *m;
    const struct left_move *left;
};

// Begun anew, in a directory of its own: what the old copy has is not looked at.
static void go_on(void *arg, struct log *log)
{
    const struct going_on *g = arg;
    struct uuid id = log_topic_id(log);
    if (strcmp(log_name(log), g->left->name) != 0)
        return;
    int rc = log_manager_move(g->m, &id, log_partition(log), g->left->dir);
    rc = rc ? rc : log_manager_drop_future(g->m, g->left->future);
    if (rc)
        log_warn("storage", "%s: the move does not go on: %s", g->left->future, err_text(rc));
}

void log_manager_go_on_moving(struct log_manager *m)
{
    for (size_t i = 0; i < m->moving.left_count; i++)
        if (m->moving.left[i].name)
            log_manager_each(m, go_on, &(struct going_on){m, &m->moving.left[i]});
}
