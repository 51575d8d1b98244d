#include "storage/reaper.h"

#include "base/error.h"
#include "base/list.h"
#include "base/logger.h"
#include "os/file.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct reaper {
    pthread_mutex_t lock;
    struct list waiting; // in the order they came; delays differ little
};

struct doomed {
    struct list node;
    int64_t due_ms;
    char path[];
};

struct reaper *reaper_new(void)
{
    struct reaper *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    list_init(&r->waiting);
    return r;
}

void reaper_free(struct reaper *r)
{
    if (!r)
        return;
    for (struct list *n; (n = list_pop_front(&r->waiting));)
        free(container_of(n, struct doomed, node));
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void destroy(const char *path)
{
    int rc = file_remove_tree(path);
    if (rc)
        log_warn("storage", "cannot remove %s: %s", path, err_text(rc));
}

static struct doomed *doomed_new(const char *head, const char *tail, int64_t due_ms)
{
    size_t h = strlen(head), t = strlen(tail);
    struct doomed *d = malloc(sizeof *d + h + t + 1);
    if (!d)
        return NULL;
    memcpy(d->path, head, h);
    memcpy(d->path + h, tail, t + 1);
    d->due_ms = due_ms;
    return d;
}

void reaper_add(struct reaper *r, const char *path, int64_t due_ms)
{
    struct doomed *d = r ? doomed_new(path, "", due_ms) : NULL;
    if (!d) {
        destroy(path);
        return;
    }
    pthread_mutex_lock(&r->lock);
    list_push_back(&r->waiting, &d->node);
    pthread_mutex_unlock(&r->lock);
}

static struct doomed *next_due(struct reaper *r, int64_t now_ms)
{
    struct doomed *found = NULL;
    pthread_mutex_lock(&r->lock);
    for (struct list *n = list_first(&r->waiting), *next; !found && list_each(&r->waiting, n, next);
         n = next) {
        struct doomed *d = container_of(n, struct doomed, node);
        if (d->due_ms <= now_ms) {
            list_remove(n);
            found = d;
        }
    }
    pthread_mutex_unlock(&r->lock);
    return found;
}

size_t reaper_run(struct reaper *r, int64_t now_ms, size_t limit)
{
    size_t removed = 0;
    for (struct doomed *d; removed < limit && (d = next_due(r, now_ms)); removed++) {
        destroy(d->path);
        free(d);
    }
    return removed;
}

void reaper_moved(struct reaper *r, const char *from, const char *to)
{
    if (!r)
        return;
    size_t n = strlen(from);
    pthread_mutex_lock(&r->lock);
    for (struct list *node = list_first(&r->waiting), *next; list_each(&r->waiting, node, next);
         node = next) {
        struct doomed *d = container_of(node, struct doomed, node);
        if (strncmp(d->path, from, n) != 0 || d->path[n] != '/')
            continue;
        struct doomed *moved = doomed_new(to, d->path + n, d->due_ms);
        if (moved)
            list_push_front(node, &moved->node); // behind the one that it replaces
        list_remove(node);
        free(d);
    }
    pthread_mutex_unlock(&r->lock);
}
