// The threads that move logs to other log directories (log-move-N, KIP-113): they copy a log batch by batch
// into <topic>-<partition>.<id>-future in the other directory, and have it take the log's place when it has
// caught up. What is to be done next is log_move_decide's.
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "os/file.h"
#include "storage/batch.h"
#include "storage/log_manager_state.h"
#include "storage/log_move.h"
#include "storage/log_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE_BYTES     ((size_t)1 << 20)
#define NEAR_BYTES      (PIECE_BYTES / 4) // a piece that is smaller: the copy has caught up
#define REST_US         100000
#define NO_ROOM_REST_US 1000000
#define FLUSH_TRIES     3 // outside the log's lock, while its writers have each batch flushed

// Under moving.lock, but for `copy`, `near` and the like, which are the thread's that works on it.
struct log_move {
    struct list node;
    uint8_t key[MANAGED_KEY_BYTES];
    char *name; // "topic-partition"
    int32_t partition;
    size_t dir;
    bool busy;              // a thread works on it
    atomic_bool cancelled;  // any thread
    bool swapped;           // what `copy` has is the old log
    struct log *copy;       // set and cleared under moving.lock
    int64_t rests_until_us; // monotonic
    bool near, flushed;
    int flushes;
    int64_t began_ms, bytes;
};

struct move_thread {
    struct log_manager *m;
    struct buffer piece;
    struct thread thread;
};

// ---------------------------------------------------------------- the list

static struct log_move *find_move(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES])
{
    for (struct list *n = list_first(&m->moving.moves), *next; list_each(&m->moving.moves, n, next);
         n = next) {
        struct log_move *move = container_of(n, struct log_move, node);
        if (!atomic_load(&move->cancelled) && memcmp(move->key, key, MANAGED_KEY_BYTES) == 0)
            return move;
    }
    return NULL;
}

static void free_move(struct log_manager *m, struct log_move *move)
{
    pthread_mutex_lock(&m->lock);
    m->dirs[move->dir].logs--;
    pthread_mutex_unlock(&m->lock);
    free(move->name);
    free(move);
}

static int add_move(struct log_manager *m, const struct log *log, const uint8_t key[MANAGED_KEY_BYTES],
                    size_t dir)
{
    struct log_move *move = calloc(1, sizeof *move);
    if (!move || !(move->name = strdup(log_name(log)))) {
        free(move);
        return ERR_NOMEM;
    }
    memcpy(move->key, key, sizeof move->key);
    move->partition = log_partition(log);
    move->dir = dir;
    move->began_ms = clock_monotonic_ms();
    list_push_back(&m->moving.moves, &move->node);
    pthread_mutex_lock(&m->lock);
    m->dirs[dir].logs++;
    pthread_mutex_unlock(&m->lock);
    pthread_cond_broadcast(&m->moving.changed);
    return 0;
}

static bool any_failed(const struct log_manager *m)
{
    for (size_t i = 0; i < m->params.dir_count; i++)
        if (dir_health_failed(&m->dirs[i].dir->health))
            return true;
    return false;
}

int log_manager_move(struct log_manager *m, const struct uuid *topic_id, int32_t partition, size_t dir)
{
    uint8_t key[MANAGED_KEY_BYTES];
    int rc = 0;
    managed_key(topic_id, partition, key);
    pthread_mutex_lock(&m->moving.lock);
    struct managed_log *managed = log_manager_hold(m, key);
    struct log_move *move = find_move(m, key);
    bool wanted = move && managed && move->dir == dir;
    if (move && !wanted) {
        atomic_store(&move->cancelled, true);
        pthread_cond_broadcast(&m->moving.changed);
    }
    if (!managed)
        rc = ERR_NOT_FOUND;
    else if (!wanted && managed->dir != dir)
        rc = any_failed(m) || log_is_offline(managed->log) ? ERR_CLOSED : add_move(m, managed->log, key, dir);
    if (managed)
        log_manager_let_go(m, managed);
    pthread_mutex_unlock(&m->moving.lock);
    return rc;
}

void log_manager_forget_move(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES])
{
    pthread_mutex_lock(&m->moving.lock);
    struct log_move *move = find_move(m, key);
    if (move) {
        atomic_store(&move->cancelled, true);
        pthread_cond_broadcast(&m->moving.changed);
    }
    pthread_mutex_unlock(&m->moving.lock);
}

