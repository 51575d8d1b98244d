#include "storage/producer_state.h"

#include "base/error.h"
#include "base/logger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void producer_state_init(struct producer_state *s, int64_t offset)
{
    *s = (struct producer_state){.end_offset = offset, .snapshot_offset = offset};
}

void producer_state_clear(struct producer_state *s, int64_t offset)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&s->entries, &i));)
        free(e->value);
    map_free(&s->entries);
    for (size_t i = 0; (e = map_next(&s->verifications, &i));)
        free(e->value);
    map_free(&s->verifications);
    s->open.count = s->unreplicated.count = 0;
    s->end_offset = s->snapshot_offset = offset;
}

void producer_state_free(struct producer_state *s)
{
    producer_state_clear(s, 0);
    free(s->open.items);
    free(s->unreplicated.items);
    *s = (struct producer_state){0};
}

// ---------------------------------------------------------------- transactions

static int transactions_reserve(struct transactions *t, size_t more)
{
    if (t->capacity - t->count >= more)
        return 0;
    uint32_t capacity = t->capacity ? t->capacity * 2 : 4;
    while (capacity - t->count < more)
        capacity *= 2;
    struct transaction *p = realloc(t->items, capacity * sizeof *p);
    if (!p)
        return ERR_NOMEM;
    t->items = p;
    t->capacity = capacity;
    return 0;
}

static uint32_t transactions_find(const struct transactions *t, int64_t first_offset)
{
    uint32_t i = t->count;
    while (i > 0 && t->items[i - 1].first_offset >= first_offset)
        i--;
    return i;
}

// There is room.
static void transactions_put(struct transactions *t, struct transaction x)
{
    uint32_t i = transactions_find(t, x.first_offset);
    if (i < t->count && t->items[i].first_offset == x.first_offset) {
        t->items[i] = x;
        return;
    }
    assert(t->count < t->capacity);
    memmove(&t->items[i + 1], &t->items[i], (t->count - i) * sizeof x);
    t->items[i] = x;
    t->count++;
}

static void transactions_remove(struct transactions *t, uint32_t i)
{
    memmove(&t->items[i], &t->items[i + 1], (t->count - i - 1) * sizeof *t->items);
    t->count--;
}

int64_t producer_state_first_unstable(const struct producer_state *s)
{
    int64_t a = s->open.count ? s->open.items[0].first_offset : INT64_MAX;
    int64_t b = s->unreplicated.count ? s->unreplicated.items[0].first_offset : INT64_MAX;
    int64_t first = a < b ? a : b;
    return first == INT64_MAX ? LOG_NO_OFFSET : first;
}

void producer_state_replicated(struct producer_state *s, int64_t offset)
{
    for (uint32_t i = 0; i < s->unreplicated.count;) {
        if (s->unreplicated.items[i].last_offset < offset)
            transactions_remove(&s->unreplicated, i);
        else
            i++;
    }
}

static bool entry_expired(const void *value, int64_t now_ms, int64_t expiration_ms)
{
    const struct producer_entry *p = value;
    return p->transaction_first_offset < 0 && now_ms - p->last_timestamp_ms >= expiration_ms;
}

static bool verification_expired(const void *value, int64_t now_ms, int64_t expiration_ms)
{
    return now_ms - ((const struct producer_verification *)value)->since_ms >= expiration_ms;
}

// Out of memory: they go another time.
static void expire(struct map *map, bool (*expired)(const void *value, int64_t now_ms, int64_t expiration_ms),
                   int64_t now_ms, int64_t expiration_ms)
{
    struct map_entry *e;
    struct map kept = MAP_INIT;
    bool any = false;
    for (size_t i = 0; !any && (e = map_next(map, &i));)
        any = expired(e->value, now_ms, expiration_ms);
    if (!any)
        return;
    for (size_t i = 0; (e = map_next(map, &i));) {
        if (!expired(e->value, now_ms, expiration_ms) && map_int_put(&kept, e->int_key, e->value)) {
            map_free(&kept);
            return;
        }
    }
    for (size_t i = 0; (e = map_next(map, &i));)
        if (expired(e->value, now_ms, expiration_ms))
            free(e->value);
    map_free(map);
    *map = kept;
}

