// WriteTxnMarkers: the marker of a transaction's end for partitions of this broker, from another broker's
// coordinator, or from kafka-transactions for a transaction that hangs.
#include "base/error.h"
#include "base/java_order.h"
#include "base/map.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/auto_create.h"
#include "server/handlers/handlers.h"
#include "server/markers.h"
#include "server/merged_topics.h"

#include <stdlib.h>

struct writing;

struct marking { // one marker of the request; its targets stand topic by topic
    struct markers markers;
    struct merged_topic *topics;
    int32_t topics_count;
    struct writing *writing;
    struct marking *next, *last; // of the same producer; `last` is of the first one
};

struct writing {
    struct request *request; // NULL once its client has left: what is being written is written all the same
    struct arena arena;
    struct marking *markings;
    int32_t count, left;
    bool spoiled; // every partition is answered UNKNOWN_SERVER_ERROR, whatever became of its marker
};

static void discard(struct writing *w)
{
    arena_free(&w->arena);
    free(w);
}

static void fail(struct marking *m, int16_t error)
{
    for (size_t i = 0; i < m->markers.count; i++)
        m->markers.targets[i].error = error;
}

// The answer: of each producer id one result, however many markers it came with

// The partitions of all of a producer's markers; of one that came with several, the last marker's outcome.
struct outcome {
    struct merged_topics merged;
    struct partition_index targets; // struct marker_target by topic and partition
};

static int count_topics(struct outcome *o, const struct marking *m)
{
    int rc = 0;
    for (int32_t i = 0; i < m->topics_count && rc == 0; i++)
        rc = merged_topics_count(&o->merged, m->topics[i].name, m->topics[i].count);
    return rc;
}

static int take_targets(struct outcome *o, struct marking *m)
{
    struct marker_target *t = m->markers.targets;
    for (int32_t i = 0; i < m->topics_count; i++) {
        if (merged_topics_take(&o->merged, m->topics[i].partitions, m->topics[i].count))
            return ERR_NOMEM;
        for (int32_t k = 0; k < m->topics[i].count; k++, t++) {
            void **slot = partition_index_slot(&o->targets, m->topics[i].name, t->partition);
            if (!slot)
                return ERR_NOMEM;
            *slot = t;
        }
    }
    return 0;
}

static int answer_topic(struct request *r, struct outcome *o, const struct merged_topic *from,
                        struct write_txn_markers_response_writable_txn_marker_topic_result *out)
{
    out->name = from->name;
    out->partitions =
        write_txn_markers_response_writable_txn_marker_partition_result_new(&r->arena, from->count);
    if (!out->partitions)
        return ERR_NOMEM;
    out->partitions_count = from->count;
    for (int32_t k = 0; k < from->count; k++) {
        void **slot = partition_index_slot(&o->targets, from->name, from->partitions[k]);
        if (!slot)
            return ERR_NOMEM;
        const struct marker_target *t = *slot;
        out->partitions[k].partition_index = t->partition;
        out->partitions[k].error_code = t->error;
    }
    return 0;
}

static int fill_result(struct request *r, struct outcome *o, struct marking *first,
                       struct write_txn_markers_response_writable_txn_marker_result *out)
{
    int rc = 0;
    for (const struct marking *m = first; m && rc == 0; m = m->next)
        rc = count_topics(o, m);
    rc = rc ? rc : merged_topics_room(&o->merged);
    for (struct marking *m = first; m && rc == 0; m = m->next)
        rc = take_targets(o, m);
    if (rc)
        return rc;
    out->producer_id = first->markers.marker.producer_id;
    out->topics = write_txn_markers_response_writable_txn_marker_topic_result_new(&r->arena, o->merged.count);
    if (!out->topics)
        return ERR_NOMEM;
    for (int32_t i = 0; i < o->merged.count && rc == 0; i++)
        rc = answer_topic(r, o, &o->merged.topics[i], &out->topics[out->topics_count++]);
    return rc;
}

