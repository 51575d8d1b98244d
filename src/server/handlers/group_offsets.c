// OffsetCommit and OffsetDelete. Topics are looked up here, groups in their coordinator.
#include "base/error.h"
#include "coordinator/group/group.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"
#include "server/partition_index.h"

#define TOPIC_ID_VERSION 10 // of OffsetCommit

static void out_of_memory(struct request *r)
{
    request_close(r, "out of memory for a request about committed offsets");
}

// An answer names each topic once, however often the request does.

struct answered_topic {
    void *topic;      // of the response
    int32_t capacity; // of its partitions
};

// The place of a topic (its name, or its id's bytes) in an answer; topic NULL: it is new. NULL: out of
// memory.
static struct answered_topic *answered(struct partition_index *index, struct str key)
{
    void **slot = partition_index_slot(index, key, 0);
    if (slot && !*slot)
        *slot = arena_zalloc(index->arena, 1, sizeof(struct answered_topic));
    return slot ? *slot : NULL;
}

// A topic's partitions with more behind them. NULL: out of memory.
static void *append(struct arena *arena, struct answered_topic *t, void *partitions, int32_t count,
                    const void *more, int32_t more_count, size_t size)
{
    void *to = partitions;
    if (count + more_count > t->capacity) {
        t->capacity = 2 * t->capacity > count + more_count ? 2 * t->capacity : count + more_count;
        to = arena_zalloc(arena, (size_t)t->capacity, size);
        if (to)
            memcpy(to, partitions, (size_t)count * size);
    }
    if (to)
        memcpy((char *)to + (size_t)count * size, more, (size_t)more_count * size);
    return to;
}

// OffsetCommit

// What a request comes to before the group is asked: the topics that exist, and an answer for the others.
struct commit {
    struct offset_commit_request known;
    struct offset_commit_response answer;
    struct partition_index index; // of the answer, while it grows
};

static struct answered_topic *
answered_commit(const struct request *r, struct commit *c,
                const struct offset_commit_response_offset_commit_response_topic *topic)
{
    struct str id = {(const char *)topic->topic_id.bytes, sizeof topic->topic_id.bytes};
    return answered(&c->index, r->version >= TOPIC_ID_VERSION ? id : topic->name);
}

static int add_answers(struct request *r, struct commit *c,
                       const struct offset_commit_response_offset_commit_response_topic *from)
{
    struct answered_topic *t = answered_commit(r, c, from);
    if (!t)
        return ERR_NOMEM;
    struct offset_commit_response_offset_commit_response_topic *to = t->topic;
    if (!to) {
        t->topic = to = &c->answer.topics[c->answer.topics_count++];
        t->capacity = from->partitions_count;
        *to = *from;
        return 0;
    }
    void *both = append(&r->arena, t, to->partitions, to->partitions_count, from->partitions,
                        from->partitions_count, sizeof *to->partitions);
    if (!both)
        return ERR_NOMEM;
    to->partitions = both;
    to->partitions_count += from->partitions_count;
    return 0;
}

// What the group answered comes behind what was answered without it.
static int merge_answers(struct request *r, struct commit *c, const struct offset_commit_response *part)
{
    int rc = 0;
    partition_index_init(&c->index, &r->arena);
    for (int32_t i = 0; i < c->answer.topics_count && rc == 0; i++) {
        struct answered_topic *t = answered_commit(r, c, &c->answer.topics[i]);
        if (t)
            *t = (struct answered_topic){&c->answer.topics[i], c->answer.topics[i].partitions_count};
        rc = t ? 0 : ERR_NOMEM;
    }
    for (int32_t i = 0; i < part->topics_count && rc == 0; i++)
        rc = add_answers(r, c, &part->topics[i]);
    partition_index_free(&c->index);
    return rc;
}

