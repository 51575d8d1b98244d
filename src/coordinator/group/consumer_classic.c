// Members of a consumer group that use the classic protocol, as they may while a group goes over from one
// protocol to the other: what they send, and how a group becomes one of the other protocol (KIP-848, "Online
// Migration").
#include "coordinator/group/consumer.h"

#include <stdlib.h>

#define SUBSCRIPTION_MAX_VERSION 3
#define CONSUMER_TYPE            STR("consumer")

static void *need(void *memory)
{
    if (!memory)
        state_array(NULL, SIZE_MAX, 1); // out of memory: ends the process
    return memory;
}

// What clients pass each other through the coordinator

// A message of the consumer protocol with its version in front; one of a newer version reads as the newest.
static bool decode(const struct message_type *type, struct bytes in, struct arena *arena, void *out)
{
    if (in.size < 2)
        return false;
    int16_t version = (int16_t)load_be16(in.data);
    version = version > SUBSCRIPTION_MAX_VERSION ? SUBSCRIPTION_MAX_VERSION : version;
    return version >= 0 &&
           message_decode(type, version, (struct bytes){in.data + 2, in.size - 2}, arena, out, NULL) == 0;
}

static bool add_partitions(struct turn *t, struct arena *arena, struct str topic, const int32_t *partitions,
                           int32_t count, struct assignment *a, uint32_t *capacity)
{
    const struct group_metadata *metadata = &t->groups->config->metadata;
    struct group_topic known;
    if (!metadata->topic(metadata->context, topic, &known))
        return true;
    if (a->count + (uint32_t)count > *capacity) {
        *capacity = 2 * (a->count + (uint32_t)count);
        struct topic_partition *grown = arena_alloc(arena, *capacity * sizeof *grown);
        if (!grown)
            return false;
        if (a->count > 0)
            memcpy(grown, a->items, a->count * sizeof *grown);
        a->items = grown;
    }
    for (int32_t i = 0; i < count; i++)
        a->items[a->count++] = (struct topic_partition){known.id, partitions[i], 0};
    return true;
}

bool consumer_read_subscription(struct turn *t, struct bytes in, struct arena *arena,
                                struct consumer_protocol_subscription *out, struct assignment *owned)
{
    uint32_t capacity = 0;
    *owned = (struct assignment){0};
    if (!decode(&consumer_protocol_subscription_type, in, arena, out))
        return false;
    for (int32_t i = 0; i < out->owned_partitions_count; i++) {
        const struct consumer_protocol_subscription_topic_partition *p = &out->owned_partitions[i];
        if (!add_partitions(t, arena, p->topic, p->partitions, p->partitions_count, owned, &capacity))
            return false;
    }
    *owned = assignment_make(owned->items, owned->count);
    return true;
}

static bool read_assignment(struct turn *t, struct bytes in, struct arena *arena, struct assignment *out)
{
    struct consumer_protocol_assignment read;
    uint32_t capacity = 0;
    *out = (struct assignment){0};
    if (in.size == 0)
        return true; // it has none yet
    if (!decode(&consumer_protocol_assignment_type, in, arena, &read))
        return false;
    for (int32_t i = 0; i < read.assigned_partitions_count; i++) {
        const struct consumer_protocol_assignment_topic_partition *p = &read.assigned_partitions[i];
        if (!add_partitions(t, arena, p->topic, p->partitions, p->partitions_count, out, &capacity))
            return false;
    }
    *out = assignment_make(out->items, out->count);
    return true;
}

// In the version in which the member subscribes. A null view: out of memory.
static struct bytes write_assignment(struct turn *t, const struct assignment *a, struct bytes subscription,
                                     struct arena *arena)
{
    const struct group_metadata *metadata = &t->groups->config->metadata;
    struct consumer_protocol_assignment out;
    message_init(&consumer_protocol_assignment_type, &out);
    out.assigned_partitions =
        consumer_protocol_assignment_topic_partition_new(arena, (int32_t)assignment_topics(a));
    if (!out.assigned_partitions)
        return BYTES_NULL;
    for (uint32_t at = 0, end; at < a->count; at = end) {
        end = assignment_topic_end(a, at);
        struct str name = metadata->topic_name(metadata->context, &a->items[at].topic);
        if (!name.data)
            continue; // deleted
        struct consumer_protocol_assignment_topic_partition *o =
            &out.assigned_partitions[out.assigned_partitions_count++];
        o->topic = name;
        o->partitions = arena_alloc(arena, (end - at) * sizeof *o->partitions);
        if (!o->partitions)
            return BYTES_NULL;
        for (uint32_t i = at; i < end; i++)
            o->partitions[o->partitions_count++] = a->items[i].partition;
    }
    int16_t version = subscription.size >= 2 ? (int16_t)load_be16(subscription.data) : 0;
    version = version < 0 ? 0 : version > SUBSCRIPTION_MAX_VERSION ? SUBSCRIPTION_MAX_VERSION : version;
    struct bytes body;
    if (message_to_bytes(&consumer_protocol_assignment_type, version, &out, arena, &body))
        return BYTES_NULL;
    uint8_t *whole = arena_alloc(arena, body.size + 2);
    if (!whole)
        return BYTES_NULL;
    store_be16(whole, (uint16_t)version);
    memcpy(whole + 2, body.data, body.size);
    return (struct bytes){whole, body.size + 2};
}

