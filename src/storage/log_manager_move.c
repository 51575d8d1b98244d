// The moves to other log directories (KIP-113): who asks for them, and the threads (log-move-N) that make
// them, step by step (log_mover.c).
#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "storage/log_mover.h"
#include "storage/log_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CALL_OFF_MS      30000 // who called a move off waits so long at most for its copy to be gone
#define CALL_OFF_EACH_MS 50    // and so much longer for each of several

// ---------------------------------------------------------------- the list

static struct str key_of(const uint8_t key[MANAGED_KEY_BYTES])
{
    return (struct str){(const char *)key, MANAGED_KEY_BYTES};
}

// What is to become of the log: the last move that nobody called off. [moving.lock]
static struct log_move *find_move(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES])
{
    struct log_move *move = map_get(&m->moving.by_key, key_of(key));
    while (move && (atomic_load(&move->cancelled) || move->superseded || move->torn))
        move = move->older;
    return move;
}

// Where the log lies, or will when a swap is done. [moving.lock]
static size_t settles_in(struct log_manager *m, const struct managed_log *managed)
{
    for (struct log_move *move = map_get(&m->moving.by_key, key_of(managed->key)); move; move = move->older)
        if (move->committing)
            return move->dir;
    return managed->dir;
}

static bool is_listed(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES], uint64_t id)
{
    struct log_move *move = map_get(&m->moving.by_key, key_of(key));
    while (move && move->id != id)
        move = move->older;
    return move != NULL;
}

static void free_move(struct log_move *move)
{
    free(move->name);
    free(move->topic);
    free(move);
}

static struct log_move *new_move(const struct log *log, const uint8_t key[MANAGED_KEY_BYTES], size_t dir)
{
    struct log_move *move = calloc(1, sizeof *move);
    if (!move)
        return NULL;
    move->name = strdup(log_name(log));
    move->topic = strdup(log_topic(log));
    if (!move->name || !move->topic) {
        free_move(move);
        return NULL;
    }
    memcpy(move->key, key, sizeof move->key);
    move->partition = log_partition(log);
    move->dir = dir;
    move->busy = true;
    move->began_ms = clock_monotonic_ms();
    list_init(&move->turn);
    list_init(&move->arrival.node);
    return move;
}

// [moving.lock] Busy: its directory is still to be made.
static struct log_move *add_move(struct log_manager *m, const struct log *log,
                                 const uint8_t key[MANAGED_KEY_BYTES], size_t dir)
{
    struct moving *moving = &m->moving;
    struct log_move *older = map_get(&moving->by_key, key_of(key)), *move = new_move(log, key, dir);
    if (move && (heap_reserve(&moving->queues.resting, moving->queues.count + 1) ||
                 map_put(&moving->by_key, key_of(move->key), move))) {
        free_move(move);
        return NULL;
    }
    if (!move)
        return NULL;
    move->older = older;
    if (older)
        older->newer = move;
    move->id = ++moving->last_id;
    moving->queues.count++;
    list_push_back(&moving->moves, &move->node);
    pthread_mutex_lock(&m->lock);
    m->dirs[dir].logs++;
    pthread_mutex_unlock(&m->lock);
    return move;
}

// [moving.lock] It is the oldest of its log.
static void remove_move(struct log_manager *m, struct log_move *move)
{
    list_remove(&move->node); // from now on another move of the same log may begin
    m->moving.queues.count--;
    if (move->newer) {
        move->newer->older = NULL;
        move_queues_put(&m->moving.queues, move->newer, clock_monotonic_us());
    } else {
        map_remove(&m->moving.by_key, key_of(move->key));
    }
    pthread_mutex_lock(&m->lock);
    m->dirs[move->dir].logs--;
    pthread_mutex_unlock(&m->lock);
    pthread_cond_broadcast(&m->moving.changed);
    free_move(move);
}

// [moving.lock]
static void cancel(struct log_manager *m, struct log_move *move)
{
    atomic_store(&move->cancelled, true);
    move_queues_put(&m->moving.queues, move, clock_monotonic_us());
    pthread_cond_broadcast(&m->moving.changed);
}

// [moving.lock] Returns the number of a move that is on its way out; 0: it cannot be called off any more.
static uint64_t call_off(struct log_manager *m, struct log_move *move)
{
    if (move->committing) {
        move->superseded = true;
        return 0;
    }
    cancel(m, move);
    return move->id;
}

// ---------------------------------------------------------------- asking for moves

static void in_us(int64_t us, struct timespec *out)
{
    *out = (struct timespec){us / 1000000, us % 1000000 * 1000};
}

// [moving.lock] Until a move that was called off has left nothing behind.
static void await_gone(struct log_manager *m, const struct log_wish *wish, const struct timespec *until)
{
    uint8_t key[MANAGED_KEY_BYTES];
    managed_key(&wish->topic_id, wish->partition, key);
    while (m->moving.running && !m->moving.stopping && is_listed(m, key, wish->called_off) &&
           pthread_cond_timedwait(&m->moving.changed, &m->moving.lock, until) != ETIMEDOUT)
        ;
}

