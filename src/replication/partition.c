#include "replication/partition.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "protocol/errors.h"
#include "storage/batch.h"

#include <assert.h>
#include <stdlib.h>

struct partition *partition_new(struct str topic, const struct uuid *topic_id, int32_t index, struct log *log,
                                int32_t broker_id)
{
    struct partition *p = calloc(1, sizeof *p + topic.size + 1);
    if (!p)
        return NULL;
    char *name = (char *)(p + 1);
    memcpy(name, topic.data, topic.size);
    p->topic = (struct str){name, topic.size};
    p->topic_id = *topic_id;
    p->index = index;
    p->log = log;
    p->broker_id = broker_id;
    atomic_init(&p->references, 1);
    atomic_init(&p->leader_id, -1);
    atomic_init(&p->leader_epoch, -1);
    atomic_init(&p->min_insync_replicas, 1);
    atomic_init(&p->replicas, INT32_MAX);
    pthread_mutex_init(&p->waiters_lock, NULL);
    list_init(&p->waiters);
    list_init(&p->flush_node);
    return p;
}

struct partition *partition_ref(struct partition *p)
{
    atomic_fetch_add_explicit(&p->references, 1, memory_order_relaxed);
    return p;
}

void partition_unref(struct partition *p)
{
    if (!p || atomic_fetch_sub_explicit(&p->references, 1, memory_order_acq_rel) != 1)
        return;
    assert(list_empty(&p->waiters));
    if (p->owns_log)
        log_close(p->log, false);
    pthread_mutex_destroy(&p->waiters_lock);
    free(p);
}

int16_t partition_check_leader(const struct partition *p, int32_t current_leader_epoch)
{
    if (atomic_load(&p->gone))
        return E_NOT_LEADER_OR_FOLLOWER;
    if (log_is_offline(p->log))
        return E_KAFKA_STORAGE_ERROR;
    int32_t epoch = atomic_load(&p->leader_epoch);
    if (current_leader_epoch >= 0 && current_leader_epoch < epoch)
        return E_FENCED_LEADER_EPOCH;
    if (current_leader_epoch > epoch)
        return E_UNKNOWN_LEADER_EPOCH;
    return atomic_load(&p->leader_id) == p->broker_id ? E_NONE : E_NOT_LEADER_OR_FOLLOWER;
}

// Waiters

static int64_t reached(const struct log_offsets *o, enum partition_wait kind)
{
    switch (kind) {
    case PARTITION_WAIT_HIGH_WATERMARK:
        return o->high_watermark;
    case PARTITION_WAIT_LAST_STABLE:
        return o->last_stable_offset;
    case PARTITION_WAIT_END:
        return o->end_offset;
    }
    return o->high_watermark;
}

static void waiter_unlink(struct partition *p, struct partition_waiter *w)
{
    list_remove(&w->node);
    atomic_fetch_sub(&p->waiters_count, 1);
}

// Wakes whom the log's offsets satisfy; everybody when `all`.
static void wake_waiters(struct partition *p, bool all)
{
    if (atomic_load(&p->waiters_count) ==
        0) // a waiter counts itself before it looks at the offsets: invariant 4
        return;
    pthread_mutex_lock(&p->waiters_lock);
    struct log_offsets o = {0};
    if (!all)
        log_offsets(p->log, &o);
    for (struct list *n = list_first(&p->waiters), *next; list_each(&p->waiters, n, next); n = next) {
        struct partition_waiter *w = container_of(n, struct partition_waiter, node);
        if (!all && reached(&o, w->kind) <= w->offset)
            continue;
        waiter_unlink(p, w);
        w->wake(w);
    }
    pthread_mutex_unlock(&p->waiters_lock);
}

