// AlterPartitionReassignments, which the controller decides, and ListPartitionReassignments (KIP-455).
#include "base/error.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/forward.h"
#include "server/handlers/handlers.h"

static bool refuse_topic(struct request *r,
                         const struct alter_partition_reassignments_request_reassignable_topic *q,
                         int16_t error,
                         struct alter_partition_reassignments_response_reassignable_topic_response *out)
{
    out->name = q->name;
    out->partitions = alter_partition_reassignments_response_reassignable_partition_response_new(
        &r->arena, q->partitions_count);
    if (!out->partitions)
        return false;
    out->partitions_count = q->partitions_count;
    for (int32_t i = 0; i < q->partitions_count; i++) {
        out->partitions[i].partition_index = q->partitions[i].partition_index;
        out->partitions[i].error_code = error;
        out->partitions[i].error_message = refusal_text(error);
    }
    return true;
}

static void refuse_alter(struct request *r, int16_t error)
{
    const struct alter_partition_reassignments_request *q = r->message;
    struct alter_partition_reassignments_response out;
    message_init(&alter_partition_reassignments_response_type, &out);
    out.error_code = error;
    out.error_message = refusal_text(error);
    out.responses =
        alter_partition_reassignments_response_reassignable_topic_response_new(&r->arena, q->topics_count);
    bool filled = out.responses;
    for (int32_t i = 0; i < q->topics_count && filled; i++)
        filled = refuse_topic(r, &q->topics[i], error, &out.responses[out.responses_count++]);
    if (filled)
        request_respond(r, &out);
    else
        request_close(r, "out of memory for the response to AlterPartitionReassignments");
}

static void handle_alter(struct request *r)
{
    const struct alter_partition_reassignments_request *q = r->message;
    if (!request_authorize(r, ACL_ALTER, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME))
        refuse_alter(r, E_CLUSTER_AUTHORIZATION_FAILED);
    else if (q->topics_count == 0) // nothing to do takes no time
        forward_to_controller(r, refuse_alter);
    else
        forward_in_time(r, q->timeout_ms, refuse_alter);
}

const struct api_handler alter_partition_reassignments_handler = {.api_key = 45,
                                                                  .min_version = 0,
                                                                  .max_version = 1,
                                                                  .advertised_min_version = -1,
                                                                  .listeners =
                                                                      LISTENER_BROKER | LISTENER_CONTROLLER,
                                                                  .worker_bytes = HEAVY_REQUEST_BYTES,
                                                                  .handle = handle_alter};

// --- ListPartitionReassignments ---

static void list_partition(const struct image_partition *p,
                           struct list_partition_reassignments_response_ongoing_topic_reassignment *out)
{
    if (!p || (!p->adding_count && !p->removing_count))
        return;
    // The image's own lists: it outlives the encoding.
    struct list_partition_reassignments_response_ongoing_partition_reassignment *one =
        &out->partitions[out->partitions_count++];
    one->partition_index = p->id;
    one->replicas = p->replicas;
    one->replicas_count = (int32_t)p->replicas_count;
    one->adding_replicas = p->adding;
    one->adding_replicas_count = (int32_t)p->adding_count;
    one->removing_replicas = p->removing;
    one->removing_replicas_count = (int32_t)p->removing_count;
}

// A topic where nothing goes on is not told.
static int list_topic(struct request *r, struct list_partition_reassignments_response *response,
                      const struct image_topic *topic, const int32_t *indexes, int32_t count)
{
    if (!topic)
        return 0;
    struct list_partition_reassignments_response_ongoing_topic_reassignment *out =
        &response->topics[response->topics_count];
    out->name = topic->name;
    out->partitions =
        list_partition_reassignments_response_ongoing_partition_reassignment_new(&r->arena, count);
    if (!out->partitions)
        return ERR_NOMEM;
    for (int32_t i = 0; i < count; i++)
        list_partition(image_partition(topic, indexes ? indexes[i] : i), out);
    response->topics_count += out->partitions_count > 0;
    return 0;
}

static bool reassigns(const struct image_topic *topic)
{
    for (uint32_t i = 0; i < topic->partitions_count; i++)
        if (topic->partitions[i]->adding_count || topic->partitions[i]->removing_count)
            return true;
    return false;
}

static int list(struct request *r, struct list_partition_reassignments_response *out)
{
    const struct list_partition_reassignments_request *q = r->message;
    const struct image *image = image_current();
    int32_t room = q->topics_count < 0 ? (int32_t)image_topics_count(image) : q->topics_count;
    out->topics = list_partition_reassignments_response_ongoing_topic_reassignment_new(&r->arena, room);
    int rc = out->topics ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        rc = list_topic(r, out, image_topic(image, q->topics[i].name), q->topics[i].partition_indexes,
                        q->topics[i].partition_indexes_count);
    struct hamt_walk w = hamt_walk(&image->topics_by_name);
    for (const struct image_topic *t; q->topics_count < 0 && rc == 0 && (t = hamt_next(&w));)
        if (reassigns(t))
            rc = list_topic(r, out, t, NULL, (int32_t)t->partitions_count);
    return rc;
}

static void handle_list(struct request *r)
{
    struct list_partition_reassignments_response out;
    message_init(&list_partition_reassignments_response_type, &out);
    out.error_message = STR_NULL;
    if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_CLUSTER, CLUSTER_RESOURCE_NAME)) {
        out.error_code = E_CLUSTER_AUTHORIZATION_FAILED;
        out.error_message = str_from(error_code_message(out.error_code));
    } else if (list(r, &out)) {
        request_close(r, "out of memory for the response to ListPartitionReassignments");
        return;
    }
    request_respond(r, &out);
}

const struct api_handler list_partition_reassignments_handler = {.api_key = 46,
                                                                 .min_version = 0,
                                                                 .max_version = 0,
                                                                 .advertised_min_version = -1,
                                                                 .listeners =
                                                                     LISTENER_BROKER | LISTENER_CONTROLLER,
                                                                 .worker_bytes = HEAVY_REQUEST_BYTES,
                                                                 .handle = handle_list};