// What becomes of the log's moves, but for the directory of a new one's copy. [moving.lock]
static void decide(struct log_manager *m, struct log_wish *wish)
{
    uint8_t key[MANAGED_KEY_BYTES];
    managed_key(&wish->topic_id, wish->partition, key);
    struct managed_log *managed = log_manager_hold(m, key);
    struct log_move *move = find_move(m, key);
    bool wanted = move && managed && move->dir == wish->dir;
    wish->rc = managed ? 0 : ERR_NOT_FOUND;
    if (move && !wanted)
        wish->called_off = call_off(m, move);
    if (managed && !wanted && wish->dir != settles_in(m, managed)) {
        wish->rc = !log_manager_all_dirs_work(m) || log_is_offline(managed->log) ? ERR_CLOSED : 0;
        wish->fresh = wish->rc ? NULL : add_move(m, managed->log, key, wish->dir);
        wish->rc = wish->rc || wish->fresh ? wish->rc : ERR_NOMEM;
    }
    if (managed)
        log_manager_let_go(m, managed);
}

// The copies' directories, which make the moves such that a start goes on with.
static void make_futures(struct log_manager *m, struct log_wish *wishes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (wishes[i].fresh)
            wishes[i].rc = log_move_make_future(m, wishes[i].fresh);
    for (size_t dir = 0; dir < m->params.dir_count; dir++) {
        bool any = false;
        for (size_t i = 0; i < count; i++)
            any |= wishes[i].fresh && wishes[i].dir == dir;
        int rc = any ? log_move_sync_futures(m, dir) : 0;
        for (size_t i = 0; rc && i < count; i++)
            if (wishes[i].fresh && wishes[i].dir == dir)
                wishes[i].rc = rc;
    }
}

static void release(struct log_manager *m, struct log_wish *wish)
{
    wish->rc = wish->rc == 0 || wish->rc == ERR_NOMEM ? wish->rc : ERR_CLOSED;
    wish->fresh->busy = false;
    if (wish->rc)
        cancel(m, wish->fresh);
    else
        move_queues_put(&m->moving.queues, wish->fresh, clock_monotonic_us());
}

void log_manager_move_many(struct log_manager *m, struct log_wish *wishes, size_t count)
{
    struct timespec until;
    in_us((clock_monotonic_ms() + CALL_OFF_MS + (int64_t)count * CALL_OFF_EACH_MS) * 1000, &until);
    for (size_t i = 0; i < count; i++) {
        wishes[i].fresh = NULL;
        wishes[i].called_off = 0;
        pthread_mutex_lock(&m->moving.lock);
        decide(m, &wishes[i]);
        pthread_mutex_unlock(&m->moving.lock);
    }
    make_futures(m, wishes, count);
    pthread_mutex_lock(&m->moving.lock);
    for (size_t i = 0; i < count; i++)
        if (wishes[i].fresh)
            release(m, &wishes[i]);
    pthread_cond_broadcast(&m->moving.changed);
    for (size_t i = 0; i < count; i++)
        if (wishes[i].called_off)
            await_gone(m, &wishes[i], &until);
    pthread_mutex_unlock(&m->moving.lock);
}

int log_manager_move(struct log_manager *m, const struct uuid *topic_id, int32_t partition, size_t dir)
{
    struct log_wish wish = {.topic_id = *topic_id, .partition = partition, .dir = dir};
    log_manager_move_many(m, &wish, 1);
    return wish.rc;
}

// What the checkpoints say of its arrival is the log's, not of one that is made anew with its name.
void log_manager_forget_move(struct log_manager *m, const uint8_t key[MANAGED_KEY_BYTES])
{
    pthread_mutex_lock(&m->moving.lock);
    for (struct log_move *move = map_get(&m->moving.by_key, key_of(key)); move; move = move->older) {
        atomic_store(&move->arrival.over, true);
        pthread_mutex_lock(&m->lock);
        log_manager_note_gone(m, move->dir, move->name);
        pthread_mutex_unlock(&m->lock);
        if (!atomic_load(&move->cancelled))
            (void)call_off(m, move);
    }
    pthread_mutex_unlock(&m->moving.lock);
}

// What people see. [moving.lock]
static bool is_under_way(const struct log_move *move)
{
    return !atomic_load(&move->cancelled) && !move->swapped && !move->torn;
}

uint64_t log_manager_moves_under_way(struct log_manager *m)
{
    uint64_t count = 0;
    pthread_mutex_lock(&m->moving.lock);
    for (struct list *n = list_first(&m->moving.moves), *next; list_each(&m->moving.moves, n, next);
         n = next) {
        const struct log_move *move = container_of(n, struct log_move, node);
        count += is_under_way(move) && !move->superseded;
    }
    pthread_mutex_unlock(&m->moving.lock);
    return count;
}

