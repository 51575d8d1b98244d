// One step of a move to another log directory (KIP-113): the log is copied batch by batch into
// <topic>-<partition>.<id>-future there, and the copy takes its place when it has caught up. What is to be
// done next is log_move_decide's.
#include "storage/log_mover.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/log_move.h"
#include "storage/log_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES     ((size_t)1 << 20)
#define PIECE_MIN_BYTES 4096
#define PIECES_A_SECOND 10 // where the rate is low, so that what is written goes on evenly
#define REST_US         100000
#define ERROR_REST_US   1000000
#define DAMAGE_REST_US  30000000
#define FLUSH_TRIES     2  // outside the log's lock, while its writers have each batch flushed
#define HELD_UP_TRIES   20 // of REST_US: while the log is flushed

// ---------------------------------------------------------------- the copy's directory

int log_move_make_future(struct log_manager *m, struct log_move *move)
{
    struct dir_health *health = &m->dirs[move->dir].dir->health;
    const char *root = m->dirs[move->dir].dir->path;
    struct uuid id = uuid_random();
    char path[PATH_MAX], hex[33];
    for (int i = 0; i < 16; i++)
        snprintf(hex + (size_t)i * 2, 3, "%02x", id.bytes[i]);
    snprintf(move->future, sizeof move->future, "%s.%s" FUTURE_SUFFIX, move->name, hex);
    int rc = snprintf(path, sizeof path, "%s/%s", root, move->future) < (int)sizeof path ? 0 : ERR_INVALID;
    rc = rc ? rc : file_make_dir(path);
    if (rc)
        move->future[0] = 0;
    return dir_health_note(health, "cannot make a log in", root, rc);
}

int log_move_sync_futures(struct log_manager *m, size_t dir)
{
    const char *root = m->dirs[dir].dir->path;
    return dir_health_note(&m->dirs[dir].dir->health, "cannot make logs in", root, file_sync_dir(root));
}

static void set_copy(struct log_manager *m, struct log_move *move, struct log *copy)
{
    pthread_mutex_lock(&m->moving.lock);
    move->copy = copy;
    pthread_mutex_unlock(&m->moving.lock);
    move->near = move->flushed = move->noted = false;
    move->read_base = LOG_NO_OFFSET;
    move->producers = 0;
}

static void note_gone(struct log_manager *m, size_t dir, const char *name)
{
    pthread_mutex_lock(&m->lock);
    log_manager_note_gone(m, dir, name);
    pthread_mutex_unlock(&m->lock);
}

// [checkpoint_lock]
static void forget_arrival(struct log_manager *m, struct log_move *move)
{
    if (move->announced)
        note_gone(m, move->dir, move->name);
    list_remove(&move->arrival.node);
    move->announced = move->arrival.written = false;
}

static void remove_future(struct log_manager *m, const struct log_move *move, const char *future)
{
    const struct log_dir *dir = m->dirs[move->dir].dir;
    char path[PATH_MAX];
    if (!future[0] || dir_health_failed(&dir->health) || // the next start finds it, and goes on
        snprintf(path, sizeof path, "%s/%s", dir->path, future) >= (int)sizeof path)
        return;
    int rc = log_manager_drop_future(m, path);
    rc = rc == ERR_NOT_FOUND ? 0 : rc ? rc : file_sync_dir(dir->path);
    if (rc)
        log_warn("storage", "cannot remove %s: %s", path, err_text(rc));
}

static void discard_copy(struct log_manager *m, struct log_move *move, const char *future)
{
    struct log *copy = move->copy;
    pthread_mutex_lock(&m->checkpoint_lock);
    forget_arrival(m, move);
    pthread_mutex_unlock(&m->checkpoint_lock);
    if (copy) {
        set_copy(m, move, NULL);
        log_close(copy, false);
    }
    remove_future(m, move, future);
}

// The copy begins where the log does, or, when that is in the middle of a batch, with the batch.
static int first_offset(struct log *log, int64_t *out)
{
    struct log_offsets o;
    struct log_slice slice;
    log_offsets(log, &o);
    int rc = log_read(log, o.log_start_offset, 1, LOG_BOUND_END, true, &slice);
    bool within = rc == 0 && slice.size && slice.base_offset < o.log_start_offset;
    *out = within ? slice.base_offset : o.log_start_offset;
    log_slice_release(&slice);
    return rc;
}