// A classic group becomes one of the consumer protocol

bool consumer_may_upgrade(const struct turn *t, const struct group *g)
{
    const struct group_config *config = t->groups->config;
    return config->consumer_upgrade && g->type == GROUP_CLASSIC && group_uses_consumer_protocol(g) &&
           g->members_count <= (uint32_t)config->consumer_max_size;
}

// Who waits is told to come again: it joins the group that it finds then.
static void send_away(struct turn *t, struct group *g)
{
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next) {
        struct member *m = container_of(n, struct member, node);
        if (m->joining)
            member_answer_join(t, m, join_response(m->joining, E_REBALANCE_IN_PROGRESS, m->id));
        if (!m->syncing)
            continue;
        struct sync_group_response *out = sync_group_response_new(&m->syncing->arena, 1);
        if (out)
            out->error_code = E_REBALANCE_IN_PROGRESS;
        answer(t, m->syncing, out);
        m->syncing = NULL;
    }
}

struct converted {
    struct str id;
    struct consumer_subscription subscription;
    struct consumer_group_member_metadata_value_classic_member_metadata classic;
    struct consumer_position at;
    struct assignment maybe; // what it may own besides
};

// What it owns. In the middle of a rebalance that is what it said as it joined, until it has been given its
// new assignment; of one that has yet to join, either. Kafka goes by the assignment alone, which the
// beginning of a rebalance may have taken away: others get then what the member still has.
static void note_owned(const struct member *m, const struct assignment *assigned,
                       const struct assignment *said, struct converted *out)
{
    enum group_state state = m->group->state;
    bool has_joined = state == GROUP_COMPLETING || m->joining || m->pending_sync;
    out->at.assigned = has_joined ? *said : *assigned;
    if (!has_joined && state == GROUP_PREPARING)
        out->maybe = *said;
}

static bool convert(struct turn *t, const struct member *m, struct arena *arena, struct converted *out)
{
    const struct group *g = m->group;
    const struct protocol *p = member_protocol(m, g->protocol);
    p = p ? p : m->protocols_count > 0 ? &m->protocols[0] : NULL;
    struct consumer_protocol_subscription read;
    struct assignment said, assigned;
    if (!p || !consumer_read_subscription(t, p->metadata, arena, &read, &said) ||
        !read_assignment(t, m->assignment, arena, &assigned))
        return false;
    note_owned(m, &assigned, &said, out);
    out->id = m->id;
    out->classic.session_timeout_ms = m->session_timeout_ms;
    out->classic.supported_protocols =
        need(consumer_group_member_metadata_value_classic_protocol_new(arena, (int32_t)m->protocols_count));
    for (uint32_t i = 0; i < m->protocols_count; i++)
        out->classic.supported_protocols[out->classic.supported_protocols_count++] =
            (struct consumer_group_member_metadata_value_classic_protocol){m->protocols[i].name,
                                                                           m->protocols[i].metadata};
    out->subscription = (struct consumer_subscription){.instance_id = m->instance_id,
                                                       .rack_id = read.rack_id,
                                                       .client_id = m->client_id,
                                                       .client_host = m->client_host,
                                                       .regex = STR(""),
                                                       .topics = read.topics,
                                                       .topics_count = read.topics_count,
                                                       .rebalance_timeout_ms = m->rebalance_timeout_ms,
                                                       .classic = &out->classic};
    out->subscription.topics_count = consumer_sort_names(read.topics, read.topics_count);
    out->at.state = CONSUMER_STABLE;
    out->at.epoch = out->at.previous_epoch = g->generation;
    return true;
}