static int16_t topic_error(struct request *r, const struct image_topic *topic, struct str name)
{
    if (r->version >= TOPIC_ID_VERSION && !topic)
        return E_UNKNOWN_TOPIC_ID;
    if (!request_authorize(r, ACL_READ, RESOURCE_TOPIC, name))
        return E_TOPIC_AUTHORIZATION_FAILED;
    return topic ? E_NONE : E_UNKNOWN_TOPIC_OR_PARTITION;
}

// Splits one topic: partitions that exist go to the coordinator.
static int sort_topic(struct request *r, struct commit *c,
                      const struct offset_commit_request_offset_commit_request_topic *q)
{
    const struct image *image = image_current();
    const struct image_topic *topic =
        r->version >= TOPIC_ID_VERSION ? image_topic_by_id(image, &q->topic_id) : image_topic(image, q->name);
    struct str name = topic ? topic->name : q->name;
    int16_t error = topic_error(r, topic, name);
    struct offset_commit_request_offset_commit_request_topic *known = &c->known.topics[c->known.topics_count];
    struct offset_commit_response_offset_commit_response_topic answers = {.name = q->name,
                                                                          .topic_id = q->topic_id};
    known->partitions =
        offset_commit_request_offset_commit_request_partition_new(&r->arena, q->partitions_count);
    answers.partitions =
        offset_commit_response_offset_commit_response_partition_new(&r->arena, q->partitions_count);
    if (!known->partitions || !answers.partitions)
        return ERR_NOMEM;
    for (int32_t i = 0; i < q->partitions_count; i++) {
        int32_t partition = q->partitions[i].partition_index;
        if (error == E_NONE && image_partition(topic, partition)) {
            known->partitions[known->partitions_count++] = q->partitions[i];
            continue;
        }
        struct offset_commit_response_offset_commit_response_partition *o =
            &answers.partitions[answers.partitions_count++];
        o->partition_index = partition;
        o->error_code = error != E_NONE ? error : E_UNKNOWN_TOPIC_OR_PARTITION;
    }
    if (known->partitions_count > 0) {
        known->name = arena_str(&r->arena, name);
        known->topic_id = topic->id;
        c->known.topics_count++;
    }
    return answers.partitions_count > 0 || error != E_NONE ? add_answers(r, c, &answers) : 0;
}

// The group's error for every partition that it was asked for.
static struct offset_commit_response *group_error(struct request *r,
                                                  const struct offset_commit_request *known, int16_t error)
{
    struct offset_commit_response *out = offset_commit_response_new(&r->arena, 1);
    if (!out || !(out->topics = offset_commit_response_offset_commit_response_topic_new(&r->arena,
                                                                                        known->topics_count)))
        return NULL;
    out->topics_count = known->topics_count;
    for (int32_t i = 0; i < known->topics_count; i++) {
        const struct offset_commit_request_offset_commit_request_topic *q = &known->topics[i];
        struct offset_commit_response_offset_commit_response_topic *o = &out->topics[i];
        o->name = q->name;
        o->topic_id = q->topic_id;
        o->partitions =
            offset_commit_response_offset_commit_response_partition_new(&r->arena, q->partitions_count);
        if (!o->partitions)
            return NULL;
        o->partitions_count = q->partitions_count;
        for (int32_t k = 0; k < q->partitions_count; k++) {
            o->partitions[k].partition_index = q->partitions[k].partition_index;
            o->partitions[k].error_code = error;
        }
    }
    return out;
}

static void finish_commit(struct coordinator_call *call)
{
    struct request *r = call->request;
    struct commit *c = call->context;
    struct offset_commit_response *part = call->parts[0].response;
    if (!part)
        part = group_error(r, &c->known, call->parts[0].error);
    if (part && c->answer.topics_count == 0) {
        c->answer.topics = part->topics;
        c->answer.topics_count = part->topics_count;
    } else if (!part || merge_answers(r, c, part)) {
        out_of_memory(r);
        return;
    }
    request_respond(r, &c->answer);
}