void producer_state_expire(struct producer_state *s, int64_t now_ms, int64_t expiration_ms)
{
    expire(&s->entries, entry_expired, now_ms, expiration_ms);
    expire(&s->verifications, verification_expired, now_ms, expiration_ms);
}

// ---------------------------------------------------------------- verification

static bool is_open(const struct producer_state *s, int64_t producer_id, int16_t epoch)
{
    const struct producer_entry *p = map_int_get(&s->entries, (uint64_t)producer_id);
    return p && p->transaction_first_offset >= 0 && p->epoch == epoch;
}

int producer_state_verify(struct producer_state *s, const struct log_verification *v, int64_t now_ms,
                          int64_t *guard)
{
    *guard = LOG_NO_GUARD;
    const struct producer_entry *p = map_int_get(&s->entries, (uint64_t)v->producer_id);
    if (p && v->producer_epoch < p->epoch)
        return LOG_ERROR_INVALID_PRODUCER_EPOCH;
    if (is_open(s, v->producer_id, v->producer_epoch))
        return 0;
    struct producer_verification *known = map_int_get(&s->verifications, (uint64_t)v->producer_id);
    if (!known) {
        known = calloc(1, sizeof *known);
        if (!known || map_int_put(&s->verifications, (uint64_t)v->producer_id, known)) {
            free(known);
            return ERR_NOMEM;
        }
        *known = (struct producer_verification){.producer_id = v->producer_id,
                                                .guard = ++s->last_guard,
                                                .since_ms = now_ms,
                                                .lowest_sequence = v->sequence,
                                                .epoch = v->producer_epoch,
                                                .raises_epoch = v->raises_epoch};
    }
    if (v->producer_epoch > known->epoch ||
        (v->producer_epoch == known->epoch && v->sequence < known->lowest_sequence)) {
        known->epoch = v->producer_epoch;
        known->lowest_sequence = v->sequence;
    }
    *guard = known->guard;
    return 0;
}

// ---------------------------------------------------------------- judging a batch

