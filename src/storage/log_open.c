// Opening and closing a log: the directory is listed, leftovers are removed, and either the log stays cold or
// what a crash left is recovered.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_state.h"
#include "storage/reaper.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int say(char *message, size_t size, int rc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static int say(char *message, size_t size, int rc, const char *format, ...)
{
    va_list args;
    if (message && size && !message[0]) {
        va_start(args, format);
        vsnprintf(message, size, format, args);
        va_end(args);
    }
    return rc;
}

// ---------------------------------------------------------------- what the directory holds

struct listing {
    const char *dir;
    int64_t *segments; // base offsets of .log files
    size_t count, capacity;
    bool snapshots, swap, leftovers;
    int64_t first_cleaned; // smallest base offset of a .cleaned file
};

static int add_segment(struct listing *l, int64_t offset)
{
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 4;
        int64_t *p = realloc(l->segments, capacity * sizeof *p);
        if (!p)
            return ERR_NOMEM;
        l->segments = p;
        l->capacity = capacity;
    }
    l->segments[l->count++] = offset;
    return 0;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static int note_name(void *arg, const char *name)
{
    struct listing *l = arg;
    int64_t offset;
    const char *suffix;
    if (!segment_parse_name(name, &offset, &suffix))
        return 0;
    if (strcmp(suffix, SEGMENT_LOG_SUFFIX) == 0)
        return add_segment(l, offset);
    if (strcmp(suffix, SNAPSHOT_SUFFIX) == 0)
        l->snapshots = true;
    else if (ends_in(suffix, ".swap"))
        l->swap = true;
    else if (ends_in(suffix, ".cleaned") || ends_in(suffix, ".tmp") ||
             (ends_in(suffix, DELETED_SUFFIX) && !ends_in(suffix, ".checkpoint" DELETED_SUFFIX)))
        l->leftovers = true;
    if (ends_in(suffix, ".cleaned") && offset < l->first_cleaned)
        l->first_cleaned = offset;
    return 0;
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int list_dir(struct listing *l, const char *dir)
{
    *l = (struct listing){.dir = dir, .first_cleaned = INT64_MAX};
    int rc = file_list(dir, note_name, l);
    if (l->count)
        qsort(l->segments, l->count, sizeof *l->segments, compare_offsets);
    return rc;
}

// Files of finished deletions and unfinished compactions (Kafka's names); snapshots of the metadata log are
// its own.
static int remove_leftover(void *arg, const char *name)
{
    const struct listing *l = arg;
    int64_t offset;
    const char *suffix;
    char path[PATH_MAX];
    if (!segment_parse_name(name, &offset, &suffix) || ends_in(suffix, ".checkpoint" DELETED_SUFFIX))
        return 0;
    bool stale =
        ends_in(suffix, DELETED_SUFFIX) || ends_in(suffix, ".cleaned") || ends_in(suffix, ".tmp") ||
        (ends_in(suffix, ".swap") && offset >= l->first_cleaned); // part of a split that did not finish
    if (!stale || snprintf(path, sizeof path, "%s/%s", l->dir, name) >= (int)sizeof path)
        return 0;
    return file_unlink(path);
}

// ---------------------------------------------------------------- swap files of a compaction that a crash
// interrupted

struct swap {
    const char *dir;
    int64_t first, end; // offsets that the swapped segments cover
};

static int cover_swap(void *arg, const char *name)
{
    struct swap *w = arg;
    int64_t offset;
    const char *suffix;
    char path[PATH_MAX];
    if (!segment_parse_name(name, &offset, &suffix) || strcmp(suffix, ".log.swap") != 0 ||
        segment_file_name(w->dir, offset, suffix, path))
        return 0;
    int fd = file_open(path, O_RDONLY);
    if (fd < 0)
        return fd;
    int64_t size = 0, next = offset;
    struct segment_scan scan;
    int rc = file_size(fd, &size);
    segment_scan_start(&scan, fd, 0, size);
    while (rc == 0 && segment_scan_next(&scan) > 0)
        next = scan.batch.last_offset + 1;
    file_close(fd);
    if (offset < w->first)
        w->first = offset;
    if (next > w->end)
        w->end = next;
    return rc;
}

static int remove_replaced(void *arg, const char *name)
{
    const struct swap *w = arg;
    int64_t offset;
    const char *suffix;
    char path[PATH_MAX];
    if (!segment_parse_name(name, &offset, &suffix) || ends_in(suffix, ".swap") || offset < w->first ||
        offset >= w->end || snprintf(path, sizeof path, "%s/%s", w->dir, name) >= (int)sizeof path)
        return 0;
    log_info("storage", "removing %s: a compaction replaced it", path);
    return file_unlink(path);
}

static int rename_swap(void *arg, const char *name)
{
    const struct swap *w = arg;
    char from[PATH_MAX], to[PATH_MAX];
    if (!ends_in(name, ".swap") || snprintf(from, sizeof from, "%s/%s", w->dir, name) >= (int)sizeof from)
        return 0;
    memcpy(to, from, sizeof to);
    to[strlen(to) - strlen(".swap")] = 0;
    return file_rename(from, to);
}

static int finish_swap(const char *dir)
{
    struct swap w = {.dir = dir, .first = INT64_MAX, .end = INT64_MIN};
    int rc = file_list(dir, cover_swap, &w);
    if (rc == 0)
        rc = file_list(dir, remove_replaced, &w);
    if (rc == 0)
        rc = file_list(dir, rename_swap, &w);
    return rc ? rc : file_sync_dir(dir);
}

// ---------------------------------------------------------------- open

static struct log *log_new(const struct log_params *p, const char *dir)
{
    struct log *log = calloc(1, sizeof *log);
    size_t topic_size = strlen(p->topic);
    if (!log || !(log->name = malloc(2 * topic_size + 32)) || !(log->place = log_place_new(dir))) {
        if (log)
            free(log->name);
        free(log);
        return NULL;
    }
    int n = snprintf(log->name, topic_size + 16, "%s-%d", p->topic, p->partition);
    log->topic = log->name + n + 1;
    memcpy(log->topic, p->topic, topic_size + 1);
    log->partition = p->partition;
    log->topic_id = p->topic_id;
    log->files = p->files;
    log->reaper = p->reaper;
    log->health = p->health;
    log->config = *p->config;
    log->cleaned_to = p->cleaned_to;
    log->opened_ms = p->now_ms;
    log->keep_room = p->keep_room;
    log->first_unstable = LOG_NO_OFFSET;
    producer_state_init(&log->producers, 0);
    pthread_mutex_init(&log->lock, NULL);
    pthread_mutex_init(&log->publish, NULL);
    pthread_mutex_init(&log->load_lock, NULL);
    pthread_mutex_init(&log->rebuild_lock, NULL);
    pthread_mutex_init(&log->index_lock, NULL);
    pthread_mutex_init(&log->flush_lock, NULL);
    return log;
}

static void log_free(struct log *log)
{
    for (uint32_t i = 0; i < log->segment_count; i++)
        segment_unref(log->segments[i]);
    free(log->segments);
    epoch_cache_free(&log->epochs);
    producer_state_free(&log->producers);
    log_place_unref(log->place);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->publish);
    pthread_mutex_destroy(&log->load_lock);
    pthread_mutex_destroy(&log->rebuild_lock);
    pthread_mutex_destroy(&log->index_lock);
    pthread_mutex_destroy(&log->flush_lock);
    free(log->name);
    free(log);
}