static int open_copy(struct log_manager *m, struct log_move *move, struct log *log)
{
    char message[512];
    struct log_config config;
    struct log *copy;
    int64_t first;
    move->truncations = atomic_load(&log->truncations);
    int rc = first_offset(log, &first);
    if (rc)
        return rc;
    log_get_config(log, &config);
    struct log_params params = {.log_dir = m->dirs[move->dir].dir->path,
                                .dir_name = move->future,
                                .topic = log_topic(log),
                                .partition = move->partition,
                                .topic_id = log_topic_id(log),
                                .config = &config,
                                .log_start_offset = first,
                                .flushed_size = -1,
                                .now_ms = clock_wall_ms(),
                                .files = m->files,
                                .reaper = m->reaper,
                                .health = &m->dirs[move->dir].dir->health};
    rc = log_open(&params, &copy, message, sizeof message);
    dir_health_note(params.health, "cannot make a log in", params.log_dir, rc);
    if (rc == 0)
        set_copy(m, move, copy);
    else
        log_limited(LOG_LEVEL_ERROR, "storage", "%s", message);
    return rc;
}

// The new directory first: at any time a start finds one.
static int begin_anew(struct log_manager *m, struct log_move *move, struct log *log)
{
    char before[sizeof move->future];
    memcpy(before, move->future, sizeof before);
    int rc = log_move_make_future(m, move);
    rc = rc ? rc : log_move_sync_futures(m, move->dir);
    if (rc) {
        remove_future(m, move, move->future);
        memcpy(move->future, before, sizeof before);
        return rc;
    }
    discard_copy(m, move, before);
    return open_copy(m, move, log);
}

static size_t piece_limit(struct log_manager *m)
{
    double piece = cleaner_throttle_rate(&m->moving.throttle) / PIECES_A_SECOND;
    return piece >= (double)PIECE_BYTES ? PIECE_BYTES
           : piece < PIECE_MIN_BYTES    ? PIECE_MIN_BYTES
                                        : (size_t)piece;
}

// ---------------------------------------------------------------- the swap

// ERR_EXISTS: the other directory has a log that could not be loaded, or somebody's.
static int check_name(const struct log_move *move, const char *root)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", root, move->name) >= (int)sizeof path)
        return ERR_INVALID;
    return file_exists(path) ? ERR_EXISTS : 0;
}

static int note_whole(struct log_move *move, const char *root)
{
    int rc = check_name(move, root);
    rc = rc || move->noted ? rc : file_replace(move->copy->place->dir, MOVED_FILE, "", 0);
    move->noted |= rc == 0;
    return rc;
}

// Once the new name outlasts a crash of the machine.
static void forget_whole(struct log_manager *m, const struct log_move *move)
{
    char path[PATH_MAX];
    const struct log_dir *to = m->dirs[move->dir].dir;
    if (log_move_sync_futures(m, move->dir) == 0 &&
        snprintf(path, sizeof path, "%s/%s/" MOVED_FILE, to->path, move->name) < (int)sizeof path)
        (void)file_unlink(path);
}

// From here on nobody calls the move off: who wants the log elsewhere has it moved again afterwards.
static int begin_commit(struct log_manager *m, struct log_move *move)
{
    pthread_mutex_lock(&m->moving.lock);
    move->committing = !atomic_load(&move->cancelled);
    int rc = move->committing ? 0 : ERR_AGAIN;
    pthread_mutex_unlock(&m->moving.lock);
    return rc;
}

static void end_commit(struct log_manager *m, struct log_move *move, bool swapped, bool torn)
{
    pthread_mutex_lock(&m->moving.lock);
    move->committing = move->swapped = swapped;
    move->torn = torn;
    if (!swapped && !torn && move->superseded) // a torn move's copy is the log
        atomic_store(&move->cancelled, true);
    pthread_mutex_unlock(&m->moving.lock);
}

// [the log's lock] ERR_AGAIN: too much has come in meanwhile, it is more durable than the copy, or it starts
// elsewhere than the checkpoints say.
static int catch_up_and_adopt(struct move_thread *t, struct log_move *move, struct log *log,
                              int64_t noted_start)
{
    size_t copied = 0, all = 0;
    int rc = log_usable(log);
    if (rc == 0 && (atomic_load(&log->truncations) != move->truncations || log->log_start != noted_start))
        rc = ERR_AGAIN;
    do {
        rc = rc ? rc : log_move_copy_piece(t, move, log, PIECE_BYTES, &copied);
        all += copied;
    } while (rc == 0 && copied && all < PIECE_BYTES);
    if (rc)
        return rc;
    if (copied == 0 && log_end_offset(move->copy) < log->end)
        rc = log_move_check_gap(log, move, log_end_offset(move->copy), NULL, 0);
    if (rc)
        return rc;
    log_lock(move->copy);
    if (copied == 0 && move->copy->end < log->end) // compaction left nothing there
        rc = log_skip_to(move->copy, log->end);
    if (rc == 0 && move->copy->end != log->end)
        rc = ERR_AGAIN;
    if (rc == 0 && move->flushes >= FLUSH_TRIES)
        rc = log_flush(move->copy, move->copy->end);
    rc = rc ? rc : log_adopt(log, move->copy);
    log_unlock(move->copy);
    return rc;
}

