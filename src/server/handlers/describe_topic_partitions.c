// DescribeTopicPartitions (KIP-966): topics by name, a page at a time.
#include "base/error.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/authorized_operations.h"
#include "server/broker.h"
#include "server/handlers/handlers.h"
#include "server/handlers/offline_replicas.h"
#include "server/live_config.h"

#include <stdlib.h>

struct page {
    struct request *request;
    const struct describe_topic_partitions_request *message;
    const struct image *image;
    struct describe_topic_partitions_response response;
    struct str *names; // sorted, each once, from the cursor's topic on
    int32_t count;
    int32_t remaining; // partitions that still fit
};

static int compare_names(const void *a, const void *b)
{
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static bool before_cursor(const struct page *p, struct str name)
{
    return p->message->cursor && str_compare(name, p->message->cursor->topic_name) < 0;
}

static int collect_all(struct page *p)
{
    p->names = arena_alloc(&p->request->arena, (image_topics_count(p->image) + 1) * sizeof *p->names);
    if (!p->names)
        return ERR_NOMEM;
    struct hamt_walk w = hamt_walk(&p->image->topics_by_name);
    for (const struct image_topic *t; (t = hamt_next(&w));)
        if (!before_cursor(p, t->name) &&
            request_authorize(p->request, ACL_DESCRIBE, RESOURCE_TOPIC, t->name))
            p->names[p->count++] = t->name;
    qsort(p->names, (size_t)p->count, sizeof *p->names, compare_names);
    return 0;
}

static int collect_named(struct page *p)
{
    const struct describe_topic_partitions_request *q = p->message;
    int32_t kept = 0;
    p->names = arena_alloc(&p->request->arena, ((size_t)q->topics_count + 1) * sizeof *p->names);
    if (!p->names)
        return ERR_NOMEM;
    for (int32_t i = 0; i < q->topics_count; i++)
        if (!before_cursor(p, q->topics[i].name))
            p->names[p->count++] = q->topics[i].name;
    qsort(p->names, (size_t)p->count, sizeof *p->names, compare_names);
    for (int32_t i = 0; i < p->count; i++)
        if (i == 0 || !str_equal(p->names[i], p->names[kept - 1]))
            p->names[kept++] = p->names[i];
    p->count = kept;
    return 0;
}

// The cursor must point into the list.
static bool acceptable(const struct page *p)
{
    const struct describe_topic_partitions_request_cursor *cursor = p->message->cursor;
    if (!cursor)
        return true;
    bool listed =
        p->message->topics_count == 0 || (p->count > 0 && str_equal(p->names[0], cursor->topic_name));
    return listed && cursor->partition_index >= 0;
}

static int refuse(struct page *p, int16_t error)
{
    const struct describe_topic_partitions_request *q = p->message;
    struct describe_topic_partitions_response *out = &p->response;
    for (int32_t i = 0; i < q->topics_count; i++) {
        out->topics[i].name = q->topics[i].name;
        out->topics[i].error_code = error;
    }
    out->topics_count = q->topics_count;
    return 0;
}

static int
fill_partition(struct page *p, const struct image_partition *from,
               struct describe_topic_partitions_response_describe_topic_partitions_response_partition *out)
{
    // The image's own lists: it outlives the encoding.
    out->partition_index = from->id;
    out->leader_id = image_broker(p->image, from->leader) ? from->leader : IMAGE_NO_LEADER;
    out->leader_epoch = from->leader_epoch;
    out->replica_nodes = from->replicas;
    out->replica_nodes_count = (int32_t)from->replicas_count;
    out->isr_nodes = from->isr;
    out->isr_nodes_count = (int32_t)from->isr_count;
    out->eligible_leader_replicas = from->elr;
    out->eligible_leader_replicas_count = (int32_t)from->elr_count;
    out->last_known_elr = from->last_known_elr;
    out->last_known_elr_count = (int32_t)from->last_known_elr_count;
    return offline_replicas(p->image, from, &p->request->arena, &out->offline_replicas,
                            &out->offline_replicas_count);
}

static void set_cursor(struct page *p, struct str name, int32_t partition)
{
    struct describe_topic_partitions_response_cursor *next =
        arena_zalloc(&p->request->arena, 1, sizeof *next);
    p->response.next_cursor = next;
    if (!next)
        return;
    next->topic_name = name;
    next->partition_index = partition;
}

// 0: the page goes on; 1: it is full.
static int fill_topic(struct page *p, const struct image_topic *topic,
                      struct describe_topic_partitions_response_describe_topic_partitions_response_topic *out)
{
    const struct describe_topic_partitions_request_cursor *cursor = p->message->cursor;
    int32_t all = (int32_t)topic->partitions_count;
    int32_t from = cursor && str_equal(cursor->topic_name, topic->name) ? cursor->partition_index : 0;
    // A cursor near the largest number goes round, as in Kafka.
    int32_t end = (int32_t)((uint32_t)from + (uint32_t)p->remaining);
    end = end < all ? end : all;
    int32_t count = end > from ? end - from : 0;
    out->topic_id = topic->id;
    out->partitions = describe_topic_partitions_response_describe_topic_partitions_response_partition_new(
        &p->request->arena, count);
    if (!out->partitions)
        return ERR_NOMEM;
    out->partitions_count = count;
    for (int32_t i = 0; i < count; i++)
        if (fill_partition(p, topic->partitions[from + i], &out->partitions[i]))
            return ERR_NOMEM;
    p->remaining -= count;
    if (end == all)
        return 0;
    set_cursor(p, topic->name, end);
    return 1;
}

static int fill_one(struct page *p, struct str name)
{
    const struct image_topic *topic = image_topic(p->image, name);
    struct describe_topic_partitions_response_describe_topic_partitions_response_topic *out =
        &p->response.topics[p->response.topics_count];
    if (p->remaining == 0) {
        set_cursor(p, name, 0);
        return 1;
    }
    p->response.topics_count++;
    out->name = name;
    if (!request_authorize(p->request, ACL_DESCRIBE, RESOURCE_TOPIC, name)) {
        out->error_code = E_TOPIC_AUTHORIZATION_FAILED;
        return 0;
    }
    out->is_internal = topic_is_internal(name);
    out->topic_authorized_operations = authorized_topic_operations(p->request, name);
    if (topic)
        return fill_topic(p, topic, out);
    out->error_code = topic_name_problem(name, &p->request->arena).data ? E_INVALID_TOPIC_EXCEPTION
                                                                        : E_UNKNOWN_TOPIC_OR_PARTITION;
    return 0;
}

static int build(struct page *p)
{
    int rc = p->message->topics_count ? collect_named(p) : collect_all(p);
    if (rc)
        return rc;
    int32_t room = p->count > p->message->topics_count ? p->count : p->message->topics_count;
    p->response.topics = describe_topic_partitions_response_describe_topic_partitions_response_topic_new(
        &p->request->arena, room);
    if (!p->response.topics)
        return ERR_NOMEM;
    if (!acceptable(p))
        return refuse(p, E_INVALID_REQUEST);
    // Without a cursor Kafka takes the empty name for the cursor's, and stumbles.
    if (!p->message->cursor && p->count && p->names[0].size == 0)
        return refuse(p, E_UNKNOWN_SERVER_ERROR);
    int32_t limit = broker_config_now(broker_of(p->request))->max_request_partition_size_limit;
    p->remaining =
        p->message->response_partition_limit < limit ? p->message->response_partition_limit : limit;
    p->remaining = p->remaining < 1 ? 1 : p->remaining;
    for (int32_t i = 0; i < p->count && rc == 0; i++)
        rc = fill_one(p, p->names[i]);
    return rc < 0 ? rc : 0;
}

static void handle_describe_topic_partitions(struct request *r)
{
    struct page p = {.request = r, .message = r->message, .image = image_current()};
    message_init(&describe_topic_partitions_response_type, &p.response);
    if (build(&p))
        request_close(r, "out of memory for the response to DescribeTopicPartitions");
    else
        request_respond(r, &p.response);
}

const struct api_handler describe_topic_partitions_handler = {.api_key = 75,
                                                              .min_version = 0,
                                                              .max_version = 0,
                                                              .advertised_min_version = -1,
                                                              .listeners = LISTENER_BROKER,
                                                              .worker_bytes = 1,
                                                              .handle = handle_describe_topic_partitions};
