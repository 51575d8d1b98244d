#include "coordinator/shard.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "protocol/errors.h"
#include "replication/flusher.h"
#include "storage/batch.h"

#define NEVER INT64_MAX

// [lock]
static struct coordinator_now now(const struct shard *s)
{
    return (struct coordinator_now){clock_monotonic_ms(), clock_wall_ms(), s->leader_epoch};
}

static const struct coordinator_machine *machine_of(const struct shard *s)
{
    return s->coordinator->params.machine;
}

// Answers

static void complete(struct task *task)
{
    struct coordinator_request *r = container_of(task, struct coordinator_request, task);
    r->complete(r);
}

static void release(struct coordinator_request *r)
{
    r->task = TASK_INIT(complete);
    loop_post(r->reply_to, &r->task);
}

// [lock] Releases what the high watermark covers; the rest waits for it.
static void release_replicated(struct shard *s)
{
    for (;;) {
        if (s->waiter.partition)
            partition_wait_cancel(&s->waiter);
        if (list_empty(&s->unreplicated))
            return;
        int64_t high_watermark = log_high_watermark(s->partition->log);
        while (!list_empty(&s->unreplicated)) {
            struct coordinator_request *r =
                container_of(list_first(&s->unreplicated), struct coordinator_request, node);
            if (r->offset >= high_watermark)
                break;
            list_remove(&r->node);
            release(r);
        }
        if (list_empty(&s->unreplicated))
            return;
        s->waiter.kind = PARTITION_WAIT_HIGH_WATERMARK;
        s->waiter.offset =
            container_of(list_first(&s->unreplicated), struct coordinator_request, node)->offset;
        if (partition_wait(s->partition, &s->waiter) || log_is_offline(s->partition->log) ||
            atomic_load(&s->partition->gone))
            return;
    }
}

static void wake(struct partition_waiter *waiter)
{
    struct shard *s = container_of(waiter, struct shard, waiter);
    loop_post(s->home, &s->wake);
}

static void on_wake(struct task *task)
{
    struct shard *s = container_of(task, struct shard, wake);
    pthread_mutex_lock(&s->lock);
    if (s->state == SHARD_ACTIVE)
        release_replicated(s);
    pthread_mutex_unlock(&s->lock);
}

// [lock] Lets the answers go, or has them wait. Returns whether `own` may be answered at once.
static bool give_answers(struct shard *s, struct list *answered, const struct coordinator_request *own)
{
    bool at_once = false;
    if (s->linger.count > 0) { // they may have seen what is not in the log yet
        list_move_back(&s->linger.answered, answered);
        return false;
    }
    bool replicated = list_empty(&s->unreplicated) &&
                      (s->last_offset < 0 || log_high_watermark(s->partition->log) > s->last_offset);
    struct list *node;
    while ((node = list_pop_front(answered))) {
        struct coordinator_request *r = container_of(node, struct coordinator_request, node);
        r->offset = s->last_offset;
        if (!replicated)
            list_push_back(&s->unreplicated, &r->node);
        else if (r == own)
            at_once = true;
        else
            release(r);
    }
    if (!replicated)
        release_replicated(s);
    return at_once;
}

// Appending

// The error of an append as the coordinator's clients are to read it.
static int16_t client_error(int16_t error)
{
    switch (error) {
    case E_UNKNOWN_TOPIC_OR_PARTITION:
    case E_NOT_ENOUGH_REPLICAS:
    case E_REQUEST_TIMED_OUT:
        return E_COORDINATOR_NOT_AVAILABLE;
    case E_NOT_LEADER_OR_FOLLOWER:
    case E_KAFKA_STORAGE_ERROR:
        return E_NOT_COORDINATOR;
    case E_MESSAGE_TOO_LARGE:
    case E_RECORD_LIST_TOO_LARGE:
    case E_INVALID_FETCH_SIZE:
        return E_UNKNOWN_SERVER_ERROR;
    default:
        return error;
    }
}

