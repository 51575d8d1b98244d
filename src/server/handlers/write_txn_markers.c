// WriteTxnMarkers: the marker of a transaction's end for partitions of this broker, from another broker's
// coordinator, or from kafka-transactions for a transaction that hangs.
#include "base/error.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
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
};

struct writing {
    struct request *request; // NULL once its client has left: what is being written is written all the same
    struct arena arena;
    struct marking *markings;
    int32_t count, left;
};

static void discard(struct writing *w)
{
    arena_free(&w->arena);
    free(w);
}

static int answer_marking(struct request *r, const struct marking *m,
                          struct write_txn_markers_response_writable_txn_marker_result *out)
{
    const struct marker_target *t = m->markers.targets;
    out->producer_id = m->markers.marker.producer_id;
    out->topics = write_txn_markers_response_writable_txn_marker_topic_result_new(&r->arena, m->topics_count);
    if (!out->topics)
        return ERR_NOMEM;
    out->topics_count = m->topics_count;
    for (int32_t i = 0; i < m->topics_count; i++) {
        struct write_txn_markers_response_writable_txn_marker_topic_result *topic = &out->topics[i];
        topic->name = m->topics[i].name;
        topic->partitions = write_txn_markers_response_writable_txn_marker_partition_result_new(
            &r->arena, m->topics[i].count);
        if (!topic->partitions)
            return ERR_NOMEM;
        topic->partitions_count = m->topics[i].count;
        for (int32_t k = 0; k < topic->partitions_count; k++, t++) {
            topic->partitions[k].partition_index = t->partition;
            topic->partitions[k].error_code = t->error;
        }
    }
    return 0;
}

static void answer(struct writing *w)
{
    struct request *r = w->request;
    struct write_txn_markers_response out;
    message_init(&write_txn_markers_response_type, &out);
    out.markers = write_txn_markers_response_writable_txn_marker_result_new(&r->arena, w->count);
    int rc = out.markers ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < w->count && rc == 0; i++)
        if (w->markings[i].topics_count > 0)
            rc = answer_marking(r, &w->markings[i], &out.markers[out.markers_count++]);
    if (rc)
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

// No producer has them. As in Kafka, they spoil the whole request.
static bool is_nonsense(const struct writing *w)
{
    for (int32_t i = 0; i < w->count; i++) {
        const struct markers *m = &w->markings[i].markers;
        if (m->count > 0 && (m->marker.producer_epoch < 0 || m->marker.producer_id < 0))
            return true;
    }
    return false;
}

static void refuse(struct writing *w, int16_t error)
{
    for (int32_t i = 0; i < w->count; i++)
        for (size_t k = 0; k < w->markings[i].markers.count; k++)
            w->markings[i].markers.targets[k].error = error;
    w->left = 0;
}

static void handle_write_txn_markers(struct request *r)
{
    struct writing *w = writing_new(r);
    if (!w) {
        request_close(r, "out of memory for WriteTxnMarkers");
        return;
    }
    if (!request_authorize(r, ACL_ALTER, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME) &&
        !request_authorize(r, ACL_CLUSTER_ACTION, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME))
        refuse(w, E_CLUSTER_AUTHORIZATION_FAILED);
    else if (is_nonsense(w))
        refuse(w, E_UNKNOWN_SERVER_ERROR);
    for (int32_t i = 0; i < w->count && w->left > 0; i++)
        w->left -= markers_write(&w->markings[i].markers);
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
