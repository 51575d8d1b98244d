// What a start finds of moves to other directories that a stop or a crash has cut short (log_manager_move.c).
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_manager_state.h"
#include "storage/segment.h"

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

// By the log's name; copies of the same log are one behind the other.
static int name_left(struct moving *moving)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < moving->left_count; i++) {
        struct left_move *left = &moving->left[i];
        left->same = map_get(&moving->left_by_name, str_from(left->name));
        rc = map_put(&moving->left_by_name, str_from(left->name), left);
    }
    return rc;
}

void log_manager_free_left(struct log_manager *m)
{
    for (size_t i = 0; i < m->moving.left_count; i++) {
        free(m->moving.left[i].future);
        free(m->moving.left[i].name);
    }
    free(m->moving.left);
    map_free(&m->moving.left_by_name);
}

static int look(void *arg, const char *name)
{
    struct finding *f = arg;
    return strchr(name, '.') && ends_in(name, FUTURE_SUFFIX) ? note_future(f->m, f->dir, name) : 0;
}

// A directory that does not say what it holds, or take a name, is off line; the others may work.
static void fail_dir(struct log_manager *m, size_t dir, const char *name, int rc)
{
    dir_health_fail(&m->dirs[dir].dir->health, "cannot look after moves of", name, rc);
}

// Whether there is such a file. An error: its directory is off line.
static bool has_file(struct log_manager *m, size_t dir, const char *path, const char *file)
{
    char name[PATH_MAX];
    int rc = snprintf(name, sizeof name, "%s/%s", path, file) < (int)sizeof name ? file_stat(name, NULL, NULL)
                                                                                 : ERR_INVALID;
    if (rc && rc != ERR_NOT_FOUND)
        fail_dir(m, dir, file, rc);
    return rc == 0;
}

// Whether some directory that works has the log under its own name.
static bool is_there(struct log_manager *m, const char *name)
{
    bool found = false;
    for (size_t i = 0; i < m->params.dir_count; i++)
        found |= !dir_health_failed(&m->dirs[i].dir->health) && has_file(m, i, m->dirs[i].dir->path, name);
    return found;
}

// ---------------------------------------------------------------- which copy is the log

// How much a copy has: where its last segment begins, and its size.
struct extent {
    const char *path;
    int64_t base_offset, size;
};

static int find_last(void *arg, const char *name)
{
    struct extent *e = arg;
    int64_t offset;
    const char *suffix;
    if (segment_parse_name(name, &offset, &suffix) && strcmp(suffix, SEGMENT_LOG_SUFFIX) == 0 &&
        offset > e->base_offset)
        e->base_offset = offset;
    return 0;
}

static struct extent extent_of(struct log_manager *m, const struct left_move *left)
{
    char path[PATH_MAX];
    struct extent e = {.path = left->future, .base_offset = -1, .size = -1};
    int rc = file_list(left->future, find_last, &e);
    if (rc == 0 && e.base_offset >= 0)
        rc = segment_file_name(left->future, e.base_offset, SEGMENT_LOG_SUFFIX, path);
    if (rc == 0 && e.base_offset >= 0)
        rc = file_stat(path, &e.size, NULL);
    if (rc)
        fail_dir(m, left->dir, left->name, rc);
    return e;
}

// Of the copies that may take the log's place the one that has most: another one is of an earlier move, and
// was left when that could not be given up.
static struct left_move *choose(struct log_manager *m, struct left_move *of)
{
    struct left_move *best = NULL;
    struct extent most = {0};
    for (struct left_move *left = of; left; left = left->same) {
        if (!has_file(m, left->dir, left->future, MOVED_FILE))
            continue;
        struct extent e = extent_of(m, left);
        bool more =
            e.base_offset > most.base_offset || (e.base_offset == most.base_offset && e.size > most.size);
        if (!best || more) {
            best = left;
            most = e;
        }
    }
    return best;
}

