// Metadata and DescribeCluster: what the image says, as the request's listener reaches it.
#include "base/error.h"
#include "base/map.h"
#include "metadata/image.h"
#include "metadata/topic_name.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/authorized_operations.h"
#include "server/broker.h"
#include "server/handlers/auto_create.h"
#include "server/handlers/handlers.h"
#include "server/handlers/offline_replicas.h"
#include "server/handlers/topic_order.h"
#include "server/quorum.h"

#include <stdlib.h>

#define TOPIC_ID_VERSION     12 // requests may name topics by id
#define ENDPOINT_BROKERS     1
#define ENDPOINT_CONTROLLERS 2

#define ENDPOINT_TYPE_VERSION 1

// An answer about more partitions than this takes too long for a reactor: a worker makes it.
#define PARTITIONS_ON_REACTOR 500

struct metadata {
    struct request *request;
    const struct metadata_request *message;
    const struct image *image;
    struct metadata_response response;
    struct str *to_create; // names that are not there and may be made
    size_t to_create_count;
};

static bool broker_alive(const struct image *image, int32_t id)
{
    const struct image_broker *b = image_broker(image, id);
    return b && !b->fenced;
}

// Brokers

static int fill_brokers(struct metadata *m)
{
    struct arena *arena = &m->request->arena;
    struct metadata_response *out = &m->response;
    out->brokers = metadata_response_metadata_response_broker_new(arena, (int32_t)m->image->brokers_count);
    if (!out->brokers)
        return ERR_NOMEM;
    struct str listener = str_from(request_listener(m->request)->name);
    for (uint32_t i = 0; i < m->image->brokers_count; i++) {
        const struct image_broker *b = m->image->brokers[i];
        const struct image_endpoint *e = b->fenced ? NULL : image_broker_endpoint(b, listener);
        if (!e)
            continue;
        struct metadata_response_metadata_response_broker *o = &out->brokers[out->brokers_count++];
        o->node_id = b->id;
        o->host = e->host;
        o->port = e->port;
        o->rack = b->rack;
        if (out->controller_id < 0 || b->id == broker_of(m->request)->config->node_id)
            out->controller_id = b->id; // any live broker passes what is the controller's on to it
    }
    return 0;
}

// Topics

static int fill_partition(struct metadata *m, const struct image_partition *p,
                          struct metadata_response_metadata_response_partition *out)
{
    out->partition_index = p->id;
    out->leader_id = p->leader;
    out->leader_epoch = p->leader_epoch;
    if (p->leader == IMAGE_NO_LEADER || !broker_alive(m->image, p->leader)) {
        out->error_code = E_LEADER_NOT_AVAILABLE;
        out->leader_id = -1;
    }
    // The image's own lists: it outlives the encoding.
    out->replica_nodes = p->replicas;
    out->replica_nodes_count = (int32_t)p->replicas_count;
    out->isr_nodes = p->isr;
    out->isr_nodes_count = (int32_t)p->isr_count;
    return offline_replicas(m->image, p, &m->request->arena, &out->offline_replicas,
                            &out->offline_replicas_count);
}

static int fill_topic(struct metadata *m, const struct image_topic *topic,
                      struct metadata_response_metadata_response_topic *out)
{
    out->name = topic->name;
    out->topic_id = topic->id;
    out->is_internal = topic_is_internal(topic->name);
    if (m->message->include_topic_authorized_operations)
        out->topic_authorized_operations = authorized_topic_operations(m->request, topic->name);
    out->partitions = metadata_response_metadata_response_partition_new(&m->request->arena,
                                                                        (int32_t)topic->partitions_count);
    if (!out->partitions)
        return ERR_NOMEM;
    out->partitions_count = (int32_t)topic->partitions_count;
    for (uint32_t i = 0; i < topic->partitions_count; i++)
        if (fill_partition(m, topic->partitions[i], &out->partitions[i]))
            return ERR_NOMEM;
    return 0;
}

