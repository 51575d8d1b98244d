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
    struct map names; // of logs that are where they belong, in any directory
};

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int note_future(struct log_manager *m, size_t dir, const char *name)
{
    struct moving *moving = &m->moving;
    struct left_move *grown = realloc(moving->left, (moving->left_count + 1) * sizeof *grown);
    if (!grown)
        return ERR_NOMEM;
    moving->left = grown;
    grown[moving->left_count] = (struct left_move){strdup(name), dir};
    return grown[moving->left_count++].name ? 0 : ERR_NOMEM;
}

static int look(void *arg, const char *name)
{
    struct finding *f = arg;
    return strchr(name, '.') && ends_in(name, FUTURE_SUFFIX) ? note_future(f->m, f->dir, name) : 0;
}

// Whether some directory has the log under its own name.
static bool is_there(const struct log_manager *m, const char *name)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < m->params.dir_count; i++)
        if (snprintf(path, sizeof path, "%s/%s", m->dirs[i].dir->path, name) < (int)sizeof path &&
            file_exists(path))
            return true;
    return false;
}

// The log was renamed away and the copy did not get its name any more: it is the log.
static int finish(struct log_manager *m, const struct left_move *left, const char *future)
{
    char to[PATH_MAX], marker[PATH_MAX];
    const char *dir = m->dirs[left->dir].dir->path;
    if (snprintf(marker, sizeof marker, "%s/" MOVED_FILE, future) >= (int)sizeof marker ||
        !file_exists(marker)) {
        log_warn("storage", "%s is the copy of a log that is nowhere: it is left alone", future);
        return 0;
    }
    snprintf(to, sizeof to, "%s/%s", dir, left->name);
    int rc = file_rename(future, to);
    rc = rc ? rc : file_sync_dir(dir);
    if (rc == 0)
        log_info("storage", "%s was moved to %s when the broker ended", left->name, dir);
    return rc;
}

// The copy goes: its log is where it was. Under a name of what is removed, so that no later start goes on
// with a move that was given up meanwhile.
static int begin_anew(struct log_manager *m, const char *future)
{
    char to[PATH_MAX];
    int keep = (int)(strlen(future) - strlen(FUTURE_SUFFIX));
    if (snprintf(to, sizeof to, "%.*s-delete", keep, future) >= (int)sizeof to)
        return ERR_INVALID;
    int rc = file_rename(future, to);
    if (rc == 0)
        reaper_add(m->reaper, to, 0);
    return rc;
}

static int mend(struct log_manager *m, struct left_move *left, bool all_work)
{
    char future[PATH_MAX];
    if (snprintf(future, sizeof future, "%s/%s", m->dirs[left->dir].dir->path, left->name) >=
        (int)sizeof future)
        return ERR_INVALID;
    *strrchr(left->name, '.') = 0;
    if (is_there(m, left->name))
        return begin_anew(m, future);
    int rc = all_work ? finish(m, left, future) : 0;
    left->name[0] = 0; // nothing to go on with
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
    const char *name;
    size_t dir;
};

static void go_on(void *arg, struct log *log)
{
    const struct going_on *g = arg;
    struct uuid id = log_topic_id(log);
    if (strcmp(log_name(log), g->name) == 0)
        (void)log_manager_move(g->m, &id, log_partition(log), g->dir);
}

void log_manager_go_on_moving(struct log_manager *m)
{
    for (size_t i = 0; i < m->moving.left_count; i++)
        log_manager_each(m, go_on, &(struct going_on){m, m->moving.left[i].name, m->moving.left[i].dir});
}