bool partition_wait(struct partition *p, struct partition_waiter *w)
{
    pthread_mutex_lock(&p->waiters_lock);
    w->partition = p;
    list_push_back(&p->waiters, &w->node);
    atomic_fetch_add(&p->waiters_count, 1);
    struct log_offsets o;
    log_offsets(p->log, &o);
    bool waits = !atomic_load(&p->gone) && !log_is_offline(p->log) && reached(&o, w->kind) <= w->offset;
    if (!waits)
        waiter_unlink(p, w);
    pthread_mutex_unlock(&p->waiters_lock);
    return waits;
}

void partition_wait_cancel(struct partition_waiter *w)
{
    struct partition *p = w->partition;
    if (!p)
        return;
    pthread_mutex_lock(&p->waiters_lock);
    if (!list_empty(&w->node))
        waiter_unlink(p, w);
    w->partition = NULL;
    pthread_mutex_unlock(&p->waiters_lock);
}

// The high watermark (invariants 1 and 2). Under the log's lock. Whether something moved.
static bool advance_high_watermark(struct partition *p)
{
    if (atomic_load(&p->leader_id) != p->broker_id || atomic_load(&p->in_sync_replicas) > 1)
        return false; // the followers' fetches move it
    // None of these loads a log that nobody has touched since a clean stop.
    int64_t high_watermark = log_high_watermark(p->log), flushed = log_recovery_point(p->log);
    int64_t target = log_end_offset(p->log);
    if (p->flush_gate > flushed)
        target = flushed > high_watermark ? flushed : high_watermark;
    return target > high_watermark && log_set_high_watermark(p->log, target);
}

int partition_set_leader(struct partition *p, int32_t leader_id, int32_t leader_epoch,
                         int32_t in_sync_replicas)
{
    int rc = 0;
    log_lock(p->log);
    bool changed = atomic_load(&p->leader_id) != leader_id || atomic_load(&p->leader_epoch) != leader_epoch;
    bool leads_now = leader_id == p->broker_id && leader_epoch > atomic_load(&p->leader_epoch);
    atomic_store(&p->in_sync_replicas, in_sync_replicas);
    atomic_store(&p->leader_id, leader_id);
    atomic_store(&p->leader_epoch, leader_epoch);
    if (leads_now)
        rc = log_assign_epoch(p->log, leader_epoch);
    advance_high_watermark(p);
    log_unlock(p->log);
    wake_waiters(p, changed);
    return rc;
}

void partition_set_replicas(struct partition *p, int32_t replicas)
{
    atomic_store(&p->replicas, replicas);
}

void partition_set_config(struct partition *p, const struct log_config *config)
{
    log_lock(p->log);
    atomic_store(&p->min_insync_replicas, config->min_insync_replicas);
    log_set_config(p->log, config);
    log_unlock(p->log);
}

static int16_t append_error(int rc, struct log_append_info *info)
{
    if (rc == ERR_INVALID && info->error_code != E_NONE)
        return info->error_code;
    if (rc == ERR_CORRUPT)
        return E_CORRUPT_MESSAGE;
    return rc == ERR_NOMEM ? E_UNKNOWN_SERVER_ERROR : E_KAFKA_STORAGE_ERROR;
}

// [lock] Whether the log may be asked at all.
static int16_t append_check(const struct partition *p, int16_t acks)
{
    int16_t error = partition_check_leader(p, -1);
    int32_t wanted = atomic_load(&p->min_insync_replicas), replicas = atomic_load(&p->replicas);
    if (error == E_NONE && log_is_full(p->log))
        error = E_KAFKA_STORAGE_ERROR; // clients retry it, and another replica may have room
    if (error == E_NONE && acks == -1 &&
        atomic_load(&p->in_sync_replicas) < (wanted < replicas ? wanted : replicas))
        error = E_NOT_ENOUGH_REPLICAS;
    return error;
}

// [lock] Closes the gate of flush.messages behind what was appended.
static bool append_gate(struct partition *p, const struct log_append_info *info)
{
    if (!info->flush_due || info->duplicate)
        return false;
    p->flush_gate = info->last_offset + 1;
    return true;
}

