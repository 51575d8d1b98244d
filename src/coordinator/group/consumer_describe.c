// ConsumerGroupDescribe.
#include "base/java_order.h"
#include "coordinator/group/assignor.h"
#include "coordinator/group/consumer.h"

#include <stdlib.h>

#define MEMBER_CLASSIC  0
#define MEMBER_CONSUMER 1

// Of each topic what is in `first` comes first, as in Kafka.
static bool describe_assignment(struct turn *t, struct arena *arena, const struct assignment *a,
                                const struct assignment *first,
                                struct consumer_group_describe_response_assignment *out)
{
    const struct group_metadata *metadata = &t->groups->config->metadata;
    bool all = first == a;
    out->topic_partitions =
        consumer_group_describe_response_topic_partitions_new(arena, (int32_t)assignment_topics(a));
    for (uint32_t at = 0, end; out->topic_partitions && at < a->count; at = end) {
        end = assignment_topic_end(a, at);
        struct str name = metadata->topic_name(metadata->context, &a->items[at].topic);
        if (!name.data)
            continue; // deleted
        struct consumer_group_describe_response_topic_partitions *o =
            &out->topic_partitions[out->topic_partitions_count++];
        o->topic_id = a->items[at].topic;
        o->topic_name = arena_str(arena, name);
        o->partitions = arena_alloc(arena, (end - at) * sizeof *o->partitions);
        if (!o->partitions)
            return false;
        for (int later = 0; later <= !all; later++)
            for (uint32_t i = at; i < end; i++)
                if (all || assignment_has(first, &a->items[i]) != later)
                    o->partitions[o->partitions_count++] = a->items[i].partition;
    }
    return out->topic_partitions != NULL;
}

static bool describe_member(struct turn *t, struct arena *arena, const struct consumer_member *m,
                            struct consumer_group_describe_response_member *out)
{
    const struct consumer_subscription *s = &m->subscription;
    out->member_id = arena_str(arena, m->id);
    out->instance_id = arena_str(arena, s->instance_id);
    out->rack_id = arena_str(arena, s->rack_id);
    out->member_epoch = m->at.epoch;
    out->client_id = arena_str(arena, s->client_id);
    out->client_host = arena_str(arena, s->client_host);
    out->subscribed_topic_regex = arena_str(arena, s->regex);
    out->member_type = s->classic ? MEMBER_CLASSIC : MEMBER_CONSUMER;
    size_t topics = (size_t)s->topics_count, *order; // in Kafka's order, which has them in a HashSet
    out->subscribed_topic_names = arena_zalloc(arena, topics, sizeof(struct str));
    if (!out->subscribed_topic_names || java_set_order(s->topics, topics, topics, arena, &order))
        return false;
    for (size_t i = 0; i < topics; i++)
        out->subscribed_topic_names[i] = arena_str(arena, s->topics[order[i]]);
    out->subscribed_topic_names_count = s->topics_count;
    struct assignment has; // also what it is to give up
    return assignment_combine(arena, &m->at.assigned, &m->at.revoking, ASSIGNMENT_EITHER, &has) &&
           describe_assignment(t, arena, &has, &m->at.assigned, &out->assignment) &&
           describe_assignment(t, arena, &m->target, &m->target, &out->target_assignment);
}

static struct str assignor_name(const struct group_config *config, const struct consumer_group *c)
{
    size_t ranges = 0, uniforms = 0;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&c->members, &i));) {
        struct str name = ((const struct consumer_member *)e->value)->subscription.assignor;
        ranges += str_is(name, "range");
        uniforms += str_is(name, "uniform");
    }
    return ranges + uniforms == 0 ? str_from(assignor_default(config)->name)
           : ranges > uniforms    ? STR("range")
                                  : STR("uniform");
}

static int compare_ids(const void *a, const void *b)
{
    return str_compare(((const struct consumer_group_describe_response_member *)a)->member_id,
                       ((const struct consumer_group_describe_response_member *)b)->member_id);
}

static bool describe(struct turn *t, struct arena *arena, const struct group *g,
                     struct consumer_group_describe_response_described_group *out)
{
    const struct consumer_group *c = consumer_of(g);
    out->group_state = str_from(consumer_state_name(g));
    out->group_epoch = c->epoch;
    out->assignment_epoch = c->assignment_epoch;
    out->assignor_name = assignor_name(t->groups->config, c);
    out->members = consumer_group_describe_response_member_new(arena, (int32_t)c->members.count);
    if (!out->members)
        return false;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&c->members, &i));)
        if (!describe_member(t, arena, e->value, &out->members[out->members_count++]))
            return false;
    if (out->members_count > 1)
        qsort(out->members, (size_t)out->members_count, sizeof *out->members, compare_ids);
    return true;
}

void on_consumer_describe(struct turn *t, struct coordinator_request *r)
{
    const struct str *id = r->message;
    const struct group *g = group_find(t->groups, *id);
    struct consumer_group_describe_response_described_group *out =
        consumer_group_describe_response_described_group_new(&r->arena, 1);
    if (out) {
        out->group_id = arena_str(&r->arena, *id);
        if (!g || !consumer_of(g)) {
            out->error_code = E_GROUP_ID_NOT_FOUND;
            out->error_message = arena_printf(
                &r->arena, g ? "Group %.*s is not a consumer group." : "Group %.*s not found.", STR_ARG(*id));
        } else if (!describe(t, &r->arena, g, out)) {
            out = NULL;
        }
    }
    answer(t, r, out);
}