static void fill_missing(struct metadata *m, struct str name,
                         struct metadata_response_metadata_response_topic *out)
{
    out->name = name;
    out->is_internal = topic_is_internal(name);
    if (m->message->include_topic_authorized_operations)
        out->topic_authorized_operations = authorized_topic_operations(m->request, name);
    if (topic_name_problem(name, &m->request->arena).data) {
        out->error_code = E_INVALID_TOPIC_EXCEPTION;
        return;
    }
    out->error_code = E_UNKNOWN_TOPIC_OR_PARTITION;
    if (m->message->allow_auto_topic_creation && broker_of(m->request)->config->auto_create_topics)
        m->to_create[m->to_create_count++] = name;
}

static int fill_all_topics(struct metadata *m)
{
    struct metadata_response *out = &m->response;
    out->topics = metadata_response_metadata_response_topic_new(&m->request->arena,
                                                                (int32_t)image_topics_count(m->image));
    if (!out->topics)
        return ERR_NOMEM;
    struct hamt_walk w = hamt_walk(&m->image->topics_by_name);
    for (const struct image_topic *t; (t = hamt_next(&w));) {
        if (request_authorize(m->request, ACL_DESCRIBE, RESOURCE_TOPIC, t->name) &&
            fill_topic(m, t, &out->topics[out->topics_count++]))
            return ERR_NOMEM;
    }
    return 0;
}

static int fill_by_name(struct metadata *m, struct str name)
{
    struct metadata_response_metadata_response_topic *out = &m->response.topics[m->response.topics_count++];
    if (!request_authorize(m->request, ACL_DESCRIBE, RESOURCE_TOPIC, name)) {
        out->name = name;
        out->error_code = E_TOPIC_AUTHORIZATION_FAILED;
        return 0;
    }
    const struct image_topic *topic = image_topic(m->image, name);
    if (topic)
        return fill_topic(m, topic, out);
    fill_missing(m, name, out);
    return 0;
}

static int fill_by_id(struct metadata *m, const struct uuid *id)
{
    struct metadata_response_metadata_response_topic *out = &m->response.topics[m->response.topics_count++];
    const struct image_topic *topic = image_topic_by_id(m->image, id);
    if (topic && request_authorize(m->request, ACL_DESCRIBE, RESOURCE_TOPIC, topic->name))
        return fill_topic(m, topic, out);
    out->name = STR_NULL;
    out->topic_id = *id;
    out->error_code = topic ? E_TOPIC_AUTHORIZATION_FAILED : E_UNKNOWN_TOPIC_ID;
    return 0;
}

// The topics that the request names, each once. As soon as one is named by its id, names do not count.
static int fill_named_topics(struct metadata *m)
{
    const struct metadata_request *q = m->message;
    struct arena *arena = &m->request->arena;
    m->response.topics = metadata_response_metadata_response_topic_new(arena, q->topics_count);
    m->to_create = arena_zalloc(arena, (size_t)q->topics_count, sizeof *m->to_create);
    if (!m->response.topics || !m->to_create)
        return ERR_NOMEM;
    bool by_id = false;
    for (int32_t i = 0; i < q->topics_count; i++)
        by_id |= !uuid_is_zero(&q->topics[i].topic_id);
    struct map seen = MAP_INIT;
    int rc = 0;
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++) {
        const struct uuid *id = &q->topics[i].topic_id;
        struct str key = by_id ? (struct str){(const char *)id->bytes, sizeof id->bytes} : q->topics[i].name;
        if (!key.data || (by_id && uuid_is_zero(id)) || map_get(&seen, key))
            continue;
        rc = map_put(&seen, key, m);
        if (rc == 0)
            rc = by_id ? fill_by_id(m, id) : fill_by_name(m, key);
    }
    map_free(&seen);
    return rc;
}

// Puts the topics in the order in which Kafka lists them.
static int sort_topics(struct metadata *m, enum topic_order how)
{
    struct metadata_response *out = &m->response;
    struct arena *arena = &m->request->arena;
    uint32_t n = (uint32_t)out->topics_count, *order;
    struct str *names = arena_alloc(arena, n * sizeof *names);
    struct metadata_response_metadata_response_topic *sorted = arena_alloc(arena, n * sizeof *sorted);
    if (!names || !sorted)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++)
        names[i] = out->topics[i].name;
    if (topic_order(how, names, n, arena, &order))
        return ERR_NOMEM;
    for (uint32_t i = 0; i < n; i++)
        sorted[i] = out->topics[order[i]];
    out->topics = sorted;
    return 0;
}

