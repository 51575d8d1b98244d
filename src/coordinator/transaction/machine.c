// The machine of a shard of transactions: its state as a whole, its timers, and who serves which request.
#include "coordinator/transaction/state.h"

#include <stdlib.h>

#define NEVER INT64_MAX

static const char *const names[TXN_STATES] = {"Empty",        "Ongoing",        "PrepareCommit",
                                              "PrepareAbort", "CompleteCommit", "CompleteAbort"};

const char *txn_state_name(enum txn_state state)
{
    return names[state];
}

bool transaction_state_known(struct str name)
{
    for (int i = 0; i < TXN_STATES; i++)
        if (str_is(name, names[i]))
            return true;
    return str_is(name, "Dead") || str_is(name, "PrepareEpochFence");
}

// Transactions

struct txn *txn_find(const struct txns *s, struct str id)
{
    return map_get(&s->by_id, id);
}

struct txn *txn_create(struct txns *s, struct str id)
{
    struct txn *x = state_alloc(sizeof *x);
    x->id = state_str(id);
    x->body = (struct txn_body){.producer_id = -1,
                                .previous_producer_id = -1,
                                .next_producer_id = -1,
                                .epoch = -1,
                                .last_epoch = -1,
                                .start_ms = -1};
    list_init(&x->unsent);
    list_init(&x->expiring);
    if (map_put(&s->by_id, x->id, x))
        state_array(NULL, SIZE_MAX, 1); // ends the process
    return x;
}

static void txn_free(struct txn *x)
{
    topics_free(&x->body.topics);
    free((void *)(uintptr_t)x->id.data);
    free(x);
}

void txn_remove(struct txns *s, struct txn *x)
{
    map_remove(&s->by_id, x->id);
    list_remove(&x->unsent);
    list_remove(&x->expiring);
    txn_free(x);
}

bool txn_preparing(const struct txn *x)
{
    return x->body.state == TXN_PREPARE_COMMIT || x->body.state == TXN_PREPARE_ABORT;
}

// The last epoch of a producer id is kept for fencing.
bool txn_epoch_exhausted(int16_t epoch)
{
    return epoch >= INT16_MAX - 1;
}

// What a step writes, and what follows it

struct txn_body *txn_next(struct txn_turn *t, const struct txn *x, enum txn_state state)
{
    struct txn_body *next = &t->txns->next;
    *next = x->body;
    next->state = state;
    next->update_ms = t->now.wall_ms;
    next->topics = (struct txn_topics){0};
    return next;
}

void txn_write(struct txn_turn *t, struct txn *x, enum txn_then then, struct coordinator_request *r)
{
    txn_write_record(t, x, &t->txns->next);
    t->txns->then = then;
    t->txns->then_txn = x;
    t->txns->then_request = r;
}

static void settle_expired(struct txns *s, int16_t error)
{
    struct list *node;
    while ((node = list_pop_front(&s->expiring)))
        if (error == E_NONE)
            txn_remove(s, container_of(node, struct txn, expiring));
}

static void answer_settled(struct txn_turn *t, enum txn_then then, struct txn *x)
{
    struct coordinator_request *r = t->txns->then_request;
    switch (then) {
    case THEN_INIT:
        txn_answer(t, r, txn_init_response(r, x));
        break;
    case THEN_END:
        txn_answer(t, r, txn_end_response(r, x));
        break;
    case THEN_FENCE: // whoever asked for a producer id asks again once the old transaction is aborted
        if (r)
            txn_refuse(t, r, E_CONCURRENT_TRANSACTIONS);
        break;
    default:
        txn_refuse(t, r, E_NONE);
        break;
    }
}

static void settle(void *state, int16_t error, struct coordinator_now now,
                   struct coordinator_effects *effects)
{
    struct txns *s = state;
    struct txn_turn t = {s, now, effects};
    enum txn_then then = s->then;
    struct txn *x = s->then_txn;
    s->then = THEN_NOTHING;
    if (then == THEN_EXPIRE) {
        settle_expired(s, error);
        return;
    }
    if (error != E_NONE) {
        topics_free(&s->next.topics);
        if (then == THEN_FENCE) { // the epoch may be in use at a replica: it is not used again for a producer
            x->fence_failed = true;
            x->body.epoch = s->next.epoch;
        }
        if (s->then_request)
            txn_refuse(&t, s->then_request, error);
        return;
    }
    topics_free(&x->body.topics);
    x->body = s->next;
    s->next.topics = (struct txn_topics){0};
    if (then == THEN_COMPLETE)
        x->fence_failed = false;
    answer_settled(&t, then, x);
    if (then == THEN_END || then == THEN_FENCE)
        txn_send_markers(&t, x);
}