// Gives a member of `from` what nobody has yet.
static void give(struct arena *arena, const struct assignment *from, struct assignment *taken,
                 struct assignment *to)
{
    struct assignment rest;
    if (!assignment_combine(arena, from, taken, ASSIGNMENT_MINUS, &rest) ||
        !assignment_combine(arena, to, &rest, ASSIGNMENT_EITHER, to) ||
        !assignment_combine(arena, taken, &rest, ASSIGNMENT_EITHER, taken))
        need(NULL);
}

// Nobody has what another member has.
static void part(struct arena *arena, struct converted *members, uint32_t count, int32_t generation)
{
    struct assignment taken = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct assignment owned = members[i].at.assigned;
        members[i].at.assigned = (struct assignment){0};
        give(arena, &owned, &taken, &members[i].at.assigned);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct assignment *a = &members[i].at.assigned;
        give(arena, &members[i].maybe, &taken, a);
        for (uint32_t k = 0; k < a->count; k++)
            a->items[k].epoch = generation;
    }
}

static bool write_upgrade(struct turn *t, struct group *g)
{
    struct arena *arena = &t->effects->arena;
    struct converted *members = need(arena_zalloc(arena, g->members_count, sizeof *members));
    uint32_t count = 0;
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next)
        if (!convert(t, container_of(n, struct member, node), arena, &members[count++]))
            return false;
    part(arena, members, count, g->generation);
    write_group_tombstone(t, g->id);
    for (uint32_t i = 0; i < count; i++)
        write_consumer_member(t, g->id, members[i].id, &members[i].subscription);
    write_consumer_group(t, g->id, g->generation, 0);
    for (uint32_t i = 0; i < count; i++)
        write_consumer_target(t, g->id, members[i].id, &members[i].at.assigned);
    write_consumer_target_epoch(t, g->id, g->generation, 0);
    for (uint32_t i = 0; i < count; i++)
        write_consumer_position(t, g->id, members[i].id, &members[i].at);
    return true;
}

// A group that goes over takes in who asks for it in the same batch of records, or does not go over: after a
// crash nobody finds one without the other. So what the records will make of it is looked at aside, as the
// state of a shard of its own, and there the request is served.
bool consumer_upgrade(struct turn *t, struct group *g, struct coordinator_request *r)
{
    if (!write_upgrade(t, g))
        return false;
    struct groups *s = t->groups, *aside = group_machine.create(s->config);
    for (size_t i = 0; i < t->effects->records_count; i++)
        group_machine.replay(aside, &t->effects->records[i], -1, -1);
    struct turn there = {aside, t->now, t->effects};
    on_consumer_heartbeat(&there, r);
    if (aside->then == THEN_HEARTBEAT) {
        s->then = aside->then;
        s->then_request = aside->then_request;
        s->then_group_id = aside->then_group_id;
        s->then_member_id = aside->then_member_id;
        s->then_moved = aside->then_moved;
        s->then_assigns = aside->then_assigns;
        s->then_upgraded = true;
        send_away(t, g);
    } else {
        coordinator_effects_reset(t->effects); // it was refused
    }
    group_machine.destroy(aside);
    return true;
}

void settle_again(struct turn *t, int16_t error)
{
    if (error != E_NONE)
        refuse(t, t->groups->then_request, error);
    else
        t->effects->again = true;
}

// And back, once no other member than classic ones is left

bool consumer_may_downgrade(const struct turn *t, const struct group *g, const struct map *gone)
{
    const struct group_config *config = t->groups->config;
    const struct consumer_group *c = g->consumer;
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&c->members, &i));) {
        const struct consumer_member *m = e->value;
        if (!map_get(gone, m->id) && !m->subscription.classic)
            return false;
    }
    return c->members.count > gone->count && config->consumer_downgrade &&
           c->members.count - gone->count <= (size_t)config->max_size;
}

static const struct consumer_group_member_metadata_value_classic_protocol *
supported(const struct consumer_member *m, struct str name)
{
    const struct consumer_group_member_metadata_value_classic_member_metadata *c = m->subscription.classic;
    for (int32_t i = 0; c && i < c->supported_protocols_count; i++)
        if (str_equal(c->supported_protocols[i].name, name))
            return &c->supported_protocols[i];
    return NULL;
}

// Whether every classic member supports the protocol, but those that leave (NULL: nobody does).
static bool all_support(const struct group *g, struct str name, const struct map *gone)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&g->consumer->members, &i));) {
        const struct consumer_member *m = e->value;
        if (!(gone && map_get(gone, m->id)) && m->subscription.classic && !supported(m, name))
            return false;
    }
    return true;
}