void log_manager_visit_moves(struct log_manager *m, void (*fn)(void *arg, const struct log_moving *move),
                             void *arg)
{
    pthread_mutex_lock(&m->moving.lock);
    for (struct list *n = list_first(&m->moving.moves), *next; list_each(&m->moving.moves, n, next);
         n = next) {
        struct log_move *move = container_of(n, struct log_move, node);
        struct managed_log *managed =
            atomic_load(&move->cancelled) || move->swapped ? NULL : log_manager_hold(m, move->key);
        if (!managed)
            continue;
        int64_t end = move->copy ? log_end_offset(move->copy) : 0, all = log_end_offset(managed->log);
        struct log_moving told = {.topic = log_topic(managed->log),
                                  .partition = move->partition,
                                  .dir = move->dir,
                                  .size_bytes = move->copy ? log_size_bytes(move->copy) : 0,
                                  .lag = all > end ? all - end : 0};
        fn(arg, &told);
        log_manager_let_go(m, managed);
    }
    pthread_mutex_unlock(&m->moving.lock);
}

// ---------------------------------------------------------------- the copy

static void set_copy(struct log_manager *m, struct log_move *move, struct log *copy)
{
    pthread_mutex_lock(&m->moving.lock);
    move->copy = copy;
    move->near = move->flushed = false;
    pthread_mutex_unlock(&m->moving.lock);
}

static void discard_copy(struct log_manager *m, struct log_move *move)
{
    struct log *copy = move->copy;
    if (!copy)
        return;
    set_copy(m, move, NULL);
    log_lock(copy);
    (void)log_delete(copy);
    log_unlock(copy);
    log_close(copy, false);
}

// The copy begins where the batch does that has the log's first record.
static int first_offset(struct log *log, int64_t *out)
{
    struct log_offsets o;
    struct log_slice slice;
    log_offsets(log, &o);
    int rc = log_read(log, o.log_start_offset, 1, LOG_BOUND_END, true, &slice);
    *out = slice.base_offset < o.log_start_offset || slice.size ? slice.base_offset : o.end_offset;
    log_slice_release(&slice);
    return rc;
}

