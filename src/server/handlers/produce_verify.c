#include "server/handlers/produce_verify.h"

#include "base/clock.h"
#include "protocol/errors.h"

#include <stdlib.h>

#define ABORTABLE_VERSION 11 // clients from here on know TRANSACTION_ABORTABLE

struct produce_verify {
    struct transaction_question question;
    struct request *request; // NULL once it is gone
    struct produce_entry *entries;
    size_t count;
    void (*done)(void *context);
    void *context;
    struct loop_timer retry;      // while the producer's transaction before is still finishing
    int64_t pause_ms, give_up_ms; // before it is asked again
    bool asked;                   // the coordinator has the question
};

static void discard(struct produce_verify *v)
{
    transaction_question_free(&v->question);
    free(v);
}

// The coordinator's errors, as this version's clients are to read them.
static void take_error(struct produce_verify *v, struct produce_entry *e, int16_t error)
{
    const struct request *r = v->request;
    if (error == E_PRODUCER_FENCED)
        error = E_INVALID_PRODUCER_EPOCH;
    if (error == E_TRANSACTION_ABORTABLE && r->version < ABORTABLE_VERSION)
        error = E_INVALID_TXN_STATE;
    e->error = error;
    switch (error) {
    case E_INVALID_TXN_STATE:
        e->message = STR("Partition was not added to the transaction");
        break;
    case E_CONCURRENT_TRANSACTIONS:
        if (r->version >= PRODUCE_ADDS_VERSION)
            break;
        // fall through
    case E_COORDINATOR_LOAD_IN_PROGRESS:
    case E_COORDINATOR_NOT_AVAILABLE:
    case E_NOT_COORDINATOR: // one that every client tries again, and that asks for no new metadata
        e->error = E_NOT_ENOUGH_REPLICAS;
        e->message = arena_printf(&v->request->arena,
                                  "Unable to verify the partition has been added to the transaction. "
                                  "Underlying error: %s",
                                  error_code_name(error));
        break;
    default:
        break;
    }
}

static bool any_has(const struct produce_verify *v, int16_t error)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->entries[i].topic_at >= 0 &&
            transaction_answer(&v->question, v->entries[i].topic_at, v->entries[i].partition_at) == error)
            return true;
    return false;
}

static void ask_again(struct produce_verify *v);

static void on_retry(struct loop_timer *timer)
{
    ask_again(container_of(timer, struct produce_verify, retry));
}

// Whether it is asked again, after a pause. The transaction before ends within moments: the pauses grow from
// the shortest to the configured one.
static bool waits_for_end(struct produce_verify *v)
{
    struct request *r = v->request;
    int64_t now_ms = reactor_now_ms(r->reactor), pause_ms = broker_of(r)->config->add_partitions_retry_ms;
    if (r->version < PRODUCE_ADDS_VERSION || now_ms >= v->give_up_ms ||
        !any_has(v, E_CONCURRENT_TRANSACTIONS))
        return false;
    if (v->pause_ms < pause_ms)
        pause_ms = v->pause_ms;
    v->pause_ms = 2 * pause_ms;
    return reactor_timer_arm(r->reactor, &v->retry, now_ms + pause_ms) == 0;
}

// Whether the partition wants to know; its guard goes with the append.
static bool wants_to_know(const struct request *r, struct produce_entry *e)
{
    struct log_verification about = {.producer_id = e->batch.producer_id,
                                     .producer_epoch = e->batch.producer_epoch,
                                     .sequence = e->batch.base_sequence,
                                     .raises_epoch = r->version >= PRODUCE_ADDS_VERSION};
    e->error = partition_verify(e->partition, &about, clock_wall_ms(), &e->guard);
    return e->error == E_NONE && e->guard != LOG_NO_GUARD;
}

// Whether the partition has given another guard since: the marker of the transaction before has come into its
// log after the question was put and before the coordinator read it, and has taken the one that goes with the
// append.
static bool guard_is_gone(struct produce_verify *v)
{
    bool gone = false;
    for (size_t i = 0; i < v->count; i++) {
        struct produce_entry *e = &v->entries[i];
        if (e->topic_at < 0 || transaction_answer(&v->question, e->topic_at, e->partition_at) != E_NONE)
            continue;
        int64_t before = e->guard;
        gone |= wants_to_know(v->request, e) && e->guard != before;
    }
    return gone;
}