// The log is where the copy was, for the manager, too.
static void settle_dir(struct log_manager *m, struct log_move *move, struct managed_log *managed)
{
    pthread_mutex_lock(&m->lock);
    while (managed->busy > 1)
        pthread_cond_wait(&m->idle, &m->lock);
    m->dirs[managed->dir].logs--;
    log_manager_note_gone(m, managed->dir, move->name);
    m->dirs[move->dir].logs++;
    managed->dir = move->dir;
    pthread_mutex_unlock(&m->lock);
}

// What the checkpoints are to say where the log will be. [checkpoint_lock]
static void announce(struct log_manager *m, struct log_move *move, struct log *log)
{
    struct arrival *a = &move->arrival;
    a->topic = move->topic;
    a->partition = move->partition;
    a->dir = move->dir;
    a->recovery_point = log_recovery_point(move->copy);
    pthread_mutex_lock(&log->publish);
    a->log_start = log->log_start;
    a->watermark = log->high_watermark.offset;
    a->cleaned_to = log->cleaned_to;
    pthread_mutex_unlock(&log->publish);
    a->written = false;
    list_remove(&a->node);
    list_push_back(&m->moving.arrivals, &a->node);
    move->announced = true;
}

// [checkpoint_lock]
static int commit(struct move_thread *t, struct log_move *move, struct managed_log *managed)
{
    struct log_manager *m = t->m;
    struct log *log = managed->log;
    if (!move->arrival.written)
        announce(m, move, log);
    int rc = move->arrival.written ? 0 : log_manager_checkpoint_arrivals(m, move->dir);
    rc = rc ? rc : begin_commit(m, move);
    if (rc)
        return rc;
    log_lock(log);
    rc = catch_up_and_adopt(t, move, log, move->arrival.log_start);
    log_unlock(log);
    end_commit(m, move, rc == 0, rc && log_is_offline(log));
    if (rc == ERR_AGAIN)
        move->arrival.written = false;
    if (rc)
        return rc;
    atomic_fetch_add(&m->moving.done, 1); // before anybody finds the log there
    settle_dir(m, move, managed);
    forget_arrival(m, move);
    return 0;
}

static int swap(struct move_thread *t, struct log_move *move, struct managed_log *managed)
{
    struct log_manager *m = t->m;
    const char *from = m->dirs[managed->dir].dir->path, *to = m->dirs[move->dir].dir->path;
    int rc = note_whole(move, to);
    if (rc)
        return rc;
    pthread_mutex_lock(&m->checkpoint_lock); // none names the log where it is not any more
    rc = commit(t, move, managed);
    pthread_mutex_unlock(&m->checkpoint_lock);
    if (rc == 0)
        log_info("storage", "moved %s from %s to %s: %.1f MB in %.1f s", move->name, from, to,
                 (double)move->bytes / (1024 * 1024), (double)(clock_monotonic_ms() - move->began_ms) / 1000);
    return rc;
}

// The first time the log is to be swapped, others may be, too.
static int settle(struct log_manager *m, struct log_move *move, struct log *log)
{
    int rc = check_name(move, m->dirs[move->dir].dir->path); // its lines in the checkpoints are another's
    if (rc)
        return rc;
    pthread_mutex_lock(&m->checkpoint_lock);
    announce(m, move, log);
    pthread_mutex_unlock(&m->checkpoint_lock);
    move->near = false; // what comes meanwhile is not left to the swap
    return 0;
}

// ---------------------------------------------------------------- one step

static struct log_move_view view_of(struct log_manager *m, struct log_move *move, struct managed_log *managed)
{
    const struct dir_health *health = &m->dirs[move->dir].dir->health;
    struct log_move_view v = {
        .cancelled = atomic_load(&move->cancelled),
        .source_lost = !managed || log_is_offline(managed->log),
        .target_lost = dir_health_failed(health) || (move->copy && log_is_offline(move->copy)),
        .there = managed && managed->dir == move->dir,
        .target_full = dir_health_full(health),
        .opened = move->copy,
        .near = move->near,
        .flushed = move->flushed,
        .announced = move->announced,
    };
    if (v.cancelled || v.source_lost || v.target_lost || v.there)
        return v;
    struct log_offsets o, of_copy = {0};
    log_offsets(managed->log, &o);
    if (move->copy)
        log_offsets(move->copy, &of_copy);
    atomic_store(&managed->moving, true); // before the look: no round begins any more
    v.compacted_now = atomic_load(&managed->cleaning);
    v.flushed_now = move->held_up < HELD_UP_TRIES && log_is_flushing(managed->log);
    v.truncated = move->copy && atomic_load(&managed->log->truncations) != move->truncations;
    v.source_start = o.log_start_offset;
    v.source_end = o.end_offset;
    v.end = of_copy.end_offset;
    v.holds = of_copy.end_offset > of_copy.log_start_offset;
    return v;
}