static int open_copy(struct log_manager *m, struct log_move *move, struct log *log)
{
    char message[512], name[300], hex[33];
    struct log_config config;
    struct log *copy;
    int64_t first;
    int rc = first_offset(log, &first);
    if (rc)
        return rc;
    struct uuid id = uuid_random();
    for (int i = 0; i < 16; i++)
        snprintf(hex + (size_t)i * 2, 3, "%02x", id.bytes[i]);
    snprintf(name, sizeof name, "%s.%s" FUTURE_SUFFIX, move->name, hex);
    log_get_config(log, &config);
    struct log_params params = {.log_dir = m->dirs[move->dir].dir->path,
                                .dir_name = name,
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
    if (rc == 0)
        set_copy(m, move, copy);
    else
        log_limited(LOG_LEVEL_ERROR, "storage", "%s", message);
    return rc;
}

// The whole batches in front.
static size_t whole_batches(const struct buffer *piece)
{
    struct bytes all = {piece->data, piece->size}, batch;
    struct batch_cursor c = batch_cursor(all);
    struct batch_header header;
    size_t size = 0;
    while (batch_cursor_next(&c, &header, &batch) > 0)
        size += batch.size;
    return size;
}

// Copies what follows, at most a piece (or a batch, where that is larger). *copied: how much.
static int copy_piece(struct move_thread *t, struct log_move *move, struct log *log, size_t *copied)
{
    struct log_slice slice;
    struct log_append_info info;
    *copied = 0;
    int rc = log_read(log, log_end_offset(move->copy), PIECE_BYTES, LOG_BOUND_END, true, &slice);
    if (rc || slice.size == 0) {
        log_slice_release(&slice);
        return rc;
    }
    buffer_clear(&t->piece);
    uint8_t *to = buffer_reserve(&t->piece, slice.size);
    rc = to ? log_slice_copy(&slice, 0, to, slice.size) : ERR_NOMEM;
    t->piece.size = rc ? 0 : slice.size;
    log_slice_release(&slice);
    size_t size = rc ? 0 : whole_batches(&t->piece);
    if (rc == 0 && size == 0)
        rc = ERR_CORRUPT;
    if (rc)
        return rc;
    log_lock(move->copy);
    rc =
        log_append(move->copy, t->piece.data, size, LOG_NO_EPOCH, LOG_ORIGIN_REPLICA, clock_wall_ms(), &info);
    log_unlock(move->copy);
    if (rc == 0) {
        *copied = size;
        move->bytes += (int64_t)size;
    }
    return rc;
}

// ---------------------------------------------------------------- the swap

static int note_whole(const struct log *copy)
{
    return file_replace(copy->place->dir, MOVED_FILE, "", 0);
}

// Once the new name outlasts a crash of the machine.
static void forget_whole(struct log *log, const char *root)
{
    char path[PATH_MAX];
    if (log_note(log, "cannot sync the directory of", file_sync_dir(root)) == 0 &&
        snprintf(path, sizeof path, "%s/%s/" MOVED_FILE, root, log->name) < (int)sizeof path)
        (void)file_unlink(path);
}

// [the log's lock] ERR_AGAIN: too much has come in meanwhile, or it is more durable than the copy.
static int catch_up_and_adopt(struct move_thread *t, struct log_move *move, struct log *log)
{
    size_t copied = 0, all = 0;
    int rc = log_usable(log);
    do {
        rc = rc ? rc : copy_piece(t, move, log, &copied);
        all += copied;
    } while (rc == 0 && copied && all < PIECE_BYTES);
    if (rc == 0 && log_end_offset(move->copy) != log_end_offset(log))
        rc = ERR_AGAIN;
    bool behind = log_recovery_point(move->copy) < log_recovery_point(log);
    if (rc == 0 && behind)
        rc = move->flushes < FLUSH_TRIES ? ERR_AGAIN : log_flush(move->copy, log_end_offset(move->copy));
    if (rc)
        return rc;
    log_lock(move->copy);
    rc = log_adopt(log, move->copy);
    log_unlock(move->copy);
    return rc;
}

// The log is where the copy was, for the manager, too.
static void settle_dir(struct log_manager *m, struct log_move *move, struct managed_log *managed)
{
    pthread_mutex_lock(&m->moving.lock);
    move->swapped = true;
    pthread_mutex_unlock(&m->moving.lock);
    pthread_mutex_lock(&m->lock);
    while (managed->busy > 1)
        pthread_cond_wait(&m->idle, &m->lock);
    m->dirs[managed->dir].logs--;
    m->dirs[move->dir].logs++;
    managed->dir = move->dir;
    pthread_mutex_unlock(&m->lock);
}

static int swap(struct move_thread *t, struct log_move *move, struct managed_log *managed)
{
    struct log_manager *m = t->m;
    struct log *log = managed->log;
    int rc = note_whole(move->copy);
    if (rc)
        return rc;
    const char *from = m->dirs[managed->dir].dir->path, *to = m->dirs[move->dir].dir->path;
    pthread_mutex_lock(&m->checkpoint_lock); // none names the log where it is not any more
    log_lock(log);
    rc = catch_up_and_adopt(t, move, log);
    log_unlock(log);
    if (rc == 0)
        settle_dir(m, move, managed);
    pthread_mutex_unlock(&m->checkpoint_lock);
    if (rc)
        return rc;
    log_info("storage", "moved %s from %s to %s: %.1f MB in %.1f s", move->name, from, to,
             (double)move->bytes / (1024 * 1024), (double)(clock_monotonic_ms() - move->began_ms) / 1000);
    (void)log_manager_checkpoint(m);
    forget_whole(log, to);
    if (m->params.moved)
        m->params.moved(m->params.arg);
    return 0;
}

// ---------------------------------------------------------------- one step

static struct log_move_view view_of(struct log_manager *m, struct log_move *move, struct managed_log *managed)
{
    struct log_move_view v = {
        .cancelled = atomic_load(&move->cancelled),
        .source_lost = !managed || log_is_offline(managed->log),
        .target_lost =
            dir_health_failed(&m->dirs[move->dir].dir->health) || (move->copy && log_is_offline(move->copy)),
        .opened = move->copy,
        .near = move->near,
        .flushed = move->flushed,
    };
    if (v.cancelled || v.source_lost || v.target_lost)
        return v;
    struct log_offsets o;
    log_offsets(managed->log, &o);
    atomic_store(&managed->moving, true); // before the look: no round begins any more
    v.compacted_now = atomic_load(&managed->cleaning);
    v.source_start = o.log_start_offset;
    v.source_end = o.end_offset;
    v.end = move->copy ? log_end_offset(move->copy) : 0;
    return v;
}

static int act(struct move_thread *t, struct log_move *move, struct managed_log *managed,
               enum log_move_action action, size_t *copied)
{
    int rc;
    switch (action) {
    case LOG_MOVE_REOPEN:
        discard_copy(t->m, move);
        return open_copy(t->m, move, managed->log);
    case LOG_MOVE_OPEN:
        return open_copy(t->m, move, managed->log);
    case LOG_MOVE_COPY:
        rc = copy_piece(t, move, managed->log, copied);
        move->near = rc == 0 && *copied < NEAR_BYTES;
        return rc;
    case LOG_MOVE_FLUSH:
        rc = log_flush(move->copy, log_end_offset(move->copy));
        move->flushed = rc == 0;
        move->flushes++;
        return rc;
    case LOG_MOVE_SWAP:
        rc = swap(t, move, managed);
        if (rc == ERR_AGAIN)
            move->near = move->flushed = false;
        return rc;
    default:
        return 0;
    }
}

static const char *why_dropped(const struct log_move_view *v)
{
    return v->source_lost && !v->cancelled ? "the log is gone or off line"
           : v->target_lost                ? "the other directory is off line"
                                           : "it is not wanted any more";
}

// True: the move is over. *wait_us: so long the thread takes nothing more; *rest_us: so long not this move.
static bool step(struct move_thread *t, struct log_move *move, int64_t *wait_us, int64_t *rest_us)
{
    struct log_manager *m = t->m;
    struct managed_log *managed = log_manager_hold(m, move->key);
    struct log_move_view v = view_of(m, move, managed);
    enum log_move_action action = log_move_decide(&v);
    size_t copied = 0;
    int rc = act(t, move, managed, action, &copied);
    bool over = action == LOG_MOVE_DROP || (action == LOG_MOVE_SWAP && rc == 0);
    *wait_us = copied ? cleaner_throttle_take(&m->moving.throttle, (int64_t)copied, clock_monotonic_us()) : 0;
    *rest_us = action == LOG_MOVE_WAIT ? REST_US : 0;
    if (rc && rc != ERR_AGAIN &&
        rc != ERR_RANGE) { // a range: the log's start has moved, which the next step sees
        log_limited(LOG_LEVEL_WARN, "storage", "moving %s to %s: %s; tried again", move->name,
                    m->dirs[move->dir].dir->path, err_text(rc));
        *rest_us = NO_ROOM_REST_US;
    }
    if (action == LOG_MOVE_DROP)
        log_info("storage", "%s is not moved to %s: %s", move->name, m->dirs[move->dir].dir->path,
                 why_dropped(&v));
    if (over && managed)
        atomic_store(&managed->moving, false);
    if (managed)
        log_manager_let_go(m, managed);
    return over;
}

// ---------------------------------------------------------------- the threads

static void until_us(int64_t us, struct timespec *out)
{
    *out = (struct timespec){us / 1000000, us % 1000000 * 1000};
}

// The first move that nobody works on and that does not rest; of one log only the oldest. Until what the
// thread has taken is paid for, only one that is to be given up. *next_us: when to look again. [moving.lock]
static struct log_move *pick(struct log_manager *m, int64_t now_us, int64_t paid_at_us, int64_t *next_us)
{
    *next_us = INT64_MAX;
    for (struct list *n = list_first(&m->moving.moves), *next; list_each(&m->moving.moves, n, next);
         n = next) {
        struct log_move *move = container_of(n, struct log_move, node);
        bool first = true;
        for (struct list *o = list_first(&m->moving.moves); o != n; o = o->next)
            first &= memcmp(container_of(o, struct log_move, node)->key, move->key, sizeof move->key) != 0;
        if (move->busy || !first)
            continue;
        int64_t from_us = atomic_load(&move->cancelled)       ? now_us
                          : move->rests_until_us > paid_at_us ? move->rests_until_us
                                                              : paid_at_us;
        if (from_us <= now_us)
            return move;
        if (from_us < *next_us)
            *next_us = from_us;
    }
    return NULL;
}

static void wait_for_moves(struct moving *moving, int64_t next_us)
{
    struct timespec until;
    if (next_us == INT64_MAX) {
        pthread_cond_wait(&moving->changed, &moving->lock);
        return;
    }
    until_us(next_us, &until);
    pthread_cond_timedwait(&moving->changed, &moving->lock, &until);
}

static void end_move(struct log_manager *m, struct log_move *move)
{
    if (move->swapped) { // what it has is what the log was
        struct log *old = move->copy;
        set_copy(m, move, NULL);
        log_close(old, false);
    }
    discard_copy(m, move);
    free_move(m, move);
}

static void run(void *arg)
{
    struct move_thread *t = arg;
    struct log_manager *m = t->m;
    struct moving *moving = &m->moving;
    int64_t paid_at_us = 0;
    uint64_t rate = 0; // the version of the rate at which it was taken
    pthread_mutex_lock(&moving->lock);
    while (!moving->stopping) {
        int64_t next_us, wait_us, rest_us;
        if (atomic_load(&moving->throttle.changes) != rate)
            paid_at_us = 0;
        struct log_move *move = pick(m, clock_monotonic_us(), paid_at_us, &next_us);
        if (!move) {
            buffer_free(&t->piece);
            wait_for_moves(moving, next_us);
            continue;
        }
        move->busy = true;
        pthread_mutex_unlock(&moving->lock);
        rate = atomic_load(&moving->throttle.changes);
        bool over = step(t, move, &wait_us, &rest_us);
        pthread_mutex_lock(&moving->lock);
        move->busy = false;
        move->rests_until_us = rest_us ? clock_monotonic_us() + rest_us : 0;
        if (over) {
            list_remove(&move->node);
            pthread_mutex_unlock(&moving->lock);
            end_move(m, move);
            pthread_mutex_lock(&moving->lock);
            pthread_cond_broadcast(&moving->changed); // another move of the same log may wait
        }
        paid_at_us = wait_us ? clock_monotonic_us() + wait_us : paid_at_us;
    }
    pthread_mutex_unlock(&moving->lock);
    buffer_free(&t->piece);
}

// ---------------------------------------------------------------- starting and stopping

void log_manager_init_moving(struct log_manager *m)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&m->moving.lock, NULL);
    pthread_cond_init(&m->moving.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    list_init(&m->moving.moves);
    cleaner_throttle_init(&m->moving.throttle, m->params.move_bytes_per_second);
}

