// Transactions as a state machine: scripts of what producers, brokers and the clock do, without a broker.
#include "unit.h"

#include "coordinator/transaction/transaction.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TIMEOUT_MS 60000

struct logged {
    struct buffer key, value;
    bool tombstone;
};

struct asked {
    struct coordinator_request request;
    bool done;
};

static struct {
    struct transaction_config config;
    void *state;
    struct coordinator_now now;
    struct logged log[256];
    size_t log_count;
    int16_t append_error, feature_level, id_error;
    int64_t ids;
    struct coordinator_request *markers; // the last that were to be written
    int markers_count;
} f;

static int16_t new_id(void *context, int64_t *id)
{
    (void)context;
    if (f.id_error == E_NONE)
        *id = f.ids++;
    return f.id_error;
}

static int16_t feature_level(void *context)
{
    (void)context;
    return f.feature_level;
}

static char looper; // stands for the loop of every id that begins with 'x'

static struct loop *loop_of(void *context, struct str id)
{
    (void)context;
    return id.data[0] == 'x' ? (struct loop *)(void *)&looper : NULL;
}

static void forget_markers(void)
{
    if (f.markers)
        transaction_markers_free(f.markers);
    f.markers = NULL;
}

static int set_up(void **state)
{
    (void)state;
    memset(&f, 0, sizeof f);
    f.now = (struct coordinator_now){1000, 1700000000000, 7};
    f.ids = 100;
    f.feature_level = 2;
    f.config = (struct transaction_config){.max_timeout_ms = 900000,
                                           .id_expiration_ms = 7 * 24 * 3600 * INT64_C(1000),
                                           .abort_interval_ms = 10000,
                                           .expire_interval_ms = 3600000,
                                           .new_producer_id = new_id,
                                           .feature_level = feature_level,
                                           .deliver_to = loop_of};
    f.state = transaction_machine.create(&f.config);
    transaction_machine.loaded(f.state, f.now);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forget_markers();
    transaction_machine.destroy(f.state);
    for (size_t i = 0; i < f.log_count; i++) {
        buffer_free(&f.log[i].key);
        buffer_free(&f.log[i].value);
    }
    return 0;
}

static void execute(struct coordinator_effects *effects)
{
    if (effects->records_count > 0) {
        for (size_t i = 0; i < effects->records_count && f.append_error == E_NONE; i++) {
            const struct coordinator_record *r = &effects->records[i];
            struct logged *l = &f.log[f.log_count++];
            *l = (struct logged){.tombstone = !r->value.data};
            buffer_append(&l->key, r->key.data, r->key.size);
            buffer_append(&l->value, r->value.data, r->value.size);
        }
        transaction_machine.settle(f.state, f.append_error, f.now, effects);
    }
    struct list *node;
    while ((node = list_pop_front(&effects->answered))) {
        struct coordinator_request *r = container_of(node, struct coordinator_request, node);
        if (r->kind == TRANSACTION_MARKERS) {
            const struct transaction_markers *said = r->response;
            if (said)
                assert_ptr_equal(r->reply_to, loop_of(NULL, said->transactional_id));
            forget_markers();
            f.markers = r;
            f.markers_count++;
        } else {
            container_of(r, struct asked, request)->done = true;
        }
    }
    coordinator_effects_reset(effects);
}

static void ask(struct asked *a, int kind, const void *message, int16_t version)
{
    struct coordinator_effects effects;
    *a = (struct asked){.request = {.kind = kind, .message = message, .version = version}};
    arena_init(&a->request.arena, 0);
    coordinator_effects_init(&effects);
    transaction_machine.step(f.state, &a->request, f.now, &effects);
    execute(&effects);
    coordinator_effects_free(&effects);
    assert_true(a->done);
}

// Time passes; what is due on the way fires at its time.
static void advance(int64_t ms)
{
    int64_t until = f.now.monotonic_ms + ms;
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    for (;;) {
        int64_t due = transaction_machine.next_due(f.state), at = due < until ? due : until;
        if (at > f.now.monotonic_ms) {
            f.now.wall_ms += at - f.now.monotonic_ms;
            f.now.monotonic_ms = at;
        }
        if (due > until || !transaction_machine.tick(f.state, f.now, &effects))
            break;
        execute(&effects);
    }
    coordinator_effects_free(&effects);
}