void log_manager_visit_moves(struct log_manager *m, void (*fn)(void *arg, const struct log_moving *move),
                             void *arg)
{
    pthread_mutex_lock(&m->moving.lock);
    for (struct list *n = list_first(&m->moving.moves), *next; list_each(&m->moving.moves, n, next);
         n = next) {
        struct log_move *move = container_of(n, struct log_move, node);
        struct managed_log *managed = is_under_way(move) ? log_manager_hold(m, move->key) : NULL;
        if (!managed)
            continue;
        int64_t end = move->copy ? log_end_offset(move->copy) : 0, all = log_end_offset(managed->log);
        struct log_moving told = {.topic = log_topic(managed->log),
                                  .partition = move->partition,
                                  .dir = move->dir,
                                  .size_bytes = move->copy ? log_size_bytes(move->copy) : 0,
                                  .lag = all > end ? all - end : 0};
        if (managed->dir != move->dir)
            fn(arg, &told);
        log_manager_let_go(m, managed);
    }
    pthread_mutex_unlock(&m->moving.lock);
}

// ---------------------------------------------------------------- the threads

static void wait_for_moves(struct moving *moving, int64_t next_us)
{
    struct timespec until;
    if (next_us == INT64_MAX) {
        pthread_cond_wait(&moving->changed, &moving->lock);
        return;
    }
    in_us(next_us, &until);
    pthread_cond_timedwait(&moving->changed, &moving->lock, &until);
}

// [moving.lock, released meanwhile]
static void end_move(struct log_manager *m, struct log_move *move)
{
    pthread_mutex_unlock(&m->moving.lock);
    log_move_end(m, move);
    pthread_mutex_lock(&m->moving.lock);
    remove_move(m, move);
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
        int64_t next_us;
        struct log_move_rest rest;
        if (atomic_load(&moving->throttle.changes) != rate)
            paid_at_us = 0;
        struct log_move *move = move_queues_pick(&moving->queues, clock_monotonic_us(), paid_at_us, &next_us);
        if (!move) {
            buffer_free(&t->piece);
            wait_for_moves(moving, next_us);
            continue;
        }
        move->busy = true;
        pthread_mutex_unlock(&moving->lock);
        rate = atomic_load(&moving->throttle.changes);
        bool over = log_move_step(t, move, &rest);
        pthread_mutex_lock(&moving->lock);
        int64_t now_us = clock_monotonic_us();
        paid_at_us = rest.thread_us ? now_us + rest.thread_us : paid_at_us;
        move->rests_until_us = rest.move_us ? now_us + rest.move_us : 0;
        move->settles = rest.settles;
        move->busy = over;
        move_queues_put(&moving->queues, move, now_us);
        if (over)
            end_move(m, move);
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
    list_init(&m->moving.arrivals);
    move_queues_init(&m->moving.queues);
    cleaner_throttle_init(&m->moving.throttle, m->params.move_bytes_per_second);
}

void log_manager_free_moving(struct log_manager *m)
{
    for (struct list *n; (n = list_pop_front(&m->moving.moves));)
        free_move(container_of(n, struct log_move, node));
    map_free(&m->moving.by_key);
    heap_free(&m->moving.queues.resting);
    log_manager_free_left(m);
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
    size_t started = 0;
    int rc = 0;
    if (m->params.dir_count < 2) // nowhere to move to
        return 0;
    moving->threads = calloc(wanted, sizeof *moving->threads);
    if (!moving->threads)
        return ERR_NOMEM;
    while (rc == 0 && started < wanted) {
        char name[16];
        struct move_thread *t = &moving->threads[started];
        t->m = m;
        snprintf(name, sizeof name, "log-move-%u", (unsigned)started % 1000);
        rc = thread_start(&t->thread, name, run, t);
        started += rc == 0;
    }
    pthread_mutex_lock(&moving->lock);
    moving->running = started;
    pthread_mutex_unlock(&moving->lock);
    return rc;
}

void log_manager_stop_moving(struct log_manager *m)
{
    struct moving *moving = &m->moving;
    pthread_mutex_lock(&moving->lock);
    moving->stopping = true;
    pthread_cond_broadcast(&moving->changed);
    size_t running = moving->running;
    moving->running = 0;
    pthread_mutex_unlock(&moving->lock);
    while (running > 0)
        thread_join(&moving->threads[--running].thread);
    free(moving->threads);
    moving->threads = NULL;
    for (struct list *n = list_first(&moving->moves), *next; list_each(&moving->moves, n, next); n = next) {
        struct log_move *move = container_of(n, struct log_move, node);
        pthread_mutex_lock(&m->checkpoint_lock);
        if (move->torn && log_flush(move->copy, log_end_offset(move->copy)) == 0)
            move->arrival.recovery_point = log_recovery_point(move->copy);
        pthread_mutex_unlock(&m->checkpoint_lock);
        if (move->copy) // we begin it anew with the next start; a Kafka may go on with it
            (void)log_close(move->copy, true);
        move->copy = NULL;
    }
}