static int answer_producer(struct writing *w, struct marking *first,
                           struct write_txn_markers_response_writable_txn_marker_result *out)
{
    struct outcome o;
    int32_t topics = 0;
    for (const struct marking *m = first; m; m = m->next)
        topics += m->topics_count;
    partition_index_init(&o.targets, &w->arena);
    int rc = merged_topics_init(&o.merged, &w->arena, topics);
    rc = rc ? rc : fill_result(w->request, &o, first, out);
    merged_topics_free(&o.merged);
    partition_index_free(&o.targets);
    return rc;
}

// The producers that the answer names, each by its first marker, with the others linked to that. Of a request
// that is spoiled, Kafka names the last marker's partitions alone.
static size_t distinct_producers(struct writing *w, struct marking **firsts, int64_t *ids, int *rc)
{
    struct map seen = MAP_INIT;
    size_t count = 0;
    for (int32_t i = 0; i < w->count && *rc == 0; i++) {
        struct marking *m = &w->markings[i];
        if (m->topics_count == 0 && !w->spoiled)
            continue;
        int64_t id = m->markers.marker.producer_id;
        struct marking *first = map_int_get(&seen, (uint64_t)id);
        if (first) {
            if (!w->spoiled)
                first->last->next = m;
            first->last = m;
            continue;
        }
        m->last = m;
        ids[count] = id;
        firsts[count++] = m;
        *rc = map_int_put(&seen, (uint64_t)id, m);
    }
    map_free(&seen);
    return count;
}

static int fill_answer(struct writing *w, struct write_txn_markers_response *out)
{
    struct arena *arena = &w->arena;
    int rc = 0;
    size_t *order;
    int64_t *ids = arena_alloc(arena, ((size_t)w->count + 1) * sizeof *ids);
    struct marking **firsts = arena_zalloc(arena, (size_t)w->count + 1, sizeof(struct marking *));
    out->markers = write_txn_markers_response_writable_txn_marker_result_new(&w->request->arena, w->count);
    if (!ids || !firsts || !out->markers)
        return ERR_NOMEM;
    size_t count = distinct_producers(w, firsts, ids, &rc);
    if (rc == 0)
        rc = w->spoiled ? java_sized_map_order(ids, count, (size_t)w->count, arena, &order)
                        : java_concurrent_map_order(ids, count, arena, &order);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = answer_producer(w, w->spoiled ? firsts[order[i]]->last : firsts[order[i]],
                             &out->markers[out->markers_count++]);
    return rc;
}

static void answer(struct writing *w)
{
    struct request *r = w->request;
    struct write_txn_markers_response out;
    message_init(&write_txn_markers_response_type, &out);
    for (int32_t i = 0; w->spoiled && i < w->count; i++)
        fail(&w->markings[i], E_UNKNOWN_SERVER_ERROR);
    if (fill_answer(w, &out))
        request_close(r, "out of memory for the response to WriteTxnMarkers");
    else
        request_respond(r, &out);
}

static void on_written(struct markers *m)
{
    struct writing *w = container_of(m, struct marking, markers)->writing;
    if (--w->left > 0)
        return;
    if (w->request)
        answer(w);
    discard(w);
}

static void on_abandoned(struct markers *m)
{
    struct writing *w = container_of(m, struct marking, markers)->writing;
    if (--w->left == 0)
        discard(w);
}

static void on_cancel(struct request *r)
{
    struct writing *w = r->parked;
    w->request = NULL;
}

static int merge(struct arena *arena, const struct write_txn_markers_request_writable_txn_marker *q,
                 struct merged_topics *merged)
{
    int rc = merged_topics_init(merged, arena, q->topics_count);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        rc = merged_topics_count(merged, arena_str(arena, q->topics[i].name),
                                 q->topics[i].partition_indexes_count);
    rc = rc ? rc : merged_topics_room(merged);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        rc = merged_topics_take(merged, q->topics[i].partition_indexes, q->topics[i].partition_indexes_count);
    merged_topics_free(merged);
    return rc;
}

