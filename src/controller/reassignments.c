// AlterPartitionReassignments (KIP-455): other replicas for a partition, and back.
//
// What is added joins the replicas at once, as `adding`; what is to go stays, as `removing`, until everything
// that was added is in the ISR (partition_change.c ends it then).
#include "base/error.h"
#include "controller/controller_internal.h"

#include <stdlib.h>

struct reassignment {
    struct step *step;
    struct arena *arena;
    const struct image_topic *topic;
    const struct image_partition *p;
    const struct alter_partition_reassignments_request_reassignable_partition *wish;
    struct alter_partition_reassignments_response_reassignable_partition_response *out;
    bool factor_may_change;
};

static int fail(struct reassignment *r, int16_t error, struct str message)
{
    r->out->error_code = error;
    r->out->error_message = message;
    return 0;
}

static bool has(const int32_t *ids, uint32_t count, int32_t id)
{
    for (uint32_t i = 0; i < count; i++)
        if (ids[i] == id)
            return true;
    return false;
}

static int compare_ids(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

// What is in a and not in b, ascending.
static int difference(struct arena *arena, const int32_t *a, uint32_t a_count, const int32_t *b,
                      uint32_t b_count, struct replica_set *out)
{
    *out = (struct replica_set){arena_alloc(arena, (a_count + 1) * sizeof *out->ids), 0};
    if (!out->ids)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < a_count; i++)
        if (!has(b, b_count, a[i]))
            out->ids[out->count++] = a[i];
    qsort(out->ids, out->count, sizeof *out->ids, compare_ids);
    return 0;
}

// How many replicas the partition has, or will have when what goes on is over.
static uint32_t factor_of(const struct image_partition *p)
{
    return p->replicas_count - p->removing_count;
}

static int change(struct reassignment *r)
{
    const struct image_partition *p = r->p;
    const int32_t *target = r->wish->replicas;
    uint32_t count = (uint32_t)r->wish->replicas_count;
    struct replica_set removing, adding, replicas;
    struct str problem;
    int rc = check_manual_replicas(r->step->c->image, target, (int32_t)count, -1, r->arena, &problem);
    if (rc)
        return rc == ERR_INVALID ? fail(r, E_INVALID_REPLICA_ASSIGNMENT, problem) : rc;
    if (!r->factor_may_change && count != factor_of(p))
        return fail(
            r, E_INVALID_REPLICATION_FACTOR,
            arena_printf(r->arena, "The replication factor is changed from %u to %u", factor_of(p), count));
    replicas.ids = arena_alloc(r->arena, (count + p->replicas_count) * sizeof *replicas.ids);
    if (!replicas.ids || difference(r->arena, p->replicas, p->replicas_count, target, count, &removing) ||
        difference(r->arena, target, count, p->replicas, p->replicas_count, &adding))
        return ERR_NOMEM;
    memcpy(replicas.ids, target, count * sizeof *target);
    if (removing.count)
        memcpy(replicas.ids + count, removing.ids, removing.count * sizeof *removing.ids);
    replicas.count = count + removing.count;
    struct partition_wish wish = {.replicas = &replicas,
                                  .removing = removing.count ? &removing : NULL,
                                  .adding = adding.count ? &adding : NULL};
    partition_change(r->step, r->topic, p, &wish);
    return 0;
}