static int sort_topics(struct request *r, struct commit *c)
{
    const struct offset_commit_request *q = r->message;
    c->known = *q;
    c->known.topics_count = 0;
    c->known.topics = offset_commit_request_offset_commit_request_topic_new(&r->arena, q->topics_count);
    message_init(&offset_commit_response_type, &c->answer);
    c->answer.topics =
        offset_commit_response_offset_commit_response_topic_new(&r->arena, 2 * q->topics_count);
    int rc = c->known.topics && c->answer.topics ? 0 : ERR_NOMEM;
    partition_index_init(&c->index, &r->arena);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        rc = sort_topic(r, c, &q->topics[i]);
    partition_index_free(&c->index);
    return rc;
}

static void handle_offset_commit(struct request *r)
{
    const struct offset_commit_request *q = r->message;
    struct commit *c = arena_zalloc(&r->arena, 1, sizeof *c);
    struct coordinator_call *call = c ? coordinator_call_new(r, 1, finish_commit) : NULL;
    if (!call || sort_topics(r, c)) {
        coordinator_call_discard(call);
        out_of_memory(r);
        return;
    }
    call->context = c;
    call->parts[0].kind = GROUP_COMMIT;
    call->parts[0].message = &c->known;
    int32_t shard = COORDINATOR_CALL_ANSWERED;
    if (!request_authorize(r, ACL_READ, RESOURCE_GROUP, q->group_id)) {
        c->known = *q;
        c->answer.topics_count = 0;
        call->parts[0].error = E_GROUP_AUTHORIZATION_FAILED;
    } else if (c->known.topics_count > 0) {
        shard = coordinator_partition(broker_of(r)->groups, q->group_id);
    }
    coordinator_call_run(call, broker_of(r)->groups, &shard);
}

const struct api_handler offset_commit_handler = {.api_key = 8,
                                                  .min_version = 2,
                                                  .max_version = 10,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER,
                                                  .worker_bytes = HEAVY_REQUEST_BYTES,
                                                  .handle = handle_offset_commit};

// OffsetDelete

struct offset_delete {
    struct offset_delete_request known;
    struct offset_delete_response answer;
    struct partition_index index; // of the answer, while it grows
};

static int add_deletions(struct request *r, struct offset_delete *d,
                         const struct offset_delete_response_offset_delete_response_topic *from)
{
    struct answered_topic *t = answered(&d->index, from->name);
    if (!t)
        return ERR_NOMEM;
    struct offset_delete_response_offset_delete_response_topic *to = t->topic;
    if (!to) {
        t->topic = to = &d->answer.topics[d->answer.topics_count++];
        t->capacity = from->partitions_count;
        *to = *from;
        return 0;
    }
    void *both = append(&r->arena, t, to->partitions, to->partitions_count, from->partitions,
                        from->partitions_count, sizeof *to->partitions);
    if (!both)
        return ERR_NOMEM;
    to->partitions = both;
    to->partitions_count += from->partitions_count;
    return 0;
}

static int merge_deletions(struct request *r, struct offset_delete *d,
                           const struct offset_delete_response *part)
{
    int rc = 0;
    partition_index_init(&d->index, &r->arena);
    for (int32_t i = 0; i < d->answer.topics_count && rc == 0; i++) {
        struct answered_topic *t = answered(&d->index, d->answer.topics[i].name);
        if (t)
            *t = (struct answered_topic){&d->answer.topics[i], d->answer.topics[i].partitions_count};
        rc = t ? 0 : ERR_NOMEM;
    }
    for (int32_t i = 0; i < part->topics_count && rc == 0; i++)
        rc = add_deletions(r, d, &part->topics[i]);
    partition_index_free(&d->index);
    return rc;
}