// partition.metadata: checked, or written when it is missing.
static int check_topic_id(struct log *log, bool fresh, char *message, size_t size)
{
    struct uuid found;
    char wanted_text[UUID_TEXT_BYTES], found_text[UUID_TEXT_BYTES];
    bool known = !uuid_is_zero(&log->topic_id);
    int rc = fresh ? ERR_NOT_FOUND : log_read_topic_id(log->place->dir, &found);
    if (rc == ERR_CORRUPT && known) {
        log_warn("storage", "%s/partition.metadata is damaged; writing it anew", log->place->dir);
        rc = ERR_NOT_FOUND;
    }
    if (rc == ERR_NOT_FOUND) {
        rc = known ? log_write_topic_id(log->place->dir, &log->topic_id, false) : 0;
        atomic_store(&log->new_metadata, known);
        return rc;
    }
    if (rc)
        return say(message, size, rc, "%s/partition.metadata: %s", log->place->dir, err_text(rc));
    if (!known)
        log->topic_id = found;
    if (uuid_equal(&log->topic_id, &found))
        return 0;
    uuid_text(&log->topic_id, wanted_text);
    uuid_text(&found, found_text);
    return say(message, size, ERR_CORRUPT, "%s belongs to topic id %s, not %s", log->place->dir, found_text,
               wanted_text);
}

