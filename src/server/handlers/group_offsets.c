// OffsetCommit, TxnOffsetCommit and OffsetDelete. Topics are looked up here, groups in their coordinator.
#include "base/clock.h"
#include "base/error.h"
#include "coordinator/group/group.h"
#include "metadata/image.h"
#include "protocol/errors.h"
#include "protocol/messages.h"
#include "server/handlers/auto_create.h"
#include "server/handlers/coordinator_call.h"
#include "server/handlers/handlers.h"
#include "server/live_config.h"
#include "server/partition_index.h"
#include "server/transactions.h"

#include <stdlib.h>

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

// The answer, of what the group said (NULL: the error) and what was answered without it. 0 or ERR_NOMEM.
static int complete_commit(struct request *r, struct commit *c, struct offset_commit_response *part,
                           int16_t error)
{
    if (!part)
        part = group_error(r, &c->known, error);
    if (!part || c->answer.topics_count > 0)
        return part ? merge_answers(r, c, part) : ERR_NOMEM;
    c->answer.topics = part->topics;
    c->answer.topics_count = part->topics_count;
    return 0;
}

static void finish_commit(struct coordinator_call *call)
{
    struct commit *c = call->context;
    if (complete_commit(call->request, c, call->parts[0].response, call->parts[0].error))
        out_of_memory(call->request);
    else
        request_respond(call->request, &c->answer);
}