// A request that as a whole is not acceptable: every topic carries the error.
static int refuse(struct metadata *m, int16_t error)
{
    const struct metadata_request *q = m->message;
    m->response.topics = metadata_response_metadata_response_topic_new(&m->request->arena, q->topics_count);
    if (!m->response.topics)
        return ERR_NOMEM;
    m->response.topics_count = q->topics_count;
    m->response.error_code = error;
    for (int32_t i = 0; i < q->topics_count; i++) {
        m->response.topics[i].name = q->topics[i].name.data ? q->topics[i].name : STR("");
        m->response.topics[i].topic_id = q->topics[i].topic_id;
        m->response.topics[i].error_code = error;
    }
    return 0;
}

// What Kafka says of the request as a whole. From version 12 on it stumbles over a topic without a name where
// none is named by its id.
static int16_t check(const struct metadata *m)
{
    bool named = true, by_id = false;
    for (int32_t i = 0; i < m->message->topics_count; i++) {
        named &= m->message->topics[i].name.data != NULL;
        by_id |= !uuid_is_zero(&m->message->topics[i].topic_id);
    }
    if (m->request->version < TOPIC_ID_VERSION)
        return named && !by_id ? E_NONE : E_INVALID_REQUEST;
    return named || by_id ? E_NONE : E_UNKNOWN_SERVER_ERROR;
}

// What the answer says of the cluster.
static int fill_cluster(struct metadata *m)
{
    struct request *r = m->request;
    const struct metadata_request *q = m->message;
    m->response.cluster_id = str_from(broker_of(r)->cluster_id);
    if (q->include_cluster_authorized_operations)
        m->response.cluster_authorized_operations = authorized_cluster_operations(r);
    return fill_brokers(m);
}

static bool wants_all(const struct request *r)
{
    const struct metadata_request *q = r->message;
    return r->version == 0 ? q->topics_count <= 0 : q->topics_count < 0;
}

// Of how many partitions the answer has, at most, and of how many names that are no topics'.
static bool is_of_many(const struct request *r)
{
    const struct metadata_request *q = r->message;
    const struct image *image = image_current();
    size_t n = q->topics_count > 0 ? (size_t)q->topics_count : 0;
    size_t most = image->partitions_count;
    if (wants_all(r))
        return most > PARTITIONS_ON_REACTOR;
    if (n > PARTITIONS_ON_REACTOR || most <= PARTITIONS_ON_REACTOR)
        return n > PARTITIONS_ON_REACTOR;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct metadata_request_metadata_request_topic *asked = &q->topics[i];
        const struct image_topic *topic =
            asked->name.data ? image_topic(image, asked->name) : image_topic_by_id(image, &asked->topic_id);
        n += topic ? topic->partitions_count : 0;
    }
    return n > PARTITIONS_ON_REACTOR;
}

// And of the topics.
static int fill_topics(struct metadata *m)
{
    bool all = wants_all(m->request);
    int rc = all ? fill_all_topics(m) : fill_named_topics(m);
    return rc ? rc : sort_topics(m, all ? TOPIC_ORDER_ALL : TOPIC_ORDER_NAMED);
}

static void respond(struct metadata *m, int error)
{
    struct request *r = m->request;
    if (error) {
        request_close(r, "out of memory for the response to Metadata");
        return;
    }
    if (m->to_create_count > 0)
        auto_create_topics(r, m->to_create, m->to_create_count);
    request_respond(r, &m->response);
}

static void handle_metadata(struct request *r)
{
    struct metadata *m = arena_zalloc(&r->arena, 1, sizeof *m);
    if (!m) {
        request_close(r, "out of memory for Metadata");
        return;
    }
    m->request = r;
    m->message = r->message;
    m->image = image_current();
    message_init(&metadata_response_type, &m->response);
    int16_t problem = check(m);
    if (problem != E_NONE) {
        respond(m, refuse(m, problem));
        return;
    }
    int error = fill_cluster(m);
    respond(m, error ? error : fill_topics(m));
}

