// SyncGroup, Heartbeat and LeaveGroup: what members of a generation send.
#include "coordinator/group/consumer.h"

// SyncGroup

static void answer_sync(struct turn *t, struct coordinator_request *r, int16_t error)
{
    struct sync_group_response *out = sync_group_response_new(&r->arena, 1);
    if (out)
        out->error_code = error;
    answer(t, r, out);
}

static bool differs(struct str asked, struct str has)
{
    return asked.data && has.data && !str_equal(asked, has);
}

static int16_t check_sync(const struct group *g, const struct sync_group_request *q)
{
    if (!g || g->type != GROUP_CLASSIC || g->state == GROUP_EMPTY)
        return E_UNKNOWN_MEMBER_ID;
    int16_t error = member_check(g, q->member_id, q->group_instance_id);
    if (error != E_NONE)
        return error;
    if (q->generation_id != g->generation)
        return E_ILLEGAL_GENERATION;
    if (differs(q->protocol_type, g->protocol_type) || differs(q->protocol_name, g->protocol))
        return E_INCONSISTENT_GROUP_PROTOCOL;
    return g->state == GROUP_PREPARING ? E_REBALANCE_IN_PROGRESS : E_NONE;
}

static void has_synced(struct turn *t, struct member *m)
{
    m->group->pending_syncs -= m->pending_sync;
    m->pending_sync = false;
    if (m->group->pending_syncs == 0)
        timer_cancel(t->groups, &m->group->sync);
}

// Members that the leader does not name get nothing.
static void take_assignments(struct group *g, const struct sync_group_request *q)
{
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next)
        member_set_assignment(container_of(n, struct member, node), (struct bytes){0});
    for (int32_t i = 0; i < q->assignments_count; i++) {
        struct member *m = member_find(g, q->assignments[i].member_id);
        if (m)
            member_set_assignment(m, q->assignments[i].assignment);
    }
}

void settle_assigned(struct turn *t, int16_t error)
{
    struct group *g = t->groups->then_group;
    if (error == E_NONE) {
        propagate_assignment(t, g, E_NONE);
        set_state(t, g, GROUP_STABLE);
        return;
    }
    propagate_assignment(t, g, error);
    rebalance_or_complete(t, g);
}

void on_sync(struct turn *t, struct coordinator_request *r)
{
    const struct sync_group_request *q = r->message;
    struct group *g = group_find(t->groups, q->group_id);
    if (g && g->consumer) {
        consumer_classic_sync(t, g, r);
        return;
    }
    int16_t error = check_sync(g, q);
    if (error != E_NONE) {
        answer_sync(t, r, error);
        return;
    }
    struct member *m = member_find(g, q->member_id);
    has_synced(t, m);
    if (m->syncing)
        refuse(t, m->syncing, E_NONE); // its client has given it up
    m->syncing = r;
    if (g->state == GROUP_STABLE) {
        struct sync_group_response *out = sync_group_response_new(&r->arena, 1);
        if (out) {
            out->protocol_type = arena_str(&r->arena, g->protocol_type);
            out->protocol_name = arena_str(&r->arena, g->protocol);
            out->assignment = arena_bytes(&r->arena, m->assignment);
        }
        m->syncing = NULL;
        answer(t, r, out);
    } else if (m == g->leader) {
        take_assignments(g, q);
        write_group(t, g);
        t->groups->then = THEN_ASSIGN;
        t->groups->then_group = g;
    }
}

// Heartbeat

static int16_t heartbeat(struct turn *t, const struct heartbeat_request *q)
{
    struct group *g = group_find(t->groups, q->group_id);
    if (g && g->consumer)
        return consumer_classic_heartbeat(t, g, q);
    if (!g || g->type != GROUP_CLASSIC)
        return E_UNKNOWN_MEMBER_ID;
    int16_t error = member_check(g, q->member_id, q->group_instance_id);
    if (error != E_NONE)
        return error;
    if (q->generation_id != g->generation)
        return E_ILLEGAL_GENERATION;
    if (g->state == GROUP_EMPTY)
        return E_UNKNOWN_MEMBER_ID;
    struct member *m = member_find(g, q->member_id);
    timer_arm(t, &m->heartbeat, m->session_timeout_ms);
    return g->state == GROUP_PREPARING ? E_REBALANCE_IN_PROGRESS : E_NONE;
}

void on_heartbeat(struct turn *t, struct coordinator_request *r)
{
    struct heartbeat_response *out = heartbeat_response_new(&r->arena, 1);
    int16_t error = heartbeat(t, r->message);
    if (out)
        out->error_code = error;
    answer(t, r, out);
}

// LeaveGroup

static void leave(struct turn *t, struct member *m)
{
    if (m->joining)
        member_answer_join(t, m, join_response(m->joining, E_UNKNOWN_MEMBER_ID, STR("")));
    if (m->syncing)
        refuse(t, m->syncing, E_NONE);
    m->syncing = NULL;
    member_remove(t, m);
}

static int16_t leave_one(struct turn *t, struct group *g, const struct leave_group_request_member_identity *q)
{
    if (q->member_id.size == 0) { // an administrator names a static member by its instance
        struct member *m = q->group_instance_id.data ? member_static(g, q->group_instance_id) : NULL;
        if (m)
            leave(t, m);
        return m ? E_NONE : E_UNKNOWN_MEMBER_ID;
    }
    struct pending *p = pending_find(g, q->member_id);
    if (p) {
        pending_remove(p);
        return E_NONE;
    }
    int16_t error = member_check(g, q->member_id, q->group_instance_id);
    if (error == E_NONE)
        leave(t, member_find(g, q->member_id));
    return error;
}

void on_leave(struct turn *t, struct coordinator_request *r)
{
    const struct leave_group_request *q = r->message;
    struct group *g = group_find(t->groups, q->group_id);
    if (g && g->consumer) {
        consumer_classic_leave(t, g, r);
        return;
    }
    struct leave_group_response *out = leave_group_response_new(&r->arena, 1);
    if (!out || !(out->members = leave_group_response_member_response_new(&r->arena, q->members_count))) {
        answer(t, r, NULL);
        return;
    }
    bool any = false;
    for (int32_t i = 0; i < q->members_count; i++) {
        struct leave_group_response_member_response *o = &out->members[out->members_count++];
        o->member_id = arena_str(&r->arena, q->members[i].member_id);
        o->group_instance_id = arena_str(&r->arena, q->members[i].group_instance_id);
        o->error_code = g && g->type == GROUP_CLASSIC ? leave_one(t, g, &q->members[i]) : E_UNKNOWN_MEMBER_ID;
        any |= o->error_code == E_NONE;
    }
    answer(t, r, out);
    if (!any)
        return;
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        prepare_rebalance(t, g);
    else
        maybe_complete_join(t, g);
}