// Timers

static bool past_timeout(const struct txn *x, int64_t wall_ms)
{
    return x->body.state == TXN_ONGOING && x->body.start_ms + x->body.timeout_ms < wall_ms;
}

// One transaction past its timeout. What a change of the map lets it pass over is found the next time.
static bool abort_one(struct txn_turn *t)
{
    struct txns *s = t->txns;
    struct map_entry *e;
    while ((e = map_next(&s->by_id, &s->scan))) {
        if (!past_timeout(e->value, t->now.wall_ms))
            continue;
        txn_fence(t, e->value, NULL);
        return true;
    }
    s->scan = 0;
    s->abort_due = t->now.monotonic_ms + s->config->abort_interval_ms;
    return true;
}

static void expire(struct txn_turn *t)
{
    struct txns *s = t->txns;
    struct map_entry *e;
    s->expire_due = t->now.monotonic_ms + s->config->expire_interval_ms;
    for (size_t i = 0; (e = map_next(&s->by_id, &i));) {
        struct txn *x = e->value;
        if (x->body.state == TXN_ONGOING || txn_preparing(x) ||
            x->body.update_ms > t->now.wall_ms - s->config->id_expiration_ms)
            continue;
        list_push_back(&s->expiring, &x->expiring);
        txn_write_tombstone(t, x->id);
    }
    t->effects->divisible = true;
    s->then = THEN_EXPIRE;
}

static bool tick(void *state, struct coordinator_now now, struct coordinator_effects *effects)
{
    struct txns *s = state;
    struct txn_turn t = {s, now, effects};
    s->then = THEN_NOTHING;
    if (!list_empty(&s->unsent)) {
        txn_send_markers(&t, container_of(list_first(&s->unsent), struct txn, unsent));
        return true;
    }
    if (s->abort_due <= now.monotonic_ms)
        return abort_one(&t);
    if (s->expire_due > now.monotonic_ms)
        return false;
    expire(&t);
    return true;
}

static int64_t next_due(const void *state)
{
    const struct txns *s = state;
    if (!list_empty(&s->unsent))
        return 0;
    return s->abort_due < s->expire_due ? s->abort_due : s->expire_due;
}

// Life

static void *create(const void *config)
{
    struct txns *s = state_alloc(sizeof *s);
    s->config = config;
    s->abort_due = s->expire_due = NEVER;
    list_init(&s->unsent);
    list_init(&s->expiring);
    return s;
}

static void destroy(void *state)
{
    struct txns *s = state;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&s->by_id, &i));)
        txn_free(e->value);
    map_free(&s->by_id);
    free(s);
}

static void replay_end(void *state, int64_t producer_id, bool committed)
{
    (void)state, (void)producer_id, (void)committed; // no transaction writes into this topic
}

// The markers of what was decided are sent again: to write one twice does no harm.
static void loaded(void *state, struct coordinator_now now)
{
    struct txns *s = state;
    struct map_entry *e;
    s->abort_due = now.monotonic_ms + s->config->abort_interval_ms;
    s->expire_due = now.monotonic_ms + s->config->expire_interval_ms;
    for (size_t i = 0; (e = map_next(&s->by_id, &i));)
        if (txn_preparing(e->value))
            list_push_back(&s->unsent, &((struct txn *)e->value)->unsent);
}

static void unload(void *state, int16_t error, struct coordinator_effects *effects)
{
    (void)state, (void)error, (void)effects; // nobody waits inside
}

static void (*const served[TRANSACTION_REQUESTS])(struct txn_turn *t, struct coordinator_request *r) = {
    [TRANSACTION_INIT] = txn_on_init,     [TRANSACTION_ADD] = txn_on_add,
    [TRANSACTION_VERIFY] = txn_on_verify, [TRANSACTION_END] = txn_on_end,
    [TRANSACTION_MARKED] = txn_on_marked, [TRANSACTION_DESCRIBE] = txn_on_describe,
    [TRANSACTION_LIST] = txn_on_list,
};

static void step(void *state, struct coordinator_request *r, struct coordinator_now now,
                 struct coordinator_effects *effects)
{
    struct txns *s = state;
    struct txn_turn t = {s, now, effects};
    s->then = THEN_NOTHING;
    served[r->kind](&t, r);
}

const struct coordinator_machine transaction_machine = {.topic = "__transaction_state",
                                                        .create = create,
                                                        .destroy = destroy,
                                                        .replay = txn_replay,
                                                        .replay_end = replay_end,
                                                        .loaded = loaded,
                                                        .unload = unload,
                                                        .step = step,
                                                        .settle = settle,
                                                        .tick = tick,
                                                        .next_due = next_due};
