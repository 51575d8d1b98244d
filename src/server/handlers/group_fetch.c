// OffsetFetch. Topics are looked up here, groups in their coordinator.
#include "base/error.h"
#include "coordinator/group/group.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"

#define TOPIC_ID_VERSION 10

static void out_of_memory(struct request *r)
{
    request_close(r, "out of memory for a request about committed offsets");
}

#define GROUPS_VERSION    8
#define TOP_ERROR_VERSION 2

struct fetch {
    const struct offset_fetch_request_offset_fetch_request_group *groups;
    struct group_fetch *parts;
    struct offset_fetch_response_offset_fetch_response_group
        *refused; // of each group: topics that nobody may see, or that are not there
};

// A request of one group in the shape of later versions.
static struct offset_fetch_request_offset_fetch_request_group *one_group(struct request *r)
{
    const struct offset_fetch_request *q = r->message;
    struct offset_fetch_request_offset_fetch_request_group *g =
        offset_fetch_request_offset_fetch_request_group_new(&r->arena, 1);
    if (!g)
        return NULL;
    g->group_id = q->group_id;
    g->topics_count = q->topics_count;
    g->topics = NULL;
    if (q->topics_count < 0)
        return g;
    g->topics = offset_fetch_request_offset_fetch_request_topics_new(&r->arena, q->topics_count);
    for (int32_t i = 0; g->topics && i < q->topics_count; i++) {
        g->topics[i].name = q->topics[i].name;
        g->topics[i].partition_indexes = q->topics[i].partition_indexes;
        g->topics[i].partition_indexes_count = q->topics[i].partition_indexes_count;
    }
    return g->topics ? g : NULL;
}

static int refuse_topic(struct request *r, struct offset_fetch_response_offset_fetch_response_group *refused,
                        const struct offset_fetch_request_offset_fetch_request_topics *q, int16_t error)
{
    struct offset_fetch_response_offset_fetch_response_topics *o = &refused->topics[refused->topics_count++];
    o->name = q->name;
    o->topic_id = q->topic_id;
    o->partitions =
        offset_fetch_response_offset_fetch_response_partitions_new(&r->arena, q->partition_indexes_count);
    if (!o->partitions)
        return ERR_NOMEM;
    o->partitions_count = q->partition_indexes_count;
    for (int32_t k = 0; k < o->partitions_count; k++) {
        o->partitions[k].partition_index = q->partition_indexes[k];
        o->partitions[k].committed_offset = -1;
        o->partitions[k].metadata = STR("");
        o->partitions[k].error_code = error;
    }
    return 0;
}

static int prepare_group(struct request *r, const struct offset_fetch_request_offset_fetch_request_group *q,
                         struct group_fetch *part,
                         struct offset_fetch_response_offset_fetch_response_group *refused)
{
    part->group_id = q->group_id;
    part->member_id = q->member_id;
    part->member_epoch = q->member_epoch;
    part->require_stable = ((const struct offset_fetch_request *)r->message)->require_stable;
    if (q->topics_count < 0)
        return 0;
    struct offset_fetch_request_offset_fetch_request_topics *topics =
        offset_fetch_request_offset_fetch_request_topics_new(&r->arena, q->topics_count);
    refused->topics = offset_fetch_response_offset_fetch_response_topics_new(&r->arena, q->topics_count);
    if (!topics || !refused->topics)
        return ERR_NOMEM;
    part->topics = topics;
    for (int32_t i = 0; i < q->topics_count; i++) {
        const struct image_topic *topic = r->version >= TOPIC_ID_VERSION
                                              ? image_topic_by_id(image_current(), &q->topics[i].topic_id)
                                              : image_topic(image_current(), q->topics[i].name);
        struct offset_fetch_request_offset_fetch_request_topics named = q->topics[i];
        int16_t error = E_NONE;
        if (r->version >= TOPIC_ID_VERSION && !topic)
            error = E_UNKNOWN_TOPIC_ID;
        else if (topic)
            named.name = arena_str(&r->arena, topic->name);
        if (error == E_NONE && !request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, named.name))
            error = E_TOPIC_AUTHORIZATION_FAILED;
        if (topic)
            named.topic_id = topic->id;
        if (error == E_NONE)
            topics[part->topics_count++] = named;
        else if (refuse_topic(r, refused, &q->topics[i], error))
            return ERR_NOMEM;
    }
    return 0;
}

// Of all offsets of a group those of topics that the client may see; with ids, those of topics that are
// there.
static void filter_all(struct request *r, struct offset_fetch_response_offset_fetch_response_group *out)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < out->topics_count; i++) {
        struct offset_fetch_response_offset_fetch_response_topics *t = &out->topics[i];
        const struct image_topic *topic = image_topic(image_current(), t->name);
        if (!request_authorize(r, ACL_DESCRIBE, RESOURCE_TOPIC, t->name) ||
            (r->version >= TOPIC_ID_VERSION && !topic))
            continue;
        if (topic)
            t->topic_id = topic->id;
        out->topics[kept++] = *t;
    }
    out->topics_count = kept;
}

