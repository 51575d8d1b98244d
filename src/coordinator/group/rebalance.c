// The course of a rebalance: members join, a new generation begins, members sync. Numbers as KIP-62, KIP-134
// (initial delay), KIP-394 (member ids) and KIP-345 (static members) have them.
//
//     Empty --join--> PreparingRebalance --all have joined, or time is up--> CompletingRebalance
//       ^                    ^   |                                                  |
//       |--- nobody is left -----+            <--join, leave, failure-- Stable <--leader's sync
#include "coordinator/group/state.h"

#include <stdlib.h>

#define NEW_MEMBER_JOIN_TIMEOUT_MS 300000

struct join_group_response *join_response(struct coordinator_request *r, int16_t error, struct str member_id)
{
    struct join_group_response *out = join_group_response_new(&r->arena, 1);
    if (out) {
        out->error_code = error;
        out->protocol_name = STR_NULL;
        out->member_id = arena_str(&r->arena, member_id);
    }
    return out;
}

static bool list_members(struct coordinator_request *r, const struct group *g,
                         struct join_group_response *out)
{
    out->members = join_group_response_join_group_response_member_new(&r->arena, (int32_t)g->members_count);
    if (!out->members)
        return false;
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next) {
        const struct member *m = container_of(n, struct member, node);
        struct join_group_response_join_group_response_member *o = &out->members[out->members_count++];
        o->member_id = arena_str(&r->arena, m->id);
        o->group_instance_id = arena_str(&r->arena, m->instance_id);
        const struct protocol *p = member_protocol(m, g->protocol);
        if (p)
            o->metadata = arena_bytes(&r->arena, p->metadata);
    }
    return true;
}

struct join_group_response *join_result(struct coordinator_request *r, const struct member *m, bool all)
{
    const struct group *g = m->group;
    struct join_group_response *out = join_response(r, E_NONE, m->id);
    if (!out || (all && !list_members(r, g, out)))
        return NULL;
    out->generation_id = g->generation;
    out->protocol_type = arena_str(&r->arena, g->protocol_type);
    out->protocol_name = arena_str(&r->arena, g->protocol);
    out->leader = arena_str(&r->arena, g->leader->id);
    return out;
}

void heartbeat_restart(struct turn *t, struct member *m)
{
    timer_arm(t, &m->heartbeat, m->is_new ? NEW_MEMBER_JOIN_TIMEOUT_MS : m->session_timeout_ms);
}

// Preparing

static void clear_pending_syncs(struct turn *t, struct group *g)
{
    for (struct list *n = list_first(&g->members); g->pending_syncs > 0 && n != &g->members; n = n->next) {
        struct member *m = container_of(n, struct member, node);
        g->pending_syncs -= m->pending_sync;
        m->pending_sync = false;
    }
    timer_cancel(t->groups, &g->sync);
}

static bool all_have_joined(const struct group *g)
{
    return g->members_count == g->joining_count && g->pendings.count == 0;
}

static void complete_join(struct turn *t, struct group *g);

void prepare_rebalance(struct turn *t, struct group *g)
{
    if (g->state == GROUP_COMPLETING)
        propagate_assignment(t, g, E_REBALANCE_IN_PROGRESS);
    clear_pending_syncs(t, g);
    bool initial = g->state == GROUP_EMPTY;
    set_state(t, g, GROUP_PREPARING);
    g->initial_join = initial;
    if (initial) { // more members are likely to come: they get time for it
        int32_t delay_ms = t->groups->config->initial_rebalance_delay_ms;
        int32_t left_ms = group_rebalance_timeout_ms(g) - delay_ms;
        g->initial_delay_ms = delay_ms;
        g->initial_left_ms = left_ms > 0 ? left_ms : 0;
        timer_arm(t, &g->join, delay_ms);
    } else if (all_have_joined(g)) {
        complete_join(t, g);
    } else {
        timer_arm(t, &g->join, group_rebalance_timeout_ms(g));
    }
}

void maybe_complete_join(struct turn *t, struct group *g)
{
    if (g->state == GROUP_PREPARING && g->previous != GROUP_EMPTY && all_have_joined(g))
        complete_join(t, g);
}

void rebalance_or_complete(struct turn *t, struct group *g)
{
    if (g->state == GROUP_PREPARING)
        maybe_complete_join(t, g);
    else
        prepare_rebalance(t, g);
}

// Completing

// Of dynamic members who have not come back: a static one keeps its place until its session ends.
static void drop_missing(struct turn *t, struct group *g)
{
    for (struct list *n = list_first(&g->members), *next; list_each(&g->members, n, next); n = next) {
        struct member *m = container_of(n, struct member, node);
        if (!m->joining && !m->instance_id.data)
            member_remove(t, m);
    }
}

