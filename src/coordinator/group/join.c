// JoinGroup.
#include "coordinator/group/consumer.h"

#include <stdlib.h>

#define MEMBER_ID_VERSION       4 // from here on a new member first gets its id and then joins (KIP-394)
#define SKIP_ASSIGNMENT_VERSION 9 // KIP-814

// What a static member was before it came back under another id.
struct replaced {
    struct str member_id, leader_id;
    struct protocol *protocols;
    uint32_t protocols_count;
    int32_t rebalance_timeout_ms, session_timeout_ms;
};

static void answer_error(struct turn *t, struct coordinator_request *r, int16_t error, struct str member_id)
{
    answer(t, r, join_response(r, error, member_id));
}

static struct str new_member_id(const struct turn *t, struct coordinator_request *r,
                                const struct join_group_request *q)
{
    const struct group_config *c = t->groups->config;
    struct uuid id = c->new_id(c->new_id_context);
    const uint8_t *b = id.bytes;
    struct str prefix = q->group_instance_id.data ? q->group_instance_id
                        : r->client_id.data       ? r->client_id
                                                  : STR("null");
    return arena_printf(&r->arena,
                        "%.*s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                        STR_ARG(prefix), b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10],
                        b[11], b[12], b[13], b[14], b[15]);
}

static bool supports(const struct group *g, const struct join_group_request *q)
{
    if (g->state == GROUP_EMPTY)
        return q->protocol_type.size > 0 && q->protocols_count > 0;
    if (!str_equal(g->protocol_type, q->protocol_type))
        return false;
    for (int32_t i = 0; i < q->protocols_count; i++)
        if (votes_of(g, q->protocols[i].name) == g->members_count)
            return true;
    return false;
}

static bool has_room(const struct turn *t, const struct group *g, struct str member_id)
{
    uint32_t limit = (uint32_t)t->groups->config->max_size;
    const struct member *m = member_find(g, member_id);
    switch (g->state) {
    case GROUP_PREPARING: // the last ones to come back to a group that is too large find no place
        return (m && m->joining) || g->joining_count < limit;
    case GROUP_COMPLETING:
    case GROUP_STABLE:
        return m || g->members_count < limit;
    default:
        return true;
    }
}

static void update(struct turn *t, struct member *m, struct coordinator_request *r,
                   const struct join_group_request *q)
{
    member_set_protocols(m, q->protocols, q->protocols_count);
    m->rebalance_timeout_ms = r->version >= 1 ? q->rebalance_timeout_ms : q->session_timeout_ms;
    m->session_timeout_ms = q->session_timeout_ms;
    member_wait_join(t, m, r);
}

static void add_member(struct turn *t, struct group *g, struct coordinator_request *r,
                       const struct join_group_request *q, struct str member_id)
{
    if (g->state == GROUP_PREPARING && g->previous == GROUP_EMPTY)
        g->new_member_added = true;
    if (g->members_count == 0) {
        struct str type = state_str(q->protocol_type);
        free((void *)(uintptr_t)g->protocol_type.data);
        g->protocol_type = type;
    }
    struct member *m = member_add(g, member_id, q->group_instance_id, r->client_id, r->client_host);
    m->is_new = true;
    update(t, m, r, q);
    heartbeat_restart(t, m);
    rebalance_or_complete(t, g);
}

// A static member that comes back (KIP-345).

static void fence_old(struct turn *t, struct member *m)
{
    if (m->joining)
        member_answer_join(t, m, join_response(m->joining, E_FENCED_INSTANCE_ID, m->id));
    if (m->syncing) {
        struct sync_group_response *out = sync_group_response_new(&m->syncing->arena, 1);
        if (out)
            out->error_code = E_FENCED_INSTANCE_ID;
        answer(t, m->syncing, out);
        m->syncing = NULL;
    }
}

static struct replaced *remember(const struct member *m)
{
    struct replaced *old = state_alloc(sizeof *old);
    old->member_id = state_str(m->id);
    old->leader_id = m->group->leader ? state_str(m->group->leader->id) : STR_NULL;
    old->rebalance_timeout_ms = m->rebalance_timeout_ms;
    old->session_timeout_ms = m->session_timeout_ms;
    old->protocols = state_array(NULL, m->protocols_count, sizeof *old->protocols);
    old->protocols_count = m->protocols_count;
    for (uint32_t i = 0; i < m->protocols_count; i++)
        old->protocols[i] =
            (struct protocol){state_str(m->protocols[i].name), state_bytes(m->protocols[i].metadata)};
    return old;
}