static bool take_answer(struct produce_verify *v);

// True: it is answered already, and every entry has its outcome.
static bool ask(struct produce_verify *v)
{
    transaction_question_free(&v->question);
    v->asked = true;
    return transaction_ask(broker_of(v->request), &v->question) && take_answer(v);
}

static bool take_answer(struct produce_verify *v)
{
    v->asked = false;
    if (waits_for_end(v))
        return false;
    if (guard_is_gone(v))
        return ask(v);
    for (size_t i = 0; i < v->count; i++) {
        struct produce_entry *e = &v->entries[i];
        int16_t error =
            e->topic_at < 0 ? E_NONE : transaction_answer(&v->question, e->topic_at, e->partition_at);
        if (error != E_NONE)
            take_error(v, e, error);
    }
    return true;
}

static void finish(struct produce_verify *v)
{
    void (*done)(void *) = v->done;
    void *context = v->context;
    discard(v);
    done(context);
}

static void on_answer(struct transaction_question *q)
{
    struct produce_verify *v = container_of(q, struct produce_verify, question);
    if (!v->request)
        discard(v);
    else if (take_answer(v))
        finish(v);
}

// The marker of the transaction before may have come into the log since: it has taken the guard that was
// given then.
static void ask_again(struct produce_verify *v)
{
    for (size_t i = 0; i < v->count; i++)
        if (v->entries[i].topic_at >= 0)
            wants_to_know(v->request, &v->entries[i]);
    if (ask(v))
        finish(v);
}

// Puts what is to be asked into the question. False: out of memory.
static bool fill(struct produce_verify *v, struct arena *arena)
{
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction *about = &v->question.about;
    about->topics = add_partitions_to_txn_request_add_partitions_to_txn_topic_new(arena, (int32_t)v->count);
    int32_t *partitions = arena_alloc(arena, v->count * sizeof *partitions);
    if (!about->topics || !partitions)
        return false;
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic *topic = NULL;
    for (size_t i = 0; i < v->count; i++) {
        struct produce_entry *e = &v->entries[i];
        e->topic_at = -1;
        if (!wants_to_know(v->request, e))
            continue;
        if (!topic || !str_equal(topic->name, e->topic)) {
            topic = &about->topics[about->topics_count++];
            topic->name = e->topic;
            topic->partitions = &partitions[i];
        }
        e->topic_at = about->topics_count - 1;
        e->partition_at = topic->partitions_count;
        topic->partitions[topic->partitions_count++] = e->index;
    }
    return true;
}

static void set_producer(struct produce_verify *v, struct str transactional_id)
{
    v->question.about.transactional_id = transactional_id;
    v->question.about.producer_id = v->entries[0].batch.producer_id;
    v->question.about.producer_epoch = v->entries[0].batch.producer_epoch;
    v->question.about.verify_only = v->request->version < PRODUCE_ADDS_VERSION;
}

static bool fail(struct produce_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        entries[i].error = E_UNKNOWN_SERVER_ERROR;
    return true;
}

bool produce_verify(struct request *r, struct str transactional_id, struct produce_entry *entries,
                    size_t count, void (*done)(void *context), void *context, struct produce_verify **out)
{
    const struct broker_config *config = broker_of(r)->config;
    struct produce_verify *v = calloc(1, sizeof *v);
    if (!v)
        return fail(entries, count);
    *v = (struct produce_verify){.request = r,
                                 .entries = entries,
                                 .count = count,
                                 .done = done,
                                 .context = context,
                                 .retry.fire = on_retry,
                                 .pause_ms = 1,
                                 .give_up_ms =
                                     reactor_now_ms(r->reactor) + config->add_partitions_retry_max_ms};
    v->question.reply_to = &r->reactor->loop;
    v->question.done = on_answer;
    arena_init(&v->question.ask.arena, 0);
    set_producer(v, transactional_id);
    bool filled = fill(v, &r->arena);
    bool nothing = filled && v->question.about.topics_count == 0;
    if (!filled || nothing || ask(v)) {
        discard(v);
        return filled || fail(entries, count);
    }
    *out = v;
    return false;
}

void produce_verify_forget(struct produce_verify *v)
{
    reactor_timer_cancel(v->request->reactor, &v->retry);
    v->request = NULL;
    if (!v->asked)
        discard(v);
}