static int add_segments(struct log *log, const struct listing *l)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->count; i++) {
        struct segment *s = segment_new(log->place, log->files, l->segments[i]);
        rc = s ? log_add_segment_locked(log, s) : ERR_NOMEM;
        if (s)
            atomic_store(&s->size_bytes, -1);
        if (rc)
            segment_unref(s);
    }
    return rc;
}

// An empty log that starts at `offset`.
static int start_empty(struct log *log, int64_t offset)
{
    struct segment *s;
    int rc = log_make_segment(log, offset, log->opened_ms, &s);
    if (rc == 0 && (rc = log_add_segment_locked(log, s)))
        segment_unref(s);
    if (rc)
        return rc;
    log->log_start = log->end = log->recovery_point = offset;
    producer_state_clear(&log->producers, offset);
    atomic_store(&log->loaded, true);
    return 0;
}

static void mark_dirty(struct log *log)
{
    if (log->end > log->recovery_point) {
        atomic_store(&log->dirty_messages, log->end - log->recovery_point);
        atomic_store(&log->dirty_bytes, 1);
        atomic_store(&log->dirty_since_ms, log->opened_ms);
    }
}

// Whether the recovery point can be believed to be the log's end: after a clean stop it is, and after another
// one if the file has not changed since everything was flushed. Without a checkpoint it is zero, which only
// an empty log may have.
static bool stays_cold(struct log *log, const struct log_params *p)
{
    char path[PATH_MAX];
    int64_t size;
    struct segment *s = log_active(log);
    if (p->recovery_point < s->base_offset || p->recovery_point < log->log_start ||
        segment_file_name(log->place->dir, s->base_offset, SEGMENT_LOG_SUFFIX, path) ||
        file_stat(path, &size, NULL))
        return false;
    if ((!p->clean && size != p->flushed_size) || (p->recovery_point == s->base_offset) != (size == 0))
        return false;
    atomic_store(&s->size_bytes, size);
    return true;
}

static int open_segments(struct log *log, const struct log_params *p, char *message, size_t size)
{
    int64_t first = log->segments[0]->base_offset;
    int rc = 0;
    log->log_start = p->log_start_offset > first ? p->log_start_offset : first;
    log->recovery_point = p->recovery_point;
    log->high_watermark = (struct log_mark){log->log_start, LOG_NO_OFFSET, 0};
    log->was_clean = p->clean;
    if (stays_cold(log, p)) {
        log->end = p->recovery_point; // the first use checks it
        return 0;
    }
    if (p->clean) { // no checkpoint to go by
        rc = log_load_active(log, log_active(log), &log->end);
        if (rc == 0)
            rc = log_load_epochs(log);
        if (rc == 0)
            rc = log_load_producers(log, INT64_MAX, true, p->now_ms);
        if (rc == 0)
            log->recovery_point = log->end;
    }
    if (!p->clean || rc == ERR_CORRUPT || rc == ERR_TRUNCATED)
        rc = log_recover(log, &(struct log_recovery){.recovery_point = p->recovery_point,
                                                     .now_ms = p->now_ms,
                                                     .same_boot = p->same_boot,
                                                     .refuse_damage = p->refuse_damage,
                                                     .message = message,
                                                     .message_size = size});
    if (rc)
        return rc;
    if (epoch_cache_truncate_start(&log->epochs, log->log_start))
        log->epochs_dirty = true;
    log->first_unstable = producer_state_first_unstable(&log->producers);
    atomic_store(&log->loaded, true);
    mark_dirty(log);
    return 0;
}

static int open_dir(struct log *log, const struct log_params *p, bool fresh, char *message, size_t size)
{
    struct listing l = {0};
    int rc = check_topic_id(log, fresh, message, size);
    if (rc == 0 && !fresh)
        rc = list_dir(&l, log->place->dir);
    if (rc == 0 && l.leftovers)
        rc = file_list(log->place->dir, remove_leftover, &l);
    if (rc == 0 && l.swap) {
        rc = finish_swap(log->place->dir);
        free(l.segments);
        l.segments = NULL;
        if (rc == 0)
            rc = list_dir(&l, log->place->dir);
    }
    atomic_store(&log->has_snapshots, l.snapshots);
    if (rc == 0)
        rc = add_segments(log, &l);
    free(l.segments);
    if (rc)
        return rc;
    atomic_store(&log->epoch_file, !fresh);
    if (log->segment_count == 0)
        rc = start_empty(log, p->log_start_offset);
    else
        rc = open_segments(log, p, message, size);
    if (rc == 0 && log->log_start > log->end) { // the checkpoint knows of more than there is
        log_error("storage",
                  "%s ends at offset %" PRId64 ", below its log start offset %" PRId64
                  ": starting it empty there",
                  log->name, log->end, log->log_start);
        rc = log_truncate_fully(log, log->log_start);
    }
    log->high_watermark = (struct log_mark){log->log_start, LOG_NO_OFFSET, 0};
    return rc;
}