// [lock] What follows every append to the partition. What a client had to expect is no reason for a line.
static int16_t appended(struct shard *s, const struct partition_append *append)
{
    int16_t error = append->error;
    if (error == E_NONE)
        s->last_offset = append->log.info.last_offset;
    else if (error == E_UNKNOWN_SERVER_ERROR || client_error(error) != error)
        log_limited(LOG_LEVEL_WARN, "coordinator", "cannot append to %s: %s", log_name(s->partition->log),
                    error_code_name(error));
    if (append->flush_due)
        flusher_submit(s->coordinator->params.flusher, s->partition);
    return error;
}

static struct batch_options options_of(const struct shard *s, const struct coordinator_producer *producer)
{
    struct batch_options options = BATCH_OPTIONS;
    options.compression = (enum compression)s->coordinator->params.compression;
    if (producer->producer_id >= 0) {
        options.attributes = BATCH_TRANSACTIONAL;
        options.producer_id = producer->producer_id;
        options.producer_epoch = producer->epoch;
    }
    return options;
}

// [lock] Records as one batch.
static int16_t append_batch(struct shard *s, const struct coordinator_record *records, size_t count,
                            const struct coordinator_producer *producer, int64_t wall_ms)
{
    struct batch_options options = options_of(s, producer);
    struct batch_builder builder = {0};
    batch_builder_init(&builder, &options);
    for (size_t i = 0; i < count; i++)
        batch_builder_add(&builder, wall_ms, records[i].key, records[i].value, NULL, 0);
    struct bytes batch;
    int rc = batch_builder_finish(&builder, &batch);
    struct log_config config;
    log_get_config(s->partition->log, &config);
    struct partition_append append = {.error = rc ? E_UNKNOWN_SERVER_ERROR : E_MESSAGE_TOO_LARGE, .acks = -1},
                            *one = &append;
    if (rc == 0 && batch.size <= (size_t)config.max_message_bytes) {
        append.log = (struct log_group_append){.bytes = (uint8_t *)(uintptr_t)batch.data,
                                               .size = batch.size,
                                               .origin = LOG_ORIGIN_COORDINATOR,
                                               .guard = producer->guard};
        partition_append_group(s->partition, &one, 1, wall_ms);
    }
    batch_builder_free(&builder);
    return appended(s, &append);
}

// Each of its own needs a batch no larger than this.
#define DIVISIBLE_BATCH_BYTES 65536

static size_t batch_end(const struct coordinator_effects *effects, size_t from)
{
    if (!effects->divisible)
        return effects->records_count;
    size_t bytes = 0, i = from;
    while (i < effects->records_count && (i == from || bytes < DIVISIBLE_BATCH_BYTES)) {
        bytes += effects->records[i].key.size + effects->records[i].value.size;
        i++;
    }
    return i;
}

// [lock] Appends and replays. The error is the one that clients read.
static int16_t append(struct shard *s, struct coordinator_effects *effects, int64_t wall_ms)
{
    for (size_t from = 0, to; from < effects->records_count; from = to) {
        to = batch_end(effects, from);
        int16_t error = append_batch(s, effects->records + from, to - from, &effects->producer, wall_ms);
        if (error != E_NONE)
            return client_error(error);
        int64_t base = s->last_offset - (int64_t)(to - from) + 1;
        for (size_t i = from; effects->replay && i < to; i++)
            machine_of(s)->replay(s->machine, &effects->records[i], base + (int64_t)(i - from),
                                  effects->producer.producer_id);
    }
    return E_NONE;
}

// Lingering

// [lock] How many bytes of records make a batch.
static size_t linger_limit(const struct shard *s)
{
    struct log_config config;
    log_get_config(s->partition->log, &config);
    size_t most = (size_t)config.max_message_bytes;
    return most < LINGER_BYTES ? most : LINGER_BYTES;
}