static int refuse(struct log_append_info *info, int16_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int refuse(struct log_append_info *info, int16_t code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(info->message, sizeof info->message, format, args);
    va_end(args);
    info->error_code = code;
    return ERR_INVALID;
}

static int32_t first_sequence(const struct producer_batch *b)
{
    return (int32_t)(((uint32_t)b->last_sequence - (uint32_t)b->offset_delta) & 0x7fffffff);
}

static const struct producer_batch *find_duplicate(const struct producer_entry *p,
                                                   const struct batch_header *h)
{
    if (p->epoch != h->producer_epoch)
        return NULL;
    for (uint8_t i = 0; i < p->batch_count; i++)
        if (first_sequence(&p->batches[i]) == h->base_sequence &&
            p->batches[i].last_sequence == batch_last_sequence(h))
            return &p->batches[i];
    return NULL;
}

static void set_epoch(struct producer_entry *p, int16_t epoch)
{
    if (p->epoch == epoch)
        return;
    p->epoch = epoch;
    p->batch_count = 0;
}

static int check_epoch(const struct producer_entry *p, int16_t epoch, int64_t offset,
                       const struct producer_judgement *j, struct log_append_info *info)
{
    if (epoch >= p->epoch)
        return 0;
    if (j->origin != LOG_ORIGIN_REPLICA)
        return refuse(info, LOG_ERROR_INVALID_PRODUCER_EPOCH,
                      "Epoch of producer %" PRId64 " at offset %" PRId64
                      " in %s is %d, which is smaller than the last seen epoch %d",
                      p->producer_id, offset, j->name, epoch, p->epoch);
    log_limited(LOG_LEVEL_WARN, "storage",
                "%s: the epoch of producer %" PRId64 " at offset %" PRId64 " is %d, below the last seen %d",
                j->name, p->producer_id, offset, epoch, p->epoch);
    return 0;
}

// A batch that was verified and failed for another reason comes again: later ones wait for it.
static int check_verified_sequence(const struct producer_verification *v, const struct producer_update *u,
                                   const struct batch_header *h, const char *name,
                                   struct log_append_info *info)
{
    if (v->raises_epoch && h->base_sequence != 0 && u->live->batch_count == 0)
        return refuse(info, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                      "Invalid sequence number for producer %" PRId64 " at offset %" PRId64
                      " in partition %s: %d (incoming seq. number). Expected sequence 0 for transactions v2 "
                      "idempotent producer with no existing state.",
                      h->producer_id, h->base_offset, name, h->base_sequence);
    if (h->base_sequence > v->lowest_sequence)
        return refuse(info, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                      "Out of order sequence number for producer %" PRId64 " at offset %" PRId64
                      " in partition %s: %d (incoming seq. number), %d (earliest seen sequence)",
                      h->producer_id, h->base_offset, name, h->base_sequence, v->lowest_sequence);
    return 0;
}

static int check_sequence(const struct producer_plan *plan, const struct producer_update *u,
                          const struct batch_header *h, const char *name, struct log_append_info *info)
{
    const struct producer_entry *p = &u->next;
    int32_t first = h->base_sequence;
    const struct producer_verification *v =
        map_int_get(&plan->state->verifications, (uint64_t)h->producer_id);
    // What an earlier epoch asked says nothing of this one: a producer that was fenced may come between two
    // batches.
    bool concerned = v && v->epoch >= h->producer_epoch;
    int rc = concerned ? check_verified_sequence(v, u, h, name, info) : 0;
    if (rc)
        return rc;
    if (h->producer_epoch != p->epoch) {
        if (first == 0 || p->epoch == BATCH_NO_PRODUCER_EPOCH)
            return 0;
        return refuse(info, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                      "Invalid sequence number for new epoch of producer %" PRId64 "at offset %" PRId64
                      " in partition %s: %d (request epoch), %d (seq. number), %d (current producer epoch)",
                      p->producer_id, h->base_offset, name, h->producer_epoch, first, p->epoch);
    }
    int32_t last = p->batch_count ? p->batches[p->batch_count - 1].last_sequence : BATCH_NO_SEQUENCE;
    // A producer that is not known any more (retention, DeleteRecords) may go on with any sequence.
    bool in_sequence = (int64_t)first == (int64_t)last + 1 || (first == 0 && last == INT32_MAX);
    if (u->original_epoch == BATCH_NO_PRODUCER_EPOCH || in_sequence)
        return 0;
    return refuse(info, LOG_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                  "Out of order sequence number for producer %" PRId64 " at offset %" PRId64
                  " in partition %s: %d (incoming seq. number), %d (current end sequence number)",
                  p->producer_id, h->base_offset, name, first, last);
}

// ---------------------------------------------------------------- plans

void producer_plan_init(struct producer_plan *plan, struct producer_state *state)
{
    plan->state = state;
    plan->updates = &plan->first_update;
    plan->events = &plan->first_event;
    plan->update_capacity = plan->event_capacity = 1;
    plan->update_count = plan->event_count = 0;
}

static void plan_free(struct producer_plan *plan)
{
    if (plan->updates != &plan->first_update)
        free(plan->updates);
    if (plan->events != &plan->first_event)
        free(plan->events);
    producer_plan_init(plan, plan->state);
}

// Doubles an array that starts inside the plan.
static int grow(void **items, void *inside, size_t *capacity, size_t item_bytes)
{
    void *p = malloc(*capacity * 2 * item_bytes);
    if (!p)
        return ERR_NOMEM;
    memcpy(p, *items, *capacity * item_bytes);
    if (*items != inside)
        free(*items);
    *items = p;
    *capacity *= 2;
    return 0;
}

static struct producer_entry *add_entry(struct producer_state *s, int64_t producer_id)
{
    struct producer_entry *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct producer_entry){.producer_id = producer_id,
                                 .last_timestamp_ms = LOG_NO_TIMESTAMP,
                                 .transaction_first_offset = LOG_NO_OFFSET,
                                 .coordinator_epoch = -1,
                                 .epoch = BATCH_NO_PRODUCER_EPOCH};
    if (map_int_put(&s->entries, (uint64_t)producer_id, p)) {
        free(p);
        return NULL;
    }
    return p;
}