// A crash: the state is rebuilt from the log.
static void reload(void)
{
    transaction_machine.destroy(f.state);
    f.state = transaction_machine.create(&f.config);
    for (size_t i = 0; i < f.log_count; i++) {
        struct logged *l = &f.log[i];
        struct coordinator_record r = {{l->key.data, l->key.size}, {l->value.data, l->value.size}};
        if (l->tombstone)
            r.value = BYTES_NULL;
        transaction_machine.replay(f.state, &r, (int64_t)i, -1);
    }
    transaction_machine.loaded(f.state, f.now);
}

// What producers do

struct producer {
    int64_t id;
    int16_t epoch;
};

static const struct producer none = {-1, -1};

// The error; *p becomes what it was told.
static int16_t init(struct producer was, struct producer *p)
{
    struct init_producer_id_request q = init_producer_id_request_default;
    q.transactional_id = STR("t");
    q.transaction_timeout_ms = TIMEOUT_MS;
    q.producer_id = was.id;
    q.producer_epoch = was.epoch;
    struct asked a;
    ask(&a, TRANSACTION_INIT, &q, 4);
    const struct init_producer_id_response *out = a.request.response;
    if (out)
        *p = (struct producer){out->producer_id, out->producer_epoch};
    int16_t error = a.request.error;
    arena_free(&a.request.arena);
    return error;
}

static int16_t add_kind(int kind, struct producer p, const char *topic, int32_t partition, int16_t version)
{
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic t = {str_from(topic), &partition, 1};
    struct add_partitions_to_txn_request_add_partitions_to_txn_transaction q = {.transactional_id = STR("t"),
                                                                                .producer_id = p.id,
                                                                                .producer_epoch = p.epoch,
                                                                                .topics = &t,
                                                                                .topics_count = 1};
    struct asked a;
    ask(&a, kind, &q, version);
    const struct add_partitions_to_txn_response_add_partitions_to_txn_result *out = a.request.response;
    int16_t error =
        out ? out->topic_results[0].results_by_partition[0].partition_error_code : a.request.error;
    arena_free(&a.request.arena);
    return error;
}

static int16_t add(struct producer p, const char *topic, int32_t partition, int16_t version)
{
    return add_kind(TRANSACTION_ADD, p, topic, partition, version);
}

static int16_t end(struct producer *p, bool committed, int16_t version)
{
    struct end_txn_request q = {STR("t"), p->id, p->epoch, committed};
    struct asked a;
    ask(&a, TRANSACTION_END, &q, version);
    const struct end_txn_response *out = a.request.response;
    if (out && version >= 5)
        *p = (struct producer){out->producer_id, out->producer_epoch};
    int16_t error = a.request.error;
    arena_free(&a.request.arena);
    return error;
}

// The markers that were asked for last are all written.
static int16_t marked(void)
{
    struct asked a;
    assert_non_null(f.markers);
    ask(&a, TRANSACTION_MARKED, f.markers->response, 0);
    arena_free(&a.request.arena);
    return a.request.error;
}

static void check_state(const char *state, size_t topics)
{
    struct asked a;
    struct str id = STR("t");
    ask(&a, TRANSACTION_DESCRIBE, &id, 0);
    const struct describe_transactions_response_transaction_state *out = a.request.response;
    assert_non_null(out);
    assert_true(str_is(out->transaction_state, state));
    assert_int_equal(out->topics_count, topics);
    arena_free(&a.request.arena);
}

static const struct transaction_markers *last_markers(void)
{
    assert_non_null(f.markers);
    return f.markers->response;
}

// Scripts