static int merge_group(struct request *r, const struct fetch *f, int32_t i,
                       const struct coordinator_request *part,
                       struct offset_fetch_response_offset_fetch_response_group *out)
{
    *out = offset_fetch_response_offset_fetch_response_group_default;
    if (part->response)
        *out = *(struct offset_fetch_response_offset_fetch_response_group *)part->response;
    else
        out->error_code = part->error;
    out->group_id = f->groups[i].group_id;
    const struct offset_fetch_response_offset_fetch_response_group *refused = &f->refused[i];
    if (out->error_code != E_NONE)
        return 0;
    if (f->groups[i].topics_count < 0)
        filter_all(r, out);
    if (refused->topics_count == 0)
        return 0;
    struct offset_fetch_response_offset_fetch_response_topics *both =
        offset_fetch_response_offset_fetch_response_topics_new(&r->arena,
                                                               out->topics_count + refused->topics_count);
    if (!both)
        return ERR_NOMEM;
    memcpy(both, out->topics, (size_t)out->topics_count * sizeof *both);
    memcpy(both + out->topics_count, refused->topics, (size_t)refused->topics_count * sizeof *both);
    out->topics = both;
    out->topics_count += refused->topics_count;
    return 0;
}

// The group's answer in the shape of the versions that know one group only.
static int respond_one(struct request *r, const struct fetch *f,
                       const struct offset_fetch_response_offset_fetch_response_group *g)
{
    struct offset_fetch_response out;
    message_init(&offset_fetch_response_type, &out);
    out.error_code = g->error_code;
    struct offset_fetch_response_offset_fetch_response_group failed = {0};
    if (g->error_code != E_NONE && r->version < TOP_ERROR_VERSION) { // there the partitions tell it
        failed.topics =
            offset_fetch_response_offset_fetch_response_topics_new(&r->arena, f->groups->topics_count);
        for (int32_t i = 0; failed.topics && i < f->groups->topics_count; i++)
            if (refuse_topic(r, &failed, &f->groups->topics[i], g->error_code))
                return ERR_NOMEM;
        g = &failed;
    }
    out.topics = offset_fetch_response_offset_fetch_response_topic_new(&r->arena, g->topics_count);
    if (!out.topics)
        return ERR_NOMEM;
    out.topics_count = g->topics_count;
    for (int32_t i = 0; i < g->topics_count; i++) {
        const struct offset_fetch_response_offset_fetch_response_topics *t = &g->topics[i];
        struct offset_fetch_response_offset_fetch_response_topic *o = &out.topics[i];
        o->name = t->name;
        o->partitions =
            offset_fetch_response_offset_fetch_response_partition_new(&r->arena, t->partitions_count);
        if (!o->partitions)
            return ERR_NOMEM;
        o->partitions_count = t->partitions_count;
        for (int32_t k = 0; k < t->partitions_count; k++) {
            o->partitions[k].partition_index = t->partitions[k].partition_index;
            o->partitions[k].committed_offset = t->partitions[k].committed_offset;
            o->partitions[k].committed_leader_epoch = t->partitions[k].committed_leader_epoch;
            o->partitions[k].metadata = t->partitions[k].metadata;
            o->partitions[k].error_code = t->partitions[k].error_code;
        }
    }
    request_respond(r, &out);
    return 0;
}

static void finish_fetch(struct coordinator_call *call)
{
    struct request *r = call->request;
    const struct fetch *f = call->context;
    struct offset_fetch_response out;
    message_init(&offset_fetch_response_type, &out);
    out.groups = offset_fetch_response_offset_fetch_response_group_new(&r->arena, call->count);
    int rc = out.groups ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < call->count && rc == 0; i++)
        rc = merge_group(r, f, i, &call->parts[i], &out.groups[out.groups_count++]);
    if (rc == 0 && r->version < GROUPS_VERSION)
        rc = respond_one(r, f, &out.groups[0]);
    else if (rc == 0)
        request_respond(r, &out);
    if (rc)
        out_of_memory(r);
}

static void handle_offset_fetch(struct request *r)
{
    const struct offset_fetch_request *q = r->message;
    bool many = r->version >= GROUPS_VERSION;
    int32_t count = many ? q->groups_count : 1;
    struct coordinator *coordinator = broker_of(r)->groups;
    struct fetch *f = arena_zalloc(&r->arena, 1, sizeof *f);
    int32_t *shards = arena_alloc(&r->arena, (size_t)count * sizeof *shards);
    struct coordinator_call *call = f && shards ? coordinator_call_new(r, count, finish_fetch) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    call->context = f;
    f->groups = many ? q->groups : one_group(r);
    f->parts = arena_zalloc(&r->arena, (size_t)count, sizeof *f->parts);
    f->refused = offset_fetch_response_offset_fetch_response_group_new(&r->arena, count);
    int rc = (f->groups || count == 0) && f->parts && f->refused ? 0 : ERR_NOMEM;
    for (int32_t i = 0; i < count && rc == 0; i++) {
        bool allowed = request_authorize(r, ACL_DESCRIBE, RESOURCE_GROUP, f->groups[i].group_id);
        shards[i] =
            allowed ? coordinator_partition(coordinator, f->groups[i].group_id) : COORDINATOR_CALL_ANSWERED;
        call->parts[i].error = allowed ? E_NONE : E_GROUP_AUTHORIZATION_FAILED;
        call->parts[i].kind = GROUP_FETCH;
        call->parts[i].message = &f->parts[i];
        rc = prepare_group(r, &f->groups[i], &f->parts[i], &f->refused[i]);
    }
    if (rc) {
        coordinator_call_discard(call);
        out_of_memory(r);
        return;
    }
    coordinator_call_run(call, coordinator, shards);
}

const struct api_handler offset_fetch_handler = {.api_key = 9,
                                                 .min_version = 1,
                                                 .max_version = 10,
                                                 .advertised_min_version = -1,
                                                 .listeners = LISTENER_BROKER,
                                                 .worker_bytes = HEAVY_REQUEST_BYTES,
                                                 .handle = handle_offset_fetch};