// The first, as the first member prefers them, that all support.
static struct str common_protocol(const struct group *g, const struct map *gone)
{
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&g->consumer->members, &i));) {
        const struct consumer_member *m = e->value;
        if (map_get(gone, m->id))
            continue;
        for (int32_t k = 0; k < m->subscription.classic->supported_protocols_count; k++) {
            struct str name = m->subscription.classic->supported_protocols[k].name;
            if (all_support(g, name, gone))
                return name;
        }
        break;
    }
    return STR("");
}

void consumer_downgrade(struct turn *t, const struct group *g, const struct map *gone)
{
    struct arena *arena = &t->effects->arena;
    struct str id = arena_str(arena, g->id);
    need((void *)(uintptr_t)id.data);
    struct group_metadata_value value;
    message_init(&group_metadata_value_type, &value);
    value.protocol_type = CONSUMER_TYPE;
    value.generation = g->consumer->epoch;
    value.protocol = common_protocol(g, gone);
    value.current_state_timestamp = t->now.wall_ms;
    value.members =
        need(group_metadata_value_member_metadata_new(arena, (int32_t)g->consumer->members.count));
    struct map_entry *e;
    for (size_t i = 0; (e = map_next(&g->consumer->members, &i));) {
        const struct consumer_member *m = e->value;
        write_consumer_member_tombstones(t, g->id, m->id);
        if (map_get(gone, m->id))
            continue;
        const struct consumer_subscription *s = &m->subscription;
        const struct consumer_group_member_metadata_value_classic_protocol *p = supported(m, value.protocol);
        struct group_metadata_value_member_metadata *o = &value.members[value.members_count++];
        o->member_id = m->id;
        o->group_instance_id = s->instance_id;
        o->client_id = s->client_id;
        o->client_host = s->client_host;
        o->rebalance_timeout = s->rebalance_timeout_ms;
        o->session_timeout = s->classic->session_timeout_ms;
        o->subscription = p ? p->metadata : (struct bytes){(const uint8_t *)"", 0};
        // What it may own until the rebalance that follows, not (as Kafka writes) what it was to own: should
        // the group go over once more before, nobody else gets it meanwhile.
        struct assignment held;
        if (!assignment_combine(arena, &m->at.assigned, &m->at.revoking, ASSIGNMENT_EITHER, &held))
            need(NULL);
        o->assignment = write_assignment(t, &held, o->subscription, arena);
        need((void *)(uintptr_t)o->assignment.data);
        if (!value.leader.data)
            value.leader = m->id;
    }
    write_consumer_group_tombstones(t, g);
    write_group_value(t, g->id, &value);
    t->groups->then_downgraded = id;
}

void settle_downgraded(struct turn *t, struct str id)
{
    struct group *g = group_find(t->groups, id);
    if (!g || g->type != GROUP_CLASSIC || g->state != GROUP_STABLE)
        return;
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next)
        heartbeat_restart(t, container_of(n, struct member, node));
    prepare_rebalance(t, g);
}

// JoinGroup

bool consumer_supports_classic(const struct group *g, const struct join_group_request *q)
{
    if (!str_equal(q->protocol_type, CONSUMER_TYPE))
        return false;
    for (int32_t i = 0; i < q->protocols_count; i++)
        if (all_support(g, q->protocols[i].name, NULL))
            return true;
    return false;
}

// Of a member that sends classic requests: E_NONE and the member, or the error.
static int16_t find(const struct group *g, struct str id, struct str instance_id,
                    struct consumer_member **out)
{
    struct consumer_member *m =
        instance_id.data ? consumer_member_static(g, instance_id) : consumer_member_find(g, id);
    *out = m;
    if (!m)
        return E_UNKNOWN_MEMBER_ID;
    if (!str_equal(m->id, id))
        return E_FENCED_INSTANCE_ID;
    return m->subscription.classic ? E_NONE : E_UNKNOWN_MEMBER_ID;
}

// It has the rebalance timeout to join again.
static void await_join(struct turn *t, struct consumer_member *m)
{
    if (!heap_has(&m->rebalance.node))
        timer_arm(t, &m->rebalance, m->subscription.rebalance_timeout_ms);
}

// SyncGroup