// [lock] Appends what lingers; the answers wait on.
static int16_t append_lingering(struct shard *s, int64_t wall_ms)
{
    static const struct coordinator_producer nobody = {.producer_id = -1};
    struct linger *l = &s->linger;
    int16_t error = E_NONE;
    size_t limit = linger_limit(s);
    for (size_t from = 0, count; from < l->count && error == E_NONE; from += count) {
        count = linger_batch(l, from, limit);
        error = append_batch(s, l->records + from, count, &nobody, wall_ms);
    }
    if (error == E_NONE)
        linger_clear(l);
    return client_error(error);
}

static void drop(struct shard *s, int16_t error);

// [lock] The state contains what the log does not: everybody gets the error, and it is rebuilt.
static void fail(struct shard *s, int16_t error, struct list *answered)
{
    if (answered)
        list_move_back(&s->linger.answered, answered);
    struct partition *p = partition_ref(s->partition);
    drop(s, error);
    s->partition = p;
    s->state = SHARD_LOADING;
    loop_post(s->home, &s->reload);
}

// [lock] Appends what lingers, and lets its answers go. False: it failed.
static bool flush(struct shard *s, int64_t wall_ms)
{
    if (s->linger.count == 0)
        return true;
    int16_t error = append_lingering(s, wall_ms);
    if (error != E_NONE)
        fail(s, error, NULL);
    else
        give_answers(s, &s->linger.answered, NULL);
    return error == E_NONE;
}

void shard_flush(struct shard *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->state == SHARD_ACTIVE)
        flush(s, clock_wall_ms());
    pthread_mutex_unlock(&s->lock);
}

static void on_linger_timer(struct loop_timer *timer)
{
    shard_flush(container_of(timer, struct shard, linger.timer));
}

static void on_linger_arm(struct task *task)
{
    struct shard *s = container_of(task, struct shard, linger.arm);
    loop_timer_arm(s->home, &s->linger.timer, loop_now_ms(s->home) + s->coordinator->params.linger_ms);
}

static void on_reload(struct task *task)
{
    struct shard *s = container_of(task, struct shard, reload);
    s->coordinator->reload(s);
}

// Transactions' records are batches of their own, and so are large ones.
static bool may_linger(const struct shard *s, const struct coordinator_effects *effects)
{
    if (s->coordinator->params.linger_ms == 0 || effects->producer.producer_id >= 0 || effects->divisible)
        return false;
    size_t bytes = 0;
    for (size_t i = 0; i < effects->records_count; i++)
        bytes += linger_cost(&effects->records[i]);
    return bytes < linger_limit(s);
}

// [lock] The records count as appended, and are so later.
static void linger(struct shard *s, struct coordinator_effects *effects, struct coordinator_now at)
{
    int64_t base = log_end_offset(s->partition->log) + (int64_t)s->linger.count;
    if (s->linger.count == 0)
        loop_post(s->home, &s->linger.arm);
    linger_add(&s->linger, effects);
    for (size_t i = 0; effects->replay && i < effects->records_count; i++)
        machine_of(s)->replay(s->machine, &effects->records[i], base + (int64_t)i, -1);
    machine_of(s)->settle(s->machine, E_NONE, at, effects);
}

// [lock] Does what a step or a tick wants done.
static bool execute(struct shard *s, struct coordinator_effects *effects, struct coordinator_now at,
                    const struct coordinator_request *own)
{
    int16_t lingering = E_NONE; // the error of what lingered
    if (effects->records_count > 0 && may_linger(s, effects)) {
        linger(s, effects, at);
        if (s->linger.bytes >= LINGER_BYTES)
            lingering = append_lingering(s, at.wall_ms);
    } else if (effects->records_count > 0) {
        lingering = s->linger.count > 0 ? append_lingering(s, at.wall_ms) : E_NONE;
        int16_t error = lingering == E_NONE ? append(s, effects, at.wall_ms) : lingering;
        machine_of(s)->settle(s->machine, error, at, effects);
    }
    bool at_once = false;
    if (lingering != E_NONE) {
        fail(s, lingering, &effects->answered);
    } else if (s->linger.count > 0 || list_empty(&s->linger.answered)) {
        at_once = give_answers(s, &effects->answered, own);
    } else { // those that waited come first
        list_move_back(&s->linger.answered, &effects->answered);
        at_once = give_answers(s, &s->linger.answered, own);
    }
    coordinator_effects_reset(effects);
    return at_once;
}