const struct api_handler metadata_handler = {.api_key = 3,
                                             .min_version = 0,
                                             .max_version = 13,
                                             .advertised_min_version = -1,
                                             .listeners = LISTENER_BROKER,
                                             .is_costly = is_of_many,
                                             .handle = handle_metadata};

// DescribeCluster (KIP-700, KIP-919)

static int fill_cluster_brokers(struct request *r, const struct image *image,
                                struct describe_cluster_response *out)
{
    const struct describe_cluster_request *q = r->message;
    out->brokers =
        describe_cluster_response_describe_cluster_broker_new(&r->arena, (int32_t)image->brokers_count);
    if (!out->brokers)
        return ERR_NOMEM;
    struct str listener = str_from(request_listener(r)->name);
    for (uint32_t i = 0; i < image->brokers_count; i++) {
        const struct image_broker *b = image->brokers[i];
        const struct image_endpoint *e = image_broker_endpoint(b, listener);
        if (!e || (b->fenced && !q->include_fenced_brokers))
            continue;
        struct describe_cluster_response_describe_cluster_broker *o = &out->brokers[out->brokers_count++];
        o->broker_id = b->id;
        o->host = e->host;
        o->port = e->port;
        o->rack = b->rack;
        o->is_fenced = b->fenced;
        if (!b->fenced && (out->controller_id < 0 || b->id == broker_of(r)->config->node_id))
            out->controller_id = b->id;
    }
    return 0;
}

// What a controller's listener tells of.
static int fill_cluster_controllers(struct request *r, const struct image *image,
                                    struct describe_cluster_response *out)
{
    struct quorum_status status;
    struct str listener = str_from(request_listener(r)->name);
    quorum_status(broker_of(r)->quorum, &status);
    out->controller_id = status.leader_id;
    if (r->version >= ENDPOINT_TYPE_VERSION)
        out->endpoint_type = ENDPOINT_CONTROLLERS;
    out->brokers =
        describe_cluster_response_describe_cluster_broker_new(&r->arena, (int32_t)image->controllers_count);
    if (!out->brokers)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < image->controllers_count; i++) {
        const struct image_controller *c = image->controllers[i];
        for (uint32_t k = 0; k < c->endpoints_count; k++) {
            if (!str_equal(c->endpoints[k].name, listener))
                continue;
            struct describe_cluster_response_describe_cluster_broker *o = &out->brokers[out->brokers_count++];
            o->broker_id = c->id;
            o->host = c->endpoints[k].host;
            o->port = c->endpoints[k].port;
            break;
        }
    }
    return 0;
}

static void handle_describe_cluster(struct request *r)
{
    const struct describe_cluster_request *q = r->message;
    bool controller = request_listener(r)->kind == LISTENER_CONTROLLER;
    struct describe_cluster_response out;
    message_init(&describe_cluster_response_type, &out);
    if (q->endpoint_type != ENDPOINT_BROKERS && q->endpoint_type != ENDPOINT_CONTROLLERS) {
        out.error_code = E_UNSUPPORTED_ENDPOINT_TYPE;
        out.error_message = arena_printf(&r->arena, "Unsupported endpoint type %d", q->endpoint_type);
    } else if ((q->endpoint_type == ENDPOINT_CONTROLLERS) != controller) {
        out.error_code = E_MISMATCHED_ENDPOINT_TYPE;
        out.error_message = arena_printf(
            &r->arena, "The request was sent to an endpoint of type %s, but we wanted an endpoint of type %s",
            controller ? "CONTROLLER" : "BROKER", controller ? "BROKER" : "CONTROLLER");
    } else {
        out.cluster_id = str_from(broker_of(r)->cluster_id);
        if (q->include_cluster_authorized_operations)
            out.cluster_authorized_operations = authorized_cluster_operations(r);
        if ((controller ? fill_cluster_controllers : fill_cluster_brokers)(r, image_current(), &out)) {
            request_close(r, "out of memory for the response to DescribeCluster");
            return;
        }
    }
    request_respond(r, &out);
}

const struct api_handler describe_cluster_handler = {.api_key = 60,
                                                     .min_version = 0,
                                                     .max_version = 2,
                                                     .advertised_min_version = -1,
                                                     .listeners = LISTENER_BROKER | LISTENER_CONTROLLER,
                                                     .handle = handle_describe_cluster};