static void forget(struct replaced *old)
{
    for (uint32_t i = 0; i < old->protocols_count; i++) {
        free((void *)(uintptr_t)old->protocols[i].name.data);
        free((void *)(uintptr_t)old->protocols[i].metadata.data);
    }
    free(old->protocols);
    free((void *)(uintptr_t)old->member_id.data);
    free((void *)(uintptr_t)old->leader_id.data);
    free(old);
}

static void revert(struct turn *t, struct member *m, const struct replaced *old)
{
    struct join_group_request_join_group_request_protocol *protocols =
        state_array(NULL, old->protocols_count, sizeof *protocols);
    for (uint32_t i = 0; i < old->protocols_count; i++)
        protocols[i] = (struct join_group_request_join_group_request_protocol){old->protocols[i].name,
                                                                               old->protocols[i].metadata};
    member_set_protocols(m, protocols, (int32_t)old->protocols_count);
    free(protocols);
    m->rebalance_timeout_ms = old->rebalance_timeout_ms;
    m->session_timeout_ms = old->session_timeout_ms;
    member_rename(m, old->member_id);
    heartbeat_restart(t, m);
}

// The group goes on in its generation, with the member's new id stored.
static void keep_generation(struct turn *t, struct group *g, struct member *m, struct replaced *old)
{
    struct groups *s = t->groups;
    write_group(t, g);
    s->then = THEN_REPLACED;
    s->then_member = m;
    s->then_replaced = old;
}

void settle_replaced(struct turn *t, int16_t error)
{
    struct member *m = t->groups->then_member;
    struct replaced *old = t->groups->then_replaced;
    struct coordinator_request *r = m->joining;
    struct join_group_response *out;
    bool skips = r->version >= SKIP_ASSIGNMENT_VERSION;
    bool leads = m->group->leader == m;
    if (error == E_NONE) {
        out = join_result(r, m, skips && leads);
        if (out && skips)
            out->skip_assignment = leads;
        else if (out) // an old client that reads that it leads would assign anew
            out->leader = arena_str(&r->arena, old->leader_id);
        member_answer_join(t, m, out);
    } else {
        out = join_result(r, m, false);
        if (out) {
            out->error_code = error;
            out->member_id = STR("");
            out->leader = arena_str(&r->arena, old->leader_id);
        }
        member_answer_join(t, m, out);
        revert(t, m, old);
    }
    forget(old);
}

static void replace_static(struct turn *t, struct group *g, struct member *m, struct coordinator_request *r,
                           const struct join_group_request *q, struct str new_id)
{
    struct replaced *old = remember(m);
    fence_old(t, m);
    member_rename(m, new_id);
    m->is_new = false;
    if (m->pending_sync)
        g->pending_syncs--;
    m->pending_sync = false;
    heartbeat_restart(t, m);
    update(t, m, r, q);
    if (g->state == GROUP_STABLE && str_equal(g->protocol, group_select_protocol(g))) {
        keep_generation(t, g, m, old);
        return;
    }
    forget(old);
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        prepare_rebalance(t, g); // the leader may know the old id already
    else
        maybe_complete_join(t, g);
}

static void join_new(struct turn *t, struct group *g, struct coordinator_request *r,
                     const struct join_group_request *q)
{
    if (!supports(g, q)) {
        answer_error(t, r, E_INCONSISTENT_GROUP_PROTOCOL, STR(""));
        return;
    }
    struct str id = new_member_id(t, r, q);
    struct member *known = q->group_instance_id.data ? member_static(g, q->group_instance_id) : NULL;
    if (known) {
        replace_static(t, g, known, r, q, id);
    } else if (!q->group_instance_id.data && r->version >= MEMBER_ID_VERSION) {
        pending_add(t, g, id, q->session_timeout_ms);
        answer_error(t, r, E_MEMBER_ID_REQUIRED, id);
    } else {
        add_member(t, g, r, q, id);
    }
}