// Timers

// [lock] The home loop's timer follows a due time that comes earlier; later ones wait until it fires.
static void arm(struct shard *s)
{
    int64_t due = s->machine ? machine_of(s)->next_due(s->machine) : NEVER;
    if (due < atomic_load(&s->armed_ms)) {
        atomic_store(&s->armed_ms, due);
        loop_post(s->home, &s->rearm);
    }
}

static void on_rearm(struct task *task)
{
    struct shard *s = container_of(task, struct shard, rearm);
    int64_t due = atomic_load(&s->armed_ms);
    if (due != NEVER)
        loop_timer_arm(s->home, &s->timer, due);
}

static void on_timer(struct loop_timer *timer)
{
    struct shard *s = container_of(timer, struct shard, timer);
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->armed_ms, NEVER);
    struct coordinator_now at = now(s);
    while (s->state == SHARD_ACTIVE && s->machine && machine_of(s)->tick(s->machine, at, &effects))
        execute(s, &effects, at, NULL);
    if (s->state == SHARD_ACTIVE)
        arm(s);
    pthread_mutex_unlock(&s->lock);
    coordinator_effects_free(&effects);
}

// Requests

// [lock] Whether the machine can be asked; otherwise the request has its error.
static bool can_ask(struct shard *s, struct coordinator_request *r, struct coordinator_now *at)
{
    *at = now(s);
    if (s->state != SHARD_ACTIVE) {
        r->error = s->state == SHARD_LOADING ? E_COORDINATOR_LOAD_IN_PROGRESS : E_NOT_COORDINATOR;
        return false;
    }
    if (!s->machine) {
        s->machine = machine_of(s)->create(s->coordinator->params.config);
        machine_of(s)->loaded(s->machine, *at);
    }
    return true;
}

bool shard_ask(struct shard *s, struct coordinator_request *r)
{
    struct coordinator_effects effects;
    struct coordinator_now at;
    bool at_once = true;
    coordinator_effects_init(&effects);
    pthread_mutex_lock(&s->lock);
    if (can_ask(s, r, &at)) {
        do {
            effects.again = false;
            machine_of(s)->step(s->machine, r, at, &effects);
            at_once = execute(s, &effects, at, r);
        } while (effects.again && s->state == SHARD_ACTIVE);
        if (effects.again) { // the state is gone
            r->error = E_COORDINATOR_LOAD_IN_PROGRESS;
            at_once = true;
        }
        arm(s);
    }
    pthread_mutex_unlock(&s->lock);
    coordinator_effects_free(&effects);
    return at_once;
}

// [lock]
static int16_t append_marker(struct shard *s, const struct transaction_marker *marker, int64_t wall_ms)
{
    struct partition_append append;
    partition_append_marker(s->partition, marker, wall_ms, &append);
    if (append.error == E_NONE)
        machine_of(s)->replay_end(s->machine, marker->producer_id, marker->committed);
    return appended(s, &append);
}

bool shard_mark(struct shard *s, const struct transaction_marker *marker, struct coordinator_request *r)
{
    struct coordinator_effects effects;
    struct coordinator_now at;
    bool at_once = true;
    coordinator_effects_init(&effects);
    pthread_mutex_lock(&s->lock);
    if (can_ask(s, r, &at) && !flush(s, at.wall_ms)) {
        r->error = E_COORDINATOR_LOAD_IN_PROGRESS;
    } else if (s->state == SHARD_ACTIVE) {
        r->error = append_marker(s, marker, at.wall_ms);
        list_push_back(&effects.answered, &r->node);
        at_once = give_answers(s, &effects.answered, r);
        arm(s);
    }
    pthread_mutex_unlock(&s->lock);
    coordinator_effects_free(&effects);
    return at_once;
}