static int sort_deletion(struct request *r, struct offset_delete *d,
                         const struct offset_delete_request_offset_delete_request_topic *q)
{
    const struct image_topic *topic = image_topic(image_current(), q->name);
    bool allowed = request_authorize(r, ACL_READ, RESOURCE_TOPIC, q->name);
    struct offset_delete_request_offset_delete_request_topic *known = &d->known.topics[d->known.topics_count];
    struct offset_delete_response_offset_delete_response_topic answers = {.name = q->name};
    known->name = q->name;
    known->partitions =
        offset_delete_request_offset_delete_request_partition_new(&r->arena, q->partitions_count);
    answers.partitions =
        offset_delete_response_offset_delete_response_partition_new(&r->arena, q->partitions_count);
    if (!known->partitions || !answers.partitions)
        return ERR_NOMEM;
    for (int32_t i = 0; i < q->partitions_count; i++) {
        if (allowed && topic && image_partition(topic, q->partitions[i].partition_index)) {
            known->partitions[known->partitions_count++] = q->partitions[i];
            continue;
        }
        struct offset_delete_response_offset_delete_response_partition *o =
            &answers.partitions[answers.partitions_count++];
        o->partition_index = q->partitions[i].partition_index;
        o->error_code = allowed ? E_UNKNOWN_TOPIC_OR_PARTITION : E_TOPIC_AUTHORIZATION_FAILED;
    }
    d->known.topics_count += known->partitions_count > 0;
    return answers.partitions_count > 0 || !topic ? add_deletions(r, d, &answers) : 0;
}

static void finish_offset_delete(struct coordinator_call *call)
{
    struct request *r = call->request;
    struct offset_delete *d = call->context;
    const struct offset_delete_response *part = call->parts[0].response;
    int rc = part ? merge_deletions(r, d, part) : 0;
    if (!part) {
        d->answer.topics_count = 0;
        d->answer.error_code = call->parts[0].error;
    }
    if (rc)
        out_of_memory(r);
    else
        request_respond(r, &d->answer);
}

static void handle_offset_delete(struct request *r)
{
    const struct offset_delete_request *q = r->message;
    struct offset_delete *d = arena_zalloc(&r->arena, 1, sizeof *d);
    struct coordinator_call *call = d ? coordinator_call_new(r, 1, finish_offset_delete) : NULL;
    if (!call) {
        out_of_memory(r);
        return;
    }
    call->context = d;
    call->parts[0].kind = GROUP_OFFSET_DELETE;
    call->parts[0].message = &d->known;
    message_init(&offset_delete_response_type, &d->answer);
    d->known.group_id = q->group_id;
    d->known.topics = offset_delete_request_offset_delete_request_topic_new(&r->arena, q->topics_count);
    d->answer.topics =
        offset_delete_response_offset_delete_response_topic_new(&r->arena, 2 * q->topics_count);
    int rc = d->known.topics && d->answer.topics ? 0 : ERR_NOMEM;
    partition_index_init(&d->index, &r->arena);
    for (int32_t i = 0; i < q->topics_count && rc == 0; i++)
        rc = sort_deletion(r, d, &q->topics[i]);
    partition_index_free(&d->index);
    bool allowed = request_authorize(r, ACL_DELETE, RESOURCE_GROUP, q->group_id);
    int32_t shard = COORDINATOR_CALL_ANSWERED;
    if (rc)
        call->parts[0].error = E_UNKNOWN_SERVER_ERROR;
    else if (!allowed || q->group_id.size == 0)
        call->parts[0].error = allowed ? E_INVALID_GROUP_ID : E_GROUP_AUTHORIZATION_FAILED;
    else
        shard = coordinator_partition(broker_of(r)->groups, q->group_id);
    coordinator_call_run(call, broker_of(r)->groups, &shard);
}

const struct api_handler offset_delete_handler = {.api_key = 47,
                                                  .min_version = 0,
                                                  .max_version = 0,
                                                  .advertised_min_version = -1,
                                                  .listeners = LISTENER_BROKER,
                                                  .worker_bytes = HEAVY_REQUEST_BYTES,
                                                  .handle = handle_offset_delete};
