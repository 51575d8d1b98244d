// DeleteRecords: partitions start at a later offset. Answered when the new starts are on disk.
#include "metadata/image.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/broker.h"
#include "server/cold_logs.h"
#include "server/handlers/handlers.h"
#include "server/partition_index.h"
#include "server/topic_groups.h"

#define NO_WATERMARK (-1)

// A partition that the request names; the last offset of one that it names several times counts.
struct deletion {
    struct str topic;
    struct delete_records_response_delete_records_partition_result *result;
    int64_t offset;
};

struct delete_records {
    struct request *request;
    struct delete_records_response response;
    struct deletion *deletions;
    int32_t count;
    struct log_start_save save;
    struct task saved;
    int rc; // of the save
    bool cancelled;
};

static int take_topic(struct delete_records *d, const struct delete_records_request_delete_records_topic *q,
                      struct delete_records_response_delete_records_topic_result *out,
                      struct partition_index *seen)
{
    for (int32_t i = 0; i < q->partitions_count; i++) {
        void **slot = partition_index_slot(seen, q->name, q->partitions[i].partition_index);
        if (!slot)
            return ERR_NOMEM;
        struct deletion *one = *slot;
        if (!one) {
            *slot = one = &d->deletions[d->count++];
            one->topic = q->name;
            one->result = &out->partitions[out->partitions_count++];
            one->result->partition_index = q->partitions[i].partition_index;
        }
        one->offset = q->partitions[i].offset;
    }
    return 0;
}

// The answer's frame: each topic and each partition once.
static int frame_answer(struct delete_records *d, const struct delete_records_request *q)
{
    struct arena *arena = &d->request->arena;
    struct topic_groups groups;
    struct partition_index seen;
    int rc = topic_groups_init(&groups, arena, q->topics_count);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        rc = topic_groups_add(&groups, q->topics[i].name, q->topics[i].partitions_count);
    d->deletions = arena_zalloc(arena, (size_t)groups.partitions_count + 1, sizeof *d->deletions);
    d->response.topics = delete_records_response_delete_records_topic_result_new(arena, groups.count);
    if (rc || !d->deletions || !d->response.topics)
        rc = ERR_NOMEM;
    for (int32_t i = 0; i < groups.count && rc == 0; i++) {
        struct delete_records_response_delete_records_topic_result *t = &d->response.topics[i];
        t->name = groups.groups[i].name;
        t->partitions = delete_records_response_delete_records_partition_result_new(
            arena, groups.groups[i].partitions_count);
        rc = t->partitions ? 0 : ERR_NOMEM;
    }
    partition_index_init(&seen, arena);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        if (groups.of[i] >= 0)
            rc = take_topic(d, &q->topics[i], &d->response.topics[groups.of[i]], &seen);
    d->response.topics_count = rc ? 0 : groups.count;
    partition_index_free(&seen);
    topic_groups_free(&groups);
    return rc;
}

static int16_t delete_one(struct delete_records *d, const struct deletion *one)
{
    const struct image_topic *topic = image_topic(image_current(), one->topic);
    int16_t error;
    if (!request_authorize(d->request, ACL_DELETE, RESOURCE_TOPIC, one->topic))
        return E_TOPIC_AUTHORIZATION_FAILED;
    if (!topic || !image_partition(topic, one->result->partition_index))
        return E_UNKNOWN_TOPIC_OR_PARTITION;
    if (topic_is_internal(one->topic))
        return E_INVALID_TOPIC_EXCEPTION;
    struct partition *p =
        replica_manager_find(broker_of(d->request)->replicas, topic, one->result->partition_index, &error);
    if (p)
        error = partition_delete_records(p, one->offset, &one->result->low_watermark);
    partition_unref(p);
    return error;
}

static void finish(struct delete_records *d)
{
    for (int32_t i = 0; d->rc && i < d->count; i++) {
        if (d->deletions[i].result->error_code != E_NONE)
            continue;
        d->deletions[i].result->error_code = E_KAFKA_STORAGE_ERROR;
        d->deletions[i].result->low_watermark = NO_WATERMARK;
    }
    request_respond(d->request, &d->response);
}

static void on_saved(struct task *task)
{
    finish(container_of(task, struct delete_records, saved));
}

// On the log manager's thread.
static void on_save_done(struct log_start_save *save, int rc)
{
    struct delete_records *d = container_of(save, struct delete_records, save);
    d->rc = rc;
    reactor_post(d->request->reactor, &d->saved);
}

static void on_cancel(struct request *r)
{
    struct delete_records *d = r->parked;
    d->cancelled = true;
    log_manager_save_cancel(broker_of(r)->logs, &d->save);
    reactor_cancel(r->reactor, &d->saved);
}

static void save(void *context)
{
    struct delete_records *d = context;
    if (!d->cancelled)
        log_manager_save_start(broker_of(d->request)->logs, &d->save);
}

static void handle_delete_records(struct request *r)
{
    struct delete_records *d = arena_zalloc(&r->arena, 1, sizeof *d);
    bool any = false;
    if (d) {
        *d = (struct delete_records){.request = r, .saved = TASK_INIT(on_saved), .save.done = on_save_done};
        message_init(&delete_records_response_type, &d->response);
    }
    if (!d || frame_answer(d, r->message)) {
        request_close(r, "out of memory for the response to DeleteRecords");
        return;
    }
    for (int32_t i = 0; i < d->count; i++) {
        d->deletions[i].result->low_watermark = NO_WATERMARK;
        d->deletions[i].result->error_code = delete_one(d, &d->deletions[i]);
        any |= d->deletions[i].result->error_code == E_NONE;
    }
    if (!any) {
        request_respond(r, &d->response);
        return;
    }
    // Moved in memory already: what follows on this connection sees it.
    list_init(&d->save.node);
    request_park(r, PARK_OVERTAKE, on_cancel, d);
    request_then(r, save, d);
}

static void name_cut(const struct request *r, struct cold_logs *cold)
{
    const struct delete_records_request *q = r->message;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct image_topic *topic = image_topic(image_current(), q->topics[i].name);
        for (int32_t k = 0; k < q->topics[i].partitions_count; k++)
            cold_logs_add(cold, topic, q->topics[i].partitions[k].partition_index);
    }
}

const struct api_handler delete_records_handler = {.api_key = 21,
                                                   .min_version = 0,
                                                   .max_version = 2,
                                                   .advertised_min_version = -1,
                                                   .listeners = LISTENER_BROKER,
                                                   .cold_logs = name_cut,
                                                   .handle = handle_delete_records};