static int take(struct writing *w, struct marking *m,
                const struct write_txn_markers_request_writable_txn_marker *q)
{
    struct merged_topics merged;
    int rc = merge(&w->arena, q, &merged);
    struct marker_target *targets =
        rc ? NULL : arena_zalloc(&w->arena, (size_t)merged.partitions_count + 1, sizeof *targets);
    if (!targets)
        return ERR_NOMEM;
    *m = (struct marking){.topics = merged.topics, .topics_count = merged.count, .writing = w};
    m->markers = (struct markers){.broker = broker_of(w->request),
                                  .loop = &w->request->reactor->loop,
                                  .marker = {.producer_id = q->producer_id,
                                             .producer_epoch = q->producer_epoch,
                                             .coordinator_epoch = q->coordinator_epoch,
                                             .committed = q->transaction_result,
                                             .transaction_version = q->transaction_version},
                                  .targets = targets,
                                  .done = on_written,
                                  .abandon = on_abandoned};
    for (int32_t i = 0; i < merged.count; i++)
        for (int32_t k = 0; k < merged.topics[i].count; k++)
            targets[m->markers.count++] = (struct marker_target){.topic = merged.topics[i].name,
                                                                 .partition = merged.topics[i].partitions[k]};
    return 0;
}

static struct writing *writing_new(struct request *r)
{
    const struct write_txn_markers_request *q = r->message;
    struct writing *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->request = r;
    w->count = w->left = q->markers_count;
    arena_init(&w->arena, 0);
    w->markings = arena_zalloc(&w->arena, (size_t)w->count + 1, sizeof *w->markings);
    int rc = w->markings ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < w->count && rc == 0; i++)
        rc = take(w, &w->markings[i], &q->markers[i]);
    if (rc == 0)
        return w;
    discard(w);
    return NULL;
}

// Markers that no producer can have

static bool is_nonsense(const struct marking *m)
{
    return m->markers.marker.producer_epoch < 0 || m->markers.marker.producer_id < 0;
}

// As in Kafka the coordinator of groups refuses the marker, while one for any other partition that exists
// spoils the whole request, though not what stands before it.
static bool spoils(const struct marking *m)
{
    bool any = false;
    for (size_t i = 0; is_nonsense(m) && !any && i < m->markers.count; i++) {
        const struct marker_target *t = &m->markers.targets[i];
        any = !str_is(t->topic, GROUP_TOPIC) && marker_target_exists(t);
    }
    return any;
}

static bool refuse_nonsense(struct marking *m)
{
    for (size_t i = 0; i < m->markers.count; i++) {
        struct marker_target *t = &m->markers.targets[i];
        t->error = marker_target_exists(t) ? E_UNKNOWN_SERVER_ERROR : E_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return true;
}

static void write_all(struct writing *w)
{
    int32_t left = w->left;
    for (int32_t i = 0; i < w->count; i++) {
        struct marking *m = &w->markings[i];
        w->spoiled = w->spoiled || spoils(m);
        left -= w->spoiled || (is_nonsense(m) ? refuse_nonsense(m) : markers_write(&m->markers));
    }
    w->left = left;
}

static void handle_write_txn_markers(struct request *r)
{
    struct writing *w = writing_new(r);
    if (!w) {
        request_close(r, "out of memory for WriteTxnMarkers");
        return;
    }
    if (!request_authorize(r, ACL_ALTER, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME) &&
        !request_authorize(r, ACL_CLUSTER_ACTION, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME)) {
        for (int32_t i = 0; i < w->count; i++)
            fail(&w->markings[i], E_CLUSTER_AUTHORIZATION_FAILED);
        w->left = 0;
    } else {
        write_all(w);
    }
    if (w->left > 0) {
        request_park(r, PARK_STALL, on_cancel, w);
        return;
    }
    answer(w);
    discard(w);
}

const struct api_handler write_txn_markers_handler = {.api_key = 27,
                                                      .min_version = 1,
                                                      .max_version = 2,
                                                      .advertised_min_version = -1,
                                                      .listeners = LISTENER_BROKER,
                                                      .handle = handle_write_txn_markers};