static int sort_topics(struct request *r, struct commit *c, const struct offset_commit_request *q)
{
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
    if (!call || sort_topics(r, c, q)) {
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

// TxnOffsetCommit: the same, as part of a producer's transaction, which has to cover the group's partition of
// __consumer_offsets (KIP-890)

#define TXN_LOADING_VERSION   2 // older clients do not understand COORDINATOR_LOAD_IN_PROGRESS
#define TXN_ABORTABLE_VERSION 4
#define TXN_ADDS_VERSION      5 // nobody else adds the partition

struct txn_commit {
    struct offset_commit_request wanted; // the request in OffsetCommit's shape
    struct commit commit;
    struct group_txn_commit message;
    int32_t shard;
};

// Outlives its request while the coordinator of the transaction thinks.
struct txn_question {
    struct transaction_question question;
    struct request *request; // NULL once it is gone
    struct txn_commit *commit;
    struct add_partitions_to_txn_request_add_partitions_to_txn_topic topic;
    int32_t partition;
};

static void respond_txn_commit(struct request *r, struct txn_commit *t, struct offset_commit_response *part,
                               int16_t error)
{
    struct txn_offset_commit_response out;
    message_init(&txn_offset_commit_response_type, &out);
    if (error == E_COORDINATOR_LOAD_IN_PROGRESS && r->version < TXN_LOADING_VERSION)
        error = E_COORDINATOR_NOT_AVAILABLE;
    int rc = t->commit.known.topics_count > 0 ? complete_commit(r, &t->commit, part, error) : 0;
    const struct offset_commit_response *all = &t->commit.answer;
    out.topics =
        txn_offset_commit_response_txn_offset_commit_response_topic_new(&r->arena, all->topics_count);
    for (int32_t i = 0; rc == 0 && out.topics && i < all->topics_count; i++) {
        const struct offset_commit_response_offset_commit_response_topic *from = &all->topics[i];
        struct txn_offset_commit_response_txn_offset_commit_response_topic *o = &out.topics[i];
        o->name = from->name;
        o->partitions = txn_offset_commit_response_txn_offset_commit_response_partition_new(
            &r->arena, from->partitions_count);
        if (!o->partitions) {
            rc = ERR_NOMEM;
            break;
        }
        o->partitions_count = from->partitions_count;
        for (int32_t k = 0; k < from->partitions_count; k++) {
            o->partitions[k].partition_index = from->partitions[k].partition_index;
            o->partitions[k].error_code = from->partitions[k].error_code;
        }
    }
    out.topics_count = all->topics_count;
    if (rc || !out.topics)
        out_of_memory(r);
    else
        request_respond(r, &out);
}

static void finish_txn_commit(struct coordinator_call *call)
{
    respond_txn_commit(call->request, call->context, call->parts[0].response, call->parts[0].error);
}

static void commit_to_group(struct request *r, struct txn_commit *t)
{
    struct coordinator_call *call = coordinator_call_new(r, 1, finish_txn_commit);
    if (!call) {
        out_of_memory(r);
        return;
    }
    call->context = t;
    call->parts[0].kind = GROUP_TXN_COMMIT;
    call->parts[0].message = &t->message;
    coordinator_call_run(call, broker_of(r)->groups, &t->shard);
}

static void go_on(struct request *r, struct txn_commit *t, int16_t error)
{
    if (error == E_PRODUCER_FENCED)
        error = E_INVALID_PRODUCER_EPOCH;
    if (error == E_TRANSACTION_ABORTABLE && r->version < TXN_ABORTABLE_VERSION)
        error = E_INVALID_TXN_STATE;
    if (error == E_NONE)
        commit_to_group(r, t);
    else
        respond_txn_commit(r, t, NULL, error);
}

// Whether the group's partition wants its coordinator asked; the guard goes with the append. As clients of a
// group are to read the errors.
static int16_t verify_group(struct request *r, struct txn_commit *t)
{
    const struct image_topic *topic = image_topic(image_current(), STR(GROUP_TOPIC));
    struct coordinator_producer *producer = &t->message.producer;
    struct log_verification about = {.producer_id = producer->producer_id,
                                     .producer_epoch = producer->epoch,
                                     .sequence = -1,
                                     .raises_epoch = r->version >= TXN_ADDS_VERSION};
    int16_t error;
    if (coordinator_is_loading(broker_of(r)->groups,
                               t->shard)) // nor is its log waited for, which is being read
        return E_COORDINATOR_LOAD_IN_PROGRESS;
    struct partition *p = replica_manager_find(broker_of(r)->replicas, topic, t->shard, &error);
    if (p)
        error = partition_verify(p, &about, clock_wall_ms(), &producer->guard);
    partition_unref(p);
    switch (error) {
    case E_UNKNOWN_TOPIC_OR_PARTITION:
        return E_COORDINATOR_NOT_AVAILABLE;
    case E_NOT_LEADER_OR_FOLLOWER:
    case E_KAFKA_STORAGE_ERROR:
        return E_NOT_COORDINATOR;
    default:
        return error;
    }
}

static void ask_transaction(struct request *r, struct txn_commit *t);

// Another guard than the one the question was put with: the marker of the transaction before has come into
// the log since, and the question is put again.
static void on_txn_answer(struct transaction_question *question)
{
    struct txn_question *q = container_of(question, struct txn_question, question);
    struct request *r = q->request;
    struct txn_commit *t = q->commit;
    int16_t error = transaction_answer(question, 0, 0);
    transaction_question_free(question);
    free(q);
    if (!r)
        return;
    int64_t before = t->message.producer.guard;
    if (error == E_NONE)
        error = verify_group(r, t);
    if (error == E_NONE && t->message.producer.guard != LOG_NO_GUARD && t->message.producer.guard != before)
        ask_transaction(r, t);
    else
        go_on(r, t, error);
}

static void on_cancel_question(struct request *r)
{
    ((struct txn_question *)r->parked)->request = NULL;
}

static void ask_transaction(struct request *r, struct txn_commit *t)
{
    const struct txn_offset_commit_request *m = r->message;
    struct txn_question *q = calloc(1, sizeof *q);
    if (!q) {
        out_of_memory(r);
        return;
    }
    q->request = r;
    q->commit = t;
    q->partition = t->shard;
    q->topic.name = STR(GROUP_TOPIC);
    q->topic.partitions = &q->partition;
    q->topic.partitions_count = 1;
    q->question.about.transactional_id = m->transactional_id;
    q->question.about.producer_id = m->producer_id;
    q->question.about.producer_epoch = m->producer_epoch;
    q->question.about.verify_only = r->version < TXN_ADDS_VERSION;
    q->question.about.topics = &q->topic;
    q->question.about.topics_count = 1;
    q->question.reply_to = &r->reactor->loop;
    q->question.done = on_txn_answer;
    if (transaction_ask(broker_of(r), &q->question))
        on_txn_answer(&q->question);
    else
        request_park(r, PARK_STALL, on_cancel_question, q);
}

// The request in OffsetCommit's shape. 0 or ERR_NOMEM.
static int as_commit(struct request *r, struct offset_commit_request *out)
{
    const struct txn_offset_commit_request *m = r->message;
    *out = offset_commit_request_default;
    out->group_id = m->group_id;
    out->member_id = m->member_id;
    out->group_instance_id = m->group_instance_id;
    out->generation_id_or_member_epoch = m->generation_id;
    out->topics = offset_commit_request_offset_commit_request_topic_new(&r->arena, m->topics_count);
    for (int32_t i = 0; out->topics && i < m->topics_count; i++) {
        const struct txn_offset_commit_request_txn_offset_commit_request_topic *from = &m->topics[i];
        struct offset_commit_request_offset_commit_request_topic *to = &out->topics[out->topics_count++];
        to->name = from->name;
        to->partitions =
            offset_commit_request_offset_commit_request_partition_new(&r->arena, from->partitions_count);
        if (!to->partitions)
            return ERR_NOMEM;
        to->partitions_count = from->partitions_count;
        for (int32_t k = 0; k < from->partitions_count; k++) {
            to->partitions[k].partition_index = from->partitions[k].partition_index;
            to->partitions[k].committed_offset = from->partitions[k].committed_offset;
            to->partitions[k].committed_leader_epoch = from->partitions[k].committed_leader_epoch;
            to->partitions[k].committed_metadata = from->partitions[k].committed_metadata;
        }
    }
    return out->topics ? 0 : ERR_NOMEM;
}

static void refuse_txn_commit(struct request *r, struct txn_commit *t, int16_t error)
{
    t->commit.known = t->wanted;
    t->commit.answer.topics_count = 0;
    respond_txn_commit(r, t, NULL, error);
}

static void handle_txn_offset_commit(struct request *r)
{
    const struct txn_offset_commit_request *m = r->message;
    struct broker *b = broker_of(r);
    struct txn_commit *t = arena_zalloc(&r->arena, 1, sizeof *t);
    if (!t || as_commit(r, &t->wanted) || sort_topics(r, &t->commit, &t->wanted)) {
        out_of_memory(r);
        return;
    }
    // Kafka records no ids with a transaction's offsets.
    for (int32_t i = 0; i < t->commit.known.topics_count; i++)
        t->commit.known.topics[i].topic_id = (struct uuid){0};
    t->shard = coordinator_partition(b->groups, m->group_id);
    t->message.commit = t->commit.known;
    t->message.producer =
        (struct coordinator_producer){.producer_id = m->producer_id, .epoch = m->producer_epoch};
    if (!request_authorize(r, ACL_WRITE, RESOURCE_TRANSACTIONAL_ID, m->transactional_id)) {
        refuse_txn_commit(r, t, E_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
        return;
    }
    if (!request_authorize(r, ACL_READ, RESOURCE_GROUP, m->group_id)) {
        refuse_txn_commit(r, t, E_GROUP_AUTHORIZATION_FAILED);
        return;
    }
    if (t->commit.known.topics_count == 0 || m->group_id.size == 0) {
        respond_txn_commit(r, t, NULL, E_INVALID_GROUP_ID);
        return;
    }
    if (!broker_config_now(b)->verify_transactions && r->version < TXN_ADDS_VERSION) {
        commit_to_group(r, t);
        return;
    }
    // As Kafka, which says what is wrong with the transaction before it says that the group's coordinator
    // loads.
    bool loads = coordinator_is_loading(b->groups, t->shard);
    int16_t error = loads ? E_NONE : verify_group(r, t);
    if (loads || (error == E_NONE && t->message.producer.guard != LOG_NO_GUARD))
        ask_transaction(r, t);
    else
        go_on(r, t, error);
}

const struct api_handler txn_offset_commit_handler = {.api_key = 28,
                                                      .min_version = 0,
                                                      .max_version = 5,
                                                      .advertised_min_version = -1,
                                                      .listeners = LISTENER_BROKER,
                                                      .handle = handle_txn_offset_commit};

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
    if (d->answer.topics_count ==
        0) { // nothing to merge with: a topic named twice is answered twice, as by Kafka
        d->answer.topics = part->topics;
        d->answer.topics_count = part->topics_count;
        return 0;
    }
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