static void commit_with_version_1(void **state)
{
    (void)state;
    struct producer p, q = none;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(p.id, 100);
    assert_int_equal(p.epoch, 0);
    assert_int_equal(end(&p, true, 4), E_INVALID_TXN_STATE); // nothing was begun
    assert_int_equal(add(p, "b", 1, 3), E_NONE);
    assert_int_equal(add(p, "a", 2, 3), E_NONE);
    assert_int_equal(add(p, "b", 0, 3), E_NONE);
    size_t records = f.log_count;
    assert_int_equal(add(p, "b", 0, 3), E_NONE); // known: no record
    assert_int_equal(f.log_count, records);
    check_state("Ongoing", 2);
    assert_int_equal(end(&p, true, 4), E_NONE);
    check_state("PrepareCommit", 2);
    const struct transaction_markers *m = last_markers();
    assert_true(m->committed);
    assert_int_equal(m->producer_epoch, 0);
    assert_int_equal(m->topics_count, 2);
    assert_true(str_is(m->topics[0].name, "a"));
    assert_int_equal(m->topics[1].partitions[0], 0);
    assert_int_equal(m->topics[1].partitions[1], 1);
    assert_int_equal(end(&p, true, 4), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(end(&p, false, 4), E_INVALID_TXN_STATE);
    assert_int_equal(add(p, "a", 0, 3), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(init(none, &q), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(marked(), E_NONE);
    check_state("CompleteCommit", 0);
    assert_int_equal(marked(), E_INVALID_TXN_STATE);
    assert_int_equal(end(&p, true, 4), E_NONE); // asks again
    assert_int_equal(end(&p, false, 4), E_INVALID_TXN_STATE);
    assert_int_equal(p.epoch, 0);
    assert_int_equal(add(p, "a", 0, 3), E_NONE);
    assert_int_equal(end(&p, false, 4), E_NONE);
    assert_false(last_markers()->committed);
    assert_int_equal(marked(), E_NONE);
    check_state("CompleteAbort", 0);
}

static void each_transaction_has_an_epoch_with_version_2(void **state)
{
    (void)state;
    struct producer p, before;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(add(p, "a", 0, 5), E_NONE);
    before = p;
    assert_int_equal(end(&p, true, 5), E_NONE);
    assert_int_equal(p.id, before.id);
    assert_int_equal(p.epoch, before.epoch + 1);
    assert_int_equal(last_markers()->producer_epoch, p.epoch);
    assert_int_equal(last_markers()->transaction_version, 2);
    struct producer again = before;
    assert_int_equal(end(&again, true, 5), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(marked(), E_NONE);
    again = before; // the answer got lost
    assert_int_equal(end(&again, true, 5), E_NONE);
    assert_int_equal(again.epoch, p.epoch);
    again = before;
    assert_int_equal(end(&again, false, 5), E_INVALID_TXN_STATE);
    assert_int_equal(add(before, "a", 0, 5), E_PRODUCER_FENCED);
    // Nothing was added, as far as is known: an abort gives an epoch of its own, a commit is refused.
    assert_int_equal(end(&p, true, 5), E_INVALID_TXN_STATE);
    int markers = f.markers_count;
    assert_int_equal(end(&p, false, 5), E_NONE);
    assert_int_equal(p.epoch, before.epoch + 2);
    assert_int_equal(f.markers_count, markers + 1);
    assert_int_equal(last_markers()->topics_count, 0);
    assert_int_equal(marked(), E_NONE);
}

// The answer to an end got lost and the client asked twice; the second comes when more has happened.
static void a_late_end_ends_nothing_else(void **state)
{
    (void)state;
    struct producer p, late, q = none;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(add(p, "a", 0, 5), E_NONE);
    late = p;
    assert_int_equal(end(&p, true, 5), E_NONE);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(add(p, "a", 0, 5), E_NONE);
    struct producer again = late;
    assert_int_equal(end(&again, true, 5), E_PRODUCER_FENCED);
    check_state("Ongoing", 1);
    again = late;
    assert_int_equal(end(&again, false, 5), E_PRODUCER_FENCED);
    check_state("Ongoing", 1);
    late = p;
    assert_int_equal(end(&p, false, 5), E_NONE);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(init(none, &q), E_NONE);
    again = late; // it would raise the epoch of the producer that came after
    assert_int_equal(end(&again, false, 5), E_PRODUCER_FENCED);
    assert_int_equal(add(q, "a", 0, 5), E_NONE);
}

static void a_new_producer_fences_the_old(void **state)
{
    (void)state;
    struct producer p, q = none;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(init(none, &q), E_NONE);
    assert_int_equal(q.id, p.id);
    assert_int_equal(q.epoch, p.epoch + 1);
    assert_int_equal(add(p, "a", 0, 3), E_PRODUCER_FENCED);
    assert_int_equal(end(&p, true, 4), E_PRODUCER_FENCED);
    struct producer other = {p.id + 7, p.epoch};
    assert_int_equal(add(other, "a", 0, 3), E_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(init(other, &other), E_PRODUCER_FENCED);

    // An open transaction is aborted first.
    assert_int_equal(add(q, "a", 0, 3), E_NONE);
    assert_int_equal(init(none, &p), E_CONCURRENT_TRANSACTIONS);
    assert_false(last_markers()->committed);
    assert_int_equal(last_markers()->producer_epoch, q.epoch + 1);
    assert_int_equal(end(&q, true, 4), E_PRODUCER_FENCED);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(p.epoch, q.epoch + 2);
}

static void a_producer_goes_on_after_an_error(void **state) // KIP-360
{
    (void)state;
    struct producer p, q = none, r;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(init(p, &q), E_NONE);
    assert_int_equal(q.epoch, p.epoch + 1);
    assert_int_equal(init(p, &r), E_NONE); // the answer got lost
    assert_int_equal(r.epoch, q.epoch);
    assert_int_equal(init(q, &r), E_NONE);
    assert_int_equal(init(p, &q), E_PRODUCER_FENCED);

    // With an open transaction: it is aborted first, and that has raised the epoch already.
    assert_int_equal(add(r, "a", 0, 3), E_NONE);
    assert_int_equal(init(r, &q), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(init(r, &q), E_NONE);
    assert_int_equal(q.epoch, r.epoch + 1);

    // The same after a timeout; what it wanted is not to be had any more.
    assert_int_equal(add(q, "a", 0, 5), E_NONE);
    advance(TIMEOUT_MS + 2 * f.config.abort_interval_ms);
    assert_int_equal(marked(), E_NONE);
    r = q;
    assert_int_equal(end(&r, true, 5), E_INVALID_TXN_STATE);
    assert_int_equal(init(q, &r), E_NONE);
    assert_int_equal(r.epoch, q.epoch + 1);
}

// Versions of the client's requests do not have to agree.
static void versions_mix(void **state)
{
    (void)state;
    struct producer p;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(add(p, "a", 0, 3), E_NONE);
    assert_int_equal(end(&p, true, 5), E_NONE);
    assert_int_equal(p.epoch, 1);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(add(p, "a", 0, 4), E_NONE);
    assert_int_equal(end(&p, true, 4), E_NONE);
    assert_int_equal(last_markers()->producer_epoch, 1);
    assert_int_equal(marked(), E_NONE);
}

static struct producer worn_out(void)
{
    struct producer p = none;
    do {
        f.log_count = 0; // only the last matter
        buffer_free(&f.log[0].key);
        buffer_free(&f.log[0].value);
        assert_int_equal(init(none, &p), E_NONE);
    } while (p.epoch < INT16_MAX - 1);
    return p;
}

static void exhausted_epochs_give_a_new_id(void **state)
{
    (void)state;
    struct producer p = worn_out();
    const struct producer first = p;
    struct producer last = p;
    assert_int_equal(add(p, "a", 0, 5), E_NONE);
    assert_int_equal(end(&p, true, 5), E_NONE);
    assert_int_equal(p.id, first.id + 1);
    assert_int_equal(p.epoch, 0);
    assert_int_equal(add(p, "a", 0, 5), E_CONCURRENT_TRANSACTIONS); // the markers bear the former id
    assert_int_equal(init(p, &p), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(last_markers()->producer_id, first.id);
    assert_int_equal(last_markers()->producer_epoch, INT16_MAX);
    reload(); // the next id is in the record
    advance(0);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(end(&last, true, 5), E_NONE); // asks again
    assert_int_equal(last.id, first.id + 1);
    assert_int_equal(last.epoch, 0);
    assert_int_equal(add(last, "a", 0, 5), E_NONE);
}

// Its timeout fences a producer with the last epoch of its id, which nobody gets, and the id goes on with
// another.
static void the_last_epoch_only_fences(void **state)
{
    (void)state;
    const struct producer p = worn_out();
    assert_int_equal(add(p, "a", 0, 5), E_NONE);
    advance(TIMEOUT_MS + 2 * f.config.abort_interval_ms);
    assert_int_equal(last_markers()->producer_epoch, INT16_MAX);
    assert_int_equal(marked(), E_NONE);
    struct producer q = {p.id, INT16_MAX};
    assert_int_equal(add(q, "a", 0, 5), E_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(end(&q, true, 5), E_INVALID_PRODUCER_ID_MAPPING);
    q = p;
    assert_int_equal(end(&q, true, 5), E_INVALID_TXN_STATE);
    assert_int_equal(end(&q, false, 5), E_NONE);
    assert_int_equal(q.id, p.id + 1);
    assert_int_equal(q.epoch, 0);
    assert_int_equal(init(p, &q), E_NONE);
    assert_int_equal(q.id, p.id + 1);
    assert_int_equal(q.epoch, 0);
}

// Who did not learn of its new id by the end learns of it as it begins anew.
static void who_missed_its_new_id_asks_for_it(void **state)
{
    (void)state;
    const struct producer p = worn_out();
    struct producer q = p;
    assert_int_equal(add(p, "a", 0, 5), E_NONE);
    assert_int_equal(end(&q, true, 5), E_NONE);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(init(p, &q), E_NONE);
    assert_int_equal(q.id, p.id + 1);
    assert_int_equal(q.epoch, 0);
}

// On lower levels of the cluster the id keeps it: who uses it nevertheless does not hold up the id, nor
// readers.
static void nobody_goes_on_behind_the_last_epoch(void **state)
{
    (void)state;
    f.feature_level = 1;
    const struct producer p = worn_out();
    assert_int_equal(add(p, "a", 0, 3), E_NONE);
    advance(TIMEOUT_MS + 2 * f.config.abort_interval_ms);
    assert_int_equal(marked(), E_NONE);
    struct producer q = {p.id, INT16_MAX};
    assert_int_equal(add(q, "a", 0, 3), E_NONE);
    assert_int_equal(end(&q, true, 5), E_PRODUCER_FENCED);
    advance(TIMEOUT_MS + 2 * f.config.abort_interval_ms);
    assert_int_equal(last_markers()->producer_epoch, INT16_MAX);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(init(none, &q), E_NONE);
    assert_int_equal(q.id, p.id + 1);
}

// Where there was no other id for it at the end, neither: it gets one with the next end.
static void a_new_id_may_come_later(void **state)
{
    (void)state;
    const struct producer p = worn_out();
    assert_int_equal(add(p, "a", 0, 5), E_NONE);
    f.id_error = E_COORDINATOR_LOAD_IN_PROGRESS;
    advance(TIMEOUT_MS + 2 * f.config.abort_interval_ms);
    assert_int_equal(marked(), E_NONE);
    f.id_error = E_NONE;
    struct producer q = {p.id, INT16_MAX};
    assert_int_equal(add(q, "a", 0, 5), E_NONE);
    assert_int_equal(end(&q, true, 5), E_PRODUCER_FENCED);
    advance(TIMEOUT_MS + 2 * f.config.abort_interval_ms);
    assert_int_equal(last_markers()->producer_epoch, INT16_MAX);
    assert_int_equal(last_markers()->transaction_version, 2);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(init(none, &q), E_NONE);
    assert_int_equal(q.id, p.id + 1);
}

static void verification(void **state)
{
    (void)state;
    struct producer p;
    assert_int_equal(add_kind(TRANSACTION_VERIFY, (struct producer){1, 0}, "a", 0, 5),
                     E_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(add(p, "a", 0, 3), E_NONE);
    assert_int_equal(add_kind(TRANSACTION_VERIFY, p, "a", 0, 5), E_NONE);
    assert_int_equal(add_kind(TRANSACTION_VERIFY, p, "a", 1, 5), E_TRANSACTION_ABORTABLE);
    assert_int_equal(add_kind(TRANSACTION_VERIFY, p, "b", 0, 5), E_TRANSACTION_ABORTABLE);
    assert_int_equal(end(&p, true, 4), E_NONE);
    assert_int_equal(add_kind(TRANSACTION_VERIFY, p, "a", 0, 5), E_CONCURRENT_TRANSACTIONS);
}

static void timeouts_abort(void **state)
{
    (void)state;
    struct producer p;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(add(p, "a", 0, 3), E_NONE);
    advance(TIMEOUT_MS);
    check_state("Ongoing", 1);
    advance(f.config.abort_interval_ms);
    check_state("PrepareAbort", 1);
    assert_int_equal(last_markers()->producer_epoch, p.epoch + 1);
    assert_int_equal(end(&p, true, 4), E_PRODUCER_FENCED);
    assert_int_equal(marked(), E_NONE);
    check_state("CompleteAbort", 0);
}

static void ids_expire(void **state)
{
    (void)state;
    struct producer p;
    assert_int_equal(init(none, &p), E_NONE);
    advance(f.config.id_expiration_ms - 1);
    check_state("Empty", 0);
    f.append_error = E_NOT_COORDINATOR; // what cannot be written stays
    advance(f.config.expire_interval_ms);
    check_state("Empty", 0);
    f.append_error = E_NONE;
    advance(f.config.expire_interval_ms);
    assert_int_equal(add(p, "a", 0, 3), E_INVALID_PRODUCER_ID_MAPPING);
    assert_true(f.log[f.log_count - 1].tombstone);
    reload();
    assert_int_equal(add(p, "a", 0, 3), E_INVALID_PRODUCER_ID_MAPPING);
}

// Of CPU, to forget so many ids at once, and to let as many go.
static clock_t cost_of_expiry(int count)
{
    struct init_producer_id_request q = init_producer_id_request_default;
    q.transaction_timeout_ms = TIMEOUT_MS;
    clock_t took = 0;
    for (int expires = 0; expires < 2; expires++) {
        struct coordinator_effects effects;
        coordinator_effects_init(&effects);
        void *many = transaction_machine.create(&f.config);
        struct coordinator_now now = f.now;
        transaction_machine.loaded(many, now);
        for (int i = 0; i < count; i++) {
            char id[16];
            snprintf(id, sizeof id, "id-%d", i);
            q.transactional_id = str_from(id);
            struct coordinator_request r = {.kind = TRANSACTION_INIT, .message = &q, .version = 4};
            arena_init(&r.arena, 0);
            transaction_machine.step(many, &r, now, &effects);
            transaction_machine.settle(many, E_NONE, now, &effects);
            list_pop_front(&effects.answered);
            coordinator_effects_reset(&effects);
            arena_free(&r.arena);
        }
        now.wall_ms += f.config.id_expiration_ms;
        now.monotonic_ms += f.config.expire_interval_ms;
        clock_t began = clock();
        while (expires && effects.records_count == 0)
            assert_true(transaction_machine.tick(many, now, &effects));
        assert_int_equal(effects.records_count, expires ? count : 0);
        if (expires)
            transaction_machine.settle(many, E_NONE, now, &effects);
        transaction_machine.destroy(many);
        took += clock() - began;
        coordinator_effects_free(&effects);
    }
    return took;
}

// The work grows with their number, not with its square.
static void many_ids_expire(void **state)
{
    (void)state;
    clock_t some = cost_of_expiry(4000), many = cost_of_expiry(64000);
    assert_true(many < 100 * (some > 0 ? some : 1));
}

// Whatever was appended last, a crash leaves the transaction where its records say, and what was decided is
// carried through.
static void crashes(void **state)
{
    (void)state;
    static const int16_t levels[] = {0, 1, 2};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        f.feature_level = levels[i];
        struct producer p;
        int16_t version = levels[i] == 2 ? 5 : 4;
        assert_int_equal(init(none, &p), E_NONE);
        reload();
        assert_int_equal(add(p, "a", 0, 3), E_NONE);
        reload();
        check_state("Ongoing", 1);
        assert_int_equal(add(p, "b", 3, 3), E_NONE);
        reload();
        check_state("Ongoing", 2);
        int markers = f.markers_count;
        assert_int_equal(end(&p, i != 1, version), E_NONE);
        reload();
        check_state(i != 1 ? "PrepareCommit" : "PrepareAbort", 2);
        assert_int_equal(transaction_machine.next_due(f.state), 0);
        advance(0);
        assert_int_equal(f.markers_count, markers + 2);
        assert_int_equal(last_markers()->committed, i != 1);
        assert_int_equal(last_markers()->topics_count, 2);
        assert_int_equal(marked(), E_NONE);
        reload();
        check_state(i != 1 ? "CompleteCommit" : "CompleteAbort", 0);
        assert_int_equal(add(p, "a", 0, 3), E_NONE); // the epoch is the one that the producer was told
        assert_int_equal(end(&p, true, version), E_NONE);
        assert_int_equal(marked(), E_NONE);
    }
}

static void failed_appends_change_nothing(void **state)
{
    (void)state;
    struct producer p, q = none;
    f.append_error = E_NOT_COORDINATOR;
    assert_int_equal(init(none, &p), E_NOT_COORDINATOR);
    f.append_error = E_NONE;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(p.epoch, 0);
    f.append_error = E_COORDINATOR_NOT_AVAILABLE;
    assert_int_equal(add(p, "a", 0, 3), E_COORDINATOR_NOT_AVAILABLE);
    check_state("Empty", 0);
    f.append_error = E_NONE;
    assert_int_equal(add(p, "a", 0, 3), E_NONE);
    f.append_error = E_COORDINATOR_NOT_AVAILABLE;
    assert_int_equal(end(&p, true, 4), E_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(f.markers_count, 0);
    check_state("Ongoing", 1);
    // A fence that was not written fences all the same, and is not raised once more.
    assert_int_equal(init(none, &q), E_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(end(&p, true, 4), E_PRODUCER_FENCED);
    assert_int_equal(init(none, &q), E_COORDINATOR_NOT_AVAILABLE);
    f.append_error = E_NONE;
    assert_int_equal(init(none, &q), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(last_markers()->producer_epoch, p.epoch + 1);
    assert_int_equal(marked(), E_NONE);
}

// The order is what Kafka 4.3.1 answered for the same partitions.
static void described_in_kafkas_order(void **state)
{
    (void)state;
    static const struct {
        const char *topic;
        int32_t partition;
    } added[] = {{"z", 1}, {"z", 3}, {"other", 3}, {"other", 0}, {"t-b", 2}, {"t-b", 0}, {"hello.world", 5}};
    struct producer p;
    assert_int_equal(init(none, &p), E_NONE);
    for (size_t i = 0; i < sizeof added / sizeof *added; i++)
        assert_int_equal(add(p, added[i].topic, added[i].partition, 3), E_NONE);
    struct asked a;
    struct str id = STR("t");
    ask(&a, TRANSACTION_DESCRIBE, &id, 0);
    const struct describe_transactions_response_transaction_state *out = a.request.response;
    struct buffer said = BUFFER_INIT;
    for (int32_t i = 0; i < out->topics_count; i++) {
        buffer_printf(&said, "%s%.*s", i ? "; " : "", STR_ARG(out->topics[i].topic));
        for (int32_t k = 0; k < out->topics[i].partitions_count; k++)
            buffer_printf(&said, " %d", out->topics[i].partitions[k]);
    }
    assert_true(
        str_is((struct str){(const char *)said.data, said.size}, "hello.world 5; other 0 3; z 3 1; t-b 2 0"));
    buffer_free(&said);
    arena_free(&a.request.arena);
}

static void refused(void **state)
{
    (void)state;
    struct producer p = {5, 0}, q;
    assert_int_equal(end(&p, true, 4), E_INVALID_PRODUCER_ID_MAPPING);
    assert_int_equal(add(p, "a", 0, 3), E_INVALID_PRODUCER_ID_MAPPING);
    f.config.max_timeout_ms = TIMEOUT_MS - 1;
    assert_int_equal(init(none, &q), E_INVALID_TRANSACTION_TIMEOUT);
    struct coordinator_record junk = {{(const uint8_t *)"\0\0\0\1t", 5}, {(const uint8_t *)"\0\7", 2}};
    transaction_machine.replay(f.state, &junk, 0, -1); // passed over
    junk.key = (struct bytes){(const uint8_t *)"\0\0\0\77", 4};
    transaction_machine.replay(f.state, &junk, 1, -1);
    assert_int_equal(end(&p, true, 4), E_INVALID_PRODUCER_ID_MAPPING);
}

// The records, as Kafka 4.3.1 writes them for the same requests.
static void records(void **state)
{
    (void)state;
    struct producer p, q = none;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(end(&p, false, 5), E_NONE);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(add(p, "a", 0, 4), E_NONE);
    assert_int_equal(init(none, &q), E_CONCURRENT_TRANSACTIONS);
    assert_int_equal(marked(), E_NONE);
    assert_int_equal(init(none, &q), E_NONE);
    assert_int_equal(add(q, "a", 0, 3), E_NONE);
    assert_int_equal(end(&q, true, 4), E_NONE);
    f.feature_level = 0;
    assert_int_equal(marked(), E_NONE);
    static const struct {
        int16_t version, epoch, client_version;
        int8_t status;
        int32_t topics; // -1: null
        int64_t previous;
    } wanted[] = {
        {1, 0, 0, 0, -1, 100}, {1, 1, 2, 3, 0, 100}, {1, 1, 2, 5, 0, 100},  {1, 1, 2, 1, 1, 100},
        {1, 2, 2, 3, 1, 100},  {1, 2, 2, 5, 0, 100}, {1, 3, 2, 0, -1, 100}, {1, 3, 0, 1, 1, 100},
        {1, 3, 0, 2, 1, 100},  {0, 3, 0, 4, 0, -1},
    };
    assert_int_equal(f.log_count, sizeof wanted / sizeof wanted[0]);
    for (size_t i = 0; i < f.log_count; i++) {
        const struct buffer *raw = &f.log[i].value;
        struct transaction_log_value v;
        struct arena arena;
        arena_init(&arena, 0);
        int16_t version = (int16_t)load_be16(raw->data);
        assert_int_equal(version, wanted[i].version);
        assert_int_equal(message_decode(&transaction_log_value_type, version,
                                        (struct bytes){raw->data + 2, raw->size - 2}, &arena, &v, NULL),
                         0);
        assert_int_equal(v.producer_id, 100);
        assert_int_equal(v.previous_producer_id, wanted[i].previous);
        assert_int_equal(v.next_producer_id, -1);
        assert_int_equal(v.producer_epoch, wanted[i].epoch);
        assert_int_equal(v.client_transaction_version, wanted[i].client_version);
        assert_int_equal(v.transaction_status, wanted[i].status);
        assert_int_equal(v.transaction_partitions_count, wanted[i].topics);
        assert_int_equal(v.transaction_start_timestamp_ms >= 0, wanted[i].status != 0);
        arena_free(&arena);
    }
}

static void listed(void **state)
{
    (void)state;
    struct producer p;
    assert_int_equal(init(none, &p), E_NONE);
    assert_int_equal(add(p, "a", 0, 3), E_NONE);
    advance(500);
    struct str ongoing = STR("Ongoing"), empty = STR("Empty");
    int64_t other = p.id + 1;
    const struct {
        struct list_transactions_request q;
        int32_t count;
    } cases[] = {
        {{.duration_filter = -1}, 1},
        {{.duration_filter = 499}, 1},
        {{.duration_filter = 500}, 0},
        {{.duration_filter = -1, .state_filters = &ongoing, .state_filters_count = 1}, 1},
        {{.duration_filter = -1, .state_filters = &empty, .state_filters_count = 1}, 0},
        {{.duration_filter = -1, .producer_id_filters = &p.id, .producer_id_filters_count = 1}, 1},
        {{.duration_filter = -1, .producer_id_filters = &other, .producer_id_filters_count = 1}, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct asked a;
        ask(&a, TRANSACTION_LIST, &cases[i].q, 1);
        const struct list_transactions_response *out = a.request.response;
        assert_int_equal(out->transaction_states_count, cases[i].count);
        arena_free(&a.request.arena);
    }
    assert_true(transaction_state_known(STR("PrepareAbort")));
    assert_false(transaction_state_known(STR("Open")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(commit_with_version_1),
        TEST(each_transaction_has_an_epoch_with_version_2),
        TEST(a_late_end_ends_nothing_else),
        TEST(a_new_producer_fences_the_old),
        TEST(a_producer_goes_on_after_an_error),
        TEST(versions_mix),
        TEST(exhausted_epochs_give_a_new_id),
        TEST(the_last_epoch_only_fences),
        TEST(who_missed_its_new_id_asks_for_it),
        TEST(nobody_goes_on_behind_the_last_epoch),
        TEST(a_new_id_may_come_later),
        TEST(verification),
        TEST(timeouts_abort),
        TEST(ids_expire),
        TEST(many_ids_expire),
        TEST(crashes),
        TEST(failed_appends_change_nothing),
        TEST(described_in_kafkas_order),
        TEST(refused),
        TEST(records),
        TEST(listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