static void join_again(struct turn *t, struct group *g, struct coordinator_request *r,
                       const struct join_group_request *q)
{
    struct pending *pending = pending_find(g, q->member_id);
    if (!supports(g, q)) {
        answer_error(t, r, E_INCONSISTENT_GROUP_PROTOCOL, q->member_id);
        return;
    }
    if (pending) {
        if (q->group_instance_id.data) { // such an id is given to dynamic members only
            answer_error(t, r, E_UNKNOWN_SERVER_ERROR, STR(""));
            return;
        }
        pending_remove(pending);
        add_member(t, g, r, q, q->member_id);
        return;
    }
    int16_t error = member_check(g, q->member_id, q->group_instance_id);
    if (error != E_NONE || g->state == GROUP_EMPTY) {
        answer_error(t, r, error != E_NONE ? error : E_UNKNOWN_MEMBER_ID, q->member_id);
        return;
    }
    struct member *m = member_find(g, q->member_id);
    bool leads = m == g->leader, same = member_has_protocols(m, q->protocols, q->protocols_count);
    // The leader of a stable group joins because it knows of a reason, e.g. that a topic has grown. Others
    // who bring nothing new have lost an answer.
    bool lost_answer = same && (g->state == GROUP_COMPLETING || (g->state == GROUP_STABLE && !leads));
    if (lost_answer) {
        answer(t, r, join_result(r, m, g->state == GROUP_COMPLETING && leads));
        return;
    }
    update(t, m, r, q);
    rebalance_or_complete(t, g);
}

void settle_created(struct turn *t, int16_t error)
{
    struct group *g = t->groups->then_group;
    if (error == E_NONE)
        return;
    for (struct list *n = list_first(&g->members), *next; list_each(&g->members, n, next); n = next) {
        struct member *m = container_of(n, struct member, node);
        if (m->joining)
            member_answer_join(t, m, join_response(m->joining, error, STR("")));
    }
    group_remove(g);
}

// A consumer group that has members takes in one of the classic protocol; an empty one makes way for who is
// new.
static void join_consumers(struct turn *t, struct group *g, struct coordinator_request *r,
                           const struct join_group_request *q)
{
    if (group_is_empty(g) && q->member_id.size > 0) {
        answer_error(t, r, E_UNKNOWN_MEMBER_ID, q->member_id);
        return;
    }
    if (group_is_empty(g)) {
        write_consumer_group_tombstones(t, g);
        t->groups->then = THEN_AGAIN;
        t->groups->then_request = r;
        t->groups->then_group_id = q->group_id;
        return;
    }
    bool unknown = q->member_id.size == 0;
    struct str id = q->member_id;
    if (unknown) {
        char text[UUID_TEXT_BYTES];
        struct uuid uuid = t->groups->config->new_id(t->groups->config->new_id_context);
        uuid_text(&uuid, text);
        id = arena_str(&r->arena, str_from(text));
    }
    if (!consumer_member_find(g, id) &&
        g->consumer->members.count >= (size_t)t->groups->config->consumer_max_size)
        answer_error(t, r, E_GROUP_MAX_SIZE_REACHED, STR("")); // here Kafka names nobody, else who asked
    else if (!consumer_supports_classic(g, q))
        answer_error(t, r, E_INCONSISTENT_GROUP_PROTOCOL, STR(""));
    else if (unknown && !q->group_instance_id.data && r->version >= MEMBER_ID_VERSION)
        answer_error(t, r, E_MEMBER_ID_REQUIRED, id);
    else
        consumer_classic_join(t, g, r, id);
}

void on_join(struct turn *t, struct coordinator_request *r)
{
    const struct join_group_request *q = r->message;
    struct groups *s = t->groups;
    struct group *g = group_find(s, q->group_id);
    bool is_new = !g, unknown = q->member_id.size == 0;
    if (!g && !unknown) {
        answer_error(t, r, E_UNKNOWN_MEMBER_ID, q->member_id);
        return;
    }
    if (g && g->consumer) {
        join_consumers(t, g, r, q);
        return;
    }
    if (g && g->type != GROUP_CLASSIC) {
        answer_error(t, r, E_INCONSISTENT_GROUP_PROTOCOL, STR(""));
        return;
    }
    if (!g)
        g = group_create(s, q->group_id, t->now.wall_ms);
    if (!has_room(t, g, q->member_id)) {
        struct pending *p = pending_find(g, q->member_id);
        struct member *m = member_find(g, q->member_id);
        if (p)
            pending_remove(p);
        if (m)
            member_remove(t, m);
        answer_error(t, r, E_GROUP_MAX_SIZE_REACHED, STR(""));
    } else if (unknown) {
        join_new(t, g, r, q);
    } else {
        join_again(t, g, r, q);
    }
    if (is_new) {
        write_empty_group(t, g);
        s->then = THEN_CREATED;
        s->then_group = g;
    }
}