static int16_t sync(struct turn *t, struct group *g, const struct sync_group_request *q,
                    struct sync_group_response *out, struct arena *arena)
{
    struct consumer_member *m;
    int16_t error = find(g, q->member_id, q->group_instance_id, &m);
    if (error != E_NONE)
        return error;
    const struct consumer_group_member_metadata_value_classic_member_metadata *c = m->subscription.classic;
    if (q->generation_id != m->at.epoch)
        return E_ILLEGAL_GENERATION;
    struct str name = c->supported_protocols_count > 0 ? c->supported_protocols[0].name : STR("");
    if ((q->protocol_type.data && !str_equal(q->protocol_type, CONSUMER_TYPE)) ||
        (q->protocol_name.data && !str_equal(q->protocol_name, name)))
        return E_INCONSISTENT_GROUP_PROTOCOL;
    if (g->consumer->epoch > m->at.epoch && m->at.state != CONSUMER_UNREVOKED) {
        await_join(t, m);
        return E_REBALANCE_IN_PROGRESS;
    }
    struct bytes subscription =
        c->supported_protocols_count > 0 ? c->supported_protocols[0].metadata : BYTES_NULL;
    out->assignment = write_assignment(t, &m->at.assigned, subscription, arena);
    if (!out->assignment.data)
        return E_UNKNOWN_SERVER_ERROR;
    out->protocol_type = arena_str(arena, q->protocol_type);
    out->protocol_name = arena_str(arena, q->protocol_name);
    timer_cancel(t->groups, &m->rebalance);
    timer_arm(t, &m->session, c->session_timeout_ms);
    return E_NONE;
}

void consumer_classic_sync(struct turn *t, struct group *g, struct coordinator_request *r)
{
    struct sync_group_response *out = sync_group_response_new(&r->arena, 1);
    if (out)
        out->error_code = sync(t, g, r->message, out, &r->arena);
    answer(t, r, out);
}

// Heartbeat

// Whether something that the member is to have, and somebody else held, is free now.
static bool waits(const struct group *g, const struct consumer_member *m)
{
    for (uint32_t i = 0; i < m->target.count; i++)
        if (!assignment_has(&m->at.assigned, &m->target.items[i]) && consumer_is_held(g, &m->target.items[i]))
            return true;
    return false;
}

int16_t consumer_classic_heartbeat(struct turn *t, struct group *g, const struct heartbeat_request *q)
{
    struct consumer_member *m;
    int16_t error = find(g, q->member_id, q->group_instance_id, &m);
    if (error != E_NONE)
        return error;
    if (q->generation_id != m->at.epoch)
        return E_ILLEGAL_GENERATION;
    timer_arm(t, &m->session, m->subscription.classic->session_timeout_ms);
    if (m->at.epoch >= g->consumer->epoch && m->at.state != CONSUMER_UNREVOKED &&
        (m->at.state != CONSUMER_UNRELEASED || waits(g, m)))
        return E_NONE;
    await_join(t, m);
    return E_REBALANCE_IN_PROGRESS;
}

// LeaveGroup

// Of whatever protocol the member is: an administrator removes members so.
static int16_t leave_one(struct group *g, const struct leave_group_request_member_identity *q,
                         struct map *gone)
{
    struct consumer_member *m = q->group_instance_id.data ? consumer_member_static(g, q->group_instance_id)
                                                          : consumer_member_find(g, q->member_id);
    if (!m)
        return E_UNKNOWN_MEMBER_ID;
    if (q->group_instance_id.data && q->member_id.size > 0 && !str_equal(m->id, q->member_id))
        return E_FENCED_INSTANCE_ID;
    if (map_put(gone, m->id, m))
        need(NULL);
    return E_NONE;
}

void consumer_classic_leave(struct turn *t, struct group *g, struct coordinator_request *r)
{
    const struct leave_group_request *q = r->message;
    struct leave_group_response *out = leave_group_response_new(&r->arena, 1);
    if (!out || !(out->members = leave_group_response_member_response_new(&r->arena, q->members_count))) {
        answer(t, r, NULL);
        return;
    }
    struct map gone = MAP_INIT;
    for (int32_t i = 0; i < q->members_count; i++) {
        struct leave_group_response_member_response *o = &out->members[out->members_count++];
        o->member_id = arena_str(&r->arena, q->members[i].member_id);
        o->group_instance_id = arena_str(&r->arena, q->members[i].group_instance_id);
        o->error_code = leave_one(g, &q->members[i], &gone);
    }
    if (gone.count > 0) {
        consumer_members_leave(t, g, &gone);
        r->response = out;
        t->groups->then = THEN_ANSWER;
        t->groups->then_request = r;
    } else {
        answer(t, r, out);
    }
    map_free(&gone);
}
