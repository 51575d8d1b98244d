#include "server/transactions.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/logger.h"
#include "base/map.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "server/markers.h"
#include "server/producer_ids.h"
#include "server/reactors.h"

#include <pthread.h>
#include <stdlib.h>

#define RETRY_MS 100 // until a partition, or the coordinator's own, may take what it refused

// Questions

static void answered(struct coordinator_request *r)
{
    struct transaction_question *q = container_of(r, struct transaction_question, ask);
    q->done(q);
}

bool transaction_ask(struct broker *b, struct transaction_question *q)
{
    q->ask = (struct coordinator_request){.kind = q->about.verify_only ? TRANSACTION_VERIFY : TRANSACTION_ADD,
                                          .message = &q->about,
                                          .version = TRANSACTION_ADD_BROKERS_VERSION,
                                          .complete = answered,
                                          .reply_to = q->reply_to};
    arena_init(&q->ask.arena, 0);
    if (q->about.transactional_id.size == 0) {
        q->ask.error = E_INVALID_REQUEST;
        return true;
    }
    return coordinator_ask(b->transactions, coordinator_partition(b->transactions, q->about.transactional_id),
                           &q->ask);
}

int16_t transaction_answer(const struct transaction_question *q, int32_t topic, int32_t partition)
{
    const struct add_partitions_to_txn_response_add_partitions_to_txn_result *out = q->ask.response;
    return out ? out->topic_results[topic].results_by_partition[partition].partition_error_code
               : q->ask.error;
}

void transaction_question_free(struct transaction_question *q)
{
    arena_free(&q->ask.arena);
}

// Ends: a transaction's markers are written into its partitions, again and again where one of them cannot
// take it now, and then the coordinator is told. Each end is one reactor's, which its id says.

struct transaction_ends {
    pthread_mutex_t lock;
    struct list all; // of every reactor
};

struct ending {
    struct list node;
    struct broker *broker;
    struct coordinator_request *from; // the coordinator's; holds what `said` and the targets are
    const struct transaction_markers *said;
    struct markers markers;
    struct coordinator_request marked; // the answer to the coordinator
    struct loop_timer retry;
    int32_t shard;
};

static void remember(struct ending *e)
{
    struct transaction_ends *ends = e->broker->transaction_ends;
    pthread_mutex_lock(&ends->lock);
    list_push_back(&ends->all, &e->node);
    pthread_mutex_unlock(&ends->lock);
}

static void forget(struct ending *e)
{
    struct transaction_ends *ends = e->broker->transaction_ends;
    pthread_mutex_lock(&ends->lock);
    list_remove(&e->node);
    pthread_mutex_unlock(&ends->lock);
    arena_free(&e->marked.arena);
    transaction_markers_free(e->from);
    free(e);
}

static void write_markers(struct ending *e);
static void tell_coordinator(struct ending *e);

// Whether it is still this broker's to carry through, as the coordinator that decided it.
static bool is_current(const struct ending *e)
{
    return coordinator_epoch(e->broker->transactions, e->shard) == e->said->coordinator_epoch;
}

static void on_retry(struct loop_timer *timer)
{
    struct ending *e = container_of(timer, struct ending, retry);
    if (e->markers.count > 0)
        write_markers(e);
    else
        tell_coordinator(e);
}

static void retry(struct ending *e)
{
    struct loop *loop = e->markers.loop;
    if (loop_timer_arm(loop, &e->retry, loop_now_ms(loop) + RETRY_MS) == 0)
        return;
    log_error("transactions", "out of memory: the end of the transaction of %.*s waits for a restart",
              STR_ARG(e->said->transactional_id));
    forget(e);
}

static void on_told(struct coordinator_request *r)
{
    struct ending *e = container_of(r, struct ending, marked);
    switch (r->error) {
    case E_NONE:
    case E_INVALID_PRODUCER_ID_MAPPING: // somebody else has completed it meanwhile
    case E_PRODUCER_FENCED:
    case E_INVALID_TXN_STATE:
        forget(e);
        break;
    default:
        retry(e);
        break;
    }
}

static void tell_coordinator(struct ending *e)
{
    if (!is_current(e)) {
        forget(e);
        return;
    }
    arena_free(&e->marked.arena);
    e->marked = (struct coordinator_request){
        .kind = TRANSACTION_MARKED, .message = e->said, .complete = on_told, .reply_to = e->markers.loop};
    arena_init(&e->marked.arena, 0);
    if (coordinator_ask(e->broker->transactions, e->shard, &e->marked))
        on_told(&e->marked);
}

// Keeps the targets that are to be tried again. False: the markers are not wanted any more, somewhere.
static bool sift(struct ending *e)
{
    size_t left = 0;
    for (size_t i = 0; i < e->markers.count; i++) {
        const struct marker_target *t = &e->markers.targets[i];
        switch (t->error) {
        case E_NONE:
        case E_UNKNOWN_TOPIC_OR_PARTITION: // deleted: nobody reads there any more
            break;
        case E_INVALID_PRODUCER_EPOCH:
        case E_TRANSACTION_COORDINATOR_FENCED: // as Kafka: it is another's now
            log_warn("transactions", "%.*s-%d does not take the marker of %.*s: %s", STR_ARG(t->topic),
                     t->partition, STR_ARG(e->said->transactional_id), error_code_name(t->error));
            return false;
        default:
            log_limited(LOG_LEVEL_WARN, "transactions", "%.*s-%d does not take the marker of %.*s yet: %s",
                        STR_ARG(t->topic), t->partition, STR_ARG(e->said->transactional_id),
                        error_code_name(t->error));
            e->markers.targets[left++] = *t;
            break;
        }
    }
    e->markers.count = left;
    return true;
}

