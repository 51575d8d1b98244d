// The machine of groups without a broker: a clock that is set by hand, a log in memory, appends that fail
// when they are told to.
#ifndef GROUP_FIXTURE_H
#define GROUP_FIXTURE_H

#include "coordinator/group/group.h"
#include "protocol/errors.h"
#include "protocol/messages.h"

#include <stdlib.h>
#include <string.h>

struct logged {
    struct buffer key, value;
    bool tombstone;
    int64_t producer_id;    // of a transaction's record or marker; or -1
    bool marker, committed; // the end of a transaction
};

// One request, and what became of it.
struct asked {
    struct coordinator_request request;
    bool done;
};

struct shard_fixture {
    struct group_config config;
    void *state;
    struct coordinator_now now;
    struct logged *log;
    size_t log_count;
    int16_t append_error; // of every append until it is E_NONE again
    uint64_t ids;         // member ids that were made
    size_t batches;       // that were appended
};

static struct uuid next_id(void *context)
{
    struct shard_fixture *f = context;
    struct uuid id = {{0}};
    store_be64(id.bytes + 8, ++f->ids);
    return id;
}

static void shard_open(struct shard_fixture *f)
{
    *f = (struct shard_fixture){.now = {1000, 1700000000000, 0}};
    f->config =
        (struct group_config){.initial_rebalance_delay_ms = 3000,
                              .min_session_timeout_ms = 6000,
                              .max_session_timeout_ms = 1800000,
                              .max_size = INT32_MAX,
                              .offset_metadata_max_bytes = 4096,
                              .offsets_retention_ms = 7 * 24 * 3600 * INT64_C(1000),
                              .retention_check_interval_ms = 600000,
                              .consumer_assignors = {CONSUMER_ASSIGNOR_UNIFORM, CONSUMER_ASSIGNOR_RANGE},
                              .consumer_assignors_count = 2,
                              .new_id = next_id,
                              .new_id_context = f};
    f->state = group_machine.create(&f->config);
    group_machine.loaded(f->state, f->now);
}

static struct logged *shard_log(struct shard_fixture *f, int64_t producer_id)
{
    f->log = reallocarray(f->log, f->log_count + 1, sizeof *f->log);
    struct logged *l = &f->log[f->log_count++];
    *l = (struct logged){.producer_id = producer_id};
    return l;
}

static void shard_append(struct shard_fixture *f, const struct coordinator_record *r, int64_t producer_id)
{
    struct logged *l = shard_log(f, producer_id);
    l->tombstone = !r->value.data;
    buffer_append(&l->key, r->key.data, r->key.size);
    buffer_append(&l->value, r->value.data, r->value.size);
}

static void shard_execute(struct shard_fixture *f, struct coordinator_effects *effects)
{
    if (effects->records_count > 0) {
        for (size_t i = 0; i < effects->records_count && f->append_error == E_NONE; i++) {
            shard_append(f, &effects->records[i], effects->producer.producer_id);
            if (effects->replay)
                group_machine.replay(f->state, &effects->records[i], (int64_t)f->log_count - 1,
                                     effects->producer.producer_id);
        }
        f->batches += f->append_error == E_NONE;
        group_machine.settle(f->state, f->append_error, f->now, effects);
    }
    struct list *node;
    while ((node = list_pop_front(&effects->answered))) {
        struct coordinator_request *r = container_of(node, struct coordinator_request, node);
        if (r->complete) // the machine's own
            r->complete(r);
        else
            container_of(r, struct asked, request)->done = true;
    }
    coordinator_effects_reset(effects);
}

// Hands a request in; the caller frees it (asked_free) once it is done.
static struct asked *shard_ask_version(struct shard_fixture *f, int kind, const void *message,
                                       int16_t version)
{
    struct asked *a = calloc(1, sizeof *a);
    a->request.kind = kind;
    a->request.message = message;
    a->request.version = version;
    a->request.client_id = STR("client");
    a->request.client_host = STR("/127.0.0.1");
    arena_init(&a->request.arena, 0);
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    do {
        effects.again = false;
        group_machine.step(f->state, &a->request, f->now, &effects);
        shard_execute(f, &effects);
    } while (effects.again);
    coordinator_effects_free(&effects);
    return a;
}

static void asked_free(struct asked *a)
{
    arena_free(&a->request.arena);
    free(a);
}

// A producer's transaction ends.
static inline void shard_end(struct shard_fixture *f, int64_t producer_id, bool committed)
{
    struct logged *l = shard_log(f, producer_id);
    l->marker = true;
    l->committed = committed;
    group_machine.replay_end(f->state, producer_id, committed);
}

// Time passes; what is due on the way fires at its time.
static void shard_advance(struct shard_fixture *f, int64_t ms)
{
    int64_t until = f->now.monotonic_ms + ms;
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    for (;;) {
        int64_t due = group_machine.next_due(f->state), step = due < until ? due : until;
        if (step > f->now.monotonic_ms) {
            f->now.wall_ms += step - f->now.monotonic_ms;
            f->now.monotonic_ms = step;
        }
        if (due > until || !group_machine.tick(f->state, f->now, &effects))
            break;
        shard_execute(f, &effects);
    }
    coordinator_effects_free(&effects);
}

// The state is lost; those who wait get the error.
static void shard_unload(struct shard_fixture *f, int16_t error)
{
    struct coordinator_effects effects;
    coordinator_effects_init(&effects);
    group_machine.unload(f->state, error, &effects);
    shard_execute(f, &effects);
    coordinator_effects_free(&effects);
    group_machine.destroy(f->state);
    f->state = NULL;
}

// A crash: another broker rebuilds the state from the log.
static inline void shard_reload(struct shard_fixture *f)
{
    shard_unload(f, E_NOT_COORDINATOR);
    f->state = group_machine.create(&f->config);
    for (size_t i = 0; i < f->log_count; i++) {
        struct logged *l = &f->log[i];
        if (l->marker) {
            group_machine.replay_end(f->state, l->producer_id, l->committed);
            continue;
        }
        struct coordinator_record r = {{l->key.data, l->key.size}, {l->value.data, l->value.size}};
        if (l->tombstone)
            r.value = BYTES_NULL;
        group_machine.replay(f->state, &r, (int64_t)i, l->producer_id);
    }
    group_machine.loaded(f->state, f->now);
}

static void shard_close(struct shard_fixture *f)
{
    if (f->state)
        shard_unload(f, E_NOT_COORDINATOR);
    for (size_t i = 0; i < f->log_count; i++) {
        buffer_free(&f->log[i].key);
        buffer_free(&f->log[i].value);
    }
    free(f->log);
}

#endif