// Nothing removes it, and no start takes it for a copy.
static int set_aside(const struct left_move *left)
{
    char to[PATH_MAX];
    int keep = (int)(strlen(left->future) - strlen(FUTURE_SUFFIX));
    if (snprintf(to, sizeof to, "%.*s-stray", keep, left->future) >= (int)sizeof to)
        return ERR_INVALID;
    log_warn("storage", "%s is another copy of that log: set aside as a stray", left->future);
    return file_rename(left->future, to);
}

// The log was renamed away and the copy did not get its name any more: it is the log.
static int finish(struct log_manager *m, const struct left_move *left)
{
    char to[PATH_MAX], marker[PATH_MAX];
    const char *dir = m->dirs[left->dir].dir->path;
    if (snprintf(to, sizeof to, "%s/%s", dir, left->name) >= (int)sizeof to ||
        snprintf(marker, sizeof marker, "%s/" MOVED_FILE, to) >= (int)sizeof marker)
        return ERR_INVALID;
    int rc = file_rename(left->future, to);
    rc = rc ? rc : file_sync_dir(dir);
    if (rc)
        return rc;
    log_info("storage", "%s was moved to %s when the broker ended", left->name, dir);
    (void)file_unlink(marker);
    return 0;
}

// All copies of one log. Where a directory is off line, the log may lie there: they are left for a later
// start.
static void mend(struct log_manager *m, struct left_move *of)
{
    if (is_there(m, of->name))
        return;
    struct left_move *best = log_manager_all_dirs_work(m) ? choose(m, of) : NULL;
    bool sure = log_manager_all_dirs_work(m);
    for (struct left_move *left = of; left; left = left->same) {
        left->over = true;
        if (sure && !best)
            log_warn("storage", "%s is the copy of a log that is nowhere: it is left alone", left->future);
        int rc = !sure || !best ? 0 : left == best ? finish(m, left) : set_aside(left);
        if (rc)
            fail_dir(m, left->dir, left->name, rc);
    }
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

int log_manager_mend_moves(struct log_manager *m)
{
    int rc = 0;
    struct finding f = {.m = m};
    for (f.dir = 0; rc == 0 && f.dir < m->params.dir_count; f.dir++) {
        if (!dir_health_failed(&m->dirs[f.dir].dir->health))
            rc = file_list(m->dirs[f.dir].dir->path, look, &f);
        if (rc == ERR_IO) {
            fail_dir(m, f.dir, m->dirs[f.dir].dir->path, rc);
            rc = 0;
        }
    }
    rc = rc ? rc : name_left(&m->moving);
    struct map_entry *e;
    for (size_t i = 0; rc == 0 && (e = map_next(&m->moving.left_by_name, &i));)
        mend(m, e->value);
    return rc;
}

// ---------------------------------------------------------------- moves that go on

struct going_on {
    struct log_manager *m;
    struct log_wish *wishes;
    struct left_move **of; // the wishes
    size_t count, room;
};

static void want_again(void *arg, struct log *log)
{
    struct going_on *g = arg;
    struct left_move *left = map_get(&g->m->moving.left_by_name, str_from(log_name(log)));
    for (; left; left = left->same) {
        if (left->over || g->count == g->room) // several logs of one name: one of them is a stray
            continue;
        g->of[g->count] = left;
        g->wishes[g->count++] = (struct log_wish){
            .topic_id = log_topic_id(log), .partition = log_partition(log), .dir = left->dir};
    }
}

// Begun anew, in directories of their own: what the old copies have is not looked at.
void log_manager_go_on_moving(struct log_manager *m)
{
    size_t n = m->moving.left_count;
    struct going_on g = {
        .m = m, .wishes = calloc(n + 1, sizeof *g.wishes), .of = calloc(n + 1, sizeof *g.of), .room = n};
    if (n && g.wishes && g.of)
        log_manager_each(m, want_again, &g);
    log_manager_move_many(m, g.wishes, g.count);
    for (size_t i = 0; i < g.count; i++) {
        int rc = g.wishes[i].rc;
        rc = rc ? rc : log_manager_drop_future(m, g.of[i]->future);
        if (rc)
            log_warn("storage", "%s: the move does not go on: %s", g.of[i]->future, err_text(rc));
    }
    free(g.wishes);
    free(g.of);
}