int log_open(const struct log_params *p, struct log **out, char *message, size_t size)
{
    char dir[PATH_MAX];
    *out = NULL;
    if (message && size)
        message[0] = 0;
    int n = p->dir_name ? snprintf(dir, sizeof dir, "%s/%s", p->log_dir, p->dir_name)
                        : snprintf(dir, sizeof dir, "%s/%s-%d", p->log_dir, p->topic, p->partition);
    if (n >= (int)sizeof dir - 64)
        return say(message, size, ERR_INVALID, "the path of %s-%d is too long", p->topic, p->partition);
    int rc = p->exists ? ERR_EXISTS : file_make_dir(dir);
    bool fresh = rc == 0;
    if (rc && rc != ERR_EXISTS)
        return say(message, size, rc, "cannot make %s: %s", dir, err_text(rc));
    struct log *log = log_new(p, dir);
    if (!log)
        return ERR_NOMEM;
    log->directory_dirty = log->directory_fresh = fresh;
    rc = open_dir(log, p, fresh, message, size);
    if (rc) {
        log_free(log);
        if (fresh) // half of a log would look damaged to the next start
            (void)file_remove_tree(dir);
        return say(message, size, rc, "cannot load %s: %s", dir, err_text(rc));
    }
    *out = log;
    return 0;
}

// ---------------------------------------------------------------- close

#define NO_SNAPSHOT_BYTES (1 << 20)

// A log without producers that never had a snapshot does without one as long as the next start, should it
// follow a crash, can read all of it in no time. Kafka takes a log without snapshots for one without
// producers.
static bool needs_no_snapshot(const struct log *log, const struct segment *active)
{
    return log->producers.entries.count == 0 && !atomic_load(&log->has_snapshots) &&
           atomic_load(&active->size_bytes) < NO_SNAPSHOT_BYTES;
}

static int close_clean(struct log *log, bool sync)
{
    struct segment *s = log_active(log);
    int rc = log_write_indexes(log, s, true);
    if (rc == ERR_NO_SPACE) // they can be made anew
        rc = 0;
    log_give_back_reserve(s);
    if (rc == 0 && log->producers.end_offset > log->producers.snapshot_offset && !needs_no_snapshot(log, s))
        rc = log_write_snapshot(log, log->producers.end_offset, sync);
    if (rc == 0 && log->epochs_dirty)
        rc = log_write_epochs(log, sync);
    if (rc == 0 && sync)
        rc = log_flush(log, log->end);
    return rc || !sync ? rc : log_sync_directory(log);
}

int log_seal(struct log *log, bool sync)
{
    // A log that was never loaded, or could not be, is as clean as it was at the start.
    bool untouched = !atomic_load(&log->loaded) || atomic_load(&log->deleted);
    int rc = untouched ? 0 : log_usable(log);
    if (rc == 0 && !untouched)
        rc = close_clean(log, sync);
    if (rc && rc != ERR_CLOSED) // what took it off line has been said
        log_error("storage", "%s was not closed clean: %s", log->name, err_text(rc));
    return rc;
}

int log_sealed(struct log *log)
{
    bool named = log->epochs_unnamed;
    int rc = named ? log_name_epochs(log) : 0;
    if (rc) {
        log_error("storage", "%s was not closed clean: " EPOCH_CACHE_FILE ": %s", log->name, err_text(rc));
        return rc;
    }
    pthread_mutex_lock(&log->publish);
    log->recovery_point = log->end;
    pthread_mutex_unlock(&log->publish);
    return named;
}

int log_close(struct log *log, bool clean)
{
    int rc = 0;
    if (clean) {
        log_lock(log);
        rc = log_seal(log, true);
        log_unlock(log);
    }
    log_free(log);
    return rc;
}