static int act(struct move_thread *t, struct log_move *move, struct managed_log *managed,
               const struct log_move_view *v, enum log_move_action action, size_t *copied)
{
    int rc;
    switch (action) {
    case LOG_MOVE_OPEN:
        return open_copy(t->m, move, managed->log);
    case LOG_MOVE_REOPEN:
        return begin_anew(t->m, move, managed->log);
    case LOG_MOVE_COPY:
        rc = log_move_copy_piece(t, move, managed->log, piece_limit(t->m), copied);
        move->near = rc == 0 && (*copied == 0 || log_end_offset(move->copy) >= v->source_end);
        return rc;
    case LOG_MOVE_FLUSH:
        rc = log_flush(move->copy, log_end_offset(move->copy));
        move->flushed = rc == 0;
        move->near = false; // what came meanwhile is not left to the swap
        move->flushes++;
        return rc;
    case LOG_MOVE_SETTLE:
        return settle(t->m, move, managed->log);
    case LOG_MOVE_SWAP:
        rc = swap(t, move, managed);
        if (rc == ERR_AGAIN)
            move->near = move->flushed = false;
        return rc;
    case LOG_MOVE_WAIT:
        move->held_up += v->flushed_now;
        return 0;
    default:
        return 0;
    }
}

static const char *why_dropped(const struct log_move_view *v)
{
    return v->cancelled     ? "it is not wanted any more"
           : v->source_lost ? "the log is gone or off line"
           : v->target_lost ? "the other directory is off line"
                            : "it lies there";
}

// What the log says of the step, and for how long the move is left alone after it.
static int64_t say(const struct log_manager *m, const struct log_move *move, const struct log_move_view *v,
                   enum log_move_action action, int rc)
{
    const char *to = m->dirs[move->dir].dir->path;
    if (action == LOG_MOVE_DROP)
        log_info("storage", "%s is not moved to %s: %s", move->name, to, why_dropped(v));
    if (action == LOG_MOVE_WAIT && v->target_full) {
        log_limited(LOG_LEVEL_WARN, "storage", "moving %s to %s waits for room there", move->name, to);
        return ERROR_REST_US;
    }
    if (action == LOG_MOVE_WAIT)
        return REST_US;
    if (rc == 0 || rc == ERR_AGAIN || rc == ERR_RANGE) // a range: the log starts elsewhere, seen by the next
        return 0;
    log_limited(LOG_LEVEL_WARN, "storage", "moving %s to %s: %s; tried again", move->name, to, err_text(rc));
    return rc == ERR_CORRUPT ? DAMAGE_REST_US : ERROR_REST_US;
}

bool log_move_step(struct move_thread *t, struct log_move *move, struct log_move_rest *rest)
{
    struct log_manager *m = t->m;
    struct managed_log *managed = log_manager_hold(m, move->key);
    struct log_move_view v = view_of(m, move, managed);
    enum log_move_action action = log_move_decide(&v);
    size_t copied = 0;
    if (action == LOG_MOVE_FLUSH) { // long, and of the copy alone: who deletes the log does not wait for it
        log_manager_let_go(m, managed);
        managed = NULL;
    }
    int rc = act(t, move, managed, &v, action, &copied);
    bool swapped = action == LOG_MOVE_SWAP && rc == 0, over = action == LOG_MOVE_DROP || swapped;
    *rest = (struct log_move_rest){.move_us = say(m, move, &v, action, rc),
                                   .settles = action == LOG_MOVE_SETTLE && rc == 0};
    if (over && managed)
        atomic_store(&managed->moving, false);
    if (managed)
        log_manager_let_go(m, managed);
    if (copied)
        rest->thread_us = cleaner_throttle_take(&m->moving.throttle, (int64_t)copied, clock_monotonic_us());
    if (swapped &&
        m->params.moved) // first: the controller is to hear of it before it hears of what fails now
        m->params.moved(m->params.arg);
    if (swapped)
        forget_whole(m, move);
    return over;
}

void log_move_end(struct log_manager *m, struct log_move *move)
{
    if (!move->swapped) {
        discard_copy(m, move, move->future);
        return;
    }
    struct log *left = move->copy;
    set_copy(m, move, NULL);
    log_close(left, false);
}