static void on_written(struct markers *m)
{
    struct ending *e = container_of(m, struct ending, markers);
    if (!sift(e))
        forget(e);
    else if (m->count > 0)
        retry(e);
    else
        tell_coordinator(e);
}

static void write_markers(struct ending *e)
{
    if (!is_current(e))
        forget(e);
    else if (markers_write(&e->markers))
        on_written(&e->markers);
}

static void abandon(struct markers *m)
{
    (void)m; // transactions_free knows it, too
}

static int fill(struct ending *e, struct arena *arena)
{
    const struct transaction_markers *said = e->said;
    size_t count = 0;
    for (uint32_t i = 0; i < said->topics_count; i++)
        count += said->topics[i].count;
    struct marker_target *targets = arena_zalloc(arena, count + 1, sizeof *targets);
    if (!targets)
        return ERR_NOMEM;
    e->markers.targets = targets;
    for (uint32_t i = 0; i < said->topics_count; i++)
        for (uint32_t k = 0; k < said->topics[i].count; k++)
            targets[e->markers.count++] = (struct marker_target){.topic = said->topics[i].name,
                                                                 .partition = said->topics[i].partitions[k]};
    return 0;
}

// The coordinator has decided an end (transaction_config.deliver).
static void deliver(struct coordinator_request *r)
{
    struct broker *b = r->context;
    if (r->error != E_NONE) {
        transaction_markers_free(r);
        return;
    }
    const struct transaction_markers *said = r->response;
    struct ending *e = state_alloc(sizeof *e);
    e->broker = b;
    e->from = r;
    e->said = said;
    e->shard = coordinator_partition(b->transactions, said->transactional_id);
    e->retry.fire = on_retry;
    arena_init(&e->marked.arena, 0);
    remember(e);
    e->markers = (struct markers){.broker = b,
                                  .loop = r->reply_to,
                                  .marker = {.producer_id = said->producer_id,
                                             .producer_epoch = said->producer_epoch,
                                             .coordinator_epoch = said->coordinator_epoch,
                                             .committed = said->committed,
                                             .transaction_version = (int8_t)said->transaction_version},
                                  .done = on_written,
                                  .abandon = abandon};
    if (fill(e, &r->arena))
        state_array(NULL, SIZE_MAX, 1); // ends the process, as whatever the coordinator cannot keep
    write_markers(e);
}

// Life

static int16_t new_producer_id(void *context, int64_t *producer_id)
{
    struct broker *b = context;
    return producer_ids_take(b->producer_ids, producer_id);
}

static int16_t feature_level(void *context)
{
    (void)context;
    return image_feature_level(image_current(), STR("transaction.version"));
}

// The ends of one id follow each other on one reactor; those of many are spread.
static struct loop *loop_of(void *context, struct str transactional_id)
{
    struct broker *b = context;
    uint64_t hash = hash_bytes(transactional_id.data, transactional_id.size);
    return &reactors_at(b->reactors, (unsigned)(hash % reactors_count(b->reactors)))->loop;
}

static int64_t number(const struct broker *b, struct arena *arena, struct str name, int *rc)
{
    struct setting_value value = {0};
    int one = broker_config_value(b->config, name, arena, &value);
    *rc = *rc ? *rc : one;
    return value.integer;
}

int transactions_init(struct broker *b)
{
    struct arena arena;
    int rc = 0;
    arena_init(&arena, 0);
#define NUMBER(name) number(b, &arena, STR(name), &rc)
    b->transaction_config = (struct transaction_config){
        .max_timeout_ms = (int32_t)NUMBER("transaction.max.timeout.ms"),
        .id_expiration_ms = NUMBER("transactional.id.expiration.ms"),
        .abort_interval_ms = NUMBER("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
        .expire_interval_ms = NUMBER("transaction.remove.expired.transaction.cleanup.interval.ms"),
        .new_producer_id = new_producer_id,
        .feature_level = feature_level,
        .context = b,
        .deliver = deliver,
        .deliver_to = loop_of};
#undef NUMBER
    arena_free(&arena);
    b->marker_writer = marker_writer_new();
    b->transaction_ends = calloc(1, sizeof *b->transaction_ends);
    if (!b->marker_writer || !b->transaction_ends)
        return ERR_NOMEM;
    pthread_mutex_init(&b->transaction_ends->lock, NULL);
    list_init(&b->transaction_ends->all);
    return rc;
}

void transactions_free(struct broker *b)
{
    struct transaction_ends *ends = b->transaction_ends;
    marker_writer_free(b->marker_writer);
    while (ends && !list_empty(&ends->all))
        forget(container_of(list_first(&ends->all), struct ending, node));
    if (ends && b->marker_writer) // else its lock was never made
        pthread_mutex_destroy(&ends->lock);
    free(ends);
}