int32_t shard_epoch(struct shard *s)
{
    pthread_mutex_lock(&s->lock);
    int32_t epoch = s->state == SHARD_ACTIVE ? s->leader_epoch : -1;
    pthread_mutex_unlock(&s->lock);
    return epoch;
}

bool shard_is_loading(struct shard *s)
{
    pthread_mutex_lock(&s->lock);
    bool loading = s->state == SHARD_LOADING;
    pthread_mutex_unlock(&s->lock);
    return loading;
}

// Leadership

void shard_init(struct shard *s, struct coordinator *c, int32_t index)
{
    *s = (struct shard){.coordinator = c,
                        .index = index,
                        .home = c->params.loop_at(c->params.arg, (unsigned)index % c->params.loop_count),
                        .leader_epoch = -1,
                        .last_offset = -1,
                        .waiter.wake = wake,
                        .wake = TASK_INIT(on_wake),
                        .timer.fire = on_timer,
                        .rearm = TASK_INIT(on_rearm),
                        .reload = TASK_INIT(on_reload),
                        .armed_ms = NEVER};
    pthread_mutex_init(&s->lock, NULL);
    list_init(&s->unreplicated);
    list_init(&s->waiter.node);
    list_init(&s->load_node);
    linger_init(&s->linger);
    s->linger.timer.fire = on_linger_timer;
    s->linger.arm = TASK_INIT(on_linger_arm);
}

void shard_free(struct shard *s)
{
    linger_free(&s->linger);
    pthread_mutex_destroy(&s->lock);
}

// [lock] Everything that waits gets the error.
static void drop(struct shard *s, int16_t error)
{
    if (s->waiter.partition)
        partition_wait_cancel(&s->waiter);
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    struct list *node;
    linger_clear(&s->linger);
    list_move_back(&s->unreplicated, &s->linger.answered);
    while ((node = list_pop_front(&s->unreplicated))) {
        struct coordinator_request *r = container_of(node, struct coordinator_request, node);
        r->response = NULL;
        r->error = error;
        release(r);
    }
    if (s->machine) {
        machine_of(s)->unload(s->machine, error, &effects);
        while ((node = list_pop_front(&effects.answered)))
            release(container_of(node, struct coordinator_request, node));
        machine_of(s)->destroy(s->machine);
    }
    coordinator_effects_free(&effects);
    s->machine = NULL;
    s->last_offset = -1;
    s->state = SHARD_ABSENT;
    partition_unref(s->partition);
    s->partition = NULL;
}

bool shard_gain(struct shard *s, struct partition *p, int32_t leader_epoch)
{
    pthread_mutex_lock(&s->lock);
    bool same = s->state != SHARD_ABSENT && s->partition == p && s->leader_epoch == leader_epoch;
    if (!same) {
        if (s->state != SHARD_ABSENT)
            drop(s, E_NOT_COORDINATOR);
        s->partition = partition_ref(p);
        s->leader_epoch = leader_epoch;
        s->state = log_end_offset(p->log) == 0 ? SHARD_ACTIVE : SHARD_LOADING;
    }
    bool load = !same && s->state == SHARD_LOADING;
    pthread_mutex_unlock(&s->lock);
    return load;
}

void shard_lose(struct shard *s, int16_t error)
{
    pthread_mutex_lock(&s->lock);
    if (s->state != SHARD_ABSENT)
        drop(s, error);
    pthread_mutex_unlock(&s->lock);
}

bool shard_loaded(struct shard *s, int32_t leader_epoch, void *machine, int64_t last_offset)
{
    pthread_mutex_lock(&s->lock);
    bool wanted = s->state == SHARD_LOADING && s->leader_epoch == leader_epoch;
    if (wanted) {
        s->machine = machine;
        s->last_offset = last_offset;
        s->state = SHARD_ACTIVE;
        machine_of(s)->loaded(s->machine, now(s));
        arm(s);
    }
    pthread_mutex_unlock(&s->lock);
    return wanted;
}