// [lock] What the producer waits for, and the log start that it is told.
static int64_t append_wait(const struct partition *p, int16_t acks, const struct log_offsets *o,
                           struct log_append_info *info)
{
    bool must_wait = acks == -1 || p->flush_gate > o->recovery_point;
    info->log_start_offset = o->log_start_offset;
    return must_wait && o->high_watermark <= info->last_offset ? info->last_offset : -1;
}

// [lock] So many that passed their checks.
static void append_some(struct partition *p, struct partition_append *const *appends, size_t count,
                        int64_t now_ms)
{
    struct log_group_append *logs[LOG_GROUP_APPENDS];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct partition_append *a = appends[i];
        a->error = append_check(p, a->acks);
        if (a->error == E_NONE)
            logs[n++] = &a->log;
    }
    log_append_group(p->log, logs, n, atomic_load(&p->leader_epoch), now_ms);
    for (size_t i = 0; i < count; i++) {
        struct partition_append *a = appends[i];
        if (a->error == E_NONE && a->log.rc)
            a->error = append_error(a->log.rc, &a->log.info);
        if (a->error == E_KAFKA_STORAGE_ERROR && a->log.rc)
            log_limited(LOG_LEVEL_ERROR, "replication", "cannot append to %s: %s", log_name(p->log),
                        err_text(a->log.rc));
        if (a->error == E_NONE)
            a->flush_due = append_gate(p, &a->log.info);
    }
}

// [lock] Markers are no messages.
static void count_appends(struct partition *p, struct partition_append *const *appends, size_t count)
{
    uint64_t messages = 0, bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct log_group_append *a = &appends[i]->log;
        if (appends[i]->error != E_NONE || a->info.duplicate || a->origin != LOG_ORIGIN_CLIENT)
            continue;
        messages += (uint64_t)(a->info.last_offset - a->info.base_offset + 1);
        bytes += a->size;
    }
    if (!messages)
        return;
    atomic_store_explicit(&p->traffic.messages_in, p->traffic.messages_in + messages, memory_order_relaxed);
    atomic_store_explicit(&p->traffic.bytes_in, p->traffic.bytes_in + bytes, memory_order_relaxed);
    atomic_store_explicit(&p->traffic.appended_us, clock_monotonic_us(), memory_order_relaxed);
}

void partition_append_group(struct partition *p, struct partition_append *const *appends, size_t count,
                            int64_t now_ms)
{
    struct log_offsets o;
    bool any = false, moved = false;
    for (size_t i = 0; i < count; i++) {
        appends[i]->log.rc = 0;
        appends[i]->log.info =
            (struct log_append_info){.base_offset = LOG_NO_OFFSET, .append_time_ms = LOG_NO_TIMESTAMP};
        appends[i]->wait_for = -1;
        appends[i]->flush_due = false;
    }
    log_lock(p->log);
    for (size_t i = 0; i < count; i += LOG_GROUP_APPENDS)
        append_some(p, appends + i, count - i < LOG_GROUP_APPENDS ? count - i : LOG_GROUP_APPENDS, now_ms);
    for (size_t i = 0; i < count; i++)
        any |= appends[i]->error == E_NONE;
    if (any) {
        count_appends(p, appends, count);
        moved = advance_high_watermark(p);
        log_offsets(p->log, &o);
    }
    for (size_t i = 0; i < count; i++)
        if (appends[i]->error == E_NONE)
            appends[i]->wait_for = append_wait(p, appends[i]->acks, &o, &appends[i]->log.info);
    log_unlock(p->log);
    if (moved)
        wake_waiters(p, false);
}

int16_t partition_append(struct partition *p, uint8_t *bytes, size_t size, int16_t acks, int64_t now_ms,
                         struct log_append_info *info, int64_t *wait_for, bool *flush_due)
{
    struct partition_append append = {.log = {.bytes = bytes, .size = size}, .acks = acks}, *one = &append;
    partition_append_group(p, &one, 1, now_ms);
    *info = append.log.info;
    *wait_for = append.wait_for;
    *flush_due = append.flush_due;
    return append.error;
}