void log_manager_free_moving(struct log_manager *m)
{
    for (struct list *n; (n = list_pop_front(&m->moving.moves));) {
        struct log_move *move = container_of(n, struct log_move, node);
        free(move->name);
        free(move);
    }
    for (size_t i = 0; i < m->moving.left_count; i++)
        free(m->moving.left[i].name);
    free(m->moving.left);
    pthread_mutex_destroy(&m->moving.lock);
    pthread_cond_destroy(&m->moving.changed);
    cleaner_throttle_free(&m->moving.throttle);
}

void log_manager_set_move_rate(struct log_manager *m, double bytes_per_second)
{
    cleaner_throttle_set(&m->moving.throttle, bytes_per_second);
    pthread_mutex_lock(&m->moving.lock);
    pthread_cond_broadcast(&m->moving.changed);
    pthread_mutex_unlock(&m->moving.lock);
}

int log_manager_start_moving(struct log_manager *m)
{
    struct moving *moving = &m->moving;
    size_t wanted = m->params.move_threads > 0 ? (size_t)m->params.move_threads : m->params.dir_count;
    if (m->params.dir_count < 2) // nowhere to move to
        return 0;
    moving->threads = calloc(wanted, sizeof *moving->threads);
    if (!moving->threads)
        return ERR_NOMEM;
    for (; moving->running < wanted; moving->running++) {
        char name[16];
        struct move_thread *t = &moving->threads[moving->running];
        t->m = m;
        snprintf(name, sizeof name, "log-move-%u", (unsigned)moving->running % 1000);
        int rc = thread_start(&t->thread, name, run, t);
        if (rc)
            return rc;
    }
    return 0;
}

void log_manager_stop_moving(struct log_manager *m)
{
    struct moving *moving = &m->moving;
    pthread_mutex_lock(&moving->lock);
    moving->stopping = true;
    pthread_cond_broadcast(&moving->changed);
    pthread_mutex_unlock(&moving->lock);
    while (moving->running > 0)
        thread_join(&moving->threads[--moving->running].thread);
    free(moving->threads);
    moving->threads = NULL;
    for (struct list *n = list_first(&moving->moves), *next; list_each(&moving->moves, n, next); n = next) {
        struct log_move *move = container_of(n, struct log_move, node);
        if (move->copy) // the next start begins it anew
            log_close(move->copy, false);
        move->copy = NULL;
    }
}