// Whether a leader that has joined is there, if need be another one.
static bool elect_leader(struct group *g)
{
    if (!g->leader || g->leader->joining)
        return g->leader != NULL;
    for (struct list *n = list_first(&g->members); n != &g->members; n = n->next) {
        struct member *m = container_of(n, struct member, node);
        if (m->joining) {
            g->leader = m;
            return true;
        }
    }
    return false;
}

static void set_protocol(struct group *g, struct str protocol)
{
    struct str copy = state_str(protocol);
    free((void *)(uintptr_t)g->protocol.data);
    g->protocol = copy;
}

static void answer_joins(struct turn *t, struct group *g)
{
    for (struct list *n = list_first(&g->members), *next; list_each(&g->members, n, next); n = next) {
        struct member *m = container_of(n, struct member, node);
        if (m->joining)
            member_answer_join(t, m, join_result(m->joining, m, m == g->leader));
        m->is_new = false;
        heartbeat_restart(t, m);
        m->pending_sync = true;
        g->pending_syncs++;
    }
}

static void complete_join(struct turn *t, struct group *g)
{
    timer_cancel(t->groups, &g->join);
    drop_missing(t, g);
    if (g->state == GROUP_DEAD)
        return;
    if (!elect_leader(g) && g->members_count > 0) { // only static members are left: until their sessions end
        g->initial_join = false;
        timer_arm(t, &g->join, group_rebalance_timeout_ms(g));
        return;
    }
    g->generation++;
    clear_pending_syncs(t, g);
    set_protocol(g, g->members_count > 0 ? group_select_protocol(g) : STR_NULL);
    group_learn_topics(g);
    if (g->members_count == 0) {
        set_state(t, g, GROUP_EMPTY);
        write_group(t, g);
        return;
    }
    set_state(t, g, GROUP_COMPLETING);
    answer_joins(t, g);
    timer_arm(t, &g->sync, group_rebalance_timeout_ms(g));
}

void propagate_assignment(struct turn *t, struct group *g, int16_t error)
{
    for (struct list *n = list_first(&g->members), *next; list_each(&g->members, n, next); n = next) {
        struct member *m = container_of(n, struct member, node);
        if (error != E_NONE)
            member_set_assignment(m, (struct bytes){0});
        struct coordinator_request *r = m->syncing;
        if (!r)
            continue;
        m->syncing = NULL;
        struct sync_group_response *out = sync_group_response_new(&r->arena, 1);
        if (out) {
            out->error_code = error;
            out->assignment = arena_bytes(&r->arena, m->assignment);
            if (error == E_NONE) {
                out->protocol_type = arena_str(&r->arena, g->protocol_type);
                out->protocol_name = arena_str(&r->arena, g->protocol);
            }
        }
        answer(t, r, out);
        heartbeat_restart(t, m); // its session may have ended unnoticed while it waited
    }
}

// Timers

void on_join_timer(struct turn *t, struct group *g)
{
    if (g->state != GROUP_PREPARING)
        return;
    if (g->initial_join && g->new_member_added && g->initial_left_ms != 0) {
        int32_t delay_ms = t->groups->config->initial_rebalance_delay_ms, left_ms = g->initial_left_ms;
        g->new_member_added = false;
        g->initial_left_ms = left_ms > g->initial_delay_ms ? left_ms - g->initial_delay_ms : 0;
        g->initial_delay_ms = delay_ms < left_ms ? delay_ms : left_ms;
        timer_arm(t, &g->join, g->initial_delay_ms);
        return;
    }
    complete_join(t, g);
}

void on_sync_timer(struct turn *t, struct group *g)
{
    if ((g->state != GROUP_COMPLETING && g->state != GROUP_STABLE) || g->pending_syncs == 0)
        return;
    for (struct list *n = list_first(&g->members), *next; list_each(&g->members, n, next); n = next) {
        struct member *m = container_of(n, struct member, node);
        if (m->pending_sync)
            member_remove(t, m);
    }
    prepare_rebalance(t, g);
}

void remove_member_and_rebalance(struct turn *t, struct member *m)
{
    struct group *g = m->group;
    if (m->joining)
        member_answer_join(t, m, join_response(m->joining, E_UNKNOWN_MEMBER_ID, STR("")));
    if (m->syncing)
        refuse(t, m->syncing, E_NONE);
    m->syncing = NULL;
    member_remove(t, m);
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        prepare_rebalance(t, g);
    else if (g->state == GROUP_PREPARING && all_have_joined(g))
        complete_join(t, g);
}

void on_heartbeat_timer(struct turn *t, struct member *m)
{
    // Whoever waits for an answer shows that it is there; not so a new member, whose client may have given
    // up.
    if (m->is_new || (!m->joining && !m->syncing))
        remove_member_and_rebalance(t, m);
}

void on_pending_timer(struct turn *t, struct pending *p)
{
    struct group *g = p->group;
    pending_remove(p);
    if (g->state == GROUP_PREPARING && all_have_joined(g))
        complete_join(t, g);
}