// What the plan makes of this producer so far; made on first sight.
static struct producer_update *update_of(struct producer_plan *plan, int64_t producer_id)
{
    for (size_t i = plan->update_count; i-- > 0;)
        if (plan->updates[i].next.producer_id == producer_id)
            return &plan->updates[i];
    if (plan->update_count == plan->update_capacity &&
        grow((void **)&plan->updates, &plan->first_update, &plan->update_capacity, sizeof *plan->updates))
        return NULL;
    struct producer_entry *live = map_int_get(&plan->state->entries, (uint64_t)producer_id);
    bool fresh = live == NULL;
    if (fresh && !(live = add_entry(plan->state, producer_id)))
        return NULL;
    struct producer_update *u = &plan->updates[plan->update_count++];
    *u = (struct producer_update){.live = live, .next = *live, .original_epoch = live->epoch, .fresh = fresh};
    return u;
}

static int add_event(struct producer_plan *plan, struct transaction_end end)
{
    if (plan->event_count == plan->event_capacity &&
        grow((void **)&plan->events, &plan->first_event, &plan->event_capacity, sizeof *plan->events))
        return ERR_NOMEM;
    int rc = transactions_reserve(&plan->state->open, plan->event_count + 1);
    if (rc == 0)
        rc = transactions_reserve(&plan->state->unreplicated, plan->event_count + 1);
    if (rc == 0)
        plan->events[plan->event_count++].end = end;
    return rc;
}

// Whether a transaction is open when the plan so far is carried out, and the first one of another producer.
static int64_t first_open_of_others(const struct producer_plan *plan, int64_t producer_id)
{
    int64_t first = INT64_MAX;
    const struct transactions *open = &plan->state->open;
    for (uint32_t i = 0; i < open->count; i++) {
        bool ended = open->items[i].producer_id == producer_id;
        for (size_t k = 0; !ended && k < plan->event_count; k++)
            ended = plan->events[k].end.last_offset >= 0 &&
                    plan->events[k].end.first_offset == open->items[i].first_offset;
        if (!ended && open->items[i].first_offset < first)
            first = open->items[i].first_offset;
    }
    for (size_t k = 0; k < plan->event_count; k++) { // started by this very plan
        const struct transaction_end *e = &plan->events[k].end;
        bool over = e->last_offset >= 0 || e->producer_id == producer_id;
        for (size_t m = k + 1; !over && m < plan->event_count; m++)
            over =
                plan->events[m].end.last_offset >= 0 && plan->events[m].end.first_offset == e->first_offset;
        if (!over && e->first_offset < first)
            first = e->first_offset;
    }
    return first;
}

#define EPOCH_RAISED_VERSION 2