// A marker is a control batch of one record.
static int marker_batch(const struct transaction_marker *marker, int64_t now_ms,
                        struct batch_builder *builder, struct bytes *batch)
{
    struct batch_options options = BATCH_OPTIONS;
    options.attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL;
    options.producer_id = marker->producer_id;
    options.producer_epoch = marker->producer_epoch;
    uint8_t value[6];
    store_be16(value, 0); // its version
    store_be32(value + 2, (uint32_t)marker->coordinator_epoch);
    batch_builder_init(builder, &options);
    batch_builder_add_control(builder, now_ms, marker->committed ? CONTROL_COMMIT : CONTROL_ABORT,
                              (struct bytes){value, sizeof value});
    return batch_builder_finish(builder, batch);
}

int16_t partition_append_marker(struct partition *p, const struct transaction_marker *marker, int64_t now_ms,
                                struct partition_append *append)
{
    struct batch_builder builder = {0};
    struct bytes batch;
    *append = (struct partition_append){.acks = -1, .error = E_UNKNOWN_SERVER_ERROR, .wait_for = -1};
    if (marker_batch(marker, now_ms, &builder, &batch) == 0) {
        append->log = (struct log_group_append){.bytes = (uint8_t *)(uintptr_t)batch.data,
                                                .size = batch.size,
                                                .origin = LOG_ORIGIN_COORDINATOR,
                                                .marker_version = marker->transaction_version};
        partition_append_group(p, &append, 1, now_ms);
    }
    batch_builder_free(&builder);
    return append->error;
}

int16_t partition_verify(struct partition *p, const struct log_verification *v, int64_t now_ms,
                         int64_t *guard)
{
    *guard = LOG_NO_GUARD;
    log_lock(p->log);
    int16_t error = partition_check_leader(p, -1);
    int rc = error == E_NONE ? log_verify(p->log, v, now_ms, guard) : 0;
    log_unlock(p->log);
    if (rc > 0)
        return (int16_t)rc;
    return rc == 0 ? error : rc == ERR_NOMEM ? E_UNKNOWN_SERVER_ERROR : E_KAFKA_STORAGE_ERROR;
}

// [lock]
static int16_t delete_records(struct partition *p, int64_t offset)
{
    struct log_config config;
    struct log_offsets o;
    int16_t error = partition_check_leader(p, -1);
    if (error != E_NONE)
        return error;
    log_get_config(p->log, &config);
    if (config.cleanup_compact && !config.cleanup_delete)
        return E_POLICY_VIOLATION;
    log_offsets(p->log, &o);
    if (offset == -1)
        offset = o.high_watermark;
    int rc = offset < 0 ? ERR_RANGE : log_set_start_offset(p->log, offset);
    return rc == ERR_RANGE ? E_OFFSET_OUT_OF_RANGE : rc ? E_KAFKA_STORAGE_ERROR : E_NONE;
}

int16_t partition_delete_records(struct partition *p, int64_t offset, int64_t *low_watermark)
{
    struct log_offsets o;
    (void)log_load(p->log); // not under its lock
    log_lock(p->log);
    int16_t error = delete_records(p, offset);
    log_offsets(p->log, &o);
    log_unlock(p->log);
    *low_watermark = error == E_NONE ? o.log_start_offset : -1;
    return error;
}

void partition_flushed(struct partition *p)
{
    log_lock(p->log);
    bool moved = advance_high_watermark(p), failed = log_is_offline(p->log);
    log_unlock(p->log);
    if (moved || failed)
        wake_waiters(p, failed);
}

void partition_wake(struct partition *p)
{
    wake_waiters(p, false);
}

void partition_wake_all(struct partition *p)
{
    wake_waiters(p, true);
}

void partition_close(struct partition *p)
{
    log_lock(p->log);
    atomic_store(&p->gone, true);
    log_unlock(p->log);
    wake_waiters(p, true);
}