static int cancel(struct reassignment *r)
{
    const struct image_partition *p = r->p;
    struct replica_set replicas, isr, none = {NULL, 0};
    if (!p->removing_count && !p->adding_count)
        return fail(r, E_NO_REASSIGNMENT_IN_PROGRESS, STR_NULL);
    replicas = isr = none;
    replicas.ids = arena_alloc(r->arena, p->replicas_count * sizeof *replicas.ids);
    isr.ids = arena_alloc(r->arena, (p->isr_count + 1) * sizeof *isr.ids);
    if (!replicas.ids || !isr.ids)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < p->replicas_count; i++)
        if (!has(p->adding, p->adding_count, p->replicas[i]))
            replicas.ids[replicas.count++] = p->replicas[i];
    for (uint32_t i = 0; i < p->isr_count; i++)
        if (!has(p->adding, p->adding_count, p->isr[i]))
            isr.ids[isr.count++] = p->isr[i];
    if (!replicas.count)
        return fail(r, E_INVALID_REPLICA_ASSIGNMENT,
                    STR("Invalid replica assignment: addingReplicas contains all replicas."));
    bool unclean = topic_allows_unclean_election(r->step->c->image, r->topic);
    if (!isr.count && !unclean)
        return fail(
            r, E_INVALID_REPLICA_ASSIGNMENT,
            arena_printf(r->arena,
                         "Unable to revert partition assignment for %.*s:%d because it would require an "
                         "unclean leader election.",
                         STR_ARG(r->topic->name), p->id));
    if (!isr.count)
        isr.ids[isr.count++] = replicas.ids[0];
    struct partition_wish wish = {.election = unclean ? ELECT_UNCLEAN : ELECT_ONLINE,
                                  .isr = &isr,
                                  .replicas = &replicas,
                                  .removing = &none,
                                  .adding = &none};
    partition_change(r->step, r->topic, p, &wish);
    return 0;
}

static int alter_one(struct reassignment *r, struct str name)
{
    r->out->partition_index = r->wish->partition_index;
    r->out->error_message = STR_NULL;
    r->p = r->topic ? image_partition(r->topic, r->wish->partition_index) : NULL;
    if (!r->topic)
        return fail(r, E_UNKNOWN_TOPIC_OR_PARTITION,
                    arena_printf(r->arena, "Unable to find a topic named %.*s.", STR_ARG(name)));
    if (!r->p)
        return fail(r, E_UNKNOWN_TOPIC_OR_PARTITION,
                    arena_printf(r->arena, "Unable to find partition %.*s:%d.", STR_ARG(name),
                                 r->wish->partition_index));
    return r->wish->replicas_count < 0 ? cancel(r) : change(r);
}

static int alter_topic(struct step *s, const struct alter_partition_reassignments_request *q,
                       const struct alter_partition_reassignments_request_reassignable_topic *topic,
                       struct alter_partition_reassignments_response_reassignable_topic_response *out)
{
    struct arena *arena = &s->event->arena;
    out->name = topic->name;
    out->partitions = alter_partition_reassignments_response_reassignable_partition_response_new(
        arena, topic->partitions_count);
    if (!out->partitions)
        return ERR_NOMEM;
    out->partitions_count = topic->partitions_count;
    for (int32_t i = 0; i < topic->partitions_count; i++) {
        struct reassignment r = {.step = s,
                                 .arena = arena,
                                 .topic = image_topic(s->c->image, topic->name),
                                 .wish = &topic->partitions[i],
                                 .out = &out->partitions[i],
                                 .factor_may_change = q->allow_replication_factor_change};
        int rc = alter_one(&r, topic->name);
        if (rc)
            return rc;
    }
    return 0;
}

int on_alter_reassignments(struct step *s)
{
    const struct alter_partition_reassignments_request *q = s->event->request;
    struct alter_partition_reassignments_response *response =
        step_respond(s, &alter_partition_reassignments_response_type);
    if (!response)
        return ERR_NOMEM;
    if (q->topics_count == 0) { // nothing but defaults, as in Kafka
        response->error_message = STR("");
        return 0;
    }
    response->allow_replication_factor_change = q->allow_replication_factor_change;
    response->error_message = STR_NULL;
    response->responses = alter_partition_reassignments_response_reassignable_topic_response_new(
        &s->event->arena, q->topics_count);
    if (!response->responses)
        return ERR_NOMEM;
    response->responses_count = q->topics_count;
    for (int32_t i = 0; i < q->topics_count; i++) {
        int rc = alter_topic(s, q, &q->topics[i], &response->responses[i]);
        if (rc)
            return rc;
    }
    return 0;
}