static int add_marker(struct producer_plan *plan, struct producer_update *u, const struct batch_header *h,
                      struct bytes batch, const struct producer_judgement *j, struct log_append_info *info)
{
    struct bytes body = {batch.data + BATCH_HEADER_BYTES, batch.size - BATCH_HEADER_BYTES};
    struct record_cursor cursor = record_cursor(body, h->count);
    struct record record;
    int16_t type;
    int rc = record_cursor_next(&cursor, &record);
    if (rc == 0)
        return 0; // compaction emptied it: the transaction has left the log
    if (rc < 0 || control_key_read(record.key, NULL, &type) ||
        (type != CONTROL_ABORT && type != CONTROL_COMMIT) || record.value.size < 6)
        return ERR_CORRUPT;
    int32_t coordinator_epoch = (int32_t)load_be32(record.value.data + 2); // behind the version
    rc = check_epoch(&u->next, h->producer_epoch, h->base_offset, j, info);
    if (rc)
        return rc;
    // From version 2 on the end raises the epoch: a marker without that is of an earlier transaction
    // (KIP-890). Behind the last epoch there is none to raise it to.
    if (j->origin == LOG_ORIGIN_COORDINATOR && j->marker_version >= EPOCH_RAISED_VERSION &&
        u->next.transaction_first_offset >= 0 && h->producer_epoch == u->next.epoch &&
        h->producer_epoch < INT16_MAX)
        return refuse(info, LOG_ERROR_INVALID_PRODUCER_EPOCH,
                      "Epoch of producer %" PRId64 " at offset %" PRId64
                      " in %s is %d, which does not end the transaction of that very epoch",
                      h->producer_id, h->base_offset, j->name, h->producer_epoch);
    if (u->next.coordinator_epoch > coordinator_epoch && j->origin != LOG_ORIGIN_REPLICA)
        return refuse(info, LOG_ERROR_TRANSACTION_COORDINATOR_FENCED,
                      "Invalid coordinator epoch for producerId %" PRId64 " at offset %" PRId64
                      " in partition %s: %d (zombie), %d (current)",
                      h->producer_id, h->base_offset, j->name, coordinator_epoch, u->next.coordinator_epoch);
    if (u->next.transaction_first_offset >= 0) {
        int64_t others = first_open_of_others(plan, h->producer_id);
        rc = add_event(plan, (struct transaction_end){.producer_id = h->producer_id,
                                                      .first_offset = u->next.transaction_first_offset,
                                                      .last_offset = h->base_offset,
                                                      .last_stable_offset =
                                                          others == INT64_MAX ? h->base_offset + 1 : others,
                                                      .aborted = type == CONTROL_ABORT});
        if (rc)
            return rc;
    }
    set_epoch(&u->next, h->producer_epoch);
    u->next.coordinator_epoch = coordinator_epoch;
    u->next.transaction_first_offset = LOG_NO_OFFSET;
    u->next.last_timestamp_ms = record_timestamp_ms(h, &record);
    return 0;
}

static int add_data(struct producer_plan *plan, struct producer_update *u, const struct batch_header *h,
                    const struct producer_judgement *j, struct log_append_info *info)
{
    struct producer_entry *p = &u->next;
    int rc = check_epoch(p, h->producer_epoch, h->base_offset, j, info);
    if (rc == 0 && j->origin == LOG_ORIGIN_CLIENT)
        rc = check_sequence(plan, u, h, j->name, info);
    if (rc)
        return rc;
    if (p->transaction_first_offset >= 0 && !batch_is_transactional(h))
        return refuse(info, LOG_ERROR_INVALID_TXN_STATE,
                      "Expected transactional write from producer %" PRId64 " at offset %" PRId64
                      " in partition %s",
                      p->producer_id, h->base_offset, j->name);
    if (p->transaction_first_offset < 0 && batch_is_transactional(h)) {
        rc = add_event(plan, (struct transaction_end){.producer_id = p->producer_id,
                                                      .first_offset = h->base_offset,
                                                      .last_offset = LOG_NO_OFFSET});
        if (rc)
            return rc;
        p->transaction_first_offset = h->base_offset;
    }
    set_epoch(p, h->producer_epoch);
    if (p->batch_count == PRODUCER_BATCHES) {
        memmove(p->batches, p->batches + 1, (PRODUCER_BATCHES - 1) * sizeof *p->batches);
        p->batch_count--;
    }
    p->batches[p->batch_count++] = (struct producer_batch){.last_offset = batch_last_offset(h),
                                                           .timestamp_ms = h->max_timestamp_ms,
                                                           .last_sequence = batch_last_sequence(h),
                                                           .offset_delta = h->last_offset_delta};
    p->last_timestamp_ms = h->max_timestamp_ms;
    return 0;
}

// Whether the coordinator has to be asked first, or something has come in since it was.
static bool lacks_verification(const struct producer_state *s, const struct batch_header *h,
                               const struct producer_judgement *j)
{
    if (!j->verify || (j->origin != LOG_ORIGIN_CLIENT && j->origin != LOG_ORIGIN_COORDINATOR) ||
        !batch_is_transactional(h) || batch_is_control(h) || is_open(s, h->producer_id, h->producer_epoch))
        return false;
    const struct producer_verification *v = map_int_get(&s->verifications, (uint64_t)h->producer_id);
    return !v || v->guard != j->guard;
}

int producer_plan_add(struct producer_plan *plan, const struct batch_header *h, struct bytes batch,
                      const struct producer_judgement *j, struct log_append_info *info)
{
    if (!batch_has_producer(h))
        return 0;
    if (j->origin == LOG_ORIGIN_CLIENT) {
        const struct producer_entry *known = map_int_get(&plan->state->entries, (uint64_t)h->producer_id);
        const struct producer_batch *original = known ? find_duplicate(known, h) : NULL;
        if (original) {
            info->duplicate = true;
            info->base_offset = original->last_offset - original->offset_delta;
            info->last_offset = original->last_offset;
            info->append_time_ms = original->timestamp_ms;
            return 1;
        }
    }
    if (lacks_verification(plan->state, h, j))
        return refuse(info, LOG_ERROR_INVALID_TXN_STATE, "Record was not part of an ongoing transaction");
    struct producer_update *u = update_of(plan, h->producer_id);
    if (!u)
        return ERR_NOMEM;
    u->transactional |= batch_is_transactional(h);
    return batch_is_control(h) ? add_marker(plan, u, h, batch, j, info) : add_data(plan, u, h, j, info);
}

bool producer_plan_add_next(struct producer_plan *plan, const struct batch_header *h)
{
    if (!batch_has_producer(h))
        return true;
    if (batch_is_control(h) || batch_is_transactional(h) ||
        !map_int_get(&plan->state->entries, (uint64_t)h->producer_id))
        return false;
    struct producer_update *u = update_of(plan, h->producer_id);
    if (!u || u->next.epoch != h->producer_epoch || u->next.batch_count == 0 ||
        u->next.transaction_first_offset >= 0 || find_duplicate(&u->next, h))
        return false;
    int32_t last = u->next.batches[u->next.batch_count - 1].last_sequence;
    if ((int64_t)h->base_sequence != (int64_t)last + 1)
        return false;
    struct log_append_info unused;
    static const struct producer_judgement judgement = {.origin = LOG_ORIGIN_CLIENT, .name = ""};
    return add_data(plan, u, h, &judgement, &unused) == 0;
}

size_t producer_plan_ended(const struct producer_plan *plan, struct transaction_end *out, size_t capacity)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->event_count; i++) {
        if (plan->events[i].end.last_offset < 0)
            continue;
        if (n < capacity)
            out[n] = plan->events[i].end;
        n++;
    }
    return n;
}

static void carry_out(struct producer_state *s, const struct transaction_end *e)
{
    if (e->last_offset < 0) {
        transactions_put(&s->open, (struct transaction){e->first_offset, e->producer_id, LOG_NO_OFFSET});
        return;
    }
    uint32_t i = transactions_find(&s->open, e->first_offset);
    if (i < s->open.count && s->open.items[i].first_offset == e->first_offset)
        transactions_remove(&s->open, i);
    transactions_put(&s->unreplicated, (struct transaction){e->first_offset, e->producer_id, e->last_offset});
}

void producer_plan_commit(struct producer_plan *plan, int64_t end_offset)
{
    for (size_t i = 0; i < plan->update_count; i++) {
        *plan->updates[i].live = plan->updates[i].next;
        if (plan->updates[i].transactional)
            free(map_int_remove(&plan->state->verifications, (uint64_t)plan->updates[i].next.producer_id));
    }
    for (size_t i = 0; i < plan->event_count; i++)
        carry_out(plan->state, &plan->events[i].end);
    plan->state->end_offset = end_offset;
    plan_free(plan);
}

void producer_plan_abort(struct producer_plan *plan)
{
    for (size_t i = 0; i < plan->update_count; i++) {
        if (!plan->updates[i].fresh)
            continue;
        map_int_remove(&plan->state->entries, (uint64_t)plan->updates[i].next.producer_id);
        free(plan->updates[i].live);
    }
    plan_free(plan);
}
